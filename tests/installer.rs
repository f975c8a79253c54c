//! `install.sh` with a release on loopback: matching files are installed, others are not.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sysforge_testkit::server::{Fault, Server};
use sysforge_testkit::tls::PrivateTls;

/// A release of the program under test in the form that install.sh expects.
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
        self.installer(from).output().unwrap()
    }

    fn installer(&self, from: &str) -> Command {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../install.sh");
        let mut command = Command::new("/bin/sh");
        command
            .arg(script)
            .args(["--from", from])
            .env("HOME", self.home.path())
            .env_remove("SYSFORGE_INSTALL_FROM");
        command
    }

    fn installed(&self) -> PathBuf {
        self.home.path().join(".local/bin/sysforge")
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_matching_archive_is_installed() {
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

/// A folder with all programs of this machine but curl, for `PATH`; `None` without wget.
fn programs_without_curl(folder: &Path) -> Option<PathBuf> {
    let programs = folder.join("programs");
    std::fs::create_dir(&programs).unwrap();
    let path = std::env::var_os("PATH").unwrap();
    for entry in std::env::split_paths(&path)
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flatten()
        .flatten()
    {
        // The first program of a name is the one that a shell starts.
        if entry.file_name() != "curl" {
            let _ = std::os::unix::fs::symlink(entry.path(), programs.join(entry.file_name()));
        }
    }
    programs.join("wget").exists().then_some(programs)
}

#[test]
fn a_redirect_to_an_address_without_encryption_is_refused() {
    let release = Release::new();
    let tls = PrivateTls::new();
    let plain = Server::start(release.folder.path());
    let secure = Server::start_tls(release.folder.path(), &tls);
    let home = release.home.path();
    let (authority, settings) = (home.join("authority.pem"), home.join("wgetrc"));
    std::fs::write(&authority, &tls.authority_pem).unwrap();
    let text = format!("ca_certificate = {}\n", authority.display());
    std::fs::write(&settings, text).unwrap();
    let install = |path: &Path| {
        let mut command = release.installer(&secure.url());
        command
            .env("PATH", path)
            .env("CURL_CA_BUNDLE", &authority)
            .env("WGETRC", &settings);
        command.output().unwrap()
    };
    let mut paths = vec![PathBuf::from(std::env::var_os("PATH").unwrap())];
    match programs_without_curl(home) {
        Some(folder) => paths.push(folder),
        None => sysforge_testkit::skip("wget is not installed"),
    }
    for path in paths {
        for name in ["SHA256SUMS", &archive()] {
            secure.always(name, Fault::Redirect(format!("{}/{name}", plain.url())));
            let output = install(&path);
            assert!(!output.status.success(), "{}", said(&output));
            assert!(!release.installed().exists(), "{}", said(&output));
            secure.behave();
        }
        // The same address without the redirect.
        let output = install(&path);
        assert!(output.status.success(), "{}", said(&output));
        std::fs::remove_file(release.installed()).unwrap();
    }
}

/// A command that runs its arguments with a `noexec` file system mounted at `folder`.
fn in_noexec(folder: &Path) -> Command {
    let mut command = Command::new("unshare");
    let script = "mount -t tmpfs -o noexec tmpfs \"$0\" && exec \"$@\"";
    command.args(["-rm", "sh", "-c", script]).arg(folder);
    command
}

fn may_mount(folder: &Path) -> bool {
    let output = in_noexec(folder).arg("true").output();
    output.is_ok_and(|output| output.status.success())
}

/// Runs the installer with a temporary folder in which nothing can be executed: with a `noexec`
/// mount if this user may mount, otherwise with a `tar` that removes the permission from unpacked
/// files.
fn install_without_programs_in(tmp: &Path, release: &Release, to: &Path) -> Output {
    let mut command = in_noexec(tmp);
    if !may_mount(tmp) {
        let folder = release.home.path().join("bin");
        std::fs::create_dir(&folder).unwrap();
        let tar = "#!/bin/sh\nPATH=${PATH#*:}\ntar \"$@\" && chmod a-x \"$4/sysforge\"\n";
        std::fs::write(folder.join("tar"), tar).unwrap();
        succeed(Command::new("chmod").arg("755").arg(folder.join("tar")));
        let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
        command = Command::new("env");
        command.arg(format!("PATH={path}"));
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../install.sh");
    command.arg("sh").arg(script);
    command.arg("--from").arg(release.folder.path());
    command.arg("--to").arg(to).env("TMPDIR", tmp);
    command.env("HOME", release.home.path()).output().unwrap()
}

#[test]
fn case_16_the_program_is_tested_in_the_target_folder() {
    let release = Release::new();
    let tmp = tempfile::tempdir().unwrap();
    let to = release.home.path().join("a folder");
    let output = install_without_programs_in(tmp.path(), &release, &to);
    assert!(output.status.success(), "{}", said(&output));
    succeed(Command::new(to.join("sysforge")).arg("--version"));
    let left: Vec<_> = std::fs::read_dir(&to).unwrap().flatten().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn the_error_names_a_folder_in_which_nothing_can_be_executed() {
    let release = Release::new();
    let to = release.home.path().join("noexec");
    std::fs::create_dir(&to).unwrap();
    if !may_mount(&to) {
        return;
    }
    let mut command = in_noexec(&to);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../install.sh");
    command
        .arg("sh")
        .arg(script)
        .arg("--from")
        .arg(release.folder.path());
    let output = command.arg("--to").arg(&to).output().unwrap();
    assert!(!output.status.success());
    let said = said(&output);
    assert!(said.contains("programs cannot be run in"), "{said}");
    assert!(said.contains("--to"), "{said}");
}

#[test]
fn the_error_names_folders_that_cannot_be_written_to() {
    let release = Release::new();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../install.sh");
    let install = |tmp: &Path, to: &Path| {
        let mut command = Command::new("sh");
        command
            .arg(&script)
            .arg("--from")
            .arg(release.folder.path());
        let output = command.arg("--to").arg(to).env("TMPDIR", tmp).output();
        said(&output.unwrap())
    };
    let home = release.home.path();
    std::fs::write(home.join("file"), "").unwrap();
    let text = install(&home.join("nowhere"), &home.join("to"));
    assert!(text.contains("set TMPDIR"), "{text}");
    let text = install(home, &home.join("file/to"));
    assert!(text.contains("cannot be created"), "{text}");
}

/// The archives of a Sysforge release: Rust's name of each platform, and the archive's.
fn released() -> Vec<(String, String)> {
    let workflow = include_str!("../.github/workflows/release.yml");
    let packed = workflow.lines().filter_map(|line| {
        let mut words = line.trim().strip_prefix("pack sysforge-")?.split(' ');
        let target = words.nth(1)?.to_owned();
        let kind = match words.next()? {
            ".exe" => "zip",
            _ => "tar.gz",
        };
        Some((target.clone(), format!("sysforge-{target}.{kind}")))
    });
    packed.collect()
}

#[test]
fn cargo_binstall_uses_the_names_of_a_release() {
    let manifest: toml_edit::DocumentMut =
        include_str!("../crates/cli/Cargo.toml").parse().unwrap();
    let binstall = &manifest["package"]["metadata"]["binstall"];
    let released = released();
    assert_eq!(released.len(), 5, "{released:?}");
    for (target, archive) in released {
        let format = binstall["overrides"]
            .get(&target)
            .and_then(|system| system.get("pkg-fmt"))
            .unwrap_or(&binstall["pkg-fmt"]);
        let suffix = match format.as_str().unwrap() {
            "tgz" => ".tar.gz",
            "zip" => ".zip",
            other => panic!("{other}"),
        };
        let url = binstall["pkg-url"].as_str().unwrap();
        let url = url
            .replace("{ repo }", env!("CARGO_PKG_REPOSITORY"))
            .replace("{ version }", env!("CARGO_PKG_VERSION"))
            .replace("{ target }", &target)
            .replace("{ archive-suffix }", suffix);
        let place = "https://github.com/sysforge/sysforge/releases/download";
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(url, format!("{place}/v{version}/{archive}"));
    }
}

#[test]
fn the_installers_use_the_names_of_a_release() {
    let released = released();
    let holds = |name: &str| released.iter().any(|(_, archive)| archive == name);
    for system in ["unknown-linux-gnu", "apple-darwin"] {
        assert!(include_str!("../install.sh").contains(&format!("system={system}")));
        for arch in ["x86_64", "aarch64"] {
            assert!(holds(&format!("sysforge-{arch}-{system}.tar.gz")));
        }
    }
    let windows = "sysforge-x86_64-pc-windows-msvc.zip";
    assert!(include_str!("../install.ps1").contains(windows) && holds(windows));
}
