//! The cryptography for verifying attestations. It is that of this program's TLS, so that there is
//! one implementation of each algorithm to maintain.

use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use sha2::Digest;
use sigstore_verify::crypto::{CryptoProvider, Error, HashContext, Result, SigningScheme};
use sigstore_verify::types::HashAlgorithm;

/// A provider that only verifies.
#[derive(Debug)]
struct Ring;

/// Installs the provider. A second call does nothing.
pub(super) fn provide() {
    let _ = sigstore_verify::crypto::install_default_provider(&Ring);
}

struct Hash<D>(D);

impl<D: Digest + Send> HashContext for Hash<D> {
    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    fn finalize(self: Box<Self>) -> Vec<u8> {
        self.0.finalize().to_vec()
    }
}

impl CryptoProvider for Ring {
    fn hash(&self, algorithm: HashAlgorithm) -> Result<Box<dyn HashContext>> {
        Ok(match algorithm {
            HashAlgorithm::Sha2256 => Box::new(Hash(sha2::Sha256::new())),
            HashAlgorithm::Sha2384 => Box::new(Hash(sha2::Sha384::new())),
            HashAlgorithm::Sha2512 => Box::new(Hash(sha2::Sha512::new())),
            other => return Err(Error::UnsupportedAlgorithm(format!("{other:?}"))),
        })
    }

    fn verify_raw(
        &self,
        scheme: SigningScheme,
        key: &[u8],
        data: &[u8],
        signature: &[u8],
    ) -> Result<()> {
        UnparsedPublicKey::new(algorithm(scheme)?, key)
            .verify(data, signature)
            .map_err(|_| Error::Verification("the signature is not good".to_owned()))
    }

    fn verify_prehashed(&self, scheme: SigningScheme, _: &[u8], _: &[u8], _: &[u8]) -> Result<()> {
        // Statements are signed directly; only bare files are signed by their digest.
        Err(unsupported(scheme))
    }
}

fn unsupported(scheme: SigningScheme) -> Error {
    Error::UnsupportedAlgorithm(format!("{scheme:?}"))
}

fn algorithm(scheme: SigningScheme) -> Result<&'static dyn VerificationAlgorithm> {
    Ok(match scheme {
        SigningScheme::EcdsaP256Sha256 => &signature::ECDSA_P256_SHA256_ASN1,
        SigningScheme::EcdsaP256Sha384 => &signature::ECDSA_P256_SHA384_ASN1,
        SigningScheme::EcdsaP384Sha256 => &signature::ECDSA_P384_SHA256_ASN1,
        SigningScheme::EcdsaP384Sha384 => &signature::ECDSA_P384_SHA384_ASN1,
        SigningScheme::Ed25519 => &signature::ED25519,
        SigningScheme::RsaPkcs1Sha256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        SigningScheme::RsaPkcs1Sha384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        SigningScheme::RsaPkcs1Sha512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        SigningScheme::RsaPssSha256 => &signature::RSA_PSS_2048_8192_SHA256,
        SigningScheme::RsaPssSha384 => &signature::RSA_PSS_2048_8192_SHA384,
        SigningScheme::RsaPssSha512 => &signature::RSA_PSS_2048_8192_SHA512,
        other => return Err(unsupported(other)),
    })
}

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;
    use ring::signature::{EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair};

    use super::*;

    /// The signed and hashed data (`printf abc | sha256sum` prints the same digest).
    const DATA: &[u8] = b"abc";

    /// A key and its signature over `DATA`.
    fn signed(algorithm: &'static EcdsaSigningAlgorithm) -> (Vec<u8>, Vec<u8>) {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap();
        let signature = pair.sign(&random, DATA).unwrap();
        (
            pair.public_key().as_ref().to_vec(),
            signature.as_ref().to_vec(),
        )
    }

    #[test]
    fn a_signature_is_good_for_its_own_bytes_and_scheme_alone() {
        let ed = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let ed = (
            ed.public_key().as_ref().to_vec(),
            ed.sign(DATA).as_ref().to_vec(),
        );
        for (scheme, (key, signature)) in [
            (
                SigningScheme::EcdsaP256Sha256,
                signed(&signature::ECDSA_P256_SHA256_ASN1_SIGNING),
            ),
            (
                SigningScheme::EcdsaP384Sha384,
                signed(&signature::ECDSA_P384_SHA384_ASN1_SIGNING),
            ),
            (SigningScheme::Ed25519, ed),
        ] {
            let verify = |scheme, data: &[u8]| Ring.verify_raw(scheme, &key, data, &signature);
            verify(scheme, DATA).unwrap();
            verify(scheme, b"abd").unwrap_err();
            for other in [
                SigningScheme::EcdsaP256Sha384,
                SigningScheme::EcdsaP384Sha256,
                SigningScheme::RsaPkcs1Sha256,
                SigningScheme::RsaPkcs1Sha384,
                SigningScheme::RsaPkcs1Sha512,
                SigningScheme::RsaPssSha256,
                SigningScheme::RsaPssSha384,
                SigningScheme::RsaPssSha512,
            ] {
                let error = verify(other, DATA).unwrap_err().to_string();
                assert!(error.contains("the signature is not good"), "{error}");
            }
        }
    }

    #[test]
    fn a_scheme_that_is_not_known_is_named_and_never_good() {
        let error = Ring.verify_raw(SigningScheme::MlDsa44, &[], DATA, &[]);
        let text = error.unwrap_err().to_string();
        assert!(text.contains("MlDsa44"), "{text}");
        // Only bare files are signed by their digest, and those are not verified in this program.
        let error = Ring.verify_prehashed(SigningScheme::EcdsaP256Sha256, &[], &[], &[]);
        let text = error.unwrap_err().to_string();
        assert!(text.contains("EcdsaP256Sha256"), "{text}");
    }

    #[test]
    fn digests_are_those_that_everybody_computes() {
        for (algorithm, begins) in [
            (HashAlgorithm::Sha2256, "ba7816bf8f01cfea"),
            (HashAlgorithm::Sha2384, "cb00753f45a35e8b"),
            (HashAlgorithm::Sha2512, "ddaf35a193617aba"),
        ] {
            let mut hash = Ring.hash(algorithm).unwrap();
            // In two pieces, as when a file is streamed.
            hash.update(&DATA[..1]);
            hash.update(&DATA[1..]);
            assert_eq!(hex::encode(&hash.finalize()[..8]), begins);
        }
    }
}
