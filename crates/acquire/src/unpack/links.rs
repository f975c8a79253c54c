//! Symbolic links on machines that may not have them: Windows without the privilege, some
//! network shares. Where a link is not allowed, a copy takes its place.

use std::io;
use std::path::Path;

/// What to make of the links in an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Links {
    /// A link, and where that is not allowed a copy.
    #[default]
    LinkOrCopy,
    /// Always a copy.
    Copy,
}

/// How a link came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Made {
    Link,
    Copy,
}

/// Makes `link` lead to `target`. `resolved` is where that is, for the copy.
pub(crate) fn make(links: Links, target: &str, resolved: &Path, link: &Path) -> io::Result<Made> {
    if links == Links::LinkOrCopy {
        match symlink(target, resolved, link) {
            Ok(()) => return Ok(Made::Link),
            Err(error) if not_allowed(&error) => {}
            Err(error) => return Err(error),
        }
    }
    copy(resolved, link)?;
    Ok(Made::Copy)
}

#[cfg(unix)]
fn symlink(target: &str, _: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

#[cfg(windows)]
fn symlink(target: &str, resolved: &Path, link: &Path) -> io::Result<()> {
    let target = target.replace('/', "\\");
    if resolved.is_dir() {
        std::os::windows::fs::symlink_dir(target, link)
    } else {
        std::os::windows::fs::symlink_file(target, link)
    }
}

fn not_allowed(error: &io::Error) -> bool {
    /// `ERROR_PRIVILEGE_NOT_HELD`: Windows without developer mode.
    const PRIVILEGE_NOT_HELD: i32 = 1314;
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported
    ) || (cfg!(windows) && error.raw_os_error() == Some(PRIVILEGE_NOT_HELD))
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let metadata = std::fs::metadata(from)?;
    if metadata.is_dir() {
        std::fs::create_dir(to)?;
        for entry in std::fs::read_dir(from)? {
            let entry = entry?;
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
        return Ok(());
    }
    std::fs::copy(from, to)?;
    // A copy that is younger than its original would be noticed as a change.
    std::fs::File::options()
        .write(true)
        .open(to)?
        .set_modified(metadata.modified()?)
}
