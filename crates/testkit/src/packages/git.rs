//! The packages as git repositories, for a Pkg without a package server.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::registry::{RegistryName, Sources};

/// A folder of bare git repositories: one for each package and one for the registry.
pub struct GitHost {
    folder: tempfile::TempDir,
}

impl GitHost {
    /// Creates the repositories with the `git` program. Each version of a package is a commit with
    /// a tag, in order.
    pub fn new(sources: &Sources, title: RegistryName) -> Self {
        let host = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        for package in &sources.packages {
            host.commit(&package.name, &package.version, |work| {
                package.tree.write(work);
            });
        }
        let registry = sources.registry(title, |name| host.url(name));
        host.commit(title.name, "registry", |work| registry.write(work));
        host
    }

    /// Returns the URL of a package's repository, or of the registry's.
    pub fn url(&self, name: &str) -> String {
        format!("file://{}", self.repository(name).display())
    }

    fn repository(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.jl.git"))
    }

    /// Adds a commit with a tag to a repository, and creates it if necessary.
    fn commit(&self, name: &str, tag: &str, write: impl FnOnce(&Path)) {
        let repository = self.repository(name);
        let work = tempfile::tempdir().unwrap();
        write(work.path());
        let git = |arguments: &[&str]| {
            let output = Command::new("git")
                .arg("--git-dir")
                .arg(&repository)
                .arg("--work-tree")
                .arg(work.path())
                .args(["-c", "core.autocrlf=false", "-c", "core.bare=false"])
                .args(arguments)
                .current_dir(work.path())
                .envs(["AUTHOR", "COMMITTER"].into_iter().flat_map(|who| {
                    [
                        (format!("GIT_{who}_NAME"), "Harbour"),
                        (format!("GIT_{who}_EMAIL"), "harbour@example.org"),
                        (format!("GIT_{who}_DATE"), "2026-05-04T06:00:00Z"),
                    ]
                }))
                .output()
                .unwrap();
            assert!(
                output.status.success(),
                "git {arguments:?}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        };
        if !repository.exists() {
            // With a work tree, git would write its path into the repository's configuration.
            let made = Command::new("git")
                .args(["init", "--quiet", "--bare"])
                .arg(&repository)
                .status();
            assert!(made.unwrap().success());
        }
        git(&["add", "--all", "--force", "."]);
        git(&["commit", "--quiet", "--allow-empty", "--message", tag]);
        git(&["tag", tag]);
    }
}

/// The repositories of a [`GitHost`] over HTTP, for a client with the right login. It runs git's
/// own server program behind a socket, and ends with the process that started it.
pub struct GitServer {
    address: std::net::SocketAddr,
    logins: std::sync::Arc<std::sync::Mutex<Vec<String>>>,
}

impl GitServer {
    /// Serves the repositories on a free port, only to this user with this password.
    pub fn start(host: &GitHost, user: &str, password: &str) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let folder = host.folder.path().to_owned();
        let logins = std::sync::Arc::<std::sync::Mutex<Vec<String>>>::default();
        let seen = std::sync::Arc::clone(&logins);
        let wanted = format!("Basic {}", base64(format!("{user}:{password}").as_bytes()));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (folder, seen, wanted) = (folder.clone(), seen.clone(), wanted.clone());
                std::thread::spawn(move || answer(&stream, &folder, &wanted, &seen));
            }
        });
        Self { address, logins }
    }

    /// Returns the URL of a package's repository, or of the registry's.
    pub fn url(&self, name: &str) -> String {
        format!("http://{}/{name}.jl.git", self.address)
    }

    /// Returns the `Authorization` headers that were received.
    pub fn logins(&self) -> Vec<String> {
        self.logins.lock().unwrap().clone()
    }
}

/// Answers one request. Errors are ignored: the client notices them.
fn answer(
    stream: &std::net::TcpStream,
    folder: &Path,
    wanted: &str,
    seen: &std::sync::Mutex<Vec<String>>,
) -> Option<()> {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::process::Stdio;

    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = std::collections::BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => {
                headers.insert(name.to_lowercase(), value.trim().to_owned());
            }
            None => break,
        }
    }
    let header = |name: &str| headers.get(name).cloned().unwrap_or_default();
    let mut body = Vec::new();
    if header("transfer-encoding") == "chunked" {
        loop {
            let mut size = String::new();
            reader.read_line(&mut size).ok()?;
            let size = u64::from_str_radix(size.trim(), 16).ok()?;
            (&mut reader).take(size).read_to_end(&mut body).ok()?;
            reader.read_line(&mut String::new()).ok()?;
            if size == 0 {
                break;
            }
        }
    } else {
        let size = header("content-length").parse().unwrap_or(0);
        (&mut reader).take(size).read_to_end(&mut body).ok()?;
    }
    let mut stream = stream;
    let login = header("authorization");
    if !login.is_empty() {
        seen.lock().unwrap().push(login.clone());
    }
    if login != wanted {
        let refusal = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"git\"\r\n\
                       Content-Length: 0\r\nConnection: close\r\n\r\n";
        return stream.write_all(refusal.as_bytes()).ok();
    }
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let mut git = Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", folder)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", method)
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("REMOTE_USER", "tests")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    let mut input = git.stdin.take()?;
    let feeding = std::thread::spawn(move || input.write_all(&body));
    let output = git.wait_with_output().ok()?.stdout;
    let _ = feeding.join();
    let end = output.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let (head, content) = (String::from_utf8_lossy(&output[..end]), &output[end + 4..]);
    let mut status = "200 OK".to_owned();
    let mut lines = String::new();
    for line in head.lines() {
        match line.strip_prefix("Status: ") {
            Some(other) => status = other.to_owned(),
            None => lines.push_str(&format!("{line}\r\n")),
        }
    }
    let size = content.len();
    let head =
        format!("HTTP/1.1 {status}\r\n{lines}Content-Length: {size}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(content).ok()
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = (u32::from(chunk[0]) << 16)
            | (u32::from(*chunk.get(1).unwrap_or(&0)) << 8)
            | u32::from(*chunk.get(2).unwrap_or(&0));
        for index in 0..4 {
            let digit = DIGITS[(group >> (18 - 6 * index)) as usize & 63];
            text.push(if index <= chunk.len() {
                char::from(digit)
            } else {
                '='
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::test_packages;
    use super::*;

    #[test]
    fn a_repository_is_cloned_with_the_login_alone() {
        assert_eq!(base64(b"me:s3cret"), "bWU6czNjcmV0");
        if cfg!(windows) && Command::new("git").arg("--version").output().is_err() {
            crate::skip("there is no git to clone with");
            return;
        }
        let sources = Sources::read(&test_packages()).only(&["HarbourTides"]);
        let host = GitHost::new(&sources, RegistryName::GENERAL);
        let server = GitServer::start(&host, "me", "s3cret");
        let target = tempfile::tempdir().unwrap();
        let clone = |url: String, name: &str| {
            let output = Command::new("git")
                .args(["-c", "credential.helper=", "clone", "--quiet"])
                .arg(url)
                .arg(target.path().join(name))
                .env("GIT_TERMINAL_PROMPT", "0")
                .env_remove("GIT_ASKPASS")
                .output();
            output.unwrap().status.success()
        };
        let url = server.url("HarbourTides");
        assert!(!clone(url.clone(), "without"));
        assert!(clone(url.replace("://", "://me:s3cret@"), "with"));
        assert!(target.path().join("with/Project.toml").is_file());
        assert!(
            server
                .logins()
                .iter()
                .all(|login| login.starts_with("Basic "))
        );
    }
}
