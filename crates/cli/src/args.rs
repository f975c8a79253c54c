//! The command-line arguments. The commands interpret them.

mod about;
mod actions;
mod duration;
mod help;
mod release;
mod store;
mod variables;

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand, ValueEnum};
use sysforge_engine::{BuildOptions, Planned};
use sysforge_plan::link::Strategy;
use sysforge_plan::signing::Fingerprint;
use sysforge_plan::{JuliaVersion, Triplet};

use sysforge_engine::paths::absolute;

pub(crate) use about::{Document, ManArgs};
pub(crate) use actions::{InitArgs, PlanArgs, VerifyArgs, WorkflowArgs};
pub(crate) use help::command;
pub(crate) use release::{InstallArgs, InstallCommand, PublishArgs};
pub(crate) use store::{CacheCommand, JuliaCommand, Platform, ToolchainCommand};
pub(crate) use variables::{empty_value, name_variable};

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
  sysforge run script.jl             start Julia with the image and the project
  sysforge bench                     how fast it is, with and without the image
  sysforge bench --html report.html  the same, as a web page

Exit codes:
  0 done · 1 a bug in Sysforge · 2 usage or configuration · 3 acquiring failed ·
  4 toolchain or linker failed · 5 Julia failed · 6 the image failed its check ·
  7 publishing or installing failed · 8 out of disk space or permissions ·
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
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The Julia project: its folder, its Project.toml, or a named environment such as @v1.12
    /// [default: this folder, or the nearest above with a Project.toml]
    #[arg(
        long,
        global = true,
        value_name = "DIR|FILE|@NAME",
        env = "SYSFORGE_PROJECT"
    )]
    pub(crate) project: Option<PathBuf>,

    /// The Julia: a version, range or channel (1.12, ^1.6, lts, manifest, …), `system`, or a
    /// folder or executable; may be repeated, or a comma-separated list [default: from Sysimage.toml]
    #[arg(long, global = true, value_name = "REQUEST", env = "SYSFORGE_JULIA")]
    pub(crate) julia: Vec<String>,

    /// The mirror to download Julias from: a base URL, or a folder that contains bin/versions.json
    /// [default: Julia's own server]
    #[arg(long, global = true, value_name = "URL|DIR", env = "SYSFORGE_MIRROR")]
    pub(crate) mirror: Option<String>,

    /// The folder of downloaded Julias and toolchains [default: the user's cache directory]
    #[arg(long, global = true, value_name = "DIR", env = "SYSFORGE_STORE")]
    pub(crate) store: Option<PathBuf>,

    /// The folder for the intermediate files and logs of builds [default: .sysforge in the project]
    #[arg(long, global = true, value_name = "DIR", env = "SYSFORGE_BUILD_DIR")]
    pub(crate) build_dir: Option<PathBuf>,

    /// Use only what is already in the store
    #[arg(long, global = true, env = "SYSFORGE_OFFLINE", value_parser = clap::builder::BoolishValueParser::new(), num_args = 0)]
    pub(crate) offline: bool,

    #[command(flatten)]
    pub(crate) trust: Trust,

    /// Print results as JSON on standard output
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Print only results and errors
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,

    /// Show what Julia and the linker print, and trace requests, retries, the store and child processes
    /// (RUST_LOG selects other traces)
    #[arg(long, short, global = true, conflicts_with = "quiet")]
    pub(crate) verbose: bool,

    /// When to use colour (NO_COLOR and CLICOLOR_FORCE are respected, too)
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
}

