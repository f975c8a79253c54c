//! The source to install from, as a user writes it.

use std::fmt;
use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sysforge_net::{redacted, redacted_text, typed};
use sysforge_plan::release::{INDEX_NAME, SITE_NAME};
use sysforge_plan::text::{Repository, Tag};
use url::Url;

use super::error::InstallError;
use crate::error::PublishError;
use crate::host::encode_path;
use crate::host::s3::{S3Location, SCHEME, is_endpoint};
use crate::storage_error::StorageError;

/// A location that has releases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// A repository on GitHub, with a tag or the latest release.
    GitHub {
        /// `OWNER/NAME`.
        repository: Repository,
        /// The tag; `None` for the latest release.
        tag: Option<Tag>,
    },
    /// A plain host.
    Web {
        /// The folder's URL, whose path has a trailing `/`. It may contain a user and a password,
        /// or a query that a server uses as a password; neither is shown or stored.
        #[serde(serialize_with = "without_secrets", deserialize_with = "web_address")]
        base: Url,
        /// The tag; `None` for the last one in its list.
        tag: Option<Tag>,
    },
    /// Storage with the S3 API.
    S3 {
        /// The bucket and the prefix.
        location: S3Location,
        /// The URL of the service; `None` for the one that the environment names.
        #[serde(default, deserialize_with = "endpoint")]
        endpoint: Option<Url>,
        /// The tag; `None` for the last one in its list.
        tag: Option<Tag>,
    },
    /// A folder.
    Folder {
        /// The folder.
        path: PathBuf,
        /// The tag; `None` for the last one in its list.
        tag: Option<Tag>,
    },
}

impl Source {
    /// Parses a source. `looks_like_site` returns whether a folder contains releases: it decides
    /// for names such as `a/b`, which could be a repository or a folder.
    ///
    /// # Errors
    ///
    /// [`InstallError::Source`] if the text is not a source, or its tag is not valid;
    /// [`InstallError::TagAfterQuery`] and [`InstallError::NoSlash`] if the tag of an address is in a wrong
    /// place; also if a location in storage is not a valid bucket and prefix.
    pub fn parse(
        text: &str,
        looks_like_site: impl Fn(&Path) -> bool,
    ) -> Result<Self, InstallError> {
        let wrong = || InstallError::Source(text.to_owned());
        if let Some(rest) = text.strip_prefix(SCHEME) {
            let (place, tag) = match rest.split_once('@') {
                Some((place, tag)) => (place, Some(typed_tag(tag).ok_or_else(wrong)?)),
                None => (rest, None),
            };
            let place = place.strip_suffix(INDEX_NAME).unwrap_or(place);
            let location = format!("{SCHEME}{place}").parse();
            // What follows an `@` shows whether a login stands before it.
            let wrong = |_| PublishError::from(StorageError::Location(text.to_owned()));
            return Ok(Self::S3 {
                location: location.map_err(wrong)?,
                endpoint: None,
                tag,
            });
        }
        if text.contains("://") {
            let after_query = text.split_once(['?', '#']);
            let tag_is_late = after_query.is_some_and(|(_, rest)| rest.contains('@'));
            return match Self::of_address(text, looks_like_site) {
                Some(_) if tag_is_late => Err(InstallError::TagAfterQuery(shown_text(text))),
                Some(source) => Ok(source),
                None if lacks_slash(text) => Err(InstallError::NoSlash(typed(text))),
                None => Err(InstallError::Source(shown_text(text))),
            };
        }
        if let Some(folder) = text.strip_prefix("dir:") {
            return Self::of_folder(folder, looks_like_site).ok_or_else(wrong);
        }
        let rooted = text.starts_with(['.', '/', '~', '\\']) || Path::new(text).is_absolute();
        if rooted {
            return Self::of_folder(text, looks_like_site).ok_or_else(wrong);
        }
        if let Some(folder) = Self::of_site(text, looks_like_site) {
            return Ok(folder);
        }
        // The name of a repository contains no `@`.
        let (place, tag) = match text.split_once('@') {
            Some((place, tag)) => (place, Some(typed_tag(tag).ok_or_else(wrong)?)),
            None => (text, None),
        };
        match Repository::new(place) {
            Ok(repository) => Ok(Self::GitHub { repository, tag }),
            Err(_) => Err(wrong()),
        }
    }

