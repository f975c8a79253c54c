//! Running apps on the image before there is a bundle: as workloads, which are traced like any
//! other, and to find the libraries that they open.

use std::path::{Path, PathBuf};

use sysforge_build::{Context, Script};
use sysforge_files::write_whole;
use sysforge_plan::app::Call;
use sysforge_plan::config::Run;
use sysforge_plan::library::julia_string;
use sysforge_plan::{Evidence, Task};
use sysforge_process::{Ended, Finished, ProcessError};

use crate::error::BundleError;
use crate::launcher::Described;

pub(crate) const OBSERVE: &str = include_str!("julia/observe.jl");

/// The result of observing the apps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// The libraries that were open at the end of any run.
    pub libraries: Vec<PathBuf>,
    /// The loaded packages by name, each with its folder.
    pub packages: Vec<(String, PathBuf)>,
    /// The peak memory of each run, in bytes.
    pub memory: Vec<u64>,
}

/// An app with the runs that it is traced and checked with.
#[derive(Debug, Clone)]
pub struct Planned {
    /// The app.
    pub app: Described,
    /// Its runs.
    pub runs: Vec<Run>,
}

/// Writes a Julia script into `folder` for each run, which runs the app as its launcher does. They
/// are workloads: the image should contain the code that they compile.
///
/// # Errors
///
/// [`BundleError::Io`] if the folder cannot be created, or a script or its input cannot be written.
pub fn scripts(apps: &[Planned], folder: &Path) -> Result<Vec<Script>, BundleError> {
    sysforge_files::create_folders(folder).map_err(BundleError::io("create", folder))?;
    let mut scripts = Vec::new();
    for Planned { app, runs } in apps {
        for (index, run) in runs.iter().enumerate() {
            let name = format!("{}-{}", app.name, index + 1);
            let input = folder.join(format!("{name}.stdin"));
            if let Some(text) = &run.stdin {
                write_whole(&input, text.as_bytes()).map_err(BundleError::io("write", &input))?;
            }
            let input = run.stdin.as_ref().map(|_| input.as_path());
            let path = folder.join(format!("{name}.jl"));
            let text = script(app, run, input);
            write_whole(&path, text.as_bytes()).map_err(BundleError::io("write", &path))?;
            scripts.push(Script {
                path,
                args: run.args.clone(),
                prefix: Vec::new(),
                options: app.options.clone(),
            });
        }
    }
    Ok(scripts)
}

/// Returns the script of a run, without paths of a build directory.
pub(crate) fn text(app: &Described, run: &Run) -> String {
    let input = run.stdin.as_ref().map(|_| Path::new("stdin"));
    script(app, run, input)
}

/// Returns the script of a run.
fn script(app: &Described, run: &Run, input: Option<&Path>) -> String {
    let Described {
        name,
        package,
        uuid,
        entry,
        ..
    } = app;
    let shown = format!("{package}.{}", entry.path);
    let mut lines = vec![
        format!("# Runs the app {name} as its launcher does. Written by Sysforge."),
        // At exit, Julia runs its own functions after those that the app registers.
        match run.exit {
            0 => String::new(),
            _ => "isdefined(Main, :sysforge_observe) || \
                  atexit(() -> ccall(:_exit, Cvoid, (Cint,), 0))"
                .to_owned(),
        },
        match input {
            None => String::new(),
            // A pipe, as for most users and in the check of the app.
            Some(path) => format!(
                "let writer = redirect_stdin()[2]
    @async (write(writer, read({})); \
                 close(writer))
end",
                julia_string(&path.to_string_lossy())
            ),
        },
        format!(
            "append!(empty!(ARGS), String[{}])",
            run.args
                .iter()
                .map(|arg| julia_string(arg))
                .collect::<Vec<_>>()
                .join(", ")
        ),
        format!("let found = Base.require(Base.PkgId(Base.UUID(\"{uuid}\"), \"{package}\"))"),
    ];
    for part in entry.path.split('.') {
        lines.push(format!(
            "    isdefined(found, :{part}) || error(\"{shown} is not defined\")\n    found = \
             getfield(found, :{part})"
        ));
    }
    let (parameters, nothing) = match entry.call {
        Call::Plain => ("found", ""),
        Call::WithArguments => ("found, ARGS", " || code === nothing"),
    };
    lines.push(format!("    code = Base.invokelatest({parameters})"));
    lines.push(format!(
        "    (code isa Integer && !(code isa Bool)){nothing} || error(string(\"{shown} returned a value \
         of type \", typeof(code), \" instead of an integer, the exit code\"))"
    ));
    let expected = run.exit;
    let found = match entry.call {
        Call::Plain => "code",
        Call::WithArguments => "(code === nothing ? 0 : code)",
    };
    lines.push(format!(
        "    {found} == {expected} || error(string(\"{shown} returned \", {found}, \" instead of \
         {expected}, which the run in Sysimage.toml says\"))"
    ));
    lines.push("end\n".to_owned());
    lines.retain(|line| !line.is_empty());
    lines.join("\n")
}

