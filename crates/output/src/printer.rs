//! The printer: results go to standard output; messages, hints and errors go to standard error.
//! Colour is never the only carrier of meaning.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io::Write;
use std::sync::{Mutex, PoisonError};

use anstyle::{AnsiColor, Style};
use sysforge_actions::command::{self, Level};
use sysforge_plan::explain::causes;
use sysforge_plan::text::{escaped_lines, is_deceptive};
use sysforge_plan::{Class, Explain, secret};
use sysforge_report::table::fitted;

use crate::bug;

const BOLD: Style = Style::new().bold();
const RED: Style = AnsiColor::Red.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
const CYAN: Style = AnsiColor::Cyan.on_default().bold();
const DIM: Style = Style::new().dimmed();

/// The settings of what is printed.
#[derive(Debug, Clone, Copy)]
pub struct Terminal {
    /// Print only errors and data.
    pub quiet: bool,
    /// Whether a runner of GitHub Actions reads the messages.
    pub actions: bool,
}

/// The first failure to write to standard output. It is global like standard output; `main`
/// converts it to the exit code.
static WRITE_FAILURE: Mutex<Option<std::io::Error>> = Mutex::new(None);

/// Records that results could not be written. A closed pipe (`sysforge plan | head`) is not a failure.
pub(crate) fn note_write_failure(error: std::io::Error) {
    if error.kind() == std::io::ErrorKind::BrokenPipe {
        return;
    }
    let mut first = WRITE_FAILURE.lock().unwrap_or_else(PoisonError::into_inner);
    first.get_or_insert(error);
}

/// Returns and clears the failure to write results, if there was one.
pub fn take_write_failure() -> Option<std::io::Error> {
    let mut first = WRITE_FAILURE.lock().unwrap_or_else(PoisonError::into_inner);
    first.take()
}

/// Prints a message on standard error, before there is a [`Terminal`]. If that fails, there is nobody to
/// tell; the macro `eprint!` would panic.
pub fn print_error(text: &str) {
    let _ = write!(anstream::stderr(), "{text}");
}

// Invariant: text reaches the terminal only through `shown`, `child` or `document`. Styles are
// added after that, so the only control characters are those of Sysforge's own styles.
impl Terminal {
    /// Prints data on standard output.
    pub fn data(self, text: &str) {
        self.write(&self.shown(text));
    }

    /// Prints a table on standard output. If the terminal is too narrow for it, each row becomes a
    /// block with a line for each cell.
    pub fn table(self, rows: &[Vec<String>]) {
        let size = console::Term::stdout().size_checked();
        self.data(&fitted(rows, size.map(|(_, columns)| usize::from(columns))));
    }

    /// Prints a value as indented JSON on standard output.
    pub fn json(self, value: &impl serde::Serialize) {
        let json = serde_json::to_string_pretty(value).unwrap_or_default();
        self.write(&plain_json(&secret::shown(&json)));
    }

    /// Prints a document that Sysforge itself generates, such as a manual page, byte for byte.
    pub fn document(self, text: &str) {
        self.write(text);
    }

    fn write(self, text: &str) {
        let mut out = std::io::stdout().lock();
        let end: &[u8] = match text.ends_with('\n') {
            true => b"",
            false => b"\n",
        };
        let written = out
            .write_all(text.as_bytes())
            .and_then(|()| out.write_all(end))
            .and_then(|()| out.flush());
        if let Err(error) = written {
            note_write_failure(error);
        }
    }

    /// Makes untrusted text safe to print: escapes deceptive characters and the commands of a
    /// runner, and hides what is private in addresses.
    fn shown(self, text: &str) -> String {
        let text = secret::shown(text);
        let text = escaped_lines(&text);
        match self.actions {
            true => command::without_commands(&text).into_owned(),
            false => text.into_owned(),
        }
    }

    /// Makes a child's line of output safe to print, without the child's own styles.
    fn child(self, line: &str) -> String {
        self.shown(&unstyled(line))
    }

    /// Prints a line on standard error.
    fn error_output(self, line: &str) {
        let _ = writeln!(anstream::stderr(), "{line}");
    }

    /// Prints a message on standard error.
    pub fn say(self, text: &str) {
        if !self.quiet {
            self.error_output(&self.shown(text));
        }
    }

    /// Prints a heading on standard error.
    pub fn heading(self, text: &str) {
        if !self.quiet {
            self.error_output(&format!("{BOLD}{}{BOLD:#}", self.shown(text)));
        }
    }

    /// Starts a group of lines that can be folded, and prints its title.
    pub fn group(self, title: &str) {
        if self.actions && !self.quiet {
            self.error_output(&command::group(title));
        } else {
            self.heading(title);
        }
    }

    /// Ends the group, if there is one.
    pub fn end_group(self) {
        if self.actions && !self.quiet {
            self.error_output(command::END_GROUP);
        }
    }

    /// Prints a line that contains output of a child process: the runner ignores commands in it.
    pub fn untrusted(self, text: &str) {
        if self.quiet {
            return;
        }
        let text = self.child(text);
        self.error_output(&match self.actions {
            true => command::untrusted(&text, &unguessable()),
            false => text,
        });
    }

