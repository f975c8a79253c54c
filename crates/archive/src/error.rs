//! The reasons why an archive is not unpacked.

use std::path::PathBuf;

use sysforge_plan::ArchiveFormat;
use sysforge_plan::explain::{Class, Explain, io_class, io_hint};

/// An archive that cannot be unpacked, or is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages describe the variants")]
pub enum Error {
    #[error("the archive is damaged")]
    Broken(#[source] std::io::Error),
    #[error("the archive is damaged: {0}")]
    Malformed(String),
    #[error("the archive contains the name `{name}`, which {why}")]
    Name {
        /// The name, with control characters escaped.
        name: String,
        why: &'static str,
    },
    #[error("the archive contains a link `{link}` to `{target}`, which {why}")]
    Link {
        link: String,
        target: String,
        why: &'static str,
    },
    #[error("the archive contains `{name}`, which is {kind}")]
    Forbidden { name: String, kind: &'static str },
    #[error("the archive exceeds the limit of {limit} {unit}")]
    TooMuch { limit: u64, unit: &'static str },
    /// Two entries of the archive cannot both be unpacked: they have the same name, or names that
    /// differ only in case.
    #[error("the archive contains `{name}` twice")]
    Conflict { name: String },
    #[error("cannot write `{}`", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("a {format} archive cannot be read this way")]
    Unsupported { format: ArchiveFormat },
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// Converts an error that occurred while reading an archive. An exceeded limit does not count
    /// as damage.
    pub fn reading(error: std::io::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(error) => error,
            // The texts of this kind speak of buffers and blocks.
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                Self::Malformed("it is cut short".to_owned())
            }
            Err(error) => Self::Broken(error),
        }
    }

    pub(crate) fn write(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Write { path, source }
    }
}

impl Explain for Error {
    fn class(&self) -> Class {
        match self {
            Self::Write { source, .. } => io_class(source, Class::Acquire),
            Self::Unsupported { .. } => Class::Bug,
            _ => Class::Acquire,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Write { source, .. } => io_hint(source).into_iter().collect(),
            Self::Broken(_) | Self::Malformed(_) => {
                vec!["nothing was kept; was it published damaged?".to_owned()]
            }
            Self::Unsupported { .. } | Self::Interrupted => Vec::new(),
            _ => vec![
                "nothing was kept. No genuine Julia or toolchain is packed like this: do \
                 not use its source"
                    .to_owned(),
            ],
        }
    }
}
