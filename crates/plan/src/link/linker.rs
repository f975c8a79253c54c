//! Which linkers are tried, and in which order. The `build` crate finds the available programs (an
//! [`Inventory`]); this module decides the order.

use std::fmt;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::generation::Generation;
use crate::link::arguments::Flavour;
use crate::link::choice::LinkerChoice;
use crate::link::strategy::Strategy;
use crate::platform::{Arch, Os, Triplet};

/// The family of a linker, detected from its version text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// GNU ld (bfd).
    GnuLd,
    /// GNU gold.
    Gold,
    /// LLVM's lld.
    Lld,
    /// mold.
    Mold,
    /// Apple's linker.
    Apple,
    /// The linker inside zig (lld for ELF and PE, its own for Mach-O).
    Zig,
}

impl Family {
    /// Returns the family that a version text (`--version`, `-v`) names.
    pub fn of(text: &str) -> Option<Self> {
        // mold says "mold 1.10.1 (compatible with GNU ld)", lld "LLD 19.1.7 (compatible with GNU
        // linkers)", gold "GNU gold (GNU Binutils …)", Apple "@(#)PROGRAM:ld PROJECT:ld-1022.1".
        [
            ("mold ", Self::Mold),
            ("LLD ", Self::Lld),
            ("GNU gold", Self::Gold),
            ("GNU ld", Self::GnuLd),
            ("PROGRAM:ld", Self::Apple),
            ("ld64-", Self::Apple),
            ("zig ", Self::Zig),
        ]
        .into_iter()
        .find_map(|(mark, family)| text.contains(mark).then_some(family))
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::GnuLd => "GNU ld",
            Self::Gold => "GNU gold",
            Self::Lld => "lld",
            Self::Mold => "mold",
            Self::Apple => "Apple's ld",
            Self::Zig => "zig",
        })
    }
}

/// The linkers and compiler drivers that were found, as absolute paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// The lld shipped with the Julia in use, if this machine can run it.
    pub julia_lld: Option<PathBuf>,
    /// An installed lld that links for the target, under the name that selects the flavour
    /// (`ld.lld`, `ld64.lld`).
    pub lld: Option<PathBuf>,
    /// An installed mold.
    pub mold: Option<PathBuf>,
    /// Compiler drivers for the target: a program and its leading arguments.
    pub drivers: Vec<Vec<String>>,
}

impl Inventory {
    /// Describes what each of these strategies needs that this machine lacks.
    pub fn lacking(
        &self,
        os: Os,
        generation: &Generation,
        strategies: &[Strategy],
    ) -> Vec<(Strategy, Vec<&'static str>)> {
        let lld = match os {
            Os::MacOs => "ld64.lld",
            Os::Linux | Os::FreeBsd | Os::Windows => "ld.lld",
        };
        let driver = self.drivers.is_empty().then_some("a C compiler");
        let lld = self.lld.is_none().then_some(lld);
        let mold = self.mold.is_none().then_some("mold");
        let lacks = |strategy: Strategy| {
            if !Strategy::order(os, generation).contains(&strategy) {
                return vec![match strategy {
                    Strategy::JuliaLld => "a Julia that ships lld, 1.9 or later",
                    _ => "another operating system",
                }];
            }
            let needs = match strategy {
                Strategy::Chosen => vec![Some("a command in `--cc` or JULIA_CC")],
                Strategy::JuliaLld => vec![
                    self.julia_lld
                        .is_none()
                        .then_some("the lld of this Julia, which is not in its folder"),
                ],
                Strategy::DriverLld => vec![lld, driver],
                Strategy::DriverMold => vec![mold, driver],
                Strategy::Driver => vec![driver],
                Strategy::Lld => vec![lld],
            };
            needs.into_iter().flatten().collect()
        };
        let each = strategies.iter();
        each.map(|strategy| (*strategy, lacks(*strategy))).collect()
    }
}

/// One way to link: the program to start, the syntax of its arguments, and the linker expected to
/// run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The strategy that produced it.
    pub strategy: Strategy,
    /// The program and its leading arguments.
    pub command: Vec<String>,
    /// The syntax of the arguments.
    pub flavour: Flavour,
    /// The linker that must have run; `None` if any is accepted.
    pub expects: Option<Family>,
    /// A linker for the driver, which looks only in its own folders: the name that it looks for,
    /// and the program.
    pub shim: Option<(&'static str, PathBuf)>,
}

