//! `sysforge build`: every step, for every selected build of this machine's platform.

use std::time::Instant;

use serde::Serialize;
use sysforge_engine::runner::existing;
use sysforge_engine::{BuildOptions, BuildRunner, Planned, Repeat};
use sysforge_plan::Receipt;
use sysforge_plan::text::counted;

use super::start;
use crate::args::BuildArgs;
use crate::failure::{Failure, Outcome};
use crate::progress::seconds;
use crate::session::Session;

/// One build's result, for `--json`.
#[derive(Serialize)]
pub(super) struct Built {
    archive: std::path::PathBuf,
    size: u64,
    sha256: sysforge_plan::Sha256,
    receipt_file: std::path::PathBuf,
    pub(super) receipt: Receipt,
    /// The command that starts Julia with the image.
    command: String,
    /// The Julia that it was built with.
    #[serde(skip)]
    julia: Option<std::path::PathBuf>,
    /// Whether it was there already.
    reused: bool,
    /// Wall time of the whole build, and of it the time in which no child process ran, in seconds.
    wall_s: f64,
    own_s: f64,
}

/// A build before its first step.
enum Ready<'a> {
    /// It is done already.
    Known(Vec<(sysforge_pack::Packed, Receipt)>),
    /// It has its Julia, and its folder is locked.
    Open(Box<BuildRunner<'a>>),
}

/// What the images are built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// For their archives, which other machines get.
    Archives,
    /// To be used here: the image must be in the build directory, and what is up to date is not
    /// mentioned.
    Use,
}

/// How the planned images are built.
pub(super) struct Builds {
    pub(super) options: BuildOptions,
    pub(super) dist: std::path::PathBuf,
    pub(super) force: bool,
    pub(super) explain: bool,
    pub(super) purpose: Purpose,
}

pub(crate) async fn run(args: &BuildArgs, session: &Session) -> Outcome {
    let _heartbeat = session.heartbeat();
    let planned = session.plan(&args.selection.select).await?;
    let options = Builds {
        options: args.build.options(),
        dist: args.out.folder(&planned),
        force: args.force,
        explain: args.explain,
        purpose: Purpose::Archives,
    };
    let results = make(&options, &planned, session).await?;
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

/// Builds what is planned and not up to date.
pub(super) async fn make(
    builds: &Builds,
    planned: &Planned,
    session: &Session,
) -> Result<Vec<Built>, Failure> {
    let Builds {
        options,
        dist,
        force,
        explain,
        purpose,
    } = builds;
    let mut results = Vec::new();
    warn_of_runner(session);
    super::require_writable_folder(dist)?;
    // Each build gets its Julia and is asked about its CPU target before the first one begins: what can
    // fail there does so at once, and not after the minutes that another build takes.
    let mut ready = Vec::new();
    for build in &planned.plan.builds {
        session.runner.working_on(build.id.as_str());
        planned.require_locked(build, &options.packages)?;
        let started = Instant::now();
        let inputs = planned.basis(&session.engine, build, options)?.digest();
        let force = *force || planned.outside_changed(&session.engine, build);
        let apps = match purpose {
            Purpose::Archives => Some(&planned.plan.name),
            Purpose::Use => None,
        };
        let known = existing(dist, apps, build, inputs).filter(|known| {
            let image = start::image_of(session, planned, build);
            let size = || std::fs::metadata(image).map(|image| image.len());
            let is_here = *purpose == Purpose::Archives
                || size().is_ok_and(|size| known.iter().any(|(_, r)| r.image.size == size));
            !force && is_here
        });
        let state = match known {
            Some(known) => Ready::Known(known),
            None => {
                let runner = BuildRunner::probed(&session.engine, planned, build, options).await?;
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
        let built = match state {
            Ready::Known(known) => {
                if *purpose == Purpose::Archives {
                    session.terminal.heading(&format!(
                        "{} is up to date: nothing that decides the image has changed",
                        build.id
                    ));
                }
                known
            }
            Ready::Open(mut runner) => {
                session.terminal.group(&format!("Building {}", build.id));
                runner.explain = *explain;
                runner.instantiate(Repeat::IfNeeded).await?;
                let image = runner.run(dist, *force).await?;
                let apps = match purpose {
                    Purpose::Archives => runner.bundle(dist, &image.1).await?,
                    Purpose::Use => None,
                };
                session.terminal.end_group();
                say_result(session, &image.0, &image.1, opening + started.elapsed());
                if let Some((packed, receipt)) = &apps {
                    say_apps(session, packed, receipt);
                }
                std::iter::once(image).chain(apps).collect()
            }
        };
        let wall = started.elapsed();
        let own = wall.saturating_sub(session.engine.children.time() - children_before);
        // Where only the archive is left of an image, there is nothing to start.
        let has_image = start::image_of(session, planned, build).is_file();
        for (packed, receipt) in built {
            let (size, sha256) = (packed.size, packed.sha256);
            session.runner.built(&receipt, size, sha256, reused);
            let startable = has_image && receipt.bundle.is_none();
            let start = startable.then(|| start::start(session, planned, build, &receipt));
            let start = start.and_then(Result::ok);
            results.push(Built {
                archive: packed.archive,
                size,
                sha256,
                receipt_file: packed.receipt,
                receipt,
                command: start.map(|start| start.line()).unwrap_or_default(),
                julia: start::julia_of(session, planned, build).ok(),
                reused,
                wall_s: wall.as_secs_f64(),
                own_s: own.as_secs_f64(),
            });
        }
    }
    Ok(results)
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

fn say_apps(session: &Session, packed: &sysforge_pack::Packed, receipt: &Receipt) {
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
