//! The Julia that an image is installed for.

use std::path::Path;

use sysforge_acquire::Lease;
use sysforge_plan::{JuliaFacts, JuliaVersion, Request};

use crate::failure::Failure;
use crate::prompt;
use crate::session::Session;

/// A Julia at hand, held in the store if it lies there.
pub(super) struct LocalJulia {
    pub(super) facts: JuliaFacts,
    _lease: Option<Lease>,
}

/// The Julia to install for: the given one; the one that `--julia` names, which is downloaded if it names
/// a version that is not in the store; or the one on the search path. `None`: there is none.
pub(super) async fn local_julia(
    given: Option<&Path>,
    session: &Session,
) -> Result<Option<LocalJulia>, Failure> {
    let ask = async |executable: &Path| -> Result<JuliaFacts, Failure> {
        session.engine.ask(executable).await
    };
    if let Some(executable) = given {
        if !executable.is_file() {
            return Ok(None);
        }
        let facts = ask(executable).await?;
        return Ok(Some(LocalJulia {
            facts,
            _lease: None,
        }));
    }
    let request: Request = match session.global.julia.first() {
        Some(text) => text.parse()?,
        None => Request::System,
    };
    let executable = match session.engine.local_julia(&request) {
        Ok(Some(executable)) => executable,
        Ok(None) => return fetched(&request, session).await.map(Some),
        // Nobody asked for it.
        Err(_) if session.global.julia.is_empty() => return Ok(None),
        Err(error) => return Err(error),
    };
    let facts = ask(&executable).await?;
    Ok(Some(LocalJulia {
        facts,
        _lease: None,
    }))
}

/// Offers to get the Julia that an image is for; `None`: nobody said yes.
pub(super) async fn offer(
    version: &str,
    yes: bool,
    session: &Session,
) -> Result<Option<LocalJulia>, Failure> {
    let question = format!("The image is for Julia {version}, which is not at hand. Get it?");
    session.progress.clear();
    if !yes && prompt::confirm(&question, session.terminal).await != Some(true) {
        return Ok(None);
    }
    fetched(&version.parse()?, session).await.map(Some)
}

/// The first of these versions that the store has. Nothing is fetched.
pub(super) async fn in_store(
    versions: impl IntoIterator<Item = &JuliaVersion>,
    session: &Session,
) -> Result<Option<LocalJulia>, Failure> {
    for version in versions {
        let request = Request::Exact(version.clone());
        if let Some(found) = stored(&request, session).await? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

async fn stored(request: &Request, session: &Session) -> Result<Option<LocalJulia>, Failure> {
    let Some(installed) = session
        .engine
        .acquirer()?
        .stored(request, Session::host()?)?
    else {
        return Ok(None);
    };
    Ok(Some(LocalJulia {
        facts: session.engine.ask(&installed.executable).await?,
        _lease: Some(installed.lease),
    }))
}

/// Finds a Julia in the store, or fetches it.
async fn fetched(request: &Request, session: &Session) -> Result<LocalJulia, Failure> {
    if let Some(found) = stored(request, session).await? {
        return Ok(found);
    }
    let acquirer = session.engine.acquirer()?;
    let choice = acquirer
        .catalogue()
        .await?
        .choose(request, Session::host()?)?;
    let installed = acquirer.julia(&choice).await?;
    Ok(LocalJulia {
        facts: session.engine.ask(&installed.executable).await?,
        _lease: Some(installed.lease),
    })
}
