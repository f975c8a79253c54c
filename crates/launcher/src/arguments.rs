//! Separates the arguments of the app from those of Julia.

use std::ffi::{OsStr, OsString};

/// The argument that begins Julia's own options.
const MARK: &str = "--julia-args";

/// The separated arguments.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Arguments {
    /// The app's arguments, as typed.
    pub(crate) app: Vec<OsString>,
    /// Julia's options: the app's defaults, then those of the variable, then those of the command
    /// line, so that later ones take precedence.
    pub(crate) julia: Vec<OsString>,
}

impl Arguments {
    /// Splits the command line at `--julia-args`, which has no special meaning after `--`.
    pub(crate) fn split(
        given: &[OsString],
        variable: Option<&OsStr>,
        defaults: &[String],
    ) -> Result<Self, String> {
        let dashes = given.iter().position(|argument| argument == "--");
        let mark = given.iter().position(|argument| argument == MARK);
        let end = mark.filter(|mark| dashes.is_none_or(|dashes| *mark < dashes));
        let end = end.unwrap_or(given.len());
        let (app, typed) = given.split_at(end);
        let variable = variable.unwrap_or_default().to_str().ok_or_else(|| {
            format!(
                "the variable {} is not valid Unicode",
                crate::location::JULIA_ARGUMENTS
            )
        })?;
        let defaults = defaults.iter().map(OsString::from);
        let julia = defaults
            .chain(variable.split_whitespace().map(OsString::from))
            .chain(typed.iter().skip(1).cloned());
        Ok(Self {
            app: app.to_vec(),
            julia: julia.collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(given: &[&str], variable: &str) -> (Vec<OsString>, Vec<OsString>) {
        let given: Vec<OsString> = given.iter().map(OsString::from).collect();
        let defaults = ["--threads=2".to_owned()];
        let split = Arguments::split(&given, Some(OsStr::new(variable)), &defaults).unwrap();
        (split.app, split.julia)
    }

    #[test]
    fn the_app_gets_what_was_typed() {
        let hostile = [
            "",
            "a b",
            "'\"$(id)`\\",
            "--threads=7",
            "-e",
            "ä\u{1F600}",
            "*",
        ];
        assert_eq!(split(&hostile, "").0, hostile);
    }

    #[test]
    fn julia_gets_what_follows_the_mark_after_the_defaults_and_the_variable() {
        let (app, julia) = split(&["x", "--julia-args", "--threads=4", "-O1"], " -O0  -g1 ");
        assert_eq!(app, ["x"]);
        assert_eq!(julia, ["--threads=2", "-O0", "-g1", "--threads=4", "-O1"]);
    }

    #[test]
    fn the_mark_is_an_argument_like_any_other_after_two_dashes() {
        let (app, julia) = split(&["--", "--julia-args", "-O1"], "");
        assert_eq!(app, ["--", "--julia-args", "-O1"]);
        assert_eq!(julia, ["--threads=2"]);
    }
}
