//! Installing registered packages through the real binary, with the real Pkg, from a package server
//! that misbehaves on request. Each test has an empty home, so the depot is empty, too.
//!
//! `SYSFORGE_TEST_JULIA` names another Julia than 1.5; `ci/packages` sets it, and makes images.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod support;

#[cfg(unix)]
#[path = "support/small_disk.rs"]
mod small_disk;

#[cfg(unix)]
#[path = "support/ssh_server.rs"]
mod ssh_server;

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::{Ran, Scratch, root};
use sysforge_testkit::packages::{
    GitHost, GitServer, PackageServer, RegistryName, Sources, Tree, test_packages,
};
use sysforge_testkit::server::Fault;
use sysforge_testkit::tls::PrivateTls;

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
            .env("no_proxy", "127.0.0.1,localhost");
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

/// A package of its own that needs standard libraries and a package in a folder.
fn without_registered_packages() -> Harbour {
    const BOLLARD: &str = "0e0c2a52-8f0f-4a7b-9a2b-6b1f3f6f0011";
    let harbour = Harbour::in_folder(Scratch::empty());
    harbour
        .scratch
        .file(
            "Project.toml",
            &format!(
                "name = \"Pier\"\nuuid = \"0e0c2a52-8f0f-4a7b-9a2b-6b1f3f6f0010\"\nversion = \"0.1.0\"\n\
                 [deps]\nDates = \"ade2ca70-3891-5945-98fb-dc099432e06a\"\nBollard = \"{BOLLARD}\"\n\
                 [sources]\nBollard = {{ path = \"lib/Bollard\" }}\n"
            ),
        )
        .file("src/Pier.jl", "module Pier\nusing Bollard, Dates\nend\n")
        .file(
            "lib/Bollard/Project.toml",
            &format!(
                "name = \"Bollard\"\nuuid = \"{BOLLARD}\"\nversion = \"0.1.0\"\n\
                 [deps]\nPrintf = \"de0858da-6303-5e67-8744-51eddeeeb8d7\"\n"
            ),
        )
        .file("lib/Bollard/src/Bollard.jl", "module Bollard\nusing Printf\nend\n")
        .file(
            "lib/Bollard/deps/build.jl",
            "write(joinpath(@__DIR__, \"is_built\"), \"\")\n",
        )
        .file("workload.jl", "");
    harbour.configure("workload-environment = [\"Test\"]\n");
    harbour
}

#[test]
fn standard_libraries_and_packages_in_folders_need_no_registry_and_no_network() {
    let harbour = without_registered_packages();
    for options in [&["instantiate"][..], &["--offline", "instantiate"]] {
        harbour.run(options).succeeds();
        assert!(harbour.scratch.path("lib/Bollard/deps/is_built").is_file());
        assert_eq!(
            entries(&harbour.depot().join("registries")),
            Vec::<PathBuf>::new()
        );
        std::fs::remove_dir_all(harbour.scratch.path(".sysforge")).unwrap();
        std::fs::remove_file(harbour.scratch.path("lib/Bollard/deps/is_built")).unwrap();
        std::fs::remove_file(harbour.scratch.path("lib/Bollard/deps/build.log")).unwrap();
    }
    let counts = harbour.packages.server().counts();
    assert!(counts.is_empty(), "{counts:?}");
}

#[test]
fn the_doctor_does_not_miss_a_registry_that_is_not_needed() {
    let harbour = without_registered_packages();
    let said = harbour.run(&["--offline", "doctor"]).printed();
    assert!(said.contains("which needs no registry"), "{said}");
    // Bollard needs a registered package now.
    let project =
        std::fs::read_to_string(harbour.scratch.path("lib/Bollard/Project.toml")).unwrap();
    let units = harbour.uuid("HarbourUnits");
    let project = format!("{project}HarbourUnits = {units:?}\n");
    harbour.scratch.file("lib/Bollard/Project.toml", &project);
    let said = harbour.run(&["--offline", "doctor"]).printed();
    assert!(!said.contains("which needs no registry"), "{said}");
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
    // Pkg of later Julias asks git and does not name the address.
    let status = match harbour.julia.as_str() {
        "1.5" => "asked again for a registry, the server answers with status 404",
        _ => "registry",
    };
    harbour.recovers_from(&path, Fault::Status(404, Vec::new()), &["registry", status]);
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
    assert!(
        error.contains("there is no token for this server"),
        "{error}"
    );
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
    assert!(error.contains("its token expired on "), "{error}");
    assert!(!error.contains("an-old-token"), "{error}");
}

