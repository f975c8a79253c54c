//! Nightly builds. There is no trusted digest for them: a build is identified by the entity tag
//! that its server sends, and found in the store by its address.

use sysforge_plan::nightly::Nightly;
use sysforge_plan::{Sha256, Triplet};

use super::{Acquirer, InstalledJulia};
use crate::error::Error;
use crate::install::{Installed, Wanted};
use crate::mirror::Location;
use crate::signature::SignatureError;
use crate::store::EntryId;
use crate::tool_cache::executable;
use sysforge_archive::Links;

/// Returns the request as the user would type it.
fn request_text(branch: Option<(u64, u64)>) -> String {
    branch.map_or_else(
        || "nightly".to_owned(),
        |(major, minor)| format!("{major}.{minor}-nightly"),
    )
}

impl Acquirer {
    /// Returns the newest nightly build of a branch, and installs it if necessary. When offline,
    /// returns the most recently installed one.
    ///
    /// # Errors
    ///
    /// As for [`Self::julia`], and if the platform has no nightly builds.
    pub async fn nightly(
        &self,
        branch: Option<(u64, u64)>,
        triplet: Triplet,
    ) -> Result<InstalledJulia, Error> {
        let nightly = Nightly::locate(branch, triplet).ok_or(Error::NoNightly { triplet })?;
        let what = nightly.url.path().rsplit('/').next().unwrap_or("nightly");
        if self.signatures.required {
            return Err(SignatureError::Missing {
                what: what.to_owned(),
                reason: "nightly builds have no signatures in the catalogue".to_owned(),
            }
            .into());
        }
        let location = self.mirror.locate(&nightly.url);
        if self.network.offline
            && matches!(location, Location::Web(_))
            && let Some(julia) = self.installed_nightly(branch, triplet)?
        {
            self.reporter
                .note(format!("offline: using the last {what} that was fetched"));
            return Ok(julia);
        }
        let state = self.state_of(&location, branch, what).await?;
        let pin = Sha256::of(format!("{location} {state}"));
        let wanted = Wanted {
            id: EntryId::nightly(triplet, &pin),
            what: what.to_owned(),
            location,
            expected: None,
            format: nightly.format,
            strip: 1,
            links: Links::default(),
            version: None,
            triplet: Some(triplet),
            asc: None,
            signatures: None,
            must_have: Some(executable(triplet)),
        };
        Ok(InstalledJulia::of(self.install(&wanted).await?, triplet))
    }

    /// Returns the most recently installed nightly build of a branch, if any. Does not use the
    /// network.
    ///
    /// # Errors
    ///
    /// If the store cannot be read, or the platform has no nightly builds.
    pub fn installed_nightly(
        &self,
        branch: Option<(u64, u64)>,
        triplet: Triplet,
    ) -> Result<Option<InstalledJulia>, Error> {
        let nightly = Nightly::locate(branch, triplet).ok_or(Error::NoNightly { triplet })?;
        let source = self.mirror.locate(&nightly.url).to_string();
        for store in self.stores() {
            if let Some(entry) = store.newest_from(&source)? {
                return Ok(Some(InstalledJulia::of(Installed::found(entry), triplet)));
            }
        }
        Ok(None)
    }

    /// Returns a string that changes with every nightly build.
    async fn state_of(
        &self,
        location: &Location,
        branch: Option<(u64, u64)>,
        what: &str,
    ) -> Result<String, Error> {
        let none = || Error::NoSuchJulia {
            request: request_text(branch),
            hint: format!(
                "there is no {location}; there are nightly builds of the main branch (`nightly`) \
                 and of the newest release branches"
            ),
        };
        match location {
            Location::File(path) => {
                let metadata = std::fs::metadata(path).map_err(|source| match source.kind() {
                    std::io::ErrorKind::NotFound => none(),
                    _ => Error::io("read", path)(source),
                })?;
                Ok(format!("{:?} {}", metadata.modified().ok(), metadata.len()))
            }
            Location::Web(url) => {
                let opened = match self
                    .fetcher_unless_offline(what)
                    .await?
                    .open(url, 0, None)
                    .await
                {
                    Err(sysforge_net::Error::Status { status, .. }) if status.as_u16() == 404 => {
                        return Err(none());
                    }
                    opened => opened?,
                };
                opened.validator.ok_or_else(|| Error::NoSuchJulia {
                    request: request_text(branch),
                    hint: format!("{location} sends no entity tag, so it cannot be pinned"),
                })
            }
        }
    }
}
