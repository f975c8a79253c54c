//! Limits on what an archive may contain and unpack to, and the running totals.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Error;

/// Limits for one archive. The largest real one, a MinGW toolchain, unpacks 200 MB to 1.1 GB in
/// 11,000 files, 15 folders deep.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Unpacked size in bytes.
    pub bytes: u64,
    /// Number of files, folders, links and extension headers.
    pub entries: u64,
    /// Ratio of the unpacked to the packed size. Real archives reach 10.
    pub ratio: u64,
    /// The packed size in bytes, if known.
    pub packed: Option<u64>,
    /// Depth of nested folders.
    pub depth: usize,
    /// Length of one path in bytes.
    pub name: usize,
    /// Total length of all names and link targets in bytes.
    pub names: u64,
}

/// Unpacked size in bytes from which the ratio is checked.
const RATIO_FROM: u64 = 64 << 20;

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 16 << 30,
            entries: 250_000,
            ratio: 200,
            packed: None,
            depth: 100,
            name: 4096,
            names: 32 << 20,
        }
    }
}

impl Limits {
    /// Returns the maximum unpacked size in bytes.
    pub fn most_bytes(&self) -> u64 {
        let by_ratio = self
            .packed
            .map(|packed| packed.saturating_mul(self.ratio).max(RATIO_FROM));
        by_ratio.map_or(self.bytes, |bytes| bytes.min(self.bytes))
    }

    fn check_bytes(&self, bytes: u64) -> Result<(), Error> {
        check(bytes, self.most_bytes(), "unpacked bytes")
    }

    pub(crate) fn check_entries(&self, entries: u64) -> Result<(), Error> {
        check(entries, self.entries, "entries")
    }

    /// Checks the length and the depth of a path: a clean name or a link target.
    pub(crate) fn check_path(&self, path: &str) -> Result<(), Error> {
        check(path.len() as u64, self.name as u64, "bytes in a name")?;
        let folders = path.bytes().filter(|byte| *byte == b'/').count();
        check(
            folders as u64,
            self.depth as u64,
            "folders inside one another",
        )
    }
}

fn check(actual: u64, limit: u64, unit: &'static str) -> Result<(), Error> {
    match actual > limit {
        true => Err(Error::TooMuch { limit, unit }),
        false => Ok(()),
    }
}

/// Reads a stream to its end, and fails if it is longer than `limit` bytes.
pub(crate) fn bounded(
    content: impl Read,
    limit: u64,
    unit: &'static str,
) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    content
        .take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(Error::reading)?;
    check(bytes.len() as u64, limit, unit)?;
    Ok(bytes)
}

/// A flag that tells the threads of an installation to stop. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Asks all users of the flag to stop.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Returns whether to stop.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The running totals of an archive, compared with its limits at every step.
#[derive(Debug, Clone)]
pub(crate) struct Tally {
    pub(crate) limits: Limits,
    cancel: Cancel,
    entries: u64,
    bytes: u64,
    names: u64,
}

impl Tally {
    pub(crate) fn new(limits: Limits, cancel: Cancel) -> Self {
        Self {
            limits,
            cancel,
            entries: 0,
            bytes: 0,
            names: 0,
        }
    }

    /// Counts a file, folder, link or extension header.
    pub(crate) fn entry(&mut self) -> Result<(), Error> {
        self.check_cancelled()?;
        self.entries += 1;
        self.limits.check_entries(self.entries)
    }

    /// Counts bytes.
    pub(crate) fn bytes(&mut self, more: u64) -> Result<(), Error> {
        self.check_cancelled()?;
        self.bytes = self.bytes.saturating_add(more);
        self.limits.check_bytes(self.bytes)
    }

    /// Counts a name or link target that is kept.
    pub(crate) fn name(&mut self, name: &str) -> Result<(), Error> {
        self.limits.check_path(name)?;
        self.names += name.len() as u64;
        check(self.names, self.limits.names, "bytes in all names")
    }

    /// Checks whether this many more bytes would be within the limits.
    pub(crate) fn check_more_bytes(&self, more: u64) -> Result<(), Error> {
        self.limits.check_bytes(self.bytes.saturating_add(more))
    }

    pub(crate) fn check_cancelled(&self) -> Result<(), Error> {
        match self.cancel.is_cancelled() {
            true => Err(Error::Interrupted),
            false => Ok(()),
        }
    }
}
