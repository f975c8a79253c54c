//! Verifies the OpenPGP signatures of releases. A signature is accepted if the table in
//! [`sysforge_plan::signing`] pins a key for the version, a certificate of that key is available,
//! and the signature is valid. The table decides which key; this module verifies.
//!
//! Julia's own key is built in (`keys/`; a test computes its fingerprint). Other keys, for example
//! of an in-house mirror, are passed as values.

use std::io::Read;
use std::path::PathBuf;

use pgp::composed::{Deserializable, DetachedSignature, SignedPublicKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Signature, SignatureType};
use pgp::types::KeyDetails;
use sysforge_plan::JuliaVersion;
use sysforge_plan::explain::{Class, Explain};
use sysforge_plan::signing::{Fingerprint, JULIA_KEY_2015, SignatureCheck, Trust};

/// The certificate of the key that has signed Julia's releases since 2026.
const JULIA_2026: &[u8] = include_bytes!("../keys/julia-releases-2026.asc");

/// The keys trusted in addition to the table's, and whether a signature is required.
#[derive(Debug, Clone, Default)]
pub struct Signatures {
    /// Whether to refuse a release without a valid signature.
    pub required: bool,
    /// Paths of files with additional certificates, armoured or binary.
    pub keyrings: Vec<PathBuf>,
    /// Fingerprints of keys trusted for every version, for mirrors that sign releases with their
    /// own key.
    pub trusted: Vec<Fingerprint>,
}

/// The error of the OpenPGP library.
type Source = Box<dyn std::error::Error + Send + Sync>;

