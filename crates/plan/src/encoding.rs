//! Decodes text files written by users: UTF-8, as Julia requires. Other encodings are detected so
//! that the error can name them.

use std::fmt;

use crate::explain::{Class, Explain};

/// The bytes of a file are not UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotUtf8 {
    /// The file name, as shown to the user.
    pub file: String,
    /// The encoding that the bytes look like.
    pub looks_like: Encoding,
}

/// A guess at the encoding of a file that is not UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-16, as Windows PowerShell 5 writes it with `>`.
    Utf16,
    /// UTF-32.
    Utf32,
    /// UTF-8 with a byte order mark, in a file that Julia reads as TOML.
    Marked,
    /// An 8-bit encoding.
    Other {
        /// The line of the first byte that is not UTF-8, from 1.
        line: usize,
    },
}

impl fmt::Display for NotUtf8 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = &self.file;
        match self.looks_like {
            Encoding::Utf16 => write!(f, "{file} is UTF-16 text, and must be UTF-8"),
            Encoding::Utf32 => write!(f, "{file} is UTF-32 text, and must be UTF-8"),
            Encoding::Marked => {
                write!(
                    f,
                    "{file} begins with a byte order mark, which Julia refuses"
                )
            }
            Encoding::Other { line } => write!(f, "{file} is not UTF-8 text: see line {line}"),
        }
    }
}

impl std::error::Error for NotUtf8 {}

impl Explain for NotUtf8 {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn location(&self) -> Option<(String, usize, usize)> {
        match self.looks_like {
            Encoding::Other { line } => Some((self.file.clone(), line, 1)),
            _ => None,
        }
    }

    fn hints(&self) -> Vec<String> {
        vec![match self.looks_like {
            Encoding::Utf16 => {
                "save it as UTF-8; Windows PowerShell 5 writes UTF-16 with `>`: use \
                                `Out-File -Encoding utf8` there"
                    .to_owned()
            }
            Encoding::Marked => {
                "save it as UTF-8 without a byte order mark: `UTF-8`, not `UTF-8 with BOM`"
                    .to_owned()
            }
            Encoding::Utf32 | Encoding::Other { .. } => "save it as UTF-8".to_owned(),
        }]
    }
}

/// Returns the text of a project file or a manifest, as Julia reads it.
///
/// # Errors
///
/// If the bytes are UTF-16 or UTF-32 text, or begin with a byte order mark: Julia's TOML parser
/// refuses it.
pub fn decode_toml(file: &str, bytes: &[u8]) -> Result<String, NotUtf8> {
    if bytes.starts_with(MARK) {
        return Err(NotUtf8 {
            file: file.to_owned(),
            looks_like: Encoding::Marked,
        });
    }
    match decode(file, bytes) {
        // Julia keeps such bytes, for example in the name of an author or in a comment.
        Err(NotUtf8 {
            looks_like: Encoding::Other { .. },
            ..
        }) => Ok(String::from_utf8_lossy(bytes).into_owned()),
        decoded => decoded,
    }
}

/// Checks that Julia can read a source. It keeps single bytes that are not UTF-8, for example in comments.
///
/// # Errors
///
/// If the bytes are UTF-16 or UTF-32 text.
pub fn require_source(file: &str, bytes: &[u8]) -> Result<(), NotUtf8> {
    match decode(file, bytes) {
        Err(error) if !matches!(error.looks_like, Encoding::Other { .. }) => Err(error),
        _ => Ok(()),
    }
}

/// The byte order mark of UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Returns the text of a file without a byte order mark, which some Windows programs write before
/// UTF-8 and Julia ignores in its sources.
///
/// # Errors
///
/// If the bytes are not UTF-8 text.
pub fn decode(file: &str, bytes: &[u8]) -> Result<String, NotUtf8> {
    let error = |looks_like| NotUtf8 {
        file: file.to_owned(),
        looks_like,
    };
    match bytes {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => return Err(error(Encoding::Utf32)),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => return Err(error(Encoding::Utf16)),
        // Without a byte order mark: every other byte of the first letters is zero.
        [0, a, 0, b, ..] | [a, 0, b, 0, ..] if *a != 0 && *b != 0 => {
            return Err(error(Encoding::Utf16));
        }
        _ => {}
    }
    let bytes = bytes.strip_prefix(MARK).unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(problem) => {
            let before = &bytes[..problem.valid_up_to()];
            let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
            Err(error(Encoding::Other { line }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(text: &str, to: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(to).collect()
    }

    #[test]
    fn a_source_in_utf_16_is_refused_and_one_with_single_bytes_is_not() {
        for to in [u16::to_le_bytes, u16::to_be_bytes] {
            let error = require_source("w.jl", &utf16("println(1)", to)).unwrap_err();
            assert_eq!(error.looks_like, Encoding::Utf16);
        }
        require_source("w.jl", b"# caf\xe9\nprintln(1)\n").unwrap();
        require_source("w.jl", b"\xef\xbb\xbfprintln(1)\n").unwrap();
    }

    #[test]
    fn a_byte_order_mark_before_toml_is_refused_as_julia_does() {
        let error = decode_toml("Project.toml", b"\xef\xbb\xbfname = 1").unwrap_err();
        let expected = "Project.toml begins with a byte order mark, which Julia refuses";
        assert_eq!(error.to_string(), expected);
        assert!(error.hints()[0].contains("without a byte order mark"));
        assert_eq!(
            decode_toml("Project.toml", b"name = 1").unwrap(),
            "name = 1"
        );
        // In an 8-bit encoding.
        let text = decode_toml("Project.toml", b"authors = [\"Jos\xe9\"]").unwrap();
        assert_eq!(text, "authors = [\"Jos\u{fffd}\"]");
        assert!(decode_toml("Project.toml", b"\xff\xfen\0").is_err());
    }

    #[test]
    fn a_byte_order_mark_of_utf8_is_ignored() {
        assert_eq!(decode("x", b"\xef\xbb\xbfname = 1").unwrap(), "name = 1");
        assert_eq!(decode("x", "é".as_bytes()).unwrap(), "é");
        assert_eq!(decode("x", b"").unwrap(), "");
    }

    #[test]
    fn other_encodings_are_named() {
        let looks = |bytes: &[u8]| decode("x", bytes).unwrap_err().looks_like;
        for text in ["\u{feff}name = 1", "name = 1"] {
            assert_eq!(looks(&utf16(text, u16::to_le_bytes)), Encoding::Utf16);
            assert_eq!(looks(&utf16(text, u16::to_be_bytes)), Encoding::Utf16);
        }
        assert_eq!(looks(b"\xff\xfe\0\0n\0\0\0"), Encoding::Utf32);
        assert_eq!(looks(b"a = 1\nb = \"\xe9\"\n"), Encoding::Other { line: 2 });
    }

    #[test]
    fn the_error_says_what_to_do() {
        let error = decode("Sysimage.toml", b"\xff\xfes\0").unwrap_err();
        assert_eq!(
            error.to_string(),
            "Sysimage.toml is UTF-16 text, and must be UTF-8"
        );
        assert!(error.hints()[0].contains("save it as UTF-8"));
        assert_eq!(error.class(), Class::Usage);
    }
}
