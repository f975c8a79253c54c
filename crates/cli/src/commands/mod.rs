//! The commands, one file each.

mod bench;
mod build;
mod cache;
mod clean;
mod completions;
mod doctor;
mod init;
mod install;
mod instantiate;
mod julia;
mod link;
mod man;
mod matrix;
mod plan;
mod publish;
mod run;
mod schema;
mod steps;
mod toolchain;
mod verify;
mod workflow;

use sysforge_engine::paths::require_readable_file;

use crate::args::Command;
use crate::failure::Outcome;
use crate::session::Session;

/// Runs a command.
pub(crate) async fn run(command: &Command, session: &Session) -> Outcome {
    // Certificates are read when something is downloaded; a wrong path is an error before that.
    for keyring in &session.global.trust.keyring {
        require_readable_file(keyring)?;
    }
    match command {
        Command::Init(args) => init::run(args, session).await,
        Command::Plan(args) if args.matrix => matrix::run(args, session).await,
        Command::Plan(args) => plan::run(args, session).await,
        Command::Build(args) => build::run(args, session).await,
        Command::Clean(args) => clean::run(args, session),
        Command::Run(args) => run::run(args, session).await,
        Command::Instantiate(args) => instantiate::run(args, session).await,
        Command::Trace(args) => steps::trace(args, session).await,
        Command::Emit(args) => steps::emit(args, session).await,
        Command::Link(args) => link::run(args, session).await,
        Command::Check(args) => steps::check(args, session).await,
        Command::Pack(args) => steps::pack(args, session).await,
        Command::Bench(args) => bench::run(args, session).await,
        Command::Julia(command) => julia::run(command, session).await,
        Command::Toolchain(command) => toolchain::run(command, session).await,
        Command::Doctor(platform) => doctor::run(platform, session).await,
        Command::Cache(command) => cache::run(command, session),
        Command::Publish(args) => publish::run(args, session).await,
        Command::Install(args) => install::run(args, session).await,
        Command::Verify(args) => verify::run(args, session).await,
        Command::Workflow(args) => workflow::run(args, session).await,
        Command::Schema { document } => schema::run(*document, session),
        Command::Completions { shell } => completions::run(*shell, session),
        Command::Man(args) => man::run(args, session),
    }
}
