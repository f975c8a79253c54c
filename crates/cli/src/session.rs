//! One run of Sysforge: the environment and the options, read once, as values for the other crates.

use std::path::PathBuf;
use std::time::Duration;

use etcetera::{AppStrategy, AppStrategyArgs, choose_app_strategy};
use sysforge_acquire::{Network, Proxies, Signatures};
use sysforge_build::depots::Depots;
use sysforge_engine::paths::absolute;
use sysforge_engine::{Engine, EngineError, Location, Planned};
use sysforge_plan::{Request, Secret, Triplet};
use sysforge_process::Environment;
use sysforge_publish::host::github::{Cleanup, Timing};

use crate::args::Global;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::runner::Runner;
use crate::terminal::Terminal;
use crate::trace;
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
        let runner = Runner::new(&variables);
        runner.mask(&variables, global.mirror.as_deref());
        let terminal = Terminal {
            quiet: global.quiet,
            actions: runner.on,
        };
        let progress = Progress::new(terminal, global.verbose);
        trace::start(global.verbose, &variables, &progress);
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

    /// Tells the runner how the command ended, if there is one.
    pub(crate) fn finish(&self, failure: Option<&Failure>) {
        let read = || self.engine.location.read(&[], Engine::host().ok()?).ok();
        let files = failure.filter(|_| self.runner.on).and_then(|_| read());
        let folder = files.as_ref().map(|files| files.folder.as_path());
        let workloads = files.as_ref().map(|files| &files.inputs.config.workloads);
        let paths = workloads.into_iter().flatten().map(|one| one.path.clone());
        let paths: Vec<_> = paths.collect();
        self.runner.finish(failure, folder, &paths, self.terminal);
    }

    /// Keeps saying that long tasks still run, until it is dropped.
    pub(crate) fn heartbeat(&self) -> Heartbeat {
        let progress = self.progress.clone();
        Heartbeat(tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                progress.beat();
            }
        }))
    }

    /// Prints a path as a result.
    pub(crate) fn tell_path(&self, path: &std::path::Path) {
        match self.global.json {
            true => self.terminal.json(&path),
            false => self.terminal.data(&path.display().to_string()),
        }
    }

    /// How long a release host may take; of pauses the user is told.
    pub(crate) fn timing(&self) -> Timing {
        Timing {
            reporter: self.engine.reporter.clone(),
            ..Timing::default()
        }
    }

    /// The platform of this machine.
    pub(crate) fn host() -> Result<Triplet, EngineError> {
        Engine::host()
    }

    /// A hint whose commands can be typed here: where no `julia` is on the search path, one that
    /// Sysforge knows takes its place.
    pub(crate) fn runnable(&self, hint: String) -> String {
        self.engine.runnable(hint)
    }
}

/// The engine, with what the options and the environment say.
fn engine(global: &Global, variables: &Variables) -> Engine {
    let environment = Environment::new(variables.iter());
    let here = std::env::current_dir().unwrap_or_default();
    let depots = Depots::of(&environment, None);
    let depots = depots.folders().iter().map(|depot| absolute(depot));
    let location = Location {
        here,
        project: global.project.clone(),
        home: std::env::home_dir(),
        depots: depots.collect(),
    };
    let store = global.store.as_deref().map(absolute);
    // Where things go when the store cannot be written to: the user's cache directory if another
    // one was named, else the build directory of the project, if there is one.
    let build_folder = global.build_dir.as_deref().map(absolute);
    let in_project = || {
        let project = location.folder().ok()?;
        let folder = build_folder.clone();
        let folder = folder.unwrap_or_else(|| project.join(".sysforge"));
        Some(folder.join("store"))
    };
    let fallback = match default_store() {
        Some(default) if store.is_some() => Some(default),
        _ => in_project(),
    };
    let trust = &global.trust;
    let mut engine = Engine::new(store.or_else(default_store), location, environment);
    engine.package_environment = Environment::for_package_manager(variables.iter());
    engine.package_auth = variables
        .text("SYSFORGE_PKG_AUTH")
        .as_deref()
        .map(Secret::new);
    engine.depot = variables.text("SYSFORGE_DEPOT").map(PathBuf::from);
    engine.network = network(global, variables);
    engine.mirror.clone_from(&global.mirror);
    engine.signatures = Signatures {
        required: trust.require_signature,
        keyrings: trust.keyring.clone(),
        trusted: trust.trusted_key.clone(),
    };
    engine.fallback_store = fallback;
    // The runner's tool cache, on CI services that have one.
    engine.tool_cache = variables.text("RUNNER_TOOL_CACHE").map(PathBuf::from);
    engine.build_folder = build_folder;
    engine
}

/// How to reach the network, for everything that does.
fn network(global: &Global, variables: &Variables) -> Network {
    let variable = |names: &[&str]| {
        let mut values = names.iter().filter_map(|name| variables.get(name));
        values
            .find(|value| !value.is_empty())
            .map(|value| value.to_string_lossy().into_owned())
    };
    let all = variable(&["ALL_PROXY", "all_proxy"]);
    // As curl does, HTTP_PROXY in capitals is not read: CGI servers set it from a header.
    let http = variable(&["http_proxy"]).or_else(|| all.clone());
    let https = variable(&["HTTPS_PROXY", "https_proxy"]).or(all);
    let proxies = match (&http, &https) {
        (None, None) => Proxies::System,
        _ => Proxies::Explicit {
            http,
            https,
            except: variable(&["NO_PROXY", "no_proxy"]),
        },
    };
    Network {
        proxies,
        ca_file: variable(&["SSL_CERT_FILE"]).map(PathBuf::from),
        offline: global.offline,
        ..Network::default()
    }
}

/// The requests in these texts, each of which may hold several with commas between.
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

/// See [`Session::heartbeat`].
pub(crate) struct Heartbeat(tokio::task::JoinHandle<()>);

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.0.abort();
    }
}
