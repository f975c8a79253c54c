//! Using an image: `using` finds its packages, however Julia is started; Julia warns of a project with
//! other versions of them; `sysforge run` behaves as Julia does; the store's Julia needs no catalogue.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

#[path = "support/juliaup.rs"]
mod juliaup;
mod support;

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use support::{Scratch, julia};
use sysforge_testkit::github::{FakeGitHub, Options};

const UNITS: &str = "f2b0a1d4-0000-4000-8000-7d1f3a5c9e11";

/// A package that uses another one, built once for all tests here.
struct Desk {
    scratch: Scratch,
    /// What `build` said.
    said: String,
    site: String,
}

fn desk() -> &'static Desk {
    static DESK: OnceLock<Desk> = OnceLock::new();
    DESK.get_or_init(|| {
        julia();
        let scratch = Scratch::shared("using");
        scratch.file(
            "Project.toml",
            &format!(
                "name = \"Desk\"\nuuid = \"8dfed614-0000-4000-8000-85e1c5234f0b\"\n\
                 version = \"0.1.0\"\n\n[deps]\nUnits = \"{UNITS}\"\n"
            ),
        );
        scratch.file("Manifest.toml", &manifest("1.0.0"));
        units(&scratch, "Units", "1.0.0");
        scratch.file(
            "src/Desk.jl",
            "module Desk\nusing Units\nexport greet\ngreet(name) = string(\"hello \", name)\n\
             nth(list, n) = list[n]\nend\n",
        );
        scratch.file(
            "workload.jl",
            "using Desk\nprintln(greet(join(ARGS, \" \")))\nDesk.nth([1, 2], 1)\n",
        );
        // As on a cluster: `srun` starts each Julia that runs the workload.
        let config = slurm_block("toml").replace("1.12.7", "1.5");
        scratch.config(&(config + "julia-options = [\"--check-bounds=no\"]\n"));
        stand_in_for_srun(&scratch);
        let mut build = scratch.command(&["build"]);
        with_srun(&mut build, &scratch).env("SLURM_JOB_ID", "17");
        let said = scratch.run(build).succeeds().stderr;
        let site = scratch.path("../site").display().to_string();
        let to = format!("dir:{site}");
        let publish = ["publish", "--to", &to, "--tag", "v1.0.0", "--no-recheck"];
        scratch.sysforge(&publish).succeeds();
        Desk {
            scratch,
            said,
            site,
        }
    })
}

/// The first block of this language on the page about Slurm.
fn slurm_block(language: &str) -> String {
    let page = support::root().join("docs/src/how-to/slurm.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, rest) = page.split_once(&format!("```{language}\n")).unwrap();
    rest.split_once("```").unwrap().0.to_owned()
}

/// An `srun` that runs the program once for each task, one after the other, and writes down its arguments
/// and the job.
fn stand_in_for_srun(scratch: &Scratch) {
    let path = scratch.path("../srun/srun");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let script = r#"#!/bin/sh
tasks=1
while :; do
    case $1 in
    --ntasks=*) tasks=${1#*=} ;;
    -*) ;;
    *) break ;;
    esac
    shift
done
echo "job ${SLURM_JOB_ID-none}: $*" >>"${0%/*}/log"
task=0
while [ "$task" -lt "$tasks" ]; do
    SLURM_PROCID=$task "$@" || exit
    task=$((task + 1))
done
"#;
    std::fs::write(&path, script).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&path, mode).unwrap();
}

fn with_srun<'a>(command: &'a mut Command, scratch: &Scratch) -> &'a mut Command {
    let path = std::env::var("PATH").unwrap();
    command.env(
        "PATH",
        format!("{}:{path}", scratch.path("../srun").display()),
    )
}

