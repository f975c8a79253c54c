//! `Project.toml`, the project file. A file that Pkg refuses is refused here too, with the position
//! of the error.

use std::collections::{BTreeMap, BTreeSet};

use toml::de::DeTable;

use crate::ranges::{Ranges, quoted};
use crate::toml_error::TomlError;
use crate::toml_reader::Reader;
use crate::version::JuliaVersion;

/// File names of a project, in Julia's lookup order.
pub const PROJECT_NAMES: [&str; 2] = ["JuliaProject.toml", "Project.toml"];

/// The names of files with preferences next to a project file, in the order of precedence.
pub const PREFERENCES_NAMES: [&str; 2] = ["JuliaLocalPreferences.toml", "LocalPreferences.toml"];

/// The first Julia with weak dependencies; older ones treat them as ordinary dependencies.
const WEAKDEPS_SINCE: (u64, u64) = (1, 9);

/// The hint for a section that names a package which the project does not list.
const UNLISTED: &str = "add it with its UUID to one of these sections, or remove it here";

/// A `Project.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Project {
    /// The package's name, if the project is a package.
    pub name: Option<String>,
    /// Its UUID, in lower case.
    pub uuid: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// The manifest's path relative to the project file, if the project names one.
    pub manifest: Option<String>,
    /// Direct dependencies: name to UUID. Some may be weak; see [`Project::deps_in`].
    pub deps: BTreeMap<String, String>,
    /// Weak dependencies: name to UUID.
    pub weakdeps: BTreeMap<String, String>,
    /// Version bounds, among them that of `julia`.
    pub compat: BTreeMap<String, String>,
    /// The packages in `[sources]`.
    pub sources: BTreeSet<String>,
}

impl Project {
    /// Reads a `Project.toml`.
    ///
    /// # Errors
    ///
    /// If Pkg would refuse it: it is not TOML, a value has a wrong type or form, or sections
    /// contradict each other. The error contains the position.
    pub fn from_toml(file: &str, text: &str) -> Result<Self, TomlError> {
        let (reader, document) = Reader::parse(file, text)?;
        let table = document.get_ref();
        let uuid = table.get("uuid").map(|value| reader.uuid("uuid", value));
        let version = table.get("version");
        let version = version.map(|value| reader.version("version", value));
        let mut project = Self {
            name: reader.string_at(table, "name")?,
            uuid: uuid.transpose()?,
            version: version.transpose()?,
            manifest: reader.string_at(table, "manifest")?,
            deps: uuids(reader, table, "deps")?,
            weakdeps: uuids(reader, table, "weakdeps")?,
            compat: compat(reader, table)?,
            sources: BTreeSet::new(),
        };
        workspace(reader, table)?;
        for key in ["path", "entryfile"] {
            reader.string_at(table, key)?;
        }
        reader.boolean_at(table, "readonly")?;
        reader.extensions(table)?;
        reader.syntax(table)?;
        for (name, app) in reader.entries(table, "apps")? {
            reader.table(name.get_ref(), app)?;
        }
        let extras = uuids(reader, table, "extras")?;
        project.sources = project.check_names(reader, table, &extras)?;
        Ok(project)
    }

    /// Checks that sections name only packages listed in the project, and returns those in
    /// `[sources]`.
    fn check_names(
        &self,
        reader: Reader<'_>,
        table: &DeTable<'_>,
        extras: &BTreeMap<String, String>,
    ) -> Result<BTreeSet<String>, TomlError> {
        let in_deps = |name: &str| self.deps.contains_key(name) || extras.contains_key(name);
        let listed = |name: &str| in_deps(name) || self.weakdeps.contains_key(name);
        for (name, _) in reader.entries(table, "compat")? {
            if name.get_ref() != "julia" && !listed(name.get_ref()) {
                let message = format!(
                    "[compat] bounds `{}`, which is not in [deps], [weakdeps] or [extras]",
                    name.get_ref()
                );
                return Err(reader.error(name.span(), message).hint(UNLISTED));
            }
        }
        let sources = sources(reader, table, |name| {
            in_deps(name) && (extras.contains_key(name) || !self.weakdeps.contains_key(name))
        })?;
        for (target, value) in reader.entries(table, "targets")? {
            let mut seen = BTreeSet::new();
            for dep in reader.names(target.get_ref(), value)? {
                let name = dep.get_ref();
                let (problem, hint) = if !listed(name) {
                    let problem = "names `{}`, which is not in [deps], [weakdeps] or [extras]";
                    (problem, UNLISTED)
                } else if !seen.insert(name.clone()) {
                    ("names `{}` twice", "remove one of them")
                } else {
                    continue;
                };
                let message = format!(
                    "the target `{}` {}",
                    target.get_ref(),
                    problem.replace("{}", name)
                );
                return Err(reader.error(dep.span(), message).hint(hint));
            }
        }
        Ok(sources)
    }

    /// Returns whether the project is a package that can be loaded by name.
    pub fn is_package(&self) -> bool {
        self.name.is_some() && self.uuid.is_some()
    }

