//! Builds an image: queries Julia, traces, emits, links, checks and measures.
//!
//! Architecture invariants: this crate runs child processes, and writes only in the build
//! directory, the depots and the paths that its caller names.
//! It reads no environment variables and prints nothing: the environment is passed as an
//! [`Environment`], progress is reported as events.

pub mod artifacts;
pub mod base;
mod buffered_seek;
pub mod check;
pub mod context;
pub mod depots;
pub mod elsewhere;
pub mod emit;
mod fingerprint;
pub mod inputs;
pub mod inspect;
pub mod instantiate;
pub mod link;
pub mod machine;
pub mod measure;
mod overrides;
pub mod probe;
pub mod rounds;
pub mod scan;
pub mod script;
mod secrets;
pub mod sections;
pub mod session;
pub mod startup;
pub mod statements;
pub mod targets;
pub mod trace;
mod tree;
pub mod workdir;

pub use context::Context;
pub use script::Script;
pub use sysforge_process::{Children, Ended, Environment, ProcessError, Program};
pub use workdir::WorkDir;

/// The version of the recipe: raised whenever the same inputs would give another image, so that
/// results of an older recipe are rebuilt.
pub const RECIPE: u32 = 4;
