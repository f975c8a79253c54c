//! Tests of emitting when Julia crashes or uses too much memory. A real Julia does not do so on
//! demand, so a script replaces it. It follows the staging script's protocol: a line in the report
//! for each statement, before the next one begins. (tests/portable.rs uses a real Julia.)

use sysforge_plan::{Explain as _, Reporter};

use super::*;
use crate::context::testing;
use crate::inputs::Fingerprint;

/// Statements named `crash-at-once` crash when they are compiled, `crash-in-the-end` when all code
/// is generated (in a replay immediately), `crash-late-only` never in a replay. `hungry` needs more
/// memory than is available with two threads.
const MOCK_JULIA: &str = r#"#!/bin/sh
for word; do
    case $word in
        --output-o=*) out=${word#--output-o=} ;;
        *.job) job=$word ;;
    esac
done
value() { sed -n "s/^$1	//p" "$job"; }
late= strict= number=0
tr '\0' '\n' <"$(value statements)" >"$job.lines"
printf 'end\n' >"$(value surroundings)"
while IFS= read -r statement; do
    number=$((number + 1))
    case $statement in
        '') continue ;;
        *lost*)
            printf '%s\tfailed\tfalse\tno such method\n' "$number"
            [ "$(value strict)" = false ] || strict=1
            continue ;;
        *crash-at-once*) kill -SEGV $$ ;;
        *crash-in-the-end*) [ -n "$out" ] || kill -ABRT $$; late=1 ;;
        *crash-late-only*) [ -z "$out" ] || late=1 ;;
        *hungry*) [ "$JULIA_IMAGE_THREADS" -le 1 ] || kill -KILL $$ ;;
    esac
    printf '%s\treplayed\tfalse\t\n' "$number"
done <"$job.lines" >"$(value report)"
[ -z "$strict" ] || exit 1
[ -z "$late" ] || kill -ABRT $$
[ -z "$out" ] || echo object >"$out"
"#;

struct Bench {
    _dir: tempfile::TempDir,
    context: Context,
}

fn bench(version: (u64, u64)) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let context = testing::context(dir.path(), version, MOCK_JULIA);
    Bench { _dir: dir, context }
}

async fn run(bench: &Bench, statements: &[&str], strict: bool) -> Result<Emitted, EmitError> {
    let statements: Vec<String> = statements.iter().map(|s| (*s).to_owned()).collect();
    let emission = Emission {
        packages: &[],
        import_into_main: true,
        interactive: &[],
        code: None,
        statements: &statements,
        given: &HashSet::new(),
        known: &BTreeSet::new(),
        ineffective: &[],
        execute: &[],
        script: None,
        cpu_target: "generic;haswell,clone_all",
        julia_options: &[],
        image_threads: Some(4),
        script_limit: None,
        expected: Some(std::time::Duration::from_secs(240)),
        strict,
    };
    emit(&bench.context, &emission).await
}

fn lost(emitted: &Emitted) -> Vec<(&str, &str)> {
    let failed = emitted.statements.failed.iter();
    failed
        .map(|lost| (lost.statement.as_str(), lost.reason.as_str()))
        .collect()
}

#[tokio::test]
async fn statements_that_crash_julia_are_found_and_left_out() {
    let bench = bench((1, 5));
    let statements = ["a", "crash-at-once", "b", "crash-in-the-end", "c"];
    let emitted = run(&bench, &statements, false).await.unwrap();
    assert_eq!(emitted.statements.recorded, 5);
    assert_eq!(emitted.statements.replayed, 3);
    assert_eq!(emitted.statements.check(), Ok(()));
    let lost = lost(&emitted);
    assert_eq!(
        [lost[0].0, lost[1].0],
        ["crash-at-once", "crash-in-the-end"]
    );
    assert!(lost[0].1.contains("SIGSEGV"), "{lost:?}");
    assert!(lost[1].1.contains("SIGABRT"), "{lost:?}");
}

