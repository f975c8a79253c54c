//! Tests which keys and subkeys are accepted, with keys that GnuPG made (`tests/keys/`): one that
//! signs with a subkey, the same after that subkey was revoked, and one that is revoked itself. All
//! signatures are of [`ARCHIVE`].

use pgp::composed::ArmorOptions;
use pgp::ser::Serialize;
use sysforge_plan::signing::JULIA_KEY_2026;
use sysforge_testkit::keys::SigningKey;

use super::*;

const ARCHIVE: &[u8] = b"the archive of a release";

const SUBKEYS: &str = include_str!("../../tests/keys/subkeys.asc");
const SUBKEYS_REVOKED: &str = include_str!("../../tests/keys/subkeys-revoked.asc");
const SUBKEYS_SIGNATURE: &str = include_str!("../../tests/keys/subkeys.sig.asc");
const SUBKEYS_PRIMARY: &str = "72746259D9CE60D1B2B34218444C64F215D81F34";
const SIGNING_SUBKEY: &str = "16A02772DB601A833A7E8CB1DEEB7545AC4B033A";
/// A subkey for authentication, not for signing.
const OTHER_SUBKEY: &str = "E423ACB83A0CDEEA9FB20B00CC7FB6B1782974C6";

const REVOKED: &str = include_str!("../../tests/keys/revoked.asc");
const REVOKED_SIGNATURE: &str = include_str!("../../tests/keys/revoked.sig.asc");
const REVOKED_PRIMARY: &str = "5516F49319B67807790525062DC9DA2350F58C20";

/// Returns a release without a pinned key, so that only trusted keys count.
fn old_release() -> JuliaVersion {
    JuliaVersion::new(1, 5, 3)
}

fn trusting(fingerprint: &str, certificate: &str) -> (tempfile::TempDir, Signatures) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key.asc");
    std::fs::write(&file, certificate).unwrap();
    let signatures = Signatures {
        required: false,
        keyrings: vec![file],
        trusted: vec![fingerprint.parse().unwrap()],
    };
    (folder, signatures)
}

/// Verifies a signature by a trusted key.
fn checked(
    fingerprint: &str,
    certificate: &str,
    asc: &str,
) -> Result<SignatureCheck, SignatureError> {
    let (_folder, signatures) = trusting(fingerprint, certificate);
    match signatures.plan("julia.tar.gz", &old_release(), Some(asc))? {
        Plan::Check(pending) => pending.check(ARCHIVE),
        Plan::Skip(check) => Ok(check),
    }
}

/// Returns why a signature of the archive is refused.
fn why_wrong(fingerprint: &str, certificate: &str, asc: &str) -> String {
    match checked(fingerprint, certificate, asc).unwrap_err() {
        SignatureError::Wrong { what, source } => {
            assert_eq!(what, "julia.tar.gz");
            source.to_string()
        }
        other => panic!("{other:?}"),
    }
}

/// Returns the same signature with some bytes replaced.
fn forged(asc: &str, from: &[u8], to: &[u8]) -> String {
    let (signature, _) = DetachedSignature::from_string(asc).unwrap();
    let mut bytes = signature.to_bytes().unwrap();
    let at = bytes.windows(from.len()).position(|part| part == from);
    let at = at.expect("there are no such bytes");
    bytes[at..at + to.len()].copy_from_slice(to);
    let forged = DetachedSignature::from_bytes(bytes.as_slice()).unwrap();
    forged.to_armored_string(ArmorOptions::default()).unwrap()
}

fn bytes_of(fingerprint: &str) -> Vec<u8> {
    let digit = |at| u8::from_str_radix(&fingerprint[at..at + 2], 16).unwrap();
    (0..fingerprint.len()).step_by(2).map(digit).collect()
}

#[test]
fn the_key_that_is_built_in_is_the_one_that_the_table_pins() {
    let certificates = Signatures::default().certificates().unwrap();
    let [certificate] = certificates.as_slice() else {
        panic!("one certificate is built in");
    };
    // The fingerprint is computed from the key itself.
    let fingerprint = certificate.primary_key.fingerprint().to_string();
    assert_eq!(fingerprint.to_uppercase(), JULIA_KEY_2026);
    certificate.verify_bindings().unwrap();
}

