//! The differences between operating systems, and the platforms (triplets) for which Julia is
//! published. All such differences belong in this file: a new platform is a new row.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::explain::nearest;
use crate::text::shortened;

/// An operating system that Julia runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Os {
    /// Linux, with glibc or musl.
    Linux,
    /// macOS.
    MacOs,
    /// Windows.
    Windows,
    /// FreeBSD.
    FreeBsd,
}

/// A processor architecture.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Arch {
    /// 64-bit x86.
    X86_64,
    /// 32-bit x86.
    I686,
    /// 64-bit ARM.
    Aarch64,
    /// 32-bit ARM with hardware floating point.
    Armv7l,
    /// 64-bit little-endian POWER.
    Powerpc64le,
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::X86_64 => "x86_64",
            Self::I686 => "i686",
            Self::Aarch64 => "aarch64",
            Self::Armv7l => "armv7l",
            Self::Powerpc64le => "powerpc64le",
        })
    }
}

/// The file names and paths of an operating system. See `docs/` for the printed table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conventions {
    /// Extension of a shared library, without the dot.
    pub library_extension: &'static str,
    /// The suffix of an executable's name.
    pub exe_suffix: &'static str,
    /// The separator in path lists such as `JULIA_LOAD_PATH`.
    pub path_list_separator: char,
    /// The folder of `libjulia` in an official Julia, relative to its prefix.
    pub libjulia_dir: &'static str,
    /// The folder of the private libraries in an official Julia, relative to its prefix.
    pub private_dir: &'static str,
    /// Environment variables that speed up a process that allocates gigabytes in small pieces, as
    /// code generation does. On Linux they enable huge pages for malloc: of two concurrent
    /// emissions, the one with them took 119 s, the one without 132 s (glibc 2.36; the glibc
    /// manual, "Memory Allocation Tunables"; other C libraries ignore them).
    pub heavy_environment: &'static [(&'static str, &'static str)],
}

impl Os {
    /// Returns the row of this system.
    pub const fn conventions(self) -> Conventions {
        match self {
            Self::Linux | Self::FreeBsd => Conventions {
                library_extension: "so",
                exe_suffix: "",
                path_list_separator: ':',
                libjulia_dir: "lib",
                private_dir: "lib/julia",
                heavy_environment: &[("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1")],
            },
            Self::MacOs => Conventions {
                library_extension: "dylib",
                exe_suffix: "",
                path_list_separator: ':',
                libjulia_dir: "lib",
                private_dir: "lib/julia",
                heavy_environment: &[],
            },
            Self::Windows => Conventions {
                library_extension: "dll",
                exe_suffix: ".exe",
                path_list_separator: ';',
                libjulia_dir: "bin",
                private_dir: "bin",
                heavy_environment: &[],
            },
        }
    }
}

impl fmt::Display for Os {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Linux => "Linux",
            Self::MacOs => "macOS",
            Self::Windows => "Windows",
            Self::FreeBsd => "FreeBSD",
        })
    }
}

/// A platform for which Julia is published, in Julia's spelling but without the version of the
/// operating system (`aarch64-apple-darwin`; the catalogue has `aarch64-apple-darwin14`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Triplet(usize);

/// The facts about one platform.
struct Row {
    name: &'static str,
    arch: Arch,
    os: Os,
    /// Folder below `bin/` and archive suffix on the official server, for instance
    /// `bin/linux/x64/1.12/julia-1.12.7-linux-x86_64.tar.gz`.
    release: (&'static str, &'static str),
    /// The same for the server of nightly builds, which names its folders by architecture; `None`
    /// if there are no nightlies.
    nightly: Option<(&'static str, &'static str)>,
    /// The hosts that run its Julia, in Rust's terms: `std::env::consts::OS` and `ARCH`, and
    /// whether the C library is musl (`None`: either).
    hosts: &'static [(&'static str, &'static str, Option<bool>)],
}

