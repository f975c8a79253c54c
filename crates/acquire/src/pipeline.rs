//! The assembly line of an install: bytes come in, are hashed and kept, decompressed, and
//! written as files, each step in a thread of its own, all at once. What comes out is only
//! trusted by the caller when the digest of what came in is right.

use std::fs::File;
use std::io::{self, BufRead, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes, BytesMut};
use sha2::{Digest, Sha256 as Hasher};
use sysforge_files::open_regular;
use sysforge_net::Message;
use sysforge_plan::signing::SignatureCheck;
use sysforge_plan::{ArchiveFormat, Sha256, Task};
use tokio::sync::mpsc;

use crate::error::Error;
use crate::signature::Pending;
use sysforge_archive::{self as unpack, Cancel, Limits, Links, Listing, TreeWriter};

/// What an archive must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) sha256: Sha256,
    /// In bytes; not known for every toolchain.
    pub(crate) size: Option<u64>,
}

/// One archive to check and unpack.
pub(crate) struct Job<'a> {
    /// Its name, for messages.
    pub(crate) what: &'a str,
    pub(crate) expected: Option<Expected>,
    pub(crate) format: ArchiveFormat,
    /// How many leading components its names lose.
    pub(crate) strip: usize,
    pub(crate) links: Links,
    /// The empty folder to unpack in.
    pub(crate) into: &'a Path,
    pub(crate) cancel: &'a Cancel,
    pub(crate) task: &'a Task,
}

/// Where the bytes come from.
pub(crate) enum Feed {
    /// A file of this machine.
    File(PathBuf),
    /// The network, after what an earlier attempt kept.
    Network {
        /// The file that the bytes are kept in, as long as `kept`.
        partial: File,
        /// Where that file lies.
        path: PathBuf,
        /// How many bytes of it are there already.
        kept: u64,
        /// The bytes after those.
        bytes: mpsc::Receiver<Message>,
    },
}

/// What came of it. Every byte was hashed, and if a digest was expected, it was this one.
pub(crate) struct Unpacked {
    pub(crate) sha256: Sha256,
    pub(crate) size: u64,
    pub(crate) listing: Listing,
    /// What the signature turned out to be, where one was to be checked.
    pub(crate) signature: Option<SignatureCheck>,
}

/// How many pieces may wait between two threads.
const QUEUE: usize = 16;

/// The size of what is passed from thread to thread. The network brings tens of KiB at a time, and
/// to wake another thread for each of them takes longer than to copy it.
const PIECE: usize = 256 << 10;

/// Runs the line to its end. A signature is checked while the bytes go by.
pub(crate) fn run(job: &Job<'_>, feed: Feed, pending: Option<Pending>) -> Result<Unpacked, Error> {
    let streams = unpack::streams(job.format);
    let path = match &feed {
        Feed::File(path) | Feed::Network { path, .. } => path.clone(),
    };
    let mut onward = Vec::new();
    let mut branch = || {
        let (sender, pieces) = sync_channel(QUEUE);
        onward.push(sender);
        PieceReader::new(pieces)
    };
    let to_unpack = streams.then(&mut branch);
    let to_verify = pending.map(|pending| (pending, branch()));
    let (taken_in, verified, unpacked) = std::thread::scope(|scope| {
        let verifier = to_verify.map(|(pending, bytes)| scope.spawn(move || pending.check(bytes)));
        let unpacker = to_unpack.map(|bytes| {
            scope.spawn(move || {
                let result = unpack_stream(job, bytes);
                if let Err(unpack::Error::Write { .. }) = &result {
                    // A full disk: the rest need not come.
                    job.cancel.cancel();
                }
                result
            })
        });
        let taken_in = Intake::new(job, onward).take_all(feed);
        if taken_in.is_err() {
            job.cancel.cancel();
        }
        let unpacked =
            unpacker.map(|thread| thread.join().unwrap_or(Err(unpack::Error::Interrupted)));
        let verified = verifier.map(|thread| {
            thread
                .join()
                .map_err(|_| Error::Interrupted)
                .and_then(|check| Ok(check?))
        });
        (taken_in, verified, unpacked)
    });
    // A file that could not be written explains why the intake was told to stop; wrong bytes
    // explain why they could not be unpacked.
    if let Some(Err(source @ unpack::Error::Write { .. })) = unpacked {
        return Err(unpack_error(job, source));
    }
    let (sha256, size) = taken_in?;
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

/// For the formats whose table of contents comes last: after all bytes came and are right.
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

fn unpack_stream(job: &Job<'_>, compressed: PieceReader) -> Result<Listing, unpack::Error> {
    let mut tree = new_tree(job, None);
    unpack::unpack_stream(job.format, compressed, &mut tree)?;
    tree.finish()
}

/// Bytes on their way to the decompressor, or their regular end.
enum Piece {
    Bytes(Bytes),
    End,
}

/// Takes bytes in: hashes, counts, keeps and passes on.
struct Intake<'a> {
    job: &'a Job<'a>,
    /// Who else wants the bytes.
    onward: Vec<SyncSender<Piece>>,
    /// What is not passed on yet.
    gathered: BytesMut,
    hasher: Hasher,
    count: u64,
    told: Instant,
}

