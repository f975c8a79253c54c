//! Where the packages of a project are installed and downloaded from.

use std::error::Error as StdError;
use std::path::PathBuf;
use std::time::Duration;

use sysforge_build::depots::{Depots, OVERRIDES_HINT, registry_hint};
use sysforge_build::instantiate::{may_need_registry, shown_server};
use sysforge_net::no_server;
use sysforge_plan::generation::Generation;
use sysforge_plan::plan::Build;

use crate::engine::Engine;
use crate::options::PackageOptions;
use crate::project::ProjectFiles;

/// Returns the depots of a project: first the named one, then those of the environment, in which a
/// build may set variables.
pub fn depots(
    engine: &Engine,
    files: &ProjectFiles,
    build: Option<&Build>,
    options: &PackageOptions,
) -> Depots {
    let given = named_depot(engine, files, options);
    let settings = build.into_iter().flat_map(|build| &build.settings.env);
    let environment = engine.environment.clone().with_all(settings);
    let julia = build.and_then(|build| Generation::of(build.julia.version()));
    Depots::of(&environment, given.as_deref(), julia)
}

/// Returns the depot that the options, the environment or Sysimage.toml name.
pub(crate) fn named_depot(
    engine: &Engine,
    files: &ProjectFiles,
    options: &PackageOptions,
) -> Option<PathBuf> {
    let configured = files.inputs.config.depot.as_deref();
    let configured = configured.map(|depot| files.folder.join(depot));
    let given = options.depot.as_deref().or(engine.depot.as_deref());
    given.map(|depot| engine.absolute(depot)).or(configured)
}

/// Something in the depots that Pkg or Julia cannot use.
pub(crate) struct Unusable {
    /// What it concerns, in one word.
    pub(crate) subject: &'static str,
    /// What cannot be used, and why.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hint: String,
}

/// Returns each registry that Pkg cannot read, if resolving the versions may need one, and each
/// `Overrides.toml` that Julia cannot use.
pub(crate) fn unusable(engine: &Engine, files: &ProjectFiles) -> Vec<Unusable> {
    let depots = depots(engine, files, None, &PackageOptions::default());
    let registries = match may_need_registry(&files.file) {
        true => depots.unusable_registries(),
        false => Vec::new(),
    };
    let registries = registries.into_iter().map(|(folder, why)| Unusable {
        subject: "registries",
        message: format!(
            "{} is not a registry that Pkg can read: {why}",
            folder.display()
        ),
        hint: registry_hint(&folder),
    });
    let overrides = depots.unusable_overrides().into_iter();
    let overrides = overrides.map(|(file, why)| Unusable {
        subject: "artifacts",
        message: format!("Julia cannot use {}: {why}", file.display()),
        hint: OVERRIDES_HINT.to_owned(),
    });
    registries.chain(overrides).collect()
}

/// Returns the package server, as text for messages; `None` if packages come from git repositories.
pub fn server(engine: &Engine) -> Option<String> {
    let named = engine.package_environment.get("JULIA_PKG_SERVER");
    let named = named.map(|server| server.to_string_lossy().into_owned());
    shown_server(named.as_deref())
}

/// Whether a login for a package server exists.
fn has_login(depots: &Depots, engine: &Engine) -> bool {
    let servers = depots.folders().iter().map(|depot| depot.join("servers"));
    let hosts = servers.filter_map(|servers| std::fs::read_dir(servers).ok());
    let mut hosts = hosts.flatten().flatten();
    engine.package_auth.is_some() || hosts.any(|host| host.path().join("auth.toml").is_file())
}

/// Returns why the package server cannot be used, if it cannot. The query contains no token, since
/// only the Pkg of a build gets one, so a refusal is no problem if a login exists.
pub async fn problem_of(server: &str, depots: &Depots, engine: &Engine) -> Option<String> {
    const LIMIT: Duration = Duration::from_secs(5);
    let client = match engine.network.client() {
        Ok(client) => client,
        Err(error) => return Some(format!("cannot be asked: {error}")),
    };
    let request = client.get(format!("{server}/registries")).timeout(LIMIT);
    match request.send().await {
        Ok(answer) => match answer.status().as_u16() {
            200..=399 => None,
            401 | 403 if has_login(depots, engine) => None,
            status => Some(format!("answers with status {status}")),
        },
        Err(error) => {
            // The outer causes only say what was attempted, with the address.
            let mut cause = error.source();
            while let Some(inner) = cause.and_then(StdError::source) {
                cause = Some(inner);
            }
            let why = no_server(&error).map(str::to_owned);
            let why = why.or_else(|| Some(cause?.to_string()));
            Some(match why {
                Some(why) => format!("cannot be reached: {why}"),
                None => "cannot be reached".to_owned(),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::TcpListener;

    use sysforge_net::Proxies;
    use sysforge_process::Environment;

    use super::*;
    use crate::project::Location;

    #[tokio::test]
    async fn a_package_server_that_cannot_be_reached_is_reported_with_the_reason() {
        let mut engine = Engine::new(None, Location::default(), Environment::default());
        engine.network.proxies = Proxies::Explicit {
            http: None,
            https: None,
            except: None,
        };
        let depots = Depots::of(&engine.environment, None, None);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        // This server does not encrypt, whatever it is asked, and ends after one answer.
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"no encryption").unwrap();
        });
        let problem = problem_of(&format!("https://{address}"), &depots, &engine).await;
        let problem = problem.unwrap();
        let reason = problem.strip_prefix("cannot be reached: ").unwrap();
        assert!(!reason.contains("127.0.0.1"), "{problem}");
        server.join().unwrap();
        let plain = format!("http://{address}");
        assert_eq!(
            problem_of(&plain, &depots, &engine).await.unwrap(),
            "cannot be reached: connection refused"
        );
    }
}
