//! Installs the packages of a build's environment before the first trace. Julia's own Pkg does it,
//! controlled by `julia/instantiate.jl`. This module decides what Pkg must do, and whether it must
//! run at all: results of an earlier run are looked up without starting Julia.
//!
//! Nothing is written to the project: if versions must be resolved, that happens in a folder of the
//! build.

mod auth;
mod error;
mod folder;
mod job;
mod limits;
mod loadable;
mod lock;
mod remains;
mod report;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sysforge_files::check_writable;
use sysforge_plan::config::{LazyArtifacts, WorkloadEnvironment};
use sysforge_plan::environment::{Located, changed_versions, with_relative_paths};
use sysforge_plan::manifest::Manifest;
use sysforge_plan::plan::Versions;
use sysforge_plan::project::{PREFERENCES_NAMES, PROJECT_NAMES};
use sysforge_plan::receipt::{PackageRecord, PreferenceRecord};
use sysforge_plan::secret::without_logins;
use sysforge_plan::{Class, Explain, Sha256, Step, Task};
use sysforge_process::{Environment, Program};

use crate::context::{Context, PackageEnvironment};
use crate::depots::Depots;
use crate::fingerprint::{Fingerprint, Stage, digest_of};
use crate::machine::free_space;
use crate::secrets;
use crate::workdir::{WorkDir, WorkDirError};

use auth::AuthFile;
pub use error::InstantiateError;
use folder::Folder;
pub use folder::{require_environment, require_sources};
pub use limits::shown_server;
pub use loadable::{require_developed, require_entry};
use remains::{LeftoverFolders, Registries};
use report::Report;

/// The script that runs Pkg.
pub(crate) const SCRIPT: &str = include_str!("julia/instantiate.jl");

/// The name under which [`Instantiated`] is recorded.
const RECORD: &str = "instantiate";

/// A request to install packages.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The project file.
    pub project: &'a Path,
    /// The project's manifest, if there is one.
    pub manifest: Option<PathBuf>,
    /// The source of the versions: that manifest, or resolving.
    pub versions: &'a Versions,
    /// A text that identifies the Julia.
    pub julia: String,
    /// Addresses of registries besides General.
    pub registries: &'a [String],
    /// Which lazy artifacts are installed.
    pub lazy_artifacts: LazyArtifacts,
    /// The packages that only the workloads need.
    pub workload_environment: Option<&'a WorkloadEnvironment>,
    /// The depots.
    pub depots: Depots,
    /// The depot to write to if the first one is not writable.
    pub spare_depot: Option<PathBuf>,
    /// The environment of the child that installs packages, including credentials.
    pub environment: Environment,
    /// The text of an `auth.toml` for the package server, which exists only while packages are
    /// installed.
    pub auth: Option<String>,
    /// Whether downloads are forbidden.
    pub offline: bool,
}

/// An environment with installed packages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instantiated {
    /// The environment with the packages.
    pub packages: PackageEnvironment,
    /// The manifest that was used, if the environment needs one.
    pub manifest: Option<PathBuf>,
    /// Whether the versions in it were resolved for this build.
    pub resolved: bool,
    /// `JULIA_DEPOT_PATH` for later children, if Julia would not use these depots by default.
    pub depot_path: Option<String>,
    /// Folders of packages and artifacts that must exist.
    folders: Vec<PathBuf>,
    /// Files of packages in the user's folders, whose contents affect what is installed.
    files: Vec<(PathBuf, Option<Sha256>)>,
    /// The tree hashes of the lazy artifacts.
    pub lazy: Vec<String>,
    /// The packages whose precompile caches a trace needs: name and UUID.
    direct: Vec<(String, String)>,
}

/// How much of an earlier installation must be unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// The request: sufficient to know which versions a build uses.
    Versions,
    /// The installed packages as well.
    Packages,
}

