//! From a project to a plan: its files are read, each Julia request is answered, and the pure
//! planning does the rest. Making what is planned is `forge.rs`.

use std::path::{Path, PathBuf};

use sysforge_build::inputs::{self, Basis, Stage};
use sysforge_build::probe;
use sysforge_plan::catalogue::Catalogue;
use sysforge_plan::link::LinkerChoice;
use sysforge_plan::plan::{Build, PlannedJulia};
use sysforge_plan::{JuliaFacts, Os, Plan, Request, Triplet};

use crate::args::Driving;
use crate::failure::{CliError, Failure};
pub(crate) use crate::forge::Forge;
use crate::project::{self, ProjectFiles};
use crate::session::{Session, absolute};

/// A plan, and what it was made from.
pub(crate) struct Planned {
    pub(crate) files: ProjectFiles,
    pub(crate) plan: Plan,
}

impl Planned {
    /// The parts that decide what `build` becomes.
    pub(crate) fn basis(&self, build: &Build, driving: &Driving) -> Result<Basis, Failure> {
        let mut basis = inputs::basis(&inputs::Inputs {
            build,
            plan: &self.plan,
            project: &self.files.folder,
            config: &self.files.inputs.config,
            manifest: self.files.inputs.manifest.as_ref(),
        })?;
        // What the command line says counts as much.
        if let Some(rounds) = driving.rounds {
            basis.add(Stage::Emit, "the setting `rounds`", rounds.to_string());
        }
        if driving.strip {
            basis.add(Stage::Link, "the setting `strip`", "true");
        }
        let linker = format!("{:?} {:?}", driving.cc, driving.linker);
        basis.add(Stage::Link, "the linker that was asked for", linker);
        Ok(basis)
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
    let global = &session.global;
    let read = |julia| project::read(global.project.as_deref(), julia, requests, host);
    let mut files = read(None)?;
    let mut julias = Vec::new();
    let mut catalogue: Option<Catalogue> = None;
    for request in files.inputs.requests()? {
        julias.push(answer(session, &request, &mut catalogue).await?);
    }
    // Only now is it known whether a manifest for this very Julia comes first.
    if let [only] = julias.as_slice() {
        files = read(Some(only.version()))?;
    }
    let plan = files.inputs.plan(julias)?.select(select)?;
    Ok(Planned { files, plan })
}

async fn answer(
    session: &Session,
    request: &Request,
    catalogue: &mut Option<Catalogue>,
) -> Result<PlannedJulia, Failure> {
    let given = match request {
        Request::Directory(path) => probe::executable_at(&absolute(path))?,
        Request::System => system_julia(session)?,
        Request::Nightly => {
            session
                .acquirer()?
                .nightly(None, Session::host()?)
                .await?
                .executable
        }
        Request::NightlyOf(major, minor) => {
            let branch = Some((*major, *minor));
            session
                .acquirer()?
                .nightly(branch, Session::host()?)
                .await?
                .executable
        }
        _ => {
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

/// The `julia` on the search path.
pub(crate) fn system_julia(session: &Session) -> Result<PathBuf, CliError> {
    let path = session.environment.get("PATH").unwrap_or_default();
    let name = format!("julia{}", std::env::consts::EXE_SUFFIX);
    std::env::split_paths(path)
        .map(|folder| folder.join(&name))
        .find(|candidate| candidate.is_file())
        .ok_or(CliError::NoSystemJulia)
}

/// Asks a Julia about itself.
pub(crate) async fn ask(session: &Session, executable: &Path) -> Result<JuliaFacts, Failure> {
    let Session {
        environment,
        children,
        reporter,
        ..
    } = session;
    Ok(probe::probe(executable, environment, children, reporter).await?)
}

/// Which linker the user asked for.
pub(crate) fn linker(driving: &Driving) -> Result<LinkerChoice, CliError> {
    let host = Session::host().map_or(Os::Linux, Triplet::os);
    Ok(match &driving.cc {
        // Named for this one call, it comes before what JULIA_CC says.
        _ if !driving.linker.is_empty() => LinkerChoice::Only(driving.linker.clone()),
        Some(words) => LinkerChoice::parse(words, host)?,
        None => LinkerChoice::Auto,
    })
}
