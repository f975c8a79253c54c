//! The initial corpora for fuzzing: valid inputs of each target, and malicious archives.

use std::path::Path;

use crate::archives::{self, Tar};

/// Writes the corpora into folders of `root`, each named after its target.
///
/// # Panics
///
/// If a file cannot be written.
pub fn write_to(root: &Path) {
    let write = |target: &str, name: &str, bytes: &[u8]| {
        let folder = root.join(target);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(name), bytes).unwrap();
    };
    let folder = tempfile::tempdir().unwrap();
    let receipt = crate::github::make_build(folder.path(), "x86_64-linux-gnu", b"x");
    let id = receipt.build_id.to_string();
    let digest = "ab".repeat(32);
    let file = |name: String| serde_json::json!({"name": name, "size": 1, "sha256": digest});
    let index = serde_json::json!({
        "schema": "sysforge-release/1",
        "tag": "v1.0.0",
        "images": [{
            "archive": file(format!("{id}.tar.gz")),
            "parts": [file(format!("{id}.tar.gz.part1of1"))],
            "sbom": file(format!("{id}.cdx.json")),
            "receipt": receipt,
        }],
    });
    let note = |source: serde_json::Value| {
        serde_json::json!({
            "schema": "sysforge-installed/1",
            "build_id": id,
            "name": "demo",
            "source": source,
            "tag": "v1.0.0",
            "image": "/store/demo.so",
            "sha256": digest,
            "built_for": receipt.julia,
            "julia": "/opt/julia",
            "launchers": ["/usr/bin/demo"],
            "channels": ["mine"],
        })
    };
    write("receipt", "receipt", receipt.to_json().as_bytes());
    write("release_index", "index", index.to_string().as_bytes());
    for (name, source) in [
        (
            "github",
            serde_json::json!({"git-hub": {"repository": "octo/images", "tag": "v1"}}),
        ),
        (
            "web",
            serde_json::json!({"web": {"base": "https://example.org/s/", "tag": null}}),
        ),
        (
            "folder",
            serde_json::json!({"folder": {"path": "/srv/site", "tag": null}}),
        ),
    ] {
        write("notes", name, note(source).to_string().as_bytes());
    }
    let site = r#"{"schema": "sysforge-site/1", "tags": ["v1", "../v2", "v3"]}"#;
    write("notes", "site", site.as_bytes());
    let sums = format!("{digest}  a.tar.gz\n{digest} *b.so\n{digest}  ../c\nrubbish\n");
    write("sums", "sums", sums.as_bytes());
    for (name, format, archive) in archive_corpus() {
        write("archive", &name, &[&[format][..], &archive].concat());
    }
    let entry = r#"{"url": "https://julialang-s3.julialang.org/bin/linux/x64/1.12/julia-1.12.7-linux-x86_64.tar.gz", "triplet": "x86_64-linux-gnu", "kind": "archive", "extension": "tar.gz", "sha256": "abababababababababababababababababababababababababababababababab", "size": 5, "asc": "x"}"#;
    let catalogue = format!(
        r#"{{"1.12.7": {{"stable": true, "files": [{entry}]}}, "1.13.0-rc2": {{"stable": false, "files": []}}}}"#
    );
    for (index, request) in [
        "release",
        "lts",
        "rc",
        "pre",
        "nightly",
        "1.13-nightly",
        "1",
        "1.12",
        "1.12.7",
        "^1.6",
        "~1.10",
        "1.6 - 1.11",
        ">=1.6 <1.11",
        "~1.6, ~1.10",
        "1.x",
        "*",
        "./julia",
    ]
    .iter()
    .enumerate()
    {
        write(
            "catalogue",
            &index.to_string(),
            format!("{request}\n{catalogue}").as_bytes(),
        );
    }
    let project = "name = \"A\"\nuuid = \"7876af07-990d-54b4-ab0e-23690620f79a\"\nversion = \"0.1.0\"\n[deps]\nDates = \"ade2ca70-3891-5945-98fb-dc099432e06a\"\n[compat]\njulia = \"1.6\"\n";
    let manifest1 =
        "[[Dates]]\ndeps = [\"Printf\"]\nuuid = \"ade2ca70-3891-5945-98fb-dc099432e06a\"\n";
    let manifest2 = "julia_version = \"1.10.4\"\nmanifest_format = \"2.0\"\n[[deps.Dates]]\ndeps = [\"Printf\"]\nuuid = \"ade2ca70-3891-5945-98fb-dc099432e06a\"\n";
    let sysimage = "name = \"a\"\npackages = [\"A\"]\nworkloads = [\"w.jl\"]\njulia = [\"lts\", \"min\", \"manifest\"]\ncpu = \"portable\"\n[platforms.\"x86_64-linux-gnu\"]\nrunner = \"ubuntu-24.04\"\n[[overrides]]\nselect = \"*\"\nenv = { A = \"1\" }\n[release]\ntag = \"v{version}\"\n";
    for (name, parts) in [
        ("project", [project, "", ""]),
        ("manifest1", [project, manifest1, ""]),
        ("manifest2", [project, manifest2, ""]),
        ("sysimage", [project, manifest2, sysimage]),
    ] {
        write("project", name, parts.join("\0").as_bytes());
    }
}

