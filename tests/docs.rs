//! Tests the documentation: runs the commands in `console` blocks line by line in a shell, and
//! compares the output with the page.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]
#![allow(
    dead_code,
    clippy::allow_attributes,
    reason = "the support module serves other tests, too"
)]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use support::{markdown, root};
use sysforge_testkit::github::{FakeGitHub, Options};
use sysforge_testkit::gitlab::{self, GitLabPackagesStandIn};
use sysforge_testkit::packages::PackageServer;

/// A command on a page, and the output that the page shows.
struct ShownCommand {
    command: String,
    shown: Vec<String>,
}

/// The `console` blocks of a page, in order.
fn typed(page: &str) -> Vec<ShownCommand> {
    let mut all: Vec<ShownCommand> = Vec::new();
    let mut inside = false;
    for line in page.lines() {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if !inside {
        } else if let Some(command) = line.strip_prefix("$ ") {
            let command = command.to_owned();
            all.push(ShownCommand {
                command,
                shown: Vec::new(),
            });
        } else if let Some(last) = all.last_mut() {
            match last.command.strip_suffix('\\') {
                Some(begun) if last.shown.is_empty() => {
                    last.command = format!("{begun}\\\n{line}");
                }
                _ => last.shown.push(line.to_owned()),
            }
        }
    }
    all
}

/// A shell that keeps its working directory between commands, in a copy of the repository's example
/// with a separate home folder.
struct Shell {
    home: tempfile::TempDir,
    folder: PathBuf,
    variables: Vec<(&'static str, String)>,
    /// Where commands are typed; `None` if their output is no terminal.
    terminal: Option<Terminal>,
}

/// A shell in a terminal of tmux.
struct Terminal {
    /// Outside of the home folder, which stays empty.
    work: tempfile::TempDir,
}

impl Terminal {
    /// Starts a shell in a terminal of this many columns.
    fn start(columns: u16, folder: &Path, variables: &[(&str, String)]) -> Self {
        let terminal = Self {
            work: tempfile::tempdir().unwrap(),
        };
        let work = terminal.work.path().display();
        // What is typed is not shown, so that the screen has the output alone; the end of each command is
        // an event.
        let start = format!(
            "stty -echo; PS1= PS2=\nPROMPT_COMMAND='echo $? >{work}/code; pwd >{work}/folder; \
             tmux -S {work}/socket wait-for -S prompt'\n"
        );
        std::fs::write(terminal.work.path().join("start"), start).unwrap();
        let settings = "set -g history-limit 100000\nset -g status off\n";
        std::fs::write(terminal.work.path().join("settings"), settings).unwrap();
        let shell = format!("exec bash --noediting --rcfile {work}/start -i");
        let mut tmux = terminal.tmux();
        tmux.arg("-f").arg(terminal.work.path().join("settings"));
        let size = columns.to_string();
        let status = tmux
            .args(["new-session", "-d", "-x", &size, "-y", "50", &shell])
            .current_dir(folder)
            .env_clear()
            .env("LC_ALL", "C.UTF-8")
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .status();
        assert!(status.unwrap().success());
        terminal.wait();
        terminal
    }

    fn tmux(&self) -> Command {
        let mut tmux = Command::new("tmux");
        tmux.arg("-S").arg(self.work.path().join("socket"));
        tmux
    }

    fn wait(&self) {
        let waited = self.tmux().args(["wait-for", "prompt"]).status();
        assert!(waited.unwrap().success(), "the terminal has ended");
    }

    fn read(&self, name: &str) -> String {
        let text = std::fs::read_to_string(self.work.path().join(name)).unwrap();
        text.trim_end().to_owned()
    }

