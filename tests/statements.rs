//! Statements from files and from tracing, with a real Julia: how they are parsed, replayed and
//! accounted for. The emission takes minutes, so the tests share one.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod support;

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use serde_json::{Value, json};
use support::{Scratch, copy, julia, root};

/// What Julia 1.5.3 prints for type parameters in `tests/statements/src/Hard.jl` that cannot be
/// parsed back unchanged, in the order of the table in `docs/src/explanation/dry.md`.
const PRINTED: [(&str, &str); 7] = [
    ("`Char(0x79000000)`", "Hard.Of{Char(0x79000000)}"),
    ("`0.125f`", "Hard.Of{0.125f}"),
    ("`-inf`, `nanf`", "Hard.Of{-inf}"),
    ("`Float16(0x3800)`", "Hard.Of{Float16(0x3800)}"),
    (
        "`Bounds(low=16f, high=16)`, `Unit()`",
        "Hard.Of{Hard.Bounds(low=16f, high=16)}",
    ),
    (
        r#"`Symbol("a\T")`, `Symbol("a"b")`"#,
        r#"Hard.Of{Symbol("yyyy-mm-dd\T")}"#,
    ),
    ("`Val{3}`", "Hard.Of{3}"),
];

/// The project in `tests/statements`, traced, emitted, linked, checked and packed once.
struct Built {
    scratch: Scratch,
    traced: Value,
    /// The output of the failed `emit --strict`.
    strict: String,
    emitted: Value,
    checked: Value,
    receipt: Value,
}

fn project() -> PathBuf {
    root().join("tests/statements")
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
        let scratch = Scratch::shared("statements");
        copy(&project(), &scratch.path("."));
        let traced = scratch.sysforge(&["trace", "--json"]).succeeds().json();
        // Before it emits, `emit` finds out that a small integer is not an `Int`, as `build` does.
        let strict = scratch.sysforge(&["emit", "--strict"]).fails(6);
        let emitted = scratch.sysforge(&["emit", "--json"]).succeeds().json();
        scratch.sysforge(&["link"]).succeeds();
        let checked = scratch.sysforge(&["check", "--json"]).succeeds().json();
        let receipt = scratch.sysforge(&["pack", "--json"]).succeeds().json();
        Self {
            scratch,
            traced,
            strict,
            emitted,
            checked,
            receipt,
        }
    }

    /// The statements with this outcome, each with its reason.
    fn unreplayed(&self, fate: &str) -> Vec<(&str, &str)> {
        let list = self.emitted["statements"][fate].as_array().unwrap();
        let texts = list.iter().map(|entry| {
            let text = |key: &str| entry[key].as_str().unwrap();
            (text("statement"), text("reason"))
        });
        texts.collect()
    }
}

fn described(printed: &str) -> String {
    format!("precompile(Tuple{{typeof(Hard.describe), {printed}}})")
}

fn texts(list: &Value) -> Vec<&str> {
    let list = list.as_array().unwrap().iter();
    list.map(|text| text.as_str().unwrap()).collect()
}

#[test]
fn every_printed_form_in_the_documentation_is_replayed_with_its_meaning() {
    let built = Built::get();
    let page = std::fs::read_to_string(root().join("docs/src/explanation/dry.md")).unwrap();
    let table = page
        .lines()
        .skip_while(|line| !line.starts_with("| printed"));
    let rows: Vec<&str> = table
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line[1..].split(" | ").next().unwrap().trim())
        .collect();
    let tested: Vec<&str> = PRINTED.iter().map(|(row, _)| *row).collect();
    assert_eq!(
        rows, tested,
        "each row of the table has its test, and the other way round"
    );

    let recorded = texts(&built.traced["statements"]);
    for (_, printed) in PRINTED {
        assert!(
            recorded.contains(&&*described(printed)),
            "{printed}: {recorded:#?}"
        );
    }
    // The statement was replayed with the right type: the image does not compile it again.
    let lost = [built.unreplayed("failed"), built.unreplayed("skipped")].concat();
    let lost: Vec<_> = lost
        .iter()
        .filter(|(text, _)| text.contains("Hard.describe"))
        .collect();
    assert!(lost.is_empty(), "{lost:#?}");
    let mut residuals = texts(&built.checked["residuals"]);
    residuals.retain(|text| text.contains("Hard.describe"));
    assert_eq!(residuals, [""; 0]);
}

