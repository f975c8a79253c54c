//! The environment shipped with an image: the project file that makes its packages loadable by
//! name, the script that warns of other versions in a project, and the comparison of versions.
//!
//! Julia finds a package in an image by name only if a project on `LOAD_PATH` lists it. The
//! environment is appended to that path, so that it never hides the user's packages.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::manifest::Manifest;
use crate::project::Project;
use crate::receipt::PackageRecord;
use crate::text::{PackageName, PlainVersion, Rule as _, Uuid};

/// The file name of the environment's project.
pub const PROJECT: &str = "Project.toml";

/// The file name of the script that Julia loads at start-up.
pub const START_SCRIPT: &str = "start.jl";

/// The end of the second line of a launcher that `sysforge install` wrote.
pub const LAUNCHER_MARK: &str = "; written by `sysforge install`.";

/// A package whose version differs between an image and a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The package.
    pub name: String,
    /// Its version in the image.
    pub image: String,
    /// Its version in the project.
    pub project: String,
}

/// Returns the text of the project file, with every package of the image as a dependency. Where two
/// packages share a name, the requested one is listed.
pub fn project(packages: &[PackageRecord]) -> String {
    let mut deps: BTreeMap<&str, &PackageRecord> = BTreeMap::new();
    for package in packages {
        let is_valid =
            PackageName::check(&package.name).is_ok() && Uuid::check(&package.uuid).is_ok();
        let known = deps.get(package.name.as_str());
        if is_valid && known.is_none_or(|known| package.requested && !known.requested) {
            deps.insert(&package.name, package);
        }
    }
    let mut text = String::from(
        "# The packages of the sysimage, for the end of JULIA_LOAD_PATH; written by Sysforge.\n\
         [deps]\n",
    );
    for (name, package) in deps {
        // An unquoted key may contain only ASCII letters; the line-based reader of old Julias
        // requires the same.
        let key = match name.is_ascii() {
            true => name.to_owned(),
            false => format!("\"{name}\""),
        };
        let _ = writeln!(text, "{key} = \"{}\"", package.uuid);
    }
    text
}

/// Returns the packages whose versions can differ from a project's: those with their own source.
/// The versions of standard libraries follow from Julia's.
fn frozen(packages: &[PackageRecord]) -> impl Iterator<Item = (&PackageRecord, &str)> {
    packages.iter().filter_map(|package| {
        let version = package.version.as_deref()?;
        let has_source = package.tree.is_some() || package.requested;
        let is_valid = PackageName::check(&package.name).is_ok()
            && Uuid::check(&package.uuid).is_ok()
            && PlainVersion::check(version).is_ok();
        (has_source && is_valid).then_some((package, version))
    })
}

/// Returns the packages whose versions differ between the image and a project.
pub fn conflicts(
    packages: &[PackageRecord],
    project: &Project,
    manifest: Option<&Manifest>,
) -> Vec<Conflict> {
    let conflict = |(package, image): (&PackageRecord, &str)| {
        let is_itself = project.uuid.as_ref() == Some(&package.uuid);
        let theirs = match is_itself {
            true => project.version.clone(),
            false => manifest
                .and_then(|manifest| manifest.entry(&package.name, Some(&package.uuid)))
                .and_then(|entry| entry.version.clone()),
        }?;
        (theirs != image).then(|| Conflict {
            name: package.name.clone(),
            image: image.to_owned(),
            project: theirs,
        })
    };
    frozen(packages).filter_map(conflict).collect()
}

