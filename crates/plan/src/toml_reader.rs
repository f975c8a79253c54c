//! Reads a TOML document value by value: each error contains the position of the value that caused
//! it. Used for files whose rules go beyond types: Julia's projects and manifests.

use std::borrow::Cow;
use std::fmt::Display;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::toml_error::TomlError;
use crate::version::JuliaVersion;

/// A value with its position.
pub(crate) type Value<'t> = Spanned<DeValue<'t>>;

/// A document that is being read.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'t> {
    file: &'t str,
    text: &'t str,
}

impl<'t> Reader<'t> {
    /// Parses the document.
    pub(crate) fn parse(
        file: &'t str,
        text: &'t str,
    ) -> Result<(Self, Spanned<DeTable<'t>>), TomlError> {
        let table = DeTable::parse(text).map_err(|error| TomlError::new(file, text, &error))?;
        let reader = Self { file, text };
        match unreadable(text) {
            Some((at, what, hint)) => {
                let message = format!("Julia cannot read {what}");
                Err(reader.error(at..at, message).hint(hint))
            }
            None => Ok((reader, table)),
        }
    }

    /// Creates an error at `span`.
    pub(crate) fn error(&self, span: Range<usize>, message: impl Display) -> TomlError {
        TomlError::at(self.file, self.text, span.start, &message.to_string())
    }

    /// `what` is how the message names the value.
    fn expected(&self, what: &str, kind: &str, value: &Value<'_>) -> TomlError {
        let found = value.get_ref().type_str();
        let message = format!("{what} is a TOML {found}, and must be {kind}");
        self.error(value.span(), message)
    }

