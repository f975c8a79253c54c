//! Writing the archive. Compressing begins as soon as there is an image, while it is being
//! checked; the receipt, which tells the outcome of the check, comes in last. Nothing appears in
//! the dist directory under its own name before [`Packing::finish`].

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gzp::ZWriter;
use gzp::deflate::Mgzip;
use gzp::par::compress::{ParCompress, ParCompressBuilder};
use sysforge_files::{rename, write_whole};
use sysforge_plan::archive::ArchiveFormat;
use sysforge_plan::receipt::FileRecord;
use sysforge_plan::text::FileName;
use sysforge_plan::{BuildId, Receipt, Reporter, Sha256, Step, Task};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::RECEIPT_NAME;
use crate::error::PackError;
use crate::hashing::Hashing;
use crate::sums;

/// The time of every entry, in seconds since 1970: the first of January 1980, the earliest that a
/// zip file can hold. Real times would make the same image give other bytes.
const MTIME: u64 = 315_532_800;

/// The image may be loaded and run, the receipt read.
const IMAGE_MODE: u32 = 0o755;
const TEXT_MODE: u32 = 0o644;

/// libdeflate's level and the bytes of a block, which becomes a gzip member of its own (RFC 1952
/// lets a file have many). Measured on an image of 163 MB with two threads: 37.7 MB in 1.0 s; pigz
/// -6 makes 37.4 MB in 2.2 s, zlib-rs 44.3 MB in 1.0 s with level 6 and 37.3 MB in 3.0 s with 9.
const GZIP_LEVEL: u32 = 7;
const GZIP_BLOCK: usize = 1 << 20;

/// zstd's own default, in pieces of so many bytes for its threads: with 8 MB, its default, most of
/// them wait for the last.
const ZSTD_LEVEL: i32 = 3;
const ZSTD_JOB: u32 = 2 << 20;

type Sink = Hashing<File>;

/// An archive that is being written.
enum Writer {
    TarGz(Box<TarGz>),
    TarZst(Box<tar::Builder<zstd::Encoder<'static, Sink>>>),
    Zip(Box<zip::ZipWriter<zip::write::StreamWriter<Sink>>>),
}

/// The parallel compressor keeps its writer to itself; `sink` gets the file back.
struct TarGz {
    tar: tar::Builder<ParCompress<'static, Mgzip, SharedSink>>,
    sink: SharedSink,
}

/// What came of packing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// The archive.
    pub archive: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// Its digest.
    pub sha256: Sha256,
    /// The receipt beside it.
    pub receipt: PathBuf,
}

/// An archive under way: the image is being compressed. Dropping it stops that and removes what
/// was written.
pub struct Packing {
    thread: tokio::task::JoinHandle<Result<(Writer, FileRecord), PackError>>,
    partial: Partial,
    archive: PathBuf,
    id: BuildId,
    cancel: CancellationToken,
    _cancel_on_drop: DropGuard,
    task: Task,
}

/// A file that is removed unless it was renamed.
struct Partial(PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        // Gone already if it was renamed.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Packing {
    /// Begins to pack `image` as the build `id` into `dist`, with this many compressing threads.
    /// `trees` are folders that go in as well, each under its name in the archive.
    ///
    /// # Errors
    ///
    /// If the dist directory or the archive cannot be made.
    pub fn start(
        image: &Path,
        trees: Vec<(String, PathBuf)>,
        id: &BuildId,
        format: ArchiveFormat,
        dist: &Path,
        threads: usize,
        reporter: &Reporter,
    ) -> Result<Self, PackError> {
        std::fs::create_dir_all(dist).map_err(PackError::io("create", dist))?;
        let archive = dist.join(format!("{id}.{}", format.extension()));
        let partial = dist.join(format!(".{id}.{}.partial", format.extension()));
        let task = reporter.start(Step::Pack, id.to_string());
        let file = File::create(&partial).map_err(PackError::io("create", &partial))?;
        let partial = Partial(partial);
        let cancel = CancellationToken::new();
        let sink = Hashing::new(file, cancel.clone());
        let (from, to, cancelled) = (image.to_owned(), archive.clone(), cancel.clone());
        let thread = tokio::task::spawn_blocking(move || {
            let mut writer =
                Writer::new(format, sink, threads).map_err(PackError::io("write", &to))?;
            let record = writer.add_image(&from, &to, cancelled)?;
            for (name, folder) in trees {
                writer.add_tree(&name, &folder, &to)?;
            }
            Ok((writer, record))
        });
        Ok(Self {
            thread,
            partial,
            archive,
            id: id.clone(),
            _cancel_on_drop: cancel.clone().drop_guard(),
            cancel,
            task,
        })
    }

    /// Waits for the image, adds the receipt that `describe` makes of it, and puts archive,
    /// receipt and checksums in place.
    ///
    /// # Errors
    ///
    /// If something cannot be written; nothing new appears then.
    pub async fn finish(
        self,
        describe: impl FnOnce(FileRecord) -> Receipt,
    ) -> Result<(Packed, Receipt), PackError> {
        let Self {
            thread,
            partial,
            archive,
            id,
            cancel,
            _cancel_on_drop,
            task,
        } = self;
        let (writer, record) = thread.await.map_err(PackError::Died)??;
        let receipt = describe(record);
        let json = receipt.to_json();
        let packed = tokio::task::spawn_blocking(move || {
            let sink = writer
                .finish(json.as_bytes())
                .map_err(PackError::io("write", &archive))?;
            let (file, sha256, size) = sink.finish();
            // Not forced to the disk, which takes as long as compressing: what a power failure
            // loses shows by the checksums, which everyone who takes an archive looks at.
            drop(file);
            if cancel.is_cancelled() {
                return Err(PackError::Interrupted);
            }
            put_in_place(&partial, archive, &id, &json, sha256, size)
        })
        .await
        .map_err(PackError::Died)??;
        task.done(format!("{} MB", packed.size.div_ceil(1_000_000)));
        Ok((packed, receipt))
    }
}