    /// What the screen and all that has scrolled off it show, and whether the command succeeds.
    fn run(&self, command: &str) -> (String, bool) {
        let reset = ["send-keys", "-R", ";", "clear-history"];
        assert!(self.tmux().args(reset).status().unwrap().success());
        let typed = self
            .tmux()
            .args(["send-keys", "-l", "--", command])
            .status();
        assert!(typed.unwrap().success());
        let entered = self.tmux().args(["send-keys", "Enter"]).status();
        assert!(entered.unwrap().success());
        self.wait();
        // Lines that are longer than the terminal is wide are joined.
        let capture = ["capture-pane", "-p", "-J", "-S", "-", "-E", "-"];
        let shown = self.tmux().args(capture).output().unwrap();
        let text = String::from_utf8(shown.stdout).unwrap();
        (text.trim_end().to_owned() + "\n", self.read("code") == "0")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.tmux().arg("kill-server").status();
    }
}

impl Shell {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("sysforge");
        let example = folder.join("examples");
        std::fs::create_dir_all(&example).unwrap();
        let listed = Command::new("git")
            .args(["ls-files", "examples"])
            .current_dir(root())
            .output()
            .unwrap();
        for name in String::from_utf8(listed.stdout).unwrap().lines() {
            let to = folder.join(name);
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::copy(root().join(name), to).unwrap();
        }
        Self {
            home,
            folder,
            variables: Vec::new(),
            terminal: None,
        }
    }

    /// From now on, commands are typed into a terminal of this many columns. There is no Julia on the
    /// search path.
    fn open_terminal(&mut self, columns: u16) {
        let binary = Path::new(env!("CARGO_BIN_EXE_sysforge")).parent().unwrap();
        let mut variables = self.variables.clone();
        variables.push(("PATH", format!("{}:/usr/bin:/bin", binary.display())));
        variables.push(("HOME", self.home.path().display().to_string()));
        variables.push(("SYSFORGE_MIRROR", support::mirror().display().to_string()));
        self.terminal = Some(Terminal::start(columns, &self.folder, &variables));
    }

    /// The output as the pages show it.
    fn as_on_a_page(&self, text: &str) -> String {
        text.replace(&*self.home.path().to_string_lossy(), "/home/me")
    }

    /// The command's output on both streams, and whether it succeeds.
    fn run(&mut self, command: &str) -> (String, bool) {
        if let Some(terminal) = &self.terminal {
            let (text, success) = terminal.run(command);
            self.folder = terminal.read("folder").into();
            return (self.as_on_a_page(&text), success);
        }
        let binary = Path::new(env!("CARGO_BIN_EXE_sysforge")).parent().unwrap();
        let path = std::env::join_paths(
            std::iter::once(binary.to_owned())
                .chain(std::env::split_paths(
                    &std::env::var_os("PATH").unwrap_or_default(),
                ))
                .chain([support::julia().join("bin")]),
        );
        let place = self.home.path().join("folder");
        let script = format!(
            "{{ {command}\n}} 2>&1; code=$?; pwd >'{}'; exit $code",
            place.display()
        );
        let output = Command::new("bash")
            .args(["-c", &script])
            .current_dir(&self.folder)
            .env_clear()
            .env("PATH", path.unwrap())
            .env("HOME", self.home.path())
            .env("SYSFORGE_MIRROR", support::mirror())
            .envs(self.variables.clone())
            .output()
            .unwrap();
        self.folder = std::fs::read_to_string(&place).unwrap().trim_end().into();
        let text = String::from_utf8_lossy(&output.stdout);
        let text = text
            .replace(
                &*support::store().to_string_lossy(),
                "/home/me/.cache/sysforge",
            )
            .replace(&*self.home.path().to_string_lossy(), "/home/me");
        (text, output.status.success())
    }
}

/// Units of figures. The magnitude determines which one is used.
const UNITS: [&str; 11] = [
    "ms", "s", "min", "second", "seconds", "minute", "minutes", "B", "kB", "MB", "GB",
];

/// Replaces what differs between runs and machines: figures with their units, versions, digests,
/// the width of columns.
fn normalized(line: &str) -> String {
    let word = |word: &str| {
        let middle = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let number = middle
            .bytes()
            .all(|b| b.is_ascii_digit() || b".:".contains(&b));
        if !middle.is_empty() && (number || UNITS.contains(&middle)) {
            return word.replace(middle, "#");
        }
        let is_digest = |part: &&str| {
            let hex = part.bytes().all(|b| b.is_ascii_hexdigit());
            part.len() >= 12 && hex && part.bytes().any(|b| b.is_ascii_digit())
        };
        let parts = word.split(|c: char| !c.is_ascii_alphanumeric());
        parts
            .filter(is_digest)
            .fold(word.to_owned(), |word, digest| word.replace(digest, "#"))
    };
    line.split_whitespace()
        .map(word)
        .collect::<Vec<_>>()
        .join(" ")
}

