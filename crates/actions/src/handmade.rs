//! Custom parts of a generated file, between markers, which are kept when the file is generated
//! again:
//!
//! ```yaml
//!       # sysforge:keep build-before
//!       - run: sudo apt-get install -y libfoo-dev
//!       # sysforge:end build-before
//! ```

use std::collections::BTreeMap;

use sysforge_plan::{Class, Explain};

use crate::WORKFLOW_PATH as PATH;

const KEEP: &str = "# sysforge:keep ";
const END: &str = "# sysforge:end ";

/// The markers of custom parts in a file are invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of {PATH}: {what}")]
pub struct HandmadeError {
    /// The line of the marker, from 1.
    pub line: usize,
    /// The problem.
    pub what: Wrong,
}

/// The problem of a marker.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages describe the variants")]
pub enum Wrong {
    #[error("the marker `sysforge:keep {0}` has no `sysforge:end {0}` after it")]
    Unclosed(String),
    #[error("the marker `sysforge:keep {0}` occurs twice")]
    Twice(String),
    #[error("the new file has no marker `sysforge:keep {0}` for the lines added there")]
    NoMarker(String),
}

impl Explain for HandmadeError {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn hints(&self) -> Vec<String> {
        vec![match &self.what {
            Wrong::Unclosed(_) | Wrong::Twice(_) => {
                "restore the markers as `sysforge workflow` wrote them".to_owned()
            }
            Wrong::NoMarker(_) => {
                "move them between markers that the new file has, or remove them".to_owned()
            }
        }]
    }

    fn location(&self) -> Option<(String, usize, usize)> {
        Some((PATH.to_owned(), self.line, 1))
    }
}

/// The lines between two markers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The line of the first marker, from 1.
    pub line: usize,
    /// The lines between them.
    pub lines: Vec<String>,
}

/// Reads the parts between markers, by name.
///
/// # Errors
///
/// If the markers do not come in pairs.
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
                _ => return Err(wrong(Wrong::Unclosed)),
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

/// Copies the custom parts of the old file into the new one.
///
/// # Errors
///
/// If the new file has no markers for a part that is not empty.
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
            what: Wrong::NoMarker(name),
        }),
        None => Ok(text),
    }
}

/// Returns the two markers of an empty part.
pub fn markers(indent: usize, name: &str) -> String {
    let space = " ".repeat(indent);
    format!("{space}{KEEP}{name}\n{space}{END}{name}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_between_markers_are_kept() {
        let fresh = format!("a: 2\n{}b: 2\n", markers(2, "x"));
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
    fn a_part_without_markers_in_the_new_file_is_an_error() {
        let said = |error: HandmadeError| error.to_string();
        let old = "a\n# sysforge:keep gone\nmine\n# sysforge:end gone\n";
        assert_eq!(
            said(carry(old, "a\n").unwrap_err()),
            "line 2 of .github/workflows/sysimage.yml: the new file has no marker `sysforge:keep \
             gone` for the lines added there"
        );
        assert_eq!(
            said(read("a\n\n# sysforge:keep a\n").unwrap_err()),
            "line 3 of .github/workflows/sysimage.yml: the marker `sysforge:keep a` has no \
             `sysforge:end a` after it"
        );
        let twice = read(&format!("{0}{0}", markers(0, "a"))).unwrap_err();
        assert_eq!((twice.line, twice.what), (3, Wrong::Twice("a".to_owned())));
    }
}
