//! Archives: the first byte of the input selects the format of the rest, and whether links are
//! allowed on this machine. Whatever the archive contains, nothing may appear outside of the
//! folder, and nothing except files, folders and links that stay inside may appear in it.

use std::io::Write;
use std::path::Path;

use sysforge_archive::{self as unpack, Cancel, Limits, Links, TreeWriter};
use sysforge_plan::ArchiveFormat;

/// Checks one input.
pub(crate) fn check(input: &[u8]) {
    let Some((format, bytes)) = input.split_first() else {
        return;
    };
    let outer = tempfile::tempdir().unwrap();
    let root = outer.path().join("root");
    std::fs::create_dir(&root).unwrap();
    let limits = Limits {
        bytes: 1 << 20,
        entries: 1000,
        names: 100_000,
        packed: Some(bytes.len() as u64),
        ..Limits::default()
    };
    let links = if format & 0x80 == 0 {
        Links::default()
    } else {
        Links::Copy
    };
    let mut tree = TreeWriter::new(root.clone(), 1, limits, links, Cancel::default());
    let stream = |format, tree: &mut TreeWriter| unpack::unpack_stream(format, bytes, tree);
    let file = |format, tree: &mut TreeWriter| {
        let mut archive = tempfile::tempfile().unwrap();
        archive.write_all(bytes).unwrap();
        unpack::unpack_file(format, archive, tree)
    };
    // Uncompressed tar files come first: mutations get further without a checksum.
    let outcome = match format & 0x7f {
        0 | 1 => unpack::untar(bytes, &mut tree),
        2 => stream(ArchiveFormat::TarGz, &mut tree),
        3 => stream(ArchiveFormat::TarXz, &mut tree),
        4 => file(ArchiveFormat::Zip, &mut tree),
        5 => file(ArchiveFormat::SevenZ, &mut tree),
        _ => stream(ArchiveFormat::TarZst, &mut tree),
    };
    if outcome.is_ok()
        && let Ok(listing) = tree.finish()
    {
        // Every listed path exists, and every existing path is listed.
        assert_eq!(listing.len(), count(&root));
    }
    assert_eq!(std::fs::read_dir(outer.path()).unwrap().count(), 1);
    let root = root.canonicalize().unwrap();
    check_tree(&root, &root, links);
}

fn count(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap();
    let below = |path: &Path| {
        let kind = std::fs::symlink_metadata(path).unwrap().file_type();
        if kind.is_dir() { count(path) } else { 0 }
    };
    entries.map(|entry| 1 + below(&entry.unwrap().path())).sum()
}

fn check_tree(folder: &Path, root: &Path, links: Links) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let kind = std::fs::symlink_metadata(&path).unwrap().file_type();
        if kind.is_symlink() {
            assert_eq!(links, Links::LinkOrCopy);
            // A dangling link resolves to nothing; every other one stays inside.
            if let Ok(end) = path.canonicalize() {
                assert!(
                    end.starts_with(root),
                    "{} -> {}",
                    path.display(),
                    end.display()
                );
            }
        } else if kind.is_dir() {
            check_tree(&path, root, links);
        } else {
            assert!(kind.is_file(), "{}", path.display());
        }
    }
}
