//! `sysforge link`: the link step of a build, or any objects for any platform, so that what is linked
//! for Windows and macOS can be linked and inspected on a developer's own machine.

use std::path::Path;

use sysforge_engine::objects::{self, LinkTarget};
use sysforge_engine::paths::absolute;
use sysforge_engine::{Engine, EngineError};

use crate::args::LinkArgs;
use crate::failure::Outcome;
use crate::session::Session;

pub(crate) async fn run(args: &LinkArgs, session: &Session) -> Outcome {
    let _heartbeat = session.heartbeat();
    match (&args.out, &args.inspect) {
        (_, Some(image)) => inspect(image, args, session).await,
        (Some(out), None) => link_objects(&absolute(out), args, session).await,
        (None, None) => builds(args, session).await,
    }
}

/// The link step of the project's builds.
async fn builds(args: &LinkArgs, session: &Session) -> Outcome {
    objects::require_no_objects(&args.inputs)?;
    let select = args.inputs.iter().map(|input| input.display().to_string());
    let planned = session.plan(&select.collect::<Vec<_>>()).await?;
    planned.require_step("emit", &session.engine)?;
    for build in &planned.plan.builds {
        let mut runner = session.open(&planned, build, &args.build).await?;
        let linked = runner.link().await?;
        session.print(&linked, || runner.image().display().to_string());
    }
    Ok(())
}

/// Objects into an image, apart from any project.
async fn link_objects(output: &Path, args: &LinkArgs, session: &Session) -> Outcome {
    let linked = objects::link(
        args.inputs.iter().map(|path| absolute(path)).collect(),
        output,
        &args.export,
        &target(args, session)?,
        &args.build.options(),
        &session.engine,
    )
    .await?;
    session.print(&linked, || output.display().to_string());
    Ok(())
}

/// An image that was linked elsewhere.
async fn inspect(image: &Path, args: &LinkArgs, session: &Session) -> Outcome {
    let target = target(args, session)?;
    let options = args.build.options();
    let (inspection, verified) =
        objects::inspect_image(image, &target, &options, &session.engine).await?;
    session.print_if_json(&inspection);
    verified?;
    if !session.global.json {
        let triplet = target.triplet.map_or_else(Engine::host, Ok)?;
        let text = format!("{}: a valid image for {triplet}", image.display());
        session.terminal.data(&text);
    }
    Ok(())
}

fn target(args: &LinkArgs, session: &Session) -> Result<LinkTarget, EngineError> {
    let version = args.julia_version.clone();
    LinkTarget::new(&session.global.julia, args.triplet, version)
}
