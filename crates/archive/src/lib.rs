//! Archives: one guarded reader and one writer.
//!
//! Every archive is treated as hostile, wherever it comes from. A crate per format finds the
//! entries; [`Guarded`] decides what an archive may do (no name outside of its folder, no devices,
//! no excessive sizes, counts, depths or ratios) and passes allowed entries to a [`Sink`]. A
//! [`TreeWriter`] is the sink that unpacks.
//!
//! Architecture invariants: this is the only crate that parses or writes archives. Memory use does
//! not depend on what an archive announces, only on [`Limits`]; recursion is no deeper than
//! [`Limits::depth`]. The crate writes only where the caller says.

mod copies;
mod error;
mod git;
mod guard;
mod gzip;
mod limits;
mod links;
mod listing;
mod names;
mod permissions;
mod sevenz;
mod stream;
mod tar;
mod tree;
mod writer;
mod zip;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};

use sysforge_plan::digest::Hashing;
use sysforge_plan::{ArchiveFormat, Sha256};

use gzip::Gzip;

pub use error::Error;
pub use git::{Blob, GitTree};
pub use guard::{FileEntry, Guarded, Sink};
pub use limits::{Cancel, Limits};
pub use links::Links;
pub use listing::{Item, Kind, Listing};
pub use names::fits_windows;
pub use stream::unpack_stream;
pub use tree::{Tree, TreeWriter};
pub use writer::Writer;

/// Returns whether an archive of this format can be unpacked while it is downloaded. The other
/// formats have their directory at the end.
pub fn streams(format: ArchiveFormat) -> bool {
    match format {
        ArchiveFormat::TarGz | ArchiveFormat::TarZst | ArchiveFormat::TarXz => true,
        ArchiveFormat::Zip | ArchiveFormat::SevenZ => false,
    }
}

/// Wraps a compressed tar file in its decompressor.
fn decompressor<'r>(
    format: ArchiveFormat,
    compressed: impl BufRead + Send + 'r,
) -> Result<Box<dyn Read + Send + 'r>, Error> {
    match format {
        ArchiveFormat::TarGz => Ok(Box::new(Gzip::new(compressed))),
        ArchiveFormat::TarZst => zstd::Decoder::with_buffer(compressed)
            .map(|decoder| Box::new(decoder) as Box<_>)
            .map_err(Error::Broken),
        ArchiveFormat::TarXz => Ok(Box::new(lzma_rust2::XzReader::new_mem_limit(
            compressed,
            true,
            XZ_DICTIONARY_KIB,
        ))),
        ArchiveFormat::Zip | ArchiveFormat::SevenZ => Err(Error::Unsupported { format }),
    }
}

/// Maximum size of an xz dictionary. `xz -9` uses 64 MiB; a file that requires gigabytes is
/// hostile.
const XZ_DICTIONARY_KIB: u32 = 128 << 10;

/// Reads an uncompressed tar file.
///
/// # Errors
///
/// If the archive is damaged or refused, or the sink fails.
pub fn untar(plain: impl Read, sink: &mut Guarded<impl Sink>) -> Result<(), Error> {
    tar::read(plain, sink)
}

/// Reads an archive from a file.
///
/// # Errors
///
/// If the file cannot be read, the archive is damaged or refused, or the sink fails.
pub fn unpack_file(
    format: ArchiveFormat,
    archive: File,
    sink: &mut Guarded<impl Sink>,
) -> Result<(), Error> {
    match format {
        ArchiveFormat::Zip => zip::read(&archive, sink),
        ArchiveFormat::SevenZ => sevenz::read(BufReader::with_capacity(BUFFER, archive), sink),
        _ => unpack_stream(format, BufReader::with_capacity(BUFFER, archive), sink),
    }
}

/// Reads an archive from a file, and returns the digest of the file. Bytes are read once for both
/// purposes, except 7-Zip files and the directory of zip files, which are read twice.
///
/// # Errors
///
/// If the file cannot be read, the archive is damaged or refused, or the sink fails.
pub fn unpack_hashed(
    format: ArchiveFormat,
    mut archive: File,
    sink: &mut Guarded<impl Sink>,
) -> Result<Sha256, Error> {
    let hash_all =
        |reader: &mut Hashing<&File>| io::copy(reader, &mut io::sink()).map_err(Error::Broken);
    if streams(format) {
        let mut hashing = Hashing::new(&archive);
        let compressed = BufReader::with_capacity(BUFFER, &mut hashing);
        unpack_stream(format, compressed, sink)?;
        // Bytes after the compressed data are part of the file as well.
        hash_all(&mut hashing)?;
        return Ok(hashing.hasher.digest());
    }
    if format == ArchiveFormat::Zip {
        return zip::read_hashed(&archive, sink).map(|(digest, _)| digest);
    }
    let mut hashing = Hashing::new(&archive);
    hash_all(&mut hashing)?;
    let digest = hashing.hasher.digest();
    archive.rewind().map_err(Error::Broken)?;
    unpack_file(format, archive, sink)?;
    Ok(digest)
}

/// Larger buffers are not faster (measured from 8 KiB to 1 MiB).
const BUFFER: usize = 256 << 10;

#[cfg(test)]
mod bombs_tests;
#[cfg(test)]
mod kinds_tests;
#[cfg(test)]
mod tests;