#[test]
fn the_prefix_of_a_workload_starts_julia_to_trace_check_and_measure_it() {
    let log = std::fs::read_to_string(desk().scratch.path("../srun/log")).unwrap();
    let started = |words: &[&str]| {
        let has = |line: &&str| words.iter().all(|word| line.contains(word));
        log.lines().filter(has).count()
    };
    assert!(started(&["--trace-compile", "workload.jl"]) > 0, "{log}");
    let on_image = ["--sysimage", "--trace-compile", "workload.jl"];
    assert!(started(&on_image) > 0, "{log}");
    assert!(
        started(&["--sysimage", "measure.jl", "workload.jl"]) > 0,
        "{log}"
    );
    // What a real srun needs to run within the job that it is in.
    let all = started(&["workload.jl"]);
    assert_eq!(started(&["job 17: ", "workload.jl"]), all, "{log}");
}

#[test]
fn the_launcher_is_started_by_srun_as_the_page_about_slurm_says() {
    let launcher = desk().scratch.path("../by-srun").display().to_string();
    install("slurm", &["--launcher", &launcher]);
    let line = slurm_block("bash");
    let line = line.lines().find(|line| line.starts_with("srun ")).unwrap();
    let line = line
        .replace("/shared/bin/julia-insurance", &format!("'{launcher}'"))
        .replace(
            "simulation.jl",
            "--startup-file=no -e 'using Desk; println(greet(ENV[\"SLURM_PROCID\"]))'",
        );
    let mut command = Command::new("sh");
    command.args(["-c", &line]);
    let output = with_srun(&mut command, &desk().scratch).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "hello 0\nhello 1\nhello 2\nhello 3\n",
        "{said}"
    );
}

fn manifest(version: &str) -> String {
    format!("[[Units]]\npath = \"Units\"\nuuid = \"{UNITS}\"\nversion = \"{version}\"\n")
}

fn units(scratch: &Scratch, folder: &str, version: &str) {
    let project = format!("name = \"Units\"\nuuid = \"{UNITS}\"\nversion = \"{version}\"\n");
    scratch.file(&format!("{folder}/Project.toml"), &project);
    scratch.file(&format!("{folder}/src/Units.jl"), "module Units\nend\n");
}

/// Runs a line as a user types it, where no project is, with arguments behind it.
fn typed(line: &str, arguments: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    Command::new("sh")
        .args(["-c", &format!("{line} --startup-file=no {arguments}")])
        .current_dir(folder.path())
        .env("HOME", folder.path())
        .env_remove("JULIA_LOAD_PATH")
        .env_remove("JULIA_PROJECT")
        .output()
        .unwrap()
}

#[track_caller]
fn greets(line: &str) {
    let output = typed(line, "-e 'using Desk, Units; print(greet(\"you\"))'");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "hello you",
        "{said}"
    );
    assert_eq!(said, "");
}

/// Installs the image for a user of its own.
fn install(user: &str, more: &[&str]) -> String {
    let desk = desk();
    let mut command = desk.scratch.command(&["install", &desk.site]);
    command
        .args(more)
        .args(["--julia", julia().to_str().unwrap()]);
    in_home(&mut command, user);
    desk.scratch.run(command).succeeds().stdout
}

fn in_home(command: &mut Command, user: &str) {
    let home = desk().scratch.path("..").join(user);
    std::fs::create_dir_all(&home).unwrap();
    // Without `..`, and so without the space in the project's name: VS Code cannot use such a path.
    let home = home.canonicalize().unwrap();
    let path = std::env::var("PATH").unwrap();
    let juliaup = desk().scratch.path("juliaup-bin");
    command
        .env("PATH", format!("{}:{path}", juliaup.display()))
        .env("JULIAUP_DEPOT_PATH", &home)
        .env("SYSFORGE_STORE", home.join("store"));
}

#[test]
fn using_works_with_the_line_that_build_prints() {
    let line = desk()
        .said
        .lines()
        .find_map(|line| line.strip_prefix("start Julia with it: "));
    greets(line.unwrap());
}

#[test]
fn using_works_with_the_line_that_install_prints() {
    let line = install("line", &[]);
    assert!(line.starts_with("JULIA_LOAD_PATH=:"), "{line}");
    greets(line.trim_end());
}

