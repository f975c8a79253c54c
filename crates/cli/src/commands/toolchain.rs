//! `sysforge toolchain list|install|path`: the C compilers of this machine, and those that can be
//! downloaded.

use sysforge_engine::compilers;

use crate::args::ToolchainCommand;
use crate::failure::Outcome;
use crate::session::Session;

pub(crate) async fn run(command: &ToolchainCommand, session: &Session) -> Outcome {
    let engine = &session.engine;
    let located = match command {
        ToolchainCommand::List(platform) => {
            let list = compilers::toolchains(platform.triplet()?, engine).await?;
            session.print(&list, || list.to_string());
            return Ok(());
        }
        ToolchainCommand::Install {
            name,
            from,
            platform,
        } => {
            let _heartbeat = session.heartbeat();
            let (name, from) = (name.as_deref(), from.as_deref());
            compilers::install(name, from, platform.triplet, engine).await?
        }
        ToolchainCommand::Path { name, platform } => {
            compilers::locate(name.as_deref(), platform.triplet, engine)?
        }
    };
    session.print(&located, || located.compiler.display().to_string());
    Ok(())
}
