//! The input of a linker: files and names, the libraries that a compiler driver would add
//! automatically, the environment, and a folder where a driver finds another linker.

use std::ffi::OsString;
use std::path::PathBuf;

use sysforge_plan::Os;
use sysforge_plan::explain::PathError;
use sysforge_plan::link::{Candidate, Expectation, Flavour, LinkSpec, Strategy};

use super::attempt::Link;
use super::error::LinkError;
use super::paths::create_dir;
use super::probe;
use crate::{Environment, Program};

impl Link<'_> {
    pub(super) async fn spec(
        &self,
        candidate: &Candidate,
        output: PathBuf,
        shims: Option<PathBuf>,
    ) -> LinkSpec {
        LinkSpec {
            triplet: self.job.julia.triplet,
            inputs: self.scan.inputs.clone(),
            output,
            name: self.layout.image_name(&self.job.name),
            libraries: self
                .libraries
                .iter()
                .map(|library| library.path.clone())
                .collect(),
            further_libraries: self.toolchain_libraries(candidate).await,
            library_dirs: self.layout.directories(&self.job.julia),
            run_paths: self.run_paths(),
            exports: Some(self.exports.clone()),
            has_entry: self.scan.has_entry(),
            start_object: self.toolchain_file(candidate, "dllcrt2.o").await,
            discard: None,
            strip: self.job.strip,
            minimum_macos: "11.0".to_owned(),
            shims,
            library: self.job.library.clone(),
        }
    }

    /// Returns the run paths to Julia's libraries. On macOS an image's are relative to the
    /// executable that opens it, but a library may be opened by any executable.
    fn run_paths(&self) -> Vec<String> {
        let Some(library) = &self.job.library else {
            let paths = self.layout.run_paths.iter();
            return paths.map(|path| (*path).to_owned()).collect();
        };
        let origin = match self.job.julia.triplet.os() {
            Os::Linux | Os::FreeBsd => "$ORIGIN",
            Os::MacOs => "@loader_path",
            Os::Windows => return Vec::new(),
        };
        let folders = library.library_dirs.iter();
        folders
            .map(|folder| match folder.as_str() {
                "" | "." => origin.to_owned(),
                other => format!("{origin}/{other}"),
            })
            .collect()
    }

    /// Returns the libraries that a compiler driver would add automatically, for a linker used
    /// without one. Those of an installed toolchain come before Julia's, whose `libmsvcrt.a` is not
    /// always complete (julia#56840).
    pub(super) async fn toolchain_libraries(&self, candidate: &Candidate) -> Vec<PathBuf> {
        let mut found: Vec<_> = self
            .libsystem
            .iter()
            .chain(&self.support)
            .cloned()
            .collect();
        for name in self.layout.toolchain_libraries {
            let files = [format!("lib{name}.a"), format!("lib{name}.dll.a")];
            let mut library = None;
            for file in &files {
                if library.is_none() {
                    library = self.toolchain_file(candidate, file).await;
                }
            }
            let dirs = self.layout.directories(&self.job.julia);
            let of_julia = || {
                let paths = files
                    .iter()
                    .flat_map(|file| dirs.iter().map(move |d| d.join(file)));
                paths.into_iter().find(|path| path.is_file())
            };
            found.extend(library.or_else(of_julia));
        }
        found
    }

    /// Returns a file of an installed toolchain, for a Windows linker without a driver.
    pub(super) async fn toolchain_file(
        &self,
        candidate: &Candidate,
        file: &str,
    ) -> Option<PathBuf> {
        if matches!(candidate.flavour, Flavour::Driver { .. }) {
            return None;
        }
        for driver in &self.toolchains {
            let (program, leading) = driver.split_first()?;
            let log = self.work_dir.join("probe-libraries.log");
            let program = Program::new(program, self.environment.clone(), log)
                .args(leading)
                .arg(format!("-print-file-name={file}"))
                .timeout(Some(probe::PATIENCE));
            // If the file does not exist, the driver prints only its name.
            if let Ok(done) = self.children.run(&program, self.task).await
                && let path = PathBuf::from(done.stdout.trim())
                && path.is_absolute()
                && path.is_file()
            {
                return Some(path);
            }
        }
        None
    }

    pub(super) fn expectation(&self, candidate: &Candidate) -> Expectation {
        let names = self
            .libraries
            .iter()
            .map(|library| library.name.clone())
            .collect();
        let generation = self.layout.generation;
        let mut wanted = Expectation::new(
            &self.job.julia,
            generation,
            &self.job.name,
            names,
            self.job.strip,
        );
        wanted.run_paths = self.run_paths();
        // zig's linker for macOS does not support export lists.
        wanted.restricted = !(candidate.flavour == Flavour::Driver { zig: true }
            && self.job.julia.triplet.os() == Os::MacOs);
        wanted
    }

    /// Returns the environment for a candidate. Julia's lld finds its libraries in the same way as
    /// when Julia runs it (`base/linking.jl`).
    pub(super) fn environment_of(&self, candidate: &Candidate) -> Environment {
        if candidate.strategy != Strategy::JuliaLld {
            return self.environment.clone();
        }
        let name = match self.job.julia.triplet.os() {
            Os::Windows => "PATH",
            Os::MacOs => "DYLD_FALLBACK_LIBRARY_PATH",
            Os::Linux | Os::FreeBsd => "LD_LIBRARY_PATH",
        };
        let ours = [&self.job.julia.private_libdir, &self.job.julia.libdir];
        let theirs = self
            .environment
            .get(name)
            .map(OsString::from)
            .unwrap_or_default();
        let theirs = std::env::split_paths(&theirs).collect::<Vec<_>>();
        match std::env::join_paths(ours.into_iter().chain(&theirs)) {
            Ok(paths) => self.environment.clone().with(name, paths),
            Err(_) => self.environment.clone(),
        }
    }

    /// Creates a folder with a link to the linker, under the name that the driver looks for.
    /// Otherwise the driver might not find it: gcc looks for `ld.lld` in its own folders, and a
    /// cross gcc for a name with the platform's prefix.
    pub(super) fn create_shim(&self, candidate: &Candidate) -> Result<Option<PathBuf>, LinkError> {
        let Some((name, target)) = &candidate.shim else {
            return Ok(None);
        };
        create_dir(&self.shims)?;
        let shim = self.shims.join(name);
        let _ = std::fs::remove_file(&shim);
        #[cfg(unix)]
        let made = std::os::unix::fs::symlink(target, &shim);
        // On Windows, creating symbolic links needs a privilege.
        #[cfg(not(unix))]
        let made = std::fs::hard_link(target, shim.with_extension("lld.exe"));
        match made {
            Ok(()) => Ok(Some(self.shims.clone())),
            // It may still find the linker; the probe shows whether it does.
            Err(_) if cfg!(windows) => Ok(None),
            Err(source) => Err(PathError::wrap("link", &shim, LinkError::Path)(source)),
        }
    }
}
