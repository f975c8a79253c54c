//! Decides which entries of an archive are allowed. The readers of the formats pass raw entries;
//! allowed entries are forwarded to a [`Sink`] with clean names.

use std::io::{self, Read};

use super::limits::{Cancel, Limits, Tally, bounded};
use super::{Error, names};
use crate::names::displayed_name;

/// Maximum length of a link target in bytes.
const MAX_TARGET_BYTES: u64 = 4096;

/// Receives the entries of an archive. Paths are clean: relative, and made of plain names joined by
/// `/`.
pub trait Sink {
    /// Receives a folder.
    ///
    /// # Errors
    ///
    /// If the sink refuses the folder, for example because an earlier entry has the same name
    /// ([`Error::Conflict`]), or cannot create it ([`Error::Write`]).
    fn folder(&mut self, path: &str, modified: u64) -> Result<(), Error>;

    /// Receives a file. An error of `content` must be converted with [`Error::reading`].
    ///
    /// # Errors
    ///
    /// If `content` cannot be read or exceeds a limit, or the sink refuses the file or cannot write
    /// it.
    fn file(&mut self, path: &str, entry: &FileEntry, content: &mut dyn Read) -> Result<(), Error>;

    /// Receives a symbolic link. Its target is relative and contains no control characters.
    ///
    /// # Errors
    ///
    /// If the sink refuses the link, for example because a folder has the same name
    /// ([`Error::Conflict`]).
    fn symlink(&mut self, path: &str, target: &str, modified: u64) -> Result<(), Error>;

    /// Receives a hard link: another name for an earlier file.
    ///
    /// # Errors
    ///
    /// If `original` is not an earlier file ([`Error::Link`]), or the sink refuses the link or
    /// cannot create it.
    fn hard_link(&mut self, path: &str, original: &str) -> Result<(), Error>;
}

/// The metadata of a file in an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileEntry {
    /// The permissions.
    pub mode: u32,
    /// Modification time in seconds since 1970.
    pub modified: u64,
    /// The announced size in bytes. Limits count the actual bytes.
    pub size: u64,
}

/// Checks the entries of an archive before a sink receives them.
#[derive(Debug)]
pub struct Guarded<S> {
    pub(crate) sink: S,
    strip: usize,
    tally: Tally,
}

impl<S> Guarded<S> {
    /// Creates a guard for `sink`. The first `strip` components of each name are removed.
    pub fn guard(sink: S, strip: usize, limits: Limits, cancel: Cancel) -> Self {
        Self {
            sink,
            strip,
            tally: Tally::new(limits, cancel),
        }
    }

    /// Returns the sink.
    pub fn into_inner(self) -> S {
        self.sink
    }

    /// Returns the limits that apply.
    pub const fn limits(&self) -> Limits {
        self.tally.limits
    }

    /// Counts an extension header. It is not an entry, but costs as much time.
    pub(crate) fn extension(&mut self) -> Result<(), Error> {
        self.tally.entry()
    }

    fn name(&mut self, raw: &[u8]) -> Result<Option<String>, Error> {
        // Check the length before converting the name.
        let longest = self.tally.limits.name;
        if raw.len() > longest.saturating_mul(2) {
            return Err(Error::TooMuch {
                limit: longest as u64,
                unit: "bytes in a name",
            });
        }
        let name = names::clean(raw, self.strip)?;
        if let Some(name) = &name {
            self.tally.name(name)?;
        }
        Ok(name)
    }

    /// Cleans a name that must not be the archive's root folder.
    fn inner_name(&mut self, raw: &[u8], why: &'static str) -> Result<String, Error> {
        self.name(raw)?.ok_or_else(|| Error::Name {
            name: displayed_name(raw),
            why,
        })
    }
}

impl<S: Sink> Guarded<S> {
    pub(crate) fn folder(&mut self, name: &[u8], modified: u64) -> Result<(), Error> {
        self.tally.entry()?;
        match self.name(name)? {
            Some(path) => self.sink.folder(&path, representable(modified)),
            None => Ok(()),
        }
    }

    pub(crate) fn file(
        &mut self,
        name: &[u8],
        mode: u32,
        modified: u64,
        size: u64,
        content: &mut dyn Read,
    ) -> Result<(), Error> {
        self.tally.entry()?;
        self.tally.check_more_bytes(size)?;
        let path = self.inner_name(name, "is the archive's root folder, but a file")?;
        let mut counted = Counted {
            content,
            tally: &mut self.tally,
        };
        let entry = FileEntry {
            mode,
            modified: representable(modified),
            size,
        };
        self.sink.file(&path, &entry, &mut counted)
    }

    pub(crate) fn symlink(
        &mut self,
        name: &[u8],
        target: &[u8],
        modified: u64,
    ) -> Result<(), Error> {
        self.tally.entry()?;
        let path = self.inner_name(name, "is the archive's root folder, but a link")?;
        let target = std::str::from_utf8(target).map_err(|_| Error::Link {
            link: displayed_name(name),
            target: displayed_name(target),
            why: "is not UTF-8",
        })?;
        names::link_target(&path, target)?;
        self.tally.name(target)?;
        self.sink.symlink(&path, target, representable(modified))
    }

    /// Passes on a symbolic link whose target is the content of its entry.
    pub(crate) fn symlink_from(
        &mut self,
        name: &[u8],
        content: impl Read,
        modified: u64,
    ) -> Result<(), Error> {
        let target = bounded(content, MAX_TARGET_BYTES, "bytes in a link")?;
        self.symlink(name, &target, modified)
    }

    /// Refuses content of an entry that has none by its kind. Some readers skip such content, others
    /// take it for the next entries.
    pub(crate) fn refuse_content(
        &self,
        name: &[u8],
        size: u64,
        kind: &'static str,
    ) -> Result<(), Error> {
        match size {
            0 => Ok(()),
            _ => Err(Error::Forbidden {
                name: displayed_name(name),
                kind,
            }),
        }
    }

    pub(crate) fn hard_link(&mut self, name: &[u8], target: &[u8]) -> Result<(), Error> {
        self.tally.entry()?;
        let why = "links to the archive's root folder";
        let path = self.inner_name(name, why)?;
        let original = self.inner_name(target, why)?;
        self.sink.hard_link(&path, &original)
    }
}

/// Limits a time to what every file system can store: four centuries after 1970. A listing with a later
/// time would not agree with the files.
fn representable(modified: u64) -> u64 {
    modified.min(12_622_780_800)
}

/// Wraps the content of a file and counts it against the limits.
struct Counted<'a> {
    content: &'a mut dyn Read,
    tally: &'a mut Tally,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.content.read(buffer)?;
        self.tally.bytes(count as u64).map_err(io::Error::other)?;
        Ok(count)
    }
}
