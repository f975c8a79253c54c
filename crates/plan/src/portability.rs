//! What an image needs of a machine besides its Julia: a C library, artifacts, and the paths that
//! were compiled into it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::text::{self, TreeHash};

/// The requirements found in a finished image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Portability {
    /// The oldest system that can load the image, for example `glibc 2.14` or `macOS 11.0`; `None`
    /// if the image does not say.
    #[serde(default, deserialize_with = "text::optional::<text::Line, _>")]
    pub oldest_system: Option<String>,
    /// Paths of the build machine, first those that may be needed.
    pub paths: Vec<FoundPath>,
    /// The artifacts used by its packages; the archive contains them.
    pub artifacts: Vec<Artifact>,
}

/// A path found in an image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct FoundPath {
    /// Its purpose.
    pub kind: PathKind,
    /// The path.
    pub path: String,
    /// The number of occurrences.
    pub times: usize,
    /// Whether the workloads fail if the path does not exist; absent if this was not tested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needed: Option<bool>,
}

/// The purpose of a path in an image, as far as it can be determined.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum PathKind {
    /// It may be opened when the image runs, on a machine where it does not exist.
    MaybeNeeded,
    /// In an artifact of a depot. Packages must look up artifacts in every process: storing the
    /// path is a mistake of the package.
    Artifact,
    /// A function's source file, shown in backtraces: harmless.
    Source,
}

/// An artifact of Julia's package manager.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Artifact {
    /// Its git tree hash, which is the name of its folder.
    pub tree: TreeHash,
    /// Its name in the package's `Artifacts.toml`.
    #[serde(deserialize_with = "text::string::<text::Line, _>")]
    pub name: String,
    /// The package that uses it.
    #[serde(deserialize_with = "text::string::<text::PackageName, _>")]
    pub package: String,
}

impl PathKind {
    /// Classifies a path by its text.
    pub fn of(path: &str) -> Self {
        let path = path.replace('\\', "/");
        let file = path.rsplit('/').next().unwrap_or_default();
        let source = file.rsplit_once('.').is_some_and(|(_, ext)| {
            // C source paths come from the debug sections of C compilers.
            ["jl", "c", "h", "cpp"].contains(&ext)
        });
        if source {
            Self::Source
        } else if path.contains("/artifacts/") {
            Self::Artifact
        } else {
            Self::MaybeNeeded
        }
    }
}

impl Portability {
    /// Returns the paths that the image may need at run time: all except those without which the
    /// workloads were shown to run.
    pub fn needed(&self) -> impl Iterator<Item = &FoundPath> {
        let needed =
            |found: &&FoundPath| found.kind != PathKind::Source && found.needed != Some(false);
        self.paths.iter().filter(needed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_location_is_harmless_and_a_data_file_is_not() {
        assert_eq!(PathKind::of("/home/me/P/src/P.jl"), PathKind::Source);
        assert_eq!(PathKind::of(r"C:\P\src\P.jl"), PathKind::Source);
        assert_eq!(
            PathKind::of("/home/me/P/data/table.csv"),
            PathKind::MaybeNeeded
        );
        assert_eq!(PathKind::of("/home/me/P/src"), PathKind::MaybeNeeded);
        assert_eq!(
            PathKind::of("/root/.julia/artifacts/0123/lib/libz.so"),
            PathKind::Artifact
        );
    }

    #[test]
    fn a_path_may_be_needed_unless_the_workloads_run_without_it() {
        let found = |kind, needed| FoundPath {
            kind,
            path: "/home/me/table.csv".to_owned(),
            times: 2,
            needed,
        };
        let maybe = PathKind::MaybeNeeded;
        let portability = Portability {
            paths: vec![
                found(maybe, None),
                found(maybe, Some(true)),
                found(maybe, Some(false)),
                found(PathKind::Source, None),
            ],
            ..Portability::default()
        };
        let needed: Vec<_> = portability.needed().map(|found| found.needed).collect();
        assert_eq!(needed, [None, Some(true)]);
    }
}
