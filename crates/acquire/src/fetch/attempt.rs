//! One request, and how often and when to make it again.

use std::time::{Duration, SystemTime};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use reqwest::header::{IF_RANGE, RANGE, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use url::Url;

use super::{Fetcher, status_error};
use crate::error::Error;
use crate::mirror::redacted;
use crate::network::Retries;

/// A failed attempt, and when the server wants to be asked again.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    pub(crate) retry_after: Option<Duration>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self {
            error,
            retry_after: None,
        }
    }
}

/// The attempts at one thing. Progress earns new ones, up to a bound.
#[derive(Debug)]
pub(crate) struct Attempts {
    rules: Retries,
    made: u32,
    delays: ExponentialBackoff,
}

impl Attempts {
    pub(crate) fn new(rules: &Retries) -> Self {
        Self {
            rules: *rules,
            made: 0,
            delays: delays(rules),
        }
    }

    /// New bytes came: the line is not dead.
    pub(crate) fn progressed(&mut self) {
        self.delays = delays(&self.rules);
    }

    /// Waits as long as it takes until the next attempt makes sense, or gives up.
    pub(crate) async fn wait_after(&mut self, failure: Failure) -> Result<(), Error> {
        let Failure { error, retry_after } = failure;
        self.made += 1;
        if !error.is_transient() {
            return Err(error);
        }
        let delay = match self.delays.next() {
            Some(delay) if self.made < self.rules.total => delay,
            _ if self.made == 1 => return Err(error),
            _ => {
                return Err(Error::GaveUp {
                    attempts: self.made,
                    last: Box::new(error),
                });
            }
        };
        let delay = match (retry_after, error) {
            (None, _) => delay,
            (Some(wait), _) if wait <= self.rules.longest_wait => wait.max(delay),
            (Some(wait), Error::Status { url, status }) => {
                return Err(Error::Busy {
                    url,
                    status,
                    seconds: wait.as_secs(),
                });
            }
            (Some(_), error) => return Err(error),
        };
        tokio::time::sleep(delay).await;
        Ok(())
    }
}

fn delays(rules: &Retries) -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(rules.first_delay)
        .with_max_delay(rules.longest_delay)
        .with_max_times(rules.fruitless.saturating_sub(1) as usize)
        // Many runners that were thrown off together must not come back together.
        .with_jitter()
        .build()
}

impl Fetcher {
    /// Makes one request, for a range from one byte up to another if that is given, and returns
    /// a response that is good: 200, 206, or 416 to a range.
    pub(crate) async fn request(
        &self,
        url: &Url,
        range: Option<(u64, Option<u64>)>,
        validator: Option<&str>,
    ) -> Result<Response, Failure> {
        let mut request = self.client.get(url.clone());
        if let Some((start, end)) = range {
            let end = end.map_or_else(String::new, |end| (end - 1).to_string());
            request = request.header(RANGE, format!("bytes={start}-{end}"));
            if let Some(validator) = validator {
                request = request.header(IF_RANGE, validator);
            }
        }
        let response = self.send(url, request).await?;
        match response.status() {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT => Ok(response),
            StatusCode::RANGE_NOT_SATISFIABLE if range.is_some() => Ok(response),
            status => Err(Failure {
                error: status_error(url, status),
                retry_after: retry_after(&response),
            }),
        }
    }

    /// The body of an answer that must not be longer than `longest`.
    pub(crate) async fn small_body(
        &self,
        url: &Url,
        mut response: Response,
        longest: usize,
    ) -> Result<Vec<u8>, Failure> {
        let mut body = Vec::new();
        loop {
            let limit = self.network.stall_time;
            match tokio::time::timeout(limit, response.chunk()).await {
                Ok(Ok(Some(bytes))) => body.extend_from_slice(&bytes),
                Ok(Ok(None)) => return Ok(body),
                Ok(Err(source)) => return Err(connection_error(url, source).into()),
                Err(_) => {
                    return Err(Error::Stalled {
                        url: redacted(url),
                        bytes: body.len() as u64,
                        seconds: limit.as_secs(),
                    }
                    .into());
                }
            }
            if body.len() > longest {
                return Err(Error::Size {
                    what: redacted(url),
                    expected: longest as u64,
                    actual: body.len() as u64,
                }
                .into());
            }
        }
    }

    /// Sends a request; the answer's head must come within the stall time.
    pub(crate) async fn send(
        &self,
        url: &Url,
        request: reqwest::RequestBuilder,
    ) -> Result<Response, Failure> {
        let limit = self.network.connect_timeout + self.network.stall_time;
        match tokio::time::timeout(limit, request.send()).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(source)) => Err(connection_error(url, source).into()),
            Err(_) => Err(Error::Stalled {
                url: redacted(url),
                bytes: 0,
                seconds: limit.as_secs(),
            }
            .into()),
        }
    }
}

pub(super) fn connection_error(url: &Url, source: reqwest::Error) -> Error {
    Error::Connection {
        url: redacted(url),
        // The message would repeat the address, with its password.
        source: source.without_url(),
    }
}

/// `Retry-After`, in either of its forms.
pub(crate) fn retry_after(response: &Response) -> Option<Duration> {
    let text = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = httpdate::parse_http_date(text).ok()?;
    Some(at.duration_since(SystemTime::now()).unwrap_or_default())
}
