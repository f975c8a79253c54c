//! The pipeline, readable as a list of steps: plan, acquire, trace, emit, link, check, pack. The
//! commands for single steps call the same functions, so that a script and `sysforge build` do the
//! same thing.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sysforge_acquire::{InstalledJulia, Lease};
use sysforge_build::emit::{self, Emission, Emitted};
use sysforge_build::link::{self, LinkJob};
use sysforge_build::trace::{self, On};
use sysforge_build::{Context, WorkDir, check, inputs, probe, targets};
use sysforge_pack::{Packed, Packing};
use sysforge_plan::catalogue::Catalogue;
use sysforge_plan::generation::Generation;
use sysforge_plan::link::{Linked, LinkerChoice};
use sysforge_plan::plan::{Build, PlannedJulia};
use sysforge_plan::receipt::{
    CheckRecord, FileRecord, JuliaOrigin, LinkRecord, SCHEMA, Targets, Timing, ToolRecord,
};
use sysforge_plan::{JuliaFacts, Os, Plan, Receipt, Request, Sha256, Step, Triplet, statements};

use crate::args::Driving;
use crate::failure::{CliError, Failure};
use crate::project::{self, ProjectFiles};
use crate::session::{Session, absolute};

/// A plan, and what it was made from.
pub(crate) struct Planned {
    pub(crate) files: ProjectFiles,
    pub(crate) plan: Plan,
}

impl Planned {
    /// The digest of everything that decides what `build` becomes.
    pub(crate) fn inputs_digest(&self, build: &Build) -> Result<Sha256, Failure> {
        Ok(inputs::digest(&inputs::Inputs {
            build,
            plan: &self.plan,
            project: &self.files.folder,
            config: &self.files.inputs.config,
            manifest: self.files.inputs.manifest.as_ref(),
        })?)
    }

    /// Where archives go: where it was said, or `dist` in the project.
    pub(crate) fn dist(&self, given: Option<&Path>) -> PathBuf {
        given.map_or_else(|| self.files.folder.join("dist"), absolute)
    }
}

/// Reads the project and makes the plan for this machine's platform.
pub(crate) async fn plan(session: &Session, select: &[String]) -> Result<Planned, Failure> {
    plan_for(session, &session.global.julia, select).await
}

/// The same for these requests instead of the given ones.
pub(crate) async fn plan_for(
    session: &Session,
    requests: &[String],
    select: &[String],
) -> Result<Planned, Failure> {
    let host = Session::host()?;
    let global = &session.global;
    let read = |julia| project::read(global.project.as_deref(), julia, requests, host);
    let mut files = read(None)?;
    let mut julias = Vec::new();
    let mut catalogue: Option<Catalogue> = None;
    for request in files.inputs.requests()? {
        julias.push(answer(session, &request, &mut catalogue).await?);
    }
    // Only now is it known whether a manifest for this very Julia comes first.
    if let [only] = julias.as_slice() {
        files = read(Some(only.version()))?;
    }
    let plan = files.inputs.plan(julias)?.select(select)?;
    Ok(Planned { files, plan })
}

async fn answer(
    session: &Session,
    request: &Request,
    catalogue: &mut Option<Catalogue>,
) -> Result<PlannedJulia, Failure> {
    let given = match request {
        Request::Directory(path) => probe::executable_at(&absolute(path))?,
        Request::System => system_julia(session)?,
        Request::Nightly => {
            session
                .acquirer()?
                .nightly(None, Session::host()?)
                .await?
                .executable
        }
        Request::NightlyOf(major, minor) => {
            let branch = Some((*major, *minor));
            session
                .acquirer()?
                .nightly(branch, Session::host()?)
                .await?
                .executable
        }
        _ => {
            let catalogue = match catalogue {
                Some(known) => known,
                None => catalogue.insert(session.acquirer()?.catalogue().await?),
            };
            let choice = catalogue.choose(request, Session::host()?)?;
            return Ok(PlannedJulia::Catalogue {
                request: request.to_string(),
                choice,
            });
        }
    };
    let facts = ask(session, &given).await?;
    Ok(PlannedJulia::Given {
        executable: given,
        build: facts.build(),
    })
}

