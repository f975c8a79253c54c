//! Sends the requests that `object_store` signs with the client of `crates/net`, so that they have
//! the same proxies, certificates, time limits and retries as requests to every other host.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::BodyDataStream;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody,
    HttpResponse, HttpService,
};
use object_store::{ClientOptions, PutPayload};
use sysforge_net::{Address, Body, Client, FailedAttempts, Limits, read_body};
use tokio::sync::watch;
use url::Url;

use super::failure::may_pass;
use crate::fetch::refusal;
use crate::host::Timing;
use crate::host::failure::{Failure, of_net, transport};
use crate::local::CHUNK;

/// Maximum size of an answer, in bytes: a list of a thousand objects, each with a key of 1024 bytes,
/// is smaller. Parsed, a list takes up to 40 times as much memory. Large objects are not read here.
pub(super) const ANSWER_LIMIT: usize = 8 << 20;

/// Sends requests, each in as many attempts as [`Timing`] allows.
#[derive(Debug, Clone)]
pub(super) struct Service {
    pub(super) client: Client,
    pub(super) timing: Timing,
    pub(super) requests: Arc<AtomicU64>,
}

/// A [`Failure`] that is passed through `object_store`.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.words())]
struct Failed(Failure);

/// Returns the failure in an error of `object_store`.
pub(super) fn failure_of(error: &object_store::Error) -> Failure {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(Failed(failure)) = error.downcast_ref() {
            return failure.clone();
        }
        cause = error.source();
    }
    // For example, an answer that cannot be read.
    Failure::Lasting {
        words: error
            .to_string()
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned(),
        hint: "is AWS_ENDPOINT_URL the address of an S3 service?",
    }
}

#[async_trait::async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let mut failed = FailedAttempts::default();
        loop {
            let failure = match self.exchange(&request).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let is_last = self.timing.is_last(&mut failed, &failure) || !may_pass(&failure);
            let failure = match is_last {
                true => failure,
                false => match self.timing.pause(failed, &failure).await {
                    Ok(()) => continue,
                    Err(failure) => failure,
                },
            };
            // A kind that `object_store` does not retry.
            return Err(HttpError::new(HttpErrorKind::Unknown, Failed(failure)));
        }
    }
}

impl Service {
    async fn exchange(&self, request: &HttpRequest) -> Result<HttpResponse, Failure> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let url = parsed_url(&request.uri().to_string())?;
        let (body, progress) = body(request.body());
        let sending = self
            .client
            .request(request.method().clone(), url.clone())
            .headers(request.headers().clone())
            .body(body);
        let stall = self.timing.stall;
        let exchange = async {
            let answer = sending.send().await.map_err(transport)?;
            let status = answer.status();
            tracing::debug!(method = %request.method(), url = %Address(&url), status = status.as_u16(), "request");
            if !status.is_success() {
                return Err(refusal(answer, stall).await);
            }
            let mut response = http::Response::builder().status(status);
            if let Some(headers) = response.headers_mut() {
                headers.clone_from(answer.headers());
            }
            let body = read_body(answer, ANSWER_LIMIT, Limits::over(stall));
            let body = body.await.map_err(|error| of_net(error, stall))?;
            let garbled = |_| Failure::Garbled {
                status: status.as_u16(),
            };
            response.body(body.into()).map_err(garbled)
        };
        tokio::select! {
            answered = exchange => answered,
            () = stalled(progress, stall) => Err(Failure::Stalled(stall)),
        }
    }
}

/// Parses the URL of an object.
pub(super) fn parsed_url(address: &str) -> Result<Url, Failure> {
    address.parse().map_err(|_| Failure::Lasting {
        words: "the address of the object is not valid".to_owned(),
        hint: "check the bucket, the prefix and AWS_ENDPOINT_URL",
    })
}

/// Returns the body of a request, and a counter of the chunks that were read from it.
fn body(body: &HttpRequestBody) -> (Body, watch::Receiver<usize>) {
    let (taken, progress) = watch::channel(0);
    if body.content_length() == 0 {
        return (Body::from(Bytes::new()), progress);
    }
    let chunks = BodyDataStream::new(body.clone()).map(move |chunk| {
        taken.send_modify(|count| *count += 1);
        chunk
    });
    (Body::wrap_stream(chunks), progress)
}

/// Splits bytes into the chunks in which they are sent.
pub(super) fn payload(bytes: &Bytes) -> PutPayload {
    let starts = (0..bytes.len()).step_by(CHUNK);
    let chunks = starts.map(|start| bytes.slice(start..bytes.len().min(start + CHUNK)));
    chunks.collect()
}

/// Returns when nothing was sent for `limit`; after the last chunk, the answer may take as long.
async fn stalled(mut progress: watch::Receiver<usize>, limit: Duration) {
    while let Ok(Ok(())) = tokio::time::timeout(limit, progress.changed()).await {}
    if progress.has_changed().is_err() {
        tokio::time::sleep(limit).await;
    }
}

/// Passes the service to `object_store`, whose own client settings are not used.
#[derive(Debug)]
pub(super) struct Connector(pub(super) Service);

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.0.clone()))
    }
}
