//! The check that a bundle runs: it is packed, unpacked in another folder and run there with an
//! empty environment; on Linux, in a root directory where nothing else exists.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use sysforge_archive::{Cancel, Limits, Links, TreeWriter, Writer, unpack_file};
use sysforge_plan::app::{AppRecord, RunRecord};
use sysforge_plan::config::Run;
use sysforge_plan::explain::CREATE_TEMPORARY;
use sysforge_plan::library::{LibraryRecord, TypedCall};
use sysforge_plan::{ArchiveFormat, Os, Task};
use sysforge_process::{Children, Ended, Environment, Finished, ProcessError, Program};

use crate::error::BundleError;
use crate::layout::is_systems_own;
use crate::library::{CALLER, Called, LibraryFiles};
use crate::observe::{Planned, failed};
use crate::sandbox::{BUNDLE, Inside, Sandbox, TOOL};

/// The variable with Julia options for an app (`crates/launcher/src/location.rs`).
const JULIA_ARGUMENTS: &str = "SYSFORGE_JULIA_ARGS";

/// The location of a run in error messages.
const UNPACKED: &str = "from its unpacked archive";

/// The environment of a check.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    /// The system.
    pub os: Os,
    /// The libraries that the system must provide.
    pub system: &'a BTreeSet<String>,
    /// The project: the files of runs are relative to it.
    pub project: &'a Path,
    /// An environment in which system tools are found.
    pub environment: &'a Environment,
    /// Starts the apps.
    pub children: &'a Children,
    /// The folder of the logs.
    pub logs: &'a Path,
}

/// The result of a check.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// The apps with their runs.
    pub apps: Vec<AppRecord>,
    /// Whether they ran where only the bundle and the C library exist.
    pub isolated: bool,
}

/// Checks the bundle in `folder`.
///
/// # Errors
///
/// If an app ends with another exit code than its run states, or loads libraries from elsewhere.
pub async fn check(
    folder: &Path,
    apps: &[Planned],
    surroundings: &Surroundings<'_>,
    task: &Task,
) -> Result<Checked, BundleError> {
    let (_dir, sandbox) = unpacked(folder, surroundings, task).await?;
    let mut records = Vec::new();
    for planned in apps {
        let mut runs = Vec::new();
        for (index, run) in planned.runs.iter().enumerate() {
            let checker = Checker {
                sandbox: &sandbox,
                planned,
                run,
                index,
                surroundings,
                task,
            };
            runs.push(checker.check().await?);
        }
        records.push(AppRecord {
            name: planned.app.name.clone(),
            entry: format!("{}.{}", planned.app.package, planned.app.entry),
            runs,
        });
    }
    Ok(Checked {
        apps: records,
        isolated: sandbox.is_isolated(),
    })
}

/// Packs the bundle in `folder` and unpacks it into a temporary folder, which is removed when the
/// first value is dropped.
async fn unpacked(
    folder: &Path,
    surroundings: &Surroundings<'_>,
    task: &Task,
) -> Result<(tempfile::TempDir, Sandbox), BundleError> {
    let Surroundings {
        os,
        system,
        environment,
        children,
        logs,
        ..
    } = *surroundings;
    let dir = tempfile::Builder::new().prefix("sysforge-app-").tempdir();
    let dir = dir.map_err(BundleError::io(
        CREATE_TEMPORARY,
        &tempfile::env::temp_dir(),
    ))?;
    // The system's temporary folder may be a link (macOS).
    let root =
        sysforge_files::canonical(dir.path()).map_err(BundleError::io("read", dir.path()))?;
    // Every program needs the loader, even if no file names it.
    let mut system = system.clone();
    system.extend(loaders());
    let log = logs.join("app-namespace.log");
    let sandbox = Sandbox::prepare(&root, os, &system, environment, children, task, log).await?;
    pack_and_unpack(folder, &sandbox.bundle(), &root).await?;
    Ok((dir, sandbox))
}

