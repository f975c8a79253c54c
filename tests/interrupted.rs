//! Ctrl-C, SIGTERM, SIGKILL and a full disk at various points of real builds: children end too, no
//! incomplete results remain, and the same command works again.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod support;

#[path = "support/small_disk.rs"]
mod small_disk;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use small_disk::SmallDisk;
use support::Scratch;
use sysforge_testkit::wait_for;

fn start(scratch: &Scratch, args: &[&str]) -> Child {
    scratch
        .command(args)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill")
        .args(["-s", name, &child.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
}

/// The processes, except zombies, that have the scratch folder in their command line or as working
/// directory.
fn processes_in(scratch: &Scratch) -> String {
    let folder = scratch.path("");
    let mut found = String::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let in_folder =
            std::fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(&folder));
        if in_folder {
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            found.push_str(&String::from_utf8_lossy(&line).replace('\0', " "));
            found.push('\n');
        }
    }
    found
}

/// Interrupts `sysforge` when `moment` returns true, and checks what is left.
#[track_caller]
fn interrupt(scratch: &Scratch, args: &[&str], how: &str, code: i32, moment: impl FnMut() -> bool) {
    let child = start(scratch, args);
    wait_for("the moment", moment);
    signal(&child, how);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains("interrupted by"), "{said}");
    assert_no_process_left(scratch);
    assert!(scratch.dist().is_empty(), "{:?}", scratch.dist());
}

