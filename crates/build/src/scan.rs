//! Searches a finished image for references to the build machine, and for the artifacts that it names.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use aho_corasick::AhoCorasick;
use object::{Object, ObjectSection};
use sysforge_plan::portability::{FoundPath, PathKind, Portability};
use sysforge_plan::text::TreeHash;

use crate::buffered_seek::BufferedSeek;
use crate::inspect::inspect;

/// The number of bytes searched at once.
const CHUNK: usize = 1 << 20;

/// The maximum length of a path that is read completely.
const LONGEST: usize = 4096;

/// Searches an image for paths in any of `roots` (the project, the depots, the home folder, the
/// build directory) but not in `julia`, which Julia locates at every start, and determines the
/// oldest system that can load it. Does not look for artifacts.
///
/// # Errors
///
/// If the image cannot be read.
pub fn scan(image: &Path, roots: &[PathBuf], julia: &Path) -> io::Result<Portability> {
    let inspection = inspect(image).ok();
    let mut paths = summed(paths_in(loaded(image)?, roots)?, roots, julia);
    paths.retain(may_matter);
    Ok(Portability {
        oldest_system: inspection.and_then(|image| image.oldest_system),
        paths,
        artifacts: Vec::new(),
    })
}

/// Returns the artifacts installed in `depots` whose tree hashes the image contains, each with its
/// folder. Among them are those of packages whose sources are not on this machine, such as packages
/// in the base image.
///
/// # Errors
///
/// If the image cannot be read. Depots that cannot be read are skipped.
pub fn artifacts(image: &Path, depots: &[PathBuf]) -> io::Result<BTreeMap<TreeHash, PathBuf>> {
    let mut installed = BTreeMap::new();
    for depot in depots {
        let entries = std::fs::read_dir(depot.join("artifacts"));
        for entry in entries.into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            // An artifact may be a link to a folder.
            if let (Ok(tree), true) = (TreeHash::new(&name), entry.path().is_dir()) {
                installed.entry(tree).or_insert_with(|| entry.path());
            }
        }
    }
    let trees: Vec<TreeHash> = installed.keys().cloned().collect();
    let named = named_trees(loaded(image)?, &trees)?;
    installed.retain(|tree, _| named.contains(tree));
    Ok(installed)
}

/// Returns the tree hashes that occur in `reader`: as text, as in the content of an `Artifacts.toml`,
/// or as bytes, as in a `Base.SHA1`.
fn named_trees(mut reader: impl Read, trees: &[TreeHash]) -> io::Result<BTreeSet<TreeHash>> {
    let mut needles = Vec::new();
    for tree in trees {
        needles.push((tree, tree.as_bytes().to_owned()));
        needles.extend(hex::decode(tree.as_bytes()).map(|bytes| (tree, bytes)));
    }
    let mut named = BTreeSet::new();
    let Some(longest) = needles.iter().map(|(_, needle)| needle.len()).max() else {
        return Ok(named);
    };
    let searcher = AhoCorasick::new(needles.iter().map(|(_, needle)| needle));
    let searcher = searcher.map_err(io::Error::other)?;
    let mut buffer = Vec::new();
    while (&mut reader).take(CHUNK as u64).read_to_end(&mut buffer)? > 0 {
        let hits = searcher.find_overlapping_iter(&buffer);
        named.extend(hits.map(|hit| needles[hit.pattern().as_usize()].0.clone()));
        // One that continues past the end of the buffer is found in the next iteration.
        buffer.drain(..buffer.len().saturating_sub(longest - 1));
    }
    Ok(named)
}

/// Returns whether a path may matter at run time. The paths of package caches, which Julia records,
/// are never read when an image runs.
fn may_matter(found: &FoundPath) -> bool {
    let path = Path::new(&found.path);
    let cache = path.extension().is_some_and(|extension| extension == "ji")
        || found.path.replace('\\', "/").contains("/compiled/v");
    found.kind == PathKind::Source || !cache
}

