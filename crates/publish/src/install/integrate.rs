//! Files that make other programs start Julia with an installed image: Jupyter, VS Code, Pluto,
//! Python, environment modules, and containers. The text of each is derived from how the image is
//! started. The image's note lists the files, and removing the image removes them.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use sysforge_files::{read_regular, write_whole};
use sysforge_plan::text;

use super::activate::{Start, UserLists, own_launcher, quoted, text_of};
use super::error::InstallError;
use super::images::Installed;
pub use super::images::{Integration, IntegrationFile};
use crate::local::at;

/// A text in every file, by which Sysforge recognizes it.
const MARK: &str = "written by `sysforge install`";

/// Runs the kernel of IJulia, which has a function for it since 1.26.
const KERNEL: &str = "import IJulia; isdefined(IJulia, :run_kernel) ? IJulia.run_kernel() : \
     include(joinpath(dirname(pathof(IJulia)), \"kernel.jl\"))";

impl Integration {
    /// Returns the text of an integration's file. `start` is how the image is started, `program`
    /// the launcher in its folder.
    pub fn text(self, image: &Installed, start: &Start, program: &Path) -> String {
        let id = &image.build_id;
        let program = program.display().to_string();
        match self {
            Self::Jupyter => kernel(image, start),
            Self::VsCode => {
                let mut settings = editor_settings(image, start, &program);
                settings.insert("//".to_owned(), format!("{id}; {MARK}").into());
                text::json(&settings)
            }
            Self::Pluto => {
                let arguments = start.arguments.iter().filter_map(|argument| {
                    let path = argument.strip_prefix("--sysimage=")?;
                    Some(format!("; sysimage = {}", julia_text(path)))
                });
                format!(
                    "# Pluto with {id}; {MARK}. Start it with the launcher of the image.\n\
                     import Pluto\nPluto.run({})\n",
                    arguments.collect::<String>()
                )
            }
            Self::Python => {
                let mut text = format!("# juliacall with {id}; {MARK}. Source it in a shell.\n");
                let mut export = |name: &str, value: &str| {
                    text.push_str(&format!("export {name}={}\n", quoted(value)));
                };
                export("PYTHON_JULIACALL_EXE", &start.julia);
                export("PYTHON_JULIAPKG_EXE", &start.julia);
                export(
                    "PYTHON_JULIACALL_SYSIMAGE",
                    &image.image.display().to_string(),
                );
                for (name, value) in &start.variables {
                    export(name, value);
                }
                // If an executable is named, juliacall requires a project, too. With this one,
                // packages of the image and of the user's default environment are found.
                text.push_str(&format!(
                    "[ -n \"${{PYTHON_JULIACALL_PROJECT:-}}\" ] || PYTHON_JULIACALL_PROJECT={}\n\
                     export PYTHON_JULIACALL_PROJECT\n",
                    quoted(&image.folder().display().to_string())
                ));
                text
            }
            Self::Module => format!(
                "-- {id}; {MARK}. `julia` starts with the image while it is loaded.\n\
                 help({text})\nwhatis({text})\nconflict(\"julia\")\n\
                 prepend_path(\"PATH\", {folder})\n\
                 setenv(\"SYSFORGE_JULIA\", {julia})\nsetenv(\"SYSFORGE_IMAGE\", {file})\n",
                text = lua_text(&format!(
                    "Julia {} with the image {id}",
                    image.built_for.version
                )),
                folder = lua_text(&image.folder().display().to_string()),
                julia = lua_text(&start.julia),
                file = lua_text(&image.image.display().to_string()),
            ),
            Self::Oci => format!(
                "# {id}; {MARK}. For a Containerfile whose container has Sysforge.\n\
                 RUN sysforge --store /opt/sysforge install {source} --name {name} --yes \\\n    \
                 --launcher /usr/local/bin/julia-{name}\n",
                source = quoted(&format!("{}@{}", image.source.latest(), image.tag)),
                name = image.name,
            ),
        }
    }
}

/// Returns the settings of the Julia extension. The launcher sets the variables of the image; on
/// Windows it is not a program, so the extension passes arguments to Julia instead.
///
/// The extension's language server needs its own versions of packages that an image may contain, so
/// it must run without the image. If no program is named for it, older extensions start it with the
/// one for the REPL, and newer ones with a Julia of juliaup. It requires Julia 1.11.
fn editor_settings(image: &Installed, start: &Start, launcher: &str) -> Map<String, Value> {
    let mut settings = Map::new();
    if cfg!(windows) {
        settings.insert(EXECUTABLE.to_owned(), start.julia.clone().into());
        settings.insert(ARGUMENTS.to_owned(), start.arguments.clone().into());
    } else {
        settings.insert(EXECUTABLE.to_owned(), launcher.into());
    }
    if image.built_for.version.minor_pair() >= (1, 11) {
        settings.insert(SERVER.to_owned(), start.julia.clone().into());
    }
    settings
}

const EXECUTABLE: &str = "julia.executablePath";
const ARGUMENTS: &str = "julia.additionalArgs";
const SERVER: &str = "julia.languageServerExecutablePath";