/// The variables by which the commands find these servers.
fn servers(github: &FakeGitHub, packages: &PackageServer) -> Vec<(&'static str, String)> {
    vec![
        ("GITHUB_API_URL", github.api_url().to_owned()),
        ("GITHUB_TOKEN", "writer".to_owned()),
        ("GITHUB_REPOSITORY", "octo/images".to_owned()),
        ("JULIA_PKG_SERVER", packages.url()),
        // The version that the examples' manifests are for, which they do not say.
        ("SYSFORGE_JULIA", "1.5".to_owned()),
    ]
}

/// Whether a line of the doctor differs between machines: one that has clang or not, with much free disk
/// space or little.
fn depends_on_the_machine(line: &str) -> bool {
    let is_of_disk = ["ok disk space", "warning disk space", "→ free some"];
    line.starts_with("probe ") && line.contains("/clang")
        || is_of_disk.iter().any(|start| line.starts_with(start))
}

/// Compares the output with the page; a line `…` on the page matches any lines.
fn matches(shown: &[String], came: &str) -> bool {
    fn rest(shown: &[String], came: &[String]) -> bool {
        match shown.split_first() {
            None => came.is_empty(),
            Some((line, more)) if line == "…" => {
                (0..=came.len()).any(|skip| rest(more, &came[skip..]))
            }
            Some((line, more)) => came
                .split_first()
                .is_some_and(|(first, others)| first == line && rest(more, others)),
        }
    }
    let lines = |lines: &mut dyn Iterator<Item = &str>| -> Vec<String> {
        let normalized = lines.map(normalized);
        normalized
            .filter(|line| !line.is_empty() && !depends_on_the_machine(line))
            .collect()
    };
    let shown = lines(&mut shown.iter().map(String::as_str));
    let came = lines(&mut came.lines());
    rest(&shown, &came)
}

/// Placeholders in `sh` blocks and their replacements. The first match counts, so longer ones come
/// first. `SCRATCH` is a temporary folder of the test.
const REPLACEMENTS: [(&str, &str); 14] = [
    // Without this option it asks for a password.
    ("minisign -G", "minisign -G -W"),
    ("script.jl", "workload.jl"),
    ("/shared/julia-1.12.7", "1.5"),
    ("/shared/", "SCRATCH/shared/"),
    ("/srv/images", "SCRATCH/srv/images"),
    ("https://example.org/images", "SCRATCH/srv/images"),
    ("/srv/julia", "MIRROR"),
    ("https://mirror.example.org/julia", "MIRROR"),
    ("OWNER/REPO", "octo/images"),
    ("OWNER/NAME", "octo/images"),
    ("1.12.7", "1.5.3"),
    ("1.12", "1.5"),
    ("$TMPDIR", "SCRATCH"),
    ("~/", "SCRATCH/"),
];

/// Commands in `sh` blocks that are not run here, by their beginning, and the reason. Those of
/// Sysforge are still parsed (`crates/cli/src/reference.rs`).
const NOT_RUN: [(&str, &str); 16] = [
    (
        "ci/",
        "each script of ci/ is run by itself, and some run this test",
    ),
    ("git clone", "the network"),
    ("git push", "the network"),
    ("cargo install", "this test has the program already"),
    ("cd ", "this test is in the folder already"),
    ("export ", "set by this test for all commands"),
    ("sysforge publish --to s3:", "ci/hosts has a service"),
    ("sysforge install s3:", "ci/hosts has a service"),
    ("podman ", "there are no containers here"),
    ("julia --project -e", "needs a registry of packages"),
    ("sysforge toolchain install", "the network"),
    (
        "sysforge --mirror /srv/julia --require-signature",
        "a mirror with a key of its own",
    ),
    ("curl ", "the network"),
    ("sh install.sh", "tests/installer.rs"),
    ("sudo ", "the whole machine"),
    (
        "sysforge link IMAGE-o.a",
        "another platform's Julia; ci/link-lab",
    ),
];

/// What the pages assume: the checksums of a release of Sysforge, and a repository.
const PREPARED: &str = "git init --quiet && git config user.name Me && \
     git config user.email me@example.org";

