//! A host that lists no digests, as Enterprise before 3.18; one with a different clock; and one
//! that names unusual URLs for uploads.

use super::super::finalize::finalize;
use super::*;

const LINUX: &str = "demo-julia1.12.7-x86_64-linux-gnu.tar.gz";

async fn without_digests() -> Scene {
    Scene::new(Options {
        digests: false,
        ..Options::default()
    })
    .await
}

/// Returns other bytes of the same length as the archive of this name.
async fn other_bytes(scene: &Scene) -> Vec<u8> {
    let bundle = scene.bundle().await;
    let asset = bundle.assets.iter().find(|asset| asset.name == LINUX);
    vec![b'x'; usize::try_from(asset.unwrap().size).unwrap()]
}

#[tokio::test]
async fn a_host_without_digests_is_verified_by_downloads() {
    let scene = without_digests().await;
    scene.publish().await.unwrap();
    scene.assert_public().await;
    assert_eq!(scene.publish().await.unwrap().outcome, Outcome::Unchanged);
}

#[tokio::test]
async fn bytes_that_a_host_without_digests_spoilt_are_sent_again() {
    let scene = without_digests().await;
    let corrupt = Rule::once(Op::Upload, Fault::Corrupt).after(1);
    scene.github.script([corrupt]);
    scene.publish().await.unwrap();
    scene.assert_public().await;
}

#[tokio::test]
async fn wrong_bytes_in_a_draft_without_digests_are_replaced_on_request() {
    let scene = without_digests().await;
    let bytes = other_bytes(&scene).await;
    let assets: [(&str, &[u8]); 1] = [(LINUX, &bytes)];
    scene.github.put_release("v1.0.0", true, &assets).unwrap();
    for _ in 0..2 {
        let error = scene.publish().await.unwrap_err();
        assert!(matches!(error, PublishError::Different { .. }), "{error}");
    }
    let replace = Policy {
        replace: true,
        ..scene.policy()
    };
    scene.publish_with("writer", &replace).await.unwrap();
    scene.assert_public().await;
}

#[tokio::test]
async fn wrong_bytes_in_a_public_release_without_digests_are_not_called_done() {
    let scene = without_digests().await;
    scene.publish().await.unwrap();
    let release = scene.github.releases()[0].id;
    let bytes = other_bytes(&scene).await;
    scene.github.put_asset(release, LINUX, &bytes);
    let error = scene.publish().await.unwrap_err();
    assert!(matches!(error, PublishError::Different { .. }), "{error}");
}

#[tokio::test]
async fn a_draft_without_digests_is_made_public_only_if_its_bytes_are_right() {
    let scene = without_digests().await;
    let draft = Policy {
        draft: true,
        ..scene.policy()
    };
    scene.publish_with("writer", &draft).await.unwrap();
    let release = scene.github.releases()[0].id;
    let host = scene.host("writer");
    for bytes in [b"x".to_vec(), other_bytes(&scene).await] {
        scene.github.put_asset(release, LINUX, &bytes);
        let error = finalize(&host, "v1.0.0", None).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("the draft of v1.0.0 is not complete: `{LINUX}` has other bytes than listed")
        );
        assert!(scene.github.releases()[0].draft);
    }
    // Completing the draft from the machine that has the images solves it.
    scene.publish_with("writer", &draft).await.unwrap();
    finalize(&host, "v1.0.0", None).await.unwrap();
    scene.assert_public().await;
}

#[tokio::test]
async fn the_statement_of_an_earlier_run_stays_where_no_digests_are_listed() {
    let scene = without_digests().await;
    let name = "provenance.intoto.json";
    let assets: [(&str, &[u8]); 1] = [(name, b"{\"of\": \"another run\"}")];
    scene.github.put_release("v1.0.0", false, &assets).unwrap();
    let report = scene.publish().await.unwrap();
    assert_eq!(report.rechecked, report.assets.len());
    let release = &scene.github.releases()[0];
    let kept = release.assets.iter().find(|asset| asset.name == name);
    let bytes = scene.github.bytes(kept.unwrap().id).unwrap();
    assert_eq!(bytes, assets[0].1);
}

#[tokio::test]
async fn a_rate_limit_is_waited_for_by_the_clock_of_the_host() {
    for clock_ahead in [3600, -3600] {
        let scene = Scene::new(Options {
            clock_ahead,
            ..Options::default()
        })
        .await;
        let fault = Fault::PrimaryLimit;
        scene.github.script([Rule::once(Op::UpdateRelease, fault)]);
        let started = std::time::Instant::now();
        scene.publish().await.unwrap();
        // The rate limit ends with the host's next second.
        assert!(started.elapsed() >= Duration::from_secs(1), "{clock_ahead}");
        scene.assert_public().await;
    }
}

#[tokio::test]
async fn no_token_is_sent_to_an_upload_address_that_is_not_the_hosts() {
    let stranger = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    stranger.set_nonblocking(true).unwrap();
    let address = format!("http://{}", stranger.local_addr().unwrap());
    let scene = Scene::new(Options {
        upload_url: Some(address.clone()),
        ..Options::default()
    })
    .await;
    let error = scene.publish().await.unwrap_err();
    let PublishError::UploadAddress { address: named, .. } = &error else {
        panic!("{error}");
    };
    assert!(named.starts_with(&address), "{named}");
    assert!(stranger.accept().is_err(), "somebody came");
    assert!(scene.github.releases().iter().all(|release| release.draft));
}

#[tokio::test]
async fn an_upload_address_that_leads_nowhere_is_not_taken_for_another_publisher() {
    for (broken, why) in [
        ("not an address", "it is not an address"),
        ("", "it is not an address"),
        ("http://[", "it is not an address"),
        (
            "{api}/nowhere",
            "uploads to it are answered with `Not Found`",
        ),
    ] {
        let scene = Scene::new(Options {
            upload_url: Some(broken.to_owned()),
            ..Options::default()
        })
        .await;
        let error = scene.publish().await.unwrap_err().to_string();
        let end = format!("cannot be used for uploads: {why}");
        assert!(error.ends_with(&end), "{broken}: {error}");
    }
}
