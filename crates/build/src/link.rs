//! Linking the image: from the objects that Julia emitted to a shared library that Julia can
//! load. What is linked and in which order linkers are tried is decided in the `plan` room; here
//! they are found, asked who they are, run, and what they made is inspected before it is moved
//! to its place.

mod error;
mod find;
pub mod foreign;
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
    Candidate, Expectation, Finding, Flavour, Inspection, Layout, LinkSpec, Linked, LinkerChoice,
    PassedOver, Strategy, exports, linker, stub,
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
    require_image(&scan, generation, &job.julia)?;
    let unresolved = unresolved(&scan, &libraries, &job.julia)?;

    let environment = quiet(&job.environment);
    let inventory = find::inventory(&job.julia, &environment, &work_dir);
    let choice = resolve(&job.linker, &environment)?;
    let mut toolchains = Vec::new();
    if triplet.os() == Os::Windows {
        let prober = Prober {
            triplet,
            environment: environment.clone(),
            work_dir: &work_dir,
            children,
            task,
        };
        for driver in &inventory.drivers {
            if !prober.is_ucrt(driver).await {
                toolchains.push(driver.clone());
            }
        }
    }
    let link = Link {
        job,
        layout,
        exports: write_exports(job, &scan, &work_dir)?,
        shims: work_dir.join("linkers"),
        toolchains,
        libsystem: write_libsystem(triplet.os(), &scan, &work_dir)?,
        missing: unresolved.missing,
        support: unresolved.support,
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

/// Compares an image that was linked elsewhere with what one for `julia` must look like. Its name
/// may be any, and it may export more than Julia needs.
///
/// # Errors
///
/// [`LinkError::Rejected`] with all that is wrong.
pub fn verify(
    image: &Inspection,
    path: &Path,
    julia: &JuliaFacts,
    stripped: bool,
) -> Result<(), LinkError> {
    let generation =
        Generation::of(&julia.version).ok_or_else(|| LinkError::TooOld(julia.version.clone()))?;
    let libraries = libraries::find(&Layout::of(julia.triplet.os(), generation), julia)?;
    let names = libraries.into_iter().map(|library| library.name).collect();
    let mut wanted = Expectation::new(julia, generation, "", names, stripped);
    wanted.name = None;
    wanted.run_paths.clear();
    wanted.restricted = false;
    image.verify(&wanted).map_err(|findings| LinkError::NoGood {
        path: path.to_owned(),
        findings,
    })
}

/// A link under way.
struct Link<'a> {
    job: &'a LinkJob,
    layout: Layout,
    scan: Scan,
    libraries: Vec<Library>,
    /// Symbols that neither a library of Julia nor the C library has: the compiler's own support
    /// functions, and what nobody has.
    missing: BTreeSet<String>,
    /// The compiler's support library that Julia brings, if the objects need it.
    support: Option<PathBuf>,
    exports: PathBuf,
    shims: PathBuf,
    /// The stub of macOS's system library.
    libsystem: Option<PathBuf>,
    /// Compiler drivers for Windows whose C runtime is Julia's.
    toolchains: Vec<Vec<String>>,
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
        let without_driver = candidate.flavour == Flavour::Gnu;
        let builtins: Vec<_> = self
            .missing
            .iter()
            .filter(|name| home(name).is_some())
            .collect();
        if without_driver && self.job.julia.triplet.os() != Os::Windows && !builtins.is_empty() {
            let names: Vec<_> = builtins.into_iter().map(String::as_str).collect();
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
        let spec = self.spec(candidate, partial.clone(), shims).await;
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
        self.nothing_missing(&inspection)?;
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

    /// An ELF linker lets an undefined symbol pass; the image would fail to load.
    fn nothing_missing(&self, image: &Inspection) -> Result<(), Failure> {
        let left = image
            .imports
            .iter()
            .filter(|name| self.missing.contains(*name));
        let symbols: Vec<_> = left.map(|name| (name.clone(), home(name))).collect();
        if symbols.is_empty() {
            return Ok(());
        }
        let hopeless = symbols.iter().any(|(_, home)| home.is_none());
        let error = LinkError::Undefined {
            symbols,
            evidence: None,
        };
        Err(if hopeless {
            Failure::Final(error)
        } else {
            Failure::Failed(error)
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

    async fn spec(
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
            run_paths: self
                .layout
                .run_paths
                .iter()
                .map(|path| (*path).to_owned())
                .collect(),
            exports: Some(self.exports.clone()),
            has_entry: self.scan.has_entry(),
            start_object: self.toolchain_file(candidate, "dllcrt2.o").await,
            strip: self.job.strip,
            minimum_macos: "11.0".to_owned(),
            shims,
        }
    }

    /// The libraries that a compiler driver would add by itself, for a linker that is used
    /// without one: those of a toolchain of this machine before those that Julia brings, whose
    /// `libmsvcrt.a` is not always complete (julia#56840).
    async fn toolchain_libraries(&self, candidate: &Candidate) -> Vec<PathBuf> {
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

    /// A file of a toolchain of this machine, for a linker for Windows without a driver.
    async fn toolchain_file(&self, candidate: &Candidate, file: &str) -> Option<PathBuf> {
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
            // The name alone is the answer if the file is not there.
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

/// Refuses objects that hold no image, or one of another generation, before anything is linked.
fn require_image(
    scan: &Scan,
    generation: &Generation,
    julia: &JuliaFacts,
) -> Result<(), LinkError> {
    let is_defined = |symbol: &str| scan.defined.iter().any(|(name, _)| name == symbol);
    let wanted = generation.image_symbols.iter();
    let symbols: Vec<_> = wanted
        .filter(|symbol| !is_defined(symbol))
        .map(|symbol| format!("`{symbol}`"))
        .collect();
    if symbols.is_empty() {
        return Ok(());
    }
    Err(LinkError::NotAnImage {
        version: julia.version.clone(),
        symbols,
    })
}

/// What the objects need and none of the libraries linked against has.
#[derive(Default)]
struct Unresolved {
    /// Names that no library of Julia has, and that are none of the C library's.
    missing: BTreeSet<String>,
    /// The support library, if it has some of them.
    support: Option<PathBuf>,
}

/// What is left open; an error if it is Julia's own.
fn unresolved(
    scan: &Scan,
    libraries: &[Library],
    julia: &JuliaFacts,
) -> Result<Unresolved, LinkError> {
    // Elsewhere every linker refuses an undefined symbol by itself.
    if !matches!(julia.triplet.os(), Os::Linux | Os::FreeBsd) {
        return Ok(Unresolved::default());
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
    open.retain(|name| !matches!(home(name), Some(Home::C | Home::Math)));
    let support = julia.private_libdir.join("libgcc_s.so.1");
    if open.is_empty() || !support.is_file() {
        return Ok(Unresolved {
            missing: open,
            support: None,
        });
    }
    let found = libraries::exported(&support, &open)?;
    open.retain(|name| !found.contains(name));
    Ok(Unresolved {
        missing: open,
        support: Some(support).filter(|_| !found.is_empty()),
    })
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
    let is_defined = |name: &&String| scan.defined.iter().any(|(defined, _)| defined == *name);
    if let Some(name) = job.exports.iter().find(|name| !is_defined(name)) {
        return Err(LinkError::NoSuchExport { name: name.clone() });
    }
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

fn write_libsystem(os: Os, scan: &Scan, work_dir: &Path) -> Result<Option<PathBuf>, LinkError> {
    if os != Os::MacOs {
        return Ok(None);
    }
    let path = work_dir.join("libSystem.tbd");
    std::fs::write(&path, stub::libsystem(&scan.undefined)).map_err(|source| LinkError::Io {
        what: "write",
        path: path.clone(),
        source,
    })?;
    Ok(Some(path))
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
