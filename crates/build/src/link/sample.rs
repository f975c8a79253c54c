//! A tiny object with the same exports and imports as the real one. Linking it takes milliseconds
//! and shows whether a linker works on this machine and finds everything, before it processes
//! hundreds of megabytes.

use object::write::{Object, Relocation, SectionId, Symbol, SymbolSection};
use object::{
    Architecture, BinaryFormat, Endianness, RelocationEncoding, RelocationFlags, RelocationKind,
    SectionKind, SymbolFlags, SymbolKind, SymbolScope,
};
use sysforge_plan::explain::PathError;
use sysforge_plan::link::symbols::{SymbolLibrary, library_of, undefined_in};
use sysforge_plan::link::{Candidate, Format, Input, arguments};
use sysforge_plan::{Arch, Triplet};

use super::attempt::{Failure, Link, words};
use super::paths::create_dir;
use super::probe;
use super::scan::Scan;
use crate::Program;
use crate::inspect::inspect;

/// Returns the object for an image that must export `symbols` and needs the symbols found by
/// `scan`.
pub(super) fn object(
    triplet: Triplet,
    symbols: &[&str],
    scan: &Scan,
) -> Result<Vec<u8>, object::write::Error> {
    let (architecture, pointer) = architecture(triplet.arch());
    let format = match Format::of(triplet.os()) {
        Format::Elf => BinaryFormat::Elf,
        Format::MachO => BinaryFormat::MachO,
        Format::Pe => BinaryFormat::Coff,
    };
    let mut object = Object::new(format, architecture, Endianness::Little);
    let segment = object
        .segment_name(object::write::StandardSegment::Data)
        .to_vec();
    let name = if format == BinaryFormat::MachO {
        "__data"
    } else {
        ".data"
    };
    let data = object.add_section(segment, name.into(), SectionKind::Data);
    for symbol in symbols {
        // Sixteen nonzero bytes, because the size of the data must not be zero.
        let offset = object.append_section_data(data, &[1; 16], 16);
        object.add_symbol(defined(symbol, data, offset, SymbolKind::Data));
    }
    for name in &scan.asked {
        let symbol = object.add_symbol(undefined(name));
        let offset = object.append_section_data(data, &[0; 8][..pointer], 8);
        let flags = RelocationFlags::Generic {
            kind: RelocationKind::Absolute,
            encoding: RelocationEncoding::Generic,
            size: if pointer == 8 { 64 } else { 32 },
        };
        object.add_relocation(
            data,
            Relocation {
                offset,
                symbol,
                addend: 0,
                flags,
            },
        )?;
    }
    if scan.has_entry() {
        let text = object.section_id(object::write::StandardSection::Text);
        let offset = object.append_section_data(text, &[0xc3], 16);
        object.add_symbol(defined(
            arguments::JULIA_ENTRY,
            text,
            offset,
            SymbolKind::Text,
        ));
    }
    if format == BinaryFormat::Elf {
        // Without this section, an object makes the stack executable.
        object.add_section(Vec::new(), b".note.GNU-stack".to_vec(), SectionKind::Other);
    }
    object.write()
}

fn defined(name: &str, section: SectionId, offset: u64, kind: SymbolKind) -> Symbol {
    Symbol {
        name: name.into(),
        value: offset,
        size: 16,
        kind,
        scope: SymbolScope::Dynamic,
        weak: false,
        section: SymbolSection::Section(section),
        flags: SymbolFlags::None,
    }
}

fn undefined(name: &str) -> Symbol {
    Symbol {
        name: name.into(),
        value: 0,
        size: 0,
        kind: SymbolKind::Unknown,
        scope: SymbolScope::Unknown,
        weak: false,
        section: SymbolSection::Undefined,
        flags: SymbolFlags::None,
    }
}

/// Returns the architecture and the size of a pointer in bytes.
const fn architecture(arch: Arch) -> (Architecture, usize) {
    match arch {
        Arch::X86_64 => (Architecture::X86_64, 8),
        Arch::I686 => (Architecture::I386, 4),
        Arch::Aarch64 => (Architecture::Aarch64, 8),
        Arch::Armv7l => (Architecture::Arm, 4),
        Arch::Powerpc64le => (Architecture::PowerPc64, 8),
    }
}

impl Link<'_> {
    /// Links a sample before the image: Julia's lld comes without the compiler's support library
    /// and a C library (julia#61631), and an lld that was moved may not start.
    pub(super) async fn try_sample(&self, candidate: &Candidate) -> Result<(), Failure> {
        let over = |reason: String| Failure::PassedOver(format!("a sample: {reason}"));
        let symbols = self.layout.generation.image_symbols;
        let object = object(self.job.julia.triplet, symbols, &self.scan)
            .map_err(|error| over(error.to_string()))?;
        let dir = self.work_dir.join("sample");
        create_dir(&dir).map_err(Failure::Final)?;
        let input = dir.join("sample.o");
        let write = PathError::wrap("write", &input, |error| Failure::Final(error.into()));
        std::fs::write(&input, object).map_err(write)?;
        let output = dir.join(&self.job.name);
        let mut spec = self.spec(candidate, output.clone(), None).await;
        spec.inputs = vec![Input {
            path: input.clone(),
            archive: false,
        }];
        spec.exports = None;
        let (program, leading) = words(candidate)?;
        let program = Program::new(
            program,
            self.environment_of(candidate),
            dir.join("link.log"),
        )
        .args(leading)
        .args(spec.arguments(candidate.flavour))
        .directory(&self.work_dir)
        .timeout(Some(probe::PATIENCE));
        if let Err(error) = self.children.run(&program, self.task).await {
            let said = error
                .evidence()
                .map(|e| e.tail.join("\n"))
                .unwrap_or_default();
            let undefined: Vec<_> = undefined_in(&said).into_iter().collect();
            let is_final = undefined
                .iter()
                .any(|name| library_of(name) == Some(SymbolLibrary::Julia));
            return match undefined.as_slice() {
                // The real link will fail for the same reason, with a better message.
                _ if is_final => Ok(()),
                [] => Err(over(error.to_string())),
                names => Err(over(format!("{} would stay undefined", names.join(", ")))),
            };
        }
        let image = inspect(&output).map_err(|error| over(error.to_string()))?;
        let mut wanted = self.expectation(candidate);
        wanted.restricted = false;
        image.verify(&wanted).map_err(|findings| {
            let findings: Vec<_> = findings.iter().map(ToString::to_string).collect();
            over(findings.join("; "))
        })
    }
}
