//! Creates archives in memory, both valid and malicious ones.

use std::io::{Cursor, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
pub use tar::EntryType;
use tar::{Builder, Header};

/// The modification time of files in these archives: 2024-05-06 07:08:09 UTC.
pub const MTIME: u64 = 1_714_979_289;

/// A tar file builder. It accepts any names and link targets, including invalid ones.
pub struct Tar {
    builder: Builder<Vec<u8>>,
}

impl Default for Tar {
    fn default() -> Self {
        Self::new()
    }
}

impl Tar {
    /// An empty tar file.
    pub fn new() -> Self {
        Self {
            builder: Builder::new(Vec::new()),
        }
    }

    /// Adds a file.
    #[must_use]
    pub fn file(self, name: &str, mode: u32, content: &[u8]) -> Self {
        self.raw(EntryType::Regular, name, "", mode, content)
    }

    /// Adds a folder.
    #[must_use]
    pub fn folder(self, name: &str) -> Self {
        self.raw(EntryType::Directory, name, "", 0o755, b"")
    }

    /// Adds a symbolic link.
    #[must_use]
    pub fn symlink(self, name: &str, target: &str) -> Self {
        self.raw(EntryType::Symlink, name, target, 0o777, b"")
    }

    /// Adds a hard link.
    #[must_use]
    pub fn hard_link(self, name: &str, target: &str) -> Self {
        self.raw(EntryType::Link, name, target, 0o644, b"")
    }

    /// Adds an entry of any type.
    #[must_use]
    pub fn raw(self, kind: EntryType, name: &str, target: &str, mode: u32, content: &[u8]) -> Self {
        self.announced(kind, name, target, mode, content.len() as u64, content)
    }

    /// Adds an entry whose header announces a different size than it has.
    #[must_use]
    pub fn announced(
        mut self,
        kind: EntryType,
        name: &str,
        target: &str,
        mode: u32,
        size: u64,
        content: &[u8],
    ) -> Self {
        let mut header = Header::new_gnu();
        // The library refuses invalid names, so write the header's fields directly.
        let gnu = header.as_gnu_mut().unwrap();
        gnu.name[..name.len()].copy_from_slice(name.as_bytes());
        gnu.linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_mtime(MTIME);
        header.set_size(size);
        header.set_cksum();
        self.builder.append(&header, content).unwrap();
        self
    }

    /// Returns the uncompressed tar file.
    pub fn plain(self) -> Vec<u8> {
        self.builder.into_inner().unwrap()
    }

    /// Returns the tar file compressed with Zstandard.
    pub fn zst(self) -> Vec<u8> {
        zstd::encode_all(self.plain().as_slice(), 1).unwrap()
    }

    /// Returns the tar file compressed with xz.
    pub fn xz(self) -> Vec<u8> {
        let options = lzma_rust2::XzOptions::with_preset(1);
        let mut writer = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
        writer.write_all(&self.plain()).unwrap();
        writer.finish().unwrap()
    }

    /// Returns the tar file compressed with gzip.
    pub fn gz(self) -> Vec<u8> {
        gzip(&self.plain())
    }
}

/// Compresses with gzip at the fastest level.
pub fn gzip(plain: &[u8]) -> Vec<u8> {
    gzip_at(plain, Compression::fast())
}

/// Compresses with gzip at the highest level.
pub fn gzip_best(plain: &[u8]) -> Vec<u8> {
    gzip_at(plain, Compression::best())
}

fn gzip_at(plain: &[u8], level: Compression) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), level);
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// A minimal installation that looks like Julia, with `filler` incompressible bytes.
pub fn tiny_julia(version: &str, filler: usize) -> Tar {
    let top = format!("julia-{version}");
    Tar::new()
        .folder(&format!("{top}/"))
        .folder(&format!("{top}/bin/"))
        .file(
            &format!("{top}/bin/julia"),
            0o755,
            format!("#!/bin/sh\necho 'julia version {version}'\n").as_bytes(),
        )
        .folder(&format!("{top}/lib/"))
        .file(&format!("{top}/lib/libjulia.so.1"), 0o755, &noise(filler))
        .symlink(&format!("{top}/lib/libjulia.so"), "libjulia.so.1")
        .file(
            &format!("{top}/share/julia/base.jl"),
            0o644,
            b"module Base end",
        )
}

/// Returns the same installation as a zip file.
pub fn tiny_julia_zip(version: &str, filler: usize) -> Vec<u8> {
    let top = format!("julia-{version}");
    zip_of(&[
        (&format!("{top}/bin/julia"), 0o100_755, b"#!/bin/sh\n"),
        (
            &format!("{top}/lib/libjulia.so.1"),
            0o100_755,
            &noise(filler),
        ),
        (
            &format!("{top}/lib/libjulia.so"),
            0o120_777,
            b"libjulia.so.1",
        ),
    ])
}

/// A zip file from names, Unix modes including the file type, and contents.
pub fn zip_of(files: &[(&str, u32, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, mode, content) in files {
        let time = zip::DateTime::from_date_and_time(2024, 5, 6, 7, 8, 8).unwrap();
        let options = zip::write::SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Deflated)
            .last_modified_time(time)
            .unix_permissions(*mode);
        // DOS times have a resolution of two seconds; the Unix field has one second.
        let mut extra = vec![1];
        extra.extend_from_slice(&u32::try_from(MTIME).unwrap().to_le_bytes());
        let mut options = options.into_full_options();
        options.add_extra_field(0x5455, extra, false).unwrap();
        if mode & 0o170_000 == 0o120_000 {
            let target = String::from_utf8(content.to_vec()).unwrap();
            writer.add_symlink(*name, target, options).unwrap();
        } else {
            writer.start_file(*name, options).unwrap();
            writer.write_all(content).unwrap();
        }
    }
    writer.finish().unwrap().into_inner()
}

/// Returns the same installation as a 7-Zip file.
pub fn tiny_julia_7z(version: &str, filler: usize) -> Vec<u8> {
    use sevenz_rust2::{ArchiveEntry, ArchiveWriter, NtTime};
    let top = format!("julia-{version}");
    let mut writer = ArchiveWriter::new(Cursor::new(Vec::new())).unwrap();
    for (name, mode, content) in [
        ("bin/julia", 0o100_755_u32, b"#!/bin/sh\n".to_vec()),
        ("lib/libjulia.so.1", 0o100_755, noise(filler)),
        ("lib/libjulia.so", 0o120_777, b"libjulia.so.1".to_vec()),
    ] {
        let mut entry = ArchiveEntry::new_file(&format!("{top}/{name}"));
        entry.has_last_modified_date = true;
        entry.last_modified_date = NtTime::new(u64::from(NtTime::UNIX_EPOCH) + MTIME * 10_000_000);
        entry.has_windows_attributes = true;
        entry.windows_attributes = mode << 16 | 0x8000;
        writer
            .push_archive_entry(entry, Some(content.as_slice()))
            .unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// Incompressible bytes, always the same (xorshift64*).
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        bytes.extend_from_slice(&state.wrapping_mul(0x2545_F491_4F6C_DD1D).to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
