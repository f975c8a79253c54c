//! `Artifacts.toml`: the images as artifacts of Julia's package manager, so that a package can
//! depend on one the native way (`artifact"insurance"`).
//!
//! Pkg chooses by `arch`, `os`, `libc` and, since 1.6, by `julia_version`, which has to be equal.
//! It knows CPU tiers as `march` in names of its own; where a tier has none, Pkg has no way to
//! tell the images apart, and the tier is left to `sysforge install`.

use std::fmt::Write as _;

use sysforge_plan::{Arch, ArchiveFormat, Os, Receipt, Triplet};

use crate::dist::Build;

/// The name of the file.
pub const NAME: &str = "Artifacts.toml";

/// The tiers that Pkg has a name for (`Base.BinaryPlatforms.arch_march_isa_mapping`).
const MARCH: &[(&str, &str)] = &[
    ("x86-64-v1", "x86_64"),
    ("x86-64-v3", "avx2"),
    ("x86-64-v4", "avx512"),
    ("haswell", "avx2"),
    ("skylake-avx512", "avx512"),
    ("apple-m1", "apple_m1"),
];

/// The document, or `None` if Pkg can use none of the images. `address` tells where the archive
/// of a name will be.
#[must_use]
pub fn write(builds: &[Build], address: impl Fn(&str) -> String) -> Option<String> {
    let mut text = String::from(
        "# The images of this release as artifacts: copy the entries into the Artifacts.toml of a\n\
         # package, and `artifact\"NAME\"` is the folder that holds the image.\n",
    );
    let mut any = false;
    for build in builds {
        // Pkg unpacks gzip alone on every version, and knows one image per platform and tier.
        let is_image = build.packing == ArchiveFormat::TarGz && build.receipt.bundle.is_none();
        let Some(tags) = tags(&build.receipt).filter(|_| is_image) else {
            continue;
        };
        any = true;
        let key = key(&build.receipt.name);
        let _ = writeln!(text, "\n[[{key}]]");
        for (tag, value) in tags {
            let _ = writeln!(text, "{tag} = {}", string(&value));
        }
        let _ = writeln!(text, "git-tree-sha1 = {}", string(&build.tree));
        let _ = writeln!(text, "lazy = true\n\n    [[{key}.download]]");
        let _ = writeln!(text, "    sha256 = \"{}\"", build.archive.sha256);
        let address = string(&address(&build.archive.name));
        let _ = writeln!(text, "    url = {address}");
    }
    any.then_some(text)
}

fn tags(receipt: &Receipt) -> Option<Vec<(&'static str, String)>> {
    let triplet = receipt.julia.triplet;
    let mut tags = vec![
        ("arch", arch(triplet.arch()).to_owned()),
        ("julia_version", receipt.julia.version.to_string()),
    ];
    if let Some(libc) = libc(triplet) {
        tags.push(("libc", libc.to_owned()));
    }
    if triplet.arch() == Arch::Armv7l {
        tags.push(("call_abi", "eabihf".to_owned()));
    }
    if let Some(tier) = receipt.targets.tier.as_deref() {
        let (_, march) = MARCH.iter().find(|(known, _)| *known == tier)?;
        tags.push(("march", (*march).to_owned()));
    }
    tags.push(("os", os(triplet.os()).to_owned()));
    Some(tags)
}

/// A key of TOML: in quotes unless it is a bare one.
fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    match !name.is_empty() && name.chars().all(bare) {
        true => name.to_owned(),
        false => string(name),
    }
}

/// A string of TOML, in quotes.
fn string(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// Pkg's names of architectures.
fn arch(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => "x86_64",
        Arch::I686 => "i686",
        Arch::Aarch64 => "aarch64",
        Arch::Armv7l => "armv7l",
        Arch::Powerpc64le => "powerpc64le",
    }
}

/// Pkg's names of operating systems.
fn os(os: Os) -> &'static str {
    match os {
        Os::Linux => "linux",
        Os::MacOs => "macos",
        Os::Windows => "windows",
        Os::FreeBsd => "freebsd",
    }
}

fn libc(triplet: Triplet) -> Option<&'static str> {
    match triplet.os() {
        Os::Linux if triplet.name().ends_with("musl") => Some("musl"),
        Os::Linux => Some("glibc"),
        _ => None,
    }
}
