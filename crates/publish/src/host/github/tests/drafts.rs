//! Drafts and locks that other publishers left or hold, and what a dry run reports about them.

use super::super::journal::PublishJournal;
use super::super::lease::{LOCK_NAME, NoLease};
use super::super::upload::Upload;
use super::*;
use crate::report::AssetOutcome;

const ARCHIVE: &str = "demo-julia1.12.7-x86_64-linux-gnu.tar.gz";

/// Notes that only Sysforge writes.
const MARK: &str = "<!-- sysforge:begin -->\nold\n<!-- sysforge:end -->\n";

impl Scene {
    async fn plan(&self, change: impl FnOnce(&mut Policy)) -> Published {
        let mut policy = Policy {
            dry_run: true,
            ..self.policy()
        };
        change(&mut policy);
        let before = self.github.releases();
        let report = self.publish_with("writer", &policy).await.unwrap();
        assert_eq!(report.outcome, Outcome::WouldPublish);
        assert_eq!(report.bytes_sent, 0);
        assert_eq!(self.github.releases(), before);
        report
    }

    /// The journal of a publisher on another machine.
    fn other_memo(&self) -> PublishJournal {
        let path = self.folder.path().join("elsewhere/journal.json");
        PublishJournal::open(path, "v1.0.0").unwrap()
    }

    /// Creates a draft of another machine, with half of the archive in it.
    async fn half_send(&self) {
        let host = self.host("writer");
        let draft = host.create_draft("v1.0.0", None, MARK).await.unwrap();
        let bundle = self.bundle().await;
        let archive = bundle.assets.iter().find(|asset| asset.name == ARCHIVE);
        let archive = archive.unwrap();
        let upload = Upload {
            name: ARCHIVE,
            label: None,
            content: &archive.content,
            size: archive.size,
        };
        let cut = Rule::once(Op::Upload, Fault::Reset(1000));
        self.github.script([cut]);
        let sent = host.send_once(&draft.upload_url, upload, None).await;
        sent.unwrap_err();
        assert_eq!(self.github.releases()[0].assets[0].state, "starter");
    }
}

fn outcome_of(report: &Published, name: &str) -> AssetOutcome {
    let asset = report.assets.iter().find(|asset| asset.name == name);
    asset.unwrap().outcome
}

#[tokio::test]
async fn a_dry_run_tells_of_drafts_and_of_whoever_works_on_them() {
    let scene = Scene::plain().await;
    let host = scene.host("writer");
    let oldest = host.create_draft("v1.0.0", None, MARK).await.unwrap();
    let younger = host.create_draft("v1.0.0", None, MARK).await.unwrap();
    let journal = scene.other_memo();
    let lease = host
        .take_lease(&oldest, &journal, &Reporter::silent())
        .await;
    let lease = lease.unwrap();
    let report = scene.plan(|policy| policy.draft = true).await;
    assert_eq!(
        report.actions,
        [
            format!("go on with the draft {}", oldest.html_url),
            format!("delete the younger draft {} of v1.0.0", younger.id),
            "wait for another publisher, or take over from a dead one".to_owned(),
            "verify every digest at the host".to_owned(),
            "write the notes of the draft, which stays one".to_owned(),
        ]
    );
    drop(lease);
}

#[tokio::test]
async fn a_dry_run_tells_what_of_a_public_release_would_be_replaced() {
    use crate::report::AssetOutcome;
    let scene = Scene::plain().await;
    let assets: [(&str, &[u8]); 1] = [(ARCHIVE, b"other")];
    scene.github.put_release("v1.0.0", false, &assets).unwrap();
    let report = scene.plan(|policy| policy.replace = true).await;
    assert!(
        report.actions[0].starts_with("complete the public release http"),
        "{:?}",
        report.actions
    );
    // It is public already.
    assert!(!report.actions.iter().any(|a| a.contains("make")));
    assert_eq!(outcome_of(&report, ARCHIVE), AssetOutcome::Replaced);
    assert_eq!(outcome_of(&report, "SHA256SUMS"), AssetOutcome::Sent);
}

