//! Julia version numbers, which are semantic versions: `1.12.7`, `1.13.0-rc2`, `1.15.0-DEV.123`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::text::shortened;

/// A complete Julia version.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JuliaVersion(semver::Version);

/// The text is not a complete Julia version.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is not a Julia version such as 1.12.7")]
pub struct NotAVersion {
    text: String,
    /// The cause; `None` if the text is too long.
    #[source]
    source: Option<semver::Error>,
}

/// The maximum length of a version, in bytes: it becomes part of file names.
const LONGEST: usize = 64;

impl JuliaVersion {
    /// Creates a released version.
    pub const fn new(major: u64, minor: u64, patch: u64) -> Self {
        Self(semver::Version::new(major, minor, patch))
    }

    /// Returns `(major, minor)`, which selects layouts and flags.
    pub const fn minor_pair(&self) -> (u64, u64) {
        (self.0.major, self.0.minor)
    }

    /// The major number.
    pub const fn major(&self) -> u64 {
        self.0.major
    }

    /// The minor number.
    pub const fn minor(&self) -> u64 {
        self.0.minor
    }

    /// The patch number.
    pub const fn patch(&self) -> u64 {
        self.0.patch
    }

    /// Returns whether this is an alpha, beta, release candidate or development version.
    pub fn is_prerelease(&self) -> bool {
        !self.0.pre.is_empty()
    }

    /// Returns whether this is a development version (`1.15.0-DEV.123`). Only nightly builds of
    /// those are published.
    pub fn is_development(&self) -> bool {
        let first = self.0.pre.as_str().split('.').next();
        first.is_some_and(|first| first.eq_ignore_ascii_case("DEV"))
    }

    /// Parses what Julia's `VersionNumber` accepts: minor and patch are optional, and a prerelease
    /// may follow without a `-`. Returns `None` for anything else.
    pub fn from_number(text: &str) -> Option<Self> {
        let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
        let (text, build) = match text.split_once('+') {
            Some((text, build)) => (text, build),
            None => (text, ""),
        };
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.');
        let (numbers, pre) = text.split_at(end.unwrap_or(text.len()));
        let mut parts = [0; 3];
        for (index, piece) in numbers.split('.').enumerate() {
            let digits = !piece.is_empty() && piece.bytes().all(|b| b.is_ascii_digit());
            // Julia keeps these numbers in 32 bits, and those of a prerelease or build in 64.
            let number = piece.parse::<u32>().ok().filter(|_| digits)?;
            *parts.get_mut(index)? = u64::from(number);
        }
        let identifiers = |text: &str| {
            let word = |word: &str| {
                let is_number = word.bytes().all(|b| b.is_ascii_digit());
                !word.is_empty()
                    && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                    && (!is_number || word.parse::<u64>().is_ok())
            };
            text.is_empty() || text.split('.').all(word)
        };
        let pre = pre.strip_prefix('-').unwrap_or(pre);
        if !identifiers(pre) || !identifiers(build) {
            return None;
        }
        let mut version = semver::Version::new(parts[0], parts[1], parts[2]);
        // Julia allows leading zeros in numeric identifiers; semantic versions do not.
        let without_zeros: Vec<&str> = pre
            .split('.')
            .map(|word| match word.bytes().all(|b| b.is_ascii_digit()) {
                true if word.len() > 1 => match word.trim_start_matches('0') {
                    "" => "0",
                    rest => rest,
                },
                _ => word,
            })
            .collect();
        version.pre = semver::Prerelease::new(&without_zeros.join(".")).ok()?;
        version.build = semver::BuildMetadata::new(build).ok()?;
        Some(Self(version))
    }

    /// Returns the underlying semantic version.
    pub const fn as_semver(&self) -> &semver::Version {
        &self.0
    }
}

impl From<semver::Version> for JuliaVersion {
    fn from(version: semver::Version) -> Self {
        Self(version)
    }
}

impl fmt::Display for JuliaVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for JuliaVersion {
    type Err = NotAVersion;

    fn from_str(text: &str) -> Result<Self, NotAVersion> {
        let bare = text.trim().trim_start_matches('v');
        // Parsed before the length is checked, so that the error contains the parser's reason.
        let parsed = semver::Version::parse(bare).map_err(Some);
        parsed
            .and_then(|version| match bare.len() {
                0..=LONGEST => Ok(Self(version)),
                _ => Err(None),
            })
            .map_err(|source| NotAVersion {
                text: shortened(text, 60),
                source,
            })
    }
}

crate::text::as_string!(JuliaVersion);

impl schemars::JsonSchema for JuliaVersion {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "JuliaVersion".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": r"^\d+\.\d+\.\d+",
            "description": "A complete Julia version, for instance 1.12.7",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_prereleases_before_their_release() {
        let parse = |text: &str| text.parse::<JuliaVersion>().unwrap();
        assert!(parse("1.13.0-rc2") < parse("1.13.0"));
        assert!(parse("1.9.4") < parse("v1.10.0"));
        assert!(parse("1.13.0-rc2").is_prerelease());
    }

    #[test]
    fn reads_the_numbers_that_julia_reads() {
        let read = |text: &str| JuliaVersion::from_number(text).map(|version| version.to_string());
        for (text, version) in [
            ("1", "1.0.0"),
            ("v1.10", "1.10.0"),
            ("1.12.7", "1.12.7"),
            ("1.13.0-DEV", "1.13.0-DEV"),
            ("1.13.0-DEV.007", "1.13.0-DEV.7"),
            ("0.5.1+", "0.5.1"),
            ("1.2.3rc1", "1.2.3-rc1"),
            ("1.2.3-", "1.2.3"),
            ("1.10.4+debian.1", "1.10.4+debian.1"),
            ("4294967295", "4294967295.0.0"),
            ("1.2.3-4294967296", "1.2.3-4294967296"),
        ] {
            assert_eq!(read(text).as_deref(), Some(version), "{text}");
        }
        for text in [
            "",
            "foo",
            "0.5.3.3.5",
            "1..2",
            "1.2.",
            "-1",
            "1.2.3-a..b",
            "1.2.3 4",
            "1.é",
            "99999999999.0.0",
            "1.4294967296",
            "1.2.3-99999999999999999999",
            "1.2.3+99999999999999999999",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn knows_development_versions() {
        let development = |text: &str| JuliaVersion::from_number(text).unwrap().is_development();
        assert!(development("1.13.0-DEV") && development("1.15.0-DEV.123"));
        assert!(!development("1.13.0-rc1") && !development("1.13.0"));
    }

    #[test]
    fn refuses_what_is_incomplete() {
        for text in ["1", "1.12", "latest", "", "1.12.7\n", "1.2.3-\u{202e}"] {
            let parsed = text.parse::<JuliaVersion>();
            // Surrounding white space is ignored.
            assert!(parsed.is_err() || text.trim() != text, "{text}");
        }
        let long = format!("1.2.3-{}", "x".repeat(10_000));
        let error = long.parse::<JuliaVersion>().unwrap_err().to_string();
        assert!(error.len() < 200, "{error}");
    }
}
