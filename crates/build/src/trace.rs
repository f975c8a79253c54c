//! Tracing: runs each workload in its own clean process under `--trace-compile`, which records what
//! Julia compiles as precompile statements.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use sysforge_files::unless_gone;
use sysforge_plan::config::Workload;
use sysforge_plan::explain::PathError;
use sysforge_plan::statements::{self, Ignored};
use sysforge_plan::text::counted;
use sysforge_plan::{Class, Evidence, Explain, OutputKind, Step, explain};

use crate::context::{Context, shown};
use crate::link::which;
use crate::script::Script;
use sysforge_process::{Environment, ProcessError, available_outputs};

/// Tracing failed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages describe the variants")]
pub enum TraceError {
    #[error("the {kind} `{path}` does not exist")]
    NoSuchFile {
        kind: &'static str,
        /// The path, relative to the project.
        path: String,
        nearest: Option<String>,
    },
    #[error("the {kind} `{path}` is a folder")]
    IsFolder {
        kind: &'static str,
        /// The path, relative to the project.
        path: String,
    },
    #[error("the {kind} `{path}` is not a regular file")]
    NotRegular {
        kind: &'static str,
        /// The path, relative to the project.
        path: String,
    },
    #[error("the workload `{workload}` is started by `{command}`, {}", match .command.contains(std::path::is_separator) {
        true => "which is not a program",
        false => "and there is no such program on the search path",
    })]
    NoCommand {
        /// The workload, relative to the project.
        workload: String,
        /// The first word of its prefix, as Sysimage.toml has it.
        command: String,
    },
    #[error("the workload `{workload}` failed")]
    Workload {
        /// The workload, relative to the project.
        workload: String,
        #[source]
        source: ProcessError,
    },
    #[error(transparent)]
    Path(#[from] PathError),
}

impl TraceError {
    /// Returns whether the workload neither ended nor did anything.
    fn is_of_hung_child(&self) -> bool {
        matches!(
            self,
            Self::Workload {
                source: ProcessError::Hung { .. },
                ..
            }
        )
    }
}

impl Explain for TraceError {
    fn class(&self) -> Class {
        match self {
            Self::NoSuchFile { .. }
            | Self::IsFolder { .. }
            | Self::NotRegular { .. }
            | Self::NoCommand { .. } => Class::Usage,
            Self::Workload { source, .. } => source.class_or(Class::Julia),
            Self::Path(error) => error.class(Class::Julia),
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::NoSuchFile { nearest, .. } => {
                let relative = "paths in Sysimage.toml are relative to its folder";
                explain::did_you_mean(nearest.as_deref(), relative)
            }
            Self::IsFolder { kind, path } => {
                let files = "name the files in it";
                vec![match *kind {
                    "workload" => {
                        format!("{files}, such as `{}/run.jl`", path.trim_end_matches('/'))
                    }
                    _ => files.to_owned(),
                }]
            }
            Self::NotRegular { .. } => vec![
                "name a regular file: it is read more than once, and a pipe or a device cannot be"
                    .to_owned(),
            ],
            Self::NoCommand { .. } => vec![
                "`prefix` in Sysimage.toml begins with a command: a name is looked up on the search \
                 path, and a path starts from the project"
                    .to_owned(),
            ],
            Self::Workload { workload, source } => {
                if let Some(peak_memory) = source.killed_for_memory() {
                    return vec![format!(
                        "if the workload was not ended on purpose, the system may have run out of memory: \
                         the process used up to {} MB",
                        peak_memory / 1_000_000
                    )];
                }
                let mut hints = source.hints();
                if matches!(source, ProcessError::Start { .. }) {
                    let prefix = "if the workload has a `prefix` in Sysimage.toml, its command must be \
                                  on the search path of this machine";
                    hints.push(prefix.to_owned());
                }
                if matches!(source, ProcessError::Failed { .. }) && hints.is_empty() {
                    hints.push(workload_hint(workload, source));
                }
                hints
            }
            Self::Path(error) => error.hints(),
        }
    }

    fn evidence(&self) -> Option<Evidence> {
        match self {
            Self::Workload { source, .. } => source.evidence(),
            _ => None,
        }
    }
}

