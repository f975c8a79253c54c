//! Leases protect the entries in use from `prune`. A reader holds a shared lock on a file that must
//! be locked exclusively to remove the entry.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::SystemTime;

use sysforge_files::FileLock;

/// Protects an entry from `prune` while this value lives.
#[derive(Debug)]
pub struct Lease {
    _lock: FileLock,
}

impl Lease {
    /// Creates a lease on something that `prune` never removes.
    pub(crate) const fn none() -> Self {
        Self {
            _lock: FileLock::unsupported_by_file_system(),
        }
    }
}

/// Takes a lease, or returns `None` if `prune` is removing the entry at this moment. A store that
/// is not writable cannot be pruned and needs no lease.
pub(super) fn lease(path: &Path) -> Option<Lease> {
    if let Some(folder) = path.parent() {
        // An error here is reported when the file is opened.
        let _ = sysforge_files::create_folders(folder);
    }
    let opened = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .or_else(|_| File::open(path));
    let Ok(file) = opened else {
        return Some(Lease::none());
    };
    match file.try_lock_shared() {
        Ok(()) => {
            // The file's modification time is the time of last use.
            let _ = file.set_modified(SystemTime::now());
            Some(Lease {
                _lock: FileLock::of(file),
            })
        }
        Err(TryLockError::WouldBlock) => None,
        Err(TryLockError::Error(_)) => {
            let _ = file.set_modified(SystemTime::now());
            Some(Lease::none())
        }
    }
}

#[cfg(test)]
mod tests {
    use sysforge_files::{LockAttempt, try_exclusive};
    use sysforge_plan::Sha256;

    use std::fs;

    use super::super::{EntryId, Lookup, Store};
    use super::*;

    #[test]
    fn without_locks_the_second_process_uses_the_entry_of_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path());
        let id = EntryId::toolchain("gcc", &Sha256::new([7; 32]));
        let install = |text: &str| {
            let tree = store.temporary(&id).unwrap();
            super::super::tests::seal_file(tree.path(), "gcc", text);
            store
                .commit(&id, &FileLock::unsupported_by_file_system(), tree)
                .unwrap()
        };
        let entry_dir = install("first");
        assert_eq!(entry_dir, install("second"));
        assert_eq!(fs::read(entry_dir.join("gcc")).unwrap(), b"first");
        assert_eq!(fs::read_dir(folder.path().join("tmp")).unwrap().count(), 0);

        // A damaged entry is still replaced.
        fs::remove_file(entry_dir.join("gcc")).unwrap();
        install("third");
        assert_eq!(fs::read(entry_dir.join("gcc")).unwrap(), b"third");
        assert!(matches!(store.lookup(&id).unwrap(), Lookup::Whole(_)));
    }

    #[test]
    fn an_entry_that_cannot_be_pruned_needs_no_lease() {
        let folder = tempfile::tempdir().unwrap();
        // Simulates a store that is not writable.
        fs::write(folder.path().join("file"), "").unwrap();
        let held = lease(&folder.path().join("file/use")).unwrap();
        assert!(!held._lock.is_real());
        // An entry that `prune` is removing cannot be leased until it is done.
        let path = folder.path().join("use");
        let LockAttempt::Got(removing) = try_exclusive(&path).unwrap() else {
            panic!("nobody else has it");
        };
        assert!(removing.is_real());
        assert!(lease(&path).is_none());
        assert!(matches!(try_exclusive(&path).unwrap(), LockAttempt::Busy));
        drop(removing);
        assert!(lease(&path).unwrap()._lock.is_real());
    }
}
