//! Installs packages with the real Pkg from a package server on loopback: the steps on a machine
//! with an empty depot before the first trace, and the message of each failure.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]
#![cfg(unix)]

mod support;

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;
use support::{Ran, Scratch};
use sysforge_testkit::packages::PackageServer;
use sysforge_testkit::server::Fault;

const TIDES: &str = "HarbourTides";
const TRAFFIC: &str = "HarbourTraffic";

/// A project with registered dependencies, an empty home and a package server.
struct Project {
    scratch: Scratch,
    server: PackageServer,
}

impl Project {
    /// A project that depends on these packages and has no manifest.
    fn on(packages: &[&str]) -> Self {
        let server = PackageServer::start();
        let scratch = Scratch::empty();
        let mut project = String::from("[deps]\n");
        for name in packages {
            project.push_str(&format!("{name} = \"{}\"\n", uuid(&server, name)));
        }
        let load: String = packages.iter().map(|p| format!("import {p}\n")).collect();
        scratch
            .file("Project.toml", &project)
            .file("workload.jl", &load)
            .config("name = \"x\"\njulia = \"1.5\"\nworkloads = [\"workload.jl\"]\n");
        Self { scratch, server }
    }

    fn depot(&self) -> PathBuf {
        self.scratch.path("depot")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.scratch.command(args);
        command
            .env("JULIA_PKG_SERVER", self.server.url())
            .env("JULIA_DEPOT_PATH", self.depot());
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        self.scratch.run(self.command(args))
    }

    /// The result of `instantiate` for the only build.
    fn instantiate(&self) -> Value {
        let ran = self.run(&["instantiate", "--json"]).succeeds();
        let mut all: Vec<Value> = serde_json::from_str(&ran.stdout).unwrap();
        all.remove(0)
    }

    fn manifest(&self, done: &Value) -> String {
        std::fs::read_to_string(done["manifest"].as_str().unwrap()).unwrap()
    }
}

fn uuid(server: &PackageServer, name: &str) -> String {
    let registry = server.paths();
    let title = registry
        .keys()
        .find(|title| title.starts_with(&format!("{name} ")));
    let version = title.unwrap().split_once(' ').unwrap().1.to_owned();
    server.package(name, &version).uuid.clone()
}

#[test]
fn without_a_manifest_versions_are_resolved_once_in_the_build_folder() {
    let project = Project::on(&[TRAFFIC]);
    let done = project.instantiate();
    assert_eq!(
        (&done["resolved"], &done["reused"]),
        (&true.into(), &false.into())
    );
    assert!(project.manifest(&done).contains("[[HarbourUnits]]"));
    assert!(!project.scratch.path("Manifest.toml").exists());
    // Nothing is fetched again, and no Julia is started.
    project.server.server().forget();
    let ran = project.run(&["instantiate", "--json"]).succeeds();
    assert!(ran.stdout.contains("\"reused\": true"), "{}", ran.stdout);
    assert!(project.server.server().counts().is_empty());
    // A package that was deleted from the depot is installed again in the same version.
    std::fs::remove_dir_all(project.depot().join("packages/HarbourUnits")).unwrap();
    let again = project.instantiate();
    assert_eq!(project.manifest(&again), project.manifest(&done));
    assert!(project.depot().join("packages/HarbourUnits").is_dir());
}

#[test]
fn versions_in_a_manifest_of_another_julia_are_kept() {
    let project = Project::on(&[TIDES]);
    let old = project.server.paths();
    let mut versions: Vec<_> = old
        .keys()
        .filter_map(|t| t.strip_prefix("HarbourTides "))
        .collect();
    versions.sort();
    let oldest = project.server.package(TIDES, versions[0]);
    project.scratch.file(
        "Manifest.toml",
        &format!(
            "julia_version = \"1.10.4\"\nmanifest_format = \"2.0\"\n[[deps.{TIDES}]]\n\
             uuid = \"{}\"\nversion = \"{}\"\ngit-tree-sha1 = \"{}\"\n",
            oldest.uuid,
            oldest.version,
            oldest.tree.hash()
        ),
    );
    let before = std::fs::read(project.scratch.path("Manifest.toml")).unwrap();
    let done = project.instantiate();
    let manifest = project.manifest(&done);
    assert!(manifest.contains(&oldest.tree.hash()), "{manifest}");
    let after = std::fs::read(project.scratch.path("Manifest.toml")).unwrap();
    assert_eq!(before, after, "the project's own manifest is left alone");
}

#[test]
fn a_cold_and_a_warm_cache_record_the_same_statements() {
    let project = Project::on(&[TRAFFIC]);
    project.instantiate();
    std::fs::remove_dir_all(project.depot().join("compiled")).unwrap();
    let cold = project.run(&["trace"]).succeeds().stdout;
    let warm = project.run(&["trace"]).succeeds().stdout;
    assert_eq!(cold, warm);
}