/// Returns the candidates, in the order in which they are tried.
pub fn candidates(
    triplet: Triplet,
    generation: &Generation,
    choice: &LinkerChoice,
    inventory: &Inventory,
) -> Vec<Candidate> {
    if let LinkerChoice::Words(words) = choice {
        return vec![chosen(triplet, words)];
    }
    let mut found = Vec::new();
    for strategy in Strategy::order(triplet.os(), generation) {
        if let LinkerChoice::Only(wanted) = choice
            && !wanted.contains(&strategy)
        {
            continue;
        }
        match strategy {
            Strategy::Chosen => {}
            Strategy::JuliaLld => {
                found.extend(
                    inventory
                        .julia_lld
                        .as_deref()
                        .map(|lld| julia_lld(triplet, lld)),
                );
            }
            Strategy::Lld => {
                found.extend(inventory.lld.as_deref().map(|lld| bare_lld(triplet, lld)));
            }
            Strategy::DriverLld => {
                if let Some(lld) = &inventory.lld {
                    let through = |words: &Vec<String>| {
                        through_driver(strategy, words, Family::Lld, "lld", lld)
                    };
                    found.extend(inventory.drivers.iter().filter_map(through));
                }
            }
            Strategy::DriverMold => {
                if let Some(mold) = &inventory.mold {
                    let through = |words: &Vec<String>| {
                        through_driver(strategy, words, Family::Mold, "mold", mold)
                    };
                    found.extend(inventory.drivers.iter().filter_map(through));
                }
            }
            Strategy::Driver => found.extend(inventory.drivers.iter().map(|words| Candidate {
                strategy,
                command: with_target(triplet, words),
                flavour: flavour_of(words),
                expects: None,
                shim: None,
            })),
        }
    }
    found
}

fn chosen(triplet: Triplet, words: &[String]) -> Candidate {
    Candidate {
        strategy: Strategy::Chosen,
        command: with_target(triplet, words),
        flavour: flavour_of(words),
        expects: None,
        shim: None,
    }
}

fn julia_lld(triplet: Triplet, lld: &Path) -> Candidate {
    let (name, flavour) = match triplet.os() {
        Os::MacOs => ("darwin", Flavour::Darwin),
        Os::Linux | Os::FreeBsd | Os::Windows => ("gnu", Flavour::Gnu),
    };
    Candidate {
        strategy: Strategy::JuliaLld,
        command: [&lld.display().to_string(), "-flavor", name]
            .map(String::from)
            .into(),
        flavour,
        expects: Some(Family::Lld),
        shim: None,
    }
}

fn bare_lld(triplet: Triplet, lld: &Path) -> Candidate {
    Candidate {
        strategy: Strategy::Lld,
        command: vec![lld.display().to_string()],
        flavour: match triplet.os() {
            Os::MacOs => Flavour::Darwin,
            Os::Linux | Os::FreeBsd | Os::Windows => Flavour::Gnu,
        },
        expects: Some(Family::Lld),
        shim: None,
    }
}

/// Returns `None` for zig, which supports only its own linker.
fn through_driver(
    strategy: Strategy,
    words: &[String],
    family: Family,
    name: &'static str,
    linker: &Path,
) -> Option<Candidate> {
    if flavour_of(words) == (Flavour::Driver { zig: true }) {
        return None;
    }
    let mut command = words.to_vec();
    command.push(format!("-fuse-ld={name}"));
    Some(Candidate {
        strategy,
        command,
        flavour: Flavour::Driver { zig: false },
        expects: Some(family),
        shim: Some((
            if name == "mold" { "ld.mold" } else { "ld.lld" },
            linker.to_owned(),
        )),
    })
}

