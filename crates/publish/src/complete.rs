//! Completing a dist directory from a release: downloads the images that the release has and the
//! folder lacks, so that the documents of the next publication describe all of them.

use std::collections::BTreeSet;
use std::path::Path;

use sysforge_plan::release::ReleaseImage;
use sysforge_plan::{BuildId, Reporter, Step};

use crate::archive;
use crate::install::{InstallError, OpenRelease};
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
            std::fs::create_dir_all(&folder).map_err(at(&folder))?;
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
    let task = reporter.start(Step::Download, &image.archive.name);
    let path = folder.join(&image.archive.name);
    let mut whole = sysforge_files::create(&path).map_err(at(&path))?;
    for piece in image.pieces() {
        let part = folder.join(format!("{}.part", piece.sha256));
        release.fetch(piece, &part, &task).await?;
        let mut source = sysforge_files::open_regular(&part).map_err(at(&part))?;
        std::io::copy(&mut source, &mut whole).map_err(at(&path))?;
        std::fs::remove_file(&part).map_err(at(&part))?;
    }
    drop(whole);
    let (archive, expected) = (path.clone(), image.archive.clone());
    let inspected = local::blocking(move || archive::inspect(&archive)).await?;
    if inspected.sha256 != expected.sha256 {
        return Err(InstallError::Digest {
            name: expected.name.into(),
            expected: expected.sha256,
            found: inspected.sha256,
        });
    }
    let receipt = folder.join(format!("{}.receipt.json", image.build_id()));
    std::fs::write(&receipt, &inspected.receipt).map_err(at(&receipt))?;
    task.done(crate::documents::notes::size(image.archive.size));
    Ok(())
}
