//! `sysforge man`: manual pages, from the very definition of the arguments.

use std::path::Path;

use clap::Command;
use clap_mangen::Man;
use sysforge_engine::EngineError;
use sysforge_plan::explain::{PathError, nearest};

use crate::args::ManArgs;
use crate::failure::{CliError, Outcome};
use crate::session::Session;
use sysforge_engine::paths::absolute;

pub(crate) fn run(args: &ManArgs, session: &Session) -> Outcome {
    let mut root = crate::args::command();
    root.build();
    match &args.out {
        Some(folder) => {
            let folder = absolute(folder);
            let written = sysforge_files::create_folders(&folder)
                .and_then(|()| write_all(&root, &folder))
                .map_err(PathError::wrap("write", &folder, EngineError::Path))?;
            for path in written {
                session.terminal.data(&path.display().to_string());
            }
        }
        None => {
            let command = find(&root, &args.command)?;
            session.terminal.document(&page(command));
        }
    }
    Ok(())
}

/// The command that the words lead to.
fn find<'a>(root: &'a Command, words: &[String]) -> Result<&'a Command, CliError> {
    words.iter().try_fold(root, |command, word| {
        command
            .find_subcommand(word)
            .ok_or_else(|| CliError::NoCommand {
                typed: words.join(" "),
                nearest: nearest(word, command.get_subcommands().map(Command::get_name))
                    .map(str::to_owned),
            })
    })
}

fn page(command: &Command) -> String {
    let mut text = Vec::new();
    // A page describes the global options too. Examples are lines, which a paragraph would join.
    let whole = command.clone().mut_args(|arg| arg.hide(false));
    // Writing to memory cannot fail.
    let _ = Man::new(whole.after_help("")).render(&mut text);
    let mut text = String::from_utf8_lossy(&text).into_owned();
    if let Some(more) = command.get_after_help().map(ToString::to_string) {
        text.push_str(".SH EXAMPLES\n.nf\n");
        for line in more.lines().filter(|line| *line != "Examples:") {
            text.push_str(&line.replace('\\', "\\\\").replace('-', "\\-"));
            text.push('\n');
        }
        text.push_str(".fi\n");
    }
    text
}

/// One file for each command, named as `man` looks for them: `sysforge-julia-install.1`.
fn write_all(root: &Command, folder: &Path) -> std::io::Result<Vec<std::path::PathBuf>> {
    let mut written = Vec::new();
    let mut pending = vec![root];
    while let Some(command) = pending.pop() {
        let name = command.get_display_name().unwrap_or(command.get_name());
        let path = folder.join(format!("{name}.1"));
        sysforge_files::write_whole(&path, page(command).as_bytes())?;
        written.push(path);
        let subcommands = command.get_subcommands();
        pending.extend(subcommands.filter(|command| command.get_name() != "help"));
    }
    written.sort();
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page() {
        let mut root = crate::args::command();
        root.build();
        let folder = tempfile::tempdir().unwrap();
        let pages = write_all(&root, folder.path()).unwrap();
        for name in ["sysforge.1", "sysforge-build.1", "sysforge-julia-install.1"] {
            assert!(pages.contains(&folder.path().join(name)), "{pages:?}");
        }
        let text = std::fs::read_to_string(folder.path().join("sysforge-build.1")).unwrap();
        assert!(text.contains("force"), "{text}");
        // Each example stays a line of its own.
        let examples = text.split(".SH EXAMPLES\n.nf\n").nth(1).unwrap();
        assert!(examples.lines().next().unwrap().contains("sysforge build"));
    }

    #[test]
    fn a_mistyped_command_is_answered_with_the_nearest() {
        let root = crate::args::command();
        let words = ["julia", "instal"].map(str::to_owned);
        let error = find(&root, &words).unwrap_err();
        assert_eq!(
            sysforge_plan::Explain::hints(&error),
            ["did you mean `install`?"]
        );
    }
}