/// A signature that was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages describe the variants")]
pub enum SignatureError {
    #[error("the signature of {what} is wrong")]
    Wrong {
        what: String,
        #[source]
        source: Source,
    },
    #[error("{what} is signed with the key {found}, but should be with {expected}")]
    OtherKey {
        what: String,
        found: String,
        expected: String,
    },
    #[error("the catalogue's signature of {what} cannot be read")]
    Unreadable {
        what: String,
        #[source]
        source: Source,
    },
    #[error("{what} has no signature that proves its origin: {reason}")]
    Missing { what: String, reason: String },
    #[error("`{}` does not contain a readable OpenPGP certificate", path.display())]
    Keyring {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

impl Explain for SignatureError {
    fn class(&self) -> Class {
        match self {
            Self::Keyring { .. } => Class::Usage,
            _ => Class::Acquire,
        }
    }

    fn hints(&self) -> Vec<String> {
        vec![
            match self {
                Self::Missing { .. } => {
                    "request a release that is signed with a trusted key (1.10.12, \
                     1.12.7, 1.13.0 or newer), or leave out `--require-signature`"
                }
                Self::Keyring { .. } => "give a file as `gpg --export --armor KEY` writes it",
                Self::OtherKey { .. } => {
                    "nothing was kept. On a mirror that signs with its own key, name that key: \
                     `--trusted-key FINGERPRINT --keyring FILE`"
                }
                _ => "nothing was kept; do not use this mirror until you know why",
            }
            .to_owned(),
        ]
    }
}

/// A signature to verify while the archive is read.
pub(crate) struct Pending {
    what: String,
    signature: DetachedSignature,
    certificate: SignedPublicKey,
    key: Fingerprint,
}

/// The decision about a release's signature.
pub(crate) enum Plan {
    /// Verify it.
    Check(Box<Pending>),
    /// Do not verify it, for this reason.
    Skip(SignatureCheck),
}

impl Signatures {
    /// Decides what to do about the signature `asc` of the archive `what`.
    pub(crate) fn plan(
        &self,
        what: &str,
        version: &JuliaVersion,
        asc: Option<&str>,
    ) -> Result<Plan, SignatureError> {
        let nothing = |reason: &str| {
            if self.required {
                return Err(SignatureError::Missing {
                    what: what.to_owned(),
                    reason: reason.to_owned(),
                });
            }
            Ok(Plan::Skip(SignatureCheck::NotChecked {
                reason: reason.to_owned(),
            }))
        };
        let pinned = match Trust::of(version) {
            Trust::Key(key) => Some(key),
            Trust::DigestOnly => None,
        };
        if pinned.is_none() && self.trusted.is_empty() {
            return nothing("this release was signed with a key that is no longer trusted");
        }
        let Some(asc) = asc else {
            return nothing("the catalogue has no signature of it");
        };
        let unreadable = |source: pgp::errors::Error| SignatureError::Unreadable {
            what: what.to_owned(),
            source: source.into(),
        };
        let (signature, _) = DetachedSignature::from_string(asc).map_err(unreadable)?;
        let issuers = issuers(&signature);
        let pinned_keys = pinned.iter().map(|key| (*key).to_owned());
        let accepted: Vec<String> = pinned_keys
            .chain(self.trusted.iter().map(ToString::to_string))
            .collect();
        for certificate in self.certificates()? {
            let primary = certificate
                .primary_key
                .fingerprint()
                .to_string()
                .to_uppercase();
            let is_issuer = || {
                let subkeys = certificate.public_subkeys.iter();
                std::iter::once(primary.clone())
                    .chain(subkeys.map(|key| key.key.fingerprint().to_string().to_uppercase()))
                    .any(|key| issuers.iter().any(|signer| key.ends_with(signer)))
            };
            if accepted.contains(&primary)
                && is_issuer()
                && let Ok(key) = primary.parse()
            {
                return Ok(Plan::Check(Box::new(Pending {
                    what: what.to_owned(),
                    signature,
                    certificate,
                    key,
                })));
            }
        }
        let old_key = issuers
            .iter()
            .any(|signer| JULIA_KEY_2015.ends_with(signer));
        match pinned {
            // Not the pinned key, although its certificate is always available.
            Some(expected) => Err(SignatureError::OtherKey {
                what: what.to_owned(),
                found: issuers.join(", "),
                expected: expected.to_owned(),
            }),
            None if old_key => {
                nothing("this release was signed with a key that is no longer trusted")
            }
            None => nothing("no certificate of the key that signed it is available"),
        }
    }

    fn certificates(&self) -> Result<Vec<SignedPublicKey>, SignatureError> {
        let mut all: Vec<_> = SignedPublicKey::from_reader_many(JULIA_2026)
            .into_iter()
            .flat_map(|(keys, _)| keys.flatten())
            .collect();
        for path in &self.keyrings {
            let unusable = |source| SignatureError::Keyring {
                path: path.clone(),
                source,
            };
            let bytes = sysforge_files::read_named_by_user(path).map_err(unusable)?;
            let (keys, _) = SignedPublicKey::from_reader_many(bytes.as_slice())
                .map_err(|error| unusable(std::io::Error::other(error)))?;
            let before = all.len();
            all.extend(keys.flatten());
            if all.len() == before {
                return Err(unusable(std::io::Error::other("it contains none")));
            }
        }
        Ok(all)
    }
}

/// Returns the issuers named by a signature: upper-case fingerprints, or their last digits (key
/// IDs).
fn issuers(signature: &DetachedSignature) -> Vec<String> {
    let signature = &signature.signature;
    let fingerprints = signature.issuer_fingerprint().into_iter();
    let mut issuers: Vec<String> = fingerprints
        .map(|fingerprint| fingerprint.to_string().to_uppercase())
        .collect();
    if issuers.is_empty() {
        let ids = signature.issuer_key_id().into_iter();
        issuers.extend(ids.map(|id| id.to_string().to_uppercase()));
    }
    issuers
}

impl Pending {
    /// Reads the archive to its end and verifies the signature of its bytes.
    pub(crate) fn check(self, archive: impl Read) -> Result<SignatureCheck, SignatureError> {
        let wrong = |source: Source| SignatureError::Wrong {
            what: self.what.clone(),
            source,
        };
        let signature = &self.signature.signature;
        // A text signature ignores differences in line endings, and an archive contains such bytes
        // by chance.
        if signature.typ() != Some(SignatureType::Binary) {
            return Err(wrong("it is not the signature of a file's bytes".into()));
        }
        // Attackers can construct collisions of these digests.
        if matches!(
            signature.hash_alg(),
            None | Some(HashAlgorithm::Md5 | HashAlgorithm::Sha1 | HashAlgorithm::Ripemd160)
        ) {
            return Err(wrong("it uses an insecure digest algorithm".into()));
        }
        // The primary key is pinned; a subkey counts if the primary key has certified it.
        self.certificate
            .verify_bindings()
            .map_err(|error| wrong(error.into()))?;
        if !self.certificate.details.revocation_signatures.is_empty() {
            return Err(wrong("its key is revoked".into()));
        }
        let signer = self.signer().ok_or_else(|| {
            wrong("it was made neither by the key nor by its signing subkeys".into())
        })?;
        self.check_times(&signer, seconds_now())
            .map_err(|why| wrong(why.into()))?;
        match signer {
            Signer::Primary => signature.verify(&self.certificate.primary_key, archive),
            Signer::Subkey(index) => {
                signature.verify(&self.certificate.public_subkeys[index].key, archive)
            }
        }
        .map_err(|error| wrong(error.into()))?;
        Ok(SignatureCheck::Good { key: self.key })
    }

    /// Checks that the key was valid when the signature was made, and that the signature is valid
    /// at `now` (seconds since 1970).
    fn check_times(&self, signer: &Signer, now: u64) -> Result<(), String> {
        let signature = &self.signature.signature;
        let made = signature
            .created()
            .map(|at| u64::from(at.as_secs()))
            .ok_or("it has no creation time")?;
        if made > now + CLOCK_TOLERANCE {
            return Err(format!(
                "its creation time is {} days in the future",
                (made - now) / DAY
            ));
        }
        let expires = signature.signature_expiration_time();
        if let Some(after) = expires.map(|after| u64::from(after.as_secs()))
            && after != 0
            && made + after <= now
        {
            return Err(format!(
                "it expired {} days ago",
                (now - made - after) / DAY
            ));
        }
        let primary = &self.certificate.primary_key;
        let details = &self.certificate.details;
        let certified = details.users.iter().flat_map(|user| &user.signatures);
        let about_primary = newest(details.direct_signatures.iter(), now)
            .filter(|direct| direct.key_expiration_time().is_some())
            .or_else(|| newest(certified, now));
        let mut keys = vec![(primary.created_at(), about_primary)];
        if let Signer::Subkey(index) = signer {
            let subkey = &self.certificate.public_subkeys[*index];
            keys.push((
                subkey.key.created_at(),
                newest(subkey.signatures.iter(), now),
            ));
        }
        for (created, about) in keys {
            let created = u64::from(created.as_secs());
            if made < created {
                return Err("it was created before its key".to_owned());
            }
            let about = about.ok_or("its key has no valid self-signature")?;
            let lifetime = about.key_expiration_time();
            if let Some(lifetime) = lifetime.map(|lifetime| u64::from(lifetime.as_secs()))
                && lifetime != 0
                && created + lifetime <= made
            {
                let days = (made - created - lifetime) / DAY;
                return Err(format!("its key had expired {days} days earlier"));
            }
        }
        Ok(())
    }

    fn signer(&self) -> Option<Signer> {
        let issuers = issuers(&self.signature);
        let made_by = |key: &dyn KeyDetails| {
            let fingerprint = key.fingerprint().to_string().to_uppercase();
            issuers.iter().any(|signer| fingerprint.ends_with(signer))
        };
        if made_by(&self.certificate.primary_key) {
            return Some(Signer::Primary);
        }
        let mut subkeys = self.certificate.public_subkeys.iter();
        subkeys
            .position(|subkey| {
                let revocation = Some(SignatureType::SubkeyRevocation);
                made_by(&subkey.key)
                    && subkey.signatures.iter().any(|s| s.key_flags().sign())
                    && !subkey.signatures.iter().any(|s| s.typ() == revocation)
            })
            .map(Signer::Subkey)
    }
}

/// How far a signature's time may be ahead of this machine's clock, in seconds.
const CLOCK_TOLERANCE: u64 = DAY;

/// A day in seconds.
const DAY: u64 = 24 * 60 * 60;

fn seconds_now() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// Returns the newest self-signature of a key; ignores those dated in the future. Revocations do
/// not count, because they do not state the key's lifetime.
fn newest<'a>(signatures: impl Iterator<Item = &'a Signature>, now: u64) -> Option<&'a Signature> {
    let made = |signature: &Signature| signature.created().map(|at| u64::from(at.as_secs()));
    signatures
        .filter(|signature| {
            !matches!(
                signature.typ(),
                Some(
                    SignatureType::CertRevocation
                        | SignatureType::KeyRevocation
                        | SignatureType::SubkeyRevocation
                )
            )
        })
        .filter(|signature| made(signature).is_some_and(|at| at <= now + CLOCK_TOLERANCE))
        .max_by_key(|signature| made(signature))
}

enum Signer {
    Primary,
    Subkey(usize),
}

#[cfg(test)]
mod tests;
