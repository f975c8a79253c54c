//! Workloads run as a user would run them: with each kind of standard output, without flags that
//! matter, and as scripts; and errors are found early. All but the last test emit no image: they
//! measure Julia's own sysimage, an image without packages.

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
fn the_types_of_the_streams_are_those_of_a_user() {
    // With a colour flag, Julia 1.6 and later wrap a standard output that is not a terminal into an
    // IOContext.
    let scratch = workload(
        r#"write(joinpath(@__DIR__, "seen", string(getpid())),
                 "$(typeof(stdin)) $(typeof(stdout)) $(typeof(stderr)) $(Base.JLOptions().color)")"#,
    );
    // Three processes run at the same time, so each writes its own file.
    std::fs::create_dir(scratch.path("seen")).unwrap();
    traced(&scratch);
    let files = std::fs::read_dir(scratch.path("seen")).unwrap().flatten();
    let seen = files.map(|file| std::fs::read_to_string(file.path()).unwrap());
    let mut seen: Vec<_> = seen.collect();
    seen.sort_unstable();
    assert_eq!(
        seen,
        [
            "Base.TTY Base.TTY Base.TTY 0",
            "IOStream Base.PipeEndpoint Base.PipeEndpoint 0",
            "IOStream IOStream IOStream 0"
        ]
    );
}

