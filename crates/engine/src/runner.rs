//! Runs one planned build: acquire, instantiate, trace, emit, link, check, pack. The commands for
//! single steps call the same functions, so that a script and `sysforge build` do the same thing.
//!
//! Each step leaves a record of its result and of its fingerprint. [`BuildRunner::run`] reuses the
//! steps whose fingerprints have not changed; the function of a single step always repeats it.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use sysforge_acquire::{InstalledJulia, Lease};
use sysforge_build::artifacts;
use sysforge_build::context::PackageEnvironment;
use sysforge_build::emit::{self, Emission, Emitted};
use sysforge_build::inputs::{Fingerprint, Options};
use sysforge_build::instantiate::{Instantiated, Need};
use sysforge_build::link::{self, LinkJob};
use sysforge_build::measure::{Measured, Unmeasured, WhyNot, measure};
use sysforge_build::rounds::Traced;
use sysforge_build::statements::{self as statement_files, GivenStatements};
use sysforge_build::trace::{self, On};
use sysforge_build::{
    Context, Script, WorkDir, check, elsewhere, machine, probe, scan, session, startup,
};
use sysforge_bundle::{Library, Signing};
use sysforge_plan::generation::{Generation, InteractivePackage};
use sysforge_plan::library::Interface;
use sysforge_plan::link::{Linked, LinkerChoice};
use sysforge_plan::plan::{Build, PlannedJulia, RequestedPackage};
use sysforge_plan::portability::Portability;
use sysforge_plan::receipt::{CheckRecord, JuliaOrigin, PackageRecord, Timing};
use sysforge_plan::text::TreeHash;
use sysforge_plan::{JuliaFacts, Step, cpu, memory, statements};

mod base;
mod bundling;
mod instantiate;
mod library;
mod packing;
mod run;

pub use bundling::existing;
pub use instantiate::{Repeat, recorded, spare_depot};

use crate::emissions;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::failure::Failure;
use crate::fingerprints::Fingerprints;
use crate::options::{BuildOptions, linker};
use crate::paths::require_writable_folder;
use crate::planning::{Planned, apps, require_packages};

/// A build in progress: its Julia is available and its folder is locked.
pub struct BuildRunner<'a> {
    pub(crate) engine: &'a Engine,
    options: Options,
    linker: LinkerChoice,
    planned: &'a Planned,
    /// What is built.
    pub build: &'a Build,
    /// The context of the steps.
    pub context: Context,
    origin: JuliaOrigin,
    timings: Vec<Timing>,
    fingerprints: Fingerprints,
    /// What the caller decided.
    given: BuildOptions,
    /// The packages that the image contains.
    packages: Vec<RequestedPackage>,
    /// These packages and all their dependencies.
    closure: Vec<PackageRecord>,
    instantiated: Option<Instantiated>,
    /// The apps that are made from the image.
    apps: Vec<sysforge_bundle::observe::Planned>,
    /// A script for each run of the apps.
    app_scripts: Vec<Script>,
    /// The C library that is made from the image.
    library: Option<Library>,
    /// The library's functions and the script that calls them, once Julia was queried for them.
    interface: Option<(Interface, Script)>,
    /// The artifacts that the image names, once it was searched for them.
    named_artifacts: OnceLock<BTreeMap<TreeHash, PathBuf>>,
    /// Whether this run installed and precompiled the packages.
    precompiled: bool,
    /// Whether a note explains why each step runs again.
    pub explain: bool,
    /// The command that signs bundles, if the caller named one.
    pub signing: Option<Signing>,
    // The warnings that were given, as pairs of a workload and the kind of warning.
    warned: Vec<(String, std::mem::Discriminant<WhyNot>)>,
    // Keep the Julia, the base and the compiler from being pruned while they are used.
    leases: Vec<Lease>,
}

impl<'a> BuildRunner<'a> {
    /// Gets the Julia, opens the build's folder, and installs the packages that are missing.
    ///
    /// # Errors
    ///
    /// Those of [`Self::probed`] and [`Self::instantiate`].
    pub async fn open(
        engine: &'a Engine,
        planned: &'a Planned,
        build: &'a Build,
        options: &BuildOptions,
    ) -> Result<Self, Failure> {
        let mut runner = Self::probed(engine, planned, build, options).await?;
        runner.instantiate(Repeat::IfNeeded).await?;
        Ok(runner)
    }

