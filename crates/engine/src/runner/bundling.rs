//! Apps: the bundle that runs without an installed Julia, made from the checked image, then tested
//! and archived.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use sysforge_build::emit::Emitted;
use sysforge_build::trace::TraceError;
use sysforge_build::{Script, scan};
use sysforge_bundle::assemble::{Assembled, is_supported};
use sysforge_bundle::check::Surroundings;
use sysforge_bundle::launcher::Described;
use sysforge_bundle::layout::{Layout, require_packed};
use sysforge_bundle::libraries::{Compiler, artifacts_of};
use sysforge_bundle::observe::{self, Planned as PlannedApp};
use sysforge_bundle::sign::{CODESIGN, sign_ad_hoc};
use sysforge_bundle::{BundleError, Sources, assemble, check};
use sysforge_files::unless_gone;
use sysforge_pack::{Content, Packed, Packing};
use sysforge_plan::app::{BundleRecord, SUFFIX};
use sysforge_plan::library::FOLDERS;
use sysforge_plan::plan::Build;
use sysforge_plan::receipt::{FileRecord, Timing};
use sysforge_plan::text::{ImageName, TreeHash, counted, shortened};
use sysforge_plan::{BuildId, Os, PathError, Receipt, Step};

use super::BuildRunner;
use crate::error::EngineError;
use crate::failure::Failure;

/// Writes the scripts that run the apps.
pub(super) fn scripts(apps: &[PlannedApp], folder: &Path) -> Result<Vec<Script>, BundleError> {
    match apps.is_empty() {
        true => Ok(Vec::new()),
        false => observe::scripts(apps, folder),
    }
}

