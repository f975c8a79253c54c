//! What each request does, and who may make it.

use std::sync::Arc;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{ACCEPT, AUTHORIZATION, HeaderValue, LINK};
use hyper::{Method, Request};
use serde_json::{Value, json};

use super::answer::{Answer, Cut, empty, html, invalid, json_answer, message, not_found};
use super::answer::{primary_limit, secondary_limit};
use super::fault::{Fault, Op};
use super::state::{Recorded, Rights};
use super::{Shared, render, transfer};

/// The most characters of notes (`body`).
const BODY_LIMIT: usize = 125_000;

/// Answers one request at the API's port.
pub(super) async fn answer(
    shared: &Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Answer, Cut> {
    let target = request
        .uri()
        .path_and_query()
        .map_or("/", |target| target.as_str())
        .to_owned();
    // Enterprise has its API below /api/v3, uploads below /api/uploads, GraphQL at /api/graphql.
    let target = ["/api/v3", "/api/uploads", "/api"]
        .iter()
        .find_map(|prefix| {
            target
                .strip_prefix(prefix)
                .filter(|rest| rest.starts_with('/'))
        })
        .unwrap_or(&target)
        .to_owned();
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let query: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect();
    let method = request.method().clone();
    let rights = rights(shared, &request);
    let octets = request
        .headers()
        .get(ACCEPT)
        .is_some_and(|accept| accept == "application/octet-stream");
    let repo = format!("/repos/{}", shared.options.repository);
    let parts: Vec<String> = path
        .strip_prefix(&repo)
        .map(|rest| rest.split('/').skip(1).map(decoded).collect())
        .unwrap_or_default();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let within = path == repo || path.starts_with(&format!("{repo}/"));
    let op = if within {
        op_of(&method, &parts, octets)
    } else {
        Op::Other
    };
    let mut recorded = record(op, &method, &target, &request);

    if op == Op::Upload {
        remember(shared, recorded);
        let fault = shared.state().script.next(op);
        if let Some(refused) = refused(shared, op, rights) {
            return Ok(refused);
        }
        if let Some(early) = early(fault).filter(|_| !uploads_first(fault)) {
            return Ok(early);
        }
        let id = parts.get(1).and_then(|id| id.parse().ok()).unwrap_or(0);
        let answer = transfer::upload(shared, id, &query, request, fault).await?;
        return late(fault, answer);
    }

    let bytes = request
        .into_body()
        .collect()
        .await
        .map_err(|_| Cut)?
        .to_bytes();
    let body: Option<Value> = serde_json::from_slice(&bytes).ok();
    recorded.body.clone_from(&body);
    remember(shared, recorded);
    if op == Op::Other {
        return Ok(other(shared, path, rights, body.as_ref()));
    }
    // The bytes of an asset have their faults at the storage service.
    let fault = (op != Op::Download)
        .then(|| shared.state().script.next(op))
        .flatten();
    if matches!(fault, Some(Fault::Stall(_))) {
        std::future::pending::<()>().await;
    }
    if matches!(fault, Some(Fault::Reset(_))) {
        return Err(Cut);
    }
    if let Some(early) = early(fault) {
        return Ok(early);
    }
    if let Some(refused) = refused(shared, op, rights) {
        return Ok(refused);
    }
    let answer = act(shared, op, &parts, &query, body.as_ref(), rights);
    late(fault, answer)
}

/// Whether a fault of an upload only shows after the body was read.
fn uploads_first(fault: Option<Fault>) -> bool {
    matches!(fault, Some(Fault::StatusBefore(500..) | Fault::Html))
}

/// The answer of a fault that strikes before anything happens.
fn early(fault: Option<Fault>) -> Option<Answer> {
    Some(match fault? {
        Fault::StatusBefore(status) => message(status, "Server Error"),
        Fault::Html => html(502),
        Fault::SecondaryLimit(milliseconds) => secondary_limit(milliseconds),
        Fault::PrimaryLimit => primary_limit(),
        _ => return None,
    })
}

/// The answer, or what a fault makes of it after everything happened.
fn late(fault: Option<Fault>, answer: Answer) -> Result<Answer, Cut> {
    match fault {
        Some(Fault::ResetAfter) => Err(Cut),
        Some(Fault::StatusAfter(status)) => Ok(message(status, "Server Error")),
        Some(Fault::HtmlAfter) => Ok(html(200)),
        Some(Fault::StatusBefore(_) | Fault::Html) => Ok(early(fault).unwrap_or(answer)),
        _ => Ok(answer),
    }
}

fn decoded(part: &str) -> String {
    percent_encoding::percent_decode_str(part)
        .decode_utf8_lossy()
        .into_owned()
}

fn op_of(method: &Method, parts: &[&str], octets: bool) -> Op {
    let numbered = |text: &str| text.parse::<u64>().is_ok();
    match (method.as_str(), parts) {
        ("GET", []) => Op::GetRepo,
        ("GET", ["git", "ref", "tags", ..]) => Op::GetRef,
        ("GET", ["releases"]) => Op::ListReleases,
        ("POST", ["releases"]) => Op::CreateRelease,
        ("GET", ["releases", "latest"] | ["releases", "tags", ..]) => Op::GetByTag,
        ("GET", ["releases", id]) if numbered(id) => Op::GetRelease,
        ("PATCH", ["releases", id]) if numbered(id) => Op::UpdateRelease,
        ("DELETE", ["releases", id]) if numbered(id) => Op::DeleteRelease,
        ("GET", ["releases", id, "assets"]) if numbered(id) => Op::ListAssets,
        ("POST", ["releases", id, "assets"]) if numbered(id) => Op::Upload,
        ("GET", ["releases", "assets", _]) if octets => Op::Download,
        ("GET", ["releases", "assets", _]) => Op::GetAsset,
        ("PATCH", ["releases", "assets", _]) => Op::UpdateAsset,
        ("DELETE", ["releases", "assets", _]) => Op::DeleteAsset,
        _ => Op::Other,
    }
}

fn rights(shared: &Shared, request: &Request<Incoming>) -> Option<Result<Rights, ()>> {
    let given = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
    let token = given
        .split_once(' ')
        .filter(|(scheme, _)| matches!(&*scheme.to_lowercase(), "bearer" | "token"))
        .map(|(_, token)| token)?;
    let known = shared.options.tokens.iter().find(|(name, _)| name == token);
    Some(known.map(|(_, rights)| *rights).ok_or(()))
}

type Caller = Option<Result<Rights, ()>>;

fn may_write(rights: Caller) -> bool {
    matches!(rights, Some(Ok(rights)) if rights.writes())
}

/// The answer to somebody who may not do this.
fn refused(shared: &Shared, op: Op, rights: Caller) -> Option<Answer> {
    let writes = matches!(
        op,
        Op::CreateRelease
            | Op::UpdateRelease
            | Op::DeleteRelease
            | Op::Upload
            | Op::UpdateAsset
            | Op::DeleteAsset
    );
    match rights {
        Some(Err(())) => Some(message(401, "Bad credentials")),
        None if shared.options.private => Some(not_found()),
        None if writes => Some(message(401, "Requires authentication")),
        Some(Ok(rights)) if writes && !rights.writes() => {
            Some(message(403, "Resource not accessible by integration"))
        }
        _ => None,
    }
}

fn record(op: Op, method: &Method, target: &str, request: &Request<Incoming>) -> Recorded {
    Recorded {
        op,
        method: method.to_string(),
        target: target.to_owned(),
        headers: request
            .headers()
            .iter()
            .filter(|(name, _)| *name != AUTHORIZATION)
            .map(|(name, value)| {
                let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
                (name.to_string(), value)
            })
            .collect(),
        body: None,
    }
}

fn remember(shared: &Shared, recorded: Recorded) {
    if let Some(path) = &shared.options.record {
        use std::io::Write as _;
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path);
        if let (Ok(mut file), Ok(line)) = (file, serde_json::to_string(&recorded)) {
            let _ = writeln!(file, "{line}");
        }
    }
    shared.state().requests.push(recorded);
}

