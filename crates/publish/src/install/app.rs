//! Starting and linking apps, which need no Julia.

use std::path::Path;
use std::time::Duration;

use sysforge_plan::Step;
use sysforge_plan::release::ReleaseImage;
use sysforge_process::Program;

use super::error::InstallError;
use super::images::Installed;
use super::links::{self, executable_in};
use super::{Surroundings, remove};

/// Maximum time for a start. It takes less than a second, but longer if a slow disk reads hundreds
/// of megabytes.
const LIMIT: Duration = Duration::from_secs(120);

/// Starts the Julia of each app, which prints its version. This shows that the libraries are
/// complete and fit this system.
pub(super) async fn start_once(
    folder: &Path,
    image: &ReleaseImage,
    surroundings: &Surroundings<'_>,
) -> Result<(), InstallError> {
    let bundle = image.receipt.bundle.as_ref();
    // A C library is not a program; the caller starts it from a program.
    if bundle.is_some_and(|bundle| bundle.apps.is_empty()) {
        return Ok(());
    }
    let task = surroundings.reporter.start(Step::Check, "start it once");
    for app in image.receipt.bundle.iter().flat_map(|bundle| &bundle.apps) {
        let executable = executable_in(folder, &app.name);
        let log = folder.join(format!("{}.start.log", app.name));
        let program = Program::new(&executable, surroundings.environment.clean(), &log)
            .args(["--julia-args", "--version"])
            .timeout(Some(LIMIT));
        let started = surroundings.children.run(&program, &task).await;
        started.map_err(|source| InstallError::DoesNotStart {
            app: app.name.clone(),
            source,
        })?;
        remove(&log)?;
    }
    task.done("it starts");
    Ok(())
}

/// Links the installed apps into `bin`, and records that. Returns the paths of the links.
///
/// # Errors
///
/// If something else has one of the names, or a link cannot be created.
pub fn link_apps(
    installed: &mut Installed,
    bin: &Path,
) -> Result<Vec<std::path::PathBuf>, InstallError> {
    let links = links::link(installed.folder(), &installed.apps, bin)?;
    for link in &links {
        if !installed.launchers.contains(link) {
            installed.launchers.push(link.clone());
        }
    }
    Ok(links)
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use crate::install::images::tests::installed_app;

    #[test]
    fn links_are_made_replaced_and_removed_but_nothing_else_is_touched() {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("store");
        let bin = dir.path().join("bin");
        let mut old = installed_app(&store, 1);
        let links = link_apps(&mut old, &bin).unwrap();
        assert_eq!(links, [bin.join("tally")]);
        let mut new = installed_app(&store, 2);
        link_apps(&mut new, &bin).unwrap();
        assert!(
            std::fs::read_link(&links[0])
                .unwrap()
                .starts_with(new.folder())
        );
        // The link no longer leads to the old one.
        links::unlink(&old.launchers, old.folder()).unwrap();
        assert!(links[0].is_symlink());
        links::unlink(&new.launchers, new.folder()).unwrap();
        assert!(!links[0].is_symlink());
        std::fs::write(&links[0], "mine").unwrap();
        let error = link_apps(&mut new, &bin).unwrap_err();
        assert!(matches!(error, InstallError::NameTaken(_)), "{error}");
        links::unlink(&new.launchers, new.folder()).unwrap();
        assert_eq!(sysforge_files::read_text(&links[0]).unwrap(), "mine");
    }
}
