//! The HTML page: the benefit of the image, its size by section, the files and runs of its apps,
//! the statements and their outcome, the duration of each step of the build, and the contents. It
//! is a single file without dependencies.

mod bundle;
mod receipt;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use sysforge_plan::text::escaped_lines;

use crate::chart::{self, NARROW, WIDE};
use crate::{Figures, Report};
use sysforge_plan::units::{bytes, count, duration, ratio};

/// The page loads nothing and runs no scripts, even if a name in the report contains markup.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// Returns the report as a self-contained page.
pub fn html(report: &Report) -> String {
    let style = [chart::STYLE, include_str!("page.css")].concat();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                title { (report.build_id) " · Sysforge report" }
                style { (PreEscaped(style)) }
            }
            (body(report))
        }
    };
    let mut text = escaped_lines(&page.into_string()).into_owned();
    text.push('\n');
    text
}

fn body(report: &Report) -> Markup {
    let without = Figures::median(&report.without);
    let with = Figures::median(&report.with);
    html! {
        body {
            header {
                h1 { (report.build_id) }
                p class="soft" { "A Julia sysimage for " (report.julia) }
            }
            (tiles(report, &without, &with))
            main {
                section {
                    h2 { "Waiting times" }
                    figure {
                        div class="wide" { (chart::chart(report, WIDE, false)) }
                        div class="narrow" { (chart::chart(report, NARROW, false)) }
                        figcaption {
                            "Medians over " (count(report.with.len(), "fresh process", "fresh processes"))
                            " each; faint dots are single measurements."
                        }
                    }
                    (figures(report, &without, &with))
                }
                (sections(report))
                @for made in &report.bundles { (bundle::bundle(made)) }
                @if let Some(receipt) = &report.receipt { (receipt::statements(receipt)) }
                (residuals(report))
                @if let Some(receipt) = &report.receipt {
                    (receipt::timeline(receipt))
                    (receipt::portability(receipt))
                    (receipt::packages(receipt))
                    (receipt::facts(receipt))
                } @else {
                    p class="soft" {
                        "No receipt was found for this image, so this page cannot show the outcome of its \
                         statements, how it was built and what it contains."
                    }
                }
            }
        }
    }
}

fn tiles(report: &Report, without: &Figures, with: &Figures) -> Markup {
    let faster = without
        .first_call_s
        .zip(with.first_call_s)
        .map(|(slow, fast)| slow / fast.max(1e-9));
    let size: u64 = match &report.receipt {
        Some(receipt) => receipt.image.size,
        None => report.sections.iter().map(|(_, size)| size).sum(),
    };
    html! {
        ul class="tiles" {
            @if let Some(faster) = faster {
                li { b { (ratio(faster)) " × faster" } span { "first call" } }
            }
            @if let Some(left) = with.first_over_second() {
                li { b { (ratio(left)) } span { "first call ÷ second call" } }
            }
            li { b { (report.residuals.len()) } span { "statements left to compile" } }
            li { b { (bytes(size)) } span { "image" } }
            li { b { (bytes(with.peak_memory)) } span { "memory, at most" } }
        }
    }
}

fn figures(report: &Report, without: &Figures, with: &Figures) -> Markup {
    let call = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), duration);
    let left = |figures: &Figures| {
        figures
            .first_over_second()
            .map_or_else(|| "–".to_owned(), ratio)
    };
    let rows = [
        (
            "start-up",
            duration(without.startup_s),
            duration(with.startup_s),
        ),
        (
            "loading the packages",
            duration(without.load_s),
            duration(with.load_s),
        ),
        (
            "first call",
            call(without.first_call_s),
            call(with.first_call_s),
        ),
        (
            "second call",
            call(without.second_call_s),
            call(with.second_call_s),
        ),
        ("first ÷ second call", left(without), left(with)),
        (
            "memory after start-up",
            bytes(without.start_memory),
            bytes(with.start_memory),
        ),
        (
            "memory, at most",
            bytes(without.peak_memory),
            bytes(with.peak_memory),
        ),
    ];
    html! {
        details {
            summary { "Figures" }
            table {
                thead { tr { th { "" } th class="number" { "without" } th class="number" { "with the image" } } }
                tbody {
                    @for (name, without, with) in &rows {
                        tr { td { (name) } td class="number" { (without) } td class="number" { (with) } }
                    }
                    @for (name, without, with) in report.interactive() {
                        tr {
                            td { (name) }
                            td class="number" { (duration(without)) }
                            td class="number" { (duration(with)) }
                        }
                    }
                }
            }
        }
    }
}

/// Sections smaller than this fraction of the image are combined.
const MIN_FRACTION: f64 = 0.005;

fn sections(report: &Report) -> Markup {
    let mut large = report.sections.clone();
    large.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let whole: u64 = large.iter().map(|(_, size)| size).sum();
    let small = large.partition_point(|(_, size)| *size as f64 >= whole as f64 * MIN_FRACTION);
    let rest: Vec<_> = large.split_off(small);
    if !rest.is_empty() {
        let others = format!("{} others", rest.len());
        large.push((others, rest.iter().map(|(_, size)| size).sum()));
    }
    let rows: Vec<_> = large
        .iter()
        .map(|(name, size)| Row {
            name: name.clone(),
            value: *size as f64,
            shown: bytes(*size),
            bad: false,
        })
        .collect();
    html! {
        @if !rows.is_empty() {
            section {
                h2 { "Size, by section of the file" }
                (bars(&rows))
            }
        }
    }
}

fn residuals(report: &Report) -> Markup {
    html! {
        section {
            h2 { "Left to compile" }
            @if report.residuals.is_empty() {
                p { "Running the workloads on the image compiles nothing." }
            } @else {
                p { "Running the workloads on the image still compiles "
                    (count(report.residuals.len(), "statement", "statements")) "." }
                (listed("Which", report.residuals.iter().map(|s| (s.as_str(), None))))
            }
            @if let Some(receipt) = &report.receipt { (receipt::rounds(receipt)) }
        }
    }
}

/// A row with a bar.
struct Row {
    name: String,
    value: f64,
    shown: String,
    /// Whether a value above zero is bad.
    bad: bool,
}

/// Returns a table with bars that start at zero.
fn bars(rows: &[Row]) -> Markup {
    let most = rows.iter().map(|row| row.value).fold(0.0, f64::max);
    html! {
        table {
            tbody {
                @for row in rows {
                    tr {
                        td { (row.name) }
                        td class="number" { (row.shown) }
                        td class="bar" {
                            @if row.value > 0.0 {
                                i class=[row.bad.then_some("bad")] style={ "width:" (percent(row.value, most)) "%" } {}
                            }
                        }
                    }
                }
            }
        }
    }
}

fn percent(part: f64, whole: f64) -> String {
    format!("{:.1}", 100.0 * part / whole.max(f64::MIN_POSITIVE))
}

/// Returns a collapsible list of statements, each with its reason.
fn listed<'a>(title: &str, items: impl Iterator<Item = (&'a str, Option<&'a str>)>) -> Markup {
    html! {
        details {
            summary { (title) }
            ul {
                @for (statement, reason) in items {
                    li { code { (statement) } @if let Some(reason) = reason { ": " (reason) } }
                }
            }
        }
    }
}
