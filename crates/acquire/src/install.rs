//! Installs one archive into the store: look it up, lock, look it up again, fetch, verify, and
//! rename it to its final path.

use std::path::Path;
use std::sync::Arc;

use sysforge_files::FileLock;
use sysforge_net::Fetcher;
use sysforge_plan::signing::SignatureCheck;
use sysforge_plan::{ArchiveFormat, JuliaVersion, Reporter, Sha256, Step, Task, Triplet};
use tokio::sync::mpsc;
use url::Url;

use crate::error::Error;
use crate::mirror::Location;
use crate::pipeline::{self, ByteSource, Expected, Job, MAX_BYTES, check_size, is_damage};
use crate::signature::{Pending, Plan, Signatures};
use crate::store::{Entry, EntryId, Lookup, Partial, Record, Store};
use sysforge_archive::{Cancel, Kind, Links};

/// An archive to install, and the store entry that it becomes.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) id: EntryId,
    /// The archive's name, for messages.
    pub(crate) what: String,
    pub(crate) location: Location,
    pub(crate) expected: Option<Expected>,
    pub(crate) format: ArchiveFormat,
    pub(crate) strip: usize,
    pub(crate) links: Links,
    pub(crate) version: Option<JuliaVersion>,
    pub(crate) triplet: Option<Triplet>,
    /// The detached signature of the archive.
    pub(crate) asc: Option<String>,
    /// The rules for signatures; `None` for archives whose digest is pinned in this program.
    pub(crate) signatures: Option<Arc<Signatures>>,
    /// A file that the unpacked tree must contain.
    pub(crate) must_have: Option<String>,
}

/// A store entry, and whether it was already there.
#[derive(Debug)]
pub(crate) struct Installed {
    pub(crate) entry: Entry,
    pub(crate) reused: bool,
}

impl Installed {
    /// Creates the result for an entry that already existed.
    pub(crate) fn found(entry: Entry) -> Self {
        Self {
            entry,
            reused: true,
        }
    }
}

/// Maximum number of times a download starts from the beginning because a partial download is
/// invalid or the server's file has changed.
const MAX_STARTS: u32 = 3;

