//! What a Julia project says of itself: `Project.toml` and `Manifest.toml` (formats 1 and 2).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::Deserialize;

use crate::receipt::PackageRecord;
use crate::toml_error::TomlError;
use crate::version::JuliaVersion;

/// File names of a project, in the order in which Julia looks for them.
pub const PROJECT_NAMES: [&str; 2] = ["JuliaProject.toml", "Project.toml"];

/// File names of a manifest beside a project file, for this Julia, in Julia's order. The versioned
/// names exist since Julia 1.10.8 (Pkg's manual, "Different Manifests for Different Julia
/// versions").
#[must_use]
pub fn manifest_names(julia: Option<&JuliaVersion>) -> Vec<String> {
    let versioned = julia
        .filter(|version| **version >= JuliaVersion::new(1, 10, 8))
        .map(|version| format!("-v{}.{}", version.major(), version.minor()));
    let versioned = versioned.iter().flat_map(|v| {
        [
            format!("JuliaManifest{v}.toml"),
            format!("Manifest{v}.toml"),
        ]
    });
    versioned
        .chain(["JuliaManifest.toml".to_owned(), "Manifest.toml".to_owned()])
        .collect()
}

/// The manifest for the newest Julia among these names of files, of those that are named for a
/// Julia: what says most about the Julia that a project without a plain manifest is for.
#[must_use]
pub fn newest_versioned(names: impl IntoIterator<Item = String>) -> Option<String> {
    let version = |name: &str| {
        let plain = name.strip_prefix("Julia").unwrap_or(name);
        let numbers = plain.strip_prefix("Manifest-v")?.strip_suffix(".toml")?;
        let (major, minor) = numbers.split_once('.')?;
        let pair: (u64, u64) = (major.parse().ok()?, minor.parse().ok()?);
        // For the same Julia, the longer name counts.
        Some((pair, name.len()))
    };
    names
        .into_iter()
        .filter_map(|name| Some((version(&name)?, name)))
        .max()
        .map(|(_, name)| name)
}

/// A `Project.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Project {
    /// The package's name, if the project is a package.
    pub name: Option<String>,
    /// Its UUID.
    pub uuid: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// Direct dependencies: name to UUID.
    #[serde(default)]
    pub deps: BTreeMap<String, String>,
    /// Version bounds, among them that of `julia`.
    #[serde(default)]
    pub compat: BTreeMap<String, String>,
}

impl Project {
    /// Reads a `Project.toml`.
    ///
    /// # Errors
    ///
    /// If it is not TOML or not of a project's shape; the error points at the place.
    pub fn from_toml(file: &str, text: &str) -> Result<Self, TomlError> {
        toml::from_str(text).map_err(|error| TomlError::new(file, text, &error))
    }

    /// Whether the project is a package that can be loaded by name.
    #[must_use]
    pub fn is_package(&self) -> bool {
        self.name.is_some() && self.uuid.is_some()
    }

    /// Whether the project has anything that must be listed in a manifest.
    #[must_use]
    pub fn needs_manifest(&self) -> bool {
        !self.deps.is_empty()
    }
}

/// A `Manifest.toml`: every package of the project, direct or not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manifest {
    /// The Julia that resolved it (format 2 only).
    pub julia_version: Option<JuliaVersion>,
    /// Entries by name; more than one where packages share a name.
    pub packages: BTreeMap<String, Vec<ManifestEntry>>,
}

/// One package of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ManifestEntry {
    /// The UUID.
    pub uuid: String,
    /// The version; standard libraries may have none.
    pub version: Option<String>,
    /// The digest of the package's source tree.
    #[serde(rename = "git-tree-sha1")]
    pub tree: Option<String>,
    /// Where the source lies, for packages under development.
    pub path: Option<String>,
    /// What it depends on.
    #[serde(default)]
    pub deps: Deps,
}

/// Dependencies in a manifest: names alone where they are unambiguous, else names and UUIDs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Deps {
    /// Names alone.
    Names(Vec<String>),
    /// Names and UUIDs.
    Uuids(BTreeMap<String, String>),
}

