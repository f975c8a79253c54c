//! The images on this machine: one folder each, which appears completely or not at all, with a note
//! about its origin and its Julia.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use sysforge_acquire::store::{remove_leftovers, wait_for};
use sysforge_files::{FileLock, read_regular, rename, unless_gone};
use sysforge_plan::app::IMAGE_FOLDER;
use sysforge_plan::receipt::{PackageRecord, Receipt};
use sysforge_plan::release::ReleaseImage;
use sysforge_plan::release::choose::Kind;
use sysforge_plan::text::{self, FileName, ImageName, Tag};
use sysforge_plan::{BuildId, JuliaBuild, Reporter, Sha256, explain, image_environment, json};

use super::error::InstallError;
use super::order::order;
use super::source::Source;
use super::start_files::write_environment;
use super::unusable::UnusableImage;
use super::{Installation, unpack};
use crate::archive;
use crate::local::{self, at};
use crate::signing::{Identity, PublicKey};

/// The note's file name.
const NOTE: &str = "installed.json";

/// The schema of notes.
const SCHEMA: &str = "sysforge-installed/1";

/// Maximum size of a note or a launcher, in bytes; both have some hundred bytes.
pub(super) const NOTE_LIMIT: u64 = 1 << 20;

/// The folder of downloads.
const PARTIAL: &str = ".partial";

/// The prefix of folders of images that are being installed.
const STAGING_PREFIX: &str = ".new-";

/// The prefix of folders of images that are being removed.
const TRASH_PREFIX: &str = ".old-";

/// A program that can start Julia with an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Integration {
    /// A kernel of Jupyter: a `kernel.json` for IJulia.
    Jupyter,
    /// Settings of a workspace for the Julia extension of VS Code.
    VsCode,
    /// A script that starts Pluto.
    Pluto,
    /// Variables for PythonCall's `juliacall`, for a shell.
    Python,
    /// A module file for Lmod.
    Module,
    /// Lines for a Containerfile.
    Oci,
}

/// A file that was written for an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntegrationFile {
    /// The program that it is for.
    pub integration: Integration,
    /// The file.
    pub path: PathBuf,
}

/// An image on this machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Installed {
    /// Always `sysforge-installed/1`.
    pub schema: String,
    /// The build identifier.
    pub build_id: BuildId,
    /// The image's name, as configured by its author.
    pub name: ImageName,
    /// The source that it was installed from.
    pub source: Source,
    /// The tag of the release.
    pub tag: Tag,
    /// The image file.
    pub image: PathBuf,
    /// The digest of the image file or, for apps and libraries, of the archive.
    pub sha256: Sha256,
    /// The Julia that it was built for.
    pub built_for: JuliaBuild,
    /// The executable of that Julia on this machine; empty for apps, which do not need one.
    pub julia: PathBuf,
    /// The names of the apps; empty for an image.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "text::list::<text::PlainName, _>"
    )]
    pub apps: Vec<String>,
    /// The name of the C library, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub library: Option<String>,
    /// Launchers that were written for it.
    #[serde(default)]
    pub launchers: Vec<PathBuf>,
    /// Channels of juliaup that were linked to it.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "text::list::<text::ChannelName, _>"
    )]
    pub channels: Vec<String>,
    /// Files that make other programs start Julia with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<IntegrationFile>,
    /// Keys of its publisher that it was verified with; its upgrades must be signed by one of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// The repository or site that its signature names; its upgrades must have the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_for: Option<Identity>,
    /// Whether its upgrades must be attested, because it had to be.
    #[serde(default)]
    pub attested: bool,
}

impl Installed {
    /// The note of what is about to be installed; the path of its file is not known yet.
    pub(super) fn of(installation: &Installation<'_>) -> Self {
        let image = installation.image;
        let apps = image.receipt.bundle.iter().flat_map(|bundle| &bundle.apps);
        let library = image.receipt.bundle.as_ref();
        let library = library.and_then(|bundle| bundle.library.as_ref());
        let new = Self {
            apps: apps.map(|app| app.name.clone()).collect(),
            library: library.map(|library| library.name.clone()),
            schema: SCHEMA.to_owned(),
            build_id: image.build_id().clone(),
            name: image.receipt.name.clone(),
            source: installation.release.source().clone(),
            tag: installation.index.tag.clone(),
            image: PathBuf::new(),
            sha256: identity(image),
            built_for: image.receipt.julia.clone(),
            julia: PathBuf::new(),
            launchers: Vec::new(),
            channels: Vec::new(),
            files: Vec::new(),
            keys: Vec::new(),
            signed_for: None,
            attested: false,
        };
        new.verified_by(installation)
    }

