//! `sysforge trace|emit|link|check|pack`: the steps of a build, one by one, for those who script
//! them. Each goes on from what the one before recorded in the build directory.

use std::path::PathBuf;

use serde_json::json;
use sysforge_build::check::CheckError;
use sysforge_build::inspect;
use sysforge_plan::statements::is_plain;

use crate::args::{ImageArgs, PackArgs, StepArgs};
use crate::failure::{CliError, Outcome};
use crate::pipeline::{self, Forge};
use crate::session::{Session, absolute};

pub(crate) async fn trace(args: &StepArgs, session: &Session) -> Outcome {
    let _heartbeat = session.heartbeat();
    let planned = pipeline::plan(session, &args.selection.select).await?;
    for build in &planned.plan.builds {
        let mut forge = Forge::open(session, &planned, build, &args.driving).await?;
        let traced = forge.trace().await?;
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
    let planned = pipeline::plan(session, &args.selection.select).await?;
    for build in &planned.plan.builds {
        let mut forge = Forge::open(session, &planned, build, &args.driving).await?;
        let emitted = forge.emit().await?;
        if session.global.json {
            session.terminal.json(&emitted);
        } else {
            session.terminal.data(&emitted.object.display().to_string());
        }
    }
    Ok(())
}

pub(crate) async fn check(args: &ImageArgs, session: &Session) -> Outcome {
    let _heartbeat = session.heartbeat();
    let planned = pipeline::plan(session, &args.select).await?;
    for build in &planned.plan.builds {
        let mut forge = Forge::open(session, &planned, build, &args.driving).await?;
        let image = image_of(args, &forge)?;
        // What is no library at all is told so, and not by Julia.
        inspect::inspect(&image).map_err(CheckError::Broken)?;
        let record = forge.check(&image).await?;
        if image == forge.image() {
            forge.record_check(&record)?;
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
pub(crate) fn image_of(args: &ImageArgs, forge: &Forge<'_>) -> Result<PathBuf, CliError> {
    let image = args
        .image
        .as_deref()
        .map_or_else(|| forge.image(), absolute);
    if image.is_file() {
        Ok(image)
    } else {
        Err(CliError::NoImage(image))
    }
}

pub(crate) async fn pack(args: &PackArgs, session: &Session) -> Outcome {
    let planned = pipeline::plan(session, &args.selection.select).await?;
    for build in &planned.plan.builds {
        let forge = Forge::to_pack(session, &planned, build).await?;
        let dist = planned.dist(args.out.out.as_deref());
        let (packed, receipt) = forge.pack(&dist).await?;
        if session.global.json {
            session.terminal.json(&receipt);
        } else {
            session.terminal.data(&packed.archive.display().to_string());
        }
    }
    Ok(())
}