/// What pages take for granted that name the checksums of a Sysforge release. Any other page would build
/// its image again, as a new file in the project may decide it.
const CHECKSUMS: &str = "printf '%064d  sysforge-x86_64-linux-gnu\\n' 0 >SHA256SUMS";

/// The page that starts with a project without Sysimage.toml.
const WITHOUT_CONFIG: &str = "docs/src/how-to/ci.md";

/// The page about a reader's own package: its project depends on registered packages.
const ON_A_PACKAGE: &str = "README.md";

/// The commands in a page's `sh` blocks, with continuation lines joined and without comments.
fn sh_lines(page: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut inside = false;
    let mut pending = String::new();
    for line in page.lines() {
        if line.starts_with("```") {
            inside = line == "```sh";
        } else if inside {
            let code = line.split(" #").next().unwrap().trim();
            match code.strip_suffix('\\') {
                Some(begun) => pending.push_str(begun),
                None if code.is_empty() || code.starts_with('#') => {}
                None => lines.push(std::mem::take(&mut pending) + code),
            }
        }
    }
    lines
}

/// Runs the `sh` blocks of all pages, each page in a copy of the built example; those of
/// [`ON_A_PACKAGE`] in a copy of the example with registered packages, of which nothing is built.
fn run_guides(shell: &mut Shell) -> usize {
    let built = shell.folder.join("examples/InsuranceStats");
    let registered = shell.folder.join("examples/Harbour");
    let packages = PackageServer::start();
    let scratch = shell.home.path().join("scratch");
    std::fs::create_dir_all(&scratch).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let github = runtime
        .block_on(FakeGitHub::start(Options::default()))
        .unwrap();
    shell.variables = servers(&github, &packages);
    let places = [
        ("SCRATCH", scratch.to_string_lossy().into_owned()),
        ("MIRROR", support::mirror().to_string_lossy().into_owned()),
    ];
    let mut pages = Vec::new();
    markdown(&root().join("docs/src"), &mut pages);
    pages.push(root().join("README.md"));
    pages.sort();
    // The tutorial's launcher is no part of the project that was built.
    let _ = std::fs::remove_file(built.join("insurance"));
    // The images that the guides install.
    shell.folder.clone_from(&built);
    let site = format!(
        "sysforge publish --to dir:'{}/srv/images' --tag v1.0.0",
        scratch.display()
    );
    for command in ["sysforge publish --tag v1.0.0", &site] {
        let (came, success) = shell.run(command);
        assert!(success, "{command}: {came}");
    }
    let mut tried = 0;
    for page in pages {
        let text = std::fs::read_to_string(&page).unwrap();
        let lines = sh_lines(&text);
        if lines.is_empty() {
            continue;
        }
        let folder = tempfile::tempdir_in(shell.home.path()).unwrap();
        let project = match page == root().join(ON_A_PACKAGE) {
            true => &registered,
            false => &built,
        };
        // Sysforge never changes files in place, so hard links can replace copies.
        let copy = Command::new("cp")
            .arg("-al")
            .arg(project)
            .arg(folder.path().join("YourPackage.jl"))
            .status();
        assert!(copy.unwrap().success());
        shell.folder = folder.path().join("YourPackage.jl");
        // The only file that the guides change.
        std::fs::remove_file(shell.folder.join("Sysimage.toml")).unwrap();
        std::fs::copy(
            project.join("Sysimage.toml"),
            shell.folder.join("Sysimage.toml"),
        )
        .unwrap();
        if page.ends_with(WITHOUT_CONFIG) {
            std::fs::remove_file(shell.folder.join("Sysimage.toml")).unwrap();
        }
        let checksums = text.contains("SHA256SUMS").then_some(CHECKSUMS);
        for command in std::iter::once(PREPARED).chain(checksums) {
            let (came, success) = shell.run(command);
            assert!(success, "{command}: {came}");
        }
        for line in lines {
            if NOT_RUN.iter().any(|(start, _)| line.starts_with(start)) {
                continue;
            }
            let mut command = line.clone();
            for (name, stand_in) in REPLACEMENTS {
                command = command.replace(name, stand_in);
            }
            for (name, place) in &places {
                command = command.replace(name, place);
            }
            let (came, success) = shell.run(&command);
            assert!(success, "{}: `{line}`:\n{came}", page.display());
            tried += 1;
        }
    }
    assert!(
        packages
            .server()
            .counts()
            .keys()
            .any(|path| path.starts_with("/package/")),
        "{ON_A_PACKAGE} installs no packages"
    );
    shell.folder = built;
    run_gitlab_job(shell, &runtime);
    tried
}

