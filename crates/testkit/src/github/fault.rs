//! The faults of the fake GitHub: a script of faults, or faults drawn from a seed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The kinds of requests that a fault can affect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Op {
    /// `GET /repos/{owner}/{repo}`
    GetRepo,
    /// `GET …/git/ref/tags/{tag}`
    GetRef,
    /// `GET …/releases/{id}`
    GetRelease,
    /// `GET …/releases/tags/{tag}` and `GET …/releases/latest`
    GetByTag,
    /// `GET …/releases`
    ListReleases,
    /// `POST …/releases`
    CreateRelease,
    /// `PATCH …/releases/{id}`
    UpdateRelease,
    /// `DELETE …/releases/{id}`
    DeleteRelease,
    /// `GET …/releases/{id}/assets`
    ListAssets,
    /// `GET …/releases/assets/{id}` as JSON
    GetAsset,
    /// The content of an asset, at any URL
    Download,
    /// `POST …/releases/{id}/assets`
    Upload,
    /// `PATCH …/releases/assets/{id}`
    UpdateAsset,
    /// `DELETE …/releases/assets/{id}`
    DeleteAsset,
    /// Anything else
    Other,
}

impl Op {
    /// The requests that `sysforge publish` makes, for test matrices of faults.
    pub const OF_PUBLISHING: &[Self] = &[
        Self::GetRepo,
        Self::GetByTag,
        Self::ListReleases,
        Self::CreateRelease,
        Self::Upload,
        Self::ListAssets,
        Self::UpdateAsset,
        Self::DeleteAsset,
        Self::UpdateRelease,
        Self::Download,
    ];
}

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Stops reading after this many bytes, and sends no response.
    Stall(u64),
    /// Closes the connection after this many bytes of the body (the request's for an upload, the
    /// response's for a download), without any other effect.
    Reset(u64),
    /// Executes the request, but closes the connection instead of responding.
    ResetAfter,
    /// Responds with an error, and does not execute the request.
    StatusBefore(u16),
    /// Executes the request, but responds with an error.
    StatusAfter(u16),
    /// Responds with an HTML page and status 502, and does not execute the request.
    Html,
    /// Executes the request, but responds with an HTML page and status 200.
    HtmlAfter,
    /// Responds with 403 and `Retry-After`, as for secondary rate limits: this many milliseconds,
    /// rounded up to seconds, the unit of the header.
    SecondaryLimit(u64),
    /// Responds with 403, `x-ratelimit-remaining: 0` and a reset time in the next second.
    PrimaryLimit,
    /// Changes one bit of an upload.
    Corrupt,
}

impl Fault {
    /// One fault of each kind, for test matrices.
    pub const ALL: &[Self] = &[
        Self::Stall(100),
        Self::Reset(0),
        Self::Reset(1000),
        Self::ResetAfter,
        Self::StatusBefore(500),
        Self::StatusBefore(502),
        Self::StatusBefore(400),
        Self::StatusAfter(500),
        Self::StatusAfter(504),
        Self::Html,
        Self::HtmlAfter,
        Self::SecondaryLimit(1000),
        Self::PrimaryLimit,
        Self::Corrupt,
    ];
}

/// A change to a file of a release by another client, at the moment when the release is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tamper {
    /// Deletes the file with this name.
    Remove(String),
    /// Replaces the file with this name by one with these bytes.
    Replace(String, Vec<u8>),
    /// Truncates the file with this name to this many bytes.
    Truncate(String, usize),
}

impl Tamper {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Remove(name) | Self::Replace(name, _) | Self::Truncate(name, _) => name,
        }
    }
}

/// One rule of the script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// The affected kind of requests; `None` for all.
    pub op: Option<Op>,
    /// Number of matching requests before the first affected one.
    pub skip: u32,
    /// Number of affected requests.
    pub times: u32,
    /// The fault.
    pub fault: Fault,
}

impl Rule {
    /// Affects the first request of this kind.
    pub const fn once(op: Op, fault: Fault) -> Self {
        Self {
            op: Some(op),
            skip: 0,
            times: 1,
            fault,
        }
    }

