//! OpenPGP keys for tests, and signatures by them.

use pgp::composed::{ArmorOptions, DetachedSignature, KeyType, SecretKeyParamsBuilder};
use pgp::composed::{SignedPublicKey, SignedSecretKey, SubpacketConfig};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{SignatureConfig, SignatureType, Subpacket, SubpacketData};
use pgp::types::{Duration, KeyDetails, Password, Tag, Timestamp};
use rand::rngs::OsRng;

/// A key that can sign.
pub struct SigningKey(SignedSecretKey);

impl SigningKey {
    /// Creates a new key.
    pub fn new() -> Self {
        let parameters = SecretKeyParamsBuilder::default()
            .key_type(KeyType::Ed25519Legacy)
            .can_certify(true)
            .can_sign(true)
            .primary_user_id("Somebody <somebody@example.org>".into())
            .build()
            .unwrap();
        Self(parameters.generate(OsRng).unwrap())
    }

    /// Creates a key with creation time `created` (seconds since 1970). Each element of `certified`
    /// is a self-signature: its creation time, and the number of seconds after which the key
    /// expires.
    pub fn with_times(created: u32, certified: &[(u32, Option<u32>)]) -> Self {
        let parameters = SecretKeyParamsBuilder::default()
            .key_type(KeyType::Ed25519Legacy)
            .can_certify(true)
            .can_sign(true)
            .created_at(Timestamp::from_secs(created))
            .primary_user_id("Somebody <somebody@example.org>".into())
            .build()
            .unwrap();
        let mut key: SignedSecretKey = parameters.generate(OsRng).unwrap();
        let primary = &key.primary_key;
        let id = key.details.users[0].id.clone();
        let signatures = certified.iter().map(|(at, expires)| {
            let mut config =
                SignatureConfig::from_key(OsRng, primary, SignatureType::CertPositive).unwrap();
            let mut hashed = vec![
                SubpacketData::IssuerFingerprint(primary.fingerprint()),
                SubpacketData::SignatureCreationTime(Timestamp::from_secs(*at)),
            ];
            if let Some(expires) = expires {
                hashed.push(SubpacketData::KeyExpirationTime(Duration::from_secs(
                    *expires,
                )));
            }
            config.hashed_subpackets = packets(hashed);
            config
                .sign_certification(
                    primary,
                    primary.public_key(),
                    &Password::empty(),
                    Tag::UserId,
                    &id,
                )
                .unwrap()
        });
        let signatures = signatures.collect();
        key.details.users[0].signatures = signatures;
        Self(key)
    }

    /// A detached signature with creation time `created` (seconds since 1970) that expires after
    /// `expires` seconds.
    pub fn sign_at(&self, bytes: &[u8], created: u32, expires: Option<u32>) -> String {
        let mut hashed = vec![
            SubpacketData::IssuerFingerprint(self.0.primary_key.fingerprint()),
            SubpacketData::SignatureCreationTime(Timestamp::from_secs(created)),
        ];
        if let Some(expires) = expires {
            hashed.push(SubpacketData::SignatureExpirationTime(Duration::from_secs(
                expires,
            )));
        }
        armored(DetachedSignature::sign_binary_data_with_subpackets(
            OsRng,
            &self.0.primary_key,
            &Password::empty(),
            HashAlgorithm::Sha256,
            bytes,
            SubpacketConfig::UserDefined {
                hashed: packets(hashed),
                unhashed: Vec::new(),
            },
        ))
    }

    /// Its fingerprint.
    pub fn fingerprint(&self) -> String {
        self.0.primary_key.fingerprint().to_string().to_uppercase()
    }

    /// Its certificate, armoured.
    pub fn certificate(&self) -> String {
        let public: SignedPublicKey = self.0.to_public_key();
        public.to_armored_string(ArmorOptions::default()).unwrap()
    }

    /// A detached signature, armoured.
    pub fn sign(&self, bytes: &[u8]) -> String {
        armored(DetachedSignature::sign_binary_data(
            OsRng,
            &self.0.primary_key,
            &Password::empty(),
            HashAlgorithm::Sha256,
            bytes,
        ))
    }

    /// The same as a text signature, which ignores differences in line endings.
    pub fn sign_as_text(&self, bytes: &[u8]) -> String {
        armored(DetachedSignature::sign_text_data(
            OsRng,
            &self.0.primary_key,
            &Password::empty(),
            HashAlgorithm::Sha256,
            bytes,
        ))
    }
}

fn packets(data: Vec<SubpacketData>) -> Vec<Subpacket> {
    let packets = data.into_iter().map(Subpacket::regular);
    packets.collect::<Result<_, _>>().unwrap()
}

fn armored(signature: pgp::errors::Result<DetachedSignature>) -> String {
    let signature = signature.unwrap();
    signature
        .to_armored_string(ArmorOptions::default())
        .unwrap()
}

impl Default for SigningKey {
    fn default() -> Self {
        Self::new()
    }
}
