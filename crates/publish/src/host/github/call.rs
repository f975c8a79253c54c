//! A single request for metadata, and its repetition until it is answered.

use std::time::Duration;

use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::Value;
use sysforge_net::header::HeaderMap;
use sysforge_net::{FailedAttempts, Method};
use sysforge_plan::json;

use super::GitHub;
use crate::error::PublishError;
use crate::host::failure::{Failure, HOST_AT_FAULT, of_error};

/// Maximum size of an answer of the API, in bytes: a page of 100 releases with 1000 assets each is
/// smaller. All pages of a list together are not larger either.
pub(super) const ANSWER_LIMIT: usize = 256 << 20;

/// Maximum size of an error page, in bytes; real ones have some kilobytes.
const ERROR_LIMIT: usize = 1 << 20;

/// The hint for a host that refuses to show something.
const MAY_NOT_READ: &str = "may the token (GITHUB_TOKEN) read the contents of this repository?";

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
            return Err(match Failure::of_answer(status, &headers, &body) {
                // The right to write releases is not needed to read them.
                failure @ Failure::Status { status: 403, .. } if request.method == Method::GET => {
                    Failure::Lasting {
                        words: failure.words(),
                        hint: MAY_NOT_READ,
                    }
                }
                failure => failure,
            });
        }
        *left = left.saturating_sub(body.len());
        parsed(&body)
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
        let mut failed = FailedAttempts::default();
        loop {
            match self.once_within(request, left).await {
                Ok(answer) => return Ok(answer),
                Err(failure) if self.timing.is_last(&mut failed, &failure) => return Err(failure),
                Err(failure) => self.pause(failed, &failure).await?,
            }
        }
    }

    /// See [`Timing::pause`].
    pub(super) async fn pause(
        &self,
        failed: FailedAttempts,
        failure: &Failure,
    ) -> Result<(), Failure> {
        self.timing.pause(failed, failure).await
    }

    /// Converts a failure to an error for the user.
    pub(super) fn error(&self, what: &str, failure: Failure) -> PublishError {
        let failure = match failure.into_error(what, &self.timing) {
            Ok(error) => return error,
            Err(failure) => failure,
        };
        match failure {
            failure if failure.is_passing() => failure.gave_up(what, &self.timing),
            Failure::Status { status: 401, .. } if self.access.token.is_some() => {
                PublishError::BadToken(self.host())
            }
            Failure::Status {
                status: 401 | 403,
                message,
                ..
            } => PublishError::NoRights {
                repository: self.access.repository.clone(),
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

/// Parses an answer. Front ends cut bodies, and answer with their own pages. JSON with a mistake comes from
/// the host itself, and would be the same the next time.
pub(super) fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    let text = match body {
        [] => b"null".as_slice(),
        body => body,
    };
    json::parse(text).map_err(|error| match body {
        [] => Failure::Transport("the answer of the API is empty".to_owned()),
        _ if error.is_lasting() => Failure::Lasting {
            words: format!("the answer has not the form that the API describes: {error}"),
            hint: HOST_AT_FAULT,
        },
        _ => Failure::Transport(format!("the answer is not a whole one of the API: {error}")),
    })
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
