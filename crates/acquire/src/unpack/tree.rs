//! The one writer of unpacked trees. It knows nothing of archive formats: it is told names,
//! modes, times and bytes, and sees to it that nothing lands outside its folder.
//!
//! Symbolic links are only remembered while entries come in, and made at the end, after all of
//! them were followed in memory. So nothing can ever be written THROUGH a link, and a chain of
//! harmless-looking links that together leave the tree is noticed before it exists.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use super::copies::Copies;
use super::limits::{Tally, bounded};
use super::links::{self, Links};
use super::names::{self, shown};
use super::{Error, Limits};

/// The longest link target that is believed, in bytes.
const LONGEST_TARGET: u64 = 4096;

/// A flag that tells the threads of an install to stop. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Asks everyone who watches the flag to stop.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether to stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

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
pub struct TreeWriter {
    root: PathBuf,
    strip: usize,
    links: Links,
    listing: Listing,
    tally: Tally,
    buffer: Vec<u8>,
}

/// Larger buffers gain nothing more (measured from 8 KiB to 1 MiB).
const BUFFER: usize = 256 << 10;

/// How many links may lead to one another.
const HOPS: usize = 40;

impl TreeWriter {
    /// Begins a tree in `root`, an empty folder that exists. The first `strip` components of
    /// each name are left out.
    #[must_use]
    pub fn new(root: PathBuf, strip: usize, limits: Limits, links: Links, cancel: Cancel) -> Self {
        Self {
            root,
            strip,
            links,
            listing: Listing::new(),
            tally: Tally::new(limits, cancel),
            buffer: vec![0; BUFFER],
        }
    }

    /// The limits that it keeps to.
    #[must_use]
    pub const fn limits(&self) -> Limits {
        self.tally.limits
    }

    /// Adds a folder.
    ///
    /// # Errors
    ///
    /// If the name is not allowed or taken, or the folder cannot be made.
    pub fn folder(&mut self, name: &[u8], modified: u64) -> Result<(), Error> {
        self.tally.entry()?;
        let Some(path) = names::clean(name, self.strip)? else {
            return Ok(());
        };
        self.make_folder(&path, Some(modified))
    }

    /// Adds a file of at most `size` bytes (a hint for the limits; what counts is what comes).
    ///
    /// # Errors
    ///
    /// If the name is not allowed or taken, the tree grows too large, or the file cannot be
    /// read or written.
    pub fn file(
        &mut self,
        name: &[u8],
        mode: u32,
        modified: u64,
        size: u64,
        content: &mut dyn Read,
    ) -> Result<(), Error> {
        self.tally.entry()?;
        self.tally.foresee(size)?;
        let Some(path) = names::clean(name, self.strip)? else {
            return Err(Error::Name {
                name: shown(name),
                why: "is the archive's own folder, and yet a file",
            });
        };
        let full = self.make_room(&path)?;
        let mut file = create(&full, mode).map_err(Error::write(&full))?;
        let mut hasher = crc32fast::Hasher::new();
        let mut size = 0;
        loop {
            let count = match content.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Error::Broken(error)),
            };
            let bytes = &self.buffer[..count];
            size += count as u64;
            self.tally.bytes(count as u64)?;
            hasher.update(bytes);
            file.write_all(bytes).map_err(Error::write(&full))?;
        }
        file.set_modified(time(modified))
            .map_err(Error::write(&full))?;
        let kind = Kind::File {
            size,
            crc32: hasher.finalize(),
        };
        self.listing.insert(path, Item { kind, modified });
        Ok(())
    }

    /// Adds a symbolic link.
    ///
    /// # Errors
    ///
    /// If the name or the target is not allowed.
    pub fn symlink(&mut self, name: &[u8], target: &[u8], modified: u64) -> Result<(), Error> {
        self.tally.entry()?;
        let Some(path) = names::clean(name, self.strip)? else {
            return Err(Error::Name {
                name: shown(name),
                why: "is the archive's own folder, and yet a link",
            });
        };
        let target = std::str::from_utf8(target).map_err(|_| Error::Link {
            link: shown(name),
            target: shown(target),
            why: "is not UTF-8",
        })?;
        names::link_target(&path, target)?;
        self.make_room(&path)?;
        let kind = Kind::Link {
            target: target.to_owned(),
        };
        self.listing.insert(path, Item { kind, modified });
        Ok(())
    }

    /// Adds a symbolic link whose target is the content of its entry.
    ///
    /// # Errors
    ///
    /// If the name or the target is not allowed, or the target cannot be read.
    pub fn symlink_from(
        &mut self,
        name: &[u8],
        content: impl Read,
        modified: u64,
    ) -> Result<(), Error> {
        let target = bounded(content, LONGEST_TARGET, "bytes in a link")?;
        self.symlink(name, &target, modified)
    }

    /// Adds another name for a file that came before.
    ///
    /// # Errors
    ///
    /// If there is no such file, or a name is not allowed.
    pub fn hard_link(&mut self, name: &[u8], target: &[u8]) -> Result<(), Error> {
        self.tally.entry()?;
        let (Some(path), Some(original)) = (
            names::clean(name, self.strip)?,
            names::clean(target, self.strip)?,
        ) else {
            return Err(Error::Name {
                name: shown(name),
                why: "links to the archive's own folder",
            });
        };
        let item = match self.listing.get(&original) {
            Some(item) if !matches!(item.kind, Kind::Folder) => item.clone(),
            _ => {
                return Err(Error::Link {
                    link: shown(name),
                    target: shown(target),
                    why: "is no file that came before it",
                });
            }
        };
        if path == original {
            return Ok(());
        }
        let full = self.make_room(&path)?;
        if let Kind::File { size, .. } = item.kind {
            let source = self.root.join(&original);
            if fs::hard_link(&source, &full).is_err() {
                self.tally.bytes(size)?;
                fs::copy(&source, &full).map_err(Error::write(&full))?;
                File::options()
                    .write(true)
                    .open(&full)
                    .and_then(|file| file.set_modified(time(item.modified)))
                    .map_err(Error::write(&full))?;
            }
        }
        self.listing.insert(path, item);
        Ok(())
    }

    /// Ends the tree: makes the links, gives the folders their times, and returns what is in it.
    ///
    /// # Errors
    ///
    /// If a link leads out of the tree, or cannot be made.
    pub fn finish(mut self) -> Result<Listing, Error> {
        let links: Vec<(String, String, String)> = self
            .listing
            .iter()
            .filter_map(|(path, item)| match &item.kind {
                Kind::Link { target } => Some((path, target)),
                _ => None,
            })
            .map(|(path, target)| {
                let end = follow(&self.listing, path)?;
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
            tally: &mut self.tally,
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
pub(super) fn follow(listing: &Listing, link: &str) -> Result<String, Error> {
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
    // The owner may always write, or the entry could neither be pruned nor repaired; nobody
    // gets set-user-id bits from an archive.
    let mode = (mode & 0o777) | 0o600;
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
