//! One request for metadata, and the same request until it is answered.

use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use serde::de::DeserializeOwned;
use serde_json::Value;
use sysforge_net::Method;
use sysforge_net::header::HeaderMap;

use super::failure::{Failure, of_words};
use super::{GitHub, Timing};
use crate::error::PublishError;

/// No answer of the API is larger: a page of 100 releases with 1000 assets each stays below.
const ANSWER_LIMIT: usize = 256 << 20;

/// An error page is some kilobytes.
const ERROR_LIMIT: usize = 1 << 20;

/// Something that is asked of the API.
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

/// A pause that is shorter is not worth a word.
const FELT: Duration = Duration::from_secs(1);

impl Timing {
    /// The pause before attempt `attempt + 1`: what the host asks for, or twice the last one.
    ///
    /// # Errors
    ///
    /// The failure itself, if the host asks to wait for longer than anybody should.
    pub(crate) async fn pause(&self, attempt: u32, failure: &Failure) -> Result<(), Failure> {
        let growing = self.backoff * 2_u32.saturating_pow(attempt - 1).min(1 << 10);
        let wait = match failure {
            Failure::Limited(Some(wait)) if *wait > self.wait_limit => {
                return Err(failure.clone());
            }
            Failure::Limited(Some(wait)) => *wait,
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
    /// Makes a request once.
    pub(super) async fn once<T: DeserializeOwned>(&self, request: &Request) -> Result<T, Failure> {
        if request.method != Method::GET {
            self.pacer.turn().await;
        }
        self.count();
        let started = std::time::Instant::now();
        let answered = tokio::time::timeout(self.timing.request, self.exchange(request)).await;
        // A path may have a query; the token is in a header.
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
        let body = if body.is_empty() { b"null" } else { &body[..] };
        serde_json::from_slice(body).map_err(|_| Failure::Garbled { status })
    }

    async fn exchange(&self, request: &Request) -> Result<(u16, HeaderMap, Vec<u8>), Failure> {
        let (path, body) = (request.path.as_str(), request.body.as_ref());
        let answer = match request.method {
            Method::GET => self.metadata._get(path).await,
            Method::POST => self.metadata._post(path, body).await,
            Method::PATCH => self.metadata._patch(path, body).await,
            _ => self.metadata._delete(path, body).await,
        };
        let answer = answer.map_err(|error| of_words(chain(&error), &error))?;
        let (parts, body) = answer.into_parts();
        let limit = match parts.status.is_success() {
            true => ANSWER_LIMIT,
            false => ERROR_LIMIT,
        };
        let body = Limited::new(body, limit)
            .collect()
            .await
            .map_err(|error| Failure::Transport(error.to_string()))?;
        Ok((
            parts.status.as_u16(),
            parts.headers,
            body.to_bytes().to_vec(),
        ))
    }

    /// Makes a request until it is answered, for requests that may be made twice.
    pub(super) async fn asked<T: DeserializeOwned>(&self, request: &Request) -> Result<T, Failure> {
        let mut attempt = 1;
        loop {
            match self.once(request).await {
                Err(failure) if failure.is_passing() && attempt < self.timing.attempts => {
                    self.pause(attempt, &failure).await?;
                    attempt += 1;
                }
                answered => return answered,
            }
        }
    }

    /// See [`Timing::pause`].
    pub(super) async fn pause(&self, attempt: u32, failure: &Failure) -> Result<(), Failure> {
        self.timing.pause(attempt, failure).await
    }

    /// A failure as an error, for a user.
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
            Failure::Limited(Some(wait)) => PublishError::RateLimited {
                seconds: wait.as_secs(),
            },
            Failure::Lasting { words, hint } => PublishError::Unreachable {
                what: what.to_owned(),
                words,
                hint,
            },
            failure if failure.is_passing() => PublishError::GaveUp {
                what: what.to_owned(),
                attempts: self.timing.attempts,
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

/// An error and its sources, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_words = inner.to_string();
        if !words.contains(&inner_words) {
            words = format!("{words}: {inner_words}");
        }
        source = inner.source();
    }
    // Backtraces of the library's errors go over many lines.
    words.lines().next().unwrap_or_default().to_owned()
}

/// A number from 0 to 255 that differs between publishers, so that they do not march in step.
fn fastrand() -> u8 {
    use std::hash::{BuildHasher, Hasher};
    let hasher = std::hash::RandomState::new().build_hasher();
    hasher.finish().to_le_bytes()[0]
}

/// Waits for `limit` to pass, in short steps, until `done` says so.
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
