//! The sink that writes a tree of files. It does not know archive formats.
//!
//! Symbolic links are only recorded while entries arrive, and created at the end, after all of them
//! were resolved in memory. So nothing can be written through a link, and a chain of links that
//! together leave the tree is detected before it exists.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use super::copies::LinkCopier;
use super::guard::{FileEntry, Guarded, Sink};
use super::limits::{Cancel, Limits, Tally};
use super::links::{self, Links};
use super::listing::{Item, Kind, Listing, resolve, time};
use super::names::displayed_name;
use super::permissions::{create_file, create_folder};
use super::{BUFFER, Error};

/// Writes a tree of files.
#[derive(Debug)]
pub struct Tree {
    root: PathBuf,
    links: Links,
    listing: Listing,
    // Entries that the archive does not name: parent folders and copies.
    implied: Tally,
    buffer: Vec<u8>,
}

/// Unpacks an archive into a folder.
pub type TreeWriter = Guarded<Tree>;

impl TreeWriter {
    /// Creates a tree in `root`, an existing empty folder. The first `strip` components of each
    /// name are removed.
    pub fn new(root: PathBuf, strip: usize, limits: Limits, links: Links, cancel: Cancel) -> Self {
        let tree = Tree::new(root, limits, links, cancel.clone());
        Self::guard(tree, strip, limits, cancel)
    }

    /// Does the same as [`Tree::finish`].
    ///
    /// # Errors
    ///
    /// Those of [`Tree::finish`].
    pub fn finish(self) -> Result<Listing, Error> {
        self.into_inner().finish()
    }
}

impl Sink for Tree {
    fn folder(&mut self, path: &str, modified: u64) -> Result<(), Error> {
        self.make_folder(path, Some(modified))
    }

    fn file(&mut self, path: &str, entry: &FileEntry, content: &mut dyn Read) -> Result<(), Error> {
        let full = self.prepare_path(path)?;
        let mut file = create_file(&full, entry.mode).map_err(creating(path, &full))?;
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
        self.prepare_path(path)?;
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
                    link: displayed_name(path.as_bytes()),
                    target: displayed_name(original.as_bytes()),
                    why: "is not an earlier file of the archive",
                });
            }
        };
        if path == original {
            return Ok(());
        }
        let full = self.prepare_path(path)?;
        if let Kind::File { size, .. } = item.kind {
            let source = self.root.join(original);
            match fs::hard_link(&source, &full) {
                Ok(()) => {}
                // A copy would overwrite the file that already has this name.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    return Err(creating(path, &full)(error));
                }
                Err(_) => {
                    self.implied.bytes(size)?;
                    fs::copy(&source, &full).map_err(Error::write(&full))?;
                    File::options()
                        .write(true)
                        .open(&full)
                        .and_then(|file| file.set_modified(time(item.modified)))
                        .map_err(Error::write(&full))?;
                }
            }
        }
        self.listing.insert(path.to_owned(), item);
        Ok(())
    }
}

impl Tree {
    /// Creates a tree in `root`, an existing empty folder.
    pub fn new(root: PathBuf, limits: Limits, links: Links, cancel: Cancel) -> Self {
        Self {
            root,
            links,
            listing: Listing::new(),
            implied: Tally::new(limits, cancel),
            buffer: vec![0; BUFFER],
        }
    }

    /// Finishes the tree: creates the links, sets the times of folders, and returns the listing.
    ///
    /// # Errors
    ///
    /// If a link leads out of the tree, or cannot be created.
    pub fn finish(mut self) -> Result<Listing, Error> {
        let mut lookups = 0;
        let links: Vec<(String, String, String)> = self
            .listing
            .iter()
            .filter_map(|(path, item)| match &item.kind {
                Kind::Link { target } => Some((path, target)),
                _ => None,
            })
            .map(|(path, target)| {
                let end = resolve(&self.listing, path, &mut lookups)?;
                Ok((path.clone(), target.clone(), end))
            })
            .collect::<Result<_, Error>>()?;
        let mut refused = Vec::new();
        for (path, target, end) in links {
            let link = self.root.join(&path);
            // Where links cannot be created, only this shows that the name exists already.
            if link.symlink_metadata().is_ok() {
                return Err(creating(&path, &link)(ErrorKind::AlreadyExists.into()));
            }
            let made = links::make(self.links, &target, &self.root.join(end), &link);
            if !made.map_err(creating(&path, &link))? {
                refused.push(path);
            }
        }
        let mut copies = LinkCopier {
            root: &self.root,
            listing: &mut self.listing,
            tally: &mut self.implied,
            lookups: 0,
        };
        for path in refused {
            copies.replace(&path)?;
        }
        // Inner folders first: creating entries in a folder changes its time.
        for (path, item) in self.listing.iter().rev() {
            if item.kind == Kind::Folder {
                set_folder_time(&self.root.join(path), item.modified);
            }
        }
        Ok(self.listing)
    }

    /// Creates a folder and its parents.
    fn make_folder(&mut self, path: &str, modified: Option<u64>) -> Result<(), Error> {
        match self.listing.get_mut(path) {
            Some(item) if item.kind == Kind::Folder => {
                item.modified = modified.unwrap_or(item.modified);
                return Ok(());
            }
            Some(_) => {
                return Err(Error::Conflict {
                    name: displayed_name(path.as_bytes()),
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
        create_folder(&full).map_err(creating(path, &full))?;
        let item = Item {
            kind: Kind::Folder,
            modified: modified.unwrap_or(0),
        };
        self.listing.insert(path.to_owned(), item);
        Ok(())
    }

    /// Prepares for a file at `path`: checks that its parents exist and are folders, and removes an
    /// earlier file of that name, as tar does.
    fn prepare_path(&mut self, path: &str) -> Result<PathBuf, Error> {
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.make_folder(parent, None)?;
        }
        let full = self.root.join(path);
        match self.listing.get(path).map(|item| &item.kind) {
            None => {}
            Some(Kind::Folder) => {
                return Err(Error::Conflict {
                    name: displayed_name(path.as_bytes()),
                });
            }
            // Links do not exist on the disk yet.
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

/// Converts an error from creating an entry. The tree is new, so an existing file came from the
/// archive: the file system considers two of its names equal, for example if they differ only in
/// case.
fn creating<'a>(path: &'a str, full: &'a Path) -> impl Fn(std::io::Error) -> Error + 'a {
    move |error| match error.kind() {
        ErrorKind::AlreadyExists => Error::Conflict {
            name: displayed_name(path.as_bytes()),
        },
        _ => Error::write(full)(error),
    }
}

/// Sets the time of a folder. Errors are ignored, because some systems cannot open a folder for
/// this.
fn set_folder_time(path: &Path, modified: u64) {
    if modified != 0
        && let Ok(folder) = File::open(path)
    {
        let _ = folder.set_modified(time(modified));
    }
}