/// Returns a hint for a failed workload, depending on Julia's message: a package is missing, a
/// folder is not writable, or the workload has an error.
fn workload_hint(workload: &str, source: &ProcessError) -> String {
    let said = source.evidence().unwrap_or_default().tail.join("\n");
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    // The message of Base's loading.jl, unchanged from 1.5 to 1.12.
    if let Some((_, rest)) = said.split_once("Package ")
        && let Some((name, _)) = rest.split_once(" not found in current path")
    {
        return format!(
            "add {name} to the project, or name it in `workload-environment` of Sysimage.toml if \
             only workloads use it"
        );
    }
    if has(&["is required but does not seem to be installed"]) {
        return "`sysforge instantiate --force` installs the packages of the project again"
            .to_owned();
    }
    if has(&[
        "permission denied",
        "read-only file system",
        "EACCES",
        "EROFS",
    ]) {
        return "Julia was denied access to a path: check its permissions; if it is in a depot or in \
                HOME, name another depot with `--depot DIR`"
            .to_owned();
    }
    format!("a workload must run by itself: try `julia --project {workload}`")
}

/// Checks that every configured file exists, before any long step starts.
///
/// # Errors
///
/// [`TraceError::NoSuchFile`], [`TraceError::IsFolder`] or [`TraceError::NotRegular`] for the first
/// that is not a regular file.
pub fn require_files<'a>(
    project: &Path,
    files: impl IntoIterator<Item = (&'static str, &'a str)>,
) -> Result<(), TraceError> {
    for (kind, path) in files {
        let file = project.join(path);
        if !path.is_empty() && file.is_dir() {
            return Err(TraceError::IsFolder {
                kind,
                path: path.to_owned(),
            });
        }
        if sysforge_files::is_special(&file) {
            return Err(TraceError::NotRegular {
                kind,
                path: path.to_owned(),
            });
        }
        if !file.is_file() {
            return Err(TraceError::NoSuchFile {
                kind,
                path: path.to_owned(),
                nearest: nearest_file(project, path),
            });
        }
    }
    Ok(())
}

/// Checks that the command before the Julia of each workload is on this machine.
///
/// # Errors
///
/// [`TraceError::NoCommand`] for the first that is not.
pub fn require_commands(
    project: &Path,
    workloads: &[Workload],
    environment: &Environment,
) -> Result<(), TraceError> {
    // Without a search path, the system has one of its own.
    let has_path = environment.get("PATH").is_some();
    for workload in workloads {
        let script = Script::of(workload, project);
        let Some((command, written)) = script.prefix.first().zip(workload.prefix.first()) else {
            continue;
        };
        let is_path = command.contains(std::path::is_separator);
        if (is_path || has_path) && which(command, environment).is_none() {
            return Err(TraceError::NoCommand {
                workload: workload.path.clone(),
                command: written.clone(),
            });
        }
    }
    Ok(())
}

/// Returns the file in the folder of `path` whose name is most similar, relative to the project.
fn nearest_file(project: &Path, path: &str) -> Option<String> {
    let (folder, typed) = match path.rsplit_once('/') {
        Some((folder, name)) => (Some(folder), name),
        None => (None, path),
    };
    let entries = std::fs::read_dir(project.join(folder.unwrap_or("."))).ok()?;
    let files = entries.flatten().filter(|entry| entry.path().is_file());
    let mut names: Vec<_> = files
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    // Sorted, because the order of a folder's entries is undefined.
    names.sort();
    let name = explain::nearest(typed, names.iter().map(String::as_str))?;
    Some(match folder {
        Some(folder) => format!("{folder}/{name}"),
        None => name.to_owned(),
    })
}

/// How a workload is traced.
#[derive(Debug, Clone, Copy)]
pub enum On<'a> {
    /// With Julia's own sysimage or base.
    Base,
    /// With a finished image, in a clean environment: records what the image lacks.
    Image(&'a Path),
}

impl On<'_> {
    pub(crate) fn step(self) -> Step {
        match self {
            Self::Base => Step::Trace,
            Self::Image(_) => Step::Check,
        }
    }

    /// Returns the name of the recordings' folder in the build directory, which is also the prefix
    /// of the logs.
    fn name(self) -> &'static str {
        match self {
            Self::Base => "trace",
            Self::Image(_) => "residual",
        }
    }
}

/// The recordings of running the workloads.
#[derive(Debug, Clone, Default)]
pub struct Recorded {
    /// The statements, without duplicates.
    pub statements: Vec<String>,
    /// Recorded lines that are not complete statements.
    pub ignored: Vec<Ignored>,
    /// The statements by kind of output.
    pub by_output: Vec<(OutputKind, Vec<String>)>,
    /// The compilation time of each statement, in milliseconds, if Julia reports it.
    pub costs_ms: BTreeMap<String, f64>,
    /// The longest run of any workload.
    pub longest_run: Duration,
}