/// Runs the script of the page's `.gitlab-ci.yml`, and installs what it uploaded with the command of the
/// page.
fn run_gitlab_job(shell: &mut Shell, runtime: &tokio::runtime::Runtime) {
    let page = std::fs::read_to_string(root().join("docs/src/how-to/publish.md")).unwrap();
    let (_, job) = page.split_once("# .gitlab-ci.yml\n").unwrap();
    let (job, rest) = job.split_once("```").unwrap();
    let (_, script) = job.split_once("  script:\n").unwrap();
    let script: String = script
        .lines()
        .map(|line| line.trim_start().trim_start_matches("- ").to_owned())
        .filter(|line| line != "|")
        .map(|line| line + "\n")
        .collect();
    let install = rest
        .lines()
        .find(|line| line.starts_with("sysforge install http"));
    let base = job
        .lines()
        .find_map(|line| line.trim().strip_prefix("BASE: "));

    let gitlab = runtime.block_on(GitLabPackagesStandIn::start()).unwrap();
    let (user, token) = gitlab::LOGIN;
    let api = gitlab.api_url();
    let with_login = api.replace("http://", &format!("http://{user}:{token}@"));
    let variables = format!(
        "set -e; CI_API_V4_URL={api} CI_PROJECT_ID=123 CI_COMMIT_TAG=v1.0.0 CI_JOB_TOKEN={}; BASE={}",
        gitlab::JOB_TOKEN,
        base.unwrap()
    );
    let (came, success) = shell.run(&format!("( {variables}\n{script} )"));
    assert!(success, "{came}");
    let files = gitlab.files();
    assert!(
        files.contains(&"images/v1.0.0/sysforge-release.json".to_owned()),
        "{files:?}"
    );

    let home = shell
        .home
        .path()
        .join("scratch/gitlab")
        .display()
        .to_string();
    let public = "https://gitlab.example.org/api/v4";
    let install = install.unwrap().replace(public, &with_login);
    let (came, success) = shell.run(&format!("{install} --store '{home}'"));
    assert!(success, "{install}: {came}");
    assert!(!came.contains(token), "{came}");
}

/// The pages whose `console` blocks are run, in this order and in one shell: later pages use what
/// earlier ones built.
const TESTED_PAGES: [&str; 1] = ["docs/src/tutorial.md"];

/// Runs the commands of all pages, and passes each with its output to `see`.
fn run_all(see: impl FnMut(&str, &ShownCommand, &str, bool)) -> Shell {
    let mut shell = Shell::new();
    run_in(&mut shell, see);
    shell
}

/// Runs them in this shell.
fn run_in(shell: &mut Shell, mut see: impl FnMut(&str, &ShownCommand, &str, bool)) {
    let start = shell.folder.clone();
    for name in TESTED_PAGES {
        // A terminal is in this folder already.
        shell.folder.clone_from(&start);
        let page = std::fs::read_to_string(root().join(name)).unwrap();
        for typed in typed(&page) {
            let (came, success) = shell.run(&typed.command);
            see(name, &typed, &came, success);
        }
    }
    shell.folder = start;
}

#[test]
fn the_pages_show_the_real_output() {
    let mut tried = 0;
    let mut shell = run_all(|name, ShownCommand { command, shown }, came, success| {
        let wanted = !shown.iter().any(|line| line.starts_with("error:"));
        assert_eq!(success, wanted, "{name}: `{command}`:\n{came}");
        assert!(
            matches(shown, came),
            "{name}: `{command}` shows\n{}\nbut prints\n{came}",
            shown.join("\n")
        );
        tried += 1;
    });
    assert!(tried > 10, "only {tried} commands were tried");
    // The guides use what the tutorial has built, and take as long again.
    if std::env::var_os("SYSFORGE_TEST_GUIDES").is_none() {
        eprintln!("the guides are not typed: set SYSFORGE_TEST_GUIDES to do so");
        return;
    }
    let tried = run_guides(&mut shell);
    assert!(tried > 15, "only {tried} commands of guides were tried");
}

