//! Progress reports of the library crates. They never write to the terminal: they report typed
//! [`Event`]s to a [`Reporter`], and the command line renders them (progress bars, plain lines,
//! GitHub groups, JSON).

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The steps of the pipeline, as shown to users.
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
    /// Querying a Julia for its version, paths and CPU.
    Probe,
    /// Installing the packages of the environment.
    Instantiate,
    /// Building a base image from Julia's own sources.
    Base,
    /// Recording precompile statements.
    Trace,
    /// Emitting the object file.
    Emit,
    /// Linking the shared library.
    Link,
    /// Loading and checking the image.
    Check,
    /// Creating a folder that runs without an installed Julia, and running it.
    Bundle,
    /// Writing the archive.
    Pack,
    /// Measuring latency.
    Measure,
    /// Uploading to a release host.
    Publish,
    /// Installing from a release host.
    Install,
    /// Waiting for another process that does the same. No receipt contains it.
    #[schemars(skip)]
    Wait,
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
            Self::Wait => "wait",
        })
    }
}

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The work was done.
    Done,
    /// Nothing to do: the result existed already.
    Reused,
    /// It failed or was interrupted; the error has the details.
    Aborted,
}

/// Something that happened. `task` numbers distinguish concurrent tasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A task began.
    Started {
        /// The task's number.
        task: u64,
        /// Its step.
        step: Step,
        /// The subject, for example a file name or a build identifier.
        subject: String,
    },
    /// A task made progress.
    Progress {
        /// The task's number.
        task: u64,
        /// Total bytes, if known.
        done: u64,
        /// Bytes in all, where known.
        total: Option<u64>,
    },
    /// A task is expected to take about this long.
    Expected {
        /// The task's number.
        task: u64,
        /// The whole time of the task.
        time: Duration,
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
        /// A short description of the result.
        summary: String,
    },
    /// Information for the user that belongs to no task.
    Note {
        /// The text, one line.
        text: String,
    },
    /// A problem that the user should look at; work continues.
    Warning {
        /// The text, one line.
        text: String,
        /// What to do about it.
        hint: Option<String>,
    },
}

/// Receives events. Cheap to clone.
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
    /// Creates a reporter that passes each event to `sink`.
    pub fn new(sink: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self {
            sink: Arc::new(sink),
            next: Arc::new(AtomicU64::new(1)),
        }
    }

    /// Creates a reporter that drops every event.
    pub fn silent() -> Self {
        Self::new(|_| {})
    }

    /// Begins a task. If the returned handle is dropped without [`Task::done`] or
    /// [`Task::reused`], the task counts as aborted.
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

    /// Reports information for the user.
    pub fn note(&self, text: impl Into<String>) {
        (self.sink)(Event::Note { text: text.into() });
    }

    /// Reports a problem that the user should look at.
    pub fn warn(&self, text: impl Into<String>, hint: Option<String>) {
        (self.sink)(Event::Warning {
            text: text.into(),
            hint,
        });
    }
}

/// A task in progress. Dropping it reports that it was aborted.
pub struct Task {
    id: u64,
    sink: Arc<dyn Fn(Event) + Send + Sync>,
    ended: bool,
}

impl Task {
    /// Reports how many bytes of the total are done.
    pub fn progress(&self, done: u64, total: Option<u64>) {
        (self.sink)(Event::Progress {
            task: self.id,
            done,
            total,
        });
    }

    /// Reports how long the whole task is expected to take.
    pub fn expect(&self, time: Duration) {
        (self.sink)(Event::Expected {
            task: self.id,
            time,
        });
    }

    /// Reports a line that a child process wrote.
    pub fn line(&self, line: impl Into<String>) {
        (self.sink)(Event::Line {
            task: self.id,
            line: line.into(),
        });
    }

    /// Ends the task as done.
    pub fn done(mut self, summary: impl Into<String>) {
        self.end(Outcome::Done, summary.into());
    }

    /// Ends the task: its result existed already.
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
