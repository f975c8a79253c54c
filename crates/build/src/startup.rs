//! How long Julia takes to start and to end again, with and without an image: what every use of an
//! image pays, whatever it does.

use std::path::Path;
use std::time::Duration;

use sysforge_plan::Step;

use crate::check::CheckError;
use crate::context::Context;

/// Starts Julia with `image`, or without one, does nothing, and ends. Wall time.
///
/// # Errors
///
/// [`CheckError`] if Julia does not start.
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
        .map_err(|source| match image {
            Some(_) => CheckError::DoesNotRun { source },
            None => CheckError::Baseline { source },
        })?;
    task.done(format!("{:.3} s", finished.wall.as_secs_f64()));
    Ok(finished.wall)
}
