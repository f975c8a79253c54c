//! Publishing a release below a prefix of a bucket, step by step.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode};
use sysforge_plan::release::{INDEX_NAME, SITE_NAME, Site};
use sysforge_plan::text::{self, Tag};
use sysforge_plan::{Reporter, Step};

use super::failure::is_missing;
use super::lease::Lease;
use super::service::failure_of;
use super::{AT_ONCE, Conditional, DOCUMENT_LIMIT, S3, State, unless_changed};
use crate::documents::notes::size;
use crate::error::PublishError;
use crate::fetch::Sink;
use crate::host::{PublishOptions, site_to_extend};
use crate::release_bundle::{Asset, Content, Kind, ReleaseBundle};
use crate::report::{AssetOutcome, AssetReport, Outcome, Published};

/// Maximum number of attempts to change the list of releases; others may change it meanwhile.
const LIST_ATTEMPTS: usize = 10;

/// Maximum number of objects of a listing that are looked at: more than a release has files.
const LISTED: usize = 10_000;

/// Maximum time that a listing takes. It serves only to remove what an earlier run has left.
const LISTING_TIME: Duration = Duration::from_secs(30);

/// What the service has of a release before it is published.
struct Comparison {
    /// Whether there is an index.
    public: bool,
    /// Whether it is public and nothing has to be sent.
    unchanged: bool,
    /// The state of each file, in the order of the bundle.
    states: Vec<State>,
}

impl S3 {
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

    /// Compares the release with the bundle.
    ///
    /// # Errors
    ///
    /// If a file of a public release differs and is not to be replaced.
    async fn compare(
        &self,
        bundle: &ReleaseBundle,
        options: PublishOptions,
    ) -> Result<Comparison, PublishError> {
        let public = self.is_public(&bundle.tag).await?;
        let states = self.states(&bundle.tag, bundle).await?;
        match first_difference(bundle, &states) {
            Some(name) if public && !options.replace => Err(PublishError::Different { name }),
            difference => Ok(Comparison {
                public,
                unchanged: public && difference.is_none(),
                states,
            }),
        }
    }

    /// Returns the actions that publishing would perform.
    async fn dry_run(
        &self,
        bundle: &ReleaseBundle,
        options: PublishOptions,
    ) -> Result<Published, PublishError> {
        let tag = &bundle.tag;
        let found = self.compare(bundle, options).await?;
        let outcomes = found.outcomes(bundle);
        if found.unchanged {
            return Ok(self.report(tag, Outcome::Unchanged, Vec::new(), outcomes));
        }
        let folder = self.shown(tag);
        let mut actions = vec![match found.public {
            true => format!("replace {folder}"),
            false => format!("write {folder}"),
        }];
        if !options.draft {
            actions.push(format!("list {tag} in {}", self.shown(SITE_NAME)));
        }
        Ok(self.report(tag, Outcome::WouldPublish, actions, outcomes))
    }

    pub(super) async fn under_lease(
        &self,
        bundle: &ReleaseBundle,
        options: PublishOptions,
        lease: &Lease,
        reporter: &Reporter,
    ) -> Result<Published, PublishError> {
        let tag = &bundle.tag;
        let found = self.compare(bundle, options).await?;
        let outcomes = found.outcomes(bundle);
        if found.unchanged {
            self.list(tag).await?;
            return Ok(self.report(tag, Outcome::Unchanged, Vec::new(), outcomes));
        }
        // Readers of a public release do not see the new one before it is complete.
        let staging = staging(tag);
        let folder = match found.public {
            true => staging.as_str(),
            false => tag.as_str(),
        };
        // The index is written last.
        let assets = bundle.assets.iter().zip(&found.states);
        let assets = assets.filter(|(asset, _)| asset.kind != Kind::Index);
        let (kept, needed): (Vec<_>, Vec<_>) =
            assets.partition(|(_, state)| **state == State::Same);
        let needed: Vec<_> = needed.into_iter().map(|(asset, _)| asset).collect();
        self.send_all(&needed, folder, reporter).await?;
        let mut rechecked = 0;
        if options.recheck {
            let kept = kept.into_iter().map(|(asset, _)| (asset, tag.as_str()));
            let sent = needed.iter().map(|asset| (*asset, folder));
            let all: Vec<_> = kept.chain(sent).collect();
            rechecked = all.len();
            self.recheck_all(all, reporter).await?;
        }
        let outcome = match options.draft {
            true => Outcome::Drafted,
            false => {
                // Another publisher may have taken this one for dead.
                self.check_lease(lease, tag).await?;
                if found.public {
                    self.replace(bundle, &needed, folder).await?;
                    if options.recheck {
                        // A service copies the digest attribute whatever it does to the bytes.
                        let copies = needed.iter().map(|asset| (*asset, tag.as_str()));
                        self.recheck_all(copies.collect(), reporter).await?;
                    }
                }
                self.write_index(bundle, reporter).await?;
                self.list(tag).await?;
                self.tidy(bundle, found.public).await;
                Outcome::Published
            }
        };
        let report = self.report(tag, outcome, Vec::new(), outcomes);
        Ok(Published {
            rechecked,
            ..report
        })
    }

