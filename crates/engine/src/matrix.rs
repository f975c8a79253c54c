//! All builds of a project on all platforms, for the jobs of a CI service.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::json;
use sysforge_plan::catalogue::{Catalogue, NoJulia};
use sysforge_plan::matrix::{Existing, Matrix, MatrixError, Part};
use sysforge_plan::plan::{PlanError, PlannedJulia};
use sysforge_plan::runner::{Day, Runner};
use sysforge_plan::text::{Rule as _, Tag};
use sysforge_plan::{BuildId, Config, Request, Sha256, Triplet};
use sysforge_publish::PublishError;
use sysforge_publish::install::open_release::SourceOptions;
use sysforge_publish::install::source::is_site;
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
    /// Notes on the platforms that are left out.
    pub notes: Vec<String>,
}

/// An arbitrary platform, for reading what does not depend on the platform.
const ANY: Triplet = Triplet::X86_64_LINUX_GNU;

/// Returns the plans for each platform and Julia, and notes on the platforms that are left out.
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
                // A platform that a Julia is not published for is skipped; if this is every
                // platform, it is an error.
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

/// A release, public or still a draft, that may have some of the builds already.
#[derive(Debug)]
pub struct Release {
    /// Its tag; `None` if the run releases nothing.
    pub tag: Option<String>,
    source: Option<(Source, SourceOptions)>,
}

impl Release {
    /// The release `source`, or that of `tag` in `repository`, which is read with `options`.
    /// Workflows pass an empty tag if there is none.
    ///
    /// # Errors
    ///
    /// If the tag or the source is not valid, or there are no options.
    pub fn new(
        source: Option<&str>,
        tag: Option<&str>,
        repository: Option<&str>,
        options: impl FnOnce() -> Result<SourceOptions, PublishError>,
    ) -> Result<Self, Failure> {
        let tag = tag.filter(|tag| !tag.is_empty()).map(Tag::name_in);
        if let Some(tag) = tag.filter(|tag| Tag::check(tag).is_err()) {
            return Err(PublishError::BadTag(tag.to_owned()).into());
        }
        let source = match (source, tag, repository) {
            (Some(source), _, _) => Some(Source::parse(source, is_site)?),
            (None, Some(tag), Some(repository)) => Some(Source::github(repository, Some(tag))?),
            _ => None,
        };
        let source = source.map(|source| Ok::<_, PublishError>((source, options()?)));
        Ok(Self {
            tag: tag.map(str::to_owned),
            source: source.transpose()?,
        })
    }

    /// Returns the builds of the release, each with the digest of its inputs. A release that does
    /// not exist yet has none.
    ///
    /// # Errors
    ///
    /// If the host cannot be reached, or the index of an existing release cannot be read or is not
    /// valid.
    pub async fn builds(&self, engine: &Engine) -> Result<Existing, Failure> {
        let Some((source, options)) = &self.source else {
            return Ok(Existing::new());
        };
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
}

/// The jobs of a run: a matrix, and its origin. Serializes to the JSON of `sysforge plan --matrix`.
#[derive(Debug, Serialize)]
pub struct Jobs {
    /// The tag that is released.
    pub tag: Option<String>,
    /// The identifiers of all archives: of images, apps and libraries.
    pub builds: Vec<BuildId>,
    /// The jobs.
    pub matrix: Matrix,
    /// Notes on the platforms that are left out.
    #[serde(skip)]
    pub notes: Vec<String>,
}

impl Jobs {
    /// Returns the jobs for these parts, without the builds that `release` has. With
    /// `nothing_released` there are none: the run only looks for new Julias, and there is no
    /// release to add images to.
    ///
    /// # Errors
    ///
    /// If the release cannot be read, a platform has no runner, or there are too many builds.
    pub async fn new(
        parts: Parts,
        release: Release,
        nothing_released: bool,
        today: Day,
        engine: &Engine,
    ) -> Result<Self, Failure> {
        let Parts {
            config,
            mut parts,
            mut notes,
        } = parts;
        if nothing_released {
            parts.clear();
            notes.push(
                "there is no release yet that images for new Julias could be added to".to_owned(),
            );
        }
        let existing = release.builds(engine).await?;
        let matrix = Matrix::new(&parts, &config, &existing, today)?;
        for retirement in &matrix.retirements {
            engine
                .reporter
                .warn(retirement.to_string(), Some(retirement.hint()));
        }
        for note in &notes {
            engine.reporter.note(note);
        }
        let archives = parts.iter().flat_map(|part| {
            let builds = part.plan.builds.iter();
            builds.flat_map(|build| build.archives(&part.plan.name).unwrap_or_default())
        });
        let builds = archives.collect();
        Ok(Self {
            tag: release.tag,
            builds,
            matrix,
            notes,
        })
    }

    /// Returns the outputs of the CI step that plans. `commit` is the commit of the run.
    pub fn outputs(&self, commit: &str) -> Vec<(&'static str, String)> {
        let tag = self.tag.as_deref();
        let reference = tag.map_or(commit.to_owned(), |tag| format!("refs/tags/{tag}"));
        vec![
            ("matrix", self.matrix.legs_json()),
            ("verify", self.matrix.verify_json()),
            ("legs", self.matrix.legs.len().to_string()),
            ("tag", tag.unwrap_or_default().to_owned()),
            ("ref", reference),
        ]
    }

    /// Returns the summary of the CI step that plans.
    pub fn summary(&self) -> String {
        sysforge_actions::summary::plan(self.tag.as_deref(), &self.matrix, &self.notes)
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
    let plan = files.plan(vec![julia])?;
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

/// Returns the digest of the inputs that decide which packages a depot must contain: the manifest's
/// packages, and the project's requirements, which alone decide if there is no manifest.
fn packages(planned: &Planned) -> Sha256 {
    let project = &planned.files.inputs.project;
    let decides = json!([planned.plan.closure, project.deps, project.compat]);
    Sha256::of(decides.to_string())
}

/// Keeps the builds that the globs select, over all platforms.
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
