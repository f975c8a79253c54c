//! Reads gzip data. flate2 parses the headers and inflates; `crc32fast` computes the checksum here,
//! because flate2's own took an eighth of the time of the slowest thread.

use std::io::{self, BufRead, ErrorKind, Read};
use std::mem;

use flate2::bufread::{DeflateDecoder, GzDecoder};

/// Decompresses one or more members of a gzip file (RFC 1952). Bytes after the last member are not
/// consumed, as in gzip(1).
pub(super) struct Gzip<R> {
    state: State<R>,
    crc32: crc32fast::Hasher,
}

enum State<R> {
    /// Before the header of a member.
    Header {
        reader: R,
        first: bool,
    },
    Body(DeflateDecoder<R>),
    End,
}

impl<R: BufRead> Gzip<R> {
    pub(super) fn new(reader: R) -> Self {
        Self {
            state: State::Header {
                reader,
                first: true,
            },
            crc32: crc32fast::Hasher::new(),
        }
    }

    /// Reads the checksum and the length that follow the body, both little-endian.
    fn check(&mut self, body: DeflateDecoder<R>) -> io::Result<R> {
        let length = body.total_out();
        let mut reader = body.into_inner();
        let mut trailer = [0; 8];
        reader.read_exact(&mut trailer)?;
        let crc32 = mem::take(&mut self.crc32).finalize();
        // The file contains the low 32 bits of the length.
        let told = (u64::from(crc32) | (length << 32)).to_le_bytes();
        if trailer != told {
            return Err(io::Error::new(
                ErrorKind::InvalidData,
                "the checksum of the gzip data does not match",
            ));
        }
        Ok(reader)
    }
}

impl<R: BufRead> Read for Gzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let State::Body(body) = &mut self.state {
                let count = body.read(buffer)?;
                if count > 0 || buffer.is_empty() {
                    self.crc32.update(&buffer[..count]);
                    return Ok(count);
                }
            }
            self.state = match mem::replace(&mut self.state, State::End) {
                State::Header { reader, first } => begin(reader, first)?,
                State::Body(body) => State::Header {
                    reader: self.check(body)?,
                    first: false,
                },
                State::End => return Ok(0),
            };
        }
    }
}

/// Reads the header of a member, if there is one.
fn begin<R: BufRead>(mut reader: R, first: bool) -> io::Result<State<R>> {
    const MAGIC: u8 = 0x1f;
    if !first && reader.fill_buf()?.first() != Some(&MAGIC) {
        return Ok(State::End);
    }
    let mut header = GzDecoder::new(&mut reader);
    if header.header().is_none() {
        // The decoder reports this error when it is read from.
        let kept = header.read(&mut [0]).err();
        return Err(kept.unwrap_or_else(|| ErrorKind::UnexpectedEof.into()));
    }
    Ok(State::Body(DeflateDecoder::new(reader)))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, GzBuilder};

    use super::*;

    fn member(text: &[u8]) -> Vec<u8> {
        let builder = GzBuilder::new().filename("name").comment("words");
        let mut packer = builder.write(Vec::new(), Compression::default());
        packer.write_all(text).unwrap();
        packer.finish().unwrap()
    }

    fn unpacked(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        // Chunks of three bytes split every field.
        let pieces = io::BufReader::with_capacity(3, bytes);
        Gzip::new(pieces).read_to_end(&mut all)?;
        Ok(all)
    }

    #[test]
    fn members_are_read_in_order_and_bytes_after_the_last_are_ignored() {
        let long = vec![7; 100_000];
        assert_eq!(unpacked(&member(&long)).unwrap(), long);
        let two = [member(b"one "), member(b""), member(b"two")].concat();
        assert_eq!(unpacked(&two).unwrap(), b"one two");
        for rest in [&b"\0\0\0\0"[..], b"rest"] {
            let padded = [&two, rest].concat();
            assert_eq!(unpacked(&padded).unwrap(), b"one two");
        }
    }

    #[test]
    fn every_wrong_or_missing_byte_is_detected() {
        let whole = member(b"some words, some words");
        for length in 0..whole.len() {
            unpacked(&whole[..length]).unwrap_err();
        }
        let data = 10 + b"name\0words\0".len();
        for at in (0..3).chain(data..whole.len()) {
            let mut spoilt = whole.clone();
            spoilt[at] ^= 0x10;
            let read = unpacked(&spoilt);
            assert!(read.is_err(), "{at}: {read:?}");
        }
        let begun = [&member(b"one")[..], &whole[..8]].concat();
        unpacked(&begun).unwrap_err();
    }
}
