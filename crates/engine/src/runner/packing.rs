//! Packing: writes the archive with the receipt of all steps. It begins after the image has passed
//! its check and no other round follows, so that no compressed result is thrown away.

use std::path::Path;

use sysforge_build::artifacts::LoadedPackage;
use sysforge_build::emit::Emitted;
use sysforge_build::inputs::Fingerprint;
use sysforge_build::targets;
use sysforge_build::{WorkDir, instantiate};
use sysforge_pack::{Content, Packed, Packing};
use sysforge_plan::link::Linked;
use sysforge_plan::receipt::{
    CheckRecord, FileRecord, LinkRecord, PackageRecord, PreferenceRecord, SCHEMA, Targets, Timing,
    ToolRecord,
};
use sysforge_plan::{BuildId, JuliaVersion, Receipt, Sha256, image_environment};

use super::{BuildRunner, MANIFEST_NAME};
use crate::error::EngineError;
use crate::failure::Failure;
use crate::fingerprints::Fingerprints;

/// The name under which the archive is recorded.
const PACKED: &str = "pack";

/// The results of the check that packing needs.
#[derive(serde::Serialize, serde::Deserialize)]
pub(super) struct Checked {
    pub(super) check: CheckRecord,
    pub(super) timings: Vec<Timing>,
}

impl BuildRunner<'_> {
    /// Records a check of the build's own image, so that it can be packed.
    ///
    /// # Errors
    ///
    /// If no link is recorded, or the record cannot be written.
    pub fn record_check(&self, record: &CheckRecord) -> Result<(), Failure> {
        let record = Checked {
            check: record.clone(),
            timings: self.timings.clone(),
        };
        let linked = self.context.work.recorded_fingerprint("link")?;
        let fingerprint = self.fingerprints.checked(&linked);
        let files = [self.image()];
        Ok(self
            .context
            .work
            .record("check", &fingerprint, &files, &record)?)
    }

    /// Creates all archives of the build in `dist`, each with its receipt: of the image, unless
    /// only bundles are wanted, of the apps and of the C library.
    ///
    /// # Errors
    ///
    /// If an archive cannot be written, or an app or the library does not run.
    pub async fn archives(&mut self, dist: &Path) -> Result<Vec<(Packed, Receipt)>, Failure> {
        if self.signing.is_some() && !self.build.has_bundle() {
            return Err(EngineError::NothingToSign.into());
        }
        let mut made = Vec::new();
        let image = match self.build.image {
            true => {
                let (packed, receipt) = self.pack(dist).await?;
                made.push((packed, receipt.clone()));
                receipt
            }
            false => {
                let record = sysforge_pack::record_of(&self.image())?;
                self.description()?(record)
            }
        };
        made.extend(self.bundle(dist, &image).await?);
        made.extend(self.library(dist, &image).await?);
        Ok(made)
    }

    /// Returns the digest of the inputs that the checked image was made from, which may differ from
    /// the current ones; `None` if no image was checked.
    pub(crate) fn inputs_digest(&self) -> Option<Sha256> {
        let checked = self.context.work.recorded_fingerprint("check").ok()?;
        Some(Fingerprints::inputs_digest(checked))
    }

    /// Packs the image with the receipt of what was recorded.
    ///
    /// # Errors
    ///
    /// If a step is not recorded, the manifest cannot be read, the receipt does not account for
    /// every statement, or a file cannot be written.
    pub async fn pack(&self, dist: &Path) -> Result<(Packed, Receipt), Failure> {
        let work = &self.context.work;
        let emitted: Emitted = work.recorded("emit")?;
        let trees = emitted.artifacts.into_iter();
        let trees = trees.filter(|found| self.travels(&found.artifact.tree));
        let trees = trees.map(|found| (format!("artifacts/{}", found.artifact.tree), found.folder));
        let (_, manifest_file) = self.packed_manifest()?.unzip();
        let trees = trees.chain(manifest_file.map(|file| (MANIFEST_NAME.to_owned(), file)));
        let packages = packages_in(&emitted.loaded, &self.closure);
        let project = image_environment::project(&packages);
        let project = work.write("packed-project.toml", &project)?;
        let trees = trees.chain([(image_environment::PROJECT.to_owned(), project)]);
        let content = Content::of_image(&self.image(), trees.collect());
        let packing = self.packing(content, &self.build.id, dist)?;
        let (packed, receipt) = packing.finish(self.description()?).await?;
        let files = [packed.archive.clone(), packed.receipt.clone()];
        work.record(PACKED, &Fingerprint::default(), &files, &packed)?;
        Ok((packed, receipt))
    }

    /// Returns the archive that was last packed of the build in this folder, if it has not been touched since.
    pub(crate) fn unchanged_archive(work: &Path) -> Option<Packed> {
        WorkDir::peek_unchanged(work, PACKED)
    }

    /// Begins to pack an archive of this build.
    pub(super) fn packing(
        &self,
        content: Content,
        id: &BuildId,
        dist: &Path,
    ) -> Result<Packing, Failure> {
        let threads = usize::try_from(self.context.julia.cpu_threads).unwrap_or(1);
        let reporter = &self.engine.reporter;
        let format = self.build.archive;
        Ok(Packing::start(
            content, id, format, dist, threads, reporter,
        )?)
    }

    /// Returns the function that creates the receipt of the image from the record of its file.
    fn description(&self) -> Result<impl FnOnce(FileRecord) -> Receipt + '_, Failure> {
        let work = &self.context.work;
        let emitted: Emitted = work.recorded("emit")?;
        let linked: Linked = work.recorded("link")?;
        let Checked { check, timings } = work.recorded("check")?;
        let (manifest, _) = self.packed_manifest()?.unzip();
        let packages = packages_in(&emitted.loaded, &self.closure);
        let plan = &self.planned.plan;
        // The digest covers the inputs that the image was made from, which may differ from the
        // current ones.
        let inputs_digest = Fingerprints::inputs_digest(work.recorded_fingerprint("check")?);
        let targets = targets::held(&self.image(), &self.build.cpu.target);
        let preferences = self.preferences(&packages);
        Ok(move |image: FileRecord| Receipt {
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
            julia_options: self.options.emit.julia_options.clone(),
            packages,
            extensions: emitted.extensions,
            preferences,
            manifest,
            statements: emitted.statements,
            check,
            link: LinkRecord {
                strategy: linked.strategy.to_string(),
                linker: sysforge_plan::text::shortened(&linked.linker_version, 500),
            },
            timings,
            bundle: None,
            objects: Vec::new(),
            tool: ToolRecord {
                name: "sysforge".to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                recipe: sysforge_build::RECIPE,
            },
            inputs_digest,
        })
    }
}