/// Runs each workload under `--trace-compile` like `julia WORKLOAD ARGS…`, once for each kind of
/// output available on this machine, because Julia compiles different code for a terminal, a pipe
/// and a file.
///
/// Runs as many at once as there are CPUs. If one fails, which may be due to a file or port used by
/// another, it runs again alone before it counts as failed. On Windows, if a workload fails with a terminal
/// alone, a warning says so, and the terminal does not count as available.
///
/// # Errors
///
/// [`TraceError::Workload`] if a workload fails; [`TraceError::Path`] if the folder of the
/// recordings cannot be created, or a recording cannot be read.
pub async fn trace(
    context: &Context,
    workloads: &[Script],
    on: On<'_>,
) -> Result<Recorded, TraceError> {
    let folder = context.work.path(on.name());
    sysforge_files::create_folders(&folder).map_err(PathError::wrap(
        "create",
        &folder,
        TraceError::Path,
    ))?;
    let mut outputs = available_outputs();
    let mut runs = Vec::new();
    for (index, workload) in workloads.iter().enumerate() {
        runs.extend(outputs.iter().map(|output| Run {
            workload,
            index,
            output: *output,
        }));
    }
    let cpus = usize::try_from(context.julia.cpu_threads).unwrap_or(1);
    let optional = cfg!(windows).then_some(OutputKind::Terminal);
    let record = |run| Run::record(run, context, on, &folder);
    let (recordings, left_out) = record_all(&runs, cpus.max(1), optional, record).await?;
    if let Some((output, error)) = left_out {
        outputs.retain(|kind| *kind != output);
        let why = match &error {
            TraceError::Workload { workload, source } => format!("{error}: {workload}: {source}"),
            _ => error.to_string(),
        };
        let text = format!("no workload counts as run with output to {output}: {why}");
        let hint = "on Windows, standard input has no end in a terminal: a workload that reads all of it \
                    waits for ever";
        context.reporter.warn(text, Some(hint.to_owned()));
    }
    let mut recorded = Recorded::default();
    for output in outputs {
        let of_output = recordings.iter().filter(|one| one.output == output);
        let text: String = of_output.map(|one| one.text.as_str()).collect();
        recorded.by_output.push((output, statements::parse(&text)));
    }
    let all: String = recordings.iter().map(|one| one.text.as_str()).collect();
    let read = statements::read(&all);
    recorded.statements = read.statements;
    let recording = |ignored: Ignored| Ignored {
        file: "the recording".to_owned(),
        ..ignored
    };
    recorded.ignored = read.ignored.into_iter().map(recording).collect();
    recorded.costs_ms = costs_ms(&all);
    let runs = recordings.iter().map(|one| one.wall);
    recorded.longest_run = runs.max().unwrap_or_default();
    Ok(recorded)
}

/// The kind of output that is left out, and why.
type LeftOut = Option<(OutputKind, TraceError)>;

/// Records all runs, `at_once` of them at the same time. The kind of output that is `optional` is left out
/// if a workload fails with it and succeeds with another kind.
async fn record_all<'r, R>(
    runs: &'r [Run<'r>],
    at_once: usize,
    optional: Option<OutputKind>,
    record: impl Fn(&'r Run<'r>) -> R,
) -> Result<(Vec<Recording>, LeftOut), TraceError>
where
    R: Future<Output = Result<Recording, TraceError>>,
{
    let started = stream::iter(runs).map(&record).buffered(at_once);
    let results: Vec<Result<Recording, TraceError>> = started.collect().await;
    let succeeded: Vec<bool> = results.iter().map(Result::is_ok).collect();
    let mut recordings = Vec::new();
    let mut left_out: LeftOut = None;
    for (run, result) in runs.iter().zip(results) {
        let beside = |(other, succeeded): (&Run<'_>, &bool)| {
            *succeeded && other.index == run.index && other.output != run.output
        };
        let succeeds_otherwise = runs.iter().zip(&succeeded).any(beside);
        let is_optional = optional == Some(run.output) && succeeds_otherwise;
        let result = match result {
            Err(error) if is_optional && error.is_of_hung_child() => Err(error),
            Err(_) if succeeds_otherwise => record(run).await,
            other => other,
        };
        match result {
            Ok(recording) => recordings.push(recording),
            Err(error) if is_optional => left_out = Some((run.output, error)),
            Err(error) => return Err(error),
        }
    }
    let left = left_out.as_ref().map(|(output, _)| *output);
    recordings.retain(|one| Some(one.output) != left);
    Ok((recordings, left_out))
}

