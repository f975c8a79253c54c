//! The files of a folder in memory, with its git tree hash and its archive.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use sha1::{Digest, Sha1};

use crate::archives::Tar;

/// A file, a link or a folder of a [`Tree`].
#[derive(Debug, Clone)]
enum Node {
    File { executable: bool, content: Vec<u8> },
    Link(String),
    Folder(Tree),
}

/// The content of a folder. Like git, it ignores empty folders.
#[derive(Debug, Clone, Default)]
pub struct Tree(BTreeMap<String, Node>);

impl Tree {
    /// Reads a folder.
    pub fn read(folder: &Path) -> Self {
        let mut tree = Self::default();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let metadata = path.symlink_metadata().unwrap();
            let node = if metadata.is_symlink() {
                Node::Link(fs::read_link(&path).unwrap().to_str().unwrap().to_owned())
            } else if metadata.is_dir() {
                Node::Folder(Self::read(&path))
            } else {
                Node::File {
                    executable: is_executable(&metadata),
                    content: fs::read(&path).unwrap(),
                }
            };
            tree.0.insert(name, node);
        }
        tree
    }

    /// Adds a file, by its path with slashes.
    #[must_use]
    pub fn with(mut self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        self.insert(path, content.into());
        self
    }

    fn insert(&mut self, path: &str, content: Vec<u8>) {
        let Some((folder, rest)) = path.split_once('/') else {
            let executable = false;
            let file = Node::File {
                executable,
                content,
            };
            self.0.insert(path.to_owned(), file);
            return;
        };
        let node = self
            .0
            .entry(folder.to_owned())
            .or_insert_with(|| Node::Folder(Self::default()));
        match node {
            Node::Folder(tree) => tree.insert(rest, content),
            _ => panic!("{folder} is no folder"),
        }
    }

    /// The text of a file, by its path with slashes.
    pub fn text(&self, path: &str) -> Option<&str> {
        match path.split_once('/') {
            Some((folder, rest)) => match self.0.get(folder)? {
                Node::Folder(tree) => tree.text(rest),
                _ => None,
            },
            None => match self.0.get(path)? {
                Node::File { content, .. } => std::str::from_utf8(content).ok(),
                _ => None,
            },
        }
    }

    /// The hash that `git write-tree` would print.
    pub fn hash(&self) -> String {
        hex::encode(self.digest())
    }

    fn digest(&self) -> [u8; 20] {
        let mut entries: Vec<_> = self
            .0
            .iter()
            .filter(|(_, node)| !matches!(node, Node::Folder(tree) if tree.is_empty()))
            .collect();
        // Git compares a folder's name as if it ended with a slash.
        entries.sort_by_key(|(name, node)| match node {
            Node::Folder(_) => format!("{name}/"),
            _ => (*name).clone(),
        });
        let mut body = Vec::new();
        for (name, node) in entries {
            let (mode, digest) = match node {
                Node::File {
                    executable: true,
                    content,
                } => ("100755", object("blob", content)),
                Node::File { content, .. } => ("100644", object("blob", content)),
                Node::Link(target) => ("120000", object("blob", target.as_bytes())),
                Node::Folder(tree) => ("40000", tree.digest()),
            };
            body.extend_from_slice(format!("{mode} {name}\0").as_bytes());
            body.extend_from_slice(&digest);
        }
        object("tree", &body)
    }

    fn is_empty(&self) -> bool {
        self.0
            .values()
            .all(|node| matches!(node, Node::Folder(tree) if tree.is_empty()))
    }

    /// The archive that a package server sends: names are relative, without `./`.
    pub fn archive(&self) -> Vec<u8> {
        self.pack(Tar::new(), "").gz()
    }

    fn pack(&self, mut tar: Tar, prefix: &str) -> Tar {
        for (name, node) in &self.0 {
            let path = format!("{prefix}{name}");
            tar = match node {
                Node::File {
                    executable,
                    content,
                } => tar.file(&path, if *executable { 0o755 } else { 0o644 }, content),
                Node::Link(target) => tar.symlink(&path, target),
                Node::Folder(tree) => {
                    let folder = format!("{path}/");
                    tree.pack(tar.folder(&folder), &folder)
                }
            };
        }
        tar
    }

    /// Writes the files into a folder.
    pub fn write(&self, folder: &Path) {
        fs::create_dir_all(folder).unwrap();
        for (name, node) in &self.0 {
            let path = folder.join(name);
            match node {
                Node::File {
                    executable,
                    content,
                } => {
                    fs::write(&path, content).unwrap();
                    if *executable {
                        make_executable(&path);
                    }
                }
                Node::Link(target) => make_link(target, &path),
                Node::Folder(tree) => tree.write(&path),
            }
        }
    }
}

/// The identifier of a git object.
fn object(kind: &str, body: &[u8]) -> [u8; 20] {
    Sha1::new()
        .chain_update(format!("{kind} {}\0", body.len()))
        .chain_update(body)
        .finalize()
        .into()
}

#[cfg(unix)]
fn is_executable(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o100 != 0
}

#[cfg(unix)]
fn make_executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[cfg(unix)]
fn make_link(target: &str, path: &Path) {
    std::os::unix::fs::symlink(target, path).unwrap();
}

#[cfg(windows)]
fn is_executable(_: &fs::Metadata) -> bool {
    false
}

#[cfg(windows)]
fn make_executable(_: &Path) {}

#[cfg(windows)]
fn make_link(target: &str, path: &Path) {
    std::os::windows::fs::symlink_file(target, path).unwrap();
}

#[cfg(all(test, unix))]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn the_hash_agrees_with_git_write_tree() {
        let folder = tempfile::tempdir().unwrap();
        // Names whose order depends on whether they are folders; also an executable, a link, an
        // empty folder and an empty file.
        Tree::default()
            .with("a.jl", "1")
            .with("a/b.jl", "2")
            .with("a-b/c.jl", "3")
            .with("a0", "4")
            .with("deep/er/still/x", "")
            .write(folder.path());
        make_executable(&folder.path().join("a.jl"));
        make_link("a/b.jl", &folder.path().join("link"));
        fs::create_dir_all(folder.path().join("empty/inside")).unwrap();

        let repository = tempfile::tempdir().unwrap();
        let git = |arguments: &[&str]| {
            let output = Command::new("git")
                .arg("--git-dir")
                .arg(repository.path())
                .arg("--work-tree")
                .arg(folder.path())
                .args(["-c", "core.autocrlf=false"])
                .args(arguments)
                .current_dir(folder.path())
                .output()
                .unwrap();
            assert!(output.status.success(), "{output:?}");
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        git(&["init", "--quiet"]);
        git(&["add", "--all", "--force", "."]);
        assert_eq!(
            Tree::read(folder.path()).hash(),
            git(&["write-tree"]),
            "{}",
            git(&["ls-files", "--stage"])
        );
    }

    #[test]
    fn a_written_tree_is_read_back_unchanged() {
        let tree = Tree::default().with("b/c", "x").with("a", "y");
        let folder = tempfile::tempdir().unwrap();
        tree.write(folder.path());
        assert_eq!(Tree::read(folder.path()).hash(), tree.hash());
        assert_eq!(tree.text("b/c"), Some("x"));
        assert_eq!(tree.text("b"), None);
    }
}
