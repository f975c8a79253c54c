//! Sets of Julia versions as people write them: npm's ranges (`>=1.6 <1.11`, `1.6 || 1.10`) and
//! the `[compat]` entries of Julia's `Project.toml` (`^1.6`, `~1.10`, `1.6 - 1.11`, `1.6, 1.8`).
//!
//! The two notations agree wherever they overlap but for one point, in which Julia's rule holds:
//! a comma means *or*. Sources: Pkg's manual, "Compatibility"; node-semver's "Ranges".

use std::fmt;
use std::str::FromStr;

use crate::version::JuliaVersion;

/// A union of version intervals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranges {
    text: String,
    alternatives: Vec<Interval>,
}

/// `from <= version < below`, either side optional.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Interval {
    from: Option<semver::Version>,
    below: Option<semver::Version>,
}

/// The text is no version range.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is not a version range such as `^1.6`, `~1.10`, `>=1.6 <1.11` or `1.6 - 1.11`")]
pub struct NotARange {
    text: String,
}

impl Ranges {
    /// Whether the range holds `version`. A prerelease is held only where a bound is itself a
    /// prerelease of the same `X.Y.Z`: `^1.6` must not pick up `1.14.0-alpha1`.
    #[must_use]
    pub fn contains(&self, version: &JuliaVersion) -> bool {
        let version = version.as_semver();
        self.alternatives.iter().any(|interval| {
            let named = |bound: &Option<semver::Version>| {
                bound.as_ref().is_some_and(|bound| {
                    !bound.pre.is_empty()
                        && (bound.major, bound.minor, bound.patch)
                            == (version.major, version.minor, version.patch)
                })
            };
            (version.pre.is_empty() || named(&interval.from) || named(&interval.below))
                && interval.from.as_ref().is_none_or(|from| version >= from)
                && interval.below.as_ref().is_none_or(|below| version < below)
        })
    }
}

impl fmt::Display for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl FromStr for Ranges {
    type Err = NotARange;

    fn from_str(text: &str) -> Result<Self, NotARange> {
        let alternatives = text
            .split(',')
            .flat_map(|part| part.split("||"))
            .map(interval)
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| NotARange {
                text: text.to_owned(),
            })?;
        Ok(Self {
            text: text.trim().to_owned(),
            alternatives,
        })
    }
}

/// One alternative: a hyphen range, or comparators that must all hold.
fn interval(text: &str) -> Option<Interval> {
    let text = text.trim();
    if let Some((low, high)) = text.split_once(" - ") {
        return Some(Interval {
            from: Some(Partial::parse(low)?.lowest()),
            below: Partial::parse(high)?.above(),
        });
    }
    let mut whole = Interval::default();
    let mut pieces = text.split_whitespace();
    let mut any = false;
    while let Some(piece) = pieces.next() {
        let (operator, rest) = operator(piece);
        // `>= 1.6`, with a space, is how many Project.toml files have it.
        let version = if rest.is_empty() {
            pieces.next()?
        } else {
            rest
        };
        whole = whole.and(comparator(operator, &Partial::parse(version)?));
        any = true;
    }
    any.then_some(whole)
}

fn operator(piece: &str) -> (&str, &str) {
    ["≥", ">=", "≤", "<=", ">", "<", "=", "^", "~"]
        .into_iter()
        .find_map(|operator| Some((operator, piece.strip_prefix(operator)?)))
        .unwrap_or(("", piece))
}

fn comparator(operator: &str, version: &Partial) -> Interval {
    let low = Some(version.lowest());
    let (from, below) = match operator {
        ">=" | "≥" => (low, None),
        ">" => (version.above(), None),
        "<=" | "≤" => (None, version.above()),
        "<" => (None, low),
        "=" => (low, version.above()),
        "~" => (low, version.tilde()),
        // A bare version in `[compat]` means a caret.
        _ => (low, version.caret()),
    };
    Interval { from, below }
}

impl Interval {
    fn and(self, other: Self) -> Self {
        let from = match (self.from, other.from) {
            (Some(a), Some(b)) => Some(a.max(b)),
            (a, b) => a.or(b),
        };
        let below = match (self.below, other.below) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Self { from, below }
    }
}

/// `1`, `1.12`, `1.12.7`, `1.12.7-rc1`; `x` and `*` stand for what is left open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Partial {
    pub(crate) major: Option<u64>,
    pub(crate) minor: Option<u64>,
    pub(crate) patch: Option<u64>,
    pre: semver::Prerelease,
}

