//! A plain web host: a server for the folder that `publish --to dir:PATH` fills.

use std::collections::BTreeSet;

use sysforge_net::Proxies;
use sysforge_plan::Explain;
use sysforge_plan::release::{INDEX_NAME, SITE_NAME};
use sysforge_testkit::server::{Fault as WebFault, Server};
use sysforge_testkit::tls::PrivateTls;

use super::*;

const ARCHIVE: &str = "demo-julia1.12.7-x86_64-linux-gnu.tar.gz";

/// A site behind a web server, and its URL.
async fn served(image: &[u8]) -> (Scene, Server, String) {
    let scene = Scene::new(image, u64::MAX).await;
    scene.site().await;
    let server = Server::start(&scene.folder.path().join("site"));
    let address = server.url();
    (scene, server, address)
}

/// Time limits that no busy machine exceeds; no fault here is a timeout.
fn patient() -> SourceOptions {
    let mut options = options(None, None);
    options.timing.stall = Duration::from_secs(60);
    options
}

fn source(address: &str) -> Source {
    Source::parse(address, |_| false).unwrap()
}

async fn open(address: &str) -> Result<OpenRelease, InstallError> {
    OpenRelease::open(&source(address), &patient()).await
}

#[tokio::test]
async fn an_image_is_installed_from_each_form_of_a_web_address() {
    let (scene, _server, address) = served(b"linux").await;
    for form in [
        address.clone(),
        format!("{address}/@v1.0.0"),
        format!("{address}/v1.0.0"),
        format!("{address}/v1.0.0/{INDEX_NAME}"),
    ] {
        let source = source(&form);
        let installed = scene.install(&source, &patient()).await.unwrap();
        assert_eq!(std::fs::read(&installed.image).unwrap(), b"linux", "{form}");
        assert_eq!((&*installed.tag, &installed.source), ("v1.0.0", &source));
        scene.images().remove(&installed).unwrap();
    }
}

#[tokio::test]
async fn a_file_that_a_web_host_lacks_is_asked_for_once() {
    let (scene, server, address) = served(b"linux").await;
    let source = source(&format!("{address}/v1.0.0"));
    scene.install(&source, &patient()).await.unwrap();
    // There is no list of releases below the URL of one, and nothing is signed here.
    assert_eq!(server.seen(SITE_NAME).len(), 1);
    assert_eq!(server.seen(".minisig").len(), 1);
}

#[tokio::test]
async fn a_store_that_says_403_for_what_it_lacks_is_a_plain_host_too() {
    let (scene, server, address) = served(b"linux").await;
    for lacking in [SITE_NAME, ".minisig"] {
        server.always(lacking, WebFault::Status(403, Vec::new()));
    }
    let source = source(&format!("{address}/v1.0.0"));
    scene.install(&source, &patient()).await.unwrap();
    assert_eq!(server.seen(SITE_NAME).len(), 1);
    // A host that asks for a password is closed, not empty; the request is not repeated.
    server.always(INDEX_NAME, WebFault::Status(401, Vec::new()));
    let release = open(&format!("{address}/v1.0.0")).await.unwrap();
    let error = release.index(&[]).await.unwrap_err();
    assert!(matches!(error, InstallError::Closed(_)), "{error}");
    assert_eq!(server.seen(INDEX_NAME).len(), 2);
}

#[tokio::test]
async fn the_last_tag_that_can_be_one_is_the_newest() {
    let (scene, _server, address) = served(b"linux").await;
    let list = scene.folder.path().join("site").join(SITE_NAME);
    let text = r#"{"schema": "sysforge-site/1", "tags": ["v0.9.0", "v1.0.0", "../v2"]}"#;
    std::fs::write(list, text).unwrap();
    let (index, _) = open(&address).await.unwrap().index(&[]).await.unwrap();
    assert_eq!(index.tag, "v1.0.0");
    let site = Source::Folder {
        path: scene.folder.path().join("site"),
        tag: None,
    };
    let release = OpenRelease::open(&site, &patient()).await.unwrap();
    assert_eq!(release.index(&[]).await.unwrap().0.tag, "v1.0.0");
}

