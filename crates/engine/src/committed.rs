//! Whether the workflow's runs will have the project's manifest: it may not exist, or git may
//! ignore it.

use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use crate::commits::Git;
use crate::engine::Engine;
use crate::project::ProjectFiles;

/// Something that the runs of a workflow will lack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lacking {
    /// The warning.
    pub what: String,
    /// The hint.
    pub hint: String,
}

/// Maximum time for an answer of git; after it, nothing is known.
const PATIENCE: Duration = Duration::from_secs(10);

/// Warns about manifests of the project that the runs of a workflow will lack.
pub async fn warn(files: &ProjectFiles, engine: &Engine) {
    for Lacking { what, hint } in lacking(files, engine).await {
        engine.reporter.warn(what, Some(engine.runnable(hint)));
    }
}

/// Returns the warnings about manifests of the project that the runs of a workflow will lack.
pub async fn lacking(files: &ProjectFiles, engine: &Engine) -> Vec<Lacking> {
    let inputs = &files.inputs;
    let consequence = match inputs.config.locked {
        true => "which `locked = true` refuses",
        false => "in versions that may differ from those here",
    };
    if inputs.manifests.0.is_empty() {
        if !inputs.project.needs_manifest() {
            return Vec::new();
        }
        return vec![Lacking {
            what: format!(
                "the project has no Manifest.toml: each run of the workflow resolves its packages, \
                 {consequence}"
            ),
            hint:
                "for the same versions everywhere, make one with `julia --project -e 'using Pkg; \
                   Pkg.instantiate()'`, and commit it"
                    .to_owned(),
        }];
    }
    let mut lacking = Vec::new();
    for manifest in &inputs.manifests.0 {
        if !is_ignored(&manifest.path, engine).await {
            continue;
        }
        let name = &manifest.name;
        lacking.push(Lacking {
            what: format!(
                "git ignores {name}: the runs of the workflow do not have it, and resolve the \
                 packages, {consequence}"
            ),
            hint: format!("commit it all the same: `git add --force {name}`"),
        });
    }
    lacking
}

/// Whether git ignores this file. `false` without git or outside of a repository.
async fn is_ignored(file: &Path, engine: &Engine) -> bool {
    let Some(folder) = file.parent() else {
        return false;
    };
    let git = Git {
        folder,
        engine,
        limit: PATIENCE,
    };
    let arguments = ["check-ignore", "--quiet", "--"].map(OsStr::new);
    let arguments = arguments.into_iter().chain([file.as_os_str()]);
    git.answer(&arguments.collect::<Vec<_>>()).await.is_ok()
}
