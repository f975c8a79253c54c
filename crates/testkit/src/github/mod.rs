//! A GitHub of releases to test against: real HTTP on loopback, real bytes on disk, and the real
//! one's habits: drafts that no tag finds, an index that lags, assets stuck in `starter`, 422
//! `already_exists`, renamed files, digests, immutable releases, limits, pages, rate limits, and
//! tokens with and without rights. [`Fault`]s make it behave badly, on purpose and repeatably.
//!
//! It speaks REST at `/` and at `/api/v3` (as GitHub Enterprise does), a sliver of GraphQL for
//! the real `gh`, and serves bytes from a second port, as the real one redirects to a storage
//! service that refuses credentials meant for the API.

mod answer;
mod dist;
mod fault;
mod names;
mod releases;
mod render;
mod routes;
mod server;
mod state;
mod transfer;
mod web;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use dist::make_build;
pub use fault::{Chaos, Fault, Op, Random, Rule, Tamper};
use state::State;
pub use state::{KeptAsset, KeptRelease, Recorded, Rights};

/// How a fake GitHub is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// `owner/name` of the one repository.
    pub repository: String,
    /// Whether reading it needs a token.
    pub private: bool,
    /// Tokens and what each may do.
    pub tokens: Vec<(String, Rights)>,
    /// Whether published releases are immutable.
    pub immutable: bool,
    /// Whether tokens may read the setting that makes releases immutable. The automatic token of
    /// Actions may not: that takes the right to administer the repository.
    pub tells_immutable: bool,
    /// Whether a public release can never become a draft again.
    pub stays_public: bool,
    /// Whether files are listed with their digests. Enterprise before 3.18 lists none.
    pub digests: bool,
    /// What `upload_url` begins with instead of `{api}`, which stands for the API's own address.
    pub upload_url: Option<String>,
    /// By how many seconds the host's clock is ahead of this machine's.
    pub clock_ahead: i64,
    /// How long lists of releases lag behind.
    pub lag: Duration,
    /// How long every answer takes, and every round trip of a new connection.
    pub latency: Duration,
    /// The largest asset, in bytes (really 2,147,483,647).
    pub asset_limit: u64,
    /// The most assets of a release (really 1000).
    pub count_limit: usize,
    /// Tags that exist, each with its commit.
    pub tags: Vec<(String, String)>,
    /// Tags that a rule keeps anybody from creating.
    pub protected_tags: Vec<String>,
    /// Commits that change workflow files, which the automatic token of Actions may not tag.
    pub workflow_commits: Vec<String>,
    /// Whether to speak TLS, with a certificate for this host name.
    pub tls: Option<String>,
    /// Whether bytes come from the API's own port. PyGithub takes them from nowhere else but the
    /// real storage service's name.
    pub one_port: bool,
    /// The port; 0 for any.
    pub port: u16,
    /// Where the bytes are kept; a temporary folder unless said.
    pub directory: Option<PathBuf>,
    /// A file that gets one line of JSON per request.
    pub record: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            repository: "octo/images".to_owned(),
            private: false,
            tokens: vec![
                ("writer".to_owned(), Rights::Write),
                ("reader".to_owned(), Rights::Read),
                ("actions".to_owned(), Rights::Actions),
            ],
            immutable: false,
            tells_immutable: true,
            stays_public: false,
            digests: true,
            upload_url: None,
            clock_ahead: 0,
            lag: Duration::ZERO,
            latency: Duration::ZERO,
            asset_limit: 2_147_483_647,
            count_limit: 1000,
            tags: vec![("v1.0.0".to_owned(), "c0ffee".repeat(7)[..40].to_owned())],
            protected_tags: Vec::new(),
            workflow_commits: Vec::new(),
            tls: None,
            one_port: false,
            port: 0,
            directory: None,
            record: None,
        }
    }
}

/// A running fake GitHub; dropping it ends it.
#[derive(Debug)]
pub struct FakeGitHub {
    shared: Arc<Shared>,
    api: SocketAddr,
    certificate: Option<String>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) state: Mutex<State>,
    pub(crate) directory: PathBuf,
    pub(crate) api: String,
    pub(crate) storage: String,
    _kept: Option<tempfile::TempDir>,
}