/// Checks the bundle of a C library in `folder`: a program without Julia opens the unpacked
/// library, starts Julia, makes the calls, and ends Julia; then again while recording what is
/// compiled.
///
/// # Errors
///
/// If the library cannot be used, or a function returns another result than expected.
pub async fn check_library(
    folder: &Path,
    files: &LibraryFiles<'_>,
    surroundings: &Surroundings<'_>,
    task: &Task,
) -> Result<(LibraryRecord, bool), BundleError> {
    let (_dir, sandbox) = unpacked(folder, surroundings, task).await?;
    let calls = files.library.calls(files.interface)?;
    let suffix = surroundings.os.conventions().exe_suffix;
    let tool = format!("{TOOL}/caller{suffix}");
    let path = sandbox.root(&tool);
    sysforge_files::write_program(&path, CALLER).map_err(BundleError::io("write", &path))?;
    let (here, inside) = sandbox.temporary();
    let results = here.join("results");
    let library = sandbox.inside(&files.library.names.path());
    let mut args = vec![library, format!("{inside}/results")];
    args.extend(calls.iter().flat_map(TypedCall::words));
    let traced = format!("--trace-compile={inside}/recording");
    let is_traceable = !inside.contains(char::is_whitespace);
    let mut residuals = Vec::new();
    for with_trace in [true, false] {
        let variables: Vec<(&str, String)> = match with_trace && is_traceable {
            true => vec![(JULIA_ARGUMENTS, traced.clone())],
            false => Vec::new(),
        };
        let _ = std::fs::remove_file(&results);
        let log = if with_trace {
            "library-traced"
        } else {
            "library"
        };
        let program = sandbox.program(&Inside {
            program: &tool,
            args: &args,
            variables: &variables,
            stdin: None,
            environment: surroundings.environment,
            log: surroundings.logs.join(format!("{log}.log")),
        });
        let ran = surroundings.children.run(&program, task).await;
        ran.map_err(|source| BundleError::Unusable {
            library: files.library.config.name.clone(),
            source: Box::new(source),
        })?;
        if with_trace {
            residuals = recorded_statements(&here.join("recording"));
        }
    }
    let text = sysforge_files::read_text(&results).map_err(BundleError::io("read", &results))?;
    let record = Called::parse(&text).record(files, &calls, residuals)?;
    Ok((record, sandbox.is_isolated()))
}

/// Maximum time for a library to start and end Julia without any calls.
const START_LIMIT: std::time::Duration = std::time::Duration::from_secs(120);

/// Starts and ends the Julia of an unpacked library with the file `library` and the name `name`.
///
/// # Errors
///
/// If it does not start on this machine.
pub async fn start_library(
    library: &Path,
    name: &str,
    environment: &Environment,
    children: &Children,
    task: &Task,
) -> Result<(), BundleError> {
    let dir = tempfile::Builder::new().prefix("sysforge-lib-").tempdir();
    let dir = dir.map_err(BundleError::io(
        CREATE_TEMPORARY,
        &tempfile::env::temp_dir(),
    ))?;
    let caller = dir
        .path()
        .join(format!("caller{}", std::env::consts::EXE_SUFFIX));
    sysforge_files::write_program(&caller, CALLER).map_err(BundleError::io("write", &caller))?;
    let program = Program::new(&caller, environment.clean(), dir.path().join("log"))
        .arg(library)
        .arg(dir.path().join("results"))
        .timeout(Some(START_LIMIT));
    let ran = children.run(&program, task).await;
    ran.map(drop).map_err(|source| BundleError::Unusable {
        library: name.to_owned(),
        source: Box::new(source),
    })
}

/// Returns the precompile statements that Julia recorded in a file.
fn recorded_statements(path: &Path) -> Vec<String> {
    let recorded = sysforge_files::read_text(path).unwrap_or_default();
    let statements = recorded
        .lines()
        .filter(|line| line.starts_with("precompile("));
    statements.map(str::to_owned).collect()
}