    /// Parses a folder that contains releases, optionally followed by `@` and a tag. Both may
    /// contain an `@`: the longest matching folder counts.
    fn of_site(text: &str, looks_like_site: impl Fn(&Path) -> bool) -> Option<Self> {
        if looks_like_site(Path::new(text)) {
            let (path, tag) = (text.into(), None);
            return Some(Self::Folder { path, tag });
        }
        text.rmatch_indices('@').find_map(|(at, _)| {
            let path = Path::new(&text[..at]);
            let tag = Some(typed_tag(&text[at + 1..])?);
            looks_like_site(path).then(|| Self::Folder {
                path: path.to_owned(),
                tag,
            })
        })
    }

    /// Parses a folder, whether it contains releases or not. If it does not, the tag begins at the
    /// first `@` of the last path component. `None` if the text after it is not a valid tag.
    fn of_folder(text: &str, looks_like_site: impl Fn(&Path) -> bool) -> Option<Self> {
        if text.is_empty() {
            return None;
        }
        if let Some(site) = Self::of_site(text, looks_like_site) {
            return Some(site);
        }
        let name = text
            .rfind(['/', std::path::MAIN_SEPARATOR])
            .map_or(0, |at| at + 1);
        let (path, tag) = match text[name..].find('@').map(|at| name + at) {
            Some(0) => return None,
            Some(at) => (&text[..at], Some(typed_tag(&text[at + 1..])?)),
            None => (text, None),
        };
        Some(Self::Folder {
            path: path.into(),
            tag,
        })
    }

    /// Parses `https://…` or `file://…`, where an `@` in the path begins the tag.
    fn of_address(text: &str, looks_like_site: impl Fn(&Path) -> bool) -> Option<Self> {
        let mut base: Url = text.parse().ok()?;
        match base.scheme() {
            "file" => {
                let path = base.to_file_path().ok()?;
                return Self::of_folder(path.to_str()?, looks_like_site);
            }
            "http" | "https" => {}
            _ => return None,
        }
        let path = base.path().to_owned();
        let (path, tag) = match tag_start(&path) {
            Some(at) => {
                let tag = percent_decode_str(&path[at + 1..]).decode_utf8().ok()?;
                (&path[..at], Some(typed_tag(&tag)?))
            }
            None => (&*path, None),
        };
        let folder = path.trim_end_matches(INDEX_NAME).trim_end_matches('/');
        base.set_path(&format!("{folder}/"));
        base.set_fragment(None);
        Some(Self::Web { base, tag })
    }

    /// A repository on GitHub.
    ///
    /// # Errors
    ///
    /// If it is not a repository, or the tag is not valid.
    pub fn github(repository: &str, tag: Option<&str>) -> Result<Self, InstallError> {
        let wrong = |_| InstallError::Source(repository.to_owned());
        Ok(Self::GitHub {
            repository: Repository::new(repository).map_err(wrong)?,
            tag: checked_tag(tag)?,
        })
    }

    /// Storage with the S3 API.
    ///
    /// # Errors
    ///
    /// If the tag is not valid.
    pub fn s3(location: S3Location, tag: Option<&str>) -> Result<Self, InstallError> {
        let tag = checked_tag(tag)?;
        Ok(Self::S3 {
            location,
            endpoint: None,
            tag,
        })
    }

    /// A folder.
    ///
    /// # Errors
    ///
    /// If the tag is not valid.
    pub fn folder(path: PathBuf, tag: Option<&str>) -> Result<Self, InstallError> {
        let tag = checked_tag(tag)?;
        Ok(Self::Folder { path, tag })
    }

