//! Trying again with less: what a Julia that was killed for its memory, or that crashed on a
//! statement, is given the next time.

use sysforge_plan::Evidence;

use super::report::LeftOut;
use sysforge_process::{Ended, ProcessError};

/// What one attempt is made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attempt {
    /// `JULIA_IMAGE_THREADS`, where this Julia knows it.
    pub(super) threads: Option<u32>,
    /// `--cpu-target`.
    pub(super) target: String,
    /// Statements that it is not given.
    pub(super) left_out: LeftOut,
}

impl Attempt {
    /// The next one after a process that took too much memory: fewer threads, each of which keeps
    /// a share of the code in memory, then only the first CPU target.
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

/// How Julia crashed, if it did: by a signal of a broken program, or on LLVM's own word.
pub(super) fn crash(error: &ProcessError) -> Option<String> {
    let llvm = |evidence: &Evidence| {
        let mut lines = evidence.tail.iter();
        lines.find(|line| line.starts_with("LLVM ERROR")).cloned()
    };
    // A full disk makes LLVM abort, too ("LLVM ERROR: IO failure on output stream: No space left on
    // device"), and no statement is to blame for it.
    if error.is_full_disk() {
        return None;
    }
    let said = error.evidence().as_ref().and_then(llvm);
    let ended = error.ended()?;
    // SIGILL, SIGTRAP, SIGABRT, SIGBUS (7 on Linux, 10 on macOS), SIGFPE, SIGSEGV. On Windows a
    // crash is an exit code from 0xC0000000 on, as a number below zero (NTSTATUS), or the 3 that
    // abort() of the C runtime gives.
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
