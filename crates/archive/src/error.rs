//! Why an archive was not unpacked.

use std::path::PathBuf;

use sysforge_plan::ArchiveFormat;
use sysforge_plan::explain::{Class, Explain, io_class, io_hint};

/// An archive that cannot or must not be unpacked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The archive is damaged.
    #[error("the archive is damaged")]
    Broken(#[source] std::io::Error),
    /// The archive is damaged in a way that its reader names.
    #[error("the archive is damaged: {0}")]
    Malformed(String),
    /// A name in the archive leads out of its folder or cannot be a file's name.
    #[error("the archive holds the name `{name}`, which {why}")]
    Name {
        /// The name, with control characters escaped.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A link in the archive leads out of its folder.
    #[error("the archive holds a link `{link}` to `{target}`, which {why}")]
    Link {
        /// The link.
        link: String,
        /// Where it leads.
        target: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The archive holds something that is neither file, folder nor link.
    #[error("the archive holds `{name}`, a {kind}")]
    Forbidden {
        /// The name.
        name: String,
        /// What it is.
        kind: &'static str,
    },
    /// The archive unpacks to more than is reasonable.
    #[error("the archive unpacks to more than {limit} {unit}")]
    TooMuch {
        /// The limit.
        limit: u64,
        /// Of what.
        unit: &'static str,
    },
    /// Two entries of the archive want to be the same file.
    #[error("the archive holds `{name}` twice, as different things")]
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
    /// The format is not one that this function reads or writes.
    #[error("a {format} archive is not read this way")]
    Unsupported {
        /// The format.
        format: ArchiveFormat,
    },
    /// The work was given up because the program is ending.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// What an error of reading an archive means. A limit that was found to be passed while bytes were
    /// read is not damage.
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
                vec!["nothing was kept; was it published in this state?".to_owned()]
            }
            Self::Unsupported { .. } | Self::Interrupted => Vec::new(),
            _ => vec![
                "nothing was kept. No Julia or toolchain of good standing is packed like this: do \
                 not use its source"
                    .to_owned(),
            ],
        }
    }
}
