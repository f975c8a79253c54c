//! S3-compatible storage as a release host: a prefix of a bucket. The files of a release are below
//! its tag, and a list of the tags is next to them, as in a folder. If a web server serves the
//! bucket, releases can also be installed by URL.
//!
//! Objects cannot be renamed, so the release index decides what is public: it is written last, in
//! one request, after every other file was downloaded and compared. A release that is being
//! replaced stays unchanged until the new files are completely uploaded to a second prefix.

mod access;
mod failure;
mod lease;
mod location;
mod send;
mod service;
mod steps;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::signer::Signer as _;
use object_store::{
    Attribute, AttributeValue, Attributes, GetOptions, GetResult, ObjectStore, ObjectStoreExt,
    PutMode, PutOptions, RetryConfig, UpdateVersion,
};
use sysforge_net::{Client, Method, Network};
use sysforge_plan::release::{INDEX_NAME, SITE_NAME};
use sysforge_plan::{Reporter, Sha256};
use url::Url;

pub use access::S3Access;
pub(crate) use access::is_endpoint;
pub(crate) use failure::is_denied;
pub use location::S3Location;
pub(crate) use location::SCHEME;

use self::failure::{is_missing, is_unsupported, may_pass};
use self::service::{Connector, Service, failure_of, parsed_url, payload};
use super::failure::Failure;
use super::{Cleanup, Timing, encode_path};
use crate::error::PublishError;
use crate::fetch::{self, Sink};
use crate::release_bundle::{Asset, Destination};
use crate::report::{AssetReport, Outcome, Published};
use crate::storage_error::StorageError;

/// The attribute of an object with the digest of its bytes.
const DIGEST: Attribute = Attribute::Metadata(std::borrow::Cow::Borrowed("sysforge-sha256"));

/// The largest object that a service copies in one request, in bytes.
const FILE_LIMIT: u64 = 5 << 30;

/// Number of objects that are sent, compared or read concurrently.
const AT_ONCE: usize = 4;

/// Validity of a signed URL: longer than any download takes.
const SIGNED_FOR: Duration = Duration::from_secs(12 * 60 * 60);

/// Maximum size of an index or a list of releases, in bytes.
const DOCUMENT_LIMIT: usize = 64 << 20;

/// A prefix of a bucket.
#[derive(Debug, Clone)]
pub struct S3 {
    location: S3Location,
    endpoint: Url,
    store: Arc<AmazonS3>,
    client: Client,
    /// Whether there are credentials.
    signs: bool,
    timing: Timing,
    requests: Arc<AtomicU64>,
    sent: Arc<AtomicU64>,
    cleanup: Option<Cleanup>,
}

/// The outcome of a conditional write.
#[derive(Debug)]
enum Conditional {
    /// It was written.
    Done,
    /// The object exists, or has changed.
    Taken,
    /// The service does not support conditional requests.
    Unsupported,
}

/// The state of a file at the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Absent,
    Same,
    Other,
}

impl S3 {
    /// Creates a client for a service; nothing is sent yet. `endpoint` is the service that a
    /// release was installed from before; if `None`, the variables name it.
    ///
    /// # Errors
    ///
    /// If the variables are not valid, or the network must not be used.
    pub fn new(
        access: &S3Access,
        location: S3Location,
        endpoint: Option<&Url>,
        network: &Network,
        timing: Timing,
    ) -> Result<Self, PublishError> {
        let region = access.region(endpoint)?;
        let endpoint = match endpoint {
            Some(endpoint) => endpoint.clone(),
            None => access.endpoint(&region)?,
        };
        let keys = access.keys()?;
        network.check_online(&endpoint)?;
        let client = network.client()?;
        let requests = Arc::new(AtomicU64::new(0));
        let service = Service {
            client: network.client_without_redirects()?,
            timing: timing.clone(),
            requests: Arc::clone(&requests),
        };
        let mut builder = AmazonS3Builder::new()
            .with_region(region)
            .with_endpoint(endpoint.as_str().trim_end_matches('/'))
            .with_allow_http(endpoint.scheme() == "http")
            .with_bucket_name(location.bucket())
            // Not every service supports requests that delete several objects.
            .with_disable_bulk_delete(true)
            // `Service` retries, as for every other host.
            .with_retry(RetryConfig {
                max_retries: 0,
                ..RetryConfig::default()
            })
            .with_http_connector(Connector(service));
        builder = match &keys {
            Some(keys) => {
                let mut builder = builder
                    .with_access_key_id(keys.key.reveal())
                    .with_secret_access_key(keys.secret.reveal());
                if let Some(session) = &keys.session {
                    builder = builder.with_token(session.reveal());
                }
                builder
            }
            None => builder.with_skip_signature(true),
        };
        let store = builder.build().map_err(|error| PublishError::Unreachable {
            what: format!("use {location}"),
            words: error.to_string(),
            hint: "check the AWS_* variables",
        })?;
        Ok(Self {
            location,
            endpoint,
            store: Arc::new(store),
            client,
            signs: keys.is_some(),
            timing,
            requests,
            sent: Arc::new(AtomicU64::new(0)),
            cleanup: None,
        })
    }

