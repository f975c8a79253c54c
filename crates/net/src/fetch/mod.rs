//! Downloads one file over HTTP, complete and in order. A broken or stalled connection resumes
//! where it stopped, and if the server supports ranges, several connections download at the same
//! time.
//!
//! The bytes are sent in order into a channel. This module does not know what happens to them.

mod attempt;
mod range;
mod span;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use reqwest::{Client, Response, StatusCode};
use sysforge_plan::Reporter;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use url::Url;

pub use attempt::{
    Attempts, Cause, FailedAttempts, Failure, header_number, pause, retry_after, server_time,
};
use range::{ContentRange, validator};
use span::Span;

use crate::error::Error;
use crate::redact::redacted;
use crate::settings::Network;

/// A message of the channel.
#[derive(Debug)]
pub enum Message {
    /// The next bytes of the file.
    Bytes(Bytes),
    /// The file is complete. If the channel closes without this message, the download failed.
    End,
}

/// The client and its settings, for the tasks that download.
#[derive(Debug, Clone)]
pub struct Fetcher {
    /// The client.
    pub client: Client,
    /// Its settings.
    pub network: Arc<Network>,
    /// Receives reports of retries.
    pub reporter: Reporter,
}

/// A file that the server has started to send.
#[derive(Debug)]
pub struct Opened {
    /// The position of the first byte. Less than requested if the server cannot resume, or its file
    /// has changed.
    pub start: u64,
    /// The size of the file, if the server states it.
    pub total: Option<u64>,
    /// The server's validator for the file.
    pub validator: Option<String>,
    url: Url,
    response: Response,
    ranged: bool,
}

impl Fetcher {
    /// Requests a file, starting at byte `offset` if the server's file still matches the validator
    /// `known`.
    ///
    /// # Errors
    ///
    /// If no attempt gets a successful response, or the response is for another range than
    /// requested ([`Error::WrongRange`]).
    pub async fn open(
        &self,
        url: &Url,
        mut offset: u64,
        mut known: Option<String>,
    ) -> Result<Opened, Error> {
        let mut attempts = Attempts::new(&self.network.retries, self.reporter.clone());
        let mut in_parts = self.network.connections > 1;
        loop {
            let end = in_parts.then(|| offset + self.network.range_bytes);
            let range = (in_parts || offset > 0).then_some((offset, end));
            let response = match self.request(url, range, known.as_deref()).await {
                Ok(response) => response,
                Err(failure) => {
                    attempts.wait_after(failure).await?;
                    continue;
                }
            };
            match response.status() {
                StatusCode::RANGE_NOT_SATISFIABLE => {
                    // The partial file is longer than the server's, or the server does not support
                    // ranges.
                    if offset > 0 {
                        offset = 0;
                        known = None;
                    } else if in_parts {
                        in_parts = false;
                    } else {
                        return Err(status_error(url, response.status()));
                    }
                }
                StatusCode::PARTIAL_CONTENT => {
                    let range = ContentRange::of(&response, url)?;
                    if range.start != offset {
                        return Err(Error::WrongRange {
                            url: redacted(url),
                            detail: format!("from byte {}, not {offset}", range.start),
                        });
                    }
                    if in_parts && range.total.is_none() {
                        // The number of ranges is unknown.
                        in_parts = false;
                        continue;
                    }
                    let now = validator(&response);
                    if offset > 0 && known.is_some() && known != now {
                        // The server does not support `If-Range`.
                        offset = 0;
                        known = None;
                        continue;
                    }
                    return Ok(Opened {
                        start: offset,
                        total: range.total,
                        validator: now,
                        url: url.clone(),
                        response,
                        ranged: in_parts,
                    });
                }
                _ => {
                    return Ok(Opened {
                        start: 0,
                        total: response.content_length(),
                        validator: validator(&response),
                        url: url.clone(),
                        response,
                        ranged: false,
                    });
                }
            }
        }
    }

    /// Sends the rest of an opened file into the channel.
    ///
    /// # Errors
    ///
    /// If no attempt succeeds, or the receiver is gone.
    pub async fn download(&self, opened: Opened, sink: mpsc::Sender<Message>) -> Result<(), Error> {
        match (opened.ranged, opened.total) {
            (true, Some(total)) => self.download_spans(opened, total, &sink).await?,
            _ => {
                let span = Span {
                    fetcher: self.clone(),
                    url: opened.url,
                    validator: opened.validator,
                    next: opened.start,
                    end: opened.total,
                };
                span.run(Some(opened.response), &span::Sink::Bounded(&sink))
                    .await?;
            }
        }
        sink.send(Message::End)
            .await
            .map_err(|_| Error::Interrupted)
    }

    /// Downloads several spans at the same time, and forwards their bytes in order. At most one
    /// range per connection is buffered.
    async fn download_spans(
        &self,
        opened: Opened,
        total: u64,
        sink: &mpsc::Sender<Message>,
    ) -> Result<(), Error> {
        let mut first = Some(opened.response);
        let mut next = opened.start;
        let mut parts: VecDeque<SpanTask> = VecDeque::new();
        loop {
            while next < total && parts.len() < self.network.connections {
                let end = total.min(next + self.network.range_bytes);
                let span = Span {
                    fetcher: self.clone(),
                    url: opened.url.clone(),
                    validator: opened.validator.clone(),
                    next,
                    end: Some(end),
                };
                parts.push_back(SpanTask::start(span, first.take()));
                next = end;
            }
            let Some(mut part) = parts.pop_front() else {
                return Ok(());
            };
            while let Some(bytes) = part.bytes.recv().await {
                sink.send(Message::Bytes(bytes))
                    .await
                    .map_err(|_| Error::Interrupted)?;
            }
            part.ended().await?;
        }
    }
}

/// A span that a separate task downloads.
struct SpanTask {
    bytes: mpsc::UnboundedReceiver<Bytes>,
    task: JoinHandle<Result<(), Error>>,
}

impl SpanTask {
    fn start(span: Span, first: Option<Response>) -> Self {
        // Unbounded, but it never holds more than the span's length.
        let (sender, bytes) = mpsc::unbounded_channel();
        let task =
            tokio::spawn(async move { span.run(first, &span::Sink::Buffered(&sender)).await });
        Self { bytes, task }
    }

    async fn ended(&mut self) -> Result<(), Error> {
        (&mut self.task).await.unwrap_or(Err(Error::Interrupted))
    }
}

impl Drop for SpanTask {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Returns the error for an unexpected status.
pub fn status_error(url: &Url, status: StatusCode) -> Error {
    Error::Status {
        url: redacted(url),
        status,
    }
}
