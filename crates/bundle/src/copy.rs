//! Copying files and folders into a bundle, and recording their sizes.

use std::path::{Path, PathBuf};

use sysforge_files::read_regular;
use sysforge_plan::app::BundledFile;

use crate::error::BundleError;
use crate::layout::slashed;
use crate::strip;

/// Maximum size in bytes of a shared library. That of LLVM, the largest in Julia, has some 100 MB.
pub(crate) const LIBRARY_LIMIT: u64 = 2 << 30;

/// A bundle that is being filled.
pub(crate) struct Target {
    root: PathBuf,
    files: Vec<BundledFile>,
}

impl Target {
    /// Creates an empty folder.
    pub(crate) fn create(root: &Path) -> Result<Self, BundleError> {
        sysforge_files::create_folders(root).map_err(BundleError::io("create", root))?;
        Ok(Self {
            root: root.to_owned(),
            files: Vec::new(),
        })
    }

    /// Returns the files that were added, sorted by path.
    pub(crate) fn finish(mut self) -> Vec<BundledFile> {
        self.files.sort();
        self.files
    }

    /// Copies a file to `path`, relative to the root, and keeps its mode. Does nothing if the path
    /// exists.
    pub(crate) fn file(&mut self, from: &Path, path: &Path, why: &str) -> Result<(), BundleError> {
        let to = self.destination(path)?;
        if to.symlink_metadata().is_ok() {
            return Ok(());
        }
        std::fs::copy(from, &to).map_err(BundleError::io("copy", from))?;
        self.note(&to, path, why)
    }

    /// Copies a shared library like [`Target::file`], without its debug information.
    pub(crate) fn library(
        &mut self,
        from: &Path,
        path: &Path,
        why: &str,
    ) -> Result<(), BundleError> {
        let data = read_regular(from, LIBRARY_LIMIT).map_err(BundleError::io("read", from))?;
        let Some(stripped) = strip::stripped(&data) else {
            return self.file(from, path, why);
        };
        let to = self.destination(path)?;
        if to.symlink_metadata().is_ok() {
            return Ok(());
        }
        sysforge_files::write_program(&to, &stripped).map_err(BundleError::io("write", &to))?;
        self.note(&to, path, why)
    }

    /// Writes a text file.
    pub(crate) fn text(&mut self, path: &Path, text: &str, why: &str) -> Result<(), BundleError> {
        let to = self.destination(path)?;
        std::fs::write(&to, text).map_err(BundleError::io("write", &to))?;
        self.note(&to, path, why)
    }

    /// Records a file that was written by other means.
    pub(crate) fn note(&mut self, to: &Path, path: &Path, why: &str) -> Result<(), BundleError> {
        let size = to.metadata().map_err(BundleError::io("read", to))?.len();
        self.files.push(BundledFile {
            path: slashed(path),
            size,
            why: sysforge_plan::text::shortened(why, 500),
        });
        Ok(())
    }

    /// Returns the full path of `path`, and creates its folder.
    pub(crate) fn destination(&self, path: &Path) -> Result<PathBuf, BundleError> {
        let to = self.root.join(path);
        if let Some(folder) = to.parent() {
            sysforge_files::create_folders(folder).map_err(BundleError::io("create", folder))?;
        }
        Ok(to)
    }

    /// Creates a symbolic link at `path` to `target`, both relative to the root. Copies the file if
    /// links are not supported.
    pub(crate) fn link(&mut self, path: &Path, target: &Path) -> Result<(), BundleError> {
        let to = self.destination(path)?;
        if to.symlink_metadata().is_ok() {
            return Ok(());
        }
        #[cfg(unix)]
        {
            let relative = relative(path.parent().unwrap_or(Path::new("")), target);
            std::os::unix::fs::symlink(&relative, &to).map_err(BundleError::io("link", &to))
        }
        #[cfg(not(unix))]
        {
            let from = self.root.join(target);
            self.file(&from, path, "another name of the same library")
        }
    }

    /// Copies a folder and everything below it; links remain links.
    pub(crate) fn tree(&mut self, from: &Path, path: &Path, why: &str) -> Result<(), BundleError> {
        for entry in walkdir::WalkDir::new(from).sort_by_file_name() {
            let entry = entry.map_err(|error| BundleError::io("read", from)(error.into()))?;
            let Ok(below) = entry.path().strip_prefix(from) else {
                continue;
            };
            let inside = path.join(below);
            if entry.file_type().is_symlink() {
                let target = std::fs::read_link(entry.path());
                let target = target.map_err(BundleError::io("read", entry.path()))?;
                let to = self.destination(&inside)?;
                link_as_is(&target, &to, entry.path())?;
            } else if entry.file_type().is_file() {
                self.file(entry.path(), &inside, why)?;
            }
        }
        Ok(())
    }
}

#[cfg(unix)]
fn link_as_is(target: &Path, to: &Path, _: &Path) -> Result<(), BundleError> {
    std::os::unix::fs::symlink(target, to).map_err(BundleError::io("link", to))
}

#[cfg(not(unix))]
fn link_as_is(_: &Path, to: &Path, from: &Path) -> Result<(), BundleError> {
    std::fs::copy(from, to)
        .map(drop)
        .map_err(BundleError::io("copy", from))
}

/// Returns the path from `folder` to `target`, both relative to the same root.
pub(crate) fn relative(folder: &Path, target: &Path) -> PathBuf {
    let (from, to): (Vec<_>, Vec<_>) = (folder.iter().collect(), target.iter().collect());
    let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n(std::ffi::OsStr::new(".."), from.len() - common);
    up.chain(to.into_iter().skip(common)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_from_one_folder_to_another() {
        let of = |folder: &str, target: &str| slashed(&relative(folder.as_ref(), target.as_ref()));
        assert_eq!(of("lib/julia", "lib/libz.so.1"), "../libz.so.1");
        assert_eq!(of("lib", "lib/julia/libz.so.1"), "julia/libz.so.1");
        assert_eq!(of("lib", "lib/libz.so.1"), "libz.so.1");
    }
}
