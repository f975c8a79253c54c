//! The plan: from a project's files and a catalogue to the list of builds, each with everything
//! that the later steps need.

mod build;
mod error;
mod inputs;
mod packages;
mod warning;

pub use build::{
    Build, NoManifest, PlannedApp, PlannedJulia, PlannedLibrary, RequestedPackage, Versions,
};
pub use error::PlanError;
pub use inputs::Inputs;
pub use packages::Certainty;
pub use warning::Warning;

use std::collections::BTreeSet;

use serde::Serialize;

use crate::archive::ArchiveFormat;
use crate::build_id::BuildId;
use crate::config::{Bundle, Settings};
use crate::cpu::{self, CpuTarget};
use crate::generation::Generation;
use crate::julia_option::JuliaOption;
use crate::memory;
use crate::platform::Triplet;
use crate::ranges::Ranges;
use crate::receipt::PackageRecord;
use crate::request::Request;
use crate::text::{ImageName, PlainVersion, Rule};
use crate::version::JuliaVersion;

/// The planned builds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The image's name.
    pub name: ImageName,
    /// The project's version, if it has one.
    pub project_version: Option<String>,
    /// The packages requested for the images: name and UUID, in the configured order. The union
    /// over all builds.
    pub packages: Vec<RequestedPackage>,
    /// The requested packages and all their dependencies, by name. The union over all builds.
    pub closure: Vec<PackageRecord>,
    /// The builds.
    pub builds: Vec<Build>,
    /// Problems that are likely but do not prevent the build.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
}

/// Refuses to leave out the compiler of a Julia that does not start without it.
fn require_compiler(bundle: &Bundle, julia: &JuliaVersion) -> Result<(), PlanError> {
    let generation = Generation::of(julia);
    if !bundle.without_compiler || generation.is_none_or(|row| row.optional_compiler) {
        return Ok(());
    }
    let is_apart = generation.is_some_and(|row| row.libraries.contains(&"julia-internal"));
    Err(PlanError::NeedsCompiler {
        version: julia.clone(),
        library: match is_apart {
            true => "libjulia-internal",
            false => "libjulia",
        },
    })
}

/// Refuses options that a Julia does not have.
fn require_options(options: &[JuliaOption], julia: &JuliaVersion) -> Result<(), PlanError> {
    let missing = |option: &JuliaOption| Some((option.clone(), option.missing_from(julia)?));
    match options.iter().find_map(missing) {
        Some((option, since)) => Err(PlanError::NoSuchOption {
            option,
            version: julia.clone(),
            since,
        }),
        None => Ok(()),
    }
}

impl Inputs {
    /// Plans builds for these Julias, which are in the order of the requests. Two requests
    /// satisfied by the same version (`lts` and `1.10`) make one image.
    ///
    /// # Errors
    ///
    /// If the image's name, the project's version, a request, the `cpu` setting or the manifest is
    /// not valid, a configured package is missing, `locked` forbids resolving versions, or a Julia
    /// is too old or lacks a configured option.
    pub fn plan(&self, mut julias: Vec<PlannedJulia>) -> Result<Plan, PlanError> {
        let mut seen = BTreeSet::new();
        julias.retain(|julia| seen.insert(julia.version().clone()));
        let name = self.name()?;
        if let Some(version) = &self.project.version {
            PlainVersion::validate(version)?;
        }
        let mut plan = Plan {
            name,
            project_version: self.project.version.clone(),
            packages: Vec::new(),
            closure: Vec::new(),
            builds: Vec::new(),
            warnings: Vec::new(),
        };
        for request in self.requests()? {
            if let Request::Within(ranges) = request
                && ranges.is_open_union()
            {
                plan.warn(
                    format!("the range `{ranges}` contains every version: a comma means \"or\""),
                    "for \"and\", write a space: `>=1.10 <1.12`".to_owned(),
                );
            }
        }
        for select in self.ineffective_overrides(&plan.name, &julias) {
            plan.warn(
                format!("the override for `{select}` in Sysimage.toml selects no build"),
                "`sysforge plan` lists the build identifiers of this platform; for another one, \
                 only the triplet in them differs"
                    .to_owned(),
            );
        }
        for julia in &julias {
            self.check_cpus(julia.version())?;
            if let Some(bound) = self.project.compat.get("julia") {
                plan.warn_of_bound(bound, julia.version());
            }
            let environment = self.environment(julia.version())?;
            for warning in environment.warnings {
                plan.warn(warning.message, warning.hint);
            }
            let apps = self.apps(&environment.packages, &environment.closure)?;
            let library = self.library(&environment.packages, &environment.closure)?;
            let portable = cpu::portable(self.triplet);
            let cpus = cpu::targets(&self.config.cpu.0, self.triplet, portable);
            for (index, cpu) in cpus.into_iter().enumerate() {
                let tier = cpu.tier.as_deref();
                let id = BuildId::of(&plan.name, julia.version(), self.triplet, tier)?;
                let settings = self.config.settings(&id);
                let cpu = self.kept(cpu, index, &settings, julia.version());
                require_options(&settings.julia_options, julia.version())?;
                plan.warn_of_options(&settings.julia_options, julia.version());
                require_compiler(&self.config.bundle, julia.version())?;
                plan.builds.push(Build {
                    settings,
                    id,
                    triplet: self.triplet,
                    julia: julia.clone(),
                    manifest: environment.manifest.clone(),
                    packages: environment.packages.clone(),
                    closure: environment.closure.clone(),
                    cpu,
                    archive: self.config.archive.unwrap_or(ArchiveFormat::TarGz),
                    versions: environment.versions.clone(),
                    apps: apps.clone(),
                    library: library.clone(),
                    image: self.config.bundle.image,
                });
            }
            plan.add(environment.packages, environment.closure);
        }
        Ok(plan)
    }

