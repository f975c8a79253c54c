//! The matrix: which runner makes which builds. Computed by one job, read by many, so it has to
//! stay within what GitHub takes: 256 legs, and 1 MB of outputs.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::build_id::BuildId;
use crate::config::Config;
use crate::digest::Sha256;
use crate::explain::{Class, Explain};
use crate::plan::{Build, Plan, PlannedJulia};
use crate::platform::Triplet;
use crate::runner::{Day, Dying, Runner};

/// The most jobs that one matrix may have.
pub const LEGS: usize = 256;

/// The most that a job's outputs may hold, in bytes of UTF-16.
pub const OUTPUT: usize = 1 << 20;

/// The longest that GitHub lets a job run, in minutes.
pub const LONGEST: u32 = 360;

/// One job of the matrix. Every value is text or a number, as `fromJSON` hands it to the job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Leg {
    /// What the job is called, and its artifact: the build identifier, or that of the first of
    /// several builds and their number.
    pub name: String,
    /// The runner's label.
    pub runner: String,
    /// The platform.
    pub triplet: Triplet,
    /// The exact Julia version.
    pub julia: String,
    /// Build identifiers, with spaces between.
    pub builds: String,
    /// After this many minutes the job is stopped.
    pub timeout: u32,
    /// Names what the store will hold, for the cache.
    pub store: String,
    /// Names the packages that the depot will hold, for the cache.
    pub packages: String,
}

/// One platform, on which the release is verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// The platform.
    pub triplet: Triplet,
    /// The runner's label.
    pub runner: String,
    /// After this many minutes the job is stopped.
    pub timeout: u32,
}

/// The whole matrix.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Matrix {
    /// The jobs that build.
    pub legs: Vec<Leg>,
    /// The jobs that verify, for all platforms of the plan.
    pub verify: Vec<Verification>,
    /// Builds that a release has already, made from the same inputs.
    pub existing: Vec<BuildId>,
    /// What a user should know about the runners.
    #[serde(skip)]
    pub dying: Vec<Dying>,
}

/// One plan of the project: for one platform and one Julia.
#[derive(Debug, Clone)]
pub struct Part {
    /// The plan.
    pub plan: Plan,
    /// For each of its builds, the digest of what decides it.
    pub digests: Vec<Sha256>,
    /// The digest of the packages that its builds need: those that the manifest names, or without
    /// a manifest what the project asks for.
    pub packages: Sha256,
}

/// No matrix can be made.
#[derive(Debug, thiserror::Error)]
pub enum MatrixError {
    /// No hosted runner, and none was named.
    #[error("there is no hosted runner for {0}")]
    NoRunner(Triplet),
    /// The runner is of another platform.
    #[error("the runner `{runner}` runs {its}, and was named for {triplet}")]
    OtherPlatform {
        /// The label.
        runner: &'static str,
        /// Its platform.
        its: &'static str,
        /// The one it was named for.
        triplet: Triplet,
    },
    /// Too many builds.
    #[error(
        "{builds} builds do not fit into {LEGS} jobs of at most {} hours, which is what GitHub takes",
        LONGEST / 60
    )]
    TooMany {
        /// How many.
        builds: usize,
    },
    /// Too many Julias, each of which has jobs of its own.
    #[error(
        "{pairs} pairs of a platform and a Julia do not fit into {LEGS} jobs, which is what GitHub \
         takes: a job has one of each"
    )]
    TooManyJulias {
        /// How many pairs.
        pairs: usize,
    },
    /// Too long names.
    #[error("the matrix has {size} bytes, and GitHub takes {OUTPUT}")]
    TooLarge {
        /// How many, in UTF-16.
        size: usize,
    },
    /// A Julia of this machine cannot be had on others.
    #[error("`{0}` is a Julia of this machine, which other runners do not have")]
    LocalJulia(String),
}

impl Explain for MatrixError {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn hints(&self) -> Vec<String> {
        vec![match self {
            Self::NoRunner(triplet) => format!(
                "name one of your own: `[platforms.\"{triplet}\"]` with `runner = \"…\"` in \
                 Sysimage.toml"
            ),
            Self::OtherPlatform { triplet, .. } => match Runner::of(*triplet) {
                Some(runner) => format!("`{}` is one for {triplet}", runner.label),
                None => format!("name a runner for {triplet}"),
            },
            Self::TooMany { .. } | Self::TooManyJulias { .. } | Self::TooLarge { .. } => {
                "ask for fewer Julias, CPU tiers or platforms, or plan a part at a time: \
                 `sysforge plan --matrix '*-linux-gnu'`"
                    .to_owned()
            }
            Self::LocalJulia(_) => {
                "ask for a version or a channel: `julia = \"release\"` in Sysimage.toml".to_owned()
            }
        }]
    }
}

/// Builds that a release has, each with the digest of what decided it.
pub type Existing = BTreeSet<(BuildId, Sha256)>;

