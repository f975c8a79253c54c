//! The whole path: the example is built with a real Julia, published to both hosts, and installed
//! into a clean home folder, where its workload runs on the installed image.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

#[path = "support/account.rs"]
mod account;
#[path = "support/juliaup.rs"]
mod juliaup;
mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use account::Account;
use juliaup::{channel, image_of_channel};
use support::{Ran, Scratch, copy, julia};
use sysforge_testkit::github::{FakeGitHub, Fault, Op, Options, Rule};
use sysforge_testkit::server::Server;

/// Runs the binary like a user who has only it and a Julia.
fn in_a_clean_home(scratch: &Scratch, home: &str, args: &[&str], api: Option<&str>) -> Ran {
    let mut command = scratch.command(args);
    let home = scratch.path(home);
    std::fs::create_dir_all(&home).unwrap();
    let path = std::env::var("PATH").unwrap();
    let juliaup = scratch.path("juliaup-bin");
    command
        .current_dir(&home)
        .env("HOME", &home)
        .env("PATH", format!("{}:{path}", juliaup.display()))
        .env("JULIAUP_DEPOT_PATH", &home)
        .env_remove("SYSFORGE_STORE")
        .env_remove("XDG_CACHE_HOME");
    if let Some(api) = api {
        command.env("GITHUB_API_URL", api);
    }
    scratch.run(command)
}

/// Runs the workload with a launcher.
fn workload(scratch: &Scratch, launcher: &Path) -> String {
    let output = Command::new(launcher)
        .args(["--startup-file=no", "--project=.", "workload.jl"])
        .current_dir(scratch.path("."))
        .output()
        .unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{err}");
    String::from_utf8(output.stdout).unwrap()
}

/// In an account without Julia, store and settings, installs the image from a folder together with
/// the Julia that it needs, and runs the workload.
fn in_a_clean_account(example: &Path, site: &Path, printed: &str) {
    let Some(account) = Account::new() else {
        eprintln!("no clean account: this user may make none, so only a clean home was tried");
        return;
    };
    let place = &account.home;
    let binary = place.join("sysforge");
    std::fs::copy(env!("CARGO_BIN_EXE_sysforge"), &binary).unwrap();
    copy(site, &place.join("site"));
    copy(example, &place.join("project"));
    for path in ["site", "project"] {
        let owned = Command::new("chown")
            .args(["-R", &account.name])
            .arg(place.join(path))
            .status();
        assert!(owned.unwrap().success());
    }
    let (done, _, said) = account.run(&binary, &["install", "./site"], place);
    assert!(!done && said.contains("add `--yes` to get it"), "{said}");
    let install = ["install", "./site", "--yes", "--launcher", "bin/insurance"];
    let (done, _, said) = account.run(&binary, &install, place);
    assert!(done, "{said}");
    let launcher = place.join("bin/insurance");
    let arguments = ["--startup-file=no", "--project=.", "workload.jl"];
    let (done, ran, said) = account.run(&launcher, &arguments, &place.join("project"));
    assert!(done, "{said}");
    assert_eq!(ran, printed);
}

/// The plan marks images that a release already has, but not if they were made from other inputs.
fn what_is_released_is_marked(scratch: &Scratch, site: &str) {
    // With the Julia of the mirror, as in the build.
    let plan = ["plan", "--release", site];
    let marked = || scratch.sysforge(&plan).succeeds().stdout;
    assert!(marked().contains("released  already, from the same inputs"));
    let json = scratch.sysforge(&[&plan[..], &["--json"]].concat()).json();
    assert_eq!(json["existing"][0], json["builds"][0]["id"]);
    let workload = std::fs::read_to_string(scratch.path("workload.jl")).unwrap();
    scratch.file("workload.jl", &format!("{workload}\n# changed\n"));
    assert!(!marked().contains("released"));
    scratch.file("workload.jl", &workload);
    scratch.sysforge(&["plan", "--release", "a b"]).fails(2);
}