    /// Returns the same source, for its newest release.
    pub fn latest(&self) -> Self {
        let mut source = self.clone();
        match &mut source {
            Self::GitHub { tag, .. }
            | Self::Web { tag, .. }
            | Self::S3 { tag, .. }
            | Self::Folder { tag, .. } => {
                *tag = None;
            }
        }
        source
    }
}

/// Returns the position of the tag in the path of a URL: its first `@`. An `@` at the beginning of
/// a folder's name (`/@scope/site@v1`) belongs to the folder; any other is written as `%40`.
fn tag_start(path: &str) -> Option<usize> {
    let last_name = path.rfind('/').map_or(0, |at| at + 1);
    let begins_tag = |at: &usize| {
        let after_slash = path[..*at].ends_with('/');
        !after_slash || *at >= last_name || path[at + 1..].starts_with('@')
    };
    path.match_indices('@').map(|(at, _)| at).find(begins_tag)
}

/// Whether the address of a web server, which is not valid, is directly followed by a tag.
fn lacks_slash(text: &str) -> bool {
    let rest = ["http://", "https://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme));
    let parts = rest.and_then(|rest| rest.split_once('@'));
    parts.is_some_and(|(host, tag)| {
        let is_host = format!("http://{host}").parse::<Url>().is_ok();
        !host.contains('/') && is_host && typed_tag(tag).is_some()
    })
}

fn typed_tag(text: &str) -> Option<Tag> {
    Tag::new(Tag::name_in(text)).ok()
}

fn checked_tag(tag: Option<&str>) -> Result<Option<Tag>, InstallError> {
    let check =
        |tag: &str| Tag::new(Tag::name_in(tag)).map_err(|_| PublishError::BadTag(tag.to_owned()));
    Ok(tag.map(check).transpose()?)
}

/// Formats a URL without secrets.
pub(super) fn shown(base: &Url) -> String {
    let mut base = base.clone();
    base.set_query(None);
    base.set_fragment(None);
    redacted(&base)
}

/// Formats a text that is not a valid URL, likewise.
fn shown_text(text: &str) -> String {
    match text.parse() {
        Ok(url) => shown(&url),
        Err(_) => {
            let text = redacted_text(text);
            text.split('?').next().unwrap_or_default().to_owned()
        }
    }
}

fn web_address<'de, D: Deserializer<'de>>(from: D) -> Result<Url, D::Error> {
    let base = Url::deserialize(from)?;
    match base.scheme() {
        "http" | "https" if base.path().ends_with('/') => Ok(base),
        _ => Err(serde::de::Error::custom(
            "this is not the address of a folder on a web server",
        )),
    }
}

fn endpoint<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Url>, D::Error> {
    let endpoint = Option::<Url>::deserialize(from)?;
    match endpoint.as_ref().is_none_or(is_endpoint) {
        true => Ok(endpoint),
        false => Err(serde::de::Error::custom(
            "this is not the address of a storage service",
        )),
    }
}

fn without_secrets<S: Serializer>(base: &Url, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&shown(base))
}

