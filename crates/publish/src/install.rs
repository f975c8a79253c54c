//! Installing from a release host: reads the index, chooses the image that fits, downloads and
//! verifies it, loads it once, puts it into the store, and activates it.

pub mod activate;
pub mod app;
mod error;
pub mod images;
pub mod integrate;
mod links;
mod load;
pub mod open_release;
mod order;
mod remove;
pub mod source;
mod start_files;
pub mod trust;
mod unusable;

use std::collections::BTreeSet;
use std::path::Path;

use sysforge_files::unless_gone;
use sysforge_plan::digest::Hashing;
use sysforge_plan::receipt::FileRecord;
use sysforge_plan::release::choose::{ImageChoice, Machine, choose, julias};
use sysforge_plan::release::{ReleaseImage, ReleaseIndex};
use sysforge_plan::{JuliaFacts, Reporter, Sha256, Step};
use sysforge_process::{Children, Environment};

pub use error::InstallError;
pub use images::{Images, Installed};
pub use open_release::{OpenRelease, SignedFor};
pub use source::Source;
pub use trust::{Attested, Signed};
pub use unusable::UnusableImage;

use crate::archive;
use crate::documents::notes::size;
use crate::local::{self, at};
use crate::signing::PublicKey;

/// The environment of an installation.
#[derive(Debug)]
pub struct Surroundings<'a> {
    /// The environment that a Julia is started in.
    pub environment: &'a Environment,
    /// Starts child processes.
    pub children: &'a Children,
    /// Where events go.
    pub reporter: &'a Reporter,
    /// Keys of the publisher; if there are any, signatures must be by one of them.
    pub keys: &'a [PublicKey],
}

/// Chooses the image of a release for a machine.
///
/// # Errors
///
/// [`InstallError::NoFit`], with a reason for every image, if none fits;
/// [`InstallError::NoSuchImage`] if none has the requested name.
pub fn choose_image<'a>(
    index: &'a ReleaseIndex,
    machine: &Machine,
) -> Result<(&'a ReleaseImage, ImageChoice<'a>), InstallError> {
    if let Some(name) = &machine.name
        && index.images.iter().all(|image| image.receipt.name != *name)
    {
        let names: BTreeSet<_> = index
            .images
            .iter()
            .map(|i| i.receipt.name.to_string())
            .collect();
        return Err(InstallError::NoSuchImage {
            name: name.clone(),
            tag: index.tag.to_string(),
            names: names.into_iter().collect(),
        });
    }
    let choice = choose(index, machine);
    match choice.image {
        Some(image) => Ok((image, choice)),
        None => Err(InstallError::NoFit {
            kind: machine.kind,
            tag: index.tag.to_string(),
            reasons: choice
                .others
                .iter()
                .map(|(image, misfit)| format!("{} {misfit}", image.build_id()))
                .collect(),
            versions: julias(index, machine)
                .iter()
                .map(ToString::to_string)
                .collect(),
        }),
    }
}

/// An image, or the apps or the C library, of a release that is to be installed.
#[derive(Debug, Clone, Copy)]
pub struct Installation<'a> {
    /// The release.
    pub release: &'a OpenRelease,
    /// Its index.
    pub index: &'a ReleaseIndex,
    /// What to install of it.
    pub image: &'a ReleaseImage,
    /// The Julia to load an image with; apps and libraries have their own.
    pub julia: Option<&'a JuliaFacts>,
    /// Where to install it.
    pub images: &'a Images,
    /// The environment of the installation.
    pub surroundings: &'a Surroundings<'a>,
}

