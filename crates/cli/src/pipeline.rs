//! From a project to a plan: its files are read, each Julia request is answered, and the pure
//! planning does the rest. Making what is planned is `forge.rs`.

use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use sysforge_acquire::Lease;
use sysforge_build::inputs::{self, Basis, FileDigests, Options};
use sysforge_build::statements;
use sysforge_build::trace::{self, TraceError};
use sysforge_build::{instantiate, probe};
use sysforge_plan::catalogue::Catalogue;
use sysforge_plan::link::LinkerChoice;
use sysforge_plan::plan::{Build, PlanError, PlannedJulia, Versions};
use sysforge_plan::receipt::JuliaOrigin;
use sysforge_plan::{JuliaFacts, Os, Plan, Request, Triplet};

use crate::args::{ImageOptions, PackageOptions};
use crate::failure::{CliError, Failure};
pub(crate) use crate::forge::Forge;
use crate::project::{self, ProjectFiles};
use crate::session::{Session, absolute};

/// A plan, and what it was made from.
pub(crate) struct Planned {
    pub(crate) files: ProjectFiles,
    pub(crate) plan: Plan,
    nightlies: Vec<HeldNightly>,
}

/// A nightly build that was fetched to make the plan. It stays in the store, where no catalogue
/// would find it again, for as long as the plan is carried out.
struct HeldNightly {
    executable: PathBuf,
    origin: JuliaOrigin,
    _lease: Lease,
}

impl Planned {
    /// A plan whose Julias all come from the catalogue.
    pub(crate) fn without_nightlies(files: ProjectFiles, plan: Plan) -> Self {
        Self {
            files,
            plan,
            nightlies: Vec::new(),
        }
    }

    /// The options that decide what `build` becomes.
    pub(crate) fn options(&self, build: &Build, given: &ImageOptions) -> Options {
        Options::new(build, &self.files.inputs.config, &given.given())
    }

    /// The parts that decide what `build` becomes.
    pub(crate) fn basis(
        &self,
        session: &Session,
        build: &Build,
        given: &ImageOptions,
    ) -> Result<Basis, Failure> {
        let folder = &self.files.folder;
        let build_folder = session.build_folder(folder);
        let mut digests = session
            .digests
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let digests =
            digests.get_or_insert_with(|| FileDigests::open(build_folder.join("digests.json")));
        let store = session.global.store.as_deref().map(absolute);
        let results = [folder.join("dist"), build_folder];
        // What a depot in the project holds is installed, and named by the manifest.
        let depots = project::depots();
        let named = crate::github::variable(session, "SYSFORGE_DEPOT");
        let named = named.map(|depot| absolute(Path::new(&depot)));
        let results = results.into_iter().chain(store).chain(named);
        let results: Vec<PathBuf> = results.chain(depots.iter().cloned()).collect();
        let local = match build.versions {
            Versions::Resolved { .. } => instantiate::local_folders(&self.files.file),
            Versions::Manifest => Vec::new(),
        };
        let basis = inputs::basis(
            &inputs::Inputs {
                build,
                options: &self.options(build, given),
                project: folder,
                config: &self.files.inputs.config,
                manifest: self.files.inputs.manifests.of(build.julia.version()),
                local: &local,
                depots: &depots,
                results: &results,
            },
            digests,
        )?;
        digests.save();
        Ok(basis)
    }

    /// Notes files that this command wrote, in case they are in the project.
    pub(crate) fn note_results(&self, session: &Session, files: &[PathBuf]) -> Result<(), Failure> {
        let folder = &self.files.folder;
        let mut digests = session
            .digests
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let path = session.build_folder(folder).join("digests.json");
        let digests = digests.get_or_insert_with(|| FileDigests::open(path));
        inputs::note_results(folder, files, digests)?;
        digests.save();
        Ok(())
    }

    /// Notes which files the workloads wrote into the project since `before`.
    pub(crate) fn note_generated(
        &self,
        session: &Session,
        build: &Build,
        given: &ImageOptions,
        before: &Basis,
    ) -> Result<(), Failure> {
        let after = self.basis(session, build, given)?;
        let mut digests = session
            .digests
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(digests) = digests.as_mut() {
            inputs::note_generated(before, &after, digests);
            digests.save();
        }
        Ok(())
    }

    /// Refuses a build whose versions would have to be resolved, if `--locked` forbids that.
    pub(crate) fn require_locked(
        &self,
        build: &Build,
        options: &PackageOptions,
    ) -> Result<(), PlanError> {
        match (&build.versions, options.locked) {
            (Versions::Resolved { because }, true) => Err(PlanError::Locked {
                because: because.clone(),
                wanted: build.julia.version().clone(),
            }),
            _ => Ok(()),
        }
    }

    /// Where a Julia that no catalogue names came from.
    pub(crate) fn origin(&self, executable: &Path) -> JuliaOrigin {
        let mut nightlies = self.nightlies.iter();
        let nightly = nightlies.find(|held| held.executable == executable);
        nightly.map_or(JuliaOrigin::Given, |held| held.origin.clone())
    }

