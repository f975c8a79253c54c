//! One attempt to send one file: streamed from disk with its exact length, opened anew each time,
//! given up when nothing moves.

use std::io::SeekFrom;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::StreamExt;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use sysforge_plan::Task;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::sync::watch;
use tokio_util::io::ReaderStream;

use super::api::Asset;
use super::failure::{Failure, transport};
use super::{GitHub, encode};
use crate::local::{CHUNK, at};
use crate::shipment::Content;

/// What is sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parcel<'a> {
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
        parcel: Parcel<'_>,
        task: Option<&Task>,
    ) -> Result<Asset, Failure> {
        self.pacer.turn().await;
        self.count();
        // `upload_url` is a URI template: `…/assets{?name,label}`.
        let base = upload_url.split('{').next().unwrap_or_default();
        let mut address = format!("{base}?name={}", encode(parcel.name));
        if let Some(label) = parcel.label {
            address.push_str(&format!("&label={}", encode(label)));
        }
        let (moved, progress) = watch::channel(0_u64);
        let body = self.body(parcel, moved).await?;
        let request = self
            .with_authorization(self.bytes.post(address))
            .header(CONTENT_LENGTH, parcel.size)
            .header(CONTENT_TYPE, content_type(parcel.name))
            .header("accept", "application/vnd.github+json")
            .body(body);
        let exchange = async {
            let answer = request.send().await.map_err(transport)?;
            let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
            let bytes = answer.bytes().await.map_err(transport)?;
            if !(200..300).contains(&status) {
                return Err(Failure::of_answer(status, &headers, &bytes));
            }
            serde_json::from_slice(&bytes).map_err(|_| Failure::Garbled { status })
        };
        tokio::select! {
            answered = exchange => answered,
            stalled = stall(progress, self.timing.stall, parcel.size, task) => Err(stalled),
        }
    }

    async fn body(
        &self,
        parcel: Parcel<'_>,
        moved: watch::Sender<u64>,
    ) -> Result<reqwest::Body, Failure> {
        let sent = Arc::clone(&self.sent);
        let (path, offset) = match parcel.content {
            Content::Memory(bytes) => {
                sent.fetch_add(parcel.size, Ordering::Relaxed);
                let bytes = bytes.clone();
                // A stream as well, so that `moved` lives until the bytes are handed over.
                let stream = futures_util::stream::once(async move {
                    moved.send_replace(bytes.len() as u64);
                    Ok::<_, std::io::Error>(bytes)
                });
                return Ok(reqwest::Body::wrap_stream(stream));
            }
            Content::File { path, offset } => (path, *offset),
        };
        let local = |source| Failure::Local(Arc::new(at(path)(source)));
        let mut file = tokio::fs::File::open(path).await.map_err(local)?;
        file.seek(SeekFrom::Start(offset)).await.map_err(local)?;
        let reader = ReaderStream::with_capacity(file.take(parcel.size), CHUNK);
        let stream = reader.map(move |chunk| {
            if let Ok(chunk) = &chunk {
                let length = chunk.len() as u64;
                sent.fetch_add(length, Ordering::Relaxed);
                moved.send_modify(|so_far| *so_far += length);
            }
            chunk
        });
        Ok(reqwest::Body::wrap_stream(stream))
    }
}

/// Returns when nothing has moved for `limit`; reports progress meanwhile.
async fn stall(
    mut progress: watch::Receiver<u64>,
    limit: Duration,
    total: u64,
    task: Option<&Task>,
) -> Failure {
    loop {
        match tokio::time::timeout(limit, progress.changed()).await {
            Ok(Ok(())) => {
                let done = *progress.borrow_and_update();
                if let Some(task) = task {
                    task.progress(done.min(total), Some(total));
                }
            }
            // All is sent (the sender is gone): what remains is the answer, within one more limit.
            Ok(Err(_)) => {
                tokio::time::sleep(limit).await;
                return Failure::Stalled(limit);
            }
            Err(_) => return Failure::Stalled(limit),
        }
    }
}

/// The type that browsers are told.
fn content_type(name: &str) -> &'static str {
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
