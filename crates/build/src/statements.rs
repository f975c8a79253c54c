//! The files of precompile statements named in the configuration.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use sysforge_plan::encoding::{NotUtf8, decode};
use sysforge_plan::explain::PathError;
use sysforge_plan::statements::{self, Ignored};
use sysforge_plan::{Class, Explain};

use crate::context::shown;

/// A file of statements cannot be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages describe the variants")]
pub enum StatementsError {
    #[error(transparent)]
    Path(#[from] PathError),
    #[error(transparent)]
    Encoding(#[from] NotUtf8),
}

impl Explain for StatementsError {
    fn class(&self) -> Class {
        match self {
            Self::Path(error) => error.class(Class::Usage),
            Self::Encoding(error) => error.class(),
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Path(error) => error.hints(),
            Self::Encoding(error) => error.hints(),
        }
    }

    fn location(&self) -> Option<(String, usize, usize)> {
        match self {
            Self::Path(_) => None,
            Self::Encoding(error) => error.location(),
        }
    }
}

/// The contents of the files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GivenStatements {
    /// The statements, without duplicates.
    pub statements: Vec<String>,
    /// Text that is not a statement.
    pub ignored: Vec<Ignored>,
}

/// Reads the files.
///
/// # Errors
///
/// If one cannot be read, or is not UTF-8.
pub fn read(files: &[PathBuf], project: &Path) -> Result<GivenStatements, StatementsError> {
    let mut given = GivenStatements::default();
    let mut seen = HashSet::new();
    for path in files {
        let bytes = sysforge_files::read_bytes(path).map_err(PathError::wrap(
            "read",
            path,
            StatementsError::Path,
        ))?;
        let name = shown(path, project);
        let text = decode(&name, &bytes)?;
        let found = statements::read(&text);
        let new = found.statements.into_iter();
        given
            .statements
            .extend(new.filter(|statement| seen.insert(statement.clone())));
        given
            .ignored
            .extend(found.ignored.into_iter().map(|ignored| Ignored {
                file: name.clone(),
                ..ignored
            }));
    }
    Ok(given)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_in_two_files_counts_once_and_what_is_none_names_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let files = ["a.jl", "b.jl"].map(|name| dir.path().join(name));
        std::fs::write(&files[0], "precompile(f, ())\nusing F\n").unwrap();
        std::fs::write(
            &files[1],
            "\u{feff}Base.precompile(f, ())\r\nprecompile(g, ())\r\n",
        )
        .unwrap();
        let given = read(&files, dir.path()).unwrap();
        assert_eq!(given.statements, ["precompile(f, ())", "precompile(g, ())"]);
        assert_eq!((given.ignored.len(), &*given.ignored[0].file), (1, "a.jl"));
    }

    #[test]
    fn a_file_of_powershell_is_an_error_with_a_hint() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("s.jl");
        std::fs::write(&file, b"\xff\xfep\0r\0").unwrap();
        let error = read(&[file], dir.path()).unwrap_err();
        assert_eq!(error.class(), Class::Usage);
        assert!(error.hints()[0].contains("UTF-8"), "{:?}", error.hints());
    }
}
