//! Failures of requests: whether to try again, how long to wait first, and their messages.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use sysforge_net::header::HeaderMap;
use sysforge_net::header_number;
use sysforge_plan::text::shortened;

use super::Timing;
use crate::error::PublishError;

/// A request that failed.
#[derive(Debug, Clone)]
pub(crate) enum Failure {
    /// The host answered with an error.
    Status {
        status: u16,
        message: String,
        errors: Vec<ApiError>,
    },
    /// The host asks to wait.
    Limited(Option<Duration>),
    /// A storage service answered with an error.
    Storage {
        status: u16,
        code: String,
        message: String,
    },
    /// The answer is not one of the API: HTML, or cut off.
    Garbled { status: u16 },
    /// There was no answer: connection failed, reset or timed out.
    Transport(String),
    /// No server is reachable.
    NoServer(String),
    /// There was no answer, and trying again would not help; with a hint.
    Lasting { words: String, hint: &'static str },
    /// There was no progress for this long.
    Stalled(Duration),
    /// The file to send cannot be read.
    Local(Arc<PublishError>),
}

/// One entry of the `errors` of a 422.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct ApiError {
    #[serde(default)]
    pub(crate) code: String,
    #[serde(default)]
    pub(crate) field: Option<String>,
    #[serde(default)]
    pub(crate) message: Option<String>,
}

impl ApiError {
    fn shortened(self) -> Self {
        Self {
            code: said_by_host(&self.code),
            field: self.field.as_deref().map(said_by_host),
            message: self.message.as_deref().map(said_by_host),
        }
    }
}

/// Returns a host's message on one line and with a limited length.
fn said_by_host(text: &str) -> String {
    shortened(text, 1000)
}

#[derive(Deserialize)]
struct ErrorBody {
    message: String,
    #[serde(default)]
    errors: Vec<serde_json::Value>,
}

impl Failure {
    /// Parses an error answer.
    pub(crate) fn of_answer(status: u16, headers: &HeaderMap, body: &[u8]) -> Self {
        if status == 407 {
            return Self::Lasting {
                words: "the proxy refuses to connect (status 407)".to_owned(),
                hint: sysforge_net::PROXY_LOGIN,
            };
        }
        let parsed: Option<ErrorBody> = serde_json::from_slice(body).ok();
        let message = said_by_host(parsed.as_ref().map_or("", |body| &body.message));
        if let Some(limited) = limited(status, headers, &message) {
            return limited;
        }
        let Some(parsed) = parsed else {
            return storage_error(status, body).unwrap_or(Self::Garbled { status });
        };
        Self::Status {
            status,
            message,
            // Entries are objects, or plain strings in some cases.
            errors: parsed
                .errors
                .into_iter()
                .map(|entry| match entry {
                    serde_json::Value::String(text) => ApiError {
                        message: Some(said_by_host(&text)),
                        ..ApiError::default()
                    },
                    entry => serde_json::from_value::<ApiError>(entry)
                        .map(ApiError::shortened)
                        .unwrap_or_default(),
                })
                .collect(),
        }
    }

    /// The failure for an answer that is larger than any valid one. Trying again would not help.
    pub(crate) fn too_long(limit: u64) -> Self {
        Self::Lasting {
            words: format!("the host sends an answer of more than {limit} bytes"),
            hint: HOST_AT_FAULT,
        }
    }