/// Whose signature a downloaded Julia must have.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Trust {
    /// Refuse a Julia whose OpenPGP signature cannot be verified
    #[arg(long, global = true, env = "SYSFORGE_REQUIRE_SIGNATURE", value_parser = clap::builder::BoolishValueParser::new(), num_args = 0)]
    pub(crate) require_signature: bool,

    /// A file of OpenPGP certificates to trust in addition to Julia's own; may be repeated
    #[arg(long, global = true, value_name = "FILE", env = "SYSFORGE_KEYRING")]
    pub(crate) keyring: Vec<PathBuf>,

    /// The fingerprint of a key to trust for every version, for your own mirror; may be repeated
    #[arg(
        long,
        global = true,
        value_name = "FINGERPRINT",
        env = "SYSFORGE_TRUSTED_KEY"
    )]
    pub(crate) trusted_key: Vec<Fingerprint>,
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
    /// Write a Sysimage.toml for the project, and optionally a GitHub workflow
    Init(InitArgs),
    /// Show what would be built, where, and from which Julia
    Plan(PlanArgs),
    /// Build, check and pack the image: all steps for this machine's platform
    Build(BuildArgs),
    /// Start the project's Julia with its image, which is built first if something has changed
    Run(RunArgs),
    /// Install the packages of the environment, as Pkg does (`build` does this automatically)
    Instantiate(InstantiateArgs),
    /// Record precompile statements by running the workloads (first step)
    Trace(StepArgs),
    /// Emit the object file from the recorded statements (second step)
    Emit(StepArgs),
    /// Link the image from the object file (third step), or any objects for any platform
    Link(LinkArgs),
    /// Load an image and check its packages, workloads and remaining compilations (fourth step)
    Check(ImageArgs),
    /// Pack the checked image with its receipt (last step)
    Pack(PackArgs),
    /// Measure start-up, latency and memory with and without an image, as a table, a chart or an HTML page
    Bench(BenchArgs),
    /// List, install and find Julias
    #[command(subcommand)]
    Julia(JuliaCommand),
    /// List, install and find C toolchains
    #[command(subcommand)]
    Toolchain(ToolchainCommand),
    /// Check whether this machine can build images, and show how to fix what is missing
    Doctor(Platform),
    /// Remove build results: dist and the build directory of the project
    Clean(CleanArgs),
    /// Show and clean the store of Julias and toolchains
    #[command(subcommand)]
    Cache(CacheCommand),
    /// Send the images to a release: GitHub's, or a plain folder
    Publish(PublishArgs),
    /// Install the image of a release for this machine
    Install(InstallArgs),
    /// Install the images of a release for this platform, and run the project's workloads with them
    Verify(VerifyArgs),
    /// Write the GitHub workflow that builds, verifies and publishes on every system
    Workflow(WorkflowArgs),
    /// Print the JSON Schema of a document that Sysforge reads or writes
    Schema {
        /// The document
        document: Document,
    },
    /// Print a script that completes Sysforge's commands and options in a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print a manual page, or write all of them
    Man(ManArgs),
}

/// Selects builds of the plan.
#[derive(Debug, Clone, Args)]
pub(crate) struct Selection {
    /// Build identifiers or globs, such as '*-linux-gnu' [default: all for this machine]
    #[arg(value_name = "BUILD_ID")]
    pub(crate) select: Vec<String>,
}

/// How packages are resolved, and where they are installed.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct PackageFlags {
    /// Fail unless the project's own manifest can be used as it is
    #[arg(long, env = "SYSFORGE_LOCKED", value_parser = clap::builder::BoolishValueParser::new(), num_args = 0)]
    pub(crate) locked: bool,

    /// The depot that packages are installed in; the others are still read [default: `depot` in
    /// Sysimage.toml, the first of JULIA_DEPOT_PATH, or ~/.julia]
    #[arg(long, value_name = "DIR", env = "SYSFORGE_DEPOT")]
    pub(crate) depot: Option<PathBuf>,
}

/// Arguments of `instantiate`.
#[derive(Debug, Clone, Args)]
pub(crate) struct InstantiateArgs {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Install even if nothing is missing, and resolve the versions for these builds again
    #[arg(long)]
    pub(crate) force: bool,
    /// Then remove what these builds do not need from the depot; only for a depot of one project
    #[arg(long, requires = "depot")]
    pub(crate) prune: bool,
    /// Stop a Julia that has downloaded nothing, produced no output and used no CPU for this long; 0
    /// means never. Build scripts get at least half an hour
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = duration::seconds)]
    pub(crate) idle_timeout: u64,
    #[command(flatten)]
    pub(crate) packages: PackageFlags,
}

/// The names of linker strategies, which the help lists. A test compares them with [`Strategy::ALL`].
const STRATEGIES: [&str; 6] = [
    "chosen",
    "julia-lld",
    "driver-lld",
    "driver-mold",
    "driver",
    "lld",
];

