//! Everything that users and CI runners see: results, messages, errors, progress, traces and
//! questions on the standard streams, and the outputs and the summary of a job.
//!
//! Architecture invariants: only this crate and the command line use the standard streams. All text
//! passes through [`Terminal`], which escapes deceptive characters and the commands of CI runners.
//! This crate does not know the commands of Sysforge, and the environment is passed in as values.

mod bug;
mod printer;
mod progress;
mod prompt;
mod runner;
mod trace;

pub use bug::report_panics;
pub use printer::{Terminal, print_error, take_write_failure};
pub use progress::Progress;
pub use prompt::confirm;
pub use runner::Runner;
pub use trace::start_tracing;
