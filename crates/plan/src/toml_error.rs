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
    /// The known key that is nearest to an unknown one.
    pub suggestion: Option<String>,
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
        let (message, suggestion) = unknown_key(message).unwrap_or((message.to_owned(), None));
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
            suggestion,
        }
    }
}

/// serde says "unknown field `workload`, expected one of `name`, `packages`": the first quoted
/// word is what was typed, the others are what is known.
fn unknown_key(message: &str) -> Option<(String, Option<String>)> {
    let rest = message.strip_prefix("unknown field ")?;
    let mut quoted = rest.split('`').skip(1).step_by(2);
    let typed = quoted.next()?;
    let known: Vec<_> = quoted.collect();
    let suggestion = nearest(typed, known.iter().copied()).map(str::to_owned);
    let message = match &suggestion {
        Some(key) => format!("unknown key `{typed}`; did you mean `{key}`?"),
        None => format!("unknown key `{typed}`"),
    };
    let hint = suggestion.or_else(|| Some(known.join("`, `")).filter(|list| !list.is_empty()));
    Some((message, hint))
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
        match &self.suggestion {
            Some(keys) if keys.contains('`') => vec![format!("known keys here are `{keys}`")],
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_the_line_and_marks_the_column() {
        let error = TomlError::at("Sysimage.toml", "a = 1\nä = oops\n", 11, "bad value");
        assert_eq!(
            error.to_string(),
            "bad value\n  --> Sysimage.toml:2:5\n  |\n2 | ä = oops\n  |     ^"
        );
    }
}
