//! The job summary on a run's page. It is written whether the job succeeded or failed.

use std::fmt::Write as _;

use sysforge_plan::text::{Rule as _, WebAddress, escaped_lines, markdown};
use sysforge_plan::units::{bytes, duration};
use sysforge_plan::{Receipt, Sha256};

/// Maximum size of a summary in bytes: GitHub's limit of 1 MiB, less the space for a final note.
const LIMIT: usize = (1 << 20) - 4096;

/// Maximum number of residual statements listed for one image.
const MAX_RESIDUALS: usize = 50;

/// A finished image.
#[derive(Debug, Clone)]
pub struct Image {
    /// Its receipt.
    pub receipt: Receipt,
    /// The size of the archive in bytes.
    pub size: u64,
    /// The archive's digest.
    pub sha256: Sha256,
    /// Whether it existed before this run.
    pub reused: bool,
}

/// A failure.
#[derive(Debug, Clone, Default)]
pub struct Failed {
    /// What failed, for example a build identifier.
    pub subject: String,
    /// The error and its causes, outermost first.
    pub causes: Vec<String>,
    /// The position as `file:line`, if known.
    pub place: Option<String>,
    /// The last lines of the child process that failed.
    pub tail: Vec<String>,
    /// Hints for the user.
    pub hints: Vec<String>,
}

/// Returns the summary of a build job.
pub fn build(images: &[Image], failed: Option<&Failed>) -> String {
    let mut text = String::new();
    if let Some(failed) = failed {
        text.push_str(&failure(failed));
    }
    if !images.is_empty() {
        table(&mut text, images);
        chart(&mut text, images);
        timings(&mut text, images);
        for image in images {
            residuals(&mut text, &image.receipt);
        }
    }
    shorten(text)
}

/// Returns the summary of a failed job.
pub fn failure(failed: &Failed) -> String {
    let mut text = format!("## Failed: {}\n\n", inline(&failed.subject));
    for (depth, cause) in failed.causes.iter().enumerate() {
        let word = if depth == 0 { "" } else { "cause: " };
        let _ = writeln!(text, "{word}{}\n", inline(cause));
    }
    if let Some(place) = &failed.place {
        let _ = writeln!(text, "at {}\n", code(place));
    }
    if !failed.tail.is_empty() {
        text.push_str("Its last lines:\n\n");
        fenced(&mut text, &failed.tail);
    }
    for hint in &failed.hints {
        let _ = writeln!(text, "- hint: {}", inline(hint));
    }
    if !failed.hints.is_empty() {
        text.push('\n');
    }
    shorten(text)
}

/// Returns the summary of a job that uploads images to a draft, or publishes it. `missing` are
/// planned builds that it lacks.
pub fn release(heading: &str, place: &str, present: &[String], missing: &[String]) -> String {
    let linked = WebAddress::check(place).is_ok() && place.starts_with("http");
    let place = match linked {
        true => format!("<{place}>"),
        false => code(place),
    };
    let mut text = format!("## {}\n\n{place}\n\n", inline(heading));
    for build in present {
        let _ = writeln!(text, "- {}", inline(build));
    }
    if !missing.is_empty() {
        text.push_str(
            "\n**It stays a draft**, because these builds are missing; their jobs show why. Run the \
             failed jobs again to complete it:\n\n",
        );
        for build in missing {
            let _ = writeln!(text, "- missing: {}", inline(build));
        }
    }
    text.push('\n');
    shorten(text)
}

/// Returns the summary of a plan.
pub fn plan(tag: Option<&str>, matrix: &sysforge_plan::matrix::Matrix, notes: &[String]) -> String {
    let mut text = match tag {
        Some(tag) => format!("## Plan for {}\n\n", inline(tag)),
        None => "## Plan (build and check only)\n\n".to_owned(),
    };
    if !matrix.legs.is_empty() {
        text.push_str("| builds | runner | Julia | time limit |\n|---|---|---|---:|\n");
    }
    for leg in &matrix.legs {
        let builds: Vec<_> = leg.builds.split(' ').map(inline).collect();
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} min |",
            builds.join("<br>"),
            inline(&leg.runner),
            leg.julia,
            leg.timeout
        );
    }
    for build in &matrix.existing {
        let _ = writeln!(text, "\nalready there: {}", inline(build.as_str()));
    }
    for note in notes {
        let _ = writeln!(text, "\n{}", inline(note));
    }
    text.push('\n');
    shorten(text)
}

