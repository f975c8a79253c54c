//! The sink that writes a tree of files. It knows nothing of archive formats.
//!
//! Symbolic links are only remembered while entries come in, and made at the end, after all of
//! them were followed in memory. So nothing can ever be written THROUGH a link, and a chain of
//! harmless-looking links that together leave the tree is noticed before it exists.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::copies::Copies;
use super::guard::{FileEntry, Guarded, Sink};
use super::limits::{Cancel, Limits, Tally};
use super::links::{self, Links};
use super::names::shown;
use super::{BUFFER, Error};

/// What a path in the tree is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A folder.
    Folder,
    /// A file.
    File {
        /// Its size in bytes.
        size: u64,
        /// The CRC-32 of its bytes: enough to notice a disk's error, at no cost.
        crc32: u32,
    },
    /// A symbolic link.
    Link {
        /// Where it leads, as written.
        target: String,
    },
}

/// One path in the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What it is.
    pub kind: Kind,
    /// When it was last changed, in seconds since 1970. Julia compares the times of files with
    /// those in its package images, so they are kept.
    pub modified: u64,
}

/// Everything that was written, by path below the tree's folder.
pub type Listing = BTreeMap<String, Item>;

/// Writes one tree.
#[derive(Debug)]
pub struct Tree {
    root: PathBuf,
    links: Links,
    listing: Listing,
    // Of what the archive does not name: folders above its entries, copies.
    implied: Tally,
    buffer: Vec<u8>,
}

/// Unpacks an archive into a folder.
pub type TreeWriter = Guarded<Tree>;

/// How many links may lead to one another.
const HOPS: usize = 40;

/// How many components of paths may be looked up in all to see where links lead: enough for a hundred
/// thousand links through ten folders each, and few enough to take no time.
const LOOKUPS: usize = 10_000_000;

impl TreeWriter {
    /// Begins a tree in `root`, an empty folder that exists. The first `strip` components of
    /// each name are left out.
    #[must_use]
    pub fn new(root: PathBuf, strip: usize, limits: Limits, links: Links, cancel: Cancel) -> Self {
        let tree = Tree {
            root,
            links,
            listing: Listing::new(),
            implied: Tally::new(limits, cancel.clone()),
            buffer: vec![0; BUFFER],
        };
        Self::guard(tree, strip, limits, cancel)
    }

    /// Ends the tree: makes the links, gives the folders their times, and returns what is in it.
    ///
    /// # Errors
    ///
    /// If a link leads out of the tree, or cannot be made.
    pub fn finish(self) -> Result<Listing, Error> {
        self.into_inner().finish()
    }
}

impl Sink for Tree {
    fn folder(&mut self, path: &str, modified: u64) -> Result<(), Error> {
        self.make_folder(path, Some(modified))
    }

    fn file(&mut self, path: &str, entry: &FileEntry, content: &mut dyn Read) -> Result<(), Error> {
        let full = self.make_room(path)?;
        let mut file = create(&full, entry.mode).map_err(Error::write(&full))?;
        let mut hasher = crc32fast::Hasher::new();
        let mut size = 0;
        loop {
            let count = match content.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(Error::reading(error)),
            };
            let bytes = &self.buffer[..count];
            size += count as u64;
            hasher.update(bytes);
            file.write_all(bytes).map_err(Error::write(&full))?;
        }
        let modified = entry.modified;
        file.set_modified(time(modified))
            .map_err(Error::write(&full))?;
        let kind = Kind::File {
            size,
            crc32: hasher.finalize(),
        };
        self.listing
            .insert(path.to_owned(), Item { kind, modified });
        Ok(())
    }

    fn symlink(&mut self, path: &str, target: &str, modified: u64) -> Result<(), Error> {
        self.make_room(path)?;
        let kind = Kind::Link {
            target: target.to_owned(),
        };
        self.listing
            .insert(path.to_owned(), Item { kind, modified });
        Ok(())
    }

    fn hard_link(&mut self, path: &str, original: &str) -> Result<(), Error> {
        let item = match self.listing.get(original) {
            Some(item) if !matches!(item.kind, Kind::Folder) => item.clone(),
            _ => {
                return Err(Error::Link {
                    link: shown(path.as_bytes()),
                    target: shown(original.as_bytes()),
                    why: "is no file that came before it",
                });
            }
        };
        if path == original {
            return Ok(());
        }
        let full = self.make_room(path)?;
        if let Kind::File { size, .. } = item.kind {
            let source = self.root.join(original);
            if fs::hard_link(&source, &full).is_err() {
                self.implied.bytes(size)?;
                fs::copy(&source, &full).map_err(Error::write(&full))?;
                File::options()
                    .write(true)
                    .open(&full)
                    .and_then(|file| file.set_modified(time(item.modified)))
                    .map_err(Error::write(&full))?;
            }
        }
        self.listing.insert(path.to_owned(), item);
        Ok(())
    }
}

