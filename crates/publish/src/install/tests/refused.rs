//! Installations that are refused, and what they leave on disk.

use sysforge_plan::Explain;
use sysforge_plan::release::INDEX_NAME;
use sysforge_testkit::archives::Tar;

use super::*;

const ARCHIVE: &str = "demo-julia1.12.7-x86_64-linux-gnu.tar.gz";

fn folder_of(scene: &Scene) -> PathBuf {
    scene.folder.path().join("site/v1.0.0")
}

fn index_of(scene: &Scene) -> ReleaseIndex {
    let text = std::fs::read_to_string(folder_of(scene).join(INDEX_NAME)).unwrap();
    ReleaseIndex::from_json(&text).unwrap()
}

fn write_index(scene: &Scene, index: &ReleaseIndex) {
    let text = serde_json::to_string(index).unwrap();
    std::fs::write(folder_of(scene).join(INDEX_NAME), text).unwrap();
}

/// Replaces the archive of the release, and its digest in the index, as only its publisher can.
fn put_archive(scene: &Scene, bytes: &[u8]) {
    let folder = folder_of(scene);
    std::fs::write(folder.join(ARCHIVE), bytes).unwrap();
    let provenance = folder.join(crate::documents::provenance::NAME);
    if provenance.exists() {
        std::fs::remove_file(provenance).unwrap();
    }
    let mut index = index_of(scene);
    for image in &mut index.images {
        if image.archive.name == ARCHIVE {
            image.archive.size = bytes.len() as u64;
            image.archive.sha256 = Sha256::of(bytes);
        }
    }
    write_index(scene, &index);
}

/// Returns why an image is not installed.
async fn refusal(scene: &Scene, source: &Source) -> InstallError {
    let installed = scene.install(source, &options(None, None)).await;
    installed.unwrap_err()
}

#[tokio::test]
async fn an_archive_that_is_not_the_image_of_the_index_is_not_installed() {
    let scene = Scene::new(b"linux", u64::MAX).await;
    let source = scene.site().await;
    let index = index_of(&scene);
    let image = index.images.iter().find(|i| i.archive.name == ARCHIVE);
    let receipt = &image.unwrap().receipt;
    let mut other = receipt.clone();
    other.targets.requested = "haswell".to_owned();
    let (name, receipt) = (receipt.image.name.clone(), receipt.to_json());
    for (image, receipt, expected) in [
        (Some("linux"), "{}", "its receipt cannot be read"),
        (
            Some("linux"),
            &*other.to_json(),
            "its receipt is not the one in the index",
        ),
        (Some("other"), &receipt, "the image in it is "),
        (None, &receipt, " is not in it"),
    ] {
        let mut tar = Tar::new();
        if let Some(image) = image {
            tar = tar.file(&name, 0o644, image.as_bytes());
        }
        put_archive(
            &scene,
            &tar.file("receipt.json", 0o644, receipt.as_bytes()).gz(),
        );
        let error = refusal(&scene, &source).await;
        let text = error.to_string();
        assert!(
            text.starts_with(&format!("`{ARCHIVE}` is not the image of the index: ")),
            "{text}"
        );
        assert!(text.contains(expected), "{text}");
        assert!(scene.images().list().unwrap().is_empty());
        assert_eq!(downloads(&scene), 0);
    }
}

/// Returns the number of downloads that are kept to be continued.
fn downloads(scene: &Scene) -> usize {
    let folder = scene.folder.path().join("images/.partial");
    std::fs::read_dir(folder).unwrap().count()
}

#[tokio::test]
async fn an_archive_that_cannot_be_unpacked_is_the_fault_of_its_maker() {
    let scene = Scene::new(b"linux", u64::MAX).await;
    let source = scene.site().await;
    let good = || Tar::new().file("receipt.json", 0o644, b"{}");
    let cut = good().gz();
    for (archive, expected) in [
        (good().symlink("x", "/etc/passwd").gz(), "link `x`"),
        (good().file("../x", 0o644, b"").gz(), "leaves its folder"),
        (
            good().file("other/x", 0o644, b"").gz(),
            "no file of an image",
        ),
        (
            good().file("nul.so", 0o644, b"").gz(),
            "no file of an image",
        ),
        (good().folder("other/").gz(), "a folder that no image has"),
        (good().symlink("x", "receipt.json").gz(), "a link, which"),
        (
            good().hard_link("x", "receipt.json").gz(),
            "a hard link, which",
        ),
        (good().file("Receipt.json", 0o644, b"").gz(), "twice"),
        (cut[..cut.len() - 9].to_vec(), "damaged"),
        (b"<!DOCTYPE html>".to_vec(), "damaged"),
    ] {
        put_archive(&scene, &archive);
        let error = refusal(&scene, &source).await;
        let text = error.to_string();
        let start = format!("`{ARCHIVE}` is not the image of the index: ");
        assert!(
            text.starts_with(&start) && text.contains(expected),
            "{text}"
        );
        let hints = error.hints();
        assert!(hints[0].contains("tell the maintainer"), "{hints:?}");
        assert_eq!(downloads(&scene), 0);
    }
}

