//! Checks before a download, the runner's tool cache, and nightly builds.

use std::fs;
use std::path::{Path, PathBuf};

use sysforge_acquire::{Error, SignatureError, Store, ToolCache};
use sysforge_plan::catalogue::Choice;
use sysforge_plan::{Class, Explain, JuliaVersion, Triplet};
use sysforge_testkit::archives::tiny_julia;
use sysforge_testkit::mirror_dir::MirrorDir;
use sysforge_testkit::server::Server;

use crate::support::{Bench, LINUX, names};

fn mirror() -> MirrorDir {
    let mut mirror = MirrorDir::new();
    mirror.publish("1.5.3", LINUX, &tiny_julia("1.5.3", 1000).gz());
    mirror
}

fn path(mirror: &MirrorDir) -> &str {
    mirror.path().to_str().unwrap()
}

async fn choice(mirror: &MirrorDir) -> Choice {
    let catalogue = Bench::new().acquirer(path(mirror)).catalogue().await;
    let request = "1.5".parse().unwrap();
    catalogue.unwrap().choose(&request, LINUX).unwrap()
}

/// Returns a store to which nobody can write, not even root: a component of its path is a file.
fn blocked(folder: &Path) -> Store {
    let file = folder.join("file");
    fs::write(&file, "").unwrap();
    Store::open(file.join("store"))
}

#[tokio::test]
async fn may_fetch_refuses_when_offline() {
    let mirror = mirror();
    let server = Server::start(mirror.path());
    let choice = choice(&mirror).await;
    let mut bench = Bench::new();
    bench.acquirer(&server.url()).may_fetch(&choice).unwrap();
    bench.network.offline = true;
    let error = bench
        .acquirer(&server.url())
        .may_fetch(&choice)
        .unwrap_err();
    assert!(matches!(error, Error::Offline { .. }), "{error:?}");
    assert!(error.to_string().starts_with("julia-1.5.3-"), "{error}");
    // Reading from a folder does not need the network.
    bench.acquirer(path(&mirror)).may_fetch(&choice).unwrap();
    assert!(server.seen(".tar.gz").is_empty());
    bench.assert_empty();
}

#[tokio::test]
async fn a_julia_is_not_fetched_if_no_store_is_writable() {
    let mirror = mirror();
    let choice = choice(&mirror).await;
    let bench = Bench::new();
    let folder = tempfile::tempdir().unwrap();
    let store = blocked(folder.path());
    let acquirer = bench.acquirer_with(store.clone(), path(&mirror));
    assert_eq!(acquirer.store().root(), store.root());
    let nowhere = acquirer.clone().with_fallback(store.clone());
    for acquirer in [&acquirer, &nowhere] {
        let error = acquirer.may_fetch(&choice).unwrap_err();
        let Error::ReadOnlyStore { path, .. } = &error else {
            panic!("{error:?}");
        };
        assert_eq!(path, store.root());
        assert_eq!(error.hints().len(), 1);
    }
    let fallback = Store::open(folder.path().join("fallback"));
    let somewhere = acquirer.with_fallback(fallback);
    somewhere.may_fetch(&choice).unwrap();
    assert!(!folder.path().join("fallback").exists());
}

#[tokio::test]
async fn a_tool_cache_that_is_not_writable_is_an_error() {
    let mirror = mirror();
    let choice = choice(&mirror).await;
    let bench = Bench::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let cache = ToolCache::new(file.join("cache"));
    let acquirer = bench.acquirer(path(&mirror)).with_tool_cache(cache, true);
    let error = acquirer.julia(&choice).await.unwrap_err();
    assert!(error.to_string().contains("tool cache"), "{error}");
    // The Julia itself is installed and need not be fetched again.
    let kept = acquirer.installed(&choice).unwrap().unwrap();
    assert!(kept.executable.is_file());
}

#[tokio::test]
async fn the_tool_cache_is_not_used_if_a_signature_is_required() {
    let mirror = mirror();
    let choice = choice(&mirror).await;
    let folder = tempfile::tempdir().unwrap();
    let cache = ToolCache::new(folder.path());
    let mut bench = Bench::new();
    let acquirer = bench.acquirer(path(&mirror));
    let filling = acquirer.with_tool_cache(cache.clone(), true);
    let filled = filling.julia(&choice).await.unwrap();
    assert!(filled.prefix.starts_with(folder.path()));
    fs::remove_dir_all(bench.store().root().join("julia")).unwrap();

    let looking = |bench: &Bench| {
        let acquirer = bench.acquirer("/nowhere");
        acquirer.with_tool_cache(cache.clone(), false)
    };
    let found = looking(&bench).installed(&choice).unwrap().unwrap();
    assert_eq!(found.prefix, filled.prefix);
    bench.signatures.required = true;
    assert!(looking(&bench).installed(&choice).unwrap().is_none());
    let error = looking(&bench).julia(&choice).await.unwrap_err();
    assert!(
        matches!(error, Error::Signature(SignatureError::Missing { .. })),
        "{error:?}"
    );
}

/// Creates a folder with an executable at the path of Julia's own.
fn unpacked_julia(folder: &Path, text: &str) -> PathBuf {
    fs::create_dir_all(folder.join("bin")).unwrap();
    fs::write(folder.join("bin/julia"), text).unwrap();
    folder.to_owned()
}

