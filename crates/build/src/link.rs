//! Linking the image: from the objects that Julia emitted to a shared library that Julia can
//! load. What is linked and in which order linkers are tried is decided in the `plan` room; here
//! they are found, asked who they are, run, and what they made is inspected before it is moved
//! to its place.

mod error;
mod find;
mod libraries;
mod probe;
mod scan;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sysforge_plan::generation::Generation;
use sysforge_plan::link::linker::candidates;
use sysforge_plan::link::symbols::{Home, home, undefined_in};
use sysforge_plan::link::{
    Candidate, Expectation, Finding, Flavour, Inventory, Layout, LinkSpec, Linked, LinkerChoice,
    PassedOver, Strategy, exports, linker,
};
use sysforge_plan::{JuliaFacts, Os, Task};

pub use self::error::LinkError;
pub use self::find::{host, which};
use self::libraries::Library;
use self::probe::{Answer, Prober, Refusal};
use self::scan::Scan;
use crate::inspect::inspect;
use crate::{Children, Environment, ProcessError, Program};

/// One image to be linked.
#[derive(Debug, Clone)]
pub struct LinkJob {
    /// What Julia emitted: objects, or archives of objects.
    pub objects: Vec<PathBuf>,
    /// The image to be written.
    pub output: PathBuf,
    /// The image's file name, from which its SONAME or install name is made.
    pub name: String,
    /// The Julia that will load it.
    pub julia: JuliaFacts,
    /// Which linker the user asked for.
    pub linker: LinkerChoice,
    /// Whether symbols and debug sections are left out.
    pub strip: bool,
    /// Functions to be exported beside those that Julia looks up. Functions that a package made
    /// callable from C (`@ccallable`) are found by themselves.
    pub exports: Vec<String>,
    /// The environment that linkers are started with.
    pub environment: Environment,
    /// Where lists and logs of the link are kept.
    pub work_dir: PathBuf,
    /// The log of the linker that is tried first; further ones number theirs.
    pub log: PathBuf,
    /// How long a linker may take.
    pub timeout: Option<Duration>,
}

/// Links an image, and moves it into place when it is whole and right.
///
/// # Errors
///
/// [`LinkError`], with nothing left at the output.
pub async fn link(job: &LinkJob, children: &Children, task: &Task) -> Result<Linked, LinkError> {
    let triplet = job.julia.triplet;
    let generation = Generation::of(&job.julia.version)
        .ok_or_else(|| LinkError::TooOld(job.julia.version.clone()))?;
    let layout = Layout::of(triplet.os(), generation);
    create_dir(&job.work_dir)?;
    let work_dir = absolute(&job.work_dir)?;
    let scan = scan::scan(&job.objects, triplet)?;
    let libraries = libraries::find(&layout, &job.julia)?;
    let missing = unresolved(&scan, &libraries, &job.julia)?;

    let environment = quiet(&job.environment);
    let inventory = match &job.linker {
        LinkerChoice::Words(_) => Inventory::default(),
        _ => find::inventory(&job.julia, &environment, &work_dir),
    };
    let choice = resolve(&job.linker, &environment)?;
    let link = Link {
        job,
        layout,
        exports: write_exports(job, &scan, &work_dir)?,
        shims: work_dir.join("linkers"),
        missing,
        scan,
        libraries,
        environment,
        work_dir,
        children,
        task,
    };
    link.first_that_works(candidates(triplet, generation, &choice, &inventory))
        .await
}

/// A link under way.
struct Link<'a> {
    job: &'a LinkJob,
    layout: Layout,
    scan: Scan,
    libraries: Vec<Library>,
    /// Symbols of the compiler's support library that no library of Julia has.
    missing: BTreeSet<String>,
    exports: PathBuf,
    shims: PathBuf,
    environment: Environment,
    work_dir: PathBuf,
    children: &'a Children,
    task: &'a Task,
}

