//! The [`Engine`]: the store, the network, the environment of child processes, and the reporter of
//! events. The caller creates one value and keeps it for as long as it plans and builds.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sysforge_acquire::{
    Acquirer, InstalledToolchain, Lease, Mirror, Network, Signatures, Store, ToolCache,
};
use sysforge_build::inputs::FileDigests;
use sysforge_build::link::{compiler_variable, which};
use sysforge_build::probe;
use sysforge_plan::link::LinkerChoice;
use sysforge_plan::runner::{Day, Runner};
use sysforge_plan::toolchain;
use sysforge_plan::{JuliaFacts, Reporter, Request, Secret, Triplet};
use sysforge_process::{Children, Environment};
use sysforge_publish::install::Images;

use crate::error::EngineError;
use crate::failure::Failure;
use crate::paths::require_folder;
use crate::project::Location;

/// The settings of planning and building. The caller may change every field before the first use.
#[derive(Debug)]
pub struct Engine {
    /// Which project, and the folder that relative paths start from.
    pub location: Location,
    /// Where events go.
    pub reporter: Reporter,
    /// The environment of child processes.
    pub environment: Environment,
    /// The environment of the package manager, which alone may log in.
    pub package_environment: Environment,
    /// The content of an `auth.toml` for the package server.
    pub package_auth: Option<Secret>,
    /// Starts the children, and ends them when this value is dropped.
    pub children: Children,
    /// How to reach the network.
    pub network: Network,
    /// Where Julias are downloaded from, if not from Julia's own server: a URL or a folder.
    pub mirror: Option<String>,
    /// Which signatures a downloaded Julia needs.
    pub signatures: Signatures,
    /// Where Julias, toolchains and bases are kept.
    pub store: Option<PathBuf>,
    /// Whether the user has named the store.
    store_is_named: bool,
    /// The store that is used if `store` cannot be written to.
    pub fallback_store: Option<PathBuf>,
    /// The tool cache of a CI runner.
    pub tool_cache: Option<PathBuf>,
    /// The depot that packages are installed in, unless an option names one.
    pub depot: Option<PathBuf>,
    /// Where builds work and write their logs, if not in the project's `.sysforge`.
    pub build_folder: Option<PathBuf>,
    /// Whether this runs for a pull request from a fork, which gets no secrets from its CI service.
    pub is_for_a_fork: bool,
    /// Facts that Julias reported about themselves, by executable.
    asked: Mutex<BTreeMap<PathBuf, JuliaFacts>>,
    /// Digests of the files of the project's packages.
    digests: Mutex<Option<FileDigests>>,
}

impl Engine {
    /// Creates an engine that keeps downloads in `store`, and finds the project from `location`.
    pub fn new(store: Option<PathBuf>, location: Location, environment: Environment) -> Self {
        Self {
            location,
            reporter: Reporter::silent(),
            package_environment: environment.clone(),
            environment,
            package_auth: None,
            children: Children::default(),
            network: Network::default(),
            mirror: None,
            signatures: Signatures::default(),
            store,
            store_is_named: false,
            fallback_store: None,
            tool_cache: None,
            depot: None,
            build_folder: None,
            is_for_a_fork: false,
            asked: Mutex::default(),
            digests: Mutex::default(),
        }
    }

    /// Sets the store to `given`, or else to `default`, the user's cache directory. If it cannot be
    /// written to, downloads go to the default, or to the build directory of the project. Call this
    /// after the location and the build directory are set.
    pub fn set_store(&mut self, given: Option<&Path>, default: Option<PathBuf>) {
        let given = given.map(|path| self.absolute(path));
        self.store_is_named = given.is_some();
        self.fallback_store = match (&default, &given) {
            (Some(default), Some(_)) => Some(default.clone()),
            _ => {
                let project = self.location.folder().ok();
                project.map(|project| self.build_folder_of(&project).join("store"))
            }
        };
        self.store = given.or(default);
    }

