//! Untrusted text has no effect on a terminal, a runner or a file, and results that cannot be
//! written are an error. Hostile strings come from a project, a mirror, a host and a child process.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]
#![allow(
    dead_code,
    clippy::allow_attributes,
    reason = "the support module serves other tests, too"
)]

mod support;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use support::Scratch;
use sysforge_testkit::github::make_build;
use sysforge_testkit::hostile::first_deceptive;
use sysforge_testkit::server::Server;

/// Text that must be escaped: terminal sequences, characters that change the writing direction, and
/// workflow commands.
const HOSTILE: &str = "x\u{1b}]0;owned\u{7}\u{1b}[2J\u{1b}[31m\u{9b}2J\u{202e}\u{200b}\u{8}\rfake";

/// The same with newlines, for texts of several lines.
const LINES: &str = "a\n::add-mask::hunter2\n ::stop-commands::owned\n##[add-mask]hunter2\nb";

/// The text as a string of JSON or TOML.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

/// A server that gives the same answer to every request.
fn answers(status: &'static str, body: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let _ = stream.read(&mut [0; 8192]);
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
                 Connection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    address
}

fn program(path: &Path, script: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, script).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// A project, a mirror, a child, a store and a site, all of which are hostile.
fn scene() -> Scratch {
    let scratch = Scratch::new();
    let workload = "w\u{1b}]0;owned\u{7}\u{202e}.jl";
    scratch.file(workload, "error(1)\n");
    scratch.config(&format!(
        "workloads = [{}]\nname = \"tiny\"\n",
        quoted(workload)
    ));
    // A Julia that prints hostile text and fails.
    let said = format!("{HOSTILE}\n{LINES}\n").replace('\'', "");
    scratch.file("said", &said);
    let said = scratch.path("said");
    let script = format!(
        "#!/bin/sh\ncat '{0}' >&2\ncat '{0}'\nexit 3\n",
        said.display()
    );
    program(&scratch.path("evil/bin/julia"), &script);
    // A mirror with invalid names.
    let entry = format!(
        "{{\"url\": {0}, \"triplet\": {0}, \"kind\": \"archive\", \"extension\": {0}, \"sha256\": {0}}}",
        quoted(HOSTILE)
    );
    scratch.file(
        "mirror/bin/versions.json",
        &format!(
            "{{{}: {{\"stable\": true, \"files\": [{entry}]}}, \"1.5.3\": {{\"files\": [{entry}]}}}}",
            quoted(HOSTILE)
        ),
    );
    // A store whose entries have hostile names.
    for folder in ["julia", "toolchain", "images", "base"] {
        let name = format!("store/{folder}/{}", HOSTILE.replace('/', ""));
        scratch.file(&format!("{name}/.sysforge.json"), "{}");
        scratch.file(&format!("{name}/installed.json"), "{}");
    }
    // Images to publish, and a site whose index contains hostile names.
    make_build(&scratch.path("dist"), "x86_64-linux-gnu", b"linux");
    let index = format!(
        "{{\"schema\": {0}, \"tag\": {0}, \"images\": []}}",
        quoted(HOSTILE)
    );
    scratch.file("site/sysforge-release.json", &index);
    let id = format!(
        "{{\"schema\": \"sysforge-release/1\", \"tag\": \"v1\", \"images\": [{{\"archive\": \
         {{\"name\": {}, \"size\": 1, \"sha256\": \"\"}}}}]}}",
        quoted(HOSTILE)
    );
    scratch.file("other-site/sysforge-release.json", &id);
    scratch
}

