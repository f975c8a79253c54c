//! Attestations: Sigstore bundles that GitHub stores for the results of a repository's workflows
//! (`actions/attest`), and for the files of immutable releases. Verified offline: the roots of
//! trust are pinned in the program.
//!
//! For a workflow's attestation, this verifies the certificate's chain to Sigstore's authority, its
//! entry in the certificate log, the entry of the signature in Rekor, the signature over the
//! statement, that the statement names exactly these bytes, and that the certificate was issued to
//! a workflow run of this repository. GitHub's own authority, which signs for private repositories
//! and immutable releases, has no public log: it is replaced by a signed time stamp.

mod crypto;

use serde::Deserialize;
use sigstore_verify::trust_root::{SigstoreInstance, TrustedRoot};
use sigstore_verify::types::bundle::{Bundle, SignatureContent};
use sigstore_verify::types::{ArtifactDigest, Sha256Hash};
use sigstore_verify::{SubjectAltName, VerificationPolicy, VerificationResult, Verifier};
use sysforge_plan::Sha256;

/// The issuer of the identities of workflow runs.
const ACTIONS: &str = "https://token.actions.githubusercontent.com";

/// The signer for immutable releases.
const RELEASES: &str = "https://dotcom.releases.github.com";

/// The part of a release's statement that names its repository and tag.
#[derive(Deserialize)]
struct Statement {
    subject: Vec<Subject>,
}

#[derive(Deserialize)]
struct Subject {
    #[serde(default)]
    uri: Option<String>,
}

/// The attester of a file, and the release it attests the file for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attester {
    /// The workflow or the release that signed.
    pub(crate) name: String,
    /// The tag that started the run, or that of the immutable release. `None` for a run that was
    /// started by a push to a branch.
    pub(crate) tag: Option<String>,
}

/// Verifies that a bundle attests bytes with this digest to a repository of github.com, and returns
/// the attester.
///
/// # Errors
///
/// The reason, in a few words.
pub(crate) fn verify(bundle: &str, sha256: Sha256, repository: &str) -> Result<Attester, String> {
    crypto::provide();
    let bundle = Bundle::from_json(bundle)
        .map_err(|_| "it is not an attestation that Sigstore can read".to_owned())?;
    // GitHub's own authority has no log. Removing the log from a public entry does not help an
    // attacker: its signature then does not chain to the root of that authority.
    let (instance, policy) = match bundle.verification_material.tlog_entries.is_empty() {
        true => (
            SigstoreInstance::GitHub,
            VerificationPolicy::any_identity()
                .skip_tlog_unsafe()
                .skip_sct(),
        ),
        false => (
            SigstoreInstance::PublicGood,
            VerificationPolicy::any_identity(),
        ),
    };
    let root = TrustedRoot::from_embedded(instance).map_err(words)?;
    let verifier = Verifier::new(&root).map_err(words)?;
    let digest = ArtifactDigest::sha256(Sha256Hash::new(*sha256.as_bytes()));
    let result = verifier.verify(digest, &bundle, &policy).map_err(words)?;
    signer(&result, &bundle, repository)
}

/// Returns the workflow or the release that signed, if it is one of the repository.
fn signer(
    result: &VerificationResult,
    bundle: &Bundle,
    repository: &str,
) -> Result<Attester, String> {
    let identity = result.identity().map(SubjectAltName::as_str);
    let identity = identity.unwrap_or_default().to_owned();
    if result.issuer() == Some(ACTIONS) {
        let claims = result
            .certificate()
            .map(|certificate| &certificate.ci_claims);
        let source = claims.and_then(|claims| claims.source_repository_uri.clone());
        let source = source.unwrap_or_default();
        let git_ref = claims.and_then(|claims| claims.source_repository_ref.as_deref());
        let tag = git_ref.and_then(|git_ref| git_ref.strip_prefix("refs/tags/"));
        // Names of repositories are case-insensitive.
        return match source.eq_ignore_ascii_case(&format!("https://github.com/{repository}")) {
            true => Ok(Attester {
                name: identity,
                tag: tag.map(str::to_owned),
            }),
            false => Err(format!("it was made in {source}, by {identity}")),
        };
    }
    if identity == RELEASES
        && let Some(tag) = release_of(bundle, repository)
    {
        return Ok(Attester {
            name: format!("the immutable release of {repository}"),
            tag: Some(tag),
        });
    }
    Err(format!("it was signed by {identity}"))
}

