//! Downloads over real sockets from a faulty server: what is resumed, when a download fails, and
//! what is reported.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use sysforge_acquire::{Error, Proxies};
use sysforge_net::Error as Net;
use sysforge_plan::Explain;
use sysforge_testkit::archives::tiny_julia;
use sysforge_testkit::mirror_dir::MirrorDir;
use sysforge_testkit::server::{Fault, Server};
use sysforge_testkit::tls::PrivateTls;

use crate::support::{Bench, LINUX, net};

/// The last part of the archive's address.
const ARCHIVE: &str = ".tar.gz";
const CATALOGUE: &str = "versions.json";

/// A server with one Julia of about a megabyte, and a client that fetches it in ranges of 100 kB.
struct Fixture {
    mirror: MirrorDir,
    server: Server,
    bench: Bench,
}

impl Fixture {
    fn new() -> Self {
        let mut mirror = MirrorDir::new();
        mirror.publish("1.5.3", LINUX, &tiny_julia("1.5.3", 1_000_000).gz());
        let server = Server::start(mirror.path());
        let mut bench = Bench::new();
        bench.network.range_bytes = 100_000;
        Self {
            mirror,
            server,
            bench,
        }
    }

    fn one_connection(mut self) -> Self {
        self.bench.network.connections = 1;
        self
    }

    /// Shortens the stall limit and the waits.
    fn with_short_timeouts(mut self) -> Self {
        self.bench.network.stall_time = Duration::from_millis(200);
        self.bench.network.connect_timeout = Duration::from_millis(200);
        self
    }

    async fn install(&self) -> Result<(), Error> {
        self.bench.install(&self.server.url(), "1").await.map(drop)
    }

    /// Installs over a connection that breaks after this many bytes and cannot be opened again.
    async fn break_off_after(&self, bytes: u64) {
        self.server.script(ARCHIVE, vec![Fault::DropAfter(bytes)]);
        self.server.always(ARCHIVE, Fault::Close);
        self.install().await.unwrap_err();
    }

    /// Returns the path of the archive on the server.
    fn archive(&self) -> PathBuf {
        let path = MirrorDir::archive_path("1.5.3", LINUX);
        self.mirror.path().join(path)
    }

    fn requests(&self) -> usize {
        self.server.seen(ARCHIVE).len()
    }
}

#[tokio::test]
async fn ranges_are_fetched_at_once_and_only_once() {
    let fixture = Fixture::new();
    fixture.install().await.unwrap();
    let ranges = fixture.server.seen(ARCHIVE);
    assert!(ranges.len() >= 10, "{}", ranges.len());
    assert!(
        ranges
            .iter()
            .all(|request| request.header("range").is_some())
    );
    let mut starts: Vec<_> = ranges
        .iter()
        .map(|request| request.header("range").unwrap().to_owned())
        .collect();
    starts.sort();
    starts.dedup();
    assert_eq!(starts.len(), ranges.len());
}

#[tokio::test]
async fn a_server_without_ranges_is_asked_once() {
    let fixture = Fixture::new();
    fixture.server.set(|behaviour| behaviour.ranges = false);
    fixture.install().await.unwrap();
    assert_eq!(fixture.requests(), 1);
}

#[tokio::test]
async fn a_broken_download_resumes_where_it_stopped() {
    let fixture = Fixture::new().one_connection();
    fixture.server.script(
        ARCHIVE,
        [Fault::DropAfter(300_000), Fault::DropAfter(200_000)],
    );
    fixture.install().await.unwrap();
    let seen = fixture.server.seen(ARCHIVE);
    assert_eq!(seen.len(), 3);
    assert_eq!(seen[0].header("range"), None);
    assert!(
        seen[1]
            .header("range")
            .unwrap()
            .starts_with("bytes=300000-")
    );
    assert!(
        seen[2]
            .header("range")
            .unwrap()
            .starts_with("bytes=500000-")
    );
    assert!(seen[1].header("if-range").unwrap().starts_with('"'));
}

