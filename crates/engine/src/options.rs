//! The options of a build: the caller's decisions, in addition to the project's own files.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

pub use sysforge_build::inputs::ImageOptions;
use sysforge_bundle::{BundleError, Signing};
use sysforge_plan::Os;
use sysforge_plan::link::LinkerChoice;

use crate::engine::Engine;
use crate::error::EngineError;
use crate::failure::Failure;

/// The time after which a Julia that prints nothing and uses no CPU is stopped.
pub const IDLE: Duration = Duration::from_secs(600);

/// The options of a build, or of one of its steps.
#[derive(Debug, Clone)]
pub struct BuildOptions {
    /// Which packages are used, and where they are installed.
    pub packages: PackageOptions,
    /// The options that change the image; they are part of the fingerprint.
    pub image: ImageOptions,
    /// Maximum duration of one child; `None` for no limit.
    pub timeout: Option<Duration>,
    /// How long a Julia may print nothing and use no CPU; `None` for no limit.
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
    /// Fail unless the project's own manifest can be used unchanged.
    pub locked: bool,
    /// The depot that packages are installed in; the other depots are still read.
    pub depot: Option<PathBuf>,
}

impl Engine {
    /// Returns the command that signs bundles, which gets the `variables` that are meant for it.
    ///
    /// # Errors
    ///
    /// If it cannot be split into words, or is empty.
    pub fn signing(
        &self,
        command: &str,
        variables: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<Signing, Failure> {
        let host = Self::host().map_or(Os::Linux, sysforge_plan::Triplet::os);
        let words = sysforge_plan::link::words(command, host);
        let words = words.map_err(EngineError::SigningCommand)?;
        let signing = Signing::new(words, &self.environment, variables);
        Ok(signing.ok_or(BundleError::NoSigning)?)
    }
}

/// Returns the linker that the options ask for.
///
/// # Errors
///
/// [`EngineError::Compiler`] if a quote in the command of the compiler is not closed.
pub fn linker(options: &ImageOptions) -> Result<LinkerChoice, EngineError> {
    let host = Engine::host().map_or(Os::Linux, sysforge_plan::Triplet::os);
    Ok(match &options.cc {
        // An option for this call takes precedence over JULIA_CC.
        _ if !options.linker.is_empty() => LinkerChoice::Only(options.linker.clone()),
        Some(words) => LinkerChoice::parse(words, host)?,
        None => LinkerChoice::Auto,
    })
}