    /// Makes a run that is interrupted pass its last requests to `cleanup`.
    #[must_use]
    pub fn with_cleanup(mut self, cleanup: &Cleanup) -> Self {
        self.cleanup = Some(cleanup.clone());
        self
    }

    /// Returns the URL of the service.
    pub fn endpoint(&self) -> &Url {
        &self.endpoint
    }

    /// Returns where the release `tag` will be found. `base_url` is the public URL of the prefix.
    pub fn destination(&self, tag: &str, base_url: Option<&str>) -> Destination {
        let encoded = encode_path(tag);
        let base = match base_url {
            Some(base) => format!("{base}/{encoded}/"),
            None => format!("{}/", self.plain_address(&self.location.key(tag))),
        };
        Destination {
            tag: tag.to_owned(),
            base,
            source: match base_url {
                Some(base) => format!("{base}@{encoded}"),
                None => format!("{}@{tag}", self.location),
            },
            file_limit: FILE_LIMIT,
            count_limit: usize::MAX,
        }
    }

    /// Checks that the credentials allow writing and deleting below the prefix.
    ///
    /// # Errors
    ///
    /// [`StorageError::NoCredentials`] if there are none, [`PublishError::Another`] if another
    /// publisher holds the lock; also if the lock cannot be written, read or deleted.
    pub async fn preflight(&self, tag: &str) -> Result<Published, PublishError> {
        self.require_keys()?;
        let lease = self.take_lease(tag, &Reporter::silent()).await?;
        self.give_back(lease).await?;
        Ok(self.report(tag, Outcome::Ready, Vec::new(), Vec::new()))
    }

    fn require_keys(&self) -> Result<(), StorageError> {
        match self.signs {
            true => Ok(()),
            false => Err(StorageError::NoCredentials(self.location.to_string())),
        }
    }

    async fn is_public(&self, tag: &str) -> Result<bool, PublishError> {
        let path = self.path(&format!("{tag}/{INDEX_NAME}"));
        match self.read(&path, &mut Sink::memory(DOCUMENT_LIMIT)).await {
            Ok(()) => Ok(true),
            Err(failure) if is_missing(&failure) => Ok(false),
            Err(failure) => Err(self.error("look for the release", failure)),
        }
    }

    async fn state(&self, path: &Path, asset: &Asset) -> Result<State, PublishError> {
        let fail = |failure| self.error(&format!("look at {}", asset.name), failure);
        let found = match self.head(path).await {
            Ok(found) => found,
            Err(failure) if is_missing(&failure) => return Ok(State::Absent),
            Err(failure) => return Err(fail(failure)),
        };
        if found.meta.size != asset.size {
            return Ok(State::Other);
        }
        let same = match found.attributes.get(&DIGEST) {
            Some(noted) => **noted == asset.sha256.to_string(),
            // Another program wrote it.
            None => {
                let mut sink = Sink::nothing().of_size(asset.size);
                let read = self.read(path, &mut sink).await;
                read.map_err(fail)?;
                sink.sha256() == asset.sha256
            }
        };
        Ok(if same { State::Same } else { State::Other })
    }

    async fn head(&self, path: &Path) -> Result<GetResult, Failure> {
        let options = GetOptions {
            head: true,
            ..GetOptions::default()
        };
        let found = self.store.get_opts(path, options).await;
        found.map_err(|error| failure_of(&error))
    }

    async fn delete(&self, path: &Path) -> Result<(), Failure> {
        match self
            .store
            .delete(path)
            .await
            .map_err(|error| failure_of(&error))
        {
            Err(failure) if !is_missing(&failure) => Err(failure),
            _ => Ok(()),
        }
    }

