//! Reading a dist directory: checks every build in it against its receipt and its checksum, so that
//! exactly what was built and tested is published.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sysforge_archive::{Blob, GitTree};
use sysforge_files::{read_regular, unless_gone};
use sysforge_plan::receipt::ObjectKind;
use sysforge_plan::release::sums;
use sysforge_plan::text::FileName;
use sysforge_plan::{ArchiveFormat, Receipt, Sha256};

use crate::archive::{self, Inspected, RECEIPT};
use crate::error::PublishError;
use crate::local::{self, at};

/// A file on this machine, with its name, size and digest.
#[derive(Debug, Clone)]
pub struct LocalFile {
    /// Its path.
    pub path: PathBuf,
    /// Its name.
    pub name: String,
    /// Size in bytes.
    pub size: u64,
    /// Its digest.
    pub sha256: Sha256,
}

/// A build that is ready to be published.
#[derive(Debug, Clone)]
pub struct Build {
    /// Its receipt.
    pub receipt: Receipt,
    /// The receipt's file.
    pub receipt_file: LocalFile,
    /// The archive.
    pub archive: LocalFile,
    /// The archive's format.
    pub packing: ArchiveFormat,
    /// `git-tree-sha1` of the archive's content.
    pub tree: String,
}

/// A dist directory, or the merged results of several runners.
#[derive(Debug, Clone)]
pub struct Dist {
    /// The builds, in the order of their identifiers.
    pub builds: Vec<Build>,
    /// Files that are published in addition to the images.
    pub extra: Vec<LocalFile>,
}

/// Maximum size of receipts and lists of checksums, which are read into memory. They have some
/// kilobytes.
const DOCUMENT_LIMIT: u64 = 64 << 20;

/// The suffix of a receipt's file name.
const RECEIPT_END: &str = ".receipt.json";

impl Dist {
    /// Adds further files.
    ///
    /// # Errors
    ///
    /// If one cannot be read, or its name is not accepted by every host.
    pub async fn with_files(mut self, files: &[PathBuf]) -> Result<Self, PublishError> {
        let files = files.to_vec();
        let read = local::blocking(move || {
            let read = |path: &PathBuf| {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let name = FileName::new(name.into_owned())?;
                let size = path.metadata().map_err(at(path))?.len();
                Ok(LocalFile {
                    name: name.to_string(),
                    size,
                    sha256: local::sha256_of(path, 0, u64::MAX)?,
                    path: path.clone(),
                })
            };
            files
                .iter()
                .map(read)
                .collect::<Result<Vec<_>, PublishError>>()
        });
        self.extra.extend(read.await?);
        Ok(self)
    }

    /// Reads `folder` and its subfolders (one per runner, as artifacts are downloaded).
    ///
    /// # Errors
    ///
    /// If there is no build in it, or one does not agree with its receipt.
    pub async fn read(folder: &Path) -> Result<Self, PublishError> {
        let folder = folder.to_owned();
        local::blocking(move || Self::read_now(&folder)).await
    }

    fn read_now(folder: &Path) -> Result<Self, PublishError> {
        let mut receipts = Vec::new();
        for folder in folders(folder)? {
            let sums = read_sums(&folder)?;
            let mut here: Vec<_> = files(&folder)?
                .into_iter()
                .filter(|path| path.to_string_lossy().ends_with(RECEIPT_END))
                .map(|path| (path, sums.clone()))
                .collect();
            receipts.append(&mut here);
        }
        // Inspecting an archive is CPU-bound: inspect as many at once as there are processors.
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        let mut builds: BTreeMap<String, Build> = BTreeMap::new();
        for batch in receipts.chunks(workers) {
            let read: Vec<_> = std::thread::scope(|scope| {
                let running: Vec<_> = batch
                    .iter()
                    .map(|(path, sums)| scope.spawn(|| read_build(path, sums)))
                    .collect();
                running
                    .into_iter()
                    .map(|worker| {
                        worker
                            .join()
                            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                    })
                    .collect()
            });
            for build in read {
                let build = build?;
                let id = build.receipt.build_id.to_string();
                let digest = build.archive.sha256;
                if let Some(other) = builds.insert(id.clone(), build)
                    && other.archive.sha256 != digest
                {
                    return Err(PublishError::Twice(id));
                }
            }
        }
        if builds.is_empty() {
            return Err(PublishError::NothingToPublish(folder.to_owned()));
        }
        Ok(Self {
            builds: builds.into_values().collect(),
            extra: Vec::new(),
        })
    }
}

