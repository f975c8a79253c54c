//! 7-Zip files, the format of some MinGW toolchains.

use std::io::{Read, Seek};

use sevenz_rust2::{
    Archive, ArchiveReader, Block, Coder, EncoderMethod, EntryDecision, NtTime, Password,
};

use super::guard::{Guarded, Sink};
use super::{Error, names};

/// Maximum total size in KiB of the dictionaries that are needed at the same time. The largest in
/// 7-Zip's own presets is 256 MiB, beside small ones for jumps and calls.
const DICTIONARY_KIB: usize = 300 << 10;

/// Maximum memory for reading the directory in KiB. It is read first with this limit, to count the
/// entries. The directory of a toolchain of 11,000 files takes 3 MiB.
const CONTENTS_KIB: usize = 16 << 10;

/// Attribute flag: the upper half is a Unix mode.
const UNIX_EXTENSION: u32 = 0x8000;
/// Attribute flag: a Windows link of some kind.
const REPARSE_POINT: u32 = 0x400;

pub(super) fn read(
    mut archive: impl Read + Seek,
    sink: &mut Guarded<impl Sink>,
) -> Result<(), Error> {
    let contents = Archive::read_with_memory_limit(&mut archive, &Password::empty(), CONTENTS_KIB)
        .map_err(broken)?;
    sink.limits().check_entries(contents.files.len() as u64)?;
    // The library's limit is one for each decoder, and a block may be packed by 64 of them.
    if contents.blocks.iter().map(dictionaries).max() > Some(DICTIONARY_KIB as u64 * 1024) {
        return Err(Error::Malformed(format!(
            "unpacking it takes more than {} MiB of memory",
            DICTIONARY_KIB >> 10
        )));
    }
    drop(contents);
    archive.rewind().map_err(Error::Broken)?;
    let mut archive =
        ArchiveReader::new_with_memory_limit(archive, Password::empty(), DICTIONARY_KIB)
            .map_err(broken)?;
    // The library's own threads would each allocate a dictionary.
    archive.set_thread_count(1);
    let mut failed = None;
    let outcome = archive.for_each_entries_with_decision(|entry, content| {
        match read_entry(entry, content, sink) {
            Ok(()) => Ok(EntryDecision::Continue),
            Err(error) => {
                failed = Some(error);
                Ok(EntryDecision::Stop)
            }
        }
    });
    match failed {
        Some(error) => Err(error),
        None => outcome.map_err(broken),
    }
}

/// Returns the total size in bytes of the dictionaries of a block's decoders, which its coders
/// announce in their properties.
fn dictionaries(block: &Block) -> u64 {
    let size = |coder: &Coder| -> u64 {
        let properties = coder.properties();
        match coder.encoder_method_id() {
            EncoderMethod::ID_LZMA => {
                let size = properties.get(1..5).and_then(|size| size.try_into().ok());
                size.map_or(0, u32::from_le_bytes).into()
            }
            EncoderMethod::ID_LZMA2 => match properties.first().copied() {
                // The sizes are 2^n and 3 * 2^n.
                Some(bits @ 0..40) => u64::from(2 | (bits & 1)) << (bits / 2 + 11),
                Some(_) => u64::from(u32::MAX),
                None => 0,
            },
            _ => 0,
        }
    };
    block.coders.iter().map(size).sum()
}

fn read_entry(
    entry: &sevenz_rust2::ArchiveEntry,
    content: &mut dyn Read,
    sink: &mut Guarded<impl Sink>,
) -> Result<(), Error> {
    let name = entry.name().as_bytes();
    let modified = seconds(entry.last_modified_date());
    let attributes = entry.windows_attributes();
    let mode = if attributes & UNIX_EXTENSION == 0 {
        // Archives made on Windows do not say which files are executable, so all become executable.
        0o755
    } else {
        attributes >> 16
    };
    let forbidden = |kind| Error::Forbidden {
        name: names::displayed_name(name),
        kind,
    };
    match mode & 0o170_000 {
        _ if entry.is_anti_item() => Err(forbidden("a request to delete a file")),
        _ if attributes & REPARSE_POINT != 0 && attributes & UNIX_EXTENSION == 0 => {
            Err(forbidden("a Windows link"))
        }
        // A mode may call a folder what the archive calls a file.
        kind if entry.is_directory() || kind == 0o040_000 => {
            sink.refuse_content(name, entry.size(), "a folder with content")?;
            sink.folder(name, modified)
        }
        0 | 0o100_000 => sink.file(name, mode, modified, entry.size(), content),
        0o120_000 => sink.symlink_from(name, content, modified),
        _ => Err(forbidden("a device")),
    }
}

fn seconds(time: NtTime) -> u64 {
    let ticks = u64::from(time).saturating_sub(u64::from(NtTime::UNIX_EPOCH));
    ticks / 10_000_000
}

fn broken(error: sevenz_rust2::Error) -> Error {
    Error::Malformed(error.to_string())
}
