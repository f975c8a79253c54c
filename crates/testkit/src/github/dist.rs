//! Creates a dist directory as `pack` does, for tests of the later steps.

use std::path::Path;

use sysforge_plan::app::{AppRecord, BundleRecord};
use sysforge_plan::library::LibraryRecord;
use sysforge_plan::receipt::{
    CheckRecord, FileRecord, JuliaOrigin, Latency, LinkRecord, PackageRecord, StatementCounts,
    Targets, ToolRecord,
};
use sysforge_plan::{BuildId, JuliaBuild, JuliaVersion, Receipt, Sha256, Triplet};

/// Adds a build to a dist directory, as `pack` does. The image consists of arbitrary bytes: it is
/// never loaded.
///
/// # Panics
///
/// If the folder cannot be written to.
pub fn make_build(folder: &Path, triplet: &str, image: &[u8]) -> Receipt {
    let receipt = receipt("demo", triplet, image);
    let text = receipt.to_json();
    let files: [(&str, &[u8]); 2] = [
        (&receipt.image.name, image),
        ("receipt.json", text.as_bytes()),
    ];
    write_build(folder, &receipt, &files);
    receipt
}

/// Adds the archive of an app, whose executable `bin/NAME` is this script.
///
/// # Panics
///
/// If the folder cannot be written to.
pub fn make_app(folder: &Path, triplet: &str, name: &str, script: &str) -> Receipt {
    make_app_on(folder, triplet, name, script, script.as_bytes())
}

/// Does the same as [`make_app`], with these bytes as the image of the app.
///
/// # Panics
///
/// If the folder cannot be written to.
pub fn make_app_on(
    folder: &Path,
    triplet: &str,
    name: &str,
    script: &str,
    image: &[u8],
) -> Receipt {
    let mut receipt = receipt("demo-app", triplet, image);
    receipt.bundle = Some(BundleRecord {
        library: None,
        apps: vec![AppRecord {
            name: name.to_owned(),
            entry: "Demo.julia_main()".to_owned(),
            runs: Vec::new(),
        }],
        files: Vec::new(),
        isolated: true,
        system: Vec::new(),
        oldest_system: None,
    });
    let text = receipt.to_json();
    let (program, path) = (format!("bin/{name}"), receipt.image_path());
    let files: [(&str, &[u8]); 3] = [
        (&path, image),
        (&program, script.as_bytes()),
        ("receipt.json", text.as_bytes()),
    ];
    write_build(folder, &receipt, &files);
    receipt
}

/// Adds the archive of a C library of this name, of arbitrary bytes.
///
/// # Panics
///
/// If the folder cannot be written to.
pub fn make_library(folder: &Path, triplet: &str, name: &str) -> Receipt {
    let image = b"a library";
    let mut receipt = receipt("demo-lib", triplet, image);
    let file = format!("lib{name}.so.1.2.0");
    receipt.image.name = file.parse().unwrap();
    receipt.bundle = Some(BundleRecord {
        library: Some(LibraryRecord {
            name: name.to_owned(),
            version: "1.2.0".to_owned(),
            soname: format!("lib{name}.so.1"),
            functions: Vec::new(),
            calls: Vec::new(),
            init_ms: 100.0,
            residuals: Vec::new(),
        }),
        apps: Vec::new(),
        files: Vec::new(),
        isolated: true,
        system: Vec::new(),
        oldest_system: None,
    });
    let text = receipt.to_json();
    let (path, header) = (receipt.image_path(), format!("include/{name}.h"));
    let files: [(&str, &[u8]); 3] = [
        (&path, image),
        (&header, b"/* a header */"),
        ("receipt.json", text.as_bytes()),
    ];
    write_build(folder, &receipt, &files);
    receipt
}

fn receipt(name: &str, triplet: &str, image: &[u8]) -> Receipt {
    let triplet: Triplet = triplet.parse().unwrap();
    let version = JuliaVersion::new(1, 12, 7);
    let build_id = BuildId::of(name, &version, triplet, None).unwrap();
    Receipt {
        schema: sysforge_plan::receipt::SCHEMA.to_owned(),
        name: name.parse().unwrap(),
        project_version: Some("0.1.0".to_owned()),
        julia: JuliaBuild {
            version,
            commit: "5a8a8e1f0e".to_owned(),
            triplet,
        },
        julia_origin: JuliaOrigin::Catalogue {
            url: "https://example.org/julia.tar.gz".to_owned(),
            sha256: Sha256::new([3; 32]),
            signature: sysforge_plan::signing::SignatureCheck::NotChecked {
                reason: "stand-in bytes".to_owned(),
            },
        },
        image: FileRecord {
            name: format!("{build_id}.so").parse().unwrap(),
            size: image.len() as u64,
            sha256: digest(image),
        },
        targets: Targets {
            tier: None,
            requested: "generic".to_owned(),
            held: None,
        },
        packages: vec![PackageRecord {
            name: "Example".to_owned(),
            uuid: "7876af07-990d-54b4-ab0e-23690620f79a".to_owned(),
            version: Some("0.5.5".to_owned()),
            tree: Some("46e44e869b4d90b96bd8ed1fdcf32244fddfb6cc".to_owned()),
            requested: true,
        }],
        extensions: Vec::new(),
        preferences: Vec::new(),
        manifest: None,
        statements: StatementCounts::default(),
        check: CheckRecord {
            latency: Some(Latency {
                load_s: 0.01,
                first_call_s: 0.06,
                second_call_s: Some(0.05),
            }),
            load_without_image_s: Some(0.3),
            first_call_without_image_s: Some(7.2),
            ..CheckRecord::default()
        },
        link: LinkRecord::default(),
        timings: Vec::new(),
        bundle: None,
        objects: Vec::new(),
        tool: ToolRecord {
            name: "sysforge".to_owned(),
            version: "0.1.0".to_owned(),
            recipe: 1,
        },
        julia_options: Vec::new(),
        inputs_digest: Sha256::new([1; 32]),
        build_id,
    }
}

/// Writes an archive of `files`, and `receipt` beside it.
///
/// # Panics
///
/// If the folder cannot be written to.
pub fn write_build(folder: &Path, receipt: &Receipt, files: &[(&str, &[u8])]) {
    let id = &receipt.build_id;
    std::fs::create_dir_all(folder).unwrap();
    tar_gz(&folder.join(format!("{id}.tar.gz")), files);
    std::fs::write(folder.join(format!("{id}.receipt.json")), receipt.to_json()).unwrap();
}

fn digest(bytes: &[u8]) -> Sha256 {
    Sha256::of(bytes)
}

/// Packs `files` like the `pack` crate. Files in `bin` are executable.
fn tar_gz(path: &Path, files: &[(&str, &[u8])]) {
    let file = std::fs::File::create(path).unwrap();
    let gz = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    let mut tar = tar::Builder::new(gz);
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(match name.starts_with("bin/") {
            true => 0o755,
            false => 0o644,
        });
        tar.append_data(&mut header, name, *bytes).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap();
}
