//! Arguments of `publish` and `install`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use sysforge_engine::paths::absolute;
use sysforge_plan::Sha256;
use sysforge_publish::install::integrate::Integration;

/// Arguments of `publish`.
#[derive(Debug, Clone, Args)]
pub(crate) struct PublishArgs {
    /// Where to: `github`, `dir:PATH` for a static site or a shared file system, or `s3://BUCKET/PREFIX`
    /// for storage with the interface of Amazon S3
    #[arg(long, value_name = "HOST", default_value = "github")]
    pub(crate) to: String,

    /// The folder with the archives and receipts [default: dist in the project]
    #[arg(long, value_name = "DIR")]
    pub(crate) dist: Option<PathBuf>,

    /// The tag of the release [default: the tag that was pushed, or `v` and the project's version]
    #[arg(long, value_name = "TAG")]
    pub(crate) tag: Option<String>,

    /// The repository [default: $GITHUB_REPOSITORY]
    #[arg(long, value_name = "OWNER/NAME")]
    pub(crate) repository: Option<String>,

    /// The commit or branch to tag if the tag does not exist [default: $GITHUB_SHA]
    #[arg(long, value_name = "COMMIT")]
    pub(crate) target: Option<String>,

    /// Further files to publish with the images; may be repeated
    #[arg(long = "file", value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// A Markdown file whose text begins the release notes; `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "undraft")]
    pub(crate) notes_file: Option<PathBuf>,

    /// Begin the release notes with the first lines of the commits since the tag before this one
    #[arg(long, conflicts_with_all = ["undraft", "notes_file"])]
    pub(crate) notes_from_commits: bool,

    /// Mark the release as a prerelease
    #[arg(long)]
    pub(crate) prerelease: bool,

    /// Whether the release becomes the latest one [default: the host decides by version]
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        conflicts_with = "prerelease"
    )]
    pub(crate) latest: Option<bool>,

    /// The address that the folder of `--to dir:PATH` or the prefix of `--to s3://…` will have, for
    /// Artifacts.toml and notes
    #[arg(long, value_name = "URL")]
    pub(crate) base_url: Option<String>,

    /// Replace existing files that have other content
    #[arg(long)]
    pub(crate) replace: bool,

    /// Print what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Sign the release with this minisign key; SYSFORGE_SIGN_PASSWORD is its password
    #[arg(long, value_name = "FILE", env = "SYSFORGE_SIGN_KEY")]
    pub(crate) sign_key: Option<PathBuf>,

    /// Check that the token may publish, and do nothing; for the start of a workflow
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) preflight: bool,

    /// Leave the release as a draft, which others complete, verify and make public
    #[arg(long)]
    pub(crate) draft: bool,

    /// Make the draft of an earlier `--draft` public, and upload nothing
    #[arg(long, conflicts_with_all = ["draft", "preflight", "dry_run", "complete"])]
    pub(crate) undraft: bool,

    /// The SHA-256 digest that `SHA256SUMS` of the draft must have, so that only the files of one
    /// run become public
    #[arg(long, value_name = "SHA256", requires = "undraft")]
    pub(crate) sums_digest: Option<Sha256>,

    /// First download the images of the release that the folder lacks, so that they are kept
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) complete: bool,

    /// A file of `plan --matrix --out`; the summary lists those of its builds that are missing
    #[arg(long, value_name = "FILE")]
    pub(crate) plan: Option<PathBuf>,

    /// Write the checksums of all published files to this file, for an attestation
    #[arg(long, value_name = "FILE")]
    pub(crate) sums: Option<PathBuf>,

    /// Do not download the files again at the end; for workflows with a separate job that verifies
    #[arg(long)]
    pub(crate) no_recheck: bool,
}

/// Keys of the publisher of a release.
#[derive(Debug, Clone, Args)]
pub(crate) struct PublisherKeys {
    /// A minisign key that must have signed the release, or its file; may be repeated
    #[arg(
        long,
        value_name = "KEY",
        env = "SYSFORGE_VERIFY_KEY",
        value_delimiter = ','
    )]
    pub(crate) verify_key: Vec<String>,
}