/// Runs every script on `image`, and returns the open libraries and the loaded packages.
///
/// # Errors
///
/// If a run ends with an unexpected exit code.
pub async fn observe(
    context: &Context,
    image: &Path,
    apps: &[Planned],
    scripts: &[Script],
    task: &Task,
) -> Result<Observed, BundleError> {
    let mut observed = Observed::default();
    let runs = apps
        .iter()
        .flat_map(|planned| planned.runs.iter().map(move |run| (planned, run)));
    for (index, ((planned, run), script)) in runs.zip(scripts).enumerate() {
        let (output, result) = start(context, image, script, index, task).await?;
        let app = &planned.app.name;
        match result {
            Ok(_) => {}
            Err(ProcessError::Failed {
                ended: Ended::Code(code),
                ..
            }) if code == run.exit => {}
            Err(ProcessError::Failed {
                ended, evidence, ..
            }) => {
                return Err(failed(app, run, ended, evidence, "on the image"));
            }
            Err(source) => {
                let app = app.clone();
                return Err(BundleError::Process {
                    app,
                    location: "on the image",
                    source: Box::new(source),
                });
            }
        }
        let text = sysforge_files::read_text(&output).map_err(BundleError::io("read", &output))?;
        observed.add(&text);
    }
    Ok(observed)
}

/// Runs the scripts of a library and of the workloads on `image`, to find the libraries that they
/// open. Failures of a workload are ignored, since they do not matter for a bundle.
///
/// # Errors
///
/// If the script of the library fails.
pub async fn observe_library(
    context: &Context,
    image: &Path,
    scripts: &[Script],
    task: &Task,
) -> Result<Observed, BundleError> {
    let mut observed = Observed::default();
    for (index, script) in scripts.iter().enumerate() {
        let (output, result) = start(context, image, script, index, task).await?;
        let text = sysforge_files::read_text(&output).unwrap_or_default();
        observed.add(&text);
        if let (true, Err(source)) = (text.is_empty(), result) {
            return Err(BundleError::Process {
                app: script.path.display().to_string(),
                location: "on the image",
                source: Box::new(source),
            });
        }
    }
    Ok(observed)
}

/// Runs one script on `image`, which writes a list of what is open at its end.
async fn start(
    context: &Context,
    image: &Path,
    script: &Script,
    index: usize,
    task: &Task,
) -> Result<(PathBuf, Result<Finished, ProcessError>), BundleError> {
    let driver = context.work.path("observe.jl");
    write_whole(&driver, OBSERVE.as_bytes()).map_err(BundleError::io("write", &driver))?;
    let output = context.work.path(format!("observed-{index}.txt"));
    let _ = std::fs::remove_file(&output);
    let program = context
        .julia(context.environment.for_julia(), &format!("observe-{index}"))
        .option("--sysimage", image)
        .arg(&driver)
        .arg(&output)
        .arg(&script.path)
        .args(&script.args)
        .directory(&context.project);
    let result = context.children.run(&program, task).await;
    Ok((output, result))
}

