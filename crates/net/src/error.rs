//! The errors of requests, with their exit codes and hints.

use std::error::Error as StdError;
use std::path::PathBuf;

use sysforge_plan::explain::{Class, Explain, io_class, io_hint};
use url::Url;

use crate::redact::redacted;

/// A failed request. Addresses in it are redacted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages describe the variants")]
pub enum Error {
    #[error("cannot set up the network client")]
    Client(#[source] reqwest::Error),
    #[error("cannot read `{}`", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("`{}` does not contain readable certificates", path.display())]
    Certificates {
        path: PathBuf,
        #[source]
        source: Option<reqwest::Error>,
    },
    #[error("`{address}` is not a proxy address")]
    Proxy {
        /// The given text, without its password.
        address: String,
    },
    #[error("`--offline` does not allow requests to {url}")]
    Offline { url: String },
    #[error("cannot fetch {url}")]
    Connection {
        url: String,
        #[source]
        source: reqwest::Error,
    },
    /// There is no server: the host does not exist, or nothing listens at the address.
    #[error("cannot fetch {url}: {why}")]
    NoServer { url: String, why: &'static str },
    #[error("{url} answers {}", answer(*status))]
    Status {
        url: String,
        status: reqwest::StatusCode,
    },
    #[error(
        "{url} is busy ({}) and asks to retry in {}", answer(*status), sysforge_plan::units::span(*seconds)
    )]
    Busy {
        url: String,
        status: reqwest::StatusCode,
        seconds: u64,
    },
    #[error("{url} stalled: {bytes} bytes arrived in {seconds} seconds")]
    Stalled {
        url: String,
        bytes: u64,
        seconds: u64,
    },
    #[error("{url} ended before the end of the file")]
    EndedEarly { url: String },
    #[error("{url} sends {actual} bytes or more; the limit is {longest}")]
    TooLong {
        url: String,
        longest: u64,
        actual: u64,
    },
    #[error("{url} sent a wrong range of the file ({detail})")]
    WrongRange { url: String, detail: String },
    #[error("{url} changed during the download")]
    Changed { url: String },
    #[error("{last} (gave up after {attempts} attempts)")]
    GaveUp {
        attempts: u32,
        #[source]
        last: Box<Error>,
    },
    #[error("interrupted")]
    Interrupted,
}

/// Formats the status of an answer. A redirect that could be followed is followed.
fn answer(status: reqwest::StatusCode) -> String {
    match (status.as_u16(), status.canonical_reason()) {
        (301 | 302 | 303 | 307 | 308, Some(reason)) => {
            format!("{} {reason}, a redirect to no web address", status.as_u16())
        }
        (code, Some(reason)) => format!("{code} {reason}"),
        (code, None) => format!("the unknown status {code}"),
    }
}

impl Error {
    /// Returns whether the server was unreachable, as opposed to refusing the request.
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::GaveUp { last, .. } => last.is_unreachable(),
            Self::Busy { .. } => true,
            Self::Connection { source, .. } => !source.is_builder() && !source.is_redirect(),
            other => other.is_transient(),
        }
    }

    /// Returns whether the same request may succeed a little later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connection { source, .. } => is_transient(source),
            Self::Status { status, .. } => {
                status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429)
            }
            Self::Stalled { .. } | Self::EndedEarly { .. } | Self::NoServer { .. } => true,
            _ => false,
        }
    }
}

/// Returns whether a request that failed in this way may succeed a little later. Errors due to a
/// certificate, a proxy's login, a refused redirect or a response that is not HTTP are permanent.
pub fn is_transient(error: &reqwest::Error) -> bool {
    !error.is_builder() && !error.is_redirect() && remedy(error).is_none()
}

/// Returns why there is no server: the host does not exist, or nothing listens at the address. The
/// server may be starting, so a few attempts are useful, but not many.
pub fn no_server(error: &(dyn StdError + 'static)) -> Option<&'static str> {
    causes(error).find_map(|cause| {
        let io = cause.downcast_ref::<std::io::Error>();
        if io.is_some_and(|io| io.kind() == std::io::ErrorKind::ConnectionRefused) {
            return Some("connection refused");
        }
        // The HTTP library's error type is private.
        (cause.to_string() == "dns error").then_some("there is no host of this name")
    })
}

/// The maximum number of attempts at a server that does not exist, in total.
pub const ATTEMPTS_WITHOUT_SERVER: u32 = 3;

/// The hint for [`no_server`].
pub const NO_SERVER: &str = "is the address right, does the server run, and can this machine reach it? Behind a \
     proxy, set HTTPS_PROXY or http_proxy";

/// Returns a hint for a permanent failure.
pub fn remedy(error: &(dyn StdError + 'static)) -> Option<&'static str> {
    if is_certificate_error(error) {
        return Some(
            "if your company's proxy uses its own certificate authority, set SSL_CERT_FILE to the file of \
             its certificates; otherwise do not trust this server",
        );
    }
    if requires_proxy_login(error) {
        return Some(PROXY_LOGIN);
    }
    if is_other_protocol(error) {
        return Some(
            "no HTTP server that works gives such an answer: check the address and its port, and that \
             `https://` is right there",
        );
    }
    None
}

/// The hint for a proxy that responds with status 407.
pub const PROXY_LOGIN: &str = "the proxy asks for a user name and a password: set \
     HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT";

/// Returns an error and all its causes.
fn causes<'e>(
    error: &'e (dyn StdError + 'static),
) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error| cause(*error))
}