#[tokio::test]
async fn a_web_host_without_a_release_says_where_it_was_looked_for() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let release = open(&server.url()).await.unwrap();
    let error = release.index(&[]).await.unwrap_err();
    let expected = format!(
        "there is no release of Sysforge images at {}/",
        server.url()
    );
    assert_eq!(error.to_string(), expected);
    let here = Source::Folder {
        path: folder.path().to_owned(),
        tag: None,
    };
    // A list that names no release.
    let list = folder.path().join(SITE_NAME);
    std::fs::write(&list, r#"{"schema": "sysforge-site/1", "tags": []}"#).unwrap();
    let error = open(&server.url()).await.unwrap_err();
    assert_eq!(error.to_string(), expected);
    let error = OpenRelease::open(&here, &patient()).await.unwrap_err();
    assert!(matches!(error, InstallError::NoRelease(_)), "{error}");
    for (text, cause) in [
        ("<html>", "not a list of Sysforge releases"),
        (
            r#"{"schema": "sysforge-site/1", "tags": ["v1"#,
            "not a list of Sysforge releases",
        ),
        (
            r#"{"schema": "sysforge-site/9", "tags": []}"#,
            "the list has the schema `sysforge-site/9`, and this Sysforge reads `sysforge-site/1`",
        ),
    ] {
        std::fs::write(&list, text).unwrap();
        let opened = open(&server.url()).await;
        for result in [opened, OpenRelease::open(&here, &patient()).await] {
            let error = result.unwrap_err();
            assert!(
                error
                    .to_string()
                    .starts_with("could not use `sysforge-site.json` of ")
            );
            assert_eq!(sysforge_plan::explain::causes(&error)[0], cause, "{text}");
        }
    }
}

#[tokio::test]
async fn a_host_that_cannot_be_reached_is_given_up() {
    let error = open("http://127.0.0.1:9").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "could not read the list of releases in 3 attempts: cannot connect to 127.0.0.1:9: connection \
         refused"
    );
    assert_eq!(error.class().exit_code(), 7);
    assert!(error.hints()[0].contains("goes on where it stopped"));
}

#[tokio::test]
async fn a_host_that_asks_to_wait_for_too_long_is_not_waited_for() {
    let (_scene, server, address) = served(b"linux").await;
    let wait = WebFault::Status(429, vec![("Retry-After", "7200".to_owned())]);
    server.always(SITE_NAME, wait);
    let error = open(&address).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the host limits the rate of requests, and asks to wait for 2 hours"
    );
    assert_eq!(server.seen(SITE_NAME).len(), 1);
}

#[tokio::test]
async fn a_download_goes_on_where_it_stopped_even_in_another_run() {
    let noise = sysforge_testkit::github::Random(5).bytes(400_000);
    let (scene, server, address) = served(&noise).await;
    let source = source(&address);
    server.script(ARCHIVE, [WebFault::DropAfter(100_000)]);
    server.always(ARCHIVE, WebFault::Close);
    let error = scene.install(&source, &patient()).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&format!("download {ARCHIVE}")), "{text}");
    assert!(scene.images().list().unwrap().is_empty());

    server.always(ARCHIVE, WebFault::Fine);
    let installed = scene.install(&source, &patient()).await.unwrap();
    assert_eq!(std::fs::read(&installed.image).unwrap(), noise);
    let asked = server.seen(ARCHIVE);
    let last = asked.last().unwrap().header("range").unwrap();
    let from = last.trim_start_matches("bytes=").trim_end_matches('-');
    assert!(from.parse::<u64>().unwrap() > 0, "{last}");
}

#[tokio::test]
async fn two_installations_at_once_are_one_download() {
    let noise = sysforge_testkit::github::Random(7).bytes(400_000);
    let (scene, server, address) = served(&noise).await;
    let (source, options) = (source(&address), patient());
    let both = tokio::join!(
        scene.install(&source, &options),
        scene.install(&source, &options)
    );
    let (one, other) = (both.0.unwrap(), both.1.unwrap());
    assert_eq!(one, other);
    assert_eq!(std::fs::read(&one.image).unwrap(), noise);
    assert_eq!(server.seen(ARCHIVE).len(), 1);
}

