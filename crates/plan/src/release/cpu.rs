//! Decides whether a CPU can run an image: the minimum of the image's CPU targets, and the features
//! of a machine.

use crate::cpu::{NATIVE, SYSIMAGE};
use crate::receipt::Targets;

/// The features of a machine's CPU that matter for choosing an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cpu {
    /// The LLVM name, as in Julia's `Sys.CPU_NAME`, if known.
    pub name: Option<String>,
    /// The level of the x86-64 psABI, 1 to 4, if known.
    pub level: Option<u8>,
}

/// The minimum CPU that an image needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// Any CPU of the architecture.
    Any,
    /// This level of the x86-64 psABI.
    Level(u8),
    /// The CPU with this LLVM name, or one with all its features.
    Named(String),
}

/// Names of CPUs with their psABI levels. The rows are the names used by Julia's own builds and by
/// CPU tiers (`x86-64-v2` and so on are LLVM names too).
const LEVELS: &[(&str, u8)] = &[
    ("x86-64", 1),
    ("x86_64", 1),
    ("core2", 1),
    ("nehalem", 2),
    ("westmere", 2),
    ("x86-64-v2", 2),
    ("sandybridge", 2),
    ("ivybridge", 2),
    ("haswell", 3),
    ("broadwell", 3),
    ("skylake", 3),
    ("znver1", 3),
    ("znver2", 3),
    ("znver3", 3),
    ("alderlake", 3),
    ("x86-64-v3", 3),
    ("skylake-avx512", 4),
    ("cascadelake", 4),
    ("icelake-server", 4),
    ("icelake-client", 4),
    ("sapphirerapids", 4),
    ("znver4", 4),
    ("znver5", 4),
    ("x86-64-v4", 4),
];

/// Returns the minimum CPU for an image with these targets. It is decided by the first target,
/// which must run on every CPU that the image supports.
pub fn need(targets: &Targets) -> Need {
    let tier = targets.tier.as_deref();
    let mut base = base_of(&targets.requested);
    if base == SYSIMAGE {
        // The image names the target that the word stood for.
        let held = targets.held.iter().flatten().next();
        base = held.map_or(NATIVE, |held| base_of(held));
    }
    if base == NATIVE {
        // The image uses the features of one CPU, whatever its level.
        let held = targets.held.iter().flatten().next();
        return Need::Named(base_of(held.map_or(NATIVE, String::as_str)).to_owned());
    }
    let name = match (base, tier) {
        ("" | "generic" | "portable", Some(tier)) if level(tier).is_some() => tier,
        ("" | "generic" | "portable", _) => return Need::Any,
        (base, _) => base,
    };
    match level(name) {
        Some(1) => Need::Any,
        Some(level) => Need::Level(level),
        None => Need::Named(name.to_owned()),
    }
}

/// Returns the CPU of the first of several targets.
fn base_of(targets: &str) -> &str {
    let first = targets.split([';', ',']).next();
    first.map_or("", str::trim)
}

/// Returns the psABI level of the CPU with this name.
pub fn level(name: &str) -> Option<u8> {
    LEVELS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, level)| *level)
}

impl Cpu {
    /// Returns whether this CPU meets the requirement. An unknown CPU gets only images that every
    /// CPU of its architecture can run.
    pub fn has(&self, need: &Need) -> bool {
        match need {
            Need::Any => true,
            Need::Level(wanted) => self.known_level().is_some_and(|have| have >= *wanted),
            Need::Named(name) => self.name.as_ref() == Some(name),
        }
    }

    fn known_level(&self) -> Option<u8> {
        self.level.or_else(|| self.name.as_deref().and_then(level))
    }
}

impl std::fmt::Display for Need {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Any => f.write_str("any CPU"),
            Self::Level(level) => write!(f, "a CPU of the level x86-64-v{level}"),
            Self::Named(name) if name == NATIVE => {
                f.write_str("the CPU of the machine that built it, which it does not name")
            }
            Self::Named(name) => write!(f, "the CPU `{name}`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(tier: Option<&str>, requested: &str) -> Need {
        super::need(&Targets {
            tier: tier.map(str::to_owned),
            requested: requested.to_owned(),
            held: None,
        })
    }

    #[test]
    fn a_portable_image_runs_everywhere() {
        let portable = "generic;sandybridge,-xsaveopt,clone_all;haswell,-rdrnd,base(1)";
        assert_eq!(need(None, portable), Need::Any);
        assert!(Cpu::default().has(&need(None, portable)));
    }

    #[test]
    fn a_tier_needs_its_level() {
        let tier = need(Some("x86-64-v3"), "x86-64-v3");
        assert_eq!(tier, Need::Level(3));
        let cpu = |level| Cpu {
            name: None,
            level: Some(level),
        };
        assert!(cpu(3).has(&tier) && cpu(4).has(&tier));
        assert!(!cpu(2).has(&tier) && !Cpu::default().has(&tier));
    }

    #[test]
    fn a_native_image_runs_on_the_cpu_that_native_was() {
        let targets = |held: Option<&str>| Targets {
            tier: None,
            requested: "native".to_owned(),
            held: held.map(|held| vec![held.to_owned()]),
        };
        let cpu = |name: &str| Cpu {
            name: Some(name.to_owned()),
            level: Some(4),
        };
        let built = super::need(&targets(Some("cascadelake")));
        assert!(cpu("cascadelake").has(&built));
        assert!(!cpu("skylake-avx512").has(&built));
        assert_eq!(built.to_string(), "the CPU `cascadelake`");
        let unknown = super::need(&targets(None));
        assert!(!cpu("cascadelake").has(&unknown));
        assert!(unknown.to_string().contains("does not name"));
    }

    #[test]
    fn the_targets_of_the_running_image_are_those_that_the_new_one_holds() {
        let targets = |held: Option<&str>| Targets {
            tier: None,
            requested: "sysimage".to_owned(),
            held: held.map(|held| vec![held.to_owned()]),
        };
        assert_eq!(super::need(&targets(Some("generic"))), Need::Any);
        assert_eq!(super::need(&targets(Some("haswell"))), Need::Level(3));
        let unknown = super::need(&targets(None));
        assert!(unknown.to_string().contains("does not name"));
    }

    #[test]
    fn an_image_for_one_machine_needs_that_machine() {
        let native = need(None, "apple-m1");
        let named = |name: &str| Cpu {
            name: Some(name.to_owned()),
            level: None,
        };
        assert!(named("apple-m1").has(&native));
        assert!(!named("apple-a7").has(&native));
    }
}
