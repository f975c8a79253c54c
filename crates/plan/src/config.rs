//! `Sysimage.toml`, the configuration of a project's image. Every key has a default; an unknown key
//! is an error that names the nearest known one.

mod app;
mod base;
mod complaint;
mod library;
mod list;
pub mod workflow;
mod workload;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::archive::{self, ArchiveFormat};
use crate::build_id::BuildId;
use crate::julia_option::JuliaOption;
use crate::platform::Triplet;
use crate::request::Request;
use crate::toml_error::TomlError;

use complaint::key_offset;
use list::{
    Loose, at_least_one, julia_options, one_or_many, some_julia_options, some_or_one, whole_number,
};

pub use app::{App, Bundle, Run};
pub use base::Base;
pub use library::{Library, MOST_ARGUMENTS};
pub use list::OneOrMany;
pub use workflow::Workflow;
pub use workload::Workload;

/// The default maximum number of emissions. One is enough for most packages; a second one compiles
/// the rest where possible (docs/src/explanation/dry.md).
pub const DEFAULT_ROUNDS: u32 = 2;

/// The file name, in the folder of `Project.toml`.
pub const FILE_NAME: &str = "Sysimage.toml";

/// A `Sysimage.toml`. Paths are relative to its folder and written with `/` on every system.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "Sysimage.toml")]
pub struct Config {
    /// The image's name, part of every file name. Default: the project's name, or its folder's.
    pub name: Option<String>,
    /// Packages in the image. Default: the project's direct dependencies, and the project itself
    /// if it is a package.
    #[serde(deserialize_with = "some_or_one")]
    #[schemars(with = "Option<Loose>")]
    pub packages: Option<Vec<String>>,
    /// Julia scripts that are run and traced; what they compile is in the image. Each is a path, or
    /// a table with its arguments: `{ path = "report.jl", args = ["--year", "2020"] }`. It runs as
    /// `julia report.jl --year 2020` would, with standard input closed. `prefix = ["srun", "-n1"]` in
    /// the table starts that Julia with another command.
    #[serde(deserialize_with = "workload::list")]
    pub workloads: Vec<Workload>,
    /// Files with further precompile statements, written by `--trace-compile`, SnoopCompile or hand.
    #[serde(deserialize_with = "one_or_many")]
    #[schemars(with = "Loose")]
    pub statements: Vec<String>,
    /// A Julia script that is evaluated last, in the emitting process.
    pub script: Option<String>,
    /// Whether the workloads also run inside the emitting process. This includes code that no
    /// statement can express, but since Julia 1.10 some packages hang or crash there.
    pub execute: bool,
    /// The Julia: a version, range or channel, or a list of them for one image each. Default: the
    /// version that made the manifest, otherwise `release`.
    #[serde(deserialize_with = "at_least_one")]
    pub julia: OneOrMany,
    /// Whether the project's own manifest must be used as it is. Without it, the versions of a
    /// project that has no manifest, or one of another Julia, are resolved in the build directory.
    pub locked: bool,
    /// The depot that packages are installed in, relative to this file. Default: the first of
    /// `JULIA_DEPOT_PATH`, or `~/.julia`.
    pub depot: Option<String>,
    /// Addresses of package registries in addition to General.
    #[serde(deserialize_with = "one_or_many")]
    #[schemars(with = "Loose")]
    pub registries: Vec<String>,
    /// Lazy artifacts of the packages: `none` omits them, `used` includes those that the workloads
    /// request, `all` includes all for the platform. Default: `used`.
    #[serde(rename = "lazy-artifacts")]
    pub lazy_artifacts: LazyArtifacts,
    /// Packages that only the workloads need: `test` (the project's test dependencies), a folder
    /// with a Project.toml, or a list of packages. None of them is in the image.
    #[serde(rename = "workload-environment")]
    pub workload_environment: Option<WorkloadEnvironment>,
    /// CPU target: `portable`, `native`, a Julia `--cpu-target` string, or a list of tiers for
    /// one image each. Default: `portable`; for `sysforge run` with Julia 1.12 and later, `native`, unless
    /// the portable image is up to date.
    #[serde(deserialize_with = "at_least_one")]
    pub cpu: OneOrMany,
    /// The sysimage that the image is built on: `shipped`, the one that Julia ships; `fresh`, one
    /// built from Julia's sources, which omits standard libraries and supports every CPU target; the
    /// path of a sysimage for the same Julia; or `OWNER/REPO` or `OWNER/REPO@TAG`, an image for it that
    /// was installed from that release. Default: `shipped`.
    pub base: Base,
    /// The standard libraries in a fresh base: `used`, those that the project's packages need, or
    /// `all`. Default: `used`.
    pub stdlibs: Stdlibs,
    /// Whether the image has the REPL and Pkg, which Julia 1.11 and later load as packages: the caches of
    /// them that Julia ships do not fit another image, so an interactive session would compile them
    /// first. Default: `true`, but `false` on a fresh base and for a project with apps.
    pub repl: Option<bool>,
    /// Whether the names of the packages in the image are bound in `Main` when Julia starts, so that they
    /// can be used where no environment lists them. Default: `true`.
    #[serde(rename = "import-into-main")]
    pub import_into_main: Option<bool>,
    /// Maximum number of emissions, 1 to 10. The image is emitted again while running the workloads
    /// with it still compiles code that another round can include. Default: 2.
    #[serde(deserialize_with = "whole_number")]
    #[schemars(range(min = 1, max = 10))]
    pub rounds: Option<u32>,
    /// Whether statements that cannot be replayed are an error.
    pub strict: bool,
    /// Whether symbols and debug sections are removed from the image.
    pub strip: bool,
    /// Options for the Julia that emits the image, which change its code: `-O3`, `--check-bounds=no`,
    /// `--strip-ir` and others.
    #[serde(rename = "julia-options", deserialize_with = "julia_options")]
    #[schemars(with = "Loose")]
    pub julia_options: Vec<JuliaOption>,
    /// The archive's format: `tar.gz`, `tar.zst` or `zip`. Default: `tar.gz`.
    #[serde(deserialize_with = "archive::for_images")]
    #[schemars(with = "Option<String>")]
    pub archive: Option<ArchiveFormat>,
    /// Platforms that `sysforge plan --matrix` builds for, by Julia triplet. Default: every one with
    /// a hosted runner.
    pub platforms: BTreeMap<Triplet, PlatformConfig>,
    /// Changes for builds that a glob over build identifiers selects; later ones take precedence.
    pub overrides: Vec<Override>,
    /// Apps made from the image: executables that need no Julia. They share one archive.
    #[serde(rename = "app")]
    pub apps: Vec<App>,
    /// A C library made from the image.
    pub library: Option<Library>,
    /// What the archives of the apps and of the library contain.
    pub bundle: Bundle,
    /// What the generated GitHub workflow does.
    pub workflow: Workflow,
}

