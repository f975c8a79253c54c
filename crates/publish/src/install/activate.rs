//! Activating an installed image. However it is started, it only runs with the Julia that it was
//! built for.

use std::path::{Path, PathBuf};

use sysforge_files::{read_regular, write_program};
use sysforge_plan::image_environment::LAUNCHER_MARK;
pub use sysforge_plan::text::quoted;
use sysforge_plan::text::{ChannelName, Rule as _};
use sysforge_plan::{Step, image_environment};
use sysforge_process::{Environment, Program};

use super::Surroundings;
use super::error::InstallError;
use super::images::{Images, Installed};
use crate::archive::ARTIFACTS;
use crate::local::at;

/// The user's values of the path lists that an image extends.
#[derive(Debug, Clone, Default)]
pub struct UserLists {
    /// `JULIA_LOAD_PATH`, if it is set.
    pub load_path: Option<String>,
    /// `JULIA_DEPOT_PATH`, if it is set.
    pub depot_path: Option<String>,
}

impl UserLists {
    /// Reads the lists from this environment.
    pub fn of(environment: &Environment) -> Self {
        let list = |name| {
            let value = environment.get(name)?.to_string_lossy();
            (!value.is_empty()).then(|| value.into_owned())
        };
        Self {
            load_path: list("JULIA_LOAD_PATH"),
            depot_path: list("JULIA_DEPOT_PATH"),
        }
    }
}

/// The separator of Julia's lists of folders.
const SEPARATOR: char = if cfg!(windows) { ';' } else { ':' };

/// Appends `folder` to a list, so that the user's entries come first. If nothing is set, the list
/// begins with an empty element, which means Julia's default entries.
pub(super) fn extended(list: Option<&str>, folder: &str) -> String {
    let list = list.unwrap_or_default();
    match list.split(SEPARATOR).any(|element| element == folder) {
        true => list.to_owned(),
        false => format!("{list}{SEPARATOR}{folder}"),
    }
}

/// How Julia is started with an image: the program, its arguments, and the variables that let Julia
/// find the image's packages and artifacts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// The path of Julia.
    pub julia: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Names and values.
    pub variables: Vec<(&'static str, String)>,
}

impl Start {
    /// How to start an image file, with the environment in the folder `environment` and the
    /// artifacts in the folder `artifacts`.
    pub fn new(
        julia: &Path,
        image: &Path,
        environment: Option<&Path>,
        artifacts: Option<&Path>,
        lists: &UserLists,
    ) -> Self {
        let mut arguments = vec![format!("--sysimage={}", image.display())];
        let mut variables = Vec::new();
        if let Some(folder) = environment {
            let script = folder.join(image_environment::START_SCRIPT);
            if script.is_file() {
                arguments.push(format!("--load={}", script.display()));
            }
            let folder = folder.display().to_string();
            let value = extended(lists.load_path.as_deref(), &folder);
            variables.push(("JULIA_LOAD_PATH", value));
        }
        if let Some(folder) = artifacts {
            let folder = folder.display().to_string();
            let value = extended(lists.depot_path.as_deref(), &folder);
            variables.push(("JULIA_DEPOT_PATH", value));
        }
        Self {
            julia: julia.display().to_string(),
            arguments,
            variables,
        }
    }

    /// How to start an installed image.
    pub fn of(image: &Installed, lists: &UserLists) -> Self {
        let folder = image.folder();
        let artifacts = folder.join(ARTIFACTS).is_dir().then_some(folder);
        let environment = environment_of(folder);
        Self::new(&image.julia, &image.image, environment, artifacts, lists)
    }

    /// Returns a command line for a POSIX shell, or for PowerShell on Windows.
    pub fn line(&self) -> String {
        match cfg!(windows) {
            true => self.power_shell_line(),
            false => self.posix_line(),
        }
    }

