//! Installing the packages of each planned build.

use std::path::PathBuf;

use serde::Serialize;
use sysforge_build::depots;
use sysforge_build::instantiate::Instantiated;
use sysforge_plan::BuildId;
use sysforge_plan::explain::PathError;

use crate::engine::Engine;
use crate::error::EngineError;
use crate::failure::Failure;
use crate::options::BuildOptions;
use crate::planning::Planned;
use crate::runner::{self, BuildRunner, Repeat};

/// How packages are installed.
#[derive(Debug)]
pub struct Installation {
    /// The options of the builds.
    pub options: BuildOptions,
    /// Whether Pkg runs even if nothing is missing.
    pub repeat: Repeat,
    /// Whether to remove packages and artifacts afterwards that these builds do not need, from the
    /// depot that the options name.
    pub prune: bool,
}

/// The environment of a build with its packages installed.
#[derive(Debug, Serialize)]
pub struct InstalledEnvironment {
    /// The build.
    pub build_id: BuildId,
    /// The folder that Julia uses as the project.
    pub project: PathBuf,
    /// The manifest.
    pub manifest: Option<PathBuf>,
    /// Whether its versions were resolved for this build.
    pub resolved: bool,
    /// The environment with the packages that only the workloads need.
    pub workload: Option<PathBuf>,
    /// The number of packages and artifacts in depots.
    pub installed: usize,
    /// Whether nothing was missing.
    pub reused: bool,
}

impl Installation {
    /// Installs the packages of each planned build.
    ///
    /// # Errors
    ///
    /// If the manifest cannot be used, or Pkg fails.
    pub async fn run(
        &self,
        planned: &Planned,
        engine: &Engine,
    ) -> Result<Vec<InstalledEnvironment>, Failure> {
        let packages = &self.options.packages;
        let (mut environments, mut all) = (Vec::new(), Vec::new());
        for build in &planned.plan.builds {
            planned.check_options(engine, build, &self.options)?;
            // This does not start Julia, if nothing is missing.
            let known = match self.repeat {
                Repeat::IfNeeded => runner::recorded(engine, planned, build, packages),
                Repeat::Always => None,
            };
            let reused = known.is_some();
            let instantiated = match known {
                Some(known) => known,
                None => {
                    let mut runner =
                        BuildRunner::probed(engine, planned, build, &self.options).await?;
                    runner.instantiate(self.repeat).await?;
                    let Some(done) = runner.instantiated() else {
                        continue;
                    };
                    done.clone()
                }
            };
            environments.push(InstalledEnvironment {
                build_id: build.id.clone(),
                project: instantiated.packages.project.clone(),
                manifest: instantiated.manifest.clone(),
                resolved: instantiated.resolved,
                workload: instantiated.packages.workload.clone(),
                installed: instantiated.installed(),
                reused,
            });
            all.push(instantiated);
        }
        if self.prune {
            self.prune(&all, engine)?;
        }
        Ok(environments)
    }

    /// Removes everything from the depot that none of these environments needs.
    fn prune(&self, environments: &[Instantiated], engine: &Engine) -> Result<(), Failure> {
        let Some(depot) = &self.options.packages.depot else {
            return Ok(());
        };
        let depot = engine.absolute(depot);
        let needed = environments.iter().flat_map(Instantiated::folders);
        let pruned = depots::prune(&depot, &needed.cloned().collect());
        let pruned = pruned.map_err(PathError::wrap("write", &depot, EngineError::Path))?;
        if !pruned.removed.is_empty() {
            engine.reporter.note(format!(
                "removed {} packages and artifacts that are no longer needed from {}",
                pruned.removed.len(),
                depot.display()
            ));
        }
        Ok(())
    }
}
