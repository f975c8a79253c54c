//! What people add to a generated file, between marks, survives its regeneration:
//!
//! ```yaml
//!       # sysforge:keep build-before
//!       - run: sudo apt-get install -y libfoo-dev
//!       # sysforge:end build-before
//! ```

use std::collections::BTreeMap;

use sysforge_plan::{Class, Explain};

use crate::workflow::PATH;

const KEEP: &str = "# sysforge:keep ";
const END: &str = "# sysforge:end ";

/// The hand-made lines of a file cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of {PATH}: {what}")]
pub struct HandmadeError {
    /// The line of the mark, from 1.
    pub line: usize,
    /// What is wrong about it.
    pub what: Wrong,
}

/// What is wrong about a mark.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// A mark has no counterpart.
    #[error("the mark `sysforge:keep {0}` has no `sysforge:end {0}` after it")]
    Open(String),
    /// A part occurs twice.
    #[error("the mark `sysforge:keep {0}` occurs twice")]
    Twice(String),
    /// The new file has no place for a part.
    #[error("what was added at `sysforge:keep {0}` has no place in the new file")]
    NoPlace(String),
}

impl Explain for HandmadeError {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn hints(&self) -> Vec<String> {
        vec![match &self.what {
            Wrong::Open(_) | Wrong::Twice(_) => {
                "restore the marks as `sysforge workflow` wrote them".to_owned()
            }
            Wrong::NoPlace(_) => "move it to a mark that the new file has, or remove it".to_owned(),
        }]
    }

    fn location(&self) -> Option<(String, usize, usize)> {
        Some((PATH.to_owned(), self.line, 1))
    }
}

/// What stands between two marks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The line of the first mark, from 1.
    pub line: usize,
    /// The lines between them.
    pub lines: Vec<String>,
}

/// Reads the parts between marks, by name.
///
/// # Errors
///
/// If the marks do not come in pairs.
pub fn read(text: &str) -> Result<BTreeMap<String, Part>, HandmadeError> {
    let mut parts = BTreeMap::new();
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let Some(name) = line.trim().strip_prefix(KEEP).map(str::trim) else {
            continue;
        };
        let wrong = |what: fn(String) -> Wrong| HandmadeError {
            line: index + 1,
            what: what(name.to_owned()),
        };
        let end = format!("{END}{name}");
        let mut between = Vec::new();
        loop {
            match lines.next() {
                Some((_, line)) if line.trim() == end => break,
                Some((_, line)) if !line.trim().starts_with(KEEP) => between.push(line.to_owned()),
                _ => return Err(wrong(Wrong::Open)),
            }
        }
        let part = Part {
            line: index + 1,
            lines: between,
        };
        if parts.insert(name.to_owned(), part).is_some() {
            return Err(wrong(Wrong::Twice));
        }
    }
    Ok(parts)
}

/// Puts the parts of the old file into the new one.
///
/// # Errors
///
/// If a part that holds something has no place.
pub fn carry(old: &str, new: &str) -> Result<String, HandmadeError> {
    let mut parts = read(old)?;
    parts.retain(|_, part| part.lines.iter().any(|line| !line.trim().is_empty()));
    let mut text = String::new();
    for line in new.lines() {
        text.push_str(line);
        text.push('\n');
        if let Some(name) = line.trim().strip_prefix(KEEP)
            && let Some(part) = parts.remove(name)
        {
            for line in part.lines {
                text.push_str(&line);
                text.push('\n');
            }
        }
    }
    match parts.into_iter().next() {
        Some((name, part)) => Err(HandmadeError {
            line: part.line,
            what: Wrong::NoPlace(name),
        }),
        None => Ok(text),
    }
}

/// The two marks of an empty part.
#[must_use]
pub fn place(indent: usize, name: &str) -> String {
    let space = " ".repeat(indent);
    format!("{space}{KEEP}{name}\n{space}{END}{name}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_between_marks_is_carried_over() {
        let fresh = format!("a: 2\n{}b: 2\n", place(2, "x"));
        let old = "a: 1\n  # sysforge:keep x\n  mine: 1\n\n  # sysforge:end x\n";
        let carried = carry(old, &fresh).unwrap();
        assert_eq!(
            carried,
            "a: 2\n  # sysforge:keep x\n  mine: 1\n\n  # sysforge:end x\nb: 2\n"
        );
        assert_eq!(carry(&carried, &fresh).unwrap(), carried);
        assert_eq!(carry(&fresh, &fresh).unwrap(), fresh);
    }

    #[test]
    fn nothing_is_lost_silently() {
        let said = |error: HandmadeError| error.to_string();
        let old = "a\n# sysforge:keep gone\nmine\n# sysforge:end gone\n";
        assert_eq!(
            said(carry(old, "a\n").unwrap_err()),
            "line 2 of .github/workflows/sysimage.yml: what was added at `sysforge:keep gone` has \
             no place in the new file"
        );
        assert_eq!(
            said(read("a\n\n# sysforge:keep a\n").unwrap_err()),
            "line 3 of .github/workflows/sysimage.yml: the mark `sysforge:keep a` has no \
             `sysforge:end a` after it"
        );
        let twice = read(&format!("{0}{0}", place(0, "a"))).unwrap_err();
        assert_eq!((twice.line, twice.what), (3, Wrong::Twice("a".to_owned())));
    }
}