#[test]
fn a_subkey_that_may_sign_counts_as_its_primary_key() {
    let check = checked(SUBKEYS_PRIMARY, SUBKEYS, SUBKEYS_SIGNATURE).unwrap();
    let SignatureCheck::Good { key } = check else {
        panic!("{check:?}");
    };
    assert_eq!(key.to_string(), SUBKEYS_PRIMARY);
}

#[test]
fn a_subkey_that_may_not_sign_does_not_count() {
    let asc = forged(
        SUBKEYS_SIGNATURE,
        &bytes_of(SIGNING_SUBKEY),
        &bytes_of(OTHER_SUBKEY),
    );
    assert_eq!(
        why_wrong(SUBKEYS_PRIMARY, SUBKEYS, &asc),
        "it was made neither by the key nor by its signing subkeys"
    );
}

#[test]
fn a_subkey_that_was_revoked_does_not_count() {
    assert_eq!(
        why_wrong(SUBKEYS_PRIMARY, SUBKEYS_REVOKED, SUBKEYS_SIGNATURE),
        "it was made neither by the key nor by its signing subkeys"
    );
}

#[test]
fn a_key_that_was_revoked_does_not_count() {
    assert_eq!(
        why_wrong(REVOKED_PRIMARY, REVOKED, REVOKED_SIGNATURE),
        "its key is revoked"
    );
}

#[test]
fn a_signature_with_an_insecure_digest_does_not_count() {
    let key = SigningKey::new();
    // In version 4, a file signature, EdDSA, replace SHA-256 with SHA-1.
    let asc = forged(&key.sign(ARCHIVE), &[4, 0, 22, 8], &[4, 0, 22, 2]);
    assert_eq!(
        why_wrong(&key.fingerprint(), &key.certificate(), &asc),
        "it uses an insecure digest algorithm"
    );
}

#[test]
fn a_signature_that_names_only_a_key_id_is_verified_with_that_key() {
    let key = SigningKey::new();
    // Turn the fingerprint's subpacket (33) into an experimental one (100), which is ignored.
    let fingerprint = bytes_of(&key.fingerprint());
    let named = [&[33, 4], fingerprint.as_slice()].concat();
    let hidden = [&[100, 4], fingerprint.as_slice()].concat();
    let asc = forged(&key.sign(ARCHIVE), &named, &hidden);
    // The key is found by its key ID; verification detects the manipulation.
    let error = checked(&key.fingerprint(), &key.certificate(), &asc).unwrap_err();
    assert!(matches!(error, SignatureError::Wrong { .. }), "{error:?}");
}

#[test]
fn a_signature_by_the_compromised_key_proves_nothing() {
    let key = SigningKey::new();
    let asc = forged(
        &key.sign(ARCHIVE),
        &bytes_of(&key.fingerprint()),
        &bytes_of(JULIA_KEY_2015),
    );
    let check = checked(&key.fingerprint(), &key.certificate(), &asc).unwrap();
    assert_eq!(
        check,
        SignatureCheck::NotChecked {
            reason: "this release was signed with a key that is no longer trusted".to_owned()
        }
    );
    let (_folder, mut signatures) = trusting(&key.fingerprint(), &key.certificate());
    signatures.required = true;
    let plan = signatures.plan("julia.tar.gz", &old_release(), Some(&asc));
    assert!(matches!(plan, Err(SignatureError::Missing { .. })));
}

#[test]
fn a_keyring_without_a_certificate_is_refused() {
    let key = SigningKey::new();
    for content in ["", "no key", &key.sign(ARCHIVE)] {
        let (_folder, signatures) = trusting(&key.fingerprint(), content);
        let error = signatures.certificates().unwrap_err();
        assert!(
            matches!(error, SignatureError::Keyring { .. }),
            "{content}: {error:?}"
        );
        assert_eq!(error.class(), Class::Usage);
        assert!(error.to_string().contains("key.asc"), "{error}");
        assert!(error.hints()[0].contains("gpg --export"));
    }
    let (folder, signatures) = trusting(&key.fingerprint(), "");
    drop(folder);
    let error = signatures.certificates().unwrap_err();
    assert!(matches!(error, SignatureError::Keyring { .. }), "{error:?}");
}

