//! Bundles of the real Julia, made from the image that it ships with. It is taken from the mirror
//! that `SYSFORGE_TEST_MIRROR` names (`ci/julia-mirror`); without it, the tests are skipped.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

#[path = "../../../tests/support/small_disk.rs"]
mod small_disk;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use sysforge_archive::{Cancel, Limits, Links, TreeWriter, unpack_file};
use sysforge_bundle::assemble::Assembled;
use sysforge_bundle::check::Surroundings;
use sysforge_bundle::launcher::Described;
use sysforge_bundle::libraries::Compiler;
use sysforge_bundle::observe::Planned;
use sysforge_bundle::{BundleError, Checked, Sources, assemble, check};
use sysforge_plan::config::Run;
use sysforge_plan::text::TreeHash;
use sysforge_plan::{
    ArchiveFormat, Explain, JuliaFacts, JuliaVersion, Os, Reporter, Step, Triplet,
};
use sysforge_process::{Children, Environment};

/// A Julia and a bundle made from it.
struct Scene {
    /// A static is never dropped, so a temporary folder would stay after each run. This one is the same
    /// in each.
    dir: PathBuf,
    julia: JuliaFacts,
    assembled: Assembled,
}

const TEST: (&str, &str) = ("Test", "8dfed614-e22c-5e08-85e1-65c5234f0b40");
const DISTRIBUTED: (&str, &str) = ("Distributed", "8ba89e20-285c-5b6f-9357-94700520ee1b");
const UTILITIES: (&str, &str) = ("InteractiveUtils", "b77e0a4c-d291-57a0-90e8-8db25a27a240");
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
        // Prints, and returns nothing.
        app("prints", UTILITIES, "versioninfo"),
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
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bundle");
    let _ = std::fs::remove_dir_all(&dir);
    let prefix = dir.join("julia");
    std::fs::create_dir_all(&prefix).unwrap();
    let file = std::fs::File::open(&archive).unwrap();
    let (limits, links) = (Limits::default(), Links::default());
    let mut tree = TreeWriter::new(prefix.clone(), 1, limits, links, Cancel::default());
    unpack_file(ArchiveFormat::TarGz, file, &mut tree).unwrap();
    tree.finish().unwrap();
    let julia = facts(&prefix);
    let opened = opened(&julia);
    let assembled = make(&julia, &opened, &[], &dir.join("bundle")).unwrap();
    // The bundle must not need the Julia that it was made from.
    std::fs::rename(&prefix, dir.join("gone")).unwrap();
    Some(Scene {
        dir,
        julia,
        assembled,
    })
}

/// Creates a bundle of the apps from the image that this Julia ships with.
fn make(
    julia: &JuliaFacts,
    opened: &[PathBuf],
    artifacts: &[(TreeHash, PathBuf)],
    folder: &Path,
) -> Result<Assembled, BundleError> {
    let sources = Sources {
        julia,
        image: &julia.base_image,
        image_name: "sys-app.so",
        apps: &apps(),
        artifacts,
        opened,
        packages: &[],
        names: &[(TEST.0.to_owned(), TEST.1.to_owned())],
        preferences: None,
        library: None,
        compiler: Compiler::Included,
    };
    assemble(&sources, folder)
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
    run_from(scene, &scene.dir.join("bundle"), name, run)
}

/// Checks one app of a bundle with one run.
fn run_from(scene: &Scene, bundle: &Path, name: &str, run: Run) -> Result<Checked, BundleError> {
    let app = apps().into_iter().find(|app| app.name == name).unwrap();
    let planned = [Planned {
        app,
        runs: vec![run],
    }];
    let logs = scene.dir.join(format!("logs-{name}"));
    let environment = Environment::new(std::env::vars_os());
    let children = Children::default();
    let surroundings = Surroundings {
        os: Os::Linux,
        system: &scene.assembled.system,
        project: &scene.dir,
        environment: &environment,
        children: &children,
        logs: &logs,
    };
    let task = Reporter::silent().start(Step::Check, name);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(check(bundle, &planned, &surroundings, &task))
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
    let bundled = walkdir::WalkDir::new(scene.dir.join("bundle"));
    for entry in bundled.into_iter().map(Result::unwrap) {
        assert!(
            entry.path().exists(),
            "{} leads nowhere",
            entry.path().display()
        );
    }
    assert!(!scene.julia.executable.exists());
}

