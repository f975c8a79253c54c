//! The errors of child processes.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use sysforge_plan::{Class, Evidence, Explain, explain};

/// How a child failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// With this exit code.
    Code(i32),
    /// Killed by this signal (Unix).
    Signal(i32),
}

/// A child process could not be run, or failed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages describe the variants")]
pub enum ProcessError {
    #[error("could not start `{}`", .program.display())]
    Start {
        program: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("`{program}` {ended}")]
    Failed {
        program: String,
        ended: Ended,
        /// Peak resident memory in bytes, as sampled.
        peak_memory: u64,
        evidence: Evidence,
    },
    #[error("`{program}` did not end within {} s and was killed", .limit.as_secs())]
    TimedOut {
        program: String,
        limit: Duration,
        evidence: Evidence,
    },
    #[error(
        "`{program}` was killed because it produced no output and used no CPU for {} s",
        .limit.as_secs()
    )]
    Hung {
        program: String,
        limit: Duration,
        evidence: Evidence,
    },
    #[error(
        "`{script}` did not end within {} s in the process that emits the image, which was killed",
        .limit.as_secs()
    )]
    ScriptTimedOut {
        script: String,
        limit: Duration,
        evidence: Evidence,
    },
    #[error("could not write the log {}", .log.display())]
    Log {
        log: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

impl ProcessError {
    /// Returns how the child failed, if it ran.
    pub fn ended(&self) -> Option<Ended> {
        match self {
            Self::Failed { ended, .. } => Some(*ended),
            _ => None,
        }
    }

    /// Returns the peak memory of the child in bytes if it was killed with SIGKILL, which is how
    /// the system kills processes when memory runs out.
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

    /// Returns whether the child's last lines report a full disk.
    pub fn is_full_disk(&self) -> bool {
        // The messages of the C libraries on Unix, and of Windows.
        let words = ["No space left on device", "not enough space on the disk"];
        let evidence = self.evidence().unwrap_or_default();
        let mut lines = evidence.tail.iter();
        lines.any(|line| words.iter().any(|word| line.contains(word)))
    }

    /// Returns the class of this error; `default` is the class of a failure of the child itself.
    pub fn class_or(&self, default: Class) -> Class {
        match self {
            Self::Start { source, .. } | Self::Log { source, .. } => {
                explain::io_class(source, default)
            }
            Self::Failed { .. } if self.is_full_disk() => Class::Machine,
            Self::Failed { .. }
            | Self::TimedOut { .. }
            | Self::Hung { .. }
            | Self::ScriptTimedOut { .. } => default,
        }
    }

    /// Returns the child's last lines and the path of its log.
    pub fn evidence(&self) -> Option<Evidence> {
        match self {
            Self::Failed { evidence, .. }
            | Self::TimedOut { evidence, .. }
            | Self::Hung { evidence, .. }
            | Self::ScriptTimedOut { evidence, .. } => Some(evidence.clone()),
            Self::Start { .. } | Self::Log { .. } => None,
        }
    }

    /// Returns hints that apply to any child.
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
                "signal 9 (SIGKILL) usually means that the system ran out of memory: the process used up \
                 to {} MB; free some memory, or use fewer code-generation threads \
                 (`--image-threads 1`)",
                peak_memory / 1_000_000
            )],
            Self::Hung { .. } => vec![
                "its log shows what it was doing; raise the limit with `--idle-timeout SECONDS`"
                    .to_owned(),
            ],
            Self::ScriptTimedOut { .. } => vec![
                "packages are not initialised in that process, and some then loop forever: leave \
                 out `execute` or `script`, or raise the limit with `--idle-timeout SECONDS`"
                    .to_owned(),
            ],
            Self::TimedOut { .. } => vec!["raise the limit with `--timeout SECONDS`".to_owned()],
            Self::Start { source, .. } | Self::Log { source, .. } => {
                explain::io_hint(source).into_iter().collect()
            }
            Self::Failed { .. } => Vec::new(),
        }
    }
}

impl Explain for ProcessError {
    fn class(&self) -> Class {
        self.class_or(Class::Toolchain)
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

/// Returns the name of a signal that kills compilers and Julias. These numbers are the same on Linux
/// and macOS (signal(7)); SIGBUS differs between the two.
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