/// A command line of every command for this scene.
fn commands(scratch: &Scratch) -> Vec<Vec<String>> {
    let evil = scratch.path("evil").display().to_string();
    let mut runs: Vec<Vec<&str>> = vec![
        vec!["init"],
        vec!["init", "--force"],
        vec!["plan"],
        vec!["plan", HOSTILE],
        vec!["plan", "--matrix"],
        vec!["doctor"],
        vec!["cache", "path"],
        vec!["cache", "list"],
        vec!["cache", "prune", "--all", "--dry-run"],
        vec!["cache", "prune", "--all"],
        vec!["julia", "list"],
        vec!["julia", "list", "--available"],
        vec!["julia", "install", "1.5"],
        vec!["julia", "install", HOSTILE],
        vec!["julia", "path", "1.5"],
        vec!["toolchain", "list"],
        vec!["toolchain", "path", HOSTILE],
        vec!["toolchain", "install", HOSTILE],
        vec!["init", "--force", "--workflow"],
        vec!["publish", "--to", "dir:published", "--tag", HOSTILE],
        vec!["publish", "--repository", "octo/images", "--tag", "v1"],
        vec!["publish", "--repository", HOSTILE, "--tag", "v1"],
        vec!["publish", "--repository", "octo/images", "--preflight"],
        vec![
            "publish",
            "--repository",
            "octo/images",
            "--tag",
            "v1",
            "--undraft",
        ],
        vec![
            "publish",
            "--repository",
            "octo/images",
            "--tag",
            "v1",
            "--draft",
            "--complete",
        ],
        vec![
            "publish",
            "--to",
            "dir:published",
            "--tag",
            "v1",
            "--notes-file",
            "said",
        ],
        vec![
            "publish",
            "--to",
            "dir:published",
            "--tag",
            "v2",
            "--file",
            HOSTILE,
        ],
        vec!["install", "list"],
        vec!["install", "upgrade"],
        vec!["install", "remove", HOSTILE],
        vec!["install", "./site"],
        vec!["install", "./other-site"],
        vec!["install", "octo/images@v1"],
        vec!["install", HOSTILE],
        vec!["verify", "./site"],
        vec!["verify", "octo/images@v1"],
        vec!["workflow", "--print"],
        vec!["workflow", "--check"],
        vec!["schema", "release"],
        vec!["completions", "bash"],
        vec!["man", HOSTILE],
        vec![HOSTILE],
        vec!["plan", "--project", HOSTILE],
        vec!["--mirror", HOSTILE, "julia", "list"],
    ];
    for command in [
        "plan",
        "build",
        "run",
        "instantiate",
        "trace",
        "emit",
        "link",
        "check",
        "pack",
        "bench",
    ] {
        runs.push(vec![command, "--julia", &evil]);
        runs.push(vec![command, "--verbose", "--julia", &evil]);
    }
    // Last: it removes what others read.
    runs.push(vec!["clean"]);
    runs.iter().map(|run| owned(run)).collect()
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

/// The output of a command in the hostile scene, with Sysforge's own styles.
fn recorded(scratch: &Scratch, args: &[String], api: &str, runner: bool) -> String {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut command = scratch.command(&args);
    command
        .env("SYSFORGE_MIRROR", scratch.path("mirror"))
        .env("SYSFORGE_STORE", scratch.path("store"))
        .env("CLICOLOR_FORCE", "1")
        .env("GITHUB_API_URL", api)
        .env("GITHUB_SERVER_URL", api)
        .env("GITHUB_TOKEN", "ghs_0123456789abcdef")
        .stdin(Stdio::null());
    if runner {
        command.env("GITHUB_ACTIONS", "true");
        command.env("GITHUB_OUTPUT", scratch.path("output"));
        command.env("GITHUB_STEP_SUMMARY", scratch.path("summary"));
    }
    let output = command.output().unwrap();
    let code = output.status.code();
    assert!(
        code.is_some_and(|code| code <= 8 && code != 1),
        "{args:?}: {code:?}"
    );
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8(text).unwrap()
}

/// Removes Sysforge's own styles: `ESC [ numbers m`.
fn without_styles(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let style = part.strip_prefix('[').and_then(|rest| {
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != ';')?;
            rest[end..].strip_prefix('m')
        });
        // Colours from hostile text do not occur, because its escape characters were escaped.
        match style {
            Some(rest) => plain.push_str(rest),
            None => {
                plain.push('\u{1b}');
                plain.push_str(part);
            }
        }
    }
    plain
}

