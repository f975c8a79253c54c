//! Finds Julia's libraries, and refuses those for another machine or version before a linker uses
//! them.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use object::read::archive::ArchiveFile;
use object::read::coff::ImportFile;
use object::{FileKind, NameOrOrdinal, Object};
use sysforge_plan::explain::PathError;
use sysforge_plan::link::{Format, Layout};
use sysforge_plan::{Arch, JuliaFacts, Triplet};

use super::error::LinkError;
use super::scan::machine;
use crate::buffered_seek::BufferedSeek;
use crate::inspect::{arch_of, inspect};

/// A library of Julia that the image is linked against.
#[derive(Debug)]
pub(super) struct Library {
    /// The file.
    pub path: PathBuf,
    /// The name by which an image refers to it at run time.
    pub name: String,
}

/// Finds every library that the table lists for this Julia.
pub(super) fn find(layout: &Layout, julia: &JuliaFacts) -> Result<Vec<Library>, LinkError> {
    let searched = layout.directories(julia);
    let mut found = Vec::new();
    for name in layout.generation.libraries {
        let names = layout.file_names(name, julia.version.minor_pair());
        let candidates = names
            .iter()
            .flat_map(|n| searched.iter().map(move |dir| dir.join(n)));
        let Some(path) = candidates.into_iter().find(|path| path.is_file()) else {
            return Err(LinkError::MissingLibrary {
                triplet: julia.triplet,
                name: (*name).to_owned(),
                searched,
            });
        };
        found.push(identify(&path, name, layout, julia)?);
    }
    Ok(found)
}

fn identify(
    path: &Path,
    name: &str,
    layout: &Layout,
    julia: &JuliaFacts,
) -> Result<Library, LinkError> {
    let by_table = layout.needed_name(name, julia.version.minor_pair());
    let told = match extension(path) {
        "a" => {
            let arch = import_library_arch(path)?;
            require(path, Some(Format::Pe), arch, julia.triplet)?;
            None
        }
        "tbd" => tbd(path, julia.triplet)?,
        _ => {
            let image = inspect(path)?;
            require(path, Some(image.format), image.arch, julia.triplet)?;
            image.name
        }
    };
    let told = told.unwrap_or(by_table);
    let of_version = numbers(&told).is_none_or(|(major, minor)| {
        let (wanted_major, wanted_minor) = julia.version.minor_pair();
        let minor_fits = match minor {
            Some(minor) => minor == wanted_minor,
            None => !layout.generation.minor_in_names,
        };
        major == wanted_major && minor_fits
    });
    if !of_version {
        return Err(LinkError::LibraryVersion {
            path: path.to_owned(),
            found: told,
            version: julia.version.clone(),
        });
    }
    Ok(Library {
        path: path.to_owned(),
        name: told,
    })
}

fn require(
    path: &Path,
    format: Option<Format>,
    arch: Option<Arch>,
    wanted: Triplet,
) -> Result<(), LinkError> {
    if format == Some(Format::of(wanted.os())) && arch == Some(wanted.arch()) {
        return Ok(());
    }
    Err(LinkError::ForeignLibrary {
        path: path.to_owned(),
        found: machine(format, arch),
        wanted,
    })
}

fn extension(path: &Path) -> &str {
    path.extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or("")
}

/// Parses the version numbers in `libjulia.so.1.10` or `@rpath/libjulia.1.10.dylib`.
fn numbers(name: &str) -> Option<(u64, Option<u64>)> {
    let file = name.rsplit('/').next()?;
    let mut parts = file.split('.').filter_map(|part| part.parse().ok());
    Some((parts.next()?, parts.next()))
}

/// Returns the architecture of an import library, which is that of its first member.
fn import_library_arch(path: &Path) -> Result<Option<Arch>, LinkError> {
    let not = |reason: String| LinkError::NotAnObject {
        path: path.to_owned(),
        reason,
    };
    let file = File::open(path).map_err(PathError::wrap("read", path, LinkError::Path))?;
    let cache = BufferedSeek::cache(file);
    let archive = ArchiveFile::parse(&cache).map_err(|error| not(error.to_string()))?;
    let Some(member) = archive.members().next() else {
        return Err(not("the import library is empty".to_owned()));
    };
    let (offset, size) = member.map_err(|error| not(error.to_string()))?.file_range();
    let data = cache.range(offset, size);
    let broken = |error: object::Error| not(error.to_string());
    Ok(arch_of(match FileKind::parse(data).map_err(broken)? {
        FileKind::CoffImport => ImportFile::parse(data).map_err(broken)?.architecture(),
        _ => object::File::parse(data).map_err(broken)?.architecture(),
    }))
}

/// Returns the install name in a text-based stub library, after checking its targets.
fn tbd(path: &Path, wanted: Triplet) -> Result<Option<String>, LinkError> {
    let text =
        sysforge_files::read_text(path).map_err(PathError::wrap("read", path, LinkError::Path))?;
    let arch = match wanted.arch() {
        Arch::Aarch64 => "arm64",
        _ => "x86_64",
    };
    let targets = text
        .lines()
        .find(|line| line.starts_with("targets:"))
        .unwrap_or("");
    if !targets.contains(arch) {
        return Err(LinkError::ForeignLibrary {
            path: path.to_owned(),
            found: targets.trim_start_matches("targets:").trim().to_owned(),
            wanted,
        });
    }
    let name = text
        .lines()
        .find_map(|line| line.strip_prefix("install-name:"));
    Ok(name.map(|name| name.trim().trim_matches(['\'', '"']).to_owned()))
}

/// Returns those of `symbols` (in C spelling) that a shared library exports.
pub(super) fn exported(
    path: &Path,
    symbols: &BTreeSet<String>,
) -> Result<BTreeSet<String>, LinkError> {
    let not = |error: object::Error| LinkError::NotAnObject {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    let file = File::open(path).map_err(PathError::wrap("read", path, LinkError::Path))?;
    let cache = BufferedSeek::cache(file);
    let library = object::File::parse(&cache).map_err(not)?;
    let mut found = BTreeSet::new();
    for export in library.exports().map_err(not)? {
        let export = export.map_err(not)?;
        if let NameOrOrdinal::Name(name) = export.name()
            && let Ok(name) = std::str::from_utf8(name)
            && symbols.contains(name)
        {
            found.insert(name.to_owned());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_names() {
        assert_eq!(numbers("libjulia.so.1"), Some((1, None)));
        assert_eq!(numbers("libjulia-internal.so.1.10"), Some((1, Some(10))));
        assert_eq!(numbers("@rpath/libjulia.1.12.dylib"), Some((1, Some(12))));
        assert_eq!(numbers("libjulia.dll"), None);
    }
}