fn folders(folder: &Path) -> Result<Vec<PathBuf>, PublishError> {
    let mut all = vec![folder.to_owned()];
    match std::fs::read_dir(folder) {
        Ok(entries) => {
            for entry in entries {
                let path = entry.map_err(at(folder))?.path();
                if path.is_dir() {
                    all.push(path);
                }
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(at(folder)(error)),
    }
    all.sort();
    Ok(all)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, PublishError> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(at(folder))? {
        let path = entry.map_err(at(folder))?.path();
        // A receipt that is a folder or a pipe is an error when it is read.
        if path.is_file() || path.to_string_lossy().ends_with(RECEIPT_END) {
            all.push(path);
        }
    }
    all.sort();
    Ok(all)
}

/// Reads `SHA256SUMS` of a folder. If artifacts of several runners were merged into one folder,
/// only the list of one of them remains; archives that it does not name are checked against their
/// receipts only.
fn read_sums(folder: &Path) -> Result<BTreeMap<FileName, Sha256>, PublishError> {
    let path = folder.join(sums::NAME);
    let bytes = unless_gone(read_regular(&path, DOCUMENT_LIMIT)).map_err(at(&path))?;
    let altered = |what: String| PublishError::Altered {
        path: path.clone(),
        what,
    };
    let text = String::from_utf8(bytes).map_err(|_| altered("it is not UTF-8 text".to_owned()))?;
    if !text.trim().is_empty() {
        sums::read_strictly(&text).map_err(|why| altered(format!("it {why}")))?;
    }
    Ok(sums::read(&text))
}

fn read_build(path: &Path, sums: &BTreeMap<FileName, Sha256>) -> Result<Build, PublishError> {
    let bytes = read_regular(path, DOCUMENT_LIMIT).map_err(at(path))?;
    let receipt = Receipt::from_json(&bytes).map_err(|source| PublishError::Receipt {
        path: path.to_owned(),
        source,
    })?;
    let stem = path
        .to_string_lossy()
        .strip_suffix(RECEIPT_END)
        .map(str::to_owned)
        .unwrap_or_default();
    let (packing, archive) = ArchiveFormat::IMAGES
        .into_iter()
        .map(|format| (format, PathBuf::from(format!("{stem}.{format}"))))
        .find(|(_, archive)| archive.is_file())
        .ok_or_else(|| PublishError::NoArchive(path.to_owned()))?;
    let content = match listed(&archive, &receipt, &bytes, path, sums)? {
        Some(content) => content,
        None => {
            let inspected = archive::inspect(&archive)?;
            agree(&archive, &receipt, &bytes, &inspected)?;
            Content {
                size: inspected.size,
                sha256: inspected.sha256,
                tree: inspected.tree,
            }
        }
    };
    let archive = LocalFile {
        name: file_name(&archive),
        path: archive,
        size: content.size,
        sha256: content.sha256,
    };
    let receipt_file = LocalFile {
        path: path.to_owned(),
        name: file_name(path),
        size: bytes.len() as u64,
        sha256: Sha256::of(&bytes),
    };
    for file in [&archive, &receipt_file] {
        if let Some(listed) = sums.get(file.name.as_str())
            && *listed != file.sha256
        {
            return Err(PublishError::Altered {
                path: file.path.clone(),
                what: format!("SHA256SUMS lists it as {listed}, and it is {}", file.sha256),
            });
        }
    }
    Ok(Build {
        receipt,
        receipt_file,
        archive,
        packing,
        tree: content.tree,
    })
}

/// What is known of an archive.
struct Content {
    size: u64,
    sha256: Sha256,
    tree: String,
}

/// Hashes the archive without decompressing it, if `SHA256SUMS` lists it and its receipt: packing
/// writes the list last, so an archive and a receipt with those digests belong together.
fn listed(
    archive: &Path,
    receipt: &Receipt,
    bytes: &[u8],
    receipt_path: &Path,
    sums: &BTreeMap<FileName, Sha256>,
) -> Result<Option<Content>, PublishError> {
    let is_listed = |path: &Path| sums.contains_key(file_name(path).as_str());
    if receipt.objects.is_empty()
        || !is_listed(receipt_path)
        || !is_listed(archive)
        || !file_name(archive).starts_with(receipt.build_id.as_str())
    {
        return Ok(None);
    }
    let mut tree = GitTree::default();
    tree.extend(&receipt.objects);
    tree.add(RECEIPT, ObjectKind::File, Blob::of(bytes));
    Ok(Some(Content {
        size: archive.metadata().map_err(at(archive))?.len(),
        sha256: local::sha256_of(archive, 0, u64::MAX)?,
        tree: tree.hash(),
    }))
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// Checks that the receipt in the archive equals the separate one, and that the image is the one
/// that it describes.
fn agree(
    archive: &Path,
    receipt: &Receipt,
    beside: &[u8],
    inspected: &Inspected,
) -> Result<(), PublishError> {
    let altered = |what: String| PublishError::Altered {
        path: archive.to_owned(),
        what,
    };
    if inspected.receipt != beside {
        return Err(altered(
            "the receipt in it is not the one next to it".to_owned(),
        ));
    }
    if !file_name(archive).starts_with(receipt.build_id.as_str()) {
        return Err(altered(format!(
            "its receipt is that of {}",
            receipt.build_id
        )));
    }
    match inspected.difference(receipt) {
        Some(what) => Err(altered(what)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release_bundle::tests::make_build;

    #[tokio::test]
    async fn builds_of_all_runners_are_read_in_order() {
        let dir = tempfile::tempdir().unwrap();
        make_build(&dir.path().join("b"), "x86_64-w64-mingw32", b"windows");
        make_build(&dir.path().join("a"), "x86_64-linux-gnu", b"linux");
        make_build(dir.path(), "aarch64-apple-darwin", b"mac");
        let dist = Dist::read(dir.path()).await.unwrap();
        let ids: Vec<_> = dist
            .builds
            .iter()
            .map(|b| b.receipt.julia.triplet.name())
            .collect();
        assert_eq!(
            ids,
            [
                "aarch64-apple-darwin",
                "x86_64-linux-gnu",
                "x86_64-w64-mingw32"
            ]
        );
    }

    #[tokio::test]
    async fn the_same_build_twice_counts_once_and_two_different_ones_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        make_build(&dir.path().join("a"), "x86_64-linux-gnu", b"linux");
        make_build(&dir.path().join("b"), "x86_64-linux-gnu", b"linux");
        assert_eq!(Dist::read(dir.path()).await.unwrap().builds.len(), 1);
        make_build(&dir.path().join("b"), "x86_64-linux-gnu", b"other");
        let error = Dist::read(dir.path()).await.unwrap_err();
        assert!(matches!(error, PublishError::Twice(_)), "{error}");
    }

    #[tokio::test]
    async fn an_altered_archive_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        make_build(dir.path(), "x86_64-linux-gnu", b"linux");
        let other = tempfile::tempdir().unwrap();
        make_build(other.path(), "x86_64-linux-gnu", b"other");
        let name = "demo-julia1.12.7-x86_64-linux-gnu.tar.gz";
        std::fs::copy(other.path().join(name), dir.path().join(name)).unwrap();
        let error = Dist::read(dir.path()).await.unwrap_err();
        assert!(matches!(error, PublishError::Altered { .. }), "{error}");
    }

    #[tokio::test]
    async fn an_empty_or_missing_folder_says_so() {
        let dir = tempfile::tempdir().unwrap();
        for folder in [dir.path().to_owned(), dir.path().join("missing")] {
            let error = Dist::read(&folder).await.unwrap_err();
            assert!(
                matches!(error, PublishError::NothingToPublish(_)),
                "{error}"
            );
        }
    }

    const NAME: &str = "demo-julia1.12.7-x86_64-linux-gnu";

    /// A dist directory with one build, and its receipt.
    fn one_build() -> (tempfile::TempDir, Receipt) {
        let dir = tempfile::tempdir().unwrap();
        let receipt = make_build(dir.path(), "x86_64-linux-gnu", b"linux");
        (dir, receipt)
    }

    async fn refused(dir: &Path) -> String {
        Dist::read(dir).await.unwrap_err().to_string()
    }

    #[tokio::test]
    async fn a_damaged_receipt_is_named() {
        let (dir, receipt) = one_build();
        let path = dir.path().join(format!("{NAME}.receipt.json"));
        let newer = receipt.to_json().replace(&receipt.schema, "sysforge/99");
        for text in ["", "{", "[]", &newer] {
            std::fs::write(&path, text).unwrap();
            let expected = format!("could not use the receipt {}", path.display());
            assert_eq!(refused(dir.path()).await, expected, "{text}");
        }
    }

    #[tokio::test]
    async fn a_receipt_without_its_archive_is_named() {
        let (dir, _) = one_build();
        std::fs::remove_file(dir.path().join(format!("{NAME}.tar.gz"))).unwrap();
        let path = dir.path().join(format!("{NAME}.receipt.json"));
        let expected = format!("the receipt {} has no archive next to it", path.display());
        assert_eq!(refused(dir.path()).await, expected);
    }

    #[tokio::test]
    async fn a_build_that_its_checksum_list_names_otherwise_is_refused() {
        for end in [".tar.gz", ".receipt.json"] {
            let (dir, _) = one_build();
            let name = format!("{NAME}{end}");
            let digest = local::sha256_of(&dir.path().join(&name), 0, u64::MAX).unwrap();
            let list = dir.path().join("SHA256SUMS");
            std::fs::write(&list, format!("{digest}  {name}\n")).unwrap();
            Dist::read(dir.path()).await.unwrap();
            let other = Sha256::new([9; 32]);
            std::fs::write(&list, format!("{other}  {name}\n")).unwrap();
            let text = refused(dir.path()).await;
            assert!(
                text.ends_with(&format!(
                    "SHA256SUMS lists it as {other}, and it is {digest}"
                )),
                "{text}"
            );
            assert!(text.contains(&name), "{text}");
        }
    }

    #[tokio::test]
    async fn a_checksum_list_of_another_form_is_refused_and_a_receipt_that_is_no_file_named() {
        let (dir, _) = one_build();
        let list = dir.path().join("SHA256SUMS");
        for (bytes, why) in [
            (&b"\xff\xfe1\0"[..], "it is not UTF-8 text"),
            (b"<html></html>", "line 1 is not a checksum and a name"),
            (b"rubbish\n", "line 1 is not a checksum and a name"),
        ] {
            std::fs::write(&list, bytes).unwrap();
            let text = refused(dir.path()).await;
            assert!(text.contains(why) && text.contains("SHA256SUMS"), "{text}");
        }
        std::fs::remove_file(&list).unwrap();
        let receipt = dir.path().join(format!("{NAME}.receipt.json"));
        std::fs::remove_file(&receipt).unwrap();
        std::fs::create_dir(&receipt).unwrap();
        let text = refused(dir.path()).await;
        assert!(text.ends_with(".receipt.json"), "{text}");
    }

    #[tokio::test]
    async fn a_build_under_the_name_of_another_is_refused() {
        let (dir, _) = one_build();
        for end in ["tar.gz", "receipt.json"] {
            let path = |name: &str| dir.path().join(format!("{name}.{end}"));
            std::fs::rename(path(NAME), path("other")).unwrap();
        }
        let text = refused(dir.path()).await;
        assert!(
            text.ends_with(&format!("its receipt is that of {NAME}")),
            "{text}"
        );
    }

    #[tokio::test]
    async fn an_archive_without_the_image_of_its_receipt_is_refused() {
        let (dir, receipt) = one_build();
        let image = &receipt.image;
        let other = Sha256::of(b"other");
        let path = dir.path().join(format!("{NAME}.tar.gz"));
        for (name, expected) in [
            ("b.so", format!("the image {} is not in it", image.name)),
            (
                &image.name,
                format!(
                    "the image in it is {other}, and the receipt says {}",
                    image.sha256
                ),
            ),
        ] {
            let tar = sysforge_testkit::archives::Tar::new()
                .file(name, 0o644, b"other")
                .file("receipt.json", 0o644, receipt.to_json().as_bytes());
            std::fs::write(&path, tar.gz()).unwrap();
            let text = refused(dir.path()).await;
            assert!(text.ends_with(&expected), "{text}");
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_file_in_place_of_the_folder_is_told_apart_from_an_empty_one() {
        use sysforge_plan::Explain;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "a file").unwrap();
        let error = Dist::read(&path).await.unwrap_err();
        let expected = format!("could not access {}", path.display());
        assert_eq!(error.to_string(), expected);
        assert!(error.hints()[0].contains("name a folder"));
        // A list that cannot be read is an error, not a missing list.
        make_build(dir.path(), "x86_64-linux-gnu", b"linux");
        std::fs::create_dir(dir.path().join("SHA256SUMS")).unwrap();
        let text = refused(dir.path()).await;
        assert!(text.ends_with("SHA256SUMS"), "{text}");
    }
}