/// Returns the tag of the release of this repository that a bundle is about.
fn release_of(bundle: &Bundle, repository: &str) -> Option<String> {
    let SignatureContent::DsseEnvelope(envelope) = &bundle.content else {
        return None;
    };
    let statement: Statement = serde_json::from_slice(envelope.payload.as_bytes()).ok()?;
    let prefix = format!("pkg:github/{repository}@");
    statement.subject.iter().find_map(|subject| {
        let (start, tag) = subject.uri.as_deref()?.split_at_checked(prefix.len())?;
        let tag = percent_encoding::percent_decode_str(tag)
            .decode_utf8()
            .ok()?;
        start
            .eq_ignore_ascii_case(&prefix)
            .then(|| tag.into_owned())
    })
}

fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Recorded from GitHub for `gh_2.96.0_linux_amd64.tar.gz`: the workflow's attestation and the
    /// release's.
    pub(crate) const BY_WORKFLOW: &str = include_str!("attestation/recorded/by-workflow.json");
    const BY_RELEASE: &str = include_str!("attestation/recorded/by-release.json");

    pub(crate) fn digest() -> Sha256 {
        "83d5c2ccad5498f58bf6368acb1ab32588cf43ab3a4b1c301bf36328b1c8bd60"
            .parse()
            .unwrap()
    }

    #[test]
    fn a_real_attestation_of_a_workflow_is_verified() {
        let signer = verify(BY_WORKFLOW, digest(), "CLI/cli").unwrap();
        assert_eq!(
            signer.name,
            "https://github.com/cli/cli/.github/workflows/deployment.yml@refs/heads/trunk"
        );
        assert_eq!(signer.tag, None);
    }

    #[test]
    fn a_real_attestation_of_an_immutable_release_is_verified() {
        let signer = verify(BY_RELEASE, digest(), "cli/cli").unwrap();
        assert_eq!(signer.name, "the immutable release of cli/cli");
        assert_eq!(signer.tag.as_deref(), Some("v2.96.0"));
        assert!(verify(BY_RELEASE, digest(), "octo/images").is_err());
    }

    #[test]
    fn other_bytes_and_other_repositories_are_not_attested() {
        let other = Sha256::new([7; 32]);
        verify(BY_WORKFLOW, other, "cli/cli").unwrap_err();
        verify(BY_RELEASE, other, "cli/cli").unwrap_err();
        let why = verify(BY_WORKFLOW, digest(), "octo/images").unwrap_err();
        assert!(
            why.contains("it was made in https://github.com/cli/cli"),
            "{why}"
        );
    }

    #[test]
    fn hostile_text_anywhere_in_a_bundle_is_refused_or_has_no_effect() {
        let value: serde_json::Value = serde_json::from_str(BY_WORKFLOW).unwrap();
        let signer = verify(BY_WORKFLOW, digest(), "cli/cli").unwrap();
        for (pointer, text, changed) in sysforge_testkit::hostile::variants(&value) {
            match verify(&changed.to_string(), digest(), "cli/cli") {
                Ok(found) => assert_eq!(
                    (found.name, found.tag),
                    (signer.name.clone(), signer.tag.clone()),
                    "{pointer}: {text}"
                ),
                Err(why) => assert!(!why.contains("struct "), "{pointer}: {why}"),
            }
        }
    }

    #[test]
    fn a_bundle_that_was_changed_anywhere_is_not_believed() {
        let value: serde_json::Value = serde_json::from_str(BY_WORKFLOW).unwrap();
        for pointer in [
            "/dsseEnvelope/payload",
            "/dsseEnvelope/signatures/0/sig",
            "/verificationMaterial/certificate/rawBytes",
            "/verificationMaterial/tlogEntries/0/inclusionPromise/signedEntryTimestamp",
            "/verificationMaterial/tlogEntries/0/inclusionProof/rootHash",
            "/verificationMaterial/tlogEntries/0/canonicalizedBody",
        ] {
            let mut changed = value.clone();
            let field = changed.pointer_mut(pointer).unwrap();
            let text = field.as_str().unwrap();
            let middle = text.len() / 2;
            let letter = if text.as_bytes()[middle] == b'A' {
                "B"
            } else {
                "A"
            };
            *field = format!("{}{letter}{}", &text[..middle], &text[middle + 1..]).into();
            let outcome = verify(&changed.to_string(), digest(), "cli/cli");
            assert!(outcome.is_err(), "{pointer}: {outcome:?}");
        }
        // Without its log entries, it would have to be signed by GitHub's own authority, which it
        // is not.
        let mut stripped = value;
        stripped["verificationMaterial"]["tlogEntries"] = serde_json::json!([]);
        verify(&stripped.to_string(), digest(), "cli/cli").unwrap_err();
        verify("rubbish", digest(), "cli/cli").unwrap_err();
    }
}
