//! GitHub's hosted runners: a dated table of runner labels. Builds with a removed label never
//! start, so the table contains the date of removal and the successor.
//!
//! As of 22 November 2026, for public repositories (private ones get 2 cores and 8 GB). Sources:
//! GitHub's reference of hosted runners, the software lists of the images, and the announcements of
//! removals.

use std::fmt;

use crate::platform::{Arch, Triplet};

/// A calendar day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day {
    /// The year, for instance 2026.
    pub year: i16,
    /// The month, from 1.
    pub month: u8,
    /// The day of the month, from 1.
    pub day: u8,
}

impl Day {
    /// Creates a day.
    pub const fn new(year: i16, month: u8, day: u8) -> Self {
        Self { year, month, day }
    }

    /// Returns days since year 0, in years of 372 days: accurate enough for differences in months.
    const fn number(self) -> i32 {
        self.year as i32 * 372 + self.month as i32 * 31 + self.day as i32
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

/// A runner label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Runner {
    /// The value of `runs-on`.
    pub label: &'static str,
    /// The processor.
    pub arch: Arch,
    /// The platform of the Julia that runs on it.
    pub platform: &'static str,
    /// The number of CPU cores.
    pub cores: u8,
    /// Memory, in GB.
    pub memory: u8,
    /// The C toolchains that are installed.
    pub toolchains: &'static str,
    /// The C runtime against which these link. Julia on Windows uses msvcrt, so with `ucrt`
    /// Sysforge downloads its own toolchain.
    pub runtime: &'static str,
    /// The day from which the label does not work, if known.
    pub end: Option<Day>,
    /// The label to use instead of one that ends.
    pub successor: Option<&'static str>,
}

const fn row(
    label: &'static str,
    arch: Arch,
    platform: &'static str,
    size: (u8, u8),
    toolchains: &'static str,
    runtime: &'static str,
) -> Runner {
    Runner {
        label,
        arch,
        platform,
        cores: size.0,
        memory: size.1,
        toolchains,
        runtime,
        end: None,
        successor: None,
    }
}

const fn ending(row: Runner, end: Day, successor: Option<&'static str>) -> Runner {
    Runner {
        end: Some(end),
        successor,
        ..row
    }
}

const LINUX: &str = "x86_64-linux-gnu";
const LINUX_ARM: &str = "aarch64-linux-gnu";
const MAC: &str = "x86_64-apple-darwin";
const MAC_ARM: &str = "aarch64-apple-darwin";
const WINDOWS: &str = "x86_64-w64-mingw32";

/// All known labels. The default for a platform is its first label that has not ended: the oldest
/// system that will not end soon, because what is linked there also runs on newer ones.
#[rustfmt::skip]
pub const TABLE: &[Runner] = &[
    row("ubuntu-24.04", Arch::X86_64, LINUX, (4, 16), "gcc 12-14, clang 16-18", "glibc 2.39"),
    row("ubuntu-26.04", Arch::X86_64, LINUX, (4, 16), "gcc 13-15, clang", "glibc 2.43"),
    row("ubuntu-latest", Arch::X86_64, LINUX, (4, 16), "those of the newest Ubuntu", "glibc"),
    ending(row("ubuntu-22.04", Arch::X86_64, LINUX, (4, 16), "gcc 10-12, clang 13-15", "glibc 2.35"),
        Day::new(2027, 4, 1), Some("ubuntu-24.04")),
    ending(row("ubuntu-20.04", Arch::X86_64, LINUX, (4, 16), "gcc 9-10", "glibc 2.31"),
        Day::new(2025, 4, 15), Some("ubuntu-24.04")),
    row("ubuntu-24.04-arm", Arch::Aarch64, LINUX_ARM, (4, 16), "gcc 12-14, clang 16-18", "glibc 2.39"),
    row("ubuntu-26.04-arm", Arch::Aarch64, LINUX_ARM, (4, 16), "gcc 13-15, clang", "glibc 2.43"),
    ending(row("ubuntu-22.04-arm", Arch::Aarch64, LINUX_ARM, (4, 16), "gcc 10-12, clang 13-15", "glibc 2.35"),
        Day::new(2027, 4, 1), Some("ubuntu-24.04-arm")),
    row("macos-15", Arch::Aarch64, MAC_ARM, (3, 7), "clang 17", "libSystem"),
    row("macos-26", Arch::Aarch64, MAC_ARM, (3, 7), "clang 21", "libSystem"),
    row("macos-latest", Arch::Aarch64, MAC_ARM, (3, 7), "those of the newest macOS", "libSystem"),
    ending(row("macos-14", Arch::Aarch64, MAC_ARM, (3, 7), "clang 15", "libSystem"),
        Day::new(2026, 11, 2), Some("macos-15")),
    ending(row("macos-15-intel", Arch::X86_64, MAC, (4, 14), "clang 17", "libSystem"),
        Day::new(2027, 8, 1), None),
    ending(row("macos-26-intel", Arch::X86_64, MAC, (4, 14), "clang 21", "libSystem"),
        Day::new(2027, 8, 1), None),
    ending(row("macos-13", Arch::X86_64, MAC, (4, 14), "clang 14", "libSystem"),
        Day::new(2025, 12, 4), Some("macos-15-intel")),
    row("windows-2025", Arch::X86_64, WINDOWS, (4, 16), "gcc 15.2, LLVM 20", "ucrt"),
    row("windows-2022", Arch::X86_64, WINDOWS, (4, 16), "gcc 14.2, LLVM 20", "ucrt"),
    row("windows-latest", Arch::X86_64, WINDOWS, (4, 16), "those of windows-2025", "ucrt"),
    // There is no Julia for this platform; the one for x86_64 is emulated.
    row("windows-11-arm", Arch::Aarch64, WINDOWS, (4, 16), "LLVM 20", "ucrt"),
    ending(row("windows-2019", Arch::X86_64, WINDOWS, (4, 16), "gcc 8.1", "msvcrt"),
        Day::new(2025, 6, 30), Some("windows-2022")),
];

/// How long before a label's end a warning appears, in months of 31 days.
const NOTICE_MONTHS: i32 = 9;

/// A label that has ended or will end soon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retirement {
    /// The label.
    pub label: &'static str,
    /// Its last day.
    pub end: Day,
    /// Whether that day has passed.
    pub is_over: bool,
    /// The label to use instead.
    pub successor: Option<&'static str>,
}

