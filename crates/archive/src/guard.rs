//! What an archive may do. The readers of the formats hand over raw entries; what is allowed goes
//! on to a [`Sink`], under clean names.

use std::io::{self, Read};

use super::limits::{Cancel, Limits, Tally, bounded};
use super::{Error, names};
use crate::names::shown;

/// The longest link target that is believed, in bytes.
const LONGEST_TARGET: u64 = 4096;

/// What takes the entries of an archive. Paths are clean: relative, components that are plain names
/// joined by `/`.
pub trait Sink {
    /// A folder.
    ///
    /// # Errors
    ///
    /// If it cannot be taken.
    fn folder(&mut self, path: &str, modified: u64) -> Result<(), Error>;

    /// A file. An error of `content` must be returned as [`Error::reading`] makes it.
    ///
    /// # Errors
    ///
    /// If it cannot be taken.
    fn file(&mut self, path: &str, entry: &FileEntry, content: &mut dyn Read) -> Result<(), Error>;

    /// A symbolic link. Its target is relative and holds no control characters.
    ///
    /// # Errors
    ///
    /// If it cannot be taken.
    fn symlink(&mut self, path: &str, target: &str, modified: u64) -> Result<(), Error>;

    /// Another name for a file that came before.
    ///
    /// # Errors
    ///
    /// If it cannot be taken.
    fn hard_link(&mut self, path: &str, original: &str) -> Result<(), Error>;
}

/// What an archive says of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileEntry {
    /// The permissions.
    pub mode: u32,
    /// When it was last changed, in seconds since 1970.
    pub modified: u64,
    /// How many bytes are announced. What counts is what comes.
    pub size: u64,
}

/// A sink, and what stands between it and an archive.
#[derive(Debug)]
pub struct Guarded<S> {
    pub(crate) sink: S,
    strip: usize,
    tally: Tally,
}

impl<S> Guarded<S> {
    /// Guards `sink`. The first `strip` components of each name are left out.
    #[must_use]
    pub fn guard(sink: S, strip: usize, limits: Limits, cancel: Cancel) -> Self {
        Self {
            sink,
            strip,
            tally: Tally::new(limits, cancel),
        }
    }

    /// The sink.
    #[must_use]
    pub fn into_inner(self) -> S {
        self.sink
    }

    /// The limits that it keeps to.
    #[must_use]
    pub const fn limits(&self) -> Limits {
        self.tally.limits
    }

    /// An extension header, which is no entry of its own but costs time like one.
    pub(crate) fn extension(&mut self) -> Result<(), Error> {
        self.tally.entry()
    }

    fn name(&mut self, raw: &[u8]) -> Result<Option<String>, Error> {
        // Before anything is made of it.
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

    /// A name that cannot be the archive's own folder.
    fn inner_name(&mut self, raw: &[u8], why: &'static str) -> Result<String, Error> {
        self.name(raw)?.ok_or_else(|| Error::Name {
            name: shown(raw),
            why,
        })
    }
}

impl<S: Sink> Guarded<S> {
    pub(crate) fn folder(&mut self, name: &[u8], modified: u64) -> Result<(), Error> {
        self.tally.entry()?;
        match self.name(name)? {
            Some(path) => self.sink.folder(&path, modified),
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
        self.tally.foresee(size)?;
        let path = self.inner_name(name, "is the archive's own folder, and yet a file")?;
        let mut counted = Counted {
            content,
            tally: &mut self.tally,
        };
        let entry = FileEntry {
            mode,
            modified,
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
        let path = self.inner_name(name, "is the archive's own folder, and yet a link")?;
        let target = std::str::from_utf8(target).map_err(|_| Error::Link {
            link: shown(name),
            target: shown(target),
            why: "is not UTF-8",
        })?;
        names::link_target(&path, target)?;
        self.tally.name(target)?;
        self.sink.symlink(&path, target, modified)
    }

    /// A symbolic link whose target is the content of its entry.
    pub(crate) fn symlink_from(
        &mut self,
        name: &[u8],
        content: impl Read,
        modified: u64,
    ) -> Result<(), Error> {
        let target = bounded(content, LONGEST_TARGET, "bytes in a link")?;
        self.symlink(name, &target, modified)
    }

    pub(crate) fn hard_link(&mut self, name: &[u8], target: &[u8]) -> Result<(), Error> {
        self.tally.entry()?;
        let why = "links to the archive's own folder";
        let path = self.inner_name(name, why)?;
        let original = self.inner_name(target, why)?;
        self.sink.hard_link(&path, &original)
    }
}

/// The content of a file, which counts.
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
