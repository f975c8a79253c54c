//! What a publication may do at GitHub.

use std::path::PathBuf;

/// What to do beyond sending what is missing.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Whether files that are there with other bytes are replaced.
    pub replace: bool,
    /// Whether nothing is to be written, here or at the host.
    pub dry_run: bool,
    /// Whether the release stays a draft, to be completed and made public by later calls. What is
    /// in it may be renewed: nobody has installed from it.
    pub draft: bool,
    /// Whether everything is downloaded again at the end.
    pub recheck: bool,
    /// The commit or branch that is tagged if the tag does not exist.
    pub target: Option<String>,
    /// A folder for this publisher's own notes.
    pub state: PathBuf,
}
