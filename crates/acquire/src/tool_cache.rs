//! The tool cache of CI runners, in the layout of setup-julia and `@actions/tool-cache`:
//! `ROOT/julia/VERSION/ARCH/`, and the empty file `ROOT/julia/VERSION/ARCH.complete`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sysforge_files::{exclusive, rename};
use sysforge_plan::{Arch, JuliaVersion, Triplet};

/// A runner's tool cache (`RUNNER_TOOL_CACHE`).
#[derive(Debug, Clone)]
pub struct ToolCache {
    root: PathBuf,
}

impl ToolCache {
    /// Returns the tool cache in `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Returns the path of a Julia of this version, if it is present and marked complete.
    ///
    /// setup-julia writes the mark before it unpacks, so the executable must exist as well.
    pub fn find(&self, version: &JuliaVersion, triplet: Triplet) -> Option<PathBuf> {
        let folder = self.folder(version);
        arch_names(triplet.arch())
            .iter()
            .filter(|arch| folder.join(format!("{arch}.complete")).is_file())
            .map(|arch| folder.join(arch))
            .find(|prefix| is_julia(prefix, triplet))
    }

    /// Copies a Julia into the tool cache and marks it complete. Returns its path.
    ///
    /// # Errors
    ///
    /// If the folder of the version cannot be created or locked, the Julia cannot be copied or
    /// marked complete, or an incomplete copy cannot be removed.
    pub fn add(
        &self,
        version: &JuliaVersion,
        triplet: Triplet,
        prefix: &Path,
    ) -> io::Result<PathBuf> {
        if let Some(there) = self.find(version, triplet) {
            return Ok(there);
        }
        let folder = self.folder(version);
        sysforge_files::create_folders(&folder)?;
        let arch = arch_names(triplet.arch())[0];
        // Without locks, the second process fails at the rename.
        let _lock = exclusive(&folder.join(format!(".{arch}.lock")))?;
        if let Some(there) = self.find(version, triplet) {
            return Ok(there);
        }
        let place = folder.join(arch);
        let copy = tempfile::Builder::new()
            .prefix(&format!(".{arch}-"))
            .tempdir_in(&folder)?;
        copy_tree(prefix, copy.path())?;
        // This is incomplete, or `find` would have found it.
        if place.symlink_metadata().is_ok() {
            fs::remove_dir_all(&place)?;
        }
        rename(copy.path(), &place)?;
        let _ = copy.keep();
        fs::write(folder.join(format!("{arch}.complete")), "")?;
        Ok(place)
    }

    fn folder(&self, version: &JuliaVersion) -> PathBuf {
        self.root.join("julia").join(version.to_string())
    }
}

/// Returns the names that runners use for an architecture, the usual one first.
const fn arch_names(arch: Arch) -> &'static [&'static str] {
    match arch {
        Arch::X86_64 => &["x64"],
        Arch::I686 => &["x86"],
        Arch::Aarch64 => &["aarch64", "arm64"],
        Arch::Armv7l => &["arm"],
        Arch::Powerpc64le => &["ppc64le"],
    }
}

fn is_julia(prefix: &Path, triplet: Triplet) -> bool {
    prefix.join(executable(triplet)).is_file()
}

fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let metadata = fs::symlink_metadata(&source)?;
        if metadata.is_dir() {
            sysforge_files::create_folders(&target)?;
            copy_tree(&source, &target)?;
        } else if metadata.is_symlink() {
            copy_link(&source, &target)?;
        } else {
            fs::copy(&source, &target)?;
            fs::File::options()
                .write(true)
                .open(&target)?
                .set_modified(metadata.modified()?)?;
        }
    }
    Ok(())
}

#[cfg(unix)]
fn copy_link(source: &Path, target: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(fs::read_link(source)?, target)
}

#[cfg(not(unix))]
fn copy_link(source: &Path, target: &Path) -> io::Result<()> {
    fs::copy(source, target).map(drop)
}

/// Returns the path of the executable, relative to a Julia's prefix.
pub(crate) fn executable(triplet: Triplet) -> String {
    format!("bin/julia{}", triplet.os().conventions().exe_suffix)
}
