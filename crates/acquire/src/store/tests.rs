//! Records of entries, and how damage to entries is detected.

use std::time::SystemTime;

use sysforge_plan::Sha256;
use sysforge_plan::signing::SignatureCheck;

use super::*;
use sysforge_archive::{Item, Kind, Listing};

/// Creates a complete entry from one file in a folder.
pub(super) fn seal_file(tree: &Path, name: &str, text: &str) {
    fs::write(tree.join(name), text).unwrap();
    let modified = fs::metadata(tree.join(name)).unwrap().modified().unwrap();
    let modified = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let item = Item {
        kind: Kind::File {
            size: text.len() as u64,
            crc32: crc32fast::hash(text.as_bytes()),
        },
        modified: modified.as_secs(),
    };
    seal_listing(tree, &Listing::from([(name.to_owned(), item)]));
}

/// Creates an entry from a folder with any content.
fn seal_listing(tree: &Path, listing: &Listing) {
    seal_text(tree, &write_listing(listing), SCHEMA);
}

fn seal_text(tree: &Path, listing: &str, schema: u32) {
    let record = Record {
        schema,
        source: "https://host/gcc.zip".to_owned(),
        sha256: Sha256::new([7; 32]),
        size: 100,
        signature: SignatureCheck::NotChecked {
            reason: "pinned by its digest".to_owned(),
        },
        version: None,
        triplet: None,
        unpacked_bytes: 100,
        listing: Sha256::of(listing),
    };
    seal(tree, &record, listing).unwrap();
}

fn toolchain() -> EntryId {
    EntryId::toolchain("gcc-14", &Sha256::new([7; 32]))
}

/// Returns a store with one toolchain of one file.
fn store_with_one() -> (tempfile::TempDir, Store, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path());
    let entry_dir = store.entry_dir(&toolchain());
    fs::create_dir_all(&entry_dir).unwrap();
    seal_file(&entry_dir, "gcc", "a compiler");
    (folder, store, entry_dir)
}

/// Returns the damage found by a quick and by a deep check; empty if there is none.
fn damage_of(store: &Store) -> (String, String) {
    let says = |deeply| {
        let listed = store.list(deeply).unwrap().remove(0);
        listed
            .state
            .map_or_else(|damage| damage.to_string(), |_| String::new())
    };
    (says(false), says(true))
}

fn listing() -> Listing {
    let item = |kind| Item {
        kind,
        modified: 1_700_000_000,
    };
    let file = Kind::File {
        size: 5,
        crc32: 0xabcd,
    };
    let link = Kind::Link {
        target: "a file".to_owned(),
    };
    Listing::from([
        ("a file".to_owned(), item(file)),
        ("lib".to_owned(), item(Kind::Folder)),
        ("lib/ü → x".to_owned(), item(link)),
    ])
}

#[test]
fn a_written_listing_is_read_back_unchanged() {
    let written = write_listing(&listing());
    assert_eq!(entry::read_listing(&written), Some(listing()));
    for wrong in [
        "x\t1\t\t\tname",
        "f\t1\t5\tzz\tname",
        "f\t1\t5",
        "d\t-1\t\t\tname",
    ] {
        assert_eq!(entry::read_listing(wrong), None, "{wrong:?}");
    }
}

#[test]
fn the_name_of_an_entry_has_its_kind_version_platform_and_digest() {
    let digest = sysforge_plan::Sha256::new([0x1f; 32]);
    let julia = EntryId::julia(
        &"1.12.7".parse().unwrap(),
        sysforge_plan::Triplet::X86_64_LINUX_GNU,
        &digest,
    );
    assert_eq!(
        julia.to_string(),
        "julia/1.12.7-x86_64-linux-gnu-1f1f1f1f1f1f"
    );
    assert_eq!(julia.temporary_prefix(), "1f1f1f1f1f1f.");
}

#[test]
fn an_entry_without_its_record_is_damaged_and_can_be_removed() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path());
    let id = EntryId::existing("julia", "1.5.3-x-0123".to_owned());
    assert!(matches!(store.lookup(&id).unwrap(), Lookup::Absent));
    let entry_dir = store.entry_dir(&id);
    fs::create_dir_all(&entry_dir).unwrap();
    for (name, text, says) in [
        ("other", "", "`.sysforge.json` is missing"),
        (".sysforge.json", "{", "`.sysforge.json` cannot be read"),
    ] {
        fs::write(entry_dir.join(name), text).unwrap();
        let Lookup::Damaged(damage) = store.lookup(&id).unwrap() else {
            panic!("{name}");
        };
        assert_eq!(damage.to_string(), says);
    }
    assert!(store.remove_unused(&id).unwrap());
    assert!(matches!(store.lookup(&id).unwrap(), Lookup::Absent));
}

