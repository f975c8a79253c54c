//! Getting things: HTTP, digests, signatures, unpacking, and the content-addressed store that
//! keeps Julias and toolchains.
//!
//! Architecture invariants of this crate:
//!
//! - It reads neither the environment nor the terminal: mirrors, proxies, certificates and
//!   directories are values that the command line passes down, and progress goes out as events.
//! - Nothing appears in the store before its digest matched. Unpacking does begin while bytes
//!   still arrive, but into a temporary folder that is only renamed into place at the end.
//! - Killing the process at any instant leaves the store as it was, plus temporary files that
//!   the next install of the same thing removes.
//! - What to choose is `plan`'s decision; this crate only carries it out.

mod acquirer;
mod catalogue;
mod error;
mod install;
mod mirror;
mod pipeline;
mod signature;
pub mod store;
mod tool_cache;

pub use acquirer::{Acquirer, InstalledJulia, InstalledToolchain};
pub use error::Error;
pub use mirror::{Location, Mirror, NotAMirror};
pub use signature::{SignatureError, Signatures};
pub use store::{Lease, Store};
pub use sysforge_net::{Network, Proxies, Retries, redacted, redacted_text};
pub use tool_cache::ToolCache;