impl Default for Deps {
    fn default() -> Self {
        Self::Names(Vec::new())
    }
}

impl Deps {
    fn iter(&self) -> Box<dyn Iterator<Item = (&str, Option<&str>)> + '_> {
        match self {
            Self::Names(names) => Box::new(names.iter().map(|name| (name.as_str(), None))),
            Self::Uuids(map) => Box::new(
                map.iter()
                    .map(|(name, uuid)| (name.as_str(), Some(uuid.as_str()))),
            ),
        }
    }
}

#[derive(Deserialize)]
struct Format2 {
    julia_version: Option<JuliaVersion>,
    #[serde(default)]
    deps: BTreeMap<String, Vec<ManifestEntry>>,
}

impl Manifest {
    /// Reads a manifest of either format.
    ///
    /// # Errors
    ///
    /// If it is not TOML or not of a manifest's shape; the error points at the place.
    pub fn from_toml(file: &str, text: &str) -> Result<Self, TomlError> {
        let located = |error: toml::de::Error| TomlError::new(file, text, &error);
        let table: toml::Table = toml::from_str(text).map_err(located)?;
        if table.contains_key("manifest_format") {
            let Format2 {
                julia_version,
                deps,
            } = toml::from_str(text).map_err(located)?;
            return Ok(Self {
                julia_version,
                packages: deps,
            });
        }
        let packages = toml::from_str(text).map_err(located)?;
        Ok(Self {
            julia_version: None,
            packages,
        })
    }

    /// The entry of a package, by UUID where one is known.
    #[must_use]
    pub fn entry(&self, name: &str, uuid: Option<&str>) -> Option<&ManifestEntry> {
        let entries = self.packages.get(name)?;
        match uuid {
            Some(uuid) => entries.iter().find(|entry| entry.uuid == uuid),
            None => entries.first(),
        }
    }

