//! Starting Julia with an image that was built on this machine.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use sysforge_build::WorkDir;
use sysforge_build::instantiate::Instantiated;
use sysforge_plan::plan::{Build, PlannedJulia};
use sysforge_plan::{Receipt, image_environment};
use sysforge_publish::install::activate::{Start, UserLists};

use crate::engine::Engine;
use crate::error::EngineError;
use crate::failure::Failure;
use crate::paths::write_file;
use crate::planning::Planned;
use crate::runner::{PROBED, Probed};

/// Returns the path of a build's image in the build folder.
pub fn image_file(engine: &Engine, planned: &Planned, build: &Build) -> PathBuf {
    let extension = build.triplet.os().conventions().library_extension;
    let folder = planned.folder_of(engine, build);
    folder.join(format!("{}.{extension}", build.id))
}

/// Returns how to start Julia with the image of a build that is up to date.
///
/// # Errors
///
/// If the image was not built, or its environment cannot be written.
pub fn start(
    engine: &Engine,
    planned: &Planned,
    build: &Build,
    receipt: &Receipt,
) -> Result<Start, Failure> {
    let image = image_file(engine, planned, build);
    let folder = image.parent().unwrap_or(Path::new("."));
    let environment = write_environment(folder, receipt)?;
    let mut lists = UserLists::of(&engine.environment);
    let installed: Option<(_, Instantiated)> = WorkDir::peek(folder, "instantiate");
    let depot_path = installed.and_then(|(_, installed)| installed.depot_path);
    if depot_path.is_some() {
        // The depots that the packages and artifacts were installed in.
        lists.depot_path.clone_from(&depot_path);
    }
    let julia = julia(build, folder)?;
    let mut start = Start::new(&julia, &image, Some(&environment), None, &lists);
    start
        .variables
        .extend(depot_path.map(|path| ("JULIA_DEPOT_PATH", path)));
    Ok(start)
}

/// Returns the Julia that an image was built with.
pub(crate) fn julia_of(
    engine: &Engine,
    planned: &Planned,
    build: &Build,
) -> Result<PathBuf, EngineError> {
    let image = image_file(engine, planned, build);
    julia(build, image.parent().unwrap_or(Path::new(".")))
}

fn julia(build: &Build, folder: &Path) -> Result<PathBuf, EngineError> {
    if let PlannedJulia::Given { executable, .. } = &build.julia {
        return Ok(executable.clone());
    }
    let probed: Option<(_, Probed)> = WorkDir::peek(folder, PROBED);
    let probed = probed.map(|(_, probed)| probed.facts.executable);
    probed.ok_or_else(|| EngineError::NoImage(folder.to_owned()))
}

/// Writes the environment of the image, unless an identical one exists.
fn write_environment(folder: &Path, receipt: &Receipt) -> Result<PathBuf, EngineError> {
    let environment = folder.join("image-environment");
    let manifest = sysforge_files::read_text(folder.join("packed-manifest.toml")).ok();
    let files = [
        (
            image_environment::PROJECT,
            Some(image_environment::project(&receipt.packages)),
        ),
        (
            image_environment::START_SCRIPT,
            Some(image_environment::start_script(&receipt.packages)),
        ),
        ("Manifest.toml", manifest),
    ];
    for (name, text) in files {
        let path = environment.join(name);
        let Some(text) = text else { continue };
        if sysforge_files::read_text(&path).is_ok_and(|before| before == text) {
            continue;
        }
        write_file(&path, &text)?;
    }
    Ok(environment)
}

/// Replaces this process by the project's Julia with the image of a build that is up to date.
/// `arguments` follow those that load the image. Returns only if Julia cannot be started.
///
/// # Errors
///
/// Those of [`start`]. If Julia cannot be started, the result is `Ok` with that error.
pub fn replace_process(
    planned: &Planned,
    build: &Build,
    receipt: &Receipt,
    arguments: &[OsString],
    engine: &Engine,
) -> Result<EngineError, Failure> {
    let start = start(engine, planned, build, receipt)?;
    let project = (
        OsStr::new("JULIA_PROJECT"),
        planned.files.folder.as_os_str(),
    );
    let variables = start.variables.iter();
    let variables = variables.map(|(name, value)| (OsStr::new(*name), OsStr::new(value)));
    let variables = std::iter::once(project).chain(variables);
    let own = start.arguments.iter().map(OsStr::new);
    let arguments = own.chain(arguments.iter().map(OsString::as_os_str));
    let source = sysforge_process::replace(Path::new(&start.julia), arguments, variables);
    let program = start.julia.into();
    Ok(EngineError::NotStarted { program, source })
}

/// Makes sure, before anything is built, that the script among Julia's arguments exists.
///
/// # Errors
///
/// [`EngineError::NoScript`] if the first argument ends in `.jl` and there is no such file.
pub fn require_script(arguments: &[OsString]) -> Result<(), EngineError> {
    let Some(first) = arguments.first().map(Path::new) else {
        return Ok(());
    };
    // Anything else may be an option of Julia, or the value of one.
    let is_script = first.extension().is_some_and(|extension| extension == "jl");
    if !is_script || first.exists() {
        return Ok(());
    }
    let folder = first.parent().filter(|parent| *parent != Path::new(""));
    let entries = std::fs::read_dir(folder.unwrap_or(Path::new("."))).into_iter();
    let entries = entries.flatten().flatten();
    let names: Vec<_> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.ends_with(".jl"))
        .collect();
    let typed = first.file_name().unwrap_or_default().to_string_lossy();
    let nearest = sysforge_plan::explain::nearest(&typed, names.iter().map(String::as_str));
    Err(EngineError::NoScript {
        path: first.to_owned(),
        nearest: nearest.map(|name| first.with_file_name(name).display().to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_script_is_reported_with_the_nearest_name() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("analyse.jl"), "").unwrap();
        let arguments = |name: &str| vec![folder.path().join(name).into_os_string()];
        let error = require_script(&arguments("analyze.jl")).unwrap_err();
        let EngineError::NoScript { nearest, .. } = error else {
            panic!("{error}");
        };
        let expected = folder.path().join("analyse.jl").display().to_string();
        assert_eq!(nearest, Some(expected));
        require_script(&arguments("analyse.jl")).unwrap();
        // An option of Julia, or the value of one.
        require_script(&["-e".into(), "1".into()]).unwrap();
        require_script(&[]).unwrap();
    }
}
