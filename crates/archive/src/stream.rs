//! Reads compressed tar files: one thread decompresses, another reads the entries.

use std::io::{self, BufRead, ErrorKind, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use sysforge_plan::ArchiveFormat;

use super::guard::{Guarded, Sink};
use super::{Error, Limits, decompressor, untar};

/// The size of a chunk passed between the threads. The writing thread is faster than the
/// decompressing one, waits for every chunk, and then runs with cold caches; fewer and larger
/// chunks save a twentieth of the total time.
const CHUNK: usize = 1 << 20;

/// Capacity of the channel, in chunks.
const QUEUE: usize = 3;

/// Reads a compressed tar file. Decompresses it completely, including the bytes after the archive's
/// end, so that its checksum is verified.
///
/// # Errors
///
/// If the format is not a compressed tar file, the archive is damaged or refused, or the sink
/// fails.
pub fn unpack_stream(
    format: ArchiveFormat,
    compressed: impl BufRead + Send,
    sink: &mut Guarded<impl Sink>,
) -> Result<(), Error> {
    let (filled, plain) = sync_channel(QUEUE);
    let (spent, empty) = sync_channel(QUEUE + 2);
    let limits = sink.limits();
    std::thread::scope(|scope| {
        let decompressing = scope.spawn(move || {
            decompress(decompressor(format, compressed)?, &filled, &empty);
            Ok(())
        });
        let mut reader = PlainReader {
            chunks: plain,
            spent,
            current: Vec::new(),
            at: 0,
            seen: 0,
            limits,
        };
        let result = untar(&mut reader, sink).and_then(|()| {
            io::copy(&mut reader, &mut io::sink())
                .map(drop)
                .map_err(Error::reading)
        });
        // The other thread ends when its chunks are no longer received.
        drop(reader);
        match decompressing.join() {
            Ok(decompressed) => decompressed.and(result),
            // Without this, the bytes before the panic would look like the whole archive.
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Decompresses in large chunks; the buffers are returned and reused.
fn decompress(
    mut reader: Box<dyn Read + Send + '_>,
    filled: &SyncSender<io::Result<Vec<u8>>>,
    empty: &Receiver<Vec<u8>>,
) {
    loop {
        let mut chunk = empty.try_recv().unwrap_or_default();
        chunk.resize(CHUNK, 0);
        let mut length = 0;
        let mut failed = None;
        while length < chunk.len() {
            match reader.read(&mut chunk[length..]) {
                Ok(0) => break,
                Ok(count) => length += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        let ended = length < chunk.len();
        chunk.truncate(length);
        // The receiver is gone: the entries could not be read to their end.
        if filled.send(Ok(chunk)).is_err() {
            return;
        }
        if let Some(error) = failed {
            let _ = filled.send(Err(error));
            return;
        }
        if ended {
            return;
        }
    }
}

/// Reads the decompressed bytes, with a limit.
struct PlainReader {
    chunks: Receiver<io::Result<Vec<u8>>>,
    spent: SyncSender<Vec<u8>>,
    current: Vec<u8>,
    at: usize,
    seen: u64,
    limits: Limits,
}

impl Read for PlainReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // A chunk may be empty, and an error may follow it: only a closed channel is the end.
        while self.at == self.current.len() {
            let Ok(chunk) = self.chunks.recv() else {
                return Ok(0);
            };
            let spent = std::mem::replace(&mut self.current, chunk?);
            let _ = self.spent.try_send(spent);
            self.at = 0;
            self.seen += self.current.len() as u64;
            // Counts bytes that the guard does not see: headers, and skipped data.
            let limit = self.limits.most_bytes();
            if self.seen > limit {
                return Err(io::Error::other(Error::TooMuch {
                    limit,
                    unit: "unpacked bytes",
                }));
            }
        }
        let count = buffer.len().min(self.current.len() - self.at);
        buffer[..count].copy_from_slice(&self.current[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}
