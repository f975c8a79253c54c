//! A plain directory as a release host: a static site or a shared file system. It contains one
//! folder per tag, which appears completely or not at all, and a list of the tags.

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sysforge_files::{FileLock, LockAttempt, rename, sync_folder, unless_gone};
use sysforge_plan::release::{SITE_NAME, Site};
use sysforge_plan::text::{self, Tag};
use sysforge_plan::{Reporter, Step};

use super::{PublishOptions, site_to_extend};
use crate::error::PublishError;
use crate::local::{self, CHUNK, at};
use crate::release_bundle::{Asset, Content, Kind, ReleaseBundle};
use crate::report::{AssetOutcome, Outcome, Published};

/// Publishes into the directory `root`.
///
/// # Errors
///
/// If another publisher is running, the release exists with other bytes and must not be replaced,
/// or a file cannot be written.
pub async fn publish(
    root: &Path,
    bundle: &ReleaseBundle,
    options: PublishOptions,
    reporter: &Reporter,
) -> Result<Published, PublishError> {
    let (root, bundle, reporter) = (root.to_owned(), bundle.clone(), reporter.clone());
    local::blocking(move || publish_now(&root, &bundle, options, &reporter)).await
}

fn publish_now(
    root: &Path,
    bundle: &ReleaseBundle,
    options: PublishOptions,
    reporter: &Reporter,
) -> Result<Published, PublishError> {
    let folder = root.join(&bundle.tag);
    let report = |outcome, actions: Vec<String>, how: AssetOutcome| Published {
        actions,
        assets: bundle.outcomes(|_, _| how),
        ..Published::new(outcome, &bundle.tag, folder.display().to_string())
    };
    // Check under the lock, after any other publisher has finished.
    let _lock = match options.dry_run {
        true => None,
        false => {
            let lock = lock(root, bundle)?;
            remove_temporary_files(root)?;
            recover(&folder)?;
            Some(lock)
        }
    };
    let replaced = folder.exists();
    // It may also be a symbolic link that leads nowhere.
    if !folder.is_dir() && std::fs::symlink_metadata(&folder).is_ok() {
        return Err(at(&folder)(std::io::ErrorKind::NotADirectory.into()));
    }
    let difference = match replaced {
        true => first_difference(&folder, bundle)?,
        false => Some(String::new()),
    };
    let Some(difference) = difference else {
        if !options.dry_run {
            list(root, &bundle.tag)?;
        }
        return Ok(report(Outcome::Unchanged, Vec::new(), AssetOutcome::Kept));
    };
    if replaced && !options.replace {
        return Err(PublishError::Different { name: difference });
    }
    let (how, action) = match replaced {
        true => (AssetOutcome::Replaced, "replace"),
        false => (AssetOutcome::Sent, "make"),
    };
    let actions = vec![
        format!("{action} the folder {}", folder.display()),
        format!("list {} in {}", bundle.tag, root.join(SITE_NAME).display()),
    ];
    if options.dry_run {
        return Ok(report(Outcome::WouldPublish, actions, how));
    }
    let (sent, rechecked) = write_release(root, &folder, bundle, reporter)?;
    list(root, &bundle.tag)?;
    Ok(Published {
        bytes_sent: sent,
        rechecked,
        ..report(Outcome::Published, actions, how)
    })
}

/// Cleans up after a run that was killed while it replaced the folder: if that was between its two
/// renames, restores the old folder.
fn recover(folder: &Path) -> Result<(), PublishError> {
    let old = beside(folder, "old");
    match folder.exists() {
        // It was killed after the second rename.
        true => remove_folder(&old),
        false if old.exists() => rename(&old, folder).map_err(at(&old)),
        false => Ok(()),
    }
}

/// The name of the lock file.
const LOCK_NAME: &str = ".sysforge-lock";

/// Removes temporary files of runs that were killed before they renamed the list of releases. Under
/// the lock, no other process writes one.
fn remove_temporary_files(root: &Path) -> Result<(), PublishError> {
    for entry in std::fs::read_dir(root).map_err(at(root))? {
        let entry = entry.map_err(at(root))?;
        let name = entry.file_name();
        let is_temporary = name
            .to_str()
            .is_some_and(|name| name.starts_with(".sysforge-") && name != LOCK_NAME);
        if is_temporary && entry.file_type().is_ok_and(|kind| kind.is_file()) {
            std::fs::remove_file(entry.path()).map_err(at(&entry.path()))?;
        }
    }
    Ok(())
}