impl Tree {
    fn finish(mut self) -> Result<Listing, Error> {
        let mut lookups = 0;
        let links: Vec<(String, String, String)> = self
            .listing
            .iter()
            .filter_map(|(path, item)| match &item.kind {
                Kind::Link { target } => Some((path, target)),
                _ => None,
            })
            .map(|(path, target)| {
                let end = follow(&self.listing, path, &mut lookups)?;
                Ok((path.clone(), target.clone(), end))
            })
            .collect::<Result<_, Error>>()?;
        let mut refused = Vec::new();
        for (path, target, end) in links {
            let link = self.root.join(&path);
            let made = links::make(self.links, &target, &self.root.join(end), &link);
            if !made.map_err(Error::write(link))? {
                refused.push(path);
            }
        }
        let mut copies = Copies {
            root: &self.root,
            listing: &mut self.listing,
            tally: &mut self.implied,
            lookups: 0,
        };
        for path in refused {
            copies.replace(&path)?;
        }
        // Inner folders first: making a folder's time right is of no use before its contents.
        for (path, item) in self.listing.iter().rev() {
            if item.kind == Kind::Folder {
                set_folder_time(&self.root.join(path), item.modified);
            }
        }
        Ok(self.listing)
    }

    /// Makes a folder and those above it.
    fn make_folder(&mut self, path: &str, modified: Option<u64>) -> Result<(), Error> {
        match self.listing.get_mut(path) {
            Some(item) if item.kind == Kind::Folder => {
                item.modified = modified.unwrap_or(item.modified);
                return Ok(());
            }
            Some(_) => {
                return Err(Error::Conflict {
                    name: shown(path.as_bytes()),
                });
            }
            None => {}
        }
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.make_folder(parent, None)?;
        }
        if modified.is_none() {
            self.implied.entry()?;
            self.implied.name(path)?;
        }
        let full = self.root.join(path);
        fs::create_dir(&full).map_err(Error::write(&full))?;
        let item = Item {
            kind: Kind::Folder,
            modified: modified.unwrap_or(0),
        };
        self.listing.insert(path.to_owned(), item);
        Ok(())
    }

    /// Sees to it that a file may be made at `path`: the folders above are there and are
    /// folders, and an earlier file of that name is gone, as tar has it.
    fn make_room(&mut self, path: &str) -> Result<PathBuf, Error> {
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.make_folder(parent, None)?;
        }
        let full = self.root.join(path);
        match self.listing.get(path).map(|item| &item.kind) {
            None => {}
            Some(Kind::Folder) => {
                return Err(Error::Conflict {
                    name: shown(path.as_bytes()),
                });
            }
            // Links are not on the disk yet.
            Some(Kind::Link { .. }) => {
                self.listing.remove(path);
            }
            Some(Kind::File { .. }) => {
                fs::remove_file(&full).map_err(Error::write(&full))?;
                self.listing.remove(path);
            }
        }
        Ok(full)
    }
}

/// Where a link leads in the end, as a path below the tree's folder.
///
/// A step up must be out of a folder that the archive holds. Out of a name that it does not hold, a
/// file system that knows no capitals may find something else than the archive says, and climb
/// further.
pub(super) fn follow(listing: &Listing, link: &str, lookups: &mut usize) -> Result<String, Error> {
    let refuse = |why| Error::Link {
        link: shown(link.as_bytes()),
        target: match listing.get(link).map(|item| &item.kind) {
            Some(Kind::Link { target }) => shown(target.as_bytes()),
            _ => String::new(),
        },
        why,
    };
    let mut todo: Vec<&str> = link.split('/').rev().collect();
    let mut at: Vec<&str> = Vec::new();
    let mut hops = 0;
    while let Some(part) = todo.pop() {
        *lookups += 1;
        if *lookups > LOOKUPS {
            return Err(Error::TooMuch {
                limit: LOOKUPS as u64,
                unit: "folders on the way of its links",
            });
        }
        match part {
            "" | "." => continue,
            ".." => {
                let from = listing.get(&at.join("/"));
                if !at.is_empty() && from.is_none_or(|item| item.kind != Kind::Folder) {
                    return Err(refuse(
                        "climbs out of a folder that the archive does not hold",
                    ));
                }
                if at.pop().is_none() {
                    return Err(refuse("leads out of the archive's folder"));
                }
                continue;
            }
            name => at.push(name),
        }
        if let Some(Item {
            kind: Kind::Link { target },
            ..
        }) = listing.get(&at.join("/"))
        {
            hops += 1;
            if hops > HOPS {
                return Err(refuse("leads in a circle"));
            }
            at.pop();
            todo.extend(target.split('/').rev());
        }
    }
    Ok(at.join("/"))
}

#[cfg(unix)]
fn create(path: &Path, mode: u32) -> std::io::Result<File> {
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
    // The owner may always write, or the entry could neither be pruned nor repaired. Nobody else
    // may write, and nobody gets set-user-id bits, whatever the archive and the umask say.
    let mode = (mode & 0o755) | 0o600;
    let file = File::options()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    // Execute bits survive a strict umask: a Julia that nobody can run is of no use.
    if mode & 0o111 != 0 {
        file.set_permissions(fs::Permissions::from_mode(mode))?;
    }
    Ok(file)
}

#[cfg(not(unix))]
fn create(path: &Path, _: u32) -> std::io::Result<File> {
    File::options().write(true).create_new(true).open(path)
}

/// The time of a folder is a nicety: not every system lets a folder be opened for it.
fn set_folder_time(path: &Path, modified: u64) {
    if modified != 0
        && let Ok(folder) = File::open(path)
    {
        let _ = folder.set_modified(time(modified));
    }
}

pub(super) fn time(seconds: u64) -> SystemTime {
    // Four centuries from 1970: file systems know no later time.
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.min(12_622_780_800))
}
