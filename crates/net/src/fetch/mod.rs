//! Fetching one file over HTTP so that it arrives whole and in order, whatever happens on the
//! way: broken and stalled connections are taken up again where they stopped, and where the
//! server serves ranges, several connections fetch at once.
//!
//! The bytes go into a channel, in order. What becomes of them is not this module's business.

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

pub use attempt::{Attempts, Failure, retry_after, server_time};
use range::{ContentRange, validator};
use span::Span;

use crate::error::Error;
use crate::redact::redacted;
use crate::settings::Network;

/// What goes through the channel.
#[derive(Debug)]
pub enum Message {
    /// The next bytes of the file.
    Bytes(Bytes),
    /// The file is whole. A channel that closes without this was given up.
    End,
}

/// The client and its settings, for the tasks that fetch.
#[derive(Debug, Clone)]
pub struct Fetcher {
    /// The client.
    pub client: Client,
    /// Its settings.
    pub network: Arc<Network>,
    /// Who is told of retries.
    pub reporter: Reporter,
}

/// A file that the server has begun to send.
#[derive(Debug)]
pub struct Opened {
    /// From which byte on. Less than what was asked for when the server cannot resume, or has
    /// another file by now.
    pub start: u64,
    /// The size of the file, where the server says.
    pub total: Option<u64>,
    /// What the server calls this state of the file.
    pub validator: Option<String>,
    url: Url,
    response: Response,
    ranged: bool,
}

impl Fetcher {
    /// Asks for a file, from byte `offset` on if the server still has the state of it that
    /// `known` names.
    ///
    /// # Errors
    ///
    /// If no attempt succeeds.
    pub async fn open(
        &self,
        url: &Url,
        mut offset: u64,
        mut known: Option<String>,
    ) -> Result<Opened, Error> {
        let mut attempts = Attempts::new(&self.network.retries, Some(self.reporter.clone()));
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
                    // What is here is longer than what is there; or the server serves no ranges.
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
                        // How many parts there are cannot be known.
                        in_parts = false;
                        continue;
                    }
                    let now = validator(&response);
                    if offset > 0 && known.is_some() && known != now {
                        // A server that does not know `If-Range`.
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
    /// If no attempt succeeds, or nobody takes the bytes any more.
    pub async fn pump(&self, opened: Opened, sink: mpsc::Sender<Message>) -> Result<(), Error> {
        match (opened.ranged, opened.total) {
            (true, Some(total)) => self.pump_parts(opened, total, &sink).await?,
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

    /// Several spans at once; their bytes go on in order. What waits for its turn is at most
    /// one range for each connection.
    async fn pump_parts(
        &self,
        opened: Opened,
        total: u64,
        sink: &mpsc::Sender<Message>,
    ) -> Result<(), Error> {
        let mut first = Some(opened.response);
        let mut next = opened.start;
        let mut parts: VecDeque<Part> = VecDeque::new();
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
                parts.push_back(Part::start(span, first.take()));
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

/// One span under way in a task of its own.
struct Part {
    bytes: mpsc::UnboundedReceiver<Bytes>,
    task: JoinHandle<Result<(), Error>>,
}

impl Part {
    fn start(span: Span, first: Option<Response>) -> Self {
        // Unbounded, yet never more than the span's length.
        let (sender, bytes) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move { span.run(first, &span::Sink::Part(&sender)).await });
        Self { bytes, task }
    }

    async fn ended(&mut self) -> Result<(), Error> {
        (&mut self.task).await.unwrap_or(Err(Error::Interrupted))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An answer with another status than was wanted.
#[must_use]
pub fn status_error(url: &Url, status: StatusCode) -> Error {
    Error::Status {
        url: redacted(url),
        status,
    }
}
