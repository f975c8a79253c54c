//! GitHub Actions through the real binary: the generated workflow, and the output on a runner.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]
#![allow(
    dead_code,
    clippy::allow_attributes,
    reason = "the support module serves other tests, too"
)]

mod support;

use std::process::Command;

use support::{Ran, Scratch};

const PINNED: &str = "workloads = [\"workload.jl\"]\njulia = \"1.5\"\n\n[workflow.tool]\n\
    sums = \"abababababababababababababababababababababababababababababababab\"\n";

/// A project in a git repository, one folder below its root.
fn in_a_repository() -> Scratch {
    let scratch = Scratch::new();
    scratch
        .config(PINNED)
        .file(".git/HEAD", "ref: refs/heads/main\n");
    scratch
}

/// The binary as a runner starts it.
fn on_a_runner(scratch: &Scratch, args: &[&str]) -> Command {
    let mut command = scratch.command(args);
    for (name, file) in [
        ("GITHUB_OUTPUT", "output"),
        ("GITHUB_STEP_SUMMARY", "summary"),
    ] {
        command.env(name, scratch.path(file));
    }
    command
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_WORKSPACE", scratch.path("."))
        .env("GITHUB_SHA", "c0ffee")
        .env("SYSFORGE_RUNNER", "ubuntu-20.04");
    command
}

fn written(scratch: &Scratch, name: &str) -> String {
    std::fs::read_to_string(scratch.path(name)).unwrap_or_default()
}

fn run(scratch: &Scratch, args: &[&str]) -> Ran {
    scratch.run(on_a_runner(scratch, args))
}

#[test]
fn a_workflow_is_written_preserved_and_compared() {
    let scratch = in_a_repository();
    let path = ".github/workflows/sysimage.yml";
    let missing = scratch.sysforge(&["workflow", "--check"]).ends_with(2);
    assert!(missing.stdout.contains("+jobs:"), "{}", missing.stdout);
    scratch.sysforge(&["workflow"]).succeeds();
    scratch.sysforge(&["workflow", "--check"]).succeeds();

    // Lines between markers are kept and do not count as a difference.
    let mark = "      # sysforge:keep build-before\n";
    let mine = format!("{mark}      - run: echo mine\n");
    let text = written(&scratch, path).replace(mark, &mine);
    scratch.file(path, &text);
    scratch.sysforge(&["workflow", "--check"]).succeeds();
    scratch.config(&format!("{PINNED}\n[workflow]\ncache = false\n"));
    let drifted = scratch.sysforge(&["workflow", "--check"]).ends_with(2);
    assert!(
        drifted
            .stdout
            .contains("-      - name: Save Julia, the toolchain and packages")
    );
    assert!(
        drifted
            .stderr
            .contains("hint: regenerate it with `sysforge workflow`")
    );
    scratch.sysforge(&["workflow"]).succeeds();
    let text = written(&scratch, path);
    assert!(text.contains(&mine) && !text.contains("actions/cache"));

    // The workflow of another project in the same repository is not overwritten either.
    scratch.file("other/Project.toml", &written(&scratch, "Project.toml"));
    scratch.file("other/Sysimage.toml", PINNED);
    scratch.file("other/workload.jl", "");
    let other = ["workflow", "--project", "other"];
    let said = scratch.sysforge(&other).fails(2);
    assert!(
        said.contains("builds the project in the repository's root"),
        "{said}"
    );

    // The error for a marker without its end names the line.
    let broken = text.replace("      # sysforge:end build-before\n", "");
    scratch.file(path, &broken);
    let said = scratch.sysforge(&["workflow"]).fails(2);
    let line = 1 + broken
        .lines()
        .position(|line| line == mark.trim_end())
        .unwrap();
    let expected = format!("line {line} of {path}: the marker `sysforge:keep build-before` has no");
    assert!(said.contains(&expected), "{said}");

    // A file from another source is not overwritten.
    scratch.file(path, "name: mine\n");
    let said = scratch.sysforge(&["workflow"]).fails(2);
    assert!(said.contains("was not written by Sysforge"), "{said}");
    scratch.sysforge(&["workflow", "--force"]).succeeds();
    scratch.sysforge(&["workflow", "--check"]).succeeds();
}

