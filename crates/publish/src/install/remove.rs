//! Removing an installed image, and the files that start Julia with it.

use sysforge_files::{read_regular, unless_gone};

use super::activate::starts;
use super::error::InstallError;
use super::images::{Images, Installed, NOTE_LIMIT};
use super::integrate;
use super::links;
use crate::local::at;

impl Images {
    /// Removes an image or apps, and the launchers or links that were written for it. Channels of
    /// juliaup are removed by [`super::activate::unlink_channel`].
    ///
    /// # Errors
    ///
    /// If a file cannot be removed. On Windows, this is so while a Julia runs with the image, which
    /// then stays installed.
    pub fn remove(&self, image: &Installed) -> Result<(), InstallError> {
        if !image.apps.is_empty() {
            links::unlink(&image.launchers, image.folder())?;
        }
        let gone = self.move_to_trash(image.folder())?;
        remove_starters(image)?;
        Ok(unless_gone(gone.close()).map_err(at(image.folder()))?)
    }

    /// Finishes removals that were killed, and returns the images among them that `name` matches.
    /// What cannot be removed now is left for the next time.
    pub fn finish_removals(&self, name: &str) -> Vec<Installed> {
        let mut finished = Vec::new();
        for (folder, image) in self.taken_away() {
            let Some(image) = image else {
                let _ = std::fs::remove_dir_all(folder);
                continue;
            };
            // If the image was installed again, the launchers are those of the new one.
            let is_installed = image.folder().exists();
            if !is_installed && remove_starters(&image).is_err() {
                continue;
            }
            let removed = unless_gone(std::fs::remove_dir_all(folder));
            if removed.is_ok() && !is_installed && image.is_named(name) {
                finished.push(image);
            }
        }
        finished
    }
}

/// Removes the launchers and other files that start Julia with the image.
fn remove_starters(image: &Installed) -> Result<(), InstallError> {
    for launcher in &image.launchers {
        // Only if it still starts this image: the user may have written another file since.
        let text = read_regular(launcher, NOTE_LIMIT).ok();
        let text = text.and_then(|bytes| String::from_utf8(bytes).ok());
        if text.is_some_and(|text| starts(&text, image)) {
            unless_gone(std::fs::remove_file(launcher)).map_err(at(launcher))?;
        }
    }
    for file in &image.files {
        integrate::remove(file, image)?;
    }
    Ok(())
}