#[test]
fn a_bundle_without_a_library_that_julia_opens_by_its_name_fails_with_a_hint() {
    let Some(scene) = scene() else { return };
    let julia = facts(&scene.dir.join("gone"));
    let bundle = scene.dir.join("without-opened");
    // Julia opens PCRE by its name, which no dynamic section contains; while it starts, it cannot
    // name the library.
    make(&julia, &[], &[], &bundle).unwrap();
    let error = run_from(scene, &bundle, "depth", Run::default()).unwrap_err();
    std::fs::remove_dir_all(&bundle).unwrap();
    assert_eq!(error.class().exit_code(), 6, "{error}");
    let tail = error.evidence().unwrap().tail.join("\n");
    assert!(tail.starts_with("fatal: error thrown"), "{tail}");
    let hint = error.hints().join("\n");
    assert!(hint.contains("a library is missing"), "{hint}");
}

/// Runs an app of a bundle as a user does, and returns its exit code and what it printed on stderr.
fn started(bundle: &Path, name: &str, output: Stdio) -> (Option<i32>, String) {
    let program = bundle.join("bin").join(name);
    let output = Command::new(program).env_clear().stdout(output).output();
    let output = output.unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), text)
}

#[test]
fn output_that_does_not_fit_on_the_disk_is_an_error_of_the_app() {
    let Some(scene) = scene() else { return };
    let full = std::fs::File::options().write(true).open("/dev/full");
    let bundle = scene.dir.join("bundle");
    let (code, text) = started(&bundle, "prints", full.unwrap().into());
    assert_eq!(code, Some(1), "{text}");
    let first = text.lines().next().unwrap_or_default();
    assert_eq!(first, "ERROR: SystemError: flush: No space left on device");
    assert!(!text.contains("finalizer"), "{text}");
}

#[test]
fn an_app_without_its_image_says_what_is_missing() {
    let Some(scene) = scene() else { return };
    let bundle = scene.dir.join("incomplete");
    // Everything but the image.
    let from = scene.dir.join("bundle");
    std::fs::create_dir_all(bundle.join("bin")).unwrap();
    std::fs::copy(from.join("bin/depth"), bundle.join("bin/depth")).unwrap();
    for folder in ["lib/x86_64-linux-gnu", "share"] {
        let to = bundle.join(folder);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(from.join(folder), to).unwrap();
    }
    let (code, text) = started(&bundle, "depth", Stdio::null());
    assert_eq!(code, Some(125), "{text}");
    assert!(text.contains("sys-app.so is missing or empty"), "{text}");
}

#[test]
fn a_missing_artifact_is_named() {
    let Some(scene) = scene() else { return };
    let julia = facts(&scene.dir.join("gone"));
    let tree = TreeHash::new("2ea2bdcdfd98ea4c9ceb0b2d9b9b6dcc4e7eb4f7").unwrap();
    let artifacts = [(tree, PathBuf::from("/depot/artifacts/2ea2bdcd"))];
    let bundle = scene.dir.join("without-artifact");
    let error = make(&julia, &[], &artifacts, &bundle).unwrap_err();
    std::fs::remove_dir_all(&bundle).unwrap();
    assert_eq!(error.class().exit_code(), 6, "{error}");
    let shown = format!("{error}\n{}", error.hints().join("\n"));
    assert_eq!(
        shown,
        "the artifact /depot/artifacts/2ea2bdcd is not there, and the app needs it\n\
         `sysforge instantiate --force` installs the artifacts of the packages again"
    );
}

