//! Inspects shared libraries of macOS.

use object::macho::{self, MachHeader64};
use object::read::macho::{LoadCommandVariant, MachOFile, Nlist};
use object::{Endianness, Object, ObjectSegment, ReadRef};
use sysforge_plan::link::{Family, Format, Inspection};

use super::{arch_of, keep_exports, number_at, text};

pub(super) fn read<'data, R: ReadRef<'data>>(data: R, bytes: u64) -> object::Result<Inspection> {
    let file = MachOFile::<MachHeader64<Endianness>, R>::parse(data)?;
    let endian = file.endian();
    let mut image = Inspection {
        format: Format::MachO,
        arch: arch_of(file.architecture()),
        bytes,
        name: None,
        needed: Vec::new(),
        run_paths: Vec::new(),
        exports: Vec::new(),
        export_count: 0,
        imports: Vec::new(),
        data_bytes: None,
        stripped: true,
        outside: Vec::new(),
        linker: None,
        signed: Some(false),
        oldest_system: None,
    };
    let mut commands = file.macho_load_commands()?;
    while let Some(command) = commands.next()? {
        let string = |s| command.string(endian, s).map(text);
        match command.variant()? {
            LoadCommandVariant::IdDylib(id) => image.name = Some(string(id.dylib.name)?),
            LoadCommandVariant::Dylib(library) => image.needed.push(string(library.dylib.name)?),
            LoadCommandVariant::Rpath(path) => image.run_paths.push(string(path.path)?),
            LoadCommandVariant::LinkeditData(_) if command.cmd() == macho::LC_CODE_SIGNATURE => {
                image.signed = Some(true);
            }
            LoadCommandVariant::BuildVersion(version, _) => {
                let minimum = version.minos.get(endian).0;
                image.oldest_system =
                    Some(format!("macOS {}.{}", minimum >> 16, (minimum >> 8) & 0xff));
                if let Some((_, tools)) = command.build_version(endian)? {
                    image.linker = tools
                        .iter()
                        .find_map(|tool| family(tool.tool.get(endian).0));
                }
            }
            LoadCommandVariant::VersionMin(version) => {
                let minimum = version.version.get(endian).0;
                image.oldest_system =
                    Some(format!("macOS {}.{}", minimum >> 16, (minimum >> 8) & 0xff));
            }
            LoadCommandVariant::Symtab(table) => {
                let symbols = table.symbols::<MachHeader64<Endianness>, _>(endian, data)?;
                let mut exports = Vec::new();
                for symbol in symbols.iter() {
                    if symbol.is_stab() {
                        image.stripped = false;
                        continue;
                    }
                    if !is_external(symbol.n_type()) {
                        // Linkers keep a few of their own symbols even when stripping.
                        let name = symbol.name(endian, symbols.strings())?;
                        image.stripped &= !name.starts_with(b"_julia_");
                        continue;
                    }
                    let name = text(symbol.name(endian, symbols.strings())?);
                    let name = name.strip_prefix('_').unwrap_or(&name).to_owned();
                    if symbol.is_undefined() {
                        image.imports.push(name);
                        continue;
                    }
                    if name == "jl_system_image_size" {
                        image.data_bytes = offset_of(&file, symbol.n_value(endian))
                            .and_then(|offset| number_at(data, offset, 8));
                    }
                    exports.push(name);
                }
                (image.exports, image.export_count) = keep_exports(exports);
                image.imports.sort();
            }
            _ => {}
        }
    }
    image.stripped &= file.section_by_name("__debug_info").is_none();
    Ok(image)
}

/// Returns whether a symbol is external and not private: `N_EXT` set, `N_PEXT` clear
/// (`<mach-o/nlist.h>`).
fn is_external(n_type: macho::SymbolFlags) -> bool {
    n_type.0 & 0x01 != 0 && n_type.0 & 0x10 == 0
}

/// Maps the tool numbers of `LC_BUILD_VERSION` (`<mach-o/loader.h>`).
fn family(tool: u32) -> Option<Family> {
    match tool {
        3 => Some(Family::Apple),
        4 => Some(Family::Lld),
        _ => None,
    }
}

/// Converts an address to an offset in the file.
fn offset_of<'data, R: ReadRef<'data>>(
    file: &MachOFile<'data, MachHeader64<Endianness>, R>,
    address: u64,
) -> Option<u64> {
    file.segments().find_map(|segment| {
        let (start, size) = segment.file_range();
        let within = address
            .checked_sub(segment.address())
            .filter(|offset| *offset < size)?;
        Some(start + within)
    })
}