    pub(crate) fn table<'v>(
        &self,
        what: &str,
        value: &'v Value<'t>,
    ) -> Result<&'v DeTable<'t>, TomlError> {
        let table = value.get_ref().as_table();
        table.ok_or_else(|| self.expected(&format!("`{what}`"), "a table", value))
    }

    /// Returns the table at `key`, if there is one.
    pub(crate) fn table_at<'v>(
        &self,
        table: &'v DeTable<'t>,
        key: &str,
    ) -> Result<Option<&'v DeTable<'t>>, TomlError> {
        table
            .get(key)
            .map(|value| self.table(key, value))
            .transpose()
    }

    /// Returns the entries of the table at `key`, of which there are none if there is no table.
    pub(crate) fn entries<'v>(
        &self,
        table: &'v DeTable<'t>,
        key: &str,
    ) -> Result<impl Iterator<Item = (&'v Spanned<Cow<'t, str>>, &'v Value<'t>)>, TomlError> {
        Ok(self.table_at(table, key)?.into_iter().flatten())
    }

    pub(crate) fn array<'v>(
        &self,
        what: &str,
        value: &'v Value<'t>,
    ) -> Result<&'v [Value<'t>], TomlError> {
        let array = value.get_ref().as_array();
        array
            .map(|array| &array[..])
            .ok_or_else(|| self.expected(&format!("`{what}`"), "a list", value))
    }

    pub(crate) fn string(&self, what: &str, value: &Value<'_>) -> Result<String, TomlError> {
        self.text(&format!("`{what}`"), value)
    }

    /// Returns a string in the list `list`.
    pub(crate) fn entry(&self, list: &str, value: &Value<'_>) -> Result<String, TomlError> {
        self.text(&format!("an entry of `{list}`"), value)
    }

    fn text(&self, what: &str, value: &Value<'_>) -> Result<String, TomlError> {
        let text = value.get_ref().as_str();
        text.map(str::to_owned)
            .ok_or_else(|| self.expected(what, "a string", value))
    }

    pub(crate) fn string_at(
        &self,
        table: &DeTable<'_>,
        key: &str,
    ) -> Result<Option<String>, TomlError> {
        table
            .get(key)
            .map(|value| self.string(key, value))
            .transpose()
    }

    pub(crate) fn boolean_at(&self, table: &DeTable<'_>, key: &str) -> Result<bool, TomlError> {
        let Some(value) = table.get(key) else {
            return Ok(false);
        };
        let boolean = value.get_ref().as_bool();
        boolean.ok_or_else(|| self.expected(&format!("`{key}`"), "true or false", value))
    }

    /// Returns a list of strings, each with its position.
    pub(crate) fn strings(
        &self,
        what: &str,
        value: &Value<'t>,
    ) -> Result<Vec<Spanned<String>>, TomlError> {
        let items = self.array(what, value)?.iter();
        items
            .map(|item| {
                let text = self.entry(what, item)?;
                Ok(Spanned::new(item.span(), text))
            })
            .collect()
    }

    /// Returns a list of names, each with its position. Pkg refuses an empty one.
    pub(crate) fn names(
        &self,
        what: &str,
        value: &Value<'t>,
    ) -> Result<Vec<Spanned<String>>, TomlError> {
        let names = self.strings(what, value)?;
        match names.is_empty() {
            true => {
                let message = format!("`{what}` is an empty list, which Pkg refuses: leave it out");
                Err(self.error(value.span(), message))
            }
            false => Ok(names),
        }
    }

    /// Returns a UUID in lower case.
    pub(crate) fn uuid(&self, what: &str, value: &Value<'_>) -> Result<String, TomlError> {
        let text = self.string(what, value)?;
        match is_uuid(&text) {
            true => Ok(text.to_ascii_lowercase()),
            false => Err(self.error(
                value.span(),
                format!("`{text}`, the value of `{what}`, is not a UUID"),
            )
            .hint("a UUID has 32 hexadecimal digits, in groups of 8, 4, 4, 4 and 12; that of a package is in its own Project.toml")),
        }
    }

    /// Returns a version number as written.
    pub(crate) fn version(&self, what: &str, value: &Value<'_>) -> Result<String, TomlError> {
        let text = self.string(what, value)?;
        match JuliaVersion::from_number(&text) {
            Some(_) => Ok(text),
            None => Err(self
                .error(
                    value.span(),
                    format!("`{text}`, the value of `{what}`, is not a version number"),
                )
                .hint("write one such as `1.2.3`")),
        }
    }

    /// Returns the digest of a tree.
    pub(crate) fn sha1(&self, what: &str, value: &Value<'_>) -> Result<String, TomlError> {
        let text = self.string(what, value)?;
        match text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            true => Ok(text),
            false => Err(self
                .error(
                    value.span(),
                    format!("`{text}`, the value of `{what}`, is not a SHA-1 digest"),
                )
                .hint("it has 40 hexadecimal digits, and Pkg writes it")),
        }
    }

    /// Checks that `julia_version` in the table `syntax` is a version, if present.
    pub(crate) fn syntax(&self, table: &DeTable<'t>) -> Result<(), TomlError> {
        let syntax = self.table_at(table, "syntax")?;
        let version = syntax.and_then(|syntax| syntax.get("julia_version"));
        version
            .map(|value| self.version("julia_version", value).map(drop))
            .unwrap_or(Ok(()))
    }

    /// Checks the extensions: each must have the name of one weak dependency or a list of them.
    pub(crate) fn extensions(&self, table: &DeTable<'t>) -> Result<(), TomlError> {
        for (name, value) in self.entries(table, "extensions")? {
            if !value.get_ref().is_str() {
                self.names(name.get_ref(), value)?;
            }
        }
        Ok(())
    }
}

/// The position of what Julia cannot read, what it is, and a hint.
type Unreadable = (usize, &'static str, &'static str);

