//! The actions that publishing would perform, for `--dry-run`.

use super::api::{Asset as RemoteAsset, Release};
use super::drafts::choose;
use super::journal::PublishJournal;
use super::lease::LOCK_NAME;
use super::policy::Publication;
use super::recheck::Computed;
use super::send::{Need, Rules, UploadState, concerns, need, ours};
use crate::error::PublishError;
use crate::report::{AssetOutcome, AssetReport, Outcome, Published};

/// Returns the actions in the order in which they would be performed.
pub(super) async fn dry_run(
    publication: Publication<'_>,
    public: Option<(Release, Vec<RemoteAsset>)>,
    drafts: Vec<Release>,
) -> Result<Published, PublishError> {
    let Publication {
        host,
        bundle,
        policy,
        ..
    } = publication;
    let (tag, repository) = (&bundle.tag, &host.access.repository);
    let mut actions = Vec::new();
    let (release, mut remote) = match public {
        Some((release, remote)) => {
            actions.push(format!("complete the public release {}", release.html_url));
            (Some(release), remote)
        }
        None => match choose(drafts) {
            Some(draft) => {
                let release = draft.release;
                actions.push(format!("go on with the draft {}", release.html_url));
                let younger = draft.younger.iter();
                actions.extend(younger.map(|id| format!("delete the younger draft {id} of {tag}")));
                let remote = host.list_files(release.id).await?;
                (Some(release), remote)
            }
            None => {
                actions.push(format!("create a draft of {tag} in {repository}"));
                (None, Vec::new())
            }
        },
    };
    let wanted = |remote: &RemoteAsset| concerns(bundle, remote);
    host.fill_digests(&mut remote, &wanted, &mut Computed::new())
        .await?;
    let draft = release.as_ref().is_none_or(|release| release.draft);
    if remote.iter().any(|remote| remote.name == LOCK_NAME) {
        actions.push("wait for another publisher, or take over from a dead one".to_owned());
    }
    let rules = Rules::of(policy, draft);
    let notes = PublishJournal::peek(&host.journal_path(&policy.state, tag));
    let mut assets = Vec::new();
    for asset in &bundle.assets {
        let ours = release
            .as_ref()
            .map_or(UploadState::No, |release| ours(asset, release, &notes));
        let need = need(asset, &remote, rules, ours)?;
        let outcome = need.map_or(AssetOutcome::Kept, Need::outcome);
        assets.push(AssetReport {
            name: asset.name.clone(),
            size: asset.size,
            outcome,
        });
    }
    actions.push("verify every digest at the host".to_owned());
    let stays = draft && policy.draft;
    if stays {
        actions.push("write the notes of the draft, which stays one".to_owned());
    } else if draft {
        actions.push("make the release public, with its notes".to_owned());
    }
    if policy.recheck && !stays {
        actions.push("download everything again and compare".to_owned());
    }
    let place = format!("{repository} at {}", host.host());
    Ok(Published {
        actions,
        assets,
        requests: host.requests(),
        ..Published::new(Outcome::WouldPublish, tag, place)
    })
}
