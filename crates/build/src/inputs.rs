//! What decides a result, part by part: a step whose parts are what they were is not done again, and
//! a part that changed can be named. The digest over all parts stands for what the image becomes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::Digest;
use sysforge_plan::config::WorkloadEnvironment;
use sysforge_plan::manifests::ManifestFile;
use sysforge_plan::plan::{Build, PlannedJulia};
use sysforge_plan::{Config, Sha256};

use crate::RECIPE;
use crate::workdir::WorkDirError;

/// What goes into the digest.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// The build.
    pub build: &'a Build,
    /// The project's folder.
    pub project: &'a Path,
    /// The configuration, for the names of workloads, statements and script.
    pub config: &'a Config,
    /// The manifest, for packages under development.
    pub manifest: Option<&'a ManifestFile>,
}

/// The first step that a part matters to; it matters to all later ones as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Recording statements.
    Trace,
    /// Emitting the object.
    Emit,
    /// Linking the image.
    Link,
}

/// The parts that decide a result, each by its name and digest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Basis(BTreeMap<String, (Stage, Sha256)>);

impl Basis {
    /// Adds a part.
    pub fn add(&mut self, stage: Stage, name: impl Into<String>, value: impl AsRef<[u8]>) {
        let digest = Sha256::new(sha2::Sha256::digest(value).into());
        self.0.insert(name.into(), (stage, digest));
    }

    /// What matters up to `stage`.
    #[must_use]
    pub fn up_to(&self, stage: Stage) -> Self {
        let parts = self.0.iter().filter(|(_, (first, _))| *first <= stage);
        Self(parts.map(|(name, part)| (name.clone(), *part)).collect())
    }

    /// The digest over all parts.
    #[must_use]
    pub fn digest(&self) -> Sha256 {
        let parts = self.0.iter();
        let parts: Vec<_> = parts
            .map(|(name, (_, digest))| (name, digest.to_string()))
            .collect();
        let texts = parts.iter();
        digest_of(texts.flat_map(|(name, digest)| [name.as_str(), digest]))
    }

    /// What is different from an earlier basis, in words.
    #[must_use]
    pub fn changes_since(&self, earlier: &Self) -> Vec<String> {
        let of = |basis: &Self, name: &str| basis.0.get(name).map(|(_, digest)| *digest);
        let mut changes = Vec::new();
        for name in self.0.keys() {
            match of(earlier, name) {
                None => changes.push(format!("{name} is new")),
                Some(digest) if Some(digest) != of(self, name) => {
                    changes.push(format!("{name} changed"));
                }
                Some(_) => {}
            }
        }
        let gone = earlier.0.keys().filter(|name| !self.0.contains_key(*name));
        changes.extend(gone.map(|name| format!("{name} is gone")));
        changes
    }
}

/// What of a package's folder can change its code. Data, documents and tests cannot.
const CODE: [&str; 10] = [
    "Project.toml",
    "JuliaProject.toml",
    "Manifest.toml",
    "Artifacts.toml",
    "JuliaArtifacts.toml",
    "LocalPreferences.toml",
    "JuliaLocalPreferences.toml",
    "src",
    "ext",
    "deps",
];

/// A text that differs wherever two Julias do. Not the request: `lts` and `1.10` may be the same
/// Julia.
#[must_use]
pub fn julia_identity(julia: &PlannedJulia) -> String {
    match julia {
        PlannedJulia::Catalogue { choice, .. } => choice.file.sha256.to_string(),
        PlannedJulia::Given { executable, build } => {
            let build = serde_json::to_string(build).unwrap_or_default();
            format!("{} {build}", executable.display())
        }
    }
}

