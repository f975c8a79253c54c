//! Publishing to a small storage service in this process, whose answers the tests choose.
//! `ci/hosts` uses a real one.

mod storage;

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::StreamExt;
use sysforge_net::{Network, Retries};
use sysforge_plan::release::Site;
use sysforge_plan::{Explain, Reporter, Sha256, Step};

use self::storage::Storage;
use super::*;
use crate::dist::Dist;
use crate::host::{PublishOptions, Timing};
use crate::install::open_release::SourceOptions;
use crate::install::{InstallError, OpenRelease, Source};
use crate::release_bundle::tests::make_build;
use crate::release_bundle::{Content, Origin, ReleaseBundle};

const POLICY: PublishOptions = PublishOptions {
    draft: false,
    replace: false,
    dry_run: false,
    recheck: true,
};

const REPLACE: PublishOptions = PublishOptions {
    replace: true,
    ..POLICY
};

fn access(storage: &Storage) -> S3Access {
    S3Access::from_variables(|name| match name {
        "AWS_ENDPOINT_URL" => Some(storage.url()),
        "AWS_ACCESS_KEY_ID" => Some("AKIDEXAMPLE".to_owned()),
        "AWS_SECRET_ACCESS_KEY" => Some("hunter2".to_owned()),
        _ => None,
    })
}

fn quick() -> Timing {
    Timing {
        retries: Retries {
            without_progress: 4,
            first_delay: Duration::from_millis(1),
            longest_delay: Duration::from_millis(4),
            ..Timing::default().retries
        },
        beat: Duration::from_millis(50),
        dead: Duration::from_millis(200),
        ..Timing::default()
    }
}

fn location() -> S3Location {
    "s3://images/demo".parse().unwrap()
}

fn host(storage: &Storage) -> S3 {
    let network = Network::default();
    S3::new(&access(storage), location(), None, &network, quick()).unwrap()
}

fn options(storage: &Storage) -> SourceOptions {
    let none = |_: &str| None;
    SourceOptions {
        github: crate::host::github::Access::from_variables(none, "", Network::default()).unwrap(),
        s3: access(storage),
        timing: quick(),
        attestations: false,
        drafts: false,
    }
}

async fn bundle(image: &[u8]) -> (tempfile::TempDir, ReleaseBundle) {
    let dir = tempfile::tempdir().unwrap();
    make_build(dir.path(), "x86_64-linux-gnu", image);
    let dist = Dist::read(dir.path()).await.unwrap();
    let destination = Destination {
        tag: "v1.0.0".to_owned(),
        base: "https://example.org/v1.0.0/".to_owned(),
        source: "s3://images/demo@v1.0.0".to_owned(),
        file_limit: FILE_LIMIT,
        count_limit: usize::MAX,
    };
    let origin = Origin::default();
    let bundle = ReleaseBundle::prepare(&dist, &destination, &origin).await;
    (dir, bundle.unwrap().with_notes_as_file())
}

async fn publish(
    storage: &Storage,
    bundle: &ReleaseBundle,
    policy: PublishOptions,
) -> Result<Published, PublishError> {
    let host = host(storage);
    host.publish(bundle, policy, &Reporter::silent()).await
}

/// Returns the keys of all objects except the lists and documents of one release.
fn keys(storage: &Storage) -> Vec<String> {
    storage.keys()
}

