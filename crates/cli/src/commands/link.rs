//! `sysforge link`: the link step of a build, or any objects for any platform, so that what is
//! linked for Windows and macOS can be linked and looked at on a developer's own machine.

use std::path::{Path, PathBuf};

use sysforge_build::inspect::inspect;
use sysforge_build::link::{self, LinkError, LinkJob, foreign};
use sysforge_build::probe;
use sysforge_engine::BuildRunner;
use sysforge_plan::{JuliaFacts, Step};

use crate::args::LinkArgs;
use crate::failure::{CliError, Failure, Outcome};
use crate::session::Session;
use sysforge_engine::paths::absolute;

pub(crate) async fn run(args: &LinkArgs, session: &Session) -> Outcome {
    let _heartbeat = session.heartbeat();
    match (&args.out, &args.inspect) {
        (_, Some(image)) => look(image, args, session),
        (Some(out), None) => objects(out, args, session).await,
        (None, None) => builds(args, session).await,
    }
}

/// The link step of the project's builds.
async fn builds(args: &LinkArgs, session: &Session) -> Outcome {
    let select = args.inputs.iter().map(|input| input.display().to_string());
    let planned = session.plan(&select.collect::<Vec<_>>()).await?;
    for build in &planned.plan.builds {
        let mut runner =
            BuildRunner::open(&session.engine, &planned, build, &args.build.options()).await?;
        let linked = runner.link().await?;
        if session.global.json {
            session.terminal.json(&linked);
        } else {
            session.terminal.data(&runner.image().display().to_string());
        }
    }
    Ok(())
}

/// Objects into an image, apart from any project.
async fn objects(out: &Path, args: &LinkArgs, session: &Session) -> Outcome {
    let output = absolute(out);
    let name = match output.file_name() {
        Some(name) => name.to_string_lossy().into_owned(),
        None => return Err(CliError::NoFileName(output).into()),
    };
    // Lists and logs stay beside the image while it is linked, and for as long as they explain a
    // failure.
    let work_dir = output.with_file_name(format!(".{name}.link"));
    let julia = facts(args, session).await?;
    let environment = session.engine.environment.clone();
    let options = args.build.options();
    let linker = sysforge_engine::linker(&options.image)?;
    let engine = &session.engine;
    let (environment, _lease) = engine.with_compiler(environment, julia.triplet, &linker);
    let job = LinkJob {
        objects: args.inputs.iter().map(|path| absolute(path)).collect(),
        name: name.clone(),
        julia,
        linker,
        strip: args.build.image.strip,
        exports: args.export.clone(),
        environment,
        log: work_dir.join("link.log"),
        work_dir: work_dir.clone(),
        timeout: options.timeout,
        output: output.clone(),
    };
    let task = session.engine.reporter.start(Step::Link, &name);
    let linked = link::link(&job, &session.engine.children, &task).await;
    if linked.is_ok() || !job.log.exists() {
        let _ = std::fs::remove_dir_all(&work_dir);
    }
    let linked = linked?;
    task.done(format!(
        "{} MB by {}",
        linked.inspection.bytes / 1_000_000,
        linked.linker_version
    ));
    if session.global.json {
        session.terminal.json(&linked);
    } else {
        session.terminal.data(&output.display().to_string());
    }
    Ok(())
}

/// An image that was linked elsewhere.
fn look(image: &Path, args: &LinkArgs, session: &Session) -> Outcome {
    let triplet = args.triplet.map_or_else(Session::host, Ok)?;
    let julia = foreign::facts(&folder(session)?, triplet, args.julia_version.clone())?;
    let inspection = inspect(image).map_err(LinkError::from)?;
    if session.global.json {
        session.terminal.json(&inspection);
    }
    link::verify(&inspection, image, &julia, args.build.image.strip)?;
    if !session.global.json {
        session
            .terminal
            .data(&format!("{}: a good image for {triplet}", image.display()));
    }
    Ok(())
}

/// What is known of the Julia: asked from itself, or read from the folder of one that this
/// machine cannot run.
async fn facts(args: &LinkArgs, session: &Session) -> Result<JuliaFacts, Failure> {
    let folder = folder(session)?;
    if let Some(triplet) = args.triplet {
        return Ok(foreign::facts(
            &folder,
            triplet,
            args.julia_version.clone(),
        )?);
    }
    let executable = probe::executable_at(&folder)?;
    session.engine.ask(&executable).await
}

fn folder(session: &Session) -> Result<PathBuf, CliError> {
    match session.global.julia.as_slice() {
        [julia] => Ok(absolute(Path::new(julia))),
        _ => Err(CliError::NoJuliaFolder),
    }
}
