//! Requests that read or change releases and their assets.

use hyper::header::{HeaderValue, LINK};
use serde_json::{Value, json};

use super::answer::{Answer, empty, invalid, json_answer, message, not_found};
use super::fault::{Op, Tamper};
use super::routes::Caller;
use super::state::{Rights, State};
use super::{Shared, render, transfer};

/// Maximum length of release notes (`body`) in characters.
const BODY_LIMIT: usize = 125_000;

pub(super) fn tag_ref(shared: &Shared, tag: &str) -> Answer {
    let state = shared.state();
    state.tags.get(tag).map_or_else(not_found, |commit| {
        json_answer(
            200,
            &json!({
                "ref": format!("refs/tags/{tag}"),
                "node_id": "REF_1",
                "url": format!("{}/git/refs/tags/{tag}", shared.api),
                "object": {"type": "commit", "sha": commit,
                           "url": format!("{}/git/commits/{commit}", shared.api)},
            }),
        )
    })
}

pub(super) fn by_tag(shared: &Shared, parts: &[&str]) -> Answer {
    let state = shared.state();
    let found = match parts {
        ["releases", "tags", tag @ ..] => state.by_tag(&tag.join("/")),
        _ => state
            .releases
            .values()
            .rev()
            .find(|release| !release.draft && !release.prerelease),
    };
    found.map_or_else(not_found, |release| {
        json_answer(200, &render::release(shared, &state, release))
    })
}

pub(super) fn create(shared: &Shared, body: &Value, rights: Caller) -> Answer {
    let text = |key: &str| body.get(key).and_then(Value::as_str);
    let flag = |key: &str| body.get(key).and_then(Value::as_bool).unwrap_or(false);
    let Some(tag) = text("tag_name").filter(|tag| !tag.is_empty()) else {
        return invalid("Release", "missing_field", "tag_name", None);
    };
    if text("body").is_some_and(|body| body.chars().count() > BODY_LIMIT) {
        let text = "body is too long (maximum is 125000 characters)";
        return invalid("Release", "custom", "body", Some(text));
    }
    let target = text("target_commitish");
    if let Some(refusal) = tagging_refused(shared, tag, target, rights) {
        return refusal;
    }
    let mut state = shared.state();
    let draft = flag("draft");
    if !draft && state.by_tag(tag).is_some() {
        return invalid("Release", "already_exists", "tag_name", None);
    }
    let id = state.create(
        tag,
        target,
        text("name").unwrap_or_default(),
        text("body").unwrap_or_default(),
        draft,
        flag("prerelease"),
    );
    state.releases.get(&id).map_or_else(not_found, |release| {
        json_answer(201, &render::release(shared, &state, release))
    })
}

/// The automatic token of Actions never has permission to change workflow files, not even by
/// tagging a commit that does.
fn tagging_refused(
    shared: &Shared,
    tag: &str,
    target: Option<&str>,
    rights: Caller,
) -> Option<Answer> {
    let commits = &shared.options.workflow_commits;
    let exists = shared.state().tags.contains_key(tag);
    let changes = target.is_some_and(|target| commits.iter().any(|commit| commit == target));
    (rights == Some(Ok(Rights::Actions)) && !exists && changes)
        .then(|| message(403, "Resource not accessible by integration"))
}

pub(super) fn update(shared: &Shared, id: u64, body: &Value) -> Answer {
    let mut state = shared.state();
    let Some(release) = state.releases.get(&id) else {
        return not_found();
    };
    let draft = body.get("draft").and_then(Value::as_bool);
    let publishing = release.draft && draft == Some(false);
    let withdrawing = !release.draft && draft == Some(true);
    if withdrawing && (release.immutable || shared.options.stays_public) {
        let text = "draft cannot be changed on a published release";
        return invalid("Release", "custom", "draft", Some(text));
    }
    let tag = body
        .get("tag_name")
        .and_then(Value::as_str)
        .unwrap_or(&release.tag)
        .to_owned();
    if body
        .get("body")
        .and_then(Value::as_str)
        .is_some_and(|b| b.chars().count() > BODY_LIMIT)
    {
        let text = "body is too long (maximum is 125000 characters)";
        return invalid("Release", "custom", "body", Some(text));
    }
    if publishing {
        if state.by_tag(&tag).is_some() {
            return invalid("Release", "already_exists", "tag_name", None);
        }
        if shared.options.protected_tags.contains(&tag) && !state.tags.contains_key(&tag) {
            let text = "Cannot create ref due to creations being restricted.";
            return invalid("Release", "custom", "pre_receive", Some(text));
        }
        let commit = "ab".repeat(20);
        state.tags.entry(tag.clone()).or_insert(commit);
        tamper(shared, &mut state, id);
    }
    let immutable = shared.options.immutable;
    if let Some(release) = state.releases.get_mut(&id) {
        release.tag = tag;
        for (key, field) in [("name", &mut release.name), ("body", &mut release.body)] {
            if let Some(value) = body.get(key).and_then(Value::as_str) {
                value.clone_into(field);
            }
        }
        if let Some(latest) = body.get("make_latest").and_then(Value::as_str) {
            release.make_latest = Some(latest.to_owned());
        }
        if let Some(prerelease) = body.get("prerelease").and_then(Value::as_bool) {
            release.prerelease = prerelease;
        }
        if publishing {
            release.draft = false;
            release.immutable = immutable;
            release.published = Some(std::time::SystemTime::now());
        }
        if withdrawing {
            release.draft = true;
            release.published = None;
        }
    }
    state.releases.get(&id).map_or_else(not_found, |release| {
        json_answer(200, &render::release(shared, &state, release))
    })
}

