//! Removes debug information and symbol tables from the copies of Julia's and the system's libraries,
//! as `strip` does, without that program. What the loader reads stays where it is.

/// The size of a section header of a 64-bit file.
const SECTION_HEADER: usize = 64;

/// The flag of sections that are in memory when the library is loaded.
const SHF_ALLOC: u64 = 2;

/// The type of sections without bytes in the file.
const SHT_NOBITS: u32 = 8;

/// Returns the content of a shared library without debug information and without the symbol table
/// that only debuggers read; `None` if there is nothing to remove, or if the file is not a 64-bit
/// little-endian ELF file of the usual structure.
pub(crate) fn stripped(data: &[u8]) -> Option<Vec<u8>> {
    let header = data.get(..64)?;
    if !header.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let sections = Sections::read(data)?;
    let names = sections.get(sections.names)?;
    // The sections of the loader come first, so they keep their numbers, by which others and the
    // dynamic symbols refer to them.
    let loaded = (1..sections.count).take_while(|index| sections.is_loaded(*index));
    let loaded = loaded.count();
    let rest = loaded + 1..sections.count;
    if rest.clone().any(|index| sections.is_loaded(index)) || rest.len() < 2 {
        return None;
    }
    let mut end = program_headers_end(data)?;
    for index in 1..=loaded {
        let section = sections.get(index)?;
        if section.link as usize > loaded {
            return None;
        }
        if section.kind != SHT_NOBITS {
            end = end.max(section.end()?);
        }
    }
    let mut new = data.get(..end)?.to_vec();
    let names_at = new.len();
    new.extend_from_slice(data.get(names.offset..names.end()?)?);
    new.resize(new.len().next_multiple_of(8), 0);
    let table = new.len();
    for index in 0..=loaded {
        new.extend_from_slice(sections.header(index)?);
    }
    new.extend_from_slice(sections.header(sections.names)?);
    let offset = new.len() - SECTION_HEADER + 24;
    put(&mut new, offset, &(names_at as u64).to_le_bytes())?;
    put(&mut new, 40, &(table as u64).to_le_bytes())?;
    let last = u16::try_from(loaded + 1).ok()?;
    put(&mut new, 60, &(last + 1).to_le_bytes())?;
    put(&mut new, 62, &last.to_le_bytes())?;
    (new.len() < data.len()).then_some(new)
}

/// The section headers of a file.
struct Sections<'a> {
    table: &'a [u8],
    count: usize,
    /// The number of the section with the names of the sections.
    names: usize,
}

struct Section {
    kind: u32,
    flags: u64,
    offset: usize,
    size: usize,
    link: u32,
}

impl Section {
    /// The offset of the first byte after the section.
    fn end(&self) -> Option<usize> {
        self.offset.checked_add(self.size)
    }
}

impl<'a> Sections<'a> {
    fn read(data: &'a [u8]) -> Option<Self> {
        let start = usize::try_from(long(data, 40)?).ok()?;
        let count = usize::from(short(data, 60)?);
        if usize::from(short(data, 58)?) != SECTION_HEADER || count == 0 {
            return None;
        }
        let length = count * SECTION_HEADER;
        Some(Self {
            table: data.get(start..start.checked_add(length)?)?,
            count,
            names: usize::from(short(data, 62)?),
        })
    }

    fn header(&self, index: usize) -> Option<&'a [u8]> {
        let start = index * SECTION_HEADER;
        self.table.get(start..start + SECTION_HEADER)
    }

    fn get(&self, index: usize) -> Option<Section> {
        let header = self.header(index)?;
        Some(Section {
            kind: word(header, 4)?,
            flags: long(header, 8)?,
            offset: usize::try_from(long(header, 24)?).ok()?,
            size: usize::try_from(long(header, 32)?).ok()?,
            link: word(header, 40)?,
        })
    }

    fn is_loaded(&self, index: usize) -> bool {
        self.get(index)
            .is_some_and(|section| section.flags & SHF_ALLOC != 0)
    }
}

/// Returns the offset of the first byte after all segments and their table.
fn program_headers_end(data: &[u8]) -> Option<usize> {
    let start = usize::try_from(long(data, 32)?).ok()?;
    let (size, count) = (usize::from(short(data, 54)?), usize::from(short(data, 56)?));
    let mut end = start.checked_add(size * count)?;
    for index in 0..count {
        let header = data.get(start + index * size..start + (index + 1) * size)?;
        let segment = long(header, 8)?.checked_add(long(header, 32)?)?;
        end = end.max(usize::try_from(segment).ok()?);
    }
    Some(end)
}

fn bytes<const N: usize>(data: &[u8], at: usize) -> Option<[u8; N]> {
    data.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn short(data: &[u8], at: usize) -> Option<u16> {
    bytes(data, at).map(u16::from_le_bytes)
}

fn word(data: &[u8], at: usize) -> Option<u32> {
    bytes(data, at).map(u32::from_le_bytes)
}

fn long(data: &[u8], at: usize) -> Option<u64> {
    bytes(data, at).map(u64::from_le_bytes)
}

fn put(data: &mut [u8], at: usize, value: &[u8]) -> Option<()> {
    data.get_mut(at..at.checked_add(value.len())?)?
        .copy_from_slice(value);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
    fn a_stripped_program_is_smaller_and_still_runs() {
        let data = std::fs::read("/proc/self/exe").unwrap();
        let new = stripped(&data).unwrap();
        assert!(
            new.len() < data.len() * 9 / 10,
            "{} {}",
            new.len(),
            data.len()
        );
        assert_eq!(stripped(&new), None, "there is something left to remove");
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stripped");
        sysforge_files::write_program(&path, &new).unwrap();
        let output = std::process::Command::new(&path).arg("--list").output();
        let output = output.unwrap();
        assert!(output.status.success(), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("strip::tests::"));
        // Tools find its sections.
        let before = sysforge_build::inspect::inspect(std::path::Path::new("/proc/self/exe"));
        let after = sysforge_build::inspect::inspect(&path).unwrap();
        assert_eq!(after.needed, before.unwrap().needed);
    }

    #[test]
    fn other_files_and_damaged_ones_are_left_alone() {
        assert_eq!(stripped(b""), None);
        assert_eq!(stripped(&[0; 200]), None);
        let mut damaged = b"\x7fELF\x02\x01".to_vec();
        damaged.resize(64, 0xff);
        assert_eq!(stripped(&damaged), None);
    }

    #[test]
    #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
    fn no_change_of_a_byte_of_the_headers_makes_it_panic() {
        let data = std::fs::read("/proc/self/exe").unwrap();
        let table = usize::try_from(long(&data, 40).unwrap()).unwrap();
        // The headers of the sections are at the end: a small file with the same ones suffices.
        let mut small = data[..64].to_vec();
        small.extend_from_slice(&data[table..]);
        put(&mut small, 40, &64_u64.to_le_bytes()).unwrap();
        for at in 0..small.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut changed = small.clone();
                changed[at] = value;
                let _ = stripped(&changed);
            }
        }
    }
}
