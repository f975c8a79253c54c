//! The runner of GitHub Actions, if this process runs on one: the files that receive outputs and
//! summaries. Otherwise, all functions do nothing.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use sysforge_actions::command::{self, Location};
use sysforge_actions::job::{self, Job};
use sysforge_actions::summary::Image;
use sysforge_actions::{event, trace};
use sysforge_plan::Explain;

use crate::printer::{Terminal, note_write_failure, unguessable};

/// Variables that contain secrets.
const SECRETS: [&str; 6] = [
    "GITHUB_TOKEN",
    "GH_TOKEN",
    "SYSFORGE_SIGN_PASSWORD",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
];

/// Variables with URLs, which may contain a password.
const ADDRESSES: [&str; 5] = [
    "HTTPS_PROXY",
    "https_proxy",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
];

/// The runner, if there is one.
#[derive(Debug, Default)]
pub struct Runner {
    /// Whether there is one.
    pub on: bool,
    output: Option<PathBuf>,
    summary: Option<PathBuf>,
    workspace: Option<PathBuf>,
    event: Option<PathBuf>,
    job: Mutex<Job>,
}

impl Runner {
    /// Finds the runner's files. `variable` looks up an environment variable.
    pub fn new(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let variable = |name| variable(name).filter(|value| !value.is_empty());
        let path = |name| variable(name).map(PathBuf::from);
        if variable("GITHUB_ACTIONS").is_none_or(|value| value != "true") {
            return Self::default();
        }
        Self {
            on: true,
            output: path("GITHUB_OUTPUT"),
            summary: path("GITHUB_STEP_SUMMARY"),
            workspace: path("GITHUB_WORKSPACE"),
            event: path("GITHUB_EVENT_PATH"),
            job: Mutex::default(),
        }
    }

    /// Whether this run is for a pull request from a fork, which gets no secrets.
    pub fn is_of_a_fork(&self) -> bool {
        let payload = self.event.as_ref();
        let payload = payload.and_then(|path| std::fs::read_to_string(path).ok());
        payload.is_some_and(|payload| event::is_of_a_fork(&payload))
    }

    /// Makes the runner mask tokens, and the passwords of proxies and of the `mirror`.
    pub fn mask(&self, variable: impl Fn(&str) -> Option<OsString>, mirror: Option<&str>) {
        if !self.on {
            return;
        }
        let variable = |name: &&str| variable(name)?.into_string().ok();
        let addresses = ADDRESSES.iter().filter_map(variable);
        let passwords = addresses
            .chain(mirror.map(str::to_owned))
            .filter_map(|address| Some(address.parse::<url::Url>().ok()?.password()?.to_owned()));
        for secret in SECRETS.iter().filter_map(variable).chain(passwords) {
            if let Some(command) = command::mask(&secret) {
                let _ = writeln!(std::io::stderr(), "{command}");
            }
        }
    }

    /// Sets an output, which later steps can use.
    pub fn output(&self, name: &str, value: &str) {
        if let Some(file) = &self.output {
            // Later steps would continue without the value.
            if let Err(error) = append(file, &command::output(name, value, &unguessable())) {
                note_write_failure(error);
            }
        }
    }

    /// Adds to the job's summary.
    pub fn summarize(&self, text: &str) {
        if let Some(file) = &self.summary {
            // A summary that cannot be written is not a reason to fail a build.
            let _ = append(file, text);
        }
    }

    /// Sets the current subject of the job, for the summary of a failure.
    pub fn working_on(&self, subject: &str) {
        self.job().work_on(subject);
    }

    /// Adds a finished image to the summary.
    pub fn built(&self, image: Image) {
        if self.on {
            self.job().add(image);
        }
    }

    /// Writes the summary of a run that was ended by a signal: it was cancelled, or exceeded the
    /// time limit of its job.
    pub fn interrupted(&self, by: &str) {
        if self.on {
            let summary = self.job().interrupted(by);
            self.summarize(&summary);
        }
    }

    /// Writes the summary of the built images and of the error, and an annotation at the position
    /// of the error. Call this once, at the end. `project` is the folder of the project;
    /// `workloads` are paths relative to it.
    pub fn finish(
        &self,
        error: Option<&dyn Explain>,
        project: Option<&Path>,
        workloads: &[String],
        terminal: Terminal,
    ) {
        if !self.on {
            return;
        }
        let position = error.and_then(|error| self.position(error, project, workloads));
        if let Some(error) = error {
            terminal.annotation(&job::annotation(error, position.as_ref()));
        }
        let summary = self.job().summary(error, position.as_ref());
        if let Some(summary) = summary {
            self.summarize(&summary);
        }
    }

    /// Returns the position of an error: in a file that could not be read, or in a workload that
    /// failed.
    fn position(
        &self,
        error: &dyn Explain,
        project: Option<&Path>,
        workloads: &[String],
    ) -> Option<Location> {
        let (file, line, column) = match error.location() {
            Some((file, line, column)) => {
                let file = std::path::absolute(&file).unwrap_or_else(|_| file.into());
                (file, line, Some(column))
            }
            None => {
                let found = trace::locate(&error.evidence()?.tail, workloads)?;
                (project?.join(&found.file), found.line, found.column)
            }
        };
        let root = self.workspace.as_deref().unwrap_or(Path::new(""));
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let below = real(&file)
            .strip_prefix(real(root))
            .map_or_else(|_| file.clone(), Path::to_owned);
        let parts: Vec<_> = below.iter().map(|part| part.to_string_lossy()).collect();
        Some(Location {
            file: parts.join("/"),
            line,
            column,
        })
    }

    fn job(&self) -> std::sync::MutexGuard<'_, Job> {
        self.job.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn append(file: &Path, text: &str) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(file)?;
    file.write_all(text.as_bytes())
}
