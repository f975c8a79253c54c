//! `sysforge trace|emit|link|check|pack`: the steps of a build, one by one, for those who script
//! them. Each goes on from what the one before recorded in the build directory.

use std::path::PathBuf;

use serde_json::json;
use sysforge_build::check::CheckError;
use sysforge_build::inspect;
use sysforge_engine::{BuildRunner, EngineError};
use sysforge_plan::statements::is_plain;

use crate::args::{ImageArgs, PackArgs, StepArgs};
use crate::failure::Outcome;
use crate::session::Session;
use sysforge_engine::paths::absolute;

pub(crate) async fn trace(args: &StepArgs, session: &Session) -> Outcome {
    let _heartbeat = session.heartbeat();
    let planned = session.plan(&args.selection.select).await?;
    for build in &planned.plan.builds {
        let mut runner =
            BuildRunner::open(&session.engine, &planned, build, &args.build.options()).await?;
        let traced = runner.trace().await?;
        if session.global.json {
            // What is not a plain call may turn out to ask for nothing.
            let (plain, evaluated): (Vec<&String>, Vec<&String>) =
                traced.statements.iter().partition(|text| is_plain(text));
            session.terminal.json(&json!({
                "build_id": build.id,
                "statements": plain,
                "evaluated": evaluated,
                "ignored": traced.ignored,
            }));
        } else {
            session.terminal.data(&traced.statements.join("\n"));
        }
    }
    Ok(())
}

pub(crate) async fn emit(args: &StepArgs, session: &Session) -> Outcome {
    let _heartbeat = session.heartbeat();
    let planned = session.plan(&args.selection.select).await?;
    for build in &planned.plan.builds {
        let mut runner =
            BuildRunner::open(&session.engine, &planned, build, &args.build.options()).await?;
        let emitted = runner.emit().await?;
        if session.global.json {
            session.terminal.json(&emitted);
        } else {
            session.terminal.data(&emitted.object.display().to_string());
        }
    }
    Ok(())
}

pub(crate) async fn check(args: &ImageArgs, session: &Session) -> Outcome {
    if let Some(image) = &args.image {
        require_image(absolute(image))?;
    }
    let _heartbeat = session.heartbeat();
    let planned = session.plan(&args.select).await?;
    for build in &planned.plan.builds {
        let mut runner =
            BuildRunner::open(&session.engine, &planned, build, &args.build.options()).await?;
        let image = image_of(args, &runner)?;
        // A file that is not a library is refused here, before Julia sees it.
        inspect::inspect(&image).map_err(CheckError::Broken)?;
        let record = runner.check(&image).await?;
        if image == runner.image() {
            runner.record_check(&record)?;
        }
        if session.global.json {
            session.terminal.json(&record);
        } else {
            session.terminal.data(&format!(
                "{}: loads, holds {}, {} residual statements",
                image.display(),
                record.loaded.join(", "),
                record.residuals.len()
            ));
            for residual in &record.residuals {
                session
                    .terminal
                    .say(&format!("  still compiled: {residual}"));
            }
        }
    }
    Ok(())
}

/// The image that was named, or else the build's own.
pub(crate) fn image_of(args: &ImageArgs, runner: &BuildRunner<'_>) -> Result<PathBuf, EngineError> {
    require_image(
        args.image
            .as_deref()
            .map_or_else(|| runner.image(), absolute),
    )
}

fn require_image(image: PathBuf) -> Result<PathBuf, EngineError> {
    if image.is_file() {
        Ok(image)
    } else {
        Err(EngineError::NoImage(image))
    }
}

pub(crate) async fn pack(args: &PackArgs, session: &Session) -> Outcome {
    let planned = session.plan(&args.selection.select).await?;
    for build in &planned.plan.builds {
        let runner = BuildRunner::to_pack(&session.engine, &planned, build).await?;
        let dist = args.out.folder(&planned);
        let image = runner.pack(&dist).await?;
        let apps = runner.bundle(&dist, &image.1).await?;
        for (packed, receipt) in std::iter::once(image).chain(apps) {
            if session.global.json {
                session.terminal.json(&receipt);
            } else {
                session.terminal.data(&packed.archive.display().to_string());
            }
        }
    }
    Ok(())
}
