//! `sysforge julia list|install|path`: downloading Julias, on its own.

use sysforge_engine::EngineError;
use sysforge_engine::julias::{self, ListedJulia, LocatedJulia};
use sysforge_plan::Triplet;

use crate::args::{JuliaCommand, Platform};
use crate::failure::Outcome;
use crate::session::Session;
use sysforge_report::table::table;

pub(crate) async fn run(command: &JuliaCommand, session: &Session) -> Outcome {
    match command {
        JuliaCommand::List { all, platform } => list(*all, platform, session).await,
        JuliaCommand::Install {
            requests,
            to_tool_cache,
            platform,
        } => {
            let _heartbeat = session.heartbeat();
            let release = ["release".to_owned()];
            let requests = if requests.is_empty() {
                &release
            } else {
                requests.as_slice()
            };
            let triplet = platform.triplet()?;
            let located =
                julias::install(requests, *to_tool_cache, triplet, &session.engine).await?;
            say(&located, session);
            Ok(())
        }
        JuliaCommand::Path { request, platform } => {
            let located = julias::locate(request, platform.triplet, &session.engine).await?;
            say(&[located], session);
            Ok(())
        }
    }
}

impl Platform {
    pub(crate) fn triplet(&self) -> Result<Triplet, EngineError> {
        self.triplet.map_or_else(Session::host, Ok)
    }
}

async fn list(all: bool, platform: &Platform, session: &Session) -> Outcome {
    let triplet = platform.triplet()?;
    let listed = julias::list(all, triplet, &session.engine).await?;
    if session.global.json {
        session.terminal.json(&listed);
        return Ok(());
    }
    session.terminal.data(&text(&listed));
    if listed.is_empty() {
        let text = format!("the catalogue has no Julia for {triplet}");
        session.terminal.say(&text);
    }
    Ok(())
}

fn text(listed: &[ListedJulia]) -> String {
    let head = ["version", "MB", "signed", "installed", "sha256"];
    let mut lines = vec![head.map(str::to_owned).to_vec()];
    let yes_or_no = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    for julia in listed {
        lines.push(vec![
            julia.version.to_string(),
            (julia.size / 1_000_000).to_string(),
            yes_or_no(julia.signed),
            yes_or_no(julia.installed),
            julia.sha256.short(12),
        ]);
    }
    table(&lines)
}

fn say(located: &[LocatedJulia], session: &Session) {
    let julias = located.iter().filter_map(|julia| {
        let version = julia.version.as_ref()?.to_string();
        Some((version, julia.executable.clone()))
    });
    session.runner.output_julias(julias);
    if session.global.json {
        session.terminal.json(&located);
        return;
    }
    for julia in located {
        session
            .terminal
            .data(&julia.executable.display().to_string());
    }
}
