//! Zip files. The table of contents at the end counts, not what stands before each file.

use std::io::{Read, Seek};

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use zip::ZipArchive;
use zip::extra_fields::ExtraField;
use zip::result::ZipError;

use super::tree::TreeWriter;
use super::{Error, names};

pub(super) fn unpack(archive: impl Read + Seek, tree: &mut TreeWriter) -> Result<(), Error> {
    let mut archive = ZipArchive::new(archive).map_err(broken)?;
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).map_err(broken)?;
        let name = file.name_raw().to_vec();
        let forbidden = |kind| Error::Forbidden {
            name: names::shown(&name),
            kind,
        };
        if file.encrypted() {
            return Err(forbidden("file with a password"));
        }
        let mode = file.unix_mode().unwrap_or(0o644);
        let modified = modified(&file);
        /// The bits of a mode that say what a file is (`S_IFMT`), and the kinds that are fine:
        /// none said, a file, a folder, a link.
        const KIND: u32 = 0o170_000;
        const FINE: [u32; 4] = [0, 0o100_000, 0o040_000, 0o120_000];
        if !FINE.contains(&(mode & KIND)) {
            return Err(forbidden("device"));
        }
        if file.is_dir() {
            tree.folder(&name, modified)?;
        } else if file.is_symlink() {
            tree.symlink_from(&name, &mut file, modified)?;
        } else {
            let size = file.size();
            tree.file(&name, mode, modified, size, &mut file)?;
        }
    }
    Ok(())
}

fn broken(error: ZipError) -> Error {
    match error {
        ZipError::Io(error) => Error::Broken(error),
        other => Error::Malformed(other.to_string()),
    }
}

/// The time of the last change: the Unix one where there is one, else the DOS one, which knows
/// no time zone and is taken as UTC.
fn modified<R: Read>(file: &zip::read::ZipFile<'_, R>) -> u64 {
    let unix = file.extra_data_fields().find_map(|field| match field {
        ExtraField::ExtendedTimestamp(time) => time.mod_time(),
        _ => None,
    });
    if let Some(unix) = unix {
        return unix.into();
    }
    let dos = file.last_modified().map(DateTime::try_from);
    let time = dos.and_then(|time| time.ok()?.to_zoned(TimeZone::UTC).ok());
    time.map_or(0, |time| time.timestamp().as_second().unsigned_abs())
}
