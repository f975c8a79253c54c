//! The inputs of an image: the options of each step, and every file that Julia may read. Their
//! digest identifies the result.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use sysforge_plan::config::{
    App, Base, Bundle, LazyArtifacts, Library, Settings, Stdlibs, WorkloadEnvironment,
};
use sysforge_plan::cpu::{self, CpuTarget};
use sysforge_plan::link::Strategy;
use sysforge_plan::manifests::ManifestFile;
use sysforge_plan::plan::{Build, PlannedJulia};
use sysforge_plan::project::{PREFERENCES_NAMES, PROJECT_NAMES};
use sysforge_plan::{Config, JuliaOption};

pub use crate::fingerprint::{Fingerprint, Stage};
use crate::script::RUN_SCRIPT;
pub use crate::tree::FileDigests;
use crate::tree::Walk;
use crate::workdir::WorkDirError;
use crate::{RECIPE, instantiate, overrides};

/// The options that affect recorded statements.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TraceOptions {
    /// Environment variables for Julia and the linker.
    pub env: BTreeMap<String, String>,
    /// The base of the image and its standard libraries.
    pub base: (Base, Stdlibs),
    /// The packages that only the workloads need.
    pub workload_environment: Option<WorkloadEnvironment>,
    /// The apps, whose runs are traced.
    pub apps: Vec<App>,
    /// Whether an interactive session is traced and its packages are in the image.
    pub repl: bool,
    /// The C library, whose calls are traced.
    pub library: Option<Library>,
}

/// The options that affect the object, in addition to the statements.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EmitOptions {
    /// Whether the workloads are run in the emitting process.
    pub execute: bool,
    /// The script evaluated in the emitting process.
    pub script: Option<String>,
    /// The maximum number of emissions.
    pub rounds: u32,
    /// Whether a statement that cannot be replayed is an error.
    pub strict: bool,
    /// The number of code-generation threads; chosen for the machine if absent.
    pub image_threads: Option<u32>,
    /// The CPU target.
    pub cpu: CpuTarget,
    /// Options for the emitting Julia.
    pub julia_options: Vec<JuliaOption>,
    /// Which lazy artifacts the archive contains.
    pub lazy_artifacts: LazyArtifacts,
    /// Whether the names of the packages are bound in `Main`.
    pub import_into_main: bool,
}

/// The options that affect the image, in addition to the object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LinkOptions {
    /// Whether symbols and debug sections are removed.
    pub strip: bool,
    /// The requested compiler or linker.
    pub cc: Option<String>,
    /// The allowed strategies.
    pub linker: Vec<Strategy>,
    /// What the archive of the apps contains.
    pub bundle: Bundle,
}

/// The options of a build that affect its result. Each step receives its own type, and all of them
/// are part of the fingerprint, so an option added to one of the types is included automatically.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The options for tracing.
    pub trace: TraceOptions,
    /// The options for emitting.
    pub emit: EmitOptions,
    /// The options for linking.
    pub link: LinkOptions,
}

/// Options from the caller that override the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageOptions {
    /// Enables `strict` even if the configuration does not.
    pub strict: bool,
    /// Enables `strip` even if the configuration does not.
    pub strip: bool,
    /// Replaces the configured number.
    pub rounds: Option<u32>,
    /// The number of code-generation threads.
    pub image_threads: Option<u32>,
    /// The compiler or linker.
    pub cc: Option<String>,
    /// The allowed strategies; empty means all.
    pub linker: Vec<Strategy>,
}

