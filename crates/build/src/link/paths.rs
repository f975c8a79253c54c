//! Files of a link: a directory beside the output for what is not whole yet, and the move into
//! place.

use std::path::{Path, PathBuf};

use super::error::LinkError;
use sysforge_plan::explain::PathError;

/// A directory beside the output that goes away by itself.
pub(super) fn sibling(output: &Path) -> Result<tempfile::TempDir, LinkError> {
    let parent = match output.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    create_dir(parent)?;
    let parent = absolute(parent)?;
    tempfile::Builder::new()
        .prefix(".linking-")
        .tempdir_in(&parent)
        .map_err(PathError::wrap("create", &parent, LinkError::Path))
}

pub(super) fn move_into_place(partial: &Path, output: &Path) -> Result<(), LinkError> {
    sysforge_files::rename(partial, output).map_err(PathError::wrap(
        "write",
        output,
        LinkError::Path,
    ))
}

pub(super) fn create_dir(path: &Path) -> Result<(), LinkError> {
    std::fs::create_dir_all(path).map_err(PathError::wrap("create", path, LinkError::Path))
}

pub(super) fn absolute(path: &Path) -> Result<PathBuf, LinkError> {
    std::path::absolute(path).map_err(PathError::wrap("find", path, LinkError::Path))
}
