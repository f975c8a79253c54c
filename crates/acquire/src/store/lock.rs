//! Locks between processes. They are the operating system's own (`flock`, `LockFileEx`): they
//! end with the process that holds them, so no crash leaves a lock behind. The files stay, empty:
//! removing a lock file that another process has open would make two locks of one.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::SystemTime;

/// The right to make or remove something, for as long as this lives.
#[derive(Debug)]
pub struct FileLock {
    /// `None` where the file system knows no locks.
    file: Option<File>,
}

impl FileLock {
    /// Whether the lock really keeps others away.
    #[must_use]
    pub fn is_real(&self) -> bool {
        self.file.is_some()
    }
}

/// What came of trying to lock.
#[derive(Debug)]
pub enum LockAttempt {
    /// The lock is held.
    Got(FileLock),
    /// Another process, or another task of this one, holds it.
    Busy,
}

/// A reader's hold on an entry: `prune` leaves it alone for as long as this lives.
#[derive(Debug)]
pub struct Lease {
    _file: Option<File>,
}

impl Lease {
    /// A lease on something that nobody prunes.
    pub(crate) const fn none() -> Self {
        Self { _file: None }
    }
}

/// Some network file systems answer that they know no locks. Then work goes on without: a rename
/// still decides, and the worst that happens is a download too many.
fn unsupported(error: &io::Error) -> bool {
    /// `ENOLCK` on Linux, macOS and FreeBSD: "no locks available", what NFS says without its
    /// lock daemon.
    const ENOLCK: [i32; 2] = [37, 77];
    error.kind() == ErrorKind::Unsupported
        || (cfg!(unix)
            && error
                .raw_os_error()
                .is_some_and(|code| ENOLCK.contains(&code)))
}

/// Tries to lock a file, which is made if it is not there.
///
/// # Errors
///
/// If the file cannot be made or opened. Of a file system that knows no locks one is had that is
/// not [real](FileLock::is_real).
pub fn try_exclusive(path: &Path) -> io::Result<LockAttempt> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(LockAttempt::Got(FileLock { file: Some(file) })),
        Err(TryLockError::WouldBlock) => Ok(LockAttempt::Busy),
        Err(TryLockError::Error(error)) if unsupported(&error) => {
            Ok(LockAttempt::Got(FileLock { file: None }))
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Takes a lease, or `None` if `prune` is removing the entry at this moment. A store that cannot
/// be written to cannot be pruned either, and needs no lease.
pub(super) fn lease(path: &Path) -> Option<Lease> {
    if let Some(folder) = path.parent() {
        // Whatever is wrong here shows when the file is opened.
        let _ = fs::create_dir_all(folder);
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
            // The file's time says when the entry was last used.
            let _ = file.set_modified(SystemTime::now());
            Some(Lease { _file: Some(file) })
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
    use sysforge_plan::Sha256;

    use super::super::{EntryId, Lookup, Store};
    use super::*;

    /// As on a file system that knows no locks.
    const UNREAL: FileLock = FileLock { file: None };

    #[cfg(unix)]
    #[test]
    fn a_file_system_without_locks_is_told_from_one_that_fails() {
        for error in [
            io::Error::from(ErrorKind::Unsupported),
            io::Error::from_raw_os_error(37),
            io::Error::from_raw_os_error(77),
        ] {
            assert!(unsupported(&error), "{error}");
        }
        for kind in [ErrorKind::PermissionDenied, ErrorKind::NotFound] {
            assert!(!unsupported(&kind.into()), "{kind}");
        }
    }

    #[test]
    fn without_locks_who_comes_second_takes_what_the_first_made() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path());
        let id = EntryId::toolchain("gcc", &Sha256::new([7; 32]));
        let made = |text: &str| {
            let tree = store.temporary(&id).unwrap();
            super::super::tests::seal_file(tree.path(), "gcc", text);
            store.commit(&id, &UNREAL, tree).unwrap()
        };
        let place = made("first");
        assert_eq!(place, made("second"));
        assert_eq!(fs::read(place.join("gcc")).unwrap(), b"first");
        assert_eq!(fs::read_dir(folder.path().join("tmp")).unwrap().count(), 0);

        // A damaged one goes, as ever.
        fs::remove_file(place.join("gcc")).unwrap();
        made("third");
        assert_eq!(fs::read(place.join("gcc")).unwrap(), b"third");
        assert!(matches!(store.lookup(&id).unwrap(), Lookup::Whole(_)));
    }

    #[test]
    fn what_cannot_be_leased_cannot_be_pruned_and_needs_no_lease() {
        let folder = tempfile::tempdir().unwrap();
        // As in a store that cannot be written to.
        fs::write(folder.path().join("file"), "").unwrap();
        let held = lease(&folder.path().join("file/use")).unwrap();
        assert!(held._file.is_none());
        // What prune has in its hands cannot be leased until it is done.
        let path = folder.path().join("use");
        let LockAttempt::Got(removing) = try_exclusive(&path).unwrap() else {
            panic!("nobody else has it");
        };
        assert!(removing.is_real() && !UNREAL.is_real());
        assert!(lease(&path).is_none());
        assert!(matches!(try_exclusive(&path).unwrap(), LockAttempt::Busy));
        drop(removing);
        assert!(lease(&path).unwrap()._file.is_some());
    }
}
