//! Child processes: starting, watching and ending them, and the environment that they receive.
//!
//! Architecture invariants: this is the only crate that starts processes. A child and its
//! descendants never outlive Sysforge, however it ends. A child's [`Environment`] contains none of
//! Sysforge's secrets: they are removed when the value is created.

mod children;
mod drawn;
mod environment;
mod error;
mod frames;
mod group;
mod interrupt;
mod output;
mod replace;
mod umask;
mod vitals;

pub use children::{Children, Finished, Program, redact};
pub use drawn::meaningful;
pub use environment::Environment;
pub use error::{Ended, ProcessError};
pub use interrupt::{Signal, interrupted};
pub use output::available_outputs;
pub use replace::replace;
pub use umask::restrict_umask;
