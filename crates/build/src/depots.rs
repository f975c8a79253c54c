//! The depots, by Julia's own rules, and which packages of a manifest are in none of them. Nothing
//! here starts a Julia.

mod prune;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use sysforge_plan::JuliaFacts;
use sysforge_plan::generation::Generation;
use sysforge_plan::manifest::Manifest;
use sysforge_plan::secret::without_logins;
use sysforge_process::Environment;

use crate::overrides;

pub use prune::{Pruned, prune};

/// The file in a depot that an installation locks.
pub(crate) const LOCK: &str = "logs/sysforge.lock";

/// The depots of a build; the first is the one that is written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Depots {
    /// In Julia's order, without the depots shipped with Julia.
    folders: Vec<PathBuf>,
    /// Whether Julia would use the same depots by default.
    default: bool,
}

impl Depots {
    /// Returns the depots that Julia would use in this environment: those of `JULIA_DEPOT_PATH`,
    /// otherwise `.julia` in the home directory. A `given` one comes first. These rules are
    /// implemented only here. Paths are made absolute, because children may start in other folders.
    /// If it is not known which `julia` will be used, the depots are those that some Julia uses.
    pub fn of(environment: &Environment, given: Option<&Path>, julia: Option<&Generation>) -> Self {
        // Same as Julia's `homedir`.
        let home = if cfg!(windows) { "USERPROFILE" } else { "HOME" };
        let home = environment.get(home).filter(|home| !home.is_empty());
        let home = home.map(PathBuf::from);
        let user = home.as_ref().map(|home| home.join(".julia"));
        let mut folders: Vec<PathBuf> = given.map(Path::to_owned).into_iter().collect();
        match environment.get("JULIA_DEPOT_PATH") {
            // An empty variable means no depot.
            Some(path) if path.is_empty() => {}
            Some(path) => {
                let in_place = julia.is_none_or(|julia| julia.user_depot_in_empty_entries);
                for (position, entry) in split(path).into_iter().enumerate() {
                    folders.extend(match entry.as_os_str().is_empty() {
                        true => user.clone().filter(|_| in_place || position == 0),
                        false => Some(with_home(entry, home.as_deref())),
                    });
                }
            }
            None => folders.extend(user),
        }
        let mut depots = Self {
            folders: Vec::new(),
            default: given.is_none(),
        };
        for folder in folders {
            let absolute = std::path::absolute(&folder).unwrap_or_else(|_| folder.clone());
            depots.default &= folder.is_absolute();
            if !depots.folders.contains(&absolute) {
                depots.folders.push(absolute);
            }
        }
        depots
    }

    /// Puts another depot first, which becomes the one that is written to.
    #[must_use]
    pub fn with_first(mut self, first: &Path) -> Self {
        self.folders.retain(|folder| folder != first);
        self.folders.insert(0, first.to_owned());
        self.default = false;
        self
    }

    /// Returns the depot that is written to.
    pub fn first(&self) -> Option<&Path> {
        self.folders.first().map(PathBuf::as_path)
    }

    /// Returns all depots, without those shipped with Julia.
    pub fn folders(&self) -> &[PathBuf] {
        &self.folders
    }

    /// Returns `JULIA_DEPOT_PATH` for children of this Julia, or `None` if Julia uses the same
    /// depots by default. Depots shipped with Julia are included, because before Julia 1.12 an
    /// explicit path would exclude them.
    pub fn variable(&self, julia: &JuliaFacts) -> Option<String> {
        if self.default {
            return None;
        }
        let bundled = julia.bindir.parent().into_iter().flat_map(|prefix| {
            ["local/share/julia", "share/julia"].map(|folder| prefix.join(folder))
        });
        let all = self.folders.iter().cloned().chain(bundled);
        let separator = julia.triplet.os().conventions().path_list_separator;
        let all: Vec<_> = all.map(|folder| folder.display().to_string()).collect();
        Some(all.join(&separator.to_string()))
    }

