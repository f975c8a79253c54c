//! `sysforge instantiate`: the packages of each build's environment, installed and precompiled.

use std::time::Duration;

use sysforge_engine::environments::Installation;
use sysforge_engine::{BuildOptions, Repeat};

use crate::args::InstantiateArgs;
use crate::failure::Outcome;
use crate::session::Session;

pub(crate) async fn run(args: &InstantiateArgs, session: &Session) -> Outcome {
    let _heartbeat = session.heartbeat();
    let planned = session.plan(&args.selection.select).await?;
    let installation = Installation {
        options: BuildOptions {
            packages: args.packages.options(),
            idle: (args.idle_timeout > 0).then(|| Duration::from_secs(args.idle_timeout)),
            ..BuildOptions::default()
        },
        repeat: match args.force {
            true => Repeat::Always,
            false => Repeat::IfNeeded,
        },
        prune: args.prune,
    };
    let environments = installation.run(&planned, &session.engine).await?;
    if session.global.json {
        session.terminal.json(&environments);
        return Ok(());
    }
    for environment in environments {
        let what = match environment.reused {
            true => "nothing is missing",
            false => "the packages are installed",
        };
        let heading = format!("{}: {what}", environment.build_id);
        session.terminal.heading(&heading);
        if let Some(manifest) = environment.manifest {
            session.terminal.data(&manifest.display().to_string());
        }
    }
    Ok(())
}
