//! The actions that generated workflows use, each pinned to a commit. Dependabot updates the pins
//! in this repository's own workflows; a test checks that this table agrees with them.

/// An action pinned to a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pin {
    /// Owner, repository and folder.
    pub action: &'static str,
    /// The commit.
    pub commit: &'static str,
    /// The version of the action at that commit.
    pub version: &'static str,
}

impl Pin {
    /// Returns the value of `uses`, with the version as a comment.
    pub fn uses(&self) -> String {
        let Self {
            action,
            commit,
            version,
        } = self;
        format!("{action}@{commit} # {version}")
    }
}

const CACHE: &str = "55cc8345863c7cc4c66a329aec7e433d2d1c52a9";

/// Checks out the project.
pub const CHECKOUT: Pin = Pin {
    action: "actions/checkout",
    commit: "3d3c42e5aac5ba805825da76410c181273ba90b1",
    version: "v7.0.1",
};

/// Restores the store from the cache.
pub const RESTORE: Pin = Pin {
    action: "actions/cache/restore",
    commit: CACHE,
    version: "v6.1.0",
};

/// Saves the store to the cache.
pub const SAVE: Pin = Pin {
    action: "actions/cache/save",
    commit: CACHE,
    version: "v6.1.0",
};

/// Uploads results for other jobs.
pub const UPLOAD: Pin = Pin {
    action: "actions/upload-artifact",
    commit: "043fb46d1a93c77aae656e7c1c64a875d1fc6a0a",
    version: "v7.0.1",
};

/// Downloads the results of other jobs.
pub const DOWNLOAD: Pin = Pin {
    action: "actions/download-artifact",
    commit: "3e5f45b2cfb9172054b4087a40e8e0b5a5461e7c",
    version: "v8.0.1",
};

/// Attests provenance.
pub const ATTEST: Pin = Pin {
    action: "actions/attest",
    commit: "1e69f48acb82d1966a394da916b4c1698aa569d6",
    version: "v4.2.2",
};

/// All pinned actions.
pub const ALL: [Pin; 6] = [CHECKOUT, RESTORE, SAVE, UPLOAD, DOWNLOAD, ATTEST];
