//! Publishing images to a release host, and installing from one.
//!
//! Architecture invariants: this crate talks to a host's API, reads the dist directory and writes
//! what it installs, and accesses nothing else. It reads no environment variable and prints
//! nothing: the token, the URLs and the repository are passed in as values; progress and warnings
//! go out as events. Nothing becomes public before every byte of it is verified at the host, and
//! nothing is lost when Sysforge is killed: the next run finishes.

pub mod archive;
mod attestation;
pub mod complete;
pub mod dist;
pub mod documents;
pub mod error;
mod fetch;
pub mod host;
pub mod install;
mod local;
pub mod report;

pub mod release_bundle;
pub mod signing;
pub mod storage_error;

pub use dist::Dist;
pub use error::PublishError;
pub use release_bundle::{Origin, ReleaseBundle};
pub use report::{AssetOutcome, Outcome, Published};
pub use sysforge_plan::Secret;
