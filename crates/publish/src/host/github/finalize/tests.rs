//! Drafts that several calls fill, against the fake GitHub.

use std::time::Duration;

use sysforge_plan::Reporter;
use sysforge_testkit::github::{Fault, Op, Rule};

use super::*;
use crate::dist::Dist;
use crate::host::Timing;
use crate::host::github::steps::{Policy, publish};
use crate::host::github::tests::{Scene, quick};
use crate::host::github::upload::Upload;
use crate::release_bundle::Content;
use crate::release_bundle::tests::make_build;
use crate::signing::Signer;
use crate::signing::tests::signer;

#[tokio::test]
async fn a_draft_is_filled_by_several_calls_and_then_made_public() {
    let scene = Scene::plain().await;
    let draft = Policy {
        draft: true,
        ..scene.policy()
    };
    let host = scene.host("writer");
    let early = finalize(&host, "v1.0.0", None).await.unwrap_err();
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

    let report = finalize(&host, "v1.0.0", None).await.unwrap();
    assert_eq!(report.outcome, Outcome::Published);
    assert!(!scene.github.releases()[0].draft);
    let again = finalize(&host, "v1.0.0", None).await.unwrap();
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
    let error = finalize(&host, "v1.0.0", None).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("the draft of v1.0.0 is not complete: it lacks `{archive}`")
    );
    assert!(scene.github.releases()[0].draft);
}

/// Returns a scene with a draft, which is signed if there is a key, and its number.
async fn drafted(signer: Option<&Signer>) -> (Scene, u64) {
    let scene = Scene::plain().await;
    send(&scene, signer).await;
    let id = scene.github.releases()[0].id;
    (scene, id)
}

/// Fills the draft.
async fn send(scene: &Scene, signer: Option<&Signer>) {
    let draft = Policy {
        draft: true,
        ..scene.policy()
    };
    let mut bundle = scene.bundle().await;
    if let Some(signer) = signer {
        bundle.sign(signer, 1000).unwrap();
    }
    let host = scene.host("writer");
    let sent = publish(&host, &bundle, &draft, &Reporter::silent()).await;
    sent.unwrap();
}

/// Asserts that the draft stays one, for this reason.
async fn stays_a_draft(scene: &Scene, why: &str) {
    let error = finalize(&scene.host("writer"), "v1.0.0", None)
        .await
        .unwrap_err();
    let said = error.to_string();
    let expected = format!("the draft of v1.0.0 is not complete: {why}");
    assert!(said.starts_with(&expected), "{said}");
    let release = &scene.github.releases()[0];
    assert!(release.draft);
    let names: Vec<&str> = release.assets.iter().map(|asset| &*asset.name).collect();
    assert!(!names.contains(&LOCK_NAME), "{names:?}");
}

#[tokio::test]
async fn a_draft_with_the_provenance_or_signature_of_an_earlier_run_stays_one() {
    let signer = signer(1);
    let signature = format!("{INDEX_NAME}{SIGNATURE_END}");
    let (scene, id) = drafted(Some(&signer)).await;
    let of = |name: &str| {
        let release = &scene.github.releases()[0];
        let mut assets = release.assets.iter();
        let asset = assets.find(|asset| asset.name == name).unwrap().id;
        scene.github.bytes(asset).unwrap()
    };
    let names = [provenance::NAME, provenance::SIGNED_NAME, &signature];
    let old = names.map(of);
    let image = (&scene.folder.path().join("dist"), "x86_64-w64-mingw32");
    make_build(image.0, image.1, b"late image");
    send(&scene, Some(&signer)).await;
    let new = names.map(of);
    for (name, (old, new)) in names.into_iter().zip(old.iter().zip(&new)) {
        scene.github.put_asset(id, name, old);
        let why = match name == signature {
            true => format!("the signature of `{INDEX_NAME}` is not good: it is for `"),
            false => format!("its `{name}` is not about its index and archives"),
        };
        stays_a_draft(&scene, &why).await;
        scene.github.put_asset(id, name, new);
    }
    // A second publisher has no key.
    make_build(image.0, image.1, b"later image");
    send(&scene, None).await;
    let why = format!("its `{}` is not about", provenance::SIGNED_NAME);
    stays_a_draft(&scene, &why).await;
    send(&scene, Some(&signer)).await;
    let report = finalize(&scene.host("writer"), "v1.0.0", None)
        .await
        .unwrap();
    assert_eq!(report.outcome, Outcome::Published);
}

