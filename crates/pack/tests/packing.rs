//! Tests of the public interface: the files in the dist directory, and other tools that read them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::path::Path;
use std::process::Command;

use sysforge_pack::{Content, Packed, Packing, existing};
use sysforge_plan::archive::ArchiveFormat;
use sysforge_plan::receipt::{
    CheckRecord, FileRecord, JuliaOrigin, LinkRecord, SCHEMA, StatementCounts, Targets, ToolRecord,
};
use sysforge_plan::{
    BuildId, Class, Explain, JuliaBuild, JuliaVersion, Receipt, Reporter, Sha256, Triplet,
};

fn receipt(image: FileRecord) -> Receipt {
    let julia = JuliaVersion::new(1, 5, 3);
    Receipt {
        schema: SCHEMA.to_owned(),
        build_id: id(),
        name: "x".parse().unwrap(),
        project_version: None,
        julia: JuliaBuild {
            version: julia,
            commit: String::new(),
            triplet: Triplet::X86_64_LINUX_GNU,
        },
        julia_origin: JuliaOrigin::Given,
        image,
        targets: Targets {
            tier: None,
            requested: "generic".to_owned(),
            held: None,
        },
        packages: Vec::new(),
        extensions: Vec::new(),
        preferences: Vec::new(),
        manifest: None,
        statements: StatementCounts::default(),
        check: CheckRecord::default(),
        link: LinkRecord::default(),
        timings: Vec::new(),
        bundle: None,
        objects: Vec::new(),
        tool: ToolRecord {
            name: "sysforge".into(),
            version: "0".into(),
            recipe: 1,
        },
        julia_options: Vec::new(),
        inputs_digest: Sha256::new([0; 32]),
    }
}

fn id() -> BuildId {
    BuildId::of(
        "x",
        &JuliaVersion::new(1, 5, 3),
        Triplet::X86_64_LINUX_GNU,
        None,
    )
    .unwrap()
}

/// Five megabytes that are partly compressible.
fn image(dir: &Path) -> std::path::PathBuf {
    let path = dir.join("x.so");
    let mut state = 1_u32;
    let bytes: Vec<u8> = (0..5_000_000)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            u8::try_from(state >> 28).unwrap()
        })
        .collect();
    std::fs::write(&path, bytes).unwrap();
    path
}

async fn pack(dir: &Path, dist: &str, format: ArchiveFormat, threads: usize) -> Packed {
    let packing = Packing::start(
        Content::of_image(&image(dir), Vec::new()),
        &id(),
        format,
        &dir.join(dist),
        threads,
        &Reporter::silent(),
    );
    packing.unwrap().finish(receipt).await.unwrap().0
}

