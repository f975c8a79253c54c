//! The catalogue of Julia releases (`versions.json`), and how a release is chosen for a request and
//! a platform. The parser is lenient: unknown fields and platforms are not errors.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::archive::ArchiveFormat;
use crate::digest::Sha256;
use crate::explain::{Class, Explain};
use crate::json;
use crate::platform::Triplet;
use crate::request::Request;
use crate::text::{Rule as _, WebAddress};
use crate::version::JuliaVersion;

/// The path of the catalogue, relative to a mirror's base.
pub const CATALOGUE_PATH: &str = "bin/versions.json";

/// The official server; a mirror replaces this part of every address in the catalogue.
pub const OFFICIAL_SERVER: &str = "https://julialang-s3.julialang.org";

/// The long-term support series, newest first. The source is Julia's announcements: the catalogue
/// does not name them. The older series serve platforms that newer ones no longer support.
pub const LTS_SERIES: [(u64, u64); 3] = [(1, 10), (1, 6), (1, 0)];

/// One archive of one release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct File {
    /// The address on the official server.
    pub url: Url,
    /// The platform.
    pub triplet: Triplet,
    /// The archive's format.
    pub format: ArchiveFormat,
    /// Its size in bytes.
    pub size: u64,
    /// Its digest.
    pub sha256: Sha256,
    /// The detached OpenPGP signature of the archive, as armoured text.
    #[serde(skip)]
    pub asc: Option<String>,
}

impl File {
    /// Returns the last part of the address.
    pub fn name(&self) -> &str {
        self.url
            .path_segments()
            .and_then(|mut segments| segments.next_back())
            .unwrap_or("julia")
    }
}

/// One release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// The version.
    pub version: JuliaVersion,
    /// Whether Julia's developers call it stable.
    pub stable: bool,
    /// Its archives, for every known platform.
    pub files: Vec<File>,
}

/// The releases of Julia, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Catalogue {
    releases: Vec<Release>,
    left_out: Vec<String>,
}

/// The maximum number of releases and files in a catalogue, each an object with at most one list. The
/// real one has 3,000 (2026).
const MAX_ENTRIES: usize = 250_000;

/// The text is not a catalogue.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages describe the variants")]
pub enum NotACatalogue {
    #[error("this is not a catalogue of Julia releases")]
    Json(#[from] json::JsonError),
    #[error("it has more than {MAX_ENTRIES} objects and lists, and Julia's has a few thousand")]
    TooLarge,
}

impl Explain for NotACatalogue {
    fn class(&self) -> Class {
        Class::Acquire
    }

    fn hints(&self) -> Vec<String> {
        vec![format!(
            "a mirror serves Julia's catalogue at `{CATALOGUE_PATH}`; is `--mirror` right?"
        )]
    }
}

/// The release chosen for a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Choice {
    /// The version.
    pub version: JuliaVersion,
    /// The archive to fetch.
    pub file: File,
}

/// No release satisfies the request.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages describe the variants")]
pub enum NoJulia {
    #[error("Julia {found} answers `{request}`, but no archive of it is published for {triplet}")]
    NotForPlatform {
        request: String,
        /// The newest version on another platform that satisfies the request.
        found: JuliaVersion,
        triplet: Triplet,
        /// The newest version of each series for this platform, newest first.
        available: Vec<JuliaVersion>,
    },
    #[error("no Julia in the catalogue answers `{request}`")]
    Unknown {
        request: String,
        triplet: Triplet,
        /// The newest version of each series for this platform, newest first.
        available: Vec<JuliaVersion>,
        nearest: Option<JuliaVersion>,
    },
    #[error("Julia {version} is a development version, and the catalogue has only releases")]
    Development {
        version: JuliaVersion,
        nightly: Request,
    },
    #[error("`{request}` is not looked up in the catalogue of releases")]
    NotInCatalogues { request: String },
}

/// The maximum number of series that a hint names. Julia's catalogue has about 20 (2026).
const MAX_SHOWN: usize = 40;

impl Explain for NoJulia {
    fn class(&self) -> Class {
        match self {
            Self::NotInCatalogues { .. } => Class::Bug,
            _ => Class::Usage,
        }
    }

    fn hints(&self) -> Vec<String> {
        let (triplet, available, nearest) = match self {
            Self::Development { nightly, .. } => {
                return vec![format!(
                    "ask for the nightly build of that branch: `--julia {nightly}`"
                )];
            }
            Self::NotForPlatform {
                triplet, available, ..
            } => (triplet, available, None),
            Self::Unknown {
                triplet,
                available,
                nearest,
                ..
            } => (triplet, available, nearest.as_ref()),
            Self::NotInCatalogues { .. } => return Vec::new(),
        };
        let mut hints: Vec<String> = nearest
            .map(|version| format!("the nearest published version is {version}"))
            .into_iter()
            .collect();
        hints.push(if available.is_empty() {
            format!("this catalogue has no Julia at all for {triplet}")
        } else {
            let shown = available.iter().take(MAX_SHOWN);
            let names: Vec<_> = shown.map(ToString::to_string).collect();
            let more = match available.len().saturating_sub(MAX_SHOWN) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!("for {triplet} there is: {}{more}", names.join(", "))
        });
        hints
    }
}

