//! Sets of Julia versions as users write them: npm's ranges (`>=1.6 <1.11`, `1.6 || 1.10`) and the
//! `[compat]` entries of Julia's `Project.toml` (`^1.6`, `~1.10`, `1.6 - 1.11`, `^1.6, ^2`).
//!
//! [`Ranges::from_compat`] accepts exactly what Pkg accepts. Parsing with [`FromStr`] accepts both
//! notations, for `--julia` and `Sysimage.toml`; where the two differ, the reference page "Getting
//! Julia and compilers" gives the rule. Sources: Pkg's manual, "Compatibility"; node-semver's
//! "Ranges".

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use crate::version::JuliaVersion;

/// A union of version ranges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranges {
    text: String,
    alternatives: Vec<Alternative>,
}

/// Comparators that must all hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Alternative(Vec<Comparator>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Comparator {
    operator: Operator,
    bound: semver::Version,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    AtLeast,
    Above,
    AtMost,
    Below,
}

/// The meaning of a version without an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Notation {
    /// Pkg's: `1.6` is `^1.6`.
    Compat,
    /// npm's: `1.6` is `1.6.x`, and `1.6.2` is exactly that version.
    Npm,
}

/// The text is not a version range.
#[derive(Debug, thiserror::Error)]
#[error(
    "{} is not a version range such as `^1.6`, `~1.10`, `>=1.6 <1.11` or `1.6 - 1.11`",
    quoted(text)
)]
pub struct NotARange {
    text: String,
}

/// Returns how a message names the text.
pub(crate) fn quoted(text: &str) -> String {
    match text.trim().is_empty() {
        true => "an empty text".to_owned(),
        false => format!("`{text}`"),
    }
}

impl Ranges {
    /// Parses an entry of `[compat]` by Pkg's rules.
    ///
    /// # Errors
    ///
    /// If Pkg would refuse it too.
    pub fn from_compat(text: &str) -> Result<Self, NotARange> {
        let alternatives: Option<Vec<_>> = text.split(',').map(compat_piece).collect();
        Self::new(text, alternatives)
    }

    fn new(text: &str, alternatives: Option<Vec<Alternative>>) -> Result<Self, NotARange> {
        let alternatives = alternatives.ok_or_else(|| NotARange {
            text: text.to_owned(),
        })?;
        Ok(Self {
            text: text.trim().to_owned(),
            alternatives,
        })
    }

    /// Returns whether the range contains `version`. It contains a prerelease only if a bound is a
    /// prerelease of the same `X.Y.Z`: `^1.6` must not select `1.14.0-alpha1`.
    pub fn contains(&self, version: &JuliaVersion) -> bool {
        let version = version.as_semver();
        self.alternatives
            .iter()
            .any(|alternative| alternative.contains(version))
    }

    /// Returns whether this is a union that contains every version, such as `>=1.10, <1.12`, whose
    /// author probably used the comma for "and".
    pub fn is_open_union(&self) -> bool {
        let only = |wanted: [Operator; 2]| {
            self.alternatives.iter().filter_map(move |alternative| {
                let all = alternative.0.iter().all(|c| wanted.contains(&c.operator));
                alternative.0.first().filter(|_| all)
            })
        };
        let lower = || only([Operator::AtLeast, Operator::Above]);
        only([Operator::AtMost, Operator::Below])
            .any(|upper| lower().any(|lower| lower.bound <= upper.bound))
    }
}

impl Alternative {
    fn contains(&self, version: &semver::Version) -> bool {
        let same_release = |bound: &semver::Version| {
            (bound.major, bound.minor, bound.patch) == (version.major, version.minor, version.patch)
        };
        let mut comparators = self.0.iter();
        let named = version.pre.is_empty()
            || self
                .0
                .iter()
                .any(|c| !c.bound.pre.is_empty() && same_release(&c.bound));
        named && comparators.all(|comparator| comparator.holds(version))
    }

