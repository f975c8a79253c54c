//! What can be typed after `julia`, `toolchain` and `cache`: what is fetched, and kept in the store.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use sysforge_engine::{Engine, EngineError};
use sysforge_plan::Triplet;

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
    /// Fetch, verify and unpack Julias, and print the paths of their executables
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

/// What to do with C toolchains.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum ToolchainCommand {
    /// The compilers of this machine and those that can be fetched, and whether they suit Julia
    List(Platform),
    /// Fetch, verify and unpack a toolchain, and print the path of its compiler
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
    /// Print the path of the compiler of an installed toolchain
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

impl Platform {
    /// The platform that was named, or this machine's.
    pub(crate) fn triplet(&self) -> Result<Triplet, EngineError> {
        self.triplet.map_or_else(Engine::host, Ok)
    }
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
        #[arg(long, value_name = "AGE", value_parser = super::duration::with_unit, default_value = "30d")]
        older_than: Duration,
        /// Then the least recently used, until the rest is at most this large, such as 5GB
        #[arg(long, value_name = "SIZE", value_parser = parse_size)]
        keep: Option<u64>,
        /// Print what would be removed, and remove nothing
        #[arg(long)]
        dry_run: bool,
        /// Everything that is not in use
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
