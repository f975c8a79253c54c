//! Every format that images are packed in, from packing to the release and back. A format in
//! `ArchiveFormat::IMAGES` that some crate does not support fails here.

use sysforge_pack::{Content, Packing};
use sysforge_plan::{ArchiveFormat, Reporter};
use sysforge_publish::{Dist, archive};
use sysforge_testkit::github::make_build;

const IMAGE: &[u8] = b"the bytes of an image";

#[tokio::test(flavor = "multi_thread")]
async fn every_format_of_images_is_packed_read_and_unpacked() {
    for format in ArchiveFormat::IMAGES {
        let folder = tempfile::tempdir().unwrap();
        let receipt = make_build(&folder.path().join("made"), "x86_64-linux-gnu", IMAGE);
        let image = folder.path().join(&receipt.image.name);
        std::fs::write(&image, IMAGE).unwrap();
        let dist = folder.path().join("dist");
        let id = receipt.build_id.clone();
        let reporter = Reporter::silent();
        let content = Content::of_image(&image, Vec::new());
        let packing = Packing::start(content, &id, format, &dist, 1, &reporter).unwrap();
        let (packed, _) = packing.finish(|_| receipt.clone()).await.unwrap();
        assert_eq!(packed.archive, dist.join(format!("{id}.{format}")));

        let read = Dist::read(&dist).await.unwrap();
        assert_eq!(read.builds[0].packing, format);
        assert_eq!(read.builds[0].archive.sha256, packed.sha256);
        // From the receipt and `SHA256SUMS` alone, without decompressing the archive.
        let inspected = archive::inspect(&packed.archive).unwrap();
        assert_eq!(read.builds[0].tree, inspected.tree);
        let bytes = std::fs::read(&packed.archive).unwrap();
        std::fs::write(&packed.archive, [&bytes[..], b"x"].concat()).unwrap();
        assert!(Dist::read(&dist).await.is_err(), "{format}");
        std::fs::write(&packed.archive, bytes).unwrap();
        std::fs::remove_file(dist.join("SHA256SUMS")).unwrap();
        let read = Dist::read(&dist).await.unwrap();
        assert_eq!(read.builds[0].tree, inspected.tree);

        let name = format!("{id}.{format}");
        let out = folder.path().join("out");
        std::fs::create_dir(&out).unwrap();
        archive::unpack(&packed.archive, &name, &out).unwrap();
        assert_eq!(std::fs::read(out.join(&receipt.image.name)).unwrap(), IMAGE);
        assert!(out.join("receipt.json").is_file(), "{name}");
    }
}
