//! Requests for a Julia: `1.12`, `lts`, `^1.6`, `manifest`, a directory.
//! [`crate::catalogue::Catalogue::choose`] finds the release that satisfies a [`Request`].

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::explain::{Class, Explain, nearest};
use crate::ranges::{Partial, Ranges};
use crate::version::JuliaVersion;

/// A request for a Julia.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// `release`: the newest stable version.
    Release,
    /// `lts`: the newest of the long-term support series.
    Lts,
    /// `rc`: the newest release candidate, or the newest stable version if that is newer.
    Rc,
    /// `beta`: the newest beta, or the result of `rc` if that is newer.
    Beta,
    /// `pre`, or `alpha` as in juliaup: the newest version of all, including alphas and betas.
    Pre,
    /// `nightly`: the newest build of Julia's main branch.
    Nightly,
    /// `1.13-nightly`: the newest build of a release branch.
    NightlyOf(u64, u64),
    /// `min`: the newest patch release of the oldest minor version that the project's
    /// `[compat] julia` allows. [`Request::for_project`] turns it into [`Request::OldestMinor`].
    Min,
    /// `min-patch`: the oldest version that the project's `[compat] julia` allows.
    /// [`Request::for_project`] turns it into [`Request::Oldest`].
    MinPatch,
    /// `manifest`: the Julia that made the project's manifest. [`Request::for_project`] turns it
    /// into [`Request::Exact`] or [`Request::Series`].
    Manifest,
    /// `1` or `1.12`: the newest stable version with these numbers.
    Series(u64, Option<u64>),
    /// `1.12.7`, `1.12.7-rc1`.
    Exact(JuliaVersion),
    /// A semantic version or compat range: the newest stable version within it.
    Within(Ranges),
    /// The newest patch release of the oldest minor version within a range; replaces `min`.
    OldestMinor(Ranges),
    /// The oldest stable version within a range; replaces `min-patch`.
    Oldest(Ranges),
    /// `system`: the `julia` on the search path.
    System,
    /// A directory that contains a Julia.
    Directory(PathBuf),
}

/// What a project says about the Julia that it needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProjectJulia {
    /// The Julia of its manifest; see [`crate::manifests::Manifests::request`].
    pub manifest: Option<Request>,
    /// `julia` in the `[compat]` table of its `Project.toml`.
    pub compat: Option<String>,
}

/// The text is not a request for a Julia.
#[derive(Debug, thiserror::Error)]
#[error("{}{}", what(text),
    .suggestion.as_ref().map(|s| format!(" (did you mean `{s}`?)")).unwrap_or_default())]
pub struct NotARequest {
    /// The text.
    pub text: String,
    /// The form that was meant, or the nearest channel.
    pub suggestion: Option<String>,
}

fn what(text: &str) -> String {
    match text.trim().is_empty() {
        true => "an empty text is not a Julia version, range or channel".to_owned(),
        false => format!("`{text}` is not a Julia version, range or channel"),
    }
}

impl Explain for NotARequest {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn hints(&self) -> Vec<String> {
        if let Some((channel, processor)) = self.text.split_once('~')
            && PROCESSORS.contains(&processor)
        {
            return vec![format!(
                "ask for `{channel}`: the processor is this machine's, or that of each of the \
                 `platforms` in Sysimage.toml"
            )];
        }
        let number = self.text.strip_prefix("pr").unwrap_or_default();
        if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) {
            return vec![
                "no catalogue lists the builds of pull requests: name the folder of one (`./julia`)"
                    .to_owned(),
            ];
        }
        vec![
            "ask for a version (`1.12`, `1.12.7`), a range (`^1.6`, `~1.10`, `1.6 - 1.11`), \
             `release`, `lts`, `rc`, `nightly`, `min`, `min-patch`, `manifest`, `system`, or a \
             directory (`./julia`)"
                .to_owned(),
        ]
    }
}

