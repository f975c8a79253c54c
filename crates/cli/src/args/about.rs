//! Arguments of `schema` and `man`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Documents that have a schema.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Document {
    /// Sysimage.toml, for editors that complete and check it
    Config,
    /// The receipt of an image
    Receipt,
    /// The index of a release, sysforge-release.json
    Release,
}

/// Arguments of `man`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ManArgs {
    /// The command whose page to print, such as `build` or `julia install` [default: the overview]
    #[arg(value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
    /// Write the pages of all commands to this folder
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    pub(crate) out: Option<PathBuf>,
}