    /// Affects every request of this kind.
    pub const fn always(op: Op, fault: Fault) -> Self {
        Self {
            op: Some(op),
            skip: 0,
            times: u32::MAX,
            fault,
        }
    }

    /// Skips the first `skip` matching requests.
    #[must_use]
    pub const fn after(mut self, skip: u32) -> Self {
        self.skip = skip;
        self
    }
}

/// Random faults, the same for the same seed and order of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chaos {
    /// The seed.
    pub seed: u64,
    /// Probability in thousandths.
    pub per_mille: u32,
    /// Maximum number of faults, so that a run can end.
    pub at_most: u32,
}

/// The state of a script.
#[derive(Debug, Default)]
pub(crate) struct Script {
    rules: Vec<Rule>,
    chaos: Option<(Chaos, Random)>,
    struck: u32,
}

impl Script {
    pub(crate) fn set(&mut self, rules: Vec<Rule>, chaos: Option<Chaos>) {
        self.rules = rules;
        self.chaos = chaos.map(|chaos| (chaos, Random(chaos.seed)));
        self.struck = 0;
    }

    pub(crate) fn struck(&self) -> u32 {
        self.struck
    }

    /// The fault for this request.
    pub(crate) fn next(&mut self, op: Op) -> Option<Fault> {
        let fault = self.scripted(op).or_else(|| self.drawn());
        self.struck += u32::from(fault.is_some());
        fault
    }

    fn scripted(&mut self, op: Op) -> Option<Fault> {
        for rule in &mut self.rules {
            if rule.times == 0 || rule.op.is_some_and(|wanted| wanted != op) {
                continue;
            }
            if rule.skip > 0 {
                rule.skip -= 1;
                continue;
            }
            rule.times -= 1;
            return Some(rule.fault);
        }
        None
    }

    fn drawn(&mut self) -> Option<Fault> {
        let struck = self.struck;
        let (chaos, random) = self.chaos.as_mut()?;
        let hit = random.below(1000) < u64::from(chaos.per_mille);
        let which = random.below(Fault::ALL.len() as u64);
        let at = random.below(200_000);
        if !hit || struck >= chaos.at_most {
            return None;
        }
        let fault = usize::try_from(which)
            .ok()
            .and_then(|which| Fault::ALL.get(which))?;
        Some(match fault {
            Fault::Stall(_) => Fault::Stall(at),
            Fault::Reset(1000) => Fault::Reset(at),
            other => *other,
        })
    }
}

/// A small random number generator (SplitMix64): the same seed gives the same numbers on every
/// machine.
#[derive(Debug, Clone)]
pub struct Random(pub u64);

impl Random {
    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `limit`, which must not be 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next_u64() % limit
    }

    /// A duration below `limit`.
    pub fn duration(&mut self, limit: Duration) -> Duration {
        let nanos = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX).max(1);
        Duration::from_nanos(self.below(nanos))
    }

    /// `length` random bytes.
    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            bytes.extend_from_slice(&self.next_u64().to_le_bytes());
        }
        bytes.truncate(length);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_count_skipped_and_affected_requests() {
        let mut script = Script::default();
        let rule = Rule::once(Op::Upload, Fault::StatusBefore(500)).after(1);
        script.set(vec![rule], None);
        let hits: Vec<_> = [Op::Upload, Op::GetRepo, Op::Upload, Op::Upload]
            .map(|op| script.next(op).is_some())
            .into();
        assert_eq!(hits, [false, false, true, false]);
    }

    #[test]
    fn the_same_seed_gives_the_same_faults() {
        let draw = || {
            let mut script = Script::default();
            let chaos = Chaos {
                seed: 7,
                per_mille: 500,
                at_most: 5,
            };
            script.set(Vec::new(), Some(chaos));
            (0..40).map(|_| script.next(Op::Upload)).collect::<Vec<_>>()
        };
        let drawn = draw();
        assert_eq!(drawn, draw());
        assert_eq!(drawn.iter().flatten().count(), 5);
    }
}
