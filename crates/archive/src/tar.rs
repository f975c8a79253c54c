//! Tar files. This module reads the raw headers and assembles the extensions for long names itself,
//! because each of them needs a limit: an archive may announce a name of gigabytes, and a reader
//! that trusts it fills the memory.

use std::io::Read;

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

pub(super) fn read(plain: impl Read, sink: &mut Guarded<impl Sink>) -> Result<(), Error> {
    let mut archive = Archive::new(plain);
    let mut extensions = Extensions::default();
    for entry in archive.entries().map_err(Error::reading)?.raw(true) {
        let mut entry = entry.map_err(Error::reading)?;
        let header = entry.header().clone();
        let kind = header.entry_type();
        if is_extension(kind) {
            sink.extension()?;
        }
        match kind {
            EntryType::GNULongName => extensions.name = Some(long(&mut entry)?),
            EntryType::GNULongLink => extensions.target = Some(long(&mut entry)?),
            EntryType::XHeader => pax(&read_extension(&mut entry)?, &mut extensions)?,
            EntryType::XGlobalHeader => drop(read_extension(&mut entry)?),
            _ => {
                let extensions = std::mem::take(&mut extensions);
                read_entry(kind, &header, extensions, &mut entry, sink)?;
            }
        }
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
        EntryType::Regular | EntryType::Continuous if name.ends_with(b"/") => {
            sink.folder(&name, modified)
        }
        EntryType::Regular | EntryType::Continuous => {
            let mode = header.mode().map_err(Error::reading)?;
            sink.file(&name, mode, modified, size, content)
        }
        EntryType::Directory => sink.folder(&name, modified),
        EntryType::Symlink => sink.symlink(&name, &target(), modified),
        EntryType::Link => sink.hard_link(&name, &target()),
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
            b"path" => extensions.name = Some(value.to_vec()),
            b"linkpath" => extensions.target = Some(value.to_vec()),
            b"mtime" => extensions.modified = Some(seconds(value).unwrap_or(0)),
            b"size" => extensions.size = Some(seconds(value).unwrap_or(u64::MAX)),
            key if key.starts_with(b"GNU.sparse") => {
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

/// Returns the whole seconds of a time such as `1700000000.123`.
fn seconds(value: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(value).ok()?;
    text.split('.').next()?.parse().ok()
}
