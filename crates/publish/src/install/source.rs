//! Where to install from, as a user writes it.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sysforge_plan::release::{INDEX_NAME, SITE_NAME, is_good_tag, is_plain_name};
use url::Url;

use super::error::InstallError;

/// A place that has releases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// A repository on GitHub, and a tag of it or the latest release.
    GitHub {
        /// `OWNER/NAME`.
        repository: String,
        /// The tag; `None`: the latest release.
        tag: Option<String>,
    },
    /// A plain host.
    Web {
        /// The folder's address, with a final `/`.
        base: Url,
        /// The tag; `None`: the last of its list.
        tag: Option<String>,
    },
    /// A folder.
    Folder {
        /// The folder.
        path: PathBuf,
        /// The tag; `None`: the last of its list.
        tag: Option<String>,
    },
}

impl Source {
    /// Reads what was typed. `looks_like_site` tells whether a folder holds releases: it decides
    /// for names such as `a/b`, which could be both.
    ///
    /// # Errors
    ///
    /// If it is no source.
    pub fn parse(
        text: &str,
        looks_like_site: impl Fn(&std::path::Path) -> bool,
    ) -> Result<Self, InstallError> {
        let wrong = || InstallError::Source(text.to_owned());
        let (place, tag) = match text.rsplit_once('@') {
            Some((place, tag)) if !place.is_empty() && is_good_tag(tag) => {
                (place, Some(tag.to_owned()))
            }
            Some(_) if !text.contains("://") => return Err(wrong()),
            _ => (text, None),
        };
        if let Some(path) = place.strip_prefix("file://") {
            let path = PathBuf::from(path);
            return Ok(Self::Folder { path, tag });
        }
        if place.starts_with("http://") || place.starts_with("https://") {
            let mut base: Url = place.parse().map_err(|_| wrong())?;
            let path = base.path().trim_end_matches(INDEX_NAME).to_owned();
            base.set_path(&format!("{}/", path.trim_end_matches('/')));
            return Ok(Self::Web { base, tag });
        }
        let path = PathBuf::from(place);
        let rooted = place.starts_with(['.', '/', '~', '\\']) || path.is_absolute();
        if rooted || looks_like_site(&path) {
            return Ok(Self::Folder { path, tag });
        }
        let parts: Vec<_> = place.split('/').collect();
        match parts.as_slice() {
            [owner, name] if is_plain_name(owner) && is_plain_name(name) => Ok(Self::GitHub {
                repository: place.to_owned(),
                tag,
            }),
            _ => Err(wrong()),
        }
    }

    /// The same place, for its newest release.
    #[must_use]
    pub fn latest(&self) -> Self {
        let mut source = self.clone();
        match &mut source {
            Self::GitHub { tag, .. } | Self::Web { tag, .. } | Self::Folder { tag, .. } => {
                *tag = None;
            }
        }
        source
    }
}

/// Whether a folder holds releases, or one.
#[must_use]
pub fn is_site(path: &std::path::Path) -> bool {
    path.join(SITE_NAME).is_file() || path.join(INDEX_NAME).is_file()
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tag = match self {
            Self::GitHub { repository, tag } => {
                write!(f, "{repository}")?;
                tag
            }
            Self::Web { base, tag } => {
                write!(f, "{base}")?;
                tag
            }
            Self::Folder { path, tag } => {
                write!(f, "{}", path.display())?;
                tag
            }
        };
        match tag {
            Some(tag) => write!(f, "@{tag}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> String {
        match Source::parse(text, |_| false) {
            Ok(Source::GitHub { repository, tag }) => format!("github {repository} {tag:?}"),
            Ok(Source::Web { base, tag }) => format!("web {base} {tag:?}"),
            Ok(Source::Folder { path, tag }) => format!("folder {} {tag:?}", path.display()),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_forms_of_a_source() {
        for (text, expected) in [
            ("octo/images", "github octo/images None"),
            ("octo/images@v1.0.0", "github octo/images Some(\"v1.0.0\")"),
            ("./site", "folder ./site None"),
            ("/srv/site@v1", "folder /srv/site Some(\"v1\")"),
            ("https://example.org/s", "web https://example.org/s/ None"),
            (
                "https://example.org/s/v1/sysforge-release.json",
                "web https://example.org/s/v1/ None",
            ),
            ("octo", "`octo` is no place to install from"),
            ("a/b/c", "`a/b/c` is no place to install from"),
            ("a/b@..", "`a/b@..` is no place to install from"),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    #[test]
    fn a_folder_that_holds_releases_is_meant_before_a_repository() {
        let source = Source::parse("a/b", |_| true).unwrap();
        assert!(matches!(source, Source::Folder { .. }));
    }

    #[test]
    fn a_source_is_shown_as_it_can_be_typed_again() {
        for text in [
            "octo/images",
            "octo/images@v1.0.0",
            "https://example.org/s/",
            "https://example.org/s/@v1",
            "./site@v1",
            "/srv/site",
        ] {
            let source = Source::parse(text, |_| false).unwrap();
            assert_eq!(source.to_string(), text);
            assert_eq!(Source::parse(text, |_| false).unwrap(), source);
            let newest = source.latest().to_string();
            assert_eq!(Some(&*newest), text.split('@').next());
        }
        let file = Source::parse("file:///srv/site@v1", |_| false).unwrap();
        assert_eq!(file.to_string(), "/srv/site@v1");
    }

    #[test]
    fn a_folder_is_a_site_by_its_list_or_by_one_index() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!is_site(folder.path()));
        for name in [SITE_NAME, INDEX_NAME] {
            let path = folder.path().join(name);
            std::fs::write(&path, "{}").unwrap();
            assert!(is_site(folder.path()), "{name}");
            std::fs::remove_file(&path).unwrap();
        }
    }
}
