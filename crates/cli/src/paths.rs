//! Paths as they are typed.

use std::path::{Path, PathBuf};

/// A path that means the same wherever a child starts.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
