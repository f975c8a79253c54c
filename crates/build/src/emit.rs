//! Emitting: one Julia process loads the packages, replays the statements and writes an object
//! file. Every statement is accounted for. A statement that crashes Julia is identified and
//! skipped; if Julia uses too much memory, it is restarted with settings that need less.

use std::collections::{BTreeSet, HashSet};
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sysforge_plan::generation::InteractivePackage;
use sysforge_plan::plan::RequestedPackage;
use sysforge_plan::portability::{FoundPath, PathKind, Portability};
use sysforge_plan::receipt::{ExtensionRecord, StatementCounts, Unreplayed};
use sysforge_plan::{JuliaOption, Sha256, Step, Task};

use crate::artifacts::{InstalledArtifact, LoadedPackage, Surroundings};
use crate::context::{Context, shown};
use crate::script::RUN_SCRIPT;
use crate::script::Script;
use crate::tree::{digest_of_reader, document, is_ignored};
use crate::workdir::{self, WorkDir, WorkDirError};
use sysforge_process::{Finished, Program};

mod attempt;
mod culprit;
mod error;
mod rehearse;
mod report;

use attempt::{Attempt, crash};
pub use error::EmitError;
pub use rehearse::{Rehearsed, rehearse};
use report::At;

const LAUNCHER: &str = include_str!("julia/launch.jl");
/// The staging script.
const SCRIPT: &str = include_str!("julia/stage.jl");
/// The scripts that it includes.
const REPLAY: &str = include_str!("julia/replay.jl");
const INITS: &str = include_str!("julia/inits.jl");
/// All scripts that affect how statements are replayed.
pub(crate) const SCRIPTS: [&str; 4] = [LAUNCHER, SCRIPT, REPLAY, INITS];

/// The object's name in the build directory. macOS' linker requires the extension `.a` (since Julia
/// 1.9 it really is an archive).
pub const OBJECT: &str = "image-o.a";

/// Its name while Julia writes it: `partial-NUMBER-o.a`. Each run has its own, so that a Julia left
/// behind by a killed run cannot write into it. The extension matters as for [`OBJECT`].
const PARTIAL: (&str, &str) = ("partial", "-o.a");

/// The file with the path of the workload or script that the staging process is running.
const RUNNING: &str = "running.txt";

/// The file in which the staging script lists paths of packages and depots.
const SURROUNDINGS: &str = "surroundings.tsv";

/// The inputs of an emission.
#[derive(Debug, Clone)]
pub struct Emission<'a> {
    /// The packages.
    pub packages: &'a [RequestedPackage],
    /// Whether the names of the packages are bound in `Main`.
    pub import_into_main: bool,
    /// The packages of an interactive session, which are not bound in `Main`.
    pub interactive: &'a [InteractivePackage],
    /// Julia code that is evaluated in `Main` after the packages are loaded, and stays in the image.
    pub code: Option<&'a str>,
    /// The precompile statements, without duplicates.
    pub statements: &'a [String],
    /// The statements that the user gave and that no workload compiled.
    pub given: &'a HashSet<String>,
    /// Names of the project's packages, whether in the image or not.
    pub known: &'a BTreeSet<String>,
    /// Statements that were replayed for an earlier image without effect: their other possible
    /// meanings are tried as well.
    pub ineffective: &'a [String],
    /// Workloads to run in the emitting process.
    pub execute: &'a [Script],
    /// A script to evaluate last.
    pub script: Option<&'a Path>,
    /// Julia's `--cpu-target`.
    pub cpu_target: &'a str,
    /// Options for Julia that change the code.
    pub julia_options: &'a [JuliaOption],
    /// Code-generation threads; `None` for Julia's default.
    pub image_threads: Option<u32>,
    /// Time limit of a workload or the script; `None` for no limit. They may compute without
    /// output, so only a time limit detects an endless one.
    pub script_limit: Option<Duration>,
    /// How long other emissions of this kind took on this machine, if there were any.
    pub expected: Option<Duration>,
    /// Whether a statement that cannot be replayed is an error.
    pub strict: bool,
}

