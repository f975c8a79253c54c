//! The store and the tool cache: waiting for locks, pruning, and stores that are not writable.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use sysforge_acquire::store::PruneRules;
use sysforge_acquire::{Error, Store, ToolCache};
use sysforge_plan::{Class, Explain};
use sysforge_testkit::archives::tiny_julia;
use sysforge_testkit::mirror_dir::MirrorDir;
use sysforge_testkit::server::Server;

use crate::support::{Bench, LINUX};

fn mirror() -> MirrorDir {
    let mut mirror = MirrorDir::new();
    for version in ["1.5.3", "1.6.7"] {
        mirror.publish(version, LINUX, &tiny_julia(version, 100_000).gz());
    }
    mirror
}

fn path(mirror: &MirrorDir) -> &str {
    mirror.path().to_str().unwrap()
}

/// Rules that remove everything.
const ALL: PruneRules = PruneRules {
    unused_for: Some(Duration::ZERO),
    keep_bytes: None,
};

#[tokio::test]
async fn prune_removes_by_age_and_size_except_entries_in_use() {
    let mirror = mirror();
    let bench = Bench::new();
    let store = bench.store();
    let old = bench.install(path(&mirror), "1.5").await.unwrap();
    let new = bench.install(path(&mirror), "1.6").await.unwrap();
    let now = SystemTime::now();

    // Both are in use by this test.
    let pruned = store.prune(ALL, now).unwrap();
    assert_eq!((pruned.removed.len(), pruned.in_use.len()), (0, 2));
    assert!(old.executable.is_file());

    // Unused, but neither old nor over the size limit.
    drop(old);
    drop(new);
    let rules = PruneRules {
        unused_for: Some(Duration::from_secs(3600)),
        keep_bytes: Some(1 << 30),
    };
    assert!(store.prune(rules, now).unwrap().removed.is_empty());

    // Over the limit: the least recently used entry is removed.
    let again = bench.install(path(&mirror), "1.5").await.unwrap();
    drop(again);
    let rules = PruneRules {
        unused_for: None,
        keep_bytes: Some(150_000),
    };
    let removed = store.prune(rules, now).unwrap().removed;
    assert_eq!(removed.len(), 1);
    assert!(removed[0].name().starts_with("1.6.7"), "{removed:?}");

    // Old, with a clock one hour ahead.
    let rules = PruneRules {
        unused_for: Some(Duration::from_secs(3600)),
        keep_bytes: None,
    };
    let later = now + Duration::from_secs(7200);
    assert_eq!(store.prune(rules, later).unwrap().removed.len(), 1);
    assert!(bench.names_in("julia").is_empty());
    assert!(bench.names_in("tmp").is_empty());
}

#[tokio::test]
async fn an_entry_named_by_its_path_can_be_leased() {
    let mirror = mirror();
    let bench = Bench::new();
    let acquirer = bench.acquirer(path(&mirror));
    let julia = bench.install(path(&mirror), "1.5").await.unwrap();
    let program = julia.executable.clone();
    drop(julia);
    let held = acquirer.hold(&program).unwrap().unwrap();
    let now = SystemTime::now();
    assert_eq!(bench.store().prune(ALL, now).unwrap().in_use.len(), 1);
    drop(held);
    assert_eq!(bench.store().prune(ALL, now).unwrap().removed.len(), 1);
    // Paths that do not exist or are outside of the store have no entry.
    assert!(acquirer.hold(&program).unwrap().is_none());
    assert!(acquirer.hold(mirror.path()).unwrap().is_none());
    assert!(acquirer.hold(bench.store().root()).unwrap().is_none());
}

#[tokio::test]
async fn a_lookup_reports_a_damaged_entry() {
    let mirror = mirror();
    let bench = Bench::new();
    let acquirer = bench.acquirer(path(&mirror));
    let catalogue = acquirer.catalogue().await.unwrap();
    let choice = catalogue.choose(&"1.5".parse().unwrap(), LINUX).unwrap();
    assert!(acquirer.installed(&choice).unwrap().is_none());
    let julia = acquirer.julia(&choice).await.unwrap();
    fs::remove_file(julia.prefix.join("lib/libjulia.so.1")).unwrap();
    assert!(acquirer.installed(&choice).unwrap().is_none());
    assert!(bench.warnings()[0].contains("(`lib/libjulia.so.1` is missing)"));
}

