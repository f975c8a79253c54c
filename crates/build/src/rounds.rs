//! Rounds: the statements that running the workloads on an image still compiles are added to the
//! next image.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};
use sysforge_plan::statements::Ignored;

use crate::emit::Rehearsed;

/// The statements for an image.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Traced {
    /// All statements.
    pub statements: Vec<String>,
    /// Statements that were replayed for an image that still lacked their code.
    pub ineffective: Vec<String>,
    /// The longest run of a workload while tracing, in seconds.
    #[serde(default)]
    pub longest_run_s: f64,
    /// Statements that the user gave and that no workload compiled.
    #[serde(default)]
    pub given: Vec<String>,
    /// Statements that only an interactive session compiled.
    #[serde(default)]
    pub session: Vec<String>,
    /// Other text in the user's files of statements.
    #[serde(default)]
    pub ignored: Vec<Ignored>,
    /// Whether the statements were replayed in a running Julia, to find those without effect.
    #[serde(default)]
    pub rehearsed: bool,
}

/// The minimum total compilation time of the residuals, in milliseconds, for another emission,
/// which takes minutes. Less is not noticeable: starting Julia takes 150 ms or more.
const WORTH_MS: f64 = 50.0;

/// Returns whether residuals justify another emission, as far as their costs are known.
pub fn residuals_cost_enough(residuals: &[String], costs_ms: &BTreeMap<String, f64>) -> bool {
    let costs: Option<Vec<f64>> = residuals
        .iter()
        .map(|residual| costs_ms.get(residual).copied())
        .collect();
    !residuals.is_empty() && costs.is_none_or(|costs| costs.iter().sum::<f64>() >= WORTH_MS)
}

/// The workloads in a process on the image, in which statements were replayed before.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trial {
    /// After the statements that the last emission replayed.
    pub as_emitted: Rehearsed,
    /// After those of the next emission.
    pub as_planned: Rehearsed,
}

impl Trial {
    /// Returns the residuals that another emission would remove: those that the process compiles
    /// after the statements of the last emission, and does not compile after those of the next one.
    ///
    /// If the statements of the last emission already remove a residual in the process, then code
    /// that exists in a running Julia gets lost in the image, and would be lost again. If the process
    /// does not compile a residual at all, nothing is known about it.
    pub fn cured(&self, residuals: &[String]) -> Vec<String> {
        let before: HashSet<&String> = self.as_emitted.compiled.iter().collect();
        let after: HashSet<&String> = self.as_planned.compiled.iter().collect();
        let residuals = residuals.iter();
        let cured = residuals.filter(|text| before.contains(text) && !after.contains(text));
        cured.cloned().collect()
    }

    /// Returns how much faster a workload starts after another emission, in milliseconds: the most of all
    /// workloads and kinds of output. This is what the cured residuals cost, on every Julia; the costs that
    /// a recording names exist since Julia 1.12.
    pub fn saved_ms(&self) -> f64 {
        let runs = self.as_emitted.run_ms.iter().zip(&self.as_planned.run_ms);
        runs.map(|(before, after)| before - after)
            .fold(0.0, f64::max)
    }
}

/// Returns whether what it saves of a run, in milliseconds, justifies another emission.
pub fn saves_enough(saved_ms: f64) -> bool {
    saved_ms >= WORTH_MS
}

impl Traced {
    /// Returns the part of the statements that concerns these residuals.
    pub fn only(&self, residuals: &[String]) -> Self {
        let of = |list: &[String]| {
            let known: HashSet<&String> = list.iter().collect();
            let residuals = residuals.iter();
            residuals
                .filter(|text| known.contains(text))
                .cloned()
                .collect()
        };
        Self {
            statements: of(&self.statements),
            ineffective: of(&self.ineffective),
            ..Self::default()
        }
    }

    /// Returns the statements for the next image, or `None` if another round would change nothing
    /// or the last one did not help. `rounds` are the numbers of residual statements so far; the
    /// last is that of `residuals`.
    pub fn next(&self, residuals: &[String], rounds: &[usize]) -> Option<Self> {
        if let [.., before, now] = rounds
            && now >= before
        {
            return None;
        }
        let mut next = self.clone();
        let mut statements: HashSet<&String> = self.statements.iter().collect();
        let mut ineffective: HashSet<&String> = self.ineffective.iter().collect();
        let replayed = statements.clone();
        for residual in residuals {
            if !replayed.contains(residual) {
                if statements.insert(residual) {
                    next.statements.push(residual.clone());
                }
            } else if ineffective.insert(residual) {
                next.ineffective.push(residual.clone());
            }
        }
        (next != *self).then_some(next)
    }

    /// Returns the statements that matter to the workloads.
    pub fn of_workloads(&self) -> Vec<String> {
        let session: HashSet<&String> = self.session.iter().collect();
        let statements = self.statements.iter();
        let ours = statements.filter(|text| !session.contains(text));
        ours.cloned().collect()
    }

