//! Renders events: bars and spinners on a terminal; plain lines and a heartbeat elsewhere, because CI
//! services kill silent jobs.

use std::collections::BTreeMap;
use std::fmt;
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use console::Term;
use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use sysforge_plan::event::Outcome;
use sysforge_plan::units::{about, elapsed};
use sysforge_plan::{Event, Reporter, Step};

use crate::printer::{Terminal, unstyled};

/// Without a terminal, the interval at which a running task prints a line.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// Renders the events of running tasks. Cheap to clone.
#[derive(Clone)]
pub struct Progress {
    state: Arc<Mutex<State>>,
    bars: Option<MultiProgress>,
}

struct State {
    terminal: Terminal,
    verbose: bool,
    tasks: BTreeMap<u64, Running>,
}

struct Running {
    step: Step,
    subject: String,
    since: Instant,
    said: Instant,
    expected: Option<Duration>,
    last_line: String,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Shows bars if standard error is a terminal. `verbose`: also prints every line of child
    /// processes.
    pub fn new(terminal: Terminal, verbose: bool) -> Self {
        // A runner stores a log, in which lines cannot be redrawn.
        let quiet = terminal.quiet || terminal.actions;
        let interactive = std::io::stderr().is_terminal() && !quiet;
        let bars = interactive.then(MultiProgress::new);
        let tasks = BTreeMap::new();
        Self {
            state: Arc::new(Mutex::new(State {
                terminal,
                verbose,
                tasks,
            })),
            bars,
        }
    }

    /// Returns a reporter that renders here.
    pub fn reporter(&self) -> Reporter {
        let progress = self.clone();
        Reporter::new(move |event| progress.show(event))
    }

    /// Reports tasks that are still running. The caller repeats this about every second.
    pub fn beat(&self) {
        if self.bars.is_some() {
            return;
        }
        let mut state = self.lock();
        let terminal = state.terminal;
        for task in state.tasks.values_mut() {
            if task.said.elapsed() >= HEARTBEAT {
                task.said = Instant::now();
                let line = match task.last_line.as_str() {
                    "" => String::new(),
                    line => format!(": {}", shortened(line, 80)),
                };
                let expected = match task.expected {
                    Some(time) => format!(" of {}", about(time)),
                    None => String::new(),
                };
                terminal.untrusted(&format!(
                    "  {:<9} {}, {} so far{expected}{line}",
                    task.step,
                    task.subject,
                    elapsed(task.since.elapsed())
                ));
            }
        }
    }

    /// Prints a line of detail. It may contain output of a server or a child.
    pub fn detail(&self, line: &str) {
        let terminal = self.lock().terminal;
        self.print(terminal, |t| t.untrusted(line));
    }