fn kernel(image: &Installed, start: &Start) -> String {
    let mut argv = vec![start.julia.clone()];
    argv.extend(start.arguments.iter().cloned());
    argv.extend(["-i", "--color=yes", "--project=@.", "-e", KERNEL].map(str::to_owned));
    argv.push("{connection_file}".to_owned());
    let variables = start.variables.iter();
    let env: Map<String, Value> = variables
        .map(|(name, value)| ((*name).to_owned(), Value::from(value.as_str())))
        .collect();
    text::json(&json!({
        "argv": argv,
        "display_name": format!("Julia {} ({})", image.built_for.version, image.name),
        "language": "julia",
        "interrupt_mode": "signal",
        "env": env,
        "metadata": { "sysforge": format!("{}; {MARK}", image.build_id) },
    }))
}

/// Refuses a program that the extension cannot start: it passes the path to a shell without quotes
/// to ask for the version, and then looks for another Julia. A shell may even run a part of the path.
fn check_editor_settings(
    image: &Installed,
    start: &Start,
    launcher: &Path,
) -> Result<(), InstallError> {
    let settings = editor_settings(image, start, &launcher.display().to_string());
    for name in [EXECUTABLE, SERVER] {
        let path = settings.get(name).and_then(Value::as_str);
        if let Some(path) = path.filter(|path| !is_plain(path, cfg!(windows))) {
            return Err(InstallError::Unrepresentable {
                path: path.into(),
                format: "settings of VS Code",
                why: "its Julia extension passes the path to a shell without quotes, so it must not \
                      contain a space or a character with a meaning there",
            });
        }
    }
    Ok(())
}

/// Returns whether a shell reads a path without quotes as it is: a POSIX shell, or `cmd`.
fn is_plain(path: &str, windows: bool) -> bool {
    let others = match windows {
        true => r"\:/._-+@~",
        false => "/._-+@%=:,",
    };
    path.chars()
        .all(|c| c.is_alphanumeric() || others.contains(c))
}

/// Returns settings as lines to be added to a file.
fn lines(settings: Map<String, Value>) -> String {
    let lines = settings.iter();
    let lines = lines.map(|(name, value)| format!("{}: {value}", Value::from(name.as_str())));
    lines.collect::<Vec<_>>().join(", ")
}

/// Writes the file of an integration, and records it in the note. A file that Sysforge did not
/// write is kept, and is an error.
///
/// # Errors
///
/// If there is another file, or this one cannot be written.
pub fn write(
    image: &mut Installed,
    integration: Integration,
    path: &Path,
) -> Result<PathBuf, InstallError> {
    let path = std::path::absolute(path).map_err(at(path))?;
    if integration == Integration::Oci {
        // A line break in the name of a folder would begin the next instruction of the Containerfile.
        let source = image.source.latest().to_string();
        text_of(Path::new(&source), "a Containerfile")?;
    }
    let program = own_launcher(image)?;
    // A launcher extends the user's values; a file for other programs names only the image's
    // folders.
    let start = Start::of(image, &UserLists::default());
    check_target(&path).map_err(|error| match integration {
        Integration::VsCode => InstallError::OtherSettings {
            settings: lines(editor_settings(
                image,
                &start,
                &program.display().to_string(),
            )),
            path: path.clone(),
        },
        _ => error,
    })?;
    if integration == Integration::VsCode {
        check_editor_settings(image, &start, &program)?;
    }
    if let Some(folder) = path.parent() {
        sysforge_files::create_folders(folder).map_err(at(folder))?;
    }
    let text = integration.text(image, &start, &program);
    write_whole(&path, text.as_bytes()).map_err(at(&path))?;
    let file = IntegrationFile {
        integration,
        path: path.clone(),
    };
    if !image.files.contains(&file) {
        image.files.push(file);
    }
    Ok(path)
}

/// Removes a file that was written for the image, if it has not been replaced; for a Jupyter
/// kernel, also its folder.
pub(super) fn remove(file: &IntegrationFile, image: &Installed) -> Result<(), InstallError> {
    let text = read_regular(&file.path, LIMIT).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    if !text.contains(&format!("{}; {MARK}", image.build_id)) {
        return Ok(());
    }
    std::fs::remove_file(&file.path).map_err(at(&file.path))?;
    if let (Integration::Jupyter, Some(folder)) = (file.integration, file.path.parent()) {
        // This fails if the folder contains anything else.
        let _ = std::fs::remove_dir(folder);
    }
    Ok(())
}

/// Maximum size of such a file, in bytes.
const LIMIT: u64 = 1 << 20;

/// Refuses a path at which there is something that Sysforge did not write.
///
/// # Errors
///
/// [`InstallError::NotOurs`].
pub fn check_target(path: &Path) -> Result<(), InstallError> {
    let is_there = path.symlink_metadata().is_ok();
    let text = read_regular(path, LIMIT).unwrap_or_default();
    match is_there && !String::from_utf8_lossy(&text).contains(MARK) {
        true => Err(InstallError::NotOurs(path.to_owned())),
        false => Ok(()),
    }
}

