//! The inputs digest: one number for everything that decides what an image becomes. Equal digests
//! mean that no second build is needed.

use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::Digest;
use sysforge_plan::plan::{Build, PlannedJulia};
use sysforge_plan::project::Manifest;
use sysforge_plan::{Config, Plan, Sha256};

use crate::RECIPE;
use crate::workdir::WorkDirError;

/// What goes into the digest.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// The build.
    pub build: &'a Build,
    /// The plan, for the packages.
    pub plan: &'a Plan,
    /// The project's folder.
    pub project: &'a Path,
    /// The configuration, for the names of workloads, statements and script.
    pub config: &'a Config,
    /// The manifest, for packages under development.
    pub manifest: Option<&'a Manifest>,
}

/// What of a package's folder can change its code. Data, documents and tests cannot.
const CODE: [&str; 8] = [
    "Project.toml",
    "JuliaProject.toml",
    "Manifest.toml",
    "Artifacts.toml",
    "LocalPreferences.toml",
    "src",
    "ext",
    "deps",
];

/// The digest of the inputs.
///
/// # Errors
///
/// If a file cannot be read.
pub fn digest(inputs: &Inputs<'_>) -> Result<Sha256, WorkDirError> {
    let Inputs {
        build,
        plan,
        project,
        config,
        manifest,
    } = inputs;
    let mut hasher = Hasher(sha2::Sha256::new());
    hasher.text("recipe", &RECIPE.to_string());
    let json = |value| serde_json::to_string(&value).unwrap_or_default();
    // Not the request: `lts` and `1.10` may be the same Julia.
    let julia = match &build.julia {
        PlannedJulia::Catalogue { choice, .. } => choice.file.sha256.to_string(),
        PlannedJulia::Given { executable, build } => {
            format!(
                "{} {}",
                executable.display(),
                json(serde_json::to_value(build).unwrap_or_default())
            )
        }
    };
    hasher.text("julia", &julia);
    hasher.text(
        "cpu",
        &json(serde_json::to_value(&build.cpu).unwrap_or_default()),
    );
    hasher.text(
        "settings",
        &json(serde_json::to_value(&build.settings).unwrap_or_default()),
    );
    hasher.text(
        "packages",
        &json(serde_json::to_value(&plan.closure).unwrap_or_default()),
    );

    let entries = manifest
        .iter()
        .flat_map(|manifest| manifest.packages.values().flatten());
    let developed = entries.filter_map(|entry| entry.path.as_ref());
    let mut folders: Vec<PathBuf> = developed.map(|path| project.join(path)).collect();
    folders.push(project.to_path_buf());
    folders.sort();
    for folder in folders {
        for name in CODE {
            hasher.tree(&folder.join(name), &folder)?;
        }
    }
    let files = config
        .workloads
        .iter()
        .chain(&config.statements)
        .chain(&config.script);
    for file in files {
        hasher.tree(&project.join(file), project)?;
    }
    Ok(Sha256::new(hasher.0.finalize().into()))
}

struct Hasher(sha2::Sha256);

impl Hasher {
    /// Lengths go in as well, so that no two different lists of parts are the same bytes.
    fn text(&mut self, label: &str, text: &str) {
        for part in [label, text] {
            self.0.update((part.len() as u64).to_le_bytes());
            self.0.update(part.as_bytes());
        }
    }

    /// A file or a folder with all below it, in the order of the names; nothing if it is not
    /// there.
    fn tree(&mut self, path: &Path, root: &Path) -> Result<(), WorkDirError> {
        let failed = |source| WorkDirError::Io {
            action: "read",
            path: path.to_owned(),
            source,
        };
        // With `/` on every system.
        let name = path.strip_prefix(root).unwrap_or(path);
        let name = name
            .iter()
            .map(|part| part.to_string_lossy())
            .collect::<Vec<_>>()
            .join("/");
        if path.is_dir() {
            let entries = std::fs::read_dir(path).map_err(failed)?;
            let mut entries = entries
                .map(|entry| entry.map(|entry| entry.path()))
                .collect::<Result<Vec<_>, _>>()
                .map_err(failed)?;
            entries.sort();
            return entries.iter().try_for_each(|entry| self.tree(entry, root));
        }
        if !path.is_file() {
            return Ok(());
        }
        let mut file = std::fs::File::open(path).map_err(failed)?;
        let mut content = Vec::new();
        file.read_to_end(&mut content).map_err(failed)?;
        self.text("file", &name);
        self.0.update((content.len() as u64).to_le_bytes());
        self.0.update(&content);
        Ok(())
    }
}