impl Options {
    /// Returns the options of a build.
    pub fn new(build: &Build, config: &Config, given: &ImageOptions) -> Self {
        let Settings {
            env,
            execute,
            base,
            stdlibs,
            repl,
            rounds,
            strict,
            strip,
            julia_options,
        } = build.settings.clone();
        let ImageOptions {
            strict: strict_too,
            strip: strip_too,
            rounds: other_rounds,
            image_threads,
            cc,
            linker,
        } = given.clone();
        Self {
            trace: TraceOptions {
                env,
                base: (base, stdlibs),
                workload_environment: config.workload_environment.clone(),
                apps: config.apps.clone(),
                repl,
                library: config.library.clone(),
            },
            emit: EmitOptions {
                execute,
                script: config.script.clone(),
                rounds: other_rounds.unwrap_or(rounds),
                strict: strict || strict_too,
                image_threads,
                cpu: build.cpu.clone(),
                julia_options,
                lazy_artifacts: config.lazy_artifacts,
                import_into_main: config.import_into_main.unwrap_or(true),
            },
            link: LinkOptions {
                strip: strip || strip_too,
                cc,
                linker,
                bundle: config.bundle.clone(),
            },
        }
    }
}

/// The inputs of a fingerprint.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// The build.
    pub build: &'a Build,
    /// The text of the code outside of this crate that traces and makes bundles, for each step.
    pub recipe: &'a [(Stage, String)],
    /// The build's options.
    pub options: &'a Options,
    /// The features of this machine's CPU.
    pub cpu: &'a str,
    /// The project's folder.
    pub project: &'a Path,
    /// The configuration, for the names of workloads, statements and script.
    pub config: &'a Config,
    /// The manifest that the build's Julia uses.
    pub manifest: Option<&'a ManifestFile>,
    /// Folders of further packages under development that no manifest lists yet.
    pub local: &'a [PathBuf],
    /// Julia's depots, which may redirect artifacts.
    pub depots: &'a [PathBuf],
    /// Folders of results, which are not inputs even if they are in the project.
    pub results: &'a [PathBuf],
}

/// Returns a text that identifies a Julia. It does not contain the request: `lts` and `1.10` may be
/// the same Julia.
pub fn julia_identity(julia: &PlannedJulia) -> String {
    match julia {
        PlannedJulia::Catalogue { choice, .. } => choice.file.sha256.to_string(),
        PlannedJulia::Given { executable, build } => {
            let build = serde_json::to_string(build).unwrap_or_default();
            format!("{} {build}", executable.display())
        }
    }
}

/// Records the files that workloads wrote into the project while they were traced, so that they are
/// not inputs of the next build. `before` and `after` are the inputs before and after the trace. A
/// source, project file or manifest that appeared in the meantime is attributed to the user.
pub fn note_generated(before: &Fingerprint, after: &Fingerprint, digests: &mut FileDigests) {
    let is_source = |name: &str| {
        let extension = Path::new(name).extension();
        extension.is_some_and(|extension| extension == "jl" || extension == "toml")
    };
    let new = after.0.iter();
    let new = new.filter(|(name, _)| !before.0.contains_key(*name) && !is_source(name));
    digests.add_generated(new.map(|(name, (_, digest))| (name.clone(), *digest)));
}

/// Records files that Sysforge wrote, such as a report: they are not inputs of a later build.
///
/// # Errors
///
/// [`WorkDirError::Input`] if one of the files exists but cannot be read.
pub fn note_results(
    project: &Path,
    files: &[PathBuf],
    digests: &mut FileDigests,
) -> Result<(), WorkDirError> {
    let mut walk = Walk::new(digests, project, &[]);
    for path in files {
        walk.add(path).map_err(WorkDirError::Input)?;
    }
    let found = walk.found;
    digests.add_generated(found);
    Ok(())
}