#[tokio::test]
async fn a_dry_run_finds_other_bytes_in_a_draft() {
    let scene = Scene::plain().await;
    let assets: [(&str, &[u8]); 1] = [(ARCHIVE, b"other")];
    scene.github.put_release("v1.0.0", true, &assets).unwrap();
    let policy = Policy {
        dry_run: true,
        ..scene.policy()
    };
    let error = scene.publish_with("writer", &policy).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("the release has a file `{ARCHIVE}` already, with other bytes")
    );
}

#[tokio::test]
async fn a_lock_that_shows_signs_of_life_is_left_to_its_holder() {
    let scene = Scene::plain().await;
    let host = scene.host("writer");
    let draft = host.create_draft("v1.0.0", None, MARK).await.unwrap();
    let journal = scene.other_memo();
    let lease = host.take_lease(&draft, &journal, &Reporter::silent()).await;
    let lease = lease.unwrap();
    // Long enough for a sign of life even on a busy machine.
    let timing = Timing {
        dead: Duration::from_secs(60),
        ..quick()
    };
    let patient = GitHub::new(host.access.clone(), timing).unwrap();
    let (bundle, policy) = (scene.bundle().await, scene.policy());
    let error = publish(&patient, &bundle, &policy, &Reporter::silent()).await;
    let error = error.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("another publisher is at work on v1.0.0: it holds {LOCK_NAME}, and is alive")
    );
    let kept = &scene.github.releases()[0];
    assert!(kept.draft);
    let names: Vec<_> = kept.assets.iter().map(|asset| &*asset.name).collect();
    assert_eq!(names, [LOCK_NAME]);
    // After the other publisher is done, the same command continues.
    host.give_back(lease, "v1.0.0").await.unwrap();
    scene.publish().await.unwrap();
    scene.assert_public().await;
    assert_eq!(scene.github.releases()[0].id, draft.id);
}

#[tokio::test]
async fn whoever_was_taken_for_dead_is_told_so() {
    let scene = Scene::plain().await;
    let host = scene.host("writer");
    let draft = host.create_draft("v1.0.0", None, MARK).await.unwrap();
    let journal = scene.other_memo();
    let lease = host.take_lease(&draft, &journal, &Reporter::silent()).await;
    let lock = scene.github.releases()[0].assets[0].id;
    host.delete_asset(lock).await.unwrap();
    let error = host.give_back(lease.unwrap(), "v1.0.0").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "another publisher is at work on v1.0.0: it took this publisher for dead"
    );
}

#[tokio::test]
async fn a_lock_is_given_back_though_the_answer_is_lost() {
    let scene = Scene::plain().await;
    let host = scene.host("writer");
    let draft = host.create_draft("v1.0.0", None, MARK).await.unwrap();
    let journal = scene.other_memo();
    let lease = host.take_lease(&draft, &journal, &Reporter::silent()).await;
    let fault = Fault::StatusAfter(500);
    scene.github.script([Rule::once(Op::DeleteAsset, fault)]);
    host.give_back(lease.unwrap(), "v1.0.0").await.unwrap();
    assert!(scene.github.releases()[0].assets.is_empty());

    let lease = host.take_lease(&draft, &journal, &Reporter::silent()).await;
    let fault = Fault::StatusBefore(500);
    scene.github.script([Rule::always(Op::DeleteAsset, fault)]);
    let error = host.give_back(lease.unwrap(), "v1.0.0").await.unwrap_err();
    assert!(
        error.to_string().starts_with("could not give the lock"),
        "{error}"
    );
}

