//! One run of Sysforge: the environment and the options, read once, as values for the other crates.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use etcetera::{AppStrategy, AppStrategyArgs, choose_app_strategy};
use serde::Serialize;
use sysforge_acquire::{Network, Signatures};
use sysforge_build::depots::Depots;
use sysforge_engine::paths::absolute;
use sysforge_engine::{BuildRunner, Engine, Location, Planned};
use sysforge_output::{Progress, Runner, Terminal, start_tracing};
use sysforge_plan::plan::Build;
use sysforge_plan::runner::Day;
use sysforge_plan::{Request, Secret};
use sysforge_process::Environment;
use sysforge_publish::host::{Cleanup, Timing};
use tokio::task::JoinSet;

use crate::args::{BuildFlags, Global};
use crate::failure::Failure;
use crate::variables::Variables;

/// The surroundings of a command.
pub(crate) struct Session {
    pub(crate) terminal: Terminal,
    pub(crate) progress: Progress,
    /// Plans and builds.
    pub(crate) engine: Engine,
    /// What Sysforge was started with.
    pub(crate) variables: Variables,
    pub(crate) global: Global,
    pub(crate) runner: Runner,
    /// The last requests of a publication that is interrupted.
    pub(crate) cleanup: Cleanup,
}

impl Session {
    pub(crate) fn new(global: &Global) -> Self {
        global.color.write_global();
        let variables = Variables::of_this_process();
        let variable = |name: &str| variables.get(name).map(OsStr::to_owned);
        let runner = Runner::new(variable);
        runner.mask(variable, global.mirror.as_deref());
        let terminal = Terminal {
            quiet: global.quiet,
            actions: runner.on,
        };
        let progress = Progress::new(terminal, global.verbose);
        start_tracing(
            global.verbose,
            variables.text("RUST_LOG").as_deref(),
            &progress,
        );
        let mut engine = engine(global, &variables);
        engine.reporter = progress.reporter();
        engine.is_for_a_fork = runner.is_of_a_fork();
        Self {
            terminal,
            progress,
            engine,
            variables,
            global: Global {
                julia: single_requests(&global.julia),
                ..global.clone()
            },
            runner,
            cleanup: Cleanup::default(),
        }
    }

    /// Plans the project for this machine's platform.
    pub(crate) async fn plan(&self, select: &[String]) -> Result<Planned, Failure> {
        sysforge_engine::plan(&self.engine, &self.global.julia, select).await
    }

