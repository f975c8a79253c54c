//! Step 1: checks before anything is sent.

use sysforge_plan::release::is_good_tag;

use super::GitHub;
use super::api::Repository;
use crate::Secret;
use crate::error::PublishError;
use crate::host::failure::Failure;
use crate::report::{Outcome, Published};

/// Checks that the token could publish to the repository, as far as the host reports: only step 1,
/// before any build. `tag` may be empty if it is not known yet.
///
/// # Errors
///
/// [`PublishError::BadTag`] if the tag is not valid, [`PublishError::NoToken`] if there is no
/// token; also if the repository does not exist, is archived or may only be read, or the request
/// fails.
pub async fn preflight(host: &GitHub, tag: &str) -> Result<Published, PublishError> {
    if !tag.is_empty() && !is_good_tag(tag) {
        return Err(PublishError::BadTag(tag.to_owned()));
    }
    require_token(host)?;
    require_rights(host).await?;
    Ok(Published {
        requests: host.requests(),
        ..Published::new(Outcome::Ready, tag, &host.access.repository)
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

/// Checks whether the token may publish, as far as the host reports.
pub(super) async fn require_rights(host: &GitHub) -> Result<(), PublishError> {
    let answer = host.repository().await;
    let repository = answer.map_err(|failure| repository_error(host, failure))?;
    check_rights(host, &repository)
}

fn check_rights(host: &GitHub, repository: &Repository) -> Result<(), PublishError> {
    let name = host.access.repository.clone();
    if repository.archived {
        return Err(PublishError::Archived(name));
    }
    // For tokens of apps, such as the automatic one of Actions, the host reports no permissions, or
    // that there are none, not even for the read just made. A missing permission shows only at the
    // first write.
    let app = host.access.token.as_ref().is_some_and(Secret::is_of_app);
    let told = repository.permissions.as_ref();
    match told.filter(|told| told.pull && !app) {
        Some(told) if !told.push => Err(PublishError::NoRights {
            repository: name,
            message: "it may read only".to_owned(),
        }),
        _ => Ok(()),
    }
}
