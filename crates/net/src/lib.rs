//! The one HTTP client: proxies, certificates, `--offline`, retries, resuming, redirects, and limits
//! on what a server may send.
//!
//! Architecture invariants: this is the only crate that depends on an HTTP client, so every request
//! of Sysforge is made with [`Network::client`]. Settings come in as values; nothing is read from the
//! environment, and nothing is written to disk. No answer is kept in memory or waited for without a
//! bound. No address appears in an error or a message other than [`redacted`].

mod body;
mod error;
mod fetch;
mod redact;
mod settings;

pub use body::{Limits, Pace, read_body};
pub use error::{Error, PROXY_LOGIN, is_transient, remedy};
pub use fetch::{
    Attempts, Failure, Fetcher, Message, Opened, retry_after, server_time, status_error,
};
pub use redact::{redacted, redacted_text};
pub use reqwest::{
    Body, Client, Error as TransportError, Method, RequestBuilder, Response, StatusCode, header,
};
pub use settings::{Network, Proxies, Retries};