impl Matrix {
    /// The matrix of these plans, without what exists.
    ///
    /// # Errors
    ///
    /// If a platform has no runner, or there are more builds than GitHub runs.
    pub fn new(
        parts: &[Part],
        config: &Config,
        existing: &Existing,
        today: Day,
    ) -> Result<Self, MatrixError> {
        let mut matrix = Self::default();
        let mut wanted: BTreeMap<(Triplet, String), Vec<Member<'_>>> = BTreeMap::new();
        for part in parts {
            for (build, digest) in part.plan.builds.iter().zip(&part.digests) {
                let runner = matrix.runner(build.triplet, config, today)?;
                let timeout = timeout(build, config);
                matrix.verifies(build.triplet, runner);
                if existing.contains(&(build.id.clone(), *digest)) {
                    matrix.existing.push(build.id.clone());
                } else {
                    let key = (build.triplet, build.julia.version().to_string());
                    let packages = &part.packages;
                    wanted.entry(key).or_default().push(Member {
                        build,
                        timeout,
                        packages,
                    });
                }
            }
        }
        let builds: usize = wanted.values().map(Vec::len).sum();
        let legs = |share: usize| {
            wanted
                .values()
                .map(|group| group.len().div_ceil(share))
                .sum::<usize>()
        };
        // As many builds share a job as must.
        let share = (1..=builds.max(1))
            .find(|share| legs(*share) <= LEGS)
            .ok_or(MatrixError::TooManyJulias {
                pairs: wanted.len(),
            })?;
        for ((triplet, julia), group) in &wanted {
            let runner = label(*triplet, config)?;
            for shared in group.chunks(share) {
                let minutes = shared.iter().map(|member| member.timeout).sum();
                if share > 1 && minutes > LONGEST {
                    return Err(MatrixError::TooMany { builds });
                }
                matrix.legs.push(leg(shared, &runner, julia, minutes));
            }
        }
        let size = matrix.size();
        if size > OUTPUT {
            return Err(MatrixError::TooLarge { size });
        }
        Ok(matrix)
    }

    fn runner(
        &mut self,
        triplet: Triplet,
        config: &Config,
        today: Day,
    ) -> Result<String, MatrixError> {
        let label = label(triplet, config)?;
        if let Some(dying) = Runner::named(&label).and_then(|runner| runner.dying(today))
            && !self.dying.contains(&dying)
        {
            self.dying.push(dying);
        }
        Ok(label)
    }

    fn verifies(&mut self, triplet: Triplet, runner: String) {
        if self.verify.iter().all(|known| known.triplet != triplet) {
            self.verify.push(Verification {
                triplet,
                runner,
                timeout: 60,
            });
        }
    }

    /// The matrix of the jobs that build, as `fromJSON` wants it.
    #[must_use]
    pub fn legs_json(&self) -> String {
        serde_json::json!({ "include": self.legs }).to_string()
    }

    /// The matrix of the jobs that verify, as `fromJSON` wants it.
    #[must_use]
    pub fn verify_json(&self) -> String {
        serde_json::json!({ "include": self.verify }).to_string()
    }

    /// What the outputs take, in bytes of UTF-16.
    fn size(&self) -> usize {
        let units = |text: String| text.encode_utf16().count() * 2;
        units(self.legs_json()) + units(self.verify_json())
    }
}

fn label(triplet: Triplet, config: &Config) -> Result<String, MatrixError> {
    let named = config.platforms.get(&triplet);
    let Some(label) = named.and_then(|platform| platform.runner.clone()) else {
        let runner = Runner::of(triplet).ok_or(MatrixError::NoRunner(triplet))?;
        return Ok(runner.label.to_owned());
    };
    match Runner::named(&label) {
        Some(runner) if runner.platform != triplet.name() => Err(MatrixError::OtherPlatform {
            runner: runner.label,
            its: runner.platform,
            triplet,
        }),
        _ => Ok(label),
    }
}

/// One build of a leg.
struct Member<'a> {
    build: &'a Build,
    timeout: u32,
    packages: &'a Sha256,
}

fn leg(builds: &[Member<'_>], runner: &str, julia: &str, minutes: u32) -> Leg {
    let first = builds[0].build;
    let name = match builds.len() {
        1 => first.id.to_string(),
        count => format!("{}-and-{}-more", first.id, count - 1),
    };
    let ids = builds.iter().map(|member| member.build.id.as_str());
    let ids: Vec<&str> = ids.collect();
    let short = |digest: &str| digest.get(..16).unwrap_or("").to_owned();
    let archive = match &first.julia {
        PlannedJulia::Catalogue { choice, .. } => choice.file.sha256.to_string(),
        PlannedJulia::Given { .. } => String::new(),
    };
    Leg {
        name,
        runner: runner.to_owned(),
        triplet: first.triplet,
        julia: julia.to_owned(),
        builds: ids.join(" "),
        timeout: minutes.min(LONGEST),
        store: format!("{}-{julia}-{}", first.triplet, short(&archive)),
        // The builds of one leg are of one project, platform and Julia, so their packages agree.
        packages: short(&builds[0].packages.to_string()),
    }
}

/// How long a build may take, in minutes: what is configured, else three times what one of its
/// size is expected to take on a hosted runner. Emission grows with the code of the packages and
/// with the number of CPU targets that it is compiled for.
fn timeout(build: &Build, config: &Config) -> u32 {
    let platform = config.platforms.get(&build.triplet);
    if let Some(minutes) = platform.and_then(|platform| platform.timeout) {
        return minutes.clamp(1, LONGEST);
    }
    // Standard libraries have no tree in the manifest, and are in the base image.
    let closure = build.closure.iter();
    let packages = closure.filter(|package| package.tree.is_some());
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let packages = count(packages.count());
    let workloads = count(config.workloads.len());
    let targets = count(build.cpu.target.split(';').count());
    let emission = 4 + packages.saturating_mul(targets + 1) / 8;
    let expected = 5 + emission + workloads.saturating_mul(2);
    expected.saturating_mul(3).clamp(30, LONGEST)
}

#[cfg(test)]
#[path = "matrix/tests.rs"]
mod tests;
