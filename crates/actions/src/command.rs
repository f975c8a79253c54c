//! Workflow commands: lines of output that the runner interprets.

use std::borrow::Cow;
use std::fmt::Write as _;

use sysforge_plan::text::is_deceptive;

/// The severity of an annotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Something failed.
    Error,
    /// Something may be wrong.
    Warning,
    /// Something worth knowing.
    Notice,
}

impl Level {
    const fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Notice => "notice",
        }
    }
}

/// A position in a file of the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The file, relative to the repository's root, with `/`.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, if known.
    pub column: Option<usize>,
}

/// An annotation: a message on the run's page, and in the diff if it has a position.
pub fn annotation(level: Level, title: &str, place: Option<&Location>, message: &str) -> String {
    let mut properties = Vec::new();
    if let Some(Location { file, line, column }) = place {
        properties.push(format!("file={}", property(file)));
        properties.push(format!("line={line}"));
        properties.extend(column.map(|column| format!("col={column}")));
    }
    if !title.is_empty() {
        properties.push(format!("title={}", property(title)));
    }
    let space = if properties.is_empty() { "" } else { " " };
    format!(
        "::{}{space}{}::{}",
        level.word(),
        properties.join(","),
        data(message)
    )
}

/// Starts a group of lines that can be collapsed.
pub fn group(title: &str) -> String {
    format!("::group::{}", data(title))
}

/// Ends the group.
pub const END_GROUP: &str = "::endgroup::";

/// Makes the runner mask a text in all further output. Returns `None` if the text is too short to
/// be a secret: masking it would make the log unreadable. Secrets of several lines are masked line
/// by line, because the runner works on lines.
pub fn mask(secret: &str) -> Option<String> {
    let lines = secret.lines().map(str::trim).filter(|line| line.len() >= 6);
    let commands: Vec<_> = lines
        .map(|line| format!("::add-mask::{}", percent_encoded(line, false)))
        .collect();
    (!commands.is_empty()).then(|| commands.join("\n"))
}

/// Wraps untrusted text so that the runner does not interpret commands in it. The text must not be
/// able to guess `token`.
pub fn untrusted(text: &str, token: &str) -> String {
    format!(
        "::stop-commands::{token}\n{}\n::{token}::",
        text.trim_end_matches('\n')
    )
}

/// Removes workflow commands from a text: no line begins with `::`, and `##[` does not occur.
pub fn without_commands(text: &str) -> Cow<'_, str> {
    let is_command = |line: &str| line.trim_start().starts_with("::");
    if !text.contains("##[") && !text.split('\n').any(is_command) {
        return Cow::Borrowed(text);
    }
    let lines = text.split('\n').map(|line| match is_command(line) {
        true => line.replacen("::", "\\::", 1),
        false => line.to_owned(),
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    Cow::Owned(text.replace("##[", "#\\#["))
}

/// Returns an output of a step, as lines for the file named by `GITHUB_OUTPUT`. `delimiter` must
/// not occur in the value.
pub fn output(name: &str, value: &str, delimiter: &str) -> String {
    if value.contains(['\n', '\r']) {
        format!("{name}<<{delimiter}\n{value}\n{delimiter}\n")
    } else {
        format!("{name}={value}\n")
    }
}

/// Escapes the message of a command.
fn data(text: &str) -> String {
    escaped(text, false)
}

/// Escapes untrusted text: terminals and browsers show the log.
fn escaped(text: &str, property: bool) -> String {
    let hidden = |c: char| is_deceptive(c) && !matches!(c, '\n' | '\r');
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match hidden(c) {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
    }
    percent_encoded(&shown.replace("##[", "#\\#["), property)
}

/// Escapes the value of a command's property.
fn property(text: &str) -> String {
    escaped(text, true)
}

fn percent_encoded(text: &str, property: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '%' | '\r' | '\n' => {
                let _ = write!(out, "%{:02X}", u32::from(c));
            }
            ':' | ',' if property => {
                let _ = write!(out, "%{:02X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_have_a_place_and_are_escaped() {
        let place = Location {
            file: "a,b:c.jl".to_owned(),
            line: 3,
            column: Some(7),
        };
        assert_eq!(
            annotation(
                Level::Error,
                "exit code 5",
                Some(&place),
                "100%\nsecond, line: it"
            ),
            "::error file=a%2Cb%3Ac.jl,line=3,col=7,title=exit code 5::100%25%0Asecond, line: it"
        );
        assert_eq!(annotation(Level::Notice, "", None, "x\r"), "::notice::x%0D");
        assert_eq!(
            annotation(Level::Warning, "t", None, "x"),
            "::warning title=t::x"
        );
    }

    #[test]
    fn secrets_are_masked_line_by_line_unless_they_are_too_short() {
        assert_eq!(
            mask("hunter2hunter2").unwrap(),
            "::add-mask::hunter2hunter2"
        );
        assert_eq!(
            mask("first-line\n\nsecond-line\n").unwrap(),
            "::add-mask::first-line\n::add-mask::second-line"
        );
        assert_eq!(mask("abc"), None);
    }

    #[test]
    fn untrusted_text_is_enclosed_in_two_tokens() {
        assert_eq!(
            untrusted("::error::fake\n", "t0ken"),
            "::stop-commands::t0ken\n::error::fake\n::t0ken::"
        );
    }

    #[test]
    fn commands_in_plain_text_are_disabled() {
        for (text, plain) in [
            ("a::b", "a::b"),
            ("::add-mask::x", "\\::add-mask::x"),
            ("a\n \t::stop-commands::x", "a\n \t\\::stop-commands::x"),
            ("a ##[add-mask]x", "a #\\#[add-mask]x"),
            ("\u{a0}::error::x", "\u{a0}\\::error::x"),
        ] {
            assert_eq!(without_commands(text), plain);
        }
    }

    #[test]
    fn control_characters_in_messages_are_escaped() {
        let line = annotation(Level::Error, "a\u{1b}", None, "b\u{1b}[2J\u{202e}\n##[c]");
        assert_eq!(
            line,
            "::error title=a\\u{1b}::b\\u{1b}[2J\\u{202e}%0A#\\#[c]"
        );
    }

    #[test]
    fn outputs_of_several_lines_use_a_delimiter() {
        assert_eq!(output("a", "b", "EOF"), "a=b\n");
        assert_eq!(output("a", "b\nc", "EOF1"), "a<<EOF1\nb\nc\nEOF1\n");
    }
}
