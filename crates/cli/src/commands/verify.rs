//! `sysforge verify`: what a release offers this machine is installed as a user would, into a place
//! that knows nothing yet, and the project's workloads run on it.

use sysforge_engine::{BuildOptions, BuildRunner};
use sysforge_plan::Request;
use sysforge_plan::release::choose::{Kind, Machine, Misfit, misfit};
use sysforge_plan::release::cpu::Cpu;
use sysforge_publish::install::source::is_site;
use sysforge_publish::install::{self, Images, InstallError, OpenRelease, Source};

use crate::args::VerifyArgs;
use crate::commands::install::{keys, surroundings};
use crate::failure::{CliError, Outcome};
use crate::github::source_options;
use crate::session::Session;
use sysforge_engine::cpu::cpu_level;

pub(crate) async fn run(args: &VerifyArgs, session: &Session) -> Outcome {
    let _heartbeat = session.heartbeat();
    let source = Source::parse(&args.source, is_site)?;
    let reach = source_options(session, args.draft)?;
    let place = OpenRelease::open(&source, &reach).await?;
    let keys = keys(&args.verify_key)?;
    let (index, _) = place.index(&keys).await?;
    let triplet = Session::host()?;
    let acquirer = session.engine.acquirer()?;
    let mut catalogue = None;
    let scratch = tempfile::tempdir().map_err(|source| CliError::Unwritable {
        path: std::env::temp_dir(),
        source,
    })?;
    let images = Images::open(scratch.path().to_owned());
    let mut verified = Vec::new();
    for image in &index.images {
        let id = image.build_id();
        let wanted = args.select.is_empty() || args.select.iter().any(|glob| id.matches(glob));
        if image.receipt.julia.triplet != triplet || !wanted {
            continue;
        }
        session.runner.working_on(id.as_str());
        session.terminal.group(&format!("Verifying {id}"));
        if image.receipt.bundle.is_some() {
            let surroundings = surroundings(session, &keys);
            let installed =
                install::app::install_app(&place, &index, image, &images, &surroundings).await?;
            session.terminal.say(&format!("  {id} starts here"));
            images.remove(&installed)?;
            session.terminal.end_group();
            verified.push(id.to_string());
            continue;
        }
        let version = &image.receipt.julia.version;
        let request = Request::Exact(version.clone());
        let julia = match acquirer.stored(&request, triplet)? {
            Some(julia) => julia,
            None => {
                let catalogue = match &mut catalogue {
                    Some(known) => known,
                    unknown => unknown.insert(acquirer.catalogue().await?),
                };
                acquirer
                    .julia(&catalogue.choose(&request, triplet)?)
                    .await?
            }
        };
        let facts = session.engine.ask(&julia.executable).await?;
        let machine = Machine {
            triplet,
            cpu: Cpu {
                name: Some(facts.cpu_name.clone()),
                level: cpu_level(),
            },
            julia: Some(facts.build()),
            name: None,
            kind: Kind::Image,
        };
        if let Some(Misfit::Cpu(need)) = misfit(image, &machine) {
            let text = format!("{id} was not run here: it needs {need}");
            session.engine.reporter.warn(text, None);
            continue;
        }
        let surroundings = surroundings(session, &keys);
        let installed =
            install::install(&place, &index, image, &facts, &images, &surroundings).await?;
        // The Julia that is here, so that no catalogue is needed to plan.
        let requests = [julia.prefix.display().to_string()];
        let planned = sysforge_engine::plan(&session.engine, &requests, &[]).await?;
        match planned.plan.builds.iter().find(|build| build.id == *id) {
            Some(build) => {
                let mut runner =
                    BuildRunner::open(&session.engine, &planned, build, &BuildOptions::default())
                        .await?;
                let record = runner.check(&installed.image).await?;
                session.terminal.say(&format!(
                    "  {id} holds {}, {} residual statements",
                    record.loaded.join(", "),
                    record.residuals.len()
                ));
            }
            // An image of an earlier configuration that the release still has.
            None => session
                .engine
                .reporter
                .note(format!("{id} loads; the project no longer plans it")),
        }
        images.remove(&installed)?;
        session.terminal.end_group();
        verified.push(id.to_string());
    }
    if verified.is_empty() {
        let machine = Machine {
            triplet,
            cpu: Cpu::default(),
            julia: None,
            name: None,
            kind: Kind::Image,
        };
        // Nothing fits, and the error of `install` says why of each image.
        let found = install::choose_image(&index, &machine).map(|(image, _)| image.build_id());
        return Err(match found {
            Ok(id) => InstallError::NoRelease(format!("{source} ({id} could not be run here)")),
            Err(error) => error,
        }
        .into());
    }
    let heading = format!("Verified on {triplet}");
    let place = source.to_string();
    session
        .runner
        .summarise(&sysforge_actions::summary::release(
            &heading,
            &place,
            &verified,
            &[],
        ));
    if session.global.json {
        session.terminal.json(&verified);
    } else {
        session.terminal.data(&verified.join("\n"));
    }
    Ok(())
}