#[test]
fn offline_names_every_missing_package() {
    let project = Project::on(&[TRAFFIC]);
    let done = project.instantiate();
    project
        .scratch
        .file("Manifest.toml", &project.manifest(&done));
    std::fs::remove_dir_all(project.depot().join("packages")).unwrap();
    project.server.server().forget();
    let said = project.run(&["instantiate", "--offline"]).fails(3);
    for name in [
        "HarbourTraffic 1",
        "HarbourUnits 1",
        "`sysforge instantiate`",
    ] {
        assert!(said.contains(name), "{said}");
    }
    assert!(project.server.server().counts().is_empty());
    project.run(&["instantiate"]).succeeds();
}

#[test]
fn the_error_for_a_failing_build_script_has_its_last_lines() {
    let said = Project::on(&["HarbourWreck"])
        .run(&["instantiate"])
        .fails(5);
    assert!(
        said.contains("the build script of HarbourWreck failed"),
        "{said}"
    );
    assert!(said.contains("ERROR: LoadError"), "{said}");
}

#[test]
fn the_error_names_a_package_that_cannot_be_precompiled() {
    let said = Project::on(&["HarbourFog"]).run(&["instantiate"]).fails(5);
    assert!(
        said.contains("HarbourFog could not be precompiled"),
        "{said}"
    );
}

#[test]
fn a_package_in_no_registry_is_a_usage_error() {
    let project = Project::on(&[]);
    let text = "[deps]\nNowhere = \"7876af07-990d-54b4-ab0e-23690620f79a\"\n";
    project.scratch.file("Project.toml", text);
    let said = project.run(&["instantiate"]).fails(2);
    assert!(
        said.contains("the package Nowhere is in no registry"),
        "{said}"
    );
}

#[test]
fn unsatisfiable_bounds_are_a_usage_error() {
    let project = Project::on(&[TIDES]);
    let text = std::fs::read_to_string(project.scratch.path("Project.toml")).unwrap();
    let text = format!("{text}[compat]\n{TIDES} = \"99\"\n");
    project.scratch.file("Project.toml", &text);
    let said = project.run(&["instantiate"]).fails(2);
    assert!(said.contains("`[compat]`"), "{said}");
    assert!(said.contains(TIDES), "{said}");
}

#[test]
fn the_error_names_a_server_that_is_down_and_a_retry_succeeds() {
    let project = Project::on(&[TIDES]);
    project
        .server
        .server()
        .always("registries", Fault::Status(503, Vec::new()));
    let registry = project.server.registry_path();
    project
        .server
        .server()
        .always(&registry, Fault::Status(503, Vec::new()));
    project.run(&["instantiate"]).fails(3);
    project.server.server().behave();
    project.run(&["instantiate"]).succeeds();
}

#[test]
fn a_killed_installation_is_completed_by_the_same_command() {
    let project = Project::on(&[TRAFFIC]);
    let units = project.server.paths();
    let units = units
        .iter()
        .find(|(title, _)| title.starts_with("HarbourUnits "));
    let path = units.unwrap().1.clone();
    project.server.server().always(&path, Fault::Silence);
    let mut command = project.command(&["instantiate"]);
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut looks = 0;
    while project.server.server().seen(&path).is_empty() {
        assert!(looks < 2400, "it was never asked for");
        looks += 1;
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    project.server.server().behave();
    // What a Pkg leaves that is killed while it unpacks an artifact.
    let unpacking = project.depot().join("artifacts/jl_A1b2C3");
    std::fs::create_dir_all(&unpacking).unwrap();
    std::fs::write(unpacking.join("half"), "").unwrap();
    project.run(&["instantiate"]).succeeds();
    project.run(&["trace"]).succeeds();
    assert!(!project.depot().join("sysforge-tmp").exists());
    assert!(!unpacking.exists());
}

#[test]
fn credentials_do_not_reach_later_children_or_logs() {
    let project = Project::on(&[TIDES]);
    project.scratch.file(
        "workload.jl",
        "import HarbourTides\nfor (name, value) in ENV\n    occursin(\"s3cret\", value) && error(name)\nend\n",
    );
    let mut command = project.command(&["trace"]);
    command
        .env("JULIA_PKG_TOKEN", "s3cret-token")
        .env("MY_PASSWORD", "s3cret-word")
        .env("https_proxy", "http://me:s3cret-proxy@127.0.0.1:9");
    project.scratch.run(command).succeeds();
    let mut folders = vec![project.scratch.path(".sysforge")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
            assert!(!text.contains("s3cret"), "{}", path.display());
        }
    }
}

