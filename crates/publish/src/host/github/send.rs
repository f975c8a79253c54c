//! Sending every file of a bundle to the host: files that exist are kept, incomplete ones are sent
//! again, and uncertain ones are looked up before anything is decided.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use futures_util::{StreamExt, TryStreamExt};
use sysforge_net::{Cause, FailedAttempts};
use sysforge_plan::{Reporter, Step};

use super::GitHub;
use super::api::{Asset as RemoteAsset, Release};
use super::journal::{Notes, PublishJournal};
use super::lease::{LOCK_NAME, Lease, lost};
use super::policy::{Policy, Publication};
use super::recheck::{Computed, Verified};
use super::upload::Upload;
use crate::documents::notes::size;
use crate::error::PublishError;
use crate::host::failure::Failure;
use crate::release_bundle::{Asset, Kind, ReleaseBundle};
use crate::report::AssetOutcome;

/// Number of concurrent uploads. GitHub allows 100 concurrent requests; the number of uploads per
/// minute is limited elsewhere ([`super::pacer`]).
const LANES: usize = 10;

/// The suffix under which a replacement is sent before it is renamed.
pub(super) const NEW: &str = ".sysforge-new";

/// Maximum number of passes over all files until the list shows the expected state.
const ROUNDS: usize = 5;

/// The action that a file needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// Send it.
    Send,
    /// Delete this incomplete or damaged file, then send it.
    Resend(u64),
    /// Send it under another name, then replace this file by it.
    Replace(u64),
    /// Rename this file, which is a complete replacement.
    Rename(u64),
}

impl Need {
    pub(super) fn outcome(self) -> AssetOutcome {
        match self {
            Self::Send | Self::Resend(_) => AssetOutcome::Sent,
            Self::Replace(_) | Self::Rename(_) => AssetOutcome::Replaced,
        }
    }
}

/// When files with other bytes may be replaced.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// The user allows it.
    pub(super) replace: bool,
    /// The release is a draft, so documents, which describe all images, may be replaced.
    pub(super) draft: bool,
    /// This call completes what earlier ones began, so documents describe more images now.
    pub(super) renew: bool,
}

impl Rules {
    pub(super) fn of(policy: &Policy, draft: bool) -> Self {
        Self {
            replace: policy.replace,
            draft,
            renew: policy.draft,
        }
    }

    fn may_replace(self, kind: Kind) -> bool {
        let documents = self.draft || self.renew;
        self.replace || (self.draft && self.renew) || (documents && kind != Kind::Archive)
    }
}

/// The sender of a file at the host that has other bytes than expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UploadState {
    /// The sender is not known.
    No,
    /// An earlier run began to send it, and was killed: the host most likely damaged it.
    Begun,
    /// This run sent it, and the host damaged it.
    Sent,
}

/// Returns who sent `asset` before this run. If the release is public, others may have replaced it
/// since.
pub(super) fn ours(asset: &Asset, release: &Release, notes: &Notes) -> UploadState {
    match release.draft && notes.has_begun(release.id, &asset.name, asset.sha256) {
        true => UploadState::Begun,
        false => UploadState::No,
    }
}

/// Returns the action that `asset` needs, given the files at the host; `None` for no action.
///
/// # Errors
///
/// If another file has that name, and must not be replaced.
pub(super) fn need(
    asset: &Asset,
    remote: &[RemoteAsset],
    rules: Rules,
    ours: UploadState,
) -> Result<Option<Need>, PublishError> {
    let named = |name: &str| remote.iter().find(|remote| remote.name == name);
    let whole = |remote: &RemoteAsset| remote.holds(asset.size, asset.sha256);
    let replacement = named(&format!("{}{NEW}", asset.name)).filter(|remote| whole(remote));
    match named(&asset.name) {
        Some(there) if whole(there) => Ok(None),
        // Another run writes another statement about the same images; a public one is kept.
        Some(there)
            if asset.kind == Kind::Statement
                && there.is_uploaded()
                && !rules.draft
                && !rules.renew
                && !rules.replace =>
        {
            Ok(None)
        }
        Some(there) if !there.is_uploaded() => Ok(Some(Need::Resend(there.id))),
        Some(there) if ours == UploadState::Sent => Ok(Some(Need::Resend(there.id))),
        Some(there) if ours == UploadState::Begun || rules.may_replace(asset.kind) => {
            Ok(Some(Need::Replace(there.id)))
        }
        Some(_) => Err(PublishError::Different {
            name: asset.name.clone(),
        }),
        None => Ok(Some(match replacement {
            Some(new) => Need::Rename(new.id),
            None => Need::Send,
        })),
    }
}