/// Reads a number from 1 to `most`.
fn number(text: &str, most: u32) -> Result<u32, String> {
    let number = text
        .parse()
        .ok()
        .filter(|number| (1..=most).contains(number));
    number.ok_or_else(|| format!("it must be a number from 1 to {most}"))
}

fn strategy() -> impl clap::builder::TypedValueParser<Value = Strategy> {
    use clap::builder::TypedValueParser as _;
    let names = clap::builder::PossibleValuesParser::new(STRATEGIES);
    names.try_map(|name| name.parse::<Strategy>())
}

/// Options that change the image. They are part of its fingerprint.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ImageFlags {
    /// Fail if a statement cannot be replayed
    #[arg(long)]
    pub(crate) strict: bool,

    /// Remove symbols and debug sections from the image
    #[arg(long)]
    pub(crate) strip: bool,

    /// The C compiler or linker, optionally with arguments [default: detected]
    #[arg(long, value_name = "COMMAND", env = "JULIA_CC")]
    pub(crate) cc: Option<String>,

    /// Linker strategies, in order; the first that works is used. `chosen` is --cc or JULIA_CC;
    /// `julia-lld` the linker that Julia 1.9 and later ship; `driver-lld`, `driver-mold` and `driver`
    /// link through a C compiler, with lld, mold or its own linker; `lld` needs no compiler
    /// [default: all, in the order that `sysforge plan` shows]
    #[arg(long, value_name = "STRATEGY", value_delimiter = ',', value_parser = strategy())]
    pub(crate) linker: Vec<Strategy>,

    /// Code-generation threads of Julia 1.9 and later [default: one per CPU]
    #[arg(long, value_name = "N", value_parser = |text: &str| number(text, 1024))]
    pub(crate) image_threads: Option<u32>,

    /// Maximum number of emissions; each further one includes what the image still compiles
    /// [default: `rounds` in Sysimage.toml, or 2]
    #[arg(long, value_name = "N", value_parser = |text: &str| number(text, 10))]
    pub(crate) rounds: Option<u32>,
}

impl ImageFlags {
    /// Converts them for the engine.
    pub(crate) fn options(&self) -> sysforge_engine::ImageOptions {
        let Self {
            strict,
            strip,
            cc,
            linker,
            image_threads,
            rounds,
        } = self.clone();
        sysforge_engine::ImageOptions {
            strict,
            strip,
            rounds,
            image_threads,
            cc,
            linker,
        }
    }
}

impl PackageFlags {
    /// Converts them for the engine.
    pub(crate) fn options(&self) -> sysforge_engine::PackageOptions {
        let Self { locked, depot } = self.clone();
        sysforge_engine::PackageOptions { locked, depot }
    }
}

/// How Julia and the linker are run.
#[derive(Debug, Clone, Args)]
pub(crate) struct BuildFlags {
    #[command(flatten)]
    pub(crate) packages: PackageFlags,

    #[command(flatten)]
    pub(crate) image: ImageFlags,

    /// Stop a Julia or linker that takes longer than this, such as 90s, 30m or 2h; a number alone
    /// means seconds
    #[arg(long, value_name = "DURATION", value_parser = duration::positive_seconds)]
    pub(crate) timeout: Option<u64>,

    /// Stop a Julia that has produced no output and used no CPU for this long; 0 means never
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = duration::seconds)]
    pub(crate) idle_timeout: u64,
}

impl BuildFlags {
    /// Converts them for the engine.
    pub(crate) fn options(&self) -> BuildOptions {
        let Self {
            packages,
            image,
            timeout,
            idle_timeout,
        } = self;
        BuildOptions {
            packages: packages.options(),
            image: image.options(),
            timeout: timeout.map(Duration::from_secs),
            idle: (*idle_timeout > 0).then(|| Duration::from_secs(*idle_timeout)),
        }
    }
}

/// Arguments of `build`.
#[derive(Debug, Clone, Args)]
pub(crate) struct BuildArgs {
    #[command(flatten)]
    pub(crate) selection: Selection,
    #[command(flatten)]
    pub(crate) out: Out,
    /// Build even if nothing has changed since the last time
    #[arg(long)]
    pub(crate) force: bool,
    /// Explain why each step runs again
    #[arg(long)]
    pub(crate) explain: bool,
    #[command(flatten)]
    pub(crate) build: BuildFlags,
}

