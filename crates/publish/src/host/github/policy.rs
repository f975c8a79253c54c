//! Options for publishing to GitHub.

use std::path::PathBuf;

use sysforge_plan::Reporter;

use super::GitHub;
use crate::release_bundle::ReleaseBundle;

/// Options for publishing to GitHub.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Whether existing files with other bytes are replaced.
    pub replace: bool,
    /// Whether to write nothing, neither locally nor at the host.
    pub dry_run: bool,
    /// Whether the release stays a draft, to be completed and made public by later calls. Its files
    /// may be replaced: nobody has installed from it.
    pub draft: bool,
    /// Whether to download everything again at the end.
    pub recheck: bool,
    /// The commit or branch to tag if the tag does not exist.
    pub target: Option<String>,
    /// A folder for the publisher's journal.
    pub state: PathBuf,
}

/// What is published, where and how.
#[derive(Debug, Clone, Copy)]
pub(super) struct Publication<'a> {
    pub(super) host: &'a GitHub,
    pub(super) bundle: &'a ReleaseBundle,
    pub(super) policy: &'a Policy,
    pub(super) reporter: &'a Reporter,
}
