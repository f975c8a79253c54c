//! `Manifest.toml`, formats 1 and 2: every package of a project with its exact version. A file that
//! Pkg refuses is refused here too, with the position of the error.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::project::Project;
use crate::receipt::PackageRecord;
use crate::toml_error::TomlError;
use crate::toml_reader::{Reader, Value};
use crate::version::JuliaVersion;

/// A `Manifest.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manifest {
    /// The Julia version that resolved it (format 2 only).
    pub julia_version: Option<JuliaVersion>,
    /// The major number of the format; 2 for an empty file.
    pub format: u64,
    /// Entries by name; several if packages share a name.
    pub packages: BTreeMap<String, Vec<ManifestEntry>>,
}

/// One package of a manifest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ManifestEntry {
    /// The UUID, in lower case.
    pub uuid: String,
    /// The version; standard libraries may have none.
    pub version: Option<String>,
    /// The digest of the package's source tree.
    pub tree: Option<String>,
    /// The folder of its source, for packages under development, relative to the manifest's folder.
    pub path: Option<String>,
    /// The address of its git repository, if it is not registered.
    pub repo: Option<String>,
    /// Its dependencies: name to UUID.
    pub deps: BTreeMap<String, String>,
}

/// Dependencies as written in the file: names only if they are unambiguous, otherwise names and
/// UUIDs.
enum WrittenDeps {
    Names(Vec<Spanned<String>>),
    Uuids(Vec<(Spanned<String>, String)>),
}

/// An entry whose dependencies are not looked up yet.
struct Written {
    entry: ManifestEntry,
    deps: WrittenDeps,
    weakdeps: WrittenDeps,
}

type Entries = BTreeMap<String, Vec<Written>>;

/// The hint for a manifest that contradicts itself.
pub(crate) const RESOLVE: &str =
    "bring the manifest up to date with `julia --project -e 'using Pkg; Pkg.resolve()'`";

impl Manifest {
    /// Reads a manifest of either format.
    ///
    /// # Errors
    ///
    /// If Pkg would refuse it: it is not TOML, a field has a wrong type or value, or a package
    /// depends on one that is not listed. The error contains the position.
    pub fn from_toml(file: &str, text: &str) -> Result<Self, TomlError> {
        let (reader, document) = Reader::parse(file, text)?;
        let table = document.get_ref();
        let mut manifest = Self {
            julia_version: None,
            format: 2,
            packages: BTreeMap::new(),
        };
        let packages = match table.get("manifest_format") {
            // In format 1 this is the entry of a package with that name.
            Some(value) if value.get_ref().as_table().is_none() && !value.get_ref().is_array() => {
                let version = reader.version("manifest_format", value)?;
                manifest.format = JuliaVersion::from_number(&version).map_or(2, |v| v.major());
                if let Some(value) = table.get("julia_version") {
                    let version = reader.version("julia_version", value)?;
                    manifest.julia_version = JuliaVersion::from_number(&version);
                }
                if let Some(value) = table.get("project_hash") {
                    reader.sha1("project_hash", value)?;
                }
                registries(reader, table)?;
                reader.table_at(table, "deps")?
            }
            _ if table.is_empty() => None,
            _ => {
                of_format_1(reader, table)?;
                manifest.format = 1;
                Some(table)
            }
        };
        let mut entries = Entries::new();
        for (name, list) in packages.into_iter().flatten() {
            let name = name.get_ref();
            if list.get_ref().is_table() {
                let prefix = if manifest.format == 1 { "" } else { "deps." };
                let message = format!(
                    "the entry of `{name}` is in single brackets, and must be in double ones"
                );
                let hint = format!("write `[[{prefix}{name}]]`");
                return Err(reader.error(list.span(), message).hint(&hint));
            }
            for value in reader.array(name, list)? {
                let entry = entry(reader, reader.table(name, value)?, value)?;
                entries.entry(name.to_string()).or_default().push(entry);
            }
        }
        manifest.packages = resolved(reader, entries)?;
        Ok(manifest)
    }

