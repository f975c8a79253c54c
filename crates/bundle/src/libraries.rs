//! Finds the libraries that an app needs: the ones named in the dynamic sections of libjulia and of
//! the image, their dependencies, and the ones that the app opened while it was observed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use sysforge_build::inspect::{InspectError, inspect};
use sysforge_plan::generation::COMPILER;
use sysforge_plan::text::TreeHash;
use sysforge_plan::{JuliaFacts, Os};

use crate::error::BundleError;
use crate::layout::{Layout, is_systems_own, slashed};

/// A library that goes into the bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedLibrary {
    /// The file on this machine, with symbolic links resolved.
    pub source: PathBuf,
    /// Why it is needed.
    pub why: String,
    /// Its origin.
    pub origin: Origin,
}

/// The origin of a library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// From the folders of Julia's libraries: it keeps its path.
    Julia,
    /// From this system: it is put into the folder of libjulia under this name.
    System(String),
}

/// Whether a bundle contains Julia's compiler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compiler {
    /// It does.
    Included,
    /// It does not. Julia must be able to start without it.
    LeftOut,
}

/// The libraries that an app needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needed {
    /// The libraries for the bundle without duplicates, in the order in which they were found.
    pub libraries: Vec<SharedLibrary>,
    /// The libraries that the system must provide.
    pub system: BTreeSet<String>,
}

/// A library whose own dependencies are not known yet.
struct Open {
    path: PathBuf,
    why: String,
}

/// Finds the dependencies of libraries, one after another.
struct Closure<'a> {
    os: Os,
    folders: Vec<PathBuf>,
    opened: &'a [PathBuf],
    artifacts: &'a [PathBuf],
    compiler: Compiler,
    found: BTreeMap<PathBuf, usize>,
    needed: Needed,
    queue: VecDeque<Open>,
}

/// Finds the libraries for an image. `opened` are the libraries that a process which ran the app
/// had open at its end; `artifacts` are folders that are bundled with their own libraries. Those of a
/// `compiler` that is left out are skipped, whatever needs them.
///
/// # Errors
///
/// If a library needs another one that is not found.
pub fn needed(
    julia: &JuliaFacts,
    image: &Path,
    opened: &[PathBuf],
    artifacts: &[PathBuf],
    compiler: Compiler,
) -> Result<Needed, BundleError> {
    let layout = Layout::of(julia);
    let mut folders = vec![julia.libdir.clone(), julia.private_libdir.clone()];
    folders.dedup();
    let folders = folders
        .into_iter()
        .map(|folder| sysforge_files::canonical_or_given(&folder))
        .collect();
    let artifacts: Vec<PathBuf> = artifacts
        .iter()
        .map(|folder| sysforge_files::canonical_or_given(folder))
        .collect();
    let mut closure = Closure {
        os: julia.triplet.os(),
        folders,
        opened,
        artifacts: &artifacts,
        compiler,
        found: BTreeMap::new(),
        needed: Needed::default(),
        queue: VecDeque::new(),
    };
    closure.add(&layout.prefix.join(&layout.libjulia), "the Julia runtime")?;
    // Since 1.6, libjulia opens the others from its own list.
    for name in closure.runtime_parts() {
        closure.add(&name, "a part of the Julia runtime")?;
    }
    closure.follow(image, "the image")?;
    // A library that another one needs is usually open as well: the dependency is the better
    // reason.
    closure.follow_all()?;
    for library in opened {
        if is_the_app_itself(library, image, julia) {
            continue;
        }
        closure.add_opened(library)?;
        closure.follow_all()?;
    }
    Ok(closure.needed)
}

/// Returns the artifacts that the libraries are files of, each with its folder:
/// `DEPOT/artifacts/TREE/lib/libx.so`.
pub fn artifacts_of(libraries: &[PathBuf]) -> impl Iterator<Item = (TreeHash, PathBuf)> + '_ {
    libraries.iter().flat_map(|library| {
        library.ancestors().skip(1).filter_map(|folder| {
            let is_artifact = folder.parent()?.file_name()? == "artifacts";
            let tree = TreeHash::new(folder.file_name()?.to_str()?).ok()?;
            (is_artifact && folder.is_dir()).then(|| (tree, folder.to_owned()))
        })
    })
}

