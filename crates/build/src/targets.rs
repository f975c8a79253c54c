//! Reads which CPU targets an image contains. Julia may silently drop all but the first of several
//! (julia#50792: if the base is a shared library; observed with 1.5.3 and 1.10.8), so the requested
//! targets prove nothing.

use std::fs::File;
use std::path::Path;

use object::{Object, ObjectSection, ObjectSymbol};

use crate::buffered_seek::BufferedSeek;

/// The table of targets that Julia's code generator writes (`jl_dispatch_target_ids`,
/// src/processor.h): how many there are, then each with its flags, features and name.
const TABLE: &str = "jl_dispatch_target_ids";

/// The maximum size of the table that is read: about thirty targets.
const MOST: u64 = 4096;

/// The targets in an image.
#[derive(Debug, PartialEq, Eq)]
struct Table {
    count: usize,
    /// Their names, if the table has the known format.
    names: Option<Vec<String>>,
}

/// Reads the table, if it can be found: a stripped image may not have one.
fn table(image: &Path) -> Option<Table> {
    let cache = BufferedSeek::cache(File::open(image).ok()?);
    let file = object::File::parse(&cache).ok()?;
    // Mach-O adds an underscore before C names.
    let is_table = |name: &str| name.strip_prefix('_').unwrap_or(name) == TABLE;
    // There are few exported symbols; searching all symbols costs two reads for each.
    let symbol = file
        .dynamic_symbols()
        .chain(file.symbols())
        .find(|symbol| symbol.is_definition() && symbol.name().is_ok_and(is_table))?;
    let section = file.section_by_index(symbol.section_index()?).ok()?;
    let end = section.address() + section.size();
    let length = end.checked_sub(symbol.address())?.min(MOST);
    let bytes = section.data_range(symbol.address(), length).ok()??;
    read(bytes, file.is_little_endian())
}

fn read(bytes: &[u8], little_endian: bool) -> Option<Table> {
    let mut words = Words {
        bytes,
        little_endian,
    };
    let count = words.number()?;
    // No Julia is built for more.
    if !(1..=64).contains(&count) {
        return None;
    }
    // The format of `serialize_target_data` in src/processor.cpp, 1.5 to 1.12.
    let name = |words: &mut Words<'_>| {
        let _flags = words.number()?;
        let features = words.number().filter(|n| *n <= 64)?;
        // Enabled features, then disabled ones.
        words.skip(2 * 4 * features)?;
        let length = words.number()?;
        let name = std::str::from_utf8(words.skip(length)?).ok()?.to_owned();
        let more = words.number()?;
        words.skip(more)?;
        name.bytes()
            .all(|byte| byte.is_ascii_graphic())
            .then_some(name)
    };
    Some(Table {
        count,
        names: (0..count).map(|_| name(&mut words)).collect(),
    })
}

struct Words<'a> {
    bytes: &'a [u8],
    little_endian: bool,
}

impl<'a> Words<'a> {
    fn skip(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.bytes.split_at_checked(length)?;
        self.bytes = tail;
        Some(head)
    }

    fn number(&mut self) -> Option<usize> {
        let bytes = <[u8; 4]>::try_from(self.skip(4)?).ok()?;
        let number = match self.little_endian {
            true => u32::from_le_bytes(bytes),
            false => u32::from_be_bytes(bytes),
        };
        usize::try_from(number).ok()
    }
}

/// Returns the targets in the image, each as spelt in `requested` (a `--cpu-target` string) or, if
/// the image names another CPU, by that name; `None` if the image does not contain the information.
pub fn held(image: &Path, requested: &str) -> Option<Vec<String>> {
    let Table { count, names } = table(image)?;
    let requested: Vec<&str> = requested.split(';').collect();
    let held = |index: usize| {
        let asked = requested.get(index).copied().unwrap_or_default();
        let named = names.as_ref().and_then(|names| names.get(index));
        match named {
            // The CPU that `native` stood for.
            Some(name) if asked.split(',').next() != Some(name) => name.clone(),
            _ => asked.to_owned(),
        }
    };
    Some((0..count).map(held).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of a real image of 1.5.3.
    fn one_target() -> Vec<u8> {
        let mut bytes = vec![1, 0, 0, 0, 0, 0, 0, 0, 11, 0, 0, 0];
        bytes.extend([0_u8; 88]);
        bytes.extend([7, 0, 0, 0]);
        bytes.extend(b"generic");
        bytes.extend([0, 0, 0, 0]);
        bytes
    }

    #[test]
    fn the_table_is_read_as_julia_writes_it() {
        let table = read(&one_target(), true).unwrap();
        assert_eq!(table.names.unwrap(), ["generic"]);
    }

    #[test]
    fn a_table_of_another_form_still_says_how_many() {
        let table = read(&one_target()[..40], true).unwrap();
        assert_eq!((table.count, table.names), (1, None));
        assert_eq!(read(&[255; 40], true), None);
        assert_eq!(read(&[], true), None);
    }
}
