//! The part of a file that a response contains, and the server's validator for the file.

use reqwest::Response;
use reqwest::header::{CONTENT_RANGE, ETAG, LAST_MODIFIED};
use url::Url;

use crate::error::Error;
use crate::redact::redacted;

/// `Content-Range: bytes START-END/TOTAL`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ContentRange {
    pub(super) start: u64,
    /// The file's size, if the server states it.
    pub(super) total: Option<u64>,
}

impl ContentRange {
    pub(super) fn of(response: &Response, url: &Url) -> Result<Self, Error> {
        let text = response
            .headers()
            .get(CONTENT_RANGE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        Self::parse(text).ok_or_else(|| Error::WrongRange {
            url: redacted(url),
            detail: format!("`Content-Range: {text}`"),
        })
    }

    fn parse(text: &str) -> Option<Self> {
        let rest = text.trim().strip_prefix("bytes")?.trim_start();
        let (range, total) = rest.split_once('/')?;
        let (start, end) = range.split_once('-')?;
        let (start, end): (u64, u64) = (start.trim().parse().ok()?, end.trim().parse().ok()?);
        let total = match total.trim() {
            "*" => None,
            total => Some(total.parse::<u64>().ok()?),
        };
        let fits = start <= end && total.is_none_or(|total| end < total);
        fits.then_some(Self { start, total })
    }
}

/// Returns the server's validator for the file, in a form that `If-Range` accepts: a strong entity
/// tag, or the time of the last change (RFC 9110, section 13.1.5).
pub(super) fn validator(response: &Response) -> Option<String> {
    let text = |name| response.headers().get(name)?.to_str().ok();
    let strong = text(ETAG).filter(|tag| tag.starts_with('"'));
    strong.or_else(|| text(LAST_MODIFIED)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges_are_parsed_or_refused() {
        let read = |text| ContentRange::parse(text).map(|range| (range.start, range.total));
        assert_eq!(read("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(read("bytes 5-9/*"), Some((5, None)));
        for text in [
            "",
            "bytes 9-5/10",
            "bytes 5-10/10",
            "items 0-1/2",
            "bytes */10",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