fn assert_harmless(text: &str, what: &[String]) {
    let plain = without_styles(text);
    assert_eq!(
        first_deceptive(&plain),
        None,
        "{what:?}:\n{}",
        plain.escape_debug()
    );
}

#[test]
fn no_command_prints_control_sequences() {
    let scratch = scene();
    let message = quoted(&format!("{HOSTILE}\n{LINES}"));
    let refusal =
        format!("{{\"message\": {message}, \"errors\": [{message}, {{\"code\": {message}}}]}}");
    let api = answers("422 Unprocessable Entity", refusal);
    let runs = commands(&scratch);
    for parent in [
        &[][..],
        &["cache"],
        &["julia"],
        &["toolchain"],
        &["install"],
    ] {
        let arguments = [parent, &["--help"]].concat();
        let help = scratch.sysforge(&arguments).succeeds().stdout;
        let (_, listed) = help.split_once("Commands:\n").unwrap();
        let listed = listed.lines().take_while(|line| !line.is_empty());
        // A wrapped description is indented further.
        for line in listed.filter(|line| !line.starts_with("   ")) {
            let name = line.split_whitespace().next().unwrap();
            let command = [parent, &[name]].concat();
            let tried = runs.iter().any(|run| run.starts_with(&owned(&command)));
            assert!(tried || name == "help", "{command:?}");
        }
    }
    let mut reached = 0;
    for run in &runs {
        for json in [false, true] {
            let mut run = run.clone();
            run.extend(json.then(|| "--json".to_owned()));
            let text = recorded(&scratch, &run, &api, false);
            reached += usize::from(text.contains("owned"));
            assert_harmless(&text, &run);
        }
    }
    // The texts were still shown.
    assert!(reached > 20, "{reached}");
}

#[test]
fn untrusted_text_contains_no_workflow_commands() {
    let scratch = scene();
    let message = quoted(&format!("{LINES}\n{HOSTILE}"));
    let api = answers(
        "422 Unprocessable Entity",
        format!("{{\"message\": {message}}}"),
    );
    for run in commands(&scratch) {
        let text = recorded(&scratch, &run, &api, true);
        assert_harmless(&text, &run);
        assert!(!text.contains("##["), "{run:?}:\n{text}");
        for line in text.lines() {
            let line = line.trim_start();
            let others = line.starts_with("::add-mask::hunter2")
                || line.starts_with("::stop-commands::owned");
            assert!(!others, "{run:?}:\n{text}");
        }
    }
    for name in ["output", "summary"] {
        let text = std::fs::read_to_string(scratch.path(name)).unwrap_or_default();
        assert_eq!(first_deceptive(&text), None, "{name}: {text}");
    }
}

#[test]
fn errors_about_a_hostile_host_are_escaped() {
    let scratch = scene();
    let server = Server::start(&scratch.path("."));
    for (what, address) in [
        ("not found", answers("404 Not Found", HOSTILE.to_owned())),
        ("an error", answers("410 Gone", quoted(HOSTILE))),
        ("rubbish", answers("200 OK", HOSTILE.to_owned())),
        ("an index", format!("{}/site", server.url())),
        ("another", format!("{}/other-site", server.url())),
    ] {
        let run = ["install".to_owned(), address];
        let text = recorded(&scratch, &run, "http://127.0.0.1:9", false);
        assert_harmless(&text, &[what.to_owned()]);
        assert!(text.contains("error"), "{what}: {text}");
    }
}

#[test]
fn a_child_that_prints_to_a_real_terminal_cannot_control_it() {
    let scratch = scene();
    let evil = scratch.path("evil").display().to_string();
    let binary = env!("CARGO_BIN_EXE_sysforge");
    let line = format!("'{binary}' --verbose trace --julia '{evil}'");
    let output = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .current_dir(scratch.path("."))
        .env("SYSFORGE_STORE", scratch.path("store"))
        .env("TERM", "xterm-256color")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("owned"), "{text}");
    for never in [
        "\u{1b}]",
        "\u{1b}[2J",
        "\u{9b}",
        "\u{202e}",
        "\u{200b}",
        "\u{7}",
        "\u{8}",
    ] {
        assert!(!text.contains(never), "{}", text.escape_debug());
    }
}

