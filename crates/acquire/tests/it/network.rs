//! Over real sockets, with a server that misbehaves: what is taken up again, what is given up,
//! and what is said.

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

/// What the requests for the archive end in.
const ARCHIVE: &str = ".tar.gz";
const CATALOGUE: &str = "versions.json";

/// A server with one Julia of about a megabyte, and a client that fetches it in ranges of
/// 100 kB.
struct Scene {
    mirror: MirrorDir,
    server: Server,
    bench: Bench,
}

impl Scene {
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

    /// Stalls count after a moment, and so do waits.
    fn impatient(mut self) -> Self {
        self.bench.network.stall_time = Duration::from_millis(200);
        self.bench.network.connect_timeout = Duration::from_millis(200);
        self
    }

    async fn install(&self) -> Result<(), Error> {
        self.bench.install(&self.server.url(), "1").await.map(drop)
    }

    /// An install whose connection breaks after so many bytes, and cannot be made again.
    async fn break_off_after(&self, bytes: u64) {
        self.server.script(ARCHIVE, vec![Fault::DropAfter(bytes)]);
        self.server.always(ARCHIVE, Fault::Close);
        self.install().await.unwrap_err();
    }

    /// The archive that is served.
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
    let scene = Scene::new();
    scene.install().await.unwrap();
    let ranges = scene.server.seen(ARCHIVE);
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
    let scene = Scene::new();
    scene.server.set(|manners| manners.ranges = false);
    scene.install().await.unwrap();
    assert_eq!(scene.requests(), 1);
}

#[tokio::test]
async fn a_broken_connection_is_taken_up_where_it_stopped() {
    let scene = Scene::new().one_connection();
    scene.server.script(
        ARCHIVE,
        [Fault::DropAfter(300_000), Fault::DropAfter(200_000)],
    );
    scene.install().await.unwrap();
    let seen = scene.server.seen(ARCHIVE);
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
async fn every_passing_fault_is_survived() {
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
            // The length says more than comes: as if the connection broke.
            vec![Fault::Fine, Fault::WrongLength(50)],
        ] {
            let mut scene = Scene::new().impatient();
            scene.bench.network.connections = connections;
            scene.server.script(ARCHIVE, faults.clone());
            if let Err(error) = scene.install().await {
                // Only a first answer of the wrong length cannot be told from a wrong file.
                panic!("{connections} connections, {faults:?}: {error:?}");
            }
            assert_eq!(scene.bench.names_in("tmp"), Vec::<String>::new());
            assert_eq!(scene.bench.names_in("partial"), Vec::<String>::new());
        }
    }
}

#[tokio::test]
async fn a_wrong_byte_is_never_installed() {
    for connections in [1, 4] {
        for place in [0, 5, 500_000, 1_000_500] {
            let mut scene = Scene::new();
            scene.bench.network.connections = connections;
            scene.server.always(ARCHIVE, Fault::WrongByte(place));
            let error = scene.install().await.unwrap_err();
            assert!(matches!(error, Error::Digest { .. }), "{error:?}");
            scene.bench.assert_empty();
        }
    }
}

#[tokio::test]
async fn a_range_that_was_not_asked_for_is_refused() {
    let scene = Scene::new();
    scene
        .server
        .script(ARCHIVE, [Fault::Fine, Fault::ShiftRange(7)]);
    let error = scene.install().await.unwrap_err();
    assert!(matches!(net(&error), Net::WrongRange { .. }), "{error:?}");
}

#[tokio::test]
async fn a_file_of_another_length_than_the_catalogue_says_is_not_fetched() {
    let scene = Scene::new().one_connection();
    fs::write(scene.archive(), b"short").unwrap();
    let error = scene.install().await.unwrap_err();
    assert!(matches!(error, Error::Size { actual: 5, .. }), "{error:?}");
    scene.bench.assert_empty();
}

#[tokio::test]
async fn what_an_interrupted_run_kept_is_resumed_and_checked() {
    let scene = Scene::new().one_connection();
    scene
        .server
        .script(ARCHIVE, vec![Fault::DropAfter(400_000)]);
    scene.server.always(ARCHIVE, Fault::Close);
    let error = scene.install().await.unwrap_err();
    assert!(matches!(net(&error), Net::GaveUp { .. }), "{error:?}");
    assert_eq!(scene.bench.names_in("partial").len(), 2);
    assert_eq!(scene.bench.names_in("tmp"), Vec::<String>::new());
    scene.server.always(ARCHIVE, Fault::Fine);
    scene.install().await.unwrap();
    let last = scene.server.seen(ARCHIVE).pop().unwrap();
    assert_eq!(last.header("range"), Some("bytes=400000-"));
    assert_eq!(scene.bench.names_in("partial"), Vec::<String>::new());
}

