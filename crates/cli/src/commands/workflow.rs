//! `sysforge workflow`: writes, prints or checks the GitHub workflow, and tells which tag a run of it
//! releases.

use sysforge_actions::event::{Releases, Run};
use sysforge_engine::workflow::{PATH, WorkflowFile, pin};
use sysforge_engine::{EngineError, committed};
use sysforge_plan::Triplet;
use sysforge_publish::host::github::{GitHub, finalize};

use crate::args::WorkflowArgs;
use crate::failure::Outcome;
use crate::github::{access, variable};
use crate::session::Session;

pub(crate) async fn run(args: &WorkflowArgs, session: &Session) -> Outcome {
    if args.tag {
        return print_tag(session).await;
    }
    let location = &session.engine.location;
    if let Some(sums) = &args.pin {
        pin(location, sums)?;
    }
    let files = location.read(&[], Triplet::X86_64_LINUX_GNU)?;
    let workflow = WorkflowFile::of(&files)?;
    if args.print {
        session.terminal.data(&workflow.text);
        return Ok(());
    }
    // A checkout on a runner contains what was committed.
    if !session.runner.on {
        committed::warn(&files, &session.engine).await;
    }
    if args.check {
        let check = workflow.check();
        if !check.up_to_date || session.global.json {
            session.print(&check, || check.diff.clone().unwrap_or_default());
        }
        if !check.up_to_date {
            return Err(EngineError::Drifted(PATH).into());
        }
        session.terminal.say(&format!("{PATH} is up to date"));
        return Ok(());
    }
    workflow.write(args.force)?;
    session.print_path(&workflow.path);
    Ok(())
}

/// Which tag this run of the workflow releases: an output for the steps that follow.
async fn print_tag(session: &Session) -> Outcome {
    let read = |name| variable(session, name).unwrap_or_default();
    let run = Run {
        event: read("GITHUB_EVENT_NAME"),
        ref_type: read("GITHUB_REF_TYPE"),
        ref_name: read("GITHUB_REF_NAME"),
        tag_input: read("SYSFORGE_TAG"),
    };
    let tag = match run.releases() {
        Releases::Nothing => String::new(),
        Releases::Tag(tag) => tag,
        Releases::Newest => {
            let repository = variable(session, "GITHUB_REPOSITORY");
            let repository = repository.ok_or(EngineError::NoRepository)?;
            let host = GitHub::new(access(session, &repository)?, session.timing())?;
            finalize::newest(&host).await?.unwrap_or_default()
        }
    };
    session.runner.output("tag", &tag);
    let released = Some(&tag).filter(|tag| !tag.is_empty());
    if session.global.json || released.is_some() {
        session.print(&released, || tag.clone());
    } else {
        let text = "this run builds and checks, and releases nothing";
        session.terminal.say(text);
    }
    Ok(())
}
