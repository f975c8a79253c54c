//! The launcher on Windows with a bundle of stub DLLs, which `ci/windows` compiles: a libjulia.dll that
//! prints how it is called, and a DLL that it needs.
#![cfg(windows)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The launcher that is embedded in Sysforge, or the one compiled for the tests.
fn launcher() -> PathBuf {
    let folder = std::env::var_os("SYSFORGE_COMPILED_LAUNCHERS").map(PathBuf::from);
    let compiled = folder.map(|folder| folder.join("sysforge-launcher.exe"));
    compiled.unwrap_or_else(|| env!("CARGO_BIN_EXE_sysforge-launcher").into())
}

/// A bundle in a folder whose name has spaces and letters that are not ASCII. `None` without the DLLs.
fn bundle() -> Option<(tempfile::TempDir, PathBuf)> {
    let Some(lab) = std::env::var_os("SYSFORGE_TEST_LINK_LAB") else {
        eprintln!("skipped: SYSFORGE_TEST_LINK_LAB is not set, see ci/windows");
        return None;
    };
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("Ünder a strange päth");
    let bin = root.join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    for folder in ["share/sysforge", "lib/julia"] {
        std::fs::create_dir_all(root.join(folder)).unwrap();
    }
    std::fs::write(root.join("lib/julia/tally.dll"), "the image").unwrap();
    for name in ["libjulia.dll", "dep.dll"] {
        std::fs::copy(Path::new(&lab).join("bundle").join(name), bin.join(name)).unwrap();
    }
    std::fs::copy(launcher(), bin.join("tally.exe")).unwrap();
    let description = "format 1\nname tally\nlibrary bin/libjulia.dll\nimage lib/julia/tally.dll\n\
        package Tally\nuuid 11111111-2222-4333-8444-555555555555\nentry julia_main\ncall plain\n\
        option --threads=2\n";
    std::fs::write(root.join("share/sysforge/tally.app"), description).unwrap();
    Some((dir, root))
}

/// The app in another folder, without a search path.
fn app(dir: &tempfile::TempDir, root: &Path) -> Command {
    let elsewhere = dir.path().join("elsewhere");
    std::fs::create_dir_all(&elsewhere).unwrap();
    let mut command = Command::new(root.join("bin").join("tally.exe"));
    command
        .current_dir(&elsewhere)
        .env_remove("PATH")
        .env("LOCALAPPDATA", dir.path().join("data"))
        .env("JULIA_DEPOT_PATH", "the user's");
    command
}

fn run(dir: &tempfile::TempDir, root: &Path, args: &[&str]) -> Output {
    app(dir, root).args(args).output().unwrap()
}

fn lines(output: &Output) -> Vec<String> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn dlls_are_found_in_bin_without_a_search_path() {
    let Some((dir, root)) = bundle() else { return };
    let output = run(&dir, &root, &[]);
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    let lines = lines(&output);
    assert!(lines.contains(&"dep 42".to_owned()), "{lines:?}");
    assert!(lines.contains(&"exit 7".to_owned()), "{lines:?}");
}

#[test]
fn every_exit_code_is_passed_on() {
    let Some((dir, root)) = bundle() else { return };
    for code in [0, 1, 125, 255, 256, 1000, -1, 0x4001_0004] {
        let mut app = app(&dir, &root);
        let output = app.env("STUB_EXIT_CODE", code.to_string()).output();
        let output = output.unwrap();
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        assert!(lines(&output).contains(&format!("exit {code}")));
    }
}

#[test]
fn standard_input_is_passed_on_unchanged() {
    let Some((dir, root)) = bundle() else { return };
    let input = dir.path().join("input");
    std::fs::write(&input, "one\r\n\u{1a}two ä").unwrap();
    let input = std::fs::File::open(&input).unwrap();
    let output = app(&dir, &root).stdin(input).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("input one\r\n\u{1a}two ä\n"), "{text:?}");
}

#[test]
fn arguments_are_what_was_typed_and_options_reach_julia() {
    let Some((dir, root)) = bundle() else { return };
    let hostile = ["", "two words", "quo\"te\\", "ä\u{1F600}", "%PATH%", "*"];
    let args = [&hostile[..], &["--julia-args", "-O1"]].concat();
    let lines = lines(&run(&dir, &root, &args));
    let of = |name: &str| -> Vec<&str> {
        let lines = lines.iter().filter_map(|line| line.split_once(' '));
        lines
            .filter(|(key, _)| *key == name)
            .map(|(_, value)| value)
            .collect()
    };
    assert_eq!(of("argument"), hostile);
    assert!(of("program")[0].ends_with("tally.exe"), "{lines:?}");
    assert_eq!(
        of("entry"),
        ["11111111-2222-4333-8444-555555555555 Tally julia_main plain"]
    );
    assert_eq!(of("option"), ["--threads=2", "-O1"]);
    assert!(
        !lines.iter().any(|line| line.starts_with("wrong")),
        "{lines:?}"
    );
}

#[test]
fn julia_gets_the_folders_of_the_bundle_in_utf8_and_its_children_those_of_the_user() {
    let Some((dir, root)) = bundle() else { return };
    let lines = lines(&run(&dir, &root, &[]));
    let of = |name: &str| {
        let mut found = lines.iter().filter_map(|line| line.strip_prefix(name));
        found.next().unwrap().replace('/', "\\")
    };
    assert!(
        of("bin ").ends_with(r"Ünder a strange päth\bin"),
        "{lines:?}"
    );
    assert!(of("image ").ends_with(r"lib\julia\tally.dll"), "{lines:?}");
    let depots = of("depots ");
    let (user, bundled) = depots.split_once(';').unwrap();
    assert!(user.ends_with(r"data\tally"), "{depots}");
    assert!(bundled.ends_with(r"päth\share\julia"), "{depots}");
    assert_eq!(of("depots-of-children "), "the user's");
}

#[test]
fn a_missing_dll_is_an_error_that_names_the_library() {
    let Some((dir, root)) = bundle() else { return };
    std::fs::remove_file(root.join("bin").join("dep.dll")).unwrap();
    let output = run(&dir, &root, &[]);
    assert_eq!(output.status.code(), Some(125), "{output:?}");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.starts_with("tally"), "{error}");
    assert!(
        error.contains("cannot load") && error.contains("libjulia.dll"),
        "{error}"
    );
}
