//! Detects entries that no longer match what was installed: a file that was removed or changed, a
//! truncated file, a cache that was restored incompletely.

use std::fmt;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::time::SystemTime;

use sysforge_plan::Sha256;

use super::entry::{LISTING, RECORD, Record, SCHEMA, read_listing};
use sysforge_archive::{Item, Kind};

/// A short description of the damage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage(String);

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Checks that every file exists with its recorded size and modification time: some milliseconds
/// for a Julia.
pub(super) fn check(prefix: &Path) -> Result<Record, Damage> {
    examine(prefix, |_, _| None)
}

/// Like [`check`], and also reads every byte.
pub(super) fn check_deeply(prefix: &Path) -> Result<Record, Damage> {
    examine(prefix, |path, expected| match crc32(path) {
        Ok(actual) if actual == expected => None,
        Ok(_) => Some("has different content"),
        Err(_) => Some("cannot be read"),
    })
}

fn examine(
    prefix: &Path,
    content: impl Fn(&Path, u32) -> Option<&'static str>,
) -> Result<Record, Damage> {
    let damage = |name: &str, what: &str| Damage(format!("`{name}` {what}"));
    let json = sysforge_files::read_bytes(prefix.join(RECORD))
        .map_err(|_| damage(RECORD, "is missing"))?;
    let record: Record =
        serde_json::from_slice(&json).map_err(|_| damage(RECORD, "cannot be read"))?;
    if record.schema != SCHEMA {
        return Err(damage(RECORD, "was written by another version of Sysforge"));
    }
    let listing = sysforge_files::read_bytes(prefix.join(LISTING))
        .map_err(|_| damage(LISTING, "is missing"))?;
    if Sha256::of(&listing) != record.listing {
        return Err(damage(LISTING, "was changed"));
    }
    let listing = String::from_utf8(listing)
        .ok()
        .and_then(|text| read_listing(&text))
        .ok_or_else(|| damage(LISTING, "cannot be read"))?;
    for (path, item) in &listing {
        let full = prefix.join(path);
        if let Some(what) = differs(&full, item) {
            return Err(damage(path, what));
        }
        if let Kind::File { crc32, .. } = item.kind
            && let Some(what) = content(&full, crc32)
        {
            return Err(damage(path, what));
        }
    }
    Ok(record)
}

fn differs(path: &Path, item: &Item) -> Option<&'static str> {
    let Ok(metadata) = fs::symlink_metadata(path) else {
        return Some("is missing");
    };
    match &item.kind {
        Kind::Folder if !metadata.is_dir() => Some("is no longer a folder"),
        Kind::Folder => None,
        Kind::File { .. } if !metadata.is_file() => Some("is no longer a file"),
        Kind::File { size, .. } if metadata.len() != *size => Some("has a different size"),
        // Compare whole seconds: these survive every file system and every cache.
        Kind::File { .. } if modified(&metadata) != Some(item.modified) => Some("was changed"),
        Kind::File { .. } => None,
        Kind::Link { target } => match fs::read_link(path) {
            Ok(found) if found.to_string_lossy().replace('\\', "/") == *target => None,
            _ => Some("is a different link"),
        },
    }
}

fn modified(metadata: &fs::Metadata) -> Option<u64> {
    let since = metadata
        .modified()
        .ok()?
        .duration_since(SystemTime::UNIX_EPOCH);
    Some(since.ok()?.as_secs())
}

fn crc32(path: &Path) -> std::io::Result<u32> {
    let mut file = fs::File::open(path)?;
    let mut hasher = crc32fast::Hasher::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finalize()),
            count => hasher.update(&buffer[..count]),
        }
    }
}
