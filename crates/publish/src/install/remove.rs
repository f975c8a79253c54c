//! Removing an installed image, and the files that start Julia with it.

use sysforge_files::read_regular;

use super::activate::starts;
use super::error::InstallError;
use super::integrate;
use super::kept::{Images, Installed, NOTE_LIMIT};
use super::links;
use crate::local::at;

impl Images {
    /// Removes an image or apps, and the launchers or links that were written for it. Channels of juliaup are
    /// [`super::activate::unlink_channel`]'s.
    ///
    /// # Errors
    ///
    /// If a file cannot be removed. On Windows that is so while a Julia runs with the image, which
    /// is installed then as before.
    pub fn remove(&self, image: &Installed) -> Result<(), InstallError> {
        if !image.apps.is_empty() {
            links::unlink(&image.launchers, image.folder())?;
            let gone = self.take_away(image.folder())?;
            return Ok(gone.close().map_err(at(image.folder()))?);
        }
        let gone = self.take_away(image.folder())?;
        for launcher in &image.launchers {
            // Only one that still is for this image: the user may have written another since.
            let text = read_regular(launcher, NOTE_LIMIT).ok();
            let text = text.and_then(|bytes| String::from_utf8(bytes).ok());
            if text.is_some_and(|text| starts(&text, image)) {
                std::fs::remove_file(launcher).map_err(at(launcher))?;
            }
        }
        for file in &image.files {
            integrate::remove(file, image)?;
        }
        Ok(gone.close().map_err(at(image.folder()))?)
    }
}
