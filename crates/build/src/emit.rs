//! Emitting: one Julia process loads the packages, replays the statements and writes everything
//! as an object file. Every statement is accounted for.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sysforge_plan::plan::RequestedPackage;
use sysforge_plan::receipt::{StatementCounts, Unreplayed};
use sysforge_plan::{Class, Evidence, Explain, Step, explain};

use crate::context::Context;
use crate::process::{Ended, ProcessError};
use crate::workdir::WorkDirError;

const LAUNCHER: &str = include_str!("julia/launch.jl");
const SCRIPT: &str = include_str!("julia/stage.jl");

/// The object's name in the build directory. macOS' linker wants the `.a` (from Julia 1.9 on it
/// really is an archive).
pub const OBJECT: &str = "image-o.a";

/// What is to be emitted.
#[derive(Debug, Clone)]
pub struct Emission<'a> {
    /// The packages.
    pub packages: &'a [RequestedPackage],
    /// The precompile statements.
    pub statements: &'a [String],
    /// Further ones that are tried, but are no loss if they do not exist.
    pub likes: &'a [String],
    /// Workloads to be run in the emitting process.
    pub execute: &'a [PathBuf],
    /// A script to be evaluated last.
    pub script: Option<&'a Path>,
    /// Julia's `--cpu-target`.
    pub cpu_target: &'a str,
    /// Code-generation threads; `None` leaves them to Julia.
    pub image_threads: Option<u32>,
    /// Whether a statement that cannot be replayed is an error.
    pub strict: bool,
}

/// What was emitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Emitted {
    /// The object or archive of objects.
    pub object: PathBuf,
    /// The fates of the statements.
    pub statements: StatementCounts,
}