/// How a candidate fared.
enum Failure {
    /// It is not used, for this reason; the next may do better.
    PassedOver(String),
    /// It is for the universal C runtime.
    Ucrt,
    /// It ran and failed in a way that the next may not.
    Failed(LinkError),
    /// No linker would do better.
    Final(LinkError),
}

impl Link<'_> {
    async fn first_that_works(&self, candidates: Vec<Candidate>) -> Result<Linked, LinkError> {
        let mut passed_over: Vec<PassedOver> = Vec::new();
        let mut first_failure = None;
        let mut ucrt = None;
        for (attempt, candidate) in candidates.iter().enumerate() {
            let program = candidate.command.join(" ");
            let reason = match self.attempt(attempt, candidate).await {
                Ok(linked) => {
                    return Ok(Linked {
                        passed_over,
                        ..linked
                    });
                }
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::PassedOver(reason)) => reason,
                Err(Failure::Ucrt) => {
                    ucrt.get_or_insert_with(|| program.clone());
                    "it compiles for the universal C runtime".to_owned()
                }
                Err(Failure::Failed(error)) => {
                    let reason = error.to_string();
                    first_failure.get_or_insert(error);
                    reason
                }
            };
            self.task.line(format!("{program}: {reason}"));
            passed_over.push(PassedOver {
                strategy: candidate.strategy,
                program,
                reason,
            });
        }
        Err(match (first_failure, ucrt) {
            (Some(LinkError::Failed { linker, source, .. }), _) => LinkError::Failed {
                linker,
                source,
                passed_over,
            },
            (Some(error), _) => error,
            (None, Some(program)) => LinkError::Ucrt { program },
            (None, None) => LinkError::NoLinker {
                triplet: self.job.julia.triplet,
                passed_over,
            },
        })
    }

    async fn attempt(&self, attempt: usize, candidate: &Candidate) -> Result<Linked, Failure> {
        let shims = self.show(candidate).map_err(Failure::Final)?;
        let prober = Prober {
            triplet: self.job.julia.triplet,
            environment: self.environment_of(candidate),
            work_dir: &self.work_dir,
            children: self.children,
            task: self.task,
        };
        let answer = match prober.ask(candidate, shims.as_deref()).await {
            Ok(answer) => answer,
            Err(Refusal::Ucrt) => return Err(Failure::Ucrt),
            Err(Refusal::Other(reason)) => return Err(Failure::PassedOver(reason)),
        };
        if candidate.flavour == Flavour::Gnu
            && self.job.julia.triplet.os() != Os::Windows
            && !self.missing.is_empty()
        {
            let names: Vec<_> = self.missing.iter().map(String::as_str).collect();
            return Err(Failure::PassedOver(format!(
                "without a compiler driver, {} would stay undefined",
                names.join(", ")
            )));
        }
        self.run(attempt, candidate, shims, &answer).await
    }

    async fn run(
        &self,
        attempt: usize,
        candidate: &Candidate,
        shims: Option<PathBuf>,
        answer: &Answer,
    ) -> Result<Linked, Failure> {
        let sibling = sibling(&self.job.output).map_err(Failure::Final)?;
        let partial = sibling.path().join(&self.job.name);
        let spec = self.spec(partial.clone(), shims);
        let log = match attempt {
            0 => self.job.log.clone(),
            n => self.job.log.with_extension(format!("{n}.log")),
        };
        let (program, leading) = candidate
            .command
            .split_first()
            .ok_or_else(|| Failure::PassedOver("the command is empty".to_owned()))?;
        let program = Program::new(program, self.environment_of(candidate), &log)
            .args(leading)
            .args(spec.arguments(candidate.flavour))
            .directory(&self.work_dir)
            .timeout(self.job.timeout);
        let done = match self.children.run(&program, self.task).await {
            Ok(done) => done,
            Err(source) => return Err(self.failure(answer, source)),
        };
        let inspection = inspect(&partial).map_err(|e| Failure::Failed(e.into()))?;
        let wanted = self.expectation(candidate);
        if let Err(findings) = inspection.verify(&wanted) {
            if let [Finding::Ucrt { .. }] = findings[..] {
                return Err(Failure::Ucrt);
            }
            let linker = answer.version.clone();
            return Err(Failure::Failed(LinkError::Rejected { linker, findings }));
        }
        if let (Some(asked), Some(ran)) = (answer.family, inspection.linker)
            && asked != ran
            && asked != linker::Family::Zig
        {
            return Err(Failure::PassedOver(format!(
                "{asked} answered, but {ran} linked"
            )));
        }
        move_into_place(&partial, &self.job.output).map_err(Failure::Final)?;
        Ok(Linked {
            strategy: candidate.strategy,
            program: candidate.command.join(" "),
            linker_version: answer.version.clone(),
            passed_over: Vec::new(),
            inspection,
            wall_seconds: done.wall.as_secs_f64(),
        })
    }

    /// Reads the linker's complaints: a symbol that nobody has is no linker's fault.
    fn failure(&self, answer: &Answer, source: ProcessError) -> Failure {
        let evidence = source.evidence();
        let log = evidence.as_ref().and_then(|evidence| evidence.log.clone());
        let said = log
            .and_then(|log| std::fs::read_to_string(log).ok())
            .unwrap_or_default();
        let undefined = undefined_in(&said);
        if !undefined.is_empty() {
            let symbols: Vec<_> = undefined.into_iter().map(|s| (home(&s), s)).collect();
            let hopeless = symbols
                .iter()
                .any(|(home, _)| *home != Some(Home::Compiler));
            let symbols = symbols
                .into_iter()
                .map(|(home, name)| (name, home))
                .collect();
            let error = LinkError::Undefined { symbols, evidence };
            return if hopeless {
                Failure::Final(error)
            } else {
                Failure::Failed(error)
            };
        }
        let linker = answer.version.clone();
        Failure::Failed(LinkError::Failed {
            linker,
            source: Box::new(source),
            passed_over: Vec::new(),
        })
    }

    fn spec(&self, output: PathBuf, shims: Option<PathBuf>) -> LinkSpec {
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
            further_libraries: Vec::new(),
            library_dirs: self.layout.directories(&self.job.julia),
            run_paths: self
                .layout
                .run_paths
                .iter()
                .map(|path| (*path).to_owned())
                .collect(),
            exports: Some(self.exports.clone()),
            has_entry: self.scan.has_entry(),
            strip: self.job.strip,
            minimum_macos: "11.0".to_owned(),
            shims,
        }
    }

    fn expectation(&self, candidate: &Candidate) -> Expectation {
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
        // zig's linker for macOS takes no export list.
        wanted.restricted = !(candidate.flavour == Flavour::Driver { zig: true }
            && self.job.julia.triplet.os() == Os::MacOs);
        wanted
    }

    /// The environment for a candidate. The lld of a Julia finds its libraries as Julia itself
    /// lets it (`base/linking.jl`).
    fn environment_of(&self, candidate: &Candidate) -> Environment {
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

    /// Shows a driver the linker that it would not find by itself (gcc looks for `ld.lld` in
    /// places of its own, and a cross gcc for one with the platform's prefix): a folder with a
    /// link of the right name.
    fn show(&self, candidate: &Candidate) -> Result<Option<PathBuf>, LinkError> {
        let Some((name, target)) = &candidate.shim else {
            return Ok(None);
        };
        create_dir(&self.shims)?;
        let shim = self.shims.join(name);
        let _ = std::fs::remove_file(&shim);
        #[cfg(unix)]
        let made = std::os::unix::fs::symlink(target, &shim);
        // Windows gives no right to make links to everybody.
        #[cfg(not(unix))]
        let made = std::fs::hard_link(target, shim.with_extension("lld.exe"));
        match made {
            Ok(()) => Ok(Some(self.shims.clone())),
            // It may find the linker all the same; the probe will tell.
            Err(_) if cfg!(windows) => Ok(None),
            Err(source) => Err(LinkError::Io {
                what: "link",
                path: shim,
                source,
            }),
        }
    }
}

