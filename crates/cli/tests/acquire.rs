//! The real binary against a real server: killed at any moment, started many times at once, and
//! told wrong things.

#![allow(
    clippy::unwrap_used,
    clippy::allow_attributes,
    reason = "tests say what they expect by unwrapping it"
)]

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use sysforge_plan::Triplet;
use sysforge_testkit::archives::tiny_julia;
use sysforge_testkit::keys::SigningKey;
use sysforge_testkit::mirror_dir::MirrorDir;
use sysforge_testkit::server::{Fault, Server};
use sysforge_testkit::wait_for;

/// The binary, with nothing of this machine's settings.
fn sysforge(store: &Path, mirror: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sysforge"));
    command.env_clear();
    // A home of its own: that of the user may have the Julia in its store.
    let home = store.join("home");
    command.env("HOME", &home).env("USERPROFILE", &home);
    for kept in ["PATH", "TMPDIR", "SystemRoot", "TEMP"] {
        if let Some(value) = std::env::var_os(kept) {
            command.env(kept, value);
        }
    }
    command.arg("--store").arg(store).args(["--mirror", mirror]);
    command
}

fn ok(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

struct Scene {
    mirror: MirrorDir,
    server: Server,
    store: tempfile::TempDir,
}

impl Scene {
    fn new(filler: usize) -> Self {
        let mut mirror = MirrorDir::new();
        mirror.publish(
            "1.5.3",
            Triplet::X86_64_LINUX_GNU,
            &tiny_julia("1.5.3", filler).gz(),
        );
        let server = Server::start(mirror.path());
        Self {
            mirror,
            server,
            store: tempfile::tempdir().unwrap(),
        }
    }

    fn install(&self) -> Command {
        let mut command = sysforge(self.store.path(), &self.server.url());
        command.args(["julia", "install", "1.5.3", "--triplet", "x86_64-linux-gnu"]);
        command
    }

    fn spawn(&self) -> Child {
        self.install()
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// There is one entry, every byte of it is right, and nothing else is left.
    fn assert_one_good_entry(&self) {
        let mut list = sysforge(self.store.path(), "unused");
        let json = ok(&list
            .args(["--json", "cache", "list", "--verify"])
            .output()
            .unwrap());
        let rows: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(rows.as_array().unwrap().len(), 1, "{json}");
        assert!(rows[0].get("damage").is_none(), "{json}");
        for folder in ["tmp", "partial"] {
            assert_eq!(names(&self.store.path().join(folder)), Vec::<String>::new());
        }
    }
}

/// A generator of moments (xorshift).
struct Moments(u64);

impl Moments {
    fn next(&mut self, below: Duration) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        Duration::from_micros(self.0 % u64::try_from(below.as_micros()).unwrap().max(1))
    }
}

#[cfg(unix)]
#[test]
fn killed_at_fifty_random_moments_it_ends_with_one_good_entry_and_no_debris() {
    let scene = Scene::new(6_000_000);
    // Slow enough that there is something to interrupt.
    scene
        .server
        .set(|behaviour| behaviour.cap = Some(30_000_000));
    let began = Instant::now();
    ok(&scene.install().output().unwrap());
    let mut within = began.elapsed();
    let seed = 0x5DEE_CE66_D1CE_4E5B ^ u64::from(std::process::id());
    let mut moments = Moments(seed);
    let mut interrupted = 0;
    for _ in 0..500 {
        if interrupted == 50 {
            break;
        }
        if !names(&scene.store.path().join("julia")).is_empty() {
            // It was faster than the kill: begin again from nothing.
            let mut prune = sysforge(scene.store.path(), "unused");
            ok(&prune.args(["cache", "prune", "--all"]).output().unwrap());
        }
        let mut child = scene.spawn();
        std::thread::sleep(moments.next(within));
        child.kill().unwrap();
        let status = child.wait().unwrap();
        interrupted += u32::from(!status.success());
        // How long an installation takes is not the same on every machine, nor at every time.
        within = if status.success() {
            within * 3 / 4
        } else {
            within * 9 / 8
        };
    }
    assert_eq!(interrupted, 50, "with seed {seed}");
    let julia = ok(&scene.install().output().unwrap());
    scene.assert_one_good_entry();
    let said = ok(&Command::new(julia.trim()).output().unwrap());
    assert_eq!(said, "julia version 1.5.3\n");
}

#[test]
fn two_and_eight_at_once_download_once() {
    for processes in [2, 8] {
        let scene = Scene::new(3_000_000);
        scene.server.set(|behaviour| {
            behaviour.ranges = false;
            behaviour.cap = Some(20_000_000);
        });
        let children: Vec<_> = (0..processes).map(|_| scene.spawn()).collect();
        let mut paths: Vec<_> = children
            .into_iter()
            .map(|child| ok(&child.wait_with_output().unwrap()))
            .collect();
        paths.dedup();
        assert_eq!(paths.len(), 1, "{paths:?}");
        assert_eq!(
            scene.server.seen(".tar.gz").len(),
            1,
            "{processes} processes"
        );
        scene.assert_one_good_entry();
    }
}

/// A library that makes every lock fail as on a network file system without a lock daemon.
#[cfg(target_os = "linux")]
fn no_locks(folder: &Path) -> std::path::PathBuf {
    let (source, library) = (folder.join("nolocks.c"), folder.join("nolocks.so"));
    let text = "#include <errno.h>\nint flock(int f, int o) { errno = ENOLCK; return -1; }\n";
    std::fs::write(&source, text).unwrap();
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .status();
    assert!(compiled.unwrap().success());
    library
}

#[cfg(target_os = "linux")]
#[test]
fn without_locks_many_at_once_still_end_with_one_good_entry() {
    let scene = Scene::new(3_000_000);
    scene
        .server
        .set(|behaviour| behaviour.cap = Some(10_000_000));
    let folder = tempfile::tempdir().unwrap();
    let library = no_locks(folder.path());
    let children: Vec<_> = (0..4)
        .map(|_| {
            let mut install = scene.install();
            install.env("LD_PRELOAD", &library);
            install.stdout(Stdio::piped()).stderr(Stdio::piped());
            install.spawn().unwrap()
        })
        .collect();
    let mut paths: Vec<_> = children
        .into_iter()
        .map(|child| ok(&child.wait_with_output().unwrap()))
        .collect();
    paths.dedup();
    assert_eq!(paths.len(), 1, "{paths:?}");
    // Nothing kept them apart: the preloaded library was at work.
    assert!(scene.server.seen(".tar.gz").len() > 1);
    scene.assert_one_good_entry();
    // Who cannot see whether an entry is in use leaves it alone.
    let mut prune = sysforge(scene.store.path(), "unused");
    prune
        .args(["cache", "prune", "--all"])
        .env("LD_PRELOAD", &library);
    ok(&prune.output().unwrap());
    scene.assert_one_good_entry();
}

#[cfg(unix)]
#[test]
fn interrupted_by_a_signal_it_leaves_only_what_can_be_resumed() {
    let scene = Scene::new(3_000_000);
    scene
        .server
        .always(".tar.gz", Fault::Drip(50_000, Duration::from_millis(20)));
    let partial = scene.store.path().join("partial");
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let asked = scene.server.seen(".tar.gz").len();
        let child = scene.spawn();
        wait_for("the archive", || {
            scene.server.seen(".tar.gz").len() > asked && names(&partial).len() == 2
        });
        let id = child.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &id])
                .status()
                .unwrap()
                .success()
        );
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
        assert_eq!(names(&scene.store.path().join("tmp")), Vec::<String>::new());
        assert_eq!(
            names(&scene.store.path().join("julia")),
            Vec::<String>::new()
        );
    }
    assert_eq!(names(&partial).len(), 2);
    scene.server.always(".tar.gz", Fault::Fine);
    ok(&scene.install().output().unwrap());
    scene.assert_one_good_entry();
}