#[tokio::test]
async fn a_release_is_published_read_back_and_installed_as_the_newest() {
    let storage = Storage::start();
    let (_dir, bundle) = bundle(b"one").await;
    let published = publish(&storage, &bundle, POLICY).await.unwrap();
    assert_eq!(published.outcome, Outcome::Published);
    assert_eq!(published.place, "s3://images/demo/v1.0.0");
    assert_eq!(published.rechecked, bundle.assets.len() - 1);
    let mut expected: Vec<_> = bundle
        .assets
        .iter()
        .map(|asset| format!("demo/v1.0.0/{}", asset.name))
        .collect();
    expected.push(format!("demo/{SITE_NAME}"));
    expected.sort();
    assert_eq!(keys(&storage), expected);
    // The index was written after every other file of the release.
    let written = storage.written();
    let index = format!("demo/v1.0.0/{INDEX_NAME}");
    let at = written.iter().position(|key| *key == index).unwrap();
    assert!(
        written[at..]
            .iter()
            .all(|key| *key == index || !key.starts_with("demo/v1.0.0/"))
    );

    for text in [
        "s3://images/demo",
        "s3://images/demo@v1.0.0",
        "s3://images/demo/v1.0.0",
    ] {
        let source = Source::parse(text, |_| false).unwrap();
        let release = OpenRelease::open(&source, &options(&storage))
            .await
            .unwrap();
        let (index, _) = release.index(&[]).await.unwrap();
        assert_eq!(&*index.tag, "v1.0.0");
        // An upgrade asks the same service as before, whichever one the environment names now.
        let Source::S3 { endpoint, .. } = release.source() else {
            panic!("{:?}", release.source());
        };
        assert_eq!(
            endpoint.as_ref().unwrap().as_str(),
            format!("{}/", storage.url())
        );
        let noted = serde_json::to_string(release.source()).unwrap();
        assert!(
            !noted.contains("hunter2") && !noted.contains("AKID"),
            "{noted}"
        );
        let read: Source = serde_json::from_str(&noted).unwrap();
        assert_eq!(&read, release.source());
    }
}

#[tokio::test]
async fn a_second_run_sends_nothing() {
    let storage = Storage::start();
    let (_dir, bundle) = bundle(b"one").await;
    publish(&storage, &bundle, POLICY).await.unwrap();
    let again = publish(&storage, &bundle, POLICY).await.unwrap();
    assert_eq!((again.outcome, again.bytes_sent), (Outcome::Unchanged, 0));
}

#[tokio::test]
async fn a_dry_run_and_a_draft_make_nothing_public() {
    let storage = Storage::start();
    let (_dir, bundle) = bundle(b"one").await;
    let dry = PublishOptions {
        dry_run: true,
        ..POLICY
    };
    let would = publish(&storage, &bundle, dry).await.unwrap();
    assert_eq!(would.outcome, Outcome::WouldPublish);
    assert!(storage.written().is_empty());
    let draft = PublishOptions {
        draft: true,
        ..POLICY
    };
    let drafted = publish(&storage, &bundle, draft).await.unwrap();
    assert_eq!(drafted.outcome, Outcome::Drafted);
    let source = Source::parse("s3://images/demo@v1.0.0", |_| false).unwrap();
    let release = OpenRelease::open(&source, &options(&storage))
        .await
        .unwrap();
    let error = release.index(&[]).await.unwrap_err();
    assert!(matches!(error, InstallError::NoRelease(_)), "{error}");
    assert!(error.hints()[0].contains("AWS_ENDPOINT_URL"));
    // Files in the draft are not sent again.
    let published = publish(&storage, &bundle, POLICY).await.unwrap();
    assert_eq!(published.outcome, Outcome::Published);
    assert_eq!(published.bytes_sent, 0);
}

#[tokio::test]
async fn other_bytes_are_refused_unless_they_are_to_replace() {
    let storage = Storage::start();
    let (_one, one) = bundle(b"one").await;
    let (_two, two) = bundle(b"two").await;
    publish(&storage, &one, POLICY).await.unwrap();
    let before = keys(&storage);
    let error = publish(&storage, &two, POLICY).await.unwrap_err();
    assert!(matches!(error, PublishError::Different { .. }), "{error}");
    assert_eq!(keys(&storage), before);
    storage.put("demo/v1.0.0/stranger", b"of an earlier release");
    publish(&storage, &two, REPLACE).await.unwrap();
    assert_eq!(keys(&storage), before);
    let again = publish(&storage, &two, POLICY).await.unwrap();
    assert_eq!(again.outcome, Outcome::Unchanged);
}

