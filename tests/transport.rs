//! Secrets, child processes, and hostile servers and archives.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use support::Scratch;
use sysforge_plan::Triplet;
use sysforge_testkit::archives::tiny_julia;
use sysforge_testkit::github::make_build;
use sysforge_testkit::mirror_dir::MirrorDir;
use sysforge_testkit::server::{Fault, Server};
use sysforge_testkit::tls::PrivateTls;

/// Secrets as on a runner, each with a value that can be searched for.
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
    // Without the last variable: the tests set the mirror themselves.
    command.envs(SECRETS.into_iter().take(8));
    scratch.run(command).succeeds();
    let seen = std::fs::read_to_string(scratch.path("seen")).unwrap();
    assert!(seen.contains("PATH"), "{seen}");
    assert!(!seen.contains("hunter2"), "{seen}");
}

/// All text below a folder.
fn all_text(folder: &Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => text.push_str(&all_text(&path)),
            false => {
                let bytes = std::fs::read(&path).unwrap_or_default();
                text.push_str(&format!(
                    "{}\n{}\n",
                    path.display(),
                    String::from_utf8_lossy(&bytes)
                ));
            }
        }
    }
    text
}

#[test]
fn the_password_and_the_query_of_a_mirror_are_used_but_neither_printed_nor_stored() {
    let scratch = Scratch::new();
    let mut mirror = MirrorDir::new();
    let archive = tiny_julia("1.5.3", 10).gz();
    mirror.publish("1.5.3", Triplet::X86_64_LINUX_GNU, &archive);
    let server = Server::start(mirror.path());
    let address = server.url().replace("http://", "http://me:hunter2@") + "?sig=hunter3";
    let store = scratch.path("store");
    let mut command = scratch.command(&["--verbose", "julia", "install", "1.5"]);
    command
        .env("SYSFORGE_MIRROR", address)
        .env("SYSFORGE_STORE", &store);
    let ran = scratch.run(command).succeeds();
    let asked = server.seen(".tar.gz").pop().unwrap();
    assert_eq!(asked.query.as_deref(), Some("sig=hunter3"));
    assert!(asked.header("authorization").is_some());
    for text in [ran.stdout, ran.stderr, all_text(&store)] {
        assert!(!text.contains("hunter"), "{text}");
    }
}

#[test]
fn install_does_not_use_the_network_when_offline() {
    let scratch = Scratch::new();
    let server = Server::start(&scratch.path(""));
    for source in [server.url(), "octo/images".to_owned()] {
        let mut command = scratch.command(&["--offline", "install", &source]);
        command
            .env("GITHUB_API_URL", server.url())
            .env("GITHUB_SERVER_URL", server.url());
        let error = scratch.run(command).fails(7);
        assert!(error.contains("`--offline` does not allow"), "{error}");
        assert!(error.contains("hint: "), "{error}");
    }
    assert!(server.seen("").is_empty());
}

#[test]
fn a_release_behind_a_redirect_to_plain_http_is_refused() {
    let scratch = Scratch::new();
    let tls = PrivateTls::new();
    let plain = Server::start(&scratch.path(""));
    let secure = Server::start_tls(&scratch.path(""), &tls);
    secure.always(".json", Fault::Redirect(format!("{}/x.json", plain.url())));
    scratch.file("authority.pem", &tls.authority_pem);
    let mut command = scratch.command(&["install", &secure.url()]);
    command.env("SSL_CERT_FILE", scratch.path("authority.pem"));
    let error = scratch.run(command).fails(7);
    assert!(error.contains("from https to http"), "{error}");
    assert!(plain.seen("").is_empty());
}

#[test]
fn a_redirect_to_an_address_with_a_login_is_refused_and_not_traced() {
    let scratch = Scratch::new();
    let server = Server::start(&scratch.path(""));
    let other = Server::start(&scratch.path(""));
    let target = other.url().replace("http://", "http://me:hunter2@");
    server.always(".json", Fault::Redirect(format!("{target}/x.json")));
    for args in [
        vec!["install".to_owned(), server.url()],
        vec!["--mirror".to_owned(), server.url(), "plan".to_owned()],
    ] {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let mut command = scratch.command(&args);
        command
            .env("RUST_LOG", "trace")
            .env("SYSFORGE_STORE", scratch.path("store"));
        let ran = scratch.run(command);
        let said = ran.stdout + &ran.stderr;
        assert!(said.contains("an address with a user name"), "{said}");
        assert!(!said.contains("hunter"), "{said}");
    }
    assert!(other.seen("").is_empty());
}

#[test]
fn a_login_that_was_typed_is_neither_printed_nor_published() {
    let scratch = Scratch::new();
    make_build(&scratch.path("dist"), "x86_64-linux-gnu", b"linux");
    let publish = ["publish", "--tag", "v1"];
    let to_site = ["publish", "--tag", "v1", "--to", "dir:site", "--base-url"];
    for (args, value) in [
        (&publish[..], "--to=s3://me:hunter2@bucket/prefix"),
        (&publish, "--to=s3://bucket/prefix?sig=hunter2"),
        (&publish, "--to=http://me:hunter2@host/"),
        (&publish, "--repository=https://hunter2@github.com/o/r"),
        (&publish, "--repository=me:hunter2@o/r"),
        (&["install"], "s3://me:hunter2@bucket/prefix"),
        (&["install"], "git@host:me:hunter2@o/r.git"),
        (&["verify"], "me:hunter2@host/path"),
        (&to_site, "http://me:hunter2@[bad"),
        (&to_site, "https://me:hunter2@example.org/images"),
        (&to_site, "https://hunter2@example.org/images"),
        (&to_site, "https://example.org/images?sig=hunter2"),
    ] {
        let said = scratch.sysforge(&[args, &[value]].concat()).fails(2);
        assert!(!said.contains("hunter"), "{said}");
        assert!(said.contains("hint: "), "{said}");
    }
    assert!(!scratch.path("site").exists());
}
