//! Hints with commands that can be typed on this machine.

use std::path::PathBuf;

use sysforge_plan::Request;
use sysforge_publish::install::activate::quoted;

use crate::Engine;

/// The beginning of a `julia` command in a hint. It does not match the key in `Sysimage.toml`,
/// which is followed by `=`.
const COMMAND: &str = "`julia ";

/// The beginning of a command for the project in the current folder.
const IN_PROJECT: &str = "`julia --project";

impl Engine {
    /// Names the project in the commands of a hint if it is not the one in the current folder. Replaces
    /// `julia` in them if none is on the search path: by a Julia that was already queried, or by one in the
    /// store, or else by a command that installs one and prints its path.
    pub fn runnable(&self, hint: String) -> String {
        let hint = match self.location.other_project() {
            Some(project) => with_project(&hint, &quoted(&project)),
            None => hint,
        };
        if !has_command(&hint) || self.local_julia(&Request::System).is_ok() {
            return hint;
        }
        let julia = match self.asked_julia().or_else(|| self.stored_julia()) {
            Some(path) => quoted(&path.to_string_lossy()),
            None => "$(sysforge julia install)".to_owned(),
        };
        with_julia(&hint, &julia)
    }

    fn stored_julia(&self) -> Option<PathBuf> {
        let found = self.acquirer().ok()?;
        let found = found.stored(&Request::Release, Self::host().ok()?);
        Some(found.ok()??.executable)
    }
}

fn has_command(hint: &str) -> bool {
    hint.split(COMMAND)
        .skip(1)
        .any(|rest| !rest.starts_with('='))
}

/// Adds the project to the option `--project` of the commands, unless they name one.
fn with_project(hint: &str, project: &str) -> String {
    let mut parts = hint.split(IN_PROJECT);
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push_str(IN_PROJECT);
        if part.starts_with([' ', '`']) {
            text.extend(["=", project]);
        }
        text.push_str(part);
    }
    text
}

fn with_julia(hint: &str, julia: &str) -> String {
    let mut parts = hint.split(COMMAND);
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let program = if part.starts_with('=') {
            "julia"
        } else {
            julia
        };
        text.extend(["`", program, " ", part]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Environment, Location};

    #[test]
    fn a_command_names_the_project_if_it_is_not_the_one_in_the_current_folder() {
        let root = tempfile::tempdir().unwrap();
        for folder in ["a", "a/below", "b"] {
            std::fs::create_dir(root.path().join(folder)).unwrap();
        }
        for folder in ["a", "b"] {
            std::fs::write(root.path().join(folder).join("Project.toml"), "").unwrap();
        }
        let shown = |project: Option<&str>| {
            let mut location = Location::in_folder(root.path().join("a/below"));
            location.project = project.map(PathBuf::from);
            let engine = Engine::new(None, location, Environment::default());
            engine.runnable("run `julia --project -e 'using Pkg; Pkg.resolve()'`".to_owned())
        };
        assert!(shown(None).contains(" --project -e "));
        assert!(shown(Some("..")).contains(" --project -e "));
        assert!(shown(Some("../../b")).contains(" --project=../../b -e "));
        assert_eq!(
            with_project("`julia --project` or `julia --project=c`", "b"),
            "`julia --project=b` or `julia --project=c`"
        );
    }

    #[test]
    fn commands_are_replaced_and_keys_are_not() {
        let hint = "set `julia = \"1.10\"`, or type `julia --project` or `julia -C help`";
        assert!(has_command(hint));
        assert_eq!(
            with_julia(hint, "/opt/julia"),
            "set `julia = \"1.10\"`, or type `/opt/julia --project` or `/opt/julia -C help`"
        );
        assert!(!has_command(
            "set `julia = \"1.10\"`, or `juliaup add 1.10`"
        ));
    }
}