/// The parts that decide what a build becomes.
///
/// # Errors
///
/// If a file cannot be read.
pub fn basis(inputs: &Inputs<'_>) -> Result<Basis, WorkDirError> {
    let Inputs {
        build,
        project,
        config,
        manifest,
    } = inputs;
    let mut basis = Basis::default();
    let json = |value| serde_json::to_string(&value).unwrap_or_default();
    // The script is part of the recipe: a change of it cannot be forgotten.
    let recipe = format!(
        "{RECIPE}\n{}\n{}",
        crate::emit::SCRIPTS.concat(),
        crate::measure::RUN_SCRIPT
    );
    basis.add(Stage::Trace, "Sysforge's recipe", recipe);
    let julia = julia_identity(&build.julia);
    basis.add(Stage::Trace, "the Julia", julia);
    let packages =
        json(serde_json::to_value((&build.packages, &build.closure)).unwrap_or_default());
    basis.add(Stage::Trace, "the list of packages", packages);
    let settings = &build.settings;
    let env = json(serde_json::to_value(&settings.env).unwrap_or_default());
    basis.add(Stage::Trace, "the setting `env`", env);

    let base = json(serde_json::json!([settings.base, settings.stdlibs]));
    basis.add(Stage::Trace, "the setting `base`", base);

    let mut folders = manifest.map_or_else(Vec::new, developed);
    folders.push(project.to_path_buf());
    for folder in folders {
        for name in CODE {
            files(&mut basis, Stage::Trace, &folder.join(name), project)?;
        }
    }
    let workloads = config.workloads.iter().map(|workload| &workload.path);
    for file in workloads.chain(&config.statements) {
        files(&mut basis, Stage::Trace, &project.join(file), project)?;
    }
    if let Some(script) = &config.script {
        files(&mut basis, Stage::Emit, &project.join(script), project)?;
    }
    // Which files are run, apart from what is in them.
    let lists = json(serde_json::json!([config.workloads, config.statements]));
    basis.add(Stage::Trace, "the list of workloads and statements", lists);
    let workload = json(serde_json::to_value(&config.workload_environment).unwrap_or_default());
    basis.add(Stage::Trace, "the setting `workload-environment`", workload);
    if let Some(WorkloadEnvironment::Folder(folder)) = &config.workload_environment {
        for name in ["Project.toml", "JuliaProject.toml"] {
            files(
                &mut basis,
                Stage::Trace,
                &project.join(folder).join(name),
                project,
            )?;
        }
    }
    let lazy = json(serde_json::to_value(config.lazy_artifacts).unwrap_or_default());
    basis.add(Stage::Emit, "the setting `lazy-artifacts`", lazy);
    let cpu = json(serde_json::to_value(&build.cpu).unwrap_or_default());
    basis.add(Stage::Emit, "the CPU target", cpu);
    basis.add(
        Stage::Emit,
        "the setting `execute`",
        settings.execute.to_string(),
    );
    basis.add(
        Stage::Emit,
        "the setting `script`",
        config.script.as_deref().unwrap_or_default(),
    );
    basis.add(
        Stage::Emit,
        "the setting `rounds`",
        settings.rounds.to_string(),
    );
    basis.add(
        Stage::Link,
        "the setting `strip`",
        settings.strip.to_string(),
    );
    Ok(basis)
}

/// Adds the code of a package in a folder.
///
/// # Errors
///
/// If a file cannot be read.
pub fn add_code(basis: &mut Basis, folder: &Path, project: &Path) -> Result<(), WorkDirError> {
    for name in CODE {
        files(basis, Stage::Trace, &folder.join(name), project)?;
    }
    Ok(())
}

/// The folders of the packages under development.
fn developed(manifest: &ManifestFile) -> Vec<PathBuf> {
    let packages = manifest.content.iter().flat_map(|m| m.packages.values());
    let paths = packages.flatten().filter_map(|entry| entry.path.as_ref());
    paths.map(|path| manifest.folder.join(path)).collect()
}

/// Adds a file, or a folder with all below it; nothing if it is not there. Paths are relative to the
/// project, with `/` on every system.
fn files(basis: &mut Basis, stage: Stage, path: &Path, project: &Path) -> Result<(), WorkDirError> {
    let failed = |source| WorkDirError::Io {
        action: "read",
        path: path.to_owned(),
        source,
    };
    if path.is_dir() {
        let entries = std::fs::read_dir(path).map_err(failed)?;
        for entry in entries {
            files(basis, stage, &entry.map_err(failed)?.path(), project)?;
        }
        return Ok(());
    }
    if !path.is_file() {
        return Ok(());
    }
    let name = path.strip_prefix(project).unwrap_or(path);
    let name: Vec<_> = name.iter().map(|part| part.to_string_lossy()).collect();
    let content = std::fs::read(path).map_err(failed)?;
    basis.add(stage, name.join("/"), content);
    Ok(())
}

/// The digest over a list of texts. Lengths go in as well, so that no two different lists are the
/// same bytes.
pub(crate) fn digest_of<'a>(parts: impl IntoIterator<Item = &'a str>) -> Sha256 {
    let mut hasher = sha2::Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    Sha256::new(hasher.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_named_and_reaches_the_steps_that_it_matters_to() {
        let mut before = Basis::default();
        before.add(Stage::Trace, "workload.jl", "1");
        before.add(Stage::Emit, "the CPU target", "generic");
        let mut after = before.clone();
        after.add(Stage::Emit, "the CPU target", "haswell");
        after.add(Stage::Link, "the setting `strip`", "true");
        assert_eq!(before.up_to(Stage::Trace), after.up_to(Stage::Trace));
        assert_ne!(before.up_to(Stage::Emit), after.up_to(Stage::Emit));
        assert_ne!(before.digest(), after.digest());
        assert_eq!(
            after.changes_since(&before),
            ["the CPU target changed", "the setting `strip` is new"]
        );
        assert_eq!(
            before.changes_since(&after),
            ["the CPU target changed", "the setting `strip` is gone"]
        );
    }
}
