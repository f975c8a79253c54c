//! The message, exit code and hint of every error.

use std::io::{Error as IoError, ErrorKind};

use sysforge_plan::catalogue::Catalogue;
use sysforge_plan::{JuliaVersion, Request};

use sysforge_net::{Error as Net, Network, StatusCode};

use super::*;

const URL: &str = "https://host/julia.tar.gz";

fn url() -> String {
    URL.to_owned()
}

fn status(code: u16) -> Error {
    Error::Net(Net::Status {
        url: url(),
        status: code.try_into().unwrap(),
    })
}

fn stalled() -> Error {
    Error::Net(Net::Stalled {
        url: url(),
        bytes: 10,
        seconds: 30,
    })
}

fn busy() -> Error {
    Error::Net(Net::Busy {
        url: url(),
        status: StatusCode::TOO_MANY_REQUESTS,
        seconds: 86_400,
    })
}

/// Returns an error for a request that could not be built.
fn invalid_request() -> Error {
    let client = Network::default().client().unwrap();
    Error::Net(Net::Connection {
        url: url(),
        source: client.get("no address").build().unwrap_err(),
    })
}

fn gave_up(last: Error) -> Error {
    let Error::Net(last) = last else {
        panic!("{last:?}");
    };
    Error::Net(Net::GaveUp {
        attempts: 6,
        last: Box::new(last),
    })
}

fn changed() -> Error {
    Error::Net(Net::Changed { url: url() })
}

fn read(kind: ErrorKind) -> Error {
    Error::io("read", "/store/x")(IoError::from(kind))
}

fn read_only(kind: ErrorKind) -> Error {
    Error::ReadOnlyStore {
        path: "/store".into(),
        source: kind.into(),
    }
}

fn what() -> String {
    "julia.tar.gz".to_owned()
}

/// Checks the class of an error, and that its only hint contains `hint`.
fn explains(error: &Error, class: Class, hint: &str) {
    assert_eq!(error.class(), class, "{error:?}");
    let hints = error.hints();
    let [first] = hints.as_slice() else {
        panic!("{error:?}: {hints:?}");
    };
    assert!(first.contains(hint), "{error:?}: {first}");
}

#[test]
fn network_errors_have_fitting_hints() {
    for (error, hint) in [
        (invalid_request(), "HTTPS_PROXY"),
        (stalled(), "HTTPS_PROXY"),
        (gave_up(stalled()), "HTTPS_PROXY"),
        (status(404), "is `--mirror` right?"),
        (gave_up(status(404)), "is `--mirror` right?"),
        (status(401), "https://USER:PASSWORD@HOST"),
        (status(403), "https://USER:PASSWORD@HOST"),
        (status(500), "try again later"),
        (busy(), "try again later"),
        (changed(), "the mirror is at fault"),
        (
            Error::Net(Net::WrongRange {
                url: url(),
                detail: "from byte 7, not 0".to_owned(),
            }),
            "the mirror is at fault",
        ),
        (
            Error::Offline { what: what() },
            "run once without `--offline`",
        ),
    ] {
        explains(&error, Class::Acquire, hint);
    }
    assert_eq!(
        busy().to_string(),
        "https://host/julia.tar.gz is busy (429 Too Many Requests) and asks to retry in 24 \
         hours"
    );
    assert_eq!(
        stalled().to_string(),
        "https://host/julia.tar.gz stalled: 10 bytes arrived in 30 seconds"
    );
}

#[test]
fn errors_about_wrong_content_say_that_nothing_was_kept() {
    for (error, hint) in [
        (
            Error::Size {
                what: what(),
                expected: 10,
                actual: 5,
            },
            "nothing was kept. Either the file was damaged",
        ),
        (
            Error::Digest {
                what: what(),
                expected: Sha256::new([1; 32]),
                actual: Sha256::new([2; 32]),
            },
            "nothing was kept. Either the file was damaged",
        ),
        (
            Error::TooLarge {
                what: what(),
                limit: 4 << 30,
            },
            "nothing was kept. No Julia or toolchain is that large",
        ),
        (
            Error::MissingFile {
                what: what(),
                missing: "bin/julia".to_owned(),
            },
            "the archive of a Julia release, or of a toolchain?",
        ),
        (
            Error::Unpack {
                what: what(),
                source: unpack::Error::Conflict {
                    name: "x".to_owned(),
                },
            },
            "do not use its source",
        ),
        (
            Error::from(SignatureError::Missing {
                what: what(),
                reason: String::new(),
            }),
            "leave out `--require-signature`",
        ),
        (
            Error::Catalogue {
                location: "https://host/bin/versions.json".to_owned(),
                source: Catalogue::parse(b"<html>").unwrap_err(),
            },
            "`bin/versions.json`",
        ),
    ] {
        explains(&error, Class::Acquire, hint);
    }
}