impl Instantiated {
    /// Returns what an earlier run installed for this request, if its inputs are unchanged. Needs
    /// no lock and no Julia.
    pub fn recorded(build_folder: &Path, request: &Request<'_>, need: Need) -> Option<Self> {
        let (fingerprint, found): (Fingerprint, Self) = WorkDir::peek(build_folder, RECORD)?;
        let same = fingerprint == request.fingerprint().ok()? && found.files_are_the_same();
        let there = need == Need::Versions || found.folders.iter().all(|folder| folder.is_dir());
        (same && there && found.manifest.iter().all(|manifest| manifest.is_file())).then_some(found)
    }

    fn files_are_the_same(&self) -> bool {
        let mut files = self.files.iter();
        files.all(|(path, digest)| digest_of_file(path) == *digest)
    }

    /// Returns the text of the manifest for other machines: paths are relative to the project, and
    /// addresses contain no logins.
    ///
    /// # Errors
    ///
    /// If the manifest cannot be read or parsed.
    pub fn portable_manifest(&self, project: &Path) -> Result<Option<String>, InstantiateError> {
        let Some(file) = &self.manifest else {
            return Ok(None);
        };
        if !self.resolved {
            let text = sysforge_files::read_text(file).map_err(folder::io("read", file))?;
            return Ok(Some(without_logins(&text)));
        }
        let table = folder::table(file)?;
        let located = Located {
            table: &table,
            folder: project,
        };
        Ok(Some(without_logins(&with_relative_paths(located))))
    }

    /// Returns the packages whose precompile caches a trace needs: name and UUID. Precompiling them
    /// also precompiles their dependencies.
    pub fn direct(&self) -> &[(String, String)] {
        &self.direct
    }

    /// Returns the folders of packages and artifacts in depots that the environment needs.
    pub fn folders(&self) -> &[PathBuf] {
        &self.folders
    }

    /// Returns the number of packages and artifacts in depots that the environment has.
    pub fn installed(&self) -> usize {
        self.folders.len()
    }
}

impl Request<'_> {
    /// Returns the inputs that decide the result.
    fn fingerprint(&self) -> Result<Fingerprint, WorkDirError> {
        let mut fingerprint = Fingerprint::default();
        let mut add = |name: &str, value: String| fingerprint.add(Stage::Trace, name, value);
        add("Sysforge's script", SCRIPT.to_owned());
        add("the Julia", self.julia.clone());
        let project_folder = self.project.parent().unwrap_or(Path::new("."));
        let settings = serde_json::json!({
            "versions": self.versions,
            "registries": self.registries,
            "lazy": self.lazy_artifacts,
            "workload": self.workload_environment,
            "manifest": self.manifest,
        });
        add("the settings", settings.to_string());
        let depots = self.depots.folders().iter();
        let depots: Vec<_> = depots.map(|depot| depot.display().to_string()).collect();
        add("the depots", depots.join("\n"));
        let mut files = vec![self.project.to_owned()];
        files.extend(self.manifest.clone());
        files.extend(PREFERENCES_NAMES.map(|name| project_folder.join(name)));
        files.push(project_folder.join("Artifacts.toml"));
        files.push(project_folder.join("deps/build.jl"));
        if let Some(folder) = self.workload_folder() {
            files.extend(PROJECT_NAMES.map(|name| folder.join(name)));
        }
        for file in files {
            let content = sysforge_files::read_bytes(&file).unwrap_or_default();
            fingerprint.add(Stage::Trace, file.display().to_string(), content);
        }
        Ok(fingerprint)
    }

    /// Returns the folder with the project file of the workload environment, if one is configured.
    fn workload_folder(&self) -> Option<PathBuf> {
        let folder = self.project.parent()?;
        match self.workload_environment? {
            WorkloadEnvironment::Folder(name) => Some(folder.join(name)),
            WorkloadEnvironment::Packages(_) => None,
        }
    }

    /// Returns the values that must not appear in logs and messages.
    fn secrets(&self) -> Vec<String> {
        let servers = self.depots.folders().iter().map(|d| d.join("servers"));
        let hosts = servers.filter_map(|servers| std::fs::read_dir(servers).ok());
        let files = hosts
            .flatten()
            .flatten()
            .map(|host| host.path().join("auth.toml"));
        let texts = files.filter_map(|file| sysforge_files::read_text(file).ok());
        let texts: Vec<String> = texts.chain(self.auth.clone()).collect();
        secrets::values(&self.environment, &texts)
    }
}

