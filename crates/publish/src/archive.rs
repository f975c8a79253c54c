//! Inspecting an archive in one pass without unpacking it: the digest of its bytes, the files in
//! it, and the git tree hash that Pkg knows its content by.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use sysforge_archive::{
    self as reader, Blob, Cancel, Error, FileEntry, GitTree, Guarded, Limits, Links, Sink, Tree,
    fits_windows,
};
use sysforge_plan::app::AppRecord;
use sysforge_plan::digest::{Hasher, Hashing};
use sysforge_plan::platform::Os;
use sysforge_plan::receipt::ObjectKind;
use sysforge_plan::text::{PlainName, Rule as _};
use sysforge_plan::{ArchiveFormat, Receipt, Sha256, library};

use crate::error::PublishError;
use crate::local::{CHUNK, at};

/// A file in an archive, or a symbolic link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Size in bytes; for a link, that of its target path.
    pub size: u64,
    /// Its digest.
    pub sha256: Sha256,
}

/// The folder next to the image for artifacts that it needs, with the same name as in Julia's
/// depots.
pub const ARTIFACTS: &str = "artifacts";

/// The content of an archive.
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
    /// `git-tree-sha1` of the content, computed as Pkg does.
    pub tree: String,
}

impl Inspected {
    /// Returns how the files in the archive differ from its receipt, if they do.
    pub fn difference(&self, receipt: &Receipt) -> Option<String> {
        let image = &receipt.image;
        let os = receipt.julia.triplet.os();
        if let Some((name, why)) = self.unfit(os) {
            return Some(format!("it holds `{name}`, {why}"));
        }
        if let Some(name) = self.misplaced(receipt) {
            return Some(format!("it holds `{name}`, which belongs to no image"));
        }
        if let Some(name) = self.missing(receipt) {
            return Some(format!("it lacks `{name}`, which its receipt names"));
        }
        match self.entries.get(&receipt.image_path()) {
            None => Some(format!("the image {} is not in it", image.name)),
            Some(entry) if entry.sha256 != image.sha256 => Some(format!(
                "the image in it is {}, and the receipt says {}",
                entry.sha256, image.sha256
            )),
            Some(_) => None,
        }
    }

    /// Returns a file that cannot be unpacked on the system that the archive is for, and why.
    fn unfit(&self, os: Os) -> Option<(&str, String)> {
        let mut paths = self.entries.keys();
        let invalid = |path: &&String| path.split('/').any(|name| !fits_windows(name));
        if os == Os::Windows
            && let Some(path) = paths.clone().find(invalid)
        {
            return Some((path, "whose name is not possible on Windows".to_owned()));
        }
        let ignores_case = matches!(os, Os::Windows | Os::MacOs);
        let mut seen = BTreeMap::new();
        let twin = paths.find_map(|path| {
            let other = seen.insert(path.to_lowercase(), path)?;
            Some((path.as_str(), format!("the same file as `{other}` on {os}")))
        });
        twin.filter(|_| ignores_case)
    }

    /// Returns a file of an app in an archive whose receipt is that of an image, if there is one.
    fn misplaced(&self, receipt: &Receipt) -> Option<&str> {
        let top = |name: &&String| name.split('/').next().unwrap_or_default().to_owned();
        let names = self.entries.keys();
        let mut of_apps = names.filter(|name| library::FOLDERS.contains(&top(name).as_str()));
        of_apps
            .next()
            .filter(|_| receipt.bundle.is_none())
            .map(String::as_str)
    }

    /// Returns a file that is not in the archive, although its receipt says so, if there is one:
    /// the executable of an app, or another file of a bundle.
    fn missing(&self, receipt: &Receipt) -> Option<String> {
        let bundle = receipt.bundle.as_ref()?;
        let suffix = receipt.julia.triplet.os().conventions().exe_suffix;
        let executable = |app: &AppRecord| format!("bin/{}{suffix}", app.name);
        let executables = bundle.apps.iter().map(executable);
        let others = bundle.files.iter().map(|file| file.path.clone());
        executables
            .chain(others)
            .find(|path| !self.entries.contains_key(path))
    }
}

