//! `sysforge plan --matrix`: every build of the project on every platform, as jobs.

use sysforge_engine::matrix::{Jobs, parts};

use super::plan::release;
use crate::args::PlanArgs;
use crate::failure::Outcome;
use crate::github::variable;
use crate::session::{Session, today};

pub(crate) async fn run(args: &PlanArgs, session: &Session) -> Outcome {
    let engine = &session.engine;
    let release = release(args, session)?;
    let parts = parts(engine, &session.global.julia, &args.select, &args.options()).await?;
    // The scheduled run looks for new Julias. The variable is empty where nothing was released.
    let is_scheduled = variable(session, "GITHUB_EVENT_NAME").as_deref() == Some("schedule");
    let tag = session.variables.get("SYSFORGE_TAG");
    let nothing_released = is_scheduled && tag.is_some_and(|tag| tag.is_empty());
    let jobs = Jobs::new(parts, release, nothing_released, today(), engine).await?;
    if let Some(path) = &args.out {
        let text = serde_json::to_string_pretty(&jobs).unwrap_or_default();
        sysforge_engine::paths::write_file(path, &text)?;
    }
    let commit = variable(session, "GITHUB_SHA").unwrap_or_default();
    session.set_outputs(&jobs.outputs(&commit));
    session.runner.summarize(&jobs.summary());
    session.terminal.json(&jobs);
    Ok(())
}