#[tokio::test]
async fn a_provenance_that_speaks_of_another_archive_stops_the_installation() {
    let scene = Scene::new(b"linux", u64::MAX).await;
    let source = scene.site().await;
    let path = folder_of(&scene).join(crate::documents::provenance::NAME);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace(ARCHIVE, "another.tar.gz")).unwrap();
    let error = refusal(&scene, &source).await;
    assert_eq!(
        error.to_string(),
        format!("the provenance of the release does not name `{ARCHIVE}` with its digest")
    );
    // It is noticed before anything is downloaded.
    assert!(!scene.folder.path().join("images").exists());
}

#[tokio::test]
async fn parts_that_are_good_and_do_not_make_the_archive_are_refused() {
    let noise = sysforge_testkit::github::Random(7).bytes(100_000);
    let scene = Scene::new(&noise, 30_000).await;
    let source = scene.site().await;
    let mut index = index_of(&scene);
    for image in &mut index.images {
        image.parts.reverse();
    }
    write_index(&scene, &index);
    let error = refusal(&scene, &source).await;
    assert!(
        matches!(&error, InstallError::Digest { name, .. } if name == ARCHIVE),
        "{error}"
    );
    assert!(scene.images().list().unwrap().is_empty());
    assert_eq!(downloads(&scene), 0);
}

#[tokio::test]
async fn what_an_earlier_run_left_spoilt_is_fetched_anew() {
    let scene = Scene::new(b"linux", u64::MAX).await;
    let source = scene.site().await;
    let index = index_of(&scene);
    let image = index.images.iter().find(|i| i.archive.name == ARCHIVE);
    let image = image.unwrap();
    let images = scene.images();
    let turn = images.turn(image, &Reporter::silent()).await.unwrap();
    let left = images.partial(image, &turn).unwrap();
    drop(turn);
    std::fs::write(&left, vec![0; image.archive.size as usize]).unwrap();
    let installed = scene.install(&source, &options(None, None)).await.unwrap();
    assert_eq!(std::fs::read(&installed.image).unwrap(), b"linux");
    assert!(!left.exists());
}

#[tokio::test]
async fn another_julia_than_the_one_of_the_image_is_refused() {
    let scene = Scene::new(b"linux", u64::MAX).await;
    let release = OpenRelease::open(&scene.site().await, &options(None, None)).await;
    let release = release.unwrap();
    let (index, _) = release.index(&[]).await.unwrap();
    let mut facts = scene.facts();
    let (image, _) = choose_image(&index, &machine(Some(facts.build()))).unwrap();
    facts.commit = "0000000000".to_owned();
    let quiet = Quiet::new();
    let installation = Installation {
        release: &release,
        index: &index,
        image,
        julia: Some(&facts),
        images: &scene.images(),
        surroundings: &quiet.with(&[]),
    };
    let error = installation.run().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the image is for Julia 1.12.7 (x86_64-linux-gnu) 5a8a8e1f0e, and this Julia is \
         1.12.7 (x86_64-linux-gnu) 0000000000"
    );
    assert!(scene.images().list().unwrap().is_empty());
}

#[tokio::test]
async fn a_name_that_no_image_has_is_answered_with_those_that_there_are() {
    let scene = Scene::new(b"linux", u64::MAX).await;
    scene.site().await;
    let index = index_of(&scene);
    let named = |name: &str| Machine {
        name: Some(name.to_owned()),
        ..machine(Some(scene.facts().build()))
    };
    let error = choose_image(&index, &named("demi")).unwrap_err();
    assert_eq!(error.to_string(), "v1.0.0 has no image `demi`");
    assert_eq!(error.hints(), ["it has: demo"]);
    let (image, _) = choose_image(&index, &named("demo")).unwrap();
    assert_eq!(image.archive.name, ARCHIVE);
}

#[tokio::test]
async fn an_image_that_lacks_a_package_is_not_installed() {
    let scene = Scene::new(b"linux", u64::MAX).await;
    let source = scene.site().await;
    let mut index = index_of(&scene);
    let image = index.images.iter_mut().find(|i| i.archive.name == ARCHIVE);
    let receipt = &mut image.unwrap().receipt;
    // This Julia prints only `Base`.
    receipt.check.loaded = vec!["Base".to_owned(), "Example".to_owned()];
    let (name, text) = (receipt.image.name.clone(), receipt.to_json());
    write_index(&scene, &index);
    let tar = Tar::new().file(&name, 0o644, b"linux");
    put_archive(
        &scene,
        &tar.file("receipt.json", 0o644, text.as_bytes()).gz(),
    );
    let error = refusal(&scene, &source).await;
    assert_eq!(
        error.to_string(),
        "the image loads, but Example is not in it"
    );
    assert!(scene.images().list().unwrap().is_empty());
}

