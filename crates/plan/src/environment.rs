//! The environments that a build creates: the one that Pkg resolves if the project's manifest
//! cannot be used, and the one with packages needed only by workloads. Pure functions from TOML
//! tables to project files and lists for Pkg.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use crate::generation::Generation;
use crate::manifest::Manifest;
use crate::receipt::{PackageRecord, PreferenceRecord};
use crate::text::shortened;

/// A package in a local folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LocalPackage {
    /// The name.
    pub name: String,
    /// The UUID.
    pub uuid: String,
    /// The absolute path of the folder.
    pub folder: PathBuf,
}

/// Returns the preferences of the given packages: `[preferences]` in the project file, overridden
/// by `LocalPreferences.toml` in the same folder, merged as Julia does.
pub fn preferences(
    project: &Table,
    local: &Table,
    packages: &[PackageRecord],
) -> Vec<PreferenceRecord> {
    let mut merged = Table::new();
    let own = project.get("preferences").and_then(Value::as_table);
    for table in own.into_iter().chain([local]) {
        merge_preferences(&mut merged, table);
    }
    let mut found = Vec::new();
    for package in packages {
        let table = merged.get(&package.name).and_then(Value::as_table);
        for (name, value) in table.into_iter().flatten() {
            found.push(PreferenceRecord {
                package: package.name.clone(),
                name: shortened(name, 200),
                value: shortened(&value.to_string(), 500),
            });
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Does the same as `Base.recursive_prefs_merge`: tables are merged, and `__clear__` lists keys to
/// remove first.
fn merge_preferences(base: &mut Table, over: &Table) {
    const CLEAR: &str = "__clear__";
    let cleared = over.get(CLEAR).and_then(Value::as_array);
    for name in cleared.into_iter().flatten().filter_map(Value::as_str) {
        base.remove(name);
    }
    for (name, value) in over.iter().filter(|(name, _)| *name != CLEAR) {
        match (base.get_mut(name).and_then(Value::as_table_mut), value) {
            (Some(below), Value::Table(value)) => merge_preferences(below, value),
            (None, Value::Table(value)) => {
                let mut table = Table::new();
                merge_preferences(&mut table, value);
                base.insert(name.clone(), Value::Table(table));
            }
            _ => {
                base.insert(name.clone(), value.clone());
            }
        }
    }
}

/// The UUIDs of the standard libraries that come with every Julia since 1.5 and that Pkg never takes
/// from a registry.
const STANDARD_LIBRARIES: &[&str] = &[
    "2a0f44e3-6c83-55bd-87e4-b1978d98bd5f", // Base64
    "8bf52ea8-c179-5cab-976a-9e18b702a9bc", // CRC32c
    "ade2ca70-3891-5945-98fb-dc099432e06a", // Dates
    "8ba89e20-285c-5b6f-9357-94700520ee1b", // Distributed
    "7b1f6079-737a-58dc-b8bc-7a2ca5c1b5ee", // FileWatching
    "9fa8497b-333b-5362-9e8d-4d0656e87820", // Future
    "b77e0a4c-d291-57a0-90e8-8db25a27a240", // InteractiveUtils
    "76f85450-5226-5b5a-8eaa-529ad045b433", // LibGit2
    "8f399da3-3557-5675-b5ff-fb832c97cbdb", // Libdl
    "37e2e46d-f89d-539d-b4ee-838fcccc9c8e", // LinearAlgebra
    "56ddb016-857b-54e1-b83d-db4d58db5568", // Logging
    "d6f4376e-aef5-505a-96c1-9c027394607a", // Markdown
    "a63ad114-7e13-5084-954f-fe012c677804", // Mmap
    "44cfe95a-1eb2-52ea-b672-e2afdf69b78f", // Pkg
    "de0858da-6303-5e67-8744-51eddeeeb8d7", // Printf
    "9abbd945-dff8-562f-b5e8-e1ebf5ef1b79", // Profile
    "3fa0cd96-eef1-5676-8a61-b3b8758bbffb", // REPL
    "9a3f8284-a2c9-5f02-9a11-845980a1fd5c", // Random
    "ea8e919c-243c-51af-8825-aaa63cd721ce", // SHA
    "9e88b42a-f829-5b0c-bbe9-9e923198166b", // Serialization
    "1a1011a3-84de-559e-8e89-a11a2f7dc383", // SharedArrays
    "6462fe0b-24de-5631-8697-dd941f90decc", // Sockets
    "2f01184e-e22b-5df5-ae63-d93ebab69eaf", // SparseArrays
    "4607b0f0-06f3-5cda-b6b1-a6196a1729e9", // SuiteSparse
    "8dfed614-e22c-5e08-85e1-65c5234f0b40", // Test
    "cf7118a7-6976-5b1a-9a39-7adc72f591a4", // UUIDs
    "4ec0a83e-493e-50e2-b9ac-8f72acf5a8f5", // Unicode
];

/// Returns whether every Julia has this standard library, so that no registry has to list it.
pub fn is_standard_library(uuid: &str) -> bool {
    STANDARD_LIBRARIES.contains(&uuid)
}

/// A package in a git repository.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Repository {
    /// The name.
    pub name: String,
    /// The repository's address.
    pub url: String,
    /// A branch, tag or commit.
    pub revision: Option<String>,
    /// The package's folder in the repository.
    pub folder: Option<String>,
}

/// The version of a registered package in an earlier manifest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pin {
    /// The name.
    pub name: String,
    /// The UUID.
    pub uuid: String,
    /// The version.
    pub version: String,
}

/// The input from which Pkg resolves versions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resolution {
    /// The text of the environment's `Project.toml`.
    pub project: String,
    /// Versions that Pkg keeps if possible.
    pub pins: Vec<Pin>,
    /// Packages in folders.
    pub local: Vec<LocalPackage>,
    /// Packages in repositories.
    pub repositories: Vec<Repository>,
}