impl<'a> Intake<'a> {
    fn new(job: &'a Job<'a>, onward: Vec<SyncSender<Piece>>) -> Self {
        Self {
            job,
            onward,
            gathered: BytesMut::new(),
            hasher: Hasher::new(),
            count: 0,
            told: Instant::now(),
        }
    }

    fn take_all(mut self, feed: Feed) -> Result<(Sha256, u64), Error> {
        match feed {
            Feed::File(path) => {
                let file = open_regular(&path).map_err(Error::io("read", &path))?;
                self.take_file(file, &path, u64::MAX)?;
            }
            Feed::Network {
                mut partial,
                path,
                kept,
                mut bytes,
            } => {
                partial = self.take_file(partial, &path, kept)?;
                loop {
                    match bytes.blocking_recv() {
                        Some(Message::Bytes(bytes)) => {
                            partial
                                .write_all(&bytes)
                                .map_err(Error::io("write", &path))?;
                            self.take(bytes)?;
                        }
                        Some(Message::End) => break,
                        None => return Err(Error::Interrupted),
                    }
                }
            }
        }
        self.end()
    }

    /// Takes in at most `length` bytes of a file, and gives the file back.
    fn take_file(&mut self, mut file: File, path: &Path, length: u64) -> Result<File, Error> {
        let mut left = length;
        while left > 0 {
            let mut buffer = vec![0; PIECE.min(usize::try_from(left).unwrap_or(PIECE))];
            let count = file.read(&mut buffer).map_err(Error::io("read", path))?;
            if count == 0 {
                break;
            }
            buffer.truncate(count);
            left -= count as u64;
            self.take(buffer.into())?;
        }
        Ok(file)
    }

    fn take(&mut self, bytes: Bytes) -> Result<(), Error> {
        if self.job.cancel.is_cancelled() {
            return Err(Error::Interrupted);
        }
        self.count += bytes.len() as u64;
        let size = self.job.expected.and_then(|expected| expected.size);
        if let Some(expected) = size
            && self.count > expected
        {
            return Err(Error::Size {
                what: self.job.what.to_owned(),
                expected,
                actual: self.count,
            });
        }
        self.hasher.update(&bytes);
        self.gather(bytes);
        if self.told.elapsed() >= Duration::from_millis(100) {
            self.told = Instant::now();
            self.job.task.progress(self.count, size);
        }
        Ok(())
    }

    /// Passes bytes on, as soon as there are enough of them.
    fn gather(&mut self, bytes: Bytes) {
        if self.onward.is_empty() {
            return;
        }
        if self.gathered.is_empty() && bytes.len() >= PIECE {
            self.pass_on(bytes);
            return;
        }
        if self.gathered.is_empty() {
            self.gathered.reserve(PIECE + bytes.len());
        }
        self.gathered.extend_from_slice(&bytes);
        if self.gathered.len() >= PIECE {
            let piece = self.gathered.split().freeze();
            self.pass_on(piece);
        }
    }

    fn pass_on(&mut self, piece: Bytes) {
        // Who is gone: the archive ended, or could not be unpacked. The digest will tell whether
        // that is the archive's fault or the line's.
        self.onward
            .retain(|onward| onward.send(Piece::Bytes(piece.clone())).is_ok());
    }

    fn end(mut self) -> Result<(Sha256, u64), Error> {
        let actual = Sha256::new(self.hasher.finalize_reset().into());
        let what = || self.job.what.to_owned();
        if let Some(Expected { sha256, size }) = self.job.expected {
            if let Some(expected) = size
                && expected != self.count
            {
                return Err(Error::Size {
                    what: what(),
                    expected,
                    actual: self.count,
                });
            }
            if sha256 != actual {
                return Err(Error::Digest {
                    what: what(),
                    expected: sha256,
                    actual,
                });
            }
            self.job.task.progress(self.count, size);
        }
        let rest = self.gathered.split().freeze();
        self.pass_on(rest);
        for onward in self.onward {
            // Nobody there: the archive ended before its file did.
            let _ = onward.send(Piece::End);
        }
        Ok((actual, self.count))
    }
}

/// The compressed bytes, as a reader.
struct PieceReader {
    pieces: Receiver<Piece>,
    current: Bytes,
    ended: bool,
}

impl PieceReader {
    fn new(pieces: Receiver<Piece>) -> Self {
        Self {
            pieces,
            current: Bytes::new(),
            ended: false,
        }
    }
}

impl BufRead for PieceReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.current.is_empty() && !self.ended {
            match self.pieces.recv() {
                Ok(Piece::Bytes(bytes)) => self.current = bytes,
                Ok(Piece::End) => self.ended = true,
                Err(_) => return Err(io::Error::other("the download was given up")),
            }
        }
        Ok(&self.current)
    }

    fn consume(&mut self, count: usize) {
        self.current.advance(count);
    }
}

impl Read for PieceReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}
