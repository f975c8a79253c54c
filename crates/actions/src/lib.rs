//! GitHub Actions: the workflow that builds on every system, and the language of the runners.
//!
//! Architecture invariant: this crate makes text and reads text. It opens no connection, starts no
//! process and reads no environment; what it is told about a runner comes from the command line
//! as values, and what it says goes back there to be written.

pub mod command;
pub mod diff;
pub mod event;
pub mod handmade;
pub mod pins;
pub mod summary;
pub mod trace;
pub mod workflow;

#[cfg(test)]
mod repository_tests;
