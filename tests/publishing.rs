//! Publishing and installing from the user's view, with the fake GitHub: exit codes, messages, and
//! the state of the host. The images are arbitrary bytes, so no Julia is needed.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod support;

use std::process::{Command, Stdio};

use support::{Ran, Scratch};
use sysforge_testkit::github::{
    FakeGitHub, Fault, Op, Options, Rule, Tamper, make_app, make_app_on, make_build,
};
use sysforge_testkit::wait_for;

const LINUX: &str = "demo-julia1.12.7-x86_64-linux-gnu.tar.gz";
const LOCK: &str = "sysforge-publishing.lock";

/// A dist directory with one build, and a host.
struct Fixture {
    scratch: Scratch,
    github: FakeGitHub,
    runtime: tokio::runtime::Runtime,
}

impl Fixture {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap();
        let github = runtime.block_on(FakeGitHub::start(Options::default()));
        let scratch = Scratch::new();
        make_build(&scratch.path("dist"), "x86_64-linux-gnu", b"an image");
        Self {
            scratch,
            github: github.unwrap(),
            runtime,
        }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.scratch.command(args);
        command
            .env("GITHUB_API_URL", self.github.api_url())
            .env("GITHUB_TOKEN", "writer");
        command
    }

    fn publish(&self, more: &[&str]) -> Ran {
        let args = ["publish", "--repository", "octo/images", "--tag", "v1.0.0"];
        self.scratch.run(self.command(&[&args, more].concat()))
    }

    fn names(&self) -> Vec<String> {
        let releases = self.github.releases();
        let assets = releases.into_iter().flat_map(|release| release.assets);
        assets.map(|asset| asset.name).collect()
    }
}

