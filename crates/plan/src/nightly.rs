//! The addresses of Julia's nightly builds. There is no catalogue with trustworthy digests for
//! them, so a nightly is identified by the entity tag in the server's response.

use url::Url;

use crate::archive::ArchiveFormat;
use crate::platform::Triplet;

/// The official server of nightly builds.
pub const SERVER: &str = "https://julialangnightlies-s3.julialang.org";

/// A nightly build on the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nightly {
    /// The release branch, or `None` for the main branch.
    pub branch: Option<(u64, u64)>,
    /// The platform.
    pub triplet: Triplet,
    /// The archive.
    pub url: Url,
    /// The archive's format.
    pub format: ArchiveFormat,
}

impl Nightly {
    /// Returns the newest nightly of a branch for a platform, or `None` if the platform has no
    /// nightlies.
    pub fn locate(branch: Option<(u64, u64)>, triplet: Triplet) -> Option<Self> {
        let (folder, suffix) = triplet.nightly()?;
        let branch_folder =
            branch.map_or_else(String::new, |(major, minor)| format!("/{major}.{minor}"));
        let url = format!("{SERVER}/bin/{folder}{branch_folder}/julia-latest-{suffix}.tar.gz");
        Some(Self {
            branch,
            triplet,
            url: url.parse().ok()?,
            format: ArchiveFormat::TarGz,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_layout_of_the_nightly_server() {
        let url = |branch, triplet| Nightly::locate(branch, triplet).unwrap().url.to_string();
        assert_eq!(
            url(None, Triplet::X86_64_LINUX_GNU),
            "https://julialangnightlies-s3.julialang.org/bin/linux/x86_64/julia-latest-linux-x86_64.tar.gz"
        );
        assert_eq!(
            url(Some((1, 13)), Triplet::AARCH64_APPLE_DARWIN),
            "https://julialangnightlies-s3.julialang.org/bin/macos/aarch64/1.13/julia-latest-macos-aarch64.tar.gz"
        );
        assert!(Nightly::locate(None, "x86_64-linux-musl".parse().unwrap()).is_none());
    }
}
