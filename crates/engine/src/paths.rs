//! Paths as users write them.

use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use sysforge_plan::explain::{self, PathError};

use crate::error::EngineError;

/// Returns the path in absolute form without `..`, so that it is valid in every child's working
/// directory. The file system resolves the part that exists, since `link/..` is not the folder that
/// contains the link.
pub fn absolute(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    if !path.components().any(|part| part == Component::ParentDir) {
        return path;
    }
    let mut resolved = PathBuf::new();
    for part in path.components() {
        if part != Component::ParentDir {
            resolved.push(part);
            continue;
        }
        resolved = sysforge_files::canonical_or_given(&resolved);
        resolved.pop();
    }
    resolved
}

/// Makes sure, before any slow step, that this folder exists or can be created, and that files can be
/// created in it. Creates nothing.
///
/// # Errors
///
/// [`EngineError::Path`] if the file system refuses one of the names in its path, for example because it is
/// too long, or no file can be created in the nearest existing folder.
pub fn require_writable_folder(folder: &Path) -> Result<(), EngineError> {
    let exists = |path: &&Path| path.symlink_metadata().is_ok();
    let nearest = folder.ancestors().find(exists).unwrap_or(Path::new("."));
    let missing = folder.strip_prefix(nearest).unwrap_or(folder);
    // A missing name is expected; any other error comes from the name itself.
    let names = missing.components().map(|name| nearest.join(name));
    for path in names.chain([folder.to_owned()]) {
        if let Err(error) = path.symlink_metadata()
            && error.kind() != ErrorKind::NotFound
        {
            return Err(PathError::wrap("create", folder, EngineError::Path)(error));
        }
    }
    // Not `is_dir`: only an attempt shows why it fails.
    let tried = tempfile::tempfile_in(nearest);
    let tried = tried.map(drop);
    tried.map_err(PathError::wrap("write", folder, EngineError::Path))
}

/// Makes sure, before any slow step, that this is a folder or can become one: that
/// neither it nor a part of its path is a file.
///
/// # Errors
///
/// [`EngineError::Path`] if it, or a part of its path, exists and is not a folder.
pub fn require_folder(folder: &Path) -> Result<(), EngineError> {
    let found = folder.ancestors().find_map(|path| path.metadata().ok());
    match found.is_none_or(|found| found.is_dir()) {
        true => Ok(()),
        false => {
            let error = std::io::ErrorKind::NotADirectory.into();
            Err(PathError::wrap("use", folder, EngineError::Path)(error))
        }
    }
}

/// Makes sure that a folder can be in Julia's lists of folders (`JULIA_LOAD_PATH`, `JULIA_DEPOT_PATH`),
/// and in Sysforge's records: its path is Unicode, and has no separator of such lists in it.
///
/// # Errors
///
/// [`EngineError::Path`] if not.
pub fn require_listable_folder(folder: &Path) -> Result<(), EngineError> {
    const SEPARATOR: char = if cfg!(windows) { ';' } else { ':' };
    let refuse = |why: String| {
        let error = std::io::Error::new(std::io::ErrorKind::InvalidInput, why);
        Err(PathError::wrap("use", folder, EngineError::Path)(error))
    };
    match folder.to_str() {
        None => refuse("its path is not Unicode".to_owned()),
        Some(text) if text.contains(SEPARATOR) => refuse(format!(
            "its path has a `{SEPARATOR}` in it, which separates the folders of Julia's lists"
        )),
        Some(text) if text.contains(char::is_control) => {
            refuse("its path has a control character in it".to_owned())
        }
        Some(_) => Ok(()),
    }
}

/// Makes sure, before any slow step, that this file can be written.
///
/// # Errors
///
/// [`EngineError::Path`] if it is a folder, or no file can be created in the folder that contains
/// it.
pub fn require_writable_file(path: &Path) -> Result<(), EngineError> {
    let unwritable = PathError::wrap("write", path, EngineError::Path);
    if path.is_dir() {
        return Err(unwritable(std::io::ErrorKind::IsADirectory.into()));
    }
    if sysforge_files::is_special(path) {
        return Ok(());
    }
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    tempfile::tempfile_in(folder).map(drop).map_err(unwritable)
}

/// Makes sure that a file which is to be renamed into place does not replace a pipe or a device.
pub(crate) fn require_no_device(path: &Path) -> Result<(), EngineError> {
    if !sysforge_files::is_special(path) {
        return Ok(());
    }
    let error = std::io::Error::new(std::io::ErrorKind::InvalidInput, "it is not a regular file");
    Err(PathError::wrap("write", path, EngineError::Path)(error))
}