/// Returns the time that a Julia may be idle in a terminal: on Windows at most a minute, because it may wait
/// for the end of its input.
pub(crate) fn idle_in_terminal(limit: Option<Duration>) -> Option<Duration> {
    const IN_CONSOLE: Duration = Duration::from_secs(60);
    match cfg!(windows) {
        true => Some(limit.map_or(IN_CONSOLE, |limit| limit.min(IN_CONSOLE))),
        false => limit,
    }
}

/// A run of a workload.
struct Run<'a> {
    workload: &'a Script,
    index: usize,
    output: OutputKind,
}

/// The recording of one run, as Julia wrote it.
struct Recording {
    output: OutputKind,
    text: String,
    wall: Duration,
}

impl Run<'_> {
    async fn record(
        &self,
        context: &Context,
        on: On<'_>,
        folder: &Path,
    ) -> Result<Recording, TraceError> {
        let Self {
            workload,
            index,
            output,
        } = self;
        let name = shown(&workload.path, &context.project);
        let recording = folder.join(format!("{index}-{}.jl", output.word()));
        // Julia creates the file with the first statement. Without any, the file of an earlier run
        // would be read.
        let unreadable = |source| PathError::wrap("read", &recording, TraceError::Path)(source);
        unless_gone(std::fs::remove_file(&recording)).map_err(unreadable)?;
        let log = format!("{}-{index}-{}", on.name(), output.word());
        let program = match on {
            On::Base => context
                .julia(context.environment.for_julia(), &log)
                .args(context.recording())
                .optional("--sysimage", context.base.as_ref()),
            On::Image(image) => context
                .julia(context.clean_environment_of(workload), &log)
                .option("--sysimage", image)
                .args(context.generation.trace_timing),
        };
        let program = program
            .output(*output)
            .option("--trace-compile", &recording)
            .args(&workload.options)
            .arg(&workload.path)
            .args(&workload.args)
            .prefixed(&workload.prefix)
            .directory(&context.project);
        let program = match output {
            OutputKind::Terminal => program.idle(idle_in_terminal(context.idle)),
            _ => program,
        };
        let subject = format!("{name}, output to {output}");
        let task = context.reporter.start(on.step(), subject);
        let ran = context.children.run(&program, &task).await;
        let finished = ran.map_err(|source| TraceError::Workload {
            workload: name,
            source,
        })?;
        // Without a file, nothing was compiled.
        let text = unless_gone(sysforge_files::read_text(&recording)).map_err(unreadable)?;
        let count = counted(statements::parse(&text).len(), "statement");
        task.done(match on {
            On::Base => format!("{count} recorded"),
            // With those that only the workload itself defines, which are no residuals.
            On::Image(_) => format!("{count} compiled"),
        });
        Ok(Recording {
            output: *output,
            text,
            wall: finished.wall,
        })
    }
}

