//! Resumed downloads and invalid responses: a partial download is used if it is valid, and
//! otherwise discarded.

use std::fs;
use std::path::PathBuf;

use sysforge_acquire::Error;
use sysforge_net::Error as Net;
use sysforge_plan::{Class, Explain, Sha256};
use sysforge_testkit::archives::{EntryType, Tar, gzip_best, tiny_julia, tiny_julia_zip};
use sysforge_testkit::mirror_dir::MirrorDir;
use sysforge_testkit::server::{Fault, Server};

use crate::support::{Bench, LINUX, net};

const ARCHIVE: &str = ".tar.gz";

/// A server with one Julia of about 400 kB, fetched over one connection by default.
struct Fixture {
    server: Server,
    bench: Bench,
    archive: Vec<u8>,
    _mirror: MirrorDir,
}

impl Fixture {
    fn new() -> Self {
        let archive = tiny_julia("1.5.3", 400_000).gz();
        let mut mirror = MirrorDir::new();
        mirror.publish("1.5.3", LINUX, &archive);
        let mut bench = Bench::new();
        bench.network.connections = 1;
        bench.network.range_bytes = 100_000;
        Self {
            server: Server::start(mirror.path()),
            bench,
            archive,
            _mirror: mirror,
        }
    }

    fn in_parts(mut self) -> Self {
        self.bench.network.connections = 4;
        self
    }

    async fn install(&self) -> Result<(), Error> {
        self.bench.install(&self.server.url(), "1").await.map(drop)
    }

    /// Returns the path of the interrupted download.
    fn partial(&self) -> PathBuf {
        let name = Sha256::of(&self.archive).to_string();
        self.bench.store().root().join("partial").join(name)
    }

    /// Simulates a run that died after it had received these bytes.
    fn leave(&self, bytes: &[u8]) {
        let path = MirrorDir::archive_path("1.5.3", LINUX);
        let note = format!(
            r#"{{"url": "{}/{path}", "validator": null}}"#,
            self.server.url()
        );
        let partial = self.partial();
        fs::create_dir_all(partial.parent().unwrap()).unwrap();
        fs::write(partial.with_extension("json"), note).unwrap();
        fs::write(partial, bytes).unwrap();
    }

    /// Returns the requested ranges.
    fn ranges(&self) -> Vec<Option<String>> {
        let seen = self.server.seen(ARCHIVE);
        let ranges = seen.iter().map(|request| request.header("range"));
        ranges.map(|range| range.map(str::to_owned)).collect()
    }

    fn assert_installed(&self) {
        assert_eq!(self.bench.names_in("julia").len(), 1);
        assert!(self.bench.names_in("tmp").is_empty());
        assert!(self.bench.names_in("partial").is_empty());
    }
}

#[tokio::test]
async fn a_complete_partial_download_is_not_requested_again() {
    let fixture = Fixture::new();
    fixture.leave(&fixture.archive);
    fixture.install().await.unwrap();
    assert_eq!(fixture.ranges(), []);
    fixture.assert_installed();
}

#[tokio::test]
async fn a_complete_partial_download_with_a_wrong_digest_restarts() {
    let fixture = Fixture::new();
    fixture.leave(&vec![7; fixture.archive.len()]);
    fixture.install().await.unwrap();
    assert_eq!(fixture.ranges(), [None]);
    fixture.assert_installed();
}

#[tokio::test]
async fn a_partial_download_that_is_too_long_restarts() {
    let fixture = Fixture::new();
    fixture.leave(&[fixture.archive.as_slice(), b"more"].concat());
    fixture.install().await.unwrap();
    assert_eq!(fixture.ranges(), [None]);
    fixture.assert_installed();
}

#[tokio::test]
async fn bytes_without_a_note_are_not_resumed() {
    for note in ["", r#"{"url": "http://elsewhere/x", "validator": null}"#] {
        let fixture = Fixture::new();
        fixture.leave(&fixture.archive[..200_000]);
        fs::write(fixture.partial().with_extension("json"), note).unwrap();
        fixture.install().await.unwrap();
        assert_eq!(fixture.ranges(), [None]);
        fixture.assert_installed();
    }
}

#[tokio::test]
async fn a_server_that_stops_sending_validators_is_asked_for_the_whole_file() {
    let fixture = Fixture::new();
    fixture.server.script(ARCHIVE, [Fault::DropAfter(100_000)]);
    fixture.server.always(ARCHIVE, Fault::Close);
    fixture.install().await.unwrap_err();
    fixture.server.always(ARCHIVE, Fault::Fine);
    fixture.server.set(|behaviour| behaviour.etags = false);
    fixture.install().await.unwrap();
    let ranges = fixture.ranges();
    let last = &ranges[ranges.len() - 2..];
    assert_eq!(last, [Some("bytes=100000-".to_owned()), None]);
    fixture.assert_installed();
}

