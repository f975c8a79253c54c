//! From a project to a plan: reads the project's files, resolves each Julia request, and calls the
//! planning functions, which do no I/O. `runner.rs` runs the plan.

use std::path::{Path, PathBuf};

use sysforge_acquire::Lease;
use sysforge_build::inputs::{self, FileDigests, Fingerprint, Options, Stage};
use sysforge_build::trace::{self, TraceError};
use sysforge_build::{base, emit, instantiate, machine, statements};
use sysforge_bundle as bundle;
use sysforge_bundle::launcher::Described;
use sysforge_bundle::observe::Planned as PlannedApp;
use sysforge_plan::catalogue::Catalogue;
use sysforge_plan::config::{Base, WorkloadEnvironment};
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
use crate::paths::require_folder;
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
pub struct Emission {
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
    pub fn emission(&self, build: &Build, given: &ImageOptions) -> Emission {
        let generation = Generation::of(build.julia.version()).unwrap_or(&Generation::all()[0]);
        let targets = memory::held_targets(generation, &build.settings.base, &build.cpu);
        let repl = build.has_session_packages();
        let emission = memory::Emission { targets, repl };
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
        Emission {
            memory: memory::predicted(generation, emission, threads),
            threads,
            targets: targets.count(),
            multiple: memory::compared_with_one(generation, targets),
        }
    }

    /// Whether a file outside of the project and the packages changed that Julia read for the last
    /// image of `build`.
    pub fn outside_changed(&self, engine: &Engine, build: &Build) -> bool {
        let folder = engine.build_folder_of(&self.files.folder);
        !emit::changed_outside(&folder.join(build.id.as_str())).is_empty()
    }

    /// Whether the last image of `build`, whose receipt this is, contains a path of the folder in which the
    /// project was then and is no more.
    pub fn contains_old_path(&self, engine: &Engine, build: &Build, receipt: &Receipt) -> bool {
        let project = &self.files.folder;
        let root = engine.build_folder_of(project).join(build.id.as_str());
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
        if let Some(depot) = packages::named_depot(engine, &self.files, &options.packages) {
            require_folder(&depot)?;
        }
        linker(&options.image)?;
        Ok(self.require_locked(build, &options.packages)?)
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
    for unusable in packages::unusable(engine, &files) {
        engine.reporter.warn(unusable.message, Some(unusable.hint));
    }
    for warning in &plan.warnings {
        let hint = Some(warning.hint.clone());
        engine.reporter.warn(&warning.message, hint);
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

/// Makes sure that the files named in `Sysimage.toml` exist and that statement files are readable,
/// so that every command reports this at once.
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
        TraceError::NoSuchFile { path, .. } | TraceError::IsFolder { path, .. } => {
            files.located(&path.clone(), error)
        }
        _ => error.into(),
    })?;
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
