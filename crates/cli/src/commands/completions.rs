//! `sysforge completions`: completion scripts, from the very definition of the arguments.

use clap_complete::Shell;

use crate::failure::Outcome;
use crate::session::Session;

pub(crate) fn run(shell: Shell, session: &Session) -> Outcome {
    session.terminal.document(&script(shell));
    Ok(())
}

fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut crate::args::command(), "sysforge", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn every_shell_learns_every_command() {
        for shell in Shell::value_variants() {
            let script = script(*shell);
            for command in crate::args::command().get_subcommands() {
                assert!(script.contains(command.get_name()), "{shell}: {command}");
            }
        }
    }
}
