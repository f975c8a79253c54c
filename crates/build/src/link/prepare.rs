//! Preparation before any linker runs: checks that the objects fit the Julia that will load them,
//! and writes the lists that linkers read.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use sysforge_plan::explain::PathError;
use sysforge_plan::generation::Generation;
use sysforge_plan::link::linker::candidates;
use sysforge_plan::link::symbols::{SymbolLibrary, library_of};
use sysforge_plan::link::{Inventory, LinkerChoice, exports, stub};
use sysforge_plan::{JuliaFacts, Os, Triplet};

use super::LinkJob;
use super::error::LinkError;
use super::find::{self, which};
use super::libraries::{self, Library};
use super::scan::Scan;
use crate::Environment;

/// Refuses objects that contain no image, or one of another generation, before linking.
pub(super) fn require_image(
    scan: &Scan,
    generation: &Generation,
    julia: &JuliaFacts,
) -> Result<(), LinkError> {
    let is_defined = |symbol: &str| scan.defined.iter().any(|(name, _)| name == symbol);
    let wanted = generation.image_symbols.iter();
    let symbols: Vec<_> = wanted
        .filter(|symbol| !is_defined(symbol))
        .map(|symbol| format!("`{symbol}`"))
        .collect();
    if symbols.is_empty() {
        return Ok(());
    }
    Err(LinkError::NotAnImage {
        version: julia.version.clone(),
        symbols,
    })
}

/// Symbols that the objects need but no library of the link defines.
#[derive(Default)]
pub(super) struct Unresolved {
    /// Names defined by neither Julia's libraries nor the C library.
    pub(super) missing: BTreeSet<String>,
    /// The support library, if it defines some of them.
    pub(super) support: Option<PathBuf>,
}

/// Returns the unresolved symbols; fails if one of them should be in Julia's libraries.
pub(super) fn unresolved(
    scan: &Scan,
    libraries: &[Library],
    julia: &JuliaFacts,
) -> Result<Unresolved, LinkError> {
    // On other systems, linkers refuse undefined symbols themselves.
    if !matches!(julia.triplet.os(), Os::Linux | Os::FreeBsd) {
        return Ok(Unresolved::default());
    }
    let mut open = scan.undefined.clone();
    for library in libraries {
        let found = libraries::exported(&library.path, &open)?;
        open.retain(|name| !found.contains(name));
    }
    let of_julia: Vec<_> = open
        .iter()
        .filter(|name| library_of(name) == Some(SymbolLibrary::Julia))
        .map(|name| (name.clone(), Some(SymbolLibrary::Julia)))
        .collect();
    if !of_julia.is_empty() {
        return Err(LinkError::Undefined {
            symbols: of_julia,
            evidence: None,
        });
    }
    open.retain(|name| {
        !matches!(
            library_of(name),
            Some(SymbolLibrary::C | SymbolLibrary::Math)
        )
    });
    let support = julia.private_libdir.join("libgcc_s.so.1");
    if open.is_empty() || !support.is_file() {
        return Ok(Unresolved {
            missing: open,
            support: None,
        });
    }
    let found = libraries::exported(&support, &open)?;
    open.retain(|name| !found.contains(name));
    Ok(Unresolved {
        missing: open,
        support: Some(support).filter(|_| !found.is_empty()),
    })
}

/// Checks that the compiler or linker requested by the user, if any, can be found. The compilers
/// that are queried may write to `folder`.
///
/// # Errors
///
/// [`LinkError::NoProgram`] or [`LinkError::NoneOfThese`] if it cannot.
pub fn require_linker(
    choice: &LinkerChoice,
    julia: &JuliaFacts,
    generation: &Generation,
    environment: &Environment,
    folder: &Path,
) -> Result<(), LinkError> {
    let choice = resolve(choice, environment)?;
    if matches!(choice, LinkerChoice::Only(_)) {
        let inventory = find::inventory(julia, &quiet(environment), folder);
        require_one(julia.triplet, generation, &choice, &inventory)?;
    }
    Ok(())
}

/// Checks that the compiler which the user has named is on this machine. Unlike [`require_linker`], this needs
/// no facts about Julia.
///
/// # Errors
///
/// [`LinkError::NoProgram`] if it is not.
pub fn require_program(choice: &LinkerChoice, environment: &Environment) -> Result<(), LinkError> {
    resolve(choice, environment).map(drop)
}

/// Fails if the programs of all allowed strategies are missing.
pub(super) fn require_one(
    triplet: Triplet,
    generation: &Generation,
    choice: &LinkerChoice,
    inventory: &Inventory,
) -> Result<(), LinkError> {
    match choice {
        LinkerChoice::Only(wanted)
            if candidates(triplet, generation, choice, inventory).is_empty() =>
        {
            Err(LinkError::NoneOfThese {
                triplet,
                lacking: inventory.lacking(triplet.os(), generation, wanted),
            })
        }
        _ => Ok(()),
    }
}

/// Finds the program requested by the user.
pub(super) fn resolve(
    choice: &LinkerChoice,
    environment: &Environment,
) -> Result<LinkerChoice, LinkError> {
    let LinkerChoice::Words(words) = choice else {
        return Ok(choice.clone());
    };
    // A path of one program that contains spaces and was therefore split.
    let whole = words.join(" ");
    let (program, rest) = match (which(&words[0], environment), which(&whole, environment)) {
        (Some(program), _) => (program, &words[1..]),
        (None, Some(program)) => (program, &[][..]),
        (None, None) => {
            return Err(LinkError::NoProgram {
                program: words[0].clone(),
            });
        }
    };
    let words = std::iter::once(program.display().to_string()).chain(rest.iter().cloned());
    Ok(LinkerChoice::Words(words.collect()))
}

pub(super) fn write_exports(
    job: &LinkJob,
    scan: &Scan,
    work_dir: &Path,
) -> Result<PathBuf, LinkError> {
    let os = job.julia.triplet.os();
    let mut further = scan.callable();
    let is_defined = |name: &&String| scan.defined.iter().any(|(defined, _)| defined == *name);
    if let Some(name) = job.exports.iter().find(|name| !is_defined(name)) {
        return Err(LinkError::NoSuchExport { name: name.clone() });
    }
    further.extend(job.exports.iter().cloned());
    let defined = scan
        .defined
        .iter()
        .map(|(name, is_data)| (name.as_str(), *is_data));
    let path = work_dir.join(exports::file_name(os));
    std::fs::write(&path, exports::render(os, &job.name, defined, &further))
        .map_err(PathError::wrap("write", &path, LinkError::Path))?;
    Ok(path)
}

pub(super) fn write_libsystem(
    os: Os,
    scan: &Scan,
    work_dir: &Path,
) -> Result<Option<PathBuf>, LinkError> {
    if os != Os::MacOs {
        return Ok(None);
    }
    let path = work_dir.join("libSystem.tbd");
    std::fs::write(&path, stub::libsystem(&scan.undefined)).map_err(PathError::wrap(
        "write",
        &path,
        LinkError::Path,
    ))?;
    Ok(Some(path))
}

/// Returns an environment without variables that load other libraries into a linker, and with
/// English messages, which are parsed for names of undefined symbols.
pub(super) fn quiet(environment: &Environment) -> Environment {
    environment.for_julia().with("LC_ALL", "C")
}