impl BuildRunner<'_> {
    /// Converts the error of workloads that could not be traced: names the app if one of its runs
    /// failed.
    pub(super) fn trace_failure(&self, error: TraceError) -> Failure {
        let TraceError::Workload { workload, source } = error else {
            return error.into();
        };
        let path = self.context.project.join(&workload);
        let runs = self.apps.iter();
        let runs = runs.flat_map(|planned| planned.runs.iter().map(move |run| (planned, run)));
        let of_script = self.app_scripts.iter().zip(runs);
        match of_script
            .into_iter()
            .find(|(script, _)| script.path == path)
        {
            None => TraceError::Workload { workload, source }.into(),
            Some((_, (planned, run))) => BundleError::Traced {
                command: observe::command(&planned.app.name, run),
                source: Box::new(source),
            }
            .into(),
        }
    }

    /// Returns the identifier of the archive with the apps, if there are any.
    fn app_id(&self) -> Result<Option<(ImageName, BuildId)>, Failure> {
        if self.build.apps.is_empty() {
            return Ok(None);
        }
        let name = &self.planned.plan.name;
        let id = self.build.app_id(name).map_err(EngineError::Name)?;
        let name = ImageName::new(format!("{name}{SUFFIX}")).map_err(EngineError::Name)?;
        Ok(Some((name, id)))
    }

    /// Creates the archive of the apps, if there are any, from the image with this receipt.
    ///
    /// # Errors
    ///
    /// If something that an app needs is missing, or an app does not run.
    pub(super) async fn bundle(
        &self,
        dist: &Path,
        image: &Receipt,
    ) -> Result<Option<(Packed, Receipt)>, Failure> {
        let Some((name, id)) = self.app_id()? else {
            return Ok(None);
        };
        let triplet = self.build.triplet;
        if !is_supported(triplet.os()) {
            return Err(EngineError::AppPlatform(triplet).into());
        }
        let started = Instant::now();
        let compiler = self.compiler(image)?;
        let task = self.engine.reporter.start(Step::Bundle, id.to_string());
        let image_name = format!("{id}.{}", triplet.os().conventions().library_extension);
        let linked = self.image();
        let observed =
            observe::observe(&self.context, &linked, &self.apps, &self.app_scripts, &task).await?;
        let artifacts = self.artifacts(&observed.libraries)?;
        let names = image.packages.iter();
        let names: Vec<_> = names.map(|p| (p.name.clone(), p.uuid.clone())).collect();
        let described: Vec<Described> = self
            .apps
            .iter()
            .map(|planned| planned.app.clone())
            .collect();
        let bundle = &self.options.link.bundle;
        let folder = self.context.work.path("bundle");
        let coming = self.context.work.path("bundle.new");
        remove(&coming)?;
        let mut assembled = assemble(
            &Sources {
                julia: &self.context.julia,
                image: &linked,
                image_name: &image_name,
                apps: &described,
                artifacts: &artifacts,
                opened: &observed.libraries,
                packages: &observed.packages,
                names: &names,
                preferences: bundle.preferences.then_some(self.context.project.as_path()),
                library: None,
                compiler,
            },
            &coming,
        )?;
        self.sign(&coming, &mut assembled, &task).await?;
        remove(&folder)?;
        sysforge_files::rename(&coming, &folder).map_err(io("rename", &coming))?;
        let mut record = self.checked(&folder, assembled, &task).await?;
        let runs = record.apps.iter_mut().flat_map(|app| &mut app.runs);
        for (run, memory) in runs.zip(&observed.memory) {
            run.peak_memory = Some(*memory);
        }
        let megabytes = record.files.iter().map(|file| file.size).sum::<u64>() / 1_000_000;
        task.done(format!(
            "{} MB, {}{}",
            megabytes,
            counted(record.files.len(), "file"),
            match record.isolated {
                true => ", run where there is no Julia",
                false => "",
            }
        ));
        let timing = Timing {
            step: Step::Bundle,
            seconds: started.elapsed().as_secs_f64(),
            peak_memory: None,
        };
        self.pack_bundle(
            dist,
            &folder,
            &Layout::image(&image_name),
            (name, id),
            image,
            record,
            timing,
        )
        .await
        .map(Some)
    }

    /// Returns whether bundles contain the compiler. It is only left out of bundles that do not
    /// need it: nothing was left to compile when the image with this receipt was checked.
    pub(super) fn compiler(&self, image: &Receipt) -> Result<Compiler, BundleError> {
        if !self.options.link.bundle.without_compiler {
            return Ok(Compiler::Included);
        }
        let residuals = &image.check.residuals;
        match residuals.first() {
            None => Ok(Compiler::LeftOut),
            Some(first) => Err(BundleError::LeftToCompile {
                count: residuals.len(),
                first: shortened(first, 200),
            }),
        }
    }

    /// Signs the programs and libraries of a bundle: on macOS always, and with the command that the
    /// caller named, if any. Nothing changes the files afterwards; the check runs the signed files.
    pub(super) async fn sign(
        &self,
        folder: &Path,
        assembled: &mut Assembled,
        task: &sysforge_plan::Task,
    ) -> Result<(), BundleError> {
        let (children, environment) = (&self.context.children, &self.context.environment);
        let files = &mut assembled.files;
        if self.build.triplet.os() == Os::MacOs {
            let log = self.context.work.log("codesign");
            let codesign = Path::new(CODESIGN);
            sign_ad_hoc(codesign, folder, files, environment, log, children, task).await?;
        }
        if let Some(signing) = &self.signing {
            let log = self.context.work.log("sign");
            let project = &self.context.project;
            signing
                .run(folder, files, project, log, children, task)
                .await?;
        }
        Ok(())
    }

    /// Returns the artifacts that bundles include, each with its folder: those that the packages'
    /// own `Artifacts.toml` files name, those that the image names, and those of the libraries that
    /// were `opened`. The packages in a base image need not have such files on this machine.
    pub(super) fn artifacts(
        &self,
        opened: &[PathBuf],
    ) -> Result<Vec<(TreeHash, PathBuf)>, Failure> {
        let emitted: Emitted = self.context.work.recorded("emit")?;
        let own = emitted.artifacts.into_iter();
        let own = own.map(|found| (found.artifact.tree, found.folder));
        let mut depots = emitted.depots;
        // An image of Sysforge's that was unpacked has its artifacts beside it.
        let base = self.context.base.as_deref().and_then(Path::parent);
        depots.extend(base.map(Path::to_owned));
        let image = self.image();
        let named = scan::artifacts(&image, &depots).map_err(io("read", &image))?;
        let mut found = BTreeMap::new();
        for (tree, folder) in own.chain(named).chain(artifacts_of(opened)) {
            found.entry(tree).or_insert(folder);
        }
        found.retain(|tree, _| self.travels(tree));
        Ok(found.into_iter().collect())
    }

    /// Runs the apps from the packed and unpacked bundle.
    async fn checked(
        &self,
        folder: &Path,
        assembled: Assembled,
        task: &sysforge_plan::Task,
    ) -> Result<BundleRecord, Failure> {
        let logs = self.context.work.path("logs");
        let Assembled {
            files,
            system,
            oldest_system,
        } = assembled;
        let surroundings = Surroundings {
            os: self.build.triplet.os(),
            system: &system,
            project: &self.context.project,
            environment: &self.context.environment,
            children: &self.context.children,
            logs: &logs,
        };
        let checked = check(folder, &self.apps, &surroundings, task).await?;
        if !checked.isolated && self.build.triplet.os() == Os::Linux {
            self.engine.reporter.warn(
                "the apps were run with an empty environment, but not without the rest of this \
                 system: it does not let `unshare` create namespaces",
                Some("allow user namespaces, or run `sysforge build` as root".to_owned()),
            );
        }
        for app in &checked.apps {
            let compiled: usize = app.runs.iter().map(|run| run.residuals.len()).sum();
            if compiled > 0 {
                self.engine.reporter.note(format!(
                    "the runs of the app {} still compile {}; the receipt lists them",
                    app.name,
                    counted(compiled, "statement")
                ));
            }
        }
        Ok(BundleRecord {
            apps: checked.apps,
            files,
            library: None,
            isolated: checked.isolated,
            system: system.into_iter().collect(),
            oldest_system,
        })
    }

    #[expect(clippy::too_many_arguments, reason = "each is a part of one archive")]
    pub(super) async fn pack_bundle(
        &self,
        dist: &Path,
        folder: &Path,
        image_path: &str,
        (name, id): (ImageName, BuildId),
        image: &Receipt,
        record: BundleRecord,
        timing: Timing,
    ) -> Result<(Packed, Receipt), Failure> {
        require_packed(&record.files)?;
        let image_path = image_path.to_owned();
        let trees = FOLDERS
            .iter()
            .map(|name| ((*name).to_owned(), folder.join(name)));
        let content = Content {
            image: folder.join(&image_path),
            image_path,
            trees: trees.filter(|(_, folder)| folder.is_dir()).collect(),
        };
        let threads = usize::try_from(self.context.julia.cpu_threads).unwrap_or(1);
        let packing = Packing::start(
            content,
            &id,
            self.build.archive,
            dist,
            threads,
            &self.engine.reporter,
        )?;
        let describe = |file: FileRecord| {
            let mut receipt = image.clone();
            receipt.build_id = id.clone();
            receipt.name = name;
            receipt.image = file;
            receipt.manifest = None;
            receipt.timings.push(timing);
            receipt.bundle = Some(record);
            receipt
        };
        Ok(packing.finish(describe).await?)
    }
}

/// Returns the result of an earlier build in `dist`: all of its archives or, without the project's
/// `name`, that of the image. `None` if one of them is missing or was made from other inputs.
pub fn existing(
    dist: &Path,
    name: Option<&ImageName>,
    build: &Build,
    inputs: sysforge_plan::Sha256,
) -> Option<Vec<(Packed, Receipt)>> {
    let ids = match name {
        Some(name) => build.archives(name).ok()?,
        None => vec![build.id.clone()],
    };
    ids.iter()
        .map(|id| sysforge_pack::existing(dist, id, build.archive, inputs))
        .collect()
}

pub(super) fn remove(folder: &Path) -> Result<(), BundleError> {
    unless_gone(std::fs::remove_dir_all(folder)).map_err(io("remove", folder))
}

pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> BundleError {
    PathError::wrap(action, path, BundleError::Io)
}