/// Commands that print data.
fn data() -> Vec<Vec<&'static str>> {
    vec![
        vec!["--help"],
        vec!["build", "--help"],
        vec!["--version"],
        vec!["completions", "bash"],
        vec!["man"],
        vec!["man", "build"],
        vec!["schema", "receipt"],
        vec!["plan"],
        vec!["plan", "--json"],
        vec!["plan", "--matrix"],
        vec!["julia", "list"],
        vec!["julia", "list", "--json"],
        vec!["toolchain", "list"],
        vec!["toolchain", "list", "--json"],
        vec!["cache", "path"],
        vec!["cache", "list", "--json"],
        vec!["doctor", "--json"],
        vec!["install", "list", "--json"],
    ]
}

#[cfg(target_os = "linux")]
#[test]
fn results_that_cannot_be_written_are_exit_code_8() {
    let scratch = Scratch::new();
    scratch.config("julia = \"1.5\"\nworkloads = [\"workload.jl\"]\n");
    for args in data() {
        let full = std::fs::File::options()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let mut command = scratch.command(&args);
        let output = command.stdout(full).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(8), "{args:?}: {said}");
        assert!(
            said.contains("could not write to standard output"),
            "{args:?}: {said}"
        );
    }
    // On a runner, an output for later steps is a result as well.
    let mut command = scratch.command(&["plan", "--matrix"]);
    command
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_OUTPUT", "/dev/full");
    assert_eq!(command.output().unwrap().status.code(), Some(8));
}

#[test]
fn a_closed_pipe_is_not_an_error() {
    let scratch = Scratch::new();
    scratch.config("julia = \"1.5\"\nworkloads = [\"workload.jl\"]\n");
    for args in data() {
        let mut command = scratch.command(&args);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        let code = output.status.code();
        // The doctor may report something missing.
        assert!(
            code == Some(0) || args[0] == "doctor",
            "{args:?}: {code:?} {said}"
        );
        assert!(!said.contains("standard output"), "{args:?}: {said}");
        assert!(!said.contains("panicked"), "{args:?}: {said}");
    }
}

/// The script of a step of the action.
fn step(name: &str) -> String {
    let action = std::fs::read_to_string(support::root().join("action.yml")).unwrap();
    let (_, step) = action.split_once(&format!("- name: {name}\n")).unwrap();
    let (_, script) = step.split_once("      run: |\n").unwrap();
    let lines = script
        .lines()
        .take_while(|line| line.is_empty() || line.starts_with("        "));
    lines
        .map(|line| format!("{}\n", line.trim_start_matches("        ")))
        .collect()
}

fn run_step(scratch: &Scratch, script: &str, variables: &[(&str, &str)]) -> (Option<i32>, String) {
    scratch.file("step.sh", script);
    scratch.file("output", "");
    let mut command = Command::new("bash");
    command
        .args(["--noprofile", "--norc", "-eo", "pipefail"])
        .arg(scratch.path("step.sh"))
        .current_dir(scratch.path("."))
        .env("GITHUB_OUTPUT", scratch.path("output"))
        .env("ACTION", scratch.path("."));
    for (name, value) in variables {
        command.env(name, value);
    }
    let output = command.output().unwrap();
    let written = std::fs::read_to_string(scratch.path("output")).unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    (output.status.code(), format!("{written}{stdout}"))
}

#[test]
fn the_action_passes_every_line_of_its_arguments() {
    let scratch = Scratch::new();
    let echo = scratch.path("echo.sh");
    program(
        &echo,
        "#!/bin/sh\nfor word in \"$@\"; do echo \"<$word>\"; done\n",
    );
    let script = step("Run Sysforge");
    let echo = echo.display().to_string();
    let arguments = "--json\n  --tag v1\n\n--dry-run";
    let (code, said) = run_step(
        &scratch,
        &script,
        &[
            ("SYSFORGE", &echo),
            ("COMMAND", "publish"),
            ("ARGUMENTS", arguments),
        ],
    );
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(said, "<publish>\n<--json>\n<--tag>\n<v1>\n<--dry-run>\n");
    let none = [
        ("SYSFORGE", &*echo),
        ("COMMAND", "build"),
        ("ARGUMENTS", ""),
    ];
    assert_eq!(
        run_step(&scratch, &script, &none),
        (Some(0), "<build>\n".to_owned())
    );
}

