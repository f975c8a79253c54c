//! The folder of installed images: remains of killed runs, and images that cannot be changed.

use std::time::SystemTime;

use super::*;

/// Creates what a killed run leaves in the folder of images: a half unpacked image.
fn half_unpacked(scene: &Scene, installed: &Installed) -> PathBuf {
    let digest = installed.sha256.short(12);
    let left = scene
        .folder
        .path()
        .join(format!("images/.new-{digest}-x1y2z3"));
    std::fs::create_dir(&left).unwrap();
    std::fs::write(left.join("half"), "half").unwrap();
    left
}

#[tokio::test]
async fn what_a_killed_run_left_of_an_image_goes_with_its_next_installation() {
    let scene = Scene::new(b"linux", u64::MAX).await;
    let source = scene.site().await;
    let installed = scene.install(&source, &options(None, None)).await.unwrap();
    scene.images().remove(&installed).unwrap();
    let left = half_unpacked(&scene, &installed);
    let others = scene.folder.path().join("images/.new-0123456789ab-x1y2z3");
    std::fs::create_dir(&others).unwrap();
    let again = scene.install(&source, &options(None, None)).await.unwrap();
    assert_eq!(std::fs::read(&again.image).unwrap(), b"linux");
    assert!(!left.exists());
    // Another process may be using that one.
    assert!(others.exists());
}

#[tokio::test]
async fn old_leftovers_are_pruned_and_images_are_not() {
    let scene = Scene::new(b"linux", u64::MAX).await;
    let source = scene.site().await;
    let installed = scene.install(&source, &options(None, None)).await.unwrap();
    let left = half_unpacked(&scene, &installed);
    let folder = scene.folder.path().join("images");
    let (partial, removed) = (
        folder.join(".partial/x.archive"),
        folder.join(".old-x1y2z3"),
    );
    std::fs::write(&partial, "half").unwrap();
    std::fs::create_dir(&removed).unwrap();
    let images = scene.images();
    images.prune_leftovers(SystemTime::now());
    assert!(left.exists() && partial.exists() && removed.exists());
    images.prune_leftovers(SystemTime::now() + Duration::from_secs(8 * 24 * 3600));
    assert!(!left.exists() && !partial.exists() && !removed.exists());
    assert_eq!(images.list().unwrap(), [installed]);
}

#[tokio::test]
async fn a_removal_that_was_killed_is_finished() {
    let scene = Scene::new(b"linux", u64::MAX).await;
    let source = scene.site().await;
    let mut installed = scene.install(&source, &options(None, None)).await.unwrap();
    let launcher = scene.folder.path().join("demo");
    activate::write_launcher(&mut installed, &launcher).unwrap();
    let images = scene.images();
    images.note(&installed).unwrap();
    let name = installed.name.to_string();
    // Killed between renaming the image and removing its launcher.
    let gone = images.move_to_trash(installed.folder()).unwrap();
    let trash = gone.keep();
    assert_eq!(images.finish_removals("another"), []);
    assert!(!trash.exists() && !launcher.exists());

    // An image that is installed again keeps its launcher.
    let mut installed = scene.install(&source, &options(None, None)).await.unwrap();
    activate::write_launcher(&mut installed, &launcher).unwrap();
    images.note(&installed).unwrap();
    let _ = images.move_to_trash(installed.folder()).unwrap().keep();
    scene.install(&source, &options(None, None)).await.unwrap();
    assert_eq!(images.finish_removals(&name), []);
    assert!(launcher.exists());

    let again = images.list().unwrap().remove(0);
    let trash = images.move_to_trash(again.folder()).unwrap().keep();
    let finished = images.finish_removals(&name);
    assert_eq!(finished, [again]);
    assert!(!trash.exists());
}

#[tokio::test]
async fn a_damaged_image_is_installed_anew() {
    let scene = Scene::new(b"linux", u64::MAX).await;
    let source = scene.site().await;
    let installed = scene.install(&source, &options(None, None)).await.unwrap();
    std::fs::write(&installed.image, "spoilt").unwrap();
    let again = scene.install(&source, &options(None, None)).await.unwrap();
    assert_eq!(again, installed);
    assert_eq!(std::fs::read(&again.image).unwrap(), b"linux");
    let names = std::fs::read_dir(scene.folder.path().join("images")).unwrap();
    let left = names
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(".old-"));
    assert_eq!(left.count(), 0);
}

#[tokio::test]
async fn an_image_that_cannot_be_taken_away_keeps_its_launcher() {
    let scene = Scene::new(b"linux", u64::MAX).await;
    let source = scene.site().await;
    let mut installed = scene.install(&source, &options(None, None)).await.unwrap();
    let launcher = scene.folder.path().join("demo");
    activate::write_launcher(&mut installed, &launcher).unwrap();
    let aside = scene.folder.path().join("aside");
    std::fs::rename(installed.folder(), &aside).unwrap();
    let error = scene.images().remove(&installed).unwrap_err();
    assert!(matches!(error, InstallError::Held { .. }), "{error}");
    assert!(launcher.exists());
    std::fs::rename(&aside, installed.folder()).unwrap();
    scene.images().remove(&installed).unwrap();
    assert!(!launcher.exists() && !installed.folder().exists());
}

#[tokio::test]
async fn an_image_in_a_store_of_somebody_else_is_used_without_a_note() {
    let scene = Scene::new(b"linux", u64::MAX).await;
    let source = scene.site().await;
    let installed = scene.install(&source, &options(None, None)).await.unwrap();
    let note = installed.folder().join("installed.json");
    let before = std::fs::metadata(&note).unwrap().modified().unwrap();
    scene.install(&source, &options(None, None)).await.unwrap();
    let after = std::fs::metadata(&note).unwrap().modified().unwrap();
    assert_eq!(after, before);
}
