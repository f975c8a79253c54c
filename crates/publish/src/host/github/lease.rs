//! The exclusive right to change a release. GitHub has no locks, but it accepts every file name
//! only once per release: the publisher that uploads the lock file holds the release, shows that it
//! is alive by changing the file's label, and deletes the file at the end. This is after the
//! release was made public and checked, so a public release with a lock has not been checked yet.

use bytes::Bytes;
use sysforge_plan::Reporter;

use sysforge_net::FailedAttempts;

use super::GitHub;
use super::api::{Asset, Release};
use super::journal::PublishJournal;
use super::upload::Upload;
use crate::error::{PublishError, Then};
use crate::host::failure::Failure;
use crate::release_bundle::Content;

/// Maximum number of attempts to take the lock: each follows a lost answer, or the end of another
/// holder.
const TURNS: u32 = 10;

/// The name of the lock file.
pub(super) const LOCK_NAME: &str = "sysforge-publishing.lock";

/// The held lock. Dropping it stops the signs of life. The file stays, as after a crash, unless the
/// host has a [`Cleanup`](crate::host::Cleanup), which then deletes it.
#[derive(Debug)]
pub(super) struct Lease {
    asset: u64,
    beating: tokio::task::JoinHandle<()>,
    guard: Guard,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.beating.abort();
    }
}

impl Lease {
    /// Whether a list of the release's files still shows the lock.
    pub(super) fn is_listed(&self, remote: &[Asset]) -> bool {
        remote.iter().any(|asset| asset.id == self.asset)
    }

    /// Leaves the lock file at the host: the protected work is not finished, or the file is about
    /// to be deleted together with the release.
    pub(super) fn leave(mut self) {
        self.guard.armed = false;
    }
}

/// Deletes the lock of a run that is dropped before it released the lock, even if the answer to the
/// upload of the lock never arrived.
#[derive(Debug)]
struct Guard {
    host: GitHub,
    release: u64,
    nonce: String,
    armed: bool,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let Some(cleanup) = self.host.cleanup.clone().filter(|_| self.armed) else {
            return;
        };
        let (host, release, nonce) = (self.host.clone(), self.release, self.nonce.clone());
        cleanup.spawn(async move {
            if let Ok(Some(lock)) = host.lock_of(release).await
                && holder(&lock) == nonce
            {
                let _ = host.delete_asset(lock.id).await;
            }
        });
    }
}

/// The reason why the lock could not be taken.
#[derive(Debug)]
pub(super) enum NoLease {
    /// The release no longer exists: its creator found an older draft, or somebody deleted it.
    Gone,
    /// Anything else.
    Error(PublishError),
}

impl GitHub {
    /// Takes the lock of a release.
    pub(super) async fn take_lease(
        &self,
        release: &Release,
        journal: &PublishJournal,
        reporter: &Reporter,
    ) -> Result<Lease, NoLease> {
        let mut guard = Guard {
            host: self.clone(),
            release: release.id,
            nonce: journal.nonce().to_owned(),
            armed: true,
        };
        let asset = self.lock(release, journal, reporter).await;
        // Without a lock, there is nothing to delete.
        guard.armed = asset.is_ok();
        Ok(self.hold(asset?, journal, guard))
    }

    /// Uploads the lock file, and returns its number.
    async fn lock(
        &self,
        release: &Release,
        journal: &PublishJournal,
        reporter: &Reporter,
    ) -> Result<u64, NoLease> {
        let what = "take the lock of the release";
        let content = Content::Memory(Bytes::from_static(LOCK_TEXT));
        let label = format!("{} 0", journal.nonce());
        let parcel = Upload {
            name: LOCK_NAME,
            label: Some(&label),
            content: &content,
            size: LOCK_TEXT.len() as u64,
        };
        let fail = |failure| NoLease::Error(self.error(what, failure));
        let mut failed = FailedAttempts::default();
        for _ in 0..TURNS {
            let failure = match self.send_once(&release.upload_url, parcel, None).await {
                Ok(asset) => return Ok(asset.id),
                Err(failure) => failure,
            };
            if failure.is_not_found() {
                // For an existing release, only a wrong upload URL has this answer.
                return Err(match self.release(release.id).await.map_err(fail)? {
                    None => NoLease::Gone,
                    Some(_) => NoLease::Error(PublishError::UploadAddress {
                        address: super::upload::shown(&release.upload_url),
                        why: "uploads to it are answered with `Not Found`".to_owned(),
                    }),
                });
            }
            if !failure.is_taken() {
                if self.timing.is_last(&mut failed, &failure) {
                    return Err(fail(failure));
                }
                self.pause(failed, &failure).await.map_err(fail)?;
            }
            // The upload may have succeeded nevertheless, or somebody else holds the lock.
            let Some(lock) = self.lock_of(release.id).await.map_err(fail)? else {
                continue;
            };
            let ours = journal.is_ours(holder(&lock));
            if ours && lock.is_uploaded() {
                return match self.label_asset(lock.id, &label).await {
                    Ok(_) => Ok(lock.id),
                    Err(failure) if failure.is_not_found() => continue,
                    Err(failure) => Err(fail(failure)),
                };
            }
            if !ours {
                self.outlive(release, &lock, reporter).await?;
            }
            self.delete_asset(lock.id).await.map_err(fail)?;
        }
        Err(NoLease::Error(PublishError::GaveUp {
            what: what.to_owned(),
            attempts: TURNS,
            last:
                "the host says that the lock exists, and does not list it or lists it again after \
                   it was deleted"
                    .to_owned(),
        }))
    }

