//! `[[app]]`: the executables made from an image, and how they are run for tracing and checking.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::list::one_or_many;
use crate::app::{EntryPoint, check_name};
use crate::text::{PackageName, Rule as _, shortened};

/// One `[[app]]` table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct App {
    /// The name of the executable.
    pub name: String,
    /// The package with the entry point. Default: the project itself.
    #[serde(default)]
    pub package: Option<String>,
    /// The function that the app calls: `julia_main`, which takes no arguments and returns an integer,
    /// the exit code; or `@main`, which gets the arguments. A function of a module in the package is
    /// `Module.function`. Default: `julia_main`.
    #[serde(default = "julia_main")]
    pub entry: String,
    /// Options that Julia always gets in the app, for instance `--threads=4` or `--heap-size-hint=2G`.
    #[serde(default, rename = "julia-args", deserialize_with = "one_or_many")]
    #[schemars(with = "super::list::Loose")]
    pub julia_args: Vec<String>,
    /// Runs of the app: while it is traced, and again from the unpacked archive. Default: one without
    /// arguments.
    #[serde(default = "one_run")]
    pub runs: Vec<Run>,
}

/// One run of an app.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Run {
    /// The arguments.
    #[serde(deserialize_with = "one_or_many")]
    #[schemars(with = "super::list::Loose")]
    pub args: Vec<String>,
    /// The text on standard input. Default: empty.
    pub stdin: Option<String>,
    /// Files of the project that it reads, relative to its working directory.
    #[serde(deserialize_with = "one_or_many")]
    #[schemars(with = "super::list::Loose")]
    pub files: Vec<String>,
    /// The expected exit code. Default: 0.
    #[schemars(range(min = 0, max = 255))]
    pub exit: i32,
}

/// The `[bundle]` table: what is made of the image of apps or of a library.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Bundle {
    /// Whether the preferences of the packages are in the bundle. Default: true.
    pub preferences: bool,
    /// Whether there is also an archive of the image itself, for users who have Julia. Default: true.
    pub image: bool,
    /// Whether Julia's compiler (LLVM and code generation) is left out of the bundle. This needs Julia
    /// 1.8 or later, and runs and calls that compile nothing. Default: false.
    pub without_compiler: bool,
}

impl Default for Bundle {
    fn default() -> Self {
        Self {
            preferences: true,
            image: true,
            without_compiler: false,
        }
    }
}

/// Returns what is wrong with `[bundle]` in a configuration without apps and without a library, if
/// anything: the key and the message.
pub(super) fn complaint_about_bundle(bundle: &Bundle) -> Option<(&'static str, String)> {
    let nothing_to_bundle = "there is neither an [[app]] nor a [library]";
    if !bundle.image {
        let message = format!("`image = false` leaves nothing to build: {nothing_to_bundle}");
        return Some(("image", message));
    }
    bundle.without_compiler.then(|| {
        let message = format!("`without-compiler` has no effect: {nothing_to_bundle}");
        ("without-compiler", message)
    })
}

fn julia_main() -> String {
    "julia_main".to_owned()
}

fn one_run() -> Vec<Run> {
    vec![Run::default()]
}

/// Returns what is wrong with the tables, if anything: the index of the table, the key and the
/// message.
pub(super) fn complaint(apps: &[App]) -> Option<(usize, &'static str, String)> {
    let mut names = Vec::new();
    apps.iter().enumerate().find_map(|(index, app)| {
        let (key, message) = complaint_about_app(app, &mut names)?;
        Some((index, key, message))
    })
}

/// Returns what is wrong with one table. `names` are those of the tables before it.
fn complaint_about_app<'a>(
    app: &'a App,
    names: &mut Vec<&'a str>,
) -> Option<(&'static str, String)> {
    let name = shortened(&app.name, 60);
    if let Err(problem) = check_name(&app.name) {
        return Some((
            "name",
            format!("`{name}` cannot be the name of an app: {problem}"),
        ));
    }
    let mut others = names.iter();
    if let Some(other) = others.find(|other| other.to_lowercase() == app.name.to_lowercase()) {
        let message = match *other == app.name {
            true => format!("two apps are called `{name}`"),
            false => format!(
                "the names of the apps `{other}` and `{name}` differ only in capitals, which the file \
                 systems of macOS and Windows ignore"
            ),
        };
        return Some(("name", message));
    }
    names.push(&app.name);
    if let Some(Err(error)) = app.package.as_deref().map(PackageName::validate) {
        return Some(("package", error.to_string()));
    }
    if let Err(error) = app.entry.parse::<EntryPoint>() {
        return Some(("entry", error.to_string()));
    }
    if let Some(message) = app.julia_args.iter().find_map(|text| bad_option(text)) {
        return Some(("julia-args", message));
    }
    if app.runs.is_empty() {
        let message = "`runs` is empty: an app that was never run is not known to work";
        return Some(("runs", message.to_owned()));
    }
    app.runs.iter().find_map(complaint_about)
}

/// Options that are not allowed for apps: they decide what Julia runs or where it finds files.
const NOT_OF_APPS: &[&str] = &[
    "--sysimage",
    "-J",
    "--home",
    "-H",
    "--project",
    "--eval",
    "-e",
    "--print",
    "-E",
    "--load",
    "-L",
    "--version",
    "-v",
    "--help",
    "-h",
    "--help-hidden",
    "--procs",
    "-p",
    "--machine-file",
    "--worker",
];

