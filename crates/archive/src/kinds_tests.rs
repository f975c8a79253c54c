//! Rare kinds of entries: extension headers of tar files, entries that replace earlier ones, the
//! contents of 7-Zip and zip files, and the error messages.

use std::io::{Cursor, Seek, Write};
use std::path::Path;

use ::tar::{Builder, EntryType, Header};
use sevenz_rust2::{ArchiveEntry, ArchiveWriter};
use sysforge_plan::{Class, Explain};
use sysforge_testkit::archives::{self, MTIME, Tar};

use super::*;

fn writer(root: &Path) -> TreeWriter {
    TreeWriter::new(
        root.to_owned(),
        1,
        Limits::default(),
        Links::default(),
        Cancel::default(),
    )
}

/// Unpacks into a temporary folder.
fn untarred(tar: &[u8]) -> Result<(tempfile::TempDir, Listing), Error> {
    let folder = tempfile::tempdir().unwrap();
    let mut tree = writer(folder.path());
    untar(tar, &mut tree)?;
    let listing = tree.finish()?;
    Ok((folder, listing))
}

fn unpacked(format: ArchiveFormat, bytes: &[u8]) -> Result<(tempfile::TempDir, Listing), Error> {
    let folder = tempfile::tempdir().unwrap();
    let mut tree = writer(folder.path());
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    unpack_file(format, file, &mut tree)?;
    let listing = tree.finish()?;
    Ok((folder, listing))
}

/// Returns a tar file of one entry, preceded by PAX records.
fn with_pax(records: &[(&str, &[u8])], kind: EntryType, content: &[u8]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    let records = records.iter().copied();
    builder.append_pax_extensions(records).unwrap();
    let mut header = Header::new_ustar();
    header.set_path("t/short").unwrap();
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_mtime(MTIME);
    header.set_size(content.len() as u64);
    header.set_cksum();
    builder.append(&header, content).unwrap();
    builder.into_inner().unwrap()
}

#[test]
fn pax_records_override_the_header() {
    let name = format!("t/{}/file", "long-".repeat(30));
    let records: [(&str, &[u8]); 4] = [
        ("path", name.as_bytes()),
        ("mtime", b"1600000000.75"),
        ("size", b"3"),
        ("comment", b"whatever"),
    ];
    let tar = with_pax(&records, EntryType::Regular, b"one");
    let (folder, listing) = untarred(&tar).unwrap();
    assert_eq!(
        std::fs::read(folder.path().join(&name[2..])).unwrap(),
        b"one"
    );
    assert_eq!(listing[&name[2..]].modified, 1_600_000_000);
    assert!(!listing.contains_key("short"));
}

#[test]
fn a_time_that_no_file_system_stores_is_listed_as_it_is_stored() {
    for mtime in [&b"9223372036854775808"[..], b"18446744073709551615"] {
        let tar = with_pax(&[("mtime", mtime)], EntryType::Regular, b"x");
        let (folder, listing) = untarred(&tar).unwrap();
        let file = std::fs::metadata(folder.path().join("short")).unwrap();
        let since = file
            .modified()
            .unwrap()
            .duration_since(std::time::UNIX_EPOCH);
        assert_eq!(since.unwrap().as_secs(), listing["short"].modified);
    }
}

// On other systems a dangling link may be skipped.
#[cfg(unix)]
#[test]
fn a_pax_record_holds_the_long_target_of_a_link() {
    let target = format!("{}/file", "deep/".repeat(40));
    let records: [(&str, &[u8]); 1] = [("linkpath", target.as_bytes())];
    let tar = with_pax(&records, EntryType::Symlink, b"");
    let (_folder, listing) = untarred(&tar).unwrap();
    assert_eq!(listing["short"].kind, Kind::Link { target });
}

#[test]
fn a_name_outside_of_the_folder_in_a_pax_record_is_refused() {
    let records: [(&str, &[u8]); 1] = [("path", b"t/../../outside")];
    let error = untarred(&with_pax(&records, EntryType::Regular, b"x")).unwrap_err();
    assert!(matches!(error, Error::Name { .. }), "{error:?}");
    let records: [(&str, &[u8]); 1] = [("linkpath", b"/etc/passwd")];
    let error = untarred(&with_pax(&records, EntryType::Symlink, b"")).unwrap_err();
    assert!(matches!(error, Error::Link { .. }), "{error:?}");
}

