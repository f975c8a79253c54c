//! Determines what a run of the workflow releases, from the event that started it.

use sysforge_plan::text::Tag;

/// The relevant variables of the run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Run {
    /// `GITHUB_EVENT_NAME`.
    pub event: String,
    /// `GITHUB_REF_TYPE`: `tag` or `branch`.
    pub ref_type: String,
    /// `GITHUB_REF_NAME`.
    pub ref_name: String,
    /// The value of the input `tag` of a manually started run.
    pub tag_input: String,
}

/// What a run releases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Releases {
    /// Nothing: it only builds and checks.
    Nothing,
    /// Images for this tag.
    Tag(String),
    /// Images that the newest release lacks.
    Newest,
}

impl Run {
    /// Determines what this run releases.
    pub fn releases(&self) -> Releases {
        let tag = match self.event.as_str() {
            "schedule" => return Releases::Newest,
            "workflow_dispatch" if !self.tag_input.trim().is_empty() => {
                Tag::name_in(self.tag_input.trim())
            }
            "push" | "workflow_dispatch" if self.ref_type == "tag" => &self.ref_name,
            _ => return Releases::Nothing,
        };
        Releases::Tag(tag.to_owned())
    }
}

/// Whether GitHub withholds the repository's secrets from this run. It does so for pull requests
/// from forks, including deleted ones. `payload` is the JSON document named by `GITHUB_EVENT_PATH`;
/// for an unreadable one, the result is false.
pub fn is_of_a_fork(payload: &str) -> bool {
    let payload: serde_json::Value = serde_json::from_str(payload).unwrap_or_default();
    let Some(head) = payload.pointer("/pull_request/head") else {
        return false;
    };
    let name = |pointer| payload.pointer(pointer).and_then(|name| name.as_str());
    let base = name("/pull_request/base/repo/full_name").or(name("/repository/full_name"));
    let head = head
        .pointer("/repo/full_name")
        .and_then(|name| name.as_str());
    head != base
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pull_request_of_a_fork_gets_no_secrets() {
        let payload = |head: serde_json::Value| {
            serde_json::json!({
                "pull_request": {"head": {"repo": head}, "base": {"repo": {"full_name": "me/it"}}},
                "repository": {"full_name": "me/it"},
            })
            .to_string()
        };
        let named = |name: &str| payload(serde_json::json!({ "full_name": name }));
        assert!(is_of_a_fork(&named("you/it")));
        assert!(is_of_a_fork(&payload(serde_json::Value::Null)));
        assert!(!is_of_a_fork(&named("me/it")));
        assert!(!is_of_a_fork(r#"{"ref": "refs/heads/main"}"#));
        assert!(!is_of_a_fork("not JSON"));
    }

    #[test]
    fn tags_are_released_and_pull_requests_never() {
        let run = |event: &str, ref_type: &str, tag_input: &str| {
            Run {
                event: event.to_owned(),
                ref_type: ref_type.to_owned(),
                ref_name: "v1".to_owned(),
                tag_input: tag_input.to_owned(),
            }
            .releases()
        };
        let tag = |tag: &str| Releases::Tag(tag.to_owned());
        assert_eq!(run("push", "tag", ""), tag("v1"));
        assert_eq!(run("push", "branch", ""), Releases::Nothing);
        assert_eq!(run("workflow_dispatch", "branch", " v0.9 "), tag("v0.9"));
        assert_eq!(run("workflow_dispatch", "tag", ""), tag("v1"));
        assert_eq!(run("workflow_dispatch", "branch", ""), Releases::Nothing);
        assert_eq!(run("pull_request", "branch", "v1"), Releases::Nothing);
        assert_eq!(run("schedule", "branch", ""), Releases::Newest);
    }
}