/// Returns why a text cannot be an option of an app's Julia.
pub(super) fn bad_option(text: &str) -> Option<String> {
    let shown = shortened(text, 60);
    let is_option = text.starts_with('-')
        && text.len() > 1
        && !text.contains(|c: char| c.is_control() || c.is_whitespace());
    if !is_option {
        return Some(format!(
            "`{shown}` is not an option for Julia: write each as one text, such as \"--threads=4\""
        ));
    }
    let name = text.split('=').next().unwrap_or(text);
    NOT_OF_APPS.contains(&name).then(|| {
        format!(
            "an app or library cannot have the option `{name}`: it decides what Julia runs, or where it \
             looks"
        )
    })
}

fn complaint_about(run: &Run) -> Option<(&'static str, String)> {
    if !(0..=255).contains(&run.exit) {
        return Some((
            "exit",
            format!("{} is not an exit code: they are 0 to 255", run.exit),
        ));
    }
    if run.args.iter().any(|arg| arg.contains('\0')) {
        return Some((
            "args",
            "an argument contains a zero byte, which none can".to_owned(),
        ));
    }
    let file = run.files.iter().find(|path| leaves_project(path))?;
    let file = shortened(file, 60);
    let message = format!("`{file}` is not the path of a file below the project, written with `/`");
    Some(("files", message))
}

/// Returns whether a path is not that of a file in the project, written with `/`.
pub(super) fn leaves_project(path: &str) -> bool {
    path.is_empty()
        || path.starts_with('/')
        || path.contains(['\\', ':'])
        || path.split('/').any(|part| matches!(part, "" | "." | ".."))
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, FILE_NAME};

    fn fails(text: &str) -> String {
        Config::from_toml(FILE_NAME, text).unwrap_err().to_string()
    }

    #[test]
    fn an_app_has_defaults_for_everything_but_its_name() {
        let config = Config::from_toml(FILE_NAME, "[[app]]\nname = \"tally\"\n").unwrap();
        let app = &config.apps[0];
        assert_eq!(app.entry, "julia_main");
        assert_eq!(app.runs.len(), 1);
        assert_eq!(app.runs[0].exit, 0);
        assert!(config.bundle.preferences);
        let missing = fails("[[app]]\nentry = \"@main\"\n");
        assert!(missing.contains("the key `name` is missing"), "{missing}");
    }

    #[test]
    fn bad_apps_are_refused_with_the_place() {
        for (table, wanted) in [
            ("name = \"a/b\"", "contains a path separator"),
            ("name = \"tally.exe\"", "ends with .exe"),
            ("name = \"x\"\nentry = \"1main\"", "is not an entry point"),
            (
                "name = \"x\"\nentry = \"f(); g()\"",
                "is not an entry point",
            ),
            (
                "name = \"x\"\npackage = \"A B\"",
                "is not the name of a package",
            ),
            (
                "name = \"x\"\njulia-args = \"threads\"",
                "is not an option for Julia",
            ),
            (
                "name = \"x\"\njulia-args = \"--threads=2 -O3\"",
                "write each as one text",
            ),
            (
                "name = \"x\"\njulia-args = \"--sysimage=y.so\"",
                "cannot have the option `--sysimage`",
            ),
            (
                "name = \"\"",
                "`` cannot be the name of an app: it is empty",
            ),
            ("name = \"con\"", "`con` cannot be the name of an app"),
            ("name = \"x\"\nruns = { exit = 1 }", "must be a list"),
            ("name = \"x\"\nruns = []", "`runs` is empty"),
            (
                "name = \"x\"\nruns = [{ exit = 256 }]",
                "is not an exit code",
            ),
            (
                "name = \"x\"\nruns = [{ exit = -1 }]",
                "is not an exit code",
            ),
            (
                "name = \"x\"\nruns = [{ files = \"../x\" }]",
                "below the project",
            ),
            (
                "name = \"x\"\nruns = [{ argz = [] }]",
                "did you mean `args`?",
            ),
            ("nam = \"x\"", "did you mean `name`?"),
        ] {
            let error = fails(&format!("# x\n[[app]]\n{table}\n"));
            assert!(error.contains(wanted), "{table}: {error}");
            assert!(error.contains("Sysimage.toml:"), "{table}: {error}");
        }
    }

    #[test]
    fn two_apps_of_one_name_are_refused_also_where_only_capitals_differ() {
        for (second, message) in [
            ("tally", "two apps are called `tally`"),
            ("Tally", "`tally` and `Tally` differ only in capitals"),
        ] {
            let error = fails(&format!(
                "[[app]]\nname = \"tally\"\n[[app]]\nname = \"{second}\"\n"
            ));
            assert!(error.contains(message), "{error}");
            // The error is at the second table.
            assert!(error.contains("Sysimage.toml:4:1"), "{error}");
        }
    }

    #[test]
    fn settings_of_bundles_without_a_bundle_are_refused() {
        for (line, message) in [
            ("image = false", "`image = false` leaves nothing to build"),
            (
                "without-compiler = true",
                "`without-compiler` has no effect",
            ),
        ] {
            let error = fails(&format!("name = \"x\"\n[bundle]\n{line}\n"));
            assert!(error.contains(message), "{error}");
            assert!(error.contains("Sysimage.toml:3:1"), "{error}");
            let app = format!("[bundle]\n{line}\n[[app]]\nname = \"tally\"\n");
            Config::from_toml(FILE_NAME, &app).unwrap();
            let library = format!("[bundle]\n{line}\n[library]\nname = \"measure\"\n");
            Config::from_toml(FILE_NAME, &library).unwrap();
        }
    }

    #[test]
    fn one_table_in_single_brackets_gets_a_hint() {
        let error = Config::from_toml(FILE_NAME, "[app]\nname = \"x\"\n").unwrap_err();
        assert!(error.hints[0].contains("[[app]]"), "{error:?}");
    }
}
