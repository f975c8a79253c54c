//! `sysforge plan --matrix`: every build of the project on every platform, as jobs.

use serde_json::json;
use sysforge_actions::summary;
use sysforge_engine::matrix::{Parts, parts};
use sysforge_plan::BuildId;
use sysforge_plan::matrix::Matrix;

use crate::args::PlanArgs;
use crate::commands::existing;
use crate::failure::Outcome;
use crate::github::variable;
use crate::runner::today;
use crate::session::Session;

pub(crate) async fn run(args: &PlanArgs, session: &Session) -> Outcome {
    let tag = existing::tag(args)?;
    let (engine, julia) = (&session.engine, &session.global.julia);
    let Parts {
        config,
        mut parts,
        mut notes,
    } = parts(engine, julia, &args.select, &args.options()).await?;
    if nothing_to_add_to(args, session) {
        parts.clear();
        notes.push(
            "there is no release yet that images for new Julias could be added to".to_owned(),
        );
    }
    let existing = existing::builds(args, session).await?;
    let matrix = Matrix::new(&parts, &config, &existing, today())?;
    for dying in &matrix.dying {
        engine.reporter.warn(dying.to_string(), Some(dying.hint()));
    }
    for note in &notes {
        engine.reporter.note(note);
    }
    let builds: Vec<&BuildId> = parts
        .iter()
        .flat_map(|part| part.plan.builds.iter().map(|build| &build.id))
        .collect();
    let whole = json!({ "tag": tag, "builds": builds, "matrix": matrix });
    if let Some(path) = &args.out {
        let text = serde_json::to_string_pretty(&whole).unwrap_or_default();
        super::write_file(path, &text)?;
    }
    let runner = &session.runner;
    runner.output("matrix", &matrix.legs_json());
    runner.output("verify", &matrix.verify_json());
    runner.output("legs", &matrix.legs.len().to_string());
    runner.output("tag", tag.unwrap_or_default());
    let commit = variable(session, "GITHUB_SHA").unwrap_or_default();
    let reference = tag.map_or(commit, |tag| format!("refs/tags/{tag}"));
    runner.output("ref", &reference);
    runner.summarise(&summary::plan(tag, &matrix, &notes));
    session.terminal.json(&whole);
    Ok(())
}

/// Whether this is the regular look for new Julias, before anything was ever released.
fn nothing_to_add_to(args: &PlanArgs, session: &Session) -> bool {
    let event = variable(session, "GITHUB_EVENT_NAME");
    // Workflows that publish nothing name no tag, not even an empty one.
    event.as_deref() == Some("schedule") && args.tag.as_deref() == Some("")
}