/// The content of a release after everything was sent.
#[derive(Debug)]
pub(super) struct Sent {
    /// The outcome of each file that needed an action.
    pub(super) outcomes: Vec<(String, AssetOutcome)>,
    /// All files of the bundle, as the host has them.
    pub(super) files: Vec<Verified>,
}

/// Whether a file at the host concerns a bundle.
pub(super) fn concerns(bundle: &ReleaseBundle, remote: &RemoteAsset) -> bool {
    let name = remote.name.strip_suffix(NEW).unwrap_or(&remote.name);
    bundle.assets.iter().any(|asset| {
        // A file of another size has other bytes in any case.
        asset.name == name && (asset.size == remote.size || asset.kind == Kind::Statement)
    })
}

/// Returns the files of a bundle as the host has them.
///
/// # Errors
///
/// If `kept` lacks one of them, or its digest: the check must cover every file.
pub(super) fn verified(
    bundle: &ReleaseBundle,
    remote: &[RemoteAsset],
) -> Result<Vec<Verified>, PublishError> {
    let files = bundle.assets.iter().map(|asset| {
        let there = remote.iter().find(|remote| remote.name == asset.name);
        let known = there.and_then(|there| Some((there, there.sha256()?)));
        let (there, sha256) = known.ok_or_else(|| PublishError::Incomplete {
            tag: bundle.tag.clone(),
            what: format!("`{}` is not in it with a digest", asset.name),
        })?;
        Ok(Verified {
            id: there.id,
            name: asset.name.clone(),
            size: there.size,
            sha256,
        })
    });
    files.collect()
}

impl GitHub {
    /// Sends files until a list of the release shows every file complete, and the lock still held.
    /// `known` is a list that was requested before; a newly created release has none.
    pub(super) async fn send_all(
        &self,
        publication: Publication<'_>,
        release: &Release,
        mut known: Option<Vec<RemoteAsset>>,
        lease: &Lease,
        journal: &mut PublishJournal,
    ) -> Result<Sent, PublishError> {
        let Publication {
            bundle,
            policy,
            reporter,
            ..
        } = publication;
        let rules = Rules::of(policy, release.draft);
        let mut computed = Computed::new();
        let sent = Mutex::new(BTreeSet::new());
        let mut outcomes: Vec<(String, AssetOutcome)> = Vec::new();
        for _ in 0..ROUNDS {
            let was_known = known.is_some();
            let mut remote = match known.take() {
                Some(remote) => remote,
                None => self.list_files(release.id).await?,
            };
            let wanted = |remote: &RemoteAsset| concerns(bundle, remote);
            self.fill_digests(&mut remote, &wanted, &mut computed)
                .await?;
            let mut needs = Vec::new();
            for asset in &bundle.assets {
                let sent = sent.lock().unwrap_or_else(PoisonError::into_inner);
                let ours = match sent.contains(&asset.name) {
                    true => UploadState::Sent,
                    false => ours(asset, release, journal.notes()),
                };
                let Some(need) = need(asset, &remote, rules, ours)? else {
                    continue;
                };
                if !outcomes.iter().any(|(name, _)| *name == asset.name) {
                    outcomes.push((asset.name.clone(), need.outcome()));
                }
                needs.push((asset, need));
            }
            if needs.is_empty() {
                if was_known {
                    // A list from before the lock was taken shows neither the lock nor changes
                    // since.
                    continue;
                }
                if !lease.is_listed(&remote) {
                    return Err(lost(&release.tag_name));
                }
                self.sweep(&remote).await?;
                let files = verified(bundle, &remote)?;
                return Ok(Sent { outcomes, files });
            }
            if rules.draft {
                // A file that replaces an incomplete one counts as ours.
                let own = needs.iter();
                let own = own.filter(|(_, need)| need.outcome() == AssetOutcome::Sent);
                journal.begin(own.map(|(asset, _)| (asset.name.as_str(), asset.sha256)))?;
            }
            // The largest first, so that none of them remains alone at the end.
            needs.sort_by_key(|(asset, _)| std::cmp::Reverse(asset.size));
            // In a public release, the index goes last: it makes the images usable.
            let (first, last): (Vec<_>, Vec<_>) = needs
                .into_iter()
                .partition(|(asset, _)| rules.draft || asset.kind != Kind::Index);
            for part in [first, last] {
                futures_util::stream::iter(part)
                    .map(|(asset, need)| {
                        self.deliver(release, asset, need, &remote, &sent, reporter)
                    })
                    .buffer_unordered(LANES)
                    .try_collect::<()>()
                    .await?;
            }
        }
        Err(PublishError::GaveUp {
            what: "get the host to keep every file as it was sent".to_owned(),
            attempts: u32::try_from(ROUNDS).unwrap_or(u32::MAX),
            last: "the list of files still differs".to_owned(),
        })
    }

