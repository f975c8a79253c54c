//! Limits for stalled downloads. Pkg of Julia 1.5 downloads with the program curl and may clone
//! with git; by default both wait forever. Julia 1.6 and later give up after 20 s (Downloads.jl).

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sysforge_plan::secret::without_logins;
use sysforge_process::Environment;

use super::InstantiateError;

/// A server that sends nothing for this long has stalled.
const STALLED: Duration = Duration::from_secs(60);

/// Returns an environment in which curl and git give up if no data arrives. They do so before the
/// whole child counts as idle, so that Pkg can name what it requested. curl's settings are written
/// to `folder`.
pub(super) fn stalled_downloads(
    environment: Environment,
    folder: &Path,
    idle: Duration,
) -> Result<Environment, InstantiateError> {
    let seconds = STALLED.min(idle / 4).as_secs().max(1);
    let file = folder.join(".curlrc");
    let text = curl_settings(seconds, &users_settings(&environment));
    super::auth::write_private(&file, &text).map_err(super::folder::io("write", &file))?;
    let mut environment = environment.with("CURL_HOME", folder);
    for (name, value) in [
        ("GIT_HTTP_LOW_SPEED_LIMIT", 1),
        ("GIT_HTTP_LOW_SPEED_TIME", seconds),
    ] {
        if environment.get(name).is_none() {
            environment = environment.with(name, value.to_string());
        }
    }
    Ok(environment)
}

/// Returns the package server for a message, without a login in its address; `None` if there is
/// none and packages come from git repositories.
pub fn shown_server(server: Option<&str>) -> Option<String> {
    let server = server.unwrap_or(super::auth::DEFAULT_SERVER);
    let (scheme, rest) = server.split_once("://").unwrap_or(("https", server));
    let shown = without_logins(&format!("{scheme}://{}", rest.trim_end_matches('/')));
    (!rest.is_empty()).then_some(shown)
}

/// Returns the text of a `.curlrc` with the limits. The user's own settings follow, so they take
/// precedence.
fn curl_settings(seconds: u64, own: &[u8]) -> Vec<u8> {
    let mut text = String::new();
    let _ = writeln!(text, "connect-timeout = {seconds}");
    let _ = writeln!(text, "speed-limit = 1\nspeed-time = {seconds}");
    [text.as_bytes(), own].concat()
}

/// Returns the user's own `.curlrc`. If `CURL_HOME` is set, curl reads only the one in that folder.
fn users_settings(environment: &Environment) -> Vec<u8> {
    let folder = |name| environment.get(name).map(PathBuf::from);
    let files = [
        folder("CURL_HOME").map(|home| home.join(".curlrc")),
        folder("XDG_CONFIG_HOME").map(|config| config.join("curlrc")),
        folder("HOME").map(|home| home.join(".curlrc")),
        folder("HOME").map(|home| home.join(".config/curlrc")),
        folder("APPDATA").map(|home| home.join("_curlrc")),
        folder("USERPROFILE").map(|home| home.join("_curlrc")),
    ];
    let mut texts = files
        .into_iter()
        .flatten()
        .filter_map(|file| sysforge_files::read_bytes(file).ok());
    texts.next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(home: &Path) -> Environment {
        Environment::new([("HOME".into(), home.into())])
    }

    #[test]
    fn curl_and_git_give_up_before_the_child_counts_as_idle() {
        let folder = tempfile::tempdir().unwrap();
        let limits = |idle| {
            let idle = Duration::from_secs(idle);
            let made = stalled_downloads(environment(folder.path()), folder.path(), idle).unwrap();
            let text = std::fs::read_to_string(folder.path().join(".curlrc")).unwrap();
            let git = made.get("GIT_HTTP_LOW_SPEED_TIME").unwrap().to_owned();
            assert_eq!(made.get("CURL_HOME").unwrap(), folder.path());
            (text.lines().last().unwrap().to_owned(), git)
        };
        assert_eq!(limits(600), ("speed-time = 60".to_owned(), "60".into()));
        std::fs::remove_file(folder.path().join(".curlrc")).unwrap();
        assert_eq!(limits(40), ("speed-time = 10".to_owned(), "10".into()));
    }

    #[test]
    fn a_server_is_shown_without_its_login() {
        let shown = |server| shown_server(server).unwrap_or_default();
        assert_eq!(shown(None), "https://pkg.julialang.org");
        assert_eq!(shown(Some("")), "");
        assert_eq!(
            shown(Some("pkg.example.org/a/")),
            "https://pkg.example.org/a"
        );
        let login = "http://me:s3cret@pkg.example.org:80";
        assert_eq!(shown(Some(login)), "http://pkg.example.org:80");
    }

    #[test]
    fn what_the_user_set_wins() {
        let home = tempfile::tempdir().unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            home.path().join(".curlrc"),
            "speed-time = 7\nproxy = \"p\"\n",
        )
        .unwrap();
        let mine = environment(home.path()).with("GIT_HTTP_LOW_SPEED_TIME", "9");
        let made = stalled_downloads(mine, folder.path(), Duration::from_secs(600)).unwrap();
        assert_eq!(made.get("GIT_HTTP_LOW_SPEED_TIME").unwrap(), "9");
        let text = std::fs::read_to_string(folder.path().join(".curlrc")).unwrap();
        assert!(text.ends_with("speed-time = 7\nproxy = \"p\"\n"), "{text}");
        assert!(text.starts_with("connect-timeout = 60\n"), "{text}");
    }
}
