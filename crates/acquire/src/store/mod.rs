//! The store: a folder of all downloaded and built files. The name of an entry describes it and
//! contains the digest of the archive that it came from.
//!
//! ```text
//! STORE/
//!   julia/1.12.7-x86_64-linux-gnu-0a1b2c3d4e5f/   an installed Julia, with its record
//!   toolchain/…                                   a C toolchain, likewise
//!   base/1.12.7-x86_64-linux-gnu-0a1b2c3d4e5f/    a sysimage built from Julia's own sources
//!   depot/…                                       packages, where the user's depot is read-only
//!   catalogue/…                                   the latest catalogue of each mirror
//!   partial/…                                     interrupted downloads
//!   locks/…                                       empty files that processes lock
//!   making/…                                      entries that are being built on this machine
//!   tmp/…                                         entries that are being unpacked or removed
//! ```
//!
//! An entry appears by a rename and never changes afterwards. A process that installs an entry holds
//! its lock; a process that reads one holds a [`Lease`], which costs nothing and protects it from
//! `prune`. The operating system releases the locks when a process ends for any reason.
//!
//! Files are not flushed to the disk before the rename: for some thousand files that would take
//! seconds. After a power failure, the next lookup detects lost data as a missing record or a file
//! of the wrong size, and the entry is fetched again ([`Damage`]); a corrupt partial download has a
//! wrong digest and starts from the beginning.

mod builder;
mod damage;
mod depot;
mod entry;
mod lease;
mod partial;
mod prune;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use builder::{EntryBuilder, EntrySlot};
pub use damage::Damage;
pub use depot::ListedDepot;
pub use entry::{Entry, EntryId, Record};
pub use lease::Lease;
pub use prune::{Listed, PruneRules, Pruned, remove_leftovers};

pub(crate) use entry::{SCHEMA, seal, write_listing};
pub(crate) use partial::Partial;

use sysforge_files::{FileLock, LockAttempt, rename, try_exclusive};
use sysforge_plan::{JuliaVersion, Reporter, Step, Task, Triplet};

use crate::error::Error;

/// The kinds of entries, which are also the names of their parent folders.
pub(crate) const KINDS: [&str; 3] = ["julia", "toolchain", "base"];

/// How often to try again to take a lock that another process holds.
const LOCK_POLL: Duration = Duration::from_millis(100);

/// A store in a folder. Opening it does not access the disk.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

/// The result of looking for an entry.
pub enum Lookup {
    /// A complete entry, with a lease on it.
    Whole(Box<Entry>),
    /// An entry that no longer matches what was installed.
    Damaged(Damage),
    /// No entry.
    Absent,
}

