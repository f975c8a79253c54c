//! `sysforge workflow`: writes, prints or checks the GitHub workflow, and tells which tag a run of it
//! releases.

use sysforge_actions::event::{Releases, Run};
use sysforge_engine::workflow::{PATH, WorkflowFile, pin};
use sysforge_plan::Triplet;
use sysforge_publish::host::github::{GitHub, finalize};

use crate::args::WorkflowArgs;
use crate::failure::{CliError, Outcome};
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
    // A checkout on a runner has what was committed, and says so in its own steps.
    if !session.runner.on {
        super::warn_of_lacking(&files, session).await;
    }
    if args.check {
        return check(&workflow, session);
    }
    workflow.write(args.force)?;
    session.tell_path(&workflow.path);
    Ok(())
}

fn check(workflow: &WorkflowFile, session: &Session) -> Outcome {
    let diff = workflow.diff();
    if session.global.json {
        session.terminal.json(&serde_json::json!({
            "path": workflow.path, "up_to_date": diff.is_none(), "diff": diff,
        }));
    }
    if let Some(diff) = diff {
        if !session.global.json {
            session.terminal.data(&diff);
        }
        return Err(CliError::Drifted(PATH).into());
    }
    session.terminal.say(&format!("{PATH} is up to date"));
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
            let repository =
                variable(session, "GITHUB_REPOSITORY").ok_or(CliError::NoRepository)?;
            let host = GitHub::new(access(session, &repository)?, session.timing())?;
            finalize::newest(&host).await?.unwrap_or_default()
        }
    };
    session.runner.output("tag", &tag);
    if session.global.json {
        let tag = Some(tag).filter(|tag| !tag.is_empty());
        session.terminal.json(&tag);
        return Ok(());
    }
    match tag.as_str() {
        "" => session
            .terminal
            .say("this run builds and checks, and releases nothing"),
        tag => session.terminal.data(tag),
    }
    Ok(())
}
