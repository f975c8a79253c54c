//! The vocabulary of Sysforge and every decision it takes.
//!
//! Architecture invariant: this crate touches nothing. No file, no network, no clock, no
//! environment, no process: pure functions over values, so that every decision can be tested
//! without a machine that fits it. It depends on no other crate of the workspace; all others
//! depend on it.

pub mod archive;
pub mod catalogue;
pub mod digest;
pub mod event;
pub mod explain;
pub mod generation;
pub mod julia;
pub mod nightly;
pub mod platform;
pub mod ranges;
pub mod request;
pub mod version;

pub use archive::ArchiveFormat;
pub use catalogue::{Catalogue, Choice};
pub use digest::Sha256;
pub use event::{Event, Reporter, Step, Task};
pub use explain::{Class, Evidence, Explain};
pub use julia::{JuliaBuild, JuliaFacts};
pub use platform::{Arch, Os, Triplet};
pub use request::Request;
pub use version::JuliaVersion;
