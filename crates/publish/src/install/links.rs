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
    sysforge_files::create_folders(bin).map_err(at(bin))?;
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
    sysforge_files::write_program(link, script(&target.to_string_lossy()).as_bytes())
}

/// A line of a script that starts an app.
#[cfg(any(not(unix), test))]
const MARK: &str = "rem written by `sysforge install`";

/// Returns a script that starts the program `target`.
#[cfg(any(not(unix), test))]
fn script(target: &str) -> String {
    super::activate::batch_file(&format!(
        "{MARK}\r\n\"{}\" %*\r\n",
        target.replace('%', "%%")
    ))
}

/// Returns whether this is a script that starts a program in `folder`.
#[cfg(any(not(unix), test))]
fn starts_in(text: &str, folder: &str) -> bool {
    let folder = folder.replace('%', "%%");
    let folder = folder.trim_end_matches('\\');
    let marked = text
        .lines()
        .take(2)
        .any(|line| line.trim_start_matches('@') == MARK);
    marked && text.contains(&format!("\"{folder}\\"))
}

#[cfg(unix)]
fn leads_into(link: &Path, folder: &Path) -> bool {
    std::fs::read_link(link).is_ok_and(|target| target.starts_with(folder))
}

#[cfg(not(unix))]
fn leads_into(link: &Path, folder: &Path) -> bool {
    let text = sysforge_files::read_regular(link, 1 << 16).unwrap_or_default();
    starts_in(&String::from_utf8_lossy(&text), &folder.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_leads_into_the_folder_of_its_program_and_no_other() {
        let text = script(r"C:\store 100%\app-2\bin\tally.exe");
        assert_eq!(text.matches('\n').count(), text.matches("\r\n").count());
        for (folder, leads) in [
            (r"C:\store 100%", true),
            (r"C:\store 100%\app-2", true),
            (r"C:\store 100%\app-2\", true),
            (r"C:\store 100%\app", false),
            (r"store 100%\app-2", false),
        ] {
            assert_eq!(starts_in(&text, folder), leads, "{folder}");
        }
        assert!(!starts_in(
            &text.replace(MARK, "rem mine"),
            r"C:\store 100%"
        ));
        // As earlier versions wrote it.
        let text = format!("@{MARK}\r\n@\"C:\\store\\app\\bin\\tally.exe\" %*\r\n");
        assert!(starts_in(&text, r"C:\store\app"));
    }

    #[cfg(windows)]
    #[test]
    fn links_are_made_replaced_and_removed_but_nothing_else_is_touched() {
        let dir = tempfile::tempdir().unwrap();
        let (store, bin) = (dir.path().join("störe"), dir.path().join("bin"));
        let names = ["tally".to_owned()];
        let links = super::link(&store.join("1"), &names, &bin).unwrap();
        assert_eq!(links, [bin.join("tally.cmd")]);
        super::link(&store.join("12"), &names, &bin).unwrap();
        // It no longer leads to the old one.
        unlink(&links, &store.join("1")).unwrap();
        assert!(links[0].is_file());
        unlink(&links, &store.join("12")).unwrap();
        assert!(!links[0].exists());
        std::fs::write(&links[0], "mine").unwrap();
        let error = super::link(&store.join("1"), &names, &bin).unwrap_err();
        assert!(matches!(error, InstallError::NameTaken(_)), "{error}");
        unlink(&links, &store).unwrap();
        assert!(links[0].is_file());
    }
}