#[test]
fn the_options_for_julia_decide_the_code_in_the_image() {
    let line = install("options", &[]);
    let third = "-e 'using Desk; Desk.nth([1, 2], 3); print(\"unchecked\")'";
    let output = typed(line.trim_end(), third);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "unchecked",
        "{said}"
    );
}

#[test]
fn using_works_with_a_launcher() {
    let launcher = desk().scratch.path("../launcher/bin/desk");
    install("launcher", &["--launcher", launcher.to_str().unwrap()]);
    greets(&format!("'{}'", launcher.display()));
}

#[test]
fn using_works_with_the_variables_that_install_prints() {
    let printed = install("env", &["--env"]);
    let exports = printed.lines().map(|line| {
        let (name, value) = line.split_once('=').unwrap();
        format!("export {name}='{value}'; ")
    });
    let exports: String = exports.collect();
    greets(&format!(
        "{exports} \"$SYSFORGE_JULIA\" --sysimage=\"$SYSFORGE_IMAGE\""
    ));
}

#[test]
fn using_works_with_a_juliaup_channel() {
    let desk = desk();
    juliaup::put(&desk.scratch);
    assert_eq!(
        install("channel", &["--juliaup", "insurance"]),
        "julia +insurance\n"
    );
    let linked = juliaup::channel(&desk.scratch, "../channel");
    let command = linked["Command"].as_str().unwrap();
    let image = juliaup::image_of_channel(&desk.scratch, "../channel");
    greets(&format!("'{command}' '--sysimage={image}'"));
}

#[test]
fn what_is_set_in_the_load_path_comes_first() {
    let line = install("mine", &[]);
    let folder = desk().scratch.path("../mine-load");
    std::fs::create_dir_all(folder.join("Mine/src")).unwrap();
    std::fs::write(folder.join("Mine/src/Mine.jl"), "module Mine\nend\n").unwrap();
    let mut command = desk().scratch.command(&["install", &desk().site]);
    in_home(&mut command, "mine");
    command
        .args(["--julia", julia().to_str().unwrap()])
        .env("JULIA_LOAD_PATH", format!("{}:@stdlib", folder.display()));
    let set = desk().scratch.run(command).succeeds().stdout;
    assert_ne!(line, set);
    let output = typed(
        set.trim_end(),
        "-e 'using Mine, Desk; print(first(LOAD_PATH))'",
    );
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        folder.display().to_string(),
        "{said}"
    );
}

/// A project with another version of a package in the image.
fn other_project() -> PathBuf {
    let desk = desk();
    let name = "../other";
    let project = format!("[deps]\nUnits = \"{UNITS}\"\n");
    desk.scratch.file(&format!("{name}/Project.toml"), &project);
    desk.scratch
        .file(&format!("{name}/Manifest.toml"), &manifest("1.1.0"));
    desk.scratch.path(name)
}

#[test]
fn another_version_in_the_active_project_is_told_at_start_up() {
    let line = install("told", &[]);
    let project = other_project();
    let output = typed(
        line.trim_end(),
        &format!("'--project={}' -e 'print(1)'", project.display()),
    );
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains(
            "warning: Units is version 1.0.0 in the sysimage, which Julia uses, but 1.1.0 in"
        ),
        "{said}"
    );
    assert_eq!(output.stdout, b"1");
    // The project that the image was built from agrees.
    let own = desk().scratch.path(".");
    let output = typed(
        line.trim_end(),
        &format!("'--project={}' -e 'print(1)'", own.display()),
    );
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn another_version_in_the_project_is_told_by_the_doctor() {
    install("doctor", &[]);
    let project = other_project();
    let mut command = desk()
        .scratch
        .command(&["doctor", "--project", project.to_str().unwrap()]);
    in_home(&mut command, "doctor");
    let output = command.output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(
        printed.contains("Units 1.0.0 (the project has 1.1.0)"),
        "{printed}"
    );
}

