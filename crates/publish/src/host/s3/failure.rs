//! Failures of requests to a storage service.

use url::Url;

use crate::error::PublishError;
use crate::host::Timing;
use crate::host::failure::Failure;
use crate::storage_error::StorageError;

/// Whether the same request may succeed later.
pub(super) fn may_pass(failure: &Failure) -> bool {
    const PASSING: &[&str] = &[
        "ConditionalRequestConflict",
        "OperationAborted",
        "RequestTimeout",
    ];
    match failure {
        Failure::Storage { code, .. } if PASSING.contains(&code.as_str()) => true,
        Failure::Storage { status, .. } | Failure::Garbled { status } => {
            matches!(status, 408 | 425 | 429 | 500 | 502..=599)
        }
        failure => failure.is_passing(),
    }
}

/// Whether an object does not exist.
pub(super) fn is_missing(failure: &Failure) -> bool {
    match failure {
        Failure::Storage { status, code, .. } => *status == 404 && code != "NoSuchBucket",
        failure => failure.is_missing(),
    }
}

/// Whether the service refuses this request, although it accepts the credentials.
pub(crate) fn is_denied(failure: &Failure) -> bool {
    match failure {
        Failure::Storage { code, .. } => {
            matches!(code.as_str(), "AccessDenied" | "AllAccessDisabled")
        }
        Failure::Garbled { status } => *status == 403,
        _ => false,
    }
}

/// Whether the service does not support conditional requests.
pub(super) fn is_unsupported(failure: &Failure) -> bool {
    let named = matches!(failure, Failure::Storage { code, .. } if code == "NotImplemented");
    named || failure.status() == Some(501)
}

/// Converts a failure to an error for the user. `what` was attempted, as an infinitive.
pub(super) fn error(
    endpoint: &Url,
    bucket: &str,
    what: &str,
    failure: Failure,
    timing: &Timing,
) -> PublishError {
    let failure = match failure.into_error(what, timing) {
        Ok(error) => return error,
        Err(failure) => failure,
    };
    let endpoint = endpoint.as_str().trim_end_matches('/').to_owned();
    let (bucket, what) = (bucket.to_owned(), what.to_owned());
    let said = failure.words();
    let storage = match &failure {
        Failure::Garbled { status: 401 } => StorageError::Denied {
            endpoint,
            what,
            said,
        },
        failure if is_denied(failure) => StorageError::Denied {
            endpoint,
            what,
            said,
        },
        Failure::Storage { status, code, .. } => match code.as_str() {
            "NoSuchBucket" => StorageError::NoBucket { bucket, endpoint },
            "InvalidAccessKeyId"
            | "SignatureDoesNotMatch"
            | "ExpiredToken"
            | "InvalidToken"
            | "InvalidSecurity"
            | "TokenRefreshRequired"
            | "InvalidClientTokenId" => StorageError::Keys { endpoint, said },
            "RequestTimeTooSkewed" | "RequestExpired" => StorageError::Clock { endpoint, said },
            "AuthorizationHeaderMalformed"
            | "PermanentRedirect"
            | "TemporaryRedirect"
            | "IllegalLocationConstraintException"
            | "AuthorizationQueryParametersError" => StorageError::OtherRegion { bucket, said },
            _ if *status == 401 => StorageError::Keys { endpoint, said },
            _ if may_pass(&failure) => return failure.gave_up(&what, timing),
            _ => StorageError::Refused {
                endpoint,
                what,
                said,
            },
        },
        Failure::Garbled { status: 301 | 307 } => StorageError::OtherRegion { bucket, said },
        failure if may_pass(failure) => return failure.gave_up(&what, timing),
        failure => StorageError::NotStorage {
            endpoint,
            status: failure.status().unwrap_or(0),
        },
    };
    storage.into()
}

#[cfg(test)]
mod tests {
    use sysforge_net::header::HeaderMap;
    use sysforge_plan::{Class, Explain};

    use super::*;

    fn answered(status: u16, code: &str) -> Failure {
        let body = format!(
            "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>It says &lt;no&gt;</Message></Error>"
        );
        Failure::of_answer(status, &HeaderMap::new(), body.as_bytes())
    }

    fn explained(failure: Failure) -> (String, String) {
        let endpoint = "https://s3.example.org/".parse().unwrap();
        let error = error(&endpoint, "images", "write a", failure, &Timing::default());
        assert_eq!(error.class(), Class::Publish);
        (error.to_string(), error.hints().join(" "))
    }

    #[test]
    fn each_refusal_says_what_to_do() {
        for (status, code, words, hint) in [
            (
                404,
                "NoSuchBucket",
                "no bucket `images` at https://s3.example.org",
                "create",
            ),
            (
                403,
                "AccessDenied",
                "does not allow to write a: It says <no> (AccessDenied, status 403)",
                "rights",
            ),
            (
                403,
                "InvalidAccessKeyId",
                "does not accept the credentials",
                "AWS_ACCESS_KEY_ID",
            ),
            (
                403,
                "SignatureDoesNotMatch",
                "does not accept the credentials",
                "AWS_SECRET",
            ),
            (
                400,
                "ExpiredToken",
                "does not accept the credentials",
                "expire",
            ),
            (
                403,
                "RequestTimeTooSkewed",
                "the clock of this machine",
                "clock",
            ),
            (
                400,
                "AuthorizationHeaderMalformed",
                "not in this region",
                "AWS_REGION",
            ),
            (301, "PermanentRedirect", "not in this region", "AWS_REGION"),
            (
                503,
                "SlowDown",
                "in 8 attempts: It says <no> (SlowDown, status 503)",
                "again",
            ),
            (507, "XMinioStorageFull", "in 8 attempts", "again"),
            (
                400,
                "EntityTooLarge",
                "refused to write a: It says <no>",
                "again",
            ),
        ] {
            let (message, hints) = explained(answered(status, code));
            assert!(message.contains(words), "{code}: {message}");
            assert!(hints.contains(hint), "{code}: {hints}");
        }
    }

    #[test]
    fn a_web_page_is_no_storage_service() {
        let page = Failure::of_answer(405, &HeaderMap::new(), b"<!DOCTYPE html>");
        let (message, hint) = explained(page);
        assert!(message.contains("does not answer as an S3 service does (status 405)"));
        assert!(hint.contains("AWS_ENDPOINT_URL"), "{hint}");
    }

    #[test]
    fn only_a_missing_object_is_missing() {
        assert!(is_missing(&answered(404, "NoSuchKey")));
        assert!(!is_missing(&answered(404, "NoSuchBucket")));
        assert!(!is_missing(&answered(403, "AccessDenied")));
        assert!(is_unsupported(&answered(501, "NotImplemented")));
        assert!(is_unsupported(&answered(400, "NotImplemented")));
        assert!(!may_pass(&answered(501, "NotImplemented")));
        assert!(may_pass(&answered(409, "OperationAborted")));
        assert!(!may_pass(&answered(403, "AccessDenied")));
    }
}
