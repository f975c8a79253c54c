//! CPU targets: what `cpu = …` in `Sysimage.toml` means for a platform.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::platform::{Arch, Os, Triplet};

/// What an image's native code is made for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CpuTarget {
    /// The tier's name, where one platform gets several images.
    pub tier: Option<String>,
    /// Julia's `--cpu-target` string.
    pub target: String,
}

/// The string behind `cpu = "portable"`: runs on every CPU that Julia itself runs on, and uses
/// what newer ones offer. The same strings that Julia's own distributions are built with
/// (PackageCompiler's `default_app_cpu_target`; julia-buildkite's for the ARM ones).
#[must_use]
pub const fn portable(triplet: Triplet) -> &'static str {
    match (triplet.arch(), triplet.os()) {
        (Arch::X86_64, _) => "generic;sandybridge,-xsaveopt,clone_all;haswell,-rdrnd,base(1)",
        (Arch::I686, _) => "pentium4;sandybridge,-xsaveopt,clone_all",
        (Arch::Aarch64, Os::MacOs) => "generic;apple-m1,clone_all",
        (Arch::Aarch64, _) => {
            "generic;cortex-a57;thunderx2t99;carmel,clone_all;apple-m1,base(3);\
             neoverse-512tvb,base(3)"
        }
        (Arch::Armv7l, _) => "armv7-a;armv7-a,neon;armv7-a,neon,vfp4",
        (Arch::Powerpc64le, _) => "pwr8",
    }
}

/// The targets that the `cpu` setting asks for on this platform: one for a single setting, one
/// per tier for a list.
#[must_use]
pub fn targets(setting: &[String], triplet: Triplet) -> Vec<CpuTarget> {
    let string = |word: &str| match word {
        "portable" => portable(triplet).to_owned(),
        other => other.to_owned(),
    };
    // The levels of x86-64 mean nothing elsewhere; one configuration serves every platform.
    let fits = |word: &&String| triplet.arch() == Arch::X86_64 || !word.starts_with("x86-64");
    let setting: Vec<String> = setting.iter().filter(fits).cloned().collect();
    match setting.as_slice() {
        [] => vec![CpuTarget {
            tier: None,
            target: string("portable"),
        }],
        [one] => vec![CpuTarget {
            tier: None,
            target: string(one),
        }],
        tiers => tiers
            .iter()
            .map(|tier| CpuTarget {
                tier: Some(tier.clone()),
                target: string(tier),
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_setting_has_no_tier_and_a_list_has() {
        let linux = Triplet::X86_64_LINUX_GNU;
        assert_eq!(targets(&[], linux)[0].target, portable(linux));
        assert_eq!(targets(&["native".into()], linux)[0].tier, None);
        let tiers = targets(&["x86-64-v2".into(), "x86-64-v3".into()], linux);
        assert_eq!(tiers[1].tier.as_deref(), Some("x86-64-v3"));
    }

    #[test]
    fn levels_of_x86_64_are_asked_of_nothing_else() {
        let mac = Triplet::AARCH64_APPLE_DARWIN;
        let targets = targets(&["x86-64-v2".into(), "x86-64-v3".into()], mac);
        assert_eq!(targets.len(), 1);
        assert_eq!(targets[0].tier, None);
        assert_eq!(targets[0].target, portable(mac));
    }
}