/// Returns the inputs that decide the result of a build.
///
/// # Errors
///
/// [`WorkDirError::Input`] if a file or folder exists but cannot be read, and is part of the project
/// or its environment, or is named by the configuration.
pub fn fingerprint(
    inputs: &Inputs<'_>,
    digests: &mut FileDigests,
) -> Result<Fingerprint, WorkDirError> {
    let Inputs {
        build,
        recipe: bundles,
        options,
        cpu,
        project,
        config,
        manifest,
        local,
        depots,
        results,
    } = inputs;
    let mut fingerprint = Fingerprint::default();
    let json = |value| serde_json::to_string(&value).unwrap_or_default();
    // The script is part of the recipe, so changing it cannot be forgotten.
    let recipe = format!(
        "{RECIPE}\n{}\n{}",
        crate::emit::SCRIPTS.concat(),
        RUN_SCRIPT
    );
    fingerprint.add(Stage::Trace, "Sysforge's recipe", recipe);
    for (stage, text) in *bundles {
        let name = match stage {
            Stage::Trace => "how apps and libraries are traced",
            _ => "how apps and libraries are made",
        };
        fingerprint.add(*stage, name, text.clone());
    }
    let julia = julia_identity(&build.julia);
    fingerprint.add(Stage::Trace, "the Julia", julia);
    let packages =
        json(serde_json::to_value((&build.packages, &build.closure)).unwrap_or_default());
    fingerprint.add(Stage::Trace, "the list of packages", packages);
    add_options(&mut fingerprint, options);
    if cpu::is_native(&options.emit.cpu.target) {
        // The project may be on a file system that machines with other CPUs share.
        fingerprint.add(Stage::Emit, "the CPU of this machine", cpu);
    }
    // Which files are run; their contents are separate inputs.
    let lists = json(serde_json::json!([config.workloads, config.statements]));
    fingerprint.add(Stage::Trace, "the list of workloads and statements", lists);

    let mut walk = Walk::new(digests, project, results);
    let mut paths: Vec<PathBuf> = manifest.map_or_else(Vec::new, environment);
    paths.push(project.to_path_buf());
    paths.extend_from_slice(local);
    if let Some(WorkloadEnvironment::Folder(folder)) = &config.workload_environment {
        let folder = project.join(folder);
        for file in PROJECT_NAMES.map(|name| folder.join(name)) {
            // Packages at its `[sources]`.
            paths.extend(instantiate::local_folders(&file));
            paths.push(file);
        }
    }
    paths.extend(config.workloads.iter().map(|w| project.join(&w.path)));
    paths.extend(config.statements.iter().map(|file| project.join(file)));
    if let Some(file) = build.settings.base.file() {
        paths.push(project.join(file));
    }
    paths.extend(overrides::files(depots));
    for path in paths {
        walk.add(&path).map_err(WorkDirError::Input)?;
    }
    walk.add_documents().map_err(WorkDirError::Input)?;
    for (name, digest) in std::mem::take(&mut walk.found) {
        fingerprint.0.insert(name, (Stage::Trace, digest));
    }
    if let Some(script) = &config.script {
        // The script is in the project, and other files there matter too; outside, only emission
        // reads it.
        let path = project.join(script);
        walk.add(&path).map_err(WorkDirError::Input)?;
        walk.add_documents().map_err(WorkDirError::Input)?;
        for (name, digest) in walk.found {
            fingerprint.0.insert(name, (Stage::Emit, digest));
        }
    }
    Ok(fingerprint)
}

/// Adds the options of all steps, each with its name.
fn add_options(fingerprint: &mut Fingerprint, options: &Options) {
    let Options { trace, emit, link } = options;
    let steps = [
        (Stage::Trace, serde_json::to_value(trace)),
        (Stage::Emit, serde_json::to_value(emit)),
        (Stage::Link, serde_json::to_value(link)),
    ];
    for (stage, options) in steps {
        let options = options.unwrap_or_default();
        for (name, value) in options.as_object().into_iter().flatten() {
            fingerprint.add(stage, format!("the setting `{name}`"), value.to_string());
        }
    }
}

