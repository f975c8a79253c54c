//! `Overrides.toml` of a depot: artifacts that Julia takes from another location on this machine
//! (Pkg's manual, "Overriding artifact locations"). They differ from those in the package's
//! `Artifacts.toml`, so the archive does not contain them.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use sysforge_plan::text::{TreeHash, shortened};
use sysforge_plan::toml_error::TomlError;
use toml::de::{DeTable, DeValue};

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

/// Returns what is wrong with the `Overrides.toml` of a depot, and its path, if Julia cannot use it:
/// Julia then fails as soon as a package asks for an artifact.
pub(crate) fn problem(depot: &Path) -> Option<(PathBuf, String)> {
    let file = file(depot);
    let said = match sysforge_files::read_text(&file) {
        Ok(text) => problem_of(&text).map(|(offset, message)| {
            let located = TomlError::at("", &text, offset, &message);
            format!(
                "line {}, column {}: {}",
                located.line, located.column, located.message
            )
        }),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            None
        }
        Err(error) => Some(error.to_string()),
    };
    said.map(|said| (file, said))
}

/// Returns the first error of an `Overrides.toml`, and the byte where it is.
fn problem_of(text: &str) -> Option<(usize, String)> {
    let table = match DeTable::parse(text) {
        Ok(table) => table.into_inner(),
        Err(error) => {
            let offset = error.span().map_or(0, |span| span.start);
            return Some((offset, error.message().to_owned()));
        }
    };
    let entries = table
        .into_iter()
        .flat_map(|(key, value)| match value.into_inner() {
            DeValue::Table(names) => names.into_iter().collect(),
            other => {
                let span = key.span();
                vec![(key, toml::Spanned::new(span, other))]
            }
        });
    let mut wrong = entries.filter_map(|(key, value)| {
        let good = value.get_ref().as_str().is_some_and(is_target);
        let name = shortened(key.get_ref(), 60);
        let message = format!("`{name}` must be an absolute path, a tree hash or an empty string");
        (!good).then(|| (key.span().start, message))
    });
    wrong.next()
}

/// Whether Julia takes this as the target of a redirection.
fn is_target(text: &str) -> bool {
    text.is_empty() || Path::new(text).has_root() || TreeHash::new(text).is_ok()
}

impl Overrides {
    /// Reads the files of these depots. Earlier depots take precedence.
    pub(crate) fn read(depots: &[PathBuf]) -> Self {
        let mut overrides = Self::default();
        for depot in depots.iter().rev() {
            let file = file(depot);
            let text = sysforge_files::read_text(&file).unwrap_or_default();
            // `problem` is what a user reads about a file that is not valid.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said about a file with this text.
    fn said(text: &[u8]) -> Option<String> {
        let depot = tempfile::tempdir().unwrap();
        std::fs::create_dir(depot.path().join("artifacts")).unwrap();
        std::fs::write(file(depot.path()), text).unwrap();
        problem(depot.path()).map(|(path, said)| {
            assert_eq!(path, file(depot.path()));
            said
        })
    }

    #[test]
    fn a_file_that_julia_can_use_is_no_problem() {
        let depot = tempfile::tempdir().unwrap();
        assert_eq!(problem(depot.path()), None);
        assert_eq!(problem(&depot.path().join("none")), None);
        let tree = "a".repeat(40);
        let text = format!("{tree} = '/opt/a'\nb = \"\"\n[uuid]\nname = \"{tree}\"\n");
        assert_eq!(said(text.as_bytes()), None);
        assert_eq!(said(b""), None);
    }

    #[test]
    fn a_file_that_julia_cannot_use_is_named_with_the_line() {
        for (text, words) in [
            (&b"a = \"/x\"\nno TOML"[..], "line 2, column "),
            (b"a = 3", "line 1, column 1: `a` must be an absolute path"),
            (
                b"\n[uuid]\nname = \"x/y\"",
                "line 3, column 1: `name` must be",
            ),
            (
                b"[uuid]\nname = [\"/x\"]",
                "line 2, column 1: `name` must be",
            ),
            (b"a = \"/x\"\na = \"/y\"", "line 2, column 1: "),
            (b"\xff\xfea\0", "it is not UTF-8 text"),
            (b"\"\\u001b[2J\" = 1", "`\\u{1b}[2J` must be"),
        ] {
            let said = said(text).unwrap();
            assert!(said.contains(words), "{words}: {said}");
        }
    }

    #[test]
    fn a_folder_in_place_of_the_file_is_a_problem() {
        let depot = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(file(depot.path())).unwrap();
        assert!(problem(depot.path()).is_some());
    }
}
