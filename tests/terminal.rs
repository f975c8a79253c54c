//! The output streams: data on standard output, messages on standard error, only errors with
//! `--quiet`, and no control characters without a terminal.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]
#![allow(
    dead_code,
    clippy::allow_attributes,
    reason = "the support module serves other tests, too"
)]

mod support;

use support::{Ran, Scratch};

fn scratch() -> Scratch {
    let scratch = Scratch::new();
    scratch.config("julia = \"1.5\"\nworkloads = [\"workload.jl\"]\n");
    scratch
}

fn is_plain(text: &str) -> bool {
    !text.contains(['\u{1b}', '\r', '\u{8}'])
}

#[test]
fn piped_output_is_plain_and_stdout_has_only_data() {
    let Ran { stdout, stderr, .. } = scratch().sysforge(&["trace"]).succeeds();
    assert!(
        stdout.lines().all(|line| line.starts_with("precompile(")),
        "{stdout}"
    );
    assert!(stderr.contains("trace"), "{stderr}");
    assert!(is_plain(&stdout) && is_plain(&stderr), "{stderr}");
}

#[test]
fn quiet_prints_only_results_and_errors() {
    let scratch = scratch();
    let Ran { stdout, stderr, .. } = scratch.sysforge(&["--quiet", "trace"]).succeeds();
    assert!(stdout.starts_with("precompile("), "{stdout}");
    assert_eq!(stderr, "");
    // Errors are still printed, with their hints.
    let error = scratch
        .sysforge(&["--quiet", "build", "nothing-*"])
        .fails(2);
    assert!(
        error.contains("error:") && error.contains("hint:"),
        "{error}"
    );
}

#[test]
fn colour_is_used_only_when_requested() {
    let scratch = scratch();
    let error = |args: &[&str]| {
        let arguments = [args, &["build", "nothing-*"]].concat();
        scratch.sysforge(&arguments).fails(2)
    };
    assert!(is_plain(&error(&[])));
    assert!(is_plain(&error(&["--color", "never"])));
    assert!(!is_plain(&error(&["--color", "always"])));
}

#[test]
fn a_mistyped_command_or_option_suggests_the_nearest() {
    let scratch = scratch();
    let command = scratch.sysforge(&["biuld"]).fails(2);
    assert!(command.contains("'build'"), "{command}");
    let option = scratch.sysforge(&["build", "--stric"]).fails(2);
    assert!(option.contains("'--strict'"), "{option}");
}
