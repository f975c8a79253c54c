//! Making a draft public that an earlier call filled, without local images. Its checksum list, its
//! index, its provenance and its signatures must agree with each other and with the bytes at the
//! host, before and after it is made public. Also finds the newest release, for callers that add to it.

use std::collections::BTreeMap;

use sysforge_plan::Sha256;
use sysforge_plan::release::{INDEX_NAME, ReleaseIndex, SUMS_NAME};

use super::GitHub;
use super::api::{Asset, Release};
use super::drafts::choose;
use super::journal::PublishJournal;
use super::lease::{LOCK_NAME, Lease, NoLease};
use super::recheck::{Check, Computed, Depth, Verified, Was};
use super::rights::require_token;
use super::send::NEW;
use crate::documents::{provenance, sums};
use crate::error::PublishError;
use crate::fetch::{self, Sink};
use crate::report::{AssetOutcome, AssetReport, Outcome, Published};
use crate::signing::{self, SIGNATURE_END, SigningError};

/// Maximum size of a list of checksums, in bytes; it has some hundred bytes per file, and a release
/// at most a thousand files.
const SUMS_LIMIT: usize = 1 << 20;

/// Maximum size of an index, in bytes; it has some kilobytes per image.
const INDEX_LIMIT: usize = 64 << 20;

/// Makes the draft of `tag` public, if every file that its `SHA256SUMS` and its index name is
/// complete, and `SHA256SUMS` has the digest `sums`, if there is one.
///
/// # Errors
///
/// If there is no draft, another publisher uses it, it is not complete or has other files, the host
/// refuses, or a file changed meanwhile; or if the release is public already and not complete.
pub async fn finalize(
    host: &GitHub,
    tag: &str,
    sums: Option<Sha256>,
) -> Result<Published, PublishError> {
    require_token(host)?;
    let look = |failure| host.error("look for the release", failure);
    if let Some(public) = host.public_release(tag).await.map_err(look)? {
        return public_already(host, &public, sums).await;
    }
    let drafts = host.drafts(tag).await.map_err(look)?;
    let no_draft = || PublishError::NoDraft(tag.to_owned());
    let draft = choose(drafts).ok_or_else(no_draft)?;
    let id = draft.release.id;
    let lease = take(host, &draft.release).await?.ok_or_else(no_draft)?;
    // Whoever held the lock before may have changed its notes, or have made it public.
    let release = match host.release(id).await {
        Ok(Some(now)) if now.tag_name == tag => now,
        Ok(_) => return Err(host.give_up(Some(lease), tag, no_draft()).await),
        Err(failure) => return Err(host.give_up(Some(lease), tag, look(failure)).await),
    };
    if !release.draft {
        host.give_back(lease, tag).await?;
        return public_already(host, &release, sums).await;
    }
    let checking = check(host, &release, sums);
    let (checked, makes_immutable) = tokio::join!(checking, host.makes_immutable());
    let (assets, files) = match checked {
        Ok(checked) => checked,
        Err(error) => return Err(host.give_up(Some(lease), tag, error).await),
    };
    if !lease.is_listed(&assets) {
        return Err(super::lease::lost(tag));
    }
    // The lock could not be deleted from an immutable release.
    let lease = match makes_immutable {
        Some(false) => Some(lease),
        Some(true) | None => {
            host.give_back(lease, tag).await?;
            None
        }
    };
    let body = release.body.as_deref().unwrap_or_default();
    let public = match host.make_public(release.id, body).await {
        Ok(public) => public,
        Err(failure) => match host.release(release.id).await {
            // The answer may have been lost although the release is public.
            Ok(Some(now)) if !now.draft => now,
            _ => {
                let error = host.creation_error(tag, failure);
                return Err(host.give_up(lease, tag, error).await);
            }
        },
    };
    let reporter = &host.timing.reporter;
    let check = Check {
        was: Was::Draft,
        depth: Depth::List,
    };
    let checked = host.check_public(&public, &files, check, reporter).await;
    if let Err(error) = checked {
        return Err(host.end_unchecked(lease, tag, error).await);
    }
    if let Some(lease) = lease {
        host.give_back(lease, tag).await?;
    }
    Ok(report(host, &public, &assets, Outcome::Published))
}

