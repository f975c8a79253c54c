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
    /// The HTTP client could not be set up.
    #[error("cannot set up the network client")]
    Client(#[source] reqwest::Error),
    /// A certificate file cannot be used.
    #[error("`{}` holds no certificates that can be read", path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Option<reqwest::Error>,
    },
    /// A proxy address cannot be used.
    #[error("`{address}` is not the address of a proxy")]
    Proxy {
        /// What was given, without its password.
        address: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The connection failed, or broke.
    #[error("cannot fetch {url}")]
    Connection {
        /// The address, without a password.
        url: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The server answered, though not with the file.
    #[error("{url} answers {status}")]
    Status {
        /// The address, without a password.
        url: String,
        /// The HTTP status.
        status: reqwest::StatusCode,
    },
    /// The server asks to come back much later.
    #[error("{url} is busy ({status}) and asks to come back in {seconds} seconds")]
    Busy {
        /// The address, without a password.
        url: String,
        /// The HTTP status.
        status: reqwest::StatusCode,
        /// Its `Retry-After`, in seconds.
        seconds: u64,
    },
    /// Bytes stopped coming.
    #[error("{url} stalled: {bytes} bytes came in {seconds} seconds")]
    Stalled {
        /// The address, without a password.
        url: String,
        /// How many bytes came.
        bytes: u64,
        /// In how many seconds.
        seconds: u64,
    },
    /// The server sent other bytes than the ones asked for.
    #[error("{url} answers a request for a part of the file wrongly ({detail})")]
    WrongRange {
        /// The address, without a password.
        url: String,
        /// What was wrong.
        detail: String,
    },
    /// The file on the server changed while it was being fetched.
    #[error("{url} changed while it was being fetched")]
    Changed {
        /// The address, without a password.
        url: String,
    },
    /// Every attempt failed.
    #[error("{last} (gave up after {attempts} attempts)")]
    GaveUp {
        /// How many attempts were made.
        attempts: u32,
        /// The last failure.
        #[source]
        last: Box<Error>,
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
        match self {
            Self::GaveUp { last, .. } => last.is_absence(),
            Self::Busy { .. } => true,
            Self::Connection { source, .. } => !source.is_builder() && !source.is_redirect(),
            other => other.is_transient(),
        }
    }

    /// Whether the same attempt may succeed a little later.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Connection { source, .. } => {
                !source.is_builder() && !source.is_redirect() && !is_distrust(source)
            }
            Self::Status { status, .. } => {
                status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429)
            }
            Self::Stalled { .. } => true,
            _ => false,
        }
    }
}

/// Whether a connection failed because of the certificate that the server showed: it will show the
/// same one the next time.
fn is_distrust(error: &reqwest::Error) -> bool {
    let mut link: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = link {
        if let Some(rustls::Error::InvalidCertificate(_)) = error.downcast_ref() {
            return true;
        }
        // `source` of an I/O error passes over the error that it was made of.
        let io = error.downcast_ref::<std::io::Error>();
        link = match io.and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    false
}

impl Explain for Error {
    fn class(&self) -> Class {
        match self {
            Self::Io { source, .. } | Self::ReadOnlyStore { source, .. } => {
                io_class(source, Class::Acquire)
            }
            Self::Unpack { source, .. } => source.class(),
            Self::NoJulia(source) => source.class(),
            Self::Signature(source) => source.class(),
            Self::Proxy { .. }
            | Self::Certificates { .. }
            | Self::NoNightly { .. }
            | Self::NoSuchJulia { .. } => Class::Usage,
            _ => Class::Acquire,
        }
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Connection { source, .. } if is_distrust(source) => {
                "if a company's own certificate authority stands between, name the file of its \
                 certificates in SSL_CERT_FILE; else do not trust this server"
            }
            Self::Connection { .. } | Self::Stalled { .. } => {
                "check the network; behind a proxy set HTTPS_PROXY, behind a company's own \
                 certificate authority set SSL_CERT_FILE; `--mirror` fetches from elsewhere"
            }
            Self::GaveUp { last, .. } => return last.hints(),
            Self::Status { status, .. } if status.as_u16() == 404 => {
                "is `--mirror` right? A mirror keeps the paths of Julia's own server"
            }
            Self::Status { status, .. } if matches!(status.as_u16(), 401 | 403) => {
                "the server wants other credentials: `--mirror https://USER:PASSWORD@HOST/…`"
            }
            Self::Status { .. } | Self::Busy { .. } => "try again later, or use another `--mirror`",
            Self::Changed { .. } | Self::WrongRange { .. } => {
                "try again; if it happens again, the mirror is at fault"
            }
            Self::Size { .. } | Self::Digest { .. } => {
                "nothing was kept. Either the file was damaged or replaced on its way (a proxy? a \
                 broken mirror?), or it was published anew: try again, or use another `--mirror`"
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
            Self::Certificates { .. } => {
                "give a file of PEM certificates (`-----BEGIN CERTIFICATE-----`)"
            }
            Self::Proxy { .. } => "a proxy looks like `http://HOST:PORT`",
            Self::Offline { .. } => {
                "run once without `--offline` (SYSFORGE_OFFLINE), or use a store that has it \
                 (`--store DIR`)"
            }
            Self::Client(_) => {
                "are there certificates on this machine? Install them (`apt-get install \
                 ca-certificates`), or name a file of them in SSL_CERT_FILE"
            }
            Self::Interrupted => return Vec::new(),
        };
        vec![hint.to_owned()]
    }
}

#[cfg(test)]
mod tests;
