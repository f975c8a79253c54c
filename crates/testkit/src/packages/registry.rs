//! A registry of packages, generated from their sources: Pkg reads from it the versions of
//! packages, their dependencies and their locations.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use toml::{Table, Value};

use super::tree::Tree;

/// The uuid of the registry General. A Julia with an empty depot adds the registry with this uuid.
pub const GENERAL: &str = "23338594-aafe-5451-b93e-139f81909106";

/// The name and uuid of a registry.
#[derive(Debug, Clone, Copy)]
pub struct RegistryName {
    /// The name.
    pub name: &'static str,
    /// The uuid.
    pub uuid: &'static str,
}

impl RegistryName {
    /// The registry that a Julia with an empty depot adds.
    pub const GENERAL: Self = Self {
        name: "General",
        uuid: GENERAL,
    };
    /// A second registry.
    pub const CHANDLERY: Self = Self {
        name: "Chandlery",
        uuid: "5c6ff2a1-13c0-4f31-a2b4-2f8d0a6a7c55",
    };
}

/// A version of a package.
#[derive(Debug, Clone)]
pub struct Package {
    /// The name.
    pub name: String,
    /// The uuid.
    pub uuid: String,
    /// The version.
    pub version: String,
    /// The content of its archive.
    pub tree: Tree,
    project: Table,
}

impl Package {
    /// Reads a version's folder.
    ///
    /// # Panics
    ///
    /// If it has no `Project.toml` with name, uuid and version.
    pub fn new(tree: Tree) -> Self {
        let project: Table = tree.text("Project.toml").unwrap().parse().unwrap();
        let text = |key: &str| project[key].as_str().unwrap().to_owned();
        Self {
            name: text("name"),
            uuid: text("uuid"),
            version: text("version"),
            tree,
            project,
        }
    }

    /// The keys and values of a table in `Project.toml`.
    fn table(&self, name: &str) -> BTreeMap<&str, &str> {
        let table = self.project.get(name).and_then(Value::as_table);
        let entries = table.into_iter().flatten();
        entries
            .map(|(key, value)| (key.as_str(), value.as_str().unwrap()))
            .collect()
    }

    /// The table `compat`, restricted to the names that `wanted` accepts.
    fn compat(&self, wanted: impl Fn(&str) -> bool) -> BTreeMap<&str, String> {
        let compat = self.table("compat").into_iter();
        compat
            .filter(|(name, _)| wanted(name))
            .map(|(name, range)| (name, registry_range(range)))
            .collect()
    }
}

/// Packages and artifacts.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// Every version of every package, in order.
    pub packages: Vec<Package>,
    /// Artifacts by name.
    pub artifacts: BTreeMap<String, Tree>,
}

impl Sources {
    /// Reads a folder that contains `NAME/VERSION/` for each version and `NAME/artifacts/` for the
    /// artifacts of a package.
    pub fn read(folder: &Path) -> Self {
        let mut sources = Self::default();
        for package in folders(folder) {
            for version in folders(&package) {
                if version.ends_with("artifacts") {
                    for artifact in folders(&version) {
                        let name = artifact.file_name().unwrap().to_str().unwrap().to_owned();
                        sources.artifacts.insert(name, Tree::read(&artifact));
                    }
                } else {
                    let package = Package::new(Tree::read(&version));
                    sources.packages.push(package);
                }
            }
        }
        sources
    }

    /// Only these packages.
    pub fn only(&self, names: &[&str]) -> Self {
        let packages = self.packages.iter();
        Self {
            packages: packages
                .filter(|package| names.contains(&package.name.as_str()))
                .cloned()
                .collect(),
            artifacts: self.artifacts.clone(),
        }
    }