fn table(text: &mut String, images: &[Image]) {
    text.push_str(
        "## Images\n\n| build | image | archive | SHA-256 of the archive | load | first call | \
         second call | residuals |\n|---|---:|---:|---|---:|---:|---:|---:|\n",
    );
    for image in images {
        let receipt = &image.receipt;
        let latency = receipt
            .check
            .latency
            .map_or(["not measured"; 3].map(str::to_owned), |l| {
                let second = l.second_call_s.map_or("not measured".to_owned(), duration);
                [duration(l.load_s), duration(l.first_call_s), second]
            });
        let reused = if image.reused { " (was there)" } else { "" };
        let _ = writeln!(
            text,
            "| {}{reused} | {} | {} | `{}` | {} | {} |",
            inline(receipt.build_id.as_str()),
            bytes(receipt.image.size),
            bytes(image.size),
            image.sha256,
            latency.join(" | "),
            receipt.check.residuals.len(),
        );
    }
    text.push('\n');
}

/// Adds a chart that GitHub renders: bars for the first call, a line for the second.
fn chart(text: &mut String, images: &[Image]) {
    let measured = images
        .iter()
        .filter_map(|image| Some((&image.receipt, image.receipt.check.latency?)))
        .filter(|(_, latency)| latency.second_call_s.is_some());
    let measured: Vec<_> = measured.collect();
    if measured.is_empty() {
        return;
    }
    let list = |of: fn(&sysforge_plan::receipt::Latency) -> f64| {
        let values = measured
            .iter()
            .map(|(_, latency)| format!("{:.1}", of(latency) * 1e3));
        values.collect::<Vec<_>>().join(", ")
    };
    let names: Vec<_> = measured
        .iter()
        .map(|(receipt, _)| {
            let tier = receipt
                .targets
                .tier
                .as_deref()
                .map(|tier| format!(" {tier}"));
            let name = format!(
                "{} {}{}",
                receipt.julia.version,
                receipt.julia.triplet,
                tier.unwrap_or_default()
            );
            format!("\"{}\"", name.replace(['"', '`', '\n'], "'"))
        })
        .collect();
    let _ = writeln!(
        text,
        "```mermaid\nxychart-beta\n    title \"First call (bars) and second call (line), in \
         milliseconds\"\n    x-axis [{}]\n    y-axis \"ms\"\n    bar [{}]\n    line [{}]\n```\n",
        names.join(", "),
        list(|latency| latency.first_call_s),
        list(|latency| latency.second_call_s.unwrap_or_default()),
    );
}

fn timings(text: &mut String, images: &[Image]) {
    text.push_str(
        "<details><summary>How long each step took</summary>\n\n\
         | build | step | time | most memory |\n|---|---|---:|---:|\n",
    );
    for image in images {
        for timing in &image.receipt.timings {
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} |",
                inline(image.receipt.build_id.as_str()),
                timing.step,
                duration(timing.seconds),
                timing.peak_memory.map(bytes).unwrap_or_default(),
            );
        }
    }
    text.push_str("\n</details>\n\n");
}

fn residuals(text: &mut String, receipt: &Receipt) {
    let all = &receipt.check.residuals;
    if all.is_empty() {
        return;
    }
    let _ = writeln!(
        text,
        "<details><summary>What {} still compiles ({})</summary>\n",
        inline(receipt.build_id.as_str()),
        all.len()
    );
    fenced(text, &all[..all.len().min(MAX_RESIDUALS)]);
    if all.len() > MAX_RESIDUALS {
        let _ = writeln!(
            text,
            "… and {} more: the receipt lists them\n",
            all.len() - MAX_RESIDUALS
        );
    }
    text.push_str("</details>\n\n");
}

/// Adds lines in a code block whose fence does not occur in them.
fn fenced(text: &mut String, lines: &[String]) {
    let longest = lines
        .iter()
        .flat_map(|line| line.split(|c| c != '`').map(str::len))
        .max()
        .unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    let _ = writeln!(text, "{fence}text\n{}\n{fence}\n", lines.join("\n"));
}

/// Escapes Markdown in a text; text in backticks remains code.
fn inline(text: &str) -> String {
    markdown(text).replace("\\`", "`")
}

/// Returns a text as inline code, with a fence longer than any in the text.
fn code(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let space = if longest > 0 { " " } else { "" };
    let text = text.replace(['\n', '\r'], " ");
    format!("{fence}{space}{text}{space}{fence}")
}

/// Shortens the text to GitHub's limit and escapes characters that are invisible or change the
/// writing direction.
fn shorten(text: String) -> String {
    let mut text = escaped_lines(&text).into_owned();
    if text.len() > LIMIT {
        let mut end = LIMIT;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str("\n\n… cut: a step may write 1 MiB\n");
    }
    text
}

#[cfg(test)]
#[path = "summary/tests.rs"]
mod tests;
