//! `sysforge plan --matrix`: every build of the project on every platform, as jobs.

use std::collections::BTreeSet;

use serde_json::json;
use sysforge_actions::summary;
use sysforge_engine::{BuildOptions, Planned, ProjectFiles};
use sysforge_plan::catalogue::{Catalogue, NoJulia};
use sysforge_plan::matrix::{Matrix, MatrixError, Part};
use sysforge_plan::plan::{PlanError, PlannedJulia};
use sysforge_plan::runner::Runner;
use sysforge_plan::{BuildId, Request, Sha256, Triplet};

use crate::args::PlanArgs;
use crate::commands::existing;
use crate::failure::{Failure, Outcome};
use crate::github::variable;
use crate::runner::today;
use crate::session::Session;

pub(crate) async fn run(args: &PlanArgs, session: &Session) -> Outcome {
    let tag = existing::tag(args)?;
    let (mut parts, mut notes) = parts(args, session).await?;
    if nothing_to_add_to(args, session) {
        parts.clear();
        notes.push(
            "there is no release yet that images for new Julias could be added to".to_owned(),
        );
    }
    let config = project(session, session_triplet())?.inputs.config;
    let existing = existing::builds(args, session).await?;
    let matrix = Matrix::new(&parts, &config, &existing, today())?;
    for dying in &matrix.dying {
        session
            .engine
            .reporter
            .warn(dying.to_string(), Some(dying.hint()));
    }
    for note in &notes {
        session.engine.reporter.note(note);
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

/// Any platform: what is read with it does not depend on it.
fn session_triplet() -> Triplet {
    Triplet::X86_64_LINUX_GNU
}

fn project(session: &Session, triplet: Triplet) -> Result<ProjectFiles, Failure> {
    session.engine.location.read(&session.global.julia, triplet)
}

/// The plans for each platform and Julia, and what there is to say about those left out.
async fn parts(args: &PlanArgs, session: &Session) -> Result<(Vec<Part>, Vec<String>), Failure> {
    let files = project(session, session_triplet())?;
    let chosen: Vec<Triplet> = files.inputs.config.platforms.keys().copied().collect();
    let platforms = match chosen.is_empty() {
        true => Runner::platforms(),
        false => chosen,
    };
    let requests = files.inputs.requests()?;
    let options = args.options();
    if let Some(local) = requests.iter().find(|request| !request.needs_catalogue()) {
        return Err(MatrixError::LocalJulia(local.to_string()).into());
    }
    let catalogue = session.engine.acquirer()?.catalogue().await?;
    let (mut parts, mut notes) = (Vec::new(), Vec::new());
    let mut refused = None;
    let mut seen = BTreeSet::new();
    for triplet in platforms {
        for request in &requests {
            let julia = match answer(&catalogue, request, triplet) {
                Ok(julia) => julia,
                // A platform that Julia left out is skipped; that none has it is an error.
                Err(error) => {
                    notes.push(format!("left out: {error}"));
                    refused = Some(error);
                    continue;
                }
            };
            if seen.insert((triplet, julia.version().clone())) {
                parts.push(part(session, julia, triplet, &options)?);
            }
        }
    }
    if let (true, Some(error)) = (parts.is_empty(), refused) {
        return Err(PlanError::NoJulia(error).into());
    }
    select(&mut parts, &args.select)?;
    Ok((parts, notes))
}

fn answer(
    catalogue: &Catalogue,
    request: &Request,
    triplet: Triplet,
) -> Result<PlannedJulia, NoJulia> {
    Ok(PlannedJulia::Catalogue {
        request: request.to_string(),
        choice: catalogue.choose(request, triplet)?,
    })
}

fn part(
    session: &Session,
    julia: PlannedJulia,
    triplet: Triplet,
    options: &BuildOptions,
) -> Result<Part, Failure> {
    let files = project(session, triplet)?;
    let plan = files.inputs.plan(vec![julia])?;
    let planned = Planned::without_nightlies(files, plan);
    let builds = planned.plan.builds.iter();
    let digests = builds
        .map(|build| Ok(planned.basis(&session.engine, build, options)?.digest()))
        .collect::<Result<_, Failure>>()?;
    let packages = packages(&planned);
    Ok(Part {
        plan: planned.plan,
        digests,
        packages,
    })
}

/// The digest of what decides which packages a depot must hold: the packages that the manifest
/// names, and what the project asks for, which alone decides where there is no manifest.
fn packages(planned: &Planned) -> Sha256 {
    let project = &planned.files.inputs.project;
    let decides = json!([planned.plan.closure, project.deps, project.compat]);
    Sha256::of(decides.to_string())
}

/// Keeps what the globs select, over all platforms.
fn select(parts: &mut Vec<Part>, patterns: &[String]) -> Result<(), PlanError> {
    let known: Vec<BuildId> = parts
        .iter()
        .flat_map(|part| part.plan.builds.iter().map(|build| build.id.clone()))
        .collect();
    for pattern in patterns {
        if !known.iter().any(|id| id.matches(pattern)) {
            return Err(PlanError::NothingSelected {
                pattern: pattern.clone(),
                known: known.iter().map(ToString::to_string).collect(),
            });
        }
    }
    if !patterns.is_empty() {
        for part in parts.iter_mut() {
            let builds = std::mem::take(&mut part.plan.builds);
            let digests = std::mem::take(&mut part.digests);
            let kept = builds.into_iter().zip(digests);
            let kept = kept.filter(|(build, _)| patterns.iter().any(|p| build.id.matches(p)));
            (part.plan.builds, part.digests) = kept.unzip();
        }
        parts.retain(|part| !part.plan.builds.is_empty());
    }
    Ok(())
}
