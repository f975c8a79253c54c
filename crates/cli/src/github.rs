//! GitHub's addresses and its token, as the environment names them.

use sysforge_publish::PublishError;
use sysforge_publish::Secret;
use sysforge_publish::host::github::Access;
use sysforge_publish::install::open_release::SourceOptions;

use crate::failure::Failure;
use crate::session::Session;

/// An environment variable that is set to something.
pub(crate) fn variable(session: &Session, name: &str) -> Option<String> {
    session.variables.text(name)
}

/// How to reach GitHub, as Actions and `gh` say it: github.com, or Enterprise.
pub(crate) fn access(session: &Session, repository: &str) -> Result<Access, Failure> {
    let api = variable(session, "GITHUB_API_URL").unwrap_or_else(|| API.to_owned());
    let api: url::Url = api.parse().map_err(|_| PublishError::Address(api))?;
    let web = match variable(session, "GITHUB_SERVER_URL") {
        Some(web) => web.parse().map_err(|_| PublishError::Address(web))?,
        None if api.as_str().trim_end_matches('/') == API => WEB
            .parse()
            .map_err(|_| PublishError::Address(WEB.to_owned()))?,
        // Enterprise serves its pages where it serves its API.
        None => api
            .join("/")
            .map_err(|_| PublishError::Address(api.to_string()))?,
    };
    let token = variable(session, "GITHUB_TOKEN").or_else(|| variable(session, "GH_TOKEN"));
    Ok(Access {
        api,
        web,
        repository: repository.to_owned(),
        token: token.map(|token| Secret::new(&token)),
        network: session.engine.network.clone(),
    })
}

/// How to reach the places of releases. A source names its repository itself; nobody is asked for
/// attestations.
pub(crate) fn reach(session: &Session, drafts: bool) -> Result<SourceOptions, Failure> {
    Ok(SourceOptions {
        github: access(session, "")?,
        timing: session.timing(),
        drafts,
        attestations: false,
    })
}

const API: &str = "https://api.github.com";
const WEB: &str = "https://github.com";
