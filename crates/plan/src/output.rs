//! The kinds of standard output of a program.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A kind of standard output. Julia has a type for each and compiles its printing code for each type.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum OutputKind {
    /// A pipe, as in `julia script.jl | less` (`Base.PipeEndpoint`).
    Pipe,
    /// A terminal (`Base.TTY`).
    Terminal,
    /// A file, as in `julia script.jl > report.txt` (`IOStream`).
    File,
}

impl OutputKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Pipe, Self::Terminal, Self::File];

    /// Returns the kind as one word, for file names.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pipe => "pipe",
            Self::Terminal => "terminal",
            Self::File => "file",
        }
    }
}

/// Formats the kind to follow "with output to".
impl fmt::Display for OutputKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a {}", self.word())
    }
}
