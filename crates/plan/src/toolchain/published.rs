//! The toolchains that can be downloaded, each pinned by its digest. A new one is a new row.
//!
//! Sources of the digests: PackageCompiler's `Artifacts.toml` for its MinGW archives; for the
//! others the Scoop and winget package collections and the build script of WireGuard for Windows,
//! which pin the same release assets. Rust's CI builds with niXman's 14.1.0, and its digest is the
//! one under which others pin Rust's copy. A wrong digest can only cause a refusal.

use crate::archive::ArchiveFormat;
use crate::digest::Sha256;
use crate::explain::nearest;
use crate::platform::{Os, Triplet};
use crate::toolchain::{Exceptions, Maker, Runtime, Threads, Traits, Unsuitable};

/// A toolchain that can be downloaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// Its name in Sysforge.
    pub name: &'static str,
    /// Who packages it.
    pub packer: &'static str,
    /// The compiler's maker.
    pub maker: Maker,
    /// The compiler's version.
    pub version: &'static str,
    /// The version of the mingw-w64 runtime, where known.
    pub mingw: &'static str,
    target: &'static str,
    /// The system that it runs on.
    pub host: Os,
    /// Its C library.
    pub runtime: Runtime,
    /// Its thread library.
    pub threads: Threads,
    /// Its exception model.
    pub exceptions: Exceptions,
    /// Its address.
    pub url: &'static str,
    /// The archive's format.
    pub format: ArchiveFormat,
    sha256: &'static str,
    /// How many leading folders of the archive are removed.
    pub strip: usize,
    /// The path of the C compiler in the unpacked tree.
    pub compiler: &'static str,
}

const X64: &str = "x86_64-w64-mingw32";
const X86: &str = "i686-w64-mingw32";

/// The defaults of the rows below: PackageCompiler's 64-bit archive.
const BASE: Published = Published {
    name: "packagecompiler-14.2.0-x86_64",
    packer: "PackageCompiler",
    maker: Maker::Gcc,
    version: "14.2.0",
    mingw: "12",
    target: X64,
    host: Os::Windows,
    runtime: Runtime::Msvcrt,
    threads: Threads::Posix,
    exceptions: Exceptions::Seh,
    url: "https://github.com/JuliaLang/PackageCompiler.jl/releases/download/v2.1.24/x86_64-14.2.0-release-posix-seh-msvcrt-rt_v12-rev0.tar.gz",
    format: ArchiveFormat::TarGz,
    sha256: "53645e06775a55733580426341395c67dda20a664af83bcda76a1d052b618b59",
    // `extracted_files/mingw64/`
    strip: 2,
    compiler: "bin/gcc.exe",
};

/// For each target, the best comes first.
const TABLE: &[Published] = &[
    BASE,
    Published {
        name: "packagecompiler-14.2.0-i686",
        target: X86,
        exceptions: Exceptions::Dwarf,
        url: "https://github.com/JuliaLang/PackageCompiler.jl/releases/download/v2.1.24/i686-14.2.0-release-posix-dwarf-msvcrt-rt_v12-rev0.tar.gz",
        sha256: "d049bd771e01b02f2ca9274435f0e6f9f4f295bf2af72a8059dd851c52144910",
        ..BASE
    },
    Published {
        name: "nixman-14.1.0-x86_64",
        packer: "niXman/mingw-builds",
        version: "14.1.0",
        url: "https://github.com/niXman/mingw-builds-binaries/releases/download/14.1.0-rt_v12-rev0/x86_64-14.1.0-release-posix-seh-msvcrt-rt_v12-rev0.7z",
        format: ArchiveFormat::SevenZ,
        sha256: "bc0de4321141730e83fd2457b1f7639946cc66787bf98ba9b03770d06d414df1",
        strip: 1,
        ..BASE
    },
    Published {
        name: "winlibs-14.2.0-x86_64",
        packer: "winlibs",
        url: "https://github.com/brechtsanders/winlibs_mingw/releases/download/14.2.0posix-19.1.7-12.0.0-msvcrt-r3/winlibs-x86_64-posix-seh-gcc-14.2.0-mingw-w64msvcrt-12.0.0-r3.zip",
        format: ArchiveFormat::Zip,
        sha256: "ff475e985a98c5f3785129baf7460db14fee27708bce35f2833db5009507f1b9",
        strip: 1,
        ..BASE
    },
    Published {
        name: "winlibs-14.2.0-i686",
        packer: "winlibs",
        target: X86,
        exceptions: Exceptions::Dwarf,
        url: "https://github.com/brechtsanders/winlibs_mingw/releases/download/14.2.0posix-19.1.7-12.0.0-msvcrt-r3/winlibs-i686-posix-dwarf-gcc-14.2.0-mingw-w64msvcrt-12.0.0-r3.zip",
        format: ArchiveFormat::Zip,
        sha256: "255d27a47d18614b4d63c6e0f17b1bceb03f504804e6326f6a8a8bff0e3ec120",
        strip: 1,
        ..BASE
    },
    Published {
        name: "llvm-mingw-20260127-x86_64",
        packer: "llvm-mingw",
        maker: Maker::Clang,
        version: "22.1.0-rc2",
        mingw: "",
        url: "https://github.com/mstorsjo/llvm-mingw/releases/download/20260127/llvm-mingw-20260127-msvcrt-x86_64.zip",
        format: ArchiveFormat::Zip,
        sha256: "1d9af8ae72bf37574ed695b333bf6bae64f5dbc04d2b480b32b836fc9dae478a",
        strip: 1,
        compiler: "bin/x86_64-w64-mingw32-clang.exe",
        ..BASE
    },
    Published {
        name: "packagecompiler-8.1.0-x86_64",
        version: "8.1.0",
        mingw: "6",
        url: "https://github.com/JuliaLang/PackageCompiler.jl/releases/download/v1.0.0/x86_64-8.1.0-release-posix-seh-rt_v6-rev0.tar.gz",
        sha256: "fe3f401bc936fbe6af940b26c5e0f266f762a3416f979c706e599b24082dc5c7",
        ..BASE
    },
    // For custom Julia builds with the universal C runtime; no official one uses it.
    Published {
        name: "winlibs-ucrt-15.2.0-x86_64",
        packer: "winlibs",
        version: "15.2.0",
        mingw: "13",
        runtime: Runtime::Ucrt,
        url: "https://github.com/brechtsanders/winlibs_mingw/releases/download/15.2.0posix-13.0.0-ucrt-r5/winlibs-x86_64-posix-seh-gcc-15.2.0-mingw-w64ucrt-13.0.0-r5.7z",
        format: ArchiveFormat::SevenZ,
        sha256: "6b567e3c158a00c81ceb85298487c905ced3288fb5fb17636e2471cf8134927a",
        strip: 1,
        ..BASE
    },
    Published {
        name: "nixman-ucrt-13.2.0-x86_64",
        packer: "niXman/mingw-builds",
        version: "13.2.0",
        mingw: "11",
        runtime: Runtime::Ucrt,
        url: "https://github.com/niXman/mingw-builds-binaries/releases/download/13.2.0-rt_v11-rev1/x86_64-13.2.0-release-posix-seh-ucrt-rt_v11-rev1.7z",
        format: ArchiveFormat::SevenZ,
        sha256: "a05578fab9068c678ce761e7b2e284d23fa7416a2f4f36349e05e506c944e2c7",
        strip: 1,
        ..BASE
    },
];

