//! The linker requested by the user with `--cc` or `JULIA_CC`.

use crate::link::strategy::Strategy;
use crate::platform::Os;

/// The linker requested by the user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum LinkerChoice {
    /// None: try them in order.
    #[default]
    Auto,
    /// Only this program, with these leading arguments.
    Words(Vec<String>),
    /// Only these strategies, in the order of the table.
    Only(Vec<Strategy>),
}

/// A command that cannot be split into words.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a command: a quote is not closed")]
pub struct NotWords(String);

impl LinkerChoice {
    /// Parses `JULIA_CC` or `--cc` as Julia's tools do: it is split like a shell command, so it may
    /// contain arguments. On Windows a backslash separates folders and does not escape.
    ///
    /// # Errors
    ///
    /// [`NotWords`] if a quote is not closed.
    pub fn parse(text: &str, host: Os) -> Result<Self, NotWords> {
        let words = words(text, host)?;
        Ok(if words.is_empty() {
            Self::Auto
        } else {
            Self::Words(words)
        })
    }
}

/// Splits a command into words as a shell does. On Windows a backslash separates folders and does
/// not escape.
///
/// # Errors
///
/// [`NotWords`] if a quote is not closed.
pub fn words(text: &str, host: Os) -> Result<Vec<String>, NotWords> {
    split_words(text, host != Os::Windows).ok_or_else(|| NotWords(text.to_owned()))
}

fn split_words(text: &str, backslash_escapes: bool) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('\\', None | Some('"')) if backslash_escapes => {
                word.get_or_insert_default().push(letters.next()?);
            }
            ('\'' | '"', None) => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::{LinkerChoice, Os};

    fn words(text: &str, host: Os) -> Vec<String> {
        match LinkerChoice::parse(text, host).unwrap() {
            LinkerChoice::Words(words) => words,
            _ => Vec::new(),
        }
    }

    #[test]
    fn a_compiler_setting_is_split_like_a_shell_does() {
        assert_eq!(
            words("zig cc -target x", Os::Linux),
            ["zig", "cc", "-target", "x"]
        );
        assert_eq!(
            words(r#""/opt/my gcc/gcc" -m64"#, Os::Linux),
            ["/opt/my gcc/gcc", "-m64"]
        );
        assert_eq!(words(r"/opt/my\ gcc/gcc", Os::Linux), ["/opt/my gcc/gcc"]);
        assert_eq!(
            words(r#""C:\Program Files\mingw64\bin\gcc.exe" -v"#, Os::Windows),
            [r"C:\Program Files\mingw64\bin\gcc.exe", "-v"]
        );
        assert_eq!(
            LinkerChoice::parse("  ", Os::Linux).unwrap(),
            LinkerChoice::Auto
        );
        assert!(LinkerChoice::parse("gcc 'oops", Os::Linux).is_err());
    }
}
