//! The C library: linked from the same object as the image, with initialization code and exported
//! names, and put into a folder that is checked with a C program.

use std::path::Path;
use std::time::Instant;

use sysforge_build::Script;
use sysforge_build::emit::Emitted;
use sysforge_build::link::LinkJob;
use sysforge_bundle::assemble::{Assembled, is_supported};
use sysforge_bundle::check::check_library;
use sysforge_bundle::library::write_init_object;
use sysforge_bundle::observe;
use sysforge_bundle::{Library, LibraryFiles, Sources};
use sysforge_pack::Packed;
use sysforge_plan::app::BundleRecord;
use sysforge_plan::library::{INIT, Interface, SHUTDOWN, SUFFIX};
use sysforge_plan::plan::{Build, PlanError};
use sysforge_plan::text::{ImageName, counted};
use sysforge_plan::{Config, Receipt, Step};

use super::BuildRunner;
use super::bundling::{Bundle, names_of, size_of};
use crate::error::EngineError;
use crate::failure::Failure;

/// The name under which the functions of the package are recorded.
const INTERFACE: &str = "interface";

/// Returns the library of a build, if it has one.
pub(super) fn planned(build: &Build, config: &Config) -> Result<Option<Library>, Failure> {
    let (Some(planned), Some(library)) = (&build.library, &config.library) else {
        return Ok(None);
    };
    let version = planned.version.parse().map_err(PlanError::from)?;
    Ok(Some(Library::new(
        library,
        &planned.package,
        &planned.uuid,
        version,
        build.triplet.os(),
    )))
}