#[test]
fn changes_to_an_entry_are_reported() {
    let whole = store_with_one();
    assert_eq!(damage_of(&whole.1), (String::new(), String::new()));
    let item = |kind| Item { kind, modified: 0 };
    let link = item(Kind::Link {
        target: "gcc".to_owned(),
    });
    let (cc, lib) = ("cc".to_owned(), "lib".to_owned());
    for (change, says) in [
        (
            &(|entry_dir: &Path| seal_text(entry_dir, "", 2)) as &dyn Fn(&Path),
            "`.sysforge.json` was written by another version of Sysforge",
        ),
        (
            &|entry_dir| fs::remove_file(entry_dir.join(".sysforge-files")).unwrap(),
            "`.sysforge-files` is missing",
        ),
        (
            &|entry_dir| fs::write(entry_dir.join(".sysforge-files"), "d\t0\t\t\tgcc\n").unwrap(),
            "`.sysforge-files` was changed",
        ),
        (
            &|entry_dir| seal_text(entry_dir, "no list\n", SCHEMA),
            "`.sysforge-files` cannot be read",
        ),
        (
            &|entry_dir| fs::write(entry_dir.join("gcc"), "another one").unwrap(),
            "`gcc` has a different size",
        ),
        (
            &|entry_dir| {
                let long_ago = filetime::FileTime::from_unix_time(1, 0);
                filetime::set_file_mtime(entry_dir.join("gcc"), long_ago).unwrap();
            },
            "`gcc` was changed",
        ),
        (
            &|entry_dir| {
                fs::remove_file(entry_dir.join("gcc")).unwrap();
                fs::create_dir(entry_dir.join("gcc")).unwrap();
            },
            "`gcc` is no longer a file",
        ),
        (
            &|entry_dir| {
                fs::write(entry_dir.join("cc"), "").unwrap();
                seal_listing(entry_dir, &Listing::from([(cc.clone(), link.clone())]));
            },
            "`cc` is a different link",
        ),
        (
            &|entry_dir| {
                fs::write(entry_dir.join("lib"), "").unwrap();
                seal_listing(
                    entry_dir,
                    &Listing::from([(lib.clone(), item(Kind::Folder))]),
                );
            },
            "`lib` is no longer a folder",
        ),
    ] {
        let (_folder, store, entry_dir) = store_with_one();
        change(&entry_dir);
        assert_eq!(damage_of(&store), (says.to_owned(), says.to_owned()));
        assert!(!store.has(&toolchain()), "{says}");
    }
}

#[test]
fn a_damaged_entry_counts_with_its_size_on_disk() {
    let (_folder, store, entry_dir) = store_with_one();
    assert_eq!(store.list(false).unwrap()[0].bytes, 100);
    fs::remove_file(entry_dir.join(".sysforge.json")).unwrap();
    fs::create_dir(entry_dir.join("lib")).unwrap();
    fs::write(entry_dir.join("lib/libgcc.a"), [0; 5000]).unwrap();
    let listing = fs::metadata(entry_dir.join(".sysforge-files"))
        .unwrap()
        .len();
    let files = 5000 + "a compiler".len() as u64 + listing;
    assert_eq!(store.list(false).unwrap()[0].bytes, files);
    // A file where an entry's folder should be counts as damaged, with size 0.
    let name = "file-0123456789ab";
    fs::write(store.root().join("toolchain").join(name), "").unwrap();
    let listed = store.list(false).unwrap();
    let file = listed.iter().find(|one| one.id.name() == name).unwrap();
    assert_eq!((file.bytes, file.state.is_err()), (0, true));
}

#[test]
fn an_entry_that_is_being_created_or_removed_is_not_touched() {
    let (_folder, store, entry_dir) = store_with_one();
    let id = toolchain();
    let LockAttempt::Got(lock) = store.try_lock(&id).unwrap() else {
        panic!("nobody else has it");
    };
    assert!(!store.remove_unused(&id).unwrap());
    assert!(entry_dir.join("gcc").is_file());
    drop(lock);

    let LockAttempt::Got(use_lock) = try_exclusive(&store.use_file(&id)).unwrap() else {
        panic!("nobody else has it");
    };
    assert!(matches!(store.lookup(&id).unwrap(), Lookup::Absent));
    assert!(store.hold(&entry_dir.join("gcc")).unwrap().is_none());
    drop(use_lock);
    assert!(store.remove_unused(&id).unwrap());
    assert!(!entry_dir.exists());
}