#[test]
fn pinning_sysforge_keeps_the_other_lines_of_the_configuration() {
    let scratch = in_a_repository();
    let config = "# mine\nworkloads = [\"workload.jl\"] # kept\n";
    scratch.config(config);
    let said = scratch.sysforge(&["workflow"]).fails(2);
    assert!(
        said.contains("run `sysforge workflow --pin SHA256SUMS`"),
        "{said}"
    );
    scratch.file("sums", "not checksums\n");
    let said = scratch.sysforge(&["workflow", "--pin", "sums"]).fails(2);
    assert!(said.contains("does not list the checksums"), "{said}");
    scratch.file(
        "sums",
        &format!("{}  sysforge-x86_64-linux-gnu\n", "ab".repeat(32)),
    );
    scratch.sysforge(&["workflow", "--pin", "sums"]).succeeds();
    let pinned = written(&scratch, "Sysimage.toml");
    assert!(pinned.starts_with(config), "{pinned}");
    assert!(
        pinned.contains("\n[workflow.tool]\nversion = \"0.1.0\"\nsums = \""),
        "{pinned}"
    );
    scratch
        .sysforge(&["workflow", "--pin", "sums", "--print"])
        .succeeds();
    assert_eq!(written(&scratch, "Sysimage.toml"), pinned);
}

#[test]
fn a_project_gets_a_configuration_and_a_workflow() {
    let scratch = Scratch::new();
    scratch.file(".git/HEAD", "ref: refs/heads/main\n");
    scratch.file(
        "sums",
        &format!("{}  sysforge-x86_64-linux-gnu\n", "ab".repeat(32)),
    );
    scratch
        .sysforge(&["init", "--workflow", "--pin", "sums"])
        .succeeds();
    assert!(written(&scratch, "Sysimage.toml").contains("workloads = [\"workload.jl\"]"));
    scratch.sysforge(&["workflow", "--check"]).succeeds();
    let said = scratch.sysforge(&["init"]).fails(2);
    assert!(said.contains("exists already"), "{said}");
}

#[test]
fn the_matrix_is_an_output() {
    let scratch = in_a_repository();
    let out = ["plan", "--matrix", "--out", "plan.json", "--tag", "v1"];
    // The local mirror has one Julia for one platform; the others are left out with a note.
    let ran = run(&scratch, &out).succeeds();
    let matrix = &ran.json()["matrix"];
    assert_eq!(matrix["legs"].as_array().unwrap().len(), 1);
    assert_eq!(matrix["legs"][0]["runner"], "ubuntu-24.04");
    assert!(
        ran.stderr
            .contains("no archive of it is published for aarch64-apple-darwin")
    );
    let output = written(&scratch, "output");
    assert!(output.contains("legs=1\n"), "{output}");
    assert!(
        output.contains("matrix={\"include\":[{\"name\":\"Tiny-julia1.5"),
        "{output}"
    );
    assert!(output.contains("tag=v1\nref=refs/tags/v1\n"), "{output}");
    assert!(written(&scratch, "summary").contains("| ubuntu-24.04 | 1.5"));
    assert!(written(&scratch, "plan.json").contains("\"builds\": ["));

    scratch.config(&format!(
        "{PINNED}\n[platforms.\"x86_64-linux-gnu\"]\nrunner = \"ubuntu-20.04\"\n"
    ));
    let ran = run(&scratch, &["plan", "--matrix"]).succeeds();
    let warning = "::warning title=sysforge::the runner `ubuntu-20.04` was removed on";
    assert!(ran.stderr.contains(warning), "{}", ran.stderr);
    let ran = run(&scratch, &["plan"]).succeeds();
    assert!(ran.stderr.contains(warning), "{}", ran.stderr);
}

#[test]
fn a_schedule_without_a_release_plans_nothing() {
    let scratch = in_a_repository();
    let legs = |tag: Option<&str>| {
        let mut command = on_a_runner(&scratch, &["plan", "--matrix"]);
        command.env("GITHUB_EVENT_NAME", "schedule");
        if let Some(tag) = tag {
            command.env("SYSFORGE_TAG", tag);
        }
        let ran = scratch.run(command).succeeds();
        ran.json()["matrix"]["legs"].as_array().unwrap().len()
    };
    assert_eq!((legs(Some("")), legs(None)), (0, 1));
    assert!(written(&scratch, "output").contains("legs=0\n"));
    assert!(written(&scratch, "summary").contains("there is no release yet"));
}