#[derive(Deserialize)]
struct RawRelease {
    #[serde(default)]
    stable: bool,
    #[serde(default)]
    files: Vec<RawFile>,
}

#[derive(Deserialize)]
struct RawFile {
    #[serde(default)]
    url: String,
    #[serde(default)]
    triplet: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    extension: String,
    #[serde(default)]
    sha256: String,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    asc: Option<String>,
}

impl RawFile {
    fn read(self) -> Option<File> {
        if self.kind != "archive" || WebAddress::check(&self.url).is_err() {
            return None;
        }
        Some(File {
            url: self.url.parse().ok()?,
            triplet: self.triplet.parse().ok()?,
            format: ArchiveFormat::of_extension(&self.extension)?,
            size: self.size,
            sha256: self.sha256.parse().ok()?,
            asc: self.asc.filter(|text| !text.trim().is_empty()),
        })
    }
}

impl Catalogue {
    /// Reads `versions.json`.
    ///
    /// # Errors
    ///
    /// If the text is not JSON of the catalogue's shape, or has absurdly many entries.
    pub fn parse(text: &[u8]) -> Result<Self, NotACatalogue> {
        // Counted first: an entry takes much more memory than the three bytes of `{},`.
        let opening = text.iter().filter(|byte| matches!(byte, b'{' | b'['));
        if opening.count() > MAX_ENTRIES {
            return Err(NotACatalogue::TooLarge);
        }
        let raw: BTreeMap<String, RawRelease> = json::parse(text)?;
        let mut catalogue = Self::default();
        for (name, raw) in raw {
            let Ok(version) = name.parse::<JuliaVersion>() else {
                catalogue.left_out.push(name);
                continue;
            };
            let mut files = Vec::with_capacity(raw.files.len());
            for file in raw.files {
                let url = file.url.clone();
                match file.read() {
                    Some(file) => files.push(file),
                    None => catalogue.left_out.push(url),
                }
            }
            catalogue.releases.push(Release {
                stable: raw.stable && !version.is_prerelease(),
                version,
                files,
            });
        }
        catalogue.releases.sort_by(|a, b| a.version.cmp(&b.version));
        Ok(catalogue)
    }

    /// Returns all releases, oldest first.
    pub fn releases(&self) -> &[Release] {
        &self.releases
    }

    /// Returns the entries of the catalogue that this program ignores: installers, unknown
    /// platforms and formats, entries without a digest.
    pub fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// Returns the releases that have an archive for a platform, newest first.
    pub fn versions_for(&self, triplet: Triplet) -> impl Iterator<Item = &Release> {
        self.releases
            .iter()
            .rev()
            .filter(move |release| release.archive_for(triplet).is_some())
    }

    /// Returns the newest release that satisfies `request` and has an archive for `triplet` (the
    /// oldest for [`Request::Oldest`], the newest of the oldest minor version for
    /// [`Request::OldestMinor`]).
    ///
    /// # Errors
    ///
    /// If no release does; the error lists the versions available for the platform. `manifest` and
    /// `min` must have been replaced with [`Request::for_project`].
    pub fn choose(&self, request: &Request, triplet: Triplet) -> Result<Choice, NoJulia> {
        let answers = self.answers(request, Some(triplet))?;
        let chosen = answers.and_then(|release| {
            Some(Choice {
                version: release.version.clone(),
                file: release.archive_for(triplet)?.clone(),
            })
        });
        if let Some(choice) = chosen {
            return Ok(choice);
        }
        if let Request::Exact(version) = request
            && version.is_development()
        {
            return Err(NoJulia::Development {
                version: version.clone(),
                nightly: self.nightly_of(version),
            });
        }
        let available = self.newest_of_each_series(triplet);
        let request_text = request.to_string();
        Err(match self.answers(request, None)? {
            Some(elsewhere) => NoJulia::NotForPlatform {
                request: request_text,
                found: elsewhere.version.clone(),
                triplet,
                available,
            },
            None => NoJulia::Unknown {
                nearest: self.nearest(request, triplet),
                request: request_text,
                triplet,
                available,
            },
        })
    }

    /// Returns the channel of the nightly builds of a development version: the channel of its
    /// branch once a prerelease of that version exists, otherwise the main branch.
    pub fn nightly_of(&self, version: &JuliaVersion) -> Request {
        let (major, minor) = version.minor_pair();
        let mut releases = self.releases.iter();
        match releases.any(|release| release.version.minor_pair() >= (major, minor)) {
            true => Request::NightlyOf(major, minor),
            false => Request::Nightly,
        }
    }