/// The `julia` on the search path.
pub(crate) fn system_julia(session: &Session) -> Result<PathBuf, CliError> {
    let path = session.environment.get("PATH").unwrap_or_default();
    let name = format!("julia{}", std::env::consts::EXE_SUFFIX);
    std::env::split_paths(path)
        .map(|folder| folder.join(&name))
        .find(|candidate| candidate.is_file())
        .ok_or(CliError::NoSystemJulia)
}

/// Asks a Julia about itself.
pub(crate) async fn ask(session: &Session, executable: &Path) -> Result<JuliaFacts, Failure> {
    let Session {
        environment,
        children,
        reporter,
        ..
    } = session;
    Ok(probe::probe(executable, environment, children, reporter).await?)
}

/// One build under way: its Julia is there, its folder is locked.
pub(crate) struct Forge<'a> {
    session: &'a Session,
    driving: Driving,
    planned: &'a Planned,
    pub(crate) build: &'a Build,
    pub(crate) context: Context,
    origin: JuliaOrigin,
    timings: Vec<Timing>,
    // Keeps the Julia from being pruned while it is used.
    _lease: Option<Lease>,
}

impl<'a> Forge<'a> {
    /// Gets the Julia and opens the build's folder.
    pub(crate) async fn open(
        session: &'a Session,
        planned: &'a Planned,
        build: &'a Build,
        driving: &Driving,
    ) -> Result<Self, Failure> {
        let started = Instant::now();
        let inputs = &planned.files.inputs;
        // Everything that can be found wrong at once is, before anything long begins.
        let files = [
            ("workload", &inputs.config.workloads),
            ("statement file", &inputs.config.statements),
        ];
        let files = files
            .iter()
            .flat_map(|(kind, paths)| paths.iter().map(|path| (*kind, path.as_str())));
        let script = inputs
            .config
            .script
            .iter()
            .map(|path| ("script", path.as_str()));
        trace::require_files(&planned.files.folder, files.chain(script))?;

        let (executable, origin, lease) = match &build.julia {
            PlannedJulia::Given { executable, .. } => {
                (executable.clone(), JuliaOrigin::Given, None)
            }
            PlannedJulia::Catalogue { choice, .. } => {
                let InstalledJulia {
                    executable,
                    lease,
                    signature,
                    ..
                } = session.acquirer()?.julia(choice).await?;
                let url = choice.file.url.to_string();
                let sha256 = choice.file.sha256;
                (
                    executable,
                    JuliaOrigin::Catalogue {
                        url,
                        sha256,
                        signature,
                    },
                    Some(lease),
                )
            }
        };
        let facts = ask(session, &executable).await?;
        if facts.version != *build.julia.version() || facts.triplet != build.triplet {
            return Err(CliError::OtherJulia {
                found: format!("{} for {}", facts.version, facts.triplet),
                planned: format!("{} for {}", build.julia.version(), build.triplet),
            }
            .into());
        }
        let generation = Generation::of(&facts.version).unwrap_or(&Generation::all()[0]);
        let folder = session.global.build_dir.as_deref().map(absolute);
        let folder = folder.unwrap_or_else(|| planned.files.folder.join(".sysforge"));
        let environment = build
            .settings
            .env
            .iter()
            .fold(session.child_environment(), |env, (name, value)| {
                env.with(name, value)
            });
        let context = Context {
            julia: facts,
            generation,
            project: planned.files.folder.clone(),
            environment,
            children: session.children.clone(),
            reporter: session.reporter.clone(),
            work: WorkDir::open(&folder, &build.id)?,
            timeout: driving.timeout.map(Duration::from_secs),
        };
        let mut forge = Self {
            session,
            driving: driving.clone(),
            planned,
            build,
            context,
            origin,
            timings: Vec::new(),
            _lease: lease,
        };
        forge.took(Step::Probe, started);
        Ok(forge)
    }

