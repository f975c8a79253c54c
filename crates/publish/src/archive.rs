//! Looking through an archive in one pass without unpacking it: the digest of its bytes, the
//! files in it, and the git tree that Pkg knows its content by.

use std::collections::BTreeMap;
use std::io::{BufReader, Read};
use std::path::Path;

use sha1::Sha1;
use sha2::Digest;
use sysforge_acquire::unpack::{self, Cancel, Limits, Links, TreeWriter};
use sysforge_plan::text::{PlainName, Rule as _};
use sysforge_plan::{ArchiveFormat, Sha256};

use crate::error::PublishError;
use crate::local::{self, CHUNK, at};

/// A file in an archive, or a symbolic link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Bytes; of a link, those of its target.
    pub size: u64,
    /// Its digest.
    pub sha256: Sha256,
    blob: [u8; 20],
    kind: Kind,
}

/// What git tells apart of what is in a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Program,
    Link,
}

impl Kind {
    fn mode(self) -> &'static str {
        match self {
            Self::File => "100644",
            Self::Program => "100755",
            Self::Link => "120000",
        }
    }
}

/// The folder for artifacts that the image needs, beside it, as in a depot of Julia's.
pub const ARTIFACTS: &str = "artifacts";

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
    let sha256 = walk(path, name, &mut |name, size, kind, reader| {
        let entry = read_entry(path, name, size, kind, reader, &mut receipt)?;
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

/// Unpacks an archive that is called `name` into `folder`, which is empty.
///
/// # Errors
///
/// If the archive cannot be read or tries to leave the folder, or a file cannot be written.
pub fn unpack_as(path: &Path, name: &str, folder: &Path) -> Result<(), PublishError> {
    let format = format_of(path, name)?;
    let refused = |error: unpack::Error| match error {
        unpack::Error::Write { path, source } => PublishError::Io { path, source },
        error => altered(path, error.to_string()),
    };
    let file = std::fs::File::open(path).map_err(at(path))?;
    let packed = file.metadata().map_err(at(path))?.len();
    let limits = Limits {
        packed: Some(packed),
        ..Limits::default()
    };
    let links = Links::default();
    let mut tree = TreeWriter::new(folder.to_owned(), 0, limits, links, Cancel::default());
    unpack::unpack_file(format, file, &mut tree).map_err(refused)?;
    tree.finish().map_err(refused)?;
    Ok(())
}

/// Hands every file of an archive to `each`, and tells the digest of the archive.
fn walk(path: &Path, name: &str, each: &mut Add<'_>) -> Result<Sha256, PublishError> {
    let file = std::fs::File::open(path).map_err(at(path))?;
    let mut add = |name: &str, size, kind, reader: &mut dyn Read| {
        if !belongs(name) || (kind == Kind::Link && !name.contains('/')) {
            return Err(altered(
                path,
                format!("it holds `{name}`, which is no plain file"),
            ));
        }
        each(name, size, kind, reader)
    };
    let format = format_of(path, name)?;
    if !unpack::streams(format) {
        zip_entries(path, file, &mut add)?;
        return local::sha256_of(path, 0, u64::MAX);
    }
    let mut hashing = Hashing::new(file);
    let compressed = BufReader::with_capacity(CHUNK, &mut hashing);
    let plain = unpack::decompressor(format, compressed)
        .map_err(|error| altered(path, error.to_string()))?;
    tar_entries(path, plain, &mut add)?;
    hashing.finish(path)
}

/// How an image's archive of this name is packed.
fn format_of(path: &Path, name: &str) -> Result<ArchiveFormat, PublishError> {
    ArchiveFormat::of_image(name)
        .ok_or_else(|| altered(path, "it is no archive that Sysforge makes".to_owned()))
}

/// Files lie at the top, but for those of artifacts.
fn belongs(name: &str) -> bool {
    let mut parts = name.split('/');
    match parts.next() {
        Some(ARTIFACTS) => {
            let mut below = parts.peekable();
            below.peek().is_some() && below.all(|part| !matches!(part, "" | "." | ".."))
        }
        _ => PlainName::check(name).is_ok(),
    }
}

fn is_folder_of_artifacts(name: &str) -> bool {
    let name = name.trim_end_matches('/');
    name == ARTIFACTS || (name.contains('/') && belongs(name))
}

fn altered(path: &Path, what: String) -> PublishError {
    PublishError::Altered {
        path: path.to_owned(),
        what,
    }
}

type Add<'a> = dyn FnMut(&str, u64, Kind, &mut dyn Read) -> Result<(), PublishError> + 'a;

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
        let name = name.trim_start_matches("./");
        if kind.is_dir() && is_folder_of_artifacts(name) {
            continue;
        }
        if kind.is_symlink() {
            let target = entry.link_name_bytes().unwrap_or_default().into_owned();
            add(name, target.len() as u64, Kind::Link, &mut &target[..])?;
            continue;
        }
        if !kind.is_file() {
            return Err(altered(
                path,
                format!("it holds `{name}`, which is no plain file"),
            ));
        }
        let kind = of_mode(entry.header().mode().unwrap_or(0));
        let size = entry.size();
        add(name, size, kind, &mut entry)?;
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
        if entry.is_dir() && is_folder_of_artifacts(&name) {
            continue;
        }
        let kind = match entry.is_symlink() {
            true => Kind::Link,
            false => of_mode(entry.unix_mode().unwrap_or(0)),
        };
        let size = entry.size();
        add(&name, size, kind, &mut entry)?;
    }
    Ok(())
}