    /// Returns the folder of a package, if a depot contains it.
    pub fn package(&self, name: &str, uuid: &str, tree: &str) -> Option<PathBuf> {
        // Julia also looks for the shorter form (`Base.explicit_manifest_entry_path`).
        let slugs = [5, 4].map(|length| version_slug(uuid, tree, length));
        let slugs: Vec<String> = slugs.into_iter().flatten().collect();
        let folders = self.folders.iter().flat_map(|depot| {
            let packages = depot.join("packages").join(name);
            slugs.iter().map(move |slug| packages.join(slug))
        });
        folders.into_iter().find(|folder| folder.is_dir())
    }

    /// Returns the registries that Pkg cannot read, each with the reason: a Pkg that was killed or an
    /// older one left them. Packed registries are files, and are not among them.
    pub fn unusable_registries(&self) -> Vec<(PathBuf, String)> {
        let registries = self.folders.iter().map(|depot| depot.join("registries"));
        let entries = registries.filter_map(|folder| std::fs::read_dir(folder).ok());
        let mut folders: Vec<PathBuf> = entries
            .flat_map(|entries| entries.flatten().map(|entry| entry.path()))
            .filter(|path| path.is_dir())
            .collect();
        folders.sort();
        let with_reason = |folder: PathBuf| {
            let packed = folder.with_extension("toml");
            // Pkg prefers the packed registry of the same name.
            if packed.is_file() {
                return None;
            }
            let why = registry_problem(&folder)?;
            Some((folder, why))
        };
        folders.into_iter().filter_map(with_reason).collect()
    }

    /// Returns the files `Overrides.toml` that Julia cannot use, each with the reason. Julia fails as
    /// soon as a package asks for an artifact.
    pub fn unusable_overrides(&self) -> Vec<(PathBuf, String)> {
        let folders = self.folders.iter();
        folders
            .filter_map(|depot| overrides::problem(depot))
            .collect()
    }

    /// Returns the packages of a manifest that must be downloaded: no depot contains them.
    pub fn missing(&self, manifest: &Manifest) -> Vec<MissingPackage> {
        let entries = manifest.packages.iter();
        let entries = entries.flat_map(|(name, entries)| entries.iter().map(move |e| (name, e)));
        let missing = entries.filter_map(|(name, entry)| {
            let tree = entry.tree.as_ref()?;
            let found = self.package(name, &entry.uuid, tree);
            found.is_none().then(|| MissingPackage {
                name: name.clone(),
                version: entry.version.clone().unwrap_or_default(),
                tree: tree.clone(),
                repo: entry.repo.clone(),
            })
        });
        missing.collect()
    }
}

/// Returns why a folder is not a registry, if it is not one.
fn registry_problem(folder: &Path) -> Option<String> {
    const NAME: &str = "Registry.toml";
    let text = match sysforge_files::read_text(folder.join(NAME)) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Some(format!("it has no {NAME}"));
        }
        Err(error) => return Some(format!("its {NAME} cannot be read: {error}")),
    };
    let Ok(table) = text.parse::<toml::Table>() else {
        return Some(format!("its {NAME} is not TOML"));
    };
    let lacking = ["name", "uuid", "packages"];
    let lacking = lacking.into_iter().find(|key| !table.contains_key(*key))?;
    Some(format!("its {NAME} has no `{lacking}`"))
}

/// What to type about a registry that Pkg cannot read.
pub fn registry_hint(folder: &Path) -> String {
    format!(
        "remove this folder; Pkg downloads the registry again when it needs it: `rm -r {}`",
        sysforge_plan::text::quoted(&folder.display().to_string())
    )
}

/// What to do about an `Overrides.toml` that Julia cannot use.
pub const OVERRIDES_HINT: &str = "correct or remove this file: Julia cannot load packages that have \
                                  artifacts while it is there";

