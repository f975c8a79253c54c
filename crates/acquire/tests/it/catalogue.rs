//! The catalogue over a failing network, and when the cached copy is used.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use sysforge_acquire::{Error, Proxies};
use sysforge_net::Error as Net;
use sysforge_plan::{Class, Event, Explain};
use sysforge_testkit::archives::tiny_julia;
use sysforge_testkit::mirror_dir::MirrorDir;
use sysforge_testkit::server::{Fault, Server};

use crate::support::{Bench, LINUX, net};

const CATALOGUE: &str = "versions.json";

struct Fixture {
    mirror: MirrorDir,
    server: Server,
    bench: Bench,
}

impl Fixture {
    fn new() -> Self {
        let mut mirror = MirrorDir::new();
        mirror.publish("1.5.3", LINUX, &tiny_julia("1.5.3", 1000).gz());
        let server = Server::start(mirror.path());
        Self {
            mirror,
            server,
            bench: Bench::new(),
        }
    }

    /// Shortens the stall limit.
    fn with_short_timeouts(mut self) -> Self {
        self.bench.network.stall_time = Duration::from_millis(500);
        self
    }

    /// Returns the number of releases in the catalogue, fetched by a new acquirer each time.
    async fn count_releases(&self) -> Result<usize, Error> {
        let catalogue = self.bench.acquirer(&self.server.url()).catalogue().await?;
        Ok(catalogue.releases().len())
    }

    /// Returns the cached file with this extension.
    fn cached(&self, extension: &str) -> PathBuf {
        let names = self.bench.names_in("catalogue");
        let name = names.iter().find(|name| name.ends_with(extension)).unwrap();
        self.bench.store().root().join("catalogue").join(name)
    }

    fn notes(&self) -> Vec<String> {
        let events = self.bench.events.lock().unwrap();
        let notes = events.iter().filter_map(|event| match event {
            Event::Note { text } => Some(text.clone()),
            _ => None,
        });
        notes.collect()
    }
}

#[tokio::test]
async fn a_truncated_catalogue_is_fetched_again() {
    for fault in [
        Fault::DropAfter(10),
        Fault::Status(503, vec![("Retry-After", "0".to_owned())]),
        Fault::Close,
    ] {
        let fixture = Fixture::new();
        fixture.server.script(CATALOGUE, [fault.clone()]);
        assert_eq!(fixture.count_releases().await.unwrap(), 1, "{fault:?}");
        assert_eq!(fixture.server.seen(CATALOGUE).len(), 2, "{fault:?}");
    }
    let fixture = Fixture::new().with_short_timeouts();
    fixture.server.script(CATALOGUE, [Fault::SilenceAfter(10)]);
    assert_eq!(fixture.count_releases().await.unwrap(), 1);
}

#[tokio::test]
async fn a_catalogue_that_is_always_truncated_is_an_error() {
    let mut fixture = Fixture::new().with_short_timeouts();
    fixture.bench.network.retries.without_progress = 2;
    fixture.server.always(CATALOGUE, Fault::SilenceAfter(10));
    let error = fixture.count_releases().await.unwrap_err();
    let Net::GaveUp { attempts: 2, last } = net(&error) else {
        panic!("{error:?}");
    };
    assert!(matches!(**last, Net::Stalled { bytes: 10, .. }), "{last:?}");
    assert_eq!(error.class(), Class::Acquire);
    assert!(error.hints()[0].contains("HTTPS_PROXY"));
    // Incomplete bytes are not cached.
    assert!(fixture.bench.names_in("catalogue").is_empty());
}

#[tokio::test]
async fn reading_stops_at_the_maximum_size_of_a_catalogue() {
    let fixture = Fixture::new();
    let file = fixture.mirror.path().join("bin/versions.json");
    let absurd = fs::File::create(file).unwrap();
    absurd.set_len((8 << 20) + 1).unwrap();
    let error = fixture.count_releases().await.unwrap_err();
    assert!(matches!(net(&error), Net::TooLong { .. }), "{error:?}");
    assert_eq!(fixture.server.seen(CATALOGUE).len(), 1);
    assert!(fixture.bench.names_in("catalogue").is_empty());
}

#[tokio::test]
async fn not_modified_without_a_cached_catalogue_is_an_error() {
    let fixture = Fixture::new();
    fixture
        .server
        .always(CATALOGUE, Fault::Status(304, Vec::new()));
    let error = fixture.count_releases().await.unwrap_err();
    let Net::Status { status, .. } = net(&error) else {
        panic!("{error:?}");
    };
    assert_eq!(status.as_u16(), 304);
}

