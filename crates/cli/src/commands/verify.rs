//! `sysforge verify`: what a release offers this machine is installed as a user would install it, and the
//! project's workloads run on it.

use sysforge_engine::Engine;
use sysforge_engine::install::keys;
use sysforge_engine::verify::Verification;
use sysforge_publish::install::Source;
use sysforge_publish::install::source::is_site;

use crate::args::VerifyArgs;
use crate::failure::Outcome;
use crate::github::source_options;
use crate::session::Session;

pub(crate) async fn run(args: &VerifyArgs, session: &Session) -> Outcome {
    let _heartbeat = session.heartbeat();
    let source = Source::parse(&args.source, is_site)?;
    let options = source_options(session, args.draft)?;
    let keys = keys(&args.trusted.verify_key)?;
    let mut verification = Verification::open(&source, &keys, &options, &session.engine).await?;
    let mut verified = Vec::new();
    for image in verification.selected(&args.select) {
        let id = image.build_id();
        session.runner.working_on(id.as_str());
        session.terminal.group(&format!("Verifying {id}"));
        if verification.verify(&image).await? {
            verified.push(id.to_string());
        }
        session.terminal.end_group();
    }
    if verified.is_empty() {
        return Err(verification.nothing_verified());
    }
    let heading = format!("Verified on {}", Engine::host()?);
    let summary = sysforge_actions::summary::release(&heading, &source.to_string(), &verified, &[]);
    session.runner.summarize(&summary);
    session.print_lines(&verified, &verified);
    Ok(())
}
