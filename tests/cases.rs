//! Inputs of real projects that once failed, each in its folder `cases/NN-name`, through the real
//! binary. The mirrors are folders with a catalogue and no archives: nothing is installed. Cases that take a
//! Julia or an installer are in `tests/statements.rs` (08, 09), `tests/installer.rs` (16) and
//! `tests/outputs.rs` (24).

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// A copy of a case in a temporary folder.
struct Case {
    root: tempfile::TempDir,
    mirror: &'static str,
    home: PathBuf,
}

/// The result of running the binary.
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases")
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &target),
            false => std::fs::copy(entry.path(), &target).map(drop).unwrap(),
        }
    }
}

impl Case {
    fn of(name: &str) -> Self {
        let case = Self::empty();
        copy(&cases().join(name), &case.folder());
        case
    }

    fn empty() -> Self {
        let root = tempfile::tempdir().unwrap();
        let home = root.path().join("home");
        std::fs::create_dir_all(root.path().join("project")).unwrap();
        std::fs::create_dir_all(&home).unwrap();
        Self {
            root,
            mirror: "mirror",
            home,
        }
    }

    fn folder(&self) -> PathBuf {
        self.root.path().join("project")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> &Self {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
        self
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sysforge"));
        command
            .args(args)
            .current_dir(self.folder())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.home)
            .env("SYSFORGE_STORE", self.root.path().join("store"))
            .env("SYSFORGE_MIRROR", cases().join(self.mirror));
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        let output = self.command(args).output().unwrap();
        Ran {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The plan as JSON, and standard error.
    #[track_caller]
    fn plan(&self, args: &[&str]) -> (Value, String) {
        let ran = self.run(&[&["plan", "--json"], args].concat());
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        (serde_json::from_str(&ran.stdout).unwrap(), ran.stderr)
    }

    /// The Julia versions in the plan.
    #[track_caller]
    fn julias(&self, args: &[&str]) -> Vec<String> {
        let (plan, _) = self.plan(args);
        let builds = plan["builds"].as_array().unwrap().iter();
        let version = |build: &Value| build["julia"]["version"].as_str().unwrap().to_owned();
        builds.map(version).collect()
    }

    /// The message of a usage error.
    #[track_caller]
    fn refuses(&self, args: &[&str]) -> String {
        let ran = self.run(args);
        assert_eq!(ran.code, Some(2), "{}{}", ran.stdout, ran.stderr);
        assert_eq!(ran.stdout, "", "a failed command prints no data");
        assert!(ran.stderr.contains("hint:"), "{}", ran.stderr);
        ran.stderr
    }
}

fn packages(plan: &Value) -> Vec<&str> {
    let packages = plan["packages"].as_array().unwrap().iter();
    packages.map(|p| p["name"].as_str().unwrap()).collect()
}

const DATES: &str = "ade2ca70-3891-5945-98fb-dc099432e06a";

/// A manifest of format 2 that lists only Dates.
fn manifest(julia: &str) -> String {
    format!(
        "julia_version = \"{julia}\"\nmanifest_format = \"2.0\"\n[[deps.Dates]]\n\
         uuid = \"{DATES}\"\nversion = \"1.11.0\"\n"
    )
}

fn needs_dates() -> String {
    format!("[deps]\nDates = \"{DATES}\"\n")
}

#[test]
fn case_01_a_dependency_that_is_also_weak_is_not_in_the_image() {
    let (plan, _) = Case::of("01-weakdep-also-in-deps").plan(&[]);
    assert_eq!(packages(&plan), ["Host", "Dates"]);
    assert_eq!(plan["builds"][0]["julia"]["version"], "1.12.7");
}

#[test]
fn case_03_the_key_manifest_names_the_manifest() {
    let case = Case::of("03-manifest-key");
    let (plan, _) = case.plan(&["--project", "env"]);
    assert_eq!(packages(&plan), ["Dates"]);
    assert_eq!(plan["builds"][0]["julia"]["version"], "1.12.7");
}

#[test]
fn a_named_manifest_has_priority_over_the_one_beside_the_project() {
    let case = Case::of("03-manifest-key");
    case.file("env/Manifest.toml", manifest("1.11.9"));
    assert_eq!(case.julias(&["--project", "env"]), ["1.12.7"]);
    // A key that names a missing file is ignored.
    std::fs::remove_file(case.path("Manifest.toml")).unwrap();
    assert_eq!(case.julias(&["--project", "env"]), ["1.11.9"]);
}

#[test]
fn a_member_of_a_workspace_has_the_manifest_of_its_root() {
    let case = Case::empty();
    case.file("Project.toml", "[workspace]\nprojects = [\"sub\"]\n")
        .file("Manifest.toml", manifest("1.12.7"))
        .file("sub/Project.toml", needs_dates());
    let (plan, _) = case.plan(&["--project", "sub"]);
    assert_eq!(packages(&plan), ["Dates"]);
    assert_eq!(plan["builds"][0]["julia"]["version"], "1.12.7");
    // A folder that the workspace does not list does not use its manifest.
    case.file("other/Project.toml", needs_dates());
    assert!(
        case.refuses(&["plan", "--locked", "--project", "other"])
            .contains("the project has no manifest")
    );
}

#[test]
fn workspaces_may_be_nested_and_list_deeper_folders() {
    let case = Case::empty();
    case.file("Project.toml", "[workspace]\nprojects = [\"a/b\"]\n")
        .file("Manifest-v1.12.toml", manifest("1.12.7"))
        .file(
            "a/b/Project.toml",
            format!("{}[workspace]\nprojects = [\"c\"]\n", needs_dates()),
        )
        .file("a/b/c/Project.toml", needs_dates());
    assert_eq!(case.julias(&["--project", "a/b"]), ["1.12.7"]);
    assert_eq!(case.julias(&["--project", "a/b/c"]), ["1.12.7"]);
}

#[test]
fn workspaces_are_ignored_before_julia_1_12() {
    let case = Case::empty();
    case.file("Project.toml", "[workspace]\nprojects = [\"sub\"]\n")
        .file("Manifest.toml", manifest("1.12.7"))
        .file("sub/Project.toml", needs_dates())
        .file("sub/Manifest.toml", manifest("1.11.9"));
    assert_eq!(
        case.julias(&["--project", "sub", "--julia", "1.11"]),
        ["1.11.9"]
    );
}

#[test]
fn case_05_the_error_for_a_development_version_names_its_nightly_channel() {
    let case = Case::of("05-manifest-of-a-dev-julia");
    let error = case.refuses(&["plan", "--locked"]);
    assert!(error.contains("`--julia 1.13-nightly`"), "{error}");
    assert!(error.contains("development version"), "{error}");
    let manifest = std::fs::read_to_string(case.path("Manifest.toml")).unwrap();
    // A branch without published builds means Julia's main branch.
    case.file(
        "Manifest.toml",
        manifest.replace("1.13.0-DEV", "1.15.0-DEV.123"),
    );
    let error = case.refuses(&["plan", "--locked"]);
    assert!(error.contains("`--julia nightly`"), "{error}");
}

#[test]
fn case_07_equals_means_exactly_that_version() {
    let mut case = Case::of("07-equals-a-partial-version");
    case.mirror = "mirror-of-1.10";
    assert_eq!(case.julias(&["--julia", "=1.10"]), ["1.10.0"]);
    assert_eq!(case.julias(&["--julia", "=1.10.x"]), ["1.10.12"]);
    assert_eq!(case.julias(&["--julia", "1.10"]), ["1.10.12"]);
}

#[test]
fn min_is_the_newest_patch_of_the_oldest_minor_version() {
    let mut case = Case::of("07-equals-a-partial-version");
    case.mirror = "mirror-of-1.10";
    let project = std::fs::read_to_string(case.path("Project.toml")).unwrap();
    case.file(
        "Project.toml",
        format!("{project}\n[compat]\njulia = \"1.9\"\n"),
    );
    assert_eq!(case.julias(&["--julia", "min"]), ["1.10.12"]);
    assert_eq!(case.julias(&["--julia", "min-patch"]), ["1.10.0"]);
}

/// Answers every request with 404, and sends the requested paths.
fn empty_server() -> (String, std::sync::mpsc::Receiver<String>) {
    use std::io::{BufRead as _, BufReader, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (asked, requests) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let first = lines.next().unwrap().unwrap();
            lines.map_while(Result::ok).find(String::is_empty);
            let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
            let _ = asked.send(path);
            let answer = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (address, requests)
}

#[test]
fn case_11_a_tag_begins_at_the_first_at_sign() {
    let case = Case::empty();
    let (address, requests) = empty_server();
    for (typed, path) in [
        (
            "me/repo@pkg@1.2.3".to_owned(),
            "/me/repo/releases/download/pkg%401.2.3/",
        ),
        (
            "me/repo@@scope/pkg@1.2.3".to_owned(),
            "/me/repo/releases/download/%40scope%2Fpkg%401.2.3/",
        ),
        (
            "me/repo@refs/tags/v1.0.0".to_owned(),
            "/me/repo/releases/download/v1.0.0/",
        ),
        (format!("{address}/site@pkg@1.2.3"), "/site/pkg%401.2.3/"),
        (format!("{address}/site/@pkg@1.2.3"), "/site/pkg%401.2.3/"),
        (format!("{address}/@scope/site@v1"), "/@scope/site/v1/"),
    ] {
        let mut command = case.command(&["install", &typed]);
        command.env("GITHUB_SERVER_URL", &address);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(7), "{typed}: {said}");
        let asked: Vec<String> = requests.try_iter().collect();
        assert!(!asked.is_empty(), "{typed}: {said}");
        for asked in asked {
            assert!(asked.starts_with(path), "{typed}: {asked}");
        }
    }
}

#[test]
fn case_11_a_folder_and_its_tag_may_both_have_at_signs() {
    let case = Case::empty();
    let site = "me@work/site";
    sysforge_testkit::github::make_build(&case.path("dist"), "x86_64-linux-gnu", b"an image");
    let to = format!("dir:{site}");
    let publish = ["publish", "--dist", "dist", "--no-recheck", "--to", &to];
    let ran = case.run(&[&publish[..], &["--tag", "pkg@1.2.3"]].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(case.path(site).join("pkg@1.2.3/SHA256SUMS").is_file());
    for source in [
        "./me@work/site@pkg@1.2.3",
        "me@work/site@pkg@1.2.3",
        "dir:me@work/site@pkg@1.2.3",
        "dir:me@work/site",
    ] {
        // The archive contains no real image; the digest is verified first.
        let ran = case.run(&["install", source, "--yes"]);
        assert!(
            !ran.stderr.contains("no place to install"),
            "{}",
            ran.stderr
        );
        assert!(
            !ran.stderr.contains("there is no release"),
            "{}",
            ran.stderr
        );
    }
}

#[test]
fn case_23_a_reference_that_is_a_tag_is_taken_for_the_tag() {
    let case = Case::empty();
    sysforge_testkit::github::make_build(&case.path("dist"), "x86_64-linux-gnu", b"an image");
    let publish = |tag: &str| {
        let args = [
            "publish",
            "--dist",
            "dist",
            "--to",
            "dir:site",
            "--no-recheck",
        ];
        case.run(&[&args[..], &["--tag", tag]].concat())
    };
    let ran = publish("refs/tags/v1.0.0");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.contains("published v1.0.0"), "{}", ran.stdout);
    assert!(case.path("site/v1.0.0").is_dir());
    for tag in ["refs/heads/main", "refs/pull/1/merge", "refs/tags/"] {
        let ran = publish(tag);
        assert_eq!(ran.code, Some(2), "{tag}: {}", ran.stderr);
        assert!(ran.stderr.contains("hint:"), "{tag}: {}", ran.stderr);
        assert!(!case.path("site/refs").exists(), "{tag}");
    }
    let ran = case.run(&["plan", "--matrix", "--tag", "refs/heads/main"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
}

#[test]
fn case_14_a_project_may_be_named_by_its_file() {
    let case = Case::of("14-project-named-by-file");
    for project in ["./Project.toml", "Project.toml", ".", "@.", "@"] {
        assert_eq!(
            case.julias(&["--project", project]),
            ["1.12.7"],
            "{project}"
        );
    }
    let error = case.refuses(&["plan", "--project", "Manifest.toml"]);
    assert!(error.contains("is not a project file"), "{error}");
    let error = case.refuses(&["plan", "--project", "nowhere/Project.toml"]);
    assert!(error.contains("there is no Project.toml in"), "{error}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_current_folder_that_was_removed_is_named_as_the_cause() {
    let case = Case::empty();
    let command = case.command(&["plan"]);
    let mut shell = Command::new("sh");
    shell.args([
        "-c",
        "mkdir gone && cd gone && rmdir ../gone && exec \"$0\" plan",
    ]);
    let output = shell
        .arg(command.get_program())
        .current_dir(case.root.path())
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(
        error.contains("the current folder no longer exists"),
        "{error}"
    );
}

#[test]
fn case_14_a_tilde_is_the_home_as_julia_has_it() {
    let case = Case::of("14-project-named-by-file");
    copy(&case.folder(), &case.home.join("mine"));
    for project in ["--project=~/mine", "--project=~/mine/Project.toml"] {
        assert_eq!(case.julias(&[project]), ["1.12.7"], "{project}");
    }
    let error = case.refuses(&["plan", "--project=~/none"]);
    assert!(error.contains("home/none, which does not exist"), "{error}");
}

#[test]
fn case_14_an_environment_is_found_in_the_depots() {
    let case = Case::of("14-project-named-by-file");
    let error = case.refuses(&["plan", "--project", "@v1.12"]);
    assert!(
        error.contains("there is no environment `@v1.12`"),
        "{error}"
    );
    assert!(error.contains(".julia/environments/v1.12"), "{error}");
    copy(&case.folder(), &case.home.join(".julia/environments/v1.12"));
    assert_eq!(case.julias(&["--project", "@v1.12"]), ["1.12.7"]);
    // JULIA_DEPOT_PATH replaces the depot in the home folder.
    let depot = case.root.path().join("depot");
    copy(&case.folder(), &depot.join("environments/mine"));
    let mut command = case.command(&["plan", "--project", "@mine"]);
    command.env("JULIA_DEPOT_PATH", &depot);
    assert!(command.output().unwrap().status.success());
    for name in ["@v#.#", "@stdlib", "@script"] {
        let error = case.refuses(&["plan", "--project", name]);
        assert!(error.contains("does not name an environment"), "{error}");
    }
}

fn utf16(text: &str) -> Vec<u8> {
    let units = "\u{feff}".encode_utf16().chain(text.encode_utf16());
    units.flat_map(u16::to_le_bytes).collect()
}

#[test]
fn case_15_text_in_utf_16_is_refused_by_name() {
    for (name, text) in [
        ("Project.toml", needs_dates()),
        ("Manifest.toml", manifest("1.12.7")),
        ("Sysimage.toml", "name = \"x\"\n".to_owned()),
    ] {
        let case = Case::of("14-project-named-by-file");
        case.file(name, utf16(&text));
        let error = case.refuses(&["plan"]);
        assert!(error.contains(&format!("{name} is UTF-16 text")), "{error}");
        assert!(error.contains("save it as UTF-8"), "{error}");
    }
    let case = Case::of("14-project-named-by-file");
    case.file("SHA256SUMS", utf16("00  sysforge-x86_64-linux-gnu\n"));
    let error = case.refuses(&["workflow", "--pin", "SHA256SUMS"]);
    assert!(error.contains("SHA256SUMS is UTF-16 text"), "{error}");
}

#[test]
fn a_utf_8_byte_order_mark_is_ignored_where_only_sysforge_reads() {
    let case = Case::of("14-project-named-by-file");
    case.file("Sysimage.toml", "\u{feff}name = \"marked\"\r\n");
    let (plan, _) = case.plan(&[]);
    assert_eq!(plan["name"], "marked");
}

/// Pkg of 1.5.3, 1.6.7 and 1.12.5 cannot read such a file.
#[test]
fn a_utf_8_byte_order_mark_is_refused_where_julia_refuses_it() {
    for name in ["Project.toml", "Manifest.toml"] {
        let case = Case::of("14-project-named-by-file");
        let text = std::fs::read_to_string(case.path(name)).unwrap();
        case.file(name, format!("\u{feff}{text}"));
        let error = case.refuses(&["plan"]);
        assert!(
            error.contains(&format!("{name} begins with a byte order mark")),
            "{error}"
        );
    }
}

#[test]
fn case_18_an_empty_versioned_manifest_is_named() {
    let error = Case::of("18-empty-versioned-manifest").refuses(&["plan"]);
    assert!(
        error.contains("Manifest-v1.12.toml does not list it"),
        "{error}"
    );
    assert!(error.contains("instead of Manifest.toml"), "{error}");
}

#[test]
fn a_foreign_versioned_manifest_is_named() {
    let case = Case::of("18-empty-versioned-manifest");
    case.file("Manifest-v1.12.toml", manifest("1.11.9"));
    let error = case.refuses(&["plan", "--locked"]);
    assert!(
        error.contains("Manifest-v1.12.toml was made by Julia 1.11.9"),
        "{error}"
    );
}

#[test]
fn case_19_the_versioned_manifest_says_which_julia() {
    assert_eq!(
        Case::of("19-plain-and-versioned-manifest").julias(&[]),
        ["1.12.7"]
    );
}

#[test]
fn each_of_several_julias_has_the_manifest_named_for_it() {
    let case = Case::of("19-plain-and-versioned-manifest");
    case.file("Manifest-v1.11.toml", manifest("1.11.9"));
    let (plan, _) = case.plan(&["--julia", "1.12,1.11"]);
    let manifests: Vec<_> = (0..2)
        .map(|index| plan["builds"][index]["manifest"].as_str().unwrap())
        .collect();
    assert_eq!(manifests, ["Manifest-v1.12.toml", "Manifest-v1.11.toml"]);
}

#[test]
fn case_20_a_comma_means_the_same_on_the_command_line_and_in_the_file() {
    let case = Case::of("20-range-with-a-comma");
    for range in [
        ">=1.10,<1.12",
        "~1.10,~1.11",
        "1.10,1.11",
        "^1.10, 1.12 - 1.13",
        "lts,release",
    ] {
        let typed = case.plan(&["--julia", range]);
        case.file("Sysimage.toml", format!("julia = \"{range}\"\n"));
        assert_eq!(case.plan(&[]).0["builds"], typed.0["builds"], "{range}");
        std::fs::remove_file(case.path("Sysimage.toml")).unwrap();
    }
}

#[test]
fn case_20_a_comma_that_was_meant_as_and_is_a_warning() {
    let case = Case::of("20-range-with-a-comma");
    let (_, said) = case.plan(&["--julia", ">=1.10,<1.12"]);
    assert!(said.contains("a comma means \"or\""), "{said}");
    assert!(said.contains("write a space"), "{said}");
    let (_, said) = case.plan(&["--julia", ">=1.10 <1.12"]);
    assert!(!said.contains("comma"), "{said}");
}

#[test]
fn case_21_a_manifest_that_lacks_an_indirect_dependency_is_refused() {
    let case = Case::of("21-manifest-lacks-an-indirect-dependency");
    let error = case.refuses(&["plan", "--julia", "1.12", "--json"]);
    assert!(
        error.contains("`Random` depends on `Serialization`"),
        "{error}"
    );
    assert!(error.contains("Manifest.toml:2:"), "{error}");
}

#[test]
fn case_25_a_manifest_of_the_old_format_is_a_warning() {
    let case = Case::of("25-manifest-of-the-old-format");
    let (_, said) = case.plan(&[]);
    assert!(
        said.contains("Manifest.toml is of the old format"),
        "{said}"
    );
    assert!(said.contains("Julia 1.12.7"), "{said}");
    let doctor = case.run(&["doctor"]);
    assert!(
        doctor.stdout.contains("of the old format"),
        "{}",
        doctor.stdout
    );
}

/// A repository of git's in the folder of a case.
fn repository(case: &Case) {
    let ignored = case.path("gitignore");
    if ignored.exists() {
        std::fs::rename(ignored, case.path(".gitignore")).unwrap();
    }
    let made = Command::new("git")
        .args(["init", "--quiet"])
        .current_dir(case.folder())
        .status();
    assert!(made.unwrap().success());
    case.file("SHA256SUMS", "00  sysforge-x86_64-linux-gnu\n");
}

#[test]
fn a_manifest_that_git_ignores_is_missed_by_the_workflow() {
    const WARNING: &str = "git ignores Manifest.toml";
    const HINT: &str = "`git add --force Manifest.toml`";
    let case = Case::of("13-manifest-ignored-by-git");
    repository(&case);
    // Without a workflow the doctor has nothing to say of it.
    assert!(!case.run(&["doctor"]).stdout.contains(WARNING));
    let said = case.run(&["init", "--workflow", "--pin", "SHA256SUMS"]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    assert_eq!(said.stderr.matches(WARNING).count(), 1, "{}", said.stderr);
    assert!(said.stderr.contains(HINT), "{}", said.stderr);
    let alone = Case::of("13-manifest-ignored-by-git");
    repository(&alone);
    for ran in [case.run(&["workflow"]), alone.run(&["init"])] {
        assert!(ran.stderr.contains(WARNING), "{}", ran.stderr);
        assert!(ran.stderr.contains(HINT), "{}", ran.stderr);
    }
    let said = case.run(&["doctor"]).stdout;
    assert!(said.contains(WARNING) && said.contains(HINT), "{said}");
    let text = std::fs::read_to_string(case.path("Sysimage.toml")).unwrap();
    case.file("Sysimage.toml", format!("locked = true\n{text}"));
    let said = case.run(&["workflow"]).stderr;
    assert!(said.contains("`locked = true` refuses"), "{said}");
    // What is committed all the same is there.
    let added = Command::new("git")
        .args(["add", "--force", "Manifest.toml"])
        .current_dir(case.folder())
        .status();
    assert!(added.unwrap().success());
    assert!(!case.run(&["workflow"]).stderr.contains(WARNING));
    assert!(!case.run(&["doctor"]).stdout.contains(WARNING));
}

#[test]
fn a_workflow_without_a_manifest_says_so() {
    const WARNING: &str = "has no Manifest.toml";
    let case = Case::of("13-manifest-ignored-by-git");
    std::fs::remove_file(case.path("Manifest.toml")).unwrap();
    repository(&case);
    let said = case.run(&["init", "--workflow", "--pin", "SHA256SUMS"]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    assert_eq!(said.stderr.matches(WARNING).count(), 1, "{}", said.stderr);
    assert!(case.run(&["workflow"]).stderr.contains(WARNING));
    assert!(case.run(&["doctor"]).stdout.contains(WARNING));
    // A package without dependencies needs none.
    case.file("Project.toml", "name = \"Alone\"\n");
    assert!(!case.run(&["workflow"]).stderr.contains(WARNING));
}

#[test]
fn a_fresh_base_is_planned_for_the_newest_julia_too() {
    let case = Case::of("14-project-named-by-file");
    case.file("Sysimage.toml", "base = \"fresh\"\n");
    let plan = case.run(&["plan"]);
    assert_eq!(plan.code, Some(0), "{}", plan.stderr);
    assert!(plan.stdout.contains("julia1.12.7"), "{}", plan.stdout);
    let doctor = case.run(&["doctor"]);
    assert!(!doctor.stdout.contains("fresh base"), "{}", doctor.stdout);
}

#[test]
fn an_option_that_the_julia_lacks_is_refused_while_planning() {
    let case = Case::of("14-project-named-by-file");
    case.file(
        "Sysimage.toml",
        "julia-options = [\"--compress-sysimage=yes\"]\n",
    );
    let error = case.refuses(&["plan"]);
    assert!(
        error.contains(
            "Julia 1.12.7 has no option `--compress-sysimage=yes`: it came with Julia 1.13"
        ),
        "{error}"
    );
}

#[test]
fn only_options_that_change_the_code_are_taken() {
    let case = Case::of("14-project-named-by-file");
    for (options, message) in [
        (
            "[\"--sysimage=other.so\"]",
            "is not an option that changes the code",
        ),
        ("[\"-O1\", \"-O2\"]", "`-O` is given twice"),
        ("\"-O3 -g0\"", "is not an option that changes the code"),
    ] {
        case.file("Sysimage.toml", format!("julia-options = {options}\n"));
        let ran = case.run(&["plan"]);
        assert_eq!(ran.code, Some(2), "{}", ran.stdout);
        assert!(ran.stderr.contains(message), "{}", ran.stderr);
    }
}

#[test]
fn plan_says_how_much_memory_emitting_takes() {
    let case = Case::of("14-project-named-by-file");
    let ran = case.run(&["plan", "--image-threads", "2"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let line = "memory    about 9.3 GB while emitting for 2 CPU targets with 2 threads";
    assert!(ran.stdout.contains(line), "{}", ran.stdout);
    let line = "targets   2: emitting takes about 2.3 times as long as for one, and the image is about \
                13 % larger";
    assert!(ran.stdout.contains(line), "{}", ran.stdout);
    case.file("Sysimage.toml", "cpu = \"native\"\n");
    let (plan, _) = case.plan(&["--image-threads", "2"]);
    let (id, emission) = plan["emission"].as_object().unwrap().iter().next().unwrap();
    assert_eq!(*id, plan["builds"][0]["id"]);
    assert_eq!(emission["memory_bytes"], 8_100_000_000_u64, "{emission}");
}

#[test]
fn packing_without_a_check_names_the_step_that_is_missing() {
    let case = Case::of("14-project-named-by-file");
    let julia = case.path("julia");
    let ran = case.run(&["pack", "--julia", &julia.display().to_string()]);
    assert!(
        ran.code.is_some_and(|code| code > 1),
        "{:?}: {}",
        ran.code,
        ran.stderr
    );
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
}

#[test]
fn case_15_statements_in_utf_16_are_refused_by_name() {
    let case = Case::of("14-project-named-by-file");
    case.file("Sysimage.toml", "statements = [\"s.jl\"]\n");
    case.file("s.jl", utf16("precompile(f, ())\n"));
    let error = case.refuses(&["plan"]);
    assert!(error.contains("s.jl is UTF-16 text"), "{error}");
    assert!(error.contains("save it as UTF-8"), "{error}");
}
