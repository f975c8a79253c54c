//! `sysforge build`: every step, for every selected build of this machine's platform.

use sysforge_engine::Planned;
use sysforge_engine::builds::{Builds, Built, Purpose, Stage};
use sysforge_pack::Packed;
use sysforge_plan::Receipt;
use sysforge_plan::text::counted;

use crate::args::BuildArgs;
use crate::failure::{Failure, Outcome};
use crate::progress::seconds;
use crate::session::Session;

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
    outputs(session, &results);
    if session.global.json {
        session.terminal.json(&results);
        return Ok(());
    }
    for result in &results {
        session.terminal.data(&result.archive.display().to_string());
    }
    if !session.runner.on {
        say_next(session, &results);
    }
    Ok(())
}

/// Builds what is planned and not up to date, and prints how far it is.
pub(super) async fn make(
    builds: &Builds,
    planned: &Planned,
    session: &Session,
) -> Result<Vec<Built>, Failure> {
    warn_of_runner(session);
    let is_quiet_if_up_to_date = builds.purpose == Purpose::Use;
    let observe = |stage: Stage<'_>| match stage {
        Stage::Next(id) => session.runner.working_on(id.as_str()),
        Stage::UpToDate(_) if is_quiet_if_up_to_date => {}
        Stage::UpToDate(id) => session.terminal.heading(&format!(
            "{id} is up to date: nothing that decides the image has changed"
        )),
        Stage::Started(id) => session.terminal.group(&format!("Building {id}")),
        Stage::Done(_) => session.terminal.end_group(),
        Stage::Built(packed, receipt, _) if receipt.bundle.is_some() => {
            say_apps(session, packed, receipt);
        }
        Stage::Built(packed, receipt, wall) => say_result(session, packed, receipt, wall),
        Stage::Available(packed, receipt, reused) => {
            session
                .runner
                .built(receipt, packed.size, packed.sha256, reused);
        }
    };
    builds.make(planned, &session.engine, &observe).await
}

/// Says how the images are used.
fn say_next(session: &Session, results: &[Built]) {
    for result in results.iter().filter(|result| !result.command.is_empty()) {
        session
            .terminal
            .say(&format!("start Julia with it: {}", result.command));
    }
    session
        .terminal
        .say("next: `sysforge run`, or `sysforge publish --to dir:PATH`");
}

/// What later steps of a workflow may want: of several images, one a line.
fn outputs(session: &Session, results: &[Built]) {
    let lines = |of: fn(&Built) -> String| {
        let all: Vec<_> = results.iter().map(of).collect();
        all.join("\n")
    };
    let output = |name, value: String| session.runner.output(name, &value);
    output("build", lines(|built| built.receipt.build_id.to_string()));
    output("image", lines(|built| built.archive.display().to_string()));
    output(
        "receipt",
        lines(|built| built.receipt_file.display().to_string()),
    );
    output("sha256", lines(|built| built.sha256.to_string()));
    let hit = !results.is_empty() && results.iter().all(|built| built.reused);
    output("cache-hit", hit.to_string());
    let julias = results.iter().filter_map(|built| {
        Some((
            built.receipt.julia.version.to_string(),
            built.julia.clone()?,
        ))
    });
    session.runner.output_julias(julias);
}

/// The workflow says which runner it asked for; one that dies is worth a warning in time.
fn warn_of_runner(session: &Session) {
    let label = session
        .variables
        .get("SYSFORGE_RUNNER")
        .and_then(|label| label.to_str());
    let runner = label.and_then(sysforge_plan::runner::Runner::named);
    if let Some(dying) = runner.and_then(|runner| runner.dying(crate::runner::today())) {
        session
            .engine
            .reporter
            .warn(dying.to_string(), Some(dying.hint()));
    }
}

fn say_result(session: &Session, packed: &Packed, receipt: &Receipt, wall: std::time::Duration) {
    let terminal = session.terminal;
    let failed = &receipt.statements.failed;
    for unreplayed in failed.iter().take(5) {
        terminal.warning(
            &format!(
                "not replayed: {}: {}",
                unreplayed.reason, unreplayed.statement
            ),
            None,
        );
    }
    if failed.len() > 5 {
        terminal.warning(
            &format!(
                "and {} more statements; the receipt lists them",
                failed.len() - 5
            ),
            None,
        );
    }
    let targets = &receipt.targets;
    let requested = targets.requested.split(';').count();
    if let Some(held) = targets.held.as_ref().filter(|held| held.len() < requested) {
        terminal.warning(
            &format!(
                "of the {requested} CPU targets that were asked for, Julia put only {} into the \
                 image: {}",
                held.len(),
                held.join(";")
            ),
            Some("the image runs wherever that target does; `cpu` may also be a list, for one image each"),
        );
    }
    say_portability(session, receipt);
    let residuals = match receipt.check.residuals.len() {
        0 => "nothing left to compile".to_owned(),
        1 => "1 statement left to compile".to_owned(),
        count => format!("{count} statements left to compile"),
    };
    terminal.heading(&format!(
        "Built {} in {}: image {} MB, archive {} MB, {residuals}",
        receipt.build_id,
        seconds(wall),
        receipt.image.size / 1_000_000,
        packed.size / 1_000_000
    ));
}

fn say_apps(session: &Session, packed: &Packed, receipt: &Receipt) {
    let Some(bundle) = &receipt.bundle else {
        return;
    };
    let names: Vec<_> = bundle.apps.iter().map(|app| app.name.as_str()).collect();
    let unpacked: u64 = bundle.files.iter().map(|file| file.size).sum();
    session.terminal.heading(&format!(
        "Built {}: {}, unpacked {} MB, archive {} MB",
        receipt.build_id,
        names.join(", "),
        unpacked / 1_000_000,
        packed.size / 1_000_000
    ));
}

/// Warns of what would go wrong on another machine.
fn say_portability(session: &Session, receipt: &Receipt) {
    let Some(portability) = &receipt.check.portability else {
        return;
    };
    let needed: Vec<_> = portability.needed().collect();
    for found in needed.iter().take(5) {
        let text = match found.needed {
            Some(_) => format!(
                "the workloads fail where a path of this machine does not exist: {}",
                found.path
            ),
            None => format!(
                "the image holds a path of this machine: {} ({})",
                found.path,
                counted(found.times, "time")
            ),
        };
        session.terminal.warning(&text, None);
    }
    if !needed.is_empty() {
        session.terminal.warning(
            &format!(
                "{} of this machine may be missed where the image runs",
                counted(needed.len(), "path")
            ),
            Some(
                "a package that computes a path once keeps it: compute it in a function or in \
                 `__init__`, or use an artifact; the receipt lists all",
            ),
        );
    }
    if !portability.artifacts.is_empty() {
        session.terminal.say(&format!(
            "{} of the packages travel in the archive",
            counted(portability.artifacts.len(), "artifact")
        ));
    }
}
