//! Publishing to GitHub, in eight steps:
//!
//! 1. preflight: files, names and sizes (when the bundle is made), then the token's permissions
//!    (checked if the first write is refused, or if a public release is to be changed);
//! 2. the draft is found or created, and locked, so that there is one writer;
//! 3. existing files are compared by digest;
//! 4. uploads, few at once, each with a stall deadline;
//! 5. after any failure, the state at the host is read before deciding;
//! 6. rate limits are honoured and writes are paced;
//! 7. every digest is verified at the host, and only then the release becomes public;
//! 8. everything is downloaded again and compared, still under the lock; a release that changed
//!    becomes a draft again.

use futures_util::future::Either;
use sysforge_plan::Reporter;

use super::GitHub;
use super::api::{Asset as RemoteAsset, Release};
use super::drafts::{Draft, is_marked};
use super::dry_run::dry_run;
use super::journal::{Notes, PublishJournal};
use super::lease::{LOCK_NAME, Lease, NoLease};
use super::outcome::{missing, report};
pub use super::policy::Policy;
use super::policy::Publication;
use super::recheck::{Check, Computed, Depth, Was};
pub use super::rights::preflight;
use super::rights::{repository_error, require_rights, require_token};
use super::send::{Sent, concerns, is_complete, verified};
use crate::documents::notes;
use crate::error::PublishError;
use crate::release_bundle::{Kind, ReleaseBundle};
use crate::report::{Outcome, Published};

/// The maximum number of times that another draft turns out to be the one to use.
const MAX_DRAFT_CHANGES: usize = 5;

/// Publishes a bundle.
///
/// # Errors
///
/// Any [`PublishError`]. Unless it says otherwise, nothing has become public, and the same call
/// continues where this one stopped.
pub async fn publish(
    host: &GitHub,
    bundle: &ReleaseBundle,
    policy: &Policy,
    reporter: &Reporter,
) -> Result<Published, PublishError> {
    let seen = look_ahead(host, &bundle.tag).await?;
    publish_seen(host, bundle, policy, seen, reporter).await
}

/// Publishes a bundle to a host whose state was read before, for the bundle's tag.
///
/// # Errors
///
/// Those of [`publish`].
pub async fn publish_seen(
    host: &GitHub,
    bundle: &ReleaseBundle,
    policy: &Policy,
    seen: Seen,
    reporter: &Reporter,
) -> Result<Published, PublishError> {
    let publication = Publication {
        host,
        bundle,
        policy,
        reporter,
    };
    let mut seen = Some(seen);
    let mut journal = None;
    for _ in 0..MAX_DRAFT_CHANGES {
        let seen = match seen.take() {
            Some(seen) => seen,
            None => look_ahead(host, &bundle.tag).await?,
        };
        let (public, drafts) = match look(publication, seen).await? {
            Look::Done(published) => return Ok(*published),
            Look::Public(release, remote) => (Some((release, remote)), Vec::new()),
            Look::Drafts(drafts) => (None, drafts),
        };
        if policy.dry_run {
            return dry_run(publication, public, drafts).await;
        }
        let journal = match &mut journal {
            Some(journal) => journal,
            None => {
                let path = host.journal_path(&policy.state, &bundle.tag);
                journal.insert(PublishJournal::open(path, &bundle.tag)?)
            }
        };
        let (draft, known) = match public {
            Some((release, remote)) => (Draft::found(release), Some(remote)),
            None => {
                let (tag, target) = (&bundle.tag, policy.target.as_deref());
                let draft = host
                    .draft(tag, drafts, target, &bundle.notes, journal)
                    .await?;
                (draft, None)
            }
        };
        if let Some(published) = work(publication, draft, known, journal).await? {
            return Ok(published);
        }
    }
    Err(PublishError::Another {
        tag: bundle.tag.clone(),
        who: "drafts of this tag come and go".to_owned(),
    })
}

/// The state of a release at the host.
#[derive(Debug)]
pub struct Seen {
    public: Option<Release>,
    /// The drafts, if no release is public.
    drafts: Vec<Release>,
}

