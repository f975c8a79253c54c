//! One image of a package that is hard to precompile and uses an artifact: nothing is left to
//! compile, it works elsewhere, and it is not built twice. The emission takes one or two minutes,
//! so one test checks everything.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use support::{Scratch, copy, julia};

const ID: &str = "pricing-julia1.5.3-x86_64-linux-gnu";

/// Creates an artifact in a depot of the project, as a package manager would.
const ARTIFACT: &str = r#"
using Pkg.Artifacts
tree = create_artifact(folder -> write(joinpath(folder, "rates.csv"), "city,1.25\n"))
bind_artifact!("Artifacts.toml", "rates", tree)
println(bytes2hex(tree.bytes))
"#;

const USES_ARTIFACT: &str = r#"
using Pkg.Artifacts
export rate, unit
# Two paths that are kept from when the package was precompiled. Only the second is read.
const TABLE = joinpath(@__DIR__, "..", "data", "table.csv")
const UNITS = joinpath(dirname(@__DIR__), "data", "units.txt")
unit() = chomp(read(UNITS, String))
function rate(name)
    for line in eachline(joinpath(artifact"rates", "rates.csv"))
        key, value = split(line, ',')
        key == name && return parse(Float64, value)
    end
    error("there is no rate for $name")
end
"#;

fn project() -> (Scratch, String) {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/Pricing");
    let scratch = Scratch::empty();
    copy(&example, &scratch.path("."));
    let append = |name: &str, before: &str, text: &str| {
        let path = scratch.path(name);
        let content = std::fs::read_to_string(&path).unwrap();
        std::fs::write(
            path,
            content.replacen(before, &format!("{before}{text}"), 1),
        )
        .unwrap();
    };
    append("src/Pricing.jl", "using Printf\n", USES_ARTIFACT);
    let uuid = "\"44cfe95a-1eb2-52ea-b672-e2afdf69b78f\"\n";
    append("Project.toml", "[deps]\n", &format!("Pkg = {uuid}"));
    append(
        "Manifest.toml",
        "1.5 on.\n",
        &format!("\n[[Pkg]]\nuuid = {uuid}"),
    );
    append(
        "workload.jl",
        "using Pricing\n",
        "println(rate(\"city\"), unit())\n",
    );
    scratch.file("data/units.txt", "EUR\n");
    scratch.file("artifact.jl", ARTIFACT);
    let made = Command::new(julia().join("bin/julia"))
        .args(["--startup-file=no", "artifact.jl"])
        .current_dir(scratch.path("."))
        .env("JULIA_DEPOT_PATH", scratch.path("depot"))
        .output()
        .unwrap();
    let tree = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    assert_eq!(tree.len(), 40, "{}", String::from_utf8_lossy(&made.stderr));
    (scratch, tree)
}

fn build(scratch: &Scratch, args: &[&str]) -> (serde_json::Value, String) {
    let mut command = scratch.command(&["build", "--json"]);
    command
        .args(args)
        .env("JULIA_DEPOT_PATH", scratch.path("depot"));
    let ran = scratch.run(command).succeeds();
    (ran.json()[0].clone(), ran.stderr)
}

#[test]
fn a_difficult_package_leaves_nothing_to_compile_and_its_image_is_portable() {
    let (scratch, tree) = project();
    let (built, said) = build(&scratch, &["--explain"]);
    let receipt = &built["receipt"];

    // Closures, keyword and generated functions, numbers and letters as type parameters.
    let check = &receipt["check"];
    assert_eq!(check["residuals"], serde_json::json!([]), "{said}");
    let statements = &receipt["statements"];
    assert_eq!(statements["failed"], serde_json::json!([]), "{said}");
    assert!(statements["mended"].as_u64().unwrap() > 5, "{statements}");

    // Paths of this machine are listed; those that the image needs are reported.
    let portability = &check["portability"];
    assert_eq!(portability["artifacts"][0]["tree"], tree.as_str());
    let paths = portability["paths"].as_array().unwrap();
    let of = |kind: &str| -> Vec<&str> {
        let found = paths.iter().filter(|found| found["kind"] == kind);
        found.map(|found| found["path"].as_str().unwrap()).collect()
    };
    let needed = of("maybe-needed");
    assert!(
        needed.iter().any(|path| path.ends_with("data/table.csv")),
        "{needed:?}"
    );
    let is_needed = |name: &str| -> serde_json::Value {
        let found = paths
            .iter()
            .find(|found| found["path"].as_str().unwrap().ends_with(name));
        found.unwrap()["needed"].clone()
    };
    assert_eq!(is_needed("data/table.csv"), false);
    assert!(!said.contains("data/table.csv"), "{said}");
    let namespace = ["--user", "--map-root-user", "--mount", "true"];
    let may_hide = Command::new("unshare").args(namespace).status();
    if may_hide.is_ok_and(|status| status.success()) {
        assert_eq!(is_needed("data/units.txt"), true, "{said}");
        assert!(said.contains("the workloads fail where a path"), "{said}");
    } else {
        sysforge_testkit::skip("hiding paths needs the right to a mount namespace");
    }
    assert!(said.contains("data/units.txt"), "{said}");
    // Nothing of Sysforge itself is left in it.
    assert!(
        !needed.iter().any(|path| path.contains(".sysforge")),
        "{needed:?}"
    );
    assert!(
        of("source")
            .iter()
            .any(|path| Path::new(path) == scratch.path(".")),
        "{paths:?}"
    );

    works_elsewhere(
        &scratch,
        Path::new(built["archive"].as_str().unwrap()),
        &tree,
    );
    is_not_built_twice(&scratch);
}

