//! Downloads that are taken up again, and answers that fit no question: what an earlier run left
//! is used if it is right, and dropped if not.

use std::fs;
use std::path::PathBuf;

use sha2::{Digest, Sha256};
use sysforge_acquire::Error;
use sysforge_net::Error as Net;
use sysforge_plan::{Class, Explain};
use sysforge_testkit::archives::{EntryType, Tar, gzip_best, tiny_julia, tiny_julia_zip};
use sysforge_testkit::mirror_dir::MirrorDir;
use sysforge_testkit::server::{Fault, Server};

use crate::support::{Bench, LINUX, net};

const ARCHIVE: &str = ".tar.gz";

/// A server with one Julia of about 400 kB, fetched over one connection unless told otherwise.
struct Scene {
    server: Server,
    bench: Bench,
    archive: Vec<u8>,
    _mirror: MirrorDir,
}

impl Scene {
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

    /// Where the bytes of an interrupted download lie.
    fn partial(&self) -> PathBuf {
        let digest = Sha256::digest(&self.archive);
        let name: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        self.bench.store().root().join("partial").join(name)
    }

    /// As if a run had died when it had these bytes.
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

    /// Which ranges were asked for.
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
async fn a_download_that_was_whole_when_its_run_died_is_not_asked_for_again() {
    let scene = Scene::new();
    scene.leave(&scene.archive);
    scene.install().await.unwrap();
    assert_eq!(scene.ranges(), []);
    scene.assert_installed();
}

#[tokio::test]
async fn a_download_that_was_whole_and_wrong_begins_anew() {
    let scene = Scene::new();
    scene.leave(&vec![7; scene.archive.len()]);
    scene.install().await.unwrap();
    assert_eq!(scene.ranges(), [None]);
    scene.assert_installed();
}

#[tokio::test]
async fn a_download_that_is_longer_than_its_file_begins_anew() {
    let scene = Scene::new();
    scene.leave(&[scene.archive.as_slice(), b"more"].concat());
    scene.install().await.unwrap();
    assert_eq!(scene.ranges(), [None]);
    scene.assert_installed();
}

#[tokio::test]
async fn bytes_whose_origin_nobody_noted_are_not_gone_on_from() {
    for note in ["", r#"{"url": "http://elsewhere/x", "validator": null}"#] {
        let scene = Scene::new();
        scene.leave(&scene.archive[..200_000]);
        fs::write(scene.partial().with_extension("json"), note).unwrap();
        scene.install().await.unwrap();
        assert_eq!(scene.ranges(), [None]);
        scene.assert_installed();
    }
}

#[tokio::test]
async fn a_server_that_no_longer_says_which_file_it_has_is_asked_for_the_whole() {
    let scene = Scene::new();
    scene.server.script(ARCHIVE, [Fault::DropAfter(100_000)]);
    scene.server.always(ARCHIVE, Fault::Close);
    scene.install().await.unwrap_err();
    scene.server.always(ARCHIVE, Fault::Fine);
    scene.server.set(|manners| manners.etags = false);
    scene.install().await.unwrap();
    let ranges = scene.ranges();
    let last = &ranges[ranges.len() - 2..];
    assert_eq!(last, [Some("bytes=100000-".to_owned()), None]);
    scene.assert_installed();
}

#[tokio::test]
async fn a_range_that_ends_too_early_is_made_up_for() {
    let scene = Scene::new().in_parts();
    scene
        .server
        .script(ARCHIVE, [Fault::Fine, Fault::WrongLength(-50)]);
    scene.install().await.unwrap();
    // The fifty bytes that were missing, of whichever range it was.
    let made_up = scene.ranges().into_iter().flatten().any(|range| {
        let (start, end) = range["bytes=".len()..].split_once('-').unwrap();
        let (start, end): (u64, u64) = (start.parse().unwrap(), end.parse().unwrap());
        end + 1 - start == 50
    });
    assert!(made_up, "{:?}", scene.ranges());
    scene.assert_installed();
}

#[tokio::test]
async fn a_first_range_that_was_not_asked_for_is_refused() {
    let scene = Scene::new().in_parts();
    scene.server.always(ARCHIVE, Fault::ShiftRange(7));
    let error = scene.install().await.unwrap_err();
    let Net::WrongRange { detail, .. } = net(&error) else {
        panic!("{error:?}");
    };
    assert_eq!(detail, "from byte 7, not 0");
    assert_eq!(error.class(), Class::Acquire);
    assert!(error.hints()[0].contains("the mirror is at fault"));
    scene.bench.assert_empty();
}

#[tokio::test]
async fn a_range_that_the_server_says_it_does_not_have_is_asked_for_again() {
    let scene = Scene::new().in_parts();
    scene.server.set(|manners| manners.etags = false);
    scene
        .server
        .script(ARCHIVE, [Fault::Fine, Fault::Status(416, Vec::new())]);
    scene.install().await.unwrap();
    let ranges = scene.ranges();
    // What came before it is kept, though its digest has the last word.
    let first = Some("bytes=0-99999".to_owned());
    assert_eq!(ranges.iter().filter(|range| **range == first).count(), 1);
    // One more than bring all bytes. Which one was refused, and how far beyond it the others were,
    // is up to chance.
    let needed = scene.archive.len().div_ceil(100_000);
    assert!(ranges.len() > needed, "{needed}: {ranges:?}");
    scene.assert_installed();
}

#[tokio::test]
async fn a_place_for_downloads_that_is_none_is_said() {
    let scene = Scene::new();
    let root = scene.bench.store().root().to_owned();
    fs::create_dir_all(&root).unwrap();
    fs::write(root.join("partial"), "in the way").unwrap();
    let error = scene.install().await.unwrap_err();
    let Error::Io { path, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(*path, root.join("partial"));
    assert!(scene.bench.names_in("julia").is_empty());
    assert!(scene.bench.names_in("tmp").is_empty());
}

#[tokio::test]
async fn a_julia_that_is_packed_as_zip_is_installed_from_folder_and_server() {
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
async fn headers_without_end_are_cut_off() {
    // What is skipped takes no space, but it must not take for ever.
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
        source.to_string().contains("unpacks to more than"),
        "{source:?}"
    );
    bench.assert_empty();
}
