//! Runs child processes, records their output, and ends them with all their descendants.
//!
//! A child runs in its own [`Group`]. Its output goes to a log file and, line by line, to the
//! task's events; its last lines become part of the error if it fails. Dropping the future that
//! waits for the child, which happens when Sysforge is interrupted, kills the whole group.

use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use backon::{ConstantBuilder, Retryable as _};
use sysforge_files::is_sharing_violation;
use sysforge_plan::{Evidence, OutputKind, Task};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::frames::LastLines;
use crate::group::Group;
use crate::output::{Files, Line, Output, Reader, Stream};
use crate::vitals::{self, Running, ScriptTimer, Vitals};
use crate::{Ended, Environment, ProcessError};

/// How long to wait for further output after the child has ended: a grandchild that keeps the pipe
/// open must not block Sysforge.
const DRAIN: Duration = Duration::from_secs(2);

/// The limit of that wait if output keeps arriving.
const MAX_DRAIN: Duration = Duration::from_secs(5);

/// How long to retry starting a program that another process has open for writing. This happens
/// after a program was installed: a child that another thread was starting has a copy of the
/// descriptor between its `fork` and its `execve` (`ETXTBSY` of execve(2)), or a virus scanner has
/// the file open (`ERROR_SHARING_VIOLATION` on Windows).
const BUSY_PROGRAM: ConstantBuilder = ConstantBuilder::new()
    .with_delay(Duration::from_millis(20))
    .with_max_times(100);

/// A program to run, with its arguments, environment and limits.
#[derive(Debug, Clone)]
pub struct Program {
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: Environment,
    directory: Option<PathBuf>,
    log: PathBuf,
    input: Option<PathBuf>,
    output: OutputKind,
    typed: String,
    timeout: Option<Duration>,
    idle: Option<Duration>,
    patience: Option<Patience>,
    growing: Vec<PathBuf>,
    running: Option<Running>,
    secrets: Secrets,
}

/// The line after which a child may be idle for longer.
#[derive(Debug, Clone)]
struct Patience {
    word: &'static str,
    limit: Duration,
}

/// Formats the command line without the secrets to redact. The environment is not shown.
impl std::fmt::Display for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&redact(self.command_line(), &self.secrets.0))
    }
}

/// Texts that are replaced in a child's output.
#[derive(Clone, Default)]
struct Secrets(Vec<String>);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} secrets", self.0.len())
    }
}

/// Replaces each of these secrets in the text by `***`, longer ones first.
pub fn redact(text: String, secrets: &[String]) -> String {
    let found = secrets.iter().filter(|secret| text.contains(&***secret));
    let found: Vec<_> = found.collect();
    found
        .into_iter()
        .fold(text, |text, secret| text.replace(&**secret, "***"))
}

/// The result of a child that succeeded.
#[derive(Debug)]
pub struct Finished {
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
    /// Wall time from start to end.
    pub wall: Duration,
    /// Peak resident memory in bytes, as sampled.
    pub peak_memory: u64,
}

/// Starts children, and measures the time during which at least one of them ran, so that Sysforge's
/// own share of a build can be computed.
#[derive(Debug, Clone, Default)]
pub struct Children {
    clock: Arc<Mutex<Clock>>,
}

#[derive(Debug, Default)]
struct Clock {
    running: usize,
    since: Option<Instant>,
    total: Duration,
}

/// Counts one running child while this value lives.
struct Counted(Arc<Mutex<Clock>>);

impl Counted {
    fn new(clock: &Arc<Mutex<Clock>>) -> Self {
        let mut now = clock.lock().unwrap_or_else(PoisonError::into_inner);
        now.running += 1;
        if now.running == 1 {
            now.since = Some(Instant::now());
        }
        drop(now);
        Self(Arc::clone(clock))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        now.running -= 1;
        if now.running == 0
            && let Some(since) = now.since.take()
        {
            now.total += since.elapsed();
        }
    }
}