/// Splits a list of depots as Julia does: on Windows, quotes have no meaning, unlike in
/// [`std::env::split_paths`].
fn split(list: &OsStr) -> Vec<PathBuf> {
    match list.to_str().filter(|_| cfg!(windows)) {
        Some(text) => text.split(';').map(PathBuf::from).collect(),
        None => std::env::split_paths(list).collect(),
    }
}

/// Replaces a leading `~` by the home directory, as Julia does except on Windows, where `~` may begin
/// the name of a file (`Base.expanduser`).
pub fn with_home(path: PathBuf, home: Option<&Path>) -> PathBuf {
    match (path.strip_prefix("~"), home) {
        (Ok(below), Some(home)) if !cfg!(windows) => home.join(below),
        _ => path,
    }
}

/// A package or artifact that is in no depot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingPackage {
    /// The name.
    pub name: String,
    /// The version, if it has one.
    pub version: String,
    /// The digest of its tree.
    pub tree: String,
    /// The git repository of the package, if it is not registered.
    pub repo: Option<String>,
}

/// Groups missing packages by source, described in words: the package server, if there is one, or
/// git repositories.
pub fn sources(missing: &[MissingPackage], server: Option<&str>) -> Vec<(String, Vec<String>)> {
    let mut sources: Vec<(String, Vec<String>)> = Vec::new();
    for package in missing {
        let source = match (&package.repo, server) {
            (Some(repo), _) => without_logins(repo),
            (None, Some(server)) => server.to_owned(),
            (None, None) => "their git repositories".to_owned(),
        };
        match sources.iter_mut().find(|(known, _)| *known == source) {
            Some((_, names)) => names.push(package.to_string()),
            None => sources.push((source, vec![package.to_string()])),
        }
    }
    sources
}

impl std::fmt::Display for MissingPackage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.version.as_str() {
            "" => write!(f, "{} ({})", self.name, self.tree.get(..8).unwrap_or("")),
            version => write!(f, "{} {version}", self.name),
        }
    }
}

/// Returns the name of the folder in `packages/NAME/` with the tree of a package. Implements
/// `Base.version_slug` of loading.jl: the CRC-32C of UUID and tree hash in 62 letters and digits.
pub fn version_slug(uuid: &str, tree: &str, length: usize) -> Option<String> {
    const CHARACTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let digits: String = uuid.chars().filter(|c| *c != '-').collect();
    let uuid = u128::from_str_radix(&digits, 16).ok()?;
    let tree = hex::decode(tree).ok()?;
    let mut crc = crc32c(&uuid.to_le_bytes(), 0);
    crc = crc32c(&tree, crc);
    let mut slug = String::new();
    for _ in 0..length {
        let index = usize::try_from(crc % 62).ok()?;
        slug.push(char::from(CHARACTERS[index]));
        crc /= 62;
    }
    Some(slug)
}

