//! What Julia read decides whether an image is up to date, with a real Julia. The emission takes a minute
//! or two, so there is one.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod support;

use support::Scratch;

#[test]
fn a_file_from_outside_that_julia_included_and_the_path_of_the_package_are_inputs() {
    let outside = tempfile::tempdir().unwrap();
    let shared = outside.path().join("shared.jl");
    let table = outside.path().join("table.txt");
    std::fs::write(&shared, "answer() = 1\n").unwrap();
    std::fs::write(&table, "1\n").unwrap();
    let mut scratch = Scratch::new();
    // No source names the files in full: only Julia knows them.
    scratch.file("where.txt", &outside.path().display().to_string());
    scratch.file(
        "src/Tiny.jl",
        "module Tiny\nconst folder = read(joinpath(@__DIR__, \"..\", \"where.txt\"), String)\n\
         include(joinpath(folder, string(\"sha\", \"red.jl\")))\n\
         const table = joinpath(folder, string(\"tab\", \"le.txt\"))\n\
         include_dependency(table)\nconst rows = countlines(table)\n\
         greet(name) = string(name, answer(), rows)\nhome() = @__DIR__\nend\n",
    );
    scratch.file(
        "workload.jl",
        "using Tiny\nprintln(Tiny.greet(\"world\"))\n",
    );
    scratch.config("julia = \"1.5\"\ncpu = \"native\"\nworkloads = [\"workload.jl\"]\n");
    scratch.sysforge(&["build"]).succeeds();
    let again = scratch.sysforge(&["build"]).succeeds();
    assert!(
        !again.stderr.contains("which a package reads"),
        "{}",
        again.stderr
    );
    for file in [&shared, &table] {
        let before = std::fs::read_to_string(file).unwrap();
        std::fs::write(file, format!("{before}# edited\n")).unwrap();
        // It begins again; one second is too short for its first step.
        let said = scratch.sysforge(&["build", "--timeout", "1"]).fails(5);
        let note = format!("{} changed, which a package reads", file.display());
        assert!(said.contains(&note), "{said}");
        std::fs::write(file, before).unwrap();
    }
    // As it was: the image is the one that was made from these files.
    scratch.sysforge(&["build"]).succeeds();
    // Its function `home` would answer the path of a folder that is no more, so it is not up to date.
    scratch.rename("moved");
    let said = scratch.sysforge(&["build", "--timeout", "1"]).fails(5);
    assert!(!said.contains("nothing that decides the image"), "{said}");
}
