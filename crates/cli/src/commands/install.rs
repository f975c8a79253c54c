//! `sysforge install`: the image of a release that fits this machine, verified, kept and ready.

use std::sync::Arc;

use serde::Serialize;
use sysforge_engine::install::{Activation, InstallRequest, Installer, keys, signed_for};
use sysforge_engine::paths::absolute;
use sysforge_plan::release::choose::Kind;
use sysforge_publish::install::activate::{self, UserLists};
use sysforge_publish::install::integrate::Integration;
use sysforge_publish::install::source::is_site;
use sysforge_publish::install::{InstallError, Installed, SignedFor, Source};

use crate::args::{Activation as ActivationArgs, InstallArgs, InstallCommand};
use crate::failure::{Failure, Outcome};
use crate::github::source_options;
use crate::prompt::confirm;
use crate::session::Session;
use crate::terminal::fitted_table;

pub(crate) async fn run(args: &InstallArgs, session: &Session) -> Outcome {
    let _heartbeat = session.heartbeat();
    let installer = installer(session, args.yes)?;
    match (&args.command, &args.source) {
        (Some(InstallCommand::List), _) => list(&installer, session),
        (Some(InstallCommand::Remove { image }), _) => {
            // A removal that was killed may have come so far that the image is no longer listed.
            let mut removed = installer.images.finish_removals(image);
            let named = match installer.images.named(image) {
                Err(_) if !removed.is_empty() => Vec::new(),
                named => named?,
            };
            for installed in &removed {
                let text = format!("removed what was left of {}", installed.build_id);
                session.terminal.say(&text);
            }
            for installed in &named {
                installer.remove(installed).await?;
                let text = format!("removed {}", installed.build_id);
                session.terminal.say(&text);
            }
            removed.extend(named);
            if session.global.json {
                session.terminal.json(&removed);
            }
            Ok(())
        }
        (Some(InstallCommand::Upgrade { image }), _) => {
            installer.images.finish_removals("");
            upgrade(image.as_deref(), args, &installer, session).await
        }
        (None, Some(source)) => {
            installer.images.finish_removals("");
            let request = InstallRequest {
                name: args.name.clone(),
                kind: args.activation.bin.as_ref().map(|_| Kind::App),
                keys: keys(&args.verify_key)?,
                signed_for: match &args.signed_for {
                    Some(text) => signed_for(text)?,
                    None => SignedFor::Asked,
                },
                allow_downgrade: args.allow_downgrade,
                attested: args.require_attestation,
                ..InstallRequest::new(from_anywhere(Source::parse(source, is_site)?))
            };
            let installed = installer.install(&request).await?;
            match installed.apps.is_empty() {
                true => finish(installed, &args.activation, &installer, session).await,
                false => {
                    let apps = installed.clone();
                    let finished = finish_apps(apps, &args.activation, &installer, session);
                    // Apps that cannot be started by their names are not left in the store.
                    if finished.is_err() && installed.launchers.is_empty() {
                        installer.images.remove(&installed)?;
                    }
                    finished
                }
            }
        }
        (None, None) => Err(InstallError::Source(String::new()).into()),
    }
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

/// A folder by its whole path: an upgrade may be started in another one.
fn from_anywhere(source: Source) -> Source {
    match source {
        Source::Folder { path, tag } => Source::Folder {
            path: absolute(&path),
            tag,
        },
        source => source,
    }
}

fn list(installer: &Installer<'_>, session: &Session) -> Outcome {
    let all = installer.images.list()?;
    if session.global.json {
        session.terminal.json(&all);
        return Ok(());
    }
    if all.is_empty() {
        session.terminal.say("no image is installed");
        return Ok(());
    }
    let head = ["image", "release", "Julia", "file"].map(str::to_owned);
    let rows = all.iter().map(|image| {
        vec![
            image.build_id.to_string(),
            format!("{} {}", image.source.latest(), image.tag),
            image.built_for.version.to_string(),
            image.image.display().to_string(),
        ]
    });
    let rows: Vec<_> = std::iter::once(head.to_vec()).chain(rows).collect();
    session.terminal.data(&fitted_table(&rows));
    Ok(())
}

/// Upgrades every installed image, or those of this name.
async fn upgrade(
    name: Option<&str>,
    args: &InstallArgs,
    installer: &Installer<'_>,
    session: &Session,
) -> Outcome {
    let all = match name {
        Some(name) => installer.images.named(name)?,
        None => installer.images.list()?,
    };
    // One that fails, because its release is gone, does not keep the others from being upgraded.
    let (mut now, mut failed) = (Vec::new(), None::<Failure>);
    let mut silent = Vec::new();
    for old in &all {
        let (build_id, tag) = (&old.build_id, &old.tag);
        let source = old.source.latest().to_string();
        if silent.contains(&source) {
            session.terminal.say(&format!(
                "{build_id} stays as it is: {source} does not answer"
            ));
            continue;
        }
        match installer.upgrade(old, args.allow_downgrade).await {
            Ok(Some(new)) => {
                let text = format!("{build_id} {tag} → {}", new.tag);
                session.terminal.say(&text);
                now.push(new);
            }
            Ok(None) => {
                session
                    .terminal
                    .say(&format!("{build_id} {tag} is the newest"));
                now.push(old.clone());
            }
            Err(failure) => {
                let error: &(dyn std::error::Error + 'static) = failure.0.as_ref();
                if let Some(InstallError::Silent { .. }) = error.downcast_ref() {
                    silent.push(source);
                }
                if all.len() > 1 {
                    let text = format!("{build_id} stays as it is: {failure}");
                    session.terminal.say(&text);
                }
                failed = Some(failure);
            }
        }
    }
    if let Some(failure) = failed {
        return Err(failure);
    }
    if session.global.json {
        session.terminal.json(&now);
    }
    Ok(())
}

/// What was installed, for `--json`.
#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    image: &'a Installed,
    command: String,
}

/// Makes the image easy to use, as the arguments say, and prints how.
async fn finish(
    mut installed: Installed,
    args: &ActivationArgs,
    installer: &Installer<'_>,
    session: &Session,
) -> Outcome {
    let named = [
        (Integration::Pluto, &args.pluto),
        (Integration::Python, &args.python),
        (Integration::Module, &args.module),
        (Integration::Oci, &args.oci),
    ];
    let named = named.into_iter();
    let named = named.filter_map(|(program, path)| Some((program, absolute(path.as_ref()?))));
    let activation = Activation {
        launcher: args.launcher.clone(),
        juliaup: args.juliaup.clone(),
        jupyter: args.jupyter,
        vscode: args.vscode.as_deref().map(absolute),
        files: named.collect(),
    };
    for written in installer.activate(&mut installed, &activation).await? {
        session
            .terminal
            .say(&format!("wrote {}", written.display()));
    }
    let lists = UserLists::of(&session.engine.environment);
    let command = activate::command(&installed, &lists);
    if session.global.json {
        session.terminal.json(&Report {
            image: &installed,
            command,
        });
        return Ok(());
    }
    if args.env {
        let text = activate::environment(&installed, &lists)?;
        session.terminal.data(&text);
        return Ok(());
    }
    session.terminal.say("start Julia with it:");
    session
        .terminal
        .data(&match (&args.launcher, &args.juliaup) {
            (Some(path), _) => path.display().to_string(),
            (None, Some(channel)) => format!("julia +{channel}"),
            (None, None) => command,
        });
    Ok(())
}

/// Links the apps into a folder of the search path, and prints their paths.
fn finish_apps(
    mut installed: Installed,
    args: &ActivationArgs,
    installer: &Installer<'_>,
    session: &Session,
) -> Outcome {
    if let Some(option) = args.of_images() {
        return Err(InstallError::ForImages(option).into());
    }
    let bin = args.bin.as_deref().map(absolute);
    let links = installer.link_apps(&mut installed, bin.as_deref())?;
    if session.global.json {
        session.terminal.json(&installed);
        return Ok(());
    }
    for link in &links {
        session.terminal.data(&link.display().to_string());
    }
    Ok(())
}