    fn between(from: Option<semver::Version>, below: Option<semver::Version>) -> Self {
        let from = from.map(|bound| Comparator::new(Operator::AtLeast, bound));
        let below = below.map(|bound| Comparator::new(Operator::Below, bound));
        Self(from.into_iter().chain(below).collect())
    }

    fn exactly(version: &semver::Version) -> Self {
        let operators = [Operator::AtLeast, Operator::AtMost];
        Self(
            operators
                .map(|o| Comparator::new(o, version.clone()))
                .into(),
        )
    }

    fn one(operator: Operator, bound: semver::Version) -> Self {
        Self(vec![Comparator::new(operator, bound)])
    }

    /// Returns the empty range.
    fn nothing() -> Self {
        Self::one(Operator::Below, semver::Version::new(0, 0, 0))
    }
}

impl Comparator {
    const fn new(operator: Operator, bound: semver::Version) -> Self {
        Self { operator, bound }
    }

    fn holds(&self, version: &semver::Version) -> bool {
        // Build metadata is ignored.
        let order = version.cmp_precedence(&self.bound);
        match self.operator {
            Operator::AtLeast => order != Ordering::Less,
            Operator::Above => order == Ordering::Greater,
            Operator::AtMost => order != Ordering::Greater,
            Operator::Below => order == Ordering::Less,
        }
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
        let notation = match text.contains(',') {
            true => Notation::Compat,
            false => Notation::Npm,
        };
        let alternatives: Option<Vec<_>> = text
            .split(',')
            .flat_map(|part| part.split("||"))
            .map(|piece| alternative(piece, notation))
            .collect();
        Self::new(text, alternatives)
    }
}

/// Parses one alternative: a hyphen range, or comparators that must all hold.
fn alternative(text: &str, notation: Notation) -> Option<Alternative> {
    let words: Vec<&str> = text.split_whitespace().collect();
    if let [low, "-", high] = words.as_slice() {
        return hyphen(&Partial::parse(low)?, &Partial::parse(high)?);
    }
    let mut all = Vec::new();
    let mut words = words.into_iter();
    let mut any = false;
    while let Some(word) = words.next() {
        let (operator, rest) = operator(word);
        // Many Project.toml files contain `>= 1.6`, with a space.
        let version = if rest.is_empty() { words.next()? } else { rest };
        all.extend(comparators(operator, &Partial::parse(version)?, notation).0);
        any = true;
    }
    any.then_some(Alternative(all))
}

/// Parses one alternative of a `[compat]` entry, which has one of three forms.
fn compat_piece(text: &str) -> Option<Alternative> {
    let text = text.trim();
    let words: Vec<&str> = text.split_whitespace().collect();
    let number = |text: &str| Partial::parse(text).filter(Partial::is_plain);
    if let [low, "-", high] = words.as_slice() {
        return hyphen(&number(low)?, &number(high)?);
    }
    let (operator, rest) = operator(text);
    let version = match operator {
        "" | "^" | "~" => number(rest).filter(|_| words.len() == 1)?,
        ">=" | "≥" | "=" | "<" => number(rest.trim_start())?,
        _ => return None,
    };
    let zeros = [version.major, version.minor, version.patch];
    if zeros.iter().all(|number| *number == Some(0)) || (operator == "<" && version.is_zero()) {
        return None;
    }
    Some(comparators(operator, &version, Notation::Compat))
}

fn hyphen(low: &Partial, high: &Partial) -> Option<Alternative> {
    let mut range = Alternative::between(Some(low.lowest()), None);
    range.0.extend(match high.patch {
        Some(_) => Some(Comparator::new(Operator::AtMost, high.lowest())),
        None => high
            .above()
            .map(|bound| Comparator::new(Operator::Below, bound)),
    });
    Some(range)
}

