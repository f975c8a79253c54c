//! `make-dist FOLDER BUILDS BYTES`: creates a dist directory with this many builds, whose images
//! are this many random bytes, for scripts that publish.

use std::path::Path;
use std::process::ExitCode;

use sysforge_pack::{Content, Packing};
use sysforge_plan::{ArchiveFormat, Reporter, Triplet};
use sysforge_testkit::github::{Random, make_build};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, builds, bytes] = arguments.as_slice() else {
        eprintln!("usage: make-dist FOLDER BUILDS BYTES");
        return ExitCode::FAILURE;
    };
    let (Ok(builds), Ok(bytes)) = (builds.parse::<usize>(), bytes.parse::<usize>()) else {
        eprintln!("make-dist: BUILDS and BYTES must be numbers");
        return ExitCode::FAILURE;
    };
    for (number, triplet) in Triplet::all().take(builds).enumerate() {
        let image = Random((bytes + number) as u64).bytes(bytes);
        if let Err(error) = make(folder.as_ref(), triplet.name(), &image).await {
            eprintln!("make-dist: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Packs one build as `sysforge pack` does.
async fn make(
    folder: &Path,
    triplet: &str,
    image: &[u8],
) -> Result<(), Box<dyn std::error::Error>> {
    let scratch = tempfile::tempdir()?;
    let receipt = make_build(scratch.path(), triplet, b"");
    let path = scratch.path().join(&receipt.image.name);
    std::fs::write(&path, image)?;
    let (id, format, reporter) = (&receipt.build_id, ArchiveFormat::TarGz, Reporter::silent());
    let threads = std::thread::available_parallelism()?.get();
    let content = Content::of_image(&path, Vec::new());
    let packing = Packing::start(content, id, format, folder, threads, &reporter)?;
    let describe = |image| sysforge_plan::Receipt {
        image,
        ..receipt.clone()
    };
    packing.finish(describe).await?;
    Ok(())
}
