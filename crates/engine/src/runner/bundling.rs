//! Apps: the bundle that runs without an installed Julia, made from the checked image, then tested
//! and archived.

use std::path::{Path, PathBuf};
use std::time::Instant;

use sysforge_build::Script;
use sysforge_build::emit::Emitted;
use sysforge_build::trace::TraceError;
use sysforge_bundle::assemble::{Assembled, is_supported};
use sysforge_bundle::check::Surroundings;
use sysforge_bundle::launcher::Described;
use sysforge_bundle::layout::Layout;
use sysforge_bundle::observe::{self, Planned as PlannedApp};
use sysforge_bundle::{BundleError, Sources, assemble, check};
use sysforge_files::unless_gone;
use sysforge_pack::{Content, Packed, Packing};
use sysforge_plan::app::{BundleRecord, SUFFIX};
use sysforge_plan::library::FOLDERS;
use sysforge_plan::plan::Build;
use sysforge_plan::receipt::{FileRecord, Timing};
use sysforge_plan::text::{ImageName, TreeHash, counted};
use sysforge_plan::{BuildId, PathError, Receipt, Step};

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

    /// Creates the archives of the apps and of the C library, if there are any, from the image with
    /// this receipt.
    ///
    /// # Errors
    ///
    /// If something that they need is missing, or one of them does not run.
    pub async fn bundles(
        &mut self,
        dist: &Path,
        image: &Receipt,
    ) -> Result<Vec<(Packed, Receipt)>, Failure> {
        let mut made = Vec::new();
        made.extend(self.bundle(dist, image).await?);
        made.extend(self.library(dist, image).await?);
        Ok(made)
    }

    /// Creates the archive of the apps, if there are any, from the image with this receipt.
    ///
    /// # Errors
    ///
    /// If something that an app needs is missing, or an app does not run.
    async fn bundle(
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
        let task = self.engine.reporter.start(Step::Bundle, id.to_string());
        let image_name = format!("{id}.{}", triplet.os().conventions().library_extension);
        let linked = self.image();
        let observed =
            observe::observe(&self.context, &linked, &self.apps, &self.app_scripts, &task).await?;
        let artifacts = self.artifacts()?;
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
        let assembled = assemble(
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
            },
            &coming,
        )?;
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

    /// Returns the artifacts that bundles include, each with its folder.
    pub(super) fn artifacts(&self) -> Result<Vec<(TreeHash, PathBuf)>, Failure> {
        let emitted: Emitted = self.context.work.recorded("emit")?;
        let artifacts = emitted.artifacts.into_iter();
        let artifacts = artifacts.filter(|found| self.travels(&found.artifact.tree));
        Ok(artifacts
            .map(|found| (found.artifact.tree, found.folder))
            .collect())
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
        if !checked.isolated && self.build.triplet.os() == sysforge_plan::Os::Linux {
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
        let packing = Packing::start_with(
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

/// Returns the result of an earlier build in `dist`: the image and, with the project's `name`, the
/// apps and the library if there are any. `None` if one of them is missing or was made from other
/// inputs.
#[must_use]
pub fn existing(
    dist: &Path,
    name: Option<&ImageName>,
    build: &Build,
    inputs: sysforge_plan::Sha256,
) -> Option<Vec<(Packed, Receipt)>> {
    let find = |id: &BuildId| sysforge_pack::existing(dist, id, build.archive, inputs);
    let mut found = vec![find(&build.id)?];
    if let Some(name) = name.filter(|_| !build.apps.is_empty()) {
        found.push(find(&build.app_id(name).ok()?)?);
    }
    if let Some(name) = name.filter(|_| build.library.is_some()) {
        found.push(find(&build.library_id(name).ok()?)?);
    }
    Some(found)
}

pub(super) fn remove(folder: &Path) -> Result<(), BundleError> {
    unless_gone(std::fs::remove_dir_all(folder)).map_err(io("remove", folder))
}

pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> BundleError {
    PathError::wrap(action, path, BundleError::Io)
}
