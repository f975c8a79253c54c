//! Downloading a release's file: streamed, resumed where an attempt stopped, and hashed meanwhile.
//! Used to check what was published and to install it.

use std::io::{BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sysforge_net::header::RANGE;
use sysforge_net::{
    Address, BodyReader, FailedAttempts, Limits, RequestBuilder, Response, read_body,
};
use sysforge_plan::digest::Hasher;
use sysforge_plan::{Sha256, Task};

use crate::error::PublishError;
use crate::host::Timing;
use crate::host::failure::{Failure, of_net, transport};
use crate::local::{CHUNK, at};

/// The target of downloaded bytes.
pub(crate) struct Sink<'a> {
    target: Target,
    hasher: Hasher,
    /// The file's length, if it is known from elsewhere than the host's answer: not one byte more is
    /// accepted.
    size: Option<u64>,
    task: Option<&'a Task>,
}

#[derive(Debug)]
enum Target {
    /// Bytes are discarded: only the digest is needed.
    Nothing,
    /// Into memory, up to a limit.
    Memory { bytes: Vec<u8>, limit: usize },
    /// Into a file.
    File { file: std::fs::File, path: PathBuf },
}

impl<'a> Sink<'a> {
    /// Keeps only the digest.
    pub(crate) fn nothing() -> Self {
        Self::new(Target::Nothing)
    }

    /// Keeps at most `limit` bytes in memory.
    pub(crate) fn memory(limit: usize) -> Self {
        let bytes = Vec::new();
        Self::new(Target::Memory { bytes, limit })
    }

    /// Continues a file that an earlier attempt left, or creates it.
    pub(crate) fn file(path: &Path) -> Result<Self, PublishError> {
        let mut file = sysforge_files::open_or_create(path).map_err(at(path))?;
        let mut hasher = Hasher::default();
        let mut earlier = BufReader::with_capacity(CHUNK, &mut file);
        std::io::copy(&mut earlier, &mut hasher).map_err(at(path))?;
        let path = path.to_owned();
        Ok(Self {
            hasher,
            ..Self::new(Target::File { file, path })
        })
    }

    fn new(target: Target) -> Self {
        Self {
            target,
            hasher: Hasher::default(),
            size: None,
            task: None,
        }
    }

    /// Accepts this many bytes.
    pub(crate) fn of_size(mut self, size: u64) -> Self {
        self.size = Some(size);
        self
    }

    /// Reports the progress of `task`.
    pub(crate) fn reporting(mut self, task: &'a Task) -> Self {
        self.task = Some(task);
        self
    }

    /// Discards everything received so far.
    pub(crate) fn restart(&mut self) -> std::io::Result<()> {
        self.hasher = Hasher::default();
        match &mut self.target {
            Target::Nothing => {}
            Target::Memory { bytes, .. } => bytes.clear(),
            Target::File { file, .. } => {
                file.set_len(0)?;
                file.seek(SeekFrom::Start(0))?;
            }
        }
        Ok(())
    }

    pub(crate) fn write(&mut self, chunk: &[u8]) -> std::io::Result<()> {
        match &mut self.target {
            Target::Nothing => {}
            Target::Memory { bytes, limit } => {
                if bytes.len() + chunk.len() > *limit {
                    let text = format!("it has more than {limit} bytes");
                    return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, text));
                }
                bytes.extend_from_slice(chunk);
            }
            Target::File { file, .. } => file.write_all(chunk)?,
        }
        self.hasher.update(chunk);
        Ok(())
    }

    /// Returns the path of the file, if bytes are written to one.
    pub(crate) fn path(&self) -> Option<&Path> {
        match &self.target {
            Target::File { path, .. } => Some(path),
            _ => None,
        }
    }

    /// Returns the number of bytes received.
    pub(crate) fn position(&self) -> u64 {
        self.hasher.count()
    }

    /// Returns the digest so far.
    pub(crate) fn sha256(&self) -> Sha256 {
        self.hasher.digest()
    }

    /// Returns the bytes, if they were kept in memory.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        match self.target {
            Target::Memory { bytes, .. } => bytes,
            _ => Vec::new(),
        }
    }

    /// Syncs a file to disk.
    pub(crate) fn sync(&self) -> std::io::Result<()> {
        match &self.target {
            Target::File { file, .. } => file.sync_all(),
            _ => Ok(()),
        }
    }
}

/// Number of bytes that an attempt must receive before it stalls to count as progress.
const PROGRESS: u64 = 1 << 20;

/// Reads a file completely, in as many attempts as `timing` allows. An attempt that received bytes
/// does not count, unless they came too slowly.
pub(crate) async fn read(
    request: impl Fn() -> RequestBuilder,
    sink: &mut Sink<'_>,
    timing: &Timing,
) -> Result<(), Failure> {
    read_until(request, sink, timing, |_| false).await
}

/// Reads as [`read`], from a host without an API: the statuses 401, 403 and 404 are final. Returns
/// whether there is such a file.
pub(crate) async fn read_plain(
    request: impl Fn() -> RequestBuilder,
    sink: &mut Sink<'_>,
    timing: &Timing,
) -> Result<bool, Failure> {
    let is_final =
        |failure: &Failure| failure.is_missing_or_hidden() || failure.status() == Some(401);
    match read_until(request, sink, timing, is_final).await {
        Ok(()) => Ok(true),
        Err(failure) if failure.is_missing_or_hidden() => Ok(false),
        Err(failure) => Err(failure),
    }
}

