//! A benchmark as a table and as JSON.

use serde::Serialize;

use crate::table::table;
use crate::{Figures, Report, Sample};
use sysforge_plan::units;

/// Figures with and without an image: the samples, and their medians.
#[derive(Debug, Serialize)]
pub struct Comparison {
    build_id: String,
    samples: usize,
    without: Medians,
    with: Medians,
    first_over_second: Option<f64>,
    first_call_speedup: Option<f64>,
    residual_statements: usize,
    runs_without: Vec<Medians>,
    runs_with: Vec<Medians>,
}

/// The medians; see [`Figures`].
#[derive(Debug, Serialize)]
struct Medians {
    startup_s: f64,
    load_s: f64,
    first_call_s: Option<f64>,
    second_call_s: Option<f64>,
    start_memory_bytes: u64,
    peak_memory_bytes: u64,
}

impl From<Figures> for Medians {
    fn from(figures: Figures) -> Self {
        Self {
            startup_s: figures.startup_s,
            load_s: figures.load_s,
            first_call_s: figures.first_call_s,
            second_call_s: figures.second_call_s,
            start_memory_bytes: figures.start_memory,
            peak_memory_bytes: figures.peak_memory,
        }
    }
}

impl Comparison {
    /// Creates the comparison from a report.
    pub fn of(report: &Report) -> Self {
        let (without, with) = (
            Figures::median(&report.without),
            Figures::median(&report.with),
        );
        let runs = |samples: &[Sample]| {
            let each = samples.iter().map(|sample| Figures::median(&[*sample]));
            each.map(Medians::from).collect()
        };
        Self {
            build_id: report.build_id.clone(),
            samples: report.with.len(),
            first_over_second: with.first_over_second(),
            first_call_speedup: speedup(&without, &with),
            without: without.into(),
            with: with.into(),
            residual_statements: report.residuals.len(),
            runs_without: runs(&report.without),
            runs_with: runs(&report.with),
        }
    }
}

fn speedup(without: &Figures, with: &Figures) -> Option<f64> {
    Some(without.first_call_s? / with.first_call_s?.max(1e-9))
}

impl Report {
    /// Returns the medians as a table of at most 60 columns.
    pub fn table(&self) -> String {
        let (without, with) = (Figures::median(&self.without), Figures::median(&self.with));
        let head = ["", "without the image", "with the image"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        let mut row = |name: &str, figure: &dyn Fn(&Figures) -> Option<String>| {
            if let (Some(without), Some(with)) = (figure(&without), figure(&with)) {
                rows.push(vec![name.to_owned(), without, with]);
            }
        };
        row("start-up", &|f| Some(units::duration(f.startup_s)));
        row("load", &|f| Some(units::duration(f.load_s)));
        row("first call", &|f| f.first_call_s.map(units::duration));
        row("second call", &|f| f.second_call_s.map(units::duration));
        row("first ÷ second", &|f| {
            f.first_over_second().map(units::ratio)
        });
        row("memory at the start", &|f| {
            Some(units::bytes(f.start_memory))
        });
        row("memory at most", &|f| Some(units::bytes(f.peak_memory)));
        rows.extend(self.interactive().map(|(name, without, with)| {
            let cells = [
                name.to_owned(),
                units::duration(without),
                units::duration(with),
            ];
            cells.to_vec()
        }));
        table(&rows)
    }

    /// Returns the waiting times of an interactive session, which the check measured, without and
    /// with the image.
    pub(crate) fn interactive(&self) -> impl Iterator<Item = (&'static str, f64, f64)> {
        let receipt = self.receipt.as_ref();
        let measured = receipt.and_then(|receipt| receipt.check.interactive);
        measured.into_iter().flat_map(|times| {
            [
                (
                    "first prompt",
                    times.first_prompt_without_image_s,
                    times.first_prompt_s,
                ),
                (
                    "first `using Pkg`",
                    times.using_pkg_without_image_s,
                    times.using_pkg_s,
                ),
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(calls: [Option<(f64, f64)>; 2]) -> Report {
        let sample = |startup_s, load_s, calls_s: Option<(f64, f64)>, memory| Sample {
            startup_s,
            load_s,
            first_call_s: calls_s.map(|calls| calls.0),
            second_call_s: calls_s.map(|calls| calls.1),
            start_memory: memory,
            peak_memory: memory * 2,
        };
        Report {
            build_id: "x".to_owned(),
            julia: "Julia 1.5.3".to_owned(),
            without: vec![sample(0.21, 0.39, calls[0], 150_000_000)],
            with: vec![sample(0.18, 0.0005, calls[1], 180_000_000)],
            residuals: Vec::new(),
            sections: Vec::new(),
            receipt: None,
            bundles: Vec::new(),
        }
    }

    #[test]
    fn the_waiting_times_of_a_session_are_those_of_the_receipt() {
        let mut report = report([None, None]);
        let receipt = include_str!("../tests/receipt.json");
        let mut receipt = sysforge_plan::Receipt::from_json(receipt).unwrap();
        assert!(!report.table().contains("prompt"));
        receipt.check.interactive = Some(sysforge_plan::receipt::Interactive {
            first_prompt_s: 0.29,
            first_prompt_without_image_s: 0.42,
            using_pkg_s: 0.3,
            using_pkg_without_image_s: 0.69,
        });
        report.receipt = Some(receipt);
        let table = report.table();
        let line = |name: &str| {
            let line = table.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(line("first prompt"), "first prompt 420.0 ms 290.0 ms");
        assert_eq!(line("first `using"), "first `using Pkg` 690.0 ms 300.0 ms");
    }

    #[test]
    fn the_table_lines_up() {
        let report = report([Some((6.5, 0.015)), Some((0.018, 0.0156))]);
        insta::assert_snapshot!(report.table());
    }

    #[test]
    fn without_a_workload_there_are_no_calls() {
        let report = report([None, None]);
        insta::assert_snapshot!(report.table());
        let json = serde_json::to_value(Comparison::of(&report)).unwrap();
        assert_eq!(json["first_over_second"], serde_json::Value::Null);
    }
}
