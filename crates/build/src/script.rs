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
    pub fn of(workload: &Workload, project: &Path) -> Self {
        let mut prefix = workload.prefix.clone();
        // Made absolute like the workload's path, so that it works in any working directory.
        let command = prefix.first_mut();
        if let Some(command) = command.filter(|word| word.contains(std::path::is_separator)) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_with_a_path_is_in_the_project_and_a_name_is_not() {
        let prefix = |word: &str| {
            let workload = Workload {
                path: "workload.jl".to_owned(),
                args: Vec::new(),
                prefix: vec![word.to_owned()],
            };
            Script::of(&workload, Path::new("project")).prefix[0].clone()
        };
        let inside = |path: &str| {
            Path::new("project")
                .join(path)
                .to_string_lossy()
                .into_owned()
        };
        assert_eq!(prefix("srun"), "srun");
        assert_eq!(prefix("bin/run"), inside("bin/run"));
        let of_windows = match cfg!(windows) {
            true => inside(r"bin\run"),
            false => r"bin\run".to_owned(),
        };
        assert_eq!(prefix(r"bin\run"), of_windows);
    }
}