/// Returns the loaders of Linux for all architectures; missing ones are skipped.
fn loaders() -> impl Iterator<Item = String> {
    [
        "ld-linux-x86-64.so.2",
        "ld-linux-aarch64.so.1",
        "ld-linux.so.2",
        "libc.so.6",
    ]
    .into_iter()
    .map(str::to_owned)
}

/// Packs `from` and unpacks it to `to`, so that the check covers what a user gets.
async fn pack_and_unpack(from: &Path, to: &Path, scratch: &Path) -> Result<(), BundleError> {
    let (from, to) = (from.to_owned(), to.to_owned());
    let archive = scratch.join("bundle.tar.zst");
    let packed = tokio::task::spawn_blocking(move || {
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| BundleError::Archive(error);
        let file = std::fs::File::create(&archive).map_err(BundleError::io("create", &archive))?;
        let mut writer =
            Writer::new(ArchiveFormat::TarZst, file, 2).map_err(|e| failed(e.into()))?;
        writer
            .tree("", &from, None, &archive)
            .map_err(BundleError::Io)?;
        writer.finish().map_err(|error| failed(error.into()))?;
        let file = std::fs::File::open(&archive).map_err(BundleError::io("open", &archive))?;
        let limits = Limits {
            packed: Some(
                file.metadata()
                    .map_err(BundleError::io("read", &archive))?
                    .len(),
            ),
            ..Limits::default()
        };
        let mut tree = TreeWriter::new(to, 0, limits, Links::default(), Cancel::default());
        unpack_file(ArchiveFormat::TarZst, file, &mut tree).map_err(|e| failed(e.into()))?;
        tree.finish().map_err(|error| failed(error.into()))?;
        std::fs::remove_file(&archive).map_err(BundleError::io("remove", &archive))
    });
    packed.await.map_err(BundleError::Died)?
}

/// A run of an app.
struct Checker<'a> {
    sandbox: &'a Sandbox,
    planned: &'a Planned,
    run: &'a Run,
    index: usize,
    surroundings: &'a Surroundings<'a>,
    task: &'a Task,
}