#[test]
fn run_passes_arguments_and_exit_codes_on() {
    let scratch = &desk().scratch;
    let ran = scratch
        .sysforge(&["run", "workload.jl", "--you", "too"])
        .succeeds();
    assert_eq!(ran.stdout, "hello --you too\n");
    assert_eq!(ran.stderr, "", "nothing had to be built");
    let script = scratch.path("../exit.jl");
    std::fs::write(&script, "exit(length(ARGS))").unwrap();
    scratch
        .sysforge(&["run", script.to_str().unwrap(), "1", "2", "3"])
        .ends_with(3);
    let code = "using Desk; print(Threads.nthreads(), dirname(Base.active_project()))";
    let ran = scratch
        .sysforge(&["run", "--", "-t", "2", "-e", code])
        .succeeds();
    let folder = scratch.path("").canonicalize().unwrap();
    assert_eq!(ran.stdout, format!("2{}", folder.display()));
}

#[test]
fn run_is_the_julia_that_it_starts() {
    let scratch = &desk().scratch;
    let code = "println(getpid()); flush(stdout); sleep(600)";
    let mut child = scratch
        .command(&["run", "--", "-e", code])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut printed = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut printed, &mut line).unwrap();
    // It took the place of Sysforge, so whatever is sent to one reaches the other.
    assert_eq!(line.trim(), child.id().to_string());
    let killed = Command::new("kill").args(["-TERM", line.trim()]).status();
    assert!(killed.unwrap().success());
    let ended = child.wait().unwrap();
    // Julia handles the signal, and ends with the code that shells report for it.
    assert!(
        ended.signal() == Some(15) || ended.code() == Some(143),
        "{ended}"
    );
}

#[test]
fn the_julia_in_the_store_is_at_hand_without_a_network() {
    let desk = desk();
    // Nothing answers there, and connecting to it takes long.
    let offline = |args: &[&str]| {
        let mut command = desk.scratch.command(args);
        command
            .env("SYSFORGE_MIRROR", "http://192.0.2.1/julia")
            // The workload's prefix, which verify runs, too, and no Julia.
            .env(
                "PATH",
                format!("{}:/usr/bin:/bin", desk.scratch.path("../srun").display()),
            )
            .env("SLURM_JOB_ID", "17");
        let started = std::time::Instant::now();
        let ran = desk.scratch.run(command).succeeds();
        assert!(started.elapsed() < Duration::from_secs(60));
        ran
    };
    let program = format!("{}\n", julia().join("bin/julia").display());
    for request in ["1.5.3", "1.5", "^1.5"] {
        assert_eq!(
            offline(&["julia", "path", request]).stdout,
            program,
            "{request}"
        );
    }
    assert_eq!(offline(&["julia", "install", "1.5.3"]).stdout, program);
    // Neither a Julia on the search path nor a question.
    let line = offline(&["install", &desk.site]).stdout;
    assert!(line.contains(program.trim_end()), "{line}");
    let verified = offline(&["verify", &desk.site]);
    assert_eq!(verified.stdout, "Desk-julia1.5.3-x86_64-linux-gnu\n");
    let to = format!("dir:{}", desk.scratch.path("../site-2").display());
    let published = offline(&["publish", "--to", &to, "--tag", "v1.0.0"]);
    assert!(
        published.stderr.contains("came back and loads"),
        "{}",
        published.stderr
    );
    assert!(Path::new(&desk.site).is_dir());
}

