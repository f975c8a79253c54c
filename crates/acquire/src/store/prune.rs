//! Removes entries by age and total size, except entries in use.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use sysforge_files::{FileLock, LockAttempt, try_exclusive};
use sysforge_plan::Sha256;

use super::{Damage, EntryId, KINDS, Lookup, Record, Store, damage};
use crate::error::Error;

/// The rules for what to remove.
#[derive(Debug, Clone, Copy, Default)]
pub struct PruneRules {
    /// Remove entries that were not used for this long.
    pub unused_for: Option<Duration>,
    /// Remove the least recently used entries until the rest take at most this many bytes.
    pub keep_bytes: Option<u64>,
}

/// The result of pruning.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// The entries that were removed.
    pub removed: Vec<EntryId>,
    /// Entries that matched the rules but are in use.
    pub in_use: Vec<EntryId>,
    /// Bytes freed.
    pub bytes: u64,
    /// Whether the depot was removed.
    pub depot: bool,
    /// Whether the depot matched the rules but is in use.
    pub depot_in_use: bool,
}

/// An entry in a list.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Its identifier.
    pub id: EntryId,
    /// Its record, or its damage.
    pub state: Result<Record, Damage>,
    /// When it was last used.
    pub used: SystemTime,
    /// Its size on the disk, in bytes.
    pub bytes: u64,
}

/// The maximum age of an interrupted download, or of a temporary folder not protected by a lock.
const LEFTOVER_AGE: Duration = Duration::from_secs(7 * 24 * 3600);

/// Minimum time since the last use on file systems without locks, where it is unknown whether an
/// entry is in use: longer than any build takes.
const UNLOCKED_AGE: Duration = Duration::from_secs(24 * 3600);

impl Store {
    /// Lists every entry, least recently used first. `deeply` reads every byte of each.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the folder of a kind of entries exists but cannot be read. Damaged entries
    /// are listed.
    pub fn list(&self, deeply: bool) -> Result<Vec<Listed>, Error> {
        let mut all = Vec::new();
        for kind in KINDS {
            let folder = self.root.join(kind);
            let entries = match fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(Error::io("read", folder)(error)),
            };
            for entry in entries.flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                // `--store` may name any folder by mistake, for example a home with a folder `julia`.
                if !EntryId::is_name(&name) {
                    continue;
                }
                let id = EntryId::existing(kind, name);
                let prefix = entry.path();
                let state = if deeply {
                    damage::check_deeply(&prefix)
                } else {
                    damage::check(&prefix)
                };
                let bytes = match &state {
                    Ok(record) => record.unpacked_bytes,
                    Err(_) => disk_usage(&prefix),
                };
                let used = modified(&self.use_file(&id))
                    .or_else(|| modified(&prefix))
                    .unwrap_or(SystemTime::UNIX_EPOCH);
                all.push(Listed {
                    id,
                    state,
                    used,
                    bytes,
                });
            }
        }
        all.sort_by(|a, b| (a.used, &a.id).cmp(&(b.used, &b.id)));
        Ok(all)
    }

    /// Removes entries by age and size, and old leftovers. `now` is the current time.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the entries cannot be listed, or an entry or the depot cannot be locked or
    /// removed. Leftovers that cannot be removed are not an error.
    pub fn prune(&self, rules: PruneRules, now: SystemTime) -> Result<Pruned, Error> {
        let pruned = self.sort_out(rules, now, |id| match id {
            Some(id) => self.remove_unused(id),
            None => self.remove_depot(),
        })?;
        self.prune_leftovers(now);
        Ok(pruned)
    }

    /// Returns what [`Self::prune`] would remove, without changing anything.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the entries cannot be listed, or an entry or the depot cannot be locked.
    pub fn would_prune(&self, rules: PruneRules, now: SystemTime) -> Result<Pruned, Error> {
        self.sort_out(rules, now, |id| match id {
            Some(id) => Ok(self.lock_unused(id)?.is_some()),
            None => Ok(self.lock_unused_depot()?.is_some()),
        })
    }

    /// Selects entries and the depot, which has no identifier, by age and size, and calls `remove`
    /// for each, which returns whether it was or could be removed.
    fn sort_out(
        &self,
        rules: PruneRules,
        now: SystemTime,
        remove: impl Fn(Option<&EntryId>) -> Result<bool, Error>,
    ) -> Result<Pruned, Error> {
        let entries = self.list(false)?;
        let depot = self.listed_depot();
        // The depot is ordered among the entries.
        let entries = entries
            .into_iter()
            .map(|entry| (entry.used, entry.bytes, Some(entry.id)));
        let depot = depot
            .into_iter()
            .map(|depot| (depot.used, depot.bytes, None));
        let mut candidates: Vec<_> = entries.chain(depot).collect();
        candidates.sort_by_key(|(used, ..)| *used);
        let mut left: u64 = candidates.iter().map(|(_, bytes, _)| bytes).sum();
        let mut pruned = Pruned::default();
        for (used, bytes, id) in candidates {
            let age = now.duration_since(used).unwrap_or_default();
            let too_old = rules.unused_for.is_some_and(|limit| age >= limit);
            let too_much = rules.keep_bytes.is_some_and(|limit| left > limit);
            if !(too_old || too_much) {
                continue;
            }
            let is_gone = remove(id.as_ref())?;
            if is_gone {
                left -= bytes;
                pruned.bytes += bytes;
            }
            match (id, is_gone) {
                (Some(id), true) => pruned.removed.push(id),
                (Some(id), false) => pruned.in_use.push(id),
                (None, true) => pruned.depot = true,
                (None, false) => pruned.depot_in_use = true,
            }
        }
        Ok(pruned)
    }

    /// Removes an entry unless it is being used or created. Returns whether it was removed.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the entry does not exist, or cannot be locked or removed.
    pub fn remove_unused(&self, id: &EntryId) -> Result<bool, Error> {
        let Some(_locks) = self.lock_unused(id)? else {
            return Ok(false);
        };
        self.remove_entry(id)?;
        Ok(true)
    }

    /// Returns the locks of an entry that is not being used or created, or `None` if it is.
    fn lock_unused(&self, id: &EntryId) -> Result<Option<(FileLock, FileLock)>, Error> {
        let LockAttempt::Got(making) = self.try_lock(id)? else {
            return Ok(None);
        };
        let path = self.use_file(id);
        // Without locks, the time of last use decides.
        let used = modified(&path).and_then(|at| at.elapsed().ok());
        if !making.is_real() && used.is_none_or(|age| age < UNLOCKED_AGE) {
            return Ok(None);
        }
        Ok(
            match try_exclusive(&path).map_err(Error::io("lock", &path))? {
                LockAttempt::Got(using) => Some((making, using)),
                LockAttempt::Busy => None,
            },
        )
    }

    /// Returns whether a complete entry exists.
    pub fn has(&self, id: &EntryId) -> bool {
        matches!(self.lookup(id), Ok(Lookup::Whole(_)))
    }

    fn prune_leftovers(&self, now: SystemTime) {
        let folder = |name: &str| self.root.join(name);
        remove_leftovers(&folder("partial"), now, is_partial);
        remove_leftovers(&folder("making"), now, is_unfinished);
        remove_leftovers(&folder("tmp"), now, is_temporary);
    }
}

