//! `Overrides.toml` of a depot: artifacts that Julia takes from elsewhere on this machine (Pkg's
//! manual, "Overriding artifact locations"). They are not what the package's `Artifacts.toml` names,
//! so they do not travel with an image.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The redirections of all depots.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Overrides {
    /// By tree hash: a folder, or another tree hash.
    by_tree: BTreeMap<String, Override>,
    /// By the UUID of the package and the artifact's name.
    by_name: BTreeMap<(String, String), Override>,
}

/// One redirection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Override {
    /// A folder, or another tree hash; nothing takes an earlier redirection back.
    pub(crate) to: String,
    /// The file that says so.
    pub(crate) file: PathBuf,
}

fn file(depot: &Path) -> PathBuf {
    depot.join("artifacts/Overrides.toml")
}

/// The files that redirect artifacts, and the folders that they lead to: inputs of a build.
pub(crate) fn files(depots: &[PathBuf]) -> Vec<PathBuf> {
    let overrides = Overrides::read(depots);
    let targets = overrides.by_tree.values().chain(overrides.by_name.values());
    let targets = targets.map(|to| PathBuf::from(&to.to));
    depots
        .iter()
        .map(|depot| file(depot))
        .chain(targets.filter(|target| target.is_absolute()))
        .collect()
}

impl Overrides {
    /// Reads the files of these depots. What an earlier depot says counts.
    pub(crate) fn read(depots: &[PathBuf]) -> Self {
        let mut overrides = Self::default();
        for depot in depots.iter().rev() {
            let file = file(depot);
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            // Julia itself warns of a file that it cannot read, and goes on without.
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

    /// Where an artifact is taken from instead.
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
