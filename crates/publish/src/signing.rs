//! Signatures of releases: a publisher signs with a secret key, and everybody who has the public
//! key can verify. Keys and signatures have minisign's format, so that minisign itself verifies
//! what Sysforge signs.
//!
//! Two files are signed: the release index, which names every archive and receipt by digest, and
//! the provenance, as a DSSE envelope. Ed25519 is deterministic and no time is signed, so the same
//! release gets the same signature again, and a second run finds nothing to do.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use blake2::{Blake2b512, Digest};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sysforge_plan::Sha256;
use sysforge_plan::text::{Repository, shortened};
use url::Url;

use crate::Secret;

/// The suffix of a signature's file name.
pub const SIGNATURE_END: &str = ".minisig";

/// The media type of an in-toto statement in an envelope.
pub const IN_TOTO: &str = "application/vnd.in-toto+json";

/// An error of a key or a signature.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages describe the variants")]
pub enum SigningError {
    #[error("could not read the key {}", .path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("could not use the secret key {}: {why}", .path.display())]
    SecretKey { path: PathBuf, why: String },
    #[error("`{0}` is not a minisign public key")]
    PublicKey(String),
    #[error("{} does not contain a minisign public key", .0.display())]
    PublicKeyFile(PathBuf),
    #[error("`{0}` is not signed")]
    Missing(String),
    #[error("the signature of `{0}` does not say which repository it is for")]
    Unnamed(String),
    #[error("`{name}` is signed for {found}, and not for {expected}")]
    Elsewhere {
        name: String,
        found: String,
        expected: String,
    },
    #[error("the signature of `{name}` is not good: {why}")]
    Bad { name: String, why: String },
}

/// A secret key.
pub struct Signer {
    key: SigningKey,
    id: [u8; 8],
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.public())
    }
}

impl Signer {
    /// Reads a secret key that `minisign -G` made. `password` decrypts it; keys made with `-W` have
    /// none.
    ///
    /// # Errors
    ///
    /// If the file is not such a key, or the password is wrong.
    pub fn read(path: &Path, password: Option<&Secret>) -> Result<Self, SigningError> {
        let unusable = |why: &str| SigningError::SecretKey {
            path: path.to_owned(),
            why: why.to_owned(),
        };
        let text = sysforge_files::read_text_named_by_user(path).map_err(|source| {
            SigningError::Unreadable {
                path: path.to_owned(),
                source,
            }
        })?;
        let line = last_line(&text);
        let Some(sealed) = BASE64.decode(line).ok().filter(|bytes| is_secret(bytes)) else {
            return Err(unusable(match text.parse::<PublicKey>() {
                Ok(_) => "it is a public key",
                Err(_) => "it is not a minisign key, or is cut short",
            }));
        };
        let bytes = match sealed.get(2..4) {
            // Not encrypted. Its checksum is empty if `minisign` made it, which the library does
            // not accept; that both halves match is checked below in any case.
            Some([0, 0]) => sealed,
            _ => {
                let password = password.ok_or_else(|| unusable("it is encrypted"))?;
                let sealed = minisign::SecretKeyBox::from_string(&format!("{UNTRUSTED}\n{line}"));
                sealed
                    .and_then(|sealed| sealed.into_secret_key(Some(password.reveal().to_owned())))
                    .map_err(|_| unusable("the password is wrong, or the file is damaged"))?
                    .to_bytes()
            }
        };
        Self::of_bytes(&bytes).ok_or_else(|| unusable("its two halves do not match: it is damaged"))
    }

