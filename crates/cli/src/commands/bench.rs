//! `sysforge bench`: what a user waits for, with and without the image, as a table, JSON, a chart
//! and a page.

use std::path::{Path, PathBuf};

use sysforge_engine::BuildRunner;
use sysforge_engine::benchmark::compare;
use sysforge_report::comparison::Comparison;

use crate::args::BenchArgs;
use crate::commands::steps::image_of;
use crate::failure::{CliError, Outcome};
use crate::session::Session;
use sysforge_engine::paths::{absolute, require_writable_file};

pub(crate) async fn run(args: &BenchArgs, session: &Session) -> Outcome {
    let _heartbeat = session.heartbeat();
    let planned = session.plan(&args.image.select).await?;
    let builds = &planned.plan.builds;
    if builds.len() > 1 && (args.svg.is_some() || args.html.is_some()) {
        let ids = builds.iter().map(|build| build.id.to_string()).collect();
        return Err(CliError::SeveralReports(ids).into());
    }
    for file in args.svg.iter().chain(&args.html) {
        require_writable_file(&absolute(file))?;
    }
    let mut runners = Vec::new();
    for build in builds {
        let runner = BuildRunner::open(
            &session.engine,
            &planned,
            build,
            &args.image.build.options(),
        )
        .await?;
        let image = image_of(&args.image, &runner)?;
        runners.push((runner, image));
    }
    for (mut runner, image) in runners {
        let report = compare(args.samples, &mut runner, &planned, &image).await?;
        if let Some(file) = &args.svg {
            write(session, file, &sysforge_report::svg(&report))?;
        }
        if let Some(file) = &args.html {
            write(session, file, &sysforge_report::html(&report))?;
        }
        let written = args.svg.iter().chain(&args.html);
        let written: Vec<PathBuf> = written.map(|file| absolute(file)).collect();
        planned.note_results(&session.engine, &written)?;
        let text = report.table();
        if session.global.json {
            session.terminal.json(&Comparison::of(&report));
            session.terminal.say(&text);
        } else {
            session.terminal.data(&text);
        }
    }
    Ok(())
}

/// Writes a file so that it is there whole, or as it was.
fn write(session: &Session, path: &Path, text: &str) -> Result<(), CliError> {
    let path = absolute(path);
    super::write_file(&path, text)?;
    session.terminal.say(&format!("wrote {}", path.display()));
    Ok(())
}