#[test]
fn an_entry_with_two_sizes_is_refused() {
    for size in [&b"4"[..], b"99999999999999999999999", b"three", b"\xff"] {
        let tar = with_pax(&[("size", size)], EntryType::Regular, b"one");
        let error = untarred(&tar).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the archive is damaged: `t/short` has two sizes",
            "{size:?}"
        );
    }
}

#[test]
fn sparse_files_in_pax_form_are_refused() {
    let sparse: (&str, &[u8]) = ("GNU.sparse.major", b"1");
    for (records, name) in [
        (vec![sparse], ""),
        (vec![("path", &b"t/image"[..]), sparse], "t/image"),
    ] {
        let error = untarred(&with_pax(&records, EntryType::Regular, b"x")).unwrap_err();
        let said = format!("the archive contains `{name}`, which is a sparse file");
        assert_eq!(error.to_string(), said);
    }
}

#[test]
fn invalid_pax_records_are_an_error() {
    let tar = Tar::new()
        .raw(EntryType::XHeader, "t/pax", "", 0o644, b"no records\n")
        .file("t/x", 0o644, b"x");
    let error = untarred(&tar.plain()).unwrap_err();
    assert!(matches!(error, Error::Broken(_)), "{error:?}");
}

// As above.
#[cfg(unix)]
#[test]
fn extensions_apply_only_to_the_next_entry() {
    let long = format!("{}/library", "folder/".repeat(20));
    let tar = Tar::new()
        .raw(
            EntryType::XGlobalHeader,
            "pax_global_header",
            "",
            0o644,
            b"18 comment=abcdef\n",
        )
        .raw(
            EntryType::GNULongLink,
            "././@LongLink",
            "",
            0o644,
            format!("{long}\0").as_bytes(),
        )
        .symlink("t/first", "cut")
        // The extensions of the first entry do not apply to the second.
        .symlink("t/second", "cut");
    let (_folder, listing) = untarred(&tar.plain()).unwrap();
    assert_eq!(listing.len(), 2);
    assert_eq!(listing["first"].kind, Kind::Link { target: long });
    let target = "cut".to_owned();
    assert_eq!(listing["second"].kind, Kind::Link { target });
}

#[test]
fn headers_that_readers_interpret_differently_are_refused() {
    let pax = |records: &str| {
        // A record is `LENGTH KEY=VALUE\n`. The length counts all of it, also its own two digits.
        let lines = records.lines();
        let lines = lines.map(|line| format!("{:02} {line}\n", line.len() + 4));
        lines.collect::<String>()
    };
    let long =
        |tar: Tar, name: &str| tar.raw(EntryType::GNULongName, "@", "", 0o644, name.as_bytes());
    let extended = |tar: Tar, records: &str| {
        let records = pax(records);
        tar.raw(EntryType::XHeader, "pax", "", 0o644, records.as_bytes())
    };
    let global = |records: &str| {
        let records = pax(records);
        Tar::new()
            .raw(
                EntryType::XGlobalHeader,
                "pax",
                "",
                0o644,
                records.as_bytes(),
            )
            .file("t/x", 0o644, b"x")
    };
    let content = |kind, target| {
        Tar::new()
            .file("t/y", 0o644, b"y")
            .raw(kind, "t/x", target, 0o644, b"z")
    };
    for (tar, expected) in [
        (
            long(long(Tar::new(), "t/first"), "t/second").file("t/x", 0o644, b"x"),
            "two names; the first is `t/first`",
        ),
        (
            extended(long(Tar::new(), "t/first"), "path=t/second").file("t/x", 0o644, b"x"),
            "two names; the first is `t/first`",
        ),
        (
            extended(Tar::new(), "path=t/first\npath=t/second").file("t/x", 0o644, b"x"),
            "two names; the first is `t/first`",
        ),
        (
            extended(Tar::new(), "linkpath=first-one\nlinkpath=second").symlink("t/x", "y"),
            "two link targets; the first is `first-one`",
        ),
        (long(Tar::new(), "t/none"), "an entry that does not follow"),
        (
            extended(Tar::new(), "path=t/none-follows"),
            "an entry that does not follow",
        ),
        (
            global("path=t/of-all-entries"),
            "it sets `path` for all entries",
        ),
        (global("size=1234567"), "it sets `size` for all entries"),
        (
            global("GNU.sparse.major=1"),
            "it sets `GNU.sparse.major` for all",
        ),
        (
            extended(Tar::new(), "SCHILY.realsize=1000000").file("t/x", 0o644, b"x"),
            "a sparse file",
        ),
        (
            content(EntryType::Directory, ""),
            "`t/x`, which is a folder with content",
        ),
        (
            content(EntryType::Symlink, "y"),
            "`t/x`, which is a link with content",
        ),
        (
            content(EntryType::Link, "t/y"),
            "`t/x`, which is a link with content",
        ),
    ] {
        let said = untarred(&tar.plain()).unwrap_err().to_string();
        assert!(said.contains(expected), "{said}");
    }
    // Comments for all entries, as git writes them, are allowed.
    untarred(&global("comment=1234567890abcdef").plain()).unwrap();
}

