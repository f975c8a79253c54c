//! The messages about a host that refuses, fails or asks to wait.

use std::sync::Arc;

use sysforge_plan::Explain;

use super::*;
use crate::host::failure::Failure;

fn host(token: Option<&str>) -> GitHub {
    let access = Access {
        api: "https://github.example.org/api/v3".parse().unwrap(),
        web: "https://github.example.org".parse().unwrap(),
        repository: "octo/images".to_owned(),
        token: token.map(Secret::new),
        network: sysforge_net::Network::default(),
    };
    GitHub::new(access, quick()).unwrap()
}

fn status(status: u16) -> Failure {
    Failure::Status {
        status,
        message: "Sorry".to_owned(),
        errors: Vec::new(),
    }
}

#[tokio::test]
async fn each_refusal_says_whose_fault_it_is_and_what_helps() {
    let with_token = host(Some("secret"));
    let local = || {
        let path = "dist/a.tar.gz".into();
        let source = std::io::ErrorKind::NotFound.into();
        Arc::new(PublishError::Io { path, source })
    };
    let shared = local();
    for (failure, expected, hint) in [
        (
            status(401),
            "github.example.org does not accept the token",
            "make a new token",
        ),
        (
            status(403),
            "the token may not write releases of octo/images: Sorry",
            "`permissions: contents: write`",
        ),
        (
            status(422),
            "the host refused to send a.tar.gz: Sorry (status 422)",
            "try again later",
        ),
        (
            status(503),
            "could not send a.tar.gz in 8 attempts: Sorry (status 503)",
            "goes on where it stopped",
        ),
        (
            Failure::Limited(Some(Duration::from_secs(3600))),
            "the host limits the rate of requests, and asks to wait for 60 minutes",
            "again later",
        ),
        (
            Failure::Local(local()),
            "could not access dist/a.tar.gz",
            "is the path right?",
        ),
        // Another reference to the same failure exists.
        (
            Failure::Local(Arc::clone(&shared)),
            "could not send a.tar.gz in 1 attempt: could not access dist/a.tar.gz",
            "run the same command again",
        ),
    ] {
        let error = with_token.error("send a.tar.gz", failure);
        assert_eq!(error.to_string(), expected);
        assert_eq!(error.class().exit_code(), 7, "{error}");
        let hints = error.hints();
        assert!(hints[0].contains(hint), "{error}: {hints:?}");
    }
    // Without a token, the error is not about a wrong token.
    let error = host(None).error("send a.tar.gz", status(401));
    assert!(matches!(error, PublishError::NoRights { .. }), "{error}");
}

#[tokio::test]
async fn a_wait_that_is_too_long_ends_the_run_with_nothing_public() {
    let scene = Scene::plain().await;
    let wait = Fault::SecondaryLimit(3_600_000);
    scene.github.script([Rule::always(Op::Upload, wait)]);
    let error = scene.publish().await.unwrap_err();
    assert!(
        matches!(error, PublishError::RateLimited { seconds: 3600 }),
        "{error}"
    );
    assert!(scene.github.releases().iter().all(|release| release.draft));
    scene.github.calm();
    scene.publish().await.unwrap();
    scene.assert_public().await;
}

#[tokio::test]
async fn a_list_of_releases_that_cannot_be_had_ends_the_run_before_any_write() {
    for (op, what) in [
        (Op::GetByTag, "look for the release"),
        (Op::ListReleases, "list the releases"),
    ] {
        let scene = Scene::plain().await;
        let fault = Fault::StatusBefore(500);
        scene.github.script([Rule::always(op, fault)]);
        let error = scene.publish().await.unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("could not {what} in 8 attempts:")),
            "{error}"
        );
        let requests = scene.github.requests();
        assert!(requests.iter().all(|request| request.method == "GET"));
        assert!(scene.github.releases().is_empty());
    }
}