#[tokio::test]
async fn a_password_in_an_address_is_used_and_told_nobody() {
    let (scene, server, address) = served(b"linux").await;
    let address = address.replace("http://", "http://me:secret@") + "?sig=hidden";
    let installed = scene.install(&source(&address), &patient()).await.unwrap();
    for name in [SITE_NAME, INDEX_NAME, ARCHIVE] {
        let asked = server.seen(name).pop().unwrap();
        // `me:secret` in base64.
        let password = "Basic bWU6c2VjcmV0";
        assert_eq!(asked.header("authorization"), Some(password), "{name}");
        assert_eq!(asked.query.as_deref(), Some("sig=hidden"), "{name}");
    }
    let note = std::fs::read_to_string(installed.folder().join("installed.json")).unwrap();
    assert!(
        !note.contains("secret") && !note.contains("hidden"),
        "{note}"
    );
    let list = scene.folder.path().join("site").join(SITE_NAME);
    std::fs::write(list, "{}").unwrap();
    let error = open(&address).await.unwrap_err().to_string();
    assert!(
        !error.contains("secret") && !error.contains("hidden"),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_that_sends_another_range_is_found_out_and_asked_for_all() {
    let noise = sysforge_testkit::github::Random(6).bytes(400_000);
    let (scene, server, address) = served(&noise).await;
    let faults = [WebFault::DropAfter(100_000), WebFault::ShiftRange(1000)];
    server.script(ARCHIVE, faults);
    let installed = scene.install(&source(&address), &patient()).await.unwrap();
    assert_eq!(std::fs::read(&installed.image).unwrap(), noise);
    let last = server.seen(ARCHIVE).pop().unwrap();
    assert_eq!(last.header("range"), None);
}

#[tokio::test]
async fn an_archive_that_is_not_there_is_named() {
    let (scene, server, address) = served(b"linux").await;
    let archive = scene.folder.path().join("site/v1.0.0").join(ARCHIVE);
    std::fs::remove_file(archive).unwrap();
    let error = scene
        .install(&source(&address), &patient())
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{address}/ lacks `{ARCHIVE}`, which its index names")
    );
    assert_eq!(server.seen(ARCHIVE).len(), 1);
    assert!(scene.images().list().unwrap().is_empty());
}

#[tokio::test]
async fn a_spoilt_file_is_not_kept_where_a_release_is_brought_together() {
    let (scene, server, address) = served(b"linux").await;
    let release = open(&address).await.unwrap();
    let dist = scene.folder.path().join("elsewhere");
    let (none, silent) = (BTreeSet::new(), Reporter::silent());
    server.script(ARCHIVE, [WebFault::WrongByte(20), WebFault::WrongByte(20)]);
    let error = crate::complete::complete(&release, &none, &dist, &silent)
        .await
        .unwrap_err();
    assert!(
        matches!(&error, InstallError::Digest { name, .. } if name == ARCHIVE),
        "{error}"
    );
    // The same command downloads it again; after one wrong answer, the request is repeated at once.
    server.script(ARCHIVE, [WebFault::WrongByte(20)]);
    let fetched = crate::complete::complete(&release, &none, &dist, &silent)
        .await
        .unwrap();
    assert_eq!(fetched.len(), 2);
    assert_eq!(Dist::read(&dist).await.unwrap().builds.len(), 2);
}

#[tokio::test]
async fn a_host_without_a_release_has_nothing_to_bring_together() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let release = open(&server.url()).await.unwrap();
    let dist = folder.path().join("dist");
    let fetched = crate::complete::complete(&release, &BTreeSet::new(), &dist, &Reporter::silent())
        .await
        .unwrap();
    assert!(fetched.is_empty());
    assert!(!dist.exists());
}

#[tokio::test]
async fn an_index_that_cannot_be_read_is_named_with_its_place() {
    let (scene, _server, address) = served(b"linux").await;
    let index = scene.folder.path().join("site/v1.0.0").join(INDEX_NAME);
    for text in ["<html>", r#"{"schema": "sysforge-release/99"}"#] {
        std::fs::write(&index, text).unwrap();
        let error = open(&address).await.unwrap().index(&[]).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("could not use the release index of {address}/")
        );
        assert!(error.hints()[0].contains("no newer one than this Sysforge"));
        // It does not count as an empty release either: its images would be lost.
        let release = open(&address).await.unwrap();
        let dist = scene.folder.path().join("elsewhere");
        crate::complete::complete(&release, &BTreeSet::new(), &dist, &Reporter::silent())
            .await
            .unwrap_err();
    }
}

/// Returns the size of everything that an installation left of an archive, in bytes.
fn kept_bytes(folder: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.path() {
            path if path.is_dir() => kept_bytes(&path),
            path => std::fs::metadata(path).map_or(0, |file| file.len()),
        })
        .sum()
}

