//! What can be typed. What is meant by it is the business of the commands.

mod about;
mod actions;
mod release;

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand, ValueEnum};
use sysforge_plan::link::Strategy;
use sysforge_plan::signing::Fingerprint;
use sysforge_plan::{JuliaVersion, Triplet};

pub(crate) use about::{Document, ManArgs};
pub(crate) use actions::{InitArgs, PlanArgs, VerifyArgs, WorkflowArgs};
pub(crate) use release::{Activation, InstallArgs, InstallCommand, PublishArgs};

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
  sysforge bench --html report.html  the same, to look at

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

    #[command(flatten)]
    pub(crate) trust: Trust,

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

/// Whose signature a fetched Julia must carry.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Trust {
    /// Refuse a Julia whose OpenPGP signature cannot be verified
    #[arg(long, global = true, env = "SYSFORGE_REQUIRE_SIGNATURE", value_parser = clap::builder::FalseyValueParser::new(), num_args = 0)]
    pub(crate) require_signature: bool,

    /// A file of OpenPGP certificates beside Julia's own; may be repeated
    #[arg(long, global = true, value_name = "FILE", env = "SYSFORGE_KEYRING")]
    pub(crate) keyring: Vec<PathBuf>,

    /// The fingerprint of a key whose signatures count for every version, for one's own mirror;
    /// may be repeated
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
    /// Write a Sysimage.toml that fits the project, and a GitHub workflow if wanted
    Init(InitArgs),
    /// Show what would be built, where, and from which Julia
    Plan(PlanArgs),
    /// Build, check and pack the image: all steps for this machine's platform
    Build(BuildArgs),
    /// Record precompile statements by running the workloads (first step)
    Trace(StepArgs),
    /// Emit the object file from the recorded statements (second step)
    Emit(StepArgs),
    /// Link the image from the object file (third step), or any objects for any platform
    Link(LinkArgs),
    /// Load an image and prove it: packages, workloads, residual compilations (fourth step)
    Check(ImageArgs),
    /// Pack the checked image with its receipt (last step)
    Pack(PackArgs),
    /// Measure start-up, latency and memory with and without an image, as a table, chart or page
    Bench(BenchArgs),
    /// List, install and find Julias
    #[command(subcommand)]
    Julia(JuliaCommand),
    /// List, install and find C toolchains
    #[command(subcommand)]
    Toolchain(ToolchainCommand),
    /// Tell whether this machine is able to build, and what would make it so
    Doctor(Platform),
    /// Show and clean the store of Julias and toolchains
    #[command(subcommand)]
    Cache(CacheCommand),
    /// Send the images to a release: GitHub's, or a plain folder
    Publish(PublishArgs),
    /// Install the image of a release that fits this machine
    Install(InstallArgs),
    /// Install what a release has for this platform, and run the project's workloads on it
    Verify(VerifyArgs),
    /// Write the GitHub workflow that builds, verifies and publishes on every system
    Workflow(WorkflowArgs),
    /// Print the JSON Schema of a document that Sysforge reads or writes
    Schema {
        /// Which document
        document: Document,
    },
    /// Print a script that completes Sysforge's commands and options in a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print a manual page, or write all of them
    Man(ManArgs),
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

    /// Ways to come by a linker, of which the first that works is used [default: all, in the
    /// order that `sysforge plan` shows]
    #[arg(long, value_name = "STRATEGY", value_delimiter = ',')]
    pub(crate) linker: Vec<Strategy>,

    /// Code-generation threads of Julia 1.9 and later [default: one per CPU]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) image_threads: Option<u32>,

    /// Stop a Julia or linker that takes longer than this
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) timeout: Option<u64>,

    /// Stop a Julia that has neither said nor computed anything for this long; 0 is never
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub(crate) idle_timeout: u64,

    /// Emit at most this often: again while the image still compiles what another round may cure
    /// [default: `rounds` in Sysimage.toml, or 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10))]
    pub(crate) rounds: Option<u32>,
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
    /// Build even if nothing has changed since the last time
    #[arg(long)]
    pub(crate) force: bool,
    /// Say of every step why it is done again
    #[arg(long)]
    pub(crate) explain: bool,
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

/// Arguments of `link`.
#[derive(Debug, Clone, Args)]
pub(crate) struct LinkArgs {
    /// Builds whose object is linked [default: all for this machine]; with --out, the objects
    /// themselves
    #[arg(value_name = "BUILD_ID|OBJECT")]
    pub(crate) inputs: Vec<PathBuf>,

    /// Link OBJECTs into this image, apart from any project
    #[arg(long, value_name = "FILE", requires = "inputs")]
    pub(crate) out: Option<PathBuf>,

    /// The platform of the OBJECTs, for a Julia that this machine cannot run: --julia is then the
    /// folder of that Julia
    #[arg(long, value_name = "TRIPLET")]
    pub(crate) triplet: Option<Triplet>,

