//! Installing registered packages through the real binary, with the real Pkg, from a package server
//! that misbehaves on request. Each test has an empty home, so the depot is empty, too.
//!
//! `SYSFORGE_TEST_JULIA` names another Julia than 1.5; `ci/packages` sets it, and makes images.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod support;

#[cfg(unix)]
#[path = "support/small_disk.rs"]
mod small_disk;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use support::{Ran, Scratch, root};
use sysforge_testkit::packages::{
    GitHost, PackageServer, RegistryName, Sources, Tree, test_packages,
};
use sysforge_testkit::server::Fault;

/// A project, an empty home and a package server.
struct Harbour {
    scratch: Scratch,
    packages: PackageServer,
    julia: String,
}

impl Harbour {
    /// A project that depends on the newest versions of these packages, without a manifest.
    fn needs(names: &[&str]) -> Self {
        let harbour = Self::in_folder(Scratch::empty());
        let mut project = "[deps]\n".to_owned();
        for name in names {
            let _ = writeln!(project, "{name} = {:?}", harbour.uuid(name));
        }
        harbour.scratch.file("Project.toml", &project);
        harbour.scratch.file("workload.jl", "");
        harbour.configure("");
        harbour
    }

    /// A copy of examples/Harbour.
    fn example() -> Self {
        let harbour = Self::in_folder(Scratch::empty());
        support::copy(&root().join("examples/Harbour"), &harbour.scratch.path(""));
        harbour
    }

    fn in_folder(scratch: Scratch) -> Self {
        Self {
            scratch,
            packages: PackageServer::start(),
            julia: std::env::var("SYSFORGE_TEST_JULIA").unwrap_or_else(|_| "1.5".to_owned()),
        }
    }

    fn uuid(&self, name: &str) -> String {
        let mut packages = self.packages.sources().packages.iter();
        let package = packages.find(|package| package.name == name);
        package.unwrap().uuid.clone()
    }

    fn configure(&self, more: &str) {
        self.scratch.config(&format!(
            "name = \"harbour\"\nworkloads = [\"workload.jl\"]\n{more}"
        ));
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.scratch.command(args);
        command
            .args(["--julia", &self.julia])
            .env("JULIA_PKG_SERVER", self.packages.url())
            // No test reaches beyond this machine, whatever Pkg falls back to.
            .env("https_proxy", "http://127.0.0.1:9")
            .env("no_proxy", "127.0.0.1");
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        self.scratch.run(self.command(args))
    }

    fn instantiate(&self) -> Ran {
        self.run(&["instantiate"])
    }

    fn depot(&self) -> PathBuf {
        self.scratch.path("").with_file_name("home").join(".julia")
    }

    /// The folders of a package's versions in the depot.
    fn installed(&self, name: &str) -> Vec<PathBuf> {
        entries(&self.depot().join("packages").join(name))
    }

    /// Adds the registry to the depot, so that a test meets what comes after.
    fn with_registry(self) -> Self {
        let registry = self
            .packages
            .sources()
            .registry(RegistryName::GENERAL, |name| {
                format!("https://127.0.0.1:9/{name}.jl.git")
            });
        self.add_registry(&registry);
        self
    }

    fn add_registry(&self, registry: &Tree) {
        let folder = self.depot().join("registries/General");
        registry.write(&folder);
        let info = format!("git-tree-sha1 = {:?}\n", registry.hash());
        std::fs::write(folder.join(".tree_info.toml"), info).unwrap();
    }

    /// What of packages and artifacts was requested.
    fn downloads(&self) -> Vec<String> {
        let counts = self.packages.server().counts();
        let of_content = |path: &String| !path.starts_with("/regist");
        counts.into_keys().filter(of_content).collect()
    }

