//! Hashes bytes while they are read or written.

use std::io::{self, Read, Write};
use std::path::Path;

use sha2::Digest;
use sysforge_plan::Sha256;
use tokio_util::sync::CancellationToken;

use crate::error::PackError;

/// The size of the read buffer in bytes.
const CHUNK: usize = 256 << 10;

/// A reader or writer that hashes and counts bytes, and fails when it is cancelled.
pub(crate) struct Hashing<T> {
    inner: T,
    hasher: sha2::Sha256,
    count: u64,
    cancelled: CancellationToken,
}

impl<T> Hashing<T> {
    pub(crate) fn new(inner: T, cancelled: CancellationToken) -> Self {
        Self {
            inner,
            hasher: sha2::Sha256::new(),
            count: 0,
            cancelled,
        }
    }

    /// Returns the inner value, the digest and the number of bytes.
    pub(crate) fn finish(self) -> (T, Sha256, u64) {
        (
            self.inner,
            Sha256::new(self.hasher.finalize().into()),
            self.count,
        )
    }

    fn pass(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.cancelled.is_cancelled() {
            return Err(io::Error::other("interrupted"));
        }
        self.hasher.update(bytes);
        self.count += bytes.len() as u64;
        Ok(())
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.pass(&buffer[..length])?;
        Ok(length)
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let length = self.inner.write(buffer)?;
        self.pass(&buffer[..length])?;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Returns the digest and size of a file.
///
/// # Errors
///
/// If it cannot be read.
pub fn sha256_of(path: &Path) -> Result<(Sha256, u64), PackError> {
    let file = sysforge_files::open_regular(path).map_err(PackError::io("open", path))?;
    let mut reader = Hashing::new(
        io::BufReader::with_capacity(CHUNK, file),
        CancellationToken::new(),
    );
    io::copy(&mut reader, &mut io::sink()).map_err(PackError::io("read", path))?;
    let (_, digest, size) = reader.finish();
    Ok((digest, size))
}
