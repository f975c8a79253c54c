//! A single request, and when and how often to repeat it.

use std::time::{Duration, Instant, SystemTime};

use backon::{BackoffBuilder, ExponentialBuilder};
use reqwest::header::{DATE, HeaderMap, IF_RANGE, RANGE, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use sysforge_plan::Reporter;
use url::Url;

use super::{Fetcher, status_error};
use crate::body::read_body;
use crate::error::{ATTEMPTS_WITHOUT_SERVER, Error, connection_error};
use crate::redact::{Address, redacted};
use crate::settings::Retries;

/// A failed attempt, and the delay that the server asked for.
#[derive(Debug)]
pub struct Failure {
    /// Why.
    pub error: Error,
    /// The server's `Retry-After`.
    pub retry_after: Option<Duration>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self {
            error,
            retry_after: None,
        }
    }
}

/// The kinds of failures that have limits of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// No server was reached.
    NoServer,
    /// The server sent nothing for too long.
    Stalled,
    /// Any other.
    Other,
}

/// The failed attempts at one operation, which progress makes forgotten.
#[derive(Debug, Clone, Copy, Default)]
pub struct FailedAttempts {
    total: u32,
    without_progress: u32,
    stalled: u32,
    /// Those that reached no server since the last failure of another kind, stalls aside.
    without_server: u32,
}

impl FailedAttempts {
    /// Returns how many attempts have failed in total.
    pub fn total(self) -> u32 {
        self.total
    }

    /// Records that an attempt made progress before it failed, so that more attempts are allowed.
    pub fn progressed(&mut self) {
        self.without_progress = 0;
        self.stalled = 0;
    }

    /// Counts a failed attempt. Returns whether it was the last one that `rules` allow.
    pub fn count(&mut self, cause: Cause, rules: &Retries) -> bool {
        self.total += 1;
        self.without_progress += 1;
        match cause {
            Cause::NoServer => self.without_server += 1,
            Cause::Stalled => self.stalled += 1,
            Cause::Other => self.without_server = 0,
        }
        self.total >= rules.total
            || self.without_progress >= rules.without_progress
            || self.stalled >= rules.stalls
            || self.without_server >= ATTEMPTS_WITHOUT_SERVER
    }

    /// Returns the delay before the next attempt.
    pub fn delay(self, rules: &Retries) -> Duration {
        ExponentialBuilder::default()
            .with_min_delay(rules.first_delay)
            .with_max_delay(rules.longest_delay)
            .without_max_times()
            // Runners that failed at the same time must not retry at the same time.
            .with_jitter()
            .build()
            .nth(self.without_progress.saturating_sub(1) as usize)
            .unwrap_or(rules.longest_delay)
    }
}

/// Waits before the next attempt. A delay that people notice is reported, with the failure's `words`.
pub async fn pause(delay: Duration, words: &str, reporter: &Reporter) {
    tracing::debug!(ms = delay.as_millis(), reason = words, "retry");
    if delay >= Duration::from_secs(1) {
        reporter.note(format!("{words}; trying again in {} s", delay.as_secs()));
    }
    tokio::time::sleep(delay).await;
}

/// The attempts at one operation.
#[derive(Debug)]
pub struct Attempts {
    rules: Retries,
    failed: FailedAttempts,
    reporter: Reporter,
}

impl Attempts {
    /// Creates attempts that follow these rules. Each retry is reported to `reporter`.
    pub fn new(rules: &Retries, reporter: Reporter) -> Self {
        Self {
            rules: *rules,
            failed: FailedAttempts::default(),
            reporter,
        }
    }

    /// Records that new bytes arrived.
    pub fn progressed(&mut self) {
        self.failed.progressed();
    }