#[tokio::test]
async fn every_transient_fault_is_retried() {
    let busy = || Fault::Status(503, vec![("Retry-After", "0".to_owned())]);
    for connections in [1, 4] {
        for faults in [
            vec![Fault::DropAfter(0), Fault::DropAfter(10)],
            vec![Fault::Close, Fault::Close],
            vec![Fault::Silence],
            vec![Fault::SilenceAfter(70_000)],
            vec![busy(), busy(), Fault::Status(500, Vec::new())],
            vec![Fault::Status(429, vec![("Retry-After", "0".to_owned())])],
            vec![Fault::Status(408, Vec::new())],
            vec![Fault::Fine, Fault::IgnoreRange],
            vec![Fault::IgnoreRange],
            vec![Fault::DropAfter(50_000), Fault::IgnoreRange],
            vec![Fault::UnknownTotal],
            vec![Fault::DropAfter(50_000), Fault::UnknownTotal],
            vec![Fault::Fine, Fault::DropAfter(1), Fault::Fine, Fault::Close],
            vec![Fault::Drip(30_000, Duration::from_millis(1))],
            // The body is shorter than its declared length, as if the connection broke.
            vec![Fault::Fine, Fault::WrongLength(50)],
        ] {
            let mut fixture = Fixture::new().with_short_timeouts();
            fixture.bench.network.connections = connections;
            fixture.server.script(ARCHIVE, faults.clone());
            if let Err(error) = fixture.install().await {
                // A wrong length in the first response cannot be distinguished from a wrong file.
                panic!("{connections} connections, {faults:?}: {error:?}");
            }
            assert_eq!(fixture.bench.names_in("tmp"), Vec::<String>::new());
            assert_eq!(fixture.bench.names_in("partial"), Vec::<String>::new());
        }
    }
}

#[tokio::test]
async fn a_wrong_byte_is_never_installed() {
    for connections in [1, 4] {
        for place in [0, 5, 500_000, 1_000_500] {
            let mut fixture = Fixture::new();
            fixture.bench.network.connections = connections;
            fixture.server.always(ARCHIVE, Fault::WrongByte(place));
            let error = fixture.install().await.unwrap_err();
            assert!(matches!(error, Error::Digest { .. }), "{error:?}");
            fixture.bench.assert_empty();
        }
    }
}

#[tokio::test]
async fn a_range_that_was_not_asked_for_is_refused() {
    let fixture = Fixture::new();
    fixture
        .server
        .script(ARCHIVE, [Fault::Fine, Fault::ShiftRange(7)]);
    let error = fixture.install().await.unwrap_err();
    assert!(matches!(net(&error), Net::WrongRange { .. }), "{error:?}");
}

#[tokio::test]
async fn a_file_of_another_length_than_the_catalogue_says_is_not_fetched() {
    let fixture = Fixture::new().one_connection();
    fs::write(fixture.archive(), b"short").unwrap();
    let error = fixture.install().await.unwrap_err();
    assert!(matches!(error, Error::Size { actual: 5, .. }), "{error:?}");
    fixture.bench.assert_empty();
}

#[tokio::test]
async fn an_absurdly_large_archive_is_not_fetched() {
    const MOST: u64 = 4 << 30;
    let mut fixture = Fixture::new();
    for size in [MOST + 1, u64::MAX] {
        let archive = tiny_julia("1.5.4", 10).gz();
        fixture
            .mirror
            .publish_with("1.5.4", LINUX, &archive, |file| {
                file.insert("size".to_owned(), size.into());
            });
        let error = fixture.install().await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "julia-1.5.4-linux-x86_64.tar.gz has more than 4.29 GB, the limit for an archive"
        );
        assert_eq!(fixture.requests(), 0);
    }
    // A nightly build has no size in a catalogue.
    let nightly = fixture.mirror.path().join("bin/linux/x86_64");
    fs::create_dir_all(&nightly).unwrap();
    let nightly = fs::File::create(nightly.join("julia-latest-linux-x86_64.tar.gz")).unwrap();
    nightly.set_len(MOST + 1).unwrap();
    for connections in [1, 4] {
        fixture.bench.network.connections = connections;
        let acquirer = fixture.bench.acquirer(&fixture.server.url());
        let error = acquirer.nightly(None, LINUX).await.unwrap_err();
        assert!(
            matches!(error, Error::TooLarge { limit: MOST, .. }),
            "{error:?}"
        );
        fixture.bench.assert_empty();
    }
}

