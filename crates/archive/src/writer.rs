//! Writes archives. The same entries produce the same bytes, on every system and for any number of
//! threads: times, owners and modes are fixed.

use std::fs::{File, Metadata};
use std::io::{self, BufReader, Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use ::zip::write::{SimpleFileOptions, StreamWriter};
use ::zip::{CompressionMethod, DateTime, ZipWriter};
use gzp::ZWriter;
use gzp::deflate::Mgzip;
use gzp::par::compress::{ParCompress, ParCompressBuilder};
use sysforge_plan::receipt::{ObjectKind, ObjectRecord};
use sysforge_plan::{ArchiveFormat, PathError};

use crate::git::{Blob, GitTree};

/// The time of every entry, in seconds since 1970: 1 January 1980, the earliest that a zip file
/// supports. With real times, the same image would produce different bytes.
const MTIME: u64 = 315_532_800;

/// libdeflate's level, and the size in bytes of a block, which becomes a separate gzip member (RFC
/// 1952 allows many in one file). Measured on an image of 163 MB with two threads: 37.7 MB in 1.0
/// s; pigz -6 makes 37.4 MB in 2.2 s, zlib-rs 44.3 MB in 1.0 s with level 6 and 37.3 MB in 3.0 s
/// with 9.
const GZIP_LEVEL: u32 = 7;
const GZIP_BLOCK: usize = 1 << 20;

/// zstd's default level, and the size in bytes of a job for one thread: with the default of 8 MB,
/// most threads wait for the last one.
const ZSTD_LEVEL: i32 = 3;
const ZSTD_JOB: u32 = 2 << 20;

/// Returns the mode of an archived file.
#[cfg(unix)]
fn mode_of(metadata: &Metadata) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    match metadata.permissions().mode() & 0o111 {
        0 => 0o644,
        _ => 0o755,
    }
}

/// Returns the mode of an archived file. Windows has no executable mode, so every file is treated
/// as executable.
#[cfg(not(unix))]
fn mode_of(_: &Metadata) -> u32 {
    0o755
}

/// Writes an archive to a `W`.
pub struct Writer<W: Write + Send + 'static> {
    format: Format<W>,
    sink: SharedSink<W>,
    git: GitTree,
}

