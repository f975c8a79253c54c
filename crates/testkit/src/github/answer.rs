//! Builds responses in GitHub's format.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

/// The body of a response.
pub(crate) type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// A response.
pub(crate) type Answer = Response<Body>;

/// Closes the connection instead of sending a response.
#[derive(Debug)]
pub(crate) struct Cut;

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection was cut on purpose")
    }
}

impl std::error::Error for Cut {}

pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

fn with(status: u16, kind: &'static str, bytes: Vec<u8>) -> Answer {
    let mut answer = Response::new(full(bytes));
    *answer.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

pub(crate) fn json_answer(status: u16, value: &Value) -> Answer {
    with(
        status,
        "application/json; charset=utf-8",
        value.to_string().into_bytes(),
    )
}

pub(crate) fn bytes_answer(bytes: Vec<u8>) -> Answer {
    with(200, "application/octet-stream", bytes)
}

pub(crate) fn empty(status: u16) -> Answer {
    let mut answer = Response::new(full(Bytes::new()));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::NO_CONTENT);
    answer
}

pub(crate) fn message(status: u16, text: &str) -> Answer {
    json_answer(
        status,
        &json!({
            "message": text,
            "documentation_url": "https://docs.github.com/rest/releases",
            "status": status.to_string(),
        }),
    )
}

pub(crate) fn not_found() -> Answer {
    message(404, "Not Found")
}

/// 422 with one error, in the format of GitHub's validation.
pub(crate) fn invalid(resource: &str, code: &str, field: &str, text: Option<&str>) -> Answer {
    let mut error = json!({"resource": resource, "code": code, "field": field});
    if let Some(text) = text {
        error["message"] = text.into();
    }
    json_answer(
        422,
        &json!({
            "message": "Validation Failed",
            "errors": [error],
            "documentation_url": "https://docs.github.com/rest/releases",
            "status": "422",
        }),
    )
}

pub(crate) fn html(status: u16) -> Answer {
    with(
        status,
        "text/html; charset=utf-8",
        b"<!DOCTYPE html><html><head><title>Unicorn! &middot; GitHub</title></head>\
          <body><h1>This page is taking too long to load.</h1></body></html>"
            .to_vec(),
    )
}

pub(crate) fn secondary_limit(milliseconds: u64) -> Answer {
    let mut answer = message(
        403,
        "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
    );
    answer.headers_mut().insert(
        "retry-after",
        HeaderValue::from(milliseconds.div_ceil(1000)),
    );
    answer
}

/// The current time on the host's clock.
pub(crate) fn host_time(ahead: i64) -> SystemTime {
    let offset = std::time::Duration::from_secs(ahead.unsigned_abs());
    match ahead < 0 {
        true => SystemTime::now() - offset,
        false => SystemTime::now() + offset,
    }
}

pub(crate) fn primary_limit(clock_ahead: i64) -> Answer {
    let mut answer = message(403, "API rate limit exceeded for installation ID 1.");
    let now = host_time(clock_ahead)
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let headers = answer.headers_mut();
    headers.insert("x-ratelimit-remaining", HeaderValue::from(0));
    headers.insert("x-ratelimit-reset", HeaderValue::from(now + 1));
    answer
}
