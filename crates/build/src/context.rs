//! What every step of a build needs: the Julia, the project, the environment, and where to work
//! and report.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sysforge_plan::generation::Generation;
use sysforge_plan::{JuliaFacts, Reporter};

use crate::workdir::WorkDir;
use sysforge_process::Environment;
use sysforge_process::{Children, Program};

/// The surroundings of a build's steps.
#[derive(Debug)]
pub struct Context {
    /// The Julia that the image is for.
    pub julia: JuliaFacts,
    /// Its generation.
    pub generation: &'static Generation,
    /// The sysimage that is traced on and emitted from, if it is not Julia's own.
    pub base: Option<PathBuf>,
    /// The project's folder.
    pub project: PathBuf,
    /// Where Julia finds the packages.
    pub packages: PackageEnvironment,
    /// The environment that Sysforge was started with, and what the configuration adds.
    pub environment: Environment,
    /// Starts the children.
    pub children: Children,
    /// Where events go.
    pub reporter: Reporter,
    /// The build's folder.
    pub work: WorkDir,
    /// How long one child may take.
    pub timeout: Option<Duration>,
    /// How long a Julia may neither say nor compute anything.
    pub idle: Option<Duration>,
}

/// Where Julia finds the packages of a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageEnvironment {
    /// The folder of the environment: the project's, or one of the build.
    pub project: PathBuf,
    /// The folder of an environment with packages that only the workloads need.
    pub workload: Option<PathBuf>,
}

impl PackageEnvironment {
    /// The project's own environment.
    #[must_use]
    pub fn of_project(folder: &Path) -> Self {
        Self {
            project: folder.to_owned(),
            workload: None,
        }
    }
}

/// The one flag that every Julia of a build has and a user does not give: the startup file of whoever
/// builds must not matter. It changes nothing else: where there is no startup file, Julia records the
/// same statements with and without it (tests/outputs.rs). `--color` would change the type of standard
/// output, so it is never given.
const PLAIN: [&str; 1] = ["--startup-file=no"];

impl Context {
    /// This Julia with plain settings, seeing the project and the standard libraries and nothing
    /// else. The project is set by environment variables, as `--project` does not reach the
    /// workers of Distributed.
    #[must_use]
    pub fn julia(&self, environment: Environment, log: &str) -> Program {
        self.julia_in(&self.packages, environment, log)
    }

    /// The same with the packages of another environment.
    #[must_use]
    pub fn julia_in(
        &self,
        packages: &PackageEnvironment,
        environment: Environment,
        log: &str,
    ) -> Program {
        Program::new(&self.julia.executable, environment, self.work.log(log))
            .env("JULIA_PROJECT", packages.project.as_os_str())
            .env("JULIA_LOAD_PATH", self.load_path(packages))
            .args(PLAIN)
            .timeout(self.timeout)
            .idle(self.idle)
    }

    /// The flag that keeps native code out of package images, where it would be hidden from
    /// tracing and missing in the image.
    #[must_use]
    pub fn without_package_images(&self) -> Option<&'static str> {
        self.generation.package_images.then_some("--pkgimages=no")
    }

    fn load_path(&self, packages: &PackageEnvironment) -> OsString {
        let separator = self.julia.triplet.os().conventions().path_list_separator;
        let mut path = OsString::from("@");
        for entry in packages.workload.iter().map(|w| w.as_os_str()) {
            path.push(separator.to_string());
            path.push(entry);
        }
        path.push(format!("{separator}@stdlib"));
        path
    }
}

/// A path for a person: relative to the project if it is inside.
#[must_use]
pub fn shown(path: &Path, project: &Path) -> String {
    path.strip_prefix(project)
        .unwrap_or(path)
        .display()
        .to_string()
}
