//! Errors in TOML files written by users, with the position and, for a mistyped key, the nearest
//! known key.

use std::fmt;

use crate::explain::{Class, Explain, nearest};

/// A TOML file is invalid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TomlError {
    /// The file name, as shown to the user.
    pub file: String,
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    /// The text of the line.
    pub excerpt: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it, if the message does not say so.
    pub hints: Vec<String>,
}

impl TomlError {
    /// Creates an error with the position of `error` in `text`.
    pub fn new(file: &str, text: &str, error: &toml::de::Error) -> Self {
        let at = error.span().map_or(0, |span| span.start);
        let located = Self::at(file, text, at, error.message());
        match syntax(&located.excerpt, error.message()) {
            Some((message, hint)) => Self {
                message,
                hints: vec![hint],
                ..located
            },
            None => located,
        }
    }

    /// Creates an error of our own at byte `offset`.
    pub fn at(file: &str, text: &str, offset: usize, message: &str) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let (message, hint) = unknown_word(message).unwrap_or((message.to_owned(), None));
        let bare = message.contains("expected a string") && !message.contains("string \"");
        let hint = hint.or_else(|| bare.then(|| "write it in quotes".to_owned()));
        let list = message.contains("expected a sequence");
        let list = list.then(|| {
            "it is a list: put it in brackets, and a table of which there may be several in two, as in \
             `[[app]]`"
                .to_owned()
        });
        let hints = hint.or(list).into_iter().collect();
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

    /// Adds a hint.
    #[must_use]
    pub fn hint(mut self, hint: &str) -> Self {
        self.hints.push(hint.to_owned());
        self
    }

    /// Converts `error` to an error at byte `offset` of the file that caused it.
    pub fn locating(error: &impl Explain, file: &str, text: &str, offset: usize) -> Self {
        Self {
            hints: error.hints(),
            ..Self::at(file, text, offset, &error.to_string())
        }
    }
}

/// Returns message and remedy for the most common syntax errors of TOML, worded for users who do
/// not know the grammar.
fn syntax(line: &str, message: &str) -> Option<(String, String)> {
    let is_marker = |marker: &&str| line.starts_with(*marker);
    if ["<<<<<<<", "=======", ">>>>>>>"].iter().any(is_marker) {
        let hint = "resolve the merge: keep what is right, and delete the lines that begin with \
                    `<<<<<<<`, `=======` and `>>>>>>>`";
        return Some((
            "the file has conflict markers of git".to_owned(),
            hint.to_owned(),
        ));
    }
    if message.starts_with("duplicate key") {
        let hint = "keep one of the two lines: a key has one value";
        return Some(("this key is there twice".to_owned(), hint.to_owned()));
    }
    let (key, value) = line.split_once('=')?;
    let (key, value) = (key.trim(), value.trim());
    let quote = value.chars().next()?;
    if message.contains("basic string") && quote == '"' && value.matches('"').count() == 1 {
        let hint = format!("close it: `{key} = {value}\"`");
        return Some(("this string has no closing quote".to_owned(), hint));
    }
    let word = value
        .split(|c: char| c.is_whitespace() || c == '#')
        .next()?;
    let is_bare = quote.is_ascii_alphabetic() && !["true", "false", "inf", "nan"].contains(&word);
    is_bare.then(|| {
        let hint = format!("a string is written in quotes: `{key} = \"{word}\"`");
        (format!("`{word}` is not a value"), hint)
    })
}

/// Extracts what was typed and the known words from a message of serde, "unknown field `workload`,
/// expected one of `name`, `packages`" or the same with "variant": the first quoted word is what
/// was typed, the others are known.
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
    fn common_mistakes_of_syntax_are_named_with_their_correction() {
        let said = |text: &str| {
            let error = toml::from_str::<toml::Table>(text).unwrap_err();
            let error = TomlError::new("Project.toml", text, &error);
            (error.message, error.line, error.hints.concat())
        };
        let (message, line, hint) = said("a = 1\n<<<<<<< HEAD\nb = 1\n=======\n>>>>>>> x\n");
        assert_eq!(
            (&*message, line),
            ("the file has conflict markers of git", 2)
        );
        assert!(hint.contains("`>>>>>>>`"), "{hint}");
        let (message, line, hint) = said("a = 1\na = 2\n");
        assert_eq!((&*message, line), ("this key is there twice", 2));
        assert!(hint.contains("keep one"), "{hint}");
        let (message, _, hint) = said("name = \"x\njulia = \"1.5\"\n");
        assert_eq!(message, "this string has no closing quote");
        assert_eq!(hint, "close it: `name = \"x\"`");
        for word in ["Tiny", "tiny", "full", "yes", "insurance"] {
            let (message, _, hint) = said(&format!("name = {word} # me\n"));
            assert_eq!(message, format!("`{word}` is not a value"));
            assert!(hint.ends_with(&format!("`name = \"{word}\"`")), "{hint}");
        }
        // All other errors keep the parser's message.
        let (message, ..) = said("name = [1, 2\n");
        assert!(message.contains("array"), "{message}");
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
