//! The data needed by every step of a build: the Julia, the project, the environment, the build
//! directory and the reporter.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sysforge_plan::generation::Generation;
use sysforge_plan::{JuliaFacts, Reporter};

use crate::workdir::WorkDir;
use sysforge_process::Environment;
use sysforge_process::{Children, Program};

/// The context of a build's steps.
#[derive(Debug)]
pub struct Context {
    /// The Julia that the image is for.
    pub julia: JuliaFacts,
    /// Its generation.
    pub generation: &'static Generation,
    /// The sysimage for tracing and emitting, if it is not Julia's own.
    pub base: Option<PathBuf>,
    /// The project's folder.
    pub project: PathBuf,
    /// The environment with the packages.
    pub packages: PackageEnvironment,
    /// Sysforge's own environment and the variables added by the configuration.
    pub environment: Environment,
    /// Starts the children.
    pub children: Children,
    /// Receives events.
    pub reporter: Reporter,
    /// The build's folder.
    pub work: WorkDir,
    /// Time limit of a child process.
    pub timeout: Option<Duration>,
    /// How long a Julia may produce no output and use no CPU.
    pub idle: Option<Duration>,
}

/// The environments with the packages of a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageEnvironment {
    /// The folder of the environment: the project's or one of the build.
    pub project: PathBuf,
    /// The folder of an environment with packages that only the workloads need.
    pub workload: Option<PathBuf>,
}

impl PackageEnvironment {
    /// Returns the project's own environment.
    pub fn of_project(folder: &Path) -> Self {
        Self {
            project: folder.to_owned(),
            workload: None,
        }
    }
}

/// The only option that every Julia of a build has and that users do not set: the startup file of
/// the user who builds must not affect the result. It has no other effect: without a startup file,
/// Julia records the same statements with and without it (tests/outputs.rs). `--color` would change
/// the type of standard output, so it is never passed.
const PLAIN: [&str; 1] = ["--startup-file=no"];

impl Context {
    /// Returns this Julia with default settings and a load path of the project and the standard
    /// libraries only. Environment variables set the project, because the workers of Distributed do
    /// not inherit `--project`.
    pub fn julia(&self, environment: Environment, log: &str) -> Program {
        self.julia_in(&self.packages, environment, log)
    }

    /// Does the same with the packages of another environment.
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

    /// Returns the flag that keeps native code out of package images, where tracing would not see
    /// it and the image would lack it.
    pub fn without_package_images(&self) -> Option<&'static str> {
        self.generation.package_images.then_some("--pkgimages=no")
    }

    /// Returns the options for a Julia that only records what it compiles. With `-O1` it records the same
    /// statements (tests/outputs.rs) and compiles in about two thirds of the time: the insurance example runs
    /// for 13.6 instead of 20.2 s with Julia 1.10.8. Code that LLVM would vectorise runs slower.
    pub fn recording(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once("-O1").chain(self.without_package_images())
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

/// Returns a path for display: relative to the project if it is inside.
pub fn shown(path: &Path, project: &Path) -> String {
    path.strip_prefix(project)
        .unwrap_or(path)
        .display()
        .to_string()
}

/// A context whose Julia is a shell script.
#[cfg(test)]
#[cfg(unix)]
pub(crate) mod testing {
    use std::os::unix::fs::PermissionsExt;

    use sysforge_plan::{BuildId, JuliaVersion, Triplet};

    use super::*;

    /// Writes `script` as the executable of a Julia of this version, with the build's folder in
    /// `folder`.
    pub(crate) fn context(folder: &Path, version: (u64, u64), script: &str) -> Context {
        let executable = folder.join("mock-julia");
        std::fs::write(&executable, script).unwrap();
        std::fs::set_permissions(&executable, std::fs::Permissions::from_mode(0o755)).unwrap();
        let version = JuliaVersion::new(version.0, version.1, 0);
        let triplet = Triplet::X86_64_LINUX_GNU;
        let id = BuildId::of("x", &version, triplet, None).unwrap();
        Context {
            generation: Generation::of(&version).unwrap(),
            julia: JuliaFacts {
                executable,
                version,
                commit: String::new(),
                triplet,
                bindir: "/julia/bin".into(),
                libdir: "/julia/lib".into(),
                private_libdir: "/julia/lib/julia".into(),
                private_libexecdir: None,
                stdlib: "/julia/stdlib".into(),
                base_image: "/julia/sys.so".into(),
                cpu_name: "haswell".to_owned(),
                cpu_threads: 2,
            },
            base: None,
            project: folder.to_owned(),
            packages: PackageEnvironment::of_project(folder),
            environment: Environment::new([("PATH".into(), "/usr/bin:/bin".into())]),
            children: Children::default(),
            reporter: Reporter::silent(),
            work: WorkDir::open(folder, &id).unwrap(),
            timeout: None,
            idle: None,
        }
    }
}
