//! Generates a `Sysimage.toml` for a project from the files that it contains.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use sysforge_plan::config;
use sysforge_plan::text::ImageName;

use crate::error::EngineError;
use crate::failure::Failure;
use crate::paths::write_file;
use crate::project::Location;

/// Usual names of workload scripts, most likely first.
const WORKLOADS: [&str; 9] = [
    "workload.jl",
    "precompile/workload.jl",
    "precompile/precompile.jl",
    "precompile.jl",
    "build/precompile.jl",
    "deps/precompile.jl",
    "test/precompile.jl",
    "test/workload.jl",
    "test/runtests.jl",
];

/// Files of recorded statements that a project may contain.
const STATEMENTS: [&str; 3] = [
    "precompile_statements.jl",
    "precompile/precompile_statements.jl",
    "precompile/statements.jl",
];

/// Writes a `Sysimage.toml` for the project. Returns its path and the files that it is based on. An
/// existing one is replaced only with `force`.
///
/// # Errors
///
/// If there is no project, the file exists already, or it cannot be written.
pub fn write(location: &Location, force: bool) -> Result<(PathBuf, Found), Failure> {
    let folder = location.folder()?;
    let path = folder.join(config::FILE_NAME);
    if path.exists() && !force {
        return Err(EngineError::Exists(path).into());
    }
    let found = Found::look(&folder, location.name()?.is_some());
    let text = found.text();
    config::Config::from_toml(config::FILE_NAME, &text)?;
    write_file(&path, &text)?;
    Ok((path, found))
}

/// The files found in a project.
#[derive(Debug)]
pub struct Found {
    /// The image's name, if the project has no name and the folder's name is not valid.
    name: Option<String>,
    /// The script that is most likely the workload.
    pub workloads: Vec<&'static str>,
    statements: Vec<&'static str>,
}

impl Found {
    /// Searches the project in this folder; `named` says whether it has a name.
    pub fn look(folder: &Path, named: bool) -> Self {
        let there = |name: &&str| folder.join(name).is_file();
        let folder_name = folder.file_name().unwrap_or_default().to_string_lossy();
        Self {
            name: usable_name(&folder_name, named),
            // One is enough: the others are usually parts of it, or older.
            workloads: WORKLOADS.into_iter().filter(there).take(1).collect(),
            statements: STATEMENTS.into_iter().filter(there).collect(),
        }
    }

    /// Returns the text of a `Sysimage.toml`.
    pub fn text(&self) -> String {
        let mut text =
            String::from("# What `sysforge build` puts into the image. Every key has a default.\n");
        if let Some(name) = &self.name {
            let _ = writeln!(text, "name = \"{name}\" # part of every file name");
        }
        let list = |names: &[&str]| {
            let names: Vec<_> = names.iter().map(|name| format!("\"{name}\"")).collect();
            names.join(", ")
        };
        if self.workloads.is_empty() {
            text.push_str("# workloads = [\"workload.jl\"] # run and traced; what they compile is in the image\n");
        } else {
            let _ = writeln!(
                text,
                "workloads = [{}] # run and traced; what they compile is in the image",
                list(&self.workloads)
            );
        }
        if self.workloads == ["test/runtests.jl"] {
            text.push_str(
                "# Tests run here without the packages that only they need: if they use some, write a\n\
                 # workload of its own.\n",
            );
        }
        if !self.statements.is_empty() {
            let _ = writeln!(text, "statements = [{}]", list(&self.statements));
        }
        text
    }
}

/// Returns a name derived from that of the folder, if one is needed.
fn usable_name(folder: &str, named: bool) -> Option<String> {
    if named || ImageName::new(folder).is_ok() {
        return None;
    }
    let letters = folder.chars().map(|c| match c {
        c if c.is_ascii_alphanumeric() || ".-_".contains(c) => c,
        _ => '-',
    });
    let name: String = letters.take(64).collect();
    let name = name.trim_matches(['.', '-', '_']);
    let usable = ImageName::new(name).is_ok();
    Some(if usable { name } else { "image" }.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn for_files(files: &[&str]) -> String {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        Found::look(folder.path(), true).text()
    }

    #[test]
    fn the_likeliest_script_is_the_workload() {
        let files = [
            "test/runtests.jl",
            "precompile/workload.jl",
            "precompile_statements.jl",
        ];
        insta::assert_snapshot!(for_files(&files), @r#"
        # What `sysforge build` puts into the image. Every key has a default.
        workloads = ["precompile/workload.jl"] # run and traced; what they compile is in the image
        statements = ["precompile_statements.jl"]
        "#);
    }

    #[test]
    fn tests_are_a_workload_if_there_is_no_other() {
        insta::assert_snapshot!(for_files(&["test/runtests.jl"]), @r#"
        # What `sysforge build` puts into the image. Every key has a default.
        workloads = ["test/runtests.jl"] # run and traced; what they compile is in the image
        # Tests run here without the packages that only they need: if they use some, write a
        # workload of its own.
        "#);
        insta::assert_snapshot!(for_files(&[]), @r#"
        # What `sysforge build` puts into the image. Every key has a default.
        # workloads = ["workload.jl"] # run and traced; what they compile is in the image
        "#);
    }

    #[test]
    fn a_folder_whose_name_cannot_be_one_gets_another() {
        let name = |folder| usable_name(folder, false);
        assert_eq!(name("Insurance"), None);
        assert_eq!(name("my project").as_deref(), Some("my-project"));
        assert_eq!(name("(copy)").as_deref(), Some("copy"));
        assert_eq!(name("プロジェクト").as_deref(), Some("image"));
        assert_eq!(usable_name("my project", true), None);
        let found = Found {
            name: name("my project"),
            workloads: Vec::new(),
            statements: Vec::new(),
        };
        assert!(found.text().contains("\nname = \"my-project\" #"));
    }
}
