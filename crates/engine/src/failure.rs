//! The one error type of the engine's functions: the typed error of whichever crate failed.

use std::fmt;

use sysforge_plan::Explain;

/// A failure of any crate. It holds the whole typed error: its class, hints and evidence come from
/// [`Explain`], and it can be downcast.
#[derive(Debug)]
pub struct Failure(pub Box<dyn Explain>);

impl<E: Explain> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(Box::new(error))
    }
}

impl Failure {
    /// Returns the exit code of a command that ends with this failure.
    pub fn exit_code(&self) -> u8 {
        self.0.class().exit_code()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}