    /// Performs the action that one file needs.
    async fn deliver(
        &self,
        release: &Release,
        asset: &Asset,
        need: Need,
        remote: &[RemoteAsset],
        sent: &Mutex<BTreeSet<String>>,
        reporter: &Reporter,
    ) -> Result<(), PublishError> {
        let fail = |failure| self.error(&format!("send {}", asset.name), failure);
        let task = reporter.start(Step::Publish, &asset.name);
        match need {
            Need::Send => {
                self.send(release, asset, &asset.name, sent, &task).await?;
            }
            Need::Resend(old) => {
                self.delete_asset(old).await.map_err(fail)?;
                self.send(release, asset, &asset.name, sent, &task).await?;
            }
            Need::Replace(old) => {
                let name = format!("{}{NEW}", asset.name);
                let ready = remote.iter().find(|remote| remote.name == name);
                let new = match ready {
                    Some(ready) if ready.holds(asset.size, asset.sha256) => ready.id,
                    stale => {
                        if let Some(stale) = stale {
                            self.delete_asset(stale.id).await.map_err(fail)?;
                        }
                        self.send(release, asset, &name, sent, &task).await?
                    }
                };
                // Delete the old one only now that the new one is complete at the host.
                self.delete_asset(old).await.map_err(fail)?;
                self.rename(new, &asset.name).await.map_err(fail)?;
            }
            Need::Rename(new) => self.rename(new, &asset.name).await.map_err(fail)?,
        }
        task.done(size(asset.size));
        Ok(())
    }

    /// Renames a file. If the name is taken, an attempt whose answer was lost may have taken it;
    /// the next list tells.
    async fn rename(&self, id: u64, name: &str) -> Result<(), Failure> {
        match self.rename_asset(id, name).await {
            Err(failure) if failure.is_taken() => Ok(()),
            answered => answered.map(drop),
        }
    }

    /// Sends one file under `name` until it is complete; returns its number at the host.
    async fn send(
        &self,
        release: &Release,
        asset: &Asset,
        name: &str,
        sent: &Mutex<BTreeSet<String>>,
        task: &sysforge_plan::Task,
    ) -> Result<u64, PublishError> {
        let fail = |failure| self.error(&format!("send {}", asset.name), failure);
        let parcel = Upload {
            name,
            label: None,
            content: &asset.content,
            size: asset.size,
        };
        sent.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name.to_owned());
        let mut failed = FailedAttempts::default();
        loop {
            let failure = match self
                .send_once(&release.upload_url, parcel, Some(task))
                .await
            {
                Ok(remote) if remote.holds(asset.size, asset.sha256) => return Ok(remote.id),
                Ok(remote) => {
                    self.delete_asset(remote.id).await.map_err(fail)?;
                    if failed.count(Cause::Other, &self.timing.retries) {
                        let found = remote.digest.unwrap_or_default();
                        return Err(asset.differs_at_host(found).await);
                    }
                    continue;
                }
                Err(failure) => failure,
            };
            let is_last = self.timing.is_last(&mut failed, &failure);
            let may_be_ours =
                failure.is_taken() && failed.total() < self.timing.retries.without_progress;
            if is_last && !may_be_ours {
                return Err(fail(failure));
            }
            self.pause(failed, &failure).await.map_err(fail)?;
            // The upload may have succeeded, or have left an incomplete file that blocks the name.
            let remote = self.assets(release.id).await.map_err(fail)?;
            match remote.into_iter().find(|remote| remote.name == name) {
                Some(remote) if remote.holds(asset.size, asset.sha256) => return Ok(remote.id),
                Some(remote) => {
                    self.delete_asset(remote.id).await.map_err(fail)?;
                }
                None => {}
            }
        }
    }

    /// Removes replacements that an interrupted run left.
    async fn sweep(&self, remote: &[RemoteAsset]) -> Result<(), PublishError> {
        for left in remote.iter().filter(|remote| remote.name.ends_with(NEW)) {
            self.delete_asset(left.id)
                .await
                .map_err(|failure| self.error("remove what an earlier run left", failure))?;
        }
        Ok(())
    }
}

