//! Finds mistakes in the `cpu` setting before anything is downloaded: words that no Julia knows, CPUs
//! of another architecture or newer than the Julia, and target strings that Julia cannot parse.

use crate::explain::{did_you_mean, nearest};
use crate::generation::Generation;
use crate::platform::{Arch, Triplet};
use crate::version::JuliaVersion;

use super::{SYSIMAGE, X86_LEVELS, is_flag, without_spaces, words};

/// The known CPUs and features; see the head of the file.
const KNOWN: &str = include_str!("known.txt");

/// The `cpu` setting cannot work on a platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTarget {
    /// There is no such tier.
    #[error("`{word}` is no level of x86-64")]
    Level {
        /// The word.
        word: String,
    },
    /// Julia knows no such CPU.
    #[error("Julia knows no CPU `{name}` on {arch}")]
    Name {
        /// The name.
        name: String,
        /// The architecture.
        arch: Arch,
    },
    /// The CPU belongs to another architecture.
    #[error("`{name}` is a CPU of {of}, and the image is for {arch}")]
    OtherArch {
        /// The name.
        name: String,
        /// The architecture of the CPU.
        of: Arch,
        /// The architecture of the image.
        arch: Arch,
    },
    /// A later Julia added the CPU.
    #[error("Julia {version} does not know the CPU `{name}`: it came with Julia {}.{}", .since.0, .since.1)]
    Newer {
        /// The name.
        name: String,
        /// The first Julia that knows it.
        since: (u64, u64),
        /// The Julia of the build.
        version: JuliaVersion,
    },
    /// A feature is where a CPU should be.
    #[error("`{name}` is a CPU feature, not a CPU")]
    Feature {
        /// The feature.
        name: String,
    },
    /// A word of Sysforge is in a string for Julia.
    #[error("`{name}` cannot be part of the CPU targets `{target}`")]
    NotAlone {
        /// The word.
        name: String,
        /// The whole setting.
        target: String,
    },
    /// Neither Julia nor LLVM knows the feature.
    #[error("Julia knows no CPU feature `{name}` on {arch}")]
    UnknownFeature {
        /// The feature.
        name: String,
        /// The architecture.
        arch: Arch,
    },
    /// Julia cannot parse the string.
    #[error("the CPU targets `{target}` are not valid: {reason}")]
    Invalid {
        /// The whole setting.
        target: String,
        /// What is wrong.
        reason: String,
    },
}

impl BadTarget {
    /// Returns what to write instead.
    pub fn hints(&self) -> Vec<String> {
        const ALL: &str = "`cpu` is `portable`, `native`, `x86-64-v2` to `x86-64-v4`, or a CPU that \
                           `julia -C help` lists, with features after it such as `haswell,-rdrnd`";
        match self {
            Self::Level { word } => did_you_mean(
                nearest(word, X86_LEVELS.iter().map(|(level, _)| *level)),
                ALL,
            ),
            Self::Name { name, arch } => {
                let cpus = Known::of(*arch).cpus.into_iter().map(|(name, _)| name);
                did_you_mean(nearest(name, cpus.chain(words())), ALL)
            }
            Self::OtherArch { .. } => vec![
                "use `portable`, or list the platforms that have this CPU: a table \
                 `[platforms.\"TRIPLET\"]` for each"
                    .to_owned(),
            ],
            Self::Newer { since, .. } => vec![format!(
                "name an older CPU, or build for a newer Julia: `--julia {}.{}`",
                since.0, since.1
            )],
            Self::Feature { name } => vec![
                format!("write a CPU before it: `generic,+{name}`"),
                "for all features of a generation of CPUs, use `x86-64-v2` to `x86-64-v4`"
                    .to_owned(),
            ],
            Self::NotAlone { name, .. } => {
                let other = if name == "portable" {
                    "native"
                } else {
                    "portable"
                };
                vec![format!(
                    "`cpu = \"{name}\"` stands alone or in a list such as `cpu = [\"{other}\", \
                     \"{name}\"]`; the words between `;` are CPUs that `julia -C help` lists"
                )]
            }
            Self::UnknownFeature { name, arch } => did_you_mean(
                nearest(name, Known::of(*arch).features),
                "`julia -C help` lists the CPUs and their features",
            ),
            Self::Invalid { .. } => vec![
                "targets are separated by `;`, and each is a CPU with features and flags, as in \
                 `generic;haswell,-rdrnd,clone_all;skylake-avx512,base(1)`"
                    .to_owned(),
            ],
        }
    }
}

