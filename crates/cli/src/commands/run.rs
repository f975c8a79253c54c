//! `sysforge run`: builds the image if something has changed, then starts the project's Julia with it.

use std::convert::Infallible;
use std::ffi::OsString;
use std::process::Command;

use super::build;
use super::start::start;
use crate::args::RunArgs;
use crate::failure::{CliError, Outcome};
use crate::session::Session;

pub(crate) async fn run(args: &RunArgs, session: &Session) -> Outcome {
    let select: Vec<_> = args.build.iter().cloned().collect();
    let mut planned = session.plan(&select).await?;
    if planned.plan.builds.len() > 1 {
        let ids = planned.plan.builds.iter().map(|build| build.id.to_string());
        let ids: Vec<_> = ids.collect();
        session.terminal.say(&format!(
            "starting the first of {} images, {}; `--build BUILD_ID` chooses another: {}",
            ids.len(),
            ids[0],
            ids[1..].join(", ")
        ));
        planned.plan.builds.truncate(1);
    }
    let options = build::Builds {
        options: args.flags.options(),
        dist: planned.dist(),
        force: false,
        explain: false,
        purpose: build::Purpose::Use,
    };
    let built = {
        // It must not write between the lines of the program that is started.
        let _heartbeat = session.heartbeat();
        build::make(&options, &planned, session).await?
    };
    let (Some(built), Some(planned_build)) = (built.first(), planned.plan.builds.first()) else {
        return Ok(());
    };
    let start = start(session, &planned, planned_build, &built.receipt)?;
    let mut command = Command::new(&start.julia);
    command
        .args(&start.arguments)
        .args(as_typed(std::env::args_os().collect(), &args.arguments))
        .env("JULIA_PROJECT", &planned.files.folder)
        .envs(start.variables.iter().map(|(name, value)| (name, value)));
    session.progress.clear();
    match execute(&mut command)? {}
}

/// The arguments of Julia as they were typed: a `--` among those of a script is the script's, but the
/// parser takes it for its own and leaves it out.
fn as_typed(typed: Vec<OsString>, parsed: &[OsString]) -> Vec<OsString> {
    let start = typed.len().saturating_sub(parsed.len() + 1);
    let end = &typed[start..];
    let Some(at) = end.iter().position(|word| word == "--") else {
        return parsed.to_owned();
    };
    let others = end.iter().enumerate().filter(|(index, _)| *index != at);
    match at > 0 && others.map(|(_, word)| word).eq(parsed) {
        true => end.to_owned(),
        false => parsed.to_owned(),
    }
}

/// Takes the place of this process, so that signals and the exit code are the program's own. Returns
/// only if the program cannot be started.
#[cfg(unix)]
fn execute(command: &mut Command) -> Result<Infallible, CliError> {
    use std::os::unix::process::CommandExt as _;
    let source = command.exec();
    Err(CliError::NotStarted {
        program: command.get_program().into(),
        source,
    })
}

/// Runs the program and ends with its exit code. Windows sends Ctrl-C to both.
#[cfg(not(unix))]
fn execute(command: &mut Command) -> Result<Infallible, CliError> {
    match command.status() {
        Ok(status) => std::process::exit(status.code().unwrap_or(1)),
        Err(source) => Err(CliError::NotStarted {
            program: command.get_program().into(),
            source,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn two_hyphens_of_a_script_reach_it() {
        for (typed, parsed, expected) in [
            ("sysforge run a.jl x", "a.jl x", "a.jl x"),
            ("sysforge run a.jl x -- y", "a.jl x y", "a.jl x -- y"),
            ("sysforge run -- -t 4", "-t 4", "-t 4"),
            ("sysforge run -- a.jl -- y", "a.jl -- y", "a.jl -- y"),
            ("sysforge run", "", ""),
            ("sysforge run --", "", ""),
        ] {
            assert_eq!(
                as_typed(words(typed), &words(parsed)),
                words(expected),
                "{typed}"
            );
        }
    }
}
