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

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::signer::Signer as _;
use object_store::{
    Attribute, AttributeValue, Attributes, GetOptions, GetResult, ObjectStore, ObjectStoreExt,
    PutMode, PutOptions, RetryConfig, UpdateVersion,
};
use sysforge_net::{Client, Method, Network};
use sysforge_plan::release::{INDEX_NAME, SITE_NAME, Site};
use sysforge_plan::text::{self, Tag};
use sysforge_plan::{Reporter, Sha256, Step, Task};
use url::Url;

pub use access::S3Access;
pub(crate) use access::is_endpoint;
pub(crate) use failure::is_denied;
pub use location::S3Location;
pub(crate) use location::SCHEME;

use self::failure::{is_missing, is_unsupported, may_pass};
use self::lease::Lease;
use self::service::{Connector, Service, failure_of, parsed_url, payload};
use super::failure::Failure;
use super::{Cleanup, PublishOptions, Timing, encode_path};
use crate::error::PublishError;
use crate::fetch::{self, Sink};
use crate::release_bundle::{Asset, Content, Destination, Kind, ReleaseBundle};
use crate::report::{AssetOutcome, AssetReport, Outcome, Published};
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

/// Maximum number of attempts to change the list of releases; others may change it meanwhile.
const LIST_ATTEMPTS: usize = 10;

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
            client: client.clone(),
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
    pub async fn preflight(&self, tag: &str) -> Result<Published, PublishError> {
        self.require_keys()?;
        let lease = self.take_lease(tag, &Reporter::silent()).await?;
        self.give_back(lease).await?;
        Ok(self.report(tag, Outcome::Ready, Vec::new(), Vec::new()))
    }

    /// Publishes a bundle.
    ///
    /// # Errors
    ///
    /// Any [`PublishError`]. Nothing has become public then, and the same call continues where this one
    /// stopped.
    pub async fn publish(
        &self,
        bundle: &ReleaseBundle,
        options: PublishOptions,
        reporter: &Reporter,
    ) -> Result<Published, PublishError> {
        self.require_keys()?;
        if options.dry_run {
            return self.dry_run(bundle, options).await;
        }
        let lease = self.take_lease(&bundle.tag, reporter).await?;
        let published = self.under_lease(bundle, options, &lease, reporter).await;
        let given = self.give_back(lease).await;
        let published = published?;
        given?;
        Ok(published)
    }

    fn require_keys(&self) -> Result<(), StorageError> {
        match self.signs {
            true => Ok(()),
            false => Err(StorageError::NoCredentials(self.location.to_string())),
        }
    }

    /// Returns the actions that publishing would perform.
    async fn dry_run(
        &self,
        bundle: &ReleaseBundle,
        options: PublishOptions,
    ) -> Result<Published, PublishError> {
        let tag = &bundle.tag;
        let states = self.states(tag, bundle).await?;
        let public = self.is_public(tag).await?;
        if public && first_difference(bundle, &states).is_none() {
            let kept = bundle.outcomes(|_, _| AssetOutcome::Kept);
            return Ok(self.report(tag, Outcome::Unchanged, Vec::new(), kept));
        }
        if let Some(name) = first_difference(bundle, &states).filter(|_| public && !options.replace)
        {
            return Err(PublishError::Different { name });
        }
        let folder = self.shown(tag);
        let mut actions = vec![match public {
            true => format!("replace {folder}"),
            false => format!("write {folder}"),
        }];
        if !options.draft {
            actions.push(format!("list {tag} in {}", self.shown(SITE_NAME)));
        }
        let outcomes = bundle.outcomes(|number, _| outcome(states[number]));
        Ok(self.report(tag, Outcome::WouldPublish, actions, outcomes))
    }

    async fn under_lease(
        &self,
        bundle: &ReleaseBundle,
        options: PublishOptions,
        lease: &Lease,
        reporter: &Reporter,
    ) -> Result<Published, PublishError> {
        let tag = &bundle.tag;
        let public = self.is_public(tag).await?;
        let states = self.states(tag, bundle).await?;
        if public && first_difference(bundle, &states).is_none() {
            self.list(tag).await?;
            let kept = bundle.outcomes(|_, _| AssetOutcome::Kept);
            return Ok(self.report(tag, Outcome::Unchanged, Vec::new(), kept));
        }
        if let Some(name) = first_difference(bundle, &states).filter(|_| public && !options.replace)
        {
            return Err(PublishError::Different { name });
        }
        // Readers of a public release do not see the new one before it is complete.
        let staging = staging(tag);
        let folder = match public {
            true => staging.as_str(),
            false => tag.as_str(),
        };
        let is_index = |asset: &Asset| asset.kind == Kind::Index;
        let needed: Vec<_> = bundle
            .assets
            .iter()
            .zip(&states)
            .filter(|(asset, state)| **state != State::Same && !is_index(asset))
            .map(|(asset, _)| asset)
            .collect();
        futures_util::stream::iter(needed.iter().map(|asset| async move {
            let task = reporter.start(Step::Publish, &asset.name);
            let path = self.path(&format!("{folder}/{}", asset.name));
            if self.state(&path, asset).await? == State::Same {
                task.reused("already there");
                return Ok(());
            }
            self.send(&path, asset, &task).await?;
            task.done(crate::documents::notes::size(asset.size));
            Ok::<_, PublishError>(())
        }))
        .buffer_unordered(AT_ONCE)
        .try_collect::<Vec<()>>()
        .await?;

        let place_of = |asset: &Asset| {
            let is_new = needed.iter().any(|new| new.name == asset.name);
            let folder = if is_new { folder } else { tag };
            self.path(&format!("{folder}/{}", asset.name))
        };
        let sent: Vec<_> = bundle.assets.iter().filter(|a| !is_index(a)).collect();
        let mut rechecked = 0;
        if options.recheck {
            let task = reporter.start(Step::Publish, "downloading everything again");
            let checks = sent.iter().map(|asset| {
                let path = place_of(asset);
                async move { self.recheck(&path, asset).await }
            });
            let checks = futures_util::stream::iter(checks).buffer_unordered(AT_ONCE);
            // Compare every file, so that the next run sends all that differ.
            let results: Vec<_> = checks.collect().await;
            results.into_iter().collect::<Result<(), _>>()?;
            rechecked = sent.len();
            task.done(format!("{rechecked} files"));
        }
        let outcomes = bundle.outcomes(|number, _| outcome(states[number]));
        if options.draft {
            let report = self.report(tag, Outcome::Drafted, Vec::new(), outcomes);
            return Ok(Published {
                rechecked,
                ..report
            });
        }
        // Another publisher may have taken this one for dead.
        self.check_lease(lease, tag).await?;
        if public {
            self.replace(bundle, &needed, folder).await?;
        }
        self.write_index(bundle, reporter).await?;
        self.list(tag).await?;
        self.tidy(bundle, public).await;
        let report = self.report(tag, Outcome::Published, Vec::new(), outcomes);
        Ok(Published {
            rechecked,
            ..report
        })
    }

    /// Moves the new files of a release to its prefix. Meanwhile the release has no index: with its
    /// old index and new files, it would be refused as tampered with.
    async fn replace(
        &self,
        bundle: &ReleaseBundle,
        new: &[&Asset],
        folder: &str,
    ) -> Result<(), PublishError> {
        let tag = &bundle.tag;
        let index = self.path(&format!("{tag}/{INDEX_NAME}"));
        self.delete(&index)
            .await
            .map_err(|failure| self.error("delete the old index", failure))?;
        futures_util::stream::iter(new.iter().map(|asset| async move {
            let from = self.path(&format!("{folder}/{}", asset.name));
            let to = self.path(&format!("{tag}/{}", asset.name));
            let what = format!("copy {}", asset.name);
            let copied = self.store.copy(&from, &to).await;
            copied.map_err(|error| self.error(&what, failure_of(&error)))?;
            match self.state(&to, asset).await? {
                State::Same => Ok(()),
                State::Absent | State::Other => Err(self.altered(&to, asset).await),
            }
        }))
        .buffer_unordered(AT_ONCE)
        .try_collect::<Vec<()>>()
        .await?;
        Ok(())
    }

    /// Writes the index, which makes the release public.
    async fn write_index(
        &self,
        bundle: &ReleaseBundle,
        reporter: &Reporter,
    ) -> Result<(), PublishError> {
        let what = "write the index of the release";
        let fail = |failure| self.error(what, failure);
        let mut assets = bundle.assets.iter();
        let Some(asset) = assets.find(|asset| asset.kind == Kind::Index) else {
            return Ok(());
        };
        let Content::Memory(bytes) = &asset.content else {
            return Ok(());
        };
        let task = reporter.start(Step::Publish, &asset.name);
        let path = self.path(&format!("{}/{}", bundle.tag, asset.name));
        let put = self.put_if(&path, bytes.clone(), PutMode::Create).await;
        if let Conditional::Unsupported = put.map_err(fail)? {
            let put = self.put_if(&path, bytes.clone(), PutMode::Overwrite).await;
            put.map_err(fail)?;
        }
        // Written by this run, or by a faster one that does not use the lock.
        let mut sink = Sink::memory(DOCUMENT_LIMIT);
        let read = self.read(&path, &mut sink, None, None).await;
        read.map_err(|failure| self.error("read the index of the release", failure))?;
        if sink.into_bytes() != *bytes {
            return Err(PublishError::Another {
                tag: bundle.tag.clone(),
                who: format!("it has written {}", self.shown(path.as_ref())),
            });
        }
        task.done(crate::documents::notes::size(asset.size));
        Ok(())
    }

    /// Removes objects that do not belong to the release: files of the replaced one, and those of
    /// an interrupted run. The release is public already, so a failure is not an error.
    async fn tidy(&self, bundle: &ReleaseBundle, replaced: bool) {
        let names: BTreeSet<Path> = bundle
            .assets
            .iter()
            .map(|asset| self.path(&format!("{}/{}", bundle.tag, asset.name)))
            .collect();
        let mut folders = vec![self.path(&staging(&bundle.tag))];
        if replaced {
            folders.push(self.path(&bundle.tag));
        }
        for folder in folders {
            let listed: Vec<_> = self.store.list(Some(&folder)).collect().await;
            let objects = listed.into_iter().filter_map(Result::ok);
            let depth = folder.parts().count() + 1;
            for object in objects {
                // Not objects of another release whose tag begins with this one and a slash.
                let direct = object.location.parts().count() == depth;
                if direct && !names.contains(&object.location) {
                    let _ = self.delete(&object.location).await;
                }
            }
        }
    }

    /// Adds the tag to the list of releases.
    async fn list(&self, tag: &str) -> Result<(), PublishError> {
        let what = "change the list of releases";
        let fail = |failure| self.error(what, failure);
        let path = self.path(SITE_NAME);
        let tag = Tag::new(tag).map_err(|_| PublishError::BadTag(tag.to_owned()))?;
        for _ in 0..LIST_ATTEMPTS {
            let (mut site, mode) = match self.store.get(&path).await {
                Ok(found) => {
                    let e_tag = found.meta.e_tag.clone();
                    let bytes = found.bytes().await;
                    let bytes = bytes.map_err(|error| fail(failure_of(&error)))?;
                    // A list that cannot be read is created again: it only repeats what the
                    // releases show.
                    let site: Site = serde_json::from_slice(&bytes).unwrap_or_default();
                    (site, unless_changed(e_tag))
                }
                Err(error) => match failure_of(&error) {
                    failure if is_missing(&failure) => (Site::default(), PutMode::Create),
                    failure => return Err(fail(failure)),
                },
            };
            if site.tags.contains(&tag) {
                return Ok(());
            }
            site.tags.push(tag.clone());
            let text = text::json(&site);
            let put = self.put_if(&path, text.clone().into(), mode).await;
            match put.map_err(fail)? {
                Conditional::Done => return Ok(()),
                Conditional::Taken => {}
                Conditional::Unsupported => {
                    let put = self.put_if(&path, text.into(), PutMode::Overwrite).await;
                    put.map_err(fail)?;
                    return Ok(());
                }
            }
        }
        Err(PublishError::Another {
            tag: tag.to_string(),
            who: format!("it changes {} again and again", self.shown(SITE_NAME)),
        })
    }

    /// Downloads a file and compares it.
    async fn recheck(&self, path: &Path, asset: &Asset) -> Result<(), PublishError> {
        let mut sink = Sink::nothing();
        let what = format!("download {} again", asset.name);
        let read = self.read(path, &mut sink, Some(asset.size), None).await;
        read.map_err(|failure| self.error(&what, failure))?;
        if sink.sha256() == asset.sha256 {
            return Ok(());
        }
        // Its digest attribute is wrong; the next run sends it again.
        let _ = self.delete(path).await;
        Err(PublishError::HostDigest {
            name: asset.name.clone(),
            expected: asset.sha256,
            found: sink.sha256().to_string(),
        })
    }

    /// Returns the error for a copy that differs from its source.
    async fn altered(&self, path: &Path, asset: &Asset) -> PublishError {
        let mut sink = Sink::nothing();
        let read = self.read(path, &mut sink, None, None).await;
        PublishError::HostDigest {
            name: asset.name.clone(),
            expected: asset.sha256,
            found: match read {
                Ok(()) => sink.sha256().to_string(),
                Err(failure) => failure.words(),
            },
        }
    }

    async fn is_public(&self, tag: &str) -> Result<bool, PublishError> {
        let path = self.path(&format!("{tag}/{INDEX_NAME}"));
        match self
            .read(&path, &mut Sink::memory(DOCUMENT_LIMIT), None, None)
            .await
        {
            Ok(()) => Ok(true),
            Err(failure) if is_missing(&failure) => Ok(false),
            Err(failure) => Err(self.error("look for the release", failure)),
        }
    }

    /// Returns the state of each file of a release, in the order of the bundle.
    async fn states(&self, tag: &str, bundle: &ReleaseBundle) -> Result<Vec<State>, PublishError> {
        futures_util::stream::iter(bundle.assets.iter().map(|asset| {
            let path = self.path(&format!("{tag}/{}", asset.name));
            async move { self.state(&path, asset).await }
        }))
        .buffered(AT_ONCE)
        .try_collect()
        .await
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
                let mut sink = Sink::nothing();
                let read = self.read(path, &mut sink, Some(asset.size), None).await;
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
    async fn read(
        &self,
        path: &Path,
        sink: &mut Sink,
        size: Option<u64>,
        task: Option<&Task>,
    ) -> Result<(), Failure> {
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
        fetch::read_until(get, sink, size, &self.timing, task, is_final).await
    }

    /// Reads a file of a release into `sink`, and returns whether the file exists. `folder` is a
    /// tag, or empty for the prefix itself.
    pub(crate) async fn read_file(
        &self,
        folder: &str,
        name: &str,
        sink: &mut Sink,
        size: Option<u64>,
        task: Option<&Task>,
    ) -> Result<bool, PublishError> {
        let path = match folder.is_empty() {
            true => self.path(name),
            false => self.path(&format!("{folder}/{name}")),
        };
        match self.read(&path, sink, size, task).await {
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

/// Returns the folder for the new files of a public release until they are complete.
fn staging(tag: &str) -> String {
    // No tag begins with a dot, so it is not the folder of a release.
    format!(".{tag}.partial")
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

fn outcome(state: State) -> AssetOutcome {
    match state {
        State::Absent => AssetOutcome::Sent,
        State::Same => AssetOutcome::Kept,
        State::Other => AssetOutcome::Replaced,
    }
}

/// Returns the name of a file that is missing or differs. Another run writes another statement
/// about the same images, so any statement is accepted if everything else is the same.
fn first_difference(bundle: &ReleaseBundle, states: &[State]) -> Option<String> {
    let is_wrong = |(asset, state): &(&Asset, &State)| match state {
        State::Same => false,
        State::Absent => true,
        State::Other => asset.kind != Kind::Statement,
    };
    let mut assets = bundle.assets.iter().zip(states);
    let found = assets.find(is_wrong);
    found.map(|(asset, _)| asset.name.clone())
}

#[cfg(test)]
mod tests;
