//! One attempt to send one file: streamed from disk with its exact length, opened again for each
//! attempt, and aborted when it makes no progress.

use std::io::SeekFrom;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::StreamExt;
use sysforge_net::header::{CONTENT_LENGTH, CONTENT_TYPE};
use sysforge_net::{Body, Limits, read_body};
use sysforge_plan::Task;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::sync::watch;
use tokio_util::io::ReaderStream;
use url::Url;

use super::GitHub;
use super::api::Asset;
use super::call::parsed;
use crate::error::PublishError;
use crate::fetch::refusal;
use crate::host::encode;
use crate::host::failure::{Failure, of_net, transport};
use crate::local::{CHUNK, at};
use crate::release_bundle::Content;

/// Maximum size of the host's answer about one file, in bytes; real ones have some kilobytes.
const ANSWER_LIMIT: usize = 1 << 20;

/// The file to send.
#[derive(Debug, Clone, Copy)]
pub(super) struct Upload<'a> {
    /// The name to send it under.
    pub(super) name: &'a str,
    pub(super) label: Option<&'a str>,
    pub(super) content: &'a Content,
    pub(super) size: u64,
}

impl GitHub {
    /// Sends one file, once.
    pub(super) async fn send_once(
        &self,
        upload_url: &str,
        upload: Upload<'_>,
        task: Option<&Task>,
    ) -> Result<Asset, Failure> {
        self.pacer.turn().await;
        self.count();
        let mut address = upload_address(&self.access.api, upload_url)
            .map_err(|error| Failure::Local(Arc::new(error)))?;
        let mut query = format!("name={}", encode(upload.name));
        if let Some(label) = upload.label {
            query.push_str(&format!("&label={}", encode(label)));
        }
        address.set_query(Some(&query));
        let (moved, progress) = watch::channel(0_u64);
        let body = self.body(upload, moved).await?;
        let request = self
            .with_authorization(self.bytes.post(address))
            .header(CONTENT_LENGTH, upload.size)
            .header(CONTENT_TYPE, content_type(upload.name))
            .header("accept", "application/vnd.github+json")
            .body(body);
        let exchange = async {
            let answer = request.send().await.map_err(transport)?;
            let status = answer.status().as_u16();
            if !(200..300).contains(&status) {
                return Err(refusal(answer, self.timing.stall).await);
            }
            let bytes = read_body(answer, ANSWER_LIMIT, Limits::over(self.timing.stall))
                .await
                .map_err(|error| of_net(error, self.timing.stall))?;
            parsed(&bytes)
        };
        tokio::select! {
            answered = exchange => answered,
            stalled = stall(progress, self.timing.stall, upload.size, task) => Err(stalled),
        }
    }

    async fn body(&self, upload: Upload<'_>, moved: watch::Sender<u64>) -> Result<Body, Failure> {
        let sent = Arc::clone(&self.sent);
        let (path, offset) = match upload.content {
            Content::Memory(bytes) => {
                sent.fetch_add(upload.size, Ordering::Relaxed);
                let bytes = bytes.clone();
                // A stream as well, so that `moved` lives until the bytes are passed on.
                let stream = futures_util::stream::once(async move {
                    moved.send_replace(bytes.len() as u64);
                    Ok::<_, std::io::Error>(bytes)
                });
                return Ok(Body::wrap_stream(stream));
            }
            Content::File { path, offset } => (path, *offset),
        };
        let local = |source| Failure::Local(Arc::new(at(path)(source)));
        let file = sysforge_files::open_regular(path).map_err(local)?;
        if file.metadata().map_err(local)?.len() < offset + upload.size {
            let changing = PublishError::Changing(path.clone());
            return Err(Failure::Local(Arc::new(changing)));
        }
        let mut file = tokio::fs::File::from_std(file);
        file.seek(SeekFrom::Start(offset)).await.map_err(local)?;
        let reader = ReaderStream::with_capacity(file.take(upload.size), CHUNK);
        let stream = reader.map(move |chunk| {
            if let Ok(chunk) = &chunk {
                let length = chunk.len() as u64;
                sent.fetch_add(length, Ordering::Relaxed);
                moved.send_modify(|so_far| *so_far += length);
            }
            chunk
        });
        Ok(Body::wrap_stream(stream))
    }
}

/// Returns the URL for uploads, from the `upload_url` in an answer of the API, which is a URI
/// template, `…/assets{?name,label}`. The token is sent there, so the URL must be that of the API,
/// or of its upload service: `https://uploads.HOST` for `https://api.HOST` (github.com and ghe.com)
/// or for `https://HOST`.
fn upload_address(api: &Url, upload_url: &str) -> Result<Url, PublishError> {
    let refused = |why: &str| PublishError::UploadAddress {
        address: shown(upload_url),
        why: why.to_owned(),
    };
    let base = upload_url.split('{').next().unwrap_or_default();
    let address: Url = base.parse().map_err(|_| refused("it is not an address"))?;
    if sysforge_net::has_login(&address) {
        return Err(refused("it holds a user name"));
    }
    if address.origin() == api.origin() && address.has_host() {
        return Ok(address);
    }
    let encrypted = api.scheme() == "https" && address.scheme() == "https";
    let served = address
        .host_str()
        .and_then(|host| host.strip_prefix("uploads."));
    if encrypted
        && api.port() == address.port()
        && let (Some(served), Some(host)) = (served, api.host_str())
        && served == host.strip_prefix("api.").unwrap_or(host)
    {
        return Ok(address);
    }
    Err(refused(
        "it is neither at the API nor at the API's own upload service, so the token does not go \
         there",
    ))
}