impl Store {
    /// Opens the store in `root`, which need not exist yet.
    pub fn open(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Returns the store's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Looks for an entry and checks that every file has its recorded size and modification time.
    /// Does not wait for locks.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the system does not tell whether the entry exists, for example because
    /// access is denied. Damage is not an error: [`Lookup::Damaged`].
    pub fn lookup(&self, id: &EntryId) -> Result<Lookup, Error> {
        let prefix = self.entry_dir(id);
        // A lease creates folders, which a store that is only looked into does not need.
        if !exists(&prefix)? {
            tracing::debug!(entry = %id, store = %self.root.display(), "not in the store");
            return Ok(Lookup::Absent);
        }
        let Some(lease) = lease::lease(&self.use_file(id))? else {
            // `prune` is removing it at this moment.
            return Ok(Lookup::Absent);
        };
        // From here on, `prune` cannot remove it.
        if !exists(&prefix)? {
            return Ok(Lookup::Absent);
        }
        tracing::debug!(entry = %id, store = %self.root.display(), "found in the store");
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

    /// Checks whether new entries can be created, and leaves nothing behind.
    ///
    /// # Errors
    ///
    /// If the folder cannot be created or is not writable.
    pub fn check_writable(&self) -> std::io::Result<()> {
        // Report the error without the path of the probe, which means nothing to the user.
        sysforge_files::check_writable(&self.root).map_err(|error| error.kind().into())
    }

    /// Creates the folder of the store.
    ///
    /// # Errors
    ///
    /// As [`Self::check_writable`].
    pub(crate) fn create(&self) -> std::io::Result<()> {
        sysforge_files::create_folders(&self.root)?;
        self.check_writable()?;
        let tag = self.root.join("CACHEDIR.TAG");
        if !tag.exists() {
            // Backup programs skip folders with this tag (https://bford.info/cachedir/).
            fs::write(
                tag,
                "Signature: 8a477f597d28d172789f06886806bc55\n# The store of Sysforge.\n",
            )?;
        }
        Ok(())
    }

    /// Returns the path of an entry.
    pub fn entry_dir(&self, id: &EntryId) -> PathBuf {
        self.root.join(id.kind()).join(id.name())
    }

    /// Returns a partial download.
    pub(crate) fn partial(&self, key: &str) -> Partial {
        Partial::new(self.root.join("partial").join(key))
    }

    /// Tries to take the exclusive right to create or remove an entry.
    pub(crate) fn try_lock(&self, id: &EntryId) -> Result<LockAttempt, Error> {
        let path = self.root.join("locks").join(id.lock_name("lock"));
        make_parent(&path)?;
        let attempt = try_exclusive(&path).map_err(Error::io("lock", &path))?;
        if let LockAttempt::Got(lock) = &attempt
            && lock.is_real()
        {
            self.remove_temporary_folders(id)?;
        }
        Ok(attempt)
    }

    /// Waits for that right. Reports it if another process that is `doing` this holds the lock.
    pub(crate) async fn wait_for_lock(
        &self,
        id: &EntryId,
        doing: &str,
        reporter: &Reporter,
    ) -> Result<FileLock, Error> {
        wait_for(|| self.try_lock(id), &format!("{doing} {id}"), reporter).await
    }

    /// Creates a folder to unpack an entry into, on the same file system as the store.
    pub(crate) fn temporary(&self, id: &EntryId) -> Result<tempfile::TempDir, Error> {
        let tmp = self.root.join("tmp");
        sysforge_files::create_folders(&tmp).map_err(Error::io("create", &tmp))?;
        // Keep the path short for Windows: toolchains have deeply nested folders.
        tempfile::Builder::new()
            .prefix(&id.temporary_prefix())
            .rand_bytes(4)
            .tempdir_in(&tmp)
            .map_err(Error::io("write to", &tmp))
    }

    /// Moves a finished tree to its final path, and removes a damaged entry that was there.
    pub(crate) fn commit(
        &self,
        id: &EntryId,
        held: &FileLock,
        tree: tempfile::TempDir,
    ) -> Result<PathBuf, Error> {
        let entry_dir = self.entry_dir(id);
        make_parent(&entry_dir)?;
        if entry_dir.symlink_metadata().is_ok() {
            // On file systems without locks, another process may have installed the entry first,
            // and it may be in use.
            if !held.is_real() && damage::check(&entry_dir).is_ok() {
                return Ok(entry_dir);
            }
            self.remove_entry(id)?;
        }
        match rename(tree.path(), &entry_dir) {
            Err(_) if !held.is_real() && damage::check(&entry_dir).is_ok() => return Ok(entry_dir),
            renamed => renamed.map_err(Error::io("create", &entry_dir))?,
        }
        // The temporary folder was moved, so it must not be removed.
        let _ = tree.keep();
        Ok(entry_dir)
    }

    /// Removes an entry: first renames it, then deletes it.
    pub(crate) fn remove_entry(&self, id: &EntryId) -> Result<(), Error> {
        let entry_dir = self.entry_dir(id);
        let trash = self.temporary(id)?;
        let moved = trash.path().join("old");
        rename(&entry_dir, &moved).map_err(Error::io("remove", &entry_dir))?;
        trash.close().map_err(Error::io("remove", &moved))
    }

    /// Removes leftovers of killed processes for this entry. Only the holder of its lock may call
    /// this, because no other process can be using them then.
    fn remove_temporary_folders(&self, id: &EntryId) -> Result<(), Error> {
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

    /// Takes a lease on the entry that contains `path`. Returns `None` if no entry does, or if it is being
    /// removed at this moment.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if something else is in place of the lease's file.
    pub fn hold(&self, path: &Path) -> Result<Option<Lease>, Error> {
        if path == self.depot() {
            return self.hold_depot();
        }
        match self.entry_of(path) {
            Some(id) => lease::lease(&self.use_file(&id)),
            None => Ok(None),
        }
    }

    /// Returns the entry whose folder contains `path`.
    fn entry_of(&self, path: &Path) -> Option<EntryId> {
        let root = sysforge_files::canonical(&self.root).ok()?;
        let path = sysforge_files::canonical(path).ok()?;
        let mut inside = path.strip_prefix(root).ok()?.iter();
        let folder = inside.next()?.to_str()?;
        let kind = KINDS.into_iter().find(|kind| *kind == folder)?;
        let name = inside.next()?.to_string_lossy().into_owned();
        Some(EntryId::existing(kind, name))
    }

    /// Returns the Julias for a platform, newest first, according to the names of their folders.
    /// Use [`Self::lookup`] to check whether they are complete.
    pub(crate) fn julias(&self, triplet: Triplet) -> Vec<(JuliaVersion, EntryId)> {
        let entries = fs::read_dir(self.root.join("julia"));
        let names = entries.into_iter().flatten().flatten();
        let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut all: Vec<_> = names
            .filter_map(|name| {
                let (rest, _digest) = name.rsplit_once('-')?;
                let version = rest.strip_suffix(triplet.name())?.strip_suffix('-')?;
                let version = version.parse().ok()?;
                Some((version, EntryId::existing("julia", name)))
            })
            .collect();
        all.sort_by(|a: &(JuliaVersion, _), b| b.0.cmp(&a.0));
        all
    }

    /// Returns the newest complete entry from this address, for entries whose digest is not known
    /// in advance.
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

/// Tries to lock until that succeeds. Reports it if another process that is `doing` this holds the
/// lock.
///
/// # Errors
///
/// The first error of `attempt`.
pub async fn wait_for<E>(
    mut attempt: impl FnMut() -> Result<LockAttempt, E>,
    doing: &str,
    reporter: &Reporter,
) -> Result<FileLock, E> {
    let mut waiting = None;
    loop {
        if let LockAttempt::Got(lock) = attempt()? {
            if let Some(task) = waiting {
                Task::done(task, "it has ended");
            }
            return Ok(lock);
        }
        waiting.get_or_insert_with(|| {
            reporter.start(Step::Wait, format!("another process is {doing}"))
        });
        tokio::time::sleep(LOCK_POLL).await;
    }
}

/// Returns whether there is an entry.
fn exists(entry: &Path) -> Result<bool, Error> {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    match fs::symlink_metadata(entry) {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.kind(), NotFound | NotADirectory) => Ok(false),
        Err(error) => Err(Error::io("read", entry)(error)),
    }
}

fn make_parent(path: &Path) -> Result<(), Error> {
    match path.parent() {
        Some(parent) => sysforge_files::create_folders(parent).map_err(Error::io("create", parent)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
