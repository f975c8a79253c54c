//! Small archives that demand large resources. A child process with little memory reads each of
//! them, so that a reader which trusts an archive's claims is killed.

use std::io::{self, Cursor, Read, Write};
use std::process::Command;

use ::tar::{EntryType, Header};

use super::*;

/// Memory limit of the child in bytes. It uses a tenth of this when it starts.
#[cfg(unix)]
const MEMORY: u64 = 512 << 20;

/// Keeps all names, like every real sink.
#[derive(Default)]
struct Names(Vec<String>);

impl Sink for Names {
    fn folder(&mut self, path: &str, _: u64) -> Result<(), Error> {
        self.0.push(path.to_owned());
        Ok(())
    }

    fn file(&mut self, path: &str, _: &FileEntry, content: &mut dyn Read) -> Result<(), Error> {
        self.0.push(path.to_owned());
        io::copy(content, &mut io::sink())
            .map(drop)
            .map_err(Error::reading)
    }

    fn symlink(&mut self, path: &str, target: &str, modified: u64) -> Result<(), Error> {
        self.0.push(target.to_owned());
        self.folder(path, modified)
    }

    fn hard_link(&mut self, path: &str, original: &str) -> Result<(), Error> {
        self.symlink(path, original, 0)
    }
}

fn header(kind: EntryType, name: &str, size: u64) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_size(size);
    header.set_cksum();
    header.as_bytes().to_vec()
}

/// Returns a header that announces a terabyte, followed by endless bytes.
fn endless(kind: EntryType) -> Box<dyn Read + Send> {
    Box::new(Cursor::new(header(kind, "t/x", 1 << 40)).chain(io::repeat(b'a')))
}

/// Returns endless entries.
fn entries(make: impl FnMut(u64) -> Vec<u8> + Send + 'static) -> Box<dyn Read + Send> {
    struct Made<I>(I, Cursor<Vec<u8>>);
    impl<I: Iterator<Item = Vec<u8>>> Read for Made<I> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.1.read(buffer)?;
            if count > 0 {
                return Ok(count);
            }
            self.1 = Cursor::new(self.0.next().unwrap_or_default());
            self.1.read(buffer)
        }
    }
    Box::new(Made((0..).map(make), Cursor::default()))
}

/// Returns an entry with an extension header for its name.
fn with_long_name(name: &str) -> Vec<u8> {
    let mut bytes = header(EntryType::GNULongName, "././@LongLink", name.len() as u64);
    bytes.extend_from_slice(name.as_bytes());
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes.extend(header(EntryType::Regular, "t/short", 0));
    bytes
}

/// Returns a directory of this many empty files that share their data.
fn zip_of_many(count: u64) -> Vec<u8> {
    let mut zip = b"PK\x03\x04\x14\0\0\0\0\0\0\0!\0".to_vec();
    zip.extend([0; 12]);
    zip.extend(*b"\x01\0\0\0x");
    let start = zip.len() as u64;
    for _ in 0..count {
        zip.extend(*b"PK\x01\x02\x14\x03\x14\0\0\0\0\0\0\0!\0");
        zip.extend([0; 12]);
        zip.extend(*b"\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0x");
    }
    let size = zip.len() as u64 - start;
    let end = zip.len() as u64;
    zip.extend(*b"PK\x06\x06");
    zip.extend(44_u64.to_le_bytes());
    zip.extend(*b"\x2d\0\x2d\0\0\0\0\0\0\0\0\0");
    for number in [count, count, size, start] {
        zip.extend(number.to_le_bytes());
    }
    zip.extend(*b"PK\x06\x07\0\0\0\0");
    zip.extend(end.to_le_bytes());
    zip.extend(*b"\x01\0\0\0PK\x05\x06\0\0\0\0");
    zip.extend([0xff; 12]);
    zip.extend([0; 2]);
    zip
}

/// Returns a zip file whose directory contains false numbers.
fn zip_with_false_counts() -> Vec<u8> {
    let mut zip = zip_of_many(1);
    // The numbers of entries, in the record of 56 bytes before the locator (20) and the end record
    // (22).
    let at = zip.len() - 20 - 22 - 56 + 24;
    for number in zip[at..at + 16].chunks_mut(8) {
        number.copy_from_slice(&(1_u64 << 40).to_le_bytes());
    }
    zip
}

