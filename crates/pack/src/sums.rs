//! `SHA256SUMS`: the digests of everything in the dist directory, in the format of `sha256sum`.

use std::collections::BTreeMap;
use std::path::Path;

use sysforge_files::{exclusive, write_whole};
use sysforge_plan::Sha256;

use crate::error::PackError;

/// The file's name.
pub const FILE_NAME: &str = "SHA256SUMS";

/// Reads `SHA256SUMS` in `dist`; returns an empty map if there is none. Ignores invalid lines.
///
/// # Errors
///
/// If the file exists but cannot be read.
pub fn read(dist: &Path) -> Result<BTreeMap<String, Sha256>, PackError> {
    let path = dist.join(FILE_NAME);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(source) => {
            return Err(PackError::Io {
                action: "read",
                path,
                source,
            });
        }
    };
    Ok(text.lines().filter_map(read_line).collect())
}

fn read_line(line: &str) -> Option<(String, Sha256)> {
    // sha256sum(1) writes two spaces for text, and a space and a star for binary.
    let (digest, name) = line.split_once("  ").or_else(|| line.split_once(" *"))?;
    Some((name.to_owned(), digest.parse().ok()?))
}

/// Adds or replaces the digests of these files, removes those of deleted files, and rewrites the
/// list. Safe for concurrent use by several processes.
///
/// # Errors
///
/// If the list cannot be written.
pub fn update(dist: &Path, files: &[(String, Sha256)]) -> Result<(), PackError> {
    let lock_path = dist.join(".lock");
    // Without locks, the last writer wins; the next update of the other files corrects the list.
    let _lock = exclusive(&lock_path).map_err(PackError::io("lock", &lock_path))?;
    let mut sums = read(dist)?;
    sums.retain(|name, _| dist.join(name).is_file());
    sums.extend(files.iter().cloned());
    let text: String = sums
        .iter()
        .map(|(name, digest)| format!("{digest}  {name}\n"))
        .collect();
    let path = dist.join(FILE_NAME);
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

    #[test]
    fn reads_both_forms_of_a_line() {
        let digest = "0".repeat(64);
        assert_eq!(read_line(&format!("{digest}  x y")).unwrap().0, "x y");
        assert_eq!(read_line(&format!("{digest} *x")).unwrap().0, "x");
        assert!(read_line("hello").is_none());
    }
}