/// Whether this is the name of an interrupted download, or of its note.
fn is_partial(name: &str) -> bool {
    let name = name.strip_suffix(".json").unwrap_or(name);
    let is_ours = |name: &str| name.parse::<Sha256>().is_ok() || EntryId::is_name(name);
    is_ours(name) || without_process(name).is_some_and(is_ours)
}

/// Whether this is the name of an entry that was not finished.
fn is_unfinished(name: &str) -> bool {
    EntryId::is_name(name) || without_process(name).is_some_and(EntryId::is_name)
}

/// Whether this is the name of a temporary folder of an entry, or of a depot that was being removed.
fn is_temporary(name: &str) -> bool {
    let prefix = name.split_once('.').map(|(prefix, _)| prefix);
    prefix.is_some_and(|prefix| prefix == "depot" || EntryId::is_short_digest(prefix))
}

/// Removes the number of the process, which is part of a name on file systems without locks.
fn without_process(name: &str) -> Option<&str> {
    let (rest, process) = name.rsplit_once('-')?;
    process.bytes().all(|c| c.is_ascii_digit()).then_some(rest)
}

/// Removes leftovers of killed processes from a folder: entries whose names `is_leftover` accepts
/// and that are older than a week. Errors are ignored; the next prune tries again.
pub fn remove_leftovers(folder: &Path, now: SystemTime, is_leftover: impl Fn(&str) -> bool) {
    // The folder that a link leads to is not ours.
    if folder.is_symlink() {
        return;
    }
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        let old = modified(&path)
            .is_some_and(|at| now.duration_since(at).is_ok_and(|age| age >= LEFTOVER_AGE));
        if old && is_leftover(&entry.file_name().to_string_lossy()) {
            let _ = if path.is_dir() {
                fs::remove_dir_all(&path)
            } else {
                fs::remove_file(&path)
            };
        }
    }
}

pub(super) fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).ok()?.modified().ok()
}

pub(super) fn disk_usage(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => disk_usage(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}
