//! A package server: the registries, packages and artifacts that Julia's Pkg requests, over real
//! sockets, with packages made for the tests. Faults are scripted as for any [`Server`].
//!
//! Every response is a static file, whose path contains the git tree hash of its unpacked content.

mod git;
mod registry;
mod tree;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use git::{GitHost, GitServer};
pub use registry::{GENERAL, Package, RegistryName, Sources};
pub use tree::Tree;

use crate::server::Server;
use crate::tls::PrivateTls;

/// The private package, and the token that the server requires for it.
const PRIVATE: (&str, &str) = ("HarbourLedger", "harbour-master");

/// A package server; it ends on drop.
pub struct PackageServer {
    server: Server,
    sources: Sources,
    registry: Tree,
    folder: tempfile::TempDir,
}

/// The folder of the test packages in the source tree.
pub fn test_packages() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/packages")
}

impl PackageServer {
    /// Serves the test packages on a free port; the private one requires the token [`Self::token`].
    pub fn start() -> Self {
        Self::on("127.0.0.1:0", Sources::read(&test_packages()))
    }

    /// Serves packages at an address.
    pub fn on(address: &str, sources: Sources) -> Self {
        Self::over(address, sources, None)
    }

    /// The same over TLS.
    pub fn start_tls(tls: &PrivateTls) -> Self {
        let sources = Sources::read(&test_packages());
        Self::over("127.0.0.1:0", sources, Some(tls))
    }

    fn over(address: &str, sources: Sources, tls: Option<&PrivateTls>) -> Self {
        let tls = tls.map(|tls| Arc::clone(&tls.config));
        let folder = tempfile::tempdir().unwrap();
        // Nothing listens there, so anything that the server lacks fails immediately.
        let registry = sources.registry(RegistryName::GENERAL, |name| {
            format!("https://127.0.0.1:9/{name}.jl.git")
        });
        let served = Self {
            server: Server::on(address, folder.path(), tls),
            sources,
            registry,
            folder,
        };
        served.write();
        for package in &served.sources.packages {
            if package.name == PRIVATE.0 {
                served.server.guard(&package_path(package), PRIVATE.1);
            }
        }
        served
    }

    fn write(&self) {
        let put = |path: &str, content: &[u8]| {
            let file = self.folder.path().join(path.trim_start_matches('/'));
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, content).unwrap();
        };
        let registry = self.registry_path();
        put(&registry, &self.registry.archive());
        for flavour in ["", ".eager", ".conservative"] {
            put(
                &format!("/registries{flavour}"),
                format!("{registry}\n").as_bytes(),
            );
        }
        put(
            "/meta",
            br#"{"pkgserver_version": "test", "registry_flavor": "eager"}"#,
        );
        for package in &self.sources.packages {
            put(&package_path(package), &package.tree.archive());
        }
        for artifact in self.sources.artifacts.values() {
            put(&artifact_path(artifact), &artifact.archive());
        }
    }

    /// The URL, for `JULIA_PKG_SERVER`.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The server, for scripting faults and examining requests.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The path of the registry.
    pub fn registry_path(&self) -> String {
        format!("/registry/{GENERAL}/{}", self.registry.hash())
    }

    /// The path of a version of a package.
    ///
    /// # Panics
    ///
    /// If there is no such version.
    pub fn package_path(&self, name: &str, version: &str) -> String {
        package_path(self.package(name, version))
    }

    /// A version of a package.
    ///
    /// # Panics
    ///
    /// If there is no such version.
    pub fn package(&self, name: &str, version: &str) -> &Package {
        let mut packages = self.sources.packages.iter();
        packages
            .find(|package| package.name == name && package.version == version)
            .unwrap_or_else(|| panic!("there is no {name} {version}"))
    }

    /// The path of an artifact.
    ///
    /// # Panics
    ///
    /// If there is no such artifact.
    pub fn artifact_path(&self, name: &str) -> String {
        artifact_path(&self.sources.artifacts[name])
    }

    /// Returns every path on the server, by the name of its content: `registries`, `registry`,
    /// `NAME VERSION`, `artifact NAME`.
    pub fn paths(&self) -> BTreeMap<String, String> {
        let mut paths = BTreeMap::from([
            ("registries".to_owned(), "/registries".to_owned()),
            ("registry".to_owned(), self.registry_path()),
        ]);
        for package in &self.sources.packages {
            let title = format!("{} {}", package.name, package.version);
            paths.insert(title, package_path(package));
        }
        for (name, artifact) in &self.sources.artifacts {
            paths.insert(format!("artifact {name}"), artifact_path(artifact));
        }
        paths
    }

    /// The token for the private package.
    pub fn token() -> &'static str {
        PRIVATE.1
    }

    /// Writes a token into a depot, where Pkg looks for it. `more` contains additional lines, such
    /// as `expires_at = 0`.
    pub fn log_in(&self, depot: &Path, token: &str, more: &str) {
        let folder = depot
            .join("servers")
            .join(self.server.address().to_string());
        fs::create_dir_all(&folder).unwrap();
        let text = format!("access_token = {token:?}\n{more}\n");
        fs::write(folder.join("auth.toml"), text).unwrap();
    }

    /// The packages and artifacts on the server.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }
}

fn package_path(package: &Package) -> String {
    format!("/package/{}/{}", package.uuid, package.tree.hash())
}

fn artifact_path(artifact: &Tree) -> String {
    format!("/artifact/{}", artifact.hash())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_artifact_that_a_package_names_is_served() {
        let sources = Sources::read(&test_packages());
        let served: Vec<_> = sources.artifacts.values().map(Tree::hash).collect();
        let mut named = 0;
        for package in &sources.packages {
            let text = package.tree.text("Artifacts.toml").unwrap_or_default();
            let table: toml::Table = text.parse().unwrap();
            for (name, artifact) in table {
                let hash = artifact["git-tree-sha1"].as_str().unwrap().to_owned();
                assert!(served.contains(&hash), "{name}: {served:?}");
                named += 1;
            }
        }
        assert_eq!(named, served.len());
    }

    #[test]
    fn every_path_is_served_and_the_private_one_requires_its_token() {
        let packages = PackageServer::start();
        let status = |path: &str, token: Option<&str>| {
            use std::io::{Read, Write};
            let mut stream = std::net::TcpStream::connect(packages.server().address()).unwrap();
            let token = token.map_or_else(String::new, |token| {
                format!("Authorization: Bearer {token}\r\n")
            });
            write!(stream, "GET {path} HTTP/1.1\r\n{token}\r\n").unwrap();
            let mut answer = [0; 12];
            stream.read_exact(&mut answer).unwrap();
            String::from_utf8_lossy(&answer[9..]).into_owned()
        };
        let paths = packages.paths();
        assert!(paths.len() > 15, "{paths:?}");
        for (title, path) in &paths {
            let private = title.starts_with(PRIVATE.0);
            assert_eq!(
                status(path, None),
                if private { "401" } else { "200" },
                "{title}"
            );
            assert_eq!(status(path, Some(PackageServer::token())), "200", "{title}");
        }
        let private = packages.package_path(PRIVATE.0, "1.0.0");
        assert_eq!(status(&private, Some("another")), "401");
        assert_eq!(packages.server().counts()[&private], 3);
    }
}
