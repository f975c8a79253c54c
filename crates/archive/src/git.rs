//! Git's hash of a folder, by which Pkg knows the content of an artifact.

use std::collections::BTreeMap;
use std::io::{self, Read};

use sha1::{Digest, Sha1};
use sysforge_plan::receipt::{ObjectKind, ObjectRecord};

/// The files and links of an archive, as git objects by their paths.
#[derive(Debug, Clone, Default)]
pub struct GitTree(BTreeMap<String, Object>);

impl GitTree {
    /// Adds a file or link whose content has this hash ([`Blob::finish`]).
    pub fn add(&mut self, path: &str, kind: ObjectKind, blob: [u8; 20]) {
        self.0.insert(path.to_owned(), (kind, blob));
    }

    /// Adds entries at the top level that were listed by [`GitTree::objects`].
    pub fn extend(&mut self, objects: &[ObjectRecord]) {
        for object in objects {
            let mut sha1 = [0; 20];
            if hex::decode_to_slice(&object.sha1, &mut sha1).is_ok() {
                self.add(&object.name, object.kind, sha1);
            }
        }
    }

    /// Returns the entries at the top level: files, links, and the trees of folders.
    pub fn objects(&self) -> Vec<ObjectRecord> {
        let record = |(name, (kind, sha1)): (String, Object)| ObjectRecord {
            name: name.trim_end_matches('/').to_owned(),
            kind,
            sha1: hex::encode(sha1),
        };
        top_level(&self.entries()).into_iter().map(record).collect()
    }

    /// Returns `git-tree-sha1` of the whole, as hexadecimal digits.
    pub fn hash(&self) -> String {
        hex::encode(tree(&self.entries()))
    }

    fn entries(&self) -> Vec<(&str, Object)> {
        self.0.iter().map(|(p, e)| (p.as_str(), *e)).collect()
    }
}

type Object = (ObjectKind, [u8; 20]);

/// Returns the hash of one tree object: `{mode} {name}\0{object}` for each entry.
fn tree(entries: &[(&str, Object)]) -> [u8; 20] {
    let mut listed = Vec::new();
    for (name, (kind, object)) in top_level(entries) {
        let (mode, name) = (kind.mode(), name.trim_end_matches('/'));
        listed.extend_from_slice(format!("{mode} {name}\0").as_bytes());
        listed.extend_from_slice(&object);
    }
    let mut hash = Sha1::new();
    hash.update(format!("tree {}\0", listed.len()));
    hash.update(&listed);
    hash.finalize().into()
}

/// Returns the entries at the top level in git's order, in which a folder's name ends with a slash.
fn top_level(entries: &[(&str, Object)]) -> BTreeMap<String, Object> {
    let mut folders: BTreeMap<&str, Vec<(&str, Object)>> = BTreeMap::new();
    let mut objects = BTreeMap::new();
    for (name, object) in entries {
        match name.split_once('/') {
            Some((folder, rest)) => folders.entry(folder).or_default().push((rest, *object)),
            // A folder that was added as one object has its slash in the order, too.
            None if object.0 == ObjectKind::Folder => {
                objects.insert(format!("{name}/"), *object);
            }
            None => {
                objects.insert((*name).to_owned(), *object);
            }
        }
    }
    for (folder, below) in folders {
        objects.insert(format!("{folder}/"), (ObjectKind::Folder, tree(&below)));
    }
    objects
}

/// Computes the git hash of a file's content while the content is read.
pub struct Blob<R> {
    content: R,
    hash: Sha1,
}

impl<R> Blob<R> {
    /// Wraps content of exactly `size` bytes.
    pub fn new(size: u64, content: R) -> Self {
        let mut hash = Sha1::new();
        hash.update(format!("blob {size}\0"));
        Self { content, hash }
    }

    /// Returns the wrapped reader and the hash of what was read.
    pub fn finish(self) -> (R, [u8; 20]) {
        (self.content, self.hash.finalize().into())
    }
}

impl Blob<()> {
    /// Returns the hash of a file with this content.
    pub fn of(bytes: &[u8]) -> [u8; 20] {
        let mut blob = Blob::new(bytes.len() as u64, ());
        blob.hash.update(bytes);
        blob.finish().1
    }
}

impl<R: Read> Read for Blob<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.content.read(buffer)?;
        self.hash.update(&buffer[..length]);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(text: &str) -> [u8; 20] {
        let mut reader = Blob::new(text.len() as u64, text.as_bytes());
        io::copy(&mut reader, &mut io::sink()).unwrap();
        reader.finish().1
    }

    #[test]
    fn blobs_and_the_empty_tree_have_the_hashes_of_git() {
        let known = |hash| hex::encode(hash);
        assert_eq!(known(blob("")), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
        assert_eq!(
            GitTree::default().hash(),
            "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
        );
    }

    #[test]
    fn the_objects_at_the_top_level_are_sufficient_for_the_hash() {
        let mut whole = GitTree::default();
        whole.add("image.so", ObjectKind::Program, blob("image"));
        whole.add("artifacts/01/lib/z.so", ObjectKind::Link, blob("z.so.1"));
        whole.add("artifacts/01/lib/z.so.1", ObjectKind::File, blob("z"));
        // In git's order, `artifacts.txt` is before the folder `artifacts`.
        whole.add("artifacts.txt", ObjectKind::File, blob("text"));
        let objects = whole.objects();
        let names: Vec<_> = objects.iter().map(|object| object.name.as_str()).collect();
        assert_eq!(names, ["artifacts.txt", "artifacts", "image.so"]);
        let mut again = GitTree::default();
        again.extend(&objects);
        assert_eq!(again.hash(), whole.hash());
        again.add("receipt.json", ObjectKind::File, blob("{}"));
        whole.add("receipt.json", ObjectKind::File, blob("{}"));
        assert_eq!(again.hash(), whole.hash());
    }
}