impl Children {
    /// Returns the total time during which at least one child ran.
    pub fn time(&self) -> Duration {
        let now = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        now.total + now.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Runs `program` until it exits, and reports its lines to `task`.
    ///
    /// # Errors
    ///
    /// [`ProcessError`] if it cannot be started, fails, or exceeds a limit.
    pub async fn run(&self, program: &Program, task: &Task) -> Result<Finished, ProcessError> {
        let started = Instant::now();
        let log_error = |source| ProcessError::Log {
            log: program.log.clone(),
            source,
        };
        if let Some(parent) = program.log.parent() {
            sysforge_files::create_folders(parent).map_err(log_error)?;
        }
        let log = sysforge_files::create(&program.log).map_err(log_error)?;
        let mut log = tokio::fs::File::from_std(log);
        log.write_all(program.headline().as_bytes())
            .await
            .map_err(log_error)?;
        let mut record = Record {
            log,
            path: &program.log,
            task,
            secrets: &program.secrets,
            said: Captured::default(),
        };

        tracing::debug!(command = %program, log = %program.log.display(), "start");
        let _end = TraceEnd {
            program: program.name(),
            started,
        };
        let counted = Counted::new(&self.clock);
        let (mut child, reader) = program.spawn().await?;
        let (sender, mut lines) = mpsc::channel(256);
        let (readers, mut files) = reader.start(&mut child, sender);
        let _abort = AbortOnDrop(readers.iter().map(JoinHandle::abort_handle).collect());

        let mut vitals = Vitals::new(child.id(), &program.growing);
        let mut idle = program.idle;
        let mut watch = ScriptTimer::new(program.running.as_ref());
        let mut look = tokio::time::interval(vitals::POLL_INTERVAL);
        let deadline = program
            .timeout
            .map(|limit| tokio::time::Instant::now() + limit);
        let mut ended: Option<ExitStatus> = None;
        let mut end_of_drain = None;
        let mut drained = false;
        while !(drained && ended.is_some()) {
            let limit = match end_of_drain {
                Some(end) => Some((tokio::time::Instant::now() + DRAIN).min(end)),
                None => deadline,
            };
            tokio::select! {
                line = lines.recv(), if !drained => match line {
                    Some(line) => {
                        vitals.record_output();
                        idle = program.idle_after(&line.1);
                        record.add(line).await?;
                    }
                    None => drained = true,
                },
                status = child.wait(), if ended.is_none() => {
                    ended = Some(status.map_err(log_error)?);
                    end_of_drain = Some(tokio::time::Instant::now() + MAX_DRAIN);
                }
                _ = look.tick(), if ended.is_none() => {
                    if files.as_mut().is_some_and(Files::grew) {
                        vitals.record_output();
                    }
                    if let Some((script, limit)) = watch.overdue() {
                        return Err(ProcessError::ScriptTimedOut {
                            script,
                            limit,
                            evidence: record.end(files).await?.evidence(&program.log),
                        });
                    }
                    let limit = idle.unwrap_or(Duration::MAX);
                    if vitals.idle_time(limit) > limit {
                        return Err(ProcessError::Hung {
                            program: program.name(),
                            limit,
                            evidence: record.end(files).await?.evidence(&program.log),
                        });
                    }
                }
                () = sleep_until(limit) => match ended {
                    Some(_) => drained = true,
                    None => {
                        return Err(ProcessError::TimedOut {
                            program: program.name(),
                            limit: program.timeout.unwrap_or_default(),
                            evidence: record.end(files).await?.evidence(&program.log),
                        });
                    }
                },
            }
        }
        drop(counted);
        let said = record.end(files).await?;
        match ended.and_then(failure_of) {
            None => Ok(Finished {
                stdout: said.out,
                stderr: said.err,
                wall: started.elapsed(),
                peak_memory: vitals.peak(),
            }),
            Some(ended) => Err(ProcessError::Failed {
                program: program.name(),
                ended,
                peak_memory: vitals.peak(),
                evidence: said.evidence(&program.log),
            }),
        }
    }
}

/// Writes a trace of the end of a child, whatever its cause.
struct TraceEnd {
    program: String,
    started: Instant,
}

impl Drop for TraceEnd {
    fn drop(&mut self) {
        let ms = self.started.elapsed().as_millis();
        tracing::debug!(program = self.program, ms, "end");
    }
}

/// Collects a child's lines: all of them in its log, the last ones for an error.
struct Record<'a> {
    log: tokio::fs::File,
    path: &'a Path,
    task: &'a Task,
    secrets: &'a Secrets,
    said: Captured,
}

