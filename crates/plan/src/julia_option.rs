//! Options of Julia that change the code in an image: `julia-options` of `Sysimage.toml`.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::generation::Generation;
use crate::version::JuliaVersion;

/// An option for the Julia that emits an image, for instance `-O3` or `--check-bounds=no`.
///
/// Only options that change the code which is generated: everything else that the emission needs is
/// decided by Sysforge.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct JuliaOption(String);

/// The text is not an option that changes the code in an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not an option that changes the code in an image; these are: {}", .0, spellings())]
pub struct NotAJuliaOption(String);

/// Tells whether a generation of Julia has an option.
type Available = fn(&Generation) -> bool;

/// The options, their values and their availability. Levels of `-O` and `-g` follow without a
/// space, as Julia requires.
const OPTIONS: &[(&str, &[&str], Available)] = &[
    ("-O", &["0", "1", "2", "3"], |_| true),
    ("-g", &["0", "1", "2"], |_| true),
    ("--min-optlevel=", &["0", "1", "2", "3"], |_| true),
    ("--check-bounds=", &["yes", "no"], |_| true),
    ("--inline=", &["yes", "no"], |_| true),
    ("--math-mode=", &["ieee", "fast"], |_| true),
    ("--strip-metadata", &[], |generation| {
        generation.strips_images
    }),
    ("--strip-ir", &[], |generation| generation.strips_images),
    ("--compress-sysimage=", &["yes", "no"], |generation| {
        generation.compresses_images
    }),
];

fn spellings() -> String {
    let spelling = |(name, values, _): &(&str, &[&str], Available)| match values {
        [] => format!("`{name}`"),
        [first, .., last] if name.len() == 2 => format!("`{name}{first}` to `{name}{last}`"),
        values => format!("`{name}{}`", values.join("|")),
    };
    let all: Vec<_> = OPTIONS.iter().map(spelling).collect();
    all.join(", ")
}

impl JuliaOption {
    /// Parses an option.
    ///
    /// # Errors
    ///
    /// If Julia does not have this option or value, or if it does not change the code.
    pub fn new(text: &str) -> Result<Self, NotAJuliaOption> {
        match row(text) {
            Some(_) => Ok(Self(text.to_owned())),
            None => Err(NotAJuliaOption(crate::text::shortened(text, 60))),
        }
    }

    /// Returns the option as passed to Julia.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the option without its value.
    pub(crate) fn name(&self) -> &str {
        row(&self.0).map_or(&self.0, |(name, ..)| name)
    }

    /// Returns the first Julia that has the option, if `julia` does not have it.
    pub(crate) fn missing_from(&self, julia: &JuliaVersion) -> Option<(u64, u64)> {
        let (_, _, available) = row(&self.0)?;
        let generation = Generation::of(julia)?;
        let first = || Generation::all().iter().find(|row| available(row));
        (!available(generation)).then(|| first().map(|row| row.since))?
    }
}

fn row(text: &str) -> Option<&'static (&'static str, &'static [&'static str], Available)> {
    OPTIONS.iter().find(|(name, values, _)| {
        let value = text.strip_prefix(name);
        value.is_some_and(|value| match values {
            [] => value.is_empty(),
            values => values.contains(&value),
        })
    })
}

impl TryFrom<String> for JuliaOption {
    type Error = NotAJuliaOption;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(&text)
    }
}

impl From<JuliaOption> for String {
    fn from(option: JuliaOption) -> Self {
        option.0
    }
}

impl fmt::Display for JuliaOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_options_that_change_the_code_are_accepted() {
        for text in ["-O3", "-g0", "--check-bounds=no", "--strip-ir"] {
            assert_eq!(JuliaOption::new(text).unwrap().as_str(), text);
        }
        let bad = [
            "-O4",
            "-O",
            "-J x",
            "--sysimage=x",
            "--strip-ir=yes",
            "--check-bounds",
            "-e",
            "",
            "--check-bounds=no\n-e",
            "--inline=maybe",
            "-O3 ",
        ];
        for text in bad {
            assert!(JuliaOption::new(text).is_err(), "{text}");
        }
        insta::assert_snapshot!(JuliaOption::new("--threads=4").unwrap_err(), @"`--threads=4` is not an option that changes the code in an image; these are: `-O0` to `-O3`, `-g0` to `-g2`, `--min-optlevel=0|1|2|3`, `--check-bounds=yes|no`, `--inline=yes|no`, `--math-mode=ieee|fast`, `--strip-metadata`, `--strip-ir`, `--compress-sysimage=yes|no`");
    }

    #[test]
    fn newer_options_name_the_first_julia_that_has_them() {
        let missing = |text: &str, minor| {
            let option = JuliaOption::new(text).unwrap();
            option.missing_from(&JuliaVersion::new(1, minor, 0))
        };
        assert_eq!(missing("-O3", 5), None);
        assert_eq!(missing("--strip-ir", 7), Some((1, 8)));
        assert_eq!(missing("--strip-ir", 8), None);
        assert_eq!(missing("--compress-sysimage=yes", 12), Some((1, 13)));
        assert_eq!(missing("--compress-sysimage=yes", 14), None);
    }
}
