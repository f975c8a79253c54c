//! Step 1: what can be found wrong before anything is sent.

use super::GitHub;
use super::api::Repository;
use super::failure::Failure;
use crate::error::PublishError;
use crate::report::{Outcome, Published};

/// Checks that the token could publish to the repository: step 1 alone, before any build.
///
/// # Errors
///
/// If it could not.
pub async fn preflight(host: &GitHub, tag: &str) -> Result<Published, PublishError> {
    require_token(host)?;
    let repository = host
        .repository()
        .await
        .map_err(|failure| repository_error(host, failure))?;
    check_rights(host, &repository)?;
    Ok(Published {
        outcome: Outcome::Ready,
        tag: tag.to_owned(),
        place: host.access.repository.clone(),
        actions: Vec::new(),
        assets: Vec::new(),
        requests: host.requests(),
        bytes_sent: 0,
        rechecked: 0,
    })
}

pub(super) fn require_token(host: &GitHub) -> Result<(), PublishError> {
    let token = host.access.token.as_ref();
    match token.filter(|token| !token.is_empty()) {
        Some(_) => Ok(()),
        None => Err(PublishError::NoToken(host.host())),
    }
}

pub(super) fn repository_error(host: &GitHub, failure: Failure) -> PublishError {
    if failure.is_not_found() {
        return PublishError::NoRepository(host.access.repository.clone());
    }
    host.error("look at the repository", failure)
}

pub(super) fn check_rights(host: &GitHub, repository: &Repository) -> Result<(), PublishError> {
    let name = host.access.repository.clone();
    if repository.archived {
        return Err(PublishError::Archived(name));
    }
    // Tokens of apps are told no permissions here; they learn theirs from the first write.
    match &repository.permissions {
        Some(permissions) if !permissions.push => Err(PublishError::NoRights {
            repository: name,
            message: "it may read only".to_owned(),
        }),
        _ => Ok(()),
    }
}
