//! What several tests need.

use std::path::Path;

/// Writes the package `X`, which has no dependencies, into a folder.
pub(crate) fn write_package(project: &Path) {
    std::fs::create_dir_all(project.join("src")).unwrap();
    std::fs::write(project.join("src/X.jl"), "module X end").unwrap();
    let text =
        "name = \"X\"\nuuid = \"16f45900-c8d1-57fb-b7c2-070764eb03c4\"\nversion = \"1.0.0\"\n";
    std::fs::write(project.join("Project.toml"), text).unwrap();
}