/// Emitting failed.
#[derive(Debug, thiserror::Error)]
pub enum EmitError {
    /// The staging process failed.
    #[error("Julia failed to emit the image{}", .during.as_ref().map(|d| format!(", {d}")).unwrap_or_default())]
    Julia {
        /// What it was at, as far as known.
        during: Option<String>,
        /// How.
        #[source]
        source: ProcessError,
    },
    /// It ended well but left no object.
    #[error("Julia ended well but wrote no object file")]
    NoObject {
        /// Its log.
        log: PathBuf,
    },
    /// `strict` is set, and statements could not be replayed.
    #[error("{} of {} statements could not be replayed, and `strict` is set", .failed.len(), .recorded)]
    Strict {
        /// How many there were.
        recorded: usize,
        /// Those that failed.
        failed: Vec<Unreplayed>,
    },
    /// The build directory cannot be used.
    #[error(transparent)]
    WorkDir(#[from] WorkDirError),
    /// The report of the staging process cannot be read.
    #[error("could not read {}", .path.display())]
    Report {
        /// The report.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl Explain for EmitError {
    fn class(&self) -> Class {
        match self {
            Self::Julia { source, .. } => source.class_in(Class::Julia),
            Self::NoObject { .. } => Class::Julia,
            Self::Strict { .. } => Class::Check,
            Self::WorkDir(error) => error.class(),
            Self::Report { source, .. } => explain::io_class(source, Class::Julia),
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Julia { source, .. } => {
                let mut hints = source.hints();
                let disk = source.evidence().is_some_and(|evidence| {
                    evidence
                        .tail
                        .iter()
                        .any(|line| line.contains("No space left on device"))
                });
                if disk {
                    hints.push(
                        "the disk is full: put the build directory on a larger one with \
                                `--build-dir DIR`"
                            .to_owned(),
                    );
                }
                hints
            }
            Self::NoObject { .. } => Vec::new(),
            Self::Strict { .. } => {
                vec!["leave `strict` away to build without them; the receipt lists each".to_owned()]
            }
            Self::WorkDir(error) => error.hints(),
            Self::Report { source, .. } => explain::io_hint(source).into_iter().collect(),
        }
    }

    fn evidence(&self) -> Option<Evidence> {
        match self {
            Self::Julia { source, .. } => source.evidence(),
            Self::NoObject { log } => Some(Evidence {
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
            Self::WorkDir(_) | Self::Report { .. } => None,
        }
    }
}

/// Emits the object file.
///
/// # Errors
///
/// See [`EmitError`].
pub async fn emit(context: &Context, emission: &Emission<'_>) -> Result<Emitted, EmitError> {
    let work = &context.work;
    work.forget(&["emit.json", OBJECT, "partial-o.a", "report.tsv"])?;
    let launcher = work.write("launch.jl", LAUNCHER)?;
    let script = work.write("stage.jl", SCRIPT)?;
    let list = [emission.statements, emission.likes].concat();
    let list = work.write("statements.jl", &lines(&list))?;
    let report = work.path("report.tsv");
    let job = work.write("stage.job", &job(context, emission, &list, &report))?;
    let partial = work.path("partial-o.a");

    let program = context
        .julia(context.environment.for_julia(), "emit")
        .args(context.without_package_images())
        .option("--cpu-target", emission.cpu_target)
        .option("--output-o", &partial)
        .option("--sysimage", &context.julia.base_image)
        .arg(&launcher)
        .arg(&script)
        .arg(&job)
        .directory(&context.project);
    let program = match emission
        .image_threads
        .filter(|_| context.generation.image_threads)
    {
        Some(threads) => program.env("JULIA_IMAGE_THREADS", threads.to_string()),
        None => program,
    };
    let names: Vec<_> = emission.packages.iter().map(|p| p.name.as_str()).collect();
    let task = context.reporter.start(Step::Emit, names.join(", "));
    let ran = context.children.run(&program, &task).await;
    // A statement is reported before the next one begins: on a crash the report tells where.
    let fates = read_report(&report)?;
    ran.map_err(|source| {
        let _ = std::fs::remove_file(&partial);
        EmitError::Julia {
            during: during(&source, &fates, emission.statements),
            source,
        }
    })?;
    let counts = account(emission.statements, &fates);
    if !std::fs::metadata(&partial).is_ok_and(|file| file.len() > 0) {
        return Err(EmitError::NoObject {
            log: work.log("emit"),
        });
    }
    if emission.strict && !counts.failed.is_empty() {
        let _ = std::fs::remove_file(&partial);
        return Err(EmitError::Strict {
            recorded: counts.recorded,
            failed: counts.failed,
        });
    }
    let object = work.path(OBJECT);
    std::fs::rename(&partial, &object).map_err(|source| WorkDirError::Io {
        action: "rename",
        path: partial,
        source,
    })?;
    task.done(format!(
        "{} of {} statements replayed{}",
        counts.replayed,
        counts.recorded,
        match counts.failed.len() {
            0 => String::new(),
            failed => format!(", {failed} failed"),
        }
    ));
    Ok(Emitted {
        object,
        statements: counts,
    })
}

fn lines(statements: &[String]) -> String {
    statements
        .iter()
        .map(|statement| format!("{statement}\n"))
        .collect()
}

/// The job file of the staging script: one `key<TAB>value…` a line.
fn job(context: &Context, emission: &Emission<'_>, statements: &Path, report: &Path) -> String {
    let mut job = String::new();
    let mut line = |key: &str, values: &[&dyn std::fmt::Display]| {
        job.push_str(key);
        values.iter().for_each(|value| {
            job.push('\t');
            job.push_str(&value.to_string());
        });
        job.push('\n');
    };
    line("project", &[&context.project.display()]);
    line("stdlib", &[&context.julia.stdlib.display()]);
    line("statements", &[&statements.display()]);
    line("report", &[&report.display()]);
    for package in emission.packages {
        line("package", &[&package.name, &package.uuid]);
    }
    for workload in emission.execute {
        line("execute", &[&workload.display()]);
    }
    if let Some(script) = emission.script {
        line("script", &[&script.display()]);
    }
    job
}

/// One line of the staging script's report.
#[derive(Debug, PartialEq, Eq)]
struct Fate {
    index: usize,
    replayed: bool,
    skipped: bool,
    mended: bool,
    reason: String,
}

fn read_report(path: &Path) -> Result<Vec<Fate>, EmitError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text.lines().filter_map(read_fate).collect()),
        // The process ended before it came to the statements.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(EmitError::Report {
            path: path.to_owned(),
            source,
        }),
    }
}

