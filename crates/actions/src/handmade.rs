//! What people add to a generated file, between marks, survives its regeneration:
//!
//! ```yaml
//!       # sysforge:keep build-before
//!       - run: sudo apt-get install -y libfoo-dev
//!       # sysforge:end build-before
//! ```

use std::collections::BTreeMap;

use sysforge_plan::{Class, Explain};

const KEEP: &str = "# sysforge:keep ";
const END: &str = "# sysforge:end ";

/// The hand-made lines of a file cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandmadeError {
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
        vec![match self {
            Self::Open(_) | Self::Twice(_) => {
                "restore the marks as `sysforge workflow` wrote them".to_owned()
            }
            Self::NoPlace(_) => "move it to a mark that the new file has, or remove it".to_owned(),
        }]
    }
}

/// Reads the parts between marks, by name.
///
/// # Errors
///
/// If the marks do not come in pairs.
pub fn read(text: &str) -> Result<BTreeMap<String, Vec<String>>, HandmadeError> {
    let mut parts = BTreeMap::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(name) = line.trim().strip_prefix(KEEP).map(str::trim) else {
            continue;
        };
        let end = format!("{END}{name}");
        let mut part = Vec::new();
        loop {
            match lines.next() {
                Some(line) if line.trim() == end => break,
                Some(line) if line.trim().starts_with(KEEP) => {
                    return Err(HandmadeError::Open(name.to_owned()));
                }
                Some(line) => part.push(line.to_owned()),
                None => return Err(HandmadeError::Open(name.to_owned())),
            }
        }
        if parts.insert(name.to_owned(), part).is_some() {
            return Err(HandmadeError::Twice(name.to_owned()));
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
    parts.retain(|_, lines| lines.iter().any(|line| !line.trim().is_empty()));
    let mut text = String::new();
    for line in new.lines() {
        text.push_str(line);
        text.push('\n');
        if let Some(name) = line.trim().strip_prefix(KEEP)
            && let Some(part) = parts.remove(name)
        {
            for line in part {
                text.push_str(&line);
                text.push('\n');
            }
        }
    }
    match parts.into_keys().next() {
        Some(name) => Err(HandmadeError::NoPlace(name)),
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
        let old = "# sysforge:keep gone\nmine\n# sysforge:end gone\n";
        assert_eq!(
            carry(old, "a\n"),
            Err(HandmadeError::NoPlace("gone".to_owned()))
        );
        assert_eq!(
            read("# sysforge:keep a\n"),
            Err(HandmadeError::Open("a".to_owned()))
        );
        let twice = format!("{0}{0}", place(0, "a"));
        assert_eq!(read(&twice), Err(HandmadeError::Twice("a".to_owned())));
    }
}
