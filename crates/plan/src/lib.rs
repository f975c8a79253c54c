//! The vocabulary of Sysforge and every decision it takes.
//!
//! Architecture invariant: this crate touches nothing. No file, no network, no clock, no
//! environment, no process: pure functions over values, so that every decision can be tested
//! without a machine that fits it. It depends on no other crate of the workspace; all others
//! depend on it.

pub mod build_id;
pub mod digest;
pub mod event;
pub mod explain;
pub mod generation;
pub mod julia;
pub mod platform;
pub mod receipt;
pub mod release;
pub mod version;

pub use build_id::BuildId;
pub use digest::Sha256;
pub use event::{Event, Reporter, Step, Task};
pub use explain::{Class, Evidence, Explain};
pub use julia::{JuliaBuild, JuliaFacts};
pub use platform::{Arch, Os, Triplet};
pub use receipt::Receipt;
pub use release::ReleaseIndex;
pub use version::JuliaVersion;
