//! A single request for metadata, and its repetition until it is answered.

use std::time::Duration;

use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::Value;
use sysforge_net::header::HeaderMap;
use sysforge_net::{ATTEMPTS_WITHOUT_SERVER, Method};

use super::failure::{Failure, HOST_AT_FAULT, of_error};
use super::{GitHub, Timing};
use crate::error::PublishError;

/// Maximum size of an answer of the API, in bytes: a page of 100 releases with 1000 assets each is
/// smaller. All pages of a list together are not larger either.
pub(super) const ANSWER_LIMIT: usize = 256 << 20;

/// Maximum size of an error page, in bytes; real ones have some kilobytes.
const ERROR_LIMIT: usize = 1 << 20;

/// A request to the API.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) method: Method,
    /// Path and query, from `/repos` on.
    pub(super) path: String,
    pub(super) body: Option<Value>,
}

impl Request {
    pub(super) fn new(method: Method, path: String) -> Self {
        Self {
            method,
            path,
            body: None,
        }
    }

    pub(super) fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }
}

/// Shorter pauses are not reported.
const FELT: Duration = Duration::from_secs(1);

/// The failed attempts at a request.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Attempts {
    made: u32,
    stalled: u32,
    /// The number of consecutive attempts that reached no server.
    without_server: u32,
}

impl Attempts {
    /// Counts an attempt that failed for a reason that is not a [`Failure`].
    pub(crate) fn count(&mut self) {
        self.made += 1;
    }

    /// Returns the number of failed attempts.
    pub(crate) fn made(self) -> u32 {
        self.made
    }

    /// Notes that an attempt made progress before it failed, so that more attempts are allowed.
    pub(crate) fn progressed(&mut self) {
        *self = Self::default();
    }

    /// Counts a failure. Returns whether it was the last: another attempt would not help, or the
    /// limit is reached.
    pub(crate) fn is_last(&mut self, failure: &Failure, timing: &Timing) -> bool {
        self.made += 1;
        match failure {
            Failure::NoServer(_) => self.without_server += 1,
            Failure::Stalled(_) => self.stalled += 1,
            _ => self.without_server = 0,
        }
        !failure.is_passing()
            || self.made >= timing.attempts
            || self.stalled >= timing.stalls
            || self.without_server >= ATTEMPTS_WITHOUT_SERVER
    }
}

impl Timing {
    /// Returns the number of attempts in total if this failure is the last.
    pub(crate) fn attempts_until(&self, last: &Failure) -> u32 {
        match last {
            Failure::Stalled(_) => self.attempts.min(self.stalls),
            Failure::NoServer(_) => self.attempts.min(ATTEMPTS_WITHOUT_SERVER),
            _ => self.attempts,
        }
    }

    /// Pauses after a failed attempt: for the time that the host asks for, or twice as long as the
    /// last time.
    ///
    /// # Errors
    ///
    /// The failure itself, if the host asks to wait for longer than the limit.
    pub(crate) async fn pause(&self, attempts: Attempts, failure: &Failure) -> Result<(), Failure> {
        let doublings = attempts.made().saturating_sub(1);
        let growing = self.backoff * 2_u32.saturating_pow(doublings).min(1 << 10);
        let wait = match failure {
            Failure::Limited(Some(wait)) if *wait > self.wait_limit => {
                return Err(failure.clone());
            }
            // A wait of zero is not meant seriously.
            Failure::Limited(Some(wait)) => (*wait).max(growing.min(self.backoff_limit)),
            Failure::Limited(None) => self.limited.max(growing),
            _ => growing.min(self.backoff_limit),
        };
        let wait = wait + wait.mul_f64(f64::from(fastrand()) / 2_560.0);
        tracing::debug!(ms = wait.as_millis(), reason = failure.words(), "retry");
        if wait >= FELT {
            let (words, seconds) = (failure.words(), wait.as_secs());
            self.reporter
                .note(format!("{words}; trying again in {seconds} s"));
        }
        tokio::time::sleep(wait).await;
        Ok(())
    }
}

impl GitHub {
    /// Sends a request once.
    pub(super) async fn once<T: DeserializeOwned>(&self, request: &Request) -> Result<T, Failure> {
        self.once_within(request, &mut ANSWER_LIMIT.clone()).await
    }

    /// Does the same, for an answer of at most `left` bytes, from which the size of the answer is
    /// subtracted.
    async fn once_within<T: DeserializeOwned>(
        &self,
        request: &Request,
        left: &mut usize,
    ) -> Result<T, Failure> {
        if request.method != Method::GET {
            self.pacer.turn().await;
        }
        self.count();
        let started = std::time::Instant::now();
        let answered =
            tokio::time::timeout(self.timing.request, self.exchange(request, *left)).await;
        // A path may contain a query; the token is in a header.
        let path = request.path.split('?').next().unwrap_or_default();
        let status = answered
            .as_ref()
            .ok()
            .and_then(|answer| answer.as_ref().ok());
        let status = status.map(|(status, ..)| *status);
        let ms = started.elapsed().as_millis();
        tracing::debug!(method = %request.method, path, status, ms, "request");
        let (status, headers, body) = match answered {
            Ok(answered) => answered?,
            Err(_) => return Err(Failure::Stalled(self.timing.request)),
        };
        if !(200..300).contains(&status) {
            return Err(Failure::of_answer(status, &headers, &body));
        }
        *left = left.saturating_sub(body.len());
        // Front ends cut bodies, and answer with their own pages. JSON of another form comes from
        // the host itself, and would be the same the next time.
        serde_json::from_slice(match body.as_slice() {
            [] => b"null",
            body => body,
        })
        .map_err(|error| match error.is_data() && !body.is_empty() {
            true => Failure::Lasting {
                words: format!("the answer has not the form that the API describes: {error}"),
                hint: HOST_AT_FAULT,
            },
            false => Failure::Garbled { status },
        })
    }

