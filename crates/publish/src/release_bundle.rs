//! The files of a release, prepared from a dist directory before anything is sent. They are the
//! same for every host.

use std::path::PathBuf;

use bytes::Bytes;
use sysforge_plan::Sha256;
use sysforge_plan::receipt::FileRecord;
use sysforge_plan::release::asset_name::no_collisions;
use sysforge_plan::release::{INDEX_NAME, ReleaseImage, ReleaseIndex};
use sysforge_plan::text::{FileName, Tag};

use crate::dist::{Build, Dist, LocalFile};
pub use crate::documents::provenance::Origin;
use crate::documents::{artifacts_toml, notes, provenance, sbom, sums};
use crate::error::PublishError;
use crate::local;
use crate::report::{AssetOutcome, AssetReport};
use crate::signing::{self, Identity, SIGNATURE_END, Signer};

/// The location of a release, and the limits of its host.
#[derive(Debug, Clone)]
pub struct Destination {
    /// The tag.
    pub tag: String,
    /// The common prefix of its files' URLs, with a trailing `/`.
    pub base: String,
    /// The text that a user types after `sysforge install`.
    pub source: String,
    /// The host's maximum size of a file, in bytes.
    pub file_limit: u64,
    /// The host's maximum number of files.
    pub count_limit: usize,
}

/// The kind of a file in a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// An archive or a part of one. Sent first, because it is large.
    Archive,
    /// A document that is the same for the same images.
    Document,
    /// The provenance. It describes the run too, so another run would write another.
    Statement,
    /// The release index. Sent last, because it makes a release usable.
    Index,
}

/// The bytes of a file.
#[derive(Debug, Clone)]
pub enum Content {
    /// A part of a file on this machine.
    File {
        /// The file.
        path: PathBuf,
        /// The offset of the first byte.
        offset: u64,
    },
    /// These bytes.
    Memory(Bytes),
}

/// One file of a release.
#[derive(Debug, Clone)]
pub struct Asset {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: Kind,
    /// Its bytes.
    pub content: Content,
    /// Size in bytes.
    pub size: u64,
    /// Its digest.
    pub sha256: Sha256,
}

/// All files of a release, in the order in which they are sent.
#[derive(Debug, Clone)]
pub struct ReleaseBundle {
    /// The tag.
    pub tag: String,
    /// The notes about the images.
    pub notes: String,
    /// The files.
    pub assets: Vec<Asset>,
    /// The URL of the release index, to which notes that are cut link.
    pub index_address: String,
    /// The repository or site that the release belongs to.
    pub identity: Identity,
}

impl ReleaseBundle {
    /// Prepares the release of a dist directory.
    ///
    /// # Errors
    ///
    /// If the tag is not valid, files would collide or be too many, or a file cannot be read.
    pub async fn prepare(
        dist: &Dist,
        destination: &Destination,
        origin: &Origin,
    ) -> Result<Self, PublishError> {
        let (dist, destination, origin) = (dist.clone(), destination.clone(), origin.clone());
        local::blocking(move || Self::prepare_now(&dist.builds, &dist.extra, &destination, &origin))
            .await
    }