/// Returns a 7-Zip file of one entry that this many LZMA2 decoders unpack, each with a dictionary of
/// 256 MiB. All numbers below 128 are one byte.
fn seven_z_of_decoders(count: u8) -> Vec<u8> {
    let packed = [0; 8];
    // Main streams; packed streams: at 0, one, their size.
    let mut header = vec![0x01, 0x04, 0x06, 0, 1, 0x09, packed.len() as u8, 0];
    // Unpacking: one block in this file, its decoders, each with an identifier and one property.
    header.extend([0x07, 0x0b, 1, 0, count]);
    for _ in 0..count {
        header.extend([0x21, 0x21, 1, 32]);
    }
    // The input of each is the output of the next.
    for decoder in 1..count {
        header.extend([decoder - 1, decoder]);
    }
    header.push(0x0c);
    header.extend(vec![1; count.into()]);
    // The end; no details about the files in the block; the end.
    header.extend([0, 0x08, 0, 0]);
    // Files: one, with a name.
    let name = [0, b'x', 0, 0, 0];
    header.extend([0x05, 1, 0x11, name.len() as u8]);
    header.extend(name);
    header.extend([0, 0]);

    let mut start = (packed.len() as u64).to_le_bytes().to_vec();
    start.extend((header.len() as u64).to_le_bytes());
    start.extend(crc32fast::hash(&header).to_le_bytes());
    let mut bytes = b"7z\xbc\xaf\x27\x1c\0\x04".to_vec();
    bytes.extend(crc32fast::hash(&start).to_le_bytes());
    bytes.extend(start);
    bytes.extend(packed);
    bytes.extend(header);
    bytes
}

/// A Zstandard frame with a window of 2 GiB.
const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00";

/// Returns an xz stream with a dictionary of 3 GiB.
fn xz() -> Vec<u8> {
    let mut bytes = b"\xfd7zXZ\0".to_vec();
    let mut sealed = |part: &[u8]| {
        bytes.extend_from_slice(part);
        bytes.extend(crc32fast::hash(part).to_le_bytes());
    };
    sealed(b"\x00\x01");
    sealed(b"\x02\x00\x21\x01\x27\0\0\0");
    bytes.extend([1; 64]);
    bytes
}

/// Returns bytes that decompress to `count` zeros.
fn zeros(count: u64) -> Vec<u8> {
    let mut tar = header(EntryType::Regular, "t/x", count);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&tar).unwrap();
    tar.resize(1 << 20, 0);
    tar.fill(0);
    for _ in 0..count >> 20 {
        encoder.write_all(&tar).unwrap();
    }
    encoder.finish().unwrap()
}

enum Bomb {
    Plain(Box<dyn Read + Send>),
    Packed(ArchiveFormat, Vec<u8>),
}

/// A bomb's name, its constructor, and the limit that the error names.
type Named = (&'static str, fn() -> Bomb, &'static str);

fn bombs() -> Vec<Named> {
    use Bomb::{Packed, Plain};
    vec![
        (
            "gnu-name",
            || Plain(endless(EntryType::GNULongName)),
            "bytes in a name",
        ),
        (
            "gnu-link",
            || Plain(endless(EntryType::GNULongLink)),
            "bytes in a name",
        ),
        (
            "pax",
            || Plain(endless(EntryType::XHeader)),
            "bytes in a name",
        ),
        (
            "pax-global",
            || Plain(endless(EntryType::XGlobalHeader)),
            "bytes in a name",
        ),
        (
            "file",
            || Plain(endless(EntryType::Regular)),
            "unpacked bytes",
        ),
        (
            "entries",
            || {
                Plain(entries(|n| {
                    header(EntryType::Regular, &format!("t/{n}"), 0)
                }))
            },
            "entries",
        ),
        (
            "extensions",
            || Plain(entries(|_| header(EntryType::XGlobalHeader, "t", 0))),
            "entries",
        ),
        (
            "names",
            || {
                let folder = format!("{}/", "n".repeat(200));
                Plain(entries(move |n| {
                    with_long_name(&format!("{n}/{}", folder.repeat(15)))
                }))
            },
            "bytes in all names",
        ),
        (
            "depth",
            || Plain(entries(|_| with_long_name(&"d/".repeat(1000)))),
            "folders inside one another",
        ),
        (
            "depth-15000",
            || Plain(entries(|_| with_long_name(&"d/".repeat(15_000)))),
            "bytes in a name",
        ),
        (
            "zip-entries",
            || Packed(ArchiveFormat::Zip, zip_of_many(300_000)),
            "entries",
        ),
        (
            "zip-lies",
            || Packed(ArchiveFormat::Zip, zip_with_false_counts()),
            "damaged",
        ),
        (
            "zstd-window",
            || Packed(ArchiveFormat::TarZst, ZSTD.to_vec()),
            "damaged",
        ),
        (
            "xz-dictionary",
            || Packed(ArchiveFormat::TarXz, xz()),
            "damaged",
        ),
        (
            "7z-dictionaries",
            || Packed(ArchiveFormat::SevenZ, seven_z_of_decoders(32)),
            "damaged",
        ),
        (
            "ratio",
            || Packed(ArchiveFormat::TarGz, zeros(200 << 20)),
            "unpacked bytes",
        ),
    ]
}

