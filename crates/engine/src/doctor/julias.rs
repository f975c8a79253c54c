//! The Julias that a build would need: whether each is installed, or can be downloaded.

use std::path::Path;

use sysforge_plan::plan::PlannedJulia;
use sysforge_plan::request::ProjectJulia;
use sysforge_plan::{Request, Triplet};

use super::Finding;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::failure::Failure;

const CHECK: &str = "julia";

/// The findings about the Julias, and the Julias whose version is known.
pub(super) struct Julias {
    pub(super) findings: Vec<Finding>,
    pub(super) known: Vec<PlannedJulia>,
}

/// Looks for the requested Julias, or for those of the project.
pub(super) async fn look(asked: &[String], triplet: Triplet, engine: &Engine) -> Julias {
    let mut julias = Julias {
        findings: Vec::new(),
        known: Vec::new(),
    };
    let requests = match requests(asked, engine) {
        Ok(requests) => requests,
        Err(failure) => {
            julias.findings.push(missing(&failure));
            return julias;
        }
    };
    for request in requests {
        match one(&request, triplet, engine).await {
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

/// Returns the requests of a build: those that were given, else the project's.
fn requests(asked: &[String], engine: &Engine) -> Result<Vec<Request>, Failure> {
    match engine.location.read(asked, Engine::host()?) {
        Ok(files) => Ok(files.inputs.requests()?),
        // Another check reports what is wrong with the project.
        Err(_) => {
            let release = ["release".to_owned()];
            let asked = if asked.is_empty() { &release } else { asked };
            let unknown = ProjectJulia::default();
            let requests = asked.iter();
            requests
                .map(|text| Ok(text.parse::<Request>()?.for_project(&unknown)?))
                .collect()
        }
    }
}

/// Checks one request. Returns the Julia if its version is known.
async fn one(
    request: &Request,
    triplet: Triplet,
    engine: &Engine,
) -> Result<(String, Option<PlannedJulia>), Failure> {
    if let Some(executable) = engine.local_julia(request)? {
        return given(&executable, engine).await;
    }
    let Some(branch) = request.nightly() else {
        return from_catalogue(request, triplet, engine).await;
    };
    match engine.acquirer()?.installed_nightly(branch, triplet)? {
        Some(julia) => {
            let found = format!("`{request}` was fetched to {}", julia.prefix.display());
            let (_, known) = given(&julia.executable, engine).await?;
            Ok((found, known))
        }
        None if engine.network.offline => Err(EngineError::NotInstalled {
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
    engine: &Engine,
) -> Result<(String, Option<PlannedJulia>), Failure> {
    let acquirer = engine.acquirer()?;
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

/// Queries a Julia of this machine.
async fn given(
    executable: &Path,
    engine: &Engine,
) -> Result<(String, Option<PlannedJulia>), Failure> {
    let facts = engine.ask(executable).await?;
    let found = format!("{} in {}", facts.version, executable.display());
    let julia = PlannedJulia::Given {
        executable: executable.to_owned(),
        build: facts.build(),
    };
    Ok((found, Some(julia)))
}
