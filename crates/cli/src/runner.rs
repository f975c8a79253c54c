//! The runner of GitHub Actions, where this process runs on one: the files in which it takes
//! outputs and summaries, and what belongs into them. Elsewhere everything here does nothing.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use sysforge_actions::command::{self, Location};
use sysforge_actions::summary::{self, Failed, Image};
use sysforge_actions::{event, trace};
use sysforge_plan::explain::causes;
use sysforge_plan::runner::Day;
use sysforge_plan::{Explain, Receipt, Sha256};

use crate::failure::Failure;
use crate::terminal::{Terminal, note_write_failure, unguessable};
use crate::variables::Variables;
use sysforge_engine::paths::absolute;

/// What is secret as it is.
const SECRETS: [&str; 3] = ["GITHUB_TOKEN", "GH_TOKEN", "SYSFORGE_SIGN_PASSWORD"];

/// Addresses, which may hold a password.
const ADDRESSES: [&str; 5] = [
    "HTTPS_PROXY",
    "https_proxy",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
];

/// The runner, or the lack of one.
#[derive(Debug, Default)]
pub(crate) struct Runner {
    /// Whether this is one.
    pub(crate) on: bool,
    output: Option<PathBuf>,
    summary: Option<PathBuf>,
    workspace: Option<PathBuf>,
    event: Option<PathBuf>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    subject: String,
    images: Vec<(Receipt, u64, Sha256, bool)>,
}

impl State {
    fn subject(&self) -> &str {
        match self.subject.as_str() {
            "" => "sysforge",
            subject => subject,
        }
    }

    fn images(&self) -> Vec<Image<'_>> {
        self.images
            .iter()
            .map(|(receipt, size, sha256, reused)| Image {
                receipt,
                size: *size,
                sha256: *sha256,
                reused: *reused,
            })
            .collect()
    }
}

impl Runner {
    /// Reads where the runner wants things.
    pub(crate) fn new(variables: &Variables) -> Self {
        let variable = |name| variables.get(name).filter(|value| !value.is_empty());
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
            state: Mutex::default(),
        }
    }

    /// Whether this run is for a pull request of a fork, which gets no secrets.
    pub(crate) fn is_of_a_fork(&self) -> bool {
        let payload = self
            .event
            .as_ref()
            .and_then(|path| std::fs::read_to_string(path).ok());
        payload.is_some_and(|payload| event::is_of_a_fork(&payload))
    }

    /// Has everything hidden that must not be read: tokens, and the passwords in addresses.
    pub(crate) fn mask(&self, variables: &Variables, mirror: Option<&str>) {
        if !self.on {
            return;
        }
        let variable = |name: &&str| Some(variables.get(name)?.to_str()?.to_owned());
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

    /// Gives later steps a value.
    pub(crate) fn output(&self, name: &str, value: &str) {
        if let Some(file) = &self.output {
            // Later steps would go on without the value.
            if let Err(error) = append(file, &command::output(name, value, &unguessable())) {
                note_write_failure(error);
            }
        }
    }

    /// Gives later steps the Julias that were used, as setup-julia does: the versions, and the folders
    /// of their executables, each once, one a line.
    pub(crate) fn output_julias(&self, julias: impl Iterator<Item = (String, PathBuf)>) {
        let (mut versions, mut folders) = (Vec::new(), Vec::new());
        for (version, executable) in julias {
            let folder = executable.parent().unwrap_or(Path::new(""));
            let folder = folder.display().to_string();
            if !folders.contains(&folder) {
                versions.push(version);
                folders.push(folder);
            }
        }
        if !folders.is_empty() {
            self.output("julia-version", &versions.join("\n"));
            self.output("julia-bindir", &folders.join("\n"));
        }
    }

    /// Adds to the job's summary.
    pub(crate) fn summarise(&self, text: &str) {
        if let Some(file) = &self.summary {
            // A summary that cannot be written is no reason to fail a build.
            let _ = append(file, text);
        }
    }

    /// Notes what is being worked on, for the summary of a failure.
    pub(crate) fn working_on(&self, subject: &str) {
        subject.clone_into(&mut self.lock().subject);
    }

    /// Notes a finished image for the summary.
    pub(crate) fn built(&self, receipt: &Receipt, size: u64, sha256: Sha256, reused: bool) {
        if self.on {
            let image = (receipt.clone(), size, sha256, reused);
            self.lock().images.push(image);
        }
    }

    /// Ends a run that was told to stop: it was cancelled, or took longer than its job may.
    pub(crate) fn interrupted(&self, by: &str) {
        if !self.on {
            return;
        }
        let state = self.lock();
        let failed = Failed {
            subject: state.subject().to_owned(),
            causes: vec![format!(
                "interrupted by {by}: the run was cancelled, or the job took longer than it may"
            )],
            hints: vec![
                "a build that needs longer gets it: `timeout` (minutes) below [platforms.…] in \
                 Sysimage.toml"
                    .to_owned(),
            ],
            ..Failed::default()
        };
        self.summarise(&summary::build(&state.images(), Some(&failed)));
    }

    /// Ends the run: writes the summary of what was built and of what went wrong, and points at
    /// the place of the error. To be called once.
    pub(crate) fn finish(
        &self,
        failure: Option<&Failure>,
        project: Option<&Path>,
        workloads: &[String],
        terminal: Terminal,
    ) {
        if !self.on {
            return;
        }
        let state = self.lock();
        let images = state.images();
        let failed = failure.map(|failure| {
            let error = failure.0.as_ref();
            let place = self.place(error, project, workloads);
            let title = format!("sysforge, exit code {}", failure.exit_code());
            let mut chain = vec![error.to_string()];
            chain.extend(causes(error));
            let mut message = chain.join("\ncause: ");
            for hint in error.hints() {
                message.push_str("\nhint: ");
                message.push_str(&hint);
            }
            let annotation =
                command::annotation(command::Level::Error, &title, place.as_ref(), &message);
            terminal.annotation(&annotation);
            Failed {
                subject: state.subject().to_owned(),
                causes: chain,
                place: place.map(|place| format!("{}:{}", place.file, place.line)),
                tail: error.evidence().unwrap_or_default().tail,
                hints: error.hints(),
            }
        });
        if failed.is_some() || !images.is_empty() {
            self.summarise(&summary::build(&images, failed.as_ref()));
        }
    }

    /// Where the error is: in a file that could not be read, or in a workload that failed.
    fn place(
        &self,
        error: &dyn Explain,
        project: Option<&Path>,
        workloads: &[String],
    ) -> Option<Location> {
        let found = match error.location() {
            Some((file, line, column)) => (absolute(Path::new(&file)), line, Some(column)),
            None => {
                let said = error.evidence()?.tail;
                let place = trace::locate(&said, workloads)?;
                (project?.join(&place.file), place.line, place.column)
            }
        };
        let (file, line, column) = found;
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

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn append(file: &Path, text: &str) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(file)?;
    file.write_all(text.as_bytes())
}

/// Today, in UTC.
pub(crate) fn today() -> Day {
    let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
    let small = |number: i8| u8::try_from(number).unwrap_or(1);
    Day::new(now.year(), small(now.month()), small(now.day()))
}