/// Returns the first use of syntax that Julia's parser refuses, in a document that has been parsed: what
/// TOML 1.1 added, and a few forms that TOML 1.0 allows.
fn unreadable(text: &str) -> Option<Unreadable> {
    let bytes = text.as_bytes();
    let mut open = Vec::new();
    let mut last = b' ';
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let in_table = open.last() == Some(&b'{');
        match byte {
            b'#' => {
                at += text[at..].find('\n').unwrap_or(text.len() - at);
                continue;
            }
            b'"' | b'\'' => {
                let end = string_end(bytes, at);
                if let Some(extra) = extra_quote(&bytes[at..end]) {
                    return Some((
                        at + extra,
                        "a quote right before the end of a long string",
                        NO_QUOTE,
                    ));
                }
                if let Some(escape) = newer_escape(&bytes[at..end]).filter(|_| byte == b'"') {
                    let what = "the escapes `\\e` and `\\x`, which came with TOML 1.1";
                    return Some((at + escape, what, "write `\\u` and four hexadecimal digits"));
                }
                at = end;
                last = byte;
                continue;
            }
            b'{' | b'[' => open.push(byte),
            b'}' if last == b',' => {
                let what = "a comma at the end of an inline table, which came with TOML 1.1";
                return Some((at, what, "remove the comma"));
            }
            b'}' | b']' => {
                open.pop();
            }
            b'\n' if in_table => {
                let what = "a line break in an inline table, which came with TOML 1.1";
                return Some((
                    at,
                    what,
                    "write the table on one line, or below a `[header]`",
                ));
            }
            b'0'..=b'9' if matches!(last, b'=' | b'[' | b',') => {
                let value = bare_value(&text[at..]);
                if let Some((what, hint)) = unreadable_time(value) {
                    return Some((at, what, hint));
                }
                at += value.len();
                last = b'0';
                continue;
            }
            _ => {}
        }
        if !byte.is_ascii_whitespace() {
            last = byte;
        }
        at += 1;
    }
    None
}

const NO_QUOTE: &str = "put another character before the closing quotes, or write the text as a string with \
                        escapes";

/// Returns the number, date or time at the beginning of the text.
fn bare_value(text: &str) -> &str {
    let of_value = |c: char| c.is_ascii_alphanumeric() || "+-:._".contains(c);
    let word = |text: &str| text.find(|c| !of_value(c)).unwrap_or(text.len());
    let end = word(text);
    // A date and a time may have a space between them.
    let time = text[end..].strip_prefix(' ').unwrap_or_default();
    let is_time = end == "1979-05-27".len() && time.as_bytes().get(2) == Some(&b':');
    match is_time {
        true => &text[..end + 1 + word(time)],
        false => &text[..end],
    }
}

/// Returns why Julia cannot read a value, if it has a time of a form that Julia refuses, with a hint.
fn unreadable_time(value: &str) -> Option<(&'static str, &'static str)> {
    // Only times contain colons.
    let (_, minutes) = value.split_once(':')?;
    let Some(seconds) = minutes.get(2..)?.strip_prefix(':') else {
        return Some((
            "a time without seconds, which came with TOML 1.1",
            "write the seconds, as in `07:32:00`",
        ));
    };
    let offset = seconds.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    match offset {
        "" | "Z" => None,
        "z" => Some(("a lower-case `z` in a time", "write `Z`")),
        _ => Some((
            "a time with an offset from UTC",
            "write the time in UTC, with `Z` behind it",
        )),
    }
}

/// Returns the offset of the first closing quote of a long string if more than three quotes end it. Julia
/// takes the first three as its end.
fn extra_quote(string: &[u8]) -> Option<usize> {
    let quote = string[0];
    let quotes = string.iter().rev().take_while(|byte| **byte == quote);
    let quotes = quotes.count();
    let long = string.len() >= 6 && string.starts_with(&[quote; 3]);
    let closing = quotes.min(string.len().saturating_sub(3));
    // The first one is escaped if an odd number of backslashes is before it.
    let before = string[..string.len() - closing].iter().rev();
    let backslashes = before.take_while(|byte| **byte == b'\\').count();
    let is_escaped = quote == b'"' && backslashes % 2 == 1;
    (long && closing > 3 + usize::from(is_escaped)).then(|| string.len() - closing)
}

