//! Plans and builds Julia sysimages: from a project's folder to a checked, packed image.
//!
//! Architecture invariants: every decision about how an image is made is taken in this crate or in
//! the crates it depends on, never in the command line. This crate reads no environment variable
//! and prints nothing: settings come in as an [`Engine`] and [`BuildOptions`]; progress and
//! warnings go out as events.

pub mod benchmark;
pub mod builds;
pub mod cache;
pub mod clean;
pub mod commits;
pub mod committed;
pub mod compilers;
pub mod cpu;
pub mod doctor;
mod emissions;
mod engine;
pub mod environments;
mod error;
mod failure;
mod fingerprints;
mod hints;
pub mod init;
pub mod install;
pub mod julias;
pub mod matrix;
pub mod objects;
mod options;
pub mod overview;
pub mod packages;
pub mod paths;
pub mod planning;
pub mod project;
pub mod publish;
pub mod runner;
#[cfg(test)]
mod shared_tests;
pub mod start;
pub mod steps;
pub mod verify;
pub mod workflow;

pub use engine::Engine;
pub use error::EngineError;
pub use failure::Failure;
pub use options::{BuildOptions, IDLE, ImageOptions, PackageOptions, linker};
pub use planning::{ExpectedEmission, Planned, plan, resolve_bases};
pub use project::{Location, ProjectFiles};
pub use runner::{BuildRunner, Repeat};
pub use sysforge_plan::{Event, Reporter};
pub use sysforge_process::Environment;
