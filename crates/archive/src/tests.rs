//! All formats, and everything that archives must not do, in each format in which it is possible.

use std::io::{Cursor, Write};
use std::path::Path;

use sysforge_testkit::archives::{self, MTIME, Tar};

use super::*;

fn limits() -> Limits {
    Limits::default()
}

fn writer(root: &Path, limits: Limits) -> TreeWriter {
    TreeWriter::new(
        root.to_owned(),
        1,
        limits,
        Links::default(),
        Cancel::default(),
    )
}

fn untar_into(root: &Path, tar: &[u8], limits: Limits) -> Result<Listing, Error> {
    let mut tree = writer(root, limits);
    untar(tar, &mut tree)?;
    tree.finish()
}

fn error_of(tar: Tar) -> Error {
    let outer = tempfile::tempdir().unwrap();
    let root = outer.path().join("root");
    std::fs::create_dir(&root).unwrap();
    let error = untar_into(&root, &tar.plain(), limits()).unwrap_err();
    // Nothing may exist outside of the folder in any case.
    let names: Vec<_> = std::fs::read_dir(outer.path()).unwrap().collect();
    assert_eq!(names.len(), 1, "{names:?}");
    error
}

fn unpack_bytes(
    format: ArchiveFormat,
    bytes: &[u8],
) -> Result<(tempfile::TempDir, Listing), Error> {
    let folder = tempfile::tempdir().unwrap();
    let mut tree = writer(folder.path(), limits());
    if streams(format) {
        unpack_stream(format, bytes, &mut tree)?;
    } else {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        unpack_file(format, file, &mut tree)?;
    }
    let listing = tree.finish()?;
    Ok((folder, listing))
}

#[test]
fn every_format_keeps_modes_times_and_links() {
    let tar = || archives::tiny_julia("1.5.3", 100_000);
    for (format, bytes) in [
        (ArchiveFormat::TarGz, tar().gz()),
        (ArchiveFormat::TarZst, tar().zst()),
        (ArchiveFormat::TarXz, tar().xz()),
        (
            ArchiveFormat::Zip,
            archives::tiny_julia_zip("1.5.3", 100_000),
        ),
        (
            ArchiveFormat::SevenZ,
            archives::tiny_julia_7z("1.5.3", 100_000),
        ),
    ] {
        let (folder, listing) =
            unpack_bytes(format, &bytes).unwrap_or_else(|error| panic!("{format}: {error:?}"));
        let root = folder.path();
        #[cfg(unix)]
        assert_eq!(mode(&root.join("bin/julia")) & 0o777, 0o755, "{format}");
        assert_eq!(listing["bin/julia"].modified, MTIME, "{format}");
        assert_eq!(
            std::fs::read(root.join("lib/libjulia.so.1")).unwrap(),
            archives::noise(100_000),
            "{format}"
        );
        // On Windows it may be a copy.
        #[cfg(unix)]
        assert_eq!(
            std::fs::read_link(root.join("lib/libjulia.so")).unwrap(),
            Path::new("libjulia.so.1"),
            "{format}"
        );
    }
}

#[test]
fn a_truncated_archive_is_an_error_in_every_format() {
    let tar = || archives::tiny_julia("1.5.3", 100_000);
    for (format, bytes) in [
        (ArchiveFormat::TarGz, tar().gz()),
        (ArchiveFormat::TarZst, tar().zst()),
        (ArchiveFormat::TarXz, tar().xz()),
        (
            ArchiveFormat::Zip,
            archives::tiny_julia_zip("1.5.3", 100_000),
        ),
        (
            ArchiveFormat::SevenZ,
            archives::tiny_julia_7z("1.5.3", 100_000),
        ),
    ] {
        let last = bytes.len() - 1;
        for length in (0..last).step_by(1000).chain([1, last]) {
            let error = unpack_bytes(format, &bytes[..length]).unwrap_err();
            assert!(
                matches!(error, Error::Broken(_) | Error::Malformed(_)),
                "{format} cut at {length}: {error:?}"
            );
        }
    }
}

