//! Writes the archive. Compression starts as soon as there is an image, while the image is being
//! checked; the receipt, which contains the result of the check, is added last. No file appears in
//! the dist directory under its final name before [`Packing::finish`].

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use sysforge_archive::{Blob, GitTree, Writer};
use sysforge_files::{rename, write_whole};
use sysforge_plan::archive::ArchiveFormat;
use sysforge_plan::receipt::{FileRecord, ObjectKind};
use sysforge_plan::text::FileName;
use sysforge_plan::{BuildId, Receipt, Reporter, Sha256, Step, Task};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::RECEIPT_NAME;
use crate::error::PackError;
use crate::hashing::Hashing;
use crate::sums;

/// The modes of the image, which may be loaded and run, and of text files.
const IMAGE_MODE: u32 = 0o755;
const TEXT_MODE: u32 = 0o644;

/// The archive's writer, which also hashes its output.
type ArchiveWriter = Writer<Hashing<File>>;

/// The result of packing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// The path of the archive.
    pub archive: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// Its digest.
    pub sha256: Sha256,
    /// The path of the receipt's separate file.
    pub receipt: PathBuf,
}

/// An archive that is being written. Dropping it cancels the compression and removes the incomplete
/// file.
pub struct Packing {
    thread: tokio::task::JoinHandle<Result<(ArchiveWriter, GitTree, FileRecord), PackError>>,
    partial: Partial,
    archive: PathBuf,
    /// Whether the dist directory was empty.
    is_new: bool,
    id: BuildId,
    cancel: CancellationToken,
    _cancel_on_drop: DropGuard,
    task: Task,
}

