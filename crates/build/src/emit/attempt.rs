//! Retries with reduced settings, after Julia was killed for its memory use or crashed on a
//! statement.

use sysforge_plan::Evidence;

use super::report::LeftOut;
use sysforge_process::{Ended, ProcessError};

/// The settings of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attempt {
    /// `JULIA_IMAGE_THREADS`, if this Julia supports it.
    pub(super) threads: Option<u32>,
    /// `--cpu-target`.
    pub(super) target: String,
    /// Statements that are skipped.
    pub(super) left_out: LeftOut,
}

impl Attempt {
    /// Returns the settings after a process that used too much memory: fewer threads, each of which
    /// keeps a share of the code in memory, then only the first CPU target.
    pub(super) fn smaller(&self) -> Option<Self> {
        if let Some(threads @ 2..) = self.threads {
            return Some(Self {
                threads: Some(threads / 2),
                ..self.clone()
            });
        }
        let (first, _) = self.target.split_once(';')?;
        Some(Self {
            target: first.to_owned(),
            ..self.clone()
        })
    }

    pub(super) fn title(&self) -> String {
        let targets = match self.target.split(';').count() {
            1 => format!("the CPU target {}", self.target),
            count => format!("{count} CPU targets"),
        };
        match self.threads {
            Some(1) => format!("1 code-generation thread and {targets}"),
            Some(threads) => format!("{threads} code-generation threads and {targets}"),
            None => targets,
        }
    }
}

/// Describes how Julia crashed, if it did: by a fatal signal or an LLVM error.
pub(super) fn crash(error: &ProcessError) -> Option<String> {
    let llvm = |evidence: &Evidence| {
        let mut lines = evidence.tail.iter();
        lines.find(|line| line.starts_with("LLVM ERROR")).cloned()
    };
    // LLVM also aborts on a full disk ("LLVM ERROR: IO failure on output stream: No space left on
    // device"), which no statement causes.
    if error.is_full_disk() {
        return None;
    }
    let said = error.evidence().as_ref().and_then(llvm);
    let ended = error.ended()?;
    // SIGILL, SIGTRAP, SIGABRT, SIGBUS (7 on Linux, 10 on macOS), SIGFPE, SIGSEGV. On Windows a
    // crash has an exit code of 0xC0000000 or above, which is negative as an i32 (NTSTATUS), or 3
    // from abort() of the C runtime.
    let crashed = match ended {
        Ended::Signal(signal) => matches!(signal, 4 | 5 | 6 | 7 | 8 | 10 | 11),
        Ended::Code(code) => code < -0x3000_0000 || said.is_some(),
    };
    crashed.then(|| said.unwrap_or_else(|| ended.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_memory_means_fewer_threads_then_fewer_targets() {
        let mut attempt = Attempt {
            threads: Some(4),
            target: "generic;haswell,clone_all".to_owned(),
            left_out: LeftOut::new(),
        };
        let mut titles = vec![attempt.title()];
        while let Some(next) = attempt.smaller() {
            attempt = next;
            titles.push(attempt.title());
        }
        insta::assert_snapshot!(titles.join("\n"), @r"
        4 code-generation threads and 2 CPU targets
        2 code-generation threads and 2 CPU targets
        1 code-generation thread and 2 CPU targets
        1 code-generation thread and the CPU target generic
        ");
    }

    #[test]
    fn a_crash_is_told_from_a_failure() {
        let failed = |ended, line: &str| ProcessError::Failed {
            program: "julia".to_owned(),
            ended,
            peak_memory: 0,
            evidence: Evidence {
                tail: vec![line.to_owned()],
                log: None,
            },
        };
        assert_eq!(crash(&failed(Ended::Code(1), "ERROR: UndefVarError")), None);
        assert_eq!(crash(&failed(Ended::Signal(9), "")), None);
        assert!(crash(&failed(Ended::Signal(11), "")).is_some());
        let full = "LLVM ERROR: IO failure on output stream: No space left on device";
        assert_eq!(crash(&failed(Ended::Signal(6), full)), None);
        // STATUS_ACCESS_VIOLATION
        assert!(crash(&failed(Ended::Code(0xC000_0005_u32.cast_signed()), "")).is_some());
        let said = crash(&failed(Ended::Signal(6), "LLVM ERROR: Cannot select: x")).unwrap();
        assert_eq!(said, "LLVM ERROR: Cannot select: x");
    }
}
