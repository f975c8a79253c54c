//! Installing the packages of a build, and reading the result.

use std::path::PathBuf;
use std::time::Instant;

use sysforge_acquire::{Lease, Store};
use sysforge_build::inputs::julia_identity;
use sysforge_build::instantiate::{self, Instantiated, Need, Request};
use sysforge_files::check_writable;
use sysforge_plan::config::LazyArtifacts;
use sysforge_plan::explain::PathError;
use sysforge_plan::manifest::Manifest;
use sysforge_plan::plan::{Build, Certainty, Versions};
use sysforge_plan::receipt::ManifestRecord;
use sysforge_plan::{Sha256, Step};

use super::{BuildRunner, MANIFEST_NAME};
use crate::engine::Engine;
use crate::error::EngineError;
use crate::failure::Failure;
use crate::options::PackageOptions;
use crate::packages::depots;
use crate::planning::Planned;

/// Whether installed packages are installed again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// Only if something is missing or has changed.
    IfNeeded,
    /// Always. Versions that were resolved for the build are resolved again.
    Always,
}

/// Returns the request to Pkg for a build.
fn request<'a>(
    engine: &Engine,
    planned: &'a Planned,
    build: &'a Build,
    options: &PackageOptions,
) -> Request<'a> {
    let config = &planned.files.inputs.config;
    let environment = engine.package_environment.clone();
    let environment = environment.with_all(&build.settings.env);
    let julia = build.julia.version();
    let manifest = match build.versions {
        Versions::Manifest => None,
        Versions::Resolved { .. } => planned.files.named_after(julia),
    };
    let manifest = manifest.or_else(|| planned.files.manifest_file(julia));
    Request {
        project: &planned.files.file,
        manifest,
        versions: &build.versions,
        julia: julia_identity(&build.julia),
        registries: &config.registries,
        lazy_artifacts: config.lazy_artifacts,
        workload_environment: config.workload_environment.as_ref(),
        depots: depots(engine, &planned.files, Some(build), options),
        spare_depot: spare_depot(engine),
        environment,
        auth: engine
            .package_auth
            .as_ref()
            .map(|auth| auth.reveal().to_owned()),
        offline: engine.network.offline,
    }
}

/// Returns the depot in the store, which is used if the first depot cannot be written to.
pub fn spare_depot(engine: &Engine) -> Option<PathBuf> {
    let stores = engine.stores().ok()?;
    let mut places = stores.iter().map(Store::depot);
    places.find(|place| check_writable(place).is_ok())
}

/// Keeps the depot in the store from being pruned, if it replaces a depot that cannot be written
/// to.
fn hold_spare(engine: &Engine, request: &Request<'_>) -> Result<Option<Lease>, Failure> {
    let first = request.depots.first();
    let stands_in = first.is_none_or(|first| check_writable(first).is_err());
    match request.spare_depot.as_deref().filter(|_| stands_in) {
        Some(spare) => engine.hold(spare),
        None => Ok(None),
    }
}

/// Returns what an earlier run installed for this build, if nothing is missing or has changed.
pub fn recorded(
    engine: &Engine,
    planned: &Planned,
    build: &Build,
    options: &PackageOptions,
) -> Option<Instantiated> {
    let folder = planned.folder_of(engine, build);
    let request = request(engine, planned, build, options);
    let _lease = hold_spare(engine, &request).ok()?;
    Instantiated::recorded(&folder, &request, Need::Packages)
}