fn operator(piece: &str) -> (&str, &str) {
    ["≥", ">=", "≤", "<=", ">", "<", "=", "^", "~>", "~"]
        .into_iter()
        .find_map(|operator| Some((operator, piece.strip_prefix(operator)?)))
        .unwrap_or(("", piece))
}

fn comparators(operator: &str, version: &Partial, notation: Notation) -> Alternative {
    let low = version.lowest();
    let complete = version.patch.is_some();
    match operator {
        ">=" | "≥" => Alternative::one(Operator::AtLeast, low),
        ">" if complete => Alternative::one(Operator::Above, low),
        ">" => match version.above() {
            Some(above) => Alternative::one(Operator::AtLeast, above),
            None => Alternative::nothing(),
        },
        "<=" | "≤" if complete => Alternative::one(Operator::AtMost, low),
        "<=" | "≤" => Alternative::between(None, version.above()),
        "<" => Alternative::one(Operator::Below, low),
        // In Pkg, `=1.2` is 1.2.0; with an `x` the rest is open.
        "=" if complete || !version.wild => Alternative::exactly(&low),
        "=" => Alternative::between(Some(low), version.above()),
        "~" | "~>" => Alternative::between(Some(low), version.tilde()),
        "^" => Alternative::between(Some(low), version.caret()),
        _ => match notation {
            Notation::Compat if !version.wild => Alternative::between(Some(low), version.caret()),
            _ if complete => Alternative::exactly(&low),
            _ => Alternative::between(Some(low), version.above()),
        },
    }
}

/// A possibly incomplete version: `1`, `1.12`, `1.12.7`, `1.12.7-rc1`; `x` and `*` stand for
/// omitted numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Partial {
    pub(crate) major: Option<u64>,
    pub(crate) minor: Option<u64>,
    pub(crate) patch: Option<u64>,
    pre: semver::Prerelease,
    /// Whether an `x` or `*` was written.
    wild: bool,
    /// Whether build metadata was written, which comparisons ignore.
    build: bool,
}

impl Partial {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let text = text.strip_prefix('v').unwrap_or(text);
        let (text, build) = match text.split_once('+') {
            Some((text, build)) => {
                semver::BuildMetadata::new(build).ok()?;
                (text, true)
            }
            None => (text, false),
        };
        let (numbers, pre) = match text.split_once('-') {
            Some((_, "")) => return None,
            Some((numbers, pre)) => (numbers, semver::Prerelease::new(pre).ok()?),
            None => (text, semver::Prerelease::EMPTY),
        };
        let mut parts = [None; 3];
        let mut wild = false;
        for (index, piece) in numbers.split('.').enumerate() {
            let slot = parts.get_mut(index)?;
            if matches!(piece, "x" | "X" | "*") {
                wild = true;
            } else if wild || piece.is_empty() || !piece.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            } else {
                *slot = Some(piece.parse().ok()?);
            }
        }
        let [major, minor, patch] = parts;
        if (!pre.is_empty() || build) && patch.is_none() {
            return None;
        }
        Some(Self {
            major,
            minor,
            patch,
            pre,
            wild,
            build,
        })
    }

    /// Returns whether this consists of numbers only, the only form in `[compat]`, that Pkg can read.
    fn is_plain(&self) -> bool {
        // Pkg keeps these numbers in 32 bits.
        let numbers = [self.major, self.minor, self.patch];
        let fits = |number: &u64| *number <= u64::from(u32::MAX);
        let mut numbers = numbers.iter().flatten();
        self.pre.is_empty() && !self.wild && !self.build && numbers.all(fits)
    }

    fn is_zero(&self) -> bool {
        [self.major, self.minor, self.patch]
            .iter()
            .all(|number| number.unwrap_or(0) == 0)
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

    /// Returns the first version above all versions that this matches.
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

    /// Returns the upper bound that keeps the leftmost nonzero number.
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
#[path = "ranges/tests.rs"]
mod tests;