/// Applies the changes requested by [`FakeGitHub::tamper`](super::FakeGitHub::tamper) to a release
/// that is published at this moment.
fn tamper(shared: &Shared, state: &mut State, release: u64) {
    for tamper in std::mem::take(&mut state.tampers) {
        let found = state
            .assets_of(release)
            .find(|asset| asset.name == tamper.name())
            .map(|asset| asset.id);
        let before = found.map(|id| std::fs::read(shared.bytes_of(id)).unwrap_or_default());
        if let Some(id) = found {
            state.assets.remove(&id);
        }
        let bytes = match &tamper {
            Tamper::Remove(_) => continue,
            Tamper::Replace(_, bytes) => bytes.clone(),
            Tamper::Truncate(_, length) => {
                let mut bytes = before.unwrap_or_default();
                bytes.truncate(*length);
                bytes
            }
        };
        put_asset(shared, state, release, tamper.name(), &bytes);
    }
}

/// Adds a file to a release directly.
pub(super) fn put_asset(
    shared: &Shared,
    state: &mut State,
    release: u64,
    name: &str,
    bytes: &[u8],
) {
    if let Some(asset) = state.begin_asset(release, name, None, "application/octet-stream") {
        std::fs::write(shared.bytes_of(asset), bytes).unwrap();
        state.finish_asset(asset, bytes.len() as u64, &super::state::sha256(bytes));
    }
}

pub(super) fn asset(
    shared: &Shared,
    op: Op,
    id: u64,
    body: Option<&Value>,
    writer: bool,
) -> Answer {
    let mut state = shared.state();
    let Some(asset) = state.assets.get(&id).cloned() else {
        return not_found();
    };
    let Some(release) = state
        .releases
        .get(&asset.release)
        .filter(|release| writer || !release.draft)
        .cloned()
    else {
        return not_found();
    };
    if release.immutable && matches!(op, Op::UpdateAsset | Op::DeleteAsset) {
        return message(422, "Cannot modify assets of an immutable release.");
    }
    match op {
        Op::Download if !asset.uploaded => not_found(),
        Op::Download => transfer::redirect(shared, id),
        Op::DeleteAsset => {
            state.assets.remove(&id);
            let _ = std::fs::remove_file(shared.bytes_of(id));
            empty(204)
        }
        Op::UpdateAsset => {
            let text = |key: &str| body.and_then(|b| b.get(key)).and_then(Value::as_str);
            if let Some(name) = text("name") {
                let taken = state
                    .assets_of(release.id)
                    .any(|a| a.id != id && a.name == name);
                if taken {
                    return invalid("ReleaseAsset", "already_exists", "name", None);
                }
            }
            let Some(kept) = state.assets.get_mut(&id) else {
                return not_found();
            };
            if let Some(name) = text("name") {
                kept.name = super::names::stored_name(name);
            }
            if let Some(label) = text("label") {
                kept.label = Some(label.to_owned());
            }
            kept.updated = std::time::SystemTime::now();
            json_answer(200, &render::asset(shared, &release, &kept.clone()))
        }
        _ => json_answer(200, &render::asset(shared, &release, &asset)),
    }
}

/// One page of a list, with the `Link` header for the next page.
pub(super) fn page(
    shared: &Shared,
    parts: &[&str],
    query: &[(String, String)],
    all: Vec<Value>,
) -> Answer {
    let value = |key: &str| {
        let found = query.iter().find(|(k, _)| k == key);
        found.and_then(|(_, v)| v.parse::<usize>().ok())
    };
    let per_page = value("per_page").unwrap_or(30).clamp(1, 100);
    let page = value("page").unwrap_or(1).max(1);
    let more = all.len() > page * per_page;
    let shown: Vec<Value> = all
        .into_iter()
        .skip((page - 1) * per_page)
        .take(per_page)
        .collect();
    let mut answer = json_answer(200, &Value::Array(shown));
    if more {
        let next = format!(
            "<{}/repos/{}/{}?per_page={per_page}&page={}>; rel=\"next\"",
            shared.api,
            shared.options.repository,
            parts.join("/"),
            page + 1
        );
        if let Ok(next) = HeaderValue::from_str(&next) {
            answer.headers_mut().insert(LINK, next);
        }
    }
    answer
}