#[test]
fn a_token_file_that_cannot_be_used_is_named() {
    let harbour = Harbour::needs(&["HarbourLedger"]).with_registry();
    for (line, problem) in [
        ("expires_at = 1 2", "auth.toml is no TOML"),
        ("", "auth.toml has no `access_token`"),
    ] {
        harbour.packages.log_in(&harbour.depot(), "secret", line);
        let mut found = files(&harbour.depot().join("servers")).into_iter();
        let file = found.find(|file| file.ends_with("auth.toml")).unwrap();
        if line.is_empty() {
            std::fs::write(&file, "token = \"secret\"\n").unwrap();
        }
        let error = harbour.instantiate().fails(3);
        assert!(error.contains(problem), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
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

#[test]
fn a_server_that_stalls_is_given_up_within_the_idle_limit() {
    let harbour = Harbour::needs(&["HarbourUnits"]).with_registry();
    let path = harbour.packages.package_path("HarbourUnits", "1.0.0");
    for fault in [Fault::Silence, Fault::SilenceAfter(100)] {
        harbour.packages.server().always(&path, fault);
        let started = Instant::now();
        // The package's own git repository does not answer either.
        let error = harbour
            .run(&["instantiate", "--idle-timeout", "10"])
            .fails(3);
        assert!(
            started.elapsed() < Duration::from_secs(240),
            "it took {:?}",
            started.elapsed()
        );
        assert!(error.contains("HarbourUnits"), "{error}");
        assert!(error.contains(&harbour.packages.url()), "{error}");
    }
    harbour.packages.server().behave();
    harbour.instantiate().succeeds();
}

#[test]
fn the_status_of_a_server_that_refuses_is_told() {
    let harbour = Harbour::needs(&["HarbourUnits"]).with_registry();
    let path = harbour.packages.package_path("HarbourUnits", "1.0.0");
    for (status, title) in [
        (403, "a server refused access"),
        (407, "a proxy wants a login"),
        (500, "could not be downloaded"),
        (503, "could not be downloaded"),
    ] {
        let fault = Fault::Status(status, Vec::new());
        harbour.packages.server().always(&path, fault);
        let error = harbour.instantiate().fails(3);
        let words = format!("status {status}");
        for part in [title, &words, "HarbourUnits", &harbour.packages.url()] {
            assert!(error.contains(part), "{error}");
        }
    }
}

#[test]
fn a_registry_server_that_is_down_is_named_with_its_status() {
    let harbour = Harbour::needs(&["HarbourUnits"]);
    for path in ["/registries".to_owned(), harbour.packages.registry_path()] {
        let down = Fault::Status(503, Vec::new());
        harbour.packages.server().always(&path, down);
    }
    let error = harbour.instantiate().fails(3);
    assert!(error.contains("status 503"), "{error}");
    assert!(error.contains(&harbour.packages.url()), "{error}");
}

#[test]
fn an_expired_token_is_told_with_the_servers_status_and_not_shown() {
    let harbour = Harbour::needs(&["HarbourLedger"]).with_registry();
    let mut command = harbour.command(&["instantiate"]);
    command.env("SYSFORGE_PKG_AUTH", "access_token = \"an-old-token\"\n");
    let error = harbour.scratch.run(command).fails(3);
    assert!(error.contains("status 401"), "{error}");
    assert!(error.contains("HarbourLedger"), "{error}");
    assert!(!error.contains("an-old-token"), "{error}");
}

/// No file of the build, and no file that the login was put into, has this text.
#[track_caller]
fn nowhere(harbour: &Harbour, secret: &str) {
    let login = harbour.depot().join("servers");
    let found = [harbour.scratch.path(".sysforge"), login]
        .iter()
        .flat_map(|folder| files(folder))
        .find(|file| {
            let content = std::fs::read(file).unwrap();
            String::from_utf8_lossy(&content).contains(secret)
        });
    assert_eq!(found, None);
}

#[test]
fn a_login_in_a_variable_serves_this_step_alone() {
    let harbour = Harbour::needs(&["HarbourLedger"]).with_registry();
    harbour.scratch.file(
        "workload.jl",
        "import HarbourLedger\nfor (name, value) in ENV\n    occursin(\"harbour-master\", value) && error(name)\nend\n",
    );
    let mut command = harbour.command(&["trace"]);
    let auth = format!("access_token = {:?}\n", PackageServer::token());
    command.env("SYSFORGE_PKG_AUTH", auth);
    let ran = harbour.scratch.run(command).succeeds();
    assert!(!ran.stderr.contains(PackageServer::token()));
    nowhere(&harbour, PackageServer::token());
}

/// The `[[...]]` entry of a package in a manifest of Julia 1.5, without its dependencies.
fn manifest_entry(harbour: &Harbour, name: &str, version: &str, more: &str) -> String {
    let package = harbour.packages.package(name, version);
    format!(
        "[[{name}]]\nuuid = {:?}\nversion = {version:?}\ngit-tree-sha1 = {:?}\n{more}\n",
        package.uuid,
        package.tree.hash()
    )
}

#[test]
fn a_package_of_a_manifest_comes_from_its_git_repository() {
    let harbour = Harbour::needs(&["HarbourUnits"]).with_registry();
    let git = GitHost::new(harbour.packages.sources(), RegistryName::GENERAL);
    let repo = format!(
        "repo-rev = \"1.0.0\"\nrepo-url = {:?}\n",
        git.url("HarbourUnits")
    );
    let entry = manifest_entry(&harbour, "HarbourUnits", "1.0.0", &repo);
    harbour.scratch.file("Manifest.toml", &entry);
    let plan = harbour.run(&["plan"]).succeeds().stdout;
    assert!(plan.contains(&git.url("HarbourUnits")), "{plan}");
    harbour.instantiate().succeeds();
    assert_eq!(harbour.installed("HarbourUnits").len(), 1);
    assert_eq!(harbour.downloads(), Vec::<String>::new());
}

#[test]
#[cfg(unix)]
fn git_asks_the_credential_helper_for_a_login() {
    use std::os::unix::fs::PermissionsExt;

    let harbour = Harbour::needs(&["HarbourUnits"]).with_registry();
    let host = GitHost::new(harbour.packages.sources(), RegistryName::GENERAL);
    let git = GitServer::start(&host, "pilot", "s3cret-password");
    let repo = format!(
        "repo-rev = \"1.0.0\"\nrepo-url = {:?}\n",
        git.url("HarbourUnits")
    );
    let entry = manifest_entry(&harbour, "HarbourUnits", "1.0.0", &repo);
    harbour.scratch.file("Manifest.toml", &entry);
    harbour.scratch.file("workload.jl", "import HarbourUnits\n");

    let error = harbour.instantiate().fails(3);
    assert!(error.contains("HarbourUnits"), "{error}");

    let home = harbour.scratch.path("").with_file_name("home");
    let helper = home.join("helper");
    std::fs::write(
        &helper,
        "#!/bin/sh\ncat >/dev/null\n[ \"$1\" = get ] && printf 'username=pilot\\npassword=s3cret-password\\n'\nexit 0\n",
    )
    .unwrap();
    std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).unwrap();
    let config = format!("[credential]\n\thelper = {}\n", helper.display());
    std::fs::write(home.join(".gitconfig"), config).unwrap();
    let ran = harbour.run(&["--verbose", "trace"]).succeeds();
    assert!(!ran.stderr.contains("s3cret-password"), "{}", ran.stderr);
    assert!(!git.logins().is_empty());
    assert_eq!(harbour.installed("HarbourUnits").len(), 1);
    nowhere(&harbour, "s3cret-password");
}

#[test]
#[cfg(unix)]
fn a_package_comes_over_ssh_with_the_key_of_the_agent() {
    let Some(server) = ssh_server::SshServer::start() else {
        return;
    };
    let harbour = Harbour::needs(&["HarbourUnits"]).with_registry();
    let host = GitHost::new(harbour.packages.sources(), RegistryName::GENERAL);
    let repository = host.url("HarbourUnits");
    let repository = Path::new(repository.strip_prefix("file://").unwrap());
    let repo = format!(
        "repo-rev = \"1.0.0\"\nrepo-url = {:?}\n",
        server.url(repository)
    );
    let entry = manifest_entry(&harbour, "HarbourUnits", "1.0.0", &repo);
    harbour.scratch.file("Manifest.toml", &entry);
    harbour.scratch.file(
        "workload.jl",
        "import HarbourUnits\nhaskey(ENV, \"SSH_AUTH_SOCK\") && error(\"the agent is here\")\n",
    );
    // A server with a key that nobody vouches for is refused, in Pkg's words.
    let with_agent = |args: &[&str]| {
        let mut command = harbour.command(args);
        command.env("SSH_AUTH_SOCK", server.socket());
        harbour.scratch.run(command)
    };
    let error = with_agent(&["instantiate"]).fails(3);
    assert!(error.contains("HarbourUnits"), "{error}");
    assert!(error.contains("hostkey"), "{error}");
    assert!(!server.log().contains("Accepted publickey"));
    server.make_known(&harbour.scratch.path("").with_file_name("home"));
    // Nobody is asked for a key where there is no agent.
    let mut command = harbour.command(&["instantiate"]);
    command.env_remove("SSH_AUTH_SOCK");
    let error = harbour.scratch.run(command).fails(3);
    assert!(error.contains("HarbourUnits"), "{error}");
    assert!(!server.log().contains("Accepted publickey"));
    with_agent(&["trace"]).succeeds();
    assert!(server.log().contains("Accepted publickey"));
    assert_eq!(harbour.installed("HarbourUnits").len(), 1);
}

#[test]
fn the_ssh_agent_is_there_for_build_scripts_and_for_no_later_child() {
    let harbour = Harbour::needs(&["HarbourUnits"]).with_registry();
    harbour
        .scratch
        .file(
            "lib/Local/Project.toml",
            "name = \"Local\"\nuuid = \"0e0c2a52-8f0f-4a7b-9a2b-6b1f3f6f0001\"\nversion = \"0.1.0\"\n",
        )
        .file("lib/Local/src/Local.jl", "module Local\nend\n")
        .file(
            "lib/Local/deps/build.jl",
            "write(joinpath(@__DIR__, \"socket\"), get(ENV, \"SSH_AUTH_SOCK\", \"none\"))\n",
        )
        .file(
            "Project.toml",
            "[deps]\nLocal = \"0e0c2a52-8f0f-4a7b-9a2b-6b1f3f6f0001\"\n",
        )
        .file(
            "Manifest.toml",
            "[[Local]]\npath = \"lib/Local\"\nuuid = \"0e0c2a52-8f0f-4a7b-9a2b-6b1f3f6f0001\"\nversion = \"0.1.0\"\n",
        )
        .file(
            "workload.jl",
            "using Local\nhaskey(ENV, \"SSH_AUTH_SOCK\") && error(\"the agent is here\")\n",
        );
    let mut command = harbour.command(&["trace"]);
    command.env("SSH_AUTH_SOCK", "/run/agent-of-the-test");
    harbour.scratch.run(command).succeeds();
    let socket = std::fs::read_to_string(harbour.scratch.path("lib/Local/deps/socket"));
    assert_eq!(socket.unwrap(), "/run/agent-of-the-test");
}

#[test]
fn a_build_script_of_a_package_in_the_project_runs_again_when_it_changes() {
    let harbour = Harbour::needs(&["HarbourUnits"]).with_registry();
    let script = |word: &str| {
        let text = format!("write(joinpath(@__DIR__, \"word\"), {word:?})\n");
        harbour.scratch.file("lib/Local/deps/build.jl", &text);
    };
    harbour
        .scratch
        .file(
            "lib/Local/Project.toml",
            "name = \"Local\"\nuuid = \"0e0c2a52-8f0f-4a7b-9a2b-6b1f3f6f0001\"\nversion = \"0.1.0\"\n",
        )
        .file("lib/Local/src/Local.jl", "module Local\nend\n")
        .file(
            "Project.toml",
            "[deps]\nLocal = \"0e0c2a52-8f0f-4a7b-9a2b-6b1f3f6f0001\"\n",
        )
        .file(
            "Manifest.toml",
            "[[Local]]\npath = \"lib/Local\"\nuuid = \"0e0c2a52-8f0f-4a7b-9a2b-6b1f3f6f0001\"\nversion = \"0.1.0\"\n",
        );
    let word = || std::fs::read_to_string(harbour.scratch.path("lib/Local/deps/word")).unwrap();
    script("first");
    harbour.instantiate().succeeds();
    assert_eq!(word(), "first");
    // The times of files may be as coarse as a second.
    std::thread::sleep(Duration::from_millis(1100));
    script("second");
    harbour.instantiate().succeeds();
    assert_eq!(word(), "second");
}

#[test]
fn preferences_reach_a_resolved_environment_and_count_when_they_change() {
    let harbour = Harbour::needs(&["HarbourUnits"]).with_registry();
    harbour.scratch.file(
        "workload.jl",
        "import HarbourUnits\nfile = joinpath(dirname(Base.active_project()), \"LocalPreferences.toml\")\n\
         println(\"preference \", read(file, String))\n",
    );
    let preferences = |unit: &str| {
        let text = format!("[HarbourUnits]\nunit = {unit:?}\n");
        harbour.scratch.file("LocalPreferences.toml", &text);
    };
    preferences("fathom");
    let said = harbour.run(&["--verbose", "trace"]).succeeds().stderr;
    assert!(said.contains("unit = \"fathom\""), "{said}");
    preferences("metre");
    let done = harbour.run(&["instantiate", "--json"]).succeeds().json();
    assert_eq!(done[0]["reused"], false);
    let said = harbour.run(&["--verbose", "trace"]).succeeds().stderr;
    assert!(said.contains("unit = \"metre\""), "{said}");
}

#[test]
fn a_lazy_artifact_that_a_workload_uses_is_fetched_while_it_is_traced() {
    let harbour = Harbour::needs(&["HarbourCharts"]).with_registry();
    let lazy = harbour.packages.artifact_path("soundings_1905");
    harbour.instantiate().succeeds();
    assert!(!harbour.downloads().contains(&lazy));
    harbour.scratch.file(
        "workload.jl",
        "using HarbourCharts\nisempty(history()) && error(\"no soundings\")\n",
    );
    harbour.run(&["trace"]).succeeds();
    assert!(harbour.downloads().contains(&lazy));
}

#[test]
fn a_package_server_with_the_certificate_of_a_company() {
    let tls = PrivateTls::new();
    let mut harbour = Harbour::needs(&["HarbourUnits"]);
    harbour.packages = PackageServer::start_tls(&tls);
    let authority = harbour.scratch.path("").with_file_name("authority.pem");
    std::fs::write(&authority, &tls.authority_pem).unwrap();
    // The TLS library of Julia 1.6 compares no IP addresses.
    let server = harbour.packages.url().replace("127.0.0.1", "localhost");
    let instantiate = |more: &[(&str, &Path)]| {
        let mut command = harbour.command(&["instantiate", "--force"]);
        command
            .env("JULIA_PKG_SERVER", &server)
            .envs(more.iter().copied());
        harbour.scratch.run(command)
    };
    let error = instantiate(&[]).fails(3);
    let expected = "the certificate of a server is not trusted";
    assert!(error.contains(expected), "{error}");
    // Pkg of Julia 1.5 downloads with the program curl, later ones with libcurl.
    for name in ["SSL_CERT_FILE", "JULIA_SSL_CA_ROOTS_PATH"] {
        if name.starts_with("JULIA") && harbour.julia == "1.5" {
            continue;
        }
        std::fs::remove_dir_all(harbour.depot()).unwrap_or_default();
        instantiate(&[(name, &authority)]).succeeds();
        assert_eq!(harbour.installed("HarbourUnits").len(), 1, "{name}");
    }
}

#[test]
fn a_proxy_with_a_login_is_used_and_its_password_is_not_shown() {
    let harbour = Harbour::needs(&["HarbourUnits"]);
    let proxy = Proxy::start(harbour.packages.server().address());
    let through = |login: &str| {
        let mut command = harbour.command(&["--verbose", "instantiate"]);
        command
            .env("JULIA_PKG_SERVER", "http://packages.invalid")
            .env("http_proxy", format!("http://{login}{}", proxy.address))
            .env_remove("https_proxy")
            .env_remove("no_proxy");
        harbour.scratch.run(command)
    };
    let error = through("").fails(3);
    assert!(error.contains("a proxy wants a login"), "{error}");
    assert!(error.contains("status 407"), "{error}");
    let ran = through("pilot:s3cret-password@").succeeds();
    assert!(!ran.stderr.contains("s3cret-password"), "{}", ran.stderr);
    nowhere(&harbour, "s3cret-password");
    assert_eq!(harbour.installed("HarbourUnits").len(), 1);
}

/// A proxy that wants a login, and asks one server for whatever it is asked for.
struct Proxy {
    address: SocketAddr,
}

impl Proxy {
    fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || Self::pass(stream, to));
            }
        });
        Self { address }
    }

    /// Passes one request on.
    fn pass(mut client: TcpStream, to: SocketAddr) -> std::io::Result<u64> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            client.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        // `pilot:s3cret-password`.
        let login = "proxy-authorization: basic cglsb3q6cznjcmv0lxbhc3n3b3jk";
        if !head.to_lowercase().contains(login) {
            let refusal = "HTTP/1.1 407 Proxy Authentication Required\r\n\
                           Proxy-Authenticate: Basic realm=\"proxy\"\r\n\
                           Content-Length: 0\r\nConnection: close\r\n\r\n";
            client.write_all(refusal.as_bytes())?;
            return Ok(0);
        }
        let head = head.replacen("http://packages.invalid", "", 1);
        let lines = head
            .lines()
            .filter(|line| !line.to_lowercase().starts_with("proxy-"));
        let lines: Vec<_> = lines.filter(|line| !line.is_empty()).collect();
        let mut server = TcpStream::connect(to)?;
        let request = format!("{}\r\nConnection: close\r\n\r\n", lines.join("\r\n"));
        server.write_all(request.as_bytes())?;
        std::io::copy(&mut server, &mut client)
    }
}

