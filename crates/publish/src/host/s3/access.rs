//! The URL of a storage service and the credentials for it, from the standard variables.

use sysforge_plan::Secret;
use url::Url;

use crate::storage_error::StorageError;

/// The values of the `AWS_*` variables. They are only checked when they are used, since other hosts
/// do not need them. Even the URL is kept as a secret until then, because it may contain a
/// password.
#[derive(Debug, Clone, Default)]
pub struct S3Access {
    endpoint: Option<Secret>,
    region: Option<Secret>,
    key: Option<Secret>,
    secret: Option<Secret>,
    session: Option<Secret>,
}

/// Credentials.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    pub(super) key: Secret,
    pub(super) secret: Secret,
    pub(super) session: Option<Secret>,
}

/// The region of a service without regions, and of Amazon's if no variable names one.
const DEFAULT_REGION: &str = "us-east-1";

impl S3Access {
    /// Reads the variables.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let first = |names: &[&str]| {
            let mut values = names.iter().filter_map(|name| variable(name));
            values.next().as_deref().map(Secret::new)
        };
        Self {
            endpoint: first(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]),
            region: first(&["AWS_REGION", "AWS_DEFAULT_REGION"]),
            key: first(&["AWS_ACCESS_KEY_ID"]),
            secret: first(&["AWS_SECRET_ACCESS_KEY"]),
            session: first(&["AWS_SESSION_TOKEN"]),
        }
    }

    /// Returns the region; `endpoint` is the service that was used before, if it is known.
    pub(super) fn region(&self, endpoint: Option<&Url>) -> Result<String, StorageError> {
        let Some(region) = &self.region else {
            let host = endpoint.and_then(Url::host_str);
            let region = host.and_then(amazon_region);
            return Ok(region.unwrap_or(DEFAULT_REGION).to_owned());
        };
        let text = region.reveal();
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        match !text.is_empty() && text.bytes().all(is_part) {
            true => Ok(text.to_owned()),
            false => Err(StorageError::Region(text.to_owned())),
        }
    }

    /// Returns the URL of the service, without a trailing slash.
    pub(super) fn endpoint(&self, region: &str) -> Result<Url, StorageError> {
        let text = match &self.endpoint {
            Some(endpoint) => endpoint.reveal().to_owned(),
            None => format!("https://s3.{region}.amazonaws.com"),
        };
        let url: Result<Url, _> = text.parse();
        url.ok()
            .filter(is_endpoint)
            .ok_or_else(|| StorageError::Endpoint(sysforge_net::redacted_text(&text)))
    }

    /// Returns the credentials, if there are any.
    pub(super) fn keys(&self) -> Result<Option<Keys>, StorageError> {
        let (key, secret) = match (&self.key, &self.secret) {
            (None, None) => return Ok(None),
            (Some(_), None) => return Err(StorageError::Half("AWS_SECRET_ACCESS_KEY")),
            (None, Some(_)) => return Err(StorageError::Half("AWS_ACCESS_KEY_ID")),
            (Some(key), Some(secret)) => (key, secret),
        };
        // All of them become parts of headers.
        let is_plain = |secret: &Secret| secret.reveal().bytes().all(|b| b.is_ascii_graphic());
        for (name, value) in [
            ("AWS_ACCESS_KEY_ID", Some(key)),
            ("AWS_SECRET_ACCESS_KEY", Some(secret)),
            ("AWS_SESSION_TOKEN", self.session.as_ref()),
        ] {
            if !value.is_none_or(is_plain) {
                return Err(StorageError::Malformed(name));
            }
        }
        Ok(Some(Keys {
            key: key.clone(),
            secret: secret.clone(),
            session: self.session.clone(),
        }))
    }
}

/// Whether a URL can be that of a service: it contains no secret, so that it may be shown and
/// stored.
pub(crate) fn is_endpoint(url: &Url) -> bool {
    sysforge_net::is_web(url) && !sysforge_net::has_private_parts(url)
}

/// Returns the region in a host name of Amazon's: `s3.REGION.amazonaws.com`.
fn amazon_region(host: &str) -> Option<&str> {
    host.strip_prefix("s3.")?.strip_suffix(".amazonaws.com")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(variables: &[(&str, &str)]) -> S3Access {
        S3Access::from_variables(|name| {
            let found = variables.iter().find(|(have, _)| *have == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_variables_of_the_storage_come_before_the_general_ones() {
        let access = access(&[
            ("AWS_ENDPOINT_URL", "https://other.example.org"),
            ("AWS_ENDPOINT_URL_S3", "https://s3.example.org"),
            ("AWS_DEFAULT_REGION", "eu-north-1"),
            ("AWS_REGION", "garage"),
        ]);
        assert_eq!(access.region(None).unwrap(), "garage");
        let endpoint = access.endpoint("garage").unwrap();
        assert_eq!(endpoint.as_str(), "https://s3.example.org/");
    }

    #[test]
    fn amazon_is_the_default() {
        let access = S3Access::default();
        let region = access.region(None).unwrap();
        let endpoint = access.endpoint(&region).unwrap();
        assert_eq!(endpoint.as_str(), "https://s3.us-east-1.amazonaws.com/");
        assert!(access.keys().unwrap().is_none());
        let before: Url = "https://s3.eu-north-1.amazonaws.com".parse().unwrap();
        assert_eq!(access.region(Some(&before)).unwrap(), "eu-north-1");
        let other: Url = "https://storage.example.org".parse().unwrap();
        assert_eq!(access.region(Some(&other)).unwrap(), "us-east-1");
    }

    #[test]
    fn half_a_credential_names_the_variable_that_is_missing() {
        for (set, missing) in [
            ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
            ("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"),
        ] {
            let error = access(&[(set, "x")]).keys().unwrap_err();
            assert!(error.to_string().contains(missing), "{error}");
        }
    }

    #[test]
    fn what_cannot_be_an_address_region_or_key_is_refused_without_showing_secrets() {
        for address in [
            "storage.example.org",
            "ftp://storage.example.org",
            "https://me:hunter2@storage.example.org",
            "https://storage.example.org?key=hunter2",
            "https://",
        ] {
            let access = access(&[("AWS_ENDPOINT_URL", address)]);
            let error = access.endpoint("x").unwrap_err();
            assert!(!error.to_string().contains("hunter2"), "{error}");
            assert!(!format!("{access:?}").contains("hunter2"));
        }
        let region = access(&[("AWS_REGION", "eu.example.org/")]);
        assert!(region.region(None).is_err());
        let keys = access(&[
            ("AWS_ACCESS_KEY_ID", "id"),
            ("AWS_SECRET_ACCESS_KEY", "hun\nter2"),
        ]);
        let error = keys.keys().unwrap_err();
        assert!(error.to_string().contains("AWS_SECRET_ACCESS_KEY"));
        assert!(!format!("{error:?} {keys:?}").contains("ter2"));
    }
}
