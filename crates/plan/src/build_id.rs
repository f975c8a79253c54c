//! Build identifiers: `{name}-julia{X.Y.Z}-{triplet}[-{cpu tier}]`. One identifier names the
//! matrix leg, the archive, the receipt, the cache entry and the log of a build.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wildmatch::WildMatch;

use crate::platform::Triplet;
use crate::version::JuliaVersion;

/// The identifier of one build.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct BuildId(String);

impl BuildId {
    /// The identifier of the image `name` for this Julia and platform, and this CPU tier where
    /// one platform has several images.
    #[must_use]
    pub fn new(name: &str, julia: &JuliaVersion, triplet: Triplet, tier: Option<&str>) -> Self {
        let tier = tier.map(|tier| format!("-{tier}")).unwrap_or_default();
        Self(format!("{name}-julia{julia}-{triplet}{tier}"))
    }

    /// The identifier as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the glob `pattern` (`*` and `?`) selects this build.
    #[must_use]
    pub fn matches(&self, pattern: &str) -> bool {
        WildMatch::new(pattern).matches(&self.0)
    }
}

impl fmt::Display for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Whether `name` can be part of file names, release assets and identifiers on every system:
/// letters, digits, `.`, `_` and `-`, beginning with a letter or digit, at most 64 of them.
#[must_use]
pub fn is_good_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_julia_platform_and_tier() {
        let julia = JuliaVersion::new(1, 12, 7);
        let plain = BuildId::new("insurance", &julia, Triplet::X86_64_LINUX_GNU, None);
        assert_eq!(plain.as_str(), "insurance-julia1.12.7-x86_64-linux-gnu");
        let tier = BuildId::new(
            "insurance",
            &julia,
            Triplet::X86_64_LINUX_GNU,
            Some("x86-64-v3"),
        );
        assert_eq!(
            tier.as_str(),
            "insurance-julia1.12.7-x86_64-linux-gnu-x86-64-v3"
        );
    }

    #[test]
    fn globs_select() {
        let id = BuildId::new(
            "insurance",
            &JuliaVersion::new(1, 12, 7),
            Triplet::AARCH64_APPLE_DARWIN,
            None,
        );
        assert!(id.matches("*-apple-darwin"));
        assert!(id.matches("insurance-julia1.1?.*"));
        assert!(!id.matches("*-linux-gnu"));
    }

    #[test]
    fn names_must_be_portable() {
        assert!(is_good_name("insurance-2.0"));
        for bad in ["", "a b", "../x", ".hidden", "é", "a/b", &"x".repeat(65)] {
            assert!(!is_good_name(bad), "{bad}");
        }
    }
}