#[tokio::test]
async fn a_crash_that_no_replay_shows_is_found_by_halving() {
    let bench = bench((1, 5));
    let statements = ["a", "b", "c", "d", "crash-late-only", "e", "f"];
    let emitted = run(&bench, &statements, false).await.unwrap();
    assert_eq!(emitted.statements.replayed, 6);
    assert_eq!(lost(&emitted)[0].0, "crash-late-only");
}

#[tokio::test]
async fn strict_ends_julia_before_it_generates_code() {
    let bench = bench((1, 5));
    let statements = ["a", "lost", "b", "crash-in-the-end"];
    let error = run(&bench, &statements, true).await.unwrap_err();
    let EmitError::Strict { recorded, failed } = &error else {
        panic!("{error}");
    };
    assert_eq!((*recorded, failed.len()), (4, 1));
    assert_eq!(failed[0].statement, "lost");
    let log = std::fs::read_to_string(bench.context.work.log("emit")).unwrap();
    assert!(log.contains("--output-o"), "{log}");
}

#[tokio::test]
async fn without_strict_a_lost_statement_is_counted() {
    let bench = bench((1, 5));
    let emitted = run(&bench, &["a", "lost", "b"], false).await.unwrap();
    assert_eq!(emitted.statements.check(), Ok(()));
    assert_eq!(lost(&emitted), [("lost", "no such method")]);
}

#[tokio::test]
async fn an_object_of_a_julia_that_was_ended_is_not_taken() {
    let bench = bench((1, 9));
    std::fs::write(
        &bench.context.julia.executable,
        "#!/bin/sh\nfor word; do case $word in --output-o=*) echo x >\"${word#--output-o=}\" ;; esac; done\n",
    )
    .unwrap();
    let error = run(&bench, &["a"], false).await.unwrap_err();
    assert!(matches!(error, EmitError::Incomplete { .. }), "{error}");
    assert!(!bench.context.work.path(OBJECT).exists());
}

#[test]
fn values_in_the_job_file_are_escaped() {
    let text: String = "C:\\a\tb\nc".chars().flat_map(escape).collect();
    assert_eq!(text, r"C:\\a\tb\nc");
}

/// Makes the bench collect the expected times that its emissions report.
fn collect_expected(bench: &mut Bench) -> std::sync::Arc<std::sync::Mutex<Vec<u64>>> {
    let times = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let sink = std::sync::Arc::clone(&times);
    bench.context.reporter = Reporter::new(move |event| {
        if let sysforge_plan::Event::Expected { time, .. } = event {
            sink.lock().unwrap().push(time.as_secs());
        }
    });
    times
}

#[tokio::test]
async fn an_emission_is_expected_to_take_as_long_as_the_last_one_of_the_same_image() {
    let mut bench = bench((1, 5));
    let times = collect_expected(&mut bench);
    let mut emitted = run(&bench, &["a"], false).await.unwrap();
    // The first one is expected to take as long as those of other images.
    assert_eq!(*times.lock().unwrap(), [240]);
    assert!(emitted.wall_ms > 0);
    emitted.wall_ms = 131_000;
    let files = [emitted.object.clone()];
    let work = &bench.context.work;
    work.record("emit", &Fingerprint::default(), &files, &emitted)
        .unwrap();
    run(&bench, &["a"], false).await.unwrap();
    assert_eq!(*times.lock().unwrap(), [240, 131]);
}

/// This Julia replays its statements when the test allows it, so each state is seen.
#[tokio::test]
async fn a_running_emission_reports_its_progress() {
    const PATIENT: &str = r#"#!/bin/sh
for word; do
    case $word in
        --output-o=*) out=${word#--output-o=} ;;
        *.job) job=$word ;;
    esac
