//! Files of a link: a temporary directory next to the output, from which the finished image is
//! moved.

use std::path::{Path, PathBuf};

use super::error::LinkError;
use sysforge_plan::explain::PathError;

/// Creates a temporary directory next to the output, which is removed automatically.
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
    sysforge_files::create_folders(path).map_err(PathError::wrap("create", path, LinkError::Path))
}

pub(super) fn absolute(path: &Path) -> Result<PathBuf, LinkError> {
    std::path::absolute(path).map_err(PathError::wrap("find", path, LinkError::Path))
}
