//! Verifying the files at the host: computes digests of files for which the host lists none, and
//! compares a public release with what was verified before it became public. Also the request for
//! the bytes of a file, which is also used to read files of private repositories.

use std::collections::BTreeMap;

use futures_util::{StreamExt, TryStreamExt};
use sysforge_net::RequestBuilder;
use sysforge_net::header::ACCEPT;
use sysforge_plan::{Reporter, Sha256, Step};

use super::api::{Asset as RemoteAsset, Release};
use super::{FILE_LIMIT, GitHub};
use crate::documents::notes::size;
use crate::error::{Difference, PublishError, Then};
use crate::fetch::{self, Sink};
use crate::host::failure::Failure;

/// The size in bytes above which a file is not downloaded again if the host lists the digest that it
/// computed itself: that would take as long as sending it.
const LARGE: u64 = 100 << 20;

/// Number of concurrent downloads.
const DOWNLOADS: usize = 4;

/// A file of a release whose digest is known: from the host's list, or from a download.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verified {
    /// Its number at the host. A replaced file gets another.
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) size: u64,
    pub(super) sha256: Sha256,
}

/// Digests that were computed from downloads, by number of the file.
pub(super) type Computed = BTreeMap<u64, Sha256>;

/// How thoroughly a public release is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// By the list of its files; a file is downloaded only if the list is not sufficient.
    List,
    /// Every file is downloaded, except large ones whose digest the host lists.
    Download,
}

/// The state of a release before it was made public, or changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Was {
    /// A draft, which nobody could install from.
    Draft,
    /// Public.
    Public,
}

/// How a public release is checked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Check {
    pub(super) was: Was,
    pub(super) depth: Depth,
}

impl GitHub {
    /// Checks that a public release still has the files that were verified before. If it does not,
    /// it becomes a draft again, if it was one.
    pub(super) async fn check_public(
        &self,
        public: &Release,
        files: &[Verified],
        Check { was, depth }: Check,
        reporter: &Reporter,
    ) -> Result<(), PublishError> {
        let differences = self.differences(public.id, files, depth, reporter).await?;
        match differences.is_empty() {
            true => Ok(()),
            false => Err(self.take_back(public, was, differences).await),
        }
    }

    /// Makes a public release that differs from what was verified a draft again, if it was one and
    /// the host allows it, and returns the error about it.
    async fn take_back(&self, public: &Release, was: Was, files: Vec<Difference>) -> PublishError {
        let then = match was {
            Was::Public => Then::WasPublic,
            Was::Draft => match self.withdraw(public.id).await {
                Ok(now) if now.draft => Then::Draft,
                Ok(_) => Then::StaysPublic("it takes the request, and changes nothing".to_owned()),
                // The answer may have been lost.
                Err(failure) => match self.release(public.id).await {
                    Ok(Some(now)) if now.draft => Then::Draft,
                    _ => Then::StaysPublic(failure.words()),
                },
            },
        };
        PublishError::Recheck {
            tag: public.tag_name.clone(),
            files,
            then,
        }
    }

    /// Adds digests that the host does not list, from downloads. `wanted` names the files whose
    /// digests are needed; files in `computed` are not downloaded again.
    pub(super) async fn fill_digests(
        &self,
        remote: &mut [RemoteAsset],
        wanted: &(dyn Fn(&RemoteAsset) -> bool + Sync),
        computed: &mut Computed,
    ) -> Result<(), PublishError> {
        for file in remote {
            if !file.is_uploaded() || file.sha256().is_some() || !wanted(file) {
                continue;
            }
            let sha256 = match computed.get(&file.id) {
                Some(known) => *known,
                None => {
                    let what = format!("download {} to verify it", file.name);
                    let downloaded = self.downloaded(file.id, file.size).await;
                    let sha256 = downloaded.map_err(|failure| self.error(&what, failure))?;
                    computed.insert(file.id, sha256);
                    sha256
                }
            };
            file.digest = Some(format!("sha256:{sha256}"));
        }
        Ok(())
    }

    /// Compares the files of a public release with what was verified before, and returns each that
    /// is missing or differs. The number of compared files is the length of `verified`.
    async fn differences(
        &self,
        release: u64,
        verified: &[Verified],
        depth: Depth,
        reporter: &Reporter,
    ) -> Result<Vec<Difference>, PublishError> {
        let remote = self
            .assets(release)
            .await
            .map_err(|failure| self.error("list the files of the public release", failure))?;
        let found: Vec<Option<String>> = futures_util::stream::iter(verified)
            .map(|file| self.difference(file, &remote, depth, reporter))
            .buffered(DOWNLOADS)
            .try_collect()
            .await?;
        let pairs = verified.iter().zip(found);
        Ok(pairs
            .filter_map(|(file, what)| {
                let name = file.name.clone();
                what.map(|what| Difference { name, what })
            })
            .collect())
    }

    async fn difference(
        &self,
        file: &Verified,
        remote: &[RemoteAsset],
        depth: Depth,
        reporter: &Reporter,
    ) -> Result<Option<String>, PublishError> {
        let Some(there) = remote.iter().find(|remote| remote.name == file.name) else {
            return Ok(Some("it is missing".to_owned()));
        };
        if !there.is_uploaded() {
            return Ok(Some("it is not whole".to_owned()));
        }
        if there.size != file.size {
            let (found, expected) = (there.size, file.size);
            return Ok(Some(format!("it has {found} bytes instead of {expected}")));
        }
        let other = |found: Sha256| {
            let expected = file.sha256;
            (found != expected)
                .then(|| format!("its SHA-256 digest is {found} instead of {expected}"))
        };
        match there.sha256() {
            Some(listed) if listed != file.sha256 => return Ok(other(listed)),
            Some(_) if depth == Depth::List || file.size > LARGE => return Ok(None),
            None if depth == Depth::List && there.id == file.id => return Ok(None),
            _ => {}
        }
        let task = reporter.start(Step::Download, format!("{} again", file.name));
        match self.downloaded(there.id, file.size).await {
            Ok(found) => {
                let what = other(found);
                if what.is_none() {
                    task.done(size(file.size));
                }
                Ok(what)
            }
            Err(failure) if failure.is_missing() => {
                Ok(Some("it is listed, but cannot be downloaded".to_owned()))
            }
            Err(failure) => {
                let what = format!("download {} again", file.name);
                Err(self.error(&what, failure))
            }
        }
    }

    /// Returns the digest of what the host sends for the file with this number.
    pub(super) async fn downloaded(&self, id: u64, size: u64) -> Result<Sha256, Failure> {
        if size > FILE_LIMIT {
            return Err(Failure::too_long(FILE_LIMIT));
        }
        let mut sink = Sink::nothing().of_size(size);
        let get = || self.download(id);
        fetch::read(get, &mut sink, &self.timing).await?;
        Ok(sink.sha256())
    }

    /// Returns the request for the bytes of a file. The host redirects to a storage service; since
    /// that is another host, the token is not sent to it.
    pub(crate) fn download(&self, id: u64) -> RequestBuilder {
        self.count();
        let address = format!(
            "{}/repos/{}/releases/assets/{id}",
            self.access.api.as_str().trim_end_matches('/'),
            self.access.repository
        );
        self.with_authorization(self.bytes.get(address))
            .header(ACCEPT, "application/octet-stream")
    }
}