/// SIGKILL was sent to the whole group; a large process needs a moment to end.
#[track_caller]
fn assert_no_process_left(scratch: &Scratch) {
    let since = Instant::now();
    while !processes_in(scratch).is_empty() {
        let left = processes_in(scratch);
        assert!(
            since.elapsed() < Duration::from_secs(20),
            "processes were left behind: {left}"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn partial_objects(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("partial")).collect()
}

fn work(scratch: &Scratch, name: &str) -> std::path::PathBuf {
    scratch
        .path(".sysforge/Tiny-julia1.5.3-x86_64-linux-gnu")
        .join(name)
}

fn slow_workload() -> Scratch {
    let scratch = Scratch::new();
    scratch.config("julia = \"1.5\"\nworkloads = [\"workload.jl\"]\n");
    scratch.file(
        "workload.jl",
        "using Tiny\nrun(`sh -c \"touch running; sleep 600\"`)\n",
    );
    scratch
}

#[test]
fn ctrl_c_while_tracing() {
    let scratch = slow_workload();
    let running = scratch.path("running");
    interrupt(&scratch, &["build"], "INT", 130, || running.exists());
}

#[test]
fn sigterm_while_tracing() {
    let scratch = slow_workload();
    let running = scratch.path("running");
    interrupt(&scratch, &["build"], "TERM", 143, || running.exists());
}

#[test]
fn ctrl_c_while_downloading() {
    let scratch = slow_workload();
    let store = scratch.path("store");
    let downloads = store.clone();
    interrupt(
        &scratch,
        &["build", "--store", store.to_str().unwrap()],
        "INT",
        130,
        move || size_of(&downloads) > 10_000_000,
    );
    assert!(
        !store.join("julia").exists() || is_empty(&store.join("julia")),
        "half a Julia"
    );
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder)
        .unwrap()
        .flatten()
        .all(|e| !e.path().join("bin/julia").exists())
}

fn size_of(path: &Path) -> u64 {
    if path.is_dir() {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        entries.map(|entry| size_of(&entry.path())).sum()
    } else {
        std::fs::symlink_metadata(path).map_or(0, |file| file.len())
    }
}

/// One build of a small package, interrupted in every later step, killed, and finished.
#[test]
fn every_later_step_can_be_interrupted_and_repeated() {
    let scratch = Scratch::new();
    scratch.config("julia = \"1.5\"\nworkloads = [\"workload.jl\"]\n");
    // The workload takes long while the file `slow` exists.
    scratch.file(
        "workload.jl",
        "using Tiny\nprintln(greet(\"world\"))\n\
         isfile(\"slow\") && run(`sh -c \"touch running; sleep 600\"`)\n",
    );
    let emitting = || work(&scratch, "report.tsv").exists();

    interrupt(&scratch, &["build"], "TERM", 143, emitting);
    assert!(!work(&scratch, "image-o.a").exists());

    // SIGKILL leaves no time to clean up: the emitting Julia ends nevertheless, and the same
    // command works.
    std::fs::remove_file(work(&scratch, "report.tsv")).unwrap();
    let mut child = start(&scratch, &["build"]);
    wait_for("emitting", emitting);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_no_process_left(&scratch);
    assert!(scratch.dist().is_empty());
    scratch.sysforge(&["build"]).succeeds();
    assert_eq!(partial_objects(&work(&scratch, "")), Vec::<String>::new());
    assert_eq!(scratch.dist().len(), 3, "{:?}", scratch.dist());
    let (first, _) = archive(&scratch);

    // Linking, with a program that only sleeps as linker.
    let linker = scratch.path("slow-linker");
    std::fs::write(&linker, "#!/bin/sh\ntouch \"$0.started\"\nsleep 600\n").unwrap();
    Command::new("chmod")
        .arg("+x")
        .arg(&linker)
        .status()
        .unwrap();
    std::fs::rename(scratch.path("dist"), scratch.path("done")).unwrap();
    let words = format!("'{}'", linker.display());
    let started = scratch.path("slow-linker.started");
    interrupt(&scratch, &["link", "--cc", &words], "INT", 130, || {
        started.exists()
    });
    assert!(!work(&scratch, "Tiny-julia1.5.3-x86_64-linux-gnu.so").exists());
    scratch.sysforge(&["link"]).succeeds();

    // Checking.
    scratch.file("slow", "");
    let running = scratch.path("running");
    interrupt(&scratch, &["check"], "INT", 130, || running.exists());
    std::fs::remove_file(scratch.path("slow")).unwrap();
    scratch.sysforge(&["check"]).succeeds();

    // Packing.
    let partial = scratch.path("dist/.Tiny-julia1.5.3-x86_64-linux-gnu.tar.gz.partial");
    interrupt(&scratch, &["pack"], "TERM", 143, || partial.exists());
    assert!(!partial.exists());
    scratch.sysforge(&["pack"]).succeeds();
    assert_eq!(scratch.dist().len(), 3);
    let (second, size) = archive(&scratch);
    assert_eq!(first, second, "archives have the same name");
    assert!(size > 10_000_000);

    // A full disk, if one can be created.
    if let Some(small) = SmallDisk::new(&scratch.path("small"), "20m") {
        let out = small.0.to_string_lossy().into_owned();
        let error = scratch.sysforge(&["pack", "--out", &out]).fails(8);
        assert!(error.contains("No space left on device"), "{error}");
        assert!(error.contains("hint: free some space"), "{error}");
        let left: Vec<_> = std::fs::read_dir(&small.0).unwrap().flatten().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

fn archive(scratch: &Scratch) -> (String, u64) {
    let name = scratch
        .dist()
        .into_iter()
        .find(|name| name.ends_with(".tar.gz"))
        .unwrap();
    let size = std::fs::metadata(scratch.path("dist").join(&name))
        .unwrap()
        .len();
    (name, size)
}

#[test]
fn a_full_disk_of_the_store() {
    let scratch = slow_workload();
    let Some(small) = SmallDisk::new(&scratch.path("small"), "20m") else {
        return;
    };
    let store = small.0.to_string_lossy().into_owned();
    let error = scratch.sysforge(&["build", "--store", &store]).fails(8);
    assert!(error.contains("No space left on device"), "{error}");
    assert!(error.contains("hint: "), "{error}");
}

#[test]
fn a_full_disk_of_the_build_directory() {
    let scratch = Scratch::new();
    scratch.config("julia = \"1.5\"\nworkloads = [\"workload.jl\"]\n");
    let Some(small) = SmallDisk::new(&scratch.path("small"), "20m") else {
        return;
    };
    let folder = small.0.to_string_lossy().into_owned();
    let error = scratch
        .sysforge(&["build", "--build-dir", &folder])
        .fails(8);
    assert!(error.contains("No space left on device"), "{error}");
    assert!(error.contains("--build-dir DIR"), "{error}");
    assert!(scratch.dist().is_empty());
    let left = small.0.join("Tiny-julia1.5.3-x86_64-linux-gnu");
    for name in ["image-o.a", "emit.json"] {
        assert!(!left.join(name).exists(), "{name}");
    }
    assert_eq!(partial_objects(&left), Vec::<String>::new());
}
