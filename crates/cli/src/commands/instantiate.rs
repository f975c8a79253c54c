//! `sysforge instantiate`: the packages of each build's environment, installed and precompiled.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use sysforge_build::depots;
use sysforge_build::instantiate::Instantiated;
use sysforge_engine::{BuildOptions, BuildRunner, Repeat, runner};
use sysforge_plan::BuildId;

use crate::args::InstantiateArgs;
use crate::failure::{CliError, Failure, Outcome};
use crate::session::Session;
use sysforge_engine::paths::absolute;

/// One environment, for `--json`.
#[derive(Serialize)]
struct Shown<'a> {
    build_id: &'a BuildId,
    /// The folder that Julia takes as the project.
    project: &'a Path,
    /// The manifest that is used.
    manifest: Option<&'a Path>,
    /// Whether its versions were resolved for this build.
    resolved: bool,
    /// The environment with the packages that only the workloads need.
    workload: Option<&'a Path>,
    /// Packages and artifacts in depots.
    installed: usize,
    /// Whether everything was there already.
    reused: bool,
}

pub(crate) async fn run(args: &InstantiateArgs, session: &Session) -> Outcome {
    let _heartbeat = session.heartbeat();
    let planned = session.plan(&args.selection.select).await?;
    let repeat = match args.force {
        true => Repeat::Always,
        false => Repeat::IfNeeded,
    };
    let options = BuildOptions {
        packages: args.packages.options(),
        idle: (args.idle_timeout > 0).then(|| Duration::from_secs(args.idle_timeout)),
        ..BuildOptions::default()
    };
    let engine = &session.engine;
    let mut results = Vec::new();
    for build in &planned.plan.builds {
        planned.require_locked(build, &options.packages)?;
        // What is there is seen without starting Julia.
        let known = match repeat {
            Repeat::IfNeeded => runner::recorded(engine, &planned, build, &options.packages),
            Repeat::Always => None,
        };
        let reused = known.is_some();
        let instantiated = match known {
            Some(known) => known,
            None => {
                let runner =
                    BuildRunner::open_with(engine, &planned, build, &options, repeat).await?;
                let Some(done) = runner.instantiated() else {
                    continue;
                };
                done.clone()
            }
        };
        results.push((&build.id, instantiated, reused));
    }
    if let (true, Some(depot)) = (args.prune, &args.packages.depot) {
        prune(
            &absolute(depot),
            results.iter().map(|(_, done, _)| done),
            session,
        )?;
    }
    let shown: Vec<_> = results
        .iter()
        .map(|(id, done, reused)| shown(id, done, *reused))
        .collect();
    if session.global.json {
        session.terminal.json(&shown);
        return Ok(());
    }
    for environment in shown {
        let what = match environment.reused {
            true => "nothing is missing",
            false => "the packages are installed",
        };
        session
            .terminal
            .heading(&format!("{}: {what}", environment.build_id));
        if let Some(manifest) = environment.manifest {
            session.terminal.data(&manifest.display().to_string());
        }
    }
    Ok(())
}

/// Removes from the depot what none of these environments needs.
fn prune<'a>(
    depot: &Path,
    environments: impl Iterator<Item = &'a Instantiated>,
    session: &Session,
) -> Outcome {
    let needed = environments.flat_map(Instantiated::folders).cloned();
    let pruned = depots::prune(depot, &needed.collect()).map_err(|source| {
        let path = depot.to_owned();
        Failure::from(CliError::Unwritable { path, source })
    })?;
    if !pruned.removed.is_empty() {
        session.engine.reporter.note(format!(
            "removed {} packages and artifacts that are no longer needed from {}",
            pruned.removed.len(),
            depot.display()
        ));
    }
    Ok(())
}

fn shown<'a>(build_id: &'a BuildId, done: &'a Instantiated, reused: bool) -> Shown<'a> {
    Shown {
        build_id,
        project: &done.packages.project,
        manifest: done.manifest.as_deref(),
        resolved: done.resolved,
        workload: done.packages.workload.as_deref(),
        installed: done.installed(),
        reused,
    }
}
