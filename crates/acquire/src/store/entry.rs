//! What an entry of the store is called, and what it says about itself.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sysforge_plan::signing::SignatureCheck;
use sysforge_plan::{JuliaVersion, Sha256, Triplet};

use super::lease::Lease;
use sysforge_archive::{Item, Kind, Listing};

/// The file, in each entry, that says what the entry is.
pub(crate) const RECORD: &str = ".sysforge.json";

/// The file, in each entry, that lists the entry's files.
pub(crate) const LISTING: &str = ".sysforge-files";

/// How many digits of the digest are in an entry's name. 48 bits tell any number of releases
/// apart, and Windows paths are short; the record has the whole digest.
const DIGITS: usize = 12;

/// The name of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryId {
    kind: &'static str,
    name: String,
}

impl EntryId {
    /// A Julia from an archive with this digest.
    #[must_use]
    pub fn julia(version: &JuliaVersion, triplet: Triplet, sha256: &Sha256) -> Self {
        Self {
            kind: "julia",
            name: format!("{version}-{triplet}-{}", sha256.short(DIGITS)),
        }
    }

    /// A nightly Julia, pinned by a digest of its entity tag.
    #[must_use]
    pub fn nightly(triplet: Triplet, pin: &Sha256) -> Self {
        Self {
            kind: "julia",
            name: format!("nightly-{triplet}-{}", pin.short(DIGITS)),
        }
    }

    /// A toolchain from an archive with this digest.
    #[must_use]
    pub fn toolchain(name: &str, sha256: &Sha256) -> Self {
        Self {
            kind: "toolchain",
            name: format!("{name}-{}", sha256.short(DIGITS)),
        }
    }

    /// A base, from what this is the digest of.
    #[must_use]
    pub fn base(version: &JuliaVersion, triplet: Triplet, parts: &Sha256) -> Self {
        Self {
            kind: "base",
            name: format!("{version}-{triplet}-{}", parts.short(DIGITS)),
        }
    }

    pub(crate) fn existing(kind: &'static str, name: String) -> Self {
        Self { kind, name }
    }

    /// The folder of its kind.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// Its own folder's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn lock_name(&self, extension: &str) -> String {
        format!("{}-{}.{extension}", self.kind, self.name)
    }

    pub(crate) fn temporary_prefix(&self) -> String {
        // The digest tells entries apart well enough, and paths must stay short.
        let short = self.name.rsplit('-').next().unwrap_or(&self.name);
        format!("{short}.")
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

/// What an entry says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The format of this record.
    pub schema: u32,
    /// The archive's address, without credentials; of a base, what it was made from.
    pub source: String,
    /// The archive's digest; of a base, the file's.
    pub sha256: Sha256,
    /// The archive's or file's size in bytes.
    pub size: u64,
    /// What was found out about the archive's signature.
    pub signature: SignatureCheck,
    /// What a Julia's version is; none for a toolchain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<JuliaVersion>,
    /// A Julia's platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub triplet: Option<Triplet>,
    /// Bytes of all files together.
    pub unpacked_bytes: u64,
    /// The digest of the list of files.
    pub listing: Sha256,
}

/// The schema that this program writes and reads.
pub(crate) const SCHEMA: u32 = 1;

/// An entry of the store, whole, and kept from `prune` for as long as this value lives.
#[derive(Debug)]
pub struct Entry {
    pub(crate) id: EntryId,
    pub(crate) prefix: PathBuf,
    pub(crate) record: Record,
    pub(crate) lease: Lease,
}

impl Entry {
    /// Its name.
    #[must_use]
    pub fn id(&self) -> &EntryId {
        &self.id
    }

    /// Its folder.
    #[must_use]
    pub fn prefix(&self) -> &Path {
        &self.prefix
    }

    /// What it says about itself.
    #[must_use]
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// The lease alone, for who needs the folder for longer than this value.
    #[must_use]
    pub fn into_lease(self) -> Lease {
        self.lease
    }
}

/// One line for each path: kind, time, size, check sum or link target, path. Names hold no
/// control characters, so tabs and line ends separate.
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

/// Reads what [`write_listing`] wrote.
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

/// Puts the record and the list of files into an unpacked tree: the last thing before it is
/// moved into its place.
pub(crate) fn seal(prefix: &Path, record: &Record, listing: &str) -> std::io::Result<()> {
    fs::write(prefix.join(LISTING), listing)?;
    let json = serde_json::to_vec_pretty(record).map_err(std::io::Error::other)?;
    fs::write(prefix.join(RECORD), json)
}
