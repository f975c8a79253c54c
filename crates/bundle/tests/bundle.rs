//! Bundles of the real Julia, made from the image that it ships with. It is taken from the mirror
//! that `SYSFORGE_TEST_MIRROR` names (`ci/julia-mirror`); without it, the tests are skipped.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use sysforge_archive::{Cancel, Limits, Links, TreeWriter, unpack_file};
use sysforge_bundle::assemble::Assembled;
use sysforge_bundle::check::Surroundings;
use sysforge_bundle::launcher::Described;
use sysforge_bundle::observe::Planned;
use sysforge_bundle::{BundleError, Checked, Sources, assemble, check};
use sysforge_plan::config::Run;
use sysforge_plan::{
    ArchiveFormat, Explain, JuliaFacts, JuliaVersion, Os, Reporter, Step, Triplet,
};
use sysforge_process::{Children, Environment};

/// A Julia and a bundle made from it.
struct Scene {
    dir: tempfile::TempDir,
    julia: JuliaFacts,
    assembled: Assembled,
}

const TEST: (&str, &str) = ("Test", "8dfed614-e22c-5e08-85e1-65c5234f0b40");
const DISTRIBUTED: (&str, &str) = ("Distributed", "8ba89e20-285c-5b6f-9357-94700520ee1b");
const DATES: (&str, &str) = ("Dates", "ade2ca70-3891-5945-98fb-dc099432e06a");

/// An app that calls a function of a standard library.
fn app(name: &str, (package, uuid): (&str, &str), entry: &str) -> Described {
    Described {
        name: name.to_owned(),
        package: package.to_owned(),
        uuid: uuid.to_owned(),
        entry: entry.parse().unwrap(),
        options: vec!["--threads=2".to_owned()],
    }
}

fn apps() -> Vec<Described> {
    vec![
        // Returns 0.
        app("depth", TEST, "get_testset_depth"),
        // Returns 1.
        app("procs", DISTRIBUTED, "nprocs"),
        app("missing", TEST, "julia_main"),
        app("text", DATES, "today"),
        app("throws", DATES, "value"),
    ]
}

fn scene() -> Option<&'static Scene> {
    static SCENE: OnceLock<Option<Scene>> = OnceLock::new();
    SCENE.get_or_init(make_scene).as_ref()
}

fn make_scene() -> Option<Scene> {
    let Some(mirror) = std::env::var_os("SYSFORGE_TEST_MIRROR") else {
        sysforge_testkit::skip("SYSFORGE_TEST_MIRROR is not set");
        return None;
    };
    let archive = Path::new(&mirror).join("bin/linux/x64/1.5/julia-1.5.3-linux-x86_64.tar.gz");
    let dir = tempfile::tempdir().unwrap();
    let prefix = dir.path().join("julia");
    std::fs::create_dir(&prefix).unwrap();
    let file = std::fs::File::open(&archive).unwrap();
    let (limits, links) = (Limits::default(), Links::default());
    let mut tree = TreeWriter::new(prefix.clone(), 1, limits, links, Cancel::default());
    unpack_file(ArchiveFormat::TarGz, file, &mut tree).unwrap();
    tree.finish().unwrap();
    let julia = facts(&prefix);
    let opened = opened(&julia);
    let assembled = assemble(
        &Sources {
            julia: &julia,
            image: &julia.base_image,
            image_name: "sys-app.so",
            apps: &apps(),
            artifacts: &[],
            opened: &opened,
            packages: &[],
            names: &[(TEST.0.to_owned(), TEST.1.to_owned())],
            preferences: None,
            library: None,
        },
        &dir.path().join("bundle"),
    )
    .unwrap();
    // The bundle must not need the Julia that it was made from.
    std::fs::rename(&prefix, dir.path().join("gone")).unwrap();
    Some(Scene {
        dir,
        julia,
        assembled,
    })
}

fn facts(prefix: &Path) -> JuliaFacts {
    let folders = ["lib", "lib/x86_64-linux-gnu"].map(|folder| prefix.join(folder));
    let mut folders = folders.into_iter();
    let libdir = folders.find(|folder| folder.join("libjulia.so.1.5").exists());
    let libdir = libdir.unwrap();
    JuliaFacts {
        executable: prefix.join("bin/julia"),
        version: JuliaVersion::new(1, 5, 3),
        commit: String::new(),
        triplet: Triplet::X86_64_LINUX_GNU,
        bindir: prefix.join("bin"),
        private_libdir: libdir.join("julia"),
        private_libexecdir: None,
        stdlib: prefix.join("share/julia/stdlib/v1.5"),
        base_image: libdir.join("julia/sys.so"),
        libdir,
        cpu_name: "generic".to_owned(),
        cpu_threads: 2,
    }
}