/// Computes the CRC-32C (Castagnoli) of `bytes`, continued from `crc`. Inputs are only a few dozen
/// bytes.
fn crc32c(bytes: &[u8], crc: u32) -> u32 {
    let mut crc = !crc;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            let reduce = (crc & 1).wrapping_neg() & 0x82F6_3B78;
            crc = (crc >> 1) ^ reduce;
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        let variables = variables.iter();
        Environment::new(variables.map(|(name, value)| ((*name).into(), (*value).into())))
    }

    /// Results of `Base.version_slug` in Julia 1.5.3 and 1.6.7.
    #[test]
    fn slugs_are_julias() {
        assert_eq!(crc32c(b"123456789", 0), 0xE306_9283);
        let slug = |length| {
            version_slug(
                "16f45900-c8d1-57fb-b7c2-070764eb03c4",
                "92bb7479f9ec5adc7ad86f1b009bac1cf65e7fd7",
                length,
            )
        };
        assert_eq!(slug(5).as_deref(), Some("WxQD5"));
        assert_eq!(slug(4).as_deref(), Some("WxQD"));
        assert_eq!(version_slug("no uuid", "92bb", 5), None);
    }

    #[test]
    fn registries_that_pkg_cannot_read_are_named_with_the_reason() {
        let depot = tempfile::tempdir().unwrap();
        let depots = Depots::of(&environment(&[]), Some(depot.path()), None);
        assert!(depots.unusable_registries().is_empty());
        let registries = depot.path().join("registries");
        let put = |name: &str, text: Option<&str>| {
            std::fs::create_dir_all(registries.join(name)).unwrap();
            if let Some(text) = text {
                std::fs::write(registries.join(name).join("Registry.toml"), text).unwrap();
            }
        };
        put("Good", Some("name = \"Good\"\nuuid = \"x\"\n[packages]\n"));
        put("Packed", None);
        std::fs::write(registries.join("Packed.toml"), "").unwrap();
        put("Bare", None);
        put("Cut", Some("name = \"Cu"));
        put("Empty", Some(""));
        put("Folder", None);
        std::fs::create_dir(registries.join("Folder/Registry.toml")).unwrap();
        let found = depots.unusable_registries();
        let said: Vec<_> = found
            .iter()
            .map(|(folder, why)| (folder.file_name().unwrap().to_str().unwrap(), why.as_str()))
            .collect();
        assert_eq!(
            said[..3],
            [
                ("Bare", "it has no Registry.toml"),
                ("Cut", "its Registry.toml is not TOML"),
                ("Empty", "its Registry.toml has no `name`"),
            ]
        );
        assert_eq!((said.len(), said[3].0), (4, "Folder"));
        assert!(registry_hint(&found[0].0).contains("rm -r "));
    }

    /// As `init_depot_path` of Julia 1.5.3 and 1.12.5 reads them.
    #[test]
    fn an_empty_entry_is_read_as_the_julia_of_the_build_reads_it() {
        let (home, user) = match cfg!(windows) {
            true => (("USERPROFILE", r"C:\me"), r"C:\me\.julia"),
            false => (("HOME", "/me"), "/me/.julia"),
        };
        let (a, b) = if cfg!(windows) {
            (r"C:\a", r"C:\b")
        } else {
            ("/a", "/b")
        };
        let separator = if cfg!(windows) { ";" } else { ":" };
        let of = |entries: &[&str], minor: u64| {
            let julia = sysforge_plan::JuliaVersion::new(1, minor, 0);
            let path = ("JULIA_DEPOT_PATH", &*entries.join(separator));
            let julia = Generation::of(&julia);
            let depots = Depots::of(&environment(&[home, path]), None, julia);
            let folders = depots.folders.iter();
            folders.map(|f| f.display().to_string()).collect::<Vec<_>>()
        };
        for (entries, before, since) in [
            (&["", a][..], &[user, a][..], &[user, a][..]),
            (&[a, ""], &[a, user], &[a]),
            (&[a, "", b], &[a, user, b], &[a, b]),
            (&["", ""], &[user], &[user]),
            (&["", a, ""], &[user, a], &[user, a]),
            (&[""], &[], &[]),
        ] {
            for minor in [5, 10] {
                assert_eq!(of(entries, minor), before, "{entries:?} 1.{minor}");
            }
            for minor in [11, 12, 13] {
                assert_eq!(of(entries, minor), since, "{entries:?} 1.{minor}");
            }
        }
    }

    #[test]
    fn depots_follow_julias_rules() {
        let of = |variables: &[(&str, &str)], given: Option<&str>| {
            let depots = Depots::of(&environment(variables), given.map(Path::new), None);
            let folders = depots.folders.iter();
            folders.map(|f| f.display().to_string()).collect::<Vec<_>>()
        };
        let (home, default, given) = match cfg!(windows) {
            true => {
                let home = ("USERPROFILE", r"C:\Users\me");
                (home, r"C:\Users\me\.julia", r"D:\d")
            }
            false => (("HOME", "/home/me"), "/home/me/.julia", "/d"),
        };
        assert_eq!(of(&[home], None), [default]);
        assert_eq!(of(&[home], Some(given)), [given, default]);
        let here = std::env::current_dir().unwrap();
        let here = |name: &str| here.join(name).display().to_string();
        let path = ("JULIA_DEPOT_PATH", "here");
        assert_eq!(of(&[home, path], None), [here("here")]);
        let relative = Depots::of(&environment(&[home, path]), None, None);
        assert!(!relative.default, "a child may start in another folder");
        if cfg!(windows) {
            let path = ("JULIA_DEPOT_PATH", r#"E:\a;~\b;F:/c "d" e;"#);
            let expected = [r"E:\a", &here(r"~\b"), r#"F:\c "d" e"#, default];
            assert_eq!(of(&[home, path], None), expected);
            // Windows ignores case in the names of variables. HOME is not the home directory.
            let home = ("UserProfile", r"C:\Users\me");
            assert_eq!(of(&[home, ("HOME", r"C:\x")], None), [default]);
        } else {
            let path = ("JULIA_DEPOT_PATH", "/a:~/b:~:");
            let expected = ["/a", "/home/me/b", "/home/me", default];
            let found = of(&[home, path], None);
            let found: Vec<_> = found
                .iter()
                .map(|path| path.trim_end_matches('/'))
                .collect();
            assert_eq!(found, expected);
        }
        // An empty path means no depot, unless one is given.
        assert!(of(&[home, ("JULIA_DEPOT_PATH", "")], None).is_empty());
        assert_eq!(of(&[home, ("JULIA_DEPOT_PATH", "")], Some(given)), [given]);
    }

    #[test]
    fn missing_packages_are_told_by_where_they_come_from() {
        let package = |name: &str, repo: Option<&str>| MissingPackage {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            tree: "92bb7479".to_owned(),
            repo: repo.map(str::to_owned),
        };
        let git = "https://me:s3cret@git.example/C.jl.git";
        let missing = [
            package("A", None),
            package("C", Some(git)),
            package("B", None),
        ];
        let told = |server| {
            let sources = sources(&missing, server).into_iter();
            let told: Vec<_> = sources
                .map(|(source, names)| format!("{source}: {}", names.join(", ")))
                .collect();
            told.join("; ")
        };
        assert_eq!(
            told(Some("https://pkg.example")),
            "https://pkg.example: A 1.0.0, B 1.0.0; https://git.example/C.jl.git: C 1.0.0"
        );
        assert!(told(None).starts_with("their git repositories: A 1.0.0, B 1.0.0; "));
    }

    #[test]
    fn only_what_no_depot_holds_is_missing() {
        let depot = tempfile::tempdir().unwrap();
        let manifest = Manifest::from_toml(
            "Manifest.toml",
            "[[Built]]\nuuid = \"16f45900-c8d1-57fb-b7c2-070764eb03c4\"\nversion = \"1.0.0\"\n\
             git-tree-sha1 = \"92bb7479f9ec5adc7ad86f1b009bac1cf65e7fd7\"\n\
             [[Dates]]\nuuid = \"ade2ca70-3891-5945-98fb-dc099432e06a\"\n\
             [[Local]]\npath = \"Local\"\nuuid = \"ade2ca70-3891-5945-98fb-dc099432e06b\"\n",
        )
        .unwrap();
        let depots = Depots::of(&environment(&[]), Some(depot.path()), None);
        let missing = depots.missing(&manifest);
        assert_eq!(missing.len(), 1);
        assert_eq!(missing[0].to_string(), "Built 1.0.0");
        std::fs::create_dir_all(depot.path().join("packages/Built/WxQD5")).unwrap();
        assert!(depots.missing(&manifest).is_empty());
    }
}
