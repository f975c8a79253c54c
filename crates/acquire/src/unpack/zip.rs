//! Zip files. The table of contents at the end counts, not what stands before each file.

use std::io::{Read, Seek};

use zip::ZipArchive;
use zip::extra_fields::ExtraField;
use zip::result::ZipError;

use super::tree::TreeWriter;
use super::{Error, names};

/// The longest link target that is believed.
const LONGEST_TARGET: u64 = 4096;

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
            let mut target = Vec::new();
            file.by_ref()
                .take(LONGEST_TARGET + 1)
                .read_to_end(&mut target)
                .map_err(Error::Broken)?;
            if target.len() as u64 > LONGEST_TARGET {
                return Err(Error::TooMuch {
                    limit: LONGEST_TARGET,
                    unit: "bytes in a link",
                });
            }
            tree.symlink(&name, &target, modified)?;
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
    file.last_modified().map_or(0, |time| {
        let days = days_since_1970(time.year().into(), time.month().into(), time.day().into());
        let seconds = u64::from(time.hour()) * 3600
            + u64::from(time.minute()) * 60
            + u64::from(time.second());
        days * 86_400 + seconds
    })
}

/// Days from 1970-01-01 in the Gregorian calendar, for years from 1980 on, as DOS has them
/// (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn days_since_1970(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year / 400;
    let year_of_era = year - era * 400;
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day.max(1) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (era * 146_097 + day_of_era).saturating_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_across_leap_years() {
        assert_eq!(days_since_1970(1980, 1, 1), 3652);
        assert_eq!(days_since_1970(2000, 2, 29), 11_016);
        assert_eq!(days_since_1970(2024, 12, 31), 20_088);
    }
}
