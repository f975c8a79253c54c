//! Making an installed image easy to use. Whatever way is chosen, the image only ever runs with
//! the Julia that it was built for.

use std::path::Path;

use sysforge_files::{read_regular, write_program};
use sysforge_plan::Step;
use sysforge_plan::text::{ChannelName, Rule as _};
use sysforge_process::Program;

use super::Surroundings;
use super::error::InstallError;
use super::kept::{Images, Installed, NOTE_LIMIT};
use super::load::depot;
use crate::local::at;

/// The command that starts Julia with the image.
#[must_use]
pub fn command(image: &Installed) -> String {
    let depot = depot(image.folder())
        .map(|depot| format!("JULIA_DEPOT_PATH={} ", quoted(&depot)))
        .unwrap_or_default();
    format!(
        "{depot}{} --sysimage={}",
        quoted(&image.julia.to_string_lossy()),
        quoted(&image.image.to_string_lossy())
    )
}

/// Lines `NAME=VALUE` for a CI step's environment file or a Dockerfile's `ENV`.
///
/// # Errors
///
/// If a path has a line end in it, with which it would set further variables, or is not Unicode.
pub fn environment(image: &Installed) -> Result<String, InstallError> {
    const FORMAT: &str = "an environment file";
    let (julia, path) = (
        text_of(&image.julia, FORMAT)?,
        text_of(&image.image, FORMAT)?,
    );
    let depot = depot(image.folder())
        .map(|depot| format!("JULIA_DEPOT_PATH={depot}\n"))
        .unwrap_or_default();
    Ok(format!(
        "SYSFORGE_JULIA={julia}\nSYSFORGE_IMAGE={path}\n{depot}"
    ))
}

/// A path as text that can stand in a file of this format.
fn text_of<'a>(path: &'a Path, format: &'static str) -> Result<&'a str, InstallError> {
    let refuse = |why| InstallError::Unrepresentable {
        path: path.to_owned(),
        format,
        why,
    };
    let text = path.to_str().ok_or_else(|| refuse("it is not Unicode"))?;
    match text.contains(char::is_control) {
        true => Err(refuse("it contains a control character")),
        false => Ok(text),
    }
}

/// Writes a launcher: a script that starts Julia with the image, if it still is that Julia.
///
/// # Errors
///
/// If it cannot be written.
pub fn write_launcher(image: &mut Installed, path: &Path) -> Result<(), InstallError> {
    text_of(&image.julia, "a launcher")?;
    text_of(&image.image, "a launcher")?;
    let text = if cfg!(windows) {
        cmd_launcher(image)
    } else {
        sh_launcher(image)
    };
    write_program(path, text.as_bytes()).map_err(at(path))?;
    let path = std::path::absolute(path).map_err(at(path))?;
    if !image.launchers.contains(&path) {
        image.launchers.push(path);
    }
    Ok(())
}

impl Images {
    /// Removes an image, and the launchers that were written for it. Channels of juliaup are
    /// [`unlink_channel`]'s.
    ///
    /// # Errors
    ///
    /// If a file cannot be removed. On Windows that is so while a Julia runs with the image, which
    /// is installed then as before.
    pub fn remove(&self, image: &Installed) -> Result<(), InstallError> {
        let gone = self.take_away(image.folder())?;
        for launcher in &image.launchers {
            // Only one that still is for this image: the user may have written another since.
            let text = read_regular(launcher, NOTE_LIMIT).ok();
            let text = text.and_then(|bytes| String::from_utf8(bytes).ok());
            if text.is_some_and(|text| starts(&text, image)) {
                std::fs::remove_file(launcher).map_err(at(launcher))?;
            }
        }
        Ok(gone.close().map_err(at(image.folder()))?)
    }
}

/// Whether this is the text of a launcher for the image.
fn starts(text: &str, image: &Installed) -> bool {
    let written = |line: &str| {
        line.trim_end()
            .ends_with("; written by `sysforge install`.")
    };
    let ours = text.lines().take(2).any(written);
    ours && names(text, image)
}

fn names(text: &str, image: &Installed) -> bool {
    text.contains(&quoted(&image.image.to_string_lossy())) || text.contains(&literal(&image.image))
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
         *) echo {julia} is no longer 'Julia {version}: install the image again' >&2; exit 1 ;;\n\
         esac\n\
         {depot}exec {julia} --sysimage={path} \"$@\"\n",
        id = image.build_id,
        path = quoted(&image.image.to_string_lossy()),
        depot = depot(image.folder())
            .map(|depot| {
                // What the user has set comes first.
                let depot = quoted(&depot);
                format!("export JULIA_DEPOT_PATH=\"${{JULIA_DEPOT_PATH-}}\"{depot}\n")
            })
            .unwrap_or_default(),
    )
}

