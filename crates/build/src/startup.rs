//! Measures how long Julia takes to start and exit, with and without an image: the minimum cost of
//! every use of an image.

use std::path::Path;
use std::time::Duration;

use sysforge_plan::Step;
use sysforge_plan::plan::RequestedPackage;
use sysforge_plan::units::{duration, elapsed};

use crate::check::CheckError;
use crate::context::Context;
use crate::measure;

/// Starts Julia with `image`, or without one, and exits immediately. Returns the wall time.
///
/// # Errors
///
/// [`CheckError::OtherCpu`] or [`CheckError::DoesNotRun`] if Julia fails with the image,
/// [`CheckError::Baseline`] if it fails without one; also if a file in the build folder cannot be written.
pub async fn startup(context: &Context, image: Option<&Path>) -> Result<Duration, CheckError> {
    let empty = context.work.write("empty.jl", "")?;
    let mut program = context.julia(context.clean_environment(), "startup");
    if let Some(image) = image {
        program = program.option("--sysimage", image);
    }
    let program = program.arg(&empty).directory(&context.project);
    let task = context.reporter.start(Step::Measure, "start and end");
    let finished = context
        .children
        .run(&program, &task)
        .await
        .map_err(|source| measure::failed(image, source))?;
    task.done(duration(finished.wall.as_secs_f64()));
    Ok(finished.wall)
}

/// Loads the packages once in a plain Julia, which compiles missing caches.
///
/// # Errors
///
/// [`CheckError::Baseline`] if Julia fails or cannot load a package; also if the script cannot be
/// written to the build folder.
pub async fn load(context: &Context, packages: &[RequestedPackage]) -> Result<(), CheckError> {
    let names: Vec<_> = packages.iter().map(|one| one.name.as_str()).collect();
    let code = match names.as_slice() {
        [] => String::new(),
        some => format!("import {}\n", some.join(", ")),
    };
    let script = context.work.write("load.jl", &code)?;
    let program = context
        .julia(context.clean_environment(), "load")
        .arg(&script)
        .directory(&context.project);
    let task = context
        .reporter
        .start(Step::Measure, "compile the packages' own caches");
    let ran = context.children.run(&program, &task).await;
    let finished = ran.map_err(|source| CheckError::Baseline { source })?;
    task.done(elapsed(finished.wall));
    Ok(())
}
