//! The artifacts used by the packages of an image. Julia finds an artifact by its tree hash in
//! `artifacts/` of a depot. The archive contains them under that path, and the unpacked folder
//! becomes a depot.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sysforge_plan::portability::Artifact;
use sysforge_plan::receipt::ExtensionRecord;
use sysforge_plan::text::{TreeHash, shortened};

use crate::overrides::{Override, Overrides};

/// An artifact and its folder on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstalledArtifact {
    /// The artifact.
    pub artifact: Artifact,
    /// Its folder.
    pub folder: PathBuf,
}

/// The report of the staging process about its packages and depots.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// The depots.
    pub depots: Vec<PathBuf>,
    /// The loaded packages, by name, each with its folder.
    pub packages: Vec<(String, PathBuf)>,
    /// The loaded packages that have a UUID, without extensions.
    pub loaded: Vec<LoadedPackage>,
    /// The loaded extensions of packages.
    pub extensions: Vec<ExtensionRecord>,
    /// The files that Julia read while loading the packages.
    pub read: Vec<PathBuf>,
    /// Whether the staging script finished.
    pub complete: bool,
}

/// A package that the emitting Julia had loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadedPackage {
    /// Its name.
    pub name: String,
    /// Its UUID.
    pub uuid: String,
}

/// The file names in Julia's lookup order (Artifacts.jl, `artifact_names`).
const FILES: [&str; 2] = ["JuliaArtifacts.toml", "Artifacts.toml"];

impl Surroundings {
    /// Parses the file written by the staging script: lines `depot<TAB>path`,
    /// `package<TAB>name<TAB>file`, `loaded<TAB>name<TAB>uuid`, `extension<TAB>name<TAB>package`
    /// and `read<TAB>file`, and a final `end`.
    pub fn read(text: &str) -> Self {
        let mut found = Self::default();
        for line in text.lines() {
            match line.split('\t').collect::<Vec<_>>()[..] {
                ["end"] => found.complete = true,
                ["read", path] => found.read.push(path.into()),
                ["loaded", name, uuid] => found.loaded.push(LoadedPackage {
                    name: name.to_owned(),
                    uuid: uuid.to_owned(),
                }),
                ["extension", name, package] => found.extensions.push(ExtensionRecord {
                    name: name.to_owned(),
                    package: package.to_owned(),
                }),
                ["depot", path] => found.depots.push(path.into()),
                // The file is `src/Name.jl` in the package's folder.
                ["package", name, file] => {
                    let folder = Path::new(file).parent().and_then(Path::parent);
                    let folder = folder.map(|folder| (name.to_owned(), folder.to_owned()));
                    found.packages.extend(folder);
                }
                _ => {}
            }
        }
        found
    }

    /// Returns the installed artifacts that these packages name. Others were not used: Julia
    /// installs artifacts of this platform with the package, and lazy ones on first use.
    pub fn artifacts(&self) -> Vec<InstalledArtifact> {
        let overrides = Overrides::read(&self.depots);
        let mut found = BTreeMap::new();
        for artifact in self.named() {
            let redirected = self.override_of(&artifact, &overrides).is_some();
            let Some(folder) = self.installed(&artifact.tree).filter(|_| !redirected) else {
                continue;
            };
            let tree = artifact.tree.clone();
            let known = InstalledArtifact { artifact, folder };
            found.entry(tree).or_insert(known);
        }
        found.into_values().collect()
    }

    /// Returns messages about artifacts that an `Overrides.toml` replaces by others on this
    /// machine; the archive does not contain those.
    pub fn redirected(&self) -> Vec<String> {
        let overrides = Overrides::read(&self.depots);
        let mut said: Vec<String> = Vec::new();
        for artifact in self.named() {
            let Some(to) = self.override_of(&artifact, &overrides) else {
                continue;
            };
            let text = format!(
                "the artifact `{}` of {} is taken from {}, as {} says, and is not packed",
                artifact.name,
                artifact.package,
                to.to,
                to.file.display()
            );
            if !said.contains(&text) {
                said.push(text);
            }
        }
        said
    }

    fn override_of<'o>(&self, artifact: &Artifact, all: &'o Overrides) -> Option<&'o Override> {
        let packages = self.loaded.iter().filter(|p| p.name == artifact.package);
        let mut uuids = packages.map(|package| Some(package.uuid.as_str()));
        uuids
            .find_map(|uuid| all.of(uuid, &artifact.name, &artifact.tree))
            .or_else(|| all.of(None, &artifact.name, &artifact.tree))
    }

    /// Returns all artifacts that the packages name, for all platforms.
    fn named(&self) -> Vec<Artifact> {
        let mut found = Vec::new();
        for (package, folder) in &self.packages {
            let file = FILES.map(|name| folder.join(name));
            let Some(text) = file.iter().find_map(|f| sysforge_files::read_text(f).ok()) else {
                continue;
            };
            // If Julia could not parse the file, the workload would have failed.
            let table: toml::Table = toml::from_str(&text).unwrap_or_default();
            for (name, entry) in table {
                found.extend(trees(&entry).into_iter().map(|tree| Artifact {
                    tree,
                    name: shortened(&name, 200),
                    package: package.clone(),
                }));
            }
        }
        found
    }

    fn installed(&self, tree: &str) -> Option<PathBuf> {
        let folders = self.depots.iter();
        let mut folders = folders.map(|depot| depot.join("artifacts").join(tree));
        folders.find(|folder| folder.is_dir())
    }
}