#[test]
fn the_version_and_sums_of_the_action_cannot_set_other_outputs() {
    let scratch = Scratch::new();
    let script = step("Find out which Sysforge");
    let digest = "ab".repeat(32);
    let good = [("VERSION", "0.1.0"), ("SUMS", &*digest)];
    let (code, said) = run_step(&scratch, &script, &good);
    assert_eq!((code, said.lines().count()), (Some(0), 2), "{said}");
    for (version, sums) in [
        ("0.1.0\nprogram=/tmp/x", &*digest),
        ("0.1.0", "ab\nprogram=/tmp/x"),
        ("0.1.0\rx", &*digest),
        ("$(touch x)", &*digest),
    ] {
        let (code, said) = run_step(&scratch, &script, &[("VERSION", version), ("SUMS", sums)]);
        assert_eq!(code, Some(2), "{said}");
        assert!(!said.contains("program="), "{said}");
    }
}

/// The image that Julia itself starts with.
fn own_image(folder: &Path) -> Option<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths.into_iter().find_map(|path| match path.is_dir() {
        true => own_image(&path),
        false => path.ends_with("sys.so").then_some(path),
    })
}

#[test]
fn the_page_and_the_chart_show_texts_of_a_receipt_and_of_the_project_as_text() {
    const MARKUP: &str = "<script>alert(1)</script><img src=x onerror=a>\"'&";
    let scratch = Scratch::new();
    let workload = format!("w{MARKUP}{HOSTILE}.jl").replace('/', "_");
    scratch.file(&workload, "using Tiny\nprintln(greet(1))\n");
    scratch.config(&format!(
        "name = \"tiny\"\njulia = \"1.5\"\nworkloads = [{}]\n",
        quoted(&workload)
    ));
    // Julia's own image stands in for one that was emitted.
    let image = scratch.path("image/sys.so");
    std::fs::create_dir_all(image.parent().unwrap()).unwrap();
    let lib = support::julia().join("lib");
    std::fs::copy(own_image(&lib).unwrap(), &image).unwrap();
    let receipt = support::root().join("crates/report/tests/receipt.json");
    let receipt = std::fs::read_to_string(receipt).unwrap();
    let mut receipt: serde_json::Value = serde_json::from_str(&receipt).unwrap();
    let bytes = std::fs::read(&image).unwrap();
    receipt["image"] = serde_json::json!({
        "name": "sys.so",
        "size": bytes.len(),
        "sha256": sysforge_plan::Sha256::of(&bytes).to_string(),
    });
    let text = format!("{MARKUP}{HOSTILE}");
    receipt["check"]["own"] = serde_json::json!([text]);
    let failed = serde_json::json!([{"statement": text, "reason": text}]);
    receipt["statements"] = serde_json::json!({
        "recorded": 1, "replayed": 0, "mended": 0, "failed": failed, "skipped": []
    });
    scratch.file("image/receipt.json", &receipt.to_string());

    let image = image.display().to_string();
    let files = ["--html", "page.html", "--svg", "chart.svg"];
    let bench = ["bench", "--samples", "1", &image];
    let ran = scratch.sysforge(&[&bench[..], &files].concat()).succeeds();
    assert_harmless(&(ran.stdout + &ran.stderr), &owned(&bench));
    let page = std::fs::read_to_string(scratch.path("page.html")).unwrap();
    let chart = std::fs::read_to_string(scratch.path("chart.svg")).unwrap();
    // The receipt was read.
    assert!(page.contains("&lt;script&gt;alert(1)"), "{page}");
    for text in [page, chart] {
        assert!(!text.contains("<script>alert") && !text.contains("<img"));
        assert_eq!(first_deceptive(&text), None);
    }
}
