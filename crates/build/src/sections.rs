//! The sections of an image file and their sizes.

use std::fs::File;
use std::path::Path;

use object::{Object, ObjectSection};

use crate::buffered_seek::BufferedSeek;
use crate::inspect::InspectError;

/// Returns the sections of a shared library that take space in the file: names and sizes in bytes,
/// in file order.
///
/// # Errors
///
/// [`InspectError`] if the file cannot be read or is not a shared library.
pub fn sections(path: &Path) -> Result<Vec<(String, u64)>, InspectError> {
    let file = File::open(path).map_err(|source| InspectError::Read {
        path: path.to_owned(),
        source,
    })?;
    let cache = BufferedSeek::cache(file);
    let parsed = object::File::parse(&cache).map_err(|error| InspectError::NotALibrary {
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    let sections = parsed.sections().filter_map(|section| {
        let (_, size) = section.file_range()?;
        let name = section.name().unwrap_or("?").to_owned();
        (size > 0).then_some((name, size))
    });
    Ok(sections.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_very_program_has_code() {
        let program = std::env::current_exe().unwrap();
        let sections = sections(&program).unwrap();
        let whole: u64 = sections.iter().map(|(_, size)| size).sum();
        assert!(
            sections.iter().any(|(name, _)| name.contains("text")),
            "{sections:?}"
        );
        assert!(whole <= program.metadata().unwrap().len());
    }

    #[test]
    fn what_is_no_library_is_an_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(sections(file.path()).is_err());
    }
}
