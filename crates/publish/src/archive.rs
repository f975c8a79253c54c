//! Looking through an archive in one pass without unpacking it: the digest of its bytes, the
//! files in it, and the git tree that Pkg knows its content by.

use std::collections::BTreeMap;
use std::io::{BufReader, Read};
use std::path::Path;

use sha1::Sha1;
use sha2::Digest;
use sysforge_plan::Sha256;

use crate::error::PublishError;
use crate::local::{self, CHUNK, at};

/// How an archive is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// `.tar.gz`, the only one that every Pkg unpacks.
    TarGz,
    /// `.tar.zst`
    TarZst,
    /// `.zip`
    Zip,
}

impl Packing {
    /// All of them, with the end of the file name.
    pub const ALL: [(Self, &str); 3] = [
        (Self::TarGz, ".tar.gz"),
        (Self::TarZst, ".tar.zst"),
        (Self::Zip, ".zip"),
    ];

    /// How a file of this name is packed.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(_, end)| name.ends_with(end))
            .map(|(packing, _)| *packing)
    }
}

/// A file in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Bytes.
    pub size: u64,
    /// Its digest.
    pub sha256: Sha256,
    blob: [u8; 20],
    executable: bool,
}

/// What an archive holds.
#[derive(Debug)]
pub struct Inspected {
    /// The digest of the archive itself.
    pub sha256: Sha256,
    /// Its size in bytes.
    pub size: u64,
    /// The files in it, by name.
    pub entries: BTreeMap<String, Entry>,
    /// The bytes of `receipt.json`.
    pub receipt: Vec<u8>,
    /// `git-tree-sha1` of the content, as Pkg computes it.
    pub tree: String,
}

/// The name of the receipt inside every archive.
pub const RECEIPT: &str = "receipt.json";

/// A receipt is some kilobytes; more than this is none.
const RECEIPT_LIMIT: u64 = 64 << 20;

/// Looks through an archive.
///
/// # Errors
///
/// If it cannot be read, or holds anything but plain files at its top.
pub fn inspect(path: &Path) -> Result<Inspected, PublishError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    inspect_as(path, &name)
}

/// Looks through an archive that is called `name`, whatever its file is called here.
///
/// # Errors
///
/// As [`inspect`].
pub fn inspect_as(path: &Path, name: &str) -> Result<Inspected, PublishError> {
    let size = std::fs::metadata(path).map_err(at(path))?.len();
    let mut entries = BTreeMap::new();
    let mut receipt = Vec::new();
    let sha256 = walk(path, name, &mut |name, size, executable, reader| {
        let entry = read_entry(path, name, size, executable, reader, &mut receipt)?;
        entries.insert(name.to_owned(), entry);
        Ok(())
    })?;
    let tree = tree_of(&entries);
    Ok(Inspected {
        sha256,
        size,
        entries,
        receipt,
        tree,
    })
}

/// Unpacks the files `wanted` of an archive that is called `name` into `folder`.
///
/// # Errors
///
/// If the archive cannot be read, or a file cannot be written.
pub fn unpack_as(
    path: &Path,
    name: &str,
    wanted: &[&str],
    folder: &Path,
) -> Result<(), PublishError> {
    walk(path, name, &mut |name, _, _, reader| {
        if wanted.contains(&name) {
            let target = folder.join(name);
            let mut file = std::fs::File::create(&target).map_err(at(&target))?;
            std::io::copy(reader, &mut file).map_err(at(&target))?;
            file.sync_all().map_err(at(&target))?;
        }
        Ok(())
    })?;
    Ok(())
}

/// Hands every file of an archive to `each`, and tells the digest of the archive.
fn walk(path: &Path, name: &str, each: &mut Add<'_>) -> Result<Sha256, PublishError> {
    let file = std::fs::File::open(path).map_err(at(path))?;
    let mut add = |name: &str, size, executable, reader: &mut dyn Read| {
        if !sysforge_plan::release::is_plain_name(name) {
            return Err(altered(
                path,
                format!("it holds `{name}`, which is no plain file"),
            ));
        }
        each(name, size, executable, reader)
    };
    match Packing::of(name) {
        Some(Packing::TarGz) => {
            let mut hashing = Hashing::new(BufReader::with_capacity(CHUNK, file));
            tar_entries(
                path,
                flate2::read::MultiGzDecoder::new(&mut hashing),
                &mut add,
            )?;
            hashing.finish(path)
        }
        Some(Packing::TarZst) => {
            let mut hashing = Hashing::new(BufReader::with_capacity(CHUNK, file));
            let decoder = zstd::Decoder::new(&mut hashing).map_err(at(path))?;
            tar_entries(path, decoder, &mut add)?;
            hashing.finish(path)
        }
        Some(Packing::Zip) => {
            zip_entries(path, file, &mut add)?;
            local::sha256_of(path, 0, u64::MAX)
        }
        None => Err(altered(
            path,
            "it is no archive that Sysforge makes".to_owned(),
        )),
    }
}

fn altered(path: &Path, what: String) -> PublishError {
    PublishError::Altered {
        path: path.to_owned(),
        what,
    }
}

type Add<'a> = dyn FnMut(&str, u64, bool, &mut dyn Read) -> Result<(), PublishError> + 'a;

