//! Local files: their digests, and writing them completely or not at all.

use std::io::{BufReader, Read as _, Seek, SeekFrom, Write};
use std::path::Path;

use sysforge_files::{LockAttempt, try_exclusive, write_whole_with};
use sysforge_plan::Sha256;
use sysforge_plan::digest::Hasher;

use crate::error::PublishError;

/// Size of a read, in bytes: large enough to be fast, and small enough not to matter in memory.
pub(crate) const CHUNK: usize = 256 << 10;

/// Adds a path to an I/O error.
pub(crate) fn at(path: &Path) -> impl FnOnce(std::io::Error) -> PublishError + use<> {
    let path = path.to_owned();
    move |source| PublishError::Io { path, source }
}

/// Returns the digest of `length` bytes of a file from `offset` on, or fewer if the file is
/// shorter.
pub(crate) fn sha256_of(path: &Path, offset: u64, length: u64) -> Result<Sha256, PublishError> {
    let mut file = sysforge_files::open_regular(path).map_err(at(path))?;
    file.seek(SeekFrom::Start(offset)).map_err(at(path))?;
    let mut hasher = Hasher::default();
    let mut reader = BufReader::with_capacity(CHUNK, file.take(length));
    std::io::copy(&mut reader, &mut hasher).map_err(at(path))?;
    Ok(hasher.digest())
}

/// Runs a blocking function (files, digests, compression) off the async threads.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, PublishError> + Send + 'static,
) -> Result<T, PublishError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

/// Writes a file completely or not at all, syncs it to disk, and makes it readable for everybody.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), PublishError> {
    let written = write_whole_with(path, |file| {
        file.write_all(bytes)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            // Independent of the umask: published files are not only for their publisher.
            file.set_permissions(std::fs::Permissions::from_mode(0o644))?;
        }
        file.sync_all()
    });
    written.map_err(at(path))
}

/// Tries to lock a file, and creates its parent folders.
pub(crate) fn try_lock(path: &Path) -> Result<LockAttempt, PublishError> {
    if let Some(folder) = path.parent() {
        sysforge_files::create_folders(folder).map_err(at(folder))?;
    }
    try_exclusive(path).map_err(at(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_ranges_of_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        write_whole(&path, b"0123456789").unwrap();
        assert_eq!(sha256_of(&path, 2, 3).unwrap(), Sha256::of(b"234"));
        assert_eq!(sha256_of(&path, 0, 99).unwrap(), Sha256::of(b"0123456789"));
    }

    #[test]
    fn a_lock_is_held_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let held = try_lock(&path).unwrap();
        assert!(matches!(held, LockAttempt::Got(_)));
        assert!(matches!(try_lock(&path).unwrap(), LockAttempt::Busy));
        drop(held);
        assert!(matches!(try_lock(&path).unwrap(), LockAttempt::Got(_)));
    }
}
