//! How much an archive may unpack to.

use std::io::Read;

use super::{Cancel, Error};

/// Bounds for one archive. The largest real one, a MinGW toolchain, unpacks 200 MB to 1.1 GB in
/// 11,000 files.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes in all.
    pub bytes: u64,
    /// Files, folders and links in all.
    pub entries: u64,
    /// How many times its packed size an archive may unpack to. Real ones reach 10.
    pub ratio: u64,
    /// The packed size, where it is known.
    pub packed: Option<u64>,
}

/// Below this, a high ratio is not worth a thought.
const RATIO_FROM: u64 = 64 << 20;

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 16 << 30,
            entries: 1_000_000,
            ratio: 200,
            packed: None,
        }
    }
}

impl Limits {
    /// The most bytes that may come out.
    #[must_use]
    pub fn most_bytes(&self) -> u64 {
        let by_ratio = self
            .packed
            .map(|packed| packed.saturating_mul(self.ratio).max(RATIO_FROM));
        by_ratio.map_or(self.bytes, |bytes| bytes.min(self.bytes))
    }

    fn check_bytes(&self, bytes: u64) -> Result<(), Error> {
        let limit = self.most_bytes();
        if bytes > limit {
            return Err(Error::TooMuch {
                limit,
                unit: "bytes",
            });
        }
        Ok(())
    }

    fn check_entries(&self, entries: u64) -> Result<(), Error> {
        if entries > self.entries {
            return Err(Error::TooMuch {
                limit: self.entries,
                unit: "entries",
            });
        }
        Ok(())
    }
}

/// Reads all of what must not be longer than `limit` bytes.
pub(super) fn bounded(
    content: impl Read,
    limit: u64,
    unit: &'static str,
) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    content
        .take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(Error::Broken)?;
    if bytes.len() as u64 > limit {
        return Err(Error::TooMuch { limit, unit });
    }
    Ok(bytes)
}

/// What an archive has unpacked to so far, held against its limits.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) limits: Limits,
    cancel: Cancel,
    entries: u64,
    bytes: u64,
}

impl Tally {
    pub(super) fn new(limits: Limits, cancel: Cancel) -> Self {
        Self {
            limits,
            cancel,
            entries: 0,
            bytes: 0,
        }
    }

    /// One file, folder or link more.
    pub(super) fn entry(&mut self) -> Result<(), Error> {
        self.go_on()?;
        self.entries += 1;
        self.limits.check_entries(self.entries)
    }

    /// So many bytes more.
    pub(super) fn bytes(&mut self, more: u64) -> Result<(), Error> {
        self.go_on()?;
        self.bytes = self.bytes.saturating_add(more);
        self.limits.check_bytes(self.bytes)
    }

    /// Whether so many bytes more would be within the limits.
    pub(super) fn foresee(&self, more: u64) -> Result<(), Error> {
        self.limits.check_bytes(self.bytes.saturating_add(more))
    }

    fn go_on(&self) -> Result<(), Error> {
        if self.cancel.is_cancelled() {
            return Err(Error::Interrupted);
        }
        Ok(())
    }
}