// Julia ends its lines as on Unix, where `findstr /x` finds no end; hence the loop. Without `call`
// the quotes around the path would go, and the parenthesis of `Program Files (x86)` end the loop.
fn cmd_launcher(image: &Installed) -> String {
    let (julia, version) = (literal(&image.julia), &image.built_for.version);
    format!(
        "@echo off\r\n\
         rem Julia {version} with the image {id}; written by `sysforge install`.\r\n\
         for /f \"tokens=3\" %%v in ('call \"{julia}\" --version') do \
         if \"%%v\"==\"{version}\" goto run\r\n\
         echo \"{julia}\" is no longer Julia {version}: install the image again 1>&2\r\n\
         exit /b 1\r\n\
         :run\r\n\
         {depot}\
         \"{julia}\" \"--sysimage={path}\" %*\r\n",
        id = image.build_id,
        path = literal(&image.image),
        depot = depot(image.folder())
            .map(|depot| {
                let depot = depot.replace('%', "%%");
                format!("set \"JULIA_DEPOT_PATH=%JULIA_DEPOT_PATH%{depot}\"\r\n")
            })
            .unwrap_or_default(),
    )
}

/// Links a juliaup channel: `julia +CHANNEL` starts Julia with the image from then on. A channel
/// that one of `images` was linked to is linked anew; any other that is there stays, and is an
/// error.
///
/// # Errors
///
/// If `juliaup` cannot be run or refuses.
pub async fn link_channel(
    image: &mut Installed,
    channel: &str,
    juliaup: &Path,
    images: &Images,
    surroundings: &Surroundings<'_>,
) -> Result<(), InstallError> {
    // What could not be read from the note again is refused before anything is linked.
    ChannelName::validate(channel).map_err(InstallError::Channel)?;
    let noted = |other: &Installed| other.channels.iter().any(|known| known == channel);
    let ours = images.list()?.iter().any(noted);
    let task = surroundings
        .reporter
        .start(Step::Install, format!("juliaup channel {channel}"));
    let link = program(image, juliaup, surroundings)
        .args(["link", channel])
        .arg(&image.julia)
        .arg("--")
        .option("--sysimage", &image.image);
    let mut linked = surroundings.children.run(&link, &task).await;
    if ours && linked.is_err() {
        // juliaup links no channel twice.
        unlink_channel(image, channel, juliaup, surroundings).await?;
        linked = surroundings.children.run(&link, &task).await;
    }
    linked.map_err(InstallError::Juliaup)?;
    if !noted(&*image) {
        image.channels.push(channel.to_owned());
    }
    task.done(format!("julia +{channel}"));
    Ok(())
}

/// Removes a juliaup channel that was linked to an image.
///
/// # Errors
///
/// If `juliaup` cannot be run or refuses, as it does for a channel that is the default.
pub async fn unlink_channel(
    image: &Installed,
    channel: &str,
    juliaup: &Path,
    surroundings: &Surroundings<'_>,
) -> Result<(), InstallError> {
    let task = surroundings
        .reporter
        .start(Step::Install, format!("juliaup channel {channel}"));
    let remove = program(image, juliaup, surroundings).args(["remove", channel]);
    surroundings
        .children
        .run(&remove, &task)
        .await
        .map_err(InstallError::Juliaup)?;
    task.done("removed");
    Ok(())
}

fn program(image: &Installed, juliaup: &Path, surroundings: &Surroundings<'_>) -> Program {
    let log = image.folder().join("juliaup.log");
    Program::new(juliaup, surroundings.environment.clone(), log)
}