#[tokio::test]
async fn an_interrupted_download_is_resumed_and_verified() {
    let fixture = Fixture::new().one_connection();
    fixture
        .server
        .script(ARCHIVE, vec![Fault::DropAfter(400_000)]);
    fixture.server.always(ARCHIVE, Fault::Close);
    let error = fixture.install().await.unwrap_err();
    assert!(matches!(net(&error), Net::GaveUp { .. }), "{error:?}");
    assert_eq!(fixture.bench.names_in("partial").len(), 2);
    assert_eq!(fixture.bench.names_in("tmp"), Vec::<String>::new());
    fixture.server.always(ARCHIVE, Fault::Fine);
    fixture.install().await.unwrap();
    let last = fixture.server.seen(ARCHIVE).pop().unwrap();
    assert_eq!(last.header("range"), Some("bytes=400000-"));
    assert_eq!(fixture.bench.names_in("partial"), Vec::<String>::new());
}

#[tokio::test]
async fn a_file_that_changed_between_two_runs_is_fetched_from_the_start() {
    let fixture = Fixture::new().one_connection();
    fixture.break_off_after(400_000).await;
    // The same bytes with a new time, and so with a new entity tag.
    let archive = fixture.archive();
    let bytes = fs::read(&archive).unwrap();
    fs::write(&archive, bytes).unwrap();
    fixture.server.always(ARCHIVE, Fault::Fine);
    fixture.install().await.unwrap();
}

#[tokio::test]
async fn bytes_without_an_entity_tag_are_dropped_when_the_digest_is_wrong() {
    let fixture = Fixture::new().one_connection();
    // Without entity tags, the next run cannot detect that the file has changed.
    fixture.server.set(|behaviour| behaviour.etags = false);
    let archive = fixture.archive();
    let right = fs::read(&archive).unwrap();
    fs::write(&archive, vec![7; right.len()]).unwrap();
    fixture.break_off_after(400_000).await;
    assert_eq!(fixture.bench.names_in("partial").len(), 2);
    fs::write(&archive, right).unwrap();
    fixture.server.always(ARCHIVE, Fault::Fine);
    fixture.install().await.unwrap();
}

#[tokio::test]
async fn a_file_that_changes_during_the_download_restarts_it() {
    let fixture = Fixture::new().one_connection();
    fixture
        .server
        .script(ARCHIVE, vec![Fault::SilenceAfter(300_000)]);
    let archive = fixture.archive();
    let fixture = fixture.with_short_timeouts();
    let changing = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let bytes = fs::read(&archive).unwrap();
        fs::write(&archive, bytes).unwrap();
    };
    let (installed, ()) = tokio::join!(fixture.install(), changing);
    installed.unwrap();
    assert_eq!(fixture.bench.names_in("julia").len(), 1);
}

#[tokio::test]
async fn a_server_that_refuses_ranges_is_asked_for_the_whole_file() {
    let fixture = Fixture::new();
    fixture
        .server
        .script(ARCHIVE, [Fault::Status(416, Vec::new())]);
    fixture.install().await.unwrap();
    let seen = fixture.server.seen(ARCHIVE);
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[1].header("range"), None);
}

#[tokio::test]
async fn a_range_beyond_the_end_of_the_file_restarts_the_download() {
    let fixture = Fixture::new().one_connection();
    fixture.break_off_after(400_000).await;
    fixture.server.always(ARCHIVE, Fault::Fine);
    fixture
        .server
        .script(ARCHIVE, [Fault::Status(416, Vec::new())]);
    fixture.install().await.unwrap();
    let seen = fixture.server.seen(ARCHIVE);
    let last = &seen[seen.len() - 2..];
    assert_eq!(last[0].header("range"), Some("bytes=400000-"));
    assert_eq!(last[1].header("range"), None);
}

#[tokio::test]
async fn nothing_is_fetched_offline() {
    let mut fixture = Fixture::new();
    fixture.install().await.unwrap();
    let julia = fixture.bench.store().root().join("julia");
    fs::remove_dir_all(julia).unwrap();
    let asked = fixture.requests();
    fixture.bench.network.offline = true;
    let error = fixture.install().await.unwrap_err();
    assert!(matches!(error, Error::Offline { .. }), "{error:?}");
    assert!(error.hints()[0].contains("without `--offline`"));
    assert_eq!(fixture.requests(), asked);
}

