//! `sysforge cache path|list|prune`: the store.

use std::time::Duration;

use sysforge_engine::cache;

use crate::args::CacheCommand;
use crate::failure::Outcome;
use crate::session::Session;

pub(crate) fn run(command: &CacheCommand, session: &Session) -> Outcome {
    let terminal = session.terminal;
    match command {
        CacheCommand::Path => session.print_path(session.engine.store_path()?),
        CacheCommand::List { verify } => {
            let entries = cache::list(*verify, &session.engine)?;
            session.print_table(&entries, || cache::rows(&entries));
        }
        CacheCommand::Prune {
            older_than,
            keep,
            dry_run,
            all,
        } => {
            let (unused_for, keep) = match all {
                true => (Duration::ZERO, None),
                false => (*older_than, *keep),
            };
            let pruned = cache::prune(unused_for, keep, *dry_run, &session.engine)?;
            for name in &pruned.in_use {
                terminal.say(&format!("kept {name}: it is in use"));
            }
            session.print_lines(&pruned, &pruned.removed);
            if !session.global.json {
                let freed = if *dry_run { "would free" } else { "freed" };
                terminal.say(&format!("{freed} {} MB", pruned.bytes / 1_000_000));
            }
        }
    }
    Ok(())
}