/// Whether a library is the image, or the executable or base image of the Julia that ran it.
fn is_the_app_itself(library: &Path, image: &Path, julia: &JuliaFacts) -> bool {
    use sysforge_files::canonical_or_given as real;
    let library = real(library);
    [image, &julia.executable, &julia.base_image]
        .iter()
        .any(|path| real(path) == library)
}

impl Closure<'_> {
    /// Returns the libraries of Julia that are called `libjulia…`, except debug builds.
    fn runtime_parts(&self) -> Vec<PathBuf> {
        let mut parts = Vec::new();
        for folder in &self.folders {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                let is_library =
                    name.contains(".so") || name.contains(".dylib") || name.ends_with(".dll");
                if name.starts_with("libjulia") && is_library && !name.contains("-debug") {
                    parts.push(entry.path());
                }
            }
        }
        parts.sort();
        parts
    }

    /// Adds a library that the app opened while it ran.
    fn add_opened(&mut self, library: &Path) -> Result<(), BundleError> {
        if is_systems_own(self.os, &library.to_string_lossy()) {
            self.note_system(library);
            return Ok(());
        }
        let Ok(real) = sysforge_files::canonical(library) else {
            // linux-vdso, or a file that was removed after it was opened.
            return Ok(());
        };
        if self.artifacts.iter().any(|folder| real.starts_with(folder)) {
            // It is bundled with its artifact, but its dependencies may not be.
            return self.follow(&real, &file_name(&real));
        }
        let inside = self.folders.iter().any(|folder| real.starts_with(folder));
        if self.os == Os::Windows && !inside {
            return Ok(());
        }
        self.add(library, "the app opens it")
    }

    /// Adds all direct and indirect dependencies of the libraries found so far.
    fn follow_all(&mut self) -> Result<(), BundleError> {
        while let Some(Open { path, why }) = self.queue.pop_front() {
            self.follow(&path, &why)?;
        }
        Ok(())
    }

    /// Adds a library to the bundle.
    fn add(&mut self, path: &Path, why: &str) -> Result<(), BundleError> {
        let real = sysforge_files::canonical(path).map_err(BundleError::io("read", path))?;
        if self.found.contains_key(&real) || self.leaves_out(&real) {
            return Ok(());
        }
        let inside = self.folders.iter().any(|folder| real.starts_with(folder));
        let origin = match inside {
            true => Origin::Julia,
            false => Origin::System(file_name(path)),
        };
        self.found.insert(real.clone(), self.needed.libraries.len());
        self.needed.libraries.push(SharedLibrary {
            source: real.clone(),
            why: why.to_owned(),
            origin,
        });
        self.queue.push_back(Open {
            why: file_name(&real),
            path: real,
        });
        Ok(())
    }

    /// Whether a library is a part of the compiler, and the compiler is left out. A library of an
    /// artifact is not: a package needs it.
    fn leaves_out(&self, real: &Path) -> bool {
        let name = file_name(real);
        self.compiler == Compiler::LeftOut && COMPILER.iter().any(|part| name.starts_with(part))
    }

    /// Adds the dependencies of a library.
    fn follow(&mut self, library: &Path, name: &str) -> Result<(), BundleError> {
        let inspection = match inspect(library) {
            Ok(inspection) => inspection,
            // A linker script, such as libgcc_s.so of some distributions, or another text file of
            // that name.
            Err(InspectError::NotALibrary { .. }) => return Ok(()),
            Err(source) => {
                return Err(BundleError::Library {
                    path: library.to_owned(),
                    source,
                });
            }
        };
        for needed in &inspection.needed {
            if is_systems_own(self.os, needed) {
                self.note_system(Path::new(needed));
                continue;
            }
            match self.locate(needed, library, &inspection.run_paths) {
                Some(path) => {
                    let real = sysforge_files::canonical_or_given(&path);
                    if self.artifacts.iter().any(|folder| real.starts_with(folder)) {
                        continue;
                    }
                    self.add(&path, &format!("{name} needs it"))?;
                }
                // Windows' own libraries, and on macOS those that exist only in the loader's cache.
                None if self.os != Os::Linux => self.note_system(Path::new(needed)),
                None => {
                    return Err(BundleError::NoLibrary {
                        needed: needed.clone(),
                        by: library.to_owned(),
                    });
                }
            }
        }
        Ok(())
    }

    fn note_system(&mut self, library: &Path) {
        let name = file_name(library);
        if !name.starts_with("linux-") {
            self.needed.system.insert(name);
        }
    }

    /// Finds a library as the loader does: in the run path of the library that needs it, in Julia's
    /// folders, where it was opened on this machine, and in the system's folders.
    fn locate(&self, needed: &str, by: &Path, run_paths: &[String]) -> Option<PathBuf> {
        let name = file_name(Path::new(needed));
        let beside = by.parent()?;
        let own = run_paths.iter().filter_map(|path| {
            let path = path.replace("${ORIGIN}", "$ORIGIN");
            let rest = path
                .strip_prefix("$ORIGIN")
                .or_else(|| path.strip_prefix("@loader_path"))?;
            Some(beside.join(rest.trim_start_matches('/')))
        });
        let mut folders = self.folders.clone();
        if self.os == Os::Windows {
            folders.push(beside.to_owned());
        } else {
            folders.splice(0..0, own);
        }
        let in_folders = folders
            .iter()
            .map(|folder| folder.join(&name))
            .find(|path| path.is_file());
        let opened = || {
            self.opened
                .iter()
                .find(|path| file_name(path) == name)
                .cloned()
        };
        let system = || {
            let folders = system_folders(self.os);
            folders
                .iter()
                .map(|folder| Path::new(folder).join(&name))
                .find(|path| path.is_file())
        };
        in_folders.or_else(opened).or_else(system)
    }
}