    /// Prints a warning.
    pub fn warning(self, text: &str, hint: Option<&str>) {
        if self.actions {
            let hint = hint
                .map(|hint| format!("\nhint: {hint}"))
                .unwrap_or_default();
            let message = format!("{text}{hint}");
            let line = command::annotation(Level::Warning, "sysforge", None, &message);
            self.error_output(&line);
            return;
        }
        if !self.quiet {
            let text = self.shown(text);
            self.error_output(&format!("{YELLOW}warning{YELLOW:#}: {text}"));
            if let Some(hint) = hint {
                let hint = self.shown(hint);
                self.error_output(&format!("{CYAN}hint{CYAN:#}: {hint}"));
            }
        }
    }

    /// Prints an annotation of a runner.
    pub fn annotation(self, annotation: &str) {
        self.error_output(annotation);
    }

    /// Prints a line that begins with `error:`.
    pub fn error_line(self, text: &str) {
        self.error_output(&format!("{RED}error{RED:#}: {}", self.shown(text)));
    }

    /// Asks a question on standard error; the answer is typed on the same line.
    pub fn ask(self, question: &str) {
        let mut err = anstream::stderr();
        let _ = write!(err, "{} [Y/n] ", self.shown(question));
        let _ = err.flush();
    }

    /// Prints an error: the error and its causes, the child's last output, the path of the log, and
    /// `hints`.
    pub fn failure(self, error: &dyn Explain, hints: &[String]) {
        let shown = |text: &str| self.shown(text);
        let mut all = vec![format!("{RED}error{RED:#}: {}", shown(&error.to_string()))];
        for cause in causes(error) {
            all.push(format!("  {BOLD}cause{BOLD:#}: {}", shown(&cause)));
        }
        if let Some(evidence) = error.evidence() {
            if !evidence.tail.is_empty() {
                all.push(format!("  {BOLD}its last lines{BOLD:#}:"));
            }
            for line in &evidence.tail {
                all.push(format!("  {DIM}|{DIM:#} {}", self.child(line)));
            }
            if let Some(log) = evidence.log {
                let log = log.display().to_string();
                all.push(format!("  {BOLD}full log{BOLD:#}: {}", shown(&log)));
            }
        }
        if error.class() == Class::Bug {
            let request = [bug::request_for_a_report()];
            all.extend(self.hint_lines(hints.iter().chain(&request)));
        } else {
            all.extend(self.hint_lines(hints));
        }
        // All of it may contain text from child processes and files.
        let mut text = all.join("\n");
        if self.actions {
            text = command::untrusted(&text, &unguessable());
        }
        self.error_output(&text);
    }

    /// Prints an empty line and `hints`.
    pub(crate) fn hints(self, hints: &[String]) {
        self.error_output(&self.hint_lines(hints).join("\n"));
    }

    /// Returns the lines of hints, the first of which is empty.
    fn hint_lines<'a>(self, hints: impl IntoIterator<Item = &'a String>) -> Vec<String> {
        let hints = hints.into_iter();
        let mut lines: Vec<_> = hints
            .map(|hint| format!("{CYAN}hint{CYAN:#}: {}", self.shown(hint)))
            .collect();
        if !lines.is_empty() {
            lines.insert(0, String::new());
        }
        lines
    }
}

/// Removes the escape sequences for styles, which children write.
pub(crate) fn unstyled(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

/// Escapes deceptive characters and the commands of a runner in JSON. Both occur only in strings.
fn plain_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c == '\n' || !is_deceptive(c) {
            out.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = std::fmt::Write::write_fmt(&mut out, format_args!("\\u{unit:04x}"));
        }
    }
    out.replace("##[", "#\\u0023[")
}

/// Returns a random word, which untrusted output cannot contain.
pub(crate) fn unguessable() -> String {
    // The standard library keys these hashers with the system's randomness.
    let number = || RandomState::new().build_hasher().finish();
    format!("sysforge-{:016x}{:016x}", number(), number())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "a\u{1b}]0;title\u{7}\u{1b}[2J\r\u{9b}1m\u{202e}b\u{200b}\tc\u{0}";

    fn is_plain(text: &str) -> bool {
        !text.contains(|c: char| is_deceptive(c) && c != '\n')
    }

    #[test]
    fn nothing_that_controls_a_terminal_is_shown() {
        for actions in [false, true] {
            let terminal = Terminal {
                quiet: false,
                actions,
            };
            assert!(is_plain(&terminal.shown(HOSTILE)));
            assert!(is_plain(&terminal.child(HOSTILE)));
        }
        assert_eq!(unstyled("\u{1b}[31mred\u{1b}[0m"), "red");
    }

    #[test]
    fn json_is_the_same_value_without_deceptive_characters() {
        let value =
            serde_json::json!({ HOSTILE: [HOSTILE, "##[add-mask]x", "👍 größe \u{e0041}"] });
        let json = plain_json(&serde_json::to_string_pretty(&value).unwrap());
        assert!(is_plain(&json), "{json}");
        assert!(!json.contains("##["), "{json}");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&json).unwrap(),
            value
        );
    }
}
