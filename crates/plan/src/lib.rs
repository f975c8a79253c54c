//! The vocabulary of Sysforge and all its decisions.
//!
//! Architecture invariant: this crate performs no input or output. It contains only pure functions
//! over values (no files, network, clock, environment or processes), so every decision can be
//! tested on any machine. It depends on no other crate of the workspace; all others depend on it.

pub mod app;
pub mod archive;
pub mod build_id;
pub mod catalogue;
pub mod config;
pub mod cpu;
pub mod digest;
pub mod encoding;
pub mod environment;
pub mod event;
pub mod explain;
pub mod generation;
pub mod image_environment;
pub mod json;
pub mod julia;
mod julia_option;
pub mod library;
pub mod link;
pub mod manifest;
pub mod manifests;
pub mod matrix;
mod measured;
pub mod memory;
pub mod nightly;
pub mod output;
pub mod plan;
pub mod platform;
pub mod portability;
pub mod project;
pub mod ranges;
pub mod receipt;
pub mod release;
pub mod request;
pub mod runner;
pub mod secret;
mod serde_message;
pub mod signing;
pub mod statements;
pub mod text;
pub mod toml_error;
mod toml_reader;
pub mod toolchain;
pub mod units;
pub mod version;

pub use archive::ArchiveFormat;
pub use build_id::BuildId;
pub use catalogue::{Catalogue, Choice};
pub use config::Config;
pub use digest::Sha256;
pub use event::{Event, Reporter, Step, Task};
pub use explain::{Class, Evidence, Explain, PathError};
pub use julia::{JuliaBuild, JuliaFacts};
pub use julia_option::{JuliaOption, NotAJuliaOption};
pub use output::OutputKind;
pub use plan::Plan;
pub use platform::{Arch, Os, Triplet};
pub use receipt::Receipt;
pub use release::ReleaseIndex;
pub use request::Request;
pub use secret::Secret;
pub use version::JuliaVersion;
