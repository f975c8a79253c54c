//! Values of options: those that are empty, and those that come from environment variables.

use std::ffi::OsString;

use clap::builder::Resettable;
use clap::error::ErrorKind;
use clap::error::{ContextKind, ContextValue};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, Error};
use sysforge_plan::text::escaped;

/// Makes an argument ignore its variable if the variable is empty: CI services set variables for
/// omitted inputs to the empty string.
pub(super) fn ignoring_empty(arg: Arg) -> Arg {
    match value_of(&arg).is_some_and(|value| value.is_empty()) {
        true => arg.env(Resettable::Reset),
        false => arg,
    }
}

/// Returns which argument or variable is not UTF-8.
fn not_utf8(command: &Command, typed: &[OsString]) -> Option<String> {
    if let Some(word) = typed.iter().find(|word| word.to_str().is_none()) {
        return Some(format!("not UTF-8: {}", escaped(&word.to_string_lossy())));
    }
    let is_wrong = |arg: &&Arg| value_of(arg).is_some_and(|value| value.to_str().is_none());
    let of_command = command.get_arguments().find(is_wrong);
    let arg = of_command.and_then(|arg| arg.get_env());
    arg.map(|name| format!("not UTF-8: the value of the variable {}", name.display()))
        .or_else(|| command.get_subcommands().find_map(|sub| not_utf8(sub, &[])))
}

/// Adds to an error about a value which variable it comes from, if it was not typed.
pub(crate) fn name_variable(error: &mut Error, command: &Command, typed: &[OsString]) {
    if error.kind() == ErrorKind::InvalidUtf8 {
        let tips = not_utf8(command, typed).map(|tip| vec![tip.into()]);
        error.insert(
            ContextKind::Suggested,
            ContextValue::StyledStrs(tips.unwrap_or_default()),
        );
        return;
    }
    let Some(ContextValue::String(invalid)) = error.get(ContextKind::InvalidArg) else {
        return;
    };
    let Some(arg) = find(command, invalid) else {
        return;
    };
    let option = format!("--{}", arg.get_long().unwrap_or_default());
    let is_typed = typed.iter().any(|word| {
        let word = word.to_string_lossy();
        word == option || word.starts_with(&format!("{option}="))
    });
    if let (false, Some(_), Some(name)) = (is_typed, value_of(arg), arg.get_env()) {
        let tip = format!("the value comes from the variable {}", name.display());
        let tips = ContextValue::StyledStrs(vec![tip.into()]);
        error.insert(ContextKind::Suggested, tips);
    }
}

fn value_of(arg: &Arg) -> Option<OsString> {
    std::env::var_os(arg.get_env()?)
}

/// Finds the argument that an error shows like this.
fn find<'a>(command: &'a Command, shown: &str) -> Option<&'a Arg> {
    let mut own = command.get_arguments();
    own.find(|arg| arg.get_env().is_some() && arg.to_string() == shown)
        .or_else(|| command.get_subcommands().find_map(|sub| find(sub, shown)))
}

/// Returns the error for an option whose value is empty, if there is one: nothing has an empty name
/// or path.
pub(crate) fn empty_value(command: &Command, typed: &ArgMatches) -> Option<Error> {
    let is_empty = |arg: &&Arg| {
        let id = arg.get_id().as_str();
        arg.get_long().is_some()
            && typed.value_source(id) == Some(ValueSource::CommandLine)
            && typed
                .get_raw(id)
                .is_some_and(|mut values| values.any(|value| value.is_empty()))
    };
    if let Some(arg) = command.get_arguments().find(is_empty) {
        let text = format!("a value is required for '{arg}' but none was supplied");
        let mut command = command.clone();
        return Some(command.error(ErrorKind::InvalidValue, text));
    }
    let (name, below) = typed.subcommand()?;
    empty_value(command.find_subcommand(name)?, below)
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    #[test]
    fn an_argument_that_is_not_utf_8_is_shown() {
        let word = OsString::from_vec(b"--julia=1\xff\x1b".to_vec());
        let typed = ["sysforge".into(), "plan".into(), word];
        let mut command = crate::args::command();
        let mut error = command.try_get_matches_from_mut(&typed).unwrap_err();
        name_variable(&mut error, &command, &typed);
        let shown = error.render().to_string();
        assert!(
            shown.contains("not UTF-8: --julia=1\u{fffd}\\u{1b}"),
            "{shown}"
        );
    }
}
