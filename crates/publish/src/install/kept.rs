//! The images on this machine: one folder each, which appears whole or not at all, with a note of
//! where it came from and which Julia it belongs to.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sysforge_plan::release::{ReleaseImage, ReleaseIndex};
use sysforge_plan::{JuliaBuild, JuliaFacts, Sha256, explain};

use super::activate;
use super::error::InstallError;
use super::place::Place;
use super::source::Source;
use super::verify;
use crate::archive;
use crate::local::{self, Lock, at};
use crate::signing::PublicKey;

/// The note's file name.
const NOTE: &str = "installed.json";

/// An image on this machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Installed {
    /// Always `sysforge-installed/1`.
    pub schema: String,
    /// The build identifier.
    pub build_id: String,
    /// The image's name, as configured by its maker.
    pub name: String,
    /// Where it came from.
    pub source: Source,
    /// The tag of the release.
    pub tag: String,
    /// The image file.
    pub image: PathBuf,
    /// The digest of the image file.
    pub sha256: Sha256,
    /// The Julia that it was built for.
    pub built_for: JuliaBuild,
    /// The executable of that Julia on this machine.
    pub julia: PathBuf,
    /// Launchers that were written for it.
    #[serde(default)]
    pub launchers: Vec<PathBuf>,
    /// Channels of juliaup that were linked to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<String>,
    /// Keys of its maker that it was verified with; its upgrades must be signed by one of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// Whether its upgrades must be attested, as it had to be.
    #[serde(default)]
    pub attested: bool,
}

impl Installed {
    /// The note of an image that is about to be installed; its file's place is not known yet.
    pub(super) fn of(
        place: &Place,
        index: &ReleaseIndex,
        image: &ReleaseImage,
        julia: &JuliaFacts,
        keys: &[PublicKey],
    ) -> Self {
        Self {
            schema: "sysforge-installed/1".to_owned(),
            build_id: image.build_id().to_string(),
            name: image.receipt.name.clone(),
            source: place.source().clone(),
            tag: index.tag.clone(),
            image: PathBuf::new(),
            sha256: image.receipt.image.sha256,
            built_for: image.receipt.julia.clone(),
            julia: julia.executable.clone(),
            launchers: Vec::new(),
            channels: Vec::new(),
            keys: keys.iter().map(PublicKey::to_string).collect(),
            attested: false,
        }
    }

    /// The same image, to be run with another copy of its Julia, and verified once more.
    pub(super) fn with(mut self, julia: &JuliaFacts, keys: &[PublicKey]) -> Self {
        self.julia.clone_from(&julia.executable);
        if !keys.is_empty() {
            self.keys = keys.iter().map(PublicKey::to_string).collect();
        }
        self
    }

    /// The folder that it lies in.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.image.parent().unwrap_or(&self.image)
    }
}

/// An image that is unpacked and verified, but not in its place yet.
#[derive(Debug)]
pub(super) struct Fresh {
    folder: tempfile::TempDir,
    place: PathBuf,
    note: Installed,
    _lock: Lock,
}

impl Fresh {
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// The folder of all installed images.
#[derive(Debug, Clone)]
pub struct Images {
    root: PathBuf,
}

impl Images {
    /// The images below `root`, which need not exist yet.
    #[must_use]
    pub fn open(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Every installed image, in the order of their names.
    ///
    /// # Errors
    ///
    /// If the folder cannot be read.
    pub fn list(&self) -> Result<Vec<Installed>, InstallError> {
        let entries = match std::fs::read_dir(&self.root) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(at(&self.root)(error).into()),
        };
        let mut all: Vec<Installed> = entries
            .flatten()
            .filter_map(|entry| {
                let text = std::fs::read_to_string(entry.path().join(NOTE)).ok()?;
                serde_json::from_str(&text).ok()
            })
            .collect();
        all.sort_by(|a, b| (&a.build_id, &a.tag).cmp(&(&b.build_id, &b.tag)));
        Ok(all)
    }

    /// The installed images that `name` means: by name or build identifier.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn named(&self, name: &str) -> Result<Vec<Installed>, InstallError> {
        let all = self.list()?;
        let names = all.iter().flat_map(|image| [&image.name, &image.build_id]);
        let nearest = explain::nearest(name, names.map(String::as_str)).map(str::to_owned);
        let mut all = all;
        all.retain(|image| image.name == name || image.build_id == name);
        if all.is_empty() {
            let name = name.to_owned();
            return Err(InstallError::NotInstalled { name, nearest });
        }
        Ok(all)
    }

