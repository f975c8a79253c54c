//! Toolchains from a folder of archives: what is found, what is fetched, and the errors. The
//! published archives are not available in tests, so archives made here replace them.

use std::sync::Mutex;

use sysforge_plan::{ArchiveFormat, Class, Event, Explain, toolchain};
use sysforge_testkit::archives::{Tar, zip_of};

use super::*;

/// A store, a folder of archives, and the reported events.
struct Bench {
    folder: tempfile::TempDir,
    events: Arc<Mutex<Vec<Event>>>,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("archives")).unwrap();
        Self {
            folder,
            events: Arc::default(),
        }
    }

    /// Creates an acquirer without a network.
    fn acquirer(&self) -> Acquirer {
        let network = Network {
            offline: true,
            ..Network::default()
        };
        let events = Arc::clone(&self.events);
        Acquirer::new(
            Store::open(self.folder.path().join("store")),
            Mirror::default(),
            network,
            Reporter::new(move |event| events.lock().unwrap().push(event)),
        )
    }

    fn with_archives(&self) -> Acquirer {
        let archives = self.folder.path().join("archives");
        self.acquirer().with_toolchain_archives(archives)
    }

    fn publish(&self, published: &Published, archive: &[u8]) {
        let archives = self.folder.path().join("archives");
        std::fs::write(archives.join(published.file_name()), archive).unwrap();
    }

    /// Installs an archive under the name of a published toolchain, as if its digest were the
    /// pinned one.
    async fn install(&self, published: &Published, archive: &[u8]) -> Result<Installed, Error> {
        self.publish(published, archive);
        let acquirer = self.with_archives();
        let mut wanted = acquirer.wanted_toolchain(published)?;
        wanted.expected = Some(Expected {
            sha256: Sha256::of(archive),
            size: None,
        });
        acquirer.install(&wanted).await
    }

    fn warnings(&self) -> Vec<(String, Option<String>)> {
        let events = self.events.lock().unwrap();
        let warnings = events.iter().filter_map(|event| match event {
            Event::Warning { text, hint } => Some((text.clone(), hint.clone())),
            _ => None,
        });
        warnings.collect()
    }

    fn names_in(&self, folder: &str) -> Vec<String> {
        let folder = self.folder.path().join("store").join(folder);
        let Ok(entries) = std::fs::read_dir(folder) else {
            return Vec::new();
        };
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect()
    }
}

/// Returns a published toolchain with this format.
fn published(format: ArchiveFormat) -> Published {
    let mut all = Published::all().iter();
    *all.find(|row| row.format == format).unwrap()
}

/// Creates a compiler in the folder structure of a published toolchain's archive.
fn tiny_toolchain(published: &Published, content: &[u8]) -> Vec<u8> {
    let folders = "folder/".repeat(published.strip);
    let name = format!("{folders}{}", published.compiler);
    match published.format {
        ArchiveFormat::Zip => zip_of(&[(&name, 0o100_755, content)]),
        _ => Tar::new().file(&name, 0o755, content).gz(),
    }
}

#[tokio::test]
async fn a_toolchain_is_installed_once_and_found_again() {
    for format in [ArchiveFormat::TarGz, ArchiveFormat::Zip] {
        let bench = Bench::new();
        let published = published(format);
        let acquirer = bench.with_archives();
        assert!(acquirer.installed_toolchain(&published).unwrap().is_none());

        let archive = tiny_toolchain(&published, b"compiler");
        let first = bench.install(&published, &archive).await.unwrap();
        assert!(!first.reused);
        let record = first.entry.record().clone();
        assert_eq!(
            (record.version, record.triplet),
            (None, Some(published.target()))
        );
        assert!(
            record
                .signature
                .to_string()
                .contains("pinned by its digest")
        );

        let found = acquirer.installed_toolchain(&published).unwrap().unwrap();
        // This acquirer has neither archives nor a network, so only the store can have it.
        let again = bench.acquirer().toolchain(&published).await.unwrap();
        assert!(found.reused && again.reused);
        assert_eq!(found.prefix, first.entry.prefix());
        assert_eq!(again.compiler, found.prefix.join(published.compiler));
        assert_eq!(std::fs::read(&again.compiler).unwrap(), b"compiler");
        assert!(bench.names_in("tmp").is_empty());
    }
}