/// Requests everything that does not depend on the files, so that they can be read meanwhile: the
/// public release, and at the same time drafts. A release that is public and complete takes only
/// these two requests.
///
/// # Errors
///
/// If a request fails, or there is no token.
pub async fn look_ahead(host: &GitHub, tag: &str) -> Result<Seen, PublishError> {
    require_token(host)?;
    let public = std::pin::pin!(host.public_release(tag));
    let drafts = std::pin::pin!(host.drafts(tag));
    let (public, drafts) = match futures_util::future::select(public, drafts).await {
        // There may be many pages of releases, which are not needed then.
        Either::Left((Ok(Some(public)), _)) => (Ok(Some(public)), Ok(Vec::new())),
        Either::Left((public, drafts)) => (public, drafts.await),
        Either::Right((drafts, public)) => (public.await, drafts),
    };
    let public = public.map_err(|failure| host.error("look for the release", failure))?;
    if public.is_some() {
        let drafts = Vec::new();
        return Ok(Seen { public, drafts });
    }
    let drafts = drafts.map_err(|failure| match failure.is_not_found() {
        true => repository_error(host, failure),
        false => host.error("list the releases", failure),
    })?;
    Ok(Seen { public, drafts })
}

/// The state of a release compared with a bundle.
enum Look {
    /// It is public and complete.
    Done(Box<Published>),
    /// It is public, and lacks something.
    Public(Release, Vec<RemoteAsset>),
    /// It is not public; these are its drafts.
    Drafts(Vec<Release>),
}

/// Compares the state at the host with the bundle. A release that is public and complete needs
/// nothing more.
async fn look(publication: Publication<'_>, seen: Seen) -> Result<Look, PublishError> {
    let Publication {
        host,
        bundle,
        policy,
        reporter,
    } = publication;
    let tag = &bundle.tag;
    let Some(release) = seen.public else {
        // Drafts are visible only with write permission. If there are none, the first write shows
        // whether the token has that permission; a dry run makes no write.
        if seen.drafts.is_empty() && policy.dry_run {
            require_rights(host).await?;
        }
        return Ok(Look::Drafts(seen.drafts));
    };
    let mut computed = Computed::new();
    let wanted = |remote: &RemoteAsset| concerns(bundle, remote);
    let mut remote = release.assets.clone();
    host.fill_digests(&mut remote, &wanted, &mut computed)
        .await?;
    if !matches!(is_complete(bundle, &remote), Ok(true)) {
        remote = host.list_files(release.id).await?;
        host.fill_digests(&mut remote, &wanted, &mut computed)
            .await?;
    }
    let immutable = release.immutable == Some(true);
    if immutable {
        // Its files never change again; the lock of a run that was killed stays too.
        remote.retain(|remote| remote.name != LOCK_NAME);
    }
    let path = host.journal_path(&policy.state, tag);
    let notes = PublishJournal::peek(&path);
    let unchecked = notes.unchecked() == Some(release.id) && !policy.dry_run;
    let statement = match unchecked {
        true => changed_statement(bundle, &remote, release.id, &notes),
        false => None,
    };
    // An earlier run made it public, and was stopped before it noticed that it had changed.
    if unchecked
        && !immutable
        && (statement.is_some() || is_complete(bundle, &remote).is_err())
        && let Ok(now) = host.withdraw(release.id).await
        && now.draft
    {
        let text = format!("{tag} had changed when it was made public, and is a draft again");
        reporter.note(text);
        return Ok(Look::Drafts(vec![now]));
    }
    if let Some(name) = statement {
        return Err(PublishError::Different { name });
    }
    match is_complete(bundle, &remote) {
        Ok(true) if unchecked && policy.recheck && immutable => {
            let files = verified(bundle, &remote)?;
            let check = Check {
                was: Was::Public,
                depth: Depth::Download,
            };
            host.check_public(&release, &files, check, reporter).await?;
            PublishJournal::open(path, tag)?.set_unchecked(None)?;
            let report = Published {
                rechecked: files.len(),
                ..report(host, &release, bundle, &[], Outcome::Published)
            };
            return Ok(Look::Done(Box::new(report)));
        }
        // An earlier run made it public, and did not finish its check.
        Ok(true) if unchecked && policy.recheck => {}
        Ok(true) => {
            forget_draft(host, policy, &release).await?;
            let report = report(host, &release, bundle, &[], Outcome::Unchanged);
            return Ok(Look::Done(Box::new(report)));
        }
        Err(error) if !policy.replace && !policy.draft => return Err(error),
        Ok(false) | Err(_) => {}
    }
    if immutable {
        let missing = missing(bundle, &remote);
        return Err(PublishError::Immutable(tag.clone(), missing));
    }
    require_rights(host).await?;
    Ok(Look::Public(release, remote))
}