/// The only flags that Julia has while it is traced and a user's lacks.
#[test]
fn the_flags_while_tracing_change_no_statement() {
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
    let without = recorded(&[]);
    assert!(without.lines().count() > 5, "{without}");
    for with in [&["--startup-file=no"][..], &["--startup-file=no", "-O1"]] {
        assert_eq!(recorded(with), without, "{with:?}");
    }
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
fn runs_that_conflict_are_repeated_one_at_a_time() {
    // Only one process at a time can create the folder.
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

/// Measures the workloads with Julia's own image; returns the figures and standard error.
fn bench(scratch: &Scratch) -> (serde_json::Value, String) {
    let image = Command::new(julia().join("bin/julia"))
        .args(["-e", "print(unsafe_string(Base.JLOptions().image_file))"])
        .output()
        .unwrap();
    let image = String::from_utf8(image.stdout).unwrap();
    let ran = scratch
        .sysforge(&["bench", &image, "--samples", "1", "--json"])
        .succeeds();
    (ran.json()["with"].clone(), ran.stderr)
}

fn is_measured(figure: &serde_json::Value) -> bool {
    figure.as_f64().is_some_and(|seconds| seconds > 0.0)
}

#[test]
fn case_24_a_workload_that_calls_exit_is_measured() {
    let scratch = workload("println(sum(rand(3)) > 9)\natexit(() -> println(\"bye\"))\nexit(0)\n");
    let (figures, said) = bench(&scratch);
    assert!(is_measured(&figures["first_call_s"]), "{figures}");
    assert!(is_measured(&figures["second_call_s"]), "{figures}");
    assert!(
        figures["peak_memory_bytes"].as_u64().unwrap() > 1 << 20,
        "{figures}"
    );
    assert!(!said.contains("ends Julia"), "{said}");
}

#[test]
fn a_workload_that_ends_julia_abruptly_is_a_warning() {
    let scratch = workload("ccall(:_exit, Cvoid, (Cint,), 0)\n");
    let (figures, said) = bench(&scratch);
    assert_eq!(figures["first_call_s"], serde_json::Value::Null);
    assert!(
        figures["peak_memory_bytes"].as_u64().unwrap() > 1 << 20,
        "{figures}"
    );
    let warning = "the workload `workload.jl` ends Julia in a way that cannot be measured";
    assert!(said.contains(warning), "{said}");
}

#[test]
fn a_workload_that_cannot_run_twice_has_one_figure_and_a_warning() {
    for second in [
        "error(\"been here\")",
        "exit(7)",
        "ccall(:raise, Cint, (Cint,), 9)",
    ] {
        let scratch = workload(&format!(
            "isdefined(Base, :BEEN_HERE) && {second}\n@eval Base const BEEN_HERE = true\n"
        ));
        let (figures, said) = bench(&scratch);
        assert!(is_measured(&figures["first_call_s"]), "{second}: {figures}");
        assert_eq!(
            figures["second_call_s"],
            serde_json::Value::Null,
            "{second}"
        );
        let warning = "the workload `workload.jl` fails the second time it runs";
        assert!(said.contains(warning), "{second}: {said}");
    }
}

#[test]
fn a_workload_that_redefines_its_types_or_closes_its_output_runs_twice() {
    let scratch = workload(
        "const LIMIT = rand()
         struct Policy; value::Float64; end
         total(p::Policy) = p.value + LIMIT
         @assert total(Policy(1.0)) >= 1 && Main.LIMIT == LIMIT
         close(stdout)\n",
    );
    let (figures, said) = bench(&scratch);
    assert!(is_measured(&figures["second_call_s"]), "{figures}: {said}");
}

/// Whether Julia was started for a step of a build.
fn was_started(scratch: &Scratch) -> bool {
    let builds = std::fs::read_dir(scratch.path(".sysforge")).into_iter();
    let logs = builds
        .flatten()
        .flatten()
        .map(|build| build.path().join("logs"));
    logs.flat_map(std::fs::read_dir).flatten().count() > 0
}

#[test]
fn an_output_that_cannot_be_written_is_found_before_the_build() {
    let scratch = workload("");
    let error = scratch
        .sysforge(&["build", "--out", "workload.jl/dist"])
        .fails(2);
    // Windows says of such a path that it does not exist.
    let action = if cfg!(windows) { "write" } else { "create" };
    assert!(error.contains(&format!("could not {action}")), "{error}");
    for option in ["--svg", "--html"] {
        let args = ["bench", "Project.toml", option, "no-such-folder/report"];
        let error = scratch.sysforge(&args).fails(2);
        assert!(error.contains("no-such-folder/report"), "{error}");
        let error = scratch
            .sysforge(&["bench", "Project.toml", option, "src"])
            .fails(2);
        assert!(error.contains("could not write"), "{error}");
        // Nor is a Julia looked for.
        let nowhere = ["--mirror", "http://127.0.0.1:1/", "--store", "empty"];
        let args = [&["bench", option, "no-such-folder/report"], &nowhere[..]].concat();
        let error = scratch.sysforge(&args).fails(2);
        assert!(error.contains("no-such-folder/report"), "{error}");
    }
    assert!(!was_started(&scratch));
}

#[test]
fn an_unknown_cpu_of_the_second_image_is_found_before_building_the_first() {
    let scratch = workload("");
    scratch.config(
        "workloads = [\"workload.jl\"]\njulia = \"1.5\"\ncpu = [\"generic\", \"nosuchcpu\"]\n",
    );
    let error = scratch.sysforge(&["build"]).fails(2);
    assert!(error.contains("nosuchcpu"), "{error}");
    assert!(!was_started(&scratch));
}

/// One emission for all claims about an image. `allocate` is compiled for `Type`, although
/// `Type{Int}` calls another method, and an `Int8` parameter is printed as an `Int`: replaying the
/// recorded statement helps in neither case.
#[test]
fn ineffective_printed_statements_are_fixed_in_the_first_emission() {
    let scratch = workload(
        "using Tiny
         println(Tiny.all_of(Any[String, Float64]), Tiny.sizes(Any[Int8(3), 0x04]), 1.5)
         @info \"done\" ARGS
         exit(0)\n",
    );
    scratch.file(
        "src/Tiny.jl",
        "module Tiny
         @noinline allocate(T, n) = T <: AbstractString ? fill(convert(T, \"\"), n) : Vector{Union{T,Missing}}(undef, n)
         @noinline allocate(::Type{Int}, n) = [0]
         struct Sized{N} end
         @noinline size_of(::Sized{N}) where {N} = string(N, \" bytes\")
         all_of(types) = Any[allocate(T, 3) for T in types]
         sizes(numbers) = [size_of(Sized{n}()) for n in numbers]
         end\n",
    );
    scratch.config(
        "workloads = [{ path = \"workload.jl\", args = [\"x\"] }]\njulia = \"1.5\"\ncpu = \"native\"\n",
    );
    let built = scratch.sysforge(&["build", "--json"]).succeeds();
    assert!(!built.stderr.contains("panicked"), "{}", built.stderr);
    let check = built.json()[0]["receipt"]["check"].clone();
    assert_eq!(check["rounds"], serde_json::json!([0]), "{check}");
    let outputs = serde_json::json!([
        { "output": "pipe", "residuals": [] },
        { "output": "terminal", "residuals": [] },
        { "output": "file", "residuals": [] },
    ]);
    assert_eq!(check["outputs"], outputs);
    assert!(is_measured(&check["latency"]["second_call_s"]), "{check}");
    assert!(is_measured(&check["load_without_image_s"]), "{check}");
}
