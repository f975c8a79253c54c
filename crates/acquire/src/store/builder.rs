//! Entries that are built on this machine instead of downloaded: bases.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sysforge_files::unless_gone;
use sysforge_files::{FileLock, rename};
use sysforge_plan::digest::Hasher;
use sysforge_plan::signing::SignatureCheck;
use sysforge_plan::{JuliaVersion, Reporter, Sha256, Triplet};

use super::{Entry, EntryId, Lookup, Record, SCHEMA, Store, seal, write_listing};
use crate::error::Error;
use sysforge_archive::{Item, Kind};

/// The result of looking for an entry that can be built here.
pub enum EntrySlot {
    /// The entry exists.
    Whole(Box<Entry>),
    /// The entry does not exist. The caller must build it.
    Free(EntryBuilder),
}

/// The exclusive right to build an entry, with a folder to build it in. Nothing appears in the
/// store before [`EntryBuilder::finish`]; dropping the builder removes the folder.
pub struct EntryBuilder {
    store: Store,
    id: EntryId,
    lock: FileLock,
    folder: PathBuf,
}

impl Store {
    /// Finds an entry, or takes the exclusive right to build it. Waits while another process is
    /// building it.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the store cannot be read, or the lock or the folder to build in cannot be
    /// created.
    pub async fn slot(&self, id: &EntryId, reporter: &Reporter) -> Result<EntrySlot, Error> {
        if let Lookup::Whole(entry) = self.lookup(id)? {
            return Ok(EntrySlot::Whole(entry));
        }
        let lock = self.wait_for_lock(id, "building", reporter).await?;
        // Another process may have finished it since the first lookup.
        if let Lookup::Whole(entry) = self.lookup(id)? {
            return Ok(EntrySlot::Whole(entry));
        }
        // The name is deterministic, because the result may contain the path, for example as that
        // of a source file.
        let mut name = id.name().to_owned();
        if !lock.is_real() {
            name = format!("{name}-{}", std::process::id());
        }
        let folder = self.root.join("making").join(name);
        unless_gone(fs::remove_dir_all(&folder)).map_err(Error::io("remove", &folder))?;
        sysforge_files::create_folders(&folder).map_err(Error::io("create", &folder))?;
        Ok(EntrySlot::Free(EntryBuilder {
            store: self.clone(),
            id: id.clone(),
            lock,
            folder,
        }))
    }
}

impl EntryBuilder {
    /// Returns the folder to build in, which is empty and on the store's file system.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Stores one of the folder's files as the only file of the entry. `source` describes its
    /// inputs.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the folder lacks the file, the entry cannot be written to the store, or it
    /// does not match its record afterwards.
    pub fn finish(
        self,
        file: &str,
        source: &str,
        version: &JuliaVersion,
        triplet: Triplet,
    ) -> Result<Entry, Error> {
        let tree = self.store.temporary(&self.id)?;
        let made = tree.path().join(file);
        rename(&self.folder.join(file), &made).map_err(Error::io("create", &made))?;
        let (item, sha256, bytes) = inspect(&made).map_err(Error::io("read", &made))?;
        let listing = write_listing(&BTreeMap::from([(file.to_owned(), item)]));
        let record = Record {
            schema: SCHEMA,
            source: source.to_owned(),
            sha256,
            size: bytes,
            signature: SignatureCheck::NotChecked {
                reason: "made on this machine".to_owned(),
            },
            version: Some(version.clone()),
            triplet: Some(triplet),
            unpacked_bytes: bytes,
            listing: Sha256::of(&listing),
        };
        seal(tree.path(), &record, &listing).map_err(Error::io("write to", tree.path()))?;
        let entry_dir = self.store.commit(&self.id, &self.lock, tree)?;
        match self.store.lookup(&self.id)? {
            Lookup::Whole(entry) => Ok(*entry),
            _ => Err(Error::Io {
                doing: "read what was just built in",
                path: entry_dir,
                source: io::Error::other("it was changed"),
            }),
        }
    }
}