    /// Removes every bar, so that other text can follow.
    pub fn clear(&self) {
        if let Some(bars) = &self.bars {
            let _ = bars.clear();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Prints a line above the bars, if there are any.
    fn print(&self, terminal: Terminal, act: impl FnOnce(Terminal)) {
        match &self.bars {
            Some(bars) => bars.suspend(|| act(terminal)),
            None => act(terminal),
        }
    }

    fn show(&self, event: Event) {
        let mut state = self.lock();
        let terminal = state.terminal;
        match event {
            Event::Started {
                task,
                step,
                subject,
            } => {
                let bar = self.bars.as_ref().map(|bars| {
                    let bar = bars.add(ProgressBar::new_spinner());
                    bar.set_style(spinner(None));
                    bar.set_prefix(format!("{step:<9} {}", alone(&subject, columns())));
                    bar.enable_steady_tick(Duration::from_millis(120));
                    bar
                });
                // Nothing else would explain why nothing happens.
                if step == Step::Wait && bar.is_none() {
                    terminal.say(&format!("  {step:<9} {subject}"));
                }
                let now = Instant::now();
                let (since, said) = (now, now);
                let running = Running {
                    step,
                    subject,
                    since,
                    said,
                    expected: None,
                    last_line: String::new(),
                    bar,
                };
                state.tasks.insert(task, running);
            }
            Event::Progress { task, done, total } => {
                let Some(task) = state.tasks.get_mut(&task) else {
                    return;
                };
                if let Some(bar) = &task.bar {
                    if let Some(total) = total
                        && bar.length() != Some(total)
                    {
                        bar.set_length(total);
                        bar.set_style(bytes(columns()));
                        let subject = fitted(&task.subject, columns());
                        bar.set_prefix(format!("{:<9} {subject}", task.step));
                    }
                    bar.set_position(done);
                } else {
                    task.last_line = match total {
                        Some(total) => format!("{} of {} MB", done / 1_000_000, total / 1_000_000),
                        None => format!("{} MB", done / 1_000_000),
                    };
                }
            }
            Event::Expected { task, time } => {
                if let Some(task) = state.tasks.get_mut(&task) {
                    task.expected = Some(time);
                    if let Some(bar) = &task.bar {
                        bar.set_style(spinner(Some(time)));
                        let subject = fitted(&task.subject, columns());
                        bar.set_prefix(format!("{:<9} {subject}", task.step));
                    }
                }
            }
            Event::Line { task, line } => {
                let verbose = state.verbose;
                if let Some(running) = state.tasks.get_mut(&task) {
                    if let Some(text) = sysforge_process::meaningful(&line) {
                        if let Some(bar) = &running.bar {
                            let columns = columns();
                            let subject = fitted(&running.subject, columns);
                            bar.set_prefix(format!("{:<9} {subject}", running.step));
                            let clock = widest_clock(running.expected);
                            bar.set_message(last_line(&text, &subject, clock, columns));
                        }
                        running.last_line = text;
                    }
                    if verbose {
                        let step = running.step;
                        self.print(terminal, |t| t.untrusted(&format!("  {step:<9} | {line}")));
                    }
                }
            }
            Event::Finished {
                task,
                outcome,
                summary,
            } => {
                let Some(running) = state.tasks.remove(&task) else {
                    return;
                };
                if let Some(bar) = running.bar {
                    bar.finish_and_clear();
                }
                let Running {
                    step,
                    subject,
                    since,
                    ..
                } = running;
                let took = elapsed(since.elapsed());
                let line = match outcome {
                    Outcome::Done => format!("  {step:<9} {subject}: {summary} ({took})"),
                    Outcome::Reused => format!("  {step:<9} {subject}: {summary} (reused)"),
                    // The error that is printed next explains it.
                    Outcome::Aborted => return,
                };
                self.print(terminal, |t| t.say(&line));
            }
            Event::Note { text } => self.print(terminal, |t| t.say(&format!("  {text}"))),
            Event::Warning { text, hint } => {
                self.print(terminal, |t| t.warning(&text, hint.as_deref()));
            }
        }
    }
}

/// The style of a task without known size; `expected` is how long it may take.
fn spinner(expected: Option<Duration>) -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {prefix} {clock} {wide_msg:.dim}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
        .with_key(
            "clock",
            move |state: &ProgressState, out: &mut dyn fmt::Write| {
                // If this fails, the line lacks the clock; the error cannot be handled here.
                let _ = out.write_str(&clock_of(state.elapsed(), expected));
            },
        )
}

/// Formats an elapsed time with seconds: `0:07`, `2:05`, `1:02:03`.
fn clock(duration: Duration) -> String {
    let (minutes, seconds) = (duration.as_secs() / 60, duration.as_secs() % 60);
    match minutes {
        0..60 => format!("{minutes}:{seconds:02}"),
        _ => format!("{}:{:02}:{seconds:02}", minutes / 60, minutes % 60),
    }
}

/// Formats the elapsed time of a task, and its expected time if there is one.
fn clock_of(passed: Duration, expected: Option<Duration>) -> String {
    match expected {
        Some(expected) => format!("{} of {}", clock(passed), about(expected)),
        None => clock(passed),
    }
}

/// Returns the width of the longest clock of a task: one with hours.
fn widest_clock(expected: Option<Duration>) -> usize {
    clock_of(Duration::from_secs(3600), expected).len()
}

/// The number of columns below which no bar is shown.
const WIDE: usize = 100;

/// Returns the number of columns of the terminal.
fn columns() -> usize {
    let size = Term::stderr().size_checked();
    size.map_or(WIDE, |(_, columns)| usize::from(columns))
}

/// Shortens a subject so that the figures of a download, or a line of a child, fit on the same
/// line.
fn fitted(subject: &str, columns: usize) -> String {
    // The approximate width of spinner, step and figures.
    shortened(subject, columns.saturating_sub(52).max(8))
}

/// Shortens a subject after which nothing but the clock follows, which is so at first.
fn alone(subject: &str, columns: usize) -> String {
    // The width of spinner, step, a clock with hours, and the spaces between them.
    shortened(subject, columns.saturating_sub(2 + 10 + 1 + 7 + 2).max(8))
}

/// Shortens a child's line to fit after the subject and the clock, so that cuts are marked.
fn last_line(line: &str, subject: &str, clock: usize, columns: usize) -> String {
    // The width of spinner, step, subject, clock, and the spaces between them.
    let before = 2 + 10 + subject.chars().count() + 1 + clock + 1;
    shortened(line, columns.saturating_sub(before + 1).max(8))
}

fn bytes(columns: usize) -> ProgressStyle {
    let template = match columns {
        WIDE.. => {
            "{spinner} {prefix} [{wide_bar}] {decimal_bytes}/{decimal_total_bytes}, {decimal_bytes_per_sec}, {left} left"
        }
        _ => {
            "{spinner} {prefix} {percent}% of {decimal_total_bytes}, {decimal_bytes_per_sec}, {left}"
        }
    };
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .with_key("left", |state: &ProgressState, out: &mut dyn fmt::Write| {
            let _ = out.write_str(&clock(state.eta()));
        })
        .progress_chars("=> ")
}

/// Returns at most `width` characters of a line, without styles and control characters: output of a
/// child must not move our cursor.
fn shortened(line: &str, width: usize) -> String {
    let plain = unstyled(line).replace('\t', " ");
    sysforge_plan::text::shortened(&plain, width)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_time_shows_its_seconds() {
        let clock = |seconds| clock(Duration::from_secs(seconds));
        assert_eq!([clock(7), clock(120), clock(125)], ["0:07", "2:00", "2:05"]);
        assert_eq!(clock(3723), "1:02:03");
    }

    #[test]
    fn lines_of_children_are_made_harmless() {
        assert_eq!(shortened("\u{1b}[31mred\u{1b}[0m\ttab", 60), "red tab");
        assert_eq!(shortened("abcdef", 3), "abc…");
    }

    #[test]
    fn subjects_leave_room_for_figures() {
        let name = "julia-1.12.7-linux-x86_64.tar.gz";
        assert_eq!(fitted(name, 100), name);
        assert_eq!(fitted(name, 60), "julia-1.…");
        for columns in [60, 80, 99] {
            let longest = ". download  ".len() + fitted(name, columns).chars().count();
            let figures = " 100% of 100.00 MiB, 100.00 MiB/s, 100s".len();
            assert!(longest + figures <= columns, "{columns}");
        }
    }

    #[test]
    fn a_subject_alone_is_readable_in_a_narrow_terminal() {
        let subject = "another process is building demo-julia1.12.7-x86_64-linux-gnu";
        let shown = alone(subject, 60);
        assert_eq!(shown, "another process is building demo-julia…");
        let whole = format!(". wait      {shown} 1:02:03 ");
        assert!(whole.chars().count() <= 60, "{whole}");
        assert_eq!(alone(subject, 100), subject);
    }

    #[test]
    fn the_last_line_of_a_child_fits_into_a_narrow_terminal() {
        let line = "Precompiling project: 12 of 345 packages are done";
        let plain = widest_clock(None);
        for columns in [40, 60, 80] {
            let subject = fitted("insurance-julia1.12.7-x86_64-linux-gnu", columns);
            let shown = last_line(line, &subject, plain, columns);
            let whole = format!(". emit      {subject} 1:02:03 {shown}");
            assert!(whole.chars().count() <= columns, "{whole}");
        }
        assert_eq!(
            last_line(line, "demo", plain, 60),
            "Precompiling project: 12 of 345 pa…"
        );
        assert_eq!(last_line(line, "demo", plain, 100), line);
    }

    #[test]
    fn an_expected_time_is_beside_the_clock_and_the_line_still_fits() {
        let expected = Some(Duration::from_secs(250));
        let passed = Duration::from_secs(83);
        assert_eq!(clock_of(passed, expected), "1:23 of about 4 min");
        let clock = widest_clock(expected);
        let shown = last_line("generating code for the whole image", "demo", clock, 60);
        let longest = clock_of(Duration::from_secs(3723), expected);
        let whole = format!(". emit      demo {longest} {shown}");
        assert!(whole.chars().count() <= 60, "{whole}");
        assert!(shown.starts_with("generating code"), "{shown}");
    }
}