/// Reads as [`read`]; a failure for which `is_final` returns `true` ends it.
pub(crate) async fn read_until(
    request: impl Fn() -> RequestBuilder,
    sink: &mut Sink<'_>,
    timing: &Timing,
    is_final: impl Fn(&Failure) -> bool,
) -> Result<(), Failure> {
    let mut failed = FailedAttempts::default();
    loop {
        let before = sink.position();
        match read_on(request(), sink, timing).await {
            Ok(()) => return Ok(()),
            Err(failure) if is_final(&failure) => return Err(failure),
            Err(failure) => {
                let came = sink.position().saturating_sub(before);
                let least = match failure {
                    Failure::Stalled(_) => PROGRESS,
                    _ => 1,
                };
                if came >= least {
                    failed.progressed();
                }
                if timing.is_last(&mut failed, &failure) {
                    return Err(failure);
                }
                timing.pause(failed, &failure).await?;
            }
        }
    }
}

/// Maximum size of an error page, in bytes; real ones have some kilobytes.
const LONGEST_ERROR: usize = 1 << 20;

/// Converts an error answer to a failure. A body that is too long is ignored.
pub(crate) async fn refusal(answer: Response, stall: std::time::Duration) -> Failure {
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    match read_body(answer, LONGEST_ERROR, Limits::over(stall)).await {
        Ok(body) => Failure::of_answer(status, &headers, &body),
        Err(sysforge_net::Error::TooLong { .. }) => Failure::of_answer(status, &headers, b""),
        Err(error) => of_net(error, stall),
    }
}

/// The failure for a file with more bytes than expected. Trying again would not help.
fn too_long(total: u64) -> Failure {
    Failure::Lasting {
        words: format!("the host sends more than the {total} bytes of the file"),
        hint: "nothing of it was kept. The file was replaced, or the host is at fault: tell the \
               maintainer of the release",
    }
}

/// One attempt, which continues where the last one stopped.
async fn read_on(
    request: RequestBuilder,
    sink: &mut Sink<'_>,
    timing: &Timing,
) -> Result<(), Failure> {
    let path = match &sink.target {
        Target::File { path, .. } => path.clone(),
        _ => PathBuf::from("the download"),
    };
    let local = |source| Failure::Local(Arc::new(at(&path)(source)));
    let size = sink.size;
    if size.is_some_and(|size| sink.position() > size) {
        sink.restart().map_err(local)?;
    }
    if size == Some(sink.position()) && sink.position() > 0 {
        return Ok(());
    }
    let request = match sink.position() {
        0 => request,
        position => request.header(RANGE, format!("bytes={position}-")),
    };
    let stalled = |_| Failure::Stalled(timing.stall);
    let mut answer = tokio::time::timeout(timing.stall, request.send())
        .await
        .map_err(stalled)?
        .map_err(transport)?;
    let status = answer.status().as_u16();
    tracing::debug!(url = %Address(answer.url()), status, from = sink.position(), "request");
    if !(200..300).contains(&status) {
        return Err(refusal(answer, timing.stall).await);
    }
    if status != 206 {
        sink.restart().map_err(local)?;
    }
    let announced = answer
        .content_length()
        .map(|rest| rest.saturating_add(sink.position()));
    if let (Some(size), Some(announced)) = (size, announced)
        && announced > size
    {
        sink.restart().map_err(local)?;
        return Err(too_long(size));
    }
    let total = size.or(announced);
    let url = answer.url().clone();
    let mut body = BodyReader::new(Limits::over(timing.stall));
    while let Some(chunk) = body
        .next(&url, &mut answer)
        .await
        .map_err(|error| of_net(error, timing.stall))?
    {
        if let Some(size) = size
            && sink.position() + chunk.len() as u64 > size
        {
            sink.restart().map_err(local)?;
            return Err(too_long(size));
        }
        sink.write(&chunk).map_err(local)?;
        if let Some(task) = sink.task {
            task.progress(sink.position(), total);
        }
    }
    match total {
        Some(total) if sink.position() < total => {
            Err(Failure::Transport("the download ended early".to_owned()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_kept_in_memory_than_fits() {
        let mut sink = Sink::memory(4);
        sink.write(b"abc").unwrap();
        let error = sink.write(b"de").unwrap_err();
        assert_eq!(error.to_string(), "it has more than 4 bytes");
        assert!(sysforge_plan::explain::io_hint(&error).is_some());
        assert_eq!(sink.position(), 3);
        sink.restart().unwrap();
        sink.write(b"wxyz").unwrap();
        assert_eq!(sink.into_bytes(), b"wxyz");
    }

    #[test]
    fn a_file_is_gone_on_with_and_begun_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("part");
        Sink::file(&path).unwrap().write(b"begun, ").unwrap();
        let mut sink = Sink::file(&path).unwrap();
        assert_eq!(sink.position(), 7);
        sink.write(b"done").unwrap();
        sink.sync().unwrap();
        assert_eq!(sink.sha256(), Sha256::of(b"begun, done"));
        sink.restart().unwrap();
        sink.write(b"anew").unwrap();
        assert_eq!(sink.sha256(), Sha256::of(b"anew"));
        // The bytes are only in the file.
        assert!(sink.into_bytes().is_empty());
        assert_eq!(std::fs::read(&path).unwrap(), b"anew");
    }
}