    /// Whether trying again may help. This includes status 400: the front end answers with it, in
    /// plain text, if an upload was cut off.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Status { status, .. } => matches!(status, 400 | 408 | 409 | 429 | 500..=599),
            // Front ends answer with their own pages, and bodies are cut off: these failures pass.
            // A redirect without a valid target and a required login do not.
            Self::Garbled { status } | Self::Storage { status, .. } => {
                matches!(status, 200..=299 | 400 | 403 | 404 | 408 | 409 | 425 | 429 | 500..=599)
            }
            Self::Transport(_) | Self::NoServer(_) | Self::Stalled(_) | Self::Limited(_) => true,
            Self::Local(_) | Self::Lasting { .. } => false,
        }
    }

    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. }
            | Self::Storage { status, .. }
            | Self::Garbled { status } => Some(*status),
            _ => None,
        }
    }

    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Status { status: 404, .. })
    }

    /// Whether a file does not exist, whatever the body: plain hosts answer with a page.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self.status(), Some(404 | 410))
    }

    /// Whether a plain host has no such file or hides it: for a missing file, S3 answers 403 if the
    /// client may not list files (reference of `GetObject`).
    pub(crate) fn is_missing_or_hidden(&self) -> bool {
        self.is_missing() || self.status() == Some(403)
    }

    /// Whether the failure is a 422 for a name or tag that exists already.
    pub(crate) fn is_taken(&self) -> bool {
        matches!(self, Self::Status { status: 422, errors, .. }
            if errors.iter().any(|error| error.code == "already_exists"))
    }

    /// Converts a failure that means the same for every host; returns any other one.
    pub(crate) fn into_error(self, what: &str, timing: &Timing) -> Result<PublishError, Self> {
        let what = what.to_owned();
        Ok(match self {
            Self::Local(error) => {
                Arc::try_unwrap(error).unwrap_or_else(|shared| PublishError::GaveUp {
                    what,
                    attempts: 1,
                    last: shared.to_string(),
                })
            }
            Self::Limited(Some(wait)) if wait > timing.retries.longest_wait => {
                PublishError::RateLimited {
                    seconds: wait.as_secs(),
                }
            }
            Self::Lasting { words, hint } => PublishError::Unreachable { what, words, hint },
            other => return Err(other),
        })
    }

    /// Returns the error for the last of several attempts.
    pub(crate) fn gave_up(&self, what: &str, timing: &Timing) -> PublishError {
        PublishError::GaveUp {
            what: what.to_owned(),
            attempts: timing.attempts_until(self),
            last: self.words(),
        }
    }

    /// Describes the failure in a few words, with the status of an answer.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Status { status, .. } | Self::Garbled { status } => {
                format!("{} (status {status})", self.said())
            }
            Self::Storage {
                status,
                code,
                message,
            } if !message.is_empty() => format!("{message} ({code}, status {status})"),
            Self::Storage { status, .. } => format!("{} (status {status})", self.said()),
            _ => self.said(),
        }
    }

    /// Returns the host's message, or the known reason why there is none.
    pub(crate) fn said(&self) -> String {
        match self {
            Self::Status {
                message, errors, ..
            } => {
                let details: Vec<_> = errors
                    .iter()
                    .map(|error| {
                        let words = error.message.clone().unwrap_or_else(|| error.code.clone());
                        match &error.field {
                            Some(field) => format!("{field}: {words}"),
                            None => words,
                        }
                    })
                    .collect();
                match details.as_slice() {
                    [] => message.clone(),
                    details => format!("{message}: {}", details.join("; ")),
                }
            }
            Self::Limited(Some(wait)) => format!("rate limit, wait {} s", wait.as_secs()),
            Self::Limited(None) => "rate limit".to_owned(),
            Self::Storage { code, message, .. } => match message.is_empty() {
                true => code.clone(),
                false => format!("{message} ({code})"),
            },
            Self::Garbled { .. } => "no answer of the API".to_owned(),
            Self::Transport(words) | Self::NoServer(words) | Self::Lasting { words, .. } => {
                words.clone()
            }
            Self::Stalled(limit) => format!("no progress for {} s", limit.as_secs_f32()),
            Self::Local(error) => error.to_string(),
        }
    }
}

/// Parses the error of a storage service, `<Error><Code>…</Code><Message>…</Message></Error>`.
fn storage_error(status: u16, body: &[u8]) -> Option<Failure> {
    let text = String::from_utf8_lossy(body);
    let (_, error) = text.split_once("<Error>")?;
    let element = |name: &str| {
        let (_, rest) = error.split_once(&format!("<{name}>"))?;
        let (text, _) = rest.split_once(&format!("</{name}>"))?;
        Some(said_by_host(&unescaped(text)))
    };
    Some(Failure::Storage {
        status,
        code: element("Code")?,
        message: element("Message").unwrap_or_default(),
    })
}

/// Returns the text of an XML element.
fn unescaped(text: &str) -> String {
    let pairs = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&apos;", "'"),
        ("&amp;", "&"),
    ];
    let mut text = text.to_owned();
    for (escaped, char) in pairs {
        text = text.replace(escaped, char);
    }
    text
}