/// A project file, and the folder that its paths are relative to.
#[derive(Debug, Clone, Copy)]
pub struct Located<'a> {
    /// The content of the file.
    pub table: &'a Table,
    /// The absolute path of its folder.
    pub folder: &'a Path,
}

/// Returns what Pkg resolves for a project: its dependencies, the project itself if it is a
/// package, the versions in an earlier `manifest`, and the packages in `local` that the project
/// needs.
pub fn resolution(
    project: Located<'_>,
    manifest: Option<Located<'_>>,
    local: &[LocalPackage],
    generation: &Generation,
) -> Resolution {
    let text = |key: &str| project.table.get(key).and_then(Value::as_str);
    let mut deps = strings(project.table, "deps");
    if generation.extensions {
        // A package listed in both sections is a weak dependency.
        for name in strings(project.table, "weakdeps").keys() {
            deps.remove(name);
        }
    }
    let mut found = Resolution::default();
    if let Some(manifest) = manifest {
        found.read_manifest(manifest);
    }
    let sources = sources(project, &deps);
    if !generation.sources {
        found.add_sources(&sources, &deps);
    }
    // Where Pkg reads `[sources]`, an entry counts for more than an earlier manifest or a workspace,
    // and Pkg refuses it while its package is no dependency, so that package is not added separately.
    let left_to_pkg = |name: &String| generation.sources && sources.contains_key(name);
    for name in sources.keys().filter(|name| left_to_pkg(name)) {
        found.forget(name);
    }
    for package in local.iter().filter(|package| !left_to_pkg(&package.name)) {
        found.set_local(package.clone());
    }
    if let (Some(name), Some(uuid)) = (text("name"), text("uuid")) {
        deps.insert(name.to_owned(), uuid.to_owned());
        found.set_local(LocalPackage {
            name: name.to_owned(),
            uuid: uuid.to_owned(),
            folder: project.folder.to_owned(),
        });
    }
    let mut environment = Table::new();
    let mut compat = strings(project.table, "compat");
    compat.retain(|name, _| name == "julia" || deps.contains_key(name));
    for key in ["extras", "preferences"] {
        if let Some(value) = project.table.get(key) {
            environment.insert(key.to_owned(), value.clone());
        }
    }
    if generation.sources && !sources.is_empty() {
        environment.insert("sources".to_owned(), Value::Table(sources));
    }
    for (key, values) in [("deps", deps), ("compat", compat)] {
        if !values.is_empty() {
            let values = values.into_iter();
            let values: Table = values.map(|(k, v)| (k, Value::String(v))).collect();
            environment.insert(key.to_owned(), Value::Table(values));
        }
    }
    found.project = environment.to_string();
    found.local.sort();
    found.repositories.sort();
    found.pins.sort();
    found
}

