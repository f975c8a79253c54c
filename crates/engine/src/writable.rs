//! Checks of the folders that a build writes to, before any slow step.

use std::io::ErrorKind;
use std::path::Path;

use sysforge_plan::explain::PathError;

use crate::error::EngineError;
use crate::paths::require_writable_folder;

/// Makes sure that this folder exists or can be created, and that files can be created in it. Creates
/// nothing.
///
/// # Errors
///
/// [`EngineError::Path`] if the file system refuses one of the names in its path, for example because it is
/// too long, or no file can be created in the nearest existing folder.
pub(crate) fn require_usable_folder(folder: &Path) -> Result<(), EngineError> {
    let exists = |path: &&Path| path.symlink_metadata().is_ok();
    let nearest = folder.ancestors().find(exists).unwrap_or(Path::new("."));
    let missing = folder.strip_prefix(nearest).unwrap_or(folder);
    // A missing name is expected; any other error comes from the name itself.
    let names = missing.components().map(|name| nearest.join(name));
    let whole = std::iter::once(folder.to_owned());
    for path in names.chain(whole) {
        match path.symlink_metadata() {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(PathError::wrap("create", folder, EngineError::Path)(error));
            }
            _ => {}
        }
    }
    require_writable_folder(folder)
}

#[cfg(test)]
mod tests {
    use sysforge_plan::{Class, Explain as _};

    use super::*;

    #[test]
    fn a_folder_with_a_name_that_is_too_long_is_refused_and_nothing_is_created() {
        let root = tempfile::tempdir().unwrap();
        require_usable_folder(&root.path().join("a/b")).unwrap();
        let long = "x".repeat(260);
        for path in [root.path().join(&long), root.path().join("a").join(&long)] {
            let error = require_usable_folder(&path).unwrap_err();
            assert_eq!(error.class(), Class::Usage);
            assert!(error.hints()[0].contains("shorter path"), "{error}");
        }
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_folder_that_cannot_be_created_in_a_virtual_file_system_is_refused() {
        let error = require_usable_folder(Path::new("/proc/z")).unwrap_err();
        assert_eq!(error.class(), Class::Usage);
        assert!(!error.hints().is_empty(), "{error}");
    }
}