/// The CPUs and features of an architecture.
#[derive(Default)]
struct Known {
    cpus: Vec<(&'static str, (u64, u64))>,
    features: Vec<&'static str>,
}

impl Known {
    fn of(arch: Arch) -> Self {
        let mut known = Self::default();
        let arch = arch.to_string();
        for line in KNOWN.lines().filter(|line| !line.starts_with('#')) {
            let mut words = line.split(' ');
            let (Some(archs), Some(what)) = (words.next(), words.next()) else {
                continue;
            };
            if !archs.split(',').any(|other| other == arch) {
                continue;
            }
            match what.split_once('.') {
                Some((major, minor)) => {
                    let since = (major.parse().unwrap_or(0), minor.parse().unwrap_or(0));
                    known.cpus.extend(words.map(|word| (word, since)));
                }
                None => known.features.extend(words),
            }
        }
        if !known.cpus.is_empty() {
            known.cpus.push((SYSIMAGE, (1, 13)));
        }
        known
    }

    fn since(&self, name: &str) -> Option<(u64, u64)> {
        let mut cpus = self.cpus.iter();
        cpus.find(|(known, _)| *known == name)
            .map(|(_, since)| *since)
    }
}

/// Checks one value of the `cpu` setting for an image of `version`. Names are not checked if the
/// Julia is newer than the tables, or the architecture has none.
///
/// # Errors
///
/// [`BadTarget`] if the value names an unknown level, CPU or feature, or a CPU of another
/// architecture or of a newer Julia, has a word such as `portable` beside other targets, or cannot
/// be parsed by Julia.
pub fn check(word: &str, triplet: Triplet, version: &JuliaVersion) -> Result<(), BadTarget> {
    let word = &*without_spaces(word);
    if words().any(|known| known == word) {
        return Ok(());
    }
    if word.starts_with("x86-64") && !word.contains([',', ';']) {
        return Err(BadTarget::Level {
            word: word.to_owned(),
        });
    }
    let arch = triplet.arch();
    let known = Known::of(arch);
    let newest = Generation::all().last().map(|row| row.since);
    let in_table = Some(version.minor_pair()) <= newest && !known.cpus.is_empty();
    let mut earlier: Vec<Target<'_>> = Vec::new();
    for text in word.split(';') {
        let target = Target::parse(text, &earlier).map_err(|reason| BadTarget::Invalid {
            target: word.to_owned(),
            reason,
        })?;
        if words().any(|known| known == target.name) && target.name != "native" {
            return Err(BadTarget::NotAlone {
                name: target.name.to_owned(),
                target: word.to_owned(),
            });
        }
        if in_table {
            check_name(target.name, arch, &known, version)?;
            let mut features = target.features.iter();
            if let Some(name) = features.find(|name| !known.features.contains(name)) {
                return Err(BadTarget::UnknownFeature {
                    name: (*name).to_owned(),
                    arch,
                });
            }
        }
        earlier.push(target);
    }
    Ok(())
}

fn check_name(
    name: &str,
    arch: Arch,
    known: &Known,
    version: &JuliaVersion,
) -> Result<(), BadTarget> {
    let name_of = || name.to_owned();
    match known.since(name) {
        _ if name == "native" => Ok(()),
        Some(since) if version.minor_pair() < since => Err(BadTarget::Newer {
            name: name_of(),
            since,
            version: version.clone(),
        }),
        Some(_) => Ok(()),
        None if known.features.contains(&name) => Err(BadTarget::Feature { name: name_of() }),
        None => {
            let all = [Arch::X86_64, Arch::Aarch64, Arch::Armv7l, Arch::I686];
            match all
                .into_iter()
                .find(|of| Known::of(*of).since(name).is_some())
            {
                Some(of) => Err(BadTarget::OtherArch {
                    name: name_of(),
                    of,
                    arch,
                }),
                None => Err(BadTarget::Name {
                    name: name_of(),
                    arch,
                }),
            }
        }
    }
}

/// One target of a string, as Julia parses it (`parse_cmdline` in `src/processor.cpp`).
struct Target<'a> {
    name: &'a str,
    features: Vec<&'a str>,
    clone_all: bool,
}