#[test]
fn a_tar_file_that_is_cut_between_two_entries_is_an_error() {
    let tar = archives::tiny_julia("1.5.3", 2000).plain();
    let end = tar.len() - 1024;
    for length in (0..=end).step_by(512) {
        let folder = tempfile::tempdir().unwrap();
        let error = untar_into(folder.path(), &tar[..length], limits()).unwrap_err();
        let said = error.to_string();
        assert!(said.contains("the archive is damaged"), "{length}: {said}");
    }
    // One of the two blocks that mark the end is enough, as for other readers.
    let folder = tempfile::tempdir().unwrap();
    untar_into(folder.path(), &tar[..end + 512], limits()).unwrap();
}

#[test]
fn names_that_leave_the_folder_are_refused() {
    for name in ["/etc/x", "a/../../x", "../x", "a/b/../../../x"] {
        let error = error_of(Tar::new().file(name, 0o644, b"x"));
        assert!(matches!(error, Error::Name { .. }), "{name}: {error:?}");
        let zip = archives::zip_of(&[(name, 0o100_644, b"x")]);
        assert!(unpack_bytes(ArchiveFormat::Zip, &zip).is_err(), "{name}");
    }
}

#[test]
fn links_that_leave_the_folder_are_refused() {
    for (link, target) in [
        ("a/l", "/etc/passwd"),
        ("a/l", "../../x"),
        ("a/l", ".."),
        ("a/b/l", "../../.."),
        ("a/b/l", "./..//.././../x"),
        ("a/l", r"..\..\x"),
        ("a/l", r"C:\x"),
        ("a/l", ""),
    ] {
        let error = error_of(Tar::new().symlink(link, target));
        let allowed = target == "..";
        assert!(
            matches!(error, Error::Link { .. }) || allowed,
            "{link} -> {target}: {error:?}"
        );
        let zip = archives::zip_of(&[(link, 0o120_777, target.as_bytes())]);
        assert!(
            unpack_bytes(ArchiveFormat::Zip, &zip).is_err(),
            "{link} -> {target}"
        );
    }
}

#[test]
fn a_link_with_an_excessive_target_is_refused() {
    let zip = archives::zip_of(&[("a/l", 0o120_777, &b"x/".repeat(2049))]);
    let error = unpack_bytes(ArchiveFormat::Zip, &zip).unwrap_err();
    assert!(matches!(error, Error::TooMuch { .. }), "{error:?}");
}

#[test]
fn links_that_leave_the_folder_in_combination_are_refused() {
    // Each of these links is valid on its own.
    let error = error_of(
        Tar::new()
            .folder("t/p/q/r/")
            .symlink("t/p/q/r/up", "../../..")
            .symlink("t/out", "p/q/r/up/../x"),
    );
    assert!(matches!(error, Error::Link { .. }), "{error:?}");
}

#[test]
fn links_in_a_loop_are_refused() {
    let error = error_of(Tar::new().symlink("t/a", "b").symlink("t/b", "a"));
    assert!(matches!(error, Error::Link { .. }), "{error:?}");
}

#[test]
fn nothing_is_written_through_a_link() {
    let error = error_of(
        Tar::new()
            .symlink("t/a", "b")
            .file("t/a/x", 0o644, b"through"),
    );
    assert!(matches!(error, Error::Conflict { .. }), "{error:?}");
}