/// Which standard libraries a fresh base has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Stdlibs {
    /// Those that the project's packages need.
    #[default]
    Used,
    /// All that Julia's own sysimage has.
    All,
}

/// Which lazy artifacts of the packages are installed and travel with the image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LazyArtifacts {
    /// None.
    None,
    /// Those that the workloads ask for while they are traced.
    #[default]
    Used,
    /// All for the platform.
    All,
}

/// The packages that only the workloads need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "expected `test`, a folder or a list of packages"
)]
pub enum WorkloadEnvironment {
    /// `test`, or a folder with a Project.toml.
    Folder(String),
    /// Packages by name.
    Packages(Vec<String>),
}

impl WorkloadEnvironment {
    /// Returns whether this means the project's test dependencies.
    pub fn is_test(&self) -> bool {
        matches!(self, Self::Folder(name) if name == "test")
    }
}

/// One `[platforms."…"]` table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PlatformConfig {
    /// The label of the CI runner that builds it.
    pub runner: Option<String>,
    /// Maximum time of one of its builds there, in minutes. Default: by expected size.
    pub timeout: Option<u32>,
}

/// One `[[overrides]]` table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Override {
    /// A glob over build identifiers, for instance `*-apple-darwin`.
    pub select: String,
    /// Environment variables for Julia and the linker.
    pub env: BTreeMap<String, String>,
    /// See the key of the same name at the top.
    pub execute: Option<bool>,
    /// See the key of the same name at the top.
    pub strict: Option<bool>,
    /// See the key of the same name at the top.
    pub strip: Option<bool>,
    /// See the key of the same name at the top.
    pub base: Option<Base>,
    /// See the key of the same name at the top.
    #[serde(rename = "julia-options", deserialize_with = "some_julia_options")]
    #[schemars(with = "Option<Loose>")]
    pub julia_options: Option<Vec<JuliaOption>>,
}

impl Override {
    /// Returns the name of a variable that cannot be passed to a process, if there is one.
    fn invalid_variable(&self) -> Option<&str> {
        let invalid = |(name, value): &(&String, &String)| {
            let name_is_valid =
                !name.is_empty() && !name.contains(|c: char| c == '=' || c.is_control());
            !name_is_valid || value.contains('\0')
        };
        self.env.iter().find(invalid).map(|(name, _)| name.as_str())
    }
}

