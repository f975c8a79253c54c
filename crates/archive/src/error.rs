//! The reasons why an archive is not unpacked.

use std::path::PathBuf;

use sysforge_plan::ArchiveFormat;
use sysforge_plan::explain::{Class, Explain, io_class, io_hint};

/// An archive that cannot be unpacked, or is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The archive is damaged, according to an I/O error.
    #[error("the archive is damaged")]
    Broken(#[source] std::io::Error),
    /// The archive is damaged, according to its reader.
    #[error("the archive is damaged: {0}")]
    Malformed(String),
    /// A name in the archive leads out of its folder or is not a valid file name.
    #[error("the archive contains the name `{name}`, which {why}")]
    Name {
        /// The name, with control characters escaped.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A link in the archive leads out of its folder.
    #[error("the archive contains a link `{link}` to `{target}`, which {why}")]
    Link {
        /// The link.
        link: String,
        /// Its target.
        target: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The archive contains something other than a file, a folder or a link.
    #[error("the archive contains `{name}`, which is {kind}")]
    Forbidden {
        /// The name.
        name: String,
        /// What it is.
        kind: &'static str,
    },
    /// The archive exceeds a limit.
    #[error("the archive unpacks to more than {limit} {unit}")]
    TooMuch {
        /// The limit.
        limit: u64,
        /// The unit of the limit.
        unit: &'static str,
    },
    /// Two entries of the archive cannot both be unpacked: they have the same name, or names that
    /// differ only in case.
    #[error("the archive contains `{name}` twice")]
    Conflict {
        /// The name.
        name: String,
    },
    /// A file could not be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// This function does not support the format.
    #[error("a {format} archive cannot be read this way")]
    Unsupported {
        /// The format.
        format: ArchiveFormat,
    },
    /// The operation was cancelled because the program is ending.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// Converts an error that occurred while reading an archive. An exceeded limit does not count
    /// as damage.
    #[must_use]
    pub fn reading(error: std::io::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(error) => error,
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