    /// Returns the note of the same image for another copy of its Julia, verified once more.
    /// Upgrades are looked for where it was offered now.
    pub(super) fn verified_by(mut self, installation: &Installation<'_>) -> Self {
        let release = installation.release;
        if let Some(julia) = installation.julia {
            self.julia.clone_from(&julia.executable);
        }
        self.source = release.source().clone();
        self.tag = installation.index.tag.clone();
        let keys = installation.surroundings.keys;
        if !keys.is_empty() {
            self.keys = keys.iter().map(PublicKey::to_string).collect();
            self.signed_for = release.was_read().and_then(|read| read.identity.clone());
        }
        self
    }

    /// Whether `name` is its name or its build identifier.
    pub(super) fn is_named(&self, name: &str) -> bool {
        self.name == *name || self.build_id == *name
    }

    /// Returns the packages in it, as its receipt lists them; empty if the receipt cannot be read.
    pub fn packages(&self) -> Vec<PackageRecord> {
        let bytes = read_regular(
            &self.folder().join(archive::RECEIPT),
            archive::RECEIPT_LIMIT,
        );
        let receipt = bytes.ok().and_then(|bytes| Receipt::from_json(bytes).ok());
        receipt.map_or_else(Vec::new, |receipt| receipt.packages)
    }

    /// Returns whether it is an image, apps or a library.
    pub fn kind(&self) -> Kind {
        match (&self.library, self.apps.is_empty()) {
            (Some(_), _) => Kind::Library,
            (None, false) => Kind::App,
            (None, true) => Kind::Image,
        }
    }

    /// Returns the folder of the image, relative to the folder of the unpacked archive.
    fn image_folder(&self) -> &'static Path {
        Path::new(match self.kind() {
            Kind::Image => "",
            Kind::App => IMAGE_FOLDER,
            Kind::Library if cfg!(windows) => "bin",
            Kind::Library => "lib",
        })
    }

    /// Returns the folder that contains it.
    pub fn folder(&self) -> &Path {
        let depth = 1 + self.image_folder().iter().count();
        self.image.ancestors().nth(depth).unwrap_or(&self.image)
    }
}

/// The exclusive right to install one image: other processes wait, and then find it installed.
#[derive(Debug)]
pub(super) struct InstallLock {
    lock: FileLock,
}

/// An image that is unpacked and verified, but not in its final folder yet.
#[derive(Debug)]
pub(super) struct StagedImage {
    folder: tempfile::TempDir,
    destination: PathBuf,
    note: Installed,
}

