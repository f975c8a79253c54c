//! Unpacking archives that nobody vouches for. Every format is read by a crate of its own and
//! written by ONE writer, [`tree::TreeWriter`], which decides what an archive may do: nothing
//! outside its folder, no devices, no absurd sizes.

mod copies;
mod error;
mod gzip;
mod limits;
mod links;
mod names;
mod sevenz;
mod tar;
mod tree;
mod zip;

use std::fs::File;
use std::io::{BufRead, BufReader, Read};

use sysforge_plan::ArchiveFormat;

use gzip::Gzip;

pub use error::Error;
pub use limits::Limits;
pub use links::Links;
pub use tree::{Cancel, Item, Kind, Listing, TreeWriter};

/// Whether an archive of this format can be unpacked while it still arrives. The others keep
/// their table of contents at the end.
#[must_use]
pub fn streams(format: ArchiveFormat) -> bool {
    match format {
        ArchiveFormat::TarGz | ArchiveFormat::TarZst | ArchiveFormat::TarXz => true,
        ArchiveFormat::Zip | ArchiveFormat::SevenZ => false,
    }
}

/// Wraps a compressed tar file in its decompressor.
///
/// # Errors
///
/// If the format is not a tar file, or the decompressor cannot start.
pub fn decompressor<'r>(
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

/// The most memory that an xz dictionary may take. `xz -9` takes 64 MiB; a file that asks for
/// gigabytes wants nothing good.
const XZ_DICTIONARY_KIB: u32 = 128 << 10;

/// Unpacks a tar file that is no longer compressed.
///
/// # Errors
///
/// If the archive is broken or tries what it must not, or a file cannot be written.
pub fn untar(plain: impl Read, tree: &mut TreeWriter) -> Result<(), Error> {
    tar::unpack(plain, tree)
}

/// Unpacks an archive that is there as a file: for the formats that do not stream.
///
/// # Errors
///
/// If the archive is broken or tries what it must not, or a file cannot be written.
pub fn unpack_file(
    format: ArchiveFormat,
    archive: File,
    tree: &mut TreeWriter,
) -> Result<(), Error> {
    let archive = BufReader::with_capacity(256 << 10, archive);
    match format {
        ArchiveFormat::Zip => zip::unpack(archive, tree),
        ArchiveFormat::SevenZ => sevenz::unpack(archive, tree),
        _ => untar(decompressor(format, archive)?, tree),
    }
}

#[cfg(test)]
mod kinds_tests;
#[cfg(test)]
mod tests;