fn act(
    shared: &Shared,
    op: Op,
    parts: &[&str],
    query: &[(String, String)],
    body: Option<&Value>,
    rights: Caller,
) -> Answer {
    let writer = may_write(rights);
    let number = |index: usize| parts.get(index).and_then(|id| id.parse::<u64>().ok());
    match op {
        Op::GetRepo => json_answer(200, &render::repository(shared, writer)),
        Op::GetRef => tag_ref(shared, &parts[3..].join("/")),
        Op::GetByTag => by_tag(shared, parts),
        Op::GetRelease => {
            let state = shared.state();
            state
                .releases
                .get(&number(1).unwrap_or(0))
                .filter(|release| writer || !release.draft)
                .map_or_else(not_found, |release| {
                    json_answer(200, &render::release(shared, &state, release))
                })
        }
        Op::ListReleases => {
            let state = shared.state();
            let all: Vec<Value> = state
                .listed(writer)
                .into_iter()
                .map(|release| render::release(shared, &state, release))
                .collect();
            page(shared, parts, query, all)
        }
        Op::CreateRelease => create(shared, body.unwrap_or(&Value::Null), rights),
        Op::UpdateRelease => update(shared, number(1).unwrap_or(0), body.unwrap_or(&Value::Null)),
        Op::DeleteRelease => {
            let mut state = shared.state();
            let id = number(1).unwrap_or(0);
            state.assets.retain(|_, asset| asset.release != id);
            let gone = state.releases.remove(&id);
            gone.map_or_else(not_found, |_| empty(204))
        }
        Op::ListAssets => {
            let state = shared.state();
            let Some(release) = state
                .releases
                .get(&number(1).unwrap_or(0))
                .filter(|release| writer || !release.draft)
            else {
                return not_found();
            };
            let all = state
                .assets_of(release.id)
                .map(|asset| render::asset(shared, release, asset))
                .collect();
            page(shared, parts, query, all)
        }
        Op::GetAsset | Op::UpdateAsset | Op::DeleteAsset | Op::Download => {
            asset(shared, op, number(2).unwrap_or(0), body, writer)
        }
        Op::Upload | Op::Other => not_found(),
    }
}

