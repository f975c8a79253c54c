//! Paths without symbolic links, in a form that other programs accept.

use std::io;
use std::path::{Path, PathBuf};

/// Returns the absolute path of an existing file or folder without symbolic links, `.` and `..`. On
/// Windows, unlike that of [`Path::canonicalize`], it does not begin with `\\?\`: Julia and linkers do not
/// accept such paths, and they are equal to no path that a user writes.
///
/// # Errors
///
/// If the path does not exist or cannot be read.
pub fn canonical(path: &Path) -> io::Result<PathBuf> {
    path.canonicalize().map(plain)
}

/// Returns the [`canonical`] path, or the given one if there is nothing at it.
pub fn canonical_or_given(path: &Path) -> PathBuf {
    canonical(path).unwrap_or_else(|_| path.to_owned())
}

/// Removes the prefix `\\?\` from the path of a drive or of a network share.
fn plain(path: PathBuf) -> PathBuf {
    let Some(rest) = path.to_str().and_then(|text| text.strip_prefix(r"\\?\")) else {
        return path;
    };
    match rest.strip_prefix(r"UNC\") {
        Some(share) => PathBuf::from(format!(r"\\{share}")),
        None if rest.as_bytes().get(1) == Some(&b':') => PathBuf::from(rest),
        // A volume without a letter has no other path.
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_drives_and_shares_are_written_as_users_write_them() {
        for (path, expected) in [
            (r"\\?\C:\a\b", r"C:\a\b"),
            (r"\\?\UNC\server\share\a", r"\\server\share\a"),
            (
                r"\\?\Volume{0a1b2c3d-0000-0000-0000-100000000000}\a",
                r"\\?\Volume{0a1b2c3d-0000-0000-0000-100000000000}\a",
            ),
            (r"C:\a", r"C:\a"),
            ("/a/b", "/a/b"),
        ] {
            assert_eq!(plain(path.into()), PathBuf::from(expected));
        }
    }

    #[test]
    fn a_canonical_path_is_one_that_a_user_could_write() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("a/b")).unwrap();
        let root = canonical(folder.path()).unwrap();
        let path = canonical(&folder.path().join("a/./b/..")).unwrap();
        assert_eq!(path, root.join("a"));
        assert!(!path.to_string_lossy().starts_with(r"\\?\"), "{path:?}");
        let missing = folder.path().join("none");
        canonical(&missing).unwrap_err();
        assert_eq!(canonical_or_given(&missing), missing);
    }
}
