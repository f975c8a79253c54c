//! Files that change when a release becomes public, and afterwards.

use sysforge_testkit::github::Tamper;

use super::super::finalize::finalize;
use super::super::lease::LOCK_NAME;
use super::*;
use crate::error::{Difference, Then};

const LINUX: &str = "demo-julia1.12.7-x86_64-linux-gnu.tar.gz";
const MAC: &str = "demo-julia1.12.7-aarch64-apple-darwin.tar.gz";

fn every_tamper(name: &str) -> [Tamper; 3] {
    let name = || name.to_owned();
    [
        Tamper::Remove(name()),
        Tamper::Replace(name(), b"other bytes".to_vec()),
        Tamper::Truncate(name(), 1),
    ]
}

fn recheck_of(error: PublishError) -> (Vec<Difference>, Then) {
    match error {
        PublishError::Recheck { files, then, .. } => (files, then),
        other => panic!("{other}"),
    }
}

fn names(files: &[Difference]) -> Vec<&str> {
    files.iter().map(|file| &*file.name).collect()
}

impl Scene {
    async fn draft(&self) {
        let draft = Policy {
            draft: true,
            ..self.policy()
        };
        self.publish_with("writer", &draft).await.unwrap();
    }

    fn lock_is_there(&self) -> bool {
        let release = &self.github.releases()[0];
        release.assets.iter().any(|asset| asset.name == LOCK_NAME)
    }
}

#[tokio::test]
async fn a_file_that_changes_on_publication_takes_the_release_back_to_a_draft() {
    let every_file = {
        let bundle = Scene::plain().await.bundle().await;
        bundle.assets.into_iter().map(|asset| asset.name)
    };
    for name in every_file {
        for tamper in every_tamper(&name) {
            let scene = Scene::plain().await;
            scene.github.tamper(tamper.clone());
            let (files, then) = recheck_of(scene.publish().await.unwrap_err());
            assert_eq!(names(&files), [&*name], "{tamper:?}");
            assert_eq!(then, Then::Draft, "{tamper:?}");
            assert!(scene.github.releases()[0].draft, "{tamper:?}");
            assert!(!scene.lock_is_there(), "{tamper:?}");
            // The same command sends the changed files again.
            let report = scene.publish().await.unwrap();
            assert_eq!(report.outcome, Outcome::Published, "{tamper:?}");
            scene.assert_public().await;
        }
    }
}

#[tokio::test]
async fn every_file_that_changed_is_named() {
    let scene = Scene::plain().await;
    scene.github.tamper(Tamper::Remove(MAC.to_owned()));
    scene.github.tamper(Tamper::Truncate(LINUX.to_owned(), 10));
    let (files, _) = recheck_of(scene.publish().await.unwrap_err());
    assert_eq!(names(&files), [MAC, LINUX]);
    assert_eq!(files[0].what, "it is missing");
    assert!(files[1].what.starts_with("it has 10 bytes instead of"));
}

#[tokio::test]
async fn a_changed_file_is_noticed_without_downloading_everything_too() {
    let scene = Scene::plain().await;
    let hasty = Policy {
        recheck: false,
        ..scene.policy()
    };
    for tamper in every_tamper(LINUX) {
        scene.github.tamper(tamper);
        let error = scene.publish_with("writer", &hasty).await.unwrap_err();
        let (files, then) = recheck_of(error);
        assert_eq!((names(&files), then), (vec![LINUX], Then::Draft));
    }
    scene.publish_with("writer", &hasty).await.unwrap();
    scene.assert_public().await;
}

#[tokio::test]
async fn a_release_that_the_host_keeps_public_is_never_called_done_by_the_same_command() {
    let scene = Scene::new(Options {
        stays_public: true,
        ..Options::default()
    })
    .await;
    scene.github.tamper(Tamper::Truncate(LINUX.to_owned(), 1));
    let (files, then) = recheck_of(scene.publish().await.unwrap_err());
    assert_eq!(names(&files), [LINUX]);
    assert!(matches!(then, Then::StaysPublic(_)), "{then:?}");
    for _ in 0..2 {
        let error = scene.publish().await.unwrap_err();
        assert!(matches!(error, PublishError::Different { .. }), "{error}");
    }
    assert!(!scene.github.releases()[0].draft);
    let error = finalize(&scene.host("writer"), "v1.0.0", None)
        .await
        .unwrap_err();
    assert!(
        matches!(error, PublishError::PublicIncomplete { .. }),
        "{error}"
    );
    let replace = Policy {
        replace: true,
        ..scene.policy()
    };
    scene.publish_with("writer", &replace).await.unwrap();
    scene.assert_public().await;
}