impl StagedImage {
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
    pub fn open(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Returns all installed images, sorted by name.
    ///
    /// # Errors
    ///
    /// If the folder of the installed images exists but cannot be read.
    pub fn list(&self) -> Result<Vec<Installed>, InstallError> {
        Ok(self.survey()?.0)
    }

    /// Returns the folders that hold no usable image, for example because another program changed
    /// their notes, sorted by name.
    ///
    /// # Errors
    ///
    /// If the folder of the installed images exists but cannot be read.
    pub fn unusable(&self) -> Result<Vec<UnusableImage>, InstallError> {
        Ok(self.survey()?.1)
    }

    fn survey(&self) -> Result<(Vec<Installed>, Vec<UnusableImage>), InstallError> {
        let (mut usable, mut unusable) = (Vec::new(), Vec::new());
        let entries = match std::fs::read_dir(&self.root) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok((usable, unusable));
            }
            Err(error) => return Err(at(&self.root)(error).into()),
        };
        for entry in entries.flatten() {
            let folder = entry.path();
            // What is being installed or removed, downloads and locks.
            let is_temporary = entry.file_name().to_string_lossy().starts_with('.');
            match check_note(&folder) {
                Ok(installed) => usable.push(installed),
                Err(why) if folder.is_dir() && !is_temporary => {
                    unusable.push(UnusableImage { folder, why });
                }
                Err(_) => {}
            }
        }
        usable.sort_by(|a, b| (&a.build_id, &a.tag).cmp(&(&b.build_id, &b.tag)));
        unusable.sort_by(|a, b| a.folder.cmp(&b.folder));
        Ok((usable, unusable))
    }

    /// Removes the folders without a usable image that `name` matches, and returns them. Nothing
    /// that their notes name is touched.
    ///
    /// # Errors
    ///
    /// If the folder of the installed images cannot be read, or a folder cannot be renamed
    /// ([`InstallError::Held`]) or deleted.
    pub fn remove_unusable(&self, name: &str) -> Result<Vec<UnusableImage>, InstallError> {
        let mut all = self.unusable()?;
        all.retain(|image| image.is_named(name));
        for image in &all {
            let gone = self.move_to_trash(&image.folder)?;
            unless_gone(gone.close()).map_err(at(&image.folder))?;
        }
        Ok(all)
    }

    /// Returns the installed images that `name` matches, by name or build identifier.
    ///
    /// # Errors
    ///
    /// [`InstallError::NotInstalled`] if nothing matches, [`InstallError::Unusable`] if only a
    /// folder without a usable image does; also if the folder of the installed images cannot be
    /// read.
    pub fn named(&self, name: &str) -> Result<Vec<Installed>, InstallError> {
        let (all, unusable) = self.survey()?;
        let names = all
            .iter()
            .flat_map(|image| [image.name.as_str(), image.build_id.as_str()]);
        let nearest = explain::nearest(name, names).map(str::to_owned);
        let mut all = all;
        all.retain(|image| image.is_named(name));
        if all.is_empty() {
            if let Some(image) = unusable.into_iter().find(|image| image.is_named(name)) {
                return Err(InstallError::Unusable(image));
            }
            let name = name.to_owned();
            return Err(InstallError::NotInstalled { name, nearest });
        }
        Ok(all)
    }

    /// Checks that a release is not older than the installed one of the same image from the same
    /// source: otherwise, someone who controls the source could bring back a release with known
    /// faults.
    ///
    /// # Errors
    ///
    /// If it is older; or if it is `signed`, which calls for more care, and the tags do not tell
    /// which is the newer one.
    pub fn refuse_older(
        &self,
        source: &Source,
        image: &ReleaseImage,
        tag: &Tag,
        signed: bool,
    ) -> Result<(), InstallError> {
        let latest = source.latest().to_string();
        for installed in self.list()? {
            let same = installed.name == image.receipt.name
                && installed.source.latest().to_string() == latest;
            if !same || installed.sha256 == identity(image) {
                continue;
            }
            let (offered, installed) = (tag.to_string(), installed.tag.to_string());
            match order(&offered, &installed) {
                Some(Ordering::Less) => return Err(InstallError::Downgrade { offered, installed }),
                None if signed => return Err(InstallError::UnknownOrder { offered, installed }),
                _ => {}
            }
        }
        Ok(())
    }

    /// Renames a folder, so that it disappears at once; it is deleted when the returned value is
    /// dropped.
    pub(super) fn move_to_trash(&self, folder: &Path) -> Result<tempfile::TempDir, InstallError> {
        let trash = tempfile::Builder::new()
            .prefix(TRASH_PREFIX)
            .tempdir_in(&self.root)
            .map_err(at(&self.root))?;
        // Keep its name, by which a later run recognizes it.
        let name = folder.file_name().unwrap_or("image".as_ref());
        match rename(folder, &trash.path().join(name)) {
            Ok(()) => Ok(trash),
            Err(source) => Err(InstallError::Held {
                folder: folder.to_owned(),
                source,
            }),
        }
    }

    /// Returns the folders that removals have renamed but not deleted yet, each with its note, in
    /// which the image has its original path.
    pub(super) fn taken_away(&self) -> Vec<(PathBuf, Option<Installed>)> {
        let entries = std::fs::read_dir(&self.root).into_iter().flatten();
        let entries = entries.flatten();
        let going = entries.filter(|entry| {
            entry
                .file_name()
                .to_string_lossy()
                .starts_with(TRASH_PREFIX)
        });
        let with_note = |trash: PathBuf| {
            let inside = std::fs::read_dir(&trash).into_iter().flatten().flatten();
            let note = inside.filter_map(|entry| read_note(&entry.path())).next();
            let note = note.and_then(|mut note| {
                let within = note.image.strip_prefix(&trash).ok()?;
                note.image = self.root.join(within);
                Some(note)
            });
            (trash, note)
        };
        going.map(|entry| with_note(entry.path())).collect()
    }

    /// Removes old remains of killed runs: downloads that were not continued, and images that were
    /// never completely installed or removed. `now` is the caller's clock.
    pub fn prune_leftovers(&self, now: SystemTime) {
        remove_leftovers(&self.root.join(PARTIAL), now, |_| true);
        remove_leftovers(&self.root, now, |name| {
            name.starts_with(STAGING_PREFIX) || name.starts_with(TRASH_PREFIX)
        });
    }

    /// Writes the environment of an image that an earlier Sysforge installed without one. If the
    /// store of another user cannot be written to, the image is used unchanged.
    pub(super) fn complete(&self, installed: &Installed, image: &ReleaseImage) {
        let script = installed.folder().join(image_environment::START_SCRIPT);
        if !script.is_file() {
            let _ = write_environment(installed.folder(), &image.receipt.packages);
        }
    }

    /// Rewrites the note of an installed image.
    ///
    /// # Errors
    ///
    /// If the note cannot be written.
    pub fn note(&self, image: &Installed) -> Result<(), InstallError> {
        Ok(write_note(image.folder(), image)?)
    }

    fn folder_of(&self, image: &ReleaseImage) -> PathBuf {
        let name = folder_name(image.build_id(), identity(image));
        self.root.join(name)
    }

    /// Returns the image of the index, if it is installed and unchanged.
    pub(super) fn find(&self, image: &ReleaseImage) -> Result<Option<Installed>, InstallError> {
        let note = read_note(&self.folder_of(image));
        let expected = image.receipt.image.sha256;
        Ok(note.filter(|note| {
            local::sha256_of(&note.image, 0, u64::MAX).is_ok_and(|digest| digest == expected)
        }))
    }

    /// Waits until no other process installs this image, and removes remains of a killed run.
    pub(super) async fn turn(
        &self,
        image: &ReleaseImage,
        reporter: &Reporter,
    ) -> Result<InstallLock, InstallError> {
        let path = self.root.join(".locks").join(image.build_id().as_str());
        let doing = format!("installing {}", image.build_id());
        let lock = wait_for(|| local::try_lock(&path), &doing, reporter).await?;
        if lock.is_real() {
            self.sweep(&coming(image))?;
        }
        Ok(InstallLock { lock })
    }

    /// Removes the folders with this prefix, which no process uses.
    fn sweep(&self, prefix: &str) -> Result<(), InstallError> {
        for entry in std::fs::read_dir(&self.root).map_err(at(&self.root))? {
            let entry = entry.map_err(at(&self.root))?;
            if entry.file_name().to_string_lossy().starts_with(prefix) {
                let path = entry.path();
                std::fs::remove_dir_all(&path).map_err(at(&path))?;
            }
        }
        Ok(())
    }

    /// Returns the path that the archive is downloaded to. The digest is part of the name, so that
    /// a download is only continued for the same bytes.
    pub(super) fn partial(
        &self,
        image: &ReleaseImage,
        turn: &InstallLock,
    ) -> Result<PathBuf, InstallError> {
        let folder = self.root.join(PARTIAL);
        sysforge_files::create_folders(&folder).map_err(at(&folder))?;
        let digest = image.archive.sha256;
        Ok(folder.join(match turn.lock.is_real() {
            true => format!("{digest}.archive"),
            // Other processes may download the same file: each uses its own path.
            false => format!("{digest}-{}.archive", std::process::id()),
        }))
    }

    /// Unpacks an archive next to its final folder, and verifies it.
    pub(super) async fn unpack(
        &self,
        image: &ReleaseImage,
        archive: &Path,
        mut note: Installed,
    ) -> Result<StagedImage, InstallError> {
        let target = self.folder_of(image);
        note.image = target.join(image.receipt.image_path());
        let (root, archive, image) = (self.root.clone(), archive.to_owned(), image.clone());
        let unpacked = tokio::task::spawn_blocking(move || {
            let folder = tempfile::Builder::new()
                .prefix(&coming(&image))
                .tempdir_in(&root)
                .map_err(at(&root))?;
            unpack(&archive, &image, folder.path())?;
            write_environment(folder.path(), &image.receipt.packages)?;
            write_note(folder.path(), &note)?;
            Ok::<_, InstallError>((folder, note))
        });
        let (folder, note) = match unpacked.await {
            Ok(unpacked) => unpacked?,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        };
        Ok(StagedImage {
            folder,
            destination: target,
            note,
        })
    }

    /// Moves an unpacked image to its final folder.
    pub(super) fn keep(
        &self,
        image: &ReleaseImage,
        fresh: StagedImage,
        turn: &InstallLock,
    ) -> Result<Installed, InstallError> {
        // If locks do not work, another process may have been faster, and its result may be in use.
        if !turn.lock.is_real()
            && let Some(installed) = self.find(image)?
        {
            return Ok(installed);
        }
        if fresh.destination.exists() {
            // It is damaged, or has no note.
            let gone = self.move_to_trash(&fresh.destination)?;
            gone.close().map_err(at(&fresh.destination))?;
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            // A temporary folder is private; a shared store is readable by everybody.
            let mode = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(fresh.folder(), mode).map_err(at(&fresh.destination))?;
        }
        rename(fresh.folder(), &fresh.destination).map_err(at(&fresh.destination))?;
        // It was renamed and must not be removed.
        let _ = fresh.folder.keep();
        Ok(fresh.note)
    }
}

