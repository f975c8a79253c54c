//! Checking a finished image: it must load in a clean environment, bring its packages along, run
//! the workloads, and leave nothing to compile. And measuring how long that takes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use sysforge_plan::plan::RequestedPackage;
use sysforge_plan::receipt::{CheckRecord, Latency};
use sysforge_plan::{Class, Evidence, Explain, Step, explain, statements};

use crate::context::Context;
use crate::inspect::InspectError;
use crate::targets;
use crate::trace::{self, On, TraceError};
use crate::workdir::WorkDirError;
use sysforge_process::Environment;
use sysforge_process::ProcessError;

const SCRIPT: &str = include_str!("julia/measure.jl");

/// The image failed its check.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// It is no library, or a broken one.
    #[error("the image does not pass: {0}")]
    Broken(InspectError),
    /// Julia does not start with it, or the workloads fail on it.
    #[error("the image does not pass: Julia cannot start with it or run the workloads on it")]
    DoesNotRun {
        /// How.
        #[source]
        source: ProcessError,
    },
    /// Its code is for another CPU.
    #[error("the image was made for a CPU that has more than this one: it holds {}", .holds.join("; "))]
    OtherCpu {
        /// The targets in the image.
        holds: Vec<String>,
        /// How Julia refused it.
        #[source]
        source: ProcessError,
    },
    /// It lacks packages.
    #[error("the image starts, but these packages are not in it: {}", .missing.join(", "))]
    NotLoaded {
        /// The packages.
        missing: Vec<String>,
    },
    /// A workload fails when it is traced on the image.
    #[error("the workload fails on the image")]
    Residual(#[source] TraceError),
    /// Measuring failed without an image: it is not the image's fault.
    #[error("the workloads fail without the image, too")]
    Baseline {
        /// How.
        #[source]
        source: ProcessError,
    },
    /// The result of the measuring script cannot be read.
    #[error("could not read {}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The build directory cannot be used.
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
            Self::DoesNotRun { source } => source.class_in(Class::Check),
            Self::NotLoaded { .. } | Self::OtherCpu { .. } => Class::Check,
            Self::Residual(TraceError::Workload { source, .. }) => source.class_in(Class::Check),
            Self::Residual(error) => error.class(),
            Self::Baseline { source } => source.class_in(Class::Julia),
            Self::Unreadable { source, .. } => explain::io_class(source, Class::Check),
            Self::WorkDir(error) => error.class(),
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Broken(error) => error.hints(),
            Self::DoesNotRun { source } => or(
                source.hints(),
                "does it fail without the image, too? Try `julia --startup-file=no --project` with \
                 the workload. If it does not, `--strip` and `execute = true` are the first to \
                 leave out",
            ),
            Self::Baseline { source } => or(
                source.hints(),
                "mend the workload first: `julia --startup-file=no --project` with it must end well",
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
            Self::Unreadable { source, .. } => explain::io_hint(source).into_iter().collect(),
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

/// These hints, or this one if there are none.
fn or(hints: Vec<String>, otherwise: &str) -> Vec<String> {
    match hints.is_empty() {
        true => vec![otherwise.to_owned()],
        false => hints,
    }
}

/// What one fresh process saw.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// Names of the modules that were loaded at the start.
    pub loaded: Vec<String>,
    /// Loading the packages, in seconds.
    pub load_s: f64,
    /// First and second run of the workloads, in seconds, if there are any.
    pub calls_s: Option<(f64, f64)>,
    /// Resident memory right after the start, in bytes.
    pub start_bytes: u64,
    /// The most resident memory at any time until the second run was over, in bytes.
    pub peak_bytes: u64,
}

impl Measured {
    /// The latency, if there is a workload.
    #[must_use]
    pub fn latency(&self) -> Option<Latency> {
        let (first_call_s, second_call_s) = self.calls_s?;
        Some(Latency {
            load_s: self.load_s,
            first_call_s,
            second_call_s,
        })
    }
}

impl Context {
    /// The environment of a check: as little as possible, with the packages' depot.
    #[must_use]
    pub fn clean_environment(&self) -> Environment {
        let clean = self.environment.clean();
        match self.environment.get("JULIA_DEPOT_PATH") {
            Some(depot) => clean.with("JULIA_DEPOT_PATH", depot),
            None => clean,
        }
    }
}

/// Runs the workloads twice in one fresh process, with `image` or without one.
///
/// # Errors
///
/// If the process fails.
pub async fn measure(
    context: &Context,
    image: Option<&Path>,
    packages: &[RequestedPackage],
    workloads: &[PathBuf],
) -> Result<Measured, CheckError> {
    let script = context.work.write("measure.jl", SCRIPT)?;
    let empty = context.work.write("empty.jl", "")?;
    let result = context.work.path("measured.tsv");
    context.work.forget(&["measured.tsv"])?;
    let log = if image.is_some() { "check" } else { "baseline" };
    let mut program = context.julia(context.clean_environment(), log);
    if let Some(image) = image {
        program = program.option("--sysimage", image);
    }
    let program = program
        .arg(&script)
        .arg(&result)
        .arg(&empty)
        .arg(packages.len().to_string())
        .args(packages.iter().map(|package| &package.name))
        .args(workloads)
        .directory(&context.project);
    let step = if image.is_some() {
        Step::Check
    } else {
        Step::Measure
    };
    let task = context.reporter.start(step, "load and run");
    context
        .children
        .run(&program, &task)
        .await
        .map_err(|source| match image {
            Some(image) => refused(image, source),
            None => CheckError::Baseline { source },
        })?;
    let text = std::fs::read_to_string(&result).map_err(|source| CheckError::Unreadable {
        path: result,
        source,
    })?;
    let measured = read(&text);
    task.done(match measured.calls_s {
        Some((first, second)) => format!(
            "load {:.4} s, first call {first:.3} s, second {second:.3} s",
            measured.load_s
        ),
        None => format!("load {:.4} s", measured.load_s),
    });
    Ok(measured)
}

/// Why Julia does not start with an image, as far as it says.
fn refused(image: &Path, source: ProcessError) -> CheckError {
    // `jl_load_sysimg` in src/processor*.cpp; the second is what 1.5 to 1.12 say where the first
    // feature that is missing is one that Julia itself asks for.
    let words = ["Unable to find compatible target", "CX16 instruction"];
    let said = source.evidence().unwrap_or_default().tail;
    if said
        .iter()
        .any(|line| words.iter().any(|word| line.contains(word)))
    {
        let holds = targets::held(image, "").unwrap_or_default();
        return CheckError::OtherCpu { holds, source };
    }
    CheckError::DoesNotRun { source }
}

fn read(text: &str) -> Measured {
    let values = |key: &str| {
        let key = key.to_owned();
        text.lines()
            .filter_map(|line| line.split_once('\t'))
            .filter(move |(k, _)| *k == key)
            .map(|(_, value)| value)
    };
    let seconds = |key| {
        values(key)
            .next()
            .and_then(|ns| ns.parse::<f64>().ok())
            .map(|ns| ns / 1e9)
    };
    let bytes = |key| {
        let number = values(key).next();
        number.and_then(|bytes| bytes.parse().ok()).unwrap_or(0)
    };
    Measured {
        loaded: values("loaded").map(str::to_owned).collect(),
        load_s: seconds("load_ns").unwrap_or_default(),
        calls_s: seconds("first_ns").zip(seconds("second_ns")),
        start_bytes: bytes("start_bytes"),
        peak_bytes: bytes("peak_bytes"),
    }
}

/// Loads the image, runs the workloads, makes sure that the packages are in it, and counts what is
/// still compiled. `known` are the names of the modules that an image of the project may hold.
///
/// # Errors
///
/// See [`CheckError`].
pub async fn check(
    context: &Context,
    image: &Path,
    packages: &[RequestedPackage],
    known: &BTreeSet<String>,
    workloads: &[PathBuf],
) -> Result<CheckRecord, CheckError> {
    let measured = measure(context, Some(image), packages, workloads).await?;
    let (loaded, missing): (Vec<String>, Vec<String>) = packages
        .iter()
        .map(|package| package.name.clone())
        .partition(|name| measured.loaded.contains(name));
    if !missing.is_empty() {
        return Err(CheckError::NotLoaded { missing });
    }
    let known = measured.loaded.iter().chain(known).cloned().collect();
    let (own, residuals) = left_over(context, image, workloads, &known).await?;
    Ok(CheckRecord {
        loaded,
        residuals,
        own,
        latency: measured.latency(),
        ..CheckRecord::default()
    })
}

/// The statements that running the workloads on the image still compiles: those for what the
/// workloads define themselves, and the residuals.
///
/// # Errors
///
/// If a workload fails on the image.
pub async fn left_over(
    context: &Context,
    image: &Path,
    workloads: &[PathBuf],
    known: &BTreeSet<String>,
) -> Result<(Vec<String>, Vec<String>), CheckError> {
    let compiled = trace::trace(context, workloads, On::Image(image)).await;
    let compiled = compiled.map_err(CheckError::Residual)?;
    let is_own = |statement: &String| statements::is_own(statement, known);
    Ok(compiled.into_iter().partition(is_own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_script_writes() {
        let measured = read(
            "start_bytes\t170000000\nloaded\tDates\nloaded\tCore\nload_ns\t1500000\n\
             first_ns\t2000000000\nsecond_ns\t1000000000\npeak_bytes\t250000000\n",
        );
        assert_eq!(
            (measured.start_bytes, measured.peak_bytes),
            (170_000_000, 250_000_000)
        );
        assert_eq!(measured.loaded, ["Dates", "Core"]);
        assert_eq!(measured.calls_s, Some((2.0, 1.0)));
        assert_eq!(read("load_ns\t1\n").latency(), None);
    }
}
