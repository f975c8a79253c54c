//! The state of the fake GitHub: releases, assets, recorded requests and permissions.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::Options;
use super::fault::{Op, Script, Tamper};

/// The permissions of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rights {
    /// Read, except drafts.
    Read,
    /// Read and write.
    Write,
    /// Write, but no tags for commits that change workflow files: the automatic token.
    Actions,
}

impl Rights {
    pub(crate) fn writes(self) -> bool {
        matches!(self, Self::Write | Self::Actions)
    }
}

/// A recorded request.
#[derive(Debug, Clone, Serialize)]
pub struct Recorded {
    /// The kind of request.
    pub op: Op,
    /// The method.
    pub method: String,
    /// Path and query as sent, without the prefix `/api/v3`.
    pub target: String,
    /// The headers, without credentials.
    pub headers: BTreeMap<String, String>,
    /// The body, if it is JSON.
    pub body: Option<serde_json::Value>,
}

/// A release, for assertions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeptRelease {
    /// Its number.
    pub id: u64,
    /// Its tag.
    pub tag: String,
    /// Whether it is a draft.
    pub draft: bool,
    /// Whether it is a prerelease.
    pub prerelease: bool,
    /// The `make_latest` of the last request that had one: `true`, `false` or `legacy`.
    pub make_latest: Option<String>,
    /// Its notes.
    pub body: String,
    /// Its assets, in order of their numbers.
    pub assets: Vec<KeptAsset>,
}

/// An asset, for assertions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeptAsset {
    /// Its number.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// `starter` or `uploaded`.
    pub state: &'static str,
    /// Size in bytes.
    pub size: u64,
    /// `sha256:…`
    pub digest: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Release {
    pub(crate) id: u64,
    pub(crate) tag: String,
    pub(crate) target: String,
    pub(crate) name: String,
    pub(crate) body: String,
    pub(crate) draft: bool,
    pub(crate) prerelease: bool,
    pub(crate) make_latest: Option<String>,
    pub(crate) immutable: bool,
    pub(crate) created: SystemTime,
    pub(crate) published: Option<SystemTime>,
    pub(crate) listed_from: Instant,
}

#[derive(Debug, Clone)]
pub(crate) struct Asset {
    pub(crate) id: u64,
    pub(crate) release: u64,
    pub(crate) name: String,
    pub(crate) label: Option<String>,
    pub(crate) content_type: String,
    pub(crate) uploaded: bool,
    pub(crate) size: u64,
    pub(crate) digest: Option<String>,
    pub(crate) created: SystemTime,
    pub(crate) updated: SystemTime,
    pub(crate) downloads: u64,
}

/// The mutable state.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) releases: BTreeMap<u64, Release>,
    pub(crate) assets: BTreeMap<u64, Asset>,
    pub(crate) tags: BTreeMap<String, String>,
    /// By `sha256:…`.
    pub(crate) attestations: BTreeMap<String, Vec<String>>,
    pub(crate) script: Script,
    pub(crate) tampers: Vec<Tamper>,
    pub(crate) requests: Vec<Recorded>,
    pub(crate) uploads: usize,
    pub(crate) most_uploads: usize,
    lag: Duration,
    next: u64,
}

impl State {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            releases: BTreeMap::new(),
            assets: BTreeMap::new(),
            tags: options.tags.iter().cloned().collect(),
            attestations: BTreeMap::new(),
            script: Script::default(),
            tampers: Vec::new(),
            requests: Vec::new(),
            uploads: 0,
            most_uploads: 0,
            lag: options.lag,
            next: 1000,
        }
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub(crate) fn create(
        &mut self,
        tag: &str,
        target: Option<&str>,
        name: &str,
        body: &str,
        draft: bool,
        prerelease: bool,
    ) -> u64 {
        let id = self.number();
        let release = Release {
            id,
            tag: tag.to_owned(),
            target: target.unwrap_or("main").to_owned(),
            name: name.to_owned(),
            body: body.to_owned(),
            draft,
            prerelease,
            make_latest: None,
            immutable: false,
            created: SystemTime::now(),
            published: (!draft).then(SystemTime::now),
            listed_from: Instant::now() + self.lag,
        };
        self.releases.insert(id, release);
        id
    }

    /// The published release of this tag: drafts are not found by tag.
    pub(crate) fn by_tag(&self, tag: &str) -> Option<&Release> {
        self.releases
            .values()
            .find(|release| !release.draft && release.tag == tag)
    }

    /// The releases that a list shows now, newest first.
    pub(crate) fn listed(&self, drafts: bool) -> Vec<&Release> {
        let now = Instant::now();
        self.releases
            .values()
            .rev()
            .filter(|release| (drafts || !release.draft) && release.listed_from <= now)
            .collect()
    }

    pub(crate) fn assets_of(&self, release: u64) -> impl Iterator<Item = &Asset> {
        self.assets
            .values()
            .filter(move |asset| asset.release == release)
    }

    /// Starts an upload: the asset exists immediately, as a `starter`. `None` if the name is taken.
    pub(crate) fn begin_asset(
        &mut self,
        release: u64,
        name: &str,
        label: Option<&str>,
        content_type: &str,
    ) -> Option<u64> {
        if self.assets_of(release).any(|asset| asset.name == name) {
            return None;
        }
        let id = self.number();
        let now = SystemTime::now();
        let asset = Asset {
            id,
            release,
            name: name.to_owned(),
            label: label.map(str::to_owned),
            content_type: content_type.to_owned(),
            uploaded: false,
            size: 0,
            digest: None,
            created: now,
            updated: now,
            downloads: 0,
        };
        self.assets.insert(id, asset);
        Some(id)
    }

    pub(crate) fn finish_asset(&mut self, id: u64, size: u64, digest: &str) {
        if let Some(asset) = self.assets.get_mut(&id) {
            asset.uploaded = true;
            asset.size = size;
            asset.digest = Some(format!("sha256:{digest}"));
            asset.updated = SystemTime::now();
        }
    }

    pub(crate) fn kept(&self) -> Vec<KeptRelease> {
        self.releases
            .values()
            .map(|release| KeptRelease {
                id: release.id,
                tag: release.tag.clone(),
                draft: release.draft,
                prerelease: release.prerelease,
                make_latest: release.make_latest.clone(),
                body: release.body.clone(),
                assets: self
                    .assets_of(release.id)
                    .map(|asset| KeptAsset {
                        id: asset.id,
                        name: asset.name.clone(),
                        state: state_name(asset.uploaded),
                        size: asset.size,
                        digest: asset.digest.clone(),
                    })
                    .collect(),
            })
            .collect()
    }
}

pub(crate) fn state_name(uploaded: bool) -> &'static str {
    if uploaded { "uploaded" } else { "starter" }
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
