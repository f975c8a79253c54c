//! Unpacks an archive while it is downloaded. Separate threads hash and save the bytes, verify the
//! signature, and decompress and write the files. The caller may trust the result only after the
//! digest has matched.

use std::fs::File;
use std::io::{self, BufRead, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes, BytesMut};
use sysforge_files::open_regular;
use sysforge_net::Message;
use sysforge_plan::digest::Hasher;
use sysforge_plan::signing::SignatureCheck;
use sysforge_plan::{ArchiveFormat, Sha256, Task};
use tokio::sync::mpsc;

use crate::error::Error;
use crate::signature::Pending;
use sysforge_archive::{self as unpack, Cancel, Limits, Links, Listing, TreeWriter};

/// The expected digest and size of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) sha256: Sha256,
    /// In bytes; not known for every toolchain.
    pub(crate) size: Option<u64>,
}

/// An archive to verify and unpack.
pub(crate) struct Job<'a> {
    /// Its name, for messages.
    pub(crate) what: &'a str,
    pub(crate) expected: Option<Expected>,
    pub(crate) format: ArchiveFormat,
    /// Number of leading path components to strip.
    pub(crate) strip: usize,
    pub(crate) links: Links,
    /// The maximum size in bytes.
    pub(crate) limit: u64,
    /// The empty folder to unpack into.
    pub(crate) into: &'a Path,
    pub(crate) cancel: &'a Cancel,
    pub(crate) task: &'a Task,
}

/// The source of the bytes.
pub(crate) enum ByteSource {
    /// A file of this machine.
    File(PathBuf),
    /// The network, after the bytes that an earlier attempt saved.
    Network {
        /// The partial file, `kept` bytes long.
        partial: File,
        /// The path of that file.
        path: PathBuf,
        /// Its current length in bytes.
        kept: u64,
        /// The size of the whole file, if the server states it.
        total: Option<u64>,
        /// The bytes that follow.
        bytes: mpsc::Receiver<Message>,
    },
}

impl ByteSource {
    /// Returns the size of the whole file, if it is known.
    fn size(&self) -> Option<u64> {
        match self {
            Self::File(path) => Some(path.metadata().ok()?.len()),
            Self::Network { total, .. } => *total,
        }
    }
}

/// The result. All bytes were hashed and match the expected digest, if one was given.
pub(crate) struct Unpacked {
    pub(crate) sha256: Sha256,
    pub(crate) size: u64,
    pub(crate) listing: Listing,
    /// The result of the signature check, if a signature was to be checked.
    pub(crate) signature: Option<SignatureCheck>,
}

/// The maximum size of an archive in bytes, whatever a catalogue says of it. Real ones have some hundred
/// megabytes.
pub(crate) const MAX_BYTES: u64 = 4 << 30;

/// Capacity of the channels between threads, in chunks.
const QUEUE: usize = 16;

/// The size of a chunk in bytes. The network delivers tens of KiB at a time, and waking another
/// thread for each takes longer than copying.
const CHUNK: usize = 256 << 10;

