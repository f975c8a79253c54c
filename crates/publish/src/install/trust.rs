//! The trust of an installation: with a key of the publisher, the index and the provenance must
//! have that key's signature. A file for which GitHub has attestations must match one. Without
//! either, only digests are checked, so the host is trusted.

use sysforge_plan::Sha256;
use sysforge_plan::release::{INDEX_NAME, ReleaseImage, ReleaseIndex};

use super::error::InstallError;
use super::open_release::{IndexRead, OpenRelease, SignedFor};
use super::source::{Source, shown};
use crate::attestation;
use crate::documents::provenance;
use crate::error::PublishError;
use crate::signing::{Identity, PublicKey, SIGNATURE_END, SigningError};

/// The result of checking the index's signature.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
pub enum Signed {
    /// It was made by this key, for the release of this repository or site.
    By(PublicKey, Identity),
    /// There is a signature, but no key to verify it with.
    Unverified,
    /// There is no signature, and none was required.
    No,
}

impl OpenRelease {
    /// Returns the release index, whose signature must be by one of `keys`, unless `keys` is empty.
    ///
    /// # Errors
    ///
    /// If there is no index, it is not valid, or it lacks a required signature.
    pub async fn index(&self, keys: &[PublicKey]) -> Result<(ReleaseIndex, Signed), InstallError> {
        let bytes = self
            .small(INDEX_NAME)
            .await?
            .ok_or_else(|| InstallError::NoRelease(self.source().to_string()))?;
        let index = ReleaseIndex::from_json(&bytes).map_err(|source| PublishError::Index {
            place: self.source().to_string(),
            source,
        })?;
        let signature = self.small(&format!("{INDEX_NAME}{SIGNATURE_END}")).await?;
        let signed = match (signature, keys) {
            (None, []) => Signed::No,
            (Some(_), []) => Signed::Unverified,
            (None, _) => return Err(SigningError::Missing(INDEX_NAME.to_owned()).into()),
            (Some(signature), keys) => {
                let text = String::from_utf8_lossy(&signature);
                let mut identity = Identity::default();
                let key = by_one_of(keys, |key| {
                    let verified = key.verify(INDEX_NAME, &index.tag, &bytes, &text);
                    verified.map(|signed_for| identity = signed_for)
                })?;
                self.expect(&identity)?;
                Signed::By(key, identity)
            }
        };
        // An index with another tag is not that of the requested release.
        if let Some(asked) = self.tag()
            && *asked != index.tag
        {
            return Err(InstallError::OtherRelease {
                asked: asked.to_string(),
                found: index.tag.to_string(),
            });
        }
        let identity = match &signed {
            Signed::By(_, identity) => Some(identity.clone()),
            Signed::Unverified | Signed::No => None,
        };
        self.note_read(IndexRead {
            tag: index.tag.clone(),
            sha256: Sha256::of(&bytes),
            identity,
        });
        Ok((index, signed))
    }

    /// Checks that a release that is signed for `found` is the requested one.
    fn expect(&self, found: &Identity) -> Result<(), InstallError> {
        let at_site = |asked: String| {
            let good = match (&found.site, &found.repository) {
                // The URL is that of the site, or of one release of it.
                (Some(site), _) => asked.starts_with(site.as_str()),
                // The user must declare that this is a copy of a release on GitHub.
                (None, Some(_)) => false,
                (None, None) => true,
            };
            (good, asked)
        };
        let (good, expected) = match (self.signed_for(), self.source()) {
            (SignedFor::Named(named), _) => {
                let repository = named.repository.is_none() || named.same_repository(found);
                let site = named.site.is_none() || named.site == found.site;
                (repository && site, named.to_string())
            }
            // The publisher does not know the name of a folder.
            (SignedFor::Before(before), Source::Folder { .. }) => {
                (before.same_repository(found), before.to_string())
            }
            (SignedFor::Before(before), _) => {
                let same = before.same_repository(found) && before.site == found.site;
                (same, before.to_string())
            }
            (SignedFor::Asked, Source::GitHub { repository, .. }) => {
                let asked = Identity {
                    repository: Some(repository.clone()),
                    site: None,
                };
                (asked.same_repository(found), asked.to_string())
            }
            (SignedFor::Asked, Source::Web { base, .. }) => at_site(shown(base)),
            (SignedFor::Asked, Source::S3 { location, .. }) => {
                at_site(location.url().map_err(PublishError::from)?.to_string())
            }
            (SignedFor::Asked, Source::Folder { .. }) => (true, String::new()),
        };
        match good {
            true => Ok(()),
            false => Err(SigningError::Elsewhere {
                name: INDEX_NAME.to_owned(),
                found: found.to_string(),
                expected,
            }
            .into()),
        }
    }

    /// Checks that the provenance, if there is one, names this archive; and, if there are `keys`
    /// and it is signed at all, that it is signed by one of them.
    pub(super) async fn check_provenance(
        &self,
        image: &ReleaseImage,
        keys: &[PublicKey],
    ) -> Result<(), InstallError> {
        let archive = &image.archive;
        let refused = || InstallError::Provenance(archive.name.to_string());
        let speaks =
            |statement: &[u8]| match provenance::names(statement, &archive.name, archive.sha256) {
                true => Ok(()),
                false => Err(refused()),
            };
        if let Some(statement) = self.small(provenance::NAME).await? {
            speaks(&statement)?;
        }
        if keys.is_empty() {
            return Ok(());
        }
        let name = provenance::SIGNED_NAME;
        if let Some(envelope) = self.small(name).await? {
            let mut statement = Vec::new();
            by_one_of(keys, |key| {
                key.open(name, &envelope).map(|opened| statement = opened)
            })?;
            speaks(&statement)?;
            // A valid statement about another release is not one about this release.
            if let Some(read) = self.was_read()
                && !provenance::is_of(&statement, &read.tag, read.sha256)
            {
                return Err(refused());
            }
        }
        Ok(())
    }
}

