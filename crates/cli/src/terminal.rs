//! The one printer. Data goes to standard output; talk, hints and errors to standard error.
//! Meaning never depends on colour.

use std::io::Write;

use anstyle::{AnsiColor, Style};
use sysforge_actions::command::{self, Level};
use sysforge_plan::Explain;

use crate::failure::{Failure, causes};
use crate::runner::unguessable;

const BOLD: Style = Style::new().bold();
const RED: Style = AnsiColor::Red.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
const CYAN: Style = AnsiColor::Cyan.on_default().bold();
const DIM: Style = Style::new().dimmed();

/// What is printed where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terminal {
    /// Only errors and data.
    pub(crate) quiet: bool,
    /// Whether a runner of GitHub Actions reads what is said.
    pub(crate) actions: bool,
}

impl Terminal {
    /// Prints data on standard output. A reader that has gone away (`sysforge plan | head`) is no
    /// error.
    pub(crate) fn data(self, text: &str) {
        let mut out = anstream::stdout().lock();
        let _ = out.write_all(text.as_bytes()).and_then(|()| {
            if text.ends_with('\n') {
                Ok(())
            } else {
                out.write_all(b"\n")
            }
        });
        let _ = out.flush();
    }

    /// Prints a value as indented JSON on standard output.
    pub(crate) fn json(self, value: &impl serde::Serialize) {
        self.data(&serde_json::to_string_pretty(value).unwrap_or_default());
    }

    /// Says something on standard error.
    pub(crate) fn say(self, text: &str) {
        if !self.quiet {
            let _ = writeln!(anstream::stderr(), "{text}");
        }
    }

    /// Says a heading on standard error.
    pub(crate) fn heading(self, text: &str) {
        self.say(&format!("{BOLD}{text}{BOLD:#}"));
    }

    /// Begins a group of lines that can be folded, and says its title.
    pub(crate) fn group(self, title: &str) {
        match self.actions {
            true => self.say(&command::group(title)),
            false => self.heading(title),
        }
    }

    /// Ends the group, if there is one.
    pub(crate) fn end_group(self) {
        if self.actions {
            self.say(command::END_GROUP);
        }
    }

    /// Says lines that hold what others wrote: the runner obeys nothing in them.
    pub(crate) fn untrusted(self, text: &str) {
        match self.actions {
            true => self.say(&command::untrusted(text, &unguessable())),
            false => self.say(text),
        }
    }

    /// Prints a warning.
    pub(crate) fn warning(self, text: &str, hint: Option<&str>) {
        if self.actions {
            let hint = hint
                .map(|hint| format!("\nhint: {hint}"))
                .unwrap_or_default();
            let message = format!("{text}{hint}");
            let line = command::annotation(Level::Warning, "sysforge", None, &message);
            let _ = writeln!(anstream::stderr(), "{line}");
            return;
        }
        if !self.quiet {
            let mut err = anstream::stderr().lock();
            let _ = writeln!(err, "{YELLOW}warning{YELLOW:#}: {text}");
            if let Some(hint) = hint {
                let _ = writeln!(err, "{CYAN}hint{CYAN:#}: {hint}");
            }
        }
    }

    /// Prints a line that begins with `error:`.
    pub(crate) fn error_line(self, text: &str) {
        let _ = writeln!(anstream::stderr(), "{RED}error{RED:#}: {text}");
    }

    /// Prints an error: what happened, why, what the child said, where the log is, what to do.
    pub(crate) fn failure(self, failure: &Failure) {
        let error: &dyn Explain = failure.0.as_ref();
        let mut all = Vec::new();
        let mut print = |text: String| all.push(text);
        print(format!("{RED}error{RED:#}: {error}"));
        for cause in causes(error) {
            print(format!("  {BOLD}cause{BOLD:#}: {cause}"));
        }
        if let Some(evidence) = error.evidence() {
            if !evidence.tail.is_empty() {
                print(format!("  {BOLD}its last lines{BOLD:#}:"));
                let lines = evidence.tail.iter();
                let lines: Vec<_> = lines
                    .map(|line| format!("  {DIM}|{DIM:#} {line}"))
                    .collect();
                print(lines.join("\n"));
            }
            if let Some(log) = evidence.log {
                print(format!("  {BOLD}full log{BOLD:#}: {}", log.display()));
            }
        }
        let hints = error.hints();
        if !hints.is_empty() {
            print(String::new());
        }
        for hint in hints {
            print(format!("{CYAN}hint{CYAN:#}: {hint}"));
        }
        // Children and files have a say in all of it.
        let mut text = all.join("\n");
        if self.actions {
            text = command::untrusted(&text, &unguessable());
        }
        let _ = writeln!(anstream::stderr(), "{text}");
    }
}

/// Lines up columns: the first to the left, and the last if it has no heading, as it holds remarks; the
/// others to the right.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
    };
    let widths: Vec<usize> = (0..columns)
        .map(|column| width(column).unwrap_or_default())
        .collect();
    let remarks = rows
        .first()
        .and_then(|head| head.last())
        .is_some_and(String::is_empty);
    let mut text = String::new();
    for row in rows {
        let cells = row
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(column, (cell, &width))| {
                if column == 0 || (remarks && column + 1 == columns) {
                    format!("{cell:<width$}")
                } else {
                    format!("{cell:>width$}")
                }
            });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}
