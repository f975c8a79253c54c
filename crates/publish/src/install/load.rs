//! Loading an image once before it is installed: with the Julia that it was built for, in a clean
//! environment. This shows that it starts and contains what it should.

use std::path::Path;
use std::time::Duration;

use sysforge_plan::release::ReleaseImage;
use sysforge_plan::{JuliaFacts, Step};
use sysforge_process::Program;

use super::Surroundings;
use super::activate::extended;
use super::error::InstallError;
use super::images::StagedImage;
use crate::archive::ARTIFACTS;

/// Prints the modules that are loaded at start-up. `loaded_modules` exists since 0.7; the standard
/// library's own functions for this differ between versions.
const SCRIPT: &str = "for id in keys(Base.loaded_modules) println(id.name) end";

/// Maximum time for a start. It takes less than a second, but longer if a slow disk reads 170 MB.
const LIMIT: Duration = Duration::from_secs(120);

pub(super) async fn load_once(
    fresh: &StagedImage,
    image: &ReleaseImage,
    julia: &JuliaFacts,
    surroundings: &Surroundings<'_>,
) -> Result<(), InstallError> {
    let task = surroundings.reporter.start(Step::Check, "load it once");
    let path = fresh.folder().join(&image.receipt.image.name);
    let program = program(&julia.executable, &path, surroundings)
        .arg("-e")
        .arg(SCRIPT);
    let finished = surroundings
        .children
        .run(&program, &task)
        .await
        .map_err(|source| InstallError::DoesNotLoad {
            julia: julia.executable.clone(),
            source,
        })?;
    let loaded: Vec<_> = finished.stdout.lines().collect();
    for package in &image.receipt.check.loaded {
        if !loaded.contains(&package.as_str()) {
            return Err(InstallError::Lacks(package.clone()));
        }
    }
    task.done(format!("{:.2} s", finished.wall.as_secs_f64()));
    Ok(())
}

fn program(julia: &Path, image: &Path, surroundings: &Surroundings<'_>) -> Program {
    let mut clean = surroundings.environment.clean();
    let folder = image
        .parent()
        .filter(|folder| folder.join(ARTIFACTS).is_dir());
    if let Some(folder) = folder {
        let depots = extended(None, &folder.display().to_string());
        clean = clean.with("JULIA_DEPOT_PATH", depots);
    }
    let log = image.with_extension("load.log");
    Program::new(julia, clean, log)
        .option("--sysimage", image)
        .args(["--startup-file=no", "--history-file=no", "--color=no"])
        .timeout(Some(LIMIT))
}
