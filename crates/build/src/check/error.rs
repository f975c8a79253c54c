//! Errors of the image check.

use sysforge_plan::{Class, Evidence, Explain, explain};
use sysforge_process::ProcessError;

use crate::inspect::InspectError;
use crate::trace::TraceError;
use crate::workdir::WorkDirError;

/// The image failed its check.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages describe the variants")]
pub enum CheckError {
    #[error("the image does not pass: {0}")]
    Broken(InspectError),
    #[error("the image does not pass: Julia cannot start with it or run the workloads on it")]
    DoesNotRun {
        #[source]
        source: ProcessError,
    },
    #[error("the image needs CPU features that this machine lacks{}", built_for(.holds))]
    OtherCpu {
        holds: Vec<String>,
        #[source]
        source: ProcessError,
    },
    #[error("the image starts, but these packages are not in it: {}", .missing.join(", "))]
    NotLoaded { missing: Vec<String> },
    #[error("the workload fails on the image")]
    Residual(#[source] TraceError),
    #[error("the workloads fail without the image, too")]
    Baseline {
        #[source]
        source: ProcessError,
    },
    #[error(transparent)]
    WorkDir(#[from] WorkDirError),
}

impl Explain for CheckError {
    fn class(&self) -> Class {
        match self {
            Self::Broken(InspectError::Read { source, .. }) => {
                explain::io_class(source, Class::Check)
            }
            Self::Broken(InspectError::NotALibrary { .. }) => Class::Check,
            Self::DoesNotRun { source } => source.class_or(Class::Check),
            Self::NotLoaded { .. } | Self::OtherCpu { .. } => Class::Check,
            Self::Residual(TraceError::Workload { source, .. }) => source.class_or(Class::Check),
            Self::Residual(error) => error.class(),
            Self::Baseline { source } => source.class_or(Class::Julia),
            Self::WorkDir(error) => error.class(),
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Broken(error) => error.hints(),
            Self::DoesNotRun { source } => or(
                source.hints(),
                "does it fail without the image, too? Try `julia --startup-file=no --project` with \
                 the workload. If it does not, leave out `--strip-ir` among the `julia-options` \
                 first (without the code that it removes, Julia compiles nothing that is missing: \
                 `MissingCodeError`), then `--strip` and `execute = true`",
            ),
            Self::Baseline { source } => or(
                source.hints(),
                "correct the workload first: `julia --startup-file=no --project` must run it without an error",
            ),
            Self::OtherCpu { .. } => vec![
                "check it on a machine that has such a CPU, or build for one that all have: \
                 `cpu = \"portable\"`, or a list of tiers for one image each"
                    .to_owned(),
            ],
            Self::NotLoaded { .. } => {
                vec!["was the image built for another project, or by another tool?".to_owned()]
            }
            Self::Residual(error) => error.hints(),
            Self::WorkDir(error) => error.hints(),
        }
    }

    fn evidence(&self) -> Option<Evidence> {
        match self {
            Self::DoesNotRun { source }
            | Self::OtherCpu { source, .. }
            | Self::Baseline { source } => source.evidence(),
            Self::Residual(error) => error.evidence(),
            _ => None,
        }
    }
}

fn built_for(targets: &[String]) -> String {
    match targets.is_empty() {
        true => String::new(),
        false => format!(": it was built for {}", targets.join("; ")),
    }
}

/// Returns these hints, or `otherwise` if there are none.
fn or(hints: Vec<String>, otherwise: &str) -> Vec<String> {
    match hints.is_empty() {
        true => vec![otherwise.to_owned()],
        false => hints,
    }
}
