//! Removing the results of builds of a project. From `dist`, only files that Sysforge wrote are
//! removed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sysforge_build::workdir::{IGNORE_ALL, lock_all};
use sysforge_files::{read_bytes, unless_gone};
use sysforge_plan::explain::PathError;
use sysforge_plan::release::SUMS_NAME;
use sysforge_plan::{BuildId, Sha256};

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
    /// Folders that were kept, each with a file in it that Sysforge did not write.
    pub kept: Vec<(PathBuf, PathBuf)>,
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
    let mut kept = Vec::new();
    let dist = project.join("dist");
    let sums = sysforge_pack::sums::read(&dist)?;
    let in_dist = |path: &Path| is_of_dist(path, &sums);
    let parts = [
        partition(&build_folder, is_of_build)?,
        partition(&dist, in_dist)?,
    ];
    for (folder, (own, others)) in [build_folder, dist].into_iter().zip(parts) {
        match others.into_iter().next() {
            // The whole folder.
            None if !own.is_empty() => removed.push(folder),
            None => {}
            Some(other) => {
                // A folder without any of ours was named by mistake.
                if !own.is_empty() {
                    kept.push((folder, other));
                }
                removed.extend(own);
            }
        }
    }
    for path in removed.iter().filter(|_| !dry_run) {
        remove(path).map_err(PathError::wrap("remove", path, EngineError::Path))?;
    }
    Ok(Cleaned { removed, kept })
}

/// Whether Sysforge wrote this file or folder in a build folder. `--build-dir` may name any folder by
/// mistake, for example a repository, which has a `.gitignore`, too.
fn is_of_build(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match &*name {
        ".gitignore" => read_bytes(path).is_ok_and(|text| text == IGNORE_ALL.as_bytes()),
        "digests.json" => path.is_file(),
        name => {
            let is_locked = path.join("lock").is_file() && path.join("logs").is_dir();
            BuildId::new(name).is_ok() && is_locked
        }
    }
}

/// Whether Sysforge wrote this file in a dist directory with these sums.
fn is_of_dist(path: &Path, sums: &BTreeMap<String, Sha256>) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    KNOWN.contains(&&*name)
        || sums.contains_key(&*name)
        || name.ends_with(".receipt.json")
        || (name.starts_with('.') && name.ends_with(".partial"))
}

/// Splits the content of a folder into what Sysforge wrote and the rest.
fn partition(
    folder: &Path,
    is_own: impl Fn(&Path) -> bool,
) -> Result<(Vec<PathBuf>, Vec<PathBuf>), Failure> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok((Vec::new(), Vec::new()));
        }
        Err(error) => {
            return Err(PathError::wrap("read", folder, EngineError::Path)(error).into());
        }
    };
    let paths = entries.flatten().map(|entry| entry.path());
    Ok(paths.partition(|path| is_own(path)))
}

fn remove(path: &Path) -> std::io::Result<()> {
    let is_folder = std::fs::symlink_metadata(path).is_ok_and(|path| path.is_dir());
    let removed = match is_folder {
        true => std::fs::remove_dir_all(path),
        false => std::fs::remove_file(path),
    };
    unless_gone(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_build_wrote_is_told_from_the_files_of_a_repository() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let build = at("demo-julia1.12.7-x86_64-linux-gnu");
        std::fs::create_dir_all(build.join("logs")).unwrap();
        std::fs::write(build.join("lock"), "").unwrap();
        std::fs::write(at("digests.json"), "{}").unwrap();
        std::fs::write(at(".gitignore"), IGNORE_ALL).unwrap();
        let (own, others) = partition(folder.path(), is_of_build).unwrap();
        assert_eq!((own.len(), others.len()), (3, 0));

        let repository = tempfile::tempdir().unwrap();
        let at = |name: &str| repository.path().join(name);
        std::fs::write(at(".gitignore"), "*.log\n").unwrap();
        std::fs::create_dir_all(at("src")).unwrap();
        // The name of a build, but not made by one.
        std::fs::create_dir_all(at("demo-julia1.12.7-x86_64-linux-gnu")).unwrap();
        std::fs::create_dir_all(at("cache/logs")).unwrap();
        std::fs::write(at("cache/lock"), "").unwrap();
        let (own, others) = partition(repository.path(), is_of_build).unwrap();
        assert_eq!((own.len(), others.len()), (0, 4));
    }
}
