//! Options for publishing to GitHub.

use std::path::PathBuf;

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
