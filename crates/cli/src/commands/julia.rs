//! `sysforge julia list|install|path`: the Julia side of acquiring, on its own.

use std::path::Path;

use serde::Serialize;
use sysforge_acquire::{Acquirer, InstalledJulia, ToolCache};
use sysforge_engine::EngineError;
use sysforge_plan::catalogue::Release;
use sysforge_plan::request::ProjectJulia;
use sysforge_plan::signing::SignatureCheck;
use sysforge_plan::{Catalogue, Choice, JuliaVersion, Request, Sha256, Triplet};

use crate::args::{JuliaCommand, Platform};
use crate::failure::{CliError, Failure, Outcome};
use crate::session::Session;
use crate::terminal::table;

/// One release, for a list.
#[derive(Serialize)]
struct Listed {
    version: JuliaVersion,
    stable: bool,
    triplet: Triplet,
    url: String,
    size: u64,
    sha256: Sha256,
    signed: bool,
    installed: bool,
}

/// One Julia on this machine.
#[derive(Serialize)]
struct Located {
    request: String,
    version: Option<JuliaVersion>,
    triplet: Triplet,
    prefix: std::path::PathBuf,
    executable: std::path::PathBuf,
    sha256: Option<Sha256>,
    #[serde(flatten)]
    signature: SignatureCheck,
    reused: bool,
}

pub(crate) async fn run(command: &JuliaCommand, session: &Session) -> Outcome {
    match command {
        JuliaCommand::List { all, platform } => list(*all, platform, session).await,
        JuliaCommand::Install {
            requests,
            to_tool_cache,
            platform,
        } => install(requests, *to_tool_cache, platform, session).await,
        JuliaCommand::Path { request, platform } => path(request, platform, session).await,
    }
}

impl Platform {
    pub(crate) fn triplet(&self) -> Result<Triplet, EngineError> {
        match self.triplet {
            Some(triplet) => Ok(triplet),
            None => Session::host(),
        }
    }
}

async fn list(all: bool, platform: &Platform, session: &Session) -> Outcome {
    let triplet = platform.triplet()?;
    let acquirer = session.engine.acquirer()?;
    let catalogue = acquirer.catalogue().await?;
    let mut rows = Vec::new();
    let mut last = None;
    for release in catalogue.versions_for(triplet) {
        let series = (release.version.minor_pair(), release.stable);
        // The newest of each series; a series' prereleases only while it has nothing else.
        let shown = all
            || (last != Some(series.0)
                && (release.stable || newer_than_stable(&catalogue, release)));
        last = Some(series.0);
        if let (true, Some(file)) = (shown, release.archive_for(triplet)) {
            let choice = Choice {
                version: release.version.clone(),
                file: file.clone(),
            };
            rows.push(Listed {
                installed: acquirer.installed(&choice)?.is_some(),
                version: choice.version,
                stable: release.stable,
                triplet,
                url: file.url.to_string(),
                size: file.size,
                sha256: file.sha256,
                signed: file.asc.is_some(),
            });
        }
    }
    if session.global.json {
        session.terminal.json(&rows);
        return Ok(());
    }
    let mut lines = vec![
        ["version", "MB", "signed", "installed", "sha256"]
            .map(str::to_owned)
            .to_vec(),
    ];
    let tick = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    for row in &rows {
        lines.push(vec![
            row.version.to_string(),
            (row.size / 1_000_000).to_string(),
            tick(row.signed),
            tick(row.installed),
            row.sha256.short(12),
        ]);
    }
    session.terminal.data(&table(&lines));
    if rows.is_empty() {
        let text = format!("the catalogue has no Julia for {triplet}");
        session.terminal.say(&text);
    }
    Ok(())
}

fn newer_than_stable(catalogue: &Catalogue, release: &Release) -> bool {
    let newest_stable = catalogue.releases().iter().rev().find(|r| r.stable);
    newest_stable.is_none_or(|stable| release.version > stable.version)
}

