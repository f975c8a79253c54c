//! Arguments of `plan`, `workflow`, `init` and `verify`.

use std::path::PathBuf;

use clap::Args;
use sysforge_engine::BuildOptions;

use super::{ImageFlags, PackageFlags, release::PublisherKeys};

/// Arguments of `plan`.
#[derive(Debug, Clone, Args)]
pub(crate) struct PlanArgs {
    /// Build identifiers or globs, such as '*-linux-gnu' [default: all for this machine, or with
    /// --matrix for all platforms]
    #[arg(value_name = "BUILD_ID")]
    pub(crate) select: Vec<String>,

    /// Plan for every platform, as the matrix of a GitHub workflow
    #[arg(long)]
    pub(crate) matrix: bool,

    /// The tag to release; the same as --release with that release of $GITHUB_REPOSITORY
    #[arg(long, value_name = "TAG", env = "SYSFORGE_TAG")]
    pub(crate) tag: Option<String>,

    /// A release, as for `install`; builds that it has from the same inputs are marked or omitted
    #[arg(long, value_name = "SOURCE")]
    pub(crate) release: Option<String>,

    /// Also write the matrix to this file
    #[arg(long, value_name = "FILE", requires = "matrix")]
    pub(crate) out: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) packages: PackageFlags,

    /// As for `build`; these options decide whether a release has the same image.
    #[command(flatten)]
    pub(crate) image: ImageFlags,
}

impl PlanArgs {
    /// Converts them for the engine.
    pub(crate) fn options(&self) -> BuildOptions {
        BuildOptions {
            packages: self.packages.options(),
            image: self.image.options(),
            ..BuildOptions::default()
        }
    }
}

/// Arguments of `workflow`.
#[derive(Debug, Clone, Args)]
pub(crate) struct WorkflowArgs {
    /// Write nothing; fail with a diff if the file is not up to date
    #[arg(long)]
    pub(crate) check: bool,

    /// Print the workflow instead of writing it
    #[arg(long, conflicts_with = "check")]
    pub(crate) print: bool,

    /// First pin Sysforge in Sysimage.toml to the release with this SHA256SUMS file
    #[arg(long, value_name = "SHA256SUMS", conflicts_with = "check")]
    pub(crate) pin: Option<PathBuf>,

    /// Replace an existing file that Sysforge did not write
    #[arg(long, conflicts_with = "check")]
    pub(crate) force: bool,

    /// Only print the tag that this run of the workflow releases
    #[arg(long, conflicts_with_all = ["check", "print", "pin", "force"])]
    pub(crate) tag: bool,
}

/// Arguments of `init`.
#[derive(Debug, Clone, Args)]
pub(crate) struct InitArgs {
    /// Also write the GitHub workflow
    #[arg(long)]
    pub(crate) workflow: bool,

    /// The SHA256SUMS of the Sysforge release that the workflow's runners download
    #[arg(long, value_name = "SHA256SUMS", requires = "workflow")]
    pub(crate) pin: Option<PathBuf>,

    /// Replace an existing Sysimage.toml
    #[arg(long)]
    pub(crate) force: bool,
}

/// Arguments of `verify`.
#[derive(Debug, Clone, Args)]
pub(crate) struct VerifyArgs {
    /// OWNER/REPO or OWNER/REPO@TAG on GitHub, the address of a plain host, s3://BUCKET/PREFIX, or a
    /// folder (also as dir:PATH)
    #[arg(value_name = "SOURCE")]
    pub(crate) source: String,

    /// Build identifiers or globs [default: every image for this machine's platform]
    #[arg(value_name = "BUILD_ID")]
    pub(crate) select: Vec<String>,

    /// Accept a release that is still a draft (requires a token with write access)
    #[arg(long)]
    pub(crate) draft: bool,

    #[command(flatten)]
    pub(crate) trusted: PublisherKeys,
}