#[tokio::test]
async fn the_lock_of_a_draft_that_is_gone_cannot_be_had() {
    let scene = Scene::plain().await;
    let host = scene.host("writer");
    let draft = host.create_draft("v1.0.0", None, MARK).await.unwrap();
    host.delete_release(draft.id).await.unwrap();
    let journal = scene.other_memo();
    let lease = host.take_lease(&draft, &journal, &Reporter::silent()).await;
    assert!(matches!(lease, Err(NoLease::Gone)));
}

#[tokio::test]
async fn an_own_lock_of_an_earlier_run_is_held_again_at_once() {
    let scene = Scene::plain().await;
    let host = scene.host("writer");
    let draft = host.create_draft("v1.0.0", None, MARK).await.unwrap();
    let journal = scene.other_memo();
    let silent = Reporter::silent();
    drop(host.take_lease(&draft, &journal, &silent).await.unwrap());
    let lock = scene.github.releases()[0].assets[0].id;
    drop(journal);
    let again = host.take_lease(&draft, &scene.other_memo(), &silent).await;
    // The same file: nobody waited, and nothing was deleted.
    assert_eq!(scene.github.releases()[0].assets[0].id, lock);
    host.give_back(again.unwrap(), "v1.0.0").await.unwrap();
    assert!(scene.github.releases()[0].assets.is_empty());
}

#[tokio::test]
async fn younger_drafts_of_dead_publishers_are_deleted_and_those_of_people_stay() {
    let scene = Scene::plain().await;
    let host = scene.host("writer");
    let oldest = host.create_draft("v1.0.0", None, MARK).await.unwrap();
    let dead = host.create_draft("v1.0.0", None, MARK).await.unwrap();
    let by_hand = scene.github.put_release("v1.0.0", true, &[]).unwrap();
    // It died while it held the lock.
    let journal = scene.other_memo();
    let lease = host.take_lease(&dead, &journal, &Reporter::silent()).await;
    drop(lease.unwrap());
    scene.publish().await.unwrap();
    let left: Vec<_> = scene
        .github
        .releases()
        .iter()
        .map(|release| (release.id, release.draft))
        .collect();
    assert_eq!(left, [(oldest.id, false), (by_hand, true)]);
}

#[tokio::test]
async fn a_draft_that_an_earlier_run_noted_is_gone_on_with_though_the_list_lags() {
    let scene = Scene::new(Options {
        lag: Duration::from_millis(300),
        ..Options::default()
    })
    .await;
    let always = Rule::always(Op::Upload, Fault::StatusBefore(422));
    scene.github.script([always]);
    scene.publish().await.unwrap_err();
    let draft = scene.github.releases()[0].id;
    scene.github.calm();
    scene.publish().await.unwrap();
    scene.assert_public().await;
    assert_eq!(scene.github.releases()[0].id, draft);
}

#[tokio::test]
async fn a_draft_that_is_being_filled_or_was_changed_is_not_made_public() {
    use crate::host::github::finalize::finalize;
    let scene = Scene::plain().await;
    let host = scene.host("writer");
    let policy = Policy {
        draft: true,
        ..scene.policy()
    };
    scene.publish_with("writer", &policy).await.unwrap();
    let kept = &scene.github.releases()[0];
    let id_of = |name: &str| kept.assets.iter().find(|a| a.name == name).unwrap().id;

    let draft = host.release(kept.id).await.unwrap().unwrap();
    let journal = scene.other_memo();
    let lease = host.take_lease(&draft, &journal, &Reporter::silent()).await;
    let error = finalize(&host, "v1.0.0", None).await.unwrap_err();
    assert!(matches!(error, PublishError::Another { .. }), "{error}");
    host.give_back(lease.unwrap(), "v1.0.0").await.unwrap();

    // Another file under the name of an archive.
    host.rename_asset(id_of(ARCHIVE), "aside").await.unwrap();
    let other = id_of("provenance.intoto.json");
    host.rename_asset(other, ARCHIVE).await.unwrap();
    let error = finalize(&host, "v1.0.0", None).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("the draft of v1.0.0 is not complete: `{ARCHIVE}` has other bytes than listed")
    );
    host.delete_asset(id_of("SHA256SUMS")).await.unwrap();
    let error = finalize(&host, "v1.0.0", None).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the draft of v1.0.0 is not complete: it lacks `SHA256SUMS`"
    );
    assert!(scene.github.releases()[0].draft);
}