/// The result of an emission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Emitted {
    /// The object or archive of objects.
    pub object: PathBuf,
    /// The results of replaying the statements.
    pub statements: StatementCounts,
    /// The observed peak memory of Julia, in bytes.
    pub peak_memory: u64,
    /// How long it took, in milliseconds; 0 if an earlier Sysforge emitted it.
    #[serde(default)]
    pub wall_ms: u64,
    /// The depots of the packages.
    pub depots: Vec<PathBuf>,
    /// The artifacts used by the packages.
    pub artifacts: Vec<InstalledArtifact>,
    /// The loaded packages, Julia's own libraries included; the image contains them.
    #[serde(default)]
    pub loaded: Vec<LoadedPackage>,
    /// The loaded extensions.
    #[serde(default)]
    pub extensions: Vec<ExtensionRecord>,
    /// The files that Julia read while loading the packages and that belong neither to the project
    /// nor to an installed package nor to Julia.
    #[serde(default)]
    pub outside: Vec<OutsideFile>,
    /// The project's folder; `None` if an earlier Sysforge emitted it.
    #[serde(default)]
    pub project: Option<PathBuf>,
}

/// A file or folder outside of the project and the packages, with its content when Julia read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutsideFile {
    /// The path.
    pub path: PathBuf,
    /// The digest of its content.
    pub sha256: Sha256,
}

impl OutsideFile {
    /// Reads the file, or the names in a folder, which are what Julia records of one (since 1.11); `None`
    /// if it cannot be read.
    fn of(path: PathBuf) -> Option<Self> {
        if path.is_dir() {
            let entries: Result<Vec<_>, _> = std::fs::read_dir(&path).ok()?.collect();
            let entries = entries.ok()?.into_iter();
            let mut names: Vec<_> = entries.map(|entry| entry.file_name()).collect();
            names.sort();
            let names = names.iter().map(|name| name.to_string_lossy());
            let sha256 = Sha256::of(names.collect::<Vec<_>>().join("\0"));
            return Some(Self { path, sha256 });
        }
        let file = sysforge_files::open_regular(&path).ok()?;
        let sha256 = digest_of_reader(file).ok()?;
        Some(Self { path, sha256 })
    }

    /// Returns whether the file was changed or removed.
    fn has_changed(&self) -> bool {
        Self::of(self.path.clone()).as_ref() != Some(self)
    }
}

/// Returns the changed files among those that Julia read for the last image in the build folder
/// `root`, outside of the project and the packages. They are known only after an emission.
pub fn changed_outside(root: &Path) -> BTreeSet<PathBuf> {
    // An unfinished emission has no list; the previous one does.
    let records = ["emit", "emit.previous"].into_iter();
    let emissions = records.filter_map(|record| WorkDir::peek::<Emitted>(root, record));
    let files = emissions.flat_map(|(_, emitted)| emitted.outside);
    let changed = files.filter(OutsideFile::has_changed);
    changed.map(|file| file.path).collect()
}

/// Returns a path that the last image in the build folder `root` contains although nothing is there any more,
/// because the project was moved to `project` since: the value of `@__DIR__` in a package, for example.
/// `portability` describes the image. No fingerprint contains the project's path, because an image without
/// such paths is the same in every folder.
pub fn path_before_move(root: &Path, project: &Path, portability: &Portability) -> Option<String> {
    let (_, emitted) = WorkDir::peek::<Emitted>(root, "emit")?;
    let before = emitted.project.filter(|before| before != project)?;
    let is_old = |found: &&FoundPath| {
        found.kind != PathKind::Source && Path::new(&found.path).starts_with(&before)
    };
    let old = portability.paths.iter().find(is_old);
    old.map(|found| found.path.clone())
}