/// Julia's own package manager downloads the image through `Artifacts.toml` and verifies its tree
/// hash.
fn by_the_package_manager(scratch: &Scratch, julia: &Path, site: &Path) {
    let script = "using Pkg.Artifacts
        toml = ARGS[1]
        folder = ensure_artifact_installed(\"insurance\", toml)
        hash = artifact_hash(\"insurance\", toml)
        @assert artifact_exists(hash) && verify_artifact(hash)
        println(first(filter(endswith(\".so\"), readdir(folder; join=true))))";
    let run = |toml: &Path| {
        Command::new(julia.join("bin/julia"))
            .args(["--startup-file=no", "-e", script])
            .arg(toml)
            .env("HOME", scratch.path("../pkg-home"))
            .env("JULIA_DEPOT_PATH", scratch.path("../depot"))
            .output()
            .unwrap()
    };
    let toml = site.join("v1.0.0/Artifacts.toml");
    // A wrong tree hash is detected, which shows that it is verified.
    let text = std::fs::read_to_string(&toml).unwrap();
    let hash = text.split("git-tree-sha1 = \"").nth(1).unwrap();
    let wrong = scratch.path("../wrong/Artifacts.toml");
    scratch.file(
        "../wrong/Artifacts.toml",
        &text.replace(&hash[..40], &"0".repeat(40)),
    );
    assert!(!run(&wrong).status.success());
    let output = run(&toml);
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{err}");
    let image = String::from_utf8(output.stdout).unwrap();
    let loaded = Command::new(julia.join("bin/julia"))
        .args(["--startup-file=no", "-J", image.trim(), "-e", "print(1)"])
        .output()
        .unwrap();
    assert_eq!(loaded.stdout, b"1");
}

/// The same build with different bytes: an ELF file may have one more byte at its end.
fn another_dist(scratch: &Scratch) -> PathBuf {
    let id = "insurance-julia1.5.3-x86_64-linux-gnu";
    let (work, dist) = (scratch.path("work"), scratch.path("next"));
    std::fs::create_dir_all(&work).unwrap();
    std::fs::create_dir_all(&dist).unwrap();
    let tar = |arguments: &[&str], archive: &Path| {
        let run = Command::new("tar")
            .arg(arguments[0])
            .arg(archive)
            .arg("-C")
            .arg(&work)
            .args(&arguments[1..])
            .status();
        assert!(run.unwrap().success());
    };
    tar(&["-xzf"], &scratch.path(&format!("dist/{id}.tar.gz")));
    let image = work.join(format!("{id}.so"));
    let mut bytes = std::fs::read(&image).unwrap();
    bytes.push(0);
    std::fs::write(&image, &bytes).unwrap();
    let sum = Command::new("sha256sum")
        .arg(&image)
        .output()
        .unwrap()
        .stdout;
    let text = std::fs::read_to_string(work.join("receipt.json")).unwrap();
    let mut receipt: serde_json::Value = serde_json::from_str(&text).unwrap();
    receipt["image"]["size"] = bytes.len().into();
    receipt["image"]["sha256"] = std::str::from_utf8(&sum[..64]).unwrap().into();
    let text = receipt.to_string();
    std::fs::write(work.join("receipt.json"), &text).unwrap();
    std::fs::write(dist.join(format!("{id}.receipt.json")), &text).unwrap();
    tar(
        &["-czf", &format!("{id}.so"), "receipt.json"],
        &dist.join(format!("{id}.tar.gz")),
    );
    dist
}

/// `--juliaup` and `--env`, with an image that is already installed.
fn activate_with_juliaup_and_env(scratch: &Scratch, home: &str, site: &str, julia: &str) {
    juliaup::put(scratch);
    let with = |args: &[&str]| in_a_clean_home(scratch, home, args, None);
    let install = ["install", site, "--julia", julia];
    let link = [&install[..], &["--juliaup", "insurance"]].concat();
    // juliaup refuses to link a channel twice; a channel of Sysforge is linked again.
    for _ in 0..2 {
        let linked = with(&link).succeeds();
        assert_eq!(linked.stdout, "julia +insurance\n");
    }
    let command = channel(scratch, home)["Command"].clone();
    let image = image_of_channel(scratch, home);
    let folder = Path::new(&image).parent().unwrap().display().to_string();
    assert_eq!(command, format!("{folder}/julia"));

    let printed = with(&[&install[..], &["--env"]].concat()).succeeds().stdout;
    let expected = format!(
        "SYSFORGE_JULIA={julia}/bin/julia\nSYSFORGE_IMAGE={image}\nJULIA_LOAD_PATH=:{folder}\n"
    );
    assert_eq!(printed, expected);
}

#[test]
fn the_example_is_published_to_and_installed_from_both_hosts() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/InsuranceStats");
    let scratch = Scratch::empty();
    copy(&example, &scratch.path("."));
    match std::env::var_os("SYSFORGE_TEST_DIST") {
        // A dist directory of the example that was built before.
        Some(dist) => copy(Path::new(&dist), &scratch.path("dist")),
        None => drop(scratch.sysforge(&["build"]).succeeds()),
    }
    let prefix = julia().to_path_buf();
    let julia = prefix.to_string_lossy().into_owned();

    // Signed, in a folder that a web server serves.
    let pair = minisign::KeyPair::generate_unencrypted_keypair().unwrap();
    let secret = pair.sk.to_box(None).unwrap().to_string();
    // Outside of the project, whose files are inputs of the image.
    scratch.file("../maker.key", &secret);
    let key = pair.pk.to_base64();
    let site = scratch.path("../site");
    std::fs::create_dir(&site).unwrap();
    let server = Server::start(&site);
    let to = format!("dir:{}", site.display());
    let url = server.url();
    let publish = [
        "publish",
        "--to",
        &to,
        "--tag",
        "v1.0.0",
        "--base-url",
        &url,
        "--sign-key",
        "../maker.key",
        "--julia",
        &julia,
    ];
    let published = scratch.sysforge(&publish).succeeds();
    assert!(
        published.stderr.contains("came back and loads"),
        "{}",
        published.stderr
    );
    let again = scratch.sysforge(&publish).succeeds();
    assert!(
        again.stdout.contains("is public already"),
        "{}",
        again.stdout
    );
    by_the_package_manager(&scratch, &prefix, &site);

    let here = site.to_string_lossy().into_owned();
    what_is_released_is_marked(&scratch, &here);
    let install = [
        "install",
        &here,
        "--julia",
        &julia,
        "--verify-key",
        &key,
        "--launcher",
        "bin/insurance",
    ];
    in_a_clean_home(&scratch, "one", &install, None).succeeds();
    let launcher = scratch.path("one/bin/insurance");
    let printed = workload(&scratch, &launcher);
    assert_eq!(printed, workload(&scratch, &prefix.join("bin/julia")));
    assert!(!printed.trim().is_empty());
    activate_with_juliaup_and_env(&scratch, "one", &url, &julia);
    in_a_clean_account(&example, &site, &printed);

    // The next release: only one signed by the same publisher replaces the old one.
    let upgrade = ["install", "upgrade"];
    let said = in_a_clean_home(&scratch, "one", &upgrade, None).succeeds();
    assert!(
        said.stderr.contains("v1.0.0 is the newest"),
        "{}",
        said.stderr
    );
    let next = ["publish", "--to", &to, "--tag", "v1.1.0", "--no-recheck"];
    scratch.sysforge(&next).succeeds();
    let said = in_a_clean_home(&scratch, "one", &upgrade, None).fails(7);
    assert!(
        said.contains("`sysforge-release.json` is not signed"),
        "{said}"
    );
    let next = another_dist(&scratch);
    let next = next.to_str().unwrap();
    let publish = [
        "publish",
        "--to",
        &to,
        "--tag",
        "v1.2.0",
        "--dist",
        next,
        "--base-url",
        &url,
        "--sign-key",
        "../maker.key",
        "--no-recheck",
    ];
    scratch.sysforge(&publish).succeeds();
    // A launcher that the user has replaced since is kept, and then so is everything else.
    let written = std::fs::read(&launcher).unwrap();
    std::fs::write(&launcher, "mine").unwrap();
    let said = in_a_clean_home(&scratch, "one", &upgrade, None).fails(7);
    assert!(said.contains("was not written by Sysforge"), "{said}");
    let said = in_a_clean_home(&scratch, "one", &install, None).fails(7);
    assert!(said.contains("was not written by Sysforge"), "{said}");
    assert_eq!(std::fs::read(&launcher).unwrap(), b"mine");
    let listed = in_a_clean_home(&scratch, "one", &["install", "list"], None).succeeds();
    assert!(listed.stdout.contains("v1.0.0") && !listed.stdout.contains("v1.2.0"));
    std::fs::write(&launcher, written).unwrap();
    let said = in_a_clean_home(&scratch, "one", &upgrade, None).succeeds();
    assert!(said.stderr.contains("v1.0.0 → v1.2.0"), "{}", said.stderr);
    assert_eq!(workload(&scratch, &launcher), printed);
    let listed = in_a_clean_home(&scratch, "one", &["install", "list"], None).succeeds();
    assert_eq!(listed.stdout.lines().count(), 2, "{}", listed.stdout);
    // The channel was updated, and is removed with the last image.
    assert!(listed.stdout.contains(&image_of_channel(&scratch, "one")));
    in_a_clean_home(&scratch, "one", &["install", "remove", "insurance"], None).succeeds();
    assert!(channel(&scratch, "one").is_null() && !launcher.exists());

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let github = runtime
        .block_on(FakeGitHub::start(Options::default()))
        .unwrap();
    github.script([
        Rule::once(Op::Upload, Fault::Reset(1_000_000)),
        Rule::once(Op::Download, Fault::Reset(1_000_000)).after(2),
    ]);
    let to_github = |tag: &str| {
        let mut command =
            scratch.command(&["publish", "--repository", "octo/images", "--tag", tag]);
        command
            .env("GITHUB_API_URL", github.api_url())
            .env("GITHUB_TOKEN", "writer");
        let published = scratch.run(command).succeeds();
        let expected = format!("published {tag} at http");
        assert!(published.stdout.contains(&expected), "{}", published.stdout);
    };
    to_github("v1.0.0");
    assert!(!github.releases()[0].draft);

    let install = [
        "install",
        "octo/images",
        "--julia",
        &julia,
        "--launcher",
        "bin/insurance",
    ];
    in_a_clean_home(&scratch, "two", &install, Some(github.api_url())).succeeds();
    let launcher = scratch.path("two/bin/insurance");
    assert_eq!(workload(&scratch, &launcher), printed);

    let listed = in_a_clean_home(&scratch, "two", &["install", "list"], None).succeeds();
    assert!(
        listed.stdout.contains("octo/images v1.0.0"),
        "{}",
        listed.stdout
    );
    in_a_clean_home(&scratch, "two", &["install", "remove", "insurance"], None).succeeds();
    assert!(!launcher.exists());

    // An existing attestation must be valid.
    let strict = [
        "install",
        "octo/images",
        "--julia",
        &julia,
        "--require-attestation",
    ];
    let said = in_a_clean_home(&scratch, "three", &strict, Some(github.api_url())).fails(7);
    assert!(
        said.contains("the host keeps no attestation of it"),
        "{said}"
    );
    let name = "insurance-julia1.5.3-x86_64-linux-gnu.tar.gz";
    let release = &github.releases()[0];
    let archive = release.assets.iter().find(|asset| asset.name == name);
    let digest = archive.unwrap().digest.clone().unwrap();
    github.put_attestation(digest.trim_start_matches("sha256:"), "{}");
    let said = in_a_clean_home(&scratch, "three", &strict[..4], Some(github.api_url())).fails(7);
    assert!(
        said.contains(&format!("no attestation of `{name}` is good")),
        "{said}"
    );
}

#[test]
fn a_token_is_never_shown() {
    let scratch = Scratch::new();
    let secret = "ghp_0123456789abcdef";
    for arguments in [
        &["publish", "--repository", "o/r", "--tag", "v1"][..],
        &[
            "publish",
            "--repository",
            "o/r",
            "--tag",
            "v1",
            "--preflight",
            "--verbose",
        ],
    ] {
        let mut command = scratch.command(arguments);
        // Nothing listens there, so every attempt fails.
        command
            .env("GITHUB_API_URL", "http://127.0.0.1:9")
            .env("GITHUB_TOKEN", format!("{secret}\nX-Injected: 1"));
        let said = scratch.run(command).fails(7);
        assert!(!said.contains(secret), "{said}");
    }
}

#[test]
fn errors_about_missing_things_have_hints() {
    let scratch = Scratch::new();
    let said = scratch.sysforge(&["publish", "--tag", "v1"]).fails(2);
    assert!(
        said.contains("hint: name it with `--repository OWNER/NAME`"),
        "{said}"
    );
    let arguments = ["publish", "--tag", "v1", "--to", "dir:site"];
    let said = scratch.sysforge(&arguments).fails(7);
    assert!(said.contains("no image in [PROJECT]/dist"), "{said}");
    let said = scratch.sysforge(&["install", "./nothing"]).fails(7);
    assert!(
        said.contains("there is no release of Sysforge images at [PROJECT]/nothing"),
        "{said}"
    );
}
