//! The eight steps against the fake GitHub: faults, other publishers, and invariants.

use std::time::Duration;

use sysforge_plan::{Reporter, Sha256};
use sysforge_testkit::github::{FakeGitHub, Fault, KeptRelease, Op, Options, Rights, Rule};

use super::steps::{Policy, preflight, publish};
use super::*;
use crate::dist::Dist;
use crate::release_bundle::tests::make_build;
use crate::release_bundle::{Origin, ReleaseBundle};
use crate::report::{Outcome, Published};

mod answers;
mod drafts;
mod enterprise;
mod interrupted;
mod recheck;
mod refusals;

/// A fake GitHub, a dist directory with two builds, and a folder for journals.
pub(crate) struct Scene {
    pub(crate) github: FakeGitHub,
    pub(crate) folder: tempfile::TempDir,
}

/// Times short enough for tests, in the proportions of the defaults.
pub(crate) fn quick() -> Timing {
    Timing {
        stall: Duration::from_millis(400),
        request: Duration::from_millis(400),
        retries: sysforge_net::Retries {
            without_progress: 8,
            stalls: 8,
            first_delay: Duration::from_millis(5),
            longest_delay: Duration::from_millis(40),
            longest_wait: Duration::from_secs(5),
            ..Timing::default().retries
        },
        limited: Duration::from_millis(50),
        beat: Duration::from_millis(60),
        dead: Duration::from_millis(400),
        lag: Duration::from_secs(2),
        writes_per_minute: 100_000,
        reporter: Reporter::silent(),
    }
}

impl Scene {
    pub(crate) async fn new(options: Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let image = vec![7; 300_000];
        make_build(&folder.path().join("dist"), "x86_64-linux-gnu", &image);
        make_build(&folder.path().join("dist"), "aarch64-apple-darwin", b"mac");
        Self {
            github: FakeGitHub::start(options).await.unwrap(),
            folder,
        }
    }

    pub(crate) async fn plain() -> Self {
        Self::new(Options::default()).await
    }

    pub(crate) fn host(&self, token: &str) -> GitHub {
        let url: Url = self.github.api_url().parse().unwrap();
        let access = Access {
            web: url.join("/").unwrap(),
            api: url,
            repository: "octo/images".to_owned(),
            token: Some(Secret::new(token)),
            network: sysforge_net::Network::default(),
        };
        GitHub::new(access, quick()).unwrap()
    }

    pub(crate) fn policy(&self) -> Policy {
        Policy {
            replace: false,
            dry_run: false,
            draft: false,
            recheck: true,
            target: None,
            state: self.folder.path().join("state"),
        }
    }

    pub(crate) async fn bundle(&self) -> ReleaseBundle {
        let dist = Dist::read(&self.folder.path().join("dist")).await.unwrap();
        let destination = self.host("writer").destination("v1.0.0");
        ReleaseBundle::prepare(&dist, &destination, &Origin::default())
            .await
            .unwrap()
    }

    async fn publish_with(&self, token: &str, policy: &Policy) -> Result<Published, PublishError> {
        let bundle = self.bundle().await;
        publish(&self.host(token), &bundle, policy, &Reporter::silent()).await
    }

    async fn publish(&self) -> Result<Published, PublishError> {
        self.publish_with("writer", &self.policy()).await
    }

    /// Asserts that there is exactly one release, which is public with every file complete and no
    /// remains of ours.
    async fn assert_public(&self) {
        let releases = self.github.releases();
        assert_eq!(releases.len(), 1, "{releases:#?}");
        let release = &releases[0];
        assert!(!release.draft);
        self.assert_whole(release).await;
    }

    async fn assert_whole(&self, release: &KeptRelease) {
        let bundle = self.bundle().await;
        let mut expected: Vec<&str> = bundle.assets.iter().map(|a| &*a.name).collect();
        // Files that tests added stay; nothing else is left, no lock and no incomplete replacement.
        expected.extend(
            release
                .assets
                .iter()
                .map(|a| &*a.name)
                .filter(|n| n.starts_with("by-hand")),
        );
        let mut names: Vec<&str> = release.assets.iter().map(|a| &*a.name).collect();
        expected.sort_unstable();
        names.sort_unstable();
        assert_eq!(names, expected);
        for asset in &bundle.assets {
            let kept = release.assets.iter().find(|kept| kept.name == asset.name);
            let kept = kept.unwrap_or_else(|| panic!("{} is missing: {release:#?}", asset.name));
            assert_eq!(kept.state, "uploaded");
            let bytes = self.github.bytes(kept.id).unwrap();
            assert_eq!(Sha256::of(&bytes), asset.sha256, "{}", asset.name);
        }
    }
}