    /// Parses a decrypted key: algorithms (3 × 2 bytes), salt (32), limits of the key derivation (2
    /// × 8), identifier (8), seed (32), and values derived from the seed.
    fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let id = bytes.get(54..62)?.try_into().ok()?;
        let seed: [u8; 32] = bytes.get(62..94)?.try_into().ok()?;
        let key = SigningKey::from_bytes(&seed);
        let public: &[u8] = bytes.get(94..126)?;
        (key.verifying_key().as_bytes() == public).then_some(Self { key, id })
    }

    /// Returns the public key.
    pub fn public(&self) -> PublicKey {
        PublicKey {
            key: self.key.verifying_key(),
            id: self.id,
        }
    }

    /// Returns a detached signature in minisign's format (hashed, `ED`).
    pub(crate) fn sign(&self, bytes: &[u8], comment: &str) -> String {
        let signature = self.key.sign(&Blake2b512::digest(bytes)).to_bytes();
        let whole = self
            .key
            .sign(&[&signature, comment.as_bytes()].concat())
            .to_bytes();
        let first = [b"ED".as_slice(), &self.id, &signature].concat();
        format!(
            "untrusted comment: signature by sysforge, with the key {}\n{}\n\
             trusted comment: {comment}\n{}\n",
            self.public(),
            BASE64.encode(first),
            BASE64.encode(whole)
        )
    }

    /// Returns an in-toto statement in a signed envelope (DSSE 1.0), on one line.
    pub(crate) fn envelope(&self, statement: &str) -> String {
        let signature = self.key.sign(&to_be_signed(IN_TOTO, statement.as_bytes()));
        let envelope = json!({
            "payloadType": IN_TOTO,
            "payload": BASE64.encode(statement),
            "signatures": [{
                "keyid": self.public().id(),
                "sig": BASE64.encode(signature.to_bytes()),
            }],
        });
        format!("{envelope}\n")
    }
}

/// Returns the bytes that an envelope's signature covers (DSSE's "pre-authentication encoding").
pub(crate) fn to_be_signed(kind: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

/// The first line of a key's file, which contains a comment.
const UNTRUSTED: &str = "untrusted comment:";

/// Returns the line of a key's file that contains the key.
fn last_line(text: &str) -> &str {
    text.trim().lines().last().unwrap_or_default().trim()
}

/// Whether these are the bytes of a secret key, encrypted or not.
fn is_secret(bytes: &[u8]) -> bool {
    bytes.len() == SECRET_LENGTH && bytes.starts_with(b"Ed")
}

/// Length of a public key in characters.
const PUBLIC_LENGTH: usize = 56;

/// Length of a secret key in bytes; see [`Signer::of_bytes`].
const SECRET_LENGTH: usize = 158;

/// A public key, as minisign writes it: `RW…`, 56 characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    key: VerifyingKey,
    id: [u8; 8],
}

impl FromStr for PublicKey {
    type Err = SigningError;

    /// Parses a key, or the text of a file that contains one.
    fn from_str(text: &str) -> Result<Self, SigningError> {
        let line = last_line(text);
        let read = || {
            let bytes = BASE64.decode(line).ok()?;
            let rest = bytes.strip_prefix(b"Ed")?;
            let (id, key) = rest.split_first_chunk::<8>()?;
            let key = VerifyingKey::from_bytes(key.try_into().ok()?).ok()?;
            Some(Self { key, id: *id })
        };
        // A secret key that was named by mistake begins with its parameters: the secret itself comes
        // after the characters that are shown.
        read().ok_or_else(|| SigningError::PublicKey(shortened(line, PUBLIC_LENGTH)))
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [b"Ed".as_slice(), &self.id, self.key.as_bytes()].concat();
        f.write_str(&BASE64.encode(bytes))
    }
}

impl PublicKey {
    /// Returns the key's identifier, as minisign prints it.
    pub fn id(&self) -> String {
        format!("{:016X}", u64::from_le_bytes(self.id))
    }

    /// Verifies the detached signature of a file of the release `tag`, and returns the identity it
    /// was signed for.
    pub(crate) fn verify(
        &self,
        name: &str,
        tag: &str,
        bytes: &[u8],
        signature: &str,
    ) -> Result<Identity, SigningError> {
        let wrong = |error| unusable(name, error);
        let key = minisign_verify::PublicKey::from_base64(&self.to_string()).map_err(wrong)?;
        let decoded = minisign_verify::Signature::decode(signature).map_err(wrong)?;
        key.verify(bytes, &decoded, false).map_err(wrong)?;
        signed_for(name, tag, bytes, signature)
    }

    /// Verifies an envelope, and returns the statement in it.
    pub(crate) fn open(&self, name: &str, envelope: &[u8]) -> Result<Vec<u8>, SigningError> {
        let (payload, envelope) = unwrapped(name, envelope)?;
        let signed = to_be_signed(IN_TOTO, &payload);
        let signatures = envelope["signatures"].as_array();
        let good = signatures.is_some_and(|all| {
            all.iter().any(|signature| {
                signature["sig"]
                    .as_str()
                    .and_then(|text| BASE64.decode(text).ok())
                    .and_then(|bytes| Signature::from_slice(&bytes).ok())
                    .is_some_and(|signature| self.key.verify_strict(&signed, &signature).is_ok())
            })
        });
        match good {
            true => Ok(payload),
            false => Err(bad(name, "no signature in it is by this key")),
        }
    }
}