    /// Returns the `index`th CPU target as this Julia will keep it: `portable` requests what an image
    /// on this base will contain.
    fn kept(
        &self,
        cpu: CpuTarget,
        index: usize,
        settings: &Settings,
        julia: &JuliaVersion,
    ) -> CpuTarget {
        match Generation::of(julia) {
            Some(generation) if !memory::keeps_targets(generation, &settings.base) => {
                let portable = cpu::portable_alone(self.triplet);
                let mut all = cpu::targets(&self.config.cpu.0, self.triplet, portable);
                all.swap_remove(index)
            }
            _ => cpu,
        }
    }

    /// Returns the patterns of overrides that match no build on any platform. Returns none if the
    /// command line requests Julias, because those may differ from the configured ones.
    fn ineffective_overrides(&self, name: &ImageName, julias: &[PlannedJulia]) -> Vec<&str> {
        if !self.requests.is_empty() || julias.is_empty() {
            return Vec::new();
        }
        let selects = |pattern: &str| {
            Triplet::all().any(|triplet| {
                julias.iter().any(|julia| {
                    let cpus = cpu::targets(&self.config.cpu.0, triplet, cpu::portable(triplet));
                    cpus.iter().any(|cpu| {
                        BuildId::of(name, julia.version(), triplet, cpu.tier.as_deref())
                            .is_ok_and(|id| id.matches(pattern))
                    })
                })
            })
        };
        let patterns = self.config.overrides.iter().map(|o| o.select.as_str());
        patterns.filter(|pattern| !selects(pattern)).collect()
    }

    fn check_cpus(&self, julia: &JuliaVersion) -> Result<(), PlanError> {
        for word in &self.config.cpu.0 {
            cpu::check(word, self.triplet, julia).map_err(|bad| PlanError::Cpu {
                word: word.clone(),
                bad,
            })?;
        }
        Ok(())
    }

    fn name(&self) -> Result<ImageName, PlanError> {
        let (name, from) = match (&self.config.name, &self.project.name) {
            (Some(name), _) => (name, "configuration"),
            (None, Some(name)) => (name, "project"),
            (None, None) => (&self.folder, "folder"),
        };
        ImageName::new(name.as_str()).map_err(|source| PlanError::Name {
            name: crate::text::shortened(name, 60),
            from,
            source,
        })
    }
}

impl Plan {
    /// Adds a warning unless it is there already.
    fn warn(&mut self, message: String, hint: String) {
        let warning = Warning { message, hint };
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// Warns if the project's `[compat]` does not allow this Julia, as Pkg does when it resolves versions.
    fn warn_of_bound(&mut self, bound: &str, julia: &JuliaVersion) {
        // Pkg compares the numbers alone: a prerelease counts as its release.
        let release = JuliaVersion::new(julia.major(), julia.minor(), julia.patch());
        if Ranges::from_compat(bound).is_ok_and(|allowed| !allowed.contains(&release)) {
            self.warn(
                format!(
                    "Julia {julia} is outside of the bound for julia in the project's [compat], `{bound}`"
                ),
                "set `julia` in Sysimage.toml or `--julia` to one inside (`min` is the oldest), or \
                 change the bound"
                    .to_owned(),
            );
        }
    }

    /// Warns of an option that makes images which Julia cannot use.
    fn warn_of_options(&mut self, options: &[JuliaOption], julia: &JuliaVersion) {
        let fails = Generation::of(julia).is_some_and(|generation| generation.stripped_ir_fails);
        if fails && options.iter().any(|option| option.as_str() == "--strip-ir") {
            self.warn(
                format!(
                    "an image for Julia {julia} with `--strip-ir` is likely to fail its check: whatever is \
                     not compiled in it ends with `MissingCodeError`, and that includes code of Julia's own"
                ),
                "leave `--strip-ir` out of `julia-options`; `--strip-metadata` keeps the code".to_owned(),
            );
        }
    }

    /// Adds the packages of another Julia.
    fn add(&mut self, packages: Vec<RequestedPackage>, closure: Vec<PackageRecord>) {
        for package in packages {
            if self.packages.iter().all(|known| known.uuid != package.uuid) {
                self.packages.push(package);
            }
        }
        for package in closure {
            if !self.closure.contains(&package) {
                self.closure.push(package);
            }
        }
        self.closure
            .sort_by(|a, b| (&a.name, &a.uuid).cmp(&(&b.name, &b.uuid)));
    }

    /// Keeps the builds that match a glob in `patterns`; all of them if there is no pattern.
    ///
    /// # Errors
    ///
    /// [`PlanError::NothingSelected`] for the first pattern that matches no build.
    pub fn select(mut self, patterns: &[String]) -> Result<Self, PlanError> {
        for pattern in patterns {
            if !self.builds.iter().any(|build| build.id.matches(pattern)) {
                return Err(PlanError::NothingSelected {
                    pattern: pattern.clone(),
                    known: self
                        .builds
                        .iter()
                        .map(|build| build.id.to_string())
                        .collect(),
                });
            }
        }
        if !patterns.is_empty() {
            self.builds
                .retain(|build| patterns.iter().any(|p| build.id.matches(p)));
        }
        Ok(self)
    }
}