    /// Sends the files to a folder, unless they are there already.
    async fn send_all(
        &self,
        assets: &[&Asset],
        folder: &str,
        reporter: &Reporter,
    ) -> Result<(), PublishError> {
        let sending = assets.iter().map(|asset| async move {
            let task = reporter.start(Step::Publish, &asset.name);
            let path = self.path(&format!("{folder}/{}", asset.name));
            if self.state(&path, asset).await? == State::Same {
                task.reused("already there");
                return Ok(());
            }
            self.send(&path, asset, &task).await?;
            task.done(size(asset.size));
            Ok(())
        });
        let sending = futures_util::stream::iter(sending).buffer_unordered(AT_ONCE);
        sending.try_collect().await
    }

    /// Downloads these files again, each from its folder, and compares them.
    async fn recheck_all(
        &self,
        files: Vec<(&Asset, &str)>,
        reporter: &Reporter,
    ) -> Result<(), PublishError> {
        let task = reporter.start(Step::Publish, "downloading everything again");
        let count = files.len();
        let checks = files.into_iter().map(|(asset, folder)| {
            let path = self.path(&format!("{folder}/{}", asset.name));
            async move { self.recheck(&path, asset).await }
        });
        let checks = futures_util::stream::iter(checks).buffer_unordered(AT_ONCE);
        // Compare every file, so that the next run sends all that differ.
        let results: Vec<_> = checks.collect().await;
        results.into_iter().collect::<Result<(), _>>()?;
        task.done(format!("{count} files"));
        Ok(())
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
        let read = self.read(&path, &mut sink).await;
        read.map_err(|failure| self.error("read the index of the release", failure))?;
        if sink.into_bytes() != *bytes {
            return Err(PublishError::Another {
                tag: bundle.tag.clone(),
                who: format!("it has written {}", self.shown(path.as_ref())),
            });
        }
        task.done(size(asset.size));
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
            let paths = self.listed(&folder);
            let Ok(paths) = tokio::time::timeout(LISTING_TIME, paths).await else {
                continue;
            };
            // Not objects of another release whose tag begins with this one and a slash.
            let own = |path: &&Path| is_direct(path, &folder) && !names.contains(*path);
            for path in paths.iter().filter(own) {
                let _ = self.delete(path).await;
            }
        }
    }

    /// Returns the objects that the service lists for a folder, which may be others than were asked for.
    /// A listing that fails, or names an object again as one without end does, ends there.
    async fn listed(&self, folder: &Path) -> BTreeSet<Path> {
        let mut objects = self.store.list(Some(folder));
        let mut paths = BTreeSet::new();
        while let Some(Ok(object)) = objects.next().await {
            if paths.len() == LISTED || !paths.insert(object.location) {
                break;
            }
        }
        paths
    }

    /// Adds the tag to the list of releases.
    pub(super) async fn list(&self, tag: &str) -> Result<(), PublishError> {
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
                    let site = site_to_extend(&bytes, || self.location.to_string())?;
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
    pub(super) async fn recheck(&self, path: &Path, asset: &Asset) -> Result<(), PublishError> {
        let mut sink = Sink::nothing().of_size(asset.size);
        let what = format!("download {} again", asset.name);
        let read = self.read(path, &mut sink).await;
        read.map_err(|failure| self.error(&what, failure))?;
        if sink.sha256() == asset.sha256 {
            return Ok(());
        }
        // Its digest attribute is wrong; the next run sends it again.
        let _ = self.delete(path).await;
        Err(asset.differs_at_host(sink.sha256().to_string()).await)
    }

    /// Returns the error for a copy that differs from its source.
    async fn altered(&self, path: &Path, asset: &Asset) -> PublishError {
        let mut sink = Sink::nothing();
        let read = self.read(path, &mut sink).await;
        let found = match read {
            Ok(()) => sink.sha256().to_string(),
            Err(failure) => failure.words(),
        };
        asset.differs_at_host(found).await
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
}

impl Comparison {
    fn outcomes(&self, bundle: &ReleaseBundle) -> Vec<AssetReport> {
        bundle.outcomes(|number, _| match self.states[number] {
            _ if self.unchanged => AssetOutcome::Kept,
            State::Absent => AssetOutcome::Sent,
            State::Same => AssetOutcome::Kept,
            State::Other => AssetOutcome::Replaced,
        })
    }
}

/// Returns the folder for the new files of a public release until they are complete.
fn staging(tag: &str) -> String {
    // No tag begins with a dot, so it is not the folder of a release.
    format!(".{tag}.partial")
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

/// Returns whether an object is in a folder itself, not in a folder of it or elsewhere.
fn is_direct(object: &Path, folder: &Path) -> bool {
    object
        .prefix_match(folder)
        .is_some_and(|rest| rest.count() == 1)
}