    /// Opens a planned build for its next step.
    pub(crate) async fn open<'a>(
        &'a self,
        planned: &'a Planned,
        build: &'a Build,
        flags: &BuildFlags,
    ) -> Result<BuildRunner<'a>, Failure> {
        BuildRunner::open(&self.engine, planned, build, &flags.options()).await
    }

    /// Tells the runner how the command ended, if there is one.
    pub(crate) fn finish(&self, failure: Option<&Failure>) {
        let read = || self.engine.location.read(&[], Engine::host().ok()?).ok();
        let files = failure.filter(|_| self.runner.on).and_then(|_| read());
        let folder = files.as_ref().map(|files| files.folder.as_path());
        let workloads = files.as_ref().map(|files| &files.inputs.config.workloads);
        let paths = workloads.into_iter().flatten().map(|one| one.path.clone());
        let paths: Vec<_> = paths.collect();
        let error = failure.map(|failure| failure.0.as_ref());
        self.runner.finish(error, folder, &paths, self.terminal);
    }

    /// Reports long tasks that are still running, until the result is dropped.
    pub(crate) fn heartbeat(&self) -> JoinSet<()> {
        let progress = self.progress.clone();
        let mut heartbeat = JoinSet::new();
        heartbeat.spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                progress.beat();
            }
        });
        heartbeat
    }

    /// Prints a result: as JSON with `--json`, or else as text.
    pub(crate) fn print(&self, value: &impl Serialize, text: impl FnOnce() -> String) {
        match self.global.json {
            true => self.terminal.json(value),
            false => self.terminal.data(&text()),
        }
    }

    /// Prints a result: as JSON with `--json`, or else these lines.
    pub(crate) fn print_lines<T: ToString>(
        &self,
        value: &impl Serialize,
        lines: impl IntoIterator<Item = T>,
    ) {
        match self.global.json {
            true => self.terminal.json(value),
            false => lines
                .into_iter()
                .for_each(|line| self.terminal.data(&line.to_string())),
        }
    }

    /// Prints a result: as JSON with `--json`, or else as a table.
    pub(crate) fn print_table(
        &self,
        value: &impl Serialize,
        rows: impl FnOnce() -> Vec<Vec<String>>,
    ) {
        match self.global.json {
            true => self.terminal.json(value),
            false => self.terminal.table(&rows()),
        }
    }

    /// Prints a result that is of interest to programs only.
    pub(crate) fn print_if_json(&self, value: &impl Serialize) {
        if self.global.json {
            self.terminal.json(value);
        }
    }

    /// Prints a path as a result.
    pub(crate) fn print_path(&self, path: &Path) {
        self.print(&path, || path.display().to_string());
    }

    /// Sets outputs of a CI step, if this is one.
    pub(crate) fn set_outputs(&self, outputs: &[(&str, String)]) {
        for (name, value) in outputs {
            self.runner.output(name, value);
        }
    }

    /// The time limits for requests to a release host. Pauses are reported.
    pub(crate) fn timing(&self) -> Timing {
        Timing {
            reporter: self.engine.reporter.clone(),
            ..Timing::default()
        }
    }
}

/// The engine, with the settings of the options and the environment.
fn engine(global: &Global, variables: &Variables) -> Engine {
    let environment = Environment::new(variables.iter());
    let location = Location {
        here: std::env::current_dir().unwrap_or_default(),
        project: global.project.clone(),
        home: std::env::home_dir(),
        depots: Depots::of(&environment, None, None).folders().to_vec(),
    };
    let trust = &global.trust;
    let mut engine = Engine::new(None, location, environment);
    engine.package_environment = Environment::for_package_manager(variables.iter());
    let package_auth = variables.text("SYSFORGE_PKG_AUTH");
    engine.package_auth = package_auth.as_deref().map(Secret::new);
    engine.depot = variables.text("SYSFORGE_DEPOT").map(PathBuf::from);
    let variable = |name: &str| Some(variables.get(name)?.to_string_lossy().into_owned());
    engine.network = Network::from_variables(variable, global.offline);
    engine.mirror.clone_from(&global.mirror);
    engine.signatures = Signatures {
        required: trust.require_signature,
        keyrings: trust.keyring.clone(),
        trusted: trust.trusted_key.clone(),
    };
    // The tool cache of CI services that have one.
    engine.tool_cache = variables.text("RUNNER_TOOL_CACHE").map(PathBuf::from);
    engine.build_folder = global.build_dir.as_deref().map(absolute);
    engine.set_store(global.store.as_deref(), default_store());
    engine
}

/// Today, in UTC.
pub(crate) fn today() -> Day {
    let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
    let small = |number: i8| u8::try_from(number).unwrap_or(1);
    Day::new(now.year(), small(now.month()), small(now.day()))
}

/// The requests in these texts, each of which may contain several, separated by commas.
fn single_requests(texts: &[String]) -> Vec<String> {
    let parts = texts.iter().flat_map(|text| Request::split(text));
    parts.map(str::to_owned).collect()
}

/// The user's cache directory.
fn default_store() -> Option<PathBuf> {
    let strategy = choose_app_strategy(AppStrategyArgs {
        top_level_domain: String::new(),
        author: String::new(),
        app_name: "sysforge".to_owned(),
    });
    Some(strategy.ok()?.cache_dir())
}