#[test]
fn a_file_whose_name_ends_with_a_slash_is_a_folder() {
    let tar = Tar::new().file("t/old/", 0o755, b"").plain();
    let (folder, listing) = untarred(&tar).unwrap();
    assert_eq!(listing["old"].kind, Kind::Folder);
    assert!(folder.path().join("old").is_dir());
}

#[test]
fn the_root_folder_cannot_be_a_file_or_link() {
    for tar in [
        Tar::new().file("t", 0o644, b"x"),
        Tar::new().symlink("t", "elsewhere"),
        Tar::new().file("t/x", 0o644, b"x").hard_link("t", "t/x"),
        Tar::new().file("t/x", 0o644, b"x").hard_link("t/l", "t"),
    ] {
        let error = untarred(&tar.plain()).unwrap_err();
        let said = error.to_string();
        assert!(said.contains("the archive's root folder"), "{said}");
    }
}

#[test]
fn link_targets_that_are_not_utf8_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for target in [&b"\xff\xfe"[..], b"a\nb"] {
        let error = writer(folder.path())
            .symlink(b"t/l", target, 0)
            .unwrap_err();
        assert!(matches!(error, Error::Link { .. }), "{error:?}");
        // Error messages go to a terminal.
        assert!(!error.to_string().contains(char::is_control), "{error}");
    }
}

#[test]
fn a_later_entry_replaces_an_earlier_one_of_its_name() {
    let tar = Tar::new()
        .file("t/twice", 0o644, b"old")
        .file("t/twice", 0o755, b"newer")
        .symlink("t/link", "nowhere")
        .file("t/link", 0o644, b"a file")
        .file("t/file", 0o644, b"old")
        .symlink("t/file", "twice")
        .file("t/self", 0o644, b"itself")
        .hard_link("t/self", "t/self");
    let (folder, listing) = untarred(&tar.plain()).unwrap();
    let read = |name| std::fs::read(folder.path().join(name)).unwrap();
    assert_eq!(read("twice"), b"newer");
    assert_eq!(read("link"), b"a file");
    assert_eq!(read("self"), b"itself");
    assert!(matches!(listing["twice"].kind, Kind::File { size: 5, .. }));
    assert!(matches!(listing["link"].kind, Kind::File { size: 6, .. }));
    // On Windows it may be a copy.
    #[cfg(unix)]
    assert!(matches!(listing["file"].kind, Kind::Link { .. }));
}

#[test]
fn a_folder_neither_replaces_nor_is_replaced() {
    for tar in [
        Tar::new()
            .file("t/a/x", 0o644, b"x")
            .file("t/a", 0o644, b""),
        Tar::new().folder("t/a/").symlink("t/a", "b"),
        Tar::new().file("t/a", 0o644, b"").folder("t/a/"),
    ] {
        let error = untarred(&tar.plain()).unwrap_err();
        assert_eq!(error.to_string(), "the archive contains `a` twice");
    }
    // The same folder may occur twice; its last metadata counts.
    let tar = Tar::new().file("t/a/x", 0o644, b"x").folder("t/a/");
    let (_folder, listing) = untarred(&tar.plain()).unwrap();
    assert_eq!(listing["a"].modified, MTIME);
}

