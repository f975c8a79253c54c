//! Removing the results of builds of a project. From `dist`, only files that Sysforge wrote are
//! removed.

use std::path::{Path, PathBuf};

use sysforge_build::workdir::lock_all;
use sysforge_files::unless_gone;
use sysforge_plan::explain::PathError;
use sysforge_plan::release::SUMS_NAME;

use crate::engine::Engine;
use crate::error::EngineError;
use crate::failure::Failure;

/// Files that Sysforge writes into `dist`, besides archives and receipts.
const KNOWN: [&str; 5] = [
    SUMS_NAME,
    ".gitignore",
    ".lock",
    ".sysforge",
    ".SHA256SUMS.lock",
];

/// What was removed, or would be.
#[derive(Debug)]
pub struct Cleaned {
    /// Files and folders.
    pub removed: Vec<PathBuf>,
    /// The dist directory and the foreign file in it, if it was kept because of that file.
    pub kept: Option<(PathBuf, PathBuf)>,
}

/// Removes the build folder of the project, and its dist directory. With `dry_run`, removes
/// nothing.
///
/// # Errors
///
/// If a build is running there, or a file cannot be removed.
pub fn clean(dry_run: bool, engine: &Engine) -> Result<Cleaned, Failure> {
    let project = engine.location.folder()?;
    let build_folder = engine.build_folder_of(&project);
    // A running build keeps its folder. The locks are held until everything is removed.
    let _locks = lock_all(&build_folder)?;
    let mut removed = Vec::new();
    if build_folder.is_dir() && is_build_folder(&build_folder) {
        removed.push(build_folder);
    }
    let dist = project.join("dist");
    let (own, others) = partition(&dist)?;
    let mut kept = None;
    match others.into_iter().next() {
        // The whole folder.
        None if !own.is_empty() => removed.push(dist),
        None => {}
        Some(other) => {
            kept = Some((dist, other));
            removed.extend(own);
        }
    }
    for path in removed.iter().filter(|_| !dry_run) {
        remove(path).map_err(PathError::wrap("remove", path, EngineError::Path))?;
    }
    Ok(Cleaned { removed, kept })
}

/// Whether a folder is a build folder. Another folder may have been named by mistake.
fn is_build_folder(folder: &Path) -> bool {
    folder.join(".gitignore").is_file() || folder.join("digests.json").is_file()
}

/// Splits the content of the dist directory into files that Sysforge wrote and others.
fn partition(dist: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>), Failure> {
    let entries = match std::fs::read_dir(dist) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok((Vec::new(), Vec::new()));
        }
        Err(error) => return Err(PathError::wrap("read", dist, EngineError::Path)(error).into()),
    };
    let sums = sysforge_pack::sums::read(dist)?;
    let is_own = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        KNOWN.contains(&&*name)
            || sums.contains_key(&*name)
            || name.ends_with(".receipt.json")
            || (name.starts_with('.') && name.ends_with(".partial"))
    };
    let paths = entries.flatten().map(|entry| entry.path());
    Ok(paths.partition(is_own))
}

fn remove(path: &Path) -> std::io::Result<()> {
    let is_folder = std::fs::symlink_metadata(path).is_ok_and(|path| path.is_dir());
    let removed = match is_folder {
        true => std::fs::remove_dir_all(path),
        false => std::fs::remove_file(path),
    };
    unless_gone(removed)
}