/// Returns a Julia string literal.
fn julia_text(text: &str) -> String {
    let text = text.replace('\\', r"\\").replace('"', "\\\"");
    format!("\"{}\"", text.replace('$', "\\$"))
}

/// Returns a Lua string literal.
fn lua_text(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::install::images::tests::example;

    #[test]
    fn a_source_whose_name_has_a_line_break_is_not_written_to_a_containerfile() {
        let dir = tempfile::tempdir().unwrap();
        let mut image = example(dir.path().join("demo/demo.so"));
        image.julia = "/opt/julia".into();
        let path = dir.path().join("Containerfile");
        for (folder, is_written) in [("/srv/site\nRUN id", false), ("/srv/a site", true)] {
            image.source = super::super::Source::folder(folder.into(), None).unwrap();
            std::fs::create_dir_all(image.folder()).unwrap();
            let written = write(&mut image, Integration::Oci, &path);
            assert_eq!(written.is_ok(), is_written, "{written:?}");
            assert_eq!(path.exists(), is_written);
        }
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(
            text.contains("install '/srv/a site@v1.0.0' --name demo"),
            "{text}"
        );
    }

    #[test]
    fn strings_of_other_languages_end_where_they_should() {
        assert_eq!(julia_text(r#"a"b\$c"#), r#""a\"b\\\$c""#);
        assert_eq!(lua_text(r#"a"b\c"#), r#""a\"b\\c""#);
    }

    /// An image in this folder for a version of Julia, and how it is started.
    fn installed(version: &str) -> (Installed, Start) {
        let mut image = example("/store/images/demo/demo.so".into());
        image.built_for.version = version.parse().unwrap();
        image.julia = "/store/julia/bin/julia".into();
        let start = Start::of(&image, &UserLists::default());
        (image, start)
    }

    /// The settings of the Julia extension 1.157 (`package.json`), with their types.
    const SETTINGS: [(&str, &str); 3] = [
        (EXECUTABLE, "string"),
        (ARGUMENTS, "array"),
        (SERVER, "string"),
    ];

    #[test]
    fn the_extension_of_vs_code_has_the_settings_with_these_types() {
        for version in ["1.5.3", "1.10.4", "1.12.7"] {
            let (image, start) = installed(version);
            let settings = editor_settings(&image, &start, "/store/images/demo/julia");
            assert!(settings.contains_key(EXECUTABLE));
            for (name, value) in settings {
                let known = SETTINGS.iter().find(|(known, _)| *known == name);
                let (_, expected) = known.unwrap_or_else(|| panic!("{name} is not a setting"));
                let found = match value {
                    Value::String(_) => "string",
                    Value::Array(_) => "array",
                    _ => "another type",
                };
                assert_eq!(found, *expected, "{name}");
            }
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_language_server_runs_without_the_image() {
        let (image, start) = installed("1.12.7");
        let settings = editor_settings(&image, &start, "/store/images/demo/julia");
        assert_eq!(settings[EXECUTABLE], "/store/images/demo/julia");
        assert_eq!(settings[SERVER], "/store/julia/bin/julia");
        // It does not run with an older Julia.
        let (image, start) = installed("1.10.4");
        assert!(!editor_settings(&image, &start, "/x").contains_key(SERVER));
    }

    // On Windows the extension starts Julia itself, with arguments.
    #[cfg(unix)]
    #[test]
    fn a_program_that_vs_code_cannot_start_is_refused() {
        let (image, start) = installed("1.10.4");
        let refused = check_editor_settings(&image, &start, Path::new("/my store/julia"));
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("/my store/julia"), "{refused}");
        check_editor_settings(&image, &start, Path::new("/store/julia")).unwrap();
    }

    #[test]
    fn vs_code_gets_only_a_path_that_means_the_same_without_quotes() {
        for (path, on_unix, on_windows) in [
            ("/home/jürgen/julia-1.10+0/x86_64/a,b=c@d%e:f", true, false),
            (r"C:\Users\RUNNER~1\Jürgen\julia-1.10@x", false, true),
            ("/a b", false, false),
            ("/a;id", false, false),
            ("/a$(id)", false, false),
            ("/a`id`", false, false),
            ("/a&b", false, false),
            ("/a|b", false, false),
            ("/a'b", false, false),
            ("/a\"b", false, false),
            ("/a^b", false, false),
            ("/a(b)", false, false),
            ("/a\u{a0}b", false, false),
            ("/%TEMP%", true, false),
        ] {
            assert_eq!(is_plain(path, false), on_unix, "{path}");
            assert_eq!(is_plain(path, true), on_windows, "{path}");
        }
    }

    /// A keyword argument of `Pluto.run`, which becomes `CompilerOptions.sysimage`: a `String` or
    /// `nothing`.
    #[test]
    fn pluto_is_run_with_the_keyword_that_it_has() {
        let (image, start) = installed("1.10.4");
        let text = Integration::Pluto.text(&image, &start, Path::new("/x"));
        let call = text.lines().last().unwrap();
        assert_eq!(
            call,
            "Pluto.run(; sysimage = \"/store/images/demo/demo.so\")"
        );
    }
}
