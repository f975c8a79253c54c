//! Measures what a user waits for: loading the packages, and the first and second run of the
//! workloads; also memory. Works with or without an image. No other work of a build may run at the
//! same time.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sysforge_plan::Step;
use sysforge_plan::plan::RequestedPackage;
use sysforge_plan::receipt::Latency;

use crate::check::error::CheckError;
use crate::context::{Context, shown};
use crate::script::RUN_SCRIPT;
use crate::script::Script;
use sysforge_process::ProcessError;

const MEASURE: &str = include_str!("julia/measure.jl");
/// The file written by a measuring process.
const RESULT: &str = "measured.tsv";

/// The results of new processes, one for each workload.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Names of the modules loaded at the start.
    pub loaded: Vec<String>,
    /// Loading the packages, in seconds: the median over the processes.
    pub load_s: f64,
    /// The first runs of the workloads, in seconds, each in its own process; `None` if there is no
    /// workload or one could not be measured.
    pub first_call_s: Option<f64>,
    /// The second runs, each in the same process as the first.
    pub second_call_s: Option<f64>,
    /// Resident memory directly after the start, in bytes.
    pub start_bytes: u64,
    /// Peak resident memory until the end of the second run, in bytes.
    pub peak_bytes: u64,
    /// The runs that could not be measured.
    pub unmeasured: BTreeSet<Unmeasured>,
}

/// A run of a workload that could not be measured.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Unmeasured {
    /// The workload, relative to the project.
    pub workload: String,
    /// The reason.
    pub why: WhyNot,
}

/// The reason why a run could not be measured.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum WhyNot {
    /// The process ended during the first run, without an error and without running Julia's exit
    /// hooks.
    EndedJulia,
    /// It cannot run a second time in the same process.
    SecondRun(String),
}

impl fmt::Display for Unmeasured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { workload, why } = self;
        match why {
            WhyNot::EndedJulia => write!(
                f,
                "the workload `{workload}` ends Julia in a way that cannot be measured: there are no \
                 figures of its calls"
            ),
            WhyNot::SecondRun(reason) => write!(
                f,
                "the workload `{workload}` fails the second time it runs in one process, so there is \
                 no figure of a second call: {reason}"
            ),
        }
    }
}

impl Unmeasured {
    /// Returns what to do about it.
    pub fn hint(&self) -> &'static str {
        match self.why {
            WhyNot::EndedJulia => {
                "end it with `exit()`, which can be measured, or by its last line"
            }
            WhyNot::SecondRun(_) => {
                "the image is not affected; a workload that leaves nothing behind can run again"
            }
        }
    }
}

impl Measured {
    /// Returns the latency, if the calls of a workload could be measured.
    pub fn latency(&self) -> Option<Latency> {
        Some(Latency {
            load_s: self.load_s,
            first_call_s: self.first_call_s?,
            second_call_s: self.second_call_s,
        })
    }
}

/// Runs each workload twice in its own new process, sequentially, with `image` or without one.
/// Without a workload, only the packages are loaded.
///
/// # Errors
///
/// If a process fails before the second run of its workload.
pub async fn measure(
    context: &Context,
    image: Option<&Path>,
    packages: &[RequestedPackage],
    workloads: &[Script],
) -> Result<Measured, CheckError> {
    context.work.write("script.jl", RUN_SCRIPT)?;
    context.work.write("measure.jl", MEASURE)?;
    context.work.write("empty.jl", "")?;
    let step = match image {
        Some(_) => Step::Check,
        None => Step::Measure,
    };
    let task = context.reporter.start(step, "load and run");
    let mut all = Vec::new();
    if workloads.is_empty() {
        all.push(process(context, image, packages, None, &task).await?);
    }
    for workload in workloads {
        all.push(process(context, image, packages, Some(workload), &task).await?);
    }
    let measured = together(all);
    let load = format!("load {:.4} s", measured.load_s);
    task.done(match (measured.first_call_s, measured.second_call_s) {
        (Some(first), Some(second)) => {
            format!("{load}, first call {first:.3} s, second {second:.3} s")
        }
        (Some(first), None) => format!("{load}, first call {first:.3} s"),
        (None, _) => load,
    });
    Ok(measured)
}

