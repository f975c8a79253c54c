//! Downloads, verifies, unpacks and stores Julias and toolchains.
//!
//! Architecture invariants of this crate:
//!
//! - It reads neither the environment nor the terminal. The command line passes mirrors, proxies,
//!   certificates and directories as values; progress is reported as events.
//! - Nothing enters the store before its digest has matched. Unpacking starts while bytes still
//!   arrive, but into a temporary folder that is renamed into place only at the end.
//! - Killing the process at any instant leaves the store as it was, plus temporary files that the
//!   next install of the same entry removes.
//! - `plan` decides what to install; this crate only carries it out.

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
pub use mirror::{InvalidMirror, Location, Mirror};
pub use signature::{SignatureError, Signatures};
pub use store::{Lease, Store};
pub use sysforge_net::{Network, Proxies, Retries, redacted, redacted_text};
pub use tool_cache::ToolCache;