/// Returns the prefix of the folder that an image is unpacked in. It is short because Windows
/// limits the length of paths, and artifacts are deeply nested.
fn coming(image: &ReleaseImage) -> String {
    format!("{STAGING_PREFIX}{}-", image.receipt.image.sha256.short(12))
}

/// Returns the digest that tells whether two releases have the same content: that of the image or,
/// for apps and libraries, whose other files may have changed, that of the archive.
fn identity(image: &ReleaseImage) -> Sha256 {
    match image.receipt.bundle {
        None => image.receipt.image.sha256,
        Some(_) => image.archive.sha256,
    }
}

/// Returns the name of an installed image's folder.
fn folder_name(build_id: &BuildId, sha256: Sha256) -> String {
    format!("{build_id}-{}", sha256.short(12))
}

/// Reads the note of the image in `folder`; `None` if there is no complete image.
fn read_note(folder: &Path) -> Option<Installed> {
    check_note(folder).ok()
}

/// Reads the note of the image in `folder`, or returns why there is no usable image. The image's
/// folder is that of its note, whatever the note contains: a foreign note must not make `remove` and
/// `upgrade` touch another folder.
fn check_note(folder: &Path) -> Result<Installed, String> {
    let bytes =
        read_regular(&folder.join(NOTE), NOTE_LIMIT).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => format!("it has no {NOTE}"),
            std::io::ErrorKind::IsADirectory => format!("{NOTE} in it is a folder"),
            _ => format!("{NOTE} in it cannot be read: {error}"),
        })?;
    let mut note: Installed =
        json::parse(&bytes).map_err(|error| format!("{NOTE} in it is damaged: {error}"))?;
    if note.schema != SCHEMA {
        return Err(format!(
            "{NOTE} in it has the schema `{}`, and this Sysforge reads `{SCHEMA}`",
            text::shortened(&note.schema, 60)
        ));
    }
    // An image that is being installed or removed has a note, but its folder has another name.
    let name = folder_name(&note.build_id, note.sha256);
    if folder.file_name() != Some(name.as_ref()) {
        return Err(format!("{NOTE} in it is that of another image, {name}"));
    }
    let file = note.image.file_name().and_then(|name| name.to_str());
    let file = file.and_then(|name| FileName::new(name).ok());
    let file = file.ok_or_else(|| format!("{NOTE} in it names no image file"))?;
    note.image = folder.join(note.image_folder()).join(file);
    match note.image.is_file() {
        true => Ok(note),
        false => Err(format!("it has no file {}", note.image.display())),
    }
}

