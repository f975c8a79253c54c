//! `sysforge build`: every step, for every selected build of this machine's platform.

use std::time::Instant;

use serde::Serialize;
use sysforge_engine::{BuildRunner, Repeat};
use sysforge_pack::existing;
use sysforge_plan::Receipt;
use sysforge_plan::text::counted;

use crate::args::BuildArgs;
use crate::failure::Outcome;
use crate::progress::seconds;
use crate::session::Session;

/// One build's result, for `--json`.
#[derive(Serialize)]
struct Built {
    archive: std::path::PathBuf,
    size: u64,
    sha256: sysforge_plan::Sha256,
    receipt_file: std::path::PathBuf,
    receipt: Receipt,
    /// Whether it was there already.
    reused: bool,
    /// Wall time of the whole build, and of it the time in which no child process ran, in seconds.
    wall_s: f64,
    own_s: f64,
}

/// A build before its first step.
enum Ready<'a> {
    /// It is done already.
    Known(Box<(sysforge_pack::Packed, Receipt)>),
    /// It has its Julia, and its folder is locked.
    Open(Box<BuildRunner<'a>>),
}

pub(crate) async fn run(args: &BuildArgs, session: &Session) -> Outcome {
    let _heartbeat = session.heartbeat();
    let options = args.build.options();
    let planned = session.plan(&args.selection.select).await?;
    let mut results = Vec::new();
    let dist = args.out.folder(&planned);
    warn_of_runner(session);
    super::require_writable_folder(&dist)?;
    // Each build gets its Julia and is asked about its CPU target before the first one begins: what can
    // fail there does so at once, and not after the minutes that another build takes.
    let mut ready = Vec::new();
    for build in &planned.plan.builds {
        session.runner.working_on(build.id.as_str());
        planned.require_locked(build, &options.packages)?;
        let started = Instant::now();
        let inputs = planned.basis(&session.engine, build, &options)?.digest();
        let known = existing(&dist, &build.id, build.archive, inputs).filter(|_| !args.force);
        let state = match known {
            Some(known) => Ready::Known(Box::new(known)),
            None => {
                let runner =
                    BuildRunner::probed(&session.engine, &planned, build, &options).await?;
                Ready::Open(Box::new(runner))
            }
        };
        ready.push((build, state, started.elapsed()));
    }
    for (build, state, opening) in ready {
        session.runner.working_on(build.id.as_str());
        let started = Instant::now();
        let children_before = session.engine.children.time();
        let reused = matches!(state, Ready::Known(_));
        let (packed, receipt) = match state {
            Ready::Known(known) => {
                session.terminal.heading(&format!(
                    "{} is up to date: nothing that decides the image has changed",
                    build.id
                ));
                *known
            }
            Ready::Open(mut runner) => {
                session.terminal.group(&format!("Building {}", build.id));
                runner.explain = args.explain;
                runner.instantiate(Repeat::IfNeeded).await?;
                let built = runner.run(&dist, args.force).await?;
                session.terminal.end_group();
                say_result(session, &built.0, &built.1, opening + started.elapsed());
                built
            }
        };
        let (size, sha256) = (packed.size, packed.sha256);
        session.runner.built(&receipt, size, sha256, reused);
        let wall = started.elapsed();
        let own = wall.saturating_sub(session.engine.children.time() - children_before);
        results.push(Built {
            archive: packed.archive,
            size: packed.size,
            sha256: packed.sha256,
            receipt_file: packed.receipt,
            receipt,
            reused,
            wall_s: wall.as_secs_f64(),
            own_s: own.as_secs_f64(),
        });
    }
    outputs(session, &results);
    if session.global.json {
        session.terminal.json(&results);
    } else {
        for result in &results {
            session.terminal.data(&result.archive.display().to_string());
        }
    }
    Ok(())
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

fn say_result(
    session: &Session,
    packed: &sysforge_pack::Packed,
    receipt: &Receipt,
    wall: std::time::Duration,
) {
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

/// Warns of what would go wrong on another machine.
fn say_portability(session: &Session, receipt: &Receipt) {
    let Some(portability) = &receipt.check.portability else {
        return;
    };
    let needed: Vec<_> = portability.needed().collect();
    for found in needed.iter().take(5) {
        session.terminal.warning(
            &format!(
                "the image holds a path of this machine: {} ({})",
                found.path,
                counted(found.times, "time")
            ),
            None,
        );
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