impl Drop for EntryBuilder {
    fn drop(&mut self) {
        // Leftovers are removed by the next build of this entry, or by `prune`.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Returns a file's item in a listing, its digest and its size.
fn inspect(path: &Path) -> io::Result<(Item, Sha256, u64)> {
    let mut file = File::open(path)?;
    let (mut crc32, mut sha256) = (crc32fast::Hasher::new(), Hasher::default());
    let mut buffer = vec![0; 256 << 10];
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        crc32.update(&buffer[..count]);
        sha256.update(&buffer[..count]);
    }
    let modified = file.metadata()?.modified()?;
    let modified = modified.duration_since(SystemTime::UNIX_EPOCH);
    let item = Item {
        kind: Kind::File {
            size: sha256.count(),
            crc32: crc32.finalize(),
        },
        modified: modified.unwrap_or_default().as_secs(),
    };
    Ok((item, sha256.digest(), sha256.count()))
}

#[cfg(test)]
mod tests {
    use super::super::PruneRules;
    use super::*;

    fn id() -> EntryId {
        let version = JuliaVersion::new(1, 5, 3);
        let parts = Sha256::new([7; 32]);
        EntryId::base(&version, Triplet::X86_64_LINUX_GNU, &parts)
    }

    fn make(builder: EntryBuilder, bytes: &[u8]) -> Entry {
        fs::write(builder.folder().join("sys.ji"), bytes).unwrap();
        let version = JuliaVersion::new(1, 5, 3);
        let triplet = Triplet::X86_64_LINUX_GNU;
        builder
            .finish("sys.ji", "sources", &version, triplet)
            .unwrap()
    }

    async fn slot(store: &Store) -> EntrySlot {
        store.slot(&id(), &Reporter::silent()).await.unwrap()
    }

    async fn free(store: &Store) -> EntryBuilder {
        match slot(store).await {
            EntrySlot::Free(builder) => builder,
            EntrySlot::Whole(_) => panic!("not free"),
        }
    }

    #[tokio::test]
    async fn one_process_builds_the_entry_and_the_others_use_it() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path());
        let builder = free(&store).await;
        let folder = builder.folder().to_owned();
        let mut other = std::pin::pin!(slot(&store));
        let soon = std::time::Duration::from_millis(1);
        assert!(tokio::time::timeout(soon, &mut other).await.is_err());
        let entry = make(builder, b"base");
        assert!(matches!(other.await, EntrySlot::Whole(_)));
        assert_eq!(fs::read(entry.prefix().join("sys.ji")).unwrap(), b"base");
        assert!(!folder.exists());
        assert!(matches!(slot(&store).await, EntrySlot::Whole(_)));
        assert_eq!(store.list(true).unwrap().len(), 1);
        // First in use, then unused.
        let all = PruneRules {
            unused_for: Some(std::time::Duration::ZERO),
            keep_bytes: None,
        };
        let now = SystemTime::now();
        assert_eq!(store.prune(all, now).unwrap().in_use, [id()]);
        drop(entry);
        assert_eq!(store.prune(all, now).unwrap().removed, [id()]);
    }

    #[tokio::test]
    async fn an_abandoned_or_damaged_entry_is_built_again() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path());
        let builder = free(&store).await;
        fs::write(builder.folder().join("half"), "half").unwrap();
        drop(builder);
        let builder = free(&store).await;
        assert_eq!(fs::read_dir(builder.folder()).unwrap().count(), 0);
        let file = make(builder, b"base").prefix().join("sys.ji");
        fs::write(&file, "bas").unwrap();
        let entry = make(free(&store).await, b"base");
        assert_eq!(fs::read(entry.prefix().join("sys.ji")).unwrap(), b"base");
    }

    #[tokio::test]
    async fn a_file_at_the_path_of_the_entry_is_reported_and_not_removed() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path());
        let folder = free(&store).await.folder().to_owned();
        fs::write(&folder, "in the way").unwrap();
        let error = store.slot(&id(), &Reporter::silent()).await.err().unwrap();
        assert!(matches!(error, Error::Io { .. }), "{error:?}");
        assert!(error.to_string().contains("making"), "{error}");
        assert_eq!(fs::read(&folder).unwrap(), b"in the way");
        // The lock was released: the entry can be built as soon as the file is removed.
        fs::remove_file(&folder).unwrap();
        assert!(free(&store).await.folder().is_dir());
    }
}