/// Returns the argument syntax of a command, detected from its words.
pub fn flavour_of(words: &[String]) -> Flavour {
    let is_zig = |word: &&String| file_stem(word) == "zig" || *word == "ziglang";
    if words.iter().take(3).any(|word| is_zig(&word)) {
        // `zig ld.lld` and `zig lld-link` are linkers.
        let command = words.iter().skip_while(|word| !is_zig(word)).nth(1);
        return match command.map(String::as_str) {
            Some("lld-link") => Flavour::Link,
            Some("ld.lld") => Flavour::Gnu,
            _ => Flavour::Driver { zig: true },
        };
    }
    let after_flavor = words.iter().skip_while(|word| *word != "-flavor").nth(1);
    match after_flavor.map(String::as_str) {
        Some("darwin") => return Flavour::Darwin,
        Some("gnu" | "ld" | "ld.lld") => return Flavour::Gnu,
        Some("link") => return Flavour::Link,
        _ => {}
    }
    let stem = words.first().map_or("", |word| file_stem(word));
    if stem.starts_with("ld64") {
        Flavour::Darwin
    } else if stem.starts_with("lld-link") {
        Flavour::Link
    } else if stem == "ld" || stem.starts_with("ld.") || stem.ends_with("-ld") || stem == "mold" {
        Flavour::Gnu
    } else {
        Flavour::Driver { zig: false }
    }
}

/// Returns a program's file name without folder and `.exe`, for paths of any system.
fn file_stem(word: &str) -> &str {
    let name = word.rsplit(['/', '\\']).next().unwrap_or(word);
    name.strip_suffix(".exe").unwrap_or(name)
}

/// Adds the target to a zig command that has none: by default zig links for the host, whatever the
/// object's platform is.
fn with_target(triplet: Triplet, words: &[String]) -> Vec<String> {
    let mut command = words.to_vec();
    let named = words
        .iter()
        .any(|word| word.starts_with("-target") || word.starts_with("--target"));
    if flavour_of(words) == (Flavour::Driver { zig: true }) && !named {
        command.extend(["-target".to_owned(), zig_target(triplet)]);
    }
    command
}

/// Returns the platform in zig's spelling, with the oldest glibc and macOS that Julia itself
/// supports.
pub fn zig_target(triplet: Triplet) -> String {
    let arch = match triplet.arch() {
        Arch::X86_64 => "x86_64",
        Arch::I686 => "x86",
        Arch::Aarch64 => "aarch64",
        Arch::Armv7l => "arm",
        Arch::Powerpc64le => "powerpc64le",
    };
    match (triplet.os(), triplet.arch()) {
        (Os::Linux, _) if triplet.name().ends_with("musl") => format!("{arch}-linux-musl"),
        (Os::Linux, Arch::X86_64 | Arch::I686) => format!("{arch}-linux-gnu.2.17"),
        (Os::Linux, Arch::Armv7l) => format!("{arch}-linux-gnueabihf"),
        (Os::Linux, _) => format!("{arch}-linux-gnu.2.19"),
        (Os::MacOs, _) => format!("{arch}-macos.11.0"),
        (Os::Windows, _) => format!("{arch}-windows-gnu"),
        (Os::FreeBsd, _) => format!("{arch}-freebsd"),
    }
}

/// Returns the names of compiler drivers for `triplet` on a machine of platform `host`, best first.
pub fn driver_names(triplet: Triplet, host: Option<Triplet>) -> Vec<String> {
    let mut names = Vec::new();
    if host == Some(triplet) {
        names.extend(match triplet.os() {
            Os::MacOs | Os::FreeBsd => ["clang", "cc", "gcc"],
            Os::Linux | Os::Windows => ["gcc", "clang", "cc"],
        });
    }
    let mut names: Vec<String> = names.into_iter().map(String::from).collect();
    match triplet.os() {
        // Debian's names: the plain one is an alternative that selects one of two thread models.
        Os::Windows => names
            .extend(["gcc", "gcc-posix", "clang"].map(|tool| format!("{}-{tool}", triplet.name()))),
        Os::Linux => names.push(format!("{}-gcc", gnu_name(triplet))),
        Os::MacOs | Os::FreeBsd => {}
    }
    names
}

