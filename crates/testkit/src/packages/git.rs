//! The packages as git repositories, for a Pkg without a package server.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::registry::{RegistryName, Sources};

/// A folder of bare git repositories: one for each package and one for the registry.
pub struct GitHost {
    folder: tempfile::TempDir,
}

impl GitHost {
    /// Creates the repositories with the `git` program. Each version of a package is a commit with
    /// a tag, in order.
    #[must_use]
    pub fn new(sources: &Sources, title: RegistryName) -> Self {
        let host = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        for package in &sources.packages {
            host.commit(&package.name, &package.version, |work| {
                package.tree.write(work);
            });
        }
        let registry = sources.registry(title, |name| host.url(name));
        host.commit(title.name, "registry", |work| registry.write(work));
        host
    }

    /// The address of a package's repository, or of the registry's.
    #[must_use]
    pub fn url(&self, name: &str) -> String {
        format!("file://{}", self.repository(name).display())
    }

    fn repository(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.jl.git"))
    }

    /// Adds a commit with a tag to a repository, and creates it if necessary.
    fn commit(&self, name: &str, tag: &str, write: impl FnOnce(&Path)) {
        let repository = self.repository(name);
        let work = tempfile::tempdir().unwrap();
        write(work.path());
        let git = |arguments: &[&str]| {
            let output = Command::new("git")
                .arg("--git-dir")
                .arg(&repository)
                .arg("--work-tree")
                .arg(work.path())
                .args(["-c", "core.autocrlf=false", "-c", "core.bare=false"])
                .args(arguments)
                .current_dir(work.path())
                .envs(["AUTHOR", "COMMITTER"].into_iter().flat_map(|who| {
                    [
                        (format!("GIT_{who}_NAME"), "Harbour"),
                        (format!("GIT_{who}_EMAIL"), "harbour@example.org"),
                        (format!("GIT_{who}_DATE"), "2026-05-04T06:00:00Z"),
                    ]
                }))
                .output()
                .unwrap();
            assert!(
                output.status.success(),
                "git {arguments:?}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        };
        if !repository.exists() {
            // With a work tree, git would write its path into the repository's configuration.
            let made = Command::new("git")
                .args(["init", "--quiet", "--bare"])
                .arg(&repository)
                .status();
            assert!(made.unwrap().success());
        }
        git(&["add", "--all", "--force", "."]);
        git(&["commit", "--quiet", "--allow-empty", "--message", tag]);
        git(&["tag", tag]);
    }
}
