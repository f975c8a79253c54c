//! Errors of emitting.

use std::path::PathBuf;

use sysforge_plan::receipt::Unreplayed;
use sysforge_plan::{Class, Evidence, Explain, explain};

use crate::workdir::WorkDirError;
use sysforge_process::ProcessError;

/// Emitting failed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages describe the variants")]
pub enum EmitError {
    #[error("Julia failed to emit the image{}", .during.as_ref().map(|d| format!(", {d}")).unwrap_or_default())]
    Julia {
        during: Option<String>,
        retries: usize,
        #[source]
        source: Box<ProcessError>,
    },
    #[error("Julia succeeded but wrote no object file")]
    NoObject { log: PathBuf },
    #[error("`{script}` ended Julia while the image was being emitted")]
    EndedByScript {
        /// The workload or script, relative to the project.
        script: String,
    },
    #[error("Julia ended before the image was complete")]
    Incomplete { log: PathBuf },
    #[error("{} of {} statements could not be replayed, and `strict` is set", .failed.len(), .recorded)]
    Strict {
        recorded: usize,
        failed: Vec<Unreplayed>,
    },
    #[error(transparent)]
    WorkDir(#[from] WorkDirError),
    #[error("could not read {}", .path.display())]
    Report {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

impl Explain for EmitError {
    fn class(&self) -> Class {
        match self {
            Self::Julia { source, .. } => source.class_or(Class::Julia),
            Self::NoObject { .. } | Self::Incomplete { .. } | Self::EndedByScript { .. } => {
                Class::Julia
            }
            Self::Strict { .. } => Class::Check,
            Self::WorkDir(error) => error.class(),
            Self::Report { source, .. } => explain::io_class(source, Class::Julia),
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Julia {
                source, retries, ..
            } => {
                let peak = source.killed_for_memory().filter(|_| *retries > 0);
                let hints = peak.map(|peak| {
                    vec![format!(
                        "it needs more memory than there is, even with fewer code-generation \
                         threads and CPU targets: it was killed {} times, the last at {} MB",
                        retries + 1,
                        peak / 1_000_000
                    )]
                });
                hints.unwrap_or_else(|| source.hints())
            }
            Self::NoObject { .. } | Self::Incomplete { .. } => vec![
                "a package, `script`, or workload with `execute = true` that calls `exit` ends Julia \
                 before the image is complete; the log shows how far it came"
                    .to_owned(),
            ],
            Self::EndedByScript { .. } => vec![
                "a package that it uses calls `exit`: leave `execute` out, or end the workload \
                 before that"
                    .to_owned(),
            ],
            Self::Strict { .. } => {
                vec!["remove `strict` to build without them; the receipt lists each".to_owned()]
            }
            Self::WorkDir(error) => error.hints(),
            Self::Report { source, .. } => explain::io_hint(source).into_iter().collect(),
        }
    }

    fn evidence(&self) -> Option<Evidence> {
        match self {
            Self::Julia { source, .. } => source.evidence(),
            Self::NoObject { log } | Self::Incomplete { log } => Some(Evidence {
                tail: Vec::new(),
                log: Some(log.clone()),
            }),
            Self::Strict { failed, .. } => Some(Evidence {
                tail: failed
                    .iter()
                    .map(|f| format!("{}: {}", f.reason, f.statement))
                    .collect(),
                log: None,
            }),
            Self::WorkDir(_) | Self::Report { .. } | Self::EndedByScript { .. } => None,
        }
    }
}
