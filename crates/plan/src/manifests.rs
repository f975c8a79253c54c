//! Which manifest a Julia uses. Implements Julia's rules (`Base.project_file_manifest_path`) for
//! the key `manifest`, for manifests named after a Julia version, and for workspaces. The caller
//! reads the files; nothing here accesses the disk.

use std::path::PathBuf;

use crate::manifest::Manifest;
use crate::request::Request;
use crate::toml_error::TomlError;
use crate::version::JuliaVersion;

/// The first Julia that looks for manifests named after its version (Pkg's manual, "Different
/// Manifests for Different Julia versions").
const VERSIONED_SINCE: JuliaVersion = JuliaVersion::new(1, 10, 8);

/// The first Julia in which a workspace's members use the manifest of its root.
const WORKSPACES_SINCE: JuliaVersion = JuliaVersion::new(1, 12, 0);

/// How the manifest of a project was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Named in the key `manifest` of the project file.
    Named,
    /// By a file name with a version: `Manifest-v1.12.toml`.
    Versioned(u64, u64),
    /// `Manifest.toml` or `JuliaManifest.toml`.
    Plain,
}

impl Origin {
    /// Interprets the name of a file in the folder of a project file: returns which kind of
    /// manifest it is, and its rank. Julia takes the matching file with the lowest rank.
    pub fn of_file_name(name: &str) -> Option<(Self, u8)> {
        let (plain, rank) = match name.strip_prefix("Julia") {
            Some(rest) => (rest, 0),
            None => (name, 1),
        };
        let stem = plain.strip_prefix("Manifest")?.strip_suffix(".toml")?;
        if stem.is_empty() {
            return Some((Self::Plain, rank + 2));
        }
        let (major, minor) = stem.strip_prefix("-v")?.split_once('.')?;
        let number = |text: &str| {
            let canonical = text == "0" || !text.starts_with('0');
            let digits = text.bytes().all(|b| b.is_ascii_digit());
            text.parse::<u64>().ok().filter(|_| canonical && digits)
        };
        let version = (number(major)?, number(minor)?);
        // No Julia before this version looks for versioned names.
        let used = version >= VERSIONED_SINCE.minor_pair();
        used.then_some((Self::Versioned(version.0, version.1), rank))
    }
}

/// A manifest of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestFile {
    /// The file name, as the user would type it.
    pub name: String,
    /// Its path.
    pub path: PathBuf,
    /// Its folder; paths in the manifest are relative to it.
    pub folder: PathBuf,
    /// How it was found.
    pub origin: Origin,
    /// Whether it belongs to a workspace of which the project is a member.
    pub of_workspace: bool,
    /// Its content. An error matters only if a Julia uses the file.
    pub content: Result<Manifest, TomlError>,
}

impl ManifestFile {
    fn is_used_by(&self, julia: &JuliaVersion) -> bool {
        let named = match self.origin {
            Origin::Versioned(major, minor) => {
                *julia >= VERSIONED_SINCE && julia.minor_pair() == (major, minor)
            }
            Origin::Named | Origin::Plain => true,
        };
        // `1.12.0-rc1` is less than `1.12.0`, but supports workspaces.
        named && (!self.of_workspace || julia.minor_pair() >= WORKSPACES_SINCE.minor_pair())
    }

    /// Returns the Julia for which the manifest was made, if it is recorded.
    fn julia(&self) -> Option<Request> {
        let version = self.content.as_ref().ok()?.julia_version.as_ref();
        match self.origin {
            Origin::Versioned(major, minor) => Some(
                version
                    .filter(|version| version.minor_pair() == (major, minor))
                    .map_or(Request::Series(major, Some(minor)), |version| {
                        Request::Exact(version.clone())
                    }),
            ),
            Origin::Named | Origin::Plain => version.map(|v| Request::Exact(v.clone())),
        }
    }
}

/// All manifests of a project, in Julia's lookup order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manifests(pub Vec<ManifestFile>);

impl Manifests {
    /// Returns the manifest that this Julia uses.
    pub fn of(&self, julia: &JuliaVersion) -> Option<&ManifestFile> {
        self.0.iter().find(|file| file.is_used_by(julia))
    }

    /// Returns the Julia for which the project was resolved: that of its newest versioned manifest,
    /// otherwise that of its plain one. A plain manifest is ignored if a versioned one exists,
    /// because the newest Julia prefers the latter.
    pub fn request(&self) -> Option<Request> {
        let workspace = self.0.iter().filter(|file| file.of_workspace);
        let own = self.0.iter().filter(|file| !file.of_workspace);
        let in_workspace = |request: &Request| match request {
            Request::Exact(version) => version.minor_pair() >= WORKSPACES_SINCE.minor_pair(),
            Request::Series(major, minor) => {
                (*major, minor.unwrap_or(u64::MAX)) >= WORKSPACES_SINCE.minor_pair()
            }
            _ => true,
        };
        julia_of(workspace)
            .filter(in_workspace)
            .or_else(|| julia_of(own))
    }
}

/// Returns the Julia of the manifests of one project file.
fn julia_of<'m>(files: impl Iterator<Item = &'m ManifestFile> + Clone) -> Option<Request> {
    let mut named = files.clone().filter(|file| file.origin == Origin::Named);
    if let Some(named) = named.next() {
        return named.julia();
    }
    let versioned = files.clone().filter_map(|file| match file.origin {
        Origin::Versioned(major, minor) => Some(((major, minor), file)),
        _ => None,
    });
    let newest = versioned.clone().map(|(version, _)| version).max();
    let mut newest = versioned.filter(|(version, _)| Some(*version) == newest);
    match newest.next() {
        Some((_, file)) => file.julia(),
        None => files.into_iter().next().and_then(ManifestFile::julia),
    }
}

#[cfg(test)]
#[path = "manifests/tests.rs"]
mod tests;
