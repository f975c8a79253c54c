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

/// Makes `link` lead to `target`, which is at `resolved` in the end. Returns whether there is a link
/// now, or a copy is to take its place.
pub(crate) fn make(links: Links, target: &str, resolved: &Path, link: &Path) -> io::Result<bool> {
    if links == Links::Copy {
        return Ok(false);
    }
    match symlink(target, resolved, link) {
        Ok(()) => Ok(true),
        Err(error) if not_allowed(&error) => Ok(false),
        Err(error) => Err(error),
    }
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

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    #[test]
    fn only_what_forbids_links_makes_copies_of_them() {
        for kind in [ErrorKind::PermissionDenied, ErrorKind::Unsupported] {
            assert!(not_allowed(&kind.into()), "{kind:?}");
        }
        // A full disk is no reason to write even more onto it.
        for kind in [ErrorKind::StorageFull, ErrorKind::NotFound] {
            assert!(!not_allowed(&kind.into()), "{kind:?}");
        }
    }

    // Windows may say that links are not allowed before it looks at anything else.
    #[cfg(unix)]
    #[test]
    fn a_link_that_cannot_be_made_for_another_reason_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("nowhere/link");
        let made = make(Links::LinkOrCopy, "target", folder.path(), &link);
        assert_eq!(made.unwrap_err().kind(), ErrorKind::NotFound);
        assert!(!make(Links::Copy, "target", folder.path(), &link).unwrap());
    }
}