/// Returns a statement that differs from the one sent by the run that made the release public.
/// Usually a different statement is from another run and may stay; this one was changed.
fn changed_statement(
    bundle: &ReleaseBundle,
    remote: &[RemoteAsset],
    release: u64,
    notes: &Notes,
) -> Option<String> {
    let statements = bundle.assets.iter().filter(|a| a.kind == Kind::Statement);
    let mut names = statements.map(|asset| &asset.name);
    let changed = names.find(|name| {
        let there = remote.iter().find(|remote| remote.name == **name);
        let sent = notes.sent(release, name);
        sent.is_some() && there.is_some_and(|there| there.sha256() != sent)
    });
    changed.cloned()
}

/// Deletes the draft of an earlier run that lost against another publisher, and was killed before
/// it deleted its own draft.
async fn forget_draft(
    host: &GitHub,
    policy: &Policy,
    public: &Release,
) -> Result<(), PublishError> {
    let noted = PublishJournal::peek(&host.journal_path(&policy.state, &public.tag_name)).draft();
    let Some(id) = noted.filter(|id| *id != public.id && !policy.dry_run) else {
        return Ok(());
    };
    let fail = |failure| host.error("delete a second draft", failure);
    if let Some(draft) = host.release(id).await.map_err(fail)?
        && draft.draft
        && draft.tag_name == public.tag_name
        && is_marked(&draft)
    {
        host.delete_release(id).await.map_err(fail)?;
    }
    Ok(())
}

/// Performs steps 2 to 8 on one release. `None` if an older draft appeared, or the draft no longer
/// exists.
async fn work(
    publication: Publication<'_>,
    draft: Draft,
    known: Option<Vec<RemoteAsset>>,
    journal: &mut PublishJournal,
) -> Result<Option<Published>, PublishError> {
    let Publication {
        host,
        bundle,
        policy,
        reporter,
    } = publication;
    let release = &draft.release;
    let tag = &release.tag_name;
    let lease = match host.take_lease(release, journal, reporter).await {
        Ok(lease) => lease,
        Err(NoLease::Gone) => return Ok(None),
        Err(NoLease::Error(error)) => return Err(error),
    };
    let sending = send(publication, &draft, known, &lease, journal);
    let publishes = release.draft && !policy.draft;
    let asking = async { publishes.then_some(host.makes_immutable().await) };
    let (sent, makes_immutable) = tokio::join!(sending, asking);
    let sent = match sent {
        Ok(Some(sent)) => sent,
        Ok(None) => {
            // Ours is the younger one: it is deleted, with its lock.
            lease.leave();
            delete_own(host, release).await?;
            return Ok(None);
        }
        Err(error) => return Err(host.give_up(Some(lease), tag, error).await),
    };
    if policy.draft && release.draft {
        let draft = match stay_draft(host, bundle, release).await {
            Ok(draft) => draft,
            Err(error) => return Err(host.give_up(Some(lease), tag, error).await),
        };
        host.give_back(lease, tag).await?;
        let report = report(host, &draft, bundle, &sent.outcomes, Outcome::Drafted);
        return Ok(Some(report));
    }
    // Files of an immutable release, including the lock, cannot be deleted; nor can anybody change
    // them while they are checked.
    let lease = match makes_immutable {
        Some(Some(true) | None) => {
            host.give_back(lease, tag).await?;
            None
        }
        Some(Some(false)) | None => Some(lease),
    };
    publish_sent(publication, draft, sent, lease, journal).await
}

/// Performs steps 7 and 8: makes the release public, and checks it. `None` if another publisher of
/// the same tag was faster.
async fn publish_sent(
    publication: Publication<'_>,
    draft: Draft,
    sent: Sent,
    lease: Option<Lease>,
    journal: &mut PublishJournal,
) -> Result<Option<Published>, PublishError> {
    let Publication { host, bundle, .. } = publication;
    let release = &draft.release;
    let tag = &release.tag_name;
    // A release that an earlier run of ours made public but did not check counts as its draft.
    let was = match release.draft || journal.notes().unchecked() == Some(release.id) {
        true => Was::Draft,
        false => Was::Public,
    };
    if publication.policy.recheck {
        journal.set_unchecked(Some(release.id))?;
    }
    let publish = async {
        match release.draft {
            true => make_public(host, bundle, release).await,
            false => Ok(Some(release.clone())),
        }
    };
    // Neither may cancel the other: a request that was sent may have been executed.
    let (public, left) = tokio::join!(publish, left_drafts(host, release));
    let public = match public {
        Ok(Some(public)) => public,
        Ok(None) => {
            // The release of the other publisher is checked next.
            if draft.made {
                lease.into_iter().for_each(Lease::leave);
                delete_own(host, release).await?;
            } else if let Some(lease) = lease {
                host.give_back(lease, tag).await?;
            }
            return Ok(None);
        }
        Err(error) => return Err(host.give_up(lease, tag, error).await),
    };
    let (depth, rechecked) = match publication.policy.recheck {
        true => (Depth::Download, sent.files.len()),
        false => (Depth::List, 0),
    };
    let check = Check { was, depth };
    let checked = host.check_public(&public, &sent.files, check, publication.reporter);
    if let Err(error) = checked.await {
        return Err(host.end_unchecked(lease, tag, error).await);
    }
    journal.set_unchecked(None)?;
    tokio::try_join!(
        async {
            match lease.map(|lease| host.give_back(lease, tag)) {
                // The publisher that took the lock found the same files.
                Some(given) => match given.await {
                    Err(PublishError::Another { .. }) => Ok(()),
                    given => given,
                },
                None => Ok(()),
            }
        },
        async { clear(host, &left?).await },
    )?;
    Ok(Some(Published {
        rechecked,
        ..report(host, &public, bundle, &sent.outcomes, Outcome::Published)
    }))
}