#[tokio::test]
async fn a_listing_that_ignores_its_prefix_and_never_ends_removes_nothing_of_others() {
    let storage = Storage::start();
    let (_one, one) = bundle(b"one").await;
    let (_two, two) = bundle(b"two").await;
    publish(&storage, &one, POLICY).await.unwrap();
    let foreign = ["other/deep/secret", "demo/v0/x", "demo/v1.0.0/sub/x"];
    for key in foreign {
        storage.put(key, b"not of this release");
    }
    storage.put("demo/v1.0.0/stranger", b"of an earlier release");
    storage.list_without_end();
    publish(&storage, &two, REPLACE).await.unwrap();
    let left = keys(&storage);
    for key in foreign {
        assert!(left.contains(&key.to_owned()), "{key} is gone: {left:?}");
    }
    assert!(!left.contains(&"demo/v1.0.0/stranger".to_owned()));
}

#[tokio::test]
async fn a_listing_larger_than_any_list_of_a_page_is_refused_unparsed() {
    let storage = Storage::start();
    let host = host(&storage);
    storage.list_at_length(service::ANSWER_LIMIT - 1000);
    let mut objects = host.store.list(None);
    objects.next().await.unwrap().unwrap();
    storage.list_at_length(service::ANSWER_LIMIT);
    let mut objects = host.store.list(None);
    let error = objects.next().await.unwrap().unwrap_err();
    let said = failure_of(&error).words();
    assert!(said.contains("the limit is 8388608"), "{said}");
}

#[tokio::test]
async fn a_file_that_another_program_writes_to_is_named_and_nothing_is_public() {
    for change in crate::release_bundle::tests::changes() {
        let storage = Storage::start();
        let (_dir, bundle) = bundle(b"one").await;
        let path = change(&bundle);
        let error = publish(&storage, &bundle, POLICY).await.unwrap_err();
        let expected = format!("{} changed while it was published", path.display());
        assert_eq!(error.to_string(), expected);
        let index = format!("demo/v1.0.0/{INDEX_NAME}");
        assert!(!storage.keys().contains(&index));
    }
}

#[tokio::test]
async fn a_public_release_stays_as_it_is_until_the_new_one_is_complete() {
    let storage = Storage::start();
    let (_one, one) = bundle(b"one").await;
    let (_two, two) = bundle(b"two").await;
    publish(&storage, &one, POLICY).await.unwrap();
    let before = storage.objects("demo/v1.0.0/");
    // The storage returns other bytes than were sent for the new release.
    storage.spoil("demo/.v1.0.0.partial/");
    let error = publish(&storage, &two, REPLACE).await.unwrap_err();
    assert!(matches!(error, PublishError::HostDigest { .. }), "{error}");
    assert_eq!(storage.objects("demo/v1.0.0/"), before);
    storage.spoil("nothing");
    publish(&storage, &two, REPLACE).await.unwrap();
    assert!(storage.objects("demo/.v1.0.0.partial/").is_empty());
}

#[tokio::test]
async fn a_copy_with_other_bytes_does_not_become_public() {
    let storage = Storage::start();
    let (_one, one) = bundle(b"one").await;
    let (_two, two) = bundle(b"two").await;
    publish(&storage, &one, POLICY).await.unwrap();
    // The service copies the attributes of the archive, and damages its bytes.
    storage.spoil("demo/v1.0.0/demo-julia");
    let error = publish(&storage, &two, REPLACE).await.unwrap_err();
    assert!(matches!(error, PublishError::HostDigest { .. }), "{error}");
    let index = format!("demo/v1.0.0/{INDEX_NAME}");
    assert!(!storage.keys().contains(&index));
    storage.spoil("nothing");
    let published = publish(&storage, &two, POLICY).await.unwrap();
    assert_eq!(published.outcome, Outcome::Published);
}

