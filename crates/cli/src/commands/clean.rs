//! `sysforge clean`: removes what was built for a project.

use sysforge_engine::clean::clean;

use crate::args::CleanArgs;
use crate::failure::Outcome;
use crate::session::Session;

pub(crate) fn run(args: &CleanArgs, session: &Session) -> Outcome {
    let cleaned = clean(args.dry_run, &session.engine)?;
    for (folder, other) in &cleaned.kept {
        session.terminal.say(&format!(
            "kept {}: Sysforge did not write {}",
            folder.display(),
            other.display()
        ));
    }
    let removed = cleaned.removed.iter();
    let removed: Vec<_> = removed.map(|path| path.display().to_string()).collect();
    if removed.is_empty() && !session.global.json {
        session.terminal.say("there is nothing to remove");
    } else {
        session.print_lines(&removed, &removed);
    }
    Ok(())
}