    /// The version of that Julia, where its folder does not tell
    #[arg(long, value_name = "VERSION", requires = "triplet")]
    pub(crate) julia_version: Option<JuliaVersion>,

    /// Functions to export beside those that Julia looks up and the @ccallable ones
    #[arg(long, value_name = "NAME", value_delimiter = ',', requires = "out")]
    pub(crate) export: Vec<String>,

    /// Link nothing: inspect this image as if it had just been linked
    #[arg(
        long,
        value_name = "IMAGE",
        requires = "triplet",
        conflicts_with = "out"
    )]
    pub(crate) inspect: Option<PathBuf>,

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
    /// Draw the figures as a chart into this SVG file
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,
    /// Write a page into this HTML file: the figures, sizes, what became of the statements, the
    /// build's timeline, packages
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

/// What to do with Julias.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum JuliaCommand {
    /// What the catalogue has for a platform, newest first
    List {
        /// Every version, not only the newest of each series
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        platform: Platform,
    },
    /// Fetch, verify and unpack Julias, and print where their programs lie
    Install {
        /// Versions, ranges or channels [default: release]
        #[arg(value_name = "REQUEST")]
        requests: Vec<String>,
        /// Also copy them into the runner's tool cache (RUNNER_TOOL_CACHE)
        #[arg(long)]
        to_tool_cache: bool,
        #[command(flatten)]
        platform: Platform,
    },
    /// Print where a Julia lies that is installed already
    Path {
        /// A version, range or channel
        #[arg(value_name = "REQUEST", default_value = "release")]
        request: String,
        #[command(flatten)]
        platform: Platform,
    },
}

/// What to do with C toolchains.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum ToolchainCommand {
    /// The compilers of this machine and those that can be fetched, and whether they suit Julia
    List(Platform),
    /// Fetch, verify and unpack a toolchain, and print where its compiler lies
    Install {
        /// Its name, as in the list [default: the one recommended for the platform]
        #[arg(value_name = "NAME")]
        name: Option<String>,
        /// A folder that holds the archive already
        #[arg(long, value_name = "DIR")]
        from: Option<PathBuf>,
        #[command(flatten)]
        platform: Platform,
    },
    /// Print where a toolchain's compiler lies that is installed already
    Path {
        /// Its name, as in the list [default: the one recommended for the platform]
        #[arg(value_name = "NAME")]
        name: Option<String>,
        #[command(flatten)]
        platform: Platform,
    },
}

/// For which platform.
#[derive(Debug, Clone, Args)]
pub(crate) struct Platform {
    /// The platform, in Julia's spelling [default: this machine's]
    #[arg(long, value_name = "TRIPLET")]
    pub(crate) triplet: Option<Triplet>,
}

/// What to do with the store.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum CacheCommand {
    /// Print the store's folder
    Path,
    /// List what is in the store, and whether it is as it was installed
    List {
        /// Read every byte of every entry
        #[arg(long)]
        verify: bool,
    },
    /// Remove what was not used for long, or the least recently used, but nothing that is in use
    Prune {
        /// Entries not used for this long, such as 30d, 12h
        #[arg(long, value_name = "AGE", value_parser = parse_age, default_value = "30d")]
        older_than: Duration,
        /// Then the least recently used, until the rest is at most this large, such as 5GB
        #[arg(long, value_name = "SIZE", value_parser = parse_size)]
        keep: Option<u64>,
        /// Everything that is not in use
        #[arg(long, conflicts_with_all = ["older_than", "keep"])]
        all: bool,
    },
}

/// Reads `90s`, `15m`, `12h`, `30d`, `4w`.
fn parse_age(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not an age such as 30d, 12h or 15m");
    let at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(at);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let seconds = number.checked_mul(seconds).ok_or_else(wrong)?;
    Ok(Duration::from_secs(seconds))
}

/// Reads `500MB`, `5GB`, `2GiB`, or bytes.
fn parse_size(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is not a size such as 500MB or 5GB");
    let at = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let bytes: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1000,
        "m" | "mb" => 1_000_000,
        "g" | "gb" => 1_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(bytes).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_and_sizes_are_read_with_their_units() {
        assert_eq!(parse_age("30d"), Ok(Duration::from_secs(2_592_000)));
        assert_eq!(parse_age("0s"), Ok(Duration::ZERO));
        assert_eq!(parse_size("5GB"), Ok(5_000_000_000));
        assert_eq!(parse_size("2GiB"), Ok(2 << 30));
        assert_eq!(parse_size("17"), Ok(17));
        for text in ["", "d", "30", "30x", "99999999999999999999d"] {
            assert!(parse_age(text).is_err(), "{text}");
        }
        for text in ["", "GB", "5XB"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }
}
