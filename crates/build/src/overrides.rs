//! `Overrides.toml` of a depot: artifacts that Julia takes from another location on this machine
//! (Pkg's manual, "Overriding artifact locations"). They differ from those in the package's
//! `Artifacts.toml`, so the archive does not contain them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The redirections of all depots.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Overrides {
    /// Folder or other tree hash, by tree hash.
    by_tree: BTreeMap<String, Override>,
    /// The same, by the UUID of the package and the artifact's name.
    by_name: BTreeMap<(String, String), Override>,
}

/// One redirection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Override {
    /// A folder or another tree hash; empty to undo an earlier redirection.
    pub(crate) to: String,
    /// The file with the redirection.
    pub(crate) file: PathBuf,
}

fn file(depot: &Path) -> PathBuf {
    depot.join("artifacts/Overrides.toml")
}

/// Returns the files that redirect artifacts and the target folders: inputs of a build.
pub(crate) fn files(depots: &[PathBuf]) -> Vec<PathBuf> {
    let overrides = Overrides::read(depots);
    let targets = overrides.by_tree.values().chain(overrides.by_name.values());
    let targets = targets.map(|to| PathBuf::from(&to.to));
    depots
        .iter()
        .map(|depot| file(depot))
        // Without a root, it is a tree hash. On Windows, Julia needs no drive (`isabspath`).
        .chain(targets.filter(|target| target.has_root()))
        .collect()
}

impl Overrides {
    /// Reads the files of these depots. Earlier depots take precedence.
    pub(crate) fn read(depots: &[PathBuf]) -> Self {
        let mut overrides = Self::default();
        for depot in depots.iter().rev() {
            let file = file(depot);
            let text = sysforge_files::read_text(&file).unwrap_or_default();
            // Julia warns about an unreadable file and ignores it.
            let table: toml::Table = toml::from_str(&text).unwrap_or_default();
            for (key, value) in table {
                let to = |to: &str| Override {
                    to: to.to_owned(),
                    file: file.clone(),
                };
                match value {
                    toml::Value::String(text) => {
                        overrides.by_tree.insert(key, to(&text));
                    }
                    toml::Value::Table(names) => {
                        for (name, value) in names {
                            if let Some(text) = value.as_str() {
                                let key = (key.to_ascii_lowercase(), name);
                                overrides.by_name.insert(key, to(text));
                            }
                        }
                    }
                    _ => {}
                }
            }
        }
        overrides
    }

    /// Returns the redirection of an artifact, if there is one.
    pub(crate) fn of(&self, package: Option<&str>, name: &str, tree: &str) -> Option<&Override> {
        let by_name = package.and_then(|uuid| {
            let key = (uuid.to_ascii_lowercase(), name.to_owned());
            self.by_name.get(&key)
        });
        by_name
            .or_else(|| self.by_tree.get(tree))
            .filter(|to| !to.to.is_empty())
    }
}
