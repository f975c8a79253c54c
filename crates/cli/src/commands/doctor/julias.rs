//! The Julias that a build would begin with: whether each is here, or could be fetched.

use std::path::Path;

use sysforge_engine::EngineError;
use sysforge_plan::plan::PlannedJulia;
use sysforge_plan::request::ProjectJulia;
use sysforge_plan::{Request, Triplet};

use super::Finding;
use crate::failure::Failure;
use crate::session::Session;

const CHECK: &str = "julia";

/// What there is to say of the Julias, and those of them of which the version is known.
pub(super) struct Julias {
    pub(super) findings: Vec<Finding>,
    pub(super) known: Vec<PlannedJulia>,
}

/// Looks for the Julias of the project, or of the command line.
pub(super) async fn look(triplet: Triplet, session: &Session) -> Julias {
    let mut julias = Julias {
        findings: Vec::new(),
        known: Vec::new(),
    };
    let requests = match requests(session) {
        Ok(requests) => requests,
        Err(failure) => {
            julias.findings.push(missing(&failure));
            return julias;
        }
    };
    for request in requests {
        match one(&request, triplet, session).await {
            Ok((found, julia)) => {
                julias.findings.push(Finding::good(CHECK, found));
                julias.known.extend(julia);
            }
            Err(failure) => julias.findings.push(missing(&failure)),
        }
    }
    julias
}

fn missing(failure: &Failure) -> Finding {
    Finding::missing(
        CHECK,
        failure,
        "sysforge --mirror URL|DIR …, or --julia DIR for an installed one",
    )
}

/// The requests that a build would begin with: the command line's, else the project's.
fn requests(session: &Session) -> Result<Vec<Request>, Failure> {
    let global = &session.global;
    let host = Session::host()?;
    match session.engine.location.read(&global.julia, host) {
        Ok(files) => Ok(files.inputs.requests()?),
        // Another line says what is wrong with the project.
        Err(_) => {
            let asked = match global.julia.as_slice() {
                [] => vec!["release".to_owned()],
                asked => asked.to_vec(),
            };
            let silent = ProjectJulia::default();
            asked
                .iter()
                .map(|text| Ok(text.parse::<Request>()?.for_project(&silent)?))
                .collect()
        }
    }
}

/// How one request stands, and the Julia if its version is known.
async fn one(
    request: &Request,
    triplet: Triplet,
    session: &Session,
) -> Result<(String, Option<PlannedJulia>), Failure> {
    if let Some(executable) = session.engine.local_julia(request)? {
        return given(&executable, session).await;
    }
    let Some(branch) = request.nightly() else {
        return from_catalogue(request, triplet, session).await;
    };
    let installed = session
        .engine
        .acquirer()?
        .installed_nightly(branch, triplet)?;
    match installed {
        Some(julia) => {
            let found = format!("`{request}` was fetched to {}", julia.prefix.display());
            let (_, known) = given(&julia.executable, session).await?;
            Ok((found, known))
        }
        None if session.engine.network.offline => Err(EngineError::NotInstalled {
            what: format!("Julia {request}"),
            command: format!("sysforge julia install {request}"),
        }
        .into()),
        None => Ok((format!("`{request}` is still to be fetched"), None)),
    }
}

async fn from_catalogue(
    request: &Request,
    triplet: Triplet,
    session: &Session,
) -> Result<(String, Option<PlannedJulia>), Failure> {
    let acquirer = session.engine.acquirer()?;
    let choice = acquirer.catalogue().await?.choose(request, triplet)?;
    let state = match acquirer.installed(&choice)? {
        Some(julia) => format!("installed in {}", julia.prefix.display()),
        None => {
            acquirer.may_fetch(&choice)?;
            format!("{} MB to fetch", choice.file.size / 1_000_000)
        }
    };
    let found = format!("{} answers `{request}`; {state}", choice.version);
    let request = request.to_string();
    Ok((found, Some(PlannedJulia::Catalogue { request, choice })))
}

/// A Julia of this machine, which is asked what it is.
async fn given(
    executable: &Path,
    session: &Session,
) -> Result<(String, Option<PlannedJulia>), Failure> {
    let facts = session.engine.ask(executable).await?;
    let found = format!("{} in {}", facts.version, executable.display());
    let julia = PlannedJulia::Given {
        executable: executable.to_owned(),
        build: facts.build(),
    };
    Ok((found, Some(julia)))
}
