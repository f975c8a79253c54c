//! The exit code and the hint of each error.

use std::io::ErrorKind;

use super::*;

fn io(kind: ErrorKind) -> PublishError {
    PublishError::Io {
        path: PathBuf::from("dist/a.tar.gz"),
        source: kind.into(),
    }
}

fn changed(then: Then) -> PublishError {
    PublishError::Recheck {
        tag: "v1.0.0".to_owned(),
        files: vec![
            Difference {
                name: "a.tar.gz".to_owned(),
                what: "it is missing".to_owned(),
            },
            Difference {
                name: "b.tar.gz".to_owned(),
                what: "it has 1 bytes instead of 2".to_owned(),
            },
        ],
        then,
    }
}

#[test]
fn every_file_that_changed_is_named_with_what_became_of_the_release() {
    assert_eq!(
        changed(Then::Draft).to_string(),
        "2 files of v1.0.0 changed while it was made public:\n  `a.tar.gz`: it is missing\n  \
         `b.tar.gz`: it has 1 bytes instead of 2\nso the release was made a draft again"
    );
    let stays = changed(Then::StaysPublic("it is immutable".to_owned())).to_string();
    assert!(
        stays.ends_with(
            "is still public, because the host does not make it a draft again: it is immutable"
        ),
        "{stays}"
    );
}

fn refused(status: u16) -> PublishError {
    PublishError::Refused {
        what: "send a.tar.gz".to_owned(),
        status,
        message: "no".to_owned(),
    }
}