    fn prepare_now(
        builds: &[Build],
        extra: &[LocalFile],
        destination: &Destination,
        origin: &Origin,
    ) -> Result<Self, PublishError> {
        let tag = &destination.tag;
        let valid_tag = Tag::new(tag.as_str()).map_err(|_| PublishError::BadTag(tag.clone()))?;
        let mut assets = Vec::new();
        let mut images = Vec::new();
        for build in builds {
            let pieces = pieces(&build.archive, destination.file_limit)?;
            let bill = in_memory(
                sbom::name(&build.receipt),
                Kind::Document,
                sbom::write(&build.receipt)?,
            );
            images.push(ReleaseImage {
                archive: record(&build.archive)?,
                parts: match pieces.len() {
                    1 => Vec::new(),
                    _ => pieces.iter().map(Asset::record).collect::<Result<_, _>>()?,
                },
                sbom: Some(bill.record()?),
                receipt: build.receipt.clone(),
            });
            assets.extend(pieces);
            assets.push(whole(&build.receipt_file, Kind::Document));
            assets.push(bill);
        }
        for file in extra {
            if file.size > destination.file_limit {
                return Err(PublishError::TooLarge {
                    name: file.name.clone(),
                    limit: destination.file_limit,
                });
            }
            assets.push(whole(file, Kind::Document));
        }
        let address = |name: &str| format!("{}{name}", destination.base);
        let whole_archives: Vec<_> = builds
            .iter()
            .filter(|build| build.archive.size <= destination.file_limit)
            .cloned()
            .collect();
        if let Some(text) = artifacts_toml::write(&whole_archives, address) {
            let name = artifacts_toml::NAME.to_owned();
            assets.push(in_memory(name, Kind::Document, text));
        }
        let index = ReleaseIndex::new(&valid_tag, images).to_json();
        let index_digest = Sha256::of(index.as_bytes());
        assets.push(in_memory(INDEX_NAME.to_owned(), Kind::Index, index));
        let listed = assets
            .iter()
            .map(|asset| (asset.name.as_str(), asset.sha256));
        let list = sums::write(listed);
        assets.push(in_memory(sums::NAME.to_owned(), Kind::Document, list));
        let statement = provenance::write(builds, tag, index_digest, origin);
        let name = provenance::NAME.to_owned();
        assets.push(in_memory(name, Kind::Statement, statement));

        no_collisions(assets.iter().map(|asset| asset.name.as_str()))?;
        few_enough(&assets, destination.count_limit)?;
        in_order(&mut assets);
        let index_address = address(INDEX_NAME);
        Ok(Self {
            tag: tag.clone(),
            notes: notes::write(builds, &destination.source, &index_address),
            assets,
            index_address,
            identity: Identity::default(),
        })
    }

    /// Sets the repository or site that the release belongs to; a signature names it too.
    #[must_use]
    pub fn of(mut self, identity: Identity) -> Self {
        self.identity = identity;
        self
    }

    /// Inserts a maintainer's text before the description of the images. It is in Sysforge's
    /// section of the notes, so publishing again replaces it.
    ///
    /// # Errors
    ///
    /// If the notes become longer than GitHub accepts.
    pub fn with_text(mut self, text: &str) -> Result<Self, PublishError> {
        self.notes = notes::with_text(&self.notes, text);
        match self.notes.chars().count() {
            length if length > notes::LIMIT => Err(PublishError::LongNotes {
                length,
                limit: notes::LIMIT,
            }),
            _ => Ok(self),
        }
    }

    /// Signs the release: the index, which names every archive by its digest, and the provenance.
    ///
    /// # Errors
    ///
    /// If the host accepts no more files.
    pub fn sign(&mut self, signer: &Signer, count_limit: usize) -> Result<(), PublishError> {
        let made = |name: &str| {
            let asset = self.assets.iter().find(|asset| asset.name == name);
            match asset.map(|asset| &asset.content) {
                Some(Content::Memory(bytes)) => bytes.clone(),
                _ => Bytes::new(),
            }
        };
        let index = made(INDEX_NAME);
        let statement = signing::statement(&self.identity, &self.tag, INDEX_NAME, &index);
        let signature = signer.sign(&index, &statement);
        let statement = made(provenance::NAME);
        let envelope = signer.envelope(&String::from_utf8_lossy(&statement));
        let name = format!("{INDEX_NAME}{SIGNATURE_END}");
        self.assets.push(in_memory(name, Kind::Document, signature));
        let name = provenance::SIGNED_NAME.to_owned();
        self.assets.push(in_memory(name, Kind::Statement, envelope));
        self.notes = notes::with_key(&self.notes, &signer.public().to_string());
        in_order(&mut self.assets);
        few_enough(&self.assets, count_limit)
    }

