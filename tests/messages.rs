//! The whole message for each of many bad inputs, as a user reads it: what is wrong, where, why, and what
//! to do about it. `tests/snapshots/messages__NAME.snap` has the files, the command, what is printed,
//! and the exit code. No test here emits an image. Review a changed snapshot as someone who has never
//! seen Sysforge.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod support;

use support::Scratch;
use sysforge_testkit::github::make_build;

/// What the project has besides a small package.
type Prepare = fn(&Scratch);

/// Runs a command that fails with this code, prints no data, and compares everything that it prints.
#[track_caller]
fn refuses(name: &str, code: i32, args: &[&str], config: Option<&str>, prepare: Prepare) {
    let scratch = Scratch::new();
    if let Some(text) = config {
        scratch.config(text);
    }
    prepare(&scratch);
    let said = scratch.sysforge(args).fails(code);
    let home = scratch.path("x").parent().unwrap().with_file_name("home");
    let said = said.replace(&*home.to_string_lossy(), "[HOME]");
    let file = config.map(|text| format!("Sysimage.toml:\n{text}\n"));
    let file = file.unwrap_or_default();
    let typed = shell_words::join(args);
    let shown = format!("{file}$ sysforge {typed}\n{said}[exit code {code}]\n");
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => true }, {
        insta::assert_snapshot!(name, shown);
    });
}

macro_rules! refused {
    ($($name:ident: $code:literal, $args:expr, $config:expr, $prepare:expr;)*) => {$(
        #[test]
        fn $name() {
            refuses(stringify!($name), $code, &$args, $config, $prepare);
        }
    )*};
}

/// Nothing else.
fn as_it_is(_: &Scratch) {}

/// An image in dist, of arbitrary bytes.
fn built(scratch: &Scratch) {
    make_build(&scratch.path("dist"), "x86_64-linux-gnu", b"an image");
}

const OLD: Option<&str> = Some("julia = \"1.5\"\n");

// What is typed.
refused! {
    a_mistyped_command: 2, ["biuld"], None, as_it_is;
    a_mistyped_option: 2, ["build", "--juila", "1.5"], None, as_it_is;
    a_duration_without_a_number: 2, ["build", "--timeout", "soon"], None, as_it_is;
    a_number_out_of_range: 2, ["build", "--rounds", "99"], None, as_it_is;
    an_unknown_linker_strategy: 2, ["build", "--linker", "gold"], None, as_it_is;
    a_fingerprint_that_is_none: 2, ["plan", "--trusted-key", "xyz"], None, as_it_is;
    an_unknown_document: 2, ["schema", "workflow"], None, as_it_is;
    a_toolchain_that_does_not_exist: 2, ["toolchain", "install", "msvc"], None, as_it_is;
    a_mirror_of_another_scheme: 2, ["plan", "--mirror", "ftp://example.org/"], None, as_it_is;
    a_mirror_folder_that_does_not_exist: 2, ["plan", "--mirror", "nowhere"], None, as_it_is;
    a_keyring_that_does_not_exist: 2, ["plan", "--keyring", "nowhere.asc"], OLD, as_it_is;
    a_keyring_that_is_a_folder: 2, ["plan", "--keyring", "src"], OLD, as_it_is;
    a_number_that_is_none: 2, ["bench", "--samples", "many"], None, as_it_is;
    an_empty_version_that_is_typed: 2, ["plan", "--julia", ""], None, as_it_is;
    an_empty_compiler: 2, ["plan", "--cc="], None, as_it_is;
    a_compiler_whose_quote_is_not_closed: 2, ["plan", "--cc", "gcc 'x"], OLD, as_it_is;
    a_store_that_is_a_file: 2, ["plan", "--store", "workload.jl"], OLD, as_it_is;
    a_store_below_a_file: 2, ["julia", "install", "1.5", "--store", "workload.jl/store"], OLD, as_it_is;
    a_store_to_list_that_is_a_file: 2, ["cache", "list", "--store", "workload.jl"], OLD, as_it_is;
    a_store_of_images_that_is_a_file: 2, ["install", "list", "--store", "workload.jl"], OLD, as_it_is;
    a_build_folder_that_is_a_file: 2, ["build", "--build-dir", "workload.jl"], OLD, as_it_is;
    a_depot_that_is_a_file: 2, ["instantiate", "--depot", "workload.jl"], OLD, as_it_is;
    a_depot_in_the_configuration_that_is_a_file: 2, ["plan"],
        Some("julia = \"1.5\"\ndepot = \"workload.jl\"\n"), as_it_is;
    a_matrix_below_a_file: 2, ["plan", "--matrix", "--out", "workload.jl/matrix.json"], OLD, as_it_is;
    an_image_to_measure_that_does_not_exist: 2, ["bench", "nowhere.so"], OLD, as_it_is;
    a_chart_and_a_page_in_one_file: 2, ["bench", "--svg", "x", "--html", "x"], OLD, as_it_is;
    a_file_without_a_verification_key: 2, ["install", "./src", "--verify-key", "workload.jl"], None, as_it_is;
}

