//! What a publication came to: the answer of `sysforge publish`, also as JSON.

use serde::Serialize;

/// What became of the release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It is public now.
    Published,
    /// Everything is in a draft, which is not public yet.
    Drafted,
    /// It was public already, with the same bytes.
    Unchanged,
    /// Nothing was done; this is what would be.
    WouldPublish,
    /// Nothing was sent; everything is ready for it.
    Ready,
}

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AssetOutcome {
    /// It was sent.
    Sent,
    /// It was there already, with the same bytes.
    Kept,
    /// Another file of this name was there and was replaced.
    Replaced,
}

/// One file of the release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AssetReport {
    /// Its name at the host.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// What became of it, or would.
    pub outcome: AssetOutcome,
}

/// The whole report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Published {
    /// What became of the release.
    pub outcome: Outcome,
    /// The tag.
    pub tag: String,
    /// Where it is.
    pub place: String,
    /// What else was or would be done, in order.
    pub actions: Vec<String>,
    /// Its files.
    pub assets: Vec<AssetReport>,
    /// Requests that were made of the host.
    pub requests: u64,
    /// Bytes that were sent to it.
    pub bytes_sent: u64,
    /// Files that were downloaded again and found to be what was sent.
    pub rechecked: usize,
}
