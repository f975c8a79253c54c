//! The events that start the workflow.

use sysforge_plan::config::Workflow;

use super::{WorkflowError, quoted};
use crate::handmade;

/// Returns the part of the file from `on:` to the settings of all jobs.
pub(super) fn triggers(options: &Workflow) -> Result<String, WorkflowError> {
    let mut text = String::new();
    if options.publish && !options.tags.is_empty() {
        let tags: Vec<_> = options.tags.iter().map(|tag| quoted(tag)).collect();
        text.push_str(&format!("  push:\n    tags: [{}]\n", tags.join(", ")));
    }
    if options.pull_request {
        text.push_str("  pull_request:\n");
    }
    if !options.schedule.is_empty() {
        text.push_str(&format!(
            "  schedule: # images for new Julia releases\n    - cron: {}\n",
            quoted(&options.schedule)
        ));
    }
    if options.manual {
        text.push_str("  workflow_dispatch:\n");
        if options.publish {
            text.push_str(
                "    inputs:\n      tag:\n        description: A tag whose release to create or \
                 complete\n        required: false\n        type: string\n",
            );
        }
    }
    if text.is_empty() {
        return Err(WorkflowError::NoTrigger);
    }
    Ok(format!(
        "on:\n{text}{}\n{CONSTANT}",
        handmade::markers(2, "on")
    ))
}

/// One run per tag or branch at a time. Runs are not cancelled, because a late release is better
/// than an incomplete one.
const CONSTANT: &str = "\
permissions: {}

concurrency:
  group: ${{ github.workflow }}-${{ github.ref }}
  cancel-in-progress: false

defaults:
  run:
    shell: bash
";
