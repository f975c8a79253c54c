//! What a run of the workflow releases, from the event that started it.

/// What is known of the run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Run {
    /// `GITHUB_EVENT_NAME`.
    pub event: String,
    /// `GITHUB_REF_TYPE`: `tag` or `branch`.
    pub ref_type: String,
    /// `GITHUB_REF_NAME`.
    pub ref_name: String,
    /// What was typed into the field `tag` when the workflow was started by hand.
    pub typed: String,
}

/// What a run releases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Releases {
    /// Nothing: it builds and checks.
    Nothing,
    /// The images of this tag.
    Tag(String),
    /// Images that the newest release lacks.
    Newest,
}

impl Run {
    /// What this run releases.
    #[must_use]
    pub fn releases(&self) -> Releases {
        let tag = match self.event.as_str() {
            "schedule" => return Releases::Newest,
            "workflow_dispatch" if !self.typed.trim().is_empty() => self.typed.trim(),
            "push" | "workflow_dispatch" if self.ref_type == "tag" => &self.ref_name,
            _ => return Releases::Nothing,
        };
        Releases::Tag(tag.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_released_and_pull_requests_never() {
        let run = |event: &str, ref_type: &str, typed: &str| {
            Run {
                event: event.to_owned(),
                ref_type: ref_type.to_owned(),
                ref_name: "v1".to_owned(),
                typed: typed.to_owned(),
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
