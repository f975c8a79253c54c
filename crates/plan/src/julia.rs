//! What a Julia says about itself: the facts that the later steps need, as values. The `build`
//! room asks for them; nobody assumes a layout (official, Debian and Windows ones differ).

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::platform::Triplet;
use crate::text;
use crate::version::JuliaVersion;

/// A Julia at hand, in its own words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JuliaFacts {
    /// The executable.
    pub executable: PathBuf,
    /// `VERSION`.
    pub version: JuliaVersion,
    /// `Base.GIT_VERSION_INFO.commit`; empty where a distribution left it out.
    pub commit: String,
    /// `Sys.MACHINE`, read as a platform.
    pub triplet: Triplet,
    /// `Sys.BINDIR`.
    pub bindir: PathBuf,
    /// Where `libjulia` lies (`Base.LIBDIR`, resolved against `Sys.BINDIR`).
    pub libdir: PathBuf,
    /// Where the private libraries lie (`Base.PRIVATE_LIBDIR`, resolved).
    pub private_libdir: PathBuf,
    /// Where helper programs such as `lld` lie, where this Julia says so (since 1.9).
    pub private_libexecdir: Option<PathBuf>,
    /// `Sys.STDLIB`.
    pub stdlib: PathBuf,
    /// The sysimage that this Julia starts with.
    pub base_image: PathBuf,
    /// `Sys.CPU_NAME`, the LLVM name of this machine's CPU.
    pub cpu_name: String,
    /// `Sys.CPU_THREADS`.
    pub cpu_threads: u32,
}

/// The build of a Julia: what an image must agree with to be loaded by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JuliaBuild {
    /// The version.
    pub version: JuliaVersion,
    /// The commit that it was built from; empty where a distribution left it out.
    #[serde(deserialize_with = "text::string::<text::Commit, _>")]
    pub commit: String,
    /// The platform.
    pub triplet: Triplet,
}

impl JuliaFacts {
    /// The part of the facts that identifies the build.
    #[must_use]
    pub fn build(&self) -> JuliaBuild {
        JuliaBuild {
            version: self.version.clone(),
            commit: self.commit.clone(),
            triplet: self.triplet,
        }
    }
}