#[test]
fn a_file_that_changes_on_publication_ends_with_exit_code_7_and_a_draft() {
    let fixture = Fixture::new();
    fixture.github.tamper(Tamper::Truncate(LINUX.to_owned(), 1));
    fixture
        .github
        .tamper(Tamper::Remove("SHA256SUMS".to_owned()));
    let said = fixture.publish(&[]).fails(7);
    for words in [
        "2 files of v1.0.0 changed while it was made public",
        "`SHA256SUMS`: it is missing",
        &format!("`{LINUX}`: it has 1 bytes instead of"),
        "the release was made a draft again",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(fixture.github.releases()[0].draft);
    let published = fixture.publish(&[]).succeeds().stdout;
    assert!(published.contains("published v1.0.0"), "{published}");
}

#[test]
fn an_undraft_with_an_empty_checksum_list_ends_with_exit_code_7() {
    let fixture = Fixture::new();
    fixture.publish(&["--draft"]).succeeds();
    let release = fixture.github.releases()[0].id;
    fixture.github.put_asset(release, "SHA256SUMS", b"");
    let said = fixture.publish(&["--undraft"]).fails(7);
    assert!(said.contains("its `SHA256SUMS` lists no file"), "{said}");
    assert!(fixture.github.releases()[0].draft);
}

#[test]
fn an_undraft_of_other_files_than_the_run_sent_ends_with_exit_code_7() {
    let fixture = Fixture::new();
    let args = ["publish", "--repository", "octo/images", "--tag", "v1.0.0"];
    let mut command = fixture.command(&[&args[..], &["--draft", "--json"]].concat());
    command
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_OUTPUT", fixture.scratch.path("output"));
    let drafted = fixture.scratch.run(command).succeeds().json();
    let digest = drafted["sums_digest"].as_str().unwrap();
    let outputs = std::fs::read_to_string(fixture.scratch.path("output")).unwrap();
    let output = format!("sums-digest={digest}\n");
    assert!(outputs.contains(&output), "{outputs}");

    let other = "0".repeat(64);
    let undraft = ["--undraft", "--sums-digest"];
    let said = fixture
        .publish(&[&undraft[..], &[&other]].concat())
        .fails(7);
    let words = format!("the digest of the `SHA256SUMS` of v1.0.0 is {digest} instead of {other}");
    assert!(said.contains(&words), "{said}");
    assert!(fixture.github.releases()[0].draft);
    fixture
        .publish(&[&undraft[..], &[digest]].concat())
        .succeeds();
    assert!(!fixture.github.releases()[0].draft);
}

/// A site with a signed release of `octo/images`, and its public key.
fn signed_site(fixture: &Fixture) -> String {
    let pair = minisign::KeyPair::generate_unencrypted_keypair().unwrap();
    let secret = pair.sk.to_box(None).unwrap().to_string();
    fixture.scratch.file("maker.key", &secret);
    let to = "dir:site";
    let key = "maker.key";
    fixture.publish(&["--to", to, "--sign-key", key]).succeeds();
    pair.pk.to_base64()
}

#[test]
fn a_signed_release_under_another_tag_is_not_installed() {
    let fixture = Fixture::new();
    let key = signed_site(&fixture);
    let site = fixture.scratch.path("site");
    support::copy(&site.join("v1.0.0"), &site.join("v2.0.0"));
    let install = ["install", "./site@v2.0.0", "--verify-key", &key];
    let said = fixture.scratch.sysforge(&install).fails(7);
    let words = "v2.0.0 was asked for, and its index is that of v1.0.0";
    assert!(said.contains(words), "{said}");
    let verify = ["verify", "./site@v2.0.0", "--verify-key", &key];
    let said = fixture.scratch.sysforge(&verify).fails(7);
    assert!(said.contains(words), "{said}");
}

#[test]
fn a_selection_without_an_image_for_this_machine_is_not_called_a_missing_release() {
    let fixture = Fixture::new();
    signed_site(&fixture);
    let verify = ["verify", "./site@v1.0.0", "no-such-*"];
    let said = fixture.scratch.sysforge(&verify).fails(2);
    assert!(
        said.contains("error: nothing from ./site@v1.0.0 was verified: "),
        "{said}"
    );
    assert!(said.contains("hint: without build identifiers"), "{said}");
}

#[test]
fn a_release_signed_for_another_repository_is_not_installed() {
    let fixture = Fixture::new();
    let key = signed_site(&fixture);
    let release = fixture.scratch.path("site/v1.0.0");
    let files: Vec<(String, Vec<u8>)> = std::fs::read_dir(release)
        .unwrap()
        .flatten()
        .map(|file| {
            let name = file.file_name().to_string_lossy().into_owned();
            (name, std::fs::read(file.path()).unwrap())
        })
        .collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(n, b)| (&**n, &**b)).collect();
    let elsewhere = Options {
        repository: "octo/elsewhere".to_owned(),
        ..Options::default()
    };
    let github = fixture
        .runtime
        .block_on(FakeGitHub::start(elsewhere))
        .unwrap();
    github.put_release("v1.0.0", false, &files).unwrap();
    let mut command = fixture
        .scratch
        .command(&["install", "octo/elsewhere", "--verify-key", &key]);
    command.env("GITHUB_API_URL", github.api_url());
    let said = fixture.scratch.run(command).fails(7);
    assert!(
        said.contains("is signed for octo/images, and not for octo/elsewhere"),
        "{said}"
    );
    assert!(said.contains("--signed-for"), "{said}");
}

#[test]
fn an_interrupted_publication_leaves_no_lock() {
    let fixture = Fixture::new();
    let stall = Rule::always(Op::Upload, Fault::Stall(10)).after(1);
    fixture.github.script([stall]);
    let args = ["publish", "--repository", "octo/images", "--tag", "v1.0.0"];
    let child = fixture
        .command(&args)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The lock is uploaded first; the upload of the next file never ends.
    wait_for("an upload under the lock", || fixture.names().len() > 1);
    assert!(fixture.names().contains(&LOCK.to_owned()));
    let kill = Command::new("kill")
        .args(["-s", "INT", &child.id().to_string()])
        .status();
    assert!(kill.unwrap().success());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(!fixture.names().contains(&LOCK.to_owned()), "{said}");
}

/// The texts of GitHub's answers, as its API names the fields.
const FIELDS: [&str; 22] = [
    "url",
    "assets_url",
    "upload_url",
    "html_url",
    "node_id",
    "login",
    "tag_name",
    "target_commitish",
    "name",
    "body",
    "created_at",
    "published_at",
    "label",
    "state",
    "content_type",
    "digest",
    "browser_download_url",
    "full_name",
    "visibility",
    "message",
    "documentation_url",
    "sha",
];