#[tokio::test]
async fn a_busy_server_is_an_error_unless_a_catalogue_is_cached() {
    let fixture = Fixture::new();
    let tomorrow = || Fault::Status(429, vec![("Retry-After", "86400".to_owned())]);
    fixture
        .server
        .script(CATALOGUE, [tomorrow(), Fault::Fine, tomorrow()]);
    let error = fixture.count_releases().await.unwrap_err();
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
    assert_eq!(fixture.count_releases().await.unwrap(), 1);
    assert_eq!(fixture.count_releases().await.unwrap(), 1);
    let warning = fixture.bench.warnings().remove(0);
    assert!(warning.contains("asks to retry in 24 hours"), "{warning}");
    // A refusal does not mean that the server is unreachable.
    fixture
        .server
        .always(CATALOGUE, Fault::Status(403, Vec::new()));
    let error = fixture.count_releases().await.unwrap_err();
    assert!(error.hints()[0].contains("USER:PASSWORD"), "{error:?}");
}

#[tokio::test]
async fn retry_after_may_be_a_date() {
    let at = |date: &str| Fault::Status(503, vec![("Retry-After", date.to_owned())]);
    // A date in the past, or not a date.
    for date in ["Wed, 21 Oct 2015 07:28:00 GMT", "soon"] {
        let fixture = Fixture::new();
        fixture.server.script(CATALOGUE, [at(date)]);
        assert_eq!(fixture.count_releases().await.unwrap(), 1, "{date}");
    }
    let fixture = Fixture::new();
    fixture
        .server
        .script(CATALOGUE, [at("Tue, 01 Jan 2999 00:00:00 GMT")]);
    let error = fixture.count_releases().await.unwrap_err();
    assert!(matches!(net(&error), Net::Busy { .. }), "{error:?}");
}

#[tokio::test]
async fn without_an_entity_tag_the_request_is_conditional_on_the_modification_time() {
    let fixture = Fixture::new();
    fixture.count_releases().await.unwrap();
    let time = "Mon, 06 May 2024 07:08:09 GMT";
    let note = format!(
        r#"{{"url": "{}", "last_modified": "{time}"}}"#,
        fixture.server.url()
    );
    fs::write(fixture.cached(".note"), note).unwrap();
    fixture.count_releases().await.unwrap();
    let last = fixture.server.seen(CATALOGUE).pop().unwrap();
    assert_eq!(last.header("if-modified-since"), Some(time));
    assert_eq!(last.header("if-none-match"), None);
}

#[tokio::test]
async fn a_corrupt_cached_catalogue_is_ignored() {
    let mut fixture = Fixture::new();
    fixture.count_releases().await.unwrap();
    fs::write(fixture.cached(".json"), "{").unwrap();
    // Otherwise the server would respond that nothing changed.
    assert_eq!(fixture.count_releases().await.unwrap(), 1);
    let last = fixture.server.seen(CATALOGUE).pop().unwrap();
    assert_eq!(last.header("if-none-match"), None);

    fs::write(fixture.cached(".json"), "{").unwrap();
    fixture.bench.network.offline = true;
    let error = fixture.count_releases().await.unwrap_err();
    let Error::Offline { what } = &error else {
        panic!("{error:?}");
    };
    let address = format!(
        "the catalogue of {}/bin/versions.json",
        fixture.server.url()
    );
    assert_eq!(*what, address);
    assert_eq!(error.class(), Class::Acquire);
}

#[tokio::test]
async fn what_is_not_a_catalogue_does_not_replace_the_cached_one() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.count_releases().await.unwrap(), 1);
    let portal = fixture.mirror.path().join("portal");
    let file = r#"{"1.5.4": {"files": [{"url": "file:///etc/passwd", "kind": "archive",
        "triplet": "x86_64-linux-gnu", "extension": "tar.gz", "sha256": "DIGEST"}]}}"#;
    let file = file.replace("DIGEST", &"0".repeat(64));
    for answer in ["<html>Please log in</html>", &file] {
        fs::write(&portal, answer).unwrap();
        fixture
            .server
            .always(CATALOGUE, Fault::InsteadOf("/portal".to_owned()));
        let error = fixture.count_releases().await.unwrap_err();
        assert!(
            matches!(error, Error::Catalogue { .. } | Error::LocalFile { .. }),
            "{error:?}"
        );
        // Neither while the server is not reachable, nor without the network.
        fixture.server.always(CATALOGUE, Fault::Close);
        assert_eq!(fixture.count_releases().await.unwrap(), 1);
        fixture.bench.network.offline = true;
        assert_eq!(fixture.count_releases().await.unwrap(), 1);
        fixture.bench.network.offline = false;
    }
    // One that is cached nevertheless is fetched again.
    fs::write(fixture.cached(".json"), &file).unwrap();
    fixture.server.behave();
    assert_eq!(fixture.count_releases().await.unwrap(), 1);
}

#[tokio::test]
async fn an_offline_run_reports_the_age_of_the_catalogue() {
    let mut fixture = Fixture::new();
    fixture.count_releases().await.unwrap();
    fixture.bench.network.offline = true;
    let hour = Duration::from_secs(3600);
    for (age, said) in [
        (hour / 6, "as it was 10 minutes ago"),
        (5 * hour, "as it was 5 hours ago"),
        (24 * 30 * hour, "as it was 30 days ago"),
    ] {
        let time = SystemTime::now() - age;
        filetime::set_file_mtime(fixture.cached(".json"), time.into()).unwrap();
        assert_eq!(fixture.count_releases().await.unwrap(), 1);
        let note = fixture.notes().pop().unwrap();
        assert!(
            note.starts_with("offline: using the catalogue of "),
            "{note}"
        );
        assert!(note.ends_with(said), "{note}");
    }
    // The clock was set back.
    let time = SystemTime::now() + 2 * hour;
    filetime::set_file_mtime(fixture.cached(".json"), time.into()).unwrap();
    fixture.count_releases().await.unwrap();
    assert!(
        fixture
            .notes()
            .pop()
            .unwrap()
            .ends_with("at an unknown time")
    );
}

