//! Release hosts: GitHub, a plain directory, and S3-compatible storage.

use std::path::PathBuf;
use std::str::FromStr;

use sysforge_plan::release::{Site, SiteError};

use crate::error::PublishError;

mod attempts;
mod cleanup;
pub mod dir;
pub(crate) mod failure;
pub mod github;
pub mod s3;

pub use attempts::Timing;
pub use cleanup::Cleanup;

/// The hosts, as `--to` names them. A new host needs a variant here and a module in `host/`; the
/// code that publishes or installs matches all variants, so the compiler reports every other place
/// to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// `github`: a release of a repository.
    GitHub,
    /// `dir:PATH`: a folder, which a web server may serve.
    Dir(PathBuf),
    /// `s3://BUCKET/PREFIX`: storage with the S3 API.
    S3(s3::S3Location),
}

/// Options for publishing.
#[derive(Debug, Clone, Copy, Default)]
pub struct PublishOptions {
    /// Whether existing files with other bytes are replaced.
    pub replace: bool,
    /// Whether to write nothing.
    pub dry_run: bool,
    /// Whether the release does not become public. In a folder it always does.
    pub draft: bool,
    /// Whether to download everything again and compare it. In a folder, everything is always
    /// compared.
    pub recheck: bool,
}

impl FromStr for Host {
    type Err = PublishError;

    fn from_str(text: &str) -> Result<Self, PublishError> {
        if text.starts_with(s3::SCHEME) {
            return Ok(Self::S3(text.parse()?));
        }
        match text.split_once(':') {
            None if text == "github" => Ok(Self::GitHub),
            Some(("dir", path)) if !path.is_empty() => Ok(Self::Dir(path.into())),
            _ => Err(PublishError::Address(text.to_owned())),
        }
    }
}

/// Parses the list of releases of `place`, to add a tag. A damaged list is created again, because it only
/// repeats what the releases show; that of a newer Sysforge is left alone.
fn site_to_extend(bytes: &[u8], place: impl FnOnce() -> String) -> Result<Site, PublishError> {
    match Site::from_json(bytes) {
        Ok(site) => Ok(site),
        Err(SiteError::Malformed(_)) => Ok(Site::default()),
        Err(source) => Err(PublishError::Site {
            place: place(),
            source,
        }),
    }
}

/// Percent-encodes a path segment or a query value: everything except the unreserved characters of
/// RFC 3986. `+`, which Julia versions contain, would otherwise be read as a space.
pub(crate) fn encode(text: &str) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const SET: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~');
    utf8_percent_encode(text, SET).to_string()
}

/// Percent-encodes each segment of a path.
pub fn encode_path(path: &str) -> String {
    let segments: Vec<String> = path.split('/').map(encode).collect();
    segments.join("/")
}

/// Returns a random number, which differs between publishers.
fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_named() {
        assert_eq!("github".parse::<Host>().unwrap(), Host::GitHub);
        // A drive letter of Windows is followed by a colon, too.
        for path in ["site", r"C:\site", "a:b"] {
            let host: Host = format!("dir:{path}").parse().unwrap();
            assert_eq!(host, Host::Dir(path.into()));
        }
        let host: Host = "s3://images/demo".parse().unwrap();
        assert_eq!(host, Host::S3("s3://images/demo".parse().unwrap()));
        let error = "s3://images/demo@v1".parse::<Host>().unwrap_err();
        assert!(matches!(error, PublishError::Storage(_)));
        for bad in [
            "",
            "dir",
            "dir:",
            "gitlab",
            "github:octo/images",
            "Dir:site",
        ] {
            let error = bad.parse::<Host>().unwrap_err();
            assert!(matches!(error, PublishError::Address(text) if text == bad));
        }
    }
}