    fn took(&mut self, step: Step, started: Instant) {
        self.timings.push(Timing {
            step,
            seconds: started.elapsed().as_secs_f64(),
        });
    }

    fn paths(&self, names: &[String]) -> Vec<PathBuf> {
        names
            .iter()
            .map(|name| self.context.project.join(name))
            .collect()
    }

    /// The workloads' full paths.
    pub(crate) fn workloads(&self) -> Vec<PathBuf> {
        self.paths(&self.planned.files.inputs.config.workloads)
    }

    /// The image's file name: the build's, with the system's extension.
    pub(crate) fn image_name(&self) -> String {
        let extension = self.build.triplet.os().conventions().library_extension;
        format!("{}.{extension}", self.build.id)
    }

    /// Where the linked image lies.
    pub(crate) fn image(&self) -> PathBuf {
        self.context.work.path(self.image_name())
    }

    /// Records the precompile statements.
    pub(crate) async fn trace(&mut self) -> Result<Vec<String>, Failure> {
        let started = Instant::now();
        self.context.work.forget(&["trace.json", "trace"])?;
        let given =
            trace::given_statements(&self.paths(&self.planned.files.inputs.config.statements))?;
        let traced = trace::trace(&self.context, &self.workloads(), On::Base).await?;
        let mut all = traced;
        let new: Vec<_> = given
            .into_iter()
            .filter(|given| !all.contains(given))
            .collect();
        all.extend(new);
        self.context.work.record("trace", &all)?;
        self.took(Step::Trace, started);
        Ok(all)
    }

    /// Emits the object file from recorded statements.
    pub(crate) async fn emit(&mut self) -> Result<Emitted, Failure> {
        let started = Instant::now();
        let statements: Vec<String> = self.context.work.recorded("trace")?;
        let settings = &self.build.settings;
        let workloads = self.workloads();
        let script = self.planned.files.inputs.config.script.as_ref();
        let script = script.map(|path| self.context.project.join(path));
        let emission = Emission {
            packages: &self.planned.plan.packages,
            statements: &statements,
            likes: &statements::for_other_streams(&statements),
            execute: if settings.execute { &workloads } else { &[] },
            script: script.as_deref(),
            cpu_target: &self.build.cpu.target,
            image_threads: self
                .driving
                .image_threads
                .or(Some(self.context.julia.cpu_threads)),
            strict: settings.strict || self.driving.strict,
        };
        let emitted = emit::emit(&self.context, &emission).await?;
        self.context.work.record("emit", &emitted)?;
        self.took(Step::Emit, started);
        Ok(emitted)
    }

    /// Links the image from the emitted object.
    pub(crate) async fn link(&mut self) -> Result<Linked, Failure> {
        let started = Instant::now();
        let emitted: Emitted = self.context.work.recorded("emit")?;
        let name = self.image_name();
        self.context
            .work
            .forget(&["link.json", "check.json", &name])?;
        let job = LinkJob {
            objects: vec![emitted.object],
            output: self.image(),
            name: name.clone(),
            julia: self.context.julia.clone(),
            linker: linker(&self.driving)?,
            strip: self.build.settings.strip || self.driving.strip,
            exports: Vec::new(),
            environment: self.context.environment.clone(),
            work_dir: self.context.work.path("link"),
            log: self.context.work.log("link"),
            timeout: self.context.timeout,
        };
        let task = self.context.reporter.start(Step::Link, &name);
        let linked = link::link(&job, &self.context.children, &task).await?;
        let size = std::fs::metadata(self.image()).map_or(0, |file| file.len());
        task.done(format!(
            "{} MB by {}",
            size / 1_000_000,
            linked.linker_version
        ));
        self.context.work.record("link", &linked)?;
        self.took(Step::Link, started);
        Ok(linked)
    }