/// Returns the script that Julia loads at start-up (`--load`). It appends its own folder, which is
/// the environment, to `LOAD_PATH` if it is not there, and prints a warning if the active project
/// has another version of a package in the image.
///
/// If nothing differs, the script runs only calls of functions that Julia has compiled, and no
/// loop, so that Julia interprets it: it takes a few milliseconds.
pub fn start_script(packages: &[PackageRecord]) -> String {
    let mut text = String::from(
        "# Loaded when Julia starts with the sysimage; written by Sysforge.\n\
         @__DIR__() in LOAD_PATH || push!(LOAD_PATH, @__DIR__)\n",
    );
    let frozen: Vec<_> = frozen(packages).collect();
    if frozen.is_empty() {
        return text;
    }
    text.push_str(
        "let project = Base.JLOptions().worker == 0 ? Base.active_project() : nothing,\n    \
         files = project === nothing || !isfile(project) ? (nothing, nothing) :\n        \
         (project, Base.project_file_manifest_path(project)),\n    \
         own = files[1] === nothing ? \"\" : replace(read(files[1], String), '\\r' => \"\"),\n    \
         all = files[2] === nothing || !isfile(files[2]) ? own :\n        \
         string(own, '\\n', replace(read(files[2], String), '\\r' => \"\"))\n",
    );
    for (package, version) in frozen {
        let PackageRecord { name, uuid, .. } = package;
        let _ = write!(
            text,
            "    if occursin(\"uuid = \\\"{uuid}\\\"\", all) &&\n       \
             !occursin(\"uuid = \\\"{uuid}\\\"\\nversion = \\\"{version}\\\"\", all)\n        \
             other = match(r\"^uuid = \\\"{uuid}\\\"\"m, own) === nothing ?\n            \
             match(r\"^uuid = \\\"{uuid}\\\"\\n(?:(?!uuid|\\[).*\\n)*?version = \\\"(.*)\\\"\"m, all) :\n            \
             match(r\"^version = \\\"(.*)\\\"\"m, own)\n        \
             other === nothing || other[1] == \"{version}\" || println(stderr,\n            \
             \"warning: {name} is version {version} in the sysimage, which Julia uses, but \", other[1], \" in \", project)\n    \
             end\n"
        );
    }
    text.push_str("end\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, number: u8, version: Option<&str>, tree: bool) -> PackageRecord {
        PackageRecord {
            name: name.to_owned(),
            uuid: format!("8dfed614-0000-4000-8000-0000000000{number:02x}"),
            version: version.map(str::to_owned),
            tree: tree.then(|| "0123456789012345678901234567890123456789".to_owned()),
            requested: false,
        }
    }

    #[test]
    fn every_package_of_the_image_can_be_named() {
        let mut twin = package("Twin", 3, Some("1.0.0"), true);
        twin.requested = true;
        let packages = [
            package("Tides", 1, Some("1.0.0"), true),
            package("Twin", 2, Some("2.0.0"), true),
            twin,
            package("Dates", 4, None, false),
        ];
        insta::assert_snapshot!(project(&packages), @r#"
        # The packages of the sysimage, for the end of JULIA_LOAD_PATH; written by Sysforge.
        [deps]
        Dates = "8dfed614-0000-4000-8000-000000000004"
        Tides = "8dfed614-0000-4000-8000-000000000001"
        Twin = "8dfed614-0000-4000-8000-000000000003"
        "#);
    }

    #[test]
    fn only_packages_with_a_source_of_their_own_can_disagree() {
        let packages = [
            package("Tides", 1, Some("1.0.0"), true),
            package("Same", 2, Some("1.0.0"), true),
            package("Library", 3, Some("1.0.0"), false),
            package("Absent", 4, Some("1.0.0"), true),
        ];
        let entry = |name: &str, number, version: &str| {
            let uuid = package(name, number, None, true).uuid;
            format!("[[{name}]]\nuuid = \"{uuid}\"\nversion = \"{version}\"\n")
        };
        let text = entry("Tides", 1, "1.1.0") + &entry("Same", 2, "1.0.0");
        let text = text + &entry("Library", 3, "1.2.0");
        let manifest = Manifest::from_toml("Manifest.toml", &text).unwrap();
        let project = Project::from_toml("Project.toml", "").unwrap();
        let expected = Conflict {
            name: "Tides".to_owned(),
            image: "1.0.0".to_owned(),
            project: "1.1.0".to_owned(),
        };
        assert_eq!(
            conflicts(&packages, &project, Some(&manifest)),
            std::slice::from_ref(&expected)
        );
        // A project does not appear in its own manifest.
        let itself = format!(
            "name = \"Tides\"\nuuid = \"{}\"\nversion = \"1.1.0\"\n",
            packages[0].uuid
        );
        let project = Project::from_toml("Project.toml", &itself).unwrap();
        assert_eq!(conflicts(&packages, &project, None), [expected]);
    }

    #[test]
    fn nothing_that_is_no_name_version_or_uuid_reaches_a_file() {
        let hostile = PackageRecord {
            name: "A\"; run(`id`) #".to_owned(),
            ..package("A", 1, Some("1.0.0"), true)
        };
        let version = PackageRecord {
            version: Some("1\"; run(`id`) #".to_owned()),
            ..package("B", 2, None, true)
        };
        let packages = [hostile, version];
        assert!(!project(&packages).contains("run("));
        assert!(!start_script(&packages).contains("run("));
    }
}
