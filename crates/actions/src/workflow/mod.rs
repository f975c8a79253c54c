//! The workflow file: plan, build, publish as a draft, verify from it, make it public. The steps
//! are in `jobs`; this file puts them together and knows the marks of hand-made parts.

mod jobs;
mod triggers;

use sysforge_plan::Sha256;
use sysforge_plan::config::Workflow;
use sysforge_plan::explain::{Class, Explain};

use crate::handmade;

/// Where the workflow lies, below the repository's root.
pub const PATH: &str = ".github/workflows/sysimage.yml";

/// What the file begins with, and by which it is recognised.
const HEAD: &str = "# Written by `sysforge workflow`";

/// Where Sysforge's own releases are.
pub const RELEASES: &str = "https://github.com/sysforge/sysforge/releases/download";

/// The script that gets Sysforge; `action.yml` has the same one.
pub const INSTALL: &str = include_str!("install.sh");

/// What the workflow is made from.
#[derive(Debug, Clone)]
pub struct Inputs<'a> {
    /// `[workflow]` of `Sysimage.toml`.
    pub options: &'a Workflow,
    /// The project's folder below the repository's root, with `/`; empty if it is the root.
    pub project: &'a str,
    /// The version of this Sysforge.
    pub version: &'a str,
}

/// No workflow can be made.
#[derive(Debug, thiserror::Error)]
pub enum WorkflowError {
    /// Nothing says which bytes of Sysforge the runners may run.
    #[error("the workflow has no checksum of the Sysforge {version} that its runners would fetch")]
    Unpinned {
        /// The version.
        version: String,
        /// Where its checksums lie.
        sums: String,
    },
    /// Nothing would ever start it.
    #[error("nothing would start the workflow: it has no tags, no schedule and no other trigger")]
    NoTrigger,
    /// The folder's name would have to be quoted in too many ways.
    #[error("the project's folder `{0}` has characters that workflow files do not take")]
    Folder(String),
}

impl Explain for WorkflowError {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn hints(&self) -> Vec<String> {
        vec![match self {
            Self::Unpinned { sums, .. } => format!(
                "download {sums} and run `sysforge workflow --pin SHA256SUMS`, which writes its \
                 digest into Sysimage.toml; or compile Sysforge on the runners: `source` below \
                 [workflow.tool]"
            ),
            Self::NoTrigger => {
                "give it `manual = true` below [workflow] in Sysimage.toml".to_owned()
            }
            Self::Folder(_) => {
                "use letters, digits, `.`, `_`, `-` and `/` in names of folders".to_owned()
            }
        }]
    }
}

/// Where the runners get Sysforge from.
#[derive(Debug, Clone)]
enum Tool {
    Release {
        version: String,
        from: String,
        sums: Sha256,
    },
    Source(String),
}

/// Writes the workflow, with empty places for hand-made parts.
///
/// # Errors
///
/// If an option is missing.
pub fn generate(inputs: &Inputs<'_>) -> Result<String, WorkflowError> {
    let Inputs {
        options, project, ..
    } = inputs;
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    if !project.chars().all(plain) {
        return Err(WorkflowError::Folder((*project).to_owned()));
    }
    let tool = tool(inputs)?;
    let mut text = head();
    text.push_str(&triggers::triggers(options)?);
    text.push_str(&environment(&tool, project));
    text.push_str("\njobs:\n");
    let jobs = jobs::Jobs {
        options,
        tool: &tool,
        project,
    };
    text.push_str(&jobs.all());
    text.push('\n');
    text.push_str(&handmade::place(2, "jobs"));
    Ok(text)
}

/// Whether a file was written by [`generate`].
#[must_use]
pub fn is_ours(text: &str) -> bool {
    text.starts_with(HEAD)
}

/// The folder of the project that a workflow of ours is for; empty for the repository's root.
#[must_use]
pub fn project_of(text: &str) -> String {
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix("  SYSFORGE_PROJECT: "))
        .unwrap_or_default();
    serde_json::from_str(value).unwrap_or_default()
}

fn tool(inputs: &Inputs<'_>) -> Result<Tool, WorkflowError> {
    let tool = &inputs.options.tool;
    if let Some(source) = &tool.source {
        return Ok(Tool::Source(source.clone()));
    }
    let version = tool
        .version
        .clone()
        .unwrap_or_else(|| inputs.version.to_owned());
    let from = match &tool.from {
        Some(from) => from.trim_end_matches('/').to_owned(),
        None => format!("{RELEASES}/v{version}"),
    };
    match tool.sums {
        Some(sums) => Ok(Tool::Release {
            version,
            from,
            sums,
        }),
        None => Err(WorkflowError::Unpinned {
            sums: format!("{from}/SHA256SUMS"),
            version,
        }),
    }
}

fn head() -> String {
    format!(
        "{HEAD} from Sysimage.toml: change that and run it again.\n\
         # What you add between `sysforge:keep` and `sysforge:end` stays.\n\
         name: Sysimages\n\n"
    )
}

fn environment(tool: &Tool, project: &str) -> String {
    let mut text = String::from("\nenv:\n");
    let mut variable = |name: &str, value: &str| {
        text.push_str(&format!("  {name}: {}\n", quoted(value)));
    };
    if !project.is_empty() {
        variable("SYSFORGE_PROJECT", project);
    }
    variable("SYSFORGE_STORE", "${{ github.workspace }}/.sysforge-store");
    variable("SYSFORGE_DEPOT", "${{ github.workspace }}/.sysforge-depot");
    match tool {
        Tool::Release {
            version,
            from,
            sums,
        } => {
            variable("SYSFORGE_VERSION", version);
            variable("SYSFORGE_FROM", from);
            variable("SYSFORGE_SUMS", &sums.to_string());
        }
        Tool::Source(source) => variable("SYSFORGE_SOURCE", source),
    }
    text.push_str(&handmade::place(2, "env"));
    text
}

/// A value as YAML takes it whatever is in it: JSON's strings are YAML's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
