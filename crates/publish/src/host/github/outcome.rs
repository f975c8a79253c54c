//! The result of a publication, or of a dry run.

use super::GitHub;
use super::api::{Asset as RemoteAsset, Release};
use crate::release_bundle::ReleaseBundle;
use crate::report::{AssetOutcome, AssetReport, Outcome, Published};

/// Returns the first file that is missing or differs from the built one.
pub(super) fn missing(bundle: &ReleaseBundle, remote: &[RemoteAsset]) -> String {
    bundle
        .assets
        .iter()
        .find(|asset| {
            !remote
                .iter()
                .any(|remote| remote.name == asset.name && remote.holds(asset.size, asset.sha256))
        })
        .map(|asset| asset.name.clone())
        .unwrap_or_default()
}

pub(super) fn report(
    host: &GitHub,
    release: &Release,
    bundle: &ReleaseBundle,
    outcomes: &[(String, AssetOutcome)],
    outcome: Outcome,
) -> Published {
    Published {
        outcome,
        tag: release.tag_name.clone(),
        place: release.html_url.clone(),
        actions: Vec::new(),
        assets: bundle
            .assets
            .iter()
            .map(|asset| AssetReport {
                name: asset.name.clone(),
                size: asset.size,
                outcome: outcomes
                    .iter()
                    .find(|(name, _)| *name == asset.name)
                    .map_or(AssetOutcome::Kept, |(_, outcome)| *outcome),
            })
            .collect(),
        requests: host.requests(),
        bytes_sent: host.bytes_sent(),
        rechecked: 0,
    }
}