#[tokio::test]
async fn a_file_that_changed_between_two_runs_is_fetched_anew() {
    let scene = Scene::new().one_connection();
    scene.break_off_after(400_000).await;
    // The same bytes, but with a new time and so with a new entity tag.
    let archive = scene.archive();
    let bytes = fs::read(&archive).unwrap();
    fs::write(&archive, bytes).unwrap();
    scene.server.always(ARCHIVE, Fault::Fine);
    scene.install().await.unwrap();
}

#[tokio::test]
async fn bytes_of_an_unknown_state_are_dropped_when_the_digest_disagrees() {
    let scene = Scene::new().one_connection();
    // Without entity tags nobody can tell that the file is another one the next time.
    scene.server.set(|manners| manners.etags = false);
    let archive = scene.archive();
    let right = fs::read(&archive).unwrap();
    fs::write(&archive, vec![7; right.len()]).unwrap();
    scene.break_off_after(400_000).await;
    assert_eq!(scene.bench.names_in("partial").len(), 2);
    fs::write(&archive, right).unwrap();
    scene.server.always(ARCHIVE, Fault::Fine);
    scene.install().await.unwrap();
}

#[tokio::test]
async fn a_change_in_the_middle_starts_over() {
    let scene = Scene::new().one_connection();
    scene
        .server
        .script(ARCHIVE, vec![Fault::SilenceAfter(300_000)]);
    let archive = scene.archive();
    let scene = scene.impatient();
    let changing = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let bytes = fs::read(&archive).unwrap();
        fs::write(&archive, bytes).unwrap();
    };
    let (installed, ()) = tokio::join!(scene.install(), changing);
    installed.unwrap();
    assert_eq!(scene.bench.names_in("julia").len(), 1);
}

#[tokio::test]
async fn a_server_that_refuses_ranges_is_asked_for_the_whole() {
    let scene = Scene::new();
    scene
        .server
        .script(ARCHIVE, [Fault::Status(416, Vec::new())]);
    scene.install().await.unwrap();
    let seen = scene.server.seen(ARCHIVE);
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[1].header("range"), None);
}

#[tokio::test]
async fn a_range_beyond_what_the_server_has_now_starts_over() {
    let scene = Scene::new().one_connection();
    scene.break_off_after(400_000).await;
    scene.server.always(ARCHIVE, Fault::Fine);
    scene
        .server
        .script(ARCHIVE, [Fault::Status(416, Vec::new())]);
    scene.install().await.unwrap();
    let seen = scene.server.seen(ARCHIVE);
    let last = &seen[seen.len() - 2..];
    assert_eq!(last[0].header("range"), Some("bytes=400000-"));
    assert_eq!(last[1].header("range"), None);
}

#[tokio::test]
async fn offline_nothing_is_fetched() {
    let mut scene = Scene::new();
    scene.install().await.unwrap();
    let julia = scene.bench.store().root().join("julia");
    fs::remove_dir_all(julia).unwrap();
    let asked = scene.requests();
    scene.bench.network.offline = true;
    let error = scene.install().await.unwrap_err();
    assert!(matches!(error, Error::Offline { .. }), "{error:?}");
    assert!(error.hints()[0].contains("without `--offline`"));
    assert_eq!(scene.requests(), asked);
}

#[tokio::test]
async fn attempts_are_bounded_and_counted() {
    let scene = Scene::new();
    scene.server.always(ARCHIVE, Fault::Close);
    let error = scene.install().await.unwrap_err();
    let words = error.to_string();
    assert!(words.starts_with("cannot fetch http"), "{words}");
    assert!(words.ends_with(" (gave up after 6 attempts)"), "{words}");
    assert_eq!(scene.requests(), 6);
    assert!(error.hints()[0].contains("HTTPS_PROXY"));
}

#[tokio::test]
async fn what_will_not_pass_is_not_tried_again() {
    for status in [403, 404, 410] {
        let scene = Scene::new();
        scene
            .server
            .always(ARCHIVE, Fault::Status(status, Vec::new()));
        let error = scene.install().await.unwrap_err();
        assert!(matches!(net(&error), Net::Status { .. }), "{error:?}");
        assert_eq!(scene.requests(), 1);
    }
}

#[tokio::test]
async fn retry_after_is_waited_for_within_reason() {
    let scene = Scene::new();
    let after = |seconds: &str| Fault::Status(429, vec![("Retry-After", seconds.to_owned())]);
    scene.server.script(ARCHIVE, [after("1")]);
    let began = Instant::now();
    scene.install().await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(1));

    let scene = Scene::new();
    scene.server.script(ARCHIVE, [after("86400")]);
    let error = scene.install().await.unwrap_err();
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
async fn a_time_of_day_to_come_back_at_is_the_servers_own() {
    let scene = Scene::new();
    // Its clock is an hour ahead of this one's, and it asks to wait for a second.
    let date = |seconds| httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(seconds));
    let headers = vec![("Date", date(3600)), ("Retry-After", date(3601))];
    scene.server.script(ARCHIVE, [Fault::Status(503, headers)]);
    scene.install().await.unwrap();
}

