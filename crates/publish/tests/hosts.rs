//! The requirements on a release host, shown by a minimal one: it stores the bytes that a
//! `ReleaseBundle` names, in its order. It does not need to know what a release consists of.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};

use sysforge_plan::Sha256;
use sysforge_plan::release::{INDEX_NAME, ReleaseIndex};
use sysforge_publish::release_bundle::{Asset, Content, Destination, Kind};
use sysforge_publish::{Dist, Origin, ReleaseBundle};
use sysforge_testkit::github::make_build;

/// Files by name.
#[derive(Default)]
struct Shelf(BTreeMap<String, Vec<u8>>);

impl Shelf {
    fn publish(&mut self, bundle: &ReleaseBundle) {
        for asset in &bundle.assets {
            let bytes = bytes_of(asset);
            let digest = Sha256::of(&bytes);
            assert_eq!(digest, asset.sha256, "{}", asset.name);
            self.0.insert(asset.name.clone(), bytes);
        }
    }
}

fn bytes_of(asset: &Asset) -> Vec<u8> {
    match &asset.content {
        Content::Memory(bytes) => bytes.to_vec(),
        Content::File { path, offset } => {
            let mut file = std::fs::File::open(path).unwrap();
            file.seek(SeekFrom::Start(*offset)).unwrap();
            let mut bytes = Vec::new();
            file.take(asset.size).read_to_end(&mut bytes).unwrap();
            bytes
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_keeps_what_a_shipment_names() {
    let folder = tempfile::tempdir().unwrap();
    make_build(folder.path(), "x86_64-linux-gnu", &[7; 1000]);
    let dist = Dist::read(folder.path()).await.unwrap();
    let destination = Destination {
        tag: "v1.0.0".to_owned(),
        base: "https://example.org/v1.0.0/".to_owned(),
        source: "https://example.org".to_owned(),
        // So small that the archive is split into parts.
        file_limit: 300,
        count_limit: 100,
    };
    let bundle = ReleaseBundle::prepare(&dist, &destination, &Origin::default())
        .await
        .unwrap();
    // The file that makes a release usable comes last.
    assert_eq!(bundle.assets.last().unwrap().kind, Kind::Index);

    let mut shelf = Shelf::default();
    shelf.publish(&bundle);
    let index = String::from_utf8(shelf.0[INDEX_NAME].clone()).unwrap();
    let index = ReleaseIndex::from_json(&index).unwrap();
    let image = &index.images[0];
    assert!(image.parts.len() > 1, "{:?}", image.parts);
    let parts = image.parts.iter();
    let joined: Vec<u8> = parts
        .flat_map(|part| shelf.0[part.name.as_str()].clone())
        .collect();
    assert_eq!(joined.len() as u64, image.archive.size);
    let digest = Sha256::of(&joined);
    assert_eq!(digest, image.archive.sha256);
}
