//! Renders releases and assets as JSON, like GitHub's API.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::Shared;
use super::state::{Asset, Release, Rights, State, state_name};

pub(crate) fn release(shared: &Shared, state: &State, release: &Release) -> Value {
    let (api, repo) = (&shared.api, &shared.options.repository);
    let base = format!("{api}/repos/{repo}/releases/{}", release.id);
    let page = if release.draft {
        format!(
            "{}/{repo}/releases/tag/untagged-{:x}",
            web(shared),
            release.id
        )
    } else {
        format!("{}/{repo}/releases/tag/{}", web(shared), release.tag)
    };
    json!({
        "url": base,
        "assets_url": format!("{base}/assets"),
        "upload_url": upload_url(shared, release.id),
        "html_url": page,
        "id": release.id,
        "node_id": format!("RE_{}", release.id),
        "author": user(shared),
        "tag_name": release.tag,
        "target_commitish": release.target,
        "name": release.name,
        "body": release.body,
        "draft": release.draft,
        "immutable": release.immutable,
        "prerelease": release.prerelease,
        "created_at": time(release.created),
        "updated_at": time(release.created),
        "published_at": release.published.map(time),
        "assets": state
            .assets_of(release.id)
            .map(|asset| self::asset(shared, release, asset))
            .collect::<Vec<_>>(),
        "tarball_url": format!("{api}/repos/{repo}/tarball/{}", release.tag),
        "zipball_url": format!("{api}/repos/{repo}/zipball/{}", release.tag),
    })
}

fn upload_url(shared: &Shared, release: u64) -> String {
    let start = shared.options.upload_url.as_deref().unwrap_or("{api}");
    let start = start.replace("{api}", &shared.api);
    let repo = &shared.options.repository;
    format!("{start}/repos/{repo}/releases/{release}/assets{{?name,label}}")
}

/// A release in the GraphQL format for `gh`.
pub(crate) fn node(release: &Release) -> Value {
    json!({
        "name": release.name,
        "tagName": release.tag,
        "isDraft": release.draft,
        "isLatest": false,
        "isPrerelease": release.prerelease,
        "createdAt": time(release.created),
        "publishedAt": release.published.map(time),
    })
}

pub(crate) fn asset(shared: &Shared, release: &Release, asset: &Asset) -> Value {
    let (api, repo) = (&shared.api, &shared.options.repository);
    let folder = if release.draft {
        format!("untagged-{:x}", release.id)
    } else {
        release.tag.clone()
    };
    json!({
        "url": format!("{api}/repos/{repo}/releases/assets/{}", asset.id),
        "browser_download_url":
            format!("{}/{repo}/releases/download/{folder}/{}", web(shared), asset.name),
        "id": asset.id,
        "node_id": format!("RA_{}", asset.id),
        "name": asset.name,
        "label": asset.label.clone().unwrap_or_default(),
        "state": state_name(asset.uploaded),
        "content_type": asset.content_type,
        "size": asset.size,
        "digest": asset.digest.as_ref().filter(|_| shared.options.digests),
        "download_count": asset.downloads,
        "created_at": time(asset.created),
        "updated_at": time(asset.updated),
        "uploader": user(shared),
    })
}

pub(crate) fn repository(shared: &Shared, rights: Option<Rights>) -> Value {
    let (api, repo) = (&shared.api, &shared.options.repository);
    // The real API reports no permissions for the automatic token of Actions, whatever its
    // permissions are (semantic-release/github#182).
    let app = rights == Some(Rights::Actions);
    let name = repo.split('/').nth(1).unwrap_or_default();
    json!({
        "id": 1,
        "node_id": "R_1",
        "name": name,
        "full_name": repo,
        "owner": user(shared),
        "private": shared.options.private,
        "html_url": format!("{}/{repo}", web(shared)),
        "description": null,
        "fork": false,
        "url": format!("{api}/repos/{repo}"),
        "releases_url": format!("{api}/repos/{repo}/releases{{/id}}"),
        "default_branch": "main",
        "archived": false,
        "visibility": if shared.options.private { "private" } else { "public" },
        "permissions": {"admin": false, "maintain": false,
                        "push": rights.is_some_and(Rights::writes) && !app,
                        "triage": false, "pull": !app},
    })
}

/// The base URL of web pages: the API's, without Enterprise's `/api/v3`.
pub(crate) fn web(shared: &Shared) -> &str {
    shared.api.trim_end_matches("/api/v3")
}

fn user(shared: &Shared) -> Value {
    let login = shared
        .options
        .repository
        .split('/')
        .next()
        .unwrap_or_default();
    let api = format!("{}/users/{login}", shared.api);
    json!({
        "login": login,
        "id": 7,
        "node_id": "U_7",
        "avatar_url": format!("{}/avatar", web(shared)),
        "gravatar_id": "",
        "url": api,
        "html_url": format!("{}/{login}", web(shared)),
        "followers_url": format!("{api}/followers"),
        "following_url": format!("{api}/following{{/other_user}}"),
        "gists_url": format!("{api}/gists{{/gist_id}}"),
        "starred_url": format!("{api}/starred{{/owner}}{{/repo}}"),
        "subscriptions_url": format!("{api}/subscriptions"),
        "organizations_url": format!("{api}/orgs"),
        "repos_url": format!("{api}/repos"),
        "events_url": format!("{api}/events{{/privacy}}"),
        "received_events_url": format!("{api}/received_events"),
        "type": "Organization",
        "user_view_type": "public",
        "site_admin": false,
    })
}

/// A time in RFC 3339, UTC, with a resolution of seconds. Uses the civil calendar (days since
/// 1970-03-01 in 400-year eras).
fn time(at: SystemTime) -> String {
    let seconds = at
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        of_day / 3600,
        of_day / 60 % 60,
        of_day % 60
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_follow_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_827_696, "2000-02-29T12:34:56Z"),
            (1_795_305_600, "2026-11-22T00:00:00Z"),
        ] {
            assert_eq!(time(UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }
}