#[tokio::test]
async fn the_rest_of_a_truncated_range_is_requested() {
    let fixture = Fixture::new().in_parts();
    fixture
        .server
        .script(ARCHIVE, [Fault::Fine, Fault::WrongLength(-50)]);
    fixture.install().await.unwrap();
    // The fifty missing bytes, of either range.
    let made_up = fixture.ranges().into_iter().flatten().any(|range| {
        let (start, end) = range["bytes=".len()..].split_once('-').unwrap();
        let (start, end): (u64, u64) = (start.parse().unwrap(), end.parse().unwrap());
        end + 1 - start == 50
    });
    assert!(made_up, "{:?}", fixture.ranges());
    fixture.assert_installed();
}

#[tokio::test]
async fn a_first_range_that_was_not_asked_for_is_refused() {
    let fixture = Fixture::new().in_parts();
    fixture.server.always(ARCHIVE, Fault::ShiftRange(7));
    let error = fixture.install().await.unwrap_err();
    let Net::WrongRange { detail, .. } = net(&error) else {
        panic!("{error:?}");
    };
    assert_eq!(detail, "from byte 7, not 0");
    assert_eq!(error.class(), Class::Acquire);
    assert!(error.hints()[0].contains("the mirror is at fault"));
    fixture.bench.assert_empty();
}

#[tokio::test]
async fn a_range_refused_as_not_satisfiable_is_requested_again() {
    let fixture = Fixture::new().in_parts();
    fixture.server.set(|behaviour| behaviour.etags = false);
    fixture
        .server
        .script(ARCHIVE, [Fault::Fine, Fault::Status(416, Vec::new())]);
    fixture.install().await.unwrap();
    let ranges = fixture.ranges();
    // The bytes before it are kept; the digest decides.
    let first = Some("bytes=0-99999".to_owned());
    assert_eq!(ranges.iter().filter(|range| **range == first).count(), 1);
    // One more than the ranges that deliver all bytes. Which range is refused, and how far the
    // others got, depends on timing.
    let needed = fixture.archive.len().div_ceil(100_000);
    assert!(ranges.len() > needed, "{needed}: {ranges:?}");
    fixture.assert_installed();
}

#[tokio::test]
async fn a_download_folder_that_is_a_file_is_an_error() {
    let fixture = Fixture::new();
    let root = fixture.bench.store().root().to_owned();
    fs::create_dir_all(&root).unwrap();
    fs::write(root.join("partial"), "in the way").unwrap();
    let error = fixture.install().await.unwrap_err();
    let Error::Io { path, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(*path, root.join("partial"));
    assert!(fixture.bench.names_in("julia").is_empty());
    assert!(fixture.bench.names_in("tmp").is_empty());
}

#[tokio::test]
async fn a_zip_archive_is_installed_from_a_folder_and_from_a_server() {
    let archive = tiny_julia_zip("1.5.3", 100_000);
    let mut mirror = MirrorDir::new();
    let name = MirrorDir::archive_path("1.5.3", LINUX).replace(".tar.gz", ".zip");
    let place = mirror.publish_with("1.5.3", LINUX, &archive, |entry| {
        let url = entry["url"].as_str().unwrap().replace(".tar.gz", ".zip");
        entry.insert("url".to_owned(), url.into());
        entry.insert("extension".to_owned(), "zip".into());
    });
    fs::rename(place, mirror.path().join(name)).unwrap();
    let server = Server::start(mirror.path());
    for source in [mirror.path().to_str().unwrap().to_owned(), server.url()] {
        let bench = Bench::new();
        let julia = bench.install(&source, "1").await.unwrap();
        assert!(julia.executable.is_file());
        assert_eq!(
            fs::metadata(julia.prefix.join("lib/libjulia.so.1"))
                .unwrap()
                .len(),
            100_000
        );
        assert!(bench.names_in("partial").is_empty());
        assert!(bench.names_in("tmp").is_empty());
    }
}

#[tokio::test]
async fn endless_archive_headers_are_an_error() {
    // Skipped headers take no space, but reading them must end.
    let comment = b"18 comment=abcdef\n";
    let header = Tar::new().raw(EntryType::XGlobalHeader, "pax", "", 0o644, comment);
    let header = header.plain()[..1024].to_vec();
    let julia = tiny_julia("1.5.3", 10).plain();
    let tar = [header.repeat(70_000), julia].concat();
    let mut mirror = MirrorDir::new();
    mirror.publish("1.5.3", LINUX, &gzip_best(&tar));
    let bench = Bench::new();
    let source = mirror.path().to_str().unwrap();
    let error = bench.install(source, "1").await.unwrap_err();
    let Error::Unpack { source, .. } = &error else {
        panic!("{error:?}");
    };
    assert!(
        source.to_string().contains("exceeds the limit of"),
        "{source:?}"
    );
    bench.assert_empty();
}
