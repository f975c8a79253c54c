//! Activation of an installed image: a launcher, a juliaup channel, files of other programs, and
//! the links to apps.

use std::path::{Path, PathBuf};

use serde::Serialize;
use sysforge_publish::install::activate::UserLists;
use sysforge_publish::install::integrate::{self, Integration};
use sysforge_publish::install::{InstallError, Installed, activate, app};

use super::{InstallRequest, Installer};
use crate::engine::Engine;
use crate::error::EngineError;
use crate::failure::Failure;

/// How an image is activated.
#[derive(Debug, Default)]
pub struct Activation {
    /// Where to write a launcher.
    pub launcher: Option<PathBuf>,
    /// The juliaup channel to link.
    pub juliaup: Option<String>,
    /// Whether Jupyter gets a kernel.
    pub jupyter: bool,
    /// The folder whose VS Code settings start Julia with the image.
    pub vscode: Option<PathBuf>,
    /// Files to write for other programs.
    pub files: Vec<(Integration, PathBuf)>,
    /// Whether to print the variables of the image.
    pub env: bool,
    /// The folder that apps are linked into.
    pub bin: Option<PathBuf>,
}

impl Activation {
    /// Refuses, before anything is installed, to replace files that Sysforge did not write. What to
    /// add to the settings of VS Code is known only later.
    fn check_targets(&self) -> Result<(), Failure> {
        if let Some(path) = &self.launcher {
            activate::check_launcher(path)?;
        }
        let files = self.files.iter();
        for (_, path) in files.filter(|(program, _)| *program != Integration::VsCode) {
            integrate::check_target(path)?;
        }
        Ok(())
    }

    /// Returns the first command-line option that applies only to images, and so cannot be used for
    /// apps.
    fn of_images(&self) -> Option<&'static str> {
        let file = self.files.first().map(|(program, _)| match program {
            Integration::Jupyter => "--jupyter",
            Integration::VsCode => "--vscode",
            Integration::Pluto => "--pluto",
            Integration::Python => "--python",
            Integration::Module => "--module",
            Integration::Oci => "--oci",
        });
        let given = [
            self.launcher.is_some().then_some("--launcher"),
            self.juliaup.is_some().then_some("--juliaup"),
            self.env.then_some("--env"),
            self.jupyter.then_some("--jupyter"),
            self.vscode.is_some().then_some("--vscode"),
            file,
        ];
        given.into_iter().flatten().next()
    }
}

/// An installed image, or installed apps, ready to start.
#[derive(Debug, Serialize)]
pub struct Activated {
    /// What is installed.
    #[serde(flatten)]
    pub installed: Installed,
    /// The command that starts Julia with the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// The variables of the image as `NAME=VALUE` lines, if they are printed.
    #[serde(skip)]
    pub environment: Option<String>,
    /// The files of other programs that were written.
    #[serde(skip)]
    pub written: Vec<PathBuf>,
    /// The commands that start the image, or the paths of the apps.
    #[serde(skip)]
    pub start: Vec<String>,
}

impl Installer<'_> {
    /// Installs an image or apps, and activates them. Apps that cannot be linked are removed again.
    ///
    /// # Errors
    ///
    /// Those of [`Installer::install`], [`Installer::activate`] and [`Installer::link_apps`].
    pub async fn install_activated(
        &self,
        request: &InstallRequest,
        activation: &Activation,
    ) -> Result<Activated, Failure> {
        self.images.finish_removals("");
        activation.check_targets()?;
        let mut installed = self.install(request).await?;
        if !installed.apps.is_empty() {
            let was_linked = !installed.launchers.is_empty();
            let linked = match activation.of_images() {
                Some(option) => Err(InstallError::ForImages(option).into()),
                None => self.link_apps(&mut installed, activation.bin.as_deref()),
            };
            if linked.is_err() && !was_linked {
                self.images.remove(&installed)?;
            }
            let links = linked?;
            let start = links.iter().map(|link| link.display().to_string());
            return Ok(Activated {
                start: start.collect(),
                installed,
                command: None,
                environment: None,
                written: Vec::new(),
            });
        }
        if let Some(name) = &installed.library {
            if let Some(option) = activation.of_images() {
                return Err(InstallError::ForImages(option).into());
            }
            let folder = installed.folder().join("lib/pkgconfig");
            let folder = activate::quoted(&folder.display().to_string());
            let line = format!("PKG_CONFIG_PATH={folder} pkg-config --cflags --libs {name}");
            return Ok(Activated {
                start: vec![line],
                installed,
                command: None,
                environment: None,
                written: Vec::new(),
            });
        }
        let written = self.activate(&mut installed, activation).await?;
        let lists = UserLists::of(&self.engine.environment);
        let command = activate::command(&installed, &lists);
        let start = match (&activation.launcher, &activation.juliaup) {
            (Some(path), _) => path.display().to_string(),
            (None, Some(channel)) => format!("julia +{channel}"),
            (None, None) => command.clone(),
        };
        let environment = match activation.env {
            true => Some(activate::environment(&installed, &lists)?),
            false => None,
        };
        Ok(Activated {
            installed,
            command: Some(command),
            environment,
            written,
            start: vec![start],
        })
    }

    /// Does everything that `activation` names, and returns the files of other programs that were
    /// written.
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
            let folder = jupyter_folder(self.engine).ok_or(EngineError::NoJupyterFolder)?;
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
        if !std::env::split_paths(path).any(|folder| is_same_folder(&folder, &bin)) {
            self.engine.reporter.note(format!(
                "{} is not on the search path: add it to PATH, or name another folder with `--bin DIR`",
                bin.display()
            ));
        }
        Ok(links)
    }
}

/// Returns whether two paths name the same folder: Windows ignores case.
fn is_same_folder(one: &Path, other: &Path) -> bool {
    let folded = |path: &Path| {
        path.components()
            .collect::<PathBuf>()
            .to_string_lossy()
            .to_lowercase()
    };
    one == other || (cfg!(windows) && folded(one) == folded(other))
}

/// Returns the folder where Jupyter looks for a user's kernels.
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
