//! Zip files. The directory at the end is authoritative; the header before each file must agree with
//! it. The directory is read entry by entry, so that its length does not determine the memory use.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use sysforge_plan::Sha256;
use sysforge_plan::digest::Hasher;
use zip::extra_fields::ExtraField;
use zip::read::Config;
use zip::result::ZipError;
use zip::unstable::read::ZipIterable;
use zip::{System, ZipReadOptions};

use super::guard::{Guarded, Sink};
use super::{BUFFER, Error, names};

/// Reads an archive.
pub(super) fn read(archive: &File, sink: &mut Guarded<impl Sink>) -> Result<(), Error> {
    read_with(archive, None, sink)
}

/// Reads an archive, and returns the digest of the file. Files are usually in the order of the
/// directory, so their bytes are hashed while they are read. The second value is the number of
/// bytes that had to be read again: the directory, and files in another order.
pub(super) fn read_hashed(
    archive: &File,
    sink: &mut Guarded<impl Sink>,
) -> Result<(Sha256, u64), Error> {
    let hashed = RefCell::new(Hasher::default());
    read_with(archive, Some(&hashed), sink)?;
    let mut hasher = hashed.into_inner();
    let mut rest = Positioned::new(archive, None)?;
    rest.at = hasher.count();
    let again = io::copy(&mut rest, &mut hasher).map_err(Error::Broken)?;
    Ok((hasher.digest(), again))
}

fn read_with(
    archive: &File,
    hashed: Option<&RefCell<Hasher>>,
    sink: &mut Guarded<impl Sink>,
) -> Result<(), Error> {
    // The headers and the files are read through separate readers with their own buffer and
    // position; each seeks before it reads.
    let contents = BufReader::new(Positioned::new(archive, hashed)?);
    let bodies = BufReader::with_capacity(BUFFER, Positioned::new(archive, hashed)?);
    let length = bodies.get_ref().length;
    let mut archive = ZipIterable::try_new(contents, Config::default())
        .map_err(broken)?
        .enforce_header_consistency(true);
    sink.limits().check_entries(archive.len() as u64)?;
    let mut space = Space::new(length);
    let mut files = archive
        .files_with_reader(bodies, ZipReadOptions::default())
        .map_err(broken)?;
    let mut number = 0_u64;
    while let Some(file) = files.next() {
        number += 1;
        // These errors come before the name of the entry is known.
        let mut file = file.map_err(|error| match broken(error) {
            Error::Malformed(what) => Error::Malformed(format!("entry {number}: {what}")),
            other => other,
        })?;
        let name = with_slashes(file.name_raw(), file.system()).into_owned();
        let forbidden = |kind| Error::Forbidden {
            name: names::displayed_name(&name),
            kind,
        };
        if file.encrypted() {
            return Err(forbidden("a file with a password"));
        }
        let mode = file.unix_mode().unwrap_or(0o644);
        let modified = modified(&file);
        /// The bits of a mode that give the file type (`S_IFMT`), and the allowed types: none,
        /// file, folder, link.
        const TYPE_MASK: u32 = 0o170_000;
        const ALLOWED_TYPES: [u32; 4] = [0, 0o100_000, 0o040_000, 0o120_000];
        if !ALLOWED_TYPES.contains(&(mode & TYPE_MASK)) {
            return Err(forbidden("a device"));
        }
        space.take(&file)?;
        if name.ends_with(b"/") || mode & TYPE_MASK == 0o040_000 {
            sink.refuse_content(&name, file.size(), "a folder with content")?;
            sink.folder(&name, modified)?;
        } else if file.is_symlink() {
            sink.symlink_from(&name, &mut file, modified)?;
        } else {
            let size = file.size();
            sink.file(&name, mode, modified, size, &mut file)?;
        }
    }
    space.refuse_overlaps()
}

/// Returns a name with `/` between its parts. Some writers on Windows, such as `Compress-Archive` of
/// PowerShell 5, use backslashes; unzip and 7-Zip interpret such names in this way, too.
fn with_slashes(name: &[u8], system: System) -> Cow<'_, [u8]> {
    let windows = matches!(system, System::Dos | System::WindowsNTFS | System::VFAT);
    if !windows || name.contains(&b'/') || !name.contains(&b'\\') {
        return Cow::Borrowed(name);
    }
    let slashes = name.iter().map(|byte| match byte {
        b'\\' => b'/',
        other => *other,
    });
    Cow::Owned(slashes.collect())
}

