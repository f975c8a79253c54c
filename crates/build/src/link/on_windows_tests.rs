//! Links on Windows with a Windows linker. `ci/windows` creates objects and a stub of libjulia,
//! downloads the linker, and passes their paths.

#![cfg(windows)]

use std::path::{Path, PathBuf};

use sysforge_plan::link::{LinkerChoice, Strategy};
use sysforge_plan::{JuliaVersion, Os, Reporter, Step, Triplet};

use super::*;

/// Returns the folder created by `ci/windows`: `image.o`, `undefined.o`, `load.exe`, and a `julia`.
fn lab() -> Option<(PathBuf, LinkerChoice)> {
    let variable = |name| std::env::var(name).ok();
    let (Some(lab), Some(linker)) = (
        variable("SYSFORGE_TEST_LINK_LAB"),
        variable("SYSFORGE_TEST_LINKER"),
    ) else {
        eprintln!("skipped: ci/windows makes what this test links");
        return None;
    };
    let linker = LinkerChoice::parse(&linker, Os::Windows).unwrap();
    Some((PathBuf::from(lab), linker))
}

fn job(lab: &Path, linker: LinkerChoice, object: &str, dir: &Path) -> LinkJob {
    let version = Some(JuliaVersion::new(1, 5, 3));
    let julia = foreign::facts(&lab.join("julia"), Triplet::X86_64_W64_MINGW32, version).unwrap();
    LinkJob {
        objects: vec![lab.join(object)],
        output: dir.join("dist/image.dll"),
        name: "image.dll".to_owned(),
        julia,
        linker,
        strip: false,
        exports: Vec::new(),
        library: None,
        environment: Environment::new(std::env::vars_os()),
        work_dir: dir.join("work"),
        log: dir.join("work/link.log"),
        timeout: Some(Duration::from_secs(120)),
    }
}

async fn run(job: &LinkJob) -> Result<Linked, LinkError> {
    let task = Reporter::silent().start(Step::Link, "test");
    link(job, &Children::default(), &task).await
}

#[tokio::test]
async fn an_image_is_linked_where_paths_have_spaces_and_letters_and_it_loads() {
    let Some((lab, linker)) = lab() else { return };
    let scratch = tempfile::Builder::new()
        .prefix("Müllers Bücher ")
        .tempdir()
        .unwrap();
    let job = job(&lab, linker, "image.o", scratch.path());
    let linked = run(&job).await.unwrap();
    assert_eq!(linked.strategy, Strategy::Chosen);
    let exports = &linked.inspection.exports;
    assert!(exports.contains(&"answer".to_owned()), "{exports:?}");
    assert!(!exports.contains(&"julia_f_1".to_owned()), "{exports:?}");
    // Copies libjulia to a folder where Windows looks for dependencies of a DLL.
    std::fs::copy(
        lab.join("julia/bin/libjulia.dll"),
        scratch.path().join("dist/libjulia.dll"),
    )
    .unwrap();
    let loader = scratch.path().join("dist/load.exe");
    std::fs::copy(lab.join("load.exe"), &loader).unwrap();
    let loaded = std::process::Command::new(&loader)
        .arg(&job.output)
        .output()
        .unwrap();
    assert_eq!(loaded.status.code(), Some(42), "{loaded:?}");
}

#[tokio::test]
async fn an_undefined_symbol_is_named_and_nothing_is_left() {
    let Some((lab, linker)) = lab() else { return };
    let scratch = tempfile::tempdir().unwrap();
    let job = job(&lab, linker, "undefined.o", scratch.path());
    let error = run(&job).await.unwrap_err().to_string();
    assert!(error.contains("`dgemm_64_`"), "{error}");
    assert!(!job.output.exists());
}

#[test]
fn a_file_without_an_extension_is_no_program() {
    let folder = tempfile::tempdir().unwrap();
    let environment = Environment::default().with("Path", folder.path());
    let found = |name: &str| {
        let found = super::find::which(name, &environment)?;
        Some(found.file_name()?.to_string_lossy().into_owned())
    };
    for file in ["gcc", "ld.lld.exe", "zig.cmd"] {
        std::fs::write(folder.path().join(file), "").unwrap();
    }
    assert_eq!(found("gcc"), None);
    assert_eq!(found("ld.lld").as_deref(), Some("ld.lld.exe"));
    assert_eq!(found("zig").as_deref(), Some("zig.cmd"));
    std::fs::write(folder.path().join("gcc.exe"), "").unwrap();
    assert_eq!(found("gcc").as_deref(), Some("gcc.exe"));
    assert_eq!(found("gcc.exe").as_deref(), Some("gcc.exe"));
    let path = folder.path().join("gcc").display().to_string();
    assert_eq!(found(&path).as_deref(), Some("gcc.exe"));
}
