//! Tracing: running each workload in a clean process of its own under `--trace-compile`, which
//! records what Julia compiles as precompile statements.

use std::path::{Path, PathBuf};

use futures_util::{StreamExt, TryStreamExt, stream};
use sysforge_plan::{Class, Evidence, Explain, Step, explain, statements};

use crate::context::{Context, shown};
use sysforge_process::ProcessError;

/// Tracing failed.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// A configured file is not there.
    #[error("the {kind} `{path}` does not exist")]
    NoSuchFile {
        /// `workload`, `statement file` or `script`.
        kind: &'static str,
        /// The path, relative to the project.
        path: String,
        /// The file there is that is nearest to it.
        nearest: Option<String>,
    },
    /// A workload failed.
    #[error("the workload `{workload}` failed")]
    Workload {
        /// The workload, relative to the project.
        workload: String,
        /// How.
        #[source]
        source: ProcessError,
    },
    /// A file of statements could not be read.
    #[error("could not read {}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl Explain for TraceError {
    fn class(&self) -> Class {
        match self {
            Self::NoSuchFile { .. } => Class::Usage,
            Self::Workload { source, .. } => source.class_in(Class::Julia),
            Self::Unreadable { source, .. } => explain::io_class(source, Class::Julia),
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::NoSuchFile { nearest, .. } => {
                let relative = "paths in Sysimage.toml are relative to its folder";
                explain::did_you_mean(nearest.as_deref(), relative)
            }
            Self::Workload { workload, source } => {
                let mut hints = source.hints();
                if matches!(source, ProcessError::Failed { .. }) && hints.is_empty() {
                    hints.push(format!(
                        "a workload must run by itself: try `julia --project {workload}`"
                    ));
                }
                hints
            }
            Self::Unreadable { source, .. } => explain::io_hint(source).into_iter().collect(),
        }
    }

    fn evidence(&self) -> Option<Evidence> {
        match self {
            Self::Workload { source, .. } => source.evidence(),
            _ => None,
        }
    }
}

/// Makes sure that every configured file is there, before anything long begins.
///
/// # Errors
///
/// [`TraceError::NoSuchFile`] for the first that is not.
pub fn require_files<'a>(
    project: &Path,
    files: impl IntoIterator<Item = (&'static str, &'a str)>,
) -> Result<(), TraceError> {
    for (kind, path) in files {
        if !project.join(path).is_file() {
            return Err(TraceError::NoSuchFile {
                kind,
                path: path.to_owned(),
                nearest: nearest_file(project, path),
            });
        }
    }
    Ok(())
}

/// The file in the folder of `path` whose name is nearest to it, as it would be written there.
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
    // Folders have no order; a hint has.
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
    /// In the Julia as it is.
    Base,
    /// On a finished image, in a clean environment: what is recorded is what the image lacks.
    Image(&'a Path),
}

/// Runs each workload under `--trace-compile` and returns the statements that were recorded, each
/// once. As many workloads run at once as there are CPUs.
///
/// # Errors
///
/// If a workload fails.
pub async fn trace(
    context: &Context,
    workloads: &[PathBuf],
    on: On<'_>,
) -> Result<Vec<String>, TraceError> {
    let folder = match on {
        On::Base => "trace",
        On::Image(_) => "residual",
    };
    let folder = context.work.path(folder);
    std::fs::create_dir_all(&folder).map_err(|source| TraceError::Unreadable {
        path: folder.clone(),
        source,
    })?;
    let cpus = usize::try_from(context.julia.cpu_threads)
        .unwrap_or(1)
        .max(1);
    let recordings: Vec<String> = stream::iter(workloads.iter().enumerate())
        .map(|(index, workload)| {
            trace_one(
                context,
                workload,
                folder.join(format!("{index}.jl")),
                index,
                on,
            )
        })
        .buffered(cpus)
        .try_collect()
        .await?;
    Ok(statements::parse(&recordings.concat()))
}

async fn trace_one(
    context: &Context,
    workload: &Path,
    recording: PathBuf,
    index: usize,
    on: On<'_>,
) -> Result<String, TraceError> {
    let name = shown(workload, &context.project);
    // Julia makes the file with the first statement: without one, an earlier time's would be read.
    let unreadable = |source| TraceError::Unreadable {
        path: recording.clone(),
        source,
    };
    match std::fs::remove_file(&recording) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(unreadable(error));
        }
        _ => {}
    }
    let program = match on {
        On::Base => context
            .julia(context.environment.for_julia(), &format!("trace-{index}"))
            .args(context.without_package_images())
            .optional("--sysimage", context.base.as_ref()),
        On::Image(image) => context
            .julia(context.clean_environment(), &format!("residual-{index}"))
            .option("--sysimage", image),
    };
    let program = program.option("--trace-compile", &recording).arg(workload);
    let step = match on {
        On::Base => Step::Trace,
        On::Image(_) => Step::Check,
    };
    let task = context.reporter.start(step, &name);
    context
        .children
        .run(&program.directory(&context.project), &task)
        .await
        .map_err(|source| TraceError::Workload {
            workload: name,
            source,
        })?;
    let text = match std::fs::read_to_string(&recording) {
        Ok(text) => text,
        // Julia makes the file with the first statement.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(source) => return Err(unreadable(source)),
    };
    let count = statements::parse(&text).len();
    task.done(match on {
        On::Base => format!("{count} statements recorded"),
        On::Image(_) => format!("{count} statements still compiled"),
    });
    Ok(text)
}

/// Reads further statements from the files that the configuration names.
///
/// # Errors
///
/// If one cannot be read.
pub fn given_statements(files: &[PathBuf]) -> Result<Vec<String>, TraceError> {
    let read = |path: &PathBuf| {
        std::fs::read_to_string(path).map_err(|source| TraceError::Unreadable {
            path: path.clone(),
            source,
        })
    };
    let texts = files.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    Ok(statements::parse(&texts.join("\n")))
}