    /// Returns the entry of a package, by UUID if one is given.
    pub fn entry(&self, name: &str, uuid: Option<&str>) -> Option<&ManifestEntry> {
        let entries = self.packages.get(name)?;
        match uuid {
            Some(uuid) => entries.iter().find(|entry| entry.uuid == uuid),
            None => entries.first(),
        }
    }

    /// Returns the packages `requested` and all their dependencies in Julia `julia`, by name,
    /// without duplicates.
    pub fn closure(
        &self,
        project: &Project,
        julia: &JuliaVersion,
        requested: &[(String, String)],
    ) -> Vec<PackageRecord> {
        let mut seen = BTreeSet::new();
        let mut records = Vec::new();
        let mut queue: VecDeque<(String, String)> = requested.iter().cloned().collect();
        while let Some((name, uuid)) = queue.pop_front() {
            if !seen.insert(uuid.clone()) {
                continue;
            }
            let is_project =
                project.name.as_ref() == Some(&name) && project.uuid.as_ref() == Some(&uuid);
            let entry = self.entry(&name, Some(&uuid));
            if is_project {
                let deps = project.deps_in(julia);
                queue.extend(deps.map(|(name, uuid)| (name.to_owned(), uuid.to_owned())));
            } else if let Some(entry) = entry {
                queue.extend(entry.deps.clone());
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

/// Refuses what is of format 2 in a manifest that does not say that it is.
fn of_format_1(reader: Reader<'_>, table: &DeTable<'_>) -> Result<(), TomlError> {
    let is_newer = |key: &str, value: &Spanned<DeValue<'_>>| match key {
        "julia_version" | "project_hash" => value.get_ref().is_str(),
        "deps" => value.get_ref().is_table(),
        _ => false,
    };
    let mut entries = table.iter();
    match entries.find(|(key, value)| is_newer(key.get_ref(), value)) {
        Some((key, _)) => {
            let message = format!(
                "`{}` is of format 2, but the manifest has no `manifest_format`",
                key.get_ref()
            );
            let error = reader.error(key.span(), message);
            Err(error.hint(
                "add `manifest_format = \"2.0\"` as the first line, or let Pkg write the manifest",
            ))
        }
        None => Ok(()),
    }
}

/// Checks the registries of the packages (format 2.1): each must have a UUID.
fn registries(reader: Reader<'_>, table: &DeTable<'_>) -> Result<(), TomlError> {
    let Some(registries) = table.get("registries") else {
        return Ok(());
    };
    for (name, value) in registries.get_ref().as_table().into_iter().flatten() {
        let Some(registry) = value.get_ref().as_table() else {
            let message = format!("the registry `{}` must be a table", name.get_ref());
            return Err(reader.error(value.span(), message));
        };
        match registry.get("uuid") {
            Some(uuid) => reader.uuid("uuid", uuid).map(drop)?,
            None => {
                let message = format!("the registry `{}` has no `uuid`", name.get_ref());
                return Err(reader.error(value.span(), message));
            }
        }
        reader.string_at(registry, "url")?;
    }
    match registries.get_ref().is_table() {
        true => Ok(()),
        false => Err(reader.error(registries.span(), "`registries` must be a table")),
    }
}

fn entry<'t>(
    reader: Reader<'t>,
    table: &DeTable<'t>,
    value: &Value<'t>,
) -> Result<Written, TomlError> {
    let Some(uuid) = table.get("uuid") else {
        let error = reader.error(value.span(), "this package has no `uuid`");
        return Err(error.hint(RESOLVE));
    };
    let version = table.get("version").map(|v| reader.version("version", v));
    let tree = table.get("git-tree-sha1");
    let tree = tree.map(|value| reader.sha1("git-tree-sha1", value));
    let repo = reader.string_at(table, "repo-url")?;
    for key in ["repo-rev", "repo-subdir", "entryfile"] {
        reader.string_at(table, key)?;
    }
    reader.boolean_at(table, "pinned")?;
    reader.extensions(table)?;
    reader.syntax(table)?;
    if let Some(value) = table.get("registries")
        && !value.get_ref().is_str()
    {
        reader.strings("registries", value)?;
    }
    for (name, app) in reader.entries(table, "apps")? {
        reader.table(name.get_ref(), app)?;
    }
    Ok(Written {
        entry: ManifestEntry {
            uuid: reader.uuid("uuid", uuid)?,
            version: version.transpose()?,
            tree: tree.transpose()?,
            path: reader.string_at(table, "path")?,
            repo,
            deps: BTreeMap::new(),
        },
        deps: written_deps(reader, table, "deps")?,
        weakdeps: written_deps(reader, table, "weakdeps")?,
    })
}

fn written_deps<'t>(
    reader: Reader<'t>,
    table: &DeTable<'t>,
    key: &str,
) -> Result<WrittenDeps, TomlError> {
    let Some(value) = table.get(key) else {
        return Ok(WrittenDeps::Names(Vec::new()));
    };
    match value.get_ref() {
        DeValue::Array(_) => Ok(WrittenDeps::Names(reader.names(key, value)?)),
        DeValue::Table(table) => {
            let deps = table.iter().map(|(name, value)| {
                let uuid = reader.uuid(name.get_ref(), value)?;
                Ok((Spanned::new(name.span(), name.get_ref().to_string()), uuid))
            });
            deps.collect::<Result<_, _>>().map(WrittenDeps::Uuids)
        }
        _ => Err(reader.error(
            value.span(),
            format!("`{key}` must be a list of names, or a table of names and UUIDs"),
        )),
    }
}

/// Looks up the dependencies: each must be listed once, under its own name.
fn resolved(
    reader: Reader<'_>,
    entries: Entries,
) -> Result<BTreeMap<String, Vec<ManifestEntry>>, TomlError> {
    let mut names: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, list) in &entries {
        names.extend(list.iter().map(|written| (&*written.entry.uuid, &**name)));
    }
    let mut packages = BTreeMap::new();
    for (name, list) in &entries {
        let mut resolved = Vec::new();
        for written in list {
            let deps = lookup(reader, name, &written.deps, &entries)?;
            lookup(reader, name, &written.weakdeps, &entries)?;
            for (dep, uuid) in &deps {
                let problem = match names.get(&**uuid) {
                    None => "does not list that".to_owned(),
                    Some(listed) if listed != dep.get_ref() => format!("calls it `{listed}`"),
                    Some(_) => continue,
                };
                return Err(unlisted(reader, name, dep, &problem));
            }
            resolved.push(ManifestEntry {
                deps: deps
                    .into_iter()
                    .map(|(dep, uuid)| (dep.into_inner(), uuid))
                    .collect(),
                ..written.entry.clone()
            });
        }
        packages.insert(name.clone(), resolved);
    }
    Ok(packages)
}

