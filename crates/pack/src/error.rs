//! The errors of packing.

use std::path::Path;

use sysforge_plan::receipt::Unaccounted;
use sysforge_plan::{Class, Explain, PathError};

/// Packing failed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages describe the variants")]
pub enum PackError {
    #[error(transparent)]
    Io(PathError),
    #[error("the image is not packed, because its receipt would not account for every statement")]
    Unaccounted(#[source] Unaccounted),
    #[error("packing was interrupted")]
    Interrupted,
    #[error("the packing thread panicked")]
    Panicked(#[source] tokio::task::JoinError),
}

impl PackError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        PathError::wrap(action, path, Self::Io)
    }
}

impl Explain for PackError {
    fn class(&self) -> Class {
        match self {
            Self::Io(error) => error.class(Class::Machine),
            Self::Unaccounted(_) | Self::Interrupted | Self::Panicked(_) => Class::Bug,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Io(error) => error.hints(),
            Self::Unaccounted(_) => vec![
                "was a record in the build directory changed? `sysforge build --force` writes the records again"
                    .to_owned(),
            ],
            Self::Interrupted | Self::Panicked(_) => Vec::new(),
        }
    }
}