fn lock(root: &Path, bundle: &ReleaseBundle) -> Result<FileLock, PublishError> {
    let path = root.join(LOCK_NAME);
    let LockAttempt::Got(lock) = local::try_lock(&path)? else {
        return Err(PublishError::Another {
            tag: bundle.tag.clone(),
            who: format!("it holds {}", path.display()),
        });
    };
    if !lock.is_real() {
        let why = "its file system knows no locks, which keep two publishers apart";
        return Err(at(&path)(std::io::Error::other(why)));
    }
    Ok(lock)
}

/// Returns the name of a file that is missing or differs, or `None` if there is none.
fn first_difference(folder: &Path, bundle: &ReleaseBundle) -> Result<Option<String>, PublishError> {
    for asset in &bundle.assets {
        let path = folder.join(&asset.name);
        // Another run would write another statement about the same images.
        let same = path.is_file() && (asset.kind == Kind::Statement || is_whole(&path, asset)?);
        if !same {
            return Ok(Some(asset.name.clone()));
        }
    }
    Ok(None)
}

fn is_whole(path: &Path, asset: &Asset) -> Result<bool, PublishError> {
    // A link could lead to a file that changes later.
    let size = match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_symlink() => return Ok(false),
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(at(path)(error)),
    };
    Ok(size == asset.size && local::sha256_of(path, 0, u64::MAX)? == asset.sha256)
}

/// Returns the folder in which a release is assembled before it is renamed: a hidden folder next to
/// the final one, the same in every run, so that the next run finishes an interrupted one.
fn beside(folder: &Path, end: &str) -> PathBuf {
    let name = folder
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    folder.with_file_name(format!(".{name}.{end}"))
}

fn write_release(
    root: &Path,
    folder: &Path,
    bundle: &ReleaseBundle,
    reporter: &Reporter,
) -> Result<(u64, usize), PublishError> {
    let partial = beside(folder, "partial");
    let old = beside(folder, "old");
    if partial.is_symlink() {
        // Whoever may write to the site could have put it there. What is in the folder that it leads to
        // would be removed as remains of an earlier run.
        std::fs::remove_file(&partial).map_err(at(&partial))?;
    }
    sysforge_files::create_folders(&partial).map_err(at(&partial))?;
    remove_strangers(&partial, bundle)?;
    let mut sent = 0;
    for asset in &bundle.assets {
        let path = partial.join(&asset.name);
        let task = reporter.start(Step::Publish, &asset.name);
        if is_whole(&path, asset)? {
            task.reused("already there");
            continue;
        }
        copy(asset, &path)?;
        if !is_whole(&path, asset)? {
            let found = local::sha256_of(&path, 0, u64::MAX)?;
            return Err(asset.differs(found.to_string()));
        }
        sent += asset.size;
        task.done(crate::documents::notes::size(asset.size));
    }
    sync_folder(&partial).map_err(at(&partial))?;
    if folder.exists() {
        remove_folder(&old)?;
        rename(folder, &old).map_err(at(folder))?;
    }
    rename(&partial, folder).map_err(at(folder))?;
    let parent = folder.parent().unwrap_or(root);
    sync_folder(parent).map_err(at(parent))?;
    remove_folder(&old)?;
    Ok((sent, bundle.assets.len()))
}

fn remove_folder(folder: &Path) -> Result<(), PublishError> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(at(folder)(error)),
        _ => Ok(()),
    }
}

/// Removes files of an earlier, different run from the folder that this run fills.
fn remove_strangers(partial: &Path, bundle: &ReleaseBundle) -> Result<(), PublishError> {
    for entry in std::fs::read_dir(partial).map_err(at(partial))? {
        let path = entry.map_err(at(partial))?.path();
        let known = path
            .file_name()
            .is_some_and(|name| bundle.assets.iter().any(|asset| name == &*asset.name));
        if !known {
            std::fs::remove_file(&path).map_err(at(&path))?;
        }
    }
    Ok(())
}

fn copy(asset: &Asset, path: &Path) -> Result<(), PublishError> {
    let mut target = sysforge_files::create(path).map_err(at(path))?;
    match &asset.content {
        Content::Memory(bytes) => target.write_all(bytes).map_err(at(path))?,
        Content::File {
            path: source,
            offset,
        } => {
            let mut file = sysforge_files::open_regular(source).map_err(at(source))?;
            file.seek(SeekFrom::Start(*offset)).map_err(at(source))?;
            let mut reader = file.take(asset.size);
            let mut chunk = vec![0; CHUNK];
            loop {
                match reader.read(&mut chunk).map_err(at(source))? {
                    0 => break,
                    read => target.write_all(&chunk[..read]).map_err(at(path))?,
                }
            }
        }
    }
    target.sync_all().map_err(at(path))
}