impl Resolution {
    fn set_local(&mut self, package: LocalPackage) {
        self.forget(&package.name);
        self.local.push(package);
    }

    fn forget(&mut self, name: &str) {
        self.pins.retain(|known| known.name != name);
        self.local.retain(|known| known.name != name);
        self.repositories.retain(|known| known.name != name);
    }

    fn read_manifest(&mut self, manifest: Located<'_>) {
        for (name, entry) in manifest_entries(manifest.table) {
            let text = |key: &str| entry.get(key).and_then(Value::as_str).map(str::to_owned);
            let (name, Some(uuid)) = (name.to_owned(), text("uuid")) else {
                continue;
            };
            if let Some(path) = text("path") {
                let folder = absolute(manifest.folder, &path);
                self.local.push(LocalPackage { name, uuid, folder });
            } else if let Some(url) = text("repo-url") {
                self.repositories.push(Repository {
                    name,
                    url: repository_address(manifest.folder, &url),
                    revision: text("repo-rev"),
                    folder: text("repo-subdir"),
                });
            } else if let (Some(_), Some(version)) = (text("git-tree-sha1"), text("version")) {
                self.pins.push(Pin {
                    name,
                    uuid,
                    version,
                });
            }
        }
    }

    /// Adds `[sources]` explicitly, for versions of Pkg that do not read it.
    fn add_sources(&mut self, sources: &Table, deps: &BTreeMap<String, String>) {
        for (name, source) in sources {
            let text = |key: &str| source.get(key).and_then(Value::as_str).map(str::to_owned);
            let Some(uuid) = deps.get(name) else { continue };
            if let Some(path) = text("path") {
                self.set_local(LocalPackage {
                    name: name.clone(),
                    uuid: uuid.clone(),
                    folder: path.into(),
                });
            } else if let Some(url) = text("url") {
                self.forget(name);
                self.repositories.push(Repository {
                    name: name.clone(),
                    url,
                    revision: text("rev"),
                    folder: text("subdir"),
                });
            }
        }
    }
}

/// The packages of a workload environment: their names, with known UUIDs, and version bounds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkloadPackages {
    /// Names and UUIDs.
    pub packages: BTreeMap<String, Option<String>>,
    /// Version bounds by name.
    pub compat: BTreeMap<String, String>,
}

/// Returns the test dependencies that a project declares in `[extras]` and `[targets]`.
pub fn test_target(project: &Table) -> WorkloadPackages {
    let extras = strings(project, "extras");
    let weak = strings(project, "weakdeps");
    let names = project
        .get("targets")
        .and_then(|targets| targets.get("test"));
    let names = names.and_then(Value::as_array).into_iter().flatten();
    let names = names.filter_map(Value::as_str);
    let packages = names.map(|name| {
        let uuid = extras.get(name).or_else(|| weak.get(name));
        (name.to_owned(), uuid.cloned())
    });
    WorkloadPackages {
        packages: packages.collect(),
        compat: strings(project, "compat"),
    }
}

/// Returns the dependencies in the project file of a workload environment.
pub fn dependencies(project: &Table) -> WorkloadPackages {
    let packages = strings(project, "deps").into_iter();
    WorkloadPackages {
        packages: packages.map(|(name, uuid)| (name, Some(uuid))).collect(),
        compat: strings(project, "compat"),
    }
}

/// Returns the initial `Project.toml` of a workload environment: the dependencies of the
/// environment below it, and bounds for the packages to be added.
pub fn workload_project(below: &Table, added: &WorkloadPackages) -> String {
    let mut table = Table::new();
    let deps = strings(below, "deps");
    let mut compat = strings(below, "compat");
    compat.retain(|name, _| name == "julia" || deps.contains_key(name));
    // Pkg refuses a bound for a package that has not been added, unless it is listed in `[extras]`.
    let mut extras = strings(below, "extras");
    for (name, uuid) in &added.packages {
        if let (Some(uuid), Some(bound)) = (uuid, added.compat.get(name))
            && !deps.contains_key(name)
        {
            extras.insert(name.clone(), uuid.clone());
            compat.insert(name.clone(), bound.clone());
        }
    }
    for (key, values) in [("deps", deps), ("extras", extras), ("compat", compat)] {
        if !values.is_empty() {
            let values = values.into_iter();
            let values: Table = values.map(|(k, v)| (k, Value::String(v))).collect();
            table.insert(key.to_owned(), Value::Table(values));
        }
    }
    if let Some(preferences) = below.get("preferences") {
        table.insert("preferences".to_owned(), preferences.clone());
    }
    table.to_string()
}