    /// Marks the statements that a rehearsal without an image still compiled although it replayed
    /// them: their other possible meanings are tried when the image is emitted. Other statements
    /// that it compiled belong to the rehearsal itself.
    pub fn mark_ineffective(&mut self, still_compiled: &[String]) {
        let replayed: HashSet<&String> = self.statements.iter().collect();
        let ineffective = still_compiled.iter().filter(|text| replayed.contains(text));
        self.ineffective = ineffective.cloned().collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(list: &[&str]) -> Vec<String> {
        list.iter().map(|text| (*text).to_owned()).collect()
    }

    fn rehearsed(compiled: &[&str], run_ms: &[f64]) -> Rehearsed {
        Rehearsed {
            compiled: texts(compiled),
            run_ms: run_ms.to_vec(),
        }
    }

    #[test]
    fn an_emission_that_saves_less_than_anyone_notices_is_not_made() {
        let trial = |before: &[f64], after: &[f64]| Trial {
            as_emitted: rehearsed(&["curable"], before),
            as_planned: rehearsed(&[], after),
        };
        assert!(!saves_enough(
            trial(&[200.0, 90.0], &[170.0, 60.0]).saved_ms()
        ));
        // Users start one workload with one kind of output: nobody saves the sum.
        assert!(saves_enough(
            trial(&[200.0, 90.0], &[170.0, 20.0]).saved_ms()
        ));
        // Another process was busy.
        assert!(!saves_enough(trial(&[100.0], &[500.0]).saved_ms()));
    }

    #[test]
    fn what_is_new_is_added_and_what_does_not_help_is_marked() {
        let traced = Traced {
            statements: texts(&["a", "b"]),
            ..Traced::default()
        };
        let next = traced.next(&texts(&["b", "c"]), &[2]).unwrap();
        assert_eq!(next.statements, ["a", "b", "c"]);
        assert_eq!(next.ineffective, ["b"]);
        // Both have been tried.
        assert_eq!(next.next(&texts(&["b"]), &[2, 1]), None);
    }

    #[test]
    fn only_a_residual_that_a_trial_removes_is_worth_an_emission() {
        let trial = Trial {
            as_emitted: rehearsed(&["curable", "ineffective", "the trial's own"], &[]),
            as_planned: rehearsed(&["ineffective", "another of the trial's own"], &[]),
        };
        // The process compiles neither "lost in the image" nor "not reached", whatever is replayed.
        let residuals = texts(&["curable", "ineffective", "lost in the image", "not reached"]);
        assert_eq!(trial.cured(&residuals), ["curable"]);
        assert!(Trial::default().cured(&residuals).is_empty());
    }

    #[test]
    fn a_trial_replays_what_concerns_the_residuals() {
        let traced = Traced {
            statements: texts(&["a", "b", "c"]),
            ineffective: texts(&["b", "c"]),
            ..Traced::default()
        };
        let only = traced.only(&texts(&["a", "b", "new"]));
        assert_eq!(only.statements, ["a", "b"]);
        assert_eq!(only.ineffective, ["b"]);
    }

    #[test]
    fn it_ends_when_dry_or_when_it_stops_shrinking() {
        let traced = Traced::default();
        assert_eq!(traced.next(&[], &[0]), None);
        assert_eq!(traced.next(&texts(&["x"]), &[1, 1]), None);
        assert!(traced.next(&texts(&["x"]), &[3, 1]).is_some());
    }

    #[test]
    fn a_rehearsal_marks_what_was_replayed_in_vain() {
        let mut traced = Traced {
            statements: texts(&["a", "b"]),
            ..Traced::default()
        };
        traced.mark_ineffective(&texts(&["b", "the rehearsal's own"]));
        assert_eq!(traced.ineffective, ["b"]);
    }

    #[test]
    fn a_session_does_not_matter_to_the_workloads() {
        let traced = Traced {
            statements: texts(&["a", "b", "c"]),
            session: texts(&["b"]),
            ..Traced::default()
        };
        assert_eq!(traced.of_workloads(), ["a", "c"]);
    }

    #[test]
    fn cheap_residuals_are_not_chased() {
        let costs = BTreeMap::from([("a".to_owned(), 30.0), ("b".to_owned(), 15.0)]);
        assert!(!residuals_cost_enough(&texts(&["a", "b"]), &costs));
        assert!(residuals_cost_enough(
            &texts(&["a", "b", "of unknown cost"]),
            &costs
        ));
        assert!(!residuals_cost_enough(&[], &costs));
        let dear = BTreeMap::from([("a".to_owned(), 60.0)]);
        assert!(residuals_cost_enough(&texts(&["a"]), &dear));
    }
}
