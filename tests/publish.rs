//! The whole way: the example is built with a real Julia, published to both hosts, installed into
//! a home that knows nothing of Sysforge, and its workload runs on what was installed.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod support;

use std::path::Path;
use std::process::Command;

use support::{Ran, Scratch, julia};
use sysforge_testkit::github::{FakeGitHub, Fault, Op, Options, Rule};

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let name = entry.file_name().to_string_lossy().into_owned();
        match source.is_dir() {
            true if name == "dist" || name.starts_with('.') => {}
            true => copy(&source, &target),
            false => std::fs::copy(&source, &target).map(drop).unwrap(),
        }
    }
}

/// Runs the binary as a user does who has nothing but it and a Julia.
fn in_a_clean_home(scratch: &Scratch, home: &str, args: &[&str], api: Option<&str>) -> Ran {
    let mut command = scratch.command(args);
    let home = scratch.path(home);
    std::fs::create_dir_all(&home).unwrap();
    command
        .current_dir(&home)
        .env("HOME", &home)
        .env_remove("SYSFORGE_STORE")
        .env_remove("XDG_CACHE_HOME");
    if let Some(api) = api {
        command.env("GITHUB_API_URL", api);
    }
    scratch.run(command)
}

/// Runs the workload with a launcher.
fn workload(scratch: &Scratch, launcher: &Path) -> String {
    let output = Command::new(launcher)
        .args(["--startup-file=no", "--project=.", "workload.jl"])
        .current_dir(scratch.path("."))
        .output()
        .unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{err}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_example_travels_over_both_hosts() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/InsuranceStats");
    let scratch = Scratch::empty();
    copy(&example, &scratch.path("."));
    scratch.sysforge(&["build"]).succeeds();
    let julia = julia().to_string_lossy().into_owned();

    let site = scratch.path("site");
    let to = format!("dir:{}", site.display());
    let publish = ["publish", "--to", &to, "--tag", "v1.0.0"];
    scratch.sysforge(&publish).succeeds();
    let again = scratch.sysforge(&publish).succeeds();
    assert!(
        again.stdout.contains("is public already"),
        "{}",
        again.stdout
    );

    let site = site.to_string_lossy().into_owned();
    let install = [
        "install",
        &site,
        "--julia",
        &julia,
        "--launcher",
        "bin/insurance",
    ];
    in_a_clean_home(&scratch, "one", &install, None).succeeds();
    let printed = workload(&scratch, &scratch.path("one/bin/insurance"));
    assert!(
        printed.contains("CLAY") || printed.lines().count() > 5,
        "{printed}"
    );

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let github = runtime
        .block_on(FakeGitHub::start(Options::default()))
        .unwrap();
    github.script([
        Rule::once(Op::Upload, Fault::Reset(1_000_000)),
        Rule::once(Op::Download, Fault::Reset(1_000_000)).after(2),
    ]);
    let mut command =
        scratch.command(&["publish", "--repository", "octo/images", "--tag", "v1.0.0"]);
    command
        .env("GITHUB_API_URL", github.api_url())
        .env("GITHUB_TOKEN", "writer");
    let published = scratch.run(command).succeeds();
    assert!(
        published.stdout.contains("published v1.0.0 at http"),
        "{}",
        published.stdout
    );
    assert!(!github.releases()[0].draft);

    let install = [
        "install",
        "octo/images",
        "--julia",
        &julia,
        "--launcher",
        "bin/insurance",
    ];
    in_a_clean_home(&scratch, "two", &install, Some(github.api_url())).succeeds();
    assert_eq!(
        workload(&scratch, &scratch.path("two/bin/insurance")),
        printed
    );

    let listed = in_a_clean_home(&scratch, "two", &["install", "list"], None).succeeds();
    assert!(
        listed.stdout.contains("octo/images v1.0.0"),
        "{}",
        listed.stdout
    );
    in_a_clean_home(&scratch, "two", &["install", "remove", "insurance"], None).succeeds();
    assert!(!scratch.path("two/bin/insurance").exists());
}

#[test]
fn a_token_is_never_shown() {
    let scratch = Scratch::new();
    let secret = "ghp_0123456789abcdef";
    for arguments in [
        &["publish", "--repository", "o/r", "--tag", "v1"][..],
        &[
            "publish",
            "--repository",
            "o/r",
            "--tag",
            "v1",
            "--preflight",
            "--verbose",
        ],
    ] {
        let mut command = scratch.command(arguments);
        // Nothing listens there, so that every attempt fails.
        command
            .env("GITHUB_API_URL", "http://127.0.0.1:9")
            .env("GITHUB_TOKEN", format!("{secret}\nX-Injected: 1"));
        let said = scratch.run(command).fails(7);
        assert!(!said.contains(secret), "{said}");
    }
}

#[test]
fn what_is_missing_is_said_with_the_remedy() {
    let scratch = Scratch::new();
    let said = scratch.sysforge(&["publish", "--tag", "v1"]).fails(2);
    assert!(
        said.contains("hint: name it with `--repository OWNER/NAME`"),
        "{said}"
    );
    let arguments = ["publish", "--tag", "v1", "--to", "dir:site"];
    let said = scratch.sysforge(&arguments).fails(7);
    assert!(said.contains("no image in [PROJECT]/dist"), "{said}");
    let said = scratch.sysforge(&["install", "./nothing"]).fails(7);
    assert!(
        said.contains("there is no release of Sysforge images at ./nothing"),
        "{said}"
    );
}