// An existing file simulates a file system that does not distinguish `A` and `a`.
#[test]
fn names_that_are_the_same_for_the_file_system_are_refused() {
    for (tar, name) in [
        (Tar::new().file("t/a", 0o644, b"x"), "a"),
        (Tar::new().folder("t/a/"), "a"),
        (Tar::new().file("t/a/b", 0o644, b"x"), "a"),
        (Tar::new().symlink("t/a", "b"), "a"),
        (
            Tar::new().file("t/b", 0o644, b"x").hard_link("t/a", "t/b"),
            "a",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let existing = folder.path().join("a");
        std::fs::write(&existing, b"as from `A`").unwrap();
        let mut tree = writer(folder.path());
        let untarred = untar(&*tar.plain(), &mut tree);
        let error = untarred.and_then(|()| tree.finish()).unwrap_err();
        assert_eq!(std::fs::read(&existing).unwrap(), b"as from `A`");
        assert!(
            matches!(&error, Error::Conflict { name: found } if found == name),
            "{error:?}"
        );
    }
}

// A folder of the tree is on another file system, to simulate one without hard links.
#[cfg(target_os = "linux")]
#[test]
fn a_hard_link_that_cannot_be_created_becomes_a_copy() {
    use std::os::unix::fs::MetadataExt;
    let folder = tempfile::tempdir().unwrap();
    let Ok(elsewhere) = tempfile::tempdir_in("/dev/shm") else {
        sysforge_testkit::skip("there is no other file system");
        return;
    };
    let mut tree = writer(folder.path());
    let content = &mut &b"library"[..];
    tree.file(b"t/original", 0o755, MTIME, 7, content).unwrap();
    tree.folder(b"t/other/", MTIME).unwrap();
    let other = folder.path().join("other");
    std::fs::remove_dir(&other).unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), &other).unwrap();

    tree.hard_link(b"t/other/copy", b"t/original").unwrap();
    let listing = tree.finish().unwrap();
    assert_eq!(listing["other/copy"], listing["original"]);
    let copy = std::fs::metadata(other.join("copy")).unwrap();
    assert_eq!(copy.mtime().unsigned_abs(), MTIME);
    assert_eq!(copy.mode() & 0o777, 0o755);
    assert_eq!(std::fs::read(other.join("copy")).unwrap(), b"library");
}

/// Returns a 7-Zip file of one entry.
fn seven_z(entry: ArchiveEntry, content: &[u8]) -> Vec<u8> {
    let mut writer = ArchiveWriter::new(Cursor::new(Vec::new())).unwrap();
    let content = entry.has_stream.then_some(content);
    writer.push_archive_entry(entry, content).unwrap();
    writer.finish().unwrap().into_inner()
}

fn with_attributes(mut entry: ArchiveEntry, attributes: u32) -> ArchiveEntry {
    entry.has_windows_attributes = true;
    entry.windows_attributes = attributes;
    entry
}

#[test]
fn files_of_a_7z_file_made_on_windows_are_executable() {
    // `FILE_ATTRIBUTE_ARCHIVE`, and no Unix mode.
    let entry = with_attributes(ArchiveEntry::new_file("t/bin/gcc.exe"), 0x20);
    let bytes = seven_z(entry, b"program");
    let (folder, listing) = unpacked(ArchiveFormat::SevenZ, &bytes).unwrap();
    assert!(matches!(
        listing["bin/gcc.exe"].kind,
        Kind::File { size: 7, .. }
    ));
    let file = std::fs::metadata(folder.path().join("bin/gcc.exe")).unwrap();
    assert_eq!(file.len(), 7);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(file.permissions().mode() & 0o777, 0o755);
    }
}