/// Arguments of `clean`.
#[derive(Debug, Clone, Args)]
pub(crate) struct CleanArgs {
    /// Print what would be removed, and remove nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Arguments of `run`.
#[derive(Debug, Clone, Args)]
pub(crate) struct RunArgs {
    /// A script and its arguments; or, after `--`, any arguments of Julia [default: start the REPL]
    #[arg(value_name = "ARGUMENTS", trailing_var_arg = true)]
    pub(crate) arguments: Vec<std::ffi::OsString>,
    /// The build to use, if the plan has several [default: the first]
    #[arg(long, value_name = "BUILD_ID")]
    pub(crate) build: Option<String>,
    #[command(flatten)]
    pub(crate) flags: BuildFlags,
}

/// The folder of archives.
#[derive(Debug, Clone, Args)]
pub(crate) struct Out {
    /// The folder for archives, receipts and checksums [default: dist in the project]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

impl Out {
    /// The folder, for the builds of this plan.
    pub(crate) fn folder(&self, planned: &Planned) -> PathBuf {
        let given = self.out.as_deref().map(absolute);
        given.unwrap_or_else(|| planned.dist())
    }
}

/// Arguments of the steps that work on a build.
#[derive(Debug, Clone, Args)]
pub(crate) struct StepArgs {
    #[command(flatten)]
    pub(crate) selection: Selection,
    #[command(flatten)]
    pub(crate) build: BuildFlags,
}

/// Arguments of `link`.
#[derive(Debug, Clone, Args)]
pub(crate) struct LinkArgs {
    /// The builds to link [default: all for this machine]; with --out, object files
    #[arg(value_name = "BUILD_ID|OBJECT")]
    pub(crate) inputs: Vec<PathBuf>,

    /// Link OBJECTs into this image, without a project
    #[arg(long, value_name = "FILE", requires = "inputs")]
    pub(crate) out: Option<PathBuf>,

    /// The platform of the OBJECTs, if this machine cannot run their Julia; --julia must then be the
    /// folder of that Julia
    #[arg(long, value_name = "TRIPLET")]
    pub(crate) triplet: Option<Triplet>,

    /// The version of that Julia, if its folder does not contain it
    #[arg(long, value_name = "VERSION", requires = "triplet")]
    pub(crate) julia_version: Option<JuliaVersion>,

    /// Functions to export in addition to those that Julia looks up and the @ccallable ones
    #[arg(long, value_name = "NAME", value_delimiter = ',', requires = "out")]
    pub(crate) export: Vec<String>,

    /// Link nothing; inspect this image as after linking
    #[arg(
        long,
        value_name = "IMAGE",
        requires = "triplet",
        conflicts_with = "out"
    )]
    pub(crate) inspect: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) build: BuildFlags,
}

/// Arguments of `check`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ImageArgs {
    /// The image [default: the most recently linked one]
    #[arg(value_name = "IMAGE")]
    pub(crate) image: Option<PathBuf>,
    /// The build that the image belongs to, if the plan has several
    #[arg(long = "build", value_name = "BUILD_ID")]
    pub(crate) select: Vec<String>,
    #[command(flatten)]
    pub(crate) build: BuildFlags,
}

/// Arguments of `pack`.
#[derive(Debug, Clone, Args)]
pub(crate) struct PackArgs {
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Sign the programs and libraries of apps and C libraries with this command before they are
    /// checked and packed. Its last argument is the folder of the files, and it alone gets the
    /// variables whose names begin with `SYSFORGE_CODESIGN_`
    #[arg(long, value_name = "COMMAND")]
    pub(crate) sign: Option<String>,
    #[command(flatten)]
    pub(crate) out: Out,
}

/// Arguments of `bench`.
#[derive(Debug, Clone, Args)]
pub(crate) struct BenchArgs {
    /// Number of processes to measure, with and without the image
    #[arg(long, value_name = "N", default_value = "3", value_parser = |text: &str| number(text, 100))]
    pub(crate) samples: u32,
    /// Write a chart of the results to this SVG file
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,
    /// Write a report to this HTML file: results, sizes, statements, packages and the timeline
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) image: ImageArgs,
}