#[tokio::test]
async fn a_damaged_toolchain_is_reported_and_not_used() {
    let bench = Bench::new();
    let published = published(ArchiveFormat::TarGz);
    let archive = tiny_toolchain(&published, b"compiler");
    let entry = bench.install(&published, &archive).await.unwrap().entry;
    std::fs::remove_file(entry.prefix().join(published.compiler)).unwrap();
    let acquirer = bench.acquirer();
    assert!(acquirer.installed_toolchain(&published).unwrap().is_none());
    let (text, hint) = bench.warnings().remove(0);
    assert!(text.contains(&entry.id().to_string()), "{text}");
    assert!(text.contains("is damaged"), "{text}");
    assert_eq!(hint.unwrap(), "installing it again replaces it");
}

#[tokio::test]
async fn an_archive_that_is_not_the_published_one_is_refused() {
    let bench = Bench::new();
    let published = published(ArchiveFormat::TarGz);
    bench.publish(&published, &tiny_toolchain(&published, b"another"));
    let error = bench
        .with_archives()
        .toolchain(&published)
        .await
        .unwrap_err();
    let Error::Digest { what, expected, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(what, published.file_name());
    assert_eq!(*expected, published.sha256());
    assert_eq!(error.class(), Class::Acquire);
    assert!(bench.names_in("toolchain").is_empty());
    assert!(bench.names_in("tmp").is_empty());
}

#[tokio::test]
async fn an_archive_without_the_compiler_is_refused() {
    for format in [ArchiveFormat::TarGz, ArchiveFormat::Zip] {
        let bench = Bench::new();
        let published = published(format);
        let mut other = published;
        other.compiler = "README";
        let archive = tiny_toolchain(&other, b"no compiler");
        let error = bench.install(&published, &archive).await.unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with(&format!("does not contain `{}`", published.compiler)),
            "{error}"
        );
        assert!(bench.names_in("toolchain").is_empty());
        assert!(bench.names_in("tmp").is_empty());
    }
}

#[tokio::test]
async fn a_broken_toolchain_archive_leaves_nothing_behind() {
    let bench = Bench::new();
    for format in [
        ArchiveFormat::TarGz,
        ArchiveFormat::Zip,
        ArchiveFormat::SevenZ,
    ] {
        let published = published(format);
        let error = bench.install(&published, b"<html>").await.unwrap_err();
        assert!(matches!(error, Error::Unpack { .. }), "{error:?}");
        assert!(error.to_string().contains(published.file_name()), "{error}");
        assert!(bench.names_in("toolchain").is_empty());
        assert!(bench.names_in("tmp").is_empty());
    }
}

#[tokio::test]
async fn the_error_for_a_missing_toolchain_names_the_places_searched() {
    let bench = Bench::new();
    let published = toolchain::recommended(Triplet::X86_64_W64_MINGW32).unwrap();
    // There is neither a network nor an archive.
    let error = bench.acquirer().toolchain(published).await.unwrap_err();
    assert!(matches!(error, Error::Offline { .. }), "{error:?}");
    assert!(
        error.to_string().starts_with(published.file_name()),
        "{error}"
    );
    // There are archives, but not this one.
    let error = bench
        .with_archives()
        .toolchain(published)
        .await
        .unwrap_err();
    let Error::Io { path, .. } = &error else {
        panic!("{error:?}");
    };
    assert!(path.ends_with(published.file_name()), "{path:?}");
    assert_eq!(error.hints(), ["is the path right?"]);
    assert!(bench.names_in("tmp").is_empty());
}

#[test]
fn an_invalid_address_in_the_table_asks_for_a_bug_report() {
    let bench = Bench::new();
    let mut published = published(ArchiveFormat::TarGz);
    published.url = "no address";
    let error = bench
        .acquirer()
        .installed_toolchain(&published)
        .unwrap_err();
    assert!(error.to_string().contains("no address"), "{error}");
    assert!(error.hints()[0].contains("please report this"));
}
