//! Every build of a project on every platform, for the jobs of a CI service.

use std::collections::BTreeSet;

use serde_json::json;
use sysforge_plan::catalogue::{Catalogue, NoJulia};
use sysforge_plan::matrix::{Existing, MatrixError, Part};
use sysforge_plan::plan::{PlanError, PlannedJulia};
use sysforge_plan::runner::Runner;
use sysforge_plan::{BuildId, Config, Request, Sha256, Triplet};
use sysforge_publish::install::open_release::SourceOptions;
use sysforge_publish::install::{InstallError, OpenRelease, Source};

use crate::engine::Engine;
use crate::failure::Failure;
use crate::options::BuildOptions;
use crate::planning::Planned;

/// The builds of all platforms.
#[derive(Debug)]
pub struct Parts {
    /// The project's configuration.
    pub config: Config,
    /// The plans, one for each platform and Julia.
    pub parts: Vec<Part>,
    /// What there is to say about the platforms that are left out.
    pub notes: Vec<String>,
}

/// Any platform: what is read with it does not depend on it.
const ANY: Triplet = Triplet::X86_64_LINUX_GNU;

/// The plans for each platform and Julia, and what there is to say about those left out.
///
/// # Errors
///
/// If the project cannot be read, no platform has a Julia, or a pattern selects nothing.
pub async fn parts(
    engine: &Engine,
    requests: &[String],
    select_patterns: &[String],
    options: &BuildOptions,
) -> Result<Parts, Failure> {
    let files = engine.location.read(requests, ANY)?;
    let config = files.inputs.config.clone();
    let chosen: Vec<Triplet> = config.platforms.keys().copied().collect();
    let platforms = match chosen.is_empty() {
        true => Runner::platforms(),
        false => chosen,
    };
    let asked = requests;
    let requests = files.inputs.requests()?;
    if let Some(local) = requests.iter().find(|request| !request.needs_catalogue()) {
        return Err(MatrixError::LocalJulia(local.to_string()).into());
    }
    let catalogue = engine.acquirer()?.catalogue().await?;
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
                parts.push(part(engine, asked, julia, triplet, options)?);
            }
        }
    }
    if let (true, Some(error)) = (parts.is_empty(), refused) {
        return Err(PlanError::NoJulia(error).into());
    }
    select(&mut parts, select_patterns)?;
    Ok(Parts {
        config,
        parts,
        notes,
    })
}

/// The builds of a release, public or still a draft, each with the digest of its inputs. A release that
/// does not exist yet has none.
///
/// # Errors
///
/// If it cannot be read.
pub async fn existing(
    source: &Source,
    options: &SourceOptions,
    engine: &Engine,
) -> Result<Existing, Failure> {
    let index = match OpenRelease::open(source, options).await {
        Ok(release) => release.index(&[]).await,
        Err(error) => Err(error),
    };
    match index {
        Ok((index, _)) => {
            let receipts = index.images.into_iter().map(|image| image.receipt);
            Ok(receipts
                .map(|receipt| (receipt.build_id, receipt.inputs_digest))
                .collect())
        }
        Err(error @ InstallError::NoRelease(_)) => {
            engine.reporter.note(error.to_string());
            Ok(Existing::new())
        }
        Err(error) => Err(error.into()),
    }
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
    engine: &Engine,
    asked: &[String],
    julia: PlannedJulia,
    triplet: Triplet,
    options: &BuildOptions,
) -> Result<Part, Failure> {
    let files = engine.location.read(asked, triplet)?;
    let plan = files.inputs.plan(vec![julia])?;
    let planned = Planned::without_nightlies(files, plan);
    let builds = planned.plan.builds.iter();
    let digests = builds
        .map(|build| Ok(planned.fingerprint(engine, build, options)?.digest()))
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
