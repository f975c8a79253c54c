pub(crate) use sysforge_testkit::github::make_build;

use super::*;

pub(crate) fn destination(file_limit: u64) -> Destination {
    Destination {
        tag: "v1.0.0".to_owned(),
        base: "https://example.org/octo/images/releases/download/v1.0.0/".to_owned(),
        source: "octo/images@v1.0.0".to_owned(),
        file_limit,
        count_limit: 1000,
    }
}

/// Changes the archive of a bundle on this machine: to one byte less, and to other bytes of the same
/// length. Returns its path.
pub(crate) fn changes() -> [fn(&ReleaseBundle) -> std::path::PathBuf; 2] {
    fn rewrite(bundle: &ReleaseBundle, change: fn(&mut Vec<u8>)) -> std::path::PathBuf {
        let mut files = bundle
            .assets
            .iter()
            .filter_map(|asset| match &asset.content {
                Content::File { path, .. } => Some(path),
                Content::Memory(_) => None,
            });
        let path = files.next().unwrap();
        let mut bytes = std::fs::read(path).unwrap();
        change(&mut bytes);
        std::fs::write(path, bytes).unwrap();
        path.clone()
    }
    [
        |bundle| rewrite(bundle, |bytes| bytes.truncate(bytes.len() - 1)),
        |bundle| rewrite(bundle, |bytes| bytes[9] ^= 1),
    ]
}

async fn prepare(file_limit: u64) -> ReleaseBundle {
    let dir = tempfile::tempdir().unwrap();
    make_build(dir.path(), "x86_64-linux-gnu", b"linux");
    make_build(dir.path(), "aarch64-apple-darwin", b"mac");
    let dist = Dist::read(dir.path()).await.unwrap();
    ReleaseBundle::prepare(&dist, &destination(file_limit), &Origin::default())
        .await
        .unwrap()
}

