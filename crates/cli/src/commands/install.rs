//! `sysforge install`: the image of a release that fits this machine, verified, installed and ready.

use std::sync::Arc;

use sysforge_engine::install::{self, InstallRequest, Installer, keys, signed_for};
use sysforge_output::confirm;
use sysforge_plan::release::choose::Kind;
use sysforge_publish::install::source::is_site;
use sysforge_publish::install::{InstallError, SignedFor, Source};

use crate::args::{InstallArgs, InstallCommand};
use crate::failure::{Failure, Outcome};
use crate::github::source_options;
use crate::session::Session;

pub(crate) async fn run(args: &InstallArgs, session: &Session) -> Outcome {
    let _heartbeat = session.heartbeat();
    let installer = installer(session, args.yes)?;
    match (&args.command, &args.source) {
        (Some(InstallCommand::List), _) => {
            let images = installer.list()?;
            if images.is_empty() && !session.global.json {
                session.terminal.say("no image is installed");
            } else {
                session.print_table(&images, || install::rows(&images));
            }
        }
        (Some(InstallCommand::Remove { image }), _) => {
            let removed = installer.remove_named(image).await?;
            session.print_if_json(&removed);
        }
        (Some(InstallCommand::Upgrade { image }), _) => {
            let upgrading = installer.upgrade_all(image.as_deref(), args.allow_downgrade);
            session.print_if_json(&upgrading.await?);
        }
        (None, Some(source)) => new(source, args, &installer, session).await?,
        (None, None) => return Err(InstallError::Source(String::new()).into()),
    }
    Ok(())
}

async fn new(
    source: &str,
    args: &InstallArgs,
    installer: &Installer<'_>,
    session: &Session,
) -> Outcome {
    let request = InstallRequest {
        name: args.name.clone(),
        kind: args.activation.bin.as_ref().map(|_| Kind::App),
        keys: keys(&args.trusted.verify_key)?,
        signed_for: match &args.signed_for {
            Some(text) => signed_for(text)?,
            None => SignedFor::Asked,
        },
        allow_downgrade: args.allow_downgrade,
        attested: args.require_attestation,
        ..InstallRequest::new(Source::parse(source, is_site)?)
    };
    let activation = args.activation.options();
    let activated = installer.install_activated(&request, &activation).await?;
    for written in &activated.written {
        let text = format!("wrote {}", written.display());
        session.terminal.say(&text);
    }
    if session.global.json {
        session.terminal.json(&activated);
        return Ok(());
    }
    if let Some(environment) = &activated.environment {
        session.terminal.data(environment);
        return Ok(());
    }
    if activated.command.is_some() {
        session.terminal.say("start Julia with it:");
    }
    for line in &activated.start {
        session.terminal.data(line);
    }
    Ok(())
}

/// Loads an image that was just published, if one fits this machine.
pub(crate) async fn try_published(source: Source, session: &Session) -> Outcome {
    installer(session, false)?.try_published(source).await
}

fn installer(session: &Session, yes: bool) -> Result<Installer<'_>, Failure> {
    let (terminal, progress) = (session.terminal, session.progress.clone());
    Ok(Installer {
        engine: &session.engine,
        images: session.engine.images()?,
        options: source_options(session, false)?,
        julias: &session.global.julia,
        confirm: Arc::new(move |question| {
            progress.clear();
            yes || confirm(question, terminal) == Some(true)
        }),
    })
}
