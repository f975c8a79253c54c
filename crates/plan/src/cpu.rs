//! CPU targets: the meaning of `cpu = …` in `Sysimage.toml` for a platform.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::platform::{Arch, Os, Triplet};

mod check;

pub use check::{BadTarget, check};

/// The CPUs for which the native code of an image is compiled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CpuTarget {
    /// The tier's name, if the platform has several images.
    pub tier: Option<String>,
    /// Julia's `--cpu-target` string.
    pub target: String,
}

/// The CPU target of Julia 1.13 and later that means the targets of the image Julia runs on.
pub const SYSIMAGE: &str = "sysimage";

/// The CPU target that means the CPU of the machine that emits.
pub const NATIVE: &str = "native";

/// Returns whether a `--cpu-target` string names the CPU of the machine that emits.
pub fn is_native(target: &str) -> bool {
    let mut targets = target.split(';');
    targets.any(|one| one.split(',').next().map(str::trim) == Some(NATIVE))
}

/// Returns the target string for `cpu = "portable"`. It runs on every CPU that Julia supports and
/// uses features of newer ones. On x86-64 the second target has AVX2 and FMA, and only the functions
/// that gain from them are compiled for it: Julia's own releases compile all code for a third one,
/// `sandybridge`, which makes an emission longer and takes more memory (docs/src/how-to/cpu.md has the
/// figures). Otherwise these are the targets of Julia's own releases (source: PackageCompiler's
/// `default_app_cpu_target`, and julia-buildkite for ARM).
pub const fn portable(triplet: Triplet) -> &'static str {
    match (triplet.arch(), triplet.os()) {
        (Arch::X86_64, _) => "generic;haswell,-rdrnd",
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

/// Returns what `cpu = "portable"` requests of a Julia that keeps only the first target of an image:
/// requesting more would change nothing.
pub fn portable_alone(triplet: Triplet) -> &'static str {
    let all = portable(triplet);
    all.split_once(';').map_or(all, |(first, _)| first)
}

/// Returns whether every Julia for this platform knows the target, because `portable` means it.
pub fn is_portable(target: &str, triplet: Triplet) -> bool {
    [portable(triplet), portable_alone(triplet)].contains(&target)
}

/// The levels of the x86-64 psABI as Julia target strings, each with the features that it adds to
/// the level before. They are spelt out because Julia's CPU table does not contain these names
/// (LLVM's does since version 12), and Julia drops all features for an unknown name. Source of the
/// feature names: Julia's `src/features_x86.h`, versions 1.5 to 1.13.
const X86_LEVELS: [(&str, &str); 4] = [
    ("x86-64", ""),
    (
        "x86-64-v2",
        ",+cx16,+sahf,+popcnt,+sse3,+ssse3,+sse4.1,+sse4.2",
    ),
    (
        "x86-64-v3",
        ",+avx,+avx2,+bmi,+bmi2,+f16c,+fma,+lzcnt,+movbe,+xsave",
    ),
    (
        "x86-64-v4",
        ",+avx512f,+avx512bw,+avx512cd,+avx512dq,+avx512vl",
    ),
];

/// Returns the values of `cpu = …` that are not CPU names of Julia.
pub fn words() -> impl Iterator<Item = &'static str> {
    let levels = X86_LEVELS.iter().map(|(level, _)| *level);
    ["portable", NATIVE].into_iter().chain(levels)
}

/// Returns the Julia target string for a level of the x86-64 psABI.
fn level(name: &str) -> Option<String> {
    let last = X86_LEVELS.iter().position(|(level, _)| *level == name)?;
    let features = X86_LEVELS[..=last].iter().map(|(_, features)| *features);
    Some(format!("generic{}", features.collect::<String>()))
}

/// How much of the code Julia compiles for one target of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cloning {
    /// All code: for the first target, and for each with `clone_all`.
    Everything,
    /// Only the functions that can gain from the target's features: those with loops, vectors or
    /// floating-point arithmetic, and their callers.
    Selected,
}

/// Returns how much of the code Julia compiles for each target in a `--cpu-target` string.
pub fn cloning(target: &str) -> Vec<Cloning> {
    let targets = target.split(';').filter(|one| !one.trim().is_empty());
    let of = |(index, one): (usize, &str)| {
        // The last of contradictory flags wins.
        let mut words = one.split(',').map(str::trim);
        let flag = words.rfind(|word| word.ends_with("clone_all"));
        match index == 0 || flag == Some("clone_all") {
            true => Cloning::Everything,
            false => Cloning::Selected,
        }
    };
    targets.enumerate().map(of).collect()
}

/// The flags in a target string that control cloning, not CPU names or features (source:
/// `parse_sysimg_arg` in `src/processor.cpp`).
const FLAGS: [&str; 4] = ["clone_all", "-clone_all", "opt_size", "min_size"];

