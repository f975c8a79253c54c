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
    file.last_modified().map_or(0, unix_time)
}

/// In seconds; 0 for what is no date.
fn unix_time(dos: zip::DateTime) -> u64 {
    let time = DateTime::try_from(dos).and_then(|time| time.to_zoned(TimeZone::UTC));
    time.map_or(0, |time| time.timestamp().as_second().unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dos_times_are_taken_as_utc() {
        let time = |year, month, day| {
            unix_time(zip::DateTime::from_date_and_time(year, month, day, 1, 2, 4).unwrap())
        };
        let of_day = |days: u64| days * 86_400 + 3_724;
        assert_eq!(time(1980, 1, 1), of_day(3_652));
        assert_eq!(time(2000, 2, 29), of_day(11_016));
        assert_eq!(time(2024, 12, 31), of_day(20_088));
    }
}
