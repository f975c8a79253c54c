//! Errors in TOML files that a user wrote, with the place and, for a mistyped key, the nearest
//! known one.

use std::fmt;

use crate::explain::{Class, Explain, nearest};

/// A TOML file cannot be read as what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TomlError {
    /// The file, as the user knows it.
    pub file: String,
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    /// The line itself.
    pub excerpt: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it, where the message does not say so.
    pub hints: Vec<String>,
}

impl TomlError {
    /// Locates `error` in `text`.
    #[must_use]
    pub fn new(file: &str, text: &str, error: &toml::de::Error) -> Self {
        let at = error.span().map_or(0, |span| span.start);
        Self::at(file, text, at, error.message())
    }

    /// An error of the reader's own at byte `offset`.
    #[must_use]
    pub fn at(file: &str, text: &str, offset: usize, message: &str) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let (message, hint) = unknown_word(message).unwrap_or((message.to_owned(), None));
        let bare = message.contains("expected a string") && !message.contains("string \"");
        let hint = hint.or_else(|| bare.then(|| "write it in quotes".to_owned()));
        let hints = hint.into_iter().collect();
        Self {
            file: file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            excerpt: text[line_start..]
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned(),
            message: message.replace('\n', " "),
            hints,
        }
    }

    /// With a further hint.
    #[must_use]
    pub fn hint(mut self, hint: &str) -> Self {
        self.hints.push(hint.to_owned());
        self
    }

    /// The same error, at byte `offset` of the file that is to blame for it.
    #[must_use]
    pub fn locating(error: &impl Explain, file: &str, text: &str, offset: usize) -> Self {
        Self {
            hints: error.hints(),
            ..Self::at(file, text, offset, &error.to_string())
        }
    }
}

/// serde says "unknown field `workload`, expected one of `name`, `packages`", and likewise of a
/// "variant": the first quoted word is what was typed, the others are what is known.
fn unknown_word(message: &str) -> Option<(String, Option<String>)> {
    let (kind, rest) = [("field", "key"), ("variant", "value")]
        .into_iter()
        .find_map(|(theirs, ours)| {
            let rest = message.strip_prefix("unknown ")?.strip_prefix(theirs)?;
            Some((ours, rest))
        })?;
    let mut quoted = rest.split('`').skip(1).step_by(2);
    let typed = quoted.next()?;
    let known: Vec<_> = quoted.collect();
    if let Some(word) = nearest(typed, known.iter().copied()) {
        return Some((
            format!("unknown {kind} `{typed}`; did you mean `{word}`?"),
            None,
        ));
    }
    let list = format!("known {kind}s here are `{}`", known.join("`, `"));
    let hint = Some(list).filter(|_| !known.is_empty());
    Some((format!("unknown {kind} `{typed}`"), hint))
}

impl fmt::Display for TomlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            line,
            column,
            excerpt,
            message,
            ..
        } = self;
        let bar = " ".repeat(line.to_string().len());
        let caret = " ".repeat(column - 1);
        write!(
            f,
            "{message}\n{bar} --> {file}:{line}:{column}\n{bar} |\n{line} | {excerpt}\n{bar} | \
             {caret}^"
        )
    }
}

impl std::error::Error for TomlError {}

impl Explain for TomlError {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn location(&self) -> Option<(String, usize, usize)> {
        Some((self.file.clone(), self.line, self.column))
    }

    fn hints(&self) -> Vec<String> {
        self.hints.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_word_is_answered_with_the_nearest_or_with_all() {
        let said = |message| {
            let error = TomlError::at("Sysimage.toml", "a = 1\n", 0, message);
            (error.message, error.hints)
        };
        let (message, hints) = said("unknown variant `frech`, expected `shipped` or `fresh`");
        assert_eq!(message, "unknown value `frech`; did you mean `fresh`?");
        assert!(hints.is_empty());
        let (message, hints) = said("unknown field `zz`, expected one of `name`, `cpu`");
        assert_eq!(message, "unknown key `zz`");
        assert_eq!(hints, ["known keys here are `name`, `cpu`"]);
    }

    #[test]
    fn shows_the_line_and_marks_the_column() {
        let error = TomlError::at("Sysimage.toml", "a = 1\nä = oops\n", 11, "bad value");
        assert_eq!(
            error.to_string(),
            "bad value\n  --> Sysimage.toml:2:5\n  |\n2 | ä = oops\n  |     ^"
        );
    }
}
