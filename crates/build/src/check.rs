//! Checking a finished image: it must load in a clean environment, bring its packages along, run
//! the workloads, and leave nothing to compile.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use sysforge_plan::plan::RequestedPackage;
use sysforge_plan::receipt::{CheckRecord, OutputRecord};
use sysforge_plan::{Class, Evidence, Explain, explain, statements};

use crate::context::Context;
use crate::inspect::InspectError;
use crate::measure::{Unmeasured, measure};
use crate::script::Script;
use crate::targets;
use crate::trace::{self, On, TraceError};
use crate::workdir::WorkDirError;
use sysforge_process::Environment;
use sysforge_process::ProcessError;

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

impl CheckError {
    /// Why Julia does not start with an image, as far as it says.
    pub(crate) fn refused(image: &Path, source: ProcessError) -> Self {
        // `jl_load_sysimg` in src/processor*.cpp; the second is what 1.5 to 1.12 say where the first
        // feature that is missing is one that Julia itself asks for.
        let words = ["Unable to find compatible target", "CX16 instruction"];
        let said = source.evidence().unwrap_or_default().tail;
        if said
            .iter()
            .any(|line| words.iter().any(|word| line.contains(word)))
        {
            let holds = targets::held(image, "").unwrap_or_default();
            return Self::OtherCpu { holds, source };
        }
        Self::DoesNotRun { source }
    }
}

/// These hints, or this one if there are none.
fn or(hints: Vec<String>, otherwise: &str) -> Vec<String> {
    match hints.is_empty() {
        true => vec![otherwise.to_owned()],
        false => hints,
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
    workloads: &[Script],
) -> Result<(CheckRecord, BTreeSet<Unmeasured>), CheckError> {
    let measured = measure(context, Some(image), packages, workloads).await?;
    let (loaded, missing): (Vec<String>, Vec<String>) = packages
        .iter()
        .map(|package| package.name.clone())
        .partition(|name| measured.loaded.contains(name));
    if !missing.is_empty() {
        return Err(CheckError::NotLoaded { missing });
    }
    let known = measured.loaded.iter().chain(known).cloned().collect();
    let left = left_over(context, image, workloads, &known).await?;
    let record = CheckRecord {
        loaded,
        residuals: left.residuals,
        own: left.own,
        outputs: left.outputs,
        costs_ms: left.costs_ms,
        latency: measured.latency(),
        unmeasured: measured
            .unmeasured
            .iter()
            .map(ToString::to_string)
            .collect(),
        ..CheckRecord::default()
    };
    Ok((record, measured.unmeasured))
}

/// What running the workloads on an image still compiles.
#[derive(Debug, Clone, Default)]
pub struct LeftOver {
    /// For what the workloads define themselves.
    pub own: Vec<String>,
    /// What could be in the image.
    pub residuals: Vec<String>,
    /// The residuals by the kind of output that the workloads had.
    pub outputs: Vec<OutputRecord>,
    /// How long each takes to compile, in milliseconds, where Julia says so.
    pub costs_ms: BTreeMap<String, f64>,
}

/// Runs the workloads on the image under `--trace-compile`.
///
/// # Errors
///
/// If a workload fails on the image.
pub async fn left_over(
    context: &Context,
    image: &Path,
    workloads: &[Script],
    known: &BTreeSet<String>,
) -> Result<LeftOver, CheckError> {
    let recorded = trace::trace(context, workloads, On::Image(image)).await;
    let recorded = recorded.map_err(CheckError::Residual)?;
    let is_own = |statement: &String| statements::is_own(statement, known);
    let (own, residuals) = recorded.statements.into_iter().partition(is_own);
    let by_output = recorded.by_output.into_iter();
    let outputs = by_output.map(|(output, mut residuals)| {
        residuals.retain(|statement| !is_own(statement));
        OutputRecord { output, residuals }
    });
    let mut costs_ms = recorded.costs_ms;
    costs_ms.retain(|statement, _| !is_own(statement));
    Ok(LeftOver {
        own,
        residuals,
        outputs: outputs.collect(),
        costs_ms,
    })
}