/// Returns the files of a project's environment that Julia reads: the manifest, the packages under
/// development, and the preferences of a workspace's root, which apply to its members.
fn environment(manifest: &ManifestFile) -> Vec<PathBuf> {
    let packages = manifest.content.iter().flat_map(|m| m.packages.values());
    let paths = packages.flatten().filter_map(|entry| entry.path.as_ref());
    let mut paths: Vec<PathBuf> = paths.map(|path| manifest.folder.join(path)).collect();
    paths.push(manifest.path.clone());
    if manifest.of_workspace {
        let names = PREFERENCES_NAMES.into_iter().chain(PROJECT_NAMES);
        paths.extend(names.map(|name| manifest.folder.join(name)));
    }
    paths
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::{Strategy, any, prop, prop_assert_eq, proptest};
    use sysforge_plan::link::Strategy as Strategy_;

    use super::*;

    fn build() -> Build {
        let julia = sysforge_plan::JuliaVersion::new(1, 12, 7);
        let triplet = sysforge_plan::Triplet::X86_64_LINUX_GNU;
        let config = Config::default();
        let id = sysforge_plan::BuildId::of(
            &sysforge_plan::text::ImageName::new("x").unwrap(),
            &julia,
            triplet,
            None,
        )
        .unwrap();
        Build {
            settings: config.settings(&id),
            id,
            triplet,
            julia: PlannedJulia::Given {
                executable: "/opt/julia".into(),
                build: sysforge_plan::JuliaBuild {
                    version: julia,
                    commit: String::new(),
                    triplet,
                },
            },
            manifest: None,
            versions: sysforge_plan::plan::Versions::Manifest,
            apps: Vec::new(),
            library: None,
            image: true,
            packages: Vec::new(),
            closure: Vec::new(),
            cpu: sysforge_plan::cpu::targets(&[], triplet, "generic").remove(0),
            archive: sysforge_plan::ArchiveFormat::TarGz,
        }
    }

    /// Returns the inputs of a project with default settings and without packages.
    fn inputs<'a>(build: &'a Build, options: &'a Options, project: &'a Path) -> Inputs<'a> {
        static DEFAULT: LazyLock<Config> = LazyLock::new(Config::default);
        Inputs {
            build,
            recipe: &[],
            options,
            cpu: "",
            project,
            config: &DEFAULT,
            manifest: None,
            local: &[],
            depots: &[],
            results: &[],
        }
    }

    /// Returns the fingerprint of these inputs, with every file read anew.
    fn of(inputs: &Inputs<'_>) -> Fingerprint {
        fingerprint(inputs, &mut FileDigests::default()).unwrap()
    }

    /// Returns the fingerprint of an empty project built with these options.
    fn of_options(options: &Options) -> Fingerprint {
        let folder = tempfile::tempdir().unwrap();
        of(&inputs(&build(), options, folder.path()))
    }

    fn given() -> impl Strategy<Value = ImageOptions> {
        let strategies = prop::sample::subsequence(vec![Strategy_::Driver, Strategy_::Lld], 0..3);
        (
            any::<bool>(),
            any::<bool>(),
            prop::option::of(1..4_u32),
            prop::option::of(1..4_u32),
            prop::option::of("(gcc|clang)"),
            strategies,
        )
            .prop_map(
                |(strict, strip, rounds, image_threads, cc, linker)| ImageOptions {
                    strict,
                    strip,
                    rounds,
                    image_threads,
                    cc,
                    linker,
                },
            )
    }

    proptest! {
        #[test]
        fn options_differ_exactly_if_their_fingerprints_do(a in given(), b in given()) {
            let options = |given| Options::new(&build(), &Config::default(), given);
            let (a, b) = (options(&a), options(&b));
            prop_assert_eq!(a == b, of_options(&a).digest() == of_options(&b).digest());
            // The fingerprint of a step does not depend on options of later steps.
            let (one, other) = (of_options(&a), of_options(&b));
            prop_assert_eq!(one.up_to(Stage::Trace), other.up_to(Stage::Trace));
            prop_assert_eq!(
                a.emit == b.emit,
                one.up_to(Stage::Emit) == other.up_to(Stage::Emit)
            );
        }
    }

    #[test]
    fn an_image_for_the_cpu_of_this_machine_is_out_of_date_on_another() {
        let folder = tempfile::tempdir().unwrap();
        let on = |target: &str, cpu: &str| {
            let mut build = build();
            build.cpu.target = target.to_owned();
            let options = Options::new(&build, &Config::default(), &ImageOptions::default());
            let with_default_cpu = inputs(&build, &options, folder.path());
            of(&Inputs {
                cpu,
                ..with_default_cpu
            })
        };
        for target in ["native", "generic;native"] {
            let (one, other) = (on(target, "sse2 avx2"), on(target, "sse2"));
            let changes = other.changes_since(&one);
            assert_eq!(changes, ["the CPU of this machine changed"]);
            // The recorded statements are the same.
            assert_eq!(one.up_to(Stage::Trace), other.up_to(Stage::Trace));
        }
        assert_eq!(on("generic", "sse2 avx2"), on("generic", "sse2"));
    }

    #[test]
    fn what_a_workload_writes_into_the_project_is_no_input_while_it_stays_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let project = folder.path();
        let write = |name: &str, text: &str| std::fs::write(project.join(name), text).unwrap();
        let mut digests = FileDigests::default();
        let read = |digests: &mut FileDigests| {
            let mut walk = Walk::new(digests, project, &[]);
            walk.add(project).unwrap();
            let mut fingerprint = Fingerprint::default();
            for (name, digest) in walk.found {
                fingerprint.0.insert(name, (Stage::Trace, digest));
            }
            fingerprint
        };
        write("workload.jl", "1");
        let before = read(&mut digests);
        write("data.csv", "a,b");
        write("new.jl", "2");
        let after = read(&mut digests);
        note_generated(&before, &after, &mut digests);
        // A source is attributed to the user, even if it appeared during the trace.
        assert_eq!(read(&mut digests).changes_since(&before), ["new.jl is new"]);
        write("data.csv", "a,b,c");
        let changes = read(&mut digests).changes_since(&before);
        assert_eq!(changes, ["data.csv is new", "new.jl is new"]);
    }

    #[test]
    fn a_redirected_artifact_is_a_part() {
        let folder = tempfile::tempdir().unwrap();
        let depot = folder.path().join("depot");
        let project = folder.path().join("project");
        let target = folder.path().join("target");
        for path in [&project, &target, &depot.join("artifacts")] {
            std::fs::create_dir_all(path).unwrap();
        }
        let options = Options::new(&build(), &Config::default(), &ImageOptions::default());
        let digest = || {
            let build = build();
            let without_depot = inputs(&build, &options, &project);
            let depots = std::slice::from_ref(&depot);
            of(&Inputs {
                depots,
                ..without_depot
            })
            .digest()
        };
        let without = digest();
        // A literal string: a Windows path has backslashes.
        let text = format!("{} = '{}'\n", "a".repeat(40), target.display());
        std::fs::write(depot.join("artifacts/Overrides.toml"), text).unwrap();
        let with = digest();
        assert_ne!(without, with);
        std::fs::write(target.join("rates.csv"), "1").unwrap();
        assert_ne!(with, digest());
    }

    #[test]
    fn a_local_package_of_the_workloads_is_an_input() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("app/src/App.jl", "");
        let uuid = "\"8dfed614-0000-4000-8000-85e1c5234f0d\"\n";
        write(
            "bench/Project.toml",
            &format!("[deps]\nData = {uuid}[sources]\nData = {{ path = \"../Data\" }}\n"),
        );
        write(
            "Data/Project.toml",
            &format!("name = \"Data\"\nuuid = {uuid}"),
        );
        let config = Config {
            workload_environment: Some(WorkloadEnvironment::Folder("../bench".to_owned())),
            ..Config::default()
        };
        let options = Options::new(&build(), &config, &ImageOptions::default());
        let digest = || {
            let (build, project) = (build(), folder.path().join("app"));
            let with_defaults = inputs(&build, &options, &project);
            of(&Inputs {
                config: &config,
                ..with_defaults
            })
            .digest()
        };
        let before = digest();
        write("Data/src/Data.jl", "module Data\nend\n");
        assert_ne!(before, digest());
    }
}
