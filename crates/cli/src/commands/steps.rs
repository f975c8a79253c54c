//! `sysforge trace|emit|check|pack`: the steps of a build, one by one, for those who script them. Each
//! continues from what the previous one recorded in the build directory.

use sysforge_engine::BuildRunner;
use sysforge_engine::steps::{TraceReport, check_summary, require_image};

use crate::args::{ImageArgs, PackArgs, StepArgs};
use crate::failure::Outcome;
use crate::session::Session;

pub(crate) async fn trace(args: &StepArgs, session: &Session) -> Outcome {
    let _heartbeat = session.heartbeat();
    let planned = session.plan(&args.selection.select).await?;
    for build in &planned.plan.builds {
        let mut runner = session.open(&planned, build, &args.build).await?;
        let traced = runner.trace().await?;
        let report = TraceReport::of(&build.id, &traced);
        session.print(&report, || traced.statements.join("\n"));
    }
    Ok(())
}

pub(crate) async fn emit(args: &StepArgs, session: &Session) -> Outcome {
    let _heartbeat = session.heartbeat();
    let planned = session.plan(&args.selection.select).await?;
    planned.require_step("trace", &session.engine)?;
    for build in &planned.plan.builds {
        let mut runner = session.open(&planned, build, &args.build).await?;
        let emitted = runner.emit().await?;
        session.print(&emitted, || emitted.object.display().to_string());
    }
    Ok(())
}

pub(crate) async fn check(args: &ImageArgs, session: &Session) -> Outcome {
    require_image(args.image.as_deref())?;
    let _heartbeat = session.heartbeat();
    let planned = session.plan(&args.select).await?;
    planned.require_images(args.image.as_deref(), &session.engine)?;
    for build in &planned.plan.builds {
        let mut runner = session.open(&planned, build, &args.build).await?;
        let image = runner.existing_image(args.image.as_deref())?;
        let record = runner.check_image(&image).await?;
        session.print(&record, || check_summary(&image, &record));
        let residuals = record.residuals.iter();
        for residual in residuals.filter(|_| !session.global.json) {
            let text = format!("  still compiled: {residual}");
            session.terminal.say(&text);
        }
    }
    Ok(())
}

pub(crate) async fn pack(args: &PackArgs, session: &Session) -> Outcome {
    let sign = args.sign.as_deref();
    let sign = sign.map(|command| session.engine.signing(command, session.variables.iter()));
    let signing = sign.transpose()?;
    let planned = session.plan(&args.selection.select).await?;
    planned.require_step("check", &session.engine)?;
    for build in &planned.plan.builds {
        let mut runner = BuildRunner::to_pack(&session.engine, &planned, build).await?;
        runner.signing.clone_from(&signing);
        let dist = args.out.folder(&planned);
        for (packed, receipt) in runner.archives(&dist).await? {
            session.print(&receipt, || packed.archive.display().to_string());
        }
    }
    Ok(())
}