    /// With the fault, the command fails, says so and leaves nothing half-made; without it, the same
    /// command finishes.
    #[track_caller]
    fn recovers_from(&self, path: &str, fault: Fault, expected: &[&str]) {
        self.packages.server().always(path, fault);
        let error = self.instantiate().fails(3);
        for part in expected {
            assert!(error.contains(part), "{error}");
        }
        assert!(error.contains("hint: "), "{error}");
        self.packages.server().behave();
        self.instantiate().succeeds();
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let of = |path: PathBuf| match path.is_dir() && !path.is_symlink() {
        true => files(&path),
        false => vec![path],
    };
    entries(folder).into_iter().flat_map(of).collect()
}

#[test]
fn packages_are_installed_once() {
    let harbour = Harbour::example();
    harbour.instantiate().succeeds();
    assert_eq!(harbour.downloads().len(), 10, "{:?}", harbour.downloads());
    harbour.packages.server().forget();
    let again = harbour.run(&["instantiate", "--json"]).succeeds().json();
    assert_eq!(again[0]["reused"], true);
    assert!(harbour.packages.server().counts().is_empty());
}

#[test]
fn the_project_is_left_as_it_was() {
    let harbour = Harbour::needs(&["HarbourUnits"]);
    let before = files(&harbour.scratch.path(""));
    harbour.instantiate().succeeds();
    let mut after = files(&harbour.scratch.path(""));
    let build = harbour.scratch.path(".sysforge");
    after.retain(|file| !file.starts_with(&build));
    assert_eq!(before, after);
}

#[test]
fn a_package_in_the_depot_is_not_downloaded_for_another_project() {
    let harbour = Harbour::needs(&["HarbourUnits"]);
    harbour.instantiate().succeeds();
    harbour.packages.server().forget();
    std::fs::remove_dir_all(harbour.scratch.path(".sysforge")).unwrap();
    harbour.instantiate().succeeds();
    assert_eq!(harbour.downloads(), Vec::<String>::new());
}

#[test]
fn a_package_that_the_server_does_not_have() {
    let harbour = Harbour::needs(&["HarbourUnits"]).with_registry();
    let path = harbour.packages.package_path("HarbourUnits", "1.0.0");
    let missing = Fault::Status(404, Vec::new());
    harbour.recovers_from(&path, missing, &["HarbourUnits", "could not be downloaded"]);
}

#[test]
fn a_download_that_breaks_off() {
    let harbour = Harbour::needs(&["HarbourUnits"]).with_registry();
    let path = harbour.packages.package_path("HarbourUnits", "1.0.0");
    harbour.recovers_from(&path, Fault::DropAfter(100), &["HarbourUnits"]);
}

#[test]
fn a_truncated_archive() {
    let harbour = Harbour::needs(&["HarbourUnits"]).with_registry();
    let path = harbour.packages.package_path("HarbourUnits", "1.0.0");
    harbour.recovers_from(&path, Fault::Truncate(100), &["HarbourUnits"]);
}

#[test]
fn an_archive_of_another_tree() {
    let harbour = Harbour::needs(&["HarbourUnits"]).with_registry();
    let path = harbour.packages.package_path("HarbourUnits", "1.0.0");
    let other = harbour.packages.package_path("HarbourColours", "1.0.0");
    harbour.recovers_from(&path, Fault::InsteadOf(other), &["HarbourUnits"]);
}

#[test]
fn an_archive_that_fails_leaves_no_package() {
    let harbour = Harbour::needs(&["HarbourUnits"]).with_registry();
    let path = harbour.packages.package_path("HarbourUnits", "1.0.0");
    let other = harbour.packages.package_path("HarbourColours", "1.0.0");
    harbour
        .packages
        .server()
        .always(&path, Fault::InsteadOf(other));
    harbour.instantiate().fails(3);
    let left = harbour.installed("HarbourUnits");
    assert_eq!(left, Vec::<PathBuf>::new());
}

#[test]
fn a_registry_that_the_server_does_not_have() {
    let harbour = Harbour::needs(&["HarbourUnits"]);
    let path = harbour.packages.registry_path();
    harbour.recovers_from(&path, Fault::Status(404, Vec::new()), &["registry"]);
}

#[test]
fn an_artifact_that_the_server_does_not_have() {
    let harbour = Harbour::needs(&["HarbourCharts"]).with_registry();
    let path = harbour.packages.artifact_path("soundings");
    harbour.recovers_from(&path, Fault::Status(404, Vec::new()), &["soundings"]);
}

#[test]
fn an_artifact_of_another_tree() {
    let harbour = Harbour::needs(&["HarbourCharts"]).with_registry();
    let path = harbour.packages.artifact_path("soundings");
    let other = harbour.packages.artifact_path("soundings_1905");
    harbour.recovers_from(&path, Fault::InsteadOf(other), &["soundings"]);
}

#[test]
fn a_lazy_artifact_is_installed_when_all_are_wanted() {
    let harbour = Harbour::needs(&["HarbourCharts"]).with_registry();
    let lazy = harbour.packages.artifact_path("soundings_1905");
    harbour.configure("lazy-artifacts = \"none\"\n");
    harbour.instantiate().succeeds();
    assert!(!harbour.downloads().contains(&lazy));
    harbour.configure("lazy-artifacts = \"all\"\n");
    harbour.instantiate().succeeds();
    assert!(harbour.downloads().contains(&lazy));
}

#[test]
fn a_private_package_wants_its_token() {
    let harbour = Harbour::needs(&["HarbourLedger"]).with_registry();
    let error = harbour.instantiate().fails(3);
    assert!(error.contains("HarbourLedger"), "{error}");
    assert!(error.contains("auth.toml"), "{error}");
    harbour
        .packages
        .log_in(&harbour.depot(), PackageServer::token(), "");
    harbour.instantiate().succeeds();
}

#[test]
fn a_token_that_expired_is_refused() {
    let harbour = Harbour::needs(&["HarbourLedger"]).with_registry();
    harbour
        .packages
        .log_in(&harbour.depot(), "an-old-token", "expires_at = 1");
    let error = harbour.instantiate().fails(3);
    assert!(error.contains("auth.toml"), "{error}");
    assert!(!error.contains("an-old-token"), "{error}");
}

#[test]
fn a_token_reaches_no_log_and_no_record() {
    let harbour = Harbour::needs(&["HarbourLedger"]).with_registry();
    harbour
        .packages
        .log_in(&harbour.depot(), PackageServer::token(), "");
    let ran = harbour
        .run(&["--verbose", "instantiate", "--json"])
        .succeeds();
    let token = PackageServer::token();
    assert!(!ran.stdout.contains(token) && !ran.stderr.contains(token));
    for file in files(&harbour.scratch.path(".sysforge")) {
        let content = std::fs::read(&file).unwrap();
        let found = String::from_utf8_lossy(&content).contains(token);
        assert!(!found, "{}", file.display());
    }
}

#[test]
fn a_package_that_is_not_registered() {
    let harbour = Harbour::needs(&["HarbourUnits"]).with_registry();
    harbour.scratch.file(
        "Project.toml",
        "[deps]\nHarbourCranes = \"6d7f2a7e-2b8e-4b53-9d0a-2f6c1f7f9b11\"\n",
    );
    let error = harbour.instantiate().fails(2);
    assert!(error.contains("HarbourCranes"), "{error}");
    assert!(error.contains("is in no registry"), "{error}");
}

#[test]
fn bounds_that_no_version_satisfies() {
    let harbour = Harbour::needs(&["HarbourTides"]).with_registry();
    let project = std::fs::read_to_string(harbour.scratch.path("Project.toml")).unwrap();
    let bound = format!("{project}[compat]\nHarbourTides = \"2\"\n");
    harbour.scratch.file("Project.toml", &bound);
    let error = harbour.instantiate().fails(2);
    assert!(error.contains("HarbourTides"), "{error}");
    assert!(error.contains("[compat]"), "{error}");
}

#[test]
fn a_bound_chooses_the_older_version() {
    let harbour = Harbour::needs(&["HarbourTides"]).with_registry();
    let project = std::fs::read_to_string(harbour.scratch.path("Project.toml")).unwrap();
    let bound = format!("{project}[compat]\nHarbourTides = \"~1.0\"\n");
    harbour.scratch.file("Project.toml", &bound);
    harbour.instantiate().succeeds();
    let older = harbour.packages.package_path("HarbourTides", "1.0.0");
    let newer = harbour.packages.package_path("HarbourTides", "1.1.0");
    let downloads = harbour.downloads();
    assert!(downloads.contains(&older) && !downloads.contains(&newer));
}

#[test]
fn a_build_script_that_throws() {
    let harbour = Harbour::needs(&["HarbourWreck"]).with_registry();
    let error = harbour.instantiate().fails(5);
    assert!(
        error.contains("the build script of HarbourWreck failed"),
        "{error}"
    );
    assert!(error.contains("no sonar is connected"), "{error}");
    // It is no other the second time.
    let error = harbour.instantiate().fails(5);
    assert!(error.contains("no sonar is connected"), "{error}");
}

#[test]
fn a_package_that_cannot_be_precompiled() {
    let harbour = Harbour::needs(&["HarbourFog"]).with_registry();
    let error = harbour.instantiate().fails(5);
    assert!(error.contains("HarbourFog"), "{error}");
    assert!(error.contains("nothing can be seen"), "{error}");
}

#[test]
fn offline_names_what_is_missing() {
    let harbour = Harbour::example().with_registry();
    let error = harbour.run(&["--offline", "instantiate"]).fails(3);
    for package in ["HarbourTides 1.1.0", "HarbourStation 1.0.0"] {
        assert!(error.contains(package), "{error}");
    }
    assert!(error.contains("sysforge instantiate"), "{error}");
    assert_eq!(harbour.downloads(), Vec::<String>::new());
}

#[test]
fn packages_come_from_git_without_a_package_server() {
    let harbour = Harbour::needs(&["HarbourTides"]);
    let git = GitHost::new(harbour.packages.sources(), RegistryName::GENERAL);
    let sources = harbour.packages.sources();
    harbour.add_registry(&sources.registry(RegistryName::GENERAL, |name| git.url(name)));
    let mut command = harbour.command(&["instantiate"]);
    command.env("JULIA_PKG_SERVER", "");
    harbour.scratch.run(command).succeeds();
    assert_eq!(harbour.installed("HarbourTides").len(), 1);
    assert!(harbour.packages.server().counts().is_empty());
}

#[test]
fn a_registry_besides_general_is_added() {
    let harbour = Harbour::needs(&["HarbourUnits"]);
    let mut sources = Sources::read(&test_packages()).only(&["HarbourUnits"]);
    // A package that General does not have.
    for package in &mut sources.packages {
        package.name = "HarbourRopes".to_owned();
        package.uuid = "0c1b7f0e-6f25-4d7c-8b33-b5b0f7a7f1aa".to_owned();
        package.tree = Tree::default()
            .with(
                "Project.toml",
                format!(
                    "name = {:?}\nuuid = {:?}\nversion = \"1.0.0\"\n",
                    package.name, package.uuid
                ),
            )
            .with("src/HarbourRopes.jl", "module HarbourRopes\nend\n");
        *package = sysforge_testkit::packages::Package::new(package.tree.clone());
    }
    let git = GitHost::new(&sources, RegistryName::CHANDLERY);
    let project = std::fs::read_to_string(harbour.scratch.path("Project.toml")).unwrap();
    let more = format!(
        "{project}HarbourRopes = {:?}\n",
        sources.packages[0].uuid.as_str()
    );
    harbour.scratch.file("Project.toml", &more);
    harbour.configure(&format!("registries = [{:?}]\n", git.url("Chandlery")));
    harbour.instantiate().succeeds();
    assert_eq!(harbour.installed("HarbourRopes").len(), 1);
}

#[cfg(unix)]
mod interrupted {
    use std::process::Stdio;