#[tokio::test]
async fn a_reader_does_not_wait_for_an_install() {
    let mirror = mirror();
    let bench = Bench::new();
    drop(bench.install(path(&mirror), "1.5").await.unwrap());
    // Simulates another process that is installing the same entry.
    let locks = bench.store().root().join("locks");
    let held: Vec<_> = fs::read_dir(locks)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "lock"))
        .map(|path| {
            let file = fs::File::options().write(true).open(path).unwrap();
            file.lock().unwrap();
            file
        })
        .collect();
    assert!(!held.is_empty());
    let reading = bench.install(path(&mirror), "1.5");
    let read = tokio::time::timeout(Duration::from_secs(60), reading).await;
    assert!(read.expect("it does not wait").unwrap().reused);
}

#[tokio::test]
async fn a_list_shows_damage_and_a_deep_list_reads_every_byte() {
    let mirror = mirror();
    let bench = Bench::new();
    let julia = bench.install(path(&mirror), "1.5").await.unwrap();
    let library = julia.prefix.join("lib/libjulia.so.1");
    let time = fs::metadata(&library).unwrap().modified().unwrap();
    // Simulates a disk error: a different byte, with the same size and time.
    let mut bytes = fs::read(&library).unwrap();
    bytes[500] ^= 1;
    fs::write(&library, bytes).unwrap();
    fs::File::options()
        .write(true)
        .open(&library)
        .unwrap()
        .set_modified(time)
        .unwrap();
    let store = bench.store();
    assert!(store.list(false).unwrap()[0].state.is_ok());
    let damage = store.list(true).unwrap()[0].state.clone().unwrap_err();
    assert_eq!(
        damage.to_string(),
        "`lib/libjulia.so.1` has different content"
    );
}

#[tokio::test]
async fn a_store_that_is_not_writable_is_an_error_or_the_fallback_is_used() {
    let mirror = mirror();
    let bench = Bench::new();
    let folder = tempfile::tempdir().unwrap();
    // A file where a folder should be: not even root can create files in it.
    let blocked = folder.path().join("file");
    fs::write(&blocked, "").unwrap();
    let acquirer = bench.acquirer_with(Store::open(blocked.join("store")), path(&mirror));
    let catalogue = acquirer.catalogue().await.unwrap();
    let choice = catalogue.choose(&"1.5".parse().unwrap(), LINUX).unwrap();
    let error = acquirer.julia(&choice).await.unwrap_err();
    assert!(matches!(error, Error::ReadOnlyStore { .. }), "{error:?}");

    let fallback = Store::open(folder.path().join("fallback"));
    let acquirer = acquirer.with_fallback(fallback);
    let julia = acquirer.julia(&choice).await.unwrap();
    assert!(julia.prefix.starts_with(folder.path().join("fallback")));
    assert!(bench.warnings()[0].contains("cannot be written to"));
    assert!(acquirer.installed(&choice).unwrap().is_some());
}

/// A mounted file system, unmounted on drop.
struct Mount<'a>(&'a Path);

impl<'a> Mount<'a> {
    /// Mounts a file system; returns `None` if this user may not mount.
    fn new(place: &'a Path, options: &[&str]) -> Option<Self> {
        let done = Command::new("mount").args(options).arg(place).output();
        done.ok()
            .filter(|output| output.status.success())
            .map(|_| Self(place))
    }
}

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).output();
    }
}

#[tokio::test]
async fn entries_of_a_read_only_store_are_used() {
    let mirror = mirror();
    let bench = Bench::new();
    drop(bench.install(path(&mirror), "1.5").await.unwrap());
    let root = bench.store().root().to_owned();
    let source = root.to_str().unwrap();
    let Some(_mount) = Mount::new(&root, &["--bind", "-o", "ro", source]) else {
        sysforge_testkit::skip("this user may not mount");
        return;
    };
    let julia = bench.install(path(&mirror), "1.5").await.unwrap();
    assert!(julia.reused);
    let error = bench.install(path(&mirror), "1.6").await.unwrap_err();
    assert!(matches!(error, Error::ReadOnlyStore { .. }), "{error:?}");
    assert_eq!(error.class(), Class::Machine);
    assert!(error.hints()[0].contains("--store"));
}

#[tokio::test]
async fn a_full_disk_leaves_no_incomplete_entry() {
    let mirror = mirror();
    let server = Server::start(mirror.path());
    for source in [path(&mirror).to_owned(), server.url()] {
        let bench = Bench::new();
        let root = bench.store().root().to_owned();
        fs::create_dir_all(&root).unwrap();
        let options = ["-t", "tmpfs", "-o", "size=64k", "tmpfs"];
        let Some(_mount) = Mount::new(&root, &options) else {
            sysforge_testkit::skip("this user may not mount");
            return;
        };
        let error = bench.install(&source, "1.5").await.unwrap_err();
        assert_eq!(error.class(), Class::Machine, "{error:?}");
        assert!(error.hints()[0].contains("free some space"), "{error:?}");
        assert!(bench.names_in("julia").is_empty());
        assert!(bench.names_in("tmp").is_empty());
    }
}

