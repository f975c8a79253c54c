//! Reads response bodies with limits on their size and on how slowly they may arrive.

use std::time::{Duration, Instant};

use reqwest::Response;
use url::Url;

use crate::error::{Error, connection_error};
use crate::redact::redacted;

/// The minimum speed of a body.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// A body has stalled if fewer than [`Limits::bytes`] arrive in this time.
    pub time: Duration,
    /// See [`Limits::time`].
    pub bytes: u64,
}

/// The minimum speed of a connection, in bytes per second.
const MIN_BYTES_PER_SECOND: u64 = 1 << 10;

impl Limits {
    /// Returns limits of one kilobyte per second, measured over this time.
    pub fn over(time: Duration) -> Self {
        Self {
            time,
            bytes: MIN_BYTES_PER_SECOND * time.as_secs(),
        }
    }
}

/// Reads a body chunk by chunk, and fails if it arrives too slowly.
#[derive(Debug)]
pub struct BodyReader {
    limits: Limits,
    waited: Duration,
    came: u64,
}

impl BodyReader {
    /// Creates a reader for a body of which nothing has been read.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            waited: Duration::ZERO,
            came: 0,
        }
    }

    /// Returns the next chunk of a body, or `None` at its end. Time during which the caller does
    /// not read does not count against the server.
    ///
    /// # Errors
    ///
    /// If the body arrives too slowly, or the connection breaks.
    pub async fn next(
        &mut self,
        url: &Url,
        response: &mut Response,
    ) -> Result<Option<bytes::Bytes>, Error> {
        loop {
            let asked = Instant::now();
            let left = self.limits.time.saturating_sub(self.waited);
            let chunk = tokio::time::timeout(left, response.chunk()).await;
            self.waited += asked.elapsed();
            let bytes = match chunk {
                Ok(Ok(Some(bytes))) => Some(bytes),
                Ok(Ok(None)) => return Ok(None),
                Ok(Err(source)) => return Err(connection_error(url, source)),
                Err(_) => None,
            };
            self.came += bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
            if self.waited >= self.limits.time {
                if self.came < self.limits.bytes.max(1) {
                    return Err(Error::Stalled {
                        url: redacted(url),
                        bytes: self.came,
                        seconds: self.waited.as_secs(),
                    });
                }
                self.waited = Duration::ZERO;
                self.came = 0;
            }
            if bytes.is_some() {
                return Ok(bytes);
            }
        }
    }
}

/// Reads a body of at most `longest` bytes.
///
/// # Errors
///
/// If it is longer, arrives too slowly, or the connection breaks.
pub async fn read_body(
    mut response: Response,
    longest: usize,
    limits: Limits,
) -> Result<Vec<u8>, Error> {
    let url = response.url().clone();
    let too_long = |actual: u64| Error::TooLong {
        url: redacted(&url),
        longest: longest as u64,
        actual,
    };
    if let Some(announced) = response.content_length()
        && announced > longest as u64
    {
        return Err(too_long(announced));
    }
    let mut pace = BodyReader::new(limits);
    let mut body = Vec::new();
    while let Some(bytes) = pace.next(&url, &mut response).await? {
        if body.len() + bytes.len() > longest {
            return Err(too_long((body.len() + bytes.len()) as u64));
        }
        body.extend_from_slice(&bytes);
    }
    Ok(body)
}
