//! The commands, one file each.

mod bench;
mod build;
mod install;
mod plan;
mod publish;
mod steps;

use crate::args::Command;
use crate::failure::Outcome;
use crate::session::Session;

/// Does what was asked.
pub(crate) async fn run(command: &Command, session: &Session) -> Outcome {
    match command {
        Command::Plan(selection) => plan::run(selection, session).await,
        Command::Build(args) => build::run(args, session).await,
        Command::Trace(args) => steps::trace(args, session).await,
        Command::Emit(args) => steps::emit(args, session).await,
        Command::Link(args) => steps::link(args, session).await,
        Command::Check(args) => steps::check(args, session).await,
        Command::Pack(args) => steps::pack(args, session).await,
        Command::Bench(args) => bench::run(args, session).await,
        Command::Publish(args) => publish::run(args, session).await,
        Command::Install(args) => install::run(args, session).await,
    }
}
