//! Making an installed image easy to use. Whatever way is chosen, the image only ever runs with
//! the Julia that it was built for.

use std::path::Path;

use sysforge_build::Program;
use sysforge_plan::Step;

use super::Surroundings;
use super::error::InstallError;
use super::kept::Installed;
use crate::local::{self, at};

/// The command that starts Julia with the image.
#[must_use]
pub fn command(image: &Installed) -> String {
    format!(
        "{} --sysimage={}",
        quoted(&image.julia.to_string_lossy()),
        quoted(&image.image.to_string_lossy())
    )
}

/// Lines `NAME=VALUE` for a CI step's environment file or a Dockerfile's `ENV`.
#[must_use]
pub fn environment(image: &Installed) -> String {
    format!(
        "SYSFORGE_JULIA={}\nSYSFORGE_IMAGE={}\n",
        image.julia.display(),
        image.image.display()
    )
}

/// Writes a launcher: a script that starts Julia with the image, if it still is that Julia.
///
/// # Errors
///
/// If it cannot be written.
pub fn write_launcher(image: &mut Installed, path: &Path) -> Result<(), InstallError> {
    let text = if cfg!(windows) {
        cmd_launcher(image)
    } else {
        sh_launcher(image)
    };
    local::write_whole(path, text.as_bytes())?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(path, mode).map_err(at(path))?;
    }
    let path = std::path::absolute(path).map_err(at(path))?;
    if !image.launchers.contains(&path) {
        image.launchers.push(path);
    }
    Ok(())
}

fn sh_launcher(image: &Installed) -> String {
    let (julia, version) = (
        quoted(&image.julia.to_string_lossy()),
        &image.built_for.version,
    );
    format!(
        "#!/bin/sh\n\
         # Julia {version} with the image {id}; written by `sysforge install`.\n\
         # The image runs with no other Julia, so the version is looked at first.\n\
         case \"$({julia} --version)\" in\n\
         'julia version {version}') ;;\n\
         *) echo \"{julia} is no longer Julia {version}: install the image again\" >&2; exit 1 ;;\n\
         esac\n\
         exec {julia} --sysimage={path} \"$@\"\n",
        id = image.build_id,
        path = quoted(&image.image.to_string_lossy()),
    )
}

fn cmd_launcher(image: &Installed) -> String {
    let (julia, version) = (image.julia.display(), &image.built_for.version);
    format!(
        "@echo off\r\n\
         rem Julia {version} with the image {id}; written by `sysforge install`.\r\n\
         \"{julia}\" --version | findstr /x /c:\"julia version {version}\" >nul || \
         (echo {julia} is no longer Julia {version}: install the image again 1>&2 & exit /b 1)\r\n\
         \"{julia}\" \"--sysimage={path}\" %*\r\n",
        id = image.build_id,
        path = image.image.display(),
    )
}

/// Links a juliaup channel: `julia +CHANNEL` starts Julia with the image from then on.
///
/// # Errors
///
/// If `juliaup` cannot be run or refuses.
pub async fn link_channel(
    image: &Installed,
    channel: &str,
    juliaup: &Path,
    surroundings: &Surroundings<'_>,
) -> Result<(), InstallError> {
    let log = image.folder().join("juliaup.log");
    let program = Program::new(juliaup, surroundings.environment.clone(), log)
        .args(["link", channel])
        .arg(&image.julia)
        .arg("--")
        .option("--sysimage", &image.image);
    let task = surroundings
        .reporter
        .start(Step::Install, format!("juliaup channel {channel}"));
    surroundings
        .children
        .run(&program, &task)
        .await
        .map_err(InstallError::Juliaup)?;
    task.done(format!("julia +{channel}"));
    Ok(())
}

/// A word for a POSIX shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@%=:,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