/// The parts of the file that entries occupy. Entries that share their data make a small file unpack
/// to a large tree, and take long to read even if they are skipped.
struct Space {
    length: u64,
    taken: u64,
    /// The start and the end of each entry.
    parts: Vec<(u64, u64)>,
}

impl Space {
    fn new(length: u64) -> Self {
        Self {
            length,
            taken: 0,
            parts: Vec::new(),
        }
    }

    fn take<R: Read>(&mut self, file: &zip::read::ZipFile<'_, R>) -> Result<(), Error> {
        let start = file.header_start();
        let end = file.data_start().unwrap_or(start);
        let end = end.saturating_add(file.compressed_size());
        self.taken = self.taken.saturating_add(end.saturating_sub(start));
        self.parts.push((start, end));
        // Without this, the time until the overlap is found would not be limited.
        match self.taken > self.length || end > self.length {
            true => Err(overlap()),
            false => Ok(()),
        }
    }

    fn refuse_overlaps(mut self) -> Result<(), Error> {
        self.parts.sort_unstable();
        match self.parts.windows(2).any(|pair| pair[0].1 > pair[1].0) {
            true => Err(overlap()),
            false => Ok(()),
        }
    }
}

fn overlap() -> Error {
    Error::Malformed("its entries share their data or exceed the file".to_owned())
}

/// A position in a file that is shared with other readers.
struct Positioned<'a> {
    file: &'a File,
    at: u64,
    length: u64,
    /// The hash of the first bytes of the file.
    hashed: Option<&'a RefCell<Hasher>>,
}

impl<'a> Positioned<'a> {
    fn new(file: &'a File, hashed: Option<&'a RefCell<Hasher>>) -> Result<Self, Error> {
        Ok(Self {
            file,
            hashed,
            at: 0,
            length: file.metadata().map_err(Error::Broken)?.len(),
        })
    }
}

impl Read for Positioned<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        #[cfg(unix)]
        let count = std::os::unix::fs::FileExt::read_at(self.file, buffer, self.at)?;
        #[cfg(windows)]
        let count = std::os::windows::fs::FileExt::seek_read(self.file, buffer, self.at)?;
        if let Some(hashed) = self.hashed {
            let mut hashed = hashed.borrow_mut();
            // Only bytes that follow the bytes hashed so far are new.
            let known = hashed.count().checked_sub(self.at);
            let known = known.and_then(|known| usize::try_from(known).ok());
            if let Some(new) = known.and_then(|known| buffer[..count].get(known..)) {
                hashed.update(new);
            }
        }
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Positioned<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(offset) => self.length.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.at.checked_add_signed(offset),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

fn broken(error: ZipError) -> Error {
    match error {
        ZipError::Io(error) => Error::reading(error),
        ZipError::InvalidArchive(what) if what.starts_with("Unexpected end of") => {
            Error::Malformed("it is cut short".to_owned())
        }
        ZipError::InvalidArchive(what) => Error::Malformed(what.into_owned()),
        other => Error::Malformed(other.to_string()),
    }
}

/// Returns the modification time: the Unix time if there is one, otherwise the DOS time, which has
/// no time zone and is interpreted as UTC.
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

/// Converts a DOS time to seconds; 0 for an invalid date.
fn unix_time(dos: zip::DateTime) -> u64 {
    let time = DateTime::try_from(dos).and_then(|time| time.to_zoned(TimeZone::UTC));
    time.map_or(0, |time| time.timestamp().as_second().unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dos_times_are_interpreted_as_utc() {
        let time = |year, month, day| {
            unix_time(zip::DateTime::from_date_and_time(year, month, day, 1, 2, 4).unwrap())
        };
        let of_day = |days: u64| days * 86_400 + 3_724;
        assert_eq!(time(1980, 1, 1), of_day(3_652));
        assert_eq!(time(2000, 2, 29), of_day(11_016));
        assert_eq!(time(2024, 12, 31), of_day(20_088));
    }
}
