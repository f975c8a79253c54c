//! A real image from a real Julia: built once from the example, then examined by every test here.
//! The emission takes one or two minutes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use support::{Ran, Scratch, copy, julia};

/// The example, copied and built.
struct Built {
    scratch: Scratch,
    result: serde_json::Value,
}

impl Built {
    fn get() -> MutexGuard<'static, Self> {
        static BUILT: OnceLock<Mutex<Built>> = OnceLock::new();
        // A command locks the build's folder, so only one test runs at a time.
        BUILT
            .get_or_init(|| Mutex::new(Self::new()))
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn new() -> Self {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/InsuranceStats");
        let scratch = Scratch::shared("image");
        copy(&example, &scratch.path("."));
        // Outside of the project, and named in two parts, so that changing the flag does not change
        // the inputs.
        let workload = scratch.path("workload.jl");
        let text = std::fs::read_to_string(&workload).unwrap();
        let flag = r#"joinpath(dirname(@__DIR__), string("bro", "ken"))"#;
        let fails = format!("isfile({flag}) && error(\"not on my image\")");
        std::fs::write(&workload, format!("{text}\n{fails}\n")).unwrap();
        let result = scratch.sysforge(&["build", "--json"]).succeeds().json();
        Self {
            scratch,
            result: result[0].clone(),
        }
    }

    fn image(&self) -> PathBuf {
        let id = "insurance-julia1.5.3-x86_64-linux-gnu";
        self.scratch.path(&format!(".sysforge/{id}/{id}.so"))
    }

    fn receipt(&self) -> &serde_json::Value {
        &self.result["receipt"]
    }

    fn sysforge(&self, args: &[&str]) -> Ran {
        self.scratch.sysforge(args)
    }
}

fn run(folder: &Path, program: &str, args: &[&str]) -> String {
    let output = Command::new(program)
        .args(args)
        .current_dir(folder)
        .output()
        .unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{program} {args:?}: {out}{err}");
    out.into_owned()
}

#[test]
fn every_statement_is_accounted_for() {
    let built = Built::get();
    let statements = &built.receipt()["statements"];
    let (failed, skipped) = (&statements["failed"], &statements["skipped"]);
    let lost = failed.as_array().unwrap().len() + skipped.as_array().unwrap().len();
    let recorded = statements["recorded"].as_u64().unwrap();
    assert!(recorded > 100, "{statements}");
    assert_eq!(
        recorded,
        statements["replayed"].as_u64().unwrap() + lost as u64,
        "{statements}"
    );
    assert!(
        statements["mended"].as_u64().unwrap() > 0,
        "date formats need mending"
    );
}

#[test]
fn the_receipt_contains_the_results_of_the_check() {
    let built = Built::get();
    let check = &built.receipt()["check"];
    assert_eq!(check["loaded"][0], "InsuranceStats");
    assert!(check["residuals"].as_array().unwrap().len() <= 2, "{check}");
    assert!(check["latency"]["first_call_s"].as_f64().unwrap() > 0.0);
}

#[test]
fn archive_receipt_and_checksums_agree() {
    let built = Built::get();
    let dist = built.scratch.path("dist");
    let id = "insurance-julia1.5.3-x86_64-linux-gnu";
    let (archive, receipt) = (format!("{id}.tar.gz"), format!("{id}.receipt.json"));
    assert_eq!(
        built.scratch.dist(),
        ["SHA256SUMS".to_owned(), receipt.clone(), archive.clone()]
    );
    assert_eq!(
        run(&dist, "sha256sum", &["-c", "SHA256SUMS"])
            .matches(": OK")
            .count(),
        2
    );
    let inside = run(&dist, "tar", &["-xzOf", &archive, "receipt.json"]);
    assert_eq!(inside, std::fs::read_to_string(dist.join(receipt)).unwrap());
}

#[test]
fn the_packed_image_runs_the_workload() {
    let built = Built::get();
    let elsewhere = tempfile::tempdir().unwrap();
    let archive = built.result["archive"].as_str().unwrap();
    run(elsewhere.path(), "tar", &["-xzf", archive]);
    let image = elsewhere
        .path()
        .join(built.receipt()["image"]["name"].as_str().unwrap());
    let julia = julia().join("bin/julia");
    let project = format!("--project={}", built.scratch.path("").display());
    let sysimage = format!("--sysimage={}", image.display());
    let workload = built.scratch.path("workload.jl");
    let report = run(
        elsewhere.path(),
        julia.to_str().unwrap(),
        &[
            "--startup-file=no",
            &sysimage,
            &project,
            workload.to_str().unwrap(),
        ],
    );
    assert!(report.contains("36,634 policies"), "{report}");
}

#[test]
fn packing_again_gives_the_same_bytes() {
    let built = Built::get();
    let sums = [(); 2].map(|()| {
        let out = tempfile::tempdir().unwrap();
        let packed = built
            .sysforge(&["pack", "--out", out.path().to_str().unwrap()])
            .succeeds();
        let sum = run(out.path(), "sha256sum", &[packed.stdout.trim()]);
        sum[..64].to_owned()
    });
    assert_eq!(sums[0], sums[1]);
}

#[test]
fn an_unchanged_project_is_not_built_again() {
    let built = Built::get();
    // Other tests may have packed it again, with the measurements of another check.
    let before = built.sysforge(&["build", "--json"]).succeeds().json();
    let report = built.scratch.path("report.svg");
    let bench = ["bench", "--samples", "1", "--svg", report.to_str().unwrap()];
    built.sysforge(&bench).succeeds();
    // A report in the project is a result, not an input.
    let again = built.sysforge(&["build", "--json"]).succeeds().json();
    assert_eq!(again[0]["reused"], true);
    assert_eq!(again[0]["sha256"], before[0]["sha256"]);
}

