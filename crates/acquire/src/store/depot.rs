//! The depot in the store, which Julia's package manager uses if the user's own depot is not
//! writable. It is not an entry: it has no digest, and grows with every build. So it is listed and
//! removed as a whole; missing packages are downloaded again.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use sysforge_files::{FileLock, LockAttempt, rename, try_exclusive};

use super::prune::{disk_usage, modified};
use super::{Lease, Store, lease};
use crate::error::Error;

/// The depot's folder in the store.
pub(super) const FOLDER: &str = "depot";

/// Minimum time since the last use before removal, on file systems without locks, where it is
/// unknown whether it is in use.
const UNLOCKED_AGE: Duration = Duration::from_secs(24 * 3600);

/// The depot in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedDepot {
    /// Its folder.
    pub path: PathBuf,
    /// When a build last used it.
    pub used: SystemTime,
    /// Its size on the disk, in bytes.
    pub bytes: u64,
}

impl Store {
    /// Returns the path of the depot, whether it exists or not.
    pub fn depot(&self) -> PathBuf {
        self.root().join(FOLDER)
    }

    /// Protects the depot from `prune`. Returns `None` if it is being removed at this moment.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if something else is in place of the lease's file.
    pub fn hold_depot(&self) -> Result<Option<Lease>, Error> {
        lease::lease(&self.depot_use())
    }

    /// Returns the depot, if it exists.
    pub fn listed_depot(&self) -> Option<ListedDepot> {
        let path = self.depot();
        // Every use takes a lease. Without one, the folder is somebody else's: `--store` may name any
        // folder by mistake.
        let is_ours = path.is_dir() && self.depot_use().is_file();
        is_ours.then(|| ListedDepot {
            used: modified(&self.depot_use())
                .or_else(|| modified(&path))
                .unwrap_or(SystemTime::UNIX_EPOCH),
            bytes: disk_usage(&path),
            path,
        })
    }

    /// Locks the depot unless a build is using it.
    pub(super) fn lock_unused_depot(&self) -> Result<Option<FileLock>, Error> {
        let lock = self.depot_use();
        let used = modified(&lock).and_then(|at| at.elapsed().ok());
        super::make_parent(&lock)?;
        let held = match try_exclusive(&lock).map_err(Error::io("lock", &lock))? {
            LockAttempt::Got(held) => held,
            LockAttempt::Busy => return Ok(None),
        };
        let recent = used.is_none_or(|age| age < UNLOCKED_AGE);
        Ok((held.is_real() || !recent).then_some(held))
    }

    /// Removes the depot unless a build is using it. Returns whether it was removed.
    pub(super) fn remove_depot(&self) -> Result<bool, Error> {
        let Some(_held) = self.lock_unused_depot()? else {
            return Ok(false);
        };
        let tmp = self.root().join("tmp");
        sysforge_files::create_folders(&tmp).map_err(Error::io("create", &tmp))?;
        let folder = tempfile::Builder::new()
            .prefix("depot.")
            .tempdir_in(&tmp)
            .map_err(Error::io("write to", &tmp))?;
        let moved = folder.path().join("old");
        rename(&self.depot(), &moved).map_err(Error::io("remove", self.depot()))?;
        // The files of packages are read-only, but no folder is, so they can be removed.
        folder.close().map_err(Error::io("remove", &moved))?;
        Ok(true)
    }

    fn depot_use(&self) -> PathBuf {
        self.root().join("locks").join("depot.use")
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::PruneRules;
    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("store"));
        let package = store.depot().join("packages/X/abcde");
        fs::create_dir_all(&package).unwrap();
        fs::write(package.join("Project.toml"), "name = \"X\"\n").unwrap();
        (folder, store)
    }

    #[test]
    fn the_depot_is_listed_with_its_size_and_last_use() {
        let (_folder, store) = store();
        drop(store.hold_depot().unwrap().unwrap());
        let listed = store.listed_depot().unwrap();
        assert_eq!(listed.bytes, 11);
        assert!(listed.used.elapsed().unwrap() < Duration::from_secs(60));
        assert_eq!(Store::open("/nowhere").listed_depot(), None);
        // A folder of this name that no build has used as a depot.
        let other = tempfile::tempdir().unwrap();
        fs::create_dir(other.path().join(FOLDER)).unwrap();
        assert_eq!(Store::open(other.path()).listed_depot(), None);
    }

    #[test]
    fn prune_removes_it_when_it_is_old_or_too_much_but_not_while_it_is_used() {
        let (_folder, store) = store();
        let now = SystemTime::now();
        let all = PruneRules {
            unused_for: Some(Duration::ZERO),
            keep_bytes: None,
        };
        let month = PruneRules {
            unused_for: Some(Duration::from_secs(30 * 24 * 3600)),
            keep_bytes: None,
        };
        let lease = store.hold_depot().unwrap().unwrap();
        assert!(!store.prune(month, now).unwrap().depot);
        let pruned = store.prune(all, now + Duration::from_secs(1)).unwrap();
        assert!(pruned.depot_in_use && !pruned.depot && store.depot().is_dir());
        drop(lease);
        let little = PruneRules {
            unused_for: None,
            keep_bytes: Some(5),
        };
        assert!(store.would_prune(little, now).unwrap().depot);
        assert!(store.depot().is_dir());
        let pruned = store.prune(little, now).unwrap();
        assert!(pruned.depot && !pruned.depot_in_use);
        assert_eq!(pruned.bytes, 11);
        assert!(!store.depot().exists());
        assert_eq!(fs::read_dir(store.root().join("tmp")).unwrap().count(), 0);
        // A build can use a depot again.
        assert!(store.hold_depot().unwrap().is_some());
    }
}