    /// Where archives go: where it was said, or `dist` in the project.
    pub(crate) fn dist(&self, given: Option<&Path>) -> PathBuf {
        given.map_or_else(|| self.files.folder.join("dist"), absolute)
    }
}

/// Reads the project and makes the plan for this machine's platform.
pub(crate) async fn plan(session: &Session, select: &[String]) -> Result<Planned, Failure> {
    plan_for(session, &session.global.julia, select).await
}

/// The same for these requests instead of the given ones.
pub(crate) async fn plan_for(
    session: &Session,
    requests: &[String],
    select: &[String],
) -> Result<Planned, Failure> {
    let host = Session::host()?;
    let files = project::read(session.global.project.as_deref(), requests, host)?;
    require_files(&files)?;
    let mut julias = Vec::new();
    let mut catalogue: Option<Catalogue> = None;
    let mut nightlies = Vec::new();
    for request in files.inputs.requests()? {
        julias.push(answer(session, &request, &mut catalogue, &mut nightlies).await?);
    }
    let plan = files.inputs.plan(julias).map_err(|error| match &error {
        PlanError::UnknownPackage { name, .. } => files.located(&name.clone(), error),
        _ => error.into(),
    })?;
    let plan = plan.select(select)?;
    for warning in &plan.warnings {
        let hint = Some(warning.hint.clone());
        session.reporter.warn(&warning.message, hint);
    }
    Ok(Planned {
        files,
        plan,
        nightlies,
    })
}

/// Makes sure that the files that `Sysimage.toml` names exist and that those with statements are
/// readable, so that every command says so at once.
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
        .chain(config.script.iter().map(|path| ("script", path.as_str())));
    trace::require_files(&files.folder, named).map_err(|error| match &error {
        TraceError::NoSuchFile { path, .. } => files.located(&path.clone(), error),
        _ => error.into(),
    })?;
    let paths = config.statements.iter().map(|path| files.folder.join(path));
    statements::read(&paths.collect::<Vec<_>>(), &files.folder)?;
    Ok(())
}

async fn answer(
    session: &Session,
    request: &Request,
    catalogue: &mut Option<Catalogue>,
    nightlies: &mut Vec<HeldNightly>,
) -> Result<PlannedJulia, Failure> {
    let given = match (local(session, request)?, request.nightly()) {
        (Some(executable), _) => executable,
        (None, Some(branch)) => nightly(session, branch, nightlies).await?,
        (None, None) => {
            let catalogue = match catalogue {
                Some(known) => known,
                None => catalogue.insert(session.acquirer()?.catalogue().await?),
            };
            let choice = catalogue.choose(request, Session::host()?)?;
            return Ok(PlannedJulia::Catalogue {
                request: request.to_string(),
                choice,
            });
        }
    };
    let facts = ask(session, &given).await?;
    Ok(PlannedJulia::Given {
        executable: given,
        build: facts.build(),
    })
}

/// Gets the newest nightly build of a branch, and holds it.
async fn nightly(
    session: &Session,
    branch: Option<(u64, u64)>,
    nightlies: &mut Vec<HeldNightly>,
) -> Result<PathBuf, Failure> {
    let julia = session
        .acquirer()?
        .nightly(branch, Session::host()?)
        .await?;
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

/// The executable that a request names which is on this machine already: of a directory, or the
/// one on the search path. `None`: it names a release or a nightly build.
pub(crate) fn local(session: &Session, request: &Request) -> Result<Option<PathBuf>, Failure> {
    match request {
        Request::Directory(path) => Ok(Some(probe::executable_at(&absolute(path))?)),
        Request::System => Ok(Some(system_julia(session)?)),
        _ => Ok(None),
    }
}

/// The `julia` on the search path.
fn system_julia(session: &Session) -> Result<PathBuf, CliError> {
    let path = session.environment.get("PATH").unwrap_or_default();
    let name = format!("julia{}", std::env::consts::EXE_SUFFIX);
    std::env::split_paths(path)
        .map(|folder| folder.join(&name))
        .find(|candidate| candidate.is_file())
        .ok_or(CliError::NoSystemJulia)
}

/// Asks a Julia about itself, once.
pub(crate) async fn ask(session: &Session, executable: &Path) -> Result<JuliaFacts, Failure> {
    let Session {
        environment,
        children,
        reporter,
        asked,
        ..
    } = session;
    let known = || asked.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(facts) = known().get(executable) {
        return Ok(facts.clone());
    }
    let facts = probe::probe(executable, environment, children, reporter).await?;
    known().insert(executable.to_owned(), facts.clone());
    Ok(facts)
}

/// Which linker the user asked for.
pub(crate) fn linker(options: &ImageOptions) -> Result<LinkerChoice, CliError> {
    let host = Session::host().map_or(Os::Linux, Triplet::os);
    Ok(match &options.cc {
        // Named for this one call, it comes before what JULIA_CC says.
        _ if !options.linker.is_empty() => LinkerChoice::Only(options.linker.clone()),
        Some(words) => LinkerChoice::parse(words, host)?,
        None => LinkerChoice::Auto,
    })
}