/// Unpacked elsewhere, the image works without the project and the depot.
fn works_elsewhere(scratch: &Scratch, archive: &Path, tree: &str) {
    let elsewhere = tempfile::tempdir().unwrap();
    let unpacked = Command::new("tar")
        .arg("-xzf")
        .arg(archive)
        .current_dir(elsewhere.path())
        .status();
    assert!(unpacked.unwrap().success());
    let rates = elsewhere
        .path()
        .join("artifacts")
        .join(tree)
        .join("rates.csv");
    assert_eq!(std::fs::read_to_string(rates).unwrap(), "city,1.25\n");

    let image = elsewhere.path().join(format!("{ID}.so"));
    let code =
        "print(Pricing.rate(\"city\"), ' ', Pricing.quote_price(Pricing.Money{:EUR}(100.0)))";
    let run = [
        julia().join("bin/julia").into_os_string(),
        "--startup-file=no".into(),
        "-J".into(),
        image.into_os_string(),
        "-e".into(),
        code.into(),
    ];
    // A separate mount namespace hides the project, its depot and its build directory.
    let hide = "mount -t tmpfs tmpfs \"$0\" && exec \"$@\"";
    let mut hidden = Command::new("unshare");
    hidden
        .args(["--mount", "sh", "-c", hide])
        .arg(scratch.path("."))
        .args(&run);
    let may_hide = Command::new("unshare").args(["--mount", "true"]).status();
    if !may_hide.is_ok_and(|status| status.success()) {
        sysforge_testkit::skip("hiding the build's folders needs the right to a mount namespace");
        return;
    }
    let output = hidden
        .current_dir("/")
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", elsewhere.path())
        // The folder of the unpacked archive is a depot.
        .env("JULIA_DEPOT_PATH", elsewhere.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        said,
        "1.25 EUR 100.00",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Unchanged results are reused, and the reason for each change is named.
fn is_not_built_twice(scratch: &Scratch) {
    let (again, _) = build(scratch, &[]);
    assert_eq!(again["reused"], true);

    let records = |name: &str| -> PathBuf { scratch.path(&format!(".sysforge/{ID}/{name}")) };
    let made = |name: &str| {
        std::fs::metadata(records(name))
            .unwrap()
            .modified()
            .unwrap()
    };
    let before = [made("image-o.a"), made(&format!("{ID}.so"))];
    let config = std::fs::read_to_string(scratch.path("Sysimage.toml")).unwrap();
    scratch.config(&format!("archive = \"tar.zst\"\n{config}"));
    let (packed, said) = build(scratch, &["--explain"]);
    assert_eq!(
        before,
        [made("image-o.a"), made(&format!("{ID}.so"))],
        "{said}"
    );
    assert!(packed["archive"].as_str().unwrap().ends_with(".tar.zst"));

    // Only the steps from linking on.
    let (_, said) = build(scratch, &["--explain", "--strip"]);
    assert!(said.contains("link: the setting `strip` changed"), "{said}");
    assert_eq!(before[0], made("image-o.a"), "{said}");
    assert_ne!(before[1], made(&format!("{ID}.so")), "{said}");
}

/// Takes some minutes: builds a base from Julia's sources, and an image on it. Run with `cargo test
/// -- --ignored`.
#[test]
#[ignore = "makes a sysimage of Julia's own, which takes minutes"]
fn a_fresh_base_gives_a_smaller_image_that_holds_every_cpu_target() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/Rota");
    let scratch = Scratch::empty();
    copy(&example, &scratch.path("."));
    let config = std::fs::read_to_string(scratch.path("Sysimage.toml")).unwrap();
    scratch.config(&format!("base = \"fresh\"\n{config}"));
    let (built, said) = build(&scratch, &[]);
    let receipt = &built["receipt"];
    let held = receipt["targets"]["held"].as_array().unwrap();
    assert_eq!(held.len(), 2, "{held:?}");
    assert_eq!(
        receipt["check"]["residuals"],
        serde_json::json!([]),
        "{said}"
    );
    // The shipped base alone is larger.
    assert!(
        receipt["image"]["size"].as_u64().unwrap() < 120_000_000,
        "{said}"
    );
    let portability = &receipt["check"]["portability"];
    let paths = portability["paths"].as_array().unwrap();
    assert!(
        paths.iter().all(|found| found["kind"] == "source"),
        "{paths:?}"
    );
    // The second time, the base is reused.
    let (_, said) = build(&scratch, &["--force"]);
    assert!(
        said.contains("built before from the same sources"),
        "{said}"
    );
}