/// The suffixes after a `~` in juliaup's channels.
const PROCESSORS: [&str; 4] = ["x64", "x86", "aarch64", "arm64"];

/// A request that needs information which the project does not contain.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages describe the variants")]
pub enum ProjectIsSilent {
    #[error("the Julia version `manifest` was asked for, but no manifest of the project names one")]
    NoManifestVersion,
    #[error(
        "the Julia version `{0}` was asked for, but the project's [compat] does not name julia"
    )]
    NoCompat(Request),
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
                "bring the manifest up to date with `julia --project -e 'using Pkg; Pkg.resolve()'`, \
                 since Julia 1.6.2 and later write their version into it; or ask for a version such as \
                 `release`"
                    .to_owned()
            }
            Self::NoCompat(_) | Self::BadCompat(_) => {
                "add `julia = \"1.10\"` (your oldest) below [compat] in Project.toml".to_owned()
            }
        }]
    }
}

/// The requests that are words. If several words mean the same request, the first is printed.
const WORDS: [(&str, Request); 13] = [
    ("release", Request::Release),
    ("lts", Request::Lts),
    ("rc", Request::Rc),
    ("beta", Request::Beta),
    ("pre", Request::Pre),
    ("alpha", Request::Pre),
    ("nightly", Request::Nightly),
    ("min", Request::Min),
    ("min-minor", Request::Min),
    ("min-patch", Request::MinPatch),
    ("manifest", Request::Manifest),
    ("system", Request::System),
    ("latest", Request::Release),
];

impl Request {
    /// Parses one request, or several separated by commas: `1.10,release` requests two Julias. If a
    /// part is a range with an operator, the whole text is one range in which a comma means "or",
    /// as in `[compat]`: `^1.6, ^2`.
    ///
    /// # Errors
    ///
    /// [`NotARequest`] for the first part that is not a request.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, NotARequest> {
        Self::split(text).into_iter().map(str::parse).collect()
    }

    /// Splits such a list into the texts of its requests.
    pub fn split(text: &str) -> Vec<&str> {
        let parts: Vec<&str> = text.split(',').map(str::trim).collect();
        let is_range = |part: &&str| matches!(part.parse(), Ok(Self::Within(_)));
        let whole = text.parse();
        match matches!(whole, Ok(Self::Within(_))) && parts.iter().any(is_range) {
            true => vec![text],
            false => parts,
        }
    }

    /// Replaces a request that depends on the project (`manifest`, `min`) by the resulting one.
    ///
    /// # Errors
    ///
    /// If the project does not contain the information.
    pub fn for_project(self, project: &ProjectJulia) -> Result<Self, ProjectIsSilent> {
        match self {
            Self::Manifest => project
                .manifest
                .clone()
                .ok_or(ProjectIsSilent::NoManifestVersion),
            Self::Min | Self::MinPatch => {
                let compat = project.compat.as_deref();
                let compat = compat.ok_or_else(|| ProjectIsSilent::NoCompat(self.clone()))?;
                let ranges = Ranges::from_compat(compat)?;
                Ok(match self {
                    Self::MinPatch => Self::Oldest(ranges),
                    _ => Self::OldestMinor(ranges),
                })
            }
            other => Ok(other),
        }
    }

    /// Returns the branch if this requests a nightly build: `Some(None)` is the main branch.
    pub const fn nightly(&self) -> Option<Option<(u64, u64)>> {
        match self {
            Self::Nightly => Some(None),
            Self::NightlyOf(major, minor) => Some(Some((*major, *minor))),
            _ => None,
        }
    }

    /// Returns whether the request is satisfied from a catalogue, not from the machine or a nightly
    /// server.
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
            Self::OldestMinor(ranges) => write!(f, "oldest minor version of {ranges}"),
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
        Self::understood(text).ok_or_else(|| NotARequest {
            text: text.to_owned(),
            suggestion: meant(text),
        })
    }
}