#[test]
fn folders_of_a_7z_file_are_recognized_by_flag_or_mode() {
    let by_mode = ArchiveEntry::new_file("t/folder");
    for entry in [
        ArchiveEntry::new_directory("t/folder"),
        with_attributes(by_mode, (0o040_755 << 16) | 0x8000),
    ] {
        let bytes = seven_z(entry, b"");
        let (folder, listing) = unpacked(ArchiveFormat::SevenZ, &bytes).unwrap();
        assert_eq!(listing["folder"].kind, Kind::Folder);
        assert!(folder.path().join("folder").is_dir());
    }
}

#[test]
fn folders_with_content_are_refused_in_every_format() {
    let by_mode = with_attributes(
        ArchiveEntry::new_file("t/folder"),
        (0o040_755 << 16) | 0x8000,
    );
    let error = unpacked(ArchiveFormat::SevenZ, &seven_z(by_mode, b"x")).unwrap_err();
    let said = "the archive contains `t/folder`, which is a folder with content";
    assert_eq!(error.to_string(), said);
    let zip = archives::zip_of(&[("t/folder/", 0o040_755, b"x")]);
    let error = unpacked(ArchiveFormat::Zip, &zip).unwrap_err();
    let said = "the archive contains `t/folder/`, which is a folder with content";
    assert_eq!(error.to_string(), said);
}

#[test]
fn a_zip_file_whose_headers_differ_is_refused() {
    let zip = archives::zip_of(&[("t/first", 0o100_644, b"one"), ("t/x", 0o100_644, b"x")]);
    unpacked(ArchiveFormat::Zip, &zip).unwrap();
    let local = |name: &[u8]| {
        let mut at = zip.windows(name.len()).enumerate();
        at.find(|(_, bytes)| *bytes == name).unwrap().0
    };
    // The name in the header before the content, the method and the checksum.
    let header = local(b"t/x") - 30;
    for (at, bytes) in [
        (header + 30, &b"t/y"[..]),
        (header + 8, &[0, 0]),
        (header + 14, &[1; 4]),
    ] {
        let mut changed = zip.clone();
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        let error = unpacked(ArchiveFormat::Zip, &changed).unwrap_err();
        let said = error.to_string();
        assert!(
            said.starts_with("the archive is damaged: entry 2: "),
            "{said}"
        );
    }
}

/// Unpacks a zip file without removing the first component of its names.
fn unzipped(bytes: &[u8]) -> Result<(tempfile::TempDir, Listing), Error> {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_owned();
    let mut tree = TreeWriter::new(
        root,
        0,
        Limits::default(),
        Links::default(),
        Cancel::default(),
    );
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    unpack_file(ArchiveFormat::Zip, file, &mut tree)?;
    let listing = tree.finish()?;
    Ok((folder, listing))
}

/// The zip files of `fixtures/make`, and whether each has the modes of its files.
macro_rules! written_by {
    ($($name:literal $modes:literal),*) => {
        [$(($name, $modes, &include_bytes!(concat!("fixtures/", $name, ".zip"))[..])),*]
    };
}

// The two headers of an entry differ legally: sizes and checksum may follow the content, and either
// header may have a field for long sizes or more exact times.
#[test]
fn zip_files_of_common_writers_are_read() {
    let number = |number: u32| format!("{number}\n");
    let note: String = (1..=60).map(number).collect();
    for (writer, modes, bytes) in written_by![
        "info-zip" true, "info-zip-pipe" true, "info-zip-64" true, "info-zip-stdin" true,
        "7-zip" true, "7-zip-times" true, "7-zip-pipe" true,
        "bsdtar" true, "bsdtar-pipe" true, "bsdtar-64" true,
        "jar" false, "jar-pipe" false, "git" true, "go" true,
        "python" true, "python-pipe" true, "python-64-pipe" true
    ] {
        let (folder, listing) = unzipped(bytes).unwrap_or_else(|error| panic!("{writer}: {error}"));
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(read("t/note.txt"), note, "{writer}");
        assert_eq!(read("t/nothing"), "", "{writer}");
        assert_eq!(read("t/bin/gcc"), "#!/bin/sh\necho hello\n", "{writer}");
        if writer == "info-zip-stdin" {
            assert_eq!(read("-"), note);
        }
        // git does not record empty folders.
        let empty = listing.get("t/empty").map(|item| &item.kind);
        assert_eq!(
            empty,
            (writer != "git").then_some(&Kind::Folder),
            "{writer}"
        );
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let program = std::fs::metadata(folder.path().join("t/bin/gcc")).unwrap();
            let executable = program.permissions().mode() & 0o111 != 0;
            assert_eq!(executable, modes, "{writer}");
        }
    }
}

