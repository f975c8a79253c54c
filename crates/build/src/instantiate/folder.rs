//! The folders of environments: the project's own if its manifest can be used, one of the build if
//! versions are resolved, and one for packages that only the workloads need.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sysforge_files::unless_gone;
use sysforge_plan::PathError;
use sysforge_plan::config::WorkloadEnvironment;
use sysforge_plan::environment::{
    self, LocalPackage, Located, Resolution, WorkloadPackages, with_absolute_paths,
};
use sysforge_plan::manifest::Manifest;
use sysforge_plan::plan::Versions;
use sysforge_plan::project::{PREFERENCES_NAMES, PROJECT_NAMES};
use sysforge_plan::toml_error::TomlError;
use toml::{Table, Value};

use super::{InstantiateError, Instantiated, Need, Request};
use crate::context::{Context, PackageEnvironment};

/// The folder of a resolved environment, relative to the build folder.
const RESOLVED: &str = "environment";
/// The folder of the workload environment, relative to the build folder.
const WORKLOAD: &str = "workload-environment";

/// The environment of a build, before its packages are installed.
#[derive(Debug)]
pub(super) struct Folder {
    packages: PackageEnvironment,
    itself: Option<(String, String)>,
    direct: Vec<(String, String)>,
    /// What Pkg must resolve.
    resolution: Option<Resolution>,
    /// Whether the environment belongs to the build.
    resolved: bool,
    /// The manifest, if it is known before Pkg runs.
    manifest: Option<Manifest>,
    manifest_file: Option<PathBuf>,
    workload: Option<Workload>,
}

/// The environment of the workloads.
#[derive(Debug)]
pub(super) struct Workload {
    /// The initial manifest.
    pub(super) manifest: PathBuf,
    /// Packages in folders.
    pub(super) local: Vec<LocalPackage>,
    /// The packages to add.
    pub(super) packages: BTreeMap<String, Option<String>>,
}

impl Folder {
    /// Reads the project and writes the folders for Pkg.
    pub(super) fn new(context: &Context, request: &Request<'_>) -> Result<Self, InstantiateError> {
        let project_folder = request.project.parent().unwrap_or(Path::new("."));
        let project = table(request.project)?;
        let manifest_table = request.manifest.as_deref().map(table).transpose()?;
        let text = |key: &str| project.get(key).and_then(Value::as_str).map(str::to_owned);
        let itself = text("name").zip(text("uuid"));
        let located = Located {
            table: &project,
            folder: project_folder,
        };
        let deps = environment::dependencies(&project).packages.into_iter();
        let deps = deps.filter_map(|(name, uuid)| Some((name, uuid?)));
        let direct = deps.chain(itself.clone()).collect();
        let mut folder = Self {
            packages: PackageEnvironment {
                project: project_folder.to_owned(),
                workload: None,
            },
            itself,
            direct,
            resolution: None,
            resolved: false,
            manifest: request.manifest.as_deref().map(manifest).transpose()?,
            manifest_file: request.manifest.clone(),
            workload: None,
        };
        if let Versions::Resolved { .. } = request.versions {
            let destination = context.work.path(RESOLVED);
            let build_folder = context.work.root();
            let earlier = Instantiated::recorded(build_folder, request, Need::Versions);
            folder.resolved = true;
            folder.packages.project.clone_from(&destination);
            folder.manifest_file = Some(destination.join("Manifest.toml"));
            match earlier {
                // Only packages are missing, so the resolved versions are kept.
                Some(earlier) if earlier.resolved => {
                    folder.manifest = earlier.manifest.as_deref().map(manifest).transpose()?;
                }
                _ => {
                    folder.manifest = None;
                    let manifest = manifest_table.as_ref().zip(request.manifest.as_ref());
                    let manifest = manifest.map(|(table, file)| Located {
                        table,
                        folder: file.parent().unwrap_or(Path::new(".")),
                    });
                    let sources = match context.generation.sources {
                        true => Sources::LeftToPkg,
                        false => Sources::All,
                    };
                    let local = local_packages(request.project, sources)?;
                    let found =
                        environment::resolution(located, manifest, &local, context.generation);
                    write_resolved(&destination, &found, project_folder)?;
                    folder.resolution = Some(found);
                }
            }
        }
        if let Some(wanted) = request.workload_environment {
            folder.workload = Some(folder.make_workload(context, request, located, wanted)?);
            folder.packages.workload = Some(context.work.path(WORKLOAD));
        }
        Ok(folder)
    }