#[tokio::test]
async fn addresses_and_tokens_that_cannot_be_used_are_told_before_any_request() {
    let access = |repository: &str, token: &str| Access {
        api: "https://api.github.com".parse().unwrap(),
        web: "https://github.com".parse().unwrap(),
        repository: repository.to_owned(),
        token: Some(Secret::new(token)),
        network: sysforge_net::Network::default(),
    };
    for repository in ["octo", "octo/images/more", "octo/", "/images", "octo/.."] {
        let error = GitHub::new(access(repository, "secret"), quick()).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("`{repository}` is not the name of a repository")
        );
        assert_eq!(error.class().exit_code(), 2);
    }
    let error = GitHub::new(access("octo/images", "two\nlines"), quick()).unwrap_err();
    assert!(matches!(error, PublishError::MalformedToken), "{error}");
    assert!(!error.to_string().contains("lines"), "{error}");
    let rubbish = Access {
        network: sysforge_net::Network {
            extra_roots: vec![
                b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n".to_vec(),
            ],
            ..Default::default()
        },
        ..access("octo/images", "secret")
    };
    let error = GitHub::new(rubbish, quick()).unwrap_err();
    assert!(error.hints()[0].contains("SSL_CERT_FILE"), "{error}");
    assert_eq!(error.class().exit_code(), 2);
}

#[tokio::test]
async fn a_tag_that_cannot_be_one_and_a_repository_that_is_not_there_are_found_first() {
    let scene = Scene::plain().await;
    let host = scene.host("writer");
    let error = preflight(&host, "v 1").await.unwrap_err();
    assert_eq!(error.to_string(), "`v 1` cannot be the tag of a release");
    assert!(scene.github.requests().is_empty());
    // The tag may not be known yet.
    let ready = preflight(&host, "").await.unwrap();
    assert_eq!(ready.outcome, Outcome::Ready);
    let access = Access {
        repository: "octo/elsewhere".to_owned(),
        ..host.access.clone()
    };
    let elsewhere = GitHub::new(access, quick()).unwrap();
    let error = preflight(&elsewhere, "v1.0.0").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "octo/elsewhere does not exist, or the token may not see it"
    );
}

#[tokio::test]
async fn a_host_that_cannot_be_asked_for_the_repository_is_given_up() {
    let scene = Scene::plain().await;
    let fault = Fault::StatusBefore(502);
    scene.github.script([Rule::always(Op::GetRepo, fault)]);
    let error = preflight(&scene.host("writer"), "v1.0.0").await;
    let text = error.unwrap_err().to_string();
    assert!(
        text.starts_with("could not look at the repository in 8 attempts:"),
        "{text}"
    );
}

#[tokio::test]
async fn a_file_that_another_program_writes_to_is_named_and_nothing_is_public() {
    for change in crate::release_bundle::tests::changes() {
        let scene = Scene::plain().await;
        let (host, policy, silent) = (scene.host("writer"), scene.policy(), Reporter::silent());
        let bundle = scene.bundle().await;
        let path = change(&bundle);
        let error = publish(&host, &bundle, &policy, &silent).await;
        let error = error.unwrap_err().to_string();
        let expected = format!("{} changed while it was published", path.display());
        assert!(error.contains(&expected), "{error}");
        assert!(scene.github.releases().iter().all(|release| release.draft));
    }
}

#[tokio::test]
async fn an_upload_that_arrives_changed_every_time_is_told_by_both_digests() {
    let scene = Scene::plain().await;
    let (host, policy, silent) = (scene.host("writer"), scene.policy(), Reporter::silent());
    let mut bundle = scene.bundle().await;
    bundle.assets.truncate(1);
    // The first upload is the lock.
    let rule = Rule::always(Op::Upload, Fault::Corrupt).after(1);
    scene.github.script([rule]);
    let error = publish(&host, &bundle, &policy, &silent).await;
    let error = error.unwrap_err();
    let sent = bundle.assets[0].sha256;
    let PublishError::HostDigest {
        expected, found, ..
    } = &error
    else {
        panic!("{error}");
    };
    assert_eq!(*expected, sent);
    assert!(found.starts_with("sha256:") && !found.contains(&sent.to_string()));
    // A damaged file is removed, and the same command sends it again.
    let release = &scene.github.releases()[0];
    assert!(release.draft && release.assets.is_empty(), "{release:?}");
    scene.github.calm();
    let report = publish(&host, &bundle, &policy, &silent).await.unwrap();
    assert_eq!(report.outcome, Outcome::Published);
    assert_eq!(report.rechecked, 1);
}
