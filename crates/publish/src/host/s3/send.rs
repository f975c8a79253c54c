//! Sending one file: in one request, or in parts, of which only a few are in memory at a time.

use std::io::{Read, Seek, SeekFrom};
use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use object_store::path::Path;
use object_store::{Attribute, Attributes, ObjectStore, PutMode, PutMultipartOptions, PutOptions};
use sysforge_plan::Task;

use super::service::{failure_of, payload};
use super::{DIGEST, S3};
use crate::error::PublishError;
use crate::host::github::upload::content_type;
use crate::local::{at, blocking};
use crate::release_bundle::{Asset, Content};

/// Size of a part, in bytes; smaller files are sent in one request.
const PART: u64 = 16 << 20;

/// Maximum number of parts of an object.
const MOST_PARTS: u64 = 10_000;

/// Number of parts of a file that are sent concurrently.
const PARTS_AT_ONCE: usize = 2;

/// Returns the offset and length of each part of a file.
fn parts(size: u64) -> impl Iterator<Item = (u64, u64)> {
    let length = PART.max(size.div_ceil(MOST_PARTS));
    (0..size.div_ceil(length)).map(move |number| {
        let start = number * length;
        (start, length.min(size - start))
    })
}

/// Reads bytes of an asset.
async fn slice(asset: &Asset, start: u64, length: u64) -> Result<Bytes, PublishError> {
    match &asset.content {
        Content::Memory(bytes) => {
            let (start, length) = (usize::try_from(start), usize::try_from(length));
            let (start, length) = (start.unwrap_or(0), length.unwrap_or(0));
            Ok(bytes.slice(start..start + length))
        }
        Content::File { path, offset } => {
            let (path, offset) = (path.clone(), offset + start);
            blocking(move || {
                let mut file = sysforge_files::open_regular(&path).map_err(at(&path))?;
                file.seek(SeekFrom::Start(offset)).map_err(at(&path))?;
                let mut bytes = Vec::new();
                file.take(length)
                    .read_to_end(&mut bytes)
                    .map_err(at(&path))?;
                if bytes.len() as u64 != length {
                    return Err(PublishError::Changing(path));
                }
                Ok(bytes.into())
            })
            .await
        }
    }
}

/// Returns the attributes that the service stores with an object.
fn attributes(asset: &Asset) -> Attributes {
    let mut attributes = Attributes::new();
    attributes.insert(Attribute::ContentType, content_type(&asset.name).into());
    attributes.insert(DIGEST, asset.sha256.to_string().into());
    attributes
}

impl S3 {
    /// Sends a file to `path`, on the condition of `mode` if it fits into one request.
    pub(super) async fn send(
        &self,
        path: &Path,
        asset: &Asset,
        task: &Task,
    ) -> Result<(), PublishError> {
        match asset.size <= PART {
            true => {
                let bytes = slice(asset, 0, asset.size).await?;
                let options = PutOptions {
                    mode: PutMode::Overwrite,
                    attributes: attributes(asset),
                    ..PutOptions::default()
                };
                let put = self.store.put_opts(path, payload(&bytes), options).await;
                put.map_err(|error| self.sending(asset, &error))?;
                self.sent.fetch_add(asset.size, Ordering::Relaxed);
            }
            false => self.send_parts(path, asset, task).await?,
        }
        Ok(())
    }

    fn sending(&self, asset: &Asset, error: &object_store::Error) -> PublishError {
        self.error(&format!("write {}", asset.name), failure_of(error))
    }

    async fn send_parts(
        &self,
        path: &Path,
        asset: &Asset,
        task: &Task,
    ) -> Result<(), PublishError> {
        let fail = |error| self.sending(asset, &error);
        let options = PutMultipartOptions {
            attributes: attributes(asset),
            ..PutMultipartOptions::default()
        };
        let mut upload = self
            .store
            .put_multipart_opts(path, options)
            .await
            .map_err(fail)?;
        let sent = async {
            let mut sending = FuturesUnordered::new();
            let mut done = 0;
            for (start, length) in parts(asset.size) {
                if sending.len() >= PARTS_AT_ONCE
                    && let Some(length) = sending.next().await
                {
                    done += length?;
                    task.progress(done, Some(asset.size));
                }
                let bytes = slice(asset, start, length).await?;
                let part = upload.put_part(payload(&bytes));
                sending.push(async move {
                    part.await.map_err(fail)?;
                    self.sent.fetch_add(length, Ordering::Relaxed);
                    Ok::<_, PublishError>(length)
                });
            }
            while let Some(length) = sending.next().await {
                done += length?;
                task.progress(done, Some(asset.size));
            }
            drop(sending);
            upload.complete().await.map_err(fail)?;
            Ok(())
        };
        let sent = sent.await;
        if sent.is_err() {
            // Parts of an unfinished upload cost storage.
            let _ = upload.abort().await;
        }
        sent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_a_file_and_are_not_too_many() {
        for size in [PART + 1, 3 * PART, 200 << 30] {
            let all: Vec<_> = parts(size).collect();
            assert!(all.len() as u64 <= MOST_PARTS);
            let mut end = 0;
            for (start, length) in &all {
                assert_eq!(*start, end);
                end += length;
            }
            assert_eq!(end, size);
            let (_, all_but_last) = all.split_last().unwrap();
            assert!(all_but_last.iter().all(|(_, length)| *length >= PART));
        }
    }
}