/// Returns a manifest with absolute paths, so that it can be moved to another folder.
pub fn with_absolute_paths(manifest: Located<'_>) -> String {
    with_paths(manifest, |folder, path| {
        absolute(folder, path).display().to_string()
    })
}

/// Returns a manifest with paths relative to the folder, with `/` on every system, so that it
/// contains nothing about the machine that wrote it. A path on another drive remains absolute.
pub fn with_relative_paths(manifest: Located<'_>) -> String {
    with_paths(manifest, |folder, path| {
        let whole = absolute(folder, path);
        let common = folder.components().zip(whole.components());
        let common = common.take_while(|(a, b)| a == b).count();
        if common == 0 {
            return whole.display().to_string().replace('\\', "/");
        }
        let up = folder.components().skip(common).map(|_| "..".to_owned());
        let down = whole.components().skip(common);
        let down = down.map(|part| part.as_os_str().to_string_lossy().into_owned());
        let parts: Vec<String> = up.chain(down).collect();
        match parts.is_empty() {
            true => ".".to_owned(),
            false => parts.join("/"),
        }
    })
}

fn with_paths(manifest: Located<'_>, change: impl Fn(&Path, &str) -> String) -> String {
    let mut table = manifest.table.clone();
    let packages = match table.get_mut("deps") {
        Some(Value::Table(deps)) if manifest.table.contains_key("manifest_format") => deps,
        _ => &mut table,
    };
    for (_, entries) in packages.iter_mut() {
        for entry in entries.as_array_mut().into_iter().flatten() {
            let path = entry.get("path").and_then(Value::as_str);
            let path = path.map(|path| change(manifest.folder, path));
            if let (Some(path), Some(entry)) = (path, entry.as_table_mut()) {
                entry.insert("path".to_owned(), Value::String(path));
            }
        }
    }
    table.to_string()
}

/// Returns the packages whose versions differ from an earlier manifest, as `Name 1.0.0 → 1.1.0`.
pub fn changed_versions(earlier: &Manifest, now: &Manifest) -> Vec<String> {
    let mut changes = Vec::new();
    for (name, entries) in &now.packages {
        for entry in entries {
            let before = earlier.entry(name, Some(&entry.uuid));
            // The versions of standard libraries follow from Julia's.
            let Some(version) = entry.version.as_ref().filter(|_| entry.tree.is_some()) else {
                continue;
            };
            match before.and_then(|before| before.version.as_ref()) {
                Some(old) if old == version => {}
                Some(old) => changes.push(format!("{name} {old} → {version}")),
                None => changes.push(format!("{name} {version} (new)")),
            }
        }
    }
    for (name, entries) in &earlier.packages {
        let gone = entries.iter().filter(|entry| entry.tree.is_some());
        let gone = gone.filter(|entry| now.entry(name, Some(&entry.uuid)).is_none());
        changes.extend(gone.map(|_| format!("{name} (gone)")));
    }
    changes
}

/// Returns the entries of a manifest of any format, by name.
fn manifest_entries(manifest: &Table) -> impl Iterator<Item = (&str, &Table)> {
    let packages = match manifest.get("deps") {
        Some(Value::Table(deps)) if manifest.contains_key("manifest_format") => deps,
        _ => manifest,
    };
    packages.iter().flat_map(|(name, entries)| {
        let entries = entries.as_array().into_iter().flatten();
        let entries = entries.filter_map(Value::as_table);
        entries.map(move |entry| (name.as_str(), entry))
    })
}