    /// Warns of runners of GitHub Actions that will be removed.
    pub fn warn_of_runners<'a>(&self, labels: impl Iterator<Item = &'a str>, today: Day) {
        let runners = labels.collect::<BTreeSet<_>>();
        let runners = runners.into_iter().filter_map(Runner::named);
        for retirement in runners.filter_map(|runner| runner.retirement(today)) {
            self.reporter
                .warn(retirement.to_string(), Some(retirement.hint()));
        }
    }

    /// Returns the platform of this machine.
    ///
    /// # Errors
    ///
    /// If Julia is not published for this platform.
    pub fn host() -> Result<Triplet, EngineError> {
        let (arch, os) = (std::env::consts::ARCH, std::env::consts::OS);
        let host = Triplet::of_host(arch, os, cfg!(target_env = "musl"));
        host.ok_or(EngineError::Platform { arch, os })
    }

    /// Makes sure, before any slow step, that the store and the build directory that the
    /// user has named are folders or can become folders. The default ones may be unusable: there
    /// are others.
    ///
    /// # Errors
    ///
    /// [`EngineError::Path`] if one of them, or a part of its path, exists and is not a folder.
    pub fn require_folders(&self) -> Result<(), EngineError> {
        self.require_store()?;
        self.build_folder.as_deref().map_or(Ok(()), require_folder)
    }

    /// Does this for the store alone.
    fn require_store(&self) -> Result<(), EngineError> {
        let named = self.store.as_deref().filter(|_| self.store_is_named);
        named.map_or(Ok(()), require_folder)
    }

    /// Returns the store's folder.
    ///
    /// # Errors
    ///
    /// If none is known.
    pub fn store_path(&self) -> Result<&Path, EngineError> {
        self.store.as_deref().ok_or(EngineError::NoHome)
    }

    /// Returns the images that were installed from releases.
    ///
    /// # Errors
    ///
    /// If no store is known, or the one that the user named is not a folder.
    pub fn images(&self) -> Result<Images, EngineError> {
        self.require_store()?;
        Ok(Images::open(self.store_path()?.join("images")))
    }

    /// Returns the store and its fallback.
    ///
    /// # Errors
    ///
    /// If no store is known.
    pub fn stores(&self) -> Result<Vec<Store>, EngineError> {
        let store = Store::open(self.store_path()?);
        Ok(std::iter::once(store).chain(self.fallback()).collect())
    }

    fn fallback(&self) -> Option<Store> {
        let folder = self.fallback_store.as_ref();
        let folder = folder.filter(|folder| Some(*folder) != self.store.as_ref());
        folder.map(Store::open)
    }

    /// Returns the [`Acquirer`] that finds or downloads Julias and toolchains.
    ///
    /// # Errors
    ///
    /// If no store is known, the one that the user named is not a folder, or the mirror is neither a URL nor
    /// a folder.
    pub fn acquirer(&self) -> Result<Acquirer, Failure> {
        let mirror = match &self.mirror {
            Some(text) => text.parse::<Mirror>()?,
            None => Mirror::default(),
        };
        self.require_store()?;
        let store = Store::open(self.store_path()?);
        let (network, reporter) = (self.network.clone(), self.reporter.clone());
        let mut acquirer = Acquirer::new(store, mirror, network, reporter)
            .with_signatures(self.signatures.clone());
        if let Some(fallback) = self.fallback() {
            acquirer = acquirer.with_fallback(fallback);
        }
        if let Some(cache) = &self.tool_cache {
            acquirer = acquirer.with_tool_cache(ToolCache::new(cache), false);
        }
        Ok(acquirer)
    }

    /// Keeps the store entry of a program, which was named by its path, from being pruned. Returns `None`
    /// if the program is in no store.
    ///
    /// # Errors
    ///
    /// If something else is in place of the lease's file.
    pub fn hold(&self, program: &Path) -> Result<Option<Lease>, Failure> {
        match self.acquirer() {
            Ok(acquirer) => Ok(acquirer.hold(program)?),
            Err(_) => Ok(None),
        }
    }

    /// Returns the best of the downloaded toolchains that suit Julia for a platform and run on this
    /// machine.
    /// One in a store that cannot be read does not count: the system's compiler may do.
    pub fn installed_toolchain(&self, triplet: Triplet) -> Option<InstalledToolchain> {
        let acquirer = self.acquirer().ok()?;
        let here = Self::host().ok()?.os();
        toolchain::for_target(triplet)
            .filter(|row| row.host == here && row.traits().check(row.name, triplet).is_ok())
            .find_map(|row| acquirer.installed_toolchain(row).ok()?)
    }

    /// Returns the environment for linkers, and the lease that keeps the C toolchain in the store:
    /// unless another compiler was named, it is the one that was downloaded for the platform.
    ///
    /// # Errors
    ///
    /// Those of [`Self::hold`], if a compiler was named.
    pub fn with_compiler(
        &self,
        environment: Environment,
        triplet: Triplet,
        linker: &LinkerChoice,
    ) -> Result<(Environment, Option<Lease>), Failure> {
        if let LinkerChoice::Words(words) = linker {
            let program = words.first().and_then(|word| which(word, &environment));
            let lease = program.map(|program| self.hold(&program)).transpose()?;
            return Ok((environment, lease.flatten()));
        }
        let variable = compiler_variable(triplet);
        let named = [variable.as_str(), "CC"];
        if named.iter().any(|name| environment.get(name).is_some()) {
            return Ok((environment, None));
        }
        Ok(match self.installed_toolchain(triplet) {
            Some(found) => {
                let environment = environment.with(&variable, found.compiler);
                (environment, Some(found.lease))
            }
            None => (environment, None),
        })
    }

    /// Returns the folder where builds of the project in `folder` work and write their logs.
    pub fn build_folder_of(&self, folder: &Path) -> PathBuf {
        let given = self.build_folder.clone();
        given.unwrap_or_else(|| folder.join(".sysforge"))
    }

    /// Returns the executable of a Julia that was already queried, if any.
    pub fn asked_julia(&self) -> Option<PathBuf> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.keys().next().cloned()
    }

    /// Queries a Julia for its facts, once.
    ///
    /// # Errors
    ///
    /// If it cannot be started, fails or takes too long, or an answer is missing or cannot be
    /// parsed.
    pub async fn ask(&self, executable: &Path) -> Result<JuliaFacts, Failure> {
        let known = || self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(facts) = known().get(executable) {
            return Ok(facts.clone());
        }
        let probed = probe::probe(
            executable,
            &self.environment,
            &self.children,
            &self.reporter,
        );
        let facts = probed.await?;
        known().insert(executable.to_owned(), facts.clone());
        Ok(facts)
    }

    /// Returns the executable of a Julia that is on this machine already, if the request names a
    /// folder or the search path. `None` if it names a release or a nightly build.
    ///
    /// # Errors
    ///
    /// If the folder contains no Julia, or there is none on the search path.
    pub fn local_julia(&self, request: &Request) -> Result<Option<PathBuf>, Failure> {
        match request {
            Request::Directory(path) => Ok(Some(probe::executable_at(&self.absolute(path))?)),
            Request::System => match which("julia", &self.environment) {
                Some(julia) => Ok(Some(julia)),
                None => Err(EngineError::NoSystemJulia.into()),
            },
            _ => Ok(None),
        }
    }

    /// Returns the path in absolute form, so that it is valid in every child's working directory.
    pub fn absolute(&self, path: &Path) -> PathBuf {
        self.location.absolute(path)
    }

    /// Returns the digests of the project's files, which are stored in its build folder.
    pub(crate) fn digests(&self) -> MutexGuard<'_, Option<FileDigests>> {
        self.digests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
