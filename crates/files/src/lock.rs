//! Locks between processes. They are the operating system's own (`flock`, `LockFileEx`) and end
//! with the process that holds them, so a crash leaves no lock behind. The empty lock files remain:
//! removing one that another process has open would create a second, independent lock.
//!
//! A lock is released explicitly, because closing the file is not enough. On Unix a lock belongs to
//! the open file description, not to a descriptor (flock(2)), and a child that another thread is
//! starting has a copy of every descriptor between its `fork` and its `execve`.

use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::SystemTime;

use crate::regular::for_owner;

/// The exclusive right to create or remove something, held while this value exists.
#[derive(Debug)]
pub struct FileLock {
    /// `None` if the file system does not support locks.
    file: Option<File>,
}

impl FileLock {
    /// The value used on a file system that does not support locks.
    pub const fn unsupported_by_file_system() -> Self {
        Self { file: None }
    }

    /// Takes over the lock held by an open file.
    pub const fn of(file: File) -> Self {
        Self { file: Some(file) }
    }

    /// Returns whether the lock really excludes other processes.
    pub fn is_real(&self) -> bool {
        self.file.is_some()
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            // If this fails, the lock ends when the last copy of the descriptor is closed.
            let _ = file.unlock();
        }
    }
}

/// The result of trying to lock.
#[derive(Debug)]
pub enum LockAttempt {
    /// The lock is held.
    Got(FileLock),
    /// Another process, or another task of this one, holds it.
    Busy,
}

