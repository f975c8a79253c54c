//! The result of a publication, or of a dry run.

use sysforge_plan::release::SUMS_NAME;

use super::GitHub;
use super::api::{Asset as RemoteAsset, Release};
use crate::release_bundle::ReleaseBundle;
use crate::report::{AssetOutcome, Outcome, Published};

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
    let mut assets = bundle.assets.iter();
    let sums = assets.find(|asset| asset.name == SUMS_NAME);
    Published {
        sums_digest: sums.map(|asset| asset.sha256),
        assets: bundle.outcomes(|_, asset| {
            let mut outcomes = outcomes.iter();
            let found = outcomes.find(|(name, _)| *name == asset.name);
            found.map_or(AssetOutcome::Kept, |(_, outcome)| *outcome)
        }),
        requests: host.requests(),
        bytes_sent: host.bytes_sent(),
        ..Published::new(outcome, &release.tag_name, &release.html_url)
    }
}