/// Unpacks the archive. Verifies its signature at the same time.
pub(crate) fn run(
    job: &Job<'_>,
    feed: ByteSource,
    pending: Option<Pending>,
) -> Result<Unpacked, Error> {
    let streams = unpack::streams(job.format);
    let path = match &feed {
        ByteSource::File(path) | ByteSource::Network { path, .. } => path.clone(),
    };
    // Wrong bytes look like damage, and the digest distinguishes them from an archive that was
    // published damaged. It is waited for if the end is known.
    let size = job.expected.map(|expected| expected.size);
    let waits_for_digest = size.is_some_and(|size| size.or(feed.size()).is_some());
    let ends_download = |error: &unpack::Error| match error {
        unpack::Error::Interrupted => false,
        error if is_damage(error) => !waits_for_digest,
        _ => true,
    };
    let mut outputs = Vec::new();
    let mut branch = || {
        let (sender, chunks) = sync_channel(QUEUE);
        outputs.push(sender);
        ChunkReader::new(chunks)
    };
    let to_unpack = streams.then(&mut branch);
    let to_verify = pending.map(|pending| (pending, branch()));
    let (received, verified, unpacked) = std::thread::scope(|scope| {
        let verifier = to_verify.map(|(pending, bytes)| scope.spawn(move || pending.check(bytes)));
        let unpacker = to_unpack.map(|bytes| {
            scope.spawn(|| {
                unpack_stream(job, bytes).map_err(|error| {
                    if job.cancel.is_cancelled() {
                        // The bytes ended because something else had failed.
                        return unpack::Error::Interrupted;
                    }
                    if ends_download(&error) {
                        job.cancel.cancel();
                    }
                    error
                })
            })
        });
        let mut intake = Intake::new(job, outputs);
        let received = intake.receive_all(feed);
        if received.is_err() {
            job.cancel.cancel();
        }
        // Only now do the other threads find that no more bytes come.
        drop(intake);
        let unpacked = unpacker.map(joined);
        let verified = verifier.map(|thread| Ok::<_, Error>(joined(thread)?));
        (received, verified, unpacked)
    });
    let unpacked = match (&received, unpacked) {
        // The unpacker interrupted the intake. Otherwise a wrong size or digest is reported first,
        // because wrong bytes cause unpacking errors.
        (Err(Error::Interrupted), Some(Err(source))) if ends_download(&source) => {
            return Err(unpack_error(job, source));
        }
        (_, unpacked) => unpacked,
    };
    let (sha256, size) = received?;
    let signature = verified.transpose()?;
    let listing = match unpacked {
        Some(unpacked) => unpacked,
        None => unpack_file(job, &path, size),
    };
    Ok(Unpacked {
        sha256,
        size,
        listing: listing.map_err(|source| unpack_error(job, source))?,
        signature,
    })
}

/// Refuses an archive of more than `limit` bytes.
pub(crate) fn check_size(what: &str, size: u64, limit: u64) -> Result<(), Error> {
    match size > limit {
        true => Err(Error::TooLarge {
            what: what.to_owned(),
            limit,
        }),
        false => Ok(()),
    }
}

/// Returns whether wrong bytes can be the cause of an error.
pub(crate) fn is_damage(error: &unpack::Error) -> bool {
    matches!(
        error,
        unpack::Error::Broken(_) | unpack::Error::Malformed(_)
    )
}

/// Returns the result of a thread. Its panic is a panic of this one.
fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Unpacks formats whose directory is at the end of the file, after the digest has matched.
fn unpack_file(job: &Job<'_>, path: &Path, size: u64) -> Result<Listing, unpack::Error> {
    let mut tree = new_tree(job, Some(size));
    let archive = File::open(path).map_err(unpack::Error::Broken)?;
    unpack::unpack_file(job.format, archive, &mut tree)?;
    tree.finish()
}

fn unpack_error(job: &Job<'_>, source: unpack::Error) -> Error {
    match source {
        unpack::Error::Interrupted => Error::Interrupted,
        source => Error::Unpack {
            what: job.what.to_owned(),
            source,
        },
    }
}

fn new_tree(job: &Job<'_>, packed: Option<u64>) -> TreeWriter {
    let limits = Limits {
        packed: packed.or_else(|| job.expected?.size),
        ..Limits::default()
    };
    TreeWriter::new(
        job.into.to_owned(),
        job.strip,
        limits,
        job.links,
        job.cancel.clone(),
    )
}

fn unpack_stream(job: &Job<'_>, compressed: ChunkReader) -> Result<Listing, unpack::Error> {
    let mut tree = new_tree(job, None);
    unpack::unpack_stream(job.format, compressed, &mut tree)?;
    tree.finish()
}

/// A chunk of compressed bytes, or the regular end of the stream.
enum Chunk {
    Bytes(Bytes),
    End,
}

/// Receives the bytes: hashes, counts and saves them, and forwards them to the other threads.
struct Intake<'a> {
    job: &'a Job<'a>,
    /// The threads that also need the bytes.
    outputs: Vec<SyncSender<Chunk>>,
    /// Bytes that were not forwarded yet.
    buffered: BytesMut,
    hasher: Hasher,
    last_report: Instant,
}

