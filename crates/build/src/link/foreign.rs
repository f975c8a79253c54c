//! The facts of a Julia that this machine cannot run. For cross-linking they are read from its
//! directory instead of by running it.

use std::path::{Path, PathBuf};

use sysforge_plan::explain::PathError;
use sysforge_plan::generation::Generation;
use sysforge_plan::link::Layout;
use sysforge_plan::{JuliaFacts, JuliaVersion, Os, Triplet};

use super::error::LinkError;

/// Reads the facts of the Julia for `triplet` in `dir`. Its version is `version`, or is read from
/// the directory.
///
/// # Errors
///
/// [`LinkError::NotAJulia`] if the directory does not contain a Julia, or its version is unknown.
pub fn facts(
    dir: &Path,
    triplet: Triplet,
    version: Option<JuliaVersion>,
) -> Result<JuliaFacts, LinkError> {
    let not = |reason: &str| LinkError::NotAJulia {
        path: dir.to_owned(),
        triplet,
        reason: reason.to_owned(),
    };
    let dir = std::path::absolute(dir).map_err(PathError::wrap("find", dir, LinkError::Path))?;
    // A macOS application contains its Julia in a subfolder.
    let inside = dir.join("Contents/Resources/julia");
    let dir = if inside.is_dir() { inside } else { dir };
    if !dir.is_dir() {
        return Err(not("there is no such directory"));
    }
    let version = version
        .or_else(|| version_in_header(&dir))
        .or_else(|| version_in_name(&dir))
        .ok_or_else(|| not("it does not tell its version (say it with `--julia-version`)"))?;
    let generation = Generation::of(&version).ok_or_else(|| LinkError::TooOld(version.clone()))?;
    let conventions = triplet.os().conventions();
    let libdir = libdir(&dir, triplet, generation, &version);
    let private_libdir = match triplet.os() {
        Os::Windows => dir.join(conventions.private_dir),
        _ => libdir.join("julia"),
    };
    let image = format!("sys.{}", conventions.library_extension);
    let base_image = match triplet.os() {
        Os::Windows => dir.join("lib/julia").join(image),
        _ => private_libdir.join(image),
    };
    let (major, minor) = version.minor_pair();
    Ok(JuliaFacts {
        executable: dir
            .join("bin")
            .join(format!("julia{}", conventions.exe_suffix)),
        commit: String::new(),
        triplet,
        bindir: dir.join("bin"),
        libdir,
        private_libdir,
        private_libexecdir: generation.ships_lld.then(|| dir.join("libexec/julia")),
        stdlib: dir.join(format!("share/julia/stdlib/v{major}.{minor}")),
        base_image,
        cpu_name: String::new(),
        cpu_threads: 1,
        version,
    })
}

/// Returns the folder of `libjulia`: `lib` or, in a distribution's layout, a folder in it.
fn libdir(
    dir: &Path,
    triplet: Triplet,
    generation: &'static Generation,
    version: &JuliaVersion,
) -> PathBuf {
    let usual = dir.join(triplet.os().conventions().libjulia_dir);
    let names = Layout::of(triplet.os(), generation).file_names("julia", version.minor_pair());
    let holds = |dir: &Path| names.iter().any(|name| dir.join(name).is_file());
    if holds(&usual) {
        return usual;
    }
    let below = std::fs::read_dir(dir.join("lib"))
        .into_iter()
        .flatten()
        .flatten();
    let mut below: Vec<_> = below
        .map(|entry| entry.path())
        .filter(|path| holds(path))
        .collect();
    below.sort();
    below.into_iter().next().unwrap_or(usual)
}

/// Reads `#define JULIA_VERSION_STRING "1.10.8"` from Julia's headers.
fn version_in_header(dir: &Path) -> Option<JuliaVersion> {
    let header = sysforge_files::read_text(dir.join("include/julia/julia_version.h")).ok()?;
    let line = header
        .lines()
        .find(|line| line.contains("JULIA_VERSION_STRING"))?;
    line.split('"').nth(1)?.parse().ok()
}

/// Returns the version in an official directory's name: `julia-1.10.8`, `Julia-1.10`.
fn version_in_name(dir: &Path) -> Option<JuliaVersion> {
    dir.file_name()?
        .to_str()?
        .strip_prefix("julia-")?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(path: &Path) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    }

    #[test]
    fn an_official_layout_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let julia = dir.path().join("julia-1.10.8");
        touch(&julia.join("lib/libjulia.dylib"));
        let facts = facts(&julia, Triplet::AARCH64_APPLE_DARWIN, None).unwrap();
        assert_eq!(facts.version, JuliaVersion::new(1, 10, 8));
        assert_eq!(facts.private_libdir, julia.join("lib/julia"));
        assert_eq!(facts.private_libexecdir, Some(julia.join("libexec/julia")));
    }

    #[test]
    fn a_distributions_layout_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let lib = dir.path().join("lib/x86_64-linux-gnu");
        touch(&lib.join("libjulia.so.1"));
        let version = Some(JuliaVersion::new(1, 5, 3));
        let facts = facts(dir.path(), Triplet::X86_64_LINUX_GNU, version).unwrap();
        assert_eq!(facts.libdir, lib);
        assert_eq!(facts.private_libdir, lib.join("julia"));
    }

    #[test]
    fn the_windows_layout_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let header = dir.path().join("include/julia/julia_version.h");
        touch(&header);
        std::fs::write(&header, "#define JULIA_VERSION_STRING \"1.9.4\"\n").unwrap();
        let facts = facts(dir.path(), Triplet::X86_64_W64_MINGW32, None).unwrap();
        assert_eq!(facts.version, JuliaVersion::new(1, 9, 4));
        assert_eq!(facts.libdir, dir.path().join("bin"));
        assert_eq!(facts.base_image, dir.path().join("lib/julia/sys.dll"));
    }

    #[test]
    fn a_directory_that_does_not_tell_its_version_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let error = facts(dir.path(), Triplet::X86_64_LINUX_GNU, None).unwrap_err();
        assert!(
            error.to_string().contains("does not tell its version"),
            "{error}"
        );
    }
}
