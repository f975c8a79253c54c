//! How a child process can fail, in words.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use sysforge_plan::{Class, Evidence, Explain, explain};

/// How a child ended badly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// With this exit code.
    Code(i32),
    /// Killed by this signal (Unix).
    Signal(i32),
}

/// A child process could not be run to a good end.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It could not be started.
    #[error("could not start `{}`", .program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It failed.
    #[error("`{program}` {ended}")]
    Failed {
        /// The program's file name.
        program: String,
        /// How it ended.
        ended: Ended,
        /// The most memory that it was seen to have, in bytes.
        peak_memory: u64,
        /// Its last lines, and its log.
        evidence: Evidence,
    },
    /// It took longer than allowed and was killed.
    #[error("`{program}` did not end within {} s and was killed", .limit.as_secs())]
    TimedOut {
        /// The program's file name.
        program: String,
        /// The limit.
        limit: Duration,
        /// Its last lines, and its log.
        evidence: Evidence,
    },
    /// It hung, and was killed.
    #[error(
        "`{program}` hung: for {} s it neither said nor computed anything, and was killed",
        .limit.as_secs()
    )]
    Hung {
        /// The program's file name.
        program: String,
        /// How long it may be idle.
        limit: Duration,
        /// Its last lines, and its log.
        evidence: Evidence,
    },
    /// A script that it ran did not end, and it was killed.
    #[error(
        "`{script}` did not end within {} s inside the process that emits the image, which was killed",
        .limit.as_secs()
    )]
    Endless {
        /// The script's file name.
        script: String,
        /// How long it may run.
        limit: Duration,
        /// Its last lines, and its log.
        evidence: Evidence,
    },
    /// Its log could not be written, or its output not be read.
    #[error("could not write the log {}", .log.display())]
    Log {
        /// The log file.
        log: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl ProcessError {
    /// How the child ended, if it ran and failed.
    #[must_use]
    pub fn ended(&self) -> Option<Ended> {
        match self {
            Self::Failed { ended, .. } => Some(*ended),
            _ => None,
        }
    }

    /// The most memory that the child was seen to have, in bytes, if the system killed it, which
    /// it does to whoever takes too much.
    #[must_use]
    pub fn killed_for_memory(&self) -> Option<u64> {
        match self {
            Self::Failed {
                ended: Ended::Signal(9),
                peak_memory,
                ..
            } => Some(*peak_memory),
            _ => None,
        }
    }

    /// Whether the child's last lines say that the disk is full.
    #[must_use]
    pub fn is_full_disk(&self) -> bool {
        // The C libraries of Unix, and Windows.
        let words = ["No space left on device", "not enough space on the disk"];
        let evidence = self.evidence().unwrap_or_default();
        let mut lines = evidence.tail.iter();
        lines.any(|line| words.iter().any(|word| line.contains(word)))
    }

    /// The class where the child's own failure has the class `room`.
    #[must_use]
    pub fn class_in(&self, room: Class) -> Class {
        match self {
            Self::Start { source, .. } | Self::Log { source, .. } => {
                explain::io_class(source, room)
            }
            Self::Failed { .. } if self.is_full_disk() => Class::Machine,
            Self::Failed { .. }
            | Self::TimedOut { .. }
            | Self::Hung { .. }
            | Self::Endless { .. } => room,
        }
    }

    /// The child's last lines and its log.
    #[must_use]
    pub fn evidence(&self) -> Option<Evidence> {
        match self {
            Self::Failed { evidence, .. }
            | Self::TimedOut { evidence, .. }
            | Self::Hung { evidence, .. }
            | Self::Endless { evidence, .. } => Some(evidence.clone()),
            Self::Start { .. } | Self::Log { .. } => None,
        }
    }

    /// Hints that hold whatever the child was for.
    #[must_use]
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Failed { .. } if self.is_full_disk() => vec![
                "the disk is full: free some space, or put the build directory on a larger disk \
                 with `--build-dir DIR`"
                    .to_owned(),
            ],
            Self::Failed {
                ended: Ended::Signal(9),
                peak_memory,
                ..
            } => vec![format!(
                "signal 9 (SIGKILL) mostly means that the system ran out of memory: it was seen to \
                 use {} MB; free some, or build with fewer code-generation threads \
                 (`--image-threads 1`)",
                peak_memory / 1_000_000
            )],
            Self::Hung { .. } => vec![
                "what it was at stands in its log; allow longer silence with `--idle-timeout SECONDS`"
                    .to_owned(),
            ],
            Self::Endless { .. } => vec![
                "packages are not initialised in that process, and some loop for ever: leave \
                 `execute` or `script` out, or allow more time with `--idle-timeout SECONDS`"
                    .to_owned(),
            ],
            Self::TimedOut { .. } => vec!["allow more time with `--timeout SECONDS`".to_owned()],
            Self::Start { source, .. } | Self::Log { source, .. } => {
                explain::io_hint(source).into_iter().collect()
            }
            Self::Failed { .. } => Vec::new(),
        }
    }
}

impl Explain for ProcessError {
    fn class(&self) -> Class {
        self.class_in(Class::Toolchain)
    }

    fn hints(&self) -> Vec<String> {
        Self::hints(self)
    }

    fn evidence(&self) -> Option<Evidence> {
        Self::evidence(self)
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "ended with exit code {code}"),
            Self::Signal(signal) => match signal_name(*signal) {
                Some(name) => write!(f, "was killed by signal {signal} ({name})"),
                None => write!(f, "was killed by signal {signal}"),
            },
        }
    }
}

/// Names of the signals that kill compilers and Julias, numbered as on Linux and macOS alike
/// (signal(7)); SIGBUS differs between the two.
fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL, an instruction that this CPU lacks",
        6 => "SIGABRT",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV, a crash",
        13 => "SIGPIPE",
        15 => "SIGTERM",
        _ => return None,
    })
}
