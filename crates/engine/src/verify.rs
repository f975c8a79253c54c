//! Verifying a release: installs each image as a user would, into a temporary folder, and runs the
//! project's workloads on it.

use sysforge_plan::release::choose::{Kind, Machine, Misfit, misfit};
use sysforge_plan::release::cpu::Cpu;
use sysforge_plan::release::{ReleaseImage, ReleaseIndex};
use sysforge_plan::{Catalogue, Request, Triplet};
use sysforge_publish::install::open_release::SourceOptions;
use sysforge_publish::install::{self, Images, Installation, OpenRelease, Source};
use sysforge_publish::signing::PublicKey;

use crate::engine::Engine;
use crate::error::EngineError;
use crate::failure::Failure;
use crate::install::{machine, start_library};
use crate::julias::stored_or_downloaded;
use crate::options::BuildOptions;
use crate::paths::temporary_folder;
use crate::planning::plan;
use crate::runner::BuildRunner;

/// A release to verify.
pub struct Verification<'a> {
    engine: &'a Engine,
    release: OpenRelease,
    index: ReleaseIndex,
    keys: &'a [PublicKey],
    triplet: Triplet,
    catalogue: Option<Catalogue>,
    images: Images,
    _folder: tempfile::TempDir,
}

impl<'a> Verification<'a> {
    /// Opens the release of `source`, which must be signed with one of `keys`, unless `keys` is
    /// empty.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or is not trusted.
    pub async fn open(
        source: &Source,
        keys: &'a [PublicKey],
        options: &SourceOptions,
        engine: &'a Engine,
    ) -> Result<Self, Failure> {
        let release = OpenRelease::open(source, options).await?;
        let (index, _) = release.index(keys).await?;
        let folder = temporary_folder()?;
        Ok(Self {
            engine,
            release,
            index,
            keys,
            triplet: Engine::host()?,
            catalogue: None,
            images: Images::open(folder.path()),
            _folder: folder,
        })
    }

    /// Returns the images and apps for this machine's platform that a glob matches, or all of them
    /// if there are no globs.
    pub fn selected(&self, globs: &[String]) -> Vec<ReleaseImage> {
        let images = self.index.images.iter();
        let selected = images.filter(|image| {
            let id = image.build_id();
            image.receipt.julia.triplet == self.triplet
                && (globs.is_empty() || globs.iter().any(|glob| id.matches(glob)))
        });
        selected.cloned().collect()
    }

    /// Installs one image or app, and runs it. Returns `false` if this machine's CPU cannot run it.
    ///
    /// # Errors
    ///
    /// If the archive cannot be downloaded or differs from the index, its content does not load or
    /// start, its Julia cannot be fetched or does not run, the project cannot be planned, or a
    /// workload fails on the image.
    pub async fn verify(&mut self, image: &ReleaseImage) -> Result<bool, Failure> {
        let engine = self.engine;
        let id = image.build_id();
        let images = &self.images;
        let installation = Installation {
            release: &self.release,
            index: &self.index,
            image,
            julia: None,
            images,
            surroundings: &engine.surroundings(self.keys),
        };
        if image.receipt.bundle.is_some() {
            let installed = installation.run().await?;
            start_library(engine, &installed, images).await?;
            engine.reporter.note(format!("{id} starts here"));
            images.remove(&installed)?;
            return Ok(true);
        }
        let request = Request::Exact(image.receipt.julia.version.clone());
        let acquirer = engine.acquirer()?;
        let julia =
            stored_or_downloaded(&request, self.triplet, &acquirer, &mut self.catalogue).await?;
        let facts = engine.ask(&julia.executable).await?;
        let machine = machine(Some(&facts), None, Kind::Image)?;
        if let Some(Misfit::Cpu(need)) = misfit(image, &machine) {
            let text = format!("{id} was not run here: it needs {need}");
            engine.reporter.warn(text, None);
            return Ok(false);
        }
        let installation = Installation {
            julia: Some(&facts),
            ..installation
        };
        let installed = installation.run().await?;
        // Use the installed Julia, so that planning needs no catalogue.
        let requests = [julia.prefix.display().to_string()];
        let planned = plan(engine, &requests, &[]).await?;
        match planned.plan.builds.iter().find(|build| build.id == *id) {
            Some(build) => {
                let options = BuildOptions::default();
                let mut runner = BuildRunner::open(engine, &planned, build, &options).await?;
                let record = runner.check(&installed.image).await?;
                engine.reporter.note(format!(
                    "{id} holds {}, {} residual statements",
                    record.loaded.join(", "),
                    record.residuals.len()
                ));
            }
            // The release still has an image of an earlier configuration.
            None => engine
                .reporter
                .note(format!("{id} loads; the project no longer plans it")),
        }
        images.remove(&installed)?;
        Ok(true)
    }

    /// Explains why nothing in the release could be verified on this machine.
    pub fn nothing_verified(&self) -> Failure {
        let machine = Machine {
            triplet: self.triplet,
            cpu: Cpu::default(),
            julia: None,
            name: None,
            kind: Kind::Image,
        };
        match install::choose_image(&self.index, &machine) {
            Ok((image, _)) => EngineError::NothingVerified {
                release: self.release.source().to_string(),
                id: image.build_id().clone(),
            }
            .into(),
            // It says why of each image.
            Err(error) => error.into(),
        }
    }
}