/// Makes sure, before any slow step, that this file can be read.
///
/// # Errors
///
/// [`EngineError::Path`] if it cannot be opened or read.
pub fn require_readable_file(path: &Path) -> Result<(), EngineError> {
    let read = std::fs::File::open(path).and_then(|mut file| {
        // A folder can be opened, but not read.
        std::io::Read::read(&mut file, &mut [0]).map(drop)
    });
    read.map_err(PathError::wrap("read", path, EngineError::Path))
}

/// Reads a file.
///
/// # Errors
///
/// [`EngineError::Path`] if it cannot be read, is not a regular file, or has more than 256 MiB.
pub fn read_file(path: &Path) -> Result<Vec<u8>, EngineError> {
    sysforge_files::read_bytes(path).map_err(PathError::wrap("read", path, EngineError::Path))
}

/// Creates a temporary folder, which is removed when the returned value is dropped.
pub(crate) fn temporary_folder() -> Result<tempfile::TempDir, EngineError> {
    let parent = tempfile::env::temp_dir();
    let created = tempfile::tempdir_in(&parent);
    created.map_err(PathError::wrap(
        explain::CREATE_TEMPORARY,
        &parent,
        EngineError::Path,
    ))
}

/// Writes a file that a user has named.
///
/// # Errors
///
/// [`EngineError::Path`] if it cannot be written.
pub fn write_file(path: &Path, text: &str) -> Result<(), EngineError> {
    let written = sysforge_files::write_named_by_user(path, text.as_bytes());
    written.map_err(PathError::wrap("write", path, EngineError::Path))
}

#[cfg(test)]
mod tests {
    use sysforge_plan::{Class, Explain as _};

    use super::*;

    #[test]
    fn a_folder_with_a_name_that_is_too_long_is_refused_and_nothing_is_created() {
        let root = tempfile::tempdir().unwrap();
        require_writable_folder(&root.path().join("a/b")).unwrap();
        let long = "x".repeat(260);
        for path in [root.path().join(&long), root.path().join("a").join(&long)] {
            let error = require_writable_folder(&path).unwrap_err();
            assert_eq!(error.class(), Class::Usage);
            assert!(error.hints()[0].contains("shorter path"), "{error}");
        }
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_folder_that_cannot_be_created_in_a_virtual_file_system_is_refused() {
        let error = require_writable_folder(Path::new("/proc/z")).unwrap_err();
        assert_eq!(error.class(), Class::Usage);
        assert!(!error.hints().is_empty(), "{error}");
    }

    #[test]
    fn a_folder_may_be_missing_but_no_part_of_its_path_may_be_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        require_folder(folder.path()).unwrap();
        require_folder(&folder.path().join("a/b")).unwrap();
        for path in [file.clone(), file.join("a")] {
            let error = require_folder(&path).unwrap_err();
            assert!(error.hints()[0].starts_with("name a folder"), "{error}");
        }
    }

    #[test]
    #[cfg(unix)]
    fn a_folder_that_cannot_be_in_a_list_of_folders_is_refused() {
        use std::os::unix::ffi::OsStrExt;
        let said = |bytes: &[u8]| {
            let folder = Path::new(std::ffi::OsStr::from_bytes(bytes));
            let error = require_listable_folder(folder).err()?;
            std::error::Error::source(&error).map(ToString::to_string)
        };
        assert_eq!(said("/srv/größe; 1".as_bytes()), None);
        assert!(said(b"/srv/a:b").unwrap().contains("has a `:` in it"));
        assert_eq!(said(b"/srv/\xff").unwrap(), "its path is not Unicode");
        assert!(said(b"/srv/a\nb").unwrap().contains("control character"));
    }

    #[cfg(unix)]
    #[test]
    fn an_image_does_not_replace_a_device() {
        let error = require_no_device(Path::new("/dev/null")).unwrap_err();
        assert_eq!(error.to_string(), "could not write /dev/null");
        require_no_device(Path::new("/dev/no-such-device")).unwrap();
    }

    #[test]
    fn paths_have_no_parent_in_them() {
        let folder = tempfile::tempdir().unwrap();
        let root = sysforge_files::canonical(folder.path()).unwrap();
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        assert_eq!(absolute(&root.join("a/b/../../c")), root.join("c"));
        assert_eq!(absolute(&root.join("nowhere/../c")), root.join("c"));
        assert_eq!(absolute(&root.join("a/b")), root.join("a/b"));
        let above = root.ancestors().last().unwrap();
        assert_eq!(absolute(&above.join("../x")), above.join("x"));
        if cfg!(windows) {
            assert_eq!(absolute(Path::new(r"C:\a\..\..\x")), Path::new(r"C:\x"));
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_parent_of_a_link_is_where_it_leads() {
        let folder = tempfile::tempdir().unwrap();
        let root = sysforge_files::canonical(folder.path()).unwrap();
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::os::unix::fs::symlink(root.join("a/b"), root.join("link")).unwrap();
        assert_eq!(absolute(&root.join("link/../c")), root.join("a/c"));
    }
}
