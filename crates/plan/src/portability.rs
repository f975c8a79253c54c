//! What an image needs of a machine besides its Julia: a C library, artifacts, and paths that were
//! compiled into it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::text::{self, TreeHash};

/// What was found in a finished image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Portability {
    /// The oldest system that can load the image, for instance `glibc 2.14` or `macOS 11.0`; `None`
    /// if it names none.
    #[serde(default, deserialize_with = "text::optional::<text::Line, _>")]
    pub oldest_system: Option<String>,
    /// Paths of the machine that built it, those that may be needed first.
    pub paths: Vec<FoundPath>,
    /// The artifacts that its packages use; they travel in the archive.
    pub artifacts: Vec<Artifact>,
}

/// A path that stands in an image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct FoundPath {
    /// What it is for.
    pub kind: PathKind,
    /// The path.
    pub path: String,
    /// How often it is there.
    pub times: usize,
    /// Whether the workloads fail where it does not exist; absent if that was not tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needed: Option<bool>,
}

/// What a path in an image is for, as far as it can be told.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum PathKind {
    /// It may be opened when the image runs, where it will not exist.
    MaybeNeeded,
    /// Below an artifact of a depot: packages look artifacts up anew in every process, so one that
    /// is remembered as a path is a mistake of the package.
    Artifact,
    /// Where a function's source stands, shown in backtraces: harmless.
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
    /// What the path is for, by its looks.
    #[must_use]
    pub fn of(path: &str) -> Self {
        let path = path.replace('\\', "/");
        let file = path.rsplit('/').next().unwrap_or_default();
        let source = file.rsplit_once('.').is_some_and(|(_, ext)| {
            // C sources stand in the debug sections of what a C compiler made.
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
    /// The paths that the image may need where it runs: those of which it is not known that the workloads
    /// run without them.
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