fn write_note(folder: &Path, note: &Installed) -> Result<(), crate::PublishError> {
    local::write_whole(&folder.join(NOTE), text::json(note).as_bytes())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The note of an installed image, of which no file exists.
    pub(in crate::install) fn example(image: PathBuf) -> Installed {
        Installed {
            schema: SCHEMA.to_owned(),
            build_id: "demo-julia1.12.7-x86_64-linux-gnu".parse().unwrap(),
            name: "demo".parse().unwrap(),
            source: Source::parse("octo/images", |_| false).unwrap(),
            tag: "v1.0.0".parse().unwrap(),
            image,
            sha256: Sha256::new([1; 32]),
            built_for: JuliaBuild {
                version: "1.12.7".parse().unwrap(),
                commit: String::new(),
                triplet: sysforge_plan::Triplet::X86_64_LINUX_GNU,
            },
            julia: PathBuf::new(),
            apps: Vec::new(),
            library: None,
            launchers: Vec::new(),
            channels: Vec::new(),
            files: Vec::new(),
            keys: Vec::new(),
            signed_for: None,
            attested: false,
        }
    }

    /// An installed app `tally` below `store`, whose image has this digest.
    pub(in crate::install) fn installed_app(store: &Path, digest: u8) -> Installed {
        let build_id: BuildId = "demo-app-julia1.12.7-x86_64-linux-gnu".parse().unwrap();
        let sha256 = Sha256::new([digest; 32]);
        let folder = store.join(folder_name(&build_id, sha256));
        let image = folder.join(IMAGE_FOLDER).join("demo.so");
        for path in [&image, &folder.join("bin/tally")] {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let installed = Installed {
            build_id,
            name: "demo-app".parse().unwrap(),
            source: Source::parse("./release", |_| false).unwrap(),
            tag: "v1".parse().unwrap(),
            sha256,
            apps: vec!["tally".to_owned()],
            ..example(image)
        };
        write_note(&folder, &installed).unwrap();
        installed
    }

    #[test]
    fn an_app_is_found_by_its_note_and_removed_whole() {
        let dir = tempfile::tempdir().unwrap();
        let installed = installed_app(dir.path(), 3);
        let images = Images::open(dir.path());
        assert_eq!(
            images.named("demo-app").unwrap(),
            std::slice::from_ref(&installed)
        );
        images.remove(&installed).unwrap();
        assert!(images.list().unwrap().is_empty());
        assert!(!installed.folder().exists());
    }

    #[test]
    fn a_folder_that_is_ignored_is_named_with_the_reason_and_can_be_removed() {
        let dir = tempfile::tempdir().unwrap();
        let images = Images::open(dir.path());
        let installed = installed_app(dir.path(), 3);
        let (folder, note) = (installed.folder(), installed.folder().join(NOTE));
        let good: serde_json::Value = serde_json::to_value(&installed).unwrap();
        let changed = |key: &str, value: &str| {
            let mut note = good.clone();
            note[key] = value.into();
            note.to_string().into_bytes()
        };
        let foreign = dir.path().join("foreign");
        std::fs::write(&foreign, "of the user").unwrap();
        for (bytes, why) in [
            (b"".to_vec(), "installed.json in it is damaged: it is empty"),
            (b"{}".to_vec(), "it has no `schema`"),
            (changed("schema", "x/1"), "has the schema `x/1`"),
            (
                changed("build_id", "demo-app-julia1.12.7-aarch64-apple-darwin"),
                "that of another image, demo-app-julia1.12.7-aarch64-apple-darwin-030303030303",
            ),
            (changed("image", "/etc/passwd"), "it has no file"),
            (changed("image", "/"), "names no image file"),
            (changed("tag", "../x"), "`tag`: "),
        ] {
            std::fs::write(&note, bytes).unwrap();
            assert!(images.list().unwrap().is_empty());
            let unusable = images.unusable().unwrap();
            assert_eq!(unusable.len(), 1, "{unusable:?}");
            let said = unusable[0].to_string();
            assert!(said.contains(why), "{said}");
            assert!(said.contains(&folder.display().to_string()), "{said}");
            let error = images.named("demo-app").unwrap_err();
            assert!(matches!(error, InstallError::Unusable(_)), "{error}");
        }
        std::fs::remove_file(&note).unwrap();
        assert!(
            images.unusable().unwrap()[0]
                .why
                .contains("has no installed.json")
        );

        let mut planted = good;
        planted["schema"] = "x/1".into();
        planted["launchers"] = serde_json::json!([foreign]);
        std::fs::write(&note, planted.to_string()).unwrap();
        assert!(images.remove_unusable("demo").unwrap().is_empty());
        for name in ["", "x", "demo-app-julia1.12.7"] {
            assert!(images.remove_unusable(name).unwrap().is_empty(), "{name}");
        }
        assert_eq!(images.remove_unusable("demo-app").unwrap().len(), 1);
        assert!(!folder.exists());
        assert_eq!(std::fs::read(&foreign).unwrap(), b"of the user");
        assert!(images.unusable().unwrap().is_empty());
        let error = images.named("demo-app").unwrap_err();
        assert!(
            matches!(error, InstallError::NotInstalled { .. }),
            "{error}"
        );
    }

    #[test]
    fn a_note_whose_apps_are_no_names_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let mut installed = installed_app(dir.path(), 3);
        installed.apps = vec!["../../evil".to_owned()];
        write_note(installed.folder(), &installed).unwrap();
        assert!(Images::open(dir.path()).list().unwrap().is_empty());
    }
}