/// Which support functions no library of Julia has; an error if Julia's own are missing.
fn unresolved(
    scan: &Scan,
    libraries: &[Library],
    julia: &JuliaFacts,
) -> Result<BTreeSet<String>, LinkError> {
    // Elsewhere every linker refuses an undefined symbol by itself.
    if !matches!(julia.triplet.os(), Os::Linux | Os::FreeBsd) {
        return Ok(BTreeSet::new());
    }
    let mut open = scan.undefined.clone();
    for library in libraries {
        let found = libraries::exported(&library.path, &open)?;
        open.retain(|name| !found.contains(name));
    }
    let of_julia: Vec<_> = open
        .iter()
        .filter(|name| home(name) == Some(Home::Julia))
        .map(|name| (name.clone(), Some(Home::Julia)))
        .collect();
    if !of_julia.is_empty() {
        return Err(LinkError::Undefined {
            symbols: of_julia,
            evidence: None,
        });
    }
    Ok(open
        .into_iter()
        .filter(|name| home(name) != Some(Home::C) && home(name) != Some(Home::Math))
        .collect())
}

/// Finds the program that the user chose.
fn resolve(choice: &LinkerChoice, environment: &Environment) -> Result<LinkerChoice, LinkError> {
    let LinkerChoice::Words(words) = choice else {
        return Ok(choice.clone());
    };
    // A path with spaces that is one program, however it was split.
    let whole = words.join(" ");
    let (program, rest) = match (which(&words[0], environment), which(&whole, environment)) {
        (Some(program), _) => (program, &words[1..]),
        (None, Some(program)) => (program, &[][..]),
        (None, None) => {
            return Err(LinkError::NoProgram {
                program: words[0].clone(),
            });
        }
    };
    let words = std::iter::once(program.display().to_string()).chain(rest.iter().cloned());
    Ok(LinkerChoice::Words(words.collect()))
}

