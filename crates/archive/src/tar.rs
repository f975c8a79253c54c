//! Tar files. This module reads the raw headers and assembles the extensions for long names itself,
//! because each of them needs a limit: an archive may announce a name of gigabytes, and a reader
//! that trusts it fills the memory.
//!
//! Whatever readers of tar files interpret differently is refused: it allows an archive whose content
//! depends on the program that reads it.

use std::cell::Cell;
use std::io::{self, Read};

use tar::{Archive, EntryType, Header, PaxExtensions};

use super::guard::{Guarded, Sink};
use super::limits::bounded;
use super::{Error, names};

/// Maximum length of a name or a set of PAX records in bytes.
const MAX_EXTENSION_BYTES: u64 = 64 << 10;

/// The content of extension headers for the entry that follows them.
#[derive(Default)]
struct Extensions {
    name: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
    modified: Option<u64>,
    size: Option<u64>,
}

impl Extensions {
    fn set_name(&mut self, name: Vec<u8>) -> Result<(), Error> {
        set_once(&mut self.name, name, "names")
    }

    fn set_target(&mut self, target: Vec<u8>) -> Result<(), Error> {
        set_once(&mut self.target, target, "link targets")
    }

    fn is_empty(&self) -> bool {
        self.name.is_none() && self.target.is_none() && self.size.is_none()
    }
}

/// Sets a value that must not be there already: some readers would use the first, others the last.
fn set_once(field: &mut Option<Vec<u8>>, value: Vec<u8>, what: &str) -> Result<(), Error> {
    match field.replace(value) {
        None => Ok(()),
        Some(first) => Err(Error::Malformed(format!(
            "an entry has two {what}; the first is `{}`",
            names::displayed_name(&first)
        ))),
    }
}

/// Notes whether the end of a stream was reached.
struct Ending<'a, R> {
    inner: R,
    ended: &'a Cell<bool>,
}

impl<R: Read> Read for Ending<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        if count == 0 && !buffer.is_empty() {
            self.ended.set(true);
        }
        Ok(count)
    }
}

pub(super) fn read(plain: impl Read, sink: &mut Guarded<impl Sink>) -> Result<(), Error> {
    let ended = Cell::new(false);
    let mut archive = Archive::new(Ending {
        inner: plain,
        ended: &ended,
    });
    let mut extensions = Extensions::default();
    for entry in archive.entries().map_err(Error::reading)?.raw(true) {
        let mut entry = entry.map_err(Error::reading)?;
        let header = entry.header().clone();
        let kind = header.entry_type();
        if is_extension(kind) {
            sink.extension()?;
        }
        match kind {
            EntryType::GNULongName => extensions.set_name(long(&mut entry)?)?,
            EntryType::GNULongLink => extensions.set_target(long(&mut entry)?)?,
            EntryType::XHeader => pax(&read_extension(&mut entry)?, &mut extensions)?,
            EntryType::XGlobalHeader => check_global(&read_extension(&mut entry)?)?,
            _ => {
                let extensions = std::mem::take(&mut extensions);
                read_entry(kind, &header, extensions, &mut entry, sink)?;
            }
        }
    }
    // The reader has found a block of zeros, or no bytes. An archive that was cut between two entries
    // looks like a complete one otherwise.
    if ended.get() {
        return Err(Error::Malformed(
            "the mark at its end is missing, so it may be cut short".to_owned(),
        ));
    }
    if !extensions.is_empty() {
        return Err(Error::Malformed(
            "its last header describes an entry that does not follow".to_owned(),
        ));
    }
    Ok(())
}

fn is_extension(kind: EntryType) -> bool {
    matches!(
        kind,
        EntryType::GNULongName
            | EntryType::GNULongLink
            | EntryType::XHeader
            | EntryType::XGlobalHeader
    )
}