#[test]
fn every_statement_has_an_outcome_and_the_right_reason() {
    let built = Built::get();
    let counts = &built.emitted["statements"];
    let (failed, skipped) = (built.unreplayed("failed"), built.unreplayed("skipped"));
    let count = |key: &str| counts[key].as_u64().unwrap();
    assert_eq!(
        count("recorded"),
        count("replayed") + (failed.len() + skipped.len()) as u64
    );
    // The name of a generated function's generator may differ between processes.
    let named: Vec<_> = failed
        .iter()
        .filter(|(text, _)| !text.contains("##s"))
        .copied()
        .collect();
    assert_eq!(
        named,
        [
            (
                "precompile(Tuple{typeof(Hard.unused), Bool, Bool})",
                "precompile answered false: no single method fits this signature"
            ),
            (
                "precompile(Tuple{typeof(Main.nobody)})",
                "nobody is not defined in the image"
            ),
            (
                "precompile(Tuple{typeof(Elsewhere.nobody)})",
                "Elsewhere is not defined in the image"
            ),
        ]
    );
    for (statement, reason) in skipped {
        let wanted = match statement.contains("Main.") {
            true => "the workload itself defines what it names",
            false => {
                "precompile was not called: a condition does not hold here, or a loop is empty"
            }
        };
        assert_eq!(reason, wanted, "{statement}");
    }
    let ignored = built.receipt["statements"]["ignored"].as_array().unwrap();
    let lines: Vec<_> = ignored
        .iter()
        .map(|entry| entry["line"].as_u64().unwrap())
        .collect();
    assert_eq!(lines, [1, 2, 4, 28], "{ignored:#?}");
}

#[test]
fn statements_of_two_packages_with_one_name_find_their_package() {
    let built = Built::get();
    let recorded = texts(&built.traced["statements"]);
    for function in ["Twin.one", "Twin.two"] {
        let statement = recorded.iter().find(|text| text.contains(function));
        assert!(statement.is_some(), "{function}: {recorded:#?}");
    }
    let failed = built.unreplayed("failed");
    assert!(
        failed.iter().all(|(text, _)| !text.contains("Twin")),
        "{failed:#?}"
    );
}

#[test]
fn the_receipt_lists_the_packages_that_were_loaded() {
    let built = Built::get();
    let packages = built.receipt["packages"].as_array().unwrap();
    let of = |name: &str| {
        packages
            .iter()
            .filter(|package| package["name"] == name)
            .count()
    };
    assert_eq!((of("Hard"), of("Twin")), (1, 2));
    // In the manifest, but not loaded.
    assert_eq!(of("Unloaded"), 0);
    // Not in the manifest, but in Julia's own image.
    assert_eq!(of("REPL"), 1);
}

#[test]
fn strict_fails_before_code_is_generated() {
    let error = Built::get().strict.clone();
    assert!(
        error.contains("statements could not be replayed, and `strict` is set"),
        "{error}"
    );
    assert!(
        error.contains("Elsewhere is not defined in the image"),
        "{error}"
    );
}

#[test]
fn pack_refuses_counts_of_statements_that_do_not_add_up() {
    let built = Built::get();
    let path = built
        .scratch
        .path(".sysforge/hard-julia1.5.3-x86_64-linux-gnu/emit.json");
    let good = std::fs::read(&path).unwrap();
    let mut record: Value = serde_json::from_slice(&good).unwrap();
    record["result"]["statements"]["skipped"] = json!([]);
    std::fs::write(&path, record.to_string()).unwrap();
    let error = built.scratch.sysforge(&["pack"]).fails(1);
    std::fs::write(&path, good).unwrap();
    assert!(error.contains("account for every statement"), "{error}");
    built.scratch.sysforge(&["pack"]).succeeds();
}