    async fn put_if(
        &self,
        path: &Path,
        bytes: Bytes,
        mode: PutMode,
    ) -> Result<Conditional, Failure> {
        let options = PutOptions {
            mode,
            attributes: Attributes::from_iter([
                (
                    Attribute::ContentType,
                    AttributeValue::from("application/json"),
                ),
                (Attribute::CacheControl, AttributeValue::from("no-cache")),
                (DIGEST, AttributeValue::from(Sha256::of(&bytes).to_string())),
            ]),
            ..PutOptions::default()
        };
        let put = self.store.put_opts(path, payload(&bytes), options).await;
        match put.map_err(|error| failure_of(&error)) {
            Ok(_) => Ok(Conditional::Done),
            Err(failure) if matches!(failure.status(), Some(304 | 409 | 412)) => {
                Ok(Conditional::Taken)
            }
            Err(failure) if is_unsupported(&failure) => Ok(Conditional::Unsupported),
            Err(failure) => Err(failure),
        }
    }

    /// Reads an object into `sink`, from the sink's position on.
    async fn read(&self, path: &Path, sink: &mut Sink<'_>) -> Result<(), Failure> {
        let address = match self.signs {
            true => self.store.signed_url(Method::GET, path, SIGNED_FOR).await,
            false => Ok(parsed_url(&self.plain_address(path.as_ref()))?),
        };
        let address = address.map_err(|error| failure_of(&error))?;
        let get = || {
            self.requests.fetch_add(1, Ordering::Relaxed);
            self.client.get(address.clone())
        };
        let is_final = |failure: &Failure| !may_pass(failure);
        fetch::read_until(get, sink, &self.timing, is_final).await
    }

    /// Reads a file of a release into `sink`, and returns whether the file exists. `folder` is a
    /// tag, or empty for the prefix itself.
    pub(crate) async fn read_file(
        &self,
        folder: &str,
        name: &str,
        sink: &mut Sink<'_>,
    ) -> Result<bool, PublishError> {
        let path = match folder.is_empty() {
            true => self.path(name),
            false => self.path(&format!("{folder}/{name}")),
        };
        match self.read(&path, sink).await {
            Ok(()) => Ok(true),
            Err(failure) if is_missing(&failure) => Ok(false),
            // For a missing object, services answer with this if the client may not list objects.
            // For an index, the file may as well exist and be forbidden.
            Err(failure) if is_denied(&failure) && name != INDEX_NAME && name != SITE_NAME => {
                Ok(false)
            }
            Err(failure) => {
                Err(self.error(&format!("read {}", self.shown(path.as_ref())), failure))
            }
        }
    }

    fn error(&self, what: &str, failure: Failure) -> PublishError {
        let bucket = self.location.bucket();
        failure::error(&self.endpoint, bucket, what, failure, &self.timing)
    }

    /// Returns the path of an object below the prefix. Tags, file names and prefixes are valid in
    /// it.
    fn path(&self, name: &str) -> Path {
        let key = self.location.key(name);
        Path::parse(&key).unwrap_or_else(|_| Path::from(key))
    }

    /// Formats the location of a file below the prefix for messages.
    fn shown(&self, name: &str) -> String {
        let key = self.location.key("");
        format!(
            "{}/{}",
            self.location,
            name.strip_prefix(&key).unwrap_or(name)
        )
    }

    /// Returns the unsigned URL of the object with this key.
    fn plain_address(&self, key: &str) -> String {
        let endpoint = self.endpoint.as_str().trim_end_matches('/');
        format!("{endpoint}/{}/{}", self.location.bucket(), encode_path(key))
    }

    fn report(
        &self,
        tag: &str,
        outcome: Outcome,
        actions: Vec<String>,
        assets: Vec<AssetReport>,
    ) -> Published {
        Published {
            actions,
            assets,
            requests: self.requests.load(Ordering::Relaxed),
            bytes_sent: self.sent.load(Ordering::Relaxed),
            ..Published::new(outcome, tag, self.shown(tag))
        }
    }
}

/// Returns the condition for replacing an object: that it still has this entity tag.
fn unless_changed(e_tag: Option<String>) -> PutMode {
    match e_tag {
        Some(_) => PutMode::Update(UpdateVersion {
            e_tag,
            version: None,
        }),
        None => PutMode::Overwrite,
    }
}

#[cfg(test)]
mod tests;