enum Format<W: Write + Send + 'static> {
    TarGz(Box<::tar::Builder<ParCompress<'static, Mgzip, SharedSink<W>>>>),
    TarZst(Box<::tar::Builder<zstd::Encoder<'static, SharedSink<W>>>>),
    Zip(Box<ZipWriter<StreamWriter<SharedSink<W>>>>),
}

impl<W: Write + Send + 'static> Writer<W> {
    /// Starts an archive with this many compressing threads.
    ///
    /// # Errors
    ///
    /// If images are not packed in this format ([`ArchiveFormat::IMAGES`]), or the compressor
    /// cannot start.
    pub fn new(format: ArchiveFormat, sink: W, threads: usize) -> io::Result<Self> {
        let sink = SharedSink::new(sink);
        let out = sink.clone();
        let format = match format {
            ArchiveFormat::TarZst => {
                let mut encoder = zstd::Encoder::new(out, ZSTD_LEVEL)?;
                // At least one worker: the bytes are the same for every number except zero.
                encoder.multithread(u32::try_from(threads.max(1)).unwrap_or(1))?;
                encoder.set_parameter(zstd::zstd_safe::CParameter::JobSize(ZSTD_JOB))?;
                encoder.include_checksum(true)?;
                Format::TarZst(Box::new(::tar::Builder::new(encoder)))
            }
            ArchiveFormat::Zip => Format::Zip(Box::new(ZipWriter::new_stream(out))),
            ArchiveFormat::TarGz => {
                let encoder = ParCompressBuilder::<Mgzip>::new()
                    .num_threads(threads.max(1))
                    .map_err(io::Error::other)?
                    .buffer_size(GZIP_BLOCK)
                    .map_err(io::Error::other)?
                    .compression_level(gzp::Compression::new(GZIP_LEVEL))
                    .from_writer(out);
                Format::TarGz(Box::new(::tar::Builder::new(encoder)))
            }
            ArchiveFormat::TarXz | ArchiveFormat::SevenZ => {
                let reason = format!("images are not packed as {format}");
                return Err(io::Error::new(io::ErrorKind::Unsupported, reason));
            }
        };
        let git = GitTree::default();
        Ok(Self { format, sink, git })
    }

    /// Returns the entries at the top level so far, as git objects.
    pub fn objects(&self) -> Vec<ObjectRecord> {
        self.git.objects()
    }

    /// Adds a file of exactly `size` bytes.
    ///
    /// # Errors
    ///
    /// If `data` cannot be read or has another length, or the archive cannot be written.
    pub fn file(
        &mut self,
        name: &str,
        mode: u32,
        size: u64,
        data: &mut dyn Read,
    ) -> io::Result<()> {
        let checked = Checked {
            data,
            sink: &self.sink,
        };
        let mut data = Blob::new(size, checked);
        match &mut self.format {
            Format::TarGz(tar) => tar.append_data(&mut header(mode, size), name, &mut data)?,
            Format::TarZst(tar) => tar.append_data(&mut header(mode, size), name, &mut data)?,
            Format::Zip(zip) => {
                let options = SimpleFileOptions::default()
                    .compression_method(CompressionMethod::Deflated)
                    .last_modified_time(DateTime::default())
                    .unix_permissions(mode)
                    .large_file(size > u64::from(u32::MAX));
                zip.start_file(name, options).map_err(io::Error::other)?;
                io::copy(&mut data, zip)?;
            }
        }
        let kind = ObjectKind::of_mode(mode);
        self.git.add(name, kind, data.finish().1);
        self.sink.check()
    }

    /// Adds a file, or the files and links in a folder in the order of their names, as `name`;
    /// modes say only whether a file is executable. `skip` is a file to leave out, and `archive`
    /// the archive's path, for errors.
    ///
    /// # Errors
    ///
    /// If a file cannot be read, or the archive cannot be written.
    pub fn tree(
        &mut self,
        name: &str,
        folder: &Path,
        skip: Option<&Path>,
        archive: &Path,
    ) -> Result<(), PathError> {
        let write = |source| PathError::wrap("write", archive, |error| error)(source);
        for entry in walkdir::WalkDir::new(folder).sort_by_file_name() {
            let read = |path, source| PathError::wrap("read", path, |error| error)(source);
            let entry = entry.map_err(|error| read(folder, error.into()))?;
            let path = entry.path();
            let read = |source| read(path, source);
            let below = path.strip_prefix(folder).unwrap_or(path);
            let inside = Path::new(name).join(below);
            let parts = inside.iter().map(|part| part.to_string_lossy());
            let name = parts.collect::<Vec<_>>().join("/");
            if skip == Some(path) {
                continue;
            }
            if entry.file_type().is_symlink() {
                // Folders made on Windows contain no links; on other systems the separator is `/`.
                let target = std::fs::read_link(path).map_err(read)?;
                self.symlink(&name, &target).map_err(write)?;
            } else if entry.file_type().is_file() {
                let file = File::open(path).map_err(read)?;
                let metadata = file.metadata().map_err(read)?;
                let (mode, size) = (mode_of(&metadata), metadata.len());
                self.file(&name, mode, size, &mut BufReader::new(file))
                    .map_err(write)?;
            }
        }
        Ok(())
    }

    /// Adds a symbolic link.
    ///
    /// # Errors
    ///
    /// If the format cannot express the name or the target, or the archive cannot be written.
    pub fn symlink(&mut self, name: &str, target: &Path) -> io::Result<()> {
        let mut header = header(0o777, 0);
        header.set_entry_type(::tar::EntryType::Symlink);
        match &mut self.format {
            Format::TarGz(tar) => tar.append_link(&mut header, name, target)?,
            Format::TarZst(tar) => tar.append_link(&mut header, name, target)?,
            Format::Zip(zip) => {
                let options = SimpleFileOptions::default().last_modified_time(DateTime::default());
                zip.add_symlink(name, target.to_string_lossy(), options)
                    .map_err(io::Error::other)?;
            }
        }
        let target = target.to_string_lossy();
        self.git
            .add(name, ObjectKind::Link, Blob::of(target.as_bytes()));
        self.sink.check()
    }

    /// Finishes the archive and returns its sink.
    ///
    /// # Errors
    ///
    /// If the rest of the archive cannot be compressed or written, or an earlier write failed.
    pub fn finish(self) -> io::Result<W> {
        let ended = match self.format {
            Format::TarGz(tar) => tar
                .into_inner()
                .and_then(|mut encoder| encoder.finish().map(drop).map_err(io::Error::other)),
            Format::TarZst(tar) => tar
                .into_inner()
                .and_then(|encoder| encoder.finish().map(drop)),
            Format::Zip(zip) => zip.finish().map(drop).map_err(io::Error::other),
        };
        // The sink's own error says more than the compressor's.
        self.sink.check()?;
        ended?;
        self.sink.into_inner()
    }
}