#[test]
fn no_field_of_githubs_answers_reaches_a_terminal_raw_or_leads_elsewhere() {
    let all = "../../outside\u{1b}]0;title\u{7}\u{1b}[2J\u{202e}\u{200b}\n::add-mask::x\n$(touch outside)";
    let elsewhere = "http://127.0.0.1:1/$(touch outside)";
    for field in FIELDS {
        let scene = Fixture::new();
        scene.publish(&["--draft"]).succeeds();
        let is_address = field.ends_with("url");
        for text in [all, elsewhere]
            .into_iter()
            .take(1 + usize::from(is_address))
        {
            scene.github.rewrite(field, text);
            for more in [&["--draft"][..], &["--undraft"]] {
                let args = ["publish", "--repository", "octo/images", "--tag", "v1.0.0"];
                let mut command = scene.command(&[&args, more].concat());
                command.env("GITHUB_ACTIONS", "true");
                let output = command.output().unwrap();
                let said = [output.stdout, output.stderr].concat();
                let said = String::from_utf8(said).unwrap();
                let place = format!("{field} = {text:?}, {more:?}");
                let code = output.status.code();
                assert!(matches!(code, Some(0 | 2 | 7)), "{place}: {code:?} {said}");
                let raw = sysforge_testkit::hostile::first_deceptive(&said);
                assert_eq!(raw, None, "{place}: {said:?}");
                assert!(!said.contains("\n::add-mask::x"), "{place}: {said}");
                assert!(!said.contains("panicked"), "{place}: {said}");
            }
        }
        let outside = scene.scratch.path("..").join("outside");
        assert!(!outside.exists() && !scene.scratch.path("outside").exists());
    }
}

/// Publishes an app `tally`, a script that prints `words`, into a folder beside the project.
fn publish_app(scratch: &Scratch, tag: &str, words: &str) -> String {
    let script = format!("#!/bin/sh\necho {words}\n");
    let dist = scratch.path("dist");
    let _ = std::fs::remove_dir_all(&dist);
    make_app(&dist, "x86_64-linux-gnu", "tally", &script);
    let site = scratch.path("../site").display().to_string();
    let to = format!("dir:{site}");
    let args = ["publish", "--to", &to, "--tag", tag];
    scratch.sysforge(&args).succeeds();
    site
}