/// Returns the parts of an image that are loaded at run time, because debug sections name many
/// folders, which only debuggers use. Returns all of a file that is not a library.
fn loaded(image: &Path) -> io::Result<Box<dyn Read>> {
    let cache = BufferedSeek::cache(File::open(image)?);
    let Ok(file) = object::File::parse(&cache) else {
        return Ok(Box::new(File::open(image)?));
    };
    let mut all: Box<dyn Read> = Box::new(io::empty());
    for section in file.sections() {
        let name = section.name().unwrap_or_default();
        // `.debug_str`, `__debug_str`, or compressed, `.zdebug_str`.
        let debug = name
            .trim_start_matches(['.', '_', 'z'])
            .starts_with("debug");
        let Some((start, length)) = section.file_range().filter(|_| !debug) else {
            continue;
        };
        let mut part = File::open(image)?;
        part.seek(SeekFrom::Start(start))?;
        all = Box::new(all.chain(part.take(length)));
    }
    Ok(all)
}

/// Merges source files into one row for each root.
fn summed(paths: Vec<FoundPath>, roots: &[PathBuf], julia: &Path) -> Vec<FoundPath> {
    let mut rows: BTreeMap<(PathKind, String), usize> = BTreeMap::new();
    for FoundPath {
        kind, path, times, ..
    } in paths
    {
        if Path::new(&path).starts_with(julia) {
            continue;
        }
        let longest = roots
            .iter()
            .filter(|root| kind == PathKind::Source && Path::new(&path).starts_with(root))
            .max_by_key(|root| root.as_os_str().len());
        let path = longest.map_or(path, |root| root.display().to_string());
        *rows.entry((kind, path)).or_default() += times;
    }
    rows.into_iter()
        .map(|((kind, path), times)| FoundPath {
            kind,
            path,
            times,
            needed: None,
        })
        .collect()
}

/// Returns the paths in `roots` that occur in `reader`, without duplicates.
fn paths_in(mut reader: impl Read, roots: &[PathBuf]) -> io::Result<Vec<FoundPath>> {
    // Julia often writes `/` on Windows too.
    let spellings = roots.iter().flat_map(|root| {
        let text = root.to_string_lossy().into_owned();
        [text.replace('\\', "/"), text]
    });
    // The root of a file system is a prefix of every path.
    let mut needles: Vec<String> = spellings.filter(|text| text.len() > 3).collect();
    needles.sort();
    needles.dedup();
    // Matches the longest root, so that a path is not found twice.
    let searcher = AhoCorasick::builder()
        .match_kind(aho_corasick::MatchKind::LeftmostLongest)
        .build(&needles)
        .map_err(io::Error::other)?;

    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    let mut buffer = Vec::new();
    let mut ended = false;
    while !ended {
        ended = (&mut reader).take(CHUNK as u64).read_to_end(&mut buffer)? == 0;
        // A path that may continue past the end of the buffer is left for the next iteration.
        let limit = match ended {
            true => buffer.len(),
            false => buffer.len().saturating_sub(LONGEST),
        };
        let mut next = limit;
        for hit in searcher.find_iter(&buffer) {
            if hit.start() >= limit {
                break;
            }
            let length = path_length(&buffer[hit.start()..]);
            let path = &buffer[hit.start()..hit.start() + length];
            // `/home/me` does not contain `/home/meyer`.
            let separated = [None, Some(&b'/'), Some(&b'\\')].contains(&path.get(hit.len()));
            if separated && let Ok(path) = std::str::from_utf8(path) {
                *found.entry(path.to_owned()).or_default() += 1;
            }
            next = next.max(hit.start() + hit.len());
        }
        buffer.drain(..next.min(buffer.len()));
    }
    let mut paths: Vec<FoundPath> = found
        .into_iter()
        .map(|(path, times)| FoundPath {
            kind: PathKind::of(&path),
            path,
            times,
            needed: None,
        })
        .collect();
    paths.sort();
    Ok(paths)
}