    /// Returns whether there is anything for Pkg to install or Julia to precompile. Standard
    /// libraries are always installed.
    pub(super) fn needs_julia(&self) -> bool {
        let entries = self.manifest.iter().flat_map(|m| m.packages.values());
        let mut entries = entries.flatten();
        self.resolved
            || self.itself.is_some()
            || self.workload.is_some()
            || entries.any(|entry| entry.tree.is_some() || entry.path.is_some())
    }

    pub(super) fn packages(&self) -> PackageEnvironment {
        self.packages.clone()
    }

    pub(super) fn itself(&self) -> Option<&(String, String)> {
        self.itself.as_ref()
    }

    pub(super) fn direct(&self) -> &[(String, String)] {
        &self.direct
    }

    pub(super) fn resolution(&self) -> Option<&Resolution> {
        self.resolution.as_ref()
    }

    pub(super) fn is_resolved(&self) -> bool {
        self.resolved
    }

    pub(super) fn manifest(&self) -> Option<PathBuf> {
        self.manifest_file.clone()
    }

    pub(super) fn used_manifest(&self) -> Option<&Manifest> {
        self.manifest.as_ref()
    }

    pub(super) fn workload(&self) -> Option<(&Path, &Workload)> {
        self.packages
            .workload
            .as_deref()
            .zip(self.workload.as_ref())
    }

    fn make_workload(
        &self,
        context: &Context,
        request: &Request<'_>,
        project: Located<'_>,
        wanted: &WorkloadEnvironment,
    ) -> Result<Workload, InstantiateError> {
        let destination = context.work.path(WORKLOAD);
        let mut local = Vec::new();
        let mut added = match wanted {
            WorkloadEnvironment::Packages(names) => {
                let known = environment::test_target(project.table).packages;
                let extras = extras(project.table);
                let packages = names.iter().map(|name| {
                    let uuid = known.get(name).cloned().flatten();
                    (name.clone(), uuid.or_else(|| extras.get(name).cloned()))
                });
                WorkloadPackages {
                    packages: packages.collect(),
                    ..WorkloadPackages::default()
                }
            }
            WorkloadEnvironment::Folder(name) => {
                let folder = project.folder.join(name);
                match project_file(&folder) {
                    Some(file) => {
                        let table = table(&file)?;
                        let located = Located {
                            table: &table,
                            folder: &folder,
                        };
                        local = environment::local_sources(located);
                        environment::dependencies(&table)
                    }
                    None if wanted.is_test() => environment::test_target(project.table),
                    None => return Err(lacks_project(name, &folder)),
                }
            }
        };
        if added.packages.is_empty() {
            return Err(InstantiateError::NoWorkloadEnvironment {
                name: match wanted {
                    WorkloadEnvironment::Folder(name) => name.clone(),
                    WorkloadEnvironment::Packages(_) => "[]".to_owned(),
                },
                lacks: "it names no packages".to_owned(),
            });
        }
        let own = self.direct.iter().map(|(name, _)| name);
        for name in own {
            added.packages.remove(name);
            local.retain(|package| package.name != *name);
        }
        for package in &local {
            added.packages.remove(&package.name);
        }
        let below = match &self.resolution {
            Some(resolution) => toml::from_str(&resolution.project).unwrap_or_default(),
            None if self.resolved => table(&self.packages.project.join("Project.toml"))?,
            None => project.table.clone(),
        };
        let _ = std::fs::remove_dir_all(&destination);
        let text = environment::workload_project(&below, &added);
        write(&destination.join("Project.toml"), &text)?;
        copy_preferences(project.folder, &destination)?;
        let manifest = match (self.resolved, request.manifest.as_deref()) {
            (false, Some(file)) => {
                let copy = context.work.path("workload-manifest.toml");
                let table = table(file)?;
                let folder = file.parent().unwrap_or(Path::new("."));
                let located = Located {
                    table: &table,
                    folder,
                };
                write(&copy, &with_absolute_paths(located))?;
                copy
            }
            (false, None) => destination.join("Manifest.toml"),
            (true, _) => self.packages.project.join("Manifest.toml"),
        };
        Ok(Workload {
            manifest,
            local,
            packages: added.packages,
        })
    }
}

