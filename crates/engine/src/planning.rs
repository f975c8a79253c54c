//! From a project to a plan: reads the project's files, resolves each Julia request, and calls the
//! planning functions, which do no I/O. `runner.rs` runs the plan.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sysforge_acquire::Lease;
use sysforge_build::inputs::{self, FileDigests, Fingerprint, Options, Stage};
use sysforge_build::trace::{self, TraceError};
use sysforge_build::{base, emit, instantiate, link, machine, statements};
use sysforge_bundle as bundle;
use sysforge_bundle::launcher::Described;
use sysforge_bundle::observe::Planned as PlannedApp;
use sysforge_plan::catalogue::Catalogue;
use sysforge_plan::config::{Base, WorkloadEnvironment};
use sysforge_plan::encoding;
use sysforge_plan::environment::LocalPackage;
use sysforge_plan::generation::Generation;
use sysforge_plan::memory::Multiple;
use sysforge_plan::plan::{Build, PlanError, PlannedJulia, Versions};
use sysforge_plan::receipt::JuliaOrigin;
use sysforge_plan::release::choose::Kind;
use sysforge_plan::{Config, Plan, Receipt, Request, Triplet, memory};
use sysforge_publish::install::Installed;

use crate::engine::Engine;
use crate::error::EngineError;
use crate::failure::Failure;
use crate::install::warn_of_unusable;
use crate::options::{BuildOptions, ImageOptions, PackageOptions, linker};
use crate::packages;
use crate::paths::{absolute, read_file, require_folder, require_listable_folder};
use crate::project::ProjectFiles;

/// A plan, and the files that it was made from.
pub struct Planned {
    /// The project.
    pub files: ProjectFiles,
    /// The plan.
    pub plan: Plan,
    nightlies: Vec<HeldNightly>,
}

/// Expected resources for emitting an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct ExpectedEmission {
    /// Memory, in bytes, for a project with few packages.
    #[serde(rename = "memory_bytes")]
    pub memory: u64,
    /// Threads that generate code.
    pub threads: u32,
    /// Number of CPU targets in the image.
    pub targets: u64,
    /// Time and size in percent of those for one target, if this was measured with such a Julia.
    #[serde(flatten)]
    pub multiple: Option<Multiple>,
}

/// A nightly build that was downloaded for the plan. It must stay in the store until the plan has
/// been carried out, since no catalogue lists it.
struct HeldNightly {
    executable: PathBuf,
    origin: JuliaOrigin,
    _lease: Lease,
}

impl Planned {
    /// A plan whose Julias all come from the catalogue.
    pub fn without_nightlies(files: ProjectFiles, plan: Plan) -> Self {
        Self {
            files,
            plan,
            nightlies: Vec::new(),
        }
    }

    /// Returns the options that determine the result of `build`.
    pub fn options(&self, build: &Build, given: &ImageOptions) -> Options {
        Options::new(build, &self.files.inputs.config, given)
    }

    /// Returns the parts that determine the result of `build`.
    ///
    /// # Errors
    ///
    /// If an input exists but cannot be read, or the entry point of an app is not valid.
    pub fn fingerprint(
        &self,
        engine: &Engine,
        build: &Build,
        given: &BuildOptions,
    ) -> Result<Fingerprint, Failure> {
        let folder = &self.files.folder;
        let build_folder = engine.build_folder_of(folder);
        let mut digests = engine.digests();
        let digests =
            digests.get_or_insert_with(|| FileDigests::open(build_folder.join("digests.json")));
        let store = engine.store.clone();
        let results = [folder.join("dist"), build_folder];
        // Packages in a depot inside the project are installed files, and the manifest names them.
        let depots = packages::depots(engine, &self.files, Some(build), &given.packages);
        let depots = depots.folders();
        let results = results.into_iter().chain(store);
        let results: Vec<PathBuf> = results.chain(depots.iter().cloned()).collect();
        let of_workloads = &self.files.inputs.config.workload_environment;
        let local = match (&build.versions, of_workloads) {
            // The manifest lists all others.
            (Versions::Manifest, None) => Vec::new(),
            _ => instantiate::local_folders(&self.files.file),
        };
        let fingerprint = inputs::fingerprint(
            &inputs::Inputs {
                build,
                recipe: &recipe(build, &self.files.inputs.config)?,
                options: &self.options(build, &given.image),
                cpu: &crate::cpu::features(),
                project: folder,
                config: &self.files.inputs.config,
                manifest: self.files.inputs.manifests.of(build.julia.version()),
                local: &local,
                depots,
                results: &results,
            },
            digests,
        )?;
        digests.save();
        Ok(fingerprint)
    }