/// What is printed with these variables set, which name what is wrong.
#[track_caller]
fn refuses_variable(name: &str, value: &str, expected: &str) {
    let scratch = Scratch::new();
    let mut command = scratch.command(&["plan"]);
    command.env(name, value);
    let said = scratch.run(command).fails(2);
    assert!(said.contains(expected), "{name}={value}: {said}");
    assert!(said.contains(name), "{name}={value}: {said}");
}

#[test]
fn an_error_about_the_value_of_a_variable_names_the_variable() {
    refuses_variable("SYSFORGE_TRUSTED_KEY", "zz", "is not the fingerprint");
    refuses_variable("SYSFORGE_OFFLINE", "maybe", "invalid value 'maybe'");
    refuses_variable("SYSFORGE_LOCKED", "2", "invalid value '2'");
    refuses_variable("SYSFORGE_REQUIRE_SIGNATURE", "x", "invalid value 'x'");
    refuses_variable("JULIA_CC", "gcc 'x", "a quote is not closed");
}

#[test]
fn what_is_typed_is_not_blamed_on_a_variable() {
    let scratch = Scratch::new();
    let mut command = scratch.command(&["plan", "--trusted-key", "yy"]);
    command.env("SYSFORGE_TRUSTED_KEY", "zz");
    let said = scratch.run(command).fails(2);
    assert!(
        said.contains("'yy'") && !said.contains("variable"),
        "{said}"
    );
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let scratch = Scratch::new();
    scratch.config("julia = \"1.5\"\n");
    for name in [
        "SYSFORGE_PROJECT",
        "SYSFORGE_JULIA",
        "SYSFORGE_BUILD_DIR",
        "SYSFORGE_DEPOT",
        "SYSFORGE_OFFLINE",
        "SYSFORGE_LOCKED",
        "SYSFORGE_REQUIRE_SIGNATURE",
        "SYSFORGE_KEYRING",
        "SYSFORGE_TRUSTED_KEY",
        "SYSFORGE_TAG",
        "JULIA_CC",
    ] {
        let mut command = scratch.command(&["plan"]);
        command.env(name, "");
        let ran = scratch.run(command).succeeds();
        assert!(
            ran.stdout.contains("1.5.3 (`1.5`)"),
            "{name}: {}",
            ran.stdout
        );
    }
}

#[test]
fn sysforge_alone_prints_its_help() {
    let scratch = Scratch::new();
    let said = scratch.sysforge(&[]).fails(2);
    assert!(
        said.contains("Commands:") && said.contains("Examples:"),
        "{said}"
    );
}

// Which project.
refused! {
    a_project_folder_that_does_not_exist: 2, ["plan", "--project", "nowhere"], None, as_it_is;
    a_project_named_by_its_manifest: 2, ["plan", "--project", "Manifest.toml"], None, |scratch| {
        scratch.file("Manifest.toml", "");
    };
    a_named_environment_that_does_not_exist: 2, ["plan", "--project", "@nowhere"], None, as_it_is;
    a_project_file_with_a_bare_word: 2, ["plan"], OLD, |scratch| {
        scratch.file("Project.toml", "name = Tiny\n");
    };
    a_project_with_a_uuid_that_is_none: 2, ["plan"], OLD, |scratch| {
        scratch.file("Project.toml", "[deps]\nDates = \"ade2\"\n");
    };
    a_manifest_with_conflict_markers: 2, ["plan"], OLD, |scratch| {
        let text = "<<<<<<< HEAD\njulia_version = \"1.5.3\"\n=======\n>>>>>>> other\n";
        scratch.file("Manifest.toml", text);
    };
    a_second_init: 2, ["init"], OLD, as_it_is;
}

