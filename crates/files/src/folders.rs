//! Creates folders. Nobody but their owner may put files into them, whatever the umask says: who can
//! replace a file of the store or of a build can run code as its owner.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

/// Creates a folder and its missing parents. Those that exist keep their permissions.
///
/// # Errors
///
/// If one cannot be created, or a file has its name.
pub fn create_folders(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o755);
    }
    builder.create(folder).map_err(|error| match error.kind() {
        // A file has the name of the folder.
        ErrorKind::AlreadyExists => ErrorKind::NotADirectory.into(),
        _ => error,
    })
}

/// Returns the path, or the nearest one above it that exists.
pub fn nearest_existing(path: &Path) -> &Path {
    let mut above = path.ancestors();
    above.find(|path| path.exists()).unwrap_or(path)
}

/// Checks that files can be created in a folder, or in the nearest one above it that exists. Leaves nothing
/// behind.
///
/// # Errors
///
/// The reason why not.
pub fn check_writable(folder: &Path) -> io::Result<()> {
    tempfile::tempfile_in(nearest_existing(folder)).map(drop)
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::PathBuf;
    use std::process::Command;

    use super::*;

    /// The folder of the test that is started without a umask.
    const FOLDER: &str = "SYSFORGE_TEST_FOLDER";

    #[test]
    fn only_the_owner_may_write_to_folders_and_files_whatever_the_umask_is() {
        let folder = tempfile::tempdir().unwrap();
        for umask in ["0", "002"] {
            let path = folder.path().join(umask);
            // The umask belongs to the whole process: another one creates the folders.
            let create = format!(
                "umask {umask}; exec \"$0\" --exact folders::tests::creates_with_any_umask --ignored"
            );
            let test = std::env::current_exe().unwrap();
            let mut shell = Command::new("sh");
            shell.args(["-c", &create]).arg(test).env(FOLDER, &path);
            let output = shell.output().unwrap();
            assert!(output.status.success(), "{output:?}");
            for name in [
                "", "a", "a/b", "c", "c/whole", "created", "opened", "locked",
            ] {
                let mode = fs::metadata(path.join(name)).unwrap().permissions().mode();
                assert_eq!(mode & 0o022, 0, "{name}: {mode:o}");
            }
        }
    }

    #[test]
    #[ignore = "a part of only_the_owner_may_write_to_folders_and_files_whatever_the_umask_is"]
    fn creates_with_any_umask() {
        let folder = PathBuf::from(std::env::var_os(FOLDER).unwrap());
        create_folders(&folder.join("a/b")).unwrap();
        crate::write_whole(&folder.join("c/whole"), b"").unwrap();
        crate::create(&folder.join("created")).unwrap();
        crate::open_or_create(&folder.join("opened")).unwrap();
        crate::exclusive(&folder.join("locked")).unwrap();
    }

    #[test]
    fn a_file_with_the_name_of_a_folder_is_named_as_such() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        for path in [&file, &file.join("below")] {
            let error = create_folders(path).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotADirectory);
        }
    }
}
