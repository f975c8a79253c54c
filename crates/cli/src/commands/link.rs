//! `sysforge link`: the link step of a build, or any objects for any platform, so that what is linked
//! for Windows and macOS can be linked and inspected on a developer's own machine.

use std::path::Path;

use sysforge_engine::BuildRunner;
use sysforge_engine::objects::{self, LinkTarget};
use sysforge_engine::paths::absolute;

use crate::args::LinkArgs;
use crate::failure::{CliError, Outcome};
use crate::session::Session;

pub(crate) async fn run(args: &LinkArgs, session: &Session) -> Outcome {
    let _heartbeat = session.heartbeat();
    match (&args.out, &args.inspect) {
        (_, Some(image)) => inspect(image, args, session).await,
        (Some(out), None) => objects(&absolute(out), args, session).await,
        (None, None) => builds(args, session).await,
    }
}

/// The link step of the project's builds.
async fn builds(args: &LinkArgs, session: &Session) -> Outcome {
    let is_object = |path: &&std::path::PathBuf| {
        let extension = path.extension().and_then(|extension| extension.to_str());
        matches!(extension, Some("a" | "o" | "obj" | "lib"))
    };
    if let Some(object) = args.inputs.iter().find(is_object) {
        return Err(CliError::NoImageName(object.clone()).into());
    }
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
async fn objects(output: &Path, args: &LinkArgs, session: &Session) -> Outcome {
    let linked = objects::link(
        args.inputs.iter().map(|path| absolute(path)).collect(),
        output,
        &args.export,
        &target(args, session)?,
        &args.build.options(),
        &session.engine,
    )
    .await?;
    if session.global.json {
        session.terminal.json(&linked);
    } else {
        session.terminal.data(&output.display().to_string());
    }
    Ok(())
}

/// An image that was linked elsewhere.
async fn inspect(image: &Path, args: &LinkArgs, session: &Session) -> Outcome {
    let target = target(args, session)?;
    let options = args.build.options();
    let (inspection, verified) =
        objects::inspect_image(image, &target, &options, &session.engine).await?;
    if session.global.json {
        session.terminal.json(&inspection);
    }
    verified?;
    if !session.global.json {
        let triplet = target.triplet.map_or_else(Session::host, Ok)?;
        session
            .terminal
            .data(&format!("{}: a good image for {triplet}", image.display()));
    }
    Ok(())
}

fn target(args: &LinkArgs, session: &Session) -> Result<LinkTarget, CliError> {
    let [julia] = session.global.julia.as_slice() else {
        return Err(CliError::NoJuliaFolder);
    };
    Ok(LinkTarget {
        julia: absolute(Path::new(julia)),
        triplet: args.triplet,
        version: args.julia_version.clone(),
    })
}