impl Checker<'_> {
    async fn check(&self) -> Result<RunRecord, BundleError> {
        let name = format!("app-{}-{}", self.planned.app.name, self.index + 1);
        let (here, inside) = self.sandbox.temporary();
        let (recording, loads) = (format!("{name}.recording"), format!("{name}.loads"));
        let mut variables = vec![(
            JULIA_ARGUMENTS,
            format!("--trace-compile={inside}/{recording}"),
        )];
        if !self.sandbox.is_isolated() && self.surroundings.os == Os::Linux {
            // glibc's loader writes a file for each process.
            variables.push(("LD_DEBUG", "files".to_owned()));
            variables.push(("LD_DEBUG_OUTPUT", format!("{inside}/{loads}")));
        }
        // The variable is split at white space, so a folder with a space cannot be named in it.
        if inside.contains(char::is_whitespace) {
            variables.remove(0);
        }
        self.start(&variables, &format!("{name}-traced")).await?;
        self.refuse_outside(&here, &loads)?;
        let residuals = recorded_statements(&here.join(recording));
        let wall = self.start(&[], &name).await?;
        Ok(RunRecord {
            args: self.run.args.clone(),
            exit: self.run.exit,
            wall_ms: wall.as_secs_f64() * 1000.0,
            peak_memory: None,
            residuals,
        })
    }

    /// Runs the app with new copies of its files, and refuses an unexpected exit code.
    async fn start(
        &self,
        variables: &[(&str, String)],
        log: &str,
    ) -> Result<std::time::Duration, BundleError> {
        let Surroundings {
            os,
            children,
            logs,
            environment,
            ..
        } = *self.surroundings;
        self.place_files()?;
        let stdin = self.write_input()?;
        let suffix = os.conventions().exe_suffix;
        let program = format!("{BUNDLE}/bin/{}", self.planned.app.file_name(suffix));
        let program = self.sandbox.program(&Inside {
            program: &program,
            args: &self.run.args,
            variables,
            stdin: stdin.as_deref(),
            environment,
            log: logs.join(format!("{log}.log")),
        });
        let started = std::time::Instant::now();
        match children.run(&program, self.task).await {
            Ok(Finished { wall, .. }) if self.run.exit == 0 => Ok(wall),
            Ok(_) => Err(self.failed(Ended::Code(0), sysforge_plan::Evidence::default())),
            Err(ProcessError::Failed {
                ended: Ended::Code(code),
                ..
            }) if code == self.run.exit => Ok(started.elapsed()),
            Err(ProcessError::Failed {
                ended, evidence, ..
            }) => Err(self.failed(ended, evidence)),
            Err(source) => Err(BundleError::Process {
                app: self.planned.app.name.clone(),
                location: UNPACKED,
                source: Box::new(source),
            }),
        }
    }

    fn failed(&self, ended: Ended, evidence: sysforge_plan::Evidence) -> BundleError {
        failed(&self.planned.app.name, self.run, ended, evidence, UNPACKED)
    }

    /// Copies the run's files into an empty working directory.
    fn place_files(&self) -> Result<(), BundleError> {
        let work = self.sandbox.work();
        let _ = std::fs::remove_dir_all(&work);
        sysforge_files::create_folders(&work).map_err(BundleError::io("create", &work))?;
        for file in &self.run.files {
            let from = self.surroundings.project.join(file);
            if !from.is_file() {
                return Err(BundleError::NoFile {
                    app: self.planned.app.name.clone(),
                    file: file.clone(),
                });
            }
            let to = work.join(file);
            if let Some(folder) = to.parent() {
                sysforge_files::create_folders(folder)
                    .map_err(BundleError::io("create", folder))?;
            }
            std::fs::copy(&from, &to).map_err(BundleError::io("copy", &from))?;
        }
        Ok(())
    }

    fn write_input(&self) -> Result<Option<PathBuf>, BundleError> {
        let Some(text) = &self.run.stdin else {
            return Ok(None);
        };
        let path = self.sandbox.temporary().0.join("stdin");
        std::fs::write(&path, text).map_err(BundleError::io("write", &path))?;
        Ok(Some(path))
    }

    /// Refuses libraries that were loaded from elsewhere, as far as the loader logged them.
    fn refuse_outside(&self, folder: &Path, loads: &str) -> Result<(), BundleError> {
        let mut libraries = BTreeSet::new();
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if !entry.file_name().to_string_lossy().starts_with(loads) {
                continue;
            }
            let text = sysforge_files::read_bytes(entry.path())
                .map_err(BundleError::io("read", folder))?;
            let text = String::from_utf8_lossy(&text).into_owned();
            libraries.extend(outside(&text, &self.sandbox.bundle(), self.surroundings.os));
        }
        match libraries.is_empty() {
            true => Ok(()),
            false => Err(BundleError::Outside {
                app: self.planned.app.name.clone(),
                libraries: libraries.into_iter().collect(),
            }),
        }
    }
}

/// Returns the libraries in the log of glibc's loader that belong neither to the bundle nor to the
/// C library.
fn outside(text: &str, bundle: &Path, os: Os) -> Vec<String> {
    let initialized = text
        .lines()
        .filter_map(|line| line.split_once("calling init: "));
    let paths = initialized.map(|(_, path)| path.trim());
    paths
        .filter(|path| !Path::new(path).starts_with(bundle) && !is_systems_own(os, path))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_from_elsewhere_are_found_in_what_the_loader_writes() {
        let text = "   123:\tcalling init: /lib/x86_64-linux-gnu/libc.so.6\n\
                    \x20  123:\tcalling init: /tmp/a b/lib/libjulia.so.1\n\
                    \x20  123:\tcalling init: /usr/lib/x86_64-linux-gnu/libstdc++.so.6\n";
        let found = outside(text, Path::new("/tmp/a b"), Os::Linux);
        assert_eq!(found, ["/usr/lib/x86_64-linux-gnu/libstdc++.so.6"]);
    }
}