    /// Waits until the next attempt.
    ///
    /// # Errors
    ///
    /// The failure, if another attempt would not help.
    pub async fn wait_after(&mut self, failure: Failure) -> Result<(), Error> {
        let Failure { error, retry_after } = failure;
        if !error.is_transient() {
            return Err(error);
        }
        let cause = match error {
            Error::NoServer { .. } => Cause::NoServer,
            Error::Stalled { .. } => Cause::Stalled,
            _ => Cause::Other,
        };
        let is_last = self.failed.count(cause, &self.rules);
        let attempts = self.failed.total();
        match is_last {
            true if attempts == 1 => return Err(error),
            true => {
                return Err(Error::GaveUp {
                    attempts,
                    last: Box::new(error),
                });
            }
            false => {}
        }
        let delay = self.failed.delay(&self.rules);
        let words = error.to_string();
        let delay = match (retry_after, error) {
            (None, _) => delay,
            (Some(wait), _) if wait <= self.rules.longest_wait => wait.max(delay),
            (Some(wait), Error::Status { url, status }) => {
                return Err(Error::Busy {
                    url,
                    status,
                    seconds: wait.as_secs(),
                });
            }
            (Some(_), error) => return Err(error),
        };
        pause(delay, &words, &self.reporter).await;
        Ok(())
    }
}

impl Fetcher {
    /// Sends one request, optionally for a range of bytes, and returns a successful response: 200,
    /// 206, or 416 to a range.
    pub(super) async fn request(
        &self,
        url: &Url,
        range: Option<(u64, Option<u64>)>,
        validator: Option<&str>,
    ) -> Result<Response, Failure> {
        let mut request = self.client.get(url.clone());
        if let Some((start, end)) = range {
            let end = end.map_or_else(String::new, |end| (end - 1).to_string());
            request = request.header(RANGE, format!("bytes={start}-{end}"));
            if let Some(validator) = validator {
                request = request.header(IF_RANGE, validator);
            }
        }
        let response = self.send(url, request).await?;
        match response.status() {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT => Ok(response),
            StatusCode::RANGE_NOT_SATISFIABLE if range.is_some() => Ok(response),
            status => Err(Failure {
                error: status_error(url, status),
                retry_after: retry_after(&response),
            }),
        }
    }

    /// Reads a body of at most `longest` bytes.
    ///
    /// # Errors
    ///
    /// If it is longer, arrives too slowly, or the connection breaks.
    pub async fn small_body(&self, response: Response, longest: usize) -> Result<Vec<u8>, Failure> {
        Ok(read_body(response, longest, self.network.limits()).await?)
    }

    /// Sends a request; the response headers must arrive within the stall time.
    ///
    /// # Errors
    ///
    /// If they do not, or the connection fails.
    pub async fn send(
        &self,
        url: &Url,
        request: reqwest::RequestBuilder,
    ) -> Result<Response, Failure> {
        let limit = self.network.connect_timeout + self.network.stall_time;
        let started = Instant::now();
        let answer = tokio::time::timeout(limit, request.send()).await;
        let (url_shown, ms) = (Address(url), started.elapsed().as_millis());
        match answer {
            Ok(Ok(response)) => {
                let status = response.status().as_u16();
                tracing::debug!(url = %url_shown, status, ms, "request");
                Ok(response)
            }
            Ok(Err(source)) => {
                tracing::debug!(url = %url_shown, ms, "request failed");
                Err(connection_error(url, source).into())
            }
            Err(_) => Err(Error::Stalled {
                url: redacted(url),
                bytes: 0,
                seconds: limit.as_secs(),
            }
            .into()),
        }
    }
}

/// Returns the server's clock, from the `Date` header.
pub fn server_time(headers: &HeaderMap) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()
}

/// Returns the number in a header such as `Retry-After`: the largest one if it is larger still, and `None`
/// if it is anything but digits.
pub fn header_number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