#[tokio::test]
async fn a_service_that_always_calls_the_lock_taken_is_given_up() {
    let storage = Storage::start();
    let (_dir, bundle) = bundle(b"one").await;
    storage.fail(".sysforge-lock", 412, "PreconditionFailed");
    let error = publish(&storage, &bundle, POLICY).await.unwrap_err();
    let said = error.to_string();
    let expected = "could not write the lock of the releases in 10 attempts";
    assert!(said.starts_with(expected), "{said}");
}

#[tokio::test]
async fn signed_requests_follow_no_redirect() {
    let (storage, other) = (Storage::start(), Storage::start());
    storage.redirect(&format!("{}/images/demo", other.url()));
    let host = host(&storage);
    let path = host.lock_path();
    let failures = [
        host.head(&path).await.map(drop).unwrap_err(),
        host.delete(&path).await.unwrap_err(),
    ];
    for failure in failures {
        assert_eq!(failure.status(), Some(307), "{failure:?}");
    }
    assert_eq!(other.requests(), 0);
}

#[tokio::test]
async fn an_interrupted_run_is_finished_by_the_next() {
    let storage = Storage::start();
    let (_dir, bundle) = bundle(b"one").await;
    // The service repeatedly fails at the index.
    storage.fail(INDEX_NAME, 503, "SlowDown");
    let error = publish(&storage, &bundle, POLICY).await.unwrap_err();
    assert!(matches!(error, PublishError::GaveUp { .. }), "{error}");
    assert!(error.to_string().contains("SlowDown"), "{error}");
    storage.fail("nothing", 503, "SlowDown");
    let published = publish(&storage, &bundle, POLICY).await.unwrap();
    assert_eq!(published.bytes_sent, 0);
    assert_eq!(published.outcome, Outcome::Published);
}

#[tokio::test]
async fn a_second_publisher_is_refused_while_the_first_is_alive() {
    let storage = Storage::start();
    let (_dir, bundle) = bundle(b"one").await;
    let host = host(&storage);
    let lease = host
        .take_lease("v1.0.0", &Reporter::silent())
        .await
        .unwrap();
    let error = publish(&storage, &bundle, POLICY).await.unwrap_err();
    assert!(matches!(error, PublishError::Another { .. }), "{error}");
    host.give_back(lease).await.unwrap();
    publish(&storage, &bundle, POLICY).await.unwrap();
}

#[tokio::test]
async fn the_lock_of_a_dead_publisher_is_taken_over() {
    for conditions in [true, false] {
        let storage = Storage::start();
        storage.knows_conditions(conditions);
        let (_dir, bundle) = bundle(b"one").await;
        let lock = br#"{"about":"","nonce":"dead","beat":7}"#;
        storage.put("demo/.sysforge-lock", lock);
        let published = publish(&storage, &bundle, POLICY).await.unwrap();
        assert_eq!(published.outcome, Outcome::Published);
        assert!(storage.objects("demo/.sysforge-lock").is_empty());
    }
}

#[tokio::test]
async fn a_lock_that_cannot_be_read_is_taken_over_whatever_its_size() {
    let (_dir, bundle) = bundle(b"one").await;
    for size in [100, 100 << 10] {
        let storage = Storage::start();
        storage.put("demo/.sysforge-lock", &vec![b'x'; size]);
        let published = publish(&storage, &bundle, POLICY).await.unwrap();
        assert_eq!(published.outcome, Outcome::Published, "{size}");
        assert!(storage.objects("demo/.sysforge-lock").is_empty());
    }
}

#[tokio::test]
async fn a_publisher_whose_lock_was_taken_makes_nothing_public() {
    let storage = Storage::start();
    let (_dir, bundle) = bundle(b"one").await;
    let host = host(&storage);
    let lease = host
        .take_lease("v1.0.0", &Reporter::silent())
        .await
        .unwrap();
    let lock = br#"{"about":"","nonce":"another","beat":0}"#;
    storage.put("demo/.sysforge-lock", lock);
    let reporter = Reporter::silent();
    let error = host.under_lease(&bundle, POLICY, &lease, &reporter).await;
    assert!(matches!(error, Err(PublishError::Another { .. })));
    host.give_back(lease).await.unwrap();
    let public = format!("demo/v1.0.0/{INDEX_NAME}");
    assert!(!keys(&storage).contains(&public));
    // Nor does it delete the lock of the other one.
    assert!(!storage.objects("demo/.sysforge-lock").is_empty());
}