impl Published {
    /// Returns all toolchains.
    pub fn all() -> &'static [Self] {
        TABLE
    }

    /// Returns the platform for which it compiles.
    pub fn target(&self) -> Triplet {
        self.target.parse().unwrap_or(Triplet::X86_64_W64_MINGW32)
    }

    /// Returns the archive's digest.
    pub fn sha256(&self) -> Sha256 {
        // A test parses every digest of the table.
        self.sha256.parse().unwrap_or(Sha256::new([0; 32]))
    }

    /// Returns the archive's name.
    pub fn file_name(&self) -> &'static str {
        self.url.rsplit('/').next().unwrap_or(self.name)
    }

    /// Returns the properties that decide whether it is suitable.
    pub fn traits(&self) -> Traits {
        Traits {
            maker: self.maker,
            version: self.version.to_owned(),
            target: Some(self.target()),
            runtime: Some(self.runtime),
            threads: Some(self.threads),
            exceptions: Some(self.exceptions),
        }
    }
}

/// Returns the toolchains for a target platform, best first.
pub fn for_target(triplet: Triplet) -> impl Iterator<Item = &'static Published> {
    TABLE.iter().filter(move |row| row.target() == triplet)
}

/// Returns the best toolchain for Julia for a platform.
///
/// # Errors
///
/// [`Unsuitable::None`] if no published toolchain suits Julia for the platform.
pub fn recommended(triplet: Triplet) -> Result<&'static Published, Unsuitable> {
    for_target(triplet)
        .find(|row| row.traits().check(row.name, triplet).is_ok())
        .ok_or(Unsuitable::None { target: triplet })
}

/// Returns the toolchain with this name.
///
/// # Errors
///
/// [`Unsuitable::Unknown`] if there is none.
pub fn by_name(name: &str) -> Result<&'static Published, Unsuitable> {
    TABLE
        .iter()
        .find(|row| row.name == name)
        .ok_or_else(|| Unsuitable::Unknown {
            name: name.to_owned(),
            suggestion: nearest(name, TABLE.iter().map(|row| row.name)),
        })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_row_reads() {
        let mut names = BTreeSet::new();
        for row in TABLE {
            assert!(names.insert(row.name), "{}", row.name);
            row.sha256.parse::<Sha256>().unwrap();
            row.target.parse::<Triplet>().unwrap();
            row.url.parse::<url::Url>().unwrap();
            assert_eq!(
                ArchiveFormat::of_name(row.url),
                Some(row.format),
                "{}",
                row.name
            );
            assert!(row.name.is_ascii());
        }
    }

    #[test]
    fn what_is_recommended_suits() {
        for (target, name) in [
            (X64, "packagecompiler-14.2.0-x86_64"),
            (X86, "packagecompiler-14.2.0-i686"),
        ] {
            let row = recommended(target.parse().unwrap()).unwrap();
            assert_eq!(row.name, name);
            assert_eq!(row.runtime, Runtime::Msvcrt);
        }
        assert!(matches!(
            recommended(Triplet::X86_64_LINUX_GNU),
            Err(Unsuitable::None { .. })
        ));
    }

    #[test]
    fn a_mistyped_name_is_answered_with_the_nearest() {
        let Err(Unsuitable::Unknown { suggestion, .. }) = by_name("winlibs-14.2-x86_64") else {
            panic!("it should be unknown");
        };
        assert_eq!(suggestion, Some("winlibs-14.2.0-x86_64"));
    }
}