/// The platforms in Julia's catalogue (as of November 2026).
const TABLE: &[Row] = &[
    Row {
        name: "x86_64-linux-gnu",
        arch: Arch::X86_64,
        os: Os::Linux,
        release: ("linux/x64", "linux-x86_64"),
        nightly: Some(("linux/x86_64", "linux-x86_64")),
        hosts: &[("linux", "x86_64", Some(false))],
    },
    Row {
        name: "i686-linux-gnu",
        arch: Arch::I686,
        os: Os::Linux,
        release: ("linux/x86", "linux-i686"),
        nightly: Some(("linux/i686", "linux-i686")),
        hosts: &[("linux", "x86", None)],
    },
    Row {
        name: "aarch64-linux-gnu",
        arch: Arch::Aarch64,
        os: Os::Linux,
        release: ("linux/aarch64", "linux-aarch64"),
        nightly: Some(("linux/aarch64", "linux-aarch64")),
        hosts: &[("linux", "aarch64", None)],
    },
    Row {
        name: "armv7l-linux-gnueabihf",
        arch: Arch::Armv7l,
        os: Os::Linux,
        release: ("linux/armv7l", "linux-armv7l"),
        nightly: None,
        hosts: &[("linux", "arm", None)],
    },
    Row {
        name: "powerpc64le-linux-gnu",
        arch: Arch::Powerpc64le,
        os: Os::Linux,
        release: ("linux/ppc64le", "linux-ppc64le"),
        nightly: None,
        hosts: &[("linux", "powerpc64", None)],
    },
    Row {
        name: "x86_64-linux-musl",
        arch: Arch::X86_64,
        os: Os::Linux,
        release: ("musl/x64", "musl-x86_64"),
        nightly: None,
        hosts: &[("linux", "x86_64", Some(true))],
    },
    Row {
        name: "x86_64-apple-darwin",
        arch: Arch::X86_64,
        os: Os::MacOs,
        release: ("mac/x64", "mac64"),
        nightly: Some(("macos/x86_64", "macos-x86_64")),
        hosts: &[("macos", "x86_64", None)],
    },
    Row {
        name: "aarch64-apple-darwin",
        arch: Arch::Aarch64,
        os: Os::MacOs,
        release: ("mac/aarch64", "macaarch64"),
        nightly: Some(("macos/aarch64", "macos-aarch64")),
        hosts: &[("macos", "aarch64", None)],
    },
    Row {
        name: "x86_64-w64-mingw32",
        arch: Arch::X86_64,
        os: Os::Windows,
        release: ("winnt/x64", "win64"),
        nightly: Some(("winnt/x64", "win64")),
        // There is no Julia for Windows on ARM; it emulates x86_64.
        hosts: &[("windows", "x86_64", None), ("windows", "aarch64", None)],
    },
    Row {
        name: "i686-w64-mingw32",
        arch: Arch::I686,
        os: Os::Windows,
        release: ("winnt/x86", "win32"),
        nightly: Some(("winnt/x86", "win32")),
        hosts: &[("windows", "x86", None)],
    },
    Row {
        name: "x86_64-unknown-freebsd",
        arch: Arch::X86_64,
        os: Os::FreeBsd,
        release: ("freebsd/x64", "freebsd-x86_64"),
        nightly: Some(("freebsd/x86_64", "freebsd-x86_64")),
        hosts: &[("freebsd", "x86_64", None)],
    },
];

/// The text is not a platform for which Julia is published.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is not a platform that Julia is published for{}", 
    .suggestion.map_or_else(|| format!("; there is {}", names()), |s| format!(" (did you mean `{s}`?)")))]
pub struct NotATriplet {
    /// What was given.
    pub text: String,
    /// The nearest platform.
    pub suggestion: Option<&'static str>,
}

/// Returns the names of all platforms, for messages.
fn names() -> String {
    let names: Vec<_> = TABLE.iter().map(|row| row.name).collect();
    names.join(", ")
}

impl Triplet {
    /// 64-bit Linux with glibc.
    pub const X86_64_LINUX_GNU: Self = Self(0);
    /// macOS on Apple silicon.
    pub const AARCH64_APPLE_DARWIN: Self = Self(7);
    /// 64-bit Windows.
    pub const X86_64_W64_MINGW32: Self = Self(8);

    /// Every known platform.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..TABLE.len()).map(Self)
    }

    /// Returns the name, for example `x86_64-linux-gnu`.
    pub const fn name(self) -> &'static str {
        TABLE[self.0].name
    }

    /// The operating system.
    pub const fn os(self) -> Os {
        TABLE[self.0].os
    }

    /// The architecture.
    pub const fn arch(self) -> Arch {
        TABLE[self.0].arch
    }

    /// Returns the folder on the official server, relative to `bin/`.
    pub const fn server_folder(self) -> &'static str {
        TABLE[self.0].release.0
    }

    /// Returns the suffix of an official archive's name for this platform.
    pub const fn server_suffix(self) -> &'static str {
        TABLE[self.0].release.1
    }

    /// Returns the folder relative to `bin/` and the archive suffix on the server of nightly
    /// builds, if there are nightlies for this platform.
    pub const fn nightly(self) -> Option<(&'static str, &'static str)> {
        TABLE[self.0].nightly
    }

    /// Returns the platform on which a Rust program of this `arch` and `os` (`std::env::consts`)
    /// with this C library runs.
    pub fn of_host(arch: &str, os: &str, musl: bool) -> Option<Self> {
        let runs = |row: &Row| {
            row.hosts.iter().any(|(its_os, its_arch, its_musl)| {
                (*its_os, *its_arch) == (os, arch) && its_musl.is_none_or(|its| its == musl)
            })
        };
        TABLE.iter().position(runs).map(Self)
    }
}