    /// Gets the Julia, asks it about the CPU target, and locks the build's folder, so that what can
    /// fail there does so before anything is installed.
    ///
    /// # Errors
    ///
    /// If an option cannot be used, the Julia cannot be fetched or does not run, is another one
    /// than planned ([`EngineError::OtherJulia`]) or does not support the base or the CPU target,
    /// the build's folder cannot be used, or an input cannot be read.
    pub async fn probed(
        engine: &'a Engine,
        planned: &'a Planned,
        build: &'a Build,
        options: &BuildOptions,
    ) -> Result<Self, Failure> {
        let started = Instant::now();
        planned.check_options(engine, build, options)?;
        require_packages(&planned.files, build)?;
        let folder = engine.build_folder_of(&planned.files.folder);
        require_writable_folder(&folder)?;
        let mut leases = Vec::new();
        let (executable, origin) = match &build.julia {
            PlannedJulia::Given { executable, .. } => {
                leases.extend(engine.hold(executable)?);
                (executable.clone(), planned.origin(executable))
            }
            PlannedJulia::Catalogue { choice, .. } => {
                let InstalledJulia {
                    executable,
                    lease,
                    signature,
                    ..
                } = engine.acquirer()?.julia(choice).await?;
                let url = choice.file.url.to_string();
                let sha256 = choice.file.sha256;
                leases.push(lease);
                (
                    executable,
                    JuliaOrigin::Catalogue {
                        url,
                        sha256,
                        signature,
                    },
                )
            }
        };
        let facts = engine.ask(&executable).await?;
        if facts.version != *build.julia.version() || facts.triplet != build.triplet {
            return Err(EngineError::OtherJulia {
                found: format!("{} for {}", facts.version, facts.triplet),
                planned: format!("{} for {}", build.julia.version(), build.triplet),
            }
            .into());
        }
        let Engine {
            environment,
            children,
            reporter,
            ..
        } = engine;
        if let Some(file) = build.settings.base.file() {
            let image = planned.files.folder.join(file);
            probe::base_image(&facts, &image, environment, children, reporter).await?;
        }
        if !cpu::is_portable(&build.cpu.target, build.triplet) {
            for target in cpu::plain_targets(&build.cpu.target) {
                probe::cpu_target(&facts, &target, environment, children, reporter).await?;
            }
        }
        let probed = Probed { facts, origin };
        let work = WorkDir::open_when_free(&folder, &build.id, &engine.reporter).await?;
        work.record(PROBED, &Fingerprint::default(), &[], &probed)?;
        let mut runner = Self::on(engine, planned, build, options, work, probed)?;
        runner.leases.extend(leases);
        runner.took(Step::Probe, started, None);
        Ok(runner)
    }

    /// Opens a build for packing only. This starts no Julia: the facts recorded by the build
    /// suffice.
    ///
    /// # Errors
    ///
    /// If another process is building in the folder, or the folder or an input cannot be used.
    /// Without usable records, also those of [`Self::open`].
    pub async fn to_pack(
        engine: &'a Engine,
        planned: &'a Planned,
        build: &'a Build,
    ) -> Result<Self, Failure> {
        let options = BuildOptions::default();
        let work = WorkDir::open(&engine.build_folder_of(&planned.files.folder), &build.id)?;
        if let Ok(probed) = work.recorded(PROBED) {
            let mut runner = Self::on(engine, planned, build, &options, work, probed)?;
            if runner.use_recorded(Need::Versions)? {
                return Ok(runner);
            }
            drop(runner);
            return Self::open(engine, planned, build, &options).await;
        }
        // Nothing was built yet, or an earlier version of Sysforge built it.
        drop(work);
        Self::open(engine, planned, build, &options).await
    }