/// Returns the offset after the string that begins at `start`.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let quote = bytes[start];
    let long = bytes[start..].starts_with(&[quote; 3]);
    let mut at = start + if long { 3 } else { 1 };
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if quote == b'"' => at += 2,
            byte if byte == quote && (!long || bytes[at..].starts_with(&[quote; 3])) => {
                // Up to two quotes may stand before the three that close a long string.
                let quotes = bytes[at..].iter().take_while(|byte| **byte == quote);
                return at + if long { quotes.count() } else { 1 };
            }
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Returns the offset of an escape that TOML 1.1 added.
fn newer_escape(string: &[u8]) -> Option<usize> {
    let mut at = 0;
    while at + 1 < string.len() {
        match (string[at], string[at + 1]) {
            (b'\\', b'e' | b'x') => return Some(at),
            (b'\\', _) => at += 2,
            _ => at += 1,
        }
    }
    None
}

/// Returns whether Julia's `UUID` accepts the text: 8-4-4-4-12 hexadecimal digits.
fn is_uuid(text: &str) -> bool {
    let lengths = text.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12]) && text.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_quotes_that_julia_refuses_are_refused() {
        for (value, what) in [
            ("07:32", "a time without seconds"),
            ("[1, 07:32]", "a time without seconds"),
            ("1979-05-27T07:32Z", "a time without seconds"),
            ("1979-05-27 07:32", "a time without seconds"),
            ("1979-05-27T07:32+01:00", "a time without seconds"),
            ("1979-05-27t07:32:00z", "a lower-case `z`"),
            ("1979-05-27T07:32:00+01:00", "an offset from UTC"),
            ("'''a''''", "a quote right before the end"),
            ("'''a'''''", "a quote right before the end"),
            ("\"\"\"a\"\"\"\"", "a quote right before the end"),
            ("\"\"\"a\\\\\"\"\"\"", "a quote right before the end"),
            ("\"\"\"\"\"\"\"", "a quote right before the end"),
        ] {
            let text = format!("x = {value}\n");
            let error = Reader::parse("x.toml", &text)
                .err()
                .unwrap_or_else(|| panic!("{text}"));
            assert!(error.to_string().contains(what), "{text}: {error}");
            assert!(!crate::Explain::hints(&error).is_empty(), "{text}");
        }
        for value in [
            "07:32:00",
            "07:32:00.123",
            "1979-05-27",
            "1979-05-27t07:32:00",
            "1979-05-27 07:32:00Z",
            "1979-05-27T07:32:00.5Z",
            "[1979-05-27, 1, 2.5e-3, 0xdead_beef]",
            "\"07:32\"",
            "''''''",
            "\"\"\"a\\\"\"\"\"",
            "\"\"\"a\\\\\"\"\"",
            "'''a\\'''",
            "''",
        ] {
            let text = format!("x = {value} # 07:32\n");
            assert!(Reader::parse("x.toml", &text).is_ok(), "{text}");
        }
    }

    #[test]
    fn syntax_of_toml_1_1_is_refused_as_julia_does() {
        for (text, line, what) in [
            ("a = {\n  b = 1\n}\n", 1, "a line break in an inline table"),
            (
                "x = 1\na = { b = 1, }\n",
                2,
                "a comma at the end of an inline table",
            ),
            ("a = \"\\e[0m\"\n", 1, "the escapes"),
            ("a = \"\"\"\n\\x41\"\"\"\n", 2, "the escapes"),
        ] {
            let error = Reader::parse("x.toml", text).err().unwrap();
            assert!(error.to_string().contains(what), "{error}");
            let (_, found, _) = crate::Explain::location(&error).unwrap();
            assert_eq!(found, line, "{text}");
        }
        for text in [
            "a = { b = [\n1,\n2,\n] } # {\n",
            "a = \"{\"\nb = '\\e'\nc = \"\\\\e\"\n",
            "a = \"\"\"\n{\n\"\"\"\nb = '''{,}\n'''\n",
            "[[a]]\n[a.b]\nc = {}\nd = []\n",
        ] {
            assert!(Reader::parse("x.toml", text).is_ok(), "{text}");
        }
    }
}
