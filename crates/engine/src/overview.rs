//! The plan as `sysforge plan` shows it: with the missing packages, the memory that emitting is
//! expected to need, and the builds that a release already has.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Serialize, Serializer};
use sysforge_build::depots::{MissingPackage, sources};
use sysforge_plan::config::Base;
use sysforge_plan::generation::Generation;
use sysforge_plan::link::Strategy;
use sysforge_plan::matrix::Existing;
use sysforge_plan::plan::{Build, PlannedJulia, Versions};
use sysforge_plan::text::counted;
use sysforge_plan::{BuildId, Plan, cpu};

use crate::engine::Engine;
use crate::failure::Failure;
use crate::options::BuildOptions;
use crate::packages;
use crate::paths::require_writable_folder;
use crate::planning::{ExpectedEmission, Planned, require_packages};

/// A plan with its circumstances. Serializes to the JSON of `sysforge plan`; `Display` writes the
/// text.
#[derive(Debug, Serialize)]
pub struct Overview<'a> {
    #[serde(flatten)]
    plan: &'a Plan,
    /// Expected resources for emitting, by build.
    emission: BTreeMap<&'a BuildId, ExpectedEmission>,
    /// The builds that the release already has.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    existing: Vec<&'a BuildId>,
    /// The packages that are in no depot, by build.
    #[serde(
        skip_serializing_if = "BTreeMap::is_empty",
        serialize_with = "as_texts"
    )]
    missing: BTreeMap<&'a BuildId, Vec<MissingPackage>>,
    /// The builds that `sysforge run` replaces by one for this machine's CPU alone.
    #[serde(skip)]
    native_runs: Vec<&'a BuildId>,
    /// The package server that missing packages come from.
    #[serde(skip)]
    server: Option<String>,
}

fn as_texts<S: Serializer>(
    missing: &BTreeMap<&BuildId, Vec<MissingPackage>>,
    to: S,
) -> Result<S::Ok, S::Error> {
    let texts = |missing: &[MissingPackage]| -> Vec<String> {
        missing.iter().map(ToString::to_string).collect()
    };
    to.collect_map(missing.iter().map(|(id, missing)| (id, texts(missing))))
}

impl<'a> Overview<'a> {
    /// Determines the circumstances of a plan. `released` are the builds of a release.
    ///
    /// # Errors
    ///
    /// If the project's own manifest is required and cannot be used, a file of the project cannot be read,
    /// or the named build directory cannot be written to.
    pub fn of(
        planned: &'a Planned,
        options: &BuildOptions,
        released: &Existing,
        engine: &Engine,
    ) -> Result<Self, Failure> {
        let builds = &planned.plan.builds;
        for build in builds {
            planned.check_options(engine, build, options)?;
            // The image may be built on another machine, which has the programs and packages.
            for checked in [
                planned.require_programs(engine, build, &options.image),
                require_packages(&planned.files, build),
            ] {
                if let Err(missing) = checked {
                    let hint = missing.0.hints().into_iter().next();
                    engine.reporter.warn(missing.to_string(), hint);
                }
            }
        }
        if let Some(folder) = &engine.build_folder {
            require_writable_folder(folder)?;
        }
        let mut existing = Vec::new();
        for build in builds {
            // The digest requires the workloads, which a plan does not read: compute it only for
            // builds that the release has.
            let archives = build.archives(&planned.plan.name).unwrap_or_default();
            let is_released = |id| released.iter().any(|(released, _)| released == id);
            if !archives.is_empty() && archives.iter().all(is_released) {
                let digest = planned.fingerprint(engine, build, options)?.digest();
                let mut archives = archives.into_iter();
                if archives.all(|id| released.contains(&(id, digest))) {
                    existing.push(&build.id);
                }
            }
        }
        let missing = builds.iter().filter_map(|build| {
            let missing = missing(planned, build, options, engine);
            (!missing.is_empty()).then_some((&build.id, missing))
        });
        let emission = builds.iter();
        let emission = emission.map(|build| (&build.id, planned.emission(build, &options.image)));
        let inputs = &planned.files.inputs;
        let native_runs = builds.iter();
        let native_runs = native_runs.filter(|build| inputs.for_this_machine(build).is_some());
        Ok(Self {
            plan: &planned.plan,
            native_runs: native_runs.map(|build| &build.id).collect(),
            emission: emission.collect(),
            existing,
            missing: missing.collect(),
            server: packages::server(engine),
        })
    }
}

/// Returns the packages of a build's manifest that are in no depot. Packages whose versions are not
/// resolved yet are not known.
fn missing(
    planned: &Planned,
    build: &Build,
    options: &BuildOptions,
    engine: &Engine,
) -> Vec<MissingPackage> {
    let manifests = &planned.files.inputs.manifests;
    let file = manifests.of(build.julia.version());
    let manifest = file.and_then(|file| file.content.as_ref().ok());
    let manifest = manifest.filter(|_| build.versions == Versions::Manifest);
    let depots = packages::depots(engine, &planned.files, Some(build), &options.packages);
    manifest.map_or_else(Vec::new, |manifest| depots.missing(manifest))
}

