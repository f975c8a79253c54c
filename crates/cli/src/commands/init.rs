//! `sysforge init`: writes a `Sysimage.toml` that fits the project.

use sysforge_engine::workflow::read_sums;
use sysforge_engine::{committed, init};
use sysforge_plan::Triplet;

use crate::args::{InitArgs, WorkflowArgs};
use crate::commands::workflow;
use crate::failure::Outcome;
use crate::session::Session;

pub(crate) async fn run(args: &InitArgs, session: &Session) -> Outcome {
    let location = &session.engine.location;
    if let Some(sums) = &args.pin {
        read_sums(location, sums)?;
    }
    let (path, found) = init::write(location, args.force)?;
    session.print_path(&path);
    // `workflow` warns itself.
    if !args.workflow {
        let files = location.read(&[], Triplet::X86_64_LINUX_GNU)?;
        committed::warn(&files, &session.engine).await;
    }
    if found.workloads.is_empty() {
        session.terminal.warning(
            "no workload was found: the image will hold the packages, but little compiled code",
            Some(
                "write `workload.jl`, a script that uses the package as its users do, and name it",
            ),
        );
    }
    if args.workflow {
        let args = WorkflowArgs {
            check: false,
            print: false,
            pin: args.pin.clone(),
            force: args.force,
            tag: false,
        };
        workflow::run(&args, session).await?;
    }
    session.terminal.say("next: `sysforge build`");
    Ok(())
}
