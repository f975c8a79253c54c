//! Digests of files, and reading or writing that can be cancelled.

use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use sysforge_plan::Sha256;
use sysforge_plan::digest::Hasher;
use tokio_util::sync::CancellationToken;

use crate::error::PackError;

/// The size of the read buffer in bytes.
pub(crate) const CHUNK: usize = 256 << 10;

/// A reader or writer that fails when it is cancelled.
pub(crate) struct Cancellable<T> {
    pub(crate) inner: T,
    pub(crate) cancelled: CancellationToken,
}

impl<T> Cancellable<T> {
    fn check(&self) -> io::Result<()> {
        match self.cancelled.is_cancelled() {
            true => Err(io::Error::other("interrupted")),
            false => Ok(()),
        }
    }
}

impl<R: Read> Read for Cancellable<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.check()?;
        self.inner.read(buffer)
    }
}

impl<W: Write> Write for Cancellable<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.check()?;
        self.inner.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Returns the digest and size of a file.
///
/// # Errors
///
/// [`PackError::Io`] if it cannot be opened or read, or is not a regular file.
pub fn sha256_of(path: &Path) -> Result<(Sha256, u64), PackError> {
    let file = sysforge_files::open_regular(path).map_err(PackError::io("open", path))?;
    let mut hasher = Hasher::default();
    io::copy(&mut BufReader::with_capacity(CHUNK, file), &mut hasher)
        .map_err(PackError::io("read", path))?;
    Ok((hasher.digest(), hasher.count()))
}