impl<'a> Intake<'a> {
    fn new(job: &'a Job<'a>, outputs: Vec<SyncSender<Chunk>>) -> Self {
        Self {
            job,
            outputs,
            buffered: BytesMut::new(),
            hasher: Hasher::default(),
            last_report: Instant::now(),
        }
    }

    fn receive_all(&mut self, feed: ByteSource) -> Result<(Sha256, u64), Error> {
        match feed {
            ByteSource::File(path) => {
                let file = open_regular(&path).map_err(Error::io("read", &path))?;
                self.receive_file(file, &path, u64::MAX)?;
            }
            ByteSource::Network {
                mut partial,
                path,
                kept,
                total: _,
                mut bytes,
            } => {
                partial = self.receive_file(partial, &path, kept)?;
                loop {
                    match bytes.blocking_recv() {
                        Some(Message::Bytes(bytes)) => {
                            partial
                                .write_all(&bytes)
                                .map_err(Error::io("write", &path))?;
                            self.receive(bytes)?;
                        }
                        Some(Message::End) => break,
                        None => return Err(Error::Interrupted),
                    }
                }
            }
        }
        self.end()
    }

    /// Processes at most `length` bytes of a file, and returns the file.
    fn receive_file(&mut self, mut file: File, path: &Path, length: u64) -> Result<File, Error> {
        let mut left = length;
        while left > 0 {
            let mut buffer = vec![0; CHUNK.min(usize::try_from(left).unwrap_or(CHUNK))];
            let count = file.read(&mut buffer).map_err(Error::io("read", path))?;
            if count == 0 {
                break;
            }
            buffer.truncate(count);
            left -= count as u64;
            self.receive(buffer.into())?;
        }
        Ok(file)
    }

    fn receive(&mut self, bytes: Bytes) -> Result<(), Error> {
        if self.job.cancel.is_cancelled() {
            return Err(Error::Interrupted);
        }
        self.hasher.update(&bytes);
        let count = self.hasher.count();
        let size = self.job.expected.and_then(|expected| expected.size);
        if let Some(expected) = size
            && count > expected
        {
            return Err(Error::Size {
                what: self.job.what.to_owned(),
                expected,
                actual: count,
            });
        }
        check_size(self.job.what, count, self.job.limit)?;
        self.buffer_chunk(bytes);
        if self.last_report.elapsed() >= Duration::from_millis(100) {
            self.last_report = Instant::now();
            self.job.task.progress(count, size);
        }
        Ok(())
    }

    /// Forwards bytes once there is a full chunk.
    fn buffer_chunk(&mut self, bytes: Bytes) {
        if self.outputs.is_empty() {
            return;
        }
        if self.buffered.is_empty() && bytes.len() >= CHUNK {
            self.forward(bytes);
            return;
        }
        if self.buffered.is_empty() {
            self.buffered.reserve(CHUNK + bytes.len());
        }
        self.buffered.extend_from_slice(&bytes);
        if self.buffered.len() >= CHUNK {
            let chunk = self.buffered.split().freeze();
            self.forward(chunk);
        }
    }

    fn forward(&mut self, chunk: Bytes) {
        // A receiver is gone when the archive has ended or could not be unpacked. The digest
        // decides whether the archive or the transfer is at fault.
        self.outputs
            .retain(|outputs| outputs.send(Chunk::Bytes(chunk.clone())).is_ok());
    }

    fn end(&mut self) -> Result<(Sha256, u64), Error> {
        let (actual, count) = (self.hasher.digest(), self.hasher.count());
        let what = || self.job.what.to_owned();
        if let Some(Expected { sha256, size }) = self.job.expected {
            if let Some(expected) = size
                && expected != count
            {
                return Err(Error::Size {
                    what: what(),
                    expected,
                    actual: count,
                });
            }
            if sha256 != actual {
                return Err(Error::Digest {
                    what: what(),
                    expected: sha256,
                    actual,
                });
            }
            self.job.task.progress(count, size);
        }
        let rest = self.buffered.split().freeze();
        self.forward(rest);
        for outputs in &self.outputs {
            // The receiver is gone if the archive ended before its file did.
            let _ = outputs.send(Chunk::End);
        }
        Ok((actual, count))
    }
}

