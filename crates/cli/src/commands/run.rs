//! `sysforge run`: builds the image if something has changed, then starts the project's Julia with it.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use sysforge_engine::builds::{Builds, Purpose};
use sysforge_engine::start::start;

use super::build;
use crate::args::RunArgs;
use crate::failure::{CliError, Outcome};
use crate::session::Session;

pub(crate) async fn run(args: &RunArgs, session: &Session) -> Outcome {
    require_script(&args.arguments)?;
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
    let options = Builds {
        options: args.flags.options(),
        dist: planned.dist(),
        force: false,
        explain: false,
        purpose: Purpose::Use,
    };
    let built = {
        // It must not write between the lines of the program that is started.
        let _heartbeat = session.heartbeat();
        build::make(&options, &planned, session).await?
    };
    let (Some(built), Some(planned_build)) = (built.first(), planned.plan.builds.first()) else {
        return Ok(());
    };
    let start = start(&session.engine, &planned, planned_build, &built.receipt)?;
    session.progress.clear();
    let folder = planned.files.folder.as_os_str();
    let variables = start.variables.iter();
    let variables = variables.map(|(name, value)| (OsStr::new(name), OsStr::new(value)));
    let variables = [(OsStr::new("JULIA_PROJECT"), folder)]
        .into_iter()
        .chain(variables);
    let arguments = start.arguments.iter().map(OsStr::new);
    let typed = as_typed(std::env::args_os().collect(), &args.arguments);
    let arguments = arguments.chain(typed.iter().map(OsString::as_os_str));
    let source = sysforge_process::replace(Path::new(&start.julia), arguments, variables);
    let program = start.julia.into();
    Err(CliError::NotStarted { program, source }.into())
}

/// Makes sure, before anything is built, that a script which was named exists.
fn require_script(arguments: &[OsString]) -> Result<(), CliError> {
    let Some(first) = arguments.first().map(Path::new) else {
        return Ok(());
    };
    // Anything else may be an option of Julia, or the value of one.
    let is_script = first.extension().is_some_and(|extension| extension == "jl");
    if !is_script || first.exists() {
        return Ok(());
    }
    let folder = first.parent().filter(|parent| *parent != Path::new(""));
    let entries = std::fs::read_dir(folder.unwrap_or(Path::new("."))).into_iter();
    let entries = entries.flatten().flatten();
    let names: Vec<_> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.ends_with(".jl"))
        .collect();
    let typed = first.file_name().unwrap_or_default().to_string_lossy();
    let nearest = sysforge_plan::explain::nearest(&typed, names.iter().map(String::as_str));
    Err(CliError::NoScript {
        path: first.to_owned(),
        nearest: nearest.map(|name| first.with_file_name(name).display().to_string()),
    })
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