#[test]
fn files_for_other_programs_start_the_image_and_go_with_it() {
    let files = desk().scratch.path("../files");
    let path = |name: &str| files.join(name).display().to_string();
    let home = desk().scratch.path("../integrated");
    std::fs::create_dir_all(&home).unwrap();
    let run = |args: &[&str]| {
        let mut command = desk().scratch.command(args);
        in_home(&mut command, "integrated");
        command.env("JUPYTER_DATA_DIR", home.join("jupyter"));
        command.args(["--julia", julia().to_str().unwrap()]);
        desk().scratch.run(command)
    };
    let (python, module) = (path("python.sh"), path("desk.lua"));
    let (pluto, oci, folder) = (path("pluto.jl"), path("Containerfile"), path("workspace"));
    let install = [
        "install",
        &desk().site,
        "--jupyter",
        "--vscode",
        &folder,
        "--pluto",
        &pluto,
        "--python",
        &python,
        "--module",
        &module,
        "--oci",
        &oci,
    ];
    run(&install).succeeds();
    let kernel = home.join("jupyter/kernels/sysforge-desk/kernel.json");
    let settings = PathBuf::from(&folder).join(".vscode/settings.json");
    let read = |path: &Path| -> serde_json::Value {
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    };
    let argv = read(&kernel)["argv"].clone();
    assert!(
        argv[1].as_str().unwrap().starts_with("--sysimage="),
        "{argv}"
    );
    // What each of them starts has the packages of the image.
    let program = read(&settings)["julia.executablePath"].clone();
    let program = program.as_str().unwrap();
    greets(&format!("'{program}'"));
    // The Julia extension asks for the version first, and uses the program if the answer begins so.
    let version = typed(&format!("'{program}'"), "--version");
    assert!(
        version.stdout.starts_with(b"julia version 1."),
        "{version:?}"
    );
    runs_pluto(program, &pluto, &files.join("Pluto"));
    // juliacall refuses an executable without a project.
    greets(&format!(
        ". '{python}'; test -d \"$PYTHON_JULIACALL_PROJECT\" && \"$PYTHON_JULIACALL_EXE\" --sysimage=\"$PYTHON_JULIACALL_SYSIMAGE\""
    ));
    run(&["install", "remove", "Desk"]).succeeds();
    for file in [
        kernel,
        settings,
        pluto.into(),
        python.into(),
        module.into(),
        oci.into(),
    ] {
        assert!(!file.exists(), "{}", file.display());
    }
}

/// Runs the script with a stand-in of Pluto, whose `run` has the keyword argument of the real one.
fn runs_pluto(program: &str, script: &str, stand_in: &Path) {
    std::fs::create_dir_all(stand_in.join("src")).unwrap();
    let code = "module Pluto\nrun(; sysimage::Union{Nothing,String} = nothing) =\n    \
                print(sysimage == unsafe_string(Base.JLOptions().image_file))\nend\n";
    std::fs::write(stand_in.join("src/Pluto.jl"), code).unwrap();
    let name = "name = \"Pluto\"\nuuid = \"c3e4b0f8-55cb-11ea-2926-15256bba5781\"\n";
    std::fs::write(stand_in.join("Project.toml"), name).unwrap();
    let project = format!("--project='{}' '{script}'", stand_in.display());
    let ran = typed(&format!("'{program}'"), &project);
    assert_eq!(String::from_utf8_lossy(&ran.stdout), "true", "{ran:?}");
}

/// Most workspaces have settings already.
#[test]
fn settings_of_a_workspace_are_not_replaced_and_the_message_has_the_lines() {
    let folder = desk().scratch.path("../settled");
    let file = folder.join(".vscode/settings.json");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, "{ \"editor.tabSize\": 4 }\n").unwrap();
    let mut command = desk().scratch.command(&["install", &desk().site]);
    in_home(&mut command, "settled-home");
    command.args(["--julia", julia().to_str().unwrap()]);
    command.arg("--vscode").arg(&folder);
    let said = desk().scratch.run(command).fails(7);
    let line = "hint: add to it: \"julia.executablePath\": \"/";
    assert!(said.contains(line), "{said}");
    let kept = std::fs::read_to_string(&file).unwrap();
    assert_eq!(kept, "{ \"editor.tabSize\": 4 }\n");
}

