//! OpenPGP signatures of releases. A signature counts when the table in
//! [`sysforge_plan::signing`] pins a key for the version, a certificate of that key is at hand,
//! and the signature is good. The table decides; this module computes.
//!
//! Julia's own key is built in (`keys/`, whose fingerprint a test computes). Others, of an
//! in-house mirror for instance, come as values.

use std::io::Read;
use std::path::PathBuf;

use pgp::composed::{Deserializable, DetachedSignature, SignedPublicKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Signature, SignatureType};
use pgp::types::KeyDetails;
use sysforge_plan::JuliaVersion;
use sysforge_plan::explain::{Class, Explain};
use sysforge_plan::signing::{Fingerprint, JULIA_KEY_2015, SignatureCheck, Trust};

/// The certificate of the key that Julia's releases are signed with since 2026.
const JULIA_2026: &[u8] = include_bytes!("../keys/julia-releases-2026.asc");

/// Which keys count beside the table's, and how strict to be.
#[derive(Debug, Clone, Default)]
pub struct Signatures {
    /// Whether a release without a good signature is refused.
    pub required: bool,
    /// Files of further certificates, armoured or not.
    pub keyrings: Vec<PathBuf>,
    /// Keys that count for every version: of who signs the releases on one's own mirror.
    pub trusted: Vec<Fingerprint>,
}

/// What a reader of signatures says.
type Source = Box<dyn std::error::Error + Send + Sync>;