/// The settings of one build, with its overrides applied.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Environment variables for Julia and the linker.
    pub env: BTreeMap<String, String>,
    /// See [`Config::execute`].
    pub execute: bool,
    /// See [`Config::base`].
    pub base: Base,
    /// See [`Config::stdlibs`].
    pub stdlibs: Stdlibs,
    /// See [`Config::repl`].
    pub repl: bool,
    /// See [`Config::rounds`]; at least 1.
    pub rounds: u32,
    /// See [`Config::strict`].
    pub strict: bool,
    /// See [`Config::strip`].
    pub strip: bool,
    /// See [`Config::julia_options`].
    pub julia_options: Vec<JuliaOption>,
}

impl Config {
    /// Parses a `Sysimage.toml`.
    ///
    /// # Errors
    ///
    /// If it is not TOML, or has an unknown key or an invalid value; the error contains the
    /// position.
    pub fn from_toml(file: &str, text: &str) -> Result<Self, TomlError> {
        let config: Self =
            toml::from_str(text).map_err(|error| TomlError::new(file, text, &error))?;
        let mut julias = config.julia.0.iter();
        if let Some(error) = julias.find_map(|text| Request::parse_list(text).err()) {
            let offset = key_offset(text, "julia");
            return Err(TomlError::locating(&error, file, text, offset));
        }
        match config.complaint() {
            Some(complaint) => Err(complaint.error(file, text)),
            None => Ok(config),
        }
    }

    /// Returns the sysimages configured as bases.
    pub fn bases(&self) -> impl Iterator<Item = &String> {
        let bases = self.overrides.iter().filter_map(|o| o.base.as_ref());
        bases.chain([&self.base]).filter_map(|base| match base {
            Base::Image(path) => Some(path),
            Base::Shipped | Base::Fresh | Base::Release { .. } => None,
        })
    }

    /// Returns the settings of the build `id`.
    pub fn settings(&self, id: &BuildId) -> Settings {
        let start = Settings {
            env: BTreeMap::new(),
            execute: self.execute,
            base: self.base.clone(),
            stdlibs: self.stdlibs,
            repl: false,
            rounds: self.rounds.unwrap_or(DEFAULT_ROUNDS).max(1),
            strict: self.strict,
            strip: self.strip,
            julia_options: self.julia_options.clone(),
        };
        let chosen = self.overrides.iter().filter(|o| id.matches(&o.select));
        let mut settings = chosen.fold(start, |mut settings, o| {
            settings.env.extend(o.env.clone());
            settings.execute = o.execute.unwrap_or(settings.execute);
            settings.strict = o.strict.unwrap_or(settings.strict);
            settings.strip = o.strip.unwrap_or(settings.strip);
            settings.base = o.base.clone().unwrap_or(settings.base);
            let options = o.julia_options.clone();
            settings.julia_options = options.unwrap_or(settings.julia_options);
            settings
        });
        let by_default = settings.base != Base::Fresh && self.apps.is_empty();
        settings.repl = self.repl.unwrap_or(by_default);
        settings
    }

