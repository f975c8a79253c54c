//! What the user should know before the build.

use serde::Serialize;

/// Information for the user before the build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// The problem.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}