/// Returns the folders that Linux loaders search without any configuration, for all distributions.
pub(crate) fn system_folders(os: Os) -> &'static [&'static str] {
    match os {
        Os::Linux => &[
            "/lib64",
            "/usr/lib64",
            "/lib/x86_64-linux-gnu",
            "/usr/lib/x86_64-linux-gnu",
            "/lib/aarch64-linux-gnu",
            "/usr/lib/aarch64-linux-gnu",
            "/lib/i386-linux-gnu",
            "/usr/lib/i386-linux-gnu",
            "/lib",
            "/usr/lib",
        ],
        _ => &[],
    }
}

fn file_name(path: &Path) -> String {
    let text = slashed(path);
    text.rsplit(['/', '\\']).next().unwrap_or(&text).to_owned()
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use sysforge_plan::{JuliaVersion, Triplet};

    /// A Julia whose libjulia is a copy of this test, which needs the C library and libgcc_s.
    fn julia(root: &Path) -> JuliaFacts {
        let folders = ["bin", "lib/julia"].map(|name| root.join(name));
        for folder in &folders {
            std::fs::create_dir_all(folder).unwrap();
        }
        let itself = Path::new("/proc/self/exe");
        std::fs::copy(itself, root.join("lib/libjulia.so.1.5")).unwrap();
        JuliaFacts {
            executable: root.join("bin/julia"),
            version: JuliaVersion::new(1, 5, 3),
            commit: String::new(),
            triplet: Triplet::X86_64_LINUX_GNU,
            bindir: root.join("bin"),
            libdir: root.join("lib"),
            private_libdir: root.join("lib/julia"),
            private_libexecdir: None,
            stdlib: root.join("share/julia/stdlib"),
            base_image: root.join("lib/julia/sys.so"),
            cpu_name: "generic".to_owned(),
            cpu_threads: 2,
        }
    }

    #[test]
    fn what_a_library_needs_comes_along_and_the_c_library_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let julia = julia(dir.path());
        let image = dir.path().join("lib/libjulia.so.1.5");
        let found = needed(&julia, &image, &[], &[], Compiler::Included).unwrap();
        let of = |name: &str| {
            found
                .libraries
                .iter()
                .find(|l| file_name(&l.source).starts_with(name))
        };
        assert_eq!(of("libjulia").unwrap().origin, Origin::Julia);
        let gcc = of("libgcc_s").unwrap();
        assert_eq!(gcc.origin, Origin::System("libgcc_s.so.1".to_owned()));
        assert!(gcc.why.contains("needs it"), "{gcc:?}");
        // An open library that another one needs keeps the more specific reason.
        let opened = [gcc.source.clone()];
        let again = needed(&julia, &image, &opened, &[], Compiler::Included).unwrap();
        assert_eq!(again.libraries, found.libraries);
        assert!(found.system.contains("libc.so.6"), "{:?}", found.system);
        assert!(of("libc.").is_none());
    }

    #[test]
    fn a_library_that_the_app_opened_is_added_once_by_its_real_file() {
        let dir = tempfile::tempdir().unwrap();
        let julia = julia(dir.path());
        let real = dir.path().join("lib/libz.so.1.2");
        std::fs::copy(dir.path().join("lib/libjulia.so.1.5"), &real).unwrap();
        let link = dir.path().join("lib/julia/libz.so");
        std::os::unix::fs::symlink("../libz.so.1.2", &link).unwrap();
        let image = dir.path().join("lib/libjulia.so.1.5");
        let opened = [link, real, PathBuf::from("linux-vdso.so.1")];
        let found = needed(&julia, &image, &opened, &[], Compiler::Included).unwrap();
        let same = found
            .libraries
            .iter()
            .filter(|l| file_name(&l.source).starts_with("libz"));
        let same: Vec<_> = same.collect();
        assert_eq!(same.len(), 1, "{:?}", found.libraries);
        assert_eq!(same[0].why, "the app opens it");
        assert!(!found.system.iter().any(|name| name.starts_with("linux-")));
    }

    #[test]
    fn the_artifact_of_an_opened_library_is_the_folder_with_a_tree_hash() {
        let dir = tempfile::tempdir().unwrap();
        let tree = "1a".repeat(20);
        let artifact = dir.path().join("artifacts").join(&tree);
        let elsewhere = dir.path().join("packages").join(&tree);
        std::fs::create_dir_all(&artifact).unwrap();
        std::fs::create_dir_all(&elsewhere).unwrap();
        let opened = [
            artifact.join("lib/libx.so.1"),
            elsewhere.join("lib/liby.so"),
            dir.path().join("artifacts/other/lib/libz.so"),
            PathBuf::from("linux-vdso.so.1"),
        ];
        let found: Vec<_> = artifacts_of(&opened).collect();
        assert_eq!(found, [(TreeHash::new(tree).unwrap(), artifact)]);
    }

    #[test]
    fn the_compiler_is_left_out_wherever_it_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let julia = julia(dir.path());
        let image = dir.path().join("lib/libjulia.so.1.5");
        for name in ["libjulia-codegen.so.1.12.5", "libLLVM-18jl.so", "libz.so.1"] {
            std::fs::copy(&image, dir.path().join("lib/julia").join(name)).unwrap();
        }
        let private = |name: &str| dir.path().join("lib/julia").join(name);
        let link = private("libjulia-codegen.so");
        std::os::unix::fs::symlink("libjulia-codegen.so.1.12.5", link).unwrap();
        let opened = ["libjulia-codegen.so.1.12.5", "libLLVM-18jl.so", "libz.so.1"].map(private);
        let names = |compiler| -> BTreeSet<String> {
            let found = needed(&julia, &image, &opened, &[], compiler).unwrap();
            let libraries = found.libraries.iter();
            libraries
                .map(|library| file_name(&library.source))
                .collect()
        };
        let (with, without) = (names(Compiler::Included), names(Compiler::LeftOut));
        let left_out: Vec<_> = with.difference(&without).collect();
        assert_eq!(left_out, ["libLLVM-18jl.so", "libjulia-codegen.so.1.12.5"]);
        assert!(without.contains("libz.so.1"), "{without:?}");
    }

    #[test]
    fn a_library_that_is_nowhere_is_named_with_the_one_that_needs_it() {
        let dir = tempfile::tempdir().unwrap();
        let julia = julia(dir.path());
        let library = dir.path().join("lib/libjulia.so.1.5");
        let bytes = sysforge_files::read_bytes(&library).unwrap();
        let name = b"libgcc_s.so.1\0";
        let at = bytes
            .windows(name.len())
            .position(|window| window == name)
            .unwrap();
        let mut changed = bytes;
        changed[at..at + 6].copy_from_slice(b"libzzz");
        std::fs::write(&library, changed).unwrap();
        let error = needed(&julia, &library, &[], &[], Compiler::Included).unwrap_err();
        assert!(error.to_string().contains("libzzz_s.so.1"), "{error}");
    }
}