fn digest_of_file(path: &Path) -> Option<Sha256> {
    let text = sysforge_files::read_bytes(path).ok()?;
    Some(digest_of([&*String::from_utf8_lossy(&text)]))
}

/// Installs missing packages of the environment and precompiles all.
///
/// # Errors
///
/// If a project file or manifest is not valid, a local package or the workload environment is
/// missing, no depot can be written to, packages are missing offline, Pkg fails or stalls, or a
/// file in the build folder cannot be written.
pub async fn instantiate(
    context: &Context,
    request: &Request<'_>,
) -> Result<Instantiated, InstantiateError> {
    let task = context.reporter.start(Step::Instantiate, subject(request));
    let folder = Folder::new(context, request)?;
    let depots = writable_depots(context, request, folder.needs_julia())?;
    let depot_path = depots.variable(&context.julia);
    if !folder.needs_julia() {
        let done = Instantiated {
            packages: folder.packages(),
            manifest: request.manifest.clone(),
            resolved: false,
            depot_path,
            folders: Vec::new(),
            files: Vec::new(),
            lazy: Vec::new(),
            direct: Vec::new(),
        };
        record(context, request, &done)?;
        task.reused("only standard libraries");
        return Ok(done);
    }
    refuse_offline(request, &folder, &depots)?;
    let depot = depots.first().ok_or(InstantiateError::NoDepot)?;
    let _lock = lock::depot(depot, &context.reporter).await?;
    let script = Script {
        context,
        request,
        folder: &folder,
        depots: &depots,
    };
    let report = script.run(&task).await?;
    let done = Instantiated {
        packages: folder.packages(),
        manifest: folder.manifest(),
        resolved: folder.is_resolved(),
        depot_path,
        folders: report.folders(&depots),
        files: report.files(),
        lazy: report.lazy.clone(),
        direct: [folder.direct().to_vec(), report.workload()].concat(),
    };
    note_changes(context, request, &done);
    record(context, request, &done)?;
    task.done(report.summary(folder.itself().is_some() && !folder.is_resolved()));
    Ok(done)
}

fn record(
    context: &Context,
    request: &Request<'_>,
    done: &Instantiated,
) -> Result<(), InstantiateError> {
    Ok(context
        .work
        .record(RECORD, &request.fingerprint()?, &[], done)?)
}

fn subject(request: &Request<'_>) -> String {
    match request.versions {
        Versions::Manifest => "of the manifest".to_owned(),
        Versions::Resolved { .. } => "resolving versions".to_owned(),
    }
}

/// Precompiles packages whose caches are stale or missing, for example because the user changed a
/// package in a local folder. What Julia compiles while it precompiles must not be traced.
///
/// # Errors
///
/// If a package cannot be precompiled.
pub async fn precompile(
    context: &Context,
    packages: &[(String, String)],
) -> Result<(), InstantiateError> {
    if packages.is_empty() {
        return Ok(());
    }
    let task = context.reporter.start(Step::Instantiate, "caches");
    let job = job::precompile(packages);
    let program = context
        .julia(context.environment.for_julia(), "precompile")
        .args(context.without_package_images())
        .optional("--sysimage", context.base.as_ref());
    run(context, program, &job, &[], &task).await?;
    task.done("up to date");
    Ok(())
}

