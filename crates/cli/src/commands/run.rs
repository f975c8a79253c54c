//! `sysforge run`: builds the image if something has changed, then starts the project's Julia with it.

use std::ffi::OsString;

use sysforge_engine::builds::{Builds, Purpose};
use sysforge_engine::start;

use super::build;
use crate::args::RunArgs;
use crate::failure::Outcome;
use crate::session::Session;

pub(crate) async fn run(args: &RunArgs, session: &Session) -> Outcome {
    start::require_script(&args.arguments)?;
    let select: Vec<_> = args.build.iter().cloned().collect();
    let mut planned = session.plan(&select).await?;
    let ids = planned.plan.builds.iter().map(|build| build.id.to_string());
    if let [first, others @ ..] = ids.collect::<Vec<_>>().as_slice()
        && !others.is_empty()
    {
        session.terminal.say(&format!(
            "starting the first of {} images, {first}; `--build BUILD_ID` chooses another: {}",
            others.len() + 1,
            others.join(", ")
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
    options.choose_for_this_machine(&mut planned, &session.engine)?;
    let built = {
        // The heartbeat must not write between the lines of the program that is started.
        let _heartbeat = session.heartbeat();
        build::make(&options, &planned, session).await?
    };
    let (Some(built), Some(build)) = (built.first(), planned.plan.builds.first()) else {
        return Ok(());
    };
    session.progress.clear();
    let typed = as_typed(std::env::args_os().collect(), &args.arguments);
    let receipt = &built.receipt;
    Err(start::replace_process(&planned, build, receipt, &typed, &session.engine)?.into())
}

/// The arguments of Julia as they were typed: the parser removes a `--` among the arguments of a
/// script, which belongs to the script.
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
