//! What a Julia reports about itself, as values for the later steps. The `build` crate queries
//! Julia for them; no code assumes a layout (official, Debian and Windows layouts differ).

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::platform::Triplet;
use crate::text;
use crate::version::JuliaVersion;

/// An available Julia, as it describes itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JuliaFacts {
    /// The executable.
    pub executable: PathBuf,
    /// `VERSION`.
    pub version: JuliaVersion,
    /// `Base.GIT_VERSION_INFO.commit`; empty if a distribution removed it.
    pub commit: String,
    /// `Sys.MACHINE`, parsed as a platform.
    pub triplet: Triplet,
    /// `Sys.BINDIR`.
    pub bindir: PathBuf,
    /// The folder of `libjulia` (`Base.LIBDIR`, resolved against `Sys.BINDIR`).
    pub libdir: PathBuf,
    /// The folder of the private libraries (`Base.PRIVATE_LIBDIR`, resolved).
    pub private_libdir: PathBuf,
    /// The folder of helper programs such as `lld`, if Julia reports it (since 1.9).
    pub private_libexecdir: Option<PathBuf>,
    /// `Sys.STDLIB`.
    pub stdlib: PathBuf,
    /// The sysimage that this Julia starts with by default.
    pub base_image: PathBuf,
    /// `Sys.CPU_NAME`, the LLVM name of this machine's CPU.
    pub cpu_name: String,
    /// `Sys.CPU_THREADS`.
    pub cpu_threads: u32,
}

/// The build of a Julia. Only the same build can load an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JuliaBuild {
    /// The version.
    pub version: JuliaVersion,
    /// The commit that it was built from; empty if a distribution removed it.
    #[serde(deserialize_with = "text::string::<text::Commit, _>")]
    pub commit: String,
    /// The platform.
    pub triplet: Triplet,
}

impl JuliaFacts {
    /// Returns the part of the facts that identifies the build.
    pub fn build(&self) -> JuliaBuild {
        JuliaBuild {
            version: self.version.clone(),
            commit: self.commit.clone(),
            triplet: self.triplet,
        }
    }
}
