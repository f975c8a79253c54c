//! The errors of this crate, with their exit codes and hints.

use std::path::PathBuf;

use sysforge_plan::catalogue::{NoJulia, NotACatalogue};
use sysforge_plan::explain::{Class, Explain, io_class, io_hint};
use sysforge_plan::{Sha256, Triplet, units};

use crate::signature::SignatureError;
use sysforge_archive as unpack;

/// Failed to acquire a Julia, a toolchain or the catalogue.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages describe the variants")]
pub enum Error {
    #[error(transparent)]
    Net(sysforge_net::Error),
    #[error("the catalogue at {location} names a file of this machine, `{url}`")]
    LocalFile { location: String, url: String },
    #[error("{what} has {actual} bytes, but should have {expected}")]
    Size {
        what: String,
        expected: u64,
        actual: u64,
    },
    #[error("{what} has more than {}, the limit for an archive", units::bytes(*.limit))]
    TooLarge { what: String, limit: u64 },
    #[error("{what} has the SHA-256 digest {actual}, but should have {expected}")]
    Digest {
        what: String,
        expected: Sha256,
        actual: Sha256,
    },
    #[error("cannot unpack {what}")]
    Unpack {
        what: String,
        #[source]
        source: unpack::Error,
    },
    #[error(transparent)]
    Signature(#[from] SignatureError),
    #[error("{what} does not contain `{missing}`")]
    MissingFile { what: String, missing: String },
    #[error("cannot {doing} `{}`", path.display())]
    Io {
        /// What failed, as a verb.
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the store `{}` cannot be written to", path.display())]
    ReadOnlyStore {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot use the catalogue at {location}")]
    Catalogue {
        location: String,
        #[source]
        source: NotACatalogue,
    },
    #[error(transparent)]
    NoJulia(#[from] NoJulia),
    #[error("there are no nightly builds of Julia for {triplet}")]
    NoNightly { triplet: Triplet },
    #[error("no Julia was found for the request `{request}`")]
    NoSuchJulia { request: String, hint: String },
    #[error("the built-in address of a toolchain is not valid: {url}")]
    ToolchainUrl { url: &'static str },
    #[error("{what} is not in the store, and `--offline` does not allow fetching it")]
    Offline { what: String },
    #[error("`{mirror}` is not a mirror: {} does not exist", .missing.display())]
    NoMirror { missing: PathBuf, mirror: String },
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    pub(crate) fn io(
        doing: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            doing,
            path,
            source,
        }
    }

    /// Returns whether the server was unreachable, as opposed to refusing the request.
    pub(crate) fn is_unreachable(&self) -> bool {
        matches!(self, Self::Net(error) if error.is_unreachable())
    }

    /// Returns whether the server's file changed between two requests.
    pub(crate) fn is_file_changed(&self) -> bool {
        matches!(self, Self::Net(sysforge_net::Error::Changed { .. }))
    }
}

impl From<sysforge_net::Error> for Error {
    fn from(error: sysforge_net::Error) -> Self {
        match error {
            sysforge_net::Error::Interrupted => Self::Interrupted,
            error => Self::Net(error),
        }
    }
}

impl Explain for Error {
    fn class(&self) -> Class {
        match self {
            Self::Io { source, .. } | Self::ReadOnlyStore { source, .. } => {
                io_class(source, Class::Acquire)
            }
            Self::Net(source) => source.class(),
            Self::Unpack { source, .. } => source.class(),
            Self::NoJulia(source) => source.class(),
            Self::Signature(source) => source.class(),
            Self::ToolchainUrl { .. } => Class::Bug,
            Self::NoNightly { .. } | Self::NoSuchJulia { .. } | Self::NoMirror { .. } => {
                Class::Usage
            }
            _ => Class::Acquire,
        }
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Net(source) => return source.hints(),
            Self::Size { .. } | Self::Digest { .. } => {
                "nothing was kept. Either the file was damaged or replaced on its way (a proxy? a \
                 broken mirror?), or it was published again: try again, or use another `--mirror`"
            }
            Self::TooLarge { .. } => {
                "nothing was kept. No Julia or toolchain is that large: do not use its source"
            }
            Self::LocalFile { .. } => {
                "do not use this mirror: only a mirror that is a folder may name files of this machine"
            }
            Self::Unpack { source, .. } => return source.hints(),
            Self::MissingFile { .. } => {
                "nothing was kept; is this the archive of a Julia release, or of a toolchain?"
            }
            Self::Io { source, .. } => return io_hint(source).into_iter().collect(),
            Self::ReadOnlyStore { .. } => "choose another place for the store (`--store DIR`)",
            Self::Catalogue { source, .. } => return source.hints(),
            Self::NoJulia(source) => return source.hints(),
            Self::Signature(source) => return source.hints(),
            Self::NoMirror { .. } => crate::mirror::HINT,
            Self::ToolchainUrl { .. } => "it is wrong in Sysforge's table; please report this",
            Self::NoNightly { .. } => "ask for a release, for instance `release` or `rc`",
            Self::NoSuchJulia { hint, .. } => return vec![hint.clone()],
            Self::Offline { .. } => {
                "run once without `--offline` (SYSFORGE_OFFLINE), or use a store that has it \
                 (`--store DIR`)"
            }
            Self::Interrupted => return Vec::new(),
        };
        vec![hint.to_owned()]
    }
}

#[cfg(test)]
mod tests;
