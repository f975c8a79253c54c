//! Linking objects and inspecting images, independent of any project.

use std::path::{Path, PathBuf};

use sysforge_build::inspect::inspect;
use sysforge_build::link::{self, LinkError, LinkJob, foreign};
use sysforge_build::probe;
use sysforge_plan::link::{Inspection, Linked};
use sysforge_plan::{JuliaFacts, JuliaVersion, Step, Triplet};

use crate::engine::Engine;
use crate::error::EngineError;
use crate::failure::Failure;
use crate::options::{BuildOptions, linker};
use crate::paths::{absolute, require_no_device};

/// The Julia to link for.
#[derive(Debug)]
pub struct LinkTarget {
    /// Its folder.
    pub julia: PathBuf,
    /// Its platform, for a Julia that this machine cannot run.
    pub triplet: Option<Triplet>,
    /// The version of that Julia, if its folder does not tell.
    pub version: Option<JuliaVersion>,
}

impl LinkTarget {
    /// The Julia that was named, which must be one folder.
    ///
    /// # Errors
    ///
    /// If none was named, or several.
    pub fn new(
        julias: &[String],
        triplet: Option<Triplet>,
        version: Option<JuliaVersion>,
    ) -> Result<Self, EngineError> {
        let [julia] = julias else {
            return Err(EngineError::NoJuliaFolder);
        };
        Ok(Self {
            julia: absolute(Path::new(julia)),
            triplet,
            version,
        })
    }

    /// Returns the facts about the Julia: queries it, or reads its folder if this machine cannot
    /// run it.
    async fn facts(&self, engine: &Engine) -> Result<JuliaFacts, Failure> {
        match self.triplet {
            Some(triplet) => Ok(foreign::facts(&self.julia, triplet, self.version.clone())?),
            None => engine.ask(&probe::executable_at(&self.julia)?).await,
        }
    }
}

/// Makes sure that none of these build identifiers is the path of an object file.
///
/// # Errors
///
/// If one is: linking objects requires the name of the image.
pub fn require_no_objects(inputs: &[PathBuf]) -> Result<(), EngineError> {
    let is_object = |path: &&PathBuf| {
        let extension = path.extension().and_then(|extension| extension.to_str());
        matches!(extension, Some("a" | "o" | "obj" | "lib"))
    };
    match inputs.iter().find(is_object) {
        Some(object) => Err(EngineError::NoImageName(object.clone())),
        None => Ok(()),
    }
}

/// Links `objects` into the image `output`. Exports `exports` in addition to the symbols that Julia
/// looks up.
///
/// # Errors
///
/// If there is no such Julia, or no linker produces a valid image.
pub async fn link(
    objects: Vec<PathBuf>,
    output: &Path,
    exports: &[String],
    target: &LinkTarget,
    options: &BuildOptions,
    engine: &Engine,
) -> Result<Linked, Failure> {
    let Some(name) = output.file_name() else {
        return Err(EngineError::NoFileName(output.to_owned()).into());
    };
    require_no_device(output)?;
    let name = name.to_string_lossy().into_owned();
    // Lists and logs are next to the image while it is linked, and are kept to explain a failure.
    let work_dir = output.with_file_name(format!(".{name}.link"));
    let julia = target.facts(engine).await?;
    let linker = linker(&options.image)?;
    let environment = engine.environment.clone();
    let (environment, _lease) = engine.with_compiler(environment, julia.triplet, &linker)?;
    let job = LinkJob {
        objects,
        name: name.clone(),
        julia,
        linker,
        strip: options.image.strip,
        exports: exports.to_vec(),
        library: None,
        environment,
        log: work_dir.join("link.log"),
        work_dir: work_dir.clone(),
        timeout: options.timeout,
        output: output.to_owned(),
    };
    let task = engine.reporter.start(Step::Link, &name);
    let linked = link::link(&job, &engine.children, &task).await;
    if linked.is_ok() || !job.log.exists() {
        let _ = std::fs::remove_dir_all(&work_dir);
    }
    let linked = linked?;
    task.done(format!(
        "{} MB by {}",
        linked.inspection.bytes / 1_000_000,
        linked.linker_version
    ));
    Ok(linked)
}

/// Inspects an image that was linked elsewhere. The second value is the defect, if there is one.
///
/// # Errors
///
/// If it cannot be read, or there is no such Julia.
pub async fn inspect_image(
    image: &Path,
    target: &LinkTarget,
    options: &BuildOptions,
    engine: &Engine,
) -> Result<(Inspection, Result<(), LinkError>), Failure> {
    let julia = target.facts(engine).await?;
    let inspection = inspect(image).map_err(LinkError::from)?;
    let verified = link::verify(&inspection, image, &julia, options.image.strip);
    Ok((inspection, verified))
}
