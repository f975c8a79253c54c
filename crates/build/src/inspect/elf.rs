//! Inspects shared libraries of Linux and FreeBSD.

use object::read::elf::{ElfFile, FileHeader, ProgramHeader, Sym};
use object::{Object, ReadRef, elf};
use sysforge_plan::link::{Family, Format, Inspection};

use super::{arch_of, keep_exports, number_at, text};

pub(super) fn read<'data, Elf, R>(data: R, bytes: u64) -> object::Result<Inspection>
where
    Elf: FileHeader<Endian = object::Endianness>,
    R: ReadRef<'data>,
{
    let file = ElfFile::<Elf, R>::parse(data)?;
    let endian = file.endian();
    let mut name = None;
    let mut needed = Vec::new();
    let mut run_paths = Vec::new();
    let dynamic = file.elf_dynamic_table()?;
    for entry in &dynamic {
        match entry.tag {
            elf::DT_SONAME => name = Some(text(dynamic.string(entry)?)),
            elf::DT_NEEDED => needed.push(text(dynamic.string(entry)?)),
            elf::DT_RPATH | elf::DT_RUNPATH => {
                let paths = text(dynamic.string(entry)?);
                run_paths.extend(paths.split(':').map(str::to_owned));
            }
            _ => {}
        }
    }

    let symbols = file.elf_dynamic_symbol_table();
    let mut exports = Vec::new();
    let mut imports = Vec::new();
    let mut data_bytes = None;
    for symbol in symbols.iter() {
        let binding = symbol.st_bind();
        if binding == elf::STB_LOCAL {
            continue;
        }
        let symbol_name = text(symbol.name(endian, symbols.strings())?);
        if symbol.is_undefined(endian) {
            if binding == elf::STB_GLOBAL {
                imports.push(symbol_name);
            }
            continue;
        }
        if symbol_name == "jl_system_image_size" {
            let word = if file.is_64() { 8 } else { 4 };
            data_bytes = offset_of(&file, symbol.st_value(endian).into())
                .and_then(|offset| number_at(data, offset, word));
        }
        exports.push(symbol_name);
    }
    let (exports, export_count) = keep_exports(exports);
    imports.sort();

    Ok(Inspection {
        format: Format::Elf,
        arch: arch_of(file.architecture()),
        bytes,
        name,
        needed,
        run_paths,
        exports,
        export_count,
        imports,
        data_bytes,
        stripped: file.elf_symbol_table().is_empty()
            && file.section_by_name(".debug_info").is_none(),
        outside: Vec::new(),
        linker: linker(&file),
        signed: None,
        oldest_system: oldest_glibc(&file)?,
    })
}

/// Converts an address to an offset in the file.
fn offset_of<'data, Elf, R>(file: &ElfFile<'data, Elf, R>, address: u64) -> Option<u64>
where
    Elf: FileHeader,
    R: ReadRef<'data>,
{
    let endian = file.endian();
    file.elf_program_headers().iter().find_map(|segment| {
        let start: u64 = segment.p_vaddr(endian).into();
        let size: u64 = segment.p_filesz(endian).into();
        let within = address.checked_sub(start).filter(|offset| *offset < size)?;
        let is_loaded = segment.p_type(endian) == elf::PT_LOAD;
        let offset: u64 = segment.p_offset(endian).into();
        is_loaded.then_some(offset + within)
    })
}

/// Detects the linker: lld and mold write their names to `.comment`, gold writes a note; GNU ld
/// writes nothing.
fn linker<'data, Elf, R>(file: &ElfFile<'data, Elf, R>) -> Option<Family>
where
    Elf: FileHeader,
    R: ReadRef<'data>,
{
    use object::ObjectSection;
    if file.section_by_name(".note.gnu.gold-version").is_some() {
        return Some(Family::Gold);
    }
    let comment = file.section_by_name(".comment")?;
    // The section contains a few compiler names; 64 KiB is ample.
    let marks = text(
        comment
            .data_range(comment.address(), comment.size().min(1 << 16))
            .ok()??,
    );
    marks.split('\0').find_map(|mark| {
        let is_linker = mark.starts_with("Linker: ") || mark.starts_with("mold ");
        is_linker.then(|| Family::of(mark)).flatten()
    })
}

/// Returns the newest glibc version that a symbol requires, which is the oldest glibc that has them
/// all.
fn oldest_glibc<'data, Elf, R>(file: &ElfFile<'data, Elf, R>) -> object::Result<Option<String>>
where
    Elf: FileHeader,
    R: ReadRef<'data>,
{
    let endian = file.endian();
    let sections = file.elf_section_table();
    let Some((mut needs, link)) = sections.gnu_verneed(endian, file.data())? else {
        return Ok(None);
    };
    let strings = sections.strings(endian, file.data(), link)?;
    let mut newest: Option<Vec<u32>> = None;
    while let Some((_, mut versions)) = needs.next()? {
        while let Some(version) = versions.next()? {
            let name = text(version.name(endian, strings)?);
            if let Some(number) = name.strip_prefix("GLIBC_") {
                let parts = number
                    .split('.')
                    .map_while(|part| part.parse().ok())
                    .collect();
                newest = newest.max(Some(parts));
            }
        }
    }
    Ok(newest.filter(|parts| !parts.is_empty()).map(|parts| {
        let parts: Vec<_> = parts.iter().map(u32::to_string).collect();
        format!("glibc {}", parts.join("."))
    }))
}