fn write_exports(job: &LinkJob, scan: &Scan, work_dir: &Path) -> Result<PathBuf, LinkError> {
    let os = job.julia.triplet.os();
    let mut further = scan.callable();
    further.extend(job.exports.iter().cloned());
    let defined = scan
        .defined
        .iter()
        .map(|(name, is_data)| (name.as_str(), *is_data));
    let path = work_dir.join(exports::file_name(os));
    std::fs::write(&path, exports::render(os, &job.name, defined, &further)).map_err(|source| {
        LinkError::Io {
            what: "write",
            path: path.clone(),
            source,
        }
    })?;
    Ok(path)
}

/// Without what would load other libraries into a linker, and with messages in English, which are
/// read for the names of undefined symbols.
fn quiet(environment: &Environment) -> Environment {
    environment.for_julia().with("LC_ALL", "C")
}

/// A directory beside the output that goes away by itself.
fn sibling(output: &Path) -> Result<tempfile::TempDir, LinkError> {
    let parent = match output.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    create_dir(parent)?;
    let parent = absolute(parent)?;
    tempfile::Builder::new()
        .prefix(".linking-")
        .tempdir_in(&parent)
        .map_err(|source| LinkError::Io {
            what: "create",
            path: parent,
            source,
        })
}

fn move_into_place(partial: &Path, output: &Path) -> Result<(), LinkError> {
    std::fs::rename(partial, output).map_err(|source| LinkError::Io {
        what: "write",
        path: output.to_owned(),
        source,
    })
}

fn create_dir(path: &Path) -> Result<(), LinkError> {
    std::fs::create_dir_all(path).map_err(|source| LinkError::Io {
        what: "create",
        path: path.to_owned(),
        source,
    })
}

fn absolute(path: &Path) -> Result<PathBuf, LinkError> {
    std::path::absolute(path).map_err(|source| LinkError::Io {
        what: "find",
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests;
