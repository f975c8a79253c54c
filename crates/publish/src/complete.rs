//! Completing a dist directory from a release: downloads the images that the release has and the
//! folder lacks, so that the documents of the next publication describe all of them.

use std::collections::BTreeSet;
use std::path::Path;

use sysforge_files::rename;
use sysforge_plan::release::ReleaseImage;
use sysforge_plan::{BuildId, Reporter};

use crate::archive;
use crate::install::{InstallError, OpenRelease, download};
use crate::local::{self, at};

/// The folder in the dist directory for downloaded images.
const FOLDER: &str = "of-the-release";

/// Downloads the images of the release at `place` that are not among `present`, and returns their
/// identifiers. A release that does not exist has none.
///
/// # Errors
///
/// If the release cannot be read, or a file does not agree with the index.
pub async fn complete(
    release: &OpenRelease,
    present: &BTreeSet<BuildId>,
    dist: &Path,
    reporter: &Reporter,
) -> Result<Vec<BuildId>, InstallError> {
    // This is the publisher's own release, read with the publisher's token: digests are enough.
    let index = match release.index(&[]).await {
        Ok((index, _)) => index,
        Err(InstallError::NoRelease(_)) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let folder = dist.join(FOLDER);
    let mut fetched = Vec::new();
    for image in &index.images {
        if !present.contains(image.build_id()) {
            sysforge_files::create_folders(&folder).map_err(at(&folder))?;
            fetch(release, image, &folder, reporter).await?;
            fetched.push(image.build_id().clone());
        }
    }
    Ok(fetched)
}

/// Downloads one image: its archive, and the receipt in it.
async fn fetch(
    release: &OpenRelease,
    image: &ReleaseImage,
    folder: &Path,
    reporter: &Reporter,
) -> Result<(), InstallError> {
    let partial = folder.join(format!("{}.part", image.archive.sha256));
    download(release, image, &partial, reporter).await?;
    let path = folder.join(&image.archive.name);
    rename(&partial, &path).map_err(at(&path))?;
    let inspected = local::blocking(move || archive::inspect(&path)).await?;
    let receipt = folder.join(format!("{}.receipt.json", image.build_id()));
    std::fs::write(&receipt, &inspected.receipt).map_err(at(&receipt))?;
    Ok(())
}
