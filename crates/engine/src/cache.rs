//! The store: listing its entries, and pruning it.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use sysforge_acquire::Store;
use sysforge_acquire::store::{EntryId, PruneRules};

use crate::engine::Engine;
use crate::failure::Failure;

/// The name of the depot in listings.
const DEPOT: &str = "depot";

/// An entry of the store, or the depot in it.
#[derive(Debug, Serialize)]
pub struct CacheEntry {
    /// Its name.
    pub entry: String,
    /// Its folder.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Seconds since it was last used.
    pub unused_s: u64,
    /// The address that it was downloaded from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// How it differs from what was installed, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub damage: Option<String>,
}

/// What pruning removed, or would remove.
#[derive(Debug, Serialize)]
pub struct PrunedCache {
    /// The names of the removed entries.
    pub removed: Vec<String>,
    /// The names of entries that were in use, and therefore not removed.
    pub in_use: Vec<String>,
    /// The size of the removed entries.
    pub bytes: u64,
}

/// Lists the store, the entries that were unused for longest first. With `verify`, reads every
/// byte.
///
/// # Errors
///
/// If no store is known, the store or build directory that the user has named cannot be a folder,
/// or the store cannot be read.
pub fn list(verify: bool, engine: &Engine) -> Result<Vec<CacheEntry>, Failure> {
    engine.require_folders()?;
    let store = Store::open(engine.store_path()?);
    let now = SystemTime::now();
    let unused = |used| now.duration_since(used).unwrap_or_default().as_secs();
    let listed = store.list(verify)?.into_iter().map(|listed| CacheEntry {
        entry: listed.id.to_string(),
        path: store.entry_dir(&listed.id),
        bytes: listed.bytes,
        unused_s: unused(listed.used),
        source: listed.state.as_ref().ok().map(|r| r.source.clone()),
        damage: listed.state.as_ref().err().map(ToString::to_string),
    });
    let depot = store.listed_depot().map(|depot| CacheEntry {
        entry: DEPOT.to_owned(),
        path: depot.path,
        bytes: depot.bytes,
        unused_s: unused(depot.used),
        source: None,
        damage: None,
    });
    let mut entries: Vec<_> = listed.chain(depot).collect();
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.unused_s));
    Ok(entries)
}

/// Returns the rows of a table of entries, with a heading.
pub fn rows(entries: &[CacheEntry]) -> Vec<Vec<String>> {
    let head = ["entry", "MB", "last used", "state"].map(str::to_owned);
    let rows = entries.iter().map(|entry| {
        vec![
            entry.entry.clone(),
            (entry.bytes / 1_000_000).to_string(),
            ago(entry.unused_s),
            entry.damage.clone().unwrap_or_else(|| "whole".to_owned()),
        ]
    });
    std::iter::once(head.to_vec()).chain(rows).collect()
}

fn ago(seconds: u64) -> String {
    match seconds {
        0..120 => "just now".to_owned(),
        120..7200 => format!("{} min ago", seconds / 60),
        7200..172_800 => format!("{} h ago", seconds / 3600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

/// Removes entries that were not used for `unused_for`, then the least recently used ones until the
/// rest has at most `keep_bytes`. Keeps entries that are in use. With `dry_run`, removes nothing.
///
/// # Errors
///
/// If the store cannot be read, or an entry cannot be removed.
pub fn prune(
    unused_for: Duration,
    keep_bytes: Option<u64>,
    dry_run: bool,
    engine: &Engine,
) -> Result<PrunedCache, Failure> {
    engine.require_folders()?;
    let store = Store::open(engine.store_path()?);
    let now = SystemTime::now();
    let rules = PruneRules {
        unused_for: Some(unused_for),
        keep_bytes,
    };
    let pruned = match dry_run {
        true => store.would_prune(rules, now)?,
        false => store.prune(rules, now)?,
    };
    if !dry_run {
        engine.images()?.prune_leftovers(now);
    }
    let names = |ids: &[EntryId], depot: bool| {
        let depot = depot.then(|| DEPOT.to_owned());
        ids.iter().map(ToString::to_string).chain(depot).collect()
    };
    Ok(PrunedCache {
        in_use: names(&pruned.in_use, pruned.depot_in_use),
        removed: names(&pruned.removed, pruned.depot),
        bytes: pruned.bytes,
    })
}

#[cfg(test)]
mod tests {
    use sysforge_report::table::table;

    use super::*;

    #[test]
    fn the_list_lines_up() {
        let entry = |entry: &str, damage: Option<&str>| CacheEntry {
            entry: entry.to_owned(),
            path: "x".into(),
            bytes: 430_000_000,
            unused_s: 7300,
            source: None,
            damage: damage.map(str::to_owned),
        };
        let entries = [
            entry("julia/1.12.7-x86_64-linux-gnu-0a1b2c3d4e5f", None),
            entry(
                "julia/1.5.3-x86_64-linux-gnu-ffb25e61d4ad",
                Some("`bin/julia` is missing"),
            ),
        ];
        insta::assert_snapshot!(table(&rows(&entries)), @r"
        entry                                        MB  last used                   state
        julia/1.12.7-x86_64-linux-gnu-0a1b2c3d4e5f  430    2 h ago                   whole
        julia/1.5.3-x86_64-linux-gnu-ffb25e61d4ad   430    2 h ago  `bin/julia` is missing
        ");
    }
}
