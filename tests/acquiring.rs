//! Acquiring Julias with the real binary and a real Julia: the doctor, Julias named by a path or by
//! a manifest, and pruning during a build.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod support;

use std::fmt::Write;
use std::path::Path;

use support::{Ran, Scratch, julia};
use sysforge_plan::Triplet;
use sysforge_testkit::archives::tiny_julia;
use sysforge_testkit::mirror_dir::MirrorDir;

/// The doctor's lines with MISSING, each with its hint.
fn missing(scratch: &Scratch, ran: &Ran) -> String {
    let report = ran.json();
    let mut text = String::new();
    for finding in report["findings"].as_array().unwrap() {
        if finding["state"] == "missing" {
            let part = |name: &str| finding[name].as_str().unwrap().to_owned();
            let _ = writeln!(text, "{}: {}", part("check"), part("found"));
            let _ = writeln!(text, "  {}", part("mend"));
        }
    }
    assert_eq!(report["able"], text.is_empty());
    text.replace(&*scratch.path("").to_string_lossy(), "[PROJECT]/")
        .replace(
            scratch.path("").to_string_lossy().trim_end_matches('/'),
            "[PROJECT]",
        )
}

/// The doctor's MISSING lines; the doctor must end with exit code 2.
#[track_caller]
fn doctor(scratch: &Scratch, args: &[&str], variables: &[(&str, &str)]) -> String {
    let mut command = scratch.command(&["doctor", "--json"]);
    command.args(args).envs(variables.iter().copied());
    let ran = scratch.run(command).ends_with(2);
    missing(scratch, &ran)
}

fn tiny() -> Scratch {
    let scratch = Scratch::new();
    scratch.config("julia = \"1.5\"\n");
    scratch
}

#[test]
fn the_doctor_finds_everything_for_a_build() {
    let scratch = tiny();
    let ran = scratch.sysforge(&["doctor", "--json"]).succeeds();
    assert_eq!(missing(&scratch, &ran), "");
    // A Julia on this machine is enough.
    let given = julia().to_str().unwrap();
    scratch.sysforge(&["doctor", "--julia", given]).succeeds();
    let mut system = scratch.command(&["doctor", "--julia", "system"]);
    let path = std::env::var("PATH").unwrap();
    system.env("PATH", format!("{given}/bin:{path}"));
    scratch.run(system).succeeds();
}

