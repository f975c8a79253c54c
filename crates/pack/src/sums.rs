//! `SHA256SUMS`: the digests of all files in the dist directory, in the format of `sha256sum`.

use std::collections::BTreeMap;
use std::path::Path;

use sysforge_files::{exclusive, unless_gone, write_whole};
use sysforge_plan::Sha256;
use sysforge_plan::release::sums;

use crate::error::PackError;

/// Reads `SHA256SUMS` in `dist`; returns an empty map if there is none. Ignores invalid lines.
///
/// # Errors
///
/// If the file exists but cannot be read.
pub fn read(dist: &Path) -> Result<BTreeMap<String, Sha256>, PackError> {
    let path = dist.join(sums::NAME);
    let text =
        unless_gone(sysforge_files::read_text(&path)).map_err(PackError::io("read", &path))?;
    let listed = sums::read(&text).into_iter();
    Ok(listed
        .map(|(name, digest)| (name.to_string(), digest))
        .collect())
}

/// Adds or replaces the digests of these files, removes those of deleted files, and rewrites the
/// list. Safe for concurrent use by several processes.
///
/// # Errors
///
/// [`PackError::Io`] if the list cannot be locked, read or written.
pub fn update(dist: &Path, files: &[(String, Sha256)]) -> Result<(), PackError> {
    let lock_path = dist.join(".lock");
    // Without working locks, the last writer wins; the next update for the other files corrects the
    // list.
    let _lock = exclusive(&lock_path).map_err(PackError::io("lock", &lock_path))?;
    let mut listed = read(dist)?;
    listed.retain(|name, _| dist.join(name).is_file());
    listed.extend(files.iter().cloned());
    let text = sums::write(listed.iter().map(|(name, digest)| (name.as_str(), *digest)));
    let path = dist.join(sums::NAME);
    write_whole(&path, text.as_bytes()).map_err(PackError::io("write", &path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_existing_files_and_removes_deleted_files() {
        let dist = tempfile::tempdir().unwrap();
        let digest = Sha256::new([1; 32]);
        std::fs::write(dist.path().join("a"), "a").unwrap();
        update(dist.path(), &[("a".into(), digest), ("b".into(), digest)]).unwrap();
        std::fs::write(dist.path().join("c"), "c").unwrap();
        update(dist.path(), &[("c".into(), digest)]).unwrap();
        let names: Vec<_> = read(dist.path()).unwrap().into_keys().collect();
        assert_eq!(names, ["a", "c"]);
    }
}
