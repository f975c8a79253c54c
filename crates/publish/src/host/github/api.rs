//! The requests to GitHub, each with the few fields that are used from its answer. The models of
//! octocrab require every field of every nested object, so a host that leaves one out (Enterprise
//! versions do) could not be published to.

use serde::Deserialize;
use serde_json::json;
use sysforge_net::Method;
use sysforge_plan::Sha256;
use sysforge_plan::text::shortened;

use super::GitHub;
use super::call::{ANSWER_LIMIT, Request};
use crate::error::PublishError;
use crate::host::encode;
use crate::host::failure::{Failure, HOST_AT_FAULT};

/// A release.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Release {
    pub(super) id: u64,
    pub(super) tag_name: String,
    pub(super) draft: bool,
    #[serde(default)]
    pub(super) immutable: Option<bool>,
    pub(super) upload_url: String,
    pub(super) html_url: String,
    #[serde(default)]
    pub(super) body: Option<String>,
    /// Its files at the time of the request. A list of files is more reliable about missing ones.
    #[serde(default)]
    pub(super) assets: Vec<Asset>,
}

/// A file of a release.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Asset {
    pub(super) id: u64,
    pub(super) name: String,
    #[serde(default)]
    pub(super) label: Option<String>,
    pub(super) state: String,
    pub(super) size: u64,
    #[serde(default)]
    pub(super) digest: Option<String>,
}

/// A repository.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Repository {
    #[serde(default)]
    pub(super) archived: bool,
    #[serde(default)]
    pub(super) permissions: Option<Permissions>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Permissions {
    #[serde(default)]
    pub(super) push: bool,
    #[serde(default)]
    pub(super) pull: bool,
}

impl Asset {
    pub(super) fn is_uploaded(&self) -> bool {
        self.state == "uploaded"
    }

    /// Returns its digest, if the host reports one (Enterprise before 3.18 does not).
    pub(super) fn sha256(&self) -> Option<Sha256> {
        self.digest
            .as_deref()?
            .strip_prefix("sha256:")?
            .parse()
            .ok()
    }

    /// Whether the host has exactly these bytes, as far as it reports.
    pub(super) fn holds(&self, size: u64, sha256: Sha256) -> bool {
        self.is_uploaded()
            && self.size == size
            && self.sha256().is_none_or(|digest| digest == sha256)
    }
}

/// Maximum number of pages to read, more than any repository has.
const PAGES: usize = 100;

impl GitHub {
    pub(super) fn repo(&self, rest: &str) -> String {
        format!("/repos/{}{rest}", self.access.repository)
    }

    pub(super) async fn repository(&self) -> Result<Repository, Failure> {
        self.get("").await
    }

    /// Returns the public release of a tag; drafts are not found by tag.
    pub(super) async fn public_release(&self, tag: &str) -> Result<Option<Release>, Failure> {
        let answer = self.get(&format!("/releases/tags/{}", encode(tag))).await;
        match found::<Release>(answer)? {
            Some(other) if other.tag_name != tag => Err(Failure::Lasting {
                words: format!(
                    "the host answers with the release {}",
                    shortened(&other.tag_name, 100)
                ),
                hint: HOST_AT_FAULT,
            }),
            release => Ok(release),
        }
    }

    pub(super) async fn release(&self, id: u64) -> Result<Option<Release>, Failure> {
        found(self.get(&format!("/releases/{id}")).await)
    }

    /// Returns all drafts of a tag, oldest first.
    pub(super) async fn drafts(&self, tag: &str) -> Result<Vec<Release>, Failure> {
        let path = self.repo("/releases");
        let wanted = |release: &Release| release.draft && release.tag_name == tag;
        let mut all: Vec<Release> = self.pages(&path, wanted).await?;
        all.sort_by_key(|release| release.id);
        all.dedup_by_key(|release| release.id);
        Ok(all)
    }

    /// Returns all files of a release, or the error for the user.
    pub(super) async fn list_files(&self, release: u64) -> Result<Vec<Asset>, PublishError> {
        let assets = self.assets(release).await;
        assets.map_err(|failure| self.error("list the files of the release", failure))
    }

    /// Returns all drafts of a tag, oldest first, or the error for the user.
    pub(super) async fn list_drafts(&self, tag: &str) -> Result<Vec<Release>, PublishError> {
        let drafts = self.drafts(tag).await;
        drafts.map_err(|failure| self.error("list the releases", failure))
    }

    /// Returns all files of a release.
    pub(super) async fn assets(&self, release: u64) -> Result<Vec<Asset>, Failure> {
        let path = self.repo(&format!("/releases/{release}/assets"));
        self.pages(&path, |_| true).await
    }