impl BuildRunner<'_> {
    /// Installs the packages that the build needs, if any are missing.
    ///
    /// # Errors
    ///
    /// If a package cannot be installed or precompiled, the resolved manifest cannot be read or
    /// lacks a dependency of the project, or the record cannot be removed or written.
    pub async fn instantiate(&mut self, repeat: Repeat) -> Result<(), Failure> {
        if repeat == Repeat::IfNeeded && self.use_recorded(Need::Packages)? {
            return Ok(());
        }
        let started = Instant::now();
        if repeat == Repeat::Always {
            self.context.work.forget(&["instantiate.json"])?;
        }
        let options = &self.given.packages;
        let request = request(self.engine, self.planned, self.build, options);
        if self.engine.is_for_a_fork {
            self.engine.reporter.note(
                "this run is for a pull request of a fork, which gets no secrets from GitHub: \
                 packages of a private registry cannot be installed in it",
            );
        }
        self.leases.extend(hold_spare(self.engine, &request)?);
        let done = instantiate::instantiate(&self.context, &request).await?;
        self.precompiled = true;
        self.adopt(done)?;
        self.took(Step::Instantiate, started, None);
        Ok(())
    }

    /// Uses what an earlier run installed. Returns `false` if there is nothing to use.
    pub(super) fn use_recorded(&mut self, need: Need) -> Result<bool, Failure> {
        let options = &self.given.packages;
        let request = request(self.engine, self.planned, self.build, options);
        let lease = hold_spare(self.engine, &request)?;
        match Instantiated::recorded(self.context.work.root(), &request, need) {
            Some(recorded) => {
                self.leases.extend(lease);
                self.adopt(recorded).map(|()| true)
            }
            None => Ok(false),
        }
    }

    /// Makes these packages visible to every child from now on, and the image contain them.
    fn adopt(&mut self, done: Instantiated) -> Result<(), Failure> {
        self.context.packages = done.packages.clone();
        let mut environment = self.context.environment.clone();
        if let Some(path) = &done.depot_path {
            environment = environment.with("JULIA_DEPOT_PATH", path);
        }
        let is_lazy = self.planned.files.inputs.config.lazy_artifacts;
        if self.engine.network.offline || is_lazy == LazyArtifacts::None {
            environment = environment.with("JULIA_PKG_OFFLINE", "true");
        }
        self.context.environment = environment;
        if let (true, Some(path)) = (done.resolved, &done.manifest) {
            let text = sysforge_files::read_text(path);
            let text = text.map_err(PathError::wrap("read", path, EngineError::Path))?;
            let manifest = Manifest::from_toml(&path.display().to_string(), &text)?;
            let inputs = &self.planned.files.inputs;
            (self.packages, self.closure) =
                inputs.contents(self.build.julia.version(), &manifest, Certainty::Known)?;
            self.fingerprints.add_resolved(&text);
        }
        self.instantiated = Some(done);
        Ok(())
    }

    /// Makes sure before a trace that every package is precompiled, if this run has not done so:
    /// code may have changed, caches may be missing, and a base other than Julia's own needs its
    /// own caches.
    pub(super) async fn precompile_again(&mut self) -> Result<(), Failure> {
        let Some(done) = &self.instantiated else {
            return Ok(());
        };
        if self.precompiled && self.context.base.is_none() {
            return Ok(());
        }
        instantiate::precompile(&self.context, done.direct()).await?;
        self.precompiled = true;
        Ok(())
    }

    /// Whether bundles include this artifact of the packages.
    pub(super) fn travels(&self, tree: &str) -> bool {
        let lazy = self.planned.files.inputs.config.lazy_artifacts;
        let known = self.instantiated.iter().flat_map(|done| &done.lazy);
        lazy != LazyArtifacts::None || !known.into_iter().any(|lazy| lazy == tree)
    }

    /// Returns the manifest for the archive and its record for the receipt. It is the one that was
    /// used, with paths relative to the project.
    pub(super) fn packed_manifest(&self) -> Result<Option<(ManifestRecord, PathBuf)>, Failure> {
        let Some(done) = &self.instantiated else {
            return Ok(None);
        };
        let Some(text) = done.portable_manifest(&self.context.project)? else {
            return Ok(None);
        };
        let copy = self.context.work.write("packed-manifest.toml", &text)?;
        let record = ManifestRecord {
            name: MANIFEST_NAME.to_owned(),
            sha256: Sha256::of(&text),
            resolved: done.resolved,
        };
        Ok(Some((record, copy)))
    }

    /// Returns what was installed for the build.
    pub fn instantiated(&self) -> Option<&Instantiated> {
        self.instantiated.as_ref()
    }
}