#[tokio::test]
async fn the_tool_cache_is_read_and_filled() {
    let mirror = mirror();
    let bench = Bench::new();
    let folder = tempfile::tempdir().unwrap();
    let cache = ToolCache::new(folder.path());
    let acquirer = bench
        .acquirer(path(&mirror))
        .with_tool_cache(cache.clone(), true);
    let catalogue = acquirer.catalogue().await.unwrap();
    let choice = catalogue.choose(&"1.5".parse().unwrap(), LINUX).unwrap();
    let julia = acquirer.julia(&choice).await.unwrap();
    let place = folder.path().join("julia/1.5.3/x64");
    assert_eq!(julia.executable, place.join("bin/julia"));
    assert_eq!(julia.prefix, place);
    assert!(folder.path().join("julia/1.5.3/x64.complete").is_file());
    // On Windows it may be a copy.
    #[cfg(unix)]
    assert_eq!(
        fs::read_link(place.join("lib/libjulia.so")).unwrap(),
        Path::new("libjulia.so.1")
    );

    // Simulates another machine image, with an empty store.
    let other = Bench::new();
    let acquirer = other
        .acquirer("/nowhere")
        .with_tool_cache(cache.clone(), false);
    let julia = acquirer.julia(&choice).await.unwrap();
    assert!(julia.reused);
    assert_eq!(julia.prefix, place);
    assert!(julia.signature.to_string().contains("tool cache"));

    // setup-julia marks an entry complete before it unpacks.
    fs::remove_file(place.join("bin/julia")).unwrap();
    assert!(cache.find(&choice.version, LINUX).is_none());
}

#[tokio::test]
async fn nightlies_are_pinned_by_their_entity_tag() {
    let mirror = mirror();
    let folder = mirror.path().join("bin/linux/x86_64");
    fs::create_dir_all(&folder).unwrap();
    let archive = folder.join("julia-latest-linux-x86_64.tar.gz");
    fs::write(&archive, tiny_julia("1.15.0-DEV", 1000).gz()).unwrap();
    let server = Server::start(mirror.path());
    let bench = Bench::new();
    let acquirer = bench.acquirer(&server.url());
    let first = acquirer.nightly(None, LINUX).await.unwrap();
    let second = acquirer.nightly(None, LINUX).await.unwrap();
    assert!(!first.reused && second.reused);
    // The next nightly build.
    fs::write(&archive, tiny_julia("1.15.0-DEV", 2000).gz()).unwrap();
    let third = acquirer.nightly(None, LINUX).await.unwrap();
    assert!(!third.reused);
    assert_ne!(first.prefix, third.prefix);

    // The last one is found by its address and used offline.
    let found = acquirer.installed_nightly(None, LINUX).unwrap().unwrap();
    assert_eq!(found.prefix, third.prefix);
    assert!(
        acquirer
            .installed_nightly(Some((1, 14)), LINUX)
            .unwrap()
            .is_none()
    );
    let mut offline = bench;
    offline.network.offline = true;
    let acquirer = offline.acquirer(&server.url());
    let kept = acquirer.nightly(None, LINUX).await.unwrap();
    assert_eq!(kept.prefix, third.prefix);
    let error = acquirer.nightly(Some((1, 14)), LINUX).await.unwrap_err();
    assert!(matches!(error, Error::Offline { .. }), "{error:?}");
}

#[tokio::test]
async fn a_branch_without_nightlies_is_an_error() {
    let mirror = mirror();
    let server = Server::start(mirror.path());
    let bench = Bench::new();
    for source in [path(&mirror).to_owned(), server.url()] {
        let acquirer = bench.acquirer(&source);
        let error = acquirer.nightly(Some((1, 5)), LINUX).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "no Julia was found for the request `1.5-nightly`"
        );
        assert!(error.hints()[0].contains("newest release branches"));
    }
}

#[tokio::test]
async fn concurrent_installs_share_one_download() {
    let mirror = mirror();
    let server = Server::start(mirror.path());
    server.set(|behaviour| behaviour.ranges = false);
    let bench = Bench::new();
    let url = server.url();
    let (a, b, c) = tokio::join!(
        bench.install(&url, "1.5"),
        bench.install(&url, "1.5"),
        bench.install(&url, "1.5")
    );
    let reused: Vec<_> = [a, b, c].map(|julia| julia.unwrap().reused).to_vec();
    assert_eq!(reused.iter().filter(|reused| !**reused).count(), 1);
    assert_eq!(server.seen(".tar.gz").len(), 1);
}
