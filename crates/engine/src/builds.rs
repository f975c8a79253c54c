//! Building all planned images of this machine's platform that are not up to date.

use std::path::PathBuf;
use std::time::Instant;

use serde::Serialize;
use sysforge_pack::Packed;
use sysforge_plan::plan::Build;
use sysforge_plan::{BuildId, Receipt, Reporter, Sha256};
use sysforge_report::built;

use crate::engine::Engine;
use crate::failure::Failure;
use crate::julias;
use crate::options::BuildOptions;
use crate::paths::require_writable_folder;
use crate::planning::Planned;
use crate::runner::{BuildRunner, Repeat, existing};
use crate::start;

/// How the planned images are built.
#[derive(Debug)]
pub struct Builds {
    /// The options of all builds.
    pub options: BuildOptions,
    /// Where archives, receipts and checksums go.
    pub dist: PathBuf,
    /// Whether images that are up to date are built again.
    pub force: bool,
    /// Whether each step explains why it runs again.
    pub explain: bool,
    /// What the images are built for.
    pub purpose: Purpose,
}

/// What the images are built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// For their archives, which are for other machines.
    Archives,
    /// For use on this machine: the image must be in the build directory, and apps are not needed.
    Use,
}

/// The archive of an image or of apps.
#[derive(Debug, Serialize)]
pub struct Built {
    /// The archive.
    pub archive: PathBuf,
    /// Its size, in bytes.
    pub size: u64,
    /// Its digest.
    pub sha256: Sha256,
    /// The file with the receipt.
    pub receipt_file: PathBuf,
    /// The receipt.
    pub receipt: Receipt,
    /// The command that starts Julia with the image; empty if only the archive still exists.
    pub command: String,
    /// The Julia that it was built with.
    #[serde(skip)]
    pub julia: Option<PathBuf>,
    /// Whether it was up to date.
    pub reused: bool,
    /// Wall time of the whole build, in seconds.
    pub wall_s: f64,
    /// The part of the wall time in which no child process ran, in seconds.
    pub own_s: f64,
}

