//! The key `base`: the sysimage on which an image is built.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::text::{Repository, Tag, shortened};

/// What an image is built on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(into = "String")]
#[schemars(with = "String")]
pub enum Base {
    /// The sysimage that Julia comes with.
    #[default]
    Shipped,
    /// One made from Julia's sources.
    Fresh,
    /// A sysimage in a file, relative to the configuration's folder.
    Image(String),
    /// An image that was installed from a release.
    Release {
        /// `OWNER/REPO` or `OWNER/REPO@TAG`.
        release: String,
        /// Its file, once it was found on this machine.
        file: Option<PathBuf>,
    },
}

impl Base {
    /// Returns the file of a sysimage that Julia does not come with, relative to the configuration's
    /// folder; `None` if it has to be made or was not found yet.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Image(path) => Some(Path::new(path)),
            Self::Release { file, .. } => file.as_deref(),
            Self::Shipped | Self::Fresh => None,
        }
    }
}

/// Whether a text is `OWNER/REPO` or `OWNER/REPO@TAG`.
fn is_release(text: &str) -> bool {
    let (repository, tag) = text
        .split_once('@')
        .map_or((text, None), |(r, t)| (r, Some(t)));
    Repository::new(repository).is_ok() && tag.is_none_or(|tag| Tag::new(tag).is_ok())
}

impl<'de> Deserialize<'de> for Base {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const KNOWN: &[&str] = &[
            "shipped",
            "fresh",
            "PATH.so",
            "PATH.dylib",
            "PATH.dll",
            "OWNER/REPO",
        ];
        let text = String::deserialize(deserializer)?;
        let is_image = || {
            [".so", ".dylib", ".dll"]
                .iter()
                .any(|end| text.ends_with(end))
        };
        match text.as_str() {
            "shipped" => Ok(Self::Shipped),
            "fresh" => Ok(Self::Fresh),
            _ if is_image() => Ok(Self::Image(text)),
            _ if is_release(&text) => Ok(Self::Release {
                release: text,
                file: None,
            }),
            other => Err(D::Error::unknown_variant(&shortened(other, 60), KNOWN)),
        }
    }
}

impl From<Base> for String {
    fn from(base: Base) -> Self {
        match base {
            Base::Shipped => "shipped".to_owned(),
            Base::Fresh => "fresh".to_owned(),
            Base::Image(path) => path,
            Base::Release { release, .. } => release,
        }
    }
}
