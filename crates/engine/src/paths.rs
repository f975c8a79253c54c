//! Paths as users write them.

use std::path::{Component, Path, PathBuf};

/// A path that means the same wherever a child starts, without `..`: what is there is resolved by the
/// file system, since `link/..` is not the folder that the link is in.
#[must_use]
pub fn absolute(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    if !path.components().any(|part| part == Component::ParentDir) {
        return path;
    }
    let mut resolved = PathBuf::new();
    for part in path.components() {
        if part != Component::ParentDir {
            resolved.push(part);
            continue;
        }
        let real = resolved.canonicalize().map(plain);
        resolved = real.unwrap_or(resolved);
        resolved.pop();
    }
    resolved
}

/// Without the `\\?\` that Windows puts before canonical paths, which Julia and linkers do not accept.
pub(crate) fn plain(path: PathBuf) -> PathBuf {
    match path.to_str().and_then(|text| text.strip_prefix(r"\\?\")) {
        Some(short) if !short.starts_with("UNC") => PathBuf::from(short),
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_no_parent_in_them() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        assert_eq!(absolute(&root.join("a/b/../../c")), root.join("c"));
        assert_eq!(absolute(&root.join("nowhere/../c")), root.join("c"));
        assert_eq!(absolute(&root.join("a/b")), root.join("a/b"));
        assert_eq!(absolute(Path::new("/../x")), PathBuf::from("/x"));
    }

    #[cfg(unix)]
    #[test]
    fn the_parent_of_a_link_is_where_it_leads() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::os::unix::fs::symlink(root.join("a/b"), root.join("link")).unwrap();
        assert_eq!(absolute(&root.join("link/../c")), root.join("a/c"));
    }
}