/// Formats an untrusted URL for messages: without credentials and query, escaped.
pub(super) fn shown(address: &str) -> String {
    let base = address.split(['{', '?', '#']).next().unwrap_or_default();
    let shown = match base.parse::<Url>() {
        Ok(mut url) => {
            let _ = url.set_username("");
            let _ = url.set_password(None);
            url.to_string()
        }
        Err(_) => base.to_owned(),
    };
    shown
        .chars()
        .take(200)
        .flat_map(char::escape_debug)
        .collect()
}

/// Returns when almost nothing was sent for `limit`; reports progress meanwhile.
async fn stall(
    mut progress: watch::Receiver<u64>,
    limit: Duration,
    total: u64,
    task: Option<&Task>,
) -> Failure {
    let least = Limits::over(limit).bytes.max(1);
    let (mut window, mut before) = (tokio::time::Instant::now(), 0);
    loop {
        let left = limit.saturating_sub(window.elapsed());
        match tokio::time::timeout(left, progress.changed()).await {
            Ok(Ok(())) => {
                let done = *progress.borrow_and_update();
                if let Some(task) = task {
                    task.progress(done.min(total), Some(total));
                }
            }
            // Everything is sent (the sender is gone): the answer must arrive within one more
            // limit.
            Ok(Err(_)) => {
                tokio::time::sleep(limit).await;
                return Failure::Stalled(limit);
            }
            Err(_) => {
                let done = *progress.borrow();
                if done - before < least {
                    return Failure::Stalled(limit);
                }
                (window, before) = (tokio::time::Instant::now(), done);
            }
        }
    }
}

/// Returns the media type for browsers.
pub(crate) fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("json") => "application/json",
        Some("gz") => "application/gzip",
        Some("zst") => "application/zstd",
        Some("zip") => "application/zip",
        Some("toml") => "application/toml",
        _ if name == sysforge_plan::release::SUMS_NAME => "text/plain",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_goes_to_the_api_and_its_own_upload_service_alone() {
        let github = "https://api.github.com/";
        let enterprise = "https://github.example.org/api/v3";
        let residency = "https://api.octo.ghe.com/";
        let local = "http://127.0.0.1:4000/api/v3";
        for (api, upload) in [
            (
                github,
                "https://uploads.github.com/repos/o/r/releases/1/assets{?name,label}",
            ),
            (
                github,
                "https://api.github.com/repos/o/r/releases/1/assets{?name,label}",
            ),
            (
                residency,
                "https://uploads.octo.ghe.com/repos/o/r/releases/1/assets{?name,label}",
            ),
            (
                enterprise,
                "https://github.example.org/api/uploads/repos/o/r/releases/1/assets",
            ),
            (
                enterprise,
                "https://uploads.github.example.org/repos/o/r/releases/1/assets",
            ),
            (
                local,
                "http://127.0.0.1:4000/api/uploads/repos/o/r/releases/1/assets{?name,label}",
            ),
        ] {
            let address = upload_address(&api.parse().unwrap(), upload).unwrap();
            assert!(upload.starts_with(address.as_str()), "{upload}: {address}");
        }
        for (api, upload) in [
            (
                github,
                "https://uploads.example.org/repos/o/r/releases/1/assets{?name,label}",
            ),
            (
                github,
                "https://uploads.github.com.example.org/repos{?name,label}",
            ),
            (github, "https://uploads.github.com:444/repos{?name,label}"),
            (github, "http://uploads.github.com/repos{?name,label}"),
            (github, "http://api.github.com/repos{?name,label}"),
            (
                github,
                "https://me:secret@api.github.com/repos{?name,label}",
            ),
            (github, "https://github.com/repos{?name,label}"),
            (enterprise, "https://uploads.github.com/repos{?name,label}"),
            (enterprise, "https://uploads.example.org/repos{?name,label}"),
            (local, "http://127.0.0.1:4001/repos{?name,label}"),
            (local, "https://127.0.0.1:4000/repos{?name,label}"),
            (local, "http://localhost:4000/repos{?name,label}"),
            (local, "file:///etc/passwd"),
            (local, "{?name,label}"),
            (local, "/repos/o/r"),
            (local, ""),
        ] {
            let error = upload_address(&api.parse().unwrap(), upload).unwrap_err();
            let error = error.to_string();
            assert!(
                error.contains("cannot be used for uploads"),
                "{upload}: {error}"
            );
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn an_upload_address_is_shown_without_secrets_and_control_characters() {
        assert_eq!(
            shown("https://me:secret@evil.example/a?sig=secret"),
            "https://evil.example/a"
        );
        assert_eq!(shown("no\u{1b}[2Jaddress"), "no\\u{1b}[2Jaddress");
    }
}