async fn install(
    requests: &[String],
    to_tool_cache: bool,
    platform: &Platform,
    session: &Session,
) -> Outcome {
    let triplet = platform.triplet()?;
    let mut acquirer = session.engine.acquirer()?;
    if to_tool_cache {
        let cache = session
            .engine
            .tool_cache
            .as_ref()
            .ok_or(CliError::NoToolCache)?;
        acquirer = acquirer.with_tool_cache(ToolCache::new(cache), true);
    }
    let release = ["release".to_owned()];
    let requests = if requests.is_empty() {
        &release
    } else {
        requests
    };
    let _heartbeat = session.heartbeat();
    let mut located = Vec::new();
    let mut catalogue = None;
    for text in requests {
        let request = read(text, session)?;
        let julia = get(&request, triplet, &acquirer, &mut catalogue, to_tool_cache).await?;
        if to_tool_cache && request.nightly().is_some() {
            session.terminal.warning(
                "nightly builds are not copied into the tool cache",
                Some("it names its entries by their versions, which last longer than a night"),
            );
        }
        located.push(Located::new(text, julia));
    }
    say(&located, session);
    Ok(())
}

async fn path(text: &str, platform: &Platform, session: &Session) -> Outcome {
    let request = read(text, session)?;
    let triplet = platform.triplet()?;
    if let Some(executable) = session.engine.local_julia(&request)? {
        return given(text, &executable, session).await;
    }
    let acquirer = session.engine.acquirer()?;
    // What is here is known without a catalogue, so no network is needed.
    let found = match request.nightly() {
        Some(branch) => acquirer.installed_nightly(branch, triplet)?,
        None => acquirer.stored(&request, triplet)?,
    };
    let name = request.to_string();
    match found {
        Some(julia) => {
            say(&[Located::new(text, julia)], session);
            Ok(())
        }
        None => {
            let other = match platform.triplet {
                Some(triplet) => format!(" --triplet {triplet}"),
                None => String::new(),
            };
            Err(EngineError::NotInstalled {
                what: format!("Julia {name}"),
                command: format!("sysforge julia install {name}{other}"),
            }
            .into())
        }
    }
}

/// Says where a Julia lies that is none of the store's, after asking it what it is.
async fn given(text: &str, executable: &Path, session: &Session) -> Outcome {
    let facts = session.engine.ask(executable).await?;
    let prefix = facts.bindir.parent().unwrap_or(&facts.bindir).to_owned();
    let located = Located {
        request: text.to_owned(),
        version: Some(facts.version),
        triplet: facts.triplet,
        prefix,
        executable: executable.to_owned(),
        sha256: None,
        signature: SignatureCheck::NotChecked {
            reason: "it was not installed by Sysforge".to_owned(),
        },
        reused: true,
    };
    say(&[located], session);
    Ok(())
}

/// Reads a request, and has the project answer what only it can.
fn read(text: &str, session: &Session) -> Result<Request, Failure> {
    let request: Request = text.parse()?;
    let project = match request {
        Request::Min | Request::MinPatch | Request::Manifest => {
            session.engine.location.julia(Session::host()?)?
        }
        _ => ProjectJulia::default(),
    };
    Ok(request.for_project(&project)?)
}

async fn get(
    request: &Request,
    triplet: Triplet,
    acquirer: &Acquirer,
    catalogue: &mut Option<Catalogue>,
    to_tool_cache: bool,
) -> Result<InstalledJulia, Failure> {
    if let Some(branch) = request.nightly() {
        return Ok(acquirer.nightly(branch, triplet).await?);
    }
    match request {
        Request::System | Request::Directory(_) => {
            return Err(CliError::NothingToInstall(request.to_string()).into());
        }
        _ => {}
    }
    if let (Request::Exact(_), false) = (request, to_tool_cache)
        && let Some(julia) = acquirer.stored(request, triplet)?
    {
        return Ok(julia);
    }
    let catalogue = match catalogue {
        Some(known) => known,
        None => catalogue.insert(acquirer.catalogue().await?),
    };
    let choice = catalogue.choose(request, triplet)?;
    Ok(acquirer.julia(&choice).await?)
}

impl Located {
    fn new(request: &str, julia: InstalledJulia) -> Self {
        Self {
            request: request.to_owned(),
            version: julia.version,
            triplet: julia.triplet,
            prefix: julia.prefix,
            executable: julia.executable,
            sha256: julia.sha256,
            signature: julia.signature,
            reused: julia.reused,
        }
    }
}

fn say(located: &[Located], session: &Session) {
    let julias = located.iter().filter_map(|julia| {
        let version = julia.version.as_ref()?.to_string();
        Some((version, julia.executable.clone()))
    });
    session.runner.output_julias(julias);
    if session.global.json {
        session.terminal.json(&located);
        return;
    }
    for julia in located {
        session
            .terminal
            .data(&julia.executable.display().to_string());
    }
}
