//! The exclusive right to publish below a prefix: an object that is created on the condition that
//! it does not exist. Its owner changes it regularly as a sign of life, and deletes it at the end.
//! On a service without conditional requests, the object is read back after it was written: if two
//! publishers begin at the same moment, one may notice the other only before it publishes.

use bytes::Bytes;
use object_store::PutMode;
use object_store::path::Path;
use serde::{Deserialize, Serialize};
use sysforge_plan::Reporter;

use super::failure::is_missing;
use super::{Conditional, S3, unless_changed};
use crate::error::PublishError;
use crate::fetch::Sink;
use crate::host::failure::Failure;

/// The name of the lock.
pub(super) const LOCK_NAME: &str = ".sysforge-lock";

/// Maximum size of a lock, in bytes.
const LOCK_LIMIT: usize = 64 << 10;

/// Maximum number of attempts to take the lock: each follows the end of another owner.
const TURNS: u32 = 10;

/// The content of a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Lock {
    /// An explanation for people who find it.
    about: String,
    /// Its owner.
    nonce: String,
    /// The number of the owner's signs of life.
    beat: u64,
}

impl Lock {
    fn new(nonce: &str, beat: u64) -> Self {
        Self {
            about: "Sysforge is publishing here. If it is not, and this does not change for \
                    minutes, the next `sysforge publish` removes it."
                .to_owned(),
            nonce: nonce.to_owned(),
            beat,
        }
    }

    fn to_bytes(&self) -> Bytes {
        serde_json::to_vec(self).unwrap_or_default().into()
    }
}

/// The held lock. Dropping it stops the signs of life; the object stays, as after a crash, unless
/// the host has a `Cleanup`, which then deletes it.
#[derive(Debug)]
pub(super) struct Lease {
    nonce: String,
    beating: tokio::task::JoinHandle<()>,
    guard: Guard,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.beating.abort();
    }
}

#[derive(Debug)]
struct Guard {
    host: S3,
    nonce: String,
    armed: bool,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let Some(cleanup) = self.host.cleanup.clone().filter(|_| self.armed) else {
            return;
        };
        let (host, nonce) = (self.host.clone(), self.nonce.clone());
        cleanup.spawn(async move {
            if let Ok(Some(lock)) = host.read_lock().await
                && lock.nonce == nonce
            {
                let _ = host.delete(&host.lock_path()).await;
            }
        });
    }
}

/// The fate of another publisher's lock.
enum Watched {
    /// It no longer exists.
    Gone,
    /// It has not changed for so long that its owner counts as dead.
    Dead,
}

impl S3 {
    /// Returns the path of the lock.
    pub(super) fn lock_path(&self) -> Path {
        self.path(LOCK_NAME)
    }

    /// Takes the lock.
    pub(super) async fn take_lease(
        &self,
        tag: &str,
        reporter: &Reporter,
    ) -> Result<Lease, PublishError> {
        let nonce = nonce();
        let mut guard = Guard {
            host: self.clone(),
            nonce: nonce.clone(),
            armed: true,
        };
        if let Err(error) = self.lock(&nonce, tag, reporter).await {
            guard.armed = false;
            return Err(error);
        }
        Ok(Lease {
            beating: self.beat(&nonce),
            nonce,
            guard,
        })
    }

    async fn lock(&self, nonce: &str, tag: &str, reporter: &Reporter) -> Result<(), PublishError> {
        let what = "write the lock of the releases";
        let fail = |failure| self.error(what, failure);
        let (path, text) = (self.lock_path(), Lock::new(nonce, 0).to_bytes());
        let mut mode = PutMode::Create;
        for turn in 0..TURNS {
            if turn > 0 {
                tokio::time::sleep(self.timing.retries.first_delay).await;
            }
            let put = self.put_if(&path, text.clone(), mode.clone()).await;
            let supported = match put.map_err(fail)? {
                Conditional::Done => true,
                Conditional::Taken => {
                    // It was created by an attempt whose answer was lost, or by another publisher.
                    match self.read_lock().await.map_err(fail)? {
                        Some(lock) if lock.nonce == nonce => return Ok(()),
                        Some(lock) => {
                            mode = match self.watch(lock, tag, reporter).await? {
                                Watched::Gone => PutMode::Create,
                                Watched::Dead => self.version_of_lock().await.map_err(fail)?,
                            };
                        }
                        None => mode = PutMode::Create,
                    }
                    continue;
                }
                Conditional::Unsupported => false,
            };
            if !supported {
                if let Some(lock) = self.read_lock().await.map_err(fail)? {
                    self.watch(lock, tag, reporter).await?;
                }
                let put = self.put_if(&path, text.clone(), PutMode::Overwrite).await;
                put.map_err(fail)?;
            }
            // A service may ignore the condition.
            return self.check_lock(nonce, tag).await;
        }
        Err(PublishError::GaveUp {
            what: what.to_owned(),
            attempts: TURNS,
            last:
                "the service says that the lock exists, and does not return it or returns it again \
                   after its owner ended"
                    .to_owned(),
        })
    }

