//! Requesting the attestations that GitHub stores for a file.

use serde::Deserialize;
use serde_json::Value;
use sysforge_plan::Sha256;

use super::GitHub;
use super::call::Request;
use crate::fetch::{self, Sink};
use crate::host::failure::Failure;

/// Maximum size of a bundle, in bytes; real ones have some tens of kilobytes.
const BUNDLE_LIMIT: usize = 16 << 20;

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    attestations: Vec<Listed>,
}

/// One attestation: its bundle, or the URL of the bundle, which is compressed with Snappy.
#[derive(Deserialize)]
struct Listed {
    #[serde(default)]
    bundle: Option<Value>,
    #[serde(default)]
    bundle_url: Option<String>,
}

impl GitHub {
    /// Returns the attestations of bytes with this digest, as Sigstore bundles. In one attempt:
    /// without a token, sixty requests an hour are allowed, and nobody should wait for the next
    /// hour.
    pub(crate) async fn attestations(&self, sha256: Sha256) -> Result<Vec<String>, Failure> {
        let path = self.repo(&format!("/attestations/sha256:{sha256}?per_page=100"));
        let request = Request::new(sysforge_net::Method::GET, path);
        let answer: Answer = match self.once(&request).await {
            Err(failure) if failure.is_not_found() => return Ok(Vec::new()),
            answered => answered?,
        };
        let mut bundles = Vec::new();
        for listed in answer.attestations {
            bundles.push(match (listed.bundle, listed.bundle_url) {
                (Some(bundle), _) => bundle.to_string(),
                (None, Some(url)) => self.bundle(&url).await?,
                (None, None) => String::new(),
            });
        }
        Ok(bundles)
    }

    /// Downloads a bundle from the storage service. The URL itself grants access, so the token is
    /// not sent.
    async fn bundle(&self, url: &str) -> Result<String, Failure> {
        let mut sink = Sink::memory(BUNDLE_LIMIT);
        self.count();
        // As with redirects: a request over HTTPS must not continue without encryption.
        if self.access.api.scheme() == "https" && !url.starts_with("https://") {
            return Err(Failure::Lasting {
                words: "the host names an address without encryption".to_owned(),
                hint: "the host is at fault",
            });
        }
        fetch::read(|| self.bytes.get(url), &mut sink, &self.timing).await?;
        let packed = sink.into_bytes();
        let fits = snap::raw::decompress_len(&packed).is_ok_and(|length| length <= BUNDLE_LIMIT);
        let unpacked = fits.then(|| snap::raw::Decoder::new().decompress_vec(&packed).ok());
        let bytes = unpacked.flatten().unwrap_or(packed);
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}
