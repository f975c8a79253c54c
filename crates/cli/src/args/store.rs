//! Arguments of `julia`, `toolchain` and `cache`, which work on the store.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use sysforge_engine::{Engine, EngineError};
use sysforge_plan::Triplet;

/// Commands for Julias.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum JuliaCommand {
    /// List the Julias of the catalogue for a platform, newest first
    List {
        /// Every version, not only the newest of each series
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        platform: Platform,
    },
    /// Download, verify and unpack Julias, and print the paths of their executables
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
    /// Print the path of an installed Julia
    Path {
        /// A version, range or channel
        #[arg(value_name = "REQUEST", default_value = "release")]
        request: String,
        #[command(flatten)]
        platform: Platform,
    },
}

/// Commands for C toolchains.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum ToolchainCommand {
    /// List the compilers of this machine and those that can be downloaded, and which suit Julia
    List(Platform),
    /// Download, verify and unpack a toolchain, and print the path of its compiler
    Install {
        /// Its name, as in the list [default: the one recommended for the platform]
        #[arg(value_name = "NAME")]
        name: Option<String>,
        /// A folder that already contains the archive
        #[arg(long, value_name = "DIR")]
        from: Option<PathBuf>,
        #[command(flatten)]
        platform: Platform,
    },
    /// Print the path of the compiler of an installed toolchain
    Path {
        /// Its name, as in the list [default: the one recommended for the platform]
        #[arg(value_name = "NAME")]
        name: Option<String>,
        #[command(flatten)]
        platform: Platform,
    },
}

/// Selects a platform.
#[derive(Debug, Clone, Args)]
pub(crate) struct Platform {
    /// The platform, in Julia's spelling [default: this machine's]
    #[arg(long, value_name = "TRIPLET")]
    pub(crate) triplet: Option<Triplet>,
}

impl Platform {
    /// Returns the given platform, or this machine's.
    pub(crate) fn triplet(&self) -> Result<Triplet, EngineError> {
        self.triplet.map_or_else(Engine::host, Ok)
    }
}

/// Commands for the store.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum CacheCommand {
    /// Print the store's folder
    Path,
    /// List the entries of the store, and whether they are unchanged
    List {
        /// Read every byte of every entry
        #[arg(long)]
        verify: bool,
    },
    /// Remove entries that were not used for long, or the least recently used ones; never those in use
    Prune {
        /// Remove entries that were not used for this long, such as 30d or 12h
        #[arg(long, value_name = "AGE", value_parser = super::duration::with_unit, default_value = "30d")]
        older_than: Duration,
        /// Then remove the least recently used, until the rest is at most this large, such as 5GB
        #[arg(long, value_name = "SIZE", value_parser = parse_size)]
        keep: Option<u64>,
        /// Print what would be removed, and remove nothing
        #[arg(long)]
        dry_run: bool,
        /// Remove everything that is not in use
        #[arg(long, conflicts_with_all = ["older_than", "keep"])]
        all: bool,
    },
}

/// Reads `500MB`, `5GB`, `2GiB`, or bytes.
fn parse_size(text: &str) -> Result<u64, String> {
    let size = text.parse::<bytesize::ByteSize>();
    size.map(|size| size.as_u64())
        .map_err(|_| format!("`{text}` is not a size such as 500MB or 5GB"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_units() {
        assert_eq!(parse_size("5GB"), Ok(5_000_000_000));
        assert_eq!(parse_size("2GiB"), Ok(2 << 30));
        assert_eq!(parse_size("17"), Ok(17));
        for text in ["", "GB", "5XB", "-5GB"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }
}