#[test]
fn the_annotation_of_a_failing_workload_has_its_line() {
    let scratch = in_a_repository();
    scratch.file(
        "workload.jl",
        "using Tiny\n\nbroken() = error(\"::error::oh no\")\nbroken()\n",
    );
    let ran = run(&scratch, &["build"]).ends_with(5);
    let annotation = "::error file=workload.jl,line=3,title=sysforge%2C exit code 5::\
        the workload `workload.jl` failed%0Acause: ";
    assert!(ran.stderr.contains(annotation), "{}", ran.stderr);
    let warning = "::warning title=sysforge::the runner `ubuntu-20.04` was removed on";
    assert!(ran.stderr.contains(warning), "{}", ran.stderr);
    // The runner shows what Julia printed, but does not interpret it.
    let (before, _) = ran.stderr.split_once("oh no").unwrap();
    assert!(
        before.contains("::stop-commands::sysforge-"),
        "{}",
        ran.stderr
    );
    assert!(
        before.contains("::group::Building Tiny-julia1.5"),
        "{}",
        ran.stderr
    );
    let summary = written(&scratch, "summary");
    assert!(summary.starts_with("## Failed: Tiny-julia1.5"), "{summary}");
    assert!(summary.contains("at `workload.jl:3`"), "{summary}");
    assert!(summary.contains("oh no"), "{summary}");
}

#[test]
fn the_annotation_of_a_configuration_error_has_its_line() {
    let scratch = in_a_repository();
    scratch.config("name = \"x\"\nworkload = []\n");
    let ran = run(&scratch, &["plan"]).ends_with(2);
    let annotation = "::error file=Sysimage.toml,line=2,col=1,title=sysforge%2C exit code 2::";
    assert!(ran.stderr.contains(annotation), "{}", ran.stderr);
}

#[test]
fn a_token_is_masked_and_not_passed_to_workloads() {
    let scratch = in_a_repository();
    scratch.file(
        "workload.jl",
        "using Tiny\nfor name in (\"GITHUB_TOKEN\", \"GITHUB_OUTPUT\", \"GITHUB_ENV\")\n    \
         haskey(ENV, name) && error(name)\nend\nprintln(greet(\"world\"))\n",
    );
    let mut command = on_a_runner(&scratch, &["trace"]);
    command
        .env("GITHUB_TOKEN", "ghs_0123456789abcdef")
        .env("GITHUB_ENV", scratch.path("env"));
    let ran = scratch.run(command).succeeds();
    assert!(
        ran.stderr.starts_with("::add-mask::ghs_0123456789abcdef\n"),
        "{}",
        ran.stderr
    );
}

#[test]
fn the_event_decides_what_is_released() {
    let scratch = in_a_repository();
    let told = |event: &str, kind: &str, typed: &str| {
        let mut command = on_a_runner(&scratch, &["workflow", "--tag"]);
        command
            .env("GITHUB_EVENT_NAME", event)
            .env("GITHUB_REF_TYPE", kind)
            .env("GITHUB_REF_NAME", "v2")
            .env("SYSFORGE_TAG", typed);
        scratch.run(command).succeeds().stdout
    };
    assert_eq!(told("push", "tag", ""), "v2\n");
    assert_eq!(told("workflow_dispatch", "branch", "v1"), "v1\n");
    assert_eq!(told("pull_request", "branch", ""), "");
    assert!(written(&scratch, "output").ends_with("tag=\n"));
}

#[test]
fn the_julia_is_an_output() {
    let scratch = Scratch::new();
    let ran = run(&scratch, &["julia", "install", "1.5", "1.5.3"]).succeeds();
    let executable = ran.stdout.lines().next().unwrap();
    let folder = executable.strip_suffix("/julia").unwrap();
    assert_eq!(
        written(&scratch, "output"),
        format!("julia-version=1.5.3\njulia-bindir={folder}\n")
    );
}

/// The script of the step of `action.yml` with this name.
fn step_of_the_action(name: &str) -> String {
    let action = std::fs::read_to_string(support::root().join("action.yml")).unwrap();
    let (_, step) = action.split_once(&format!("- name: {name}\n")).unwrap();
    let (_, script) = step.split_once("run: |\n").unwrap();
    let lines = script
        .lines()
        .take_while(|line| line.starts_with("        "));
    lines
        .map(|line| format!("{}\n", line.trim_start()))
        .collect()
}

#[test]
fn the_action_adds_one_julia_to_the_path() {
    let scratch = Scratch::new();
    let script = step_of_the_action("Add Julia to the path");
    let add = |folders: &str| {
        let mut bash = Command::new("bash");
        bash.args(["-e", "-c", &script]);
        bash.env("BINDIR", folders)
            .env("GITHUB_PATH", scratch.path("path"));
        scratch.run(bash)
    };
    assert!(add("").ends_with(2).stdout.contains("uses no Julia"));
    assert!(
        add("/a/bin\n/b/bin")
            .ends_with(2)
            .stdout
            .contains("several Julias")
    );
    add("/a/bin").succeeds();
    assert_eq!(written(&scratch, "path"), "/a/bin\n");
}
