//! What makes an installed image easy to use: a launcher, a juliaup channel, files of other programs; and
//! the links to apps.

use std::path::{Path, PathBuf};

use sysforge_publish::install::integrate::{self, Integration};
use sysforge_publish::install::{Installed, activate, app};

use super::Installer;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::failure::Failure;

/// How an image is made easy to use.
#[derive(Debug, Default)]
pub struct Activation {
    /// Where to write a launcher.
    pub launcher: Option<PathBuf>,
    /// The juliaup channel to link.
    pub juliaup: Option<String>,
    /// Whether Jupyter gets a kernel.
    pub jupyter: bool,
    /// The folder whose VS Code starts Julia with the image.
    pub vscode: Option<PathBuf>,
    /// Files to write for other programs.
    pub files: Vec<(Integration, PathBuf)>,
}

impl Installer<'_> {
    /// Does what `activation` names, and returns the files of other programs that were written.
    ///
    /// # Errors
    ///
    /// If a file cannot be written, or juliaup refuses the channel.
    pub async fn activate(
        &self,
        installed: &mut Installed,
        activation: &Activation,
    ) -> Result<Vec<PathBuf>, Failure> {
        if let Some(path) = &activation.launcher {
            activate::write_launcher(installed, path)?;
            self.images.note(installed)?;
        }
        if let Some(channel) = &activation.juliaup {
            self.link_channel(installed, channel).await?;
            self.images.note(installed)?;
        }
        let mut files = activation.files.clone();
        if let Some(folder) = &activation.vscode {
            files.push((Integration::VsCode, folder.join(".vscode/settings.json")));
        }
        if activation.jupyter {
            let folder = jupyter_folder(self.engine).ok_or(EngineError::NoHome)?;
            let name = installed.name.to_lowercase();
            let kernel = folder.join(format!("kernels/sysforge-{name}/kernel.json"));
            files.push((Integration::Jupyter, kernel));
        }
        let mut written = Vec::new();
        for (integration, path) in files {
            written.push(integrate::write(installed, integration, &path)?);
            self.images.note(installed)?;
        }
        Ok(written)
    }

    /// Links the apps into `bin`, by default `.local/bin` in the user's home, and returns the links.
    ///
    /// # Errors
    ///
    /// If there is no such folder, or it cannot be written to.
    pub fn link_apps(
        &self,
        installed: &mut Installed,
        bin: Option<&Path>,
    ) -> Result<Vec<PathBuf>, Failure> {
        let home = self.engine.location.home.as_deref();
        let bin = match (bin, home) {
            (Some(bin), _) => bin.to_owned(),
            (None, Some(home)) => home.join(".local").join("bin"),
            (None, None) => return Err(EngineError::NoHomeForApps.into()),
        };
        let links = app::link_apps(installed, &bin)?;
        self.images.note(installed)?;
        let path = self.engine.environment.get("PATH").unwrap_or_default();
        if !std::env::split_paths(path).any(|folder| folder == bin) {
            self.engine.reporter.note(format!(
                "{} is not on the search path: add it to PATH, or name another folder with `--bin DIR`",
                bin.display()
            ));
        }
        Ok(links)
    }
}

/// Where Jupyter looks for a user's kernels.
fn jupyter_folder(engine: &Engine) -> Option<PathBuf> {
    let variable = |name| {
        let value = engine.environment.get(name)?;
        (!value.is_empty()).then(|| PathBuf::from(value))
    };
    if let Some(folder) = variable("JUPYTER_DATA_DIR") {
        return Some(folder);
    }
    let home = || engine.location.home.clone();
    if cfg!(windows) {
        variable("APPDATA").map(|folder| folder.join("jupyter"))
    } else if cfg!(target_os = "macos") {
        home().map(|home| home.join("Library/Jupyter"))
    } else {
        let data = variable("XDG_DATA_HOME").or_else(|| Some(home()?.join(".local/share")));
        data.map(|folder| folder.join("jupyter"))
    }
}