/// The name of the receipt inside every archive.
pub const RECEIPT: &str = "receipt.json";

/// Maximum size of a receipt, in bytes. Most have some kilobytes, and those with many statements some megabytes.
pub(crate) const RECEIPT_LIMIT: u64 = 64 << 20;

/// Inspects an archive.
///
/// # Errors
///
/// If it cannot be read, or contains anything but plain files at its top level.
pub fn inspect(path: &Path) -> Result<Inspected, PublishError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    read_into(path, &name, |_| Discard).map(|(inspected, _)| inspected)
}

/// Unpacks an archive that is called `name`, whatever its file is called on this machine, into the
/// empty folder `folder`, and inspects it in the same pass.
///
/// # Errors
///
/// Those of [`inspect`], or if a link leads out of the folder, or a file cannot be written. Then
/// the folder may contain a part of the archive.
pub fn unpack(path: &Path, name: &str, folder: &Path) -> Result<Inspected, PublishError> {
    let to_folder = |limits| {
        let (links, cancel) = (Links::default(), Cancel::default());
        Tree::new(folder.to_owned(), limits, links, cancel)
    };
    let (inspected, tree) = read_into(path, name, to_folder)?;
    tree.finish().map_err(refused(path))?;
    Ok(inspected)
}

/// Inspects an archive and passes its entries to the sink that `sink` creates.
fn read_into<S: Sink>(
    path: &Path,
    name: &str,
    sink: impl FnOnce(Limits) -> S,
) -> Result<(Inspected, S), PublishError> {
    let (format, file, limits) = open(path, name)?;
    let inspector = Inspector {
        sink: sink(limits),
        entries: BTreeMap::new(),
        git: GitTree::default(),
        tops: BTreeMap::new(),
        receipt: Vec::new(),
    };
    let mut guarded = Guarded::guard(inspector, 0, limits, Cancel::default());
    let sha256 = reader::unpack_hashed(format, file, &mut guarded).map_err(refused(path))?;
    let inspector = guarded.into_inner();
    let inspected = Inspected {
        sha256,
        size: limits.packed.unwrap_or_default(),
        tree: inspector.git.hash(),
        entries: inspector.entries,
        receipt: inspector.receipt,
    };
    Ok((inspected, inspector.sink))
}

/// Opens an archive, with the reader's limits for an archive of its size.
fn open(path: &Path, name: &str) -> Result<(ArchiveFormat, std::fs::File, Limits), PublishError> {
    let format = format_of(path, name)?;
    let file = sysforge_files::open_regular(path).map_err(at(path))?;
    let packed = file.metadata().map_err(at(path))?.len();
    let limits = Limits {
        packed: Some(packed),
        ..Limits::default()
    };
    Ok((format, file, limits))
}

/// Converts an error of the reader, for an archive of a release.
fn refused(path: &Path) -> impl Fn(Error) -> PublishError + use<> {
    let path = path.to_owned();
    move |error| match error {
        Error::Write { path, source } => PublishError::Io { path, source },
        // An error of the machine, not of the archive.
        Error::Broken(source) if source.raw_os_error().is_some() => PublishError::Io {
            path: path.clone(),
            source,
        },
        Error::Broken(source) => altered(&path, format!("it is damaged: {source}")),
        error => altered(&path, error.to_string()),
    }
}

/// Returns the format of an image's archive of this name.
fn format_of(path: &Path, name: &str) -> Result<ArchiveFormat, PublishError> {
    ArchiveFormat::of_image(name)
        .ok_or_else(|| altered(path, "it is no archive that Sysforge makes".to_owned()))
}

