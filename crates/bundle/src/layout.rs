//! The layout of a bundle. Libraries keep their paths relative to Julia's folder, so that Julia and
//! the libraries find each other.

use std::path::{Path, PathBuf};

use sysforge_plan::app::{BundledFile, IMAGE_FOLDER};
use sysforge_plan::library::FOLDERS;
use sysforge_plan::{JuliaFacts, Os};

use crate::error::BundleError;

/// The folders in the bundle of a Julia.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Julia's folder above `bin`.
    pub prefix: PathBuf,
    /// The folder of `libjulia`, relative to the root.
    pub library_folder: PathBuf,
    /// The folder of the private libraries, relative to the root.
    pub private_folder: PathBuf,
    /// The path of `libjulia` itself, relative to the root.
    pub libjulia: PathBuf,
}

impl Layout {
    /// The layout for `julia`.
    pub fn of(julia: &JuliaFacts) -> Self {
        let prefix = julia.bindir.parent().unwrap_or(&julia.bindir).to_owned();
        let below = |folder: &Path, otherwise: &str| {
            let relative = folder.strip_prefix(&prefix).map(Path::to_owned);
            relative.unwrap_or_else(|_| PathBuf::from(otherwise))
        };
        let os = julia.triplet.os();
        let (libraries, private) = match os {
            Os::Windows => ("bin", "bin"),
            _ => ("lib", "lib/julia"),
        };
        let library_folder = below(&julia.libdir, libraries);
        let (major, minor) = julia.version.minor_pair();
        let file = match os {
            Os::Windows => "libjulia.dll".to_owned(),
            Os::MacOs => format!("libjulia.{major}.{minor}.dylib"),
            Os::Linux | Os::FreeBsd => format!("libjulia.so.{major}.{minor}"),
        };
        Self {
            libjulia: library_folder.join(file),
            private_folder: below(&julia.private_libdir, private),
            library_folder,
            prefix,
        }
    }

    /// Returns the path of the image `name`, relative to the root.
    pub fn image(name: &str) -> String {
        format!("{IMAGE_FOLDER}/{name}")
    }
}

/// Fails if a file is in none of the folders that archives of bundles have: it would not be packed.
///
/// # Errors
///
/// For the first such file.
pub fn require_packed(files: &[BundledFile]) -> Result<(), BundleError> {
    let is_packed = |file: &&BundledFile| {
        let folder = file.path.split_once('/').map(|(folder, _)| folder);
        folder.is_some_and(|folder| FOLDERS.contains(&folder))
    };
    match files.iter().find(|file| !is_packed(file)) {
        None => Ok(()),
        Some(file) => Err(BundleError::NotPacked(file.path.clone())),
    }
}

/// Formats a relative path with `/` on every system.
pub fn slashed(path: &Path) -> String {
    let parts = path.iter().map(|part| part.to_string_lossy());
    parts.collect::<Vec<_>>().join("/")
}

/// Whether a library belongs to the operating system itself. These libraries differ between
/// machines and must never be bundled: glibc's loader and libraries have to be from the same build.
pub fn is_systems_own(os: Os, library: &str) -> bool {
    let name = library.rsplit(['/', '\\']).next().unwrap_or(library);
    match os {
        Os::Linux | Os::FreeBsd => {
            let stem = name.split(".so").next().unwrap_or(name);
            const GLIBC: &[&str] = &[
                "libc",
                "libm",
                "libdl",
                "libpthread",
                "librt",
                "libutil",
                "libresolv",
                "libanl",
                "libthread_db",
                "libnsl",
                "libBrokenLocale",
                "libmvec",
                "linux-vdso",
                "linux-gate",
            ];
            GLIBC.contains(&stem) || name.starts_with("ld-") || name.starts_with("libnss_")
        }
        Os::MacOs => library.starts_with("/usr/lib/") || library.starts_with("/System/"),
        // Libraries outside of Julia's own folder come from Windows.
        Os::Windows => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_in_a_folder_that_is_packed() {
        let file = |path: &str| BundledFile {
            path: path.to_owned(),
            size: 1,
            why: "a reason".to_owned(),
        };
        // 7-Zip, which Julia's downloads need.
        let known = [
            "bin/tally",
            "lib/libjulia.so",
            "libexec/7z",
            "include/x.h",
            "share/x",
        ]
        .map(file);
        require_packed(&known).unwrap();
        for path in ["notes.txt", "Contents/Info.plist"] {
            let error = require_packed(&[file("bin/tally"), file(path)]).unwrap_err();
            assert!(error.to_string().contains(path), "{error}");
        }
    }

    #[test]
    fn the_c_library_is_the_systems_and_the_cpp_library_is_not() {
        for name in [
            "libc.so.6",
            "ld-linux-x86-64.so.2",
            "/lib64/libm.so.6",
            "libnss_files.so.2",
        ] {
            assert!(is_systems_own(Os::Linux, name), "{name}");
        }
        for name in [
            "libstdc++.so.6",
            "libgcc_s.so.1",
            "libcurl.so.4",
            "libcrypt.so.1",
        ] {
            assert!(!is_systems_own(Os::Linux, name), "{name}");
        }
        assert!(is_systems_own(Os::MacOs, "/usr/lib/libSystem.B.dylib"));
        assert!(!is_systems_own(Os::MacOs, "@rpath/libjulia.1.12.dylib"));
    }
}