/// Returns `[sources]` of a project for its dependencies, with absolute paths.
fn sources(project: Located<'_>, deps: &BTreeMap<String, String>) -> Table {
    let sources = project.table.get("sources").and_then(Value::as_table);
    let mut absolute_sources = Table::new();
    for (name, source) in sources.into_iter().flatten() {
        let Some(source) = source.as_table().filter(|_| deps.contains_key(name)) else {
            continue;
        };
        let mut source = source.clone();
        let path = source.get("path").and_then(Value::as_str);
        if let Some(path) = path.map(|path| absolute(project.folder, path)) {
            let path = path.display().to_string();
            source.insert("path".to_owned(), Value::String(path));
        }
        let url = source.get("url").and_then(Value::as_str);
        if let Some(url) = url.map(|url| repository_address(project.folder, url)) {
            source.insert("url".to_owned(), Value::String(url));
        }
        absolute_sources.insert(name.clone(), Value::Table(source));
    }
    absolute_sources
}

/// Returns the dependencies of a project whose `[sources]` entry is a folder.
pub fn local_sources(project: Located<'_>) -> Vec<LocalPackage> {
    let deps = strings(project.table, "deps");
    let sources = sources(project, &deps);
    let local = sources.iter().filter_map(|(name, source)| {
        Some(LocalPackage {
            name: name.clone(),
            uuid: deps.get(name)?.clone(),
            folder: source.get("path")?.as_str()?.into(),
        })
    });
    local.collect()
}

/// Returns the string values of the table `key` in a table.
fn strings(table: &Table, key: &str) -> BTreeMap<String, String> {
    let values = table
        .get(key)
        .and_then(Value::as_table)
        .into_iter()
        .flatten();
    let values =
        values.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
    values.collect()
}

/// Joins a path to `folder` and removes `.` and `..`.
fn absolute(folder: &Path, path: &str) -> PathBuf {
    let mut whole = PathBuf::new();
    for part in folder.join(path).components() {
        match part {
            std::path::Component::ParentDir => {
                whole.pop();
            }
            std::path::Component::CurDir => {}
            part => whole.push(part),
        }
    }
    whole
}