#[test]
fn every_refusal_has_a_hint() {
    let what = || "julia.tar.gz".to_owned();
    for (error, hint) in [
        (
            SignatureError::Wrong {
                what: what(),
                source: "no".into(),
            },
            "do not use this mirror",
        ),
        (
            SignatureError::Unreadable {
                what: what(),
                source: "no".into(),
            },
            "do not use this mirror",
        ),
        (
            SignatureError::OtherKey {
                what: what(),
                found: String::new(),
                expected: String::new(),
            },
            "--trusted-key FINGERPRINT --keyring FILE",
        ),
        (
            SignatureError::Missing {
                what: what(),
                reason: String::new(),
            },
            "leave out `--require-signature`",
        ),
    ] {
        assert_eq!(error.class(), Class::Acquire, "{error}");
        assert!(error.to_string().contains("julia.tar.gz"), "{error}");
        assert!(error.hints()[0].contains(hint), "{:?}", error.hints());
    }
}

const YEAR: u32 = 365 * 24 * 60 * 60;

/// Returns the start of this year in the simplified calendar of these tests, in seconds since 1970.
const fn year(year: u32) -> u32 {
    (year - 1970) * YEAR
}

fn of(key: &SigningKey, made: u32, expires: Option<u32>) -> Result<SignatureCheck, SignatureError> {
    let asc = key.sign_at(ARCHIVE, made, expires);
    checked(&key.fingerprint(), &key.certificate(), &asc)
}

fn refused(key: &SigningKey, made: u32, expires: Option<u32>) -> String {
    let asc = key.sign_at(ARCHIVE, made, expires);
    why_wrong(&key.fingerprint(), &key.certificate(), &asc)
}

#[test]
fn a_signature_by_a_key_that_had_expired_is_refused() {
    let key = SigningKey::with_times(year(2018), &[(year(2018), Some(2 * YEAR))]);
    let why = refused(&key, year(2025), None);
    assert!(why.starts_with("its key had expired"), "{why}");
    let why = refused(&key, year(2020), None);
    assert!(why.starts_with("its key had expired"), "{why}");
    // A signature made while the key was valid stays valid.
    of(&key, year(2019), None).unwrap();
    of(&key, year(2020) - 1, None).unwrap();
}

#[test]
fn the_newest_self_signature_decides_the_lifetime_of_a_key() {
    let first = (year(2018), Some(2 * YEAR));
    for longer in [Some(9 * YEAR), None, Some(0)] {
        let key = SigningKey::with_times(year(2018), &[(year(2019), longer), first]);
        of(&key, year(2025), None).unwrap();
    }
    let key = SigningKey::with_times(year(2018), &[first, (year(2019), Some(YEAR))]);
    refused(&key, year(2019) + YEAR / 2, None);
    // A self-signature dated in the future does not extend the key's life.
    let key = SigningKey::with_times(year(2018), &[first, (year(2100), None)]);
    refused(&key, year(2025), None);
}

#[test]
fn a_signature_from_the_future_or_from_before_its_key_is_refused() {
    let key = SigningKey::with_times(year(2018), &[(year(2018), None)]);
    let why = refused(&key, year(2100), None);
    assert!(why.contains("days in the future"), "{why}");
    let now = u32::try_from(seconds_now()).unwrap();
    refused(&key, now + 2 * 24 * 60 * 60, None);
    // Clocks may differ.
    of(&key, now + 60, None).unwrap();
    let why = refused(&key, year(2017), None);
    assert_eq!(why, "it was created before its key");
}

#[test]
fn a_signature_that_expired_is_refused() {
    let key = SigningKey::with_times(year(2018), &[(year(2018), None)]);
    let why = refused(&key, year(2019), Some(YEAR));
    assert!(why.starts_with("it expired"), "{why}");
    for good in [None, Some(0), Some(100 * YEAR)] {
        of(&key, year(2019), good).unwrap();
    }
}