/// Returns the prefix of GNU cross tools for a Linux platform.
fn gnu_name(triplet: Triplet) -> &'static str {
    match triplet.arch() {
        Arch::Armv7l => "arm-linux-gnueabihf",
        _ => triplet.name(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linker_is_known_by_what_it_says() {
        for (text, family) in [
            ("mold 1.10.1 (compatible with GNU ld)", Family::Mold),
            ("LLD 19.1.7 (compatible with GNU linkers)", Family::Lld),
            (
                "Debian LLD 14.0.6 (compatible with GNU linkers)",
                Family::Lld,
            ),
            ("GNU ld (GNU Binutils for Debian) 2.40", Family::GnuLd),
            ("GNU gold (GNU Binutils for Debian 2.40) 1.16", Family::Gold),
            ("@(#)PROGRAM:ld PROJECT:ld-1022.1", Family::Apple),
        ] {
            assert_eq!(Family::of(text), Some(family), "{text}");
        }
        assert_eq!(Family::of("cc1: fatal error"), None);
    }

    #[test]
    fn the_flavour_is_told_from_the_words() {
        for (text, flavour) in [
            ("gcc -m64", Flavour::Driver { zig: false }),
            ("zig cc", Flavour::Driver { zig: true }),
            ("python3 -m ziglang cc", Flavour::Driver { zig: true }),
            ("zig lld-link", Flavour::Link),
            ("/usr/bin/ld64.lld-19", Flavour::Darwin),
            ("/j/libexec/lld -flavor darwin", Flavour::Darwin),
            ("lld -flavor gnu", Flavour::Gnu),
            ("x86_64-w64-mingw32-ld", Flavour::Gnu),
            ("lld-link-19", Flavour::Link),
        ] {
            let words: Vec<_> = text.split(' ').map(str::to_owned).collect();
            assert_eq!(flavour_of(&words), flavour, "{text}");
        }
    }

    #[test]
    fn what_the_user_chose_is_the_only_candidate() {
        let generation = &Generation::all()[4];
        let choice = LinkerChoice::parse("zig cc", Os::Linux).unwrap();
        let found = candidates(
            Triplet::AARCH64_APPLE_DARWIN,
            generation,
            &choice,
            &Inventory {
                lld: Some("/usr/bin/ld64.lld".into()),
                ..Inventory::default()
            },
        );
        let commands: Vec<_> = found.iter().map(|c| c.command.join(" ")).collect();
        assert_eq!(commands, ["zig cc -target aarch64-macos.11.0"]);
    }

    #[test]
    fn what_a_strategy_lacks_is_named() {
        let nothing = Inventory::default();
        let mold = Inventory {
            mold: Some("/usr/bin/mold".into()),
            ..Inventory::default()
        };
        let driver = Inventory {
            drivers: vec![vec!["/usr/bin/gcc".to_owned()]],
            ..Inventory::default()
        };
        let of = |minor| Generation::of(&crate::JuliaVersion::new(1, minor, 0)).unwrap();
        for (inventory, os, minor, strategy, lacks) in [
            (&driver, Os::Linux, 10, Strategy::DriverMold, &["mold"][..]),
            (
                &mold,
                Os::Linux,
                10,
                Strategy::DriverMold,
                &["a C compiler"],
            ),
            (
                &nothing,
                Os::Linux,
                10,
                Strategy::DriverLld,
                &["ld.lld", "a C compiler"],
            ),
            (&nothing, Os::MacOs, 10, Strategy::Lld, &["ld64.lld"]),
            (
                &driver,
                Os::Windows,
                10,
                Strategy::DriverMold,
                &["another operating system"],
            ),
            (
                &driver,
                Os::Linux,
                5,
                Strategy::JuliaLld,
                &["a Julia that ships lld, 1.9 or later"],
            ),
            (&driver, Os::Linux, 5, Strategy::Driver, &[]),
        ] {
            let found = inventory.lacking(os, of(minor), &[strategy]);
            assert_eq!(found, [(strategy, lacks.to_vec())], "{strategy} on {os:?}");
        }
    }

    #[test]
    fn linkers_are_tried_in_the_order_of_the_table() {
        let inventory = Inventory {
            julia_lld: Some("/j/lld".into()),
            lld: Some("/usr/bin/ld.lld".into()),
            mold: Some("/usr/bin/mold".into()),
            drivers: vec![vec!["gcc".into()]],
        };
        let strategies = |version: (u64, u64)| {
            let generation = Generation::of(&crate::JuliaVersion::new(version.0, version.1, 0));
            let found = candidates(
                Triplet::X86_64_LINUX_GNU,
                generation.unwrap(),
                &LinkerChoice::Auto,
                &inventory,
            );
            found.iter().map(|c| c.strategy).collect::<Vec<_>>()
        };
        use Strategy::{Driver, DriverLld, DriverMold, JuliaLld, Lld};
        assert_eq!(strategies((1, 5)), [DriverMold, DriverLld, Driver, Lld]);
        assert_eq!(
            strategies((1, 10)),
            [JuliaLld, DriverMold, DriverLld, Driver, Lld]
        );
    }
}