/// Cancels the threads of an installation when its future is dropped.
struct CancelOnDrop(Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Returns the entry for `wanted`, and installs it if necessary.
pub(crate) async fn install(
    store: &Store,
    fetcher: impl AsyncFn() -> Result<Fetcher, Error>,
    reporter: &Reporter,
    wanted: &Wanted,
) -> Result<Installed, Error> {
    // Report problems with the signature that are detectable without the archive before downloading
    // it.
    wanted.pending_signature()?;
    if let Some(entry) = find_entry(store, wanted, Some(reporter)).await? {
        return Ok(Installed::found(entry));
    }
    if let Some(size) = wanted.expected.and_then(|expected| expected.size) {
        check_size(&wanted.what, size, MAX_BYTES)?;
    }
    store.create().map_err(|source| Error::ReadOnlyStore {
        path: store.root().to_owned(),
        source,
    })?;
    let mut lock = store
        .wait_for_lock(&wanted.id, "installing", reporter)
        .await?;
    // Another process may have installed it in the meantime. The warnings were already reported.
    if let Some(entry) = find_entry(store, wanted, None).await? {
        return Ok(Installed::found(entry));
    }
    let mut starts = 0;
    loop {
        starts += 1;
        let task = reporter.start(Step::Download, &wanted.what);
        let attempt = match &wanted.location {
            Location::File(path) => {
                let feed = ByteSource::File(path.clone());
                (
                    unpack_and_commit(store, wanted, feed, lock, task).await,
                    false,
                )
            }
            Location::Web(url) => from_web(store, &fetcher().await?, wanted, url, lock, task).await,
        };
        match attempt {
            (Ok(entry), _) => {
                return Ok(Installed {
                    entry,
                    reused: false,
                });
            }
            (Err((error, returned_lock)), resumed) => {
                let wrong_bytes = match &error {
                    Error::Digest { .. } | Error::Size { .. } => true,
                    Error::Unpack { source, .. } => is_damage(source),
                    _ => false,
                };
                let restart = error.is_file_changed() || resumed && wrong_bytes;
                match returned_lock {
                    Some(back) if restart && starts < MAX_STARTS => lock = back,
                    _ => return Err(error),
                }
            }
        }
    }
}

/// The result of one attempt: the entry, or the error and the lock for another attempt.
type Attempt = Result<Entry, (Error, Option<FileLock>)>;

async fn find_entry(
    store: &Store,
    wanted: &Wanted,
    reporter: Option<&Reporter>,
) -> Result<Option<Entry>, Error> {
    let (store, id) = (store.clone(), wanted.id.clone());
    match blocking(move || store.lookup(&id)).await? {
        Lookup::Whole(entry) if wanted.is_satisfied_by(&entry) => Ok(Some(*entry)),
        Lookup::Whole(_) => {
            let text = "was never checked; fetching it again";
            if let Some(reporter) = reporter {
                reporter.note(format!("the signature of the store's {} {text}", wanted.id));
            }
            Ok(None)
        }
        Lookup::Absent => Ok(None),
        Lookup::Damaged(damage) => {
            let text = format!("is damaged ({damage}); fetching it again");
            if let Some(reporter) = reporter {
                reporter.warn(format!("the store's {} {text}", wanted.id), None);
            }
            Ok(None)
        }
    }
}

impl Wanted {
    /// Returns the signature to verify, or the reason why none is verified.
    fn pending_signature(&self) -> Result<(Option<Pending>, SignatureCheck), Error> {
        let not_checked = |reason: &str| SignatureCheck::NotChecked {
            reason: reason.to_owned(),
        };
        let (Some(signatures), Some(version)) = (&self.signatures, &self.version) else {
            return Ok((None, not_checked("pinned by its digest")));
        };
        Ok(
            match signatures.plan(&self.what, version, self.asc.as_deref())? {
                Plan::Check(pending) => (Some(*pending), not_checked("")),
                Plan::Skip(check) => (None, check),
            },
        )
    }

    fn is_satisfied_by(&self, entry: &Entry) -> bool {
        let required = self.signatures.as_ref().is_some_and(|s| s.required);
        !required || matches!(entry.record().signature, SignatureCheck::Good { .. })
    }
}

/// Downloads and installs. Also returns whether an earlier download was resumed.
async fn from_web(
    store: &Store,
    fetcher: &Fetcher,
    wanted: &Wanted,
    url: &Url,
    lock: FileLock,
    task: Task,
) -> (Attempt, bool) {
    let mut key = partial_key(wanted);
    if !lock.is_real() {
        // Without locks, other processes may download the same archive, so each uses its own file.
        key = format!("{key}-{}", std::process::id());
    }
    let partial = store.partial(&key);
    let name = wanted.location.to_string();
    let (offset, validator) = partial.resume(&name);
    let size = wanted.expected.and_then(|expected| expected.size);
    let offset = if size.is_some_and(|size| offset > size) {
        0
    } else {
        offset
    };
    if size == Some(offset) && offset > 0 {
        // All bytes were downloaded; the earlier process died while unpacking.
        let feed = ByteSource::File(partial.path().to_owned());
        return (
            unpack_from_partial(store, wanted, feed, lock, task, partial).await,
            true,
        );
    }
    let opened = match fetcher.open(url, offset, validator).await {
        Ok(opened) => opened,
        Err(error) => return (Err((error.into(), Some(lock))), false),
    };
    let resumed = opened.start > 0;
    if let (Some(expected), Some(actual)) = (size, opened.total)
        && expected != actual
    {
        let error = Error::Size {
            what: wanted.what.clone(),
            expected,
            actual,
        };
        partial.remove();
        return (Err((error, Some(lock))), resumed);
    }
    if let Err(error) = check_size(&wanted.what, opened.total.unwrap_or(0), MAX_BYTES) {
        partial.remove();
        return (Err((error, Some(lock))), resumed);
    }
    let file = match partial.open(opened.start, &name, opened.validator.as_deref()) {
        Ok(file) => file,
        Err(error) => return (Err((error, None)), resumed),
    };
    let (sender, bytes) = mpsc::channel(32);
    let feed = ByteSource::Network {
        partial: file,
        path: partial.path().to_owned(),
        kept: opened.start,
        total: opened.total,
        bytes,
    };
    let unpacking = unpack_from_partial(store, wanted, feed, lock, task, partial);
    (
        download_and_unpack(fetcher.download(opened, sender), unpacking).await,
        resumed,
    )
}

/// Runs the download and the unpacking concurrently. A failed download interrupts the unpacking, so
/// its error is returned then; otherwise an error of the unpacking takes precedence.
async fn download_and_unpack(
    pumping: impl Future<Output = Result<(), sysforge_net::Error>>,
    unpacking: impl Future<Output = Attempt>,
) -> Attempt {
    let (pumped, unpacked) = tokio::join!(pumping, unpacking);
    match (pumped, unpacked) {
        (_, Ok(entry)) => Ok(entry),
        (Err(network), Err((Error::Interrupted, lock))) => Err((network.into(), lock)),
        (_, Err(error)) => Err(error),
    }
}

/// Unpacks and commits, and removes the partial download unless it can be resumed.
async fn unpack_from_partial(
    store: &Store,
    wanted: &Wanted,
    feed: ByteSource,
    lock: FileLock,
    task: Task,
    partial: Partial,
) -> Attempt {
    let attempt = unpack_and_commit(store, wanted, feed, lock, task).await;
    let keep = matches!(&attempt, Err((Error::Interrupted, _)));
    if !keep {
        partial.remove();
    }
    attempt
}

/// Unpacks, verifies, and moves the result into its place in the store.
async fn unpack_and_commit(
    store: &Store,
    wanted: &Wanted,
    feed: ByteSource,
    lock: FileLock,
    task: Task,
) -> Attempt {
    let cancel = Cancel::default();
    let _guard = CancelOnDrop(cancel.clone());
    let (store, wanted) = (store.clone(), wanted.clone());
    blocking(move || {
        Ok(unpack_and_commit_blocking(
            &store, &wanted, feed, lock, task, &cancel,
        ))
    })
    .await
    .unwrap_or_else(|error| Err((error, None)))
}

fn unpack_and_commit_blocking(
    store: &Store,
    wanted: &Wanted,
    feed: ByteSource,
    lock: FileLock,
    task: Task,
    cancel: &Cancel,
) -> Attempt {
    let made = (|| {
        let tree = store.temporary(&wanted.id)?;
        let job = Job {
            what: &wanted.what,
            expected: wanted.expected,
            format: wanted.format,
            strip: wanted.strip,
            links: wanted.links,
            limit: MAX_BYTES,
            into: tree.path(),
            cancel,
            task: &task,
        };
        let (pending, otherwise) = wanted.pending_signature()?;
        let unpacked = pipeline::run(&job, feed, pending)?;
        check_contents(wanted, tree.path())?;
        let signature = unpacked.signature.clone().unwrap_or(otherwise);
        seal(wanted, &unpacked, signature, tree.path())?;
        if cancel.is_cancelled() {
            return Err(Error::Interrupted);
        }
        store.commit(&wanted.id, &lock, tree)?;
        Ok(unpacked.size)
    })();
    match made {
        Ok(size) => {
            task.done(format!("{} MB", size.div_ceil(1_000_000)));
            match store.lookup(&wanted.id) {
                Ok(Lookup::Whole(entry)) => Ok(*entry),
                Ok(_) => Err((
                    Error::Io {
                        doing: "read what was just installed in",
                        path: store.entry_dir(&wanted.id),
                        source: std::io::Error::other("it was changed"),
                    },
                    None,
                )),
                Err(error) => Err((error, None)),
            }
        }
        Err(error) => Err((error, Some(lock))),
    }
}

fn check_contents(wanted: &Wanted, tree: &Path) -> Result<(), Error> {
    match &wanted.must_have {
        Some(name) if !tree.join(name).is_file() => Err(Error::MissingFile {
            what: wanted.what.clone(),
            missing: name.clone(),
        }),
        _ => Ok(()),
    }
}

fn seal(
    wanted: &Wanted,
    unpacked: &pipeline::Unpacked,
    signature: SignatureCheck,
    tree: &Path,
) -> Result<(), Error> {
    let listing = crate::store::write_listing(&unpacked.listing);
    let record = Record {
        schema: crate::store::SCHEMA,
        source: wanted.location.to_string(),
        sha256: unpacked.sha256,
        size: unpacked.size,
        signature,
        version: wanted.version.clone(),
        triplet: wanted.triplet,
        unpacked_bytes: unpacked
            .listing
            .values()
            .map(|item| match item.kind {
                Kind::File { size, .. } => size,
                _ => 0,
            })
            .sum(),
        listing: Sha256::of(&listing),
    };
    crate::store::seal(tree, &record, &listing).map_err(Error::io("write to", tree))
}

/// Returns the name of a partial download: the digest of the complete file.
fn partial_key(wanted: &Wanted) -> String {
    match &wanted.expected {
        Some(expected) => expected.sha256.to_string(),
        None => wanted.id.name().to_owned(),
    }
}

/// Runs a blocking function on a thread for blocking work.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|failure| match failure.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(Error::Interrupted),
        })
}
