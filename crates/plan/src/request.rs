//! What a user may ask for when they name a Julia: `1.12`, `lts`, `^1.6`, `manifest`, a
//! directory. A [`Request`] is only the wish; [`crate::catalogue::Catalogue::choose`] grants it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::explain::{Class, Explain, nearest};
use crate::ranges::{Partial, Ranges};
use crate::version::JuliaVersion;

/// A wish for a Julia.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// `release`: the newest stable version.
    Release,
    /// `lts`: the newest of the long-term support series.
    Lts,
    /// `rc`: the newest release candidate, or the newest stable version if that is newer.
    Rc,
    /// `pre`: the newest of all, alphas and betas too.
    Pre,
    /// `nightly`: the newest build of Julia's main branch.
    Nightly,
    /// `1.13-nightly`: the newest build of a release branch.
    NightlyOf(u64, u64),
    /// `min`: the oldest that the project's `[compat] julia` allows. [`Request::for_project`]
    /// turns it into [`Request::Oldest`].
    Min,
    /// `manifest`: the version that the project's manifest was made with.
    /// [`Request::for_project`] turns it into [`Request::Exact`].
    Manifest,
    /// `1` or `1.12`: the newest stable version that begins so.
    Series(u64, Option<u64>),
    /// `1.12.7`, `1.12.7-rc1`.
    Exact(JuliaVersion),
    /// A semantic version or compat range: the newest stable version within it.
    Within(Ranges),
    /// The oldest stable version within a range; what `min` becomes.
    Oldest(Ranges),
    /// `system`: the `julia` on the search path.
    System,
    /// A directory that holds a Julia.
    Directory(PathBuf),
}

/// What a project says about the Julia that it wants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProjectJulia {
    /// `julia_version` of its manifest (since manifest format 2; Julia 1.6.2).
    pub manifest: Option<JuliaVersion>,
    /// `julia` in the `[compat]` table of its `Project.toml`.
    pub compat: Option<String>,
}

/// The text asks for no Julia.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is not a Julia version, range or channel{}",
    .suggestion.map(|s| format!(" (did you mean `{s}`?)")).unwrap_or_default())]
pub struct NotARequest {
    /// What was given.
    pub text: String,
    /// The nearest channel.
    pub suggestion: Option<&'static str>,
}

impl Explain for NotARequest {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn hints(&self) -> Vec<String> {
        vec![
            "ask for a version (`1.12`, `1.12.7`), a range (`^1.6`, `~1.10`, `1.6 - 1.11`), \
             `release`, `lts`, `rc`, `nightly`, `min`, `manifest`, `system`, or a directory \
             (`./julia`)"
                .to_owned(),
        ]
    }
}

/// A request about the project that the project does not answer.
#[derive(Debug, thiserror::Error)]
pub enum ProjectIsSilent {
    /// `manifest`, and no manifest says which Julia made it.
    #[error("the Julia version `manifest` was asked for, but no manifest of the project names one")]
    NoManifestVersion,
    /// `min`, and `[compat]` does not mention julia.
    #[error(
        "the Julia version `min` was asked for, but the project's [compat] does not name julia"
    )]
    NoCompat,
    /// `min`, and the entry cannot be read.
    #[error("the [compat] entry of julia cannot be read")]
    BadCompat(#[from] crate::ranges::NotARange),
}

impl Explain for ProjectIsSilent {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn hints(&self) -> Vec<String> {
        vec![match self {
            Self::NoManifestVersion => {
                "run `julia --project -e 'using Pkg; Pkg.resolve()'` with Julia 1.6.2 or newer, \
                 or ask for a version such as `release`"
                    .to_owned()
            }
            Self::NoCompat | Self::BadCompat(_) => {
                "add `julia = \"1.10\"` (your oldest) below [compat] in Project.toml".to_owned()
            }
        }]
    }
}

/// The words among the requests.
const WORDS: [(&str, Request); 9] = [
    ("release", Request::Release),
    ("lts", Request::Lts),
    ("rc", Request::Rc),
    ("pre", Request::Pre),
    ("nightly", Request::Nightly),
    ("min", Request::Min),
    ("manifest", Request::Manifest),
    ("system", Request::System),
    ("latest", Request::Release),
];

impl Request {
    /// Replaces what only the project can answer (`manifest`, `min`) by what it answers.
    ///
    /// # Errors
    ///
    /// If the project says nothing about it.
    pub fn for_project(self, project: &ProjectJulia) -> Result<Self, ProjectIsSilent> {
        match self {
            Self::Manifest => project
                .manifest
                .clone()
                .map(Self::Exact)
                .ok_or(ProjectIsSilent::NoManifestVersion),
            Self::Min => {
                let compat = project.compat.as_deref();
                Ok(Self::Oldest(
                    compat.ok_or(ProjectIsSilent::NoCompat)?.parse()?,
                ))
            }
            other => Ok(other),
        }
    }