#[tokio::test]
async fn a_draft_with_remains_of_an_interrupted_run_stays_one_until_they_are_removed() {
    let (scene, id) = drafted(None).await;
    let left = format!("{}{NEW}", provenance::NAME);
    scene.github.put_asset(id, &left, b"{}");
    let why = format!("an interrupted run left `{left}` in it");
    stays_a_draft(&scene, &why).await;
    send(&scene, None).await;

    let host = scene.host("writer");
    let draft = host.release(id).await.unwrap().unwrap();
    let content = Content::Memory(vec![7; 10_000].into());
    let upload = Upload {
        name: "other.tar.gz",
        label: None,
        content: &content,
        size: 10_000,
    };
    let cut = Rule::once(Op::Upload, Fault::Reset(1000));
    scene.github.script([cut]);
    let sent = host.send_once(&draft.upload_url, upload, None).await;
    sent.unwrap_err();
    stays_a_draft(&scene, "an interrupted run left `other.tar.gz` in it").await;
    let release = &scene.github.releases()[0];
    let mut assets = release.assets.iter();
    let left = assets.find(|asset| asset.name == "other.tar.gz").unwrap();
    host.delete_asset(left.id).await.unwrap();
    finalize(&host, "v1.0.0", None).await.unwrap();
}

#[tokio::test]
async fn a_draft_with_other_files_than_those_of_the_run_stays_one() {
    let (scene, _) = drafted(None).await;
    let host = scene.host("writer");
    let draft = Policy {
        draft: true,
        ..scene.policy()
    };
    let dist = scene.folder.path().join("dist");
    make_build(&dist, "x86_64-w64-mingw32", b"of another run");
    let bundle = scene.bundle().await;
    let other = publish(&host, &bundle, &draft, &Reporter::silent()).await;
    let other = other.unwrap().sums_digest.unwrap();
    let own = Sha256::new([7; 32]);
    let error = finalize(&host, "v1.0.0", Some(own)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("the digest of the `SHA256SUMS` of v1.0.0 is {other} instead of {own}")
    );
    assert!(scene.github.releases()[0].draft);
    finalize(&host, "v1.0.0", Some(other)).await.unwrap();
    // Nor is it called done afterwards.
    finalize(&host, "v1.0.0", Some(own)).await.unwrap_err();
}

/// Finalizes a draft, which `change` changes while another publisher holds the lock.
async fn finalize_after(scene: &Scene, id: u64, change: impl AsyncFn(&GitHub)) -> Published {
    scene.github.put_asset(id, LOCK_NAME, b"another");
    scene.github.forget_requests();
    let timing = Timing {
        dead: Duration::from_secs(60),
        ..quick()
    };
    let host = GitHub::new(scene.host("writer").access, timing).unwrap();
    let changing = async {
        // Then it has read the draft.
        let waits = || {
            let requests = scene.github.requests();
            requests.iter().any(|request| request.op == Op::Upload)
        };
        while !waits() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        change(&host).await;
        let release = &scene.github.releases()[0];
        let mut assets = release.assets.iter();
        let lock = assets.find(|asset| asset.name == LOCK_NAME).unwrap();
        host.delete_asset(lock.id).await.unwrap();
    };
    let (published, ()) = tokio::join!(finalize(&host, "v1.0.0", None), changing);
    published.unwrap()
}

#[tokio::test]
async fn notes_that_are_written_while_it_waits_for_the_lock_are_kept() {
    let (scene, id) = drafted(None).await;
    let published = finalize_after(&scene, id, async |host| {
        host.describe(id, "later notes").await.unwrap();
    });
    assert_eq!(published.await.outcome, Outcome::Published);
    let release = &scene.github.releases()[0];
    assert_eq!((release.draft, &*release.body), (false, "later notes"));
}

#[tokio::test]
async fn a_draft_that_becomes_public_while_it_waits_for_the_lock_is_left_alone() {
    let (scene, id) = drafted(None).await;
    let published = finalize_after(&scene, id, async |host| {
        host.make_public(id, "public notes").await.unwrap();
    });
    assert_eq!(published.await.outcome, Outcome::Unchanged);
    assert_eq!(scene.github.releases()[0].body, "public notes");
}

#[tokio::test]
async fn a_public_release_of_another_tag_is_not_the_requested_one() {
    let (scene, _) = drafted(None).await;
    let host = scene.host("writer");
    finalize(&host, "v1.0.0", None).await.unwrap();
    scene.github.rewrite("tag_name", "v2.0.0");
    let error = finalize(&host, "v1.0.0", None).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "could not look for the release: the host answers with the release v2.0.0"
    );
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
