//! C toolchains: their properties, which of them are suitable for a Julia, and the published ones
//! that Sysforge can download.
//!
//! The most important property is the C runtime on Windows. Official Julia for Windows uses
//! `msvcrt.dll`. A compiler for the universal runtime (UCRT), such as the gcc on all hosted Windows
//! runners, makes images that use another library than Julia's for files, locales and allocations.
//! Here that is always an error.

mod published;

use std::fmt;

use serde::Serialize;

use crate::explain::{Class, Explain, did_you_mean};
use crate::platform::{Os, Triplet};

pub use published::{Published, by_name, for_target, recommended};

/// The C library used by the programs of a toolchain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Runtime {
    /// `msvcrt.dll`, the old runtime of Windows, used by Julia.
    Msvcrt,
    /// The universal C runtime, `ucrtbase.dll`.
    Ucrt,
    /// The GNU C library.
    Glibc,
    /// musl.
    Musl,
    /// Apple's `libSystem`.
    LibSystem,
    /// FreeBSD's C library.
    FreeBsd,
}

impl Runtime {
    /// Returns the C library used by Julia for a platform.
    pub fn of_julia(triplet: Triplet) -> Self {
        match triplet.os() {
            Os::Windows => Self::Msvcrt,
            Os::MacOs => Self::LibSystem,
            Os::FreeBsd => Self::FreeBsd,
            Os::Linux if triplet.name().ends_with("musl") => Self::Musl,
            Os::Linux => Self::Glibc,
        }
    }
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Msvcrt => "msvcrt",
            Self::Ucrt => "UCRT",
            Self::Glibc => "glibc",
            Self::Musl => "musl",
            Self::LibSystem => "libSystem",
            Self::FreeBsd => "FreeBSD libc",
        })
    }
}

/// The thread library used by the C++ library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Threads {
    /// POSIX threads; on Windows, winpthreads.
    Posix,
    /// Windows threads.
    Win32,
    /// The mcfgthread library.
    Mcf,
}

impl fmt::Display for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Posix => "posix",
            Self::Win32 => "win32",
            Self::Mcf => "mcf",
        })
    }
}

/// How exceptions unwind the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exceptions {
    /// Windows' structured exception handling, used by 64-bit Julia.
    Seh,
    /// DWARF tables, used everywhere else.
    Dwarf,
    /// Set-jump/long-jump.
    Sjlj,
}

impl Exceptions {
    /// Returns how Julia for a platform unwinds.
    pub fn of_julia(triplet: Triplet) -> Self {
        if triplet == Triplet::X86_64_W64_MINGW32 {
            Self::Seh
        } else {
            Self::Dwarf
        }
    }
}

impl fmt::Display for Exceptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Seh => "seh",
            Self::Dwarf => "dwarf",
            Self::Sjlj => "sjlj",
        })
    }
}

/// The maker of a compiler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Maker {
    /// GCC.
    Gcc,
    /// LLVM's clang.
    Clang,
    /// Apple's clang, of Xcode or the Command Line Tools.
    AppleClang,
    /// `zig cc`, a clang with its own C libraries.
    Zig,
}

impl fmt::Display for Maker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Gcc => "gcc",
            Self::Clang => "clang",
            Self::AppleClang => "Apple clang",
            Self::Zig => "zig cc",
        })
    }
}

/// The properties of a toolchain that decide whether it is suitable for a Julia.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Traits {
    /// The compiler's maker.
    pub maker: Maker,
    /// Its version.
    pub version: String,
    /// The target platform, if Julia is published for it.
    pub target: Option<Triplet>,
    /// Its C library, if known.
    pub runtime: Option<Runtime>,
    /// Its thread library, if known.
    pub threads: Option<Threads>,
    /// Its exception model, if known.
    pub exceptions: Option<Exceptions>,
}

/// A toolchain is not suitable for a Julia.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages describe the variants")]
pub enum Unsuitable {
    #[error("`{toolchain}` compiles for {found}, not for {wanted}")]
    Target {
        toolchain: String,
        found: String,
        wanted: Triplet,
    },
    #[error(
        "`{toolchain}` links against the C runtime {found}, while Julia for {wanted} uses {julia}"
    )]
    Runtime {
        toolchain: String,
        found: Runtime,
        wanted: Triplet,
        julia: Runtime,
    },
    #[error("`{toolchain}` unwinds exceptions with {found}, while Julia for {wanted} uses {julia}")]
    Exceptions {
        toolchain: String,
        found: Exceptions,
        wanted: Triplet,
        julia: Exceptions,
    },
    #[error("there is no toolchain `{name}`")]
    Unknown {
        name: String,
        suggestion: Option<&'static str>,
    },
    #[error("`{toolchain}` runs on {runs_on}, not on this machine")]
    Host { toolchain: String, runs_on: Os },
    #[error("no toolchain for {target} can be fetched")]
    None { target: Triplet },
}