    /// The branch whose nightly builds are asked for, if nightly builds are: `Some(None)` is the
    /// main branch.
    #[must_use]
    pub const fn nightly(&self) -> Option<Option<(u64, u64)>> {
        match self {
            Self::Nightly => Some(None),
            Self::NightlyOf(major, minor) => Some(Some((*major, *minor))),
            _ => None,
        }
    }

    /// Whether the request is answered from a catalogue, and not by the machine or a nightly
    /// server.
    #[must_use]
    pub const fn needs_catalogue(&self) -> bool {
        !matches!(
            self,
            Self::System | Self::Directory(_) | Self::Nightly | Self::NightlyOf(..)
        )
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NightlyOf(major, minor) => write!(f, "{major}.{minor}-nightly"),
            Self::Series(major, None) => write!(f, "{major}"),
            Self::Series(major, Some(minor)) => write!(f, "{major}.{minor}"),
            Self::Exact(version) => version.fmt(f),
            Self::Within(ranges) => ranges.fmt(f),
            Self::Oldest(ranges) => write!(f, "oldest of {ranges}"),
            Self::Directory(path) => path.display().fmt(f),
            word => f.write_str(
                WORDS
                    .iter()
                    .find(|(_, request)| request == word)
                    .map_or("release", |(text, _)| text),
            ),
        }
    }
}

impl FromStr for Request {
    type Err = NotARequest;

    fn from_str(text: &str) -> Result<Self, NotARequest> {
        let text = text.trim();
        if let Some((_, request)) = WORDS.iter().find(|(word, _)| *word == text) {
            return Ok(request.clone());
        }
        // Before ranges: no range has a separator, and `.` is none.
        if matches!(text, "." | "..") || text.contains(['/', '\\']) {
            return Ok(Self::Directory(PathBuf::from(text)));
        }
        if let Some(branch) = text.strip_suffix("-nightly")
            && let Some(Partial {
                major: Some(major),
                minor: Some(minor),
                patch: None,
                ..
            }) = Partial::parse(branch)
        {
            return Ok(Self::NightlyOf(major, minor));
        }
        if let Ok(version) = text.parse() {
            return Ok(Self::Exact(version));
        }
        if let Some(Partial {
            major: Some(major),
            minor,
            patch: None,
            ..
        }) = Partial::parse(text)
        {
            return Ok(Self::Series(major, minor));
        }
        text.parse().map(Self::Within).map_err(|_| NotARequest {
            text: text.to_owned(),
            suggestion: nearest(text, WORDS.iter().map(|(word, _)| *word)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_form_is_understood_and_printed_back() {
        let version = |text: &str| text.parse::<JuliaVersion>().unwrap();
        for (text, request) in [
            ("1", Request::Series(1, None)),
            ("1.12", Request::Series(1, Some(12))),
            ("1.12.7", Request::Exact(version("1.12.7"))),
            ("1.12.7-rc1", Request::Exact(version("1.12.7-rc1"))),
            ("release", Request::Release),
            ("lts", Request::Lts),
            ("rc", Request::Rc),
            ("pre", Request::Pre),
            ("nightly", Request::Nightly),
            ("1.13-nightly", Request::NightlyOf(1, 13)),
            ("min", Request::Min),
            ("manifest", Request::Manifest),
            ("~1.10", Request::Within("~1.10".parse().unwrap())),
            ("^1.6", Request::Within("^1.6".parse().unwrap())),
            ("1.6 - 1.11", Request::Within("1.6 - 1.11".parse().unwrap())),
            ("system", Request::System),
            (".", Request::Directory(".".into())),
            ("./julia", Request::Directory("./julia".into())),
            (r"C:\julia", Request::Directory(r"C:\julia".into())),
        ] {
            let read: Request = text.parse().unwrap();
            assert_eq!(read, request, "{text}");
            assert_eq!(read.to_string(), text);
        }
    }

    #[test]
    fn a_mistyped_word_is_answered_with_the_nearest() {
        let error = "relaese".parse::<Request>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "`relaese` is not a Julia version, range or channel (did you mean `release`?)"
        );
    }

    #[test]
    fn the_project_answers_for_itself() {
        let project = ProjectJulia {
            manifest: Some(JuliaVersion::new(1, 10, 4)),
            compat: Some("1.9".to_owned()),
        };
        assert_eq!(
            Request::Manifest.for_project(&project).unwrap(),
            Request::Exact(JuliaVersion::new(1, 10, 4))
        );
        assert_eq!(
            Request::Min.for_project(&project).unwrap(),
            Request::Oldest("1.9".parse().unwrap())
        );
        assert!(
            Request::Min
                .for_project(&ProjectJulia::default())
                .unwrap_err()
                .to_string()
                .contains("[compat]")
        );
    }
}
