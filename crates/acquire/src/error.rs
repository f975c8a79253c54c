//! What can go wrong while acquiring, and what to do about each.

use std::path::PathBuf;

use sysforge_plan::catalogue::{NoJulia, NotACatalogue};
use sysforge_plan::explain::{Class, Explain, io_class, io_hint};
use sysforge_plan::{Sha256, Triplet};

use crate::signature::SignatureError;
use sysforge_archive as unpack;

/// A failure to acquire something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A request failed.
    #[error(transparent)]
    Net(sysforge_net::Error),
    /// A catalogue of a server names a file of this machine.
    #[error("the catalogue at {location} names a file of this machine, `{url}`")]
    LocalFile {
        /// Where the catalogue is.
        location: String,
        /// The address.
        url: String,
    },
    /// The file has another size than it should.
    #[error("{what} has {actual} bytes, but should have {expected}")]
    Size {
        /// The file.
        what: String,
        /// What the catalogue says.
        expected: u64,
        /// What came.
        actual: u64,
    },
    /// The file has another digest than it should.
    #[error("{what} has the SHA-256 digest {actual}, but should have {expected}")]
    Digest {
        /// The file.
        what: String,
        /// What the catalogue says.
        expected: Sha256,
        /// What came.
        actual: Sha256,
    },
    /// The archive could not be unpacked, though its digest is right.
    #[error("cannot unpack {what}")]
    Unpack {
        /// The archive.
        what: String,
        /// Why.
        #[source]
        source: unpack::Error,
    },
    /// The signature of the archive is not what it should be.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The archive was unpacked and holds no Julia.
    #[error("{what} is not what it should be: it has no `{missing}`")]
    NotAJulia {
        /// The archive or the directory.
        what: String,
        /// What is missing.
        missing: String,
    },
    /// A file of ours could not be read or written.
    #[error("cannot {doing} `{}`", path.display())]
    Io {
        /// A verb.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Nothing new can be kept.
    #[error("the store `{}` cannot be written to", path.display())]
    ReadOnlyStore {
        /// The store's folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// What came as a catalogue is none.
    #[error("cannot use the catalogue at {location}")]
    Catalogue {
        /// Where it came from.
        location: String,
        /// Why.
        #[source]
        source: NotACatalogue,
    },
    /// No release answers the request.
    #[error(transparent)]
    NoJulia(#[from] NoJulia),
    /// There are no nightly builds for the platform.
    #[error("there are no nightly builds of Julia for {triplet}")]
    NoNightly {
        /// The platform.
        triplet: Triplet,
    },
    /// A request that this place cannot answer.
    #[error("no Julia was found for the request `{request}`")]
    NoSuchJulia {
        /// The request.
        request: String,
        /// What to do.
        hint: String,
    },
    /// Something is not here, and the network is not to be asked.
    #[error("{what} is not in the store, and `--offline` forbids to fetch it")]
    Offline {
        /// What is missing.
        what: String,
    },
    /// The work was given up because the program is ending.
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

    /// Whether this says that the server is away, and not that it refuses.
    pub(crate) fn is_absence(&self) -> bool {
        matches!(self, Self::Net(error) if error.is_absence())
    }

    /// Whether the server has another file than when it was asked first.
    pub(crate) fn is_change(&self) -> bool {
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
            Self::NoNightly { .. } | Self::NoSuchJulia { .. } => Class::Usage,
            _ => Class::Acquire,
        }
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Net(source) => return source.hints(),
            Self::Size { .. } | Self::Digest { .. } => {
                "nothing was kept. Either the file was damaged or replaced on its way (a proxy? a \
                 broken mirror?), or it was published anew: try again, or use another `--mirror`"
            }
            Self::LocalFile { .. } => {
                "do not use this mirror: only a mirror that is a folder may name files of this machine"
            }
            Self::Unpack { source, .. } => return source.hints(),
            Self::NotAJulia { .. } => {
                "nothing was kept; is this the archive of a Julia release, or of a toolchain?"
            }
            Self::Io { source, .. } => return io_hint(source).into_iter().collect(),
            Self::ReadOnlyStore { source, .. } => {
                let otherwise = || "choose another place for the store (`--store DIR`)".to_owned();
                return vec![io_hint(source).unwrap_or_else(otherwise)];
            }
            Self::Catalogue { source, .. } => return source.hints(),
            Self::NoJulia(source) => return source.hints(),
            Self::Signature(source) => return source.hints(),
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