#[test]
fn bench_compares_with_and_without() {
    let built = Built::get();
    let figures = built
        .sysforge(&["bench", "--json", "--samples", "1"])
        .succeeds()
        .json();
    assert!(
        figures["without"]["first_call_s"].as_f64().unwrap() > 0.0,
        "{figures}"
    );
    assert!(
        figures["with"]["first_call_s"].as_f64().unwrap() > 0.0,
        "{figures}"
    );
}

#[test]
fn linking_without_a_compiler_is_an_error() {
    let built = Built::get();
    let mut command = built.scratch.command(&["link"]);
    command.env("PATH", "/nonexistent");
    let error = built.scratch.run(command).fails(4);
    assert!(error.contains("hint:"), "{error}");
    // An existing image must not be mistaken for a new one.
    built.sysforge(&["link"]).succeeds();
    built.sysforge(&["check"]).succeeds();
}

#[test]
fn a_failing_linker_shows_its_last_lines() {
    let built = Built::get();
    let linker = built.scratch.path("../failing linker");
    std::fs::write(&linker, "#!/bin/sh\necho 'ld: no luck today' >&2\nexit 7\n").unwrap();
    make_executable(&linker);
    let words = format!("'{}'", linker.display());
    let error = built.sysforge(&["link", "--cc", &words]).fails(4);
    assert!(error.contains("no luck today"), "{error}");
    assert!(
        !built.image().exists(),
        "nothing is left at the image's place"
    );
    built.sysforge(&["link"]).succeeds();
    built.sysforge(&["check"]).succeeds();
}

/// `ci/test` installs these linkers; Julia 1.5 includes none.
#[test]
fn images_by_every_strategy_pass() {
    let built = Built::get();
    for strategy in ["driver-lld", "driver-mold", "driver"] {
        for strip in [&[][..], &["--strip"]] {
            let link = [&["link", "--json", "--linker", strategy], strip].concat();
            let linked = built.sysforge(&link).succeeds().json();
            assert_eq!(linked["strategy"], strategy);
            built.sysforge(&["check"]).succeeds();
        }
    }
    // Without a compiler driver, the compiler's own helpers, which this image needs, are missing.
    let error = built.sysforge(&["link", "--linker", "lld"]).fails(4);
    assert!(error.contains("without a compiler driver"), "{error}");
    built.sysforge(&["link"]).succeeds();
    built.sysforge(&["check"]).succeeds();
}

fn make_executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn images_that_fail_the_inspection() {
    let built = Built::get();
    let base = run(
        &built.scratch.path("."),
        julia().join("bin/julia").to_str().unwrap(),
        &["-e", "print(unsafe_string(Base.JLOptions().image_file))"],
    );
    let error = built.sysforge(&["check", &base]).fails(6);
    assert!(
        error.contains("these packages are not in it: InsuranceStats"),
        "{error}"
    );

    let bytes = std::fs::read(built.image()).unwrap();
    let truncated = built.scratch.path("../truncated.so");
    std::fs::write(&truncated, &bytes[..bytes.len() / 3]).unwrap();
    let error = built
        .sysforge(&["check", truncated.to_str().unwrap()])
        .fails(6);
    assert!(error.contains("the image does not pass"), "{error}");
}

#[test]
fn a_workload_that_fails_only_on_the_image_leaves_no_archive() {
    let built = Built::get();
    // All steps before the check are reused from the previous build.
    let record = built.image().with_file_name("check.json");
    std::fs::remove_file(record).unwrap();
    std::fs::remove_dir_all(built.scratch.path("dist")).unwrap();
    let flag = built.scratch.path("../broken");
    std::fs::write(&flag, "").unwrap();
    let said = built.sysforge(&["build"]).fails(6);
    std::fs::remove_file(&flag).unwrap();
    assert!(said.contains("not on my image"), "{said}");
    assert!(
        built.scratch.dist().is_empty(),
        "{:?}",
        built.scratch.dist()
    );
    built.sysforge(&["build"]).succeeds();
    assert!(!built.scratch.dist().is_empty());
}

#[test]
fn the_receipt_lists_the_cpu_targets_in_the_image() {
    let built = Built::get();
    let targets = &built.receipt()["targets"];
    let held = targets["held"]
        .as_array()
        .expect("an unstripped image tells");
    let requested = targets["requested"].as_str().unwrap();
    assert!(
        requested.starts_with(held[0].as_str().unwrap()),
        "{targets}"
    );
}

#[test]
fn an_image_for_a_newer_cpu_is_an_error() {
    let built = Built::get();
    let mut image = std::fs::read(built.image()).unwrap();
    // Julia's table of targets: eleven words of required features, eleven of disabled ones, then
    // the name. No CPU has all features.
    let name = b"\x07\0\0\0generic\0\0\0\0";
    let at = image.windows(name.len()).position(|w| w == name).unwrap();
    image[at - 88..at - 44].fill(0xff);
    let path = built.scratch.path("../better.so");
    std::fs::write(&path, image).unwrap();
    let error = built.sysforge(&["check", path.to_str().unwrap()]).fails(6);
    std::fs::remove_file(path).unwrap();
    assert!(
        error.contains(
            "error: the image needs CPU features that this machine lacks: it was built for generic"
        ),
        "{error}"
    );
    assert!(error.contains("hint: check it on a machine"), "{error}");
}
