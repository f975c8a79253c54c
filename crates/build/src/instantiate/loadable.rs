//! Checks that a package in a local folder can be loaded, before any Julia starts: its folder exists,
//! contains the file that Julia loads, and belongs to this package.

use std::path::Path;

use sysforge_plan::environment::LocalPackage;
use toml::Value;

use super::InstantiateError;
use super::folder::{missing_entry, project_file, table};

/// Checks that the folder of a package, which `manifest` names, contains the package.
///
/// # Errors
///
/// [`InstantiateError::Developed`] if it does not; also if its project file cannot be read or parsed.
pub fn require_developed(manifest: &str, package: &LocalPackage) -> Result<(), InstantiateError> {
    // Julia also loads a package from a path that is a file.
    if package.folder.is_file() {
        return Ok(());
    }
    let refused = |found: String| InstantiateError::Developed {
        manifest: manifest.to_owned(),
        name: package.name.clone(),
        folder: package.folder.clone(),
        found,
    };
    match std::fs::read_dir(&package.folder).map(|mut entries| entries.next().is_some()) {
        Ok(true) => {}
        Ok(false) => return Err(refused("is empty".to_owned())),
        Err(_) if !package.folder.exists() => return Err(refused("does not exist".to_owned())),
        Err(error) => return Err(super::folder::io("read", &package.folder)(error)),
    }
    let project = project_file(&package.folder).map(|file| table(&file));
    let project = project.transpose()?.unwrap_or_default();
    let text = |key: &str| project.get(key).and_then(Value::as_str);
    let is_other_name = text("name").is_some_and(|name| name != package.name);
    let is_other_uuid = text("uuid").is_some_and(|uuid| !uuid.eq_ignore_ascii_case(&package.uuid));
    if is_other_name || is_other_uuid {
        return Err(refused(format!(
            "has the package `{}` with UUID {}",
            text("name").unwrap_or(&package.name),
            text("uuid").unwrap_or(&package.uuid)
        )));
    }
    match missing_entry(&package.folder, &package.name, &project) {
        Some(entry) => Err(refused(format!("has no {entry}"))),
        None => Ok(()),
    }
}

/// Checks that a project which is the package `name` has the file that Julia loads.
///
/// # Errors
///
/// [`InstantiateError::NoEntry`] if it has not; also if the project file cannot be read or parsed.
pub fn require_entry(project: &Path, name: &str) -> Result<(), InstantiateError> {
    let folder = project.parent().unwrap_or(Path::new("."));
    match missing_entry(folder, name, &table(project)?) {
        Some(entry) => Err(InstantiateError::NoEntry {
            name: name.to_owned(),
            entry,
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use sysforge_plan::{Class, Explain as _};

    use super::*;

    const UUID: &str = "0e0c2a52-8f0f-4a7b-9a2b-6b1f3f6f0001";

    fn project(name: &str, uuid: &str, more: &str) -> String {
        format!("name = {name:?}\nuuid = {uuid:?}\n{more}")
    }

    /// Returns what is wrong with the package `Lib` in a folder with these files.
    fn refused(files: &[(&str, &str)]) -> Option<String> {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = root.path().join("lib").join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let package = LocalPackage {
            name: "Lib".to_owned(),
            uuid: UUID.to_owned(),
            folder: root.path().join("lib"),
        };
        let error = require_developed("Manifest.toml", &package).err()?;
        assert_eq!(error.class(), Class::Usage);
        assert!(error.hints()[0].contains("Pkg.develop"), "{error}");
        let text = error.to_string();
        let (_, found) = text.split_once("lib, which ").unwrap();
        Some(found.to_owned())
    }

    #[test]
    fn a_developed_package_that_cannot_be_loaded_is_refused() {
        const OTHER: &str = "0e0c2a52-8f0f-4a7b-9a2b-6b1f3f6f0002";
        let good = project("Lib", UUID, "");
        let source = ("src/Lib.jl", "module Lib end");
        assert_eq!(refused(&[]).unwrap(), "does not exist");
        let lacks = refused(&[("Project.toml", &good)]).unwrap();
        assert_eq!(lacks, "has no src/Lib.jl");
        let other = refused(&[("Project.toml", &project("Other", UUID, "")), source]).unwrap();
        assert_eq!(other, format!("has the package `Other` with UUID {UUID}"));
        let other = refused(&[("Project.toml", &project("Lib", OTHER, "")), source]).unwrap();
        assert_eq!(other, format!("has the package `Lib` with UUID {OTHER}"));
        let named = project("Lib", UUID, "entryfile = \"Main.jl\"\n");
        let lacks = refused(&[("Project.toml", &named)]).unwrap();
        assert_eq!(lacks, "has no Main.jl");
        assert_eq!(refused(&[("Project.toml", &good), source]), None);
        assert_eq!(refused(&[("Project.toml", &named), ("Main.jl", "")]), None);
        assert_eq!(refused(&[source]), None);
    }

    #[test]
    fn a_developed_package_in_an_empty_folder_or_a_file_is_told_apart() {
        let root = tempfile::tempdir().unwrap();
        let mut package = LocalPackage {
            name: "Lib".to_owned(),
            uuid: UUID.to_owned(),
            folder: root.path().join("lib"),
        };
        std::fs::create_dir(&package.folder).unwrap();
        let error = require_developed("Manifest.toml", &package).unwrap_err();
        assert!(error.to_string().ends_with("which is empty"), "{error}");
        package.folder = root.path().join("Lib.jl");
        std::fs::write(&package.folder, "module Lib end").unwrap();
        require_developed("Manifest.toml", &package).unwrap();
    }

    #[test]
    fn a_project_that_is_a_package_needs_its_source() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("Project.toml");
        std::fs::write(&file, project("Lib", UUID, "")).unwrap();
        let error = require_entry(&file, "Lib").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the project is the package `Lib`, but it has no src/Lib.jl"
        );
        std::fs::create_dir(root.path().join("src")).unwrap();
        std::fs::write(root.path().join("src/Lib.jl"), "module Lib end").unwrap();
        require_entry(&file, "Lib").unwrap();
    }
}