impl fmt::Display for Triplet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Debug for Triplet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Triplet {
    type Err = NotATriplet;

    /// Parses a triplet as Julia prints it: `x86_64-linux-gnu`, but also with an operating system
    /// version (`aarch64-apple-darwin14`, `x86_64-unknown-freebsd11.1`), with a vendor
    /// (`x86_64-pc-linux-gnu`, as in Debian's Julia), or with the ABI tags of BinaryBuilder
    /// (`x86_64-linux-gnu-libgfortran5-cxx11`).
    fn from_str(text: &str) -> Result<Self, NotATriplet> {
        let plain = text
            .trim()
            .replace("-pc-linux", "-linux")
            .replace("-unknown-linux", "-linux")
            .replace("arm-linux-gnueabihf", "armv7l-linux-gnueabihf");
        let found = (0..TABLE.len()).rev().find(|&index| {
            plain.strip_prefix(TABLE[index].name).is_some_and(|rest| {
                rest.is_empty()
                    || rest.starts_with('-')
                    || rest.chars().all(|c| c.is_ascii_digit() || c == '.')
            })
        });
        found.map(Self).ok_or_else(|| NotATriplet {
            text: shortened(text, 60),
            suggestion: nearest(&plain, TABLE.iter().map(|row| row.name)).or_else(|| {
                // A part of the name, such as `linux` or `aarch64`.
                let mut names = TABLE.iter().map(|row| row.name);
                names.find(|name| name.split('-').any(|part| part == plain))
            }),
        })
    }
}

crate::text::as_string!(Triplet);

impl schemars::JsonSchema for Triplet {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Triplet".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let names: Vec<_> = TABLE.iter().map(|row| row.name).collect();
        schemars::json_schema!({
            "type": "string",
            "enum": names,
            "description": "A platform, in Julia's spelling",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_reads_back() {
        for triplet in Triplet::all() {
            assert_eq!(triplet.name().parse::<Triplet>().unwrap(), triplet);
        }
    }

    #[test]
    fn named_constants_are_the_rows_they_name() {
        assert_eq!(Triplet::X86_64_LINUX_GNU.name(), "x86_64-linux-gnu");
        assert_eq!(Triplet::AARCH64_APPLE_DARWIN.name(), "aarch64-apple-darwin");
        assert_eq!(Triplet::X86_64_W64_MINGW32.name(), "x86_64-w64-mingw32");
    }

    #[test]
    fn a_machine_is_of_one_platform() {
        let of = |arch, os, musl| Triplet::of_host(arch, os, musl).map(Triplet::name);
        assert_eq!(of("x86_64", "linux", false), Some("x86_64-linux-gnu"));
        assert_eq!(of("x86_64", "linux", true), Some("x86_64-linux-musl"));
        assert_eq!(of("aarch64", "linux", true), Some("aarch64-linux-gnu"));
        assert_eq!(of("aarch64", "windows", false), Some("x86_64-w64-mingw32"));
        assert_eq!(of("sparc64", "linux", false), None);
        let hosts: Vec<_> = TABLE.iter().flat_map(|row| row.hosts).collect();
        let names: std::collections::BTreeSet<_> = hosts.iter().collect();
        assert_eq!(names.len(), hosts.len(), "two rows claim the same machine");
    }

    #[test]
    fn reads_the_spellings_that_julia_uses() {
        for (text, name) in [
            ("aarch64-apple-darwin14", "aarch64-apple-darwin"),
            ("aarch64-apple-darwin23.4.0", "aarch64-apple-darwin"),
            ("x86_64-unknown-freebsd11.1", "x86_64-unknown-freebsd"),
            ("x86_64-pc-linux-gnu", "x86_64-linux-gnu"),
            ("x86_64-linux-gnu-libgfortran5-cxx11", "x86_64-linux-gnu"),
            ("x86_64-linux-musl", "x86_64-linux-musl"),
            ("arm-linux-gnueabihf", "armv7l-linux-gnueabihf"),
        ] {
            assert_eq!(text.parse::<Triplet>().unwrap().name(), name);
        }
    }

    #[test]
    fn a_mistyped_triplet_is_answered_with_the_nearest() {
        let error = "x86_64-linux-gnuu".parse::<Triplet>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "`x86_64-linux-gnuu` is not a platform that Julia is published for \
             (did you mean `x86_64-linux-gnu`?)"
        );
    }
}