fn extras(project: &Table) -> BTreeMap<String, String> {
    let extras = project.get("extras").and_then(Value::as_table);
    let extras = extras.into_iter().flatten();
    extras
        .filter_map(|(name, uuid)| Some((name.clone(), uuid.as_str()?.to_owned())))
        .collect()
}

/// Writes the folder of an environment to be resolved.
fn write_resolved(
    destination: &Path,
    resolution: &Resolution,
    project: &Path,
) -> Result<(), InstantiateError> {
    // An earlier resolution has no influence.
    unless_gone(std::fs::remove_dir_all(destination)).map_err(io("remove", destination))?;
    for name in ["Project.toml", "Project.final.toml"] {
        write(&destination.join(name), &resolution.project)?;
    }
    copy_preferences(project, destination)
}

/// Copies the preferences, which Julia looks up in the folder of the environment's project file.
fn copy_preferences(from: &Path, to: &Path) -> Result<(), InstantiateError> {
    for name in PREFERENCES_NAMES {
        let (from, to) = (from.join(name), to.join(name));
        if from.is_file() {
            std::fs::copy(&from, &to).map_err(io("write", &to))?;
        }
    }
    Ok(())
}

/// Which local packages are searched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sources {
    /// Including those in `[sources]`.
    All,
    /// Without those, because Pkg reads `[sources]`.
    LeftToPkg,
}

/// Returns the local packages that a project needs but its manifest may not name: members of its
/// workspace, and packages in their `[sources]`.
pub(super) fn local_packages(
    file: &Path,
    wanted: Sources,
) -> Result<Vec<LocalPackage>, InstantiateError> {
    let project = Located {
        table: &table(file)?,
        folder: file.parent().unwrap_or(Path::new(".")),
    };
    let workspace = workspace_packages(project.folder);
    let mut found: Vec<LocalPackage> = Vec::new();
    let mut tables = vec![(project.table.clone(), project.folder.to_owned())];
    while let Some((table, folder)) = tables.pop() {
        let located = Located {
            table: &table,
            folder: &folder,
        };
        let sources = environment::local_sources(located);
        let deps = environment::dependencies(&table).packages;
        let members = workspace.iter().filter(|member| {
            let uuid = deps.get(&member.name).and_then(Option::as_ref);
            uuid == Some(&member.uuid)
        });
        // If Pkg reads `[sources]`, it finds those packages.
        let sources = sources.iter().filter(|_| wanted == Sources::All);
        for package in members.chain(sources) {
            let is_known = found.iter().any(|known| known.name == package.name);
            if is_known || package.folder == project.folder {
                continue;
            }
            tables.push((package_at(package)?, package.folder.clone()));
            found.push(package.clone());
        }
    }
    Ok(found)
}

/// Reads the project file of a package in a folder, which must be that of this package.
fn package_at(package: &LocalPackage) -> Result<Table, InstantiateError> {
    let refused = |found: String| InstantiateError::Source {
        name: package.name.clone(),
        folder: package.folder.clone(),
        found,
    };
    let Some(file) = project_file(&package.folder) else {
        let found = match package.folder.is_dir() {
            true => "has no Project.toml",
            false => "does not exist",
        };
        return Err(refused(found.to_owned()));
    };
    let table = table(&file)?;
    let text = |key: &str| table.get(key).and_then(Value::as_str).unwrap_or_default();
    if text("name") != package.name || !text("uuid").eq_ignore_ascii_case(&package.uuid) {
        let found = match (text("name"), text("uuid")) {
            ("", _) | (_, "") => {
                "is no package: its project file lacks `name` or `uuid`".to_owned()
            }
            (name, uuid) => format!("has the package `{name}` with UUID {uuid}"),
        };
        return Err(refused(found));
    }
    Ok(table)
}

