//! Inspects a shared library (ELF, Mach-O or PE) without loading it. Reads are bounded: an image
//! has hundreds of megabytes, of which its tables are a few hundred kilobytes. The result is an
//! [`Inspection`]; the `plan` crate decides whether it is correct.

mod elf;
mod macho;
mod pe;

use std::fs::File;
use std::path::{Path, PathBuf};

use object::read::ReadRef;
use object::{Architecture, FileKind};
use sysforge_plan::link::Inspection;
use sysforge_plan::{Arch, Class, Explain, explain};

use crate::buffered_seek::BufferedSeek;

/// A file could not be inspected.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages describe the variants")]
pub enum InspectError {
    #[error("could not read {}", .path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{} is not a shared library: {reason}", .path.display())]
    NotALibrary { path: PathBuf, reason: String },
}

impl Explain for InspectError {
    fn class(&self) -> Class {
        match self {
            Self::Read { source, .. } => explain::io_class(source, Class::Toolchain),
            Self::NotALibrary { .. } => Class::Toolchain,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Read { source, .. } => explain::io_hint(source).into_iter().collect(),
            Self::NotALibrary { .. } => vec![
                "name the image itself, as `sysforge link` made it or as it is in the archive"
                    .to_owned(),
            ],
        }
    }
}

/// Inspects a shared library.
///
/// # Errors
///
/// [`InspectError`] if it cannot be read or is not one.
pub fn inspect(path: &Path) -> Result<Inspection, InspectError> {
    let read = |source| InspectError::Read {
        path: path.to_owned(),
        source,
    };
    let not = |reason: String| InspectError::NotALibrary {
        path: path.to_owned(),
        reason,
    };
    let file = File::open(path).map_err(read)?;
    let bytes = file.metadata().map_err(read)?.len();
    let cache = BufferedSeek::cache(file);
    let broken = |error: object::Error| not(error.to_string());
    let kind = FileKind::parse(&cache).map_err(|_| not("no known file format".to_owned()))?;
    match kind {
        FileKind::Elf64 => {
            elf::read::<object::elf::FileHeader64<object::Endianness>, _>(&cache, bytes)
        }
        FileKind::Elf32 => {
            elf::read::<object::elf::FileHeader32<object::Endianness>, _>(&cache, bytes)
        }
        FileKind::MachO64 => macho::read(&cache, bytes),
        FileKind::Pe64 => pe::read::<object::pe::ImageNtHeaders64, _>(&cache, bytes),
        FileKind::Pe32 => pe::read::<object::pe::ImageNtHeaders32, _>(&cache, bytes),
        FileKind::Archive => return Err(not("it is an archive of objects".to_owned())),
        FileKind::Coff | FileKind::CoffBig => return Err(not("it is an object file".to_owned())),
        _ => return Err(not("not ELF, Mach-O or PE".to_owned())),
    }
    .map_err(broken)
}

/// Returns the architecture, if Julia runs on it.
pub(crate) fn arch_of(architecture: Architecture) -> Option<Arch> {
    Some(match architecture {
        Architecture::X86_64 => Arch::X86_64,
        Architecture::I386 => Arch::I686,
        Architecture::Aarch64 => Arch::Aarch64,
        Architecture::Arm => Arch::Armv7l,
        Architecture::PowerPc64 => Arch::Powerpc64le,
        _ => return None,
    })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Returns export names for a receipt: sorted and limited in number. Names that Julia looks up are
/// always kept.
fn keep_exports(mut names: Vec<String>) -> (Vec<String>, u64) {
    let count = names.len() as u64;
    names.sort_by_key(|name| (!sysforge_plan::link::exports::is_wanted(name), name.clone()));
    names.truncate(Inspection::EXPORTS_KEPT);
    names.sort();
    (names, count)
}

/// Reads the little-endian number of `size` bytes (4 or 8) at `offset`.
fn number_at<'data>(data: impl ReadRef<'data>, offset: u64, size: u64) -> Option<u64> {
    let bytes = data.read_bytes_at(offset, size).ok()?;
    let mut number = [0; 8];
    number.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(u64::from_le_bytes(number))
}
