//! Tracing: runs each workload in its own clean process under `--trace-compile`, which records what
//! Julia compiles as precompile statements.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use sysforge_files::unless_gone;
use sysforge_plan::explain::PathError;
use sysforge_plan::statements::{self, Ignored};
use sysforge_plan::{Class, Evidence, Explain, OutputKind, Step, explain};

use crate::context::{Context, shown};
use crate::script::Script;
use sysforge_process::{ProcessError, available_outputs};

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

impl Explain for TraceError {
    fn class(&self) -> Class {
        match self {
            Self::NoSuchFile { .. } | Self::IsFolder { .. } => Class::Usage,
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
            Self::Workload { workload, source } => {
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
        return "Julia may not write there: check the permissions of that path; if it is in a depot \
                or in HOME, name another depot with `--depot DIR`"
            .to_owned();
    }
    format!("a workload must run by itself: try `julia --project {workload}`")
}

/// Checks that every configured file exists, before any long step starts.
///
/// # Errors
///
/// [`TraceError::NoSuchFile`] for the first that does not.
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
/// another, it runs again alone before it counts as failed.
///
/// # Errors
///
/// If a workload fails.
pub async fn trace(
    context: &Context,
    workloads: &[Script],
    on: On<'_>,
) -> Result<Recorded, TraceError> {
    let folder = context.work.path(on.name());
    std::fs::create_dir_all(&folder).map_err(PathError::wrap(
        "create",
        &folder,
        TraceError::Path,
    ))?;
    let outputs = available_outputs();
    let mut runs = Vec::new();
    for (index, workload) in workloads.iter().enumerate() {
        runs.extend(outputs.iter().map(|output| Run {
            workload,
            index,
            output: *output,
        }));
    }
    let cpus = usize::try_from(context.julia.cpu_threads).unwrap_or(1);
    let results: Vec<Result<Recording, TraceError>> = stream::iter(&runs)
        .map(|run| run.record(context, on, &folder))
        .buffered(cpus.max(1))
        .collect()
        .await;
    let mut recordings = Vec::new();
    let succeeded: Vec<bool> = results.iter().map(Result::is_ok).collect();
    for (run, result) in runs.iter().zip(results) {
        let beside = |(other, succeeded): (&Run<'_>, &bool)| {
            *succeeded && other.index == run.index && other.output != run.output
        };
        recordings.push(match result {
            Err(_) if runs.iter().zip(&succeeded).any(beside) => {
                run.record(context, on, &folder).await?
            }
            other => other?,
        });
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
                .args(context.without_package_images())
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
        let subject = format!("{name}, output to {output}");
        let task = context.reporter.start(on.step(), subject);
        let ran = context.children.run(&program, &task).await;
        let finished = ran.map_err(|source| TraceError::Workload {
            workload: name,
            source,
        })?;
        // Without a file, nothing was compiled.
        let text = unless_gone(sysforge_files::read_text(&recording)).map_err(unreadable)?;
        let count = statements::parse(&text).len();
        task.done(match on {
            On::Base => format!("{count} statements recorded"),
            On::Image(_) => format!("{count} statements still compiled"),
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
    use super::*;

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