/// Adds the tag to the list of releases.
fn list(root: &Path, tag: &str) -> Result<(), PublishError> {
    let path = root.join(SITE_NAME);
    let mut site = read_site(&path)?;
    if site.tags.iter().any(|known| known == tag) {
        return Ok(());
    }
    let tag = Tag::new(tag).map_err(|_| PublishError::BadTag(tag.to_owned()))?;
    site.tags.push(tag);
    local::write_whole(&path, text::json(&site).as_bytes())
}

fn read_site(path: &Path) -> Result<Site, PublishError> {
    let text = unless_gone(sysforge_files::read_text(path)).map_err(at(path))?;
    let folder = path.parent().unwrap_or(path);
    site_to_extend(text.as_bytes(), || folder.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dist::Dist;
    use crate::release_bundle::Origin;
    use crate::release_bundle::tests::{destination, make_build};

    async fn bundle(image: &[u8]) -> (tempfile::TempDir, ReleaseBundle) {
        let dir = tempfile::tempdir().unwrap();
        make_build(dir.path(), "x86_64-linux-gnu", image);
        let dist = Dist::read(dir.path()).await.unwrap();
        let (destination, origin) = (destination(u64::MAX), Origin::default());
        let bundle = ReleaseBundle::prepare(&dist, &destination, &origin)
            .await
            .unwrap();
        (dir, bundle)
    }

    async fn send(
        root: &Path,
        bundle: &ReleaseBundle,
        policy: PublishOptions,
    ) -> Result<Published, PublishError> {
        publish(root, bundle, policy, &Reporter::silent()).await
    }

    #[tokio::test]
    async fn a_release_appears_whole_and_a_second_run_does_nothing() {
        let (_dist, bundle) = bundle(b"one").await;
        let root = tempfile::tempdir().unwrap();
        let first = send(root.path(), &bundle, PublishOptions::default())
            .await
            .unwrap();
        assert_eq!(first.outcome, Outcome::Published);
        assert_eq!(first.bytes_sent, bundle.size());
        let second = send(root.path(), &bundle, PublishOptions::default())
            .await
            .unwrap();
        assert_eq!((second.outcome, second.bytes_sent), (Outcome::Unchanged, 0));
        let site = read_site(&root.path().join(SITE_NAME)).unwrap();
        assert_eq!(site.tags, ["v1.0.0"]);
    }

    #[tokio::test]
    async fn a_file_that_another_program_writes_to_is_named_and_not_published() {
        let root = tempfile::tempdir().unwrap();
        for change in crate::release_bundle::tests::changes() {
            let (_dist, bundle) = bundle(b"one").await;
            let path = change(&bundle);
            let error = send(root.path(), &bundle, PublishOptions::default()).await;
            let error = error.unwrap_err().to_string();
            let expected = format!("{} changed while it was published", path.display());
            assert_eq!(error, expected);
            assert!(!root.path().join("v1.0.0").exists());
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn what_is_in_the_place_of_a_release_and_no_folder_is_named_and_stays() {
        let (_dist, bundle) = bundle(b"one").await;
        let root = tempfile::tempdir().unwrap();
        let release = root.path().join("v1.0.0");
        let policy = PublishOptions {
            replace: true,
            ..PublishOptions::default()
        };
        let make: [fn(&Path); 3] = [
            |path| std::fs::write(path, "of the user").unwrap(),
            |path| std::os::unix::fs::symlink("v1.0.0", path).unwrap(),
            |path| std::os::unix::fs::symlink("nowhere", path).unwrap(),
        ];
        for make in make {
            make(&release);
            let kind = |path: &Path| std::fs::symlink_metadata(path).unwrap().file_type();
            let before = kind(&release);
            let error = send(root.path(), &bundle, policy).await.unwrap_err();
            let expected = format!("could not access {}", release.display());
            assert_eq!(error.to_string(), expected);
            assert_eq!(kind(&release), before);
            std::fs::remove_file(&release).unwrap();
        }
    }

    #[tokio::test]
    async fn a_dry_run_writes_nothing() {
        let (_dist, bundle) = bundle(b"one").await;
        let root = tempfile::tempdir().unwrap();
        let policy = PublishOptions {
            dry_run: true,
            ..PublishOptions::default()
        };
        let report = send(root.path(), &bundle, policy).await.unwrap();
        assert_eq!(report.outcome, Outcome::WouldPublish);
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn other_bytes_are_refused_unless_they_are_to_replace() {
        let (_one, one) = bundle(b"one").await;
        let (_two, two) = bundle(b"two").await;
        let root = tempfile::tempdir().unwrap();
        send(root.path(), &one, PublishOptions::default())
            .await
            .unwrap();
        let error = send(root.path(), &two, PublishOptions::default())
            .await
            .unwrap_err();
        assert!(matches!(error, PublishError::Different { .. }), "{error}");
        let policy = PublishOptions {
            replace: true,
            ..PublishOptions::default()
        };
        send(root.path(), &two, policy).await.unwrap();
        let folder = root.path().join("v1.0.0");
        assert_eq!(first_difference(&folder, &two).unwrap(), None);
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 3);
    }

    #[tokio::test]
    async fn an_interrupted_run_is_finished_by_the_next() {
        let (_dist, bundle) = bundle(b"one").await;
        let root = tempfile::tempdir().unwrap();
        let partial = root.path().join(".v1.0.0.partial");
        std::fs::create_dir(&partial).unwrap();
        copy(&bundle.assets[0], &partial.join(&bundle.assets[0].name)).unwrap();
        std::fs::write(partial.join(&bundle.assets[1].name), b"half").unwrap();
        std::fs::write(partial.join("stranger"), b"?").unwrap();
        let report = send(root.path(), &bundle, PublishOptions::default())
            .await
            .unwrap();
        assert_eq!(report.bytes_sent, bundle.size() - bundle.assets[0].size);
        assert!(!partial.exists());
        assert!(!root.path().join("v1.0.0/stranger").exists());
    }

    #[tokio::test]
    async fn what_a_killed_replacement_put_aside_comes_back() {
        let (_one, one) = bundle(b"one").await;
        let (_two, two) = bundle(b"two").await;
        let root = tempfile::tempdir().unwrap();
        send(root.path(), &one, PublishOptions::default())
            .await
            .unwrap();
        let folder = root.path().join("v1.0.0");
        std::fs::rename(&folder, beside(&folder, "old")).unwrap();
        let error = send(root.path(), &two, PublishOptions::default())
            .await
            .unwrap_err();
        assert!(matches!(error, PublishError::Different { .. }), "{error}");
        assert_eq!(first_difference(&folder, &one).unwrap(), None);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn links_that_somebody_put_into_the_site_are_not_followed() {
        use std::os::unix::fs::symlink;
        let (_dist, bundle) = bundle(b"one").await;
        let site = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        std::fs::write(elsewhere.path().join("mine"), "of the user").unwrap();
        symlink(elsewhere.path(), site.path().join(".v1.0.0.partial")).unwrap();
        send(site.path(), &bundle, PublishOptions::default())
            .await
            .unwrap();
        let kept = std::fs::read_to_string(elsewhere.path().join("mine")).unwrap();
        assert_eq!(kept, "of the user");
        assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 1);
        // A link to a file with the right content is replaced by the file.
        let folder = site.path().join("v1.0.0");
        assert!(!folder.is_symlink());
        let asset = &bundle.assets[0];
        let copy = elsewhere.path().join("copy");
        std::fs::rename(folder.join(&asset.name), &copy).unwrap();
        symlink(&copy, folder.join(&asset.name)).unwrap();
        let policy = PublishOptions {
            replace: true,
            ..PublishOptions::default()
        };
        send(site.path(), &bundle, policy).await.unwrap();
        assert!(!folder.join(&asset.name).is_symlink());
    }

    #[tokio::test]
    async fn half_a_list_that_a_killed_run_left_is_removed() {
        let (_dist, bundle) = bundle(b"one").await;
        let root = tempfile::tempdir().unwrap();
        let left = root.path().join(".sysforge-Ab12Cd");
        std::fs::write(&left, "{").unwrap();
        let others = root.path().join(".sysforge-of-others");
        std::fs::create_dir(&others).unwrap();
        send(root.path(), &bundle, PublishOptions::default())
            .await
            .unwrap();
        assert!(!left.exists() && others.exists());
        assert!(root.path().join(LOCK_NAME).exists());
        // A dry run removes nothing.
        std::fs::write(&left, "{").unwrap();
        let policy = PublishOptions {
            dry_run: true,
            ..PublishOptions::default()
        };
        send(root.path(), &bundle, policy).await.unwrap();
        assert!(left.exists());
    }

    #[tokio::test]
    async fn a_second_publisher_says_so() {
        let (_dist, bundle) = bundle(b"one").await;
        let root = tempfile::tempdir().unwrap();
        let _held = lock(root.path(), &bundle).unwrap();
        let error = send(root.path(), &bundle, PublishOptions::default())
            .await
            .unwrap_err();
        assert!(matches!(error, PublishError::Another { .. }), "{error}");
    }
}