    /// Adds the notes as a file, for a host without release notes. The file is not listed in the
    /// index or the checksums, and not signed.
    #[must_use]
    pub fn with_notes_as_file(mut self) -> Self {
        let (name, text) = (notes::NAME.to_owned(), self.notes.clone());
        self.assets.push(in_memory(name, Kind::Statement, text));
        in_order(&mut self.assets);
        self
    }

    /// Returns the report about its files. `outcome` gets the position and the file.
    pub(crate) fn outcomes(
        &self,
        outcome: impl Fn(usize, &Asset) -> AssetOutcome,
    ) -> Vec<AssetReport> {
        let numbered = self.assets.iter().enumerate();
        let report = |(number, asset): (usize, &Asset)| AssetReport {
            name: asset.name.clone(),
            size: asset.size,
            outcome: outcome(number, asset),
        };
        numbered.map(report).collect()
    }

    /// Returns the total size, in bytes.
    pub fn size(&self) -> u64 {
        self.assets.iter().map(|asset| asset.size).sum()
    }
}

impl Asset {
    /// Returns its name, size and digest.
    ///
    /// # Errors
    ///
    /// If the name is not portable.
    pub fn record(&self) -> Result<FileRecord, PublishError> {
        Ok(FileRecord {
            name: FileName::new(self.name.as_str())?,
            size: self.size,
            sha256: self.sha256,
        })
    }

    /// Returns the error for a copy at the host with other bytes: the fault is the host's, unless the
    /// file on this machine is no longer the one whose digest was computed.
    pub(crate) fn differs(&self, found: String) -> PublishError {
        if let Content::File { path, offset } = &self.content
            && local::sha256_of(path, *offset, self.size).is_ok_and(|now| now != self.sha256)
        {
            return PublishError::Changing(path.clone());
        }
        PublishError::HostDigest {
            name: self.name.clone(),
            expected: self.sha256,
            found,
        }
    }

    /// Does the same as [`Asset::differs`], off the async threads.
    pub(crate) async fn differs_at_host(&self, found: String) -> PublishError {
        let asset = self.clone();
        let error = local::blocking(move || Ok(asset.differs(found))).await;
        error.unwrap_or_else(|error| error)
    }
}

fn in_order(assets: &mut [Asset]) {
    assets.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
}

fn few_enough(assets: &[Asset], limit: usize) -> Result<(), PublishError> {
    // One more for the lock that a publisher holds meanwhile.
    if assets.len() < limit {
        return Ok(());
    }
    Err(PublishError::TooMany {
        count: assets.len(),
        limit,
    })
}

fn record(file: &LocalFile) -> Result<FileRecord, PublishError> {
    Ok(FileRecord {
        name: FileName::new(file.name.as_str())?,
        size: file.size,
        sha256: file.sha256,
    })
}

fn in_memory(name: String, kind: Kind, text: String) -> Asset {
    Asset {
        name,
        kind,
        size: text.len() as u64,
        sha256: Sha256::of(text.as_bytes()),
        content: Content::Memory(text.into()),
    }
}

fn whole(file: &LocalFile, kind: Kind) -> Asset {
    Asset {
        name: file.name.clone(),
        kind,
        content: Content::File {
            path: file.path.clone(),
            offset: 0,
        },
        size: file.size,
        sha256: file.sha256,
    }
}

/// Splits an archive for the host: into one piece, or as few pieces of equal size as possible.
fn pieces(archive: &LocalFile, limit: u64) -> Result<Vec<Asset>, PublishError> {
    if archive.size <= limit {
        return Ok(vec![whole(archive, Kind::Archive)]);
    }
    let count = archive.size.div_ceil(limit);
    let length = archive.size.div_ceil(count);
    (0..count)
        .map(|number| {
            let offset = number * length;
            let size = length.min(archive.size - offset);
            Ok(Asset {
                name: format!("{}.part{}of{count}", archive.name, number + 1),
                kind: Kind::Archive,
                content: Content::File {
                    path: archive.path.clone(),
                    offset,
                },
                size,
                sha256: local::sha256_of(&archive.path, offset, size)?,
            })
        })
        .collect()
}

#[cfg(test)]
pub(crate) mod tests;