#[tokio::test]
async fn a_release_is_public_with_all_its_bytes() {
    let scene = Scene::plain().await;
    let report = scene.publish().await.unwrap();
    assert_eq!(report.outcome, Outcome::Published);
    assert_eq!(report.rechecked, report.assets.len());
    scene.assert_public().await;
    assert!(scene.github.most_uploads_at_once() <= 4);
    let release = &scene.github.releases()[0];
    assert!(release.body.contains("sysforge install octo/images@v1.0.0"));
}

#[tokio::test]
async fn a_second_run_does_nothing_in_two_requests() {
    let scene = Scene::plain().await;
    scene.publish().await.unwrap();
    scene.github.forget_requests();
    let report = scene.publish().await.unwrap();
    assert_eq!(report.outcome, Outcome::Unchanged);
    assert_eq!(scene.github.requests().len(), 2);
    assert_eq!((report.requests, report.bytes_sent), (2, 0));
}

#[tokio::test]
async fn a_dry_run_says_what_would_happen_and_writes_nothing() {
    let scene = Scene::plain().await;
    let policy = Policy {
        dry_run: true,
        ..scene.policy()
    };
    let report = scene.publish_with("writer", &policy).await.unwrap();
    assert_eq!(report.outcome, Outcome::WouldPublish);
    assert_eq!(
        report.actions,
        [
            "create a draft of v1.0.0 in octo/images",
            "verify every digest at the host",
            "make the release public, with its notes",
            "download everything again and compare",
        ]
    );
    assert!(scene.github.requests().iter().all(|r| r.method == "GET"));
    assert!(!policy.state.exists());
}

#[tokio::test]
async fn every_fault_in_every_step_is_survived_or_leaves_nothing_public() {
    for op in Op::OF_PUBLISHING {
        for fault in [
            Fault::Stall(1000),
            Fault::Reset(1000),
            Fault::ResetAfter,
            Fault::StatusBefore(502),
            Fault::StatusAfter(500),
            Fault::Html,
            Fault::HtmlAfter,
            Fault::Corrupt,
        ] {
            let scene = Scene::plain().await;
            scene.github.script([Rule::once(*op, fault)]);
            let outcome = scene.publish().await;
            if let Err(error) = outcome {
                let public = scene.github.releases().iter().any(|release| !release.draft);
                // A damaged download is noticed after everything is public, and reported.
                let said = matches!(error, PublishError::Recheck { .. });
                assert!(said || !public, "{op:?} {fault:?}: {error}");
                scene.github.calm();
                scene.publish().await.unwrap();
            }
            scene.assert_public().await;
        }
    }
}

#[tokio::test]
async fn rate_limits_are_waited_for() {
    let scene = Scene::plain().await;
    scene.github.script([
        Rule::once(Op::Upload, Fault::SecondaryLimit(1)).after(2),
        Rule::once(Op::UpdateRelease, Fault::PrimaryLimit),
    ]);
    scene.publish().await.unwrap();
    scene.assert_public().await;
}

#[tokio::test]
async fn a_host_that_never_works_is_given_up_with_nothing_public() {
    let scene = Scene::plain().await;
    scene
        .github
        .script([Rule::always(Op::Upload, Fault::StatusBefore(500))]);
    let error = scene.publish().await.unwrap_err();
    assert!(matches!(error, PublishError::GaveUp { .. }), "{error}");
    assert!(scene.github.releases().iter().all(|release| release.draft));
    scene.github.calm();
    scene.publish().await.unwrap();
    scene.assert_public().await;
}

#[tokio::test]
async fn a_run_that_is_cut_off_anywhere_is_finished_by_the_next() {
    let mut finished = false;
    for milliseconds in (0..).step_by(7) {
        let scene = Scene::new(Options {
            latency: Duration::from_millis(2),
            ..Options::default()
        })
        .await;
        let limit = Duration::from_millis(milliseconds);
        let cut = tokio::time::timeout(limit, scene.publish()).await;
        for release in scene.github.releases().iter().filter(|r| !r.draft) {
            // Its check may not have finished.
            let mut release = release.clone();
            release
                .assets
                .retain(|asset| asset.name != lease::LOCK_NAME);
            scene.assert_whole(&release).await;
        }
        scene.publish().await.unwrap();
        scene.assert_public().await;
        if cut.is_ok() {
            finished = true;
            break;
        }
    }
    assert!(finished);
}