#[tokio::test]
async fn attempts_are_bounded_and_counted() {
    let fixture = Fixture::new();
    fixture.server.always(ARCHIVE, Fault::Close);
    let error = fixture.install().await.unwrap_err();
    let words = error.to_string();
    assert!(words.starts_with("cannot fetch http"), "{words}");
    assert!(words.ends_with(" (gave up after 6 attempts)"), "{words}");
    assert_eq!(fixture.requests(), 6);
    assert!(error.hints()[0].contains("HTTPS_PROXY"));
}

#[tokio::test]
async fn permanent_errors_are_not_retried() {
    for status in [403, 404, 410] {
        let fixture = Fixture::new();
        fixture
            .server
            .always(ARCHIVE, Fault::Status(status, Vec::new()));
        let error = fixture.install().await.unwrap_err();
        assert!(matches!(net(&error), Net::Status { .. }), "{error:?}");
        assert_eq!(fixture.requests(), 1);
    }
}

#[tokio::test]
async fn retry_after_is_obeyed_up_to_a_limit() {
    let fixture = Fixture::new();
    let after = |seconds: &str| Fault::Status(429, vec![("Retry-After", seconds.to_owned())]);
    fixture.server.script(ARCHIVE, [after("1")]);
    let began = Instant::now();
    fixture.install().await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(1));

    let fixture = Fixture::new();
    fixture.server.script(ARCHIVE, [after("86400")]);
    let error = fixture.install().await.unwrap_err();
    assert!(
        matches!(
            net(&error),
            Net::Busy {
                seconds: 86_400,
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_retry_after_date_is_relative_to_the_clock_of_the_server() {
    let fixture = Fixture::new();
    // Its clock is an hour ahead, and it asks to wait for a second.
    let date = |seconds| httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(seconds));
    let headers = vec![("Date", date(3600)), ("Retry-After", date(3601))];
    fixture
        .server
        .script(ARCHIVE, [Fault::Status(503, headers)]);
    fixture.install().await.unwrap();
}

#[tokio::test]
async fn a_stalled_and_a_very_slow_download_end_at_the_deadline() {
    for fault in [
        Fault::Silence,
        Fault::SilenceAfter(10),
        Fault::Drip(1, Duration::from_millis(20)),
    ] {
        let mut fixture = Fixture::new().with_short_timeouts();
        fixture.bench.network.retries.without_progress = 2;
        fixture.bench.network.retries.total = 3;
        fixture.server.always(ARCHIVE, fault);
        let ended = tokio::time::timeout(Duration::from_secs(60), fixture.install()).await;
        let error = ended.expect("it ends").unwrap_err();
        assert!(
            matches!(net(&error), Net::GaveUp { last, .. } if matches!(**last, Net::Stalled { .. })),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn credentials_are_not_sent_to_another_host_after_a_redirect() {
    let fixture = Fixture::new();
    let other = Server::start(fixture.mirror.path());
    // `localhost` and `127.0.0.1` are two hosts.
    let base = format!(
        "http://me:secret@localhost:{}",
        fixture.server.address().port()
    );
    let path = MirrorDir::archive_path("1.5.3", LINUX);
    fixture
        .server
        .always(ARCHIVE, Fault::Redirect(format!("{}/{path}", other.url())));
    fixture.bench.install(&base, "1").await.unwrap();
    let asked = fixture.server.seen(ARCHIVE);
    assert!(
        asked[0]
            .header("authorization")
            .unwrap()
            .starts_with("Basic")
    );
    let redirected = other.seen(ARCHIVE);
    assert!(!redirected.is_empty());
    assert!(
        redirected
            .iter()
            .all(|request| request.header("authorization").is_none())
    );
}

#[tokio::test]
async fn a_redirect_from_https_to_http_is_refused() {
    let fixture = Fixture::new();
    let tls = PrivateTls::new();
    let secure = Server::start_tls(fixture.mirror.path(), &tls);
    secure.always(
        CATALOGUE,
        Fault::Redirect(format!("{}/bin/{CATALOGUE}", fixture.server.url())),
    );
    let mut bench = Bench::new();
    bench.trust(&tls);
    let error = bench.install(&secure.url(), "1").await.unwrap_err();
    assert!(matches!(net(&error), Net::Connection { .. }), "{error:?}");
    assert!(fixture.server.seen(CATALOGUE).is_empty());
}

#[tokio::test]
async fn a_private_certificate_authority_is_trusted_only_if_configured() {
    let fixture = Fixture::new();
    let tls = PrivateTls::new();
    let secure = Server::start_tls(fixture.mirror.path(), &tls);
    let mut bench = Bench::new();
    let error = bench.install(&secure.url(), "1").await.unwrap_err();
    // A retry would not help.
    assert!(matches!(net(&error), Net::Connection { .. }), "{error:?}");
    assert!(error.hints()[0].contains("SSL_CERT_FILE"), "{error:?}");
    bench.trust(&tls);
    bench.install(&secure.url(), "1").await.unwrap();
}

#[tokio::test]
async fn a_proxy_is_used_except_for_excluded_hosts() {
    let fixture = Fixture::new();
    let proxy = Server::start(fixture.mirror.path());
    let mut bench = Bench::new();
    bench.network.proxies = Proxies::Explicit {
        http: Some(proxy.url()),
        https: None,
        except: None,
    };
    bench.install("http://nowhere.invalid", "1").await.unwrap();
    assert!(
        proxy.seen(ARCHIVE)[0]
            .header(":proxied")
            .unwrap()
            .contains("nowhere.invalid")
    );

    let mut bench = Bench::new();
    bench.network.proxies = Proxies::Explicit {
        http: Some("http://127.0.0.1:1".to_owned()),
        https: None,
        except: Some("127.0.0.1".to_owned()),
    };
    bench.install(&fixture.server.url(), "1").await.unwrap();
}

#[tokio::test]
async fn the_catalogue_is_revalidated_and_serves_offline() {
    let mut fixture = Fixture::new();
    fixture.install().await.unwrap();
    fixture.install().await.unwrap();
    let asked = fixture.server.seen(CATALOGUE);
    assert_eq!(asked.len(), 2);
    assert!(asked[1].header("if-none-match").is_some());

    fixture.bench.network.offline = true;
    fixture.install().await.unwrap();
    assert_eq!(fixture.server.seen(CATALOGUE).len(), 2);

    // Not offline by option, but the server is unreachable.
    fixture.bench.network.offline = false;
    fixture.server.always(CATALOGUE, Fault::Close);
    fixture.install().await.unwrap();
    assert!(fixture.bench.warnings()[0].contains("not reachable"));
}

#[tokio::test]
async fn an_invalid_catalogue_is_reported() {
    let fixture = Fixture::new();
    fs::write(fixture.mirror.path().join("bin/versions.json"), "<html>").unwrap();
    let error = fixture.install().await.unwrap_err();
    assert!(matches!(error, Error::Catalogue { .. }), "{error:?}");
}

#[tokio::test]
async fn a_dropped_future_leaves_only_a_partial_download() {
    let fixture = Fixture::new().one_connection();
    fixture
        .server
        .always(ARCHIVE, Fault::Drip(20_000, Duration::from_millis(10)));
    let begun = async {
        let partial = fixture.bench.store().root().join("partial");
        let bytes = |name: &String| fs::metadata(partial.join(name)).is_ok_and(|m| m.len() > 0);
        let is_part = |name: &String| !name.ends_with(".json") && bytes(name);
        while !fixture.bench.names_in("partial").iter().any(is_part) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        outcome = fixture.install() => panic!("dripping takes longer: {outcome:?}"),
        () = begun => {}
    }
    // The threads stop within moments.
    for _ in 0..200 {
        if fixture.bench.names_in("tmp").is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(fixture.bench.names_in("tmp"), Vec::<String>::new());
    assert_eq!(fixture.bench.names_in("julia"), Vec::<String>::new());
    fixture.server.always(ARCHIVE, Fault::Fine);
    fixture.install().await.unwrap();
    assert!(
        fixture
            .server
            .seen(ARCHIVE)
            .last()
            .unwrap()
            .header("if-range")
            .is_some()
    );
}