impl Explain for Unsuitable {
    fn class(&self) -> Class {
        match self {
            Self::Unknown { .. } | Self::None { .. } | Self::Host { .. } => Class::Usage,
            _ => Class::Toolchain,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Runtime {
                wanted,
                found: Runtime::Ucrt,
                ..
            } => vec![
                "two C runtimes in one process have two heaps, two sets of open files and two \
                 locales: the image would load and then corrupt memory"
                    .to_owned(),
                format!(
                    "use an msvcrt toolchain: `sysforge toolchain install --triplet {wanted}`, or \
                     on Debian `apt-get install gcc-mingw-w64`"
                ),
            ],
            Self::Unknown { suggestion, .. } => {
                did_you_mean(*suggestion, "`sysforge toolchain list` names them all")
            }
            Self::None { target } => vec![system_hint(*target)],
            Self::Host { .. } => vec![
                "on Debian and Ubuntu, `apt-get install gcc-mingw-w64` brings a compiler for \
                 Windows"
                    .to_owned(),
            ],
            _ => vec!["`sysforge toolchain list` shows what suits".to_owned()],
        }
    }
}

/// Returns how to install a system compiler for a platform.
pub fn system_hint(target: Triplet) -> String {
    match target.os() {
        Os::Linux => {
            "install gcc (`apt-get install gcc`, `dnf install gcc`, `apk add gcc \
                      musl-dev`)"
        }
        Os::MacOs => "install the Command Line Tools (`xcode-select --install`)",
        Os::FreeBsd => "FreeBSD's own `cc` will do (`pkg install llvm`)",
        Os::Windows => "fetch an msvcrt toolchain (`sysforge toolchain install`)",
    }
    .to_owned()
}

impl Traits {
    /// Checks that this toolchain is suitable for Julia for `triplet`. Unknown properties count as
    /// suitable, because the image is inspected after linking.
    ///
    /// # Errors
    ///
    /// If it is not; the error explains why.
    pub fn check(&self, toolchain: &str, triplet: Triplet) -> Result<(), Unsuitable> {
        if let Some(target) = self.target
            && target != triplet
        {
            return Err(Unsuitable::Target {
                toolchain: toolchain.to_owned(),
                found: target.to_string(),
                wanted: triplet,
            });
        }
        let julia = Runtime::of_julia(triplet);
        if let Some(found) = self.runtime
            && found != julia
        {
            return Err(Unsuitable::Runtime {
                toolchain: toolchain.to_owned(),
                found,
                wanted: triplet,
                julia,
            });
        }
        let julia = Exceptions::of_julia(triplet);
        if triplet.os() == Os::Windows
            && let Some(found) = self.exceptions
            && found != julia
        {
            return Err(Unsuitable::Exceptions {
                toolchain: toolchain.to_owned(),
                found,
                wanted: triplet,
                julia,
            });
        }
        Ok(())
    }

    /// Parses what a compiler reports about itself: the output of `CC -v` and, for Windows, its
    /// predefined macros after including a header of its C library (`CC -dM -E`).
    pub fn read(verbose: &str, macros: &str) -> Option<Self> {
        let version_line = verbose
            .lines()
            .find(|line| line.contains(" version "))
            .unwrap_or_default();
        let maker = match version_line {
            line if line.starts_with("Apple") => Maker::AppleClang,
            line if line.contains("clang") && verbose.contains("zig") => Maker::Zig,
            line if line.contains("clang") => Maker::Clang,
            line if line.contains("gcc") => Maker::Gcc,
            _ => return None,
        };
        let version = version_line
            .split(" version ")
            .nth(1)?
            .split_whitespace()
            .next()?
            .to_owned();
        let field = |name: &str| {
            verbose
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .map(str::trim)
        };
        let machine = field("Target:").unwrap_or_default();
        let target: Option<Triplet> = plain(machine).parse().ok();
        let defined = |name: &str| {
            macros
                .lines()
                .filter_map(|line| line.strip_prefix("#define "))
                .any(|line| line.split_whitespace().next() == Some(name))
        };
        let windows = target.is_some_and(|t| t.os() == Os::Windows);
        let runtime = match target {
            None => None,
            Some(_) if windows && macros.is_empty() => None,
            Some(_) if windows && defined("_UCRT") => Some(Runtime::Ucrt),
            Some(target) => Some(Runtime::of_julia(target)),
        };
        let threads = match field("Thread model:") {
            Some("posix") => Some(Threads::Posix),
            Some("win32") => Some(Threads::Win32),
            Some("mcf" | "mcfgthread") => Some(Threads::Mcf),
            _ => None,
        };
        let exceptions = if defined("__SEH__") {
            Some(Exceptions::Seh)
        } else if defined("__USING_SJLJ_EXCEPTIONS__") {
            Some(Exceptions::Sjlj)
        } else if target.is_some() && !(windows && macros.is_empty()) {
            Some(Exceptions::Dwarf)
        } else {
            None
        };
        Some(Self {
            maker,
            version,
            target,
            runtime,
            threads,
            exceptions,
        })
    }
}

/// Converts a compiler's spelling of a platform to Julia's.
fn plain(machine: &str) -> String {
    // `x86` is zig's spelling, like a macOS triplet with an unknown vendor.
    let zig = machine.strip_prefix("x86-");
    zig.map_or_else(|| machine.to_owned(), |rest| format!("i686-{rest}"))
        .replace("-windows-gnu", "-w64-mingw32")
        .replace("-pc-w64", "-w64")
        .replace("-unknown-w64", "-w64")
        .replace("-unknown-macos", "-apple-darwin")
        .replace("arm64-apple", "aarch64-apple")
        .replace("-macosx", "-darwin")
        .replace("-macos", "-darwin")
}

#[cfg(test)]
mod tests;
