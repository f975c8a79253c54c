//! `sysforge init`: a `Sysimage.toml` that fits the project, from a look at it.

use sysforge_engine::init::Found;
use sysforge_plan::{Triplet, config};

use crate::args::{InitArgs, WorkflowArgs};
use crate::commands::workflow;
use crate::failure::{CliError, Outcome};
use crate::session::Session;

pub(crate) async fn run(args: &InitArgs, session: &Session) -> Outcome {
    let location = &session.engine.location;
    let folder = location.folder()?;
    let path = folder.join(config::FILE_NAME);
    if path.exists() && !args.force {
        return Err(CliError::Exists(path).into());
    }
    let named = location.name()?.is_some();
    let found = Found::look(&folder, named);
    let text = found.text();
    config::Config::from_toml(config::FILE_NAME, &text)?;
    super::write_file(&path, &text)?;
    session.tell_path(&path);
    // What `workflow` says itself is said once.
    if !args.workflow {
        let files = location.read(&[], Triplet::X86_64_LINUX_GNU)?;
        super::warn_of_lacking(&files, session).await;
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
