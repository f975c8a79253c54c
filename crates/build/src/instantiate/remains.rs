//! What a killed Pkg left in a depot. It unpacks an artifact into a temporary folder beside the final
//! one, and removes the folder only if it comes to its end. And what Pkg leaves when the disk is full: a
//! registry that it began to copy.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The prefix of the temporary folders that Julia makes (`mktempdir`). An artifact's own folder is named
/// after its hash.
const PREFIX: &str = "jl_";

/// Temporary folders of artifacts that existed before an installation, with the time of their last
/// change.
#[derive(Debug)]
pub(super) struct LeftoverFolders {
    folders: Vec<(PathBuf, Option<SystemTime>)>,
}

impl LeftoverFolders {
    /// Finds the folders that an installation of Sysforge may have left: its `journal` exists until an
    /// installation is complete. Without it, all such folders belong to others.
    pub(super) fn find(depot: &Path, journal: &Path) -> Self {
        let entries = match journal.is_file() {
            true => std::fs::read_dir(depot.join("artifacts")).ok(),
            false => None,
        };
        let entries = entries.into_iter().flatten().flatten();
        let temporary = entries.filter(|entry| {
            let is_named = entry.file_name().to_string_lossy().starts_with(PREFIX);
            is_named && entry.file_type().is_ok_and(|kind| kind.is_dir())
        });
        let folders = temporary.map(|entry| {
            let path = entry.path();
            let changed = last_change(&path);
            (path, changed)
        });
        Self {
            folders: folders.collect(),
        }
    }

    /// Removes those that have not changed since. A Pkg that somebody else started may be unpacking
    /// into the others. A folder that cannot be removed is left for the next time.
    pub(super) fn remove(self) {
        for (folder, changed) in self.folders {
            if last_change(&folder) == changed {
                let _ = std::fs::remove_dir_all(folder);
            }
        }
    }
}

/// The registries of a depot before an installation.
///
/// Julia moves a registry into the depot by renaming it, so it appears complete or not at all, but copies
/// it if it cannot be renamed. On a full disk both fail, and a later Pkg takes the part that was copied
/// for the registry.
#[derive(Debug)]
pub(super) struct Registries {
    folder: PathBuf,
    before: BTreeMap<OsString, String>,
}

impl Registries {
    pub(super) fn find(depot: &Path) -> Self {
        let folder = depot.join("registries");
        let before = entries(&folder)
            .map(|entry| (entry.file_name(), version(&entry.path())))
            .collect();
        Self { folder, before }
    }

    /// Removes the registries that were added or changed since.
    pub(super) fn remove_changed(self) {
        for entry in entries(&self.folder) {
            let path = entry.path();
            if self.before.get(&entry.file_name()) == Some(&version(&path)) {
                continue;
            }
            let _ = match entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                true => std::fs::remove_dir_all(path),
                false => std::fs::remove_file(path),
            };
        }
    }
}

fn entries(folder: &Path) -> impl Iterator<Item = std::fs::DirEntry> {
    std::fs::read_dir(folder).into_iter().flatten().flatten()
}

/// Returns a text that changes if a registry is replaced: its tree hash, or the size and the time of a
/// packed one. A clone of git has none; git does not replace it.
fn version(registry: &Path) -> String {
    match registry.metadata() {
        Ok(metadata) if metadata.is_file() => {
            format!("{} {:?}", metadata.len(), metadata.modified().ok())
        }
        _ => sysforge_files::read_text(registry.join(".tree_info.toml")).unwrap_or_default(),
    }
}

/// Returns the time of the last change in a folder or below it.
fn last_change(path: &Path) -> Option<SystemTime> {
    let mut latest = None;
    let mut unread = vec![path.to_owned()];
    while let Some(path) = unread.pop() {
        let Ok(metadata) = path.symlink_metadata() else {
            continue;
        };
        latest = latest.max(changed(&metadata));
        if metadata.is_dir() {
            let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
            unread.extend(entries.map(|entry| entry.path()));
        }
    }
    latest
}

/// Returns the time when a file was last changed. On Unix, it is not the modification time, which is
/// that of the file in the archive.
fn changed(file: &std::fs::Metadata) -> Option<SystemTime> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let seconds = u64::try_from(file.ctime()).ok()?;
        let nanoseconds = u32::try_from(file.ctime_nsec()).ok()?;
        let since = std::time::Duration::new(seconds, nanoseconds);
        SystemTime::UNIX_EPOCH.checked_add(since)
    }
    #[cfg(not(unix))]
    {
        file.created().ok().max(file.modified().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Creates a depot with the folders `names` of artifacts, each with a file `part`.
    fn depot(names: &[&str]) -> tempfile::TempDir {
        let depot = tempfile::tempdir().unwrap();
        for name in names {
            let folder = depot.path().join("artifacts").join(name);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("part"), "half").unwrap();
        }
        depot
    }

    fn names(depot: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(depot.join("artifacts"))
            .unwrap()
            .flatten();
        let names = entries.map(|entry| entry.file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    const WHOLE: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f001234567";

    #[test]
    fn folders_of_a_killed_installation_are_removed_and_those_in_use_are_kept() {
        let depot = depot(&[WHOLE, "jl_killed", "jl_in_use"]);
        let journal = depot.path().join("journal");
        std::fs::write(&journal, "").unwrap();
        let remains = LeftoverFolders::find(depot.path(), &journal);
        std::fs::write(depot.path().join("artifacts/jl_in_use/next"), "").unwrap();
        std::fs::create_dir(depot.path().join("artifacts/jl_later")).unwrap();
        remains.remove();
        assert_eq!(names(depot.path()), [WHOLE, "jl_in_use", "jl_later"]);
    }

    #[test]
    fn registries_that_were_added_or_changed_are_removed_and_others_stay() {
        let depot = tempfile::tempdir().unwrap();
        let folder = depot.path().join("registries");
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        for name in ["Kept", "Updated"] {
            write(&format!("{name}/Registry.toml"), "");
            write(&format!("{name}/.tree_info.toml"), "git-tree-sha1 = \"1\"");
        }
        write("Cloned/Registry.toml", "");
        write("Packed.toml", "1");
        let registries = Registries::find(depot.path());
        write("Updated/.tree_info.toml", "git-tree-sha1 = \"2\"");
        write("Added/.tree_info.toml", "git-tree-sha1 = \"1\"");
        write("Packed.toml", "longer");
        registries.remove_changed();
        let names = entries(&folder).map(|entry| entry.file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        assert_eq!(names, ["Cloned", "Kept"]);
        // A depot without registries.
        Registries::find(&depot.path().join("other")).remove_changed();
    }

    #[test]
    fn without_an_interrupted_installation_nothing_is_removed() {
        let depot = depot(&[WHOLE, "jl_of_another"]);
        LeftoverFolders::find(depot.path(), &depot.path().join("journal")).remove();
        assert_eq!(names(depot.path()), [WHOLE, "jl_of_another"]);
        // A depot without artifacts has nothing to remove.
        let empty = tempfile::tempdir().unwrap();
        std::fs::write(empty.path().join("journal"), "").unwrap();
        LeftoverFolders::find(empty.path(), &empty.path().join("journal")).remove();
    }
}
