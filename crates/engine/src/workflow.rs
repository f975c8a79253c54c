//! The workflow file of a project's repository: its expected and its actual content, and which
//! Sysforge its runners download.

use std::path::{Path, PathBuf};

use serde::Serialize;
use sysforge_actions::{diff, handmade, workflow};
use sysforge_files::unless_gone;
use sysforge_plan::explain::PathError;
use sysforge_plan::{Class, Explain, Sha256, config};
use toml_edit::{DocumentMut, Item, Table, value};

use crate::error::EngineError;
use crate::failure::Failure;
use crate::paths::write_file;
use crate::project::{Location, ProjectFiles};

pub use sysforge_actions::workflow::PATH;

/// The version of Sysforge, which workflows name.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The workflow file of a repository.
#[derive(Debug)]
pub struct WorkflowFile {
    /// Its path.
    pub path: PathBuf,
    /// The expected content.
    pub text: String,
    /// The actual content, with Unix line endings.
    existing: Option<String>,
}

/// Whether a workflow file has the expected content.
#[derive(Debug, Serialize)]
pub struct WorkflowCheck<'a> {
    /// The file.
    pub path: &'a Path,
    /// Whether the content is the expected one.
    pub up_to_date: bool,
    /// The changes that are needed.
    pub diff: Option<String>,
}

/// An error of a workflow file: it cannot be written, or must not be replaced.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages describe the variants")]
pub enum WorkflowFileError {
    #[error("{} was not written by Sysforge", .0.display())]
    NotGenerated(PathBuf),
    #[error("{} builds the project in {project}", .path.display())]
    OtherProject { path: PathBuf, project: String },
    #[error("{} is in no git repository", .0.display())]
    NoGit(PathBuf),
    #[error("{} does not list the checksums of a Sysforge release", .0.display())]
    NoSums(PathBuf),
    #[error("{0} cannot be edited")]
    NotEditable(String),
}

impl Explain for WorkflowFileError {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::NotGenerated(_) => "move it away, or replace it with `sysforge workflow --force`",
            Self::OtherProject { .. } => {
                "a repository has one such workflow: replace it with `sysforge workflow --force` if \
                 the project was moved, or write a second one from `sysforge workflow --print`"
            }
            Self::NoGit(_) => "make one with `git init` at the repository's root",
            Self::NoSums(_) => "download SHA256SUMS of a release of Sysforge, and name that file",
            Self::NotEditable(_) => "write `[workflow.tool]` with `version` and `sums` by hand",
        };
        vec![hint.to_owned()]
    }
}

impl WorkflowFile {
    /// Reads the workflow of the project's repository, and generates its expected content. Parts
    /// that were edited by hand are kept.
    ///
    /// # Errors
    ///
    /// If the project is in no repository, or a part that was edited by hand fits nowhere.
    pub fn of(files: &ProjectFiles) -> Result<Self, Failure> {
        let root =
            root(&files.folder).ok_or_else(|| WorkflowFileError::NoGit(files.folder.clone()))?;
        let below = files.folder.strip_prefix(root).unwrap_or(Path::new(""));
        let parts: Vec<_> = below.iter().map(|part| part.to_string_lossy()).collect();
        let generated = workflow::generate(&workflow::Inputs {
            options: &files.inputs.config.workflow,
            project: &parts.join("/"),
            version: VERSION,
        })?;
        let path = root.join(PATH);
        let existing = unless_gone(sysforge_files::read_text(&path).map(Some));
        let existing = existing.map_err(PathError::wrap("read", &path, EngineError::Path))?;
        let existing = existing.map(|text| text.replace("\r\n", "\n"));
        let text = match &existing {
            Some(existing) if workflow::is_ours(existing) => handmade::carry(existing, &generated)?,
            _ => generated,
        };
        Ok(Self {
            path,
            text,
            existing,
        })
    }

    /// Returns the changes that are needed; `None` if the file is up to date.
    pub fn diff(&self) -> Option<String> {
        diff::unified(
            PATH,
            self.existing.as_deref().unwrap_or_default(),
            &self.text,
        )
    }

    /// Compares the actual content with the expected one.
    pub fn check(&self) -> WorkflowCheck<'_> {
        let diff = self.diff();
        WorkflowCheck {
            path: &self.path,
            up_to_date: diff.is_none(),
            diff,
        }
    }

    /// Writes the file. Only with `force` does it replace one that Sysforge did not generate, or
    /// generated for another project.
    ///
    /// # Errors
    ///
    /// If it must not be replaced, or cannot be written.
    pub fn write(&self, force: bool) -> Result<(), Failure> {
        if let Some(existing) = self.existing.as_deref().filter(|_| !force) {
            if !workflow::is_ours(existing) {
                return Err(WorkflowFileError::NotGenerated(self.path.clone()).into());
            }
            let project = workflow::project_of(existing);
            if project != workflow::project_of(&self.text) {
                return Err(WorkflowFileError::OtherProject {
                    path: self.path.clone(),
                    project: match project.as_str() {
                        "" => "the repository's root".to_owned(),
                        project => format!("`{project}`"),
                    },
                }
                .into());
            }
        }
        match self.existing.as_deref() == Some(self.text.as_str()) {
            true => Ok(()),
            false => Ok(write_file(&self.path, &self.text)?),
        }
    }
}