/// A file that is removed on drop, unless it was renamed.
struct Partial(PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        // Fails if it was renamed, which is fine.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The content of an archive.
#[derive(Debug, Clone)]
pub struct Content {
    /// The image.
    pub image: PathBuf,
    /// Its path in the archive.
    pub image_path: String,
    /// Folders and files to include, each with its name in the archive. The image is left out if
    /// one of them contains it.
    pub trees: Vec<(String, PathBuf)>,
}

impl Content {
    /// An image at the top level of its archive.
    #[must_use]
    pub fn of_image(image: &Path, trees: Vec<(String, PathBuf)>) -> Self {
        Self {
            image_path: file_name(image),
            image: image.to_owned(),
            trees,
        }
    }
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

impl Packing {
    /// Starts to pack `image` as the build `id` into `dist`, with this many compression threads.
    /// `trees` are folders to include, each with its name in the archive.
    ///
    /// # Errors
    ///
    /// If the dist directory or the archive cannot be created.
    pub fn start(
        image: &Path,
        trees: Vec<(String, PathBuf)>,
        id: &BuildId,
        format: ArchiveFormat,
        dist: &Path,
        threads: usize,
        reporter: &Reporter,
    ) -> Result<Self, PackError> {
        let content = Content::of_image(image, trees);
        Self::start_with(content, id, format, dist, threads, reporter)
    }

    /// Does the same as [`Packing::start`], for any `content`.
    ///
    /// # Errors
    ///
    /// Those of [`Packing::start`].
    pub fn start_with(
        content: Content,
        id: &BuildId,
        format: ArchiveFormat,
        dist: &Path,
        threads: usize,
        reporter: &Reporter,
    ) -> Result<Self, PackError> {
        std::fs::create_dir_all(dist).map_err(PackError::io("create", dist))?;
        let is_new = is_empty(dist);
        let archive = dist.join(format!("{id}.{}", format.extension()));
        let partial = dist.join(format!(".{id}.{}.partial", format.extension()));
        let task = reporter.start(Step::Pack, id.to_string());
        let file = sysforge_files::create(&partial).map_err(PackError::io("create", &partial))?;
        let partial = Partial(partial);
        let cancel = CancellationToken::new();
        let sink = Hashing::new(file, cancel.clone());
        let (to, cancelled) = (archive.clone(), cancel.clone());
        let thread = tokio::task::spawn_blocking(move || {
            let mut writer =
                Writer::new(format, sink, threads).map_err(PackError::io("write", &to))?;
            let Content {
                image,
                image_path,
                trees,
            } = content;
            let mut git = GitTree::default();
            let record = add_image(&mut writer, &mut git, &image, &image_path, &to, cancelled)?;
            for (name, folder) in trees {
                add_tree(&mut writer, &mut git, &name, &folder, &image, &to)?;
            }
            Ok((writer, git, record))
        });
        Ok(Self {
            thread,
            partial,
            archive,
            is_new,
            id: id.clone(),
            _cancel_on_drop: cancel.clone().drop_guard(),
            cancel,
            task,
        })
    }

    /// Waits until the image is compressed, adds the receipt that `describe` creates for it, and
    /// moves the archive, the receipt and the checksums into place.
    ///
    /// # Errors
    /// If a file cannot be written, or the receipt does not account for every statement. Then no
    /// new files appear.
    pub async fn finish(
        self,
        describe: impl FnOnce(FileRecord) -> Receipt,
    ) -> Result<(Packed, Receipt), PackError> {
        let Self {
            thread,
            partial,
            archive,
            is_new,
            id,
            cancel,
            _cancel_on_drop,
            task,
        } = self;
        let (mut writer, git, record) = thread.await.map_err(PackError::Panicked)??;
        let receipt = Receipt {
            objects: git.objects(),
            ..describe(record)
        };
        receipt.statements.check().map_err(PackError::Unaccounted)?;
        let json = receipt.to_json();
        let packed = tokio::task::spawn_blocking(move || {
            let size = json.len() as u64;
            let sink = writer
                .file(RECEIPT_NAME, TEXT_MODE, size, &mut json.as_bytes())
                .and_then(|()| writer.finish())
                .map_err(PackError::io("write", &archive))?;
            let (file, sha256, size) = sink.finish();
            // Not synced to disk, which would take as long as the compression: after a power
            // failure, the checksums detect lost data, and every consumer of an archive verifies
            // them.
            drop(file);
            if cancel.is_cancelled() {
                return Err(PackError::Interrupted);
            }
            if let (true, Some(dist)) = (is_new, archive.parent()) {
                ignore(dist)?;
            }
            move_into_place(&partial, archive, &id, &json, sha256, size)
        })
        .await
        .map_err(PackError::Panicked)??;
        task.done(format!("{} MB", packed.size.div_ceil(1_000_000)));
        Ok((packed, receipt))
    }
}

/// Keeps a dist directory out of version control.
fn ignore(dist: &Path) -> Result<(), PackError> {
    let path = dist.join(".gitignore");
    write_whole(&path, b"*\n").map_err(PackError::io("write", &path))
}

/// Whether a folder is empty; a folder that the user filled is not ignored.
fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}

/// Moves the files into place, the checksums last: the archive does not count as complete before
/// they match.
fn move_into_place(
    partial: &Partial,
    archive: PathBuf,
    id: &BuildId,
    json: &str,
    sha256: Sha256,
    size: u64,
) -> Result<Packed, PackError> {
    let dist = archive.parent().unwrap_or(Path::new("."));
    let receipt = dist.join(format!("{id}.receipt.json"));
    rename(&partial.0, &archive).map_err(PackError::io("write", &archive))?;
    write_whole(&receipt, json.as_bytes()).map_err(PackError::io("write", &receipt))?;
    let (receipt_sha256, _) = crate::sha256_of(&receipt)?;
    let name = |path: &Path| {
        path.file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    };
    sums::update(
        dist,
        &[(name(&archive), sha256), (name(&receipt), receipt_sha256)],
    )?;
    Ok(Packed {
        archive,
        size,
        sha256,
        receipt,
    })
}

/// Adds a file, also to the tree of git objects.
fn add_file<R: Read>(
    writer: &mut ArchiveWriter,
    git: &mut GitTree,
    path: &str,
    mode: u32,
    size: u64,
    content: R,
) -> io::Result<R> {
    let mut blob = Blob::new(size, content);
    writer.file(path, mode, size, &mut blob)?;
    let (content, hash) = blob.finish();
    git.add(path, ObjectKind::of_mode(mode), hash);
    Ok(content)
}

/// Adds the image, and hashes it at the same time.
fn add_image(
    writer: &mut ArchiveWriter,
    git: &mut GitTree,
    image: &Path,
    image_path: &str,
    archive: &Path,
    cancelled: CancellationToken,
) -> Result<FileRecord, PackError> {
    let file = sysforge_files::open_regular(image).map_err(PackError::io("open", image))?;
    let size = file.metadata().map_err(PackError::io("read", image))?.len();
    let reader = Hashing::new(BufReader::with_capacity(256 << 10, file), cancelled.clone());
    let reader = add_file(writer, git, image_path, IMAGE_MODE, size, reader).map_err(|source| {
        match cancelled.is_cancelled() {
            true => PackError::Interrupted,
            false => PackError::io("write", archive)(source),
        }
    })?;
    let (_, sha256, size) = reader.finish();
    let name = FileName::new(file_name(image))
        .map_err(|error| PackError::io("read", image)(io::Error::other(error)))?;
    Ok(FileRecord { name, size, sha256 })
}

/// Returns the record of an image that is not packed.
///
/// # Errors
///
/// If the image cannot be read.
pub fn record_of(image: &Path) -> Result<FileRecord, PackError> {
    let (sha256, size) = crate::sha256_of(image)?;
    let name = FileName::new(file_name(image))
        .map_err(|error| PackError::io("read", image)(io::Error::other(error)))?;
    Ok(FileRecord { name, size, sha256 })
}

/// Adds a folder and everything below it, in the order of the names.
fn add_tree(
    writer: &mut ArchiveWriter,
    git: &mut GitTree,
    name: &str,
    folder: &Path,
    image: &Path,
    archive: &Path,
) -> Result<(), PackError> {
    let write = |source| PackError::io("write", archive)(source);
    for entry in walkdir::WalkDir::new(folder).sort_by_file_name() {
        let entry = entry.map_err(|error| PackError::io("read", folder)(error.into()))?;
        let path = entry.path();
        let Ok(below) = path.strip_prefix(folder) else {
            continue;
        };
        if path == image {
            continue;
        }
        let parts = below.iter().map(|part| part.to_string_lossy().into_owned());
        let inside: Vec<_> = std::iter::once(name.to_owned()).chain(parts).collect();
        let inside = inside.join("/");
        let read = |source| PackError::io("read", path)(source);
        if entry.file_type().is_symlink() {
            let target = std::fs::read_link(path).map_err(read)?;
            // Artifacts made on Windows contain no links; on other systems the separator is `/`.
            writer.symlink(&inside, &target).map_err(write)?;
            let target = target.to_string_lossy();
            let mut blob = Blob::new(target.len() as u64, target.as_bytes());
            io::copy(&mut blob, &mut io::sink()).map_err(read)?;
            git.add(&inside, ObjectKind::Link, blob.finish().1);
        } else if entry.file_type().is_file() {
            let file = sysforge_files::open_regular(path).map_err(read)?;
            let metadata = file.metadata().map_err(read)?;
            let (mode, size) = (mode_of(&metadata), metadata.len());
            add_file(writer, git, &inside, mode, size, BufReader::new(file)).map_err(write)?;
        }
    }
    Ok(())
}

/// Returns the mode of an archived file, which depends only on whether the file is executable.
#[cfg(unix)]
fn mode_of(metadata: &std::fs::Metadata) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    match metadata.permissions().mode() & 0o111 {
        0 => TEXT_MODE,
        _ => IMAGE_MODE,
    }
}

/// Windows has no executable mode, so every file of an artifact is treated as executable.
#[cfg(not(unix))]
fn mode_of(_: &std::fs::Metadata) -> u32 {
    IMAGE_MODE
}