fn read_entry(
    kind: EntryType,
    header: &Header,
    extensions: Extensions,
    content: &mut impl Read,
    sink: &mut Guarded<impl Sink>,
) -> Result<(), Error> {
    let name = extensions
        .name
        .unwrap_or_else(|| header.path_bytes().into_owned());
    let size = header.entry_size().map_err(Error::reading)?;
    // Readers that disagree about the size disagree about where the next header is, and so about
    // the content of the archive.
    if extensions.size.is_some_and(|said| said != size) {
        return Err(Error::Malformed(format!(
            "`{}` has two sizes",
            names::displayed_name(&name)
        )));
    }
    let modified = match extensions.modified {
        Some(modified) => modified,
        None => header.mtime().map_err(Error::reading)?,
    };
    let target = || {
        extensions
            .target
            .clone()
            .or_else(|| header.link_name_bytes().map(std::borrow::Cow::into_owned))
            .unwrap_or_default()
    };
    let forbidden = |kind| Error::Forbidden {
        name: names::displayed_name(&name),
        kind,
    };
    match kind {
        EntryType::Regular | EntryType::Continuous if !name.ends_with(b"/") => {
            let mode = header.mode().map_err(Error::reading)?;
            sink.file(&name, mode, modified, size, content)
        }
        EntryType::Regular | EntryType::Continuous | EntryType::Directory => {
            sink.refuse_content(&name, size, "a folder with content")?;
            sink.folder(&name, modified)
        }
        EntryType::Symlink => {
            sink.refuse_content(&name, size, "a link with content")?;
            sink.symlink(&name, &target(), modified)
        }
        EntryType::Link => {
            sink.refuse_content(&name, size, "a link with content")?;
            sink.hard_link(&name, &target())
        }
        EntryType::Char | EntryType::Block => Err(forbidden("a device")),
        EntryType::Fifo => Err(forbidden("a named pipe")),
        EntryType::GNUSparse => Err(forbidden("a sparse file")),
        _ => Err(forbidden("an entry of an unknown type")),
    }
}

fn read_extension(entry: &mut impl Read) -> Result<Vec<u8>, Error> {
    bounded(entry, MAX_EXTENSION_BYTES, "bytes in a name")
}

/// Reads a GNU long name, which ends with a zero byte.
fn long(entry: &mut impl Read) -> Result<Vec<u8>, Error> {
    let mut name = read_extension(entry)?;
    while name.last() == Some(&0) {
        name.pop();
    }
    Ok(name)
}

fn pax(records: &[u8], extensions: &mut Extensions) -> Result<(), Error> {
    for record in PaxExtensions::new(records) {
        let record = record.map_err(Error::reading)?;
        let value = record.value_bytes();
        match record.key_bytes() {
            b"path" => extensions.set_name(value.to_vec())?,
            b"linkpath" => extensions.set_target(value.to_vec())?,
            b"mtime" => extensions.modified = Some(seconds(value).unwrap_or(0)),
            b"size" => extensions.size = Some(whole_number(value).unwrap_or(u64::MAX)),
            key if is_sparse(key) => {
                return Err(Error::Forbidden {
                    name: extensions
                        .name
                        .as_deref()
                        .map_or_else(String::new, names::displayed_name),
                    kind: "a sparse file",
                });
            }
            _ => {}
        }
    }
    Ok(())
}

/// Returns whether a record belongs to a sparse file, in the forms of GNU tar, star and Solaris.
fn is_sparse(key: &[u8]) -> bool {
    key.starts_with(b"GNU.sparse") || matches!(key, b"SCHILY.realsize" | b"SUN.holesdata")
}

/// Checks the records for all following entries. Some readers ignore them, so those that would
/// change an entry's name, target or content are refused.
fn check_global(records: &[u8]) -> Result<(), Error> {
    for record in PaxExtensions::new(records) {
        let record = record.map_err(Error::reading)?;
        let key = record.key_bytes();
        if matches!(key, b"path" | b"linkpath" | b"size") || is_sparse(key) {
            return Err(Error::Malformed(format!(
                "it sets `{}` for all entries",
                names::displayed_name(key)
            )));
        }
    }
    Ok(())
}

fn whole_number(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// Returns the whole seconds of a time such as `1700000000.123`.
fn seconds(value: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(value).ok()?;
    text.split('.').next()?.parse().ok()
}