#[tokio::test]
async fn no_byte_more_than_the_index_names_is_kept() {
    let (scene, server, address) = served(b"linux").await;
    let before = kept_bytes(scene.folder.path());
    server.always(ARCHIVE, WebFault::Endless(200));
    let error = scene.install(&source(&address), &patient()).await;
    let error = error.unwrap_err();
    assert!(error.to_string().contains("sends more than"), "{error}");
    assert_eq!(error.class().exit_code(), 7);
    assert_eq!(server.seen(ARCHIVE).len(), 1);
    // What fits into the sockets' buffers is sent, and no more.
    assert!(server.endless_bytes() < 50 << 20);

    // The same if the length is announced.
    server.behave();
    let site = scene.folder.path().join("site/v1.0.0").join(ARCHIVE);
    let mut longer = std::fs::read(&site).unwrap();
    longer.resize(longer.len() + (1 << 20), 0);
    std::fs::write(&site, longer).unwrap();
    let error = scene.install(&source(&address), &patient()).await;
    let error = error.unwrap_err();
    assert!(error.to_string().contains("sends more than"), "{error}");
    assert!(kept_bytes(scene.folder.path()) < before + (1 << 20) + 100_000);
}

#[tokio::test]
async fn an_error_page_without_end_is_not_read_to_its_end() {
    let (_scene, server, address) = served(b"linux").await;
    server.always(SITE_NAME, WebFault::Endless(500));
    let mut options = patient();
    options.timing.retries.without_progress = 2;
    let opened = OpenRelease::open(&source(&address), &options).await;
    let error = opened.unwrap_err();
    assert!(error.to_string().contains("status 500"), "{error}");
    assert_eq!(server.seen(SITE_NAME).len(), 2);
    assert!(server.endless_bytes() < 50 << 20);
}

#[tokio::test]
async fn a_document_without_end_is_not_kept() {
    let (_scene, server, address) = served(b"linux").await;
    server.always(INDEX_NAME, WebFault::Endless(200));
    let release = open(&format!("{address}/v1.0.0")).await.unwrap();
    release.index(&[]).await.unwrap_err();
    assert!(server.endless_bytes() < 200 << 20);
}

#[tokio::test]
async fn a_host_that_sends_a_byte_now_and_then_is_given_up() {
    let noise = sysforge_testkit::github::Random(9).bytes(400_000);
    let (scene, server, address) = served(&noise).await;
    server.always(ARCHIVE, WebFault::Drip(1, Duration::from_millis(20)));
    let mut options = patient();
    options.timing.stall = Duration::from_secs(1);
    options.timing.retries.without_progress = 2;
    let source = source(&address);
    let installing = scene.install(&source, &options);
    let ended = tokio::time::timeout(Duration::from_secs(60), installing).await;
    let error = ended.expect("it is given up").unwrap_err();
    assert!(error.to_string().contains("no progress"), "{error}");
    assert_eq!(server.seen(ARCHIVE).len(), 2);
}

#[tokio::test]
async fn a_redirect_from_https_to_http_is_refused_at_once() {
    let (scene, plain, _) = served(b"linux").await;
    let tls = PrivateTls::new();
    let secure = Server::start_tls(&scene.folder.path().join("site"), &tls);
    secure.always(
        ARCHIVE,
        WebFault::Redirect(format!("{}/v1.0.0/{ARCHIVE}", plain.url())),
    );
    let mut options = patient();
    options.github.network.extra_roots = vec![tls.authority_pem.clone().into_bytes()];
    let error = scene.install(&source(&secure.url()), &options).await;
    let error = error.unwrap_err();
    assert!(error.to_string().contains("from https to http"), "{error}");
    assert_eq!(secure.seen(ARCHIVE).len(), 1);
    assert!(plain.seen(ARCHIVE).is_empty());
}

#[tokio::test]
async fn an_untrusted_certificate_is_told_at_once() {
    let (scene, _plain, _) = served(b"linux").await;
    let tls = PrivateTls::new();
    let secure = Server::start_tls(&scene.folder.path().join("site"), &tls);
    let error = open(&secure.url()).await.unwrap_err();
    // Not after eight attempts.
    assert!(!error.to_string().contains("attempts"), "{error}");
    assert!(
        error.hints()[0].contains("SSL_CERT_FILE"),
        "{:?}",
        error.hints()
    );
}

/// A server that answers every request with these bytes, and its URL. The connection stays open.
fn raw_answers(answer: Vec<u8>) -> String {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 8192]);
            let _ = stream.write_all(&answer);
            open.push(stream);
        }
    });
    address
}

