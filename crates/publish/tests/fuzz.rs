//! The checks of the fuzz targets, with the initial corpora and simple mutations of them. So the checks
//! compile and hold in every test run; `ci/fuzz` runs them for longer, guided by coverage.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

#[path = "../../../fuzz/checks/archive.rs"]
mod archive;
#[path = "../../../fuzz/checks/catalogue.rs"]
mod catalogue;
#[path = "../../../fuzz/checks/notes.rs"]
mod notes;
#[path = "../../../fuzz/checks/project.rs"]
mod project;
#[path = "../../../fuzz/checks/receipt.rs"]
mod receipt;
#[path = "../../../fuzz/checks/release_index.rs"]
mod release_index;
#[path = "../../../fuzz/checks/sums.rs"]
mod sums;

/// Number of mutations of each input.
const MUTATIONS: u32 = 40;

/// Maximum number of changes in one mutation.
const CHANGES: usize = 4;

/// A pseudo-random generator (xorshift64*) that yields the same numbers in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(number).unwrap() % limit.max(1)
    }

    /// Returns the bounds of a part of `length` bytes.
    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        start..start + self.below((length - start).min(64) + 1)
    }

    /// Changes an input at a few places, with parts of `other`.
    fn mutate(&mut self, input: &mut Vec<u8>, other: &[u8]) {
        const BYTES: &[u8] = b"\0\xff\x80/.\\\n\"'0 9{}[]=:@-";
        for _ in 0..=self.below(CHANGES) {
            let at = self.below(input.len() + 1);
            match self.below(6) {
                0 if at < input.len() => input[at] ^= 1 << self.below(8),
                1 if at < input.len() => input[at] = BYTES[self.below(BYTES.len())],
                2 => drop(input.drain(self.range(input.len()))),
                3 => {
                    let part = input[self.range(input.len())].to_vec();
                    input.splice(at..at, part);
                }
                4 => {
                    let part = other[self.range(other.len())].to_vec();
                    input.splice(at..at, part);
                }
                _ if self.below(8) == 0 => input.truncate(at),
                _ => {}
            }
        }
    }
}

/// Corrects the checksums of the headers in a tar file, so that a mutation is not refused for them.
fn correct_checksums(tar: &mut [u8]) {
    for header in tar.chunks_exact_mut(512) {
        if &header[257..262] == b"ustar" {
            header[148..156].fill(b' ');
            let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
            header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    sysforge_testkit::fuzz_corpus::write_to(folder.path());
    let mut files: Vec<_> = std::fs::read_dir(folder.path().join(target))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let read = |path: &std::path::PathBuf| std::fs::read(path).unwrap();
    files.iter().map(read).collect()
}

/// Runs a check with the corpus of its target and with mutations, and names the input that fails.
fn holds(target: &str, check: fn(&[u8]), correct: fn(&mut [u8])) {
    let corpus = corpus(target);
    let run = |input: &[u8], what: &str| {
        if catch_unwind(AssertUnwindSafe(|| check(input))).is_err() {
            let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{target}-input"));
            std::fs::write(&path, input).unwrap();
            panic!("{what} fails; it is in {}", path.display());
        }
    };
    let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
    for (index, seed) in corpus.iter().enumerate() {
        run(seed, &format!("input {index}"));
        for number in 0..MUTATIONS {
            let mut input = seed.clone();
            let other = numbers.below(corpus.len());
            numbers.mutate(&mut input, &corpus[other]);
            correct(&mut input);
            run(&input, &format!("mutation {number} of input {index}"));
        }
    }
}

fn unchanged(_: &mut [u8]) {}

#[test]
fn archives() {
    holds("archive", archive::check, |input| {
        // The first byte selects the format: these are uncompressed tar files.
        if let Some((0 | 1 | 0x80, tar)) = input.split_first_mut() {
            correct_checksums(tar);
        }
    });
}

#[test]
fn catalogues_and_requests() {
    holds("catalogue", catalogue::check, unchanged);
}

#[test]
fn notes_of_installed_images() {
    holds("notes", notes::check, unchanged);
}

#[test]
fn files_of_a_project() {
    holds("project", project::check, unchanged);
}

#[test]
fn receipts() {
    holds("receipt", receipt::check, unchanged);
}

#[test]
fn release_indexes() {
    holds("release_index", release_index::check, unchanged);
}

#[test]
fn lists_of_checksums() {
    holds("sums", sums::check, unchanged);
}