/// The checksums come last: until they fit, nobody takes the new archive for whole.
fn put_in_place(
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

impl Writer {
    fn new(format: ArchiveFormat, sink: Sink, threads: usize) -> io::Result<Self> {
        Ok(match format {
            ArchiveFormat::TarZst => {
                let mut encoder = zstd::Encoder::new(sink, ZSTD_LEVEL)?;
                // At least one worker: the bytes are the same for any number but none.
                encoder.multithread(u32::try_from(threads.max(1)).unwrap_or(1))?;
                encoder.set_parameter(zstd::zstd_safe::CParameter::JobSize(ZSTD_JOB))?;
                encoder.include_checksum(true)?;
                Self::TarZst(Box::new(tar::Builder::new(encoder)))
            }
            ArchiveFormat::Zip => Self::Zip(Box::new(zip::ZipWriter::new_stream(sink))),
            ArchiveFormat::TarGz => {
                let shared = SharedSink::new(sink);
                let encoder = ParCompressBuilder::<Mgzip>::new()
                    .num_threads(threads.max(1))
                    .map_err(io::Error::other)?
                    .buffer_size(GZIP_BLOCK)
                    .map_err(io::Error::other)?
                    .compression_level(gzp::Compression::new(GZIP_LEVEL))
                    .from_writer(shared.clone());
                Self::TarGz(Box::new(TarGz {
                    tar: tar::Builder::new(encoder),
                    sink: shared,
                }))
            }
            // `ArchiveFormat::IMAGES` does not list them.
            ArchiveFormat::TarXz | ArchiveFormat::SevenZ => {
                let reason = format!("images are not packed as {format}");
                return Err(io::Error::new(io::ErrorKind::Unsupported, reason));
            }
        })
    }

    /// Adds the image, hashing it on the way.
    fn add_image(
        &mut self,
        image: &Path,
        archive: &Path,
        cancelled: CancellationToken,
    ) -> Result<FileRecord, PackError> {
        let file = File::open(image).map_err(PackError::io("open", image))?;
        let size = file.metadata().map_err(PackError::io("read", image))?.len();
        let name = image
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let mut reader = Hashing::new(BufReader::with_capacity(256 << 10, file), cancelled.clone());
        self.add(&name, IMAGE_MODE, size, &mut reader)
            .map_err(|source| match cancelled.is_cancelled() {
                true => PackError::Interrupted,
                false => PackError::io("write", archive)(source),
            })?;
        let (_, sha256, size) = reader.finish();
        let name = FileName::new(name)
            .map_err(|error| PackError::io("read", image)(io::Error::other(error)))?;
        Ok(FileRecord { name, size, sha256 })
    }

    /// Adds a folder with all below it, in the order of the names.
    fn add_tree(&mut self, name: &str, folder: &Path, archive: &Path) -> Result<(), PackError> {
        let write = |source| PackError::io("write", archive)(source);
        for entry in walkdir::WalkDir::new(folder).sort_by_file_name() {
            let entry = entry.map_err(|error| PackError::io("read", folder)(error.into()))?;
            let path = entry.path();
            let Ok(below) = path.strip_prefix(folder) else {
                continue;
            };
            let parts = below.iter().map(|part| part.to_string_lossy().into_owned());
            let inside: Vec<_> = std::iter::once(name.to_owned()).chain(parts).collect();
            let inside = inside.join("/");
            let read = |source| PackError::io("read", path)(source);
            if entry.file_type().is_symlink() {
                let target = std::fs::read_link(path).map_err(read)?;
                self.add_link(&inside, &target).map_err(write)?;
            } else if entry.file_type().is_file() {
                let file = File::open(path).map_err(read)?;
                let metadata = file.metadata().map_err(read)?;
                let mut reader = BufReader::new(file);
                let mode = mode_of(&metadata);
                self.add(&inside, mode, metadata.len(), &mut reader)
                    .map_err(write)?;
            }
        }
        Ok(())
    }

    fn add_link(&mut self, name: &str, target: &Path) -> io::Result<()> {
        // Artifacts made on Windows have no links; on other systems `/` is the separator.
        let mut header = header(0o777, 0);
        header.set_entry_type(tar::EntryType::Symlink);
        match self {
            Self::TarGz(inner) => inner.tar.append_link(&mut header, name, target),
            Self::TarZst(tar) => tar.append_link(&mut header, name, target),
            Self::Zip(zip) => {
                let options = zip::write::SimpleFileOptions::default()
                    .last_modified_time(zip::DateTime::default());
                zip.add_symlink(name, target.to_string_lossy(), options)
                    .map_err(io::Error::other)
            }
        }
    }

    fn add(&mut self, name: &str, mode: u32, size: u64, data: &mut dyn Read) -> io::Result<()> {
        match self {
            Self::TarGz(inner) => inner.tar.append_data(&mut header(mode, size), name, data),
            Self::TarZst(tar) => tar.append_data(&mut header(mode, size), name, data),
            Self::Zip(zip) => {
                let options = zip::write::SimpleFileOptions::default()
                    .compression_method(zip::CompressionMethod::Deflated)
                    .last_modified_time(zip::DateTime::default())
                    .unix_permissions(mode)
                    .large_file(size > u64::from(u32::MAX));
                zip.start_file(name, options).map_err(io::Error::other)?;
                io::copy(data, zip).map(drop)
            }
        }
    }

    /// Adds the receipt and ends the archive.
    fn finish(mut self, receipt: &[u8]) -> io::Result<Sink> {
        self.add(RECEIPT_NAME, TEXT_MODE, receipt.len() as u64, &mut {
            receipt
        })?;
        match self {
            Self::TarGz(inner) => {
                let TarGz { tar, sink } = *inner;
                let mut encoder = tar.into_inner()?;
                encoder.finish().map_err(io::Error::other)?;
                drop(encoder);
                sink.into_inner()
            }
            Self::TarZst(tar) => tar.into_inner()?.finish(),
            Self::Zip(zip) => Ok(zip.finish().map_err(io::Error::other)?.into_inner()),
        }
    }
}

/// What of a file's mode is kept: whether it can be executed.
#[cfg(unix)]
fn mode_of(metadata: &std::fs::Metadata) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    match metadata.permissions().mode() & 0o111 {
        0 => TEXT_MODE,
        _ => IMAGE_MODE,
    }
}

/// Windows has no such mode, and what an artifact holds there may be a program.
#[cfg(not(unix))]
fn mode_of(_: &std::fs::Metadata) -> u32 {
    IMAGE_MODE
}

fn header(mode: u32, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_mode(mode);
    header.set_mtime(MTIME);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(size);
    header
}

/// The file, shared with the compressor's writing thread.
#[derive(Clone)]
struct SharedSink(Arc<std::sync::Mutex<Option<Sink>>>);

impl SharedSink {
    fn new(sink: Sink) -> Self {
        Self(Arc::new(std::sync::Mutex::new(Some(sink))))
    }

    fn with<T>(&self, act: impl FnOnce(&mut Sink) -> io::Result<T>) -> io::Result<T> {
        let mut guard = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        act(guard
            .as_mut()
            .ok_or_else(|| io::Error::other("the archive is closed"))?)
    }

    fn into_inner(self) -> io::Result<Sink> {
        let mut guard = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        guard
            .take()
            .ok_or_else(|| io::Error::other("the archive is closed"))
    }
}

impl Write for SharedSink {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.with(|sink| sink.write(buffer))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.with(Write::flush)
    }
}