fn tar_entries(path: &Path, reader: impl Read, add: &mut Add<'_>) -> Result<(), PublishError> {
    let mut archive = tar::Archive::new(reader);
    for entry in archive.entries().map_err(at(path))? {
        let mut entry = entry.map_err(at(path))?;
        let kind = entry.header().entry_type();
        let name = entry
            .path()
            .map_err(at(path))?
            .to_string_lossy()
            .into_owned();
        if !kind.is_file() {
            return Err(altered(
                path,
                format!("it holds `{name}`, which is no plain file"),
            ));
        }
        let executable = entry.header().mode().is_ok_and(|mode| mode & 0o100 != 0);
        let size = entry.size();
        add(name.trim_start_matches("./"), size, executable, &mut entry)?;
    }
    // What follows the end marker is read too, so that the digest covers the whole file.
    std::io::copy(&mut archive.into_inner(), &mut std::io::sink()).map_err(at(path))?;
    Ok(())
}

fn zip_entries(path: &Path, file: std::fs::File, add: &mut Add<'_>) -> Result<(), PublishError> {
    let unreadable = |error: zip::result::ZipError| altered(path, error.to_string());
    let mut archive = zip::ZipArchive::new(BufReader::new(file)).map_err(unreadable)?;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(unreadable)?;
        let name = entry.name().map_err(unreadable)?.into_owned();
        let executable = entry.unix_mode().is_some_and(|mode| mode & 0o100 != 0);
        let size = entry.size();
        add(&name, size, executable, &mut entry)?;
    }
    Ok(())
}

fn read_entry(
    path: &Path,
    name: &str,
    size: u64,
    executable: bool,
    reader: &mut dyn Read,
    receipt: &mut Vec<u8>,
) -> Result<Entry, PublishError> {
    let mut blob = Sha1::new();
    blob.update(format!("blob {size}\0"));
    let mut digest = sha2::Sha256::new();
    let (mut read_so_far, mut chunk) = (0, vec![0; CHUNK]);
    loop {
        let read = reader.read(&mut chunk).map_err(at(path))?;
        if read == 0 {
            break;
        }
        let bytes = &chunk[..read];
        blob.update(bytes);
        digest.update(bytes);
        read_so_far += read as u64;
        if name == RECEIPT && read_so_far <= RECEIPT_LIMIT {
            receipt.extend_from_slice(bytes);
        }
    }
    if read_so_far != size {
        return Err(altered(path, format!("`{name}` in it is cut short")));
    }
    Ok(Entry {
        size,
        sha256: Sha256::new(digest.finalize().into()),
        blob: blob.finalize().into(),
        executable,
    })
}

/// The git tree object over plain files: `{mode} {name}\0{blob}` each, in the order of names.
fn tree_of(entries: &BTreeMap<String, Entry>) -> String {
    let mut listed = Vec::new();
    for (name, entry) in entries {
        let mode = if entry.executable { "100755" } else { "100644" };
        listed.extend_from_slice(format!("{mode} {name}\0").as_bytes());
        listed.extend_from_slice(&entry.blob);
    }
    let mut tree = Sha1::new();
    tree.update(format!("tree {}\0", listed.len()));
    tree.update(&listed);
    hex::encode(tree.finalize())
}

/// A reader that keeps the digest of all that went through it.
struct Hashing<R> {
    inner: R,
    digest: sha2::Sha256,
}

impl<R: Read> Hashing<R> {
    fn new(inner: R) -> Self {
        Self {
            inner,
            digest: sha2::Sha256::new(),
        }
    }

    /// Reads what is left, and tells the digest of everything.
    fn finish(mut self, path: &Path) -> Result<Sha256, PublishError> {
        std::io::copy(&mut self, &mut std::io::sink()).map_err(at(path))?;
        Ok(Sha256::new(self.digest.finalize().into()))
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.digest.update(&buffer[..read]);
        Ok(read)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::process::Command;

    use super::*;

    /// Packs `files` as the `pack` room does: flat, plain files.
    pub(crate) fn tar_gz(path: &Path, files: &[(&str, &[u8])]) {
        let file = std::fs::File::create(path).unwrap();
        let gz = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        let mut tar = tar::Builder::new(gz);
        for (name, bytes) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, name, *bytes).unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap();
    }

    #[test]
    fn one_pass_tells_what_sha256sum_and_git_tell() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.tar.gz");
        tar_gz(&path, &[("image.so", b"image"), ("receipt.json", b"{}")]);
        let inspected = inspect(&path).unwrap();
        assert_eq!(
            inspected.sha256,
            local::sha256(&std::fs::read(&path).unwrap())
        );
        assert_eq!(
            inspected.entries["image.so"].sha256,
            local::sha256(b"image")
        );
        assert_eq!(inspected.receipt, b"{}");

        if cfg!(windows) && Command::new("git").arg("--version").output().is_err() {
            eprintln!("skipped: there is no git to compare with");
            return;
        }
        let work = dir.path().join("work");
        std::fs::create_dir(&work).unwrap();
        std::fs::write(work.join("image.so"), b"image").unwrap();
        std::fs::write(work.join("receipt.json"), b"{}").unwrap();
        let git = |arguments: &[&str]| {
            let run = Command::new("git")
                .args(arguments)
                .current_dir(&work)
                .output();
            String::from_utf8(run.unwrap().stdout)
                .unwrap()
                .trim()
                .to_owned()
        };
        git(&["init", "--quiet"]);
        git(&["-c", "core.autocrlf=false", "add", "."]);
        assert_eq!(inspected.tree, git(&["write-tree"]));
    }

    #[test]
    fn an_archive_with_folders_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.tar.gz");
        tar_gz(&path, &[("lib/image.so", b"image")]);
        let error = inspect(&path).unwrap_err().to_string();
        assert!(
            error.contains("`lib/image.so`, which is no plain file"),
            "{error}"
        );
    }

    #[test]
    fn a_truncated_archive_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.tar.gz");
        tar_gz(&path, &[("image.so", &[7; 100_000])]);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        assert!(inspect(&path).is_err());
    }
}
