//! A private certificate authority, and a certificate for 127.0.0.1 issued by it.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// A server's TLS settings, and the certificate that its clients must trust.
pub struct PrivateTls {
    /// The server's configuration.
    pub config: Arc<ServerConfig>,
    /// The authority's certificate as PEM, for `SSL_CERT_FILE`.
    pub authority_pem: String,
}

impl PrivateTls {
    /// Creates a new authority, and a certificate for 127.0.0.1 and localhost.
    pub fn new() -> Self {
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        // OpenSSL treats a certificate whose issuer has the same name as itself as self-signed.
        let name = &mut authority.distinguished_name;
        name.push(DnType::CommonName, "the tests' authority");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority_key = KeyPair::generate().unwrap();
        let authority_pem = authority.self_signed(&authority_key).unwrap().pem();
        let issuer = Issuer::new(authority, authority_key);
        let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(names)
            .unwrap()
            .signed_by(&key, &issuer)
            .unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
            )
            .unwrap();
        Self {
            config: Arc::new(config),
            authority_pem,
        }
    }
}

impl Default for PrivateTls {
    fn default() -> Self {
        Self::new()
    }
}