/// Runs the script with this job and reads its report, replacing these secrets. Afterwards removes
/// the job and the report, which may contain addresses with logins.
async fn run(
    context: &Context,
    program: Program,
    job: &str,
    secrets: &[String],
    task: &Task,
) -> Result<Report, InstantiateError> {
    let script = context.work.write("instantiate.jl", SCRIPT)?;
    let job = RemoveOnDrop(context.work.write("instantiate.job", job)?);
    let path = RemoveOnDrop(context.work.path("instantiate.tsv"));
    context.work.forget(&["instantiate.tsv"])?;
    let program = program.arg(&script).arg(&job.0).arg(&path.0);
    let ran = context.children.run(&program, task).await;
    let text = sysforge_files::read_text(&path.0).unwrap_or_default();
    let report = Report::read(&sysforge_process::redact(text, secrets));
    match ran {
        Ok(_) if report.is_done => Ok(report),
        Ok(finished) => Err(InstantiateError::no_report(
            &context.work,
            &(finished.stdout + &finished.stderr),
        )),
        Err(source) => {
            let folders = program.growing_folders().iter();
            let free = folders.filter_map(|folder| free_space(folder)).min();
            Err(InstantiateError::of(report, source, free))
        }
    }
}

/// Returns the depots; the first is writable.
fn writable_depots(
    context: &Context,
    request: &Request<'_>,
    needed: bool,
) -> Result<Depots, InstantiateError> {
    let depots = request.depots.clone();
    let problem = match depots.first() {
        None => None,
        Some(first) => match check_writable(first) {
            Ok(()) => return Ok(depots),
            Err(error) => Some((first.to_owned(), error)),
        },
    };
    match (&request.spare_depot, problem) {
        (Some(spare), problem) => {
            let spare_works = check_writable(spare);
            if let Err(source) = spare_works {
                return match needed {
                    true => Err(InstantiateError::Unwritable {
                        depot: spare.clone(),
                        source,
                    }),
                    false => Ok(depots),
                };
            }
            if let (Some((depot, error)), true) = (problem, needed) {
                context.reporter.note(format!(
                    "the depot {} cannot be written to ({error}): what is missing is installed in {}",
                    depot.display(),
                    spare.display()
                ));
            }
            Ok(depots.with_first(spare))
        }
        (None, Some((depot, source))) if needed => {
            Err(InstantiateError::Unwritable { depot, source })
        }
        (None, None) if needed => Err(InstantiateError::NoDepot),
        (None, _) => Ok(depots),
    }
}

/// Fails if packages of a manifest are missing, which is known without starting Julia.
fn refuse_offline(
    request: &Request<'_>,
    folder: &Folder,
    depots: &Depots,
) -> Result<(), InstantiateError> {
    let missing = match (request.offline, folder.used_manifest()) {
        (true, Some(manifest)) => depots.missing(manifest),
        _ => Vec::new(),
    };
    match missing.is_empty() {
        true => Ok(()),
        false => Err(InstantiateError::Offline { missing }),
    }
}

/// Reports which packages have other versions in this build than in the project's manifest.
fn note_changes(context: &Context, request: &Request<'_>, done: &Instantiated) {
    let Versions::Resolved { because } = request.versions else {
        return;
    };
    let why = because.explain(&context.julia.version);
    let read = |path: &Path| {
        let text = sysforge_files::read_text(path).ok()?;
        Manifest::from_toml("Manifest.toml", &text).ok()
    };
    let now = done.manifest.as_deref().and_then(read);
    let changes = match (request.manifest.as_deref().and_then(read), now) {
        (Some(earlier), Some(now)) => changed_versions(&earlier, &now),
        _ => Vec::new(),
    };
    let reporter = &context.reporter;
    reporter.note(format!(
        "{why}: the versions were resolved for this build, and its manifest travels with the image"
    ));
    const SHOWN: usize = 10;
    for change in changes.iter().take(SHOWN) {
        reporter.note(format!("  {change}"));
    }
    if changes.len() > SHOWN {
        reporter.note(format!("  and {} more", changes.len() - SHOWN));
    }
}

/// A run of the script that installs packages.
struct Script<'a> {
    context: &'a Context,
    request: &'a Request<'a>,
    folder: &'a Folder,
    depots: &'a Depots,
}

/// The folder of an installation's temporary files, in the depot: Pkg moves files from there to
/// their destination by renaming instead of copying, so they appear complete or not at all.
const TEMPORARY: &str = "sysforge-tmp";

/// How long a build script may produce no output, for example while it waits for something.
const BUILD_SCRIPT_IDLE: Duration = Duration::from_secs(1800);

