//! The report of the script: lines `kind value…`, with values separated by tabs and escaped.

use std::path::{Path, PathBuf};

use sysforge_plan::Sha256;

use super::digest_of_file;
use crate::depots::{Depots, MissingPackage};

/// The report of one run.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) is_done: bool,
    pub(super) error: Option<(String, String)>,
    pub(super) missing: Vec<MissingPackage>,
    /// The packages being installed when the script ended: name and version.
    pub(super) absent: Vec<String>,
    /// The packages whose versions were being resolved; their dependencies are not known then.
    pub(super) resolving: Vec<String>,
    /// The responses of the package server after a failure.
    pub(super) answers: Vec<Answer>,
    packages: Vec<Package>,
    artifacts: Vec<PathBuf>,
    pub(super) lazy: Vec<String>,
}

/// A response of the package server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// What was requested.
    pub(super) what: String,
    /// The HTTP status, if there was a response.
    pub(super) status: Option<u16>,
    /// The error, if there was no response; what is wrong with the token, if access was refused.
    pub(super) problem: String,
}

#[derive(Debug)]
struct Package {
    name: String,
    uuid: String,
    tree: String,
    folder: PathBuf,
    of_workload: bool,
}

impl Report {
    pub(super) fn read(text: &str) -> Self {
        let mut report = Self::default();
        for line in text.lines() {
            let fields: Vec<String> = line.split('\t').map(unescaped).collect();
            let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
            match fields[..] {
                ["done"] => report.is_done = true,
                ["error", kind, text] => report.error = Some((kind.to_owned(), text.to_owned())),
                ["absent", name, version] => {
                    report
                        .absent
                        .push(format!("{name} {version}").trim().to_owned());
                }
                ["resolving", name] => report.resolving.push(name.to_owned()),
                ["answer", what, status, problem] => report.answers.push(Answer {
                    what: what.to_owned(),
                    status: status.parse().ok().filter(|status| *status != 0),
                    problem: problem.to_owned(),
                }),
                ["missing", name, version, tree] => report.missing.push(MissingPackage {
                    name: name.to_owned(),
                    version: version.to_owned(),
                    tree: tree.to_owned(),
                    repo: None,
                }),
                [
                    kind @ ("package" | "workload"),
                    name,
                    uuid,
                    _version,
                    tree,
                    folder,
                ] => {
                    let mut known = report.packages.iter();
                    if known.any(|known| known.folder == Path::new(folder)) {
                        continue;
                    }
                    report.packages.push(Package {
                        of_workload: kind == "workload",
                        name: name.to_owned(),
                        uuid: uuid.to_owned(),
                        tree: tree.to_owned(),
                        folder: folder.into(),
                    });
                }
                ["artifact", _name, _tree, folder] => report.artifacts.push(folder.into()),
                ["lazy", tree] => report.lazy.push(tree.to_owned()),
                _ => {}
            }
        }
        report
    }

    /// Returns the folders in depots that the environment needs.
    pub(super) fn folders(&self, depots: &Depots) -> Vec<PathBuf> {
        let packages = self
            .packages
            .iter()
            .filter(|package| !package.tree.is_empty());
        let packages = packages.map(|package| package.folder.clone());
        let artifacts = self.artifacts.iter().cloned();
        // An overridden artifact is outside of the depots and not checked.
        let in_depot = |folder: &PathBuf| {
            let mut depots = depots.folders().iter();
            depots.any(|depot| folder.starts_with(depot))
        };
        let mut folders: Vec<PathBuf> = packages.chain(artifacts.filter(in_depot)).collect();
        folders.sort();
        folders.dedup();
        folders
    }

    /// Returns files of packages in the user's folders that affect what is installed.
    pub(super) fn files(&self) -> Vec<(PathBuf, Option<Sha256>)> {
        let local = self
            .packages
            .iter()
            .filter(|package| package.tree.is_empty());
        let files = local.flat_map(|package| {
            [
                "Project.toml",
                "JuliaProject.toml",
                "Artifacts.toml",
                "deps/build.jl",
            ]
            .map(|name| package.folder.join(name))
        });
        files
            .map(|path| {
                let digest = digest_of_file(&path);
                (path, digest)
            })
            .collect()
    }

    /// Returns the packages that only the workloads need: name and UUID.
    pub(super) fn workload(&self) -> Vec<(String, String)> {
        let only = self.packages.iter().filter(|package| package.of_workload);
        only.map(|package| (package.name.clone(), package.uuid.clone()))
            .collect()
    }

    /// Returns a short description of the installed packages.
    pub(super) fn summary(&self, with_project: bool) -> String {
        let packages = match self.packages.len() + usize::from(with_project) {
            1 => "1 package".to_owned(),
            count => format!("{count} packages"),
        };
        match self.artifacts.len() {
            0 => format!("{packages} ready"),
            1 => format!("{packages} and 1 artifact ready"),
            count => format!("{packages} and {count} artifacts ready"),
        }
    }
}

fn unescaped(field: &str) -> String {
    let mut text = String::with_capacity(field.len());
    let mut characters = field.chars();
    while let Some(character) = characters.next() {
        match (character, character == '\\') {
            (_, true) => match characters.next() {
                Some('n') => text.push('\n'),
                Some('t') => text.push('\t'),
                Some(other) => text.push(other),
                None => {}
            },
            (character, false) => text.push(character),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_read_back_as_they_were() {
        let text = "error\tpkg\ttwo\\nlines, a \\\\ and a \\ttab\nmissing\tA\t1.0.0\tabc\n";
        let report = Report::read(text);
        let (kind, said) = report.error.unwrap();
        assert_eq!((&*kind, &*said), ("pkg", "two\nlines, a \\ and a \ttab"));
        assert_eq!(report.missing[0].to_string(), "A 1.0.0");
        assert!(!report.is_done);
    }
}
