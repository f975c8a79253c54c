//! Workloads are run as a user runs them: each kind of standard output, no flag that matters, as
//! scripts. Nothing here emits an image.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]
#![cfg(unix)]

mod support;

use std::process::{Command, Stdio};

use support::{Scratch, julia};

/// The statements that `sysforge trace` prints.
fn traced(scratch: &Scratch) -> Vec<String> {
    let out = scratch.sysforge(&["trace"]).succeeds().stdout;
    out.lines().map(str::to_owned).collect()
}

fn workload(text: &str) -> Scratch {
    let scratch = Scratch::new();
    scratch
        .file("workload.jl", text)
        .config("workloads = [\"workload.jl\"]\njulia = \"1.5\"\n");
    scratch
}

#[test]
fn printing_is_recorded_for_a_pipe_a_terminal_and_a_file() {
    let statements = traced(&workload("struct P end\nprintln(P())\n"));
    for stream in ["Base.PipeEndpoint", "Base.TTY", "Base.IOStream"] {
        let prints = |text: &&String| text.contains("println") && text.contains(stream);
        assert!(
            statements.iter().any(|text| prints(&text)),
            "{stream}: {statements:?}"
        );
    }
}

#[test]
fn output_is_what_a_user_has_it_to_be() {
    // With a colour flag, Julia 1.6 and later wrap what is no terminal into an IOContext.
    let scratch = workload(
        r#"open(joinpath(@__DIR__, "seen.txt"), append = true) do io
             write(io, "$(typeof(stdout)) $(typeof(stderr)) $(Base.JLOptions().color)\n")
         end"#,
    );
    traced(&scratch);
    let seen = std::fs::read_to_string(scratch.path("seen.txt")).unwrap();
    let mut seen: Vec<_> = seen.lines().collect();
    seen.sort_unstable();
    assert_eq!(
        seen,
        [
            "Base.PipeEndpoint Base.PipeEndpoint 0",
            "Base.TTY Base.TTY 0",
            "IOStream IOStream 0"
        ]
    );
}

/// The one flag that Sysforge's Julias have and a user's have not.
#[test]
fn the_flag_against_startup_files_changes_no_statement() {
    let scratch = workload("println([1.5, 2], ' ', Dict(:a => 1))\n@info \"done\" x = 1\n");
    let recorded = |flag: &[&str]| {
        let file = scratch.path("recorded.jl");
        let status = Command::new(julia().join("bin/julia"))
            .args(flag)
            .arg(format!("--trace-compile={}", file.display()))
            .arg(scratch.path("workload.jl"))
            .env("HOME", scratch.path("no-home"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(status.unwrap().success());
        std::fs::read_to_string(&file).unwrap()
    };
    let (with, without) = (recorded(&["--startup-file=no"]), recorded(&[]));
    assert!(with.lines().count() > 5, "{with}");
    assert_eq!(with, without);
}

#[test]
fn a_workload_runs_as_a_script_with_its_arguments() {
    let scratch = workload("");
    scratch
        .config(
            "workloads = [{ path = \"workload.jl\", args = [\"--year\", \"a b\"] }]\njulia = \"1.5\"\n",
        )
        .file("part.jl", "part() = 1\n")
        .file(
            "workload.jl",
            "include(\"part.jl\")
             @assert part() == eval(:(part()))
             @assert ARGS == [\"--year\", \"a b\"]
             @assert PROGRAM_FILE == @__FILE__
             @assert @__MODULE__() === Main
             @assert eof(stdin)\n",
        );
    traced(&scratch);
}

#[test]
fn runs_that_disturb_each_other_are_repeated_alone() {
    // Only one process at a time can have the folder.
    let scratch = workload(
        "mkdir(joinpath(@__DIR__, \"taken\"))
         sleep(3)
         rm(joinpath(@__DIR__, \"taken\"))\n",
    );
    traced(&scratch);
}

#[test]
fn a_workload_that_always_fails_is_an_error() {
    let scratch = workload("error(\"no such policy\")\n");
    let error = scratch.sysforge(&["trace"]).fails(5);
    assert!(
        error.contains("the workload `workload.jl` failed"),
        "{error}"
    );
    assert!(error.contains("no such policy"), "{error}");
}

#[test]
fn a_missing_workload_is_found_by_plan() {
    let scratch = workload("");
    scratch.config("workloads = [{ path = \"wrkload.jl\" }]\njulia = \"1.5\"\n");
    let error = scratch.sysforge(&["plan"]).fails(2);
    assert!(
        error.contains("the workload `wrkload.jl` does not exist"),
        "{error}"
    );
    assert!(error.contains("workload.jl"), "{error}");
}