impl Request {
    fn understood(text: &str) -> Option<Self> {
        if let Some((_, request)) = WORDS.iter().find(|(word, _)| *word == text) {
            return Some(request.clone());
        }
        // Checked before ranges: no range contains a separator or is only dots.
        if matches!(text, "." | "..") || text.contains(['/', '\\']) {
            return Some(Self::Directory(PathBuf::from(text)));
        }
        if let Some(branch) = text.strip_suffix("-nightly")
            && let Some(Partial {
                major: Some(major),
                minor: Some(minor),
                patch: None,
                ..
            }) = Partial::parse(branch)
        {
            return Some(Self::NightlyOf(major, minor));
        }
        if let Ok(version) = text.parse() {
            return Some(Self::Exact(version));
        }
        if let Some(Partial {
            major: Some(major),
            minor,
            patch: None,
            ..
        }) = Partial::parse(text)
        {
            return Some(Self::Series(major, minor));
        }
        text.parse().map(Self::Within).ok()
    }
}

/// Returns the request that was probably meant by a text that is not a request: forms of other tools, such as
/// `+1.10` of juliaup, `==1.10` and `1.9-1.10`, or the nearest word.
fn meant(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let prefixes = ["julia-", "julia@", "julia ", "julia", "+", "="];
    let plain = prefixes
        .iter()
        .find_map(|prefix| lower.strip_prefix(prefix));
    let plain = plain.unwrap_or(&lower).trim_end_matches('.');
    let range = plain.split(['-', '–']).map(str::trim);
    let range = range.collect::<Vec<_>>().join(" - ");
    let forms = [
        Some(plain.to_owned()),
        plain
            .strip_prefix("nightly-")
            .map(|branch| format!("{branch}-nightly")),
        plain.strip_suffix('+').map(|oldest| format!(">={oldest}")),
        prerelease(plain),
        Some(range),
        (plain == "stable").then(|| "release".to_owned()),
    ];
    let mut forms = forms.into_iter().flatten();
    forms
        .find(|form| form != text && Request::understood(form).is_some())
        .or_else(|| nearest(text, WORDS.iter().map(|(word, _)| *word)).map(str::to_owned))
}

