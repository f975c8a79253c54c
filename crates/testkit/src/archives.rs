//! Archives made in memory: well-behaved ones, and ones that no honest packer would make.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};

/// The time that files in made archives carry: 2024-05-06 07:08:09 UTC.
pub const MTIME: u64 = 1_714_979_289;

/// A tar file under construction. Names and link targets are taken as they are, however bad.
pub struct Tar {
    builder: Builder<Vec<u8>>,
}

impl Default for Tar {
    fn default() -> Self {
        Self::new()
    }
}

impl Tar {
    /// An empty one.
    #[must_use]
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

    /// Adds anything.
    #[must_use]
    pub fn raw(self, kind: EntryType, name: &str, target: &str, mode: u32, content: &[u8]) -> Self {
        self.announced(kind, name, target, mode, content.len() as u64, content)
    }

    /// Adds something that says it has another size than it has.
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
        // The builder refuses bad names; the header's own fields take anything.
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

    /// The tar file.
    #[must_use]
    pub fn plain(self) -> Vec<u8> {
        self.builder.into_inner().unwrap()
    }

    /// The tar file, compressed with gzip.
    #[must_use]
    pub fn gz(self) -> Vec<u8> {
        gzip(&self.plain())
    }
}

/// Compresses with gzip.
#[must_use]
pub fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// Something in the shape of a Julia, with `filler` bytes that do not compress.
#[must_use]
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

/// Bytes that do not compress, the same each time (xorshift64*).
#[must_use]
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
