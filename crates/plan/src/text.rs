//! Rules for text from untrusted sources: the characters and lengths allowed in each kind of name,
//! and how to display such text safely.
//!
//! A [`Rule`] defines what is allowed in one kind of text. Types whose values become paths, scripts
//! or identifiers ([`FileName`], [`ImageName`], [`Tag`], [`TreeHash`], [`Repository`],
//! [`crate::BuildId`]) cannot be created without checking their rule, and are checked again when
//! they are deserialised. Fields that are only compared or shown are plain strings, and are
//! deserialised with [`string`], [`optional`] or [`list`].

mod rules;

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize};

pub use rules::{
    ChannelName, Commit, CpuTargets, CpuTier, FileName, ImageName, Line, PackageName, PlainName,
    PlainVersion, ProgramName, RelativePath, Repository, Tag, TreeHash, Uuid, WebAddress,
};

/// The maximum number of characters of a refused text in its error.
const SHOWN: usize = 60;

/// A text violates the rule of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {what}: {why}")]
pub struct InvalidText {
    what: &'static str,
    text: String,
    why: &'static str,
}

impl InvalidText {
    /// Returns only the reason.
    pub const fn why(&self) -> &'static str {
        self.why
    }
}

/// The rule for one kind of text.
pub trait Rule {
    /// The kind with its article, for messages.
    const WHAT: &'static str;

    /// Checks a text.
    ///
    /// # Errors
    ///
    /// The reason, if the text violates the rule.
    fn check(text: &str) -> Result<(), &'static str>;

    /// Checks a text and returns a complete error.
    ///
    /// # Errors
    ///
    /// [`InvalidText`] if [`Self::check`] refuses the text.
    fn validate(text: &str) -> Result<(), InvalidText> {
        Self::check(text).map_err(|why| InvalidText {
            what: Self::WHAT,
            text: shortened(text, SHOWN),
            why,
        })
    }
}

/// Lets serde read and write a type as its text: `#[serde(try_from = "String", into = "String")]`.
macro_rules! as_string {
    ($name:ident) => {
        impl TryFrom<String> for $name {
            type Error = <Self as std::str::FromStr>::Err;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
    };
}
pub(crate) use as_string;

/// Returns a value as indented JSON with a final newline. A value that JSON cannot express, such as a path
/// that is not Unicode, is empty: such paths are refused before.
pub fn json(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}

/// Returns whether a character is invisible, changes the direction of text, or controls a terminal.
/// Such characters can disguise a text.
pub fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// Replaces every deceptive character, including line ends, by its escape (`\u{1b}`).
pub fn escaped(text: &str) -> Cow<'_, str> {
    escaped_but(text, |_| false)
}

/// Does the same as [`escaped`], but keeps line ends.
pub fn escaped_lines(text: &str) -> Cow<'_, str> {
    escaped_but(text, |c| c == '\n')
}

