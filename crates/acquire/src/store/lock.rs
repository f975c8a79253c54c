//! Locks between processes. They are the operating system's own (`flock`, `LockFileEx`): they
//! end with the process that holds them, so no crash leaves a lock behind. The files stay, empty:
//! removing a lock file that another process has open would make two locks of one.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::SystemTime;

/// The right to make or remove an entry.
#[derive(Debug)]
pub(crate) struct EntryLock {
    /// `None` where the file system knows no locks.
    file: Option<File>,
}

impl EntryLock {
    /// Whether the lock really keeps others away.
    pub(crate) fn is_real(&self) -> bool {
        self.file.is_some()
    }
}

/// What came of trying to lock.
pub(crate) enum LockAttempt {
    /// The lock is held.
    Got(EntryLock),
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

pub(super) fn try_exclusive(path: &Path) -> io::Result<LockAttempt> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(LockAttempt::Got(EntryLock { file: Some(file) })),
        Err(TryLockError::WouldBlock) => Ok(LockAttempt::Busy),
        Err(TryLockError::Error(error)) if unsupported(&error) => {
            Ok(LockAttempt::Got(EntryLock { file: None }))
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