#[test]
fn an_incomplete_entry_of_the_tool_cache_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let cache = ToolCache::new(folder.path().join("cache"));
    let version = JuliaVersion::new(1, 5, 3);
    let place = folder.path().join("cache/julia/1.5.3/x64");
    // The state that a killed setup-julia leaves: a mark without an executable.
    fs::create_dir_all(place.join("lib")).unwrap();
    fs::write(place.with_extension("complete"), "").unwrap();
    assert_eq!(cache.find(&version, LINUX), None);

    let first = unpacked_julia(&folder.path().join("first"), "first");
    assert_eq!(cache.add(&version, LINUX, &first).unwrap(), place);
    assert!(!place.join("lib").exists());
    let second = unpacked_julia(&folder.path().join("second"), "second");
    assert_eq!(cache.add(&version, LINUX, &second).unwrap(), place);
    assert_eq!(fs::read(place.join("bin/julia")).unwrap(), b"first");
    // There are no unfinished copies.
    assert_eq!(
        names(place.parent().unwrap()),
        [".x64.lock", "x64", "x64.complete"]
    );
}

#[test]
fn the_tool_cache_uses_the_architecture_names_of_runners() {
    let folder = tempfile::tempdir().unwrap();
    let cache = ToolCache::new(folder.path());
    let version = JuliaVersion::new(1, 5, 3);
    for (triplet, arch) in [
        ("i686-linux-gnu", "x86"),
        ("aarch64-linux-gnu", "aarch64"),
        ("aarch64-linux-gnu", "arm64"),
        ("armv7l-linux-gnueabihf", "arm"),
        ("powerpc64le-linux-gnu", "ppc64le"),
    ] {
        let triplet: Triplet = triplet.parse().unwrap();
        let place = unpacked_julia(&folder.path().join("julia/1.5.3").join(arch), "");
        // Not marked complete: another process is still writing it.
        assert_eq!(cache.find(&version, triplet), None, "{arch}");
        fs::write(place.with_extension("complete"), "").unwrap();
        assert_eq!(cache.find(&version, triplet), Some(place.clone()), "{arch}");
        fs::remove_dir_all(place).unwrap();
    }
}

/// Adds a nightly build to a mirror.
fn publish_nightly(mirror: &MirrorDir, filler: usize) {
    let folder = mirror.path().join("bin/linux/x86_64");
    fs::create_dir_all(&folder).unwrap();
    let archive = tiny_julia("1.15.0-DEV", filler).gz();
    fs::write(folder.join("julia-latest-linux-x86_64.tar.gz"), archive).unwrap();
}

#[tokio::test]
async fn nightlies_in_a_folder_are_identified_by_time_and_size() {
    let mirror = mirror();
    publish_nightly(&mirror, 1000);
    let mut bench = Bench::new();
    // A folder is available without a network.
    bench.network.offline = true;
    let acquirer = bench.acquirer(path(&mirror));
    let first = acquirer.nightly(None, LINUX).await.unwrap();
    let again = acquirer.nightly(None, LINUX).await.unwrap();
    assert_eq!((first.reused, again.reused), (false, true));
    assert_eq!(first.prefix, again.prefix);
    publish_nightly(&mirror, 2000);
    let next = acquirer.nightly(None, LINUX).await.unwrap();
    assert!(!next.reused);
    assert_ne!(first.prefix, next.prefix);
    assert!(first.version.is_none());
}

#[tokio::test]
async fn a_nightly_is_refused_if_a_signature_is_required() {
    let mirror = mirror();
    publish_nightly(&mirror, 1000);
    let mut bench = Bench::new();
    bench.signatures.required = true;
    let acquirer = bench.acquirer(path(&mirror));
    let error = acquirer.nightly(None, LINUX).await.unwrap_err();
    assert!(
        matches!(error, Error::Signature(SignatureError::Missing { .. })),
        "{error:?}"
    );
    assert!(error.to_string().contains("nightly builds"), "{error}");
    assert_eq!(error.class(), Class::Acquire);
    bench.assert_empty();
}

#[tokio::test]
async fn a_nightly_that_cannot_be_pinned_is_not_fetched() {
    let mirror = mirror();
    publish_nightly(&mirror, 1000);
    let server = Server::start(mirror.path());
    server.set(|behaviour| behaviour.etags = false);
    let bench = Bench::new();
    let acquirer = bench.acquirer(&server.url());
    let error = acquirer.nightly(None, LINUX).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "no Julia was found for the request `nightly`"
    );
    assert!(
        error.hints()[0].contains("sends no entity tag"),
        "{error:?}"
    );
    assert_eq!(error.class(), Class::Usage);
    bench.assert_empty();
}

#[tokio::test]
async fn a_platform_without_nightlies_is_an_error() {
    let musl: Triplet = "x86_64-linux-musl".parse().unwrap();
    let acquirer = Bench::new().acquirer("/nowhere");
    for error in [
        acquirer.nightly(None, musl).await.unwrap_err(),
        acquirer.installed_nightly(None, musl).unwrap_err(),
    ] {
        assert!(error.to_string().ends_with("for x86_64-linux-musl"));
        assert_eq!(error.class(), Class::Usage);
    }
}

// On Windows, the error is just "not found".
#[cfg(unix)]
#[tokio::test]
async fn a_mirror_that_is_a_file_has_its_own_hint() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let acquirer = Bench::new().acquirer(file.to_str().unwrap());
    let error = acquirer.nightly(None, LINUX).await.unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error:?}");
    assert!(error.hints()[0].contains("name a folder"), "{error:?}");
}