#[tokio::test]
async fn invalid_network_settings_are_an_error_and_not_offline() {
    let mut fixture = Fixture::new();
    fixture.count_releases().await.unwrap();
    fixture.bench.network.proxies = Proxies::Explicit {
        http: Some("http://bad host".to_owned()),
        https: None,
        except: None,
    };
    let error = fixture.count_releases().await.unwrap_err();
    assert!(matches!(net(&error), Net::Proxy { .. }), "{error:?}");
    assert_eq!(error.class(), Class::Usage);
    assert!(fixture.bench.warnings().is_empty());
}

#[tokio::test]
async fn a_redirect_loop_is_an_error() {
    let fixture = Fixture::new();
    let itself = format!("{}/bin/{CATALOGUE}", fixture.server.url());
    fixture.server.always(CATALOGUE, Fault::Redirect(itself));
    let error = fixture.count_releases().await.unwrap_err();
    assert!(matches!(net(&error), Net::Connection { .. }), "{error:?}");
    // Ten redirects are followed; a retry would end the same way.
    assert_eq!(fixture.server.seen(CATALOGUE).len(), 11);
}

#[tokio::test]
async fn a_folder_without_a_catalogue_is_an_error() {
    let bench = Bench::new();
    let folder = tempfile::tempdir().unwrap();
    let acquirer = bench.acquirer(folder.path().to_str().unwrap());
    let error = acquirer.catalogue().await.unwrap_err();
    let Error::NoMirror { missing, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(*missing, folder.path().join("bin").join(CATALOGUE));
    assert_eq!(error.class(), Class::Usage);
    assert!(error.hints()[0].contains("contains `bin/versions.json`"));
    // Nor is a folder that does not exist.
    let nowhere = folder.path().join("nowhere");
    let acquirer = bench.acquirer(nowhere.to_str().unwrap());
    let error = acquirer.catalogue().await.unwrap_err();
    assert!(
        error.to_string().ends_with("nowhere does not exist"),
        "{error}"
    );
}

#[tokio::test]
async fn a_catalogue_of_a_server_may_not_name_files_of_this_machine() {
    let mut fixture = Fixture::new();
    let archive = tiny_julia("1.5.4", 1000).gz();
    fixture
        .mirror
        .publish_with("1.5.4", LINUX, &archive, |file| {
            file.insert("url".to_owned(), "file:///etc/passwd".into());
        });
    let error = fixture.count_releases().await.unwrap_err();
    assert!(matches!(error, Error::LocalFile { .. }), "{error}");
    assert_eq!(error.class(), Class::Acquire);
    assert!(error.to_string().contains("file:///etc/passwd"), "{error}");
    // The catalogue of a folder belongs to this machine.
    let folder = fixture.mirror.path().to_str().unwrap();
    let catalogue = fixture.bench.acquirer(folder).catalogue().await.unwrap();
    assert_eq!(catalogue.releases().len(), 2);
}

#[tokio::test]
async fn an_entry_with_a_hostile_version_or_address_is_left_out() {
    let mut fixture = Fixture::new();
    for text in sysforge_testkit::hostile::texts() {
        let archive = tiny_julia("1.5.4", 1000).gz();
        fixture
            .mirror
            .publish_with("1.5.4", LINUX, &archive, |file| {
                file.insert(
                    "url".to_owned(),
                    format!("https://example.org/{text}").into(),
                );
            });
    }
    let catalogue = fixture
        .bench
        .acquirer(&fixture.server.url())
        .catalogue()
        .await;
    let catalogue = catalogue.unwrap();
    for file in catalogue
        .releases()
        .iter()
        .flat_map(|release| &release.files)
    {
        assert!(file.url.as_str().is_ascii(), "{}", file.url);
        assert!(
            !file.name().contains(['/', '\\', '\'', '"', '`', '\n']),
            "{}",
            file.url
        );
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_pipe_in_a_mirror_is_refused_at_once() {
    let mut fixture = Fixture::new();
    let path = fixture
        .mirror
        .publish("1.5.4", LINUX, &tiny_julia("1.5.4", 1000).gz());
    let path = fixture.mirror.path().join(path);
    let folder = fixture.mirror.path().to_str().unwrap().to_owned();
    for pipe in [path, fixture.mirror.path().join("bin").join(CATALOGUE)] {
        fs::remove_file(&pipe).unwrap();
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let error = fixture.bench.install(&folder, "1.5.4").await.unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{error:?}");
    }
}