fn text(bundle: &ReleaseBundle, name: &str) -> String {
    let asset = bundle
        .assets
        .iter()
        .find(|asset| asset.name == name)
        .unwrap();
    match &asset.content {
        Content::Memory(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
        Content::File { path, .. } => std::fs::read_to_string(path).unwrap(),
    }
}

#[tokio::test]
async fn archives_go_first_and_the_index_last() {
    let bundle = prepare(u64::MAX).await;
    let names: Vec<_> = bundle.assets.iter().map(|asset| &*asset.name).collect();
    assert_eq!(
        names,
        [
            "demo-julia1.12.7-aarch64-apple-darwin.tar.gz",
            "demo-julia1.12.7-x86_64-linux-gnu.tar.gz",
            "Artifacts.toml",
            "SHA256SUMS",
            "demo-julia1.12.7-aarch64-apple-darwin.cdx.json",
            "demo-julia1.12.7-aarch64-apple-darwin.receipt.json",
            "demo-julia1.12.7-x86_64-linux-gnu.cdx.json",
            "demo-julia1.12.7-x86_64-linux-gnu.receipt.json",
            "provenance.intoto.json",
            "sysforge-release.json",
        ]
    );
}

#[tokio::test]
async fn the_checksum_list_covers_all_but_itself_and_the_statement() {
    let bundle = prepare(u64::MAX).await;
    let listed = sums::read(&text(&bundle, "SHA256SUMS"));
    for asset in &bundle.assets {
        match asset.name.as_str() {
            "SHA256SUMS" | "provenance.intoto.json" => {}
            name => assert_eq!(listed[name], asset.sha256, "{name}"),
        }
    }
}

#[tokio::test]
async fn a_file_over_the_limit_is_sent_in_parts_that_the_index_names() {
    let bundle = prepare(100).await;
    let index = ReleaseIndex::from_json(text(&bundle, INDEX_NAME)).unwrap();
    let image = &index.images[0];
    assert!(image.parts.len() > 1);
    assert!(image.parts.iter().all(|part| part.size <= 100));
    let total: u64 = image.parts.iter().map(|part| part.size).sum();
    assert_eq!(total, image.archive.size);
    assert!(image.parts[0].name.contains(".part1of"));
}

#[tokio::test]
async fn the_documents_are_as_reviewed() {
    let bundle = prepare(u64::MAX).await;
    // Archives, and so their digests, differ between versions of the compressor.
    let archive: Vec<_> = bundle
        .assets
        .iter()
        .filter(|asset| asset.kind == Kind::Archive)
        .map(|asset| asset.sha256.to_string())
        .collect();
    let scrub = |mut text: String| {
        for (number, digest) in archive.iter().enumerate() {
            text = text.replace(digest, &format!("<digest of archive {number}>"));
        }
        text
    };
    // Tree hashes differ with the content of a receipt; other tests compare them with git's.
    let artifacts = scrub(text(&bundle, "Artifacts.toml"));
    let artifacts: Vec<_> = artifacts
        .lines()
        .map(|line| match line.starts_with("git-tree-sha1 = ") {
            true => "git-tree-sha1 = \"<tree>\"",
            false => line,
        })
        .collect();
    insta::assert_snapshot!("artifacts_toml", artifacts.join("\n"));
    insta::assert_snapshot!("notes", bundle.notes);
    insta::assert_snapshot!("provenance", scrub(text(&bundle, "provenance.intoto.json")));
    insta::assert_snapshot!(
        "sbom",
        text(&bundle, "demo-julia1.12.7-x86_64-linux-gnu.cdx.json")
    );
}

#[test]
fn notes_of_a_maintainer_stay_and_ours_are_replaced() {
    let ours = "<!-- sysforge:begin -->\nnew\n<!-- sysforge:end -->\n";
    let old = "Hello\n\n<!-- sysforge:begin -->\nold\n<!-- sysforge:end -->\nBye";
    assert_eq!(notes::merge(old, ours, ""), format!("Hello\n\n{ours}Bye"));
    assert_eq!(
        notes::merge("Hello\n", ours, ""),
        format!("Hello\n\n{ours}")
    );
    assert_eq!(notes::merge("", ours, ""), ours);
}

#[test]
fn notes_over_the_limit_are_cut_with_a_link() {
    let ours = "<!-- sysforge:begin -->\nnew\n<!-- sysforge:end -->\n";
    let merged = notes::merge(&"x".repeat(notes::LIMIT), ours, "https://example.org/all");
    assert!(merged.chars().count() <= notes::LIMIT);
    assert!(merged.contains("cut here: [read on](https://example.org/all)"));
    assert!(merged.ends_with(ours));
}

#[tokio::test]
async fn a_release_that_the_host_would_not_take_is_refused_before_anything_is_sent() {
    let dir = tempfile::tempdir().unwrap();
    make_build(dir.path(), "x86_64-linux-gnu", b"linux");
    let dist = Dist::read(dir.path()).await.unwrap();
    let prepare = async |change: fn(&mut Destination)| {
        let mut destination = destination(u64::MAX);
        change(&mut destination);
        ReleaseBundle::prepare(&dist, &destination, &Origin::default()).await
    };
    let error = prepare(|to| to.tag = "v 1".to_owned()).await.unwrap_err();
    assert_eq!(error.to_string(), "`v 1` cannot be the tag of a release");
    let mut bundle = prepare(|_| {}).await.unwrap();
    let count = bundle.assets.len();
    assert_eq!(count, 7);
    // One file is reserved for the publisher's lock.
    prepare(|to| to.count_limit = 8).await.unwrap();
    let error = prepare(|to| to.count_limit = 7).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the release would have 7 files, and the host takes 7"
    );
    // Signatures are files, too.
    let signer = crate::signing::tests::signer(1);
    let error = bundle.sign(&signer, 8).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the release would have 9 files, and the host takes 8"
    );
}

#[tokio::test]
async fn notes_become_a_file_that_nothing_else_tells_of() {
    let bundle = prepare(u64::MAX).await;
    let (size, sums) = (bundle.size(), text(&bundle, "SHA256SUMS"));
    let bundle = bundle.with_notes_as_file();
    assert_eq!(text(&bundle, "NOTES.md"), bundle.notes);
    assert_eq!(bundle.size(), size + bundle.notes.len() as u64);
    assert_eq!(text(&bundle, "SHA256SUMS"), sums);
    // The file that makes a release usable still comes last.
    assert_eq!(bundle.assets.last().unwrap().kind, Kind::Index);
}
