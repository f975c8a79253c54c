//! `sysforge plan`: what would be built.

use sysforge_engine::matrix::Release;
use sysforge_engine::overview::Overview;

use crate::args::PlanArgs;
use crate::failure::{Failure, Outcome};
use crate::github::{source_options, variable};
use crate::session::{Session, today};

pub(crate) async fn run(args: &PlanArgs, session: &Session) -> Outcome {
    let engine = &session.engine;
    let planned = session.plan(&args.select).await?;
    let platforms = planned.files.inputs.config.platforms.values();
    let labels = platforms.filter_map(|platform| platform.runner.as_deref());
    engine.warn_of_runners(labels, today());
    let released = release(args, session)?.builds(engine).await?;
    let overview = Overview::of(&planned, &args.options(), &released, engine)?;
    session.print(&overview, || overview.to_string());
    Ok(())
}

/// The release that the arguments and the environment name.
pub(super) fn release(args: &PlanArgs, session: &Session) -> Result<Release, Failure> {
    let repository = variable(session, "GITHUB_REPOSITORY");
    Release::new(
        args.release.as_deref(),
        args.tag.as_deref(),
        repository.as_deref(),
        || source_options(session, true),
    )
}
