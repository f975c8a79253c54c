//! Looking at the objects before they are linked: are they what they should be, how large would
//! the image be, what do they define and what do they need. Reads headers and symbol tables only.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use object::read::archive::ArchiveFile;
use object::{BinaryFormat, FileKind, Object, ObjectSection, ObjectSymbol, ReadRef, SectionKind};
use sysforge_plan::explain::PathError;
use sysforge_plan::link::{Format, Input, arguments, size};
use sysforge_plan::{Arch, Os, Triplet};

use super::error::LinkError;
use crate::buffered_seek::BufferedSeek;
use crate::inspect::arch_of;

/// What the objects are made of. Names are in the C spelling.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// The objects, as they are given to a linker.
    pub inputs: Vec<Input>,
    /// What their sections take in memory.
    pub memory_bytes: u64,
    /// What they define for others, and whether it is data.
    pub defined: Vec<(String, bool)>,
    /// What they need from elsewhere.
    pub undefined: BTreeSet<String>,
    /// The same as it stands in the objects of Windows, where `__imp_` before a name asks for a
    /// pointer to it.
    pub asked: BTreeSet<String>,
}

impl Scan {
    /// Whether the objects bring a DLL's entry point.
    pub(super) fn has_entry(&self) -> bool {
        self.defined
            .iter()
            .any(|(name, _)| name == arguments::JULIA_ENTRY)
    }

    /// The functions that are callable from C: those that are visible and that Julia's code
    /// generator did not name.
    pub(super) fn callable(&self) -> Vec<String> {
        let is_callable = |name: &str| {
            !sysforge_plan::link::exports::is_wanted(name)
                && !sysforge_plan::link::inspection::is_inner(name)
                && !name.starts_with("jl_")
                && !name.starts_with(['_', '.', '$'])
                && !has_serial_number(name)
        };
        let functions = self.defined.iter().filter(|(_, is_data)| !is_data);
        functions
            .map(|(name, _)| name.clone())
            .filter(|name| is_callable(name))
            .collect()
    }
}

/// Julia's generated names end in a number (`julia_f_123`); so do those of its thunks.
fn has_serial_number(name: &str) -> bool {
    let digits = name.len() - name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    digits > 0 && name[..name.len() - digits].ends_with('_')
}

/// Looks at all objects.
pub(super) fn scan(objects: &[PathBuf], triplet: Triplet) -> Result<Scan, LinkError> {
    if objects.is_empty() {
        return Err(LinkError::NoObject);
    }
    let mut scan = Scan::default();
    for path in objects {
        scan_file(path, triplet, &mut scan)?;
    }
    let defined: BTreeSet<_> = scan.defined.iter().map(|(name, _)| name.as_str()).collect();
    let undefined = std::mem::take(&mut scan.undefined);
    let asked = std::mem::take(&mut scan.asked);
    scan.asked = asked
        .into_iter()
        .filter(|name| !defined.contains(name.as_str()))
        .collect();
    scan.undefined = undefined
        .into_iter()
        .filter(|name| !defined.contains(name.as_str()))
        .collect();
    if size::is_too_large(scan.memory_bytes) {
        return Err(LinkError::TooLarge {
            bytes: scan.memory_bytes,
            limit: size::LIMIT,
        });
    }
    Ok(scan)
}

fn scan_file(path: &Path, triplet: Triplet, scan: &mut Scan) -> Result<(), LinkError> {
    let not = |reason: &str| LinkError::NotAnObject {
        path: path.to_owned(),
        reason: reason.to_owned(),
    };
    let io = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::NotFound => not("there is no such file"),
        _ => LinkError::Path(PathError {
            action: "read",
            path: path.to_owned(),
            source,
        }),
    };
    let path_absolute = std::path::absolute(path).map_err(io)?;
    let cache = BufferedSeek::cache(File::open(path).map_err(io)?);
    let kind = FileKind::parse(&cache).map_err(|_| not("no known file format"))?;
    let archive = kind == FileKind::Archive;
    if archive {
        let members = ArchiveFile::parse(&cache).map_err(|e| not(&e.to_string()))?;
        let mut any = false;
        for member in members.members() {
            let (offset, size) = member.map_err(|e| not(&e.to_string()))?.file_range();
            scan_object(path, cache.range(offset, size), triplet, scan)?;
            any = true;
        }
        if !any {
            return Err(not("the archive is empty"));
        }
    } else {
        scan_object(path, &cache, triplet, scan)?;
    }
    scan.inputs.push(Input {
        path: path_absolute,
        archive,
    });
    Ok(())
}

