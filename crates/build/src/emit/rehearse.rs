//! Rehearses an emission: in a running Julia, in seconds instead of minutes, statements are
//! replayed and then the workloads run under `--trace-compile`. An image with these statements
//! would lack the code that is still compiled and contain the rest.

use std::fmt::Display;
use std::path::Path;

use futures_util::{StreamExt, stream};
use sysforge_plan::text::counted;
use sysforge_plan::{OutputKind, statements};

use super::{Emission, Staging, job, push_line, records, report, write_scripts};
use crate::context::{Context, shown};
use crate::script::Script;
use crate::trace::On;

/// The function that the staging script calls between the statements and the workload. It marks the
/// start of the workload in the recording, because replaying also records statements.
const MARK: &str = "sysforge_workload_begins";

/// What the workloads did after statements were replayed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rehearsed {
    /// The statements that they still compiled.
    pub compiled: Vec<String>,
    /// How long each of them ran, compilation included, with each kind of output, in milliseconds.
    pub run_ms: Vec<f64>,
}

/// Replays the statements of `emission` and runs each workload with each kind of output, each in
/// its own process. Returns `None` if a process fails and nothing is known.
pub async fn rehearse(
    context: &Context,
    emission: &Emission<'_>,
    on: On<'_>,
    workloads: &[Script],
    outputs: &[OutputKind],
) -> Option<Rehearsed> {
    let work = &context.work;
    let list = records(emission, &report::LeftOut::new());
    let written = write_scripts(work).and_then(|_| work.write("rehearsal.list", &list));
    let list = written.inspect_err(|error| {
        let text = "statements without effect are found only after the emission";
        context.reporter.note(format!("{text}: {error}"));
    });
    let list = list.ok()?;
    let runs = workloads.iter().enumerate().flat_map(|(index, workload)| {
        let outputs = outputs.iter();
        outputs.map(move |output| (index, workload, *output))
    });
    let runs: Vec<_> = runs.collect();
    let cpus = usize::try_from(context.julia.cpu_threads).unwrap_or(1);
    let recordings: Vec<Option<(String, f64)>> = stream::iter(&runs)
        .map(|(index, workload, output)| {
            let name = format!("rehearsal-{index}-{}", output.word());
            one(context, emission, on, workload, *output, &list, name)
        })
        .buffered(cpus.max(1))
        .collect()
        .await;
    let recordings: Option<Vec<(String, f64)>> = recordings.into_iter().collect();
    let (recordings, run_ms): (Vec<_>, Vec<_>) = recordings?.into_iter().unzip();
    Some(Rehearsed {
        compiled: statements::parse(&recordings.concat()),
        run_ms,
    })
}

/// Runs one process. Returns what it compiled since the workload began, and how long the workload
/// ran, in milliseconds.
async fn one(
    context: &Context,
    emission: &Emission<'_>,
    on: On<'_>,
    workload: &Script,
    output: OutputKind,
    list: &Path,
    name: String,
) -> Option<(String, f64)> {
    let subject = format!(
        "rehearse {}, output to {output}",
        shown(&workload.path, &context.project)
    );
    let failed = |why: String| {
        context.reporter.note(format!(
            "{subject}, failed: statements without effect are found only after the emission: {why}"
        ));
    };
    let work = &context.work;
    let files = ["jl", "tsv", "ms"].map(|extension| format!("{name}.{extension}"));
    let forgotten = work.forget(&files.each_ref().map(String::as_str));
    forgotten.map_err(|error| failed(error.to_string())).ok()?;
    let [recording, report, run_time] = files.map(|file| work.path(file));
    let mut job = job(context, emission, list, &report, Staging::Replay);
    let path = workload.path.display();
    let arguments = workload.args.iter().map(|one| one as &dyn Display);
    let words: Vec<_> = std::iter::once(&path as &dyn Display)
        .chain(arguments)
        .collect();
    push_line(&mut job, "rehearse", &words);
    push_line(&mut job, "run-time", &[&run_time.display()]);
    let job = work.write(&format!("{name}.job"), &job);
    let job = job.map_err(|error| failed(error.to_string())).ok()?;
    let program = match on {
        On::Base => {
            let base = context.base.as_ref().unwrap_or(&context.julia.base_image);
            context
                .julia(context.environment.for_julia(), &name)
                .args(context.recording())
                .args(emission.options())
                .option("--sysimage", base)
        }
        On::Image(image) => context
            .julia(context.clean_environment_of(workload), &name)
            .option("--sysimage", image),
    };
    let program = program
        .output(output)
        .option("--trace-compile", &recording)
        .args(&workload.options)
        .arg(work.path("launch.jl"))
        .arg(work.path("stage.jl"))
        .arg(&job)
        .prefixed(&workload.prefix)
        .directory(&context.project);
    let task = context.reporter.start(on.step(), subject.clone());
    let ended = context.children.run(&program, &task).await;
    ended.map_err(|error| failed(error.to_string())).ok()?;
    let text = sysforge_files::read_text(&recording)
        .map_err(|error| failed(error.to_string()))
        .ok()?;
    let Some(workload) = after_mark(&text) else {
        failed("the workload was not reached".to_owned());
        return None;
    };
    let run_time = sysforge_files::read_text(&run_time)
        .map_err(|error| failed(error.to_string()))
        .ok()?;
    let run_ms = run_time.trim().parse().ok()?;
    let count = statements::parse(&workload).len();
    task.done(format!("{} still compiled", counted(count, "statement")));
    Some((workload, run_ms))
}

/// Returns the lines after the mark, or `None` if it was not reached.
fn after_mark(text: &str) -> Option<String> {
    let mut lines = text.lines().skip_while(|line| !line.contains(MARK));
    lines.next()?;
    Some(lines.map(|line| format!("{line}\n")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_replaying_records_is_not_the_workloads() {
        let text = "precompile(Tuple{typeof(a)})\n\
                    precompile(Tuple{typeof(Main.S.sysforge_workload_begins), Int64})\n\
                    precompile(Tuple{typeof(b)})\n";
        let rest = after_mark(text).unwrap();
        assert_eq!(rest, "precompile(Tuple{typeof(b)})\n");
        assert_eq!(after_mark("precompile(Tuple{typeof(a)})\n"), None);
    }
}
