//! `sysforge install`: the image of a release that fits this machine, verified, kept and ready.

use std::path::{Path, PathBuf};

use serde::Serialize;
use sysforge_acquire::Lease;
use sysforge_plan::release::choose::Machine;
use sysforge_plan::release::cpu::Cpu;
use sysforge_plan::{JuliaFacts, Request};
use sysforge_publish::host::github::Timing;
use sysforge_publish::install::place::Reach;
use sysforge_publish::install::source::is_site;
use sysforge_publish::install::{
    self, Images, InstallError, Installed, Place, Source, Surroundings, activate,
};

use crate::args::{Activation, InstallArgs, InstallCommand};
use crate::commands::publish::access;
use crate::failure::{Failure, Outcome};
use crate::pipeline;
use crate::session::{Session, absolute};

/// A Julia at hand, held in the store if it lies there.
struct AtHand {
    facts: JuliaFacts,
    _lease: Option<Lease>,
}

pub(crate) async fn run(args: &InstallArgs, session: &Session) -> Outcome {
    let _heartbeat = session.heartbeat();
    let images = Images::open(session.store_path()?.join("images"));
    match (&args.command, &args.source) {
        (Some(InstallCommand::List), _) => list(&images, session),
        (Some(InstallCommand::Remove { image }), _) => {
            for installed in images.named(image)? {
                images.remove(&installed)?;
                session
                    .terminal
                    .say(&format!("removed {}", installed.build_id));
            }
            Ok(())
        }
        (Some(InstallCommand::Upgrade { image }), _) => {
            upgrade(image.as_deref(), &images, session).await
        }
        (None, Some(source)) => {
            let source = lasting(Source::parse(source, is_site)?);
            let name = args.name.as_deref();
            let installed = one(&source, name, None, &images, session).await?;
            finish(installed, &args.activation, &images, session).await
        }
        (None, None) => Err(InstallError::Source(String::new()).into()),
    }
}

/// The source as it can be found again from any folder: `upgrade` may be typed elsewhere.
fn lasting(source: Source) -> Source {
    match source {
        Source::Folder { path, tag } => Source::Folder {
            path: absolute(&path),
            tag,
        },
        other => other,
    }
}

fn list(images: &Images, session: &Session) -> Outcome {
    let all = images.list()?;
    if session.global.json {
        session.terminal.json(&all);
        return Ok(());
    }
    let head = ["image", "release", "Julia", "file"].map(str::to_owned);
    let rows = all.iter().map(|image| {
        vec![
            image.build_id.clone(),
            format!("{} {}", image.source.latest(), image.tag),
            image.built_for.version.to_string(),
            image.image.display().to_string(),
        ]
    });
    let rows: Vec<_> = std::iter::once(head.to_vec()).chain(rows).collect();
    session.terminal.data(&crate::terminal::table(&rows));
    Ok(())
}

/// Installs the newest release of every installed image, and takes the place of the old one.
async fn upgrade(name: Option<&str>, images: &Images, session: &Session) -> Outcome {
    let all = match name {
        Some(name) => images.named(name)?,
        None => images.list()?,
    };
    for old in all {
        let source = old.source.latest();
        let julia = Some(old.julia.as_path());
        let mut new = one(&source, Some(&old.name), julia, images, session).await?;
        if new.sha256 == old.sha256 {
            session
                .terminal
                .say(&format!("{} {} is the newest", old.build_id, old.tag));
            continue;
        }
        for launcher in &old.launchers {
            activate::write_launcher(&mut new, launcher)?;
        }
        images.note(&new)?;
        images.remove(&old)?;
        session
            .terminal
            .say(&format!("{} {} → {}", old.build_id, old.tag, new.tag));
    }
    Ok(())
}

/// Chooses and installs the image of a release.
async fn one(
    source: &Source,
    name: Option<&str>,
    julia: Option<&Path>,
    images: &Images,
    session: &Session,
) -> Result<Installed, Failure> {
    let reach = Reach {
        github: access(session, "owner/name")?,
        timing: Timing::default(),
        drafts: false,
    };
    let place = Place::open(source, &reach).await?;
    let index = place.index().await?;
    let at_hand = at_hand(julia, session).await?;
    let triplet = Session::host()?;
    let facts = at_hand.as_ref().map(|at_hand| &at_hand.facts);
    let machine = Machine {
        triplet,
        cpu: Cpu {
            name: facts.map(|facts| facts.cpu_name.clone()),
            level: cpu_level(),
        },
        julia: facts.map(JuliaFacts::build),
        name: name.map(str::to_owned),
    };
    let (image, choice) = install::choose_image(&index, &machine)?;
    for (other, misfit) in &choice.others {
        session
            .terminal
            .say(&format!("  not {}: it {misfit}", other.build_id()));
    }
    session
        .terminal
        .say(&format!("  {} fits", image.build_id()));
    let Some(at_hand) = at_hand else {
        let version = image.receipt.julia.version.to_string();
        return Err(InstallError::NoJulia(version).into());
    };
    let surroundings = surroundings(session);
    Ok(install::install(&place, &index, image, &at_hand.facts, images, &surroundings).await?)
}

