//! Reads JSON documents from outside. An error says in plain words which field is wrong, and where.

use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::error::Category;
use serde_path_to_error::Segment;

use crate::serde_message::plain;
use crate::text::shortened;

/// Maximum number of characters of a field's path that a message contains.
const LONGEST_PATH: usize = 100;

/// A document cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonError {
    /// What is wrong.
    message: String,
    /// Line and column, counted from 1, if the position helps.
    position: Option<(usize, usize)>,
    lasting: bool,
}

impl JsonError {
    /// Whether the sender made a mistake: the document is neither cut short nor replaced by a page or
    /// something else.
    pub const fn is_lasting(&self) -> bool {
        self.lasting
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match self.position {
            Some((line, column)) => write!(f, " (line {line}, column {column})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for JsonError {}

/// Reads a document.
///
/// # Errors
///
/// If it is not JSON, or does not have the form of `T`.
pub fn parse<T: DeserializeOwned>(text: impl AsRef<[u8]>) -> Result<T, JsonError> {
    let text = text.as_ref();
    if let Some(message) = not_json(text) {
        return Err(JsonError {
            message: message.to_owned(),
            position: None,
            lasting: false,
        });
    }
    let error = match serde_json::from_slice(text) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    // Once more, to find the field: keeping track of it costs time.
    let mut reader = serde_json::Deserializer::from_slice(text);
    match serde_path_to_error::deserialize::<_, T>(&mut reader) {
        Ok(_) => Err(JsonError::new(None, &error)),
        Err(located) => {
            let path = path(located.path());
            Err(JsonError::new(path.as_deref(), located.inner()))
        }
    }
}

/// Reads the `schema` of a document.
///
/// # Errors
///
/// If it is not a JSON object with a `schema`.
pub(crate) fn schema(text: &[u8]) -> Result<String, JsonError> {
    #[derive(serde::Deserialize)]
    #[serde(expecting = "an object with a `schema`")]
    struct Head {
        schema: String,
    }
    parse(text).map(|head: Head| head.schema)
}

/// Returns the path of a field, as in `images[0].archive.size`; `None` for the whole document.
fn path(path: &serde_path_to_error::Path) -> Option<String> {
    let mut text = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => text.push_str(&format!("[{index}]")),
            Segment::Map { key } | Segment::Enum { variant: key } => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(key);
            }
            Segment::Unknown => {}
        }
    }
    Some(text).filter(|text| !text.is_empty())
}

/// Names what the bytes are instead of JSON, if they are something that is often found in its place.
fn not_json(text: &[u8]) -> Option<&'static str> {
    let first = text.iter().position(|byte| !byte.is_ascii_whitespace());
    let Some(first) = first else {
        return Some("it is empty");
    };
    Some(match &text[first..] {
        [0xef, 0xbb, 0xbf, ..] => "it begins with a byte order mark, which JSON must not have",
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "it is UTF-16 text, and must be UTF-8",
        [b'<', ..] => "it is a page of HTML or XML, and not JSON",
        [0, ..] => "it is a binary file, and not JSON",
        _ => return None,
    })
}

impl JsonError {
    fn new(path: Option<&str>, error: &serde_json::Error) -> Self {
        let position = (error.line(), error.column());
        let text = error.to_string();
        let suffix = format!(" at line {} column {}", position.0, position.1);
        let text = text.strip_suffix(&suffix).unwrap_or(&text);
        let path = path.map(|path| shortened(path, LONGEST_PATH));
        let message = match error.classify() {
            Category::Data => of_data(text, path.as_deref()),
            _ => of_syntax(text, path.as_deref()),
        };
        Self {
            message,
            position: Some(position).filter(|(line, _)| *line > 0),
            lasting: !error.is_eof(),
        }
    }
}

/// The message about a value that is JSON, but not what must be there.
fn of_data(text: &str, path: Option<&str>) -> String {
    let Some(path) = path else {
        return plain(text, "it", "an object");
    };
    // For a field that is there twice, the path names the field.
    let field = text.strip_prefix("duplicate field `");
    let field = field.and_then(|rest| rest.split('`').next());
    let parent = field.and_then(|field| path.strip_suffix(field));
    let subject = match parent {
        Some("") => "it".to_owned(),
        Some(parent) => format!("`{}`", parent.trim_end_matches('.')),
        None => format!("`{path}`"),
    };
    match plain(text, &subject, "an object") {
        // A message of our own about the value.
        message if message == text => format!("{subject}: {message}"),
        message => message,
    }
}