impl fmt::Display for Overview<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for build in &self.plan.builds {
            let julia = match &build.julia {
                PlannedJulia::Catalogue { request, choice } => {
                    format!("{} (`{request}`), {}", choice.version, choice.file.url)
                }
                PlannedJulia::Given { executable, build } => {
                    format!("{}, {}", build.version, executable.display())
                }
            };
            let packages: Vec<_> = build.packages.iter().map(|p| p.name.as_str()).collect();
            let others = build.closure.len().saturating_sub(packages.len());
            writeln!(f, "{}", build.id)?;
            writeln!(f, "  julia     {julia}")?;
            writeln!(f, "  platform  {}", build.triplet)?;
            let others = match &build.versions {
                Versions::Manifest => format!("and {others} that they need"),
                Versions::Resolved { because } => format!(
                    "and what they need, in versions that are still to be resolved: {}",
                    because.explain(build.julia.version())
                ),
            };
            writeln!(f, "  packages  {} ({others})", packages.join(", "))?;
            if let Some(missing) = self.missing.get(&build.id) {
                let count = counted(missing.len(), "package");
                writeln!(f, "  missing   {count}, to be installed")?;
                for (source, names) in sources(missing, self.server.as_deref()) {
                    writeln!(f, "            from {source}: {}", names.join(", "))?;
                }
            }
            if let Some(text) = base(&build.settings.base) {
                writeln!(f, "  base      {text}")?;
            }
            writeln!(f, "  cpu       {}", build.cpu.target)?;
            if let Some(emission) = self.emission.get(&build.id) {
                if let Some(text) = targets(build, emission) {
                    writeln!(f, "  targets   {text}")?;
                }
                writeln!(f, "  memory    {}", expected(emission))?;
            }
            if self.native_runs.contains(&&build.id) {
                let text = "an image for this machine's CPU alone, unless this one is up to date";
                writeln!(f, "  run       {text}")?;
            }
            writeln!(f, "  linkers   {}", linkers(build))?;
            if build.image {
                writeln!(f, "  archive   {}.{}", build.id, build.archive.extension())?;
            }
            for app in &build.apps {
                writeln!(f, "  app       {} (in {})", app.name, app.package)?;
            }
            if let Some(library) = &build.library {
                writeln!(
                    f,
                    "  library   {} {} (in {}): {}, found as {}",
                    library.name, library.version, library.package, library.path, library.soname
                )?;
                if let Ok(id) = build.library_id(&self.plan.name) {
                    writeln!(f, "  archive   {id}.{}", build.archive.extension())?;
                }
            }
            if let (false, Ok(id)) = (build.apps.is_empty(), build.app_id(&self.plan.name)) {
                let extension = build.archive.extension();
                writeln!(f, "  archive   {id}.{extension}")?;
            }
            if self.existing.contains(&&build.id) {
                writeln!(f, "  released  already, from the same inputs")?;
            }
        }
        Ok(())
    }
}

/// Describes the sysimage that an image is built on, if it is not the one that Julia comes with.
fn base(base: &Base) -> Option<String> {
    match base {
        Base::Shipped => None,
        Base::Fresh => Some("fresh, from Julia's sources".to_owned()),
        Base::Image(file) => Some(file.clone()),
        Base::Release { release, file } => {
            let file = file.iter().map(|file| format!(": {}", file.display()));
            Some(format!("{release}{}", file.collect::<String>()))
        }
    }
}

/// Formats the resources that emitting is expected to need.
fn expected(emission: &ExpectedEmission) -> String {
    let targets = match emission.targets {
        1 => String::new(),
        targets => format!(" for {targets} CPU targets"),
    };
    let threads = counted(emission.threads as usize, "thread");
    let gb = emission.memory as f64 / 1e9;
    format!("about {gb:.1} GB while emitting{targets} with {threads}; more for large packages")
}

/// Formats what several CPU targets cost, or that Julia drops them; `None` if one is requested.
fn targets(build: &Build, emission: &ExpectedEmission) -> Option<String> {
    let requested = cpu::cloning(&build.cpu.target).len() as u64;
    let held = emission.targets;
    if requested <= 1 {
        return None;
    }
    if held < requested {
        let (major, minor) = build.julia.version().minor_pair();
        return Some(format!(
            "the first of {requested}: Julia {major}.{minor} drops the others unless the base is fresh"
        ));
    }
    Some(match emission.multiple {
        None => format!("{held}, each at the price of time, memory and size"),
        Some(multiple) => format!(
            "{held}: emitting takes about {:.1} times as long as for one, and the image is about \
             {} % larger",
            multiple.time_percent as f64 / 100.0,
            multiple.size_percent.saturating_sub(100)
        ),
    })
}

/// Formats the linker strategies, in order.
fn linkers(build: &Build) -> String {
    let os = build.triplet.os();
    let generation = Generation::of(build.julia.version());
    let order = generation.map(|generation| Strategy::order(os, generation));
    let titles = order
        .iter()
        .flatten()
        .map(|strategy| strategy.title(os).replace('`', ""));
    titles.collect::<Vec<_>>().join(", then ")
}