/// Whether a path is allowed: the files of an image are at the top level, except those of
/// artifacts; the files of apps are in their folders.
fn belongs(name: &str) -> bool {
    let mut parts = name.split('/');
    match parts.next() {
        Some(top)
            if top == ARTIFACTS || (library::FOLDERS.contains(&top) && name.contains('/')) =>
        {
            let mut below = parts.peekable();
            below.peek().is_some() && below.all(|part| !matches!(part, "" | "." | ".."))
        }
        _ => PlainName::check(name).is_ok(),
    }
}

fn is_folder_of_artifacts(name: &str) -> bool {
    let name = name.trim_end_matches('/');
    name == ARTIFACTS || library::FOLDERS.contains(&name) || (name.contains('/') && belongs(name))
}

fn altered(path: &Path, what: String) -> PublishError {
    PublishError::Altered {
        path: path.to_owned(),
        what,
    }
}

/// Computes the digests of everything in an archive, and passes it on.
struct Inspector<S> {
    sink: S,
    entries: BTreeMap<String, Entry>,
    git: GitTree,
    /// The names at the top level by their lower case: on some systems, two names that differ only
    /// in case are the same file.
    tops: BTreeMap<String, String>,
    receipt: Vec<u8>,
}

impl<S: Sink> Sink for Inspector<S> {
    fn folder(&mut self, path: &str, modified: u64) -> Result<(), Error> {
        match is_folder_of_artifacts(path) {
            true => self.sink.folder(path, modified),
            false => Err(forbidden(path, "a folder that no image has")),
        }
    }

    fn file(&mut self, path: &str, entry: &FileEntry, content: &mut dyn Read) -> Result<(), Error> {
        self.check_name(path)?;
        let kept = (path == RECEIPT).then_some(&mut self.receipt);
        let content = Hashing::new(Keeping { content, kept });
        let mut content = Blob::new(entry.size, content);
        self.sink.file(path, entry, &mut content)?;
        let (Hashing { hasher, .. }, blob) = content.finish();
        if hasher.count() != entry.size {
            return Err(Error::Malformed(format!("`{path}` in it is cut short")));
        }
        let kind = ObjectKind::of_mode(entry.mode);
        self.add(path, kind, &hasher, blob);
        Ok(())
    }

    fn symlink(&mut self, path: &str, target: &str, modified: u64) -> Result<(), Error> {
        if !path.contains('/') {
            return Err(forbidden(
                path,
                "a link, which no image has beside its files",
            ));
        }
        self.check_name(path)?;
        let mut hasher = Hasher::default();
        hasher.update(target.as_bytes());
        let blob = Blob::of(target.as_bytes());
        self.add(path, ObjectKind::Link, &hasher, blob);
        self.sink.symlink(path, target, modified)
    }

    fn hard_link(&mut self, path: &str, _: &str) -> Result<(), Error> {
        Err(forbidden(path, "a hard link, which no image has"))
    }
}

fn forbidden(path: &str, kind: &'static str) -> Error {
    Error::Forbidden {
        name: path.to_owned(),
        kind,
    }
}

impl<S> Inspector<S> {
    fn check_name(&mut self, name: &str) -> Result<(), Error> {
        if !belongs(name) {
            return Err(Error::Name {
                name: name.to_owned(),
                why: "no file of an image or an app has",
            });
        }
        let top = name.split('/').next().unwrap_or(name);
        let same = self.tops.entry(top.to_lowercase());
        let is_new = same.or_insert_with(|| top.to_owned()) == top
            && !self.entries.contains_key(name)
            && !self.is_also_a_folder(name);
        match is_new {
            true => Ok(()),
            false => Err(Error::Conflict {
                name: name.to_owned(),
            }),
        }
    }

    /// Returns whether another entry is inside `name`, or a folder of `name` is a file.
    fn is_also_a_folder(&self, name: &str) -> bool {
        let inside = format!("{name}/");
        let mut following = self.entries.range(inside.clone()..);
        let mut parents = name.match_indices('/').map(|(at, _)| &name[..at]);
        following
            .next()
            .is_some_and(|(other, _)| other.starts_with(&inside))
            || parents.any(|parent| self.entries.contains_key(parent))
    }

