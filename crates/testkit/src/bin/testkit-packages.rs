//! The package server as a program, for scripts: serves the test packages until its standard input
//! ends.
//!
//! `testkit-packages [PORT]` prints the URL for `JULIA_PKG_SERVER`. Then it reads commands from its
//! standard input, and answers each with lines that end with an empty line:
//!
//! | command | effect |
//! |---|---|
//! | `paths` | prints every path on the server: the path, a space, and its content |
//! | `requests` | prints how often each path was requested since the last `forget` |
//! | `forget` | clears the recorded requests |
//! | `fault FAULT WHAT` | applies a fault to every request for WHAT (`registry`, `HarbourTides 1.1.0`, …): `silence`, `stall`, `reset`, `truncate`, `corrupt`, `other-tree`, or a status such as `404` |
//! | `behave` | ends all faults |
//! | `log-in DEPOT` | writes the token for the private package into a depot |

use std::io::{self, BufRead, Write};
use std::path::Path;
use std::process::ExitCode;

use sysforge_testkit::packages::{PackageServer, Sources, test_packages};
use sysforge_testkit::server::Fault;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("testkit-packages: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let port: u16 = match std::env::args().nth(1) {
        Some(port) => port.parse()?,
        None => 0,
    };
    let address = format!("127.0.0.1:{port}");
    let packages = PackageServer::on(&address, Sources::read(&test_packages()));
    let mut out = io::stdout().lock();
    writeln!(out, "{}", packages.url())?;
    out.flush()?;
    for line in io::stdin().lock().lines() {
        out.write_all(run_command(&packages, &line?)?.as_bytes())?;
        out.write_all(b"\n")?;
        out.flush()?;
    }
    Ok(())
}

/// Runs a command line, and returns its output.
fn run_command(packages: &PackageServer, line: &str) -> Result<String, Box<dyn std::error::Error>> {
    let server = packages.server();
    let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
    match command {
        "paths" => {
            let paths = packages.paths();
            let lines = paths
                .iter()
                .map(|(title, path)| format!("{path} {title}\n"));
            return Ok(lines.collect());
        }
        "requests" => {
            let counts = server.counts();
            let lines = counts
                .iter()
                .map(|(path, count)| format!("{count} {path}\n"));
            return Ok(lines.collect());
        }
        "forget" => server.forget(),
        "behave" => server.behave(),
        "log-in" => packages.log_in(Path::new(rest), PackageServer::token(), ""),
        "fault" => {
            let (fault, what) = rest.split_once(' ').ok_or("fault FAULT WHAT")?;
            let paths = packages.paths();
            let path = paths
                .get(what)
                .ok_or_else(|| format!("nothing is `{what}`"))?;
            server.always(path, named_fault(fault, &paths)?);
        }
        _ => return Err(format!("unknown command `{command}`").into()),
    }
    Ok(String::new())
}

fn named_fault(
    name: &str,
    paths: &std::collections::BTreeMap<String, String>,
) -> Result<Fault, String> {
    Ok(match name {
        "silence" => Fault::Silence,
        "stall" => Fault::SilenceAfter(100),
        "reset" => Fault::DropAfter(100),
        "truncate" => Fault::Truncate(100),
        "corrupt" => Fault::WrongByte(100),
        "other-tree" => Fault::InsteadOf(paths["HarbourColours 1.0.0"].clone()),
        status => Fault::Status(
            status
                .parse()
                .map_err(|_| format!("unknown fault `{status}`"))?,
            Vec::new(),
        ),
    })
}
