//! A mirror of Julia releases in a folder: a catalogue, and archives in the official layout.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use sysforge_plan::catalogue::{CATALOGUE_PATH, OFFICIAL_SERVER};
use sysforge_plan::{JuliaVersion, Triplet};

/// A folder with the layout of Julia's server.
pub struct MirrorDir {
    folder: tempfile::TempDir,
    catalogue: Map<String, Value>,
}

impl Default for MirrorDir {
    fn default() -> Self {
        Self::new()
    }
}

impl MirrorDir {
    /// A mirror with an empty catalogue.
    pub fn new() -> Self {
        let mirror = Self {
            folder: tempfile::tempdir().unwrap(),
            catalogue: Map::new(),
        };
        mirror.write_catalogue();
        mirror
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The path of an archive, relative to the folder.
    pub fn archive_path(version: &str, triplet: Triplet) -> String {
        let parsed: JuliaVersion = version.parse().unwrap();
        format!(
            "bin/{}/{}.{}/julia-{version}-{}.tar.gz",
            triplet.server_folder(),
            parsed.major(),
            parsed.minor(),
            triplet.server_suffix()
        )
    }

    /// Publishes an archive, and returns its path.
    pub fn publish(&mut self, version: &str, triplet: Triplet, archive: &[u8]) -> PathBuf {
        self.publish_with(version, triplet, archive, |_| {})
    }

    /// Like [`Self::publish`], and lets `edit` change the catalogue's entry.
    pub fn publish_with(
        &mut self,
        version: &str,
        triplet: Triplet,
        archive: &[u8],
        edit: impl FnOnce(&mut Map<String, Value>),
    ) -> PathBuf {
        let path = Self::archive_path(version, triplet);
        let place = self.path().join(&path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(&place, archive).unwrap();
        let digest: String = Sha256::digest(archive)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let mut file = Map::from_iter([
            ("url".to_owned(), json!(format!("{OFFICIAL_SERVER}/{path}"))),
            ("triplet".to_owned(), json!(triplet.name())),
            ("kind".to_owned(), json!("archive")),
            ("extension".to_owned(), json!("tar.gz")),
            ("version".to_owned(), json!(version)),
            ("sha256".to_owned(), json!(digest)),
            ("size".to_owned(), json!(archive.len())),
        ]);
        edit(&mut file);
        let stable = !version.contains('-');
        let entry = self
            .catalogue
            .entry(version.to_owned())
            .or_insert_with(|| json!({"stable": stable, "files": []}));
        entry["files"].as_array_mut().unwrap().push(file.into());
        self.write_catalogue();
        place
    }

    fn write_catalogue(&self) {
        let place = self.path().join(CATALOGUE_PATH);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, serde_json::to_vec_pretty(&self.catalogue).unwrap()).unwrap();
    }
}
