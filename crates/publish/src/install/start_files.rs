//! The files in an image's folder that make `using` find its packages.

use std::path::Path;

use sysforge_plan::image_environment;
use sysforge_plan::receipt::PackageRecord;

use crate::local::write_whole;

/// Writes the environment into an image's folder, unless the archive contained it, and the script
/// that Julia loads at start-up.
pub(super) fn write_environment(
    folder: &Path,
    packages: &[PackageRecord],
) -> Result<(), crate::PublishError> {
    let project = folder.join(image_environment::PROJECT);
    if !project.is_file() {
        let text = image_environment::project(packages);
        write_whole(&project, text.as_bytes())?;
    }
    let text = image_environment::start_script(packages);
    write_whole(
        &folder.join(image_environment::START_SCRIPT),
        text.as_bytes(),
    )
}
