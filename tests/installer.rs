//! `install.sh`, from a release on loopback: what matches is installed, what does not is not.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sysforge_testkit::server::Server;

/// A release of the program under test, as install.sh wants it.
struct Release {
    folder: tempfile::TempDir,
    home: tempfile::TempDir,
}

const ARCHIVE: &str = if cfg!(target_os = "macos") {
    concat!("sysforge-", "ARCH", "-apple-darwin.tar.gz")
} else {
    concat!("sysforge-", "ARCH", "-unknown-linux-gnu.tar.gz")
};

fn archive() -> String {
    ARCHIVE.replace("ARCH", std::env::consts::ARCH)
}

fn succeed(command: &mut Command) {
    assert!(command.status().unwrap().success(), "{command:?}");
}

impl Release {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let binary = Path::new(env!("CARGO_BIN_EXE_sysforge"));
        let (parent, name) = (binary.parent().unwrap(), binary.file_name().unwrap());
        succeed(
            Command::new("tar")
                .arg("-czf")
                .arg(folder.path().join(archive()))
                .arg("-C")
                .args([parent.as_os_str(), name]),
        );
        let (digest, _) = sysforge_pack::sha256_of(&folder.path().join(archive())).unwrap();
        let sums = format!("{digest}  {}\n", archive());
        std::fs::write(folder.path().join("SHA256SUMS"), sums).unwrap();
        let home = tempfile::tempdir().unwrap();
        Self { folder, home }
    }

    fn install(&self, from: &str) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../install.sh");
        Command::new("sh")
            .arg(script)
            .args(["--from", from])
            .env("HOME", self.home.path())
            .env_remove("SYSFORGE_INSTALL_FROM")
            .output()
            .unwrap()
    }

    fn installed(&self) -> PathBuf {
        self.home.path().join(".local/bin/sysforge")
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn what_matches_is_installed() {
    let release = Release::new();
    let server = Server::start(release.folder.path());
    for from in [
        server.url().trim_end_matches('/'),
        release.folder.path().to_str().unwrap(),
    ] {
        let output = release.install(from);
        assert!(output.status.success(), "{from}: {}", said(&output));
        succeed(Command::new(release.installed()).arg("--version"));
        std::fs::remove_file(release.installed()).unwrap();
    }
}

#[test]
fn a_damaged_archive_is_not_installed() {
    let release = Release::new();
    let path = release.folder.path().join(archive());
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let output = release.install(release.folder.path().to_str().unwrap());
    assert!(!output.status.success());
    assert!(
        said(&output).contains("nothing was installed"),
        "{}",
        said(&output)
    );
    assert!(!release.installed().exists());
}

#[test]
fn an_archive_that_is_not_in_the_list_is_not_installed() {
    let release = Release::new();
    std::fs::write(release.folder.path().join("SHA256SUMS"), "00  other\n").unwrap();
    let output = release.install(release.folder.path().to_str().unwrap());
    assert!(said(&output).contains("does not name"), "{}", said(&output));
    assert!(!release.installed().exists());
}

#[test]
fn an_address_without_encryption_is_refused() {
    let release = Release::new();
    for from in [
        "http://example.org/x",
        "http://127.0.0.1.example.org/x",
        "http://localhost.example.org/x",
    ] {
        let output = release.install(from);
        assert!(said(&output).contains("use https"), "{}", said(&output));
    }
}
