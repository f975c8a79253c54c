//! Bad input through the real binary: a clear error with a hint, the documented exit code, and no
//! incomplete results. Review the snapshots as a user who reads them for the first time.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod support;

use support::{Scratch, julia};
use sysforge_plan::Triplet;
use sysforge_testkit::archives::tiny_julia;
use sysforge_testkit::mirror_dir::MirrorDir;

/// Only the errors: progress lines contain times.
fn from_error(stderr: &str) -> &str {
    &stderr[stderr.find("error:").unwrap()..]
}

/// Replaces the one number that differs from run to run.
fn without_memory(stderr: &str) -> String {
    let text = from_error(stderr);
    let (before, after) = text.split_once("process used up to ").unwrap();
    let digits = after.trim_start_matches(|c: char| c.is_ascii_digit());
    format!("{before}process used up to [N]{digits}")
}

#[test]
fn no_project() {
    let error = Scratch::empty()
        .sysforge(&["build", "--project", "."])
        .fails(2);
    insta::assert_snapshot!(error, @"
    error: there is no Project.toml in [PROJECT]

    hint: run Sysforge in the folder of your Julia project, or name it with `--project DIR`
    ");
}

#[test]
fn a_package_that_the_project_does_not_have() {
    let scratch = Scratch::new();
    scratch.config("packages = [\"Tinny\"]\njulia = \"1.5\"\n");
    insta::assert_snapshot!(scratch.sysforge(&["build"]).fails(2), @r#"
    error: the project has no package `Tinny`
      --> Sysimage.toml:1:13
      |
    1 | packages = ["Tinny"]
      |             ^

    hint: did you mean `Tiny`?
    "#);
}

#[test]
fn a_manifest_that_needs_another_julia() {
    let scratch = Scratch::new();
    scratch.config("julia = \"1.5\"\n");
    scratch.file(
        "Manifest.toml",
        "julia_version = \"1.10.4\"\nmanifest_format = \"2.0\"\n",
    );
    insta::assert_snapshot!(scratch.sysforge(&["build", "--locked"]).fails(2), @r#"
    error: Manifest.toml was made by Julia 1.10.4, and the image is for Julia 1.5.3, and `locked` forbids resolving the versions of its packages

    hint: build for the manifest's own Julia: `julia = "manifest"` in Sysimage.toml, or `--julia 1.10.4`
    hint: or make a manifest with Julia 1.5.3: `[JULIA]/bin/julia --project -e 'using Pkg; Pkg.resolve()'`
    "#);
}

#[test]
fn dependencies_without_a_manifest() {
    let scratch = Scratch::new();
    scratch.config("name = \"x\"\njulia = \"1.5\"\n");
    scratch.file(
        "Project.toml",
        "[deps]\nDates = \"ade2ca70-3891-5945-98fb-dc099432e06a\"\n",
    );
    insta::assert_snapshot!(scratch.sysforge(&["build", "--locked"]).fails(2), @"
    error: the project has no manifest, and `locked` forbids resolving the versions of its packages

    hint: make one with `[JULIA]/bin/julia --project -e 'using Pkg; Pkg.instantiate()'` and commit it
    hint: or leave out `locked`: the versions are then resolved in the build directory
    ");
}

#[test]
fn a_folder_name_that_is_not_a_valid_image_name() {
    let scratch = Scratch::new();
    scratch.config("packages = [\"Tiny\"]\njulia = \"1.5\"\n");
    scratch.file("Project.toml", "[deps]\n");
    insta::assert_snapshot!(scratch.sysforge(&["build"]).fails(2), @r#"
    error: the image has no usable name: `a projéct`, taken from the folder, cannot be part of file names
      cause: `a projéct` is not the name of an image: only letters, digits, `.`, `_` and `-` may be in it

    hint: give it one: `name = "…"` in Sysimage.toml
    "#);
}

#[test]
fn an_unknown_julia() {
    let scratch = Scratch::new();
    insta::assert_snapshot!(scratch.sysforge(&["plan", "--julia", "1.5.9"]).fails(2), @"
    error: no Julia in the catalogue answers `1.5.9`

    hint: the nearest published version is 1.5.3
    hint: for x86_64-linux-gnu there is: 1.6.7, 1.5.3
    ");
    insta::assert_snapshot!(scratch.sysforge(&["plan", "--julia", "latst"]).fails(2), @"
    error: `latst` is not a Julia version, range or channel (did you mean `latest`?)

    hint: ask for a version (`1.12`, `1.12.7`), a range (`^1.6`, `~1.10`, `1.6 - 1.11`), `release`, `lts`, `rc`, `nightly`, `min`, `min-patch`, `manifest`, `system`, or a directory (`./julia`)
    ");
}

#[test]
fn a_julia_without_a_build_for_this_platform() {
    let scratch = Scratch::new();
    let catalogue = r#"{ "1.9.0": { "stable": true, "files": [ {
        "url": "https://julialang-s3.julialang.org/bin/winnt/x64/1.9/julia-1.9.0-win64.tar.gz",
        "triplet": "x86_64-w64-mingw32", "os": "winnt", "arch": "x86_64", "kind": "archive",
        "version": "1.9.0", "extension": "tar.gz", "size": 1, "sha256": "DIGEST" } ] } }"#;
    scratch.file(
        "mirror/bin/versions.json",
        &catalogue.replace("DIGEST", &"ab".repeat(32)),
    );
    let error = scratch
        .sysforge(&["plan", "--julia", "1.9", "--mirror", "mirror"])
        .fails(2);
    insta::assert_snapshot!(error, @"
    error: Julia 1.9.0 answers `1.9`, but no archive of it is published for x86_64-linux-gnu

    hint: this catalogue has no Julia at all for x86_64-linux-gnu
    ");
}

#[test]
fn an_overrides_toml_that_julia_cannot_use_is_named_once_with_its_line() {
    let scratch = Scratch::new();
    scratch.file(
        "depot/artifacts/Overrides.toml",
        "a = \"/opt/a\"\nno TOML\n",
    );
    let file = scratch.path("depot/artifacts/Overrides.toml");
    let words = format!("Julia cannot use {}: line 2, column ", file.display());
    for command in ["plan", "doctor"] {
        let mut command = scratch.command(&[command, "--julia", "1.5"]);
        command.env("JULIA_DEPOT_PATH", scratch.path("depot"));
        let ran = scratch.run(command);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert_eq!(said.matches(&words).count(), 1, "{said}");
        assert!(said.contains("correct or remove this file"), "{said}");
    }
}

#[test]
fn an_unknown_key() {
    let scratch = Scratch::new();
    scratch.config("julia = \"1.5\"\nworkload = [\"workload.jl\"]\n");
    insta::assert_snapshot!(scratch.sysforge(&["build"]).fails(2), @r#"
    error: unknown key `workload`; did you mean `workloads`?
      --> Sysimage.toml:2:1
      |
    2 | workload = ["workload.jl"]
      | ^
    "#);
}

#[test]
fn a_missing_workload() {
    let scratch = Scratch::new();
    scratch.config("julia = \"1.5\"\nworkloads = [\"wrkload.jl\"]\n");
    insta::assert_snapshot!(from_error(&scratch.sysforge(&["build"]).fails(2)), @r#"
    error: the workload `wrkload.jl` does not exist
      --> Sysimage.toml:2:14
      |
    2 | workloads = ["wrkload.jl"]
      |              ^

    hint: did you mean `workload.jl`?
    hint: paths in Sysimage.toml are relative to its folder
    "#);
}

#[test]
fn a_workload_that_throws_shows_its_own_backtrace() {
    let scratch = Scratch::new();
    scratch.config("julia = \"1.5\"\nworkloads = [\"workload.jl\"]\n");
    scratch.file("workload.jl", "using Tiny\nf(x) = sqrt(x)\nf(-1.0)\n");
    let error = scratch.sysforge(&["build"]).fails(5);
    // There is no julia on the search path, so the hint names the one in the store.
    let folder = julia().file_name().unwrap().to_str().unwrap();
    let error = error.replace(&format!("[STORE]/julia/{folder}"), "[JULIA]");
    insta::assert_snapshot!(from_error(&error), @"
    error: the workload `workload.jl` failed
      cause: `julia` ended with exit code 1
      its last lines:
      | ERROR: LoadError: DomainError with -1.0:
      | sqrt will only return a complex result if called with a complex argument. Try sqrt(Complex(x)).
      | Stacktrace:
      |  [1] throw_complex_domainerror(::Symbol, ::Float64) at ./math.jl:33
      |  [2] sqrt at ./math.jl:573 [inlined]
      |  [3] f(::Float64) at [PROJECT]/workload.jl:2
      |  [4] top-level scope at [PROJECT]/workload.jl:3
      |  [5] include(::Function, ::Module, ::String) at ./Base.jl:380
      |  [6] include(::Module, ::String) at ./Base.jl:368
      |  [7] exec_options(::Base.JLOptions) at ./client.jl:296
      |  [8] _start() at ./client.jl:506
      | in expression starting at [PROJECT]/workload.jl:3
      full log: [PROJECT]/.sysforge/Tiny-julia1.5.3-x86_64-linux-gnu/logs/trace-0-pipe.log

    hint: a workload must run by itself: try `[JULIA]/bin/julia --project workload.jl`
    ");
    assert!(scratch.dist().is_empty());
}

#[cfg(target_os = "linux")]
#[test]
fn wrong_arguments_are_exit_code_2_even_where_no_message_can_be_written() {
    let scratch = Scratch::empty();
    for args in [&[][..], &["a\u{1b}b"], &["no-command"]] {
        let mut command = scratch.command(args);
        let full = std::fs::File::options().write(true).open("/dev/full");
        let status = command.stderr(full.unwrap()).status().unwrap();
        assert_eq!(status.code(), Some(2), "{args:?}");
    }
}

#[test]
fn a_julia_killed_by_a_signal() {
    let scratch = Scratch::new();
    scratch.config("julia = \"1.5\"\nworkloads = [\"workload.jl\"]\n");
    scratch.file(
        "workload.jl",
        "println(\"so far so good\")\nflush(stdout)\nccall(:raise, Cint, (Cint,), 9)\n",
    );
    let error = scratch.sysforge(&["build"]).fails(5);
    insta::assert_snapshot!(without_memory(&error), @"
    error: the workload `workload.jl` failed
      cause: `julia` was killed by signal 9 (SIGKILL)
      its last lines:
      | so far so good
      full log: [PROJECT]/.sysforge/Tiny-julia1.5.3-x86_64-linux-gnu/logs/trace-0-pipe.log

    hint: if the workload was not ended on purpose, the system may have run out of memory: the process used up to [N] MB
    ");
}

#[test]
fn a_given_julia_folder_without_a_julia() {
    let scratch = Scratch::new();
    insta::assert_snapshot!(scratch.sysforge(&["plan", "--julia", "./nowhere"]).fails(2), @"
    error: there is no Julia at [PROJECT]/nowhere

    hint: `--julia` takes a Julia's folder or its executable, or a version to be fetched such as `--julia 1.12`
    ");
    let error = scratch.sysforge(&["plan", "--julia", "/bin/true"]).fails(5);
    insta::assert_snapshot!(from_error(&error), @"
    error: the Julia at /bin/true gave no usable answer about `version`

    hint: is it a complete Julia, 1.5 or newer? Try `/bin/true --version`
    ");
}

#[test]
fn a_given_julia_is_used_unchanged() {
    let scratch = Scratch::new();
    let given = julia().to_str().unwrap().to_owned();
    let plan = scratch
        .sysforge(&["plan", "--json", "--julia", &given])
        .succeeds()
        .json();
    assert_eq!(plan["builds"][0]["id"], "Tiny-julia1.5.3-x86_64-linux-gnu");
    assert_eq!(plan["builds"][0]["julia"]["from"], "given");
}

#[test]
fn a_step_without_the_previous_step() {
    let scratch = Scratch::new();
    scratch.config("julia = \"1.5\"\n");
    insta::assert_snapshot!(from_error(&scratch.sysforge(&["emit"]).fails(2)), @"
    error: the step `trace` has not been done for this build

    hint: run `sysforge trace` first, or `sysforge build` for all steps
    ");
    insta::assert_snapshot!(from_error(&scratch.sysforge(&["link"]).fails(2)), @"
    error: the step `emit` has not been done for this build

    hint: run `sysforge emit` first, or `sysforge build` for all steps
    ");
    insta::assert_snapshot!(from_error(&scratch.sysforge(&["check"]).fails(2)), @"
    error: there is no image at [PROJECT]/.sysforge/Tiny-julia1.5.3-x86_64-linux-gnu/Tiny-julia1.5.3-x86_64-linux-gnu.so

    hint: build one with `sysforge build`
    ");
}

#[test]
fn a_step_without_the_previous_step_downloads_no_julia() {
    let mut mirror = MirrorDir::new();
    mirror.publish("1.9.0", Triplet::X86_64_LINUX_GNU, b"an archive");
    let mirror = mirror.path().to_str().unwrap();
    let scratch = Scratch::new();
    let store = scratch.path("store");
    for (step, says) in [
        ("emit", "the step `trace` has not been done"),
        ("link", "the step `emit` has not been done"),
        ("pack", "the step `check` has not been done"),
        ("check", "there is no image at"),
        ("bench", "there is no image at"),
    ] {
        let of = ["--store", store.to_str().unwrap(), "--mirror", mirror];
        let error = scratch
            .sysforge(&[&[step, "--julia", "1.9.0"], &of[..]].concat())
            .fails(2);
        assert!(error.contains(says), "{error}");
    }
    assert!(!store.join("julia").exists());
}

#[test]
fn a_build_that_does_not_exist() {
    let scratch = Scratch::new();
    scratch.config("julia = \"1.5\"\n");
    insta::assert_snapshot!(scratch.sysforge(&["build", "*-windows"]).fails(2), @"
    error: no build is selected by `*-windows`

    hint: there is `Tiny-julia1.5.3-x86_64-linux-gnu`
    ");
}

/// The error of a build when the mirror serves this archive for Julia 1.9.0.
fn fetching(archive: &[u8], spoil: impl FnOnce(&std::path::Path)) -> String {
    let mut mirror = MirrorDir::new();
    let place = mirror.publish("1.9.0", Triplet::X86_64_LINUX_GNU, archive);
    spoil(&place);
    let scratch = Scratch::new();
    let (store, mirror) = (
        scratch.path("store"),
        mirror.path().to_str().unwrap().to_owned(),
    );
    let args = [
        "build",
        "--julia",
        "1.9.0",
        "--mirror",
        &mirror,
        "--store",
        store.to_str().unwrap(),
    ];
    let error = scratch.sysforge(&args).fails(3);
    let installed = std::fs::read_dir(store.join("julia"))
        .into_iter()
        .flatten()
        .count();
    assert_eq!(installed, 0, "nothing of it is in the store");
    assert!(!scratch.path("evil").exists() && !store.join("evil").exists());
    from_error(&error).replace(&mirror, "[MIRROR]")
}

#[test]
fn a_digest_that_does_not_match() {
    let archive = tiny_julia("1.9.0", 100_000).gz();
    let error = fetching(&archive, |place| {
        let mut bytes = std::fs::read(place).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(place, bytes).unwrap();
    });
    insta::assert_snapshot!(error, @"
    error: julia-1.9.0-linux-x86_64.tar.gz has the SHA-256 digest 22ea9e5a647d4b62b1700d79c44d0dfaa15b9c1e2e1e5524d7fc17e546d93402, but should have 2a2d22cdd3b398a32c6c6c4af8385380c14fdb714bed4300370df843e3320aa5

    hint: nothing was kept. Either the file was damaged or replaced on its way (a proxy? a broken mirror?), or it was published again: try again, or use another `--mirror`
    ");
}

#[test]
fn a_truncated_archive() {
    let archive = tiny_julia("1.9.0", 100_000).gz();
    let error = fetching(&archive, |place| {
        std::fs::write(place, &archive[..archive.len() / 2]).unwrap();
    });
    insta::assert_snapshot!(error, @"
    error: julia-1.9.0-linux-x86_64.tar.gz has 52943 bytes, but should have 105887

    hint: nothing was kept. Either the file was damaged or replaced on its way (a proxy? a broken mirror?), or it was published again: try again, or use another `--mirror`
    ");
}

#[test]
fn an_archive_with_a_path_outside_of_its_folder() {
    let archive = tiny_julia("1.9.0", 1000)
        .file("julia-1.9.0/../../../evil", 0o644, b"x")
        .gz();
    insta::assert_snapshot!(fetching(&archive, |_| {}), @"
    error: cannot unpack julia-1.9.0-linux-x86_64.tar.gz
      cause: the archive contains the name `julia-1.9.0/../../../evil`, which leaves its folder

    hint: nothing was kept. No genuine Julia or toolchain is packed like this: do not use its source
    ");
}

#[test]
fn a_cpu_that_no_julia_knows_is_found_while_planning() {
    let scratch = Scratch::new();
    for (setting, command, expected) in [
        (
            "[\"portable\", \"avx9\"]",
            &["plan"][..],
            "Julia knows no CPU `avx9` on x86_64",
        ),
        (
            "\"generic;haswell,+telepathy,clone_all\"",
            &["build"],
            "Julia knows no CPU feature `telepathy` on x86_64",
        ),
        // The matrix is for other platforms, too.
        (
            "[\"portable\", \"x86-64-v5\"]",
            &["plan", "--matrix"],
            "`x86-64-v5` is no level of x86-64",
        ),
        (
            "\"generic;\"",
            &["plan"],
            "the CPU targets `generic;` are not valid: a target has no CPU",
        ),
    ] {
        scratch.config(&format!("julia = \"1.5\"\ncpu = {setting}\n"));
        let error = scratch.sysforge(command).fails(2);
        assert!(error.contains(expected), "{error}");
        assert!(error.contains("Sysimage.toml:2"), "{error}");
        assert!(error.contains("hint: "), "{error}");
    }
}

#[test]
fn a_cpu_feature_that_only_newer_julias_know() {
    let scratch = Scratch::new();
    scratch.config("julia = \"1.5\"\ncpu = \"generic;haswell,+usermsr,clone_all\"\n");
    let error = scratch.sysforge(&["trace"]).fails(2);
    insta::assert_snapshot!(from_error(&error), @"
    error: Julia 1.5.3 does not know the CPU target `haswell,+usermsr`
      its last lines:
      | '+usermsr' is not a recognized feature for this target (ignoring feature)

    hint: `cpu` is `portable`, `native`, `x86-64-v2` to `x86-64-v4`, or what `[JULIA]/bin/julia -C help` lists, with features behind it such as `haswell,-rdrnd`
    ");
}

#[test]
fn a_missing_linker_is_reported_before_long_steps() {
    let scratch = Scratch::new();
    scratch.config("julia = \"1.5\"\nworkloads = [\"workload.jl\"]\n");
    scratch.file("workload.jl", "sleep(100_000)\n");
    let error = scratch
        .sysforge(&["build", "--cc", "/nowhere/gcc"])
        .fails(4);
    insta::assert_snapshot!(from_error(&error), @"
    error: the compiler or linker `/nowhere/gcc` was not found

    hint: give the full path in `--cc` or `JULIA_CC`, or unset it to let Sysforge choose
    ");
    let error = scratch.sysforge(&["build", "--cc", "gcc 'x"]).fails(2);
    insta::assert_snapshot!(from_error(&error), @"
    error: `gcc 'x` is not a command: a quote is not closed

    hint: close the quote in `--cc` or JULIA_CC
    ");
}

#[test]
fn a_file_that_is_not_an_image() {
    let scratch = Scratch::new();
    scratch.config("julia = \"1.5\"\n");
    let error = scratch.sysforge(&["check", "workload.jl"]).fails(6);
    insta::assert_snapshot!(from_error(&error), @"
    error: the image does not pass: [PROJECT]/workload.jl is not a shared library: no known file format

    hint: name the image itself, as `sysforge link` made it or as it is in the archive
    ");
}

/// A package whose app is described by these lines, and whose module has this code.
fn with_app(app: &str, code: &str) -> Scratch {
    let scratch = Scratch::new();
    scratch.config(&format!("julia = \"1.5\"\n\n[[app]]\n{app}\n"));
    scratch.file("src/Tiny.jl", &format!("module Tiny\n{code}\nend\n"));
    scratch
}

#[test]
fn an_app_in_a_package_that_the_image_does_not_have() {
    let scratch = with_app("name = \"tiny\"\npackage = \"Tinny\"", "");
    insta::assert_snapshot!(scratch.sysforge(&["plan"]).fails(2), @r"
    error: the app `tiny` is made from the package `Tinny`, which is not in the image

    hint: did you mean `Tiny`?
    hint: add `Tinny` to the dependencies of the project, or to `packages`
    ");
}

#[test]
fn names_of_apps_that_are_none_or_the_same() {
    let scratch = with_app("name = \"tiny\"\n\n[[app]]\nname = \"Tiny\"", "");
    insta::assert_snapshot!(
        "app_two_apps_of_one_name",
        scratch.sysforge(&["plan"]).fails(2)
    );
    let scratch = with_app("name = \"tiny\"\n\n[[app]]\nname = \"tiny\"", "");
    let error = scratch.sysforge(&["plan"]).fails(2);
    assert!(error.contains("two apps are called `tiny`"), "{error}");
    let scratch = with_app("name = \"bin/tiny\"", "");
    insta::assert_snapshot!(
        "app_not_a_name_of_an_app",
        scratch.sysforge(&["plan"]).fails(2)
    );
}

/// Found by every command, and not only when the app runs from its archive, after the emission.
#[test]
fn a_file_of_a_run_that_does_not_exist() {
    let scratch = with_app("name = \"tiny\"\nruns = [{ files = \"pome.txt\" }]", "");
    scratch.file("poem.txt", "tide\n");
    insta::assert_snapshot!(scratch.sysforge(&["plan"]).fails(2), @r#"
    error: the file of a run `pome.txt` does not exist
      --> Sysimage.toml:5:19
      |
    5 | runs = [{ files = "pome.txt" }]
      |                   ^

    hint: did you mean `poem.txt`?
    hint: paths in Sysimage.toml are relative to its folder
    "#);
    let scratch = with_app("name = \"tiny\"\nruns = [{ files = \"src\" }]", "");
    insta::assert_snapshot!(scratch.sysforge(&["plan"]).fails(2), @r#"
    error: the file of a run `src` is a folder
      --> Sysimage.toml:5:19
      |
    5 | runs = [{ files = "src" }]
      |                   ^

    hint: name the files in it
    "#);
}

#[test]
fn bundles_that_cannot_be_made() {
    let scratch = Scratch::new();
    scratch.config("julia = \"1.5\"\n\n[bundle]\nimage = false\n");
    insta::assert_snapshot!("app_nothing_to_build", scratch.sysforge(&["plan"]).fails(2));
    let scratch = with_app("name = \"tiny\"\n\n[bundle]\nwithout-compiler = true", "");
    insta::assert_snapshot!("app_no_compiler", scratch.sysforge(&["plan"]).fails(2));
}

#[test]
fn commands_that_cannot_sign() {
    let scratch = Scratch::new();
    scratch.config("julia = \"1.5\"\n");
    let error = scratch.sysforge(&["pack", "--sign", "sign 'x"]).fails(2);
    insta::assert_snapshot!("sign_with_an_open_quote", from_error(&error));
    let error = scratch.sysforge(&["pack", "--sign", ""]).fails(2);
    insta::assert_snapshot!("sign_with_nothing", from_error(&error));
}

#[test]
fn an_app_of_a_project_that_is_no_package() {
    let scratch = with_app("name = \"tiny\"", "");
    let dates = "[deps]\nDates = \"ade2ca70-3891-5945-98fb-dc099432e06a\"\n";
    scratch.file("Project.toml", dates);
    scratch.config("name = \"x\"\njulia = \"1.5\"\n\n[[app]]\nname = \"tiny\"\n");
    let error = scratch.sysforge(&["plan"]).fails(2);
    assert!(error.contains("hint: name it with `package"), "{error}");
}

/// What is wrong with these entry points is found before an image is made.
#[test]
fn entry_points_that_fail_while_they_are_traced() {
    let refused = |app: &str, code: &str| -> String {
        let error = with_app(app, code).sysforge(&["build"]).fails(5);
        from_error(&error).to_owned()
    };
    let plain = "name = \"tiny\"";
    insta::assert_snapshot!("app_no_julia_main", refused(plain, ""));
    let other = "name = \"tiny\"\nentry = \"Cli.julia_main\"";
    insta::assert_snapshot!("app_in_another_module", refused(other, "julia_main() = 0"));
    insta::assert_snapshot!("app_no_integer", refused(plain, "julia_main() = \"done\""));
    insta::assert_snapshot!(
        "app_throws",
        refused(plain, "julia_main() = error(\"no coffee\")")
    );
    let run = "name = \"tiny\"\nruns = [{ args = \"-x\" }]";
    insta::assert_snapshot!("app_another_exit_code", refused(run, "julia_main() = 3"));
    let option = "name = \"tiny\"\njulia-args = \"--threadz=2\"";
    insta::assert_snapshot!("app_unknown_option", refused(option, "julia_main() = 0"));
}
