//! A fake GitHub with releases: real HTTP on loopback, real bytes on disk, and the behaviour of the
//! real one: drafts that are not found by tag, lists that lag, assets stuck in `starter`, 422
//! `already_exists`, renamed files, digests, immutable releases, size limits, pagination, rate
//! limits, and tokens with different permissions. [`Fault`]s make it fail reproducibly.
//!
//! It serves REST at `/` and at `/api/v3` (like GitHub Enterprise), the small part of GraphQL that
//! the real `gh` needs, and file contents from a second port, because the real one redirects to a
//! storage service that refuses credentials for the API.

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

pub use dist::{make_app, make_app_on, make_build, make_library, write_build};
pub use fault::{Chaos, Fault, Op, Random, Rule, Tamper};
use state::State;
pub use state::{KeptAsset, KeptRelease, Recorded, Rights};

/// The settings of a fake GitHub.
#[derive(Debug, Clone)]
pub struct Options {
    /// `owner/name` of its only repository.
    pub repository: String,
    /// Whether reading it requires a token.
    pub private: bool,
    /// The tokens and their permissions.
    pub tokens: Vec<(String, Rights)>,
    /// Whether published releases are immutable.
    pub immutable: bool,
    /// Whether tokens may read the setting that makes releases immutable. The automatic token of
    /// Actions may not: this requires permission to administer the repository.
    pub tells_immutable: bool,
    /// Whether a published release can never become a draft again.
    pub stays_public: bool,
    /// Whether lists of files contain digests. Enterprise before 3.18 has none.
    pub digests: bool,
    /// The prefix of `upload_url`; `{api}` is replaced by the API's own URL.
    pub upload_url: Option<String>,
    /// Number of seconds by which the host's clock is ahead of this machine's.
    pub clock_ahead: i64,
    /// The delay before changes appear in lists of releases.
    pub lag: Duration,
    /// The delay of every response, and of every round trip of a new connection.
    pub latency: Duration,
    /// Maximum size of an asset in bytes (really 2,147,483,647).
    pub asset_limit: u64,
    /// Maximum number of assets of a release (really 1000).
    pub count_limit: usize,
    /// Existing tags and their commits.
    pub tags: Vec<(String, String)>,
    /// Tags that a rule protects from being created.
    pub protected_tags: Vec<String>,
    /// Commits that change workflow files; the automatic token of Actions may not create tags for
    /// them.
    pub workflow_commits: Vec<String>,
    /// The host name of the TLS certificate; `None` for plain HTTP.
    pub tls: Option<String>,
    /// Whether file contents are served from the API's own port. PyGithub accepts no other host,
    /// except the real storage service.
    pub one_port: bool,
    /// The port; 0 for any.
    pub port: u16,
    /// The folder for file contents; a temporary folder by default.
    pub directory: Option<PathBuf>,
    /// A file to which each request is appended as a line of JSON.
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

/// A running fake GitHub; it ends on drop.
#[derive(Debug)]
pub struct FakeGitHub {
    shared: Arc<Shared>,
    api: SocketAddr,
    certificate: Option<String>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

/// The state shared by all connections.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) state: Mutex<State>,
    pub(crate) directory: PathBuf,
    pub(crate) api: String,
    pub(crate) storage: String,
    /// The field, and the text that replaces its value in all answers of the API.
    pub(crate) rewrite: Mutex<Option<(String, String)>>,
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
    /// Starts a fake GitHub on the current tokio runtime.
    ///
    /// # Errors
    ///
    /// If it cannot open a port or create a temporary folder.
    pub async fn start(options: Options) -> std::io::Result<Self> {
        server::start(options).await
    }

    /// The URL of the REST API, without a trailing `/`.
    pub fn api_url(&self) -> &str {
        &self.shared.api
    }

    /// The port of the API.
    pub fn port(&self) -> u16 {
        self.api.port()
    }

    /// The certificate (PEM) that clients must trust, if it uses TLS.
    pub fn certificate(&self) -> Option<&str> {
        self.certificate.as_deref()
    }

    /// Replaces the script of faults.
    pub fn script(&self, rules: impl IntoIterator<Item = Rule>) {
        let rules = rules.into_iter().collect();
        self.shared.state().script.set(rules, None);
    }

    /// Starts random faults.
    pub fn chaos(&self, chaos: Chaos) {
        self.shared.state().script.set(Vec::new(), Some(chaos));
    }

    /// Ends all faults.
    pub fn calm(&self) {
        self.shared.state().script.set(Vec::new(), None);
    }

    /// The number of faults since the script was set.
    pub fn struck(&self) -> u32 {
        self.shared.state().script.struck()
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.state().requests.clone()
    }

    /// Clears the recorded requests.
    pub fn forget_requests(&self) {
        self.shared.state().requests.clear();
    }

    /// The largest number of concurrent uploads so far.
    pub fn most_uploads_at_once(&self) -> usize {
        self.shared.state().most_uploads
    }

    /// All releases, including drafts.
    pub fn releases(&self) -> Vec<KeptRelease> {
        self.shared.state().kept()
    }

    /// The content of an asset.
    ///
    /// # Errors
    ///
    /// If there is no such asset, or its file cannot be read.
    pub fn bytes(&self, asset: u64) -> std::io::Result<Vec<u8>> {
        std::fs::read(self.shared.bytes_of(asset))
    }

    /// Adds this Sigstore bundle as an attestation for content with this digest. Like the real API,
    /// this host returns the first bundle of a digest itself, and only the URLs of the others.
    pub fn put_attestation(&self, sha256: &str, bundle: &str) {
        let mut state = self.shared.state();
        let kept = state.attestations.entry(format!("sha256:{sha256}"));
        kept.or_default().push(bundle.to_owned());
    }

    /// Replaces the value of every field with this name by this text in all further answers of the
    /// API, if the value is a text or null.
    ///
    /// # Panics
    ///
    /// If another thread panicked while it called this function.
    pub fn rewrite(&self, field: &str, text: &str) {
        let rewrite = Some((field.to_owned(), text.to_owned()));
        *self.shared.rewrite.lock().unwrap() = rewrite;
    }

    /// Applies this change to the next release at the moment when it is published. May be called
    /// several times.
    pub fn tamper(&self, tamper: Tamper) {
        self.shared.state().tampers.push(tamper);
    }

    /// Replaces or adds a file of a release directly.
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

    /// Creates a release with these assets directly; returns its number.
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
