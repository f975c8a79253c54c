//! What is wrong with values of the right type in a configuration, and where.

use std::collections::BTreeSet;

use super::workload::Workload;
use super::{Config, Override, WorkloadEnvironment, app, library};
use crate::secret::{logins, without_logins};
use crate::text::{CpuTargets, CpuTier, ImageName, PackageName, Rule, is_deceptive, shortened};
use crate::toml_error::TomlError;

/// A key, and what is wrong with its value.
type OfKey = (&'static str, String);

/// What is wrong with a value.
pub(super) struct Complaint {
    /// The header of the value's table, and its index among the tables with this header.
    table: Option<(String, usize)>,
    key: &'static str,
    message: String,
}

impl From<OfKey> for Complaint {
    fn from((key, message): OfKey) -> Self {
        Self {
            table: None,
            key,
            message,
        }
    }
}

impl Complaint {
    fn in_table(header: &str, index: usize, (key, message): OfKey) -> Self {
        Self {
            table: Some((header.to_owned(), index)),
            key,
            message,
        }
    }

    /// Returns the error, with the position of the key or of its table.
    pub(super) fn error(&self, file: &str, text: &str) -> TomlError {
        let table = self.table.as_ref();
        let table = table.and_then(|(header, index)| table_offset(text, header, *index));
        let table = table.unwrap_or(0);
        let offset = table + key_offset(&text[table..], self.key);
        TomlError::at(file, text, offset, &self.message)
    }
}

impl Config {
    /// Returns what is wrong with the values, if anything.
    pub(super) fn complaint(&self) -> Option<Complaint> {
        let workload = || self.workloads.iter().find_map(Workload::complaint);
        let of_keys = self
            .invalid_name()
            .or_else(|| self.meaningless())
            .or_else(|| workload().map(|message| ("workloads", message)))
            .or_else(|| self.backslash())
            .or_else(|| self.empty_value())
            .or_else(|| self.registry())
            .or_else(|| self.password());
        of_keys
            .map(Complaint::from)
            .or_else(|| self.complaint_about_overrides())
            .or_else(|| self.complaint_about_bundles())
            .or_else(|| self.workflow.complaint().map(Complaint::from))
            .or_else(|| self.complaint_about_platforms())
    }

    /// Returns a key with a meaningless value, and the message, if there is one.
    fn meaningless(&self) -> Option<(&'static str, String)> {
        if self.packages.as_ref().is_some_and(Vec::is_empty) {
            let message = "`packages` is empty: name a package, or leave the key out for all direct \
                           dependencies";
            return Some(("packages", message.to_owned()));
        }
        if self
            .rounds
            .is_some_and(|rounds| !(1..=10).contains(&rounds))
        {
            return Some(("rounds", "`rounds` must be from 1 to 10".to_owned()));
        }
        let environment = match &self.workload_environment {
            Some(WorkloadEnvironment::Packages(names)) => names.clone(),
            _ => Vec::new(),
        };
        let twice = |texts: Vec<String>| {
            let mut seen = BTreeSet::new();
            texts.into_iter().find(|text| !seen.insert(text.clone()))
        };
        let lists = [
            (
                "workloads",
                self.workloads.iter().map(|w| w.to_string()).collect(),
            ),
            ("statements", self.statements.clone()),
            ("packages", self.packages.clone().unwrap_or_default()),
            ("julia", self.julia.0.clone()),
            ("cpu", self.cpu.0.clone()),
            ("registries", self.registries.clone()),
            ("workload-environment", environment),
        ];
        let of_overrides = self
            .overrides
            .iter()
            .filter_map(|o| o.julia_options.as_ref());
        for options in of_overrides.chain([&self.julia_options]) {
            let names = options.iter().map(|option| option.name().to_owned());
            if let Some(name) = twice(names.collect()) {
                return Some(("julia-options", format!("`{name}` is given twice")));
            }
        }
        lists
            .into_iter()
            .find_map(|(key, texts): (_, Vec<String>)| {
                let text = twice(texts)?;
                Some((key, format!("`{}` is listed twice", shortened(&text, 60))))
            })
    }

    /// Returns a key with an invalid name, and the message, if there is one.
    fn invalid_name(&self) -> Option<(&'static str, String)> {
        let name = self.name.as_deref().map(ImageName::validate);
        if let Some(Err(error)) = name {
            return Some(("name", format!("{error}; it becomes part of file names")));
        }
        let mut packages = self.packages.iter().flatten();
        if let Some(error) = packages.find_map(|name| PackageName::validate(name).err()) {
            return Some(("packages", error.to_string()));
        }
        // A single setting is passed to Julia; several are also names of tiers.
        let several = self.cpu.0.len() > 1;
        let checked = self.cpu.0.iter().map(|word| match several {
            true => CpuTier::validate(word),
            false => CpuTargets::validate(word),
        });
        checked
            .filter_map(Result::err)
            .next()
            .map(|error| ("cpu", error.to_string()))
    }

    /// Returns the key of a path with a backslash, and the message, if there is one.
    fn backslash(&self) -> Option<OfKey> {
        let folder = match &self.workload_environment {
            Some(WorkloadEnvironment::Folder(folder)) => Some(folder),
            _ => None,
        };
        let bases: Vec<_> = self.bases().collect();
        let lists: [(_, Vec<&String>); 6] = [
            (
                "workloads",
                self.workloads.iter().map(|w| &w.path).collect(),
            ),
            ("statements", self.statements.iter().collect()),
            ("base", bases),
            ("script", self.script.iter().collect()),
            ("depot", self.depot.iter().collect()),
            ("workload-environment", folder.into_iter().collect()),
        ];
        lists.into_iter().find_map(|(key, paths)| {
            let path = paths.into_iter().find(|path| path.contains('\\'))?;
            let message = format!("write `{path}` with `/`: it must mean the same on every system");
            Some((key, message))
        })
    }

    /// Returns a key with an empty value, and the message, if there is one.
    fn empty_value(&self) -> Option<OfKey> {
        let is_blank = |text: &String| text.trim().is_empty();
        let environment = match &self.workload_environment {
            Some(WorkloadEnvironment::Folder(folder)) => is_blank(folder),
            Some(WorkloadEnvironment::Packages(names)) => names
                .iter()
                .any(|name| PackageName::validate(name).is_err()),
            None => false,
        };
        let keys = [
            (
                "workloads",
                self.workloads.iter().any(|w| is_blank(&w.path)),
            ),
            ("statements", self.statements.iter().any(is_blank)),
            ("script", self.script.iter().any(is_blank)),
            ("depot", self.depot.iter().any(is_blank)),
            ("registries", self.registries.iter().any(is_blank)),
            ("workload-environment", environment),
        ];
        let (key, _) = keys.into_iter().find(|(_, is_empty)| *is_empty)?;
        let message = format!("`{key}` has an empty value: name something, or leave it out");
        Some((key, message))
    }

    /// Returns a registry that is not an address, and the message, if there is one.
    fn registry(&self) -> Option<OfKey> {
        let is_address = |url: &str| url.contains([':', '/', '\\']) || url.starts_with(['.', '~']);
        let name = self.registries.iter().find(|url| !is_address(url))?;
        let message = match name.as_str() {
            "General" => "`General` needs no entry: it is always used".to_owned(),
            _ => format!(
                "`{}` is not the address of a registry: write it as `https://HOST/OWNER/REGISTRY`",
                shortened(name, 60)
            ),
        };
        Some(("registries", message))
    }

    fn password(&self) -> Option<OfKey> {
        let has_login = |url: &&String| logins(url).next().is_some();
        let shown = without_logins(self.registries.iter().find(has_login)?);
        let shown = shown.split_once("://").map_or("", |(_, host)| host);
        let message = format!(
            "the address of the registry at {shown} contains a password: leave it out, and let \
             git's credential helper or the ssh agent supply it"
        );
        Some(("registries", message))
    }

    fn complaint_about_overrides(&self) -> Option<Complaint> {
        if let Some(index) = self.overrides.iter().position(|o| o.select.is_empty()) {
            let message = "this override selects nothing: add `select = \"*-linux-gnu\"`";
            let of_key = ("overrides", message.to_owned());
            return Some(Complaint::in_table("[[overrides]]", index, of_key));
        }
        let name = self.overrides.iter().find_map(Override::invalid_variable)?;
        let message = format!(
            "`{}` cannot be set: the name of an environment variable contains neither `=` nor \
             control characters, and its value no NUL",
            shortened(name, 60)
        );
        Some(("env", message).into())
    }

    fn complaint_about_bundles(&self) -> Option<Complaint> {
        if let Some((index, key, message)) = app::complaint(&self.apps) {
            return Some(Complaint::in_table("[[app]]", index, (key, message)));
        }
        if let Some(of_key) = self.library.as_ref().and_then(library::complaint) {
            return Some(Complaint::in_table("[library]", 0, of_key));
        }
        if !self.apps.is_empty() || self.library.is_some() {
            return None;
        }
        let of_key = app::complaint_about_bundle(&self.bundle)?;
        Some(Complaint::in_table("[bundle]", 0, of_key))
    }

    fn complaint_about_platforms(&self) -> Option<Complaint> {
        let mut platforms = self.platforms.iter();
        if let Some((triplet, _)) = platforms.find(|(_, table)| table.timeout == Some(0)) {
            let message = "`timeout` is a number of minutes, at least 1".to_owned();
            let header = format!("[platforms.\"{triplet}\"]");
            return Some(Complaint::in_table(&header, 0, ("timeout", message)));
        }
        let (triplet, label) = self.platforms.iter().find_map(|(triplet, platform)| {
            let label = platform.runner.as_deref()?;
            let is_wrong = label.is_empty()
                || label.len() > 255
                || label.contains(|c: char| is_deceptive(c) || ",$\"'`".contains(c));
            is_wrong.then_some((triplet, label))
        })?;
        let label = shortened(label, 60);
        let message = format!("`{label}` is not a valid runner label for {triplet}");
        Some(("runner", message).into())
    }
}

/// Returns the offset of the `index`th table with this header.
fn table_offset(text: &str, header: &str, index: usize) -> Option<usize> {
    text.match_indices(header)
        .map(|(offset, _)| offset)
        .nth(index)
}

/// Returns the offset of a key, for errors about values of the right type that are invalid.
pub(super) fn key_offset(text: &str, key: &str) -> usize {
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim_start();
        let rest = trimmed.strip_prefix(key).map(str::trim_start);
        let is_it = |rest: &str| rest.starts_with(['=', '#']) || rest.is_empty();
        if rest.is_some_and(is_it) {
            return offset + (line.len() - trimmed.len());
        }
        offset += line.len();
    }
    0
}
