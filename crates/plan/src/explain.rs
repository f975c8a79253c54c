//! How errors are explained to users: the class (which decides the exit code), the hints, and the
//! last lines of a failed child process.
//!
//! Each crate has its own typed errors, which implement [`Explain`]; the command line renders all
//! of them in the same way.

use std::path::{Path, PathBuf};

/// The kind of failure. It decides the exit code, which is documented and stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// A bug in Sysforge: exit code 1.
    Bug,
    /// Wrong usage or configuration: exit code 2.
    Usage,
    /// Something could not be downloaded, verified, unpacked or stored: exit code 3.
    Acquire,
    /// The C toolchain or the linker failed: exit code 4.
    Toolchain,
    /// Julia failed: exit code 5.
    Julia,
    /// The image was built, but failed its check: exit code 6.
    Check,
    /// Publishing or installing failed: exit code 7.
    Publish,
    /// The machine: out of disk space or missing permissions. Exit code 8.
    Machine,
}

impl Class {
    /// Returns the process exit code of this class.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Bug => 1,
            Self::Usage => 2,
            Self::Acquire => 3,
            Self::Toolchain => 4,
            Self::Julia => 5,
            Self::Check => 6,
            Self::Publish => 7,
            Self::Machine => 8,
        }
    }
}

/// The last lines of a failed child process, and the path of its log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// The last lines that the child wrote, oldest first.
    pub tail: Vec<String>,
    /// The full log, kept for the user.
    pub log: Option<PathBuf>,
}

/// An error that explains to the user what to do about it.
///
/// `Display` gives the event as one lowercase fragment, `source` the cause.
pub trait Explain: std::error::Error + Send + Sync + 'static {
    /// Returns the class, which decides the exit code.
    fn class(&self) -> Class;

    /// Returns what to type or change next; each entry becomes a `hint:` line.
    fn hints(&self) -> Vec<String> {
        Vec::new()
    }

    /// Returns the file that caused the error, with line and column (from 1), if the user wrote it.
    fn location(&self) -> Option<(String, usize, usize)> {
        None
    }

    /// Returns the output of the failed child process, if there was one.
    fn evidence(&self) -> Option<Evidence> {
        None
    }
}

/// A file or folder could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("could not {action} {}", .path.display())]
pub struct PathError {
    /// The action that failed, as a verb.
    pub action: &'static str,
    /// The file or folder.
    pub path: PathBuf,
    /// The cause.
    #[source]
    pub source: std::io::Error,
}

/// The action of a [`PathError`] about the folder for temporary files.
pub const CREATE_TEMPORARY: &str = "create a temporary folder in";

impl PathError {
    /// Adds an action and a path to an I/O error and converts the result.
    pub fn wrap<E>(
        action: &'static str,
        path: &Path,
        wrap: impl FnOnce(Self) -> E,
    ) -> impl FnOnce(std::io::Error) -> E {
        let path = path.to_owned();
        move |source| {
            wrap(Self {
                action,
                path,
                source,
            })
        }
    }

    /// See [`io_class`]. No command has an option for the folder for temporary files, which belongs to
    /// the machine.
    pub fn class(&self, otherwise: Class) -> Class {
        if self.action == CREATE_TEMPORARY {
            return Class::Machine;
        }
        io_class(&self.source, otherwise)
    }

    /// See [`io_hint`].
    pub fn hints(&self) -> Vec<String> {
        if self.action == CREATE_TEMPORARY {
            let variable = if cfg!(windows) { "TMP" } else { "TMPDIR" };
            return vec![format!(
                "the variable {variable} names the folder for temporary files: it must exist, and you must \
                 be allowed to write to it"
            )];
        }
        if self.action == "use" && self.source.kind() == std::io::ErrorKind::InvalidInput {
            return vec!["choose another folder, or move it to one with a plain path".to_owned()];
        }
        if self.action == "write" && self.source.kind() == std::io::ErrorKind::NotFound {
            return vec!["create its folder first, or choose another one".to_owned()];
        }
        io_hint(&self.source).into_iter().collect()
    }
}

/// Returns the class of an I/O error: [`Class::Machine`] for a full disk or a missing permission,
/// otherwise `otherwise`.
pub fn io_class(error: &std::io::Error, otherwise: Class) -> Class {
    use std::io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    match error.kind() {
        StorageFull | QuotaExceeded | ReadOnlyFilesystem | PermissionDenied => Class::Machine,
        _ => otherwise,
    }
}

