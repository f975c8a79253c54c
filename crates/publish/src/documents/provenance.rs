//! The origin of the images, as an in-toto statement with a SLSA provenance predicate. It is signed
//! if the publisher has a key (see `signing`); `actions/attest` signs the same subjects from
//! `SHA256SUMS`.

use serde_json::{Value, json};
use sysforge_plan::receipt::JuliaOrigin;
use sysforge_plan::release::INDEX_NAME;
use sysforge_plan::{Receipt, Sha256, text};

use crate::dist::Build;

/// The origin of the images, as far as it is known, for the provenance.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// The URL of the source repository.
    pub source: Option<String>,
    /// The commit.
    pub commit: Option<String>,
    /// The builder, for instance the workflow file at its commit.
    pub builder: Option<String>,
    /// The CI run that built the images.
    pub run: Option<String>,
}

impl Origin {
    /// Reads the origin from the environment variables that GitHub Actions sets for a run of
    /// `repository`.
    pub fn from_actions(
        variable: impl Fn(&str) -> Option<String>,
        repository: Option<&str>,
    ) -> Self {
        let server = variable("GITHUB_SERVER_URL");
        let at = |path: &str| server.as_ref().map(|server| format!("{server}/{path}"));
        Self {
            source: repository.and_then(at),
            commit: variable("GITHUB_SHA"),
            builder: variable("GITHUB_WORKFLOW_REF").and_then(|workflow| at(&workflow)),
            run: repository
                .zip(variable("GITHUB_RUN_ID"))
                .and_then(|(repository, run)| at(&format!("{repository}/actions/runs/{run}"))),
        }
    }
}

/// The name of the file.
pub const NAME: &str = "provenance.intoto.json";

/// The name of the same statement in an envelope signed with the publisher's key.
pub const SIGNED_NAME: &str = "provenance.intoto.jsonl";

/// Returns the statement about these archives, which an index with the digest `index` names.
pub fn write(builds: &[Build], tag: &str, index: Sha256, origin: &Origin) -> String {
    let subjects: Vec<_> = builds
        .iter()
        .map(|build| {
            json!({
                "name": build.archive.name,
                "digest": {"sha256": build.archive.sha256.to_string()},
            })
        })
        .collect();
    let mut statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subjects,
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "https://sysforge.dev/build/v1",
                "externalParameters": {
                    "tag": tag,
                    "index": {"name": INDEX_NAME, "digest": {"sha256": index.to_string()}},
                    "source": source(origin),
                },
                "internalParameters": {"builds": builds.iter().map(inputs).collect::<Vec<_>>()},
                "resolvedDependencies": dependencies(builds, origin),
            },
            "runDetails": {
                "builder": {
                    "id": origin
                        .builder
                        .clone()
                        .unwrap_or_else(|| "https://sysforge.dev/builder/local".to_owned()),
                    "version": {"sysforge": tool(builds)},
                },
            },
        },
    });
    if let Some(run) = &origin.run {
        statement["predicate"]["runDetails"]["metadata"] = json!({"invocationId": run});
    }
    text::json(&statement)
}

/// Whether a statement names this archive with this digest. This does not verify who made the
/// statement; attestations do.
pub fn names(statement: &[u8], archive: &str, sha256: Sha256) -> bool {
    let statement: Value = serde_json::from_slice(statement).unwrap_or_default();
    let subjects = statement["subject"].as_array();
    subjects.is_some_and(|subjects| {
        subjects.iter().any(|subject| {
            subject["name"] == archive && subject["digest"]["sha256"] == sha256.to_string()
        })
    })
}

/// Whether a statement is about the release with this tag and this index. Statements of older
/// releases name only the tag.
pub fn is_of(statement: &[u8], tag: &str, index: Sha256) -> bool {
    let statement: Value = serde_json::from_slice(statement).unwrap_or_default();
    let parameters = &statement["predicate"]["buildDefinition"]["externalParameters"];
    let named = &parameters["index"]["digest"]["sha256"];
    parameters["tag"] == tag && (named.is_null() || *named == index.to_string())
}

fn source(origin: &Origin) -> Value {
    json!({"repository": origin.source, "commit": origin.commit})
}

fn tool(builds: &[Build]) -> String {
    builds
        .first()
        .map(|build| build.receipt.tool.version.clone())
        .unwrap_or_default()
}

fn inputs(build: &Build) -> Value {
    json!({
        "id": build.receipt.build_id,
        "inputsDigest": build.receipt.inputs_digest,
        "cpuTarget": build.receipt.targets.requested,
        "linker": build.receipt.link.linker,
    })
}

/// Returns the source commit and every Julia, without duplicates.
fn dependencies(builds: &[Build], origin: &Origin) -> Vec<Value> {
    let mut all = Vec::new();
    if let (Some(source), Some(commit)) = (&origin.source, &origin.commit) {
        all.push(json!({"uri": format!("git+{source}"), "digest": {"gitCommit": commit}}));
    }
    for julia in builds.iter().filter_map(|build| julia(&build.receipt)) {
        if !all.contains(&julia) {
            all.push(julia);
        }
    }
    all
}

fn julia(receipt: &Receipt) -> Option<Value> {
    match &receipt.julia_origin {
        JuliaOrigin::Catalogue { url, sha256, .. } | JuliaOrigin::Nightly { url, sha256 } => {
            Some(json!({"uri": url, "digest": {"sha256": sha256.to_string()}}))
        }
        JuliaOrigin::Given => None,
    }
}