/// Compares the exit code of each error, and searches its only hint for these words.
pub(crate) fn assert_all<E: Explain>(expected: impl IntoIterator<Item = (E, u8, &'static str)>) {
    for (error, exit_code, words) in expected {
        assert_eq!(error.class().exit_code(), exit_code, "{error}");
        let hints = error.hints();
        assert_eq!(hints.len(), 1, "{error}: {hints:?}");
        assert!(hints[0].contains(words), "{error}: {hints:?}");
    }
}

#[test]
fn what_is_wrong_with_the_images_is_fixed_by_building_or_choosing() {
    let (folder, name) = (PathBuf::from("dist"), "demo".to_owned());
    let collision = Collision {
        first: "a b".to_owned(),
        second: "a.b".to_owned(),
        kept_as: "a.b".to_owned(),
    };
    assert_all([
        (
            PublishError::NothingToPublish(folder.clone()),
            7,
            "`sysforge build`",
        ),
        (PublishError::NoArchive(folder.clone()), 7, "`--dist`"),
        (
            PublishError::Receipt {
                path: folder.clone(),
                source: ReceiptError::Schema("sysforge-receipt/9".to_owned()),
            },
            7,
            "`sysforge build --force`",
        ),
        (
            PublishError::Altered {
                path: folder,
                what: "other".to_owned(),
            },
            7,
            "`sysforge build --force`",
        ),
        (PublishError::Twice(name), 7, "keep one of the two"),
        (PublishError::Collision(collision), 7, "names that differ"),
        (
            PublishError::TooMany {
                count: 1200,
                limit: 1000,
            },
            7,
            "fewer platforms",
        ),
    ]);
}

#[test]
fn what_was_typed_wrong_ends_with_the_exit_code_of_usage() {
    let path = PathBuf::from("key");
    assert_all([
        (PublishError::BadTag("a b".to_owned()), 2, "`--tag v1.0.0`"),
        (PublishError::Address("ftp".to_owned()), 2, "`--to github`"),
        (
            PublishError::PrivateUrl { from: "--base-url" },
            2,
            "--base-url takes an address such as https://example.org/images",
        ),
        (
            PublishError::Certificates("no PEM".to_owned()),
            2,
            "SSL_CERT_FILE",
        ),
        (
            PublishError::Signing(SigningError::SecretKey {
                path: path.clone(),
                why: "no key".to_owned(),
            }),
            2,
            "`minisign -G`",
        ),
        (
            PublishError::Signing(SigningError::PublicKey("RX".to_owned())),
            2,
            "56 characters that begin with RW",
        ),
        (
            PublishError::Signing(SigningError::Unreadable {
                path,
                source: ErrorKind::NotFound.into(),
            }),
            2,
            "is the path right?",
        ),
    ]);
}

#[test]
fn what_a_token_lacks_is_said_with_the_setting_that_gives_it() {
    let (name, tag) = ("octo/images".to_owned(), "v1.0.0".to_owned());
    let message = "it may read only".to_owned();
    assert_all([
        (
            PublishError::NoToken("github.com".to_owned()),
            7,
            "set GITHUB_TOKEN",
        ),
        (PublishError::MalformedToken, 7, "the bare token"),
        (
            PublishError::BadToken(name.clone()),
            7,
            "it may have expired",
        ),
        (
            PublishError::NoRights {
                repository: name.clone(),
                message: message.clone(),
            },
            7,
            "`permissions: contents: write`",
        ),
        (
            PublishError::NoRepository(name.clone()),
            7,
            "`--repository OWNER/NAME`",
        ),
        (PublishError::Archived(name), 7, "another repository"),
        (PublishError::Tag { tag, message }, 7, "push the tag first"),
        (refused(401), 7, "GITHUB_TOKEN"),
        (refused(403), 7, "GITHUB_TOKEN"),
    ]);
}

#[test]
fn what_the_host_did_is_answered_by_the_same_command_or_a_new_tag() {
    let (name, tag) = ("a.tar.gz".to_owned(), "v1.0.0".to_owned());
    assert_all([
        (refused(422), 7, "try again later"),
        (
            PublishError::GaveUp {
                what: "send it".to_owned(),
                attempts: 8,
                last: "reset".to_owned(),
            },
            7,
            "it goes on where it stopped",
        ),
        (
            PublishError::RateLimited { seconds: 3000 },
            7,
            "again later",
        ),
        (
            PublishError::Different { name: name.clone() },
            7,
            "`--replace`",
        ),
        (
            PublishError::Immutable(tag.clone(), name.clone()),
            7,
            "under a new tag",
        ),
        (
            PublishError::Another {
                tag: tag.clone(),
                who: "it is alive".to_owned(),
            },
            7,
            "wait for it to end",
        ),
        (
            PublishError::HostDigest {
                name: name.clone(),
                expected: Sha256::new([1; 32]),
                found: String::new(),
            },
            7,
            "sends the file again",
        ),
        (
            PublishError::Changing("a.tar.gz".into()),
            7,
            "another program writes to it",
        ),
        (
            changed(Then::Draft),
            7,
            "the same command sends these files again",
        ),
        (changed(Then::WasPublic), 7, "`--replace`"),
        (
            changed(Then::StaysPublic("no".to_owned())),
            7,
            "under a new tag",
        ),
        (
            PublishError::PublicIncomplete {
                tag: tag.clone(),
                what: name.clone(),
            },
            7,
            "`--replace`",
        ),
        (
            PublishError::UploadAddress {
                address: "https://example.org/".to_owned(),
                why: "no".to_owned(),
            },
            7,
            "GITHUB_API_URL",
        ),
        (
            PublishError::NoDraft(tag.clone()),
            7,
            "`sysforge publish --draft`",
        ),
        (
            PublishError::Incomplete { tag, what: name },
            7,
            "`sysforge publish --draft`",
        ),
    ]);
}

#[test]
fn what_cannot_be_trusted_is_not_to_be_used() {
    let name = "sysforge-release.json".to_owned();
    assert_all([
        (
            PublishError::Signing(SigningError::Missing(name.clone())),
            7,
            "leave out `--verify-key`",
        ),
        (
            PublishError::Signing(SigningError::Bad {
                name,
                why: "another key".to_owned(),
            }),
            7,
            "do not use it",
        ),
        (
            PublishError::Index {
                place: "octo/images".to_owned(),
                source: IndexError::Schema("sysforge-release/9".to_owned()),
            },
            7,
            "no newer one than this Sysforge",
        ),
    ]);
}

#[test]
fn an_address_in_a_variable_that_is_none_is_told_with_the_variable_and_no_password() {
    for name in ["GITHUB_SERVER_URL", "GITHUB_API_URL"] {
        let variable = |asked: &str| (asked == name).then(|| "me:secret@host".to_owned());
        let access = crate::host::github::Access::from_variables(
            variable,
            "octo/images",
            sysforge_net::Network::default(),
        );
        let error = access.unwrap_err();
        assert_eq!(error.to_string(), "`…@host` is not a web address");
        assert!(error.hints()[0].starts_with(name), "{:?}", error.hints());
        assert_eq!(error.class().exit_code(), 2);
    }
}

#[test]
fn a_full_disk_or_a_missing_permission_is_the_machines() {
    assert_all([
        (io(ErrorKind::StorageFull), 8, "free some space"),
        (io(ErrorKind::NotADirectory), 2, "name a folder"),
        (io(ErrorKind::PermissionDenied), 8, "choose another path"),
        (io(ErrorKind::NotFound), 7, "is the path right?"),
    ]);
    // No hint applies to every other kind.
    assert!(io(ErrorKind::UnexpectedEof).hints().is_empty());
    assert_eq!(io(ErrorKind::UnexpectedEof).class().exit_code(), 7);
}

#[test]
fn a_document_that_cannot_be_made_is_a_bug_of_ours() {
    let error = PublishError::Document {
        document: "the bill of materials",
        why: "a cycle".to_owned(),
    };
    assert_eq!(error.class().exit_code(), 1);
    assert!(error.hints().is_empty());
    assert_eq!(
        error.to_string(),
        "could not write the bill of materials: a cycle"
    );
}

#[test]
fn one_attempt_is_not_called_attempts() {
    let gave_up = |attempts| {
        let (what, last) = ("read it".to_owned(), "reset".to_owned());
        PublishError::GaveUp {
            what,
            attempts,
            last,
        }
        .to_string()
    };
    assert_eq!(gave_up(1), "could not read it in 1 attempt: reset");
    assert_eq!(gave_up(8), "could not read it in 8 attempts: reset");
}