/// Detects rate limits: 429, or 403 with a header or message that says so.
fn limited(status: u16, headers: &HeaderMap, message: &str) -> Option<Failure> {
    if !matches!(status, 403 | 429) {
        return None;
    }
    let text = |name: &str| Some(headers.get(name)?.to_str().ok()?.trim());
    let number = |name: &str| header_number(text(name)?);
    let since_epoch = |time: SystemTime| {
        time.duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs())
    };
    let date = |name: &str| httpdate::parse_http_date(text(name)?).ok().map(since_epoch);
    // Times in answers are those of the host's clock, which may differ from the local one.
    let now = || date("date").unwrap_or_else(|| since_epoch(SystemTime::now()));
    if let Some(seconds) = number("retry-after") {
        return Some(Failure::Limited(Some(Duration::from_secs(seconds))));
    }
    if let Some(end) = date("retry-after") {
        let wait = end.saturating_sub(now());
        return Some(Failure::Limited(Some(Duration::from_secs(wait))));
    }
    if number("x-ratelimit-remaining") == Some(0) {
        let wait =
            number("x-ratelimit-reset").map(|reset| reset.saturating_sub(now()).saturating_add(1));
        return Some(Failure::Limited(wait.map(Duration::from_secs)));
    }
    let words = message.to_lowercase();
    (status == 429 || words.contains("rate limit") || words.contains("abuse detection"))
        .then_some(Failure::Limited(None))
}

/// Converts a transport error without its URL: URLs of storage services contain signatures.
pub(crate) fn transport(error: sysforge_net::TransportError) -> Failure {
    if let Some(why) = sysforge_net::no_server(&error) {
        // Only the host name: the rest of the URL may contain a signature.
        let host = error
            .url()
            .and_then(|url| Some((url.host_str()?, url.port())));
        return Failure::NoServer(match host {
            Some((host, Some(port))) => format!("cannot connect to {host}:{port}: {why}"),
            Some((host, None)) => format!("cannot connect to {host}: {why}"),
            None => why.to_owned(),
        });
    }
    of_error(&error.without_url())
}

/// Converts an error of connecting or of reading an answer.
pub(crate) fn of_error(error: &(dyn std::error::Error + 'static)) -> Failure {
    if let Some(why) = sysforge_net::no_server(error) {
        return Failure::NoServer(why.to_owned());
    }
    let words = chain(error);
    if let Some(hint) = sysforge_net::remedy(error) {
        return Failure::Lasting { words, hint };
    }
    // octocrab wraps the client's errors. A redirect to a URL that is not HTTP is an error of the
    // builder.
    let is_permanent = causes(error)
        .filter_map(|error| error.downcast_ref::<sysforge_net::TransportError>())
        .any(|error| error.is_redirect() || error.is_builder());
    match is_permanent {
        true => Failure::Lasting {
            words,
            hint: HOST_AT_FAULT,
        },
        false => Failure::Transport(words),
    }
}

pub(crate) const HOST_AT_FAULT: &str = "the host is at fault: tell its maintainer";

fn causes<'e>(
    error: &'e (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'e (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}

/// Returns an error and its causes, on one line. What only says that a request failed is left out: octocrab's
/// wrappers, and the first words of the client's errors.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let client = causes(error).find(|error| error.is::<sysforge_net::TransportError>());
    let mut words = String::new();
    for error in causes(client.unwrap_or(error)) {
        let inner = error.to_string();
        let is_empty_phrase =
            inner.starts_with("error sending request") || inner.starts_with("client error (");
        if is_empty_phrase && error.source().is_some() {
            continue;
        }
        if words.is_empty() {
            words = inner;
        } else if !words.contains(&inner) {
            words = format!("{words}: {inner}");
        }
    }
    // A URL may come from a redirect and contain a signature.
    for error in causes(error) {
        let transport = error.downcast_ref::<sysforge_net::TransportError>();
        if let Some(url) = transport.and_then(sysforge_net::TransportError::url) {
            words = words.replace(&format!(" for url ({url})"), "");
        }
    }
    // Backtraces in octocrab's errors have many lines.
    words.lines().next().unwrap_or_default().to_owned()
}

