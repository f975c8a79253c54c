//! The base that an image builds on: Julia's own, or one that is built and kept in the store.

use std::time::Instant;

use sysforge_acquire::store::{Entry, EntryId, EntrySlot, Lookup};
use sysforge_build::base::{Linking, Recipe};
use sysforge_build::link::{self, LinkJob};
use sysforge_build::machine;
use sysforge_plan::{Step, config, memory};

use super::BuildRunner;
use crate::error::EngineError;
use crate::failure::Failure;

impl BuildRunner<'_> {
    /// Builds the base, unless it is Julia's own.
    pub(super) async fn prepare(&mut self) -> Result<(), Failure> {
        let settings = &self.build.settings;
        if self.context.base.is_some() {
            return Ok(());
        }
        match &settings.base {
            config::Base::Shipped => return Ok(()),
            config::Base::Image(_) | config::Base::Release { .. } => {
                let file = settings.base.file();
                self.context.base = file.map(|file| self.planned.files.folder.join(file));
                return Ok(());
            }
            config::Base::Fresh => {}
        }
        let started = Instant::now();
        let closure = self.closure();
        let used = (settings.stdlibs == config::Stdlibs::Used).then_some(closure.as_slice());
        let recipe = Recipe::new(&self.context, used, &self.build.cpu.target)?;
        let needs = memory::EmissionScope {
            targets: memory::HeldTargets::ONE,
            repl: false,
        };
        let cpus = self.context.julia.cpu_threads;
        let free = machine::free_memory();
        let threads = memory::image_threads(self.context.generation, needs, cpus, free);
        let recipe = recipe.with_threads(threads);
        let entry = self.base(&recipe).await?;
        self.context.base = Some(entry.prefix().join(recipe.file()));
        self.leases.push(entry.into_lease());
        self.took(Step::Base, started, None);
        Ok(())
    }

    /// Finds the base in the store, or builds it there.
    async fn base(&self, recipe: &Recipe) -> Result<Entry, Failure> {
        let julia = &self.context.julia;
        let id = EntryId::base(&julia.version, julia.triplet, recipe.digest());
        let reporter = &self.context.reporter;
        let task = reporter.start(Step::Base, recipe.title());
        let stores = self.engine.stores()?;
        for store in &stores {
            if let Lookup::Whole(entry) = store.lookup(&id)? {
                task.reused("built before from the same sources");
                return Ok(*entry);
            }
        }
        let store = stores.iter().find(|store| store.check_writable().is_ok());
        // If none can be written to, the error is that of the first.
        let store = store.or(stores.first()).ok_or(EngineError::NoHome)?;
        let builder = match store.slot(&id, reporter).await? {
            EntrySlot::Free(builder) => builder,
            EntrySlot::Whole(entry) => {
                task.reused("another Sysforge just built it");
                return Ok(*entry);
            }
        };
        let link = async |linking: Linking| {
            let job = LinkJob {
                objects: vec![linking.object],
                output: linking.image,
                name: linking.name,
                julia: julia.clone(),
                linker: self.linker.clone(),
                strip: true,
                exports: Vec::new(),
                library: None,
                environment: self.context.environment.clone(),
                work_dir: self.context.work.path("base-link"),
                log: self.context.work.log("base-link"),
                timeout: self.context.timeout,
            };
            link::link(&job, &self.context.children, &task)
                .await
                .map(drop)
        };
        recipe
            .make(&self.context, builder.folder(), &task, link)
            .await?;
        let source = julia.base_image.display().to_string();
        let entry = builder.finish(&recipe.file(), &source, &julia.version, julia.triplet)?;
        task.done(format!("{} MB", entry.record().size / 1_000_000));
        Ok(entry)
    }
}