/// A path for a batch file, where a percent sign begins a variable, even between quotes.
fn literal(path: &Path) -> String {
    path.to_string_lossy().replace('%', "%%")
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

#[cfg(test)]
mod tests {
    use sysforge_plan::{JuliaBuild, Sha256, Triplet};

    use super::*;
    use crate::install::Source;

    fn installed(julia: &str, image: &str) -> Installed {
        Installed {
            schema: "sysforge-installed/1".to_owned(),
            build_id: "demo-julia1.12.7-x86_64-w64-mingw32".parse().unwrap(),
            name: "demo".parse().unwrap(),
            source: Source::parse("octo/images", |_| false).unwrap(),
            tag: "v1.0.0".parse().unwrap(),
            image: image.into(),
            sha256: Sha256::new([1; 32]),
            built_for: JuliaBuild {
                version: "1.12.7".parse().unwrap(),
                commit: "5a8a8e1f0e".to_owned(),
                triplet: Triplet::X86_64_W64_MINGW32,
            },
            julia: julia.into(),
            launchers: Vec::new(),
            channels: Vec::new(),
            keys: Vec::new(),
            signed_for: None,
            attested: false,
        }
    }

    #[test]
    fn the_launcher_for_windows_is_as_reviewed() {
        let image = installed(
            r"C:\Program Files\Julia\bin\julia.exe",
            r"C:\store\demo 100%.dll",
        );
        let text = cmd_launcher(&image);
        assert_eq!(text.matches('\n').count(), text.matches("\r\n").count());
        insta::assert_snapshot!(text.replace("\r\n", "\n"), @r#"
        @echo off
        rem Julia 1.12.7 with the image demo-julia1.12.7-x86_64-w64-mingw32; written by `sysforge install`.
        for /f "tokens=3" %%v in ('call "C:\Program Files\Julia\bin\julia.exe" --version') do if "%%v"=="1.12.7" goto run
        echo "C:\Program Files\Julia\bin\julia.exe" is no longer Julia 1.12.7: install the image again 1>&2
        exit /b 1
        :run
        "C:\Program Files\Julia\bin\julia.exe" "--sysimage=C:\store\demo 100%%.dll" %*
        "#);
    }

    #[test]
    fn the_launcher_for_shells_is_as_reviewed() {
        let image = installed("/opt/julia's/bin/julia", "/store/demo.so");
        insta::assert_snapshot!(sh_launcher(&image), @r#"
        #!/bin/sh
        # Julia 1.12.7 with the image demo-julia1.12.7-x86_64-w64-mingw32; written by `sysforge install`.
        # The image runs with no other Julia, so the version is looked at first.
        case "$('/opt/julia'\''s/bin/julia' --version)" in
        'julia version 1.12.7') ;;
        *) echo '/opt/julia'\''s/bin/julia' is no longer 'Julia 1.12.7: install the image again' >&2; exit 1 ;;
        esac
        exec '/opt/julia'\''s/bin/julia' --sysimage=/store/demo.so "$@"
        "#);
    }

    #[test]
    fn a_step_or_a_dockerfile_gets_two_variables() {
        let image = installed("/opt/julia/bin/julia", "/store/a b.so");
        assert_eq!(
            environment(&image).unwrap(),
            "SYSFORGE_JULIA=/opt/julia/bin/julia\nSYSFORGE_IMAGE=/store/a b.so\n"
        );
        assert_eq!(
            command(&image),
            "/opt/julia/bin/julia --sysimage='/store/a b.so'"
        );
    }

    #[test]
    fn a_path_with_a_line_end_sets_no_other_variable() {
        for (julia, image) in [
            ("/opt/julia\nLD_PRELOAD=/tmp/x.so", "/store/a.so"),
            ("/opt/julia", "/store/a\r\nLD_PRELOAD=/tmp/x.so"),
        ] {
            let mut installed = installed(julia, image);
            let refused = environment(&installed).unwrap_err();
            assert!(matches!(refused, InstallError::Unrepresentable { .. }));
            let folder = tempfile::tempdir().unwrap();
            let launcher = folder.path().join("demo");
            write_launcher(&mut installed, &launcher).unwrap_err();
            assert!(!launcher.exists());
        }
    }

    #[cfg(unix)]
    #[test]
    fn artifacts_that_came_along_are_found() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("artifacts")).unwrap();
        let image = installed("/opt/julia", &dir.path().join("a.so").to_string_lossy());
        let folder = dir.path().display();
        assert!(
            environment(&image)
                .unwrap()
                .ends_with(&format!("JULIA_DEPOT_PATH=:{folder}\n"))
        );
        assert!(command(&image).starts_with(&format!("JULIA_DEPOT_PATH=:{folder} ")));
        let set = format!("export JULIA_DEPOT_PATH=\"${{JULIA_DEPOT_PATH-}}\":{folder}\n");
        assert!(
            sh_launcher(&image).contains(&set),
            "{}",
            sh_launcher(&image)
        );
    }
}