/// Returns the files that no other part of the fingerprint covers.
fn outside(context: &Context, surroundings: &Surroundings) -> Vec<OutsideFile> {
    let julia = &context.julia;
    // Other digests cover installed packages and Julia's sources.
    let installed = surroundings
        .depots
        .iter()
        .map(|depot| depot.join("packages"));
    let mut covered: Vec<PathBuf> = installed.collect();
    covered.extend(julia.bindir.parent().map(Path::to_owned));
    covered.extend([julia.stdlib.clone(), context.work.root().to_owned()]);
    let files = surroundings.read.iter();
    let project = &context.project;
    let in_project = |path: &PathBuf| path.starts_with(project) && !is_ignored(project, path);
    // The fingerprint contains only those documents that a source mentions.
    let is_covered = |path: &PathBuf| {
        let mut covered = covered.iter();
        document(path).is_none()
            && (in_project(path) || covered.any(|folder| path.starts_with(folder)))
    };
    let files = files.filter(|path| !is_covered(path));
    files.cloned().filter_map(OutsideFile::of).collect()
}

/// What a process that runs `stage.jl` is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Staging {
    /// Writes the object.
    Emission,
    /// Only compiles the statements, in seconds instead of minutes, to find the one that crashes.
    Replay,
}

/// Emits the object file.
///
/// # Errors
///
/// If Julia fails, ends early or writes no object, or a file in the build folder cannot be read or
/// written; [`EmitError::Strict`] if `strict` is set and a statement cannot be replayed.
pub async fn emit(context: &Context, emission: &Emission<'_>) -> Result<Emitted, EmitError> {
    let emitted = emit_anew(context, emission).await;
    if let Err(EmitError::Strict { .. }) = &emitted {
        // No code was generated, so the earlier object and its record are still consistent.
        context.work.put_back("emit")?;
    }
    emitted
}

async fn emit_anew(context: &Context, emission: &Emission<'_>) -> Result<Emitted, EmitError> {
    let mut attempt = Attempt {
        threads: emission
            .image_threads
            .filter(|_| context.generation.image_threads),
        target: emission.cpu_target.to_owned(),
        left_out: report::LeftOut::new(),
    };
    let mut retries = 0;
    loop {
        let (source, at, counts) = match stage(context, emission, &attempt, Staging::Emission)
            .await?
        {
            Staged::Done(finished, counts) => return finish(context, emission, &finished, counts),
            Staged::Failed(source, at, counts) => (source, at, counts),
        };
        // In this case the staging script exits before it generates code.
        if emission.strict && at == At::AfterStatements && !counts.failed.is_empty() {
            return Err(strict(counts));
        }
        let (memory, crashed) = (source.killed_for_memory(), crash(&source));
        let error = EmitError::Julia {
            during: during(emission, at),
            retries,
            source: Box::new(source),
        };
        if let Some(peak) = memory {
            let Some(next) = attempt.smaller() else {
                return Err(error);
            };
            let text = format!(
                "the system killed Julia, which had {} MB of memory: trying again with {}",
                peak / 1_000_000,
                next.title()
            );
            context.reporter.warn(text, None);
            attempt = next;
            retries += 1;
            continue;
        }
        let Some(how) = crashed else {
            return Err(error);
        };
        // If the packages alone crash Julia, no statement is the cause.
        let Some((index, how)) = culprit::find(context, emission, &attempt, at, how).await? else {
            return Err(error);
        };
        let text = format!(
            "left out, as Julia crashes when it compiles it ({how}): {}",
            emission.statement(index)
        );
        context.reporter.warn(text, None);
        let reason = format!("Julia crashes when it compiles it: {how}");
        attempt.left_out.insert(index, reason.clone());
        if emission.strict {
            let mut counts = counts;
            counts.failed.push(Unreplayed {
                statement: emission.statement(index).to_owned(),
                reason,
            });
            return Err(strict(counts));
        }
    }
}

impl Emission<'_> {
    /// Returns the number of statements passed to the staging script.
    fn count(&self) -> usize {
        self.statements.len()
    }

    /// Returns the options of Julia specific to this emission.
    fn options(&self) -> impl Iterator<Item = &str> {
        self.julia_options.iter().map(JuliaOption::as_str)
    }

    fn statement(&self, index: usize) -> &str {
        self.statements.get(index).map_or("", String::as_str)
    }
}