/// Returns a zip file as `Compress-Archive` of PowerShell 5 writes it: made on FAT, with `\` in names.
fn of_powershell(names: &[&str]) -> Vec<u8> {
    let files: Vec<_> = names
        .iter()
        .map(|name| match name.ends_with('/') {
            true => (*name, 0o040_755, &b""[..]),
            false => (*name, 0o100_644, &b"x"[..]),
        })
        .collect();
    let mut zip = archives::zip_of(&files);
    for name in names {
        let backslashes = name.replace('/', "\\");
        for at in 0..zip.len() - name.len() {
            if zip[at..].starts_with(name.as_bytes()) {
                zip[at..at + name.len()].copy_from_slice(backslashes.as_bytes());
            }
        }
    }
    // The system is the second byte of the version in each entry of the directory, the attributes are
    // at its offset 38.
    for at in 0..zip.len() - 46 {
        if zip[at..].starts_with(b"PK\x01\x02") {
            zip[at + 5] = 0;
            zip[at + 38..at + 42].fill(0);
        }
    }
    zip
}

#[test]
fn backslashes_in_a_zip_file_made_on_windows_separate_folders() {
    let zip = of_powershell(&["t/bin/gcc.exe", "t/empty/", "t/x"]);
    let (folder, listing) = unzipped(&zip).unwrap();
    assert_eq!(
        std::fs::read(folder.path().join("t/bin/gcc.exe")).unwrap(),
        b"x"
    );
    assert_eq!(listing["t/empty"].kind, Kind::Folder);
    assert_eq!(std::fs::read(folder.path().join("t/x")).unwrap(), b"x");
}

#[test]
fn backslashes_in_a_zip_file_do_not_lead_out_of_the_folder() {
    for (name, why) in [("../../x", "leaves its folder"), ("/x/y", "is absolute")] {
        let error = unzipped(&of_powershell(&[name])).unwrap_err();
        assert!(error.to_string().contains(why), "{name}: {error}");
    }
    // Of other systems, or beside a slash, a backslash is no separator.
    let mixed = archives::zip_of(&[("t\\x", 0o100_644, b"x")]);
    let error = unzipped(&mixed).unwrap_err();
    assert!(error.to_string().contains("backslash"), "{error}");
}

#[test]
fn a_7z_file_with_anything_else_is_refused() {
    let file = || ArchiveEntry::new_file("t/x");
    let mut anti = ArchiveEntry::new_directory("t/x");
    anti.is_anti_item = true;
    for (entry, kind) in [
        (
            with_attributes(file(), (0o020_644 << 16) | 0x8000),
            "device",
        ),
        (with_attributes(file(), 0x400), "Windows link"),
        (anti, "request to delete a file"),
    ] {
        let error = unpacked(ArchiveFormat::SevenZ, &seven_z(entry, b"x")).unwrap_err();
        let said = format!("the archive contains `t/x`, which is a {kind}");
        assert_eq!(error.to_string(), said);
    }
}

#[test]
fn an_invalid_7z_file_is_an_error_with_a_reason() {
    let error = unpacked(ArchiveFormat::SevenZ, b"not a 7-Zip file at all, but text").unwrap_err();
    assert!(matches!(error, Error::Malformed(_)), "{error:?}");
}