#[test]
fn a_full_disk_is_an_error_of_the_machine_that_names_the_file() {
    let Some(scene) = scene() else { return };
    let julia = facts(&scene.dir.join("gone"));
    let folder = scene.dir.join("small");
    let Some(disk) = small_disk::SmallDisk::new(&folder, "1m") else {
        return;
    };
    let error = make(&julia, &[], &[], &disk.0.join("bundle")).unwrap_err();
    assert_eq!(error.class().exit_code(), 8, "{error}");
    assert!(error.to_string().contains("sys.so"), "{error}");
    assert!(!error.hints().is_empty(), "{error}");
}

/// `SYSFORGE_TEST_NEWER_JULIA` names the folder of a Julia from 1.8 on.
#[test]
fn a_bundle_without_the_compiler_runs_what_is_compiled() {
    let Some(prefix) = std::env::var_os("SYSFORGE_TEST_NEWER_JULIA") else {
        sysforge_testkit::skip("SYSFORGE_TEST_NEWER_JULIA is not set");
        return;
    };
    let julia = newer(Path::new(&prefix));
    let opened = opened(&julia);
    let dir = tempfile::tempdir().unwrap();
    let bundle = dir.path().join("bundle");
    let uuid = "37e2e46d-f89d-539d-b4ee-838fcccc9c8e";
    let app = app("threads", ("LinearAlgebra", uuid), "BLAS.get_num_threads");
    let names = [("LinearAlgebra".to_owned(), uuid.to_owned())];
    let sources = |compiler| Sources {
        julia: &julia,
        image: &julia.base_image,
        image_name: "sys-app.so",
        apps: std::slice::from_ref(&app),
        artifacts: &[],
        opened: &opened,
        packages: &[],
        names: &names,
        preferences: None,
        library: None,
        compiler,
    };
    let with = assemble(&sources(Compiler::Included), &dir.path().join("with")).unwrap();
    let without = assemble(&sources(Compiler::LeftOut), &bundle).unwrap();
    let size = |made: &Assembled| made.files.iter().map(|file| file.size).sum::<u64>();
    println!(
        "{} MB with, {} MB without the compiler",
        size(&with) >> 20,
        size(&without) >> 20
    );
    assert!(size(&without) < size(&with));
    let is_compiler = |path: &str| path.contains("LLVM") || path.contains("codegen");
    assert!(with.files.iter().any(|file| is_compiler(&file.path)));
    assert!(!without.files.iter().any(|file| is_compiler(&file.path)));
    // The number of threads of BLAS is the exit code.
    let output = Command::new(bundle.join("bin/threads"))
        .env_clear()
        .env("OPENBLAS_NUM_THREADS", "1")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

/// Asks a Julia for its folders.
fn newer(prefix: &Path) -> JuliaFacts {
    let code = "using Libdl; println(VERSION); println(abspath(Sys.BINDIR, Base.LIBDIR)); \
                println(abspath(Sys.BINDIR, Base.PRIVATE_LIBDIR)); println(Sys.STDLIB); \
                println(unsafe_string(Base.JLOptions().image_file))";
    let output = Command::new(prefix.join("bin/julia"))
        .args(["--startup-file=no", "-e", code])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let [version, libdir, private, stdlib, image] = text.lines().collect::<Vec<_>>()[..] else {
        panic!("{text}");
    };
    JuliaFacts {
        executable: prefix.join("bin/julia"),
        version: version.parse().unwrap(),
        commit: String::new(),
        triplet: Triplet::X86_64_LINUX_GNU,
        bindir: prefix.join("bin"),
        libdir: libdir.into(),
        private_libdir: private.into(),
        private_libexecdir: None,
        stdlib: stdlib.into(),
        base_image: image.into(),
        cpu_name: "generic".to_owned(),
        cpu_threads: 2,
    }
}