#[test]
fn leftovers_of_a_killed_install_are_removed_by_the_next_install_of_the_same_entry() {
    let (_folder, store, _) = store_with_one();
    let left = store.temporary(&toolchain()).unwrap().keep();
    fs::write(left.join("half"), "half").unwrap();
    let other = EntryId::toolchain("gcc-15", &Sha256::new([8; 32]));
    let others = store.temporary(&other).unwrap().keep();
    drop(store.try_lock(&toolchain()).unwrap());
    assert!(!left.exists());
    // Another process may be unpacking it.
    assert!(others.exists());
}

#[test]
fn prune_removes_leftovers_only_when_they_are_old() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path());
    let download = format!("partial/{}", "ab".repeat(32));
    let of_process = format!("{download}-123");
    let leftovers = [
        download.as_str(),
        &of_process,
        "partial/nightly-x86_64-linux-gnu-0123456789ab.json",
        "making/1.5.3-x86_64-linux-gnu-0123456789ab/sys.ji",
        "making/1.5.3-x86_64-linux-gnu-0123456789ab-77/sys.ji",
        "tmp/0123456789ab.Ab1d/bin",
        "tmp/depot.Ab1dEf/old",
    ];
    // A folder that was named by mistake may contain folders of these names.
    let others = [
        "partial/thesis",
        "making/of/film",
        "tmp/notes.txt",
        "tmp/1f.abcd/x",
        "julia/base/x",
        "julia/my-julia/x",
        "toolchain/gcc-15/x",
        "depot/x",
    ];
    for name in leftovers.into_iter().chain(others) {
        let file = folder.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, "left").unwrap();
    }
    let day = Duration::from_secs(24 * 3600);
    for (days, there) in [(6, true), (8, false)] {
        let now = SystemTime::now() + days * day;
        let pruned = store.prune(PruneRules::default(), now).unwrap();
        assert_eq!(pruned, Pruned::default());
        for name in leftovers {
            assert_eq!(folder.path().join(name).exists(), there, "{name}");
        }
    }
    let all = PruneRules {
        unused_for: Some(Duration::ZERO),
        keep_bytes: Some(0),
    };
    let now = SystemTime::now() + 8 * day;
    assert_eq!(store.prune(all, now).unwrap(), Pruned::default());
    for name in others {
        assert!(folder.path().join(name).exists(), "{name}");
    }
}

#[test]
fn a_store_that_cannot_be_read_says_which_part_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path());
    fs::write(folder.path().join("julia"), "").unwrap();
    let error = store.list(false).unwrap_err();
    assert!(error.to_string().starts_with("cannot read `"), "{error}");
    assert!(error.to_string().ends_with("julia`"), "{error}");
    // A lookup by name returns nothing.
    let id = EntryId::existing("julia", "1.5.3".to_owned());
    assert!(matches!(store.lookup(&id).unwrap(), Lookup::Absent));
    #[cfg(unix)]
    {
        let hints = sysforge_plan::Explain::hints(&error);
        assert!(hints[0].contains("name a folder"));
        fs::create_dir(folder.path().join("toolchain")).unwrap();
        let id = EntryId::existing("toolchain", "long".repeat(100));
        let error = store.lookup(&id).err().unwrap();
        assert!(matches!(error, Error::Io { doing: "read", .. }));
    }
}

#[test]
fn an_entry_is_found_by_its_source() {
    let (_folder, store, entry_dir) = store_with_one();
    let Lookup::Whole(entry) = store.lookup(&toolchain()).unwrap() else {
        panic!("it is whole");
    };
    assert_eq!(entry.id().to_string(), "toolchain/gcc-14-070707070707");
    assert_eq!(
        (entry.id().kind(), entry.prefix()),
        ("toolchain", &*entry_dir)
    );
    assert_eq!(entry.record().source, "https://host/gcc.zip");
    let found = store.newest_from("https://host/gcc.zip").unwrap();
    assert_eq!(found.unwrap().id(), entry.id());
    assert!(store.newest_from("https://elsewhere").unwrap().is_none());
}

#[test]
fn looking_for_an_entry_and_asking_for_write_access_leave_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().join("store"));
    let id = EntryId::toolchain("gcc", &Sha256::new([7; 32]));
    assert!(matches!(store.lookup(&id).unwrap(), Lookup::Absent));
    store.check_writable().unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
