//! GitHub as a release host, github.com or Enterprise.
//!
//! Metadata goes through octocrab with its retries turned off: they would repeat a `POST /releases`
//! whose answer was lost, and create a second draft. Bytes go through the same client as streams of
//! a stated length. `host::failure` decides the meaning of failures, `steps` the order of the steps.

mod api;
mod attestations;
mod call;
mod drafts;
mod dry_run;
pub mod finalize;
mod journal;
mod lease;
mod outcome;
mod pacer;
mod policy;
mod recheck;
mod rights;
mod send;
pub mod steps;
pub(crate) mod upload;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use octocrab::Octocrab;
use sysforge_net::header::{AUTHORIZATION, HeaderValue};
use sysforge_net::{Client, Network, RequestBuilder};
use sysforge_plan::Sha256;
use sysforge_plan::text::{Repository, Rule as _};
use url::Url;

use crate::Secret;
use crate::error::PublishError;
use crate::host::{Cleanup, Timing, encode};
use crate::release_bundle::Destination;
use crate::signing::Identity;
use pacer::Pacer;

/// The largest file of a release, in bytes ("under 2 GiB", documented and measured).
pub const FILE_LIMIT: u64 = 2_147_483_647;

/// The maximum number of files in a release (422 `file_count` beyond it).
pub const COUNT_LIMIT: usize = 1000;

/// How to access a repository.
#[derive(Debug, Clone)]
pub struct Access {
    /// The REST API, `https://api.github.com` or `https://HOST/api/v3`.
    pub api: Url,
    /// The web pages, `https://github.com` or `https://HOST`.
    pub web: Url,
    /// `OWNER/NAME`.
    pub repository: String,
    /// The token.
    pub token: Option<Secret>,
    /// Proxies, certificates, and whether the network may be used.
    pub network: Network,
}

impl Access {
    /// Reads the access from the environment variables of GitHub Actions and `gh`: to github.com,
    /// or to an Enterprise server.
    ///
    /// # Errors
    ///
    /// If a URL in them is not valid.
    pub fn from_variables(
        variable: impl Fn(&str) -> Option<String>,
        repository: &str,
        network: Network,
    ) -> Result<Self, PublishError> {
        const API: &str = "https://api.github.com";
        const WEB: &str = "https://github.com";
        let invalid = |text, from| PublishError::Url { text, from };
        let parsed = |text: String, from| match text.parse::<Url>() {
            Ok(url) if sysforge_net::is_web(&url) => Ok(url),
            _ => Err(invalid(text, from)),
        };
        let api = variable("GITHUB_API_URL").unwrap_or_else(|| API.to_owned());
        let api = parsed(api, "GITHUB_API_URL")?;
        let web = match variable("GITHUB_SERVER_URL") {
            Some(web) => parsed(web, "GITHUB_SERVER_URL")?,
            None if api.as_str().trim_end_matches('/') == API => {
                parsed(WEB.to_owned(), "GITHUB_SERVER_URL")?
            }
            // Enterprise serves its web pages and its API from the same host.
            None => api
                .join("/")
                .map_err(|_| invalid(api.to_string(), "GITHUB_API_URL"))?,
        };
        let token = variable("GITHUB_TOKEN").or_else(|| variable("GH_TOKEN"));
        Ok(Self {
            api,
            web,
            repository: repository.to_owned(),
            token: token.as_deref().map(Secret::new),
            network,
        })
    }
}

/// A repository's releases.
#[derive(Debug, Clone)]
pub struct GitHub {
    access: Access,
    timing: Timing,
    metadata: Octocrab,
    bytes: Client,
    pacer: Arc<Pacer>,
    requests: Arc<AtomicU64>,
    sent: Arc<AtomicU64>,
    cleanup: Option<Cleanup>,
    standing: Standing,
}

/// The status of a release among the others when it is made public. The host decides about `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// Whether it is marked as a prerelease.
    pub prerelease: bool,
    /// Whether it becomes the latest release.
    pub latest: Option<bool>,
}

impl GitHub {
    /// Creates a client for a repository; nothing is sent yet. Needs a tokio runtime.
    ///
    /// # Errors
    ///
    /// If the URL or the token is not valid.
    pub fn new(access: Access, timing: Timing) -> Result<Self, PublishError> {
        let address = || PublishError::Url {
            text: access.api.to_string(),
            from: "GITHUB_API_URL",
        };
        if Repository::check(&access.repository).is_err() {
            return Err(PublishError::Repository(access.repository.clone()));
        }
        access.network.check_online(&access.api)?;
        let bytes = access.network.client()?;
        let mut builder = Octocrab::builder()
            .base_uri(access.api.as_str().trim_end_matches('/'))
            .map_err(|_| address())?;
        if let Some(token) = &access.token {
            // octocrab panics on characters that are not allowed in a header.
            if !token.reveal().bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(PublishError::MalformedToken);
            }
            builder = builder.personal_token(token.reveal().to_owned());
        }
        let metadata = builder
            .build_with_reqwest(bytes.clone())
            .map_err(|_| address())?;
        Ok(Self {
            pacer: Arc::new(Pacer::new(timing.writes_per_minute)),
            access,
            timing,
            metadata,
            bytes,
            requests: Arc::default(),
            sent: Arc::default(),
            cleanup: None,
            standing: Standing::default(),
        })
    }

    /// Makes a run that is dropped, as by Ctrl-C, pass its last requests to `cleanup`.
    #[must_use]
    pub fn with_cleanup(mut self, cleanup: &Cleanup) -> Self {
        self.cleanup = Some(cleanup.clone());
        self
    }

    /// Sets the status of releases that are made public.
    #[must_use]
    pub fn with_standing(mut self, standing: Standing) -> Self {
        self.standing = standing;
        self
    }

    /// Returns where the files of the release `tag` will be found.
    pub fn destination(&self, tag: &str) -> Destination {
        let web = self.access.web.as_str().trim_end_matches('/');
        let repository = &self.access.repository;
        let tag_in_path = encode(tag);
        Destination {
            tag: tag.to_owned(),
            base: format!("{web}/{repository}/releases/download/{tag_in_path}/"),
            source: format!("{repository}@{tag}"),
            file_limit: FILE_LIMIT,
            count_limit: COUNT_LIMIT,
        }
    }

    /// Returns the identity of this repository's releases.
    pub fn identity(&self) -> Identity {
        Identity {
            // Checked by the constructor.
            repository: Repository::new(self.access.repository.as_str()).ok(),
            site: None,
        }
    }

    /// Returns the number of requests so far.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Returns the number of bytes sent so far, including those of failed attempts.
    pub fn bytes_sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    fn count(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the `Authorization` header, marked so that it is never shown.
    fn authorization(&self) -> Option<HeaderValue> {
        let token = self.access.token.as_ref()?;
        let mut value = HeaderValue::from_str(&format!("Bearer {}", token.reveal())).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    fn with_authorization(&self, request: RequestBuilder) -> RequestBuilder {
        match self.authorization() {
            Some(value) => request.header(AUTHORIZATION, value),
            None => request,
        }
    }

    /// Returns the path of the journal that the next run of the same publication reads.
    fn journal_path(&self, folder: &std::path::Path, tag: &str) -> PathBuf {
        let key = format!("{} {} {tag}", self.access.api, self.access.repository);
        folder.join(format!("{}.json", Sha256::of(key.as_bytes()).short(16)))
    }
}

#[cfg(test)]
mod tests;