    /// Records files that this command wrote, in case they are in the project.
    ///
    /// # Errors
    ///
    /// If one of the files exists but cannot be read.
    pub fn note_results(&self, engine: &Engine, files: &[PathBuf]) -> Result<(), Failure> {
        let folder = &self.files.folder;
        let mut digests = engine.digests();
        let path = engine.build_folder_of(folder).join("digests.json");
        let digests = digests.get_or_insert_with(|| FileDigests::open(path));
        inputs::note_results(folder, files, digests)?;
        digests.save();
        Ok(())
    }

    /// Records which files the workloads wrote into the project between these two states.
    pub fn note_generated(&self, engine: &Engine, before: &Fingerprint, after: &Fingerprint) {
        let mut digests = engine.digests();
        if let Some(digests) = digests.as_mut() {
            inputs::note_generated(before, after, digests);
            digests.save();
        }
    }

    /// Returns the resources that emitting this build is expected to need on this machine.
    pub fn emission(&self, build: &Build, given: &ImageOptions) -> ExpectedEmission {
        let generation = Generation::of(build.julia.version()).unwrap_or(&Generation::all()[0]);
        let targets = memory::held_targets(generation, &build.settings.base, &build.cpu);
        let repl = build.has_session_packages();
        let emission = memory::EmissionScope { targets, repl };
        let threads = match given.image_threads {
            _ if !generation.image_threads => 1,
            Some(threads) => threads,
            None => memory::image_threads(
                generation,
                emission,
                machine::cpus(),
                machine::free_memory(),
            ),
        };
        ExpectedEmission {
            memory: memory::predicted(generation, emission, threads),
            threads,
            targets: targets.count(),
            multiple: memory::compared_with_one(generation, targets),
        }
    }

    /// Returns the folder in which a build is made, with its records and logs.
    pub fn folder_of(&self, engine: &Engine, build: &Build) -> PathBuf {
        let folder = engine.build_folder_of(&self.files.folder);
        folder.join(build.id.as_str())
    }

    /// Whether a file outside of the project and the packages changed that Julia read for the last
    /// image of `build`.
    pub fn outside_changed(&self, engine: &Engine, build: &Build) -> bool {
        !emit::changed_outside(&self.folder_of(engine, build)).is_empty()
    }

    /// Whether the last image of `build`, whose receipt this is, contains a path of the folder from which the
    /// project has been moved.
    pub fn contains_old_path(&self, engine: &Engine, build: &Build, receipt: &Receipt) -> bool {
        let (project, root) = (&self.files.folder, self.folder_of(engine, build));
        let portability = receipt.check.portability.as_ref();
        portability.is_some_and(|found| emit::path_before_move(&root, project, found).is_some())
    }

