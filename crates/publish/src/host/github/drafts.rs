//! Finding or creating the draft of a tag, and making sure that there is only one in the end. Lists
//! of releases lag and answers get lost, so two runs can create two drafts. The oldest counts, and
//! the run that created a younger one deletes it.

use std::collections::BTreeMap;

use sysforge_net::FailedAttempts;

use super::GitHub;
use super::api::{Asset, Release};
use super::call::until;
use super::journal::PublishJournal;
use super::lease::LOCK_NAME;
use super::rights::require_rights;
use crate::documents::notes;
use crate::error::PublishError;
use crate::host::failure::Failure;

/// A draft to work on.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) release: Release,
    /// Whether this run created it, so that an older one may still appear.
    pub(super) made: bool,
    /// Younger drafts of the same tag, created by Sysforge.
    pub(super) younger: Vec<u64>,
}

impl Draft {
    /// An existing release without younger drafts.
    pub(super) fn found(release: Release) -> Self {
        Self {
            release,
            made: false,
            younger: Vec::new(),
        }
    }
}

impl GitHub {
    /// Finds the draft of a tag among `listed` (oldest first) or in the journal of an earlier run,
    /// or creates one.
    pub(super) async fn draft(
        &self,
        tag: &str,
        listed: Vec<Release>,
        target: Option<&str>,
        text: &str,
        journal: &mut PublishJournal,
    ) -> Result<Draft, PublishError> {
        let mut drafts = listed;
        if let Some(noted) = journal.notes().draft()
            && !drafts.iter().any(|draft| draft.id == noted)
        {
            // The list lags; a request by number does not.
            let noted = self
                .release(noted)
                .await
                .map_err(|failure| self.error("look at the draft", failure))?;
            drafts.extend(noted.filter(|release| release.draft && release.tag_name == tag));
            drafts.sort_by_key(|draft| draft.id);
        }
        if let Some(draft) = choose(drafts) {
            journal.set_draft(draft.release.id)?;
            return Ok(draft);
        }
        let mut failed = FailedAttempts::default();
        loop {
            let failure = match self.create_draft(tag, target, text).await {
                Ok(release) => {
                    journal.set_draft(release.id)?;
                    return Ok(Draft {
                        release,
                        made: true,
                        younger: Vec::new(),
                    });
                }
                Err(failure) => failure,
            };
            if self.timing.is_last(&mut failed, &failure) {
                if let Some(403 | 404 | 422) = failure.status() {
                    require_rights(self).await?;
                }
                return Err(self.creation_error(tag, failure));
            }
            self.pause(failed, &failure)
                .await
                .map_err(|failure| self.error("create the draft", failure))?;
            // It may have been created nevertheless. If the list does not show it yet, the draft
            // that is created now is the younger one and is deleted later.
            if let Some(mut draft) = choose(self.list_drafts(tag).await?) {
                journal.set_draft(draft.release.id)?;
                draft.made = true;
                return Ok(draft);
            }
        }
    }

    /// Converts a refusal to create a draft. The permissions are sufficient, as far as the host
    /// reports, so it is most likely about the tag or its commit.
    pub(super) fn creation_error(&self, tag: &str, failure: Failure) -> PublishError {
        match &failure {
            Failure::Status {
                status: 403 | 404 | 422,
                ..
            } => PublishError::Tag {
                tag: tag.to_owned(),
                message: failure.words(),
            },
            _ => self.error("create the draft", failure),
        }
    }

    /// Waits until the list shows the draft that this run created, and returns an older draft of
    /// the tag if there is one.
    pub(super) async fn older(&self, own: &Release) -> Result<Option<Release>, Failure> {
        let mut older = None;
        until(
            self.timing.lag,
            self.timing.retries.first_delay,
            async || {
                let drafts = self.drafts(&own.tag_name).await?;
                let shown = drafts.iter().any(|draft| draft.id == own.id);
                older = drafts
                    .into_iter()
                    .find(|draft| draft.id < own.id && is_marked(draft));
                Ok(shown || older.is_some())
            },
        )
        .await?;
        Ok(older)
    }

    /// Deletes younger drafts of the same tag, once it is certain that no publisher uses them.
    pub(super) async fn clear(&self, younger: &[u64]) -> Result<(), Failure> {
        for id in younger {
            let before = self.signs(*id).await?;
            let gone = until(self.timing.dead, self.timing.beat, async || {
                Ok(self.release(*id).await?.is_none_or(|draft| !draft.draft))
            });
            // Without a lock, no publisher uses it: its creator deletes it, or is dead.
            let gone = before.is_some() && gone.await?;
            if !gone && self.signs(*id).await? == before {
                self.delete_release(*id).await?;
            }
        }
        Ok(())
    }

    /// Returns the label of a draft's lock, which changes while a publisher is alive.
    async fn signs(&self, release: u64) -> Result<Option<String>, Failure> {
        let assets = match self.assets(release).await {
            Err(failure) if failure.is_not_found() => return Ok(None),
            assets => assets?,
        };
        let lock = assets.into_iter().find(|asset| asset.name == LOCK_NAME);
        Ok(lock.map(|lock| lock.label.unwrap_or_default()))
    }
}

impl GitHub {
    /// Returns the tag and the files of a release, by name: that of `tag`, or the latest. With
    /// `drafts`, a draft of the tag is accepted if there is no public release.
    pub(crate) async fn release_files(
        &self,
        tag: Option<&str>,
        drafts: bool,
    ) -> Result<Option<(String, BTreeMap<String, u64>)>, PublishError> {
        let what = "look for the release";
        let fail = |failure| self.error(what, failure);
        let mut release: Option<Release> = match tag {
            Some(tag) => self.public_release(tag).await,
            None => self.latest().await,
        }
        .map_err(fail)?;
        if let (None, true, Some(tag)) = (&release, drafts, tag) {
            let drafts = self.drafts(tag).await.map_err(fail)?;
            release = choose(drafts).map(|draft| draft.release);
        }
        let Some(release) = release else {
            return Ok(None);
        };
        let files = self
            .list_files(release.id)
            .await?
            .into_iter()
            .filter(Asset::is_uploaded);
        let files = files.map(|asset| (asset.name, asset.id)).collect();
        Ok(Some((release.tag_name, files)))
    }
}

/// Chooses the oldest draft that Sysforge created, or else the oldest.
pub(super) fn choose(mut drafts: Vec<Release>) -> Option<Draft> {
    let first = drafts.iter().position(is_marked).unwrap_or(0);
    if drafts.is_empty() {
        return None;
    }
    let release = drafts.remove(first);
    let younger = drafts
        .iter()
        .filter(|draft| draft.id > release.id && is_marked(draft))
        .map(|draft| draft.id)
        .collect();
    Some(Draft {
        release,
        made: false,
        younger,
    })
}

/// Whether Sysforge created a draft. It never deletes others.
pub(super) fn is_marked(draft: &Release) -> bool {
    draft.body.as_deref().is_some_and(notes::is_ours)
}