    /// Returns the condition for replacing a dead owner's lock: that it has not changed.
    async fn version_of_lock(&self) -> Result<PutMode, Failure> {
        match self.head(&self.lock_path()).await {
            Ok(found) => Ok(unless_changed(found.meta.e_tag)),
            Err(failure) if is_missing(&failure) => Ok(PutMode::Create),
            Err(failure) => Err(failure),
        }
    }

    async fn read_lock(&self) -> Result<Option<Lock>, Failure> {
        let mut sink = Sink::memory(LOCK_LIMIT);
        match self.read(&self.lock_path(), &mut sink).await {
            // A lock that cannot be read is that of an owner whose signs of life cannot be seen.
            Ok(()) => Ok(Some(
                serde_json::from_slice(&sink.into_bytes()).unwrap_or_else(|_| Lock::new("", 0)),
            )),
            // It is larger than any lock: nothing else fails on this machine.
            Err(Failure::Local(_)) => Ok(Some(Lock::new("", 0))),
            Err(failure) if is_missing(&failure) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Watches another publisher's lock until it no longer exists, or its owner counts as dead.
    async fn watch(
        &self,
        lock: Lock,
        tag: &str,
        reporter: &Reporter,
    ) -> Result<Watched, PublishError> {
        reporter.note(format!(
            "another publisher holds {}; waiting {} s for a sign of life",
            self.shown(LOCK_NAME),
            self.timing.dead.as_secs()
        ));
        let end = tokio::time::Instant::now() + self.timing.dead;
        while tokio::time::Instant::now() < end {
            tokio::time::sleep(self.timing.beat.min(self.timing.dead / 4)).await;
            let now = self.read_lock().await;
            match now.map_err(|failure| self.error("watch the lock of the releases", failure))? {
                None => return Ok(Watched::Gone),
                Some(now) if now != lock => {
                    return Err(PublishError::Another {
                        tag: tag.to_owned(),
                        who: format!("it holds {}, and is alive", self.shown(LOCK_NAME)),
                    });
                }
                Some(_) => {}
            }
        }
        Ok(Watched::Dead)
    }

    fn beat(&self, nonce: &str) -> tokio::task::JoinHandle<()> {
        let (host, nonce) = (self.clone(), nonce.to_owned());
        tokio::spawn(async move {
            for beat in 1_u64.. {
                tokio::time::sleep(host.timing.beat).await;
                // Do not take back a lock that another publisher took; this publisher notices
                // before it makes anything public.
                match host.read_lock().await {
                    Ok(Some(lock)) if lock.nonce == nonce => {
                        let text = Lock::new(&nonce, beat).to_bytes();
                        let _ = host
                            .put_if(&host.lock_path(), text, PutMode::Overwrite)
                            .await;
                    }
                    Ok(_) => return,
                    // The next sign of life makes up for it.
                    Err(_) => {}
                }
            }
        })
    }

    async fn check_lock(&self, nonce: &str, tag: &str) -> Result<(), PublishError> {
        let lock = self.read_lock().await;
        let lock = lock.map_err(|failure| self.error("read the lock of the releases", failure))?;
        match lock {
            Some(lock) if lock.nonce == nonce => Ok(()),
            _ => Err(PublishError::Another {
                tag: tag.to_owned(),
                who: format!("it has taken {}", self.shown(LOCK_NAME)),
            }),
        }
    }

    /// Whether the lock is still held.
    pub(super) async fn check_lease(&self, lease: &Lease, tag: &str) -> Result<(), PublishError> {
        self.check_lock(&lease.nonce, tag).await
    }

    /// Releases the lock, if it is still held.
    pub(super) async fn give_back(&self, mut lease: Lease) -> Result<(), PublishError> {
        lease.beating.abort();
        lease.guard.armed = false;
        let given = async {
            match self.read_lock().await? {
                Some(lock) if lock.nonce == lease.nonce => self.delete(&self.lock_path()).await,
                _ => Ok(()),
            }
        };
        let given = given.await;
        given.map_err(|failure| self.error("delete the lock of the releases", failure))
    }
}

/// Returns a text that no other publisher has.
fn nonce() -> String {
    format!(
        "{:016x}{:016x}",
        crate::host::random(),
        crate::host::random()
    )
}
