//! Checks a finished image: it must load in a clean environment, contain its packages, run the
//! workloads, and leave nothing to compile.

pub(crate) mod error;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use sysforge_plan::plan::RequestedPackage;
use sysforge_plan::receipt::{CheckRecord, OutputRecord};
use sysforge_plan::statements;

use crate::context::Context;
use crate::measure::{Unmeasured, measure};
use crate::script::Script;
use crate::targets;
use crate::trace::{self, On};
pub use error::CheckError;
use sysforge_process::Environment;
use sysforge_process::ProcessError;

impl CheckError {
    /// Classifies why Julia does not start with an image.
    pub(crate) fn refused(image: &Path, source: ProcessError) -> Self {
        // Messages of `jl_load_sysimg` in src/processor*.cpp. Julia 1.5 to 1.12 print the second if
        // the first missing feature is one that Julia itself requires.
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

impl Context {
    /// Returns the environment of a check: minimal, with the packages' depot.
    pub fn clean_environment(&self) -> Environment {
        self.with_depot(self.environment.clean())
    }

    /// Returns the same for a workload, which may have a command that starts Julia.
    pub fn clean_environment_of(&self, workload: &Script) -> Environment {
        match workload.prefix.is_empty() {
            true => self.clean_environment(),
            false => self.with_depot(self.environment.clean_in_job()),
        }
    }

    fn with_depot(&self, clean: Environment) -> Environment {
        match self.environment.get("JULIA_DEPOT_PATH") {
            Some(depot) => clean.with("JULIA_DEPOT_PATH", depot),
            None => clean,
        }
    }
}

/// Loads the image, runs the workloads, verifies that the packages are in it, and collects what is
/// still compiled. `known` are the names of the modules that an image of the project may contain.
///
/// # Errors
///
/// If Julia does not start with the image, a workload fails on it, or a file in the build folder
/// cannot be written; [`CheckError::NotLoaded`] if a package is not in the image.
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

/// The statements that running the workloads on an image still compiles.
#[derive(Debug, Clone, Default)]
pub struct LeftOver {
    /// Statements for functions and types that the workloads define.
    pub own: Vec<String>,
    /// Statements whose code the image could contain.
    pub residuals: Vec<String>,
    /// The residuals by kind of output.
    pub outputs: Vec<OutputRecord>,
    /// The compilation time of each statement of both kinds, in milliseconds, if Julia reports it.
    pub costs_ms: BTreeMap<String, f64>,
}

/// Runs the workloads on the image under `--trace-compile`.
///
/// # Errors
///
/// [`CheckError::Residual`] if a workload fails on the image, or its recording cannot be read.
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
    Ok(LeftOver {
        own,
        residuals,
        outputs: outputs.collect(),
        costs_ms: recorded.costs_ms,
    })
}
