//! Errors of storage services, each with a hint.

use sysforge_plan::{Class, Explain};

/// A storage service cannot be used. Nothing has become public.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// A text is not a bucket and a prefix.
    #[error("`{0}` is not a bucket and a prefix in it")]
    Location(String),
    /// The URL of the service cannot be used.
    #[error("AWS_ENDPOINT_URL: `{0}` is not the address of a storage service")]
    Endpoint(String),
    /// The region is not valid.
    #[error("AWS_REGION: `{0}` is not the name of a region")]
    Region(String),
    /// There are no credentials.
    #[error("publishing to {0} needs credentials, and none are set")]
    NoCredentials(String),
    /// One half of the credentials is missing.
    #[error("{0} is not set, and the other half of the credentials is")]
    Half(&'static str),
    /// A credential contains characters that no credential has.
    #[error("{0} contains characters that no credential has, such as a line end")]
    Malformed(&'static str),
    /// There is no such bucket.
    #[error("there is no bucket `{bucket}` at {endpoint}")]
    NoBucket {
        /// The bucket.
        bucket: String,
        /// The service.
        endpoint: String,
    },
    /// The service does not accept the credentials.
    #[error("{endpoint} does not accept the credentials: {said}")]
    Keys {
        /// The service.
        endpoint: String,
        /// The service's message.
        said: String,
    },
    /// The service refuses without credentials, or the credentials do not allow this.
    #[error("{endpoint} does not allow to {what}: {said}")]
    Denied {
        /// The service.
        endpoint: String,
        /// What was attempted, as an infinitive.
        what: String,
        /// The service's message.
        said: String,
    },
    /// The clocks of this machine and the service differ.
    #[error("the clock of this machine and that of {endpoint} differ by too much: {said}")]
    Clock {
        /// The service.
        endpoint: String,
        /// The service's message.
        said: String,
    },
    /// The bucket is in another region.
    #[error("the bucket `{bucket}` is not in this region: {said}")]
    OtherRegion {
        /// The bucket.
        bucket: String,
        /// The service's message.
        said: String,
    },
    /// The server is not a storage service.
    #[error("{endpoint} does not answer as an S3 service does (status {status})")]
    NotStorage {
        /// The URL.
        endpoint: String,
        /// The HTTP status of its answer.
        status: u16,
    },
    /// The service refused for another reason.
    #[error("{endpoint} refused to {what}: {said}")]
    Refused {
        /// The service.
        endpoint: String,
        /// What was attempted, as an infinitive.
        what: String,
        /// The service's message.
        said: String,
    },
}

impl Explain for StorageError {
    fn class(&self) -> Class {
        match self {
            Self::Location(_)
            | Self::Endpoint(_)
            | Self::Region(_)
            | Self::Half(_)
            | Self::Malformed(_) => Class::Usage,
            _ => Class::Publish,
        }
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Location(_) => {
                "write s3://BUCKET/PREFIX; a bucket has 3 to 63 letters, digits, `-` and `.`, and \
                 a prefix has no `@`: after that comes the tag of a release to install"
            }
            Self::Endpoint(_) => {
                "give an address such as https://storage.example.org, without user, password and \
                 bucket; credentials belong into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            }
            Self::Region(_) => "a region looks like `eu-central-1`",
            Self::NoCredentials(_) => {
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and AWS_ENDPOINT_URL for a \
                 service that is not Amazon's"
            }
            Self::Half(_) => "set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or neither",
            Self::Malformed(_) => "set the variable to the bare value",
            Self::NoBucket { .. } => {
                "create the bucket first; for a service that is not Amazon's, AWS_ENDPOINT_URL \
                 names its address"
            }
            Self::Keys { .. } => {
                "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and AWS_SESSION_TOKEN for \
                 temporary ones, which expire"
            }
            Self::Denied { .. } => {
                "the credentials (AWS_ACCESS_KEY_ID) need the rights to read objects, and for \
                 publishing to list, write and delete them below this prefix; services answer the \
                 same for a missing object if listing is not allowed"
            }
            Self::Clock { .. } => "set the clock of this machine",
            Self::OtherRegion { .. } => "set AWS_REGION to the region of the bucket",
            Self::NotStorage { .. } => {
                "AWS_ENDPOINT_URL is the address of the S3 API itself, without the bucket, and \
                 not that of a web console"
            }
            Self::Refused { .. } => "run the same command again: it continues where it stopped",
        };
        vec![hint.to_owned()]
    }
}