#[tokio::test]
async fn tags_of_two_publishers_are_both_listed() {
    let storage = Storage::start();
    let host = host(&storage);
    let (one, two) = tokio::join!(host.list("v1"), host.list("v2"));
    one.unwrap();
    two.unwrap();
    let list = storage.objects(&format!("demo/{SITE_NAME}"));
    let site: Site = serde_json::from_slice(&list[0].1).unwrap();
    let tags: BTreeSet<&str> = site.tags.iter().map(|tag| &**tag).collect();
    assert_eq!(tags, ["v1", "v2"].into());
}

#[tokio::test]
async fn a_refusal_names_its_cause_and_is_not_retried() {
    let (_dir, bundle) = bundle(b"one").await;
    for (status, code, expected) in [
        (404, "NoSuchBucket", "there is no bucket `images`"),
        (403, "AccessDenied", "does not allow to write the lock"),
        (403, "InvalidAccessKeyId", "does not accept the credentials"),
        (403, "RequestTimeTooSkewed", "the clock of this machine"),
        (400, "AuthorizationHeaderMalformed", "is not in this region"),
    ] {
        let storage = Storage::start();
        storage.fail("", status, code);
        let error = publish(&storage, &bundle, POLICY).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{code}: {error}");
        assert!(!format!("{error:?}").contains("hunter2"));
        assert_eq!(storage.requests(), 1, "{code}");
    }
}

#[tokio::test]
async fn publishing_needs_credentials_and_reading_a_public_bucket_does_not() {
    let storage = Storage::start();
    let (_dir, bundle) = bundle(b"one").await;
    publish(&storage, &bundle, POLICY).await.unwrap();
    let url = storage.url();
    let anonymous = S3Access::from_variables(|name| match name {
        "AWS_ENDPOINT_URL" => Some(url.clone()),
        _ => None,
    });
    let network = Network::default();
    let host = S3::new(&anonymous, location(), None, &network, quick()).unwrap();
    let error = host.publish(&bundle, POLICY, &Reporter::silent()).await;
    let error = error.unwrap_err();
    assert!(error.to_string().contains("needs credentials"), "{error}");
    let options = SourceOptions {
        s3: anonymous,
        ..options(&storage)
    };
    let source = Source::parse("s3://images/demo", |_| false).unwrap();
    let release = OpenRelease::open(&source, &options).await.unwrap();
    release.index(&[]).await.unwrap();
}

#[tokio::test]
async fn a_file_of_several_parts_comes_back_whole() {
    let storage = Storage::start();
    let bytes: Vec<u8> = (0..(33_u32 << 20)).map(|n| (n % 251) as u8).collect();
    let (_dir, bundle) = bundle(&bytes).await;
    let mut asset = bundle.assets[0].clone();
    asset.size = bytes.len() as u64;
    asset.sha256 = Sha256::of(&bytes);
    asset.content = Content::Memory(bytes.into());
    let host = host(&storage);
    let path = host.path("large");
    let task = Reporter::silent().start(Step::Publish, "large");
    host.send(&path, &asset, &task).await.unwrap();
    assert_eq!(host.state(&path, &asset).await.unwrap(), State::Same);
    host.recheck(&path, &asset).await.unwrap();
}

#[test]
fn offline_is_obeyed() {
    let network = Network {
        offline: true,
        ..Network::default()
    };
    let access = S3Access::default();
    let error = S3::new(&access, location(), None, &network, quick()).unwrap_err();
    assert!(error.to_string().contains("--offline"), "{error}");
}