    /// Removes an image, and the launchers that were written for it. Channels of juliaup are
    /// [`super::activate::unlink_channel`]'s.
    ///
    /// # Errors
    ///
    /// If a file cannot be removed.
    pub fn remove(&self, image: &Installed) -> Result<(), InstallError> {
        for launcher in &image.launchers {
            // Only one that still is for this image: the user may have written another since.
            let ours =
                std::fs::read_to_string(launcher).is_ok_and(|text| activate::starts(&text, image));
            if ours {
                std::fs::remove_file(launcher).map_err(at(launcher))?;
            }
        }
        let folder = image.folder();
        // The note goes first: without it, the rest is no image.
        let note = folder.join(NOTE);
        std::fs::remove_file(&note).map_err(at(&note))?;
        std::fs::remove_dir_all(folder).map_err(at(folder))?;
        Ok(())
    }

    /// Writes the note of an installed image anew.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn note(&self, image: &Installed) -> Result<(), InstallError> {
        Ok(write_note(image.folder(), image)?)
    }

    fn folder_of(&self, image: &ReleaseImage) -> PathBuf {
        let digest = image.receipt.image.sha256.short(12);
        self.root.join(format!("{}-{digest}", image.build_id()))
    }

    /// The image of the index, if it is installed and still as it was.
    pub(super) fn find(&self, image: &ReleaseImage) -> Result<Option<Installed>, InstallError> {
        let folder = self.folder_of(image);
        let Ok(text) = std::fs::read_to_string(folder.join(NOTE)) else {
            return Ok(None);
        };
        let note: Option<Installed> = serde_json::from_str(&text).ok();
        let expected = image.receipt.image.sha256;
        Ok(note.filter(|note| {
            local::sha256_of(&note.image, 0, u64::MAX).is_ok_and(|digest| digest == expected)
        }))
    }

    /// Where the archive is downloaded to. The digest is part of the name, so that a download is
    /// only ever gone on with for the same bytes.
    pub(super) fn partial(&self, image: &ReleaseImage) -> Result<PathBuf, InstallError> {
        let folder = self.root.join(".partial");
        std::fs::create_dir_all(&folder).map_err(at(&folder))?;
        Ok(folder.join(format!("{}.archive", image.archive.sha256)))
    }

    /// Verifies an archive and unpacks it beside its place.
    pub(super) async fn unpack(
        &self,
        image: &ReleaseImage,
        archive: &Path,
        mut note: Installed,
    ) -> Result<Fresh, InstallError> {
        let target = self.folder_of(image);
        note.image = target.join(&image.receipt.image.name);
        let lock = self.root.join(".locks").join(image.build_id().as_str());
        let lock = wait_for(lock).await?;
        let (root, archive, image) = (self.root.clone(), archive.to_owned(), image.clone());
        let unpacked = tokio::task::spawn_blocking(move || {
            verify(&archive, &image)?;
            let folder = tempfile::Builder::new()
                .prefix(".new-")
                .tempdir_in(&root)
                .map_err(at(&root))?;
            archive::unpack_as(&archive, &image.archive.name, folder.path())?;
            write_note(folder.path(), &note)?;
            Ok::<_, InstallError>((folder, note))
        });
        let (folder, note) = match unpacked.await {
            Ok(unpacked) => unpacked?,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        };
        Ok(Fresh {
            folder,
            place: target,
            note,
            _lock: lock,
        })
    }

    /// Puts an unpacked image into its place.
    pub(super) fn keep(&self, fresh: Fresh) -> Result<Installed, InstallError> {
        if fresh.place.exists() {
            // A damaged one, or one without a note.
            std::fs::remove_dir_all(&fresh.place).map_err(at(&fresh.place))?;
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            // A temporary folder is its owner's alone; a shared store is for everybody.
            let mode = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(fresh.folder(), mode).map_err(at(&fresh.place))?;
        }
        std::fs::rename(fresh.folder.path(), &fresh.place).map_err(at(&fresh.place))?;
        // It is no longer there to be removed.
        let _ = fresh.folder.keep();
        Ok(fresh.note)
    }
}

fn write_note(folder: &Path, note: &Installed) -> Result<(), crate::PublishError> {
    let mut text = serde_json::to_string_pretty(note).unwrap_or_default();
    text.push('\n');
    local::write_whole(&folder.join(NOTE), text.as_bytes())
}

/// Waits for another installation of the same image to end.
async fn wait_for(path: PathBuf) -> Result<Lock, InstallError> {
    loop {
        if let Some(lock) = Lock::try_take(path.clone())? {
            return Ok(lock);
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}
