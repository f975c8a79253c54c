//! Opens files of which only the name is known. Another program may have put something else there:
//! opening or reading a named pipe can block forever, a device may be endless, a file may be larger than
//! the memory, and writing through a symbolic link changes another file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::path::Path;

/// Opens a regular file for reading; follows symbolic links.
///
/// # Errors
///
/// If it cannot be opened, or is a folder, a pipe or a device.
pub fn open_regular(path: &Path) -> io::Result<File> {
    // Check before opening: opening a pipe waits for a writer.
    let metadata = fs::metadata(path)?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !metadata.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is not a regular file",
        ));
    }
    File::open(path)
}

/// Reads a regular file of at most `limit` bytes.
///
/// # Errors
///
/// If it cannot be read, is not a regular file, or is longer.
pub fn read_regular(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    bounded(open_regular(path)?, limit)
}

fn bounded(file: File, limit: u64) -> io::Result<Vec<u8>> {
    let too_large = || {
        let text = format!("it has more than {limit} bytes");
        Err(io::Error::new(io::ErrorKind::FileTooLarge, text))
    };
    // The size of a pipe is not known before it is read.
    if file.metadata().is_ok_and(|file| file.len() > limit) {
        return too_large();
    }
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > limit {
        true => too_large(),
        false => Ok(bytes),
    }
}

/// Maximum size in bytes of a file that is read as a whole: records, lists, configuration. The largest
/// real ones, recordings of statements, have some ten megabytes.
const MAX_BYTES: u64 = 256 << 20;

/// Reads a regular file that is small by its purpose.
///
/// # Errors
///
/// Those of [`read_regular`], with a limit of 256 MiB.
pub fn read_bytes(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    read_regular(path.as_ref(), MAX_BYTES)
}

/// Reads a regular text file that is small by its purpose.
///
/// # Errors
///
/// Those of [`read_regular`], or if it is not UTF-8.
pub fn read_text(path: impl AsRef<Path>) -> io::Result<String> {
    text(read_bytes(path)?)
}

/// Maximum size in bytes of a key or a plan that a user has named. A ring of keys has some hundred kilobytes.
const MAX_NAMED_BYTES: u64 = 16 << 20;

/// Reads a key or a plan that a user has named on the command line or in the environment. It may be a
/// pipe, as the shell's `<(command)` is one.
///
/// # Errors
///
/// If it cannot be read, or has more than 16 MiB.
pub fn read_named_by_user(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    bounded(File::open(path)?, MAX_NAMED_BYTES)
}

/// Does the same as [`read_named_by_user`], for a text.
///
/// # Errors
///
/// The same, or if it is not UTF-8.
pub fn read_text_named_by_user(path: impl AsRef<Path>) -> io::Result<String> {
    text(read_named_by_user(path)?)
}

/// Writes a file that a user has named on the command line: completely or not at all, unless it is a pipe
/// or a device such as `/dev/stdout`, which is written to and stays what it is.
///
/// # Errors
///
/// If it cannot be written.
pub fn write_named_by_user(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match is_special(path) {
        true => File::options().write(true).open(path)?.write_all(bytes),
        false => crate::write_whole(path, bytes),
    }
}

/// Returns whether a path leads to something that is neither a regular file nor a folder.
pub fn is_special(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir())
}

fn text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text"))
}

/// Creates a file, or empties it. Anything else of its name, except a folder, is replaced.
///
/// # Errors
///
/// If a folder has the name, or the file cannot be created, opened or replaced.
pub fn create(path: &Path) -> io::Result<File> {
    remove_special(path)?;
    for_owner(File::options().write(true).create(true).truncate(true)).open(path)
}

/// Opens a file for reading and writing, and creates it if there is none. Anything else of its name,
/// except a folder, is replaced.
///
/// # Errors
///
/// If a folder has the name, or the file cannot be created, opened or replaced.
pub fn open_or_create(path: &Path) -> io::Result<File> {
    remove_special(path)?;
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    for_owner(&mut options).open(path)
}

/// Lets only the owner write a file that is created with these options, whatever the umask says.
pub(crate) fn for_owner(options: &mut OpenOptions) -> &OpenOptions {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o644);
    }
    options
}

/// Removes a link, pipe or device, so that a file can take its place.
fn remove_special(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.is_file() && !found.is_dir() => fs::remove_file(path),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_pipe_or_device_that_a_user_names_is_written_to_and_stays_one() {
        use std::os::unix::fs::FileTypeExt as _;
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        std::thread::scope(|scope| {
            let read = scope.spawn(|| fs::read(&pipe).unwrap());
            write_named_by_user(&pipe, b"text").unwrap();
            assert!(fs::metadata(&pipe).unwrap().file_type().is_fifo());
            assert_eq!(read.join().unwrap(), b"text");
        });
        #[cfg(target_os = "linux")]
        {
            let link = folder.path().join("full");
            std::os::unix::fs::symlink("/dev/full", &link).unwrap();
            let error = write_named_by_user(&link, b"text").unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
            assert!(link.is_symlink());
        }
        let file = folder.path().join("new/file");
        write_named_by_user(&file, b"text").unwrap();
        assert_eq!(fs::read(file).unwrap(), b"text");
    }

    #[test]
    fn a_file_is_read_up_to_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "abc").unwrap();
        assert_eq!(read_regular(&path, 3).unwrap(), b"abc");
        let error = read_regular(&path, 2).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        let error = read_regular(folder.path(), 3).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::IsADirectory);
        let error = read_regular(&folder.path().join("none"), 3).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        let error = read_regular(&path, 3).unwrap_err();
        assert_eq!(error.to_string(), "it is not a regular file");
        let error = read_text(&path).unwrap_err();
        assert_eq!(error.to_string(), "it is not a regular file");
    }

    // The file is not written, so it takes little time, and little space where it can be sparse.
    #[test]
    fn a_file_that_is_larger_than_any_of_its_purpose_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        File::create(&path).unwrap().set_len(MAX_BYTES + 1).unwrap();
        for error in [
            read_text(&path).unwrap_err(),
            read_named_by_user(&path).unwrap_err(),
        ] {
            assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        }
        fs::write(&path, b"a\xff").unwrap();
        assert_eq!(read_bytes(&path).unwrap(), b"a\xff");
        let error = read_text(&path).unwrap_err();
        assert_eq!(error.to_string(), "it is not UTF-8 text");
    }

    #[cfg(unix)]
    #[test]
    fn what_is_not_a_file_is_replaced_and_nothing_is_written_through_a_link() {
        use std::io::Write as _;
        type Open = fn(&Path) -> io::Result<File>;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let other = folder.path().join("other");
        for (open, kept) in [(create as Open, &b""[..]), (open_or_create, b"new")] {
            fs::write(&other, "of the user").unwrap();
            std::os::unix::fs::symlink(&other, &path).unwrap();
            open(&path).unwrap().write_all(b"new").unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"new");
            assert_eq!(fs::read(&other).unwrap(), b"of the user");
            fs::remove_file(&path).unwrap();

            let made = std::process::Command::new("mkfifo").arg(&path).status();
            assert!(made.unwrap().success());
            open(&path).unwrap().write_all(b"new").unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"new");
            open(&path).unwrap();
            assert_eq!(fs::read(&path).unwrap(), kept);
            fs::remove_file(&path).unwrap();
            assert!(open(folder.path()).is_err());
        }
    }
}