    fn posix_line(&self) -> String {
        let variables = self.variables.iter();
        let variables = variables.map(|(name, value)| format!("{name}={}", quoted(value)));
        let words = std::iter::once(&self.julia).chain(&self.arguments);
        let words = words.map(|word| quoted_argument(word));
        variables.chain(words).collect::<Vec<_>>().join(" ")
    }

    fn power_shell_line(&self) -> String {
        let mut line = String::new();
        for (name, value) in &self.variables {
            let value = quoted_for_power_shell(value);
            line.push_str(&format!("$env:{name} = {value}; "));
        }
        line.push_str(&format!("& {}", quoted_for_power_shell(&self.julia)));
        for argument in &self.arguments {
            line.push_str(&format!(" {}", quoted_for_power_shell(argument)));
        }
        line
    }
}

/// Returns the folder, if it contains the environment of the image.
fn environment_of(folder: &Path) -> Option<&Path> {
    folder
        .join(image_environment::PROJECT)
        .is_file()
        .then_some(folder)
}

/// Returns the command that starts Julia with the image.
pub fn command(image: &Installed, lists: &UserLists) -> String {
    Start::of(image, lists).line()
}

/// Returns lines `NAME=VALUE` for a CI step's environment file or a Dockerfile's `ENV`.
///
/// # Errors
///
/// If a path contains a line break, which would set further variables, or is not Unicode.
pub fn environment(image: &Installed, lists: &UserLists) -> Result<String, InstallError> {
    const FORMAT: &str = "an environment file";
    let (julia, path) = (
        text_of(&image.julia, FORMAT)?,
        text_of(&image.image, FORMAT)?,
    );
    let mut lines = format!("SYSFORGE_JULIA={julia}\nSYSFORGE_IMAGE={path}\n");
    for (name, value) in Start::of(image, lists).variables {
        text_of(Path::new(&value), FORMAT)?;
        lines.push_str(&format!("{name}={value}\n"));
    }
    Ok(lines)
}