impl BuildRunner<'_> {
    /// Returns the preferences that the image was built with; Julia supports them since 1.6. The
    /// files are inputs of the image, so they have not changed since it was made.
    fn preferences(&self, packages: &[PackageRecord]) -> Vec<PreferenceRecord> {
        if self.context.julia.version < JuliaVersion::new(1, 6, 0) {
            return Vec::new();
        }
        instantiate::preferences(&self.context.packages.project, packages)
    }
}

/// Returns the packages in an image: those that were loaded, with their entries in the manifest.
fn packages_in(loaded: &[LoadedPackage], closure: &[PackageRecord]) -> Vec<PackageRecord> {
    let record = |package: &LoadedPackage| {
        let planned = closure.iter().find(|record| record.uuid == package.uuid);
        planned.cloned().unwrap_or_else(|| PackageRecord {
            name: package.name.clone(),
            uuid: package.uuid.clone(),
            version: None,
            tree: None,
            requested: false,
        })
    };
    loaded.iter().map(record).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_receipt_lists_what_was_loaded_and_nothing_else() {
        let planned = |name: &str, uuid: &str| PackageRecord {
            name: name.to_owned(),
            uuid: uuid.to_owned(),
            version: Some("1.2.3".to_owned()),
            tree: None,
            requested: true,
        };
        let loaded = |name: &str, uuid: &str| LoadedPackage {
            name: name.to_owned(),
            uuid: uuid.to_owned(),
        };
        let closure = [
            planned("A", "1"),
            planned("Weak", "2"),
            planned("Twin", "3"),
        ];
        let found = packages_in(&[loaded("A", "1"), loaded("Twin", "4")], &closure);
        let versions: Vec<_> = found
            .iter()
            .map(|record| (record.name.as_str(), record.version.as_deref()))
            .collect();
        assert_eq!(versions, [("A", Some("1.2.3")), ("Twin", None)]);
    }
}