    /// Refuses options that cannot be used, before any slow step.
    ///
    /// # Errors
    ///
    /// If the store, build directory or depot that the user has named cannot be a folder, or the
    /// command of the compiler is not valid; [`PlanError::Locked`] if `--locked` is given and
    /// versions must be resolved.
    pub fn check_options(
        &self,
        engine: &Engine,
        build: &Build,
        options: &BuildOptions,
    ) -> Result<(), Failure> {
        engine.require_folders()?;
        let depot = packages::named_depot(engine, &self.files, &options.packages);
        if let Some(depot) = &depot {
            require_folder(depot)?;
        }
        let named = [depot.as_deref(), engine.build_folder.as_deref()];
        require_listable_folder(&self.files.folder)?;
        named
            .into_iter()
            .flatten()
            .try_for_each(require_listable_folder)?;
        linker(&options.image)?;
        Ok(self.require_locked(build, &options.packages)?)
    }

    /// Checks that the programs which the user has named are on this machine: the compiler, and the command
    /// before the Julia of each workload.
    ///
    /// # Errors
    ///
    /// If one of them is not, or the command of the compiler is not valid.
    pub fn require_programs(
        &self,
        engine: &Engine,
        build: &Build,
        options: &ImageOptions,
    ) -> Result<(), Failure> {
        let environment = engine.environment.clone().with_all(&build.settings.env);
        link::require_program(&linker(options)?, &environment)?;
        let workloads = &self.files.inputs.config.workloads;
        trace::require_commands(&self.files.folder, workloads, &environment)?;
        Ok(())
    }

    /// Refuses a build whose versions are not resolved yet, if `--locked` is given.
    fn require_locked(&self, build: &Build, options: &PackageOptions) -> Result<(), PlanError> {
        match (&build.versions, options.locked) {
            (Versions::Resolved { because }, true) => Err(PlanError::Locked {
                because: because.clone(),
                wanted: build.julia.version().clone(),
            }),
            _ => Ok(()),
        }
    }

    /// Returns the origin of a Julia that is not from the catalogue.
    pub fn origin(&self, executable: &Path) -> JuliaOrigin {
        let mut nightlies = self.nightlies.iter();
        let nightly = nightlies.find(|held| held.executable == executable);
        nightly.map_or(JuliaOrigin::Given, |held| held.origin.clone())
    }

    /// Returns the default folder of archives: `dist` in the project.
    pub fn dist(&self) -> PathBuf {
        self.files.folder.join("dist")
    }
}

/// Reads the project and makes the plan for this machine's platform. The Julias are those of
/// `requests`, or those of the project if it is empty; the builds are those that `select` names.
///
/// # Errors
///
/// If the project cannot be read, a request cannot be resolved, or nothing is selected.
pub async fn plan(
    engine: &Engine,
    requests: &[String],
    select: &[String],
) -> Result<Planned, Failure> {
    let host = Engine::host()?;
    let files = engine.location.read(requests, host)?;
    require_files(&files)?;
    let mut julias = Vec::new();
    let mut catalogue: Option<Catalogue> = None;
    let mut nightlies = Vec::new();
    for request in files.inputs.requests()? {
        julias.push(answer(engine, &request, &mut catalogue, &mut nightlies).await?);
    }
    let mut plan = files.plan(julias)?.select(select)?;
    let resolves = |build: &Build| matches!(build.versions, Versions::Resolved { .. });
    if plan.builds.iter().any(resolves) {
        instantiate::require_sources(&files.file)?;
    }
    resolve_bases(engine, &mut plan).await?;
    for (project, manifest) in engine.location.missing_manifests(&files.file) {
        engine.reporter.warn(
            format!("{project} names the manifest `{manifest}`, which does not exist"),
            Some("Julia then takes Manifest.toml: correct `manifest`, or remove it".to_owned()),
        );
    }
    for unusable in packages::unusable(engine, &files) {
        engine.reporter.warn(unusable.message, Some(unusable.hint));
    }
    for warning in &plan.warnings {
        let hint = engine.runnable(warning.hint.clone());
        engine.reporter.warn(&warning.message, Some(hint));
    }
    Ok(Planned {
        files,
        plan,
        nightlies,
    })
}