/// The message about text that is not JSON.
fn of_syntax(text: &str, path: Option<&str>) -> String {
    let within = path.map_or_else(String::new, |path| format!(", in `{path}`"));
    let what = match text {
        "EOF while parsing a string" => "it ends in the middle of a string: it is cut short",
        "EOF while parsing a list" => "it ends in the middle of a list: it is cut short",
        "EOF while parsing an object" => "it ends in the middle of an object: it is cut short",
        "EOF while parsing a value" => "it ends where a value is missing: it is cut short",
        "recursion limit exceeded" => "it is nested too deeply",
        "trailing characters" => "something follows the end of the document",
        "trailing comma" => "there is a comma with nothing after it",
        "key must be a string" => "the name of a field is not in double quotes",
        "expected value" => "a value of the right kind is missing here",
        "expected ident" => "a word here is not a value",
        "expected `:`" => "there is no `:` after the name of a field",
        "expected `,` or `]`" => "there is neither a `,` nor the end of the list",
        "expected `,` or `}`" => "there is neither a `,` nor the end of the object",
        "number out of range" => "a number is too large",
        other if other.starts_with("control character") => {
            "a string has a line end or a control character in it"
        }
        other => other,
    };
    format!("{what}{within}")
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::digest::Sha256;

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only its errors are read")]
    struct Document {
        name: String,
        files: Vec<File>,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only its errors are read")]
    struct File {
        size: u64,
        sha256: Option<Sha256>,
        kind: Option<Kind>,
    }

    #[derive(Debug, Deserialize)]
    enum Kind {
        Plain,
    }

    fn said(text: impl AsRef<[u8]>) -> String {
        parse::<Document>(text).unwrap_err().to_string()
    }

    #[test]
    fn an_error_names_the_field_and_the_position() {
        for (text, expected) in [
            ("{}", "it has no `name` (line 1, column 2)"),
            (
                "[5]",
                "`[0]` is the number 5, and must be a string (line 1, column 2)",
            ),
            (
                "5",
                "it is the number 5, and must be an object (line 1, column 1)",
            ),
            (
                "{\"name\": \"\",\n\"files\": [{\"size\": \"x\"}]}",
                "`files[0].size` is the string `x`, and must be a whole number that is not negative (line 2, column 22)",
            ),
            (
                "{\"name\": \"\", \"files\": [{}]}",
                "`files[0]` has no `size` (line 1, column 25)",
            ),
            (
                "{\"name\": \"\", \"name\": \"\"}",
                "it has `name` twice (line 1, column 19)",
            ),
            (
                "{\"files\": [{\"size\": 1, \"size\": 1}]}",
                "`files[0]` has `size` twice (line 1, column 29)",
            ),
            (
                "{\"files\": [{\"sha256\": \"x\"}]}",
                "`files[0].sha256`: `x` is not a SHA-256 digest (64 hexadecimal digits) (line 1, column 26)",
            ),
            (
                "{\"files\": [{\"kind\": \"Odd\"}]}",
                "`files[0].kind` is `Odd`, which this version of Sysforge does not know (line 1, column 25)",
            ),
            (
                "{\"files\": [{\"kind\": 5}]}",
                "a value of the right kind is missing here, in `files[0].kind` (line 1, column 21)",
            ),
        ] {
            assert_eq!(said(text), expected);
        }
    }

    #[test]
    fn what_is_not_json_is_named() {
        for (text, expected) in [
            (&b""[..], "it is empty"),
            (b" \n", "it is empty"),
            (b"\xef\xbb\xbf{}", "it begins with a byte order mark"),
            (b"\xff\xfe{\0}\0", "it is UTF-16 text"),
            (b"<!DOCTYPE html>", "it is a page of HTML"),
            (b"\0\0\0", "it is a binary file"),
            (
                b"{\"name\": \"ab",
                "it ends in the middle of a string: it is cut short",
            ),
            (
                b"{\"files\": [",
                "it ends in the middle of a list: it is cut short, in `files",
            ),
            (
                b"{\"name\": \"\"",
                "it ends in the middle of an object: it is cut short",
            ),
            (
                b"{'name'",
                "the name of a field is not in double quotes (line 1, column 2)",
            ),
            (b"{\"other\": nul}", "a word here is not a value"),
            (
                b"{\"name\": \"\", \"files\": []} x",
                "something follows the end of the document",
            ),
            (
                b"{\"name\": \"\", \"files\": [],}",
                "there is a comma with nothing after it",
            ),
        ] {
            let said = said(text);
            assert!(said.starts_with(expected), "{said}");
        }
        let deep = "[".repeat(10_000);
        let error = parse::<serde_json::Value>(deep).unwrap_err().to_string();
        assert!(error.starts_with("it is nested too deeply"), "{error}");
    }
}
