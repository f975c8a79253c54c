//! Child processes: starting them, watching them, ending them, and the environment that they get.
//!
//! Architecture invariants: this is the only crate that starts processes. A child and its
//! descendants never outlive Sysforge, whatever ends it. A child's [`Environment`] holds no secret
//! of Sysforge's own environment: they are removed when the value is made.

mod children;
mod environment;
mod error;
mod group;
mod output;
mod vitals;

pub use children::{Children, Finished, Program};
pub use environment::Environment;
pub use error::{Ended, ProcessError};
pub use output::available_outputs;
