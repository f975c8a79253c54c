//! GitHub Actions: the workflow that builds on every system, and the runner's commands.
//!
//! Architecture invariant: this crate generates and parses text. It opens no connection, starts no
//! process and does not read the environment; the command line passes facts about the runner as
//! values, and writes the resulting text.

pub mod command;
pub mod diff;
pub mod event;
pub mod handmade;
pub mod job;
pub mod pins;
pub mod summary;
pub mod trace;
pub mod workflow;

#[cfg(test)]
mod repository_tests;

/// The path of the workflow, relative to the repository's root.
pub const WORKFLOW_PATH: &str = ".github/workflows/sysimage.yml";