fn escaped_but(text: &str, keep: impl Fn(char) -> bool) -> Cow<'_, str> {
    let hidden = |c: char| is_deceptive(c) && !keep(c);
    if !text.contains(hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match hidden(c) {
            true => out.extend(c.escape_default()),
            false => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Quotes a word for a POSIX shell.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@%=:,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Escapes a text for one line of Markdown or a table cell, so that it is shown literally: no
/// markup, HTML, formula or mention of a user, and no start of a list, quotation or heading.
pub fn markdown(text: &str) -> String {
    let text = text.replace(['\n', '\r', '\t'], " ");
    let text = escaped(text.trim());
    let mut out = String::with_capacity(text.len() + 16);
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    // `1. ` begins a list, but `1.2` does not.
    let is_item = text
        .get(digits + 1..)
        .is_some_and(|rest| digits > 0 && (rest.is_empty() || rest.starts_with(' ')));
    for (at, c) in text.char_indices() {
        match c {
            '<' => out.push_str("&lt;"),
            '&' => out.push_str("&amp;"),
            '@' => out.push_str("&#64;"),
            '$' => out.push_str("&#36;"),
            '|' | '*' | '[' | ']' | '\\' | '#' | '`' | '~' => out.extend(['\\', c]),
            '-' | '+' | '=' | '>' | '_' if at == 0 => out.extend(['\\', c]),
            '.' | ')' if is_item && at == digits => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}

/// Returns at most `width` characters of a text, escaped and on one line.
pub fn shortened(text: &str, width: usize) -> String {
    let mut kept: String = text.chars().take(width + 1).collect();
    let cut = kept.chars().count() > width;
    if cut {
        kept.pop();
    }
    let mut kept = escaped(&kept).into_owned();
    if cut {
        kept.push('…');
    }
    kept
}

/// Returns whether a file of this name, whatever its case and extension, is a device on Windows.
pub fn is_windows_device(name: &str) -> bool {
    const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "conin$", "conout$"];
    let stem = name.split('.').next().unwrap_or(name).trim_end();
    let stem = stem.to_lowercase();
    let mut chars = stem.chars();
    let prefix: String = chars.by_ref().take(3).collect();
    let numbered = matches!(&*prefix, "com" | "lpt")
        && matches!(
            (chars.next(), chars.next()),
            (Some('0'..='9' | '¹' | '²' | '³'), None)
        );
    numbered || DEVICES.contains(&&*stem)
}

/// Defines a type of text that cannot be created without checking its rule.
macro_rules! validated {
    ($(#[$doc:meta])* $name:ident, $what:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl Rule for $name {
            const WHAT: &'static str = $what;

            fn check(text: &str) -> Result<(), &'static str> {
                let check: fn(&str) -> Result<(), &'static str> = $check;
                check(text)
            }
        }

        impl $name {
            /// Checks and wraps a text.
            ///
            /// # Errors
            ///
            /// If the text violates the rule.
            pub fn new(text: impl Into<String>) -> Result<Self, InvalidText> {
                let text = text.into();
                <Self as Rule>::validate(&text)?;
                Ok(Self(text))
            }

            /// Returns the text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<Path> for $name {
            fn as_ref(&self) -> &Path {
                Path::new(&self.0)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.0 == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.0 == *other
            }
        }

        impl PartialEq<String> for $name {
            fn eq(&self, other: &String) -> bool {
                self.0 == *other
            }
        }

        impl PartialEq<$name> for String {
            fn eq(&self, other: &$name) -> bool {
                *self == other.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidText;

            fn from_str(text: &str) -> Result<Self, InvalidText> {
                Self::new(text)
            }
        }

        $crate::text::as_string!($name);

        impl From<&$name> for String {
            fn from(text: &$name) -> Self {
                text.0.clone()
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string",
                    "description": concat!("The text is ", $what),
                })
            }
        }
    };
}
pub(crate) use validated;

/// Deserialises a string and checks its rule.
///
/// # Errors
///
/// If the value is not a string, or the string violates the rule.
pub fn string<'de, R: Rule, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    R::validate(&text).map_err(serde::de::Error::custom)?;
    Ok(text)
}

/// Deserialises an optional string and checks its rule.
///
/// # Errors
///
/// If the value is present and not a string, or the string violates the rule.
pub fn optional<'de, R: Rule, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    if let Some(text) = &text {
        R::validate(text).map_err(serde::de::Error::custom)?;
    }
    Ok(text)
}

/// Deserialises a list of strings and checks the rule for each.
///
/// # Errors
///
/// If the value is not a list of strings, or one of them violates the rule.
pub fn list<'de, R: Rule, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let texts = Vec::<String>::deserialize(from)?;
    for text in &texts {
        R::validate(text).map_err(serde::de::Error::custom)?;
    }
    Ok(texts)
}

/// Deserialises an optional list of strings and checks the rule for each.
///
/// # Errors
///
/// If the value is present and not a list of strings, or one of them violates the rule.
pub fn optional_list<'de, R: Rule, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Vec<String>>, D::Error> {
    let texts = Option::<Vec<String>>::deserialize(from)?;
    for text in texts.iter().flatten() {
        R::validate(text).map_err(serde::de::Error::custom)?;
    }
    Ok(texts)
}

/// Formats a count with a noun: `1 statement`, `2 statements`.
pub fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}

#[cfg(test)]
#[path = "text/tests.rs"]
mod tests;