    /// The packages `requested` and everything that they depend on, by name, each once.
    #[must_use]
    pub fn closure(&self, project: &Project, requested: &[(String, String)]) -> Vec<PackageRecord> {
        let mut seen = BTreeSet::new();
        let mut records = Vec::new();
        let mut queue: VecDeque<_> = requested
            .iter()
            .map(|(name, uuid)| (name.clone(), Some(uuid.clone())))
            .collect();
        while let Some((name, uuid)) = queue.pop_front() {
            let is_project =
                project.name.as_ref() == Some(&name) && (uuid.is_none() || project.uuid == uuid);
            let entry = self.entry(&name, uuid.as_deref());
            let Some(uuid) = (if is_project {
                project.uuid.clone()
            } else {
                None
            })
            .or_else(|| entry.map(|entry| entry.uuid.clone()))
            .or(uuid) else {
                continue;
            };
            if !seen.insert(uuid.clone()) {
                continue;
            }
            if is_project {
                queue.extend(
                    project
                        .deps
                        .iter()
                        .map(|(n, u)| (n.clone(), Some(u.clone()))),
                );
            } else if let Some(entry) = entry {
                let deps = entry.deps.iter();
                queue.extend(deps.map(|(n, u)| (n.to_owned(), u.map(str::to_owned))));
            }
            records.push(PackageRecord {
                requested: requested.iter().any(|(_, wanted)| *wanted == uuid),
                version: match is_project {
                    true => project.version.clone(),
                    false => entry.and_then(|entry| entry.version.clone()),
                },
                tree: entry.and_then(|entry| entry.tree.clone()),
                name,
                uuid,
            });
        }
        records.sort_by(|a, b| (&a.name, &a.uuid).cmp(&(&b.name, &b.uuid)));
        records
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMAT_1: &str = r#"
        [[Dates]]
        deps = ["Printf"]
        uuid = "ade2ca70-3891-5945-98fb-dc099432e06a"

        [[Printf]]
        deps = ["Unicode"]
        uuid = "de0858da-6303-5e67-8744-51eddeeeb8d7"

        [[Unicode]]
        uuid = "4ec0a83e-493e-50e2-b9ac-8f72acf5a8f5"
    "#;

    const FORMAT_2: &str = r#"
        julia_version = "1.10.4"
        manifest_format = "2.0"
        project_hash = "da39a3ee5e6b4b0d3255bfef95601890afd80709"

        [[deps.CSV]]
        deps = ["Dates"]
        git-tree-sha1 = "6c834533dc1fabd820c1db03c839bf97e45a3fab"
        uuid = "336ed68f-0bac-5ca0-87d4-7b16caf5d00b"
        version = "0.10.14"

            [deps.CSV.extensions]
            SomeExt = "Dates"

        [[deps.Dates]]
        deps = { Printf = "de0858da-6303-5e67-8744-51eddeeeb8d7" }
        uuid = "ade2ca70-3891-5945-98fb-dc099432e06a"

        [[deps.Printf]]
        uuid = "de0858da-6303-5e67-8744-51eddeeeb8d7"
    "#;

    #[test]
    fn reads_format_1() {
        let manifest = Manifest::from_toml("Manifest.toml", FORMAT_1).unwrap();
        assert_eq!(manifest.julia_version, None);
        assert_eq!(manifest.packages.len(), 3);
    }

    #[test]
    fn reads_format_2() {
        let manifest = Manifest::from_toml("Manifest.toml", FORMAT_2).unwrap();
        assert_eq!(manifest.julia_version, Some(JuliaVersion::new(1, 10, 4)));
        assert_eq!(
            manifest.entry("CSV", None).unwrap().version.as_deref(),
            Some("0.10.14")
        );
    }

    #[test]
    fn an_empty_manifest_is_one() {
        assert_eq!(
            Manifest::from_toml("Manifest.toml", "").unwrap(),
            Manifest::default()
        );
    }

    #[test]
    fn the_closure_holds_the_project_and_all_below() {
        let manifest = Manifest::from_toml("Manifest.toml", FORMAT_1).unwrap();
        let project = Project::from_toml(
            "Project.toml",
            r#"
            name = "InsuranceStats"
            uuid = "265d0cae-e6e2-443e-ae1f-041f3c19a359"
            version = "0.1.0"
            [deps]
            Dates = "ade2ca70-3891-5945-98fb-dc099432e06a"
            "#,
        )
        .unwrap();
        let requested = [(project.name.clone().unwrap(), project.uuid.clone().unwrap())];
        let closure = manifest.closure(&project, &requested);
        let names: Vec<_> = closure
            .iter()
            .map(|p| (p.name.as_str(), p.requested))
            .collect();
        assert_eq!(
            names,
            [
                ("Dates", false),
                ("InsuranceStats", true),
                ("Printf", false),
                ("Unicode", false)
            ]
        );
    }

    #[test]
    fn errors_point_at_the_place() {
        let error = Project::from_toml("Project.toml", "name = \"x\"\ndeps = 3\n").unwrap_err();
        assert_eq!((error.line, error.column), (2, 8));
    }

    #[test]
    fn the_newest_of_the_versioned_manifests_is_found() {
        let newest = |names: &[&str]| newest_versioned(names.iter().map(ToString::to_string));
        let names = [
            "Manifest-v1.9.toml",
            "Manifest-v1.12.toml",
            "Manifest-v1.x.toml",
        ];
        assert_eq!(newest(&names).as_deref(), Some("Manifest-v1.12.toml"));
        let names = ["JuliaManifest-v1.12.toml", "Manifest-v1.12.toml"];
        assert_eq!(newest(&names).as_deref(), Some("JuliaManifest-v1.12.toml"));
        assert_eq!(newest(&["Manifest.toml", "Project.toml"]), None);
    }

    #[test]
    fn versioned_manifests_come_first_since_1_10_8() {
        assert_eq!(
            manifest_names(Some(&JuliaVersion::new(1, 12, 7)))[..2],
            ["JuliaManifest-v1.12.toml", "Manifest-v1.12.toml"]
        );
        let names = |version: &str| manifest_names(Some(&version.parse().unwrap()));
        assert_eq!(names("1.10.8")[1], "Manifest-v1.10.toml");
        assert_eq!(names("1.10.7").len(), 2);
    }
}