/// The result of checking the attestation of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attested {
    /// It is attested, by this workflow or release.
    By(String),
    /// The host has none.
    No,
    /// The host could not be asked, or the attestations do not name the release.
    Unknown(String),
}

impl OpenRelease {
    /// Asks the host for attestations of the archive, and verifies them. If there are any, one must
    /// be valid.
    ///
    /// # Errors
    ///
    /// If there are attestations and none is valid; or if one is `required`, and there is none.
    pub async fn attested(
        &self,
        image: &ReleaseImage,
        required: bool,
    ) -> Result<Attested, InstallError> {
        let archive = &image.archive;
        let missing = |why: &str| InstallError::NotAttested {
            name: archive.name.to_string(),
            why: why.to_owned(),
        };
        let Some((host, repository)) = self.witness() else {
            return match required {
                true => Err(missing("only github.com keeps attestations")),
                false => Ok(Attested::No),
            };
        };
        let mut by = None;
        // The archive as it was built, or, if the host has it in parts, each part.
        let whole = std::iter::once(archive).chain(&image.parts);
        for (number, file) in whole.enumerate() {
            let bundles = match host.attestations(file.sha256).await {
                Ok(bundles) => bundles,
                Err(failure) if required => return Err(missing(&failure.words())),
                Err(failure) => return Ok(Attested::Unknown(failure.words())),
            };
            match self.one_is_good(&bundles, &file.name, file.sha256, repository)? {
                Some(signer) if number == 0 => {
                    by = Some(signer);
                    break;
                }
                Some(signer) => by = Some(signer),
                None if number == 0 => {}
                None => {
                    by = None;
                    break;
                }
            }
        }
        match by {
            Some(signer) => {
                // A run that was not started by a tag does not name the release. The index does: it
                // names the tag and the archive's digest, if the repository attests the index as
                // well.
                let index = match self.was_read() {
                    _ if signer.tag.is_some() => Ok(None),
                    None => Ok(None),
                    Some(read) => match host.attestations(read.sha256).await {
                        Ok(bundles) => {
                            Ok(self.one_is_good(&bundles, INDEX_NAME, read.sha256, repository)?)
                        }
                        Err(failure) => Err(failure.words()),
                    },
                };
                match for_a_release(signer, index) {
                    Ok(name) => Ok(Attested::By(name)),
                    Err(why) if required => Err(missing(&why)),
                    Err(why) => Ok(Attested::Unknown(why)),
                }
            }
            None if required => Err(missing("the host keeps no attestation of it")),
            None => Ok(Attested::No),
        }
    }

    /// Returns the attester of the file for this release; `None` if there are no attestations.
    fn one_is_good(
        &self,
        bundles: &[String],
        name: &str,
        sha256: Sha256,
        repository: &str,
    ) -> Result<Option<attestation::Attester>, InstallError> {
        let tag = self.was_read().map(|read| read.tag.as_str());
        let mut last = None;
        for bundle in bundles {
            match attestation::verify(bundle, sha256, repository) {
                Ok(signer) => match (&signer.tag, tag) {
                    (Some(attested), Some(tag)) if attested != tag => {
                        last = Some(format!("it is for the release {attested}"));
                    }
                    _ => return Ok(Some(signer)),
                },
                Err(why) => last = Some(why),
            }
        }
        match last {
            Some(why) => Err(InstallError::NotAttested {
                name: name.to_owned(),
                why,
            }),
            None => Ok(None),
        }
    }
}

/// Returns the attester of the archive for this very release: the run that made it, if it names a
/// tag; otherwise the index must be attested too. `index` is its attester, or why the host could
/// not be asked.
fn for_a_release(
    archive: attestation::Attester,
    index: Result<Option<attestation::Attester>, String>,
) -> Result<String, String> {
    match (&archive.tag, index) {
        (Some(_), _) | (None, Ok(Some(_))) => Ok(archive.name),
        (None, Ok(None)) => Err(format!(
            "the run that made it ({}) names no release, and nothing attests `{INDEX_NAME}`, which does",
            archive.name
        )),
        (None, Err(words)) => Err(words),
    }
}

/// Returns the first key that verifies, or the most informative error.
fn by_one_of(
    keys: &[PublicKey],
    mut verify: impl FnMut(&PublicKey) -> Result<(), SigningError>,
) -> Result<PublicKey, InstallError> {
    let mut last = SigningError::Missing(INDEX_NAME.to_owned());
    for key in keys {
        match verify(key) {
            Ok(()) => return Ok(key.clone()),
            // The most informative error: a key did sign it, but the signature names no release.
            Err(error) => {
                if !matches!(last, SigningError::Unnamed(_)) {
                    last = error;
                }
            }
        }
    }
    Err(last.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer(tag: Option<&str>) -> attestation::Attester {
        attestation::Attester {
            name: "a workflow".to_owned(),
            tag: tag.map(str::to_owned),
        }
    }

    #[test]
    fn a_run_that_names_no_release_counts_with_an_attested_index_alone() {
        let by = |archive, index| for_a_release(archive, index);
        assert!(by(signer(Some("v1")), Ok(None)).is_ok());
        assert!(by(signer(None), Ok(Some(signer(None)))).is_ok());
        let why = by(signer(None), Ok(None)).unwrap_err();
        assert!(why.contains("names no release"), "{why}");
        let why = by(signer(None), Err("no answer".to_owned())).unwrap_err();
        assert_eq!(why, "no answer");
    }
}
