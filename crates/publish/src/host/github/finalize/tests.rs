//! Drafts that several calls fill, against the fake GitHub.

use sysforge_plan::Reporter;

use super::*;
use crate::dist::Dist;
use crate::host::github::steps::{Policy, publish};
use crate::host::github::tests::{Scene, quick};
use crate::release_bundle::tests::make_build;

#[tokio::test]
async fn a_draft_is_filled_by_several_calls_and_then_made_public() {
    let scene = Scene::plain().await;
    let draft = Policy {
        draft: true,
        ..scene.policy()
    };
    let host = scene.host("writer");
    let early = finalize(&host, "v1.0.0").await.unwrap_err();
    assert!(matches!(early, PublishError::NoDraft(_)), "{early}");

    let first = scene.bundle().await;
    let report = publish(&host, &first, &draft, &Reporter::silent())
        .await
        .unwrap();
    assert_eq!(report.outcome, Outcome::Drafted);
    assert!(scene.github.releases()[0].draft);

    // Another call adds another image; documents that describe all images are written again.
    make_build(
        &scene.folder.path().join("dist"),
        "x86_64-w64-mingw32",
        b"late image",
    );
    let second = scene.bundle().await;
    assert!(second.assets.len() > first.assets.len());
    publish(&host, &second, &draft, &Reporter::silent())
        .await
        .unwrap();
    let releases = scene.github.releases();
    assert_eq!(releases.len(), 1);
    assert!(releases[0].draft);
    for asset in &second.assets {
        let kept = releases[0]
            .assets
            .iter()
            .find(|kept| kept.name == asset.name)
            .unwrap();
        assert_eq!(kept.size, asset.size, "{}", asset.name);
    }

    let report = finalize(&host, "v1.0.0").await.unwrap();
    assert_eq!(report.outcome, Outcome::Published);
    assert!(!scene.github.releases()[0].draft);
    let again = finalize(&host, "v1.0.0").await.unwrap();
    assert_eq!(again.outcome, Outcome::Unchanged);
    assert_eq!(newest(&host).await.unwrap().as_deref(), Some("v1.0.0"));
}

#[tokio::test]
async fn a_draft_that_lacks_a_file_stays_one() {
    let scene = Scene::plain().await;
    let draft = Policy {
        draft: true,
        ..scene.policy()
    };
    let host = scene.host("writer");
    let bundle = scene.bundle().await;
    publish(&host, &bundle, &draft, &Reporter::silent())
        .await
        .unwrap();
    let release = &scene.github.releases()[0];
    let archive = &bundle.assets[0].name;
    let gone = release
        .assets
        .iter()
        .find(|asset| asset.name == *archive)
        .unwrap();
    host.delete_asset(gone.id).await.unwrap();
    let error = finalize(&host, "v1.0.0").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("the draft of v1.0.0 is not complete: it lacks `{archive}`")
    );
    assert!(scene.github.releases()[0].draft);
}

#[tokio::test]
async fn what_a_draft_has_already_is_brought_to_where_it_is_completed() {
    use crate::install::open_release::SourceOptions;
    let scene = Scene::plain().await;
    let draft = Policy {
        draft: true,
        ..scene.policy()
    };
    let host = scene.host("writer");
    publish(&host, &scene.bundle().await, &draft, &Reporter::silent())
        .await
        .unwrap();
    let options = |drafts| SourceOptions {
        s3: crate::host::s3::S3Access::default(),
        attestations: false,
        github: host.access.clone(),
        timing: quick(),
        drafts,
    };
    let source = crate::install::Source::parse("octo/images@v1.0.0", |_| false).unwrap();
    let hidden = crate::install::OpenRelease::open(&source, &options(false)).await;
    assert!(hidden.is_err());
    let release = crate::install::OpenRelease::open(&source, &options(true))
        .await
        .unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let none = std::collections::BTreeSet::new();
    let silent = Reporter::silent();
    let fetched = crate::complete::complete(&release, &none, elsewhere.path(), &silent)
        .await
        .unwrap();
    let dist = Dist::read(elsewhere.path()).await.unwrap();
    let brought: Vec<_> = dist
        .builds
        .iter()
        .map(|build| build.receipt.build_id.clone())
        .collect();
    assert_eq!(fetched, brought);
    let all = fetched.into_iter().collect();
    let again = crate::complete::complete(&release, &all, elsewhere.path(), &silent)
        .await
        .unwrap();
    assert!(again.is_empty());
}