/// Returns a repository's address. A path is relative to the file that contains it.
fn repository_address(folder: &Path, url: &str) -> String {
    let is_path = url.starts_with(['.', '/']) && !url.contains("://");
    match is_path {
        true => absolute(folder, url).display().to_string(),
        false => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::JuliaVersion;

    fn table(text: &str) -> Table {
        toml::from_str(text).unwrap()
    }

    fn generation(minor: u64) -> &'static Generation {
        Generation::of(&JuliaVersion::new(1, minor, 0)).unwrap()
    }

    fn resolved(project: &str, manifest: Option<&str>, minor: u64) -> Resolution {
        let (project, manifest) = (table(project), manifest.map(table));
        let folder = Path::new("/work/app");
        let located = |table| Located { table, folder };
        resolution(
            located(&project),
            manifest.as_ref().map(located),
            &[],
            generation(minor),
        )
    }

    const PACKAGE: &str = "name = \"Own\"\nuuid = \"00000000-0000-4000-8000-000000000001\"\n\
        [deps]\nA = \"00000000-0000-4000-8000-00000000000a\"\nB = \"00000000-0000-4000-8000-00000000000b\"\n\
        [weakdeps]\nW = \"00000000-0000-4000-8000-00000000000c\"\nB = \"00000000-0000-4000-8000-00000000000b\"\n\
        [extensions]\nWExt = \"W\"\n\
        [compat]\nA = \"1\"\nW = \"2\"\njulia = \"1.5\"\n\
        [sources]\nA = { path = \"../A\" }\n\
        [workspace]\nprojects = [\"test\"]\n\
        [preferences.A]\nfast = true\n";

    #[test]
    fn preferences_are_merged_as_julia_merges_them() {
        let table = |text: &str| toml::from_str::<Table>(text).unwrap();
        let project = table(
            "[preferences.P]\nspeed = 1\nold = true\nsub = { a = 1, b = 2 }\n\
             [preferences.Elsewhere]\nx = 1\n",
        );
        let local =
            table("[P]\n__clear__ = [\"old\"]\nspeed = 2\ntext = \"a\\nb\"\nsub = { b = 3 }\n");
        let package = PackageRecord {
            name: "P".to_owned(),
            uuid: String::new(),
            version: None,
            tree: None,
            requested: true,
        };
        let found = preferences(&project, &local, &[package]);
        let found: Vec<_> = found
            .iter()
            .map(|found| format!("{}.{} = {}", found.package, found.name, found.value))
            .collect();
        let text = found.join("; ");
        assert!(text.contains("P.speed = 2"), "{text}");
        assert!(text.contains("b = 3") && text.contains("a = 1"), "{text}");
        assert!(
            !text.contains("old") && !text.contains("Elsewhere"),
            "{text}"
        );
        assert!(!text.contains('\n'), "{text}");
    }

    // Its paths are absolute on Unix only.
    #[cfg(unix)]
    #[test]
    fn a_package_is_developed_into_its_environment() {
        let found = resolved(PACKAGE, None, 11);
        insta::assert_snapshot!(found.project, @r#"
        [compat]
        A = "1"
        julia = "1.5"

        [deps]
        A = "00000000-0000-4000-8000-00000000000a"
        Own = "00000000-0000-4000-8000-000000000001"

        [preferences.A]
        fast = true

        [sources.A]
        path = "/work/A"
        "#);
        let names: Vec<_> = found.local.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, ["Own"]);
    }

    #[test]
    fn sources_are_developed_where_pkg_does_not_read_them() {
        let found = resolved(PACKAGE, None, 6);
        assert!(!found.project.contains("sources"), "{}", found.project);
        // Extensions exist since Julia 1.9: before, B is an ordinary dependency.
        assert!(found.project.contains("B = "), "{}", found.project);
        let local: Vec<_> = found
            .local
            .iter()
            .map(|p| (p.name.as_str(), &p.folder))
            .collect();
        let (a, own) = (PathBuf::from("/work/A"), PathBuf::from("/work/app"));
        assert_eq!(local, [("A", &a), ("Own", &own)]);
    }

    /// Pkg 1.12 refuses sources of packages that are not dependencies, and packages that are added
    /// separately become dependencies only when they are added.
    #[test]
    fn a_source_that_pkg_reads_is_not_added_separately() {
        let project = "[deps]\nL = \"l\"\nM = \"m\"\n[sources]\nL = { path = \"../L\" }\n";
        let project = table(project);
        let located = |table| Located {
            table,
            folder: Path::new("/work/app"),
        };
        // The manifest knows L in another folder; a workspace has both packages.
        let manifest = table(MANIFEST);
        let member = |name: &str| LocalPackage {
            name: name.to_owned(),
            uuid: name.to_lowercase(),
            folder: Path::new("/work").join(name),
        };
        let local = [member("L"), member("M")];
        let names = |minor| {
            let generation = Generation::of(&JuliaVersion::new(1, minor, 0)).unwrap();
            let manifest = Some(located(&manifest));
            let found = resolution(located(&project), manifest, &local, generation);
            let names = found.local.into_iter().map(|package| package.name);
            (names.collect::<Vec<_>>(), found.project.contains("sources"))
        };
        assert_eq!(names(10), (vec!["L".to_owned(), "M".to_owned()], false));
        assert_eq!(names(12), (vec!["M".to_owned()], true));
    }

    const MANIFEST: &str = "manifest_format = \"2.0\"\njulia_version = \"1.10.0\"\n\
        [[deps.A]]\nuuid = \"a\"\nversion = \"1.2.3\"\ngit-tree-sha1 = \"aa\"\n\
        [[deps.Dates]]\nuuid = \"d\"\nversion = \"1.11.0\"\n\
        [[deps.L]]\nuuid = \"l\"\npath = \"../../L\"\n\
        [[deps.R]]\nuuid = \"r\"\nversion = \"0.1.0\"\ngit-tree-sha1 = \"bb\"\n\
        repo-url = \"https://git.example/R.jl\"\nrepo-rev = \"main\"\n";

    #[test]
    fn versions_of_an_earlier_manifest_become_pins() {
        let found = resolved("[deps]\nA = \"a\"\n", Some(MANIFEST), 12);
        let pins: Vec<_> = found
            .pins
            .iter()
            .map(|pin| (&*pin.name, &*pin.version))
            .collect();
        // Standard libraries come with Julia.
        assert_eq!(pins, [("A", "1.2.3")]);
        assert_eq!(found.local[0].folder, Path::new("/L"));
        assert_eq!(found.repositories[0].revision.as_deref(), Some("main"));
    }

    // Its paths are absolute on Unix only.
    #[cfg(unix)]
    #[test]
    fn paths_of_a_copied_manifest_mean_the_same() {
        let manifest = table(MANIFEST);
        let folder = Path::new("/work/app");
        let text = with_absolute_paths(Located {
            table: &manifest,
            folder,
        });
        assert!(text.contains("path = \"/L\""), "{text}");
        let moved = table("[[L]]\nuuid = \"l\"\npath = \"/work/L\"\n");
        let text = with_relative_paths(Located {
            table: &moved,
            folder,
        });
        assert!(text.contains("path = \"../L\""), "{text}");
        let old = table("[[L]]\nuuid = \"l\"\npath = \"L\"\n");
        let text = with_absolute_paths(Located {
            table: &old,
            folder,
        });
        assert!(text.contains("path = \"/work/app/L\""), "{text}");
    }

    #[cfg(windows)]
    #[test]
    fn paths_of_a_copied_manifest_mean_the_same_on_drives_and_shares() {
        let relative = |folder: &str, path: &str| {
            let manifest = table(&format!("[[L]]\nuuid = \"l\"\npath = '{path}'\n"));
            let folder = Path::new(folder);
            let located = Located {
                table: &manifest,
                folder,
            };
            let text = with_relative_paths(located);
            let again = table(&with_absolute_paths(Located {
                table: &table(&text),
                folder,
            }));
            let path = |table: &Table| table["L"][0]["path"].as_str().unwrap().to_owned();
            (path(&table(&text)), path(&again))
        };
        for (folder, path, expected, absolute) in [
            (r"C:\work\app", r"C:\work\L", "../L", r"C:\work\L"),
            (r"C:\work\app", r"..\L", "../L", r"C:\work\L"),
            (r"C:\work\app", "../L", "../L", r"C:\work\L"),
            (r"C:\work\app", r"c:\work\app", ".", r"C:\work\app"),
            (r"C:\work\app", r"D:\L", "D:/L", r"D:\L"),
            (r"C:\work\app", r"\\s\x\L", "//s/x/L", r"\\s\x\L"),
            (r"\\s\x\app", r"\\s\x\L", "../L", r"\\s\x\L"),
        ] {
            let (found, again) = relative(folder, path);
            assert_eq!(found, expected, "{folder} {path}");
            // Slashes and backslashes are equal.
            assert_eq!(Path::new(&again), Path::new(absolute), "{folder} {path}");
        }
    }

    #[test]
    fn changes_are_listed() {
        let manifest = |text: &str| Manifest::from_toml("Manifest.toml", text).unwrap();
        let entry = |name: &str, version: &str| {
            format!(
                "[[{name}]]\nuuid = \"00000000-0000-4000-8000-00000000000{}\"\n\
                 version = \"{version}\"\ngit-tree-sha1 = \"{}\"\n",
                name.to_lowercase(),
                "a".repeat(40)
            )
        };
        let before = manifest(&(entry("A", "1.0.0") + &entry("B", "1.0.0") + &entry("C", "1.0.0")));
        let now = manifest(&(entry("A", "1.1.0") + &entry("B", "1.0.0") + &entry("D", "2.0.0")));
        assert_eq!(
            changed_versions(&before, &now),
            ["A 1.0.0 → 1.1.0", "D 2.0.0 (new)", "C (gone)"]
        );
    }

    #[test]
    fn test_dependencies_are_extras_of_the_test_target() {
        let project = table(
            "[deps]\nA = \"a\"\n[extras]\nTest = \"t\"\nPlots = \"p\"\n[targets]\ntest = [\"Test\"]\n\
             [compat]\nTest = \"1\"\n",
        );
        let found = test_target(&project);
        assert_eq!(found.packages.keys().collect::<Vec<_>>(), ["Test"]);
        insta::assert_snapshot!(workload_project(&project, &found), @r#"
        [compat]
        Test = "1"

        [deps]
        A = "a"

        [extras]
        Plots = "p"
        Test = "t"
        "#);
    }
}
