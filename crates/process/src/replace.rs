//! Replaces Sysforge by another program, which keeps Sysforge's environment: it is the program that
//! the user wanted to start, not a child of a build.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::Command;

/// Replaces this process, so that the program receives signals directly and its exit code is
/// returned. On Windows, which cannot replace a process, the program runs as a child that also
/// receives Ctrl-C, and its exit code becomes Sysforge's. Returns only if the program cannot be
/// started.
pub fn replace<N: AsRef<OsStr>, V: AsRef<OsStr>>(
    program: &Path,
    arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    variables: impl IntoIterator<Item = (N, V)>,
) -> io::Error {
    let mut command = Command::new(program);
    command.args(arguments).envs(variables);
    execute(&mut command)
}

#[cfg(unix)]
fn execute(command: &mut Command) -> io::Error {
    use std::os::unix::process::CommandExt as _;
    command.exec()
}

#[cfg(not(unix))]
fn execute(command: &mut Command) -> io::Error {
    match command.status() {
        Ok(status) => std::process::exit(status.code().unwrap_or(1)),
        Err(error) => error,
    }
}
