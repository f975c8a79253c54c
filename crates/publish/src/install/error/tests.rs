//! The exit code and the hint of each error of an installation.

use std::io::ErrorKind;

use super::*;
use crate::error::tests::assert_all;

fn process() -> ProcessError {
    ProcessError::Start {
        program: PathBuf::from("juliaup"),
        source: ErrorKind::NotFound.into(),
    }
}

/// A process that failed with this last output.
fn failed(words: &str) -> ProcessError {
    ProcessError::TimedOut {
        program: "julia".to_owned(),
        limit: std::time::Duration::from_secs(120),
        evidence: Evidence {
            tail: vec![words.to_owned()],
            log: None,
        },
    }
}

fn no_fit(versions: &[&str]) -> InstallError {
    InstallError::NoFit {
        kind: sysforge_plan::release::choose::Kind::Image,
        tag: "v1.0.0".to_owned(),
        reasons: Vec::new(),
        versions: versions.iter().map(ToString::to_string).collect(),
    }
}

fn no_such(names: &[&str]) -> InstallError {
    InstallError::NoSuchImage {
        name: "demi".to_owned(),
        tag: "v1.0.0".to_owned(),
        names: names.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn a_place_that_is_wrong_is_told_how_to_write_one() {
    assert_all([
        (InstallError::Source("octo".to_owned()), 2, "OWNER/REPO@TAG"),
        (
            InstallError::TagAfterQuery("https://example.org/".to_owned()),
            2,
            "`https://HOST/@v1.0.0?KEY`",
        ),
        (
            InstallError::NoSlash("http://…@v1.0.0".to_owned()),
            2,
            "`https://HOST/@v1.0.0`",
        ),
        (
            InstallError::NoRelease("octo/images".to_owned()),
            7,
            "for a private repository set GITHUB_TOKEN",
        ),
        (
            InstallError::Closed("https://example.org/s/".to_owned()),
            7,
            "`https://USER:PASSWORD@HOST/…`",
        ),
        (
            InstallError::Incomplete {
                place: "octo/images".to_owned(),
                name: "a.tar.gz".to_owned(),
            },
            7,
            "tell its maintainer",
        ),
        // An error that publishing has, too, keeps its class and its hint.
        (
            PublishError::BadTag("a b".to_owned()).into(),
            2,
            "`--tag v1.0.0`",
        ),
        (
            SigningError::Missing("a".to_owned()).into(),
            7,
            "`--verify-key`",
        ),
    ]);
}

#[test]
fn an_image_that_does_not_fit_leads_to_one_that_does() {
    assert_all([
        (no_fit(&[]), 7, "`sysforge build`"),
        (no_fit(&["1.11.5", "1.12.7"]), 7, "`--julia 1.12.7`"),
        (no_such(&[]), 7, "no images at all"),
        (no_such(&["demo", "other"]), 7, "it has: demo, other"),
        (
            InstallError::OtherJulia {
                built: "1.12.7".to_owned(),
                found: "1.12.6".to_owned(),
            },
            7,
            "`--julia DIR`",
        ),
        (InstallError::NoJulia("1.12.7".to_owned()), 7, "`--yes`"),
        (
            InstallError::Lacks("Example".to_owned()),
            7,
            "`sysforge build`",
        ),
    ]);
    assert!(
        no_fit(&[])
            .to_string()
            .ends_with("the release has no images"),
        "{}",
        no_fit(&[])
    );
}

#[test]
fn what_was_changed_on_the_way_is_not_to_be_used() {
    let name = || "a.tar.gz".to_owned();
    let words = "do not use it: tell the maintainer";
    let digest = InstallError::Digest {
        name: name(),
        expected: Sha256::new([1; 32]),
        found: Sha256::new([2; 32]),
    };
    let what = "another receipt".to_owned();
    let why = "none is good".to_owned();
    assert_all([
        (digest, 7, words),
        (InstallError::NotTheImage { name: name(), what }, 7, words),
        (InstallError::Provenance(name()), 7, words),
        (InstallError::NotAttested { name: name(), why }, 7, words),
    ]);
}

#[test]
fn an_installed_image_that_is_meant_is_proposed() {
    let not_installed = |nearest: Option<&str>| InstallError::NotInstalled {
        name: "demi".to_owned(),
        nearest: nearest.map(str::to_owned),
    };
    let hints = not_installed(Some("demo")).hints();
    assert!(hints[0].contains("`demo`"), "{hints:?}");
    assert_all([(not_installed(None), 7, "`sysforge install list`")]);
}

#[test]
fn an_image_that_is_held_is_said_to_be_there_still() {
    let held = InstallError::Held {
        folder: PathBuf::from("images/demo"),
        source: ErrorKind::PermissionDenied.into(),
    };
    assert_eq!(held.to_string(), "could not remove images/demo");
    assert_all([(held, 7, "a Julia that runs with it must end first")]);
}

#[test]
fn the_last_words_of_a_child_are_shown() {
    let julia = PathBuf::from("julia");
    let source = failed("wrong build");
    let error = InstallError::DoesNotLoad { julia, source };
    let evidence = error.evidence().unwrap();
    assert_eq!(evidence.tail, ["wrong build"]);
    let error = InstallError::Juliaup(failed("channel exists"));
    assert_eq!(error.evidence().unwrap().tail, ["channel exists"]);
    // A program that did not start has no output.
    let error = InstallError::Juliaup(process());
    assert!(error.evidence().is_none());
    assert_all([
        (error, 7, "is juliaup on the search path"),
        (
            InstallError::DoesNotLoad {
                julia: PathBuf::from("julia"),
                source: process(),
            },
            7,
            "`sysforge build` makes one here",
        ),
    ]);
    assert!(InstallError::Lacks("A".to_owned()).evidence().is_none());
}