/// Finds the installed images that builds are based on, and makes sure that each local Julia has the
/// sources that a fresh base needs, if one is requested.
///
/// # Errors
///
/// If an image is not installed for the Julia, or a Julia has no sources.
pub async fn resolve_bases(engine: &Engine, plan: &mut Plan) -> Result<(), Failure> {
    for build in &mut plan.builds {
        if let Base::Release { release, file } = &mut build.settings.base {
            let images = engine.images()?;
            let installed = images.list().map_err(Failure::from)?;
            let found = installed_base(&installed, release, &build.julia, build.triplet);
            if found.is_err() {
                // It may be one that cannot be used.
                warn_of_unusable(&images, &engine.reporter)?;
            }
            let image = found?;
            *file = Some(image);
        }
    }
    for build in &plan.builds {
        if let PlannedJulia::Given { executable, .. } = &build.julia
            && build.settings.base == Base::Fresh
        {
            base::require_sources(&engine.ask(executable).await?)?;
        }
    }
    Ok(())
}

/// Returns the file of the image that was installed from a release for a Julia.
fn installed_base(
    installed: &[Installed],
    release: &str,
    julia: &PlannedJulia,
    triplet: Triplet,
) -> Result<PathBuf, EngineError> {
    let is_from = |image: &&Installed| {
        let source = match release.contains('@') {
            true => format!("{}@{}", image.source.latest(), image.tag),
            false => image.source.latest().to_string(),
        };
        source == release && image.kind() == Kind::Image
    };
    let fits = |image: &&Installed| {
        let built_for = &image.built_for;
        built_for.version == *julia.version() && built_for.triplet == triplet
    };
    let fitting: Vec<_> = installed.iter().filter(is_from).filter(fits).collect();
    match fitting.as_slice() {
        [one] => Ok(one.image.clone()),
        [] => Err(EngineError::NoBase {
            release: release.to_owned(),
            julia: julia.version().to_string(),
        }),
        several => {
            let ids = several.iter().map(|image| image.build_id.to_string());
            Err(EngineError::SeveralBases {
                release: release.to_owned(),
                ids: ids.collect(),
            })
        }
    }
}

/// Makes sure that the packages in local folders which go into the image can be loaded, among them the
/// project itself.
///
/// # Errors
///
/// If one of them cannot.
pub(crate) fn require_packages(files: &ProjectFiles, build: &Build) -> Result<(), Failure> {
    let project = &files.inputs.project;
    let is_itself = |name: &str, uuid: &str| {
        project.is_package()
            && project.uuid.as_deref() == Some(uuid)
            && project.name.as_deref() == Some(name)
    };
    let manifest = files.inputs.manifests.of(build.julia.version());
    let content = manifest.and_then(|file| Some((file, file.content.as_ref().ok()?)));
    let resolves = matches!(build.versions, Versions::Resolved { .. });
    for package in &build.closure {
        if is_itself(&package.name, &package.uuid) {
            instantiate::require_entry(&files.file, &package.name)?;
            continue;
        }
        // When versions are resolved, `[sources]` counts for more than the manifest.
        if resolves && project.sources.contains(&package.name) {
            continue;
        }
        let Some((file, content)) = content else {
            continue;
        };
        let entry = content.entry(&package.name, Some(&package.uuid));
        if let Some(path) = entry.and_then(|entry| entry.path.as_ref()) {
            let package = LocalPackage {
                name: package.name.clone(),
                uuid: package.uuid.clone(),
                folder: absolute(&file.folder.join(path)),
            };
            instantiate::require_developed(&file.name, &package)?;
        }
    }
    Ok(())
}