/// The progress of the builds.
#[derive(Debug)]
pub enum Stage<'a> {
    /// This build is next: it is being planned, or begins.
    Next(&'a BuildId),
    /// No input of the image has changed.
    UpToDate(&'a BuildId),
    /// The steps of this build begin.
    Started(&'a BuildId),
    /// The steps of this build are done.
    Done(&'a BuildId),
    /// An archive of an image or of apps was built; the text describes it in one line.
    Built(String),
    /// An archive is in the dist directory. `true` if it was up to date.
    Available(&'a Packed, &'a Receipt, bool),
}

/// A build before its first step.
enum Ready<'a> {
    /// It is up to date.
    UpToDate(Vec<(Packed, Receipt)>),
    /// Its Julia is available, and its folder is locked.
    Open(Box<BuildRunner<'a>>),
}

impl Builds {
    /// Replaces each planned build that would be made for other machines, too, by one for this machine's
    /// CPU alone, unless its image is up to date. Images for several CPU targets take more than twice the
    /// time, which gains nothing here.
    ///
    /// # Errors
    ///
    /// If the options cannot be used, or an input cannot be read.
    pub fn choose_for_this_machine(
        &self,
        planned: &mut Planned,
        engine: &Engine,
    ) -> Result<(), Failure> {
        for index in 0..planned.plan.builds.len() {
            let build = &planned.plan.builds[index];
            let Some(own) = planned.files.inputs.for_this_machine(build) else {
                continue;
            };
            let current = |build| self.current(build, planned, engine);
            if self.force || current(&own)?.is_some() || current(build)?.is_none() {
                planned.plan.builds[index] = own;
            }
        }
        Ok(())
    }

    /// Builds the planned images that are not up to date. `observe` is called at each stage.
    ///
    /// # Errors
    ///
    /// If a build fails; the results of earlier builds are kept.
    pub async fn make(
        &self,
        planned: &Planned,
        engine: &Engine,
        observe: &(dyn Fn(Stage<'_>) + Sync),
    ) -> Result<Vec<Built>, Failure> {
        require_writable_folder(&self.dist)?;
        // Get the Julia of each build and query it about the CPU target before the first build
        // begins, so that failures show at once and not after the minutes that another build takes.
        let mut ready = Vec::new();
        for build in &planned.plan.builds {
            observe(Stage::Next(&build.id));
            let started = Instant::now();
            let state = self.open(build, planned, engine).await?;
            ready.push((build, state, started.elapsed()));
        }
        let mut results = Vec::new();
        for (build, state, opening) in ready {
            observe(Stage::Next(&build.id));
            let started = Instant::now();
            let children_before = engine.children.time();
            let reused = matches!(state, Ready::UpToDate(_));
            let archives = match state {
                Ready::UpToDate(archives) => {
                    observe(Stage::UpToDate(&build.id));
                    archives
                }
                Ready::Open(mut runner) => {
                    observe(Stage::Started(&build.id));
                    runner.explain = self.explain;
                    runner.instantiate(Repeat::IfNeeded).await?;
                    runner.make_image(self.force).await?;
                    let dist = self.dist_of(build, planned, engine);
                    let archives = match self.purpose {
                        Purpose::Archives => runner.archives(&dist).await?,
                        Purpose::Use => vec![runner.pack(&dist).await?],
                    };
                    observe(Stage::Done(&build.id));
                    for (packed, receipt) in &archives {
                        report_receipt(receipt, &engine.reporter);
                        let wall = opening + started.elapsed();
                        observe(Stage::Built(built::headline(receipt, packed.size, wall)));
                    }
                    archives
                }
            };
            let wall = started.elapsed();
            let own = wall.saturating_sub(engine.children.time() - children_before);
            let has_image = start::image_file(engine, planned, build).is_file();
            let julia = start::julia_of(engine, planned, build).ok();
            for (packed, receipt) in archives {
                observe(Stage::Available(&packed, &receipt, reused));
                let startable = has_image && receipt.bundle.is_none();
                let start = startable.then(|| start::start(engine, planned, build, &receipt).ok());
                results.push(Built {
                    archive: packed.archive,
                    size: packed.size,
                    sha256: packed.sha256,
                    receipt_file: packed.receipt,
                    command: start.flatten().map(|s| s.line()).unwrap_or_default(),
                    receipt,
                    julia: julia.clone(),
                    reused,
                    wall_s: wall.as_secs_f64(),
                    own_s: own.as_secs_f64(),
                });
            }
        }
        Ok(results)
    }

    /// Returns the folder of a build's archives. An image that is used here and not published is
    /// packed in the build directory.
    fn dist_of(&self, build: &Build, planned: &Planned, engine: &Engine) -> PathBuf {
        let is_published = build.image && !planned.files.inputs.is_for_this_machine(build);
        match self.purpose == Purpose::Use && !is_published {
            true => planned.folder_of(engine, build).join("dist"),
            false => self.dist.clone(),
        }
    }

    /// Returns whether a build is up to date; if not, locks its folder.
    async fn open<'a>(
        &self,
        build: &'a Build,
        planned: &'a Planned,
        engine: &'a Engine,
    ) -> Result<Ready<'a>, Failure> {
        Ok(match self.current(build, planned, engine)? {
            Some(current) if !self.force => Ready::UpToDate(current),
            _ => {
                planned.require_programs(engine, build, &self.options.image)?;
                let runner = BuildRunner::probed(engine, planned, build, &self.options).await?;
                Ready::Open(Box::new(runner))
            }
        })
    }

    /// Returns the results of an earlier build, if none of its inputs has changed.
    fn current(
        &self,
        build: &Build,
        planned: &Planned,
        engine: &Engine,
    ) -> Result<Option<Vec<(Packed, Receipt)>>, Failure> {
        planned.check_options(engine, build, &self.options)?;
        let inputs = planned.fingerprint(engine, build, &self.options)?.digest();
        let name = match self.purpose {
            Purpose::Archives => Some(&planned.plan.name),
            Purpose::Use => None,
        };
        let outside_changed = planned.outside_changed(engine, build);
        let dist = self.dist_of(build, planned, engine);
        let unchanged = BuildRunner::unchanged_archive(&planned.folder_of(engine, build));
        let found = existing(&dist, name, build, inputs, unchanged.as_ref());
        Ok(found.filter(|known| {
            let image = start::image_file(engine, planned, build);
            let size = || std::fs::metadata(image).map(|image| image.len());
            let is_here = self.purpose == Purpose::Archives
                || size().is_ok_and(|size| known.iter().any(|(_, r)| r.image.size == size));
            let mut receipts = known.iter().map(|(_, receipt)| receipt);
            !outside_changed
                && is_here
                && !receipts.any(|receipt| planned.contains_old_path(engine, build, receipt))
        }))
    }
}

/// Reports what a user should know about a built image.
fn report_receipt(receipt: &Receipt, reporter: &Reporter) {
    for warning in built::warnings(receipt) {
        reporter.warn(warning.text, warning.hint.map(str::to_owned));
    }
    if let Some(note) = built::artifacts(receipt) {
        reporter.note(note);
    }
}

/// Returns the outputs of a CI step for the built archives: one value per line.
pub fn outputs(results: &[Built]) -> Vec<(&'static str, String)> {
    let lines = |of: fn(&Built) -> String| {
        let all: Vec<_> = results.iter().map(of).collect();
        all.join("\n")
    };
    let hit = !results.is_empty() && results.iter().all(|built| built.reused);
    let mut outputs = vec![
        ("build", lines(|built| built.receipt.build_id.to_string())),
        ("image", lines(|built| built.archive.display().to_string())),
        (
            "receipt",
            lines(|built| built.receipt_file.display().to_string()),
        ),
        ("sha256", lines(|built| built.sha256.to_string())),
        ("cache-hit", hit.to_string()),
    ];
    outputs.extend(julias::outputs(results.iter().filter_map(|built| {
        let version = built.receipt.julia.version.to_string();
        Some((version, built.julia.clone()?))
    })));
    outputs
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use sysforge_plan::plan::PlannedJulia;
    use sysforge_plan::{JuliaBuild, JuliaVersion, Triplet};

    use super::*;
    use crate::shared_tests::write_package;
    use crate::{Environment, Location};

    const TRIPLET: Triplet = Triplet::X86_64_LINUX_GNU;

    fn builds(project: &Path) -> Builds {
        Builds {
            options: BuildOptions::default(),
            dist: project.join("dist"),
            force: false,
            explain: false,
            purpose: Purpose::Use,
        }
    }

    fn engine(project: &Path) -> Engine {
        let location = Location::in_folder(project);
        Engine::new(None, location, Environment::default())
    }

    /// Plans an image of the project for a Julia that keeps several CPU targets.
    fn plan(project: &Path) -> Planned {
        let files = engine(project).location.read(&[], TRIPLET).unwrap();
        let julia = PlannedJulia::Given {
            executable: "/opt/julia".into(),
            build: JuliaBuild {
                version: JuliaVersion::new(1, 12, 5),
                commit: String::new(),
                triplet: TRIPLET,
            },
        };
        let plan = files.inputs.plan(vec![julia]).unwrap();
        Planned::without_nightlies(files, plan)
    }

    /// Returns the CPU target of the build that `run` would use.
    fn chosen(project: &Path) -> String {
        let mut planned = plan(project);
        let engine = engine(project);
        builds(project)
            .choose_for_this_machine(&mut planned, &engine)
            .unwrap();
        planned.plan.builds.remove(0).cpu.target
    }

    /// Writes what a build of the present project leaves.
    fn pretend(project: &Path, build: &Build) {
        let (engine, planned) = (engine(project), plan(project));
        let builds = builds(project);
        let scratch = tempfile::tempdir().unwrap();
        let mut receipt =
            sysforge_testkit::github::make_build(scratch.path(), "x86_64-linux-gnu", b"x");
        let fingerprint = planned
            .fingerprint(&engine, build, &builds.options)
            .unwrap();
        receipt.inputs_digest = fingerprint.digest();
        receipt.name = planned.plan.name.clone();
        receipt.julia.version = build.julia.version().clone();
        receipt.targets.tier.clone_from(&build.cpu.tier);
        receipt.build_id = build.id.clone();
        let image = start::image_file(&engine, &planned, build);
        std::fs::create_dir_all(image.parent().unwrap()).unwrap();
        std::fs::write(image, b"x").unwrap();
        let dist = builds.dist_of(build, &planned, &engine);
        std::fs::create_dir_all(&dist).unwrap();
        let archive = format!("{}.{}", build.id, build.archive.extension());
        let files = [
            (archive, "an archive".to_owned()),
            (format!("{}.receipt.json", build.id), receipt.to_json()),
        ];
        let files = files.map(|(name, text)| {
            std::fs::write(dist.join(&name), &text).unwrap();
            (name, Sha256::of(text))
        });
        sysforge_pack::sums::update(&dist, &files).unwrap();
    }

    #[test]
    fn an_image_that_is_up_to_date_is_used_and_another_is_made_for_this_cpu_alone() {
        let folder = tempfile::tempdir().unwrap();
        let project = folder.path();
        write_package(project);
        let planned = plan(project);
        let portable = &planned.plan.builds[0];
        let own = planned.files.inputs.for_this_machine(portable).unwrap();
        assert_eq!(chosen(project), "native");
        pretend(project, portable);
        assert_eq!(chosen(project), portable.cpu.target);
        // Both are up to date.
        pretend(project, &own);
        assert_eq!(chosen(project), "native");
        // The archive of an image for this machine is not among those that are published.
        let published = std::fs::read_dir(project.join("dist")).unwrap();
        let published = published.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        assert!(published.into_iter().all(|name| !name.contains("native")));
        std::fs::write(project.join("src/X.jl"), "module X x = 1 end").unwrap();
        assert_eq!(chosen(project), "native");
        // The configuration decides.
        std::fs::write(project.join("Sysimage.toml"), "cpu = \"portable\"\n").unwrap();
        assert_eq!(chosen(project), portable.cpu.target);
    }
}