/// Returns the length of the path at the start of `bytes`, up to the first byte that ends one in a
/// binary or a message.
fn path_length(bytes: &[u8]) -> usize {
    let ends = |byte: &u8| byte.is_ascii_control() || b"\"'`*?<>|\x7f".contains(byte);
    let bytes = &bytes[..bytes.len().min(LONGEST)];
    bytes.iter().position(ends).unwrap_or(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(bytes: &[u8], roots: &[&str]) -> Vec<(PathKind, String, usize)> {
        let roots: Vec<_> = roots.iter().map(PathBuf::from).collect();
        let paths = paths_in(bytes, &roots).unwrap();
        let rows = paths.into_iter();
        rows.map(|found| (found.kind, found.path, found.times))
            .collect()
    }

    #[test]
    fn paths_are_found_once_and_told_apart() {
        let bytes = b"\0/home/me/P/src/P.jl\0\x01/home/me/P/data/t.csv\0/home/meyer/x\0/home/me/P/src/P.jl\0";
        assert_eq!(
            found(bytes, &["/home/me", "/home/me/P", "/"]),
            [
                (PathKind::MaybeNeeded, "/home/me/P/data/t.csv".to_owned(), 1),
                (PathKind::Source, "/home/me/P/src/P.jl".to_owned(), 2),
            ]
        );
    }

    #[test]
    fn sources_are_summed_up_and_julias_own_left_out() {
        let bytes = b"\0/home/me/P/src/P.jl\0/home/me/P/src/Q.jl\0/home/me/P/x\0/home/me/j/share\0";
        let roots = ["/home/me", "/home/me/P"].map(PathBuf::from);
        let found = paths_in(&bytes[..], &roots).unwrap();
        let rows = summed(found, &roots, Path::new("/home/me/j"));
        let rows: Vec<_> = rows
            .iter()
            .map(|row| (row.path.as_str(), row.times))
            .collect();
        assert_eq!(rows, [("/home/me/P/x", 1), ("/home/me/P", 2)]);
    }

    #[test]
    fn caches_of_packages_are_not_listed() {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("image.so");
        let caches =
            "/home/me/.julia/compiled/v1.10/CSV/x.ji\0/home/me/.julia/compiled/v1.10/CSV/x.so";
        std::fs::write(&image, format!("{caches}\0/home/me/table.csv\0")).unwrap();
        let found = scan(&image, &["/home/me".into()], Path::new("/opt/julia")).unwrap();
        let paths: Vec<_> = found.paths.iter().map(|found| &*found.path).collect();
        assert_eq!(paths, ["/home/me/table.csv"]);
    }

    #[test]
    fn installed_artifacts_are_found_by_their_hashes_as_text_and_as_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let trees = ["a1", "b2", "c3", "d4"].map(|two| two.repeat(20));
        let [text, bytes, absent, not_installed] = &trees;
        let (own, shipped) = (folder.path().join("own"), folder.path().join("shipped"));
        for tree in [text, absent] {
            std::fs::create_dir_all(own.join("artifacts").join(tree)).unwrap();
        }
        for tree in [text, bytes] {
            std::fs::create_dir_all(shipped.join("artifacts").join(tree)).unwrap();
        }
        std::fs::write(own.join("artifacts/Overrides.toml"), "").unwrap();
        // Both lie across the end of a chunk.
        for at in [CHUNK - 39, CHUNK - 1, 2 * CHUNK - 21] {
            let mut content = vec![0; 3 * CHUNK];
            content[at..at + 40].copy_from_slice(text.as_bytes());
            content[at + CHUNK..at + CHUNK + 20].copy_from_slice(&[0xb2; 20]);
            content[..40].copy_from_slice(not_installed.as_bytes());
            let image = folder.path().join("image.so");
            std::fs::write(&image, content).unwrap();
            let found = artifacts(&image, &[own.clone(), shipped.clone()]).unwrap();
            let found: Vec<_> = found
                .into_iter()
                .map(|(tree, at)| (tree.to_string(), at))
                .collect();
            let folders = [
                (text.clone(), own.join("artifacts").join(text)),
                (bytes.clone(), shipped.join("artifacts").join(bytes)),
            ];
            assert_eq!(found, folders, "at {at}");
        }
        let nothing = artifacts(&folder.path().join("image.so"), &[]).unwrap();
        assert!(nothing.is_empty());
    }

    #[test]
    fn nothing_is_lost_or_counted_twice_where_two_chunks_meet() {
        let path = b"/home/me/data/table.csv\0";
        for position in [
            CHUNK - 5,
            CHUNK - LONGEST - 5,
            CHUNK - LONGEST,
            CHUNK - LONGEST - path.len(),
            2 * CHUNK - LONGEST + 1,
        ] {
            let mut bytes = vec![0; 3 * CHUNK];
            bytes[position..position + path.len()].copy_from_slice(path);
            let rows = found(&bytes, &["/home/me"]);
            assert_eq!(rows.len(), 1, "at {position}: {rows:?}");
            assert_eq!(rows[0].2, 1, "at {position}");
        }
    }
}