    /// Returns the entries of a list that `wanted` selects.
    async fn pages<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        wanted: impl Fn(&T) -> bool,
    ) -> Result<Vec<T>, Failure> {
        self.pages_within(path, ANSWER_LIMIT, wanted).await
    }

    /// Does the same, and fails if all pages together have more than `left` bytes.
    pub(super) async fn pages_within<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        mut left: usize,
        wanted: impl Fn(&T) -> bool,
    ) -> Result<Vec<T>, Failure> {
        let mut all = Vec::new();
        for page in 1..=PAGES {
            let query = match page {
                1 => "?per_page=100".to_owned(),
                page => format!("?per_page=100&page={page}"),
            };
            let request = Request::new(Method::GET, format!("{path}{query}"));
            let read: Vec<T> = self.asked_within(&request, &mut left).await?;
            let last = read.len() < 100;
            all.extend(read.into_iter().filter(&wanted));
            if last {
                break;
            }
        }
        Ok(all)
    }

    /// Creates a draft, in one attempt: a caller that gets no answer looks for the draft before
    /// trying again.
    pub(super) async fn create_draft(
        &self,
        tag: &str,
        target: Option<&str>,
        notes: &str,
    ) -> Result<Release, Failure> {
        let mut body = json!({"tag_name": tag, "name": tag, "body": notes, "draft": true});
        if let Some(target) = target {
            body["target_commitish"] = target.into();
        }
        let path = self.repo("/releases");
        let request = Request::new(Method::POST, path).body(body);
        self.once(&request).await
    }

    /// Makes a draft public. May be repeated: a public release stays public.
    pub(super) async fn make_public(&self, id: u64, notes: &str) -> Result<Release, Failure> {
        let mut body = json!({"draft": false, "body": notes});
        if self.standing.prerelease {
            body["prerelease"] = true.into();
        }
        if let Some(latest) = self.standing.latest {
            // The field is a string: `true`, `false` or `legacy`.
            body["make_latest"] = latest.to_string().into();
        }
        self.patch(&format!("/releases/{id}"), body).await
    }

    /// Makes a public release a draft.
    pub(super) async fn withdraw(&self, id: u64) -> Result<Release, Failure> {
        let body = json!({"draft": true});
        self.patch(&format!("/releases/{id}"), body).await
    }

    /// Whether a release becomes immutable when it is made public; `None` if that is not known.
    /// Only administrators can read the setting; for others, the newest release tells.
    pub(super) async fn makes_immutable(&self) -> Option<bool> {
        #[derive(Deserialize)]
        struct Setting {
            enabled: bool,
        }
        let path = self.repo("/immutable-releases");
        match self.once::<Setting>(&Request::new(Method::GET, path)).await {
            Ok(setting) => return Some(setting.enabled),
            Err(failure) if failure.is_not_found() => return Some(false),
            Err(_) => {}
        }
        let path = self.repo("/releases/latest");
        let latest: Release = self.once(&Request::new(Method::GET, path)).await.ok()?;
        latest.immutable
    }

    /// Sets the notes of a draft.
    pub(super) async fn describe(&self, id: u64, notes: &str) -> Result<Release, Failure> {
        let body = json!({"body": notes});
        self.patch(&format!("/releases/{id}"), body).await
    }

    pub(super) async fn delete_release(&self, id: u64) -> Result<(), Failure> {
        self.gone(&format!("/releases/{id}")).await.map(drop)
    }

    pub(super) async fn rename_asset(&self, id: u64, name: &str) -> Result<Asset, Failure> {
        let body = json!({"name": name});
        self.patch(&format!("/releases/assets/{id}"), body).await
    }

    pub(super) async fn label_asset(&self, id: u64, label: &str) -> Result<Asset, Failure> {
        let body = json!({"label": label});
        self.patch(&format!("/releases/assets/{id}"), body).await
    }

    /// Deletes a file, and returns whether it still existed. If an earlier attempt whose answer was
    /// lost deleted it, that is a success.
    pub(super) async fn delete_asset(&self, id: u64) -> Result<bool, Failure> {
        self.gone(&format!("/releases/assets/{id}")).await
    }

    /// Deletes a file, in one attempt.
    pub(super) async fn delete_asset_once(&self, id: u64) -> Result<(), Failure> {
        let path = self.repo(&format!("/releases/assets/{id}"));
        let request = Request::new(Method::DELETE, path);
        self.once::<serde_json::Value>(&request).await.map(drop)
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, rest: &str) -> Result<T, Failure> {
        let request = Request::new(Method::GET, self.repo(rest));
        self.asked(&request).await
    }

    async fn patch<T: serde::de::DeserializeOwned>(
        &self,
        rest: &str,
        body: serde_json::Value,
    ) -> Result<T, Failure> {
        let request = Request::new(Method::PATCH, self.repo(rest)).body(body);
        self.asked(&request).await
    }

    async fn gone(&self, rest: &str) -> Result<bool, Failure> {
        let request = Request::new(Method::DELETE, self.repo(rest));
        match self.asked::<serde_json::Value>(&request).await {
            Ok(_) => Ok(true),
            Err(failure) if failure.is_not_found() => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// Returns the newest public release.
    pub(super) async fn latest(&self) -> Result<Option<Release>, Failure> {
        found(self.get("/releases/latest").await)
    }
}

fn found<T>(answer: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(failure) if failure.is_not_found() => Ok(None),
        Err(failure) => Err(failure),
    }
}
