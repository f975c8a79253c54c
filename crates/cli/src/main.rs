//! `sysforge`: arguments in, progress and results out, exit codes.
//!
//! Architecture invariants: the environment and the terminal are read here and nowhere else, and
//! passed down as values. No other crate depends on this one.

mod args;
mod commands;
mod failure;
mod github;
mod session;
mod variables;

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Duration;

use clap::FromArgMatches;
use sysforge_output::print_error;
use sysforge_plan::text::{escaped_lines, is_deceptive};
use sysforge_plan::{Class, secret};
use sysforge_process::{interrupted, restrict_umask};

use crate::args::Cli;
use crate::failure::CliError;
use crate::session::Session;

/// How long threads may take to stop and to remove unfinished files.
const GRACE: Duration = Duration::from_secs(5);

/// Reads the arguments. `Err` is the exit code of a run that ends here: help, the version, or a
/// mistake in what was typed.
fn arguments() -> Result<Cli, u8> {
    let mut command = args::command();
    let typed = command.try_get_matches_from_mut(std::env::args_os());
    let typed = typed.and_then(|typed| match args::empty_value(&command, &typed) {
        Some(error) => Err(error),
        None => Cli::from_arg_matches(&typed),
    });
    let mut error = match typed.map_err(|error| error.format(&mut command)) {
        Ok(cli) => return Ok(cli),
        Err(error) => error,
    };
    let given: Vec<_> = std::env::args_os().collect();
    if given.len() == 1 {
        print_error(&command.render_help().ansi().to_string());
        return Err(2);
    }
    args::name_variable(&mut error, &command, &given);
    if error.use_stderr() {
        // clap repeats the arguments, which a script may have taken from an untrusted source. clap's
        // own styles cannot be distinguished from those in an argument, so both are removed.
        let variables = std::env::vars_os().map(|(_, value)| value);
        let text = error.render().to_string();
        if secret::has_private_address(&text)
            || given
                .into_iter()
                .chain(variables)
                .any(|text| text.to_string_lossy().contains(is_deceptive))
        {
            print_error(&escaped_lines(&secret::shown(&text)));
        } else {
            let _ = error.print();
        }
        return Err(2);
    }
    let written = error.print().and_then(|()| std::io::stdout().flush());
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            print_error(&format!(
                "error: could not write to standard output: {error}\n"
            ));
            Err(Class::Machine.exit_code())
        }
        _ => Err(0),
    }
}

fn main() -> ExitCode {
    ExitCode::from(sysforge_output::report_panics(run))
}

fn run() -> u8 {
    let cli = match arguments() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    restrict_umask();
    let session = Session::new(&cli.global);
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            session
                .terminal
                .error_line(&format!("could not start threads: {error}"));
            return Class::Machine.exit_code();
        }
    };
    let command = async {
        // Dropping the command's future stops everything it does: children are killed, temporary
        // files removed.
        tokio::select! {
            // First: what a command does before it waits for anything can be interrupted as well.
            biased;
            signal = interrupted() => {
                session.progress.clear();
                session.terminal.end_group();
                session.terminal.error_line(&format!("interrupted by {}", signal.name));
                session.runner.interrupted(signal.name);
                // A second Ctrl-C does not wait for the host.
                tokio::select! {
                    () = session.cleanup.finish(GRACE) => {}
                    _ = interrupted() => {}
                }
                signal.exit_code
            }
            result = commands::run(&cli.command, &session) => {
                let result = result.and_then(|()| match sysforge_output::take_write_failure() {
                    Some(error) => Err(CliError::Output(error).into()),
                    None => Ok(()),
                });
                session.progress.clear();
                session.terminal.end_group();
                let code = match &result {
                    Ok(()) => 0,
                    Err(failure) => {
                        let error = failure.0.as_ref();
                        let hints = error.hints().into_iter();
                        let hints: Vec<_> = hints.map(|hint| session.engine.runnable(hint)).collect();
                        session.terminal.failure(error, &hints);
                        failure.exit_code()
                    }
                };
                session.finish(result.as_ref().err());
                code
            }
        }
    };
    // `report_panics` prints a panic, once nothing else is printed.
    let code = catch_unwind(AssertUnwindSafe(|| runtime.block_on(command)));
    session.progress.clear();
    runtime.shutdown_timeout(GRACE);
    code.unwrap_or(Class::Bug.exit_code())
}

#[cfg(test)]
mod reference_tests;