/// Returns the command line of a run for error messages.
pub fn command(app: &str, run: &Run) -> String {
    let words = std::iter::once(app).chain(run.args.iter().map(String::as_str));
    sysforge_plan::text::shortened(&words.collect::<Vec<_>>().join(" "), 200)
}

/// Returns the error for a run that ended with an unexpected exit code.
pub(crate) fn failed(
    app: &str,
    run: &Run,
    ended: Ended,
    evidence: Evidence,
    location: &'static str,
) -> BundleError {
    BundleError::Exit {
        command: command(app, run),
        location,
        found: match ended {
            Ended::Code(code) => code.to_string(),
            Ended::Signal(signal) => format!("of the signal {signal}"),
        },
        expected: run.exit,
        evidence,
    }
}

impl Observed {
    fn add(&mut self, text: &str) {
        for line in text.lines() {
            match line.split('\t').collect::<Vec<_>>()[..] {
                ["library", path] => {
                    let path = PathBuf::from(path);
                    // On some systems, the list has an empty name for the executable itself.
                    if !path.as_os_str().is_empty() && !self.libraries.contains(&path) {
                        self.libraries.push(path);
                    }
                }
                // `src/Name.jl` in the package's folder.
                ["package", name, file] => {
                    let folder = Path::new(file).parent().and_then(Path::parent);
                    if let Some(folder) = folder
                        && !self.packages.iter().any(|(known, _)| known == name)
                    {
                        self.packages.push((name.to_owned(), folder.to_owned()));
                    }
                }
                ["memory", bytes] => self.memory.extend(bytes.parse::<u64>()),
                _ => {}
            }
        }
        self.packages.sort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(entry: &str) -> Described {
        Described {
            name: "tally".to_owned(),
            package: "Tally".to_owned(),
            uuid: "11111111-2222-4333-8444-555555555555".to_owned(),
            entry: entry.parse().unwrap(),
            options: Vec::new(),
        }
    }

    #[test]
    fn arguments_reach_the_script_as_they_are() {
        let run = Run {
            args: vec!["".to_owned(), "a\"b$(id)\\n\u{1}ä".to_owned()],
            ..Run::default()
        };
        let text = script(&app("julia_main"), &run, None);
        assert!(
            text.contains(r#"String["", "a\"b\$(id)\\n\u1ä"]"#),
            "{text}"
        );
        assert!(!text.contains("redirect_stdin"), "{text}");
        assert!(!text.contains("atexit"), "{text}");
    }

    #[test]
    fn a_function_with_at_main_gets_the_arguments_and_may_return_nothing() {
        let run = Run {
            exit: 3,
            ..Run::default()
        };
        let text = script(&app("Cli.@main"), &run, Some(Path::new("/tmp/in")));
        assert!(text.contains("Base.invokelatest(found, ARGS)"), "{text}");
        assert!(text.contains("code === nothing"), "{text}");
        assert!(text.contains("write(writer, read(\"/tmp/in\"))"), "{text}");
        let cli = text.find("getfield(found, :Cli)").unwrap();
        assert!(cli < text.find("getfield(found, :main)").unwrap(), "{text}");
    }

    #[test]
    fn libraries_and_packages_are_read_once() {
        let mut observed = Observed::default();
        let text =
            "library\t/lib/libz.so\nlibrary\t\npackage\tA\t/p/A/src/A.jl\nmemory\t4096\nend\n";
        observed.add(text);
        observed.add(text);
        // The memory is that of each run.
        assert_eq!(observed.memory, [4096, 4096]);
        assert_eq!(observed.libraries, [PathBuf::from("/lib/libz.so")]);
        assert_eq!(observed.packages, [("A".to_owned(), PathBuf::from("/p/A"))]);
    }
}