fn header(mode: u32, size: u64) -> ::tar::Header {
    let mut header = ::tar::Header::new_gnu();
    header.set_entry_type(::tar::EntryType::Regular);
    header.set_mode(mode);
    header.set_mtime(MTIME);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(size);
    header
}

/// The data of a file. Ends early if the archive can no longer be written.
struct Checked<'a, W> {
    data: &'a mut dyn Read,
    sink: &'a SharedSink<W>,
}

impl<W> Read for Checked<'_, W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.sink.check()?;
        self.data.read(buffer)
    }
}

/// The destination of the archive. The parallel compressor writes from its own thread, does not
/// return its writer, and panics if a write fails; so this records a failure and discards
/// everything written after it.
struct SharedSink<W>(Arc<Mutex<State<W>>>);

struct State<W> {
    sink: Option<W>,
    failed: Option<io::Error>,
}

impl<W> SharedSink<W> {
    fn new(sink: W) -> Self {
        Self(Arc::new(Mutex::new(State {
            sink: Some(sink),
            failed: None,
        })))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State<W>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the failure, if there was one. It is kept for later calls.
    fn check(&self) -> io::Result<()> {
        match &self.lock().failed {
            None => Ok(()),
            Some(error) => Err(match error.raw_os_error() {
                Some(code) => io::Error::from_raw_os_error(code),
                None => io::Error::new(error.kind(), error.to_string()),
            }),
        }
    }

    fn into_inner(self) -> io::Result<W> {
        let sink = self.lock().sink.take();
        sink.ok_or_else(|| io::Error::other("the archive is closed"))
    }
}

impl<W> Clone for SharedSink<W> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<W: Write> SharedSink<W> {
    fn with(&self, act: impl FnOnce(&mut W) -> io::Result<()>) {
        let mut state = self.lock();
        let State { sink, failed } = &mut *state;
        if let (Some(sink), None) = (sink, &failed)
            && let Err(error) = act(sink)
        {
            *failed = Some(error);
        }
    }
}

impl<W: Write> Write for SharedSink<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.with(|sink| sink.write_all(buffer));
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.with(Write::flush);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk that is full after this many bytes.
    struct Full(usize);

    impl Write for Full {
        fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
            self.0 = self
                .0
                .checked_sub(buffer.len())
                .ok_or(io::ErrorKind::StorageFull)?;
            Ok(buffer.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_is_an_error_in_every_format() {
        let noise = sysforge_testkit::archives::noise(5 << 20);
        for format in ArchiveFormat::IMAGES {
            for space in [0, 1000, 3 << 20] {
                let mut writer = Writer::new(format, Full(space), 2).unwrap();
                let size = noise.len() as u64;
                let added = writer.file("image.so", 0o755, size, &mut noise.as_slice());
                let error = added.and_then(|()| writer.finish().map(drop)).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::StorageFull, "{format} {space}");
            }
        }
    }

    #[test]
    fn formats_that_images_are_not_packed_in_are_refused() {
        let error = Writer::new(ArchiveFormat::SevenZ, Vec::new(), 1)
            .err()
            .unwrap();
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
    }
}