    /// Returns the direct dependencies in this Julia: since 1.9, packages that are also in
    /// `[weakdeps]` are excluded.
    pub fn deps_in(&self, julia: &JuliaVersion) -> impl Iterator<Item = (&str, &str)> {
        let weak = julia.minor_pair() >= WEAKDEPS_SINCE;
        self.deps
            .iter()
            .filter(move |(name, uuid)| !weak || self.weakdeps.get(*name) != Some(*uuid))
            .map(|(name, uuid)| (name.as_str(), uuid.as_str()))
    }

    /// Returns whether the project has dependencies that a manifest must list.
    pub fn needs_manifest(&self) -> bool {
        let mut deps = self.deps.iter();
        deps.any(|(name, uuid)| self.weakdeps.get(name) != Some(uuid))
    }
}

/// Checks that Julia can read a TOML file, whatever it contains.
///
/// # Errors
///
/// If it is not TOML. The error contains the position.
pub fn check_toml(file: &str, text: &str) -> Result<(), TomlError> {
    Reader::parse(file, text).map(|_| ())
}

/// Returns the members of the workspace whose root is this project file. The rest of the file is
/// not checked, because it may be unrelated to the project being built.
pub fn workspace_members(text: &str) -> Vec<String> {
    let table: toml::Table = toml::from_str(text).unwrap_or_default();
    let projects = table.get("workspace").and_then(|w| w.get("projects"));
    let members = projects
        .and_then(toml::Value::as_array)
        .into_iter()
        .flatten();
    let members = members.filter_map(toml::Value::as_str);
    members.map(str::to_owned).collect()
}

/// Reads a section of names and UUIDs; the UUIDs must be distinct.
fn uuids(
    reader: Reader<'_>,
    table: &DeTable<'_>,
    section: &str,
) -> Result<BTreeMap<String, String>, TomlError> {
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in reader.entries(table, section)? {
        let uuid = reader.uuid(name.get_ref(), value)?;
        if let Some((other, _)) = found.iter().find(|(_, known)| **known == uuid) {
            let message = format!(
                "`{}` has the same UUID as `{other}` in [{section}]",
                name.get_ref()
            );
            return Err(reader.error(value.span(), message).hint(
                "the UUID of a package is in its own Project.toml: correct one of the two, or remove it",
            ));
        }
        found.insert(name.get_ref().to_string(), uuid);
    }
    Ok(found)
}

fn compat(reader: Reader<'_>, table: &DeTable<'_>) -> Result<BTreeMap<String, String>, TomlError> {
    let mut compat = BTreeMap::new();
    for (name, value) in reader.entries(table, "compat")? {
        let text = reader.string(name.get_ref(), value)?;
        if Ranges::from_compat(&text).is_err() {
            let message = format!(
                "{} is not a version range that [compat] knows, such as `1.6`, `~1.10`, \
                 `=1.10.4`, `>=1.6` or `1.6 - 1.11`",
                quoted(&text)
            );
            return Err(reader.error(value.span(), message).hint(
                "write the oldest version that works, as in `1.6`, or several ranges with commas between \
                 them",
            ));
        }
        compat.insert(name.get_ref().to_string(), text);
    }
    Ok(compat)
}

/// Checks the sources of unregistered packages: each must be a path or a URL. Returns the packages.
fn sources(
    reader: Reader<'_>,
    table: &DeTable<'_>,
    listed: impl Fn(&str) -> bool,
) -> Result<BTreeSet<String>, TomlError> {
    let mut found = BTreeSet::new();
    for (name, value) in reader.entries(table, "sources")? {
        let Some(source) = value.get_ref().as_table() else {
            let message = format!("the source of `{}` must be a table", name.get_ref());
            return Err(reader.error(value.span(), message));
        };
        for (key, value) in source {
            if !["path", "url", "rev", "subdir"].contains(&key.get_ref().as_ref()) {
                let message = format!(
                    "unknown key `{}`: a source has `path`, or `url`, `rev` and `subdir`",
                    key.get_ref()
                );
                return Err(reader.error(key.span(), message));
            }
            reader.string(key.get_ref(), value)?;
        }
        if source.contains_key("path") && (source.contains_key("url") || source.contains_key("rev"))
        {
            let message = format!(
                "the source of `{}` has both a `path` and a `url` or `rev`",
                name.get_ref()
            );
            return Err(reader
                .error(value.span(), message)
                .hint("keep `path` for a folder, or `url` and `rev` for a repository"));
        }
        if !listed(name.get_ref()) {
            let message = format!(
                "[sources] names `{}`, which is not in [deps] or [extras]",
                name.get_ref()
            );
            return Err(reader.error(name.span(), message).hint(UNLISTED));
        }
        found.insert(name.get_ref().to_string());
    }
    Ok(found)
}

/// Checks that a workspace contains only the list of its members.
fn workspace(reader: Reader<'_>, table: &DeTable<'_>) -> Result<(), TomlError> {
    for (key, value) in reader.entries(table, "workspace")? {
        if key.get_ref() != "projects" {
            let message = format!(
                "unknown key `{}`: [workspace] has `projects`",
                key.get_ref()
            );
            return Err(reader.error(key.span(), message));
        }
        let Some(list) = value.get_ref().as_array() else {
            return Err(reader.error(value.span(), "`projects` must be a list of strings"));
        };
        for item in list {
            reader.entry("projects", item)?;
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "project/tests.rs"]
mod tests;