/// Runs the tests in `tests/statements/{script}` of the script of the same name that a build uses.
fn in_a_plain_julia(script: &str) {
    let output = Command::new(julia().join("bin/julia"))
        .arg("--startup-file=no")
        .arg(project().join(script))
        .arg(root().join("crates/build/src/julia").join(script))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_statement_is_parsed_resolved_and_replayed() {
    in_a_plain_julia("replay.jl");
}

#[test]
fn a_process_that_emits_nothing_keeps_its_streams() {
    in_a_plain_julia("launch.jl");
}

#[test]
fn packages_are_bound_in_main_unless_that_is_not_wanted() {
    in_a_plain_julia("stage.jl");
}

#[test]
fn state_changed_by_inits_and_workloads_is_restored() {
    in_a_plain_julia("inits.jl");
}

/// A project with the standard library Dates and this statement file.
fn with_statements(bytes: &[u8]) -> Scratch {
    let scratch = Scratch::empty();
    let uuid = "\"ade2ca70-3891-5945-98fb-dc099432e06a\"\n";
    scratch
        .file("Project.toml", &format!("[deps]\nDates = {uuid}"))
        .file("Manifest.toml", &format!("[[Dates]]\nuuid = {uuid}"))
        .config("name = \"dates\"\nstatements = [\"statements.jl\"]\ncpu = \"native\"\njulia = \"1.5\"\n");
    std::fs::write(scratch.path("statements.jl"), bytes).unwrap();
    scratch
}

#[test]
fn case_08_qualified_calls_and_comments_are_statements_and_the_rest_is_listed() {
    let scratch = with_statements(
        b"    Base.precompile(Tuple{typeof(Dates.now)})   # time: 0.1312\n\
          precompile(Tuple{typeof(Dates.day), Dates.Date}) #called at ./a.jl:12\n\
          precompile(Tuple{typeof(Dates.month), Dates.Date});\n\
          isdefined(Dates, :year) && Base.precompile(Tuple{typeof(Dates.year), Dates.Date})\n\
          using Dates\n",
    );
    let ran = scratch.sysforge(&["trace", "--json"]).succeeds();
    let traced = ran.json();
    assert_eq!(
        texts(&traced["statements"]),
        [
            "precompile(Tuple{typeof(Dates.now)})",
            "precompile(Tuple{typeof(Dates.day), Dates.Date})",
            "precompile(Tuple{typeof(Dates.month), Dates.Date})",
        ]
    );
    assert_eq!(traced["evaluated"].as_array().unwrap().len(), 1);
    assert_eq!(traced["ignored"][0]["text"], "using Dates");
    assert!(
        ran.stderr.contains("statements.jl:5: ignored"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_file_in_utf_16_is_an_error_with_a_hint() {
    let error = with_statements(b"\xff\xfep\0r\0e\0")
        .sysforge(&["plan"])
        .fails(2);
    assert!(error.contains("statements.jl is UTF-16 text"), "{error}");
    assert!(error.contains("hint: save it as UTF-8"), "{error}");
}

#[test]
fn case_09_a_newline_in_a_symbol_does_not_end_a_statement() {
    let scratch = with_statements(b"");
    scratch
        .file(
            "workload.jl",
            "using Dates\nDates.format(DateTime(2020), DateFormat(\"yyyy\\nmm\"))\n",
        )
        .config(
            "name = \"dates\"\nworkloads = [\"workload.jl\"]\ncpu = \"native\"\njulia = \"1.5\"\n",
        );
    let traced = scratch.sysforge(&["trace", "--json"]).succeeds().json();
    let recorded = texts(&traced["statements"]);
    let over_lines = recorded
        .iter()
        .filter(|text| text.contains("Symbol(\"yyyy\nmm\")"));
    assert_eq!(over_lines.count(), 2, "{recorded:#?}");
}
