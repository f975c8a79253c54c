//! Scripts that a Julia runs: workloads with their arguments.

use std::path::{Path, PathBuf};

use sysforge_plan::config::Workload;

/// The code that runs a script; staging uses it too.
pub(crate) const RUN_SCRIPT: &str = include_str!("julia/script.jl");

/// A Julia script with its full path and its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// The script.
    pub path: PathBuf,
    /// The value of Julia's `ARGS`.
    pub args: Vec<String>,
    /// Options of the Julia that runs it while it is traced: for example, with several threads
    /// Julia compiles more at its start.
    pub options: Vec<String>,
    /// The command that starts the Julia, with its arguments; may be empty.
    pub prefix: Vec<String>,
}

impl Script {
    /// Returns a workload of the project in the folder `project`.
    #[must_use]
    pub fn of(workload: &Workload, project: &Path) -> Self {
        let mut prefix = workload.prefix.clone();
        // Made absolute like the workload's path, so that it works in any working directory.
        if let Some(command) = prefix.first_mut().filter(|word| word.contains('/')) {
            *command = project.join(&*command).to_string_lossy().into_owned();
        }
        Self {
            path: project.join(&workload.path),
            args: workload.args.clone(),
            options: Vec::new(),
            prefix,
        }
    }
}
