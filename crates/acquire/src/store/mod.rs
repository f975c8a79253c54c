//! The store: a folder that keeps what was acquired, each entry named by what it is and by the
//! digest of the archive that it came from.
//!
//! ```text
//! STORE/
//!   julia/1.12.7-x86_64-linux-gnu-0a1b2c3d4e5f/   a Julia, whole, with its record inside
//!   toolchain/…                                   a C toolchain, likewise
//!   base/1.12.7-x86_64-linux-gnu-0a1b2c3d4e5f/    a sysimage that was made from Julia's sources
//!   catalogue/…                                   the last catalogue of each mirror
//!   partial/…                                     downloads that were interrupted
//!   locks/…                                       empty files that processes lock
//!   making/…                                      what is being made here
//!   tmp/…                                         what is being unpacked, or being removed
//! ```
//!
//! An entry appears by a rename and is never changed afterwards. Who installs holds the entry's
//! lock; who reads holds a [`Lease`], which costs nothing and keeps `prune` away. Locks are the
//! operating system's and end with the process, however it ends.
//!
//! Nothing is forced to the disk before the rename: some thousand files would take seconds. What a
//! power failure loses shows at the next look as a missing record or a file of another size, and
//! the entry is fetched again ([`Damage`]); an interrupted download that it spoilt has another
//! digest, and begins anew.

mod damage;
mod entry;
mod lease;
mod made;
mod partial;
mod prune;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use damage::Damage;
pub use entry::{Entry, EntryId, Record};
pub use lease::Lease;
pub use made::{Making, Slot};
pub use prune::{Listed, PruneRules, Pruned, remove_leftovers};

pub(crate) use entry::{SCHEMA, seal, write_listing};
pub(crate) use partial::Partial;

use sysforge_files::{FileLock, LockAttempt, rename, try_exclusive};
use sysforge_plan::Reporter;

use crate::error::Error;

/// The kinds of entries, which are also the folders that they lie in.
pub(crate) const KINDS: [&str; 3] = ["julia", "toolchain", "base"];

/// How long the lock's holder is left alone before the next look.
const LOCK_POLL: Duration = Duration::from_millis(100);

/// A store in a folder. Opening it touches nothing.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

/// What was found under an entry's name.
pub enum Lookup {
    /// The entry, whole, with a lease on it.
    Whole(Box<Entry>),
    /// The entry, but not as it was installed.
    Damaged(Damage),
    /// Nothing.
    Absent,
}

