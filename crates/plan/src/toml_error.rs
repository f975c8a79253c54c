//! Errors in TOML files written by users, with the position and, for a mistyped key, the nearest
//! known key.

use std::fmt;

use crate::explain::{Class, Explain, nearest};
use crate::secret;
use crate::serde_message::plain;
use crate::text::escaped;

/// A TOML file is invalid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TomlError {
    /// The file name, as shown to the user.
    pub file: String,
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    /// The text of the line, or the part of a long line that is around the column, without
    /// deceptive characters.
    pub excerpt: String,
    /// The position of the column in the excerpt, in characters, counted from 0.
    caret: usize,
    /// What is wrong.
    pub message: String,
    /// What to do about it, if the message does not say so.
    pub hints: Vec<String>,
}

impl TomlError {
    /// Creates an error with the position of `error` in `text`.
    pub fn new(file: &str, text: &str, error: &toml::de::Error) -> Self {
        let at = error.span().map_or(0, |span| span.start);
        let date = error.span().and_then(|span| text.get(span));
        let date = date.filter(|value| value.parse::<toml::value::Datetime>().is_ok());
        let message = match date {
            Some(_) => of_date(error.message()),
            None => error.message().to_owned(),
        };
        let located = Self::at(file, text, at, &message);
        let line = text.lines().nth(located.line - 1).unwrap_or_default();
        match syntax(line, error.message()) {
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
        let (words, hint) = unknown_word(message).unwrap_or_else(|| in_words(message));
        let hint = hint.or_else(|| hint_for_kind(message, &words));
        let line = text[line_start..].lines().next().unwrap_or_default();
        let (excerpt, caret) = excerpt(line, before[line_start..].chars().count());
        Self {
            file: file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            excerpt,
            caret,
            message: words.replace('\n', " "),
            hints: hint.into_iter().collect(),
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

/// Maximum number of characters of a line that an error shows.
const WIDTH: usize = 160;

/// Hints for values of a wrong type, by what must be there.
const KIND_HINTS: [(&str, &str); 6] = [
    (
        "a sequence",
        "it is a list: put it in brackets, and a table of which there may be several in two, as in \
         `[[app]]`",
    ),
    ("a list", "put it in brackets: `[\"one\", \"two\"]`"),
    ("a boolean", "write `true` or `false`, without quotes"),
    ("true or false", "write `true` or `false`, without quotes"),
    (
        "a map",
        "give it a section of its own, `[NAME]`, with one `key = value` per line",
    ),
    (
        "a table",
        "give it a section of its own, `[NAME]`, with one `key = value` per line",
    ),
];

/// Returns the hint for a value of a wrong type. `words` is the message in plain words.
fn hint_for_kind(message: &str, words: &str) -> Option<String> {
    let bare = message.contains("expected a string") && !message.contains("string \"")
        || message.contains("must be a string");
    if bare {
        return Some("write it in quotes".to_owned());
    }
    let expected = message.rsplit_once("expected ").map(|(_, kind)| kind);
    let is_number = expected.is_some_and(|kind| {
        ["u8", "u16", "u32", "u64", "usize", "i32", "i64", "f64"].contains(&kind)
    });
    if is_number {
        return Some("write a number, without quotes".to_owned());
    }
    let mut kinds = KIND_HINTS.iter();
    let found = kinds.find(|(kind, _)| {
        message.contains(&format!("expected {kind}")) || words.contains(&format!("must be {kind}"))
    });
    found.map(|(_, hint)| (*hint).to_owned())
}

/// Returns what is shown of a line, and the position of `column` in it, both in characters from 0.
fn excerpt(line: &str, column: usize) -> (String, usize) {
    let mut column = column;
    let shown = secret::shown(line);
    if shown != line {
        let before: String = line.chars().take(column).collect();
        column = secret::shown(&before).chars().count();
        column = column.min(shown.chars().count());
    }
    let line = &*shown;
    let length = line.chars().count();
    let start = match length > WIDTH {
        true => column.saturating_sub(WIDTH / 2).min(length - WIDTH),
        false => 0,
    };
    let part = |from: usize, count: usize| -> String {
        let part: String = line.chars().skip(from).take(count).collect();
        // Tabs are shown as they are: a caret under them is off, but the text is the user's.
        part.split('\t').map(escaped).collect::<Vec<_>>().join("\t")
    };
    let before = if start > 0 { "…" } else { "" };
    let after = if start + WIDTH < length { "…" } else { "" };
    let caret = format!("{before}{}", part(start, column - start))
        .chars()
        .count();
    (format!("{before}{}{after}", part(start, WIDTH)), caret)
}

/// Returns a message about a date, which serde takes for a table with a key that no user wrote.
fn of_date(message: &str) -> String {
    match message.strip_prefix("invalid type: map, ") {
        Some(expected) => format!("invalid type: date, {expected}"),
        None if message.contains("$__toml_private") => {
            "invalid type: date, expected a string".to_owned()
        }
        None => message.to_owned(),
    }
}

/// Returns a message of serde or of the parser in plain words, and a remedy.
fn in_words(message: &str) -> (String, Option<String>) {
    if let Some(rest) = message.strip_prefix("missing field ") {
        let hint = Some(format!("add it here: {rest} has no default"));
        return (format!("the key {rest} is missing"), hint);
    }
    if is_about_depth(message) {
        let hint = "is this the right file? No file of this kind has so many levels";
        return (
            "this is nested too deeply".to_owned(),
            Some(hint.to_owned()),
        );
    }
    // What is expected is a word of a list.
    if message == "wanted string or table" || message.starts_with("wanted exactly 1 element") {
        return (
            "this must be a string".to_owned(),
            Some("write it in quotes".to_owned()),
        );
    }
    (plain(message, "this", "a table"), None)
}

fn is_about_depth(message: &str) -> bool {
    message.contains("max recursion depth") || message == "recursion limit"
}

/// Returns message and remedy for the most common syntax errors of TOML, worded for users who do
/// not know the grammar.
fn syntax(line: &str, message: &str) -> Option<(String, String)> {
    if is_about_depth(message) {
        return None;
    }
    let is_marker = |marker: &&str| line.starts_with(*marker);
    if ["<<<<<<<", "=======", ">>>>>>>"].iter().any(is_marker) {
        let hint = "resolve the merge: keep what is right, and delete the lines that begin with \
                    `<<<<<<<`, `=======` and `>>>>>>>`";
        return Some((
            "the file has conflict markers of git".to_owned(),
            hint.to_owned(),
        ));
    }
    if line.trim_start().starts_with('<') {
        let hint = "is this the right file? It may be the page of an error";
        return Some((
            "this is HTML or XML, and not TOML".to_owned(),
            hint.to_owned(),
        ));
    }
    if line.contains('\0') {
        let hint = "is this the right file? If it was damaged, restore it";
        return Some((
            "this is a binary file, and not TOML".to_owned(),
            hint.to_owned(),
        ));
    }
    if message.starts_with("key with no value") {
        let hint = "write `key = value`, or a section such as `[deps]`";
        return Some(("this key has no value".to_owned(), hint.to_owned()));
    }
    if line.trim_end().ends_with('=') {
        let hint = "write it behind the `=`, or remove the line";
        return Some(("a value is missing here".to_owned(), hint.to_owned()));
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
            caret,
            message,
            ..
        } = self;
        let bar = " ".repeat(line.to_string().len());
        let caret = " ".repeat(*caret);
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
    fn no_message_of_the_parser_is_left_without_a_hint() {
        #[derive(Debug, serde::Deserialize)]
        #[expect(dead_code, reason = "only its errors are read")]
        struct Document {
            count: u64,
            table: Option<std::collections::BTreeMap<String, bool>>,
            section: Option<Section>,
        }
        #[derive(Debug, serde::Deserialize)]
        struct Section {}
        for (text, message) in [
            ("count = 1\ntable", "this key has no value"),
            ("count =", "a value is missing here"),
            (
                "<html><body>404</body></html>",
                "this is HTML or XML, and not TOML",
            ),
            ("\0\0\0\0", "this is a binary file, and not TOML"),
            (
                "count = \"x\"",
                "this is the string `x`, and must be a whole number that is not negative",
            ),
            ("other = 1", "the key `count` is missing"),
            (
                "count = 1\ntable = 1",
                "this is the number 1, and must be a table",
            ),
            (
                "count = 1\nsection = 1",
                "this is the number 1, and must be a table",
            ),
            (
                "count = 1\ntable.a = 1",
                "this is the number 1, and must be true or false",
            ),
        ] {
            let error = toml::from_str::<Document>(text).unwrap_err();
            let error = TomlError::new("x.toml", text, &error);
            assert_eq!(error.message, message);
            assert!(!error.hints.is_empty(), "{error}");
        }
        for text in [
            format!("count = {}", "[".repeat(10_000)),
            format!("count = {}", "{a=".repeat(10_000)),
            format!("[{}]", vec!["a"; 10_000].join(".")),
        ] {
            let error = toml::from_str::<toml::Table>(&text).unwrap_err();
            let error = TomlError::new("x.toml", &text, &error);
            assert_eq!(error.message, "this is nested too deeply");
            assert!(!error.hints.is_empty(), "{error}");
            let lines = error.to_string();
            assert!(
                lines.lines().all(|line| line.chars().count() < 200),
                "{lines}"
            );
        }
    }

    #[test]
    fn of_a_long_line_only_the_place_is_shown() {
        let line = format!("a = \"{}\", oops, \"{}\"", "x".repeat(300), "y".repeat(300));
        let error = TomlError::at("x.toml", &line, line.find("oops").unwrap(), "bad");
        let text = error.to_string();
        let lines: Vec<_> = text.lines().collect();
        assert!(
            lines[3].starts_with("1 | …xxx") && lines[3].ends_with("yyy…"),
            "{text}"
        );
        assert_eq!(
            lines[3].chars().position(|c| c == 'o'),
            lines[4].find('^'),
            "{text}"
        );
        // Escapes are wider than the characters that they stand for.
        let error = TomlError::at("x.toml", "\u{1b}\u{1b}oops", 2, "bad");
        let text = error.to_string();
        assert!(
            text.ends_with("1 | \\u{1b}\\u{1b}oops\n  |             ^"),
            "{text}"
        );
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