#[tokio::test]
async fn a_list_that_lags_does_not_make_two_drafts() {
    for fault in [Fault::ResetAfter, Fault::StatusAfter(500)] {
        let scene = Scene::new(Options {
            lag: Duration::from_millis(150),
            ..Options::default()
        })
        .await;
        scene.github.script([Rule::once(Op::CreateRelease, fault)]);
        scene.publish().await.unwrap();
        scene.assert_public().await;
    }
}

#[tokio::test]
async fn of_two_publishers_one_wins_and_the_other_says_so() {
    for lag in [0, 100] {
        let scene = Scene::new(Options {
            lag: Duration::from_millis(lag),
            latency: Duration::from_millis(10),
            ..Options::default()
        })
        .await;
        let other = Policy {
            state: scene.folder.path().join("elsewhere"),
            ..scene.policy()
        };
        let (one, two) = tokio::join!(scene.publish(), scene.publish_with("writer", &other));
        let won = [&one, &two]
            .into_iter()
            .filter(|outcome| outcome.is_ok())
            .count();
        for outcome in [&one, &two] {
            if let Err(error) = outcome {
                assert!(matches!(error, PublishError::Another { .. }), "{error}");
            }
        }
        assert!(won >= 1, "{one:?} {two:?}");
        scene.assert_public().await;
    }
}

#[tokio::test]
async fn the_lock_of_a_dead_publisher_elsewhere_is_taken_over() {
    let scene = Scene::plain().await;
    let draft = scene
        .github
        .put_release("v1.0.0", true, &[(lease::LOCK_NAME, b"dead")])
        .unwrap();
    scene.publish().await.unwrap();
    scene.assert_public().await;
    assert_eq!(scene.github.releases()[0].id, draft);
}

#[tokio::test]
async fn other_bytes_in_a_public_release_are_refused_and_replaced_on_request() {
    let scene = Scene::plain().await;
    let name = "demo-julia1.12.7-x86_64-linux-gnu.tar.gz";
    scene
        .github
        .put_release(
            "v1.0.0",
            false,
            &[(name, b"other"), ("by-hand.txt", b"kept")],
        )
        .unwrap();
    let error = scene.publish().await.unwrap_err();
    assert!(
        matches!(&error, PublishError::Different { name: n } if n == name),
        "{error}"
    );
    let policy = Policy {
        replace: true,
        ..scene.policy()
    };
    scene.publish_with("writer", &policy).await.unwrap();
    scene.assert_public().await;
    let release = &scene.github.releases()[0];
    assert!(
        release
            .assets
            .iter()
            .any(|asset| asset.name == "by-hand.txt")
    );
}

#[tokio::test]
async fn a_replacement_that_fails_keeps_the_original() {
    let scene = Scene::plain().await;
    let name = "demo-julia1.12.7-x86_64-linux-gnu.tar.gz";
    scene
        .github
        .put_release("v1.0.0", false, &[(name, b"other")])
        .unwrap();
    scene
        .github
        .script([Rule::always(Op::Upload, Fault::StatusBefore(500)).after(1)]);
    let policy = Policy {
        replace: true,
        ..scene.policy()
    };
    scene.publish_with("writer", &policy).await.unwrap_err();
    let release = &scene.github.releases()[0];
    let original = release
        .assets
        .iter()
        .find(|asset| asset.name == name)
        .unwrap();
    assert_eq!(scene.github.bytes(original.id).unwrap(), b"other");
}

#[tokio::test]
async fn a_draft_written_by_hand_keeps_its_notes() {
    let scene = Scene::plain().await;
    let host = scene.host("writer");
    let draft = host.create_draft("v1.0.0", None, "By hand.\n").await;
    scene.publish().await.unwrap();
    scene.assert_public().await;
    let release = &scene.github.releases()[0];
    assert_eq!(release.id, draft.unwrap().id);
    assert!(release.body.starts_with("By hand.\n"), "{}", release.body);
    assert!(release.body.contains("sysforge install octo/images@v1.0.0"));
}