/// Returns the delay of `Retry-After`, in either of its forms. A date is compared with the server's
/// own clock, because this machine's may be wrong.
pub fn retry_after(response: &Response) -> Option<Duration> {
    let headers = response.headers();
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Some(seconds) = header_number(text) {
        return Some(Duration::from_secs(seconds));
    }
    let at = httpdate::parse_http_date(text).ok()?;
    let now = server_time(headers).unwrap_or_else(SystemTime::now);
    Some(at.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Network;

    fn attempts() -> Attempts {
        let rules = Retries {
            first_delay: Duration::ZERO,
            longest_delay: Duration::ZERO,
            ..Retries::default()
        };
        Attempts::new(&rules, Reporter::silent())
    }

    fn url() -> String {
        "http://example.org/".to_owned()
    }

    #[test]
    fn a_number_that_is_too_large_is_the_largest_and_garbage_is_none() {
        assert_eq!(header_number("120"), Some(120));
        assert_eq!(header_number("99999999999999999999"), Some(u64::MAX));
        for text in ["", "-5", "+5", "5s", "1e9"] {
            assert_eq!(header_number(text), None, "{text}");
        }
    }

    async fn until_given_up(attempts: &mut Attempts, error: impl Fn() -> Error) -> u32 {
        for _ in 0..100 {
            match attempts.wait_after(error().into()).await {
                Ok(()) => {}
                Err(Error::GaveUp { attempts, .. }) => return attempts,
                Err(error) => panic!("{error:?}"),
            }
        }
        panic!("never given up")
    }

    #[tokio::test]
    async fn a_server_that_stalls_is_tried_three_times_and_another_six() {
        let stalled = || Error::Stalled {
            url: url(),
            bytes: 0,
            seconds: 50,
        };
        assert_eq!(until_given_up(&mut attempts(), stalled).await, 3);
        let ended = || Error::EndedEarly { url: url() };
        assert_eq!(until_given_up(&mut attempts(), ended).await, 6);
        let mut attempts = attempts();
        attempts.wait_after(stalled().into()).await.unwrap();
        attempts.progressed();
        assert_eq!(until_given_up(&mut attempts, stalled).await, 4);
    }

    /// Returns the failure of a request to a port on which nothing listens.
    async fn refused() -> Failure {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").map(|one| one.local_addr());
        let Ok(Ok(address)) = listener else {
            panic!("no port is free");
        };
        let Ok(url) = format!("http://me:secret@{address}/file?secret").parse::<Url>() else {
            panic!("{address}");
        };
        let network = Network::default();
        let Ok(client) = network.client() else {
            panic!("no client");
        };
        match client.get(url.clone()).send().await {
            Ok(answer) => panic!("{answer:?}"),
            Err(error) => connection_error(&url, error).into(),
        }
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_asked_three_times() {
        let mut attempts = attempts();
        for _ in 1..ATTEMPTS_WITHOUT_SERVER {
            assert!(attempts.wait_after(refused().await).await.is_ok());
        }
        let Err(error) = attempts.wait_after(refused().await).await else {
            panic!("it is asked again");
        };
        let text = error.to_string();
        assert!(text.starts_with("cannot fetch http://127.0.0.1:"), "{text}");
        let end = "/file: connection refused (gave up after 3 attempts)";
        assert!(text.ends_with(end), "{text}");
        assert!(error.is_unreachable());
    }

    #[tokio::test]
    async fn a_server_that_is_gone_for_a_moment_does_not_end_a_download() {
        let mut attempts = attempts();
        for _ in 0..4 {
            for _ in 1..ATTEMPTS_WITHOUT_SERVER {
                assert!(attempts.wait_after(refused().await).await.is_ok());
            }
            let ended = Error::EndedEarly { url: url() };
            attempts.progressed();
            assert!(attempts.wait_after(ended.into()).await.is_ok());
        }
    }

    #[tokio::test]
    async fn an_unknown_host_is_named_as_one() {
        let Ok(url) = "http://no-such-host.invalid/".parse::<Url>() else {
            panic!("no address");
        };
        let network = Network {
            proxies: crate::settings::Proxies::Explicit {
                http: None,
                https: None,
                except: None,
            },
            ..Network::default()
        };
        let Ok(client) = network.client() else {
            panic!("no client");
        };
        let Err(error) = client.get(url.clone()).send().await else {
            panic!("there is an answer");
        };
        let text = connection_error(&url, error).to_string();
        assert_eq!(
            text,
            "cannot fetch http://no-such-host.invalid/: there is no host of this name"
        );
    }
}