#[tokio::test]
async fn a_statement_that_changed_in_a_release_that_stays_public_is_not_called_done_either() {
    let scene = Scene::new(Options {
        stays_public: true,
        ..Options::default()
    })
    .await;
    let name = "provenance.intoto.json".to_owned();
    scene.github.tamper(Tamper::Truncate(name, 1));
    scene.publish().await.unwrap_err();
    let error = scene.publish().await.unwrap_err();
    assert!(matches!(error, PublishError::Different { .. }), "{error}");
}

#[tokio::test]
async fn an_immutable_release_that_changed_on_publication_is_never_called_done() {
    let scene = Scene::new(Options {
        immutable: true,
        ..Options::default()
    })
    .await;
    scene.github.tamper(Tamper::Remove(LINUX.to_owned()));
    let (_, then) = recheck_of(scene.publish().await.unwrap_err());
    assert!(matches!(then, Then::StaysPublic(_)), "{then:?}");
    let error = scene.publish().await.unwrap_err();
    assert!(matches!(error, PublishError::Immutable(..)), "{error}");
}

#[tokio::test]
async fn a_check_that_could_not_be_finished_is_finished_by_the_same_command() {
    for immutable in [false, true] {
        let scene = Scene::new(Options {
            immutable,
            ..Options::default()
        })
        .await;
        let fault = Fault::StatusBefore(500);
        scene.github.script([Rule::always(Op::Download, fault)]);
        let error = scene.publish().await.unwrap_err();
        assert!(matches!(error, PublishError::GaveUp { .. }), "{error}");
        // It is public but not checked: until it is, no run reports success.
        assert!(!scene.github.releases()[0].draft);
        let error = scene.publish().await.unwrap_err();
        assert!(matches!(error, PublishError::GaveUp { .. }), "{error}");
        scene.github.calm();
        let report = scene.publish().await.unwrap();
        assert_eq!(report.rechecked, report.assets.len(), "{immutable}");
        scene.assert_public().await;
        assert_eq!(scene.publish().await.unwrap().outcome, Outcome::Unchanged);
    }
}

#[tokio::test]
async fn bytes_that_come_back_changed_are_noticed_although_the_list_is_right() {
    let scene = Scene::plain().await;
    scene
        .github
        .script([Rule::once(Op::Download, Fault::Corrupt)]);
    let (files, then) = recheck_of(scene.publish().await.unwrap_err());
    assert_eq!((files.len(), then), (1, Then::Draft));
    assert!(files[0].what.contains("SHA-256"), "{files:?}");
    scene.publish().await.unwrap();
    scene.assert_public().await;
}