    /// Returns the JSON Schema of the file, with which editors complete and check it.
    pub fn json_schema() -> serde_json::Value {
        schemars::schema_for!(Self).to_value()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::version::JuliaVersion;

    fn fails(text: &str) -> String {
        Config::from_toml(FILE_NAME, text).unwrap_err().to_string()
    }

    #[test]
    fn an_empty_file_is_all_defaults() {
        assert_eq!(Config::from_toml(FILE_NAME, "").unwrap(), Config::default());
    }

    #[test]
    fn one_or_many() {
        let config =
            Config::from_toml(FILE_NAME, "julia = \"lts\"\ncpu = [\"a\", \"b\"]\n").unwrap();
        assert_eq!(config.julia.0, ["lts"]);
        assert_eq!(config.cpu.0, ["a", "b"]);
    }

    #[test]
    fn a_mistyped_key_is_answered_with_the_nearest() {
        insta::assert_snapshot!(fails("name = \"x\"\nworkload = [\"w.jl\"]\n"), @r#"
        unknown key `workload`; did you mean `workloads`?
          --> Sysimage.toml:2:1
          |
        2 | workload = ["w.jl"]
          | ^
        "#);
    }

    #[test]
    fn a_wrong_type_points_at_the_value() {
        insta::assert_snapshot!(fails("strict = \"yes\"\n"), @r#"
        this is the string `yes`, and must be true or false
          --> Sysimage.toml:1:10
          |
        1 | strict = "yes"
          |          ^
        "#);
    }

    #[test]
    fn a_mistyped_value_is_answered_with_the_nearest() {
        assert!(fails("archive = \"tar.gzip\"\n").contains("did you mean `tar.gz`?"));
        assert!(fails("base = \"frech\"\n").contains("did you mean `fresh`?"));
        insta::assert_snapshot!(fails("name = \"x\"\njulia = [\"1.10\", \"relaese\"]\n"), @r#"
        `relaese` is not a Julia version, range or channel (did you mean `release`?)
          --> Sysimage.toml:2:1
          |
        2 | julia = ["1.10", "relaese"]
          | ^
        "#);
        let bare = Config::from_toml(FILE_NAME, "julia = 1.10\n").unwrap_err();
        assert_eq!(bare.hints, ["write it in quotes"]);
        let rar = Config::from_toml(FILE_NAME, "archive = \"rar\"\n").unwrap_err();
        assert_eq!(
            rar.hints,
            ["known values here are `tar.gz`, `tar.zst`, `zip`"]
        );
    }

    #[test]
    fn a_platform_that_is_none_points_at_the_key() {
        let error = fails("[platforms.\"x86_64-linux\"]\nrunner = \"x\"\n");
        assert!(
            error.contains("did you mean `x86_64-linux-gnu`?"),
            "{error}"
        );
        assert!(error.contains("Sysimage.toml:1:12"), "{error}");
    }

    #[test]
    fn a_single_string_is_a_list_of_one() {
        let text = "workloads = \"a.jl\"\nstatements = \"s.jl\"\npackages = \"Alpha\"\n";
        let one = Config::from_toml(FILE_NAME, text).unwrap();
        let text = "workloads = [\"a.jl\"]\nstatements = [\"s.jl\"]\npackages = [\"Alpha\"]\n";
        assert_eq!(one, Config::from_toml(FILE_NAME, text).unwrap());
    }

    #[test]
    fn what_cannot_have_been_meant_is_refused() {
        for (text, wanted) in [
            ("packages = []\n", "`packages` is empty"),
            ("rounds = 0\n", "from 1 to 10"),
            ("rounds = 11\n", "from 1 to 10"),
            ("rounds = -1\n", "from 1 to 10"),
            ("rounds = 4294967296\n", "from 1 to 10"),
            (
                "workloads = [\"a.jl\", \"a.jl\"]\n",
                "`a.jl` is listed twice",
            ),
            (
                "statements = [\"s.jl\", \"s.jl\"]\n",
                "`s.jl` is listed twice",
            ),
            ("packages = [\"A\", \"B\", \"A\"]\n", "`A` is listed twice"),
            ("julia = [\"lts\", \"lts\"]\n", "`lts` is listed twice"),
            (
                "registries = [\"https://a.b/r\", \"https://a.b/r\"]\n",
                "`https://a.b/r` is listed twice",
            ),
            (
                "workload-environment = [\"Test\", \"Test\"]\n",
                "`Test` is listed twice",
            ),
            (
                "registries = \"Ours\"\n",
                "is not the address of a registry",
            ),
            ("registries = [\"General\"]\n", "it is always used"),
            ("depot = \" \"\n", "`depot` has an empty value"),
            ("workload-environment = \" \"\n", "has an empty value"),
        ] {
            let error = fails(&format!("# x\n{text}"));
            assert!(error.contains(wanted), "{error}");
            assert!(error.contains("Sysimage.toml:2:1"), "{error}");
        }
        // The same script with other arguments is another workload.
        let text = "workloads = [\"a.jl\", { path = \"a.jl\", args = [\"-v\"] }]\n";
        assert!(Config::from_toml(FILE_NAME, text).is_ok());
    }

    #[test]
    fn lists_that_decide_which_images_there_are_have_an_entry() {
        for key in ["julia", "cpu"] {
            let error = fails(&format!("{key} = []\n"));
            assert!(error.contains("this list is empty"), "{error}");
        }
    }

    #[test]
    fn values_of_a_wrong_type_are_named_as_users_know_them() {
        let date = "this is a date, and must be a string";
        let word = "this must be a string";
        for (text, wanted) in [
            ("name = 1979-05-27", date),
            ("name = 07:32:00", date),
            ("workloads = 1979-05-27T07:32:00Z", date),
            (
                "strict = 1979-05-27",
                "this is a date, and must be true or false",
            ),
            (
                "rounds = 3.5",
                "this is the number 3.5, and must be a whole number\n",
            ),
            (
                "rounds = 99999999999999999999",
                "this is the number 99999999999999999999, and must be a whole number\n",
            ),
            (
                "rounds = \"x\"",
                "this is the string `x`, and must be a whole number\n",
            ),
            ("stdlibs = 1", word),
            ("stdlibs = {}", word),
            ("lazy-artifacts = []", word),
            ("lazy-artifacts = 1979-05-27", word),
        ] {
            let error = fails(&format!("{text}\n"));
            assert!(error.starts_with(wanted), "{text}: {error}");
        }
    }

    #[test]
    fn names_and_paths_must_be_portable() {
        assert!(fails("# x\nname = \"a b\"\n").contains("Sysimage.toml:2:1"));
        assert!(fails("workloads = ['a\\b.jl']\n").contains("with `/`"));
        for name in ["CON", "nul.so", "a.", "a<b", "../x", "a\\u0000b"] {
            let error = fails(&format!("name = \"{name}\"\n"));
            assert!(error.contains("is not the name of an image"), "{error}");
            let error = fails(&format!("cpu = [\"generic\", \"{name}\"]\n"));
            assert!(error.contains("is not the name of a CPU tier"), "{error}");
        }
        assert!(fails("cpu = \"generic$(id)\"\n").contains("is not a CPU target"));
        assert!(fails("packages = [\"A; run(`id`)\"]\n").contains("is not the name of a package"));
        for env in [
            "{ \"A=B\" = \"1\" }",
            "{ A = \"\\u0000\" }",
            "{ \"\" = \"1\" }",
        ] {
            let text = format!("[[overrides]]\nselect = \"*\"\nenv = {env}\n");
            assert!(fails(&text).contains("cannot be set"), "{env}");
        }
        for label in ["${{ secrets.A }}", "a\\u202eb", "a,b"] {
            let text = format!("[platforms.\"x86_64-linux-gnu\"]\nrunner = \"{label}\"\n");
            assert!(
                fails(&text).contains("is not a valid runner label"),
                "{label}"
            );
        }
        assert!(fails("archive = \"7z\"\n").contains("unknown value `7z`"));
        assert!(fails("[[overrides]]\nstrip = true\n").contains("selects nothing"));
    }

    #[test]
    fn a_base_is_a_word_a_file_or_a_release() {
        let base = |text: &str| Config::from_toml(FILE_NAME, text).unwrap().base;
        let image = Base::Image("images/core.so".to_owned());
        assert_eq!(base("base = \"images/core.so\"\n"), image);
        assert_eq!(image.file(), Some(Path::new("images/core.so")));
        for text in ["octo/images", "octo/images@v1.0.0", "o.c-t_o/i"] {
            let release = base(&format!("base = \"{text}\"\n"));
            assert_eq!(release.file(), None);
            assert_eq!(String::from(release), text);
        }
        for text in [
            "octo/",
            "a/b/c",
            "octo/images@",
            "octo/ima ges",
            "../core",
            "core",
        ] {
            let error = fails(&format!("# x\nbase = \"{text}\"\n"));
            assert!(error.contains("Sysimage.toml:2:8"), "{error}");
        }
    }

    #[test]
    fn the_repl_is_in_images_that_people_use_interactively() {
        let id = BuildId::of(
            "p",
            &JuliaVersion::new(1, 12, 5),
            Triplet::X86_64_LINUX_GNU,
            None,
        )
        .unwrap();
        let app = "[[app]]\nname = \"a\"\nruns = [{ args = [] }]\n";
        for (text, wanted) in [
            ("", true),
            ("base = \"core.so\"\n", true),
            ("base = \"fresh\"\n", false),
            (app, false),
            ("repl = false\n", false),
            ("base = \"fresh\"\nrepl = true\n", true),
            (&*format!("repl = true\n{app}"), true),
            // The base depends on an override.
            ("[[overrides]]\nselect = \"*\"\nbase = \"fresh\"\n", false),
        ] {
            let config = Config::from_toml("Sysimage.toml", text).unwrap();
            assert_eq!(config.settings(&id).repl, wanted, "{text}");
        }
    }

    #[test]
    fn later_overrides_win() {
        let config = Config::from_toml(
            FILE_NAME,
            "[[overrides]]\nselect = \"*-linux-gnu\"\nstrip = true\nenv = { A = \"1\" }\n\
             [[overrides]]\nselect = \"x-*\"\nenv = { A = \"2\" }\n",
        )
        .unwrap();
        let julia = JuliaVersion::new(1, 12, 7);
        let id = BuildId::of("x", &julia, Triplet::X86_64_LINUX_GNU, None).unwrap();
        let settings = config.settings(&id);
        assert!(settings.strip);
        assert_eq!(settings.env["A"], "2");
        let other = BuildId::of("x", &julia, Triplet::AARCH64_APPLE_DARWIN, None).unwrap();
        assert!(!config.settings(&other).strip);
    }
}
