//! Scripts that a Julia is given to run: workloads with their arguments.

use std::path::{Path, PathBuf};

use sysforge_plan::config::Workload;

/// How a script is run; staging uses it, too.
pub(crate) const RUN_SCRIPT: &str = include_str!("julia/script.jl");

/// A Julia script at its full path, and the arguments that it is run with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// The script.
    pub path: PathBuf,
    /// What Julia's `ARGS` will be.
    pub args: Vec<String>,
    /// Options for the Julia that runs it while it is traced: with several threads, for instance, Julia
    /// compiles more at its start.
    pub options: Vec<String>,
    /// The command that starts the Julia, with its arguments; empty for none.
    pub prefix: Vec<String>,
}

impl Script {
    /// A workload of the project in the folder `project`.
    #[must_use]
    pub fn of(workload: &Workload, project: &Path) -> Self {
        let mut prefix = workload.prefix.clone();
        // As the path of the workload: whichever folder it is started in.
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
