//! Writes the archive. Compression starts as soon as there is an image, while the image is being
//! checked; the receipt, which contains the result of the check, is added last. No file appears in
//! the dist directory under its final name before [`Packing::finish`].

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use sysforge_archive::Writer;
use sysforge_files::{rename, write_whole};
use sysforge_plan::archive::ArchiveFormat;
use sysforge_plan::digest::{Hasher, Hashing};
use sysforge_plan::receipt::FileRecord;
use sysforge_plan::text::FileName;
use sysforge_plan::{BuildId, Receipt, Reporter, Sha256, Step, Task};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::RECEIPT_NAME;
use crate::error::PackError;
use crate::hashing::{CHUNK, Cancellable};
use crate::sums;

/// The modes of the image, which may be loaded and run, and of text files.
const IMAGE_MODE: u32 = 0o755;
const TEXT_MODE: u32 = 0o644;

/// The archive's writer, which also hashes its output.
type ArchiveWriter = Writer<Hashing<Cancellable<File>>>;

/// The result of packing.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
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
    thread: tokio::task::JoinHandle<Result<(ArchiveWriter, FileRecord), PackError>>,
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
    /// Starts to pack `content` as the build `id` into `dist`, with this many compression threads.
    ///
    /// # Errors
    ///
    /// If the dist directory or the archive cannot be created.
    pub fn start(
        content: Content,
        id: &BuildId,
        format: ArchiveFormat,
        dist: &Path,
        threads: usize,
        reporter: &Reporter,
    ) -> Result<Self, PackError> {
        sysforge_files::create_folders(dist).map_err(PackError::io("create", dist))?;
        let is_new = is_empty(dist);
        let archive = dist.join(format!("{id}.{}", format.extension()));
        let partial = dist.join(format!(".{id}.{}.partial", format.extension()));
        let task = reporter.start(Step::Pack, id.to_string());
        let file = sysforge_files::create(&partial).map_err(PackError::io("create", &partial))?;
        let partial = Partial(partial);
        let cancel = CancellationToken::new();
        let sink = Hashing::new(Cancellable {
            inner: file,
            cancelled: cancel.clone(),
        });
        let (to, cancelled) = (archive.clone(), cancel.clone());
        let thread = tokio::task::spawn_blocking(move || {
            let mut writer =
                Writer::new(format, sink, threads).map_err(PackError::io("write", &to))?;
            let Content {
                image,
                image_path,
                trees,
            } = content;
            let record = add_image(&mut writer, &image, &image_path, &to, cancelled)?;
            for (name, folder) in trees {
                writer
                    .tree(&name, &folder, Some(&image), &to)
                    .map_err(PackError::Io)?;
            }
            Ok((writer, record))
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
        let (mut writer, record) = thread.await.map_err(PackError::Panicked)??;
        let receipt = Receipt {
            objects: writer.objects(),
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
            let Hashing {
                inner: file,
                hasher,
            } = sink;
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
            move_into_place(&partial, archive, &id, &json, &hasher)
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
    hasher: &Hasher,
) -> Result<Packed, PackError> {
    let dist = archive.parent().unwrap_or(Path::new("."));
    let receipt = dist.join(format!("{id}.receipt.json"));
    rename(&partial.0, &archive).map_err(PackError::io("write", &archive))?;
    write_whole(&receipt, json.as_bytes()).map_err(PackError::io("write", &receipt))?;
    let sha256 = hasher.digest();
    let digests = [
        (file_name(&archive), sha256),
        (file_name(&receipt), Sha256::of(json)),
    ];
    sums::update(dist, &digests)?;
    Ok(Packed {
        archive,
        size: hasher.count(),
        sha256,
        receipt,
    })
}

/// Adds the image, and hashes it at the same time.
fn add_image(
    writer: &mut ArchiveWriter,
    image: &Path,
    image_path: &str,
    archive: &Path,
    cancelled: CancellationToken,
) -> Result<FileRecord, PackError> {
    let file = sysforge_files::open_regular(image).map_err(PackError::io("open", image))?;
    let size = file.metadata().map_err(PackError::io("read", image))?.len();
    let mut reader = Hashing::new(Cancellable {
        inner: BufReader::with_capacity(CHUNK, file),
        cancelled: cancelled.clone(),
    });
    writer
        .file(image_path, IMAGE_MODE, size, &mut reader)
        .map_err(|source| match cancelled.is_cancelled() {
            true => PackError::Interrupted,
            false => PackError::io("write", archive)(source),
        })?;
    let (sha256, size) = (reader.hasher.digest(), reader.hasher.count());
    let name = FileName::new(file_name(image))
        .map_err(|error| PackError::io("read", image)(io::Error::other(error)))?;
    Ok(FileRecord { name, size, sha256 })
}

/// Returns the record of an image that is not packed.
///
/// # Errors
///
/// [`PackError::Io`] if the image cannot be read, or its name cannot be that of a file in a
/// release.
pub fn record_of(image: &Path) -> Result<FileRecord, PackError> {
    let (sha256, size) = crate::sha256_of(image)?;
    let name = FileName::new(file_name(image))
        .map_err(|error| PackError::io("read", image)(io::Error::other(error)))?;
    Ok(FileRecord { name, size, sha256 })
}