/// A project of README's reader, its pages' commands typed in a terminal of this many columns: the stumbles,
/// and how many commands there were.
fn type_readme(columns: u16) -> (Vec<String>, usize) {
    let packages = PackageServer::start();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let github = runtime
        .block_on(FakeGitHub::start(Options::default()))
        .unwrap();
    let mut shell = Shell::new();
    shell.folder = shell.folder.join("examples/Harbour");
    std::fs::remove_file(shell.folder.join("Sysimage.toml")).unwrap();
    shell.variables = servers(&github, &packages);
    shell.open_terminal(columns);
    for command in [PREPARED, CHECKSUMS] {
        let (came, success) = shell.run(command);
        assert!(success, "{command}: {came}");
    }
    let text = std::fs::read_to_string(root().join(ON_A_PACKAGE)).unwrap();
    let (mut stumbles, mut count) = (Vec::new(), 0);
    for line in sh_lines(&text) {
        if NOT_RUN.iter().any(|(start, _)| line.starts_with(start)) {
            continue;
        }
        if line.starts_with("sysforge install") {
            // What the workflow does for a tag.
            let (came, success) = shell.run("sysforge publish --tag v1.0.0 --no-recheck");
            assert!(success, "{came}");
        }
        let replaced = REPLACEMENTS.iter();
        let command = replaced.fold(line.clone(), |line, (name, stand_in)| {
            line.replace(name, stand_in)
        });
        let (came, success) = shell.run(&command);
        count += 1;
        eprintln!("$ {command}\n{came}");
        if !success {
            stumbles.push(format!("README.md: `{line}` fails:\n{came}"));
        }
    }
    (stumbles, count)
}

/// The tutorial, typed in a terminal of this many columns, compared with what the page shows.
fn type_tutorial(columns: u16) -> (Vec<String>, usize) {
    let (mut stumbles, mut count) = (Vec::new(), 0);
    let mut shell = Shell::new();
    shell.open_terminal(columns);
    run_in(
        &mut shell,
        |name, ShownCommand { command, shown }, came, success| {
            count += 1;
            eprintln!("$ {command}\n{came}");
            let wanted = !shown.iter().any(|line| line.starts_with("error:"));
            if success != wanted {
                stumbles.push(format!(
                    "{name}: `{command}` ends otherwise than the page shows:\n{came}"
                ));
            } else if !matches(shown, came) {
                let shown = shown.join("\n");
                stumbles.push(format!(
                    "{name}: `{command}` shows\n{shown}\nbut prints\n{came}"
                ));
            }
        },
    );
    (stumbles, count)
}

#[test]
#[ignore = "ci/first-hour runs it in a clean root"]
fn the_first_hour() {
    // At the same time: they share nothing, and each makes its image with one thread.
    let ((mut stumbles, mut commands), (more, count)) = std::thread::scope(|scope| {
        let readme = scope.spawn(|| type_readme(60));
        let tutorial = type_tutorial(100);
        (readme.join().unwrap(), tutorial)
    });
    stumbles.extend(more);
    commands += count;
    println!("figure first_hour_commands {commands} count");
    println!("figure first_hour_stumbles {} count", stumbles.len());
    assert!(commands > 25, "only {commands} commands were typed");
    assert!(stumbles.is_empty(), "{}", stumbles.join("\n\n"));
}

#[test]
#[ignore = "writes into the pages what comes, where it is not what they show"]
fn write_the_real_output() {
    run_all(|name, ShownCommand { command, shown }, came, _| {
        if !matches(shown, came) {
            let path = root().join(name);
            let page = std::fs::read_to_string(&path).unwrap();
            let old: String = shown.iter().map(|line| format!("{line}\n")).collect();
            // A command over several lines is shown like this; its last line identifies it.
            let last = command.rsplit('\n').next().unwrap();
            let new = page.replacen(&format!("{last}\n{old}"), &format!("{last}\n{came}"), 1);
            std::fs::write(path, new).unwrap();
        }
    });
}