/// The outcome of a staging process.
enum Staged {
    Done(Finished, StatementCounts),
    Failed(crate::ProcessError, At, StatementCounts),
}

fn strict(counts: StatementCounts) -> EmitError {
    EmitError::Strict {
        recorded: counts.recorded,
        failed: counts.failed,
    }
}

/// Writes the staging script and all included scripts. Returns the launcher and the script.
fn write_scripts(work: &WorkDir) -> Result<(PathBuf, PathBuf), WorkDirError> {
    work.write("script.jl", RUN_SCRIPT)?;
    work.write("replay.jl", REPLAY)?;
    work.write("inits.jl", INITS)?;
    let launcher = work.write("launch.jl", LAUNCHER)?;
    Ok((launcher, work.write("stage.jl", SCRIPT)?))
}

/// Runs one staging process.
async fn stage(
    context: &Context,
    emission: &Emission<'_>,
    attempt: &Attempt,
    staging: Staging,
) -> Result<Staged, EmitError> {
    let work = &context.work;
    // The previous object stays until the new one is complete: see `WorkDir::set_aside`.
    if staging == Staging::Emission {
        work.set_aside("emit")?;
    }
    work.forget_own(PARTIAL.0, PARTIAL.1)?;
    work.forget(&["report.tsv", SURROUNDINGS, RUNNING])?;
    let (launcher, script) = write_scripts(work)?;
    let list = work.write("statements.list", &records(emission, &attempt.left_out))?;
    let report = work.path("report.tsv");
    let job = work.write(
        "stage.job",
        &job(context, emission, &list, &report, staging),
    )?;

    let environment = context.environment.for_julia();
    let heavy = context.julia.triplet.os().conventions().heavy_environment;
    // Variables set by the user are not changed.
    let missing = heavy
        .iter()
        .filter(|(name, _)| environment.get(name).is_none());
    let environment = missing.fold(environment.clone(), |environment, (name, value)| {
        environment.with(name, *value)
    });
    let program = context.julia(
        environment,
        match staging {
            Staging::Emission => "emit",
            Staging::Replay => "replay",
        },
    );
    let program = program.args(context.without_package_images());
    let program: Program = match staging {
        Staging::Emission => program
            .option("--cpu-target", &attempt.target)
            .option("--output-o", partial(context)),
        // A running Julia has one target.
        Staging::Replay => program.option(
            "--cpu-target",
            attempt.target.split(';').next().unwrap_or_default(),
        ),
    };
    let program = program
        .args(emission.options())
        .option(
            "--sysimage",
            context.base.as_ref().unwrap_or(&context.julia.base_image),
        )
        .arg(&launcher)
        .arg(&script)
        .arg(&job)
        .running(work.path(RUNNING), emission.script_limit)
        .directory(&context.project);
    let program = match attempt.threads {
        Some(threads) => program.env("JULIA_IMAGE_THREADS", threads.to_string()),
        None => program,
    };
    let names: Vec<_> = emission.packages.iter().map(|p| p.name.as_str()).collect();
    let subject = match staging {
        Staging::Emission => names.join(", "),
        Staging::Replay => "looking for the statement on which Julia crashes".to_owned(),
    };
    let task = context.reporter.start(Step::Emit, subject);
    if let (Staging::Emission, Some(wall)) = (staging, last_wall(work.root()).or(emission.expected))
    {
        task.expect(wall);
    }
    let running = context.children.run(&program, &task);
    let ran = following(running, emission, attempt, &report, &task).await;
    // Each statement is reported before the next one begins, so after a crash the report shows
    // where.
    let results = report::read(&report)?;
    let at = report::at(emission.count(), results.as_deref(), &attempt.left_out);
    let results = results.unwrap_or_default();
    let counts = report::account(emission.statements, &results, &attempt.left_out);
    Ok(match ran {
        Ok(finished) => {
            task.done(format!(
                "{} of {} statements replayed{}",
                counts.replayed,
                counts.recorded,
                match counts.failed.len() {
                    0 => String::new(),
                    failed => format!(", {failed} failed"),
                }
            ));
            Staged::Done(finished, counts)
        }
        Err(source) => {
            let _ = std::fs::remove_file(partial(context));
            Staged::Failed(source, at, counts)
        }
    })
}