/// Arguments of `install`.
#[derive(Debug, Clone, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct InstallArgs {
    /// OWNER/REPO or OWNER/REPO@TAG on GitHub, the address of a plain host, s3://BUCKET/PREFIX, or a
    /// folder (also as dir:PATH)
    #[arg(value_name = "SOURCE", required = true)]
    pub(crate) source: Option<String>,

    /// The image, if the release has several
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,

    #[command(flatten)]
    pub(crate) trusted: PublisherKeys,

    /// The repository or address that the signature must name, if SOURCE is a copy or was renamed
    #[arg(long, value_name = "OWNER/NAME|URL", requires = "verify_key")]
    pub(crate) signed_for: Option<String>,

    /// Accept a release that is older than the installed one
    #[arg(long, global = true)]
    pub(crate) allow_downgrade: bool,

    /// Refuse an image whose archive has no attestation (of a workflow of its repository on GitHub)
    #[arg(long, env = "SYSFORGE_REQUIRE_ATTESTATION", value_parser = clap::builder::BoolishValueParser::new(), num_args = 0)]
    pub(crate) require_attestation: bool,

    /// Download the Julia that an image needs without asking
    #[arg(long, short, global = true)]
    pub(crate) yes: bool,

    #[command(flatten)]
    pub(crate) activation: Activation,

    #[command(subcommand)]
    pub(crate) command: Option<InstallCommand>,
}

/// How an installed image is used. Without any of these, the command that starts it is printed.
#[derive(Debug, Clone, Args)]
pub(crate) struct Activation {
    /// Write a script that starts Julia with the image
    #[arg(long, value_name = "FILE")]
    pub(crate) launcher: Option<PathBuf>,

    /// Link a juliaup channel, so that `julia +CHANNEL` starts with the image
    #[arg(long, value_name = "CHANNEL")]
    pub(crate) juliaup: Option<String>,

    /// Make it a kernel of Jupyter (for IJulia)
    #[arg(long)]
    pub(crate) jupyter: bool,

    /// Write .vscode/settings.json into this folder, for the Julia extension
    #[arg(long, value_name = "DIR")]
    pub(crate) vscode: Option<PathBuf>,

    /// Write a script that starts Pluto with the image
    #[arg(long, value_name = "FILE")]
    pub(crate) pluto: Option<PathBuf>,

    /// Write variables for juliacall (PythonCall), to be sourced in a shell
    #[arg(long, value_name = "FILE")]
    pub(crate) python: Option<PathBuf>,

    /// Write a module file for Lmod, such as modules/julia-demo/1.0.lua
    #[arg(long, value_name = "FILE")]
    pub(crate) module: Option<PathBuf>,

    /// Write lines for a Containerfile
    #[arg(long, value_name = "FILE")]
    pub(crate) oci: Option<PathBuf>,

    /// Print NAME=VALUE lines for a Dockerfile or a CI step
    #[arg(long)]
    pub(crate) env: bool,

    /// Install the apps of the release, and link them into this folder [default, if the release has no
    /// images or this machine no Julia: ~/.local/bin]
    #[arg(long, value_name = "DIR", conflicts_with_all = ["launcher", "juliaup", "env"])]
    pub(crate) bin: Option<PathBuf>,
}

impl Activation {
    /// Converts them for the engine.
    pub(crate) fn options(&self) -> sysforge_engine::install::Activation {
        let files = [
            (Integration::Pluto, &self.pluto),
            (Integration::Python, &self.python),
            (Integration::Module, &self.module),
            (Integration::Oci, &self.oci),
        ];
        let files = files.into_iter();
        let files = files.filter_map(|(program, path)| Some((program, absolute(path.as_ref()?))));
        sysforge_engine::install::Activation {
            launcher: self.launcher.clone(),
            juliaup: self.juliaup.clone(),
            jupyter: self.jupyter,
            vscode: self.vscode.as_deref().map(absolute),
            files: files.collect(),
            env: self.env,
            bin: self.bin.as_deref().map(absolute),
        }
    }
}

/// Commands for installed images.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum InstallCommand {
    /// Show the installed images
    List,
    /// Install the newest releases of installed images
    Upgrade {
        /// The image's name or build identifier [default: all]
        image: Option<String>,
    },
    /// Remove an installed image
    Remove {
        /// The image's name or build identifier
        image: String,
    },
}