#[tokio::test]
async fn a_damaged_image_is_installed_again() {
    let scene = Scene::new(b"linux", u64::MAX).await;
    let source = scene.site().await;
    let installed = scene.install(&source, &options(None, None)).await.unwrap();
    std::fs::write(&installed.image, b"spoilt").unwrap();
    let again = scene.install(&source, &options(None, None)).await.unwrap();
    assert_eq!(again, installed);
    assert_eq!(std::fs::read(&installed.image).unwrap(), b"linux");
}

#[tokio::test]
async fn an_installed_image_is_found_by_its_name_and_by_its_identifier() {
    let scene = Scene::new(b"linux", u64::MAX).await;
    let source = scene.site().await;
    let installed = scene.install(&source, &options(None, None)).await.unwrap();
    let images = scene.images();
    for name in ["demo", &installed.build_id] {
        let found = images.named(name).unwrap();
        assert_eq!(found, std::slice::from_ref(&installed));
    }
    let error = images.named("demp").unwrap_err();
    assert_eq!(error.to_string(), "no installed image is called `demp`");
    assert!(error.hints()[0].contains("`demo`"), "{:?}", error.hints());
    // Folders without a note, or with that of something else, are not images.
    let root = scene.folder.path().join("images");
    std::fs::create_dir(root.join("stray")).unwrap();
    std::fs::write(root.join("stray/installed.json"), "{}").unwrap();
    assert_eq!(images.list().unwrap().len(), 1);
}

#[tokio::test]
async fn an_image_that_is_there_is_verified_once_more_with_a_key() {
    let (scene, source, key) = signed_site(1).await;
    let plain = scene.install(&source, &options(None, None)).await.unwrap();
    assert!(plain.keys.is_empty());
    let signed = scene
        .install_signed(&source, &options(None, None), std::slice::from_ref(&key))
        .await
        .unwrap();
    // Upgrades have to be signed from now on, so it is on disk.
    assert_eq!(signed.keys, [key.to_string()]);
    assert_eq!(scene.images().list().unwrap(), [signed]);
}

#[test]
fn a_store_that_is_a_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("images");
    std::fs::write(&path, "a file").unwrap();
    let error = Images::open(&path).list().unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("could not access {}", path.display())
    );
    assert!(error.hints()[0].contains("name a folder"));
}

/// Returns the result for an image whose archive has no attestation, but whose parts have these.
async fn attested_in_parts(attested: &[bool], required: bool) -> Result<Attested, InstallError> {
    use crate::attestation::tests::{BY_WORKFLOW, digest};
    let scene = Scene::new(b"linux", u64::MAX).await;
    let server = Options {
        repository: "cli/cli".to_owned(),
        ..Options::default()
    };
    let github = scene.github(server).await;
    github.put_attestation(&digest().to_string(), BY_WORKFLOW);
    let source = Source::parse("cli/cli@v1.0.0", |_| false).unwrap();
    let release = OpenRelease::open(&source, &options(Some(&github), None)).await;
    let release = release.unwrap();
    let (index, _) = release.index(&[]).await.unwrap();
    let mut image = index.images[0].clone();
    let part = |attested: &bool| {
        let mut part = image.archive.clone();
        if *attested {
            part.sha256 = digest();
        }
        part
    };
    let parts = attested.iter().map(part).collect();
    image.parts = parts;
    release.attested(&image, required).await
}

#[tokio::test]
async fn an_archive_in_parts_is_attested_if_every_part_is() {
    // The whole archive is attested, but by a run that names no release.
    let by = attested_in_parts(&[true, true], false).await.unwrap();
    assert!(matches!(by, Attested::Unknown(_)), "{by:?}");
    let by = attested_in_parts(&[true, false], false).await.unwrap();
    assert_eq!(by, Attested::No);
    let error = attested_in_parts(&[true, false], true).await.unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("the host keeps no attestation of it"),
        "{error}"
    );
}

#[tokio::test]
async fn a_host_that_cannot_be_asked_for_attestations_stops_those_alone_who_insist() {
    let scene = Scene::new(b"linux", u64::MAX).await;
    scene.site().await;
    let index = index_of(&scene);
    let image = &index.images[0];
    // No server listens there.
    let release = OpenRelease::open(&repository(), &options(None, None)).await;
    let release = release.unwrap();
    let Attested::Unknown(why) = release.attested(image, false).await.unwrap() else {
        panic!("nobody could tell");
    };
    let error = release.attested(image, true).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("no attestation of `{}` is good: {why}", image.archive.name)
    );
    assert!(why.to_lowercase().contains("connect"), "{why}");
}