/// Returns whether resolving the versions of a project may need a registry. It does not if every
/// package is a standard library or in a folder.
pub(super) fn may_need_registry(file: &Path) -> bool {
    let Ok(local) = local_packages(file, Sources::All) else {
        return true;
    };
    let files = local.iter().map(|package| project_file(&package.folder));
    let tables = files
        .chain([Some(file.to_owned())])
        .map(|file| table(&file?).ok());
    let mut tables = tables.map(|table| table.map(|table| environment::dependencies(&table)));
    let is_at_hand = |uuid: &String| {
        environment::is_standard_library(uuid) || local.iter().any(|package| package.uuid == *uuid)
    };
    tables.any(|found| {
        let Some(found) = found else { return true };
        !found.packages.values().flatten().all(is_at_hand)
    })
}

/// Returns the packages of the workspace that contains a project.
fn workspace_packages(project: &Path) -> Vec<LocalPackage> {
    let root = project.ancestors().find_map(|folder| {
        let table = table(&project_file(folder)?).ok()?;
        let projects = table.get("workspace")?.get("projects")?.as_array()?.clone();
        let members = projects.iter().filter_map(Value::as_str);
        let members: Vec<PathBuf> = members.map(|member| folder.join(member)).collect();
        let same = |member: &PathBuf| {
            sysforge_files::canonical(member)
                .ok()
                .is_some_and(|m| Some(m) == sysforge_files::canonical(project).ok())
        };
        let belongs = folder == project || members.iter().any(same);
        belongs.then(|| [vec![folder.to_owned()], members].concat())
    });
    let packages = root.into_iter().flatten().filter_map(|folder| {
        let table = table(&project_file(&folder)?).ok()?;
        Some(LocalPackage {
            name: table.get("name")?.as_str()?.to_owned(),
            uuid: table.get("uuid")?.as_str()?.to_owned(),
            folder: sysforge_files::canonical_or_given(&folder),
        })
    });
    packages.collect()
}

pub(super) fn project_file(folder: &Path) -> Option<PathBuf> {
    let mut files = PROJECT_NAMES.iter().map(|name| folder.join(name));
    files.find(|file| file.is_file())
}

pub(super) fn table(file: &Path) -> Result<Table, InstantiateError> {
    let text = read(file)?;
    let located = |error| TomlError::new(&file.display().to_string(), &text, &error);
    Ok(toml::from_str(&text).map_err(located)?)
}

