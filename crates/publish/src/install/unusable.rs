//! Folders among the installed images that are ignored, because their notes were damaged or changed by
//! others.

use std::path::PathBuf;

use sysforge_plan::text;

/// A folder among the installed images that does not hold a usable one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnusableImage {
    /// The folder.
    pub folder: PathBuf,
    /// Why it is ignored.
    pub why: String,
}

impl UnusableImage {
    /// What is typed to remove it: the build identifier, as far as the folder's name shows it.
    pub fn name(&self) -> &str {
        let name = self.folder.file_name().and_then(|name| name.to_str());
        let name = name.unwrap_or_default();
        let is_digest = |end: &str| end.len() == 12 && end.bytes().all(|b| b.is_ascii_hexdigit());
        match name.rsplit_once('-') {
            Some((build_id, end)) if is_digest(end) => build_id,
            _ => name,
        }
    }

    /// Whether `name` is the name or the build identifier of the image that was there.
    pub(super) fn is_named(&self, name: &str) -> bool {
        let own = self.name();
        let rest = own.strip_prefix(name).filter(|_| !name.is_empty());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("-julia"))
            || self.folder.file_name().is_some_and(|own| own == name)
    }

    /// Returns what to type about it.
    pub fn hint(&self) -> String {
        format!(
            "`sysforge install SOURCE`, with the source that it came from, installs it again; \
             `sysforge install remove {}` removes it",
            text::quoted(self.name())
        )
    }
}

impl std::fmt::Display for UnusableImage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} is ignored, because it is not a usable image: {}",
            self.folder.display(),
            self.why
        )
    }
}
