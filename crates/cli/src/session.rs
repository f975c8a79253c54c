//! One run of Sysforge: the environment and the options, read once, as values for the rooms.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use etcetera::{AppStrategy, AppStrategyArgs, choose_app_strategy};
use sysforge_acquire::{Acquirer, Lease, Mirror, Network, Proxies, Signatures, Store, ToolCache};
use sysforge_build::inputs::FileDigests;
use sysforge_build::link::{compiler_variable, which};
use sysforge_plan::link::LinkerChoice;
use sysforge_plan::{JuliaFacts, Reporter, Request, Triplet};
use sysforge_process::{Children, Environment};
use sysforge_publish::host::github::{Cleanup, Timing};
use sysforge_publish::install::Images;

use crate::args::{Global, ImageOptions};
use crate::commands::toolchain;
use crate::failure::{CliError, Failure};
use crate::pipeline;
use crate::progress::Progress;
use crate::project;
use crate::runner::Runner;
use crate::terminal::Terminal;
use crate::variables::Variables;

/// The surroundings of a command.
pub(crate) struct Session {
    pub(crate) terminal: Terminal,
    pub(crate) progress: Progress,
    pub(crate) reporter: Reporter,
    /// What children are started with.
    pub(crate) environment: Environment,
    /// What Sysforge was started with.
    pub(crate) variables: Variables,
    pub(crate) children: Children,
    pub(crate) global: Global,
    pub(crate) runner: Runner,
    /// The last requests of a publication that is interrupted.
    pub(crate) cleanup: Cleanup,
    /// What Julias said of themselves, by executable.
    pub(crate) asked: Mutex<BTreeMap<PathBuf, JuliaFacts>>,
    /// Digests of the files of the project's packages.
    pub(crate) digests: Mutex<Option<FileDigests>>,
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
        Self {
            terminal,
            reporter: progress.reporter(),
            progress,
            environment: Environment::new(variables.iter()),
            variables,
            children: Children::default(),
            global: Global {
                julia: single_requests(&global.julia),
                ..global.clone()
            },
            runner,
            cleanup: Cleanup::default(),
            asked: Mutex::default(),
            digests: Mutex::default(),
        }
    }

    /// Tells the runner how the command ended, if there is one.
    pub(crate) fn finish(&self, failure: Option<&Failure>) {
        let given = self.global.project.as_deref();
        let read = || project::read(given, &[], Self::host().ok()?).ok();
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
            reporter: self.reporter.clone(),
            ..Timing::default()
        }
    }

    /// The platform of this machine.
    pub(crate) fn host() -> Result<Triplet, CliError> {
        let (arch, os) = (std::env::consts::ARCH, std::env::consts::OS);
        Triplet::of_host(arch, os, cfg!(target_env = "musl")).ok_or(CliError::Platform { arch, os })
    }

    /// The store's folder: where it was named, else the user's cache directory.
    pub(crate) fn store_path(&self) -> Result<PathBuf, CliError> {
        if let Some(store) = &self.global.store {
            return Ok(absolute(store));
        }
        default_store().ok_or(CliError::NoHome)
    }

    /// The images that were installed from releases.
    pub(crate) fn images(&self) -> Result<Images, CliError> {
        Ok(Images::open(self.store_path()?.join("images")))
    }

    /// The way to Julias.
    pub(crate) fn acquirer(&self) -> Result<Acquirer, Failure> {
        let mirror = match &self.global.mirror {
            Some(text) => text.parse::<Mirror>()?,
            None => Mirror::default(),
        };
        let store = Store::open(self.store_path()?);
        let trust = &self.global.trust;
        let mut acquirer = Acquirer::new(store, mirror, self.network(), self.reporter.clone())
            .with_signatures(Signatures {
                required: trust.require_signature,
                keyrings: trust.keyring.clone(),
                trusted: trust.trusted_key.clone(),
            });
        if let Some(fallback) = self.fallback_store() {
            acquirer = acquirer.with_fallback(fallback);
        }
        if let Some(cache) = self.tool_cache() {
            acquirer = acquirer.with_tool_cache(cache, false);
        }
        Ok(acquirer)
    }

    /// Keeps what lies in the store from being pruned, for a program that was named by its place.
    pub(crate) fn hold(&self, program: &Path) -> Option<Lease> {
        self.acquirer().ok()?.hold(program)
    }

    /// The environment for linkers, with the C toolchain that was fetched for the platform where
    /// no other compiler was named, and what keeps the toolchain in the store.
    pub(crate) fn with_compiler(
        &self,
        environment: Environment,
        triplet: Triplet,
        options: &ImageOptions,
    ) -> Result<(Environment, Option<Lease>), CliError> {
        if let LinkerChoice::Words(words) = pipeline::linker(options)? {
            let program = words.first().and_then(|word| which(word, &environment));
            let lease = program.and_then(|program| self.hold(&program));
            return Ok((environment, lease));
        }
        let variable = compiler_variable(triplet);
        let named = [variable.as_str(), "CC"];
        if named.iter().any(|name| environment.get(name).is_some()) {
            return Ok((environment, None));
        }
        Ok(match toolchain::fetched(triplet, self) {
            Some(found) => (
                environment.with(&variable, found.compiler),
                Some(found.lease),
            ),
            None => (environment, None),
        })
    }

    /// Where builds of the project in `folder` work and leave their logs.
    pub(crate) fn build_folder(&self, folder: &Path) -> PathBuf {
        let given = self.global.build_dir.as_deref().map(absolute);
        given.unwrap_or_else(|| folder.join(".sysforge"))
    }

    /// Where things go when the store cannot be written to: the user's cache directory if
    /// another one was named, else the build directory of this folder.
    fn fallback_store(&self) -> Option<Store> {
        let named = self.global.store.is_some();
        let folder = match default_store() {
            Some(default) if named => default,
            _ => absolute(Path::new(".sysforge/store")),
        };
        Some(Store::open(folder))
            .filter(|store| self.store_path().is_ok_and(|first| first != *store.root()))
    }

    /// The store, and what stands in for it.
    pub(crate) fn stores(&self) -> Result<Vec<Store>, CliError> {
        let store = Store::open(self.store_path()?);
        Ok(std::iter::once(store)
            .chain(self.fallback_store())
            .collect())
    }

    /// The runner's tool cache, on CI services that have one.
    pub(crate) fn tool_cache(&self) -> Option<ToolCache> {
        let root = self.variables.get("RUNNER_TOOL_CACHE")?;
        (!root.is_empty()).then(|| ToolCache::new(root))
    }

    /// How to reach the network, for everything that does.
    pub(crate) fn network(&self) -> Network {
        let variable = |names: &[&str]| {
            let mut values = names.iter().filter_map(|name| self.variables.get(name));
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
            offline: self.global.offline,
            ..Network::default()
        }
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

/// A path that means the same wherever a child starts.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