fn is_flag(word: &str) -> bool {
    FLAGS.contains(&word) || word.starts_with("base(")
}

/// Returns the CPU names and features in a `--cpu-target` string, one entry for each target,
/// without the cloning flags.
pub fn plain_targets(target: &str) -> Vec<String> {
    let plain = |one: &str| {
        let words = one.split(',').map(str::trim);
        words
            .filter(|word| !is_flag(word.strip_prefix('+').unwrap_or(word)))
            .collect::<Vec<_>>()
            .join(",")
    };
    target.split(';').map(plain).collect()
}

/// Removes spaces around the separators of a target string, which Julia would take for parts of names.
fn without_spaces(target: &str) -> String {
    let trimmed = |text: &str, separator: &str| {
        let words = text.split(separator).map(str::trim);
        words.collect::<Vec<_>>().join(separator)
    };
    trimmed(&trimmed(target, ","), ";")
}

/// Returns the targets that the `cpu` setting requests for this platform: one for a single value,
/// one for each tier in a list. `portable` is what the setting of that name means.
pub fn targets(setting: &[String], triplet: Triplet, portable: &str) -> Vec<CpuTarget> {
    let string = |word: &str| match word {
        "portable" => portable.to_owned(),
        other => level(other)
            .filter(|_| triplet.arch() == Arch::X86_64)
            .unwrap_or_else(|| without_spaces(other)),
    };
    // x86-64 levels are ignored on other architectures, so one configuration serves all platforms.
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
        assert_eq!(targets(&[], linux, "a;b")[0].target, "a;b");
        assert_eq!(targets(&["native".into()], linux, "a")[0].tier, None);
        let tiers = targets(&["x86-64-v2".into(), "x86-64-v3".into()], linux, "a");
        assert_eq!(tiers[1].tier.as_deref(), Some("x86-64-v3"));
        assert!(tiers[1].target.starts_with("generic,+cx16"));
        assert!(tiers[1].target.contains(",+sse4.2,+avx,+avx2,"));
    }

    #[test]
    fn the_cpu_of_the_machine_is_recognized_in_every_position() {
        for target in ["native", "native,clone_all", "generic; native"] {
            assert!(is_native(target), "{target}");
        }
        for target in ["generic", "generic;haswell", "", "x86-64-v3"] {
            assert!(!is_native(target), "{target}");
        }
    }

    #[test]
    fn spaces_between_targets_and_features_do_not_count() {
        let setting = ["generic; haswell, -rdrnd ,clone_all".to_owned()];
        let found = targets(&setting, Triplet::X86_64_LINUX_GNU, "generic");
        assert_eq!(found[0].target, "generic;haswell,-rdrnd,clone_all");
    }

    #[test]
    fn flags_are_not_features() {
        assert_eq!(
            plain_targets("generic;sandybridge,-xsaveopt,clone_all;haswell,-rdrnd,base(1)"),
            ["generic", "sandybridge,-xsaveopt", "haswell,-rdrnd"]
        );
    }

    #[test]
    fn portable_targets_start_with_one_that_runs_everywhere() {
        for triplet in Triplet::all() {
            let (all, alone) = (portable(triplet), portable_alone(triplet));
            assert!(all.starts_with(alone) && !alone.contains(';'), "{all}");
            assert!(is_portable(all, triplet) && is_portable(alone, triplet));
        }
        assert_eq!(portable_alone(Triplet::X86_64_LINUX_GNU), "generic");
        assert!(!is_portable("native", Triplet::X86_64_LINUX_GNU));
    }

    #[test]
    fn only_the_first_target_and_those_with_clone_all_compile_everything() {
        use Cloning::{Everything, Selected};
        for (target, wanted) in [
            ("generic", &[Everything] as &[_]),
            ("generic;haswell,-rdrnd", &[Everything, Selected]),
            (
                "generic;sandybridge,-xsaveopt,clone_all;haswell,-rdrnd,base(1)",
                &[Everything, Everything, Selected],
            ),
            ("generic;haswell,-clone_all", &[Everything, Selected]),
            ("generic;haswell, clone_all ;", &[Everything, Everything]),
            ("", &[]),
        ] {
            assert_eq!(cloning(target), wanted, "{target}");
        }
    }

    #[test]
    fn levels_of_x86_64_are_asked_of_nothing_else() {
        let mac = Triplet::AARCH64_APPLE_DARWIN;
        let levels = ["x86-64-v2".into(), "x86-64-v3".into()];
        let targets = targets(&levels, mac, portable(mac));
        assert_eq!(targets.len(), 1);
        assert_eq!(targets[0].tier, None);
        assert_eq!(targets[0].target, portable(mac));
    }
}
