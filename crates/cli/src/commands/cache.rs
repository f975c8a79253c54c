//! `sysforge cache path|list|prune`: the store.

use std::time::{Duration, SystemTime};

use serde::Serialize;
use sysforge_acquire::Store;
use sysforge_acquire::store::{EntryId, Listed, ListedDepot, PruneRules};

use crate::args::CacheCommand;
use crate::failure::Outcome;
use crate::session::Session;
use crate::terminal::fitted_table;

/// One entry, for `--json`.
#[derive(Serialize)]
struct Row {
    entry: String,
    path: std::path::PathBuf,
    bytes: u64,
    unused_s: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    damage: Option<String>,
}

pub(crate) async fn run(command: &CacheCommand, session: &Session) -> Outcome {
    let store = Store::open(session.engine.store_path()?);
    match command {
        CacheCommand::Path => {
            let path = store.root();
            if session.global.json {
                session.terminal.json(&path);
            } else {
                session.terminal.data(&path.display().to_string());
            }
        }
        CacheCommand::List { verify } => {
            let now = SystemTime::now();
            let listed = store.list(*verify)?;
            let mut rows: Vec<_> = listed.iter().map(|e| Row::new(&store, e, now)).collect();
            rows.extend(store.listed_depot().map(|depot| Row::of_depot(depot, now)));
            rows.sort_by_key(|row| std::cmp::Reverse(row.unused_s));
            if session.global.json {
                session.terminal.json(&rows);
            } else {
                session.terminal.data(&text(&rows));
            }
        }
        CacheCommand::Prune {
            older_than,
            keep,
            dry_run,
            all,
        } => {
            let rules = if *all {
                PruneRules {
                    unused_for: Some(Duration::ZERO),
                    keep_bytes: None,
                }
            } else {
                PruneRules {
                    unused_for: Some(*older_than),
                    keep_bytes: *keep,
                }
            };
            let now = SystemTime::now();
            let pruned = match dry_run {
                true => store.would_prune(rules, now)?,
                false => store.prune(rules, now)?,
            };
            if !dry_run {
                session.engine.images()?.prune_leftovers(now);
            }
            let names = |ids: &[EntryId], depot: bool| {
                let names: Vec<_> = ids.iter().map(ToString::to_string).collect();
                [names, Vec::from_iter(depot.then(|| DEPOT.to_owned()))].concat()
            };
            let in_use = names(&pruned.in_use, pruned.depot_in_use);
            for name in &in_use {
                session.terminal.say(&format!("kept {name}: it is in use"));
            }
            let removed = names(&pruned.removed, pruned.depot);
            if session.global.json {
                session.terminal.json(&serde_json::json!({
                    "removed": removed, "in_use": in_use, "bytes": pruned.bytes,
                }));
            } else {
                for id in removed {
                    session.terminal.data(&id);
                }
                let freed = if *dry_run { "would free" } else { "freed" };
                session
                    .terminal
                    .say(&format!("{freed} {} MB", pruned.bytes / 1_000_000));
            }
        }
    }
    Ok(())
}

/// How the depot in the store is listed.
const DEPOT: &str = "depot";

impl Row {
    fn of_depot(depot: ListedDepot, now: SystemTime) -> Self {
        let unused = now.duration_since(depot.used).unwrap_or_default();
        Self {
            entry: DEPOT.to_owned(),
            path: depot.path,
            bytes: depot.bytes,
            unused_s: unused.as_secs(),
            source: None,
            damage: None,
        }
    }

    fn new(store: &Store, listed: &Listed, now: SystemTime) -> Self {
        let unused = now.duration_since(listed.used).unwrap_or_default();
        Self {
            entry: listed.id.to_string(),
            path: store.entry_dir(&listed.id),
            bytes: listed.bytes,
            unused_s: unused.as_secs(),
            source: listed.state.as_ref().ok().map(|r| r.source.clone()),
            damage: listed.state.as_ref().err().map(ToString::to_string),
        }
    }
}

fn text(rows: &[Row]) -> String {
    let mut lines = vec![
        ["entry", "MB", "last used", "state"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for row in rows {
        let state = row.damage.clone().unwrap_or_else(|| "whole".to_owned());
        lines.push(vec![
            row.entry.clone(),
            (row.bytes / 1_000_000).to_string(),
            ago(row.unused_s),
            state,
        ]);
    }
    fitted_table(&lines)
}

fn ago(seconds: u64) -> String {
    match seconds {
        0..120 => "just now".to_owned(),
        120..7200 => format!("{} min ago", seconds / 60),
        7200..172_800 => format!("{} h ago", seconds / 3600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_lines_up() {
        let row = |entry: &str, damage: Option<&str>| Row {
            entry: entry.to_owned(),
            path: "x".into(),
            bytes: 430_000_000,
            unused_s: 7300,
            source: None,
            damage: damage.map(str::to_owned),
        };
        let rows = [
            row("julia/1.12.7-x86_64-linux-gnu-0a1b2c3d4e5f", None),
            row(
                "julia/1.5.3-x86_64-linux-gnu-ffb25e61d4ad",
                Some("`bin/julia` is missing"),
            ),
        ];
        insta::assert_snapshot!(text(&rows), @r"
        entry                                        MB  last used                   state
        julia/1.12.7-x86_64-linux-gnu-0a1b2c3d4e5f  430    2 h ago                   whole
        julia/1.5.3-x86_64-linux-gnu-ffb25e61d4ad   430    2 h ago  `bin/julia` is missing
        ");
    }
}
