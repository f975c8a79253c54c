//! Signatures by keys made in the tests: which are accepted, and what `required` changes.

use sysforge_acquire::{Error, SignatureError};
use sysforge_plan::signing::SignatureCheck;
use sysforge_testkit::archives::tiny_julia;
use sysforge_testkit::keys::SigningKey;
use sysforge_testkit::mirror_dir::MirrorDir;

use crate::support::{Bench, LINUX};

/// Creates a mirror with one release and this signature of it.
fn mirror(version: &str, archive: &[u8], asc: Option<&str>) -> MirrorDir {
    let mut mirror = MirrorDir::new();
    mirror.publish_with(version, LINUX, archive, |entry| {
        if let Some(asc) = asc {
            entry.insert("asc".to_owned(), asc.into());
        }
    });
    mirror
}

/// Creates a bench that trusts a key for all versions, and has its certificate.
fn trusting(key: &SigningKey) -> Bench {
    let mut bench = Bench::new();
    bench.signatures.trusted = vec![key.fingerprint().parse().unwrap()];
    bench.signatures.keyrings = vec![bench.keyring("key.asc", &key.certificate())];
    bench
}

fn path(mirror: &MirrorDir) -> &str {
    mirror.path().to_str().unwrap()
}

#[tokio::test]
async fn a_good_signature_is_recorded_and_survives_reuse() {
    let key = SigningKey::new();
    let archive = tiny_julia("1.5.3", 200_000).gz();
    let mirror = mirror("1.5.3", &archive, Some(&key.sign(&archive)));
    let mut bench = trusting(&key);
    bench.signatures.required = true;
    for reused in [false, true] {
        let julia = bench.install(path(&mirror), "1").await.unwrap();
        assert_eq!(julia.reused, reused);
        let SignatureCheck::Good { key: by } = julia.signature else {
            panic!("{:?}", julia.signature);
        };
        assert_eq!(by.to_string(), key.fingerprint());
    }
}

#[tokio::test]
async fn a_signature_of_different_bytes_is_refused() {
    let key = SigningKey::new();
    let archive = tiny_julia("1.5.3", 200_000).gz();
    // Simulates an attacker who replaced the archive and its digest in the catalogue.
    let mirror = mirror("1.5.3", &archive, Some(&key.sign(b"the real archive")));
    let bench = trusting(&key);
    let error = bench.install(path(&mirror), "1").await.unwrap_err();
    assert!(
        matches!(error, Error::Signature(SignatureError::Wrong { .. })),
        "{error:?}"
    );
    bench.assert_empty();
}

#[tokio::test]
async fn a_text_signature_is_refused() {
    let key = SigningKey::new();
    let archive = tiny_julia("1.5.3", 1000).gz();
    let mirror = mirror("1.5.3", &archive, Some(&key.sign_as_text(&archive)));
    let error = trusting(&key)
        .install(path(&mirror), "1")
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::Signature(SignatureError::Wrong { .. })),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_release_with_a_pinned_key_must_not_be_signed_by_another() {
    let stranger = SigningKey::new();
    let archive = tiny_julia("1.13.2", 1000).gz();
    let mirror = mirror("1.13.2", &archive, Some(&stranger.sign(&archive)));
    let bench = Bench::new();
    let error = bench.install(path(&mirror), "1").await.unwrap_err();
    assert!(
        matches!(error, Error::Signature(SignatureError::OtherKey { .. })),
        "{error:?}"
    );
    bench.assert_empty();
    // Unless the user trusts the other key.
    trusting(&stranger)
        .install(path(&mirror), "1")
        .await
        .unwrap();
}

#[tokio::test]
async fn a_signature_that_claims_a_trusted_key_id_is_refused() {
    let (trusted, stranger) = (SigningKey::new(), SigningKey::new());
    let archive = tiny_julia("1.5.3", 1000).gz();
    let mirror = mirror("1.5.3", &archive, Some(&stranger.sign(&archive)));
    let mut bench = Bench::new();
    bench.signatures.required = true;
    bench.signatures.trusted = vec![trusted.fingerprint().parse().unwrap()];
    // The attacker's certificate is available, but its key is not pinned.
    bench.signatures.keyrings = vec![bench.keyring("key.asc", &stranger.certificate())];
    let error = bench.install(path(&mirror), "1").await.unwrap_err();
    assert!(
        matches!(error, Error::Signature(SignatureError::Missing { .. })),
        "{error:?}"
    );
}

#[tokio::test]
async fn the_digest_is_enough_unless_a_signature_is_required() {
    let archive = tiny_julia("1.5.3", 1000).gz();
    for (version, reason) in [
        ("1.5.3", "no longer trusted"),
        ("1.13.2", "the catalogue has no signature"),
    ] {
        let mirror = mirror(version, &archive, None);
        let mut bench = Bench::new();
        let julia = bench.install(path(&mirror), "1").await.unwrap();
        assert!(julia.signature.to_string().contains(reason), "{version}");
        bench.signatures.required = true;
        let error = bench.install(path(&mirror), "1").await.unwrap_err();
        assert!(
            matches!(error, Error::Signature(SignatureError::Missing { .. })),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn an_unchecked_entry_is_fetched_again_if_a_signature_is_required() {
    let key = SigningKey::new();
    let archive = tiny_julia("1.5.3", 1000).gz();
    let mirror = mirror("1.5.3", &archive, Some(&key.sign(&archive)));
    let mut bench = Bench::new();
    bench.install(path(&mirror), "1").await.unwrap();
    bench.signatures = trusting(&key).signatures;
    bench.signatures.keyrings = vec![bench.keyring("key.asc", &key.certificate())];
    bench.signatures.required = true;
    let julia = bench.install(path(&mirror), "1").await.unwrap();
    assert!(!julia.reused);
    assert!(matches!(julia.signature, SignatureCheck::Good { .. }));
}

#[tokio::test]
async fn an_invalid_keyring_is_a_usage_error() {
    let archive = tiny_julia("1.13.2", 1000).gz();
    let mirror = mirror("1.13.2", &archive, Some("no signature"));
    let mut bench = Bench::new();
    let error = bench.install(path(&mirror), "1").await.unwrap_err();
    assert!(
        matches!(error, Error::Signature(SignatureError::Unreadable { .. })),
        "{error:?}"
    );
    bench.signatures.keyrings = vec![bench.keyring("key.asc", "no key")];
    bench.install(path(&mirror), "1").await.unwrap_err();
}
