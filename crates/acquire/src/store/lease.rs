//! Leases protect the entries in use from `prune`. A reader holds a shared lock on a file that must
//! be locked exclusively to remove the entry.

use std::io::ErrorKind;
use std::path::Path;

use sysforge_files::{FileLock, LockAttempt, try_shared};

use crate::Error;

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
///
/// # Errors
///
/// [`Error::Io`] if something else is in place of the lease's file: a folder, a link, a pipe or a device.
pub(super) fn lease(path: &Path) -> Result<Option<Lease>, Error> {
    if let Some(folder) = path.parent() {
        // An error here is reported when the file is opened.
        let _ = sysforge_files::create_folders(folder);
    }
    match try_shared(path) {
        Ok(LockAttempt::Got(lock)) => Ok(Some(Lease { _lock: lock })),
        Ok(LockAttempt::Busy) => Ok(None),
        Err(error) if error.kind() == ErrorKind::InvalidInput => {
            Err(Error::io("lock", path)(error))
        }
        Err(_) => Ok(Some(Lease::none())),
    }
}

#[cfg(test)]
mod tests {
    use sysforge_files::try_exclusive;
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
        let held = lease(&folder.path().join("file/use")).unwrap().unwrap();
        assert!(!held._lock.is_real());
        // An entry that `prune` is removing cannot be leased until it is done.
        let path = folder.path().join("use");
        let LockAttempt::Got(removing) = try_exclusive(&path).unwrap() else {
            panic!("nobody else has it");
        };
        assert!(removing.is_real());
        assert!(lease(&path).unwrap().is_none());
        assert!(matches!(try_exclusive(&path).unwrap(), LockAttempt::Busy));
        drop(removing);
        assert!(lease(&path).unwrap().unwrap()._lock.is_real());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_or_a_pipe_in_place_of_a_lease_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let [link, outside, pipe] =
            ["link", "outside", "pipe"].map(|name| folder.path().join(name));
        std::os::unix::fs::symlink(&outside, &link).unwrap();
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        for (path, what) in [(link, "a symbolic link"), (pipe, "a pipe or a device")] {
            let said = lease(&path).unwrap_err().to_string();
            assert!(said.contains(&path.display().to_string()), "{said}");
            let cause = format!("{:?}", lease(&path).unwrap_err());
            assert!(cause.contains(what), "{cause}");
        }
        assert!(!outside.exists());
    }
}