#[test]
fn the_doctor_reports_problems_of_the_project() {
    let scratch = Scratch::empty();
    insta::assert_snapshot!(doctor(&scratch, &["--julia", "1.5", "--project", "."], &[]), @"
    project: there is no Project.toml in [PROJECT]
      run Sysforge in the folder of your Julia project, or name it with `--project DIR`
    ");
    let scratch = Scratch::new();
    scratch.config("julia = \"1.5\"\npackage = []\n");
    insta::assert_snapshot!(doctor(&scratch, &["--julia", "1.5"], &[]), @"
    project: Sysimage.toml:2:1: unknown key `package`; did you mean `packages`?
      correct line 2 of Sysimage.toml
    ");
}

#[test]
fn the_doctor_reports_problems_with_the_julia() {
    let scratch = tiny();
    let without = [("PATH", "/usr/bin:/bin")];
    insta::assert_snapshot!(doctor(&scratch, &["--julia", "1.5.9"], &[]), @"
    julia: no Julia in the catalogue answers `1.5.9`
      the nearest published version is 1.5.3
    ");
    insta::assert_snapshot!(doctor(&scratch, &["--julia", "system"], &without), @"
    julia: there is no `julia` on the search path
      install Julia, or let Sysforge fetch one, for instance `--julia release`
    ");
    insta::assert_snapshot!(doctor(&scratch, &["--julia", "./nowhere"], &[]), @"
    julia: there is no Julia at [PROJECT]/nowhere
      `--julia` takes a Julia's folder or its executable, or a version to be fetched such as `--julia 1.12`
    ");
    let offline = ["--offline", "--mirror", "http://127.0.0.1:1"];
    insta::assert_snapshot!(doctor(&scratch, &offline, &[]), @"
    julia: the catalogue of http://127.0.0.1:1/bin/versions.json is not in the store, and `--offline` does not allow fetching it
      run once without `--offline` (SYSFORGE_OFFLINE), or use a store that has it (`--store DIR`)
    ");
    let nightly = [&offline[..], &["--julia", "nightly"]].concat();
    insta::assert_snapshot!(doctor(&scratch, &nightly, &[]), @"
    julia: Julia nightly is not installed
      run `sysforge julia install nightly`
    ");
}

#[test]
fn the_doctor_reports_problems_of_the_machine() {
    let scratch = tiny();
    insta::assert_snapshot!(doctor(&scratch, &[], &[("PATH", "/nowhere")]), @"
    C toolchain: no C compiler was found
      install gcc (`apt-get install gcc`, `dnf install gcc`, `apk add gcc musl-dev`)
    ");
    insta::assert_snapshot!(doctor(&scratch, &[], &[("JULIA_CC", "no-such-cc -O2")]), @"
    C toolchain: JULIA_CC names `no-such-cc -O2`, which is no C compiler
      unset JULIA_CC, and Sysforge chooses a compiler; or name another in it
    ");
    let nowhere = ["--build-dir", "Project.toml/build"];
    insta::assert_snapshot!(doctor(&scratch, &nowhere, &[]), @"
    build folder: [PROJECT]/Project.toml/build cannot be written to (Not a directory (os error 20))
      sysforge --build-dir DIR … (or SYSFORGE_BUILD_DIR)
    ");
    insta::assert_snapshot!(doctor(&scratch, &["--triplet", "x86_64-apple-darwin"], &[]), @"
    platform: this is x86_64-linux-gnu, and an image is made where it will run
      build on x86_64-apple-darwin, or have hosted runners do it (`sysforge workflow`)
    julia: Julia 1.5.3 answers `1.5`, but no archive of it is published for x86_64-apple-darwin
      this catalogue has no Julia at all for x86_64-apple-darwin
    C toolchain: no C compiler was found
      install the Command Line Tools (`xcode-select --install`)
    ");
    // Neither the store nor its fallback is writable.
    let home = scratch.path("Project.toml").to_str().unwrap().to_owned();
    let store = format!("{home}/store");
    insta::assert_snapshot!(doctor(&scratch, &["--store", &store], &[("HOME", &home)]), @r#"
    depot: [PROJECT]/Project.toml/.julia cannot be written to (Not a directory (os error 20))
      `depot = "DIR"` in Sysimage.toml, or JULIA_DEPOT_PATH
    julia: could not use [PROJECT]/Project.toml/store: not a directory
      name a folder: this, or a part of the path, is a file
    "#);
}

#[test]
fn julia_path_accepts_every_kind_of_request() {
    let scratch = tiny();
    let prefix = julia().to_str().unwrap();
    let program = format!("{prefix}/bin/julia\n");
    let found = scratch.sysforge(&["julia", "path", prefix]).succeeds();
    assert_eq!(found.stdout, program);
    let mut system = scratch.command(&["julia", "path", "system", "--json"]);
    system.env("PATH", format!("{prefix}/bin:/usr/bin:/bin"));
    let found = scratch.run(system).succeeds().json();
    assert_eq!(found[0]["version"], "1.5.3");
    assert_eq!(found[0]["executable"], program.trim());
    insta::assert_snapshot!(scratch.sysforge(&["julia", "path", "nightly"]).fails(2), @"
    error: Julia nightly is not installed

    hint: run `sysforge julia install nightly`
    ");
    insta::assert_snapshot!(scratch.sysforge(&["julia", "path", "./nowhere"]).fails(2), @"
    error: there is no Julia at [PROJECT]/nowhere

    hint: `--julia` takes a Julia's folder or its executable, or a version to be fetched such as `--julia 1.12`
    ");
    insta::assert_snapshot!(scratch.sysforge(&["julia", "install", "system"]).fails(2), @"
    error: `system` names a Julia of this machine; there is nothing to install

    hint: ask for a version or a channel, for instance `release`
    ");
}

#[test]
fn a_manifest_for_one_julia_names_that_julia() {
    let mut mirror = MirrorDir::new();
    for version in ["1.11.2", "1.11.3", "1.12.7"] {
        let archive = tiny_julia(version, 10).gz();
        mirror.publish(version, Triplet::X86_64_LINUX_GNU, &archive);
    }
    let scratch = Scratch::new();
    let manifest =
        |version: &str| format!("julia_version = \"{version}\"\nmanifest_format = \"2.0\"\n");
    scratch.file("Manifest-v1.9.toml", &manifest("1.9.4"));
    scratch.file("Manifest-v1.11.toml", &manifest("1.11.2"));
    let (store, mirror) = (scratch.path("store"), mirror.path().to_str().unwrap());
    let version = || {
        let mut install = scratch.command(&["julia", "install", "manifest", "--json"]);
        install.args(["--triplet", "x86_64-linux-gnu", "--mirror", mirror]);
        install.arg("--store").arg(&store);
        let located = scratch.run(install).succeeds().json();
        located[0]["version"].as_str().unwrap().to_owned()
    };
    assert_eq!(version(), "1.11.2");
    // If there is a versioned manifest, the Julia of the plain one does not count.
    scratch.file("Manifest.toml", &manifest("1.11.3"));
    assert_eq!(version(), "1.11.2");
    scratch.file("Manifest-v1.12.toml", &manifest("1.12.7"));
    assert_eq!(version(), "1.12.7");
}

#[cfg(unix)]
#[test]
fn prune_keeps_entries_that_a_running_build_uses() {
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    let scratch = tiny();
    scratch.config("julia = \"1.5\"\nworkloads = [\"workload.jl\"]\n");
    scratch.file(
        "workload.jl",
        "using Tiny\nrun(`sh -c \"touch running; sleep 600\"`)\n",
    );
    let (store, running) = (scratch.path("store"), scratch.path("running"));
    let in_store = ["--store", store.to_str().unwrap()];
    let prune = || {
        let args = [&["cache", "prune", "--all", "--json"], &in_store[..]].concat();
        scratch.sysforge(&args).succeeds().json()
    };
    let entry = || {
        let mut entries = std::fs::read_dir(Path::new(&store).join("julia")).unwrap();
        entries.next().unwrap().unwrap().path()
    };
    // Named by its version, and by its path in the store.
    for by_place in [false, true] {
        let mut build = scratch.command(&["build"]);
        build.args(in_store).stdout(Stdio::null());
        if by_place {
            build.arg("--julia").arg(entry());
        }
        let mut build = build.stderr(Stdio::null()).spawn().unwrap();
        let since = Instant::now();
        while !running.exists() {
            assert!(since.elapsed() < Duration::from_secs(240), "{by_place}");
            assert!(build.try_wait().unwrap().is_none(), "it ended: {by_place}");
            std::thread::sleep(Duration::from_millis(50));
        }
        let pruned = prune();
        assert_eq!(pruned["removed"].as_array().unwrap().len(), 0, "{by_place}");
        assert_eq!(pruned["in_use"].as_array().unwrap().len(), 1, "{by_place}");
        let id = build.id().to_string();
        Command::new("kill").args(["-TERM", &id]).status().unwrap();
        build.wait().unwrap();
        std::fs::remove_file(&running).unwrap();
    }
    assert!(entry().join("bin/julia").is_file());
    assert_eq!(prune()["removed"].as_array().unwrap().len(), 1);
}