    fn add(&mut self, name: &str, kind: ObjectKind, hasher: &Hasher, blob: [u8; 20]) {
        let entry = Entry {
            size: hasher.count(),
            sha256: hasher.digest(),
        };
        self.git.add(name, kind, blob);
        self.entries.insert(name.to_owned(), entry);
    }
}

/// Discards all entries.
struct Discard;

impl Sink for Discard {
    fn folder(&mut self, _: &str, _: u64) -> Result<(), Error> {
        Ok(())
    }

    fn file(&mut self, _: &str, _: &FileEntry, content: &mut dyn Read) -> Result<(), Error> {
        let mut content = std::io::BufReader::with_capacity(CHUNK, content);
        std::io::copy(&mut content, &mut std::io::sink()).map_err(Error::reading)?;
        Ok(())
    }

    fn symlink(&mut self, _: &str, _: &str, _: u64) -> Result<(), Error> {
        Ok(())
    }

    fn hard_link(&mut self, _: &str, _: &str) -> Result<(), Error> {
        Ok(())
    }
}

/// A file whose content is kept while it is read, if it is the receipt.
struct Keeping<'a> {
    content: &'a mut dyn Read,
    kept: Option<&'a mut Vec<u8>>,
}

impl Read for Keeping<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.content.read(buffer)?;
        if let Some(kept) = &mut self.kept {
            if (kept.len() + count) as u64 > RECEIPT_LIMIT {
                return Err(std::io::Error::other(Error::TooMuch {
                    limit: RECEIPT_LIMIT,
                    unit: "bytes in its receipt",
                }));
            }
            kept.extend_from_slice(&buffer[..count]);
        }
        Ok(count)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::process::Command;

    use super::*;

    /// Packs `files` as the `pack` crate does: plain files without folders.
    pub(crate) fn tar_gz(path: &Path, files: &[(&str, &[u8])]) {
        use sysforge_testkit::archives::Tar;
        let tar = files.iter().fold(Tar::new(), |tar, (name, bytes)| {
            tar.file(name, 0o644, bytes)
        });
        std::fs::write(path, tar.gz()).unwrap();
    }

    #[test]
    fn one_pass_tells_what_sha256sum_and_git_tell() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.tar.gz");
        tar_gz(&path, &[("image.so", b"image"), ("receipt.json", b"{}")]);
        let inspected = inspect(&path).unwrap();
        assert_eq!(inspected.sha256, Sha256::of(std::fs::read(&path).unwrap()));
        assert_eq!(inspected.entries["image.so"].sha256, Sha256::of(b"image"));
        assert_eq!(inspected.receipt, b"{}");

        if cfg!(windows) && Command::new("git").arg("--version").output().is_err() {
            sysforge_testkit::skip("there is no git to compare with");
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
    fn names_that_the_system_of_the_archive_cannot_hold_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.tar.gz");
        let unfit = |names: &[&str], os| {
            let files: Vec<(&str, &[u8])> = names.iter().map(|name| (*name, &b"x"[..])).collect();
            tar_gz(&path, &files);
            let inspected = inspect(&path).unwrap();
            inspected.unfit(os).map(|(name, _)| name.to_owned())
        };
        for name in ["nul.txt", "aux", "a:b", "what?", "end."] {
            let path = format!("artifacts/0123/{name}");
            assert_eq!(unfit(&[&path], Os::Windows), Some(path.clone()));
            for os in [Os::Linux, Os::MacOs, Os::FreeBsd] {
                assert_eq!(unfit(&[&path], os), None);
            }
        }
        let twins = ["artifacts/0123/Data", "artifacts/0123/data"];
        for os in [Os::Windows, Os::MacOs] {
            assert_eq!(unfit(&twins, os).as_deref(), Some(twins[1]));
        }
        assert_eq!(unfit(&twins, Os::Linux), None);
        assert_eq!(unfit(&["artifacts/0123/libx.dll.a"], Os::Windows), None);
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
        unpack(&path, "a.tar.gz", &out).unwrap();
        let link = out.join("artifacts/0123/lib/z.so");
        assert!(link.is_symlink());
        assert_eq!(std::fs::read(link).unwrap(), b"z");
    }

    #[test]
    fn an_archive_with_folders_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.tar.gz");
        tar_gz(&path, &[("other/image.so", b"image")]);
        let error = inspect(&path).unwrap_err().to_string();
        assert!(
            error.contains("the name `other/image.so`, which no file of an image or an app has"),
            "{error}"
        );
    }

    #[test]
    fn names_that_differ_only_in_case_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.tar.gz");
        let receipt = ("receipt.json", &b"{}"[..]);
        for other in ["Receipt.JSON", "receipt.json", "RECEIPT.json"] {
            tar_gz(&path, &[receipt, (other, b"other")]);
            let error = inspect(&path).unwrap_err().to_string();
            assert!(error.contains(&format!("`{other}` twice")), "{error}");
        }
        tar_gz(&path, &[("artifacts/a/x", b"1"), ("Artifacts", b"2")]);
        let error = inspect(&path).unwrap_err().to_string();
        assert!(error.contains("`Artifacts` twice"), "{error}");
        // An artifact contains the files of its author, who may have made it only for Linux.
        tar_gz(&path, &[("artifacts/a/N", b"1"), ("artifacts/a/n", b"2")]);
        assert_eq!(inspect(&path).unwrap().entries.len(), 2);
    }

    #[test]
    fn a_name_that_is_a_file_and_a_folder_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.tar.gz");
        let names = ["artifacts/a", "artifacts/a-b", "artifacts/a/b/c"];
        for order in [[0, 1, 2], [2, 1, 0]] {
            let files = order.map(|index| (names[index], &b"x"[..]));
            tar_gz(&path, &files);
            let error = inspect(&path).unwrap_err().to_string();
            assert!(error.contains("twice"), "{error}");
        }
        tar_gz(&path, &[("artifacts/a/b", b"x"), ("artifacts/a-b", b"x")]);
        inspect(&path).unwrap();
    }

    #[test]
    fn links_out_of_an_image_are_refused_before_it_is_published() {
        use sysforge_testkit::archives::Tar;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.tar.gz");
        for (target, is_inside) in [("../x", true), ("../../x", true), ("../../../x", false)] {
            let tar = Tar::new().symlink("artifacts/a/link", target);
            std::fs::write(&path, tar.gz()).unwrap();
            let inspected = inspect(&path);
            assert_eq!(inspected.is_ok(), is_inside, "{target}: {inspected:?}");
        }
    }

    #[test]
    fn a_name_of_too_many_folders_is_refused_and_does_not_overflow_the_stack() {
        use sysforge_testkit::archives::{EntryType, Tar};
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.tar.gz");
        for depth in [200, 10_000] {
            let name = format!("artifacts/{}x", "d/".repeat(depth));
            let tar = Tar::new()
                .raw(EntryType::GNULongName, "@", "", 0o644, name.as_bytes())
                .file("x", 0o644, b"x");
            std::fs::write(&path, tar.gz()).unwrap();
            let error = inspect(&path).unwrap_err();
            assert!(matches!(error, PublishError::Altered { .. }), "{error}");
            assert!(
                error.to_string().contains("exceeds the limit of"),
                "{error}"
            );
        }
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
        let digest = Sha256::of(b"image");
        assert_eq!(inspected.entries["image.dll"].sha256, digest);
        for bad in [
            good[..good.len() / 2].to_vec(),
            b"<!DOCTYPE html>".to_vec(),
            zip_of(&[("other/image.dll", 0o100_644, b"image")]),
        ] {
            std::fs::write(&path, bad).unwrap();
            let error = inspect(&path).unwrap_err();
            assert!(matches!(error, PublishError::Altered { .. }), "{error}");
        }
    }
}
