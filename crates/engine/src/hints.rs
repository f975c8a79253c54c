//! Hints with commands that can be typed on this machine.

use std::path::PathBuf;

use sysforge_plan::Request;
use sysforge_publish::install::activate::quoted;

use crate::Engine;

/// The beginning of a `julia` command in a hint. It does not match the key in `Sysimage.toml`,
/// which is followed by `=`.
const COMMAND: &str = "`julia ";

impl Engine {
    /// Replaces `julia` in the commands of a hint if none is on the search path: by a Julia that
    /// was already queried, or by one in the store, or else by a command that installs one and
    /// prints its path.
    pub fn runnable(&self, hint: String) -> String {
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