/// Runs one process, with at most one workload.
async fn process(
    context: &Context,
    image: Option<&Path>,
    packages: &[RequestedPackage],
    workload: Option<&Script>,
    task: &sysforge_plan::Task,
) -> Result<Measured, CheckError> {
    context.work.forget(&[RESULT])?;
    let result = context.work.path(RESULT);
    let log = match image {
        Some(_) => "check",
        None => "baseline",
    };
    let environment = match workload {
        Some(workload) => context.clean_environment_of(workload),
        None => context.clean_environment(),
    };
    let program = context
        .julia(environment, log)
        .optional("--sysimage", image)
        .arg(context.work.path("measure.jl"))
        .arg(&result)
        .arg(packages.len().to_string())
        .args(packages.iter().map(|package| &package.name))
        .args(workload.map(|workload| &workload.path))
        .args(workload.iter().flat_map(|workload| &workload.args))
        .prefixed(workload.map_or(&[], |workload| &workload.prefix))
        .directory(&context.project);
    let ran = context.children.run(&program, task).await;
    let text = sysforge_files::read_text(&result).unwrap_or_default();
    let mut measured = read(&text);
    let Some(workload) = workload else {
        return match ran {
            Ok(_) => Ok(measured),
            Err(source) => Err(failed(image, source)),
        };
    };
    let why = match ran {
        // The first run succeeded; the second may have ended in any way, including by a signal.
        Err(source) if measured.first_call_s.is_some() => {
            measured.second_call_s = None;
            Some(WhyNot::SecondRun(source.to_string()))
        }
        Err(source) => return Err(failed(image, source)),
        Ok(_) if measured.first_call_s.is_none() => Some(WhyNot::EndedJulia),
        Ok(_) if measured.second_call_s.is_none() => {
            let said = value(&text, "second_failed");
            let ended = "the process ended in the middle of it";
            Some(WhyNot::SecondRun(said.unwrap_or(ended).to_owned()))
        }
        Ok(_) => None,
    };
    measured.unmeasured.extend(why.map(|why| Unmeasured {
        workload: shown(&workload.path, &context.project),
        why,
    }));
    Ok(measured)
}

/// Explains why a measured Julia, with this image or without one, failed.
pub(crate) fn failed(image: Option<&Path>, source: ProcessError) -> CheckError {
    match image {
        Some(image) => CheckError::refused(image, source),
        None => CheckError::Baseline { source },
    }
}

/// Combines the results of all processes: the waiting time of a user who runs each workload once.
fn together(all: Vec<Measured>) -> Measured {
    let mut loads: Vec<f64> = all.iter().map(|one| one.load_s).collect();
    loads.sort_by(f64::total_cmp);
    let sum = |figure: fn(&Measured) -> Option<f64>| all.iter().map(figure).sum::<Option<f64>>();
    let most = |figure: fn(&Measured) -> u64| all.iter().map(figure).max().unwrap_or_default();
    Measured {
        load_s: loads.get(loads.len() / 2).copied().unwrap_or_default(),
        first_call_s: sum(|one| one.first_call_s),
        second_call_s: sum(|one| one.second_call_s),
        start_bytes: most(|one| one.start_bytes),
        peak_bytes: most(|one| one.peak_bytes),
        unmeasured: all.iter().flat_map(|one| one.unmeasured.clone()).collect(),
        loaded: all.into_iter().next().unwrap_or_default().loaded,
    }
}

/// Returns the last value of a key in the file written by the measuring script.
fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let mut lines = text.lines().rev().filter_map(|line| line.split_once('\t'));
    lines.find(|(k, _)| *k == key).map(|(_, value)| value)
}

fn read(text: &str) -> Measured {
    let seconds = |key| Some(value(text, key)?.parse::<f64>().ok()? / 1e9);
    let bytes = |key| value(text, key).and_then(|bytes| bytes.parse().ok());
    let lines = text.lines().filter_map(|line| line.split_once('\t'));
    let loaded = lines.filter(|(key, _)| *key == "loaded");
    Measured {
        loaded: loaded.map(|(_, name)| name.to_owned()).collect(),
        load_s: seconds("load_ns").unwrap_or_default(),
        first_call_s: seconds("first_ns"),
        second_call_s: seconds("second_ns"),
        start_bytes: bytes("start_bytes").unwrap_or_default(),
        peak_bytes: bytes("peak_bytes").unwrap_or_default(),
        unmeasured: BTreeSet::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_script_writes() {
        let measured = read(
            "start_bytes\t170000000\nloaded\tDates\nloaded\tCore\nload_ns\t1500000\n\
             peak_bytes\t180000000\nrun\tfirst\nfirst_ns\t2000000000\npeak_bytes\t250000000\n\
             run\tsecond\nsecond_ns\t1000000000\npeak_bytes\t260000000\n",
        );
        assert_eq!(
            (measured.start_bytes, measured.peak_bytes),
            (170_000_000, 260_000_000)
        );
        assert_eq!(measured.loaded, ["Dates", "Core"]);
        let calls = (measured.first_call_s, measured.second_call_s);
        assert_eq!(calls, (Some(2.0), Some(1.0)));
        assert_eq!(read("load_ns\t1\n").latency(), None);
    }

    #[test]
    fn a_figure_that_one_workload_lacks_is_not_the_sum_of_the_others() {
        let one = |load_s, second_call_s| Measured {
            load_s,
            first_call_s: Some(1.0),
            second_call_s,
            ..Measured::default()
        };
        let all = together(vec![
            one(3.0, Some(0.5)),
            one(1.0, None),
            one(2.0, Some(0.5)),
        ]);
        assert_eq!(all.first_call_s, Some(3.0));
        assert_eq!(all.second_call_s, None);
        assert!((all.load_s - 2.0).abs() < f64::EPSILON);
    }
}