    /// Creates the runner of a build whose folder is open, for a Julia that has been queried.
    fn on(
        engine: &'a Engine,
        planned: &'a Planned,
        build: &'a Build,
        options: &BuildOptions,
        work: WorkDir,
        Probed { facts, origin }: Probed,
    ) -> Result<Self, Failure> {
        let generation = Generation::of(&facts.version).unwrap_or(&Generation::all()[0]);
        let environment = engine.environment.clone().with_all(&build.settings.env);
        let linker = linker(&options.image)?;
        let (environment, lease) = engine.with_compiler(environment, build.triplet, &linker)?;
        let context = Context {
            julia: facts,
            generation,
            base: None,
            project: planned.files.folder.clone(),
            packages: PackageEnvironment::of_project(&planned.files.folder),
            environment,
            children: engine.children.clone(),
            reporter: engine.reporter.clone(),
            work,
            timeout: options.timeout,
            idle: options.idle,
        };
        let fingerprints = Fingerprints::new(planned.fingerprint(engine, build, options)?);
        let apps = apps(build, &planned.files.inputs.config)?;
        let app_scripts = bundling::scripts(&apps, &context.work.path("apps"))?;
        Ok(Self {
            apps,
            app_scripts,
            library: library::planned(build, &planned.files.inputs.config)?,
            interface: None,
            named_artifacts: OnceLock::new(),
            packages: build.packages.clone(),
            closure: build.closure.clone(),
            instantiated: None,
            precompiled: false,
            engine,
            options: planned.options(build, &options.image),
            linker,
            planned,
            build,
            context,
            origin,
            timings: Vec::new(),
            fingerprints,
            given: options.clone(),
            explain: false,
            signing: None,
            warned: Vec::new(),
            leases: lease.into_iter().collect(),
        })
    }

    /// Fails if the linker is missing, before any slow step.
    fn find_linker(&self) -> Result<(), Failure> {
        let Context {
            julia,
            generation,
            environment,
            work,
            ..
        } = &self.context;
        let folder = work.path("link");
        Ok(link::require_linker(
            &self.linker,
            julia,
            generation,
            environment,
            &folder,
        )?)
    }

    fn took(&mut self, step: Step, started: Instant, peak_memory: Option<u64>) {
        self.timings.push(Timing {
            step,
            seconds: started.elapsed().as_secs_f64(),
            peak_memory,
        });
    }

    fn paths(&self, names: &[String]) -> Vec<PathBuf> {
        names
            .iter()
            .map(|name| self.context.project.join(name))
            .collect()
    }

    /// Returns the workloads with full paths: the configured ones, then the runs of the apps.
    pub fn workloads(&self) -> Vec<Script> {
        let workloads = self.planned.files.inputs.config.workloads.iter();
        workloads
            .map(|workload| Script::of(workload, &self.context.project))
            .chain(self.app_scripts.iter().cloned())
            .chain(self.interface.iter().map(|(_, script)| script.clone()))
            .collect()
    }