done
value() { sed -n "s/^$1	//p" "$job"; }
await() { while [ ! -e "${0%/*}/$1" ]; do sleep 0.02; done; }
printf 'end\n' >"$(value surroundings)"
await load
report=$(value report)
printf '1\treplayed\tfalse\t\n' >"$report.new"
mv "$report.new" "$report"
await replay
printf '1\treplayed\tfalse\t\n2\treplayed\tfalse\t\n' >"$report.new"
mv "$report.new" "$report"
await generate
echo object >"$out"
"#;
    let mut bench = bench((1, 5));
    std::fs::write(&bench.context.julia.executable, PATIENT).unwrap();
    let lines = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let sink = std::sync::Arc::clone(&lines);
    let folder = bench.context.project.clone();
    bench.context.reporter = Reporter::new(move |event| {
        if let sysforge_plan::Event::Line { line, .. } = event {
            let next = match line.as_str() {
                "loading the packages" => "load",
                "replaying statement 2 of 2" => "replay",
                _ => "generate",
            };
            std::fs::write(folder.join(next), "").unwrap();
            sink.lock().unwrap().push(line);
        }
    });
    run(&bench, &["a", "b"], false).await.unwrap();
    assert_eq!(
        *lines.lock().unwrap(),
        [
            "loading the packages",
            "replaying statement 2 of 2",
            "generating code"
        ]
    );
}

#[tokio::test]
async fn strict_does_not_let_a_crash_pass() {
    let bench = bench((1, 5));
    let error = run(&bench, &["crash-at-once"], true).await.unwrap_err();
    assert!(matches!(error, EmitError::Strict { .. }), "{error}");
    assert!(!bench.context.work.path(OBJECT).exists());
}

#[tokio::test]
async fn a_julia_killed_for_its_memory_is_started_again_with_less() {
    let bench = bench((1, 10));
    let emitted = run(&bench, &["hungry"], false).await.unwrap();
    assert_eq!(emitted.statements.replayed, 1);
    let log = std::fs::read_to_string(bench.context.work.log("emit")).unwrap();
    assert!(
        log.contains("--cpu-target=generic;haswell,clone_all"),
        "{log}"
    );
}

#[tokio::test]
async fn where_less_does_not_help_the_error_names_the_peak() {
    let bench = bench((1, 10));
    std::fs::write(
        &bench.context.julia.executable,
        "#!/bin/sh\nkill -KILL $$\n",
    )
    .unwrap();
    let error = run(&bench, &["a"], false).await.unwrap_err();
    let EmitError::Julia { retries, .. } = &error else {
        panic!("{error}");
    };
    // Attempts: 4, 2 and 1 threads, then one target.
    assert_eq!(*retries, 3);
    assert!(error.hints()[0].contains("MB"), "{:?}", error.hints());
}

#[test]
fn a_file_added_to_a_folder_that_a_package_depends_on_is_noticed() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("queries");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("a.sql"), "1").unwrap();
    let noted = OutsideFile::of(folder.clone()).unwrap();
    assert!(!noted.has_changed());
    std::fs::write(folder.join("b.sql"), "2").unwrap();
    assert!(noted.has_changed());
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(noted.has_changed());
}

#[tokio::test]
async fn an_image_with_paths_of_the_project_is_out_of_date_in_another_folder() {
    let bench = bench((1, 10));
    let emitted = run(&bench, &["a"], false).await.unwrap();
    let work = &bench.context.work;
    let record = |emitted: &Emitted| {
        let fingerprint = Fingerprint::default();
        work.record("emit", &fingerprint, &[], emitted).unwrap();
    };
    record(&emitted);
    let project = bench.context.project.clone();
    let found = |kind, path: PathBuf| Portability {
        paths: vec![FoundPath {
            kind,
            path: path.display().to_string(),
            times: 1,
            needed: Some(false),
        }],
        ..Portability::default()
    };
    let old = found(PathKind::MaybeNeeded, project.join("src"));
    let before =
        |project: &Path, found: &Portability| path_before_move(work.root(), project, found);
    let moved = Path::new("/moved");
    assert_eq!(before(moved, &old), Some(old.paths[0].path.clone()));
    assert_eq!(before(&project, &old), None);
    // A backtrace may show it, and a path of something else stays where it is.
    let source = found(PathKind::Source, project.join("src/X.jl"));
    assert_eq!(before(moved, &source), None);
    let other = found(PathKind::MaybeNeeded, "/usr/share/dict".into());
    assert_eq!(before(moved, &other), None);
    // An earlier Sysforge recorded no folder.
    record(&Emitted {
        project: None,
        ..emitted
    });
    assert_eq!(before(moved, &old), None);
}
