//! `sysforge julia list|install|path`: the Julias that can be downloaded, and those of this machine.

use sysforge_engine::julias;

use crate::args::JuliaCommand;
use crate::failure::Outcome;
use crate::session::Session;

pub(crate) async fn run(command: &JuliaCommand, session: &Session) -> Outcome {
    let engine = &session.engine;
    let located = match command {
        JuliaCommand::List { all, platform } => {
            let triplet = platform.triplet()?;
            let listed = julias::list(*all, triplet, engine).await?;
            session.print(&listed, || julias::as_table(&listed));
            if listed.is_empty() && !session.global.json {
                let text = format!("the catalogue has no Julia for {triplet}");
                session.terminal.say(&text);
            }
            return Ok(());
        }
        JuliaCommand::Install {
            requests,
            to_tool_cache,
            platform,
        } => {
            let _heartbeat = session.heartbeat();
            julias::install(requests, *to_tool_cache, platform.triplet()?, engine).await?
        }
        JuliaCommand::Path { request, platform } => {
            vec![julias::locate(request, platform.triplet, engine).await?]
        }
    };
    let versions = located.iter().filter_map(|julia| julia.with_version());
    session.set_outputs(&julias::outputs(versions));
    let executables = located.iter().map(|julia| julia.executable.display());
    session.print_lines(&located, executables);
    Ok(())
}
