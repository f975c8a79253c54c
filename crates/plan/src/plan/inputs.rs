//! What a plan is made from.

use super::build::Build;
use super::error::PlanError;
use crate::build_id::BuildId;
use crate::config::Config;
use crate::cpu::{self, CpuTarget};
use crate::generation::Generation;
use crate::manifests::Manifests;
use crate::platform::Triplet;
use crate::project::Project;
use crate::request::{ProjectJulia, Request};

/// The input of a plan. The caller has read the files.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// The project file.
    pub project: Project,
    /// The manifests; the Julia version decides which one is used.
    pub manifests: Manifests,
    /// The configuration; the default one if there is no `Sysimage.toml`.
    pub config: Config,
    /// The folder's name, used if neither project nor configuration has a name.
    pub folder: String,
    /// Requests from the command line, which replace the configured ones.
    pub requests: Vec<String>,
    /// The platform to plan for.
    pub triplet: Triplet,
}

impl Inputs {
    /// Returns the effective requests: those of the command line, otherwise the configured ones,
    /// otherwise the manifest's version, otherwise `release`.
    ///
    /// # Errors
    ///
    /// If one is invalid, or needs information that the project does not contain.
    pub fn requests(&self) -> Result<Vec<Request>, PlanError> {
        let manifest = self.manifests.request();
        let texts = match (self.requests.is_empty(), self.config.julia.0.is_empty()) {
            (false, _) => self.requests.clone(),
            (true, false) => self.config.julia.0.clone(),
            (true, true) if manifest.is_some() => vec!["manifest".to_owned()],
            (true, true) => vec!["release".to_owned()],
        };
        let about = ProjectJulia {
            manifest,
            compat: self.project.compat.get("julia").cloned(),
        };
        let mut requests = Vec::new();
        for text in texts {
            for request in Request::parse_list(&text)? {
                requests.push(request.for_project(&about)?);
            }
        }
        Ok(requests)
    }

    /// Returns the build that replaces `build` if its image is only used on the machine that makes it:
    /// for the CPU of this machine alone. Returns `None` if the configuration chooses the CPU targets, or
    /// if the image would have one target anyway.
    pub fn for_this_machine(&self, build: &Build) -> Option<Build> {
        let generation = Generation::of(build.julia.version())?;
        if self.chooses_cpu()
            || !generation.keeps_targets
            || cpu::cloning(&build.cpu.target).len() < 2
        {
            return None;
        }
        let tier = cpu::NATIVE;
        let name = self.name().ok()?;
        // A folder of its own: an image for other machines stays current beside it.
        let id = BuildId::of(&name, build.julia.version(), build.triplet, Some(tier)).ok()?;
        Some(Build {
            id,
            cpu: CpuTarget {
                tier: Some(tier.to_owned()),
                target: tier.to_owned(),
            },
            ..build.clone()
        })
    }

    /// Returns whether a build is one that [`Self::for_this_machine`] returned.
    pub fn is_for_this_machine(&self, build: &Build) -> bool {
        !self.chooses_cpu() && build.cpu.tier.is_some()
    }

    /// Returns whether the configuration names CPU targets.
    fn chooses_cpu(&self) -> bool {
        !self.config.cpu.0.is_empty()
    }
}
