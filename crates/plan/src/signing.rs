//! Which key makes which release of Julia trustworthy. One table: a new key, or a key that becomes
//! untrusted, is a new row.
//!
//! Source: Julia's announcement of 2026 that its first signing key is compromised. Releases are
//! signed with a new key from 1.13.0-rc2, 1.12.7 and 1.10.12 on; older ones keep signatures that
//! prove nothing, and only the digest in the catalogue protects them.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::text;
use crate::version::JuliaVersion;

/// The key that has signed Julia's releases since 2026.
pub const JULIA_KEY_2026: &str = "64B779A570972FFF7BFC2B54EAD471E1A1F2C10A";

/// The key used before 2026. It is compromised: whoever has it can sign anything, so its signatures
/// are neither good nor bad.
pub const JULIA_KEY_2015: &str = "3673DF529D9049477F76B37566E3C7DC03D6E495";

/// The requirement on a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Made with the key of this fingerprint.
    Key(&'static str),
    /// Signatures prove nothing; only the digest is checked.
    DigestOnly,
}

struct Row {
    /// The series to which the row applies, or `None` for all.
    series: Option<(u64, u64)>,
    /// The first version to which the row applies.
    since: &'static str,
    trust: Trust,
}

/// The first row that matches decides.
const TABLE: &[Row] = &[
    Row {
        series: Some((1, 10)),
        since: "1.10.12",
        trust: Trust::Key(JULIA_KEY_2026),
    },
    Row {
        series: Some((1, 11)),
        since: "1.11.10",
        trust: Trust::Key(JULIA_KEY_2026),
    },
    Row {
        series: Some((1, 12)),
        since: "1.12.7",
        trust: Trust::Key(JULIA_KEY_2026),
    },
    Row {
        series: None,
        since: "1.13.0-rc2",
        trust: Trust::Key(JULIA_KEY_2026),
    },
    Row {
        series: None,
        since: "0.0.0-0",
        trust: Trust::DigestOnly,
    },
];

impl Trust {
    /// Returns the requirement for a version.
    pub fn of(version: &JuliaVersion) -> Self {
        TABLE
            .iter()
            .find(|row| {
                row.series
                    .is_none_or(|series| series == version.minor_pair())
                    && row
                        .since
                        .parse::<JuliaVersion>()
                        .is_ok_and(|since| *version >= since)
            })
            .map_or(Self::DigestOnly, |row| row.trust)
    }
}

/// An OpenPGP fingerprint: 40 or 64 hexadecimal digits, in upper case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint(String);

/// The text is not a fingerprint.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not the fingerprint of an OpenPGP key (40 or 64 hexadecimal digits)")]
pub struct NotAFingerprint(String);

impl std::str::FromStr for Fingerprint {
    type Err = NotAFingerprint;

    fn from_str(text: &str) -> Result<Self, NotAFingerprint> {
        let digits: String = text
            .chars()
            .filter(|c| !c.is_whitespace())
            .map(|c| c.to_ascii_uppercase())
            .collect();
        let whole = matches!(digits.len(), 40 | 64);
        if whole && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            Ok(Self(digits))
        } else {
            Err(NotAFingerprint(crate::text::shortened(text, 70)))
        }
    }
}

crate::text::as_string!(Fingerprint);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The result of checking a signature; part of the receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "signature", rename_all = "kebab-case")]
pub enum SignatureCheck {
    /// The signature is good, and made with this pinned key.
    Good {
        /// The key's fingerprint.
        key: Fingerprint,
    },
    /// There was no signature to check, or no key to check it with.
    NotChecked {
        /// Why.
        #[serde(deserialize_with = "text::string::<text::Line, _>")]
        reason: String,
    },
}

impl fmt::Display for SignatureCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Good { key } => write!(f, "good signature by {key}"),
            Self::NotChecked { reason } => write!(f, "signature not checked: {reason}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_version_has_its_key() {
        for (version, key) in [
            ("1.13.2", Trust::Key(JULIA_KEY_2026)),
            ("1.13.0-rc2", Trust::Key(JULIA_KEY_2026)),
            ("1.13.0-rc1", Trust::DigestOnly),
            ("1.14.0-alpha1", Trust::Key(JULIA_KEY_2026)),
            ("1.12.7", Trust::Key(JULIA_KEY_2026)),
            ("1.12.6", Trust::DigestOnly),
            ("1.11.9", Trust::DigestOnly),
            ("1.11.10", Trust::Key(JULIA_KEY_2026)),
            ("1.10.12", Trust::Key(JULIA_KEY_2026)),
            ("1.10.11", Trust::DigestOnly),
            ("1.5.3", Trust::DigestOnly),
        ] {
            assert_eq!(Trust::of(&version.parse().unwrap()), key, "{version}");
        }
    }

    #[test]
    fn fingerprints_are_read_as_people_print_them() {
        let spaced = "64B7 79A5 7097 2FFF 7BFC  2B54 EAD4 71E1 A1F2 C10A";
        let read: Fingerprint = spaced.parse().unwrap();
        assert_eq!(read.to_string(), JULIA_KEY_2026);
        assert!("EAD471E1A1F2C10A".parse::<Fingerprint>().is_err());
    }
}