fn archive_corpus() -> Vec<(String, u8, Vec<u8>)> {
    use tar_kinds::*;
    let julia = || archives::tiny_julia("1.5.3", 500);
    let mut corpus = vec![
        ("julia.tar".to_owned(), 0, julia().plain()),
        ("julia.tar.gz".to_owned(), 2, julia().gz()),
        ("julia.tar.xz".to_owned(), 3, julia().xz()),
        (
            "julia.zip".to_owned(),
            4,
            archives::tiny_julia_zip("1.5.3", 500),
        ),
        (
            "julia.7z".to_owned(),
            5,
            archives::tiny_julia_7z("1.5.3", 500),
        ),
        ("julia.tar.zst".to_owned(), 6, julia().zst()),
    ];
    for (name, tar) in [
        ("absolute", Tar::new().file("/etc/x", 0o644, b"x")),
        ("climbing", Tar::new().file("t/../../x", 0o644, b"x")),
        ("link-out", Tar::new().symlink("t/l", "../../x")),
        ("link-absolute", Tar::new().symlink("t/l", "/etc")),
        (
            "through-a-link",
            Tar::new().symlink("t/a", "..").file("t/a/x", 0o644, b"x"),
        ),
        (
            "links-together",
            Tar::new()
                .symlink("t/p/q/up", "../..")
                .symlink("t/out", "p/q/up/../x"),
        ),
        ("circle", Tar::new().symlink("t/a", "b").symlink("t/b", "a")),
        (
            "capitals",
            Tar::new().symlink("t/b", ".").symlink("t/l", "B/../x"),
        ),
        (
            "holds-itself",
            Tar::new().file("t/a/x", 0o644, b"x").symlink("t/a/l", ".."),
        ),
        (
            "doubling",
            Tar::new()
                .file("t/a/x", 0o644, b"x")
                .symlink("t/b/1", "../a")
                .symlink("t/b/2", "../a")
                .symlink("t/c/1", "../b")
                .symlink("t/c/2", "../b"),
        ),
        ("hard-link-out", Tar::new().hard_link("t/l", "/etc/passwd")),
        ("set-user-id", Tar::new().file("t/x", 0o4755, b"x")),
        (
            "long-name",
            Tar::new().announced(LONG_NAME, "t/x", "", 0o644, 1 << 40, b""),
        ),
        (
            "petabyte",
            Tar::new().announced(REGULAR, "t/x", "", 0o644, 1 << 50, b""),
        ),
        ("device", Tar::new().raw(DEVICE, "t/x", "", 0o644, b"")),
        ("twice", Tar::new().file("t/x", 0o644, b"1").folder("t/x/")),
    ] {
        let tar = tar.plain();
        // Also for a machine that does not allow links.
        corpus.push((format!("{name}-copied"), 0x80, tar.clone()));
        corpus.push((name.to_owned(), 0, tar));
    }
    corpus.push((
        "climbing.zip".to_owned(),
        4,
        archives::zip_of(&[("t/../../x", 0o100_644, b"x")]),
    ));
    corpus.push((
        "link-out.zip".to_owned(),
        4,
        archives::zip_of(&[("t/l", 0o120_777, b"../../x")]),
    ));
    corpus
}

/// The types of entries that the corpus needs, by their names in tar.
mod tar_kinds {
    use crate::archives::EntryType;

    pub(super) const LONG_NAME: EntryType = EntryType::GNULongName;
    pub(super) const REGULAR: EntryType = EntryType::Regular;
    pub(super) const DEVICE: EntryType = EntryType::Char;
}