/// Handles a release that is public before this call: there is nothing to do if it is complete.
async fn public_already(
    host: &GitHub,
    public: &Release,
    sums: Option<Sha256>,
) -> Result<Published, PublishError> {
    let of_public = |error| match error {
        PublishError::Incomplete { tag, what } => PublishError::PublicIncomplete { tag, what },
        error => error,
    };
    let (assets, _) = check(host, public, sums).await.map_err(of_public)?;
    let locked = assets.iter().any(|asset| asset.name == LOCK_NAME);
    if locked
        && public.immutable != Some(true)
        && let Some(lease) = take(host, public).await?
    {
        // The run that made it public did not finish; the files checked above may have changed
        // since.
        let checked = check(host, public, sums).await.map_err(of_public);
        let given = host.give_back(lease, &public.tag_name).await;
        checked?;
        given?;
    }
    Ok(report(host, public, &[], Outcome::Unchanged))
}

/// Takes the lock of a release, also from a dead owner; `None` if the release no longer exists.
async fn take(host: &GitHub, release: &Release) -> Result<Option<Lease>, PublishError> {
    let reporter = &host.timing.reporter;
    match host
        .take_lease(release, &PublishJournal::unsaved(), reporter)
        .await
    {
        Ok(lease) => Ok(Some(lease)),
        Err(NoLease::Gone) => Ok(None),
        Err(NoLease::Error(error)) => Err(error),
    }
}

/// Returns the tag of the newest public release, if there is one.
///
/// # Errors
///
/// If the host cannot be reached or refuses the request.
pub async fn newest(host: &GitHub) -> Result<Option<String>, PublishError> {
    let latest = host.latest().await;
    let latest = latest.map_err(|failure| host.error("look for the newest release", failure))?;
    Ok(latest.map(|release| release.tag_name))
}

/// Checks that a release agrees with its own list and its own index. Returns all its files, and
/// those of them that have a digest.
async fn check(
    host: &GitHub,
    release: &Release,
    sums: Option<Sha256>,
) -> Result<(Vec<Asset>, Vec<Verified>), PublishError> {
    let tag = &release.tag_name;
    let incomplete = |what: String| PublishError::Incomplete {
        tag: tag.clone(),
        what,
    };
    let mut assets = host.list_files(release.id).await?;
    let all = |asset: &Asset| asset.name != LOCK_NAME;
    let mut computed = Computed::new();
    host.fill_digests(&mut assets, &all, &mut computed).await?;
    let named = |name: &str| {
        assets
            .iter()
            .find(|asset| asset.name == name && asset.is_uploaded())
            .ok_or_else(|| incomplete(format!("it lacks `{name}`")))
    };
    let (index, list) = (named(INDEX_NAME)?, named(SUMS_NAME)?);
    let list = read(host, list, SUMS_LIMIT).await?;
    let found = Sha256::of(&list);
    if let Some(expected) = sums.filter(|expected| *expected != found) {
        return Err(PublishError::OtherSums {
            tag: tag.clone(),
            expected,
            found,
        });
    }
    let listed = sums::read_strictly(&String::from_utf8_lossy(&list))
        .map_err(|why| incomplete(format!("its `{SUMS_NAME}` {why}")))?;
    for (name, sha256) in &listed {
        if named(name)?.sha256() != Some(*sha256) {
            return Err(incomplete(format!("`{name}` has other bytes than listed")));
        }
    }
    let bytes = read(host, index, INDEX_LIMIT).await?;
    let index = ReleaseIndex::from_json(&bytes).map_err(|source| PublishError::Index {
        place: format!("the draft of {tag}"),
        source,
    })?;
    agree(tag, &index, &listed).map_err(incomplete)?;
    let signature = format!("{INDEX_NAME}{SIGNATURE_END}");
    for name in [provenance::NAME, provenance::SIGNED_NAME, &signature] {
        let mut there = assets.iter();
        if let Some(asset) = there.find(|asset| asset.name == name && asset.is_uploaded()) {
            let document = read(host, asset, INDEX_LIMIT).await?;
            is_about(name, &document, &index, &bytes).map_err(incomplete)?;
        }
    }
    let left = |asset: &&Asset| all(asset) && (asset.name.ends_with(NEW) || !asset.is_uploaded());
    if let Some(left) = assets.iter().find(left).filter(|_| release.draft) {
        let name = &left.name;
        return Err(incomplete(format!(
            "an interrupted run left `{name}` in it"
        )));
    }
    let files = assets.iter().filter_map(|asset| {
        // Incomplete files are in no list, and were not checked.
        let sha256 = asset.sha256().filter(|_| asset.name != LOCK_NAME)?;
        Some(Verified {
            id: asset.id,
            name: asset.name.clone(),
            size: asset.size,
            sha256,
        })
    });
    let files = files.collect();
    Ok((assets, files))
}

