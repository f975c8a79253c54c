//! Interrupted downloads: the bytes received so far, and the server's validator, so that the next
//! attempt can resume.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// The bytes received so far, with a note in a separate file. Only the holder of the entry's lock
/// may access them.
#[derive(Debug, Clone)]
pub(crate) struct Partial {
    bytes: PathBuf,
    note: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Note {
    url: String,
    validator: Option<String>,
}

impl Partial {
    pub(super) fn new(bytes: PathBuf) -> Self {
        let note = bytes.with_extension("json");
        Self { bytes, note }
    }

    /// Returns the path of the file with the bytes.
    pub(crate) fn path(&self) -> &Path {
        &self.bytes
    }

    /// Returns the number of bytes saved for this address, and the server's validator for them.
    pub(crate) fn resume(&self, url: &str) -> (u64, Option<String>) {
        let note = sysforge_files::read_bytes(&self.note)
            .ok()
            .and_then(|json| serde_json::from_slice::<Note>(&json).ok())
            .filter(|note| note.url == url);
        match (note, fs::metadata(&self.bytes)) {
            (Some(note), Ok(metadata)) => (metadata.len(), note.validator),
            _ => (0, None),
        }
    }

    /// Opens the file to continue after `keep` bytes. The note is written first: bytes without a
    /// note are never resumed.
    pub(crate) fn open(
        &self,
        keep: u64,
        url: &str,
        validator: Option<&str>,
    ) -> Result<File, Error> {
        super::make_parent(&self.bytes)?;
        let file =
            sysforge_files::open_or_create(&self.bytes).map_err(Error::io("write", &self.bytes))?;
        file.set_len(keep)
            .map_err(Error::io("write", &self.bytes))?;
        let note = Note {
            url: url.to_owned(),
            validator: validator.map(str::to_owned),
        };
        // A note that is cut short is no note, so it needs no temporary file, which a killed process would
        // leave behind.
        let json = serde_json::to_vec(&note).map_err(io::Error::other);
        json.and_then(|json| {
            let mut file = sysforge_files::open_or_create(&self.note)?;
            file.set_len(0)?;
            file.write_all(&json)
        })
        .map_err(Error::io("write", &self.note))?;
        Ok(file)
    }

    /// Removes both files, if they exist. If that fails, `prune` removes them later.
    pub(crate) fn remove(&self) {
        let _ = fs::remove_file(&self.bytes);
        let _ = fs::remove_file(&self.note);
    }
}