fn cause<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e (dyn StdError + 'static)> {
    // The `source` of an I/O error skips the error that it wraps.
    let io = error.downcast_ref::<std::io::Error>();
    match io.and_then(std::io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

/// Returns whether a connection failed because the server's certificate was refused. A retry would
/// get the same certificate.
fn is_certificate_error(error: &(dyn StdError + 'static)) -> bool {
    causes(error).any(|cause| {
        matches!(
            cause.downcast_ref(),
            Some(rustls::Error::InvalidCertificate(_))
        )
    })
}

/// Returns whether the response is not HTTP, uses no TLS version or cipher that this client
/// supports, or has a larger header, chunk or trailer than this client accepts.
fn is_other_protocol(error: &(dyn StdError + 'static)) -> bool {
    use rustls::{AlertDescription as Alert, Error as Tls};
    causes(error).any(|cause| {
        if let Some(error) = cause.downcast_ref() {
            return matches!(
                error,
                Tls::PeerIncompatible(_)
                    | Tls::PeerMisbehaved(_)
                    | Tls::InvalidMessage(_)
                    | Tls::AlertReceived(
                        Alert::HandshakeFailure
                            | Alert::ProtocolVersion
                            | Alert::InsufficientSecurity
                            | Alert::UnrecognisedName
                            | Alert::NoApplicationProtocol
                    )
            );
        }
        if let Some(error) = cause.downcast_ref::<std::io::Error>() {
            // An error that wraps another is classified by the inner one.
            let invalid = matches!(
                error.kind(),
                std::io::ErrorKind::InvalidData | std::io::ErrorKind::InvalidInput
            );
            return invalid && !error.get_ref().is_some_and(|inner| inner.is::<Tls>());
        }
        let error = cause.downcast_ref::<hyper::Error>();
        error.is_some_and(hyper::Error::is_parse)
    })
}

/// Returns whether a proxy requires a login. The HTTP library's error type is private, so this
/// checks the message.
fn requires_proxy_login(error: &(dyn StdError + 'static)) -> bool {
    causes(error).any(|cause| cause.to_string().contains("proxy authorization required"))
}

pub(crate) fn connection_error(url: &Url, source: reqwest::Error) -> Error {
    if let Some(why) = no_server(&source) {
        return Error::NoServer {
            url: redacted(url),
            why,
        };
    }
    Error::Connection {
        url: redacted(url),
        // The message would repeat the address, including its password.
        source: source.without_url(),
    }
}

impl Explain for Error {
    fn class(&self) -> Class {
        match self {
            Self::File { source, .. } => io_class(source, Class::Usage),
            Self::Proxy { .. } | Self::Certificates { .. } => Class::Usage,
            _ => Class::Acquire,
        }
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Connection { source, .. } => remedy(source).unwrap_or(CHECK_NETWORK),
            Self::NoServer { .. } => NO_SERVER,
            Self::Stalled { .. } | Self::EndedEarly { .. } => CHECK_NETWORK,
            Self::GaveUp { last, .. } => return last.hints(),
            Self::File { source, .. } => return io_hint(source).into_iter().collect(),
            Self::Status { status, .. } if status.as_u16() == 404 => {
                "is `--mirror` right? A mirror keeps the paths of Julia's own server"
            }
            Self::Status { status, .. } if status.as_u16() == 407 => PROXY_LOGIN,
            Self::Status { status, .. } if matches!(status.as_u16(), 401 | 403) => {
                "the server wants other credentials: `--mirror https://USER:PASSWORD@HOST/…`"
            }
            Self::Status { status, .. }
                if !status.is_client_error() && !status.is_server_error() =>
            {
                "no mirror that works gives such an answer: use another `--mirror`"
            }
            Self::Status { .. } | Self::Busy { .. } => "try again later, or use another `--mirror`",
            Self::Changed { .. } | Self::WrongRange { .. } | Self::TooLong { .. } => {
                "try again; if it happens again, the mirror is at fault"
            }
            Self::Certificates { .. } => {
                "SSL_CERT_FILE must name a file of PEM certificates (`-----BEGIN CERTIFICATE-----`)"
            }
            Self::Proxy { .. } => {
                "HTTPS_PROXY, http_proxy or ALL_PROXY must contain an address such as \
                 `http://HOST:PORT`; proxies of other kinds, such as SOCKS, are not supported"
            }
            Self::Offline { .. } => {
                "run without `--offline` (SYSFORGE_OFFLINE), or name a folder on this machine"
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

const CHECK_NETWORK: &str = "check the network; behind a proxy set HTTPS_PROXY, behind a company's \
     own certificate authority set SSL_CERT_FILE; `--mirror` fetches from elsewhere";
