//! Reads small pieces of large files. The names of an image's symbols are adjacent: seeking and
//! reading for each of some 20,000 takes as long as linking.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use object::read::ReadCache;

/// A file that keeps its buffer when seeking within it.
pub(crate) struct BufferedSeek {
    file: BufReader<File>,
    position: u64,
}

impl BufferedSeek {
    /// Returns a cache over a file, from its start, for the parsers of `object`.
    pub(crate) fn cache(file: File) -> ReadCache<Self> {
        ReadCache::new(Self {
            file: BufReader::with_capacity(64 << 10, file),
            position: 0,
        })
    }
}

impl Read for BufferedSeek {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read(buffer)?;
        self.position += length as u64;
        Ok(length)
    }
}

impl Seek for BufferedSeek {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.position = match to {
            SeekFrom::Start(position) => {
                let by = i128::from(position) - i128::from(self.position);
                let by = i64::try_from(by).map_err(io::Error::other)?;
                self.file.seek_relative(by)?;
                position
            }
            other => self.file.seek(other)?,
        };
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_has_its_bytes() {
        let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        let bytes: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
        std::fs::write(&path, &bytes).unwrap();
        let mut reader = BufferedSeek {
            file: BufReader::new(File::open(&path).unwrap()),
            position: 0,
        };
        assert_eq!(reader.seek(SeekFrom::End(0)).unwrap(), bytes.len() as u64);
        for position in [0_usize, 5, 4, 100_000, 99_990, 7, 1_199_990] {
            reader.seek(SeekFrom::Start(position as u64)).unwrap();
            let mut read = [0; 10];
            reader.read_exact(&mut read).unwrap();
            assert_eq!(read, bytes[position..position + 10]);
        }
    }
}
