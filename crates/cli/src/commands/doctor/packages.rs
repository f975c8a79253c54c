//! Whether the packages of the project are there, or can be installed.

use std::time::Duration;

use sysforge_build::depots::check_writable;
use sysforge_engine::{PackageOptions, ProjectFiles, runner};
use sysforge_plan::Plan;
use sysforge_plan::plan::Versions;
use sysforge_plan::text::counted;

use super::{Finding, State};
use crate::session::Session;

/// Where packages are installed, and whether that can be written to.
pub(super) fn depot(files: &ProjectFiles, session: &Session) -> Finding {
    const CHECK: &str = "depot";
    const MEND: &str = "`depot = \"DIR\"` in Sysimage.toml, or JULIA_DEPOT_PATH";
    let depots = runner::depots(&session.engine, files, &PackageOptions::default());
    let spare = runner::spare_depot(&session.engine);
    let problem = match depots.first() {
        Some(first) => match check_writable(first) {
            Ok(()) => return Finding::good(CHECK, first.display().to_string()),
            Err(error) => format!("{} cannot be written to ({error})", first.display()),
        },
        None => "neither JULIA_DEPOT_PATH nor HOME names one".to_owned(),
    };
    match spare {
        Some(spare) => {
            let found = format!("{problem}; packages are installed in {}", spare.display());
            Finding::bad(CHECK, State::Worth, found, MEND)
        }
        None => Finding::bad(CHECK, State::Missing, problem, MEND),
    }
}

/// How many packages have to be installed, and whether they can be. Nothing to say if none has.
pub(super) async fn missing(
    files: &ProjectFiles,
    plan: &Plan,
    session: &Session,
) -> Option<Finding> {
    const CHECK: &str = "packages";
    let depots = runner::depots(&session.engine, files, &PackageOptions::default());
    let mut names = Vec::new();
    let mut unresolved = None;
    for build in &plan.builds {
        let julia = build.julia.version();
        if let Versions::Resolved { because } = &build.versions {
            unresolved.get_or_insert_with(|| because.explain(julia));
            continue;
        }
        let file = files.inputs.manifests.of(julia);
        let manifest = file.and_then(|file| file.content.as_ref().ok());
        let missing = manifest.map_or_else(Vec::new, |manifest| depots.missing(manifest));
        names.extend(missing.iter().map(ToString::to_string));
    }
    names.sort();
    names.dedup();
    if names.is_empty() && unresolved.is_none() {
        return None;
    }
    let what = match (names.as_slice(), unresolved) {
        ([], why) => format!(
            "{}: the versions have to be resolved",
            why.unwrap_or_default()
        ),
        (names, _) => format!(
            "no depot holds {}: {}",
            counted(names.len(), "package"),
            names.join(", ")
        ),
    };
    if session.engine.network.offline && !names.is_empty() {
        let mend = "run `sysforge instantiate` once while online";
        return Some(Finding::bad(CHECK, State::Missing, what, mend));
    }
    let Some(server) = server(session) else {
        let what = format!("{what}; they come from git repositories");
        return Some(Finding::good(CHECK, what));
    };
    Some(match reachable(&server, session).await {
        true => Finding::good(
            CHECK,
            format!("{what}; a build installs them from {server}"),
        ),
        false => Finding::bad(
            CHECK,
            State::Missing,
            format!("{what}; {server} cannot be reached"),
            "check the network, the proxy variables and JULIA_PKG_SERVER",
        ),
    })
}

/// The package server; `None` if packages come from git repositories.
fn server(session: &Session) -> Option<String> {
    let named = session.engine.environment.get("JULIA_PKG_SERVER");
    let named = named.map(|server| server.to_string_lossy().into_owned());
    let server = named.unwrap_or_else(|| "https://pkg.julialang.org".to_owned());
    (!server.is_empty()).then_some(server)
}

/// Whether something listens at an address. Behind a proxy that is not known, and taken to be so.
async fn reachable(server: &str, session: &Session) -> bool {
    const LIMIT: Duration = Duration::from_secs(5);
    let proxies = [
        "https_proxy",
        "HTTPS_PROXY",
        "http_proxy",
        "all_proxy",
        "ALL_PROXY",
    ];
    if proxies
        .iter()
        .any(|name| session.variables.get(name).is_some())
    {
        return true;
    }
    let (scheme, rest) = server.split_once("://").unwrap_or(("https", server));
    let authority = rest.split('/').next().unwrap_or_default();
    let port = if scheme == "http" { 80 } else { 443 };
    let address = match authority.rsplit_once(':') {
        Some((_, number)) if number.parse::<u16>().is_ok() => authority.to_owned(),
        _ => format!("{authority}:{port}"),
    };
    let connected = tokio::net::TcpStream::connect(address);
    matches!(tokio::time::timeout(LIMIT, connected).await, Ok(Ok(_)))
}
