//! Inspects shared libraries of Windows. A section may contain their tables and a hundred megabytes
//! of data, so tables are read piece by piece through their addresses.

use object::pe::{
    IMAGE_DIRECTORY_ENTRY_EXPORT, IMAGE_DIRECTORY_ENTRY_IMPORT, ImageExportDirectory,
    ImageImportDescriptor,
};
use object::read::pe::{ImageNtHeaders, ImageOptionalHeader, PeFile};
use object::{LittleEndian as LE, Object, ReadRef, U16, U32};
use sysforge_plan::link::{Family, Format, Inspection};

use super::{arch_of, keep_exports, number_at, text};

pub(super) fn read<'data, Pe, R>(data: R, bytes: u64) -> object::Result<Inspection>
where
    Pe: ImageNtHeaders,
    R: ReadRef<'data>,
{
    let file = PeFile::<Pe, R>::parse(data)?;
    let view = View { file: &file, data };
    let (name, exports, size_at) = view.exports().unwrap_or_default();
    let data_bytes = size_at
        .and_then(|address| view.offset(address))
        .and_then(|offset| number_at(data, offset, if file.is_64() { 8 } else { 4 }));
    let (exports, export_count) = keep_exports(exports);
    let (needed, mut imports) = view.imports().unwrap_or_default();
    imports.sort();
    let header = file.nt_headers().optional_header();
    Ok(Inspection {
        format: Format::Pe,
        arch: arch_of(file.architecture()),
        bytes,
        name,
        needed,
        run_paths: Vec::new(),
        exports,
        export_count,
        imports,
        data_bytes,
        stripped: file.nt_headers().file_header().number_of_symbols.get(LE) == 0
            && file.section_by_name(".debug_info").is_none(),
        outside: outside(&file, header.size_of_image()),
        linker: linker(header.major_linker_version(), header.minor_linker_version()),
        signed: None,
        oldest_system: None,
    })
}

/// Returns the sections beyond the end of the image. GNU ld places unknown sections below the base;
/// as an unsigned number, such an address is far above the end.
fn outside<'data, Pe, R>(file: &PeFile<'data, Pe, R>, size: u32) -> Vec<String>
where
    Pe: ImageNtHeaders,
    R: ReadRef<'data>,
{
    let sections = file.section_table();
    let symbols = file.nt_headers().symbols(file.data());
    let strings = symbols.map(|symbols| symbols.strings()).unwrap_or_default();
    sections
        .iter()
        .filter(|section| section.virtual_address.get(LE) >= size)
        .map(|section| text(section.name(strings).unwrap_or_default()))
        .collect()
}

/// Detects the linker: lld writes version 14.0, GNU ld its own version (2.x).
fn linker(major: u8, minor: u8) -> Option<Family> {
    match (major, minor) {
        (14, 0) => Some(Family::Lld),
        (2, _) => Some(Family::GnuLd),
        _ => None,
    }
}

struct View<'file, 'data, Pe: ImageNtHeaders, R: ReadRef<'data>> {
    file: &'file PeFile<'data, Pe, R>,
    data: R,
}

impl<'data, Pe: ImageNtHeaders, R: ReadRef<'data>> View<'_, 'data, Pe, R> {
    /// Converts an address (relative to the image) to an offset in the file.
    fn offset(&self, address: u32) -> Option<u64> {
        let (offset, _) = self.file.section_table().pe_file_range_at(address)?;
        Some(offset.into())
    }

    fn string(&self, address: u32) -> Option<String> {
        let start = self.offset(address)?;
        // Names in these tables are symbols or file names, which are short.
        let end = (start + 4096).min(self.data.len().ok()?);
        self.data.read_bytes_at_until(start..end, 0).ok().map(text)
    }

    fn directory(&self, index: usize) -> Option<u32> {
        let directory = self.file.data_directory(index)?;
        Some(directory.virtual_address.get(LE)).filter(|address| *address != 0)
    }

    fn slice<T: object::Pod>(&self, address: u32, count: u32) -> Option<&'data [T]> {
        self.data
            .read_slice_at(self.offset(address)?, count as usize)
            .ok()
    }

    /// Returns the DLL's name, its exports, and the address of `jl_system_image_size`.
    fn exports(&self) -> Option<(Option<String>, Vec<String>, Option<u32>)> {
        let start = self.offset(self.directory(IMAGE_DIRECTORY_ENTRY_EXPORT)?)?;
        let directory: &ImageExportDirectory = self.data.read_at(start).ok()?;
        let count = directory.number_of_names.get(LE);
        let names: &[U32<LE>] = self.slice(directory.address_of_names.get(LE), count)?;
        let ordinals: &[U16<LE>] = self.slice(directory.address_of_name_ordinals.get(LE), count)?;
        let functions: &[U32<LE>] = self.slice(
            directory.address_of_functions.get(LE),
            directory.number_of_functions.get(LE),
        )?;
        let mut size_at = None;
        let mut exports = Vec::new();
        for (name, ordinal) in names.iter().zip(ordinals) {
            let name = self.string(name.get(LE))?;
            if name == "jl_system_image_size" {
                size_at = functions
                    .get(usize::from(ordinal.get(LE)))
                    .map(|f| f.get(LE));
            }
            exports.push(name);
        }
        Some((self.string(directory.name.get(LE)), exports, size_at))
    }

    /// Returns the needed libraries and the names imported from them.
    fn imports(&self) -> Option<(Vec<String>, Vec<String>)> {
        let mut at = self.offset(self.directory(IMAGE_DIRECTORY_ENTRY_IMPORT)?)?;
        let mut libraries = Vec::new();
        let mut names = Vec::new();
        loop {
            let descriptor: &ImageImportDescriptor = self.data.read_at(at).ok()?;
            if descriptor.is_null() {
                return Some((libraries, names));
            }
            libraries.push(self.string(descriptor.name.get(LE))?);
            let thunks = match descriptor.original_first_thunk.get(LE) {
                0 => descriptor.first_thunk.get(LE),
                original => original,
            };
            self.imported_names(thunks, &mut names)?;
            at += size_of::<ImageImportDescriptor>() as u64;
        }
    }

    fn imported_names(&self, thunks: u32, names: &mut Vec<String>) -> Option<()> {
        let size: u64 = if self.file.is_64() { 8 } else { 4 };
        let by_ordinal = 1 << (size * 8 - 1);
        let mut at = self.offset(thunks)?;
        loop {
            let thunk = number_at(self.data, at, size)?;
            if thunk == 0 {
                return Some(());
            }
            if thunk & by_ordinal == 0 {
                // A two-byte hint precedes the name.
                names.push(self.string(u32::try_from(thunk).ok()? + 2)?);
            }
            at += size;
        }
    }
}