impl<'a> Target<'a> {
    fn parse(text: &'a str, earlier: &[Self]) -> Result<Self, String> {
        let mut words = text.split(',');
        let mut target = Self {
            name: words.next().unwrap_or_default(),
            features: Vec::new(),
            clone_all: false,
        };
        if target.name.is_empty() {
            return Err("a target has no CPU".to_owned());
        }
        if target.name.starts_with(['+', '-']) || is_flag(target.name) {
            return Err(format!("`{}` is where a CPU should be", target.name));
        }
        let (mut small, mut smallest) = (false, false);
        for word in words {
            let (is_off, name) = match word.strip_prefix('-') {
                Some(name) => (true, name),
                None => (false, word.strip_prefix('+').unwrap_or(word)),
            };
            match name {
                "" => return Err("a feature has no name".to_owned()),
                "clone_all" => target.clone_all = !is_off,
                "opt_size" | "min_size" if is_off => {
                    return Err(format!("`{name}` cannot be switched off"));
                }
                "opt_size" => small = true,
                "min_size" => smallest = true,
                _ if name.starts_with("base(") => {
                    let index = name.trim_start_matches("base(").strip_suffix(')');
                    let index = index.and_then(|index| index.parse::<usize>().ok());
                    let Some(index) = index.filter(|_| !is_off) else {
                        return Err(format!(
                            "`{word}` is not `base(` and the number of a target `)`"
                        ));
                    };
                    match earlier.get(index) {
                        None => {
                            return Err(format!(
                                "`{name}` does not name an earlier target: they are numbered from 0"
                            ));
                        }
                        Some(base) if !base.clone_all => {
                            return Err(format!(
                                "`{name}` names `{}`, which has no `clone_all`",
                                base.name
                            ));
                        }
                        Some(_) => {}
                    }
                }
                _ => target.features.push(name),
            }
        }
        if small && smallest {
            return Err("`opt_size` and `min_size` exclude each other".to_owned());
        }
        Ok(target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::{portable, targets};

    const X86: Triplet = Triplet::X86_64_LINUX_GNU;
    const ARM: Triplet = Triplet::AARCH64_APPLE_DARWIN;

    fn checked(word: &str, triplet: Triplet, minor: u64) -> Result<(), String> {
        let version = JuliaVersion::new(1, minor, 0);
        check(word, triplet, &version).map_err(|error| {
            assert!(!error.hints().is_empty(), "{error}");
            format!("{error} | {}", error.hints()[0])
        })
    }

    #[test]
    fn everything_that_sysforge_itself_writes_is_valid() {
        for triplet in Triplet::all() {
            let written = words().chain([portable(triplet)]);
            for word in written.filter(|word| *word != "native") {
                for target in targets(&[word.to_owned()], triplet, portable(triplet)) {
                    let names_only = target.target.replace("neoverse-512tvb", "neoverse-n1");
                    assert_eq!(checked(&names_only, triplet, 12), Ok(()), "{triplet}");
                }
            }
        }
    }

    #[test]
    fn the_list_in_the_hint_for_a_word_that_stands_alone_is_valid() {
        let error = checked("portable;haswell", X86, 10).unwrap_err();
        assert!(
            error.contains("cpu = [\"native\", \"portable\"]"),
            "{error}"
        );
    }

    #[test]
    fn misspelt_words_are_found_with_what_was_probably_meant() {
        for (word, expected) in [
            ("avx9", "Julia knows no CPU `avx9` on x86_64"),
            (
                "avx2",
                "`avx2` is a CPU feature, not a CPU | write a CPU before it: `generic,+avx2`",
            ),
            (
                "haswel",
                "Julia knows no CPU `haswel` on x86_64 | did you mean `haswell`?",
            ),
            (
                "portabel",
                "Julia knows no CPU `portabel` on x86_64 | did you mean `portable`?",
            ),
            (
                "x86-64-v9",
                "`x86-64-v9` is no level of x86-64 | did you mean",
            ),
            (
                "x86-64_v3",
                "`x86-64_v3` is no level of x86-64 | did you mean `x86-64-v3`?",
            ),
            (
                "generic;haswell,+telepathy",
                "Julia knows no CPU feature `telepathy` on x86_64",
            ),
            (
                "generic;haswell,clone_al",
                "Julia knows no CPU feature `clone_al` on x86_64",
            ),
            (
                "haswell,+avx22",
                "Julia knows no CPU feature `avx22` on x86_64 | did you mean `avx2`?",
            ),
            (
                "generic;portable",
                "`portable` cannot be part of the CPU targets `generic;portable`",
            ),
            (
                "generic;x86-64-v3,clone_all",
                "`x86-64-v3` cannot be part of the CPU targets",
            ),
            (
                "apple-m1",
                "`apple-m1` is a CPU of aarch64, and the image is for x86_64",
            ),
        ] {
            let error = checked(word, X86, 10).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
        let error = checked("haswell", ARM, 10).unwrap_err();
        assert!(error.starts_with("`haswell` is a CPU of x86_64"), "{error}");
        // A misspelt level is one on every platform; a right one is ignored elsewhere.
        assert!(checked("x86-64-v9", ARM, 10).is_err());
        assert_eq!(checked("x86-64-v3", ARM, 10), Ok(()));
    }

    #[test]
    fn strings_that_julia_cannot_parse_are_found() {
        for (word, reason) in [
            ("generic;;haswell", "a target has no CPU"),
            ("generic;", "a target has no CPU"),
            (",+avx", "a target has no CPU"),
            ("+avx2", "`+avx2` is where a CPU should be"),
            ("generic;clone_all", "`clone_all` is where a CPU should be"),
            ("haswell,", "a feature has no name"),
            ("haswell,+", "a feature has no name"),
            ("generic;haswell,base(1)", "does not name an earlier target"),
            (
                "generic;haswell,base(0)",
                "`base(0)` names `generic`, which has no `clone_all`",
            ),
            ("generic;haswell,base(x)", "is not `base("),
            ("generic;haswell,base(", "is not `base("),
            (
                "generic;haswell,clone_all;skylake,-base(1)",
                "is not `base(",
            ),
            ("haswell,opt_size,min_size", "exclude each other"),
            ("haswell,-opt_size", "cannot be switched off"),
        ] {
            let error = checked(word, X86, 10).unwrap_err();
            assert!(error.contains(reason), "{word}: {error}");
        }
        let valid = "generic;haswell,-rdrnd,clone_all;skylake-avx512,fma,base(1);znver2,opt_size";
        assert_eq!(checked(valid, X86, 5), Ok(()));
    }

    #[test]
    fn cpus_that_came_later_are_refused_for_older_julias_only() {
        let error = checked("alderlake", X86, 5).unwrap_err();
        let expected = "Julia 1.5.0 does not know the CPU `alderlake`: it came with Julia 1.7";
        assert!(error.starts_with(expected), "{error}");
        assert_eq!(checked("alderlake", X86, 12), Ok(()));
        // A Julia that is newer than the table may know more.
        assert_eq!(checked("generic;future9,+foresight", X86, 99), Ok(()));
        assert!(checked("generic;", X86, 99).is_err());
    }
}