fn scan_object<'data, R: ReadRef<'data>>(
    path: &Path,
    data: R,
    triplet: Triplet,
    scan: &mut Scan,
) -> Result<(), LinkError> {
    let not = |reason: String| LinkError::NotAnObject {
        path: path.to_owned(),
        reason,
    };
    let object = object::File::parse(data).map_err(|error| not(describe(data, &error)))?;
    match object.kind() {
        object::ObjectKind::Relocatable => {}
        object::ObjectKind::Dynamic => return Err(not("it is a shared library".to_owned())),
        object::ObjectKind::Executable => return Err(not("it is an executable".to_owned())),
        _ => return Err(not("it is something else".to_owned())),
    }
    let format = match object.format() {
        BinaryFormat::Elf => Some(Format::Elf),
        BinaryFormat::MachO => Some(Format::MachO),
        BinaryFormat::Coff | BinaryFormat::Pe => Some(Format::Pe),
        _ => None,
    };
    let arch = arch_of(object.architecture());
    if format != Some(Format::of(triplet.os())) || arch != Some(triplet.arch()) {
        return Err(LinkError::WrongMachine {
            path: path.to_owned(),
            found: machine(format, arch),
            wanted: triplet,
        });
    }
    for section in object.sections() {
        if is_in_memory(section.kind()) {
            scan.memory_bytes += section.size();
        }
    }
    for symbol in object.symbols().filter(ObjectSymbol::is_global) {
        let name = symbol.name().map_err(|error| not(error.to_string()))?;
        let name = in_c(name, triplet);
        if symbol.is_undefined() {
            if !symbol.is_weak() {
                scan.undefined.insert(without_import(name).to_owned());
                scan.asked.insert(name.to_owned());
            }
        } else {
            scan.defined
                .push((name.to_owned(), is_data(&object, &symbol)));
        }
    }
    Ok(())
}

fn is_in_memory(kind: SectionKind) -> bool {
    !matches!(
        kind,
        SectionKind::Debug
            | SectionKind::DebugString
            | SectionKind::Metadata
            | SectionKind::Linker
            | SectionKind::Note
            | SectionKind::Other
            | SectionKind::OtherString
    )
}

/// Whether a definition is data: told from its section, since COFF and Mach-O symbols do not say.
fn is_data<'data, R: ReadRef<'data>>(
    object: &object::File<'data, R>,
    symbol: &object::Symbol<'data, '_, R>,
) -> bool {
    let section = symbol
        .section_index()
        .and_then(|index| object.section_by_index(index).ok());
    section.is_none_or(|section| section.kind() != SectionKind::Text)
}

/// The C spelling of a symbol of an object: Mach-O and 32-bit Windows put an underscore before it.
fn in_c(name: &str, triplet: Triplet) -> &str {
    let marked = matches!(
        (triplet.os(), triplet.arch()),
        (Os::MacOs, _) | (Os::Windows, Arch::I686)
    );
    if marked {
        name.strip_prefix('_').unwrap_or(name)
    } else {
        name
    }
}

fn without_import(name: &str) -> &str {
    name.strip_prefix("__imp_").unwrap_or(name)
}

/// What a file that is no object is.
fn describe<'data>(data: impl ReadRef<'data>, error: &object::Error) -> String {
    match data.read_bytes_at(0, 4) {
        Ok(b"BC\xc0\xde") => "it is LLVM bitcode".to_owned(),
        Ok(_) => error.to_string(),
        Err(()) => "it is empty".to_owned(),
    }
}

/// A machine in words.
pub(super) fn machine(format: Option<Format>, arch: Option<Arch>) -> String {
    let arch = arch.map_or("an unknown processor".to_owned(), |arch| arch.to_string());
    match format {
        Some(format) => format!("{arch}, {format}"),
        None => arch,
    }
}