impl Shared {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn bytes_of(&self, asset: u64) -> PathBuf {
        self.directory.join(asset.to_string())
    }
}

impl FakeGitHub {
    /// Starts one on the current tokio runtime.
    ///
    /// # Errors
    ///
    /// If no port or temporary folder can be had.
    pub async fn start(options: Options) -> std::io::Result<Self> {
        server::start(options).await
    }

    /// The address of the REST API, without a final `/`.
    #[must_use]
    pub fn api_url(&self) -> &str {
        &self.shared.api
    }

    /// The port of the API.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.api.port()
    }

    /// The certificate (PEM) to trust, where it speaks TLS.
    #[must_use]
    pub fn certificate(&self) -> Option<&str> {
        self.certificate.as_deref()
    }

    /// Plays this script from now on.
    pub fn script(&self, rules: impl IntoIterator<Item = Rule>) {
        let rules = rules.into_iter().collect();
        self.shared.state().script.set(rules, None);
    }

    /// Draws faults from now on.
    pub fn chaos(&self, chaos: Chaos) {
        self.shared.state().script.set(Vec::new(), Some(chaos));
    }

    /// All is well from now on.
    pub fn calm(&self) {
        self.shared.state().script.set(Vec::new(), None);
    }

    /// How many faults struck since the script was set.
    #[must_use]
    pub fn struck(&self) -> u32 {
        self.shared.state().script.struck()
    }

    /// The requests so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.state().requests.clone()
    }

    /// Forgets the requests so far.
    pub fn forget_requests(&self) {
        self.shared.state().requests.clear();
    }

    /// The most uploads that ran at once so far.
    #[must_use]
    pub fn most_uploads_at_once(&self) -> usize {
        self.shared.state().most_uploads
    }

    /// Every release, drafts included.
    #[must_use]
    pub fn releases(&self) -> Vec<KeptRelease> {
        self.shared.state().kept()
    }

    /// The bytes of an asset.
    ///
    /// # Errors
    ///
    /// If it has none.
    pub fn bytes(&self, asset: u64) -> std::io::Result<Vec<u8>> {
        std::fs::read(self.shared.bytes_of(asset))
    }

    /// Keeps this Sigstore bundle as an attestation of bytes with this digest. The API shows the
    /// first of a digest itself, and of the others the address, as the real one does.
    pub fn put_attestation(&self, sha256: &str, bundle: &str) {
        let mut state = self.shared.state();
        let kept = state.attestations.entry(format!("sha256:{sha256}"));
        kept.or_default().push(bundle.to_owned());
    }

    /// Somebody else does this to the next release that becomes public, at that moment. May be
    /// called several times.
    pub fn tamper(&self, tamper: Tamper) {
        self.shared.state().tampers.push(tamper);
    }

    /// Replaces a file of a release, or adds it, beside what clients do.
    ///
    /// # Panics
    ///
    /// If the bytes cannot be written.
    pub fn put_asset(&self, release: u64, name: &str, bytes: &[u8]) {
        let mut state = self.shared.state();
        state
            .assets
            .retain(|_, asset| asset.release != release || asset.name != name);
        releases::put_asset(&self.shared, &mut state, release, name, bytes);
    }

    /// Puts a release there by hand, with these assets; returns its number.
    ///
    /// # Errors
    ///
    /// If the bytes cannot be written.
    pub fn put_release(
        &self,
        tag: &str,
        draft: bool,
        assets: &[(&str, &[u8])],
    ) -> std::io::Result<u64> {
        let mut state = self.shared.state();
        let release = state.create(tag, None, tag, "", draft, false);
        for (name, bytes) in assets {
            let Some(asset) = state.begin_asset(release, name, None, "application/octet-stream")
            else {
                continue;
            };
            std::fs::write(self.shared.bytes_of(asset), bytes)?;
            state.finish_asset(asset, bytes.len() as u64, &state::sha256(bytes));
        }
        Ok(release)
    }
}

impl Drop for FakeGitHub {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}
