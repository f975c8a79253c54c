//! Chooses the image that fits a machine, and explains why each other one does not.

use std::cmp::Reverse;
use std::fmt;

use super::cpu::{self, Cpu, Need};
use super::{ReleaseImage, ReleaseIndex};
use crate::julia::JuliaBuild;
use crate::platform::Triplet;
use crate::version::JuliaVersion;

/// The machine for which an image is chosen.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Its platform.
    pub triplet: Triplet,
    /// Its CPU.
    pub cpu: Cpu,
    /// The Julia that will run the image. `None` if there is none: then the newest Julia with an
    /// image is chosen and must be installed.
    pub julia: Option<JuliaBuild>,
    /// The image's name, if one was requested from a release with several.
    pub name: Option<String>,
    /// The kind of archive requested.
    pub kind: Kind,
}

/// The kind of content of an archive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Kind {
    /// An image, which a Julia loads.
    #[default]
    Image,
    /// Apps, which need no Julia.
    App,
    /// A C library, which needs no Julia.
    Library,
}

impl Kind {
    /// Returns the kind of content of an archive.
    pub fn of(image: &ReleaseImage) -> Self {
        match &image.receipt.bundle {
            None => Self::Image,
            Some(bundle) if bundle.library.is_some() => Self::Library,
            Some(_) => Self::App,
        }
    }
}

/// Returns the kinds that a release contains for a platform, of all names or of one.
pub fn kinds(index: &ReleaseIndex, triplet: Triplet, name: Option<&str>) -> Vec<Kind> {
    let offered = index.images.iter().filter(|image| {
        let named = name.is_none_or(|name| *name == *image.receipt.name);
        named && image.receipt.julia.triplet == triplet
    });
    offered.map(Kind::of).collect()
}

/// Why an image was not chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Misfit {
    /// It has another name than the requested one.
    Name(String),
    /// It is for another platform.
    Platform(Triplet),
    /// It is for another version of Julia.
    Version(JuliaVersion),
    /// It is for another build of the same version of Julia.
    Commit(String),
    /// It is of another kind than the requested one.
    Kind(Kind),
    /// It needs a CPU with more features.
    Cpu(Need),
    /// It would run, but another is better for this machine.
    Worse,
}

/// The result of choosing an image.
#[derive(Debug)]
pub struct ImageChoice<'a> {
    /// The chosen image, if one fits.
    pub image: Option<&'a ReleaseImage>,
    /// All others, with reasons.
    pub others: Vec<(&'a ReleaseImage, Misfit)>,
}

/// Chooses the best image of `index` for `machine`: among those that run on it, the newest Julia
/// (if the machine allows several), then the highest CPU tier.
pub fn choose<'a>(index: &'a ReleaseIndex, machine: &Machine) -> ImageChoice<'a> {
    let mut fitting = Vec::new();
    let mut others = Vec::new();
    for image in &index.images {
        match misfit(image, machine) {
            None => fitting.push(image),
            Some(reason) => others.push((image, reason)),
        }
    }
    fitting.sort_by_cached_key(|image| Reverse(rank(image)));
    let mut fitting = fitting.into_iter();
    let image = fitting.next();
    others.extend(fitting.map(|image| (image, Misfit::Worse)));
    others.sort_by(|a, b| a.0.build_id().cmp(b.0.build_id()));
    ImageChoice { image, others }
}

/// Returns the Julia versions with which an image of `index` would run on `machine`, whatever Julia
/// is installed: without duplicates, the best last.
pub fn julias(index: &ReleaseIndex, machine: &Machine) -> Vec<JuliaVersion> {
    let anybody = Machine {
        julia: None,
        ..machine.clone()
    };
    let runs = |image: &&ReleaseImage| misfit(image, &anybody).is_none();
    let versions = index.images.iter().filter(runs);
    let mut versions: Vec<_> = versions
        .map(|image| image.receipt.julia.version.clone())
        .collect();
    // The same order as for images: releases come after all prereleases.
    versions.sort_by_key(|version| (!version.is_prerelease(), version.clone()));
    versions.dedup();
    versions
}

/// Returns why `image` cannot be used on `machine`, or `None` if it can.
pub fn misfit(image: &ReleaseImage, machine: &Machine) -> Option<Misfit> {
    let receipt = &image.receipt;
    let need = cpu::need(&receipt.targets);
    if machine
        .name
        .as_ref()
        .is_some_and(|name| *name != receipt.name)
    {
        return Some(Misfit::Name(receipt.name.to_string()));
    }
    if Kind::of(image) != machine.kind {
        return Some(Misfit::Kind(Kind::of(image)));
    }
    if machine.kind != Kind::Image {
        // An app or library includes its Julia.
        return match receipt.julia.triplet == machine.triplet {
            false => Some(Misfit::Platform(receipt.julia.triplet)),
            true => (!machine.cpu.has(&need)).then_some(Misfit::Cpu(need)),
        };
    }
    // The platform of the Julia decides: an x86_64 Julia also runs on Apple silicon and on Windows
    // on ARM.
    let triplet = machine
        .julia
        .as_ref()
        .map_or(machine.triplet, |julia| julia.triplet);
    if receipt.julia.triplet != triplet {
        return Some(Misfit::Platform(receipt.julia.triplet));
    }
    if let Some(julia) = &machine.julia {
        if receipt.julia.version != julia.version {
            return Some(Misfit::Version(receipt.julia.version.clone()));
        }
        if receipt.julia.commit != julia.commit {
            return Some(Misfit::Commit(receipt.julia.commit.clone()));
        }
    }
    (!machine.cpu.has(&need)).then_some(Misfit::Cpu(need))
}