/// The compressed bytes, as a reader.
struct ChunkReader {
    chunks: Receiver<Chunk>,
    current: Bytes,
    ended: bool,
}

impl ChunkReader {
    fn new(chunks: Receiver<Chunk>) -> Self {
        Self {
            chunks,
            current: Bytes::new(),
            ended: false,
        }
    }
}

impl BufRead for ChunkReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.current.is_empty() && !self.ended {
            match self.chunks.recv() {
                Ok(Chunk::Bytes(bytes)) => self.current = bytes,
                Ok(Chunk::End) => self.ended = true,
                Err(_) => return Err(io::Error::other("the download was cancelled")),
            }
        }
        Ok(&self.current)
    }

    fn consume(&mut self, count: usize) {
        self.current.advance(count);
    }
}

impl Read for ChunkReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use sysforge_plan::{Reporter, Step};

    use super::*;

    /// Feeds an archive that repeats `bytes` without end, and returns the error and how many bytes
    /// were taken.
    fn run_endless(
        bytes: &[u8],
        format: ArchiveFormat,
        expected: Option<Expected>,
        limit: u64,
    ) -> (Error, u64) {
        let folder = tempfile::tempdir().unwrap();
        let into = folder.path().join("tree");
        std::fs::create_dir(&into).unwrap();
        let path = folder.path().join("partial");
        let partial = File::create_new(&path).unwrap();
        let task = Reporter::silent().start(Step::Download, "julia.tar.gz");
        let job = Job {
            what: "julia.tar.gz",
            expected,
            format,
            strip: 1,
            links: Links::default(),
            limit,
            into: &into,
            cancel: &Cancel::default(),
            task: &task,
        };
        let (sender, receiver) = mpsc::channel(1);
        let bytes = Bytes::copy_from_slice(bytes);
        let endless = std::thread::spawn(move || {
            while sender.blocking_send(Message::Bytes(bytes.clone())).is_ok() {}
        });
        let feed = ByteSource::Network {
            partial,
            path: path.clone(),
            kept: 0,
            total: None,
            bytes: receiver,
        };
        let error = run(&job, feed, None).map(|_| ()).unwrap_err();
        endless.join().unwrap();
        (error, path.metadata().unwrap().len())
    }

    #[test]
    fn an_archive_without_end_is_refused_at_the_limit() {
        let limit = 1 << 20;
        // A zip file is unpacked at its end.
        let (error, taken) = run_endless(&[7; 1000], ArchiveFormat::Zip, None, limit);
        assert!(matches!(error, Error::TooLarge { .. }), "{error:?}");
        assert!(taken <= limit + 1000, "{taken}");
    }

    #[test]
    fn what_cannot_be_unpacked_is_not_downloaded_to_its_end() {
        let outside = sysforge_testkit::archives::tiny_julia("1.5.3", 10)
            .file("julia-1.5.3/../../outside", 0o644, b"")
            .gz();
        let known = |size| Expected {
            sha256: Sha256::of(""),
            size,
        };
        let limit = 1 << 40;
        for (bytes, expected) in [
            (&outside[..], None),
            (&outside[..], Some(known(Some(limit)))),
            (&[7; 1000][..], None),
            (&[7; 1000][..], Some(known(None))),
        ] {
            let (error, _) = run_endless(bytes, ArchiveFormat::TarGz, expected, limit);
            assert!(matches!(error, Error::Unpack { .. }), "{error:?}");
        }
        // Here the size and the digest are waited for.
        let (error, _) = run_endless(
            &[7; 1000],
            ArchiveFormat::TarGz,
            Some(known(Some(1 << 20))),
            limit,
        );
        assert!(matches!(error, Error::Size { .. }), "{error:?}");
    }
}
