//! Symbolic links on systems that may not allow them: Windows without the privilege, some network
//! shares. A copy replaces a link that is not allowed.

use std::io;
use std::path::Path;

/// How to unpack the links of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Links {
    /// As a link, or as a copy if links are not allowed.
    #[default]
    LinkOrCopy,
    /// Always as a copy.
    Copy,
}

/// Creates `link` with the target `target`, which finally resolves to `resolved`. Returns whether
/// the link was created; if not, a copy must replace it.
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
    fn a_copy_replaces_a_link_only_if_links_are_not_allowed() {
        for kind in [ErrorKind::PermissionDenied, ErrorKind::Unsupported] {
            assert!(not_allowed(&kind.into()), "{kind:?}");
        }
        // A full disk must not lead to a copy.
        for kind in [ErrorKind::StorageFull, ErrorKind::NotFound] {
            assert!(!not_allowed(&kind.into()), "{kind:?}");
        }
    }

    // Windows may report that links are not allowed before it checks anything else.
    #[cfg(unix)]
    #[test]
    fn other_errors_of_creating_a_link_are_reported() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("nowhere/link");
        let made = make(Links::LinkOrCopy, "target", folder.path(), &link);
        assert_eq!(made.unwrap_err().kind(), ErrorKind::NotFound);
        assert!(!make(Links::Copy, "target", folder.path(), &link).unwrap());
    }
}
