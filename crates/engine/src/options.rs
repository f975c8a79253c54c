//! The options of a build: what the caller decides, beyond the project's own files.

use std::path::PathBuf;
use std::time::Duration;

pub use sysforge_build::inputs::ImageOptions;
use sysforge_plan::Os;
use sysforge_plan::link::LinkerChoice;

use crate::engine::Engine;
use crate::error::EngineError;

/// A Julia that has printed nothing and used no CPU for this long is stopped.
pub const IDLE: Duration = Duration::from_secs(600);

/// The options of a build, or of one of its steps.
#[derive(Debug, Clone)]
pub struct BuildOptions {
    /// Which packages are used, and where they are installed.
    pub packages: PackageOptions,
    /// What changes the image: part of the fingerprint.
    pub image: ImageOptions,
    /// How long one child may take; no limit if `None`.
    pub timeout: Option<Duration>,
    /// How long a Julia may print nothing and use no CPU; no limit if `None`.
    pub idle: Option<Duration>,
}

impl Default for BuildOptions {
    fn default() -> Self {
        Self {
            packages: PackageOptions::default(),
            image: ImageOptions::default(),
            timeout: None,
            idle: Some(IDLE),
        }
    }
}

/// Which packages are used, and where they are installed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PackageOptions {
    /// Fail unless the project's own manifest can be used as it is.
    pub locked: bool,
    /// The depot that packages are installed in; the others are still read.
    pub depot: Option<PathBuf>,
}

/// Which linker the options ask for.
///
/// # Errors
///
/// If the command cannot be split into words.
pub fn linker(options: &ImageOptions) -> Result<LinkerChoice, EngineError> {
    let host = Engine::host().map_or(Os::Linux, sysforge_plan::Triplet::os);
    Ok(match &options.cc {
        // Named for this one call, it precedes what JULIA_CC says.
        _ if !options.linker.is_empty() => LinkerChoice::Only(options.linker.clone()),
        Some(words) => LinkerChoice::parse(words, host)?,
        None => LinkerChoice::Auto,
    })
}
