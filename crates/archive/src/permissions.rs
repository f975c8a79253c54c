//! The permissions of unpacked files and folders: only their owner may write to them, whatever the
//! archive and the umask say.

use std::fs::File;
use std::path::Path;

/// Creates a file with the mode of its entry.
#[cfg(unix)]
pub(super) fn create_file(path: &Path, mode: u32) -> std::io::Result<File> {
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
    // The owner may always write, or the entry could be neither pruned nor repaired. Others may
    // never write, and set-user-id bits are removed, whatever the archive and the umask say.
    let mode = (mode & 0o755) | 0o600;
    let file = File::options()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    // Keep execute bits despite a strict umask: users must be able to run Julia.
    if mode & 0o111 != 0 {
        file.set_permissions(std::fs::Permissions::from_mode(mode))?;
    }
    Ok(file)
}

/// Creates a folder in which only the owner may replace files, whatever the umask says.
#[cfg(unix)]
pub(super) fn create_folder(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().mode(0o755).create(path)
}

/// Creates a folder; only Unix has modes.
#[cfg(not(unix))]
pub(super) fn create_folder(path: &Path) -> std::io::Result<()> {
    std::fs::create_dir(path)
}

/// Creates a file; only Unix has modes.
#[cfg(not(unix))]
pub(super) fn create_file(path: &Path, _: u32) -> std::io::Result<File> {
    File::options().write(true).create_new(true).open(path)
}
