//! Routes requests, checks permissions, and applies faults to responses.

use std::sync::Arc;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{ACCEPT, AUTHORIZATION};
use hyper::{Method, Request};
use serde_json::Value;

use super::answer::{Answer, Cut, empty, html, json_answer, message, not_found};
use super::answer::{primary_limit, secondary_limit};
use super::fault::{Fault, Op};
use super::releases::{asset, by_tag, create, page, tag_ref, update};
use super::state::{Recorded, Rights};
use super::web::other;
use super::{Shared, render, transfer};

/// Answers one request to the API.
pub(super) async fn answer(
    shared: &Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Answer, Cut> {
    let target = request
        .uri()
        .path_and_query()
        .map_or("/", |target| target.as_str())
        .to_owned();
    // Enterprise serves the API below /api/v3, uploads below /api/uploads, and GraphQL at
    // /api/graphql.
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
        if let Some(early) = early(shared, fault).filter(|_| !uploads_first(fault)) {
            return Ok(early);
        }
        let id = parts.get(1).and_then(|id| id.parse().ok()).unwrap_or(0);
        let answer = transfer::upload(shared, id, &query, request, fault).await?;
        return late(shared, fault, answer);
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
    // Faults of downloads apply at the storage service.
    let fault = (op != Op::Download)
        .then(|| shared.state().script.next(op))
        .flatten();
    if matches!(fault, Some(Fault::Stall(_))) {
        std::future::pending::<()>().await;
    }
    if matches!(fault, Some(Fault::Reset(_))) {
        return Err(Cut);
    }
    if let Some(early) = early(shared, fault) {
        return Ok(early);
    }
    if let Some(refused) = refused(shared, op, rights) {
        return Ok(refused);
    }
    let answer = act(shared, op, &parts, &query, body.as_ref(), rights);
    late(shared, fault, answer)
}

/// Whether a fault of an upload takes effect only after the body was read.
fn uploads_first(fault: Option<Fault>) -> bool {
    matches!(fault, Some(Fault::StatusBefore(500..) | Fault::Html))
}

/// The response for a fault that takes effect before the request is executed.
fn early(shared: &Shared, fault: Option<Fault>) -> Option<Answer> {
    Some(match fault? {
        Fault::StatusBefore(status) => message(status, "Server Error"),
        Fault::Html => html(502),
        Fault::SecondaryLimit(milliseconds) => secondary_limit(milliseconds),
        Fault::PrimaryLimit => primary_limit(shared.options.clock_ahead),
        _ => return None,
    })
}

/// The response, after applying faults that take effect after the request was executed.
fn late(shared: &Shared, fault: Option<Fault>, answer: Answer) -> Result<Answer, Cut> {
    match fault {
        Some(Fault::ResetAfter) => Err(Cut),
        Some(Fault::StatusAfter(status)) => Ok(message(status, "Server Error")),
        Some(Fault::HtmlAfter) => Ok(html(200)),
        Some(Fault::StatusBefore(_) | Fault::Html) => Ok(early(shared, fault).unwrap_or(answer)),
        _ => Ok(answer),
    }
}

pub(super) fn decoded(part: &str) -> String {
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

pub(super) type Caller = Option<Result<Rights, ()>>;

fn may_write(rights: Caller) -> bool {
    matches!(rights, Some(Ok(rights)) if rights.writes())
}

/// The response to a caller without permission.
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
            // Written in one call, so that lines of concurrent requests do not mix.
            let _ = file.write_all(format!("{line}\n").as_bytes());
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
        Op::GetRepo => {
            let known = rights.and_then(Result::ok);
            json_answer(200, &render::repository(shared, known))
        }
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
