//! What can be typed. What is meant by it is the business of the commands.

use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand, ValueEnum};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const AFTER_HELP: &str = "\
Examples:
  sysforge plan                      what would be built
  sysforge build                     build the image of the project in this folder
  sysforge build --julia lts         … for another Julia
  sysforge bench                     how fast it is, with and without the image

Exit codes:
  0 done · 1 a bug in Sysforge · 2 usage or configuration · 3 acquiring failed ·
  4 toolchain or linker failed · 5 Julia failed · 6 the image failed its check ·
  7 publishing or installing failed · 8 the machine gave out (disk, permissions) ·
  130 Ctrl-C · 143 SIGTERM";

/// Builds Julia sysimages for Linux, macOS and Windows, proves them, and ships them to releases.
#[derive(Debug, Parser)]
#[command(name = "sysforge", version, styles = STYLES, after_help = AFTER_HELP, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// The Julia project's folder [default: this one, or the nearest above with a Project.toml]
    #[arg(long, global = true, value_name = "DIR", env = "SYSFORGE_PROJECT")]
    pub(crate) project: Option<PathBuf>,

    /// The Julia: a version, range or channel (1.12, ^1.6, lts, manifest, …), `system`, or a
    /// folder or executable; may be repeated [default: from Sysimage.toml]
    #[arg(
        long,
        global = true,
        value_name = "REQUEST",
        env = "SYSFORGE_JULIA",
        value_delimiter = ','
    )]
    pub(crate) julia: Vec<String>,

    /// Where Julias come from: a base address or a folder that holds bin/versions.json
    /// [default: Julia's own server]
    #[arg(long, global = true, value_name = "URL|DIR", env = "SYSFORGE_MIRROR")]
    pub(crate) mirror: Option<String>,

    /// Where fetched Julias and toolchains are kept [default: the user's cache directory]
    #[arg(long, global = true, value_name = "DIR", env = "SYSFORGE_STORE")]
    pub(crate) store: Option<PathBuf>,

    /// Where builds work and leave their logs [default: .sysforge in the project]
    #[arg(long, global = true, value_name = "DIR", env = "SYSFORGE_BUILD_DIR")]
    pub(crate) build_dir: Option<PathBuf>,

    /// Use only what is in the store already
    #[arg(long, global = true, env = "SYSFORGE_OFFLINE", value_parser = clap::builder::FalseyValueParser::new(), num_args = 0)]
    pub(crate) offline: bool,

    /// Print results as JSON on standard output
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Print nothing but results and errors
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,

    /// Show what Julia and the linker print
    #[arg(long, short, global = true, conflicts_with = "quiet")]
    pub(crate) verbose: bool,

    /// Whether to use colour (NO_COLOR and CLICOLOR_FORCE count, too)
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

impl Color {
    pub(crate) fn write_global(self) {
        match self {
            Self::Auto => anstream::ColorChoice::Auto,
            Self::Always => anstream::ColorChoice::Always,
            Self::Never => anstream::ColorChoice::Never,
        }
        .write_global();
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show what would be built, where, and from which Julia
    Plan(Selection),
    /// Build, check and pack the image: all steps for this machine's platform
    Build(BuildArgs),
    /// Record precompile statements by running the workloads (first step)
    Trace(StepArgs),
    /// Emit the object file from the recorded statements (second step)
    Emit(StepArgs),
    /// Link the image from the object file (third step)
    Link(StepArgs),
    /// Load an image and prove it: packages, workloads, residual compilations (fourth step)
    Check(ImageArgs),
    /// Pack the checked image with its receipt (last step)
    Pack(PackArgs),
    /// Measure latency with and without an image
    Bench(BenchArgs),
    /// Send the images to a release: GitHub's, or a plain folder
    Publish(PublishArgs),
    /// Install the image of a release that fits this machine
    Install(InstallArgs),
}

/// Which builds of the plan.
#[derive(Debug, Clone, Args)]
pub(crate) struct Selection {
    /// Build identifiers or globs, such as '*-linux-gnu' [default: all for this machine]
    #[arg(value_name = "BUILD_ID")]
    pub(crate) select: Vec<String>,
}

/// How Julia and the linker are driven.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Driving {
    /// Fail if a statement cannot be replayed
    #[arg(long)]
    pub(crate) strict: bool,