/// Tries to lock a file, and creates it if necessary.
///
/// Some network file systems do not support locks. Then the returned lock is not
/// [real](FileLock::is_real), and the caller decides whether to continue without one.
///
/// # Errors
///
/// If the file cannot be created or opened, a folder, a link or a device has its name, or the
/// system refuses the lock. A lock that another process holds is not an error:
/// [`LockAttempt::Busy`].
pub fn try_exclusive(path: &Path) -> io::Result<LockAttempt> {
    let file = open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(LockAttempt::Got(FileLock::of(file))),
        Err(TryLockError::WouldBlock) => Ok(LockAttempt::Busy),
        Err(TryLockError::Error(error)) if unsupported(&error) => {
            Ok(LockAttempt::Got(FileLock::unsupported_by_file_system()))
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Locks a file like [`try_exclusive`], and blocks until no other process holds the lock.
///
/// # Errors
///
/// If the file cannot be created or opened, a folder, a link or a device has its name, or the
/// system refuses the lock.
pub fn exclusive(path: &Path) -> io::Result<FileLock> {
    let file = open(path)?;
    match file.lock() {
        Ok(()) => Ok(FileLock::of(file)),
        Err(error) if unsupported(&error) => Ok(FileLock::unsupported_by_file_system()),
        Err(error) => Err(error),
    }
}

/// Tries to lock a file together with others, and creates it if necessary. Its modification time becomes
/// that of this use.
///
/// # Errors
///
/// If the file cannot be created or opened, or a folder, a link or a device has its name. A lock that
/// another process holds exclusively is not an error: [`LockAttempt::Busy`].
pub fn try_shared(path: &Path) -> io::Result<LockAttempt> {
    let file = open(path)?;
    let lock = match file.try_lock_shared() {
        Ok(()) => FileLock::of(file),
        Err(TryLockError::WouldBlock) => return Ok(LockAttempt::Busy),
        Err(TryLockError::Error(_)) => {
            let _ = file.set_modified(SystemTime::now());
            return Ok(LockAttempt::Got(FileLock::unsupported_by_file_system()));
        }
    };
    if let Some(file) = &lock.file {
        // Not possible if it belongs to another user.
        let _ = file.set_modified(SystemTime::now());
    }
    Ok(LockAttempt::Got(lock))
}

fn open(path: &Path) -> io::Result<File> {
    if let Ok(found) = std::fs::symlink_metadata(path) {
        only_file(found.file_type())?;
    }
    let mut options = File::options();
    options.create(true).truncate(false).write(true);
    let opened = for_owner(&mut options).open(path);
    match opened {
        // That of another user, in a folder that several share. Reading is enough to lock it.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            File::open(path).map_err(|_| error)
        }
        opened => opened,
    }
}

/// Refuses what Sysforge never creates as a lock. Opening a pipe waits for a reader, and through a link,
/// a file would be created in another folder. It is not replaced: two processes might replace it twice,
/// and each lock its own file.
fn only_file(kind: std::fs::FileType) -> io::Result<()> {
    let found = match () {
        () if kind.is_file() => return Ok(()),
        () if kind.is_dir() => "a folder",
        () if kind.is_symlink() => "a symbolic link",
        () => "a pipe or a device",
    };
    Err(io::Error::new(
        ErrorKind::InvalidInput,
        format!("{found} is in place of the lock file"),
    ))
}

/// Returns whether the file system does not support locks, or the server of a network file system
/// has no locks left.
fn unsupported(error: &io::Error) -> bool {
    error.kind() == ErrorKind::Unsupported
        || error
            .raw_os_error()
            .is_some_and(|code| NO_LOCKS.contains(&code))
}

/// `ENOLCK` and `EOPNOTSUPP` of Linux; `ERROR_INVALID_FUNCTION` and `ERROR_NOT_SUPPORTED` of Windows;
/// `ENOLCK`, `ENOTSUP` and `EOPNOTSUPP` of macOS and FreeBSD.
const NO_LOCKS: &[i32] = if cfg!(target_os = "linux") {
    &[37, 95]
} else if cfg!(windows) {
    &[1, 50]
} else {
    &[77, 45, 102]
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_lock_support_is_distinguished_from_other_errors() {
        let system = NO_LOCKS
            .iter()
            .map(|code| io::Error::from_raw_os_error(*code));
        for error in system.chain([ErrorKind::Unsupported.into()]) {
            assert!(unsupported(&error), "{error}");
        }
        for kind in [
            ErrorKind::PermissionDenied,
            ErrorKind::NotFound,
            ErrorKind::StorageFull,
        ] {
            assert!(!unsupported(&kind.into()), "{kind}");
        }
        // `EACCES` and `ERROR_INVALID_DATA`: the value is an error on every system.
        assert!(!unsupported(&io::Error::from_raw_os_error(13)));
        assert!(!FileLock::unsupported_by_file_system().is_real());
    }

    fn held(path: &Path) -> FileLock {
        match try_exclusive(path).unwrap() {
            LockAttempt::Got(lock) => lock,
            LockAttempt::Busy => panic!("nobody else has it"),
        }
    }

    #[test]
    fn a_lock_has_one_holder_and_passes_to_the_waiter() {
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

    #[cfg(unix)]
    #[test]
    fn what_is_no_lock_file_is_an_error_at_once_and_no_link_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let made = std::process::Command::new("mkfifo")
            .arg(at("pipe"))
            .status();
        assert!(made.unwrap().success());
        std::fs::create_dir(at("folder")).unwrap();
        for (link, target) in [
            ("nowhere", "made-by-a-link"),
            ("loop", "loop"),
            ("link", "folder"),
        ] {
            std::os::unix::fs::symlink(target, at(link)).unwrap();
        }
        for (name, found) in [
            ("pipe", "a pipe or a device"),
            ("folder", "a folder"),
            ("nowhere", "a symbolic link"),
            ("loop", "a symbolic link"),
            ("link", "a symbolic link"),
        ] {
            for error in [
                try_exclusive(&at(name)).unwrap_err(),
                exclusive(&at(name)).unwrap_err(),
            ] {
                let expected = format!("{found} is in place of the lock file");
                assert_eq!(error.to_string(), expected, "{name}");
            }
        }
        assert!(!at("made-by-a-link").exists());
    }

    #[test]
    fn a_lock_ends_with_its_holder_even_if_a_copy_of_the_file_is_open() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = held(&path);
        // Simulates the copy in a child between its `fork` and its `execve`.
        let copy = held.file.as_ref().unwrap().try_clone().unwrap();
        assert!(matches!(try_exclusive(&path).unwrap(), LockAttempt::Busy));
        drop(held);
        assert!(matches!(try_exclusive(&path).unwrap(), LockAttempt::Got(_)));
        drop(copy);
    }
}