impl Installation<'_> {
    /// Downloads the archive (or continues a download), verifies it, loads the image or starts the
    /// apps once, and puts it into the store.
    ///
    /// # Errors
    ///
    /// If any of this fails; then nothing is installed.
    pub async fn run(&self) -> Result<Installed, InstallError> {
        self.check_julia()?;
        if let Some(installed) = self.reuse()? {
            return Ok(installed);
        }
        let (image, surroundings) = (self.image, self.surroundings);
        let provenance = self.release.check_provenance(image, surroundings.keys);
        provenance.await?;
        let turn = self.images.turn(image, surroundings.reporter).await?;
        // Another process may have been faster.
        if let Some(installed) = self.reuse()? {
            return Ok(installed);
        }
        let archive = self.images.partial(image, &turn)?;
        let fresh = self.fetch(&archive).await?;
        match self.julia {
            Some(julia) => load::load_once(&fresh, image, julia, surroundings).await?,
            None => app::start_once(fresh.folder(), image, surroundings).await?,
        }
        let installed = self.images.keep(image, fresh, &turn)?;
        remove(&archive)?;
        Ok(installed)
    }

    /// The chooser has checked this already. It is checked again because nothing else prevents
    /// loading an image with a Julia that it would crash.
    fn check_julia(&self) -> Result<(), InstallError> {
        let build = &self.image.receipt.julia;
        match self.julia {
            Some(julia) if *build != julia.build() => Err(InstallError::OtherJulia {
                built: format!("{} ({}) {}", build.version, build.triplet, build.commit),
                found: format!("{} ({}) {}", julia.version, julia.triplet, julia.commit),
            }),
            _ => Ok(()),
        }
    }

    /// Downloads an archive, verifies it and unpacks it next to its final folder.
    async fn fetch(&self, archive: &Path) -> Result<images::StagedImage, InstallError> {
        let reporter = self.surroundings.reporter;
        download(self.release, self.image, archive, reporter).await?;
        let note = Installed::of(self);
        let unpacked = self.images.unpack(self.image, archive, note).await;
        if let Err(InstallError::NotTheImage { .. }) = unpacked {
            // Downloading the same bytes again would not help.
            remove(archive)?;
        }
        unpacked
    }

    /// Returns what is to be installed, if it is installed already.
    fn reuse(&self) -> Result<Option<Installed>, InstallError> {
        let Some(before) = self.images.find(self.image)? else {
            return Ok(None);
        };
        let reporter = self.surroundings.reporter;
        let task = reporter.start(Step::Install, self.image.build_id().as_str());
        let installed = before.clone().verified_by(self);
        if self.julia.is_some() {
            self.images.complete(&installed, self.image);
        }
        // A store of another user can be used, though not written to.
        if installed != before {
            self.images.note(&installed)?;
        }
        task.reused("installed already");
        Ok(Some(installed))
    }
}

/// Downloads the archive to `path`, in one file or in parts, and verifies every digest.
pub(crate) async fn download(
    release: &OpenRelease,
    image: &ReleaseImage,
    path: &Path,
    reporter: &Reporter,
) -> Result<(), InstallError> {
    let task = reporter.start(Step::Download, &image.archive.name);
    let mut parts = Vec::new();
    for piece in image.pieces() {
        // The file name of an interrupted download contains the digest of the complete file.
        let part = if image.parts.is_empty() {
            path.to_owned()
        } else {
            part_of(path, piece)
        };
        release.fetch(piece, &part, &task).await?;
        parts.push(part);
    }
    if !image.parts.is_empty() {
        let (whole, expected) = (path.to_owned(), image.archive.clone());
        let found = local::blocking(move || join(&parts, &whole)).await?;
        for piece in image.pieces() {
            remove(&part_of(path, piece))?;
        }
        if found != expected.sha256 {
            remove(path)?;
            return Err(InstallError::Digest {
                name: expected.name.into(),
                expected: expected.sha256,
                found,
            });
        }
    }
    task.done(size(image.archive.size));
    Ok(())
}

/// Returns the path that a part of an archive is downloaded to. As for the whole, a download is
/// only continued for the same digest.
fn part_of(archive: &Path, piece: &FileRecord) -> std::path::PathBuf {
    archive.with_extension(format!("{}.part", piece.sha256.short(12)))
}

/// Joins the parts of a file, and returns its digest.
fn join(parts: &[std::path::PathBuf], whole: &Path) -> Result<Sha256, crate::PublishError> {
    let mut target = Hashing::new(sysforge_files::create(whole).map_err(at(whole))?);
    for part in parts {
        let mut source = sysforge_files::open_regular(part).map_err(at(part))?;
        std::io::copy(&mut source, &mut target).map_err(at(whole))?;
    }
    target.inner.sync_all().map_err(at(whole))?;
    Ok(target.hasher.digest())
}

fn remove(path: &Path) -> Result<(), InstallError> {
    Ok(unless_gone(std::fs::remove_file(path)).map_err(at(path))?)
}

/// Unpacks a downloaded archive, and checks that it contains the image of the index and nothing
/// else of relevance.
fn unpack(archive: &Path, image: &ReleaseImage, folder: &Path) -> Result<(), InstallError> {
    let altered = |what: String| InstallError::NotTheImage {
        name: image.archive.name.to_string(),
        what,
    };
    let inspected = archive::unpack(archive, &image.archive.name, folder);
    let inspected = inspected.map_err(|error| match error {
        // The publisher is responsible for the content.
        crate::PublishError::Altered { what, .. } => altered(what),
        other => other.into(),
    })?;
    let receipt = sysforge_plan::Receipt::from_json(&inspected.receipt)
        .map_err(|error| altered(format!("its receipt cannot be read: {error}")))?;
    if receipt != image.receipt {
        return Err(altered(
            "its receipt is not the one in the index".to_owned(),
        ));
    }
    match inspected.difference(&receipt) {
        Some(what) => Err(altered(what)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
