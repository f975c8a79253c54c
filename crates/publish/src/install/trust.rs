//! Whom an installation trusts: with a key of the maker, the index and the provenance must carry
//! that key's signature. What GitHub has an attestation of must be what it attests. Without either,
//! digests alone decide, as far as the place is trusted.

use sysforge_plan::receipt::FileRecord;
use sysforge_plan::release::{INDEX_NAME, ReleaseImage, ReleaseIndex};

use super::error::InstallError;
use super::place::Place;
use crate::attestation;
use crate::documents::provenance;
use crate::error::PublishError;
use crate::signing::{PublicKey, SIGNATURE_END, SigningError};

/// What became of the index's signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signed {
    /// It is this key's.
    By(PublicKey),
    /// There is one, and no key was given to verify it with.
    Unverified,
    /// There is none, and none was asked for.
    No,
}

impl Place {
    /// The release index, whose signature must be that of one of `keys` if there are any.
    ///
    /// # Errors
    ///
    /// If there is no index, it cannot be used, or it is not signed as it must be.
    pub async fn index(&self, keys: &[PublicKey]) -> Result<(ReleaseIndex, Signed), InstallError> {
        let bytes = self
            .small(INDEX_NAME)
            .await?
            .ok_or_else(|| InstallError::NoRelease(self.source().to_string()))?;
        let index =
            ReleaseIndex::from_json(&String::from_utf8_lossy(&bytes)).map_err(|source| {
                PublishError::Index {
                    place: self.source().to_string(),
                    source,
                }
            })?;
        let signature = self.small(&format!("{INDEX_NAME}{SIGNATURE_END}")).await?;
        let signed = match (signature, keys) {
            (None, []) => Signed::No,
            (Some(_), []) => Signed::Unverified,
            (None, _) => return Err(SigningError::Missing(INDEX_NAME.to_owned()).into()),
            (Some(signature), keys) => {
                let text = String::from_utf8_lossy(&signature);
                Signed::By(by_one_of(keys, |key| {
                    key.verify(INDEX_NAME, &index.tag, &bytes, &text)
                })?)
            }
        };
        Ok((index, signed))
    }

    /// Checks that the provenance, where there is one, speaks of this archive; and that it is
    /// signed by one of `keys`, where there are any and it is signed at all.
    pub(super) async fn check_provenance(
        &self,
        image: &ReleaseImage,
        keys: &[PublicKey],
    ) -> Result<(), InstallError> {
        let archive = &image.archive;
        let speaks =
            |statement: &[u8]| match provenance::names(statement, &archive.name, archive.sha256) {
                true => Ok(()),
                false => Err(InstallError::Provenance(archive.name.to_string())),
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
        }
        Ok(())
    }
}

/// What became of the attestation of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attested {
    /// It is attested, by this workflow or release.
    By(String),
    /// The host keeps none.
    No,
    /// The host could not be asked.
    Unknown(String),
}

impl Place {
    /// Asks the host for attestations of the archive, and verifies them: of those that there are,
    /// one must be good.
    ///
    /// # Errors
    ///
    /// If there are attestations and none is good; or if one is `required`, and there is none.
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
        // The archive as it was built; or where the host has it in parts, each of them.
        let whole = std::iter::once(archive).chain(&image.parts);
        for (number, file) in whole.enumerate() {
            let bundles = match host.attestations(file.sha256).await {
                Ok(bundles) => bundles,
                Err(failure) if required => return Err(missing(&failure.words())),
                Err(failure) => return Ok(Attested::Unknown(failure.words())),
            };
            match one_is_good(&bundles, file, repository)? {
                Some(signer) if number == 0 => return Ok(Attested::By(signer)),
                Some(signer) => by = Some(signer),
                None if number == 0 => {}
                None => {
                    by = None;
                    break;
                }
            }
        }
        match by {
            Some(signer) => Ok(Attested::By(signer)),
            None if required => Err(missing("the host keeps no attestation of it")),
            None => Ok(Attested::No),
        }
    }
}

/// Who attests the file; `None`: there are no attestations.
fn one_is_good(
    bundles: &[String],
    file: &FileRecord,
    repository: &str,
) -> Result<Option<String>, InstallError> {
    let mut last = None;
    for bundle in bundles {
        match attestation::verify(bundle, file.sha256, repository) {
            Ok(signer) => return Ok(Some(signer)),
            Err(why) => last = Some(why),
        }
    }
    match last {
        Some(why) => Err(InstallError::NotAttested {
            name: file.name.to_string(),
            why,
        }),
        None => Ok(None),
    }
}

/// The first key that verifies, or why the last does not.
fn by_one_of(
    keys: &[PublicKey],
    mut verify: impl FnMut(&PublicKey) -> Result<(), SigningError>,
) -> Result<PublicKey, InstallError> {
    let mut last = SigningError::Missing(INDEX_NAME.to_owned());
    for key in keys {
        match verify(key) {
            Ok(()) => return Ok(key.clone()),
            Err(error) => last = error,
        }
    }
    Err(last.into())
}