/// Makes sure that the files named in `Sysimage.toml` exist and are listed once, and that Julia can read
/// the scripts among them and Sysforge the files of statements, so that every command reports this at once.
fn require_files(files: &ProjectFiles) -> Result<(), Failure> {
    let config = &files.inputs.config;
    let workloads = config.workloads.iter();
    let named = workloads
        .map(|workload| ("workload", workload.path.as_str()))
        .chain(
            config
                .statements
                .iter()
                .map(|path| ("statement file", path.as_str())),
        )
        .chain(config.script.iter().map(|path| ("script", path.as_str())))
        .chain(config.bases().map(|path| ("base", path.as_str())))
        .chain(
            config
                .library
                .iter()
                .flat_map(|library| &library.headers)
                .map(|path| ("header", path.as_str())),
        )
        .chain(
            config
                .apps
                .iter()
                .flat_map(|app| &app.runs)
                .flat_map(|run| &run.files)
                .map(|path| ("file of a run", path.as_str())),
        );
    trace::require_files(&files.folder, named).map_err(|error| match &error {
        TraceError::NoSuchFile { path, .. }
        | TraceError::IsFolder { path, .. }
        | TraceError::NotRegular { path, .. } => files.located(&path.clone(), error),
        _ => error.into(),
    })?;
    require_once(files)?;
    let workloads = config.workloads.iter().map(|workload| &workload.path);
    for path in workloads.chain(&config.script) {
        let bytes = read_file(&files.folder.join(path))?;
        encoding::require_source(path, &bytes)?;
    }
    if let Some(environment @ WorkloadEnvironment::Folder(name)) = &config.workload_environment
        && !environment.is_test()
    {
        let folder = files.folder.join(name);
        instantiate::require_environment(name, &folder).map_err(|e| files.located(name, e))?;
    }
    let paths = config.statements.iter().map(|path| files.folder.join(path));
    statements::read(&paths.collect::<Vec<_>>(), &files.folder)?;
    Ok(())
}

/// Refuses a workload or a file of statements that is listed twice, with its path written in two ways.
fn require_once(files: &ProjectFiles) -> Result<(), Failure> {
    let config = &files.inputs.config;
    let workloads = config.workloads.iter();
    let workloads = workloads.map(|workload| {
        let how = (workload.args.as_slice(), workload.prefix.as_slice());
        ("workloads", workload.path.as_str(), how)
    });
    let statements = config.statements.iter();
    let none: &[String] = &[];
    let statements = statements.map(|path| ("statements", path.as_str(), (none, none)));
    let mut listed = BTreeMap::new();
    for (key, path, how) in workloads.chain(statements) {
        let file = absolute(&files.folder.join(path));
        if let Some(earlier) = listed.insert((key, file, how), path) {
            let error = EngineError::ListedTwice {
                key,
                path: path.to_owned(),
                earlier: earlier.to_owned(),
            };
            return Err(files.located(path, error));
        }
    }
    Ok(())
}

/// Returns the apps of a build, with their runs.
pub(crate) fn apps(build: &Build, config: &Config) -> Result<Vec<PlannedApp>, Failure> {
    let mut apps = Vec::new();
    for (app, planned) in config.apps.iter().zip(&build.apps) {
        apps.push(PlannedApp {
            app: Described {
                name: app.name.clone(),
                package: planned.package.clone(),
                uuid: planned.uuid.clone(),
                // Checked when the configuration was read.
                entry: app.entry.parse().map_err(EngineError::Entry)?,
                options: app.julia_args.clone(),
            },
            runs: app.runs.clone(),
        });
    }
    Ok(apps)
}

/// Returns the text of the scripts that trace and make the apps and the library of a build.
fn recipe(build: &Build, config: &Config) -> Result<Vec<(Stage, String)>, Failure> {
    let mut parts = Vec::new();
    let mut traces = String::new();
    if !build.apps.is_empty() {
        traces.push_str(&bundle::recipe::of_traces(&apps(build, config)?));
    }
    if build.library.is_some() {
        traces.push_str(&bundle::recipe::of_libraries());
    }
    if !traces.is_empty() {
        parts.push((Stage::Trace, traces));
        parts.push((Stage::Link, bundle::recipe::of_bundles()));
    }
    Ok(parts)
}

