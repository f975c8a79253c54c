//! Julia version numbers. They are semantic versions: `1.12.7`, `1.13.0-rc2`,
//! `1.15.0-DEV.123`.

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
    /// Why; `None` if it is too long.
    #[source]
    source: Option<semver::Error>,
}

/// The longest version, in bytes: it becomes part of file names.
const LONGEST: usize = 64;

impl JuliaVersion {
    /// A released version.
    #[must_use]
    pub const fn new(major: u64, minor: u64, patch: u64) -> Self {
        Self(semver::Version::new(major, minor, patch))
    }

    /// `(major, minor)`, which selects layouts and flags.
    #[must_use]
    pub const fn minor_pair(&self) -> (u64, u64) {
        (self.0.major, self.0.minor)
    }

    /// The major number.
    #[must_use]
    pub const fn major(&self) -> u64 {
        self.0.major
    }

    /// The minor number.
    #[must_use]
    pub const fn minor(&self) -> u64 {
        self.0.minor
    }

    /// The patch number.
    #[must_use]
    pub const fn patch(&self) -> u64 {
        self.0.patch
    }

    /// Whether this is an alpha, beta, release candidate or development version.
    #[must_use]
    pub fn is_prerelease(&self) -> bool {
        !self.0.pre.is_empty()
    }

    /// The underlying semantic version.
    #[must_use]
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
        // Parsed before the length is checked: the error carries the reason of the parser.
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

impl TryFrom<String> for JuliaVersion {
    type Error = NotAVersion;

    fn try_from(text: String) -> Result<Self, NotAVersion> {
        text.parse()
    }
}

impl From<JuliaVersion> for String {
    fn from(version: JuliaVersion) -> Self {
        version.to_string()
    }
}

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
    fn refuses_what_is_incomplete() {
        for text in ["1", "1.12", "latest", "", "1.12.7\n", "1.2.3-\u{202e}"] {
            let parsed = text.parse::<JuliaVersion>();
            // White space around it is no part of it.
            assert!(parsed.is_err() || text.trim() != text, "{text}");
        }
        let long = format!("1.2.3-{}", "x".repeat(10_000));
        let error = long.parse::<JuliaVersion>().unwrap_err().to_string();
        assert!(error.len() < 200, "{error}");
    }
}