/// Returns how long the last emission of this image took on this machine.
fn last_wall(root: &Path) -> Option<Duration> {
    // The record was set aside before this emission began.
    let (_, last) = WorkDir::peek::<Emitted>(root, "emit.previous")?;
    (last.wall_ms > 0).then(|| Duration::from_millis(last.wall_ms))
}

/// How often the progress of an emission is read.
const FOLLOW: Duration = Duration::from_secs(1);

/// Waits for an emission, and reports the statement at which it is, or that Julia is generating
/// code, which is the longest part and prints nothing.
async fn following<T>(
    running: impl Future<Output = T>,
    emission: &Emission<'_>,
    attempt: &Attempt,
    report: &Path,
    task: &Task,
) -> T {
    let mut running = std::pin::pin!(running);
    let mut shown = None;
    loop {
        if let Ok(ended) = tokio::time::timeout(FOLLOW, running.as_mut()).await {
            return ended;
        }
        let results = report::read(report).unwrap_or_default();
        let at = report::at(emission.count(), results.as_deref(), &attempt.left_out);
        if shown != Some(at) {
            shown = Some(at);
            task.line(progress(at, emission));
        }
    }
}

/// Describes the progress of a running emission.
fn progress(at: At, emission: &Emission<'_>) -> String {
    match at {
        At::Loading => "loading the packages".to_owned(),
        At::Statement(index) => {
            format!("replaying statement {} of {}", index + 1, emission.count())
        }
        At::AfterStatements if emission.execute.is_empty() && emission.script.is_none() => {
            "generating code".to_owned()
        }
        At::AfterStatements => "running scripts or generating code".to_owned(),
    }
}

/// Returns the path of the object while Julia writes it.
fn partial(context: &Context) -> PathBuf {
    context
        .work
        .path(context.work.own_name(PARTIAL.0, PARTIAL.1))
}

/// Collects the results of a staging process.
fn finish(
    context: &Context,
    emission: &Emission<'_>,
    finished: &Finished,
    counts: StatementCounts,
) -> Result<Emitted, EmitError> {
    let work = &context.work;
    let partial = partial(context);
    // Julia also writes the object if a workload or script calls `exit`.
    if let Ok(path) = sysforge_files::read_text(work.path(RUNNING)) {
        let _ = std::fs::remove_file(&partial);
        return Err(EmitError::EndedByScript {
            script: shown(Path::new(&path), &context.project),
        });
    }
    if !std::fs::metadata(&partial).is_ok_and(|file| file.len() > 0) {
        return Err(EmitError::NoObject {
            log: work.log("emit"),
        });
    }
    if emission.strict && !counts.failed.is_empty() {
        let _ = std::fs::remove_file(&partial);
        return Err(strict(counts));
    }
    // The staging script writes this file last.
    let surroundings = sysforge_files::read_text(work.path(SURROUNDINGS)).unwrap_or_default();
    let surroundings = Surroundings::read(&surroundings);
    if !surroundings.complete {
        let _ = std::fs::remove_file(&partial);
        return Err(EmitError::Incomplete {
            log: work.log("emit"),
        });
    }
    for redirected in surroundings.redirected() {
        let hint = "where the image runs, the package must find it too: install the package there, \
                    or redirect it there as well";
        context.reporter.warn(redirected, Some(hint.to_owned()));
    }
    let object = work.path(OBJECT);
    sysforge_files::rename(&partial, &object).map_err(workdir::io("rename", &partial))?;
    Ok(Emitted {
        object,
        statements: counts,
        peak_memory: finished.peak_memory,
        wall_ms: u64::try_from(finished.wall.as_millis()).unwrap_or(u64::MAX),
        artifacts: surroundings.artifacts(),
        outside: outside(context, &surroundings),
        project: Some(context.project.clone()),
        depots: surroundings.depots,
        loaded: surroundings.loaded,
        extensions: surroundings.extensions,
    })
}