fn bad(name: &str, why: &str) -> SigningError {
    SigningError::Bad {
        name: name.to_owned(),
        why: why.to_owned(),
    }
}

fn unusable(name: &str, error: minisign_verify::Error) -> SigningError {
    match error {
        minisign_verify::Error::InvalidEncoding => bad(name, "it is not a minisign signature"),
        minisign_verify::Error::InvalidSignature => bad(name, "it is not that of this file"),
        minisign_verify::Error::UnexpectedKeyId => bad(name, "it was made with another key"),
        error => bad(name, &error.to_string()),
    }
}

/// Returns the identity that the signature of a file of the release `tag` is for. Does not verify
/// who made it.
pub(crate) fn signed_for(
    name: &str,
    tag: &str,
    bytes: &[u8],
    signature: &str,
) -> Result<Identity, SigningError> {
    let signature = minisign_verify::Signature::decode(signature);
    let signature = signature.map_err(|error| unusable(name, error))?;
    // An index of another release by the same publisher must not replace this one.
    let comment = signature.trusted_comment();
    if comment.starts_with(OLD_STATEMENT) {
        return Err(SigningError::Unnamed(name.to_owned()));
    }
    let expected = (tag, Sha256::of(bytes), name);
    Statement::read(comment)
        .filter(|signed| (signed.tag, signed.sha256, signed.file) == expected)
        .map(|signed| signed.identity)
        .ok_or_else(|| bad(name, &format!("it is for `{}`", shortened(comment, 200))))
}

/// Returns the statement in an envelope. Does not verify who made it.
pub(crate) fn statement_in(name: &str, envelope: &[u8]) -> Result<Vec<u8>, SigningError> {
    unwrapped(name, envelope).map(|(statement, _)| statement)
}

/// Returns the statement in an envelope, and the envelope.
fn unwrapped(name: &str, envelope: &[u8]) -> Result<(Vec<u8>, Value), SigningError> {
    let envelope: Value =
        serde_json::from_slice(envelope).map_err(|_| bad(name, "it is no envelope"))?;
    let payload = envelope["payload"]
        .as_str()
        .and_then(|text| BASE64.decode(text).ok())
        .filter(|_| envelope["payloadType"] == IN_TOTO)
        .ok_or_else(|| bad(name, "it is no envelope of a statement"))?;
    Ok((payload, envelope))
}

/// The repository or site that a release belongs to. A signature names it in addition to the tag
/// and the digest, so that a release of one repository cannot replace that of another with the same
/// key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<Repository>,
    /// The URL of the site that has the release, with a trailing `/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<Url>,
}

impl Identity {
    /// Whether both name the same repository. Names of repositories are case-insensitive.
    pub fn same_repository(&self, other: &Self) -> bool {
        match (&self.repository, &other.repository) {
            (Some(one), Some(two)) => one.eq_ignore_ascii_case(two),
            (None, None) => true,
            _ => false,
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.repository, &self.site) {
            (Some(repository), None) => f.write_str(repository),
            (None, Some(site)) => f.write_str(site.as_str()),
            (Some(repository), Some(site)) => write!(f, "{repository} at {site}"),
            (None, None) => f.write_str("no repository"),
        }
    }
}

/// The prefix of the signed statement, since it names the repository and the digest.
const STATEMENT: &str = "sysforge-release/2";

/// The prefix of older statements.
const OLD_STATEMENT: &str = "sysforge release:";

/// Returns the statement of a signature, as one line; minisign calls it the trusted comment, and
/// signs it too.
pub(crate) fn statement(identity: &Identity, tag: &str, name: &str, bytes: &[u8]) -> String {
    let or_none = |text: Option<&str>| text.unwrap_or("-").to_owned();
    let repository = or_none(identity.repository.as_deref());
    let site = or_none(identity.site.as_ref().map(Url::as_str));
    let sha256 = Sha256::of(bytes);
    format!(
        "{STATEMENT} repository:{repository} site:{site} release:{tag} sha256:{sha256} file:{name}"
    )
}

/// The statement of a signature.
struct Statement<'a> {
    identity: Identity,
    tag: &'a str,
    sha256: Sha256,
    file: &'a str,
}