/// Returns whether this is an `Artifacts.toml` with one of these tree hashes. Julia read such a
/// file when it compiled the package: the image contains its content, and uses its path only in
/// messages.
pub fn is_file_of(path: &Path, artifacts: &[InstalledArtifact]) -> bool {
    let is_named = path
        .file_name()
        .is_some_and(|name| FILES.iter().any(|file| name == *file));
    let Some(text) = is_named
        .then(|| sysforge_files::read_text(path).ok())
        .flatten()
    else {
        return false;
    };
    let table: toml::Table = toml::from_str(&text).unwrap_or_default();
    let mut named = table.values().flat_map(trees);
    named.any(|tree| artifacts.iter().any(|found| found.artifact.tree == tree))
}

/// Returns the tree hashes of an entry: one, or one for each platform.
fn trees(entry: &toml::Value) -> Vec<TreeHash> {
    let tables: Vec<&toml::Value> = match entry {
        toml::Value::Array(tables) => tables.iter().collect(),
        table => vec![table],
    };
    let tree = |table: &toml::Value| TreeHash::new(table.get("git-tree-sha1")?.as_str()?).ok();
    tables.into_iter().filter_map(tree).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_artifact_that_is_taken_from_elsewhere_is_named_and_not_packed() {
        let dir = tempfile::tempdir().unwrap();
        let trees = ["a", "b", "c"].map(|letter| letter.repeat(40));
        let uuid = "11111111-2222-4333-8444-555555555555";
        let depot = dir.path().join("depot");
        for tree in &trees {
            std::fs::create_dir_all(depot.join("artifacts").join(tree)).unwrap();
        }
        std::fs::create_dir_all(dir.path().join("P/src")).unwrap();
        let [a, b, c] = &trees;
        let toml = format!(
            "[x]\ngit-tree-sha1 = \"{a}\"\n[y]\ngit-tree-sha1 = \"{b}\"\n[z]\n\
             git-tree-sha1 = \"{c}\"\n"
        );
        std::fs::write(dir.path().join("P/Artifacts.toml"), toml).unwrap();
        let overrides = format!("{a} = \"/opt/x\"\n[{uuid}]\ny = \"/opt/y\"\n");
        std::fs::write(depot.join("artifacts/Overrides.toml"), overrides).unwrap();
        let text = format!(
            "depot\t{}\npackage\tP\t{}\nloaded\tP\t{uuid}\n",
            depot.display(),
            dir.path().join("P/src/P.jl").display()
        );
        let surroundings = Surroundings::read(&text);
        let packed = surroundings.artifacts();
        let packed: Vec<&str> = packed.iter().map(|p| p.artifact.name.as_str()).collect();
        assert_eq!(packed, ["z"]);
        let said = surroundings.redirected();
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(
            said[0].contains("`x` of P is taken from /opt/x"),
            "{said:?}"
        );
        assert!(
            said[1].contains("`y` of P is taken from /opt/y"),
            "{said:?}"
        );
    }

    #[test]
    fn installed_artifacts_of_the_packages_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let (here, absent) = ("a".repeat(40), "b".repeat(40));
        let artifact = dir.path().join("depot/artifacts").join(&here);
        std::fs::create_dir_all(&artifact).unwrap();
        std::fs::create_dir_all(dir.path().join("P/src")).unwrap();
        let toml = format!(
            "[[lib]]\nos = \"linux\"\ngit-tree-sha1 = \"{here}\"\n\
             [[lib]]\nos = \"windows\"\ngit-tree-sha1 = \"{absent}\"\n\
             [evil]\ngit-tree-sha1 = \"../../../etc\"\n"
        );
        std::fs::write(dir.path().join("P/Artifacts.toml"), toml).unwrap();
        let text = format!(
            "depot\t{0}/depot\npackage\tP\t{0}/P/src/P.jl\npackage\tQ\t{0}/Q/src/Q.jl\n",
            dir.path().display()
        );
        let surroundings = Surroundings::read(&text);
        assert!(!surroundings.complete, "the last line is missing");
        let found = surroundings.artifacts();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].folder, artifact);
        assert_eq!(found[0].artifact.package, "P");
        // The image contains the path of this file only for messages.
        let file = dir.path().join("P/Artifacts.toml");
        assert!(is_file_of(&file, &found));
        assert!(!is_file_of(&file, &[]), "nothing of it travels");
        std::fs::copy(&file, dir.path().join("P/other.toml")).unwrap();
        assert!(!is_file_of(&dir.path().join("P/other.toml"), &found));
    }
}
