//! The result of a publication, which is the output of `sysforge publish`, also as JSON.

use std::fmt;

use serde::Serialize;
use sysforge_plan::Sha256;

use crate::documents::notes::size;

/// The outcome for the release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It is public now.
    Published,
    /// Everything is in a draft, which is not public yet.
    Drafted,
    /// It was public already, with the same bytes.
    Unchanged,
    /// Nothing was done; the report lists what would be.
    WouldPublish,
    /// Nothing was sent; everything is ready for it.
    Ready,
}

/// The outcome for a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AssetOutcome {
    /// It was sent.
    Sent,
    /// It existed already, with the same bytes.
    Kept,
    /// Another file of this name existed and was replaced.
    Replaced,
}

/// One file of the release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AssetReport {
    /// Its name at the host.
    pub name: String,
    /// Size in bytes.
    pub size: u64,
    /// The outcome, or what it would be.
    pub outcome: AssetOutcome,
}

/// The whole report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Published {
    /// The outcome for the release.
    pub outcome: Outcome,
    /// The tag.
    pub tag: String,
    /// Its URL or folder.
    pub place: String,
    /// The digest of its `SHA256SUMS`, which `--sums-digest` compares; only of releases on GitHub.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sums_digest: Option<Sha256>,
    /// Other actions, in order, performed or planned.
    pub actions: Vec<String>,
    /// Its files.
    pub assets: Vec<AssetReport>,
    /// Number of requests to the host.
    pub requests: u64,
    /// Number of bytes sent to the host.
    pub bytes_sent: u64,
    /// Number of files that were downloaded again and found to be what was sent.
    pub rechecked: usize,
}

impl Published {
    /// Creates a report about a release at `place`, without files.
    pub(crate) fn new(outcome: Outcome, tag: &str, place: impl Into<String>) -> Self {
        Self {
            outcome,
            tag: tag.to_owned(),
            place: place.into(),
            sums_digest: None,
            actions: Vec::new(),
            assets: Vec::new(),
            requests: 0,
            bytes_sent: 0,
            rechecked: 0,
        }
    }

    /// Returns the builds whose images are in the release.
    pub fn builds(&self) -> Vec<String> {
        let images = self.assets.iter();
        let images = images.filter_map(|asset| asset.name.strip_suffix(".receipt.json"));
        images.map(str::to_owned).collect()
    }
}

impl fmt::Display for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (tag, place) = (&self.tag, &self.place);
        let would = self.outcome == Outcome::WouldPublish;
        for action in self.actions.iter().filter(|_| would) {
            writeln!(f, "would {action}")?;
        }
        for asset in &self.assets {
            let what = match (asset.outcome, would) {
                (AssetOutcome::Sent, false) => "sent",
                (AssetOutcome::Kept, false) => "there already",
                (AssetOutcome::Replaced, false) => "replaced",
                (AssetOutcome::Sent, true) => "would send",
                (AssetOutcome::Kept, true) => "is there already",
                (AssetOutcome::Replaced, true) => "would replace",
            };
            let size = size(asset.size);
            writeln!(f, "{what:>16}  {size:>10}  {}", asset.name)?;
        }
        match self.outcome {
            Outcome::Published => writeln!(
                f,
                "published {tag} at {place} ({} files checked again)",
                self.rechecked
            ),
            Outcome::Drafted => writeln!(f, "{tag} is a draft at {place}"),
            Outcome::Unchanged => writeln!(f, "{tag} is public already at {place}"),
            Outcome::WouldPublish => {
                writeln!(f, "nothing was done (--dry-run): {tag} at {place}")
            }
            Outcome::Ready => writeln!(f, "ready to publish to {place}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dry_run_says_what_would_happen() {
        let asset = |name: &str, outcome| AssetReport {
            name: name.to_owned(),
            size: 41_250_000,
            outcome,
        };
        let report = Published {
            actions: vec!["create the release".to_owned()],
            assets: vec![
                asset("demo.tar.gz", AssetOutcome::Sent),
                asset("demo.receipt.json", AssetOutcome::Kept),
            ],
            ..Published::new(Outcome::WouldPublish, "v1.0.0", "/srv/images")
        };
        assert_eq!(report.builds(), ["demo"]);
        assert_eq!(
            report.to_string(),
            "would create the release\n      would send     41.2 MB  demo.tar.gz\n\
             is there already     41.2 MB  demo.receipt.json\n\
             nothing was done (--dry-run): v1.0.0 at /srv/images\n"
        );
    }
}