fn read_fate(line: &str) -> Option<Fate> {
    let mut fields = line.splitn(4, '\t');
    let index: usize = fields.next()?.parse().ok()?;
    let fate = fields.next()?;
    Some(Fate {
        index: index.checked_sub(1)?,
        replayed: fate == "replayed",
        skipped: fate == "skipped",
        mended: fields.next()? == "true",
        reason: fields.next()?.to_owned(),
    })
}

/// Counts the fates. A statement without one (the script always reports; a cut-off report does
/// not) counts as failed, so that nothing is ever unaccounted for.
fn account(statements: &[String], fates: &[Fate]) -> StatementCounts {
    let mut counts = StatementCounts {
        recorded: statements.len(),
        ..StatementCounts::default()
    };
    for (index, statement) in statements.iter().enumerate() {
        let fate = fates.iter().find(|fate| fate.index == index);
        let unreplayed = |reason: &str| Unreplayed {
            statement: statement.clone(),
            reason: reason.to_owned(),
        };
        match fate {
            Some(fate) if fate.replayed => {
                counts.replayed += 1;
                counts.mended += usize::from(fate.mended);
            }
            Some(fate) if fate.skipped => counts.skipped.push(unreplayed(&fate.reason)),
            Some(fate) => counts.failed.push(unreplayed(&fate.reason)),
            None => counts
                .failed
                .push(unreplayed("the staging script did not come to it")),
        }
    }
    let likes = fates.iter().filter(|fate| fate.index >= statements.len());
    counts.added = likes.filter(|fate| fate.replayed).count();
    counts
}

/// What a process that was killed was at.
fn during(source: &ProcessError, fates: &[Fate], statements: &[String]) -> Option<String> {
    match source.ended() {
        Some(Ended::Signal(_)) if fates.is_empty() => {
            Some("while it loaded the packages".to_owned())
        }
        Some(Ended::Signal(_)) if fates.len() < statements.len() => {
            Some(format!("at the statement `{}`", statements[fates.len()]))
        }
        Some(Ended::Signal(_)) => Some("after all statements were replayed".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_statement_is_accounted_for() {
        let statements: Vec<String> = ["a", "b", "c", "d"].map(str::to_owned).into();
        let fates: Vec<Fate> = [
            "1\treplayed\ttrue\t",
            "2\tfailed\tfalse\tX is not defined",
            "3\tskipped\tfalse\tMain",
            "garbage",
            "5\treplayed\tfalse\t",
        ]
        .iter()
        .filter_map(|line| read_fate(line))
        .collect();
        let counts = account(&statements, &fates);
        assert_eq!((counts.recorded, counts.replayed, counts.mended), (4, 1, 1));
        assert_eq!(counts.added, 1);
        assert_eq!(counts.failed.len(), 2);
        assert_eq!(counts.failed[0].reason, "X is not defined");
        assert_eq!(
            counts.failed[1].reason,
            "the staging script did not come to it"
        );
        assert_eq!(counts.skipped[0].statement, "c");
    }

    #[test]
    fn a_crash_is_placed_at_its_statement() {
        let statements: Vec<String> = ["a", "b"].map(str::to_owned).into();
        let fates: Vec<Fate> = read_fate("1\treplayed\tfalse\t").into_iter().collect();
        let source = ProcessError::Failed {
            program: "julia".to_owned(),
            ended: Ended::Signal(11),
            evidence: Evidence::default(),
        };
        assert_eq!(
            during(&source, &fates, &statements).as_deref(),
            Some("at the statement `b`")
        );
    }
}