#[test]
fn missing_packages_of_a_read_only_depot_are_installed_in_the_store() {
    let project = Project::on(&[TIDES]);
    let store = project.scratch.path("store");
    let mut command = project.command(&["trace"]);
    command
        .env("JULIA_DEPOT_PATH", "/proc/no-depot")
        .env("SYSFORGE_STORE", &store);
    let ran = project.scratch.run(command).succeeds();
    assert!(
        ran.stderr.contains("cannot be written to"),
        "{}",
        ran.stderr
    );
    assert!(store.join("depot/packages").join(TIDES).is_dir());

    // The store knows it.
    let cache = |args: &[&str]| {
        let mut command = project.command(args);
        command.env("SYSFORGE_STORE", &store);
        project.scratch.run(command).succeeds()
    };
    let listed = cache(&["cache", "list", "--json"]).json();
    let mut rows = listed.as_array().unwrap().iter();
    let row = rows.find(|row| row["entry"] == "depot").unwrap();
    assert!(row["bytes"].as_u64().unwrap() > 1000, "{row}");
    assert!(row["unused_s"].as_u64().unwrap() < 600, "{row}");
    assert!(cache(&["cache", "list"]).stdout.contains("depot "));
    let recent = cache(&["cache", "prune", "--json"]).json();
    assert_eq!(recent["removed"].as_array().unwrap().len(), 0);
    let all = cache(&["cache", "prune", "--all", "--json"]).json();
    let removed = all["removed"].as_array().unwrap();
    assert!(removed.iter().any(|name| name == "depot"), "{removed:?}");
    assert!(!store.join("depot").exists());
}

#[test]
fn a_workload_may_need_packages_that_the_project_does_not_have() {
    let project = Project::on(&[TIDES]);
    project
        .scratch
        .file("workload.jl", "using HarbourTides, HarbourColours, Test\n")
        .config(
            "name = \"x\"\njulia = \"1.5\"\nworkloads = [\"workload.jl\"]\n\
         workload-environment = [\"HarbourColours\", \"Test\"]\n",
        );
    let done = project.instantiate();
    assert!(!project.manifest(&done).contains("HarbourColours"));
    project.run(&["trace"]).succeeds();
}

#[test]
fn the_test_dependencies_serve_workloads() {
    let project = Project::on(&[TIDES]);
    let text = std::fs::read_to_string(project.scratch.path("Project.toml")).unwrap();
    let colours = uuid(&project.server, "HarbourColours");
    let more = format!(
        "{text}[extras]\nHarbourColours = \"{colours}\"\nTest = \"8dfed614-e22c-5e08-85e1-65c5234f0b40\"\n\
         [targets]\ntest = [\"HarbourColours\", \"Test\"]\n"
    );
    project
        .scratch
        .file("Project.toml", &more)
        .file("workload.jl", "using HarbourTides, HarbourColours, Test\n")
        .config(
            "name = \"x\"\njulia = \"1.5\"\nworkloads = [\"workload.jl\"]\n\
             workload-environment = \"test\"\n",
        );
    let done = project.instantiate();
    assert!(!project.manifest(&done).contains("HarbourColours"));
    project.run(&["trace"]).succeeds();
}

#[test]
fn a_folder_with_a_project_file_serves_workloads() {
    let project = Project::on(&[TIDES]);
    let colours = uuid(&project.server, "HarbourColours");
    let dependencies = format!("[deps]\nHarbourColours = \"{colours}\"\n");
    project
        .scratch
        .file("bench/JuliaProject.toml", &dependencies)
        .file("workload.jl", "using HarbourTides, HarbourColours\n")
        .config(
            "name = \"x\"\njulia = \"1.5\"\nworkloads = [\"workload.jl\"]\n\
             workload-environment = \"bench\"\n",
        );
    let done = project.instantiate();
    assert!(!project.manifest(&done).contains("HarbourColours"));
    project.run(&["trace"]).succeeds();
    assert!(!project.scratch.path("bench/Manifest.toml").exists());
    assert_eq!(project.instantiate()["reused"], true);
    let changed = format!("{dependencies}# changed\n");
    project.scratch.file("bench/JuliaProject.toml", &changed);
    assert_eq!(project.instantiate()["reused"], false);
}

#[test]
fn a_package_is_resolved_with_itself_in_the_environment() {
    let project = Project::on(&[TIDES]);
    let text = std::fs::read_to_string(project.scratch.path("Project.toml")).unwrap();
    let own =
        "name = \"Own\"\nuuid = \"8dfed614-0000-4000-8000-85e1c5234f0b\"\nversion = \"0.1.0\"\n";
    project
        .scratch
        .file("Project.toml", &format!("{own}{text}"))
        .file("src/Own.jl", "module Own\nusing HarbourTides\nend\n")
        .file("workload.jl", "using Own, HarbourTides\n");
    let done = project.instantiate();
    assert!(project.manifest(&done).contains("[[Own]]"));
    project.run(&["trace"]).succeeds();
}