/// A signature that is not what it should be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// It does not fit the bytes.
    #[error("the signature of {what} is wrong")]
    Wrong {
        /// The archive.
        what: String,
        /// Why.
        #[source]
        source: Source,
    },
    /// Another key made it than the one that is pinned for this version.
    #[error("{what} is signed with the key {found}, but should be with {expected}")]
    OtherKey {
        /// The archive.
        what: String,
        /// Who made it.
        found: String,
        /// Who should have.
        expected: String,
    },
    /// It cannot be read.
    #[error("the catalogue's signature of {what} cannot be read")]
    Unreadable {
        /// The archive.
        what: String,
        /// Why.
        #[source]
        source: Source,
    },
    /// A good signature is required, and there is none.
    #[error("{what} has no signature that proves its origin: {reason}")]
    Missing {
        /// The archive.
        what: String,
        /// Why.
        reason: String,
    },
    /// A file of certificates cannot be used.
    #[error("`{}` holds no OpenPGP certificate that can be read", path.display())]
    Keyring {
        /// The file.
        path: PathBuf,
        /// Why.
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
                    "ask for a release that is signed with a key in good standing (1.10.12, \
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

/// A signature that is to be checked against the bytes as they come.
pub(crate) struct Pending {
    what: String,
    signature: DetachedSignature,
    certificate: SignedPublicKey,
    key: Fingerprint,
}

/// What is to be done about a release's signature.
pub(crate) enum Plan {
    /// Check it.
    Check(Box<Pending>),
    /// Nothing.
    Nothing(SignatureCheck),
}

impl Signatures {
    /// What is to be done about the signature `asc` of the archive `what`.
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
            Ok(Plan::Nothing(SignatureCheck::NotChecked {
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
        let makers = makers(&signature);
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
            let made_by_it = || {
                let subkeys = certificate.public_subkeys.iter();
                std::iter::once(primary.clone())
                    .chain(subkeys.map(|key| key.key.fingerprint().to_string().to_uppercase()))
                    .any(|key| makers.iter().any(|maker| key.ends_with(maker)))
            };
            if accepted.contains(&primary)
                && made_by_it()
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
        let old_key = makers.iter().any(|maker| JULIA_KEY_2015.ends_with(maker));
        match pinned {
            // Not the pinned key, though its certificate is always at hand.
            Some(expected) => Err(SignatureError::OtherKey {
                what: what.to_owned(),
                found: makers.join(", "),
                expected: expected.to_owned(),
            }),
            None if old_key => {
                nothing("this release was signed with a key that is no longer trusted")
            }
            None => nothing("no certificate of the key that signed it is at hand"),
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
            let bytes = std::fs::read(path).map_err(unusable)?;
            let (keys, _) = SignedPublicKey::from_reader_many(bytes.as_slice())
                .map_err(|error| unusable(std::io::Error::other(error)))?;
            let before = all.len();
            all.extend(keys.flatten());
            if all.len() == before {
                return Err(unusable(std::io::Error::other("it holds none")));
            }
        }
        Ok(all)
    }
}

/// Who says they made a signature: upper-case fingerprints, or their ends (key IDs).
fn makers(signature: &DetachedSignature) -> Vec<String> {
    let signature = &signature.signature;
    let fingerprints = signature.issuer_fingerprint().into_iter();
    let mut makers: Vec<String> = fingerprints
        .map(|fingerprint| fingerprint.to_string().to_uppercase())
        .collect();
    if makers.is_empty() {
        let ids = signature.issuer_key_id().into_iter();
        makers.extend(ids.map(|id| id.to_string().to_uppercase()));
    }
    makers
}

impl Pending {
    /// Reads the archive to its end, and tells whether the signature is of these bytes.
    pub(crate) fn check(self, archive: impl Read) -> Result<SignatureCheck, SignatureError> {
        let wrong = |source: Source| SignatureError::Wrong {
            what: self.what.clone(),
            source,
        };
        let signature = &self.signature.signature;
        // One of a text would not mind other line ends, of which an archive has many by chance.
        if signature.typ() != Some(SignatureType::Binary) {
            return Err(wrong("it is not the signature of a file's bytes".into()));
        }
        // Collisions of these can be made to order.
        if matches!(
            signature.hash_alg(),
            None | Some(HashAlgorithm::Md5 | HashAlgorithm::Sha1 | HashAlgorithm::Ripemd160)
        ) {
            return Err(wrong("its digest is a broken one".into()));
        }
        // The primary key is pinned; its subkeys count if it says so itself.
        self.certificate
            .verify_bindings()
            .map_err(|error| wrong(error.into()))?;
        if !self.certificate.details.revocation_signatures.is_empty() {
            return Err(wrong("its key is revoked".into()));
        }
        let maker = self
            .maker()
            .ok_or_else(|| wrong("it was made by none of the key's parts".into()))?;
        self.check_times(&maker, seconds_now())
            .map_err(|why| wrong(why.into()))?;
        match maker {
            Maker::Primary => signature.verify(&self.certificate.primary_key, archive),
            Maker::Subkey(index) => {
                signature.verify(&self.certificate.public_subkeys[index].key, archive)
            }
        }
        .map_err(|error| wrong(error.into()))?;
        Ok(SignatureCheck::Good { key: self.key })
    }

    /// Whether the times that the signature and the key state allow the one to be made by the
    /// other, and to count now (seconds since 1970).
    fn check_times(&self, maker: &Maker, now: u64) -> Result<(), String> {
        let signature = &self.signature.signature;
        let made = signature
            .created()
            .map(|at| u64::from(at.as_secs()))
            .ok_or("it does not say when it was made")?;
        if made > now + CLOCK_TOLERANCE {
            return Err(format!(
                "it says that it was made in {} days from now",
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
        if let Maker::Subkey(index) = maker {
            let subkey = &self.certificate.public_subkeys[*index];
            keys.push((
                subkey.key.created_at(),
                newest(subkey.signatures.iter(), now),
            ));
        }
        for (created, about) in keys {
            let created = u64::from(created.as_secs());
            if made < created {
                return Err("it says that it was made before its key".to_owned());
            }
            let about = about.ok_or("its key says nothing of itself that counts yet")?;
            let lifetime = about.key_expiration_time();
            if let Some(lifetime) = lifetime.map(|lifetime| u64::from(lifetime.as_secs()))
                && lifetime != 0
                && created + lifetime <= made
            {
                let days = (made - created - lifetime) / DAY;
                return Err(format!("its key had expired {days} days before"));
            }
        }
        Ok(())
    }

    fn maker(&self) -> Option<Maker> {
        let makers = makers(&self.signature);
        let made_by = |key: &dyn KeyDetails| {
            let fingerprint = key.fingerprint().to_string().to_uppercase();
            makers.iter().any(|maker| fingerprint.ends_with(maker))
        };
        if made_by(&self.certificate.primary_key) {
            return Some(Maker::Primary);
        }
        let mut subkeys = self.certificate.public_subkeys.iter();
        subkeys
            .position(|subkey| {
                let revocation = Some(SignatureType::SubkeyRevocation);
                made_by(&subkey.key)
                    && subkey.signatures.iter().any(|s| s.key_flags().sign())
                    && !subkey.signatures.iter().any(|s| s.typ() == revocation)
            })
            .map(Maker::Subkey)
    }
}

/// How far a signature may be ahead of the clock of this machine, in seconds.
const CLOCK_TOLERANCE: u64 = DAY;

/// A day, in seconds.
const DAY: u64 = 24 * 60 * 60;

fn seconds_now() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// The newest of what a key says of itself; what is dated in the future does not count yet. A
/// revocation says nothing of how long a key lives.
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

enum Maker {
    Primary,
    Subkey(usize),
}

#[cfg(test)]
mod tests;
