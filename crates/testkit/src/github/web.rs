//! Everything except the REST API: web downloads and a small part of GraphQL.

use serde_json::{Value, json};

use super::answer::{Answer, bytes_answer, json_answer, message, not_found};
use super::routes::{Caller, decoded};
use super::state::Rights;
use super::{Shared, render, transfer};

/// Web downloads, the GraphQL queries of `gh`, and other requests of clients.
pub(super) fn other(shared: &Shared, path: &str, rights: Caller, body: Option<&Value>) -> Answer {
    let downloads = format!("/{}/releases/download/", shared.options.repository);
    let latest = format!("/{}/releases/latest/download/", shared.options.repository);
    let public = !shared.options.private || matches!(rights, Some(Ok(_)));
    if path == "/graphql" {
        return graphql(shared, body);
    }
    if path == format!("/repos/{}/immutable-releases", shared.options.repository) {
        return immutable_releases(shared, rights);
    }
    if let Some(answer) = attestations(shared, path, public) {
        return answer;
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

/// Whether releases of the repository become immutable: 404 if they do not.
fn immutable_releases(shared: &Shared, rights: Caller) -> Answer {
    if !shared.options.tells_immutable || rights == Some(Ok(Rights::Actions)) {
        return message(403, "Resource not accessible by integration");
    }
    match shared.options.immutable {
        true => json_answer(200, &json!({"enabled": true, "enforced_by_owner": false})),
        false => not_found(),
    }
}

/// Returns the attestations of a digest, or a compressed bundle that the API does not return
/// itself.
fn attestations(shared: &Shared, path: &str, public: bool) -> Option<Answer> {
    let state = shared.state();
    if let Some(rest) = path.strip_prefix("/attestations/") {
        let (digest, number) = rest.split_once('/')?;
        let bundle = state
            .attestations
            .get(digest)?
            .get(number.parse::<usize>().ok()?)?;
        let packed = snap::raw::Encoder::new().compress_vec(bundle.as_bytes());
        return Some(bytes_answer(packed.unwrap_or_default()));
    }
    let digest = path.strip_prefix(&format!(
        "/repos/{}/attestations/",
        shared.options.repository
    ))?;
    let kept = state.attestations.get(digest).filter(|_| public);
    let Some(kept) = kept else {
        return Some(not_found());
    };
    let listed: Vec<Value> = kept
        .iter()
        .enumerate()
        .map(|(number, bundle)| match number {
            0 => json!({"repository_id": 1, "bundle": serde_json::from_str::<Value>(bundle).ok()}),
            _ => json!({
                "repository_id": 1,
                "bundle": null,
                "bundle_url": format!("{}/attestations/{digest}/{number}", shared.api),
            }),
        })
        .collect();
    Some(json_answer(200, &json!({"attestations": listed})))
}

/// `gh` lists releases and looks up drafts by tag through GraphQL.
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
