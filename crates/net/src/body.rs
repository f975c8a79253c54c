//! Reading an answer's body with bounds: on its size, and on how slowly it may come.

use std::time::{Duration, Instant};

use reqwest::Response;
use url::Url;

use crate::error::{Error, connection_error};
use crate::redact::redacted;

/// What is put up with while a body comes.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The body has stalled when fewer than [`Limits::bytes`] come in this time.
    pub time: Duration,
    /// See [`Limits::time`].
    pub bytes: u64,
}

/// The least that a connection must bring to be worth waiting for, in bytes a second.
const SLOWEST: u64 = 1 << 10;

impl Limits {
    /// A kilobyte a second, measured over this time.
    #[must_use]
    pub fn over(time: Duration) -> Self {
        Self {
            time,
            bytes: SLOWEST * time.as_secs(),
        }
    }
}

/// Reads a body piece by piece, and says when it comes too slowly.
#[derive(Debug)]
pub struct Pace {
    limits: Limits,
    waited: Duration,
    came: u64,
}

impl Pace {
    /// For a body that has not begun.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            waited: Duration::ZERO,
            came: 0,
        }
    }

    /// The next piece of a body; `None` at its end. The time in which nobody takes the bytes does
    /// not count against the server.
    ///
    /// # Errors
    ///
    /// If it comes too slowly, or the connection breaks.
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

/// The body of an answer that must not be longer than `longest`.
///
/// # Errors
///
/// If it is longer, comes too slowly, or the connection breaks.
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
    let mut pace = Pace::new(limits);
    let mut body = Vec::new();
    while let Some(bytes) = pace.next(&url, &mut response).await? {
        if body.len() + bytes.len() > longest {
            return Err(too_long((body.len() + bytes.len()) as u64));
        }
        body.extend_from_slice(&bytes);
    }
    Ok(body)
}
