//! Removes from a depot what no environment needs. For depots that serve one project, such as the
//! cache of a CI run; `Pkg.gc` keeps what any manifest of the user names.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use sysforge_files::unless_gone;

use serde::Serialize;

/// The result of pruning.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Pruned {
    /// The removed folders of packages and artifacts, sorted by path.
    pub removed: Vec<PathBuf>,
}

/// Removes packages and artifacts whose folders are not in `keep`, and precompiled code of packages
/// of which no version remains. Registries, logs and scratch spaces stay.
///
/// # Errors
///
/// If a folder cannot be read or removed.
pub fn prune(depot: &Path, keep: &BTreeSet<PathBuf>) -> io::Result<Pruned> {
    let mut pruned = Pruned::default();
    for artifact in folders(&depot.join("artifacts"))? {
        remove_unless_kept(artifact, keep, &mut pruned)?;
    }
    let mut gone = BTreeSet::new();
    for name in folders(&depot.join("packages"))? {
        for version in folders(&name)? {
            remove_unless_kept(version, keep, &mut pruned)?;
        }
        if folders(&name)?.is_empty() {
            gone.extend(name.file_name().map(ToOwned::to_owned));
            std::fs::remove_dir_all(&name)?;
        }
    }
    for version in folders(&depot.join("compiled"))? {
        for name in &gone {
            unless_gone(std::fs::remove_dir_all(version.join(name)))?;
        }
    }
    pruned.removed.sort();
    Ok(pruned)
}

fn remove_unless_kept(
    folder: PathBuf,
    keep: &BTreeSet<PathBuf>,
    pruned: &mut Pruned,
) -> io::Result<()> {
    if !keep.contains(&folder) {
        std::fs::remove_dir_all(&folder)?;
        pruned.removed.push(folder);
    }
    Ok(())
}

/// Returns the folders in a folder, without links to folders; none if it does not exist.
fn folders(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_environment_needs_is_removed() {
        let depot = tempfile::tempdir().unwrap();
        let at = |path: &str| depot.path().join(path);
        for folder in [
            "packages/Kept/new",
            "packages/Kept/old",
            "packages/Gone/one",
            "artifacts/aa",
            "artifacts/bb",
            "compiled/v1.5/Kept",
            "compiled/v1.5/Gone",
            "compiled/v1.5/Dates",
            "registries/General",
        ] {
            std::fs::create_dir_all(at(folder)).unwrap();
            std::fs::write(at(folder).join("file"), "").unwrap();
        }
        let keep = BTreeSet::from([at("packages/Kept/new"), at("artifacts/bb")]);
        let pruned = prune(depot.path(), &keep).unwrap();
        let removed = ["artifacts/aa", "packages/Gone/one", "packages/Kept/old"];
        assert_eq!(pruned.removed, removed.map(at));
        let left = |folder: &str| {
            let mut left: Vec<_> = folders(&at(folder)).unwrap();
            left.sort();
            left
        };
        assert_eq!(left("packages"), [at("packages/Kept")]);
        assert_eq!(left("packages/Kept"), [at("packages/Kept/new")]);
        let compiled = ["compiled/v1.5/Dates", "compiled/v1.5/Kept"];
        assert_eq!(left("compiled/v1.5"), compiled.map(at));
        assert_eq!(left("registries"), [at("registries/General")]);
        // Pruning again finds nothing.
        assert_eq!(prune(depot.path(), &keep).unwrap(), Pruned::default());
    }

    #[test]
    fn an_empty_depot_is_no_error() {
        let nothing = Path::new("/nonexistent-depot");
        assert_eq!(prune(nothing, &BTreeSet::new()).unwrap(), Pruned::default());
    }
}
