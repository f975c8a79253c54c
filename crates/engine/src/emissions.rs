//! How long emissions took on this machine: a file in the store. The next emission of an image that
//! was never built here is expected to take as long as others of its kind.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sysforge_acquire::Store;
use sysforge_files::{read_regular, write_whole};

/// The name of the file.
const NAME: &str = "emissions.json";

/// Maximum size of the file, in bytes.
const SIZE_LIMIT: u64 = 1 << 20;

/// Number of emissions that are kept.
const KEPT: usize = 100;

/// Number of emissions of a kind, the newest, whose median is expected.
const COMPARED: usize = 5;

/// What decides how long an emission takes, apart from the packages: all of Julia is compiled again,
/// once for each CPU target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EmissionKind {
    /// The major and minor version of Julia.
    pub(crate) julia: (u64, u64),
    /// Number of CPU targets.
    pub(crate) targets: u64,
    /// Whether the REPL is part of the image.
    pub(crate) repl: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct PastEmission {
    #[serde(flatten)]
    kind: EmissionKind,
    seconds: f64,
}

/// Returns how long emissions of this kind took: the median of the newest ones.
pub(crate) fn expected(stores: &[Store], kind: &EmissionKind) -> Option<Duration> {
    let all = files(stores).flat_map(|file| read(&file));
    let same = all.filter(|emission| emission.kind == *kind);
    let mut seconds: Vec<f64> = same.map(|emission| emission.seconds).collect();
    let mut newest = seconds.split_off(seconds.len().saturating_sub(COMPARED));
    newest.sort_by(f64::total_cmp);
    let median = newest.get(newest.len() / 2)?;
    Duration::try_from_secs_f64(*median).ok()
}

/// Adds an emission to the file in the first store that can be written to. It only serves an estimate,
/// so a failure is not an error.
pub(crate) fn remember(stores: &[Store], kind: EmissionKind, time: Duration) {
    let seconds = time.as_secs_f64();
    let emission = PastEmission { kind, seconds };
    for file in files(stores) {
        let mut all = read(&file);
        all.drain(..all.len().saturating_sub(KEPT - 1));
        all.push(emission.clone());
        let text = serde_json::to_vec(&all).unwrap_or_default();
        if write_whole(&file, &text).is_ok() {
            return;
        }
    }
}

fn files(stores: &[Store]) -> impl Iterator<Item = PathBuf> {
    stores.iter().map(|store| store.root().join(NAME))
}

fn read(file: &Path) -> Vec<PastEmission> {
    let text = read_regular(file, SIZE_LIMIT).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(targets: u64) -> EmissionKind {
        EmissionKind {
            julia: (1, 12),
            targets,
            repl: false,
        }
    }

    fn seconds(stores: &[Store], targets: u64) -> Option<u64> {
        expected(stores, &kind(targets)).map(|time| time.as_secs())
    }

    #[test]
    fn an_emission_is_expected_to_take_as_long_as_the_last_ones_of_its_kind() {
        let folder = tempfile::tempdir().unwrap();
        let stores = [Store::open(folder.path().join("store"))];
        assert_eq!(seconds(&stores, 1), None);
        for time in [900, 10, 60, 50, 40, 30] {
            remember(&stores, kind(1), Duration::from_secs(time));
        }
        remember(&stores, kind(3), Duration::from_secs(180));
        assert_eq!(seconds(&stores, 1), Some(40));
        assert_eq!(seconds(&stores, 3), Some(180));
        assert_eq!(seconds(&stores, 2), None);
    }

    #[test]
    fn the_file_does_not_grow_forever_and_its_damage_is_harmless() {
        let folder = tempfile::tempdir().unwrap();
        let stores = [Store::open(folder.path())];
        let file = folder.path().join(NAME);
        std::fs::write(&file, "[{\"julia\":").unwrap();
        assert_eq!(seconds(&stores, 1), None);
        for time in 0..KEPT as u64 + 20 {
            remember(&stores, kind(1), Duration::from_secs(time));
        }
        assert_eq!(read(&file).len(), KEPT);
        std::fs::write(
            &file,
            "[{\"julia\":[1,12],\"targets\":1,\"repl\":false,\"seconds\":-1}]",
        )
        .unwrap();
        assert_eq!(seconds(&stores, 1), None);
    }

    #[test]
    fn a_store_that_cannot_be_written_to_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let blocked = folder.path().join("a file");
        std::fs::write(&blocked, "").unwrap();
        let stores = [Store::open(blocked), Store::open(folder.path().join("b"))];
        remember(&stores, kind(1), Duration::from_secs(70));
        assert_eq!(seconds(&stores, 1), Some(70));
    }
}
