//! The login for a package server, which exists only while packages are installed. Pkg reads it
//! from `servers/HOST/auth.toml` in the first depot (`Pkg.PlatformEngines.get_server_dir`).

use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::InstantiateError;

/// Pkg's default if `JULIA_PKG_SERVER` is not set.
pub(super) const DEFAULT_SERVER: &str = "https://pkg.julialang.org";

/// An `auth.toml` that is removed or restored when this value is dropped.
pub(super) struct AuthFile {
    path: PathBuf,
    earlier: Option<Vec<u8>>,
}

impl AuthFile {
    /// Writes `text` to the file where Pkg looks for the login to `server`, readable only by the
    /// user.
    pub(super) fn write(
        depot: &Path,
        server: Option<&str>,
        text: &str,
    ) -> Result<Self, InstantiateError> {
        let server = server.unwrap_or(DEFAULT_SERVER);
        let host = host(server).ok_or_else(|| InstantiateError::AuthWithoutServer {
            server: server.to_owned(),
        })?;
        let path = depot.join("servers").join(host).join("auth.toml");
        let failed = |source| InstantiateError::Unwritable {
            depot: depot.to_owned(),
            source,
        };
        let earlier = sysforge_files::read_bytes(&path)
            .ok()
            .filter(|text| !text.is_empty());
        if let Some(folder) = path.parent() {
            sysforge_files::create_folders(folder).map_err(failed)?;
        }
        // The value is created before the file, so that every exit removes the file.
        let file = Self { path, earlier };
        write_private(&file.path, text.as_bytes()).map_err(failed)?;
        Ok(file)
    }
}

impl Drop for AuthFile {
    fn drop(&mut self) {
        let _ = match &self.earlier {
            Some(text) => write_private(&self.path, text),
            None => std::fs::remove_file(&self.path),
        };
    }
}

/// Returns the part of the address between `://` and the next `/`, which is Pkg's name for the
/// folder.
fn host(server: &str) -> Option<&str> {
    let rest = server.split_once("://").map_or(server, |(_, rest)| rest);
    let host = rest.split('/').next().unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-:[]_".contains(c);
    let is_name = !host.is_empty() && host.chars().all(plain) && !host.starts_with('.');
    is_name.then_some(host)
}

/// Writes a file that only the user can read.
pub(super) fn write_private(path: &Path, text: &[u8]) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_login_is_there_for_a_while_and_what_was_there_comes_back() {
        let depot = tempfile::tempdir().unwrap();
        let path = depot.path().join("servers/pkg.example:8000/auth.toml");
        let server = Some("https://pkg.example:8000/path");
        let file = AuthFile::write(depot.path(), server, "access_token = \"a\"\n").unwrap();
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "access_token = \"a\"\n"
        );
        drop(file);
        assert!(!path.exists());

        std::fs::write(&path, "mine").unwrap();
        drop(AuthFile::write(depot.path(), server, "other").unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_may_read_the_login() {
        use std::os::unix::fs::PermissionsExt;
        let depot = tempfile::tempdir().unwrap();
        let file = AuthFile::write(depot.path(), None, "access_token = \"a\"\n").unwrap();
        let mode = std::fs::metadata(&file.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(file.path.ends_with("servers/pkg.julialang.org/auth.toml"));
    }

    #[test]
    fn a_server_that_is_none_gets_no_file() {
        let depot = tempfile::tempdir().unwrap();
        for server in ["", "https://", "https:///x", "https://..", "https://a b/"] {
            assert!(
                AuthFile::write(depot.path(), Some(server), "x").is_err(),
                "{server}"
            );
        }
        assert!(!depot.path().join("servers").exists());
    }
}
