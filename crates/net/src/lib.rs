//! The only HTTP client: proxies, certificates, `--offline`, retries, resuming, redirects, and
//! limits on what a server may send.
//!
//! Architecture invariants: this is the only crate that depends on an HTTP client, so every request
//! of Sysforge is made with [`Network::client`]. Settings are passed as values; the crate does not
//! read the environment and does not write to disk. Every response has a limit on its size and on
//! the time to wait for it. Errors and messages contain addresses only as [`redacted`].

mod body;
mod error;
mod fetch;
mod redact;
mod settings;

pub use body::{BodyReader, Limits, read_body};
pub use error::{
    ATTEMPTS_WITHOUT_SERVER, Error, NO_SERVER, PROXY_LOGIN, is_transient, no_server, remedy,
};
pub use fetch::{
    Attempts, Cause, FailedAttempts, Failure, Fetcher, Message, Opened, header_number, pause,
    retry_after, server_time, status_error,
};
pub use redact::{Address, has_login, has_private_parts, is_web, redacted, redacted_text, typed};
pub use reqwest::{
    Body, Client, Error as TransportError, Method, RequestBuilder, Response, StatusCode, header,
};
pub use settings::{Network, Proxies, Retries};