impl Script<'_> {
    async fn run(&self, task: &Task) -> Result<Report, InstantiateError> {
        let Self {
            context,
            request,
            folder,
            depots,
        } = self;
        let depot = depots.first().ok_or(InstantiateError::NoDepot)?;
        let temporary = depot.join(TEMPORARY);
        // Files left by a killed installation.
        let _ = std::fs::remove_dir_all(&temporary);
        sysforge_files::create_folders(&temporary).map_err(|source| {
            InstantiateError::Unwritable {
                depot: depot.to_owned(),
                source,
            }
        })?;
        let _cleanup = RemoveOnDrop(temporary.clone());
        let mut environment = request
            .environment
            .for_pkg()
            .with("JULIA_PKG_PRECOMPILE_AUTO", "0")
            .with("TMPDIR", &temporary)
            .with("TEMP", &temporary)
            .with("TMP", &temporary);
        if let Some(path) = depots.variable(&context.julia) {
            environment = environment.with("JULIA_DEPOT_PATH", path);
        }
        if request.offline {
            environment = environment.with("JULIA_PKG_OFFLINE", "true");
        }
        if let Some(idle) = context.idle {
            environment = limits::stalled_downloads(environment, &temporary, idle)?;
        }
        let server = environment.get("JULIA_PKG_SERVER");
        let server = server.map(|server| server.to_string_lossy().into_owned());
        let auth = request.auth.as_deref();
        let _login = auth
            .map(|text| AuthFile::write(depot, server.as_deref(), text))
            .transpose()?;
        let journal = depot.join("logs").join("sysforge-unfinished.tsv");
        let remains = LeftoverFolders::find(depot, &journal);
        let registries = Registries::find(depot);
        let job = job::install(request, folder, &journal);
        let packages = folder.packages();
        let secrets = request.secrets();
        let shown = limits::shown_server(server.as_deref());
        let program = context
            .julia_in(&packages, environment, "instantiate")
            .args(context.without_package_images())
            .redact(secrets.clone())
            // Downloads and clones.
            .growing(vec![temporary, depot.join("clones")])
            .idle_after_line("Building", BUILD_SCRIPT_IDLE);
        let ran = run(context, program, &job, &secrets, task).await;
        match ran.map_err(|error| error.of_server(shown)) {
            Ok(report) => {
                remains.remove();
                Ok(report)
            }
            Err(error) => {
                if error.class() == Class::Machine {
                    registries.remove_changed();
                }
                Err(error.of_registry(depots.unusable_registries()))
            }
        }
    }
}

/// A file or folder that is removed when this value is dropped.
struct RemoveOnDrop(PathBuf);

impl Drop for RemoveOnDrop {
    fn drop(&mut self) {
        let _ = match self.0.is_dir() {
            true => std::fs::remove_dir_all(&self.0),
            false => std::fs::remove_file(&self.0),
        };
    }
}

/// Returns the preferences for these packages in the environment of a folder. An unreadable file
/// counts as empty: Julia has already refused it.
pub fn preferences(environment: &Path, packages: &[PackageRecord]) -> Vec<PreferenceRecord> {
    // Julia reads the first one that exists.
    let first = |files: [PathBuf; 2]| {
        let file = files.iter().find(|file| file.is_file());
        file.and_then(|file| folder::table(file).ok())
            .unwrap_or_default()
    };
    let project = first(PROJECT_NAMES.map(|name| environment.join(name)));
    let local = first(PREFERENCES_NAMES.map(|name| environment.join(name)));
    sysforge_plan::environment::preferences(&project, &local, packages)
}

/// Returns the folders of packages that a project without a manifest refers to with `[sources]` or
/// a workspace.
pub fn local_folders(project: &Path) -> Vec<PathBuf> {
    let packages = folder::local_packages(project, folder::Sources::All);
    let packages = packages.unwrap_or_default().into_iter();
    packages.map(|package| package.folder).collect()
}

/// Returns whether resolving the versions of a project may need a registry.
pub fn may_need_registry(project: &Path) -> bool {
    folder::may_need_registry(project)
}
