//! The actions that generated workflows use, each by commit. Dependabot raises the pins in this
//! repository's own workflows; a test makes sure that this table follows.

/// An action, by commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pin {
    /// Owner, repository and folder.
    pub action: &'static str,
    /// The commit.
    pub commit: &'static str,
    /// The version that the commit is.
    pub version: &'static str,
}

impl Pin {
    /// The value of `uses`, with the version as a comment.
    #[must_use]
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

/// Gets the store from the cache.
pub const RESTORE: Pin = Pin {
    action: "actions/cache/restore",
    commit: CACHE,
    version: "v6.1.0",
};

/// Puts the store into the cache.
pub const SAVE: Pin = Pin {
    action: "actions/cache/save",
    commit: CACHE,
    version: "v6.1.0",
};

/// Hands results on to other jobs.
pub const UPLOAD: Pin = Pin {
    action: "actions/upload-artifact",
    commit: "043fb46d1a93c77aae656e7c1c64a875d1fc6a0a",
    version: "v7.0.1",
};

/// Takes results from other jobs.
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

/// All of them.
pub const ALL: [Pin; 6] = [CHECKOUT, RESTORE, SAVE, UPLOAD, DOWNLOAD, ATTEST];
