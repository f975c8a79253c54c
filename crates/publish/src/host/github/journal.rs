//! The journal of a publisher on the local disk. If the run is killed, the next run recognizes its
//! own lock, its own draft, and its own files that the host damaged, without waiting until the lock
//! or the draft looks abandoned.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sysforge_files::{FileLock, LockAttempt};
use sysforge_plan::Sha256;

use crate::error::PublishError;
use crate::local;

/// The journal of one publication, and the lock that makes this its only publisher on this machine.
#[derive(Debug)]
pub(super) struct PublishJournal {
    /// `None` for a run that saves no journal.
    path: Option<PathBuf>,
    notes: Notes,
    nonce: String,
    _lock: Option<FileLock>,
}

/// The entries of the last run.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Notes {
    draft: Option<u64>,
    #[serde(default)]
    nonces: Vec<String>,
    /// The files that a run began to send to that draft.
    #[serde(default)]
    begun: BTreeMap<String, Sha256>,
    /// A release that was about to be made public, and was not checked afterwards.
    #[serde(default)]
    unchecked: Option<u64>,
}

impl Notes {
    /// Returns the draft that an earlier run used.
    pub(super) fn draft(&self) -> Option<u64> {
        self.draft
    }

    /// Returns the release that a run made public without finishing its check.
    pub(super) fn unchecked(&self) -> Option<u64> {
        self.unchecked
    }

    /// Returns the digest of what was sent to the release under this name, if a run noted it.
    pub(super) fn sent(&self, release: u64, name: &str) -> Option<Sha256> {
        let begun = self.begun.get(name).copied();
        begun.filter(|_| self.draft == Some(release))
    }

    /// Whether a run began to send these bytes under this name to the draft. If the host has
    /// others, it damaged them, and the run that would have noticed was killed.
    pub(super) fn has_begun(&self, draft: u64, name: &str, digest: Sha256) -> bool {
        self.draft == Some(draft) && self.begun.get(name) == Some(&digest)
    }
}

impl PublishJournal {
    /// Opens the journal at `path`. Blocks only for a moment.
    ///
    /// # Errors
    ///
    /// If another publisher of the same release runs on this machine.
    pub(super) fn open(path: PathBuf, tag: &str) -> Result<Self, PublishError> {
        let lock = local::try_lock(&path.with_extension("lock"))?;
        let LockAttempt::Got(lock) = lock else {
            return Err(PublishError::Another {
                tag: tag.to_owned(),
                who: "it runs on this machine, from the same dist directory".to_owned(),
            });
        };
        let mut notes = Self::peek(&path);
        let nonce = nonce();
        notes.nonces.push(nonce.clone());
        let surplus = notes.nonces.len().saturating_sub(20);
        notes.nonces.drain(..surplus);
        let journal = Self {
            path: Some(path),
            notes,
            nonce,
            _lock: Some(lock),
        };
        journal.write()?;
        Ok(journal)
    }

    /// A journal in memory only, for a call without a dist directory.
    pub(super) fn unsaved() -> Self {
        Self {
            path: None,
            notes: Notes::default(),
            nonce: nonce(),
            _lock: None,
        }
    }

    /// Reads the entries of the last run, even if a publisher is running.
    pub(super) fn peek(path: &std::path::Path) -> Notes {
        sysforge_files::read_text(path)
            .ok()
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default()
    }

    /// Returns the name of this run.
    pub(super) fn nonce(&self) -> &str {
        &self.nonce
    }

    /// Whether the run with this name was one of ours; it has ended, since we hold the lock.
    pub(super) fn is_ours(&self, nonce: &str) -> bool {
        self.notes.nonces.iter().any(|known| known == nonce)
    }

    pub(super) fn set_draft(&mut self, id: u64) -> Result<(), PublishError> {
        if self.notes.draft.replace(id) != Some(id) {
            self.notes.begun.clear();
        }
        self.write()
    }

    /// Returns the entries of this run and those before it.
    pub(super) fn notes(&self) -> &Notes {
        &self.notes
    }

    /// Records what is about to be sent to the draft.
    pub(super) fn begin<'a>(
        &mut self,
        files: impl Iterator<Item = (&'a str, Sha256)>,
    ) -> Result<(), PublishError> {
        let mut new = false;
        for (name, digest) in files {
            new |= self.notes.begun.insert(name.to_owned(), digest) != Some(digest);
        }
        match new {
            true => self.write(),
            false => Ok(()),
        }
    }

    /// Records which release is public but not checked yet; `None` once it is checked.
    pub(super) fn set_unchecked(&mut self, release: Option<u64>) -> Result<(), PublishError> {
        if self.notes.unchecked == release {
            return Ok(());
        }
        self.notes.unchecked = release;
        self.write()
    }

    fn write(&self) -> Result<(), PublishError> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        let text = serde_json::to_string(&self.notes).unwrap_or_default();
        local::write_whole(path, text.as_bytes())
    }
}

/// Returns a name that no other run has: 64 random bits.
fn nonce() -> String {
    format!("{:016x}", crate::host::random())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_run_knows_the_draft_and_the_name_of_the_last() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.json");
        let mut first = PublishJournal::open(path.clone(), "v1").unwrap();
        first.set_draft(7).unwrap();
        let digest = Sha256::new([1; 32]);
        first.begin([("a", digest)].into_iter()).unwrap();
        let nonce = first.nonce().to_owned();
        drop(first);
        let mut second = PublishJournal::open(path, "v1").unwrap();
        assert_eq!(second.notes.draft(), Some(7));
        assert!(second.notes.has_begun(7, "a", digest));
        assert!(!second.notes.has_begun(8, "a", digest));
        assert!(!second.notes.has_begun(7, "a", Sha256::new([2; 32])));
        assert!(second.is_ours(&nonce) && second.nonce() != nonce);
        second.set_draft(8).unwrap();
        second.set_draft(7).unwrap();
        assert!(!second.notes.has_begun(7, "a", digest));
    }

    #[test]
    fn two_publishers_from_one_directory_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.json");
        let _first = PublishJournal::open(path.clone(), "v1").unwrap();
        let error = PublishJournal::open(path, "v1").unwrap_err();
        assert!(matches!(error, PublishError::Another { .. }), "{error}");
    }
}
