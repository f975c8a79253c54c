//! The addresses of release hosts and the credentials for them, as the environment names them.

use sysforge_publish::PublishError;
use sysforge_publish::host::github::Access;
use sysforge_publish::host::s3::S3Access;
use sysforge_publish::install::open_release::SourceOptions;

use crate::session::Session;

/// An environment variable that is set to something.
pub(crate) fn variable(session: &Session, name: &str) -> Option<String> {
    session.variables.text(name)
}

/// The access to a repository that the environment describes.
pub(crate) fn access(session: &Session, repository: &str) -> Result<Access, PublishError> {
    let network = session.engine.network.clone();
    Access::from_variables(|name| variable(session, name), repository, network)
}

/// The storage service that the environment describes.
pub(crate) fn s3_access(session: &Session) -> S3Access {
    S3Access::from_variables(|name| variable(session, name))
}

/// How releases are read. A source names its repository itself; attestations are not looked up.
pub(crate) fn source_options(
    session: &Session,
    drafts: bool,
) -> Result<SourceOptions, PublishError> {
    Ok(SourceOptions {
        github: access(session, "")?,
        s3: s3_access(session),
        timing: session.timing(),
        drafts,
        attestations: false,
    })
}