/// Returns a path as text that is valid in a file of this format.
pub(super) fn text_of<'a>(path: &'a Path, format: &'static str) -> Result<&'a str, InstallError> {
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

/// Refuses a path at which there is something else than a launcher that Sysforge wrote.
///
/// # Errors
///
/// [`InstallError::NotOurs`].
pub fn check_launcher(path: &Path) -> Result<(), InstallError> {
    // A symbolic link that leads nowhere is somebody's, too.
    let is_there = path.symlink_metadata().is_ok();
    let text = read_regular(path, LONGEST_LAUNCHER).unwrap_or_default();
    match is_there && !is_launcher(&String::from_utf8_lossy(&text)) {
        true => Err(InstallError::NotOurs(path.to_owned())),
        false => Ok(()),
    }
}

/// Maximum size of a launcher, in bytes.
const LONGEST_LAUNCHER: u64 = 1 << 20;

/// Writes a launcher: a script that starts Julia with the image, if the Julia's version is still
/// the right one. It replaces nothing but another launcher.
///
/// # Errors
///
/// [`InstallError::Unrepresentable`] if the script cannot contain the path of the Julia or of the
/// image, [`InstallError::NotOurs`] if there is another file; also if the launcher cannot be written.
pub fn write_launcher(image: &mut Installed, path: &Path) -> Result<(), InstallError> {
    check_launcher(path)?;
    text_of(&image.julia, "a launcher")?;
    text_of(&image.image, "a launcher")?;
    let text = if cfg!(windows) {
        cmd_launcher(image)?
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

/// Whether this is the text of a launcher for the image.
pub(super) fn starts(text: &str, image: &Installed) -> bool {
    is_launcher(text) && names(text, image)
}

/// Whether this is the text of a launcher.
fn is_launcher(text: &str) -> bool {
    let is_mark = |line: &str| line.trim_end().ends_with(LAUNCHER_MARK);
    text.lines().take(2).any(is_mark)
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
         # Julia {version} with the image {id}{LAUNCHER_MARK}\n\
         # The image runs with no other Julia, so the version is looked at first.\n\
         case \"$({julia} --version)\" in\n\
         'julia version {version}') ;;\n\
         *) echo {julia} is no longer 'Julia {version}: install the image again' >&2; exit 1 ;;\n\
         esac\n\
         {lists}exec {julia} --sysimage={path}{load} \"$@\"\n",
        id = image.build_id,
        path = quoted(&image.image.to_string_lossy()),
        lists = lists_of(image)
            .map(|(name, folder)| {
                // The user's entries come first.
                let folder = quoted(&folder);
                format!("export {name}=\"${{{name}-}}:\"{folder}\n")
            })
            .collect::<String>(),
        load = match start_script_of(image) {
            Some(script) => format!(" --load={}", quoted(&script)),
            None => String::new(),
        },
    )
}

/// Returns the variables that a launcher extends, each with the folder that it adds.
fn lists_of(image: &Installed) -> impl Iterator<Item = (&'static str, String)> {
    let folder = image.folder();
    let shown = folder.display().to_string();
    let load_path = environment_of(folder).map(|_| ("JULIA_LOAD_PATH", shown.clone()));
    let has_artifacts = folder.join(ARTIFACTS).is_dir();
    let depot_path = has_artifacts.then_some(("JULIA_DEPOT_PATH", shown));
    load_path.into_iter().chain(depot_path)
}

/// Returns the script that Julia loads at start-up, if the image came with one.
fn start_script_of(image: &Installed) -> Option<String> {
    let script = environment_of(image.folder())?.join(image_environment::START_SCRIPT);
    script.is_file().then(|| script.display().to_string())
}

/// Returns the text of a batch file with these lines, the first of which is a remark. The last one calls a
/// program, whose exit code is passed on. Variables are those of the script: without `setlocal`, they would
/// be set in the console from which it is called.
///
/// `cmd` reads a batch file line by line in the code page of the console, which is not UTF-8. It is changed
/// if a line contains other characters than ASCII, and restored at the end.
pub(super) fn batch_file(lines: &str) -> String {
    let (remark, lines) = lines.split_once("\r\n").unwrap_or((lines, ""));
    let start = format!("@echo off\r\n{remark}\r\nsetlocal DisableDelayedExpansion\r\n");
    if lines.is_ascii() {
        return start + lines;
    }
    let restore = "chcp %SYSFORGE_CODE_PAGE% >nul\r\n";
    let lines = lines.replace("exit /b", &format!("{restore}exit /b"));
    format!(
        "{start}\
         for /f \"tokens=2 delims=:.\" %%c in ('chcp') do set \"SYSFORGE_CODE_PAGE=%%c\"\r\n\
         chcp 65001 >nul\r\n\
         {lines}\
         set \"SYSFORGE_EXIT_CODE=%ERRORLEVEL%\"\r\n\
         {restore}\
         exit /b %SYSFORGE_EXIT_CODE%\r\n"
    )
}

// Julia ends its lines as on Unix, where `findstr /x` finds no line end; hence the loop. The other
// `cmd` that runs its command removes the first and the last quote. These are escaped, so that only the
// quotes around the path count here: the parenthesis of `Program Files (x86)` would end the loop.
// `call` in place of them would double every `^` of the path.
fn cmd_launcher(image: &Installed) -> Result<String, InstallError> {
    // The command inside `for /f` is parsed again by another `cmd`, where a percent sign cannot be
    // escaped.
    if image.julia.to_string_lossy().matches('%').count() > 1 {
        return Err(InstallError::Unrepresentable {
            path: image.julia.clone(),
            format: "a launcher",
            why: "`cmd` takes what is between two percent signs for a variable",
        });
    }
    let (julia, version) = (literal(&image.julia), &image.built_for.version);
    Ok(batch_file(&format!(
        "rem Julia {version} with the image {id}{LAUNCHER_MARK}\r\n\
         for /f \"tokens=3\" %%v in ('^\"\"{julia}\" --version^\"') do \
         if \"%%v\"==\"{version}\" goto run\r\n\
         echo \"{julia}\" is no longer Julia {version}: install the image again 1>&2\r\n\
         exit /b 1\r\n\
         :run\r\n\
         {lists}\
         \"{julia}\" \"--sysimage={path}\"{load} %*\r\n",
        id = image.build_id,
        path = literal(&image.image),
        lists = lists_of(image)
            .map(|(name, folder)| {
                let folder = folder.replace('%', "%%");
                format!("set \"{name}=%{name}%;{folder}\"\r\n")
            })
            .collect::<String>(),
        load = match start_script_of(image) {
            Some(script) => format!(" \"--load={}\"", script.replace('%', "%%")),
            None => String::new(),
        },
    )))
}

/// The name of the launcher in an image's own folder, which juliaup channels and other tools start.
const OWN_LAUNCHER: &str = "julia";

/// Writes the launcher in the image's folder, and returns its path. It starts Julia with the image
/// and everything that came with it.
pub(super) fn own_launcher(image: &Installed) -> Result<PathBuf, InstallError> {
    text_of(&image.julia, "a launcher")?;
    text_of(&image.image, "a launcher")?;
    let path = image.folder().join(OWN_LAUNCHER);
    write_program(&path, sh_launcher(image).as_bytes()).map_err(at(&path))?;
    Ok(path)
}

/// Links a juliaup channel: from then on, `julia +CHANNEL` starts Julia with the image. An existing
/// channel of one of `images` is linked again; any other existing channel is kept, and is an error.
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
    // Refuse names that could not be read from the note again, before anything is linked.
    ChannelName::validate(channel).map_err(InstallError::Channel)?;
    let noted = |other: &Installed| other.channels.iter().any(|known| known == channel);
    let ours = images.list()?.iter().any(noted);
    let task = surroundings
        .reporter
        .start(Step::Install, format!("juliaup channel {channel}"));
    let mut link = program(image, juliaup, surroundings).args(["link", channel]);
    // A channel cannot set variables. If scripts are programs, it starts a launcher, which sets
    // them; on Windows the loaded start-up script adds the environment, and artifacts are not
    // found.
    link = match cfg!(windows) || environment_of(image.folder()).is_none() {
        true => link.arg(&image.julia),
        false => link.arg(own_launcher(image)?),
    };
    link = link.arg("--").option("--sysimage", &image.image);
    if let Some(script) = start_script_of(image).filter(|_| cfg!(windows)) {
        link = link.option("--load", script);
    }
    let mut linked = surroundings.children.run(&link, &task).await;
    if ours && linked.is_err() {
        // juliaup does not link an existing channel.
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
/// If `juliaup` cannot be run or refuses, as it does for the default channel.
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

/// Escapes a path for a batch file, where a percent sign begins a variable, even between quotes.
fn literal(path: &Path) -> String {
    path.to_string_lossy().replace('%', "%%")
}

/// Quotes a word for PowerShell, where a typographic quote ends a string like a straight one.
fn quoted_for_power_shell(word: &str) -> String {
    let mut quoted = String::from("'");
    for c in word.chars() {
        if matches!(c, '\'' | '\u{2018}'..='\u{201b}') {
            quoted.push(c);
        }
        quoted.push(c);
    }
    quoted + "'"
}

/// Quotes an argument for a POSIX shell: for an option, only the value.
fn quoted_argument(word: &str) -> String {
    match word.split_once('=') {
        Some((option, value)) if option.starts_with("--") => {
            format!("{option}={}", quoted(value))
        }
        _ => quoted(word),
    }
}

#[cfg(test)]
mod tests {
    use sysforge_plan::{JuliaBuild, Triplet};

    use super::*;
    use crate::install::images::tests::example;

    fn installed(julia: &str, image: &str) -> Installed {
        Installed {
            build_id: "demo-julia1.12.7-x86_64-w64-mingw32".parse().unwrap(),
            built_for: JuliaBuild {
                version: "1.12.7".parse().unwrap(),
                commit: "5a8a8e1f0e".to_owned(),
                triplet: Triplet::X86_64_W64_MINGW32,
            },
            julia: julia.into(),
            ..example(image.into())
        }
    }

    #[test]
    fn the_launcher_for_windows_is_as_reviewed() {
        let image = installed(
            r"C:\Program Files\Julia\bin\julia.exe",
            r"C:\store\demo 100%.dll",
        );
        let text = cmd_launcher(&image).unwrap();
        assert_eq!(text.matches('\n').count(), text.matches("\r\n").count());
        insta::assert_snapshot!(text.replace("\r\n", "\n"), @r#"
        @echo off
        rem Julia 1.12.7 with the image demo-julia1.12.7-x86_64-w64-mingw32; written by `sysforge install`.
        setlocal DisableDelayedExpansion
        for /f "tokens=3" %%v in ('^""C:\Program Files\Julia\bin\julia.exe" --version^"') do if "%%v"=="1.12.7" goto run
        echo "C:\Program Files\Julia\bin\julia.exe" is no longer Julia 1.12.7: install the image again 1>&2
        exit /b 1
        :run
        "C:\Program Files\Julia\bin\julia.exe" "--sysimage=C:\store\demo 100%%.dll" %*
        "#);
    }

    #[test]
    fn the_launcher_for_windows_is_read_as_utf8_if_it_has_to_be() {
        let image = installed(r"C:\julia.exe", r"C:\Jürgen\demo.dll");
        let text = cmd_launcher(&image).unwrap();
        assert_eq!(text.matches('\n').count(), text.matches("\r\n").count());
        insta::assert_snapshot!(text.replace("\r\n", "\n"), @r#"
        @echo off
        rem Julia 1.12.7 with the image demo-julia1.12.7-x86_64-w64-mingw32; written by `sysforge install`.
        setlocal DisableDelayedExpansion
        for /f "tokens=2 delims=:." %%c in ('chcp') do set "SYSFORGE_CODE_PAGE=%%c"
        chcp 65001 >nul
        for /f "tokens=3" %%v in ('^""C:\julia.exe" --version^"') do if "%%v"=="1.12.7" goto run
        echo "C:\julia.exe" is no longer Julia 1.12.7: install the image again 1>&2
        chcp %SYSFORGE_CODE_PAGE% >nul
        exit /b 1
        :run
        "C:\julia.exe" "--sysimage=C:\Jürgen\demo.dll" %*
        set "SYSFORGE_EXIT_CODE=%ERRORLEVEL%"
        chcp %SYSFORGE_CODE_PAGE% >nul
        exit /b %SYSFORGE_EXIT_CODE%
        "#);
    }

    #[test]
    fn cmd_expands_no_part_of_a_path_as_a_variable() {
        let image = installed(r"C:\%TEMP%\julia.exe", r"C:\a.dll");
        let refused = cmd_launcher(&image).unwrap_err();
        assert!(refused.to_string().contains("a launcher"), "{refused}");
        // The image and one percent sign are escaped.
        let image = installed(r"C:\100%\julia.exe", r"C:\%TEMP%\a.dll");
        let text = cmd_launcher(&image).unwrap();
        assert!(text.contains(r"--sysimage=C:\%%TEMP%%\a.dll"), "{text}");
    }

    #[test]
    fn cmd_doubles_no_caret_of_a_path() {
        let text = cmd_launcher(&installed(r"C:\a^b\julia.exe", r"C:\a^b.dll")).unwrap();
        assert!(
            text.contains(r#"('^""C:\a^b\julia.exe" --version^"')"#),
            "{text}"
        );
        assert!(!text.contains("call "), "{text}");
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

    // Windows quotes for PowerShell.
    #[cfg(unix)]
    #[test]
    fn a_step_or_a_dockerfile_gets_two_variables() {
        let image = installed("/opt/julia/bin/julia", "/store/a b.so");
        assert_eq!(
            environment(&image, &UserLists::default()).unwrap(),
            "SYSFORGE_JULIA=/opt/julia/bin/julia\nSYSFORGE_IMAGE=/store/a b.so\n"
        );
        assert_eq!(
            command(&image, &UserLists::default()),
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
            let refused = environment(&installed, &UserLists::default()).unwrap_err();
            assert!(matches!(refused, InstallError::Unrepresentable { .. }));
            let folder = tempfile::tempdir().unwrap();
            let launcher = folder.path().join("demo");
            write_launcher(&mut installed, &launcher).unwrap_err();
            assert!(!launcher.exists());
        }
    }

    /// The folder of an image that came with artifacts and an environment.
    fn complete() -> (tempfile::TempDir, Installed, String) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("artifacts")).unwrap();
        super::super::start_files::write_environment(dir.path(), &[]).unwrap();
        let image = installed("/opt/julia", &dir.path().join("a.so").to_string_lossy());
        let folder = dir.path().display().to_string();
        (dir, image, folder)
    }

    #[cfg(unix)]
    #[test]
    fn the_environment_and_artifacts_that_came_along_are_found() {
        let (_dir, image, folder) = complete();
        assert_eq!(
            environment(&image, &UserLists::default()).unwrap(),
            format!(
                "SYSFORGE_JULIA=/opt/julia\nSYSFORGE_IMAGE={folder}/a.so\n\
                 JULIA_LOAD_PATH=:{folder}\nJULIA_DEPOT_PATH=:{folder}\n"
            )
        );
        assert_eq!(
            command(&image, &UserLists::default()),
            format!(
                "JULIA_LOAD_PATH=:{folder} JULIA_DEPOT_PATH=:{folder} /opt/julia \
                 --sysimage={folder}/a.so --load={folder}/start.jl"
            )
        );
        let expected = format!(
            "export JULIA_LOAD_PATH=\"${{JULIA_LOAD_PATH-}}:\"{folder}\n\
             export JULIA_DEPOT_PATH=\"${{JULIA_DEPOT_PATH-}}:\"{folder}\n\
             exec /opt/julia --sysimage={folder}/a.so --load={folder}/start.jl \"$@\"\n"
        );
        let launcher = sh_launcher(&image);
        assert!(launcher.ends_with(&expected), "{launcher}");
    }

    #[cfg(unix)]
    #[test]
    fn what_the_user_has_set_comes_first() {
        let (_dir, image, folder) = complete();
        let mut lists = UserLists {
            load_path: Some("/mine:@stdlib".to_owned()),
            depot_path: Some("/depot".to_owned()),
        };
        let expected =
            format!("JULIA_LOAD_PATH=/mine:@stdlib:{folder}\nJULIA_DEPOT_PATH=/depot:{folder}\n");
        assert!(environment(&image, &lists).unwrap().ends_with(&expected));
        // Nothing is added twice.
        lists.load_path = Some(format!("@:{folder}"));
        let start = Start::of(&image, &lists);
        assert_eq!(start.variables[0].1, format!("@:{folder}"));
    }

    #[test]
    fn a_line_for_powershell_sets_variables_and_quotes() {
        let start = Start {
            julia: r"C:\Program Files\Julia\bin\julia.exe".to_owned(),
            arguments: vec![r"--sysimage=C:\Jo's\demo.dll".to_owned()],
            variables: vec![("JULIA_LOAD_PATH", r";C:\Jo's".to_owned())],
        };
        insta::assert_snapshot!(start.power_shell_line(), @r"$env:JULIA_LOAD_PATH = ';C:\Jo''s'; & 'C:\Program Files\Julia\bin\julia.exe' '--sysimage=C:\Jo''s\demo.dll'");
    }

    #[test]
    fn every_quote_that_ends_a_string_of_powershell_is_doubled() {
        assert_eq!(
            quoted_for_power_shell("a'b‘c’d‚e‛f\"g”"),
            "'a''b‘‘c’’d‚‚e‛‛f\"g”'"
        );
    }
}