#[test]
fn exit_codes_and_hints_are_what_the_documents_say() {
    let scene = Scene::new(1000);
    let run = |arguments: &[&str]| {
        let mut command = sysforge(scene.store.path(), &scene.server.url());
        let output = command.args(arguments).output().unwrap();
        (output.status.code(), stderr(&output))
    };
    let (code, said) = run(&["julia", "install", "relaese"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("did you mean `release`?"), "{said}");
    let (code, said) = run(&["julia", "install", "1.6", "--triplet", "x86_64-linux-gnu"]);
    assert_eq!(code, Some(2));
    assert!(
        said.contains("for x86_64-linux-gnu there is: 1.5.3"),
        "{said}"
    );
    let (code, said) = run(&["julia", "path", "1.5.3", "--triplet", "x86_64-linux-gnu"]);
    assert_eq!(code, Some(2));
    assert!(
        said.contains("run `sysforge julia install 1.5.3 --triplet x86_64-linux-gnu`"),
        "{said}"
    );
    let strict = [
        "julia",
        "install",
        "1.5.3",
        "--triplet",
        "x86_64-linux-gnu",
        "--require-signature",
    ];
    let (code, said) = run(&strict);
    assert_eq!(code, Some(3));
    assert!(
        said.contains("no signature that proves its origin"),
        "{said}"
    );
    scene.server.always(".tar.gz", Fault::WrongByte(100));
    let (code, said) = run(&["julia", "install", "1.5.3", "--triplet", "x86_64-linux-gnu"]);
    assert_eq!(code, Some(3));
    assert!(said.contains("has the SHA-256 digest"), "{said}");
    let (code, said) = run(&["toolchain", "install", "winlibs-ucrt-15.2.0-x86_64"]);
    assert_eq!(code, Some(4));
    assert!(
        said.contains("UCRT, while Julia for x86_64-w64-mingw32 uses msvcrt"),
        "{said}"
    );
}

#[test]
fn ones_own_key_makes_ones_own_mirror_trustworthy() {
    let key = SigningKey::new();
    let archive = tiny_julia("1.13.2", 10_000).gz();
    let mut mirror = MirrorDir::new();
    mirror.publish_with("1.13.2", Triplet::X86_64_LINUX_GNU, &archive, |entry| {
        entry.insert("asc".to_owned(), key.sign(&archive).into());
    });
    let store = tempfile::tempdir().unwrap();
    let ring = store.path().join("ring.asc");
    std::fs::write(&ring, key.certificate()).unwrap();
    let mut command = sysforge(store.path(), mirror.path().to_str().unwrap());
    command
        .args([
            "--json",
            "julia",
            "install",
            "--triplet",
            "x86_64-linux-gnu",
        ])
        .args(["--require-signature", "--trusted-key", &key.fingerprint()])
        .arg("--keyring")
        .arg(&ring);
    let json: serde_json::Value = serde_json::from_str(&ok(&command.output().unwrap())).unwrap();
    assert_eq!(json[0]["signature"], "good");
    assert_eq!(json[0]["key"], key.fingerprint());
}

#[test]
fn offline_uses_what_is_there_and_says_so() {
    let scene = Scene::new(1000);
    ok(&scene.install().output().unwrap());
    let asked = scene.server.seen("").len();
    ok(&scene.install().arg("--offline").output().unwrap());
    // A range is looked up in the catalogue, as it was when it was last fetched.
    let mut range = sysforge(scene.store.path(), &scene.server.url());
    range.args(["julia", "install", "~1.5", "--triplet", "x86_64-linux-gnu"]);
    let output = range.arg("--offline").output().unwrap();
    ok(&output);
    assert!(stderr(&output).contains("offline"), "{}", stderr(&output));
    assert_eq!(scene.server.seen("").len(), asked);
    // The mirror's folder is no longer needed by anyone.
    drop(scene.mirror);
}
