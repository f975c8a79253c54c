//! Apps: the bundle that runs without an installed Julia, made from the checked image, then tested
//! and archived.

use std::collections::{BTreeMap, BTreeSet};
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
use sysforge_pack::{Content, Packed};
use sysforge_plan::app::{BundleRecord, SUFFIX};
use sysforge_plan::library::FOLDERS;
use sysforge_plan::plan::Build;
use sysforge_plan::receipt::{FileRecord, Timing};
use sysforge_plan::text::{ImageName, TreeHash, counted, shortened};
use sysforge_plan::{BuildId, Os, PathError, Receipt, Step, Task};

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
        let names = names_of(image);
        let apps = self.apps.iter();
        let described: Vec<Described> = apps.map(|planned| planned.app.clone()).collect();
        let sources = Sources {
            julia: &self.context.julia,
            image: &linked,
            image_name: &image_name,
            apps: &described,
            artifacts: &artifacts,
            opened: &observed.libraries,
            packages: &observed.packages,
            names: &names,
            preferences: self.preferences_of_bundles(),
            library: None,
            compiler,
        };
        let (folder, assembled) = self.assemble("bundle", &sources, &task).await?;
        let mut record = self.checked(&folder, assembled, &task).await?;
        let runs = record.apps.iter_mut().flat_map(|app| &mut app.runs);
        for (run, memory) in runs.zip(&observed.memory) {
            run.peak_memory = Some(*memory);
        }
        task.done(format!(
            "{}{}",
            size_of(&record),
            match record.isolated {
                true => ", run where there is no Julia",
                false => "",
            }
        ));
        let bundle = Bundle {
            id,
            name,
            folder,
            image_path: Layout::image(&image_name),
            record,
            started,
        };
        self.pack_bundle(dist, bundle, image).await.map(Some)
    }

    /// Assembles and signs a bundle in the folder `name` of the build, and returns the folder.
    pub(super) async fn assemble(
        &self,
        name: &str,
        sources: &Sources<'_>,
        task: &Task,
    ) -> Result<(PathBuf, Assembled), BundleError> {
        let folder = self.context.work.path(name);
        let incomplete = self.context.work.path(format!("{name}.new"));
        remove(&incomplete)?;
        let mut assembled = assemble(sources, &incomplete)?;
        self.sign(&incomplete, &mut assembled, task).await?;
        remove(&folder)?;
        sysforge_files::rename(&incomplete, &folder).map_err(io("rename", &incomplete))?;
        Ok((folder, assembled))
    }

    /// Returns the project whose preferences bundles include, if they do.
    pub(super) fn preferences_of_bundles(&self) -> Option<&Path> {
        let included = self.options.link.bundle.preferences;
        included.then_some(self.context.project.as_path())
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
    async fn sign(
        &self,
        folder: &Path,
        assembled: &mut Assembled,
        task: &Task,
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
        let named = match self.named_artifacts.get() {
            Some(known) => known.clone(),
            None => {
                // The apps and the library are made from the same image, which is searched once.
                let image = self.image();
                let named = scan::artifacts(&image, &depots).map_err(io("read", &image))?;
                self.named_artifacts.get_or_init(|| named).clone()
            }
        };
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
        task: &Task,
    ) -> Result<BundleRecord, Failure> {
        let logs = self.context.work.path("logs");
        let Assembled {
            files,
            system,
            oldest_system,
        } = assembled;
        let surroundings = self.surroundings(&system, &logs);
        let checked = check(folder, &self.apps, &surroundings, task).await?;
        if !checked.isolated {
            self.warn_not_isolated("the apps were run");
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

    /// Returns what the check of a bundle needs.
    pub(super) fn surroundings<'s>(
        &'s self,
        system: &'s BTreeSet<String>,
        logs: &'s Path,
    ) -> Surroundings<'s> {
        Surroundings {
            os: self.build.triplet.os(),
            system,
            project: &self.context.project,
            environment: &self.context.environment,
            children: &self.context.children,
            logs,
        }
    }

    /// Warns that a bundle was checked where the rest of the system is visible. `used` says what was
    /// done. Only Linux can hide it.
    pub(super) fn warn_not_isolated(&self, used: &str) {
        if self.build.triplet.os() == Os::Linux {
            let text = format!(
                "{used} with an empty environment, but not without the rest of this system: it \
                 does not let `unshare` create namespaces"
            );
            let hint = "allow user namespaces, or run `sysforge build` as root";
            self.engine.reporter.warn(text, Some(hint.to_owned()));
        }
    }

    /// Packs a checked bundle, with a receipt that is derived from that of the image.
    pub(super) async fn pack_bundle(
        &self,
        dist: &Path,
        bundle: Bundle,
        image: &Receipt,
    ) -> Result<(Packed, Receipt), Failure> {
        require_packed(&bundle.record.files)?;
        let timing = Timing {
            step: Step::Bundle,
            seconds: bundle.started.elapsed().as_secs_f64(),
            peak_memory: None,
        };
        let folder = &bundle.folder;
        let trees = FOLDERS
            .iter()
            .map(|name| ((*name).to_owned(), folder.join(name)));
        let content = Content {
            image: folder.join(&bundle.image_path),
            image_path: bundle.image_path,
            trees: trees.filter(|(_, folder)| folder.is_dir()).collect(),
        };
        let packing = self.packing(content, &bundle.id, dist)?;
        let describe = |file: FileRecord| {
            let mut receipt = image.clone();
            receipt.build_id = bundle.id;
            receipt.name = bundle.name;
            receipt.image = file;
            receipt.manifest = None;
            receipt.timings.push(timing);
            receipt.bundle = Some(bundle.record);
            receipt
        };
        Ok(packing.finish(describe).await?)
    }
}

/// A checked bundle, ready to be packed.
pub(super) struct Bundle {
    pub(super) id: BuildId,
    pub(super) name: ImageName,
    pub(super) folder: PathBuf,
    /// The path of the image or the library in the folder.
    pub(super) image_path: String,
    pub(super) record: BundleRecord,
    /// When the step began.
    pub(super) started: Instant,
}

/// Returns the names and UUIDs of the packages in an image.
pub(super) fn names_of(image: &Receipt) -> Vec<(String, String)> {
    let packages = image.packages.iter();
    let names = packages.map(|package| (package.name.clone(), package.uuid.clone()));
    names.collect()
}

/// Formats the size of a bundle and the number of its files.
pub(super) fn size_of(record: &BundleRecord) -> String {
    let bytes: u64 = record.files.iter().map(|file| file.size).sum();
    let files = counted(record.files.len(), "file");
    format!("{} MB, {files}", bytes / 1_000_000)
}

/// Returns the result of an earlier build in `dist`: all of its archives or, without the project's
/// `name`, that of the image. `None` if one of them is missing or was made from other inputs. For
/// `unchanged` see [`sysforge_pack::existing()`].
pub fn existing(
    dist: &Path,
    name: Option<&ImageName>,
    build: &Build,
    inputs: sysforge_plan::Sha256,
    unchanged: Option<&Packed>,
) -> Option<Vec<(Packed, Receipt)>> {
    let ids = match name {
        Some(name) => build.archives(name).ok()?,
        None => vec![build.id.clone()],
    };
    ids.iter()
        .map(|id| sysforge_pack::existing(dist, id, build.archive, inputs, unchanged))
        .collect()
}

pub(super) fn remove(folder: &Path) -> Result<(), BundleError> {
    unless_gone(std::fs::remove_dir_all(folder)).map_err(io("remove", folder))
}

pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> BundleError {
    PathError::wrap(action, path, BundleError::Io)
}
