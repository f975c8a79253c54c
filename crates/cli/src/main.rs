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
use std::process::ExitCode;
use std::time::Duration;

use clap::FromArgMatches;
use sysforge_plan::Class;
use sysforge_plan::text::{escaped_lines, is_deceptive};

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
        anstream::eprint!("{}", command.render_help().ansi());
        return Err(2);
    }
    args::name_variable(&mut error, &command, &given);
    if error.use_stderr() {
        // clap repeats what was typed, and a script may have typed what others wrote. Its own
        // styles cannot be told from those of an argument, so both go.
        let variables = std::env::vars_os().map(|(_, value)| value);
        if given
            .into_iter()
            .chain(variables)
            .any(|text| text.to_string_lossy().contains(is_deceptive))
        {
            eprint!("{}", escaped_lines(&error.render().to_string()));
        } else {
            let _ = error.print();
        }
        return Err(2);
    }
    let written = error.print().and_then(|()| std::io::stdout().flush());
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            eprintln!("error: could not write to standard output: {error}");
            Err(Class::Machine.exit_code())
        }
        _ => Err(0),
    }
}

fn main() -> ExitCode {
    let cli = match arguments() {
        Ok(cli) => cli,
        Err(code) => return ExitCode::from(code),
    };
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
            return ExitCode::from(1);
        }
    };
    let code = runtime.block_on(async {
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
    });
    runtime.shutdown_timeout(GRACE);
    ExitCode::from(code)
}

struct Signal {
    name: &'static str,
    /// 128 and the signal's number, as shells report it.
    exit_code: u8,
}

const INTERRUPT: Signal = Signal {
    name: "Ctrl-C",
    exit_code: 130,
};

/// Waits for a signal to stop.
#[cfg(unix)]
async fn interrupted() -> Signal {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut hangup)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::hangup()),
    ) else {
        return std::future::pending().await;
    };
    tokio::select! {
        Ok(()) = tokio::signal::ctrl_c() => INTERRUPT,
        Some(()) = term.recv() => Signal { name: "SIGTERM", exit_code: 143 },
        Some(()) = hangup.recv() => Signal { name: "SIGHUP", exit_code: 129 },
    }
}

/// Waits for a signal to stop.
#[cfg(windows)]
async fn interrupted() -> Signal {
    let (Ok(mut pause), Ok(mut close)) = (
        tokio::signal::windows::ctrl_break(),
        tokio::signal::windows::ctrl_close(),
    ) else {
        return std::future::pending().await;
    };
    tokio::select! {
        Ok(()) = tokio::signal::ctrl_c() => INTERRUPT,
        Some(()) = pause.recv() => INTERRUPT,
        Some(()) = close.recv() => Signal { name: "the closing of the window", exit_code: 130 },
    }
}

#[cfg(test)]
mod reference_tests;