/// Whether the project's repository has a workflow that Sysforge generated.
pub fn is_generated(folder: &Path) -> bool {
    let text = root(folder).and_then(|root| sysforge_files::read_text(root.join(PATH)).ok());
    text.is_some_and(|text| workflow::is_ours(&text))
}

/// The root of the repository: the folder with `.git`, which is a folder or a file.
fn root(folder: &Path) -> Option<&Path> {
    folder.ancestors().find(|above| above.join(".git").exists())
}

/// Reads the `SHA256SUMS` of a release of Sysforge.
///
/// # Errors
///
/// If it cannot be read, or is not such a file.
pub fn read_sums(location: &Location, sums: &Path) -> Result<String, Failure> {
    let list = location.read_text(sums)?;
    match list.lines().any(|line| line.contains("  sysforge-")) {
        true => Ok(list),
        false => Err(WorkflowFileError::NoSums(sums.to_owned()).into()),
    }
}

/// Writes into the project's `Sysimage.toml` which Sysforge the runners download, and leaves the
/// other lines unchanged. `sums` is the `SHA256SUMS` of that release.
///
/// # Errors
///
/// If a file cannot be read or written, or is invalid.
pub fn pin(location: &Location, sums: &Path) -> Result<(), Failure> {
    let path = location.folder()?.join(config::FILE_NAME);
    let list = read_sums(location, sums)?;
    let text = match path.exists() {
        true => location.read_text(&path)?,
        false => String::new(),
    };
    let name = path.display().to_string();
    // Errors in the file are reported with their position, as in every other command.
    config::Config::from_toml(&name, &text)?;
    let document = text.parse::<DocumentMut>();
    let mut document = document.map_err(|_| WorkflowFileError::NotEditable(name))?;
    // A table that only contains another table needs no line of its own.
    let mut outer = Table::new();
    outer.set_implicit(true);
    let workflow = document.entry("workflow").or_insert(Item::Table(outer));
    let tool = workflow["tool"].or_insert(Item::Table(Table::new()));
    tool["version"] = value(VERSION);
    tool["sums"] = value(Sha256::of(list.as_bytes()).to_string());
    Ok(write_file(&path, &document.to_string())?)
}

#[cfg(test)]
mod tests {
    use sysforge_plan::Triplet;

    use super::*;

    fn repository() -> (tempfile::TempDir, Location) {
        let folder = tempfile::tempdir().unwrap();
        let root = sysforge_files::canonical(folder.path()).unwrap();
        std::fs::create_dir(root.join(".git")).unwrap();
        std::fs::write(root.join("Project.toml"), "name = \"Demo\"\n").unwrap();
        let pinned = format!("[workflow.tool]\nsums = \"{}\"\n", Sha256::of("sums"));
        std::fs::write(root.join(config::FILE_NAME), pinned).unwrap();
        let location = Location::in_folder(root);
        (folder, location)
    }

    fn workflow_of(location: &Location) -> WorkflowFile {
        let files = location.read(&[], Triplet::X86_64_LINUX_GNU).unwrap();
        WorkflowFile::of(&files).unwrap()
    }

    #[test]
    fn a_written_workflow_is_up_to_date() {
        let (_folder, location) = repository();
        let first = workflow_of(&location);
        assert!(first.diff().is_some());
        first.write(false).unwrap();
        assert_eq!(workflow_of(&location).diff(), None);
        assert!(is_generated(&location.folder().unwrap()));
    }

    #[test]
    fn a_file_of_somebody_else_is_replaced_only_by_force() {
        let (_folder, location) = repository();
        let path = workflow_of(&location).path;
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "on: push\n").unwrap();
        let workflow = workflow_of(&location);
        let refused = workflow.write(false).unwrap_err().to_string();
        let expected = WorkflowFileError::NotGenerated(path.clone()).to_string();
        assert_eq!(refused, expected);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "on: push\n");
        workflow.write(true).unwrap();
        assert_eq!(workflow_of(&location).diff(), None);
    }

    #[test]
    fn pinning_keeps_the_other_lines() {
        let (_folder, location) = repository();
        let root = location.folder().unwrap();
        let config = root.join(config::FILE_NAME);
        std::fs::write(&config, "name = \"demo\" # a remark\n").unwrap();
        let sums = root.join("SUMS");
        std::fs::write(&sums, "x\n").unwrap();
        assert!(pin(&location, &sums).is_err());
        std::fs::write(&sums, format!("{}  sysforge-x.tar.gz\n", Sha256::of("x"))).unwrap();
        pin(&location, &sums).unwrap();
        let text = std::fs::read_to_string(&config).unwrap();
        assert!(text.starts_with("name = \"demo\" # a remark\n"), "{text}");
        assert!(text.contains("[workflow.tool]"), "{text}");
        pin(&location, &sums).unwrap();
        assert_eq!(std::fs::read_to_string(&config).unwrap(), text);
    }
}
