//! Files that are there whole or not at all.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::time::Duration;

use tempfile::TempPath;

/// How often, and how long apart, something is tried again that Windows says no to.
const TRIES: u32 = 40;
const BETWEEN_TRIES: Duration = Duration::from_millis(250);

/// Whether Windows says that somebody has the file open and shares it with nobody
/// (`ERROR_SHARING_VIOLATION`), as virus scanners do with new ones. Other systems never say so.
#[must_use]
pub fn is_held(error: &io::Error) -> bool {
    cfg!(windows) && error.raw_os_error() == Some(32)
}

/// Writes a file whole: into a temporary sibling, which is forced to the disk and renamed. Creates
/// missing parents; permissions follow the umask.
///
/// # Errors
///
/// If it cannot be written; what was there before is there still.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    whole(path, |file| {
        file.write_all(bytes)?;
        file.sync_all()
    })
}

/// As [`write_whole`], for a program: it may be executed by whoever may read it, and written by its
/// owner alone.
///
/// # Errors
///
/// As [`write_whole`].
pub fn write_program(path: &Path, bytes: &[u8]) -> io::Result<()> {
    whole_with_mode(path, 0o755, |file| {
        file.write_all(bytes)?;
        file.sync_all()
    })
}

/// As [`write_whole`], with whatever `fill` does to the new file: writes it, forces it to the disk,
/// sets its mode.
///
/// # Errors
///
/// If `fill` fails, or the file cannot be made or renamed; what was there before is there still.
pub fn whole(path: &Path, fill: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    whole_with_mode(path, 0o666, fill)
}

/// As [`whole`], with the mode that the umask is applied to.
#[cfg_attr(not(unix), expect(unused_variables, reason = "only Unix has modes"))]
fn whole_with_mode(
    path: &Path,
    mode: u32,
    fill: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".sysforge-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        // Of this the umask takes its part, as of every new file; temporary ones are otherwise
        // their owner's alone.
        builder.permissions(fs::Permissions::from_mode(mode));
    }
    let mut temporary = builder.tempfile_in(folder)?;
    fill(temporary.as_file_mut())?;
    persist(temporary.into_temp_path(), path)
}

fn persist(mut temporary: TempPath, path: &Path) -> io::Result<()> {
    let mut patience = Patience::default();
    loop {
        match temporary.persist(path) {
            Ok(()) => return Ok(()),
            Err(failed) if patience.lasts(&failed.error, path) => temporary = failed.path,
            Err(failed) => return Err(failed.error),
        }
    }
}

/// Renames, over what is there if both are files. Where Windows says no, it is tried again for ten
/// seconds: virus scanners hold new files open for a while.
///
/// # Errors
///
/// If it cannot be renamed.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    let mut patience = Patience::default();
    loop {
        match fs::rename(from, to) {
            Err(error) if patience.lasts(&error, to) => {}
            renamed => return renamed,
        }
    }
}

/// What is left of the time in which Windows may still say no.
#[derive(Default)]
struct Patience(u32);

impl Patience {
    /// Whether it is worth trying again to rename to `to`; waits until it is.
    fn lasts(&mut self, error: &io::Error, to: &Path) -> bool {
        let held = error.kind() == ErrorKind::PermissionDenied || is_held(error);
        // Windows says the same of a folder that is in the way, and it stays there.
        if !cfg!(windows) || !held || self.0 == TRIES || to.is_dir() {
            return false;
        }
        self.0 += 1;
        std::thread::sleep(BETWEEN_TRIES);
        true
    }
}

/// Forces the entries of a folder to the disk, where the system has a way to say so.
///
/// # Errors
///
/// If the folder cannot be opened or written.
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
    fn a_file_is_there_whole_or_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("below/file");
        write_whole(&path, b"one").unwrap();
        let full = |file: &mut File| {
            file.write_all(b"tw")?;
            Err(ErrorKind::StorageFull.into())
        };
        let error = whole(&path, full).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        assert_eq!(fs::read(&path).unwrap(), b"one");
        write_whole(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(names(path.parent().unwrap()), ["file"]);
    }

    #[test]
    fn a_folder_in_the_way_stays_and_nothing_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("folder");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("file"), "").unwrap();
        write_whole(&path, b"one").unwrap_err();
        assert_eq!(names(folder.path()), ["folder"]);
        sync_folder(folder.path()).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn whoever_may_read_new_files_may_read_these() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let mode = |name: &str| {
            let metadata = fs::metadata(folder.path().join(name)).unwrap();
            metadata.permissions().mode()
        };
        fs::write(folder.path().join("plain"), "").unwrap();
        write_whole(&folder.path().join("whole"), b"").unwrap();
        assert_eq!(mode("whole"), mode("plain"));
    }

    #[cfg(unix)]
    #[test]
    fn a_program_is_written_by_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        write_program(&path, b"").unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!((mode & 0o022, mode & 0o700), (0, 0o700));
    }

    #[cfg(windows)]
    #[test]
    fn who_holds_a_file_for_a_moment_is_waited_for() {
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
