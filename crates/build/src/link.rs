//! Links the image: from the objects that Julia emitted to a shared library that Julia can load.
//! The `plan` crate decides what is linked and the order of linkers; this module finds the linkers,
//! identifies and runs them, and inspects the result before it is moved to its destination.

mod attempt;
mod command;
mod error;
mod find;
pub mod foreign;
mod libraries;
mod paths;
mod prepare;
mod probe;
mod sample;
mod scan;

use std::path::{Path, PathBuf};
use std::time::Duration;

use sysforge_plan::generation::Generation;
use sysforge_plan::library::LibraryLink;
use sysforge_plan::link::linker::candidates;
use sysforge_plan::link::{Expectation, Inspection, Layout, Linked, LinkerChoice};
use sysforge_plan::{JuliaFacts, Os, Task};

use self::attempt::Link;
pub use self::error::LinkError;
pub use self::find::{compiler_variable, host, which};
use self::paths::{absolute, create_dir};
use self::prepare::{
    quiet, require_image, require_one, resolve, unresolved, write_exports, write_libsystem,
};
pub use self::prepare::{require_linker, require_program};
use self::probe::Prober;
use crate::{Children, Environment};

/// The settings of one link.
#[derive(Debug, Clone)]
pub struct LinkJob {
    /// The emitted objects, or archives of objects.
    pub objects: Vec<PathBuf>,
    /// The path of the image to write.
    pub output: PathBuf,
    /// The image's file name, from which its SONAME or install name is derived.
    pub name: String,
    /// The Julia that will load it.
    pub julia: JuliaFacts,
    /// The linker requested by the user.
    pub linker: LinkerChoice,
    /// Whether symbols and debug sections are stripped.
    pub strip: bool,
    /// Functions to export in addition to those that Julia looks up. Functions that a package made
    /// callable from C (`@ccallable`) are detected automatically.
    pub exports: Vec<String>,
    /// The settings of a C library, in addition to those of an image.
    pub library: Option<LibraryLink>,
    /// The environment of the linkers.
    pub environment: Environment,
    /// The folder for lists and logs of the link.
    pub work_dir: PathBuf,
    /// The log of the first linker tried; later ones add a number.
    pub log: PathBuf,
    /// Time limit of a linker.
    pub timeout: Option<Duration>,
}

/// Links an image, and moves it to its destination once it has passed inspection.
///
/// # Errors
///
/// Returns [`LinkError`] and leaves nothing at the output path.
pub async fn link(job: &LinkJob, children: &Children, task: &Task) -> Result<Linked, LinkError> {
    let triplet = job.julia.triplet;
    let generation = Generation::of(&job.julia.version)
        .ok_or_else(|| LinkError::TooOld(job.julia.version.clone()))?;
    let layout = Layout::of(triplet.os(), generation);
    create_dir(&job.work_dir)?;
    let work_dir = absolute(&job.work_dir)?;
    let scan = scan::scan(&job.objects, triplet)?;
    let libraries = libraries::find(&layout, &job.julia)?;
    require_image(&scan, generation, &job.julia)?;
    let unresolved = unresolved(&scan, &libraries, &job.julia)?;

    let environment = quiet(&job.environment);
    let inventory = find::inventory(&job.julia, &environment, &work_dir);
    let choice = resolve(&job.linker, &environment)?;
    require_one(triplet, generation, &choice, &inventory)?;
    let mut toolchains = Vec::new();
    if triplet.os() == Os::Windows {
        let prober = Prober {
            triplet,
            environment: environment.clone(),
            work_dir: &work_dir,
            children,
            task,
        };
        for driver in &inventory.drivers {
            if !prober.is_ucrt(driver).await {
                toolchains.push(driver.clone());
            }
        }
    }
    let link = Link {
        job,
        layout,
        exports: write_exports(job, &scan, &work_dir)?,
        shims: work_dir.join("linkers"),
        toolchains,
        libsystem: write_libsystem(triplet.os(), &scan, &work_dir)?,
        missing: unresolved.missing,
        support: unresolved.support,
        scan,
        libraries,
        environment,
        work_dir,
        children,
        task,
    };
    link.first_that_works(candidates(triplet, generation, &choice, &inventory))
        .await
}

/// Checks that an image linked by another tool meets the requirements for `julia`. It may have any
/// name, and export more than Julia needs.
///
/// # Errors
///
/// [`LinkError::Rejected`] with all defects.
pub fn verify(
    image: &Inspection,
    path: &Path,
    julia: &JuliaFacts,
    stripped: bool,
) -> Result<(), LinkError> {
    let generation =
        Generation::of(&julia.version).ok_or_else(|| LinkError::TooOld(julia.version.clone()))?;
    let libraries = libraries::find(&Layout::of(julia.triplet.os(), generation), julia)?;
    let names = libraries.into_iter().map(|library| library.name).collect();
    let mut wanted = Expectation::new(julia, generation, "", names, stripped);
    wanted.name = None;
    wanted.run_paths.clear();
    wanted.restricted = false;
    image.verify(&wanted).map_err(|findings| LinkError::NoGood {
        path: path.to_owned(),
        findings,
    })
}

#[cfg(test)]
mod on_windows_tests;
#[cfg(test)]
mod tests;