impl<'a> Statement<'a> {
    /// Parses the line that [`statement`] writes; no part of it contains a space.
    fn read(comment: &'a str) -> Option<Self> {
        let parts: Vec<&str> = comment.split(' ').collect();
        let [STATEMENT, repository, site, tag, sha256, file] = parts[..] else {
            return None;
        };
        let named = |text: &'a str| (text != "-").then_some(text);
        let repository = named(repository.strip_prefix("repository:")?);
        let site = named(site.strip_prefix("site:")?);
        Some(Self {
            identity: Identity {
                repository: match repository {
                    Some(text) => Some(Repository::new(text).ok()?),
                    None => None,
                },
                site: match site {
                    // Without the slash, it would also stand for sites whose names begin with this one's.
                    Some(text) if text.ends_with('/') => Some(text.parse().ok()?),
                    Some(_) => return None,
                    None => None,
                },
            },
            tag: tag.strip_prefix("release:")?,
            sha256: sha256.strip_prefix("sha256:")?.parse().ok()?,
            file: file.strip_prefix("file:")?,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A test key, derived from a seed.
    pub(crate) fn signer(seed: u8) -> Signer {
        Signer {
            key: SigningKey::from_bytes(&[seed; 32]),
            id: [seed; 8],
        }
    }

    #[test]
    fn the_page_about_the_index_shows_the_statement_of_a_signature() {
        let page = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../docs/src/reference/release-index.md"
        );
        let page = std::fs::read_to_string(page).unwrap();
        let shown = page.split("the trusted comment is `").nth(1).unwrap();
        let shown = shown.split_once('`').unwrap().0;
        let identity = Identity {
            repository: Some(Repository::new("OWNER/NAME").unwrap()),
            site: Some("https://example.org/s/".parse().unwrap()),
        };
        let written = statement(&identity, "TAG", "sysforge-release.json", b"")
            .replace("https://example.org/s/", "URL")
            .replace(&Sha256::of("").to_string(), "DIGEST");
        assert_eq!(shown, written);
    }

    #[test]
    fn what_is_signed_is_verified_and_nothing_else_is() {
        let (one, two) = (signer(1), signer(2));
        let identity = Identity {
            repository: Some(Repository::new("octo/images").unwrap()),
            site: Some("https://example.org/s/".parse().unwrap()),
        };
        let statement = statement(&identity, "v1", "a.json", b"index");
        let signature = one.sign(b"index", &statement);
        assert_eq!(signature, one.sign(b"index", &statement));
        let key = one.public();
        let signed_for = key.verify("a.json", "v1", b"index", &signature).unwrap();
        assert_eq!(signed_for, identity);
        assert!(key.verify("a.json", "v1", b"other", &signature).is_err());
        assert!(key.verify("a.json", "v2", b"index", &signature).is_err());
        assert!(key.verify("b.json", "v1", b"index", &signature).is_err());
        assert!(
            two.public()
                .verify("a.json", "v1", b"index", &signature)
                .is_err()
        );
        assert!(key.verify("a.json", "v1", b"index", "rubbish").is_err());
    }

    #[test]
    fn a_signature_whose_statement_does_not_fit_is_refused() {
        let one = signer(1);
        let whole = statement(&Identity::default(), "v1", "a.json", b"index");
        assert!(whole.contains("repository:- site:- release:v1 sha256:"));
        let verify = |statement: &str| {
            let signature = one.sign(b"index", statement);
            one.public().verify("a.json", "v1", b"index", &signature)
        };
        assert_eq!(verify(&whole).unwrap(), Identity::default());
        let old = verify("sysforge release:v1 file:a.json").unwrap_err();
        assert!(matches!(old, SigningError::Unnamed(_)), "{old}");
        let other = Sha256::of(b"other").to_string();
        for changed in [
            whole.replace("release:v1", "release:v2"),
            whole.replace("a.json", "b.json"),
            whole.replace(&Sha256::of(b"index").to_string(), &other),
            whole.replace("repository:-", "repository:../.."),
            whole.replace("repository:- ", ""),
            whole.replace("site:-", "site:nowhere"),
            whole.replace("site:-", "site:https://example.org/s"),
            format!("{whole} more"),
            String::new(),
        ] {
            let error = verify(&changed).unwrap_err();
            assert!(
                matches!(error, SigningError::Bad { .. }),
                "{changed}: {error}"
            );
        }
    }

    #[test]
    fn an_envelope_opens_with_the_right_key_alone() {
        let (one, two) = (signer(1), signer(2));
        let envelope = one.envelope("{\"a\": 1}");
        assert_eq!(
            one.public().open("p", envelope.as_bytes()).unwrap(),
            b"{\"a\": 1}"
        );
        assert!(two.public().open("p", envelope.as_bytes()).is_err());
        let altered = envelope.replace(&BASE64.encode("{\"a\": 1}"), &BASE64.encode("{\"a\": 2}"));
        assert!(one.public().open("p", altered.as_bytes()).is_err());
        assert!(one.public().open("p", b"{}").is_err());
    }

    #[test]
    fn public_keys_read_back_alone_and_from_their_file() {
        let key = signer(3).public();
        let text = key.to_string();
        assert_eq!(text.len(), 56);
        assert!(text.starts_with("RW"));
        assert_eq!(text.parse::<PublicKey>().unwrap(), key);
        let file = format!(
            "untrusted comment: minisign public key {}\n{text}\n",
            key.id()
        );
        assert_eq!(file.parse::<PublicKey>().unwrap(), key);
        assert!("RWnonsense".parse::<PublicKey>().is_err());
        assert!("".parse::<PublicKey>().is_err());
    }

    #[test]
    fn secret_keys_of_minisign_are_read_with_and_without_a_password() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let pair = minisign::KeyPair::generate_unencrypted_keypair().unwrap();
        std::fs::write(&path, pair.sk.to_box(None).unwrap().to_string()).unwrap();
        let signer = Signer::read(&path, None).unwrap();
        assert_eq!(signer.public().to_string(), pair.pk.to_base64());
        assert!(!format!("{signer:?}").contains(&format!("{:?}", signer.key.to_bytes())));

        let password = "correct horse".to_owned();
        let pair = minisign::KeyPair::generate_encrypted_keypair(Some(password.clone())).unwrap();
        std::fs::write(&path, pair.sk.to_box(None).unwrap().to_string()).unwrap();
        let signer = Signer::read(&path, Some(&Secret::new(&password))).unwrap();
        assert_eq!(signer.public().to_string(), pair.pk.to_base64());
        for (given, words) in [
            (None, "it is encrypted"),
            (Some(&Secret::new("wrong")), "the password is wrong"),
        ] {
            let error = Signer::read(&path, given).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
        // As `minisign -G -W` writes it: without a checksum.
        let other = self::signer(4);
        let bytes = [
            &b"Ed\0\0B2"[..],
            &[0; 48],
            &[4; 8],
            &[4; 32],
            &other.key.verifying_key().to_bytes(),
            &[0; 32],
        ];
        let text = BASE64.encode(bytes.concat());
        std::fs::write(&path, format!("untrusted comment: x\n{text}\n")).unwrap();
        let read = Signer::read(&path, None).unwrap();
        assert_eq!(read.public(), other.public());
    }

    #[test]
    fn a_file_that_is_no_secret_key_is_refused_with_the_reason() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let pair = minisign::KeyPair::generate_unencrypted_keypair().unwrap();
        let secret = pair.sk.to_box(None).unwrap().to_string();
        let public = pair.pk.to_box().unwrap().to_string();
        let mut damaged = BASE64.decode(last_line(&secret)).unwrap();
        damaged[70] ^= 1;
        let is_no_key = "it is not a minisign key, or is cut short";
        for (text, words) in [
            ("", is_no_key),
            ("rubbish", is_no_key),
            ("ssh-ed25519 AAAA me@example.org", is_no_key),
            (
                "-----BEGIN PRIVATE KEY-----\nMC4CAQAw\n-----END PRIVATE KEY-----",
                is_no_key,
            ),
            (&secret[..secret.len() - 30], is_no_key),
            (&public, "it is a public key"),
            (&BASE64.encode(damaged), "it is damaged"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = Signer::read(&path, None).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn a_secret_key_that_was_named_as_the_public_one_does_not_show() {
        let pair = minisign::KeyPair::generate_unencrypted_keypair().unwrap();
        let secret = pair.sk.to_box(None).unwrap().to_string();
        let line = last_line(&secret);
        for text in [&*secret, line] {
            let error = text.parse::<PublicKey>().unwrap_err().to_string();
            // The seed begins at byte 62, which is in the character 82.
            assert!(error.contains("is not a minisign public key"), "{error}");
            assert!(!error.contains(&line[82..90]), "{error}");
        }
    }
}
