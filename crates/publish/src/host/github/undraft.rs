//! Making a draft public that an earlier call filled: without the images at hand, from what the
//! host itself says of its files. And finding the newest release, for those who add to it.

use sysforge_plan::release::{INDEX_NAME, SUMS_NAME};

use super::GitHub;
use super::api::{Asset, Release};
use super::drafts::choose;
use super::lease::LOCK_NAME;
use super::rights::require_token;
use crate::documents::sums;
use crate::error::PublishError;
use crate::fetch::{self, Sink};
use crate::report::{AssetOutcome, AssetReport, Outcome, Published};

/// A list of checksums has some hundred bytes per file, and a release at most a thousand files.
const SUMS_LIMIT: usize = 1 << 20;

/// Makes the draft of `tag` public, once every file that its `SHA256SUMS` names is there whole.
///
/// # Errors
///
/// If there is no draft, somebody works on it, it is not complete, or the host refuses.
pub async fn undraft(host: &GitHub, tag: &str) -> Result<Published, PublishError> {
    require_token(host)?;
    let look = |failure| host.error("look for the release", failure);
    if let Some(public) = host.public_release(tag).await.map_err(look)? {
        return Ok(report(host, &public, &[], Outcome::Unchanged));
    }
    let drafts = host.drafts(tag).await.map_err(look)?;
    let draft = choose(drafts).ok_or_else(|| PublishError::NoDraft(tag.to_owned()))?;
    let release = draft.release;
    let assets = host
        .assets(release.id)
        .await
        .map_err(|failure| host.error("list the files of the release", failure))?;
    check(host, tag, &assets).await?;
    let body = release.body.as_deref().unwrap_or_default();
    let public = match host.make_public(release.id, body).await {
        Ok(public) => public,
        Err(failure) => match host.release(release.id).await {
            // The answer may be lost, and the release public all the same.
            Ok(Some(now)) if !now.draft => now,
            _ => return Err(host.creation_error(tag, failure)),
        },
    };
    Ok(report(host, &public, &assets, Outcome::Published))
}

/// The tag of the newest public release, if there is one.
///
/// # Errors
///
/// If the host cannot be asked.
pub async fn newest(host: &GitHub) -> Result<Option<String>, PublishError> {
    let latest = host.latest().await;
    let latest = latest.map_err(|failure| host.error("look for the newest release", failure))?;
    Ok(latest.map(|release| release.tag_name))
}

/// Whether the draft holds what its own list says, and nobody works on it.
async fn check(host: &GitHub, tag: &str, assets: &[Asset]) -> Result<(), PublishError> {
    let incomplete = |what: String| PublishError::Incomplete {
        tag: tag.to_owned(),
        what,
    };
    let named = |name: &str| assets.iter().find(|asset| asset.name == name);
    if let Some(lock) = named(LOCK_NAME) {
        return Err(PublishError::Another {
            tag: tag.to_owned(),
            who: lock.label.clone().unwrap_or_default(),
        });
    }
    for name in [INDEX_NAME, SUMS_NAME] {
        if named(name).is_none_or(|asset| !asset.is_uploaded()) {
            return Err(incomplete(format!("it lacks `{name}`")));
        }
    }
    let list = named(SUMS_NAME).map_or(0, |asset| asset.id);
    let mut sink = Sink::memory(SUMS_LIMIT);
    fetch::read(|| host.download(list), &mut sink, None, &host.timing, None)
        .await
        .map_err(|failure| host.error("read SHA256SUMS of the draft", failure))?;
    let text = sink.into_bytes();
    for (name, sha256) in sums::read(&String::from_utf8_lossy(&text)) {
        let Some(asset) = named(&name).filter(|asset| asset.is_uploaded()) else {
            return Err(incomplete(format!("it lacks `{name}`")));
        };
        if asset.sha256().is_some_and(|found| found != sha256) {
            return Err(incomplete(format!("`{name}` has other bytes than listed")));
        }
    }
    Ok(())
}

fn report(host: &GitHub, release: &Release, assets: &[Asset], outcome: Outcome) -> Published {
    Published {
        outcome,
        tag: release.tag_name.clone(),
        place: release.html_url.clone(),
        actions: Vec::new(),
        assets: assets
            .iter()
            .map(|asset| AssetReport {
                name: asset.name.clone(),
                size: asset.size,
                outcome: AssetOutcome::Kept,
            })
            .collect(),
        requests: host.requests(),
        bytes_sent: 0,
        rechecked: 0,
    }
}

#[cfg(test)]
mod tests;