/// Returns the hint for an I/O error, if its kind has one.
pub fn io_hint(error: &std::io::Error) -> Option<String> {
    use std::io::ErrorKind::{
        AlreadyExists, ArgumentListTooLong, ExecutableFileBusy, FileTooLarge, HostUnreachable,
        InvalidData, InvalidFilename, InvalidInput, IsADirectory, NetworkUnreachable,
        NotADirectory, NotFound, OutOfMemory, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem,
        StaleNetworkFileHandle, StorageFull,
    };
    match error.kind() {
        StorageFull | QuotaExceeded => {
            Some("free some space, or choose a path on a larger disk".to_owned())
        }
        PermissionDenied => Some("choose another path, or change its permissions".to_owned()),
        ReadOnlyFilesystem => Some("choose a path on a disk that can be written".to_owned()),
        NotFound => Some("is the path right?".to_owned()),
        AlreadyExists => Some("choose another name, or remove what is there".to_owned()),
        IsADirectory => Some("name a file: this is a folder".to_owned()),
        NotADirectory => Some("name a folder: this, or a part of the path, is a file".to_owned()),
        // The system's own errors of these kinds are about something else.
        FileTooLarge if error.raw_os_error().is_none() => {
            Some("is this the right file? A file of this kind is never so large".to_owned())
        }
        InvalidInput if error.to_string().contains("regular file") => {
            Some("is the path right? Put a regular file there".to_owned())
        }
        InvalidInput if error.to_string().ends_with("in place of the lock file") => {
            Some("remove it: Sysforge creates its lock files itself".to_owned())
        }
        InvalidData if error.to_string().contains("UTF-8") => {
            Some("is this the right file? If it is a text, save it as UTF-8".to_owned())
        }
        InvalidFilename => {
            Some("choose a shorter path, or a name without unusual characters".to_owned())
        }
        StaleNetworkFileHandle | HostUnreachable | NetworkUnreachable => {
            Some("is the network file system still mounted?".to_owned())
        }
        OutOfMemory => Some("close other programs, or use a machine with more memory".to_owned()),
        ArgumentListTooLong => Some("shorten the arguments, or the environment".to_owned()),
        ExecutableFileBusy => Some("another program is writing this file: try again".to_owned()),
        // What follows are the system's own errors, most of which have no kind.
        _ if error.raw_os_error().is_none() => None,
        _ if error.raw_os_error() == LINK_LOOP => Some(
            "a symbolic link there leads back to itself: replace it by a regular file".to_owned(),
        ),
        _ if error.raw_os_error() == NO_PROGRAM => {
            Some("is it a program for this operating system and processor?".to_owned())
        }
        _ if error.raw_os_error() == OPEN_FILES => {
            Some("close other programs, or allow more open files (`ulimit -n`)".to_owned())
        }
        _ => Some(
            "is it a regular file on a disk that works? The operating system refused it".to_owned(),
        ),
    }
}

/// The system's error for symbolic links that lead to each other (`ELOOP`), which has no stable kind.
const LINK_LOOP: Option<i32> = match () {
    () if cfg!(target_os = "linux") => Some(40),
    () if cfg!(unix) => Some(62),
    () => None,
};

/// The system's error for a file that it cannot execute (`ENOEXEC`, `ERROR_BAD_EXE_FORMAT`).
const NO_PROGRAM: Option<i32> = Some(if cfg!(windows) { 193 } else { 8 });

/// The system's error for too many open files (`EMFILE`, `ERROR_TOO_MANY_OPEN_FILES`).
const OPEN_FILES: Option<i32> = Some(if cfg!(windows) { 4 } else { 24 });

/// Returns the causes of an error, outermost first. Skips a cause whose text the error repeats.
pub fn causes(error: &dyn Explain) -> Vec<String> {
    let mut all = Vec::new();
    let mut said = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !said.starts_with(&text) {
            all.push(text.clone());
        }
        said = text;
        source = cause.source();
    }
    all
}

/// Returns the candidate nearest to the typed text, if any is similar enough.
pub fn nearest<'a>(typed: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(typed, candidate), candidate))
        .filter(|(similarity, _)| *similarity > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// Returns hints for an unknown name: the name probably meant, and where to find the valid ones.
pub fn did_you_mean(nearest: Option<&str>, otherwise: &str) -> Vec<String> {
    let nearest = nearest.map(|name| format!("did you mean `{name}`?"));
    nearest.into_iter().chain([otherwise.to_owned()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_needs_a_resemblance() {
        assert_eq!(
            nearest("workload", ["workloads", "packages"]),
            Some("workloads")
        );
        assert_eq!(nearest("zzz", ["workloads", "packages"]), None);
    }

    #[test]
    fn a_file_that_is_no_program_is_told_as_that() {
        let code = NO_PROGRAM.unwrap();
        let hint = io_hint(&std::io::Error::from_raw_os_error(code)).unwrap();
        assert!(
            hint.contains("a program for this operating system"),
            "{hint}"
        );
    }

    #[test]
    fn a_temporary_folder_that_cannot_be_created_is_the_machines_fault_and_its_variable_is_named() {
        let source = std::io::ErrorKind::NotFound.into();
        let error = PathError::wrap(CREATE_TEMPORARY, Path::new("/nonexistent"), |e| e)(source);
        assert_eq!(error.class(Class::Julia), Class::Machine);
        let text = error.to_string();
        assert_eq!(text, "could not create a temporary folder in /nonexistent");
        let variable = if cfg!(windows) { "TMP" } else { "TMPDIR" };
        assert!(error.hints()[0].contains(variable));
    }

    #[test]
    fn the_hint_about_a_path_names_no_option() {
        use std::io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem, StorageFull};
        for kind in [PermissionDenied, ReadOnlyFilesystem, StorageFull] {
            let hint = io_hint(&kind.into()).unwrap();
            assert!(!hint.contains("--"), "{hint}");
        }
    }

    #[test]
    fn every_error_of_the_operating_system_has_a_hint() {
        for code in 1..=90 {
            let error = std::io::Error::from_raw_os_error(code);
            assert!(io_hint(&error).is_some(), "{error}");
        }
    }
}
