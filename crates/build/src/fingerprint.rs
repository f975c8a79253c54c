//! Fingerprints of steps: the inputs that decide a result, each with the first step that it
//! affects. A step is not repeated if its inputs are unchanged, and changed inputs can be named.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sysforge_plan::Sha256;
use sysforge_plan::digest::Hasher;

/// The first step that an input affects; it affects all later steps too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Recording statements.
    Trace,
    /// Emitting the object.
    Emit,
    /// Linking the image.
    Link,
}

/// The inputs that decide a result, by name, with digests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint(pub(crate) BTreeMap<String, (Stage, Sha256)>);

impl Fingerprint {
    /// Adds an input.
    pub fn add(&mut self, stage: Stage, name: impl Into<String>, value: impl AsRef<[u8]>) {
        let digest = Sha256::of(value);
        self.0.insert(name.into(), (stage, digest));
    }

    /// Returns the inputs that affect steps up to `stage`.
    pub fn up_to(&self, stage: Stage) -> Self {
        let parts = self.0.iter().filter(|(_, (first, _))| *first <= stage);
        Self(parts.map(|(name, part)| (name.clone(), *part)).collect())
    }

    /// Returns the fingerprint of a step that reads the project again: the inputs up to its stage.
    /// If the project has changed since the earlier step, the result matches neither state and must
    /// never be considered current, so the earlier state is added as an input.
    pub fn reading(&self, earlier: &Self, stage: Stage) -> Self {
        let mut fingerprint = self.up_to(stage);
        let before = earlier.up_to(Stage::Trace);
        if before != self.up_to(Stage::Trace) {
            let digest = before.digest().to_string();
            fingerprint.add(Stage::Trace, "the state that an earlier step found", digest);
        }
        fingerprint
    }

    /// Returns the fingerprint of a step that reads only the result of the previous step: the
    /// inputs of that step, and the inputs of its own stage.
    pub fn after(&self, earlier: &Self, stage: Stage) -> Self {
        let own = self.0.iter().filter(|(_, (first, _))| *first == stage);
        let mut parts = earlier.0.clone();
        parts.retain(|_, (first, _)| *first < stage);
        parts.extend(own.map(|(name, part)| (name.clone(), *part)));
        Self(parts)
    }

    /// Removes an input.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.0.remove(name);
        self
    }

    /// Returns the digest of all inputs.
    pub fn digest(&self) -> Sha256 {
        let parts = self.0.iter();
        let parts: Vec<_> = parts
            .map(|(name, (_, digest))| (name, digest.to_string()))
            .collect();
        let texts = parts.iter();
        digest_of(texts.flat_map(|(name, digest)| [name.as_str(), digest]))
    }

    /// Describes the differences from an earlier fingerprint.
    pub fn changes_since(&self, earlier: &Self) -> Vec<String> {
        let of =
            |fingerprint: &Self, name: &str| fingerprint.0.get(name).map(|(_, digest)| *digest);
        let mut changes = Vec::new();
        for name in self.0.keys() {
            match of(earlier, name) {
                None => changes.push(format!("{name} is new")),
                Some(digest) if Some(digest) != of(self, name) => {
                    changes.push(format!("{name} changed"));
                }
                Some(_) => {}
            }
        }
        let gone = earlier.0.keys().filter(|name| !self.0.contains_key(*name));
        changes.extend(gone.map(|name| format!("{name} is gone")));
        changes
    }
}

/// Returns the digest of a list of texts. Lengths are included, so that different lists give
/// different bytes.
pub(crate) fn digest_of<'a>(parts: impl IntoIterator<Item = &'a str>) -> Sha256 {
    let mut hasher = Hasher::default();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.digest()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_named_and_reaches_the_steps_that_it_matters_to() {
        let mut before = Fingerprint::default();
        before.add(Stage::Trace, "workload.jl", "1");
        before.add(Stage::Emit, "the CPU target", "generic");
        let mut after = before.clone();
        after.add(Stage::Emit, "the CPU target", "haswell");
        after.add(Stage::Link, "the setting `strip`", "true");
        assert_eq!(before.up_to(Stage::Trace), after.up_to(Stage::Trace));
        assert_ne!(before.up_to(Stage::Emit), after.up_to(Stage::Emit));
        assert_ne!(before.digest(), after.digest());
        assert_eq!(
            after.changes_since(&before),
            ["the CPU target changed", "the setting `strip` is new"]
        );
        assert_eq!(
            before.changes_since(&after),
            ["the CPU target changed", "the setting `strip` is gone"]
        );
    }

    #[test]
    fn a_step_on_the_result_of_another_state_is_never_current() {
        let mut before = Fingerprint::default();
        before.add(Stage::Trace, "src/a.jl", "1");
        let mut now = before.clone();
        now.add(Stage::Trace, "src/a.jl", "2");
        let emitted = now.reading(&before, Stage::Emit);
        assert_ne!(emitted, now);
        assert_ne!(emitted, before);
        assert_eq!(now.reading(&now, Stage::Emit), now);
        // A step that reads only the previous result inherits its inputs.
        let mut linking = now.clone();
        linking.add(Stage::Link, "the setting `strip`", "true");
        let linked = linking.after(&emitted, Stage::Link);
        assert_ne!(linked.digest(), linking.digest());
    }
}
