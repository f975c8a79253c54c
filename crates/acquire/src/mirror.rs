//! The source of Julias: the official server, or a mirror with the same paths.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use sysforge_net::{is_web, redacted, redacted_text};
use sysforge_plan::catalogue::{CATALOGUE_PATH, OFFICIAL_SERVER};
use sysforge_plan::explain::{Class, Explain};
use sysforge_plan::nightly;
use url::Url;

/// A server or a directory that provides Julias.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mirror {
    /// A web server.
    Server(Url),
    /// A directory with the same paths.
    Directory(PathBuf),
}

/// The location of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// On a web server.
    Web(Url),
    /// On this machine.
    File(PathBuf),
}

/// The description of a valid mirror.
pub(crate) const HINT: &str = "a mirror is a base address (`https://…`, `http://…`, `file:///…`) or a directory, \
     that contains `bin/versions.json`";

/// The text does not name a mirror.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a mirror")]
pub struct InvalidMirror(String);

impl Explain for InvalidMirror {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn hints(&self) -> Vec<String> {
        vec![HINT.to_owned()]
    }
}

impl Default for Mirror {
    fn default() -> Self {
        // Valid by construction; a test checks it.
        OFFICIAL_SERVER
            .parse()
            .unwrap_or_else(|_| Self::Directory(PathBuf::from(OFFICIAL_SERVER)))
    }
}

impl Mirror {
    /// Returns the location of the catalogue.
    pub fn catalogue(&self) -> Location {
        self.below(CATALOGUE_PATH)
    }

    /// Returns the location of the file with this address in the catalogue. Addresses on Julia's
    /// own servers are looked up on the mirror; other addresses are used unchanged.
    pub fn locate(&self, url: &Url) -> Location {
        let text = url.as_str();
        let path = [OFFICIAL_SERVER, nightly::SERVER]
            .iter()
            .find_map(|server| text.strip_prefix(server)?.strip_prefix('/'));
        match path {
            // The nightly server is separate from the release server; only a mirror replaces both.
            Some(_) if *self == Self::default() => Location::Web(url.clone()),
            Some(path) => self.below(path),
            None => of_url(url.clone()),
        }
    }

    fn below(&self, path: &str) -> Location {
        match self {
            Self::Server(base) => {
                let mut url = base.clone();
                let folder = base.path().trim_end_matches('/');
                url.set_path(&format!("{folder}/{path}"));
                Location::Web(url)
            }
            // Push each component separately, so that Windows uses its own separator throughout.
            Self::Directory(base) => {
                Location::File(base.join(path.split('/').collect::<PathBuf>()))
            }
        }
    }
}

fn of_url(url: Url) -> Location {
    match url.to_file_path() {
        Ok(path) if url.scheme() == "file" => Location::File(path),
        _ => Location::Web(url),
    }
}

impl FromStr for Mirror {
    type Err = InvalidMirror;

    fn from_str(text: &str) -> Result<Self, InvalidMirror> {
        let text = text.trim();
        let not = || InvalidMirror(redacted_text(text));
        if text.is_empty() {
            return Err(not());
        }
        match text.parse::<Url>() {
            Ok(url) if is_web(&url) => Ok(Self::Server(url)),
            Ok(url) if url.scheme() == "file" => {
                url.to_file_path().map(Self::Directory).map_err(|()| not())
            }
            // `C:\mirror` is a URL with the scheme `c`.
            Ok(url) if url.scheme().len() > 1 => Err(not()),
            Err(_) if text.contains("://") => Err(not()),
            _ => Ok(Self::Directory(PathBuf::from(text))),
        }
    }
}

impl fmt::Display for Mirror {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(url) => f.write_str(&redacted(url)),
            Self::Directory(path) => path.display().fmt(f),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Web(url) => f.write_str(&redacted(url)),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

impl From<&Path> for Location {
    fn from(path: &Path) -> Self {
        Self::File(path.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "https://julialang-s3.julialang.org/bin/linux/x64/1.5/julia-1.5.3.tar.gz";

    fn located(mirror: &str, url: &str) -> String {
        let mirror: Mirror = mirror.parse().unwrap();
        mirror.locate(&url.parse().unwrap()).to_string()
    }

    #[test]
    fn a_mirror_replaces_julias_own_server() {
        let path = "bin/linux/x64/1.5/julia-1.5.3.tar.gz";
        for (mirror, place) in [
            ("http://localhost:8000", "http://localhost:8000/"),
            ("https://host/julia/", "https://host/julia/"),
            ("file:///srv/julia", "/srv/julia/"),
            ("/srv/julia", "/srv/julia/"),
            ("mirror", "mirror/"),
        ] {
            // On Windows, a file URL names a drive.
            if cfg!(windows) && mirror.starts_with("file:") {
                continue;
            }
            let found = located(mirror, FILE);
            let found = match place.starts_with("http") {
                true => found,
                false => found.replace(std::path::MAIN_SEPARATOR, "/"),
            };
            assert_eq!(found, format!("{place}{path}"));
        }
        assert_eq!(
            located("http://localhost", "https://elsewhere.org/x.tar.gz"),
            "https://elsewhere.org/x.tar.gz"
        );
    }

    #[test]
    fn the_default_is_the_official_server() {
        assert_eq!(
            Mirror::default().catalogue().to_string(),
            "https://julialang-s3.julialang.org/bin/versions.json"
        );
        let nightly = format!("{}/bin/x.tar.gz", nightly::SERVER);
        assert_eq!(
            Mirror::default()
                .locate(&nightly.parse().unwrap())
                .to_string(),
            nightly
        );
    }

    #[test]
    fn credentials_are_never_printed() {
        let mirror: Mirror = "https://me:secret@host/julia".parse().unwrap();
        assert_eq!(mirror.to_string(), "https://host/julia");
        assert_eq!(
            mirror.catalogue().to_string(),
            "https://host/julia/bin/versions.json"
        );
    }

    #[test]
    fn invalid_mirrors_are_refused() {
        for text in ["", "ftp://host/julia", "https://bad host/"] {
            assert!(text.parse::<Mirror>().is_err(), "{text}");
        }
        let error = "https://me:secret@bad host".parse::<Mirror>().unwrap_err();
        assert_eq!(error.to_string(), "`…@bad host` is not a mirror");
        assert_eq!(error.class(), Class::Usage);
        assert!(error.hints()[0].contains("bin/versions.json"));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_address_in_the_catalogue_does_not_depend_on_the_mirror() {
        let place = located("http://localhost", "file:///srv/julia.tar.gz");
        assert_eq!(place, "/srv/julia.tar.gz");
        let mirror: Mirror = "/srv/julia".parse().unwrap();
        assert_eq!(mirror.to_string(), "/srv/julia");
        assert_eq!(
            mirror.catalogue(),
            Location::from(Path::new("/srv/julia/bin/versions.json"))
        );
    }
}