// What Sysimage.toml says.
refused! {
    a_string_without_its_end: 2, ["plan"], Some("name = \"x\njulia = \"1.5\"\n"), as_it_is;
    a_key_that_is_there_twice: 2, ["plan"], Some("julia = \"1.5\"\njulia = \"1.6\"\n"), as_it_is;
    a_number_for_a_list: 2, ["plan"], Some("workloads = 3\n"), as_it_is;
    a_number_for_a_version: 2, ["plan"], Some("julia = 1.5\n"), as_it_is;
    an_empty_version: 2, ["plan"], Some("julia = \"\"\n"), as_it_is;
    a_name_with_a_space: 2, ["plan"], Some("name = \"a b\"\n"), as_it_is;
    a_name_that_windows_reserves: 2, ["plan"], Some("name = \"CON\"\n"), as_it_is;
    an_unknown_archive_format: 2, ["plan"], Some("archive = \"rar\"\n"), as_it_is;
    a_part_of_a_platform: 2, ["plan"], Some("[platforms.linux]\nrunner = \"x\"\n"), as_it_is;
    an_unknown_platform: 2, ["plan"], Some("[platforms.solaris]\nrunner = \"x\"\n"), as_it_is;
    a_platform_without_time: 2, ["plan"],
        Some("julia = \"1.5\"\n[platforms.\"x86_64-linux-gnu\"]\ntimeout = 0\n"), as_it_is;
    an_override_that_selects_nothing: 2, ["plan"],
        Some("julia = \"1.5\"\n[[overrides]]\nselect = \"*\"\n\n[[overrides]]\nstrict = true\n"),
        as_it_is;
    a_variable_that_cannot_be_set: 2, ["plan"],
        Some("[[overrides]]\nselect = \"*\"\nenv = { \"A=B\" = \"c\" }\n"), as_it_is;
    a_path_with_backslashes: 2, ["plan"], Some("depot = 'a\\b'\n"), as_it_is;
    a_registry_with_a_password: 2, ["plan"],
        Some("registries = [\"https://me:secret@example.org/r.git\"]\n"), as_it_is;
    an_unknown_key_of_the_workflow: 2, ["plan"], Some("[workflow]\ntag = \"v*\"\n"), as_it_is;
    a_package_that_is_listed_twice: 2, ["plan"], Some("packages = [\"Tiny\", \"Tiny\"]\n"), as_it_is;
    a_statement_file_that_does_not_exist: 2, ["plan"],
        Some("julia = \"1.5\"\nstatements = \"nowhere.txt\"\n"), as_it_is;
    a_workload_that_is_a_folder: 2, ["plan"], Some("julia = \"1.5\"\nworkloads = \"src\"\n"), as_it_is;
    a_workload_without_a_path: 2, ["plan"], Some("julia = \"1.5\"\nworkloads = [\"\"]\n"), as_it_is;
    a_workload_environment_that_does_not_exist: 2, ["plan"],
        Some("julia = \"1.5\"\nworkload-environment = \"nowhere\"\n"), as_it_is;
    a_configuration_that_is_a_folder: 2, ["plan"], None, |scratch| {
        std::fs::create_dir(scratch.path("Sysimage.toml")).unwrap();
    };
}

// What a command is to read or write.
refused! {
    a_script_to_run_that_does_not_exist: 2, ["run", "wrkload.jl"], OLD, as_it_is;
    an_image_to_check_that_does_not_exist: 2, ["check", "nowhere.so"], OLD, as_it_is;
    objects_to_link_without_a_name: 2, ["link", "nowhere.a"], OLD, as_it_is;
    a_report_in_a_folder_that_does_not_exist: 2, ["bench", "--html", "nowhere/report.html"], OLD, as_it_is;
    manual_pages_in_a_file: 2, ["man", "--out", "workload.jl"], None, as_it_is;
    checksums_that_do_not_exist: 2, ["workflow", "--pin", "SHA256SUMS"], OLD, as_it_is;
    checksums_of_something_else: 2, ["workflow", "--pin", "workload.jl"], OLD, as_it_is;
}

// Publishing and installing.
refused! {
    a_release_host_that_does_not_exist: 2, ["publish", "--to", "ftp:site"], OLD, as_it_is;
    a_release_without_a_repository: 2, ["publish"], OLD, as_it_is;
    a_release_without_images: 7, ["publish", "--to", "dir:site", "--tag", "v1"], OLD, as_it_is;
    a_repository_that_is_none: 2, ["publish", "--repository", "octo", "--tag", "v1"], OLD, built;
    a_release_without_a_token: 7, ["publish", "--repository", "o/i", "--tag", "v1"], OLD, built;
    a_tag_that_is_none: 2, ["publish", "--to", "dir:site", "--tag", "a b"], OLD, built;
    notes_that_do_not_exist: 2,
        ["publish", "--to", "dir:site", "--tag", "v1", "--notes-file", "NEWS.md"], OLD, built;
    a_further_file_that_does_not_exist: 2,
        ["publish", "--to", "dir:site", "--tag", "v1", "--file", "nowhere.md"], OLD, built;
    a_further_file_that_is_a_folder: 2,
        ["publish", "--to", "dir:site", "--tag", "v1", "--file", "src"], OLD, built;
    a_base_address_that_is_none: 2,
        ["publish", "--to", "dir:site", "--tag", "v1", "--base-url", "nonsense"], OLD, built;
    a_key_to_sign_with_that_does_not_exist: 2,
        ["publish", "--to", "dir:site", "--tag", "v1", "--sign-key", "nowhere"], OLD, built;
    a_folder_for_releases_that_is_a_file: 2,
        ["publish", "--to", "dir:workload.jl", "--tag", "v1"], OLD, built;
    a_source_that_is_none: 2, ["install", "octo"], None, as_it_is;
    a_source_folder_that_does_not_exist: 7, ["install", "./nowhere"], None, as_it_is;
    a_source_folder_without_a_release: 7, ["install", "./src"], None, as_it_is;
    a_verification_key_that_is_none: 2, ["install", "./src", "--verify-key", "x"], None, as_it_is;
    an_image_to_remove_that_is_not_installed: 7, ["install", "remove", "demo"], None, as_it_is;
}