    /// Remove symbols and debug sections from the image
    #[arg(long)]
    pub(crate) strip: bool,

    /// The C compiler or linker, with arguments if need be [default: found by itself]
    #[arg(long, value_name = "COMMAND", env = "JULIA_CC")]
    pub(crate) cc: Option<String>,

    /// Code-generation threads of Julia 1.9 and later [default: one per CPU]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) image_threads: Option<u32>,

    /// Stop a Julia or linker that takes longer than this
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) timeout: Option<u64>,
}

/// Arguments of `build`.
#[derive(Debug, Clone, Args)]
pub(crate) struct BuildArgs {
    #[command(flatten)]
    pub(crate) selection: Selection,
    #[command(flatten)]
    pub(crate) driving: Driving,
    #[command(flatten)]
    pub(crate) out: Out,
}

/// Where archives go.
#[derive(Debug, Clone, Args)]
pub(crate) struct Out {
    /// Where archives, receipts and checksums go [default: dist in the project]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

/// Arguments of the steps that work on a build.
#[derive(Debug, Clone, Args)]
pub(crate) struct StepArgs {
    #[command(flatten)]
    pub(crate) selection: Selection,
    #[command(flatten)]
    pub(crate) driving: Driving,
}

/// Arguments of `check`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ImageArgs {
    /// The image [default: the one that was linked last]
    #[arg(value_name = "IMAGE")]
    pub(crate) image: Option<PathBuf>,
    /// The build that the image belongs to, where the plan has several
    #[arg(long = "build", value_name = "BUILD_ID")]
    pub(crate) select: Vec<String>,
    #[command(flatten)]
    pub(crate) driving: Driving,
}

/// Arguments of `pack`.
#[derive(Debug, Clone, Args)]
pub(crate) struct PackArgs {
    #[command(flatten)]
    pub(crate) selection: Selection,
    #[command(flatten)]
    pub(crate) out: Out,
}

/// Arguments of `bench`.
#[derive(Debug, Clone, Args)]
pub(crate) struct BenchArgs {
    #[command(flatten)]
    pub(crate) image: ImageArgs,
    /// How many fresh processes to measure, with and without the image
    #[arg(long, value_name = "N", default_value = "3", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) samples: u32,
}

/// Arguments of `publish`.
#[derive(Debug, Clone, Args)]
pub(crate) struct PublishArgs {
    /// Where to: `github`, or `dir:PATH` for a static site or a shared file system
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

    /// The address that the folder of `--to dir:PATH` will have, for Artifacts.toml and notes
    #[arg(long, value_name = "URL")]
    pub(crate) base_url: Option<String>,

    /// Replace files that are there with other bytes
    #[arg(long)]
    pub(crate) replace: bool,

    /// Print what would happen, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Check that the token may publish, and do nothing; for the start of a workflow
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) preflight: bool,

    /// Do not download everything again at the end; for workflows that verify in a job of their own
    #[arg(long)]
    pub(crate) no_recheck: bool,
}

/// Arguments of `install`.
#[derive(Debug, Clone, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct InstallArgs {
    /// OWNER/REPO or OWNER/REPO@TAG on GitHub, the address of a plain host, or a folder
    #[arg(value_name = "SOURCE", required = true)]
    pub(crate) source: Option<String>,

    /// The image, if the release has several
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,

    #[command(flatten)]
    pub(crate) activation: Activation,

    #[command(subcommand)]
    pub(crate) command: Option<InstallCommand>,
}

/// How an installed image is used. Without any of these, the command that does is printed.
#[derive(Debug, Clone, Args)]
pub(crate) struct Activation {
    /// Write a script that starts Julia with the image
    #[arg(long, value_name = "FILE")]
    pub(crate) launcher: Option<PathBuf>,

    /// Link a juliaup channel, so that `julia +CHANNEL` starts with the image
    #[arg(long, value_name = "CHANNEL")]
    pub(crate) juliaup: Option<String>,

    /// Print NAME=VALUE lines for a Dockerfile or a CI step
    #[arg(long)]
    pub(crate) env: bool,
}

/// What to do with installed images.
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
