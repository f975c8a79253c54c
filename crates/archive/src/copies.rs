//! Replaces symbolic links by copies, for machines that do not allow links. Nested links in an
//! archive could make copies of copies grow without limit: every copy counts against the archive's
//! limits, and a folder is never copied into itself.

use std::fs::{self, File};
use std::path::Path;

use super::Error;
use super::limits::Tally;
use super::listing::{Kind, Listing, resolve, time};
use super::names::displayed_name;
use super::permissions::create_folder;

/// Copies files and folders within one tree, and adds the copies to its listing.
pub(super) struct LinkCopier<'a> {
    pub(super) root: &'a Path,
    pub(super) listing: &'a mut Listing,
    pub(super) tally: &'a mut Tally,
    pub(super) lookups: usize,
}

impl LinkCopier<'_> {
    /// Replaces the link `link` by a copy of its target. A dangling link is skipped.
    pub(super) fn replace(&mut self, link: &str) -> Result<(), Error> {
        self.copy_end_of(link, link)
    }

    fn copy_end_of(&mut self, link: &str, to: &str) -> Result<(), Error> {
        let end = resolve(self.listing, link, &mut self.lookups)?;
        if Path::new(to).starts_with(&end) {
            return Err(Error::Link {
                link: displayed_name(to.as_bytes()),
                target: displayed_name(end.as_bytes()),
                why: "is a folder above it: without links, a copy would contain itself",
            });
        }
        self.copy(&end, to)
    }

    fn copy(&mut self, from: &str, to: &str) -> Result<(), Error> {
        self.tally.entry()?;
        // Each nested copy has a longer path, so this also limits the recursion.
        self.tally.name(to)?;
        let Some(item) = self.listing.get(from).cloned() else {
            self.listing.remove(to);
            return Ok(());
        };
        let full = self.root.join(to);
        match item.kind {
            // A copy of the link would resolve differently at the new path.
            Kind::Link { .. } => return self.copy_end_of(from, to),
            Kind::File { size, .. } => {
                self.tally.bytes(size)?;
                fs::copy(self.root.join(from), &full).map_err(Error::write(&full))?;
                // A copy newer than its original would be reported as a change.
                File::options()
                    .write(true)
                    .open(&full)
                    .and_then(|file| file.set_modified(time(item.modified)))
                    .map_err(Error::write(&full))?;
            }
            Kind::Folder => {
                create_folder(&full).map_err(Error::write(&full))?;
                for name in children(self.listing, from) {
                    self.copy(&join(from, &name), &join(to, &name))?;
                }
            }
        }
        self.listing.insert(to.to_owned(), item);
        Ok(())
    }
}

/// Returns the names directly in a folder.
fn children(listing: &Listing, folder: &str) -> Vec<String> {
    let inside = join(folder, "");
    listing
        .range(inside.clone()..)
        .map_while(|(path, _)| path.strip_prefix(&inside))
        .filter(|name| !name.is_empty() && !name.contains('/'))
        .map(str::to_owned)
        .collect()
}

fn join(folder: &str, name: &str) -> String {
    match folder {
        "" => name.to_owned(),
        folder => format!("{folder}/{name}"),
    }
}
