//! What leaves Sysforge and what it lets in: secrets and children, servers and archives that mean
//! harm.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use support::Scratch;

/// Secrets as a runner has them, each with a value that can be found again.
const SECRETS: [(&str, &str); 9] = [
    ("GITHUB_TOKEN", "hunter2-a"),
    ("GH_TOKEN", "hunter2-b"),
    ("SYSFORGE_SIGN_PASSWORD", "hunter2-c"),
    ("ACTIONS_ID_TOKEN_REQUEST_URL", "https://hunter2-d"),
    ("AWS_SECRET_ACCESS_KEY", "hunter2-e"),
    ("DOCUMENTER_KEY", "hunter2-f"),
    ("https_proxy", "http://me:hunter2-g@127.0.0.1:9"),
    ("JULIA_PKG_SERVER", "https://me:hunter2-h@127.0.0.1:9"),
    ("SYSFORGE_MIRROR", "http://me:hunter2-i@127.0.0.1:9"),
];

/// A program that writes its environment into `seen` and fails.
fn spy(scratch: &Scratch, name: &str) {
    let seen = scratch.path("seen");
    let script = format!("#!/bin/sh\nenv >> '{}'\nexit 3\n", seen.display());
    scratch.file(name, &script);
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(scratch.path(name), executable).unwrap();
}

#[track_caller]
fn assert_no_secret(seen: &Path) {
    let seen = std::fs::read_to_string(seen).unwrap();
    assert!(seen.contains("PATH="), "{seen}");
    assert!(!seen.contains("hunter2"), "{seen}");
}

#[test]
fn a_probed_julia_gets_no_secret() {
    let scratch = Scratch::new();
    spy(&scratch, "spy/bin/julia");
    let mut command = scratch.command(&["plan", "--julia", "./spy"]);
    command.envs(SECRETS);
    scratch.run(command).ends_with(5);
    assert_no_secret(&scratch.path("seen"));
}

#[test]
fn a_probed_compiler_gets_no_secret() {
    let scratch = Scratch::new();
    spy(&scratch, "bin/gcc");
    spy(&scratch, "bin/cc");
    let path = std::env::var("PATH").unwrap();
    let mut command = scratch.command(&["doctor"]);
    command
        .envs(SECRETS)
        .env("PATH", format!("{}:{path}", scratch.path("bin").display()));
    scratch.run(command);
    assert_no_secret(&scratch.path("seen"));
}

#[test]
fn a_traced_workload_gets_no_secret() {
    let scratch = Scratch::new();
    scratch.config("julia = \"1.5\"\nworkloads = [\"workload.jl\"]\n");
    scratch.file(
        "workload.jl",
        "open(io -> foreach(v -> println(io, v), ENV), \"seen\", \"w\")\n",
    );
    let mut command = scratch.command(&["trace"]);
    // The mirror is the tests' own.
    command.envs(SECRETS.into_iter().take(8));
    scratch.run(command).succeeds();
    let seen = std::fs::read_to_string(scratch.path("seen")).unwrap();
    assert!(seen.contains("PATH"), "{seen}");
    assert!(!seen.contains("hunter2"), "{seen}");
}