#[test]
fn a_file_of_another_program_is_not_replaced() {
    let file = desk().scratch.path("../theirs.lua");
    std::fs::write(&file, "-- mine\n").unwrap();
    let mut command = desk().scratch.command(&["install", &desk().site]);
    in_home(&mut command, "theirs");
    command.args([
        "--julia",
        julia().to_str().unwrap(),
        "--module",
        file.to_str().unwrap(),
    ]);
    let said = desk().scratch.run(command).fails(7);
    assert!(
        said.contains("theirs.lua was not written by Sysforge"),
        "{said}"
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "-- mine\n");
}

#[test]
fn an_image_is_built_on_the_installed_image_of_a_release() {
    let desk = desk();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let github = FakeGitHub::start(Options::default());
    let github = runtime.block_on(github).unwrap();
    let scratch = Scratch::new();
    let typed = |of: &Scratch, args: &[&str]| {
        let mut command = of.command(args);
        command
            .env("GITHUB_API_URL", github.api_url())
            .env("GITHUB_TOKEN", "writer")
            .env("SYSFORGE_STORE", scratch.path("store"));
        of.run(command)
    };
    let to = ["--repository", "octo/images", "--tag", "v1.0.0"];
    typed(
        &desk.scratch,
        &[&["publish", "--no-recheck"], &to[..]].concat(),
    )
    .succeeds();
    let uuid = "uuid = \"8dfed614-0000-4000-8000-85e1c5234f0c\"";
    scratch.file(
        "Project.toml",
        &format!("name = \"Tiny\"\n{uuid}\nversion = \"0.1.0\"\n"),
    );
    scratch
        .config("julia = \"1.5\"\nworkloads = [\"workload.jl\"]\nbase = \"octo/images@v1.0.0\"\n");
    let missing = typed(&scratch, &["plan"]).fails(2);
    assert!(
        missing.contains("sysforge install octo/images@v1.0.0"),
        "{missing}"
    );
    let install = [
        "install",
        "octo/images",
        "--julia",
        julia().to_str().unwrap(),
    ];
    typed(&scratch, &install).succeeds();
    let plan = typed(&scratch, &["plan"]).succeeds().stdout;
    assert!(
        plan.contains("\n  base      octo/images@v1.0.0: "),
        "{plan}"
    );
    let built = typed(&scratch, &["build", "--json"]).succeeds().json();
    let packages = built[0]["receipt"]["packages"].as_array().unwrap();
    for name in ["Desk", "Units", "Tiny"] {
        assert!(
            packages.iter().any(|package| package["name"] == name),
            "{name}: {packages:?}"
        );
    }
    assert_eq!(
        built[0]["receipt"]["check"]["residuals"],
        serde_json::json!([])
    );
}

#[test]
fn a_base_is_named_by_its_path() {
    let desk = desk();
    let id = "Desk-julia1.5.3-x86_64-linux-gnu";
    let base = desk.scratch.path(&format!(".sysforge/{id}/{id}.so"));
    let scratch = Scratch::new();
    std::fs::create_dir(scratch.path("images")).unwrap();
    std::fs::hard_link(base, scratch.path("images/desk.so")).unwrap();
    scratch.config("julia = \"1.5\"\nbase = \"images/desk.so\"\n");
    let plan = scratch.sysforge(&["plan"]).succeeds().stdout;
    assert!(plan.contains("\n  base      images/desk.so\n"), "{plan}");
}

#[test]
fn a_base_that_julia_cannot_start_with_is_an_error() {
    let scratch = Scratch::new();
    scratch.config("julia = \"1.5\"\nbase = \"images/core.so\"\n");
    let missing = scratch.sysforge(&["plan"]).fails(2);
    assert!(missing.contains("images/core.so"), "{missing}");
    scratch.file("images/core.so", "not an image");
    let error = scratch.sysforge(&["build"]).fails(2);
    assert!(
        error.contains(
            "error: Julia 1.5.3 does not start with [PROJECT]/images/core.so as its sysimage"
        ),
        "{error}"
    );
    scratch.config("base = \"frehs\"\n");
    let error = scratch.sysforge(&["plan"]).fails(2);
    assert!(error.contains("did you mean `fresh`?"), "{error}");
}