#[test]
fn invalid_requests_are_usage_errors() {
    let request: Request = "9.9".parse().unwrap();
    let empty = Catalogue::parse(b"{}").unwrap();
    let triplet = Triplet::X86_64_LINUX_GNU;
    let unknown = empty.choose(&request, triplet).unwrap_err();
    let hint = unknown.hints();
    let error = Error::from(unknown);
    assert_eq!((error.class(), error.hints()), (Class::Usage, hint));

    let unusable = SignatureError::Keyring {
        path: "key.asc".into(),
        source: ErrorKind::InvalidData.into(),
    };
    for (error, hint) in [
        (Error::from(unusable), "gpg --export"),
        (Error::NoNightly { triplet }, "for instance `release`"),
        (
            Error::NoSuchJulia {
                request: "1.5-nightly".to_owned(),
                hint: "ask for another".to_owned(),
            },
            "ask for another",
        ),
        (
            Error::Net(Net::Certificates {
                path: "authority.pem".into(),
                source: None,
            }),
            "-----BEGIN CERTIFICATE-----",
        ),
    ] {
        explains(&error, Class::Usage, hint);
    }
}

#[test]
fn disk_and_permission_errors_are_machine_errors() {
    let full = unpack::Error::Write {
        path: "/store/tmp/x".into(),
        source: ErrorKind::StorageFull.into(),
    };
    for (error, hint) in [
        (read(ErrorKind::PermissionDenied), "choose another path"),
        (read(ErrorKind::StorageFull), "free some space"),
        (read_only(ErrorKind::ReadOnlyFilesystem), "`--store DIR`"),
        (
            Error::Unpack {
                what: what(),
                source: full,
            },
            "free some space",
        ),
    ] {
        explains(&error, Class::Machine, hint);
    }
    // Other I/O errors belong to this crate's own class.
    explains(&read(ErrorKind::NotFound), Class::Acquire, "path right?");
    explains(
        &read_only(ErrorKind::InvalidInput),
        Class::Acquire,
        "choose another place for the store",
    );
    assert!(read(ErrorKind::InvalidInput).hints().is_empty());
    let Error::Net(Net::Connection { source, .. }) = invalid_request() else {
        panic!("it is a failure of the network");
    };
    let client = Error::Net(Net::Client(source));
    explains(&client, Class::Acquire, "SSL_CERT_FILE");
    // The user interrupted it, so no hint is needed.
    assert!(Error::Interrupted.hints().is_empty());
}

fn is_transient(error: &Error) -> bool {
    matches!(error, Error::Net(error) if error.is_transient())
}

#[test]
fn only_transient_errors_are_retried() {
    for code in [408, 425, 429, 500, 502, 503, 504] {
        assert!(is_transient(&status(code)), "{code}");
    }
    for code in [400, 401, 403, 404, 410, 416] {
        assert!(!is_transient(&status(code)), "{code}");
    }
    assert!(is_transient(&stalled()));
    // The server asks for a longer wait than allowed; an invalid address stays invalid.
    for error in [busy(), invalid_request(), changed()] {
        assert!(!is_transient(&error), "{error:?}");
    }
}

#[test]
fn an_unreachable_server_is_distinguished_from_a_refusal() {
    for error in [busy(), stalled(), status(503), gave_up(stalled())] {
        assert!(error.is_unreachable(), "{error:?}");
    }
    let refusals = [
        status(404),
        status(403),
        invalid_request(),
        gave_up(status(404)),
    ];
    for error in refusals {
        assert!(!error.is_unreachable(), "{error:?}");
    }
    let version = JuliaVersion::new(1, 5, 3);
    let what = format!("Julia {version}");
    assert!(!Error::Offline { what }.is_unreachable());
}