impl Record<'_> {
    async fn add(&mut self, (stream, line): Line) -> Result<(), ProcessError> {
        let line = redact(line, &self.secrets.0);
        let bytes = [line.as_bytes(), b"\n"].concat();
        let written = self.log.write_all(&bytes).await;
        written.map_err(|source| self.error(source))?;
        self.task.line(line.clone());
        self.said.add(stream, line);
        Ok(())
    }

    /// Adds the content of the files that the child wrote, if any, and closes the log.
    async fn end(mut self, files: Option<Files>) -> Result<Captured, ProcessError> {
        for line in files.iter().flat_map(Files::lines) {
            self.add(line).await?;
        }
        let flushed = self.log.flush().await;
        flushed.map_err(|source| self.error(source))?;
        Ok(self.said)
    }

    fn error(&self, source: io::Error) -> ProcessError {
        ProcessError::Log {
            log: self.path.to_owned(),
            source,
        }
    }
}

impl Program {
    /// Creates a `program` that runs with exactly this `environment`; its output is written to
    /// `log`.
    pub fn new(
        program: impl Into<PathBuf>,
        environment: Environment,
        log: impl Into<PathBuf>,
    ) -> Self {
        Self {
            program: program.into(),
            arguments: Vec::new(),
            environment,
            directory: None,
            log: log.into(),
            input: None,
            output: OutputKind::Pipe,
            typed: String::new(),
            timeout: None,
            idle: None,
            patience: None,
            growing: Vec::new(),
            running: None,
            secrets: Secrets::default(),
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds `NAME=VALUE` as one argument, for example `--project=/some/path`.
    #[must_use]
    pub fn option(self, name: &str, value: impl AsRef<OsStr>) -> Self {
        let mut argument = OsString::from(name);
        argument.push("=");
        argument.push(value);
        self.arg(argument)
    }

    /// Adds `NAME=VALUE` as one argument if there is a value.
    #[must_use]
    pub fn optional(self, name: &str, value: Option<impl AsRef<OsStr>>) -> Self {
        match value {
            Some(value) => self.option(name, value),
            None => self,
        }
    }

    /// Starts the program through another command, as in `srun -n1 PROGRAM ARGUMENTS…`. An empty
    /// prefix changes nothing.
    #[must_use]
    pub fn prefixed(mut self, prefix: &[impl AsRef<OsStr>]) -> Self {
        if let Some((command, words)) = prefix.split_first() {
            let program = std::mem::replace(&mut self.program, command.as_ref().into());
            let words = words.iter().map(|word| word.as_ref().to_owned());
            let words = words.chain([program.into_os_string()]);
            self.arguments.splice(0..0, words);
        }
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.arguments
            .extend(arguments.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment = self.environment.with(name, value);
        self
    }

    /// Sets its working directory.
    #[must_use]
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Sets the file that is its standard input, which is empty otherwise. A terminal is its own input.
    #[must_use]
    pub fn input(mut self, path: Option<&Path>) -> Self {
        self.input = path.map(Path::to_owned);
        self
    }

    /// Sets the kind of its standard output and standard error; the default is a pipe.
    #[must_use]
    pub fn output(mut self, kind: OutputKind) -> Self {
        if kind == OutputKind::Terminal && !cfg!(windows) {
            // The name that most terminals use. Without it, Julia prints no colours. Consoles of Windows
            // have no names.
            self = self.env("TERM", "xterm-256color");
        }
        self.output = kind;
        self
    }

    /// Runs it in a terminal in which these keys have been typed, followed by Ctrl-D. The Enter key
    /// is `\r`.
    #[must_use]
    pub fn typed(mut self, keys: &str) -> Self {
        keys.clone_into(&mut self.typed);
        self.output(OutputKind::Terminal)
    }

    /// Kills the child after this time.
    #[must_use]
    pub fn timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeout = timeout;
        self
    }

    /// Kills the child when it has produced no output and used no CPU for this time.
    #[must_use]
    pub fn idle(mut self, limit: Option<Duration>) -> Self {
        self.idle = limit;
        self
    }

    /// Allows it to be idle for at least `limit` while its last line begins with `word`.
    #[must_use]
    pub fn idle_after_line(mut self, word: &'static str, limit: Duration) -> Self {
        self.patience = Some(Patience { word, limit });
        self
    }

    /// Treats a change in the size of one of these folders as activity: a download uses hardly any
    /// CPU time.
    #[must_use]
    pub fn growing(mut self, folders: Vec<PathBuf>) -> Self {
        self.growing = folders;
        self
    }

    /// Returns the folders that it writes into.
    pub fn growing_folders(&self) -> &[PathBuf] {
        &self.growing
    }

    /// Returns how long it may be idle after this line.
    fn idle_after(&self, line: &str) -> Option<Duration> {
        let patience = self.patience.as_ref();
        let patience = patience.filter(|patience| line.trim_start().starts_with(patience.word));
        let longer = patience.map_or(Duration::ZERO, |patience| patience.limit);
        self.idle.map(|idle| idle.max(longer))
    }

    /// Kills the child when the file `marker`, which it writes and removes, has had the same
    /// content for this time. The content is the path of the script that the child is running.
    #[must_use]
    pub fn running(mut self, marker: PathBuf, limit: Option<Duration>) -> Self {
        self.running = limit.map(|limit| Running { marker, limit });
        self
    }

    /// Replaces these texts in the log, in events and in errors, the longest first.
    #[must_use]
    pub fn redact(mut self, secrets: Vec<String>) -> Self {
        self.secrets = Secrets(secrets);
        self
    }

    /// Returns the file name of the program.
    pub fn name(&self) -> String {
        self.program.file_name().map_or_else(
            || self.program.display().to_string(),
            |n| n.to_string_lossy().into_owned(),
        )
    }

    /// Returns the command line as a user would type it, for logs.
    pub fn command_line(&self) -> String {
        let words = std::iter::once(self.program.as_os_str())
            .chain(self.arguments.iter().map(OsString::as_os_str))
            .map(|word| word.to_string_lossy().into_owned());
        shell_words::join(words)
    }

    fn headline(&self) -> String {
        let directory = self
            .directory
            .as_ref()
            .map(|d| format!("# in {}\n", d.display()));
        format!(
            "{}$ {}\n",
            directory.unwrap_or_default(),
            self.command_line()
        )
    }

    async fn spawn(&self) -> Result<(Group, Reader), ProcessError> {
        (async || self.try_spawn())
            .retry(BUSY_PROGRAM)
            .when(|error| {
                is_sharing_violation(error) || error.kind() == ErrorKind::ExecutableFileBusy
            })
            .await
            .map_err(|source| ProcessError::Start {
                program: self.program.clone(),
                source,
            })
    }

    fn try_spawn(&self) -> io::Result<(Group, Reader)> {
        #[cfg(windows)]
        if self.output == OutputKind::Terminal {
            use crate::output::console;
            let (console, screen) = console::spawn(&console::Command {
                program: &self.program,
                arguments: &self.arguments,
                environment: &self.environment,
                directory: self.directory.as_deref(),
                typed: &self.typed,
            })?;
            return Ok((Group::Console(console), Reader::Terminal(screen)));
        }
        let Output {
            stdin,
            stdout,
            stderr,
            reader,
        } = Output::open(self.output, &self.log, &self.typed)?;
        let stdin = match &self.input {
            Some(path) if self.output != OutputKind::Terminal => {
                sysforge_files::open_regular(path)?.into()
            }
            _ => stdin,
        };
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .env_clear()
            .envs(self.environment.iter())
            .stdin(stdin)
            .stdout(stdout)
            .stderr(stderr);
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        Ok((Group::spawn(command)?, reader))
    }
}

struct AbortOnDrop(Vec<tokio::task::AbortHandle>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.iter().for_each(tokio::task::AbortHandle::abort);
    }
}

#[derive(Default)]
struct Captured {
    out: String,
    err: String,
    last: LastLines,
}

/// The maximum size in bytes of each stream that is kept in memory; the log contains all of it.
const MAX_CAPTURED: usize = 4 << 20;

impl Captured {
    fn add(&mut self, stream: Stream, line: String) {
        let kept = match stream {
            Stream::Out => &mut self.out,
            Stream::Err => &mut self.err,
        };
        if kept.len() < MAX_CAPTURED {
            kept.push_str(&line);
            kept.push('\n');
        }
        self.last.add(line);
    }

    fn evidence(self, log: &Path) -> Evidence {
        Evidence {
            tail: self.last.shown(),
            log: Some(log.to_owned()),
        }
    }
}

async fn sleep_until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

fn failure_of(status: ExitStatus) -> Option<Ended> {
    if status.success() {
        return None;
    }
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return Some(Ended::Signal(signal));
    }
    Some(Ended::Code(status.code().unwrap_or(-1)))
}

#[cfg(test)]
#[cfg(unix)]
#[path = "tests.rs"]
mod tests;