/// Whether a public release has all files, so that nothing is left to do.
pub(super) fn is_complete(
    bundle: &ReleaseBundle,
    remote: &[RemoteAsset],
) -> Result<bool, PublishError> {
    let rules = Rules {
        replace: false,
        draft: false,
        renew: false,
    };
    for asset in &bundle.assets {
        if need(asset, remote, rules, UploadState::No)?.is_some() {
            return Ok(false);
        }
    }
    Ok(remote.iter().all(|remote| remote.name != LOCK_NAME))
}

#[cfg(test)]
mod tests {
    use sysforge_plan::Sha256;

    use super::*;
    use crate::release_bundle::Content;

    fn asset(kind: Kind) -> Asset {
        Asset {
            name: "a".to_owned(),
            kind,
            content: Content::Memory("x".into()),
            size: 1,
            sha256: Sha256::new([1; 32]),
        }
    }

    fn remote(name: &str, state: &str, digest: u8) -> RemoteAsset {
        RemoteAsset {
            id: u64::from(digest),
            name: name.to_owned(),
            label: None,
            state: state.to_owned(),
            size: 1,
            digest: Some(format!("sha256:{}", Sha256::new([digest; 32]))),
        }
    }

    fn of(kind: Kind, there: &[RemoteAsset], replace: bool, draft: bool) -> Option<Option<Need>> {
        need(
            &asset(kind),
            there,
            Rules {
                replace,
                draft,
                renew: false,
            },
            UploadState::No,
        )
        .ok()
    }

    #[test]
    fn what_is_there_whole_stays_and_what_is_half_there_goes() {
        let archive = |there: &[RemoteAsset]| of(Kind::Archive, there, false, true);
        assert_eq!(archive(&[remote("a", "uploaded", 1)]), Some(None));
        assert_eq!(archive(&[]), Some(Some(Need::Send)));
        assert_eq!(
            archive(&[remote("a", "starter", 9)]),
            Some(Some(Need::Resend(9)))
        );
    }

    #[test]
    fn other_bytes_are_an_error_unless_they_may_be_replaced() {
        let other = [remote("a", "uploaded", 9)];
        let replace = Some(Some(Need::Replace(9)));
        assert_eq!(of(Kind::Archive, &other, false, true), None);
        assert_eq!(of(Kind::Archive, &other, true, true), replace);
        assert_eq!(of(Kind::Index, &other, false, true), replace);
        assert_eq!(of(Kind::Index, &other, false, false), None);
        assert_eq!(of(Kind::Statement, &other, false, false), Some(None));
        assert_eq!(of(Kind::Statement, &other, false, true), replace);
        assert_eq!(of(Kind::Statement, &other, true, false), replace);
    }

    #[test]
    fn bytes_that_a_killed_run_sent_and_the_host_spoilt_are_replaced() {
        let other = [remote("a", "uploaded", 9)];
        let rules = Rules {
            replace: false,
            draft: true,
            renew: false,
        };
        let need = need(&asset(Kind::Archive), &other, rules, UploadState::Begun);
        assert_eq!(need.unwrap(), Some(Need::Replace(9)));
    }

    #[test]
    fn a_replacement_that_is_whole_only_needs_its_name() {
        let there = [remote("a.sysforge-new", "uploaded", 1)];
        let renamed = Some(Some(Need::Rename(1)));
        assert_eq!(of(Kind::Archive, &there, false, true), renamed);
    }
}
