//! Apps, which do not need Julia: published, installed, upgraded and removed. Their executable is a
//! script.

use sysforge_plan::app::BundledFile;
use sysforge_plan::release::choose::kinds;
use sysforge_testkit::github::{make_app, make_library, write_build};

use super::*;
use crate::install::app::link_apps;

/// Acts as the Julia of an app that is only asked for its version.
const STARTS: &str = "#!/bin/sh\necho \"$0\" \"$@\"\n";

/// A published release of an app `tally`, and of an image if there are bytes for one.
async fn publish(folder: &Path, script: &str, image: Option<&[u8]>) -> Source {
    let dist = folder.join("dist");
    make_app(&dist, "x86_64-linux-gnu", "tally", script);
    if let Some(image) = image {
        make_build(&dist, "x86_64-linux-gnu", image);
    }
    let dist = Dist::read(&dist).await.unwrap();
    let (destination, origin) = (destination(u64::MAX), Origin::default());
    let bundle = ReleaseBundle::prepare(&dist, &destination, &origin)
        .await
        .unwrap();
    let path = folder.join("site");
    let policy = PublishOptions::default();
    dir::publish(&path, &bundle, policy, &Reporter::silent())
        .await
        .unwrap();
    Source::Folder { path, tag: None }
}

fn app_machine() -> Machine {
    Machine {
        kind: Kind::App,
        ..machine(None)
    }
}

async fn install_from(source: &Source, images: &Images) -> Result<Installed, InstallError> {
    let release = OpenRelease::open(source, &options(None, None)).await?;
    let (index, _) = release.index(&[]).await?;
    let (image, _) = choose_image(&index, &app_machine())?;
    let quiet = Quiet::new();
    let installation = Installation {
        release: &release,
        index: &index,
        image,
        julia: None,
        images,
        surroundings: &quiet.with(&[]),
    };
    installation.run().await
}

#[tokio::test]
async fn an_app_is_installed_linked_and_removed_without_a_julia() {
    let dir = tempfile::tempdir().unwrap();
    let source = publish(dir.path(), STARTS, Some(b"image")).await;
    let images = Images::open(dir.path().join("images"));
    let mut installed = install_from(&source, &images).await.unwrap();
    assert_eq!(installed.apps, ["tally"]);
    assert!(installed.julia.as_os_str().is_empty());
    let bin = dir.path().join("bin");
    let links = link_apps(&mut installed, &bin).unwrap();
    images.note(&installed).unwrap();
    let output = std::process::Command::new(&links[0]).arg("x").output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    assert!(text.trim_end().ends_with("tally x"), "{text}");
    // Found again, with its links.
    assert_eq!(images.named("demo-app").unwrap(), [installed.clone()]);
    images.remove(&installed).unwrap();
    assert!(!links[0].is_symlink());
    assert!(images.list().unwrap().is_empty());
}

#[tokio::test]
async fn an_app_that_does_not_start_is_not_installed() {
    let dir = tempfile::tempdir().unwrap();
    let source = publish(dir.path(), "#!/bin/sh\nexit 125\n", None).await;
    let images = Images::open(dir.path().join("images"));
    let error = install_from(&source, &images).await.unwrap_err();
    assert!(
        matches!(&error, InstallError::DoesNotStart { app, .. } if app == "tally"),
        "{error}"
    );
    assert!(images.list().unwrap().is_empty());
}

#[tokio::test]
async fn an_archive_that_lacks_what_its_receipt_names_is_neither_published_nor_installed() {
    let dir = tempfile::tempdir().unwrap();
    let good = make_app(
        &dir.path().join("good"),
        "x86_64-linux-gnu",
        "tally",
        STARTS,
    );
    let named = |path: &str| BundledFile {
        path: path.to_owned(),
        size: 1,
        why: "certificates".to_owned(),
    };
    for (lacking, app, files) in [
        ("bin/other", "other", vec![]),
        (
            "share/julia/cert.pem",
            "tally",
            vec![named("share/julia/cert.pem")],
        ),
    ] {
        let mut receipt = good.clone();
        let bundle = receipt.bundle.as_mut().unwrap();
        app.clone_into(&mut bundle.apps[0].name);
        bundle.files = files;
        let (dist, out) = (dir.path().join(app), dir.path().join(format!("{app}-out")));
        let (text, image) = (receipt.to_json(), receipt.image_path());
        write_build(
            &dist,
            &receipt,
            &[
                (&image, STARTS.as_bytes()),
                ("bin/tally", STARTS.as_bytes()),
                ("receipt.json", text.as_bytes()),
            ],
        );
        let says = format!("it lacks `{lacking}`, which its receipt names");
        let error = Dist::read(&dist).await.unwrap_err().to_string();
        assert!(error.contains(&says), "{error}");

        let name = format!("{}.tar.gz", receipt.build_id);
        let archive = dist.join(&name);
        let bytes = std::fs::read(&archive).unwrap();
        let image = ReleaseImage {
            archive: FileRecord {
                name: name.parse().unwrap(),
                size: bytes.len() as u64,
                sha256: Sha256::of(&bytes),
            },
            parts: Vec::new(),
            sbom: None,
            receipt,
        };
        std::fs::create_dir(&out).unwrap();
        let error = crate::install::unpack(&archive, &image, &out).unwrap_err();
        assert!(matches!(error, InstallError::NotTheImage { .. }), "{error}");
        assert!(error.to_string().contains(&says), "{error}");
    }
}