#[test]
fn folders_and_dos_times_of_a_zip_file_are_kept() {
    let zip = archives::zip_of(&[("t/empty/", 0o040_755, b""), ("t/x", 0o100_644, b"x")]);
    let (folder, listing) = unpacked(ArchiveFormat::Zip, &zip).unwrap();
    assert_eq!(listing["empty"].kind, Kind::Folder);
    assert!(folder.path().join("empty").is_dir());

    // Without the Unix field, the DOS time is used.
    let mut writer = ::zip::ZipWriter::new(Cursor::new(Vec::new()));
    let time = ::zip::DateTime::from_date_and_time(2024, 5, 6, 7, 8, 8).unwrap();
    let options = ::zip::write::SimpleFileOptions::default().last_modified_time(time);
    writer.start_file("t/x", options).unwrap();
    let zip = writer.finish().unwrap().into_inner();
    let (_folder, listing) = unpacked(ArchiveFormat::Zip, &zip).unwrap();
    assert_eq!(listing["x"].modified, MTIME - 1);
}

#[test]
fn an_archive_that_is_cut_short_is_reported_as_that() {
    let tar = Tar::new().file("t/x", 0o644, &[7; 3000]).gz();
    let zip = archives::zip_of(&[("t/x", 0o100_644, b"content")]);
    for (format, bytes) in [
        (ArchiveFormat::TarGz, &tar[..tar.len() - 3]),
        (ArchiveFormat::Zip, &zip[..zip.len() - 5]),
    ] {
        let said = unpacked(format, bytes).unwrap_err().to_string();
        assert!(said.ends_with("it is cut short"), "{format}: {said}");
    }
}

#[test]
fn a_zip_file_with_a_password_is_refused() {
    let mut zip = archives::zip_of(&[("t/x", 0o100_644, b"secret")]);
    // Bit 0 of the flags, in the file's own header and in the directory.
    for (magic, flags) in [(b"PK\x03\x04", 6), (b"PK\x01\x02", 8)] {
        let at = zip.windows(4).position(|bytes| bytes == magic).unwrap();
        zip[at + flags] |= 1;
    }
    let error = unpacked(ArchiveFormat::Zip, &zip).unwrap_err();
    assert!(
        error.to_string().to_lowercase().contains("password"),
        "{error}"
    );
    assert_eq!(error.class(), Class::Acquire);
}

#[test]
fn formats_that_do_not_stream_are_not_read_as_a_stream() {
    for format in [ArchiveFormat::Zip, ArchiveFormat::SevenZ] {
        let Err(error) = decompressor(format, &b""[..]) else {
            panic!("{format}");
        };
        assert_eq!(
            error.to_string(),
            format!("a {format} archive cannot be read this way")
        );
        // The user cannot do anything about this error.
        assert_eq!(error.class(), Class::Bug);
        assert!(error.hints().is_empty());
    }
    // The other formats are read both from a file and from a stream.
    let tar = Tar::new().file("t/x", 0o644, b"x").gz();
    let (_folder, listing) = unpacked(ArchiveFormat::TarGz, &tar).unwrap();
    assert!(listing.contains_key("x"));
}

#[test]
fn every_refusal_has_a_fitting_class_and_hint() {
    use std::io::{Error as IoError, ErrorKind};
    let write = |kind| Error::write("/store/tmp/x")(IoError::from(kind));
    let name = || "x".to_owned();
    let untrusted = "do not use its source";
    for (error, class, hint) in [
        (
            write(ErrorKind::StorageFull),
            Class::Machine,
            "free some space",
        ),
        (
            write(ErrorKind::PermissionDenied),
            Class::Machine,
            "choose another path",
        ),
        (write(ErrorKind::NotFound), Class::Acquire, "path right?"),
        (
            Error::Broken(ErrorKind::UnexpectedEof.into()),
            Class::Acquire,
            "published damaged?",
        ),
        (
            Error::Malformed("no header".to_owned()),
            Class::Acquire,
            "published damaged?",
        ),
        (
            Error::Name {
                name: name(),
                why: "is absolute",
            },
            Class::Acquire,
            untrusted,
        ),
        (
            Error::TooMuch {
                limit: 1,
                unit: "bytes",
            },
            Class::Acquire,
            untrusted,
        ),
        (Error::Conflict { name: name() }, Class::Acquire, untrusted),
    ] {
        assert_eq!(error.class(), class, "{error:?}");
        let hints = error.hints();
        assert!(hints[0].contains(hint), "{error:?}: {hints:?}");
    }
    assert!(Error::Interrupted.hints().is_empty());
}
