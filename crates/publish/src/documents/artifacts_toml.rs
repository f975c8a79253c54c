//! `Artifacts.toml`: the images as artifacts of Julia's package manager, so that a package can
//! depend on one in Julia's usual way (`artifact"insurance"`).
//!
//! Pkg chooses by `arch`, `os`, `libc` and, since 1.6, by `julia_version`, which has to be equal.
//! It has its own names for CPU tiers (`march`). For a tier without such a name, Pkg cannot
//! distinguish the images, and only `sysforge install` offers that tier.

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

/// Returns the document, or `None` if Pkg can use none of the images. `address` returns the URL of
/// the archive with a given name.
pub fn write(builds: &[Build], address: impl Fn(&str) -> String) -> Option<String> {
    let mut text = String::from(
        "# The images of this release as artifacts: copy the entries into the Artifacts.toml of a\n\
         # package, and `artifact\"NAME\"` is the folder that holds the image.\n",
    );
    let mut any = false;
    for build in builds {
        // Only gzip is supported by every version of Pkg, and Pkg knows one image per platform and
        // tier.
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

/// Returns a TOML key, quoted unless it can be bare.
fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    match !name.is_empty() && name.chars().all(bare) {
        true => name.to_owned(),
        false => string(name),
    }
}

/// Returns a quoted TOML string.
fn string(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// Returns Pkg's name of an architecture.
fn arch(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => "x86_64",
        Arch::I686 => "i686",
        Arch::Aarch64 => "aarch64",
        Arch::Armv7l => "armv7l",
        Arch::Powerpc64le => "powerpc64le",
    }
}

/// Returns Pkg's name of an operating system.
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