#[tokio::test]
async fn an_answer_that_is_not_http_is_told_at_once() {
    let chunked = |body: &str| {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        format!("{head}{body}").into_bytes()
    };
    let endless = |line: &str| format!("HTTP/1.1 200 OK\r\n{}", line.repeat(2 << 20)).into_bytes();
    for answer in [
        b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(),
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n".to_vec(),
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 5\r\n\r\nhello".to_vec(),
        b"\x16\x03\x03\x00\x02\x02\x28".to_vec(),
        endless("X: y\r\n"),
        endless("x"),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n".to_vec(),
        chunked(&format!("1;{}", "x".repeat(1 << 20))),
        chunked(&format!("1\r\n{{\r\n0\r\n{}", "X: y\r\n".repeat(10_000))),
    ] {
        let begins = String::from_utf8_lossy(&answer[..answer.len().min(80)]).into_owned();
        let address = raw_answers(answer);
        let error = open(&address).await.unwrap_err();
        assert!(
            !error.to_string().contains("attempts"),
            "{begins:?}: {error}"
        );
        let hints = error.hints();
        assert!(
            hints[0].contains("check the address"),
            "{begins}: {hints:?}"
        );
    }
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_told_at_once() {
    let not_tls = b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec();
    // A record of TLS 1.2 with the alert `handshake_failure`.
    let alert = vec![21, 3, 3, 0, 2, 2, 40];
    for answer in [not_tls, alert] {
        let address = raw_answers(answer).replace("http:", "https:");
        let error = open(&address).await.unwrap_err();
        assert!(!error.to_string().contains("attempts"), "{error}");
        let hints = error.hints();
        assert!(hints[0].contains("check the address"), "{hints:?}");
    }
}

#[tokio::test]
async fn a_redirect_that_leads_nowhere_is_told_at_once() {
    for to in [
        "ftp://x/",
        "javascript:x",
        "file:///etc/passwd",
        "//evil:99999/",
    ] {
        let answer = format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
        let address = raw_answers(answer.into_bytes());
        let error = open(&address).await.unwrap_err();
        assert!(!error.to_string().contains("attempts"), "{to}: {error}");
    }
}

#[tokio::test]
async fn a_proxy_that_wants_a_login_is_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let proxy = Server::start(folder.path());
    proxy.always("", WebFault::Status(407, Vec::new()));
    for address in ["http://127.0.0.1:9", "https://127.0.0.1:9"] {
        proxy.forget();
        let mut options = patient();
        options.github.network.proxies = Proxies::Explicit {
            http: Some(proxy.url()),
            https: Some(proxy.url()),
            except: None,
        };
        let opened = OpenRelease::open(&source(address), &options).await;
        let error = opened.unwrap_err();
        assert!(
            error.hints()[0].contains("USER:PASSWORD"),
            "{address}: {error}"
        );
        assert_eq!(proxy.seen("").len(), 1, "{address}");
    }
}

#[tokio::test]
async fn offline_asks_nobody() {
    let (scene, server, address) = served(b"linux").await;
    let mut options = patient();
    options.github.network.offline = true;
    let error = scene.install(&source(&address), &options).await;
    let error = error.unwrap_err();
    assert!(error.to_string().contains("--offline"), "{error}");
    assert!(server.seen("").is_empty());
    scene.install(&repository(), &options).await.unwrap_err();
    // A folder does not need the network.
    let site = scene.site().await;
    scene.install(&site, &options).await.unwrap();
}

#[tokio::test]
async fn the_query_of_an_address_is_sent_to_no_other_host() {
    let (scene, _server, address) = served(b"linux").await;
    let other = Server::start(&scene.folder.path().join("site"));
    _server.always(
        ARCHIVE,
        WebFault::Redirect(format!("{}/v1.0.0/{ARCHIVE}", other.url())),
    );
    let address = format!(
        "{}?sig=hidden",
        address.replace("http://", "http://me:secret@")
    );
    scene.install(&source(&address), &patient()).await.unwrap();
    let asked = other.seen(ARCHIVE).pop().unwrap();
    assert_eq!(asked.query, None);
    let headers = format!("{:?}", asked.headers);
    assert!(
        !headers.contains("hidden") && !headers.contains("authorization"),
        "{headers}"
    );
    assert!(asked.header("referer").is_none());
}
