//! The contents of a tree of files, and the resolution of its links.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::Error;
use super::names::displayed_name;

/// The type of an entry in the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A folder.
    Folder,
    /// A file.
    File {
        /// Its size in bytes.
        size: u64,
        /// The CRC-32 of its bytes, which detects disk errors at no cost.
        crc32: u32,
    },
    /// A symbolic link.
    Link {
        /// Its target, as written.
        target: String,
    },
}

/// An entry in the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its type.
    pub kind: Kind,
    /// Modification time in seconds since 1970. Julia compares the times of files with those in its
    /// package images, so they are preserved.
    pub modified: u64,
}

/// All written entries, by path relative to the tree's folder.
pub type Listing = BTreeMap<String, Item>;

/// Maximum number of links that are followed for one path.
const MAX_LINKS: usize = 40;

/// Maximum number of path components to look up in total to resolve links: enough for a hundred
/// thousand links through ten folders each, and little enough to be fast.
const MAX_LOOKUPS: usize = 10_000_000;

/// Resolves a link to a path relative to the tree's folder.
///
/// A `..` must leave a folder that is in the archive. If the archive does not contain the folder, a
/// case-insensitive file system may find a different entry than the archive means, and the path may
/// lead outside.
pub(super) fn resolve(listing: &Listing, link: &str, lookups: &mut usize) -> Result<String, Error> {
    let refuse = |why| Error::Link {
        link: displayed_name(link.as_bytes()),
        target: match listing.get(link).map(|item| &item.kind) {
            Some(Kind::Link { target }) => displayed_name(target.as_bytes()),
            _ => String::new(),
        },
        why,
    };
    let mut todo: Vec<&str> = link.split('/').rev().collect();
    let mut at: Vec<&str> = Vec::new();
    let mut hops = 0;
    while let Some(part) = todo.pop() {
        *lookups += 1;
        if *lookups > MAX_LOOKUPS {
            return Err(Error::TooMuch {
                limit: MAX_LOOKUPS as u64,
                unit: "folders in the paths of its links",
            });
        }
        match part {
            "" | "." => continue,
            ".." => {
                let from = listing.get(&at.join("/"));
                if !at.is_empty() && from.is_none_or(|item| item.kind != Kind::Folder) {
                    return Err(refuse("leaves a folder that is not in the archive"));
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
            if hops > MAX_LINKS {
                return Err(refuse("is part of a loop"));
            }
            at.pop();
            todo.extend(target.split('/').rev());
        }
    }
    Ok(at.join("/"))
}

/// Converts a modification time for the file system.
pub(super) fn time(seconds: u64) -> SystemTime {
    // The guard has limited it, so that this does not overflow.
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}