#[tokio::test]
async fn an_immutable_release_is_published_once_and_left_alone() {
    let scene = Scene::new(Options {
        immutable: true,
        ..Options::default()
    })
    .await;
    scene.publish().await.unwrap();
    scene.assert_public().await;
    assert_eq!(scene.publish().await.unwrap().outcome, Outcome::Unchanged);
    make_build(
        &scene.folder.path().join("dist"),
        "x86_64-w64-mingw32",
        b"win",
    );
    let policy = Policy {
        replace: true,
        ..scene.policy()
    };
    let error = scene.publish_with("writer", &policy).await.unwrap_err();
    assert!(matches!(error, PublishError::Immutable(..)), "{error}");
}

#[tokio::test]
async fn tokens_without_the_right_are_told_before_anything_is_sent() {
    let scene = Scene::new(Options {
        tokens: vec![("ghp_4f1c_reads".to_owned(), Rights::Read)],
        ..Options::default()
    })
    .await;
    for (token, expected) in [
        (
            "ghp_4f1c_reads",
            "the token may not write releases of octo/images: it may read only",
        ),
        ("ghp_9b27_nobody", "127.0.0.1 does not accept the token"),
    ] {
        let error = scene
            .publish_with(token, &scene.policy())
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), expected);
        let shown = format!("{error:?} {error} {:?}", scene.host(token));
        assert!(!shown.contains("ghp_"), "{shown}");
    }
    let error = preflight(&scene.host(""), "v1.0.0").await.unwrap_err();
    assert!(matches!(error, PublishError::NoToken(_)), "{error}");
    // Nothing was attempted except creating the draft.
    let requests = scene.github.requests();
    let writes = requests.iter().filter(|request| request.method != "GET");
    assert!(writes.clone().count() <= 1, "{requests:?}");
    assert!(scene.github.releases().is_empty());
}

#[tokio::test]
async fn the_automatic_token_is_told_no_rights_and_publishes_all_the_same() {
    let scene = Scene::plain().await;
    preflight(&scene.host("actions"), "v1.0.0").await.unwrap();
    let policy = scene.policy();
    scene.publish_with("actions", &policy).await.unwrap();
    scene.assert_public().await;
}

#[tokio::test]
async fn a_rule_that_protects_the_tag_is_named_and_the_draft_is_used_again() {
    let scene = Scene::new(Options {
        tags: Vec::new(),
        protected_tags: vec!["v1.0.0".to_owned()],
        ..Options::default()
    })
    .await;
    let error = scene.publish().await.unwrap_err();
    assert!(matches!(error, PublishError::Tag { .. }), "{error}");
    assert!(
        error.to_string().contains("creations being restricted"),
        "{error}"
    );
    let error = scene.publish().await.unwrap_err();
    assert!(matches!(error, PublishError::Tag { .. }), "{error}");
    assert_eq!(scene.github.releases().len(), 1);
}

#[tokio::test]
async fn the_automatic_token_may_not_tag_commits_that_change_workflows() {
    let scene = Scene::new(Options {
        tags: Vec::new(),
        workflow_commits: vec!["bad".to_owned()],
        ..Options::default()
    })
    .await;
    let policy = Policy {
        target: Some("bad".to_owned()),
        ..scene.policy()
    };
    let error = scene.publish_with("actions", &policy).await.unwrap_err();
    assert!(matches!(error, PublishError::Tag { .. }), "{error}");
}

#[tokio::test]
async fn a_file_over_the_limit_of_the_host_is_sent_in_parts() {
    let scene = Scene::new(Options {
        asset_limit: 50_000,
        ..Options::default()
    })
    .await;
    let folder = scene.folder.path().join("dist");
    let noise = sysforge_testkit::github::Random(1).bytes(120_000);
    make_build(&folder, "x86_64-linux-gnu", &noise);
    let dist = Dist::read(&folder).await.unwrap();
    let mut destination = scene.host("writer").destination("v1.0.0");
    destination.file_limit = 50_000;
    let bundle = ReleaseBundle::prepare(&dist, &destination, &Origin::default())
        .await
        .unwrap();
    publish(
        &scene.host("writer"),
        &bundle,
        &scene.policy(),
        &Reporter::silent(),
    )
    .await
    .unwrap();
    let names: Vec<_> = scene.github.releases()[0]
        .assets
        .iter()
        .map(|asset| asset.name.clone())
        .collect();
    assert!(
        names.iter().any(|name| name.ends_with(".tar.gz.part3of3")),
        "{names:?}"
    );
}

#[test]
fn names_are_percent_encoded_so_that_a_plus_stays_a_plus() {
    assert_eq!(encode("a 1.13.0+1.tar.gz"), "a%201.13.0%2B1.tar.gz");
}