async fn answer(
    engine: &Engine,
    request: &Request,
    catalogue: &mut Option<Catalogue>,
    nightlies: &mut Vec<HeldNightly>,
) -> Result<PlannedJulia, Failure> {
    let given = match (engine.local_julia(request)?, request.nightly()) {
        (Some(executable), _) => executable,
        (None, Some(branch)) => nightly(engine, branch, nightlies).await?,
        (None, None) => {
            let catalogue = match catalogue {
                Some(known) => known,
                None => catalogue.insert(engine.acquirer()?.catalogue().await?),
            };
            let choice = catalogue.choose(request, Engine::host()?)?;
            return Ok(PlannedJulia::Catalogue {
                request: request.to_string(),
                choice,
            });
        }
    };
    let facts = engine.ask(&given).await?;
    Ok(PlannedJulia::Given {
        executable: given,
        build: facts.build(),
    })
}

/// Downloads the newest nightly build of a branch, and keeps it from being pruned.
async fn nightly(
    engine: &Engine,
    branch: Option<(u64, u64)>,
    nightlies: &mut Vec<HeldNightly>,
) -> Result<PathBuf, Failure> {
    let julia = engine.acquirer()?.nightly(branch, Engine::host()?).await?;
    let origin = match (julia.source, julia.sha256) {
        (Some(url), Some(sha256)) => JuliaOrigin::Nightly { url, sha256 },
        _ => JuliaOrigin::Given,
    };
    nightlies.push(HeldNightly {
        executable: julia.executable.clone(),
        origin,
        _lease: julia.lease,
    });
    Ok(julia.executable)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use sysforge_plan::{Explain as _, JuliaVersion};

    use super::*;
    use crate::{Environment, Location};

    /// The note of an image that was installed from `octo/images`.
    fn installed(name: &str, julia: &str, tag: &str) -> Installed {
        let id = format!("{name}-julia{julia}-x86_64-linux-gnu");
        let note = json!({
            "schema": "sysforge-installed/1",
            "image": format!("/images/{id}-{tag}.so"),
            "build_id": id,
            "name": name,
            "source": { "git-hub": { "repository": "octo/images", "tag": null } },
            "tag": tag,
            "sha256": "00".repeat(32),
            "built_for": { "version": julia, "commit": "", "triplet": "x86_64-linux-gnu" },
            "julia": "/julia/bin/julia",
        });
        serde_json::from_value(note).unwrap()
    }

    fn given(version: &str) -> PlannedJulia {
        PlannedJulia::Given {
            executable: "/julia/bin/julia".into(),
            build: sysforge_plan::julia::JuliaBuild {
                version: version.parse::<JuliaVersion>().unwrap(),
                commit: String::new(),
                triplet: Triplet::X86_64_LINUX_GNU,
            },
        }
    }

    const DEV: &str = "0e0c2a52-8f0f-4a7b-9a2b-6b1f3f6f0001";

    /// Creates a project with these files in the folder `p`.
    fn project(files: &[(&str, &[u8])]) -> (tempfile::TempDir, ProjectFiles) {
        let root = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = root.path().join("p").join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        let location = Location::in_folder(root.path().join("p"));
        let found = location.read(&[], Triplet::X86_64_LINUX_GNU).unwrap();
        (root, found)
    }

    /// Returns why the packages of a project for Julia 1.12.5 cannot be loaded.
    fn unloadable(files: &[(&str, &[u8])]) -> Option<String> {
        let (_root, files) = project(files);
        let plan = files.plan(vec![given("1.12.5")]).unwrap();
        let failure = require_packages(&files, &plan.builds[0]).err()?;
        assert_eq!(failure.exit_code(), 2);
        Some(failure.to_string())
    }

    #[test]
    fn a_developed_package_that_is_missing_is_refused() {
        let deps = format!("[deps]\nDev = {DEV:?}\n");
        let manifest = format!(
            "julia_version = \"1.12.5\"\nmanifest_format = \"2.0\"\n[[deps.Dev]]\npath = \"dev\"\n\
             uuid = {DEV:?}\nversion = \"0.1.0\"\n"
        );
        let of_project = [
            ("Project.toml", deps.as_bytes()),
            ("Manifest.toml", manifest.as_bytes()),
        ];
        let refused = unloadable(&of_project).unwrap();
        assert!(
            refused.contains("Manifest.toml has the package `Dev` in"),
            "{refused}"
        );
        assert!(refused.ends_with("dev, which does not exist"), "{refused}");
        let source: (&str, &[u8]) = ("dev/src/Dev.jl", b"module Dev end");
        assert_eq!(unloadable(&[of_project[0], of_project[1], source]), None);
        // It is not in the image.
        let dates = format!("{deps}Dates = \"ade2ca70-3891-5945-98fb-dc099432e06a\"\n");
        let manifest =
            format!("{manifest}[[deps.Dates]]\nuuid = \"ade2ca70-3891-5945-98fb-dc099432e06a\"\n");
        let without = [
            ("Project.toml", dates.as_bytes()),
            ("Manifest.toml", manifest.as_bytes()),
            ("Sysimage.toml", b"packages = [\"Dates\"]\n"),
        ];
        assert_eq!(unloadable(&without), None);
    }

    #[test]
    fn a_package_without_source_is_refused_only_if_it_goes_into_the_image() {
        let text = format!(
            "name = \"Dev\"\nuuid = {DEV:?}\n[deps]\nDates = \"ade2ca70-3891-5945-98fb-dc099432e06a\"\n"
        );
        let package = ("Project.toml", text.as_bytes());
        let refused = unloadable(&[package]).unwrap();
        assert!(refused.contains("it has no src/Dev.jl"), "{refused}");
        assert_eq!(
            unloadable(&[package, ("Sysimage.toml", b"packages = [\"Dates\"]\n")]),
            None
        );
    }

    #[test]
    fn a_file_that_is_listed_under_two_names_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let late = folder.path().join("late");
        std::fs::create_dir_all(late.join("dir")).unwrap();
        std::fs::write(late.join("Project.toml"), "").unwrap();
        std::fs::write(late.join("w.jl"), "precompile(f, ())\n").unwrap();
        let refused = |text: &str| {
            std::fs::write(late.join("Sysimage.toml"), text).unwrap();
            let location = Location::in_folder(&late);
            let files = location.read(&[], Triplet::X86_64_LINUX_GNU).unwrap();
            require_files(&files)
                .err()
                .map(|failure| failure.to_string())
        };
        for (text, said) in [
            (
                "workloads = [\"w.jl\", \"./w.jl\"]",
                "`./w.jl` in `workloads` is the same file as `w.jl`",
            ),
            (
                "workloads = [\"w.jl\", \"dir/../w.jl\"]",
                "`dir/../w.jl` in `workloads`",
            ),
            (
                "workloads = [\"../late/w.jl\", \"w.jl\"]",
                "is the same file as `../late/w.jl`",
            ),
            (
                "statements = [\"w.jl\", \"./w.jl\"]",
                "`./w.jl` in `statements`",
            ),
        ] {
            let refused = refused(text).unwrap();
            assert!(refused.contains(said), "{refused}");
        }
        let arguments = "workloads = [\"w.jl\", { path = \"./w.jl\", args = [\"x\"] }]\nstatements = \"w.jl\"\n";
        assert_eq!(refused(arguments), None);
    }

    #[test]
    fn a_script_or_workload_in_utf_16_is_refused() {
        let utf16: Vec<u8> = "println(1)"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        for text in [
            "workloads = \"w.jl\"\n",
            "script = \"w.jl\"\n",
            "statements = \"w.jl\"\n",
        ] {
            let (_root, files) = project(&[
                ("Project.toml", b""),
                ("Sysimage.toml", text.as_bytes()),
                ("w.jl", &utf16),
            ]);
            let failure = require_files(&files).unwrap_err();
            assert_eq!(
                failure.to_string(),
                "w.jl is UTF-16 text, and must be UTF-8",
                "{text}"
            );
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_workload_that_is_a_pipe_or_a_device_is_no_regular_file() {
        for key in ["workloads", "statements", "script"] {
            let text = format!("{key} = \"/dev/null\"\n");
            let (_root, files) =
                project(&[("Project.toml", b""), ("Sysimage.toml", text.as_bytes())]);
            let said = require_files(&files).unwrap_err().to_string();
            assert!(said.contains("`/dev/null` is not a regular file"), "{said}");
        }
    }

    #[test]
    fn a_manifest_that_the_project_names_and_that_does_not_exist_is_found() {
        let (_root, files) = project(&[("Project.toml", b"manifest = \"X.toml\"\n")]);
        let location = Location::in_folder(&files.folder);
        let missing = location.missing_manifests(&files.file);
        assert_eq!(missing.len(), 1);
        assert_eq!(missing[0].1, "X.toml");
        std::fs::write(files.folder.join("X.toml"), "").unwrap();
        assert!(location.missing_manifests(&files.file).is_empty());
    }

    #[test]
    fn programs_that_are_not_on_this_machine_are_refused_before_the_build() {
        let text = b"workloads = [{ path = \"w.jl\", prefix = [\"nonexistentprog\"] }]\n";
        let (root, files) = project(&[
            (
                "Project.toml",
                format!("[deps]\nDates = {DEV:?}\n").as_bytes(),
            ),
            ("Sysimage.toml", text),
            ("w.jl", b""),
        ]);
        let plan = files.plan(vec![given("1.12.5")]).unwrap();
        let planned = Planned::without_nightlies(files, plan);
        let environment = Environment::new([("PATH".into(), root.path().into())]);
        let engine = Engine::new(None, Location::in_folder(root.path()), environment);
        let build = &planned.plan.builds[0];
        let refused = |options: &ImageOptions| {
            let failure = planned
                .require_programs(&engine, build, options)
                .unwrap_err();
            (failure.exit_code(), failure.to_string())
        };
        let (code, said) = refused(&ImageOptions::default());
        assert_eq!(code, 2);
        assert!(said.contains("`nonexistentprog`"), "{said}");
        let cc = ImageOptions {
            cc: Some("nope".to_owned()),
            ..ImageOptions::default()
        };
        let (code, said) = refused(&cc);
        assert_eq!(code, 4);
        assert!(said.contains("`nope`"), "{said}");
    }

    #[test]
    fn a_base_is_the_image_of_the_release_for_the_same_julia() {
        let linux = Triplet::X86_64_LINUX_GNU;
        let images = [
            installed("core", "1.10.2", "v1.0.0"),
            installed("core", "1.12.5", "v1.0.0"),
            installed("core", "1.12.5", "v2.0.0"),
        ];
        let base =
            |release: &str, julia: &str| installed_base(&images, release, &given(julia), linux);
        let file = |path: &str| PathBuf::from(format!("/images/core-julia{path}.so"));
        assert_eq!(
            base("octo/images", "1.10.2").unwrap(),
            file("1.10.2-x86_64-linux-gnu-v1.0.0")
        );
        assert_eq!(
            base("octo/images@v2.0.0", "1.12.5").unwrap(),
            file("1.12.5-x86_64-linux-gnu-v2.0.0")
        );
        let error = base("octo/images", "1.12.5").unwrap_err();
        assert!(error.to_string().contains("several images"), "{error}");
        for (release, julia) in [
            ("octo/images", "1.11.1"),
            ("octo/images@v3", "1.12.5"),
            ("octo/other", "1.10.2"),
        ] {
            let error = base(release, julia).unwrap_err();
            let hint = format!("install it with `sysforge install {release} --julia {julia}`");
            assert_eq!(error.hints()[0], hint, "{error}");
        }
    }
}
