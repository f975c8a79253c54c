//! A contiguous range of one file, downloaded over as many consecutive connections as necessary.

use bytes::Bytes;
use reqwest::{Response, StatusCode};
use tokio::sync::mpsc;
use url::Url;

use super::attempt::{Attempts, Failure};
use super::range::{ContentRange, validator};
use super::{Fetcher, Message, status_error};
use crate::body::BodyReader;
use crate::error::Error;
use crate::redact::redacted;

/// The bytes from `next` to `end`, or to the end of the file.
pub(super) struct Span {
    pub(super) fetcher: Fetcher,
    pub(super) url: Url,
    /// The validator that all bytes must match.
    pub(super) validator: Option<String>,
    pub(super) next: u64,
    pub(super) end: Option<u64>,
}

/// The destination of the bytes.
pub(super) enum Sink<'a> {
    /// Directly to the receiver, at its speed.
    Bounded(&'a mpsc::Sender<Message>),
    /// Into a buffer, until all earlier bytes were sent.
    Buffered(&'a mpsc::UnboundedSender<Bytes>),
}

impl Sink<'_> {
    async fn send(&self, bytes: Bytes) -> Result<(), Error> {
        match self {
            Self::Bounded(sender) => sender
                .send(Message::Bytes(bytes))
                .await
                .map_err(|_| Error::Interrupted),
            Self::Buffered(sender) => sender.send(bytes).map_err(|_| Error::Interrupted),
        }
    }
}

impl Span {
    /// Downloads the whole span. `first` is a response that has already started.
    pub(super) async fn run(
        mut self,
        first: Option<Response>,
        sink: &Sink<'_>,
    ) -> Result<(), Error> {
        let mut attempts = {
            let fetcher = &self.fetcher;
            Attempts::new(&fetcher.network.retries, fetcher.reporter.clone())
        };
        let mut pending = first.map(|response| (response, 0));
        loop {
            let before = self.next;
            let outcome = match pending.take() {
                Some((response, skip)) => self.read(response, skip, sink).await,
                None => match self.request_rest().await {
                    Ok(begun) => {
                        pending = Some(begun);
                        continue;
                    }
                    Err(failure) => Err(failure),
                },
            };
            // Do not retry a connection that is too slow.
            let slow =
                matches!(&outcome, Err(failure) if matches!(failure.error, Error::Stalled { .. }));
            if self.next > before && !slow {
                attempts.progressed();
            }
            match outcome {
                Ok(()) if self.end.is_none_or(|end| self.next >= end) => return Ok(()),
                // The server ended the response early without an error.
                Ok(()) => attempts.wait_after(self.ended_early().into()).await?,
                Err(failure) => attempts.wait_after(failure).await?,
            }
        }
    }

    fn ended_early(&self) -> Error {
        Error::EndedEarly {
            url: redacted(&self.url),
        }
    }

    /// Requests the missing bytes. Returns the response and the number of leading bytes to skip.
    async fn request_rest(&self) -> Result<(Response, u64), Failure> {
        let range = Some((self.next, self.end));
        let response = self
            .fetcher
            .request(&self.url, range, self.validator.as_deref())
            .await?;
        let now = validator(&response);
        if self.validator.is_some() && now != self.validator {
            return Err(self.changed_error().into());
        }
        match response.status() {
            StatusCode::PARTIAL_CONTENT => {
                let start = ContentRange::of(&response, &self.url)?.start;
                if start != self.next {
                    return Err(Error::WrongRange {
                        url: redacted(&self.url),
                        detail: format!("from byte {start}, not {}", self.next),
                    }
                    .into());
                }
                Ok((response, 0))
            }
            StatusCode::OK => Ok((response, self.next)),
            StatusCode::RANGE_NOT_SATISFIABLE => Err(self.changed_error().into()),
            status => Err(status_error(&self.url, status).into()),
        }
    }

    fn changed_error(&self) -> Error {
        Error::Changed {
            url: redacted(&self.url),
        }
    }

    /// Reads a response up to the span's end, and no further.
    async fn read(
        &mut self,
        mut response: Response,
        mut skip: u64,
        sink: &Sink<'_>,
    ) -> Result<(), Failure> {
        let mut pace = BodyReader::new(self.fetcher.network.limits());
        while self.end.is_none_or(|end| self.next < end) {
            let Some(mut bytes) = pace.next(&self.url, &mut response).await? else {
                return Ok(());
            };
            let unwanted = skip.min(bytes.len() as u64);
            skip -= unwanted;
            let _ = bytes.split_to(usize::try_from(unwanted).unwrap_or(bytes.len()));
            if let Some(end) = self.end {
                bytes.truncate(usize::try_from(end - self.next).unwrap_or(usize::MAX));
            }
            if !bytes.is_empty() {
                self.next += bytes.len() as u64;
                sink.send(bytes).await?;
            }
        }
        Ok(())
    }
}