fn read_bomb(bomb: Bomb) -> Error {
    let guard = |packed| {
        let limits = Limits {
            packed,
            ..Limits::default()
        };
        Guarded::guard(Names::default(), 0, limits, Cancel::default())
    };
    match bomb {
        Bomb::Plain(bytes) => untar(bytes, &mut guard(None)).unwrap_err(),
        Bomb::Packed(format, bytes) => {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&bytes).unwrap();
            file.rewind().unwrap();
            let mut sink = guard(Some(bytes.len() as u64));
            unpack_hashed(format, file, &mut sink).unwrap_err()
        }
    }
}

#[test]
fn every_bomb_is_refused_with_little_memory() {
    for (name, _, unit) in bombs() {
        let child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "bombs_tests::reads_one_bomb",
                "--ignored",
                "--nocapture",
            ])
            .env("SYSFORGE_TEST_BOMB", name)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&child.stdout);
        let failed = String::from_utf8_lossy(&child.stderr);
        assert!(
            child.status.success(),
            "{name}: {}\n{said}\n{failed}",
            child.status
        );
        let error = said.lines().find_map(|line| line.split_once("refused: "));
        assert!(
            error.is_some_and(|(_, error)| error.ends_with(unit) || error.contains("damaged")),
            "{name}: {said}"
        );
        assert!(
            unit == "damaged" || !said.contains("damaged"),
            "{name}: {said}"
        );
    }
}

#[test]
#[ignore = "a part of every_bomb_is_refused_with_little_memory"]
fn reads_one_bomb() {
    let Ok(wanted) = std::env::var("SYSFORGE_TEST_BOMB") else {
        return;
    };
    let (_, make, _) = bombs()
        .into_iter()
        .find(|(name, ..)| *name == wanted)
        .unwrap();
    let bomb = make();
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        let limit = Some(MEMORY);
        let limit = Rlimit {
            current: limit,
            maximum: limit,
        };
        setrlimit(Resource::As, limit).unwrap();
    }
    println!("refused: {}", read_bomb(bomb));
}

#[test]
fn the_dictionaries_of_one_7z_block_count_together() {
    let said = |count| {
        let bytes = seven_z_of_decoders(count);
        read_bomb(Bomb::Packed(ArchiveFormat::SevenZ, bytes)).to_string()
    };
    let memory = "the archive is damaged: unpacking it takes more than 300 MiB of memory";
    assert_eq!(said(2), memory);
    // The content of this one is not valid, either.
    assert_ne!(said(1), memory);
}

#[test]
fn zip_entries_that_share_their_data_are_refused() {
    let read = |count| {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&zip_of_many(count)).unwrap();
        let (limits, cancel) = (Limits::default(), Cancel::default());
        let mut sink = Guarded::guard(Names::default(), 0, limits, cancel);
        unpack_file(ArchiveFormat::Zip, file, &mut sink)
    };
    read(1).unwrap();
    for count in [2, 10_000] {
        let error = read(count).unwrap_err().to_string();
        assert!(error.contains("share their data"), "{count}: {error}");
    }
}

#[test]
fn resolving_links_takes_bounded_time() {
    // Each link leads through a hundred folders to the next one.
    let folder = tempfile::tempdir().unwrap();
    let (limits, cancel) = (Limits::default(), Cancel::default());
    let root = folder.path().to_owned();
    let mut tree = TreeWriter::new(root, 0, limits, Links::default(), cancel);
    let detour = "f/../".repeat(40);
    tree.folder(b"f", 0).unwrap();
    for n in 0..10_000 {
        // A ring of at most 39 links, each with its own detour.
        let next = if n % 39 == 0 {
            "f".to_owned()
        } else {
            format!("l{}", n - 1)
        };
        let target = format!("{detour}{next}");
        tree.symlink(format!("l{n}").as_bytes(), target.as_bytes(), 0)
            .unwrap();
    }
    let error = tree.finish().unwrap_err();
    assert!(matches!(error, Error::TooMuch { .. }), "{error}");
}
