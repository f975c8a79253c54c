//! Unpacking archives that nobody vouches for. Every format is read by a crate of its own and
//! written by ONE writer, [`tree::TreeWriter`], which decides what an archive may do: nothing
//! outside its folder, no devices, no absurd sizes.

mod error;
mod limits;
mod links;
mod names;
mod tar;
mod tree;

use std::io::Read;

use flate2::read::MultiGzDecoder;
use sysforge_plan::ArchiveFormat;

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
    compressed: impl Read + Send + 'r,
) -> Result<Box<dyn Read + Send + 'r>, Error> {
    match format {
        ArchiveFormat::TarGz => Ok(Box::new(MultiGzDecoder::new(compressed))),
        _ => Err(Error::Unsupported { format }),
    }
}

/// Unpacks a tar file that is no longer compressed.
///
/// # Errors
///
/// If the archive is broken or tries what it must not, or a file cannot be written.
pub fn untar(plain: impl Read, tree: &mut TreeWriter) -> Result<(), Error> {
    tar::unpack(plain, tree)
}

/// Unpacks an archive of a format that does not stream.
///
/// # Errors
///
/// If the archive is broken or tries what it must not, or a file cannot be written.
pub fn unpack_file(
    format: ArchiveFormat,
    _archive: std::fs::File,
    _tree: &mut TreeWriter,
) -> Result<(), Error> {
    Err(Error::Unsupported { format })
}

#[cfg(test)]
mod tests;