/// What a program prints that is started with an empty environment.
fn run_alone(program: &std::path::Path) -> String {
    let output = Command::new(program).env_clear().output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[test]
fn an_app_is_installed_upgraded_and_removed_without_a_julia() {
    let scratch = Scratch::new();
    let site = publish_app(&scratch, "v1.0.0", "old");
    let store = scratch.path("../store").display().to_string();
    // The default folder is in the home directory.
    let link = scratch.path("../home/.local/bin/tally");
    let install = ["install", &site, "--store", &store];
    let said = scratch.sysforge(&install).succeeds();
    assert!(
        said.stdout.ends_with("home/.local/bin/tally\n"),
        "{}",
        said.stdout
    );
    assert!(
        said.stderr.contains("not on the search path"),
        "{}",
        said.stderr
    );
    assert_eq!(run_alone(&link), "old\n");

    publish_app(&scratch, "v1.1.0", "new");
    let upgrade = ["install", "upgrade", "demo-app", "--store", &store];
    scratch.sysforge(&upgrade).succeeds();
    assert_eq!(run_alone(&link), "new\n");
    let list = ["install", "list", "--json", "--store", &store];
    let listed = scratch.sysforge(&list).succeeds().json();
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
    assert_eq!(listed[0]["tag"], "v1.1.0");
    assert_eq!(listed[0]["apps"][0], "tally");

    let remove = ["install", "remove", "demo-app", "--store", &store];
    scratch.sysforge(&remove).succeeds();
    assert!(!link.is_symlink());
}

/// A signature, a licence or the launcher may have changed.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[test]
fn an_app_is_upgraded_although_its_image_is_the_same() {
    let scratch = Scratch::new();
    let site = scratch.path("../site").display().to_string();
    let (to, dist) = (format!("dir:{site}"), scratch.path("dist"));
    let publish = |tag: &str, words: &str| {
        let _ = std::fs::remove_dir_all(&dist);
        let script = format!("#!/bin/sh\necho {words}\n");
        make_app_on(&dist, "x86_64-linux-gnu", "tally", &script, b"an image");
        let args = ["publish", "--to", &to, "--tag", tag];
        scratch.sysforge(&args).succeeds();
    };
    publish("v1.0.0", "old");
    let store = scratch.path("../store").display().to_string();
    let install = ["install", &site, "--bin", "bin", "--store", &store];
    scratch.sysforge(&install).succeeds();
    assert_eq!(run_alone(&scratch.path("bin/tally")), "old\n");
    publish("v1.1.0", "new");
    let upgrade = ["install", "upgrade", "demo-app", "--store", &store];
    scratch.sysforge(&upgrade).succeeds();
    assert_eq!(run_alone(&scratch.path("bin/tally")), "new\n");
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[test]
fn an_app_does_not_replace_a_file_of_the_user() {
    let scratch = Scratch::new();
    let site = publish_app(&scratch, "v1.0.0", "hello");
    scratch.file("bin/tally", "mine");
    let store = scratch.path("../store").display().to_string();
    let install = ["install", &site, "--bin", "bin", "--store", &store];
    let said = scratch.sysforge(&install).fails(7);
    assert!(said.contains("bin/tally exists already"), "{said}");
    assert!(said.contains("another folder with `--bin DIR`"), "{said}");
    let file = scratch.path("bin/tally");
    assert_eq!(std::fs::read_to_string(file).unwrap(), "mine");
    let list = ["install", "list", "--json", "--store", &store];
    assert_eq!(scratch.sysforge(&list).succeeds().stdout, "[]\n");
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[test]
fn what_is_for_images_is_refused_for_an_app() {
    let scratch = Scratch::new();
    let site = publish_app(&scratch, "v1.0.0", "hello");
    let store = scratch.path("../store").display().to_string();
    for options in [
        &["--env"][..],
        &["--launcher", "julia-demo"],
        &["--juliaup", "demo"],
        &["--jupyter"],
        &["--pluto", "pluto.sh"],
    ] {
        let install = ["install", &site, "--store", &store];
        let said = scratch.sysforge(&[&install, options].concat()).fails(7);
        assert!(said.contains("is for images, and this is an app"), "{said}");
    }
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[test]
fn an_app_that_is_asked_for_of_a_release_of_images_is_explained() {
    let scratch = Scratch::new();
    make_build(&scratch.path("dist"), "x86_64-linux-gnu", b"an image");
    let site = scratch.path("../site").display().to_string();
    let to = format!("dir:{site}");
    scratch
        .sysforge(&["publish", "--to", &to, "--tag", "v1.0.0"])
        .succeeds();
    let said = scratch
        .sysforge(&["install", &site, "--bin", "bin"])
        .fails(7);
    assert!(
        said.contains("no app of v1.0.0 fits this machine:"),
        "{said}"
    );
    assert!(
        said.contains("demo-julia1.12.7-x86_64-linux-gnu is an image"),
        "{said}"
    );
}

/// The notes of a release in the folder `site`.
fn notes(fixture: &Fixture, tag: &str) -> String {
    let path = fixture.scratch.path("site").join(tag).join("NOTES.md");
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn a_prerelease_is_marked_and_is_not_the_latest() {
    let fixture = Fixture::new();
    fixture.publish(&["--prerelease"]).succeeds();
    let release = &fixture.github.releases()[0];
    assert!(release.prerelease && !release.draft);
    // Without the mark it would be what a plain OWNER/REPO means.
    let install = ["install", "octo/images", "--julia", "1.5"];
    let said = fixture.scratch.run(fixture.command(&install)).fails(7);
    assert!(said.contains("there is no release"), "{said}");
}

#[test]
fn latest_is_passed_on_and_otherwise_left_to_the_host() {
    for (more, expected) in [
        (&["--latest"][..], Some("true")),
        (&["--latest=false"], Some("false")),
        (&[], None),
    ] {
        let fixture = Fixture::new();
        fixture.publish(more).succeeds();
        let release = &fixture.github.releases()[0];
        assert_eq!(release.make_latest.as_deref(), expected, "{more:?}");
        assert!(!release.prerelease);
    }
    let refused = Fixture::new().publish(&["--latest", "--prerelease"]);
    let refused = refused.fails(2);
    assert!(refused.contains("cannot be used with"), "{refused}");
}

#[test]
fn the_text_of_a_notes_file_comes_before_the_images() {
    let fixture = Fixture::new();
    let text = "## Faster\n\nTwice as fast.\n";
    fixture.scratch.file("NEWS.md", text);
    fixture.publish(&["--notes-file", "NEWS.md"]).succeeds();
    let body = fixture.github.releases()[0].body.clone();
    let (before, after) = body.split_once("## Images").unwrap();
    assert!(before.contains(text.trim_end()), "{body}");
    assert!(
        after.contains("sysforge install octo/images@v1.0.0"),
        "{body}"
    );
    let to_folder = ["--to", "dir:site", "--notes-file", "NEWS.md"];
    fixture.publish(&to_folder).succeeds();
    assert!(notes(&fixture, "v1.0.0").contains("Twice as fast."));
}

#[test]
fn a_further_file_is_published_listed_and_verified_like_an_image() {
    let fixture = Fixture::new();
    fixture.scratch.file("manual.pdf", "not really");
    fixture.publish(&["--file", "manual.pdf"]).succeeds();
    assert!(fixture.names().contains(&"manual.pdf".to_owned()));
    let to_folder = ["--to", "dir:site", "--file", "manual.pdf"];
    fixture.publish(&to_folder).succeeds();
    let folder = fixture.scratch.path("site/v1.0.0");
    assert_eq!(
        std::fs::read(folder.join("manual.pdf")).unwrap(),
        b"not really"
    );
    let sums = std::fs::read_to_string(folder.join("SHA256SUMS")).unwrap();
    assert!(sums.contains("  manual.pdf\n"), "{sums}");
}

/// A git command in the project.
fn git(fixture: &Fixture, args: &[&str]) {
    let identity = ["-c", "user.name=Me", "-c", "user.email=me@example.org"];
    let output = Command::new("git")
        .args(identity)
        .args([
            "-c",
            "commit.gpgsign=false",
            "-c",
            "init.defaultBranch=main",
        ])
        .args(args)
        .current_dir(fixture.scratch.path("."))
        .env("HOME", fixture.scratch.path("."))
        .output()
        .unwrap();
    assert!(output.status.success(), "{args:?}: {output:?}");
}

fn commit(fixture: &Fixture, subject: &str) {
    git(
        fixture,
        &["commit", "--quiet", "--allow-empty", "-m", subject],
    );
}

#[test]
fn checksums_are_written_for_a_folder_too() {
    let fixture = Fixture::new();
    let args = ["--to", "dir:site", "--sums", "out.sums"];
    fixture.publish(&args).succeeds();
    let sums = std::fs::read_to_string(fixture.scratch.path("out.sums")).unwrap();
    assert!(sums.contains(LINUX), "{sums}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_device_that_is_named_for_the_checksums_is_written_to_and_not_replaced() {
    let fixture = Fixture::new();
    let link = fixture.scratch.path("full");
    std::os::unix::fs::symlink("/dev/full", &link).unwrap();
    let args = ["--to", "dir:site", "--sums", "full"];
    let said = fixture.publish(&args).fails(8);
    assert!(said.contains("No space left on device"), "{said}");
    assert!(link.is_symlink());
    assert!(!fixture.scratch.path("site/v1.0.0").exists());
}

#[test]
fn a_file_that_is_no_plan_is_refused_with_the_place_of_the_error() {
    let fixture = Fixture::new();
    for (text, words) in [
        (
            "",
            "is not a plan that `sysforge plan --matrix --out` wrote",
        ),
        (
            "{\"include\": []}",
            "it has no `builds` (line 1, column 15)",
        ),
        (
            "{\"builds\": [\"../x\"]}",
            "`builds[0]`: `../x` is not a build identifier",
        ),
        ("{\"builds\": {}}", "line 1, column 11"),
    ] {
        fixture.scratch.file("plan.json", text);
        let args = ["--to", "dir:site", "--plan", "plan.json"];
        let said = fixture.publish(&args).fails(2);
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(!fixture.scratch.path("site").exists());
}

#[test]
fn a_key_that_cannot_be_read_is_no_wrong_key() {
    let fixture = Fixture::new();
    signed_site(&fixture);
    let install = ["install", "./site@v1.0.0", "--verify-key", "."];
    let said = fixture.scratch.sysforge(&install).fails(2);
    assert!(said.contains("could not read the key ."), "{said}");
    assert!(said.contains("hint: name a file"), "{said}");
}

/// Installs an app that writes a file when it starts, with this umask. Returns the modes of all that
/// this made, by path.
fn modes_with_umask(umask: &str) -> Vec<(String, u32)> {
    let fixture = Fixture::new();
    let made = fixture.scratch.path("made");
    let script = format!("#!/bin/sh\ntouch '{}'\n", made.display());
    let dist = fixture.scratch.path("dist-app");
    make_app(&dist, "x86_64-linux-gnu", "tally", &script);
    let publish = ["--dist", "dist-app", "--to", "dir:site"];
    fixture.publish(&publish).succeeds();
    let store = fixture.scratch.path("store");
    let install = ["install", "./site", "--bin", "bin"];
    let installing = fixture.scratch.command(&install);
    let mut shell = Command::new("sh");
    shell
        .env_clear()
        .args(["-c", "umask \"$0\" && exec \"$@\"", umask])
        .arg(installing.get_program())
        .args(installing.get_args())
        .current_dir(installing.get_current_dir().unwrap());
    for (name, value) in installing.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell.env("SYSFORGE_STORE", &store);
    fixture.scratch.run(shell).succeeds();
    let mut modes = vec![("made".to_owned(), mode(&made))];
    let mut folders = vec![store, fixture.scratch.path("bin")];
    while let Some(folder) = folders.pop() {
        modes.push((folder.display().to_string(), mode(&folder)));
        for entry in std::fs::read_dir(&folder).unwrap().flatten() {
            let kind = entry.file_type().unwrap();
            match kind.is_dir() {
                true => folders.push(entry.path()),
                // The mode of a link says nothing.
                false if kind.is_symlink() => {}
                false => modes.push((entry.path().display().to_string(), mode(&entry.path()))),
            }
        }
    }
    modes
}

/// The permissions of a file or folder.
fn mode(path: &std::path::Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn nobody_else_may_write_what_sysforge_and_its_children_make_whatever_the_umask_is() {
    for umask in ["000", "002", "022", "077"] {
        let modes = modes_with_umask(umask);
        assert!(modes.len() > 10, "{modes:?}");
        for (path, mode) in modes {
            // Packages that Julia installs may be for a group, if the user decides so.
            let kept = if umask == "002" && path == "made" {
                0o020
            } else {
                0
            };
            assert_eq!(mode & 0o022, kept, "umask {umask}: {path} has {mode:o}");
        }
    }
}

#[test]
fn a_umask_that_lets_nobody_else_read_is_kept_for_children() {
    let modes = modes_with_umask("077");
    assert_eq!(modes[0], ("made".to_owned(), 0o600));
}

#[test]
fn notes_from_commits_list_those_since_the_tag_before() {
    let fixture = Fixture::new();
    git(&fixture, &["init", "--quiet"]);
    commit(&fixture, "Begin");
    git(&fixture, &["tag", "v0.9.0"]);
    commit(&fixture, "Read <b>faster</b>, thanks to @someone");
    commit(&fixture, "Fix #12");
    let publish = |tag: &str| {
        let args = [
            "publish",
            "--to",
            "dir:site",
            "--notes-from-commits",
            "--tag",
            tag,
        ];
        fixture.scratch.sysforge(&args).succeeds();
        notes(&fixture, tag)
    };
    // The tag is still to be made.
    let expected = "## Changes since v0.9.0\n\n- Fix \\#12\n\
                    - Read &lt;b>faster&lt;/b>, thanks to &#64;someone\n";
    let text = publish("v1.0.0");
    assert!(text.contains(expected), "{text}");
    assert!(text.find(expected) < text.find("## Images"), "{text}");
    // The tag exists, with another one at the same commit, and the branch has gone on.
    git(&fixture, &["tag", "v1.0.1"]);
    git(&fixture, &["tag", "stable"]);
    commit(&fixture, "Later");
    assert!(publish("v1.0.1").contains(expected));
    let first = publish("v0.9.0");
    assert!(first.contains("## Changes\n\n- Begin\n"), "{first}");
}

#[test]
fn notes_from_commits_need_the_history() {
    let fixture = Fixture::new();
    let args = [
        "publish",
        "--to",
        "dir:site",
        "--notes-from-commits",
        "--tag",
        "v1",
    ];
    let outside = fixture.scratch.sysforge(&args).fails(2);
    assert!(outside.contains("not a git repository"), "{outside}");
    assert!(outside.contains("`--notes-file FILE`"), "{outside}");
    git(&fixture, &["init", "--quiet"]);
    commit(&fixture, "One");
    let head = std::fs::read_to_string(fixture.scratch.path(".git/refs/heads/main")).unwrap();
    // What `git clone --depth 1` leaves.
    fixture.scratch.file(".git/shallow", &head);
    let shallow = fixture.scratch.sysforge(&args).fails(2);
    assert!(shallow.contains("shallow clone"), "{shallow}");
    assert!(shallow.contains("fetch-depth: 0"), "{shallow}");
    assert!(!fixture.scratch.path("site").exists());
}