/// Sends everything, and meanwhile makes sure that a draft which this run created is the oldest
/// one. `None` if it is not.
async fn send(
    publication: Publication<'_>,
    draft: &Draft,
    known: Option<Vec<RemoteAsset>>,
    lease: &Lease,
    journal: &mut PublishJournal,
) -> Result<Option<Sent>, PublishError> {
    let host = publication.host;
    let known = known.or_else(|| draft.made.then(Vec::new));
    let sending = host.send_all(publication, &draft.release, known, lease, journal);
    let sending = std::pin::pin!(sending);
    let looking = std::pin::pin!(async {
        if !draft.made {
            return Ok(None);
        }
        let older = host.older(&draft.release).await;
        older.map_err(|failure| host.error("list the releases", failure))
    });
    let sent = match futures_util::future::select(sending, looking).await {
        Either::Left((sent, looking)) => {
            let sent = sent?;
            if looking.await?.is_some() {
                return Ok(None);
            }
            sent
        }
        Either::Right((older, sending)) => {
            if older?.is_some() {
                return Ok(None);
            }
            sending.await?
        }
    };
    clear(host, &draft.younger).await?;
    Ok(Some(sent))
}

/// Returns other drafts of the tag, which dead publishers may have left.
async fn left_drafts(host: &GitHub, own: &Release) -> Result<Vec<u64>, PublishError> {
    let mut drafts = host.list_drafts(&own.tag_name).await?;
    drafts.retain(|draft| draft.id != own.id && is_marked(draft));
    Ok(drafts.iter().map(|draft| draft.id).collect())
}

async fn clear(host: &GitHub, drafts: &[u64]) -> Result<(), PublishError> {
    let cleared = host.clear(drafts).await;
    cleared.map_err(|failure| host.error("delete a second draft", failure))
}

async fn delete_own(host: &GitHub, release: &Release) -> Result<(), PublishError> {
    let deleted = host.delete_release(release.id).await;
    deleted.map_err(|failure| host.error("delete a second draft", failure))
}

/// Keeps the release a draft, with notes about everything that is in it now.
async fn stay_draft(
    host: &GitHub,
    bundle: &ReleaseBundle,
    release: &Release,
) -> Result<Release, PublishError> {
    let before = release.body.as_deref().unwrap_or_default();
    let text = notes::merge(before, &bundle.notes, &bundle.index_address);
    host.describe(release.id, &text)
        .await
        .map_err(|failure| host.error("write the notes of the draft", failure))
}

/// Step 7: the one request that makes everything public. `None` if another release of the tag has
/// become public.
async fn make_public(
    host: &GitHub,
    bundle: &ReleaseBundle,
    release: &Release,
) -> Result<Option<Release>, PublishError> {
    let before = release.body.as_deref().unwrap_or_default();
    let text = notes::merge(before, &bundle.notes, &bundle.index_address);
    let failure = match host.make_public(release.id, &text).await {
        Ok(public) => return Ok(Some(public)),
        Err(failure) => failure,
    };
    // The answer may have been lost although the release is public.
    if let Ok(Some(now)) = host.release(release.id).await
        && !now.draft
    {
        return Ok(Some(now));
    }
    if failure.is_taken() {
        return Ok(None);
    }
    Err(match failure.status() {
        Some(403 | 404 | 422) => host.creation_error(&release.tag_name, failure),
        _ => host.error("publish the release", failure),
    })
}