/// Describes what a failed process was doing.
fn during(emission: &Emission<'_>, at: At) -> Option<String> {
    Some(match at {
        At::Loading => "while it loaded the packages".to_owned(),
        At::Statement(index) => format!("at the statement `{}`", emission.statement(index)),
        At::AfterStatements => "after all statements were replayed".to_owned(),
    })
}

/// Returns the statements as records: a letter for the origin, the statement, and a terminating
/// zero byte, because a statement may have several lines. Skipped ones are empty, so that the
/// indices stay the same.
fn records(emission: &Emission<'_>, left_out: &report::LeftOut) -> String {
    let mut records = String::new();
    for (index, statement) in emission.statements.iter().enumerate() {
        if !left_out.contains_key(&index) {
            records.push(match emission.given.contains(statement) {
                true => 'g',
                false => 'r',
            });
            records.push_str(statement);
        }
        records.push('\0');
    }
    records
}

/// Appends a line `key<TAB>value…` to a job file.
fn push_line(job: &mut String, key: &str, values: &[&dyn Display]) {
    job.push_str(key);
    for value in values {
        job.push('\t');
        job.extend(value.to_string().chars().flat_map(escape));
    }
    job.push('\n');
}

/// Returns the job file of the staging script, with lines `key<TAB>value…`.
fn job(
    context: &Context,
    emission: &Emission<'_>,
    statements: &Path,
    report: &Path,
    staging: Staging,
) -> String {
    let mut job = String::new();
    let mut line = |key: &str, values: &[&dyn Display]| push_line(&mut job, key, values);
    line("project", &[&context.packages.project.display()]);
    line("stdlib", &[&context.julia.stdlib.display()]);
    line("statements", &[&statements.display()]);
    line("report", &[&report.display()]);
    line("running", &[&context.work.path(RUNNING).display()]);
    line(
        "surroundings",
        &[&context.work.path(SURROUNDINGS).display()],
    );
    line("import-into-main", &[&emission.import_into_main]);
    for package in emission.packages {
        line("package", &[&package.name, &package.uuid]);
    }
    for package in emission.interactive {
        line("interactive", &[&package.name, &package.uuid]);
    }
    if let Some(code) = emission.code {
        line("code", &[&code]);
    }
    for name in emission.known {
        line("known", &[name]);
    }
    let ineffective: HashSet<&String> = emission.ineffective.iter().collect();
    for (index, statement) in emission.statements.iter().enumerate() {
        if ineffective.contains(statement) {
            line("ineffective", &[&(index + 1)]);
        }
    }
    // A replay must reach the statement that crashes Julia.
    let strict = emission.strict && staging == Staging::Emission;
    line("strict", &[&strict]);
    if staging == Staging::Replay {
        return job;
    }
    for workload in emission.execute {
        let path = workload.path.display();
        let mut values: Vec<&dyn std::fmt::Display> = vec![&path];
        values.extend(
            workload
                .args
                .iter()
                .map(|arg| arg as &dyn std::fmt::Display),
        );
        line("execute", &values);
    }
    if let Some(script) = emission.script {
        line("script", &[&script.display()]);
    }
    job
}

/// Escapes a character of a value in the job file.
fn escape(c: char) -> impl Iterator<Item = char> {
    let (first, second) = match c {
        '\\' => ('\\', Some('\\')),
        '\t' => ('\\', Some('t')),
        '\n' => ('\\', Some('n')),
        '\r' => ('\\', Some('r')),
        other => (other, None),
    };
    std::iter::once(first).chain(second)
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