#[tokio::test]
async fn a_library_is_published_installed_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let dist = dir.path().join("dist");
    make_library(&dist, "x86_64-linux-gnu", "measure");
    make_build(&dist, "x86_64-linux-gnu", b"image");
    let dist = Dist::read(&dist).await.unwrap();
    let bundle = ReleaseBundle::prepare(&dist, &destination(u64::MAX), &Origin::default())
        .await
        .unwrap();
    let path = dir.path().join("site");
    let policy = PublishOptions::default();
    dir::publish(&path, &bundle, policy, &Reporter::silent())
        .await
        .unwrap();
    let source = Source::Folder { path, tag: None };
    let place = OpenRelease::open(&source, &options(None, None))
        .await
        .unwrap();
    let (index, _) = place.index(&[]).await.unwrap();
    let named = kinds(&index, Triplet::X86_64_LINUX_GNU, Some("demo-lib"));
    assert_eq!(named, [Kind::Library]);
    let wanted = Machine {
        kind: Kind::Library,
        ..machine(None)
    };
    let (image, _) = choose_image(&index, &wanted).unwrap();
    assert!(choose_image(&index, &app_machine()).is_err());
    let images = Images::open(dir.path().join("images"));
    let quiet = Quiet::new();
    let installation = Installation {
        release: &place,
        index: &index,
        image,
        julia: None,
        images: &images,
        surroundings: &quiet.with(&[]),
    };
    let installed = installation.run().await.unwrap();
    assert_eq!(installed.kind(), Kind::Library);
    assert_eq!(installed.library.as_deref(), Some("measure"));
    // Found again by its name, with the folder that has the header.
    let [found] = &images.named("demo-lib").unwrap()[..] else {
        panic!("one was installed");
    };
    assert!(found.image.ends_with("lib/libmeasure.so.1.2.0"));
    assert!(found.folder().join("include/measure.h").is_file());
    images.remove(found).unwrap();
    assert!(images.list().unwrap().is_empty());
}

#[tokio::test]
async fn an_app_that_is_installed_again_is_upgraded_from_where_it_was_offered_last() {
    let dir = tempfile::tempdir().unwrap();
    let source = publish(dir.path(), STARTS, None).await;
    let images = Images::open(dir.path().join("images"));
    install_from(&source, &images).await.unwrap();
    let path = dir.path().join("moved");
    std::fs::rename(dir.path().join("site"), &path).unwrap();
    let moved = Source::Folder { path, tag: None };
    assert_eq!(install_from(&moved, &images).await.unwrap().source, moved);
    assert_eq!(images.list().unwrap()[0].source, moved);
}

#[tokio::test]
async fn an_image_is_never_chosen_for_an_app_or_an_app_for_an_image() {
    let dir = tempfile::tempdir().unwrap();
    let source = publish(dir.path(), STARTS, Some(b"image")).await;
    let release = OpenRelease::open(&source, &options(None, None))
        .await
        .unwrap();
    let (index, _) = release.index(&[]).await.unwrap();
    let offered = kinds(&index, Triplet::X86_64_LINUX_GNU, None);
    assert!(offered.contains(&Kind::App) && offered.contains(&Kind::Image));
    let only = kinds(&index, Triplet::X86_64_LINUX_GNU, Some("demo-app"));
    assert_eq!(only, [Kind::App]);
    let (app, _) = choose_image(&index, &app_machine()).unwrap();
    assert_eq!(app.receipt.name, *"demo-app");
    let (image, _) = choose_image(&index, &machine(None)).unwrap();
    assert_eq!(image.receipt.name, *"demo");
}

#[tokio::test]
async fn the_archive_of_an_app_is_no_package_artifact() {
    let dir = tempfile::tempdir().unwrap();
    let source = publish(dir.path(), STARTS, Some(b"image")).await;
    let Source::Folder { path, .. } = source else {
        panic!("it was published into a folder");
    };
    let text = std::fs::read_to_string(path.join("v1.0.0/Artifacts.toml")).unwrap();
    assert!(text.contains("demo-julia1.12.7"), "{text}");
    assert!(!text.contains("demo-app"), "{text}");
}

#[tokio::test]
async fn an_image_whose_archive_has_a_file_of_apps_is_not_published() {
    let dir = tempfile::tempdir().unwrap();
    let dist = dir.path().join("dist");
    make_app(&dist, "x86_64-linux-gnu", "tally", STARTS);
    // The receipt says that it is an image.
    let receipt = dist.join("demo-app-julia1.12.7-x86_64-linux-gnu.receipt.json");
    let text = std::fs::read_to_string(&receipt).unwrap();
    let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
    value.as_object_mut().unwrap().remove("bundle");
    std::fs::write(&receipt, value.to_string()).unwrap();
    assert!(Dist::read(&dist).await.is_err());
}