fn of_mode(mode: u32) -> Kind {
    match mode & 0o100 {
        0 => Kind::File,
        _ => Kind::Program,
    }
}

fn read_entry(
    path: &Path,
    name: &str,
    size: u64,
    kind: Kind,
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
        kind,
    })
}

/// The git tree over all entries, as hexadecimal digits.
fn tree_of(entries: &BTreeMap<String, Entry>) -> String {
    let all: Vec<_> = entries.iter().map(|(name, e)| (name.as_str(), e)).collect();
    hex::encode(subtree(&all))
}

/// One tree object: `{mode} {name}\0{object}` for each, in git's order, in which a folder's name
/// ends with a slash.
fn subtree(entries: &[(&str, &Entry)]) -> [u8; 20] {
    let mut folders: BTreeMap<&str, Vec<(&str, &Entry)>> = BTreeMap::new();
    let mut objects = BTreeMap::new();
    for (name, entry) in entries {
        match name.split_once('/') {
            Some((folder, rest)) => folders.entry(folder).or_default().push((rest, entry)),
            None => drop(objects.insert((*name).to_owned(), (entry.kind.mode(), entry.blob))),
        }
    }
    for (folder, below) in folders {
        objects.insert(format!("{folder}/"), ("40000", subtree(&below)));
    }
    let mut listed = Vec::new();
    for (name, (mode, object)) in objects {
        listed.extend_from_slice(format!("{mode} {}\0", name.trim_end_matches('/')).as_bytes());
        listed.extend_from_slice(&object);
    }
    let mut tree = Sha1::new();
    tree.update(format!("tree {}\0", listed.len()));
    tree.update(&listed);
    tree.finalize().into()
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

    #[cfg(unix)]
    #[test]
    fn artifacts_are_part_of_the_tree_and_are_unpacked() {
        let dir = tempfile::tempdir().unwrap();
        let work = dir.path().join("work");
        let below = work.join("artifacts/0123/lib");
        std::fs::create_dir_all(&below).unwrap();
        std::fs::write(work.join("image.so"), b"image").unwrap();
        std::fs::write(below.join("z.so.1"), b"z").unwrap();
        std::fs::write(work.join("artifacts/0123/lib.txt"), b"t").unwrap();
        std::os::unix::fs::symlink("z.so.1", below.join("z.so")).unwrap();
        let path = dir.path().join("a.tar.gz");
        let run = |program: &str, arguments: &[&str]| {
            let run = Command::new(program)
                .args(arguments)
                .current_dir(&work)
                .output()
                .unwrap();
            String::from_utf8(run.stdout).unwrap().trim().to_owned()
        };
        let archive = path.to_str().unwrap();
        run("tar", &["-czf", archive, "image.so", "artifacts"]);
        let inspected = inspect(&path).unwrap();
        run("git", &["init", "--quiet"]);
        run("git", &["-c", "core.autocrlf=false", "add", "."]);
        assert_eq!(inspected.tree, run("git", &["write-tree"]));
        let out = dir.path().join("out");
        std::fs::create_dir(&out).unwrap();
        unpack_as(&path, "a.tar.gz", &out).unwrap();
        let link = out.join("artifacts/0123/lib/z.so");
        assert!(link.is_symlink());
        assert_eq!(std::fs::read(link).unwrap(), b"z");
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

    #[test]
    fn a_damaged_zip_file_is_refused_and_so_is_one_with_folders() {
        use sysforge_testkit::archives::zip_of;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.zip");
        let good = zip_of(&[("image.dll", 0o100_644, b"image")]);
        std::fs::write(&path, &good).unwrap();
        let inspected = inspect(&path).unwrap();
        let digest = local::sha256(b"image");
        assert_eq!(inspected.entries["image.dll"].sha256, digest);
        for bad in [
            good[..good.len() / 2].to_vec(),
            b"<!DOCTYPE html>".to_vec(),
            zip_of(&[("lib/image.dll", 0o100_644, b"image")]),
        ] {
            std::fs::write(&path, bad).unwrap();
            let error = inspect(&path).unwrap_err();
            assert!(matches!(error, PublishError::Altered { .. }), "{error}");
        }
    }
}