#[tokio::test]
async fn the_lock_is_held_until_the_check_is_over() {
    let scene = Scene::plain().await;
    let stall = Rule::once(Op::Download, Fault::Stall(0));
    scene.github.script([stall]);
    let checking = async {
        loop {
            let requests = scene.github.requests();
            if requests.iter().any(|request| request.op == Op::Download) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let public = !scene.github.releases()[0].draft;
        (public, scene.lock_is_there())
    };
    let (published, seen) = tokio::join!(scene.publish(), checking);
    published.unwrap();
    assert_eq!(seen, (true, true));
    scene.assert_public().await;
}

#[tokio::test]
async fn no_lock_is_left_in_an_immutable_release_whoever_may_read_the_setting() {
    for token in ["writer", "actions"] {
        let scene = Scene::new(Options {
            immutable: true,
            ..Options::default()
        })
        .await;
        let policy = scene.policy();
        scene.publish_with(token, &policy).await.unwrap();
        scene.assert_public().await;
    }
}

#[tokio::test]
async fn a_public_release_whose_replacement_changed_stays_public() {
    let scene = Scene::plain().await;
    scene.publish().await.unwrap();
    let release = scene.github.releases()[0].id;
    scene.github.put_asset(release, LINUX, b"other");
    let replace = Policy {
        replace: true,
        ..scene.policy()
    };
    scene
        .github
        .script([Rule::once(Op::Download, Fault::Corrupt)]);
    let error = scene.publish_with("writer", &replace).await.unwrap_err();
    let (_, then) = recheck_of(error);
    assert_eq!(then, Then::WasPublic);
    assert!(!scene.github.releases()[0].draft);
    // The lock shows that the check has not finished.
    scene.publish().await.unwrap();
    scene.assert_public().await;
}

#[tokio::test]
async fn finalizing_over_changing_files_turns_the_release_back_to_a_draft() {
    for tamper in every_tamper(LINUX) {
        let scene = Scene::plain().await;
        scene.draft().await;
        scene.github.tamper(tamper);
        let host = scene.host("writer");
        let (files, then) = recheck_of(finalize(&host, "v1.0.0", None).await.unwrap_err());
        assert_eq!((names(&files), then), (vec![LINUX], Then::Draft));
        assert!(scene.github.releases()[0].draft && !scene.lock_is_there());
        finalize(&host, "v1.0.0", None).await.unwrap_err();
        scene.draft().await;
        let done = finalize(&host, "v1.0.0", None).await.unwrap();
        assert_eq!(done.outcome, Outcome::Published);
        scene.assert_public().await;
    }
}

#[tokio::test]
async fn a_draft_whose_lists_were_emptied_or_disagree_stays_one() {
    let list = |text: &dyn Fn(&str) -> String, whole: &str| text(whole).into_bytes();
    let without = |name: &'static str| {
        move |whole: &str| -> String {
            let lines = whole.lines().filter(|line| !line.ends_with(name));
            lines.map(|line| format!("{line}\n")).collect()
        }
    };
    type Edit = Box<dyn Fn(&str) -> String>;
    let edits: [(Edit, &str); 5] = [
        (Box::new(|_: &str| String::new()), "lists no file"),
        (
            Box::new(|whole: &str| whole[..whole.len() - 2].to_owned()),
            "lacks",
        ),
        (Box::new(|whole: &str| whole[..40].to_owned()), "line 1 is"),
        (Box::new(without(LINUX)), "does not list"),
        (
            Box::new(without("sysforge-release.json")),
            "does not list `sysforge-release.json`",
        ),
    ];
    for (edit, why) in edits {
        let scene = Scene::plain().await;
        scene.draft().await;
        let release = &scene.github.releases()[0];
        let sums = release.assets.iter().find(|a| a.name == "SHA256SUMS");
        let whole = scene.github.bytes(sums.unwrap().id).unwrap();
        let bytes = list(&edit, std::str::from_utf8(&whole).unwrap());
        scene.github.put_asset(release.id, "SHA256SUMS", &bytes);
        let error = finalize(&scene.host("writer"), "v1.0.0", None)
            .await
            .unwrap_err();
        assert!(error.to_string().contains(why), "{why}: {error}");
        assert!(scene.github.releases()[0].draft && !scene.lock_is_there());
    }
}

#[tokio::test]
async fn a_dead_lock_does_not_keep_a_draft_from_becoming_public() {
    let scene = Scene::plain().await;
    scene.draft().await;
    let release = scene.github.releases()[0].id;
    scene.github.put_asset(release, LOCK_NAME, b"dead");
    let report = finalize(&scene.host("writer"), "v1.0.0", None)
        .await
        .unwrap();
    assert_eq!(report.outcome, Outcome::Published);
    scene.assert_public().await;
    // Nor a public release from being reported as complete.
    scene.github.put_asset(release, LOCK_NAME, b"dead");
    let report = finalize(&scene.host("writer"), "v1.0.0", None)
        .await
        .unwrap();
    assert_eq!(report.outcome, Outcome::Unchanged);
    scene.assert_public().await;
}