    /// Returns the release that satisfies `request`, among those for `triplet`, or among all.
    fn answers(
        &self,
        request: &Request,
        triplet: Option<Triplet>,
    ) -> Result<Option<&Release>, NoJulia> {
        let newest_first = self.releases.iter().rev();
        let candidates =
            newest_first.filter(|release| triplet.is_none_or(|t| release.archive_for(t).is_some()));
        pick(request, candidates)
    }

    fn newest_of_each_series(&self, triplet: Triplet) -> Vec<JuliaVersion> {
        let mut versions: Vec<JuliaVersion> = Vec::new();
        for release in self.versions_for(triplet) {
            let known = versions
                .last()
                .is_some_and(|last| last.minor_pair() == release.version.minor_pair());
            // A series without a stable release is represented by its newest prerelease.
            if !known {
                versions.push(release.version.clone());
            }
        }
        versions
    }

    /// Returns the version for this platform that is most similar to the request: one of the same
    /// series if possible, otherwise of the nearest series.
    fn nearest(&self, request: &Request, triplet: Triplet) -> Option<JuliaVersion> {
        let (major, minor, patch) = match request {
            Request::Exact(v) => (v.major(), v.minor(), v.patch()),
            Request::Series(major, minor) => (*major, (*minor)?, u64::MAX),
            _ => return None,
        };
        self.versions_for(triplet)
            .filter(|release| release.version.major() == major)
            .min_by_key(|release| {
                let version = &release.version;
                (
                    version.minor().abs_diff(minor),
                    version.patch().abs_diff(patch),
                    version.is_prerelease(),
                )
            })
            .map(|release| release.version.clone())
    }
}

impl Release {
    /// Returns the best archive for a platform.
    pub fn archive_for(&self, triplet: Triplet) -> Option<&File> {
        self.files
            .iter()
            .filter(|file| file.triplet == triplet)
            .min_by_key(|file| file.format)
    }
}

/// A candidate for a request: a release in a catalogue or an installed Julia.
pub trait VersionCandidate {
    /// Returns the version.
    fn version(&self) -> &JuliaVersion;

    /// Returns whether it is a stable release.
    fn is_stable(&self) -> bool;
}

impl VersionCandidate for Release {
    fn version(&self) -> &JuliaVersion {
        &self.version
    }

    fn is_stable(&self) -> bool {
        self.stable
    }
}

impl VersionCandidate for JuliaVersion {
    fn version(&self) -> &JuliaVersion {
        self
    }

    fn is_stable(&self) -> bool {
        !self.is_prerelease()
    }
}

/// Returns the candidate that satisfies `request`; `candidates` are ordered from newest to oldest.
///
/// # Errors
///
/// If a request of this kind cannot be satisfied by a version, for example a folder.
pub fn pick<'a, C: VersionCandidate>(
    request: &Request,
    mut candidates: impl DoubleEndedIterator<Item = &'a C> + Clone,
) -> Result<Option<&'a C>, NoJulia> {
    let series = |c: &C| c.version().minor_pair();
    Ok(match request {
        Request::Release => candidates.find(|c| c.is_stable()),
        Request::Lts => LTS_SERIES.iter().find_map(|lts| {
            candidates
                .clone()
                .find(|c| c.is_stable() && series(c) == *lts)
        }),
        Request::Rc => candidates
            .find(|c| c.is_stable() || c.version().as_semver().pre.as_str().starts_with("rc")),
        Request::Beta => candidates.find(|c| {
            let pre = c.version().as_semver().pre.as_str();
            c.is_stable() || pre.starts_with("rc") || pre.starts_with("beta")
        }),
        Request::Pre => candidates.next(),
        Request::Series(major, minor) => candidates.find(|c| {
            c.is_stable()
                && c.version().major() == *major
                && minor.is_none_or(|minor| c.version().minor() == minor)
        }),
        Request::Exact(version) => candidates.find(|c| same_release(c.version(), version)),
        Request::Within(ranges) => candidates.find(|c| ranges.contains(c.version())),
        Request::Oldest(ranges) => candidates
            .rev()
            .find(|c| c.is_stable() && ranges.contains(c.version())),
        Request::OldestMinor(ranges) => {
            let mut allowed = candidates.filter(|c| c.is_stable() && ranges.contains(c.version()));
            let oldest = allowed.clone().next_back().map(series);
            allowed.find(|c| Some(series(c)) == oldest)
        }
        Request::Nightly
        | Request::NightlyOf(..)
        | Request::Min
        | Request::MinPatch
        | Request::Manifest
        | Request::System
        | Request::Directory(_) => {
            return Err(NoJulia::NotInCatalogues {
                request: request.to_string(),
            });
        }
    })
}

/// Compares versions without build metadata, which only distributions add: `1.10.4+debian`.
fn same_release(a: &JuliaVersion, b: &JuliaVersion) -> bool {
    a.minor_pair() == b.minor_pair()
        && a.patch() == b.patch()
        && a.as_semver().pre == b.as_semver().pre
}

#[cfg(test)]
#[path = "catalogue/tests.rs"]
mod tests;