#[test]
fn hard_links_refer_only_to_unpacked_files() {
    for target in ["/etc/passwd", "t/../../etc/passwd", "t/missing"] {
        let error = error_of(Tar::new().hard_link("t/l", target));
        assert!(
            matches!(error, Error::Link { .. } | Error::Name { .. }),
            "{error:?}"
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let tar = Tar::new()
        .file("t/a", 0o644, b"one")
        .hard_link("t/b", "t/a")
        .plain();
    untar_into(folder.path(), &tar, limits()).unwrap();
    assert_eq!(std::fs::read(folder.path().join("b")).unwrap(), b"one");
}

#[test]
fn devices_and_the_like_are_refused() {
    use ::tar::EntryType;
    for kind in [
        EntryType::Char,
        EntryType::Block,
        EntryType::Fifo,
        EntryType::GNUSparse,
        EntryType::new(b'Z'),
    ] {
        let error = error_of(Tar::new().raw(kind, "t/x", "", 0o644, b""));
        assert!(
            matches!(error, Error::Forbidden { .. }),
            "{kind:?}: {error:?}"
        );
    }
    // The zip writer only creates files, so the mode in its directory is changed to a device's.
    let mut zip = archives::zip_of(&[("t/x", 0o100_644, b"")]);
    let (file, device) = ((0o100_644_u32 << 16), (0o020_644_u32 << 16));
    let at = zip
        .windows(4)
        .rposition(|bytes| bytes == file.to_le_bytes())
        .unwrap();
    zip[at..at + 4].copy_from_slice(&device.to_le_bytes());
    // Marks the entry as created on Unix (APPNOTE 4.4.2.2), because other systems have no such
    // modes.
    zip[at - 38 + 5] = 3;
    let error = unpack_bytes(ArchiveFormat::Zip, &zip).unwrap_err();
    assert!(matches!(error, Error::Forbidden { .. }), "{error:?}");
}

#[test]
fn excessive_sizes_ratios_and_counts_are_refused() {
    let small = Limits {
        bytes: 1000,
        entries: 3,
        ..limits()
    };
    let folder = || tempfile::tempdir().unwrap();
    let big = Tar::new().file("t/x", 0o644, &[0; 1001]).plain();
    let many = (0..4)
        .fold(Tar::new(), |tar, n| tar.file(&format!("t/{n}"), 0o644, b""))
        .plain();
    for tar in [big, many] {
        let error = untar_into(folder().path(), &tar, small).unwrap_err();
        assert!(matches!(error, Error::TooMuch { .. }), "{error:?}");
    }
    // Announces a petabyte.
    let announced = Tar::new()
        .announced(::tar::EntryType::Regular, "t/x", "", 0o644, 1 << 50, b"")
        .plain();
    let error = untar_into(folder().path(), &announced, limits()).unwrap_err();
    assert!(matches!(error, Error::TooMuch { .. }), "{error:?}");
    // 100 MB from 100 kB.
    let bomb = Tar::new().file("t/x", 0o644, &vec![0; 100 << 20]).gz();
    let limits = Limits {
        packed: Some(bomb.len() as u64),
        ratio: 20,
        ..limits()
    };
    let folder = folder();
    let mut tree = writer(folder.path(), limits);
    let plain = decompressor(ArchiveFormat::TarGz, bomb.as_slice()).unwrap();
    let error = untar(plain, &mut tree).unwrap_err();
    assert!(matches!(error, Error::TooMuch { .. }), "{error:?}");
}

#[test]
fn a_name_of_gigabytes_does_not_fill_the_memory() {
    let tar = Tar::new()
        .announced(
            ::tar::EntryType::GNULongName,
            "t/x",
            "",
            0o644,
            1 << 40,
            b"",
        )
        .plain();
    // Endless bytes follow the header.
    let endless = Cursor::new(tar[..512].to_vec()).chain(std::io::repeat(b'a'));
    let folder = tempfile::tempdir().unwrap();
    let error = untar(endless, &mut writer(folder.path(), limits())).unwrap_err();
    assert!(matches!(error, Error::TooMuch { .. }), "{error:?}");
}

#[test]
fn long_names_are_kept() {
    let long = format!("t/{}/{}", "d".repeat(120), "f".repeat(120));
    let mut builder = ::tar::Builder::new(Vec::new());
    let mut header = ::tar::Header::new_gnu();
    header.set_size(1);
    header.set_mode(0o644);
    builder.append_data(&mut header, &long, &b"x"[..]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let tar = builder.into_inner().unwrap();
    let listing = untar_into(folder.path(), &tar, limits()).unwrap();
    assert!(listing.contains_key(&long[2..]));
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).unwrap().permissions().mode()
}

#[cfg(unix)]
#[test]
fn set_user_id_bits_are_dropped_and_the_owner_may_write() {
    let folder = tempfile::tempdir().unwrap();
    let tar = Tar::new().file("t/x", 0o4_511, b"x").plain();
    untar_into(folder.path(), &tar, limits()).unwrap();
    assert_eq!(mode(&folder.path().join("x")) & 0o7777, 0o711);
}

#[test]
fn copies_replace_links_where_links_are_not_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let mut tree = TreeWriter::new(
        folder.path().to_owned(),
        1,
        limits(),
        Links::Copy,
        Cancel::default(),
    );
    let tar = Tar::new()
        .file("t/lib/a.so.1", 0o755, b"library")
        .symlink("t/lib/a.so", "a.so.1")
        .symlink("t/lib64", "lib")
        .symlink("t/dangling", "nowhere")
        .plain();
    untar(tar.as_slice(), &mut tree).unwrap();
    let listing = tree.finish().unwrap();
    let root = folder.path();
    assert_eq!(std::fs::read(root.join("lib/a.so")).unwrap(), b"library");
    assert_eq!(
        std::fs::read(root.join("lib64/a.so.1")).unwrap(),
        b"library"
    );
    assert!(!listing.contains_key("dangling"));
    assert!(matches!(
        listing["lib/a.so"].kind,
        Kind::File { size: 7, .. }
    ));
    assert_eq!(listing["lib/a.so"].modified, MTIME);
    assert!(matches!(listing["lib64"].kind, Kind::Folder));
}

/// Unpacks as on a machine that does not allow links.
fn without_links(tar: Tar, limits: Limits) -> Result<Listing, Error> {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_owned();
    let mut tree = TreeWriter::new(root, 1, limits, Links::Copy, Cancel::default());
    untar(tar.plain().as_slice(), &mut tree)?;
    tree.finish()
}

#[test]
fn copies_of_links_inside_a_copied_folder_are_complete() {
    let tar = Tar::new()
        .file("t/real/x", 0o644, b"x")
        .symlink("t/a/link", "../real/x")
        // Sorted before and after their targets.
        .symlink("t/0", "a")
        .symlink("t/z", "0");
    let listing = without_links(tar, limits()).unwrap();
    for path in ["a/link", "0/link", "z/link"] {
        assert!(
            matches!(listing[path].kind, Kind::File { size: 1, .. }),
            "{path}"
        );
    }
}

#[test]
fn copies_do_not_grow_without_limit() {
    // Folders that contain themselves, directly or indirectly.
    for tar in [
        Tar::new().file("t/a/x", 0o644, b"x").symlink("t/a/l", "."),
        Tar::new().file("t/a/x", 0o644, b"x").symlink("t/a/l", ".."),
        Tar::new().symlink("t/a/l", "../b").symlink("t/b/m", "../a"),
    ] {
        let error = without_links(tar, limits()).unwrap_err();
        assert!(matches!(error, Error::Link { .. }), "{error:?}");
    }
    // Each folder contains the previous one twice: 40 of them would be a trillion files.
    let tar = (1..=40).fold(
        Tar::new().file("t/d00/x", 0o644, b"0123456789"),
        |tar, n| {
            let before = format!("../d{:02}", n - 1);
            tar.symlink(&format!("t/d{n:02}/a"), &before)
                .symlink(&format!("t/d{n:02}/b"), &before)
        },
    );
    let small = Limits {
        bytes: 100_000,
        entries: 10_000,
        ..limits()
    };
    let error = without_links(tar, small).unwrap_err();
    assert!(matches!(error, Error::TooMuch { .. }), "{error:?}");
}

#[test]
fn a_parent_reference_must_leave_an_existing_folder() {
    // On a case-insensitive file system, `B` is the link `b`, and the path leads outside.
    let error = error_of(Tar::new().symlink("t/b", ".").symlink("t/l", "B/../x"));
    assert!(matches!(error, Error::Link { .. }), "{error:?}");
    // From a folder of the archive, it is allowed.
    let folder = tempfile::tempdir().unwrap();
    let tar = Tar::new()
        .file("t/lib/x", 0o644, b"x")
        .symlink("t/bin/l", "../lib/x")
        .plain();
    untar_into(folder.path(), &tar, limits()).unwrap();
}

#[test]
fn a_cancelled_tree_stops() {
    let folder = tempfile::tempdir().unwrap();
    let cancel = Cancel::default();
    cancel.cancel();
    let mut tree = TreeWriter::new(
        folder.path().to_owned(),
        1,
        limits(),
        Links::default(),
        cancel,
    );
    let tar = Tar::new().file("t/x", 0o644, b"x").plain();
    assert!(matches!(
        untar(tar.as_slice(), &mut tree),
        Err(Error::Interrupted)
    ));
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_write_unpacked_files() {
    use std::os::unix::fs::PermissionsExt as _;
    let root = tempfile::tempdir().unwrap();
    let tar = Tar::new()
        .file("t/program", 0o4777, b"x")
        .file("t/file", 0o666, b"x")
        .plain();
    untar_into(root.path(), &tar, limits()).unwrap();
    let mode = |name: &str| {
        let metadata = std::fs::metadata(root.path().join(name)).unwrap();
        metadata.permissions().mode() & 0o7777
    };
    assert_eq!(mode("program"), 0o755);
    assert_eq!(mode("file") & 0o022, 0);
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_write_to_unpacked_folders_whatever_the_umask_is() {
    let unpack = "umask 0; exec \"$0\" --exact tests::unpacks_without_a_umask --ignored";
    let child = std::process::Command::new("sh")
        .args(["-c", unpack])
        .arg(std::env::current_exe().unwrap())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success(), "{said}");
    assert!(said.contains("1 passed"), "{said}");
}

#[cfg(unix)]
#[test]
#[ignore = "a part of only_the_owner_may_write_to_unpacked_folders_whatever_the_umask_is"]
fn unpacks_without_a_umask() {
    let tar = || {
        Tar::new()
            .folder("t/listed/")
            .file("t/implied/program", 0o777, b"x")
            .symlink("t/copy", "implied")
            .plain()
    };
    for links in [Links::LinkOrCopy, Links::Copy] {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_owned();
        let mut tree = TreeWriter::new(root.clone(), 1, limits(), links, Cancel::default());
        untar(tar().as_slice(), &mut tree).unwrap();
        for name in tree.finish().unwrap().keys() {
            assert_eq!(mode(&root.join(name)) & 0o022, 0, "{name}");
        }
    }
}

#[test]
fn the_limits_of_archives_are_those_of_the_documentation() {
    let page = include_str!("../../../docs/src/explanation/trust.md");
    let Limits { entries, depth, .. } = Limits::default();
    assert_eq!((entries, depth), (250_000, 100));
    assert!(page.contains("more than 250,000 entries, 100 nested folders"));
}

/// A pipe yields each byte once, so reading a byte twice would fail or give another digest.
#[cfg(unix)]
#[test]
fn streaming_formats_are_hashed_while_they_are_read() {
    let tar = || archives::tiny_julia("1.5.3", 1_000_000);
    for (format, bytes) in [
        (ArchiveFormat::TarGz, tar().gz()),
        (ArchiveFormat::TarZst, tar().zst()),
        (ArchiveFormat::TarXz, tar().xz()),
    ] {
        let expected = Sha256::of(&bytes);
        let (reader, mut sink) = std::io::pipe().unwrap();
        let writing = std::thread::spawn(move || sink.write_all(&bytes));
        let folder = tempfile::tempdir().unwrap();
        let mut tree = writer(folder.path(), limits());
        let archive = File::from(std::os::fd::OwnedFd::from(reader));
        let digest = unpack_hashed(format, archive, &mut tree).unwrap();
        writing.join().unwrap().unwrap();
        assert_eq!(digest, expected, "{format:?}");
        tree.finish().unwrap();
    }
}

#[test]
fn only_the_directory_of_a_zip_file_is_read_again_for_its_digest() {
    let bytes = archives::tiny_julia_zip("1.5.3", 3_000_000);
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&bytes).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut tree = writer(folder.path(), limits());
    let (digest, again) = super::zip::read_hashed(&file, &mut tree).unwrap();
    assert_eq!(digest, Sha256::of(&bytes));
    assert!(again < 10_000, "{again} of {}", bytes.len());
}

#[test]
fn the_digest_of_a_zip_file_covers_bytes_that_no_entry_contains() {
    let mut bytes = archives::tiny_julia_zip("1.5.3", 1000);
    let extra = bytes.clone();
    // Bytes before the archive, which no entry contains.
    bytes.splice(0..0, extra[..100].iter().copied());
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&bytes).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut tree = writer(folder.path(), limits());
    let (digest, again) = super::zip::read_hashed(&file, &mut tree).unwrap();
    assert_eq!(digest, Sha256::of(&bytes));
    assert_eq!(again, bytes.len() as u64);
}
