//! The matrix: which runner makes which builds. One job computes it and many read it, so it must
//! stay within GitHub's limits: 256 jobs, and 1 MB of outputs.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::build_id::BuildId;
use crate::config::Config;
use crate::digest::Sha256;
use crate::explain::{Class, Explain};
use crate::plan::{Build, Plan, PlannedJulia};
use crate::platform::Triplet;
use crate::runner::{Day, Retirement, Runner};

/// The maximum number of jobs in a matrix.
pub const LEGS: usize = 256;

/// The maximum size of a job's outputs, in bytes of UTF-16.
pub const OUTPUT: usize = 1 << 20;

/// The maximum run time of a job on GitHub, in minutes.
pub const LONGEST: u32 = 360;

/// One job of the matrix. Every value is a string or a number, as `fromJSON` passes it to the job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Leg {
    /// The name of the job and of its artifact: the build identifier, or for several builds the
    /// first identifier and their number.
    pub name: String,
    /// The runner's label.
    pub runner: String,
    /// The platform.
    pub triplet: Triplet,
    /// The exact Julia version.
    pub julia: String,
    /// Build identifiers, separated by spaces.
    pub builds: String,
    /// The job's time limit in minutes.
    pub timeout: u32,
    /// The cache key for the store.
    pub store: String,
    /// The cache key for the packages in the depot.
    pub packages: String,
}

/// A platform on which the release is verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// The platform.
    pub triplet: Triplet,
    /// The runner's label.
    pub runner: String,
    /// The job's time limit in minutes.
    pub timeout: u32,
}

/// The whole matrix.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Matrix {
    /// The build jobs.
    pub legs: Vec<Leg>,
    /// The verification jobs, for all platforms of the plan.
    pub verify: Vec<Verification>,
    /// Builds that the release already contains, made from the same inputs.
    pub existing: Vec<BuildId>,
    /// Runners that will be removed soon.
    #[serde(skip)]
    pub retirements: Vec<Retirement>,
}

/// A plan of the project for one platform and one Julia.
#[derive(Debug, Clone)]
pub struct Part {
    /// The plan.
    pub plan: Plan,
    /// For each of its builds, the digest of all inputs.
    pub digests: Vec<Sha256>,
    /// The digest of the packages that its builds need: those in the manifest, or without a
    /// manifest those that the project requests.
    pub packages: Sha256,
}

/// The matrix cannot be made.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages describe the variants")]
pub enum MatrixError {
    #[error("there is no hosted runner for {0}")]
    NoRunner(Triplet),
    #[error("the runner `{runner}` runs {its}, and was named for {triplet}")]
    OtherPlatform {
        runner: &'static str,
        its: &'static str,
        triplet: Triplet,
    },
    #[error(
        "{builds} builds do not fit into {LEGS} jobs of at most {} hours, which is what GitHub takes",
        LONGEST / 60
    )]
    TooMany { builds: usize },
    #[error(
        "{pairs} pairs of a platform and a Julia do not fit into {LEGS} jobs, which is what GitHub \
         takes: a job has one of each"
    )]
    TooManyJulias { pairs: usize },
    #[error("the matrix has {size} bytes, and GitHub takes {OUTPUT}")]
    TooLarge {
        /// Their size in bytes of UTF-16.
        size: usize,
    },
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

/// Builds in a release, each with the digest of its inputs.
pub type Existing = BTreeSet<(BuildId, Sha256)>;

impl Matrix {
    /// Returns the matrix of these plans, without existing builds.
    ///
    /// # Errors
    ///
    /// If a platform has no runner, or there are more builds than GitHub allows.
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
                // A build exists if all of its archives do.
                let archives = build.archives(&part.plan.name).unwrap_or_default();
                let mut archives = archives.into_iter().map(|id| (id, *digest));
                if archives.len() > 0 && archives.all(|archive| existing.contains(&archive)) {
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
        // The smallest number of builds per job that fits into the limit.
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
        if let Some(retirement) = Runner::named(&label).and_then(|runner| runner.retirement(today))
            && !self.retirements.contains(&retirement)
        {
            self.retirements.push(retirement);
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

    /// Returns the matrix of the build jobs, for `fromJSON`.
    pub fn legs_json(&self) -> String {
        serde_json::json!({ "include": self.legs }).to_string()
    }

    /// Returns the matrix of the verification jobs, for `fromJSON`.
    pub fn verify_json(&self) -> String {
        serde_json::json!({ "include": self.verify }).to_string()
    }

    /// Returns the size of the outputs, in bytes of UTF-16.
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

/// A build of a job.
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
        // The builds of one job have the same project, platform and Julia, and so the same
        // packages.
        packages: short(&builds[0].packages.to_string()),
    }
}

/// Returns the time limit of a build, in minutes: the configured one, otherwise three times the
/// expected time on a hosted runner. Emission time grows with the code of the packages and with the
/// number of CPU targets.
fn timeout(build: &Build, config: &Config) -> u32 {
    let platform = config.platforms.get(&build.triplet);
    if let Some(minutes) = platform.and_then(|platform| platform.timeout) {
        return minutes.clamp(1, LONGEST);
    }
    // Standard libraries have no tree in the manifest; they are in the base image.
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