fn tag_ref(shared: &Shared, tag: &str) -> Answer {
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

fn by_tag(shared: &Shared, parts: &[&str]) -> Answer {
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

fn create(shared: &Shared, body: &Value, rights: Caller) -> Answer {
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

/// The automatic token of Actions never gets the right to touch workflow files, not even by
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

fn update(shared: &Shared, id: u64, body: &Value) -> Answer {
    let mut state = shared.state();
    let Some(release) = state.releases.get(&id) else {
        return not_found();
    };
    let publishing = release.draft && body.get("draft").and_then(Value::as_bool) == Some(false);
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
    }
    let immutable = shared.options.immutable;
    if let Some(release) = state.releases.get_mut(&id) {
        release.tag = tag;
        for (key, field) in [("name", &mut release.name), ("body", &mut release.body)] {
            if let Some(value) = body.get(key).and_then(Value::as_str) {
                value.clone_into(field);
            }
        }
        if let Some(prerelease) = body.get("prerelease").and_then(Value::as_bool) {
            release.prerelease = prerelease;
        }
        if publishing {
            release.draft = false;
            release.immutable = immutable;
            release.published = Some(std::time::SystemTime::now());
        }
    }
    state.releases.get(&id).map_or_else(not_found, |release| {
        json_answer(200, &render::release(shared, &state, release))
    })
}

fn asset(shared: &Shared, op: Op, id: u64, body: Option<&Value>, writer: bool) -> Answer {
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
                kept.name = sysforge_plan::release::asset_name::kept_name(name);
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

/// One page of a list, with the `Link` header that leads to the next.
fn page(shared: &Shared, parts: &[&str], query: &[(String, String)], all: Vec<Value>) -> Answer {
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

/// Web downloads, the sliver of GraphQL that `gh` needs, and what else clients ask on the way.
fn other(shared: &Shared, path: &str, rights: Caller, body: Option<&Value>) -> Answer {
    let downloads = format!("/{}/releases/download/", shared.options.repository);
    let latest = format!("/{}/releases/latest/download/", shared.options.repository);
    let public = !shared.options.private || matches!(rights, Some(Ok(_)));
    if path == "/graphql" {
        return graphql(shared, body);
    }
    let state = shared.state();
    let (release, name) = if let Some(name) = path.strip_prefix(&latest) {
        let newest = state
            .releases
            .values()
            .rev()
            .find(|r| !r.draft && !r.prerelease);
        (newest, name)
    } else if let Some((tag, name)) = path
        .strip_prefix(&downloads)
        .and_then(|rest| rest.rsplit_once('/'))
    {
        (state.by_tag(&decoded(tag)), name)
    } else if path == "/" || path == "/meta" || path == "/user" {
        return json_answer(
            200,
            &json!({"login": "octo", "installed_version": "3.99.0"}),
        );
    } else {
        return not_found();
    };
    let name = decoded(name);
    release
        .filter(|_| public)
        .and_then(|release| {
            state
                .assets_of(release.id)
                .find(|a| a.name == name && a.uploaded)
        })
        .map_or_else(not_found, |asset| transfer::redirect(shared, asset.id))
}

/// `gh` lists releases and looks drafts up by tag through GraphQL.
fn graphql(shared: &Shared, body: Option<&Value>) -> Answer {
    let tag = body
        .and_then(|body| body.pointer("/variables/tagName"))
        .and_then(Value::as_str)
        .unwrap_or_default();
    let state = shared.state();
    let query = body.and_then(|body| body.get("query")?.as_str());
    if query.is_some_and(|query| query.contains("releases(")) {
        let nodes: Vec<_> = state.listed(true).into_iter().map(render::node).collect();
        let releases = json!({
            "nodes": nodes,
            "pageInfo": {"hasNextPage": false, "endCursor": null},
        });
        return json_answer(
            200,
            &json!({"data": {"repository": {"releases": releases}}}),
        );
    }
    let found = state
        .releases
        .values()
        .find(|release| release.tag == tag)
        .map(|release| json!({"databaseId": release.id, "isDraft": release.draft}));
    json_answer(200, &json!({"data": {"repository": {"release": found}}}))
}