    async fn exchange(
        &self,
        request: &Request,
        limit: usize,
    ) -> Result<(u16, HeaderMap, Vec<u8>), Failure> {
        let (path, body) = (request.path.as_str(), request.body.as_ref());
        let answer = match request.method {
            Method::GET => self.metadata._get(path).await,
            Method::POST => self.metadata._post(path, body).await,
            Method::PATCH => self.metadata._patch(path, body).await,
            _ => self.metadata._delete(path, body).await,
        };
        let answer = answer.map_err(|error| of_error(&error))?;
        let (parts, body) = answer.into_parts();
        let limit = match parts.status.is_success() {
            true => limit,
            false => ERROR_LIMIT,
        };
        let body = Limited::new(body, limit)
            .collect()
            .await
            .map_err(|error| match error.downcast_ref::<LengthLimitError>() {
                Some(_) => Failure::too_long(limit as u64),
                None => of_error(&*error),
            })?;
        Ok((
            parts.status.as_u16(),
            parts.headers,
            body.to_bytes().to_vec(),
        ))
    }

    /// Sends a request until it is answered, for requests that may be repeated.
    pub(super) async fn asked<T: DeserializeOwned>(&self, request: &Request) -> Result<T, Failure> {
        self.asked_within(request, &mut ANSWER_LIMIT.clone()).await
    }

    /// Does the same, with a limit for the answers to several requests: see
    /// [`GitHub::once_within`].
    pub(super) async fn asked_within<T: DeserializeOwned>(
        &self,
        request: &Request,
        left: &mut usize,
    ) -> Result<T, Failure> {
        let mut attempts = Attempts::default();
        loop {
            match self.once_within(request, left).await {
                Ok(answer) => return Ok(answer),
                Err(failure) if attempts.is_last(&failure, &self.timing) => return Err(failure),
                Err(failure) => self.pause(attempts, &failure).await?,
            }
        }
    }

    /// See [`Timing::pause`].
    pub(super) async fn pause(&self, attempts: Attempts, failure: &Failure) -> Result<(), Failure> {
        self.timing.pause(attempts, failure).await
    }

    /// Converts a failure to an error for the user.
    pub(super) fn error(&self, what: &str, failure: Failure) -> PublishError {
        let repository = self.access.repository.clone();
        match failure {
            Failure::Local(error) => {
                std::sync::Arc::try_unwrap(error).unwrap_or_else(|shared| PublishError::GaveUp {
                    what: what.to_owned(),
                    attempts: 1,
                    last: shared.to_string(),
                })
            }
            Failure::Limited(Some(wait)) if wait > self.timing.wait_limit => {
                PublishError::RateLimited {
                    seconds: wait.as_secs(),
                }
            }
            Failure::Lasting { words, hint } => PublishError::Unreachable {
                what: what.to_owned(),
                words,
                hint,
            },
            failure if failure.is_passing() => PublishError::GaveUp {
                what: what.to_owned(),
                attempts: self.timing.attempts_until(&failure),
                last: failure.words(),
            },
            Failure::Status {
                status: 401,
                message,
                ..
            } => match self.access.token {
                Some(_) => PublishError::BadToken(self.host()),
                None => PublishError::NoRights {
                    repository,
                    message,
                },
            },
            Failure::Status {
                status: 403,
                message,
                ..
            } => PublishError::NoRights {
                repository,
                message,
            },
            failure => PublishError::Refused {
                what: what.to_owned(),
                status: failure.status().unwrap_or(0),
                message: failure.said(),
            },
        }
    }

    pub(super) fn host(&self) -> String {
        self.access.web.host_str().unwrap_or("the host").to_owned()
    }
}

/// A number from 0 to 255 that differs between publishers, so that they do not retry at the same
/// moments.
fn fastrand() -> u8 {
    use std::hash::{BuildHasher, Hasher};
    let hasher = std::hash::RandomState::new().build_hasher();
    hasher.finish().to_le_bytes()[0]
}

/// Waits in short steps until `done` returns `true` or `limit` has passed.
pub(super) async fn until(
    limit: Duration,
    step: Duration,
    mut done: impl AsyncFnMut() -> Result<bool, Failure>,
) -> Result<bool, Failure> {
    let end = tokio::time::Instant::now() + limit;
    let mut step = step;
    loop {
        if done().await? {
            return Ok(true);
        }
        if tokio::time::Instant::now() >= end {
            return Ok(false);
        }
        tokio::time::sleep(step).await;
        step = (step * 2).min(Duration::from_secs(5));
    }
}