impl fmt::Display for Retirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { label, end, .. } = self;
        match self.is_over {
            true => write!(f, "the runner `{label}` was removed on {end}"),
            false => write!(f, "the runner `{label}` ends on {end}"),
        }
    }
}

impl Retirement {
    /// Returns what to do about it.
    pub fn hint(&self) -> String {
        match self.successor {
            Some(next) => {
                format!("use `{next}`: `runner = \"{next}\"` below [platforms.…] in Sysimage.toml")
            }
            None => "GitHub names no successor: build on a runner of your own, or leave the \
                     platform out"
                .to_owned(),
        }
    }
}

impl Runner {
    /// Returns the runner with a label; `None` for self-hosted runners.
    pub fn named(label: &str) -> Option<&'static Self> {
        TABLE.iter().find(|runner| runner.label == label)
    }

    /// Returns the default runner for a platform.
    pub fn of(triplet: Triplet) -> Option<&'static Self> {
        TABLE
            .iter()
            .find(|runner| runner.platform == triplet.name())
    }

    /// Returns the platforms that have a hosted runner.
    pub fn platforms() -> Vec<Triplet> {
        Triplet::all()
            .filter(|triplet| Self::of(*triplet).is_some())
            .collect()
    }

    /// Returns a warning if the label has ended or will end soon.
    pub fn retirement(&self, today: Day) -> Option<Retirement> {
        let end = self.end?;
        let left = end.number() - today.number();
        (left <= NOTICE_MONTHS * 31).then_some(Retirement {
            label: self.label,
            end,
            is_over: left <= 0,
            successor: self.successor,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TODAY: Day = Day::new(2026, 11, 22);

    #[test]
    fn every_row_names_a_platform_and_a_successor_that_has_not_ended() {
        for runner in TABLE {
            assert!(
                runner.platform.parse::<Triplet>().is_ok(),
                "{}",
                runner.label
            );
            if let Some(next) = runner.successor {
                let next = Runner::named(next).unwrap();
                assert_eq!(next.platform, runner.platform, "{}", runner.label);
                assert!(
                    next.retirement(TODAY)
                        .is_none_or(|retirement| !retirement.is_over)
                );
            }
        }
    }

    #[test]
    fn no_default_had_ended_when_the_table_was_made() {
        let labels: Vec<_> = Runner::platforms()
            .into_iter()
            .map(|triplet| Runner::of(triplet).unwrap())
            .inspect(|runner| {
                assert!(
                    runner
                        .retirement(TODAY)
                        .is_none_or(|retirement| !retirement.is_over)
                );
            })
            .map(|runner| runner.label)
            .collect();
        assert_eq!(
            labels,
            [
                "ubuntu-24.04",
                "ubuntu-24.04-arm",
                "macos-15-intel",
                "macos-15",
                "windows-2025"
            ]
        );
    }

    #[test]
    fn a_label_that_has_ended_and_one_that_will_end_are_distinguished() {
        let said = |label: &str| {
            Runner::named(label)
                .unwrap()
                .retirement(TODAY)
                .map(|d| d.to_string())
        };
        assert_eq!(
            said("macos-14").unwrap(),
            "the runner `macos-14` was removed on 2026-11-02"
        );
        assert_eq!(
            said("ubuntu-22.04").unwrap(),
            "the runner `ubuntu-22.04` ends on 2027-04-01"
        );
        assert_eq!(said("ubuntu-24.04"), None);
        let retirement = Runner::named("macos-14")
            .unwrap()
            .retirement(TODAY)
            .unwrap();
        assert!(retirement.hint().starts_with("use `macos-15`"));
    }
}
