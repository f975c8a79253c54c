//! Locks between processes. They are the operating system's own (`flock`, `LockFileEx`): they
//! end with the process that holds them, so no crash leaves a lock behind. The files stay, empty:
//! removing a lock file that another process has open would make two locks of one.
//!
//! A lock is released in so many words: closing the file is not enough. On Unix a lock belongs to
//! what was opened, not to a descriptor (flock(2)), and a child that another thread starts at that
//! moment has a copy of every descriptor from its `fork` to its `execve`.

use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::Path;

/// The right to make or remove something, for as long as this lives.
#[derive(Debug)]
pub struct FileLock {
    /// `None` where the file system knows no locks.
    file: Option<File>,
}

impl FileLock {
    /// What is had of a file system that knows no locks.
    #[must_use]
    pub const fn unreal() -> Self {
        Self { file: None }
    }

    /// The lock that an open file has, however it was got.
    #[must_use]
    pub const fn of(file: File) -> Self {
        Self { file: Some(file) }
    }

    /// Whether the lock really keeps others away.
    #[must_use]
    pub fn is_real(&self) -> bool {
        self.file.is_some()
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            // At the latest, the lock ends with the last copy of the file.
            let _ = file.unlock();
        }
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

/// Tries to lock a file, which is made if it is not there.
///
/// Some network file systems answer that they know no locks. Then a lock is had that is not
/// [real](FileLock::is_real): whether work goes on without is the caller's to say.
///
/// # Errors
///
/// If the file cannot be made or opened.
pub fn try_exclusive(path: &Path) -> io::Result<LockAttempt> {
    let file = open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(LockAttempt::Got(FileLock::of(file))),
        Err(TryLockError::WouldBlock) => Ok(LockAttempt::Busy),
        Err(TryLockError::Error(error)) if unsupported(&error) => {
            Ok(LockAttempt::Got(FileLock::unreal()))
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Locks a file as [`try_exclusive`] does, and blocks until nobody else has it locked.
///
/// # Errors
///
/// If the file cannot be made or opened.
pub fn exclusive(path: &Path) -> io::Result<FileLock> {
    let file = open(path)?;
    match file.lock() {
        Ok(()) => Ok(FileLock::of(file)),
        Err(error) if unsupported(&error) => Ok(FileLock::unreal()),
        Err(error) => Err(error),
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.create(true).truncate(false).write(true).open(path)
}

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

#[cfg(test)]
mod tests {
    use super::*;

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
        assert!(!FileLock::unreal().is_real());
    }

    fn held(path: &Path) -> FileLock {
        match try_exclusive(path).unwrap() {
            LockAttempt::Got(lock) => lock,
            LockAttempt::Busy => panic!("nobody else has it"),
        }
    }

    #[test]
    fn a_lock_is_held_once_and_who_waits_gets_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = held(&path);
        assert!(held.is_real());
        assert!(matches!(try_exclusive(&path).unwrap(), LockAttempt::Busy));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| exclusive(&path).unwrap());
            std::thread::sleep(std::time::Duration::from_millis(50));
            assert!(!waiting.is_finished());
            drop(held);
            assert!(waiting.join().unwrap().is_real());
        });
        exclusive(&path).unwrap();
    }

    #[test]
    fn a_lock_ends_with_its_holder_though_a_copy_of_the_file_lives_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = held(&path);
        // As in a child between its `fork` and its `execve`.
        let copy = held.file.as_ref().unwrap().try_clone().unwrap();
        assert!(matches!(try_exclusive(&path).unwrap(), LockAttempt::Busy));
        drop(held);
        assert!(matches!(try_exclusive(&path).unwrap(), LockAttempt::Got(_)));
        drop(copy);
    }
}