    async fn lock_of(&self, release: u64) -> Result<Option<Asset>, Failure> {
        let assets = self.assets(release).await?;
        Ok(assets.into_iter().find(|asset| asset.name == LOCK_NAME))
    }

    /// Watches the lock of another publisher until it is certain that its holder is dead or done.
    async fn outlive(
        &self,
        release: &Release,
        lock: &Asset,
        reporter: &Reporter,
    ) -> Result<(), NoLease> {
        let what = "watch the lock of the release";
        reporter.note(format!(
            "another publisher holds {}; waiting {} s for a sign of life",
            release.tag_name,
            self.timing.dead.as_secs()
        ));
        let end = tokio::time::Instant::now() + self.timing.dead;
        while tokio::time::Instant::now() < end {
            tokio::time::sleep(self.timing.beat.min(self.timing.dead / 4)).await;
            let now = self
                .lock_of(release.id)
                .await
                .map_err(|failure| NoLease::Error(self.error(what, failure)))?;
            match now {
                None => return Ok(()),
                Some(now) if now.id != lock.id || now.label != lock.label => {
                    return Err(NoLease::Error(PublishError::Another {
                        tag: release.tag_name.clone(),
                        who: format!("it holds {LOCK_NAME}, and is alive"),
                    }));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    fn hold(&self, asset: u64, journal: &PublishJournal, guard: Guard) -> Lease {
        let (host, nonce) = (self.clone(), journal.nonce().to_owned());
        let beating = tokio::spawn(async move {
            for beat in 1_u64.. {
                tokio::time::sleep(host.timing.beat).await;
                // The next beat makes up for a failed one. A lost lock is noticed when the files
                // are listed, and when it is released.
                let _ = host.label_asset(asset, &format!("{nonce} {beat}")).await;
            }
        });
        Lease {
            asset,
            beating,
            guard,
        }
    }

    /// Releases the lock.
    ///
    /// # Errors
    ///
    /// If it no longer existed: another publisher took this one for dead, and is running now.
    pub(super) async fn give_back(&self, lease: Lease, tag: &str) -> Result<(), PublishError> {
        lease.beating.abort();
        let what = "give the lock of the release back";
        // A lock that was deleted by an attempt whose answer was lost counts as held: look first.
        let mut failed = FailedAttempts::default();
        loop {
            match self.delete_asset_once(lease.asset).await {
                Ok(()) => break,
                Err(failure) if failure.is_not_found() && failed.total() > 0 => break,
                Err(failure) if failure.is_not_found() => {
                    lease.leave();
                    return Err(lost(tag));
                }
                Err(failure) if self.timing.is_last(&mut failed, &failure) => {
                    lease.leave();
                    return Err(self.error(what, failure));
                }
                Err(failure) => self
                    .pause(failed, &failure)
                    .await
                    .map_err(|failure| self.error(what, failure))?,
            }
        }
        lease.leave();
        Ok(())
    }
}

impl GitHub {
    /// Releases the lock after a failure, so that the next publisher need not wait until this one
    /// counts as dead. Returns the error of the failure.
    pub(super) async fn give_up(
        &self,
        lease: Option<Lease>,
        tag: &str,
        error: PublishError,
    ) -> PublishError {
        if let Some(lease) = lease {
            let _ = self.give_back(lease, tag).await;
        }
        error
    }

    /// Releases the lock of a release that failed its check and is a draft again. On a public
    /// release, the lock stays: it tells the next publisher that the release was not checked.
    pub(super) async fn end_unchecked(
        &self,
        lease: Option<Lease>,
        tag: &str,
        error: PublishError,
    ) -> PublishError {
        if let PublishError::Recheck {
            then: Then::Draft, ..
        } = error
        {
            return self.give_up(lease, tag, error).await;
        }
        lease.into_iter().for_each(Lease::leave);
        error
    }
}

/// Returns the error of a publisher whose lock was taken by another.
pub(super) fn lost(tag: &str) -> PublishError {
    PublishError::Another {
        tag: tag.to_owned(),
        who: "it took this publisher for dead".to_owned(),
    }
}

const LOCK_TEXT: &[u8] =
    b"Sysforge is publishing to this release. If it is not (its lock has not changed for \
minutes), the next `sysforge publish` removes this file.\n";

/// Returns the holder of a lock: the first word of its label.
fn holder(lock: &Asset) -> &str {
    lock.label
        .as_deref()
        .and_then(|label| label.split(' ').next())
        .unwrap_or_default()
}