    /// Returns the folder of the registry. `repository` returns the URL of a package's git
    /// repository.
    pub fn registry(&self, title: RegistryName, repository: impl Fn(&str) -> String) -> Tree {
        let mut by_name: BTreeMap<&str, Vec<&Package>> = BTreeMap::new();
        for package in &self.packages {
            by_name.entry(&package.name).or_default().push(package);
        }
        let mut listing = format!(
            "name = {:?}\nuuid = {:?}\nrepo = {:?}\n\n[packages]\n",
            title.name,
            title.uuid,
            repository(title.name)
        );
        let mut tree = Tree::default();
        for (name, versions) in by_name {
            let uuid = &versions[0].uuid;
            let folder = format!("{}/{name}", &name[..1]);
            let _ = writeln!(listing, "{uuid} = {{ name = {name:?}, path = {folder:?} }}");
            let mut add = |file: &str, text: String| {
                if !text.is_empty() {
                    tree = std::mem::take(&mut tree).with(&format!("{folder}/{file}"), text);
                }
            };
            add(
                "Package.toml",
                format!(
                    "name = {name:?}\nuuid = {uuid:?}\nrepo = {:?}\n",
                    repository(name)
                ),
            );
            let tables = |of: &dyn Fn(&Package) -> BTreeMap<String, String>| {
                let mut text = String::new();
                for package in &versions {
                    let table = of(package);
                    if table.is_empty() {
                        continue;
                    }
                    let _ = writeln!(text, "[{:?}]", package.version);
                    for (key, value) in table {
                        let _ = writeln!(text, "{key} = {value:?}");
                    }
                }
                text
            };
            add(
                "Versions.toml",
                tables(&|package| {
                    BTreeMap::from([("git-tree-sha1".to_owned(), package.tree.hash())])
                }),
            );
            add("Deps.toml", tables(&|package| owned(package.table("deps"))));
            add(
                "WeakDeps.toml",
                tables(&|package| owned(package.table("weakdeps"))),
            );
            add(
                "Compat.toml",
                tables(&|package| {
                    let weak = package.table("weakdeps");
                    owned(package.compat(|name| !weak.contains_key(name)))
                }),
            );
            add(
                "WeakCompat.toml",
                tables(&|package| {
                    let weak = package.table("weakdeps");
                    owned(package.compat(|name| weak.contains_key(name)))
                }),
            );
        }
        tree.with("Registry.toml", listing)
    }
}

fn owned<V: ToString>(table: BTreeMap<&str, V>) -> BTreeMap<String, String> {
    table
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_string()))
        .collect()
}

fn folders(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let mut folders: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    folders
}

/// Converts a range from `[compat]`, which uses semver, to the form in a registry: the first and
/// the last allowed version, each possibly shortened.
fn registry_range(range: &str) -> String {
    let numbers: Vec<_> = range.split('.').collect();
    assert!(
        numbers.iter().all(|number| number.parse::<u32>().is_ok()),
        "the test packages have no range like `{range}`"
    );
    match numbers.as_slice() {
        [_] => range.to_owned(),
        // The first number other than zero must stay the same.
        ["0", minor, _, ..] => format!("{range}-0.{minor}"),
        ["0", _] => range.to_owned(),
        [major, ..] => format!("{range}-{major}"),
        [] => unreachable!("a split text has a part"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_have_the_form_of_registries() {
        for (compat, registry) in [
            ("1", "1"),
            ("1.5", "1.5-1"),
            ("1.5.2", "1.5.2-1"),
            ("0.3", "0.3"),
            ("0.3.2", "0.3.2-0.3"),
        ] {
            assert_eq!(registry_range(compat), registry);
        }
    }

    #[test]
    fn weak_dependencies_are_in_separate_files() {
        let project = "name = \"A\"\nuuid = \"u\"\nversion = \"1.0.0\"\n[deps]\nB = \"b\"\n\
                       [weakdeps]\nC = \"c\"\n[compat]\nB = \"1\"\nC = \"2.1\"\njulia = \"1.5\"\n";
        let tree = Tree::default().with("Project.toml", project);
        let sources = Sources {
            packages: vec![Package::new(tree)],
            ..Sources::default()
        };
        let registry =
            sources.registry(RegistryName::GENERAL, |name| format!("file:///{name}.git"));
        let text = |file: &str| registry.text(file).unwrap();
        assert_eq!(text("A/A/Deps.toml"), "[\"1.0.0\"]\nB = \"b\"\n");
        assert_eq!(text("A/A/WeakDeps.toml"), "[\"1.0.0\"]\nC = \"c\"\n");
        assert_eq!(
            text("A/A/Compat.toml"),
            "[\"1.0.0\"]\nB = \"1\"\njulia = \"1.5-1\"\n"
        );
        assert_eq!(text("A/A/WeakCompat.toml"), "[\"1.0.0\"]\nC = \"2.1-2\"\n");
        assert!(text("Registry.toml").contains("u = { name = \"A\", path = \"A/A\" }"));
    }
}