pub(crate) fn surroundings(session: &Session) -> Surroundings<'_> {
    Surroundings {
        environment: &session.environment,
        children: &session.children,
        reporter: &session.reporter,
    }
}

/// The Julia to install for: the given one, the one that `--julia` names (which is got if it is a
/// version), or the one on the search path. `None`: there is none.
async fn at_hand(given: Option<&Path>, session: &Session) -> Result<Option<AtHand>, Failure> {
    let ask = async |executable: &Path| -> Result<JuliaFacts, Failure> {
        pipeline::ask(session, executable).await
    };
    if let Some(executable) = given {
        let facts = ask(executable).await?;
        return Ok(Some(AtHand {
            facts,
            _lease: None,
        }));
    }
    let request: Request = match session.global.julia.first() {
        Some(text) => text.parse()?,
        None => Request::System,
    };
    let executable = match &request {
        Request::Directory(path) => sysforge_build::probe::executable_at(&absolute(path))?,
        Request::System => match pipeline::system_julia(session) {
            Ok(executable) => executable,
            Err(_) if session.global.julia.is_empty() => return Ok(None),
            Err(error) => return Err(error.into()),
        },
        _ => {
            let acquirer = session.acquirer()?;
            let choice = acquirer
                .catalogue()
                .await?
                .choose(&request, Session::host()?)?;
            let installed = acquirer.julia(&choice).await?;
            let facts = ask(&installed.executable).await?;
            return Ok(Some(AtHand {
                facts,
                _lease: Some(installed.lease),
            }));
        }
    };
    let facts = ask(&executable).await?;
    Ok(Some(AtHand {
        facts,
        _lease: None,
    }))
}

/// What was installed, for `--json`.
#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    image: &'a Installed,
    command: String,
}

/// Makes the image easy to use, as asked, and says how.
async fn finish(
    mut installed: Installed,
    activation: &Activation,
    images: &Images,
    session: &Session,
) -> Outcome {
    if let Some(path) = &activation.launcher {
        activate::write_launcher(&mut installed, path)?;
        images.note(&installed)?;
    }
    if let Some(channel) = &activation.juliaup {
        let juliaup = juliaup(session);
        let surroundings = surroundings(session);
        activate::link_channel(&installed, channel, &juliaup, &surroundings).await?;
    }
    if session.global.json {
        let command = activate::command(&installed);
        session.terminal.json(&Report {
            image: &installed,
            command,
        });
    } else if activation.env {
        session.terminal.data(&activate::environment(&installed));
    } else if let Some(path) = &activation.launcher {
        session.terminal.data(&path.display().to_string());
    } else if let Some(channel) = &activation.juliaup {
        session.terminal.data(&format!("julia +{channel}"));
    } else {
        session.terminal.data(&activate::command(&installed));
    }
    Ok(())
}

fn juliaup(session: &Session) -> PathBuf {
    let name = format!("juliaup{}", std::env::consts::EXE_SUFFIX);
    let path = session.environment.get("PATH").unwrap_or_default();
    std::env::split_paths(path)
        .map(|folder| folder.join(&name))
        .find(|candidate| candidate.is_file())
        .unwrap_or_else(|| PathBuf::from(name))
}

/// The level of the x86-64 psABI that this CPU has (x86-64-ABI, "Micro-Architecture Levels").
#[cfg(target_arch = "x86_64")]
pub(crate) fn cpu_level() -> Option<u8> {
    use std::arch::is_x86_feature_detected as has;
    let two = has!("sse4.2") && has!("ssse3") && has!("popcnt") && has!("cmpxchg16b");
    let three = two
        && has!("avx2")
        && has!("bmi1")
        && has!("bmi2")
        && has!("f16c")
        && has!("fma")
        && has!("lzcnt")
        && has!("movbe");
    let four = three
        && has!("avx512f")
        && has!("avx512bw")
        && has!("avx512cd")
        && has!("avx512dq")
        && has!("avx512vl");
    Some(1 + u8::from(two) + u8::from(three) + u8::from(four))
}

/// Other architectures have no such levels; names of CPUs decide there.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn cpu_level() -> Option<u8> {
    None
}