/// Converts a failure to read an answer's body.
pub(crate) fn of_net(error: sysforge_net::Error, stall: Duration) -> Failure {
    match error {
        sysforge_net::Error::Connection { source, .. } => transport(source),
        sysforge_net::Error::Stalled { .. } => Failure::Stalled(stall),
        error if error.is_transient() => Failure::Transport(error.to_string()),
        error => Failure::Lasting {
            words: error.to_string(),
            hint: HOST_AT_FAULT,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                let name = sysforge_net::header::HeaderName::from_static(name);
                (name, value.parse().unwrap())
            })
            .collect()
    }

    #[test]
    fn the_host_says_how_long_to_wait() {
        let body = br#"{"message":"You have exceeded a secondary rate limit."}"#;
        let asked = Failure::of_answer(403, &headers(&[("retry-after", "7")]), body);
        assert!(matches!(asked, Failure::Limited(Some(wait)) if wait.as_secs() == 7));
        let silent = Failure::of_answer(403, &HeaderMap::new(), body);
        assert!(matches!(silent, Failure::Limited(None)));
        let spent = headers(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1")]);
        let past = Failure::of_answer(403, &spent, br#"{"message":"API rate limit exceeded"}"#);
        assert!(matches!(past, Failure::Limited(Some(wait)) if wait.as_secs() == 1));
    }

    #[test]
    fn times_are_read_by_the_clock_of_the_host() {
        let body = br#"{"message":"API rate limit exceeded"}"#;
        let wait = |pairs: &[(&'static str, &str)]| {
            let failure = Failure::of_answer(429, &headers(pairs), body);
            match failure {
                Failure::Limited(Some(wait)) => wait.as_secs(),
                other => panic!("{other:?}"),
            }
        };
        // 784111777 is 08:49:37: in the past by the local clock, and 30 s ahead by the host's.
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        let spent = ("x-ratelimit-remaining", "0");
        let reset = ("x-ratelimit-reset", "784111807");
        assert_eq!(wait(&[date, spent, reset]), 31);
        let retry = ("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT");
        assert_eq!(wait(&[date, retry]), 30);
        // Without a date from the host, the local clock is used.
        assert_eq!(wait(&[spent, reset]), 1);
        let epoch = ("date", "Thu, 01 Jan 1970 00:00:00 GMT");
        let never = ("x-ratelimit-reset", "18446744073709551615");
        assert_eq!(wait(&[epoch, spent, never]), u64::MAX);
    }

    #[test]
    fn a_wait_beyond_all_numbers_is_too_long_and_garbage_is_no_wait() {
        let body = br#"{"message":"API rate limit exceeded"}"#;
        let huge = "99999999999999999999";
        let spent = ("x-ratelimit-remaining", "0");
        for pairs in [
            &[("retry-after", huge)][..],
            &[spent, ("x-ratelimit-reset", huge)],
        ] {
            let failure = Failure::of_answer(403, &headers(pairs), body);
            let error = failure.into_error("look", &Timing::default()).unwrap();
            assert_eq!(
                error.to_string(),
                "the host limits the rate of requests, and asks to wait for more than a year"
            );
        }
        let garbage = Failure::of_answer(429, &headers(&[("retry-after", "-5")]), body);
        assert!(matches!(garbage, Failure::Limited(None)), "{garbage:?}");
    }

    #[test]
    fn a_missing_right_is_not_a_rate_limit() {
        let body = br#"{"message":"Resource not accessible by integration"}"#;
        let failure = Failure::of_answer(403, &HeaderMap::new(), body);
        assert!(!failure.is_passing());
    }

    #[test]
    fn html_is_no_answer() {
        let failure = Failure::of_answer(502, &HeaderMap::new(), b"<!DOCTYPE html>");
        assert!(matches!(failure, Failure::Garbled { status: 502 }));
        assert!(failure.is_passing());
    }

    #[test]
    fn details_of_a_refusal_are_shown() {
        let body = br#"{"message":"Validation Failed","errors":[
            {"resource":"Release","code":"custom","field":"body","message":"is too long"}]}"#;
        let failure = Failure::of_answer(422, &HeaderMap::new(), body);
        assert_eq!(
            failure.words(),
            "Validation Failed: body: is too long (status 422)"
        );
    }

    #[test]
    fn what_may_pass_is_tried_again_and_nothing_else() {
        let status = |status| Failure::of_answer(status, &HeaderMap::new(), b"{\"message\":\"x\"}");
        for passing in [400, 408, 409, 429, 500, 502, 503, 504] {
            assert!(status(passing).is_passing(), "{passing}");
        }
        for final_answer in [401, 404, 410, 422, 451] {
            assert!(!status(final_answer).is_passing(), "{final_answer}");
        }
        assert!(Failure::Stalled(Duration::from_secs(60)).is_passing());
        let file = PublishError::NothingToPublish("dist".into());
        assert!(!Failure::Local(std::sync::Arc::new(file)).is_passing());
    }

    #[test]
    fn a_page_that_says_404_is_a_missing_file_but_no_answer_of_the_api() {
        let page = Failure::of_answer(404, &HeaderMap::new(), b"<!DOCTYPE html>");
        assert!(page.is_missing() && !page.is_not_found());
        let of_s3 = Failure::of_answer(403, &HeaderMap::new(), b"<Error><Code>AccessDenied</Code>");
        assert!(of_s3.is_missing_or_hidden() && !of_s3.is_missing());
        let answer = Failure::of_answer(404, &HeaderMap::new(), b"{\"message\":\"Not Found\"}");
        assert!(answer.is_missing() && answer.is_not_found());
        assert!(!Failure::Transport("reset".to_owned()).is_missing());
    }

    #[test]
    fn an_answer_of_another_kind_is_asked_for_again_only_if_it_may_pass() {
        for (status, passes) in [
            (101, false),
            (200, true),
            (302, false),
            (401, false),
            (404, true),
            (451, false),
            (503, true),
            (999, false),
        ] {
            let page = Failure::of_answer(status, &HeaderMap::new(), b"<!DOCTYPE html>");
            assert_eq!(page.is_passing(), passes, "{status}");
        }
    }

    #[test]
    fn a_refusal_in_bare_text_or_by_a_code_is_shown_too() {
        let body = br#"{"message":"Validation Failed","errors":[
            "the tag is protected", {"code":"already_exists","field":"tag_name"}, {"code":"custom"}]}"#;
        let failure = Failure::of_answer(422, &HeaderMap::new(), body);
        assert_eq!(
            failure.said(),
            "Validation Failed: the tag is protected; tag_name: already_exists; custom"
        );
        assert!(failure.is_taken());
    }

    #[test]
    fn what_is_known_of_a_silent_host_is_said() {
        let words = |failure: Failure| failure.words();
        let wait = Duration::from_secs(7);
        assert_eq!(words(Failure::Limited(Some(wait))), "rate limit, wait 7 s");
        assert_eq!(words(Failure::Limited(None)), "rate limit");
        assert_eq!(
            words(Failure::Garbled { status: 502 }),
            "no answer of the API (status 502)"
        );
        assert_eq!(words(Failure::Stalled(wait)), "no progress for 7 s");
        let file = PublishError::NothingToPublish("dist".into());
        assert_eq!(
            words(Failure::Local(std::sync::Arc::new(file))),
            "no image in dist"
        );
    }

    #[test]
    fn a_server_that_is_not_there_is_asked_three_times() {
        let timing = super::super::Timing::default();
        let failure = Failure::NoServer("cannot connect to host: connection refused".to_owned());
        let mut attempts = sysforge_net::FailedAttempts::default();
        assert!(!timing.is_last(&mut attempts, &failure));
        assert!(!timing.is_last(&mut attempts, &failure));
        assert!(timing.is_last(&mut attempts, &failure));
        assert_eq!(timing.attempts_until(&failure), 3);
    }

    #[tokio::test]
    async fn an_address_with_its_signature_is_never_shown() {
        let client = sysforge_net::Network::default().client().unwrap();
        let address = "http://127.0.0.1:9/storage?signature=hunter2";
        let failure = transport(client.get(address).send().await.unwrap_err());
        let words = failure.words();
        assert!(!words.contains("hunter2"), "{words}");
        assert_eq!(words, "cannot connect to 127.0.0.1:9: connection refused");
    }
}
