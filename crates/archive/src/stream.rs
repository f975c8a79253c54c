//! Compressed tar files: one thread decompresses, another reads the entries.

use std::io::{self, BufRead, ErrorKind, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use sysforge_plan::ArchiveFormat;

use super::guard::{Guarded, Sink};
use super::{Error, Limits, decompressor, untar};

/// The size of what is passed between the threads. The one that writes is faster than the one that
/// decompresses, waits for every piece, and is woken on a processor with other things in its caches:
/// fewer and larger pieces take a twentieth off the whole.
const PIECE: usize = 1 << 20;

/// How many of those may wait.
const QUEUE: usize = 3;

/// Reads a compressed tar file. All of it is decompressed, also what follows the archive's end, so
/// that its checksum is checked.
///
/// # Errors
///
/// If the format is not a tar file's, the archive is broken or does what it must not, or the sink
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
            pieces: plain,
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
        // The other thread ends when its pieces are no longer taken.
        drop(reader);
        decompressing.join().unwrap_or(Ok(())).and(result)
    })
}

/// Decompresses in large pieces; the buffers come back to be filled again.
fn decompress(
    mut reader: Box<dyn Read + Send + '_>,
    filled: &SyncSender<io::Result<Vec<u8>>>,
    empty: &Receiver<Vec<u8>>,
) {
    loop {
        let mut piece = empty.try_recv().unwrap_or_default();
        piece.resize(PIECE, 0);
        let mut length = 0;
        let mut failed = None;
        while length < piece.len() {
            match reader.read(&mut piece[length..]) {
                Ok(0) => break,
                Ok(count) => length += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        let ended = length < piece.len();
        piece.truncate(length);
        // Nobody is there: the entries could not be read to their end.
        if filled.send(Ok(piece)).is_err() {
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

/// The decompressed bytes, as a reader with a bound.
struct PlainReader {
    pieces: Receiver<io::Result<Vec<u8>>>,
    spent: SyncSender<Vec<u8>>,
    current: Vec<u8>,
    at: usize,
    seen: u64,
    limits: Limits,
}

impl Read for PlainReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // A piece may be empty, and an error may follow it: only no piece is the end.
        while self.at == self.current.len() {
            let Ok(piece) = self.pieces.recv() else {
                return Ok(0);
            };
            let spent = std::mem::replace(&mut self.current, piece?);
            let _ = self.spent.try_send(spent);
            self.at = 0;
            self.seen += self.current.len() as u64;
            // Counts what the guard does not see: headers, and what is skipped.
            let limit = self.limits.most_bytes();
            if self.seen > limit {
                return Err(io::Error::other(Error::TooMuch {
                    limit,
                    unit: "bytes",
                }));
            }
        }
        let count = buffer.len().min(self.current.len() - self.at);
        buffer[..count].copy_from_slice(&self.current[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}
