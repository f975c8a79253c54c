//! What is printed where: data on standard output, talk on standard error, nothing but errors with
//! `--quiet`, and no control characters where no terminal reads.

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
fn piped_output_is_plain_and_data_is_alone() {
    let Ran { stdout, stderr, .. } = scratch().sysforge(&["trace"]).succeeds();
    assert!(
        stdout.lines().all(|line| line.starts_with("precompile(")),
        "{stdout}"
    );
    assert!(stderr.contains("trace"), "{stderr}");
    assert!(is_plain(&stdout) && is_plain(&stderr), "{stderr}");
}

#[test]
fn quiet_says_nothing_but_results() {
    let scratch = scratch();
    let Ran { stdout, stderr, .. } = scratch.sysforge(&["--quiet", "trace"]).succeeds();
    assert!(stdout.starts_with("precompile("), "{stdout}");
    assert_eq!(stderr, "");
    // Errors are still told, with their hints.
    let error = scratch
        .sysforge(&["--quiet", "build", "nothing-*"])
        .fails(2);
    assert!(
        error.contains("error:") && error.contains("hint:"),
        "{error}"
    );
}

#[test]
fn colour_is_there_when_asked_for_and_only_then() {
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
fn a_mistyped_command_or_option_is_answered_with_the_nearest() {
    let scratch = scratch();
    let command = scratch.sysforge(&["biuld"]).fails(2);
    assert!(command.contains("'build'"), "{command}");
    let option = scratch.sysforge(&["build", "--stric"]).fails(2);
    assert!(option.contains("'--strict'"), "{option}");
}