/// Returns names and UUIDs of the dependencies of the package `name`.
fn lookup(
    reader: Reader<'_>,
    name: &str,
    deps: &WrittenDeps,
    entries: &Entries,
) -> Result<Vec<(Spanned<String>, String)>, TomlError> {
    let written = match deps {
        WrittenDeps::Uuids(deps) => return Ok(deps.clone()),
        WrittenDeps::Names(names) => names,
    };
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for dep in written {
        if !seen.insert(dep.get_ref()) {
            let message = format!("`{name}` lists its dependency `{}` twice", dep.get_ref());
            return Err(reader.error(dep.span(), message));
        }
        match entries.get(dep.get_ref()).map(Vec::as_slice) {
            Some([only]) => found.push((dep.clone(), only.entry.uuid.clone())),
            None | Some([]) => return Err(unlisted(reader, name, dep, "does not list that")),
            Some(_) => {
                let message = format!(
                    "`{name}` depends on `{}`, and the manifest lists several packages of that \
                     name: it must give the UUID",
                    dep.get_ref()
                );
                return Err(reader.error(dep.span(), message).hint(RESOLVE));
            }
        }
    }
    Ok(found)
}

fn unlisted(reader: Reader<'_>, name: &str, dep: &Spanned<String>, problem: &str) -> TomlError {
    let message = format!(
        "`{name}` depends on `{}`, but the manifest {problem}",
        dep.get_ref()
    );
    reader.error(dep.span(), message).hint(RESOLVE)
}

#[cfg(test)]
#[path = "manifest/tests.rs"]
mod tests;
