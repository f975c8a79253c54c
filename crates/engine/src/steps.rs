//! The single steps of a build, for scripts.

use std::path::{Path, PathBuf};

use serde::Serialize;
use sysforge_build::check::CheckError;
use sysforge_build::inspect;
use sysforge_build::rounds::Traced;
use sysforge_build::workdir::{WorkDir, WorkDirError};
use sysforge_plan::BuildId;
use sysforge_plan::receipt::CheckRecord;
use sysforge_plan::statements::{Ignored, is_plain};

use crate::engine::Engine;
use crate::error::EngineError;
use crate::failure::Failure;
use crate::paths::absolute;
use crate::planning::Planned;
use crate::runner::BuildRunner;
use crate::start::image_file;

/// The statements that a trace recorded.
#[derive(Debug, Serialize)]
pub struct TraceReport<'a> {
    /// The build.
    pub build_id: &'a BuildId,
    /// Statements that are plain calls of `precompile`.
    pub statements: Vec<&'a String>,
    /// Statements that are evaluated, which may compile nothing.
    pub evaluated: Vec<&'a String>,
    /// Lines of the user's files that are not statements.
    pub ignored: &'a [Ignored],
}

impl<'a> TraceReport<'a> {
    /// Creates the report of a trace.
    pub fn of(build_id: &'a BuildId, traced: &'a Traced) -> Self {
        let (statements, evaluated) = traced.statements.iter().partition(|text| is_plain(text));
        Self {
            build_id,
            statements,
            evaluated,
            ignored: &traced.ignored,
        }
    }
}

/// Describes the result of a check in one line.
pub fn check_summary(image: &Path, record: &CheckRecord) -> String {
    format!(
        "{}: loads, holds {}, {} residual statements",
        image.display(),
        record.loaded.join(", "),
        record.residuals.len()
    )
}

/// Makes sure that the named image exists.
///
/// # Errors
///
/// [`EngineError::NoImage`] if it is not a file.
pub fn require_image(image: Option<&Path>) -> Result<(), EngineError> {
    match image.map(absolute) {
        Some(image) if !image.is_file() => Err(EngineError::NoImage(image)),
        _ => Ok(()),
    }
}

impl Planned {
    /// Makes sure that the previous step was done for each build, before a Julia is downloaded for the
    /// next one.
    ///
    /// # Errors
    ///
    /// For the first build without the step.
    pub fn require_step(&self, step: &'static str, engine: &Engine) -> Result<(), WorkDirError> {
        let mut builds = self.plan.builds.iter();
        builds.try_for_each(|build| WorkDir::require(&self.folder_of(engine, build), step))
    }

    /// Makes sure that each build has an image, unless one is named, before a Julia is downloaded.
    ///
    /// # Errors
    ///
    /// For the first build without an image.
    pub fn require_images(&self, named: Option<&Path>, engine: &Engine) -> Result<(), EngineError> {
        let builds = self.plan.builds.iter().filter(|_| named.is_none());
        let mut images = builds.map(|build| image_file(engine, self, build));
        images.try_for_each(|image| require_image(Some(&image)))
    }
}

impl BuildRunner<'_> {
    /// Returns the named image, or else the one of this build.
    ///
    /// # Errors
    ///
    /// [`EngineError::NoImage`] if it is not a file.
    pub fn existing_image(&self, named: Option<&Path>) -> Result<PathBuf, EngineError> {
        let image = named.map_or_else(|| self.image(), absolute);
        require_image(Some(&image))?;
        Ok(image)
    }

    /// Checks an image. The result is recorded for `pack` if it is the image of this build.
    ///
    /// # Errors
    ///
    /// If the file is not a library, or the image fails the check.
    pub async fn check_image(&mut self, image: &Path) -> Result<CheckRecord, Failure> {
        // Julia must not see a file that is not a library.
        inspect::inspect(image).map_err(CheckError::Broken)?;
        let record = self.check(image).await?;
        if image == self.image() {
            self.record_check(&record)?;
        }
        Ok(record)
    }
}