impl Partial {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let text = text.strip_prefix('v').unwrap_or(text);
        let (numbers, pre) = match text.split_once('-') {
            Some((numbers, pre)) => (numbers, semver::Prerelease::new(pre).ok()?),
            None => (text, semver::Prerelease::EMPTY),
        };
        let mut parts = [None; 3];
        let mut open = false;
        for (index, piece) in numbers.split('.').enumerate() {
            let slot = parts.get_mut(index)?;
            if matches!(piece, "x" | "X" | "*") {
                open = true;
            } else if open || piece.is_empty() || !piece.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            } else {
                *slot = Some(piece.parse().ok()?);
            }
        }
        let [major, minor, patch] = parts;
        if !pre.is_empty() && patch.is_none() {
            return None;
        }
        Some(Self {
            major,
            minor,
            patch,
            pre,
        })
    }

    fn lowest(&self) -> semver::Version {
        let mut version = semver::Version::new(
            self.major.unwrap_or(0),
            self.minor.unwrap_or(0),
            self.patch.unwrap_or(0),
        );
        version.pre = self.pre.clone();
        version
    }

    /// The first version above everything that this stands for.
    fn above(&self) -> Option<semver::Version> {
        let next = match (self.major, self.minor, self.patch) {
            (None, ..) => return None,
            (Some(major), None, _) => semver::Version::new(major.checked_add(1)?, 0, 0),
            (Some(major), Some(minor), None) => {
                semver::Version::new(major, minor.checked_add(1)?, 0)
            }
            (Some(major), Some(minor), Some(patch)) => {
                semver::Version::new(major, minor, patch.checked_add(1)?)
            }
        };
        Some(next)
    }

    fn tilde(&self) -> Option<semver::Version> {
        Self {
            patch: None,
            ..self.clone()
        }
        .above()
    }

    /// The leftmost number that is not zero must stay.
    fn caret(&self) -> Option<semver::Version> {
        match (self.major, self.minor, self.patch) {
            (Some(0), Some(0), Some(_)) | (Some(0), Some(0), None) | (Some(0), None, _) => {
                self.above()
            }
            (Some(0), Some(minor), _) => Some(semver::Version::new(0, minor.checked_add(1)?, 0)),
            (Some(major), ..) => Some(semver::Version::new(major.checked_add(1)?, 0, 0)),
            (None, ..) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(range: &str, version: &str) -> bool {
        range
            .parse::<Ranges>()
            .unwrap()
            .contains(&version.parse().unwrap())
    }

    #[test]
    fn reads_julia_compat_entries() {
        for (range, inside, outside) in [
            ("1.6", "1.13.2", "1.5.4"),
            ("^1.6", "1.6.0", "2.0.0"),
            ("~1.10", "1.10.12", "1.11.0"),
            ("~1.10.3", "1.10.3", "1.10.2"),
            ("~1", "1.13.0", "2.0.0"),
            ("1.6 - 1.11", "1.11.9", "1.12.0"),
            ("=1.10.4", "1.10.4", "1.10.5"),
            ("1.6, 1.8", "1.6.1", "1.5.0"),
            ("~1.6, ~1.10", "1.10.1", "1.8.0"),
            ("≥ 1.6", "3.0.0", "1.5.9"),
            ("0.7, 1", "0.7.0", "0.6.4"),
            ("^0.0.3", "0.0.3", "0.0.4"),
        ] {
            assert!(holds(range, inside), "{inside} in {range}");
            assert!(!holds(range, outside), "{outside} not in {range}");
        }
    }

    #[test]
    fn reads_npm_ranges() {
        for (range, inside, outside) in [
            (">=1.6 <1.11", "1.10.12", "1.11.0"),
            (">1.6", "1.7.0", "1.6.7"),
            ("<=1.9", "1.9.4", "1.10.0"),
            ("1.x", "1.13.2", "2.0.0"),
            ("~1.6 || ~1.10", "1.6.7", "1.9.0"),
            ("*", "1.0.0", "1.0.0-rc1"),
        ] {
            assert!(holds(range, inside), "{inside} in {range}");
            assert!(!holds(range, outside), "{outside} not in {range}");
        }
    }

    #[test]
    fn takes_a_prerelease_only_where_the_range_names_one() {
        assert!(!holds("^1.6", "1.14.0-alpha1"));
        assert!(holds(">=1.13.0-rc1", "1.13.0-rc2"));
        assert!(!holds(">=1.13.0-rc1", "1.14.0-rc2"));
    }

    #[test]
    fn refuses_what_is_no_range() {
        for text in [
            "", ",", "^", "1.6 -", "abc", "1.2.3.4", "1..2", "1.x.3", ">= ",
        ] {
            assert!(text.parse::<Ranges>().is_err(), "{text:?}");
        }
    }
}
