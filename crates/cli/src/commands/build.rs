//! `sysforge build`: every step, for every selected build of this machine's platform.

use sysforge_actions::summary::Image;
use sysforge_engine::Planned;
use sysforge_engine::builds::{Builds, Built, Purpose, Stage, outputs};

use crate::args::BuildArgs;
use crate::failure::{Failure, Outcome};
use crate::session::{Session, today};

pub(crate) async fn run(args: &BuildArgs, session: &Session) -> Outcome {
    let _heartbeat = session.heartbeat();
    let planned = session.plan(&args.selection.select).await?;
    let builds = Builds {
        options: args.build.options(),
        dist: args.out.folder(&planned),
        force: args.force,
        explain: args.explain,
        purpose: Purpose::Archives,
    };
    let results = make(&builds, &planned, session).await?;
    session.set_outputs(&outputs(&results));
    let archives = results.iter().map(|result| result.archive.display());
    session.print_lines(&results, archives);
    if session.global.json || session.runner.on {
        return Ok(());
    }
    for command in results.iter().map(|result| &result.command) {
        if !command.is_empty() {
            let text = format!("start Julia with it: {command}");
            session.terminal.say(&text);
        }
    }
    session
        .terminal
        .say("next: `sysforge run`, or `sysforge publish --to dir:PATH`");
    Ok(())
}

/// Builds what is planned and not up to date, and prints the progress.
pub(super) async fn make(
    builds: &Builds,
    planned: &Planned,
    session: &Session,
) -> Result<Vec<Built>, Failure> {
    // The workflow passes the label of the runner.
    let label = session.variables.text("SYSFORGE_RUNNER");
    session
        .engine
        .warn_of_runners(label.as_deref().into_iter(), today());
    let terminal = session.terminal;
    let is_quiet_if_up_to_date = builds.purpose == Purpose::Use;
    let observe = |stage: Stage<'_>| match stage {
        Stage::Next(id) => session.runner.working_on(id.as_str()),
        Stage::UpToDate(_) if is_quiet_if_up_to_date => {}
        Stage::UpToDate(id) => terminal.heading(&format!(
            "{id} is up to date: nothing that decides the image has changed"
        )),
        Stage::Started(id) => terminal.group(&format!("Building {id}")),
        Stage::Done(_) => terminal.end_group(),
        Stage::Built(headline) => terminal.heading(&headline),
        Stage::Available(packed, receipt, reused) => session.runner.built(Image {
            receipt: receipt.clone(),
            size: packed.size,
            sha256: packed.sha256,
            reused,
        }),
    };
    builds.make(planned, &session.engine, &observe).await
}
