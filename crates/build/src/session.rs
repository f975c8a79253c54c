//! Interactive sessions: what they compile, and how long a user waits for the first prompt.
//!
//! Since Julia 1.11 the REPL and Pkg are packages, and another image cannot use the precompile
//! caches shipped with Julia. Therefore an image contains both packages and the code that a session
//! runs, which is recorded at a pseudo-terminal, like a workload.

use std::path::Path;
use std::time::Duration;

use sysforge_files::unless_gone;
use sysforge_plan::config::{Base, Settings};
use sysforge_plan::explain::PathError;
use sysforge_plan::generation::{Generation, INTERACTIVE, InteractivePackage};
use sysforge_plan::receipt::Interactive;
use sysforge_plan::{OutputKind, Step, Task, statements};
use sysforge_process::{ProcessError, Program, available_outputs};

use crate::context::Context;
use crate::trace::idle_in_terminal;
use crate::workdir::WorkDirError;

/// A session failed.
#[derive(Debug, thiserror::Error)]
enum SessionError {
    #[error(transparent)]
    Julia(#[from] ProcessError),
    #[error(transparent)]
    Path(#[from] PathError),
    #[error(transparent)]
    WorkDir(#[from] WorkDirError),
}

/// The input of the recorded session: results of several kinds, an error, completion, help, Pkg's
/// mode, and exit. Ctrl-U clears a line, a backspace leaves the mode.
const SESSION: &str = "1 + 1\r\"text\"\r[1.0 2.0; 3.0 4.0]\r:a => (b = 1, c = nothing)\r\
                       no_such_name\rBase.sq\t\t\u{15}?sin\r;\u{8}using Pkg\r]status\r\u{8}exit()\r";

/// The input for measuring the first prompt.
const PROMPT: &str = "exit()\r";

/// The input for measuring the first `using Pkg`.
const USING_PKG: &str = "using Pkg; exit()\r";

/// Time limit of a session. The first one with a new image may have to compile everything.
const LIMIT: Duration = Duration::from_secs(900);

/// Returns the packages of an interactive session that an image with these settings must contain in
/// addition to those in its base.
pub fn packages(generation: &Generation, settings: &Settings) -> &'static [InteractivePackage] {
    match (settings.repl, &settings.base) {
        (false, _) => &[],
        // A fresh base contains only standard libraries that the project needs.
        (true, Base::Fresh) => INTERACTIVE,
        (true, Base::Shipped | Base::Image(_) | Base::Release { .. }) => generation.interactive,
    }
}

/// Records what an interactive session compiles. If that is not possible here, returns `None` and
/// warns: the image works without it, and is only slower in interactive use.
pub async fn trace(context: &Context, packages: &[InteractivePackage]) -> Option<Vec<String>> {
    if packages.is_empty() || !available_outputs().contains(&OutputKind::Terminal) {
        return None;
    }
    match record(context, packages).await {
        Ok(statements) => Some(statements),
        Err(why) => {
            let text = format!("an interactive session could not be recorded: {why}");
            let hint = "the image has the REPL, and compiles parts of it when it is first used; \
                        `repl = false` in Sysimage.toml leaves it out";
            context.reporter.warn(text, Some(hint.to_owned()));
            None
        }
    }
}

async fn record(
    context: &Context,
    packages: &[InteractivePackage],
) -> Result<Vec<String>, SessionError> {
    let recording = context.work.path("session.jl");
    context.work.forget(&["session.jl"])?;
    let julia = |log: &str| {
        context
            .julia(context.environment.for_julia(), log)
            .args(context.without_package_images())
            .optional("--sysimage", context.base.as_ref())
            .directory(&context.project)
    };
    // Creates the caches first, because the recording would otherwise contain their compilation.
    let names: Vec<_> = packages.iter().map(|package| package.name).collect();
    let import = format!("import {}\n", names.join(", "));
    let script = context.work.write("session-load.jl", &import)?;
    let reporter = &context.reporter;
    let task = reporter.start(Step::Trace, format!("load {}", names.join(" and ")));
    let program = julia("session-load").arg(&script);
    let loaded = context.children.run(&program, &task).await?;
    task.done(format!("{:.1} s", loaded.wall.as_secs_f64()));

    let task = reporter.start(Step::Trace, "an interactive session");
    let program = julia("session")
        .option("--trace-compile", &recording)
        // Keeps the session out of the user's history.
        .env("JULIA_HISTORY", context.work.path("session-history.jl"))
        .env("JULIA_PKG_OFFLINE", "true")
        .typed(SESSION)
        .idle(idle_in_terminal(context.idle))
        .timeout(Some(LIMIT));
    context.children.run(&program, &task).await?;
    let text = unless_gone(sysforge_files::read_text(&recording));
    let text = text.map_err(PathError::wrap("read", &recording, SessionError::Path))?;
    let statements = statements::parse(&text);
    task.done(format!("{} statements recorded", statements.len()));
    Ok(statements)
}

/// Measures an interactive session with and without the image. Returns `None` if that is not
/// possible here.
pub async fn measure(context: &Context, image: &Path) -> Option<Interactive> {
    if !available_outputs().contains(&OutputKind::Terminal) {
        return None;
    }
    let task = context.reporter.start(Step::Check, "first prompt");
    let mut seconds = Vec::new();
    for keys in [PROMPT, USING_PKG] {
        for image in [None, Some(image)] {
            match session(context, image, keys, &task).await {
                Ok(wall) => seconds.push(wall.as_secs_f64()),
                Err(error) => {
                    let text = format!("the first prompt could not be measured: {error}");
                    context.reporter.note(text);
                    return None;
                }
            }
        }
    }
    let [prompt_without, prompt, pkg_without, pkg] = seconds[..] else {
        return None;
    };
    task.done(format!(
        "{prompt:.2} s (without the image {prompt_without:.2} s), using Pkg {pkg:.2} s ({pkg_without:.2} s)"
    ));
    Some(Interactive {
        first_prompt_s: prompt,
        first_prompt_without_image_s: prompt_without,
        using_pkg_s: pkg,
        using_pkg_without_image_s: pkg_without,
    })
}

/// Runs one session with an empty home folder, from starting Julia until it exits.
async fn session(
    context: &Context,
    image: Option<&Path>,
    keys: &str,
    task: &Task,
) -> Result<Duration, SessionError> {
    let home = context.work.path("home");
    let failed = |action| PathError::wrap(action, &home, SessionError::Path);
    unless_gone(std::fs::remove_dir_all(&home)).map_err(failed("remove"))?;
    sysforge_files::create_folders(&home).map_err(failed("create"))?;
    let environment = context.environment.clean();
    let environment = environment
        .without("JULIA_DEPOT_PATH")
        .with("HOME", &home)
        // The home folder on Windows.
        .with("USERPROFILE", &home);
    let log = context.work.log("session");
    let program = Program::new(&context.julia.executable, environment, log)
        .arg("--startup-file=no")
        .optional("--sysimage", image)
        .typed(keys)
        .idle(idle_in_terminal(None))
        .directory(&home)
        .timeout(Some(LIMIT));
    Ok(context.children.run(&program, task).await?.wall)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sysforge_plan::JuliaVersion;

    fn names(minor: u64, repl: bool, base: Base) -> Vec<&'static str> {
        let generation = Generation::of(&JuliaVersion::new(1, minor, 0)).unwrap();
        let settings = Settings {
            repl,
            base,
            ..Settings::default()
        };
        let found = packages(generation, &settings).iter();
        found.map(|package| package.name).collect()
    }

    #[test]
    fn what_left_julias_own_image_is_put_into_others() {
        assert_eq!(names(12, true, Base::Shipped), ["REPL", "Pkg"]);
        assert_eq!(names(10, true, Base::Fresh), ["REPL", "Pkg"]);
        assert!(names(10, true, Base::Shipped).is_empty());
        assert!(names(12, false, Base::Shipped).is_empty());
    }
}