/// Checks that the list names the index and everything that the index names, with the same digests.
fn agree(tag: &str, index: &ReleaseIndex, listed: &BTreeMap<String, Sha256>) -> Result<(), String> {
    if index.tag != tag {
        return Err(format!("its index is that of {}", index.tag));
    }
    if !listed.contains_key(INDEX_NAME) {
        return Err(format!("its `{SUMS_NAME}` does not list `{INDEX_NAME}`"));
    }
    let files = index
        .images
        .iter()
        .flat_map(|image| image.pieces().iter().chain(&image.sbom));
    for file in files {
        match listed.get(file.name.as_str()) {
            None => {
                let name = &file.name;
                return Err(format!("its `{SUMS_NAME}` does not list `{name}`"));
            }
            Some(sha256) if *sha256 != file.sha256 => {
                let name = &file.name;
                return Err(format!(
                    "its `{SUMS_NAME}` and its index name different digests of `{name}`"
                ));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// Checks that a provenance or a signature is about the index with these `bytes` and its archives,
/// as `install` does. The list names neither, and both are sent after it: a run that was interrupted
/// leaves those of an earlier one, and so does one without the key.
fn is_about(name: &str, document: &[u8], index: &ReleaseIndex, bytes: &[u8]) -> Result<(), String> {
    let said = |error: SigningError| error.to_string();
    let statement = match name {
        provenance::NAME => document,
        provenance::SIGNED_NAME => &signing::statement_in(name, document).map_err(said)?,
        _ => {
            let signature = String::from_utf8_lossy(document);
            let signed = signing::signed_for(INDEX_NAME, &index.tag, bytes, &signature);
            return signed.map(drop).map_err(said);
        }
    };
    let mut archives = index.images.iter().map(|image| &image.archive);
    let is_about = provenance::is_of(statement, &index.tag, Sha256::of(bytes))
        && archives.all(|archive| provenance::names(statement, &archive.name, archive.sha256));
    match is_about {
        true => Ok(()),
        false => Err(format!("its `{name}` is not about its index and archives")),
    }
}

/// Downloads a document of the release, which must have the digest in the list.
async fn read(host: &GitHub, asset: &Asset, limit: usize) -> Result<Vec<u8>, PublishError> {
    let mut sink = Sink::memory(limit);
    let get = || host.download(asset.id);
    let read = fetch::read(get, &mut sink, &host.timing).await;
    read.map_err(|failure| host.error(&format!("read {} of the release", asset.name), failure))?;
    let bytes = sink.into_bytes();
    let found = Sha256::of(&bytes);
    match asset.sha256() {
        Some(expected) if expected != found => Err(PublishError::HostDigest {
            name: asset.name.clone(),
            expected,
            found: found.to_string(),
        }),
        _ => Ok(bytes),
    }
}

fn report(host: &GitHub, release: &Release, assets: &[Asset], outcome: Outcome) -> Published {
    Published {
        assets: assets
            .iter()
            .filter(|asset| asset.name != LOCK_NAME)
            .map(|asset| AssetReport {
                name: asset.name.clone(),
                size: asset.size,
                outcome: AssetOutcome::Kept,
            })
            .collect(),
        requests: host.requests(),
        ..Published::new(outcome, &release.tag_name, &release.html_url)
    }
}

#[cfg(test)]
mod tests;
