//! Build identifiers: `{name}-julia{X.Y.Z}-{triplet}[-{cpu tier}]`. One identifier names the
//! matrix leg, the archive, the receipt, the cache entry and the log of a build.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::ops::Deref;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use wildmatch::WildMatch;

use crate::platform::Triplet;
use crate::text::{CpuTier, ImageName, InvalidText, Rule, validated};
use crate::version::JuliaVersion;

validated! {
    /// The identifier of one build.
    BuildId,
    "a build identifier",
    |text| match parts(text) {
        Some(_) => Ok(()),
        None => Err("it is not of the form NAME-juliaX.Y.Z-TRIPLET[-TIER]"),
    }
}

/// The longest identifier in bytes: it leaves space for the suffixes of file names.
const LONGEST: usize = 230;

/// Splits an identifier into name, version, triplet and tier. Returns `None` if it is not one.
fn parts(text: &str) -> Option<(&str, JuliaVersion, Triplet, Option<&str>)> {
    const MARK: &str = "-julia";
    if text.len() > LONGEST {
        return None;
    }
    text.match_indices(MARK).find_map(|(at, _)| {
        let (name, rest) = (&text[..at], &text[at + MARK.len()..]);
        ImageName::check(name).ok()?;
        Triplet::all().find_map(|triplet| {
            rest.match_indices(triplet.name()).find_map(|(start, _)| {
                let version = rest[..start].strip_suffix('-')?;
                let tier = match &rest[start + triplet.name().len()..] {
                    "" => None,
                    tier => Some(tier.strip_prefix('-')?),
                };
                if let Some(tier) = tier {
                    CpuTier::check(tier).ok()?;
                }
                let version: JuliaVersion = version.parse().ok()?;
                // Versions are parsed leniently, but only their canonical form is valid here.
                let printed = version.to_string();
                (rest[..start] == format!("{printed}-")).then_some((name, version, triplet, tier))
            })
        })
    })
}

impl BuildId {
    /// Returns the identifier of the image `name` for this Julia and platform, and for this CPU
    /// tier if one platform has several images.
    ///
    /// # Errors
    ///
    /// If the name or the tier cannot be part of file names.
    pub fn of(
        name: &str,
        julia: &JuliaVersion,
        triplet: Triplet,
        tier: Option<&str>,
    ) -> Result<Self, InvalidText> {
        ImageName::validate(name)?;
        if let Some(tier) = tier {
            CpuTier::validate(tier)?;
        }
        let tier = tier.map(|tier| format!("-{tier}")).unwrap_or_default();
        Self::new(format!("{name}-julia{julia}-{triplet}{tier}"))
    }

    /// Returns whether the glob `pattern` (`*` and `?`) matches this build.
    pub fn matches(&self, pattern: &str) -> bool {
        WildMatch::new(pattern).matches(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, tier: Option<&str>) -> Result<BuildId, InvalidText> {
        let julia = JuliaVersion::new(1, 12, 7);
        BuildId::of(name, &julia, Triplet::X86_64_LINUX_GNU, tier)
    }

    #[test]
    fn names_julia_platform_and_tier() {
        let plain = of("insurance", None).unwrap();
        assert_eq!(plain, "insurance-julia1.12.7-x86_64-linux-gnu");
        let tier = of("insurance", Some("x86-64-v3")).unwrap();
        assert_eq!(tier, "insurance-julia1.12.7-x86_64-linux-gnu-x86-64-v3");
    }

    #[test]
    fn globs_select() {
        let id = BuildId::of(
            "insurance",
            &JuliaVersion::new(1, 12, 7),
            Triplet::AARCH64_APPLE_DARWIN,
            None,
        )
        .unwrap();
        assert!(id.matches("*-apple-darwin"));
        assert!(id.matches("insurance-julia1.1?.*"));
        assert!(!id.matches("*-linux-gnu"));
    }

    #[test]
    fn an_identifier_is_read_back_whatever_its_parts() {
        for id in [
            "insurance-julia1.12.7-x86_64-linux-gnu",
            "a-julia-b-julia1.13.0-rc2-aarch64-apple-darwin",
            "x-julia1.15.0-DEV.123-x86_64-linux-gnu-haswell,-rdrnd",
            "x-julia1.10.4+debian-armv7l-linux-gnueabihf",
            "x-julia1.12.7-x86_64-linux-musl-x86-64-v3",
        ] {
            assert_eq!(BuildId::new(id).unwrap(), id);
            let json = serde_json::to_string(id).unwrap();
            assert_eq!(serde_json::from_str::<BuildId>(&json).unwrap(), id);
        }
    }

    #[test]
    fn a_build_id_that_leads_elsewhere_is_refused() {
        let good = "x-julia1.12.7-x86_64-linux-gnu";
        for id in [
            "/etc/cron.d/x".to_owned(),
            "../../x".to_owned(),
            format!("../{good}"),
            format!("{good}/../../x"),
            format!("{good}\nLD_PRELOAD=/tmp/x.so"),
            format!("{good}-a\nb"),
            format!("{good}-$(id)"),
            format!("{good}-`id`"),
            format!("{good}-a\"b"),
            format!("{good}-\u{202e}"),
            format!("{good}."),
            format!("{good}-"),
            format!("{good}-{}", "x".repeat(10_000)),
            "x-juliav1.12.7-x86_64-linux-gnu".to_owned(),
            "x-julia1.12-x86_64-linux-gnu".to_owned(),
            "x-julia1.12.7-sparc-linux".to_owned(),
            "CON".to_owned(),
            String::new(),
        ] {
            let json = serde_json::to_string(&id).unwrap();
            assert!(serde_json::from_str::<BuildId>(&json).is_err(), "{id}");
        }
    }

    #[test]
    fn names_and_tiers_must_be_portable() {
        for bad in [
            "", "a b", "../x", ".hidden", "é", "a/b", "CON", "nul.so", "a.", "a<b",
        ] {
            assert!(of(bad, None).is_err(), "{bad}");
            assert!(of("x", Some(bad)).is_err(), "{bad}");
        }
        assert!(of(&"x".repeat(65), None).is_err());
    }
}