/// Returns the milliseconds before each statement, `#=   12.3 ms =# precompile(…)`, which Julia
/// writes with `--trace-compile-timing`. If there are several, the longest counts.
fn costs_ms(text: &str) -> BTreeMap<String, f64> {
    let mut costs = BTreeMap::new();
    for line in text.lines() {
        let timed = line
            .trim()
            .strip_prefix("#=")
            .and_then(|rest| rest.split_once("=#"));
        let Some((time, statement)) = timed else {
            continue;
        };
        let ms = time
            .trim()
            .strip_suffix("ms")
            .and_then(|ms| ms.trim().parse::<f64>().ok());
        if let (Some(ms), [statement]) = (ms, statements::parse(statement).as_slice()) {
            let longest = costs.entry(statement.clone()).or_insert(ms);
            *longest = ms.max(*longest);
        }
    }
    costs
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Runs a workload with a pipe and a terminal, where each of these attempts with a terminal fails, as
    /// hung or not. Returns the kinds that were recorded, the one that was left out, and the number of runs.
    async fn recorded(
        optional: Option<OutputKind>,
        failing: u32,
        hung: bool,
        pipe_fails: bool,
    ) -> (Option<(Vec<OutputKind>, Option<OutputKind>)>, u32) {
        let workload = Script {
            path: "workload.jl".into(),
            args: Vec::new(),
            options: Vec::new(),
            prefix: Vec::new(),
        };
        let runs = [OutputKind::Pipe, OutputKind::Terminal].map(|output| Run {
            workload: &workload,
            index: 0,
            output,
        });
        let count = Cell::new(0);
        let in_terminal = Cell::new(0);
        let record = async |run: &Run<'_>| {
            count.set(count.get() + 1);
            let fails = match run.output {
                OutputKind::Terminal => in_terminal.replace(in_terminal.get() + 1) < failing,
                _ => pipe_fails,
            };
            match fails {
                false => Ok(Recording {
                    output: run.output,
                    text: String::new(),
                    wall: Duration::ZERO,
                }),
                true if hung => Err(TraceError::Workload {
                    workload: "workload.jl".to_owned(),
                    source: ProcessError::Hung {
                        program: "julia".to_owned(),
                        limit: Duration::ZERO,
                        evidence: Evidence::default(),
                    },
                }),
                true => Err(TraceError::IsFolder {
                    kind: "workload",
                    path: "workload.jl".to_owned(),
                }),
            }
        };
        let recorded = record_all(&runs, 2, optional, record).await;
        let recorded = recorded.map(|(recordings, left_out)| {
            let outputs = recordings.iter().map(|one| one.output).collect();
            (outputs, left_out.map(|(output, _)| output))
        });
        (recorded.ok(), count.get())
    }

    #[tokio::test]
    async fn a_terminal_that_is_optional_is_left_out_if_a_workload_fails_with_it_alone() {
        let terminal = Some(OutputKind::Terminal);
        let both = vec![OutputKind::Pipe, OutputKind::Terminal];
        let pipe = vec![OutputKind::Pipe];
        for (optional, failing, hung, pipe_fails, expected) in [
            (terminal, 0, false, false, (Some((both.clone(), None)), 2)),
            // A failure may be due to the other run.
            (terminal, 1, false, false, (Some((both.clone(), None)), 3)),
            (None, 1, true, false, (Some((both, None)), 3)),
            (
                terminal,
                2,
                false,
                false,
                (Some((pipe.clone(), terminal)), 3),
            ),
            // Waiting once is enough.
            (terminal, 2, true, false, (Some((pipe, terminal)), 2)),
            (None, 2, false, false, (None, 3)),
            (terminal, 2, false, true, (None, 2)),
        ] {
            let found = recorded(optional, failing, hung, pipe_fails).await;
            assert_eq!(
                found, expected,
                "{optional:?} {failing} {hung} {pipe_fails}"
            );
        }
    }

    #[test]
    fn a_command_of_a_workload_that_is_not_on_this_machine_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let environment = Environment::new([("PATH".into(), folder.path().into())]);
        let refused = |command: &str| {
            let workload = Workload {
                prefix: vec![command.to_owned()],
                ..Workload::new("w.jl")
            };
            let error = require_commands(folder.path(), &[workload], &environment).err()?;
            assert_eq!(error.class(), Class::Usage);
            Some(error.to_string())
        };
        let said = refused("nonexistentprog").unwrap();
        assert!(
            said.ends_with("and there is no such program on the search path"),
            "{said}"
        );
        let said = refused("bin/run").unwrap();
        assert!(
            said.ends_with("by `bin/run`, which is not a program"),
            "{said}"
        );
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::create_dir(folder.path().join("bin")).unwrap();
            for name in ["bin/run", "srun"] {
                let path = folder.path().join(name);
                std::fs::write(&path, "").unwrap();
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
            }
            assert_eq!(refused("bin/run"), None);
            assert_eq!(refused("srun"), None);
        }
        assert!(require_commands(folder.path(), &[Workload::new("w.jl")], &environment).is_ok());
    }

    #[test]
    fn a_killed_workload_may_have_been_ended_on_purpose() {
        let error = TraceError::Workload {
            workload: "w.jl".to_owned(),
            source: ProcessError::Failed {
                program: "julia".to_owned(),
                ended: sysforge_process::Ended::Signal(9),
                peak_memory: 305_000_000,
                evidence: Evidence::default(),
            },
        };
        let hints = error.hints();
        assert!(
            hints[0].starts_with("if the workload was not ended on purpose"),
            "{hints:?}"
        );
        assert!(hints[0].ends_with("used up to 305 MB"), "{hints:?}");
    }

    #[test]
    fn the_time_in_front_of_a_statement_is_its_cost() {
        let costs = costs_ms(
            "#=   12.5 ms =# precompile(Tuple{typeof(f)})\n\
             precompile(Tuple{typeof(g)})\n\
             #=    2.0 ms =# precompile(Tuple{typeof(f)}) # recompile\n",
        );
        let f = "precompile(Tuple{typeof(f)})".to_owned();
        assert_eq!(costs, BTreeMap::from([(f, 12.5)]));
    }
}