impl BuildRunner<'_> {
    /// Asks Julia for the functions of the library, if there is one, unless nothing changed since
    /// the last time. Runs before any slow step.
    pub(super) async fn ask_for_interface(&mut self) -> Result<(), Failure> {
        let (Some(library), None) = (&self.library, &self.interface) else {
            return Ok(());
        };
        library.require_free_name(&self.context.julia)?;
        if !is_supported(self.build.triplet.os()) {
            return Err(EngineError::AppPlatform(self.build.triplet).into());
        }
        let fingerprint = self.fingerprints.trace();
        let work = &self.context.work;
        let interface = match work.fresh::<Interface>(INTERFACE, &fingerprint) {
            Ok(interface) => interface,
            Err(_) => {
                let title = format!("functions of {} for C", library.package);
                let task = self.context.reporter.start(Step::Probe, title);
                let interface = library.interface(&self.context, &task).await?;
                task.done(counted(interface.functions.len(), "function"));
                work.record(INTERFACE, &fingerprint, &[], &interface)?;
                interface
            }
        };
        let script = library.script(&interface, &work.path("library"))?;
        self.interface = Some((interface, script));
        Ok(())
    }

    /// Returns the recorded functions of the library, for packing only.
    fn recorded_interface(&self, library: &Library) -> Result<(Interface, Script), Failure> {
        if let Some(known) = &self.interface {
            return Ok(known.clone());
        }
        let interface: Interface = self.context.work.recorded(INTERFACE)?;
        let script = library.script(&interface, &self.context.work.path("library"))?;
        Ok((interface, script))
    }

    /// Creates the archive of the C library, if there is one, from the image with this receipt.
    pub(super) async fn library(
        &self,
        dist: &Path,
        image: &Receipt,
    ) -> Result<Option<(Packed, Receipt)>, Failure> {
        let Some(library) = &self.library else {
            return Ok(None);
        };
        let name = &self.planned.plan.name;
        let id = self.build.library_id(name).map_err(EngineError::Name)?;
        let name = ImageName::new(format!("{name}{SUFFIX}")).map_err(EngineError::Name)?;
        let started = Instant::now();
        let compiler = self.compiler(image)?;
        let (interface, script) = self.recorded_interface(library)?;
        let work = &self.context.work;
        let linking = work.path("library");
        let linked = self.link_library(library, &interface, &linking).await?;
        let task = self.engine.reporter.start(Step::Bundle, id.to_string());
        let scripts = self.planned.files.inputs.config.workloads.iter();
        let scripts = scripts.map(|workload| Script::of(workload, &self.context.project));
        let scripts: Vec<Script> = std::iter::once(script).chain(scripts).collect();
        let image_file = self.image();
        let mut observed =
            observe::observe_library(&self.context, &image_file, &scripts, &task).await?;
        // The library has the same content.
        observed.libraries.retain(|path| *path != image_file);
        let names = names_of(image);
        let import = self.library_link(library, &linking).import_library;
        let files = LibraryFiles {
            library,
            interface: &interface,
            project: &self.context.project,
            import_library: import.is_file().then_some(import.as_path()),
        };
        let sources = Sources {
            julia: &self.context.julia,
            image: &linked,
            image_name: &library.names.file,
            apps: &[],
            artifacts: &self.artifacts(&observed.libraries)?,
            opened: &observed.libraries,
            packages: &observed.packages,
            names: &names,
            preferences: self.preferences_of_bundles(),
            library: Some(files),
            compiler,
        };
        let (folder, assembled) = self.assemble("library-bundle", &sources, &task).await?;
        let checked = self.check_library(&folder, &files, assembled, &task);
        let record = checked.await?;
        task.done(format!(
            "{}{}",
            size_of(&record),
            match record.isolated {
                true => ", used from C where there is no Julia",
                false => ", used from C",
            }
        ));
        let bundle = Bundle {
            id,
            name,
            folder,
            image_path: library.names.path(),
            record,
            started,
        };
        self.pack_bundle(dist, bundle, image).await.map(Some)
    }

    fn library_link(
        &self,
        library: &Library,
        folder: &Path,
    ) -> sysforge_plan::library::LibraryLink {
        library.link(&self.context.julia, folder)
    }

    /// Links the library from the object that the image was linked from.
    async fn link_library(
        &self,
        library: &Library,
        interface: &Interface,
        folder: &Path,
    ) -> Result<std::path::PathBuf, Failure> {
        let emitted: Emitted = self.context.work.recorded("emit")?;
        let init = write_init_object(folder)?;
        let output = folder.join(&library.names.file);
        let functions = interface.names().into_iter().map(str::to_owned);
        let exports = [INIT, SHUTDOWN].map(str::to_owned).into_iter();
        let job = LinkJob {
            exports: exports.chain(functions).collect(),
            library: Some(self.library_link(library, folder)),
            work_dir: folder.join("link"),
            log: self.context.work.log("link-library"),
            ..self.link_job(
                vec![emitted.object, init],
                output.clone(),
                &library.names.soname,
            )
        };
        self.run_link(&job, &library.names.file).await?;
        Ok(output)
    }

    async fn check_library(
        &self,
        folder: &Path,
        files: &LibraryFiles<'_>,
        assembled: Assembled,
        task: &sysforge_plan::Task,
    ) -> Result<BundleRecord, Failure> {
        let logs = self.context.work.path("logs");
        let Assembled {
            files: listed,
            system,
            oldest_system,
        } = assembled;
        let surroundings = self.surroundings(&system, &logs);
        let (record, isolated) = check_library(folder, files, &surroundings, task).await?;
        if !isolated {
            self.warn_not_isolated("the library was used");
        }
        if record.calls.is_empty() {
            self.engine.reporter.note(
                "no function of the library was called: add `calls` to [library] in Sysimage.toml",
            );
        }
        for function in &record.functions {
            if let Some(why) = &function.undeclared {
                self.engine.reporter.note(format!(
                    "the header does not declare {}: {why}",
                    function.name
                ));
            }
        }
        if !record.residuals.is_empty() {
            self.engine.reporter.note(format!(
                "the calls of the library still compile {}; the receipt lists them",
                counted(record.residuals.len(), "statement")
            ));
        }
        Ok(BundleRecord {
            apps: Vec::new(),
            library: Some(record),
            files: listed,
            isolated,
            system: system.into_iter().collect(),
            oldest_system,
        })
    }
}