fn rank(image: &ReleaseImage) -> (bool, JuliaVersion, u8) {
    let receipt = &image.receipt;
    let level = match cpu::need(&receipt.targets) {
        Need::Any => 0,
        Need::Level(level) => level,
        Need::Named(_) => u8::MAX,
    };
    let released = !receipt.julia.version.is_prerelease();
    (released, receipt.julia.version.clone(), level)
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Image => "image",
            Self::App => "app",
            Self::Library => "C library",
        })
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "is the image `{name}`"),
            Self::Platform(triplet) => write!(f, "is for {triplet}"),
            Self::Version(version) => write!(f, "is for Julia {version}"),
            Self::Commit(commit) if commit.is_empty() => {
                f.write_str("is for a distribution's build of this Julia")
            }
            Self::Commit(commit) => {
                let short: String = commit.chars().take(10).collect();
                write!(f, "is for another build of this Julia (commit {short})")
            }
            Self::Kind(Kind::App) => f.write_str("is an app"),
            Self::Kind(Kind::Library) => f.write_str("is a C library"),
            Self::Kind(Kind::Image) => f.write_str("is an image"),
            Self::Cpu(need) => write!(f, "needs {need}"),
            Self::Worse => f.write_str("would run, but the chosen one suits this machine better"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::image;
    use super::*;

    fn machine(julia: Option<(&str, &str)>, level: u8) -> Machine {
        Machine {
            triplet: Triplet::X86_64_LINUX_GNU,
            cpu: Cpu {
                name: None,
                level: Some(level),
            },
            julia: julia.map(|(version, triplet)| JuliaBuild {
                version: version.parse().unwrap(),
                commit: String::new(),
                triplet: triplet.parse().unwrap(),
            }),
            name: None,
            kind: Kind::Image,
        }
    }

    fn index() -> ReleaseIndex {
        ReleaseIndex::new(
            &"v1".parse().unwrap(),
            vec![
                image("x86_64-linux-gnu", "1.11.9", None, "generic"),
                image("x86_64-linux-gnu", "1.12.7", None, "generic"),
                image("x86_64-linux-gnu", "1.12.7", Some("x86-64-v3"), "x86-64-v3"),
                image("x86_64-linux-gnu", "1.13.0-rc1", None, "generic"),
                image("aarch64-apple-darwin", "1.12.7", None, "generic"),
            ],
        )
    }

    fn chosen(machine: &Machine) -> Option<String> {
        let index = index();
        choose(&index, machine)
            .image
            .map(|image| image.build_id().to_string())
    }

    #[test]
    fn the_julia_at_hand_decides() {
        assert_eq!(
            chosen(&machine(Some(("1.11.9", "x86_64-linux-gnu")), 1)).as_deref(),
            Some("demo-julia1.11.9-x86_64-linux-gnu")
        );
        assert_eq!(
            chosen(&machine(Some(("1.11.8", "x86_64-linux-gnu")), 1)),
            None
        );
    }

    #[test]
    fn without_a_julia_the_newest_release_is_chosen_and_the_highest_tier_that_runs() {
        assert_eq!(
            chosen(&machine(None, 3)).as_deref(),
            Some("demo-julia1.12.7-x86_64-linux-gnu-x86-64-v3")
        );
        assert_eq!(
            chosen(&machine(None, 2)).as_deref(),
            Some("demo-julia1.12.7-x86_64-linux-gnu")
        );
    }

    #[test]
    fn the_julias_that_would_do_are_ranked_as_their_images_are() {
        let mut index = index();
        // 1.9 sorts last in the order of identifiers.
        let older = image("x86_64-linux-gnu", "1.9.4", None, "generic");
        let never = image("x86_64-linux-gnu", "1.14.0", None, "x86-64-v4");
        index.images.extend([older, never]);
        let found: Vec<_> = julias(&index, &machine(Some(("1.10.0", "x86_64-linux-gnu")), 3))
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(found, ["1.13.0-rc1", "1.9.4", "1.11.9", "1.12.7"]);
    }

    #[test]
    fn an_emulated_julia_gets_the_image_of_its_own_platform() {
        let mut mac = machine(Some(("1.12.7", "aarch64-apple-darwin")), 1);
        mac.triplet = "x86_64-apple-darwin".parse().unwrap();
        assert_eq!(
            chosen(&mac).as_deref(),
            Some("demo-julia1.12.7-aarch64-apple-darwin")
        );
    }

    #[test]
    fn another_build_of_the_same_version_never_fits() {
        let mut built = machine(Some(("1.12.7", "x86_64-linux-gnu")), 3);
        if let Some(julia) = &mut built.julia {
            julia.commit = "5a8a8e1f0e".to_owned();
        }
        let index = index();
        let choice = choose(&index, &built);
        assert!(choice.image.is_none());
        assert!(
            choice
                .others
                .iter()
                .any(|(_, reason)| matches!(reason, Misfit::Commit(_)))
        );
    }

    #[test]
    fn every_other_image_is_answered_for() {
        let index = index();
        let choice = choose(&index, &machine(Some(("1.12.7", "x86_64-linux-gnu")), 2));
        let reasons: Vec<_> = choice
            .others
            .iter()
            .map(|(image, reason)| format!("{} {reason}", image.build_id()))
            .collect();
        assert_eq!(
            reasons,
            [
                "demo-julia1.11.9-x86_64-linux-gnu is for Julia 1.11.9",
                "demo-julia1.12.7-aarch64-apple-darwin is for aarch64-apple-darwin",
                "demo-julia1.12.7-x86_64-linux-gnu-x86-64-v3 needs a CPU of the level x86-64-v3",
                "demo-julia1.13.0-rc1-x86_64-linux-gnu is for Julia 1.13.0-rc1",
            ]
        );
    }
}