    use sysforge_testkit::wait_for;

    use super::*;

    /// Ends `sysforge instantiate` by a signal while Pkg downloads; the same command finishes then.
    #[track_caller]
    fn while_downloading(signal: &str) {
        let harbour = Harbour::needs(&["HarbourTides"]).with_registry();
        let path = harbour.packages.package_path("HarbourTides", "1.1.0");
        let slowly = Fault::Drip(20, Duration::from_millis(200));
        harbour.packages.server().always(&path, slowly);
        let mut command = harbour.command(&["instantiate"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        wait_for("the download", || {
            !harbour.packages.server().seen(&path).is_empty()
        });
        let id = child.id().to_string();
        let sent = Command::new("kill").args(["-s", signal, &id]).status();
        assert!(sent.unwrap().success());
        let ended = child.wait().unwrap();
        assert!(!ended.success());
        harbour.packages.server().behave();
        harbour.instantiate().succeeds();
        assert_eq!(harbour.installed("HarbourTides").len(), 1);
    }

    #[test]
    fn by_ctrl_c_and_then_finished() {
        while_downloading("INT");
    }

    #[test]
    fn by_sigkill_and_then_finished() {
        while_downloading("KILL");
    }

    #[test]
    fn by_a_full_disk_and_then_finished() {
        let harbour = Harbour::needs(&["HarbourTides"]);
        let depot = harbour.scratch.path("depot");
        let small = crate::small_disk::SmallDisk::new(&depot, "100k");
        let Some(small) = small else { return };
        let args = ["instantiate", "--depot", depot.to_str().unwrap()];
        let error = harbour.run(&args).fails(8);
        assert!(error.contains("hint: "), "{error}");
        small.resize("20m");
        harbour.run(&args).succeeds();
    }
}