    /// Loads the image and runs the workloads on it, and counts what it still compiles.
    pub(crate) async fn check(&mut self, image: &Path) -> Result<CheckRecord, Failure> {
        let started = Instant::now();
        let workloads = self.workloads();
        let packages = &self.planned.plan.packages;
        let mut record = check::check(&self.context, image, packages, &workloads).await?;
        record.residuals = check::residuals(&self.context, image, &workloads).await?;
        self.took(Step::Check, started);
        Ok(record)
    }

    /// Records a check of the build's own image, so that it can be packed.
    pub(crate) fn record_check(&self, record: &CheckRecord) -> Result<(), Failure> {
        let record = Checked {
            check: record.clone(),
            timings: self.timings.clone(),
        };
        Ok(self.context.work.record("check", &record)?)
    }

    /// Begins to pack the image; see [`Packing`].
    pub(crate) fn start_packing(&self, dist: &Path) -> Result<Packing, Failure> {
        let Build { id, archive, .. } = self.build;
        let threads = usize::try_from(self.context.julia.cpu_threads).unwrap_or(1);
        let reporter = &self.session.reporter;
        Ok(Packing::start(
            &self.image(),
            id,
            *archive,
            dist,
            threads,
            reporter,
        )?)
    }

    /// Ends the packing with the receipt of what was recorded.
    pub(crate) async fn finish_packing(
        &self,
        packing: Packing,
    ) -> Result<(Packed, Receipt), Failure> {
        let work = &self.context.work;
        let emitted: Emitted = work.recorded("emit")?;
        let linked: Linked = work.recorded("link")?;
        let Checked { check, timings } = work.recorded("check")?;
        let plan = &self.planned.plan;
        let inputs_digest = self.planned.inputs_digest(self.build)?;
        let targets = targets::held(&self.image(), &self.build.cpu.target);
        let describe = move |image: FileRecord| Receipt {
            schema: SCHEMA.to_owned(),
            build_id: self.build.id.clone(),
            name: plan.name.clone(),
            project_version: plan.project_version.clone(),
            julia: self.context.julia.build(),
            julia_origin: self.origin.clone(),
            image,
            targets: Targets {
                tier: self.build.cpu.tier.clone(),
                requested: self.build.cpu.target.clone(),
                held: targets,
            },
            packages: plan.closure.clone(),
            statements: emitted.statements,
            check,
            link: LinkRecord {
                strategy: linked.strategy.to_string(),
                linker: linked.linker_version,
            },
            timings,
            tool: ToolRecord {
                name: "sysforge".to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                recipe: sysforge_build::RECIPE,
            },
            inputs_digest,
        };
        Ok(packing.finish(describe).await?)
    }

    /// Every step, in order.
    pub(crate) async fn run(&mut self, dist: &Path) -> Result<(Packed, Receipt), Failure> {
        self.trace().await?;
        self.emit().await?;
        self.link().await?;
        // Compressing takes seconds and the check leaves a CPU free: both at once. A failed check
        // drops the packing, and with it what was written.
        let packing = self.start_packing(dist)?;
        let record = self.check(&self.image()).await?;
        self.record_check(&record)?;
        self.finish_packing(packing).await
    }
}

/// Which linker the user asked for.
pub(crate) fn linker(driving: &Driving) -> Result<LinkerChoice, CliError> {
    let host = Session::host().map_or(Os::Linux, Triplet::os);
    Ok(match &driving.cc {
        // Named for this one call, it comes before what JULIA_CC says.
        _ if !driving.linker.is_empty() => LinkerChoice::Only(driving.linker.clone()),
        Some(words) => LinkerChoice::parse(words, host)?,
        None => LinkerChoice::Auto,
    })
}

/// What the check leaves for packing.
#[derive(serde::Serialize, serde::Deserialize)]
struct Checked {
    check: CheckRecord,
    timings: Vec<Timing>,
}

impl Forge<'_> {
    /// What running the workloads on the image still compiles.
    pub(crate) async fn residuals(&mut self, image: &Path) -> Result<Vec<String>, Failure> {
        Ok(check::residuals(&self.context, image, &self.workloads()).await?)
    }
}