    /// Returns the packages of an interactive session that the image contains in addition to its
    /// base.
    fn interactive(&self) -> &'static [InteractivePackage] {
        session::packages(self.context.generation, &self.build.settings)
    }

    /// Returns the image's file name: that of the build, with the system's extension.
    pub fn image_name(&self) -> String {
        let extension = self.build.triplet.os().conventions().library_extension;
        format!("{}.{extension}", self.build.id)
    }

    /// Returns the packages in the image.
    pub fn packages(&self) -> &[RequestedPackage] {
        &self.packages
    }

    /// Returns the path of the linked image.
    pub fn image(&self) -> PathBuf {
        self.context.work.path(self.image_name())
    }

    /// Records the precompile statements.
    ///
    /// # Errors
    ///
    /// If the base cannot be built, a package cannot be precompiled, no C library can be made from
    /// its package, a workload or a run of an app fails, or a file of statements, an input or a
    /// record cannot be read or written.
    pub async fn trace(&mut self) -> Result<Traced, Failure> {
        self.prepare().await?;
        self.ask_for_interface().await?;
        self.precompile_again().await?;
        let started = Instant::now();
        self.context.work.set_aside("trace")?;
        self.context.work.forget(&["trace"])?;
        let files = self.paths(&self.planned.files.inputs.config.statements);
        let mut given = statement_files::read(&files, &self.context.project)?;
        let recorded = trace::trace(&self.context, &self.workloads(), On::Base).await;
        let recorded = recorded.map_err(|error| self.trace_failure(error))?;
        let Self {
            engine,
            planned,
            build,
            ..
        } = *self;
        let after = planned.fingerprint(engine, build, &self.given)?;
        planned.note_generated(engine, self.fingerprints.build(), &after);
        given.ignored.extend(recorded.ignored);
        self.report_ignored(&given);
        let mut statements = recorded.statements;
        let known: HashSet<String> = statements.iter().cloned().collect();
        let new = given.statements.into_iter();
        let new: Vec<String> = new.filter(|text| !known.contains(text)).collect();
        statements.extend(new.iter().cloned());
        if self.build.has_bundle() {
            let launcher = sysforge_bundle::launcher::STATEMENTS.iter();
            let launcher = launcher.map(|text| (*text).to_owned());
            let launcher: Vec<_> = launcher.filter(|text| !statements.contains(text)).collect();
            statements.extend(launcher);
            statements.extend(sysforge_bundle::launcher::variants_of_streams(&statements));
            if !self.apps.is_empty() {
                let readers = sysforge_bundle::launcher::readers_of_standard_input().into_iter();
                let readers: Vec<_> = readers.filter(|text| !statements.contains(text)).collect();
                statements.extend(readers);
            }
        }
        let session = session::trace(&self.context, self.interactive()).await;
        let known: HashSet<String> = statements.iter().cloned().collect();
        let session = session.unwrap_or_default().into_iter();
        let session: Vec<String> = session.filter(|text| !known.contains(text)).collect();
        statements.extend(session.iter().cloned());
        let traced = Traced {
            statements,
            given: new,
            session,
            ignored: given.ignored,
            longest_run_s: recorded.longest_run.as_secs_f64(),
            ..Traced::default()
        };
        self.record_trace(&traced)?;
        self.took(Step::Trace, started, None);
        Ok(traced)
    }

    /// Reports the lines in the statement files that are not statements.
    fn report_ignored(&self, given: &GivenStatements) {
        let reporter = &self.context.reporter;
        let evaluated = given.statements.iter();
        let evaluated = evaluated.filter(|text| !statements::is_plain(text)).count();
        if evaluated > 0 {
            reporter.note(format!(
                "{} evaluated when the image is emitted, as more than a call of precompile",
                match evaluated {
                    1 => "1 given statement is".to_owned(),
                    _ => format!("{evaluated} given statements are"),
                }
            ));
        }
        for ignored in given.ignored.iter().take(IGNORED_SHOWN) {
            let text = format!(
                "{}:{}: ignored, {}: {}",
                ignored.file, ignored.line, ignored.reason, ignored.text
            );
            match ignored.mentions_precompile {
                true => reporter.warn(text, None),
                false => reporter.note(text),
            }
        }
        if given.ignored.len() > IGNORED_SHOWN {
            let more = given.ignored.len() - IGNORED_SHOWN;
            reporter.note(format!(
                "{more} more expressions in the statement files are ignored"
            ));
        }
    }

    fn record_trace(&self, traced: &Traced) -> Result<(), Failure> {
        let fingerprint = self.fingerprints.trace();
        Ok(self
            .context
            .work
            .record("trace", &fingerprint, &[], traced)?)
    }

    /// Emits the object file from recorded statements.
    ///
    /// # Errors
    ///
    /// If the linker is missing, the base cannot be built, no C library can be made from its
    /// package, no trace is recorded, Julia does not emit the object, or a record cannot be read or
    /// written.
    pub async fn emit(&mut self) -> Result<Emitted, Failure> {
        self.find_linker()?;
        self.prepare().await?;
        self.ask_for_interface().await?;
        let started = Instant::now();
        let mut traced: Traced = self.context.work.recorded("trace")?;
        self.rehearse_statements(&mut traced).await?;
        let options = &self.options.emit;
        let workloads = self.workloads();
        let script = options.script.as_ref();
        let script = script.map(|path| self.context.project.join(path));
        let given = traced.given.iter().cloned().collect();
        let cpus = self.context.julia.cpu_threads;
        let base = &self.build.settings.base;
        let targets = memory::held_targets(self.context.generation, base, &options.cpu);
        let generation = self.context.generation;
        let free = machine::free_memory();
        let repl = self.build.has_session_packages();
        let needs = memory::EmissionScope { targets, repl };
        let fitting = || memory::image_threads(generation, needs, cpus, free);
        let kind = emissions::EmissionKind {
            julia: self.context.julia.version.minor_pair(),
            targets: targets.count(),
            repl,
        };
        let bundled = self.build.has_bundle();
        // Without a store, nothing is known about other emissions.
        let stores = self.engine.stores().unwrap_or_default();
        let emission = Emission {
            packages: &self.packages,
            import_into_main: options.import_into_main,
            interactive: self.interactive(),
            code: bundled.then_some(sysforge_bundle::launcher::START),
            statements: &traced.statements,
            given: &given,
            known: &self.known_packages(),
            ineffective: &traced.ineffective,
            execute: if options.execute { &workloads } else { &[] },
            script: script.as_deref(),
            cpu_target: &options.cpu.target,
            julia_options: &options.julia_options,
            image_threads: Some(options.image_threads.unwrap_or_else(fitting)),
            script_limit: self.context.idle.map(|idle| {
                // Ten times the duration of the traced run; for `script`, no earlier duration is
                // known.
                idle.max(Duration::from_secs_f64(
                    10.0 * traced.longest_run_s.max(0.0),
                ))
            }),
            expected: emissions::expected(&stores, &kind),
            strict: options.strict,
        };
        let mut emitted = emit::emit(&self.context, &emission).await?;
        emissions::remember(&stores, kind, Duration::from_millis(emitted.wall_ms));
        emitted.statements.ignored.clone_from(&traced.ignored);
        let earlier = self.context.work.recorded_fingerprint("trace")?;
        let fingerprint = self.fingerprints.emitted(&traced, &earlier);
        let files = [emitted.object.clone()];
        self.context
            .work
            .record("emit", &fingerprint, &files, &emitted)?;
        self.took(Step::Emit, started, Some(emitted.peak_memory));
        Ok(emitted)
    }

    /// Measures loading and the first call without the image, for the receipt, while nothing else
    /// runs. Runs before the emission, so that failures show before minutes are spent on it.
    ///
    /// # Errors
    ///
    /// If a package cannot be loaded, a workload fails without the image, or the record cannot be
    /// written.
    pub async fn measure_without_image(&mut self) -> Result<(), Failure> {
        let workloads = self.workloads();
        if workloads.is_empty() {
            return Ok(());
        }
        let packages = &self.packages;
        if self.context.generation.package_images {
            // Tracing made no package images: the first process would compile all of them.
            startup::load(&self.context, packages).await?;
        }
        let measured = measure(&self.context, None, packages, &workloads).await?;
        self.warn_of_unmeasured(&measured.unmeasured);
        let fingerprint = self.fingerprints.trace();
        self.context
            .work
            .record(WITHOUT, &fingerprint, &[], &measured)?;
        Ok(())
    }

    /// Warns, once, about what could not be measured.
    pub fn warn_of_unmeasured(&mut self, unmeasured: &BTreeSet<Unmeasured>) {
        for one in unmeasured {
            // The reason may be worded differently with and without the image.
            let kind = (one.workload.clone(), std::mem::discriminant(&one.why));
            if !self.warned.contains(&kind) {
                self.warned.push(kind);
                let reporter = &self.engine.reporter;
                reporter.warn(one.to_string(), Some(one.hint().to_owned()));
            }
        }
    }

    /// Returns the modules that an image of this project may contain: its packages and Julia's own
    /// libraries.
    fn known_packages(&self) -> BTreeSet<String> {
        let stdlib = std::fs::read_dir(&self.context.julia.stdlib);
        let stdlib = stdlib.into_iter().flatten().flatten();
        let stdlib = stdlib.map(|entry| entry.file_name().to_string_lossy().into_owned());
        stdlib.chain(self.closure()).collect()
    }

    /// Returns the names of all packages of the project.
    fn closure(&self) -> Vec<String> {
        let closure = self.closure.iter();
        closure.map(|package| package.name.clone()).collect()
    }

    /// Links the image from the emitted object.
    ///
    /// # Errors
    ///
    /// If no emission is recorded, no linker makes a valid image, or a file in the build folder
    /// cannot be removed or written.
    pub async fn link(&mut self) -> Result<Linked, Failure> {
        let started = Instant::now();
        let emitted: Emitted = self.context.work.recorded("emit")?;
        let name = self.image_name();
        self.context
            .work
            .forget(&["link.json", "check.json", &name])?;
        let job = self.link_job(vec![emitted.object], self.image(), &name);
        let linked = self.run_link(&job, &name).await?;
        let emitted = self.context.work.recorded_fingerprint("emit")?;
        let fingerprint = self.fingerprints.linked(&emitted);
        let files = [self.image()];
        self.context
            .work
            .record("link", &fingerprint, &files, &linked)?;
        self.took(Step::Link, started, None);
        Ok(linked)
    }

    /// Returns the job that links `objects` into `output`, which is known to the loader as `name`.
    fn link_job(&self, objects: Vec<PathBuf>, output: PathBuf, name: &str) -> LinkJob {
        LinkJob {
            objects,
            output,
            name: name.to_owned(),
            julia: self.context.julia.clone(),
            linker: self.linker.clone(),
            strip: self.options.link.strip,
            exports: Vec::new(),
            library: None,
            environment: self.context.environment.clone(),
            work_dir: self.context.work.path("link"),
            log: self.context.work.log("link"),
            timeout: self.context.timeout,
        }
    }

    async fn run_link(&self, job: &LinkJob, title: &str) -> Result<Linked, Failure> {
        let task = self.context.reporter.start(Step::Link, title);
        let linked = link::link(job, &self.context.children, &task).await?;
        let size = std::fs::metadata(&job.output).map_or(0, |file| file.len());
        let linker = &linked.linker_version;
        task.done(format!("{} MB by {linker}", size / 1_000_000));
        Ok(linked)
    }

    /// Loads the image and runs the workloads on it, counts what they still compile, and looks for
    /// dependencies on this machine.
    ///
    /// # Errors
    ///
    /// If Julia does not start with the image, a workload fails on it, or a package is not in it;
    /// also if no C library can be made from its package.
    pub async fn check(&mut self, image: &Path) -> Result<CheckRecord, Failure> {
        self.ask_for_interface().await?;
        let started = Instant::now();
        // Reading the image takes less time than the Julia processes.
        let looking = self.look_through(image);
        let workloads = self.workloads();
        let packages = &self.packages;
        let known = self.known_packages();
        let checked = check::check(&self.context, image, packages, &known, &workloads);
        let (mut record, unmeasured) = checked.await?;
        let found = looking.await.map_err(std::io::Error::other).flatten();
        let found = found.inspect_err(|error| {
            let image = image.display();
            let text = format!("{image} could not be searched for paths of this machine: {error}");
            self.engine.reporter.warn(text, None);
        });
        record.portability = found.ok();
        if let Some(found) = &mut record.portability {
            let used = self.used_by_a_run(image, &workloads);
            let paths = &mut found.paths;
            elsewhere::try_without(&self.context, image, packages, &workloads, &used, paths).await;
        }
        if let Ok(without) = self.context.work.recorded::<Measured>(WITHOUT) {
            record.load_without_image_s = Some(without.load_s);
            record.first_call_without_image_s = without.first_call_s;
        }
        self.warn_of_unmeasured(&unmeasured);
        if !self.interactive().is_empty() {
            record.interactive = session::measure(&self.context, image).await;
        }
        self.note_own_costs(&record);
        self.note_extensions();
        self.took(Step::Check, started, None);
        Ok(record)
    }

    /// Returns the paths that are needed to start a workload on an image, whatever the image
    /// contains.
    fn used_by_a_run(&self, image: &Path, workloads: &[Script]) -> Vec<PathBuf> {
        let context = &self.context;
        let emitted = context.work.recorded::<Emitted>("emit");
        let depots = emitted.map(|emitted| emitted.depots).unwrap_or_default();
        let packages = [&context.packages.project, &context.project];
        let mut used: Vec<PathBuf> = packages.into_iter().cloned().collect();
        used.extend(context.packages.workload.clone());
        used.extend(workloads.iter().map(|workload| workload.path.clone()));
        used.extend(depots);
        used.extend([image.to_owned(), context.work.root().to_owned()]);
        used.push(context.julia.bindir.clone());
        used
    }

    /// Notes how long the first call takes to compile functions that the workloads define
    /// themselves, if that is long.
    fn note_own_costs(&self, record: &CheckRecord) {
        let ms = record.own_cost_ms();
        if ms >= NOTICEABLE_MS {
            self.engine.reporter.note(format!(
                "functions that the workloads define themselves take {ms:.0} ms to compile: moved into a \
                 package, they would be in the image"
            ));
        }
    }

    /// Notes which package extensions the image contains.
    fn note_extensions(&self) {
        let emitted = self.context.work.recorded::<Emitted>("emit");
        let extensions = emitted.map(|emitted| emitted.extensions);
        let extensions = extensions.unwrap_or_default();
        if extensions.is_empty() {
            return;
        }
        let names = extensions.iter();
        let names: Vec<_> = names
            .map(|extension| format!("{} (of {})", extension.name, extension.package))
            .collect();
        let text = format!("the image has the extensions {}", names.join(", "));
        self.engine.reporter.note(text);
    }

    /// Returns the statements that the workloads still compile on an image, although it could
    /// contain them.
    ///
    /// # Errors
    ///
    /// If a workload fails on the image, or its recording cannot be read.
    pub async fn residuals(&mut self, image: &Path) -> Result<Vec<String>, Failure> {
        let known = self.known_packages();
        let left = check::left_over(&self.context, image, &self.workloads(), &known).await?;
        Ok(left.residuals)
    }

    fn look_through(&self, image: &Path) -> tokio::task::JoinHandle<std::io::Result<Portability>> {
        let emitted = self.context.work.recorded::<Emitted>("emit").ok();
        let (depots, artifacts) = emitted
            .map(|emitted| (emitted.depots, emitted.artifacts))
            .unwrap_or_default();
        let home = ["HOME", "USERPROFILE"].map(|name| self.context.environment.get(name));
        let mut roots: Vec<PathBuf> = home.into_iter().flatten().map(PathBuf::from).collect();
        roots.extend(depots);
        roots.push(self.context.project.clone());
        roots.push(self.context.work.root().to_owned());
        let image = image.to_owned();
        let bindir = &self.context.julia.bindir;
        let julia = bindir.parent().unwrap_or(bindir).to_owned();
        tokio::task::spawn_blocking(move || {
            let mut found = scan::scan(&image, &roots, &julia)?;
            let is_known = |path: &str| artifacts::is_file_of(Path::new(path), &artifacts);
            found.paths.retain(|found| !is_known(&found.path));
            found.artifacts = artifacts.into_iter().map(|found| found.artifact).collect();
            Ok(found)
        })
    }
}

/// Compile times from this value on, in milliseconds, are worth a note.
const NOTICEABLE_MS: f64 = 100.0;

/// Maximum number of ignored lines of statement files that are shown.
const IGNORED_SHOWN: usize = 10;

/// The name of the manifest in an archive.
const MANIFEST_NAME: &str = "Manifest.toml";

/// The name under which [`Probed`] is recorded.
pub(crate) const PROBED: &str = "probe";

/// The name under which the measurement without the image is recorded.
const WITHOUT: &str = "without";

/// The facts about the Julia that builds.
#[derive(serde::Serialize, serde::Deserialize)]
pub(crate) struct Probed {
    pub(crate) facts: JuliaFacts,
    origin: JuliaOrigin,
}
