//! The name of a store entry, and its record.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sysforge_plan::signing::SignatureCheck;
use sysforge_plan::{JuliaVersion, Sha256, Triplet};

use super::lease::Lease;
use sysforge_archive::{Item, Kind, Listing};

/// The file in each entry that describes it.
pub(crate) const RECORD: &str = ".sysforge.json";

/// The file in each entry that lists the entry's files.
pub(crate) const LISTING: &str = ".sysforge-files";

/// Number of hexadecimal digits of the digest in an entry's name. 48 bits distinguish any number of
/// releases, and Windows paths must be short; the record contains the whole digest.
const DIGITS: usize = 12;

/// The name of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryId {
    kind: &'static str,
    name: String,
}

impl EntryId {
    /// Creates the identifier of a Julia from the archive with this digest.
    pub fn julia(version: &JuliaVersion, triplet: Triplet, sha256: &Sha256) -> Self {
        Self {
            kind: "julia",
            name: format!("{version}-{triplet}-{}", sha256.short(DIGITS)),
        }
    }

    /// Creates the identifier of a nightly Julia, which is a digest of its entity tag.
    pub fn nightly(triplet: Triplet, pin: &Sha256) -> Self {
        Self {
            kind: "julia",
            name: format!("nightly-{triplet}-{}", pin.short(DIGITS)),
        }
    }

    /// Creates the identifier of a toolchain from the archive with this digest.
    pub fn toolchain(name: &str, sha256: &Sha256) -> Self {
        Self {
            kind: "toolchain",
            name: format!("{name}-{}", sha256.short(DIGITS)),
        }
    }

    /// Creates the identifier of a base image from the digest of its inputs.
    pub fn base(version: &JuliaVersion, triplet: Triplet, parts: &Sha256) -> Self {
        Self {
            kind: "base",
            name: format!("{version}-{triplet}-{}", parts.short(DIGITS)),
        }
    }

    pub(crate) fn existing(kind: &'static str, name: String) -> Self {
        Self { kind, name }
    }

    /// Returns the kind of the entry, which is also the name of its parent folder.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// Returns the name of the entry's folder.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns whether a folder of this name can be an entry: every name ends with a digest.
    pub(crate) fn is_name(name: &str) -> bool {
        let digest = name.rsplit_once('-').map(|(_, digest)| digest);
        digest.is_some_and(Self::is_short_digest)
    }

    /// Returns whether this is a digest as in the name of an entry.
    pub(crate) fn is_short_digest(text: &str) -> bool {
        let is_digit = |c: u8| matches!(c, b'0'..=b'9' | b'a'..=b'f');
        text.len() == DIGITS && text.bytes().all(is_digit)
    }

    pub(crate) fn lock_name(&self, extension: &str) -> String {
        format!("{}-{}.{extension}", self.kind, self.name)
    }

    pub(crate) fn temporary_prefix(&self) -> String {
        // The digest is enough to distinguish entries, and paths must stay short.
        let short = self.name.rsplit('-').next().unwrap_or(&self.name);
        format!("{short}.")
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

/// The description of an entry, stored in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The format of this record.
    pub schema: u32,
    /// The archive's address, without credentials; for a base, a description of its inputs.
    pub source: String,
    /// The archive's digest; for a base, the file's.
    pub sha256: Sha256,
    /// The size of the archive or file in bytes.
    pub size: u64,
    /// The result of checking the archive's signature.
    pub signature: SignatureCheck,
    /// The version of a Julia; `None` for a toolchain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<JuliaVersion>,
    /// A Julia's platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub triplet: Option<Triplet>,
    /// Total size of all files in bytes.
    pub unpacked_bytes: u64,
    /// The digest of the list of files.
    pub listing: Sha256,
}

/// The version of the record's format that this program reads and writes.
pub(crate) const SCHEMA: u32 = 1;

/// A complete entry of the store. `prune` does not remove it while this value lives.
#[derive(Debug)]
pub struct Entry {
    pub(crate) id: EntryId,
    pub(crate) prefix: PathBuf,
    pub(crate) record: Record,
    pub(crate) lease: Lease,
}

impl Entry {
    /// Returns the identifier.
    pub fn id(&self) -> &EntryId {
        &self.id
    }

    /// Returns the folder.
    pub fn prefix(&self) -> &Path {
        &self.prefix
    }

    /// Returns the record.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Returns only the lease, for callers that need the folder for longer than this value.
    pub fn into_lease(self) -> Lease {
        self.lease
    }
}

/// Formats a listing, one line per path: kind, time, size, checksum or link target, path. Names
/// contain no control characters, so tabs and newlines are separators.
pub(crate) fn write_listing(listing: &Listing) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(listing.len() * 80);
    for (path, Item { kind, modified }) in listing {
        // Writing to a string does not fail.
        let _ = match kind {
            Kind::Folder => writeln!(text, "d\t{modified}\t\t\t{path}"),
            Kind::File { size, crc32 } => {
                writeln!(text, "f\t{modified}\t{size}\t{crc32:08x}\t{path}")
            }
            Kind::Link { target } => writeln!(text, "l\t{modified}\t\t{target}\t{path}"),
        };
    }
    text
}

/// Parses the output of [`write_listing`].
pub(crate) fn read_listing(text: &str) -> Option<Listing> {
    text.lines()
        .map(|line| {
            let mut fields = line.split('\t');
            let (kind, modified, size, detail, path) = (
                fields.next()?,
                fields.next()?.parse().ok()?,
                fields.next()?,
                fields.next()?,
                fields.next()?,
            );
            let kind = match kind {
                "d" => Kind::Folder,
                "f" => Kind::File {
                    size: size.parse().ok()?,
                    crc32: u32::from_str_radix(detail, 16).ok()?,
                },
                "l" => Kind::Link {
                    target: detail.to_owned(),
                },
                _ => return None,
            };
            Some((path.to_owned(), Item { kind, modified }))
        })
        .collect()
}

/// Writes the record and the list of files into an unpacked tree. This is the last step before the
/// tree is renamed to its final path.
pub(crate) fn seal(prefix: &Path, record: &Record, listing: &str) -> std::io::Result<()> {
    fs::write(prefix.join(LISTING), listing)?;
    let json = serde_json::to_vec_pretty(record).map_err(std::io::Error::other)?;
    fs::write(prefix.join(RECORD), json)
}
