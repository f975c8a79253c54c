//! What entries say about themselves, and what becomes of that when someone meddles.

use super::*;
use crate::unpack::{Item, Kind, Listing};

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
fn a_list_of_files_is_read_as_it_was_written() {
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
fn names_of_entries_tell_what_they_are() {
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
    let place = store.entry_dir(&id);
    fs::create_dir_all(&place).unwrap();
    for (name, text, says) in [
        ("other", "", "`.sysforge.json` is missing"),
        (".sysforge.json", "{", "`.sysforge.json` cannot be read"),
    ] {
        fs::write(place.join(name), text).unwrap();
        let Lookup::Damaged(damage) = store.lookup(&id).unwrap() else {
            panic!("{name}");
        };
        assert_eq!(damage.to_string(), says);
    }
    assert!(store.remove_unused(&id).unwrap());
    assert!(matches!(store.lookup(&id).unwrap(), Lookup::Absent));
}