#[test]
fn two_builds_at_once_share_a_depot() {
    let first = Harbour::needs(&["HarbourTraffic"]).with_registry();
    let second = Harbour::needs(&["HarbourTraffic", "HarbourColours"]);
    // The empty entry stands for Julia's own depots.
    let depot = format!("{}:", first.depot().display());
    let children: Vec<_> = [&first, &second]
        .into_iter()
        .map(|harbour| {
            let mut command = harbour.command(&["instantiate"]);
            command
                .env("JULIA_PKG_SERVER", first.packages.url())
                .env("JULIA_DEPOT_PATH", &depot)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            command.spawn().unwrap()
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
    }
    let counts = first.packages.server().counts();
    let path = first.packages.package_path("HarbourTraffic", "1.0.0");
    assert_eq!(counts.get(&path), Some(&1), "{counts:?}");
    assert_eq!(first.installed("HarbourColours").len(), 1);
}

#[test]
fn the_doctor_says_where_missing_packages_come_from_and_whether_they_can() {
    let harbour = Harbour::example();
    let doctor = |harbour: &Harbour, args: &[&str]| harbour.run(args).printed();
    let said = doctor(&harbour, &["doctor"]);
    let server = harbour.packages.url();
    assert!(said.contains("HarbourTides 1.1.0"), "{said}");
    assert!(said.contains(&format!("from {server}")), "{said}");
    let line = |said: &str| {
        let mut lines = said.lines().filter(|line| line.contains(" packages "));
        lines.next().unwrap_or_default().to_owned()
    };
    assert!(line(&said).starts_with("ok"), "{said}");
    let down = Fault::Status(503, Vec::new());
    harbour.packages.server().always("/registries", down);
    let said = doctor(&harbour, &["doctor"]);
    assert!(line(&said).starts_with("MISSING"), "{said}");
    assert!(said.contains("status 503"), "{said}");
    assert!(said.contains("a build cannot start"), "{said}");
    harbour.packages.server().behave();
    let said = doctor(&harbour, &["--offline", "doctor"]);
    assert!(line(&said).starts_with("MISSING"), "{said}");
    let plan = harbour.run(&["plan"]).succeeds().stdout;
    assert!(plan.contains(&format!("from {server}: ")), "{plan}");
}

#[cfg(unix)]
mod interrupted {
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
        // The download of the registry does not fit, then not its copy in the depot of Julia 1.5, which
        // unpacks it elsewhere first.
        let sizes: &[_] = match harbour.julia == "1.5" {
            true => &["100k", "300k"],
            false => &["100k"],
        };
        for size in sizes {
            small.resize(size);
            let error = harbour.run(&args).fails(8);
            assert!(error.contains("the disk is full"), "{error}");
            assert_eq!(files(&depot.join("registries")), Vec::<PathBuf>::new());
        }
        small.resize("20m");
        harbour.run(&args).succeeds();
    }
}
