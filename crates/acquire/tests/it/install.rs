//! Installs from a mirror in a folder, and what failed installs leave behind.

use std::fs;
use std::time::{Duration, UNIX_EPOCH};

use sysforge_acquire::Error;
use sysforge_testkit::archives::{MTIME, Tar, noise, tiny_julia};
use sysforge_testkit::mirror_dir::MirrorDir;

use crate::support::{Bench, LINUX};

fn mirror_with(archive: &[u8]) -> MirrorDir {
    let mut mirror = MirrorDir::new();
    mirror.publish("1.5.3", LINUX, archive);
    mirror
}

#[tokio::test]
async fn an_installed_julia_has_the_modes_times_and_links_of_the_archive() {
    let mirror = mirror_with(&tiny_julia("1.5.3", 3_000_000).gz());
    let bench = Bench::new();
    let julia = bench
        .install(mirror.path().to_str().unwrap(), "1.5")
        .await
        .unwrap();
    assert!(!julia.reused);
    let metadata = fs::metadata(&julia.executable).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(metadata.permissions().mode() & 0o777, 0o755);
    }
    assert_eq!(
        metadata.modified().unwrap(),
        UNIX_EPOCH + Duration::from_secs(MTIME)
    );
    // On Windows it may be a copy.
    #[cfg(unix)]
    assert_eq!(
        fs::read_link(julia.prefix.join("lib/libjulia.so")).unwrap(),
        std::path::Path::new("libjulia.so.1")
    );
    assert_eq!(
        fs::read(julia.prefix.join("lib/libjulia.so.1")).unwrap(),
        noise(3_000_000)
    );
    assert_eq!(bench.names_in("tmp"), Vec::<String>::new());
    assert_eq!(bench.names_in("julia").len(), 1);
}

#[tokio::test]
async fn a_second_install_reuses_the_first() {
    let mirror = mirror_with(&tiny_julia("1.5.3", 1000).gz());
    let mirror = mirror.path().to_str().unwrap().to_owned();
    let bench = Bench::new();
    let first = bench.install(&mirror, "1").await.unwrap();
    let second = bench.install(&mirror, "1.5.3").await.unwrap();
    assert!(second.reused);
    assert_eq!(first.prefix, second.prefix);
}

#[tokio::test]
async fn a_damaged_entry_is_reported_and_fetched_again() {
    let mirror = mirror_with(&tiny_julia("1.5.3", 1000).gz());
    let mirror = mirror.path().to_str().unwrap().to_owned();
    let bench = Bench::new();
    for damage in ["cut", "remove", "rewrite", "unlink"] {
        let julia = bench.install(&mirror, "1").await.unwrap();
        let library = julia.prefix.join("lib/libjulia.so.1");
        match damage {
            "cut" => fs::File::options()
                .write(true)
                .open(&library)
                .unwrap()
                .set_len(10)
                .unwrap(),
            "remove" => fs::remove_file(&library).unwrap(),
            "rewrite" => fs::write(&library, noise(1000)).unwrap(),
            _ => fs::remove_file(julia.prefix.join("lib/libjulia.so")).unwrap(),
        }
        let again = bench.install(&mirror, "1").await.unwrap();
        assert!(!again.reused, "{damage}");
        assert_eq!(fs::read(&library).unwrap(), noise(1000), "{damage}");
        assert!(bench.warnings().last().unwrap().contains("is damaged"));
        assert_eq!(bench.names_in("tmp"), Vec::<String>::new());
    }
}

#[tokio::test]
async fn wrong_bytes_leave_nothing_behind() {
    let archive = tiny_julia("1.5.3", 100_000).gz();
    for (name, wrong) in [
        ("changed", {
            let mut wrong = archive.clone();
            wrong[50_000] ^= 1;
            wrong
        }),
        ("short", archive[..archive.len() - 10].to_vec()),
        ("long", [archive.as_slice(), b"more"].concat()),
        ("empty", Vec::new()),
    ] {
        let mut mirror = MirrorDir::new();
        let place = mirror.publish("1.5.3", LINUX, &archive);
        fs::write(place, wrong).unwrap();
        let bench = Bench::new();
        let error = bench
            .install(mirror.path().to_str().unwrap(), "1")
            .await
            .unwrap_err();
        assert!(
            matches!(error, Error::Digest { .. } | Error::Size { .. }),
            "{name}: {error:?}"
        );
        bench.assert_empty();
    }
}

#[tokio::test]
async fn an_archive_without_a_julia_or_with_a_path_outside_leaves_nothing_behind() {
    for archive in [
        Tar::new().file("julia-1.5.3/README", 0o644, b"").gz(),
        tiny_julia("1.5.3", 10)
            .file("julia-1.5.3/../../outside", 0o644, b"")
            .gz(),
    ] {
        let mirror = mirror_with(&archive);
        let bench = Bench::new();
        let error = bench
            .install(mirror.path().to_str().unwrap(), "1")
            .await
            .unwrap_err();
        assert!(
            matches!(error, Error::MissingFile { .. } | Error::Unpack { .. }),
            "{error:?}"
        );
        bench.assert_empty();
    }
}