fn run(dir: &Path, program: &str, args: &[&str]) -> String {
    let output = Command::new(program)
        .args(args)
        .current_dir(dir)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{program}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bytes_do_not_depend_on_the_number_of_threads() {
    for format in ArchiveFormat::IMAGES {
        let dir = tempfile::tempdir().unwrap();
        let one = pack(dir.path(), "one", format, 1).await;
        let four = pack(dir.path(), "four", format, 4).await;
        assert_eq!(one.sha256, four.sha256, "{format:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tar_and_sha256sum_agree() {
    let dir = tempfile::tempdir().unwrap();
    let packed = pack(dir.path(), "dist", ArchiveFormat::TarGz, 2).await;
    let dist = packed.archive.parent().unwrap();
    assert_eq!(
        run(dist, "tar", &["-tzf", packed.archive.to_str().unwrap()]),
        "x.so\nreceipt.json\n"
    );
    run(dist, "tar", &["-xzf", packed.archive.to_str().unwrap()]);
    assert_eq!(
        std::fs::read(dist.join("x.so")).unwrap(),
        std::fs::read(dir.path().join("x.so")).unwrap()
    );
    assert_eq!(
        std::fs::read(dist.join("receipt.json")).unwrap(),
        std::fs::read(&packed.receipt).unwrap()
    );
    let sums = run(dist, "sha256sum", &["-c", "SHA256SUMS"]);
    assert_eq!(sums.matches(": OK").count(), 2, "{sums}");
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_a_packing_leaves_no_files() {
    let dir = tempfile::tempdir().unwrap();
    let dist = dir.path().join("dist");
    let packing = Packing::start(
        Content::of_image(&image(dir.path()), Vec::new()),
        &id(),
        ArchiveFormat::TarGz,
        &dist,
        2,
        &Reporter::silent(),
    );
    drop(packing.unwrap());
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert_eq!(std::fs::read_dir(&dist).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_error_names_a_missing_image() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing.so");
    let dist = dir.path().join("dist");
    let packing = Packing::start(
        Content::of_image(&missing, Vec::new()),
        &id(),
        ArchiveFormat::TarGz,
        &dist,
        1,
        &Reporter::silent(),
    );
    let error = packing.unwrap().finish(receipt).await.unwrap_err();
    assert!(error.to_string().starts_with("could not open"), "{error}");
    assert_eq!(std::fs::read_dir(&dist).unwrap().count(), 0);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn folders_are_packed_with_their_links_and_executables() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    for format in [ArchiveFormat::TarGz, ArchiveFormat::TarZst] {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        std::fs::create_dir_all(tree.join("bin")).unwrap();
        std::fs::write(tree.join("bin/run"), "#!/bin/sh\n").unwrap();
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(tree.join("bin/run"), executable).unwrap();
        std::fs::write(tree.join("data"), "1").unwrap();
        symlink("data", tree.join("link")).unwrap();
        let trees = vec![("artifacts/0123".to_owned(), tree)];
        let dist = dir.path().join("dist");
        let packing = Packing::start(
            Content::of_image(&image(dir.path()), trees),
            &id(),
            format,
            &dist,
            2,
            &Reporter::silent(),
        );
        let (packed, _) = packing.unwrap().finish(receipt).await.unwrap();
        run(&dist, "tar", &["-xf", packed.archive.to_str().unwrap()]);
        let unpacked = dist.join("artifacts/0123");
        assert_eq!(std::fs::read(unpacked.join("link")).unwrap(), b"1");
        assert!(unpacked.join("link").is_symlink());
        let mode = std::fs::metadata(unpacked.join("bin/run")).unwrap();
        assert_eq!(mode.permissions().mode() & 0o777, 0o755);
    }
}

#[tokio::test]
async fn a_damaged_result_does_not_count_as_existing() {
    let dir = tempfile::tempdir().unwrap();
    let packed = pack(dir.path(), "dist", ArchiveFormat::TarGz, 1).await;
    let dist = dir.path().join("dist");
    let inputs = Sha256::new([0; 32]);
    let found = || existing(&dist, &id(), ArchiveFormat::TarGz, inputs, None);
    let (again, receipt) = found().unwrap();
    assert_eq!((again.sha256, again.size), (packed.sha256, packed.size));
    assert_eq!(again.archive, packed.archive);
    assert_eq!(receipt.build_id, id());
    // Made from other inputs, or in another format.
    let other = Sha256::new([1; 32]);
    assert!(existing(&dist, &id(), ArchiveFormat::TarGz, other, None).is_none());
    assert!(existing(&dist, &id(), ArchiveFormat::TarZst, inputs, None).is_none());
    // What is known of the archive is compared with the list, as its digest is; of another archive, nothing is.
    let known = |change: fn(&mut Packed)| {
        let mut known = packed.clone();
        change(&mut known);
        existing(&dist, &id(), ArchiveFormat::TarGz, inputs, Some(&known))
            .map(|found| found.0.sha256)
    };
    assert_eq!(known(|_| {}), Some(packed.sha256));
    assert_eq!(known(|known| known.sha256 = Sha256::new([1; 32])), None);
    let elsewhere = known(|known| {
        known.archive.push("other");
        known.sha256 = Sha256::new([1; 32]);
    });
    assert_eq!(elsewhere, Some(packed.sha256));
    // Each file counts: damaged, then missing, then restored.
    let sums = dist.join("SHA256SUMS");
    for file in [&packed.archive, &packed.receipt, &sums] {
        let good = std::fs::read(file).unwrap();
        let mut bad = good.clone();
        bad[0] ^= 1;
        std::fs::write(file, &bad).unwrap();
        assert!(found().is_none(), "{} is damaged", file.display());
        std::fs::remove_file(file).unwrap();
        assert!(found().is_none(), "{} is gone", file.display());
        std::fs::write(file, &good).unwrap();
        assert!(found().is_some(), "{} is whole", file.display());
    }
}

#[tokio::test]
async fn the_error_names_a_directory_that_cannot_be_written() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("dist"), "a file, where a folder should be").unwrap();
    let packing = Packing::start(
        Content::of_image(&image(dir.path()), Vec::new()),
        &id(),
        ArchiveFormat::TarGz,
        &dir.path().join("dist"),
        1,
        &Reporter::silent(),
    );
    let error = match packing {
        Err(error) => error,
        Ok(packing) => packing.finish(receipt).await.err().unwrap(),
    };
    assert!(error.to_string().contains("dist"), "{error}");
    assert_eq!(error.class(), Class::Machine);
}
