//! Errors of storage services, each with a hint.

use sysforge_plan::{Class, Explain};

/// A storage service cannot be used. Nothing has become public.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages describe the variants")]
pub enum StorageError {
    #[error("`{}` is not a bucket and a prefix in it", sysforge_net::typed(.0))]
    Location(String),
    #[error("AWS_ENDPOINT_URL: `{0}` is not the address of a storage service")]
    Endpoint(String),
    #[error("AWS_REGION: `{0}` is not the name of a region")]
    Region(String),
    #[error("publishing to {0} needs credentials, and none are set")]
    NoCredentials(String),
    #[error("{0} is not set, and the other half of the credentials is")]
    Half(&'static str),
    #[error("{0} contains characters that no credential has, such as a line end")]
    Malformed(&'static str),
    #[error("there is no bucket `{bucket}` at {endpoint}")]
    NoBucket { bucket: String, endpoint: String },
    #[error("{endpoint} does not accept the credentials: {said}")]
    Keys { endpoint: String, said: String },
    #[error("{endpoint} does not allow to {what}: {said}")]
    Denied {
        endpoint: String,
        what: String,
        said: String,
    },
    #[error("the clock of this machine and that of {endpoint} differ by too much: {said}")]
    Clock { endpoint: String, said: String },
    #[error("the bucket `{bucket}` is not in this region: {said}")]
    OtherRegion { bucket: String, said: String },
    #[error("{endpoint} does not answer as an S3 service does (status {status})")]
    NotStorage { endpoint: String, status: u16 },
    #[error("{endpoint} refused to {what}: {said}")]
    Refused {
        endpoint: String,
        what: String,
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
