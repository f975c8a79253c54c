//! The location of releases in a storage service: a bucket and a prefix of its keys.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::storage_error::StorageError;

/// A bucket and a prefix, written as `s3://BUCKET/PREFIX`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct S3Location {
    bucket: String,
    /// Without leading and trailing slashes; may be empty.
    prefix: String,
}

/// The scheme of a bucket's URL.
pub(crate) const SCHEME: &str = "s3://";

impl S3Location {
    /// Returns the bucket.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// Returns the key of `name` below the prefix.
    pub(super) fn key(&self, name: &str) -> String {
        match self.prefix.is_empty() {
            true => name.to_owned(),
            false => format!("{}/{name}", self.prefix),
        }
    }

    /// Returns the location as a URL with a trailing slash, as signatures name it.
    ///
    /// # Errors
    ///
    /// If it contains characters that are not allowed in a URL.
    pub fn url(&self) -> Result<Url, StorageError> {
        let text = format!("{self}/");
        let url: Result<Url, _> = text.parse();
        url.map_err(|_| StorageError::Location(text))
    }
}

impl FromStr for S3Location {
    type Err = StorageError;

    fn from_str(text: &str) -> Result<Self, StorageError> {
        let wrong = || StorageError::Location(text.to_owned());
        let rest = text.strip_prefix(SCHEME).ok_or_else(wrong)?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        // A tag follows an `@`. A key with `.` or empty segments cannot be written as a URL.
        let is_segment = |segment: &str| {
            !matches!(segment, "" | "." | "..")
                && !segment
                    .chars()
                    .any(|char| char.is_control() || matches!(char, '@' | '\\' | '?' | '#' | '%'))
        };
        let is_good = is_bucket(bucket) && (prefix.is_empty() || prefix.split('/').all(is_segment));
        match is_good {
            true => Ok(Self {
                bucket: bucket.to_owned(),
                prefix: prefix.to_owned(),
            }),
            false => Err(wrong()),
        }
    }
}

/// Whether this can be the name of a bucket. Services other than Amazon's allow capital letters and
/// underscores.
fn is_bucket(name: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    (3..=63).contains(&name.len())
        && name.bytes().all(is_inner)
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.ends_with(|last: char| last.is_ascii_alphanumeric())
        && !name.contains("..")
}

impl fmt::Display for S3Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}", self.bucket)?;
        match self.prefix.is_empty() {
            true => Ok(()),
            false => write!(f, "/{}", self.prefix),
        }
    }
}

impl From<S3Location> for String {
    fn from(location: S3Location) -> Self {
        location.to_string()
    }
}

impl TryFrom<String> for S3Location {
    type Error = StorageError;

    fn try_from(text: String) -> Result<Self, StorageError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_and_a_prefix_are_read() {
        for (text, bucket, key) in [
            ("s3://images", "images", "v1"),
            ("s3://images/", "images", "v1"),
            ("s3://my.images-2/a/b", "my.images-2", "a/b/v1"),
            ("s3://images/a b/", "images", "a b/v1"),
        ] {
            let location: S3Location = text.parse().unwrap();
            assert_eq!(location.bucket(), bucket, "{text}");
            assert_eq!(location.key("v1"), key, "{text}");
            assert_eq!(location.to_string(), text.trim_end_matches('/'));
            assert!(location.url().unwrap().path().ends_with('/'));
        }
    }

    #[test]
    fn what_no_bucket_or_prefix_can_be_is_refused() {
        for text in [
            "",
            "s3:",
            "s3://",
            "s3:///a",
            "s3://ab",
            "s3://-images",
            "s3://images-",
            "s3://im..ages",
            "s3://im ages/a",
            "s3://user:secret@images/a",
            "s3://images:9000/a",
            "s3://images//a",
            "s3://images/a//b",
            "s3://images/../b",
            "s3://images/./b",
            "s3://images/a@v1",
            "s3://images/a?b",
            "s3://images/a%2Fb",
            "s3://images/a\nb",
            "S3://images",
        ] {
            let error = text.parse::<S3Location>().unwrap_err();
            assert!(matches!(error, StorageError::Location(_)), "{text}");
        }
    }

    #[test]
    fn a_location_in_a_file_is_checked_when_it_is_read() {
        let location: S3Location = "s3://images/a".parse().unwrap();
        let text = serde_json::to_string(&location).unwrap();
        assert_eq!(text, r#""s3://images/a""#);
        assert_eq!(serde_json::from_str::<S3Location>(&text).unwrap(), location);
        assert!(serde_json::from_str::<S3Location>(r#""s3://images/../a""#).is_err());
    }
}