impl Store {
    /// The store in `root`, which need not exist yet.
    #[must_use]
    pub fn open(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Looks for an entry and checks that it is as it was installed: every file there, with its
    /// size and time. Waits for nobody.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub fn lookup(&self, id: &EntryId) -> Result<Lookup, Error> {
        // The lease first: from then on, prune keeps away, and what is found stays.
        let Some(lease) = lease::lease(&self.use_file(id)) else {
            // Prune has it in its hands at this moment.
            return Ok(Lookup::Absent);
        };
        let prefix = self.entry_dir(id);
        match fs::symlink_metadata(&prefix) {
            Ok(_) => {}
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
                ) =>
            {
                return Ok(Lookup::Absent);
            }
            Err(error) => return Err(Error::io("read", &prefix)(error)),
        }
        Ok(match damage::check(&prefix) {
            Ok(record) => Lookup::Whole(Box::new(Entry {
                id: id.clone(),
                prefix,
                record,
                lease,
            })),
            Err(damage) => Lookup::Damaged(damage),
        })
    }

    /// Whether new entries can be made, and if not, why.
    ///
    /// # Errors
    ///
    /// If the folder cannot be made or written to.
    pub fn check_writable(&self) -> std::io::Result<()> {
        fs::create_dir_all(&self.root)?;
        let probe = tempfile::Builder::new()
            .prefix(".writable-")
            .tempfile_in(&self.root)
            // Without the probe's own path, which nobody knows.
            .map_err(|error| std::io::Error::from(error.kind()))?;
        drop(probe);
        let tag = self.root.join("CACHEDIR.TAG");
        if !tag.exists() {
            // Backup programs leave such folders out (https://bford.info/cachedir/).
            fs::write(
                tag,
                "Signature: 8a477f597d28d172789f06886806bc55\n# The store of Sysforge.\n",
            )?;
        }
        Ok(())
    }

    /// Where an entry lies.
    #[must_use]
    pub fn entry_dir(&self, id: &EntryId) -> PathBuf {
        self.root.join(id.kind()).join(id.name())
    }

    /// The file of a partial download, and its note.
    pub(crate) fn partial(&self, key: &str) -> Partial {
        Partial::new(self.root.join("partial").join(key))
    }

    /// Tries to take the right to make or remove an entry.
    pub(crate) fn try_lock(&self, id: &EntryId) -> Result<LockAttempt, Error> {
        let path = self.root.join("locks").join(id.lock_name("lock"));
        make_parent(&path)?;
        let attempt = try_exclusive(&path).map_err(Error::io("lock", &path))?;
        if let LockAttempt::Got(lock) = &attempt
            && lock.is_real()
        {
            self.sweep(id)?;
        }
        Ok(attempt)
    }

    /// Waits for that right. Of another process that is `doing` it, the user is told.
    pub(crate) async fn wait_for_lock(
        &self,
        id: &EntryId,
        doing: &str,
        reporter: &Reporter,
    ) -> Result<FileLock, Error> {
        wait_for(|| self.try_lock(id), &format!("{doing} {id}"), reporter).await
    }

    /// A new folder to unpack an entry in, on the same file system as its place.
    pub(crate) fn temporary(&self, id: &EntryId) -> Result<tempfile::TempDir, Error> {
        let tmp = self.root.join("tmp");
        fs::create_dir_all(&tmp).map_err(Error::io("create", &tmp))?;
        // Short, because Windows paths are: toolchains nest deep.
        tempfile::Builder::new()
            .prefix(&id.temporary_prefix())
            .rand_bytes(4)
            .tempdir_in(&tmp)
            .map_err(Error::io("write to", &tmp))
    }

    /// Moves a finished tree into its place. What was there before, a damaged entry, goes.
    pub(crate) fn commit(
        &self,
        id: &EntryId,
        held: &FileLock,
        tree: tempfile::TempDir,
    ) -> Result<PathBuf, Error> {
        let place = self.entry_dir(id);
        make_parent(&place)?;
        if place.symlink_metadata().is_ok() {
            // Where the file system knows no locks, another process may have been faster, and
            // somebody may use what it made.
            if !held.is_real() && damage::check(&place).is_ok() {
                return Ok(place);
            }
            self.discard(id)?;
        }
        match rename(tree.path(), &place) {
            Err(_) if !held.is_real() && damage::check(&place).is_ok() => return Ok(place),
            renamed => renamed.map_err(Error::io("create", &place))?,
        }
        // It is no longer there to be removed.
        let _ = tree.keep();
        Ok(place)
    }

    /// Removes an entry: out of its place at once, then from the disk.
    pub(crate) fn discard(&self, id: &EntryId) -> Result<(), Error> {
        let place = self.entry_dir(id);
        let grave = self.temporary(id)?;
        let moved = grave.path().join("old");
        rename(&place, &moved).map_err(Error::io("remove", &place))?;
        grave.close().map_err(Error::io("remove", &moved))
    }

    /// Removes what killed processes left of this entry. Only for the holder of its lock: then
    /// whatever lies there belongs to nobody.
    fn sweep(&self, id: &EntryId) -> Result<(), Error> {
        let tmp = self.root.join("tmp");
        let Ok(entries) = fs::read_dir(&tmp) else {
            return Ok(());
        };
        let prefix = id.temporary_prefix();
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().starts_with(&prefix) {
                let path = entry.path();
                fs::remove_dir_all(&path).map_err(Error::io("remove", &path))?;
            }
        }
        Ok(())
    }

    /// Holds the entry that `path` lies in, if it lies in one.
    #[must_use]
    pub fn hold(&self, path: &Path) -> Option<Lease> {
        let root = self.root.canonicalize().ok()?;
        let path = path.canonicalize().ok()?;
        let mut inside = path.strip_prefix(root).ok()?.iter();
        let folder = inside.next()?.to_str()?;
        let kind = KINDS.into_iter().find(|kind| *kind == folder)?;
        let name = inside.next()?.to_string_lossy().into_owned();
        lease::lease(&self.use_file(&EntryId::existing(kind, name)))
    }

    /// The entry that came last from this address, whole. For what has no digest to be found by.
    pub(crate) fn newest_from(&self, source: &str) -> Result<Option<Entry>, Error> {
        let mut newest = None;
        for listed in self.list(false)? {
            let from_there = listed.state.is_ok_and(|record| record.source == source);
            let record = self.entry_dir(&listed.id).join(entry::RECORD);
            let made = fs::metadata(record).and_then(|record| record.modified());
            if let (true, Ok(made)) = (from_there, made)
                && newest.as_ref().is_none_or(|(before, _)| *before < made)
            {
                newest = Some((made, listed.id));
            }
        }
        let Some((_, id)) = newest else {
            return Ok(None);
        };
        Ok(match self.lookup(&id)? {
            Lookup::Whole(entry) => Some(*entry),
            _ => None,
        })
    }

    fn use_file(&self, id: &EntryId) -> PathBuf {
        self.root.join("locks").join(id.lock_name("use"))
    }
}

/// Tries to lock until that succeeds. Of another process that is `doing` it, the user is told.
///
/// # Errors
///
/// If an attempt fails.
pub async fn wait_for<E>(
    mut attempt: impl FnMut() -> Result<LockAttempt, E>,
    doing: &str,
    reporter: &Reporter,
) -> Result<FileLock, E> {
    let mut said = false;
    loop {
        match attempt()? {
            LockAttempt::Got(lock) => return Ok(lock),
            LockAttempt::Busy if !said => {
                said = true;
                reporter.note(format!(
                    "another process is {doing}; waiting for it to finish"
                ));
            }
            LockAttempt::Busy => {}
        }
        tokio::time::sleep(LOCK_POLL).await;
    }
}

fn make_parent(path: &Path) -> Result<(), Error> {
    match path.parent() {
        Some(parent) => fs::create_dir_all(parent).map_err(Error::io("create", parent)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