/// Whether a folder contains releases, or is one.
pub fn is_site(path: &Path) -> bool {
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
                f.write_str(&shown(base))?;
                tag
            }
            Self::S3 { location, tag, .. } => {
                write!(f, "{location}")?;
                tag
            }
            Self::Folder { path, tag } => {
                write!(f, "{}", path.display())?;
                tag
            }
        };
        match tag {
            Some(tag) if matches!(self, Self::Web { .. }) => {
                write!(f, "@{}", encode_path(tag).replace('/', "%2F"))
            }
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
            Ok(Source::S3 { location, tag, .. }) => format!("storage {location} {tag:?}"),
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
            ("s3://images/demo", "storage s3://images/demo None"),
            (
                "s3://images/demo@v1.0.0",
                "storage s3://images/demo Some(\"v1.0.0\")",
            ),
            (
                "s3://images@pkg@1.2.3",
                "storage s3://images Some(\"pkg@1.2.3\")",
            ),
            (
                "s3://images/demo@..",
                "`s3://images/demo@..` is not a source of images",
            ),
            (
                "s3://me:secret@images/demo",
                "`s3://…@images/demo` is not a bucket and a prefix in it",
            ),
            (
                "s3://im/demo",
                "`s3://im/demo` is not a bucket and a prefix in it",
            ),
            ("./site", "folder ./site None"),
            ("/srv/site@v1", "folder /srv/site Some(\"v1\")"),
            ("https://example.org/s", "web https://example.org/s/ None"),
            (
                "https://example.org/s/v1/sysforge-release.json",
                "web https://example.org/s/v1/ None",
            ),
            (
                "https://me:secret@example.org/s@v1?sig=x",
                "web https://me:secret@example.org/s/?sig=x Some(\"v1\")",
            ),
            (
                "https://example.org/s@v%C3%B6",
                "web https://example.org/s/ Some(\"vö\")",
            ),
            (
                "octo/images@pkg@1.2.3",
                "github octo/images Some(\"pkg@1.2.3\")",
            ),
            (
                "octo/images@@scope/pkg@1.2.3",
                "github octo/images Some(\"@scope/pkg@1.2.3\")",
            ),
            (
                "octo/images@refs/tags/v1",
                "github octo/images Some(\"v1\")",
            ),
            (
                "octo/images@refs/heads/main",
                "`octo/images@refs/heads/main` is not a source of images",
            ),
            (
                "/srv/site@pkg@1.2.3",
                "folder /srv/site Some(\"pkg@1.2.3\")",
            ),
            ("/srv/me@work/site", "folder /srv/me@work/site None"),
            ("dir:site", "folder site None"),
            ("dir:a/b@v1", "folder a/b Some(\"v1\")"),
            ("dir:", "`dir:` is not a source of images"),
            (
                "https://example.org/s@pkg@1.2.3",
                "web https://example.org/s/ Some(\"pkg@1.2.3\")",
            ),
            (
                "https://example.org/s@sub/pkg@1.2.3",
                "web https://example.org/s/ Some(\"sub/pkg@1.2.3\")",
            ),
            (
                "https://example.org/s/@pkg@1.2.3",
                "web https://example.org/s/ Some(\"pkg@1.2.3\")",
            ),
            (
                "https://example.org/s@@scope/pkg@1.2.3",
                "web https://example.org/s/ Some(\"@scope/pkg@1.2.3\")",
            ),
            (
                "https://example.org/@scope/s@v1",
                "web https://example.org/@scope/s/ Some(\"v1\")",
            ),
            (
                "https://example.org/@scope/s",
                "web https://example.org/@scope/s/ None",
            ),
            (
                "https://example.org/me%40work/s@v1",
                "web https://example.org/me%40work/s/ Some(\"v1\")",
            ),
            (
                "https://example.org/s@refs/tags/v1",
                "web https://example.org/s/ Some(\"v1\")",
            ),
            (
                "http://127.0.0.1:8765/?a=b@v1.0.0",
                "`http://127.0.0.1:8765/` has an `@` after its query",
            ),
            (
                "https://example.org/s#b@v1.0.0",
                "`https://example.org/s` has an `@` after its query",
            ),
            (
                "http://127.0.0.1:8765/@v1.0.0?a=b%40c",
                "web http://127.0.0.1:8765/?a=b%40c Some(\"v1.0.0\")",
            ),
            (
                "http://127.0.0.1:8765@v1.0.0",
                "`http://…@v1.0.0` has no `/` before the `@` of its tag",
            ),
            ("octo", "`octo` is not a source of images"),
            ("a/b/c", "`a/b/c` is not a source of images"),
            ("a/b@..", "`a/b@..` is not a source of images"),
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
    fn a_folder_may_have_an_at_sign_in_its_name() {
        let site = |path: &Path| path.ends_with("me@work/site");
        for text in ["/home/me@work/site", "me@work/site"] {
            let source = Source::parse(text, site).unwrap();
            let (path, tag) = (PathBuf::from(text), None);
            assert_eq!(source, Source::Folder { path, tag });
        }
        for (text, tag) in [
            ("/home/me@work/site@pkg@1.2.3", "pkg@1.2.3"),
            ("me@work/site@sub/pkg@1.2.3", "sub/pkg@1.2.3"),
            ("dir:me@work/site@v1", "v1"),
        ] {
            let source = Source::parse(text, site).unwrap();
            let Source::Folder { path, tag: found } = source else {
                panic!("{text} is a folder");
            };
            assert!(path.ends_with("me@work/site"), "{}", path.display());
            assert_eq!(found.unwrap(), tag);
        }
        let tagged = Source::parse("/home/me@work/site@v1", site).unwrap();
        assert_eq!(tagged.to_string(), "/home/me@work/site@v1");
        assert!(matches!(tagged, Source::Folder { tag: Some(_), .. }));
    }

    #[cfg(windows)]
    #[test]
    fn an_address_of_a_file_names_a_drive() {
        assert_eq!(
            parse("file:///C:/a%20site@v1"),
            r#"folder C:\a site Some("v1")"#
        );
        let none = "`file:///srv/site` is not a source of images";
        assert_eq!(parse("file:///srv/site"), none);
    }

    #[cfg(unix)]
    #[test]
    fn an_address_of_a_file_is_a_path_in_an_address() {
        let site = |path: &Path| path.ends_with("a@b/site");
        for (text, path, tag) in [
            ("file:///srv/a%20site", "/srv/a site", None),
            ("file://localhost/srv/site@v1", "/srv/site", Some("v1")),
            ("file:///srv/a@b/site", "/srv/a@b/site", None),
            ("file:///srv/a@b/site@v1", "/srv/a@b/site", Some("v1")),
        ] {
            let (path, tag) = (PathBuf::from(path), tag.map(|tag| Tag::new(tag).unwrap()));
            let source = Source::parse(text, site).unwrap();
            assert_eq!(source, Source::Folder { path, tag }, "{text}");
        }
        assert_eq!(
            parse("file://elsewhere/site"),
            "`file://elsewhere/site` is not a source of images"
        );
    }

    #[test]
    fn passwords_are_neither_shown_nor_noted() {
        let text = "https://me:secret@example.org/s@v1?sig=secret";
        let source = Source::parse(text, |_| false).unwrap();
        assert_eq!(source.to_string(), "https://example.org/s/@v1");
        let noted = serde_json::to_string(&source).unwrap();
        assert!(!noted.contains("secret"), "{noted}");
        for wrong in [
            "ftp://me:secret@example.org/s?sig=secret",
            "https://me:secret@/s",
            "https://me:secret@exa mple/s?sig=secret",
            // The question mark in the password ends the URL's authority.
            "https://me:secret?more@example.org/s",
        ] {
            let error = Source::parse(wrong, |_| false).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_source_is_shown_as_it_can_be_typed_again() {
        for text in [
            "octo/images",
            "octo/images@v1.0.0",
            "https://example.org/s/",
            "https://example.org/s/@v1",
            "https://example.org/s/@sub%2Fpkg%401.2.3",
            "octo/images@pkg@1.2.3",
            "./site@v1",
            "/srv/site",
        ] {
            let source = Source::parse(text, |_| false).unwrap();
            assert_eq!(source.to_string(), text);
            assert_eq!(Source::parse(text, |_| false).unwrap(), source);
            let newest = source.latest().to_string();
            assert_eq!(Some(&*newest), text.split('@').next());
        }
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
