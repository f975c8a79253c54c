//! Searches a finished image for references to the build machine.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use aho_corasick::AhoCorasick;
use object::{Object, ObjectSection};
use sysforge_plan::portability::{FoundPath, PathKind, Portability};

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
