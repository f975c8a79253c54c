//! All steps of a build in order, as `sysforge build` runs them.

use std::collections::HashSet;
use std::path::Path;

use sysforge_build::emit::{self, Emission, Emitted, Rehearsed};
use sysforge_build::inputs::Fingerprint;
use sysforge_build::measure::Measured;
use sysforge_build::rounds::{self, Traced, Trial, residuals_cost_enough};
use sysforge_build::trace::On;
use sysforge_build::workdir::WorkDir;
use sysforge_pack::Packed;
use sysforge_plan::link::Linked;
use sysforge_plan::receipt::CheckRecord;
use sysforge_plan::text::counted;
use sysforge_plan::{OutputKind, Receipt, Step};

use super::packing::Checked;
use super::{BuildRunner, WITHOUT};
use crate::failure::Failure;

/// How many times the saving of another emission is measured again, before minutes are spent on it: other
/// processes on the machine can make one run slower than another.
const REPEATS: u32 = 2;

impl BuildRunner<'_> {
    /// Runs every step in order, and packs the image.
    ///
    /// # Errors
    ///
    /// Those of [`Self::make_image`] and [`Self::pack`].
    pub async fn run(&mut self, dist: &Path, force: bool) -> Result<(Packed, Receipt), Failure> {
        self.make_image(force).await?;
        self.pack(dist).await
    }

    /// Runs every step up to the check in order. Reuses the results of an earlier run that are up
    /// to date, unless `force` is set.
    ///
    /// # Errors
    ///
    /// If the linker is missing, and those of [`Self::trace`], [`Self::measure_without_image`],
    /// [`Self::emit`], [`Self::link`], [`Self::check`] and [`Self::record_check`].
    pub async fn make_image(&mut self, force: bool) -> Result<(), Failure> {
        self.find_linker()?;
        let force = force || self.outside_changed() || self.was_moved();
        self.ask_for_interface().await?;
        let fingerprint = self.fingerprints.trace();
        let mut traced = match self.load_cached::<Traced>(Step::Trace, &fingerprint, force) {
            Some(traced) => traced,
            None => self.trace().await?,
        };
        self.rehearse_statements(&mut traced).await?;
        if self
            .load_cached::<Measured>(Step::Measure, &fingerprint, force)
            .is_none()
        {
            self.measure_without_image().await?;
        }
        let limit = self.options.emit.rounds;
        let mut rounds = Vec::new();
        loop {
            let fingerprint = self.fingerprints.object(&traced);
            if self
                .load_cached::<Emitted>(Step::Emit, &fingerprint, force)
                .is_none()
            {
                self.emit().await?;
            }
            let fingerprint = self.fingerprints.image(&traced);
            if self
                .load_cached::<Linked>(Step::Link, &fingerprint, force)
                .is_none()
            {
                self.link().await?;
            }
            let Some(checked) = self.load_cached::<Checked>(Step::Check, &fingerprint, force)
            else {
                let mut record = self.check(&self.image()).await?;
                rounds.push(record.residuals.len());
                record.rounds.clone_from(&rounds);
                let again = u32::try_from(rounds.len()).is_ok_and(|done| done < limit);
                if again && let Some(next) = self.next_round(&traced, &record).await? {
                    traced = next;
                    self.record_trace(&traced)?;
                    continue;
                }
                return self.record_check(&record);
            };
            self.timings = checked.timings;
            return Ok(());
        }
    }

    /// Whether a file changed that Julia read for the last image, outside of the project and the
    /// packages.
    fn outside_changed(&self) -> bool {
        let changed = emit::changed_outside(self.context.work.root());
        for path in &changed {
            let text = format!("{} changed, which a package reads", path.display());
            self.engine.reporter.note(text);
        }
        !changed.is_empty()
    }

    /// Whether the last image contains a path of the folder from which the project has been moved.
    fn was_moved(&self) -> bool {
        let (root, project) = (self.context.work.root(), &self.context.project);
        let old = WorkDir::peek::<Checked>(root, "check").and_then(|(_, checked)| {
            let portability = checked.check.portability?;
            emit::path_before_move(root, project, &portability)
        });
        if let Some(path) = &old {
            let text = format!("the project was moved, and the image contains its old path {path}");
            self.engine.reporter.note(text);
        }
        old.is_some()
    }

    /// Replays the recorded statements in a running Julia and runs the workloads there, to find the
    /// statements that have no effect as printed. Their alternative readings are then tried in the
    /// first emission already. Does nothing if that was done before: each emission needs it, whichever
    /// command asks for it.
    pub(super) async fn rehearse_statements(&self, traced: &mut Traced) -> Result<(), Failure> {
        if traced.rehearsed || traced.of_workloads().is_empty() {
            return Ok(());
        }
        traced.rehearsed = true;
        // One kind of output suffices: how a type is printed does not depend on the output.
        if let Some(run) = self.rehearse(traced, On::Base, &[OutputKind::Pipe]).await {
            traced.mark_ineffective(&run.compiled);
        }
        // The record keeps its fingerprint: nothing was traced again.
        let work = &self.context.work;
        let fingerprint = work.recorded_fingerprint("trace")?;
        Ok(work.record("trace", &fingerprint, &[], traced)?)
    }

    /// Replays statements, and returns what the workloads do after that; `None` if that is not known.
    async fn rehearse(
        &self,
        traced: &Traced,
        on: On<'_>,
        outputs: &[OutputKind],
    ) -> Option<Rehearsed> {
        let workloads = self.workloads();
        let statements = traced.of_workloads();
        if workloads.is_empty() {
            return None;
        }
        let emission = Emission {
            packages: &self.packages,
            import_into_main: self.options.emit.import_into_main,
            interactive: &[],
            code: None,
            statements: &statements,
            given: &traced.given.iter().cloned().collect(),
            known: &self.known_packages(),
            ineffective: &traced.ineffective,
            execute: &[],
            script: None,
            cpu_target: &self.build.cpu.target,
            julia_options: &self.options.emit.julia_options,
            image_threads: None,
            script_limit: None,
            expected: None,
            strict: false,
        };
        emit::rehearse(&self.context, &emission, on, &workloads, outputs).await
    }

    /// Runs the workloads on the image after the statements of the last emission, and again after
    /// those of the next one, as far as they concern the residuals. `None` if a process fails.
    async fn trial(
        &self,
        last: &Traced,
        next: &Traced,
        residuals: &[String],
        outputs: &[OutputKind],
    ) -> Option<Trial> {
        let image = self.image();
        let last = last.only(residuals);
        let as_emitted = self.rehearse(&last, On::Image(&image), outputs).await?;
        if !residuals
            .iter()
            .any(|text| as_emitted.compiled.contains(text))
        {
            // Nothing is left that the statements of the next emission could remove.
            return Some(Trial::default());
        }
        let next = next.only(residuals);
        let as_planned = self.rehearse(&next, On::Image(&image), outputs).await?;
        Some(Trial {
            as_emitted,
            as_planned,
        })
    }

    /// Returns the statements for another emission, if it would help. They are tried on the image,
    /// which takes seconds, before an emission takes minutes.
    async fn next_round(
        &self,
        traced: &Traced,
        record: &CheckRecord,
    ) -> Result<Option<Traced>, Failure> {
        let residuals = &record.residuals;
        let reporter = &self.engine.reporter;
        let left = counted(residuals.len(), "statement");
        if !residuals_cost_enough(residuals, &record.costs_ms) {
            if !residuals.is_empty() {
                let ms: f64 = residuals
                    .iter()
                    .filter_map(|text| record.costs_ms.get(text))
                    .sum();
                reporter.note(format!(
                    "running the workloads still compiles {left}, in {ms:.0} ms, which is not worth \
                     another emission"
                ));
            }
            return Ok(None);
        }
        // Another round does not help with statements that could not be replayed or that crash
        // Julia.
        let emitted: Emitted = self.context.work.recorded("emit")?;
        let failed = emitted.statements.failed.iter();
        let lost: HashSet<&String> = failed.map(|lost| &lost.statement).collect();
        let curable = residuals.iter().filter(|text| !lost.contains(text));
        let curable: Vec<String> = curable.cloned().collect();
        let Some(next) = traced.next(&curable, &record.rounds) else {
            return Ok(None);
        };
        let with_residuals = record
            .outputs
            .iter()
            .filter(|one| !one.residuals.is_empty());
        let outputs: Vec<OutputKind> = with_residuals.map(|one| one.output).collect();
        let trial = self.trial(traced, &next, &curable, &outputs).await;
        let trial = trial.unwrap_or_default();
        let Some(next) = traced.next(&trial.cured(&curable), &record.rounds) else {
            reporter.note(format!(
                "running the workloads still compiles {left}, and no other form of the statements helps"
            ));
            return Ok(None);
        };
        let mut saved_ms = trial.saved_ms();
        for _ in 0..REPEATS {
            if !rounds::saves_enough(saved_ms) {
                break;
            }
            let again = self.trial(traced, &next, &curable, &outputs).await;
            saved_ms = saved_ms.min(again.unwrap_or_default().saved_ms());
        }
        if !rounds::saves_enough(saved_ms) {
            reporter.note(format!(
                "running the workloads still compiles {left}; another emission would save \
                 {saved_ms:.0} ms of each run, which is not worth it"
            ));
            return Ok(None);
        }
        reporter.note(format!(
            "running the workloads still compiles {left}: once more, with {} added and {} tried in \
             other ways",
            next.statements.len() - traced.statements.len(),
            next.ineffective.len() - traced.ineffective.len()
        ));
        Ok(Some(next))
    }

    /// Returns the result of a step in an earlier run, if its fingerprint has not changed since.
    fn load_cached<T: serde::de::DeserializeOwned>(
        &self,
        step: Step,
        fingerprint: &Fingerprint,
        force: bool,
    ) -> Option<T> {
        if force {
            return None;
        }
        let name = match step {
            Step::Trace => "trace",
            Step::Emit => "emit",
            Step::Link => "link",
            Step::Measure => WITHOUT,
            _ => "check",
        };
        match self.context.work.fresh(name, fingerprint) {
            Ok(result) => {
                let task = self.context.reporter.start(step, self.build.id.to_string());
                task.reused("nothing that decides it has changed");
                Some(result)
            }
            Err(reasons) => {
                if self.explain {
                    let reasons = match reasons.as_slice() {
                        [] => "not done before".to_owned(),
                        some => some.join(", "),
                    };
                    self.engine.reporter.note(format!("{step}: {reasons}"));
                }
                None
            }
        }
    }
}