/// Reads a file in which bytes may be in an 8-bit encoding, which Julia accepts.
fn read(file: &Path) -> Result<String, InstantiateError> {
    let bytes = sysforge_files::read_bytes(file).map_err(io("read", file))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn manifest(file: &Path) -> Result<Manifest, InstantiateError> {
    let text = read(file)?;
    Ok(Manifest::from_toml(&file.display().to_string(), &text)?)
}

fn write(path: &Path, text: &str) -> Result<(), InstantiateError> {
    if let Some(folder) = path.parent() {
        sysforge_files::create_folders(folder).map_err(io("create", folder))?;
    }
    sysforge_files::write_whole(path, text.as_bytes()).map_err(io("write", path))
}

/// Adds the attempted action to an I/O error.
pub(super) fn io(
    action: &'static str,
    path: &Path,
) -> impl FnOnce(std::io::Error) -> InstantiateError {
    PathError::wrap(action, path, InstantiateError::Io)
}

/// Checks that the packages in `[sources]` of a project, and in those of such packages, are where
/// they should be.
///
/// # Errors
///
/// [`InstantiateError::Source`] if a folder does not exist or does not contain the package; also if
/// a project file cannot be read or parsed.
pub fn require_sources(project: &Path) -> Result<(), InstantiateError> {
    for package in local_packages(project, Sources::All)? {
        let project = package_at(&package)?;
        if let Some(entry) = missing_entry(&package.folder, &package.name, &project) {
            return Err(InstantiateError::Source {
                name: package.name,
                folder: package.folder,
                found: format!("has no {entry}"),
            });
        }
    }
    Ok(())
}

/// Checks that the folder of a workload environment has a project file.
///
/// # Errors
///
/// [`InstantiateError::NoWorkloadEnvironment`] if it has none.
pub fn require_environment(name: &str, folder: &Path) -> Result<(), InstantiateError> {
    match project_file(folder) {
        Some(_) => Ok(()),
        None => Err(lacks_project(name, folder)),
    }
}

fn lacks_project(name: &str, folder: &Path) -> InstantiateError {
    InstantiateError::NoWorkloadEnvironment {
        name: name.to_owned(),
        lacks: format!("there is no Project.toml in {}", folder.display()),
    }
}

/// Returns the file that Julia loads for a package, relative to its folder, if it does not exist. Which keys
/// of the project file name it depends on the version of Julia, so any of them suffices.
pub(super) fn missing_entry(folder: &Path, name: &str, project: &Table) -> Option<String> {
    let usual = format!("src/{name}.jl");
    let text = |key: &str| project.get(key).and_then(Value::as_str);
    let named = text("entryfile").or_else(|| text("path"));
    let files: Vec<PathBuf> = named
        .into_iter()
        .flat_map(|named| [folder.join(named), folder.join(named).join(&usual)])
        .chain([folder.join(&usual)])
        .collect();
    let exists = files.iter().any(|file| file.is_file());
    (!exists).then(|| named.unwrap_or(&usual).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIB: &str = "0e0c2a52-8f0f-4a7b-9a2b-6b1f3f6f0001";
    const TOOLS: &str = "0e0c2a52-8f0f-4a7b-9a2b-6b1f3f6f0002";

    /// Creates a folder with these project files, each with its folder.
    fn workspace(projects: &[(&str, String)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (folder, text) in projects {
            let folder = root.path().join(folder);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("Project.toml"), text).unwrap();
        }
        root
    }

    fn package(name: &str, uuid: &str, more: &str) -> String {
        format!("name = {name:?}\nuuid = {uuid:?}\nversion = \"0.1.0\"\n{more}")
    }

    fn names(root: &tempfile::TempDir, project: &str, wanted: Sources) -> Vec<String> {
        let file = root.path().join(project).join("Project.toml");
        let found = local_packages(&file, wanted).unwrap().into_iter();
        let name = |package: LocalPackage| {
            let folder = sysforge_files::canonical(&package.folder).unwrap();
            let root = sysforge_files::canonical(root.path()).unwrap();
            let below = folder.strip_prefix(root).unwrap();
            format!("{} in {}", package.name, below.display())
        };
        let mut names: Vec<_> = found.map(name).collect();
        names.sort();
        names
    }

    #[test]
    fn members_of_a_workspace_and_what_they_need_in_turn_are_developed() {
        let app = format!("[deps]\nLib = {LIB:?}\n");
        let lib = package("Lib", LIB, &format!("[deps]\nTools = {TOOLS:?}\n"));
        let root = workspace(&[
            (
                ".",
                "[workspace]\nprojects = [\"app\", \"lib\", \"tools\", \"other\"]\n".to_owned(),
            ),
            ("app", app),
            ("lib", lib),
            ("tools", package("Tools", TOOLS, "")),
            // A member that is not a dependency of the project.
            (
                "other",
                package("Other", "0e0c2a52-8f0f-4a7b-9a2b-6b1f3f6f0003", ""),
            ),
            // A folder that is not a member.
            ("else", package("Lib", LIB, "")),
        ]);
        let expected = ["Lib in lib", "Tools in tools"];
        for wanted in [Sources::All, Sources::LeftToPkg] {
            assert_eq!(names(&root, "app", wanted), expected);
        }
    }

    #[test]
    fn standard_libraries_and_packages_in_folders_need_no_registry() {
        const DATES: &str = "ade2ca70-3891-5945-98fb-dc099432e06a";
        let lib = package("Lib", LIB, &format!("[deps]\nDates = {DATES:?}\n"));
        let needs = |deps: &str, lib: &str| {
            let app = format!("[deps]\nDates = {DATES:?}\n{deps}");
            let root = workspace(&[(".", app), ("lib", lib.to_owned())]);
            may_need_registry(&root.path().join("Project.toml"))
        };
        let local = format!("Lib = {LIB:?}\n[sources]\nLib = {{ path = \"lib\" }}\n");
        assert!(!needs("", &lib));
        assert!(!needs(&local, &lib));
        assert!(needs(&format!("Lib = {LIB:?}\n"), &lib));
        let registered = format!("{lib}Tools = {TOOLS:?}\n");
        assert!(needs(&local, &registered));
        let url = format!("Lib = {LIB:?}\n[sources]\nLib = {{ url = \"https://x/Lib.jl\" }}\n");
        assert!(needs(&url, &lib));
        // What is not usable is an error of its own.
        let broken = "[deps\n";
        assert!(needs(&local, broken));
    }

    #[test]
    fn a_member_with_the_name_but_another_uuid_is_another_package() {
        let root = workspace(&[
            (
                ".",
                "[workspace]\nprojects = [\"app\", \"lib\"]\n".to_owned(),
            ),
            ("app", format!("[deps]\nLib = {TOOLS:?}\n")),
            ("lib", package("Lib", LIB, "")),
        ]);
        assert_eq!(names(&root, "app", Sources::All), Vec::<String>::new());
    }

    #[test]
    fn a_source_that_is_not_the_package_is_refused() {
        let app = format!("[deps]\nLib = {LIB:?}\n[sources]\nLib = {{ path = \"lib\" }}\n");
        let refused = |project: Option<String>| {
            let root = workspace(&[(".", app.clone())]);
            if let Some(text) = project {
                std::fs::create_dir(root.path().join("lib")).unwrap();
                std::fs::write(root.path().join("lib/Project.toml"), text).unwrap();
            }
            let file = root.path().join("Project.toml");
            let error = local_packages(&file, Sources::All).unwrap_err().to_string();
            let (_, found) = error.split_once("lib, which ").unwrap();
            found.to_owned()
        };
        assert_eq!(refused(None), "does not exist");
        let lacks = "is no package: its project file lacks `name` or `uuid`";
        assert_eq!(refused(Some(String::new())), lacks);
        let other = refused(Some(package("Other", LIB, "")));
        assert_eq!(other, format!("has the package `Other` with UUID {LIB}"));
        let other = refused(Some(package("Lib", TOOLS, "")));
        assert_eq!(other, format!("has the package `Lib` with UUID {TOOLS}"));
    }

    #[test]
    fn a_source_without_the_file_that_julia_loads_is_refused() {
        let app = format!("[deps]\nLib = {LIB:?}\n[sources]\nLib = {{ path = \"lib\" }}\n");
        let root = workspace(&[(".", app), ("lib", package("Lib", LIB, ""))]);
        let file = root.path().join("Project.toml");
        let error = require_sources(&file).unwrap_err().to_string();
        assert!(error.ends_with("lib, which has no src/Lib.jl"), "{error}");
        std::fs::create_dir(root.path().join("lib/src")).unwrap();
        std::fs::write(root.path().join("lib/src/Lib.jl"), "module Lib end").unwrap();
        require_sources(&file).unwrap();
    }

    #[test]
    fn sources_of_sources_are_developed_where_pkg_does_not_read_them() {
        let app = format!("[deps]\nLib = {LIB:?}\n[sources]\nLib = {{ path = \"../lib\" }}\n");
        let lib =
            format!("[deps]\nTools = {TOOLS:?}\n[sources]\nTools = {{ path = \"../tools\" }}\n");
        let root = workspace(&[
            ("app", app),
            ("lib", package("Lib", LIB, &lib)),
            ("tools", package("Tools", TOOLS, "")),
        ]);
        let expected = ["Lib in lib", "Tools in tools"];
        assert_eq!(names(&root, "app", Sources::All), expected);
        assert_eq!(
            names(&root, "app", Sources::LeftToPkg),
            Vec::<String>::new()
        );
    }
}
