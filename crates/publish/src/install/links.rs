//! Links to installed apps in a folder of the search path.

use std::path::{Path, PathBuf};

use super::error::InstallError;
use crate::local::at;

/// Returns the executable of an app in the folder of its unpacked archive.
pub(super) fn executable_in(folder: &Path, name: &str) -> PathBuf {
    let name = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    folder.join("bin").join(name)
}

/// Makes the apps `names` in `folder` available in `bin`: with a symbolic link for each, or a
/// script on Windows. Returns their paths. Links to the same store may be replaced; anything else
/// belongs to the user.
///
/// # Errors
///
/// If something else has one of the names, or a link cannot be created.
pub(super) fn link(
    folder: &Path,
    names: &[String],
    bin: &Path,
) -> Result<Vec<PathBuf>, InstallError> {
    std::fs::create_dir_all(bin).map_err(at(bin))?;
    let bin = std::path::absolute(bin).map_err(at(bin))?;
    // Other releases of the same app are in the same store.
    let store = folder.parent().unwrap_or(folder);
    let mut links = Vec::new();
    for name in names {
        let link = bin.join(link_name(name));
        if link.symlink_metadata().is_ok() {
            if !leads_into(&link, store) {
                return Err(InstallError::NameTaken(link));
            }
            std::fs::remove_file(&link).map_err(at(&link))?;
        }
        make_link(&executable_in(folder, name), &link).map_err(at(&link))?;
        links.push(link);
    }
    Ok(links)
}

/// Removes those of `links` that still lead into `folder`.
///
/// # Errors
///
/// If one cannot be removed.
pub(super) fn unlink(links: &[PathBuf], folder: &Path) -> Result<(), InstallError> {
    for link in links.iter().filter(|link| leads_into(link, folder)) {
        std::fs::remove_file(link).map_err(at(link))?;
    }
    Ok(())
}

#[cfg(not(windows))]
fn link_name(name: &str) -> String {
    name.to_owned()
}

#[cfg(windows)]
fn link_name(name: &str) -> String {
    format!("{name}.cmd")
}

#[cfg(unix)]
fn make_link(target: &Path, link: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

// On Windows, a symbolic link needs a privilege.
#[cfg(not(unix))]
fn make_link(target: &Path, link: &Path) -> std::io::Result<()> {
    let target = target.to_string_lossy().replace('%', "%%");
    let text = format!("@rem written by `sysforge install`\r\n@\"{target}\" %*\r\n");
    sysforge_files::write_program(link, text.as_bytes())
}

#[cfg(unix)]
fn leads_into(link: &Path, folder: &Path) -> bool {
    std::fs::read_link(link).is_ok_and(|target| target.starts_with(folder))
}

#[cfg(not(unix))]
fn leads_into(link: &Path, folder: &Path) -> bool {
    let folder = folder.to_string_lossy().replace('%', "%%");
    let text = sysforge_files::read_regular(link, 1 << 16).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    text.starts_with("@rem written by `sysforge install`") && text.contains(&folder)
}