#[tokio::test]
async fn a_draft_is_made_public_though_the_answer_is_lost() {
    use crate::host::github::finalize::finalize;
    let scene = Scene::plain().await;
    let policy = Policy {
        draft: true,
        ..scene.policy()
    };
    scene.publish_with("writer", &policy).await.unwrap();
    let fault = Fault::StatusBefore(422);
    scene
        .github
        .script([Rule::always(Op::UpdateRelease, fault)]);
    let host = scene.host("writer");
    let error = finalize(&host, "v1.0.0", None).await.unwrap_err();
    assert!(matches!(error, PublishError::Tag { .. }), "{error}");
    assert!(scene.github.releases()[0].draft);
    let fault = Fault::StatusAfter(422);
    scene
        .github
        .script([Rule::always(Op::UpdateRelease, fault)]);
    let report = finalize(&host, "v1.0.0", None).await.unwrap();
    assert_eq!(report.outcome, Outcome::Published);
    assert!(!scene.github.releases()[0].draft);
}

/// The state of an archive in the draft before a run begins.
#[derive(Clone, Copy)]
enum Before {
    Absent,
    HalfSent,
}

/// A scene where a run was killed right after the host stored other bytes than it was sent.
async fn killed_over_spoilt_bytes(before: Before) -> Scene {
    for milliseconds in (0..2000).step_by(5) {
        let scene = Scene::new(Options {
            latency: Duration::from_millis(10),
            ..Options::default()
        })
        .await;
        if let Before::HalfSent = before {
            scene.half_send().await;
        }
        let rule = Rule::always(Op::Upload, Fault::Corrupt);
        scene.github.script([rule]);
        let limit = Duration::from_millis(milliseconds);
        let cut = tokio::time::timeout(limit, scene.publish()).await;
        assert!(cut.is_err(), "the run ended before it was killed: {cut:?}");
        // Requests that were under way arrive.
        tokio::time::sleep(Duration::from_millis(50)).await;
        scene.github.calm();
        let releases = scene.github.releases();
        let mut kept = releases.iter().flat_map(|release| &release.assets);
        if kept.any(|kept| kept.name == ARCHIVE && kept.state == "uploaded") {
            return scene;
        }
    }
    panic!("no cut left a spoilt archive");
}

#[tokio::test]
async fn what_the_host_spoilt_in_a_run_that_was_killed_is_sent_again() {
    for before in [Before::Absent, Before::HalfSent] {
        let scene = killed_over_spoilt_bytes(before).await;
        let report = scene.plan(|_| {}).await;
        assert_eq!(outcome_of(&report, ARCHIVE), AssetOutcome::Replaced);
        let report = scene.publish().await.unwrap();
        assert_eq!(outcome_of(&report, ARCHIVE), AssetOutcome::Replaced);
        scene.assert_public().await;
    }

    // A file with other bytes that no run of ours began to send belongs to somebody else.
    let scene = killed_over_spoilt_bytes(Before::Absent).await;
    std::fs::remove_dir_all(scene.policy().state).unwrap();
    let before = scene.github.releases();
    let error = scene.publish().await.unwrap_err();
    assert!(matches!(error, PublishError::Different { .. }), "{error}");
    let archive = |releases: &[KeptRelease]| {
        let mut kept = releases.iter().flat_map(|release| release.assets.clone());
        kept.find(|kept| kept.name == ARCHIVE).unwrap().id
    };
    assert_eq!(archive(&scene.github.releases()), archive(&before));
}
