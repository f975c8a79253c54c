//! Writes files atomically: the old content or the complete new content.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

use tempfile::TempPath;

use crate::folders::create_folders;

/// Number of attempts, and the time between two, for operations that Windows refuses temporarily.
const MAX_ATTEMPTS: u32 = 40;
const RETRY_DELAY: Duration = Duration::from_millis(250);

/// Returns whether another program has the file open without sharing it (`ERROR_SHARING_VIOLATION`
/// on Windows), as virus scanners do with new files. Always false on other systems.
pub fn is_sharing_violation(error: &io::Error) -> bool {
    cfg!(windows) && error.raw_os_error() == Some(32)
}

/// Returns the default value if a file does not exist.
///
/// # Errors
///
/// Any other error.
pub fn unless_gone<T: Default>(result: io::Result<T>) -> io::Result<T> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(T::default()),
        other => other,
    }
}

/// Writes a file atomically: writes a temporary sibling, flushes it to the disk and renames it.
/// Creates missing parents. Only the owner may write it; who may read it follows the umask.
///
/// # Errors
///
/// If it cannot be written; the old file is unchanged then.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_whole_with(path, |file| {
        file.write_all(bytes)?;
        file.sync_all()
    })
}

/// Does the same as [`write_whole`] for an executable: everyone who may read it may execute it, and
/// only the owner may write it.
///
/// # Errors
///
/// Those of [`write_whole`].
pub fn write_program(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_whole_with_mode(path, 0o755, |file| {
        file.write_all(bytes)?;
        file.sync_all()
    })
}

/// Does the same as [`write_whole`], but `fill` writes the new file, flushes it to the disk and
/// sets its mode.
///
/// # Errors
///
/// If `fill` fails, or the file cannot be created or renamed; the old file is unchanged then.
pub fn write_whole_with(
    path: &Path,
    fill: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    write_whole_with_mode(path, 0o644, fill)
}

/// Does the same as [`write_whole_with`], with a mode to which the umask is applied.
#[cfg_attr(not(unix), expect(unused_variables, reason = "only Unix has modes"))]
fn write_whole_with_mode(
    path: &Path,
    mode: u32,
    fill: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    create_folders(folder)?;
    remove_abandoned(folder, SystemTime::now());
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX).suffix(SUFFIX);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        // The umask applies to this mode as to every new file; temporary files are otherwise
        // private to their owner.
        builder.permissions(fs::Permissions::from_mode(mode));
    }
    let mut temporary = builder.tempfile_in(folder)?;
    fill(temporary.as_file_mut())?;
    persist(temporary.into_temp_path(), path)
}

/// How the names of temporary files begin and end.
const PREFIX: &str = ".sysforge-";
const SUFFIX: &str = ".tmp";

/// The age from which a temporary file belongs to no running process: files are renamed within seconds.
const ABANDONED: Duration = Duration::from_secs(3600);

/// Removes the temporary files of killed processes from a folder. Errors are ignored; the next call tries
/// again.
fn remove_abandoned(folder: &Path, now: SystemTime) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_ours = name.starts_with(PREFIX) && name.ends_with(SUFFIX);
        // The entry itself: a link of this name is not followed.
        let metadata = is_ours.then(|| entry.metadata().ok()).flatten();
        let written = metadata.filter(fs::Metadata::is_file);
        let written = written.and_then(|file| file.modified().ok());
        let age = written.and_then(|written| now.duration_since(written).ok());
        if age.is_some_and(|age| age >= ABANDONED) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn persist(mut temporary: TempPath, path: &Path) -> io::Result<()> {
    let mut attempts = Attempts::default();
    loop {
        match temporary.persist(path) {
            Ok(()) => return Ok(()),
            Err(failed) if attempts.wait_for_retry(&failed.error, path) => temporary = failed.path,
            Err(failed) => return Err(failed.error),
        }
    }
}

/// Renames a file or folder; replaces the target if both are files. On Windows it retries for ten
/// seconds, because virus scanners keep new files open for a while.
///
/// # Errors
///
/// If it does not exist or cannot be moved, for example to another file system, or onto a folder
/// that is not empty.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    let mut attempts = Attempts::default();
    loop {
        match fs::rename(from, to) {
            Err(error) if attempts.wait_for_retry(&error, to) => {}
            renamed => return renamed,
        }
    }
}

/// The remaining number of attempts on Windows.
#[derive(Default)]
struct Attempts(u32);

impl Attempts {
    /// Waits and returns true if another attempt to rename to `to` may succeed.
    fn wait_for_retry(&mut self, error: &io::Error, to: &Path) -> bool {
        let held = error.kind() == ErrorKind::PermissionDenied || is_sharing_violation(error);
        // Windows reports the same error if a folder has the target's name, and waiting does not
        // help then.
        if !cfg!(windows) || !held || self.0 == MAX_ATTEMPTS || to.is_dir() {
            return false;
        }
        self.0 += 1;
        std::thread::sleep(RETRY_DELAY);
        true
    }
}

/// Flushes the entries of a folder to the disk, on systems that support it.
///
/// # Errors
///
/// On Unix, if the folder cannot be opened or flushed.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.collect()
    }

    #[test]
    fn a_file_has_its_old_or_its_complete_new_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("below/file");
        write_whole(&path, b"one").unwrap();
        let full = |file: &mut File| {
            file.write_all(b"tw")?;
            Err(ErrorKind::StorageFull.into())
        };
        let error = write_whole_with(&path, full).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        assert_eq!(fs::read(&path).unwrap(), b"one");
        write_whole(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(names(path.parent().unwrap()), ["file"]);
    }

    #[test]
    fn a_folder_at_the_target_is_kept_and_no_temporary_file_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("folder");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("file"), "").unwrap();
        write_whole(&path, b"one").unwrap_err();
        assert_eq!(names(folder.path()), ["folder"]);
        sync_folder(folder.path()).unwrap();
    }

    #[test]
    fn the_temporary_file_of_a_killed_process_is_removed_by_a_later_write() {
        let folder = tempfile::tempdir().unwrap();
        let left = folder.path().join(".sysforge-aB3dEf.tmp");
        fs::write(&left, "ha").unwrap();
        // Files of other purposes, whose names begin alike.
        fs::write(folder.path().join(".sysforge-files"), "").unwrap();
        write_whole(&folder.path().join("file"), b"one").unwrap();
        assert!(left.exists(), "another process may be writing it");
        let hour_ago = SystemTime::now() - ABANDONED;
        for name in [".sysforge-aB3dEf.tmp", ".sysforge-files"] {
            let file = File::options().write(true).open(folder.path().join(name));
            file.unwrap().set_modified(hour_ago).unwrap();
        }
        write_whole(&folder.path().join("file"), b"two").unwrap();
        let mut names = names(folder.path());
        names.sort();
        assert_eq!(names, [".sysforge-files", "file"]);
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_may_write_a_program() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        write_program(&path, b"").unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!((mode & 0o022, mode & 0o700), (0, 0o700));
    }

    #[cfg(windows)]
    #[test]
    fn a_sharing_violation_is_retried() {
        use std::os::windows::fs::OpenOptionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::write(&from, "new").unwrap();
        fs::write(&to, "old").unwrap();
        let hold = |path: &Path| {
            let held = File::options().read(true).share_mode(0).open(path).unwrap();
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(700));
                drop(held);
            })
        };
        let holder = hold(&from);
        rename(&from, &to).unwrap();
        holder.join().unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"new");
        let holder = hold(&to);
        write_whole(&to, b"newer").unwrap();
        holder.join().unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"newer");
    }
}