#[tokio::test]
async fn silence_and_a_slow_drip_end_at_the_deadline() {
    for fault in [
        Fault::Silence,
        Fault::SilenceAfter(10),
        Fault::Drip(1, Duration::from_millis(20)),
    ] {
        let mut scene = Scene::new().impatient();
        scene.bench.network.retries.fruitless = 2;
        scene.bench.network.retries.total = 3;
        scene.server.always(ARCHIVE, fault);
        let ended = tokio::time::timeout(Duration::from_secs(60), scene.install()).await;
        let error = ended.expect("it ends").unwrap_err();
        assert!(
            matches!(net(&error), Net::GaveUp { last, .. } if matches!(**last, Net::Stalled { .. })),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn credentials_stay_behind_when_a_redirect_leaves_the_host() {
    let scene = Scene::new();
    let other = Server::start(scene.mirror.path());
    // `localhost` and `127.0.0.1` are two hosts.
    let base = format!(
        "http://me:secret@localhost:{}",
        scene.server.address().port()
    );
    let path = MirrorDir::archive_path("1.5.3", LINUX);
    scene
        .server
        .always(ARCHIVE, Fault::Redirect(format!("{}/{path}", other.url())));
    scene.bench.install(&base, "1").await.unwrap();
    let asked = scene.server.seen(ARCHIVE);
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
    let scene = Scene::new();
    let tls = PrivateTls::new();
    let secure = Server::start_tls(scene.mirror.path(), &tls);
    secure.always(
        CATALOGUE,
        Fault::Redirect(format!("{}/bin/{CATALOGUE}", scene.server.url())),
    );
    let mut bench = Bench::new();
    bench.trust(&tls);
    let error = bench.install(&secure.url(), "1").await.unwrap_err();
    assert!(matches!(net(&error), Net::Connection { .. }), "{error:?}");
    assert!(scene.server.seen(CATALOGUE).is_empty());
}

#[tokio::test]
async fn a_private_authority_is_trusted_only_when_told() {
    let scene = Scene::new();
    let tls = PrivateTls::new();
    let secure = Server::start_tls(scene.mirror.path(), &tls);
    let mut bench = Bench::new();
    let error = bench.install(&secure.url(), "1").await.unwrap_err();
    // Trying again would not help.
    assert!(matches!(net(&error), Net::Connection { .. }), "{error:?}");
    assert!(error.hints()[0].contains("SSL_CERT_FILE"), "{error:?}");
    bench.trust(&tls);
    bench.install(&secure.url(), "1").await.unwrap();
}

#[tokio::test]
async fn a_proxy_is_used_except_where_it_must_not() {
    let scene = Scene::new();
    let proxy = Server::start(scene.mirror.path());
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
    bench.install(&scene.server.url(), "1").await.unwrap();
}

#[tokio::test]
async fn the_catalogue_is_revalidated_and_serves_offline() {
    let mut scene = Scene::new();
    scene.install().await.unwrap();
    scene.install().await.unwrap();
    let asked = scene.server.seen(CATALOGUE);
    assert_eq!(asked.len(), 2);
    assert!(asked[1].header("if-none-match").is_some());

    scene.bench.network.offline = true;
    scene.install().await.unwrap();
    assert_eq!(scene.server.seen(CATALOGUE).len(), 2);

    // Not told to be offline, but so it is.
    scene.bench.network.offline = false;
    scene.server.always(CATALOGUE, Fault::Close);
    scene.install().await.unwrap();
    assert!(scene.bench.warnings()[0].contains("out of reach"));
}

#[tokio::test]
async fn a_catalogue_that_is_none_is_said_to_be_none() {
    let scene = Scene::new();
    fs::write(scene.mirror.path().join("bin/versions.json"), "<html>").unwrap();
    let error = scene.install().await.unwrap_err();
    assert!(matches!(error, Error::Catalogue { .. }), "{error:?}");
}

#[tokio::test]
async fn a_dropped_future_leaves_nothing_but_what_can_be_resumed() {
    let scene = Scene::new().one_connection();
    scene
        .server
        .always(ARCHIVE, Fault::Drip(20_000, Duration::from_millis(10)));
    let begun = async {
        let partial = scene.bench.store().root().join("partial");
        let bytes = |name: &String| fs::metadata(partial.join(name)).is_ok_and(|m| m.len() > 0);
        let is_part = |name: &String| !name.ends_with(".json") && bytes(name);
        while !scene.bench.names_in("partial").iter().any(is_part) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        outcome = scene.install() => panic!("dripping takes longer: {outcome:?}"),
        () = begun => {}
    }
    // The threads notice within moments.
    for _ in 0..200 {
        if scene.bench.names_in("tmp").is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(scene.bench.names_in("tmp"), Vec::<String>::new());
    assert_eq!(scene.bench.names_in("julia"), Vec::<String>::new());
    scene.server.always(ARCHIVE, Fault::Fine);
    scene.install().await.unwrap();
    assert!(
        scene
            .server
            .seen(ARCHIVE)
            .last()
            .unwrap()
            .header("if-range")
            .is_some()
    );
}