/// Returns the libraries that an idle Julia has open.
fn opened(julia: &JuliaFacts) -> Vec<PathBuf> {
    let code = "using Libdl; foreach(println, dllist())";
    let output = Command::new(&julia.executable)
        .args(["--startup-file=no", "-e", code])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(PathBuf::from).collect()
}

/// Checks one app of the bundle with one run.
fn run(scene: &Scene, name: &str, run: Run) -> Result<Checked, BundleError> {
    let app = apps().into_iter().find(|app| app.name == name).unwrap();
    let planned = [Planned {
        app,
        runs: vec![run],
    }];
    let logs = scene.dir.path().join(format!("logs-{name}"));
    let environment = Environment::new(std::env::vars_os());
    let children = Children::default();
    let surroundings = Surroundings {
        os: Os::Linux,
        system: &scene.assembled.system,
        project: scene.dir.path(),
        environment: &environment,
        children: &children,
        logs: &logs,
    };
    let task = Reporter::silent().start(Step::Check, name);
    let bundle = scene.dir.path().join("bundle");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(check(&bundle, &planned, &surroundings, &task))
}

#[test]
fn an_app_runs_from_its_unpacked_archive_and_its_exit_code_is_what_it_returned() {
    let Some(scene) = scene() else { return };
    for (name, exit) in [("depth", 0), ("procs", 1)] {
        let code = Run {
            exit,
            ..Run::default()
        };
        let checked = run(scene, name, code).unwrap();
        let [record] = checked.apps[0].runs.as_slice() else {
            panic!("{checked:?}");
        };
        assert_eq!(record.exit, exit);
        assert!(record.wall_ms > 0.0);
    }
}

#[test]
fn another_exit_code_than_the_expected_one_is_an_error_of_the_check() {
    let Some(scene) = scene() else { return };
    let error = run(scene, "procs", Run::default()).unwrap_err();
    assert_eq!(error.class().exit_code(), 6);
    assert!(
        error
            .to_string()
            .contains("`procs` ended with the exit code 1"),
        "{error}"
    );
}

/// Returns the messages about a bad entry point: its last lines and the hint.
fn refused(scene: &Scene, name: &str) -> (String, String) {
    let error = run(scene, name, Run::default()).unwrap_err();
    assert_eq!(error.class().exit_code(), 6, "{error}");
    let tail = error.evidence().unwrap().tail.join("\n");
    (tail, error.hints().join("\n"))
}

#[test]
fn a_bad_entry_point_says_what_is_wrong_with_it() {
    let Some(scene) = scene() else { return };
    let (tail, hint) = refused(scene, "missing");
    assert!(tail.contains("Test.julia_main is not defined"), "{tail}");
    assert!(hint.contains("define the entry point"), "{hint}");
    let (tail, hint) = refused(scene, "text");
    assert!(
        tail.contains("a value of type Dates.Date instead of an integer"),
        "{tail}"
    );
    assert!(hint.contains("julia_main()::Cint"), "{hint}");
    let (tail, _) = refused(scene, "throws");
    assert!(
        tail.contains("MethodError: no method matching value()"),
        "{tail}"
    );
}

#[test]
fn the_bundle_has_each_library_once_and_nothing_of_the_c_library() {
    let Some(scene) = scene() else { return };
    let files = &scene.assembled.files;
    let named = |start: &str| {
        let of = |path: &str| {
            path.rsplit('/')
                .next()
                .unwrap_or_default()
                .starts_with(start)
        };
        files.iter().filter(|file| of(&file.path)).count()
    };
    assert_eq!(named("libjulia.so"), 1, "{files:?}");
    assert_eq!(named("libLLVM"), 1, "{files:?}");
    assert_eq!(named("libc.so"), 0);
    let paths: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths.len(), files.len(), "a file is listed twice");
    assert!(
        paths.contains("bin/depth") && paths.contains("lib/julia/sys-app.so"),
        "{paths:?}"
    );
    assert!(scene.assembled.system.contains("libc.so.6"));
    let bundled = walkdir::WalkDir::new(scene.dir.path().join("bundle"));
    for entry in bundled.into_iter().map(Result::unwrap) {
        assert!(
            entry.path().exists(),
            "{} leads nowhere",
            entry.path().display()
        );
    }
    assert!(!scene.julia.executable.exists());
}
