//! What the library crates say while they work. They are silent on the terminal: they report
//! typed [`Event`]s to a [`Reporter`], and the command line renders them (progress bars, plain
//! lines, GitHub groups, JSON).

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The steps of the pipeline, as a user knows them.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Fetching the catalogue of Julia releases.
    Catalogue,
    /// Downloading bytes.
    Download,
    /// Unpacking an archive.
    Unpack,
    /// Asking a Julia about itself.
    Probe,
    /// Installing the packages of the environment.
    Instantiate,
    /// Making a base of Julia's own.
    Base,
    /// Recording precompile statements.
    Trace,
    /// Emitting the object file.
    Emit,
    /// Linking the shared library.
    Link,
    /// Loading and proving the image.
    Check,
    /// Making a folder that runs without Julia, and running it.
    Bundle,
    /// Writing the archive.
    Pack,
    /// Measuring latency.
    Measure,
    /// Sending to a release host.
    Publish,
    /// Installing from a release host.
    Install,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Catalogue => "catalogue",
            Self::Download => "download",
            Self::Unpack => "unpack",
            Self::Probe => "probe",
            Self::Instantiate => "packages",
            Self::Base => "base",
            Self::Trace => "trace",
            Self::Emit => "emit",
            Self::Link => "link",
            Self::Check => "check",
            Self::Bundle => "bundle",
            Self::Pack => "pack",
            Self::Measure => "measure",
            Self::Publish => "publish",
            Self::Install => "install",
        })
    }
}

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was not needed: what it would make was there already.
    Reused,
    /// It failed or was interrupted; the error tells the rest.
    Aborted,
}

/// One thing that happened. `task` numbers tell concurrent tasks apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A task began.
    Started {
        /// The task's number.
        task: u64,
        /// Its step.
        step: Step,
        /// What it works on, for instance a file name or a build identifier.
        subject: String,
    },
    /// A task came further.
    Progress {
        /// The task's number.
        task: u64,
        /// Bytes done so far.
        done: u64,
        /// Bytes in all, where known.
        total: Option<u64>,
    },
    /// A child process of the task wrote a line.
    Line {
        /// The task's number.
        task: u64,
        /// The line, without its end.
        line: String,
    },
    /// A task ended.
    Finished {
        /// The task's number.
        task: u64,
        /// How it ended.
        outcome: Outcome,
        /// The result in a few words.
        summary: String,
    },
    /// Something a user should know, not tied to a task.
    Note {
        /// The text, one line.
        text: String,
    },
    /// Something a user should look at, though work goes on.
    Warning {
        /// The text, one line.
        text: String,
        /// What to do about it.
        hint: Option<String>,
    },
}

/// Where events go. Cheap to clone.
#[derive(Clone)]
pub struct Reporter {
    sink: Arc<dyn Fn(Event) + Send + Sync>,
    next: Arc<AtomicU64>,
}

impl fmt::Debug for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reporter")
    }
}

impl Reporter {
    /// A reporter that hands each event to `sink`.
    pub fn new(sink: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self {
            sink: Arc::new(sink),
            next: Arc::new(AtomicU64::new(1)),
        }
    }

    /// A reporter that drops every event.
    #[must_use]
    pub fn silent() -> Self {
        Self::new(|_| {})
    }

    /// Begins a task. If the returned handle is dropped without [`Task::done`] or
    /// [`Task::reused`], the task counts as aborted.
    #[must_use]
    pub fn start(&self, step: Step, subject: impl Into<String>) -> Task {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        (self.sink)(Event::Started {
            task: id,
            step,
            subject: subject.into(),
        });
        Task {
            id,
            sink: Arc::clone(&self.sink),
            ended: false,
        }
    }

    /// Says something that a user should know.
    pub fn note(&self, text: impl Into<String>) {
        (self.sink)(Event::Note { text: text.into() });
    }

    /// Says something that a user should look at.
    pub fn warn(&self, text: impl Into<String>, hint: Option<String>) {
        (self.sink)(Event::Warning {
            text: text.into(),
            hint,
        });
    }
}

/// A task under way. Dropping it reports an abort.
pub struct Task {
    id: u64,
    sink: Arc<dyn Fn(Event) + Send + Sync>,
    ended: bool,
}

impl Task {
    /// Reports how many bytes are done, of how many.
    pub fn progress(&self, done: u64, total: Option<u64>) {
        (self.sink)(Event::Progress {
            task: self.id,
            done,
            total,
        });
    }

    /// Reports a line that a child process wrote.
    pub fn line(&self, line: impl Into<String>) {
        (self.sink)(Event::Line {
            task: self.id,
            line: line.into(),
        });
    }

    /// Ends the task: it was done.
    pub fn done(mut self, summary: impl Into<String>) {
        self.end(Outcome::Done, summary.into());
    }

    /// Ends the task: its result was there already.
    pub fn reused(mut self, summary: impl Into<String>) {
        self.end(Outcome::Reused, summary.into());
    }

    fn end(&mut self, outcome: Outcome, summary: String) {
        self.ended = true;
        (self.sink)(Event::Finished {
            task: self.id,
            outcome,
            summary,
        });
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if !self.ended {
            self.end(Outcome::Aborted, String::new());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn a_dropped_task_is_reported_as_aborted() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let reporter = {
            let seen = Arc::clone(&seen);
            Reporter::new(move |event| seen.lock().unwrap().push(event))
        };
        drop(reporter.start(Step::Link, "image.so"));
        reporter.start(Step::Pack, "image.tar.gz").done("41 MB");
        let outcomes: Vec<_> = seen
            .lock()
            .unwrap()
            .iter()
            .filter_map(|event| match event {
                Event::Finished { outcome, .. } => Some(*outcome),
                _ => None,
            })
            .collect();
        assert_eq!(outcomes, [Outcome::Aborted, Outcome::Done]);
    }
}
