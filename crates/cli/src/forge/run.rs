//! Every step of a build in order, as `sysforge build` takes them.

use std::path::Path;

use sysforge_build::emit::Emitted;
use sysforge_build::inputs::{Basis, Stage};
use sysforge_build::measure::Measured;
use sysforge_build::rounds::Traced;
use sysforge_pack::Packed;
use sysforge_plan::link::Linked;
use sysforge_plan::{Receipt, Step};

use super::packing::Checked;
use super::{Forge, WITHOUT, counted};
use crate::failure::Failure;

impl Forge<'_> {
    /// Every step, in order; what an earlier time left and nothing has changed is taken over, unless
    /// `afresh`.
    pub(crate) async fn run(
        &mut self,
        dist: &Path,
        afresh: bool,
    ) -> Result<(Packed, Receipt), Failure> {
        self.find_linker()?;
        let basis = self.basis.up_to(Stage::Trace);
        let mut traced = match self.left::<Traced>(Step::Trace, &basis, afresh) {
            Some(traced) => traced,
            None => self.trace().await?,
        };
        if self
            .left::<Measured>(Step::Measure, &basis, afresh)
            .is_none()
        {
            self.measure_without_image().await?;
        }
        let limit = self.driving.rounds.unwrap_or(self.build.settings.rounds);
        let mut rounds = Vec::new();
        loop {
            let basis = self.emit_basis(Stage::Emit, &traced);
            if self.left::<Emitted>(Step::Emit, &basis, afresh).is_none() {
                self.emit().await?;
            }
            let basis = self.emit_basis(Stage::Link, &traced);
            if self.left::<Linked>(Step::Link, &basis, afresh).is_none() {
                self.link().await?;
            }
            let Some(checked) = self.left::<Checked>(Step::Check, &basis, afresh) else {
                let mut record = self.check(&self.image()).await?;
                rounds.push(record.residuals.len());
                record.rounds.clone_from(&rounds);
                // What could not be replayed, or crashes Julia, another round does not cure.
                let emitted: Emitted = self.context.work.recorded("emit")?;
                let lost = |text: &String| {
                    let mut failed = emitted.statements.failed.iter();
                    failed.any(|lost| lost.statement == *text)
                };
                let curable = record.residuals.iter().filter(|text| !lost(text)).cloned();
                let curable: Vec<String> = curable.collect();
                let next = traced.next(&curable, &rounds);
                match next.filter(|_| u32::try_from(rounds.len()).is_ok_and(|n| n < limit)) {
                    Some(next) => {
                        self.session.reporter.note(format!(
                            "running the workloads still compiles {}: once more, with {} added and \
                             {} tried in other ways",
                            counted(record.residuals.len(), "statement"),
                            next.statements.len() - traced.statements.len(),
                            next.stubborn.len() - traced.stubborn.len()
                        ));
                        traced = next;
                        self.record_trace(&traced)?;
                        continue;
                    }
                    None => self.record_check(&record)?,
                }
                return self.pack(dist).await;
            };
            self.timings = checked.timings;
            return self.pack(dist).await;
        }
    }

    /// What an earlier time left of a step, if nothing that decides it has changed since.
    fn left<T: serde::de::DeserializeOwned>(
        &self,
        step: Step,
        basis: &Basis,
        afresh: bool,
    ) -> Option<T> {
        if afresh {
            return None;
        }
        let name = match step {
            Step::Trace => "trace",
            Step::Emit => "emit",
            Step::Link => "link",
            Step::Measure => WITHOUT,
            _ => "check",
        };
        match self.context.work.fresh(name, basis) {
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
                    self.session.reporter.note(format!("{step}: {reasons}"));
                }
                None
            }
        }
    }
}
