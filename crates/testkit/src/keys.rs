//! OpenPGP keys made for a test, and signatures by them.

use pgp::composed::{ArmorOptions, DetachedSignature, KeyType, SecretKeyParamsBuilder};
use pgp::composed::{SignedPublicKey, SignedSecretKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::types::{KeyDetails, Password};
use rand::rngs::OsRng;

/// A key that signs.
pub struct SigningKey(SignedSecretKey);

impl SigningKey {
    /// A new one.
    #[must_use]
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

    /// Its fingerprint.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.0.primary_key.fingerprint().to_string().to_uppercase()
    }

    /// Its certificate, armoured.
    #[must_use]
    pub fn certificate(&self) -> String {
        let public: SignedPublicKey = self.0.to_public_key();
        public.to_armored_string(ArmorOptions::default()).unwrap()
    }

    /// A detached signature, armoured.
    #[must_use]
    pub fn sign(&self, bytes: &[u8]) -> String {
        armored(DetachedSignature::sign_binary_data(
            OsRng,
            &self.0.primary_key,
            &Password::empty(),
            HashAlgorithm::Sha256,
            bytes,
        ))
    }

    /// The same, as if the bytes were a text, whose line ends may be any.
    #[must_use]
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