/// Returns a prerelease without a patch number, such as `1.13-rc3`, with that number.
fn prerelease(text: &str) -> Option<String> {
    let (numbers, suffix) = text.split_once('-')?;
    let is_word = suffix.starts_with(|c: char| c.is_ascii_alphabetic());
    (is_word && numbers.split('.').count() == 2).then(|| format!("{numbers}.0-{suffix}"))
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
            ("min-patch", Request::MinPatch),
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

    /// The channels in juliaup's README and the corresponding requests.
    #[test]
    fn the_channels_of_juliaup_are_understood_or_explained() {
        for (channel, request) in [
            ("release", "release"),
            ("lts", "lts"),
            ("rc", "rc"),
            ("beta", "beta"),
            ("alpha", "pre"),
            ("nightly", "nightly"),
            ("1", "1"),
            ("1.10", "1.10"),
            ("1.10.4", "1.10.4"),
            ("1.11.0-rc1", "1.11.0-rc1"),
            ("1.12.0-beta4", "1.12.0-beta4"),
            ("1.12-nightly", "1.12-nightly"),
        ] {
            let read: Request = channel.parse().unwrap();
            assert_eq!(read.to_string(), request, "{channel}");
        }
        for processor in PROCESSORS {
            for channel in [
                "release",
                "lts",
                "1.10",
                "1.10.4",
                "nightly",
                "1.12-nightly",
            ] {
                let text = format!("{channel}~{processor}");
                let error = text.parse::<Request>().unwrap_err();
                assert!(
                    error.hints()[0].starts_with(&format!("ask for `{channel}`:")),
                    "{text}"
                );
            }
        }
        for text in ["pr123", "pr1"] {
            let error = text.parse::<Request>().unwrap_err();
            assert!(error.hints()[0].contains("pull requests"), "{text}");
        }
        for text in ["pr", "prx", "1.10~", "1.10~z80", "releases"] {
            let hints = text.parse::<Request>().unwrap_err().hints();
            assert!(
                hints[0].starts_with("ask for a version"),
                "{text}: {hints:?}"
            );
        }
    }

    #[test]
    fn min_minor_is_min() {
        assert_eq!("min-minor".parse::<Request>().unwrap(), Request::Min);
    }

    #[test]
    fn an_empty_entry_of_a_list_is_named_as_one() {
        for text in ["", " ", ",", "1.6,", "1.6,,1.10"] {
            let error = Request::parse_list(text).unwrap_err();
            assert!(
                error
                    .to_string()
                    .contains("an empty text is not a Julia version"),
                "{error}"
            );
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
    fn a_form_of_another_tool_is_answered_with_the_right_one() {
        for (text, right) in [
            ("V1.10", Some("v1.10")),
            ("LTS", Some("lts")),
            ("stable", Some("release")),
            ("==1.10.9", Some("=1.10.9")),
            ("1.9-1.10", Some("1.9 - 1.10")),
            ("1.9–1.10", Some("1.9 - 1.10")),
            ("1.10 -1.11", Some("1.10 - 1.11")),
            ("1.10- 1.11", Some("1.10 - 1.11")),
            ("1.13-rc3", Some("1.13.0-rc3")),
            ("v1.13-beta1", Some("v1.13.0-beta1")),
            ("1.13-pre", Some("1.13.0-pre")),
            ("1.10+", Some(">=1.10")),
            ("+1.10", Some("1.10")),
            ("+release", Some("release")),
            ("julia-1.10.9", Some("1.10.9")),
            ("julia@1.10", Some("1.10")),
            ("nightly-1.12", Some("1.12-nightly")),
            ("1.10.", Some("1.10")),
            ("!=1.10", None),
            ("1.6.7.0", None),
            ("~", None),
        ] {
            let error = text.parse::<Request>().unwrap_err();
            assert_eq!(error.suggestion.as_deref(), right, "{text}");
        }
    }

    #[test]
    fn the_project_answers_for_itself() {
        let project = ProjectJulia {
            manifest: Some(Request::Exact(JuliaVersion::new(1, 10, 4))),
            compat: Some("1.9".to_owned()),
        };
        assert_eq!(
            Request::Manifest.for_project(&project).unwrap(),
            Request::Exact(JuliaVersion::new(1, 10, 4))
        );
        assert_eq!(
            Request::Min.for_project(&project).unwrap(),
            Request::OldestMinor(Ranges::from_compat("1.9").unwrap())
        );
        assert_eq!(
            Request::MinPatch.for_project(&project).unwrap(),
            Request::Oldest(Ranges::from_compat("1.9").unwrap())
        );
        assert!(
            Request::Min
                .for_project(&ProjectJulia::default())
                .unwrap_err()
                .to_string()
                .contains("[compat]")
        );
    }

    #[test]
    fn commas_separate_julias_unless_a_part_is_a_range() {
        let list = |text: &str| -> Vec<String> {
            let requests = Request::parse_list(text).unwrap();
            requests.iter().map(ToString::to_string).collect()
        };
        assert_eq!(list("1.10, lts,1.12.7"), ["1.10", "lts", "1.12.7"]);
        assert_eq!(list("^1.6, ^2"), ["^1.6, ^2"]);
        assert_eq!(list(">=1.10,<1.12"), [">=1.10,<1.12"]);
        assert_eq!(list("1.6, 1.8 - 1.9"), ["1.6, 1.8 - 1.9"]);
        // A list with a word is never a range.
        assert_eq!(list("lts, ^1.6"), ["lts", "^1.6"]);
        for text in ["lts,", "", "lst, 1.10", "^1.6, one"] {
            assert!(Request::parse_list(text).is_err(), "{text:?}");
        }
    }
}
